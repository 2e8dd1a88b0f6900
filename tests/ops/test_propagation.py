import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.ops.propagation import last_layer, mean_of_layers, sum_of_layers
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
    torch.testing.assert_close(mean_of_layers(graph, nodes, layers), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layers", range(5))
def test_the_sum_of_layers_is_the_sum_of_powers(matrix, graph, nodes, layers):
    expected = torch.stack(powers(matrix, nodes, layers)).sum(dim=0)
    torch.testing.assert_close(sum_of_layers(graph, nodes, layers), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layers", range(5))
def test_the_last_layer_is_the_last_power(matrix, graph, nodes, layers):
    expected = powers(matrix, nodes, layers)[-1]
    torch.testing.assert_close(last_layer(graph, nodes, layers), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("propagate", [mean_of_layers, sum_of_layers, last_layer])
def test_no_layer_is_the_identity(graph, nodes, propagate):
    assert torch.equal(propagate(graph, nodes, 0), nodes)


@pytest.mark.parametrize("propagate", [mean_of_layers, sum_of_layers, last_layer])
def test_the_input_is_left_as_it_is(graph, nodes, propagate):
    before = nodes.detach().clone()
    propagate(graph, nodes, 3)
    assert torch.equal(nodes, before)


@pytest.mark.parametrize("propagate", [mean_of_layers, sum_of_layers, last_layer])
def test_derivatives_pass_the_numerical_check(graph, nodes, propagate):
    assert torch.autograd.gradcheck(lambda x: propagate(graph, x, 2), (nodes,))
    assert torch.autograd.gradgradcheck(lambda x: propagate(graph, x, 2) ** 2, (nodes,))
