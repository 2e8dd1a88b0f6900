"""``torch.compile`` takes encode and loss of a model as one graph, and its gradients are those of the plain model."""

import json
import os
import subprocess
import sys

import pytest

from tests.models.settings import NEEDS_GROUPS, SETTINGS

NOT_WHOLE = {"da-mrs"}  # the sizes of its blocks follow from values
QUICK = {"grcn", "lgmrec", "lightgcn"}
# Without the checks of shapes, whose messages torch cannot compile.
PROGRAM = """
import json, sys, torch
from flatrec.testing import block_dataset, whole_batch
from tests.models.settings import make

def gradients(step, params):
    torch.manual_seed(0)
    loss = step()
    found = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True)
    return torch.cat([loss.detach().flatten(), *(one.flatten() for one in found)])

def backend(graph, inputs):
    targets.update(str(node.target) for node in graph.graph.nodes)
    return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

for name in sys.argv[1:]:
    torch.compiler.reset()
    targets = set()
    dataset = block_dataset()
    model, batch = make(name, dataset).train(), whole_batch(dataset)
    model.on_epoch_start(torch.Generator().manual_seed(0))
    params = [one for one in model.parameters() if one.requires_grad]
    step = lambda: model.loss(model.encode(), batch)
    expected = gradients(step, params)
    whole, message, gap = True, "", 0.0
    try:
        compiled = torch.compile(step, backend=backend, fullgraph=True)
        gap = float((gradients(compiled, params) - expected).abs().max())
    except torch._dynamo.exc.TorchDynamoException as error:
        whole, message = False, str(error)
    print(json.dumps([name, whole, message, gap, sorted(one for one in targets if one.startswith("flatrec"))]))
"""


def compiled(*names):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(names):
    results = compiled(*names)
    assert [row[0] for row in results] == names
    for name, whole, message, gap, _ in results:
        assert whole == (name not in NOT_WHOLE), f"{name}: {message}"
        assert gap <= 1e-6, name
    return {name: operators for name, *_, operators in results}


def test_steps_are_one_graph_in_which_kernels_stay_whole():
    operators = check(sorted(QUICK))
    assert "flatrec.propagate.default" in operators["lightgcn"]
    assert {"flatrec.sddmm.default", "flatrec.edge_product.default"} <= set(operators["grcn"])
    assert {"flatrec.l2_normalize.default", "flatrec.log_sum_exp.default"} <= set(operators["lgmrec"])


@pytest.mark.slow
def test_steps_of_all_models_are_one_graph_but_for_those_that_are_named():
    check(sorted(set(SETTINGS) - NEEDS_GROUPS - QUICK))
