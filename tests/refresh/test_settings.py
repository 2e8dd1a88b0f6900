"""The file of the nightly job: what it may hold, and one line for what it may not."""

from __future__ import annotations

import pytest

from flatrec.refresh import read_settings
from tests.refresh.deliveries import SETTINGS, settings_of

MINIMAL = 'data = "shop"\nfolder = "store"\n'


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path):
    settings = settings_of(tmp_path)
    assert settings.data == str(tmp_path / "data" / "dataset.toml")
    assert settings.folder == tmp_path / "store"


def test_the_built_in_shop_is_no_path(tmp_path):
    assert settings_of(tmp_path, text=MINIMAL).data == "shop"


def test_defaults_are_those_of_an_experiment(tmp_path):
    settings = settings_of(tmp_path, text=MINIMAL)
    assert settings.train.model.name == "freedom"
    assert (settings.compare.k, settings.compare.valid, settings.keep) == (10, 7.0, 7)


def test_settings_beside_a_file_of_an_experiment_override_it(tmp_path):
    (tmp_path / "experiment.toml").write_text('seed = 4\n[model]\nname = "bpr"\nembedding_dim = 8\n')
    more = '[train]\nconfig = "experiment.toml"\n[train.model]\nembedding_dim = 2\n'
    experiment = settings_of(tmp_path, more, text=MINIMAL).train
    assert (experiment.seed, experiment.model.name, experiment.model.options["embedding_dim"]) == (4, "bpr", 2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("kep = 3\n", "unknown setting 'kep'; did you mean keep?"),
        ("keep = 1\n", "keep must be at least 2, but is 1"),
        ('folder = ""\n', "folder must be a path, but is ''"),
        ("[check]\nitem = 3\n", "check: unknown setting 'item'; did you mean items?"),
        ("[check]\nusers = [0.5, -0.5]\n", "check.users must be the lowest and the highest change"),
        ("[check]\nusers = [-2, 0]\n", "check.users[0] must be at least -1"),
        ("[check]\nmin_user_overlap = 2\n", "check.min_user_overlap must lie in [0, 1], but is 2"),
        ('[compare]\nmetric = "recall"\n', "compare.metric must be a metric with its K, such as recall@10"),
        ('[compare]\nmetric = "recal@10"\n', "unknown metric 'recal'; did you mean recall?"),
        ("[compare]\ndays = 0\n", "compare.days must be above 0, but is 0"),
        ("[compare]\nvalid_days = 0\n", "compare.valid_days is 0, so that nothing chooses the best epoch; set train."),
        ('[train]\ndata = "shop"\n', "train.data is not set here; set data"),
        ('[train.split]\nmethod = "random"\n', "train.split is not set here; set compare.days and compare.valid_days"),
        ("[train.training]\nepoch = 3\n", "train.training: unknown setting 'epoch'; did you mean epochs?"),
        ('[train.model]\nname = "lightgnc"\n', "unknown model 'lightgnc'; did you mean lightgcn?"),
        ('[train]\nconfig = "none.toml"\n', "there is no experiment file"),
        ("train = 3\n", "train is a group of settings, such as train.model, but is 3"),
        ("check = 3\n", "check is a group of settings"),
        ("[check\n", "is not a TOML file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, more, said):
    text = MINIMAL if not more.startswith("folder") else 'data = "shop"\n'
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        settings_of(tmp_path, more, text=text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("train", ['[train.training]\nselect = "last"\n', '[train.model]\nname = "popularity"\n'])
def test_no_validation_is_needed_where_nothing_chooses_an_epoch(tmp_path, train):
    assert settings_of(tmp_path, f"[compare]\nvalid_days = 0\n{train}", text=MINIMAL).compare.valid == 0


def test_data_and_folder_must_be_named(tmp_path):
    with pytest.raises(ValueError, match="data has no default; give it a path"):
        settings_of(tmp_path, text='folder = "store"\n')


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file .*shop.toml"):
        read_settings(tmp_path / "shop.toml")


def test_the_settings_of_the_tests_are_read(tmp_path):
    assert settings_of(tmp_path, text=SETTINGS).compare.metric == "recall@5"
