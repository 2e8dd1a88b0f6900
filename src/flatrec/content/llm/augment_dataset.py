"""Profiles of users, attributes of items and suggested pairs, written by a language model beside a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl

from flatrec.content import encoders
from flatrec.content.encoders.base import TextEncoder
from flatrec.content.item_source import ItemSource, Progress, no_progress
from flatrec.content.llm.augmentation_batch import AugmentationReplies, ask
from flatrec.content.llm.augmentation_requests import AugmentationRequests, AugmentationSettings
from flatrec.content.llm.augmentation_tables import encode_answers, suggestion_table
from flatrec.content.llm.batch_runner import BatchRunner
from flatrec.content.llm.chat_client import ChatClient, NoResponseError
from flatrec.content.llm.histories import shown_interactions
from flatrec.content.llm.response_cache import ResponseCache, default_path
from flatrec.content.llm.settings import Endpoint
from flatrec.content.llm.writing import endpoint_facts, missing_advice
from flatrec.content.report import count_warnings, write_warnings
from flatrec.data.dataset import Dataset
from flatrec.data.tables.augmentation_files import ATTRIBUTE, PROFILES, SHOWN, SUGGESTIONS, shown_table
from flatrec.data.tables.augmentation_update import (
    DETAILS,
    FROM_HISTORIES,
    augmentation_folder,
    check_replaceable,
    replace_parts,
)
from flatrec.evaluation.ranking import Scorer
from flatrec.utils.atomic_write import write_text
from flatrec.utils.integrity import seal


@dataclass(frozen=True)
class DatasetAugmentation:
    """Outcome of the augmentation of a data set.

    Args:
        replies: what the language model answered.
        files: rows of each file that was written, by its path; empty for a sample.
        details: CSV file of the warnings.
        cost: cost of the requests of now; None without prices.
        facts: contents of ``augmented-report.json``; empty for a sample.
    """

    replies: AugmentationReplies
    files: Mapping[Path, int]
    details: Path
    cost: float | None
    facts: Mapping[str, object]


def read_requests(
    dataset: Dataset,
    source: ItemSource,
    settings: AugmentationSettings | None = None,
    *,
    scorer: Scorer | None = None,
) -> AugmentationRequests:
    """Return all requests about a data set, none of which is sent yet.

    Args:
        dataset: the data; of their interactions only those of training are shown.
        source: table of the items; the text column is ``text`` if none is named. Images are not looked at.
        settings: what is asked for.
        scorer: scores all items for a block of users, for the candidates; item-kNN if left out.

    Raises:
        ValueError: the table is malformed, lacks a column, or has no text of any item of the data set.
        OSError: the table cannot be read.
    """
    columns = source.text_columns or ("text",)
    items = replace(source, text_columns=columns, image_dir=None, image_column=None).read()
    return AugmentationRequests(dataset, items.texts or {}, settings or AugmentationSettings(), scorer)


def augment_dataset(
    requests: AugmentationRequests,
    endpoint: Endpoint,
    *,
    text_encoder: str = "all-minilm-l6-v2",
    device: str = "cpu",
    sample: int | None = None,
    allow_missing: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> DatasetAugmentation:
    """Have a language model write profiles, attributes and suggested pairs, and write their files beside the data.

    Responses are cached, so that nothing is paid for twice: after a kill the same call continues. Answers that cannot
    be used are left out and counted.

    Args:
        requests: the requests; see :func:`read_requests`.
        endpoint: the language model.
        text_encoder: name for :func:`flatrec.content.encoders.text_encoder`, which makes vectors of the answers.
        device: torch device that encodes.
        sample: number of users and items to ask about without writing anything; all if left out.
        allow_missing: whether to write the files although some requests have no response.
        overwrite: whether to replace files of the same parts.
        progress: opens a progress display.

    Raises:
        ImportError: the extra ``llm``, or that of the encoder, is not installed.
        EndpointError: key, address or model are wrong.
        NoResponseError: a request has no response in the end, and ``allow_missing`` is False; or no answer is usable.
        FileExistsError: a file exists, and ``overwrite`` is False.
        ValueError: the data set has no folder in which the files could lie.
        OSError: a file cannot be written.
    """
    parts, encoder = requests.settings.parts, None
    if sample is None:
        check_replaceable(augmentation_folder(requests.dataset), parts, overwrite=overwrite)
        encoder = encoders.text_encoder(text_encoder, device=device) if set(parts) != {"suggestions"} else None
    replies = AugmentationReplies()
    with ChatClient(endpoint) as client, ResponseCache(default_path()) as cache:
        for part in parts:
            with progress(part, requests.count(part, sample)) as on_items:
                ask(requests, part, BatchRunner(client, cache, allow_missing, on_items), replies=replies, sample=sample)
    cost = replies.usage.cost(endpoint.prompt_price, endpoint.completion_price)
    if sample is not None:
        return DatasetAugmentation(replies, {}, Path(), cost, {})
    _check_replies(replies, cost, allow_missing=allow_missing)
    folder = augmentation_folder(requests.dataset)
    tables = _tables(requests, replies, encoder, progress)
    replace_parts(folder, parts, tables)
    rows = {folder / name: len(table) for name, table in tables.items()}
    facts = _facts(requests, replies, rows) | {"cost": cost, "text_encoder": encoder.identity if encoder else None}
    facts |= endpoint_facts(endpoint, replies.usage)
    _write_report(folder / DETAILS, replies, facts)
    return DatasetAugmentation(replies, rows, folder / DETAILS, cost, facts)


def _check_replies(replies: AugmentationReplies, cost: float | None, *, allow_missing: bool) -> None:
    missing = [reason for by_id in replies.missing.values() for reason in by_id.values()]
    usage = replies.usage.sentence(cost)
    if missing and not allow_missing:
        raise NoResponseError(
            f"{len(missing)} requests have no response ({missing[0]}); {missing_advice()}; --allow-missing writes the "
            f"files without them ({usage})"
        )
    if not (replies.profiles or replies.attributes or replies.suggestions):
        reasons = count_warnings({name: all_ for by_id in replies.warnings.values() for name, all_ in by_id.items()})
        reason = next(iter(reasons), "nothing was asked")
        raise NoResponseError(
            f"nothing that can be used was answered ({reason}); try --sample 3, or another --model ({usage})"
        )


def _tables(
    requests: AugmentationRequests, replies: AugmentationReplies, encoder: TextEncoder | None, progress: Progress
) -> dict[str, pl.DataFrame]:
    tables: dict[str, pl.DataFrame] = {}
    if set(FROM_HISTORIES).intersection(requests.settings.parts):
        shown = shown_interactions({user: items.tolist() for user, items in enumerate(requests.histories)})
        tables[SHOWN] = shown_table(requests.dataset, shown)
    if replies.profiles and encoder:
        tables[PROFILES] = encode_answers("user", replies.profiles, encoder, progress)
    for name, values in replies.attributes.items():
        if encoder:
            tables[f"{ATTRIBUTE}{name}.parquet"] = encode_answers("item", values, encoder, progress)
    if replies.suggestions:
        tables[SUGGESTIONS] = suggestion_table(requests.dataset, replies.suggestions)
    return {name: table for name, table in tables.items() if len(table)}


def _facts(requests: AugmentationRequests, replies: AugmentationReplies, rows: Mapping[Path, int]) -> dict[str, object]:
    return {
        "settings": asdict(requests.settings),
        "users": requests.dataset.n_users,
        "items": requests.dataset.n_items,
        "rows": {path.name: count for path, count in rows.items()},
        "warnings": {part: count_warnings(warnings) for part, warnings in replies.warnings.items()},
    }


def _write_report(details: Path, replies: AugmentationReplies, facts: Mapping[str, object]) -> None:
    rows = (
        (part, name, warning)
        for part, warnings in replies.warnings.items()
        for name, reasons in warnings.items()
        for warning in reasons
    )
    write_warnings(details, ("part", "id", "warning"), rows)
    write_text(details.with_suffix(".json"), seal(facts) + "\n")
