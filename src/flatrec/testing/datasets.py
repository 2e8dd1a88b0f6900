"""Tiny data with a known answer, and the same data in other memory, under other indices, with more or less in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.features import Features
from flatrec.data.groups import Groups
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.sampling.sampler import Sampler
from flatrec.utils import seeding


def block_dataset(
    *, blocks: int = 3, users: int = 10, items: int = 8, modalities: Sequence[str] = ("image", "text"), seed: int = 0
) -> Dataset:
    """Groups of users who each buy within their own block of items, so that the right recommendation is obvious.

    ``users`` and ``items`` are the numbers per block. User q of a block has item q of it (modulo ``items``) in
    validation, the next one in test and all others of the block in training: the two held out are all that is left of
    the block. Features are the block's unit vector plus noise, which ``seed`` decides; every modality has a width of
    its own. In blocks of three users or more, the last user, or the last two of five or more, are groups of the others.

    Raises:
        ValueError: a size is too small.
    """
    if blocks < 1 or users < 1 or items < 3:
        raise ValueError(f"a block needs a user and three items, but got {blocks} blocks of {users} and {items}")
    block, user, item = (column.ravel() for column in np.indices((blocks, users, items)))
    parts = np.select([item == user % items, item == (user + 1) % items], [1, 2], 0)
    noise = np.random.default_rng(seed)
    owner = np.repeat(np.arange(blocks), items)
    features = {}
    for number, name in enumerate(modalities, start=1):
        values = np.eye(blocks, blocks + number)[owner] + 0.1 * noise.standard_normal((len(owner), blocks + number))
        features[name] = Features(values.astype(np.float32), np.ones(len(owner), dtype=np.bool_))
    sizes = {"user": blocks * users, "item": blocks * items}
    columns = ((block * users + user).astype(np.int32), (block * items + item).astype(np.int32), parts.astype(np.int8))
    user_ids, item_ids = (Vocabulary(kind, [f"{kind} {n}" for n in range(size)]) for kind, size in sizes.items())
    interactions = Interactions(*columns, sizes["user"], sizes["item"])
    return Dataset("blocks", interactions, user_ids, item_ids, features, groups=_block_groups(blocks, users))


def _block_groups(blocks: int, users: int) -> Groups | None:
    """The last users of each block, at most two, as groups; each lacks one of the block's persons as a member."""
    n_groups = min(2, (users - 1) // 2)
    if not n_groups:
        return None
    n_persons = users - n_groups
    block, group, person = (column.ravel() for column in np.indices((blocks, n_groups, n_persons)))
    member = person != group
    starts = block * users
    return Groups((starts + n_persons + group)[member], (starts + person)[member], blocks * users)


def tiny_dataset() -> Dataset:
    """The data that models are checked on: 33 users and 27 items with images and texts.

    Neither number is a common width of a layer, so that transposed or mixed-up sizes do not pass for right.
    """
    return block_dataset(users=11, items=9)


def unshared(dataset: Dataset) -> Dataset:
    """The same data set in memory of its own."""
    features = {name: Features(one.values, one.present) for name, one in dataset.features.items()}
    said = dataset.augmentation and dataset.augmentation.reindexed(
        np.arange(dataset.n_users), np.arange(dataset.n_items)
    )
    return replace(dataset, interactions=replace(dataset.interactions), features=features, augmentation=said)


def restricted(dataset: Dataset, selected: Bool[ndarray, "n_interactions"]) -> Dataset:
    """The same users, items and features with only some of the interactions."""
    return dataset.with_interactions(dataset.interactions.take(selected))


def permuted(dataset: Dataset, users: Int[ndarray, "n_users"], items: Int[ndarray, "n_items"]) -> Dataset:
    """The same data set under other indices, given the former index of each; titles and images are left out."""
    old = dataset.interactions
    new = [np.argsort(order)[column] for order, column in ((users, old.users), (items, old.items))]
    return replace(
        dataset,
        interactions=replace(old, users=new[0].astype(np.int32), items=new[1].astype(np.int32)),
        users=Vocabulary("user", [dataset.users[number] for number in users.tolist()]),
        items=Vocabulary("item", [dataset.items[number] for number in items.tolist()]),
        groups=None if dataset.groups is None else _renumbered(dataset.groups, np.argsort(users)),
        features={name: Features(one.values[items], one.present[items]) for name, one in dataset.features.items()},
        titles=None,
        images=None,
        item_columns=None,
        log=None,
        released_negatives=None,
        augmentation=dataset.augmentation and dataset.augmentation.reindexed(users, items),
    )


def _renumbered(groups: Groups, index_of: Int[ndarray, "n_users"]) -> Groups:
    return Groups(index_of[groups.groups], index_of[groups.persons], groups.n_users)


def enlarged(dataset: Dataset, *, users: int = 0, items: int = 0) -> Dataset:
    """The data set with copies of its first users or items, interactions and features included, behind the others.

    Titles and images are left out.
    """
    old = dataset.interactions
    columns = [old.users, old.items, old.splits, *([] if old.weights is None else [old.weights])]
    for place, (copies, size) in enumerate([(users, old.n_users), (items, old.n_items)]):
        extra = [column[columns[place] < copies] for column in columns]
        extra[place] = extra[place] + size
        columns = [np.concatenate(both) for both in zip(columns, extra, strict=True)]
    rows = np.concatenate([np.arange(old.n_items), np.arange(items)])
    groups = None if dataset.groups is None else replace(dataset.groups, n_users=old.n_users + users)
    return replace(
        dataset,
        interactions=Interactions(
            columns[0],
            columns[1],
            columns[2],
            old.n_users + users,
            old.n_items + items,
            weights=None if old.weights is None else columns[3],
        ),
        log=None,
        groups=groups,
        users=Vocabulary("user", [*dataset.users, *(f"copy {number} of a user" for number in range(users))]),
        items=Vocabulary("item", [*dataset.items, *(f"copy {number} of an item" for number in range(items))]),
        features={name: Features(one.values[rows], one.present[rows]) for name, one in dataset.features.items()},
        titles=None,
        images=None,
        item_columns=None,
        augmentation=dataset.augmentation
        and dataset.augmentation.reindexed(np.concatenate([np.arange(old.n_users), np.arange(users)]), rows),
    )


def whole_batch(dataset: Dataset, seed: int = 0) -> Batch:
    """All training interactions in one batch."""
    sampler = Sampler(dataset.interactions, dataset.interactions.count("train"))
    ((batch,),) = sampler.epoch(seeding.generator(seed, "batches"))
    return batch
