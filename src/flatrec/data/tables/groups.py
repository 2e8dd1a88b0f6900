"""Tables of groups: who their members are, and what the groups did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flatrec.data.cleaning import EventReport, TableCleaningReport
from flatrec.data.groups import Memberships, check_distinct
from flatrec.data.id_repair import IdMatching
from flatrec.data.tables.events import Events
from flatrec.data.tables.feature_files import guess_column
from flatrec.data.tables.files import NO_FILE, Table, path_of, scan
from flatrec.data.tables.text import PLAIN, Layout

GROUP_NAMES = ("group", "group_id", "groupid", "gid", "team", "team_id", "household", "household_id")
MEMBER_NAMES = ("member", "member_id", "memberid", "person", "person_id", "user", "user_id", "userid", "uid")


@dataclass(frozen=True)
class GroupSource:
    """The two tables of groups.

    Args:
        members: one row per membership: a group and a person.
        interactions: one row per event of a group, with the columns of the table of the persons' interactions, but a
            column of groups in the place of users.
        group_column: the column of group ids in both tables; found by one of GROUP_NAMES if left out.
        member_column: the column of person ids in ``members``; found by one of MEMBER_NAMES if left out.
        prefix: what is put before the id of every group, so that it differs from the ids of persons.
        layout: how the tables are written, if they are text tables.
        id_matching: which differences between ids are removed.
    """

    members: Path | Table = NO_FILE
    interactions: Path | Table = NO_FILE
    group_column: str | None = None
    member_column: str | None = None
    prefix: str = ""
    layout: Layout = PLAIN
    id_matching: IdMatching = "trim"

    @property
    def interaction_column(self) -> str:
        """The column of groups in the table of interactions.

        Raises:
            ValueError: no column has a name of groups.
        """
        return self.group_column or _guessed(self.interactions, self.layout, GROUP_NAMES, "group")


def read_memberships(source: GroupSource) -> Memberships:
    """Read the table of members.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing, or an id is missing or malformed.
    """
    group = source.group_column or _guessed(source.members, source.layout, GROUP_NAMES, "group")
    member = source.member_column or _guessed(source.members, source.layout, MEMBER_NAMES, "member")
    rows = scan(source.members, source.layout, [(group,), (member,)]).select({"group": group, "member": member})
    groups, persons = (
        rows.ids(name, f"memberships without a {name}", source.id_matching) for name in ("group", "member")
    )
    ids = [source.prefix + name for name in groups.ids.to_list()]
    return Memberships(ids, persons.ids.to_list(), str(path_of(source.members)), rows.cleaning_report(groups, persons))


def join_events(persons: Events, groups: Events, memberships: Memberships, prefix: str = "") -> Events:
    """Return the events of persons and of groups as the events of one set of users.

    Args:
        persons: the events of persons.
        groups: the events of groups.
        memberships: the members of the groups, whose ids have the prefix already.
        prefix: what is put before the ids of groups.

    Raises:
        ValueError: the tables differ in their columns, an id is that of a group and of a person, or a group has no
            member.
    """
    if set(persons.frame.columns) != set(groups.frame.columns):
        raise ValueError(
            f"{groups.cleaning_report.file} has the columns {', '.join(sorted(groups.frame.columns))}, but "
            f"{persons.cleaning_report.file} has {', '.join(sorted(persons.frame.columns))}; give both tables the same"
        )
    frame = groups.frame.select(persons.frame.columns).with_columns((pl.lit(prefix) + pl.col("user")).alias("user"))
    ids = (one["user"].unique().drop_nulls().to_list() for one in (frame, persons.frame))
    check_distinct(memberships, *ids)
    report = TableCleaningReport.total(
        f"{persons.cleaning_report.file} and {groups.cleaning_report.file}",
        [persons.cleaning_report, groups.cleaning_report],
    )
    return Events(pl.concat([persons.frame, frame]), EventReport.total([persons.report, groups.report]), report)


def _guessed(file: Path | Table, layout: Layout, names: tuple[str, ...], what: str) -> str:
    return guess_column(scan(file, layout, [names]).columns, names, path_of(file), what)
