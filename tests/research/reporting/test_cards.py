from dataclasses import replace

import pytest

from flatrec.research.reporting.cards import MEASURES, Fact, cards
from flatrec.research.reporting.study_report import summary
from flatrec.research.reporting.study_result import Column, Outcome, Table

SCORES = ("data", "model", "strategy", "metric", "mean", "deviation", "runs", "against", "gain", "p (t)")
DECREASES = (
    "data", "model", "kind", "level", "strategy", "runs", "recall@10 before", "recall@10 after", "decrease",
    "deviation", "p",
)  # fmt: skip
SPREADS = ("data", "model", "strategy", "splits", "mean", "deviation", "lowest", "highest", "p of the spread")
SHARPNESS = ("data", "model", "strategy", "number", "mean", "deviation", "runs", "p")
HERE = ("toys", "freedom")


def table(name, columns, *rows):
    return Table(name, name, tuple(map(Column, columns)), tuple(rows))


def outcome(*tables, study="a study", **others):
    return Outcome(study, study, "?", tables=tables, fingerprints={"toys": "f" * 32}, **others)


def score(strategy, mean, against="", gain=None, p=None, *, metric="recall@10", where=HERE):
    return (*where, strategy, metric, mean, 0.001, 5, against, gain, p)


def decrease(strategy, level, share, p=None, *, kind="embeddings", where=HERE):
    return (*where, kind, level, strategy, 5, 0.06, 0.05, share, 0.01, p)


def spread(strategy, deviation, p=None):
    return (*HERE, strategy, 10, 0.06, deviation, 0.05, 0.07, p)


def sharpness(strategy, number, mean, p=None):
    return (*HERE, strategy, number, mean, 0.5, 5, p)


OVERALL = table(
    "overall-details", SCORES,
    score("plain", 0.060), score("plain", 0.030, metric="ndcg@10"),
    score("plain+", 0.061, "plain", 0.0167, 0.6),
    score("bsam+", 0.063, "plain", 0.05, 0.01), score("bsam+", 0.063, "plain+", 0.0328, 0.7),
)  # fmt: skip
NOISE = table(
    "noise", DECREASES,
    decrease("plain", "1e-05", 0.9), decrease("bsam+", "1e-05", 0.8, 0.001),
    decrease("plain", "0.0001", 0.30), decrease("bsam+", "0.0001", 0.20, 0.02),
    decrease("plain", "0.0001", 0.05, kind="features"), decrease("bsam+", "0.0001", 0.07, 0.03, kind="features"),
)  # fmt: skip
ADJUSTMENT = table(
    "adjustment", DECREASES,
    decrease("plain", "0.03", 0.02, kind="features"), decrease("bsam+", "0.03", 0.01, 0.5, kind="features"),
)  # fmt: skip
SPREAD = table("generalization-spread", SPREADS, spread("plain", 0.0011), spread("bsam+", 0.0008, 0.2))
LANDSCAPE = table(
    "landscape", SHARPNESS,
    sharpness("plain", "top eigenvalue", 48.0), sharpness("plain", "loss", 0.3),
    sharpness("bsam+", "top eigenvalue", 22.0, 0.004), sharpness("bsam+", "loss", 0.3, 0.001),
    sharpness("plain", "worst rise", 0.2), sharpness("bsam+", "worst rise", 0.1, 0.3),
)  # fmt: skip


def only(*tables):
    (card,) = cards([outcome(one) for one in tables])
    return card


def facts(card, strategy):
    (row,) = [row for row in card.rows if row.strategy == strategy]
    return row.facts


def test_a_card_brings_together_what_all_studies_say_of_a_strategy():
    card = only(OVERALL, NOISE, ADJUSTMENT, SPREAD, LANDSCAPE)
    assert (card.data, card.model) == HERE
    assert [row.strategy for row in card.rows] == ["plain", "plain+", "bsam+"]
    assert facts(card, "bsam+") == {
        "score": Fact(0.063, 0.001),
        "gain": Fact(0.05, None, 0.01, "plain", ahead=True),
        "embeddings": Fact(0.20, 0.01, 0.02, "plain", ahead=True, condition="Recall@10, variance 0.0001"),
        "features": Fact(0.07, 0.01, 0.03, "plain", ahead=False, condition="Recall@10, variance 0.0001"),
        "adjustment": Fact(0.01, 0.01, 0.5, "plain", ahead=True, condition="Recall@10, share 0.03"),
        "spread": Fact(0.0008, None, 0.2, "plain", ahead=True, runs=10),
        "eigenvalue": Fact(22.0, 0.5, 0.004, "plain", ahead=True),
        "rise": Fact(0.1, 0.5, 0.3, "plain", ahead=True),
    }
    assert facts(card, "plain+").keys() == {"score", "gain"}
    assert facts(card, "bsam+").keys() == {measure.name for measure in MEASURES}
    assert card.notes == ()


def test_the_sentence_names_the_best_only_where_that_is_significant():
    assert summary(only(OVERALL, NOISE, ADJUSTMENT, SPREAD, LANDSCAPE)) == (
        "Among those significantly better than plain (p < 0.05), bsam+ is best in test Recall@10, under noise on "
        "embeddings and in top Hessian eigenvalue; bsam+ is significantly worse under noise on features; differences "
        "without significance are not claimed (under adjusted items, in spread over splits, in worst rise of the loss)."
    )


def test_the_sentence_claims_nothing_where_nothing_is_significant():
    assert summary(only(ADJUSTMENT)) == (
        "No strategy is significantly better than plain in anything that was measured; differences without "
        "significance are not claimed (under adjusted items)."
    )


def test_the_best_mean_is_not_called_best_if_only_another_is_significant():
    rows = (
        score("plain", 0.06), score("sam", 0.08, "plain", 0.33, 0.2), score("asam", 0.065, "plain", 0.08, 0.001),
        score("bsam", 0.07, "plain", 0.17, 0.01),
    )  # fmt: skip
    sentence = summary(only(table("overall-details", SCORES, *rows)))
    assert ", bsam is best in test Recall@10;" in sentence
    assert "sam " not in sentence.replace("bsam ", "")


def test_each_best_strategy_is_named_with_its_own_fields():
    rows = (decrease("plain", "0.1", 0.3), decrease("sam", "0.1", 0.1, 0.01), decrease("bsam+", "0.1", 0.2, 0.01))
    assert "bsam+ is best in test Recall@10; sam is best under noise on embeddings" in (
        summary(only(OVERALL, table("noise", DECREASES, *rows)))
    )


@pytest.mark.parametrize(("p", "verdict"), [(0.049, "better"), (0.05, ""), (None, "")])
def test_a_verdict_needs_p_below_five_percent(p, verdict):
    assert Fact(1.0, p=p, ahead=True).verdict == verdict
    assert Fact(1.0, p=p, ahead=False).verdict == verdict.replace("better", "worse")
    assert Fact(1.0, p=p, ahead=None).verdict == ""


def test_levels_are_compared_as_numbers():
    rows = (decrease("plain", "9e-05", 0.1), decrease("plain", "0.0005", 0.5), decrease("plain", "1e-05", 0.01))
    assert facts(only(table("noise", DECREASES, *rows)), "plain")["embeddings"].value == 0.5


def test_the_metric_of_a_decrease_is_named():
    columns = tuple(name.replace("recall@10", "ndcg@5") for name in DECREASES)
    assert facts(only(table("noise", columns, decrease("plain", "0.1", 0.3))), "plain")["embeddings"].condition == (
        "NDCG@5, variance 0.1"
    )


def test_a_negative_eigenvalue_is_no_sign_of_flatness():
    rows = (sharpness("plain", "top eigenvalue", 0.1), sharpness("bsam", "top eigenvalue", -0.4, 0.001))
    card = only(table("landscape", SHARPNESS, *rows))
    assert facts(card, "bsam")["eigenvalue"].verdict == ""
    assert "No strategy is significantly better" in summary(card)
    assert card.notes == (
        "A negative eigenvalue means that training did not end in a minimum, so nothing is claimed of it.",
    )


def test_data_sets_and_models_have_cards_of_their_own():
    places = [("toys", "freedom"), ("toys", "lgmrec"), ("books", "freedom")]
    rows = [score("plain", 0.01 * number, where=place) for number, place in enumerate(places, 1)]
    found = cards([outcome(table("overall-details", SCORES, *rows))])
    assert [(card.data, card.model) for card in found] == places
    assert [facts(card, "plain")["score"].value for card in found] == [0.01, 0.02, 0.03]


def test_a_path_that_ends_in_the_name_of_a_data_set_is_that_data_set():
    elsewhere = table("overall-details", SCORES, score("plain", 0.06, where=("some/folder/toys", "freedom")))
    assert only(elsewhere, NOISE).data == "toys"


def test_paths_with_the_same_end_stay_apart():
    rows = [score("plain", 0.06, where=(place, "freedom")) for place in ("one/toys", "two/toys")]
    found = cards([outcome(table("overall-details", SCORES, *rows))])
    assert [card.data for card in found] == ["one/toys", "two/toys"]


def test_a_path_of_no_known_name_stays_as_it_is():
    found = cards([outcome(table("overall-details", SCORES, score("plain", 0.06, where=("a/b", "freedom"))))])
    assert found[0].data == "a/b"


def test_the_first_of_several_studies_is_taken_as_a_whole_and_a_note_says_so():
    other = table("overall-details", SCORES, score("plain", 0.99), score("sam", 0.98, "plain", -0.01, 0.001))
    card = only(OVERALL, other, NOISE)
    assert facts(card, "plain")["score"].value == 0.060
    assert "sam" not in [row.strategy for row in card.rows]
    assert card.notes == (
        "Found by several studies, of which the first is shown: Test Recall@10; Gain over plain.",
    )  # fmt: skip


def test_a_note_tells_of_settings_in_which_the_runs_differ():
    one = outcome(
        OVERALL, settings={"seeds": "0, 1", "model.embedding_dim": "64", "study.draws": "5", "optimizer.lr": "0.1"}
    )
    two = outcome(
        NOISE, settings={"seeds": "0", "model.embedding_dim": "32", "study.draws": "9", "optimizer.lr": "0.1"}
    )
    theory = outcome(settings={"optimizer.lr": "0.7"})
    (card,) = cards([one, two, theory])
    assert card.notes == ("Not all columns are of runs with the same settings; they differ in model.embedding_dim.",)


@pytest.mark.parametrize(("runs", "said"), [(1, "of 1 run;"), (4, "of 4 runs;"), (5, None)])
def test_a_note_tells_of_fewer_runs_than_a_result_needs(runs, said):
    row = (*decrease("plain", "0.1", 0.3)[:5], runs, *decrease("plain", "0.1", 0.3)[6:])
    card = only(OVERALL, table("noise", DECREASES, row))
    assert card.notes == ((f"Some of it is {said} fewer than 5 are not a result.",) if said else ())


def test_tables_that_are_not_for_cards_make_none():
    other = table("parameters-details", ("anything",), ("at all",))
    assert cards([outcome(other), outcome()]) == []
    assert cards([outcome(table("noise", DECREASES))]) == []


@pytest.mark.parametrize("name", ["data", "model", "strategy", "metric", "mean", "runs", "against", "gain", "p (t)"])
def test_a_missing_column_is_an_error_that_names_it(name):
    columns = tuple("other" if column == name else column for column in SCORES)
    with pytest.raises(ValueError, match=r"table overall-details needs a column '.*'; run its study again") as caught:
        only(replace(OVERALL, columns=tuple(map(Column, columns))))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (score("plain", "high"), "'mean' of table overall-details must hold numbers, but holds 'high'"),
        (score("plain", None), "'mean' of table overall-details must hold a number in every row, but holds None"),
        (score("plain", float("nan")), "'mean' of table overall-details must hold numbers, but holds nan"),
        (score("plain", True), "'mean' of table overall-details must hold numbers, but holds True"),
        (score(3, 0.1), "'strategy' of table overall-details must hold text, but holds 3"),
        (score("sam", 0.1, "plain", 0.1, "no"), "'p (t)' of table overall-details must hold numbers, but holds 'no'"),
    ],
)
def test_a_wrong_cell_is_an_error_that_names_it(row, part):
    with pytest.raises(ValueError, match="run its study again") as caught:
        only(table("overall-details", SCORES, row))
    assert part in str(caught.value)


def test_a_level_that_is_no_number_is_an_error():
    with pytest.raises(ValueError, match="column 'level' of table noise must hold numbers, but holds 'much'"):
        only(table("noise", DECREASES, decrease("plain", "much", 0.1)))


def test_two_values_for_the_same_thing_are_an_error():
    with pytest.raises(ValueError, match=r"two values for the score of plain \(toys, freedom\); run it again"):
        only(table("overall-details", SCORES, score("plain", 0.06), score("plain", 0.07)))
