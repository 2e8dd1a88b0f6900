"""License, sizes and checksums that a Zenodo record states."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flatrec.data.fetching.catalog import RemoteFile
from flatrec.data.fetching.web import read_small
from flatrec.utils.messages import clipped, shortlist

_LIMIT = 2**22  # bytes of a record


@dataclass(frozen=True)
class ZenodoRecord:
    """What a record states."""

    address: str
    license: str  # its id, such as ``cc-by-4.0``; empty if not stated
    entries: Mapping[str, Mapping[str, object]]  # its files by name

    def with_stated(self, file: RemoteFile) -> RemoteFile:
        """Return a file with the size and the checksum that the record states.

        Raises:
            ValueError: the record has no such file.
        """
        entry = self.entries.get(file.published_name)
        if entry is None:
            raise ValueError(
                f"{self.address} has no file {file.published_name}, but {shortlist(self.entries, 20) or 'none'}; "
                "download the right one by hand, name it so, and name its folder with --from"
            )
        size, checksum = entry.get("size"), entry.get("checksum")
        known = isinstance(checksum, str) and checksum.startswith("md5:")
        return replace(
            file,
            size=size if isinstance(size, int) and not isinstance(size, bool) else None,
            checksum=str(checksum) if known else "",
        )


def read_records(files: Sequence[RemoteFile]) -> dict[str, ZenodoRecord]:
    """Return the records that list the files, by address.

    Raises:
        ConnectionError: a record cannot be read.
        ValueError: a record is malformed.
    """
    return {address: _read(address) for address in dict.fromkeys(file.listing for file in files) if address}


def _read(address: str) -> ZenodoRecord:
    try:
        record = json.loads(read_small(address, _LIMIT))
        entries = {str(entry["key"]): dict(entry) for entry in record["files"]}
        metadata = record.get("metadata", {})
        license_id = metadata.get("license", {}).get("id", "") if isinstance(metadata, dict) else ""
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{address} is not the record of a data set: it lists no files; try again later") from None
    return ZenodoRecord(address, clipped(str(license_id)), entries)
