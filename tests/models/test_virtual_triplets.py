"""MDVT around every model: the reference numbers, the formula, when it begins, and whole runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec import testing
from flatrec.api import load_run, run_experiment
from flatrec.config import AMR, MDVT, Component, Experiment, Training, read
from flatrec.data.formats import mmrec
from flatrec.models import MODELS, VBPR, Adversarial, VirtualTriplets
from flatrec.models.virtual_triplets import WarmUp, nearest_and_farthest
from flatrec.registry.instantiate import build_strategy
from flatrec.runs.run_dir import identity
from flatrec.training.embedding_context import EmbeddingStepContext, perturbing
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding
from tests.models.reference import test_freedom, test_vbpr
from tests.models.reference.stored import ABSENT, FOLDER, GRAPH, Case, close
from tests.models.settings import make
from tests.training.kills import KillAt, Killed

DATA = testing.block_dataset()
WEIGHT, K = 0.3, 3
NEAR = {"rtol": 1e-9, "atol": 1e-10}
SHORT = Training(epochs=4, batch_size=32, loggers=())
FILES = sorted(FOLDER.glob("*/mdvt_*.npz"))
ADAPTERS = {"freedom": test_freedom.ADAPTER, "vbpr": test_vbpr.ADAPTER}


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


def begun(name, **options):
    """A model in the first step of its first epoch."""
    model = make(name, DATA, **options)
    model.on_epoch_start(seeding.generator(0, "model", 1))
    return model.train()


def loss_of(model, batch, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return model.loss(model.encode(), batch)


def gradient_of(loss, model):
    return torch.autograd.grad(loss, [*model.parameters()], materialize_grads=True)


class TestReference:
    """Numbers of the release, which never trains FREEDOM's pruned graph here."""

    @pytest.fixture(params=[pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in FILES] or [ABSENT])
    def case(self, request):
        return Case(request.param, ADAPTERS[request.param.stem.removeprefix("mdvt_")])

    @pytest.fixture
    def wrapped(self, case):
        return VirtualTriplets(case.model.train(), weight=case.settings["s_weight"], k=case.settings["k"])

    def test_graphs(self, case):
        ours = case.adapter.graphs(case)
        for name in {key.split("/")[1] for key in case.there if key.startswith("graph/")}:
            np.testing.assert_allclose(ours[name].toarray(), case.matrix(name), rtol=0, atol=GRAPH, err_msg=name)

    def test_representations_in_training(self, case, wrapped):
        users, items = wrapped.user_item_embeddings(wrapped.encode())
        close(users, case.there["out/user"], 5e-6)
        close(items, case.there["out/item"], 5e-6)
        close(users @ items.T, case.there["out/scores"], 1e-5)

    def test_choices(self, case, wrapped):
        encoded = wrapped.encode()
        users, items = (torch.from_numpy(case.there[f"out/{side}"]) for side in ("user", "item"))
        scores = users @ items.T
        assert (encoded.positives.numpy() == case.there["mid/virtual_pos"]).all()
        assert (encoded.negatives.numpy() == case.there["mid/virtual_neg"]).all()
        means = [scores.gather(1, chosen).mean(dim=1) for chosen in (encoded.positives, encoded.negatives)]
        close(means[0] - means[1], case.there["mid/virtual_margin"], 1e-5)

    def test_losses(self, case, wrapped):
        encoded = wrapped.encode()
        terms = wrapped.loss_terms(encoded, case.batch)
        ours = {"base": terms["base"], "virtual_log2": terms["virtual"], "total": wrapped.loss(encoded, case.batch)}
        assert {key.removeprefix("loss/") for key in case.there if key.startswith("loss/")} == set(ours)
        for name, value in ours.items():
            assert value.item() == pytest.approx(float(case.there[f"loss/{name}"]), rel=1e-6), name

    @pytest.mark.parametrize("prefix", ["", "off/"])
    def test_gradients(self, case, wrapped, prefix):
        if prefix:  # before the switch
            wrapped.warm_up = WarmUp(start_epoch=1)
            wrapped.begin_epoch([])
        loss = loss_of(wrapped, case.batch)
        assert loss.item() == pytest.approx(float(case.there[f"{prefix}loss/total"]), rel=1e-6)
        names = [name for name, _ in case.model.named_parameters()]
        gradients = dict(zip(names, gradient_of(loss, case.model), strict=True))
        compared = set()
        for theirs, place in case.places.items():
            ours, there = place.of(gradients).numpy(), case.there[f"{prefix}grad/{theirs}"]
            error = np.linalg.norm(ours - there) / max(1e-3, np.linalg.norm(there))
            assert error <= 1e-4, theirs
            compared.add(theirs)
        there = {key.removeprefix(f"{prefix}grad/") for key in case.there if key.startswith(f"{prefix}grad/")}
        assert there - compared == case.adapter.cancelling

    @pytest.mark.skipif(not FILES, reason="no reference numbers")
    def test_first_epochs(self):
        (path,) = [path for path in FILES if path.stem == "mdvt_vbpr"]
        with np.load(path) as there:
            curves = there["input/epoch_loss"].astype(float).tolist()
            for row, losses in enumerate(curves):
                for column, threshold in enumerate(there["input/dynamic_threshold"].tolist()):
                    rule = WarmUp(start_epoch=4, threshold=threshold)
                    assert first_epoch(rule, losses) == there["mid/dynamic_first_epoch"][row, column]
                for column, warm_up in enumerate(there["input/static_warm_up"].tolist()):
                    rule = WarmUp(start_epoch=warm_up + 1)
                    assert first_epoch(rule, losses) == there["mid/static_first_epoch"][row, column]


def first_epoch(rule, losses):
    """The first epoch with virtual triplets of those whose losses these are, from 0; -1 if there is none."""
    flags = [rule.is_over(losses[:epoch]) for epoch in range(len(losses))]
    assert flags == sorted(flags)  # once on, it stays on
    return flags.index(True) if True in flags else -1


def by_hand(model, batch):
    """Loss and gradient of the formula from one matrix of all cosines; the model's losses differ by noise alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoded = model.encode()
        base = model.loss(encoded, batch)
    users, items = model.user_item_embeddings(encoded)
    cosines = (users / users.norm(dim=1, keepdim=True)) @ (items / items.norm(dim=1, keepdim=True)).T
    order = cosines.argsort(dim=1, descending=True)
    scores = (users @ items.T).gather(1, order)
    margins = scores[:, :K].mean(dim=1) - scores[:, -K:].mean(dim=1)
    loss = (1 - WEIGHT) * base - WEIGHT * torch.log2(torch.sigmoid(margins)).mean()
    return loss, gradient_of(loss, model)


def test_the_loss_and_its_gradient_are_those_of_the_formula(name):
    # The search for neighbors in LATTICE is in single precision.
    model, near = (begun(name), {"rtol": 1e-4, "atol": 1e-6}) if name == "lattice" else (begun(name).double(), NEAR)
    batch = testing.whole_batch(DATA)
    expected, gradients = by_hand(model, batch)
    loss = loss_of(VirtualTriplets(model, weight=WEIGHT, k=K), batch)
    torch.testing.assert_close(loss, expected, **near)
    for one, other in zip(gradient_of(loss, model), gradients, strict=True):
        torch.testing.assert_close(one, other, **near)


def test_a_loss_is_pure_and_shares_what_is_encoded(name):
    wrapped = VirtualTriplets(begun(name), weight=WEIGHT, k=K)
    batch = testing.whole_batch(DATA)
    testing.check_pure(wrapped, batch)
    testing.check_registered(wrapped, batch)
    testing.check_gradients(wrapped, batch)
    testing.check_shared_encode(wrapped, batch)


@pytest.mark.parametrize("strategy", ["plain", "sam", "bsam", "bsam+", "mg"])
def test_steps_lower_the_loss_and_move_every_parameter(name, strategy):
    model = begun(name)
    wrapped, batch = VirtualTriplets(model, weight=WEIGHT, k=K), testing.whole_batch(DATA)
    step = build_strategy(Component(strategy, {} if strategy in ("plain", "mg") else {"rho": 0.01}))
    before, start = loss_of(wrapped, batch), [one.detach().clone() for one in model.parameters()]
    context = TrainStepContext(model, torch.optim.Adam(model.parameters(), lr=1e-3), objective=wrapped)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(4):
            step.step(context, *[batch] * step.batches_per_step)
    assert loss_of(wrapped, batch) < before
    assert all(one.isfinite().all() for one in model.parameters())
    assert not any(torch.equal(one, old) for one, old in zip(model.parameters(), start, strict=True))


class TestChoice:
    def tables(self, dtype=torch.float32):
        generator = torch.Generator().manual_seed(0)
        return (torch.randn(n, 5, generator=generator).to(dtype) for n in (37, 90))

    @pytest.mark.parametrize("k", [1, 4, 90])
    @pytest.mark.parametrize("block", [1, 1000, 10**6])
    def test_blocks_choose_as_the_whole_matrix_does(self, k, block, monkeypatch):
        monkeypatch.setattr("flatrec.models.virtual_triplets.BLOCK_COSINES", block)
        users, items = self.tables()
        cosines = torch.cosine_similarity(users[:, None], items[None], dim=2)
        nearest, farthest = nearest_and_farthest(users, items, k)
        assert torch.equal(nearest, cosines.argsort(dim=1, descending=True)[:, :k])
        assert torch.equal(farthest, cosines.argsort(dim=1)[:, :k])

    def test_lengths_do_not_matter_and_rows_of_zeros_give_no_nan(self):
        users, items = self.tables()
        users[3], items[5] = 0, 0
        longer = nearest_and_farthest(users * 1e6, items * torch.rand(90, 1).add(0.1), 2)
        expected = nearest_and_farthest(users, items, 2)
        others = torch.arange(37) != 3
        assert all(torch.equal(one[others], other[others]) for one, other in zip(longer, expected, strict=True))
        model = begun("bpr")
        model.nodes.data.zero_()
        loss = loss_of(VirtualTriplets(model, weight=1.0, k=2), testing.whole_batch(DATA))
        assert all(one.isfinite().all() for one in gradient_of(loss, model))

    def test_a_margin_far_below_zero_is_finite(self):
        model = begun("bpr")
        wrapped = VirtualTriplets(model, weight=0.5, k=1)
        encoded = wrapped.encode()
        nodes = encoded.node_embeddings * 1e5
        far = replace(encoded, node_embeddings=nodes, positives=encoded.negatives, negatives=encoded.positives)
        assert wrapped.loss(far, testing.whole_batch(DATA)).isfinite()

    @pytest.mark.parametrize(("strategy", "target", "choices"), [
        ("plain+", "parameters", 1), ("bsam+", "parameters", 2), ("bsam+", "embeddings", 1), ("helen", "embeddings", 1),
    ])  # fmt: skip
    def test_it_is_made_once_per_encode(self, strategy, target, choices, monkeypatch):
        calls = []
        monkeypatch.setattr(
            "flatrec.models.virtual_triplets.nearest_and_farthest",
            lambda *given: calls.append(0) or nearest_and_farthest(*given),
        )
        model = begun("lightgcn")
        wrapped = VirtualTriplets(model, weight=WEIGHT, k=K)
        inner = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.1), objective=wrapped)
        context, step = perturbing(inner, target), build_strategy(Component(strategy, {}))
        calls.clear()
        with torch.random.fork_rng():
            step.step(context, *[testing.whole_batch(DATA)] * step.batches_per_step)
        assert len(calls) == choices


def test_perturbed_embeddings_take_the_same_step_where_nothing_is_perturbed(name):
    ends = []
    for target in ("parameters", "embeddings"):
        model = begun(name)
        model = model if name == "lattice" else model.double()
        wrapped = VirtualTriplets(model, weight=WEIGHT, k=K)
        context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.1), objective=wrapped)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            build_strategy(Component("plain")).step(perturbing(context, target), testing.whole_batch(DATA))
        ends.append(torch.cat([one.detach().flatten() for one in model.parameters()]))
    torch.testing.assert_close(*ends, rtol=0, atol=1e-6 if name == "lattice" else 1e-10)


def test_the_plain_part_reads_what_a_context_puts_in_place_of_the_embeddings():
    wrapped, batch = VirtualTriplets(begun("bpr"), weight=WEIGHT, k=K), testing.whole_batch(DATA)
    encoded = wrapped.encode()
    moved = replace(encoded, node_embeddings=2 * encoded.node_embeddings)
    plain = wrapped.model.encode()
    expected = wrapped.model.loss(replace(plain, node_embeddings=moved.node_embeddings), batch)
    assert torch.equal(wrapped.loss_terms(moved, batch)["base"], expected)
    assert not torch.equal(expected, wrapped.model.loss(plain, batch))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_comes_near(precision):
    model = begun("freedom")
    wrapped, optimizer = VirtualTriplets(model, weight=WEIGHT, k=K), torch.optim.SGD(model.parameters(), lr=0.1)
    batch = testing.whole_batch(DATA)
    losses = []
    for given in ("float32", precision):
        with torch.random.fork_rng():
            (loss,), _ = TrainStepContext(model, optimizer, objective=wrapped, precision=given).gradients(batch)
        losses.append(loss)
    torch.testing.assert_close(losses[1], losses[0], rtol=0.02, atol=0)


def test_around_amr_it_mixes_the_loss_under_noise_too():
    model, batch = begun("vbpr").double(), testing.whole_batch(DATA)
    attacked = Adversarial(model, epsilon=0.3, weight=0.7)
    inner = loss_of(attacked, batch)
    both = VirtualTriplets(attacked, weight=WEIGHT, k=K)
    encoded = both.encode()
    virtual = both.loss_terms(encoded, batch)["virtual"]
    torch.testing.assert_close(both.loss(encoded, batch), (1 - WEIGHT) * inner + WEIGHT * virtual, **NEAR)
    with pytest.raises(ValueError, match=r"perturb_target is embeddings, which training.amr does not go with"):
        EmbeddingStepContext(TrainStepContext(model, torch.optim.SGD(model.parameters()), objective=both))


class TestWarmUp:
    def test_until_it_is_over_the_loss_is_the_model_s_to_the_bit(self, name):
        model, batch = begun(name), testing.whole_batch(DATA)
        wrapped = VirtualTriplets(model, weight=WEIGHT, k=K, warm_up=WarmUp(start_epoch=2))
        plain = loss_of(model, batch)
        wrapped.begin_epoch([1.0])
        assert torch.equal(loss_of(wrapped, batch), plain)
        wrapped.begin_epoch([1.0, 0.9])
        assert not torch.equal(loss_of(wrapped, batch), plain)

    @pytest.mark.parametrize(
        ("losses", "first"),
        [
            ([9.0, 8.0, 7.0, 6.9, 3.0, 2.95, 1.0], 4),  # (7.0 - 6.9) / 6.9 is below a tenth
            ([9.0, 8.9, 8.8, 8.0, 8.0, 1.0, 0.1], 5),  # (8.8 - 8.0) / 8.0 is above the threshold, then comes 0
            ([9.0, 9.0, 9.0, 5.0, 3.0, 2.0, 1.0], -1),  # flat too early
            ([9.0, 7.0, None, 5.0, 4.9, 2.0, 1.0], 5),  # an epoch without a loss has no trend
            ([1.0, 0.1, 0.1, -1.0, -2.0, -2.1, -4.0], 6),  # (-2.0 + 2.1) / 2.1
        ],
    )
    def test_dynamic(self, losses, first):
        assert first_epoch(WarmUp(start_epoch=4, threshold=0.0999999), losses) == first

    def test_two_epochs_are_the_fewest_that_show_a_trend(self):
        assert first_epoch(WarmUp(start_epoch=0, threshold=0.5), [1.0, 1.0, 1.0]) == 2
        assert first_epoch(WarmUp(start_epoch=0), [1.0, 1.0, 1.0]) == 0

    def test_what_was_encoded_before_is_refused(self):
        wrapped = VirtualTriplets(begun("bpr"), weight=WEIGHT, warm_up=WarmUp(start_epoch=1))
        encoded = wrapped.encode()
        wrapped.begin_epoch([1.0])
        with pytest.raises(TypeError, match="got Encoded; encode again"):
            wrapped.loss(encoded, testing.whole_batch(DATA))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": 0.0}, "weight must be above 0 and at most 1, but is 0.0"),
        ({"weight": float("nan")}, "weight must be above 0"),
        ({"weight": 0.1, "k": 0}, r"k must lie in \[1, 24\], the number of items, but is 0"),
        ({"weight": 0.1, "k": 25}, r"k must lie in \[1, 24\], the number of items, but is 25"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        VirtualTriplets(make("bpr", DATA), **settings)


class TestRuns:
    @pytest.fixture
    def experiment(self, tmp_path):
        mmrec.write(testing.block_dataset(users=8, items=6), tmp_path / "blocks")
        training = SHORT.replace(mdvt=MDVT(weight=0.5, k=2, warmup="static", start_epoch=2))
        return Experiment(
            data=str(tmp_path / "blocks"), model=Component("vbpr", {"embedding_dim": 4}), training=training
        )

    def test_a_loaded_run_scores_like_the_one_that_was_trained(self, experiment, tmp_path):
        trained = run_experiment(experiment, out=tmp_path / "run")
        assert load_run(tmp_path / "run").evaluate("test").metrics == trained.result["test"]
        result = json.loads((tmp_path / "run" / "result.json").read_text())
        assert result["settings"]["training"]["mdvt"]["weight"] == 0.5
        assert read(tmp_path / "run" / "experiment.toml").training.mdvt == experiment.training.mdvt

    def test_it_begins_with_the_epoch_that_the_settings_say(self, experiment):
        def losses(**mdvt):
            training = SHORT.replace(mdvt=MDVT(weight=0.5, k=2, **mdvt))
            return [one.loss for one in records(experiment.replace(training=training))]

        plain = [one.loss for one in records(experiment.replace(training=SHORT))]
        begins = losses(warmup="static", start_epoch=1)  # sooner than a trend could show
        assert [one == two for one, two in zip(begins, plain, strict=True)] == [True, False, False, False]
        assert losses(warmup="static", start_epoch=9) == plain
        for start_epoch, threshold in ((0, 0.0), (0, 1e9), (3, 1e9)):  # the rule on the losses that the run reports
            begun = first_epoch(WarmUp(start_epoch=start_epoch, threshold=threshold), plain)
            found = losses(warmup="dynamic", start_epoch=start_epoch, threshold=threshold)
            assert begun >= 2
            assert found[:begun] == plain[:begun]
            assert found[begun] != plain[begun]

    def test_weight_zero_is_plain_training_to_the_bit(self, experiment):
        plain, off, on = (
            run_experiment(experiment.replace(training=SHORT.replace(mdvt=mdvt))).model.state_dict()
            for mdvt in (MDVT(), MDVT(weight=0.0, k=5, start_epoch=0), MDVT(weight=0.5, warmup="static", start_epoch=0))
        )
        assert all(torch.equal(plain[key], off[key]) for key in plain)
        assert not all(torch.equal(plain[key], on[key]) for key in plain)

    @pytest.mark.parametrize(("epoch", "step"), [(2, 1), (2, None), (3, 1), (4, 1)])  # before the switch, at it, after
    @pytest.mark.parametrize("warmup", ["static", "dynamic"])
    def test_a_run_that_was_killed_goes_on_byte_for_byte(self, experiment, tmp_path, epoch, step, warmup):
        mdvt = MDVT(weight=0.5, k=2, warmup=warmup, start_epoch=2, threshold=0.5)
        experiment = experiment.replace(
            model=Component("freedom", {"embedding_dim": 4, "n_neighbors": 3}), strategy=Component("bsam+"),
            training=SHORT.replace(mdvt=mdvt),
        )  # fmt: skip
        run_experiment(experiment, out=tmp_path / "whole")
        with pytest.raises(Killed):
            run_experiment(experiment, out=tmp_path / "killed", callbacks=[KillAt(epoch, step)])
        run_experiment(experiment, out=tmp_path / "killed", resume=True)
        one, other = ((tmp_path / run / "checkpoint.safetensors").read_bytes() for run in ("whole", "killed"))
        assert one == other

    def test_resuming_with_another_weight_is_refused(self, experiment, tmp_path):
        run_experiment(experiment, out=tmp_path / "run")
        other = experiment.replace(training=experiment.training.replace(mdvt=MDVT(weight=0.4, k=2)))
        with pytest.raises(ValueError, match=r"training.mdvt.weight was 0.5, now 0.4"):
            run_experiment(other, out=tmp_path / "run", resume=True)

    def test_without_weight_a_run_is_what_it_was_before_there_were_these_settings(self, experiment):
        dataset, plain = testing.block_dataset(), experiment.replace(training=SHORT)
        off, on = (
            identity(experiment.replace(training=SHORT.replace(mdvt=MDVT(weight=weight, k=7))), dataset)
            for weight in (0.0, 0.5)
        )
        assert off == identity(plain, dataset) != on

    def test_too_few_items_are_refused_and_leave_nothing(self, experiment, tmp_path):
        many = experiment.replace(training=SHORT.replace(mdvt=MDVT(weight=0.5, k=1000)))
        with pytest.raises(ValueError, match=r"training.mdvt: k must lie in \[1, "):
            run_experiment(many, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_it_goes_with_amr_and_with_final_embeddings(self, experiment):
        mdvt = experiment.training.mdvt
        for training in (
            SHORT.replace(mdvt=mdvt, amr=AMR(epsilon=0.1)),
            SHORT.replace(mdvt=mdvt, perturb_target="embeddings"),
        ):
            run = run_experiment(experiment.replace(training=training, strategy=Component("sam")))
            assert run.result["epochs"] == 4
            assert type(run.model) is VBPR


def records(experiment):
    """The records of an experiment's epochs."""
    heard = []

    class Listening(KillAt):
        def on_epoch(self, record):
            heard.append(record)

    run_experiment(experiment, callbacks=[Listening()])
    return heard
