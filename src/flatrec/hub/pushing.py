"""Publish a recommender or a data set: all files in one commit, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flatrec.hub.model_card import CardSettings
from flatrec.hub.names import BY_HAND, is_own
from flatrec.hub.remote import Remote, RemoteState, check_token
from flatrec.hub.staging import Staged, kind_of, staged
from flatrec.inference.storage import USERS
from flatrec.utils.integrity import MANIFEST
from flatrec.utils.messages import shortlist


@dataclass(frozen=True)
class PushOptions:
    """How something is published.

    Args:
        license: the identifier of a license, such as ``mit``; the card has none if it is left out.
        dataset: the name of the data set's repository on the Hub, for the card of a recommender.
        include_users: whether users are published: their ids, vectors and histories.
        public: whether everybody may see the repository.
        message: the first line of the commit.
        dry_run: whether only what would be published is found out, without asking the Hub.
    """

    license: str | None = None
    dataset: str | None = None
    include_users: bool = False
    public: bool = False
    message: str = "Publish by flatrec"
    dry_run: bool = False


@dataclass(frozen=True)
class Pushed:
    """What was published.

    Args:
        url: the page of the repository.
        commit: the id of the commit; empty if nothing was sent.
        public: whether everybody may see the repository.
        users: number of users in the files.
        left_out_users: number of users who were left out of them.
        files: the number of bytes of each file, by name.
        added: the files that were not there before.
        changed: the files that were there with other content.
        removed: the files of an earlier push that are gone.
        left_out: sentences on what was left out.
        held_users: whether the commit before has users, which stay there though they are left out now.
        card: the text of the card.
    """

    url: str
    commit: str
    public: bool
    users: int
    left_out_users: int
    files: Mapping[str, int]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    left_out: tuple[str, ...]
    held_users: bool
    card: str


def push(source: Path | str, repository: str, options: PushOptions | None = None) -> Pushed:
    """Publish a recommender, that of a run, or a data set on the Hub.

    Users and their histories stay at home unless ``include_users`` is true, and the repository is private unless
    ``public`` is. A repository that is there already keeps its visibility: if that is another one than is asked for,
    nothing is sent. All files go in one commit, so that a push that fails leaves the files there as they were.

    The token is that of the environment variable ``HF_TOKEN``, and the Hub that of ``HF_ENDPOINT``.

    Args:
        source: the folder of a run or of a recommender; or what ``flatrec.load_data`` reads.
        repository: the name of the repository, such as ``user/name``; it is made if there is none.
        options: what is published, and for whom.

    Raises:
        FileNotFoundError: there is nothing to publish at the path.
        ValueError: there is no token, the name or the license is malformed, the repository has another visibility or
            holds something else, or the source is damaged.
        OSError: the Hub refuses, or cannot be reached.
    """
    source, options = Path(source), options or PushOptions()
    remote = Remote(repository, kind_of(source))
    settings = CardSettings(repository, options.license, options.dataset)
    if options.dry_run:
        with staged(source, settings, include_users=options.include_users) as files:
            return _pushed(remote, files, options, commit="", before=None)
    check_token()
    before = remote.state()
    if before is not None:
        _check(before, remote, options)
    with staged(source, settings, include_users=options.include_users) as files:
        at = _made(remote, options) if before is None else before
        pushed = _pushed(remote, files, options, commit="", before=at)
        names = (*pushed.added, *pushed.changed)
        if not names and not pushed.removed:
            return pushed
        commit = remote.commit(files.folder, names, pushed.removed, message=options.message, parent=at.commit)
        return _pushed(remote, files, options, commit=commit, before=at)


def _made(remote: Remote, options: PushOptions) -> RemoteState:
    """Make the repository and return what it holds.

    Raises:
        OSError: the Hub refuses, or made it otherwise than it was asked to.
    """
    remote.create(private=not options.public)
    state = remote.state()
    if state is None or state.private == options.public:
        raise OSError(
            f"{remote.host} made {remote.name} {'private' if options.public else 'public'}, which was not asked for; "
            "nothing was sent: look at the settings of the account"
        )
    return state


def _check(state: RemoteState, remote: Remote, options: PushOptions) -> None:
    """Refuse a repository of another visibility than is asked for, or with other files than those of a push.

    Raises:
        ValueError: it is one of them.
    """
    if not state.private and not options.public:
        raise ValueError(
            f"{remote.name} is public on {remote.host}, and --public was not given: nothing was sent; give --public, "
            "or make the repository private there"
        )
    if state.private and options.public:
        raise ValueError(
            f"{remote.name} is private on {remote.host}, and a push does not change that, as its earlier commits would "
            "be public too; leave --public out, change it there, or take another name"
        )
    others = [name for name in state.files if name not in BY_HAND]
    if others and MANIFEST not in state.files:
        raise ValueError(
            f"{remote.name} holds other files than those of a push ({shortlist(others, 3)}); take another name"
        )


def _pushed(remote: Remote, files: Staged, options: PushOptions, *, commit: str, before: RemoteState | None) -> Pushed:
    there = {} if before is None else before.files
    return Pushed(
        url=remote.url,
        commit=commit,
        public=options.public,
        users=files.users,
        left_out_users=files.left_out_users,
        files=files.sizes,
        added=tuple(name for name in files.sizes if name not in there),
        changed=tuple(name for name in files.sizes if name in there and not there[name].fits(files.folder / name)),
        removed=tuple(name for name in there if name not in files.sizes and is_own(name, remote.kind)),
        left_out=files.left_out,
        held_users=bool(files.left_out_users) and USERS in there and there[USERS].size > files.sizes[USERS],
        card=files.card,
    )
