"""Scores by a perceptron of the product of two vectors, and AlignGroup with it on every path after training."""

import numpy as np
import pytest
import torch

import flatrec as library
from flatrec.inference.export import export_vectors
from flatrec.inference.run import Run
from flatrec.inference.storage import load_recommender, save_recommender
from flatrec.models.perceptron import ProductPerceptron
from flatrec.testing import block_dataset
from tests.models.settings import make

DOT = r"no inner products of vectors; train with --set model\.predictor=dot"


def by_the_equations(model):
    """The scores of all users and items in float64, by the tables and weights of AlignGroup."""
    encoded = model.eval().encode()
    persons, groups = model.nodes.detach().double(), encoded.aux["groups"].detach().double()
    propagated = encoded.aux["nodes"].detach().double()
    n_users, n_items = model.sizes
    hidden, _, output = (one for one in model.predictor)
    weights = [one.detach().double().numpy() for one in (hidden.weight, hidden.bias, output.weight, output.bias)]
    scores = np.zeros((n_users, n_items))
    for user in range(n_users):
        is_group = bool(model.is_group[user])
        vector = groups[model.row_of_group[user]] if is_group else persons[user]
        items = (propagated if is_group else persons)[n_users:]
        units = (vector * items).numpy() @ weights[0].T + weights[1]
        units = np.where(units > 0, units, 0.01 * units)
        scores[user] = 1 / (1 + np.exp(-(units @ weights[2][0] + weights[3][0])))
    return scores


@pytest.fixture(scope="module")
def trained():
    dataset = block_dataset()
    model = make("aligngroup", dataset, predictor="mlp", n_layers=2)
    return library.fit(dataset, model, "plain", training=library.Training(epochs=3, batch_size=64))


def test_the_scores_of_persons_and_groups_are_those_of_the_equations(trained):
    expected = by_the_equations(trained.model)
    rows = torch.arange(trained.dataset.n_users)
    np.testing.assert_allclose(trained.scoring().scores(rows).numpy(), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(trained.recommender.scoring.scores(rows).numpy(), expected, rtol=0, atol=1e-6)
    assert len(np.unique(expected.round(4))) > 50


def test_its_lists_are_those_of_sorting_the_equations(trained):
    expected, dataset = by_the_equations(trained.model), trained.dataset
    for user in (0, 1, *dataset.groups.indices.tolist()):
        seen = dataset.interactions.items[dataset.interactions.users == user]
        order = [item for item in np.argsort(-expected[user], kind="stable").tolist() if item not in seen]
        assert np.diff(-expected[user][order]).min() >= 0
        (listed,) = trained.recommend(dataset.users[user], len(order))
        scores = np.array([one.score for one in listed])
        np.testing.assert_allclose(scores, expected[user][order], rtol=0, atol=1e-6)
        gaps = -np.diff(expected[user][order])
        if (gaps > 1e-6).all():
            assert [one.item for one in listed] == [dataset.items[item] for item in order]


@pytest.mark.parametrize("users", ["persons", "groups"])
def test_full_and_sampled_metrics_are_those_of_its_scores(trained, users):
    metrics = ("ndcg", "sampled_hit_rate", "sampled_ndcg")
    run = Run(trained.dataset, trained.model, ks=(2, 5), metrics=metrics, users=users, sampled_negatives=6)
    found = run.evaluate("test")
    scores = torch.from_numpy(by_the_equations(trained.model))
    ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1).float()
    expected = library.evaluation.evaluate_scorer(
        lambda block: -ranks[block], run.scored, ks=(2, 5), split="test", metrics=metrics, sampled_negatives=6
    )
    assert found.users.tolist() == expected.users.tolist()
    assert found.metrics == expected.metrics


def test_one_item_for_all_users_is_a_column_of_the_scores(trained):
    scoring = trained.recommender.scoring
    column = scoring.scores_of_item(slice(3, 20), 4)
    torch.testing.assert_close(column, scoring.scores(torch.arange(3, 20))[:, 4], rtol=0, atol=1e-6)
    wanted = trained.recommender.who_wants(trained.dataset.items[4], 3)
    assert [one.score for one in wanted] == sorted((one.score for one in wanted), reverse=True)


def test_a_saved_recommender_gives_equal_bytes_and_equal_lists(trained, tmp_path):
    recommender = trained.recommender
    save_recommender(recommender, tmp_path / "one")
    loaded = load_recommender(tmp_path / "one")
    save_recommender(loaded, tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name
    users = list(recommender.users)
    assert loaded.recommend(users, 5, explain=True) == recommender.recommend(users, 5, explain=True)
    assert loaded.similar("item 0", 3) == recommender.similar("item 0", 3)


def test_a_recommender_without_some_users_scores_the_others_alike(trained):
    left = trained.recommender.without_users(["user 0", "user 7"])
    np.testing.assert_array_equal(left.score("user 6", "item 3"), trained.recommender.score("user 6", "item 3"))


def test_what_needs_vectors_names_the_dot_predictor(trained, tmp_path):
    recommender = trained.recommender
    refused = [
        recommender.with_index,
        lambda: recommender.recommend(None, history=["item 0"]),
        lambda: export_vectors(recommender, tmp_path / "vectors"),
    ]
    for call in refused:
        with pytest.raises(ValueError, match=DOT) as error:
            call()
        assert "\n" not in str(error.value)


def test_blocks_hold_two_matrices_at_most():
    parts = [torch.randn(shape) for shape in ((64, 8), (5000, 8), (8, 8), (8,), (8,), ())]
    scoring = ProductPerceptron(*parts)
    with torch.profiler.profile(profile_memory=True) as profiled:
        scoring.scores(torch.arange(64))
    current = peak = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            current += event.nbytes()
            peak = max(peak, current)
    assert peak < 2.2 * 64 * 5000 * 4


def test_equal_scores_of_reference_and_of_ranking(trained):
    model = trained.model.eval()
    encoded = model.encode()
    users, items = encoded.node_embeddings.split(model.sizes)
    direct = model.scores(users[:, None], items).squeeze(2)
    torch.testing.assert_close(model.scoring(encoded).scores(torch.arange(len(users))), direct, rtol=0, atol=1e-6)


def test_a_resumed_run_equals_one_in_one_go(tmp_path):
    data = block_dataset()
    common = dict(model_settings={"predictor": "mlp", "n_layers": 1}, seed=3)
    settings = {epochs: library.Training(epochs=epochs, batch_size=64) for epochs in (2, 4)}
    library.fit(data, "aligngroup", training=settings[2], out=tmp_path / "run", **common)
    resumed = library.fit(data, "aligngroup", training=settings[4], out=tmp_path / "run", resume=True, **common)
    once = library.fit(data, "aligngroup", training=settings[4], out=tmp_path / "once", **common)
    rows = torch.arange(data.n_users)
    assert torch.equal(resumed.scoring().scores(rows), once.scoring().scores(rows))
    one, other = (tmp_path / run / "recommender" / "recommender.safetensors" for run in ("run", "once"))
    assert one.read_bytes() == other.read_bytes()


def test_training_learns_the_blocks():
    run = library.fit(
        block_dataset(),
        "aligngroup",
        model_settings={"predictor": "mlp", "n_layers": 1},
        optimizer_settings={"lr": 0.05},
        training=library.Training(epochs=60, batch_size=64),
    )
    assert isinstance(run.scoring(), ProductPerceptron)
    assert run.result["test"]["recall@5"] > 0.8
