"""The exports of a new recommender: checked before anything is trained, written before the pointer moves."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from jaxtyping import Bool
from numpy import ndarray

from flatrec.data.dataset import Dataset
from flatrec.data.id_lists import read_ids
from flatrec.inference.candidates import Filters
from flatrec.inference.catalog import Catalog
from flatrec.inference.export import (
    DatabaseTable,
    ExportOptions,
    ExportReport,
    export_recommendations,
    export_similar,
    export_vectors,
)
from flatrec.inference.recommender import Recommender
from flatrec.inference.storage import load_recommender
from flatrec.refresh.export_settings import ExportSettings
from flatrec.refresh.work import Work
from flatrec.utils.integrity import digest


def check_exports(exports: tuple[ExportSettings, ...], dataset: Dataset) -> None:
    """Make sure, before anything is trained, that exports have what they need: a format, columns, drivers, folders.

    Raises:
        FileNotFoundError: a file of users or the folder of a file is not there.
        ModuleNotFoundError: the packages for a database are not installed.
        ValueError: a format is unknown, a condition does not fit the items or fits none of them, or an environment
            variable is not set.
    """
    catalog = Catalog.of(dataset) if any(export.where for export in exports) else None
    for number, export in enumerate(exports):
        try:
            target = target_of(export)
            if isinstance(target, Path):
                _check_file(export, target)
            else:
                _check_database(target)
            options = options_of(export)
            if catalog is not None:
                _check_items(options.filters.allowed(catalog))
        except ValueError as error:
            raise ValueError(f"export[{number}]: {error}") from None


def export_all(work: Work) -> None:
    """Write the exports that the settings name; those that are recorded as ready are left as they are.

    Tables of databases come first, as a database is what fails most often: as long as the first one does, nothing has
    changed. Each export replaces the former one in one step.

    Raises:
        OSError: a file or a database cannot be written to.
    """
    recommender = load_recommender(work.final)
    for export in sorted(work.settings.export, key=lambda export: export.table is None):
        key = digest(json.dumps(export.as_dict(), sort_keys=True))
        if any(ready["key"] == key for ready in work.state.exports):
            continue
        report = _export(recommender, export)
        ready = {"what": report.what, "target": report.target, "rows": report.rows, "key": key}
        work.state = replace(work.state, exports=(*work.state.exports, ready))
        work.save()


def target_of(export: ExportSettings) -> Path | DatabaseTable:
    """Return where an export goes.

    Raises:
        ValueError: the environment variable with the URL is not set.
    """
    if export.out is not None:
        return Path(export.out)
    url = export.url if export.url_env is None else os.environ.get(export.url_env)
    if not url:
        raise ValueError(f"the environment variable {export.url_env} is not set; set it to the URL of the database")
    return DatabaseTable(url, str(export.table))


def options_of(export: ExportSettings) -> ExportOptions:
    """Return the options of an export of lists.

    Raises:
        FileNotFoundError: there is no file of users.
        ValueError: it is malformed.
    """
    users = None if export.users is None else tuple(dict.fromkeys(read_ids(Path(export.users), "user")))
    filter_seen = None if export.include_seen is None else not export.include_seen
    return ExportOptions(k=export.k, users=users, filters=Filters(filter_seen, where=export.where), overwrite=True)


def _export(recommender: Recommender, export: ExportSettings) -> ExportReport:
    target = target_of(export)
    if export.what == "vectors":
        assert isinstance(target, Path)
        return export_vectors(recommender, target, overwrite=True)
    call = export_recommendations if export.what == "recommendations" else export_similar
    return call(recommender, target, options_of(export))


def _check_items(allowed: Bool[ndarray, "n_items"] | None) -> None:
    """Refuse lists without items: the old ones stay if a delivery says, by mistake, that nothing can be sold."""
    if allowed is not None and not allowed.any():
        raise ValueError(
            f"where allows none of {len(allowed)} items, so that all lists would be empty; repair the items, or change "
            "the condition"
        )


def _check_file(export: ExportSettings, target: Path) -> None:
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {target}: there is no folder {target.parent}; create it first")
    if export.what != "vectors":
        options_of(export).format_of(target)


def _check_database(target: DatabaseTable) -> None:
    from flatrec.inference.export.database.tables import require_drivers  # needs an extra

    require_drivers(target.url)
    from flatrec.inference.export.database.address import parse_address

    parse_address(target.url)
