"""Which epoch is the best by the mean of several evaluations, and when training stops by it."""

from __future__ import annotations

import json

import pytest

from flatrec.config import Training
from flatrec.training.progress import windowed
from tests.training.kills import KillAt, Killed
from tests.training.test_trainer import bits, equal, trainer_of, with_norm

NAMES = ("recall@20", "ndcg@20")


def scripted(scores, **settings):
    one = iter(scores)
    trainer = trainer_of(validate=lambda _: dict(zip(NAMES, next(one), strict=True)), **settings)
    trainer.run()
    return trainer


def test_a_window_is_the_mean_of_the_last_evaluations():
    evaluations = [{"recall@20": 9.0, "ndcg@20": 9.0}, *({"recall@20": a, "ndcg@20": a / 2} for a in (0.1, 0.4, 0.7))]
    assert windowed(evaluations, Training(monitor_window=3)) == pytest.approx((0.4, 0.2), abs=1e-10)
    assert windowed(evaluations, Training()) == (0.7, 0.35)
    assert windowed([{"recall@20": 0.3}, evaluations[1]], Training(monitor_window=2)).tie_breaker is None


def test_the_best_epoch_is_that_of_the_best_mean():
    # means of three, from the third epoch on: 0.4, 0.3, 0.5, 0.4, 0.4
    scores = [(one, 0.0) for one in (0.9, 0.1, 0.2, 0.6, 0.7, -0.1, 0.6)]
    trainer = scripted(scores, epochs=7, monitor_window=3)
    assert trainer.progress.best_epoch == 5
    assert trainer.progress.best_score == pytest.approx(0.5, abs=1e-10)
    assert [record.best for record in trainer.records] == [False, False, True, False, True, False, False]


def test_means_that_are_equal_are_told_apart_by_the_mean_of_the_tie_breaker():
    trainer = scripted([(0.5, 0.1), (0.5, 0.2), (0.5, 0.4), (0.5, 0.1)], epochs=4, monitor_window=2)
    assert trainer.progress.best_epoch == 3
    assert trainer.progress.best_tie_breaker == pytest.approx(0.3, abs=1e-10)


def test_patience_counts_evaluations_with_enough_before_them():
    trainer = scripted([(1.0 - epoch / 10, 0.0) for epoch in range(9)], epochs=9, monitor_window=3, patience=2)
    assert (trainer.progress.epoch, trainer.progress.best_epoch) == (5, 3)


def test_training_that_ends_before_there_are_enough_evaluations_keeps_its_last_epoch():
    trainer = scripted([(0.9, 0.0), (0.1, 0.0)], epochs=2, monitor_window=5)
    assert trainer.progress.best_epoch == 2
    assert trainer.progress.best_score == pytest.approx(0.5, abs=1e-10)


def test_a_longer_run_forgets_the_best_epoch_of_too_few_evaluations(tmp_path):
    settings = {"monitor_window": 4, "validate": with_norm}
    (tmp_path / "whole").mkdir()
    whole = trainer_of(folder=tmp_path / "whole", epochs=7, **settings)
    whole.run()
    (tmp_path / "longer").mkdir()
    trainer_of(folder=tmp_path / "longer", epochs=2, **settings).run()
    longer = trainer_of(folder=tmp_path / "longer", epochs=7, **settings)
    longer.resume()
    longer.run()
    assert equal(bits(longer), bits(whole))
    assert _files(tmp_path / "longer") == _files(tmp_path / "whole")


@pytest.mark.parametrize("average", ["none", "ema"])
def test_resume_after_a_kill_equals_an_uninterrupted_run(tmp_path, average):
    settings = {"monitor_window": 3, "evaluate_every": 2, "epochs": 9, "validate": with_norm, "average": average}
    (tmp_path / "whole").mkdir()
    whole = trainer_of(folder=tmp_path / "whole", **settings)
    whole.run()
    for epoch in (1, 5, 6):
        folder = tmp_path / f"{epoch}"
        folder.mkdir()
        with pytest.raises(Killed):
            trainer_of(folder=folder, callbacks=[KillAt(epoch, None)], **settings).run()
        again = trainer_of(folder=folder, **settings)
        again.resume()
        again.run()
        assert equal(bits(again), bits(whole))
        assert _files(folder) == _files(tmp_path / "whole")


def _files(folder):
    lines = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    lines = [{key: value for key, value in line.items() if not key.endswith(("seconds", "digest"))} for line in lines]
    return lines, (folder / "checkpoint.safetensors").read_bytes()
