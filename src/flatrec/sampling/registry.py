"""The table of negative samplings: one row per sampling, by the name that the command line knows."""

from __future__ import annotations

from flatrec.utils.lazy_registry import Entry

DRAWN, BATCH = "drawn", "of the batch"  # families: where negatives come from


def _row(target: str, about: str, reference: str = "", family: str = DRAWN) -> Entry:
    return Entry(f"flatrec.sampling.{target}", family, about, reference)


ENTRIES: dict[str, Entry] = {
    "uniform": _row("uniform:Uniform", "Every item that the user lacks alike."),
    "popularity": _row(
        "popularity:Popularity",
        "Items that the user lacks, by a power of their number of interactions.",
        "Mikolov et al., NeurIPS 2013, https://arxiv.org/abs/1310.4546",
    ),
    "in-batch": _row(
        "in_batch:InBatch",
        "The other positives of the batch.",
        "Yi et al., RecSys 2019, https://doi.org/10.1145/3298689.3346996",
        BATCH,
    ),
    "hardest": _row(
        "hardest:Hardest",
        "Of some uniform candidates, the one with the highest score.",
        "Zhang et al., SIGIR 2013, https://doi.org/10.1145/2484028.2484126",
    ),
}
