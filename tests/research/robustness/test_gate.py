"""Gates: what they read, and when they fail."""

from __future__ import annotations

import pytest

from flatrec.research.robustness import Gate, RobustnessCard, parse_gate
from flatrec.research.robustness.card import Level


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("recall@10 drops 5% under items=20%", Gate("recall@10", 0.05, "items", 0.2)),
        (" ndcg@5  drops 0.5 % under vectors = 7.5 % ", Gate("ndcg@5", 0.005, "vectors", 0.075)),
    ],
)
def test_a_gate_is_read(text, gate):
    assert parse_gate(text) == gate
    assert parse_gate(str(gate)) == gate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recall@10 drops under items=20%", "must read as"),
        ("recall@10 drops 5 under items=20%", "must read as"),
        ("recall drops 5% under items=20%", "must read as"),
        ("recall@10 drops 5% under item=20%", "did you mean items"),
        ("recall@10 drops 0% under items=20%", "above 0%"),
        ("recall@10 drops 101% under items=20%", "at most 100%"),
        ("gini@10 drops 5% under items=20%", "better the lower"),
    ],
)
def test_another_text_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_gate(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("drop", "fails"), [(0.24, True), (0.25, True), (0.26, False)])
def test_a_gate_fails_from_its_drop_on(drop, fails):
    levels = (
        Level("items", 0.1, ({"recall@10": 0.5},)),
        Level("items", 0.2, ({"recall@10": 0.25}, {"recall@10": 0.5})),
    )
    card = RobustnessCard("mine", "blocks", "", "test", 0, {"recall@10": 0.5}, levels)
    assert Gate("recall@10", drop, "items", 0.2).fails(card) is fails


def test_what_was_not_measured_cannot_hold():
    card = RobustnessCard(
        "mine", "blocks", "", "test", 0, {"recall@10": 0.0}, (Level("items", 0.1, ({"recall@10": 0.0},)),)
    )
    with pytest.raises(ValueError, match="is 0 without any disturbance"):
        Gate("recall@10", 0.1, "items", 0.1).fails(card)
    with pytest.raises(ValueError, match="not measured at its level"):
        Gate("recall@10", 0.1, "items", 0.2).fails(card)
    with pytest.raises(ValueError, match="unknown metric"):
        Gate("ndcg@10", 0.1, "items", 0.1).fails(card)
