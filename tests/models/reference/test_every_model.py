"""No model and no variant of the stored numbers is left out."""

import importlib
import os
from pathlib import Path

import pytest

from flatrec.models import MODELS
from tests.models.reference.stored import FOLDER, files, variants
from tests.models.settings import KNOWN_ANSWER

OTHERS = {"test_every_model"}
STEMS = sorted({path.stem for path in Path(__file__).parent.glob("test_*.py")} - OTHERS)
ADAPTERS = {
    stem.removeprefix("test_").replace("_", "-"): importlib.import_module(f"{__package__}.{stem}").ADAPTER
    for stem in STEMS
}
PRESENT = any(files(name) for name in ADAPTERS)


def test_every_model_has_reference_numbers_or_a_known_answer():
    assert set(ADAPTERS) | KNOWN_ANSWER == set(MODELS)


@pytest.mark.skipif(not PRESENT, reason="no reference numbers")
def test_the_sets_have_every_model_and_no_variant_is_passed_over():
    for name, adapter in ADAPTERS.items():
        assert files(name), name
        for path in files(name):
            assert set(variants(path)) <= set(adapter.variants), path


def test_a_folder_that_was_named_holds_numbers():
    assert PRESENT or "FLATREC_REFERENCE" not in os.environ, f"no reference numbers in {FOLDER}"
