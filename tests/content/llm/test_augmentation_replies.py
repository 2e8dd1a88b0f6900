"""What can be used of an answer about users and items."""

from __future__ import annotations

import json

import pytest

from flatrec.content.llm import augmentation_replies as replies

CANDIDATES = (40, 50, 60)


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        ('{"profile": "likes blue mugs"}', "likes blue mugs"),
        ('Sure! ```json {"profile": " likes {blue} mugs "} ``` Anything else?', "likes {blue} mugs"),
        ('{"profile": ["mugs", "lamps"], "age": 3}', "mugs, lamps"),
    ],
)
def test_a_profile_is_found_in_what_stands_around_it(text, profile):
    assert replies.read_profile(text) == profile


@pytest.mark.parametrize("text", ["", "likes mugs", '{"a"}{', "[1]", '{"profile": ', "{" * 5000 + "}" * 5000])
def test_what_is_no_json_object_is_called_so(text):
    for read in (
        replies.read_profile,
        lambda words: replies.read_attributes(words, ["style"]),
        lambda words: replies.read_suggestion(words, CANDIDATES),
    ):
        with pytest.raises(replies.UnusableReplyError, match="^the answer is not the JSON object that was asked for$"):
            read(text)


@pytest.mark.parametrize("value", [None, "", " ", "Unknown", "N/A", [], {"words": "likes mugs"}])
def test_an_empty_profile_is_none(value):
    with pytest.raises(replies.UnusableReplyError, match="no profile"):
        replies.read_profile(json.dumps({"profile": value}))


def test_attributes_are_those_that_were_asked_for_and_have_a_value():
    text = json.dumps({"style": "plain", "audience": None, "year": 1999, "color": ["red", "blue"], "more": "x"})
    found = replies.read_attributes(text, ["audience", "color", "style", "year", "use"])
    assert found == {"color": "red, blue", "style": "plain", "year": "1999"}


@pytest.mark.parametrize(("liked", "disliked"), [(1, 3), ("1", " 3 ")])
def test_a_suggestion_names_candidates_by_their_numbers_from_one_on(liked, disliked):
    assert replies.read_suggestion(json.dumps({"liked": liked, "disliked": disliked}), CANDIDATES) == (40, 60)


@pytest.mark.parametrize("number", [0, 4, -1, 40, None, True, 1.5, "one", "", "9" * 5000, [1], {}])
def test_an_item_that_is_no_candidate_is_refused(number):
    for name, other in (("liked", "disliked"), ("disliked", "liked")):
        with pytest.raises(replies.UnusableReplyError, match="not among the candidates"):
            replies.read_suggestion(json.dumps({name: number, other: 2}), CANDIDATES)


def test_one_item_is_not_liked_and_disliked():
    with pytest.raises(replies.UnusableReplyError, match="likes and dislikes the same item"):
        replies.read_suggestion('{"liked": 2, "disliked": "2"}', CANDIDATES)
