import torch

from flatrec.ops.row_differences import differences

THESE, THOSE = torch.tensor([0, 3, 3, 1]), torch.tensor([4, 3, 0, 2])


def table():
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)


def test_rows_less_rows():
    rows = table()
    torch.testing.assert_close(differences(rows, THESE, THOSE), rows[THESE] - rows[THOSE])
    assert not differences(rows, THESE, THOSE)[1].any()


def test_a_table_that_is_not_trained_gives_the_same():
    torch.testing.assert_close(differences(table().detach(), THESE, THOSE), differences(table(), THESE, THOSE))


def test_the_gradient_is_that_of_the_gathered_rows():
    rows, weights = table(), torch.arange(20.0, dtype=torch.float64).view(4, 5)
    (ours,) = torch.autograd.grad((differences(rows, THESE, THOSE) * weights).sum(), rows)
    (plain,) = torch.autograd.grad(((rows[THESE] - rows[THOSE]) * weights).sum(), rows)
    torch.testing.assert_close(ours, plain)


def test_derivatives_pass_the_numerical_check():
    assert torch.autograd.gradcheck(lambda rows: differences(rows, THESE, THOSE), (table(),))
    assert torch.autograd.gradgradcheck(lambda rows: differences(rows, THESE, THOSE) ** 2, (table(),))
