"""From TOML text and ``--set key=value`` to an experiment, and back."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from flatrec.config.base import Config, SettingError, plain_value, stated_settings, validate
from flatrec.config.experiment import WITHOUT_WEIGHT, Component, Experiment, Regularization, settings_tree
from flatrec.config.old_words import unknown_setting
from flatrec.config.split import SplitSettings


def read(path: Path) -> Experiment:
    """An experiment from a TOML file; one that a run recorded, which ends in a digest, is complete.

    A recorded file cannot be edited, so that a former name in it that changes no number is read as the one of today.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not TOML, an unknown key, or a value of the wrong type or out of range.
    """
    from flatrec.utils.integrity import COMMENT  # which imports numpy, as help and lists do not

    if not path.is_file():
        raise FileNotFoundError(f"there is no experiment file {path}; give the path of a .toml file")
    tree = toml_tree(path)
    is_recorded = COMMENT in path.read_text(encoding="utf-8")
    try:
        experiment = changed(Experiment(), _with_loggers(tree) if is_recorded else tree)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return experiment.completed() if is_recorded else experiment


def _with_loggers(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What a run recorded, with ``training.loggers`` where it has ``training.tensorboard``, the former name."""
    training = tree.get("training")
    if not isinstance(training, Mapping) or "tensorboard" not in training:
        return dict(tree)
    others = {name: value for name, value in training.items() if name != "tensorboard"}
    return {**tree, "training": {"loggers": ["tensorboard"] if training["tensorboard"] else [], **others}}


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
    return tomli_w.dumps(settings_tree(experiment))


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

    Naming another model, strategy, optimizer or method of splitting than before drops the settings of the former one,
    and a kind of penalty without a weight drops the weight. What stood in the tree counts as stated.

    Raises:
        ValueError: an unknown key, or a value of the wrong type or out of range.
    """
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in Experiment.model_fields:
            raise ValueError(unknown_setting(key, list(Experiment.model_fields)))
        before = getattr(experiment, key)
        if isinstance(before, Component):
            values[key] = _component(before, key, value)
        elif isinstance(before, SplitSettings) and isinstance(value, Mapping):
            values[key] = validate(SplitSettings, value, key).over(before)
        elif isinstance(before, Config) and isinstance(value, Mapping):
            values[key] = validate(type(before), _merged(before, value), key)
        else:
            values[key] = value
    return experiment.replace(**values)


def _merged(before: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """What was stated before with the values put in, group by group."""
    merged = {**stated_settings(before), **values}
    for name, value in values.items():
        group = getattr(before, name, None)
        if isinstance(value, Mapping) and isinstance(group, Config):
            merged[name] = _merged(group, value)
    if isinstance(before, Regularization) and values.get("kind") in WITHOUT_WEIGHT and "weight" not in values:
        merged.pop("weight", None)
    return merged


def _component(before: Component, key: str, values: object) -> Component:
    if not isinstance(values, Mapping):
        raise SettingError(key, f" is a group of settings, such as {key}.name, but is {values!r}")
    name = values.get("name", before.name)
    if not isinstance(name, str):
        raise SettingError(f"{key}.name", f" must be a string, but is {name!r}")
    options = {option: value for option, value in values.items() if option != "name"}
    options = {option: plain_value(value) for option, value in options.items()}
    for option, value in options.items():
        if not isinstance(value, (bool, int, float, str, tuple)):
            text = f" must be a number, true, false, a string or a list, but is {value!r}"
            raise SettingError(f"{key}.{option}", text)
    options = {**(before.options if name == before.name else {}), **options}
    return Component(name, options, named=before.named or "name" in values)
