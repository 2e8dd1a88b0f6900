"""A former name is answered with the present one, wherever a user may still write it."""

from __future__ import annotations

import pytest

from flatrec.cli.commands import COMMANDS
from flatrec.config import Experiment, changed, old_words, read
from flatrec.data.formats.description import ITEM_KEYS, KEYS, parse
from flatrec.registry.instantiate import strategy_class, with_defaults
from flatrec.registry.listing import setting_groups
from flatrec.research.studies import STUDIES
from flatrec.research.studies.runner import build_study

GROUPS = setting_groups()


@pytest.mark.parametrize(("old", "new"), old_words.SETTINGS.items())
def test_a_former_setting_is_answered_with_its_name_of_today(old, new):
    groups = [one for one in GROUPS if new in (setting.name for setting in one.settings)]
    assert groups, f"no group has the setting {new}"
    for one in groups:
        tree = {one.group: {"name": one.name, old: 1} if one.name else {old: 1}}
        if old in (setting.name for setting in one.settings):
            continue  # another model's setting of today, such as BPR's n_layers in one with hidden layers
        with pytest.raises(ValueError, match=f"unknown setting '{old}'; it is called {new} now"):
            with_defaults(changed(Experiment(), tree))


def test_an_old_file_of_settings_is_answered_too(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text("[training]\nclip = 1.0\n")
    with pytest.raises(ValueError, match=r"experiment.toml: training: unknown setting 'clip'; it is called max_grad"):
        read(path)


@pytest.mark.parametrize(("old", "new"), old_words.DATASET_KEYS.items())
def test_a_former_key_of_a_description_is_answered(tmp_path, old, new):
    assert new.partition(".")[0] in (*KEYS, *ITEM_KEYS)
    place = "[items]\n" if new in ITEM_KEYS else ""
    (tmp_path / "dataset.toml").write_text(f'interactions = "a.csv"\n{place}{old} = 1\n')
    with pytest.raises(ValueError, match=f"the unknown key '{old}'; it is called {new} now"):
        parse(tmp_path / "dataset.toml")


@pytest.mark.parametrize(("old", "new"), old_words.NAMES.items())
def test_a_former_name_of_a_strategy_or_study_is_answered(old, new):
    kind, find = ("study", build_study) if new in STUDIES else ("strategy", strategy_class)
    assert find(new)
    with pytest.raises(
        ValueError, match=f"unknown {kind} '{old.replace('+', '.')}'; it is called {new.replace('+', '.')} now"
    ):
        find(old)


@pytest.mark.parametrize(("old", "new"), old_words.COMMANDS.items())
def test_a_former_command_is_answered(flatrec, old, new):
    assert new in COMMANDS
    outcome = flatrec(old)
    assert (outcome.code, outcome.err) == (2, f"flatrec: no such command: {old}; it is called {new} now\n")


COMMANDS_OF_OPTIONS = {
    "--cold": ["evaluate", "run"],
    "--core": ["data", "prepare", "amazon"],
    "--experiment": ["train"],
    "--jobs": ["study", "overall"],
    "--keep-unanswered": ["augment"],
    "--key-variable": ["augment"],
    "--length": ["recommend", "run"],
    "--neighbors": ["recommend", "run"],
    "--neighbours": ["recommend", "run"],
    "--pairs": ["data", "shop", "out"],
    "--part": ["evaluate", "run"],
    "--picture-column": ["encode", "items.csv"],
    "--picture-dir": ["encode", "items.csv"],
    "--picture-encoder": ["encode", "items.csv"],
    "--rate": ["augment"],
    "--share": ["cold-start", "run"],
    "--tries": ["augment"],
    "--way": ["recommend", "run"],
    "--with-known": ["recommend", "run"],
}


@pytest.mark.parametrize(("old", "new"), old_words.OPTIONS.items())
def test_a_former_option_is_answered(flatrec, old, new):
    outcome = flatrec(*COMMANDS_OF_OPTIONS[old], old, "x")
    assert (outcome.code, outcome.err) == (2, f"flatrec: no such option: {old}; it is called {new} now\n")
