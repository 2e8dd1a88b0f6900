"""The trainings whose parameters are the same however many processes share the columns."""

from __future__ import annotations

import itertools

from flatrec.config import Component, Regularization
from flatrec.parallel.refusals import ENTRYWISE
from tests.parallel.case import SEPARABLE, STRATEGIES, Case

MAIN = [Case(*case) for case in itertools.product(("bpr", "lightgcn", "freedom"), STRATEGIES, (True, False))]
MORE_MODELS = [Case(model, "bsam+") for model in SEPARABLE if model not in ("bpr", "lightgcn", "freedom")]
OTHER_STRATEGIES = [
    Case("lightgcn", "asam"),
    Case("lightgcn", "fishersam"),
    Case("lightgcn", "friendlysam"),
    Case("lightgcn", "gsam"),
    Case("lightgcn", "looksam"),
    Case("lightgcn", "vasso"),
    Case("lightgcn", "gnp"),
    Case("lightgcn", "sam", strategy_settings={"rho_scale": "relative", "rho": 0.1}),
    Case("lightgcn", "bsam", strategy_settings={"rho_scale": "row", "rho": 0.1}),
    Case("lightgcn", "bsam", strategy_settings={"distance": "manhattan-mean"}),
    Case("freedom", "bsam", strategy_settings={"distance": "euclidean"}),
    Case("freedom", "bsam", strategy_settings={"distance": "cosine"}, training={"perturb_exclude": ["no*"]}),
]
OTHER_SETTINGS = [
    Case("freedom", "sam", training={"max_grad_norm": 0.01}),
    Case("lightgcn", "sam", training={"max_row_grad_norm": 0.001}),
    Case("lightgcn", "sam", training={"grad_accumulation_steps": 2}),
    Case("lightgcn", "sam", training={"average": "ema", "average_decay": 0.5}),
    Case("freedom", "sam", training={"select": "best", "evaluate_every": 1}),
    Case("freedom", "bsam+", double=False, model_settings={"edge_dropout": 0.5}),
    Case("lightgcn", "sam", others={"loss": Component("bce"), "sampling": Component("uniform", {"n_negatives": 3})}),
    Case("bpr", "sam", others={"sampling": Component("uniform", {"n_negatives": 3})}),
    Case("bpr", "sam", others={"sampling": Component("hardest", {"n_candidates": 3})}),
    Case("bpr", "sam", others={"sampling": Component("in-batch")}),
    Case("bpr", "sam", others={"loss": Component("directau", {"gamma": 2.0})}),
    Case("bpr", "sam", others={"loss": Component("softmax", {"cosine": True}), "sampling": Component("in-batch")}),
    Case("lightgcn", "sam", others={"loss": Component("ccl"), "sampling": Component("uniform", {"n_negatives": 3})}),
    Case("freedom", "sam", others={"regularization": Regularization(kind="decoupled", weight=0.01)}),
    Case("lightgcn", "sam", optimizer="adagrad"),
]
DEFAULT = [*MAIN, *MORE_MODELS, *OTHER_STRATEGIES, *OTHER_SETTINGS]
REST = [Case(*case) for case in itertools.product(SEPARABLE, STRATEGIES, (True, False))]
REST += [Case("lightgcn", "sam", optimizer=name) for name in sorted(ENTRYWISE)]
REST = [case for case in REST if case not in DEFAULT]
