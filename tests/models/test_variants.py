"""What the public numbers do not cover, against dense algebra written here from the equations."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import sparse

from flatrec import testing
from flatrec.data.features import Features
from flatrec.graphs.cosine import cosine_graph
from flatrec.graphs.knn import knn_matrix
from flatrec.models import mmgcn
from flatrec.ops.spmm import Graph
from flatrec.utils import seeding
from tests.models.settings import make

THREE = ("audio", "image", "text")


@pytest.fixture
def dataset():
    return testing.block_dataset(modalities=THREE)


@pytest.fixture
def batch(dataset):
    return testing.whole_batch(dataset)


def array(tensor):
    return tensor.detach().double().numpy()


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def leaky(values, slope=0.01):
    return np.where(values > 0, values, slope * values)


def affine(module, rows):
    return rows @ array(module.weight).T + array(module.bias)


def softmax(values):
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def adjacency(dataset):
    bought = dataset.interactions.matrix("train").toarray().astype(np.float64)
    users, items = bought.shape
    return np.block([[np.zeros((users, users)), bought], [bought.T, np.zeros((items, items))]])


def symmetric(dataset):
    edges = adjacency(dataset)
    roots = (edges.sum(axis=1) + 1e-7) ** -0.5
    return roots[:, None] * edges * roots


def features(dataset):
    return {name: dataset.features[name].values.astype(np.float64) for name in sorted(dataset.features)}


def mean_of_layers(graph, nodes, layers):
    total, power = nodes, nodes
    for _ in range(layers):
        power = graph @ power
        total = total + power
    return total / (layers + 1)


def ranked(model):
    users, items = model.eval().user_item_embeddings(model.encode())
    return array(users), array(items)


def margins(users, items, batch):
    return (users[batch.users] * (items[batch.positives] - items[batch.negatives[:, 0]])).sum(axis=1)


def bpr(users, items, batch):
    return np.log1p(np.exp(-margins(users, items, batch))).mean()


def nce(anchors, partners, temperature):
    logits = anchors @ partners.T / temperature
    return (np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)).mean()


def test_bpr_and_its_gradient(dataset, batch):
    model = make("bpr", dataset, reg_weight=0.7)
    table, n_users, n = array(model.nodes), dataset.n_users, len(batch)
    users, positives, negatives = (
        numbers.numpy() for numbers in (batch.users, batch.positives + n_users, batch.negatives[:, 0] + n_users)
    )
    slope = -1 / (1 + np.exp(margins(table[:n_users], table[n_users:], batch)))[:, None] / n
    expected = np.zeros_like(table)
    np.add.at(expected, users, slope * (table[positives] - table[negatives]))
    np.add.at(expected, positives, slope * table[users])
    np.add.at(expected, negatives, -slope * table[users])
    norms = {}
    for name, numbers in (("users", users), ("positives", positives), ("negatives", negatives)):
        norms[name] = np.linalg.norm(table[numbers])
        np.add.at(expected, numbers, 0.7 * table[numbers] / norms[name] / n)
    loss = model.loss(model.encode(), batch)
    assert loss.item() == pytest.approx(
        bpr(table[:n_users], table[n_users:], batch) + 0.7 * sum(norms.values()) / n, rel=1e-6
    )
    (gradient,) = torch.autograd.grad(loss, model.nodes)
    np.testing.assert_allclose(array(gradient), expected, atol=1e-7)
    np.testing.assert_array_equal(np.concatenate(ranked(model)), table)


def test_ngcf_drops_entries_of_the_graph_and_scales_the_rest(dataset):
    model = make("ngcf", dataset, hidden_dims=(6,), message_dropout=0.0, node_dropout=0.5)
    torch.manual_seed(0)
    nodes = array(model.train().encode().node_embeddings)
    torch.manual_seed(0)
    kept = torch.nn.functional.dropout(model.graph.full.matrix.values, 0.5)
    entries, graph = model.graph.full.coo(), np.zeros(model.graph.full.shape)
    graph[entries.row, entries.col] = array(kept)
    assert set(np.unique(np.round(graph / np.where(graph > 0, symmetric(dataset), 1), 4))) == {0, 2}
    table = array(model.nodes)
    near = graph @ table
    hidden = unit(leaky(affine(model.sums[0], table + near) + affine(model.products[0], near * table), 0.2))
    np.testing.assert_allclose(nodes, np.concatenate([table, hidden], axis=1), atol=1e-5)
    with torch.no_grad():
        full = make("ngcf", dataset, hidden_dims=(6,), message_dropout=0.0).eval()
        assert torch.equal(model.eval().encode().node_embeddings, full.encode().node_embeddings)


def test_layergcn_alternates_between_draws_by_degree_and_uniform_ones(dataset, monkeypatch):
    heard = []

    def spy(interactions, rate, generator, weighting):  # noqa: ARG001
        heard.append(weighting)
        return interactions

    monkeypatch.setattr("flatrec.graphs.epoch_graph.drop_edges", spy)
    model = make("layergcn", dataset)
    for epoch in range(1, 4):
        model.on_epoch_start(seeding.generator(0, "model", epoch))
    resumed = make("layergcn", dataset)
    resumed.load_state_dict(model.state_dict())
    resumed.on_epoch_start(seeding.generator(0, "model", 4))
    assert heard == ["degree", "uniform", "degree", "uniform"]


def test_vbpr_with_three_modalities(dataset):
    model = make("vbpr", dataset)
    users, items = ranked(model)
    seen = affine(model.projection, np.concatenate(list(features(dataset).values()), axis=1))
    np.testing.assert_allclose(items, np.concatenate([array(model.items), seen], axis=1), atol=1e-6)
    np.testing.assert_array_equal(users, array(model.users))


@pytest.mark.parametrize("n_items", [3, 9])
def test_mmgcn_convolves_on_the_smaller_side_with_the_same_outcome(n_items):
    stream = np.random.default_rng(0)
    layer = mmgcn._Layer(4, 2, first=True)
    shares = stream.random((6, n_items)).astype(np.float32)
    graphs = [Graph(sparse.csr_array(half), symmetric=False) for half in (shares, shares.T)]
    hidden, ids = (
        [stream.standard_normal((rows, width)).astype(np.float32) for rows in (6, n_items)] for width in (4, 2)
    )
    found = layer(*graphs, *([torch.from_numpy(side) for side in sides] for sides in (hidden, ids)))
    means = [shares @ hidden[1] @ array(layer.convolution), shares.T @ hidden[0] @ array(layer.convolution)]
    for outcome, mean, before, own in zip(found, means, hidden, ids, strict=True):
        both = np.concatenate([leaky(mean), leaky(affine(layer.own, before)) + own], axis=1)
        np.testing.assert_allclose(array(outcome), leaky(affine(layer.joined, both)), atol=1e-5)


def test_mmgcn_averages_three_modalities_of_which_only_images_are_mapped(dataset, batch):
    model = make("mmgcn", dataset, n_layers=2)
    edges = adjacency(dataset)
    mean = edges / edges.sum(axis=1, keepdims=True)
    ids, total = array(model.nodes), 0
    for place, (name, table) in enumerate(features(dataset).items()):
        items = affine(model.maps["image"], table) if name == "image" else table
        hidden = unit(np.concatenate([array(model.preferences[place]), items]))
        for layer in model.networks[place]:
            near = leaky(mean @ (hidden @ array(layer.convolution)))
            own = leaky(affine(layer.own, hidden)) + ids
            hidden = leaky(affine(layer.joined, np.concatenate([near, own], axis=1)))
        total = total + hidden / 3
    users, items = ranked(model)
    np.testing.assert_allclose(np.concatenate([users, items]), total, atol=1e-5)
    terms = model.loss_terms(model.encode(), batch)
    assert terms["squares/preferences"].item() == pytest.approx((array(model.preferences[1]) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize("routings", [0, 2])
def test_grcn_refines_preferences_as_often_as_it_is_told(dataset, routings):
    model = make("grcn", dataset, n_routings=routings)
    linked, n_users = adjacency(dataset) > 0, dataset.n_users
    views, weights = [], []

    def attention(nodes):
        return softmax(np.where(linked, nodes @ nodes.T, -np.inf))

    for place, table in enumerate(features(dataset).values()):
        items = unit(leaky(affine(model.projections[place], table)))
        users = unit(array(model.preferences[place]))
        for _ in range(routings):
            nodes = np.concatenate([users, items])
            users = unit(users + (attention(nodes) @ nodes)[:n_users])
        nodes = np.concatenate([users, items])
        views.append(nodes + attention(nodes) @ nodes)
        weights.append(attention(nodes) * array(model.confidence)[:, place])
    graph = np.maximum(np.max(weights, axis=0), 0)
    ids = unit(array(model.nodes))
    near = graph @ ids
    expected = np.concatenate([ids + near + graph @ near, *views], axis=1)
    np.testing.assert_allclose(np.concatenate(ranked(model)), expected, atol=1e-5)


def towers(model, dataset, layers=2):
    """X_m of DualGNN and DRAGON, users and items apart."""
    graph, outcome = symmetric(dataset), []
    for tower, table in zip(model.towers, features(dataset).values(), strict=True):
        items = affine(tower.narrow, leaky(affine(tower.wide, table)))
        nodes = unit(np.concatenate([array(tower.preference), items]))
        outcome.append(np.split(mean_of_layers(graph, nodes, layers) * (layers + 1), [dataset.n_users]))
    return [users for users, _ in outcome], [items for _, items in outcome]


def over_user_graph(dataset, own):
    bought = dataset.interactions.matrix("train").toarray().astype(np.float64)
    common = bought @ bought.T
    np.fill_diagonal(common, 0)
    return own + softmax(np.where(common > 0, common, -np.inf)) @ own


@pytest.mark.parametrize("fusion", ["intended", "released"])
def test_dualgnn_adds_three_modalities_up(dataset, batch, fusion):
    model = make("dualgnn", dataset, fusion=fusion)
    of_users, of_items = towers(model, dataset)
    if fusion == "released":
        of_users[0] = sum(of_users)
    weights = array(model.user_weights)
    own = sum(weights[:, [place]] * one for place, one in enumerate(of_users))
    users, items = ranked(model)
    np.testing.assert_allclose(users, over_user_graph(dataset, own), atol=1e-5)
    np.testing.assert_allclose(items, sum(of_items), atol=1e-5)
    squares = sum((array(tower.preference)[batch.users] ** 2).mean() for tower in model.towers)
    squares += (weights**2).mean() + (array(model.item_weights) ** 2).mean()
    expected = bpr(users, items, batch) / math.log(2) + 1e-3 * squares
    assert model.loss(model.encode(), batch).item() == pytest.approx(expected, rel=1e-5)


def test_dragon_puts_three_modalities_side_by_side(dataset, batch):
    model = make("dragon", dataset, image_weight=0.4)
    of_users, of_items = towers(model, dataset)
    weights = array(model.user_weights)
    own = np.concatenate([weights[:, [place]] * one for place, one in enumerate(of_users)], axis=1)
    joined = np.concatenate(of_items, axis=1)
    shares = {"audio": 0.3, "image": 0.4, "text": 0.3}
    alike = sum(share * knn_matrix(dataset.features[name].values, 4).toarray() for name, share in shares.items())
    users, items = ranked(model)
    np.testing.assert_allclose(users, over_user_graph(dataset, own), atol=1e-5)
    np.testing.assert_allclose(items, joined + alike @ joined, atol=1e-5)
    squares = sum((array(tower.preference)[batch.users] ** 2).mean() for tower in model.towers) + (weights**2).mean()
    expected = bpr(users, items, batch) / math.log(2) + 1e-3 * squares
    assert model.loss(model.encode(), batch).item() == pytest.approx(expected, rel=1e-5)


def cohesion_layers(model, dataset, tower, table):
    ids, own = array(model.items), affine(tower.narrow, leaky(affine(tower.wide, table)))
    nodes = unit(np.concatenate([array(tower.preference), np.sqrt((ids**2 + own**2) / 2 + 1e-8)]))
    total, hidden = nodes, nodes
    for _ in range(model.config.n_layers):
        near = symmetric(dataset) @ hidden
        hidden = (unit(near) * unit(nodes)).sum(axis=1, keepdims=True) * near
        total = total + hidden
    return np.split(total, [dataset.n_users])


@pytest.mark.parametrize("n_negatives", [1, 3])
def test_cohesion_weighs_ids_and_three_modalities(dataset, n_negatives):
    model = make("cohesion", dataset, n_layers=3)
    batch = testing.whole_batch(dataset)
    drawn = (batch.negatives + torch.arange(n_negatives)) % dataset.n_items
    batch = batch.with_indices(batch.users, batch.positives, drawn)
    tables = [array(model.items), *features(dataset).values()]
    shares = {"audio": 0.45, "image": 0.1, "text": 0.45}
    alike = sum(share * knn_matrix(dataset.features[name].values, 4).toarray() for name, share in shares.items())
    users, items = [], []
    for tower, table in zip([model.id_tower, *model.towers], tables, strict=True):
        of_users, of_items = cohesion_layers(model, dataset, tower, table)
        users.append(over_user_graph(dataset, of_users))
        items.append(of_items + alike @ of_items)
    for ours, theirs in zip(ranked(model), (users, items), strict=True):
        np.testing.assert_allclose(ours, np.concatenate(theirs, axis=1), atol=1e-5)
    gaps = [rows[batch.positives][:, None] - rows[batch.negatives] for rows in items]
    margins = np.stack([(rows[batch.users][:, None] * gap).sum(axis=2) for rows, gap in zip(users, gaps, strict=True)])
    weights = 1 - softmax(margins.mean(axis=2).T)
    expected = np.log2(1 + np.exp(-(weights.T[:, :, None] * margins).sum(axis=0))).mean()
    expected += 1e-3 * sum((array(tower.preference)[batch.users] ** 2).mean() for tower in model.towers)
    assert model.loss(model.encode(), batch).item() == pytest.approx(expected, rel=1e-5)


def distance(one, other):
    return abs(one.mean() - other.mean()) + abs(one.var(ddof=1) - other.var(ddof=1))


def test_mentor_aligns_masks_and_contrasts_three_modalities(dataset, batch):
    settings = {"reg_weight": 0.2, "alignment_weight": 0.3, "mask_weight": 0.4, "contrastive_weight": 0.5}
    model = make("mentor", dataset, n_layers=1, **settings).eval()  # without noise and masks
    shares = {"audio": 0.45, "image": 0.1, "text": 0.45}
    alike = sum(share * knn_matrix(dataset.features[name].values, 4).toarray() for name, share in shares.items())
    of_users, of_items = towers(model, dataset, layers=1)
    ids = affine(model.id_tower.narrow, leaky(affine(model.id_tower.wide, array(model.items))))
    nodes = unit(np.concatenate([array(model.id_tower.preference), ids]))
    sides = [*zip(of_users, of_items, strict=True), np.split(nodes + symmetric(dataset) @ nodes, [dataset.n_users])]
    blocks = [np.concatenate([users, items + alike @ items]) for users, items in sides]
    weights = array(model.user_weights)
    users = np.concatenate(
        [weights[:, [place]] * block[: dataset.n_users] for place, block in enumerate(blocks[:3])], 1
    )
    items = np.concatenate([block[dataset.n_users :] for block in blocks[:3]], axis=1)
    for ours, theirs in zip(ranked(model), (users, items), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    wide = [np.concatenate([users, items]), *(np.tile(block, (1, 3)) for block in blocks)]
    aligned = sum(distance(one, other) for one, other in itertools.combinations(wide, 2))
    cosines = [(unit(rows) * unit(affine(model.mask_map, rows))).sum(axis=1).mean() for rows in (users, items)]
    squares = sum((array(tower.preference)[batch.users] ** 2).mean() for tower in model.towers) + (weights**2).mean()
    expected = bpr(users, items, batch) / math.log(2) + 0.2 * squares + 0.3 * aligned + 0.4 * (2 - sum(cosines))
    expected += 0.5 * sum(nce(unit(rows), unit(rows), 0.2) for rows in (users, items))
    assert model.loss(model.encode(), batch).item() == pytest.approx(expected, rel=1e-5)


def test_noise_and_masks_of_mentor_are_for_training_and_its_switches_change_what_is_trained(dataset, batch):
    model = make("mentor", dataset)
    losses = []
    for training in (False, False, True):
        model.train(training)
        losses.append(model.loss(model.encode(), batch).item())
    assert losses[0] == losses[1] != losses[2]
    for settings in ({"noise": 0.0}, {"mask_rate": 0.0}):
        model = make("mentor", dataset, **settings).train()
        assert model.loss(model.encode(), batch).item() not in losses
    trained = {}
    for options in ({}, {"views": "released"}, {"mask_loss": "released"}):
        model = make("mentor", dataset, **options)
        terms = model.loss_terms(model.encode(), batch)
        params = [model.towers[0].preference, model.mask_map.weight]
        tasks = [terms[f"{task}/users"] for task in ("contrast", "mask")]
        trained[str(options)] = [
            task.requires_grad
            and bool(torch.autograd.grad(task, one, materialize_grads=True, retain_graph=True)[0].any())
            for task, one in zip(tasks, params, strict=True)
        ]
    assert list(trained.values()) == [[True, True], [False, True], [True, False]]


@pytest.mark.parametrize("name", ["cohesion", "dualgnn", "dragon"])
def test_training_draws_repeated_neighbors_and_ranking_does_not(name, dataset):
    model = make(name, dataset)
    before = testing.scores(model), model.train().encode().node_embeddings
    model.on_epoch_start(seeding.generator(0, "model", 1))
    assert torch.equal(testing.scores(model), before[0])
    assert not torch.equal(model.train().encode().node_embeddings, before[1])


def lattice_graph(model, dataset):
    def top(table):
        cosines = unit(table) @ unit(table).T
        largest = np.argsort(-cosines, axis=1)[:, :4]
        kept = np.zeros_like(cosines)
        np.put_along_axis(kept, largest, np.take_along_axis(cosines, largest, axis=1), axis=1)
        return kept

    def laplacian(matrix):
        sums = matrix.sum(axis=1)
        roots = np.where(sums > 0, np.abs(sums) ** -0.5, 0)
        return roots[:, None] * matrix * roots

    weights = softmax(array(model.modality_weights))
    tables = [array(table) for table in model.features()]
    learned = laplacian(
        sum(w * top(affine(p, table)) for w, p, table in zip(weights, model.projections, tables, strict=True))
    )
    raw = sum(w * laplacian(top(table)) for w, table in zip(weights, features(dataset).values(), strict=True))
    return 0.1 * learned + 0.9 * raw


@pytest.mark.parametrize("item_layers", [0, 1, 2])
def test_lattice_with_three_modalities(dataset, item_layers):
    model = make("lattice", dataset, n_item_layers=item_layers)
    table, n_users = array(model.nodes), dataset.n_users
    looped = adjacency(dataset) + np.eye(len(table))
    nodes = mean_of_layers(looped / looped.sum(axis=1, keepdims=True), table, 2)
    alike = np.linalg.matrix_power(lattice_graph(model, dataset), item_layers) @ table[n_users:]
    users, items = ranked(model)
    np.testing.assert_allclose(users, nodes[:n_users], atol=1e-5)
    np.testing.assert_allclose(items, nodes[n_users:] + unit(alike), atol=1e-5)


def test_lattice_learns_its_graph_in_the_first_step_of_an_epoch_and_ranks_by_the_newest(dataset, batch):
    model = make("lattice", dataset)
    model.on_epoch_start(seeding.generator(0, "model", 1))
    frozen = lattice_graph(model, dataset)
    np.testing.assert_allclose(model.frozen.coo().toarray(), frozen, atol=1e-6)
    first = model.train().loss(model.encode(), batch)
    learning = torch.autograd.grad(first, model.modality_weights, allow_unused=True)
    assert learning[0].any()
    model.on_step_end()
    with torch.no_grad():
        for one in model.parameters():
            one.add_(torch.randn(one.shape, generator=torch.Generator().manual_seed(0)), alpha=0.1)
    later = model.train().loss(model.encode(), batch)
    assert torch.autograd.grad(later, model.modality_weights, allow_unused=True) == (None,)
    np.testing.assert_allclose(model.frozen.coo().toarray(), frozen, atol=1e-6)
    table, n_users = array(model.nodes), dataset.n_users
    looped = adjacency(dataset) + np.eye(len(table))
    nodes = mean_of_layers(looped / looped.sum(axis=1, keepdims=True), table, 2)[n_users:]
    newest = lattice_graph(model, dataset)
    assert np.abs(newest - frozen).max() > 1e-3
    np.testing.assert_allclose(ranked(model)[1], nodes + unit(newest @ table[n_users:]), atol=1e-5)
    items = model.train().user_item_embeddings(model.encode())[1]
    np.testing.assert_allclose(array(items), nodes + unit(frozen @ table[n_users:]), atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_lattice_does_not_let_rounding_decide_where_cosines_cancel(dataset, seed):
    # Two items that point away from each other: both row sums are zero, up to rounding.
    values = np.random.default_rng(seed).standard_normal((dataset.n_items, 5)).astype(np.float32)
    values[1] = -values[0] * 3
    pair = Features(values, np.ones(dataset.n_items, dtype=np.bool_))
    graph = cosine_graph(pair.values[:2], 2)
    assert graph.coo().nnz == 0 or np.abs(graph.coo().data).max() == 0


def test_lattice_leaves_rows_with_a_negative_sum_empty(dataset):
    # Every row keeps all cosines; features that point away from most others have a negative sum.
    stream = np.random.default_rng(0)
    features = {}
    for name, one in dataset.features.items():
        values = np.abs(stream.standard_normal(one.values.shape)).astype(np.float32)
        values[3] *= -1
        features[name] = type(one)(values, one.present)
    odd = dataset.with_features(features)
    model = make("lattice", odd, n_neighbors=24)
    assert all(not graph.coo().toarray()[3].any() for graph in model.raw_graphs)
    testing.check_embeddings(model, odd)
    testing.check_gradients(model, testing.whole_batch(odd))


@pytest.mark.parametrize("names", [("image",), ("image", "text"), THREE, ("image", "text", "b", "a")], ids="+".join)
def test_slmrec_aligns_along_a_chain(names):
    dataset = testing.block_dataset(modalities=names)
    batch = testing.whole_batch(dataset)
    model = make("slmrec", dataset, alignment_weight=0.3)
    table, n_users, graph = array(model.nodes), dataset.n_users, symmetric(dataset)
    views = {"": mean_of_layers(graph, table, 2)}
    for project, (name, rows) in zip(model.maps, features(dataset).items(), strict=True):
        views[name] = mean_of_layers(graph, np.concatenate([table[:n_users], affine(project, unit(rows))]), 2)
    joined = np.concatenate(list(views.values()), axis=1)
    users, items = affine(model.fuse_users, joined[:n_users]), affine(model.fuse_items, joined[n_users:])
    np.testing.assert_allclose(np.concatenate(ranked(model)), np.concatenate([users, items]), atol=1e-5)
    chain = {1: ["image"], 2: ["image", "text"], 3: ["image", "audio", "text"], 4: ["image", "a", "b", "text"]}
    expected = nce(unit(users[batch.users]), unit(items[batch.positives]), 0.2)
    anchor, positives = views[""][n_users:][batch.positives], batch.positives
    for step, name in enumerate(chain[len(names)]):
        if len(names) == 2 and step == 1:
            anchor = affine(model.bridge, anchor)
        anchor = affine(model.anchors[step], anchor)
        expected += 0.3 * nce(anchor, affine(model.partners[step], views[name][n_users:][positives]), 0.5)
    assert anchor.shape[1] == (8 if len(names) == 1 else 4)
    assert model.loss(model.encode(), batch).item() == pytest.approx(expected, rel=1e-5)


def test_bm3_drops_entries_of_targets_alone(dataset, batch):
    model = make("bm3", dataset, dropout=0.5)
    torch.manual_seed(0)
    noisy = model.train().loss(model.encode(), batch)
    torch.manual_seed(1)
    other = model.train().loss(model.encode(), batch)
    assert noisy.item() != other.item()
    assert torch.equal(model.train().encode().node_embeddings, model.eval().encode().node_embeddings)
    quiet = make("bm3", dataset, dropout=0.0).train()
    assert model.eval().loss(model.encode(), batch).item() == quiet.loss(quiet.encode(), batch).item()


def test_bm3_gives_targets_no_gradient(dataset, batch):
    model = make("bm3", dataset, reg_weight=0.0, modality_weight=0.0)
    with torch.no_grad():
        model.predictor.weight.zero_()
        model.predictor.bias.fill_(1)
    (gradient,) = torch.autograd.grad(model.loss(model.encode(), batch), model.nodes)
    assert not gradient.any()


def cosine_neighbors(rows, k):
    """The k largest cosines of each row, normalized by row sums."""
    cosines = unit(rows) @ unit(rows).T
    cosines[cosines < np.sort(cosines, axis=1)[:, [-k]]] = 0
    roots = cosines.sum(axis=1) ** -0.5
    return roots[:, None] * cosines * roots


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def gated_view(model, dataset, purifier, projected, graph):
    """A view of MGCN or SMORE."""
    items = graph @ (array(model.nodes)[dataset.n_users :] * sigmoid(affine(purifier, projected)))
    users = symmetric(dataset)[: dataset.n_users, dataset.n_users :] @ items
    return np.concatenate([users, items])


def test_mgcn_fuses_three_modalities(dataset, batch):
    model = make("mgcn", dataset, reg_weight=0.3)
    content = mean_of_layers(symmetric(dataset), array(model.nodes), 2)
    views, queries = [], []
    for place, rows in enumerate(features(dataset).values()):
        graph = cosine_neighbors(rows, 4)
        views.append(gated_view(model, dataset, model.purifiers[place], affine(model.projections[place], rows), graph))
        queries.append(np.tanh(affine(model.query[0], views[-1])) @ array(model.query[2].weight).T)
    weights = softmax(np.stack(queries, axis=-1))[:, 0]
    common = sum(weights[:, [place]] * view for place, view in enumerate(views))
    special = sum(
        sigmoid(affine(gate, content)) * (view - common)
        for gate, view in zip(model.preference_gates, views, strict=True)
    )
    side = (common + special) / 4
    np.testing.assert_allclose(np.concatenate(ranked(model)), content + side, atol=1e-5)
    users, items = np.split(content + side, [dataset.n_users])
    rows = (users[batch.users], items[batch.positives], items[batch.negatives[:, 0]])
    expected = bpr(users, items, batch) + 0.3 * sum((one**2).sum() for one in rows) / (2 * len(batch))
    for nodes in (batch.users, batch.positives + dataset.n_users):
        expected += 0.01 * nce(unit(side[nodes]), unit(content[nodes]), 0.2)
    assert model.loss(model.encode(), batch).item() == pytest.approx(expected, rel=1e-5)


def test_smore_fuses_the_spectra_of_three_modalities(dataset):
    model = make("smore", dataset, embedding_dim=7, n_image_neighbors=3)  # an odd width has no frequency of its half
    content = mean_of_layers(symmetric(dataset), array(model.nodes), 3)

    def filtered(spectrum, weight):
        return np.fft.irfft(spectrum * (array(weight) @ [1, 1j]), n=7, axis=1, norm="ortho")

    spectra, graphs = [], []
    for project, (name, rows) in zip(model.projections, features(dataset).items(), strict=True):
        spectra.append(np.fft.rfft(affine(project, rows), axis=1, norm="ortho"))
        graphs.append(cosine_neighbors(rows, 3 if name == "image" else 4))
    fused = filtered(np.prod(spectra, axis=0), model.fusion_filter)
    whole = gated_view(model, dataset, model.fusion_purifier, fused, np.max(graphs, axis=0))
    side = sigmoid(affine(model.fusion_gate, content)) * whole
    for place, (spectrum, graph) in enumerate(zip(spectra, graphs, strict=True)):
        view = gated_view(model, dataset, model.purifiers[place], filtered(spectrum, model.filters[place]), graph)
        query = model.queries[place]
        attention = softmax(np.tanh(affine(query[0], whole)) @ array(query[2].weight).T)
        side = side + sigmoid(affine(model.preference_gates[place], content)) * attention * view
    np.testing.assert_allclose(np.concatenate(ranked(model)), content + side / 4, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 3])
def test_lgmrec_contrasts_every_two_of_three_modalities(dataset, batch, layers, monkeypatch):
    draws = torch.Generator().manual_seed(0)
    noise = []

    def draw(like):
        noise.append(torch.rand(like.shape, generator=draws))
        return noise[-1]

    monkeypatch.setattr("flatrec.models.lgmrec.gumbel", draw)
    model = make("lgmrec", dataset, n_hyper_layers=layers, dropout=0.0).train()
    encoded = model.encode()
    graph, table, n_users = symmetric(dataset), array(model.nodes), dataset.n_users
    bought = dataset.interactions.matrix("train").toarray().astype(np.float64)
    ids = mean_of_layers(graph, table, 2)
    total, views = ids, []
    for place, rows in enumerate(features(dataset).values()):
        items = rows @ array(model.projections[place])
        users = bought @ items / (bought.sum(axis=1, keepdims=True) + 1e-7)
        total = total + unit(graph @ graph @ np.concatenate([users, items]))
        logits = rows @ array(model.hyperedges[place])
        of_items = softmax((logits + array(noise[2 * place])) / 0.2)
        of_users = softmax((bought @ logits + array(noise[2 * place + 1])) / 0.2)
        rest = ids[n_users:]
        for _ in range(layers):
            hub = of_items.T @ rest
            rest, heard = of_items @ hub, of_users @ hub
        views.append((heard, rest))
    joined = np.concatenate([sum(heard for heard, _ in views), sum(rest for _, rest in views)])
    total = total + 0.3 * unit(joined)
    np.testing.assert_allclose(array(encoded.node_embeddings), total, atol=1e-5)
    expected = {"contrast/users": 0.0, "contrast/items": 0.0}
    for side, (key, numbers) in enumerate((("contrast/users", batch.users), ("contrast/items", batch.positives))):
        for one, other in ((0, 1), (0, 2), (1, 2)):
            a, b = unit(views[one][side]), unit(views[other][side])
            logits = a[numbers] @ b.T / 0.2
            expected[key] += (np.log(np.exp(logits).sum(axis=1)) - (a * b).sum(axis=1)[numbers] / 0.2).sum()
    terms = model.loss_terms(encoded, batch)
    for key, value in expected.items():
        assert terms[key].item() == pytest.approx(value, rel=1e-5), key


def test_lgmrec_ranks_without_noise(dataset):
    model = make("lgmrec", dataset)
    quiet = [testing.scores(model) for _ in range(2)]
    assert torch.equal(*quiet)
    noisy = [model.train().encode().node_embeddings for _ in range(2)]
    assert not torch.equal(*noisy)
