"""Strategies with "+" on models that encode linearly: the same step, with one backward pass through encode less."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

from flatrec.config import Component
from flatrec.data.features import Features
from flatrec.models import BPR, FREEDOM, MODELS, VBPR, Adversarial, LightGCN
from flatrec.ops import propagation
from flatrec.registry.instantiate import build_strategy, strategy_names
from flatrec.strategies import ON_EMBEDDINGS, NonFiniteGradientError
from flatrec.testing import block_dataset, check_model, whole_batch
from flatrec.training.merged_backward import encodes_linearly
from flatrec.training.step_context import TrainStepContext

LINEAR = {name: kind for name, kind in MODELS.items() if vars(kind).get("LINEAR")}
MIXED = [name for name in strategy_names() if name.endswith("+") and name.removesuffix("+") not in ON_EMBEDDINGS]


def made(kind, *, dataset=None, double=True, **settings):
    torch.manual_seed(0)
    model = kind(dataset or block_dataset(), kind.Config(**settings))
    model.on_epoch_start(torch.Generator().manual_seed(0))
    return (model.double() if double else model).train()


def context_of(model, **settings):
    return TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=0.1), **settings)


def trained(context, name, *, steps=3, **settings):
    strategy = build_strategy(Component(name, settings))
    batches = whole_batch(block_dataset()).split(2)
    torch.manual_seed(1)
    losses = [strategy.step(context, *batches) for _ in range(steps)]
    return torch.cat([one.detach().flatten() for one in (*losses, *context.model.parameters())]), torch.rand(())


def unmerged(context):
    context.merges_backward = False
    return context


def test_three_models_encode_linearly():
    assert sorted(LINEAR) == ["freedom", "lightgcn", "vbpr"]


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("kind", LINEAR)
def test_merging_takes_the_same_steps(kind, name):
    merged = trained(context_of(made(LINEAR[kind], reg_weight=0.5) if kind != "freedom" else made(FREEDOM)), name)
    model = made(LINEAR[kind], reg_weight=0.5) if kind != "freedom" else made(FREEDOM)
    expected = trained(unmerged(context_of(model)), name)
    assert torch.allclose(merged[0], expected[0], atol=1e-12, rtol=1e-10)
    assert merged[1] == expected[1], "another state of the random generator"


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0])
def test_merging_takes_the_same_steps_with_dropout_and_any_weight(kappa):
    ends = []
    for prepare in (lambda one: one, unmerged):
        context = prepare(context_of(made(LightGCN, message_dropout=0.4, edge_dropout=0.3, reg_weight=0.5)))
        ends.append(trained(context, "sam+", rho=0.5, kappa=kappa)[0])
    assert torch.allclose(*ends, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize(("name", "passes"), [("bsam+", 4), ("sam+", 4), ("gsam+", 5), ("plain+", 3), ("bsam", 4)])
def test_the_backward_pass_through_encode_is_shared_where_a_mixture_allows_it(name, passes, monkeypatch):
    products = []
    product = propagation.product
    monkeypatch.setattr(propagation, "product", lambda *given, **more: (products.append(1), product(*given, **more))[1])
    context, strategy = context_of(made(LightGCN, n_layers=2)), build_strategy(Component(name, {}))
    strategy.step(context, *whole_batch(block_dataset()).split(2)[: strategy.batches_per_step])
    assert len(products) == 2 * passes


class Squared(LightGCN):
    """Inherits what LightGCN says of its parameters, but encodes something else."""

    def encode(self):
        return type(encoded := super().encode())(encoded.node_embeddings.square())


class Declared(Squared):
    LINEAR: ClassVar = ("nodes",)


@pytest.mark.parametrize(
    ("context", "merges"),
    [
        (lambda: context_of(made(LightGCN)), True),
        (lambda: context_of(made(LightGCN), precision="tf32"), True),
        (lambda: context_of(made(BPR)), False),
        (lambda: context_of(made(Squared)), False),
        (lambda: context_of(made(FREEDOM, features="trained")), False),
        (lambda: context_of(made(LightGCN), same_dropout_mask=False), False),
        (lambda: context_of(made(LightGCN), grad_accumulation_steps=2), False),
        (lambda: context_of(made(LightGCN, double=False), precision="bfloat16"), False),
        (lambda: context_of(model := made(VBPR), objective=Adversarial(model, epsilon=0.5, weight=1.0)), False),
    ],
)
def test_merging_is_for_what_is_known_to_be_linear(context, merges):
    assert context().merges_backward == merges


def test_a_row_that_stands_in_for_missing_features_makes_vbpr_bilinear():
    dataset = block_dataset(modalities=("image",))
    present = np.ones(dataset.n_items, dtype=np.bool_)
    present[0] = False
    lacking = dataset.with_features({"image": Features(dataset.features["image"].values, present)})
    assert encodes_linearly(made(VBPR, dataset=lacking))
    assert not encodes_linearly(made(VBPR, dataset=lacking, missing_modality="learned"))


def test_a_second_batch_that_is_not_finite_changes_nothing():
    context, strategy = context_of(made(LightGCN, n_layers=0)), build_strategy(Component("bsam+", {}))
    first, second = whole_batch(block_dataset()).split(2)
    unread = (set(second.users.tolist()) - set(first.users.tolist())).pop()
    with torch.no_grad():
        context.model.nodes[unread] = float("inf")
    before = context.model.nodes.detach().clone()
    with pytest.raises(NonFiniteGradientError):
        strategy.step(context, first, second)
    assert torch.equal(context.model.nodes, before)
    assert (strategy.inner.steps, list(strategy.inner.mean)) == (0, [])


@pytest.mark.parametrize(
    ("kind", "outcome"), [(LightGCN, "ok"), (FREEDOM, "ok"), (Squared, "ok"), (Declared, "FAILED")]
)
def test_the_contract_asks_for_linearity_where_it_is_declared(kind, outcome):
    findings = {one.check: one for one in check_model(lambda data: kind(data, kind.Config(embedding_dim=4)))}
    assert findings["linear encode"].outcome == outcome
