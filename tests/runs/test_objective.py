"""The loss, the sampling and the penalty of an experiment, in every model that takes them."""

import numpy as np
import pytest
import torch

import flatrec
from flatrec import testing
from flatrec.config import Component, Experiment, Regularization, Training
from flatrec.losses import LOSSES
from flatrec.losses.bpr import BPRLoss
from flatrec.losses.softmax import SoftmaxLoss
from flatrec.models import MODELS
from flatrec.models.losses import gather_embeddings
from flatrec.registry.instantiate import build_model
from flatrec.runs import objective
from flatrec.sampling.narrowing import hardest_negatives
from flatrec.testing import whole_batch
from tests.models.settings import SETTINGS

DATA = testing.block_dataset(blocks=2, users=6, items=6)
SHORT = Training(epochs=1, batch_size=16, loggers=())
RANKING = [name for name, one in MODELS.items() if "loss" in one.REPLACEABLE]


def run(model, **more):
    settings = Component(model, SETTINGS.get(model, {}))
    experiment = Experiment(model=settings, strategy=Component("plain"), training=SHORT).replace(**more)
    return flatrec.run_experiment(experiment, DATA)


def test_all_models_but_those_with_losses_of_their_own_rank_by_any_loss():
    assert set(MODELS) - set(RANKING) == {"bm3", "da-mrs", "llmrec", "slmrec"}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("model", RANKING)
def test_every_ranking_model_is_trained_by_every_loss(model, loss):
    trained = run(model, loss=Component(loss), regularization=Regularization(kind="squared", weight=0.01))
    assert trained.result["settings"]["loss"]["name"] == loss
    assert all(np.isfinite(value) for value in trained.result["test"].values() if value is not None)


@pytest.mark.parametrize("sampling", ["popularity", "in-batch", "hardest"])
@pytest.mark.parametrize("model", RANKING)
def test_every_ranking_model_is_trained_with_every_sampling(model, sampling):
    assert run(model, sampling=Component(sampling)).result["epochs"] == 1


@pytest.mark.parametrize("model", RANKING)
def test_the_default_loss_is_bpr_bit_for_bit(model):
    scores = [run(model, loss=Component(name)).model for name in ("default", "bpr")]
    first, second = (one.state_dict() for one in scores)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("model", ["bm3", "da-mrs", "llmrec", "slmrec"])
def test_a_model_with_a_loss_of_its_own_refuses_others_and_other_negatives(model):
    with pytest.raises(ValueError, match=r"loss\.name is softmax: .* has a loss of its own"):
        run(model, loss=Component("softmax"))
    with pytest.raises(ValueError, match=r"sampling\.name is hardest, but .* has a loss of its own"):
        run(model, sampling=Component("hardest"))


def test_unknown_names_and_combinations_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="unknown loss 'sofmax'; did you mean softmax"):
        run("bpr", loss=Component("sofmax"))
    with pytest.raises(ValueError, match="unknown sampling 'inbatch'"):
        run("bpr", sampling=Component("inbatch"))
    with pytest.raises(ValueError, match=r"sampling\.name is in-batch, but loss\.name is directau"):
        run("bpr", loss=Component("directau"), sampling=Component("in-batch"))
    with pytest.raises(ValueError, match=r"grad_accumulation_steps to 1"):
        run("bpr", sampling=Component("in-batch"), training=SHORT.replace(grad_accumulation_steps=2))
    with pytest.raises(ValueError, match=r"regularization\.kind none has no weight"):
        Regularization(kind="none", weight=0.1)


def test_settings_of_loss_and_penalty_reach_the_model():
    model = build_model(Component("lightgcn", {"embedding_dim": 4}), DATA, 0)
    experiment = Experiment(
        loss=Component("softmax", {"temperature": 0.5}), regularization=Regularization(kind="squared", weight=0.25)
    )
    objective.apply(experiment, model)
    assert model.ranking == SoftmaxLoss(temperature=0.5)
    batch = whole_batch(DATA)
    users, positives, negatives = gather_embeddings(model.nodes, batch, DATA.n_users)
    squares = sum(float(rows.detach().double().square().sum()) for rows in (users, positives, negatives))
    encoded = model.encode()
    ranking = model.ranking(*gather_embeddings(encoded.node_embeddings, batch, DATA.n_users), batch)
    assert model.loss(encoded, batch).item() == pytest.approx(ranking.item() + 0.25 * squares / (2 * len(batch)))


def test_decoupled_decay_takes_the_models_own_penalty_away():
    model = build_model(Component("bpr", {"reg_weight": 5.0, "embedding_dim": 4}), DATA, 0)
    experiment = Experiment(regularization=Regularization(kind="decoupled", weight=0.1))
    objective.apply(experiment, model)
    assert objective.weight_decay(experiment) == 0.1
    assert set(model.loss_terms(model.encode(), whole_batch(DATA))) == {"ranking"}


def test_the_hardest_negative_is_that_of_brute_force():
    generator = np.random.default_rng(5)
    users, items = (generator.integers(-2, 3, (n, 3)).astype(np.float32) for n in (DATA.n_users, DATA.n_items))
    batch = whole_batch(DATA)
    drawn = torch.from_numpy(generator.integers(0, DATA.n_items, (len(batch), 5)))
    batch = batch.with_indices(batch.users, batch.positives, drawn)
    chosen = hardest_negatives(torch.from_numpy(users), torch.from_numpy(items), batch)
    for row, user in enumerate(batch.users.tolist()):
        scores = [float(users[user] @ items[item]) for item in drawn[row].tolist()]
        assert chosen.negatives[row].tolist() == [int(drawn[row][scores.index(max(scores))])]
    assert not chosen.hardest


def test_the_loss_of_the_hardest_sampling_is_that_of_the_hardest_negative():
    model = build_model(Component("bpr", {"embedding_dim": 4, "reg_weight": 0.0}), DATA, 0)
    batch = whole_batch(DATA)
    drawn = torch.arange(len(batch) * 3).view(-1, 3) % DATA.n_items
    hard = flatrec.data.batches.Batch(batch.users, batch.positives, drawn, hardest=True)
    users, items = model.user_item_embeddings(model.encode())
    worst = torch.einsum("bd,bnd->bn", users[batch.users], items[drawn]).max(dim=1).values
    margins = (users[batch.users] * items[batch.positives]).sum(dim=1) - worst
    expected = -torch.nn.functional.logsigmoid(margins).mean().item()
    assert model.loss(model.encode(), hard).item() == pytest.approx(expected)
    assert model.ranking == BPRLoss()
