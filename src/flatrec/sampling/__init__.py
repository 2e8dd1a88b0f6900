"""Negative sampling: which items an interaction is compared with."""

from typing import TYPE_CHECKING

from flatrec.sampling.registry import ENTRIES
from flatrec.utils.lazy_registry import Registry

if TYPE_CHECKING:
    from flatrec.sampling.base import NegativeSampling

SAMPLINGS: "Registry[NegativeSampling]" = Registry(ENTRIES)
