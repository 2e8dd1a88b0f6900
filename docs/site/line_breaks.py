"""Places where long names in the text may break, so that tables fit narrow pages."""

from __future__ import annotations

import re

_NAME = re.compile(r"<code>([^<\s]{12,})</code>")
_AFTER = re.compile(r"(?<=[\w\])])([._/=]+|,)(?=[\w\[(\"])")


def with_line_breaks(page: str) -> str:
    """A page whose long names in code may break after a dot, an underscore, a slash, an equals sign or a comma."""
    return _NAME.sub(lambda found: "<code>" + _AFTER.sub(r"\1<wbr>", found[1]) + "</code>", page)
