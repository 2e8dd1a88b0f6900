"""SLMRec compared with stored numbers of its release."""

from flatrec.models import SLMRec
from tests.models.reference.checks import Checks
from tests.models.reference.shared import halves, norm_adj
from tests.models.reference.stored import Adapter, Place


def slmrec_places(case):
    names = {
        "v_dense": "maps.0",
        "t_dense": "maps.1",
        "embedding_item_after_GCN": "fuse_items",
        "embedding_user_after_GCN": "fuse_users",
        "g_i_iv": "anchors.0",
        "g_v_iv": "partners.0",
        "g_iv_iva": "bridge",
        "g_iva_ivat": "anchors.1",
        "g_t_ivat": "partners.1",
    }
    maps = {
        f"{theirs}.{part}": Place(f"{ours}.{part}") for theirs, ours in names.items() for part in ("weight", "bias")
    }
    return {**halves("nodes", "embedding_user.weight", "embedding_item.weight")(case), **maps}


ADAPTER = Adapter(
    make=lambda dataset, there: SLMRec(
        dataset,
        SLMRec.Config(
            embedding_dim=there["recdim"],
            n_layers=there["layer_num"],
            temperature=there["temp"],
            alignment_temperature=there["ssl_temp"],
            alignment_weight=there["ssl_alpha"],
        ),
    ),
    places=slmrec_places,
    terms={"main": "main_infonce", "alignment/image": "fac_image", "alignment/text": "fac_text"},
    graphs=norm_adj,
)


class TestSLMRec(Checks):
    adapter = ADAPTER
