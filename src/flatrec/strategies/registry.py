"""The table of strategies: one row per strategy, by the name that the command line knows."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

# Families: strategies that end in a gradient, so that a "+" mixes them, and all others.
ONE_BATCH, OTHERS = "one batch", "others"

ENTRIES: dict[str, Entry] = {
    "plain": Entry(
        "flatrec.strategies.plain:Plain",
        ONE_BATCH,
        "Theta <- Theta - gamma grad L_B(Theta) under SGD (eq. 2 of the BSAM paper).",
    ),
    "sam": Entry(
        "flatrec.strategies.sam:SAM",
        ONE_BATCH,
        "Sharpness-aware minimization (Foret et al., ICLR 2021, https://arxiv.org/abs/2010.01412).",
    ),
    "asam": Entry(
        "flatrec.strategies.asam:ASAM",
        ONE_BATCH,
        "Adaptive SAM (Kwon et al., ICML 2021, https://arxiv.org/abs/2102.11600).",
    ),
    "fishersam": Entry(
        "flatrec.strategies.fisher_sam:FisherSAM",
        ONE_BATCH,
        "Fisher SAM (Kim et al., ICML 2022, https://arxiv.org/abs/2206.04920).",
    ),
    "friendlysam": Entry(
        "flatrec.strategies.friendly_sam:FriendlySAM",
        ONE_BATCH,
        "Friendly SAM (Li et al., CVPR 2024, https://arxiv.org/abs/2403.12350); not Fisher SAM.",
    ),
    "bsam": Entry(
        "flatrec.strategies.bsam:BSAM",
        ONE_BATCH,
        "Batch-focused SAM (Xu et al., TKDE 2025, https://doi.org/10.1109/TKDE.2025.3604242); not Bayesian SAM.",
    ),
    "vasso": Entry(
        "flatrec.strategies.contrib.vasso:VaSSO",
        ONE_BATCH,
        "Variance-suppressed sharpness-aware optimization (Li & Giannakis, NeurIPS 2023, https://arxiv.org/abs/2309.15639).",
    ),
    "gsam": Entry(
        "flatrec.strategies.gsam:GSAM",
        ONE_BATCH,
        "Surrogate-gap guided SAM (Zhuang et al., ICLR 2022, https://arxiv.org/abs/2203.08065).",
    ),
    "gnp": Entry(
        "flatrec.strategies.contrib.gradient_norm_penalty:GradientNormPenalty",
        ONE_BATCH,
        "Penalizing the gradient norm (Zhao et al., ICML 2022, https://arxiv.org/abs/2202.03599).",
    ),
    "looksam": Entry(
        "flatrec.strategies.look_sam:LookSAM",
        ONE_BATCH,
        "LookSAM (Liu et al., CVPR 2022, https://arxiv.org/abs/2203.02714).",
    ),
    "ssam": Entry(
        "flatrec.strategies.contrib.sparse_sam:SSAM",
        ONE_BATCH,
        "Sparse SAM (Mi et al., NeurIPS 2022, https://arxiv.org/abs/2210.05177).",
    ),
    "esam": Entry(
        "flatrec.strategies.contrib.efficient_sam:ESAM",
        ONE_BATCH,
        "Efficient SAM (Du et al., ICLR 2022, https://arxiv.org/abs/2110.03141): its stochastic weight perturbation.",
    ),
    "mg": Entry(
        "flatrec.strategies.mirror_gradient:MirrorGradient",
        OTHERS,
        "Mirror Gradient (Zhong et al., WWW 2024, https://arxiv.org/abs/2402.11262).",
    ),
}
