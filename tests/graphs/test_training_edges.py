"""Graphs of the edges that a device draws itself: those of the CPU, made without waiting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flatrec.graphs import epoch_graph
from flatrec.graphs.device_csr import entry_rows, graph_of
from flatrec.graphs.epoch_graph import EpochGraph, drop_edges, training_epoch_graph
from flatrec.graphs.training_edges import TrainingEdges
from flatrec.ops.sddmm import Edges
from flatrec.ops.spmm import Graph
from flatrec.testing import block_dataset, tiny_dataset
from tests.models.settings import NEEDS_GROUPS, SETTINGS, make
from tests.strategies.test_waiting import Readings

INTERACTIONS = tiny_dataset().interactions
WEIGHTS = np.random.default_rng(0).uniform(0.5, 3, len(INTERACTIONS)).astype(np.float32)
WEIGHTED = replace(INTERACTIONS, weights=WEIGHTS)
META = torch.device("meta")


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def epoch_graphs(interactions):
    """The epoch graph of every model that has one, by name."""
    names = sorted(set(SETTINGS) - NEEDS_GROUPS)
    data = block_dataset()
    found = {}
    for name in names:
        modules = [one for one in make(name, data).modules() if isinstance(one, EpochGraph)]
        for one in modules:
            found[name] = EpochGraph(interactions, one.build, 0.5, one.rebuild)
    return found


@pytest.mark.parametrize("interactions", [INTERACTIONS, WEIGHTED], ids=["binary", "weighted"])
def test_the_graphs_of_all_models_are_made_on_a_device_as_on_the_cpu(interactions):
    graphs = epoch_graphs(interactions)
    assert len(graphs) > 15
    graphs["weighted"] = training_epoch_graph(interactions, weighted=True, edge_dropout=0.5)
    subset = drop_edges(interactions, 0.4, stream(1))
    edges = TrainingEdges.of(subset, torch.device("cpu"))
    for name, graph in graphs.items():
        assert graph.rebuild is not None, f"{name} draws its graphs on the CPU"
        built, rebuilt = graph.build(subset), graph.rebuild(edges)
        for one, other in zip(parts(built), parts(rebuilt), strict=True):
            same(one, other)


def parts(module):
    return [module] if isinstance(module, Graph | Edges) else list(module)


def same(built, rebuilt):
    assert built.shape == rebuilt.shape
    if isinstance(built, Edges):
        assert all(torch.equal(one, other) for one, other in zip(built.buffers(), rebuilt.buffers(), strict=True))
        return
    np.testing.assert_allclose(rebuilt.coo().toarray(), built.coo().toarray(), rtol=2e-7)
    assert [one.dtype for one in built.buffers()] == [one.dtype for one in rebuilt.buffers()]
    dense = torch.randn(built.shape[1], 3, generator=stream(2), requires_grad=True)
    gradients = [torch.autograd.grad(graph(dense).square().sum(), dense)[0] for graph in (built, rebuilt)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("weighting", ["degree", "uniform"])
def test_edges_are_dropped_as_often_as_on_the_cpu(weighting):
    n, rate, draws = INTERACTIONS.count("train"), 0.3, 2000
    edges = TrainingEdges.of(INTERACTIONS, torch.device("cpu"))
    kept = np.zeros((2, INTERACTIONS.n_users, INTERACTIONS.n_items))
    for seed in range(draws):
        on_cpu = drop_edges(INTERACTIONS, rate, stream(seed), weighting)
        drawn = edges.drop(rate, stream(seed + draws), weighting)
        assert len(drawn.users) == int(n * (1 - rate)) == on_cpu.count("train")
        kept[0, *on_cpu.indices("train")] += 1
        kept[1, drawn.users, drawn.items] += 1
    assert (kept[1] > 0).sum() <= n
    spread = np.sqrt(2 * rate * (1 - rate) / draws)  # of a difference of two frequencies
    assert abs(kept[0] - kept[1]).max() / draws < 5 * spread


@pytest.mark.parametrize("weighting", ["degree", "uniform"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_device_that_draws_its_own_graphs_is_not_waited_for(monkeypatch, weighting, weighted):
    monkeypatch.setattr(epoch_graph, "drawing", lambda device: device)
    monkeypatch.setattr(epoch_graph, "generator_on", lambda _, generator: generator)
    for name, graph in epoch_graphs(WEIGHTED).items():
        graph = training_epoch_graph(WEIGHTED, weighted=True, edge_dropout=0.5) if weighted else graph
        graph.to(META).train()
        with Readings() as readings:
            graph.draw(stream(), weighting)
        assert readings.count == 0, name
        assert {buffer.device for buffer in graph.current().buffers()} == {META}
        assert sizes(graph.current()) == sizes(thinned_on_the_cpu(graph))


def sizes(module):
    """Numbers of rows and of entries."""
    rows = [one.by_row if isinstance(one, Edges) else one.matrix for one in parts(module)]
    entries = [one.rows if isinstance(one, Edges) else one.matrix.values for one in parts(module)]
    return [(len(row.offsets), len(entry)) for row, entry in zip(rows, entries, strict=True)]


def thinned_on_the_cpu(graph):
    return graph.build(drop_edges(WEIGHTED, graph.edge_dropout, stream()))


def test_the_graph_of_an_epoch_follows_from_the_generator(monkeypatch):
    monkeypatch.setattr(epoch_graph, "drawing", lambda _: META)  # as a GPU, whose tensors are here on the CPU

    def drawn(seed):
        graph = training_epoch_graph(INTERACTIONS, weighted=False, edge_dropout=0.5)
        graph.draw(stream(seed))
        return graph.current().coo().toarray()

    np.testing.assert_array_equal(drawn(3), drawn(3))
    assert (drawn(3) != drawn(4)).any()
    assert len(np.flatnonzero(drawn(3))) == 2 * int(INTERACTIONS.count("train") * 0.5)


def test_entries_with_the_same_ends_add_up():
    rows, columns = torch.tensor([1, 0, 1, 1]), torch.tensor([0, 2, 0, 1])
    graph = graph_of(rows, columns, torch.tensor([1.0, 2.0, 4.0, 8.0]), (2, 3))
    np.testing.assert_array_equal(graph.coo().toarray(), [[0, 0, 2], [5, 8, 0]])
    assert entry_rows(graph.matrix).tolist() == [0, 1, 1, 1]
    assert graph(torch.tensor([[1.0], [10.0], [100.0]])).tolist() == [[200.0], [85.0]]
