"""Files of exports: shards equal the whole, exports are never mixed, and a kill or a full disk leaves nothing half."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from flatrec.inference.candidates import Filters
from flatrec.inference.export import ExportOptions, Shard, blocks, export_recommendations, export_similar, files
from flatrec.inference.export.manifests import manifest_of
from flatrec.inference.storage import load_recommender, save_recommender
from tests.inference.export.conftest import drawn
from tests.processes import SERVER

pytestmark = pytest.mark.usefixtures("small_blocks")
ENDINGS = ["parquet", "csv", "jsonl"]


def export(recommender, out, shard="1/1", *, call=export_recommendations, **options):
    return call(recommender, out, ExportOptions(k=5, shard=Shard.parse(shard), **options))


def shards(recommender, out, count, **options):
    reports = [export(recommender, out, f"{index}/{count}", **options) for index in range(1, count + 1)]
    return reports, sorted(out.parent.glob(f"{out.stem}-*{out.suffix}"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("call", [export_recommendations, export_similar])
@pytest.mark.parametrize("count", [2, 3, 16])
@pytest.mark.parametrize("ending", ENDINGS)
def test_shards_equal_one_run(tmp_path, ending, count, call):
    recommender = drawn()
    whole = export(recommender, tmp_path / f"whole.{ending}", call=call)
    reports, written = shards(recommender, tmp_path / f"recs.{ending}", count, call=call)
    assert [path.name for path in written] == [
        f"recs-{index:05}-of-{count:05}.{ending}" for index in range(1, count + 1)
    ]
    assert sum(report.rows for report in reports) == whole.rows > 0
    assert sum(report.lists for report in reports) == whole.lists
    if ending == "parquet":
        frames = [pl.read_parquet(path) for path in written]
        assert pl.concat(frames).equals(pl.read_parquet(tmp_path / "whole.parquet"))
    else:
        joined = b"".join(path.read_bytes() for path in written)
        assert joined == (tmp_path / f"whole.{ending}").read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_shard_that_is_written_twice_has_equal_bytes(tmp_path, ending):
    recommender, again = drawn(), drawn()
    for name, one in (("first", recommender), ("second", again)):
        (tmp_path / name).mkdir()
        export(one, tmp_path / name / f"recs.{ending}", "2/3")
    assert names(tmp_path / "first") == names(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


def test_bytes_of_parquet_do_not_depend_on_how_rows_are_divided(tmp_path):
    frame = pl.DataFrame({"a": range(10), "b": [str(index) for index in range(10)]})
    for name, lengths in (("one", [10]), ("many", [3, 0, 4, 1, 2])):
        starts = [sum(lengths[:index]) for index in range(len(lengths))]
        parts = (frame.slice(start, length) for start, length in zip(starts, lengths, strict=True))
        files.write_frames(parts, tmp_path / name, "parquet", frame.schema, header=False)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()


def test_row_groups_are_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROW_GROUP", 30)
    export(drawn(), tmp_path / "recs.parquet")
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(tmp_path / "recs.parquet")
    sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert set(sizes[:-1]) == {30}
    assert sum(sizes) == 115


def test_a_finished_shard_is_left_as_it_is(tmp_path, monkeypatch):
    recommender, out = drawn(), tmp_path / "recs.csv"
    first = export(recommender, out, "2/3")
    monkeypatch.setattr(blocks.RecommendationBlocks, "rows", lambda *_: pytest.fail("rows were made again"))
    assert export(recommender, out, "2/3") == replace(first, skipped=True)


def test_a_damaged_shard_is_written_again(tmp_path):
    recommender, out = drawn(), tmp_path / "recs.csv"
    export(recommender, out, "2/3")
    file = tmp_path / "recs-00002-of-00003.csv"
    right = file.read_bytes()
    file.write_bytes(right.replace(b"u", b"v", 1))
    assert not export(recommender, out, "2/3").skipped
    assert file.read_bytes() == right


OTHERS = {
    "another recommender": {"seed": 1},
    "another k": {"k": 4},
    "other filters": {"filters": Filters(where="price < 5")},
    "other users": {"users": ["u1", "u2"]},
    "another number of shards": {"shard": Shard(1, 4)},
    "another format": {"format": "jsonl"},
}


def other(change):
    options = {"k": 5, "shard": Shard(1, 3)} | {name: value for name, value in change.items() if name != "seed"}
    return drawn(seed=change.get("seed", 0)), options


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_shards_of_two_exports_are_not_mixed(tmp_path, change):
    out = tmp_path / "recs.csv"
    export(drawn(), out, "2/3")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    recommender, options = other(change)
    with pytest.raises(FileExistsError, match=r"recs-00002-of-00003.csv beside it are of another export"):
        export_recommendations(recommender, out, ExportOptions(**options))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    export_recommendations(recommender, out, ExportOptions(**options, overwrite=True))
    file = options["shard"].file(out).name
    assert names(tmp_path) == sorted([file, f"_{file}.json"])


def test_filters_that_allow_the_same_items_are_the_same_export(tmp_path):
    recommender, out = drawn(), tmp_path / "recs.csv"
    export(recommender, out, filters=Filters(where="price < 3"))
    assert export(recommender, out, filters=Filters(items=["i2", "i0", "i1"])).skipped
    with pytest.raises(FileExistsError):
        export(recommender, out, filters=Filters(items=["i2", "i0"]))


def test_two_exports_that_begin_together_see_each_other(tmp_path):
    """While one export writes its shard, another one claims a shard beside it by force."""
    out, rows = tmp_path / "recs.csv", blocks.RecommendationBlocks.rows

    def interrupted(self, start, stop):
        monkeypatch.undo()
        export_recommendations(drawn(seed=1), out, ExportOptions(k=5, shard=Shard(2, 3), overwrite=True))
        return rows(self, start, stop)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(blocks.RecommendationBlocks, "rows", interrupted)
        with pytest.raises(FileExistsError, match="of another export"):
            export(drawn(), out, "1/3")
    assert names(tmp_path) == ["_recs-00002-of-00003.csv.json", "recs-00002-of-00003.csv"]


@pytest.mark.parametrize("what", ["another export", "another file"])
def test_a_file_is_replaced_only_if_that_is_asked_for(tmp_path, what):
    out = tmp_path / "recs.csv"
    if what == "another export":
        export(drawn(seed=1), out)
    else:
        out.write_text("orders\n")
    before = out.read_bytes()
    with pytest.raises(FileExistsError, match=r"recs.csv exists and is of another export or of other origin"):
        export(drawn(), out)
    assert out.read_bytes() == before
    export(drawn(), out, overwrite=True)
    assert export(drawn(), out).skipped


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "recs.csv").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="a symbolic link"):
        export(drawn(), tmp_path / "recs.csv", overwrite=True)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch, ending):
    out, rows = tmp_path / f"recs.{ending}", blocks.RecommendationBlocks.rows
    export(drawn(), out)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken(self, start, stop):
        if start >= 8:
            raise MemoryError("no memory")
        return rows(self, start, stop)

    monkeypatch.setattr(blocks.RecommendationBlocks, "rows", broken)
    with pytest.raises(MemoryError, match="no memory"):
        export(drawn(seed=1), out, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_an_error_of_the_operating_system(ending):
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is always full")
    frame = pl.DataFrame({"a": range(100_000)})
    with pytest.raises(OSError, match="[Nn]o space left") as caught:
        files.write_frames([frame], Path("/dev/full"), ending, frame.schema, header=True)
    assert caught.value.errno == errno.ENOSPC


def _slow_export(folder, out, begun):
    """Export a shard so slowly that it can be killed in the middle."""
    rows = blocks.RecommendationBlocks.rows
    blocks.BLOCK_USERS = blocks.BLOCK_SCORES = blocks.BLOCK_LISTS = 4

    def slow(self, start, stop):
        if start >= 8:
            begun.touch()
            time.sleep(60)
        return rows(self, start, stop)

    blocks.RecommendationBlocks.rows = slow
    export(load_recommender(folder), out)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_killed_can_be_called_again(tmp_path, ending):
    recommender, folder, begun = drawn(), tmp_path / "recommender", tmp_path / "begun"
    save_recommender(recommender, folder)
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / f"recs.{ending}"
    process = SERVER.Process(target=_slow_export, args=(folder, out, begun))
    process.start()
    deadline = time.monotonic() + 60
    while not begun.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert begun.exists()
    process.kill()
    process.join()
    assert not out.exists()
    assert any(name.startswith(".flatrec-") for name in names(tmp_path / "out"))
    assert not export(load_recommender(folder), out).skipped
    (tmp_path / "whole").mkdir()
    export(recommender, tmp_path / "whole" / out.name)
    assert out.read_bytes() == (tmp_path / "whole" / out.name).read_bytes()
    assert names(tmp_path / "out") == sorted([manifest_of(out).name, out.name])


def test_a_kill_between_manifest_and_file_is_no_obstacle(tmp_path):
    recommender, out = drawn(), tmp_path / "recs.csv"
    export(recommender, out, "1/2")
    file = tmp_path / "recs-00001-of-00002.csv"
    right = file.read_bytes()
    os.unlink(file)
    assert not export(recommender, out, "1/2").skipped
    assert file.read_bytes() == right
