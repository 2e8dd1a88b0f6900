import json
from dataclasses import replace

import numpy as np

from flatrec.config import SplitSettings
from flatrec.data.dataset import CleaningReport, Dataset
from flatrec.data.features import Features
from flatrec.data.interactions import Interactions
from flatrec.data.summary import summarize
from flatrec.data.vocabulary import Vocabulary


def dataset():
    rows = np.array([[0, 0], [3, 3], [1, 2], [9, 9]], dtype=np.float32)
    users, items = np.array([[0, 0, 1, 1], [0, 1, 0, 2]], dtype=np.int32)
    return Dataset(
        "tiny",
        Interactions(users, items, np.array([0, 1, 0, 2], dtype=np.int8), 3, 4),
        Vocabulary("user", list("uvw")),
        Vocabulary("item", list("abcd")),
        features={"image": Features(rows, np.array([True, True, True, False]))},
        images=(None, None, None, None),
        cleaning_report=CleaningReport(filtered_events=2),
    )


def test_the_figures_are_those_worked_by_hand():
    one = summarize(dataset())
    assert (one.users, one.items, one.interactions, one.density) == (3, 4, 4, 4 / 12)
    assert [(part.interactions, part.users_without) for part in one.splits.values()] == [(2, 1), (1, 2), (1, 2)]
    assert (one.users_without_training, one.items_without_training) == (1, 3)
    image = one.features["image"]
    assert (image.width, image.missing, image.zero_rows, image.constant_rows) == (2, 1, 1, 1)
    assert (one.titles, one.images, one.cleaning_report.filtered_events) == (False, 0, 2)


def test_the_figures_can_be_written_as_json():
    loaded = json.loads(json.dumps(summarize(dataset()).as_dict()))
    assert loaded["splits"]["valid"] == {"interactions": 1, "users_without": 2}
    assert loaded["cleaning_report"]["filtered_events"] == 2


def test_the_figures_say_how_and_of_which_time_the_data_are():
    bare = summarize(dataset())
    assert (bare.split_method, bare.first, bare.last) == (None, None, None)
    times = np.array([86_400, 60, 172_800, 3_600])
    dated = dataset().with_interactions(replace(dataset().interactions, timestamps=times))
    one = summarize(dated.split_again(SplitSettings(method="none")))
    assert (one.split_method, one.first, one.last) == ("none", "1970-01-01T00:01:00", "1970-01-03")


def test_rows_of_data_in_memory_are_the_sum_of_what_became_of_them():
    counts = vars(summarize(dataset()).row_counts)
    assert counts["rows"] == counts["interactions"] + counts["filtered"] == 6
