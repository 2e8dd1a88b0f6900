"""flatrec augment --data: the files that LLMRec takes, against a server that misbehaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import get_type_hints

import polars as pl
import pytest

from flatrec.cli.augmentation import dataset_options
from flatrec.content.llm.augmentation_requests import AugmentationSettings
from flatrec.data.loading import load_data
from flatrec.data.shop import ShopSettings, generate, write
from tests.cli.conftest import SMALL
from tests.cli.test_errors import one_line
from tests.content.encoders.conftest import Lengths

pytest.importorskip("openai", reason="the extra llm is not installed")

from tests.content.llm.server import COMMAND_LINE, stand_in  # noqa: E402

USERS, ITEMS = 40, 20
SEED = ("--set", "split.method=random", "--set", "split.seed=7")
FILES = [
    "augmented-attribute-audience.parquet",
    "augmented-attribute-category.parquet",
    "augmented-attribute-style.parquet",
    "augmented-profiles.parquet",
    "augmented-report.csv",
    "augmented-report.json",
    "augmented-shown.parquet",
    "augmented-suggestions.parquet",
]


def kind(prompt):
    return "profile" if '"profile"' in prompt else "pair" if '"liked"' in prompt else "attributes"


def good(prompt, _image):
    answers = {
        "profile": {"profile": f"likes {prompt.count(chr(10) + '- ')} things"},
        "pair": {"liked": 2, "disliked": 1},
        "attributes": {"category": "thing", "style": prompt.split(": ")[1][:9], "audience": "all"},
    }
    return json.dumps(answers[kind(prompt)])


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("flatrec.content.llm.chat_client.ChatClient.__init__.__defaults__", (None, 0.01))
    monkeypatch.setattr("flatrec.content.encoders.text_encoder", lambda _name, device: Lengths(f"lengths {device}"))
    with stand_in() as one:
        one.answer = good
        yield one


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated") / "shop"
    write(generate(ShopSettings(users=USERS, items=ITEMS)), folder)
    return folder


@pytest.fixture
def shop(generated, tmp_path):
    return shutil.copytree(generated, tmp_path / "shop")


def words(shop, server, *more):
    texts = ("--id-column", "id", "--text-column", "title", "--text-column", "description")
    chat = ("--endpoint", server.url, "--model", "m", "--timeout", "5", "--max-retries", "0")
    return ("augment", shop / "items.parquet", *texts, "--data", shop, *chat, *more)


def written(shop):
    return sorted(path.name for path in shop.glob("augmented-*"))


def test_one_command_writes_what_training_then_uses(flatrec, shop, server, tmp_path):
    plain = load_data(shop)
    outcome = flatrec(*words(shop, server, "--prompt-price", "10"))
    assert outcome.code == 0, outcome.err
    assert "100 requests (40 for profiles, 20 for attributes, 40 for suggestions), of which 0 are ans" in outcome.err
    assert "augmented-profiles.parquet: 40 rows" in outcome.out
    assert "100 requests sent, 0 cached: 1,000 prompt tokens, 300 completion tokens, which cost 0.0100" in outcome.out
    assert written(shop) == FILES
    dataset = load_data(shop)
    said, interactions = dataset.augmentation, plain.interactions
    sizes = interactions.matrix("train").sum(axis=1).astype(int).tolist()
    profiles = pl.read_parquet(shop / "augmented-profiles.parquet")
    assert profiles["text"].to_list() == [f"likes {min(size, 20)} things" for size in sizes]
    assert said.profiles.values[:, 0].tolist() == [len(text) for text in profiles["text"]]
    assert list(said.attributes) == ["audience", "category", "style"]
    assert said.is_suggested.all()
    train = set(interactions.flat_indices(*interactions.indices("train")).tolist())
    assert set(interactions.flat_indices(*said.shown.T).tolist()) <= train
    for column in said.suggestions.T:
        assert not train & set((pl.Series(range(USERS)) * dataset.n_items + column).to_list())
    facts = json.loads((shop / "augmented-report.json").read_text())
    assert (facts["cost"], facts["rows"]["augmented-suggestions.parquet"]) == (0.01, 40)
    trained = flatrec("train", "--data", shop, "--model", "llmrec", *SMALL, "--out", tmp_path / "run")
    assert trained.code == 0, trained.err
    other = flatrec("train", "--data", shop, "--model", "llmrec", *SMALL, *SEED, "--out", tmp_path / "other")
    one_line(other, 2, "the language model was shown", "validation or test", "--overwrite")


def test_no_text_of_a_held_out_item_stands_in_a_history(flatrec, shop, server):
    flatrec(*words(shop, server, "--write", "profiles"))
    dataset = load_data(shop)
    titles = [f"- {title}" for title in dataset.titles]
    bodies = [request.prompt for request in server.requests]
    train = dataset.interactions.matrix("train")
    histories = {tuple(sorted(titles[item] for item in train[[user]].indices)) for user in range(USERS)}
    found = {tuple(sorted(title for title in titles if title in body)) for body in bodies}
    assert found == histories


def test_the_split_of_the_command_decides_what_is_shown(flatrec, shop, server, tmp_path):
    by_time = ("--set", "split.method=time")
    assert flatrec(*words(shop, server, *by_time)).code == 0
    command = ("train", "--data", shop, "--model", "llmrec", *SMALL)
    assert flatrec(*command, *by_time, "--out", tmp_path / "run").code == 0
    one_line(flatrec(*command, "--out", tmp_path / "other"), 2, "the language model was shown")
    assert flatrec("train", "--data", shop, "--model", "bpr", *SMALL, "--out", tmp_path / "bpr").code == 0


def test_a_dry_run_counts_and_sends_nothing(flatrec, shop, server):
    outcome = flatrec(*words(shop, server, "--dry-run", "--prompt-price", "1", "--completion-price", "2"))
    assert outcome.out.startswith("100 requests (40 for profiles, 20 for attributes, 40 for suggestions), of which 0 ")
    assert "at most 51,200 completion tokens, which cost at most about 0.1" in outcome.out
    assert not server.requests
    assert not written(shop)
    plan = json.loads(flatrec(*words(shop, server, "--dry-run", "--json", "--write", "attributes")).out)["plan"]
    letters = plan.pop("prompt_tokens") * 4
    assert plan == {"requests": {"attributes": 20}, "cached": 0, "completion_tokens": 20 * 512, "cost": None}
    assert flatrec(*words(shop, server, "--write", "attributes")).code == 0
    assert abs(letters - sum(len(request.prompt) for request in server.requests)) < 4
    again = flatrec(*words(shop, server, "--dry-run", "--write", "attributes"))
    assert again.out == "20 requests (20 for attributes), of which 20 are answered already: nothing is sent\n"


def test_a_sample_is_shown_and_writes_nothing(flatrec, shop, server):
    outcome = flatrec(*words(shop, server, "--sample", "2"))
    assert outcome.code == 0, outcome.err
    assert re.search(r"user user-0+\n  profile: likes \d+ things\n  liked: item-\d+ \(", outcome.out)
    assert "item item-00001\n  category: thing\n" in outcome.out
    assert len(server.requests) == 6
    shown = json.loads(flatrec(*words(shop, server, "--sample", "1", "--json")).out)
    assert shown["usage"]["cached_requests"] == 3
    assert [*shown["sample"]["suggestions"]["user-00000"]] == ["liked", "disliked"]
    assert not written(shop)


def test_answers_that_cannot_be_used_are_counted_and_left_out(flatrec, shop, server):
    def answer(prompt, image):
        which = sum(kind(request.prompt) == kind(prompt) for request in server.requests) % 5
        broken = {
            "profile": ["I cannot say", '{"profile": ""}'],
            "pair": ["{", '{"liked": 11, "disliked": 1}', '{"liked": 3, "disliked": 3}', '{"liked": 1}'],
            "attributes": ['{"category": "thing", "style": null, "audience": "all"}'],
        }[kind(prompt)]
        return broken[which] if which < len(broken) else good(prompt, image)

    server.answer = answer
    outcome = flatrec(*words(shop, server, "--concurrency", "1"))
    assert outcome.code == 0, outcome.err
    for line in (
        "- profiles: the answer is not the JSON object that was asked for: 8 users, listed in augmented-report.csv",
        "- profiles: the answer has no profile: 8 users",
        "- attributes: the answer has no value of style: 4 items",
        "- suggestions: the answer is not the JSON object that was asked for: 8 users",
        "- suggestions: the answer names an item that is not among the candidates: 16 users",
        "- suggestions: the answer likes and dislikes the same item: 8 users",
        "augmented-suggestions.parquet: 8 rows",
        "augmented-attribute-style.parquet: 16 rows",
    ):
        assert line in outcome.out
    rows = pl.read_csv(shop / "augmented-report.csv")
    assert rows.group_by("part").len().sort("part").rows() == [("attributes", 4), ("profiles", 16), ("suggestions", 32)]
    said = load_data(shop).augmentation
    assert (int(said.is_suggested.sum()), int(said.profiles.present.sum())) == (8, 24)


def test_if_nothing_can_be_used_no_file_is_written(flatrec, shop, server):
    server.answer = lambda _prompt, _image: "I am a teapot"
    outcome = flatrec(*words(shop, server))
    last = outcome.err.splitlines()[-1]
    assert outcome.code == 1
    assert last.startswith("flatrec: nothing that can be used was answered (the answer is not the JSON object")
    assert not written(shop)


def test_a_failing_endpoint_loses_nothing_that_was_answered(flatrec, shop, server):
    server.misbehave = lambda prompt, _before: "500" if kind(prompt) == "pair" and len(prompt) % 2 else None
    outcome = flatrec(*words(shop, server))
    assert outcome.code == 1
    assert "the same command" in outcome.err
    assert not written(shop)
    answered, server.misbehave = server.answered.total(), lambda _prompt, _before: None
    assert answered >= 60
    outcome = flatrec(*words(shop, server))
    assert f"{100 - answered} requests sent, {answered} cached" in outcome.out
    assert max(server.answered.values()) == 1
    assert written(shop) == FILES


def test_some_missing_responses_are_left_out_if_that_is_wanted(flatrec, shop, server):
    last = []
    server.misbehave = lambda prompt, _before: "500" if kind(prompt) == "pair" and prompt in last else None
    flatrec(*words(shop, server, "--sample", "1"))
    last += [request.prompt for request in server.requests if kind(request.prompt) == "pair"]
    server.requests.clear()
    (other,) = last
    flatrec(*words(shop, server, "--sample", "3", "--json"))
    last += [request.prompt for request in server.requests if kind(request.prompt) == "pair"][:1]
    os.environ["FLATREC_CACHE"] += "2"
    outcome = flatrec(*words(shop, server))
    assert outcome.code == 1
    assert "2 requests have no response" in outcome.err
    outcome = flatrec(*words(shop, server, "--allow-missing"))
    assert outcome.code == 0, outcome.err
    assert "- suggestions: no response: 2 users" in outcome.out
    assert load_data(shop).augmentation.is_suggested.sum() == USERS - 2
    assert other in last


def test_after_a_kill_the_same_command_asks_for_the_rest(flatrec, shop, server):
    server.delay = 0.05
    command = [sys.executable, "-c", COMMAND_LINE, *map(str, words(shop, server, "--write", "suggestions"))]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while server.answered.total() < 12 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not written(shop)
    server.delay = 0.0
    outcome = flatrec(*words(shop, server, "--write", "suggestions"))
    assert outcome.code == 0, outcome.err
    cached = int(re.search(r"requests sent, (\d+) cached", outcome.out)[1])
    assert 12 - 8 <= cached <= 20  # those under way at the kill are sent again
    assert len(pl.read_parquet(shop / "augmented-suggestions.parquet")) == USERS


def test_parts_are_replaced_one_by_one(flatrec, shop, server):
    flatrec(*words(shop, server))
    before = {name: (shop / name).read_bytes() for name in FILES}
    one_line(flatrec(*words(shop, server)), 2, "augmented-profiles.parquet", "--overwrite")
    server.answer = lambda prompt, _image: json.dumps({"material": prompt.split(": ")[1][:4]})
    assert flatrec(*words(shop, server, "--write", "attributes", "--attribute", "material", "--overwrite")).code == 0
    assert [name for name in written(shop) if "attribute" in name] == ["augmented-attribute-material.parquet"]
    for name in ("augmented-profiles.parquet", "augmented-suggestions.parquet", "augmented-shown.parquet"):
        assert (shop / name).read_bytes() == before[name]
    server.answer = good
    assert flatrec(*words(shop, server, "--write", "profiles", "--overwrite", *SEED)).code == 0
    shown = pl.read_parquet(shop / "augmented-shown.parquet")
    assert len(shown) > len(pl.read_parquet(before["augmented-shown.parquet"]))  # the suggestions still know the others
    assert load_data(shop).augmentation.is_suggested.all()


def test_candidates_may_come_from_a_run(flatrec, shop, server, tmp_path):
    assert flatrec("train", "--data", shop, "--model", "popularity", "--out", tmp_path / "run").code == 0
    outcome = flatrec(
        *words(shop, server, "--write", "suggestions", "--candidates-from", tmp_path / "run", "--candidates", "2")
    )
    assert outcome.code == 0, outcome.err
    dataset = load_data(shop)
    counts = dataset.interactions.item_counts("train").astype(float)
    train = dataset.interactions.matrix("train").toarray() > 0
    ranked = (counts - train * 1e9 - pl.Series(range(ITEMS)).to_numpy() * 1e-6).argsort(axis=1)[:, ::-1]
    assert [sorted(pair) for pair in dataset.augmentation.suggestions.tolist()] == [
        sorted(row[:2]) for row in ranked.tolist()
    ]
    other = words(shop, server, "--write", "suggestions", "--overwrite", "--candidates-from", tmp_path / "run")
    one_line(flatrec(*other, *SEED), 2, "the recommender was trained on", "the same split")


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (("--out", "a.csv"), ("give --out FILE", "or --data PATH")),
        (("--write", "profile"), ("unknown part 'profile'", "did you mean profiles?")),
        (("--prompt", "Better: {text}"), ("--prompt is for a table",)),
        (("--new-column", "x"), ("--new-column is for a table",)),
        (("--image-column", "image"), ("leave the images out",)),
        (("--history", "0"), ("--history must lie between",)),
        (("--set", "training.epochs=3"), ("settings of the split",)),
        (("--candidates-from", "nowhere"), ("nowhere",)),
        (("--id-column", "title"), ("no item of", "--id-column")),
    ],
)
def test_bad_usage_is_one_line_and_asks_nothing(flatrec, shop, server, more, parts):
    one_line(flatrec(*words(shop, server, *more)), 2, *parts)
    assert not server.requests


def test_help_names_the_defaults():
    settings = AugmentationSettings()
    hints = get_type_hints(dataset_options, include_extras=True)
    defaults = {
        "write": ", ".join(settings.parts),
        "attribute": ", ".join(settings.attributes),
        "history": settings.history,
        "candidates": settings.candidates,
    }
    for name, default in defaults.items():
        assert f"Default: {default}." in hints[name].__metadata__[0].help


def test_options_of_a_data_set_need_one(flatrec, shop, server):
    chat = ("--endpoint", server.url, "--model", "m")
    one_line(flatrec("augment", shop / "items.parquet", *chat), 2, "give --out FILE", "--data PATH")
    for option in ("--dry-run", "--set=split.seed=1", "--candidates-from=x", "--attribute=style"):
        command = ("augment", shop / "items.parquet", *chat, "--out", shop / "new.csv", option)
        one_line(flatrec(*command), 2, f"{option.partition('=')[0]} is for the files of a data set")
    assert not server.requests
