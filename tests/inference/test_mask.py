import torch

from flatrec.evaluation.evaluate import Mask
from flatrec.inference.run import Run
from flatrec.models.popularity import Popularity
from flatrec.testing import block_dataset


def recommended(mask: Mask):
    dataset = block_dataset()
    run = Run(dataset, Popularity(dataset), mask=mask)
    return [one.item for one in run.recommend(dataset.users[0], k=dataset.n_items)[0]]


def test_what_a_user_has_is_recommended_only_if_nothing_is_masked():
    dataset = block_dataset()
    users, items = dataset.interactions.users, dataset.interactions.items
    bought = {dataset.items[int(item)] for item in items[users == 0]}
    assert bought
    assert bought.isdisjoint(recommended("train"))
    assert sorted(recommended("none")) == sorted(dataset.items)


def test_the_order_is_that_of_the_scores():
    dataset = block_dataset()
    counts = torch.tensor(dataset.interactions.item_counts("train"))
    listed = [dataset.items.index_of(item) for item in recommended("none")]
    assert counts[listed].tolist() == sorted(counts.tolist(), reverse=True)
