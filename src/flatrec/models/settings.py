"""Checks of a model's settings, made where it is constructed."""

from __future__ import annotations

MOST_LAYERS = 100  # deeper than any graph is wide: a slip, which would train for ever


def at_least(minimum: int, **settings: int | float) -> None:
    """Refuse settings below a minimum, NaN, and more layers (of any kind, by name) than make sense.

    Raises:
        ValueError: one is.
    """
    for name, value in settings.items():
        if not value >= minimum:
            raise ValueError(f"{name} must be at least {minimum}, but is {value}")
        if name.endswith("layers") and value > MOST_LAYERS:
            raise ValueError(f"{name} must be at most {MOST_LAYERS}, but is {value}")


def positive(**settings: int | float) -> None:
    """Refuse settings that are not above 0.

    Raises:
        ValueError: one is not.
    """
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, but is {value}")


def share(**settings: int | float) -> None:
    """Refuse settings outside [0, 1].

    Raises:
        ValueError: one is.
    """
    for name, value in settings.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], but is {value}")


def rate(**settings: int | float) -> None:
    """Refuse settings outside [0, 1): what is dropped or left out, never all.

    Raises:
        ValueError: one is.
    """
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must lie in [0, 1), but is {value}")
