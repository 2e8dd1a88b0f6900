import math
from itertools import combinations

import numpy as np
import pytest
import torch

from flatrec.research.analysis.regression import Regression
from flatrec.research.analysis.theory import convergence, tracking

RATES = (0.3, 0.03, 0.003)


def drawn(n_samples=32, dim=3, seed=0, **settings):
    return Regression.drawn(n_samples, dim, generator=torch.Generator().manual_seed(seed), **settings)


def steep(problem, theta):
    """The gradient of all data, in NumPy."""
    x, y = problem.features.numpy(), problem.labels.numpy()
    return problem.ridge * theta - (y / (1 + np.exp(y * (x @ theta)))) @ x / len(y)


def by_hand(problem, name, *, gamma, radius, steps, lam=0.6, kappa=0.6):
    """Full gradients g and BSAM's m, where the batch is all of the data; radius goes from t to rho."""
    theta = m = np.zeros(problem.features.shape[1])
    gradients, means = [], []
    for t in range(1, steps + 1):
        g = steep(problem, theta)
        m = (1 - lam) * g + lam * m
        v = g - np.abs(g - m).sum() * m if name.startswith("bsam") else g
        there = g if name.startswith("plain") else steep(problem, theta + radius(t) * v / np.linalg.norm(v))
        theta = theta - gamma * (kappa * there + (1 - kappa) * g if name.endswith("+") else there)
        gradients.append(g)
        means.append(m)
    return np.array(gradients), np.array(means)


@pytest.fixture(scope="module")
def followed():
    return tracking(drawn(64), learning_rates=RATES, steps=300, batch_size=8)


@pytest.fixture(scope="module")
def fallen():
    return convergence(drawn(64), horizons=(16, 32, 64), gamma0=4.0, batch_size=8, seeds=(0, 1))


def test_the_gradient_is_that_of_autograd():
    problem = drawn()
    theta = torch.linspace(-1, 2, 3, dtype=torch.float64, requires_grad=True)
    (want,) = torch.autograd.grad(problem.loss(theta), theta)
    assert torch.allclose(problem.gradient(theta.detach()), want, rtol=0, atol=1e-14)


def test_the_loss_is_as_worked_by_hand():
    # Margins 2 and -3, and a ridge of 0.5 * (1 + 4) / 2.
    problem = Regression(torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([1.0, -1.0]), ridge=0.5)
    theta = torch.tensor([1.0, 2.0])
    assert float(problem.loss(theta)) == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.exp(3))) / 2 + 1.25)
    assert float(problem.loss(theta, torch.tensor([0]))) == pytest.approx(math.log1p(math.exp(-2)) + 1.25)


def test_beta_is_the_largest_curvature_which_is_at_0():
    problem = drawn()
    curvature = torch.autograd.functional.hessian(problem.loss, torch.zeros(3, dtype=torch.float64))
    assert problem.smoothness() == pytest.approx(float(torch.linalg.eigvalsh(curvature)[-1]))


def test_the_variance_of_all_batches_is_below_m():
    problem = drawn(7, ridge=0.3)
    for theta in torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3:
        for size in (1, 2, 6, 7):
            gaps = []
            for rows in combinations(range(7), size):
                part = Regression(problem.features[list(rows)], problem.labels[list(rows)], problem.ridge)
                gaps.append(float((part.gradient(theta) - problem.gradient(theta)).square().sum()))
            assert np.mean(gaps) <= problem.variance(size) + 1e-12


def test_m_is_as_worked_by_hand():
    # Squared lengths 4 and 4 over n - 1 = 1, times what is left out of the data, 1 / 2, over a batch of 1.
    problem = Regression(torch.tensor([[2.0], [-2.0]]), torch.ones(2))
    assert problem.variance(1) == pytest.approx(4.0)
    assert problem.variance(2) == 0


def test_the_lowest_loss_is_where_the_gradient_vanishes():
    problem = drawn()
    theta = torch.zeros(3, dtype=torch.float64)
    for _ in range(300):
        theta = theta - problem.gradient(theta) / problem.smoothness()
    assert problem.gradient(theta).norm() < 1e-9
    assert problem.lowest_loss() == pytest.approx(float(problem.loss(theta)), abs=1e-10)


def test_labels_follow_the_model_that_drew_them():
    problem = drawn(2000, 2, seed=3)
    assert set(problem.labels.tolist()) == {-1.0, 1.0}
    assert problem.lowest_loss() < 0.95 * math.log(2)  # the loss of features that say nothing


def test_m_is_the_gradient_where_all_weight_is_on_a_batch_of_all_samples():
    # gamma = C = 1 make lambda 0, so m = g, and g is grad L_S.
    found = tracking(drawn(), learning_rates=[1.0], steps=20, batch_size=32)
    assert found.lams == (0.0,)
    assert found.errors[0] < 1e-15
    assert found.slope is None


def test_the_error_goes_to_0_at_the_minimum_where_a_batch_is_all_samples():
    short, long = (tracking(drawn(), learning_rates=[1.0], lam=0.6, rho=0.0, steps=n, batch_size=32) for n in (10, 300))
    assert short.errors[0] > 1e-4
    assert long.errors[0] < 1e-10


@pytest.mark.parametrize("rho", [0.0, 0.2])
def test_errors_are_as_worked_by_hand(rho):
    problem = drawn()
    found = tracking(problem, learning_rates=[0.3, 0.1], constant=0.5, rho=rho, steps=7, batch_size=32)
    for gamma, lam, error in zip((0.3, 0.1), found.lams, found.errors, strict=True):
        assert lam == pytest.approx(1 - 0.5 * gamma ** (2 / 3))
        gradients, means = by_hand(problem, "bsam", gamma=gamma, radius=lambda _: rho, steps=7, lam=lam)
        assert error == pytest.approx(np.linalg.norm(means - gradients, axis=1)[3:].mean(), rel=1e-10)


def test_the_error_falls_with_the_learning_rate_about_as_theorem_2_says(followed):
    assert followed.errors[0] > followed.errors[1] > followed.errors[2]
    assert followed.power == pytest.approx(1 / 3)
    assert abs(followed.slope - followed.power) < 0.1


def test_the_slope_is_that_of_the_logarithms(followed):
    first, last = followed.errors[0] / followed.errors[1], followed.errors[1] / followed.errors[2]
    # Three points at equal distances: the middle one has no say.
    assert followed.slope == pytest.approx(math.log(first * last) / math.log(100))


def test_the_error_stays_where_lambda_does_not_follow_the_learning_rate(followed):
    fixed = tracking(drawn(64), learning_rates=(0.3, 0.003), lam=0.6, steps=300, batch_size=8)
    assert fixed.lams == (0.6, 0.6)
    assert fixed.errors[1] > 0.7 * fixed.errors[0]
    assert followed.errors[2] < 0.3 * followed.errors[0]


def test_equal_seeds_give_equal_errors_and_others_do_not():
    one, same, other = (tracking(drawn(), learning_rates=[0.1], steps=20, batch_size=4, seed=s) for s in (1, 1, 2))
    assert one == same
    assert one.errors != other.errors


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    tracking(drawn(), learning_rates=[0.1], steps=4, batch_size=4)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["plain", "plain+", "sam", "sam+", "bsam", "bsam+"])
def test_gradients_are_as_worked_by_hand(name):
    problem = drawn()
    (found,) = convergence(problem, strategies=[name], horizons=[9, 4], rho0=0.3, gamma0=2.0, batch_size=32, seeds=[0])
    assert (found.strategy, found.horizons) == (name, (4, 9))
    for horizon, value in zip(found.horizons, found.measured, strict=True):
        gamma = 2 / math.sqrt(horizon)
        gradients, _ = by_hand(problem, name, gamma=gamma, radius=lambda t: 0.3 / t, steps=horizon)
        assert value == pytest.approx((gradients**2).sum(axis=1).mean(), rel=1e-10)


def test_measured_gradients_lie_below_rate_and_bound_and_fall_about_as_one_over_the_root(fallen):
    assert [one.strategy for one in fallen] == ["plain", "sam", "bsam", "bsam+"]
    for one in fallen:
        assert one.below
        assert all(value < bound for value, bound in zip(one.measured, one.bounds, strict=True))
        assert abs(one.slope + 0.5) < 0.15
        assert one.slope < one.rate_slope


def test_the_rate_passes_through_the_first_value(fallen):
    for one in fallen:
        assert one.rates[0] == pytest.approx(one.measured[0])
        want = [one.constant * math.log(horizon) / math.sqrt(horizon) for horizon in (16, 32, 64)]
        assert one.rates == pytest.approx(want)
        assert one.rate_slope == pytest.approx(math.log(want[2] / want[0]) / math.log(4))


def test_a_value_far_above_the_rate_is_noticed():
    # Steps so short that the gradients have hardly begun to fall in either run.
    (found,) = convergence(drawn(), strategies=["plain"], horizons=(8, 100), rho0=0.0, gamma0=0.01, seeds=[0])
    assert found.measured[1] > 1.1 * found.rates[1]
    assert not found.below


def test_values_are_means_over_seeds():
    settings = {"strategies": ["bsam"], "horizons": [8], "batch_size": 4}
    (both,) = convergence(drawn(), **settings, seeds=[1, 2])
    one, other = (convergence(drawn(), **settings, seeds=[seed])[0].measured[0] for seed in (1, 2))
    assert one != other
    assert both.measured[0] == pytest.approx((one + other) / 2)
    assert both.deviations[0] == pytest.approx(abs(one - other) / math.sqrt(2))
    assert both == convergence(drawn(), **settings, seeds=[1, 2])[0]


def test_the_two_batches_of_a_mixed_step_differ():
    first, second = (
        convergence(drawn(), strategies=["plain+"], kappa=kappa, horizons=[8], batch_size=4, seeds=[0])[0]
        for kappa in (1.0, 0.0)
    )
    assert first.measured != second.measured


def test_the_bound_is_as_worked_by_hand():
    problem = drawn()
    delta, beta, m = math.log(2) - problem.lowest_loss(), problem.smoothness(), problem.variance(8)
    settings = {"horizons": [16], "rho0": 0.5, "gamma0": 3.0, "kappa": 0.25, "batch_size": 8, "seeds": [0]}
    plain, bsam, mixed = convergence(problem, strategies=("plain", "bsam", "bsam+"), **settings)
    assert plain.bounds[0] == pytest.approx(2 * delta / 12 + 2 * m * beta * 3 / 4)
    rise = 0.25 * beta**2
    assert bsam.bounds[0] == pytest.approx(2 * delta / 12 + (2 * m + rise) * beta * 3 / 4 + rise * math.log(16) / 4)
    # 2 / 16 - 2 / 4 + 1 = 0.625
    rise /= 16
    assert mixed.bounds[0] == pytest.approx(2 * delta / 12 + (1.25 * m + rise) * beta * 3 / 4 + rise * math.log(16) / 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rates": [0.1, 0.0]}, "learning_rates must be positive and finite, but is 0.1, 0.0"),
        ({"learning_rates": [-0.1]}, "learning_rates must be positive and finite, but is -0.1"),
        ({"learning_rates": [math.nan]}, "learning_rates must be positive and finite, but is nan"),
        ({"learning_rates": []}, "learning_rates must be positive and finite, but is missing"),
        ({"constant": 0.0}, "constant must be positive and finite, but is 0.0"),
        ({"constant": 9.0}, r"lambda = 1 - 9.0 \* 0.3\^\(2/3\) must not be below 0, but is -3.03"),
        ({"lam": 1.0}, r"lam must lie in \[0, 1\), but is 1.0"),
        ({"rho": -1.0}, "rho"),
        ({"steps": 1}, "steps must be at least 2, but is 1"),
        ({"batch_size": 33}, "batch_size must lie between 1 and the 32 samples, but is 33"),
        ({"batch_size": 0}, "batch_size must lie between 1 and the 32 samples, but is 0"),
    ],
)
def test_tracking_refuses_what_makes_no_sense(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        tracking(drawn(), **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizons": [64, 0]}, r"horizons must be at least 2, .* but are \[64, 0\]"),
        ({"horizons": [1]}, r"horizons must be at least 2, .* but are \[1\]"),
        ({"horizons": []}, r"horizons must be at least 2, .* but are \[\]"),
        ({"gamma0": 0.0}, "gamma0 must be positive and finite, but is 0.0"),
        ({"gamma0": 1000.0}, r"gamma0 must be at most sqrt\(T\) / beta = .* at T = 64, but is 1000.0; lower it"),
        ({"rho0": -1.0}, "rho0 be at least 0, but they are .* -1.0"),
        ({"kappa": 2.0}, r"kappa must lie in \[0, 1\], but is 2.0"),
        ({"seeds": []}, "seeds must not be empty"),
        ({"strategies": ["mg"]}, "Theorems 3 and 4 cover plain, .* but not 'mg'"),
        ({"batch_size": 33}, "batch_size must lie between 1 and the 32 samples, but is 33"),
    ],
)
def test_convergence_refuses_what_makes_no_sense(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        convergence(drawn(), **{"strategies": ["bsam+"], "seeds": [0], **settings})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: drawn(ridge=0.0), "ridge must be positive and finite, but is 0.0"),
        (lambda: drawn(n_samples=0), "n_samples and dim must be positive and finite, but is 0, 3"),
        (lambda: Regression(torch.ones(2, 1), torch.tensor([1.0, 0.0])), "labels must be 1 or -1, but one is 0.0"),
    ],
)
def test_a_regression_refuses_what_makes_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()
