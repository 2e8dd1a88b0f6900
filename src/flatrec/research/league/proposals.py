"""The points of a space that trials try: different from one another, and always the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from flatrec.config import Option
from flatrec.research.sweeps.space import Choices, Range, Space, distribution, grid

MAX_REPETITIONS = 1000  # of points that were proposed before, until the first untried one of the grid is taken


def random_points(space: Space, n_points: int, seed: int) -> list[dict[str, Option]]:
    """Return different points of a space, drawn at random; more of them begin with the same ones.

    Args:
        space: settings and their values, with at least ``n_points`` points.
        n_points: number of points.
        seed: seed of the draws.
    """
    return _Proposals(space, RandomSampler(seed=seed), "maximize").all([None] * n_points)


def common_points(space: Space, n_points: int, seed: int) -> list[dict[str, Option]]:
    """Return different points of a space; a setting has the same values in the same trials of every space it is in.

    So methods that share settings, such as the learning rate and the regularization, try the same values of these, and
    no method is ahead because its trials happened to hold a good combination of them. Each value of a list comes once,
    in random order, before one of them comes again. A point that was tried already is replaced by the nearest untried
    one, where the last setting changes first.

    Args:
        space: settings and their values, with at least ``n_points`` points.
        n_points: number of points.
        seed: seed of the draws, the same for all spaces.
    """
    streams = {name: _values(dimension, n_points, f"{seed} {name}") for name, dimension in space.items()}
    seen: set[str] = set()
    points: list[dict[str, Option]] = []
    for number in range(n_points):
        beginnings = {name: stream[number] for name, stream in streams.items()}
        point = next(one for one in _from(space, beginnings) if str(one) not in seen)
        seen.add(str(point))
        points.append(point)
    return points


def _values(dimension: Choices | Range, n_values: int, seed: str) -> list[Option]:
    """Return values of one setting; more of them begin with the same ones."""
    stream = random.Random(seed)  # noqa: S311 - a text as the seed, alike on every machine
    if isinstance(dimension, Range):
        return [_between(dimension, stream.random()) for _ in range(n_values)]
    values: list[Option] = []
    while len(values) < n_values:
        values += stream.sample(dimension.values, len(dimension.values))
    return values[:n_values]


def _between(dimension: Range, fraction: float) -> float:
    """Return the number at a fraction of a range."""
    if dimension.log:
        return float(dimension.low * (dimension.high / dimension.low) ** fraction)
    return dimension.low + (dimension.high - dimension.low) * fraction


def _from(space: Space, beginnings: Mapping[str, Option]) -> Iterator[dict[str, Option]]:
    """Yield all points of the lists of a space, from one on, of which the last setting changes first."""
    lists = [_rotated(space[name], value) for name, value in beginnings.items()]
    yield from (dict(zip(beginnings, values, strict=True)) for values in itertools.product(*lists))


def _rotated(dimension: Choices | Range, first: Option) -> list[Option]:
    if isinstance(dimension, Range):
        return [first]
    position = dimension.values.index(first)
    return [*dimension.values[position:], *dimension.values[:position]]


def next_point(
    space: Space, scores: Sequence[float | None], seed: int, n_trials: int, *, higher_is_better: bool
) -> dict[str, Option]:
    """Return the point that TPE proposes after some trials, whose points follow from seed and scores.

    Half of the trials are drawn at random.

    Args:
        space: settings and their values, with more points than there are scores.
        scores: scores of the trials so far, in their order; None for one that failed.
        seed: seed of the sampler.
        n_trials: number of trials in the end.
        higher_is_better: direction of the score.
    """
    sampler = TPESampler(seed=seed, n_startup_trials=-(-n_trials // 2))
    return _Proposals(space, sampler, "maximize" if higher_is_better else "minimize").all([*scores, None])[-1]


class _Proposals:
    """A study of Optuna in memory, which is asked for points and told their scores."""

    def __init__(self, space: Space, sampler: BaseSampler, direction: Literal["minimize", "maximize"]) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would print that a study was made
        self.space = space
        self.distributions = {name: distribution(dimension) for name, dimension in space.items()}
        self.study = optuna.create_study(sampler=sampler, direction=direction)
        self.seen: set[str] = set()

    def all(self, scores: Sequence[float | None]) -> list[dict[str, Option]]:
        """Return one point per score; the sampler learns each score after it proposed the point."""
        return [self._point(score) for score in scores]

    def _point(self, score: float | None) -> dict[str, Option]:
        for _ in range(MAX_REPETITIONS):
            trial = self.study.ask(self.distributions)
            values = trial.params
            if (key := str(sorted(values.items()))) not in self.seen:
                break
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            return self._untried(score)
        self.seen.add(key)
        if score is None:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, score)
        return _typed(self.space, values)

    def _untried(self, score: float | None) -> dict[str, Option]:
        """Return the first point of the grid that was not proposed yet, where the sampler repeats itself."""
        for point in grid(self.space):
            values = {name: str(value) for name, value in point.items()}
            if (key := str(sorted(values.items()))) not in self.seen:
                self.seen.add(key)
                if score is not None:
                    self.study.add_trial(
                        optuna.trial.create_trial(params=values, distributions=self.distributions, value=score)
                    )
                return point
        raise ValueError("the space has fewer points than trials")


def _typed(space: Space, values: Mapping[str, Option]) -> dict[str, Option]:
    """Return values in the types of their settings; Optuna holds choices as texts."""
    typed: dict[str, Option] = {}
    for name, dimension in space.items():
        by_text = {str(value): value for value in dimension.values} if isinstance(dimension, Choices) else {}
        typed[name] = by_text.get(str(values[name]), values[name])
    return typed
