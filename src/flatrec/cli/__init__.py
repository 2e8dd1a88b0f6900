"""The command line: every command parses, calls, prints."""

from flatrec.cli.main import main

__all__ = ["main"]
