"""Recommenders and data sets on the Hugging Face Hub: publish without the users, and take over without running code.

Users and their histories stay at home, and the repository is private, unless it is asked for otherwise, each by an
option of its own. ``docs/hub.md`` says what is published and what a pull checks.
"""

from flatrec.hub.pulling import Pulled, PullOptions, pull
from flatrec.hub.pushing import Pushed, PushOptions, push

__all__ = ["PullOptions", "Pulled", "PushOptions", "Pushed", "pull", "push"]
