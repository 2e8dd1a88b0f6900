"""The lines of epochs.jsonl."""

from __future__ import annotations

import json

import pytest

from flatrec.training.records import EpochRecord, append_line, read_lines, record_of, write_lines
from flatrec.utils.integrity import seal, unseal


def record(epoch):
    return EpochRecord(
        epoch=epoch,
        loss=0.5,
        train_seconds=1.0,
        evaluate_seconds=0.1,
        skipped=0,
        valid={"recall@20": 0.1},
        best=True,
        diagnostics={"distance": 2.0},
    )


def test_lines_round_trip_appended_or_written_at_once(tmp_path):
    appended, written = tmp_path / "epochs.jsonl", tmp_path / "written.jsonl"
    for epoch in (1, 2, 3):
        append_line(appended, record(epoch), "run")
    assert read_lines(appended) == read_lines(appended, "run") == [record(1), record(2), record(3)]
    write_lines(written, [record(1), record(2), record(3)], "run")
    assert written.read_bytes() == appended.read_bytes()


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    path = tmp_path / "epochs.jsonl"
    append_line(path, record(1))
    with path.open("a") as file:
        file.write('{"epoch": 2, "lo')
    assert read_lines(path) == [record(1)]


def lines_of(path, *epochs, run="run"):
    for epoch in epochs:
        append_line(path, record(epoch), run)
    return path


def test_every_flipped_bit_of_a_line_is_found_or_says_the_same(tmp_path):
    path = lines_of(tmp_path / "epochs.jsonl", 1, 2)
    content, equal = path.read_bytes(), 0
    for bit in range(8 * len(content) - 8):  # the last line's end may go with a kill
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            assert read_lines(path) == [record(1), record(2)]
        except ValueError as error:
            assert "epochs.jsonl" in str(error)  # noqa: PT017
        else:
            equal += 1
    assert equal == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0], lines[2], lines[1]],
        lambda lines: [lines[0], lines[0], lines[1]],
    ],
    ids=["the first is gone", "the second is gone", "reordered", "repeated"],
)
def test_lines_that_are_not_the_epochs_in_their_order_are_refused(tmp_path, change):
    path = lines_of(tmp_path / "epochs.jsonl", 1, 2, 3)
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
    with pytest.raises(ValueError, match=r"epochs\.jsonl, line \d, belongs to another run or to epoch \d; put back"):
        read_lines(path)


def test_lines_of_another_run_are_refused(tmp_path):
    path = lines_of(tmp_path / "epochs.jsonl", 1, run="other")
    assert read_lines(path) == [record(1)]
    with pytest.raises(ValueError, match="belongs to another run"):
        read_lines(path, "run")
    lines_of(path, 2, run="run")
    with pytest.raises(ValueError, match="belongs to another run"):
        read_lines(path)


def test_a_file_that_is_not_text_is_named(tmp_path):
    (tmp_path / "epochs.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(ValueError, match=r"epochs\.jsonl is damaged \(byte 0 is not UTF-8"):
        read_lines(tmp_path / "epochs.jsonl")


def test_lines_from_before_digests_are_refused_in_one_line(tmp_path):
    values = unseal(seal({"epoch": 1, "loss": 0.5}), "x", advice="")
    (tmp_path / "epochs.jsonl").write_text(json.dumps(values) + "\n")
    with pytest.raises(
        ValueError, match=r"line 1, has no digest: it was edited, or written by a flatrec from before digests"
    ):
        read_lines(tmp_path / "epochs.jsonl")


@pytest.mark.parametrize("wrong", [{"epoch": "3"}, {"other": 1}, {"valid": 5}, {"loss": "low"}])
def test_a_record_of_wrong_types_is_refused_in_one_line(wrong):
    with pytest.raises(ValueError, match=rf"the record is damaged \({next(iter(wrong))}"):
        record_of(
            {"epoch": 1, "loss": None, "train_seconds": 1, "evaluate_seconds": 1, "skipped": 0, **wrong}, "the record"
        )


def test_no_file_is_no_records(tmp_path):
    assert read_lines(tmp_path / "epochs.jsonl") == []
