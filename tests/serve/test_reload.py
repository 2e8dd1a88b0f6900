"""A new recommender takes the place of the former one without an error and without an answer that mixes the two."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import Catalog
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import save_recommender
from flatrec.models.scoring import Vectors
from flatrec.serve.reload import ServedModel
from flatrec.serve.served import Served, content_hash
from flatrec.serve.settings import ServeSettings
from tests.serve.shops import process_of, saved, server_of, shop

TENSORS = "recommender.safetensors"


def replaced(folder, scale):
    save_recommender(shop(folder.parent, scale), folder)


def test_a_new_recommender_answers_after_it_was_checked(tmp_path):
    folder = saved(tmp_path)
    heard = []
    model = ServedModel(folder, lambda served, new: heard.append((served.model, new)))
    before = model.current
    assert model.refresh() == "unchanged"
    replaced(folder, 2.0)
    assert model.refresh() == "reloaded"
    assert model.current.model == content_hash(folder) != before.model
    assert model.current.recommender.score("ann", "cup") == 2 * before.recommender.score("ann", "cup")
    assert heard == [(model.current.model, True)]


def cut(folder):
    path = folder / TENSORS
    path.write_bytes(path.read_bytes()[:-10])


def changed(folder):
    path = folder / TENSORS
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")


def without_users(folder):
    (folder / "users.parquet").unlink()


def without_manifest(folder):
    (folder / "flatrec-manifest.json").unlink()


def without_anything(folder):
    shutil.rmtree(folder)


DAMAGES = [cut, changed, without_users, without_manifest, without_anything]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_a_damaged_folder_changes_nothing_until_it_is_whole_again(tmp_path, damage, caplog):
    folder = saved(tmp_path)
    model = ServedModel(folder)
    before = model.current
    replaced(folder, 2.0)
    damage(folder)
    assert model.refresh() == "failed"
    assert model.refresh() == "unchanged"  # it is not tried again and again
    assert model.current is before
    assert "the former recommender goes on" in caplog.text
    if folder.exists() and not (folder / "flatrec-manifest.json").exists():
        shutil.rmtree(folder)
    replaced(folder, 3.0)
    assert model.refresh() == "reloaded"


def test_a_recommender_whose_scores_overflow_is_refused(tmp_path):
    made = shop(tmp_path)
    huge = Vectors(torch.full_like(made.scoring.users, 3e38), torch.full_like(made.scoring.items, 3e38))
    save_recommender(Recommender(huge, made.users, made.catalog, made.history, made.seen), tmp_path / "huge")
    with pytest.raises(ValueError, match="finite"):
        Served.load(tmp_path / "huge")


def test_the_pointer_of_a_nightly_job_is_followed(tmp_path):
    for number, scale in ((1, 1.0), (2, 2.0)):
        save_recommender(shop(tmp_path, scale), tmp_path / f"generations/000{number}/final/recommender")
    link = tmp_path / "current"
    link.symlink_to("generations/0001/final/recommender")
    model = ServedModel(tmp_path)
    first = model.current.model
    point(link, 2)
    shutil.rmtree(tmp_path / "generations/0001")
    assert model.refresh() == "reloaded"
    assert model.current.model != first
    assert ServedModel(link).current.model == model.current.model


def point(link, number):
    temporary = link.with_name("new-link")
    temporary.symlink_to(f"generations/{number:04d}/final/recommender")
    temporary.replace(link)


def generated(number, n_users, n_items):
    """A recommender with other vectors for each number."""
    stream = np.random.default_rng(number)
    users, items = (torch.from_numpy(stream.standard_normal((n, 16), dtype=np.float32)) for n in (n_users, n_items))
    columns = np.arange(n_users) % n_items
    seen = sparse.csr_array((np.ones(n_users, np.float32), (np.arange(n_users), columns)), (n_users, n_items))
    ids = Vocabulary("item", [f"i{n}" for n in range(n_items)])
    catalog = Catalog(ids, np.arange(n_items, dtype=np.float64), np.zeros(n_items, np.bool_))
    names = Vocabulary("user", [f"u{n}" for n in range(n_users)])
    return Recommender(Vectors(users, items), names, catalog, seen, seen)


REQUESTS = {
    "/v1/recommend/u1?k=3": None,
    "/v1/recommend": {"users": ["u0", "u2", "nobody"], "history": {"nobody": ["i1", "i2"]}, "k": 3},
    "/v1/similar?item=i1&k=3": None,
    "/v1/score": {"users": ["u1", "u2"], "items": ["i0", "i3"]},
    "/v1/who-wants": {"item": "i2", "k": 3},
}


def asked(port, path, body):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def same(one, other):
    """Whether answers are equal; scores but for rounding, which may differ with the number of users of a product."""
    if isinstance(one, float):
        return one == pytest.approx(other, rel=1e-5)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@dataclass
class Asking:
    """Threads that ask until they are told to stop, and keep one answer per recommender and request."""

    port: int
    answers: dict = field(default_factory=dict)
    errors: list = field(default_factory=list)
    count: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, start):
        for path, body in itertools.islice(itertools.cycle(REQUESTS.items()), start, None):
            if self.over.is_set():
                return
            try:
                answer = asked(self.port, path, body)
            except OSError as error:
                self.errors.append(f"{path}: {error}")
                continue
            answer.pop("generated_at")
            with self.lock:
                self.count += 1
                known = self.answers.setdefault((answer["model"], path), answer)
            if not same(answer, known):
                self.errors.append(f"{path}: another answer of the same recommender")

    def check(self, folders):
        """Every answer is that of the recommender whose hash it carries, asked alone."""
        for folder in folders:
            with server_of(folder) as port:
                for path, body in REQUESTS.items():
                    expected = asked(port, path, body)
                    expected.pop("generated_at")
                    answer = self.answers.get((expected["model"], path))
                    if answer is not None and not same(answer, expected):
                        self.errors.append(f"{path}: not the answer of {folder}")


def reload_under_load(port, store, *, reloads, damaged, requests, memory=lambda: 0):
    """Move the pointer again and again while four clients ask; return what they heard, and the memory each time."""
    asking, sizes, whole = Asking(port), [], [1]
    threads = [threading.Thread(target=asking.ask, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2, reloads + 2):
        folder = store / f"generations/{number:04d}/final/recommender"
        if number in damaged:
            DAMAGES[number % 3](folder)
        else:
            whole.append(number)
        point(store / "current", number)
        while asking.count < requests * (number - 1) // reloads:
            time.sleep(0.01)
        expected, deadline = expected_hash(store, whole[-1]), time.monotonic() + 60
        while asked(port, "/v1/model", None)["model"] != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        sizes.append(memory())
    asking.over.set()
    for thread in threads:
        thread.join()
    asking.check([store / f"generations/{number:04d}/final/recommender" for number in whole])
    return asking, sizes


def expected_hash(store, number):
    return content_hash(store / f"generations/{number:04d}/final/recommender")


def stored(folder, count, n_users, n_items):
    for number in range(1, count + 1):
        save_recommender(generated(number, n_users, n_items), folder / f"generations/{number:04d}/final/recommender")
    (folder / "current").symlink_to("generations/0001/final/recommender")
    return folder


@pytest.mark.repeats
def test_requests_during_reloads_get_the_answer_of_one_recommender(tmp_path):
    store = stored(tmp_path, 5, 50, 30)
    with server_of(store, ServeSettings(port=0, reload_seconds=0.05)) as port:
        asking, _ = reload_under_load(port, store, reloads=4, damaged={2, 4}, requests=200)
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    assert asking.errors == []
    assert asking.count >= 200
    assert len({model for model, _ in asking.answers}) == 3
    assert 'flatrec_reloads_total{result="reloaded"} 2.0' in metrics
    assert 'flatrec_reloads_total{result="failed"} 2.0' in metrics


def resident(number):
    """Resident MiB of a process, without the files that it maps."""
    status = Path(f"/proc/{number}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) / 1024


@pytest.mark.slow
def test_ten_thousand_requests_over_twenty_reloads(tmp_path):
    store = stored(tmp_path, 21, 20_000, 20_000)
    with process_of(store, "--set", "reload_seconds=0.5") as (process, port):
        asking, sizes = reload_under_load(
            port, store, reloads=20, damaged={4, 8, 12, 16, 20}, requests=10_000, memory=lambda: resident(process.pid)
        )
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    print(asking.count, [round(size) for size in sizes])  # noqa: T201
    assert asking.errors == []
    assert asking.count >= 10_000
    assert 'flatrec_reloads_total{result="reloaded"} 15.0' in metrics
    assert 'flatrec_reloads_total{result="failed"} 5.0' in metrics
    assert max(sizes[10:]) <= 1.05 * sizes[9]
