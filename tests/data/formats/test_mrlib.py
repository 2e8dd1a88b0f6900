import os
import pickle

import numpy as np
import pytest
import torch

from flatrec.data.formats import mrlib

ROWS = [("userID", "itemID", "x_label"), ("0", "0", "0"), ("0", "1", "1"), ("1", "1", "0"), ("1", "2", "2")]


class Malicious:
    def __reduce__(self):
        return os.system, ("touch broken-into",)


def folder(path, rows=ROWS, separator=","):
    (path / "inter.csv").write_text("\n".join(map(separator.join, rows)) + "\n")
    return path


@pytest.mark.parametrize("separator", [",", "\t"])
def test_commas_and_tabs_are_both_read(tmp_path, separator):
    place = tmp_path / "baby"
    place.mkdir()
    data = mrlib.read(folder(place, separator=separator))
    assert data.name == "baby"
    assert data.interactions.items.tolist() == [0, 1, 1, 2]
    assert data.interactions.splits.tolist() == [0, 1, 0, 2]


def test_the_spelling_of_its_own_description_is_read_and_its_label_is_no_split(tmp_path):
    rows = [("user_id", "item_id", "rating", "label"), ("0", "2", "5", "1"), ("1", "0", "4", "1")]
    data = mrlib.read(folder(tmp_path, rows))
    assert data.interactions.items.tolist() == [2, 0]
    assert data.interactions.count("train") == 2


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16, torch.int32])
def test_tensors_of_any_number_type_are_features(tmp_path, kind):
    torch.save(torch.arange(6).reshape(3, 2).to(kind), tmp_path / "text_feat.pt")
    np.save(tmp_path / "visual_feat.npy", np.ones((3, 1)))
    data = mrlib.read(folder(tmp_path))
    assert data.features["text"].values.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert sorted(data.features) == ["text", "visual"]


def test_a_malicious_tensor_file_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(Malicious(), tmp_path / "text_feat.pt")
    with pytest.raises(ValueError, match=r"text_feat.pt cannot be read as a single PyTorch tensor") as caught:
        mrlib.read(folder(tmp_path))
    assert "\n" not in str(caught.value)
    (tmp_path / "text_feat.pt").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ValueError, match=r"text_feat.pt cannot be read as a single PyTorch tensor"):
        mrlib.read(tmp_path)
    assert not (tmp_path / "broken-into").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_what_is_no_tensor_file_is_refused(tmp_path, content):
    (tmp_path / "text_feat.pt").write_bytes(content)
    with pytest.raises(ValueError, match="text_feat.pt cannot be read"):
        mrlib.read(folder(tmp_path))


@pytest.mark.parametrize("value", [{"text": torch.ones(3, 1)}, torch.eye(3).to_sparse()])
def test_anything_but_one_dense_tensor_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "text_feat.pt")
    with pytest.raises(ValueError, match="instead of a dense tensor"):
        mrlib.read(folder(tmp_path))


def test_a_modality_in_two_files_is_refused(tmp_path):
    torch.save(torch.ones(3, 1), tmp_path / "text_feat.pt")
    np.save(tmp_path / "text_feat.npy", np.ones((3, 1)))
    with pytest.raises(ValueError, match=r"both text_feat.npy and text_feat.pt; keep one"):
        mrlib.read(folder(tmp_path))


def test_a_missing_column_is_answered_with_the_columns_found(tmp_path):
    with pytest.raises(ValueError, match=r"inter.csv has no column 'itemID'; its columns are \['userID', 'thing'\]"):
        mrlib.read(folder(tmp_path, [("userID", "thing"), ("0", "1")]))


def test_a_folder_without_interactions_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match="inter.csv is not a file"):
        mrlib.read(tmp_path)


def test_times_are_read(tmp_path):
    rows = [("userID", "itemID", "timestamp", "label"), ("0", "0", "1704445230", "1"), ("0", "1", "1704445231", "0")]
    interactions = mrlib.read(folder(tmp_path, rows)).interactions
    assert interactions.timestamps.tolist() == [1_704_445_230, 1_704_445_231]
