"""New items of content-knn and hybrid-knn: their similarities are those of a baseline that was made with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flatrec.data.features import Features
from flatrec.data.vocabulary import Vocabulary
from flatrec.inference.catalog import concatenated
from flatrec.inference.cold_start import evaluate_held_out, hold_out_items, join_new_items
from flatrec.inference.run import Run
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.models import BASELINES
from flatrec.testing import block_dataset
from tests.inference.cold_start.conftest import data, encoded, new, only

NAMES = ("content-knn", "hybrid-knn")


def run_of(name, dataset=None, **settings):
    dataset = dataset or data()
    return Run(dataset, BASELINES[name](dataset, BASELINES[name].Config(**settings)))


def made_with(run, items):
    """The same baseline, made with new items behind the others."""
    known, n_new = run.dataset, len(items.ids)
    dataset = replace(
        known,
        interactions=replace(known.interactions, n_items=known.n_items + n_new),
        items=Vocabulary("item", [*known.items, *items.ids]),
        features={name: concatenated(table, items.features[name]) for name, table in known.features.items()},
        titles=None,
        images=None,
        item_columns=None,
    )
    return type(run.model)(dataset, run.model.config).similarities.toarray()


def without_images(dataset, rows):
    image = dataset.features["image"]
    present = image.present.copy()
    present[rows] = False
    values = np.where(present[:, None], image.values, 0).astype(np.float32)
    return dataset.with_features({**dataset.features, "image": Features(values, present)})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", ["mean", "zero"])
@pytest.mark.parametrize("n_neighbors", [3, 100])
def test_an_item_has_the_similarities_of_a_baseline_that_was_made_with_it(name, missing, n_neighbors):
    dataset = without_images(data(), [0, 9] if missing == "zero" else [])
    run = run_of(name, dataset, n_neighbors=n_neighbors, missing_modality=missing, image_weight=0.3)
    several = new([0, 2, 1], dataset, lacking={"image": [1]})
    for index in range(3):
        recommender = join_new_items(run, encoded([0, 2, 1], lacking={"image": [1]})).recommender
        joined = recommender.scoring.similarities.toarray()
        place = dataset.n_items + index
        expected = made_with(run, only(several, index))
        np.testing.assert_allclose(joined[: dataset.n_items, place], expected[:-1, -1], rtol=0, atol=1e-6)
        np.testing.assert_allclose(joined[place, : dataset.n_items], expected[-1, :-1], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(joined[: dataset.n_items, : dataset.n_items], run.model.similarities.toarray())
    assert not joined[dataset.n_items :, dataset.n_items :].any()


def test_new_items_are_recommended_wanted_saved_and_joined_without_the_run(tmp_path):
    run = run_of("content-knn", n_neighbors=50)
    items = encoded([0, 2])
    joined = join_new_items(run, items)
    assert (joined.method, joined.calibration.scale) == ("nearest", 1)
    recommender = joined.recommender
    first = list(run.dataset.users)[0]  # of block 0
    assert [one.item for one in recommender.recommend(first, 2, items=["new 0", "new 1"])[0]] == ["new 0", "new 1"]
    assert recommender.recommend(first, 1)[0][0].new
    assert {one.user for one in recommender.who_wants("new 1", 10)} == set(list(run.dataset.users)[20:30])
    assert recommender.similar("new 0", 3)[0].path == "cold-item"
    score = float(recommender.score(first, "new 0")[0, 0])
    profile = run.model.bought[[0]].toarray()[0]
    column = recommender.scoring.similarities.toarray()[: len(profile), -2]
    assert score == pytest.approx(float(profile @ column), rel=1e-6)
    save_recommender(run.recommender, tmp_path / "before")
    loaded = load_recommender(tmp_path / "before").with_items(items)
    for name in ("one", "other"):
        save_recommender(recommender if name == "one" else loaded, tmp_path / name)
    assert load_recommender(tmp_path / "one").recommend(first, 5) == loaded.recommend(first, 5)
    tensors = [(tmp_path / name / "recommender.safetensors").read_bytes() for name in ("one", "other")]
    assert tensors[0] == tensors[1]


def test_items_that_join_later_do_not_depend_on_those_that_joined_before():
    run = run_of("hybrid-knn", n_neighbors=4, content_weight=0.5)
    before = run.recommender.with_items(encoded([0, 1], names=["a", "b"]))
    after = before.with_items(encoded([2], names=["c"], seed=5))
    alone = run.recommender.with_items(encoded([2], names=["c"], seed=5))
    columns = [one.scoring.similarities.toarray()[: data().n_items, -1] for one in (after, alone)]
    np.testing.assert_array_equal(*columns)
    users = list(data().users)
    np.testing.assert_array_equal(after.score(users, ["a", "b"]), before.score(users, ["a", "b"]))


def test_held_out_items_are_found_by_those_who_want_them():
    whole = block_dataset(blocks=3, users=6, items=20)
    held = hold_out_items(whole, 0.2, 1)
    found = evaluate_held_out(run_of("content-knn", held.remaining), held, split="test")
    assert found.among_held_out.model["hit_rate@5"] == 1
    assert (found.method, found.scale) == ("nearest", 1)
    assert found.among_all.model["hit_rate@20"] == 1


def test_items_that_are_not_compared_by_features_are_refused():
    for join in (lambda run: join_new_items(run, encoded([0])), lambda run: run.recommender.with_items(encoded([0]))):
        with pytest.raises(ValueError, match="has no vectors of items") as error:
            join(run_of("item-knn"))
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="does not embed an item by its own features alone"):
        join_new_items(run_of("content-knn"), encoded([0]), method="features")
