"""The log of events of a shop, in SQLite or PostgreSQL: the service appends to it, and the nightly job reads it."""

from flatrec.event_log.place import LogPlace
from flatrec.event_log.store import Event, EventStore, LogFullError, LogUnavailableError

__all__ = ["Event", "EventStore", "LogFullError", "LogPlace", "LogUnavailableError"]
