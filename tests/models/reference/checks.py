"""What is compared of every model whose release has stored numbers."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from flatrec.graphs.interaction import training_graph
from tests.models.reference.shared import thinned
from tests.models.reference.stored import ABSENT, GRAPH, Adapter, Case, close, files, variants


class Checks:
    """The tests of one model, in the file ``test_<model>.py``, for every set of numbers and every variant in it.

    A test takes ``case``, the numbers and the model with the parameters there; ``prepared``, the same with the inputs
    of the variant without a prefix put in; or ``prefixed``, each variant with its inputs put in, and its prefix.
    """

    adapter: ClassVar[Adapter]

    def pytest_generate_tests(self, metafunc):
        paths = files(type(self).__module__.rpartition(".test_")[2])
        sets = [pytest.param(path, id=path.parent.name) for path in paths]
        each = [
            pytest.param((path, prefix), id=f"{path.parent.name}-{prefix or 'main/'}"[:-1])
            for path in paths
            for prefix in variants(path)
        ]
        for name, cases in (("case", sets), ("prepared", sets), ("prefixed", each)):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, cases or [ABSENT], indirect=True)

    @pytest.fixture
    def case(self, request):
        return Case(request.param, self.adapter)

    @pytest.fixture
    def prepared(self, request, monkeypatch):
        return self.load(request.param, "", monkeypatch)

    @pytest.fixture
    def prefixed(self, request, monkeypatch):
        path, prefix = request.param
        return self.load(path, prefix, monkeypatch), prefix

    def load(self, path, prefix, monkeypatch):
        case = Case(path, self.adapter)
        self.adapter.prepare(case, prefix, monkeypatch)
        return case

    def test_graphs(self, case):
        ours = case.adapter.graphs(case) | thinned(case, "", None)
        theirs = {name.split("/")[1] for name in case.there if name.startswith("graph/") and name.endswith("/shape")}
        assert set(ours) == theirs
        for name, graph in ours.items():
            np.testing.assert_allclose(graph.toarray(), case.matrix(name), rtol=0, atol=GRAPH, err_msg=name)
            assert graph.nnz == len(case.there[f"graph/{name}/val"]), name
        if "thinned/user" in case.there:
            users, items = case.there["train/user"], case.there["train/item"]
            drawn_by = training_graph(case.dataset.interactions).coo().toarray()[users, items + case.dataset.n_users]
            np.testing.assert_allclose(drawn_by, case.there["graph/edge_sampling_weight"], rtol=0, atol=GRAPH)

    def test_representations_and_scores_in_evaluation(self, prefixed):
        # The graph of a training epoch, and noise, must not matter.
        case, prefix = prefixed
        theirs = prefix if prefix in case.adapter.ranked else ""
        users, items = case.model.eval().user_item_embeddings(case.model.encode())
        close(users, case.there[f"{theirs}out/user"], case.adapter.representation)
        close(items, case.there[f"{theirs}out/item"], case.adapter.representation)
        close(users @ items.T, case.there[f"{theirs}out/scores"], case.adapter.score)

    def test_scores_as_released(self, case):
        if "out/scores_released" not in case.there:
            return  # the release ranks by what it trains
        case.model.config = case.model.config.model_copy(update={"scoring": "released"})
        users, items = case.model.eval().user_item_embeddings(case.model.encode())
        close(users @ items.T, case.there["out/scores_released"], case.adapter.score)

    def test_representations_in_training(self, prefixed):
        case, prefix = prefixed
        # What has no training numbers of its own trains on what it ranks by; with noise the release ranks by noise too.
        name = next(one for one in (f"{prefix}train_out", f"{prefix}out", "out") if f"{one}/user" in case.there)
        users, items = case.model.train().user_item_embeddings(case.model.encode())
        close(users, case.there[f"{name}/user"], case.adapter.representation)
        close(items, case.there[f"{name}/item"], case.adapter.representation)

    def test_what_the_loss_reads_beside_the_embeddings(self, prefixed):
        case, prefix = prefixed
        aux = case.model.train().encode().aux
        for name, value in case.adapter.middle.items():
            if f"{prefix}mid/{name}" in case.there:
                close(value(aux), case.there[f"{prefix}mid/{name}"], 1e-5)

    def test_loss_and_each_of_its_terms(self, prefixed):
        case, prefix = prefixed
        encoded = case.model.train().encode()
        terms = case.model.loss_terms(encoded, case.batch)
        weights = {
            name: case.model.loss_weights[name.partition("/")[0]] for name in terms if name in case.adapter.weighted
        }
        named = {**case.adapter.terms, **case.renamed}
        ours = {named[name]: value * weights.get(name, 1) for name, value in terms.items()}
        ours["total"] = case.model.loss(encoded, case.batch)
        theirs = {name.removeprefix(f"{prefix}loss/") for name in case.there if name.startswith(f"{prefix}loss/")}
        assert set(ours) == theirs or (prefix in case.adapter.partial and set(ours) > theirs)
        for name in theirs:
            value = ours[name]
            rel = case.adapter.rounded.get(name, case.adapter.loss)
            assert value.item() == pytest.approx(float(case.there[f"{prefix}loss/{name}"]), rel=rel), name

    def test_gradient_of_every_parameter(self, prefixed):
        case, prefix = prefixed
        loss = case.model.train().loss(case.model.encode(), case.batch)
        names, params = zip(*case.model.named_parameters(), strict=True)
        gradients = dict(zip(names, torch.autograd.grad(loss, params, materialize_grads=True), strict=True))
        for theirs, place in case.places.items():
            ours = place.of(gradients).numpy()
            # A parameter that the original does not train has no stored gradient; ours must be zero then.
            there = case.there.get(f"{prefix}grad/{theirs}", np.zeros(ours.shape, np.float32)).reshape(ours.shape)
            error = np.linalg.norm(ours - there) / max(1e-3, np.linalg.norm(there))
            assert error <= case.adapter.gradient, theirs

    def test_what_is_left_out_the_original_never_trains(self, case):
        theirs = {name.removeprefix("param/") for name in case.there if name.startswith("param/")}
        left_out = {name for name in theirs - set(case.places) if not name.startswith(case.adapter.elsewhere)}
        assert left_out - case.adapter.cancelling <= case.untrained
        assert {f"grad/{name}" for name in left_out - case.adapter.cancelling}.isdisjoint(case.there)
        for name in case.adapter.cancelling:  # a gradient of rounding errors
            assert np.abs(case.there[f"grad/{name}"]).max() < 1e-8, name
