import pytest

from flatrec import demo
from flatrec.config import Training
from flatrec.data.shop import ShopSettings
from flatrec.demo import DemoSettings, run_demo
from flatrec.experiment import load_run

TINY = DemoSettings(
    shop=ShopSettings(users=40, items=30, image_dim=4, text_dim=4),
    strategies=("plain", "bsam+"),
    training=Training(epochs=3, batch_size=128, tensorboard=False),
    length=4,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out, lines, heard = tmp_path_factory.mktemp("demo") / "out", [], []

    def observers(strategy, seed):
        heard.append((strategy, seed))
        return []

    return run_demo(out, announce=lines.append, observers=observers, settings=TINY), out, lines, heard


def test_the_demo_compares_recommends_and_reports(finished):
    result, out, lines, heard = finished
    assert result.report == out / "report.html"
    assert list(result.table.cells) == ["plain", "bsam+"]
    assert result.table.seeds == (0, 1)
    assert set(result.yardsticks) == {"popularity", "item-knn"}
    assert heard == [(name, seed) for seed in (0, 1) for name in ("plain", "bsam+")]
    assert lines[0] == "Building a shop: 40 users, 30 items, every item with a picture and a text"
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
        bought = pairs.items[pairs.users == run.dataset.users.number(user)]
        assert not {one.item for one in items} & {run.dataset.items[item] for item in bought.tolist()}


def test_users_are_chosen_by_their_purchases(finished):
    result, *_ = finished
    run = load_run(result.source)
    tests, _ = run.dataset.interactions.pairs("test")
    most = [min(int((tests == run.dataset.users.number(user)).sum()), 2) for user in result.recommendations]
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
    assert again.table.cells == result.table.cells
    assert [path.read_text() for path in mine] == ["mine"] * 3


def test_a_shop_folder_that_is_not_a_shop_is_left_alone(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "taxes.ods").write_text("mine")
    with pytest.raises(FileExistsError, match=r"taxes\.ods"):
        run_demo(tmp_path, overwrite=True, settings=TINY)
    assert (tmp_path / "shop" / "taxes.ods").exists()
