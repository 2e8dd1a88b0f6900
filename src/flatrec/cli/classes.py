"""From what a user calls a model to its class: a name of ours, or a place in the user's own code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from flatrec.config import unknown
from flatrec.models import MODELS, YARDSTICKS, Model, Yardstick
from flatrec.testing.messages import one_line


def trainable_class(name: str) -> type[Model]:
    """The class of a model that trains.

    Args:
        name: one of ``MODELS``, or ``package.module:Class``, or ``path/to/file.py:Class``; the code there is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such name, module or class, or it is not a model that trains.
    """
    if name in MODELS:
        return MODELS[name]
    if name in YARDSTICKS:
        raise ValueError(f"{name} needs no training; nothing to check")
    if name.endswith(".py"):
        raise ValueError(f"{name} is a file; name the class in it too, as {name}:Class")
    place, colon, wanted = name.rpartition(":")
    if not colon or not place or not wanted:
        wrong = unknown("model", name.lower(), list(MODELS)).replace(repr(name.lower()), repr(name), 1)
        raise ValueError(f"{wrong}; or give your own as module:Class or file.py:Class")
    return _checked_class(_imported(place), place, wanted)


def _imported(place: str) -> ModuleType:
    """Import a file or module; what it prints goes to standard error."""
    is_file = place.endswith(".py")
    if is_file and not Path(place).is_file():
        raise FileNotFoundError(f"there is no file {place}; give file.py:Class")
    try:
        with redirect_stdout(sys.stderr):
            return _from_file(Path(place)) if is_file else _from_name(place)
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            raise ValueError(f"there is no module {error.name}; give package.module:Class or file.py:Class") from None
        raise ValueError(f"importing {place} raised {one_line(error)}") from error


def _from_file(path: Path) -> ModuleType:
    _make_importable(path.parent)  # as when the file is run
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    known = sys.modules.setdefault(path.stem, module)  # dataclasses look their module up; a name that is taken stays
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if known is module:
            del sys.modules[path.stem]
        raise
    return module


def _from_name(name: str) -> ModuleType:
    _make_importable(Path())
    return importlib.import_module(name)


def _make_importable(folder: Path) -> None:
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.insert(0, path)


def _checked_class(module: ModuleType, place: str, wanted: str) -> type[Model]:
    found = vars(module).get(wanted)
    if found is None:
        classes = [name for name, one in vars(module).items() if inspect.isclass(one) and issubclass(one, Model)]
        raise ValueError(f"{place}: {unknown('class', wanted, [name for name in classes if name != 'Model'])}")
    if not inspect.isclass(found) or not issubclass(found, (Model, Yardstick)):
        raise ValueError(f"{place}:{wanted} must be a subclass of flatrec.models.Model, but is {_kind(found)}")
    if not issubclass(found, Model):
        raise ValueError(f"{wanted} needs no training; nothing to check")
    return found


def _kind(found: object) -> str:
    if not inspect.isclass(found):
        return f"an object of type {type(found).__name__}"
    return f"a class derived from {', '.join(one.__name__ for one in found.__bases__)}"
