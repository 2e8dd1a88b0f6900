"""The table ``[split]`` of a description, and of a file of settings."""

import pytest

from flatrec import config
from flatrec.config import SplitSettings
from flatrec.data.loading import load_data
from tests.data.splitting.tables import TWELVE, moment, parts


@pytest.fixture
def described(tmp_path):
    """Writes the table of twelve rows with a description of its split."""

    def write(split):
        rows = "".join(f"{user},{item},{moment(day)}\n" for day, user, item in TWELVE)
        (tmp_path / "log.csv").write_text("user,item,when\n" + rows)
        (tmp_path / "dataset.toml").write_text(f'interactions = "log.csv"\ntime_column = "when"\n[split]\n{split}\n')
        return tmp_path / "dataset.toml"

    return write


@pytest.mark.parametrize(
    "dates",
    [
        "valid_from = 2024-01-07\ntest_from = 2024-01-09",
        'valid_from = "2024-01-07"\ntest_from = "2024-01-09T00:00:00Z"',
        "valid_from = 2024-01-07T02:00:00+02:00\ntest_from = 2024-01-09T00:00:00",
    ],
)
def test_dates_may_be_written_as_dates_of_toml_or_as_texts(described, dates):
    dataset = load_data(described(f'method = "time"\n{dates}'))
    assert parts(dataset) == ["ua ub uc ud va vb vc wa", "ue wb", "vd wc"]


def test_the_split_of_a_call_wins(described):
    path = described('method = "leave-last"\nn_last = 2')
    assert parts(load_data(path))[1:] == ["ub uc", "ud ue"]
    assert parts(load_data(path, SplitSettings(n_last=1)))[1:] == ["ud vc wb", "ue vd wc"]
    dataset = load_data(path, SplitSettings(method="time", ratios=(4, 1, 1)))
    assert parts(dataset)[1:] == ["ue wb", "vd wc"]
    assert dataset.split_report.requested.given == {"method": "time", "ratios": (4.0, 1.0, 1.0)}
    assert load_data(path, dataset.split_report.requested).fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ('methodd = "time"', r"dataset.toml: split: unknown setting 'methodd'; did you mean method"),
        ('method = "times"', "dataset.toml: split.method: input should be 'random', 'time'"),
        ('method = "time"\ntest_from = 2024', "dataset.toml: split.test_from: input should be a valid string"),
        ('method = "time"\ntest_from = 2025-01-01', "split.test_from must lie within the data's time"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(described, split, says):
    with pytest.raises(ValueError, match=says) as error:
        load_data(described(split))
    assert "\n" not in str(error.value)


def test_a_file_of_settings_has_the_same_table(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('[split]\nmethod = "time"\nratios = [8, 1, 1]\ntest_from = 2024-06-01\nwindows = 4\n')
    experiment = config.read(path)
    assert experiment.split == SplitSettings(method="time", ratios=(8, 1, 1), test_from="2024-06-01", windows=4)
    (tmp_path / "again.toml").write_text(config.write(experiment))
    assert config.read(tmp_path / "again.toml") == experiment


def test_another_method_drops_the_settings_of_the_former_one():
    former = config.changed(config.Experiment(), {"split": {"method": "leave-last", "n_last": 2}})
    assert config.changed(former, {"split": {"method": "time"}}).split == SplitSettings(method="time")
    assert config.changed(former, {"split": {"method": "leave-last"}}).split == former.split
    begun = config.changed(config.Experiment(), {"split": {"n_last": 2}})
    assert config.changed(begun, {"split": {"method": "leave-last"}}).split == former.split
