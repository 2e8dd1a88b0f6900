"""Experiments end to end, on tiny data."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass, replace

import pytest
import torch

import flatrec
from flatrec.api import fit, load, load_run, run_experiment
from flatrec.config import Component, Evaluation, Experiment, Training
from flatrec.data.formats import mmrec
from flatrec.data.shop import ShopSettings
from flatrec.inference.run import user_item_embeddings
from flatrec.models import BPR, FREEDOM, ModelConfig
from flatrec.strategies import BSAM, SAM, Mixed
from flatrec.testing import block_dataset

DATA = block_dataset(blocks=3, users=8, items=6)
SHORT = Training(epochs=2, batch_size=32, loggers=())
KEYS = {"model", "strategy", "data", "seed", "settings", "versions", "parameters", "epochs", "best_epoch", "valid"}
KEYS |= {"test", "seconds", "peak_memory_mb", "peak_gpu_memory_mb", "diagnostics", "machine", "selected", "monitor"}


@pytest.fixture
def on_disk(tmp_path):
    mmrec.write(DATA, tmp_path / "blocks")
    return tmp_path / "blocks"


def experiment(on_disk, **changes):
    made = Experiment(
        data=str(on_disk),
        model=Component("freedom", {"embedding_dim": 4, "n_neighbors": 3}),
        strategy=Component("bsam+"),
        training=SHORT,
    )
    return made.replace(**changes)


def test_the_result_has_every_promised_key_and_is_json(on_disk, tmp_path):
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result) >= KEYS
    assert set(result["seconds"]) == {"train_per_epoch", "evaluate"}
    assert set(result["diagnostics"]) == {"distance", "cos(eps, g1)", "cos(g1, m)"}
    assert [len(values) for values in result["diagnostics"].values()] == [2, 2, 2]
    assert {f"{name}@{k}" for name in ("recall", "ndcg", "precision", "map", "hit_rate") for k in (5, 10, 20)} <= set(
        result["test"]
    )
    width = sum(one.width for one in DATA.features.values())
    assert result["parameters"] == (DATA.n_users + DATA.n_items + width) * 4


def test_the_result_and_the_log_say_once_what_is_to_be_known_of_the_data(tmp_path, caplog):
    rows = "".join(f"u{user},i{item}\n" for user in range(8) for item in range(8))
    (tmp_path / "clicks.csv").write_text(f"user,item\nu0,i0\nlone,i0\n{rows}")
    short = SHORT.replace(monitor="ndcg@5")
    chosen = experiment(tmp_path / "clicks.csv", model=Component("bpr", {"embedding_dim": 4}), training=short)
    run = run_experiment(chosen, out=tmp_path / "run")
    said = ["1 repeated interaction; each counts once"]
    data = json.loads((tmp_path / "run" / "result.json").read_text())["data"]
    assert data["warnings"] == said
    rows = {name: number for name, number in data["rows"].items() if number}
    assert rows == {"rows": 66, "summed": 1, "interactions": 65}
    assert data["users_without_training"] == {"valid": 0, "test": 0}
    assert [record.getMessage() for record in caplog.records] == [f"clicks: {sentence}" for sentence in said]
    caplog.clear()
    run_experiment(chosen, run.dataset)
    assert not caplog.records  # whoever loaded the data has said it
    fit(run.dataset, "bpr", "plain", model_settings={"embedding_dim": 4}, training=short)
    assert len(caplog.records) == 1


def test_the_run_folder_holds_what_is_promised(on_disk, tmp_path):
    run_experiment(experiment(on_disk, training=SHORT.replace(loggers=("tensorboard",))), out=tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {"experiment.toml", "epochs.jsonl", "checkpoint.safetensors", "checkpoint.json", "result.json"}
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_equal_experiments_give_equal_bits_and_another_seed_does_not(on_disk):
    ends = [run_experiment(experiment(on_disk, seed=seed)).model.state_dict() for seed in (5, 5, 6)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not all(torch.equal(ends[0][name], ends[2][name]) for name in ends[0])


def test_the_written_experiment_runs_again_to_the_same_scores(on_disk, tmp_path):
    first = run_experiment(experiment(on_disk, seed=7), out=tmp_path / "run")
    again = run_experiment(flatrec.config.read(tmp_path / "run" / "experiment.toml"))
    assert again.result["test"] == first.result["test"]
    assert again.result["settings"] == first.result["settings"]


def test_a_loaded_run_scores_and_recommends_like_the_one_that_was_trained(on_disk, tmp_path):
    trained = run_experiment(experiment(on_disk), out=tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded.evaluate("test").metrics == trained.result["test"]
    assert loaded.recommend("user 0", 5) == trained.recommend("user 0", 5)
    assert loaded.similar("item 1", 5) == trained.similar("item 1", 5)


def test_data_that_moved_can_be_given(on_disk, tmp_path):
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    moved = on_disk.rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        load_run(tmp_path / "run")
    assert load_run(tmp_path / "run", str(moved)).result


def test_other_data_than_it_was_trained_on_are_refused(on_disk, tmp_path):
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    other = tmp_path / "other"
    mmrec.write(block_dataset(blocks=3, users=9, items=6), other)
    with pytest.raises(ValueError, match="trained on other data"):
        load_run(tmp_path / "run", str(other))


@pytest.mark.parametrize("model", ["popularity", "item-knn"])
def test_baselines_go_through_the_same_calls(on_disk, tmp_path, model):
    run = run_experiment(experiment(on_disk, model=Component(model)), out=tmp_path / "run")
    assert run.result["epochs"] == 0
    assert run.result["parameters"] == 0
    assert load_run(tmp_path / "run").evaluate("test").metrics == run.result["test"]
    assert len(run.recommend("user 1", 4)[0]) == 4
    assert "item 2" not in [one.item for one in run.similar("item 2", 4)]


def test_freedom_learns_the_blocks():
    training = Training(epochs=60, batch_size=64, loggers=())
    run = fit(DATA, "freedom", "bsam+", model_settings={"embedding_dim": 8, "n_neighbors": 3}, training=training,
              optimizer_settings={"lr": 0.05})  # fmt: skip
    assert run.result["test"]["recall@5"] > 0.9


def test_recommendations_leave_out_everything_the_user_has_a_pair_with():
    run = fit(DATA, "popularity")
    recommended = {one.item for one in run.recommend("user 0", 100)[0]}
    assert recommended == {f"item {number}" for number in range(6, 18)}  # all but the user's own block


def test_recommend_takes_many_users_and_keeps_their_order():
    run = fit(DATA, "item-knn")
    both = run.recommend(["user 3", "user 9"], 3)
    assert both == [run.recommend("user 3", 3)[0], run.recommend("user 9", 3)[0]]


def test_unknown_ids_are_named():
    run = fit(DATA, "popularity")
    (popular,) = run.recommend("nobody")
    assert (popular.path, popular.note) == ("popular", "user 'nobody' is not known")
    with pytest.raises(KeyError, match="'nothing' is not in the data set"):
        run.similar("nothing")


def test_a_model_and_a_strategy_can_be_given_as_objects():
    run = fit(
        DATA, FREEDOM(DATA, FREEDOM.Config(embedding_dim=4, n_neighbors=3)), Mixed(BSAM(rho=0.05)), training=SHORT
    )
    assert (run.result["model"], run.result["strategy"]) == ("freedom", "bsam+")
    named = fit(
        DATA,
        "freedom",
        "bsam+",
        model_settings={"embedding_dim": 4, "n_neighbors": 3, "edge_dropout": 0.8},
        strategy_settings={"rho": 0.05},
        training=SHORT,
    )
    assert run.result["settings"] == named.result["settings"]
    assert [len(one) for one in user_item_embeddings(run.model)] == [DATA.n_users, DATA.n_items]


def test_objects_cannot_be_written_to_a_folder(tmp_path):
    with pytest.raises(ValueError, match="by name"):
        fit(DATA, FREEDOM(DATA, FREEDOM.Config(embedding_dim=4, n_neighbors=3)), out=tmp_path / "run")


def test_settings_for_an_object_are_refused():
    with pytest.raises(ValueError, match="model_settings"):
        fit(
            DATA,
            FREEDOM(DATA, FREEDOM.Config(embedding_dim=4, n_neighbors=3)),
            model_settings={"embedding_dim": 8},
            training=SHORT,
        )


def test_a_run_is_not_overwritten_unless_asked_to(on_disk, tmp_path):
    out = tmp_path / "run"
    run_experiment(experiment(on_disk), out=out)
    before = (out / "result.json").read_bytes()
    with pytest.raises(FileExistsError, match="--overwrite"):
        run_experiment(experiment(on_disk, seed=1), out=out)
    assert (out / "result.json").read_bytes() == before
    run_experiment(experiment(on_disk, seed=1), out=out, overwrite=True)
    assert json.loads((out / "result.json").read_text())["seed"] == 1


def test_overwriting_leaves_files_that_are_not_ours(on_disk, tmp_path):
    out = tmp_path / "run"
    run_experiment(experiment(on_disk), out=out)
    (out / "notes.txt").write_text("mine")
    run_experiment(experiment(on_disk), out=out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_resuming_with_other_settings_is_refused(on_disk, tmp_path):
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    with pytest.raises(ValueError, match="seed was 0, now 9"):
        run_experiment(experiment(on_disk, seed=9), out=tmp_path / "run", resume=True)


def test_resuming_with_more_epochs_goes_on(on_disk, tmp_path):
    whole = run_experiment(experiment(on_disk, training=SHORT.replace(epochs=4)))
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    longer = experiment(on_disk, training=SHORT.replace(epochs=4))
    resumed = run_experiment(longer, out=tmp_path / "run", resume=True)
    assert resumed.result["test"] == whole.result["test"]
    assert resumed.result["epochs"] == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": Component("freedum")}, "did you mean freedom"),
        ({"model": Component("freedom", {"layer": 2})}, "did you mean n_layers"),
        ({"model": Component("freedom", {"n_neighbors": 1000})}, "neighbors"),
        ({"model": Component("freedom", {"edge_dropout": 1.0})}, "edge_dropout"),
        ({"strategy": Component("bsma")}, "did you mean bsam"),
        ({"strategy": Component("plain", {"rho": 0.1})}, "unknown setting 'rho'"),
        ({"strategy": Component("bsam", {"kappa": 0.1})}, "unknown setting 'kappa'"),
        ({"optimizer": Component("adam", {"lr": -1.0})}, "learning rate"),
        ({"training": SHORT.replace(monitor="recall@7")}, "recall@7"),
        ({"evaluation": Evaluation(ks=(5,))}, "recall@20"),
        ({"device": "cuda"}, "CUDA"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder_behind(on_disk, tmp_path, changes, message):
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run_experiment(experiment(on_disk, **changes), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fewer_epochs_than_before_are_refused_on_resume(on_disk, tmp_path):
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    shorter = experiment(on_disk, training=SHORT.replace(epochs=1))
    with pytest.raises(ValueError, match="cannot be cut to 1"):
        run_experiment(shorter, out=tmp_path / "run", resume=True)


def test_more_epochs_are_refused_where_the_last_one_was_evaluated_out_of_turn(on_disk, tmp_path):
    first = experiment(on_disk, training=SHORT.replace(epochs=3, evaluate_every=2))
    run_experiment(first, out=tmp_path / "run")
    longer = experiment(on_disk, training=SHORT.replace(epochs=4, evaluate_every=2))
    with pytest.raises(ValueError, match="evaluated out of turn"):
        run_experiment(longer, out=tmp_path / "run", resume=True)


@pytest.mark.parametrize("lists", [{"betas": (0.9, 0.9)}, {"weight_decay": 0.1}])
def test_a_changed_or_added_setting_is_noticed_on_resume(on_disk, tmp_path, lists):
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    with pytest.raises(ValueError, match=next(iter(lists))):
        run_experiment(experiment(on_disk, optimizer=Component("adam", lists)), out=tmp_path / "run", resume=True)


def test_files_that_are_not_ours_are_never_removed(on_disk, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".notes.txt.swp").write_text("mine")
    (out / ".a.b.c").mkdir()
    leftover = out / f".flatrec-{'0' * 32}.tmp"
    leftover.mkdir()
    (leftover / "checkpoint.safetensors").write_text("half")
    for overwrite in (False, True):
        run_experiment(experiment(on_disk), out=out, overwrite=overwrite)
    assert (out / ".notes.txt.swp").read_text() == "mine"
    assert (out / ".a.b.c").is_dir()
    assert not leftover.exists()


def test_a_resume_that_fails_keeps_the_result(on_disk, tmp_path):
    out = tmp_path / "run"
    run_experiment(experiment(on_disk), out=out)
    (out / "checkpoint.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match="truncated"):
        run_experiment(experiment(on_disk), out=out, resume=True)
    assert (out / "result.json").exists()


@pytest.mark.parametrize("left", ["data.json", "experiment.toml"])
def test_what_a_kill_leaves_before_the_first_epoch_is_in_nobodys_way(on_disk, tmp_path, left):
    finished, out = tmp_path / "finished", tmp_path / "run"
    run_experiment(experiment(on_disk), out=finished)
    out.mkdir()
    (out / left).write_bytes((finished / left).read_bytes())
    run_experiment(experiment(on_disk), out=out, resume=True)
    assert (out / "result.json").exists()


def test_curves_and_checkpoints_may_be_changed_on_resume(on_disk, tmp_path):
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    other = experiment(on_disk, training=SHORT.replace(epochs=3, checkpoint_every=5))
    assert run_experiment(other, out=tmp_path / "run", resume=True).result["epochs"] == 3


def test_resume_and_overwrite_exclude_each_other(on_disk, tmp_path):
    with pytest.raises(ValueError, match="does not go together with overwrite"):
        run_experiment(experiment(on_disk), out=tmp_path / "run", resume=True, overwrite=True)
    with pytest.raises(ValueError, match="needs a run folder"):
        run_experiment(experiment(on_disk), resume=True)


def test_a_folder_on_a_system_without_locks_is_used_all_the_same(on_disk, tmp_path, monkeypatch, caplog):
    def without(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", without)
    run_experiment(experiment(on_disk), out=tmp_path / "run")
    assert "cannot be locked" in caplog.text


def test_an_infinite_setting_is_refused_before_training(on_disk, tmp_path):
    with pytest.raises(ValueError, match="max_grad_norm must be finite, but is inf"):
        SHORT.replace(max_grad_norm=float("inf"))
    with pytest.raises(ValueError, match=r"model.shrinkage must be finite, but is inf"):
        run_experiment(
            experiment(on_disk, model=Component("item-knn", {"shrinkage": float("inf")})), out=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_a_second_process_is_kept_out_of_a_folder(on_disk, tmp_path):
    class Intruder:
        def on_start(self, *_):
            with pytest.raises(FileExistsError, match="another process trains"):
                run_experiment(experiment(on_disk), out=tmp_path / "run", resume=True)

        def on_step(self, *_):
            pass

        on_epoch = on_step

        def on_end(self):
            pass

    run_experiment(experiment(on_disk), out=tmp_path / "run", callbacks=[Intruder()])
    assert (tmp_path / "run" / "result.json").exists()


def test_a_run_that_goes_on_has_no_result_until_it_ends(on_disk, tmp_path):
    run_experiment(experiment(on_disk), out=tmp_path / "run")

    class Killed(BaseException):
        pass

    class Kill:
        def on_start(self, *_):
            raise Killed

        on_step = on_epoch = on_start

        def on_end(self):
            pass

    longer = experiment(on_disk, training=SHORT.replace(epochs=9))
    with pytest.raises(Killed):
        run_experiment(longer, out=tmp_path / "run", resume=True, callbacks=[Kill()])
    with pytest.raises(FileNotFoundError, match="no finished run"):
        load_run(tmp_path / "run")


def test_a_run_on_data_in_memory_is_loaded_with_the_data(tmp_path):
    run = fit(DATA, "bpr", "plain", training=SHORT, out=tmp_path / "run")
    with pytest.raises(ValueError, match="data in memory"):
        load_run(tmp_path / "run")
    assert load_run(tmp_path / "run", DATA).evaluate("test").metrics == run.result["test"]


def test_a_model_made_for_other_data_is_refused():
    with pytest.raises(ValueError, match="make it from this data set"):
        fit(DATA, BPR(block_dataset(blocks=2, users=8, items=6)), training=SHORT)


@pytest.mark.parametrize("optimizer", ["adafactor", "asgd"])
def test_optimizers_with_settings_that_toml_cannot_say_run_and_resume(on_disk, tmp_path, optimizer):
    run_experiment(experiment(on_disk, optimizer=Component(optimizer)), out=tmp_path / "run")
    resumed = run_experiment(experiment(on_disk, optimizer=Component(optimizer)), out=tmp_path / "run", resume=True)
    assert resumed.result["epochs"] == 2


def test_an_empty_validation_part_is_refused_at_once():
    parts = DATA.interactions.splits.copy()
    parts[parts == 1] = 0
    with pytest.raises(ValueError, match="validation split"):
        fit(replace(DATA, interactions=replace(DATA.interactions, splits=parts)), "bpr", training=SHORT)


def test_an_empty_test_part_gives_a_result_without_test_scores():
    parts = DATA.interactions.splits.copy()
    parts[parts == 2] = 0
    run = fit(replace(DATA, interactions=replace(DATA.interactions, splits=parts)), "bpr", training=SHORT)
    assert run.result["test"] == {}
    assert run.result["valid"]


class Careless(BPR):
    """Its constructor does not hand its settings on."""

    def __init__(self, dataset, config=None):  # noqa: ARG002
        super().__init__(dataset)


class Unlike(BPR):
    """Built in a way that settings do not know."""

    def __init__(self, dataset, *, width):
        super().__init__(dataset, BPR.Config(embedding_dim=width))


def test_a_model_that_does_not_keep_its_settings_is_refused():
    with pytest.raises(ValueError, match=r"Careless.config is .*; begin it with super\(\).__init__\(dataset, config\)"):
        fit(DATA, Careless, "plain", model_settings={"embedding_dim": 3}, training=SHORT)


def test_of_an_object_that_was_made_in_another_way_no_settings_are_recorded():
    result = fit(DATA, Unlike(DATA, width=3), "plain", training=SHORT).result
    assert "not known" in result["settings"]["model"]["options"]["unrecorded"]


@dataclass(kw_only=True, eq=False)
class Seeded(SAM):
    seed: int = 3


class OwnSAM(SAM):
    def __init__(self, *, rho: float = 0.1, thing: int = 2) -> None:
        super().__init__(rho=rho)
        self.thing = thing


def test_a_strategy_with_a_constructor_of_its_own_trains_and_a_reserved_setting_is_refused():
    strategy = fit(DATA, "bpr", OwnSAM, strategy_settings={"thing": 5}, training=SHORT).result["settings"]["strategy"]
    assert strategy["options"] == {"rho": 0.1, "thing": 5}
    with pytest.raises(ValueError, match="Seeded calls a setting 'seed', which is reserved; give it another name"):
        fit(DATA, "bpr", Seeded, training=SHORT)


class Foreign(FREEDOM):
    class Config(ModelConfig):
        embedding_dim: int = 4


def test_settings_of_a_derived_model_derive_from_its_parents():
    with pytest.raises(ValueError, match=r"Foreign.Config must be derived from FREEDOM.Config.*FREEDOM.Config\)"):
        fit(DATA, Foreign, "plain", training=SHORT)


@pytest.mark.parametrize(("folder", "said"), [("shop", 1), ("other", 0)])
def test_a_folder_that_is_named_like_the_built_in_shop_is_not_passed_over_silently(
    folder, said, tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir()
    monkeypatch.setattr("flatrec.api.ShopSettings", lambda: ShopSettings(users=30, items=20))
    assert load("shop").source == "shop"
    assert sum("for the folder write ./shop" in record.message for record in caplog.records) == said
