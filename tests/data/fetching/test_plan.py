"""What is said before a download: license, terms, and how much will come."""

from __future__ import annotations

import json

import pytest

from flatrec.data.fetching.catalog import StatedCounts, parse_choices
from flatrec.data.fetching.download import fetch
from flatrec.data.fetching.plan import FetchSettings, plan_fetch
from tests.data.fetching import samples
from tests.data.fetching.server import serving


@pytest.fixture
def server():
    with serving() as (one, address):
        one.address = address
        yield one


def planned(dataset, out, **encoders):
    return plan_fetch(dataset, out, FetchSettings(encoders))


def test_the_size_is_the_sum_of_what_servers_and_publishers_say(server, tmp_path):
    server.files = samples.microlens()
    dataset = samples.sample(server, "microlens-100k", StatedCounts())
    plan = planned(dataset, tmp_path, video="none")
    wanted = [name for name in server.files if "video" not in name]
    assert plan.total == sum(len(server.files[name]) for name in wanted)
    terms, size = plan.sentences()
    assert terms.startswith("microlens-100k: license not stated; terms of use: altered copies must not be offered")
    assert size == f"microlens-100k: 4 files from {server.address[7:]}, {plan.total} bytes"
    assert not server.asked  # nothing but headers


def test_nothing_is_said_where_all_files_are_there(server, tmp_path):
    server.files = samples.dbbook()
    dataset = samples.sample(server, "dbbook-mm", StatedCounts())
    fetch(planned(dataset, tmp_path).files, tmp_path)
    server.heads.clear()
    again = planned(dataset, tmp_path)
    assert (again.sentences(), again.total, server.heads) == ([], 0, [])
    other = planned(dataset, tmp_path, text="all-mpnet-base-v2")  # text_feat.npy is there, but from another address
    assert [file.published_name for file in other.missing] == ["all-mpnet-base-v2.npy"]


def test_a_size_that_nobody_states_is_named(server, tmp_path):
    server.files, server.sizes = samples.microlens(), False
    dataset = samples.sample(server, "microlens-100k", StatedCounts())
    plan = planned(dataset, tmp_path, text="none", image="none", video="none")
    assert plan.total is None
    assert plan.sentences()[1].endswith(
        "2 files from " + server.address[7:] + ", 0 bytes and 2 of a size that is not stated"
    )


def test_a_server_with_another_size_is_refused_before_the_download(server, tmp_path):
    server.files = samples.dbbook()
    dataset = samples.sample(server, "dbbook-mm", StatedCounts())
    server.files["vit_cls.npy"] += b"x"
    with pytest.raises(
        ValueError, match=r"vit_cls\.npy has \d+ bytes, but its publisher states \d+; it is not the same"
    ):
        planned(dataset, tmp_path)
    assert not server.asked


def test_a_server_that_cannot_be_reached_is_asked_once(server, tmp_path, monkeypatch):
    asked = []

    def unreachable(address, method):
        asked.append((address, method))
        raise TimeoutError("silent")

    server.files = samples.microlens()
    dataset = samples.sample(server, "microlens-100k", StatedCounts())
    monkeypatch.setattr("flatrec.data.fetching.plan.open_url", unreachable)
    assert planned(dataset, tmp_path).sizes == (None,) * 5
    assert [method for _, method in asked] == ["HEAD"]


def test_a_record_states_license_size_and_checksum(server, tmp_path):
    server.files = samples.m3l()
    plan = planned(samples.sample(server, "m3l-20m", StatedCounts()), tmp_path)
    (file,) = plan.files
    assert file.size == len(server.files["MMRec_M3L-20M.zip"])
    assert file.checksum.startswith("md5:")
    assert plan.sentences()[0].startswith("m3l-20m: license cc-by-4.0; terms of use: the license of the Zenodo record")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"files": [{"key": "other.zip"}]}, r"has no file MMRec_M3L-20M\.zip, but other\.zip; download the right one"),
        ({"files": []}, r"has no file MMRec_M3L-20M\.zip, but none"),
        ({"hits": 3}, "is not the record of a data set"),
        ([], "is not the record of a data set"),
        ({"files": 3}, "is not the record of a data set"),
        ({"files": [{"key": "a"}], "metadata": {"license": "x"}}, "is not the record of a data set"),
    ],
)
def test_a_record_that_lacks_the_file_is_one_line(server, tmp_path, record, said):
    server.files = samples.m3l() | {"record.json": json.dumps(record).encode()}
    with pytest.raises(ValueError, match=said) as error:
        planned(samples.sample(server, "m3l-20m", StatedCounts()), tmp_path)
    assert "\n" not in str(error.value)


def test_a_record_that_cannot_be_read_is_one_line(server, tmp_path):
    server.files = samples.m3l()
    dataset = samples.sample(server, "m3l-20m", StatedCounts())
    del server.files["record.json"]
    with pytest.raises(ConnectionError, match=r"cannot get http.*record\.json \(.*"):
        planned(dataset, tmp_path)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"smell": "nose"}, "dbbook-mm: unknown modality 'smell'"),
        ({"text": "bert"}, "dbbook-mm: unknown encoder of text 'bert'.*all-MiniLM-L6-v2, all-mpnet-base-v2, none"),
    ],
)
def test_unknown_encoders_are_one_line(server, tmp_path, choices, said):
    server.files = samples.dbbook()
    with pytest.raises(ValueError, match=said):
        planned(samples.sample(server, "dbbook-mm", StatedCounts()), tmp_path, **choices)


@pytest.mark.parametrize("texts", [["text"], ["=x"], ["text="], ["text=a", "text=b"]])
def test_choices_have_one_form(texts):
    with pytest.raises(ValueError, match="--encoder must be MODALITY=ENCODER, once per modality, but is"):
        parse_choices(texts)
    assert parse_choices(["text=a", "image=none"]) == {"text": "a", "image": "none"}
