"""What errors say: a line of bounded length, a few names, words of ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flatrec.config import Experiment, Training, changed, read
from flatrec.training import optimizers
from flatrec.utils.messages import LONGEST, clipped, message, quoted, shortlist, unknown


def raised_by(make):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the library raises
        make()
    return caught.value


def test_a_list_holds_ten_names_at_most_and_says_how_many_more_there_are():
    names = [f"name-{number}" for number in range(4096)]
    said = unknown("column", "nam-7", names)
    assert said.startswith("unknown column 'nam-7'; did you mean name-7? there are name-0, name-1, ")
    assert said.endswith("name-9 and 4086 more")
    assert unknown("column", "x", ["a", "b"]) == "unknown column 'x'; there are a, b"
    assert unknown("column", "x", []) == "unknown column 'x'; there is none"
    assert shortlist(names[:10]).endswith("name-8, name-9")


def test_long_names_are_cut():
    said = unknown("column", "x" * 10_000, ["y" * 10_000] * 20)
    assert len(said) < 800
    assert len(message(ValueError(said))) <= LONGEST
    assert message(ValueError("a\n b" * 1000))[-1] == "…"
    assert clipped("abc", 3) == "abc"


@pytest.mark.parametrize(
    "make",
    [lambda: torch.empty(2**50, dtype=torch.uint8), lambda: np.empty(2**50, dtype=np.uint8), lambda: bytearray(2**62)],
)
def test_a_lack_of_memory_comes_with_advice_whoever_lacks_it(make):
    said = message(raised_by(make))
    assert said.startswith("out of memory")
    assert "lower training.batch_size, model.embedding_dim or model.n_layers" in said
    assert "alloc_cpu" not in said


def test_how_much_was_asked_for_is_said_where_it_is_known():
    assert "(1048576.0 GiB at once)" in message(raised_by(lambda: torch.empty(2**50, dtype=torch.uint8)))
    assert "(1.00 PiB at once)" in message(raised_by(lambda: np.empty(2**50, dtype=np.uint8)))


def test_a_torch_error_of_another_kind_keeps_its_words():
    assert "mat1 and mat2 shapes" in message(raised_by(lambda: torch.ones(2, 3) @ torch.ones(2, 3)))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("'x' is not in the data set"), "'x' is not in the data set"),
        (FileNotFoundError(2, "No such file", "a.csv"), "a.csv: No such file"),
        (RecursionError("maximum recursion depth exceeded"), "something is nested too deeply"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_errors_of_every_kind_say_something(error, said):
    assert message(error).startswith(said)


@pytest.mark.parametrize(
    ("tree", "name"),
    [
        ({"training": {"batch_size": 10**20}}, "training.batch_size"),
        ({"training": {"epochs": 2**31}}, "training.epochs"),
        ({"evaluation": {"ks": [5, 10**400]}}, "evaluation.ks"),
        ({"training": {"max_grad_norm": 1e308}}, "training.max_grad_norm"),
        ({"training": {"amr": {"epsilon": 1e39}}}, "training.amr.epsilon"),
        ({"seed": 2**63}, "seed"),
        ({"seed": -(2**63) - 1}, "seed"),
    ],
)
def test_numbers_that_nothing_computes_with_are_refused(tree, name):
    with pytest.raises(ValueError, match=rf"^{name}(\[1\])? must .*(at most|at least) .*but is .{{1,60}}$"):
        changed(Experiment(), tree)


def test_large_numbers_that_can_be_computed_with_are_taken():
    tree = {"seed": 2**63 - 1, "training": {"batch_size": 2**31 - 1, "max_grad_norm": 3e38}}
    one = changed(Experiment(), tree)
    assert (one.seed, one.training) == (2**63 - 1, Training(batch_size=2**31 - 1, max_grad_norm=3e38))


def test_differentiable_steps_are_refused_in_words_of_ours():
    with pytest.raises(ValueError, match="optimizer.differentiable must be false"):
        optimizers.settings("adam", {"differentiable": True})
    assert optimizers.settings("adam", {"differentiable": False}).differentiable is False


def test_a_file_of_settings_that_is_nested_too_deeply_is_named(tmp_path):
    path = tmp_path / "deep.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(ValueError, match="deep.toml is not a TOML file"):
        read(path)


def test_a_list_of_names_has_an_end():
    names = [f"c{number}" for number in range(4096)]
    assert shortlist(names) == "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 4086 more"
    assert shortlist(names[:3], 3) == "c0, c1, c2"
    assert shortlist([]) == ""
    assert quoted(["a", "it's"]) == "['a', \"it's\"]"


def test_a_long_name_is_cut_and_a_list_of_them_stays_a_line():
    assert clipped("x" * 31) == "x" * 29 + "…"
    assert clipped("x" * 30) == "x" * 30
    assert len(quoted(["\x00" * 10_000] * 100)) < 1_500
    assert len(quoted(["x" * 10_000] * 100)) < 400
