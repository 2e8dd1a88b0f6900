"""VBPR compared with stored numbers of its release."""

import numpy as np

from flatrec.models import VBPR
from tests.models.reference.checks import Checks
from tests.models.reference.stored import Adapter, Place


def vbpr_places(case):
    """Features stand text first there, and by name here."""
    texts = case.there["feat/text"].shape[1]
    for name in [one for one in case.there if one.endswith("item_linear.weight")]:
        case.there[name] = np.roll(case.there[name], -texts, axis=1)
    return {
        "u_embedding": Place("users"),
        "i_embedding": Place("items"),
        "item_linear.weight": Place("projection.weight"),
        "item_linear.bias": Place("projection.bias"),
    }


ADAPTER = Adapter(
    make=lambda dataset, there: VBPR(
        dataset, VBPR.Config(embedding_dim=there["embedding_size"], reg_weight=there["reg_weight"])
    ),
    places=vbpr_places,
    terms={"ranking": "bpr", "norms": "reg"},
)


class TestVBPR(Checks):
    adapter = ADAPTER
