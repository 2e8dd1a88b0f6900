"""Averages of weights: their values by hand, what is monitored and kept, and going on after a kill."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from flatrec.config import Training
from flatrec.training.averaging import ASWA, EMA, SWA, make_average
from tests.strategies.problems import Quadratic
from tests.training.kills import KillAt, Killed
from tests.training.test_trainer import bits, equal, trainer_of, with_norm

KINDS = ("ema", "swa", "aswa")


class Point(nn.Module):
    """A model of one parameter with two numbers, and one that is not trained."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.fixed = nn.Parameter(torch.ones(1), requires_grad=False)

    def move(self, *values):
        self.place.data = torch.tensor(values, dtype=torch.float64)


def mean_of(average):
    return average.mean[0].tolist()


def test_ema_is_the_recursion_by_hand():
    model = Point()
    model.move(8.0, -4.0)
    average = EMA(model, 0, 0.75)
    average.on_epoch_start(1)
    model.move(4.0, 0.0)
    average.on_update()
    assert mean_of(average) == pytest.approx([7.0, -3.0], abs=1e-10)
    model.move(0.0, 1.0)
    average.on_update()
    assert mean_of(average) == pytest.approx([5.25, -2.0], abs=1e-10)


def test_ema_begins_with_the_parameters_that_the_epochs_before_it_leave():
    model = Point()
    average = EMA(model, 1, 0.5)
    average.on_epoch_start(1)
    model.move(9.0, 9.0)
    average.on_update()
    assert average.mean == []
    assert average.evaluated(1, lambda: {"a": 1.0}, {}) == {}
    average.on_epoch_start(2)
    model.move(1.0, 3.0)
    average.on_update()
    assert mean_of(average) == pytest.approx([5.0, 6.0], abs=1e-10)


def test_swa_is_the_equal_mean_of_three_epochs_by_hand():
    model = Point()
    average = SWA(model, 1)
    for epoch, values in enumerate([(100.0, 100.0), (1.0, 2.0), (3.0, -7.0), (8.0, 2.0)], start=1):
        model.move(*values)
        average.on_update()
        average.on_epoch_end(epoch)
    assert mean_of(average) == pytest.approx([4.0, -1.0], abs=1e-10)
    assert average.count == 3


def test_aswa_takes_what_makes_the_mean_better_and_leaves_the_rest():
    model = Point()
    average = ASWA(model, 0, lambda one, other: one["score"] > other["score"])
    last = {}
    script = [
        ((2.0, 0.0), 0.5, [2.0, 0.0], 0.5),  # the first ones join whatever their score
        ((4.0, 2.0), 0.4, [2.0, 0.0], 0.5),  # a worse mean is not kept
        ((6.0, 4.0), 0.5, [2.0, 0.0], 0.5),  # nor an equal one
        ((8.0, 2.0), 0.6, [5.0, 1.0], 0.6),
        ((2.0, 4.0), 0.7, [4.0, 2.0], 0.7),
    ]
    for epoch, (values, score, mean, kept) in enumerate(script, start=1):
        model.move(*values)
        last = average.evaluated(epoch, lambda score=score: {"score": score}, last)
        assert mean_of(average) == pytest.approx(mean, abs=1e-10)
        assert last == {"score": kept}
    assert average.count == 3


def test_the_mean_is_what_is_scored_and_the_parameters_come_back():
    model = Point()
    average = SWA(model, 0)
    for epoch, value in enumerate((1.0, 5.0), start=1):
        model.move(value, value)
        average.on_epoch_end(epoch)
    seen = average.evaluated(2, lambda: {"a": float(model.place.detach()[0])}, {})
    assert seen == {"a": 3.0}
    assert model.place.tolist() == [5.0, 5.0]


def test_a_state_of_another_model_is_refused():
    average = SWA(Quadratic(), 0)
    average.on_epoch_end(1)
    with pytest.raises(ValueError, match="the average belongs to another model"):
        SWA(Point(), 0).load_state(average.state())


def test_no_average_is_none():
    assert make_average(Point(), Training(), lambda *_: True) is None


class Weights:
    """Keeps a copy of the parameters after every step and every epoch, in float64."""

    def __init__(self):
        self.model, self.steps, self.epochs = None, [], []

    def _now(self):
        return [one.detach().double().clone() for one in self.model.parameters()]

    def on_start(self, *_):
        self.initial = self._now()

    def on_step(self, *_):
        self.steps.append(self._now())

    def on_epoch(self, _):
        self.epochs.append(self._now())

    def on_end(self):
        pass


def watched(**settings):
    weights = Weights()
    trainer = trainer_of(callbacks=[weights], **settings)
    weights.model = trainer.model
    trainer.run()
    return trainer, weights


def close(trainer, expected):
    found = [one.detach().double() for one in trainer.model.parameters()]
    return all(torch.allclose(a, b, rtol=0, atol=2e-6) for a, b in zip(found, expected, strict=True))


def test_averaging_trains_the_same_weights_with_no_more_gradients():
    ends = [
        watched(average=kind, select=select)[1] for kind, select in [("none", "last"), ("ema", "last"), ("swa", "best")]
    ]
    for other in ends[1:]:
        assert len(other.steps) == len(ends[0].steps)
        assert all(
            torch.equal(a, b)
            for one, two in zip(ends[0].steps, other.steps, strict=True)
            for a, b in zip(one, two, strict=True)
        )


def test_the_final_model_holds_the_mean_of_the_epochs():
    trainer, weights = watched(average="swa", average_start=2, select="last")
    assert close(trainer, [torch.stack(parts).mean(0) for parts in zip(*weights.epochs[2:], strict=True)])
    assert not close(trainer, weights.epochs[-1])


def test_the_final_model_holds_the_moving_average_over_the_steps():
    trainer, weights = watched(average="ema", average_decay=0.9, select="last")
    mean = weights.initial
    for step in weights.steps:
        mean = [0.9 * a + 0.1 * b for a, b in zip(mean, step, strict=True)]
    assert close(trainer, mean)


def test_an_average_of_decay_zero_is_the_weights_themselves():
    plain, _ = watched(average="none")
    averaged, _ = watched(average="ema", average_decay=0.0)
    assert equal(bits(plain), bits(averaged))


def test_the_average_alone_is_monitored_and_kept_and_the_raw_scores_are_recorded():
    trainer, weights = watched(average="swa", average_start=1, validate=with_norm)
    means = [torch.stack([epoch[0] for epoch in weights.epochs[1:end]]).mean(0) for end in range(2, 6)]
    records = trainer.records
    assert records[0].valid == {}
    assert records[0].raw_valid
    assert not records[0].best
    assert [record.raw_valid["recall@20"] for record in records] == [
        with_norm_of(epoch[0].float()) for epoch in weights.epochs
    ]
    scores = [record.valid["recall@20"] for record in records[1:]]
    best = scores.index(max(scores))
    assert trainer.progress.best_epoch == best + 2
    assert torch.allclose(trainer.model.nodes.detach().double(), means[best], atol=2e-6)


def with_norm_of(nodes):
    return float(nodes.sum() * 1000 % 1)


def test_aswa_rejects_by_the_scores_of_the_trainers_validation():
    # raw weights, then the mean with them, at each of four epochs; raw scores decide nothing
    scores = iter([0.9, 0.3, 0.9, 0.2, 0.9, 0.4, 0.9, 0.1])
    trainer, weights = watched(average="aswa", epochs=4, validate=lambda _: {"recall@20": next(scores)})
    assert [record.valid["recall@20"] for record in trainer.records] == [0.3, 0.3, 0.4, 0.4]
    assert [record.raw_valid["recall@20"] for record in trainer.records] == [0.9] * 4
    assert trainer.progress.best_epoch == 3
    assert close(trainer, [(a + b) / 2 for a, b in zip(weights.epochs[0], weights.epochs[2], strict=True)])


def test_aswa_knows_a_metric_of_which_less_is_better():
    scores = iter([0.0, 0.3, 0.0, 0.2, 0.0, 0.4])
    trainer = trainer_of(average="aswa", epochs=3, validate=lambda _: {"recall@20": next(scores)})
    trainer.higher_is_better = False
    trainer.run()
    assert [record.valid["recall@20"] for record in trainer.records] == [0.3, 0.2, 0.2]


@pytest.mark.parametrize("start", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_resume_after_a_kill_equals_an_uninterrupted_run(tmp_path, kind, start):
    settings = {"average": kind, "average_start": start, "average_decay": 0.9, "validate": with_norm}
    (tmp_path / "whole").mkdir()
    whole = trainer_of(folder=tmp_path / "whole", **settings)
    whole.run()
    for epoch, step in [(1, None), (2, 3), (3, None), (5, 1)]:
        folder = tmp_path / f"{epoch}-{step}"
        folder.mkdir()
        with pytest.raises(Killed):
            trainer_of(folder=folder, callbacks=[KillAt(epoch, step)], **settings).run()
        again = trainer_of(folder=folder, **settings)
        again.resume()
        again.run()
        assert equal(bits(again), bits(whole))
        assert _lines(folder) == _lines(tmp_path / "whole")
        assert (folder / "checkpoint.safetensors").read_bytes() == (
            tmp_path / "whole" / "checkpoint.safetensors"
        ).read_bytes()


def test_aswa_without_validation_is_refused():
    with pytest.raises(ValueError, match="set training.average to swa or ema"):
        Training(average="aswa", select="last")


def test_nothing_to_average_is_refused():
    with pytest.raises(ValueError, match="average_start is 5, but training.epochs is 5"):
        Training(average="ema", epochs=5, average_start=5)


def _lines(folder):
    lines = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith(("seconds", "digest"))} for line in lines]
