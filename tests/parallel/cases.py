"""Small trainings, twenty steps each, whose parameters are the same however many processes share the columns."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import torch
from safetensors.torch import load_file, save_file

import flatrec
from flatrec.config import Component, Experiment, Regularization
from flatrec.parallel.refusals import ENTRYWISE
from flatrec.registry.instantiate import with_defaults
from flatrec.runs.objective import build_with_objective
from flatrec.testing import block_dataset

DATA = block_dataset()
MODELS = {
    "bpr": {},
    "lightgcn": {"n_layers": 2},
    "freedom": {"n_neighbors": 3, "edge_dropout": 0.0, "modality_weight": 0.5},
    "vbpr": {},
    "dualgnn": {"hidden_dim": 7, "reg_weight": 0.1},
    "lattice": {"features": "frozen", "n_neighbors": 3, "modality_dim": 7, "reg_weight": 0.1},
    "dragon": {"hidden_dim": 7, "reg_weight": 0.1, "n_neighbors": 3},
}
STRATEGIES = ("plain", "sam", "bsam", "bsam+", "mg")
RHO = 0.5  # large, so that a norm that lacks columns shows


@dataclass(frozen=True)
class Case:
    """One training: what differs from the rest of its settings."""

    model: str
    strategy: str = "plain"
    double: bool = True
    strategy_settings: dict = field(default_factory=dict)
    model_settings: dict = field(default_factory=dict)
    optimizer: str = ""
    training: dict = field(default_factory=dict)
    others: dict = field(default_factory=dict)

    def __str__(self):
        kind = "float64" if self.double else "float32"
        given = {**self.model_settings, **self.strategy_settings, **self.training}
        more = [f"{name}={value}" for name, value in given.items()]
        more += [one.name if isinstance(one, Component) else one.kind for one in self.others.values()]
        return "-".join(filter(None, (self.model, self.strategy, kind, self.optimizer, *more)))

    @property
    def tolerance(self):
        """LATTICE freezes its item graph in float32, whatever the parameters are."""
        return 1e-9 if self.double and self.model != "lattice" else 1e-6

    def experiment(self):
        optimizer = self.optimizer or ("adam" if self.double else "sgd")
        lr = 0.01 if optimizer != "sgd" else 0.5
        settings = {"rho": RHO} if self.strategy not in ("plain", "mg") else {}
        return Experiment(
            model=Component(self.model, {**MODELS[self.model], "embedding_dim": 10, **self.model_settings}),
            strategy=Component(self.strategy, {**settings, **self.strategy_settings}),
            optimizer=Component(optimizer, {"lr": lr}),
            training=flatrec.Training(
                **{"epochs": 4, "batch_size": 36, "select": "last", "evaluate_every": 4, "tensorboard": False}
                | {"parallel": "columns", "monitor": "recall@5"}
                | self.training
            ),
            evaluation=flatrec.Evaluation(ks=(5,)),
            **self.others,
        )

    def train(self):
        """The run; in float64 if that is asked for."""
        experiment = with_defaults(self.experiment())
        model = build_with_objective(experiment, DATA)
        return flatrec.run_experiment(
            experiment, DATA, model=model.double() if self.double else model, log_warnings=False
        )


MAIN = [Case(*case) for case in itertools.product(("bpr", "lightgcn", "freedom"), STRATEGIES, (True, False))]
MORE_MODELS = [Case(model, "bsam+") for model in MODELS if model not in ("bpr", "lightgcn", "freedom")]
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
    Case("bpr", "sam", others={"loss": Component("softmax", {"cosine": True}), "sampling": Component("in-batch")}),
    Case("lightgcn", "sam", others={"loss": Component("ccl"), "sampling": Component("uniform", {"n_negatives": 3})}),
    Case("freedom", "sam", others={"regularization": Regularization(kind="decoupled", weight=0.01)}),
    Case("lightgcn", "sam", optimizer="adagrad"),
]
DEFAULT = [*MAIN, *MORE_MODELS, *OTHER_STRATEGIES, *OTHER_SETTINGS]
REST = [Case(*case) for case in itertools.product(MODELS, STRATEGIES, (True, False))]
REST += [Case("lightgcn", "sam", optimizer=name) for name in sorted(ENTRYWISE)]
REST = [case for case in REST if case not in DEFAULT]


def parameters(case):
    """What a training ends with, and the loss of its last epoch and a score."""
    run = case.train()
    loss = torch.tensor(run.result["test"]["ndcg@5"], dtype=torch.float64)
    return {name: tensor.detach() for name, tensor in run.model.named_parameters()} | {"ndcg": loss}


def train_all(rank, cases, folder):
    """Train all cases, and write down what they end with."""
    for case in cases:
        save_file(parameters(case), folder / f"{case}.{rank}")


def check_equal(case, folder, size):
    """Compare what all processes ended with with what a single one ends with."""
    alone = parameters(case)
    for rank in range(size):
        shared = load_file(folder / f"{case}.{rank}")
        assert shared.keys() == alone.keys()
        for name, tensor in alone.items():
            assert shared[name].dtype == tensor.dtype
            assert float((shared[name] - tensor).abs().max()) <= case.tolerance, name
