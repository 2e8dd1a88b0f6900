"""Penalties that replace a model's own, over all models."""

import pytest
import torch
from torch.nn import functional as F

from flatrec import testing
from flatrec.losses.penalties import norm_penalty, squared_penalty
from flatrec.models import MODELS
from tests.models.settings import make

DATA = testing.block_dataset()
BATCH = testing.whole_batch(DATA)
# users and items in one table `nodes`
WIDE = {"lightgcn", "layergcn", "freedom", "lattice", "lgmrec", "bpr", "ngcf", "mgcn", "smore", "fourierkan-gcf"}


def loss_of(model):
    torch.manual_seed(0)
    return model.train().loss(model.encode(), BATCH)


def replaced(name, penalty, weight=0.01, **options):
    model = make(name, DATA, **options)
    model.replace_penalty(penalty, weight)
    return model


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


def test_weight_zero_is_no_penalty_bit_for_bit(name):
    nothing = loss_of(replaced(name, None))
    for penalty in (norm_penalty, squared_penalty):
        assert torch.equal(loss_of(replaced(name, penalty, 0.0)), nothing)
        larger = loss_of(replaced(name, penalty, 0.5))
        assert larger.isfinite()
        assert larger > nothing


@pytest.mark.parametrize("name", sorted(WIDE))
def test_each_occurrence_of_a_row_is_pulled_by_its_own_value(name):
    model = replaced(name, squared_penalty, 0.5)
    without = replaced(name, None)
    differences = (
        torch.autograd.grad(loss_of(model), model.nodes)[0] - torch.autograd.grad(loss_of(without), without.nodes)[0]
    )
    indices = torch.cat([BATCH.users, BATCH.positives + DATA.n_users, BATCH.negatives.flatten() + DATA.n_users])
    occurrences = torch.bincount(indices, minlength=len(model.nodes))
    scale = 1 if name == "layergcn" else len(BATCH)  # its loss is a sum over the batch
    expected = 0.5 * occurrences[:, None] * model.nodes.detach() / scale
    torch.testing.assert_close(differences, expected, rtol=1e-4, atol=2e-5 if scale == 1 else 1e-6)


def test_layergcn_has_the_squared_penalty_as_its_own():
    own = make("layergcn", DATA, reg_weight=0.5)
    torch.testing.assert_close(loss_of(replaced("layergcn", squared_penalty, 0.5)), loss_of(own))


def test_no_kind_gathers_more_than_another_and_none_gathers_least(name, monkeypatch):
    counts = []
    for penalty in (None, norm_penalty, squared_penalty):
        model, calls = replaced(name, penalty), []
        with monkeypatch.context() as patch:
            real = F.embedding
            patch.setattr(F, "embedding", lambda *args, real=real, calls=calls: calls.append(1) or real(*args))
            loss_of(model)
        counts.append(len(calls))
    assert counts[0] <= counts[1] == counts[2]
    if name in {"bpr", "vbpr", "ngcf", "fourierkan-gcf"}:  # the free rows are columns of those that are there
        assert counts[0] == counts[2]


def test_lightgcn_gathers_for_the_squares_as_often_as_for_its_own_norms(monkeypatch):
    counts = []
    for model in (make("lightgcn", DATA), replaced("lightgcn", squared_penalty)):
        calls, real = [], F.embedding
        with monkeypatch.context() as patch:
            patch.setattr(F, "embedding", lambda *args, real=real, calls=calls: calls.append(1) or real(*args))
            loss_of(model)
        counts.append(len(calls))
    assert counts == [2, 2]


def test_a_model_without_free_rows_refuses_in_one_line(monkeypatch):
    kind = MODELS["lightgcn"]
    monkeypatch.setattr(kind, "REPLACEABLE", frozenset())
    with pytest.raises(ValueError, match="LightGCN has no free rows") as caught:
        make("lightgcn", DATA).replace_penalty(squared_penalty, 0.1)
    assert "\n" not in str(caught.value)


def test_the_last_replacement_counts():
    model = replaced("bm3", squared_penalty, 0.5)
    model.replace_penalty(norm_penalty, 0.25)
    assert model.loss_weights == {"modalities": 2.0, "penalty": 0.25}
    model.replace_penalty(None, 0.0)
    assert model.loss_weights == {"modalities": 2.0}
