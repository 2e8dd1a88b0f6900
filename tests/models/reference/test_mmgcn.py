"""MMGCN compared with stored numbers of its release."""

from flatrec.models import MMGCN
from tests.models.reference.checks import Checks
from tests.models.reference.stored import MODALITIES, Adapter, Place


def mmgcn_places(_):
    places = {"id_embedding": Place("nodes"), "v_gcn.MLP.weight": Place("maps.image.weight")}
    places["v_gcn.MLP.bias"] = Place("maps.image.bias")
    for number, letter in enumerate(MODALITIES):
        places[f"{letter}_gcn.preference"] = Place(f"preferences.{number}")
        for layer in range(3):
            ours = f"networks.{number}.{layer}"
            places[f"{letter}_gcn.conv_embed_{layer + 1}.weight"] = Place(f"{ours}.convolution")
            for part in ("weight", "bias"):
                places[f"{letter}_gcn.linear_layer{layer + 1}.{part}"] = Place(f"{ours}.own.{part}")
                places[f"{letter}_gcn.g_layer{layer + 1}.{part}"] = Place(f"{ours}.joined.{part}")
    return places


ADAPTER = Adapter(
    make=lambda dataset, there: MMGCN(
        dataset, MMGCN.Config(embedding_dim=there["embedding_size"], reg_weight=there["reg_weight"])
    ),
    places=mmgcn_places,
    terms={"ranking": "bpr", "squares/ids": "reg_id", "squares/preferences": "reg_preference_image"},
    representation=1e-6,
    score=1e-6,
    gradient=3e-4,
)


class TestMMGCN(Checks):
    adapter = ADAPTER
