"""Running means of the weights over training: EMA, SWA and ASWA."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor, nn

from flatrec.config import Training
from flatrec.ops.foreach import foreach
from flatrec.training import checkpoint as checkpoints

Metrics: TypeAlias = Mapping[str, float]
COUNT = "count"


class Average(ABC):
    """A mean of the trainable parameters of a model; buffers are not averaged.

    No method computes a gradient. The mean exists once the epochs before it are over and the first weights have joined.

    Args:
        model: the model that is trained.
        start: number of epochs that are trained before averaging begins, at least 0.
    """

    def __init__(self, model: nn.Module, start: int) -> None:
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.names = [name for name, _ in named]
        self.params: list[nn.Parameter] = [parameter for _, parameter in named]
        self.start = start
        self.mean: list[Tensor] = []  # empty before averaging begins
        self.count = 0  # how many weights have joined the mean

    def on_epoch_start(self, epoch: int) -> None:  # noqa: B027
        """Before the first step of an epoch; epochs are numbered from 1."""

    def on_update(self) -> None:  # noqa: B027
        """After an update of the parameters; a step that was skipped updates nothing."""

    def on_epoch_end(self, epoch: int) -> None:  # noqa: B027
        """After the last step of an epoch, before its evaluation."""

    @abstractmethod
    def evaluated(self, epoch: int, score: Callable[[], Metrics], last: Metrics) -> Metrics:
        """Return the metrics of the mean after an epoch; none before averaging begins.

        Args:
            epoch: the epoch whose weights are the parameters now.
            score: measures the model as it is.
            last: the metrics of the mean at the evaluation before; empty if there was none.
        """

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context manager in which the parameters have the values of the mean, if there is one."""
        values = [parameter.data for parameter in self.params]
        try:
            for parameter, mean in zip(self.params, self.mean or values, strict=True):
                parameter.data = mean
            yield
        finally:
            for parameter, value in zip(self.params, values, strict=True):
                parameter.data = value

    def state(self) -> dict[str, Tensor]:
        """Return the mean by the names of the parameters, and the count; of the mean nothing before it exists."""
        mean = {f"mean.{name}": tensor for name, tensor in zip(self.names, self.mean, strict=False)}
        return {COUNT: torch.tensor(self.count), **mean}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Load what :meth:`state` returned.

        Raises:
            ValueError: it is not that of a mean over this model, or a value is not finite.
        """
        expected = {COUNT: torch.tensor(0)}
        if len(state) > 1:
            expected |= {f"mean.{name}": param.detach() for name, param in zip(self.names, self.params, strict=True)}
        checkpoints.check_alike(state, expected, "the average")
        checkpoints.check_finite(state, "the average")
        self.count = int(state[COUNT])
        self.mean = [state[name].clone() for name in expected if name != COUNT]

    def _with(self, count: int) -> list[Tensor]:
        """The mean of ``count`` weights that the mean becomes when the parameters join it."""
        values = [parameter.detach() for parameter in self.params]
        if count == 1:
            return [value.clone() for value in values]
        return foreach("lerp", self.mean, values, 1 / count)


class _Unconditional(Average):
    """A mean that is what it is, whatever its score."""

    def evaluated(self, epoch: int, score: Callable[[], Metrics], last: Metrics) -> Metrics:  # noqa: ARG002
        """Return the metrics of the mean; none before averaging begins."""
        if not self.mean:
            return {}
        with self.applied():
            return score()


class EMA(_Unconditional):
    """Exponential moving average over steps: mean = decay * mean + (1 - decay) * parameters, after each update.

    It begins as a copy of the parameters that ``start`` epochs leave, the initial ones for 0. There is no correction
    for the weight of these: they have decay^t of it after t updates.

    Source: Polyak & Juditsky, SIAM Journal on Control and Optimization 30(4), 1992, for equal means over steps; in this
    exponential form Tarvainen & Valpola, NeurIPS 2017, https://arxiv.org/abs/1703.01780, equation of section 2.

    Args:
        model: the model that is trained.
        start: number of epochs that are trained before averaging begins, at least 0.
        decay: weight of the mean before, in [0, 1).
    """

    def __init__(self, model: nn.Module, start: int, decay: float) -> None:
        super().__init__(model, start)
        self.decay = decay

    def on_epoch_start(self, epoch: int) -> None:
        """Begin with a copy of the parameters when the epochs before averaging are over."""
        if epoch == self.start + 1:
            self.mean, self.count = self._with(1), 1

    def on_update(self) -> None:
        """Move the mean toward the parameters, in place."""
        if self.mean:
            foreach("lerp_", self.mean, [parameter.detach() for parameter in self.params], 1 - self.decay)
            self.count += 1


class SWA(_Unconditional):
    """Stochastic weight averaging: the equal mean of the parameters at the ends of epochs.

    With c = 1 epoch between two weights that join, and the learning rate of the experiment: set ``schedule`` for a
    cyclical or a constant one as in the paper.

    Source: Izmailov et al., UAI 2018, https://arxiv.org/abs/1803.05407, algorithm 1. Batch normalization has nothing to
    be computed again: buffers are those of the last epoch.
    """

    def on_epoch_end(self, epoch: int) -> None:
        """Let the parameters join the mean."""
        if epoch > self.start:
            self.mean, self.count = self._with(self.count + 1), self.count + 1


class ASWA(Average):
    """Adaptive SWA: the parameters at the end of an epoch join the mean only if its validation score gets better.

    The first weights always join. Only epochs that are evaluated can join, and each costs one validation more.

    Source: Demir, Sharma & Ngonga Ngomo, 2024, https://arxiv.org/abs/2406.19092. Their released code also begins the
    mean again with the weights of an epoch that score better than the mean ("hard update"). This is left out: then
    weights that are not averaged would be selected by validation too, and had a second chance. So ``start`` decides
    where the mean begins.

    Args:
        model: the model that is trained.
        start: number of epochs that are trained before averaging begins, at least 0.
        is_better: whether metrics, the first ones, are better than others.
    """

    def __init__(self, model: nn.Module, start: int, is_better: Callable[[Metrics, Metrics], bool]) -> None:
        super().__init__(model, start)
        self.is_better = is_better

    def evaluated(self, epoch: int, score: Callable[[], Metrics], last: Metrics) -> Metrics:
        """Try the mean with the parameters of an epoch; return the metrics of the mean that is kept."""
        if epoch <= self.start:
            return {}
        before = self.mean
        self.mean = self._with(self.count + 1)
        with self.applied():
            metrics = score()
        if before and not self.is_better(metrics, last):
            self.mean = before
            return last
        self.count += 1
        return metrics


def make_average(model: nn.Module, settings: Training, is_better: Callable[[Metrics, Metrics], bool]) -> Average | None:
    """Return the average that the settings ask for; None for none.

    Args:
        model: the model that is trained.
        settings: the settings of training.
        is_better: whether metrics, the first ones, are better than others.
    """
    match settings.average:
        case "none":
            return None
        case "ema":
            return EMA(model, settings.average_start, settings.average_decay)
        case "swa":
            return SWA(model, settings.average_start)
        case "aswa":
            return ASWA(model, settings.average_start, is_better)
