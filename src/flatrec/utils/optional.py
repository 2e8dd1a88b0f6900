"""Packages that come with an extra and are imported only where they are needed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Literal, TypeAlias

Extra: TypeAlias = Literal[
    "ann",
    "clip",
    "dask",
    "encode",
    "hub",
    "llm",
    "mlflow",
    "plots",
    "postgresql",
    "ray",
    "research",
    "serve",
    "sql",
    "tensorboard",
    "timm",
    "wandb",
]

_NEEDED_BY: dict[Extra, str] = {
    "ann": "approximate indexes of large catalogs need",
    "clip": "CLIP encoders need",
    "dask": "the backend dask needs",
    "encode": "encoding texts and images needs",
    "hub": "push and pull need",
    "llm": "augment and adjust need",
    "mlflow": "the logger mlflow needs",
    "plots": "figures and reports need",
    "postgresql": "PostgreSQL databases need",
    "ray": "the backend ray needs",
    "research": "studies, sweeps, reports, the demo and --shards need",
    "serve": "the service needs",
    "sql": "databases need",
    "tensorboard": "TensorBoard curves need",
    "timm": "timm encoders need",
    "wandb": "the logger wandb needs",
}
_EXTRAS: dict[str, Extra] = {  # by package, for imports at the top of modules of research and serve
    "httpx2": "hub",
    "huggingface_hub": "hub",
    "jinja2": "research",
    "joblib": "research",
    "matplotlib": "research",
    "msgspec": "serve",
    "optuna": "research",
    "prometheus_client": "serve",
    "sqlalchemy": "research",
    "starlette": "serve",
    "uvicorn": "serve",
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
        raise ModuleNotFoundError(_advice(package, extra)) from None


def explain_missing(error: ModuleNotFoundError) -> str:
    """Say in one line which extra installs the module that an import did not find."""
    package = (error.name or "").partition(".")[0]
    return _advice(package, _EXTRAS[package]) if package in _EXTRAS else str(error)


def _advice(package: str, extra: Extra) -> str:
    return f"{package} is not installed, but {_NEEDED_BY[extra]} it; pip install 'flatrec[{extra}]'"
