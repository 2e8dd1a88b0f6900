from dataclasses import replace

import numpy as np
import pytest

from flatrec.config import Evaluation, Experiment
from flatrec.evaluation.scored_users import scored_interactions
from flatrec.runs import selection
from flatrec.testing import block_dataset

DATA = block_dataset(blocks=2, users=5, items=6)  # users 3, 4, 8 and 9 are groups


@pytest.mark.parametrize(("kind", "users"), [("groups", {3, 4, 8, 9}), ("persons", {0, 1, 2, 5, 6, 7})])
def test_one_kind_is_scored_and_everybody_is_trained_on(kind, users):
    scored = scored_interactions(DATA, kind)
    for split in ("valid", "test"):
        assert set(scored.indices(split)[0].tolist()) == users
    assert (scored.matrix("train") != DATA.interactions.matrix("train")).nnz == 0
    assert (scored.n_users, scored.n_items) == (DATA.n_users, DATA.n_items)


def test_without_groups_all_users_are_persons():
    bare = replace(DATA, groups=None)
    assert scored_interactions(DATA, "all") is DATA.interactions
    assert scored_interactions(bare, "persons") is bare.interactions
    with pytest.raises(ValueError, match=r"evaluation.users is groups, but 'blocks' has no groups; add \[groups\]"):
        scored_interactions(bare, "groups")


def test_an_epoch_cannot_be_chosen_by_groups_without_validation():
    interactions = DATA.interactions
    of_groups = DATA.groups.is_group[interactions.users] & interactions.mask("valid")
    data = DATA.with_interactions(interactions.take(np.flatnonzero(~of_groups)))
    selection.check(Experiment(), data)
    with pytest.raises(ValueError, match="validation split of 'blocks' has no interaction of groups, but the best"):
        selection.check(Experiment(evaluation=Evaluation(users="groups")), data)


def test_settings_at_their_defaults_are_not_a_part_of_what_tells_runs_apart():
    assert set(Evaluation().decisive) == {"ks", "mask"}
    assert set(Evaluation(users="groups", sampled_negatives=5).decisive) == {"ks", "mask", "users", "sampled_negatives"}
