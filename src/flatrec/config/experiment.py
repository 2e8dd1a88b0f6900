"""Settings of an experiment: typed, frozen, read from and written to TOML, unknown keys refused."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_type_hints

import tomli_w
from pydantic import TypeAdapter, ValidationError

from flatrec.utils.messages import unknown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Made = TypeVar("Made")
LARGEST, LARGEST_SEED, LARGEST_FLOAT = 2**31 - 1, 2**63 - 1, 3.4e38  # that settings may be
Option: TypeAlias = bool | int | float | str | Sequence[float]
Options: TypeAlias = Mapping[str, Option]


@dataclass(frozen=True)
class Component:
    """A model, strategy or optimizer by name, with the settings given for it."""

    name: str
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AMR:
    """Adversarial noise on item features in training; see :class:`flatrec.models.adversarial.Adversarial`.

    Args:
        epsilon: length of the noise on an item's features of one modality, at least 0; 0 for no noise.
        weight: what the loss under noise counts beside the loss without, at least 0.

    Raises:
        ValueError: a value is out of range.
    """

    epsilon: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and at least 0, but is {value}")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How long and in what portions to train.

    Args:
        epochs: at most so many; exactly so many where ``select`` is ``last``.
        batch_size: training pairs a batch.
        patience: stop after so many evaluations in a row without a better epoch.
        evaluate_every: epochs between evaluations.
        monitor: the validation metric that early stopping and the choice of the best epoch look at; of epochs that are
            equal in it, the one with the higher NDCG at the same K is better, then the earlier one. Where the data have
            so few items that it cannot tell epochs apart, :func:`flatrec.runs.selection.monitored` takes a sharper one.
        select: which epoch is kept: the ``best`` on validation, or the ``last``, which needs no validation part and
            takes no notice of ``patience``.
        clip: largest gradient norm that reaches the optimizer; 0 for no limit.
        same_dropout_mask: whether all passes of a step see the same dropout and sampled noise.
        unperturbed: patterns of parameter names, such as ``["features.*"]``, that strategies do not perturb and leave
            out of their norms; they are trained all the same.
        grad_accumulation_steps: portions in which the gradient of a batch is taken, for less memory; one update all the
            same.
        second_batch: where the second batch of a mixed strategy comes from: from an ``independent``, second shuffled
            pass, so that an epoch makes as many updates as a plain one and reads every interaction twice, or from a
            ``split`` of one pass, whose successive batches are taken in turn, so that it makes half as many updates.
        precision: what matrix products are computed in; parameters and gradients stay float32. ``float16`` has a narrow
            range, which LGMRec overflows; ``bfloat16`` does for every model.
        checkpoint_every: epochs between checkpoints.
        tensorboard: whether a run folder gets TensorBoard curves.
        amr: adversarial noise on item features, for any model that reads some and with any strategy; off by default.

    Raises:
        ValueError: a value is out of range.
    """

    epochs: int = 1000
    batch_size: int = 2048
    patience: int = 20
    evaluate_every: int = 1
    monitor: str = "recall@20"
    select: Literal["best", "last"] = "best"
    max_grad_norm: float = 0.0
    same_dropout_mask: bool = True
    perturb_exclude: tuple[str, ...] = ()
    grad_accumulation_steps: int = 1
    second_batch: Literal["independent", "split"] = "independent"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    checkpoint_every: int = 1
    tensorboard: bool = True
    amr: AMR = AMR()

    def __post_init__(self) -> None:
        for name in (
            "epochs",
            "batch_size",
            "patience",
            "evaluate_every",
            "grad_accumulation_steps",
            "checkpoint_every",
        ):
            if not 1 <= getattr(self, name) <= LARGEST:
                bound = "at least 1" if getattr(self, name) < 1 else f"at most {LARGEST}"
                raise ValueError(f"{name} must be {bound}, but is {_shown(getattr(self, name))}")
        if not self.max_grad_norm >= 0:
            raise ValueError(f"max_grad_norm must be at least 0, but is {self.max_grad_norm}")

    @property
    def tie_breaker(self) -> str:
        """The metric by which epochs of equal validation score are compared: NDCG at the K of the monitored one."""
        return f"ndcg@{self.monitor.partition('@')[2]}"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is measured.

    Args:
        cuts: the list lengths K.
        mask: what is never recommended: ``train`` as in the field's libraries, or ``train+valid``, which leaves
            out validation pairs too when the test part is scored.

    Raises:
        ValueError: a cut is not a positive whole number, or is too large.
    """

    ks: tuple[int, ...] = (5, 10, 20)
    mask: Literal["train", "train+valid"] = "train"

    def __post_init__(self) -> None:
        if not self.ks:
            raise ValueError("cuts must be positive whole numbers such as [5, 10], but there is none")
        for cut in (min(self.ks), max(self.ks)):
            if not 1 <= cut <= LARGEST:
                bound = "positive whole numbers such as [5, 10]" if cut < 1 else f"at most {LARGEST}"
                raise ValueError(f"cuts must be {bound}, but one is {_shown(cut)}")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides a run; equal experiments on one machine give equal bits.

    Args:
        data: a path that :func:`flatrec.load_data` reads, or ``shop``.
        model: which model, with which settings.
        strategy: which strategy; a ``+`` at the end of its name mixes it.
        optimizer: which base optimizer.
        training: length and portions.
        evaluation: what is measured.
        seed: decides initial parameters, batches, negatives, thinned graphs and noise.
        device: ``auto`` is CUDA where there is one.
    """

    data: str = "shop"
    model: Component = Component("freedom")
    strategy: Component = Component("bsam+")
    optimizer: Component = Component("adam")
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"


_COMPONENTS = ("model", "strategy", "optimizer")
_TOP = ("data", "seed", "device")


def read(path: Path) -> Experiment:
    """An experiment from a TOML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not TOML, an unknown key, or a value of the wrong type or out of range.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no experiment file {path}; give the path of a .toml file")
    tree = toml_tree(path)
    try:
        return changed(Experiment(), tree)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def toml_tree(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        ValueError: it is not UTF-8 text, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from None
    except RecursionError:
        raise ValueError(f"{path} is not a TOML file of settings: it is nested too deeply") from None


def write(experiment: Experiment) -> str:
    """The experiment as TOML text; :func:`read` gives it back."""
    return tomli_w.dumps(_tree(experiment))


def settings(experiment: Experiment) -> dict[str, Any]:
    """Every setting by its dotted name, such as ``strategy.rho``."""
    return dict(_leaves(_tree(experiment)))


def _tree(experiment: Experiment) -> dict[str, Any]:
    tree: dict[str, Any] = {key: getattr(experiment, key) for key in _TOP}
    for key in _COMPONENTS:
        component: Component = getattr(experiment, key)
        tree[key] = {"name": component.name, **component.options}
    return tree | {"training": asdict(experiment.training), "evaluation": asdict(experiment.evaluation)}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def assignment(text: str) -> dict[str, Any]:
    """``optimizer.lr=0.001`` as a tree; the value is read as TOML, and as a plain string where it is not.

    Raises:
        ValueError: not of the form key=value.
    """
    path, equals, value = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys) or "\n" in text:
        raise ValueError(f"--set takes key=value, such as optimizer.lr=0.001, but got {text!r}")
    try:
        leaf: Any = tomllib.loads(f"value = {value.strip()}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        leaf = value.strip()
    if not isinstance(leaf, (bool, int, float, str, list)):
        leaf = value.strip()  # what TOML takes for a date or a table is a name here
    return nested(keys, leaf)


def nested(keys: Sequence[str], value: object) -> dict[str, Any]:
    """A value within groups of settings, the outermost first."""
    for key in reversed(keys):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def changed(experiment: Experiment, tree: Mapping[str, Any]) -> Experiment:
    """The experiment with the values of a tree put in.

    Naming another model, strategy or optimizer than before drops the settings given for the former one.

    Raises:
        ValueError: an unknown key, or a value of the wrong type or out of range.
    """
    known = [*_TOP, *_COMPONENTS, "training", "evaluation"]
    hints = get_type_hints(Experiment)
    values: dict[str, Any] = {key: getattr(experiment, key) for key in known}
    for key, value in tree.items():
        if key not in known:
            raise ValueError(unknown("setting", key, known))
        if key in _TOP:
            values[key] = _checked(value, hints[key], key)
        elif not isinstance(value, Mapping):
            raise ValueError(f"{key} is a group of settings, such as {key}.{_example(key)}, but is {value!r}")
        elif key in _COMPONENTS:
            values[key] = _component(values[key], key, value)
        else:
            values[key] = build(type(values[key]), _merged(asdict(values[key]), value), key)
    return Experiment(**values)


def _merged(before: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The one with the values of the other put in, group by group."""
    merged = {**before, **values}
    for name, value in values.items():
        if isinstance(value, Mapping) and isinstance(before.get(name), Mapping):
            merged[name] = _merged(before[name], value)
    return merged


def _component(before: Component, key: str, values: Mapping[str, Any]) -> Component:
    name = values.get("name", before.name)
    if not isinstance(name, str):
        raise ValueError(f"{key}.name must be a string, but is {name!r}")
    options = {option: value for option, value in values.items() if option != "name"}
    options = {option: tuple(value) if isinstance(value, list) else value for option, value in options.items()}
    for option, value in options.items():
        if not isinstance(value, (bool, int, float, str, tuple)):
            raise ValueError(f"{key}.{option} must be a number, true, false, a string or a list, but is {value!r}")
    return Component(name, {**(before.options if name == before.name else {}), **options})


def build(make: Callable[..., Made], options: Mapping[str, Any], where: str, *first: object) -> Made:
    """Call ``make(*first, **options)`` after checking every option against its signature.

    Args:
        make: a class or function with typed keyword arguments.
        options: values by argument name.
        where: what messages call the group, e.g. ``model``.
        first: positional arguments, unchecked.

    Raises:
        ValueError: an unknown option, a value of the wrong type, or whatever ``make`` refuses.
    """
    checked = arguments(make, options, where, given=len(first))
    try:
        return make(*first, **checked)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def arguments(make: Callable[..., Any], options: Mapping[str, Any], where: str, given: int = 0) -> dict[str, Any]:
    """The options as ``make`` takes them, defaults filled in; ``given`` leading arguments are left out.

    Raises:
        ValueError: an unknown option or a value of the wrong type.
    """
    known = dict(list(inspect.signature(make).parameters.items())[given:])
    # A dataclass inherits fields whose annotations only make sense in the module that declares them.
    plain_class = inspect.isclass(make) and not is_dataclass(make)
    hints = get_type_hints(make.__init__ if plain_class else make)
    for name in options:
        if name not in known:
            raise ValueError(f"{where}: {unknown('setting', name, list(known))}")
    defaults = {name: one.default for name, one in known.items() if one.default is not inspect.Parameter.empty}
    values = {**defaults, **options}
    # Defaults are checked too: a whole number that stands for a float becomes one, as it does when read back.
    return {name: _checked(value, hints.get(name, Any), f"{where}.{name}") for name, value in values.items()}


def _checked(value: object, annotation: Any, where: str) -> Any:  # noqa: ANN401
    if inspect.isclass(annotation) and is_dataclass(annotation):
        return _group(value, annotation, where)
    _check_size(value, where)
    try:
        adapter = TypeAdapter(annotation, config={"arbitrary_types_allowed": True})
        return adapter.validate_python(tuple(value) if isinstance(value, list) else value, strict=True)
    except ValidationError as error:
        wanted = "; or ".join(dict.fromkeys(one["msg"].lower() for one in error.errors()))
        wanted = wanted.replace("a valid tuple", "a list such as [5, 10]")
        raise ValueError(f"{where}: {wanted}, but it is {value!r}") from None


def _check_size(value: object, where: str) -> None:
    """Refuse numbers that nothing could compute with: counts beyond 32 bits, seeds beyond 64, floats beyond float32."""
    for one in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(one, int):
            largest = LARGEST_SEED if where == "seed" else LARGEST
            if not -largest - 1 <= one <= largest:
                raise ValueError(f"{where} must be at most {largest}, with or without a sign, but is {_shown(one)}")
        elif isinstance(one, float) and LARGEST_FLOAT < abs(one) < math.inf:
            raise ValueError(f"{where} must be at most {LARGEST_FLOAT}, with or without a sign, but is {one}")


def _group(value: object, kind: type[Any], where: str) -> Any:  # noqa: ANN401
    """A group of settings within another."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is a group of settings, such as {where}.{fields(kind)[0].name}, but is {value!r}")
    return build(kind, value, where)


def _shown(number: int) -> str:
    """A number, the digits of a very long one by their count."""
    return str(number) if abs(number) < 10**30 else f"one of about {int(number.bit_length() * math.log10(2))} digits"


def _example(key: str) -> str:
    return {"training": "epochs", "evaluation": "ks"}.get(key, "name")
