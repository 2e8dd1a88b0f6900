"""Methods of splitting a log of events into training, validation and test."""

from flatrec.data.splitting.split_log import METHODS, SplitReport, split_log

__all__ = ["METHODS", "SplitReport", "split_log"]
