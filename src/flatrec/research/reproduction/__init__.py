"""A row of the paper's tables, trained at the paper's settings and shown beside what the paper reports."""

from flatrec.research.reproduction.experiment import paper_experiment
from flatrec.research.reproduction.rows import TABLES, Row, find_row, rows_of
from flatrec.research.reproduction.run import Reproduction, reproduce

__all__ = ["TABLES", "Reproduction", "Row", "find_row", "paper_experiment", "reproduce", "rows_of"]
