"""The options of commands whose shards can be done at the same time, on this machine or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from flatrec.cli import options
from flatrec.cli.groups import Command, group_of, with_groups
from flatrec.utils.messages import count
from flatrec.utils.shards import MOST, Shard

if TYPE_CHECKING:
    from flatrec.research.execution import Lost

Job = TypeVar("Job")
Done = TypeVar("Done")


@dataclass(frozen=True)
class ShardPool:
    """Who does all shards of a work.

    Args:
        n_shards: number of shards.
        backend: ``local`` for processes of this machine, ``ray`` or ``dask`` for a cluster.
        address: address of the cluster.
    """

    n_shards: int
    backend: str
    address: str | None

    @property
    def shards(self) -> list[Shard]:
        """All shards, in their order."""
        return [Shard(index, self.n_shards) for index in range(1, self.n_shards + 1)]

    def do(self, task: Callable[[Job], Done], jobs: Sequence[Job]) -> list[Done]:
        """Do the jobs of all shards, as many at the same time as there are cores; a worker that dies is replaced.

        Args:
            task: function at the top level of a module, which can be repeated.
            jobs: its argument, one per shard.

        Returns:
            The results, in the order of the jobs.

        Raises:
            ModuleNotFoundError: the backend is not installed.
            ConnectionError: the cluster cannot be reached.
            RuntimeError: a shard was given up because its workers died.
        """
        from flatrec.cli.progress import counting
        from flatrec.research.execution import Lost, Workers, execute

        n_workers = min(self.n_shards, os.cpu_count() or 1) if self.backend == "local" else -1
        workers = Workers(n_workers, self.backend, self.address)
        done: dict[int, Done] = {}
        with counting("shards", self.n_shards) as on_shards:

            def take(job: Job, result: Done | Lost) -> None:
                if not isinstance(result, Lost):
                    done[id(job)] = result
                    on_shards(1)

            execute(task, jobs, workers, take)
        if n_lost := self.n_shards - len(done):
            raise RuntimeError(
                f"{count(n_lost, 'shard')} of {self.n_shards} could not be finished, since {Lost.error} "
                "The same command continues with these"
            )
        return [done[id(job)] for job in jobs]


def with_shard_pool(command: Command) -> Command:
    """Give a command the options of doing all shards at the same time in the place of its parameter ``pool``."""
    return with_groups(command, {"pool": group_of(_pool)})


def _pool(
    shards: Annotated[
        int | None,
        typer.Option(
            help="Number of shards to divide the work into; as many are done at the same time as there are cores.",
            show_default=False,
        ),
    ] = None,
    backend: Annotated[str, typer.Option(help="Backend that does the shards: local, ray or dask.")] = "local",
    address: options.ClusterAddress = None,
) -> ShardPool | None:
    if shards is None:
        if backend != "local" or address is not None:
            raise ValueError("--backend and --address say who does the shards; give their number by --shards")
        return None
    return ShardPool(options.counted("--shards", shards, MOST), backend, address)
