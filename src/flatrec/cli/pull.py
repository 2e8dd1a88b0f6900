"""flatrec pull."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.messages import print_progress
from flatrec.cli.printing import print_json, print_text
from flatrec.utils.messages import count, shortlist

if TYPE_CHECKING:
    from flatrec.hub.remote import RemoteFile


def pull(
    repository: Annotated[str, typer.Argument(help="Name of the repository, as user/name.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: the last part of the name.", show_default=False)
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; a commit stays what it is.", show_default=False)
    ] = None,
    data: Annotated[bool, typer.Option("--data", help="Take over a data set instead of a recommender.")] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Take over a recommender or a data set from the Hugging Face Hub: checked, and without running code.

    Example: `flatrec pull me/my-shop --out shop`
    """
    from flatrec.hub import PullOptions
    from flatrec.hub import pull as take_over

    pulled = take_over(repository, out, PullOptions(revision, data, overwrite), on_start=_report)
    if json:
        print_json({**vars(pulled), "folder": str(pulled.folder), "files": dict(pulled.files)})
        return
    print_text(f"{pulled.folder}: {count(len(pulled.files), 'file')} of {pulled.url}, commit {pulled.commit}")
    if pulled.left_out:
        print_text(f"- not downloaded, as flatrec writes no such files: {shortlist(pulled.left_out)}")


def _report(files: Sequence[RemoteFile]) -> None:
    print_progress(f"downloading {count(len(files), 'file')}, {sum(file.size for file in files):,} bytes")
