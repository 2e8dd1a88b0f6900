"""Audio, which the package does not know by name, goes the whole way beside images and texts, and alone."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch

from flatrec import config, testing
from flatrec.api import load_run
from flatrec.cli import main
from flatrec.data.features import Features
from flatrec.data.formats import mmrec
from flatrec.data.loading import load_data
from flatrec.research.analysis.perturbation import adjust_features, noisy
from flatrec.research.studies.noise import FEATURES, ScoresUnderNoise
from flatrec.utils import seeding
from tests.models.settings import MULTIMODAL, SETTINGS, make

pytestmark = pytest.mark.repeats

BANDS, BLOCKS, ITEMS = 24, 3, 9
LACKING = [4, 20]  # items without audio
SOURCES = ("mmrec", "toml-npy", "toml-parquet")
MODALITIES = ("audio", "image", "text")
QUICK = ("--set", "training.epochs=2", "--set", "training.loggers=none", "--set", "optimizer.lr=0.01")


def spectra(seed=0):
    """The strength of every frequency band of an item's sound, with a peak where its block has its pitch."""
    stream = np.random.default_rng(seed)
    owner = np.repeat(np.arange(BLOCKS), ITEMS)
    pitch = 4 + 8 * owner + stream.normal(scale=0.5, size=len(owner))
    peaks = np.exp(-(((np.arange(BANDS) - pitch[:, None]) / 2) ** 2))
    return np.log1p(10 * peaks + stream.exponential(0.2, peaks.shape)).astype(np.float32)


def with_audio(dataset, values):
    present = np.ones(dataset.n_items, dtype=np.bool_)
    present[LACKING] = False
    return dataset.with_features({**dataset.features, "audio": Features(values, present)})


def data(*modalities):
    """Blocks of users and items; all items have images and texts, all but two audio."""
    others = [name for name in modalities if name != "audio"]
    return with_audio(testing.block_dataset(blocks=BLOCKS, users=11, items=ITEMS, modalities=others), spectra())


def describe(dataset, folder, kind):
    """Write a ``dataset.toml`` with what it names; rows of audio come in an order of their own."""
    folder.mkdir()
    pairs = dataset.interactions
    columns = {
        "user": [dataset.users[n] for n in pairs.users.tolist()],
        "item": [dataset.items[n] for n in pairs.items.tolist()],
    }
    pl.DataFrame({**columns, "part": pairs.splits}).write_csv(folder / "clicks.csv")
    lines = ['name = "blocks"', 'interactions = "clicks.csv"', 'split_column = "part"']
    for name, one in dataset.features.items():
        rows = np.random.default_rng(1).permutation(np.flatnonzero(one.present))
        ids = [dataset.items[row] for row in rows.tolist()]
        if kind == "toml-npy":
            np.save(folder / f"{name}.npy", one.values[rows])
            (folder / f"{name}.txt").write_text("\n".join(ids) + "\n")
            lines += [f"[features.{name}]", f'file = "{name}.npy"', f'ids = "{name}.txt"']
        else:
            pl.DataFrame({"item": ids, "vector": one.values[rows].tolist()}).write_parquet(folder / f"{name}.parquet")
            lines += [f"[features.{name}]", f'file = "{name}.parquet"']
    (folder / "dataset.toml").write_text("\n".join(lines) + "\n")


def write(dataset, folder, kind):
    if kind == "mmrec":
        mmrec.write(dataset, folder)
    else:
        describe(dataset, folder, kind)
    return folder


def settings(name):
    return [word for key, value in SETTINGS[name].items() for word in ("--set", f"model.{key}={json.dumps(value)}")]


@pytest.fixture
def flatrec_says(capsys):
    """Runs a command that must succeed and gives what it printed, or what its JSON holds."""

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        assert stop.value.code == 0, captured.err
        return json.loads(captured.out) if "--json" in words else captured.out

    return run


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The data of three modalities in every way that they can lie on disk, and audio alone."""
    root = tmp_path_factory.mktemp("data")
    written = {kind: write(data(*MODALITIES), root / kind, kind) for kind in SOURCES}
    return {**written, "audio alone": write(data("audio"), root / "alone", "mmrec")}


@pytest.mark.parametrize("kind", SOURCES)
def test_audio_is_read_row_by_row(kind, folders):
    given, found = data(*MODALITIES), load_data(folders[kind])
    assert tuple(sorted(found.features)) == MODALITIES
    for name, one in given.features.items():
        places = [found.items.index_of(item) for item in given.items]
        np.testing.assert_array_equal(found.features[name].values[places], one.values)
        np.testing.assert_array_equal(found.features[name].present[places], one.present)
    assert int((~found.features["audio"].present).sum()) == len(LACKING)


def test_a_folder_has_a_file_of_audio_and_one_of_who_lacks_it(folders):
    assert np.load(folders["mmrec"] / "audio_feat.npy").shape == (BLOCKS * ITEMS, BANDS)
    assert np.flatnonzero(~np.load(folders["mmrec"] / "audio_mask.npy")).tolist() == LACKING
    assert not (folders["mmrec"] / "image_mask.npy").exists()


@pytest.mark.parametrize("kind", SOURCES)
def test_info_shows_audio(kind, folders, flatrec_says):
    found = flatrec_says("data", "info", folders[kind], "--json")["features"]
    assert found["audio"] == {"width": BANDS, "missing": len(LACKING), "zero_rows": 0, "constant_rows": 0}
    assert tuple(sorted(found)) == MODALITIES
    assert "audio" in flatrec_says("data", "info", folders[kind])


@pytest.mark.parametrize("kind", SOURCES)
def test_audio_is_kept_when_data_are_written_back(kind, folders, tmp_path):
    found = load_data(folders[kind])
    mmrec.write(found, tmp_path / "back")
    again = load_data(tmp_path / "back")
    assert again.fingerprint == found.fingerprint
    assert list(again.items) == list(found.items)
    np.testing.assert_array_equal(again.features["audio"].values, found.features["audio"].values)
    np.testing.assert_array_equal(again.features["audio"].present, found.features["audio"].present)


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, kind) for name in MULTIMODAL for kind in ("mmrec", "audio alone")), ("freedom", "toml-parquet")],
)
def test_every_model_goes_from_disk_to_recommendations(name, kind, folders, flatrec_says, tmp_path):
    run, words = tmp_path / "run", (*settings(name), *QUICK)
    flatrec_says("train", "--data", folders[kind], "--model", name, *words, "--out", run)
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    scored = flatrec_says("evaluate", run, "--json")
    assert scored["metrics"] == result["test"]
    (listed,) = flatrec_says("recommend", run, "--user", "user 3", "-k", "4", "--json")["recommendations"]
    assert len({one["item"] for one in listed["items"]}) == 4
    alike = flatrec_says("similar", run, "--item", "item 4", "-k", "4", "--json")["similar"]
    assert "item 4" not in {one["item"] for one in alike}  # it lacks audio, and is like others all the same
    assert all(np.isfinite(one["score"]) for one in (*listed["items"], *alike))


def trained_on(name, dataset):
    model = make(name, dataset)
    testing.fit(model, dataset, epochs=3)
    with torch.no_grad():
        users, items = model.user_item_embeddings(model.encode())
    return torch.cat([users, items])


@pytest.mark.parametrize("modalities", [MODALITIES, ("audio",)], ids="+".join)
@pytest.mark.parametrize("name", MULTIMODAL)
def test_every_model_reads_audio(name, modalities):
    dataset = data(*modalities)
    shuffled = with_audio(dataset, np.random.default_rng(2).permutation(spectra()))
    one, again, other = (trained_on(name, each) for each in (dataset, data(*modalities), shuffled))
    assert torch.equal(one, again)
    assert (one - other).abs().max() > 1e-3 * one.abs().max()


def test_audio_alone_tells_what_goes_together(flatrec_says, folders, tmp_path):
    words = ("--set", "model.embedding_dim=8", "--set", "model.n_neighbors=4", *QUICK)
    flatrec_says("train", "--data", folders["audio alone"], "--model", "freedom", *words, "--out", tmp_path / "run")
    model = load_run(tmp_path / "run").model
    links = model.item_graph.coo()
    rows, columns = links.row, links.col
    heard = ~np.isin(rows, LACKING) & ~np.isin(columns, LACKING)
    assert heard.sum() > 50
    assert (rows[heard] // ITEMS == columns[heard] // ITEMS).all()


@pytest.mark.parametrize("name", ["vbpr", "freedom", "lattice"])
def test_noise_on_features_is_measured_with_audio(name, folders, flatrec_says, tmp_path):
    scores = {}
    for kind in ("mmrec", "audio alone"):
        run = tmp_path / kind
        words = (*settings(name), *QUICK, "--set", "training.epochs=4")
        flatrec_says("train", "--data", folders[kind], "--model", name, *words, "--out", run)
        found = ScoresUnderNoise((0.0, 100.0), 2)(load_run(run), config.read(run / "experiment.toml"))
        scores[kind] = found[FEATURES]
        before = json.loads((run / "result.json").read_text(encoding="utf-8"))["test"]
        assert found[FEATURES]["0"] == [before, before]
    assert all(one["100"] != one["0"] for one in scores.values())


def test_noise_reaches_audio_and_leaves_who_lacks_it():
    dataset = data(*MODALITIES)
    changed = noisy(dataset, 0.01, seeding.generator(0, "noise")).features
    there = dataset.features["audio"].present
    apart = changed["audio"].values[there] - dataset.features["audio"].values[there]
    assert apart.std() == pytest.approx(0.1, rel=0.1)
    np.testing.assert_array_equal(changed["audio"].present, there)
    assert all((changed[name].values != dataset.features[name].values).any() for name in ("image", "text"))


def test_adjustment_leaves_audio_as_it_is():
    dataset = data(*MODALITIES)
    found = adjust_features(dataset, 1.0, seeding.generator(0, "adjusted"))
    assert len(found.items) == dataset.n_items
    assert found.dataset.features["audio"] is dataset.features["audio"]
    for name in ("image", "text"):
        assert (found.dataset.features[name].values != dataset.features[name].values).any()
    with pytest.raises(ValueError, match="needs text or image features, but data set 'blocks' has audio"):
        adjust_features(data("audio"), 1.0, seeding.generator(0, "adjusted"))


def test_the_noise_study_takes_three_modalities(folders, flatrec_says, tmp_path):
    words = ("--models", "freedom", "--strategies", "plain,bsam", "--seeds", "2", *settings("freedom"), *QUICK)
    more = ("--set", "study.variances=[0.01]", "--set", "study.draws=2", "--out", tmp_path / "study", "--json")
    found = flatrec_says("study", "noise", "--data", folders["toml-parquet"], *words, *more)
    assert found["failures"] == []
    assert {FEATURES, "embeddings"} <= {cell for row in found["tables"][0]["rows"] for cell in row}
