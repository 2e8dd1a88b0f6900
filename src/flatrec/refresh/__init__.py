"""The nightly job: a new delivery of the data becomes the recommender in use, or a reason why the former one stays."""

from flatrec.refresh.checks import RefusedError
from flatrec.refresh.job import Preview, preview, refresh
from flatrec.refresh.settings import CheckSettings, CompareSettings, RefreshSettings, read_settings
from flatrec.refresh.state import State

__all__ = [
    "CheckSettings",
    "CompareSettings",
    "Preview",
    "RefreshSettings",
    "RefusedError",
    "State",
    "preview",
    "read_settings",
    "refresh",
]
