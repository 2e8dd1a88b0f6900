"""The page docs/refresh.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flatrec.refresh import CheckSettings, CompareSettings, RefreshSettings, read_settings
from flatrec.refresh.export_settings import ExportSettings
from flatrec.refresh.log_settings import LogSettings

PAGE = (Path(__file__).parents[2] / "docs" / "refresh.md").read_text(encoding="utf-8")


def test_the_file_on_the_page_is_read(tmp_path):
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "shop.toml").write_text(block)
    (tmp_path / "experiment.toml").write_text("seed = 3\n")
    settings = read_settings(tmp_path / "shop.toml")
    assert (settings.train.model.name, settings.train.seed, len(settings.export)) == ("freedom", 3, 2)
    assert settings.check.max_age_days == 2


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("", RefreshSettings),
        ("check", CheckSettings),
        ("compare", CompareSettings),
        ("export", ExportSettings),
        ("events", LogSettings),
    ],  # fmt: skip
)
def test_the_page_lists_every_setting(group, kind):
    listed = set()
    for names in re.findall(r"^\| (`[\[.\w`, \].]*`) \|", PAGE, flags=re.MULTILINE):
        first, *others = re.findall(r"`\[?([\w.]+)\]?`", names)
        owner = first.partition(".")[0]
        listed |= {first, *(f"{owner}{name}" if name.startswith(".") else name for name in others)}
    for name in kind.model_fields:
        if (group, name) not in {("", "check"), ("", "compare"), ("", "export"), ("", "events")}:
            assert (f"{group}.{name}" if group else name) in listed
