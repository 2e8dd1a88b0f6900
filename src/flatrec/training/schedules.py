"""Learning-rate schedules by name: those of torch.optim.lr_scheduler that count epochs alone, and a linear warm-up."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from typing import Any, cast, get_type_hints

import torch
from pydantic import create_model
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from flatrec.config import Config
from flatrec.config.generated import Generated
from flatrec.training.torch_classes import classes_by_name
from flatrec.utils.messages import unknown

CONSTANT = "constant"
# The first two are bases; the others need functions, other schedulers or a metric, which settings cannot give.
_UNSUITABLE = {
    "LRScheduler",
    "_LRScheduler",
    "LambdaLR",
    "MultiplicativeLR",
    "SequentialLR",
    "ChainedScheduler",
    "ReduceLROnPlateau",
}
_NO_SETTINGS = {"optimizer", "last_epoch", "verbose", "scale_fn"}
_TYPES: dict[Any, Any] = {Iterable[int]: tuple[int, ...], float | list[float]: float}  # as a file can hold them


class Constant(Config):
    """The settings of a constant learning rate: none."""


def names() -> dict[str, type[LRScheduler]]:
    """Return every suitable schedule of the installed torch, by lower-case name; ``constant`` is none of torch's."""
    return classes_by_name(torch.optim.lr_scheduler, LRScheduler, _UNSUITABLE)


def config_class(name: str) -> type[Config]:
    """The settings of a schedule: the arguments of its constructor in the installed torch that a file can hold.

    Raises:
        ValueError: there is no such schedule.
    """
    if name == CONSTANT:
        return Constant
    known = names()
    if name not in known:
        raise ValueError(unknown("schedule", name, [CONSTANT, *known]))
    return _config_of(cast("Hashable", known[name]))


@cache
def _config_of(kind: type[LRScheduler]) -> type[Config]:
    # torch imports these names for type checkers alone
    hints = get_type_hints(kind.__init__, localns={"Callable": Callable, "Iterable": Iterable, "Sequence": Sequence})
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.name not in _NO_SETTINGS:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            hint = hints.get(parameter.name, Any)
            fields[parameter.name] = (next((to for of, to in _TYPES.items() if of == hint), hint), default)
    generated: type[Generated] = create_model(f"{kind.__name__}Config", __base__=Generated, **fields)
    generated.SOURCE = kind
    return generated


class LearningRate:
    """The learning rate of every step: a schedule over epochs, times a linear warm-up over steps.

    The first epoch has the first rate of the schedule, and each further one that of one ``step()`` of torch's class
    more. Step k of a training whose warm-up has w steps has min(1, k / w) of it. Both follow from epoch and step: what
    was stopped goes on with the same rates, without any state. Momentum, where a class moves it too, follows the epoch.

    Args:
        optimizer: its groups get the rates.
        name: of the schedule, as in :func:`names`; or ``constant``.
        config: the settings of the schedule.
        warmup: length of the warm-up in epochs, at least 0.
        epochs: largest number of epochs.

    Raises:
        ValueError: torch refuses a setting, or the schedule ends before training does.
    """

    def __init__(self, optimizer: Optimizer, name: str, config: Config, *, warmup: float, epochs: int) -> None:
        self.optimizer, self.warmup = optimizer, warmup
        self._scheduler: LRScheduler | None = None
        if name != CONSTANT:
            try:
                self._scheduler = names()[name](optimizer, **dict(config))
            except (ValueError, TypeError) as error:
                raise ValueError(f"schedule {name}: {error}") from None
        total = (
            self._scheduler.total_steps if isinstance(self._scheduler, torch.optim.lr_scheduler.OneCycleLR) else epochs
        )
        if total < epochs:
            raise ValueError(
                f"schedule {name} ends after {total} epochs, but training.epochs is {epochs}; set schedule.total_steps "
                "to as many"
            )
        self._epoch = 1  # the epoch of the rates below
        self._rates = self._of_groups()

    def set(self, epoch: int, step: int, steps: int) -> None:
        """Give the optimizer the learning rate of a step.

        Args:
            epoch: number of the epoch, from 1; never less than before.
            step: number of the step in the epoch, from 1.
            steps: number of steps per epoch.
        """
        self._advance(epoch)
        length = self.warmup * steps
        done = (epoch - 1) * steps + step
        factor = done / length if done < length else 1.0
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _advance(self, epoch: int) -> None:
        if self._scheduler is None or epoch == self._epoch:
            return
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate  # torch's classes go on from it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a resumed training has made no step in this process
            while self._epoch < epoch:
                self._scheduler.step()
                self._epoch += 1
        self._rates = self._of_groups()

    def _of_groups(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]
