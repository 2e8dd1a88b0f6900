"""A league: models and training methods, tuned by equally many trials, compared on fresh seeds and at equal cost."""

from flatrec.research.league.read import read_league
from flatrec.research.league.season import Finished, read_season, run_league
from flatrec.research.league.spec import Cell, Comparison, League, Method, Plan

__all__ = ["Cell", "Comparison", "Finished", "League", "Method", "Plan", "read_league", "read_season", "run_league"]
