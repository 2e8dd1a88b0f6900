"""What Prometheus scrapes; with several workers, the sum of all of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from flatrec.serve.answers import ListsAnswer, RecommendAnswer, SimilarAnswer, SimilarListsAnswer, WhoWantsAnswer
from flatrec.serve.operations import EventResult
from flatrec.serve.served import Served

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the environment variable that prometheus-client reads when it is imported
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
LATEST = "livemostrecent"
NAMESPACE = "flatrec"


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "request_seconds", "Time of requests.", ["operation", "status"],
            buckets=SECONDS, namespace=NAMESPACE, registry=self._registry,
        )  # fmt: skip
        self._answers = self._counter("answers", "Lists that were answered, by path.", ["path"])
        self._reloads = self._counter("reloads", "New recommenders that were loaded, or failed to.", ["result"])
        self._events = self._counter("events", "Events that were sent, by what became of them.", ["result"])
        self._unread = self._counter("event_log_read_failures", "Answers without the log, as it was not read.", [])
        self._loaded = self._gauge("model_loaded_timestamp_seconds", "When the recommender was loaded.", LATEST)
        self._written = self._gauge("model_written_timestamp_seconds", "When its folder was written.", LATEST)
        self._age = self._gauge("model_age_seconds", "Time since its folder was written.", LATEST)
        self._sizes = self._gauge("model_size", "Users, items and interactions.", LATEST, ["of"])
        self._workers = self._gauge("workers", "Processes that serve this recommender.", "livesum", ["model"])
        self._served: Served | None = None
        for result in ("reloaded", "failed"):
            self._reloads.labels(result)

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._seconds.labels(operation, str(status)).observe(seconds)

    def answered(self, answer: Struct) -> None:
        """Count the lists of an answer by their paths."""
        if isinstance(answer, (ListsAnswer, SimilarListsAnswer)):
            for one in answer.lists:
                self._answers.labels(one.path).inc()
        elif isinstance(answer, (RecommendAnswer, SimilarAnswer, WhoWantsAnswer)):
            self._answers.labels(answer.path).inc()

    def counted_events(self, result: EventResult, number: int) -> None:
        """Count events by what became of them, or a failure to read the log."""
        if result == "unread":
            self._unread.inc(number)
        else:
            self._events.labels(result).inc(number)

    def loaded(self, served: Served, *, new: bool) -> None:
        """Record which recommender answers from now on, and whether it is a new one or the former goes on."""
        if self._served is not None:
            self._reloads.labels("reloaded" if new else "failed").inc()
            self._workers.labels(self._served.model).set(0)
        self._served = served
        recommender = served.recommender
        self._workers.labels(served.model).set(1)
        self._loaded.set(served.loaded_at.timestamp())
        self._written.set(served.written_at.timestamp())
        self._age.set(time.time() - served.written_at.timestamp())
        for of, size in (
            ("users", len(recommender.users)),
            ("items", len(recommender.items)),
            ("interactions", recommender.seen.nnz),
        ):
            self._sizes.labels(of).set(size)

    def text(self) -> bytes:
        """Return everything in the format of Prometheus, of all workers."""
        if self._served is not None:
            self._age.set(time.time() - self._served.written_at.timestamp())
        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        _forget_dead(Path(os.environ[FOLDER]))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _counter(self, name: str, about: str, labels: list[str]) -> Counter:
        return Counter(name, about, labels, namespace=NAMESPACE, registry=self._registry)

    def _gauge(self, name: str, about: str, mode: str, labels: list[str] | None = None) -> Gauge:
        return Gauge(
            name,
            about,
            labels or [],
            namespace=NAMESPACE,
            registry=self._registry,
            multiprocess_mode=mode,  # type: ignore[arg-type]
        )


def _forget_dead(folder: Path) -> None:
    """Remove what workers that ended say of themselves; what they counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        number = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]
