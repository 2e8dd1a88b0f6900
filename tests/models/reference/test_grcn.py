"""GRCN compared with stored numbers of its release."""

from flatrec.models import GRCN
from tests.models.reference.checks import Checks
from tests.models.reference.shared import numbered
from tests.models.reference.stored import Adapter, Place

ADAPTER = Adapter(
    make=lambda dataset, there: GRCN(
        dataset,
        GRCN.Config(
            embedding_dim=there["embedding_size"],
            modality_dim=there["latent_embedding"],
            reg_weight=there["reg_weight"],
        ),
    ),
    places=lambda _: {
        "id_gcn.id_embedding": Place("nodes"),
        "model_specific_conf": Place("confidence"),
        **numbered("{letter}_gcn.preference", "preferences.{number}", parts=("",)),
        **numbered("{letter}_gcn.MLP", "projections.{number}"),
    },
    terms={
        "ranking": "bpr",
        "squares/ids": "reg_id",
        "squares/preferences": "reg_preference_image_all",
        "squares/preference_image": "reg_preference_image_batch",
        "squares/preference_text": "reg_preference_text_batch",
    },
    score=2e-5,
)


class TestGRCN(Checks):
    adapter = ADAPTER
