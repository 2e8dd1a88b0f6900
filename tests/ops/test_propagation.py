import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.ops.propagation import propagate
from flatrec.ops.spmm import Graph


@pytest.fixture
def matrix():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((6, 6)))


@pytest.fixture
def graph(matrix):
    return Graph(sparse.csr_array(matrix.numpy()), symmetric=False).double()


@pytest.fixture
def nodes():
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)


def powers(matrix, nodes, layers):
    return [torch.linalg.matrix_power(matrix, power) @ nodes for power in range(layers + 1)]


@pytest.mark.parametrize("layers", range(5))
def test_the_mean_of_layers_is_the_mean_of_powers(matrix, graph, nodes, layers):
    expected = torch.stack(powers(matrix, nodes, layers)).mean(dim=0)
    torch.testing.assert_close(propagate(graph, nodes, layers, reduce="mean"), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layers", range(5))
def test_the_sum_of_layers_is_the_sum_of_powers(matrix, graph, nodes, layers):
    expected = torch.stack(powers(matrix, nodes, layers)).sum(dim=0)
    torch.testing.assert_close(propagate(graph, nodes, layers, reduce="sum"), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layers", range(5))
def test_the_last_layer_is_the_last_power(matrix, graph, nodes, layers):
    expected = powers(matrix, nodes, layers)[-1]
    torch.testing.assert_close(propagate(graph, nodes, layers, reduce="last"), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("reduce", ["mean", "sum", "last"])
def test_no_layer_is_the_identity(graph, nodes, reduce):
    assert torch.equal(propagate(graph, nodes, 0, reduce), nodes)


@pytest.mark.parametrize("reduce", ["mean", "sum", "last"])
def test_the_input_is_left_as_it_is(graph, nodes, reduce):
    before = nodes.detach().clone()
    propagate(graph, nodes, 3, reduce)
    assert torch.equal(nodes, before)


@pytest.mark.parametrize("reduce", ["mean", "sum", "last"])
def test_derivatives_pass_the_numerical_check(graph, nodes, reduce):
    assert torch.autograd.gradcheck(lambda x: propagate(graph, x, 2, reduce), (nodes,))
    assert torch.autograd.gradgradcheck(lambda x: propagate(graph, x, 2, reduce) ** 2, (nodes,))


@pytest.mark.parametrize("reduce", ["mean", "sum", "last"])
def test_dropout_masks_the_output_of_each_layer_after_the_first(matrix, graph, nodes, reduce):
    torch.manual_seed(0)
    outcome = propagate(graph, nodes, 2, reduce=reduce, dropout=0.25)
    torch.manual_seed(0)
    first = torch.nn.functional.dropout(graph(nodes), 0.25)
    second = torch.nn.functional.dropout(graph(first), 0.25)
    masks = [layer == 0 for layer in (first, second)]
    one = torch.where(masks[0], 0, matrix @ nodes / 0.75)
    two = torch.where(masks[1], 0, matrix @ one / 0.75)
    expected = {"last": two, "sum": nodes + one + two, "mean": (nodes + one + two) / 3}[reduce]
    assert any(mask.any() for mask in masks)
    torch.testing.assert_close(outcome, expected, rtol=1e-5, atol=1e-5)


def test_without_training_nothing_is_dropped(graph, nodes):
    plain = propagate(graph, nodes, 2, reduce="mean")
    assert torch.equal(propagate(graph, nodes, 2, reduce="mean", dropout=0.5, training=False), plain)
