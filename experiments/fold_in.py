"""How good are lists for users who were not in the training data, from the first half of their interactions?

    python experiments/fold_in.py run --data ML_SMALL --models lightgcn,freedom,bpr --out fold_in.jsonl
    python experiments/fold_in.py table fold_in.jsonl

Per seed, a tenth of the users is held out for validation and another tenth for test. The first half of the interactions
of such a user (by time, or drawn where there are no times) is the history, and the others are what a list should
contain. Models are trained on the other users, once without and once with the histories; a tenth of the others'
interactions stops the training. Settings of the fold-in are chosen on the validation users.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy import ndarray

import flatrec
from flatrec.data.dataset import Dataset
from flatrec.data.interactions import Interactions
from flatrec.evaluation import Scorer, evaluate_scorer, inner_product, rank
from flatrec.evaluation.significance import paired_test, spread
from flatrec.inference.fold_in import FoldIn, FoldInItems
from flatrec.inference.run import Run, user_item_embeddings
from flatrec.models.freedom import FREEDOM
from flatrec.models.item_knn import ItemKNN
from flatrec.models.lightgcn import LightGCN
from flatrec.models.scoring import Vectors
from flatrec.ops.propagation import propagate

METRICS = ("recall@10", "ndcg@10")
N_KNOWN = 1000  # trained users whose vectors are folded in for comparison
UNOBSERVED, REG = (0.0, 0.001, 0.01, 0.1, 1.0), (0.01, 0.1, 1.0, 10.0, 100.0)
SETTINGS = [
    *(FoldIn(unobserved_weight=a, reg_weight=b) for a, b in itertools.product(UNOBSERVED, REG)),
    *(FoldIn(method="mean", popularity_exponent=p) for p in (0.0, 0.5, 1.0)),
]


@dataclass(frozen=True)
class Division:
    """The users held out with one seed.

    Args:
        dataset: all data.
        seed: of the draws.
    """

    dataset: Dataset
    seed: int

    @cached_property
    def groups(self) -> ndarray:
        """0 for each user who is trained on, 1 for validation, 2 for test."""
        order = np.random.default_rng(self.seed).permutation(self.dataset.n_users)
        tenth = self.dataset.n_users // 10
        groups = np.zeros(self.dataset.n_users, dtype=np.int64)
        groups[order[:tenth]], groups[order[tenth : 2 * tenth]] = 1, 2
        return groups

    @cached_property
    def first_half(self) -> ndarray:
        """Return True for each interaction in the first half of its user's."""
        every = self.dataset.interactions
        ties = np.random.default_rng(self.seed + 1000).random(len(every))
        times = np.zeros(len(every), dtype=np.int64) if every.timestamps is None else every.timestamps
        order = np.lexsort((ties, times, every.users))
        counts = np.bincount(every.users, minlength=every.n_users)
        positions = np.arange(len(every)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.empty(len(every), dtype=bool)
        first[order] = positions < np.repeat(counts // 2, counts)
        return first

    def training(self, *, with_histories: bool) -> Dataset:
        """Return the data to train on."""
        every, group = self.dataset.interactions, self.groups[self.dataset.interactions.users]
        stops = np.random.default_rng(self.seed + 2000).random(len(every)) < 0.1
        kept = group == 0
        if with_histories:
            kept = kept | self.first_half
        return self.dataset.with_interactions(replace(every, splits=np.where(stops & (group == 0), 1, 0)).take(kept))

    def held_out(self, group: int) -> Interactions:
        """Return the interactions of the held-out users of a group: histories as training, the others as test."""
        every = self.dataset.interactions
        return replace(every, splits=np.where(self.first_half, 0, 2)).take(self.groups[every.users] == group)


def scores(scorer: Scorer, held_out: Interactions) -> dict[str, float]:
    """Return the metrics of the held-out users with a history."""
    result = evaluate_scorer(scorer, held_out, split="test", ks=(10,), unknown_users="exclude")
    return {metric: result.metrics[metric] for metric in METRICS}


def measurements(dataset: Dataset, models: Sequence[str], seed: int, epochs: int) -> Iterator[dict[str, Any]]:
    """Yield one line per method: its metrics on the validation and on the test users."""
    division = Division(dataset, seed)
    without = division.training(with_histories=False)
    yield from baselines(division, without)
    for name in models:
        run = trained(without, name, seed, epochs)
        yield from folded_in(division, run, name)
        again = trained(division.training(with_histories=True), name, seed, epochs)
        users, items = user_item_embeddings(again.model)
        yield line(division, name, "trained with", lambda _, u=users, i=items: inner_product(u, i))


def baselines(division: Division, without: Dataset) -> Iterator[dict[str, Any]]:
    """Yield popularity and item-knn, neither of which is trained."""
    popularity = torch.from_numpy(without.interactions.item_weights("train")).float()
    yield line(division, "popularity", "popularity", lambda _: lambda block: popularity.expand(len(block), -1))
    similarities = ItemKNN(without).similarities
    yield line(
        division,
        "item-knn",
        "exact",
        lambda held_out: (
            lambda block: torch.from_numpy((held_out.matrix("train")[block.numpy()] @ similarities).toarray())
        ),
    )


def folded_in(division: Division, run: Run, name: str) -> Iterator[dict[str, Any]]:
    """Yield fold-in with all settings, and how the lists of trained users differ if they are folded in."""
    interactions = run.dataset.interactions
    popularity = interactions.item_weights("train")
    users, items = (table.detach() for table in user_item_embeddings(run.model))
    own, vectors = inner_product(users, items), Vectors(users, items)
    for settings in SETTINGS:
        item_side = FoldInItems(vectors, popularity, settings)

        def scorer(held_out: Interactions, side: FoldInItems = item_side) -> Scorer:
            return inner_product(side.user_vectors(held_out.matrix("train")), items)

        yield line(division, name, label(settings), scorer) | known(interactions, own, scorer)
    table = propagated_items(run)
    if table is not None:
        norms = (popularity + 1e-7) ** -0.5

        def propagated(held_out: Interactions) -> Scorer:
            return inner_product(torch.from_numpy((held_out.matrix("train") * norms) @ table).float(), items)

        yield line(division, name, "propagation", propagated) | known(interactions, own, propagated)


def propagated_items(run: Run) -> ndarray | None:
    """Return the vectors that a propagating model adds up for a user: (X + MX + ... + M^(L-1) X) of the items."""
    model = run.model
    if not isinstance(model, (LightGCN, FREEDOM)):
        return None
    sums = propagate(model.graph.full, model.nodes.detach(), model.config.n_layers - 1, reduce="sum")
    table: ndarray = sums[model.sizes[0] :].double().numpy()
    return table


def known(interactions: Interactions, own: Scorer, fold: Callable[[Interactions], Scorer]) -> dict[str, float]:
    """Return how lists of trained users change if their vectors are folded in, for at most a thousand of them.

    ``overlap`` is the fraction of the ten best items that stays; the others are Recall@10 on validation interactions.
    """
    users = np.unique(interactions.indices("train")[0])
    users = np.sort(np.random.default_rng(0).permutation(users)[:N_KNOWN])
    some = interactions.take(np.isin(interactions.users, users))
    scorers = (own, fold(some))
    rankings = [rank(score, torch.from_numpy(users).long(), 10, some.matrix("train")).items for score in scorers]
    overlap = (rankings[0][:, :, None] == rankings[1][:, None, :]).any(dim=2).double().mean()
    recalls = [evaluate_scorer(score, some, ks=(10,)).metrics["recall@10"] for score in scorers]
    return {"overlap": float(overlap), "known recall@10": recalls[0], "folded recall@10": recalls[1]}


def line(division: Division, model: str, method: str, scorer: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return one measurement; ``scorer`` makes a scorer of the held-out interactions."""
    valid, test = (scores(scorer(held_out), held_out) for held_out in map(division.held_out, (1, 2)))
    return {
        "data": division.dataset.name,
        "seed": division.seed,
        "model": model,
        "method": method,
        "valid": valid,
        "test": test,
    }


def label(settings: FoldIn) -> str:
    """Return a method and its settings in words."""
    if settings.method == "mean":
        return f"mean p={settings.popularity_exponent:g}"
    return f"least-squares a={settings.unobserved_weight:g} l={settings.reg_weight:g}"


def trained(dataset: Dataset, model: str, seed: int, epochs: int) -> Run:
    """Return a run by plain training."""
    training = flatrec.Training(epochs=epochs, patience=10, loggers=())
    evaluation = flatrec.Evaluation(ks=(10, 20))
    return flatrec.fit(
        dataset,
        model,
        "plain",
        optimizer_settings={"lr": 0.005},
        regularization=flatrec.Regularization(kind="default"),
        training=training,
        evaluation=evaluation,
        seed=seed,
    )


def table(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a Markdown table per data set and model: the methods, those of a family chosen on the validation users."""
    for data, model in dict.fromkeys((one["data"], one["model"]) for one in lines):
        here = [one for one in lines if (one["data"], one["model"]) == (data, model)]
        yield f"\n{data}, {model}\n\n| method | recall@10 | ndcg@10 | to popularity, p | to trained with, p | overlap |"
        yield "|---|---|---|---|---|---|"
        popularity = by_seed(lines, data, "popularity", "popularity")
        ceiling = by_seed(lines, data, model, "trained with")
        for method in chosen(here):
            values = by_seed(here, data, model, method)
            cells = ["{:.4f} ± {:.4f}".format(*spread([one["test"][metric] for one in values])) for metric in METRICS]
            gaps = [difference(values, other) for other in (popularity, ceiling)]
            shared = [one["overlap"] for one in values if "overlap" in one]
            overlap = f" {fmean(shared):.3f}" if shared else ""
            yield f"| {method} | {' | '.join([*cells, *gaps])} |{overlap} |"


def chosen(here: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the methods of a model; of each family the settings with the best NDCG on the validation users."""
    means: dict[str, dict[str, float]] = {}
    for method in dict.fromkeys(one["method"] for one in here):
        values = [one["valid"]["ndcg@10"] for one in here if one["method"] == method]
        means.setdefault(method.split()[0], {})[method] = fmean(values)
    for family in means.values():
        yield max(family, key=lambda method: family[method])


def by_seed(lines: Sequence[dict[str, Any]], data: str, model: str, method: str) -> list[dict[str, Any]]:
    """Return the measurements of a method in the order of seeds."""
    wanted = [one for one in lines if (one["data"], one["model"], one["method"]) == (data, model, method)]
    return sorted(wanted, key=lambda one: one["seed"])


def difference(values: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> str:
    """Return the paired difference in Recall@10 with its deviation and p."""
    if len(values) != len(others):
        return ""
    left, right = ([one["test"]["recall@10"] for one in side] for side in (values, others))
    p = paired_test(left, right).t_p
    mean, deviation = spread(np.subtract(left, right).tolist())
    return f"{mean:+.4f} ± {deviation:.4f}" + ("" if p is None else f", {p:.2g}")


def common_setting(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the settings of fold-in by NDCG@10 on validation users, relative to the best of each data set and model."""
    cells: dict[str, dict[tuple[str, str], float]] = {}
    for one in lines:
        if "overlap" in one and one["method"] != "propagation":
            cells.setdefault(one["method"], {}).setdefault((one["data"], one["model"]), 0.0)
            cells[one["method"]][one["data"], one["model"]] += one["valid"]["ndcg@10"]
    best = {key: max(of[key] for of in cells.values()) for key in next(iter(cells.values()))}
    relative = {method: {key: of[key] / best[key] for key in best} for method, of in cells.items()}
    for method in sorted(relative, key=lambda method: -fmean(relative[method].values())):
        values = relative[method].values()
        yield f"{method}: mean {fmean(values):.3f}, {', '.join(f'{value:.3f}' for value in values)}"


def main() -> None:
    """Measure, or print tables of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="Measure; one JSON line per method is appended.")
    run.add_argument("--data", required=True)
    run.add_argument("--models", required=True)
    run.add_argument("--seeds", default="0,1,2,3,4")
    run.add_argument("--epochs", type=int, default=100)
    run.add_argument("--out", type=Path, required=True)
    show = commands.add_parser("table", help="Print Markdown tables.")
    show.add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "table":
        lines = [json.loads(row) for file in arguments.files for row in file.read_text(encoding="utf-8").splitlines()]
        print("\n".join([*table(lines), "", *common_setting(lines)]))  # noqa: T201 - a script
        return
    dataset = flatrec.load_data(arguments.data)
    for seed in map(int, arguments.seeds.split(",")):
        for measured in measurements(dataset, arguments.models.split(","), seed, arguments.epochs):
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
