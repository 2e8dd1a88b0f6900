"""The operations of a recommender."""

from __future__ import annotations

from flatrec.serve.about import about_model
from flatrec.serve.answers import (
    ItemsAnswer,
    ListsAnswer,
    ModelAnswer,
    RecommendAnswer,
    ScoreAnswer,
    SimilarAnswer,
    SimilarListsAnswer,
    UsersAnswer,
    WhoWantsAnswer,
)
from flatrec.serve.items import find_items, find_users
from flatrec.serve.operations import AnyOperation, Operation
from flatrec.serve.recommending import recommend_many, recommend_one
from flatrec.serve.recommending_together import TOGETHER
from flatrec.serve.requests import (
    ItemQuery,
    ModelQuery,
    RecommendRequest,
    ScoreRequest,
    SimilarQuery,
    SimilarRequest,
    UserQuery,
    UserSearchQuery,
    WhoWantsRequest,
)
from flatrec.serve.scoring import score
from flatrec.serve.similar import similar_to_many, similar_to_one
from flatrec.serve.wanting import body_bytes, who_wants

USERS = "/v1/users"  # is there only if it is asked for
OPERATIONS: tuple[AnyOperation, ...] = (
    Operation(
        "GET", "/v1/recommend/{user:path}", "Recommend items to one user.", UserQuery, RecommendAnswer, recommend_one,
        statuses=(404,), together=TOGETHER,
    ),
    Operation(
        "POST", "/v1/recommend", "Recommend items to users, or to somebody with a history.", RecommendRequest,
        ListsAnswer, recommend_many, statuses=(404,),
    ),
    Operation(
        "GET", "/v1/similar", "Find the items that are most similar to an item.", SimilarQuery, SimilarAnswer,
        similar_to_one, statuses=(404,),
    ),
    Operation(
        "POST", "/v1/similar", "Find the items that are most similar to each of several items.", SimilarRequest,
        SimilarListsAnswer, similar_to_many, statuses=(404,),
    ),
    Operation(
        "POST", "/v1/who-wants", "Find the users who want an item most, known or new.", WhoWantsRequest, WhoWantsAnswer,
        who_wants, statuses=(404, 409, 429), body_bytes=body_bytes,
    ),
    Operation(
        "POST", "/v1/score", "Score items for users.", ScoreRequest, ScoreAnswer, score, statuses=(404,),
    ),
    Operation("GET", "/v1/items", "Search ids and titles of items.", ItemQuery, ItemsAnswer, find_items),
    Operation("GET", USERS, "Search ids of users.", UserSearchQuery, UsersAnswer, find_users),
    Operation("GET", "/v1/model", "Show what is served.", ModelQuery, ModelAnswer, about_model),
)  # fmt: skip
