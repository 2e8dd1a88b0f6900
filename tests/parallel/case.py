"""One small training of twenty steps, by one process or several, and what it ends with."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from safetensors.torch import load_file, save_file

import flatrec
from flatrec.config import Component, Experiment
from flatrec.registry.instantiate import with_defaults
from flatrec.runs.objective import build_with_objective
from flatrec.testing import block_dataset
from tests.models.settings import SETTINGS
from tests.training.kills import KillAt

DATA = block_dataset()
STRATEGIES = ("plain", "sam", "bsam", "bsam+", "mg")
RHO = 0.5  # large, so that a norm that lacks entries shows
SEPARABLE = {  # settings of models whose columns can be shared
    "bpr": {},
    "lightgcn": {"n_layers": 2},
    "freedom": {"n_neighbors": 3, "edge_dropout": 0.0, "modality_weight": 0.5},
    "vbpr": {},
    "dualgnn": {"hidden_dim": 7, "reg_weight": 0.1},
    "lattice": {"features": "frozen", "n_neighbors": 3, "modality_dim": 7, "reg_weight": 0.1},
    "dragon": {"hidden_dim": 7, "reg_weight": 0.1, "n_neighbors": 3},
    "layergcn": {"n_layers": 2, "edge_dropout": 0.0, "reg_weight": 0.01},
    "pgl": {"features": "frozen", "n_neighbors": 3, "edge_dropout": 0.0, "contrastive_weight": 0.1},
}
COLUMNS = {name: {**settings, "embedding_dim": 10} for name, settings in SEPARABLE.items()}
OF_MODELS = {"columns": COLUMNS, "batches": SETTINGS}


class Losses(KillAt):
    """The losses of the epochs, and never a kill."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_epoch(self, record):
        self.values.append(record.loss)


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
    parallel: str = "columns"

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
        steep = self.model == "layergcn"  # its loss is a sum over the batch, where others are means
        lr = 0.01 if optimizer != "sgd" else 0.05 if steep else 0.5
        settings = {"rho": RHO} if self.strategy not in ("plain", "mg") else {}
        return Experiment(
            model=Component(self.model, {**OF_MODELS[self.parallel].get(self.model, {}), **self.model_settings}),
            strategy=Component(self.strategy, {**settings, **self.strategy_settings}),
            optimizer=Component(optimizer, {"lr": lr}),
            training=flatrec.Training(
                **{"epochs": 4, "batch_size": 36, "select": "last", "evaluate_every": 4, "loggers": []}
                | {"parallel": self.parallel, "monitor": "recall@5"}
                | self.training
            ),
            evaluation=flatrec.Evaluation(ks=(5,)),
            **self.others,
        )

    def alone(self, size):
        """The case of a single process that computes the same as so many."""
        if self.parallel == "columns":
            return self
        portions = self.training.get("grad_accumulation_steps", 1) * size
        return Case(**vars(self) | {"training": {**self.training, "grad_accumulation_steps": portions}})

    def ending(self):
        """Parameters and buffers after training in this process, the losses of its epochs and a score."""
        experiment = with_defaults(self.experiment())
        model, losses = build_with_objective(experiment, DATA), Losses()
        model = model.double() if self.double else model
        run = flatrec.run_experiment(experiment, DATA, model=model, log_warnings=False, callbacks=[losses])
        numbers = {"losses": losses.values, "score": run.result["test"]["ndcg@5"]}
        found = {name: torch.tensor(values, dtype=torch.float64) for name, values in numbers.items()}
        return found | {f"model.{name}": tensor.detach() for name, tensor in run.model.state_dict().items()}


def train_all(rank, cases, folder):
    """Train all cases, and write down what they end with."""
    for case in cases:
        save_file(case.ending(), folder / f"{case}.{rank}")


def check_equal(case, folder, size):
    """Compare what all processes ended with with what a single one ends with."""
    alone = case.alone(size).ending()
    for rank in range(size):
        shared = load_file(folder / f"{case}.{rank}")
        assert shared.keys() == alone.keys()
        for name, tensor in alone.items():
            assert shared[name].dtype == tensor.dtype
            absolute, relative = (1e-6, 1e-6) if name == "losses" else (case.tolerance, 0)
            torch.testing.assert_close(
                shared[name], tensor, rtol=relative, atol=absolute, msg=lambda text, name=name: f"{name}: {text}"
            )
