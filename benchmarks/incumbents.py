"""An epoch and an evaluation of flatrec against those of MMRec, on the same data, in turn.

    git clone https://github.com/enoche/MMRec
    pip install pandas pyyaml matplotlib torch_geometric
    flatrec data shop baby-like --like baby --image-dim 4096 --text-dim 384
    OMP_NUM_THREADS=1 python benchmarks/incumbents.py --mmrec MMRec --data baby-like --out incumbents.json

MMRec's loader, model and trainer run as they are (``mmrec.py`` lists what today's libraries ask for), in a process of
their own, so that neither has the other's settings of memory; one waits while the other works. First its
parameters are copied into our model, and both give their loss on the same batch, with the noise of LGMRec, the
thinning of FREEDOM and the repeated neighbors of DRAGON made equal. Then the two take turns: a round is the
beginning of an epoch and so many batches, sampling included; an epoch is the beginning and all its batches at the
mean of the round. The ratio is the median over the rounds. Evaluations of the validation part take turns likewise,
each with its own propagation; the metrics must agree. MMRec does not propagate before it evaluates MMGCN and DRAGON,
but ranks by what its last training step left behind, and it evaluates LGMRec with random noise, so these have no
metrics to compare. Building its loader for evaluations, once a run, is left out of the ratio and counted in
``with_their_loader``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from mmrec import MMRec, write
from results import record
from scipy import sparse
from steps import Steps
from torch import Tensor
from torch.nn import functional as F

from flatrec.config import Component
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.loading import load_data
from flatrec.evaluation.evaluate import evaluate
from flatrec.models import Model
from flatrec.ops.spmm import Graph
from flatrec.registry.instantiate import build_model
from flatrec.utils.malloc import tune_malloc

METRICS = ("recall", "ndcg", "precision", "map")


@dataclass(frozen=True)
class Pair:
    """One model as both have it: names, equal settings, and how parameters and random choices are carried over."""

    ours: str
    theirs: str
    their_settings: Mapping[str, Any]
    our_settings: Mapping[str, Any]
    parameters: Callable[[Any, Any], list[tuple[Tensor, Tensor]]]  # (our, their) models -> ours and theirs
    choices: Callable[[Any, Any], None] | None = None
    same_ranking: bool = True
    evaluation_mode: bool = False  # the losses are compared without noise


def lightgcn(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    return [(ours.nodes, torch.cat([theirs.embedding_dict["user_emb"], theirs.embedding_dict["item_emb"]]))]


def ids(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    return [(ours.nodes, torch.cat([theirs.user_embedding.weight, theirs.item_id_embedding.weight]))]


def freedom(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    pairs = ids(ours, theirs)
    both = ((theirs.image_embedding, theirs.image_trs), (theirs.text_embedding, theirs.text_trs))
    for table, projection, (features, linear) in zip(ours.features.tables, ours.projections, both, strict=True):
        pairs += [(table.values, features.weight), (projection.weight, linear.weight)]
    return pairs


def freedom_graph(ours: Any, theirs: Any) -> None:
    matrix = ours.graph.dropped.coo()
    where = torch.tensor([matrix.row.tolist(), matrix.col.tolist()])
    theirs.masked_adj = torch.sparse_coo_tensor(where, torch.from_numpy(matrix.data), matrix.shape).to(theirs.device)


def lgmrec(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    projections = (theirs.item_image_trs, theirs.item_text_trs)
    edges = (theirs.v_hyper, theirs.t_hyper)
    own = zip([*ours.projections, *ours.hyperedges], [*projections, *edges], strict=True)
    return [*ids(ours, theirs), *own]


def mmgcn(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    networks = (theirs.v_gcn, theirs.t_gcn)
    pairs = [(ours.nodes, theirs.id_embedding), *layers(ours.maps["image"], theirs.v_gcn.MLP)]
    for preference, network, other in zip(ours.preferences, ours.networks, networks, strict=True):
        pairs.append((preference, other.preference))
        for number, layer in enumerate(network, start=1):
            pairs.append((layer.convolution, getattr(other, f"conv_embed_{number}").weight))
            pairs += layers(layer.own, getattr(other, f"linear_layer{number}"))
            pairs += layers(layer.joined, getattr(other, f"g_layer{number}"))
    return pairs


def dragon(ours: Any, theirs: Any) -> list[tuple[Tensor, Tensor]]:
    pairs = [(ours.user_weights, theirs.weight_u.squeeze(2))]
    for tower, network in zip(ours.towers, (theirs.v_gcn, theirs.t_gcn), strict=True):
        pairs.append((tower.preference, network.preference))
        pairs += [*layers(tower.wide, network.MLP), *layers(tower.narrow, network.MLP_1)]
    return pairs


def dragon_graph(ours: Any, theirs: Any) -> None:
    columns, weights = torch.tensor(theirs.epoch_user_graph), theirs.user_weight_matrix
    rows = torch.arange(len(columns))[:, None].expand_as(columns)
    entries = (weights.flatten().numpy(), (rows.flatten().numpy(), columns.flatten().numpy()))
    matrix = sparse.coo_array(entries, shape=ours.user_graph.counts.shape).tocsr()
    ours.user_graph.drawn = Graph(matrix, symmetric=False)


def layers(ours: torch.nn.Linear, theirs: torch.nn.Linear) -> list[tuple[Tensor, Tensor]]:
    return [(ours.weight, theirs.weight), (ours.bias, theirs.bias)]


PAIRS = {
    "lightgcn": Pair(
        "lightgcn", "LightGCN", {"n_layers": 3, "reg_weight": 1e-4}, {"n_layers": 3, "reg_weight": 1e-4}, lightgcn
    ),
    "freedom": Pair(
        "freedom", "FREEDOM", {"dropout": 0.8, "reg_weight": 1e-3}, {"features": "trained"}, freedom, freedom_graph
    ),
    "freedom-frozen": Pair(
        "freedom", "FREEDOM", {"dropout": 0.8, "reg_weight": 1e-3}, {"features": "frozen"}, freedom, freedom_graph
    ),
    "lgmrec": Pair(
        "lgmrec", "LGMRec",
        {"n_ui_layers": 2, "n_mm_layers": 2, "n_hyper_layer": 1, "hyper_num": 4, "keep_rate": 0.5, "alpha": 0.3}
        | {"cl_weight": 1e-4, "reg_weight": 1e-6},
        {},
        lgmrec,
        same_ranking=False,
        evaluation_mode=True,
    ),
    "mmgcn": Pair("mmgcn", "MMGCN", {"reg_weight": 1e-3}, {}, mmgcn, same_ranking=False),
    "dragon": Pair(
        "dragon", "DRAGON", {"aggr_mode": "add", "reg_weight": 1e-3}, {}, dragon, dragon_graph, same_ranking=False
    ),
}  # fmt: skip


class Theirs:
    """MMRec's model with its trainer, and our model to carry its parameters over; in a process of its own."""

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        self.pair = PAIRS[name]
        dataset = load_data(given.data)
        with tempfile.TemporaryDirectory() as folder:
            write(dataset, Path(folder) / "baby")
            settings = {**self.pair.their_settings, "train_batch_size": given.batch_size}
            self.mmrec = MMRec(given.mmrec.resolve(), Path(folder) / "baby", self.pair.theirs, settings)
        built = build_model(Component(self.pair.ours, self.pair.our_settings), dataset, seed=0)
        assert isinstance(built, Model)
        self.ours = built
        built.on_epoch_start(torch.Generator())

    def losses(self) -> tuple[float, float]:
        """Ours and theirs of one batch at the same parameters."""
        self.mmrec.begin()
        return same_losses(self.pair, self.ours, self.mmrec.model, next(self.mmrec.batches))

    def epoch(self, batches: int) -> float:
        """Seconds of an epoch, by so many of its batches."""
        return self.mmrec.begin() + len(self.mmrec.loader) * self.mmrec.take(batches)

    def evaluate(self) -> tuple[dict[str, float], float]:
        """Metrics, and seconds."""
        return self.mmrec.evaluate()

    def parameters(self) -> dict[str, Tensor]:
        """Its parameters under our names."""
        copy(self.pair, self.ours, self.mmrec.model)
        return {name: one.detach() for name, one in self.ours.state_dict().items()}

    def seconds_to_load(self) -> float:
        """What its loader for evaluations took to build."""
        return self.mmrec.seconds_to_load


class Remote:
    """Calls the methods of :class:`Theirs` in another process."""

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, name, given), daemon=True)
        self.process.start()
        other.close()

    def __call__(self, method: str, *given: object) -> Any:
        self.connection.send((method, given))
        return self.connection.recv()

    def close(self) -> None:
        """Let the process end."""
        self.connection.send(None)
        self.process.join()


def _serve(connection: Connection, name: str, given: argparse.Namespace) -> None:
    theirs = Theirs(name, given)
    while (message := connection.recv()) is not None:
        method, words = message
        connection.send(getattr(theirs, method)(*words))


def compared(name: str, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The two rows of a model: its epoch and its evaluation."""
    pair, theirs = PAIRS[name], Remote(name, given)
    losses = theirs("losses")
    dataset = load_data(given.data)
    ours = Steps(Component(pair.ours, pair.our_settings), "plain", dataset, given.batch_size)
    times = [
        {"theirs": theirs("epoch", given.batches), "ours": ours.begin() + len(ours) * ours.mean(given.batches)}
        for _ in range(given.rounds + 1)
    ]
    yield {"model": name, "what": "epoch", **summary(times[1:]), "our_loss": losses[0], "their_loss": losses[1]}
    ours.model.load_state_dict(theirs("parameters"))
    times, gaps = [], []
    for _ in range(given.rounds + 1):
        found, seconds = theirs("evaluate")
        started = perf_counter()
        own = evaluated(ours.model, dataset)
        times.append({"theirs": seconds, "ours": perf_counter() - started})
        gaps.append(max(abs(own[f"{metric}@{k}"] - found[f"{metric}@{k}"]) for metric in METRICS for k in (5, 10, 20)))
    row = {"model": name, "what": "evaluation", **summary(times[1:])}
    row["with_their_loader"] = round((row["theirs_seconds"] + theirs("seconds_to_load")) / row["ours_seconds"], 2)
    theirs.close()
    yield {**row, "largest_gap": max(gaps)} if pair.same_ranking else row


def summary(times: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Medians, and the median of the ratios with their range."""
    ratios = sorted(one["theirs"] / one["ours"] for one in times)
    seconds = {f"{whose}_seconds": round(median(one[whose] for one in times), 3) for whose in ("ours", "theirs")}
    return {**seconds, "ratio": round(median(ratios), 2), "range": [round(ratios[0], 2), round(ratios[-1], 2)]}


@torch.no_grad()
def copy(pair: Pair, ours: Model, theirs: Any) -> None:
    """Their parameters into our model."""
    for own, other in pair.parameters(ours, theirs):
        own.copy_(other)


@torch.no_grad()
def same_losses(pair: Pair, ours: Model, theirs: Any, numbers: Tensor) -> tuple[float, float]:
    """Both losses of one batch at the same parameters.

    Raises:
        ValueError: they differ by more than 1e-4 of their size.
    """
    copy(pair, ours, theirs)
    if pair.choices is not None:
        pair.choices(ours, theirs)
    for one in (ours, theirs):
        one.train(not pair.evaluation_mode)
    with without_gumbel_noise() if pair.evaluation_mode else torch.no_grad():
        users, positives, negatives = numbers.clone()
        own = float(ours.loss(ours.encode(), Batch(users, positives, negatives[:, None])))
        other = float(theirs.calculate_loss(numbers.clone()))
    ours.train()
    theirs.train()
    if not abs(own - other) <= 1e-4 * abs(other):
        raise ValueError(f"{pair.theirs}: expected the same loss on the same batch, but got {own} and {other}")
    return own, other


@contextmanager
def without_gumbel_noise() -> Iterator[None]:
    """Inside the block torch's Gumbel softmax is a softmax."""
    before = F.gumbel_softmax
    F.gumbel_softmax = lambda logits, tau=1.0, hard=False, dim=-1: (logits / tau).softmax(dim)  # noqa: ARG005
    try:
        yield
    finally:
        F.gumbel_softmax = before


@torch.no_grad()
def evaluated(model: Model, dataset: Dataset) -> Mapping[str, float]:
    """Our metrics on the validation part."""
    model.eval()
    metrics = evaluate(*model.user_item_embeddings(model.encode()), dataset.interactions).metrics
    model.train()
    return metrics


def apart(names: Sequence[str], given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of several models, each measured in a new process."""
    for name in names:
        words = [sys.executable, __file__, "--mmrec", str(given.mmrec), "--data", str(given.data), "--models", name]
        words += ["--batches", str(given.batches), "--rounds", str(given.rounds)]
        words += ["--batch-size", str(given.batch_size)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        yield from map(json.loads, done.stdout.splitlines())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a JSON line a row; every model in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mmrec", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default=",".join(PAIRS))
    parser.add_argument("--batches", type=int, default=10, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    names = given.models.split(",")
    tune_malloc()
    rows = compared(names[0], given) if len(names) == 1 else apart(names, given)
    record(rows, given.out, data=str(given.data), batches=given.batches, rounds=given.rounds)


if __name__ == "__main__":
    main()
