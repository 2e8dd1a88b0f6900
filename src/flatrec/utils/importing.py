"""Files and modules of the user's own, imported, with the digest of what they hold."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from flatrec.utils.messages import raised, unknown

UNKNOWN = "unknown"  # the digest of a class without a file, as in a notebook


def imported(place: str) -> ModuleType:
    """Import a file or module; what it prints goes to standard error.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such module, or importing it fails.
    """
    is_file = place.endswith(".py")
    if is_file and not Path(place).is_file():
        raise FileNotFoundError(f"there is no file {place}; give file.py:Class")
    try:
        with redirect_stdout(sys.stderr):
            return _from_file(Path(place)) if is_file else _from_name(place)
    except (Exception, SystemExit) as error:  # a stranger's code may raise anything
        if isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            raise ValueError(f"there is no module {error.name}; give package.module:Class or file.py:Class") from None
        raise ValueError(f"importing {place} raised {raised(error)}") from error


def _from_file(path: Path) -> ModuleType:
    """The module of a file, under a name that no other module has; run once for each content."""
    name = f"flatrec_user_{digest(path)}_{re.sub(r'[^0-9a-zA-Z]', '_', path.stem)}"
    known = sys.modules.get(name)
    if known is not None and Path(str(known.__file__)).resolve() == path.resolve():
        return known
    _make_importable(path.parent)  # as when the file is run
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_name(name: str) -> ModuleType:
    _make_importable(Path())
    return importlib.import_module(name)


def _make_importable(folder: Path) -> None:
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.insert(0, path)


def class_of(module: ModuleType, name: str, what: str) -> type:
    """The class of a module by its place.

    Raises:
        ValueError: there is none of that name.
    """
    place, _, wanted = name.rpartition(":")
    found = getattr(module, wanted, None)
    if found is None:
        classes = [name for name, one in vars(module).items() if inspect.isclass(one)]
        own = [name for name in classes if vars(module)[name].__module__ == module.__name__]
        raise ValueError(f"{place}: {unknown('class', wanted, own or classes)}")
    if not isinstance(found, type):
        raise ValueError(f"{name} must be {what}, but is an object of type {type(found).__name__}")
    return found


def file_of(kind: type) -> Path | None:
    """The file that a class is defined in, which may be another than the one that it was found in."""
    return file_of_module(sys.modules.get(kind.__module__))


def file_of_module(module: ModuleType | None) -> Path | None:
    """The file of a module, where it has one."""
    path = getattr(module, "__file__", None)  # what is typed into a prompt has none
    return Path(path) if path is not None and Path(path).is_file() else None


def digest(path: Path | None) -> str:
    """What tells the content of a file from others; ``unknown`` where there is no file."""
    return UNKNOWN if path is None else hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
