"""What the errors of a PostgreSQL server mean to a user."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from flatrec.inference.export.database.backend import Failure

_CONTINUE = "run the same command again to continue"
_BY_STATE = {  # by SQLSTATE or its first two characters; an empty reason stands for the server's own words
    "53100": Failure(OSError, "the disk of the server is full", f"free some space and {_CONTINUE}"),
    "42501": Failure(PermissionError, "", f"grant the right to the user and {_CONTINUE}"),
    "55P03": Failure(TimeoutError, "another session kept a lock for too long", f"end that session and {_CONTINUE}"),
    "57014": Failure(TimeoutError, "", f"raise the time limit of the user's statements and {_CONTINUE}"),
    "57": Failure(ConnectionError, "", f"no reader sees a part of the export; {_CONTINUE}"),
    "08": Failure(ConnectionError, "", f"no reader sees a part of the export; {_CONTINUE}"),
}
_LOST = Failure(ConnectionError, "", f"no reader sees a part of the export; {_CONTINUE}")
_REFUSED = Failure(ValueError, "", f"the table is unchanged; correct it or the data, and {_CONTINUE}")


def explain(error: Exception) -> Failure:
    """Explain an error of psycopg; connections that fail or are lost have no SQLSTATE."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        error = error.orig
    if not isinstance(error, psycopg.Error):
        return _REFUSED._replace(reason=str(error))
    state = error.sqlstate
    found = _LOST if state is None else _BY_STATE.get(state) or _BY_STATE.get(state[:2]) or _REFUSED
    said = " ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
    return found if found.reason else found._replace(reason=said or str(error))
