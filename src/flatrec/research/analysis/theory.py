"""Theorems 2 to 4 of the BSAM paper, measured where the gradient of all data is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from flatrec.data.batches import Batch
from flatrec.evaluation.significance import spread
from flatrec.models.base import Encoded, Model
from flatrec.research.analysis.regression import Regression, check_positive
from flatrec.strategies import BSAM, SAM, Mixed, Plain, SingleBatchStrategy, Strategy
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding

TOLERANCE = 1.1  # a mean over a few seeds may be larger than the rate by this factor
# Strategies that the theorems speak of.
COVERED = ("plain", "plain+", "sam", "sam+", "bsam", "bsam+")


@dataclass(frozen=True)
class Tracking:
    """Distance of BSAM's mean m from the gradient of all data.

    Args:
        learning_rates: gamma of each run.
        lams: lambda at each.
        errors: ||m_t - grad L_S(Theta_t)|| at each, the mean over the last half of the steps.
        slope: slope of log error over log gamma, by least squares; None with a single gamma or an error of 0.
        power: power of gamma in Theorem 2, to compare the slope with.
    """

    learning_rates: tuple[float, ...]
    lams: tuple[float, ...]
    errors: tuple[float, ...]
    slope: float | None
    power: float = 1 / 3


@dataclass(frozen=True)
class ConvergenceRate:
    """Rate at which the gradients of one strategy fall.

    Args:
        strategy: name of the strategy.
        horizons: T, rising.
        measured: (1/T) sum over t of ||grad L_S(Theta_t)||^2 at each T, the mean over the seeds.
        deviations: the sample standard deviation over the seeds at each T.
        bounds: the right-hand side of Theorem 3 or 4 at each T, with the problem's own constants.
        constant: c, so that c log(T) / sqrt(T) is what is measured at the first T.
        rates: c log(T) / sqrt(T) at each T.
        below: True if no measured value is more than 10 % above its rate.
        slope: slope of log measured over log T, by least squares; None with a single T or a value of 0.
        rate_slope: slope of the rates, likewise.
    """

    strategy: str
    horizons: tuple[int, ...]
    measured: tuple[float, ...]
    deviations: tuple[float, ...]
    bounds: tuple[float, ...]
    constant: float
    rates: tuple[float, ...]
    below: bool
    slope: float | None
    rate_slope: float | None


def tracking(
    problem: Regression,
    *,
    learning_rates: Sequence[float] = (0.3, 0.1, 0.03, 0.01, 0.003),
    constant: float = 1.0,
    lam: float | None = None,
    rho: float = 0.05,
    steps: int = 1500,
    batch_size: int = 16,
    seed: int = 0,
) -> Tracking:
    """Theorem 2: with lambda = 1 - C gamma^(2/3), ||m_T - grad L_S(Theta_T)|| is O(gamma^(1/3)) (eq. 10 defines m).

    BSAM itself runs on SGD, from Theta = 0, and each gamma sees the same batches. The theorem speaks of
    T > C' gamma^(-2/3) with C' unknown; m starts at 0 and forgets it as lambda^t, so steps should exceed
    10 / (1 - lambda).

    Args:
        problem: problem whose grad L_S is known.
        learning_rates: gamma, one run each.
        constant: C.
        lam: a fixed lambda instead, such as the 0.6 of the paper's experiments.
        rho: BSAM's radius, which the theorem does not mention.
        steps: T, at least 2.
        batch_size: samples per batch, drawn without repetition at every step; a batch of all samples gives grad L_S.
        seed: seed of the batches.

    Raises:
        ValueError: a number is out of range; so is a lambda below 0, which comes of a large C or gamma.
    """
    check_positive("learning_rates", learning_rates)
    check_positive("constant", [constant])
    if steps < 2:
        raise ValueError(f"steps must be at least 2, but is {steps}")
    lams = [_lam(constant, gamma) if lam is None else lam for gamma in learning_rates]
    errors = []
    for gamma, own in zip(learning_rates, lams, strict=True):
        strategy, batches = BSAM(rho=rho, lam=own), _batches(problem, batch_size, seed)
        run = _run(problem, strategy, batches, learning_rate=gamma, steps=steps)
        gaps = [float(torch.linalg.vector_norm(strategy.mean[0] - gradient)) for gradient in run]
        errors.append(fmean(gaps[steps // 2 :]))
    return Tracking(tuple(learning_rates), tuple(lams), tuple(errors), _slope(learning_rates, errors))


def convergence(
    problem: Regression,
    *,
    strategies: Sequence[str] = ("plain", "sam", "bsam", "bsam+"),
    horizons: Sequence[int] = (64, 128, 256, 512),
    rho0: float = 0.5,
    gamma0: float = 4.0,
    kappa: float = 0.6,
    batch_size: int = 16,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> tuple[ConvergenceRate, ...]:
    """Theorems 3 and 4: the mean over t <= T of E ||grad L_S(Theta_t)||^2 is O(log T / sqrt T).

    With gamma = gamma0 / sqrt(T) <= 1 / beta, rho = rho0 / t and Delta = L_S(Theta_0) - L_S(Theta*), it is at most

        [2 Delta / gamma0 + (2 M (2 kappa^2 - 2 kappa + 1) + (kappa rho0 beta)^2) beta gamma0
         + (kappa rho0 beta)^2 log T] / sqrt T

    by Theorem 4. Theorem 3 is that with kappa = 1, and plain training has rho0 = 0. Each T is a run of its own on
    SGD, from Theta_0 = 0, and t goes over the points where its steps begin. Since the sum of 1 / t^2 is finite, log T
    is more than this rho needs: a measured slope of about -1/2 is to be expected, below that of the rate.

    Args:
        problem: problem whose grad L_S, beta and M are known.
        strategies: any of plain, sam and bsam, with or without a ``+``.
        horizons: T, in any order.
        rho0: the radius at the first step.
        gamma0: the learning rate times sqrt(T).
        kappa: kappa of strategies with a ``+``.
        batch_size: as for :func:`tracking`.
        seeds: seeds of the batches; the expectation is the mean over them.

    Raises:
        ValueError: a number or name is out of range, or a learning rate is above 1 / beta.
    """
    check_positive("gamma0", [gamma0])
    _check_horizons(horizons, gamma0, problem.smoothness())
    if not seeds or not 0 <= rho0 < math.inf:
        raise ValueError(f"seeds must not be empty and rho0 be at least 0, but they are {list(seeds)} and {rho0}")
    cases = [_Case(problem, name, gamma0, rho0=rho0, kappa=kappa, batch_size=batch_size) for name in strategies]
    return tuple(case.measured(sorted(set(horizons)), seeds) for case in cases)


def check_covered(strategy: str) -> None:
    """Make sure that the theorems are proved for a strategy.

    Raises:
        ValueError: they are not.
    """
    if strategy not in COVERED:
        raise ValueError(f"Theorems 3 and 4 cover {', '.join(COVERED)}, but not {strategy!r}; choose among those")


@dataclass(frozen=True)
class _Case:
    """One strategy on one problem, with the schedules of Theorems 3 and 4."""

    problem: Regression
    name: str
    gamma0: float
    rho0: float
    kappa: float
    batch_size: int

    def __post_init__(self) -> None:
        check_covered(self.name)

    def measured(self, horizons: Sequence[int], seeds: Sequence[int]) -> ConvergenceRate:
        """Runs for every horizon and seed, against bound and rate."""
        values = [spread([self._value(one, seed) for seed in seeds]) for one in horizons]
        means, deviations = zip(*values, strict=True)
        shape = [math.log(one) / math.sqrt(one) for one in horizons]
        rates = tuple(means[0] / shape[0] * one for one in shape)
        return ConvergenceRate(
            strategy=self.name,
            horizons=tuple(horizons),
            measured=means,
            deviations=deviations,
            bounds=self._bounds(horizons),
            constant=means[0] / shape[0],
            rates=rates,
            below=all(mean <= TOLERANCE * rate for mean, rate in zip(means, rates, strict=True)),
            slope=_slope(horizons, means),
            rate_slope=_slope(horizons, shape),
        )

    def _strategy(self) -> Strategy:
        inner: SingleBatchStrategy = Plain()
        if "sam" in self.name:
            inner = (BSAM if "bsam" in self.name else SAM)(rho=self.rho0, rho_schedule="inverse")
        return Mixed(inner, kappa=self.kappa) if self.name.endswith("+") else inner

    def _value(self, horizon: int, seed: int) -> float:
        batches, gamma = _batches(self.problem, self.batch_size, seed), self.gamma0 / math.sqrt(horizon)
        run = _run(self.problem, self._strategy(), batches, learning_rate=gamma, steps=horizon)
        return fmean(float(gradient.dot(gradient)) for gradient in run)

    def _bounds(self, horizons: Sequence[int]) -> tuple[float, ...]:
        beta, noise = self.problem.smoothness(), self.problem.variance(self.batch_size)
        kappa = self.kappa if self.name.endswith("+") else 1.0
        ascent = (kappa * self.rho0 * beta) ** 2 if "sam" in self.name else 0.0
        delta = float(self.problem.loss(torch.zeros_like(self.problem.features[0]))) - self.problem.lowest_loss()
        constant = 2 * delta / self.gamma0
        constant += (2 * noise * (2 * kappa**2 - 2 * kappa + 1) + ascent) * beta * self.gamma0
        return tuple((constant + ascent * math.log(one)) / math.sqrt(one) for one in horizons)


class _RegressionModel(Model):
    """The regression as a model; its batches name samples as users."""

    def __init__(self, problem: Regression) -> None:
        nn.Module.__init__(self)  # there is no data set
        self.problem = problem
        self.theta = nn.Parameter(torch.zeros_like(problem.features[0]))

    def encode(self) -> Encoded:
        return Encoded(self.theta[:, None])

    def loss_terms(self, encoded: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        return {"loss": self.problem.loss(encoded.node_embeddings[:, 0], batch.users)}

    def user_item_embeddings(self, encoded: Encoded) -> tuple[Float[Tensor, "dim 1"], Float[Tensor, "dim 1"]]:
        return encoded.node_embeddings, encoded.node_embeddings


def _run(
    problem: Regression, strategy: Strategy, batches: Iterator[Batch], *, learning_rate: float, steps: int
) -> Iterator[Float[Tensor, "dim"]]:
    """Train, and after each step yield grad L_S where it began, which is where the strategy took its gradient."""
    model = _RegressionModel(problem)
    # The loss draws no noise to replay, and torch's global generators are left alone.
    context = TrainStepContext(model, torch.optim.SGD(model.parameters(), lr=learning_rate), same_dropout_mask=False)
    for _ in range(steps):
        gradient = problem.gradient(model.theta.detach())
        strategy.step(context, *islice(batches, strategy.batches_per_step))
        yield gradient


def _batches(problem: Regression, batch_size: int, seed: int) -> Iterator[Batch]:
    n_samples = len(problem.labels)
    if not 1 <= batch_size <= n_samples:
        raise ValueError(f"batch_size must lie between 1 and the {n_samples} samples, but is {batch_size}")
    stream = seeding.generator(seed, "samples of a regression")
    orders = (torch.randperm(n_samples, generator=stream)[:batch_size] for _ in count())
    return (Batch(order, order, order[:, None]) for order in orders)


def _slope(sizes: Sequence[int] | Sequence[float], values: Sequence[float]) -> float | None:
    if len(set(sizes)) < 2 or min(values) <= 0:
        return None
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def _lam(constant: float, gamma: float) -> float:
    lam = 1 - constant * math.pow(gamma, 2 / 3)
    if lam < 0:
        raise ValueError(f"lambda = 1 - {constant} * {gamma}^(2/3) must not be below 0, but is {lam:.3g}; lower either")
    return lam


def _check_horizons(horizons: Sequence[int], gamma0: float, beta: float) -> None:
    least = min(horizons, default=0)
    if least < 2:
        raise ValueError(f"horizons must be at least 2, as log(T) / sqrt(T) is 0 at 1, but are {list(horizons)}")
    if gamma0 / math.sqrt(least) > 1 / beta:
        raise ValueError(
            f"gamma0 must be at most sqrt(T) / beta = {math.sqrt(least) / beta:.3g} at T = {least}, "
            f"but is {gamma0}; lower it or raise T"
        )
