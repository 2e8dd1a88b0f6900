"""flatrec augment, against a server that misbehaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from PIL import Image

from tests.cli.test_errors import one_line

pytest.importorskip("openai", reason="the extra llm is not installed")

from tests.content.llm.server import COMMAND_LINE, stand_in  # noqa: E402

ITEMS = 60
SECRET = "sk-very-secret"  # noqa: S105
WRONGS = ("429", "500", "half", "no JSON", "wrong JSON", "empty", "silence")


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr("flatrec.content.llm.chat_client.ChatClient.__init__.__defaults__", (None, 0.01))
    with stand_in() as one:
        yield one


@pytest.fixture
def raw(tmp_path):
    """A table of items, most of them with an image."""
    (tmp_path / "images").mkdir()
    rows = [{"itemID": n, "text": f"item number {n}", "price": n / 4} for n in range(ITEMS)]
    pl.DataFrame(rows).write_csv(tmp_path / "items.csv")
    for n in range(0, ITEMS, 2):
        Image.new("RGB", (8, 8), (n, 2 * n, 3 * n)).save(tmp_path / "images" / f"{n}.png")
    return tmp_path


def words(raw, server, *more):
    asked = ("--endpoint", server.url, "--model", "m", "--timeout", "0.5", "--out", raw / "items2.csv")
    return ("augment", raw / "items.csv", "--image-dir", raw / "images", *asked, *more)


def test_every_item_gets_a_new_text_and_nothing_else_changes(flatrec, raw, server):
    outcome = flatrec(*words(raw, server, "--prompt-price", "100", "--completion-price", "1000"))
    assert outcome.code == 0, outcome.err
    old, new = pl.read_csv(raw / "items.csv"), pl.read_csv(raw / "items2.csv")
    assert new.drop("augmented_text").equals(old)
    ends = new["augmented_text"].str.split(": ").list.last()
    assert ends.to_list() == [f"item number {n}." for n in range(ITEMS)]
    seen = new["augmented_text"].str.starts_with("seen: ")
    assert seen.to_list() == [n % 2 == 0 for n in range(ITEMS)]
    assert "60 items, 60 with a new text in column augmented_text" in outcome.out
    assert "no image: 30 items" in outcome.out
    assert "60 requests sent, 0 cached: 600 prompt tokens, 180 completion tokens, which cost 0.2400" in outcome.out
    facts = json.loads((raw / "items2_report.json").read_text())
    assert (facts["cost"], facts["usage"]["requests"], facts["endpoint"]["model"]) == (0.24, 60, "m")
    assert (raw / "items2_report.csv").read_text().splitlines()[:2] == ["item,warning", "1,no image"]


def test_what_is_there_is_not_overwritten_by_chance(flatrec, raw, server):
    (raw / "items2.csv").write_text("precious")
    one_line(flatrec(*words(raw, server)), 2, "items2.csv exists", "--overwrite")
    (raw / "other_report.csv").write_bytes((raw / "items.csv").read_bytes())
    for read, written in (("items.csv", "items.csv"), ("other_report.csv", "other.csv")):
        asked = ("--endpoint", server.url, "--model", "m", "--out", raw / written, "--overwrite")
        one_line(flatrec("augment", raw / read, *asked), 2, "is the table that is read")
    assert (raw / "items2.csv").read_text() == "precious"
    assert not server.requests
    assert flatrec(*words(raw, server, "--overwrite")).code == 0


def test_with_the_cache_off_it_does_not_say_that_answers_are_kept(flatrec, raw, server, monkeypatch):
    monkeypatch.setenv("FLATREC_CACHE", "off")
    server.misbehave = lambda prompt, _before: "500" if prompt.endswith(" 7.") else None
    outcome = flatrec(*words(raw, server, "--max-retries", "0"))
    one_line(outcome, 1, "nothing is cached, as FLATREC_CACHE is off", "--allow-missing")


def test_the_key_is_in_no_file_and_no_output(flatrec, raw, server):
    outcome = flatrec(*words(raw, server))
    assert {request.key for request in server.requests} == {f"Bearer {SECRET}"}
    server.misbehave = lambda _prompt, _before: "401"
    refused = flatrec(*words(raw, server, "--max-tokens", "7", "--overwrite", "--debug"))
    assert refused.code == 1
    assert "check the address" in refused.err.splitlines()[-1]
    assert "Traceback" in refused.err
    for text in (outcome.out, outcome.err, refused.out, refused.err):
        assert SECRET not in text
    files = [path for path in raw.rglob("*") if path.is_file()]
    assert any(path.name == "responses.sqlite3" for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_killed_in_the_middle_it_goes_on_with_every_item_exactly_once(flatrec, raw, server):
    server.misbehave = lambda prompt, before: (
        WRONGS[_number(prompt) // 8] if not before and _number(prompt) % 8 == 0 else None
    )
    server.delay = 0.05
    command = [sys.executable, "-c", COMMAND_LINE, *map(str, words(raw, server))]
    process = subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL)
    for _ in range(1200):
        if server.answered.total() >= 20 or process.poll() is not None:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(raw.glob("items2*"))
    before = server.answered.total()
    assert 20 <= before < ITEMS
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    assert len(server.answered) == ITEMS
    assert server.answered.total() <= ITEMS + 8  # those that were under way, or had come and were not yet kept
    new = pl.read_csv(raw / "items2.csv")
    assert new["itemID"].to_list() == list(range(ITEMS))
    assert new["augmented_text"].str.split(": ").list.last().to_list() == [f"item number {n}." for n in range(ITEMS)]
    assert "cached" in done.stdout
    assert "0 requests sent, 60 cached" in flatrec(*words(raw, server, "--overwrite")).out


def test_without_all_answers_nothing_is_written_unless_it_is_wanted(flatrec, raw, server):
    server.misbehave = lambda prompt, _before: "500" if prompt.endswith(" 7.") else None
    outcome = flatrec(*words(raw, server, "--max-retries", "1"))
    one_line(
        outcome, 1, "1 of 60 items (7) have no response", "the same command", "--allow-missing", "590 prompt tokens"
    )
    assert not list(raw.glob("items2*"))
    kept = flatrec(*words(raw, server, "--max-retries", "1", "--allow-missing"))
    assert kept.code == 0, kept.err
    assert "1 requests" not in kept.out
    assert "0 requests sent, 59 cached" in kept.out
    assert "767 tokens were paid for earlier" in kept.out
    assert pl.read_csv(raw / "items2.csv")["augmented_text"][7] == "item number 7"
    assert "7,no response" in (raw / "items2_report.csv").read_text()


def test_a_sample_is_shown_and_writes_no_table(flatrec, raw, server):
    outcome = flatrec(*words(raw, server, "--sample", "2"))
    assert "old: item number 1\n  new: read: " in outcome.out
    assert len(server.requests) == 2
    shown = json.loads(flatrec(*words(raw, server, "--sample", "2", "--json")).out)
    assert [one["item"] for one in shown["sample"]] == ["0", "1"]
    assert shown["usage"]["cached_requests"] == 2
    assert not list(raw.glob("items2*"))


def test_a_new_text_makes_another_feature_file(flatrec, raw, server, monkeypatch):
    from tests.content.encoders.conftest import Lengths

    monkeypatch.setattr("flatrec.content.encoders.text_encoder", lambda _name, device: Lengths(f"lengths {device}"))
    flatrec(*words(raw, server))
    outcome = flatrec("encode", raw / "items2.csv", "--text-column", "augmented_text", "--out", raw / "features")
    assert "60 rows of 2 numbers, 60 computed now" in outcome.out


def _number(prompt):
    return int(prompt[:-1].split()[-1])


def test_a_folder_that_is_not_there_is_noticed_before_anything_is_asked(flatrec, raw, server):
    one_line(flatrec(*words(raw, server, "--out", raw / "gone" / "b.csv")), 1, "choose a file in a folder that exists")
    assert not server.requests


def test_a_column_that_names_no_image_is_noticed(flatrec, raw, server):
    asked = ("--endpoint", server.url, "--model", "m", "--out", raw / "b.csv")
    one_line(flatrec("augment", raw / "items.csv", "--image-column", "text", *asked), 2, "names no image")
    assert not server.requests


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (("--text-column", "txt"), ("no column 'txt'",)),
        (("--new-column", "text"), ("has a column 'text' already", "--new-column")),
        (("--out", "items2.xlsx"), (".csv, .tsv or .parquet",)),
        (("--prompt-price", "nan"), ("prompt_price must",)),
        (("--sample", "-1"), ("--sample",)),
        (("--image-column", "text"), ("not both",)),
        (("--concurrency", "0"), ("concurrency",)),
        (("--requests-per-minute", "0"), ("requests_per_minute must be above 0",)),
        (("--prompt", "Say it better"), ("must hold {text}",)),
        (("--endpoint", "localhost"), ("must be an address",)),
    ],
)
def test_bad_usage_is_one_line_and_asks_nothing(flatrec, raw, server, more, parts):
    one_line(flatrec(*words(raw, server, *more)), 2, *parts)
    assert not server.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://x/v1\r\nX: y",
        "http://x/v1\n",
        "http://a b/v1",
        "http://256.1.1.1/v1",
        "http://[v1.a:b]/",
        "http://x\x00/v1",
    ]
    + ["http://x/" + "v" * 100_000, "http://" + "x" * 100_000, "ftp://x/v1", "http:///v1", "http://a..b/v1"],
)
def test_an_address_that_is_none_is_one_short_line(flatrec, raw, server, url):
    outcome = flatrec(*words(raw, server, "--endpoint", url))
    one_line(outcome, 2, "must be an address such as")
    assert len(outcome.err) <= 500
    assert not server.requests


@pytest.mark.parametrize("wrong", ["400", "401", "500", "error"])
def test_what_a_server_says_is_cut_and_the_key_is_taken_out(flatrec, raw, server, wrong):
    server.misbehave = lambda _prompt, _before: wrong
    server.excuse = f"{SECRET} is a bad key " * 50
    outcome = flatrec(*words(raw, server, "--max-retries", "0", "--model", "m" * 200))
    one_line(outcome, 1)
    assert len(outcome.err) <= 500
    assert SECRET not in outcome.err


@pytest.mark.parametrize("model", ["m" * 201, "a\nb"])
def test_a_model_that_is_no_name_is_one_line(flatrec, raw, server, model):
    one_line(flatrec(*words(raw, server, "--model", model)), 2, "the model must be a name of up to 200 letters")


@pytest.mark.parametrize("wrong", ["", "endless", "500"])
@pytest.mark.parametrize("came", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(9, marks=pytest.mark.slow)])
def test_interrupted_it_ends_within_two_seconds_and_asks_nothing_twice(flatrec, raw, server, wrong, came):
    server.misbehave = lambda _prompt, _before: None if server.answered.total() < came else wrong or None
    server.delay = 0.02
    more = ("--timeout", "60", "--max-retries", "49", "--concurrency", "3")
    command = [sys.executable, "-c", COMMAND_LINE, *map(str, words(raw, server, *more))]
    process = subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE, text=True)
    while len(server.requests) < came + 3 and process.poll() is None:
        if not wrong:
            server.delay = 60.0 if server.answered.total() >= came else 0.02
        time.sleep(0.01)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = process.stderr.readline()
    assert time.monotonic() - start < 2
    said += process.communicate(timeout=20)[1]  # the interpreter takes its time to put away what it imported
    assert process.returncode == 130
    assert said.splitlines() == ["flatrec: interrupted; run the same command again to continue"]
    assert not list(raw.glob("items2*"))
    server.misbehave, server.delay, before = lambda _prompt, _before: None, 0.0, server.answered.total()
    assert before >= came
    outcome = flatrec(*words(raw, server))
    assert outcome.code == 0, outcome.err
    assert f" {before} cached" in outcome.out
