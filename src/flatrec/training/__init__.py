"""The epoch loop and the files that it writes; instead of an evaluator it knows only a function that validates."""

from flatrec.training.records import Callback, EpochRecord
from flatrec.training.trainer import DivergedError, FitResult, Trainer

__all__ = ["DivergedError", "EpochRecord", "Callback", "FitResult", "Trainer"]
