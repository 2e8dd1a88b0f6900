"""What the parameters of every model belong to, and which rows of an earlier run they get."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.trained_ids import TrainedIds
from flatrec.models import BPR, FREEDOM, MODELS, VBPR
from flatrec.runs.earlier_run import EarlierRun
from flatrec.runs.parameter_rows import parameter_owners
from flatrec.runs.transfer import transfer
from flatrec.testing import block_dataset
from tests.models.settings import MULTIMODAL, SETTINGS, make

BELONGS = {  # by hand, from the models' docstrings; every other parameter belongs to neither users nor items
    "users": ("users", "user_weights", "preferences.*", "towers.*.preference"),
    "items": ("items", "item_weights", "features.tables.*.values"),
    "nodes": ("nodes", "confidence"),
}
TRAINED_FEATURES = {"lattice": 2, "bm3": 2}  # tables per model


def expected(name):
    return next((owner for owner, names in BELONGS.items() if any(fnmatch(name, one) for one in names)), None)


def dataset(users, items, *, missing=(0,), blocks=2):
    """Blocks whose users and items have these ids; the features depend on the position, not on the id."""
    blank = block_dataset(blocks=blocks, users=len(users) // blocks, items=len(items) // blocks)
    features = {}
    for name, one in blank.features.items():
        present = one.present.copy()
        present[list(missing)] = False
        features[name] = Features(one.values, present)
    return replace(blank, users=Vocabulary("user", users), items=Vocabulary("item", items), features=features)


def ids(kind, numbers):
    return [f"{kind}{number}" for number in numbers]


# As many users as items, as many of both as an embedding is wide, and as many then as now: sizes tell nothing.
BEFORE = dataset(ids("u", range(8)), ids("i", range(8)))
NOW = dataset(ids("u", [11, 7, 3, 1, 10, 0, 2, 5]), ids("i", [4, 10, 2, 0, 7, 12, 6, 11]))
GROWN = dataset(ids("u", [11, 7, 3, 1, 10, 0, 2, 5, 9, 8]), ids("i", [4, 10, 2, 0, 7, 1]))
DATA = {"as many": NOW, "more and fewer": GROWN, "the same": BEFORE}


def earlier(model, data, name="bpr"):
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    return EarlierRun(Path("earlier"), "identity", name, TrainedIds.of(data), state)


@pytest.mark.parametrize("now", DATA)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_parameter_of_every_model_is_taken_by_id(name, now):
    options = {"missing_modality": "learned"} if name in MULTIMODAL else {}
    before, initial, model = (
        make(name, data, seed, **options) for seed, data in ((1, BEFORE), (2, DATA[now]), (2, DATA[now]))
    )
    start = transfer(model, DATA[now], earlier(before, BEFORE, name))
    assert start.initial == ()
    old, new, data = before.state_dict(), initial.state_dict(), DATA[now]
    for key, parameter in model.named_parameters():
        owner = expected(key)
        if owner is None:
            assert torch.equal(parameter, old[key]), key
            continue
        labels = {"users": [*data.users], "items": [*data.items], "nodes": [*data.users, *data.items]}[owner]
        formerly = {"users": [*BEFORE.users], "items": [*BEFORE.items], "nodes": [*BEFORE.users, *BEFORE.items]}[owner]
        assert parameter.shape[0] == len(labels), key
        for row, label in enumerate(labels):
            wanted = old[key][formerly.index(label)] if label in formerly else new[key][row]
            assert torch.equal(parameter[row], wanted), (key, label)
    for key, buffer in model.named_buffers():
        if key in new:
            assert torch.equal(buffer, new[key]), key


def test_the_counts_are_those_of_ids():
    model = make("bpr", NOW)
    start = transfer(model, NOW, earlier(make("bpr", BEFORE, 1), BEFORE))
    assert (start.users.taken, start.users.new, start.users.dropped) == (6, 2, 2)  # without 11 and 10; 4 and 6 are gone
    assert (start.items.taken, start.items.new, start.items.dropped) == (5, 3, 3)
    assert "6 of 8 users (2 new, 2 gone) and 5 of 8 items (3 new, 3 gone)" in start.sentence()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_rule_finds_what_is_known_of_every_model(name):
    model = make(name, BEFORE)
    found = parameter_owners(model, BEFORE)
    assert found.keys() == dict(model.named_parameters()).keys()
    for key, owners in found.items():
        assert owners is not None, key
        assert set(owners[1:]) <= {None}, key
        assert next(iter(owners), None) == expected(key), key
    assert sum("tables" in key for key in found) == TRAINED_FEATURES.get(name, 0)


def test_features_that_are_trained_if_asked_belong_to_items():
    model = FREEDOM(BEFORE, FREEDOM.Config(features="trained", n_neighbors=4))
    assert parameter_owners(model, BEFORE)["features.tables.0.values"] == ("items", None)


def test_a_setting_that_needs_many_items_is_no_obstacle():
    data = block_dataset(users=4, items=100)
    model = FREEDOM(data, FREEDOM.Config(embedding_dim=8, n_neighbors=200))
    assert parameter_owners(model, data)["nodes"] == ("nodes", None)


class Odd(VBPR):
    """Parameters of every kind that a class may have."""

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.square = nn.Parameter(torch.randn(dataset.n_users, dataset.n_items))
        self.turned = nn.Parameter(torch.randn(3, dataset.n_items))
        self.edges = nn.Parameter(torch.randn(dataset.interactions.count("train")))
        self.capped = nn.Parameter(torch.randn(min(dataset.n_users, 40), 2))
        self.eight = nn.Parameter(torch.randn(8, 8))
        self.register_buffer("counts", torch.full((dataset.n_users,), float(dataset.n_items)))


def test_dimensions_of_any_place_are_taken_and_what_cannot_be_told_stays_initial():
    torch.manual_seed(0)
    before, model = Odd(BEFORE), Odd(GROWN)
    initial = {key: value.clone() for key, value in model.state_dict().items()}
    start = transfer(model, GROWN, earlier(before, BEFORE, "tests.runs.test_parameter_rows:Odd"))
    assert start.initial == ("edges",)
    for user, item in np.ndindex(GROWN.n_users, GROWN.n_items):
        names = GROWN.users[user], GROWN.items[item]
        known = names[0] in BEFORE.users and names[1] in BEFORE.items
        wanted = (
            before.square[BEFORE.users.index_of(names[0]), BEFORE.items.index_of(names[1])]
            if known
            else initial["square"][user, item]
        )
        assert model.square[user, item] == wanted
    for item, name in enumerate(GROWN.items):
        wanted = before.turned[:, BEFORE.items.index_of(name)] if name in BEFORE.items else initial["turned"][:, item]
        assert torch.equal(model.turned[:, item], wanted)
    assert torch.equal(model.eight, before.eight)
    assert torch.equal(model.counts, initial["counts"])
    assert torch.equal(model.capped[GROWN.users.index_of("u3")], before.capped[3])


def test_a_size_that_small_data_and_these_data_disagree_on_is_not_trusted():
    data = block_dataset(users=30, items=8)  # 90 users, of whom 40 have a row
    assert parameter_owners(Odd(data), data)["capped"] is None


class ItemsFirst(BPR):
    """A class that breaks the convention that users come first."""

    def encode(self):
        encoded = super().encode()
        items, users = self.nodes.split(self.sizes[::-1])
        return replace(encoded, node_embeddings=torch.cat([users, items]))


def test_a_table_of_items_and_then_users_is_refused():
    data = block_dataset()
    model = ItemsFirst(data)
    with pytest.raises(ValueError, match="^ItemsFirst has parameters .* one table, .* users first, fails: [^\n]*$"):
        transfer(model, data, earlier(model, data, "tests.runs.test_parameter_rows:ItemsFirst"))


class Unclear(BPR):
    """One table for users and items, and a parameter that hides from the check of its order."""

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.edges = nn.Parameter(torch.randn(dataset.interactions.count("train")))


def test_a_table_whose_order_cannot_be_checked_is_refused():
    data = block_dataset()
    with pytest.raises(ValueError, match="^Unclear has parameters .* fails: 'edges' has shape .231,., and which"):
        parameter_owners(Unclear(data), data)


class Weighted(BPR):
    """A class that needs weights, which the small data then have too."""

    def __init__(self, dataset, config=None):
        super().__init__(dataset, config)
        self.mean = nn.Parameter(torch.tensor(float(dataset.interactions.weights.mean())))


def test_small_data_have_weights_where_the_data_have_them():
    blank = block_dataset()
    weighted = blank.with_interactions(replace(blank.interactions, weights=np.full(len(blank.interactions), 2.0)))
    assert parameter_owners(Weighted(weighted), weighted) == {"nodes": ("nodes", None), "mean": ()}


class Needy(BPR):
    """A class that no small data suffice for."""

    def __init__(self, dataset, config=None):
        if dataset.name != "mine":
            raise KeyError("mine")
        super().__init__(dataset, config)


def test_a_class_that_small_data_do_not_suffice_for_is_one_line():
    data = replace(block_dataset(), name="mine")
    with pytest.raises(ValueError, match=r"^which parameters of Needy .* cannot be built on small data \(.*mine.*\); "):
        parameter_owners(Needy(data), data)


def test_another_width_another_model_other_modalities_and_no_common_id_are_refused():
    model = make("vbpr", NOW)
    with pytest.raises(
        ValueError, match=r"^the parameter users of earlier is \(8, 32\) of torch.float32 instead of \(8, 16\)"
    ):
        transfer(model, NOW, earlier(make("vbpr", BEFORE, embedding_dim=16), BEFORE, "vbpr"))
    with pytest.raises(ValueError, match="^earlier is a run of lightgcn, whose parameters vbpr cannot start from"):
        transfer(model, NOW, earlier(make("lightgcn", BEFORE), BEFORE, "lightgcn"))
    text = BEFORE.with_features({"text": BEFORE.features["text"]})
    with pytest.raises(ValueError, match="^earlier was trained with the modalities text, .* now have image, text"):
        transfer(model, NOW, earlier(make("vbpr", text), text, "vbpr"))
    other = dataset(ids("x", range(8)), ids("y", range(8)))
    with pytest.raises(ValueError, match="^'blocks' shares neither a user nor an item with earlier"):
        transfer(make("vbpr", other), other, earlier(make("vbpr", BEFORE), BEFORE, "vbpr"))


def test_a_refusal_leaves_the_model_as_it_was_before_the_first_row():
    model = make("vbpr", NOW)
    before = earlier(make("vbpr", BEFORE), BEFORE, "vbpr")
    wider = {**before.parameters, "items": torch.zeros(8, 9)}  # `users` fit and come first
    initial = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="^the parameter items of earlier"):
        transfer(model, NOW, replace(before, parameters=wider))
    assert all(torch.equal(value, initial[key]) for key, value in model.state_dict().items())


def test_maps_of_features_of_another_width_stay_initial_and_are_named():
    narrow = {
        **BEFORE.features,
        "text": Features(BEFORE.features["text"].values[:, :2], BEFORE.features["text"].present),
    }
    before = BEFORE.with_features(narrow)
    model = make("slmrec", NOW)
    start = transfer(model, NOW, earlier(make("slmrec", before), before, "slmrec"))
    assert start.initial == ("maps.1.weight",)
    assert "; these parameters stay initial: maps.1.weight; " in start.sentence()


def test_every_model_has_settings_here():
    assert set(SETTINGS) == set(MODELS)
