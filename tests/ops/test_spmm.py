import copy

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.autograd import gradcheck, gradgradcheck

from flatrec.ops.spmm import Graph, row_differences


def random_matrix(n_rows, n_columns, seed=0, density=0.3):
    stream = np.random.default_rng(seed)
    dense = stream.standard_normal((n_rows, n_columns)) * (stream.random((n_rows, n_columns)) < density)
    return dense.astype(np.float32)


def symmetric_matrix(n, seed=0):
    half = random_matrix(n, n, seed)
    return half + half.T


def tensor(*shape, seed=1, dtype=torch.float32):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=stream, dtype=torch.float64).to(dtype)


SHAPES = [(5, 5), (3, 7), (7, 3), (1, 4), (4, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_product_equals_dense_algebra(shape):
    matrix, dense = random_matrix(*shape, seed=3, density=0.6), tensor(shape[1], 4)
    product = Graph(sparse.csr_array(matrix), symmetric=False)(dense)
    torch.testing.assert_close(product, torch.from_numpy(matrix) @ dense)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_derivative_is_the_product_with_the_transpose(shape):
    matrix, dense, weight = random_matrix(*shape, seed=3, density=0.6), tensor(shape[1], 4), tensor(shape[0], 4, seed=2)
    dense.requires_grad_()
    product = Graph(sparse.csr_array(matrix), symmetric=False)(dense)
    (gradient,) = torch.autograd.grad((product * weight).sum(), dense)
    torch.testing.assert_close(gradient, torch.from_numpy(matrix).T @ weight)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("width", [1, 3])
def test_both_derivatives_pass_the_numerical_check(symmetric, width):
    matrix = symmetric_matrix(6) if symmetric else random_matrix(4, 6)
    graph = Graph(sparse.csr_array(matrix), symmetric=symmetric).double()
    dense = tensor(6, width, dtype=torch.float64).requires_grad_()
    assert gradcheck(graph, (dense,))
    assert gradgradcheck(graph, (dense,))
    # The product is linear, so its second derivative is zero; a cubic of it has one that depends on both directions.
    assert gradgradcheck(lambda x: graph(x) ** 3, (dense,))


def test_a_symmetric_graph_gives_the_derivative_without_a_second_copy():
    matrix = symmetric_matrix(6)
    dense, weight = tensor(6, 2).requires_grad_(), tensor(6, 2, seed=2)
    alone, both = (Graph(sparse.csr_array(matrix), symmetric=one) for one in (True, False))
    gradients = [torch.autograd.grad((graph(dense) * weight).sum(), dense)[0] for graph in (alone, both)]
    torch.testing.assert_close(*gradients)
    assert len(list(both.buffers())) == 2 * len(list(alone.buffers()))


def test_a_promise_of_symmetry_that_is_false_shows_that_the_transpose_is_used():
    # Guards the test above: with a matrix that is not symmetric the two derivatives differ.
    matrix = sparse.csr_array(np.array([[0, 1], [0, 0]], dtype=np.float32))
    dense = torch.tensor([[1.0], [1.0]], requires_grad=True)
    right = torch.autograd.grad(Graph(matrix, symmetric=False)(dense).sum(), dense)[0]
    wrong = torch.autograd.grad(Graph(matrix, symmetric=True)(dense).sum(), dense)[0]
    assert right.flatten().tolist() == [0, 1]
    assert wrong.flatten().tolist() == [1, 0]


def test_rows_without_an_entry_give_zero():
    matrix = np.zeros((4, 3), dtype=np.float32)
    matrix[1, 2] = 5
    dense = tensor(3, 2).requires_grad_()
    product = Graph(sparse.csr_array(matrix), symmetric=False)(dense)
    assert product[[0, 2, 3]].eq(0).all()
    torch.testing.assert_close(product[1], 5 * dense[2])
    (gradient,) = torch.autograd.grad(product.sum(), dense)
    assert gradient.tolist() == [[0, 0], [0, 0], [5, 5]]


@pytest.mark.parametrize(("shape", "symmetric"), [((3, 3), True), ((3, 3), False), ((2, 4), False)])
def test_a_matrix_without_entries_gives_zero_and_gradient_zero(shape, symmetric):
    graph = Graph(sparse.csr_array(shape, dtype=np.float32), symmetric=symmetric)
    dense = tensor(shape[1], 2).requires_grad_()
    product = graph(dense)
    assert torch.equal(product, torch.zeros(shape[0], 2))
    assert torch.equal(torch.autograd.grad(product.sum(), dense)[0], torch.zeros_like(dense))


def test_a_dense_matrix_that_is_not_contiguous_is_fine_forward_and_backward():
    matrix = torch.from_numpy(random_matrix(5, 4))
    graph = Graph(sparse.csr_array(matrix.numpy()), symmetric=False)
    wide = tensor(3, 8).requires_grad_()
    dense = wide.T[::2]
    assert not dense.is_contiguous()
    product = graph(dense)
    torch.testing.assert_close(product, matrix @ dense)
    weight = tensor(3, 5, seed=2).T
    (gradient,) = torch.autograd.grad(product, wide, weight)
    expected = torch.zeros_like(wide)
    expected[:, ::2] = (matrix.T @ weight).T
    torch.testing.assert_close(gradient, expected)


def test_a_gradient_that_is_an_expanded_scalar_is_fine():
    matrix = random_matrix(5, 4)
    dense = tensor(4, 2).requires_grad_()
    Graph(sparse.csr_array(matrix), symmetric=False)(dense).sum().backward()
    torch.testing.assert_close(dense.grad, torch.from_numpy(matrix.sum(axis=0))[:, None].expand(-1, 2))


def test_entries_given_twice_are_added():
    matrix = sparse.csr_array((np.ones(3, dtype=np.float32), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    assert Graph(matrix, symmetric=False)(torch.eye(2)).tolist() == [[0, 2], [1, 0]]


def test_coo_gives_the_matrix_back():
    matrix = random_matrix(4, 6)
    stored = Graph(sparse.csr_array(matrix), symmetric=False).coo()
    assert stored.shape == (4, 6)
    np.testing.assert_array_equal(stored.toarray(), matrix)


def test_a_later_change_of_the_matrix_does_not_reach_the_graph():
    matrix = sparse.csr_array(np.eye(2, dtype=np.float32))
    graph = Graph(matrix, symmetric=True)
    matrix.data[:] = 7
    assert graph(torch.eye(2)).tolist() == [[1, 0], [0, 1]]


def test_the_matrix_follows_to_another_type_but_not_to_disk():
    graph = Graph(sparse.csr_array(np.eye(2, dtype=np.float32)), symmetric=True)
    assert not graph.state_dict()
    assert graph.double()(torch.eye(2, dtype=torch.float64)).dtype == torch.float64
    assert torch.equal(copy.deepcopy(graph)(torch.eye(2, dtype=torch.float64)), torch.eye(2, dtype=torch.float64))


def test_a_symmetric_matrix_must_be_square():
    with pytest.raises(ValueError, match="square, but this one is 2 by 3"):
        Graph(sparse.csr_array((2, 3), dtype=np.float32), symmetric=True)


ROWS, SUBTRACTED = torch.tensor([0, 3, 3, 1]), torch.tensor([4, 3, 0, 2])


def table():
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)


def test_row_differences_are_rows_less_rows():
    rows = table()
    torch.testing.assert_close(row_differences(rows, ROWS, SUBTRACTED), rows[ROWS] - rows[SUBTRACTED])
    assert not row_differences(rows, ROWS, SUBTRACTED)[1].any()


def test_a_table_that_is_not_trained_gives_the_same():
    torch.testing.assert_close(
        row_differences(table().detach(), ROWS, SUBTRACTED), row_differences(table(), ROWS, SUBTRACTED)
    )


def test_the_gradient_of_row_differences_is_that_of_the_gathered_rows():
    rows, weights = table(), torch.arange(20.0, dtype=torch.float64).view(4, 5)
    (ours,) = torch.autograd.grad((row_differences(rows, ROWS, SUBTRACTED) * weights).sum(), rows)
    (plain,) = torch.autograd.grad(((rows[ROWS] - rows[SUBTRACTED]) * weights).sum(), rows)
    torch.testing.assert_close(ours, plain)


def test_derivatives_of_row_differences_pass_the_numerical_check():
    assert torch.autograd.gradcheck(lambda rows: row_differences(rows, ROWS, SUBTRACTED), (table(),))
    assert torch.autograd.gradgradcheck(lambda rows: row_differences(rows, ROWS, SUBTRACTED) ** 2, (table(),))


def test_row_differences_elsewhere_sort_nothing():
    rows = table().detach().to("meta").requires_grad_()
    differences = row_differences(rows, ROWS.to("meta"), SUBTRACTED.to("meta"))
    assert differences.shape == (4, 5)
    assert torch.autograd.grad(differences.sum(), rows)[0].shape == rows.shape
