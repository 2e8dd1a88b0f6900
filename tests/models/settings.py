"""The row of every model in the tests: settings that suit the tiny data, and what the tests must know of it."""

import torch

from flatrec.models import MODELS

SETTINGS = {
    "bpr": {"embedding_dim": 8, "reg_weight": 0.01},
    "ngcf": {"embedding_dim": 8, "hidden_dims": (8, 7), "reg_weight": 0.01},
    "lightgcn": {"embedding_dim": 8, "n_layers": 2, "reg_weight": 0.01},
    "layergcn": {"embedding_dim": 8, "n_layers": 3, "reg_weight": 0.01, "edge_dropout": 0.2},
    "fourierkan-gcf": {"embedding_dim": 8, "grid_size": 3, "reg_weight": 0.01},
    "vbpr": {"embedding_dim": 8, "reg_weight": 0.01},
    "mmgcn": {"embedding_dim": 8, "hidden_dim": 16},
    "grcn": {"embedding_dim": 8, "modality_dim": 7},
    "dualgnn": {"embedding_dim": 8, "hidden_dim": 16, "n_user_neighbors": 40},
    "lattice": {"embedding_dim": 8, "modality_dim": 7, "n_neighbors": 4, "reg_weight": 0.01, "reg_rows": 64},
    "slmrec": {"embedding_dim": 8, "n_layers": 2},
    "bm3": {"embedding_dim": 16},  # without negatives it needs room, lest blocks fall together
    "freedom": {"embedding_dim": 8, "n_neighbors": 4, "edge_dropout": 0.3, "modality_weight": 0.1},
    "dragon": {"embedding_dim": 8, "hidden_dim": 16, "n_neighbors": 4, "n_user_neighbors": 40},
    "lgmrec": {"embedding_dim": 8, "dropout": 0.2},
    "mgcn": {"embedding_dim": 8, "n_neighbors": 4},
    "smore": {"embedding_dim": 8, "n_neighbors": 4, "preference_dropout": 0.1},
    "cohesion": {"embedding_dim": 8, "hidden_dim": 16, "n_neighbors": 4, "n_user_neighbors": 40},
    "mentor": {"embedding_dim": 8, "hidden_dim": 16, "n_neighbors": 4},
    "diffmm": {"embedding_dim": 8, "hidden_dims": (12, 9), "rebuilt_edge_dropout": 0.2, "denoiser_batch_size": 16},
    "llmrec": {"embedding_dim": 8, "prune_fraction": 0.3, "modality_weight": 0.3, "modality_bpr_weight": 0.1},
    "da-mrs": {"embedding_dim": 8, "n_neighbors": 4, "n_pseudo_labels": 4},
    "pgl": {"embedding_dim": 8, "n_neighbors": 4, "edge_dropout": 0.3},
    "aligngroup": {"embedding_dim": 8, "n_layers": 1},
}
GIVEN_AWAY = {  # features or graph give the answer away before training
    "diffmm",
    "dragon",
    "dualgnn",
    "grcn",
    "lgmrec",
    "llmrec",
    "mentor",
    "pgl",
}
# Models without public numbers, checked against dense algebra in test_variants.py, or with numbers for groups, compared
# in test_aligngroup.py.
KNOWN_ANSWER = {"bpr", "aligngroup"}
NEEDS_GROUPS = {"aligngroup"}
WITH_VECTORS = {"als", "pure-svd"}  # baselines whose scores are inner products
MULTIMODAL = [name for name, one in MODELS.items() if one.MODALITIES != "none"]
FEATURES_IN_GRAPHS = {"da-mrs"}  # models that read features when they are made, and then no more
READING = [name for name in MULTIMODAL if name not in FEATURES_IN_GRAPHS]


def make(name, dataset, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        kind = MODELS[name]
        return kind(dataset, kind.Config(**SETTINGS[name] | options))
