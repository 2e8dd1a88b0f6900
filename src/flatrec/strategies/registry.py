"""The table of strategies: one row per strategy, by the name that the command line knows."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

# Families: strategies that end in a gradient, so that a "+" mixes them; those of them that need the users and items of
# a batch, and so training.perturb_target=embeddings; and all others.
ONE_BATCH, EMBEDDINGS, OTHERS = "one batch", "embeddings", "others"


def _row(target: str, about: str, family: str = ONE_BATCH) -> Entry:
    return Entry(f"flatrec.strategies.{target}", family, about)


ENTRIES: dict[str, Entry] = {
    "plain": _row("plain:Plain", "Theta <- Theta - gamma grad L_B(Theta) under SGD (eq. 2 of the BSAM paper)."),
    "sam": _row("sam:SAM", "Sharpness-aware minimization (Foret et al., ICLR 2021, https://arxiv.org/abs/2010.01412)."),
    "asam": _row("asam:ASAM", "Adaptive SAM (Kwon et al., ICML 2021, https://arxiv.org/abs/2102.11600)."),
    "fishersam": _row("fisher_sam:FisherSAM", "Fisher SAM (Kim et al., ICML 2022, https://arxiv.org/abs/2206.04920)."),
    "friendlysam": _row(
        "friendly_sam:FriendlySAM",
        "Friendly SAM (Li et al., CVPR 2024, https://arxiv.org/abs/2403.12350); not Fisher SAM.",
    ),
    "bsam": _row(
        "bsam:BSAM",
        "Batch-focused SAM (Xu et al., TKDE 2025, https://doi.org/10.1109/TKDE.2025.3604242); not Bayesian SAM.",
    ),
    "vasso": _row(
        "contrib.vasso:VaSSO",
        "Variance-suppressed sharpness-aware optimization (Li & Giannakis, NeurIPS 2023, https://arxiv.org/abs/2309.15639).",
    ),
    "gsam": _row("gsam:GSAM", "Surrogate-gap guided SAM (Zhuang et al., ICLR 2022, https://arxiv.org/abs/2203.08065)."),
    "gnp": _row(
        "contrib.gradient_norm_penalty:GradientNormPenalty",
        "Penalizing the gradient norm (Zhao et al., ICML 2022, https://arxiv.org/abs/2202.03599).",
    ),
    "looksam": _row("look_sam:LookSAM", "LookSAM (Liu et al., CVPR 2022, https://arxiv.org/abs/2203.02714)."),
    "ssam": _row("contrib.sparse_sam:SSAM", "Sparse SAM (Mi et al., NeurIPS 2022, https://arxiv.org/abs/2210.05177)."),
    "esam": _row(
        "contrib.efficient_sam:ESAM",
        "Efficient SAM (Du et al., ICLR 2022, https://arxiv.org/abs/2110.03141): its stochastic weight perturbation.",
    ),
    "helen": _row("contrib.helen:Helen", "Helen (Zhu et al., WWW 2024, https://arxiv.org/abs/2403.00798).", EMBEDDINGS),
    "pamacf": _row(
        "contrib.pamacf:PamaCF",
        "Personalized magnitude adversarial collaborative filtering (Zhang et al., NeurIPS 2024, https://arxiv.org/abs/2410.22844).",
        EMBEDDINGS,
    ),
    "sharpcf": _row(
        "contrib.sharpcf:SharpCF",
        "Sharpness-aware collaborative filtering (Chen et al., RecSys 2023, https://arxiv.org/abs/2308.13541).",
        EMBEDDINGS,
    ),
    "saf": _row(
        "contrib.saf:SAF",
        "Sharpness-aware training for free (Du et al., NeurIPS 2022, https://arxiv.org/abs/2205.14083).",
        EMBEDDINGS,
    ),
    "mesa": _row(
        "contrib.saf:MESA",
        "Memory-efficient sharpness-aware training (Du et al., NeurIPS 2022, https://arxiv.org/abs/2205.14083).",
        EMBEDDINGS,
    ),
    "mg": _row(
        "mirror_gradient:MirrorGradient",
        "Mirror Gradient (Zhong et al., WWW 2024, https://arxiv.org/abs/2402.11262).",
        OTHERS,
    ),
}
