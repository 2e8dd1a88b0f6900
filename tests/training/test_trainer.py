"""The epoch loop: stopping, choosing the best, giving steps up, going on after a kill."""

from __future__ import annotations

import json

import pytest
import torch

from flatrec.config import Component, Training
from flatrec.models import BPR, FREEDOM, LightGCN
from flatrec.registry.instantiate import build_strategy
from flatrec.sampling.sampler import Sampler
from flatrec.testing import block_dataset
from flatrec.training import DivergedError, Trainer, optimizers
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from tests.training.kills import KillAt, Killed

pytestmark = pytest.mark.repeats

DATA = block_dataset(blocks=3, users=8, items=6)


def trainer_of(
    *, model=FREEDOM, strategy="bsam+", folder=None, callbacks=(), validate=None, optimizer="adam", seed=3, **settings
):
    with torch.random.fork_rng():
        torch.manual_seed(seeding.derive_seed(seed, "initial parameters"))
        made = model(DATA, model.Config(embedding_dim=4))
    context = TrainStepContext(
        made, optimizers.make(optimizer, made.parameters(), optimizers.settings(optimizer, {"lr": 0.05}))
    )
    scores = iter(range(1000))
    return Trainer(
        context,
        build_strategy(Component(strategy, {})),
        Sampler(DATA.interactions, 16),
        validate or (lambda _: {"recall@20": float(next(scores))}),
        settings=Training(**{"epochs": 5, "batch_size": 16, **settings}),
        seed=seed,
        folder=folder,
        callbacks=callbacks,
    )


def bits(trainer):
    return {name: one.clone() for name, one in trainer.model.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def with_norm(model):
    """A validation score that goes up and down with the parameters."""
    return {"recall@20": float(model.nodes.detach().sum() * 1000 % 1)}


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    ends = []
    for seed in (3, 3, 4):
        trainer = trainer_of(seed=seed)
        trainer.run()
        ends.append(bits(trainer))
    assert equal(ends[0], ends[1])
    assert not equal(ends[0], ends[2])


@pytest.mark.parametrize(
    ("strategy", "optimizer"),
    [
        *((name, "adam") for name in ("plain", "plain+", "sam", "sam+", "bsam", "bsam+")),
        *(("bsam+", name) for name in ("sgd", "rmsprop", "adagrad")),
    ],
)
def test_resume_after_a_kill_at_any_epoch_equals_an_uninterrupted_run(tmp_path, strategy, optimizer):
    settings = {"strategy": strategy, "optimizer": optimizer, "validate": with_norm}
    whole = trainer_of(folder=_made(tmp_path / "whole"), **settings)
    trained = whole.run()
    everywhere = [(1, 2), (2, None), (3, 4), (4, 1), (5, None)]
    for epoch, step in everywhere if (strategy, optimizer) == ("bsam+", "adam") else [(2, None), (4, 1)]:
        folder = _made(tmp_path / f"{epoch}-{step}")
        with pytest.raises(Killed):
            trainer_of(folder=folder, callbacks=[KillAt(epoch, step)], **settings).run()
        again = trainer_of(folder=folder, **settings)
        again.resume()
        resumed = again.run()
        assert equal(bits(again), bits(whole))
        assert (resumed.epochs, resumed.best_epoch) == (trained.epochs, trained.best_epoch)
        assert _stable(folder) == _stable(tmp_path / "whole")
        assert _tensors(folder) == _tensors(tmp_path / "whole")


def test_resume_twice_and_from_sparse_checkpoints_equals_an_uninterrupted_run(tmp_path):
    settings = {"validate": with_norm, "epochs": 7, "checkpoint_every": 3, "evaluate_every": 2}
    whole = trainer_of(folder=_made(tmp_path / "whole"), **settings)
    whole.run()
    folder = _made(tmp_path / "killed")
    for epoch in (2, 5):
        killed = trainer_of(folder=folder, callbacks=[KillAt(epoch, 3)], **settings)
        killed.resume()
        with pytest.raises(Killed):
            killed.run()
    again = trainer_of(folder=folder, **settings)
    again.resume()
    again.run()
    assert equal(bits(again), bits(whole))
    assert _stable(folder) == _stable(tmp_path / "whole")


def test_a_kill_while_the_checkpoint_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    whole = trainer_of(folder=_made(tmp_path / "whole"), validate=with_norm)
    whole.run()
    folder = _made(tmp_path / "killed")
    killed = trainer_of(folder=folder, validate=with_norm)
    from flatrec.training import checkpoint

    real, count = checkpoint.save_file, iter(range(100))

    def save_half(tensors, path, metadata):
        real(tensors, path, metadata=metadata)
        if next(count) == 3:
            path.write_bytes(path.read_bytes()[:100])
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save_file", save_half)
        with pytest.raises(Killed):
            killed.run()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    again = trainer_of(folder=folder, validate=with_norm)
    again.resume()
    again.run()
    assert equal(bits(again), bits(whole))


def test_training_stops_after_patience_and_keeps_the_best_parameters():
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.1, 0.9])
    kept = []

    def validate(model):
        kept.append(model.nodes.detach().clone())
        return {"recall@20": next(scores)}

    trainer = trainer_of(model=LightGCN, strategy="plain", validate=validate, epochs=50, patience=3)
    trained = trainer.run()
    assert (trained.epochs, trained.best_epoch) == (5, 2)
    assert torch.equal(trainer.model.nodes, kept[1])
    assert not trainer.model.training
    assert [record.best for record in trained.records] == [False, True, False, False, False] or trained.records[0].best


def test_lower_scores_are_better_where_the_monitor_says_so():
    scores = iter([(0.3, 0.1), (0.1, 0.1), (0.1, 0.2), (0.2, 0.9), (0.1, 0.2), (0.4, 0.0)])
    names = ("recall@20", "ndcg@20")  # NDCG still breaks ties, and more of it is better
    trainer = trainer_of(validate=lambda _: dict(zip(names, next(scores), strict=True)), epochs=50, patience=3)
    trainer.higher_is_better = False
    trained = trainer.run()
    assert (trained.epochs, trained.best_epoch) == (6, 3)
    assert [record.best for record in trained.records] == [True, True, True, False, False, False]


def test_a_finished_run_that_is_resumed_trains_no_further(tmp_path):
    first = trainer_of(folder=tmp_path, validate=lambda _: {"recall@20": 0.5}, epochs=50, patience=2)
    first.run()
    second = trainer_of(folder=tmp_path, epochs=50, patience=2)
    second.resume()
    assert second.run().epochs == 3
    assert equal(bits(first), bits(second))


def test_more_epochs_can_be_asked_for_on_resume(tmp_path):
    whole = trainer_of(epochs=6, validate=with_norm)
    whole.run()
    trainer_of(folder=tmp_path, epochs=3, validate=with_norm).run()
    longer = trainer_of(folder=tmp_path, epochs=6, validate=with_norm)
    longer.resume()
    assert longer.run().epochs == 6
    assert equal(bits(longer), bits(whole))


def test_the_last_epoch_is_evaluated_even_when_it_is_not_its_turn():
    trained = trainer_of(epochs=5, evaluate_every=3).run()
    assert [bool(record.valid) for record in trained.records] == [False, False, True, False, True]


def test_observers_hear_of_start_epochs_and_end():
    callback = KillAt()
    trainer_of(epochs=2, callbacks=[callback]).run()
    steps = -(-DATA.interactions.count("train") // 16)
    assert callback.heard == [("start", 1, 2, steps), ("epoch", 1), ("epoch", 2), ("end",)]


def test_observers_hear_of_the_end_after_an_error_too():
    callback = KillAt(epoch=1)
    with pytest.raises(Killed):
        trainer_of(callbacks=[callback]).run()
    assert callback.heard[-1] == ("end",)


def test_records_are_finite_and_hold_the_diagnostics(tmp_path):
    trainer_of(folder=tmp_path, epochs=2).run()
    lines = [json.loads(line) for line in (tmp_path / "epochs.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert set(lines[0]["diagnostics"]) == {"distance", "cos(g1, m)", "cos(eps, g1)"}
    assert all(line["loss"] > 0 and line["train_seconds"] > 0 and line["skipped"] == 0 for line in lines)


class Poisoned(BPR):
    """Loses its mind at chosen steps."""

    bad = ()
    calls = 0

    def loss(self, encoded, batch):
        type(self).calls += 1
        return super().loss(encoded, batch) * (float("nan") if type(self).calls in type(self).bad else 1)


def poisoned(bad):
    return type("PoisonedAt", (Poisoned,), {"bad": set(bad), "calls": 0})


def test_steps_that_are_not_finite_are_skipped_and_counted(caplog):
    trained = trainer_of(model=poisoned(range(3, 6)), strategy="plain", epochs=2).run()
    assert [record.skipped for record in trained.records] == [3, 0]
    assert "skipped" in caplog.text


def test_a_skipped_step_changes_nothing():
    steps = -(-DATA.interactions.count("train") // 16)
    trainer = trainer_of(model=poisoned(range(2, steps + 1)), strategy="plain", epochs=1, optimizer="sgd")
    reference = trainer_of(model=poisoned(()), strategy="plain", epochs=1, optimizer="sgd")
    stream = seeding.generator(3, "batches", 1)
    ((batch,), *_) = list(reference.sampler.epoch(stream))
    reference.strategy.step(reference.context, batch)
    trainer.run()
    assert torch.equal(trainer.model.nodes, reference.model.nodes)


def test_a_second_pass_that_is_not_finite_restores_the_parameters():
    trainer = trainer_of(model=poisoned([2]), strategy="sam", epochs=1)
    before = trainer.model.nodes.detach().clone()
    batches = next(iter(trainer.sampler.epoch(seeding.generator(0, "batches"))))
    with pytest.raises(ArithmeticError):
        trainer.strategy.step(trainer.context, *batches)
    assert torch.equal(trainer.model.nodes, before)


def test_ten_in_a_row_stop_the_run_and_keep_the_last_checkpoint(tmp_path):
    steps = -(-DATA.interactions.count("train") // 16)
    bad = range(steps + 2, 1000)  # all but the first step of the second epoch, and those of the third
    trainer = trainer_of(model=poisoned(bad), strategy="plain", folder=tmp_path, epochs=50)
    with pytest.raises(
        DivergedError, match="epoch 3: 10 steps in a row .*the last checkpoint is kept; lower optimizer"
    ):
        trainer.run()
    again = trainer_of(model=poisoned(()), strategy="plain", folder=tmp_path, epochs=50)
    again.resume()
    assert (again.progress.epoch, again.progress.best_epoch) == (2, 2)
    assert all(one.isfinite().all() for one in again.model.parameters())


def test_nine_in_a_row_do_not():
    trainer_of(model=poisoned(range(2, 11)), strategy="plain", epochs=2).run()


def test_an_epoch_without_a_step_that_succeeds_ends_the_run(tmp_path):
    trainer = trainer_of(model=poisoned(range(7, 1000)), strategy="plain", folder=tmp_path, epochs=3)
    assert trainer.steps == 6
    with pytest.raises(DivergedError, match=r"epoch 2: no step had a finite .* \(6 skipped\); the last checkpoint is"):
        trainer.run()
    assert [json.loads(line)["epoch"] for line in (tmp_path / "epochs.jsonl").read_text().splitlines()] == [1]


@pytest.mark.parametrize(("bad", "ends"), [(range(2, 3), "well"), (range(3, 4), "well"), (range(1, 4), "diverged")])
def test_epochs_of_one_step_may_be_lost_but_not_all_of_them(bad, ends):
    trainer = trainer_of(model=poisoned(bad), strategy="plain", epochs=3)
    trainer.sampler = Sampler(DATA.interactions, 1024)
    trainer.steps = 1
    if ends == "well":
        assert sum(record.skipped for record in trainer.run().records) == 1
    else:
        with pytest.raises(DivergedError, match=r"epoch 3: no step had a finite loss or gradient \(1 skipped\)"):
            trainer.run()


def test_epochs_of_equal_score_are_told_apart_by_ndcg_at_the_same_k():
    scores = iter(
        [(0.5, 0.1, 0.9), (0.5, 0.3, 0.1), (0.4, 0.9, 0.9), (0.5, 0.3, 0.9), (0.5, 0.2, 0.9), (0.5, 0.2, 0.9)]
    )
    names = ("recall@20", "ndcg@20", "ndcg@10")
    trainer = trainer_of(validate=lambda _: dict(zip(names, next(scores), strict=True)), epochs=50, patience=3)
    trained = trainer.run()
    assert (trained.best_epoch, trained.epochs) == (2, 5)  # epoch 2 begins the count of patience again
    assert [record.monitor for record in trained.records] == ["recall@20"] * 5


def test_a_tie_breaker_travels_in_the_checkpoint(tmp_path):
    def validate(model):
        return {"recall@20": 0.5, "ndcg@20": float(model.nodes.detach().sum() * 1000 % 1)}

    settings = {"validate": validate, "epochs": 6}
    whole = trainer_of(folder=_made(tmp_path / "whole"), **settings)
    best = whole.run().best_epoch
    scores = [record.valid["ndcg@20"] for record in whole.records]
    assert best == 1 + scores.index(max(scores))
    for epoch in range(1, 6):
        folder = _made(tmp_path / f"{epoch}")
        with pytest.raises(Killed):
            trainer_of(folder=folder, callbacks=[KillAt(epoch, None)], **settings).run()
        again = trainer_of(folder=folder, **settings)
        again.resume()
        assert again.run().best_epoch == best
        assert _tensors(folder) == _tensors(tmp_path / "whole")


@pytest.mark.parametrize("validated", [True, False])
def test_the_last_epoch_is_kept_where_it_is_selected(tmp_path, validated):
    falling = iter(range(100, 0, -1))
    validate = (lambda _: {"recall@20": float(next(falling))}) if validated else None
    settings = {"select": "last", "patience": 1}
    trainer = trainer_of(folder=tmp_path, epochs=5, **settings)
    trainer.validate = validate
    trained = trainer.run()
    assert (trained.epochs, trained.best_epoch) == (5, 5)
    assert [bool(record.valid) for record in trained.records] == [validated] * 5
    whole = trainer_of(epochs=7, **settings)
    whole.run()
    longer = trainer_of(folder=tmp_path, epochs=7, **settings)
    longer.resume()
    assert longer.run().best_epoch == 7
    assert equal(bits(longer), bits(whole))
    assert not equal(bits(longer), bits(trainer))


def test_the_best_epoch_cannot_be_selected_without_validation():
    trainer = trainer_of()
    with pytest.raises(ValueError, match="set training.select to last"):
        Trainer(trainer.context, trainer.strategy, trainer.sampler, None, settings=Training(), seed=0)


def test_a_run_goes_on_on_its_kind_of_device_only(tmp_path, monkeypatch):
    trainer_of(folder=tmp_path, epochs=2).run()
    assert json.loads((tmp_path / "checkpoint.json").read_text())["device"] == "cpu"
    monkeypatch.setattr("flatrec.utils.provenance.device_name", lambda _: "cuda:1")
    with pytest.raises(ValueError, match="was trained on cpu so far, and cannot go on on cuda:1 bit for bit"):
        trainer_of(folder=tmp_path, epochs=3).resume()
    trainer_of(folder=tmp_path, epochs=2).resume()  # finished, so nothing is computed


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    trainer_of(folder=tmp_path, epochs=1).run()
    with pytest.raises(ValueError, match="another model or other data"):
        trainer_of(folder=tmp_path, model=BPR).resume()


def test_the_random_state_of_the_caller_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    trainer_of(epochs=1).run()
    assert torch.equal(torch.get_rng_state(), before)


def _made(folder):
    folder.mkdir()
    return folder


def _stable(folder):
    """The records without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith(("seconds", "digest"))} for line in lines]


def _tensors(folder):
    return (folder / "checkpoint.safetensors").read_bytes()
