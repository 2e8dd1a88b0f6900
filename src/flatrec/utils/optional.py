"""Packages that come with an extra and are imported only where they are needed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Literal, TypeAlias

Extra: TypeAlias = Literal[
    "clip", "dask", "encode", "llm", "plots", "postgresql", "ray", "research", "sql", "tensorboard", "timm"
]

_NEEDED_BY: dict[Extra, str] = {
    "clip": "CLIP encoders need",
    "dask": "the backend dask needs",
    "encode": "encoding texts and images needs",
    "llm": "augment and adjust need",
    "plots": "plots, reports and images need",
    "postgresql": "PostgreSQL databases need",
    "ray": "the backend ray needs",
    "research": "studies and sweeps need",
    "sql": "databases of sweeps need",
    "tensorboard": "TensorBoard curves need",
    "timm": "timm encoders need",
}


def require_extra(module: str, extra: Extra) -> ModuleType:
    """Import a module of an optional package, or say in one line how to install it.

    Args:
        module: name of the module, such as ``sentence_transformers``.
        extra: extra of flatrec that installs the package.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not f"{module}.".startswith(f"{error.name}."):
            raise  # the package is installed, but one that it needs is not
        package = module.partition(".")[0]
        raise ModuleNotFoundError(
            f"{package} is not installed, but {_NEEDED_BY[extra]} it; pip install 'flatrec[{extra}]'",
            name=package,
        ) from None
