"""flatrec data info, flatrec data shop, flatrec data fetch, flatrec data prepare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.data.fetching.catalog import ARCHIVE, CATALOG, IMAGE_FEATURES
from flatrec.utils.messages import unknown

if TYPE_CHECKING:
    from flatrec.data.summary import Summary

RATINGS = "ratings.csv"  # of MovieLens

app = typer.Typer(help="Look at data, generate the built-in shop, or prepare public sets.", no_args_is_help=True)
prepare = typer.Typer(help="From public files as they are distributed to a data set.", no_args_is_help=True)
app.add_typer(prepare, name="prepare")


@app.command()
def info(
    path: Annotated[str, typer.Argument(help="A folder, a table or a dataset.toml; `shop` is the built-in shop.")],
    json: options.Json = False,
) -> None:
    """Count users, items, interactions and features, and what reading had to repair.

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
    if summary.features:
        rows = [[name, *vars(one).values()] for name, one in summary.features.items()]
        print_table("features", ["modality", "columns", "items without", "rows of zeros", "constant rows"], rows)
    print_text("cleaning_report: none" if not summary.warnings else "cleaning_report and warnings:")
    for sentence in summary.warnings:
        print_text(f"- {sentence}")


@app.command()
def shop(
    out: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
    users: Annotated[int, typer.Option(help="Number of users.")] = 2000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 800,
    interactions: Annotated[int | None, typer.Option(help="Number of purchases; nine a user by default.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the whole shop.")] = 0,
    image_dim: Annotated[int, typer.Option(help="Columns of the image features.")] = 64,
    text_dim: Annotated[int, typer.Option(help="Columns of the text features.")] = 64,
    like: Annotated[
        str | None, typer.Option(help="The size of a benchmark instead: baby, sports or clothing; no images.")
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Generate the built-in shop: a catalog with images and texts, users with tastes, their purchases.

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
    made = generate(settings)
    write(made, out, overwrite=overwrite)
    summary = summarize(made.dataset)
    if json:
        print_json({"path": str(out), **summary.as_dict()})
        return
    print_text(f"{out}: {summary.users} users, {summary.items} items, {summary.interactions} purchases")


@app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(CATALOG)}.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder to download to.", show_default=False)],
    image_features: Annotated[bool, typer.Option(help="Amazon's are 16 KB an item.")] = True,
    json: options.Json = False,
) -> None:
    """Download a public data set from where its makers keep it; a download that was stopped goes on.

    Example: `flatrec data fetch baby --out raw/baby`
    """
    from flatrec.cli.progress import counting
    from flatrec.data.fetching.contents import unpack
    from flatrec.data.fetching.download import fetch

    if name not in CATALOG:
        raise ValueError(unknown("data set", name, list(CATALOG)))
    wanted = [one for one in CATALOG[name] if image_features or one.kind != IMAGE_FEATURES]
    with counting("bytes", None) as done:
        paths = {one.kind: path for one, path in zip(wanted, fetch(wanted, out, on_bytes=done), strict=True)}
    if ARCHIVE in paths:
        found = [path for path in unpack(paths[ARCHIVE], out) if path.name == RATINGS]
        if len(found) != 1:
            raise ValueError(
                f"{paths[ARCHIVE]} holds {len(found)} files {RATINGS}, but an archive of MovieLens holds one; delete "
                "it and fetch it again"
            )
        following = f"flatrec data info {found[0]}"
    else:
        given = " ".join(f"--{kind} {path}" for kind, path in paths.items())
        following = f"flatrec data prepare amazon {given} --out {name}"
    if json:
        print_json({"files": {kind: str(path) for kind, path in paths.items()}, "next": following})
        return
    for path in paths.values():
        print_text(f"{path}: {path.stat().st_size} bytes")
    print_text(f"Next: {following}")


@prepare.command()
def amazon(
    reviews: Annotated[
        Path, typer.Option(help="Reviews of 2014, 2018 or 2023: JSON lines, gzipped or not.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    meta: Annotated[Path | None, typer.Option(help="Metadata of the items.", show_default=False)] = None,
    image_features: Annotated[
        Path | None, typer.Option(help="Image features of 2014, 10 bytes and 4096 numbers an item.", show_default=False)
    ] = None,
    k_core: Annotated[int, typer.Option(help="Fewest interactions a user and an item must have.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the random split 8:1:1.")] = 0,
    min_rating: Annotated[float, typer.Option(help="Leave out reviews rated lower.")] = 0.0,
    name: Annotated[str | None, typer.Option(help="Of the data set; the folder's if left out.")] = None,
    json: options.Json = False,
) -> None:
    """Turn Amazon's files into a data set: k-core, split, texts for encoding, image features.

    Nothing in the files is run, although the metadata of 2014 are Python literals.

    Example: `flatrec data prepare amazon --reviews reviews_Baby_5.json.gz --meta meta_Baby.json.gz --out baby`
    """
    from flatrec.cli.progress import counting
    from flatrec.data.amazon.prepare import AmazonFiles
    from flatrec.data.amazon.prepare import prepare as prepare_amazon
    from flatrec.data.builder import SplitSettings

    sources = AmazonFiles(reviews, meta, image_features)
    sizes = [path.stat().st_size for path in (reviews, meta, image_features) if path is not None and path.is_file()]
    settings = SplitSettings(k_core, seed)
    with counting("bytes", sum(sizes)) as done:
        made = prepare_amazon(
            sources, out, settings, name=name or out.resolve().name, min_rating=min_rating, on_bytes=done
        )
    if json:
        print_json({"path": str(out), **made.as_dict()})
        return
    for what, count in made.as_dict().items():
        print_text(f"{what}: {count}")
    if meta is not None:
        print_text(f"Next: flatrec encode {out / 'items.parquet'} --text-column text --out {out}")


def _counts(summary: Summary) -> list[list[object]]:
    rows: list[list[object]] = [
        ["users", summary.users],
        ["items", summary.items],
        ["interactions", summary.interactions],
        ["density", f"{summary.density:.4%}"],
        ["items without a training interaction", summary.items_without_training],
    ]
    for name, part in summary.splits.items():
        rows += [
            [f"{name} interactions", part.interactions],
            [f"users without a {name} interaction", part.users_without],
        ]
    return rows
