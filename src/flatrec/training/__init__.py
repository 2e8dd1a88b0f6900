"""The epoch loop and what it writes; knows no evaluator, only a function that validates."""

from flatrec.training.records import EpochRecord, Observer
from flatrec.training.tensorboard import TensorBoard
from flatrec.training.trainer import DivergedError, Trained, Trainer

__all__ = ["DivergedError", "EpochRecord", "Observer", "TensorBoard", "Trained", "Trainer"]
