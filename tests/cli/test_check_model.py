"""flatrec check-model: what it prints of sound and faulty models, and what it refuses."""

from __future__ import annotations

import json
import sys

import pytest

from tests.testing import faults

SOUND = """
import torch
from neighbor import SCALE

from flatrec.models import LightGCN, Model

class Mine(LightGCN):
    class Config(LightGCN.Config):
        embedding_dim: int = 4
        scale: float = SCALE

    def __init__(self, dataset, config=None):
        print("building")
        super().__init__(dataset, config)

    def encode(self):
        print("encoding")
        return super().encode()

class Stale(Mine):
    def on_epoch_start(self, generator):
        self.noise = torch.rand(3)

class Moody(Mine):
    def __init__(self, dataset, config):
        raise LookupError("not\\ntoday")

class Choosy(Mine):
    def __init__(self, dataset, config):
        raise ValueError("no audio here")

class Leaving(Mine):
    def __init__(self, dataset, config):
        raise SystemExit(0)

class Configured(Mine):
    def __init__(self, config, dataset):
        super().__init__(dataset)

class Demanding(Mine):
    class Config(Mine.Config):
        dim: int

class Anything(Mine):
    def __init__(self, dataset, **settings):
        super().__init__(dataset, **settings)

class Keyword(Mine):
    def __init__(self, dataset, config=None, *, dim: int = 4):
        super().__init__(dataset, config)

class Nothing(Mine):
    def __init__(self):
        pass

class Listed(Mine):
    class Config(Mine.Config):
        widths: list[int] = [8, 8]

class Unlike(Mine):
    class Config:
        dim = 3

class Unreadable(Mine):
    class Config(Mine.Config):
        width: "Width" = 3

class Half(Model):
    def encode(self):
        pass

class Crashing(Mine):
    def encode(self):
        return self.table(3)

    def table(self, place):
        return [][place]
"""


def line_of(code):
    return next(number for number, line in enumerate(SOUND.splitlines(), start=1) if code in line)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a model of somebody's own, in which the command is run."""
    (tmp_path / "own_model.py").write_text(SOUND)
    (tmp_path / "neighbor.py").write_text("SCALE = 1.0\n")
    (tmp_path / "broken_model.py").write_text("import not_installed\n")
    (tmp_path / "leaving_model.py").write_text("raise SystemExit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("own_model", "neighbor", "broken_model", "leaving_model"):
        sys.modules.pop(name, None)


def test_json_is_one_object_and_nothing_else(flatrec):
    outcome = flatrec("check-model", "--model", "freedom", "--set", "model.n_neighbors=4", "--json")
    said = json.loads(outcome.out)
    assert (outcome.code, outcome.err) == (0, "")
    assert (said["model"], said["class"]) == ("FREEDOM", "flatrec.models.freedom:FREEDOM")
    assert (said["settings"], said["passed"], said["failed"]) == ({"n_neighbors": 4}, True, 0)
    assert {tuple(one) for one in said["checks"]} == {("check", "outcome", "meaning", "reason")}


def test_a_sound_model_gets_a_table_and_exit_code_0(flatrec):
    outcome = flatrec("check-model", "--model", "bpr")
    assert outcome.code == 0
    assert "FAILED" not in outcome.out
    assert outcome.out.count(" ok ") == 20
    assert "other indices of users and items change nothing" in outcome.out


@pytest.mark.parametrize("fault", [faults.StaleEvaluation, faults.NaNLoss, faults.GlobalDraw])
def test_a_faulty_model_gets_its_failed_checks_and_exit_code_1(flatrec, fault):
    outcome = flatrec("check-model", "--model", f"tests.testing.faults:{fault.__name__}", "--json")
    said = json.loads(outcome.out)
    assert outcome.code == 1
    assert sorted(one["check"] for one in said["checks"] if one["outcome"] == "FAILED") == sorted(faults.FAULTS[fault])
    count = len(faults.FAULTS[fault])
    assert outcome.err == f"flatrec: {count} of 20 checks failed for {fault.__name__}\n"
    assert (said["passed"], said["failed"]) == (False, count)


def test_the_table_says_why_a_check_failed(flatrec):
    outcome = flatrec("check-model", "--model", "tests.testing.faults:DeadParameter")
    assert outcome.code == 1
    assert "FAILED" in outcome.out
    assert "'unused.weight', 'unused.bias'" in outcome.out


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("place", ["own_model.py", "own_model", "./own_model.py"])
def test_a_class_of_ones_own_is_found_in_a_file_or_module_beside_its_neighbors(flatrec, place):
    settings = ("--set", "model.embedding_dim=5", "--set", "model.scale=2.0")
    outcome = flatrec("check-model", "--model", f"{place}:Mine", *settings, "--json")
    said = json.loads(outcome.out)  # what the model prints goes elsewhere
    assert outcome.code == 0
    assert (said["model"], said["settings"]) == ("Mine", {"embedding_dim": 5, "scale": 2.0})
    assert "encoding" in outcome.err


def test_a_fault_in_a_file_of_ones_own_is_found(flatrec, own):
    outcome = flatrec("check-model", "--model", own / "own_model.py:Stale")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == "flatrec: 2 of 20 checks failed for Stale"


@pytest.mark.usefixtures("own")
def test_a_crash_names_its_line_and_debug_shows_the_way_there(flatrec):
    outcome = flatrec("check-model", "--model", "own_model.py:Crashing")
    assert outcome.code == 1
    place = f"own_model.py:{line_of('return [][place]')}"
    assert f"IndexError: list index out of range ({place})" in " ".join(outcome.out.split())
    assert outcome.err.splitlines()[-1] == "flatrec: 1 of 20 checks failed for Crashing"
    assert "Traceback" not in outcome.err
    outcome = flatrec("check-model", "--model", "own_model.py:Crashing", "--debug")
    assert "in table" in outcome.err
    assert "IndexError" in outcome.err


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("popularity",), ("popularity needs no training; nothing to check",)),
        (("flatrec.models:ItemKNN",), ("ItemKNN needs no training; nothing to check",)),
        (("freedum",), ("freedum", "did you mean freedom", "module:Class or file.py:Class")),
        (("FREEDOM",), ("unknown model 'FREEDOM'; did you mean freedom?",)),
        (("own_model.py",), ("name the class in it too", "own_model.py:Class")),
        (("nowhere.py:Mine",), ("there is no file nowhere.py",)),
        (("nowhere.models:Mine",), ("there is no module nowhere",)),
        (("broken_model.py:Mine",), ("importing broken_model.py raised", "No module named 'not_installed'")),
        (("leaving_model:Mine",), ("importing leaving_model raised SystemExit",)),
        (("own_model.py:Mne",), ("unknown class 'Mne'", "did you mean Mine?")),
        (("own_model.py:SCALE",), ("must be a subclass of flatrec.models.Model", "type float")),
        (("flatrec.models:Encoded",), ("must be a subclass of flatrec.models.Model", "derived from object")),
        (
            ("own_model.py:Moody",),
            ("Moody could not be built", f"LookupError: not today (own_model.py:{line_of('LookupError')})"),
        ),
        (
            ("own_model.py:Choosy",),
            (f"Choosy could not be built on tiny data: no audio here (own_model.py:{line_of('no audio')})",),
        ),
        (
            ("own_model.py:Leaving",),
            ("Leaving could not be built", f"SystemExit: 0 (own_model.py:{line_of('SystemExit')})"),
        ),
        (
            ("own_model.py:Configured",),
            ("Configured takes no config after the data set: (config, dataset)", "dim: int = 64"),
        ),
        (("own_model.py:Demanding",), ("Demanding.Config gives no default to 'dim'; write dim: int = 64",)),
        (
            ("own_model.py:Anything",),
            ("Anything takes no config after the data set: (dataset, **settings)", "class Config(ModelConfig)"),
        ),
        (("own_model.py:Keyword",), ("Keyword takes 'dim' beside its config, which nothing sets",)),
        (("own_model.py:Unlike",), ("Unlike.Config must be a class derived from flatrec.models.ModelConfig",)),
        (("own_model.py:Nothing",), ("Nothing takes no data set: ()", "def __init__(self, dataset")),
        (("own_model.py:Listed",), ("'widths' must be a tuple, but is list[int]", "tuple[int, ...]")),
        (
            ("own_model.py:Unreadable",),
            ("settings of Unreadable cannot be read", "'Width' is not defined", "TYPE_CHECKING"),
        ),
        (("own_model.py:Half",), ("Half could not be built", "abstract; define loss_terms")),
        (("flatrec.models:Model",), ("Model could not be built", "abstract")),
        (("bpr", "--set", "model.embedding_dim=0"), ("dim must be at least 1, but is 0",)),
        (("bpr", "--set", "model.embeding_dim=3"), ("unknown setting 'embeding_dim'", "did you mean embedding_dim?")),
        (("bpr", "--set", "strategy.rho=1"), ("settings of the model", "'strategy.rho=1'")),
        (("bpr", "--set", "model.name=ngcf"), ("settings of the model",)),
        (("bpr", "--set", "model=3"), ("settings of the model",)),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(flatrec, words, parts):
    outcome = flatrec("check-model", "--model", *words)
    assert (outcome.code, outcome.out) == (2, "")
    lines = [line for line in outcome.err.splitlines() if line != "building"]
    assert len(lines) == 1
    assert lines[0].startswith("flatrec: ")
    assert all(part in lines[0] for part in parts), lines[0]
