import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from flatrec.evaluation.significance import holm, levene, paired_test, spread

VALUES = [0.31, 0.35, 0.33, 0.36, 0.30]
BASELINE = [0.30, 0.31, 0.335, 0.32, 0.28]


def test_a_comparison_is_that_of_scipy():
    found = paired_test(VALUES, BASELINE)
    assert found.runs == 5
    assert found.gain == pytest.approx(np.mean(VALUES) / np.mean(BASELINE) - 1)
    assert found.t_p == pytest.approx(stats.ttest_rel(VALUES, BASELINE).pvalue)
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(VALUES, BASELINE).pvalue)


def test_a_comparison_is_as_worked_by_hand():
    # Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3), and for two degrees of freedom p = 1 - t / sqrt(2 + t^2).
    found = paired_test([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert found.gain == pytest.approx(1.0)
    t = 2 * math.sqrt(3)
    assert found.t_p == pytest.approx(1 - t / math.sqrt(2 + t**2))
    assert found.wilcoxon_p == pytest.approx(0.25)  # 2 of the 8 sign patterns


def test_a_comparison_does_not_care_who_is_the_baseline_but_for_the_gain():
    there, back = paired_test(VALUES, BASELINE), paired_test(BASELINE, VALUES)
    assert there.t_p == pytest.approx(back.t_p)
    assert there.wilcoxon_p == pytest.approx(back.wilcoxon_p)
    assert there.gain > 0 > back.gain


def test_values_are_compared_in_pairs():
    assert paired_test(VALUES, BASELINE).t_p != pytest.approx(paired_test(VALUES, BASELINE[::-1]).t_p)


def test_equal_lists_have_p_1():
    assert paired_test(VALUES, VALUES) == paired_test(VALUES, list(VALUES))
    found = paired_test(VALUES, VALUES)
    assert (found.gain, found.t_p, found.wilcoxon_p) == (0.0, 1.0, 1.0)


def test_a_constant_difference_has_no_t_test():
    found = paired_test([2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.t_p is None
    assert found.wilcoxon_p == pytest.approx(0.0625)


def test_a_constant_difference_up_to_rounding_has_none_either():
    baseline = [0.1, 0.2, 0.3, 0.7, 0.9]
    found = paired_test([value + 0.01 for value in baseline], baseline)
    assert found.t_p is None
    assert found.wilcoxon_p >= 0.0625


@pytest.mark.parametrize("runs", range(2, 9))
@pytest.mark.parametrize("step", [0.0, 1.0])
def test_wilcoxon_has_the_bound_that_is_stated(runs, step):
    baseline = [float(2 * number) for number in range(runs)]
    values = [value + 1 + step * number for number, value in enumerate(baseline)]
    assert paired_test(values, baseline).wilcoxon_p == pytest.approx(2.0 ** (1 - runs))


def test_one_seed_has_a_gain_but_no_p():
    found = paired_test([0.4], [0.2])
    assert (found.runs, found.gain, found.t_p, found.wilcoxon_p) == (1, pytest.approx(1.0), None, None)


def test_a_baseline_of_zero_has_no_gain():
    assert paired_test([0.1, 0.2], [0.0, 0.0]).gain is None


@pytest.mark.parametrize(("values", "baseline"), [([], []), ([1.0], []), ([1.0, 2.0], [1.0])])
def test_lists_that_do_not_pair_are_refused(values, baseline):
    with pytest.raises(ValueError, match=f"has {len(values)} and {len(baseline)}; run both with the same seeds"):
        paired_test(values, baseline)


def test_two_seeds_are_enough_for_a_p():
    assert paired_test([0.2, 0.4], [0.1, 0.2]).t_p == pytest.approx(stats.ttest_rel([0.2, 0.4], [0.1, 0.2]).pvalue)


def test_holm_is_as_worked_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, and never falling: the last is 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_1():
    assert holm([0.6, 0.4, 0.9]) == [1.0, 1.0, 1.0]


def test_a_missing_p_is_no_comparison():
    assert holm([None, 0.01, None, 0.02]) == pytest.approx([None, 0.02, None, 0.02])
    assert holm([None]) == [None]
    assert holm([]) == []


def test_holm_leaves_a_single_p_and_equal_ones_get_equal_corrections():
    assert holm([0.03]) == [0.03]
    assert holm([0.02, 0.02]) == [0.04, 0.04]


@given(some.lists(some.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_plain_values_and_bonferroni_and_keeps_their_order(p_values):
    corrected = holm(p_values)
    for p, one in zip(p_values, corrected, strict=True):
        assert p <= one <= min(1.0, p * len(p_values))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
    assert min(corrected) == min(1.0, min(p_values) * len(p_values))


def test_spread_is_mean_and_sample_deviation():
    assert spread([1.0, 2.0, 6.0]) == pytest.approx((3.0, math.sqrt((4 + 1 + 9) / 2)))
    assert spread([5.0]) == (5.0, 0.0)


@pytest.mark.parametrize("stretch", [1.0, 3.0])
def test_levene_is_that_of_scipy_about_medians(stretch):
    values = [0.5 + stretch * (value - 0.5) for value in (0.42, 0.55, 0.47, 0.61, 0.50)]
    found = levene(values, BASELINE)
    assert found == pytest.approx(stats.levene(values, BASELINE, center="median").pvalue)
    assert found != pytest.approx(stats.levene(values, BASELINE, center="mean").pvalue)


def test_levene_is_as_worked_by_hand():
    # Distances from the medians 2 and 20: 1, 0, 1 and 10, 0, 10. Their means 2/3 and 20/3 lie 3 to each side of 11/3:
    # between groups 2 * 3 * 9 = 54; within 2/3 + 200/3 = 202/3; F(1, 4) = 54 / (202/12).
    statistic = 54 / (202 / 12)
    assert levene([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]) == pytest.approx(stats.f.sf(statistic, 1, 4))


def test_levene_looks_at_the_spread_only():
    assert levene([value + 5 for value in VALUES], BASELINE) == pytest.approx(levene(VALUES, BASELINE))
    assert levene([0.1, 0.2, 0.9], [0.1, 0.2, 0.9]) == pytest.approx(1.0)


def test_levene_needs_three_values_of_each_and_some_spread():
    assert levene([0.1, 0.2], BASELINE) is None
    assert levene(BASELINE, [0.1, 0.2]) is None
    assert levene([0.5] * 3, [0.7] * 3) == 1.0


def test_a_gain_is_above_0_where_the_values_are_better():
    up, down = [2.0, 3.0, 4.5], [1.0, 2.0, 3.0]
    assert paired_test(up, down).gain == pytest.approx(9.5 / 6 - 1)
    assert paired_test(up, down, higher_is_better=False).gain == pytest.approx(1 - 9.5 / 6)
    assert paired_test(down, up, higher_is_better=False).gain == pytest.approx(1 - 6 / 9.5)
    assert paired_test(up, down).t_p == paired_test(up, down, higher_is_better=False).t_p


def test_pairs_with_a_value_that_is_not_defined_are_left_out():
    nan = float("nan")
    common = paired_test([1.0, 3.0, 2.5], [0.5, 2.0, 2.0])
    assert paired_test([1.0, nan, 3.0, 2.5, 9.0], [0.5, 7.0, 2.0, 2.0, nan]) == common
    assert common.runs == 3
    with pytest.raises(ValueError, match="each pair has a NaN"):
        paired_test([nan, 1.0], [1.0, nan])
