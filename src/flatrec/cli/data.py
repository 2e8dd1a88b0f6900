"""flatrec data info, flatrec data split, flatrec data shop, flatrec data fetch, flatrec data prepare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.data_split import split_data
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.data.fetching.public_datasets import NAMES, find_dataset

if TYPE_CHECKING:
    from flatrec.data.summary import Summary

app = typer.Typer(
    help="Look at data, generate the built-in shop, or prepare public data sets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
prepare = typer.Typer(
    help="Prepare a data set from public files as they are distributed.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(prepare, name="prepare")
app.command("split")(split_data)


@app.command()
def info(
    path: Annotated[
        str, typer.Argument(help="Path of a folder, a table or a dataset.toml; `shop` is the built-in shop.")
    ],
    json: options.Json = False,
) -> None:
    """Show the numbers of users, items, interactions and features, and what was cleaned when the data were read.

    Example: `flatrec data info my-shop/dataset.toml`
    """
    from flatrec.api import load
    from flatrec.data.summary import summarize

    if not path:
        raise ValueError("expected a folder, a table, a dataset.toml or `shop`, but the path is empty; name one")
    summary = summarize(load(path))
    if json:
        print_json(summary.as_dict())
        return
    print_table(f"{summary.name} · {summary.fingerprint}", ["", "count"], _counts(summary))
    if summary.row_counts.rows != summary.interactions:
        print_table("rows of the source", ["", "count"], _row_counts(summary))
    if summary.item_columns:
        columns = [[name, *vars(column).values()] for name, column in summary.item_columns.items()]
        print_table("columns of items", ["column", "holds", "distinct values", "missing values"], columns)
    if summary.features:
        rows = [[name, *vars(features).values()] for name, features in summary.features.items()]
        print_table("features", ["modality", "columns", "missing items", "rows of zeros", "constant rows"], rows)
    print_text("no warnings" if not summary.warnings else "warnings:")
    for sentence in summary.warnings:
        print_text(f"- {sentence}")


@app.command()
def shop(
    out: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    users: Annotated[int, typer.Option(help="Number of users.")] = 2000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 800,
    interactions: Annotated[int | None, typer.Option(help="Number of purchases. Default: nine per user.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random in the shop.")] = 0,
    image_dim: Annotated[int, typer.Option(help="Number of columns of the image features.")] = 64,
    text_dim: Annotated[int, typer.Option(help="Number of columns of the text features.")] = 64,
    like: Annotated[
        str | None,
        typer.Option(help="Data set whose size the shop gets: baby, sports or clothing; no images are drawn."),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Generate the built-in shop: a catalog with images and texts, users with tastes, their dated purchases, and a log.

    The log, events.parquet, has all views, carts, purchases and returns of the two years.

    Example: `flatrec data shop my-shop --users 2000 --items 800 --seed 0`
    """
    from flatrec.data.shop import ShopSettings, generate, write
    from flatrec.data.summary import summarize

    if like is not None:
        settings = ShopSettings.like(like, image_dim=image_dim, text_dim=text_dim, seed=seed)
    else:
        settings = ShopSettings(
            users=users, items=items, interactions=interactions, seed=seed, image_dim=image_dim, text_dim=text_dim
        )
    generated = generate(settings)
    write(generated, out, overwrite=overwrite)
    summary = summarize(generated.dataset)
    if json:
        print_json({"path": str(out), "events": len(generated.events), **summary.as_dict()})
        return
    print_text(
        f"{out}: {summary.users} users, {summary.items} items, {summary.interactions} purchases, "
        f"{len(generated.events)} events"
    )


@app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help=f"Name of the data set: {', '.join(NAMES)}.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to download to.", show_default=False)],
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="Encoder of a modality, as in `image=vit_cls`; `audio=none` leaves a modality out. Repeatable. "
            "`flatrec list datasets NAME` shows encoders and defaults.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder with the files of the publisher that were downloaded by other means.",
            show_default=False,
        ),
    ] = None,
    image_features: Annotated[
        bool, typer.Option(help="Whether to download the image features of Amazon 2014 too, 16 KB per item.")
    ] = True,
    json: options.Json = False,
) -> None:
    """Download a public data set from its publisher; a download that was stopped is resumed.

    License and size are shown before the download; checksums, and the numbers of users, items and interactions, are
    compared with what the publisher states.

    Example: `flatrec data fetch ml-1m-mm --out ml-1m-mm`
    """
    from flatrec.cli.messages import print_progress
    from flatrec.cli.progress import counting
    from flatrec.data.fetching.catalog import parse_choices
    from flatrec.data.fetching.fetch_dataset import fetch_dataset
    from flatrec.data.fetching.plan import FetchSettings, plan_fetch

    settings = FetchSettings(parse_choices(encoder or ()), image_features, source)
    plan = plan_fetch(find_dataset(name), out, settings)
    for sentence in plan.sentences():
        print_progress(sentence)
    with counting("bytes", plan.total) as done:
        fetched = fetch_dataset(plan, out, on_bytes=done)
    if fetched.summary is not None:
        next_command = f"flatrec data info {out}"
    else:
        options_of_files = " ".join(f"--{kind} {path}" for kind, path in fetched.paths.items())
        next_command = f"flatrec data prepare amazon {options_of_files} --out {name}"
    if json:
        counts = {} if fetched.summary is None else _sizes(fetched.summary)
        files = {kind: str(path) for kind, path in fetched.paths.items()}
        print_json({"files": files, "counts": counts, "next": next_command})
        return
    for path in fetched.paths.values():
        print_text(f"{path}: {path.stat().st_size} bytes")
    if fetched.summary is not None:
        print_text(f"{out}: " + ", ".join(f"{count} {what}" for what, count in _sizes(fetched.summary).items()))
    print_text(f"Next: {next_command}")


@prepare.command()
def amazon(
    reviews: Annotated[
        Path,
        typer.Option(help="File of reviews of 2014, 2018 or 2023: JSON lines, gzipped or not.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.", show_default=False)],
    meta: Annotated[
        Path | None, typer.Option(help="File of the metadata of the items, gzipped or not.", show_default=False)
    ] = None,
    image_features: Annotated[
        Path | None,
        typer.Option(
            help="File of the image features of 2014: per item 10 bytes of id and 4096 numbers.", show_default=False
        ),
    ] = None,
    k_core: Annotated[int, typer.Option(help="Minimum number of interactions per user and per item.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the random split 8:1:1.")] = 0,
    min_rating: Annotated[float, typer.Option(help="Minimum rating; reviews with a lower one are skipped.")] = 0.0,
    name: Annotated[str | None, typer.Option(help="Name of the data set. Default: the name of the folder.")] = None,
    json: options.Json = False,
) -> None:
    """Turn Amazon's files into a data set: k-core, split, texts for encoding, image features.

    No code in the files is run, although the metadata of 2014 are Python literals.

    Example: `flatrec data prepare amazon --reviews reviews_Baby_5.json.gz --meta meta_Baby.json.gz --out baby`
    """
    from flatrec.cli.progress import counting
    from flatrec.config import SplitSettings
    from flatrec.data.amazon.prepare import AmazonFiles
    from flatrec.data.amazon.prepare import prepare as prepare_amazon

    sources = AmazonFiles(reviews, meta, image_features)
    sizes = [path.stat().st_size for path in (reviews, meta, image_features) if path is not None and path.is_file()]
    with counting("bytes", sum(sizes)) as done:
        prepared = prepare_amazon(
            sources,
            out,
            SplitSettings(method="random", seed=seed),
            k_core=k_core,
            name=name or out.resolve().name,
            min_rating=min_rating,
            on_bytes=done,
        )
    if json:
        print_json({"path": str(out), **prepared.as_dict()})
        return
    for what, count in prepared.as_dict().items():
        if not isinstance(count, dict):
            print_text(f"{what}: {count}")
    for sentence in prepared.dataset.cleaning_report.sentences():
        print_text(f"- {sentence}")
    if meta is not None:
        print_text(f"Next: flatrec encode {out / 'items.parquet'} --text-column text --out {out}")


def _sizes(summary: Summary) -> dict[str, int]:
    return {"users": summary.users, "items": summary.items, "interactions": summary.interactions}


def _counts(summary: Summary) -> list[list[object]]:
    rows: list[list[object]] = [
        ["users", summary.users],
        ["items", summary.items],
        ["interactions", summary.interactions],
        ["density", f"{summary.density:.4%}"],
        ["items without a training interaction", summary.items_without_training],
    ]
    if summary.groups is not None:
        rows[1:1] = [["groups among the users", summary.groups], ["members of groups", summary.memberships]]
    if summary.first is not None:
        rows += [["first interaction (UTC)", summary.first], ["last interaction (UTC)", summary.last]]
    rows += [["split method", summary.split_method]] if summary.split_method is not None else []
    for name, split in summary.splits.items():
        rows += [
            [f"{name} interactions", split.interactions],
            [f"users without a {name} interaction", split.users_without],
        ]
    report = summary.cleaning_report
    removed = {
        "repeated interactions that preparation joined": report.prepared_repeats,
        "users removed by the k-core filter": report.filtered_users,
        "items removed by the k-core filter": report.filtered_items,
        "interactions removed by the k-core filter": report.filtered_interactions,
    }
    return rows + [[what, count] for what, count in removed.items() if count]


def _row_counts(summary: Summary) -> list[list[object]]:
    """Return what became of the rows, without the counts that are 0."""
    counts: dict[str, int] = vars(summary.row_counts)
    return [[name.replace("_", " "), number] for name, number in counts.items() if number]
