"""The options of flatrec augment that write the profiles, attributes and suggestions of a data set."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_text
from flatrec.content.report import count_warnings
from flatrec.utils.messages import clipped, count

if TYPE_CHECKING:
    from flatrec.content.item_source import ItemSource
    from flatrec.content.llm.augment_dataset import DatasetAugmentation
    from flatrec.content.llm.augmentation_requests import AugmentationRequests, AugmentationSettings
    from flatrec.content.llm.settings import Endpoint
    from flatrec.data.dataset import Dataset
    from flatrec.evaluation.ranking import Scorer

_DEFAULTS = "profiles, attributes, suggestions", "category, style, audience"


@dataclass(frozen=True)
class DatasetOptions:
    """What the options say about the augmentation of a data set.

    Args:
        data: the data set; None if item texts are rewritten instead.
        write: parts to write; empty for all.
        attribute: names of the attributes; empty for those by default.
        history: largest number of items of a user that are shown.
        candidates: number of candidates of a user.
        candidates_from: run that chooses the candidates.
        sets: settings of the split.
        text_encoder: name of the text encoder.
        device: device that encodes.
        dry_run: whether nothing is sent.
    """

    data: str | None
    write: tuple[str, ...]
    attribute: tuple[str, ...]
    history: int | None
    candidates: int | None
    candidates_from: Path | None
    sets: tuple[str, ...]
    text_encoder: str | None
    device: str | None
    dry_run: bool

    def check_unused(self) -> None:
        """Refuse options of a data set where there is none.

        Raises:
            ValueError: one is given.
        """
        given = [name for name, value in asdict(self).items() if value not in (None, (), False)]
        if given:
            names = {"sets": "set"}
            option = names.get(given[0], given[0]).replace("_", "-")
            raise ValueError(f"--{option} is for the files of a data set; name it with --data, or leave --{option} out")

    @property
    def settings(self) -> AugmentationSettings:
        """What is asked for.

        Raises:
            ValueError: a part is unknown, or a value is out of range.
        """
        from flatrec.content.llm.augmentation_requests import AugmentationSettings
        from flatrec.data.tables.augmentation_update import parts_of

        default = AugmentationSettings()
        return AugmentationSettings(
            parts=parts_of(self.write) if self.write else default.parts,
            attributes=self.attribute or default.attributes,
            history=default.history if self.history is None else self.history,
            candidates=default.candidates if self.candidates is None else self.candidates,
        )


def dataset_options(
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set (a folder or dataset.toml) beside which profiles, attributes and suggestions are written.",
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        list[str] | None,
        typer.Option(help=f"Part to write; repeatable. Default: {_DEFAULTS[0]}.", show_default=False),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help=f"Name of an attribute of items; repeatable. Default: {_DEFAULTS[1]}.", show_default=False),
    ] = None,
    history: Annotated[
        int | None,
        typer.Option(
            help="Largest number of a user's items that a prompt shows, the newest ones. Default: 20.",
            show_default=False,
        ),
    ] = None,
    candidates: Annotated[
        int | None,
        typer.Option(
            help="Number of items of which a liked and a disliked one are chosen. Default: 10.", show_default=False
        ),
    ] = None,
    candidates_from: Annotated[
        Path | None,
        typer.Option(help="Run or recommender that chooses the candidates; item-kNN if left out.", show_default=False),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the split, such as split.method=time, as training has it; repeatable.",
        ),
    ] = None,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            help="Text encoder of the answers, as of `flatrec encode`. Default: all-minilm-l6-v2.", show_default=False
        ),
    ] = None,
    device: options.Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the requests about the data set and their cost; send none.")
    ] = False,
) -> DatasetOptions:
    """Return what the options say; each parameter is one."""
    return DatasetOptions(
        data=data,
        write=tuple(write or ()),
        attribute=tuple(attribute or ()),
        history=history,
        candidates=candidates,
        candidates_from=candidates_from,
        sets=tuple(sets or ()),
        text_encoder=text_encoder,
        device=device,
        dry_run=dry_run,
    )


def augment_data(
    given: DatasetOptions,
    source: ItemSource,
    endpoint: Endpoint,
    *,
    sample: int | None,
    allow_missing: bool,
    overwrite: bool,
    json: bool,
) -> None:
    """Write the augmentation of a data set, and print what it takes and what came of it."""
    from flatrec.cli.messages import print_progress
    from flatrec.cli.progress import counting
    from flatrec.content.llm.augment_dataset import augment_dataset
    from flatrec.content.llm.augmentation_plan import plan_augmentation
    from flatrec.data.tables.augmentation_update import augmentation_folder, check_replaceable
    from flatrec.runs.session import choose_device

    requests = _requests(given, source)
    if sample is None and not given.dry_run:
        check_replaceable(augmentation_folder(requests.dataset), requests.settings.parts, overwrite=overwrite)
    plan = plan_augmentation(requests, endpoint, sample=sample)
    if given.dry_run:
        print_json({"plan": asdict(plan)}) if json else print_text(plan.sentence())
        return
    print_progress(plan.sentence())
    result = augment_dataset(
        requests,
        endpoint,
        text_encoder=given.text_encoder or "all-minilm-l6-v2",
        device=str(choose_device(options.experiment(None, None, device=given.device))),
        sample=sample,
        allow_missing=allow_missing,
        overwrite=overwrite,
        progress=counting,
    )
    if sample is not None:
        _print_sample(result, requests, json=json)
    elif json:
        print_json({"files": {str(path): rows for path, rows in result.files.items()}, **result.facts})
    else:
        _print_result(result, given.data or "")


def _requests(given: DatasetOptions, source: ItemSource) -> AugmentationRequests:
    from flatrec.api import load
    from flatrec.cli.data_split import split_settings
    from flatrec.content.llm.augment_dataset import read_requests

    if source.image_dir is not None or source.image_column is not None:
        raise ValueError("profiles, attributes and suggestions are written from texts alone; leave the images out")
    settings = given.settings
    dataset = load(given.data or "", split_settings(None, given.sets))
    scorer = None if given.candidates_from is None else _scorer(given.candidates_from, dataset)
    return read_requests(dataset, source, settings, scorer=scorer)


def _scorer(path: Path, dataset: Dataset) -> Scorer:
    from flatrec.inference.data_scorer import training_scorer
    from flatrec.inference.storage import load_recommender

    return training_scorer(load_recommender(path, index=False), dataset)


def _print_result(result: DatasetAugmentation, data: str) -> None:
    for path, rows in result.files.items():
        print_text(f"{path.name}: {count(rows, 'row')}")
    for part, warnings in result.replies.warnings.items():
        kind = "item" if part == "attributes" else "user"
        for warning, number in count_warnings(warnings).items():
            print_text(f"- {part}: {warning}: {count(number, kind)}, listed in {result.details.name}")
    print_text(result.replies.usage.sentence(result.cost))
    print_text(f"The files are in {result.details.parent}; flatrec train --data {data} --model llmrec uses them")


def _print_sample(result: DatasetAugmentation, requests: AugmentationRequests, *, json: bool) -> None:
    replies, items = result.replies, requests.dataset.items
    pairs = {
        user: {name: items[item] for name, item in pair._asdict().items()} for user, pair in replies.suggestions.items()
    }
    if json:
        sample = {"profiles": replies.profiles, "attributes": replies.attributes, "suggestions": pairs}
        print_json({"sample": sample, "usage": asdict(replies.usage), "cost": result.cost})
        return
    lines: dict[str, list[str]] = {}
    for user, profile in replies.profiles.items():
        lines[f"user {user}"] = [f"profile: {profile}"]
    for user, pair in pairs.items():
        found = (f"{name}: {item} ({clipped(requests.text_of(item), 60)})" for name, item in pair.items())
        lines.setdefault(f"user {user}", []).extend(found)
    for attribute, values in replies.attributes.items():
        for item, value in values.items():
            lines.setdefault(f"item {item}", []).append(f"{attribute}: {value}")
    for part, warnings in replies.warnings.items():
        for name, reasons in warnings.items():
            kind = "item" if part == "attributes" else "user"
            lines.setdefault(f"{kind} {name}", []).extend(f"({part}: {reason})" for reason in reasons)
    for title, shown in lines.items():
        print_text("\n  ".join([title, *shown]))
    print_text(replies.usage.sentence(result.cost))
