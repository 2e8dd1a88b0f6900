import sys

import pytest

from flatrec.utils.optional import require_extra


def test_an_installed_module_is_imported():
    assert require_extra("json.decoder", "llm") is sys.modules["json.decoder"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ImportError) as error:
        require_extra("openai", "llm")
    assert str(error.value) == "openai is not installed, but augment and adjust need it; pip install 'flatrec[llm]'"


def test_what_an_installed_package_lacks_is_not_blamed_on_the_package(tmp_path, monkeypatch):
    (tmp_path / "timm_of_a_test.py").write_text("import absent_dependency")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        require_extra("timm_of_a_test", "timm")
