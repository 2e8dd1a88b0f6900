"""flatrec data info, flatrec data shop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flatrec.cli import options
from flatrec.cli.printing import print_json, print_table, print_text
from flatrec.data.shop import Shop, ShopSettings, generate
from flatrec.data.shop import write as write_shop
from flatrec.data.summary import Summary, summarise
from flatrec.experiment import load

app = typer.Typer(help="Look at data, or generate the built-in shop.", no_args_is_help=True)


@app.command()
def info(
    path: Annotated[str, typer.Argument(help="A folder, a table or a dataset.toml; `shop` is the built-in shop.")],
    json: options.Json = False,
) -> None:
    """Count users, items, pairs and features, and what reading had to repair.

    Example: `flatrec data info my-shop/dataset.toml`
    """
    summary = summarise(load(path))
    if json:
        print_json(summary.as_dict())
        return
    print_table(f"{summary.name} · {summary.fingerprint}", ["", "count"], _counts(summary))
    if summary.features:
        rows = [[name, *vars(one).values()] for name, one in summary.features.items()]
        print_table("features", ["modality", "columns", "items without", "rows of zeros", "constant rows"], rows)
    repairs = {name.replace("_", " "): count for name, count in vars(summary.repairs).items() if count}
    print_text("repairs: " + (", ".join(f"{name} {count}" for name, count in repairs.items()) or "none"))


@app.command()
def shop(
    out: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
    users: Annotated[int, typer.Option(help="Number of users.")] = 2000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 800,
    pairs: Annotated[int | None, typer.Option(help="Number of purchases; nine a user by default.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the whole shop.")] = 0,
    image_dim: Annotated[int, typer.Option(help="Columns of the image features.")] = 64,
    text_dim: Annotated[int, typer.Option(help="Columns of the text features.")] = 64,
    like: Annotated[
        str | None, typer.Option(help="The size of a benchmark instead: baby, sports or clothing; no pictures.")
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Generate the built-in shop: a catalogue with pictures and texts, users with tastes, their purchases.

    Example: `flatrec data shop my-shop --users 2000 --items 800 --seed 0`
    """
    if like is not None:
        settings = ShopSettings.like(like, image_dim=image_dim, text_dim=text_dim, seed=seed)
    else:
        settings = ShopSettings(
            users=users, items=items, pairs=pairs, seed=seed, image_dim=image_dim, text_dim=text_dim
        )
    made: Shop = generate(settings)
    write_shop(made, out, overwrite=overwrite)
    summary = summarise(made.dataset)
    if json:
        print_json({"path": str(out), **summary.as_dict()})
        return
    print_text(f"{out}: {summary.users} users, {summary.items} items, {summary.pairs} purchases")


def _counts(summary: Summary) -> list[list[object]]:
    rows: list[list[object]] = [
        ["users", summary.users],
        ["items", summary.items],
        ["pairs", summary.pairs],
        ["density", f"{summary.density:.4%}"],
        ["items without a training pair", summary.items_without_training],
    ]
    for name, part in summary.parts.items():
        rows += [[f"{name} pairs", part.pairs], [f"users without a {name} pair", part.users_without]]
    return rows
