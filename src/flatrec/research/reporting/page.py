"""Studies as one self-contained HTML page, or their tables alone as Markdown or LaTeX."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path

from flatrec.research.reporting import outcome as outcomes
from flatrec.research.reporting.cards import MEASURES, PERCENT, Card, Measure, cards
from flatrec.research.reporting.figures import style
from flatrec.research.reporting.formats import MINUS, cell_text, label_name, latex, markdown, percent
from flatrec.research.reporting.outcome import Image, Outcome, Table, Value
from flatrec.research.reporting.report import LEVEL, data_uri, image_uri, p_value, pages

TITLE = "flatrec: studies"
FIGURES = "figures"
HEAVY = 1_000_000  # bytes above which a figure's SVG gives way to its PNG
LONG = 40  # rows above which a table is folded away
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?(?=\s|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Chapter:
    """A study as a page has it.

    Args:
        folder: where it is from, for messages and to tell studies of the same title apart.
        outcome: what it found.
        figures: data URIs of its images by their names.
    """

    folder: Path
    outcome: Outcome
    figures: Mapping[str, str] = field(default_factory=dict)


def load(folders: Sequence[Path], *, figures: bool = True) -> list[Chapter]:
    """The studies in some folders, and their figures if wanted.

    Raises:
        FileNotFoundError: a folder holds no study, or not the figures that it names.
        ValueError: a study is damaged, a folder is there twice, or two studies have different data of the same name.
    """
    chapters: list[Chapter] = []
    for folder in folders:
        if folder.resolve() in {chapter.folder.resolve() for chapter in chapters}:
            raise ValueError(f"{folder} is there twice; give each study once")
        outcome = outcomes.read(folder)
        drawn = {image.name: _figure(folder, image) for image in outcome.images} if figures else {}
        chapters.append(Chapter(folder, outcome, drawn))
    _fingerprints(chapters)
    return chapters


def html(chapters: Sequence[Chapter]) -> str:
    """The page: styles, script and figures inside, nothing loaded from anywhere.

    Raises:
        ValueError: two studies have different data of the same name, or a table that belongs on a card is malformed.
    """
    environment = pages()
    environment.filters |= {
        "cell": cell_text,
        "color": lambda name: style(name).color,
        "digest": _digest,
        "p_value": p_value,
        "sort_value": sort_value,
        "summary": summary,
        "written": _written,
    }
    environment.tests |= {"folded": _folded, "wide": _wide}
    return environment.get_template("studies.html.j2").render(
        title=TITLE,
        chapters=chapters,
        names=_names(chapters),
        fingerprints=_fingerprints(chapters),
        cards=cards([chapter.outcome for chapter in chapters]),
    )


def markdown_text(chapters: Sequence[Chapter]) -> str:
    """All tables, under the title of their study."""
    parts = [f"# {TITLE}\n"]
    for chapter, name in zip(chapters, _names(chapters), strict=True):
        parts += [f"## {' '.join(name.split())}\n", *map(markdown, chapter.outcome.tables)]
    return "\n".join(parts)


def latex_text(chapters: Sequence[Chapter]) -> str:
    """All tables, each with a label of its own."""
    taken: set[str] = set()
    parts = []
    for table in (table for chapter in chapters for table in chapter.outcome.tables):
        name = label_name(table.name)
        names = chain([name], (f"{name}-{number}" for number in count(2)))
        free = next(one for one in names if one not in taken)
        taken.add(free)
        parts.append(latex(replace(table, name=free)))
    return "\n".join(parts)


def summary(card: Card) -> str:
    """Which strategy of a card is best where, as far as that is significant: one sentence."""
    against = {fact.against for row in card.rows for fact in row.facts.values() if fact.against}
    rival = next(iter(against)) if len(against) == 1 else "the first strategy" if against else "another"
    better, worse, unclear = _verdicts(card)
    parts = [f"{strategy} is best {_listed(places)}" for strategy, places in better.items()]
    if parts:
        parts[0] = f"Among those significantly better than {rival} (p < {LEVEL}), {parts[0]}"
    else:
        parts = [f"No strategy is significantly better than {rival} in anything that was measured"]
    parts += [f"{strategy} is significantly worse {_listed(places)}" for strategy, places in worse.items()]
    about = f" ({', '.join(unclear)})" if unclear else ""
    return f"{'; '.join(parts)}; differences without significance are not claimed{about}."


def sort_value(value: Value) -> str | None:
    """The number by which a cell is sorted, in full; empty for no value, None for text that begins with no number."""
    if isinstance(value, str):
        found = _NUMBER.match(value)
        return found.group() if found else None
    return "" if value is None else repr(value)


def _figure(folder: Path, image: Image) -> str:
    """The SVG if it is there and not heavy, otherwise the PNG."""
    if Path(image.name).name != image.name:
        raise ValueError(f"{folder} names a figure {image.name!r}, which is no plain name; run the study again")
    svg, png = (folder / FIGURES / f"{image.name}.{ending}" for ending in ("svg", "png"))
    for path in (svg, png):
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f"{path} is a link or lies outside of {folder}, so it is not shown; put the figure itself there"
            )
    if svg.is_file() and svg.stat().st_size <= HEAVY:
        return data_uri(svg.read_bytes(), "image/svg+xml")
    if not png.is_file():
        raise FileNotFoundError(f"{folder} lacks its figure {FIGURES}/{png.name}; run the study again")
    return image_uri(png.read_bytes())


def _fingerprints(chapters: Sequence[Chapter]) -> dict[str, str]:
    """Of all data sets, by name."""
    found: dict[str, tuple[str, Path]] = {}
    for chapter in chapters:
        for name, fingerprint in chapter.outcome.fingerprints.items():
            other, folder = found.setdefault(name, (fingerprint, chapter.folder))
            if other != fingerprint:
                raise ValueError(
                    f"{folder} and {chapter.folder} have different data under the name {name} (fingerprints "
                    f"{other[:8]} and {fingerprint[:8]}); make a report of each, or run both on the same data"
                )
    return {name: fingerprint for name, (fingerprint, _) in found.items()}


def _names(chapters: Sequence[Chapter]) -> list[str]:
    """Titles of studies; where several have the same, with the folder."""
    titles = Counter(chapter.outcome.title for chapter in chapters)
    return [
        one.outcome.title + (f" ({one.folder.resolve().name})" if titles[one.outcome.title] > 1 else "")
        for one in chapters
    ]


def _folded(table: Table) -> bool:
    return table.name.endswith("-details") or len(table.rows) > LONG


def _verdicts(card: Card) -> tuple[dict[str, list[str]], dict[str, list[str]], list[str]]:
    """Where strategies are the best of the better ones, where they are worse, and where nothing is significant."""
    better: dict[str, list[str]] = {}
    worse: dict[str, list[str]] = {}
    unclear = []
    for measure in [measure for measure in MEASURES if measure.place]:
        facts = {row.strategy: row.facts[measure.name] for row in card.rows if measure.name in row.facts}
        ahead = {strategy: fact.value for strategy, fact in facts.items() if fact.verdict == "better"}
        if ahead:
            best = (max if measure.most else min)(ahead, key=lambda strategy: ahead[strategy])
            better.setdefault(best, []).append(measure.place)
        for strategy in [strategy for strategy, fact in facts.items() if fact.verdict == "worse"]:
            worse.setdefault(strategy, []).append(measure.place)
        if facts and not any(fact.p is not None and fact.p < LEVEL for fact in facts.values()):
            unclear.append(measure.place)
    return better, worse, unclear


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _wide(value: Value, breadth: int) -> bool:
    return isinstance(value, str) and len(value) > breadth


def _written(value: float, measure: Measure) -> str:
    if measure.form == PERCENT:
        return percent(value) if measure.most else percent(value).lstrip("+")
    return f"{value:{measure.form}}".rstrip(".").replace("-", MINUS)


def _digest(text: str) -> str:
    """For the page's content security policy: what is allowed to style it and to run."""
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
