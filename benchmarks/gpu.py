"""Whether a device computes what the CPU does, and how fast: checks and times in one run of at most six minutes.

    OMP_NUM_THREADS=2 python benchmarks/gpu.py --device cuda --mmrec MMRec --out gpu.json
    OMP_NUM_THREADS=1 python benchmarks/gpu.py --device cpu --small

Parts, the most important first; what does not fit into the time, lacks something or fails, says so in a line, and the
next part begins. Each line is printed when it is there, as JSON, and all of them at the end as one table. The command
fails if a check does.

- ``reference``: what every model computes against stored numbers of its release, as multiples of the tolerances.
- ``losses``: every model with the strategies plain and bsam+, three steps on the CPU and three on the device, over the
  same batches, graphs and masks. The largest relative difference of the losses, at most 1e-4, and that of the
  parameters, relative to the largest parameter.
- ``waits``: how often a step waits for the device, as torch reports it, at most once; and the beginning of an epoch.
- ``resume``: three epochs at once, and two epochs with a third one after a resume, deterministic: equal bits.
- ``steps``: milliseconds of a step, by events of the device, and the peak of its memory, at the size of Amazon Baby.
- ``incumbent``: an epoch against one of MMRec's own code, in turn, on the same device and data; its clone needs pandas,
  pyyaml and matplotlib, and torch_geometric for MMGCN.
- ``ranking``: lists of twenty items for a million users over 100,000 items, in blocks.
- ``large``: a step of LightGCN with 20 million interactions.
- ``precision``: the loss of every model under bfloat16 and TF32, relative to float32.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import gpu_checks
import gpu_reference
import gpu_times
import torch
from gpu_setting import Row, Setting, failure
from results import record

from flatrec.models import MODELS, Model
from flatrec.utils import devices

SECONDS = 360.0
REFERENCE = Path(__file__).parents[1] / os.environ.get("FLATREC_REFERENCE", "../shared/reference")


NAMED = ("model", "numbers", "variant", "strategy")  # what a row is of
VERDICTS = ("passed", "skipped", "failed", "cut")


class Part(NamedTuple):
    """One part, and the seconds that it takes at least at full size: it does not begin with less."""

    run: Callable[[Setting], Iterator[Row]]
    seconds: float


PARTS = (
    Part(gpu_reference.reference, 5),
    Part(gpu_checks.losses, 5),
    Part(gpu_checks.waits, 5),
    Part(gpu_checks.resume, 10),
    Part(gpu_times.steps, 10),
    Part(gpu_times.incumbent, 30),
    Part(gpu_times.ranking, 30),
    Part(gpu_times.large, 90),
    Part(gpu_checks.precision, 10),
)


def rows(setting: Setting) -> Iterator[Row]:
    """The rows of all parts; a part that fails is a row that says so."""
    for part, needed in PARTS:
        name, left = part.__name__, setting.seconds_left()
        if left < (1 if setting.small else needed):
            yield {"part": name, "skipped": f"{max(left, 0):.0f} seconds are left, and it takes {needed:.0f}"}
            continue
        started, found = time.monotonic(), iter(part(setting))
        while True:
            try:
                row = next(found)
            except StopIteration:
                break
            except Exception as error:  # the parts after it are worth the time that is left
                yield {"part": name, **failure(error)}
                break
            yield {"part": name, **row}
        over = {"cut": "the time was over"} if setting.out_of_time() else {}
        yield {"part": name, "part seconds": round(time.monotonic() - started, 1), **over}


def table(found: Sequence[Row]) -> str:
    """All rows in one table: what, figures, and whether a check was passed."""
    lines = ["| part | of | figures | |", "|---|---|---|---|"]
    for row in found:
        of = " ".join(str(row[name]) for name in NAMED if name in row)
        reasons = [f"{name}: {row[name]}" for name in VERDICTS[1:] if name in row]
        verdict = ["passed" if row["passed"] else "FAILED"] if "passed" in row else reasons
        shown = {name: value for name, value in row.items() if value is not None and name not in (*NAMED, *VERDICTS)}
        figures = ", ".join(f"{name} {_figure(value)}" for name, value in shown.items() if name != "part")
        lines.append(f"| {row['part']} | {of} | {figures} | {', '.join(verdict)} |")
    return "\n".join(lines)


def _figure(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


def kept(found: Iterator[Row], into: list[Row]) -> Iterator[Row]:
    """The rows, each of which is kept as well."""
    for row in found:
        into.append(row)
        yield row


def main() -> None:
    """Measure, print a line each and all in one table; exit with 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    parser.add_argument("--reference", type=Path, default=REFERENCE, help="folder of the reference numbers")
    parser.add_argument("--mmrec", type=Path, help="a clone of https://github.com/enoche/MMRec")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    os.environ.setdefault(devices.CUBLAS, ":4096:8")  # read when a GPU is first used
    try:
        device = devices.choose(given.device)
    except ValueError as error:
        parser.error(str(error))
    if device.index is not None:
        torch.cuda.set_device(device)  # events and streams are those of the current device
    names = [name for name in given.models.split(",") if issubclass(MODELS[name], Model)]
    end = time.monotonic() + given.seconds
    setting = Setting(device, names, end, given.small, given.reference, given.mmrec)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    found: list[Row] = []
    record(kept(rows(setting), found), given.out, device=name)
    print(f"\n{name}\n\n{table(found)}")
    if any(row.get("passed") is False or "failed" in row for row in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
