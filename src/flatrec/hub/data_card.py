"""The card of a data set: how much there is of what, how it is split, and that it holds what people did."""

from __future__ import annotations

import json

from huggingface_hub import DatasetCardData

from flatrec._version import __version__
from flatrec.data.summary import Summary, summarize
from flatrec.hub.card_text import code, fenced, license_lines, plain, table, with_front_matter
from flatrec.hub.model_card import TAGS, CardSettings
from flatrec.hub.published import PublishedData

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def data_card(published: PublishedData, split_method: str, settings: CardSettings) -> str:
    """Return the card of a data set as Markdown, with the metadata that the Hub reads at its top.

    Args:
        published: the data set as it is published.
        split_method: how it was split; what is published has that split as a column.
        settings: what the person who publishes says of it.
    """
    about = summarize(published.dataset)
    name = settings.repository.rpartition("/")[2]
    return with_front_matter(
        DatasetCardData(
            license=settings.license,
            pretty_name=about.name,
            size_categories=next((label for most, label in SIZES if about.interactions < most), "n>10M"),
            tags=list(TAGS),
            viewer=False,
        ),
        [
            f"# {plain(name)}",
            "",
            f"A data set for recommenders, written by flatrec {plain(__version__)}. "
            "It holds what people did, under the ids that the source gave them.",
            "",
            "## How to load it",
            "",
            *fenced("", f"pip install 'flatrec[hub]'\nflatrec pull {settings.repository} --data --out {name}"),
            "",
            *fenced("python", f"import flatrec\n\ndataset = flatrec.load_data({json.dumps(name)})"),
            "",
            "## Counts",
            "",
            *_counts(about, split_method),
            *_columns(about),
            *_features(about),
            "## Not included",
            "",
            *(f"- {plain(sentence)}" for sentence in published.left_out),
            "- events that were summed into interactions or left out when the data were read",
            "",
            *license_lines(settings.license),
        ],
    )


def _counts(about: Summary, split_method: str) -> list[str]:
    days = f"{about.first[:10]} to {about.last[:10]}" if about.first and about.last else "not known"
    rows = [
        ["fingerprint", code(about.fingerprint)],
        ["users", str(about.users)],
        ["items", str(about.items)],
        ["interactions", str(about.interactions)],
        ["density", f"{about.density:.4%}"],
        ["days", days],
        ["groups among the users", str(about.groups or 0)],
        ["split", code(split_method)],
    ]
    splits = [[plain(name), one.interactions, about.users - one.users_without] for name, one in about.splits.items()]
    return [*table(["", ""], rows), *table(["split", "interactions", "users"], splits)]


def _columns(about: Summary) -> list[str]:
    titles = [["title", "a readable name", "", ""]] if about.titles else []
    rows = [
        [code(name), plain(one.kind), str(one.distinct), str(one.missing)] for name, one in about.item_columns.items()
    ]
    if not titles and not rows:
        return []
    return ["## Columns of items", "", *table(["column", "holds", "distinct values", "missing"], [*titles, *rows])]


def _features(about: Summary) -> list[str]:
    if not about.features:
        return []
    rows = [[code(name), str(one.width), str(one.missing)] for name, one in about.features.items()]
    return ["## Features of items", "", *table(["modality", "columns", "items without it"], rows)]
