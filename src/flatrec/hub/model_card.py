"""The model card of a recommender: what it learned from, its scores, how to load it, and what it does not hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from huggingface_hub import EvalResult, ModelCardData

from flatrec._version import __version__
from flatrec.config import Evaluation
from flatrec.hub.card_text import code, fenced, license_lines, plain, table, with_front_matter
from flatrec.hub.published import PublishedRecommender
from flatrec.hub.robustness import Robustness
from flatrec.hub.trained import Trained
from flatrec.inference.recommender import Recommender
from flatrec.models.perceptron import ProductPerceptron
from flatrec.models.scoring import ItemMatrix, ItemScores, Scoring, UserMatrix, Vectors

LIBRARY = "flatrec"
TAGS = ("recommender", "recommender-system", LIBRARY)
TASK = "recommendation"
N_EXAMPLES = 2  # items of the example
_KINDS: Mapping[type[Scoring], str] = {
    Vectors: "vectors of users and items; the score is their inner product",
    ItemMatrix: "similarities of items; the score sums over the items that a user has",
    UserMatrix: "similarities of users; the score sums over what similar users have",
    ItemScores: "one score per item, the same for everybody",
    ProductPerceptron: "vectors of users and items, and a perceptron that scores their product",
}


@dataclass(frozen=True)
class CardSettings:
    """What the person who publishes says of it.

    Args:
        repository: the name of the repository.
        license: the identifier of a license; None if none was stated.
        dataset: the name of the data set's repository on the Hub; None if there is none.
    """

    repository: str
    license: str | None = None
    dataset: str | None = None


def model_card(published: PublishedRecommender, trained: Trained, settings: CardSettings) -> str:
    """Return the card of a recommender as Markdown, with the metadata that the Hub reads at its top."""
    recommender = published.recommender
    return with_front_matter(
        _metadata(recommender, trained, settings),
        [
            f"# {plain(settings.repository.rpartition('/')[2])}",
            "",
            f"A recommender that flatrec {plain(__version__)} wrote: the model "
            f"{code(recommender.facts.model)}, trained with the strategy {code(recommender.facts.strategy)} on "
            f"{code(recommender.facts.data or 'unnamed data')}.",
            "",
            *_loading(recommender, settings),
            *_contents(published),
            *_data(recommender, trained),
            *_scores(trained),
            *_robustness(trained.robustness),
            *_settings(trained),
            *_use(recommender),
            *license_lines(settings.license),
        ],
    )


def _metadata(recommender: Recommender, trained: Trained, settings: CardSettings) -> ModelCardData:
    data = recommender.facts.data or "unnamed"
    results = [
        EvalResult(
            task_type=TASK,
            task_name="Recommendation",
            dataset_type=settings.dataset or data,
            dataset_name=data,
            dataset_split="test",
            metric_type=name.partition("@")[0],
            metric_name=name,
            metric_value=round(value, 6),
        )
        for name, value in trained.test.items()
    ]
    return ModelCardData(
        license=settings.license,
        library_name=LIBRARY,
        tags=[*TAGS, *(name for name in (recommender.facts.model, recommender.facts.strategy) if name.isidentifier())],
        datasets=[settings.dataset] if settings.dataset else None,
        metrics=list(dict.fromkeys(name.partition("@")[0] for name in trained.test)) or None,
        model_name=settings.repository.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )


def _loading(recommender: Recommender, settings: CardSettings) -> list[str]:
    name = settings.repository.rpartition("/")[2]
    items = [recommender.items[index] for index in (-recommender.catalog.popularity).argsort()[:N_EXAMPLES].tolist()]
    history = json.dumps(items, ensure_ascii=False)
    return [
        "## How to load it",
        "",
        *fenced("", f"pip install 'flatrec[hub]'\nflatrec pull {settings.repository} --out {name}"),
        "",
        *fenced(
            "python",
            f"import flatrec\n\nrecommender = flatrec.load_recommender({json.dumps(name)})\n"
            f"for item in recommender.recommend(history={history}, k=10)[0]:\n"
            "    print(item.item, item.title, item.score)",
        ),
        "",
        "The files are safetensors, Parquet and JSON. Loading them compares each with its digest, and runs no code.",
        "",
    ]


def _contents(published: PublishedRecommender) -> Iterator[str]:
    recommender = published.recommender
    facts, catalog = recommender.facts, recommender.catalog
    users = (
        f"no: ids, vectors, histories and seen items of {facts.left_out_users} users were left out"
        if facts.left_out_users
        else f"yes: ids, vectors, histories and seen items of {len(recommender.users)} users"
    )
    features = ", ".join(code(name) for name in sorted(catalog.features)) or "none"
    columns = ", ".join(code(name) for name in (catalog.columns.columns if catalog.columns is not None else ()))
    rows = [
        ["how scores are made", _KINDS[type(recommender.scoring)]],
        ["items", f"{len(catalog)}, with ids{' and titles' if catalog.titles is not None else ''}"],
        ["columns of items", columns or "none"],
        ["features of items", features],
        ["users", users],
        *(["not included", plain(sentence)] for sentence in published.left_out),
        ["not included", "the checkpoint, the training data and the logs of the run"],
    ]
    yield from ("## What it holds", "", *table(["part", "content"], rows))
    if facts.left_out_users:
        yield from (
            "Vectors and similarities of items are learned from everybody together, and stay. An item that a single "
            "person has can tell something of that person.",
            "",
        )


def _data(recommender: Recommender, trained: Trained) -> Iterator[str]:
    facts = recommender.facts
    rows = [
        ["name", code(facts.data or "unnamed")],
        ["fingerprint", code(facts.fingerprint)],
        ["users", str(len(recommender.users) or facts.left_out_users)],
        ["items", str(int((~recommender.catalog.new).sum()))],
        ["modalities", ", ".join(code(name) for name in sorted(recommender.catalog.features)) or "none"],
    ]
    if trained.split_method:
        rows.append(["split", code(trained.split_method)])
    yield from ("## Data", "", *table(["", ""], rows))
    if trained.splits:
        counts = [[one.name, one.interactions, one.users, one.items, one.days] for one in trained.splits]
        yield from table(["split", "interactions", "users", "items", "days"], counts)


def _scores(trained: Trained) -> Iterator[str]:
    names = list(dict.fromkeys([*trained.test, *trained.valid]))
    if not names:
        return
    yield from ("## Scores", "")
    if trained.refit:
        yield from (
            "It was trained on all interactions, so that nothing is left to score. The scores are those of the run "
            "whose settings and number of epochs it repeats.",
            "",
        )
    rows = [[code(name), trained.valid.get(name), trained.test.get(name)] for name in names]
    yield from table(["metric", "validation", "test"], rows)
    if trained.evaluation is not None:
        yield from (_protocol(trained.evaluation), "")


def _protocol(evaluation: Evaluation) -> str:
    masks = {
        "train": "but those that the user has in the training split",
        "train+valid": "but those that the user has in the training or validation split",
        "none": "also those that the user has already",
    }
    unknown = "are in the means" if evaluation.unknown_users == "include" else "are left out of the means"
    sampled = ""
    if any(name.startswith("sampled_") for name in evaluation.metrics):
        sampled = f" Metrics called sampled rank each relevant item among {evaluation.sampled_negatives} drawn ones."
    return (
        f"Protocol: all items are ranked, {masks[evaluation.mask]}; scored users: {evaluation.users}; users without a "
        f"training interaction {unknown}. One run, one seed.{sampled}"
    )


def _robustness(robustness: Robustness | None) -> Iterator[str]:
    if robustness is None:
        return
    yield from (
        "## Robustness",
        "",
        f"{code(robustness.metric)} on the {plain(robustness.split)} split, by {code('flatrec robustness')}; it is "
        f"{robustness.undisturbed:.4f} without a disturbance.",
        "",
    )
    rows = [
        [plain(one.kind), f"{one.level:.0%}", one.mean, "" if one.drop is None else f"{one.drop:.1%}"]
        for one in robustness.rows
    ]
    yield from table(["disturbance", "level", "mean", "drop"], rows)


def _settings(trained: Trained) -> Iterator[str]:
    if not trained.settings:
        return
    yield from ("## Settings", "")
    if trained.epochs:
        monitor = f", chosen by {code(trained.monitor)} on the validation split" if trained.monitor else ""
        yield from (f"Epochs: {trained.epochs}{monitor}.", "")
    yield from ("<details><summary>All settings, for <code>flatrec train --config</code></summary>", "")
    yield from (*fenced("toml", trained.settings), "", "</details>", "")


def _use(recommender: Recommender) -> Iterator[str]:
    scoring, left_out = recommender.scoring, recommender.facts.left_out_users > 0
    yield from ("## Intended use and limits", "")
    if isinstance(scoring, ItemScores):
        yield "- It lists the same items for everybody."
    elif isinstance(scoring, ProductPerceptron):
        yield "- It cannot judge a person by a history of items: unknown users get the most popular items."
    else:
        yield "- It lists items for a history of items that is given with a request, and items similar to an item."
    if left_out:
        yield "- It knows no user by id: without a history, everybody gets the most popular items."
    yield "- It knows the catalog and the tastes of the data above, and repeats their biases, popularity among them."
    yield "- The scores are of those data. Measure it on yours before you rely on it."
    yield ""
