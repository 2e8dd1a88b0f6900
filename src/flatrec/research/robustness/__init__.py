"""Robustness of trained recommenders, or of anybody's vectors: how much they lose when something is disturbed."""

from flatrec.research.robustness.card import RobustnessCard, measure
from flatrec.research.robustness.gate import Gate, parse_gate
from flatrec.research.robustness.subject import Subject, read_vectors

__all__ = ["Gate", "RobustnessCard", "Subject", "measure", "parse_gate", "read_vectors"]
