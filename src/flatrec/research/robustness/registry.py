"""All kinds of disturbance, by name."""

from __future__ import annotations

from flatrec.research.robustness.adversarial import AdversarialFeatures
from flatrec.research.robustness.base import Disturbance
from flatrec.research.robustness.features import EditedFeatures, FeatureNoise, MissingFeatures, ShuffledFeatures
from flatrec.research.robustness.interactions import BandwagonShilling, FalseInteractions, RandomShilling
from flatrec.research.robustness.noise import ItemNoise, VectorNoise

DISTURBANCES: dict[str, Disturbance] = {
    kind.NAME: kind
    for kind in (
        ItemNoise(),
        VectorNoise(),
        FeatureNoise(),
        ShuffledFeatures(),
        MissingFeatures(),
        EditedFeatures(),
        AdversarialFeatures(),
        FalseInteractions(),
        RandomShilling(),
        BandwagonShilling(),
    )
}
