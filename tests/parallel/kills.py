"""What a kill from outside looks like to the other processes."""

from __future__ import annotations

import os
import signal

from tests.training.kills import KillAt


class DieAt(KillAt):
    """Ends the process at a step as a kill does."""

    def on_step(self, epoch, step):
        if (epoch, step) == (self.epoch, self.step):
            os.kill(os.getpid(), signal.SIGKILL)
