from dataclasses import replace

import pytest

from flatrec.research.reporting.cards import cards, summary
from flatrec.research.reporting.study_result import CardColumn, CardEntry, StudyResult, against_first

HERE = ("toys", "freedom")


def result(*columns, study="a study", **others):
    return StudyResult(study, study, "?", fingerprints={"toys": "f" * 32}, card_columns=columns, **others)


def entry(strategy, value, p=None, *, where=HERE, **others):
    return CardEntry(*where, strategy, value, p=p, **others)


def score(strategy, mean, **others):
    return entry(strategy, mean, deviation=0.001, **others)


def gain(strategy, value, p, **others):
    return entry(strategy, value, p, against="plain", ahead=value > 0, **others)


def scores(*entries):
    return CardColumn("score", "Test Recall@10", entries, higher_is_better=True)


def gains(*entries):
    return CardColumn("gain", "Gain over plain", entries, "in test Recall@10", "%", higher_is_better=True)


def drops(*entries, kind="embeddings"):
    return CardColumn(kind, f"Drop, noisy {kind}", against_first(entries), f"under noise on {kind}", "%")


SCORES = scores(score("plain", 0.060), score("plain+", 0.061), score("bsam+", 0.063))
GAINS = gains(gain("plain+", 0.0167, 0.6), gain("bsam+", 0.05, 0.01))
NOISE = drops(entry("plain", 0.30), entry("bsam+", 0.20, 0.02, condition="Recall@10, variance 0.0001"))
FEATURES = drops(entry("plain", 0.05), entry("bsam+", 0.07, 0.03), kind="features")
SPREAD = CardColumn(
    "spread", "Deviation over splits", against_first([entry("plain", 0.0011), entry("bsam+", 0.0008, 0.2)]),
    "in spread over splits",
)  # fmt: skip


def only(*columns):
    (card,) = cards([result(column) for column in columns])
    return card


def entries(card, strategy):
    (row,) = [row for row in card.rows if row.strategy == strategy]
    return row.entries


def test_a_card_brings_together_what_all_studies_say_of_a_strategy():
    card = only(SCORES, GAINS, NOISE, FEATURES, SPREAD)
    assert (card.data, card.model) == HERE
    assert [row.strategy for row in card.rows] == ["plain", "plain+", "bsam+"]
    assert [column.name for column in card.columns] == ["score", "gain", "embeddings", "features", "spread"]
    assert entries(card, "bsam+")["embeddings"] == entry(
        "bsam+", 0.20, 0.02, against="plain", ahead=True, condition="Recall@10, variance 0.0001"
    )
    assert entries(card, "bsam+")["features"].verdict == "worse"
    assert entries(card, "plain+").keys() == {"score", "gain"}
    assert entries(card, "bsam+").keys() == {column.name for column in card.columns}
    assert card.notes == ()


def test_a_smaller_value_is_ahead_of_the_first_strategy_of_the_same_data_and_model():
    other = ("toys", "lgmrec")
    rows = against_first(
        [entry("plain", 0.3), entry("plain", 0.1, where=other), entry("sam", 0.2, 0.01), entry("sam", 0.2, where=other)]
    )
    assert [row.ahead for row in rows] == [None, None, True, False]
    assert [row.against for row in rows] == ["", "", "plain", ""]


def test_the_sentence_names_the_best_only_where_that_is_significant():
    assert summary(only(SCORES, GAINS, NOISE, FEATURES, SPREAD)) == (
        "Among those significantly better than plain (p < 0.05), bsam+ is best in test Recall@10 and under noise on "
        "embeddings; bsam+ is significantly worse under noise on features; differences without significance are not "
        "claimed (in spread over splits)."
    )


def test_the_sentence_claims_nothing_where_nothing_is_significant():
    assert summary(only(SPREAD)) == (
        "No strategy is significantly better than plain in anything that was measured; differences without "
        "significance are not claimed (in spread over splits)."
    )


def test_the_best_mean_is_not_called_best_if_only_another_is_significant():
    sentence = summary(only(gains(gain("sam", 0.33, 0.2), gain("asam", 0.08, 0.001), gain("bsam", 0.17, 0.01))))
    assert ", bsam is best in test Recall@10;" in sentence
    assert "sam " not in sentence.replace("bsam ", "")


def test_each_best_strategy_is_named_with_its_own_fields():
    noise = drops(entry("plain", 0.3), entry("sam", 0.1, 0.01), entry("bsam+", 0.2, 0.01))
    assert "bsam+ is best in test Recall@10; sam is best under noise on embeddings" in summary(only(GAINS, noise))


@pytest.mark.parametrize(("p", "verdict"), [(0.049, "better"), (0.05, ""), (None, "")])
def test_a_verdict_needs_p_below_five_percent(p, verdict):
    assert entry("sam", 1.0, p, ahead=True).verdict == verdict
    assert entry("sam", 1.0, p, ahead=False).verdict == verdict.replace("better", "worse")
    assert entry("sam", 1.0, p, ahead=None).verdict == ""


def test_a_note_of_a_study_is_said_once():
    noted = [entry(name, -0.4, note="Nothing is claimed of it.") for name in ("plain", "bsam")]
    assert only(CardColumn("top_eigenvalue", "Top", tuple(noted))).notes == ("Nothing is claimed of it.",)


def test_data_sets_and_models_have_cards_of_their_own():
    places = [("toys", "freedom"), ("toys", "lgmrec"), ("books", "freedom")]
    column = scores(*(score("plain", 0.01 * number, where=place) for number, place in enumerate(places, 1)))
    made = cards([result(column)])
    assert [(card.data, card.model) for card in made] == places
    assert [entries(card, "plain")["score"].value for card in made] == [0.01, 0.02, 0.03]


def test_a_path_that_ends_in_the_name_of_a_data_set_is_that_data_set():
    assert only(scores(score("plain", 0.06, where=("some/folder/toys", "freedom"))), NOISE).data == "toys"


def test_paths_with_the_same_end_stay_apart():
    column = scores(*(score("plain", 0.06, where=(place, "freedom")) for place in ("one/toys", "two/toys")))
    assert [card.data for card in cards([result(column)])] == ["one/toys", "two/toys"]


def test_a_path_of_no_known_name_stays_as_it_is():
    assert cards([result(scores(score("plain", 0.06, where=("a/b", "freedom"))))])[0].data == "a/b"


def test_the_first_of_several_studies_is_taken_as_a_whole_and_a_note_says_so():
    card = only(SCORES, scores(score("plain", 0.99), score("sam", 0.98)), NOISE)
    assert entries(card, "plain")["score"].value == 0.060
    assert "sam" not in [row.strategy for row in card.rows]
    assert card.notes == ("Several studies have these columns, and the first study is shown: Test Recall@10.",)


def test_a_note_tells_of_settings_in_which_the_runs_differ():
    settings = {"seeds": "0, 1", "model.embedding_dim": "64", "study.draws": "5", "optimizer.lr": "0.1"}
    others = {"seeds": "0", "model.embedding_dim": "32", "study.draws": "9", "optimizer.lr": "0.1"}
    theory = result(settings={"optimizer.lr": "0.7"})
    (card,) = cards([result(SCORES, settings=settings), result(NOISE, settings=others), theory])
    assert card.notes == ("Not all columns are of runs with the same settings; they differ in model.embedding_dim.",)


@pytest.mark.parametrize(("runs", "said"), [(1, "of 1 run;"), (4, "of 4 runs;"), (5, None)])
def test_a_note_tells_of_fewer_runs_than_a_result_needs(runs, said):
    card = only(SCORES, drops(entry("plain", 0.3, runs=runs)))
    assert card.notes == ((f"Some values are {said} fewer than 5 runs are not a result.",) if said else ())


def test_studies_without_card_columns_make_no_card():
    assert cards([result(), result(drops())]) == []


def test_two_values_for_the_same_thing_are_an_error():
    twice = replace(SCORES, entries=(score("plain", 0.06), score("plain", 0.07)))
    with pytest.raises(ValueError, match=r"two values for the score of plain \(toys, freedom\); run it again"):
        only(twice)
