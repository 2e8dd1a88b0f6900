"""The trainings that processes which share batches do as a single one does that takes them in portions."""

from __future__ import annotations

import itertools

from flatrec.config import AMR, MDVT, Component
from flatrec.models import MODELS
from tests.parallel.case import STRATEGIES, Case

NOISY = {  # draws of torch's generator within encode or the loss, on top of the settings of the tests
    "lightgcn": {"message_dropout": 0.2},
    "ngcf": {"message_dropout": 0.2, "node_dropout": 0.1},
    "mmgcn": {"message_dropout": 0.2},
    "pgl": {"dropout": 0.3},
}


def case(model, strategy, double=True, **settings):
    """A case whose model draws noise wherever it can."""
    return Case(model, strategy, double, model_settings=NOISY.get(model, {}), parallel="batches", **settings)


MAIN = [case("lightgcn", strategy, double) for strategy, double in itertools.product(STRATEGIES, (True, False))]
ALL_MODELS = [case(model, "bsam+") for model in MODELS]
OTHERS = [
    case("lightgcn", "sam", training={"grad_accumulation_steps": 2}),
    case("bm3", "sam", training={"batch_size": 37}),  # dropout of rows of uneven portions, the last batch is of 32
    case("bm3", "bsam+", training={"batch_size": 179}),  # the last batch is of one interaction
    case("mgcn", "sam", training={"max_grad_norm": 0.01, "max_row_grad_norm": 0.01}),
    case("mgcn", "sam", training={"average": "ema", "average_decay": 0.5, "select": "best", "evaluate_every": 1}),
    case("vbpr", "sam", training={"amr": AMR(epsilon=0.1)}),
    case("vbpr", "bsam+", training={"mdvt": MDVT(weight=0.1, start_epoch=1)}),
    case("bpr", "sam", others={"loss": Component("directau")}),
    case("bpr", "sam", others={"sampling": Component("hardest", {"n_candidates": 3})}),
    case("lightgcn", "ssam", training={"second_batch": "split"}),
    case("lightgcn", "esam+"),
    case("lightgcn", "sam", strategy_settings={"control": "random"}),
    case("lightgcn", "sam", strategy_settings={"rho_scale": "row", "rho": 0.1}),
    case("bpr", "sam", optimizer="muon"),
    case("mgcn", "sam", False, training={"precision": "bfloat16"}),
]
DEFAULT = [*MAIN, *ALL_MODELS, *OTHERS]
REST = [case(*given) for given in itertools.product(MODELS, STRATEGIES, (True, False))]
REST = [one for one in REST if one not in DEFAULT]
FEW = [
    case("lightgcn", "bsam+"),
    case("bm3", "sam", training={"batch_size": 37}),
    case("bm3", "sam", training={"batch_size": 2, "epochs": 1, "evaluate_every": 1}),  # fewer than processes
    case("lattice", "sam", training={"grad_accumulation_steps": 2}),
]
