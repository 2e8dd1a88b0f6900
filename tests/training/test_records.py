"""The lines of epochs.jsonl and the curves for TensorBoard."""

from __future__ import annotations

from flatrec.training.records import EpochRecord, append_line, cut_lines, read_lines
from flatrec.training.tensorboard import TensorBoard


def record(epoch):
    return EpochRecord(
        epoch=epoch,
        loss=0.5,
        train_seconds=1.0,
        evaluate_seconds=0.1,
        skipped=0,
        valid={"recall@20": 0.1},
        best=True,
        trace={"distance": 2.0},
    )


def test_lines_round_trip_and_are_cut_to_the_checkpoint(tmp_path):
    path = tmp_path / "epochs.jsonl"
    for epoch in (1, 2, 3):
        append_line(path, record(epoch))
    assert cut_lines(path, 2) == [record(1), record(2)]
    assert len(path.read_text().splitlines()) == 2


def test_a_line_cut_short_by_a_kill_is_dropped(tmp_path):
    path = tmp_path / "epochs.jsonl"
    append_line(path, record(1))
    with path.open("a") as file:
        file.write('{"epoch": 2, "lo')
    assert read_lines(path) == [record(1)]


def test_no_file_is_no_records(tmp_path):
    assert read_lines(tmp_path / "epochs.jsonl") == []


def test_tensorboard_holds_a_point_an_epoch(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path)
    board.on_start(1, 2, 5)
    board.on_step(1, 1)
    board.on_epoch(record(1))
    board.on_epoch(record(2))
    board.on_end()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"train/loss", "seconds/train", "valid/recall@20", "trace/distance"}
    assert [point.step for point in events.Scalars("train/loss")] == [1, 2]
