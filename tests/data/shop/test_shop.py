import subprocess
import sys
import time

import numpy as np
import pytest

from flatrec.data.shop import Shop, ShopSettings, generate
from flatrec.data.shop.settings import SIZES
from flatrec.data.shop.timeline import END, START

SMALL = {"users": 60, "items": 40}


@pytest.mark.parametrize("images", [True, False])
def test_equal_settings_give_equal_bits(images):
    one, other = (generate(ShopSettings(**SMALL, seed=5, images=images)) for _ in range(2))
    assert one.dataset.fingerprint == other.dataset.fingerprint
    assert one.catalog.equals(other.catalog)
    assert one.images == other.images


def test_another_process_gives_the_same_bits(drawn):
    code = (
        "from flatrec.data.shop import ShopSettings, generate;"
        "print(generate(ShopSettings(users=300, items=240, seed=3)).dataset.fingerprint)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == drawn.dataset.fingerprint


def test_another_seed_gives_another_shop():
    one, other = (generate(ShopSettings(**SMALL, seed=seed, images=False)) for seed in (0, 1))
    assert one.dataset.fingerprint != other.dataset.fingerprint
    assert not one.catalog.equals(other.catalog)


@pytest.mark.parametrize("interactions", [300, 301, 777, 60 * 20])
def test_the_number_of_interactions_is_exact_down_to_the_fewest_and_up_to_the_most(interactions):
    shop = generate(ShopSettings(**SMALL, interactions=interactions, images=False))
    assert len(shop.dataset.interactions) == interactions


def test_sizes_and_widths_are_those_asked_for(drawn, undrawn):
    for shop, widths in ((drawn, {"image": 64, "text": 64}), (undrawn, {"image": 300, "text": 20})):
        assert (shop.dataset.n_users, shop.dataset.n_items) == (300, 240)
        assert len(shop.dataset.interactions) == 2700
        assert {name: one.width for name, one in shop.dataset.features.items()} == widths
        assert len(shop.catalog) == 240


def test_every_user_buys_five_or_more_and_has_all_three_parts(drawn):
    interactions = drawn.dataset.interactions
    assert np.bincount(interactions.users, minlength=300).min() >= 5
    for part in ("train", "valid", "test"):
        assert np.bincount(interactions.indices(part)[0], minlength=300).min() >= 1
    assert 0.68 < interactions.count("train") / len(interactions) < 0.82


def test_some_users_and_items_are_far_busier_than_others(drawn):
    interactions = drawn.dataset.interactions
    for numbers, size in ((interactions.users, 300), (interactions.items, 240)):
        counts = np.bincount(numbers, minlength=size)
        assert counts.max() > 3 * np.median(counts)


def test_purchases_are_dated_within_two_years_after_the_launch_of_the_item(drawn):
    interactions = drawn.dataset.interactions
    assert interactions.timestamps.dtype == np.int64
    assert START < interactions.timestamps.min() < interactions.timestamps.max() < END
    launched = drawn.catalog["launched"].dt.epoch("s").to_numpy()
    assert (interactions.timestamps > launched[interactions.items]).all()


def test_images_and_widths_of_features_change_no_date_and_no_event(drawn, undrawn):
    assert np.array_equal(drawn.dataset.interactions.timestamps, undrawn.dataset.interactions.timestamps)
    assert drawn.catalog.equals(undrawn.catalog)
    assert drawn.events.equals(undrawn.events)


def test_ids_and_titles_are_readable(drawn):
    data, first = drawn.dataset, drawn.catalog.row(0, named=True)
    assert (data.users[7], data.items[42]) == ("user-00007", "item-00042")
    assert first["id"] == data.items[0]
    assert data.titles is not None
    assert first["title"] == data.titles[0]
    assert first["title"].endswith(f"{first['kind']} by {first['brand']}")
    assert first["title"].lower().startswith(first["color"])


def test_users_return_to_what_they_like(drawn: Shop):
    interactions = drawn.dataset.interactions
    kinds = drawn.catalog["kind"].to_numpy()[interactions.items]
    same = interactions.users[:-1] == interactions.users[1:]
    alike = (kinds[:-1] == kinds[1:])[same].mean()
    chance = ((np.unique(kinds, return_counts=True)[1] / len(kinds)) ** 2).sum()
    assert alike > 1.5 * chance


@pytest.mark.parametrize("name", SIZES)
def test_like_promises_the_size_of_the_benchmark(name):
    settings = ShopSettings.like(name)
    assert (settings.users, settings.items, settings.n_interactions) == SIZES[name]


def test_a_shop_like_baby_is_exactly_as_large_and_its_log_takes_seconds():
    shop = generate(ShopSettings.like("baby", image_dim=8, text_dim=4))
    data = shop.dataset
    assert (data.n_users, data.n_items, len(data.interactions)) == (19_445, 7_050, 160_792)
    assert (data.features["image"].width, data.features["text"].width) == (8, 4)
    assert data.name == "shop-like-baby"
    start = time.process_time()
    assert 5 * 160_792 < len(shop.events) < 10 * 160_792
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"users": 1}, "users must be at least 2, but is 1"),
        ({"items": 19}, "items must be at least 20, but is 19"),
        ({"seed": -1}, "seed must be at least 0, but is -1"),
        ({"image_dim": 0}, "image_dim must be at least 1, but is 0"),
        ({"text_dim": -3}, "text_dim must be at least 1, but is -3"),
        ({"users": 10, "interactions": 49}, r"interactions must lie in \[50, 4000\] .* but is 49"),
        ({"users": 10, "interactions": 4001}, r"interactions must lie in \[50, 4000\] .* but is 4001"),
        ({"name": "a/b"}, "name must be usable as a file name, but is 'a/b'"),
        ({"name": ""}, "name must be usable as a file name, but is ''"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ShopSettings(**changes)


def test_an_unknown_benchmark_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="one of baby, sports, clothing, but is 'toys'"):
        ShopSettings.like("toys")
