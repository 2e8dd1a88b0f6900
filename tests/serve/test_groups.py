"""Groups are served by their members, and a recommender that ranks by a perceptron is served as far as it can be."""

import pytest

from flatrec.inference.run import Run
from flatrec.inference.storage import save_recommender
from flatrec.testing import block_dataset
from tests.models.settings import make
from tests.serve.shops import client_of


@pytest.fixture(params=["dot", "mlp"])
def client(request, tmp_path):
    data = block_dataset()
    run = Run(data, make("aligngroup", data, predictor=request.param, n_layers=1))
    save_recommender(run.recommender, tmp_path / "recommender")
    with client_of(tmp_path / "recommender") as client:
        client.predictor = request.param
        client.names = [data.users[0], data.users[run.recommender.groups[0]]]
        yield client


def test_persons_and_groups_get_lists(client):
    for name in client.names:
        answer = client.get(f"/v1/recommend/{name}", params={"k": 2}).json()
        assert answer["path"] in ("known", "members")
        assert len(answer["items"]) == 2


def test_a_history_needs_vectors(client):
    item = client.get(f"/v1/recommend/{client.names[0]}").json()["items"][0]["item"]
    answer = client.post("/v1/recommend", json={"history": [item], "k": 2})
    if client.predictor == "dot":
        assert answer.json()["lists"][0]["path"] == "history"
    else:
        assert answer.status_code == 422
        assert "model.predictor=dot" in answer.json()["error"]["message"]
