"""Studies as one self-contained HTML page, or their tables alone as Markdown or LaTeX."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path

from flatrec.research.reporting.best import NUMBER, best_cells
from flatrec.research.reporting.cards import card_table, cards, summary
from flatrec.research.reporting.formats import MINUS, cell_text, label_name, latex, markdown, p_value, percent
from flatrec.research.reporting.html import csv_uri, figure_uri, image_uri, template_environment
from flatrec.research.reporting.study_result import (
    CardColumn,
    Column,
    Failure,
    Image,
    StudyResult,
    Table,
    Value,
    read_study_result,
)
from flatrec.research.reporting.styles import style_of
from flatrec.utils.atomic_write import write_text
from flatrec.utils.messages import unknown
from flatrec.utils.optional import require_extra

TITLE = "flatrec: studies"
ENDINGS = {"html": "html", "md": "md", "latex": "tex"}  # of the file of each format
FIGURES = "figures"
MAX_SVG_BYTES = 1_000_000  # a figure whose SVG is larger is shown as PNG
FAILED = Table("failed", "Runs that failed", (Column("run"), Column("error")), ())
MAX_OPEN_ROWS = 40  # a table with more rows is folded away


def write_report(folders: Sequence[Path], out: Path | None = None, format: str = "html") -> Path:
    """Write one report of several studies or sweeps, and return its path.

    Args:
        folders: folders of studies or sweeps.
        out: file to write; by default ``report.html``, ``report.md`` or ``report.tex``.
        format: ``html`` for a page that loads nothing; ``md`` or ``latex`` for the tables alone.

    Raises:
        FileNotFoundError: a folder holds no study, or not the figures that it names.
        IsADirectoryError: ``out`` is a folder.
        ModuleNotFoundError: jinja2, which pages need, is not installed.
        ValueError: the format is unknown, a study is damaged or given twice, or two studies have different data of the
            same name.
    """
    ending = ENDINGS.get(format, format)
    path = out or Path(f"report.{ending}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file, such as {path / f'report.{ending}'}")
    write_text(path, report_text(folders, format))
    return path


def report_text(folders: Sequence[Path], format: str = "html") -> str:
    """Return what :func:`write_report` writes.

    Raises:
        FileNotFoundError: a folder holds no study, or not the figures that it names.
        ModuleNotFoundError: jinja2, which pages need, is not installed.
        ValueError: the format is unknown, a study is damaged or given twice, or two studies have different data of the
            same name.
    """
    if format not in ENDINGS:
        raise ValueError(unknown("format", format, list(ENDINGS)))
    if format == "html":
        require_extra("jinja2", "plots")  # before anything is read
    chapters = load(folders, figures=format == "html")
    return {"html": html, "md": markdown_text, "latex": latex_text}[format](chapters)


@dataclass(frozen=True)
class Chapter:
    """A study as a report shows it.

    Args:
        folder: folder of the study, for messages and to tell studies of the same title apart.
        result: result of the study.
        figures: data URIs of its images, by their names.
    """

    folder: Path
    result: StudyResult
    figures: Mapping[str, str] = field(default_factory=dict)


def load(folders: Sequence[Path], *, figures: bool = True) -> list[Chapter]:
    """Read the studies in some folders, and their figures if wanted.

    Raises:
        FileNotFoundError: a folder holds no study, or not the figures that it names.
        ValueError: a study is damaged, a folder is given twice, or two studies have different data of the same name.
    """
    chapters: list[Chapter] = []
    for folder in folders:
        if folder.resolve() in {chapter.folder.resolve() for chapter in chapters}:
            raise ValueError(f"{folder} is given twice; give each study once")
        result = read_study_result(folder)
        drawn = {image.name: _figure(folder, image) for image in result.images} if figures else {}
        chapters.append(Chapter(folder, result, drawn))
    _fingerprints(chapters)
    return chapters


def html(chapters: Sequence[Chapter], title: str = TITLE) -> str:
    """Return the page: styles, script and figures inside, nothing loaded from anywhere.

    Raises:
        ValueError: two studies have different data of the same name, or a study has two values for the same strategy.
    """
    environment = template_environment()
    environment.filters |= {
        "best": best_cells,
        "cell": cell_text,
        "csv": csv_uri,
        "color": lambda name: style_of(name).color,
        "digest": _digest,
        "label": label_name,
        "p_value": p_value,
        "sort_value": sort_value,
        "summary": summary,
        "table_of_card": card_table,
        "table_of_failures": _failures,
        "written": _written,
    }
    environment.tests |= {"folded": _folded, "paper": _paper, "wide": _wide}
    names = _names(chapters)
    return environment.get_template("studies.html.j2").render(
        title=title,
        chapters=chapters,
        names=names,
        files=_file_names(chapters, names),
        fingerprints=_fingerprints(chapters),
        cards=cards([chapter.result for chapter in chapters]),
    )


def markdown_text(chapters: Sequence[Chapter]) -> str:
    """Return all tables, each under the title of its study."""
    parts = [f"# {TITLE}\n"]
    for chapter, name in zip(chapters, _names(chapters), strict=True):
        parts += [f"## {' '.join(name.split())}\n", *map(markdown, chapter.result.tables)]
    return "\n".join(parts)


def latex_text(chapters: Sequence[Chapter]) -> str:
    """Return all tables, each with a label of its own."""
    used: set[str] = set()
    parts = []
    for table in (table for chapter in chapters for table in chapter.result.tables):
        name = label_name(table.name)
        names = chain([name], (f"{name}-{number}" for number in count(2)))
        free = next(label for label in names if label not in used)
        used.add(free)
        parts.append(latex(replace(table, name=free)))
    return "\n".join(parts)


def sort_value(value: Value) -> str | None:
    """Return the number by which a cell is sorted: empty for no value, None for text that begins with no number."""
    if isinstance(value, str):
        number = NUMBER.match(value)
        return number.group() if number else None
    return "" if value is None else repr(value)


def _figure(folder: Path, image: Image) -> str:
    """Return the SVG if it exists and is not large, otherwise the PNG."""
    if Path(image.name).name != image.name:
        raise ValueError(f"{folder} names a figure {image.name!r}, which is no plain name; run the study again")
    svg, png = (folder / FIGURES / f"{image.name}.{ending}" for ending in ("svg", "png"))
    for path in (svg, png):
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"{path} is a link or lies outside of {folder}, so it is not shown; put the figure itself there"
            )
    if svg.is_file() and svg.stat().st_size <= MAX_SVG_BYTES:
        return figure_uri(svg.read_bytes())
    if not png.is_file():
        raise FileNotFoundError(f"{folder} lacks its figure {FIGURES}/{png.name}; run the study again")
    return image_uri(png.read_bytes())


def _fingerprints(chapters: Sequence[Chapter]) -> dict[str, str]:
    """Return the fingerprints of all data sets, by name."""
    first_seen: dict[str, tuple[str, Path]] = {}
    for chapter in chapters:
        for name, fingerprint in chapter.result.fingerprints.items():
            other, folder = first_seen.setdefault(name, (fingerprint, chapter.folder))
            if other != fingerprint:
                raise ValueError(
                    f"{folder} and {chapter.folder} have different data under the name {name} (fingerprints "
                    f"{other[:8]} and {fingerprint[:8]}); make a report of each, or run both on the same data"
                )
    return {name: fingerprint for name, (fingerprint, _) in first_seen.items()}


def _names(chapters: Sequence[Chapter]) -> list[str]:
    """Return titles of studies; where several have the same, with the folder."""
    titles = Counter(chapter.result.title for chapter in chapters)
    return [
        chapter.result.title + (f" ({chapter.folder.resolve().name})" if titles[chapter.result.title] > 1 else "")
        for chapter in chapters
    ]


def _file_names(chapters: Sequence[Chapter], names: Sequence[str]) -> list[dict[str, str]]:
    """Return for each study the name of the CSV file of each table; with that of the study where several are alike."""
    used = Counter(table.name for chapter in chapters for table in (*chapter.result.tables, FAILED))
    return [
        {
            table.name: label_name(f"{name}-{table.name}" if used[table.name] > 1 else table.name) + ".csv"
            for table in (*chapter.result.tables, FAILED)
        }
        for chapter, name in zip(chapters, names, strict=True)
    ]


def _failures(failures: Sequence[Failure]) -> Table:
    return replace(FAILED, rows=tuple((one.run, one.error) for one in failures))


def _folded(table: Table) -> bool:
    return table.name.endswith("-details") or len(table.rows) > MAX_OPEN_ROWS


def _paper(figure: str) -> bool:
    """Return True if a figure cannot take on the reader's colors, so that it needs a white ground."""
    return not figure.startswith("data:image/svg")


def _wide(value: Value, breadth: int) -> bool:
    return isinstance(value, str) and len(value) > breadth


def _written(value: float, column: CardColumn) -> str:
    if column.form == "%":
        return percent(value) if column.higher_is_better else percent(value).lstrip("+")
    return f"{value:{column.form}}".rstrip(".").replace("-", MINUS)


def _digest(text: str) -> str:
    """Return the hash by which the content security policy of the page allows a style or a script."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
