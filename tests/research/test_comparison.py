"""Comparing strategies over seeds."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import pytest
from scipy import stats

from flatrec.config import Component, Experiment, Training
from flatrec.research.comparison import compare, run_folder, summarize
from flatrec.testing import block_dataset

DATA = block_dataset(blocks=3, users=8, items=6)
SHARED = Experiment(
    data="blocks",
    model=Component("lightgcn", {"embedding_dim": 4}),
    strategy=Component("bsam+", {"rho": 0.2}),
    training=Training(epochs=2, batch_size=32, loggers=()),
)


def results(values):
    return {
        name: [
            {"test": {"recall@10": value, "item_coverage@10": 0.5}, "seed": seed, "model": "m", "data": {"name": "d"}}
            for seed, value in enumerate(these)
        ]
        for name, these in values.items()
    }


def test_cells_hold_mean_deviation_gain_and_corrected_p():
    plain, one, two = [0.1, 0.12, 0.11, 0.13], [0.11, 0.14, 0.12, 0.15], [0.1, 0.13, 0.1, 0.13]
    table = summarize(results({"plain": plain, "bsam": one, "bsam+": two}), {})
    cell = table.metrics["bsam"]["recall@10"]
    assert (cell.mean, cell.deviation) == (pytest.approx(fmean(one)), pytest.approx(stdev(one)))
    assert cell.paired_test.gain == pytest.approx(fmean(one) / fmean(plain) - 1)
    p = [stats.ttest_rel(these, plain).pvalue for these in (one, two)]
    assert cell.paired_test.t_p == pytest.approx(p[0])
    assert cell.t_p_holm == pytest.approx(2 * p[0])
    assert table.metrics["bsam+"]["recall@10"].t_p_holm == pytest.approx(max(2 * p[0], p[1]))
    assert table.metrics["bsam"]["item_coverage@10"].paired_test is None
    assert table.metrics["plain"]["recall@10"].paired_test is None


def test_one_seed_has_no_p_and_is_json_all_the_same():
    table = summarize(results({"plain": [0.1], "bsam": [0.2]}), {})
    cell = table.metrics["bsam"]["recall@10"]
    assert (cell.deviation, cell.t_p_holm, cell.paired_test.gain) == (0.0, None, pytest.approx(1.0))
    assert json.loads(json.dumps(table.as_dict(), allow_nan=False))["number_of_seeds"] == 1


def test_a_comparison_trains_each_strategy_with_each_seed_and_takes_up_what_is_there(tmp_path):
    trained = []

    def heard(strategy, seed):
        class Callback:
            def on_start(self, *_):
                trained.append((strategy, seed))

            def on_step(self, *_):
                pass

            on_epoch = on_step

            def on_end(self):
                pass

        return [Callback()]

    arguments = {"out": tmp_path, "dataset": DATA, "callbacks": heard}
    first = compare(SHARED, ["plain", "bsam+"], range(2), **arguments)
    assert sorted(trained) == [("bsam+", 0), ("bsam+", 1), ("plain", 0), ("plain", 1)]
    (run_folder(tmp_path, "plain", 1) / "result.json").unlink()
    trained.clear()
    again = compare(SHARED, ["plain", "bsam+", "sam"], range(2), **arguments)
    assert trained == [("sam", 0), ("plain", 1), ("sam", 1)]
    assert again.metrics["bsam+"]["recall@10"].values == first.metrics["bsam+"]["recall@10"].values
    assert again.metrics["plain"]["recall@10"].values == first.metrics["plain"]["recall@10"].values
    written = json.loads((tmp_path / "compare.json").read_text())
    assert set(written["strategies"]) == {"plain", "bsam+", "sam"}
    assert written["strategies"]["sam"]["recall@10"]["runs"] == 2


def test_a_constant_difference_has_every_key_and_no_t_test():
    table = summarize(results({"plain": [0.1, 0.2], "bsam": [0.2, 0.3]}), {})
    cell = table.as_dict()["strategies"]["bsam"]["recall@10"]
    assert (cell["t_p"], cell["t_p_holm"]) == (None, None)
    assert cell["wilcoxon_p_holm"] == cell["wilcoxon_p"] == 0.5


def test_overwriting_clears_every_run_first_so_that_an_interrupted_comparison_goes_on(tmp_path):
    compare(SHARED, ["plain", "sam"], [0], tmp_path, dataset=DATA)
    longer = SHARED.replace(training=SHARED.training.replace(epochs=3, patience=1))

    def stop(strategy, _):
        if strategy == "sam":
            raise KeyboardInterrupt
        return ()

    with pytest.raises(KeyboardInterrupt):
        compare(longer, ["plain", "sam"], [0], tmp_path, dataset=DATA, overwrite=True, callbacks=stop)
    assert not (tmp_path / "compare.json").exists()
    table = compare(longer, ["plain", "sam"], [0], tmp_path, dataset=DATA)
    assert set(table.metrics) == {"plain", "sam"}


def test_settings_go_to_the_strategies_that_know_them(tmp_path):
    table = compare(SHARED, ["plain", "bsam+"], [4], tmp_path, dataset=DATA)
    text = (table.runs["bsam+"][0] / "experiment.toml").read_text()
    assert "rho = 0.2" in text
    assert "rho" not in (table.runs["plain"][0] / "experiment.toml").read_text()


def test_a_setting_that_no_strategy_knows_is_refused(tmp_path):
    shared = SHARED.replace(strategy=Component("bsam+", {"rhoo": 0.2}))
    with pytest.raises(ValueError, match="rhoo"):
        compare(shared, ["plain", "bsam+"], [0], tmp_path / "out", dataset=DATA)


def test_more_epochs_train_on_instead_of_taking_up_the_shorter_result(tmp_path):
    compare(SHARED, ["plain", "sam"], [0], tmp_path, dataset=DATA)
    longer = SHARED.replace(training=SHARED.training.replace(epochs=3))
    table = compare(longer, ["plain", "sam"], [0], tmp_path, dataset=DATA)
    assert json.loads((table.runs["sam"][0] / "result.json").read_text())["epochs"] == 3


@pytest.mark.parametrize(
    ("strategies", "seeds", "message"),
    [
        (["plain"], [0], "two different strategies"),
        (["plain", "plain"], [0], "two different strategies"),
        (["plain", "bsma"], [0], "did you mean bsam"),
        (["plain", "bsam", "smm"], [0], "unknown strategy"),
        (["plain", "bsam"], [], "seeds"),
        (["plain", "bsam"], [1, 1], "seeds"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(tmp_path, strategies, seeds, message):
    with pytest.raises(ValueError, match=message):
        compare(SHARED, strategies, seeds, tmp_path / "out", dataset=DATA)
    assert not (tmp_path / "out").exists()
