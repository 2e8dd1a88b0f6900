"""What a kill looks like from inside a run."""


class Killed(BaseException):
    """Nothing catches it."""


class KillAt:
    """Raises at one step or right after one epoch, and counts what it hears."""

    def __init__(self, epoch=None, step=None):
        self.epoch, self.step, self.heard = epoch, step, []

    def on_start(self, first_epoch, epochs, steps):
        self.heard.append(("start", first_epoch, epochs, steps))

    def on_step(self, epoch, step):
        if (epoch, step) == (self.epoch, self.step):
            raise Killed

    def on_epoch(self, record):
        self.heard.append(("epoch", record.epoch))
        if record.epoch == self.epoch and self.step is None:
            raise Killed

    def on_end(self):
        self.heard.append(("end",))
