"""AlignGroup against stored numbers of its release, for both tasks and both predictors; see reference/stored.py."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec import testing
from flatrec.data.batches import Batch
from flatrec.data.dataset import Dataset
from flatrec.data.groups import Groups
from flatrec.data.interactions import Interactions
from flatrec.data.vocabulary import Vocabulary
from flatrec.graphs.groups import jaccard
from flatrec.losses.direct_au import DirectAULoss
from flatrec.losses.softmax import SoftmaxLoss
from flatrec.models import AlignGroup
from tests.models.reference.stored import FOLDER, Place, close
from tests.models.settings import make

FILES = sorted(FOLDER.glob("*/aligngroup.npz"))
ABSENT = pytest.param(
    None, marks=pytest.mark.skip(reason=f"no reference numbers in {FOLDER}; set FLATREC_REFERENCE"), id="absent"
)
PREFIXES = {"": ("mlp", "group"), "dot/": ("dot", "group"), "user/": ("mlp", "user"), "userdot/": ("dot", "user")}


def dataset_of(there):
    """Persons first, then groups; their interactions alike."""
    n_users, n_items, n_groups = (int(there[f"meta/n_{name}"]) for name in ("users", "items", "groups"))
    users = np.concatenate([there["train/user"], there["input/group_item_group"] + n_users])
    items = np.concatenate([there["train/item"], there["input/group_item_item"]])
    everyone = n_users + n_groups
    return Dataset(
        "reference",
        Interactions(users, items, np.zeros(len(users), np.int8), everyone, n_items),
        Vocabulary("user", [str(number) for number in range(everyone)]),
        Vocabulary("item", [str(number) for number in range(n_items)]),
        groups=Groups(there["input/member_group"] + n_users, there["input/member_user"], everyone),
    )


def places(n_users, n_groups, n_layers, predictor):
    """Where each parameter of theirs stands in ours."""
    everyone = n_users + n_groups
    found = {
        "user_embedding.weight": Place("nodes", 0, n_users),
        "group_embedding.weight": Place("nodes", n_users, everyone),
        "item_embedding.weight": Place("nodes", everyone),
    }
    for part in ("weight", "bias"):
        for layer in range(n_layers):
            theirs = f"hyper_graph_conv.hgnns.{layer}.aggregation.{part}"
            found[theirs] = Place(f"aggregations.{layer}.{part}")
        if predictor == "mlp":
            found[f"predict.linear.0.{part}"] = Place(f"predictor.0.{part}")
            found[f"predict.linear.3.{part}"] = Place(f"predictor.2.{part}")
    return found


def case_of(path, prefix):
    with np.load(path) as file:
        there = dict(file)
    settings = json.loads(path.with_suffix(".json").read_text())["hyper_parameters"]
    predictor, task = PREFIXES[prefix]
    dataset = dataset_of(there)
    n_users = int(there["meta/n_users"])
    model = AlignGroup(
        dataset,
        AlignGroup.Config(
            embedding_dim=settings["emb_dim"],
            n_layers=settings["layers"],
            temperature=settings["temp"],
            alignment_weight=settings["cl_weight"],
            predictor=predictor,
        ),
    )
    where = places(n_users, int(there["meta/n_groups"]), settings["layers"], predictor)
    state = {name: torch.full_like(one, torch.nan) for name, one in model.named_parameters()}
    for theirs, place in where.items():
        place.of(state).copy_(torch.from_numpy(there[f"param/{theirs}"]))
    assert all(one.isfinite().all() for one in state.values()), "a parameter of ours has no origin"
    model.load_state_dict(state)
    names = ("input/batch_group", "input/batch_pos", "input/batch_neg")
    if task == "user":
        names = ("batch/users", "batch/pos", "batch/neg")
    users, positives, negatives = (torch.from_numpy(there[name]) for name in names)
    batch = Batch(users + n_users * (task == "group"), positives, negatives[:, None])
    return SimpleNamespace(
        model=model, there=there, batch=batch, places=where, n_users=n_users, prefix=prefix, task=task, dataset=dataset
    )


@pytest.fixture(
    params=[
        pytest.param((path, prefix), id=f"{path.parent.name}-{prefix or 'main/'}"[:-1])
        for path in FILES
        for prefix in PREFIXES
    ]
    or [ABSENT]
)
def case(request):
    return case_of(*request.param)


def test_no_variant_is_passed_over():
    for path in FILES:
        with np.load(path) as there:
            found = {name.removesuffix("loss/total") for name in there.files if name.endswith("loss/total")}
        assert found == set(PREFIXES), path


def test_graphs(case):
    n_users, n_items = case.n_users, case.dataset.n_items
    groups = case.dataset.groups.indices
    persons = case.dataset.groups.person_indices
    nodes = np.concatenate([persons, case.dataset.n_users + np.arange(n_items)])
    dense = {name: graph.coo().toarray() for name, graph in case.model.graphs.named_children()}
    ours = {
        "group_user_mean": dense["members"][:, persons],
        "group_item_mean": dense["items"][:, case.dataset.n_users :],
        "node_group_mean": dense["nodes"][nodes],
        "group_overlap": dense["overlap"],
    }
    theirs = {name.split("/")[1] for name in case.there if name.startswith("graph/") and name.endswith("/shape")}
    assert set(ours) == theirs
    assert not dense["nodes"][groups].any()
    assert not dense["members"][:, n_users:].any()
    for name, graph in ours.items():
        row, column, values, shape = (case.there[f"graph/{name}/{part}"] for part in ("row", "col", "val", "shape"))
        expected = np.zeros(shape)
        expected[row, column] = values
        np.testing.assert_allclose(graph, expected, rtol=0, atol=1e-6, err_msg=name)
        assert np.count_nonzero(graph) == len(values), name


def test_representations_and_scores(case):
    there, model = case.there, case.model.eval()
    encoded = model.encode()
    persons, groups = case.dataset.groups.person_indices, case.dataset.groups.indices
    users, items = encoded.node_embeddings.split(model.sizes)
    propagated = encoded.aux["nodes"]
    close(propagated[persons], there["out/user"], 1e-6)
    close(propagated[case.dataset.n_users :], there["out/item"], 1e-6)
    close(encoded.aux["groups"], there["out/group"], 1e-6)
    close(items[:, items.shape[1] // 2 :], there["out/item"], 1e-6)
    where = "" if "dot" not in case.prefix else "dot/"
    for rows, name in ((groups, "scores"), (persons, "user_task_scores")):
        close(model.scores(users[rows][:, None], items).squeeze(2), there[f"{where}out/{name}"], 2e-6)
        close(model.scoring(encoded).scores(torch.from_numpy(rows)), there[f"{where}out/{name}"], 2e-6)
    if where:
        users, items = model.user_item_embeddings(encoded)
        close((users @ items.T)[groups], there["dot/out/scores"], 2e-6)
        close((users @ items.T)[persons], there["dot/out/user_task_scores"], 2e-6)


def test_centers_of_members(case):
    if case.task == "group":
        rows = case.model.row_of_group[case.batch.users]
        close(case.model.centers(case.model.encode())[rows], case.there["mid/centers"], 1e-6)


def test_loss_of_a_batch_of_one_kind_and_each_of_its_terms(case):
    encoded = case.model.train().encode()
    terms = case.model.loss_terms(encoded, case.batch)
    names = {"ranking/groups": "bpr", "alignment": "align"} if case.task == "group" else {"ranking/persons": "total"}
    for ours, theirs in names.items():
        assert terms[ours].item() == pytest.approx(float(case.there[f"{case.prefix}loss/{theirs}"]), rel=2e-6), ours
    assert set(terms) == {*names, "alignment"}
    total = case.model.loss(encoded, case.batch)
    assert total.item() == pytest.approx(float(case.there[f"{case.prefix}loss/total"]), rel=2e-6)


def test_gradient_of_every_parameter(case):
    loss = case.model.train().loss(case.model.encode(), case.batch)
    names, params = zip(*case.model.named_parameters(), strict=True)
    gradients = dict(zip(names, torch.autograd.grad(loss, params, materialize_grads=True), strict=True))
    for theirs, place in case.places.items():
        ours = place.of(gradients).numpy()
        there = case.there.get(f"{case.prefix}grad/{theirs}", np.zeros(ours.shape, np.float32))
        assert np.linalg.norm(ours - there) / max(1e-3, np.linalg.norm(there)) <= 2e-4, theirs
    stored = {name.removeprefix(f"{case.prefix}grad/") for name in case.there if name.startswith(f"{case.prefix}grad/")}
    assert stored <= set(case.places)


@pytest.fixture
def blocks():
    return testing.block_dataset()


def test_a_mixed_batch_has_the_mean_of_each_kind(blocks):
    model, batch = make("aligngroup", blocks, n_layers=2), testing.whole_batch(blocks)
    encoded = model.encode()
    of_groups = model.is_group[batch.users]
    parts = [batch.with_indices(*(column[rows] for column in batch.indices)) for rows in (of_groups, ~of_groups)]
    alone = sum(model.loss(encoded, part) for part in parts)
    assert model.loss(encoded, batch).item() == pytest.approx(alone.item(), rel=1e-6)
    assert [name for name in model.loss_terms(encoded, parts[1])] == ["ranking/persons", "alignment"]


def test_groups_and_persons_share_no_column(blocks):
    model = make("aligngroup", blocks)
    users, _ = model.user_item_embeddings(model.encode())
    own, propagated = users.chunk(2, dim=1)
    groups = blocks.groups.is_group
    assert not own[groups].any()
    assert not propagated[~groups].any()
    assert own[~groups].all(dim=1).all()
    assert propagated[groups].any(dim=1).all()


@pytest.mark.parametrize("loss", [SoftmaxLoss(cosine=True), DirectAULoss()])
def test_a_loss_of_cosines_reads_the_half_of_its_kind(blocks, loss):
    model, batch = make("aligngroup", blocks), testing.whole_batch(blocks)
    model.replace_ranking(loss)
    encoded = model.encode()
    terms = model.loss_terms(encoded, batch)
    persons = batch.with_indices(*(column[~model.is_group[batch.users]] for column in batch.indices))
    table = model.nodes
    vectors = (table[persons.users], table[persons.positives + 30], table[persons.negatives + 30])
    assert terms["ranking/persons"].item() == pytest.approx(loss(*vectors, persons).item(), rel=1e-6)


def test_the_overlap_of_two_sets_is_as_worked_by_hand():
    # {a, b, c}, {b, c, d}, {d}, {e}: 2 of 4 between the first two, 1 of 3 between the second and the third.
    sets = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]], dtype=np.float32)
    third = 1 / 3
    expected = [[1, 0.5, 0, 0], [0.5, 1, third, 0], [0, third, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(jaccard(sparse.csr_array(sets)).toarray(), expected)


def test_data_without_groups_are_refused():
    with pytest.raises(ValueError, match=r"needs groups of users, but 'blocks' has none; add \[groups\]"):
        make("aligngroup", testing.block_dataset(users=2))


def test_the_perceptron_has_no_vectors_that_rank(blocks):
    model = make("aligngroup", blocks, predictor="mlp")
    assert model.loss(model.encode(), testing.whole_batch(blocks)).isfinite()
    with pytest.raises(ValueError, match=r"no inner products of vectors; train with --set model\.predictor=dot"):
        model.user_item_embeddings(model.encode())
