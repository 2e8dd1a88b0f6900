"""Methods of splitting a log of events into training, validation and test."""

from flatrec.data.splitting.report import SplitReport
from flatrec.data.splitting.split_log import METHODS, split_log

__all__ = ["METHODS", "SplitReport", "split_log"]
