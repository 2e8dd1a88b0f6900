"""flatrec serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flatrec.serve.settings import ServeSettings

Folder = Annotated[
    Path, typer.Argument(help="Folder of a run, of a recommender, or of a nightly job.", show_default=False)
]


def serve(
    recommender: Folder,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: 127.0.0.1.", show_default=False)
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: 8000.", show_default=False)] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes that answer. Default: 1.", show_default=False)
    ] = None,
    require_token: Annotated[
        bool, typer.Option("--require-token", help="Refuse to start without bearer tokens in FLATREC_TOKENS.")
    ] = False,
    token: Annotated[str | None, typer.Option(hidden=True)] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="Name by which clients may call the service; repeatable.", show_default=False),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(help="Origin whose pages may call the service from a browser; repeatable.", show_default=False),
    ] = None,
    log_users: Annotated[
        bool, typer.Option("--log-users", help="Write addresses with ids of users and items into the access log.")
    ] = False,
    user_search: Annotated[
        bool, typer.Option("--user-search", help="Let clients search the ids of users (GET /v1/users).")
    ] = False,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="SQLite file of the log of events (POST /v1/events); is made.", show_default=False
        ),
    ] = None,
    events_url_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Environment variable with the postgresql:// URL of the log of events, in the place of a file.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="Folder of a second recommender, served under /compare.", show_default=False),
    ] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve a page to look at, under /.")] = True,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any setting of the service, such as limits.k=100; repeatable.",
        ),
    ] = None,
) -> None:
    """Answer requests over HTTP: recommendations, similar items, scores; new recommenders without a stop.

    Example: `flatrec serve runs/first --port 8000`
    """
    from flatrec.serve.runner import Factory
    from flatrec.serve.runner import serve as run_service

    if token is not None:
        raise ValueError(
            "tokens on a command line can be read by everybody on the machine; put them into the environment variable "
            "FLATREC_TOKENS, separated by commas"
        )
    log = {"path": events, "url_env": events_url_env}
    given: dict[str, object] = {
        "host": host,
        "port": port,
        "workers": workers,
        "page": None if page else False,
        "require_token": require_token or None,
        "allowed_hosts": allowed_host,
        "cors_origins": cors_origin,
        "log_users": log_users or None,
        "user_search": user_search or None,
        "events": {name: value for name, value in log.items() if value is not None} or None,
    }
    settings = _settings({name: value for name, value in given.items() if value is not None}, sets or [])

    def announce(address: str) -> None:
        typer.echo(f"flatrec: {recommender} at {address}, described at {address}/openapi.json", err=True)

    run_service(Factory(recommender, settings, compare), announce)


def _settings(given: dict[str, object], sets: list[str]) -> ServeSettings:
    """Return the settings of the options, then of ``--set``.

    Raises:
        ValueError: a name is unknown, or a value is of another type or out of range.
    """
    from flatrec.config import assignment, validate
    from flatrec.serve.settings import ServeSettings

    for text in sets:
        for name, value in assignment(text).items():
            before = given.get(name)
            given[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return validate(ServeSettings, given, "serve")
