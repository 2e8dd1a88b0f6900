import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatrec.utils.integrity import (
    MANIFEST,
    check_listed,
    check_manifest,
    check_text,
    digest,
    drop_from_manifest,
    is_listed,
    seal,
    seal_text,
    unseal,
    update_manifest,
    write_manifest,
)

ADVICE = "train again"
VALUES = {"name": "größe", "scores": {"recall@5": 0.1, "ndcg@5": 1e-17}, "list": [1, None, True, "x"]}


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << (bit % 8)
    return bytes(damaged)


def test_digests_tell_apart_what_joins_alike():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(1) != digest("1") != digest(b"1") != digest(1.0)
    assert digest(np.zeros(4, np.int32)) != digest(np.zeros(2, np.int64))
    assert digest(np.zeros((2, 3))) != digest(np.zeros((3, 2)))
    assert digest(np.arange(6).reshape(2, 3).T) == digest(np.arange(6).reshape(2, 3).T.copy())


def test_a_sealed_object_comes_back():
    assert unseal(seal(VALUES), "file", advice=ADVICE) == VALUES
    assert unseal(seal(VALUES, indent=None), "file", advice=ADVICE) == VALUES


def test_the_digest_is_the_last_key_and_the_rest_is_plain_json():
    tree = json.loads(seal(VALUES))
    assert list(tree)[-1] == "digest"
    assert {key: tree[key] for key in VALUES} == VALUES


def test_every_flipped_bit_of_a_sealed_object_that_changes_it_is_found():
    content = seal(VALUES).encode()
    e_of_an_exponent = 8 * content.index(b"1e-17") + 8 + 5  # flipped it is E, which says the same
    assert unseal(flipped(content, e_of_an_exponent).decode(), "file.json", advice=ADVICE) == VALUES
    for bit in range(8 * len(content)):
        if bit != e_of_an_exponent:
            damaged = flipped(content, bit).decode("utf-8", "replace")
            with pytest.raises(ValueError, match=rf"^file\.json .*{ADVICE}$") as error:
                unseal(damaged, "file.json", advice=ADVICE)
            assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is damaged"),
        ("[1]", "holds no JSON object"),
        ('{"a": 1}', "has no digest: it was edited, or written by a flatrec from before digests"),
        ('{"a": 1, "digest": 5}', "its digest does not fit"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_what_is_no_sealed_object_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as error:
        unseal(text, "data.json", advice=ADVICE)
    assert str(error.value).startswith("data.json ")
    assert len(str(error.value)) < 500


@given(st.text())
def test_a_sealed_text_is_known_and_any_other_is_not(text):
    sealed = seal_text(text)
    check_text(sealed, "file.toml", advice=ADVICE)
    for other in (sealed + "x", "x" + sealed, sealed.replace(sealed[-2], "g" if sealed[-2] != "g" else "h")):
        with pytest.raises(ValueError, match=r"file\.toml"):
            check_text(other, "file.toml", advice=ADVICE)


def test_a_text_without_a_digest_says_so():
    with pytest.raises(ValueError, match=r"file\.toml has no digest.*train again"):
        check_text("seed = 1\n", "file.toml", advice=ADVICE)


def test_a_manifest_finds_what_was_changed_or_is_gone(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/b.bin"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    write_manifest(tmp_path, ["a.txt", "sub/b.bin"])
    check_manifest(tmp_path, advice=ADVICE)
    whole = (tmp_path / "sub/b.bin").read_bytes()
    for bit in (0, 4000, 8 * len(whole) - 1):
        (tmp_path / "sub/b.bin").write_bytes(flipped(whole, bit))
        with pytest.raises(ValueError, match=r"b\.bin is damaged or was changed since it was written; train again"):
            check_manifest(tmp_path, advice=ADVICE)
    (tmp_path / "sub/b.bin").unlink()
    with pytest.raises(ValueError, match=r"b\.bin is missing"):
        check_manifest(tmp_path, advice=ADVICE)


def test_a_damaged_manifest_is_not_taken(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    write_manifest(tmp_path, ["a.txt"])
    content = (tmp_path / MANIFEST).read_bytes()
    for bit in range(0, 8 * len(content), 7):
        (tmp_path / MANIFEST).write_bytes(flipped(content, bit))
        with pytest.raises(ValueError, match=MANIFEST):
            check_manifest(tmp_path, advice=ADVICE)


def test_a_folder_without_a_manifest_is_not_judged(tmp_path):
    check_manifest(tmp_path, advice=ADVICE)


def test_files_that_are_replaced_are_taken_off_the_manifest_first_and_listed_last(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path, ["a.txt", "b.txt"])
    drop_from_manifest(tmp_path, ["a.txt"], advice=ADVICE)
    (tmp_path / "a.txt").write_text("half")
    check_manifest(tmp_path, advice=ADVICE)  # so a kill here leaves no damage, but what is not finished
    with pytest.raises(ValueError, match=rf"is not finished \({MANIFEST} does not list a\.txt\); train again"):
        check_listed(tmp_path, ["a.txt"], advice=ADVICE)
    (tmp_path / "a.txt").write_text("new")
    update_manifest(tmp_path, ["a.txt"], advice=ADVICE)
    check_listed(tmp_path, ["a.txt", "b.txt"], advice=ADVICE)
    (tmp_path / "b.txt").write_text("damaged")
    for check in (
        lambda: check_manifest(tmp_path, advice=ADVICE),
        lambda: check_listed(tmp_path, ["b.txt"], advice=ADVICE),
    ):
        with pytest.raises(ValueError, match=r"b\.txt is damaged"):
            check()


def test_files_of_a_folder_without_a_manifest_are_not_judged(tmp_path):
    check_listed(tmp_path, ["a.txt"], advice=ADVICE)
    assert not is_listed(tmp_path, "a.txt", advice=ADVICE)
