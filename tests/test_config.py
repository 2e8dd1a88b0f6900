import copy
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import model_validator

from flatrec.config import (
    AMR,
    Component,
    Config,
    Evaluation,
    Experiment,
    Training,
    assignment,
    changed,
    instantiate,
    read,
    validate,
    write,
)
from flatrec.registry.instantiate import with_defaults
from flatrec.utils.messages import unknown

OTHER = Experiment(
    data="data/baby",
    model=Component("lightgcn", {"n_layers": 2, "reg_weight": 1e-3}),
    strategy=Component("sam", {"rho": 0.05, "rho_schedule": "inverse"}),
    optimizer=Component("sgd", {"lr": 0.1, "nesterov": True, "momentum": 0.9}),
    training=Training(
        epochs=3, max_grad_norm=1.0, same_dropout_mask=False, monitor="ndcg@10", amr=AMR(epsilon=0.2, weight=0.5)
    ),
    evaluation=Evaluation(ks=(1, 50), mask="train+valid"),
    seed=-7,
    device="cpu",
)


def saved(tmp_path, text):
    path = tmp_path / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("experiment", [Experiment(), OTHER])
def test_what_is_written_is_read_back(tmp_path, experiment):
    assert read(saved(tmp_path, write(experiment))) == experiment


def test_an_experiment_with_all_defaults_stated_is_read_back(tmp_path):
    experiment = with_defaults(Experiment())
    assert read(saved(tmp_path, write(experiment))) == experiment


def test_an_experiment_with_all_defaults_stated_stays_the_same_when_read_back_and_stated_again(tmp_path):
    experiment = with_defaults(Experiment())
    assert with_defaults(read(saved(tmp_path, write(experiment)))) == experiment


def test_an_empty_file_is_the_default_experiment(tmp_path):
    assert read(saved(tmp_path, "")) == Experiment()


def test_experiments_cannot_be_changed_in_place():
    with pytest.raises(AttributeError, match="config.replace"):
        Experiment().seed = 1


PIECES = some.text(some.characters(codec="utf-8", exclude_characters="\r"), max_size=12)


@given(
    data=PIECES,
    seed=some.integers(-(2**63), 2**63 - 1),
    lr=some.floats(allow_nan=False),
    note=PIECES,
    ks=some.lists(some.integers(1, 10**6), min_size=1, max_size=4),
)
def test_any_text_and_number_survives_writing(tmp_path_factory, data, seed, lr, note, ks):
    options = {"lr": lr, "note": note}
    evaluation = Evaluation(ks=tuple(ks))
    experiment = Experiment(data=data, seed=seed, optimizer=Component("adam", options), evaluation=evaluation)
    assert read(saved(tmp_path_factory.mktemp("any"), write(experiment))) == experiment


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no experiment file .*none.toml"):
        read(tmp_path / "none.toml")


def test_a_file_that_is_not_toml_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ValueError, match="experiment.toml is not a TOML file"):
        read(saved(tmp_path, "seed = = 1"))
    (tmp_path / "bytes.toml").write_bytes(b"# \xff\xfe\x00")
    with pytest.raises(ValueError, match=r"bytes\.toml is not UTF-8 text \(byte 2\); save it as UTF-8$"):
        read(tmp_path / "bytes.toml")


def test_an_error_in_a_file_names_it(tmp_path):
    with pytest.raises(ValueError, match="experiment.toml: unknown setting 'sed'; did you mean seed"):
        read(saved(tmp_path, "sed = 1"))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"sede": 1}, "unknown setting 'sede'; did you mean seed? there are data, seed, device, model, loss"),
        ({"zzz": 1}, "unknown setting 'zzz'; there are data"),
        ({"training": {"epoch": 1}}, "training: unknown setting 'epoch'; did you mean epochs? there are epochs, batch"),
        ({"evaluation": {"k": [5]}}, "evaluation: unknown setting 'k'; did you mean ks?"),
        ({"seed": "1"}, "seed: input should be a valid integer, but it is '1'"),
        ({"seed": 1.0}, "seed: input should be a valid integer, but it is 1.0"),
        ({"seed": True}, "seed: input should be a valid integer, but it is True"),
        ({"data": 3}, "data: input should be a valid string, but it is 3"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda, cuda:1 (the second GPU and so on) or mps, but is 'gpu'"),
        ({"training": {"epochs": 1.5}}, "training.epochs: input should be a valid integer"),
        ({"training": {"select": "first"}}, "training.select: input should be 'best' or 'last', but it is 'first'"),
        (
            {"training": {"max_grad_norm": True}},
            "training.max_grad_norm: input should be a valid number, but it is True",
        ),
        ({"training": {"same_dropout_mask": 1}}, "training.same_dropout_mask: input should be a valid boolean"),
        ({"evaluation": {"ks": 5}}, "evaluation.ks: input should be a list such as [5, 10], but it is 5"),
        ({"evaluation": {"ks": [5, "x"]}}, "evaluation.ks[1]: input should be a valid integer, but it is 'x'"),
        ({"evaluation": {"mask": "all"}}, "evaluation.mask: input should be 'train', 'train+valid' or 'none'"),
        (
            {"training": {"amr": {"epsilo": 1.0}}},
            "training.amr: unknown setting 'epsilo'; did you mean epsilon? there are epsilon, weight",
        ),
        (
            {"training": {"amr": {"epsilon": "x"}}},
            "training.amr.epsilon: input should be a valid number, but it is 'x'",
        ),
        ({"training": {"amr": 0.1}}, "training.amr is a group of settings (epsilon, weight), but is 0.1"),
        ({"training": {"epochs": {"a": 1}}}, "training.epochs: input should be a valid integer"),
        ({"training": 3}, "training is a group of settings (epochs, batch_size, "),
        (
            {"evaluation": []},
            "evaluation is a group of settings (ks, mask, metrics, unknown_users, users, sampled_negatives), but is []",
        ),
        ({"model": "bpr"}, "model is a group of settings, such as model.name, but is 'bpr'"),
        ({"model": {"name": 3}}, "model.name must be a string, but is 3"),
        ({"model": {"n_layers": {"a": 1}}}, "model.n_layers must be a number, true, false, a string or a list"),
    ],
)
def test_a_wrong_key_or_type_is_an_error_that_says_what_is_right(tree, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        changed(Experiment(), tree)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "patience", "evaluate_every", "checkpoint_every"])
@pytest.mark.parametrize("value", [0, -1])
def test_numbers_of_training_start_at_one(name, value):
    with pytest.raises(ValueError, match=f"training.{name} must be at least 1, but is {value}"):
        changed(Experiment(), {"training": {name: value}})
    assert getattr(Training(**{name: 1}), name) == 1


@pytest.mark.parametrize(
    "name", ["epochs", "batch_size", "patience", "evaluate_every", "grad_accumulation_steps", "checkpoint_every"]
)
@pytest.mark.parametrize("value", [2**31, 10**20, 10**5000], ids=["31 bits", "20 digits", "5000 digits"])
def test_numbers_of_training_end_where_no_slip_can_overflow(name, value):
    with pytest.raises(ValueError, match=f"training.{name} must be at most 2147483647, but") as caught:
        changed(Experiment(), {"training": {name: value}})
    assert len(str(caught.value)) < 130
    assert getattr(Training(**{name: 2**31 - 1}), name) == 2**31 - 1


@pytest.mark.parametrize("value", [2**31, 10**5000], ids=["31 bits", "5000 digits"])
def test_ks_end_there_too(value):
    with pytest.raises(ValueError, match=r"evaluation.ks must be at most 2147483647, with"):
        changed(Experiment(), {"evaluation": {"ks": [5, value]}})


@pytest.mark.parametrize(("monitor", "other"), [("recall@20", "ndcg@20"), ("map@7", "ndcg@7"), ("ndcg@5", "ndcg@5")])
def test_ties_of_the_monitored_metric_are_broken_by_ndcg_at_the_same_k(monitor, other):
    assert Training(monitor=monitor).tie_breaker == other


@pytest.mark.parametrize("max_grad_norm", [-0.1, float("nan")])
def test_the_largest_gradient_norm_starts_at_zero(max_grad_norm):
    with pytest.raises(ValueError, match=f"max_grad_norm must be at least 0, but is {max_grad_norm}"):
        Training(max_grad_norm=max_grad_norm)


@pytest.mark.parametrize("name", ["epsilon", "weight"])
@pytest.mark.parametrize(
    ("value", "bound"), [(-0.1, "at least 0"), (float("nan"), "at least 0"), (float("inf"), "finite")]
)
def test_adversarial_noise_is_finite_and_starts_at_zero(name, value, bound):
    with pytest.raises(ValueError, match=f"training.amr.{name} must be {bound}, but is {value}"):
        changed(Experiment(), {"training": {"amr": {name: value}}})


def test_settings_of_a_group_within_a_group_are_added():
    training = changed(OTHER, {"training": {"amr": {"weight": 2}}}).training
    assert training == OTHER.training.replace(amr=AMR(epsilon=0.2, weight=2.0))
    assert changed(OTHER, assignment("training.amr.epsilon=0.3")).training.amr == AMR(epsilon=0.3, weight=0.5)


def test_a_group_within_a_group_is_a_table_of_its_own():
    assert "[training.amr]\nepsilon = 0.2\nweight = 0.5\n" in write(OTHER)


@pytest.mark.parametrize(
    ("ks", "message"),
    [
        ([], "evaluation.ks must be positive whole numbers such as [5, 10], but there is none"),
        ([0], "evaluation.ks[0] must be at least 1, but is 0"),
        ([5, -1], "evaluation.ks[1] must be at least 1, but is -1"),
    ],
)
def test_ks_are_positive(ks, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        changed(Experiment(), {"evaluation": {"ks": ks}})


def test_a_whole_number_will_do_for_a_float():
    largest = changed(Experiment(), {"training": {"max_grad_norm": 1}}).training.max_grad_norm
    assert largest == 1
    assert isinstance(largest, float)


def test_a_change_leaves_all_else():
    expected = OTHER.replace(training=OTHER.training.replace(epochs=9), seed=1)
    assert changed(OTHER, {"training": {"epochs": 9}, "seed": 1}) == expected
    assert changed(OTHER, {}) == OTHER


def test_settings_of_a_component_are_added_unless_another_is_named():
    model = changed(OTHER, {"model": {"n_layers": 3}}).model
    assert model == Component("lightgcn", {"n_layers": 3, "reg_weight": 1e-3})
    assert changed(OTHER, {"model": {"name": "lightgcn", "embedding_dim": 8}}).model.options["n_layers"] == 2
    assert changed(OTHER, {"model": {"name": "bpr", "embedding_dim": 8}}).model == Component(
        "bpr", {"embedding_dim": 8}
    )
    assert OTHER.model.options == {"n_layers": 2, "reg_weight": 1e-3}


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("seed=3", {"seed": 3}),
        ("optimizer.lr=0.001", {"optimizer": {"lr": 0.001}}),
        ("optimizer.lr = 1e-3", {"optimizer": {"lr": 0.001}}),
        ("training.same_dropout_mask=false", {"training": {"same_dropout_mask": False}}),
        ("evaluation.ks=[5, 10]", {"evaluation": {"ks": [5, 10]}}),
        ("strategy.name=bsam+", {"strategy": {"name": "bsam+"}}),
        ("data=data/baby", {"data": "data/baby"}),
        ("data=a=b", {"data": "a=b"}),
        ('data="12"', {"data": "12"}),
        ("data=", {"data": ""}),
        ("data=C:\\shop", {"data": "C:\\shop"}),
        ("model.options.deep=1", {"model": {"options": {"deep": 1}}}),
    ],
)
def test_an_assignment_is_a_tree(text, tree):
    assert assignment(text) == tree


@pytest.mark.parametrize("text", ["", "seed", "=3", ".seed=3", "optimizer.=1", "optimizer..lr=1"])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(ValueError, match="--set takes key=value, such as optimizer.lr=0.001, but got"):
        assignment(text)


class Lamp:
    def __init__(self, *, watts: int = 40, colors: tuple[float, ...] = (1.0,)) -> None:
        if watts < 1:
            raise ValueError(f"watts must be at least 1, but is {watts}")
        self.watts, self.colors = watts, colors


def test_a_class_is_instantiated_from_checked_settings():
    lamp = instantiate(Lamp, {"watts": 60, "colors": [0.5, 1]}, "lamp")
    assert (lamp.watts, lamp.colors) == (60, (0.5, 1.0))
    assert instantiate(Lamp, {}, "lamp").colors == (1.0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"watt": 3}, "lamp: unknown setting 'watt'; did you mean watts? there are watts, colors"),
        ({"shade": "red"}, "lamp: unknown setting 'shade'; there are watts, colors"),
        ({"watts": "60"}, "lamp.watts: input should be a valid integer, but it is '60'"),
        ({"watts": 0}, "lamp: watts must be at least 1, but is 0"),
        ({"watts": 2**31}, "lamp.watts must be at most 2147483647, with or without a sign, but is 2147483648"),
        ({"colors": [float("nan")]}, "lamp.colors must be finite, but is nan"),
    ],
)
def test_settings_of_a_class_that_are_wrong_are_refused(options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        instantiate(Lamp, options, "lamp")
    assert str(caught.value).startswith(message)


def test_a_name_far_from_all_gets_no_hint():
    assert unknown("model", "xyz", ["bpr", "freedom"]) == "unknown model 'xyz'; there are bpr, freedom"
    assert unknown("model", "fredom", ["bpr", "freedom"]).startswith(
        "unknown model 'fredom'; did you mean freedom? there are bpr"
    )


class Limits(Config):
    low: int = 0
    high: int = 1
    pair: tuple[float, float] = (0.9, 0.999)
    table: tuple[tuple[int, ...], ...] = ((1,),)

    @model_validator(mode="after")
    def _check_order(self):
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


def test_a_rule_of_a_whole_group_is_told_from_its_name():
    with pytest.raises(ValueError, match="^model: low must not exceed high$"):
        validate(Limits, {"low": 2}, "model")


@pytest.mark.parametrize(
    ("pair", "said"), [((0.9,), "too few values: 1"), ((0.1, 0.2, 0.3), "at most 2 values, but has 3")]
)
def test_too_few_and_too_many_values_are_counted(pair, said):
    with pytest.raises(ValueError, match=f"^pair (has|must have) {said}$"):
        Limits(pair=pair)


def test_lists_within_lists_and_numbers_of_numpy_are_taken():
    settings = Limits(table=[[1, 2], [3]], high=np.int64(5), pair=(np.float32(0.5), 0.5))
    assert (settings.table, settings.high, settings.pair) == (((1, 2), (3,)), 5, (0.5, 0.5))
    assert type(settings.high) is int


def test_settings_are_replaced_and_not_changed():
    with pytest.raises(AttributeError, match=r"^settings cannot be changed; write config = config.replace\(low=5\)$"):
        Limits().low = 5
    assert pickle.loads(pickle.dumps(Limits(low=1))) == copy.deepcopy(Limits(low=1))  # noqa: S301
