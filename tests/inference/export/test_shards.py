"""Shards: names of files, and which blocks each has."""

from __future__ import annotations

from pathlib import Path

import pytest

from flatrec.utils.shards import Shard, shard_names


@pytest.mark.parametrize("count", [1, 2, 3, 16, 40])
@pytest.mark.parametrize("n_blocks", [0, 1, 5, 16, 37])
def test_shards_have_every_block_once_and_in_order(count, n_blocks):
    portions = [Shard(index, count).of(n_blocks) for index in range(1, count + 1)]
    assert [block for portion in portions for block in portion] == list(range(n_blocks))
    sizes = {len(portion) for portion in portions}
    assert max(sizes) - min(sizes) <= 1


def test_a_shard_is_written_as_a_fraction():
    assert Shard.parse("3/16") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"


@pytest.mark.parametrize("text", ["", "3", "0/16", "17/16", "3/0", "-1/4", "3/16/2", "a/b", "1/100000"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match="a shard must be"):
        Shard.parse(text)


def test_a_shard_has_a_file_of_its_own_and_the_only_one_has_the_plain_name():
    out = Path("exports/recs.v1.parquet")
    assert Shard().file(out) == out
    assert Shard(3, 16).file(out) == Path("exports/recs.v1-00003-of-00016.parquet")
    assert shard_names(out).fullmatch("recs.v1-00003-of-00016.parquet")["count"] == "00016"
    assert shard_names(out).fullmatch("recsXv1-00003-of-00016.parquet") is None
