"""What a language model is shown of a data set: training interactions, and nothing that is held out."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from flatrec.content.llm.augmentation_requests import (
    FEW_CANDIDATES,
    NO_HISTORY,
    NO_TEXT,
    AugmentationRequests,
    AugmentationSettings,
)
from flatrec.content.llm.histories import candidates, histories
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary

ITEMS = "abcdefgh"
TEXTS = {item: f"thing {item * 3}" for item in ITEMS}
EVERYTHING = np.ones(len(ITEMS), dtype=np.bool_)


def dataset(train, held_out=(), *, times=None):
    """Users by their items: what each bought in training, and later."""
    pairs = [(user, ITEMS.index(item), 0) for user, items in enumerate(train) for item in items]
    pairs += [(user, ITEMS.index(item), 2) for user, items in enumerate(held_out) for item in items]
    users, items, splits = (np.array(column) for column in zip(*pairs, strict=True))
    interactions = Interactions(users, items, splits, len(train), len(ITEMS), times)
    names = Vocabulary("user", [f"u{user}" for user in range(len(train))])
    return Dataset("d", interactions, names, Vocabulary("item", list(ITEMS)))


def prompts(data, part, **settings):
    requests = AugmentationRequests(data, TEXTS, AugmentationSettings(**settings))
    return {name: request.prompt_without_image for name, request in requests.of(part)}


def shown(prompt):
    return [line[-1] for line in prompt.splitlines() if line.startswith("- ")]


def numbered(prompt):
    return [line[-1] for line in prompt.splitlines() if re.match(r"\d+\. ", line)]


def test_a_user_is_described_by_its_training_items_and_by_no_other():
    found = prompts(dataset(["ab", "abc", "cd"], ["c", "d", "e"]), "profiles")
    assert {user: shown(prompt) for user, prompt in found.items()} == {
        "u0": ["a", "b"],
        "u1": ["a", "b", "c"],
        "u2": ["c", "d"],
    }
    assert "thing aaa" in found["u0"]
    assert "thing ccc" not in found["u0"]


def test_no_prompt_depends_on_what_is_held_out():
    train = ["ab", "abc", "bcd", "ad", "cde"]
    one, other = dataset(train, ["c", "d", "ae", "b", ""]), dataset(train, ["d", "e", "", "c", "abfgh"])
    for part in ("profiles", "attributes", "suggestions"):
        assert prompts(one, part) == prompts(other, part)


def test_candidates_are_the_items_of_similar_users_that_the_user_lacks_test_items_among_them():
    data = dataset(["ab", "abc", "abd", "ef"], ["c", "", "", "a"])
    found = {user: numbered(prompt) for user, prompt in prompts(data, "suggestions").items()}
    assert {user: set(items) for user, items in found.items()} == {"u0": {"c", "d"}}  # others lack one item or all
    skipped = AugmentationRequests(data, TEXTS, AugmentationSettings()).skipped("suggestions")
    assert skipped == dict.fromkeys(["u1", "u2", "u3"], FEW_CANDIDATES)


def test_the_best_candidates_are_taken_and_their_order_tells_nothing_of_their_rank():
    data = dataset(["abcdefgh", *["h"] * 39])
    scores = torch.arange(len(ITEMS), dtype=torch.float32)
    rows, again = (candidates(data, EVERYTHING, 3, lambda users: scores.expand(len(users), -1)) for _ in range(2))
    assert {tuple(sorted(row)) for row in rows[1:].tolist()} == {(4, 5, 6)}
    assert len({tuple(row) for row in rows[1:].tolist()}) == 6
    assert rows[0].tolist() == [-1, -1, -1]
    assert again.tolist() == rows.tolist()


def test_items_that_nobody_bought_in_training_are_no_candidates():
    data = dataset(["ab", "c"], ["d", "e"])
    rows = candidates(data, EVERYTHING, 4, lambda users: torch.ones(len(users), len(ITEMS)))
    assert [sorted(row) for row in rows.tolist()] == [[-1, -1, -1, 2], [-1, -1, 0, 1]]


def test_the_newest_items_are_shown_the_newest_last():
    data = dataset(["abcd", "ef"], times=np.array([4, 1, 3, 2, 9, 8]))
    assert [[ITEMS[item] for item in one] for one in histories(data, EVERYTHING, 3)] == [["d", "c", "a"], ["f", "e"]]
    allowed = np.array([item != "c" for item in ITEMS])
    assert [[ITEMS[item] for item in one] for one in histories(data, allowed, 3)] == [["b", "d", "a"], ["f", "e"]]


def test_without_times_items_are_picked_evenly_and_no_other_user_changes_that():
    picked = histories(dataset(["abcdefg", "h"]), EVERYTHING, 3)
    assert [[ITEMS[item] for item in one] for one in picked] == [["a", "d", "g"], ["h"]]
    assert histories(dataset(["abcdefg", "abch"]), EVERYTHING, 3)[0].tolist() == picked[0].tolist()


def test_what_has_nothing_to_be_asked_about_is_named_with_its_reason():
    data = dataset(["ab", "h"], ["", "a"])
    texts = TEXTS | {"h": " ", "g": None}
    requests = AugmentationRequests(data, texts, AugmentationSettings())
    assert requests.skipped("attributes") == {"g": NO_TEXT, "h": NO_TEXT}
    assert requests.skipped("profiles") == {"u1": NO_HISTORY}
    assert [name for name, _ in requests.of("attributes")] == list("abcdef")
    assert (requests.count("attributes"), requests.count("profiles"), requests.count("attributes", 2)) == (6, 1, 2)


def test_words_that_look_like_a_placeholder_stay():
    data = dataset(["ab", "abcd"])
    requests = AugmentationRequests(data, dict.fromkeys(ITEMS, "see {candidates} {text}"), AugmentationSettings())
    for part in ("profiles", "attributes", "suggestions"):
        assert any(
            "see {candidates} {text}" in (request.prompt_without_image or "") for _, request in requests.of(part)
        )
    assert (
        sum(
            len(re.findall("^1[.]", request.prompt_without_image, re.MULTILINE))
            for _, request in requests.of("suggestions")
        )
        == 1
    )


def test_long_texts_are_cut():
    requests = AugmentationRequests(dataset(["ab"]), dict.fromkeys(ITEMS, "word " * 1000), AugmentationSettings())
    (profile,) = [request.prompt_without_image for _, request in requests.of("profiles")]
    assert {len(line) for line in profile.splitlines() if line.startswith("- ")} == {102}
    assert {len(request.prompt_without_image) < 2500 for _, request in requests.of("attributes")} == {True}


def test_a_table_of_other_items_is_refused():
    with pytest.raises(ValueError, match="no item of 'd' has a text: it has ids like 'a', the table of items like '7'"):
        AugmentationRequests(dataset(["ab"]), {"7": "a mug"}, AugmentationSettings())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": ()}, "at least one part"),
        ({"history": 0}, "--history must lie between 1 and 1000"),
        ({"candidates": 1}, "--candidates between 2 and 100"),
        ({"attributes": ("a", "a")}, "each once"),
        ({"attributes": ("../a",)}, "cannot be part of a file name"),
        ({"attributes": (".a",)}, "cannot be part of a file name"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AugmentationSettings(**settings)
