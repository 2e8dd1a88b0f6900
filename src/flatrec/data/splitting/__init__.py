"""Methods of splitting a log of events into training, validation and test."""

from flatrec.data.splitting.report import SplitReport
from flatrec.data.splitting.split_log import METHODS, split_log
from flatrec.data.splitting.summary import SplitDescription, SplitFigures, summarize_split

__all__ = ["METHODS", "SplitFigures", "SplitDescription", "SplitReport", "split_log", "summarize_split"]
