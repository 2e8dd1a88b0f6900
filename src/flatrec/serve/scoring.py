"""Scores of items for users."""

from __future__ import annotations

from datetime import UTC, datetime

from flatrec.serve.answers import ScoreAnswer
from flatrec.serve.checks import check_ids, item_index, user_index
from flatrec.serve.operations import Service
from flatrec.serve.requests import ScoreRequest
from flatrec.serve.served import Served


def score(request: ScoreRequest, served: Served, service: Service) -> ScoreAnswer:
    """Return the score of each item for each user."""
    limits = service.limits
    check_ids("users", request.users, limits.users, limits)
    check_ids("items", request.items, limits.ids, limits)
    for user in request.users:
        user_index(served, user, limits)
    for item in request.items:
        item_index(served, item, limits)
    scores = served.recommender.score(request.users, request.items)
    untrained = sum(not served.trained(user) for user in request.users)
    return ScoreAnswer(
        users=request.users,
        items=request.items,
        scores=tuple(tuple(row) for row in scores.tolist()),
        path="known",
        model=served.model,
        generated_at=datetime.now(UTC),
        warnings=(f"{untrained} of the users have no training interaction",) if untrained else (),
    )
