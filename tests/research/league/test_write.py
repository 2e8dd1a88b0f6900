"""A league that was written is read back as an equal one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from flatrec.research.league import Cell, Comparison, League, Method, Plan, read_league
from flatrec.research.league.spec import Rules
from flatrec.research.league.write import league_text, write_league
from flatrec.research.sweeps.space import Choices, Range

FIRST_SEASON = Path(__file__).parents[3] / "experiments" / "league" / "first-season.toml"

texts = some.text(some.characters(codec="utf-8"), min_size=1, max_size=8)
words = texts.filter(lambda text: "/" not in text)
numbers = some.floats(-1e30, 1e30)
options = some.one_of(some.booleans(), some.integers(-(2**63), 2**63 - 1), numbers, texts)
vectors = some.one_of(some.lists(one, max_size=3) for one in (some.integers(0, 9), numbers, texts)).map(tuple)
names = some.from_regex(r"(model|optimizer|training\.amr)\.[a-z_]{1,9}", fullmatch=True).filter(
    lambda name: not name.endswith((".low", ".high"))  # the ends of a range
)
values = some.dictionaries(names, some.one_of(options, vectors), max_size=4)
ranges = (
    some.tuples(numbers, numbers).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: Range(*ends, log=ends[0] > 0))
)
choices = some.lists(some.one_of(options, vectors), min_size=1, max_size=3).map(lambda listed: Choices(tuple(listed)))
plans = some.builds(Plan, values, some.dictionaries(names, some.one_of(ranges, choices), max_size=4))


@some.composite
def leagues(draw):
    cells = [Cell(name, draw(texts), draw(values)) for name in draw(some.sets(words, min_size=1, max_size=3))]
    methods = [
        Method(name, draw(plans), draw(some.dictionaries(words, plans, max_size=2)), draw(some.just("") | texts))
        for name in draw(some.lists(words, min_size=2, max_size=3, unique=True))
    ]
    rules = Rules(
        title=draw(texts),
        n_trials=draw(some.integers(1, 99)),
        final_seeds=tuple(draw(some.lists(some.integers(1, 9), min_size=2, max_size=5, unique=True))),
        sampler=draw(some.sampled_from(["common", "random", "tpe"])),
        budget_of=draw(some.sampled_from(["", *(method.name for method in methods)])),
        disturbances=draw(some.sampled_from([{}, {"vectors": (0.1, 0.5)}, {"vectors": (0.5,), "edit": (0.01,)}])),
    )
    comparison = Comparison(
        methods[0].name,
        methods[1].name,
        "recall@10",
        draw(some.sampled_from(["", *rules.levels])),
        draw(some.just("") | texts),
        draw(some.sampled_from([(), (cells[0].name,)])),
    )
    return League(rules, draw(values), tuple(cells), tuple(methods), (comparison,) * draw(some.integers(0, 2)))


def kinds(value):
    """The type of a value, and of what it holds: true equals 1, and 1 equals 1.0."""
    inner = {Choices: lambda: value.values, Range: lambda: (), tuple: lambda: value}.get(type(value), tuple)()
    return (type(value), *map(kinds, inner))


@pytest.mark.repeats  # checks of annotations draw random numbers, which is not allowed here
@settings(max_examples=40, deadline=None)
@given(leagues())
def test_what_is_read_equals_what_was_written(tmp_path_factory, league):
    path = tmp_path_factory.mktemp("league") / "league.toml"
    write_league(league, path, comment="a\n\nb")
    found = read_league(path)
    assert found == league
    for ours, theirs in zip(league.methods, found.methods, strict=True):
        assert list(ours.plan.space) == list(theirs.plan.space)  # trials are proposed in this order
        assert list(map(kinds, ours.plan.settings.values())) == list(map(kinds, theirs.plan.settings.values()))
        assert list(map(kinds, ours.plan.space.values())) == list(map(kinds, theirs.plan.space.values()))


def test_the_first_season_survives(tmp_path):
    season = read_league(FIRST_SEASON)
    write_league(season, tmp_path / "season.toml")
    assert read_league(tmp_path / "season.toml") == season


def test_the_text_is_as_a_person_would_write_it():
    plain = Method(
        "plain",
        Plan({"strategy.name": "plain"}, {"optimizer.lr": Choices((0.001, 0.01)), "model.reg_weight": Range(1.0, 2.0)}),
        {"freedom": Plan({}, {"model.edge_dropout": Choices((0.8, 0.9))})},
    )
    league = League(
        Rules(title="Two", final_seeds=(1, 2)),
        {"training.epochs": 3},
        (Cell("a", "data/baby", {"model.name": "freedom"}),),
        (plain, Method("sam+", Plan({"strategy.name": "sam+"}), reason="a control")),
        (Comparison("sam+", "plain", "recall@10", claim="it helps"),),
    )
    assert league_text(league, comment="Edit me.") == (
        '# Edit me.\ntitle = "Two"\nn_trials = 8\ntrial_seed = 0\nfinal_seeds = [1, 2]\nsampler = "common"\n'
        'replication = "seeds"\nbudget = 0\nbudget_of = ""\ndraws = 2\n'
        '\n[data]\nbaby = "data/baby"\n'
        '\n[settings]\n"training.epochs" = 3\n'
        '\n[cells.a]\ndata = "baby"\n'
        '\n[cells.a.settings]\n"model.name" = "freedom"\n'
        '\n[methods.plain.settings]\n"strategy.name" = "plain"\n'
        '\n[methods.plain.space]\n"optimizer.lr" = [0.001, 0.01]\n'
        '"model.reg_weight" = { low = 1.0, high = 2.0, log = false }\n'
        '\n[methods.plain.models.freedom.space]\n"model.edge_dropout" = [0.8, 0.9]\n'
        '\n[methods."sam+"]\nreason = "a control"\n'
        '\n[methods."sam+".settings]\n"strategy.name" = "sam+"\n'
        '\n[[comparisons]]\nmethod = "sam+"\nbaseline = "plain"\nmetric = "recall@10"\nclaim = "it helps"\n'
    )


@pytest.mark.parametrize("paths", [("a/x", "b/x"), ("a/x", "x"), ("/", "b")])
def test_paths_whose_last_parts_do_not_differ_stay_paths(tmp_path, paths):
    plain = Method("plain", Plan())
    cells = tuple(Cell(str(number), path) for number, path in enumerate(paths))
    league = League(Rules(), {}, cells, (plain, replace(plain, name="other")))
    write_league(league, tmp_path / "league.toml")
    assert "[data]" not in (tmp_path / "league.toml").read_text()
    assert read_league(tmp_path / "league.toml") == league
    with pytest.raises(ValueError, match="no data set 'x'"):
        read_league(tmp_path / "league.toml", {"x": "elsewhere"})
