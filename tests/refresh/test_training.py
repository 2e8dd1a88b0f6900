"""The two training runs of a generation, and what they start from."""

from __future__ import annotations

import pytest

import flatrec
from flatrec.refresh import refresh
from flatrec.refresh.store import CANDIDATE, FINAL, Store
from flatrec.runs.warm_start import read_warm_start
from flatrec.training import checkpoint
from flatrec.training.trainer import CHECKPOINT
from tests.refresh.deliveries import KNN, NOW, SETTINGS, deliver, events, settings_of

WARM = SETTINGS.replace("warm_start = false", "warm_start = true")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    deliver(folder, events(30))
    refresh(settings_of(folder, text=WARM), now=NOW)
    return folder


def starts(shop, number):
    folder = Store(shop / "store").folder(number)
    return [read_warm_start(folder / name) for name in (CANDIDATE, FINAL)]


def test_the_first_generation_starts_from_initial_parameters(first):
    assert starts(first, 1) == [None, None]


def test_the_candidate_starts_from_the_candidate_and_the_final_fit_from_the_final_fit(shop):
    refresh(settings_of(shop, text=WARM), now=NOW)
    folder = (Store(shop / "store").folder(1)).resolve()
    assert [start.run for start in starts(shop, 2)] == [str(folder / name) for name in (CANDIDATE, FINAL)]
    assert [start.users.taken for start in starts(shop, 2)] == [24, 24]


def test_a_chain_of_generations_starts_each_time_from_the_one_in_use(shop):
    refresh(settings_of(shop, text=WARM), now=NOW)
    deliver(shop, events(32))
    refresh(settings_of(shop, text=WARM), now=NOW)
    assert all("/0002/" in start.run for start in starts(shop, 3))


@pytest.mark.parametrize(
    "text",
    [SETTINGS, WARM.replace("embedding_dim = 4", "embedding_dim = 6"), KNN],
    ids=["off", "other model", "baseline"],
)
def test_training_starts_from_initial_parameters_where_there_are_no_others(shop, text):
    assert refresh(settings_of(shop, text=text), now=NOW).outcome == "promoted"
    assert starts(shop, 2) == [None, None]


def rows_by_id(folder):
    """The vectors of users and items that a run answers by."""
    told = flatrec.load_recommender(folder)
    both = ((told.users, told.scoring.users), (told.catalog.ids, told.scoring.items))
    return {name: row.tolist() for ids, rows in both for name, row in zip(ids, rows, strict=True)}


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_the_next_generation_starts_from_averaged_weights(tmp_path, kind):
    averaged = WARM.replace("epochs = 2", f'epochs = 4\naverage = "{kind}"') + "[train.optimizer]\nlr = 0.05\n"
    standing = WARM.replace("epochs = 2", "epochs = 1") + '[train.optimizer]\nname = "sgd"\nlr = 1e-30\n'
    deliver(tmp_path, events(30))
    refresh(settings_of(tmp_path, text=averaged), now=NOW)
    before = {}
    for name in (CANDIDATE, FINAL):  # the next generation takes the place of these files
        folder = Store(tmp_path / "store").folder(1) / name
        saved, before[name] = checkpoint.load(folder / CHECKPOINT), rows_by_id(folder)
        assert list(before[name].values()) == saved.section("best")["nodes"].tolist()
        assert list(before[name].values()) != saved.section("model")["nodes"].tolist()
    deliver(tmp_path, events(31))
    assert refresh(settings_of(tmp_path, text=standing), now=NOW).outcome == "promoted"
    for name in (CANDIDATE, FINAL):
        assert rows_by_id(Store(tmp_path / "store").folder(2) / name) == before[name]


def test_training_starts_from_initial_parameters_where_the_others_are_damaged(shop, caplog):
    (Store(shop / "store").folder(1) / FINAL / "checkpoint.safetensors").write_bytes(b"damaged")
    assert refresh(settings_of(shop, text=WARM), now=NOW).outcome == "promoted"
    assert starts(shop, 2) == [None, None]
    assert "checkpoint.safetensors is damaged" in caplog.text


def test_a_model_of_the_users_own_is_trained_and_fitted(shop):
    (shop / "mine.py").write_text('from flatrec.models import BPR\n\n\nclass Mine(BPR):\n    """Mine."""\n')
    text = WARM.replace('name = "bpr"', f'name = "{shop}/mine.py:Mine"')
    assert refresh(settings_of(shop, text=text), now=NOW).outcome == "promoted"
    deliver(shop, events(32))
    assert refresh(settings_of(shop, text=text), now=NOW).outcome == "promoted"
    assert all("/0002/" in start.run for start in starts(shop, 3))


def test_the_final_fit_is_of_all_interactions_and_the_candidate_of_older_ones(shop):
    refresh(settings_of(shop, text=WARM), now=NOW)
    folder = Store(shop / "store").folder(2)
    table = events(31).unique(["user", "item"])
    assert flatrec.load_recommender(folder / FINAL).history.nnz == len(table)
    assert flatrec.load_recommender(folder / CANDIDATE).history.nnz < len(table)
