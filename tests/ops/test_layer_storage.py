import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec.ops.layer_storage import layer_dtype, layers_stored_as
from flatrec.ops.propagation import propagate
from flatrec.ops.spmm import Graph

HALF = torch.bfloat16


def graph_of(matrix, **options):
    return Graph(sparse.csr_array(np.asarray(matrix, dtype=np.float32)), **{"symmetric": False, **options})


@pytest.fixture
def graph():
    return graph_of(np.random.default_rng(0).standard_normal((6, 6)))


@pytest.fixture
def nodes():
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)


def by_hand(graph, x, layers, scale):
    """The sum in float32 whose entries and layers are rounded by hand."""
    matrix = torch.from_numpy(graph.coo().toarray()).to(HALF).float()
    first = x.detach().to(HALF).float()
    total = first
    for _ in range(layers):
        total = ((matrix @ total).to(HALF).float() + first).to(HALF).float()
    return total * scale


@pytest.mark.parametrize(("reduce", "divisor"), [("mean", 4), ("sum", 1)])
def test_entries_and_layers_are_rounded_and_sums_are_not(graph, nodes, reduce, divisor):
    with layers_stored_as(HALF):
        outcome = propagate(graph, nodes, 3, reduce)
    assert outcome.dtype == torch.float32
    torch.testing.assert_close(outcome, by_hand(graph, nodes, 3, 1 / divisor), rtol=2**-7, atol=1e-6)
    assert not torch.equal(outcome, propagate(graph, nodes, 3, reduce))


def test_a_sum_of_many_neighbors_does_not_lose_small_ones():
    graph = graph_of(np.ones((1, 1024)))
    wide = Graph(sparse.csr_array(sparse.vstack([graph.coo(), sparse.csr_array((1023, 1024))])), symmetric=False)
    with layers_stored_as(HALF):
        outcome = propagate(wide, torch.ones(1024, 1), 1, "sum")
    assert outcome[0].item() == 1024  # 1025, rounded once; adding up in bfloat16 would stop at 256


def test_numbers_of_few_digits_are_exact():
    graph = graph_of([[0, 2], [0.5, 0]])
    x = torch.tensor([[1.0], [3.0]])
    with layers_stored_as(HALF):
        outcome = propagate(graph, x, 2, "sum")
    assert outcome.tolist() == [[1 + 6 + 1], [3 + 0.5 + 3]]


def test_what_is_stored_has_eight_binary_digits():
    graph = graph_of([[1, 0], [0, 1]], symmetric=True)
    x = torch.tensor([[1 + 2**-9], [1 + 2**-7]])
    with layers_stored_as(HALF):
        assert propagate(graph, x, 1, "sum").tolist() == [[2], [2 + 2**-6]]


def test_gradients_are_propagated_over_the_transpose_in_the_same_way(graph, nodes):
    slope = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    with layers_stored_as(HALF):
        outcome = propagate(graph, nodes, 3, "mean")
    (gradient,) = torch.autograd.grad(outcome, nodes, slope)  # the context is over
    transposed = graph_of(graph.coo().toarray().T)
    with layers_stored_as(HALF):
        assert torch.equal(gradient, propagate(transposed, slope, 3, "mean"))


def test_second_derivatives_are_those_of_a_linear_map(graph, nodes):
    slope = torch.ones(6, 3, requires_grad=True)
    with layers_stored_as(HALF):
        outcome = propagate(graph, nodes, 2, "sum")
        expected = propagate(graph, torch.full((6, 3), 2.0), 2, "sum")
    (gradient,) = torch.autograd.grad(outcome, nodes, slope, create_graph=True)
    (second,) = torch.autograd.grad(gradient, slope, torch.full((6, 3), 2.0))
    assert torch.equal(second, expected)


@pytest.mark.parametrize("settings", [{"reduce": "last"}, {"dropout": 0.5}])
def test_last_layers_and_layers_with_dropout_are_as_without(graph, nodes, settings):
    torch.manual_seed(0)
    expected = propagate(graph, nodes, 2, **settings)
    torch.manual_seed(0)
    with layers_stored_as(HALF):
        assert torch.equal(propagate(graph, nodes, 2, **settings), expected)


def test_no_layer_is_the_identity(graph, nodes):
    with layers_stored_as(HALF):
        assert propagate(graph, nodes, 0) is nodes


def test_float32_changes_no_bit_within_another_context(graph, nodes):
    with layers_stored_as(HALF), layers_stored_as(torch.float32):
        inner = propagate(graph, nodes, 2)
    assert torch.equal(inner, propagate(graph, nodes, 2))


def test_the_type_is_restored_when_the_body_raises():
    with pytest.raises(KeyError), layers_stored_as(HALF):
        raise KeyError
    assert layer_dtype() is None


def test_the_result_has_the_type_of_the_graph(graph, nodes):
    with layers_stored_as(HALF):
        assert propagate(graph.double(), nodes.double(), 2).dtype == torch.float64
        assert propagate(graph.float(), nodes.to(HALF), 2).dtype == torch.float32


def test_rounded_entries_are_kept_and_belong_to_no_checkpoint(graph):
    rounded = graph.matrix.rounded(HALF)
    assert rounded.values.dtype == HALF
    assert graph.matrix.rounded(HALF) is rounded
    assert rounded.indices.data_ptr() == graph.matrix.indices.data_ptr()
    assert graph.double().matrix.rounded(HALF).values.dtype == HALF  # the whole graph was made float64
    assert not graph.state_dict()
