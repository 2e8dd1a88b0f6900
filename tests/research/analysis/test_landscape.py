import numpy as np
import pytest
import torch

from flatrec.research.analysis.landscape import filter_normalized, random_directions, surface


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def bits(parameters):
    return [one.detach().numpy().tobytes() for one in parameters]


def awkward():
    """Values that arithmetic would not give back: a negative zero, a subnormal number, a NaN, and thirds."""
    table = torch.tensor([[-0.0, 1e-42], [float("nan"), 1 / 3]], requires_grad=True)
    return [table, torch.tensor([1e30, -1 / 7], requires_grad=True)]


def test_the_landscape_of_a_quadratic_is_the_quadratic_on_the_grid():
    table = torch.tensor([[1.0, -2.0]], dtype=torch.float64, requires_grad=True)
    bias = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    one = [torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)]
    other = [torch.tensor([[0.0, 3.0]], dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)]
    found = surface(
        lambda: table.square().sum() + 4 * bias.square().sum(), [table, bias], (one, other), reach=2.0, points=5
    )
    assert found.along.tolist() == found.across.tolist() == [-2, -1, 0, 1, 2]
    m, n = np.meshgrid(found.along, found.across, indexing="ij")
    expected = (1 + m) ** 2 + (-2 + 3 * n) ** 2 + 4 * (0.5 + 2 * m - n) ** 2
    assert not np.allclose(expected, expected.T)  # lest rows and columns could be mixed up
    np.testing.assert_allclose(found.losses, expected, rtol=1e-12)


def test_rows_are_of_the_first_direction_and_columns_of_the_second():
    point = torch.zeros(2, requires_grad=True)
    ways = ([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 1.0])])
    found = surface(lambda: 10 * point[0] + point[1], [point], ways, reach=1.0, points=3)
    assert found.losses.tolist() == [[-11, -10, -9], [-1, 0, 1], [9, 10, 11]]


def test_the_setting_of_the_paper_has_400_points_to_100_on_both_sides():
    point = torch.zeros(3, requires_grad=True)
    ways = random_directions([point], seeded()), random_directions([point], seeded(1))
    found = surface(lambda: point.square().sum(), [point], ways, reach=100.0, points=20)
    assert found.losses.shape == (20, 20)
    assert found.losses.dtype == found.along.dtype == np.float64
    assert (found.along[0], found.along[-1]) == (-100, 100)
    np.testing.assert_allclose(np.diff(found.along), 200 / 19)


def test_every_point_is_reached_from_the_middle():
    # In float32 a step of 1 / 3 on 1e6 is rounded; steps added up, or undone, would end elsewhere.
    point = torch.tensor([1e6, 1e-3], requires_grad=True)
    one, other = torch.tensor([1 / 3, 1 / 3]), torch.tensor([1e-4, 7.0])
    middle, seen = point.detach().clone(), []

    def loss():
        seen.append(point.detach().clone())
        return point.sum()

    found = surface(loss, [point], ([one], [other]), reach=1.0, points=7)
    grid = [(m, n) for m in found.along.tolist() for n in found.across.tolist()]
    assert len(seen) == len(grid) == 49
    for (m, n), place in zip(grid, seen, strict=True):
        assert torch.equal(place, middle.add(one, alpha=m).add(other, alpha=n))
    assert torch.equal(seen[24], middle)


def test_parameters_are_restored_bit_for_bit():
    parameters = awkward()
    ways = random_directions(parameters, seeded()), random_directions(parameters, seeded(1))
    before, moved = bits(parameters), []

    def loss():
        moved.append(bits(parameters) != before)
        return parameters[1].sum()

    surface(loss, parameters, ways, reach=3.0, points=4)
    assert all(moved)
    assert bits(parameters) == before
    assert all(one.requires_grad and one.grad is None for one in parameters)


def test_parameters_are_restored_bit_for_bit_when_the_loss_raises():
    parameters = awkward()
    ways = random_directions(parameters, seeded()), random_directions(parameters, seeded(1))
    before, calls = bits(parameters), []

    def loss():
        calls.append(bits(parameters))
        if len(calls) == 3:
            raise KeyError("third call")
        return parameters[1].sum()

    with pytest.raises(KeyError, match="third call"):
        surface(loss, parameters, ways, reach=1.0, points=4)
    assert calls[-1] != before
    assert bits(parameters) == before


def test_directions_are_only_read():
    point = torch.ones(2, 2, requires_grad=True)
    ways = random_directions([point], seeded()), random_directions([point], seeded(1))
    before = [bits(way) for way in ways]
    surface(lambda: point.sum(), [point], ways, reach=1.0, points=3)
    assert [bits(way) for way in ways] == before


def test_losses_that_are_not_finite_are_kept_as_nan():
    # 1 / 0 is infinite, and the root of a negative number none.
    point = torch.zeros(2, requires_grad=True)
    ways = ([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 1.0])])
    found = surface(lambda: 1 / point[0] + point[1].sqrt(), [point], ways, reach=1.0, points=3)
    nan = np.nan
    np.testing.assert_array_equal(found.losses, [[nan, -1, 0], [nan, nan, nan], [nan, 1, 2]])


@pytest.mark.parametrize(("reach", "points"), [(0.0, 5), (-1.0, 5), (float("inf"), 5), (float("nan"), 5), (1.0, 1)])
def test_a_grid_that_is_none_is_refused(reach, points):
    point = torch.zeros(2, requires_grad=True)
    ways = [torch.ones(2)], [torch.ones(2)]
    with pytest.raises(ValueError, match="reach must be positive and points at least 2"):
        surface(lambda: point.sum(), [point], ways, reach=reach, points=points)


def test_random_directions_are_standard_normal_and_shaped_like_the_parameters():
    parameters = [torch.full((300, 100), 50.0, requires_grad=True), torch.zeros(7, dtype=torch.float64)]
    found = random_directions(parameters, seeded())
    assert [(one.shape, one.dtype) for one in found] == [(one.shape, one.dtype) for one in parameters]
    assert not any(one.requires_grad for one in found)
    # The mean of 30,000 draws deviates by 0.006, their deviation by 0.004: these bounds are five times that.
    assert abs(float(found[0].mean())) < 0.03
    assert abs(float(found[0].std()) - 1) < 0.02


def test_random_directions_depend_on_the_generator_alone():
    parameters = [torch.zeros(3, 2), torch.zeros(4)]
    one, again = (random_directions(parameters, seeded(3)) for _ in range(2))
    torch.manual_seed(1)
    other = random_directions(parameters, seeded(4))
    assert bits(one) == bits(again)
    assert all(a != b for a, b in zip(bits(one), bits(other), strict=True))
    stream = seeded(3)
    assert bits(random_directions(parameters, stream)) != bits(random_directions(parameters, stream))


def test_random_directions_are_drawn_on_the_cpu_and_moved_to_the_parameters():
    # "meta" stands for a device that cannot draw from a generator of the CPU.
    (found,) = random_directions([torch.empty(3, 2, device="meta")], seeded())
    assert found.device.type == "meta"


def test_rows_are_normalized_as_worked_by_hand():
    direction = torch.tensor([[3.0, 4.0], [1.0, 0.0], [5.0, 12.0]])
    table = torch.tensor([[0.0, 10.0], [0.0, 0.0], [-6.0, 2.5]], requires_grad=True)  # of lengths 10, 0 and 6.5
    (found,) = filter_normalized([direction], [table])
    torch.testing.assert_close(found, torch.tensor([[6.0, 8.0], [0.0, 0.0], [2.5, 6.0]]))
    assert not found.requires_grad


def test_a_filter_with_more_dimensions_is_one_row():
    direction, table = torch.ones(2, 2, 2), torch.zeros(2, 2, 2)
    table[0, 1, 0], table[1] = 6.0, 2.0
    (found,) = filter_normalized([direction], [table])
    torch.testing.assert_close(found, torch.stack([torch.full((2, 2), 3.0), torch.full((2, 2), 2.0)]))


@pytest.mark.parametrize("shape", [(3,), ()])
def test_biases_are_not_moved(shape):
    (found,) = filter_normalized([torch.ones(shape)], [torch.full(shape, 2.0)])
    assert torch.equal(found, torch.zeros(shape))


def test_a_row_of_zeros_in_a_direction_stays_one():
    (found,) = filter_normalized([torch.tensor([[0.0, 0.0], [0.0, 2.0]])], [torch.ones(2, 2)])
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [0.0, 2**0.5]]))
