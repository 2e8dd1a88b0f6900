"""Models and strategies of the user's own, wherever a command takes a name; and that no folder runs code by itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

import flatrec as package
from flatrec.api import run_experiment
from flatrec.config import Component, Experiment
from flatrec.registry.instantiate import model_class
from flatrec.testing import block_dataset
from flatrec.utils import user_classes
from flatrec.utils.integrity import COMMENT, MANIFEST, seal_text
from tests.cli.conftest import SMALL

MINE = """
import sys
from dataclasses import dataclass
from pathlib import Path
from flatrec.models import LightGCN, ModelConfig
from flatrec.strategies import SingleBatchStrategy, Strategy

Path("executed").touch()

class Mine(LightGCN):
    class Config(LightGCN.Config):
        embedding_dim: int = 4
        width: int = 2

    SEARCH_SPACE = {}
    DEFAULTS = {}

class Scaled(SingleBatchStrategy):
    def __init__(self, *, scale: float = 0.5):
        self.scale = scale

    @property
    def gradients_per_step(self):
        return 1.0

    def transform_gradient(self, first):
        return [one * self.scale for one in first.gradient]

class SAM(Scaled):
    pass

class Whole(Strategy):
    gradients_per_step = 1.0

    def take_step(self, context, batch):
        (loss,), (gradient,) = context.gradients(batch)
        context.update(gradient)
        return loss

class Untyped(Mine):
    def __init__(self, dataset, config=None, *, width=2):
        super().__init__(dataset, config)

class Opaque(Mine):
    class Config(Mine.Config):
        width: object = Path()

class Named(Mine):
    class Config(Mine.Config):
        name: str = ""

class Moody(Mine):
    def __init__(self, dataset, config):
        raise LookupError("not today")

class Half(LightGCN):
    encode = None

class Crashing(Mine):
    def loss(self, encoded, batch):
        return [][3]

class Narrow(Mine):
    def loss(self, encoded, batch):
        return (encoded.node_embeddings @ encoded.node_embeddings).sum()

class Leaving(Mine):
    def loss(self, encoded, batch):
        sys.exit(0)

class Refusing(Mine):
    def loss(self, encoded, batch):
        raise ValueError("not this batch")

class Late(Scaled):
    def transform_gradient(self, first):
        return first.missing
"""
SMALL_RUN = ("--set", "training.epochs=2", "--set", "training.loggers=none", "--set", "training.monitor=ndcg@20")


def rewrite(folder, old, new):
    """The settings of a run as a stranger would change them, digests and all."""
    file = folder / "experiment.toml"
    settings = file.read_text().rpartition(COMMENT)[0]
    assert old in settings
    file.write_text(seal_text(settings.replace(old, new)))
    (folder / MANIFEST).unlink()


@pytest.fixture
def own(tmp_path, monkeypatch, blocks):  # noqa: ARG001 - in the folder
    """A folder with ``mine.py`` and the data ``blocks``, in which commands run, and none of whose classes is known."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(user_classes, "_loaded", [])
    forget(tmp_path)
    yield tmp_path
    forget(tmp_path)


def forget(folder):
    """As in a new process."""
    user_classes._loaded.clear()
    for name in [name for name in sys.modules if name == "mine" or name.startswith("flatrec_user_")]:
        del sys.modules[name]
    (folder / "executed").unlink(missing_ok=True)


@pytest.fixture
def run(flatrec, own):
    """A run with a model and a mixed strategy of one's own."""
    words = ("train", "--data", "blocks", "--model", "mine.py:Mine", "--strategy", "mine.py:Scaled+", *SMALL_RUN)
    outcome = flatrec(*words, "--set", "model.width=3", "--set", "strategy.kappa=0.7", "--out", "run")
    assert outcome.code == 0, outcome.err
    assert "Mine · Scaled+ · blocks" in outcome.out
    forget(own)
    return own / "run"


def test_a_run_records_place_and_digest_with_all_settings(run):
    settings = json.loads((run / "result.json").read_text())["settings"]
    assert re.fullmatch(r"mine\.py:Mine@[0-9a-f]{16}", settings["model"]["name"])
    assert re.fullmatch(r"mine\.py:Scaled@[0-9a-f]{16}\+", settings["strategy"]["name"])
    assert settings["model"]["options"] == {
        "embedding_dim": 4,
        "n_layers": 3,
        "reg_weight": 1e-4,
        "weighted_edges": False,
        "edge_dropout": 0.0,
        "message_dropout": 0.0,
        "width": 3,
    }
    assert settings["strategy"]["options"] == {"scale": 0.5, "kappa": 0.7}


@pytest.mark.parametrize("place", ["mine.py:Mine", "./mine.py:Mine", "mine:Mine"])
def test_a_run_is_loaded_where_its_class_is_named_again(flatrec, run, place):
    result = json.loads((run / "result.json").read_text())
    scored = json.loads(flatrec("evaluate", run, "--model", place, "--json").out)
    assert scored["metrics"] == result["test"]
    assert flatrec("recommend", run, "--user", "user 0", "--model", place).code == 0
    assert flatrec("similar", run, "--item", "item 0", "--model", place).code == 0


def test_a_run_goes_on_where_its_classes_are_named_again(flatrec, run, own):
    both = ("--model", "mine.py:Mine", "--strategy", "mine.py:Scaled+")
    more = ("train", "--resume", "--set", "training.epochs=4")
    resumed = json.loads(flatrec(*more, *both, "--out", run, "--json").out)
    whole = flatrec("train", "--data", "blocks", *both, *SMALL_RUN, "--set", "model.width=3", "--set",
                    "strategy.kappa=0.7", "--set", "training.epochs=4", "--out", "whole", "--json")  # fmt: skip
    assert (resumed["epochs"], resumed["test"]) == (4, json.loads(whole.out)["test"])
    assert (run / "checkpoint.safetensors").read_bytes() == (own / "whole" / "checkpoint.safetensors").read_bytes()


def one_line(outcome, *parts, code=2):
    lines = outcome.err.strip().splitlines()
    assert (outcome.code, len(lines)) == (code, 1), outcome.err
    assert all(part in lines[0] for part in parts), lines[0]
    assert len(lines[0]) <= 510


COMMANDS_ON_A_RUN = [
    ("evaluate", "run"),
    ("cold-start", "run"),
    ("recommend", "run", "--user", "user 0"),
    ("similar", "run", "--item", "item 0"),
    ("train", "--resume", "--out", "run"),
    ("train", "--resume", "--out", "run", "--set", "training.epochs=3"),
    ("train", "--config", "run/experiment.toml", "--out", "other"),
    ("compare", "--config", "run/experiment.toml", "--strategies", "plain,sam", "--out", "other"),
    ("sweep", "--config", "run/experiment.toml", "--trials", "1", "--out", "other"),
]


@pytest.mark.parametrize("name", ["mine.py:Mine@{}", "mine.py:Mine", "mine:Mine"])
@pytest.mark.parametrize("words", COMMANDS_ON_A_RUN)
def test_no_command_runs_the_code_that_a_run_folder_names(flatrec, run, own, words, name):
    recorded = re.search(r'name = "mine.py:Mine@(\w+)"', (run / "experiment.toml").read_text())[1]
    rewrite(run, f"mine.py:Mine@{recorded}", name.format(recorded))
    shutil.rmtree(run / "recommender")  # which answers without the class
    one_line(flatrec(*words), "mine.py:Mine" if ".py" in name else "mine:Mine", "--model")
    assert not (own / "executed").exists()


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("words", [("recommend", "run", "--user", "user 0"), ("similar", "run", "--item", "item 0")])
def test_a_saved_recommender_answers_without_the_class_of_its_model(flatrec, own, words):
    (own / "mine.py").unlink()
    assert flatrec(*words).code == 0
    assert not (own / "executed").exists()


def test_no_study_runs_the_code_that_its_folder_names(flatrec, own):
    words = ("study", "overall", "--data", "blocks", "--models", "lightgcn", "--seeds", 2, *SMALL, "--out", "out")
    assert flatrec(*words, "--strategies", "plain,mine.py:Scaled").code == 0
    forget(own)
    assert flatrec(*words, "--strategies", "plain,sam").code == 0  # beside runs of the other, which stay as they are
    assert flatrec("report", "out", "--out", "page.html").code == 0
    outcome = json.loads((own / "out" / "study.json").read_text())
    outcome["settings"]["strategies"] = "plain, mine.py:Scaled"
    (own / "out" / "study.json").write_text(json.dumps(outcome))
    assert flatrec("report", "out", "--out", "page.html").code == 0
    for file in (own / "out" / "runs").glob("*/experiment.toml"):
        rewrite(file.parent, '"lightgcn"', '"mine.py:Mine"')
    outcome = flatrec(*words, "--strategies", "plain,sam")
    assert outcome.code == 2
    assert "mine.py:Mine" in outcome.err
    assert not (own / "executed").exists()


def test_no_comparison_and_no_sweep_runs_the_code_that_its_runs_name(flatrec, own):
    compared = ("compare", "--data", "blocks", "--model", "lightgcn", "--strategies", "plain,sam", "--seeds", 1, *SMALL,
                "--out", "compared")  # fmt: skip
    swept = ("sweep", "--data", "blocks", "--model", "lightgcn", "--strategy", "sam", "--trials", 1, "--seeds", 1,
             *SMALL, "--out", "swept")  # fmt: skip
    assert (flatrec(*compared).code, flatrec(*swept).code) == (0, 0)
    for file in own.glob("*/**/experiment.toml"):
        file.write_text(file.read_text().replace('"lightgcn"', '"mine.py:Mine"'))
    assert (flatrec(*compared).code, (own / "executed").exists()) == (2, False)
    flatrec(*swept)
    assert not (own / "executed").exists()


def test_from_python_too_nothing_in_a_folder_runs_code(run, own):
    with pytest.raises(ValueError, match=r'add --model mine.py:Mine, or in Python model="mine.py:Mine"'):
        package.load_run(run)
    with pytest.raises(ValueError, match="add --model mine.py:Mine"):
        run_experiment(Experiment(data="blocks", model=Component("mine.py:Mine")))
    assert not (own / "executed").exists()
    assert package.load_run(run, model="mine.py:Mine").result["model"].startswith("mine.py:Mine@")


def test_a_class_that_has_changed_since_is_refused(flatrec, run, own):
    (own / "mine.py").write_text(MINE + "\n# changed\n")
    both = ("--model", "mine.py:Mine", "--strategy", "mine.py:Scaled+")
    one_line(flatrec("evaluate", run, *both[:2]), "mine.py:Mine has changed since", "bring it back")
    one_line(flatrec("train", "--resume", "--out", run, *both, "--set", "training.epochs=3"), "has changed since")
    one_line(flatrec("train", "--config", run / "experiment.toml", "--out", "new", *both), "has changed since")


def test_the_digest_is_of_the_file_that_defines_the_class(flatrec, own):
    (own / "shop_models").mkdir()
    (own / "shop_models" / "__init__.py").write_text("from shop_models.first import Mine\n")
    (own / "shop_models" / "first.py").write_text(MINE)
    words = ("train", "--data", "blocks", "--model", "shop_models:Mine", "--strategy", "plain", *SMALL_RUN)
    assert flatrec(*words, "--out", "run").code == 0
    for name in [name for name in sys.modules if name.startswith("shop_models")]:
        del sys.modules[name]
    forget(own)
    assert flatrec("evaluate", "run", "--model", "shop_models.first:Mine").code == 0
    for name in [name for name in sys.modules if name.startswith("shop_models")]:
        del sys.modules[name]
    forget(own)
    (own / "shop_models" / "first.py").write_text(MINE + "\n# changed\n")
    one_line(flatrec("evaluate", "run", "--model", "shop_models:Mine"), "has changed since")


def test_another_class_than_that_of_the_run_is_refused(flatrec, run):
    one_line(flatrec("evaluate", run, "--model", "lightgcn"), "was made with model mine.py:Mine, not with lightgcn")
    one_line(flatrec("evaluate", run, "--model", "mine.py:Untyped"), "takes 'width' beside its config")
    both = ("--model", "mine.py:Mine", "--strategy", "mine.py:Scaled")
    one_line(flatrec("train", "--resume", "--out", run, *both), "mine.py:Scaled+, not with mine.py:Scaled;")


def test_a_file_of_settings_that_the_user_gives_names_a_class(flatrec, own):
    (own / "settings.toml").write_text('[model]\nname = "mine.py:Mine"\nwidth = 5\n[strategy]\nname = "plain"\n')
    words = ("train", "--data", "blocks", "--config", "settings.toml", *SMALL_RUN, "--out", "run", "--json")
    settings = json.loads(flatrec(*words).out)["settings"]["model"]
    assert (settings["name"][:13], settings["options"]["width"]) == ("mine.py:Mine@", 5)
    assert flatrec("train", "--resume", "--out", "run", "--set", "model.name=mine.py:Mine").code == 0


def test_strategies_are_compared_under_short_names(flatrec, own):
    (own / "other").mkdir()
    (own / "other" / "mine.py").write_text(MINE.replace("0.5", "0.9"))
    listed = "plain,mine.py:Scaled,other/mine.py:Scaled,mine.py:SAM,mine.py:Whole"
    words = ("compare", "--data", "blocks", "--model", "mine.py:Mine", "--strategies", listed, "--seeds", 2, *SMALL_RUN)
    table = json.loads(flatrec(*words, "--out", "out", "--json").out)
    assert table["model"] == "Mine"
    plain, one, other, sam, whole = table["strategies"]
    assert (plain, whole) == ("plain", "Whole")
    assert re.fullmatch(r"Scaled-[0-9a-f]{8}", one)
    assert re.fullmatch(r"Scaled-[0-9a-f]{8}", other)
    assert one != other
    assert re.fullmatch(r"SAM-[0-9a-f]{8}", sam)  # sam is ours, and some file systems do not tell them apart
    assert table["strategies"][one]["recall@10"]["t_p_holm"] is not None
    assert {one.name for one in (own / "out").iterdir()} == {*table["strategies"], "compare.json", ".lock"}
    forget(own)
    assert json.loads(flatrec(*words, "--out", "out", "--json").out) == table


def test_workers_load_the_classes_that_were_named(flatrec, own):
    words = ("study", "overall", "--data", "blocks", "--models", "mine.py:Mine,lightgcn", "--strategies",
             "plain,mine.py:Scaled+", "--seeds", 2, "--workers", 2, *SMALL_RUN, "--out", "out")  # fmt: skip
    outcome = flatrec(*words, "--json")
    assert outcome.code == 0, outcome.err
    said = json.loads(outcome.out)
    assert said["failures"] == []
    assert {(row[1], row[2]) for row in said["tables"][0]["rows"]} == {
        (model, strategy) for model in ("Mine", "lightgcn") for strategy in ("plain", "Scaled+")
    }
    assert flatrec("report", "out", "--out", "page.html").code == 0
    assert "Scaled+" in (own / "page.html").read_text()


@pytest.mark.usefixtures("own")
def test_a_sweep_tries_the_settings_that_a_class_has(flatrec):
    words = ("sweep", "--data", "blocks", "--model", "mine.py:Mine", "--strategy", "mine.py:Scaled+", *SMALL_RUN)
    outcome = flatrec(*words, "--trials", 2, "--seeds", 2, "--out", "out", "--json")
    assert outcome.code == 0, outcome.err
    said = json.loads(outcome.out)
    assert said["title"] == "Sweep of Mine with Scaled+"
    none = flatrec(*words, "--strategy", "mine.py:Scaled", "--out", "none")
    one_line(none, "Mine with Scaled has no default search space")
    assert {row[1] for row in said["tables"][1]["rows"]} == {"Mine"}


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--model", "mine.py:Mine", "--set", "model.widht=3"), ("unknown setting 'widht'", "did you mean width?")),
        (("--model", "mine.py:Mine", "--set", "model.width=a"), ("model.width", "integer", "'a'")),
        (
            ("--strategy", "mine.py:Scaled", "--set", "strategy.scle=3"),
            ("strategy: unknown setting", "did you mean scale?"),
        ),
        (("--strategy", "mine.py:Whole+"), ("Whole cannot be mixed", "SingleBatchStrategy")),
        (("--strategy", "mine.py:Mine"), ("mine.py:Mine must be a subclass of flatrec.strategies.Strategy",)),
        (("--model", "mine.py:Scaled"), ("mine.py:Scaled must be a subclass of flatrec.models.Model",)),
        (("--model", "mine.py:Min"), ("unknown class 'Min'", "did you mean Mine?")),
        (("--model", "nowhere.py:Mine"), ("there is no file nowhere.py",)),
        (("--model", "mine.py:Untyped"), ("takes 'width' beside its config",)),
        (("--model", "mine.py:Opaque"), ("the default of 'width' must be a number",)),
        (("--model", "mine.py:Named"), ("calls a setting 'name'",)),
        (("--model", "mine.py:Moody"), ("Moody could not be built: LookupError: not today (mine.py:",)),
        (("--model", "mine.py:Mine@0123456789abcdef"), ("mine.py:Mine has changed since",)),
    ],
)
def test_what_a_class_cannot_be_is_one_line_and_leaves_nothing(flatrec, own, words, parts):
    one_line(flatrec("train", "--data", "blocks", *words, "--out", "run"), *parts)
    assert not (own / "run").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--model", "mine.py:Crashing"), ("IndexError", "mine.py:")),
        (("--model", "mine.py:Narrow"), ("shapes",)),
        (("--model", "mine.py:Mine", "--strategy", "mine.py:Late"), ("AttributeError", "'missing'", "mine.py:")),
    ],
)
@pytest.mark.usefixtures("own")
def test_a_crash_in_a_class_is_one_line_and_debug_shows_the_way(flatrec, words, parts):
    command = ("train", "--data", "blocks", *words, *SMALL_RUN, "--overwrite", "--out", "run")
    one_line(flatrec(*command), *parts, code=1)
    assert "Traceback" in flatrec(*command, "--debug").err


def test_classes_are_given_and_registered_in_python(own):
    dataset, training = block_dataset(), package.Training(epochs=2, batch_size=32, loggers=())
    user_classes.load("mine.py:Mine")
    mine, scaled = user_classes.find("mine.py:Mine"), user_classes.find(user_classes.load("mine.py:Scaled"))
    run = package.fit(
        dataset, mine, scaled, model_settings={"width": 7}, strategy_settings={"scale": 0.1}, training=training, out="a"
    )
    assert run.result["settings"]["model"]["options"]["width"] == 7
    assert run.result["settings"]["strategy"]["options"] == {"scale": 0.1}
    again = package.load_run("a", dataset, model=mine)
    assert again.evaluate("test").metrics == run.result["test"]
    package.register_model("mine", mine)
    package.register_strategy("scaled", scaled)
    named = package.fit(dataset, "mine", "scaled+", training=training, out="b")
    assert re.fullmatch(r"mine@[0-9a-f]{16}", named.result["model"])
    forget(own)
    with pytest.raises(ValueError, match=r"'mine' is a class of your own that was registered in another process"):
        package.load_run("b", dataset)
    assert package.load_run("b", dataset, model="mine.py:Mine").evaluate().metrics == named.result["test"]
    forget(own)
    package.register_model("mine", user_classes.find(user_classes.load("mine.py:Mine")))
    assert package.load_run("b", dataset).evaluate().metrics == named.result["test"]
    assert package.load_run("a", dataset, model="mine").evaluate().metrics == run.result["test"]


@pytest.mark.parametrize("name", ["bpr", "sam", "a:b", "a+", "", "a@b"])
def test_a_name_that_is_taken_or_cannot_be_told_from_a_place_is_refused(name):
    with pytest.raises(ValueError, match="cannot name a model of yours"):
        package.register_model(name, model_class("bpr"))


def test_classes_of_the_library_keep_their_names():
    dataset, training = block_dataset(), package.Training(epochs=1, batch_size=32)
    result = package.fit(dataset, package.models.BPR, package.strategies.SAM, training=training).result
    assert (result["model"], result["strategy"]) == ("bpr", "sam")
    result = package.fit(dataset, "flatrec.models.bpr:BPR", "flatrec.strategies.sam:SAM+", training=training).result
    assert (result["model"], result["strategy"]) == ("bpr", "sam+")


def test_objects_are_recorded_as_far_as_they_can_be_known():
    dataset, training = block_dataset(), package.Training(epochs=1, batch_size=32)
    model = package.models.LightGCN(dataset, package.models.LightGCN.Config(embedding_dim=4, n_layers=1))
    strategy = package.strategies.Mixed(package.strategies.SAM(rho=0.3), kappa=0.2)
    result = package.fit(dataset, model, strategy, training=training).result
    settings = result["settings"]
    assert (result["model"], result["strategy"]) == ("lightgcn", "sam+")
    assert settings["model"]["options"] == {
        "embedding_dim": 4,
        "n_layers": 1,
        "reg_weight": 1e-4,
        "weighted_edges": False,
        "edge_dropout": 0.0,
        "message_dropout": 0.0,
    }
    options = settings["strategy"]["options"]
    assert (options["rho"], options["kappa"], options["interval"]) == (0.3, 0.2, 1)
    named = package.fit(dataset, "bpr", strategy, model_settings={"embedding_dim": 4}, training=training).result[
        "settings"
    ]
    assert named["model"]["options"]["embedding_dim"] == 4
    assert "reg_weight" in named["model"]["options"]


def test_a_run_folder_is_for_names_and_classes(tmp_path):
    dataset = block_dataset()
    with pytest.raises(ValueError, match="needs model and strategy by name or class"):
        package.fit(dataset, package.models.BPR(dataset), out=tmp_path / "run")


def test_a_class_without_a_file_is_loaded_by_hand_and_not_by_workers(own, caplog):
    space = {"__name__": "__main__"}
    exec("from flatrec.models.lightgcn import LightGCN\nclass Typed(LightGCN):\n    pass\n", space)  # noqa: S102
    typed = space["Typed"]
    typed.__module__ = "nowhere"
    dataset, training = block_dataset(), package.Training(epochs=1, batch_size=32, loggers=(), monitor="map@5")
    run = package.fit(dataset, typed, "plain", training=training, out="a")
    assert run.result["model"] == "nowhere:Typed@unknown"
    with pytest.raises(ValueError, match="was made in a notebook or at a prompt"):
        user_classes.take([user_classes.Origin("nowhere:Other", "unknown", "")])
    forget(own)
    assert package.load_run("a", dataset, model=typed).evaluate().metrics == run.result["test"]
    assert caplog.text == ""


@pytest.mark.slow
def test_a_script_that_names_its_own_class_does_not_run_again_in_workers(own):
    (own / "script.py").write_text(
        MINE
        + """
import flatrec
from pathlib import Path

from flatrec.research import Request, Workers, run_study

if __name__ == "__main__":
    flatrec.register_strategy("mine", Scaled)
    base = flatrec.Experiment(training=flatrec.Training(epochs=1, loggers=()))
    request = Request(("blocks",), ("bpr",), ("plain", "mine+"), (0, 1), base)
    print(len(run_study("overall", Path("out"), request, workers=Workers(2)).failures))
"""
    )
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_a_class_that_ends_the_process_fails(flatrec, own):  # noqa: ARG001 - in the folder
    outcome = flatrec("train", "--data", "blocks", "--model", "mine.py:Leaving", *SMALL_RUN, "--out", "out")
    one_line(outcome, "SystemExit: 0 (mine.py:", "must not end the process", code=1)


def test_what_a_class_raises_names_its_line_whatever_it_is(flatrec, own):  # noqa: ARG001 - in the folder
    outcome = flatrec("train", "--data", "blocks", "--model", "mine.py:Refusing", *SMALL_RUN, "--out", "out")
    one_line(outcome, "ValueError: not this batch (mine.py:", "--debug", code=1)


def test_a_crash_of_one_class_is_a_row_of_the_study_and_the_others_go_on(flatrec, own):
    words = ("study", "overall", "--data", "blocks", "--models", "mine.py:Crashing,bpr", "--strategies", "plain,sam")
    outcome = flatrec(*words, "--seeds", 2, *SMALL_RUN, "--out", "out")
    assert outcome.code == 0, outcome.err
    failures = json.loads((own / "out" / "study.json").read_text())["failures"]
    assert len(failures) == 4
    assert all("IndexError: list index out of range (mine.py:" in one["error"] for one in failures), failures


def test_a_study_takes_the_model_of_its_settings(flatrec, own):
    words = ("study", "overall", "--data", "blocks", "--strategies", "plain,sam", "--seeds", 2, *SMALL_RUN)
    assert flatrec(*words, "--set", "model.name=bpr", "--out", "out").code == 0
    assert json.loads((own / "out" / "study.json").read_text())["settings"]["models"] == "bpr"


def test_a_plus_is_for_strategies(flatrec, own):  # noqa: ARG001 - in the folder
    outcome = flatrec("train", "--data", "blocks", "--model", "mine.py:Mine+", *SMALL_RUN, "--out", "out")
    one_line(outcome, "mine.py:Mine+ ends in a +, which mixes strategies; a model has none")
