"""The pages that the site is built from: the documents of the repository with links that work on the site."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

# Documents outside docs/ that are pages of the site.
DOCUMENTS = {
    "README.md": "readme.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "experiments/LOG.md": "lab-book.md",
}
_FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", flags=re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?P<after>(?:\s+\"[^\"]*\")?\))")
_LANGUAGES = {".py": "python", ".toml": "toml", ".cff": "yaml", ".yml": "yaml", ".service": "ini", ".md": "markdown"}


class Sources:
    """The documents of a repository, written into a folder as the pages of a site.

    Args:
        root: folder of the repository.
        out: folder of the pages, which is made anew.
    """

    def __init__(self, root: Path, out: Path) -> None:
        self.root, self.out = root, out
        self._shown: set[PurePosixPath] = set()  # files of the repository that a page links to

    def write(self) -> None:
        """Write all pages, and one page for each other file of the repository that they link to.

        Raises:
            FileNotFoundError: a link leads to no file of the repository.
        """
        shutil.rmtree(self.out, ignore_errors=True)
        for file in sorted((self.root / "docs").rglob("*")):
            if file.suffix in (".md", ".png", ".svg", ".css"):
                self._add(PurePosixPath(file.relative_to(self.root).as_posix()))
        for document in DOCUMENTS:
            if (self.root / document).exists():
                self._add(PurePosixPath(document))
        for notebook in sorted((self.root / "notebooks").glob("*.ipynb")):
            self._add(PurePosixPath("notebooks", notebook.name))
        for file in sorted(self._shown):
            self._put(page_of(file), source_page(file, (self.root / file).read_text(encoding="utf-8")))

    def _add(self, file: PurePosixPath) -> None:
        source, page = self.root / file, page_of(file)
        if file.suffix == ".ipynb":
            shown = notebook_page(file.name, source.read_text(encoding="utf-8"))
            self._put(page, self._linked(shown, file))
            shutil.copy(source, self.out / page.parent / file.name)
        elif file.suffix == ".md":
            self._put(page, self._linked(source.read_text(encoding="utf-8"), file))
        else:
            (self.out / page).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, self.out / page)

    def _put(self, page: PurePosixPath, text: str) -> None:
        (self.out / page).parent.mkdir(parents=True, exist_ok=True)
        (self.out / page).write_text(text, encoding="utf-8")

    def _linked(self, text: str, file: PurePosixPath) -> str:
        """A document with its links to files as links between pages."""

        def replaced(found: re.Match[str]) -> str:
            target = found["target"]
            if ":" in target or (file.suffix == ".ipynb" and target == file.name):
                return found[0]
            linked = PurePosixPath(os.path.normpath(file.parent / target))
            if not (self.root / linked).is_file():
                raise FileNotFoundError(f"{file}: no file {linked} for the link to {target}")
            page = page_of(linked)
            if page.parts[0] == "files":
                self._shown.add(linked)
            relative = os.path.relpath(page, page_of(file).parent)
            return f"{found['before']}{PurePosixPath(relative)}{found['anchor'] or ''}{found['after']}"

        return outside_code(text, lambda part: _LINK.sub(replaced, part))


def page_of(file: PurePosixPath) -> PurePosixPath:
    """Where a file of the repository stands among the pages, among which no name begins with a dot."""
    if str(file) in DOCUMENTS:
        return PurePosixPath(DOCUMENTS[str(file)])
    if file.parts[0] == "docs" and file.suffix != ".py":
        return file.relative_to("docs")
    if file.parts[0] == "notebooks":
        return file.with_suffix(".md")
    return PurePosixPath("files", *(part.lstrip(".") for part in file.parent.parts), f"{file.name.lstrip('.')}.md")


def source_page(file: PurePosixPath, text: str) -> str:
    """A page that shows a file."""
    fence = "`" * max([3, *map(len, re.findall(r"`+", text))]) + "`"
    language = _LANGUAGES.get(file.suffix, "text")
    return f"# {file.name}\n\n`{file}` of the repository.\n\n{fence}{language}\n{text}\n{fence}\n"


def notebook_page(name: str, text: str) -> str:
    """A page that shows the cells of a notebook, with a link to the notebook itself."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    title, *rest = parts
    return "\n\n".join([title, f"[Download this notebook]({name}), or read it here.", *rest, ""])


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """A document in which what stands outside fenced code is changed."""
    done, parts = 0, []
    for block in _FENCE.finditer(text):
        parts += [change(text[done : block.start()]), block[0]]
        done = block.end()
    return "".join([*parts, change(text[done:])])
