"""Who buys what: the tastes of users, for attributes and for what no attribute shows, and their purchases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int
from numpy import ndarray

from flatrec.data.shop.catalog import ATTRIBUTES, Catalog

MINIMUM = 5  # minimum purchases per user, as in the 5-core benchmarks
CHUNK = 4_000_000  # utilities held at a time: 16 MB


class Taste(NamedTuple):
    """The taste of users for one attribute."""

    liked: float  # mean number of values that a segment likes
    strength: float  # mean increase of the utility by a liked value


TASTES = {  # about equally strong, so that no attribute is learned long before the others
    "kind": Taste(2.5, 2.4),
    "color": Taste(2.5, 2.2),
    "material": Taste(2.0, 1.8),
    "pattern": Taste(1.5, 1.4),
    "price_band": Taste(1.0, 0.4),
    "brand": Taste(1.5, 2.0),
}


class Purchases(NamedTuple):
    """Distinct purchases by index, ordered by user."""

    users: Int[ndarray, "n_interactions"]
    items: Int[ndarray, "n_interactions"]


@dataclass(frozen=True, kw_only=True)
class Market:
    """How purchases arise; with the defaults, features say more than so few purchases can."""

    conformity: float = 0.25  # probability that a user has the segment's taste for an attribute, not a personal one
    zipf: float = 0.25  # exponent of the popularity of items by rank
    latent: float = 0.5  # standard deviation of the utility that no attribute explains
    latent_dim: int = 12  # rank of that unexplained utility
    shared: float = 0.7  # fraction of that unexplained utility which a user has in common with the segment
    spread: float = 1.0  # standard deviation of the logarithm of the eagerness to buy


class Utility(NamedTuple):
    """The utility of every item for every user, ``users @ items + popularity``."""

    users: Float32[ndarray, "n_users rank"]
    items: Float32[ndarray, "rank n_items"]
    popularity: Float32[ndarray, "n_items"]


def draw_purchases(
    catalog: Catalog, n_users: int, n_interactions: int, *, market: Market, rng: np.random.Generator
) -> Purchases:
    """Draw ``n_interactions`` distinct purchases; at least five per user.

    Each user draws without replacement from the softmax of the utility (Gumbel top-k).
    Cost: O(n_users * n_items) time, 16 MB of utilities at a time.
    """
    utility = _utility(catalog, n_users, market, rng)
    counts = _counts(n_users, n_interactions, cap=len(catalog) // 2, spread=market.spread, rng=rng)
    rows = max(1, CHUNK // len(catalog))
    chosen = [_chosen(utility, counts, slice(start, start + rows), rng) for start in range(0, n_users, rows)]
    return Purchases(np.repeat(np.arange(n_users), counts), np.concatenate(chosen))


def _utility(catalog: Catalog, n_users: int, market: Market, rng: np.random.Generator) -> Utility:
    n_segments = max(6, round(n_users**0.5 / 3))
    segments = rng.integers(n_segments, size=n_users)
    conform = rng.random((len(TASTES), n_users)) < market.conformity
    users, items = [], []
    for (attribute, taste), conforming in zip(TASTES.items(), conform, strict=True):
        common = _tastes(taste, (n_segments, len(ATTRIBUTES[attribute])), rng)[segments]
        own = _tastes(taste, common.shape, rng)
        users.append(np.where(conforming[:, None], common, own))
        items.append(catalog.one_hot(attribute).T)
    centers = rng.normal(size=(n_segments, market.latent_dim))
    own = rng.normal(size=(n_users, market.latent_dim))
    latent = np.sqrt(market.shared) * centers[segments] + np.sqrt(1 - market.shared) * own
    users.append(latent * market.latent / np.sqrt(market.latent_dim))
    items.append(rng.normal(size=(market.latent_dim, len(catalog))))
    ranks = 1 + rng.permutation(len(catalog))
    popularity = -market.zipf * np.log(ranks)
    return Utility(*(part.astype(np.float32) for part in (np.hstack(users), np.vstack(items), popularity)))


def _tastes(taste: Taste, shape: tuple[int, ...], rng: np.random.Generator) -> Float64[ndarray, "n n_values"]:
    """Draw sparse preferences for the values of one attribute, each with its own strength."""
    liked = rng.random(shape) < taste.liked / shape[1]
    return liked * rng.gamma(4.0, taste.strength / 4.0, size=shape)


def _counts(
    n_users: int, n_interactions: int, *, cap: int, spread: float, rng: np.random.Generator
) -> Int[ndarray, "n_users"]:
    """Draw the number of purchases per user: heavy-tailed, between the minimum and ``cap``, of the given sum."""
    eagerness = rng.lognormal(sigma=spread, size=n_users)
    counts = np.full(n_users, MINIMUM)
    while missing := n_interactions - counts.sum():
        open_ = eagerness * (counts < cap)
        counts = np.minimum(counts + rng.multinomial(missing, open_ / open_.sum()), cap)
    return counts


def _chosen(
    utility: Utility, counts: Int[ndarray, "n_users"], chunk: slice, rng: np.random.Generator
) -> Int[ndarray, "n_chosen"]:
    """Return the items that the users of a chunk buy.

    The largest of ``utility + Gumbel`` are the smallest of ``log(Exponential) - utility``.
    """
    users = utility.users[chunk]
    keys = rng.standard_exponential((len(users), len(utility.popularity)), dtype=np.float32)
    np.log(np.maximum(keys, np.finfo(np.float32).tiny, out=keys), out=keys)
    keys -= users @ utility.items
    keys -= utility.popularity
    most = int(counts[chunk].max())
    nearest = np.argpartition(keys, most - 1, axis=1)[:, :most]
    order = np.argsort(np.take_along_axis(keys, nearest, axis=1), axis=1)
    ranked = np.take_along_axis(nearest, order, axis=1)
    chosen: ndarray = ranked[np.arange(most) < counts[chunk, None]]
    return chosen
