"""What is served."""

from __future__ import annotations

from datetime import UTC, datetime

from flatrec._version import __version__
from flatrec.serve.answers import ModelAnswer
from flatrec.serve.operations import Service
from flatrec.serve.requests import ModelQuery
from flatrec.serve.served import Served


def about_model(query: ModelQuery, served: Served, service: Service) -> ModelAnswer:
    """Return what the recommender is, and since when it is served."""
    del query, service
    recommender, facts = served.recommender, served.recommender.facts
    return ModelAnswer(
        model=served.model,
        name=facts.model,
        strategy=facts.strategy,
        data=facts.data,
        users=len(recommender.users),
        items=len(recommender.items),
        new_items=int(recommender.catalog.new.sum()),
        interactions=int(recommender.seen.nnz),
        columns={name: str(kind) for name, kind in recommender.catalog.frame.schema.items()},
        choices=served.choices,
        features=tuple(sorted(recommender.catalog.features)),
        test={name: float(value) for name, value in facts.test.items()},
        written_at=served.written_at,
        loaded_at=served.loaded_at,
        version=__version__,
        generated_at=datetime.now(UTC),
    )
