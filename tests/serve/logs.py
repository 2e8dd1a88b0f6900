"""Services with a log of events."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import contextmanager

from flatrec.serve.events import logged_events
from flatrec.serve.settings import EventSettings, Limits, ServeSettings
from tests.serve.shops import client_of


@contextmanager
def logging_client(recommender, log, *, limits=None, **settings):
    """A client of the service of a folder, with a log in a file."""
    chosen = ServeSettings(events=EventSettings(path=str(log), **settings), limits=limits or Limits())
    events = logged_events(chosen)
    with client_of(recommender, chosen, events=events, operations=(events.operation(),)) as client:
        yield client


def send(client, *events):
    """Send events over a client."""
    return client.post("/v1/events", json={"events": list(events)})


def event(user, item, name=None, **further):
    return {"user": user, "item": item, **({} if name is None else {"event": name}), **further}


def posted(port, path, body, *, wait=30):
    """Status and answer of a POST to a real service."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=wait) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def got(port, path, *, wait=30):
    """The answer to a GET of a real service."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=wait) as answer:
        return answer.read().decode()
