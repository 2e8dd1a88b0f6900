"""The table of public data sets is complete and can be looked up."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from flatrec.data.fetching.counts import agrees
from flatrec.data.fetching.public_datasets import DATASETS, NAMES, find_dataset

PAGE = Path(__file__).parents[3] / "docs" / "datasets.md"


def test_the_sets_of_the_table():
    plain = {name for name in DATASETS if ":" not in name}
    assert plain == {
        *("baby", "sports", "clothing", "pet", "office", "ml-latest-small", "ml-25m", "ml-1m-mm", "lfm-2k-mm"),
        *("dbbook-mm", "m3l-10m", "m3l-20m", "microlens-50k", "microlens-100k"),
    }
    assert len(DATASETS) - len(plain) == 33
    assert set(NAMES) == plain | {"amazon-2023:CATEGORY"}


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda one: one.name)
def test_every_set_has_addresses_and_says_when_what_it_states_was_read(dataset):
    files = [*dataset.files, *(encoder.file for encoder in dataset.encoders if encoder.file)]
    assert len({file.kind for file in dataset.files}) == len(dataset.files)
    assert all(file.address.startswith("https://") and file.name for file in files)
    assert len({file.address for file in files}) == len(files)
    for file in files:
        kind, _, digits = file.checksum.partition(":")
        assert (kind, len(digits)) in (("", 0), ("git", 40))
    stated = [count for count in vars(dataset.counts).values() if count]
    assert bool(dataset.read_on) >= bool(stated)
    if dataset.read_on:
        assert datetime.date.fromisoformat(dataset.read_on) <= datetime.date.today()
    assert all(agrees(found, count) for count in stated for found in [_number(count)])
    default = dataset.choose_encoders({})
    assert [one.modality for one in default] == list(dataset.modalities)


def _number(count):
    return round(float(count.replace(",", "").rstrip("KM")) * {"K": 1e3, "M": 1e6}.get(count[-1], 1))


@pytest.mark.parametrize(
    ("found", "stated", "right"),
    [
        (942_703, "942,703", True), (942_704, "942,703", False), (94_750, "94.8K", True), (94_749, "94.8K", False),
        (2_450_000, "2.5M", True), (2_449_999, "2.5M", False), (2_550_001, "2.5M", False), (253, "253", True),
    ],
)  # fmt: skip
def test_counts_agree_within_the_rounding_of_what_is_stated(found, stated, right):
    assert agrees(found, stated) == right


def test_names_are_found_in_any_case_and_others_are_one_line():
    assert find_dataset("Amazon-2023:video_games").name == "amazon-2023:Video_Games"
    with pytest.raises(ValueError, match="unknown data set 'ml-25n'; did you mean ml-25m"):
        find_dataset("ml-25n")
    with pytest.raises(ValueError, match="amazon-2023: unknown category 'Boks'; did you mean Books"):
        find_dataset("amazon-2023:Boks")


@pytest.mark.parametrize("dataset", [one for one in DATASETS.values() if ":" not in one.name], ids=lambda one: one.name)
def test_the_page_of_data_sets_says_what_the_table_says(dataset):
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{dataset.name}`")]
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    counts = dataset.counts
    assert cells[1:4] == [counts.users or "–", counts.items or "–", counts.interactions or "–"]
    assert cells[4] == (", ".join(dataset.modalities) or "–")
