import numpy as np
import pytest
import torch
from torch import nn

from flatrec import testing
from flatrec.data.features import Features
from flatrec.models import MODELS, Adversarial
from flatrec.research.analysis.perturbation import (
    adjust_features,
    embedding_noise,
    item_embeddings,
    noisy,
    relative_drop,
)
from tests.models.settings import make

NO_TABLE = {"dualgnn", "dragon", "pgl"}  # their items are made of features only
NOT_RANKED_BY = {*NO_TABLE, "mentor"}  # rows of ids guide MENTOR's training alone


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def features(rows, present=None):
    values = np.array(rows, dtype=np.float32)
    return Features(values, np.ones(len(values), dtype=np.bool_) if present is None else np.array(present))


def shop(**modalities):
    """Four items with the given features."""
    return testing.block_dataset(blocks=1, users=2, items=4).with_features(modalities)


def values(found, name):
    return found.dataset.features[name].values


def bits(table):
    return table.detach().numpy().tobytes()


@pytest.fixture
def blocks():
    return testing.block_dataset(modalities=("text", "image"))


@pytest.mark.parametrize("name", MODELS)
def test_item_rows_are_those_of_items_and_of_no_user(name, blocks):
    model = make(name, blocks)
    before = {place: table.detach().clone() for place, table in model.named_parameters()}
    users, items = (one.clone() for one in testing.runs.evaluated(model))  # those of BPR are its tables
    found = item_embeddings(model, blocks.n_users, blocks.n_items)
    assert len(found) == (name not in NO_TABLE)
    for table in found:
        assert len(table) == blocks.n_items
        table[0] += 100  # one item alone
    changed = [
        (place, rows)
        for place, table in model.named_parameters()
        if (rows := (table != before[place]).any(dim=-1).nonzero().flatten().tolist())
    ]
    with_items = dict.fromkeys(("vbpr", "cohesion", "mentor"), [("items", [0])])
    expected = with_items.get(name, [("nodes", [blocks.n_users])])
    assert changed == ([] if name in NO_TABLE else expected)
    after_users, after_items = testing.runs.evaluated(model)
    assert torch.equal(items[0], after_items[0]) == (name in NOT_RANKED_BY)
    assert torch.equal(users @ items.T, after_users @ after_items.T) == (name in NOT_RANKED_BY)


@pytest.mark.parametrize("name", MODELS)
def test_a_layer_with_as_many_rows_as_there_are_items_is_no_table_of_items(name):
    crowd = testing.block_dataset(blocks=8, users=3, items=8, modalities=("text", "image"))
    found = item_embeddings(MODELS[name](crowd), 24, 64)  # 64 is also the usual width of layers
    assert len(found) == (name not in NO_TABLE)


@pytest.mark.parametrize("name", MODELS)
def test_as_many_users_as_items_do_not_pass_for_items(name):
    square = testing.block_dataset(users=8, items=8, modalities=("text", "image"))
    model = make(name, square)
    found = item_embeddings(model, 24, 24)
    assert len(found) == (name not in NO_TABLE)
    if name == "vbpr":
        assert found[0].data_ptr() == model.items.data_ptr()


@pytest.mark.parametrize("name", ["freedom", "lattice", "bm3"])
def test_trained_features_are_no_embeddings(name, blocks):
    model = make(name, blocks, features="trained")
    (found,) = item_embeddings(model, blocks.n_users, blocks.n_items)
    assert found.data_ptr() == model.nodes[blocks.n_users :].data_ptr()


def test_the_embeddings_of_a_wrapped_model_are_found(blocks):
    wrapped = Adversarial(make("vbpr", blocks), epsilon=0.1)
    (found,) = item_embeddings(wrapped, blocks.n_users, blocks.n_items)
    assert found.data_ptr() == wrapped.model.items.data_ptr()


@pytest.mark.parametrize("users", [4, 6])
def test_tables_in_embedding_layers_and_dictionaries_are_found(users, blocks):
    model = make("bpr", blocks)
    model.item_table = nn.Embedding(4, 3)
    model.user_table = nn.Embedding(users, 3)
    model.both = nn.ParameterDict({"item_rows": torch.ones(4, 3), "user_rows": torch.ones(users, 3)})
    found = {one.data_ptr() for one in item_embeddings(model, users, 4)}
    assert found == {model.item_table.weight.data_ptr(), model.both["item_rows"].data_ptr()}


def test_noise_on_embeddings_is_undone_to_the_bit_also_when_the_block_raises():
    tables = [torch.randn(5, 3, generator=stream(1)), torch.full((5, 2), -0.0), torch.full((5, 2), 1e-30)]
    before = [bits(table) for table in tables]
    with embedding_noise(tables, 0.5, stream()):
        assert all(bits(table) != kept for table, kept in zip(tables, before, strict=True))
    assert [bits(table) for table in tables] == before
    with pytest.raises(KeyError), embedding_noise(tables, 0.5, stream()):
        raise KeyError
    assert [bits(table) for table in tables] == before


def test_a_table_that_cannot_be_written_to_leaves_no_noise_on_the_others():
    first, single = torch.ones(2, 3), torch.ones(1, 3)
    with pytest.raises(RuntimeError), embedding_noise([first, single.expand(2, 3)], 1.0, stream()):
        pass
    assert bits(first) == bits(torch.ones(2, 3))


def test_noise_reaches_the_scores_of_a_model_and_leaves_none_behind(blocks):
    model = make("freedom", blocks)
    before = testing.scores(model)
    with embedding_noise(item_embeddings(model, blocks.n_users, blocks.n_items), 0.1, stream()):
        assert not torch.equal(testing.scores(model), before)
    assert torch.equal(testing.scores(model), before)


@pytest.mark.parametrize("variance", [1e-4, 0.25])
def test_the_variance_of_noise_is_the_one_asked_for(variance):
    # The variance of n Gaussian values has relative deviation sqrt(2 / n): 0.5 % here, the mean one of 0.35 %.
    table = torch.zeros(800, 100)
    with embedding_noise([table], variance, stream()):
        assert table.var().item() == pytest.approx(variance, rel=0.02)
        assert abs(table.mean().item()) < 0.015 * variance**0.5
    flat = testing.block_dataset(blocks=1, users=2, items=800).with_features({"text": features(np.zeros((800, 100)))})
    noise = noisy(flat, variance, stream()).features["text"].values
    assert noise.var() == pytest.approx(variance, rel=0.02)
    assert abs(noise.mean()) < 0.015 * variance**0.5


def test_equal_seeds_give_equal_noise_and_others_another(blocks):
    seen = []
    for seed in (0, 0, 1):
        table = torch.zeros(3, 3)
        with embedding_noise([table], 1.0, stream(seed)):
            seen.append((bits(table), noisy(blocks, 1.0, stream(seed)).fingerprint))
    assert seen[0] == seen[1]
    assert all(one != other for one, other in zip(seen[0], seen[2], strict=True))


def test_variance_zero_leaves_the_very_bits():
    rows = np.array([[-0.0, 1.0], [0.0, 2.0], [3.0, -0.0], [4.0, 5.0]], dtype=np.float32)
    dataset, table = shop(text=features(rows)), torch.tensor(rows)
    for seed in range(4):
        with embedding_noise([table], 0.0, stream(seed)):
            assert bits(table) == rows.tobytes()
        assert noisy(dataset, 0.0, stream(seed)).fingerprint == dataset.fingerprint


def test_each_modality_gets_noise_of_its_own_and_all_else_is_fractiond(blocks):
    found = noisy(blocks.with_features({**blocks.features, "sound": blocks.features["text"]}), 1.0, stream())
    changes = {name: found.features[name].values - blocks.features[name].values for name in ("image", "text")}
    changes["sound"] = found.features["sound"].values - blocks.features["text"].values
    assert all((change != 0).all() for change in changes.values())
    assert not np.array_equal(changes["sound"], changes["text"])
    assert found.interactions is blocks.interactions
    assert found.items is blocks.items
    assert found.fingerprint != blocks.fingerprint


def test_what_is_missing_stays_missing_under_noise():
    found = noisy(shop(text=features([[1], [2], [3], [4]], [True, False, True, True])), 1.0, stream()).features["text"]
    assert found.present.tolist() == [True, False, True, True]
    assert found.values[1] == 0
    assert (found.values[[0, 2, 3]] != [[1], [3], [4]]).all()


@pytest.mark.parametrize("variance", [-1e-9, float("nan"), float("inf")])
def test_a_variance_out_of_range_is_refused(variance, blocks):
    with pytest.raises(ValueError, match="variance must be finite and at least 0"):
        noisy(blocks, variance, stream())
    with pytest.raises(ValueError, match="variance must be finite"), embedding_noise([], variance, stream()):
        pass


# Directions of the images at 0, 10, 25 and 90 degrees, lengths apart: the nearest of 0 is 1, of 1 is 0, of 2 is 1 and
# of 3 is 2. By inner product, item 2 would be nearest to all others, being the longest.
ANGLES, LENGTHS = np.radians([0, 10, 25, 90]), np.array([[1], [2], [50], [3]])
IMAGES = (LENGTHS * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)).astype(np.float32)
TEXTS = [[1, -1], [2, -2], [3, -3], [4, -4]]
NEAREST = [1, 0, 1, 2]


def test_adjusted_rows_are_those_of_the_neighbors_worked_by_hand():
    found = adjust_features(shop(image=features(IMAGES), text=features(TEXTS), sound=features(TEXTS)), 1.0, stream())
    assert found.items.tolist() == [0, 1, 2, 3]
    assert values(found, "text").tolist() == [[2, -2], [1, -1], [2, -2], [3, -3]]
    np.testing.assert_allclose(values(found, "image"), (IMAGES + IMAGES[NEAREST]) / 2, rtol=1e-6)
    assert values(found, "sound").tolist() == TEXTS


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_images_are_blended_by_weight_and_texts_replaced_whatever_it_is(weight):
    found = adjust_features(shop(image=features(IMAGES), text=features(TEXTS)), 1.0, stream(), weight=weight)
    expected = (1 - weight) * IMAGES + weight * IMAGES[NEAREST]
    np.testing.assert_allclose(values(found, "image"), expected, rtol=1e-6)
    assert values(found, "text").tolist() == [TEXTS[other] for other in NEAREST]


def test_without_images_the_nearest_by_text_is_taken():
    found = adjust_features(shop(text=features(IMAGES)), 1.0, stream())
    assert np.array_equal(values(found, "text"), IMAGES[NEAREST])


def test_without_texts_images_alone_are_blended():
    found = adjust_features(shop(image=features(IMAGES)), 1.0, stream())
    np.testing.assert_allclose(values(found, "image"), (IMAGES + IMAGES[NEAREST]) / 2, rtol=1e-6)


def test_an_item_without_a_image_is_neither_adjusted_nor_a_neighbor():
    # Without item 1, items 0 and 2 are each other's nearest.
    images = features(IMAGES, [True, False, True, True])
    found = adjust_features(shop(image=images, text=features(TEXTS)), 1.0, stream())
    assert found.items.tolist() == [0, 2, 3]
    assert values(found, "text").tolist() == [TEXTS[2], TEXTS[1], TEXTS[0], TEXTS[2]]
    assert found.dataset.features["image"].present.tolist() == [True, False, True, True]


def test_an_item_without_a_text_is_no_neighbor_and_has_its_image_adjusted_alone():
    texts = features(TEXTS, [True, False, True, True])
    found = adjust_features(shop(image=features(IMAGES), text=texts), 1.0, stream())
    assert found.items.tolist() == [0, 1, 2, 3]
    assert values(found, "text").tolist() == [TEXTS[2], [0, 0], TEXTS[0], TEXTS[2]]
    assert found.dataset.features["text"].present.tolist() == [True, False, True, True]
    np.testing.assert_allclose(values(found, "image"), (IMAGES + IMAGES[[2, 0, 0, 2]]) / 2, rtol=1e-6)


def test_an_item_that_has_no_other_stays_as_it_is():
    only = [False, False, True, False]
    alone = shop(image=features(IMAGES, only), text=features(TEXTS))
    found = adjust_features(alone, 1.0, stream())
    assert found.items.tolist() == []
    assert found.dataset.fingerprint == alone.fingerprint
    # All have images, one has a text: the others take its image, and it has nobody.
    found = adjust_features(shop(image=features(IMAGES), text=features(TEXTS, only)), 1.0, stream())
    assert found.items.tolist() == [0, 1, 3]


def test_neighbors_found_in_blocks_are_those_found_at_once(monkeypatch, blocks):
    at_once = adjust_features(blocks, 0.7, stream())
    monkeypatch.setattr(
        "flatrec.research.analysis.perturbation.BLOCK_ENTRIES", 5 * blocks.n_items
    )  # five items a block
    in_blocks = adjust_features(blocks, 0.7, stream())
    assert len(at_once.items) > 10
    np.testing.assert_array_equal(values(in_blocks, "text"), values(at_once, "text"))
    alike = blocks.features["image"].values / np.linalg.norm(blocks.features["image"].values, axis=1, keepdims=True)
    similarities = alike @ alike.T - 9 * np.eye(blocks.n_items)
    nearest = similarities.argmax(axis=1)[at_once.items]
    assert np.array_equal(values(at_once, "text")[at_once.items], blocks.features["text"].values[nearest])


def test_each_item_is_drawn_with_the_probability_of_the_fraction():
    crowd = testing.block_dataset(blocks=4, users=1, items=500)
    drawn = adjust_features(crowd, 0.3, stream()).items
    assert len(drawn) == pytest.approx(600, abs=82)  # four deviations of sqrt(2000 * 0.3 * 0.7)
    assert np.array_equal(drawn, adjust_features(crowd, 0.3, stream()).items)
    assert not np.array_equal(drawn, adjust_features(crowd, 0.3, stream(1)).items)


def test_items_not_drawn_keep_their_rows(blocks):
    found = adjust_features(blocks, 0.5, stream())
    changed = (values(found, "text") != blocks.features["text"].values).any(axis=1)
    assert 0 < changed.sum() < blocks.n_items
    assert np.flatnonzero(changed).tolist() == found.items.tolist()
    assert found.dataset.interactions is blocks.interactions
    assert found.dataset.fingerprint != blocks.fingerprint


def test_fraction_zero_changes_nothing(blocks):
    found = adjust_features(blocks, 0.0, stream())
    assert found.items.tolist() == []
    assert found.dataset.fingerprint == blocks.fingerprint


def test_data_without_texts_and_images_are_refused(blocks):
    for modalities, said in (({}, "has none"), ({"sound": blocks.features["text"]}, "has sound")):
        with pytest.raises(ValueError, match=f"adjustment needs text or image features, .* {said}") as caught:
            adjust_features(blocks.with_features(modalities), 0.5, stream())
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("fraction", "weight"), [(-0.1, 0.5), (1.1, 0.5), (0.5, -0.1), (0.5, 1.1)])
def test_fractions_and_weights_out_of_range_are_refused(fraction, weight, blocks):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        adjust_features(blocks, fraction, stream(), weight=weight)


def test_the_decrease_is_relative_to_the_original():
    assert relative_drop(0.08, 0.06) == pytest.approx(0.25)
    assert relative_drop(0.08, 0.1) == pytest.approx(-0.25)
    assert relative_drop(0.08, 0.08) == 0
