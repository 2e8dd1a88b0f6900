"""Templates of pages, and files inside pages."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from flatrec.research.reporting.formats import csv_text
from flatrec.research.reporting.study_result import Table
from flatrec.research.reporting.theme import themed
from flatrec.utils.optional import require_extra

if TYPE_CHECKING:
    from jinja2 import Environment


def template_environment() -> Environment:
    """Return the templates of pages, which escape all text.

    Raises:
        ModuleNotFoundError: jinja2 is not installed.
    """
    require_extra("jinja2", "plots")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("flatrec.research.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def data_uri(content: bytes, mime_type: str) -> str:
    """Return a file as a URI."""
    return f"data:{mime_type};base64,{b64encode(content).decode()}"


def image_uri(image: bytes) -> str:
    """Return a PNG or JPEG file as a URI."""
    return data_uri(image, "image/jpeg" if image.startswith(b"\xff\xd8") else "image/png")


def figure_uri(svg: bytes) -> str:
    """Return a figure as a URI, in the reader's color scheme."""
    text = themed(svg.decode("utf-8", "surrogateescape"))
    return data_uri(text.encode("utf-8", "surrogateescape"), "image/svg+xml")


def csv_uri(table: Table) -> str:
    """Return a table as a URI that browsers save as a file: numbers at full precision, and no script needed."""
    return data_uri(csv_text(table).encode(), "text/csv;charset=utf-8")
