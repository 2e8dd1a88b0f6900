"""Settings of every model that suit the tiny data; a new model is one more row."""

import torch

from flatrec.models import MODELS

SETTINGS = {
    "bpr": {"dim": 8, "penalty": 0.01},
    "ngcf": {"dim": 8, "widths": (8, 7), "penalty": 0.01},
    "lightgcn": {"dim": 8, "layers": 2, "penalty": 0.01},
    "layergcn": {"dim": 8, "layers": 3, "penalty": 0.01, "thinning": 0.2},
    "vbpr": {"dim": 8, "penalty": 0.01},
    "mmgcn": {"dim": 8, "hidden": 16},
    "grcn": {"dim": 8, "modality_dim": 7},
    "dualgnn": {"dim": 8, "hidden": 16, "user_neighbors": 40},
    "lattice": {"dim": 8, "modality_dim": 7, "neighbors": 4, "penalty": 0.01, "penalty_rows": 64},
    "slmrec": {"dim": 8, "layers": 2},
    "bm3": {"dim": 16},  # without negatives it needs room, lest blocks fall together
    "freedom": {"dim": 8, "neighbors": 4, "thinning": 0.3, "modality_weight": 0.1},
    "dragon": {"dim": 8, "hidden": 16, "neighbors": 4, "user_neighbors": 40},
    "lgmrec": {"dim": 8, "dropout": 0.2},
}
MULTIMODAL = [name for name, one in MODELS.items() if one.MODALITIES != "none"]


def make(name, dataset, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS[name](dataset, **SETTINGS[name] | options)
