"""The table of ranking losses: one row per loss, by the name that the command line knows."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

NEGATIVES, NONE = "negatives", "no negatives"  # families: what a loss reads besides interactions


def _row(target: str, about: str, reference: str, family: str = NEGATIVES) -> Entry:
    return Entry(f"flatrec.losses.{target}", family, about, reference)


ENTRIES: dict[str, Entry] = {
    "bpr": _row(
        "bpr:BPRLoss",
        "Bayesian personalized ranking: each interaction above each of its negatives.",
        "Rendle et al., UAI 2009, https://arxiv.org/abs/1205.2618",
    ),
    "bce": _row(
        "bce:BCELoss",
        "Binary cross-entropy: each interaction a yes, each negative a no.",
        "He et al., WWW 2017, https://arxiv.org/abs/1708.05031",
    ),
    "softmax": _row(
        "softmax:SoftmaxLoss",
        "Sampled softmax with temperature and correction for how often items are drawn.",
        "Wu et al., ACM TOIS 2024, https://arxiv.org/abs/2201.02327",
    ),
    "ccl": _row(
        "cosine_contrastive:CosineContrastiveLoss",
        "Cosine contrastive loss of SimpleX: positives near, negatives below a margin.",
        "Mao et al., CIKM 2021, https://arxiv.org/abs/2109.12613",
    ),
    "directau": _row(
        "direct_au:DirectAULoss",
        "Alignment of interactions and uniformity of users and of items.",
        "Wang et al., KDD 2022, https://arxiv.org/abs/2206.12811",
        NONE,
    ),
}
