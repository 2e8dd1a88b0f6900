"""RQ7: do the strategies go together with adversarial training and augmented texts?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flatrec.research.studies.base import Conclusion, Finished, Label, Planned, Request, Source, Study, Tree, grid
from flatrec.research.studies.one_factor import concluded

TEXTS = "augmentation"


class Partners(Study):
    """Adversarial noise on the features (AMR) and texts rewritten by a language model, alone and together.

    Args:
        texts: a ``.npy`` file of the text features of the rewritten texts, a row an item; without it, AMR alone is
            looked at.
        epsilon: length of AMR's noise.
    """

    TITLE = "Partners"
    QUESTION = "Does BSAM+ go together with AMR and with augmented texts (RQ7)?"
    STRATEGIES = ("plain", "plain+", "bsam+")

    def __init__(self, *, texts: str = "", epsilon: float = 0.1) -> None:
        self.texts, self.epsilon = texts, epsilon

    def plan(self, request: Request) -> list[Planned]:
        """The grid, once a set of partners.

        Raises:
            FileNotFoundError: there is no such file of texts.
            ValueError: several data sets, but one file of texts; or it does not fit.
        """
        if self.texts and len(request.data) > 1:
            raise ValueError("study.texts are those of one data set, but several were given; run the study once each")
        if self.texts:
            Source(request.data[0], texts=self.texts).load()  # before anything is trained
        amr: Tree = {"training": {"amr": {"epsilon": self.epsilon}}}
        changes: dict[Label, Tree] = {"none": {}, "amr": amr}
        if self.texts:
            changes |= {TEXTS: {}, f"amr+{TEXTS}": amr}
        return [self._with_texts(one) for one in grid(request, changes, "partners")]

    def analyze(self, request: Request, finished: Sequence[Finished]) -> Conclusion:  # noqa: ARG002
        """Scores by partners."""
        condition: dict[Label, str] = {"none": "", "amr": "amr", TEXTS: TEXTS, f"amr+{TEXTS}": f"amr+{TEXTS}"}
        found = concluded("partners", finished, title=self.TITLE, label="partners", condition=condition)
        missing = () if self.texts else ("Augmented texts were not looked at, as no study.texts were given.",)
        return replace(found, findings=(*found.findings, *missing))

    def _with_texts(self, planned: Planned) -> Planned:
        augmented = str(planned.labels["partners"]).endswith(TEXTS)
        return replace(planned, source=Source(planned.source.path, texts=self.texts)) if augmented else planned
