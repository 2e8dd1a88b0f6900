"""Archives are unpacked below their folder only, and hostile ones not at all."""

from __future__ import annotations

import io
import stat
import zipfile

import pytest

from flatrec.data.fetching import archives
from flatrec.data.fetching.archives import member_names, unpack
from flatrec.data.fetching.contents import check_contents
from flatrec.utils.integrity import MANIFEST, check_manifest
from tests.data.fetching.samples import zipped


def test_an_archive_is_unpacked_with_a_manifest(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"ml/ratings.csv": "userId,movieId\n1,2\n"}))
    (path,) = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert path == tmp_path / "out" / "ml" / "ratings.csv"
    assert path.read_text() == "userId,movieId\n1,2\n"
    assert (path.parent / MANIFEST).is_file()
    check_manifest(path.parent, advice="")


def test_only_the_chosen_members_are_unpacked_under_their_new_names(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"x/a.npy": "a", "x/b.npy": "b", "x/c.npy": "c"}))
    assert member_names(tmp_path / "a.zip") == ["x/a.npy", "x/b.npy", "x/c.npy"]
    (path,) = unpack(tmp_path / "a.zip", tmp_path / "out", {"x/b.npy": "text_feat.npy"})
    assert path.read_text() == "b"
    assert {one.name for one in (tmp_path / "out").rglob("*")} == {"text_feat.npy", MANIFEST}


@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", "a/../../escaped", "..\\escaped", "C:\\escaped", "."])
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    (tmp_path / "b.zip").write_bytes(zipped({"fine.csv": "x", name: "x"}))
    for refused in (lambda path: unpack(path, tmp_path / "out"), lambda path: check_contents(path, path.name)):
        with pytest.raises(ValueError, match="leads out of the folder; nothing was unpacked"):
            refused(tmp_path / "b.zip")
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "out").exists()


def special(kind):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        member = zipfile.ZipInfo("link.csv")
        member.create_system = 3
        member.external_attr = (kind | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    return data.getvalue()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_device_is_refused(tmp_path, kind):
    (tmp_path / "c.zip").write_bytes(special(kind))
    with pytest.raises(ValueError, match=r"c\.zip holds 'link\.csv', which is a link or no regular file"):
        unpack(tmp_path / "c.zip", tmp_path / "out")


def test_an_archive_that_would_fill_the_disk_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1000)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.csv", b"0" * 1_000_000)
    (tmp_path / "d.zip").write_bytes(data.getvalue())
    limit = 20 * len(data.getvalue())
    assert limit < 1_000_000
    for refused in (lambda path: unpack(path, tmp_path / "out"), lambda path: check_contents(path, path.name)):
        with pytest.raises(
            ValueError, match=rf"d\.zip would unpack to 1000000 bytes, but at most {limit} are unpacked"
        ):
            refused(tmp_path / "d.zip")


def test_a_name_that_is_repeated_in_upper_case_is_refused(tmp_path):
    (tmp_path / "e.zip").write_bytes(zipped({"a.csv": "x", "A.csv": "y"}))
    with pytest.raises(ValueError, match="holds 'A.csv' twice"):
        unpack(tmp_path / "e.zip", tmp_path / "out")


def test_a_manifest_cannot_be_forged(tmp_path):
    (tmp_path / "e.zip").write_bytes(zipped({"ml/a.csv": "x", f"ml/{MANIFEST}": "{}"}))
    with pytest.raises(ValueError, match="holds 'ml/flatrec-manifest.json', a name that is kept for flatrec"):
        unpack(tmp_path / "e.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    (tmp_path / "f.zip").write_bytes(zipped({"sub/a.csv": "x"}))
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(outside)
    with pytest.raises(ValueError, match="leads out of"):
        unpack(tmp_path / "f.zip", tmp_path / "out")
    assert not list(outside.iterdir())


@pytest.mark.parametrize("change", [(b"PK\x03\x04", b"XXXX"), (b"1,2,3", b"1,2,4")])
def test_a_damaged_member_is_one_line_and_leaves_no_file(tmp_path, change):
    (tmp_path / "h.zip").write_bytes(zipped({"a.csv": "1,2,3"}).replace(*change, 1))
    with pytest.raises(ValueError, match=r"h\.zip is damaged .*; fetch it again"):
        unpack(tmp_path / "h.zip", tmp_path / "out")
    assert not (tmp_path / "out" / "a.csv").exists()


def test_what_is_no_archive_is_one_line(tmp_path):
    (tmp_path / "g.zip").write_bytes(b"PK nothing")
    for refused in (lambda path: unpack(path, tmp_path / "out"), member_names):
        with pytest.raises(ValueError, match=r"g\.zip is damaged .*; fetch it again"):
            refused(tmp_path / "g.zip")
