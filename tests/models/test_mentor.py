"""MENTOR: what is drawn for its views and masks, and when."""

import pytest
import torch

from flatrec import testing
from tests.models.settings import make

DATA = testing.block_dataset()


def views(model):
    encoded = model.encode()
    return encoded.aux["view_0"], encoded.aux["view_1"], encoded.node_embeddings


@pytest.mark.parametrize("kind", ["shared", "released"])
def test_nothing_is_drawn_in_evaluation(kind):
    model = make("mentor", DATA, views=kind, message_dropout=0.5, mask_rate=0.5).eval()
    for first, second in zip(views(model), views(model), strict=True):
        assert torch.equal(first, second)
    batch = testing.whole_batch(DATA)
    assert torch.equal(model.loss(model.encode(), batch), model.loss(model.encode(), batch))


def test_messages_of_a_view_are_dropped_apart_from_its_noise():
    one, other, _ = views(make("mentor", DATA, noise=0.0, message_dropout=0.5).train())
    assert not torch.allclose(one, other, atol=1e-3)
    for view in views(make("mentor", DATA, noise=0.0).train())[:2]:
        torch.testing.assert_close(view, views(make("mentor", DATA).eval())[2])
