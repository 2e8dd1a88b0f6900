"""A row of the paper's tables, trained at the paper's settings and shown beside what the paper reports."""

from flatrec.research.reproduction.experiment import paper_experiment
from flatrec.research.reproduction.noise import NoiseReproduction, reproduce_noise
from flatrec.research.reproduction.rows import TABLES, Row, find_row, rows_of
from flatrec.research.reproduction.run import Reproduction, reproduce
from flatrec.research.reproduction.tuned import TunedReproduction, reproduce_tuned
from flatrec.research.reproduction.tuned_league import tuned_league

__all__ = [
    "TABLES",
    "NoiseReproduction",
    "Reproduction",
    "Row",
    "TunedReproduction",
    "find_row",
    "paper_experiment",
    "reproduce",
    "reproduce_noise",
    "reproduce_tuned",
    "rows_of",
    "tuned_league",
]
