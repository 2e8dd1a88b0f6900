import csv
from collections import Counter
from importlib.resources import files

import pytest

from flatrec.models import MODELS
from flatrec.registry.instantiate import strategy_names
from flatrec.research.reporting.reported import Case, Reported, reported, reported_cases

ROWS = list(
    csv.DictReader(
        files("flatrec.research.reporting").joinpath("reported.csv").read_text(encoding="utf-8").splitlines()
    )
)
KEY = ("dataset", "model", "strategy", "metric", "condition")


def test_every_table_has_the_cells_that_it_prints_first():
    # II: 9 models x 3 strategies x 5 sets x 4 metrics. IV: 3 x 3 x 2 sets x 3 levels. V: 3 sizes x 3 x 3 x 4 sets x 4.
    # VI: 1 optimizer x 1 model x 3 strategies x 2 sets x 4. VIII: 3 models x 6 strategies x 2 sets x 2.
    assert Counter(row["table"] for row in ROWS) == {"II": 540, "IV": 54, "V": 432, "VI": 24, "VIII": 72}


def test_the_cases_of_a_table_are_those_that_it_prints_first():
    counts = {table: len(reported_cases(table)) for table in ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")}
    assert counts == {"I": 0, "II": 135, "III": 0, "IV": 54, "V": 108, "VI": 6, "VII": 0, "VIII": 36}
    assert reported_cases("II")[0] == Case("baby", "ngcf", "plain", "")
    assert reported_cases("IV")[4] == Case("baby", "mmgcn", "bsam", "features 1e-05")


def test_no_cell_is_there_twice():
    assert len({tuple(row[name] for name in KEY) for row in ROWS}) == len(ROWS)


def test_every_name_is_one_of_ours():
    assert {row["model"] for row in ROWS} <= set(MODELS)
    assert {row["strategy"] for row in ROWS} <= set(strategy_names())
    assert {row["dataset"] for row in ROWS} == {"baby", "sports", "clothing", "pet", "office"}
    assert {row["metric"] for row in ROWS} == {"recall@5", "recall@10", "ndcg@5", "ndcg@10"}


def test_every_row_is_found_by_its_own_key():
    for row in ROWS:
        found = reported(row["dataset"], row["model"], row["strategy"], row["metric"], condition=row["condition"])
        assert found == Reported(float(row["value"]), f"Table {row['table']}", row["suspect"] == "1")


@pytest.mark.parametrize(
    ("case", "condition", "table", "value"),
    [
        (("baby", "ngcf", "plain", "recall@5"), "", "Table II", 0.0253),
        (("baby", "freedom", "bsam", "recall@10"), "", "Table II", 0.0650),
        (("office", "lgmrec", "bsam+", "ndcg@10"), "", "Table II", 0.0545),
        (("baby", "mmgcn", "plain", "recall@10"), "features 1e-06", "Table IV", 0.0355),
        (("baby", "freedom", "bsam", "recall@10"), "features 1e-05", "Table IV", 0.0633),
        (("sports", "lgmrec", "bsam+", "recall@10"), "features 0.0001", "Table IV", 0.0732),
        (("baby", "freedom", "plain", "recall@5"), "batch 1024", "Table V", 0.0370),
        (("pet", "lgmrec", "bsam+", "recall@10"), "batch 4096", "Table V", 0.1120),
        (("sports", "freedom", "bsam+", "ndcg@10"), "rmsprop", "Table VI", 0.0395),
        (("baby", "mmgcn", "fishersam", "ndcg@10"), "", "Table VIII", 0.0216),
        (("sports", "dragon", "sam+", "recall@10"), "", "Table VIII", 0.0771),
    ],
)
def test_cells_are_as_printed(case, condition, table, value):
    assert reported(*case, condition=condition) == Reported(value, table, suspect=False)


@pytest.mark.parametrize(
    ("case", "value"),
    [
        (("layergcn", "plain", "clothing", "ndcg@5"), 0.0150),
        (("mmgcn", "bsam+", "pet", "recall@10"), 0.0963),
        (("dualgnn", "plain", "sports", "recall@10"), 0.0563),
        (("dualgnn", "bsam", "sports", "ndcg@10"), 0.0347),
        (("dualgnn", "bsam+", "clothing", "recall@10"), 0.0508),
        (("slmrec", "bsam", "office", "ndcg@5"), 0.0353),
        (("slmrec", "bsam+", "office", "ndcg@5"), 0.0351),
        (("freedom", "bsam+", "clothing", "recall@5"), 0.0409),
        (("dragon", "bsam+", "clothing", "ndcg@5"), 0.0291),
        (("dragon", "bsam+", "clothing", "ndcg@10"), 0.0387),
        (("dragon", "bsam+", "pet", "recall@5"), 0.0788),
        (("dragon", "bsam+", "pet", "recall@10"), 0.1203),
    ],
)
def test_cells_that_contradict_others_are_suspect(case, value):
    model, strategy, dataset, metric = case
    assert reported(dataset, model, strategy, metric) == Reported(value, "Table II", suspect=True)


def test_no_other_cells_are_suspect():
    assert sum(row["suspect"] == "1" for row in ROWS) == 12
    assert {row["suspect"] for row in ROWS} == {"0", "1"}


def test_the_batch_size_of_table_ii_gives_the_same_cells_in_table_v():
    sizes = [row for row in ROWS if row["condition"] == "batch 2048"]
    assert len(sizes) == 144
    for row in sizes:
        usual = reported(row["dataset"], row["model"], row["strategy"], row["metric"])
        assert usual is not None
        assert usual.value == float(row["value"])


@pytest.mark.parametrize("name", ["baby", "Baby", "BABY"])
def test_the_case_of_a_data_set_does_not_matter(name):
    assert reported(name, "freedom", "plain", "recall@10") == Reported(0.0627, "Table II", suspect=False)


@pytest.mark.parametrize(
    ("case", "condition"),
    [
        (("shop", "freedom", "plain", "recall@10"), ""),
        (("baby", "vbpr", "plain", "recall@10"), ""),
        (("baby", "freedom", "mg", "recall@10"), ""),
        (("baby", "freedom", "plain", "recall@20"), ""),
        (("baby", "freedom", "plain", "recall@10"), "batch 512"),
        (("baby", "freedom", "plain", "recall@10"), "adagrad"),
        (("office", "freedom", "plain", "recall@10"), "batch 1024"),
    ],
)
def test_what_the_paper_does_not_print_is_none(case, condition):
    assert reported(*case, condition=condition) is None
