"""The recipe for DistributedDataParallel, in two processes, beside one process and a step by hand."""

import os
from contextlib import nullcontext

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from flatrec.optim import BSAM, SAM

WORKERS, STEPS, LR, RHO = 2, 3, 0.1, 0.5


def data():
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    return inputs, inputs.prod(dim=1, keepdim=True)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def values(model):
    return torch.cat([one.detach().flatten() for one in model.parameters()])


CASES = [(SAM, False, False), (BSAM, False, False), (BSAM, False, True), (SAM, True, False)]


def train(rank, folder):
    """Every case, one after the other, in one pair of processes: starting them costs a hundred times the training."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORKERS)
    for number, case in enumerate(CASES):
        torch.save(trained_here(rank, *case), folder / f"{number}.{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # what is tested is over; on a busy machine gloo's threads now and then abort the interpreter's exit


def trained_here(rank, kind, local, bucket_views):
    model = DistributedDataParallel(network(), gradient_as_bucket_view=bucket_views)
    optimizer = kind(torch.optim.SGD(model.parameters(), lr=LR), rho=RHO)
    inputs, targets = (one[rank::WORKERS] for one in data())

    def closure():
        optimizer.zero_grad()
        alone = local and not optimizer.perturbed
        with model.no_sync() if alone else nullcontext():
            loss = (model(inputs) - targets).square().mean()
            loss.backward()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)
    return values(model)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The parameters at the end of each case, equal in both processes."""
    folder = tmp_path_factory.mktemp("workers")
    mp.spawn(train, (folder,), nprocs=WORKERS)
    found = {}
    for number, case in enumerate(CASES):
        first, second = (torch.load(folder / f"{number}.{rank}.pt") for rank in range(WORKERS))
        assert torch.equal(first, second), case
        found[case] = first
    return found


@pytest.mark.parametrize(("kind", "bucket_views"), [(SAM, False), (BSAM, False), (BSAM, True)])
def test_averaged_ascent_is_one_process_with_the_whole_batch(trained, kind, bucket_views):
    model = network()
    optimizer = kind(torch.optim.SGD(model.parameters(), lr=LR), rho=RHO)
    inputs, targets = data()

    def closure():
        optimizer.zero_grad()
        loss = (model(inputs) - targets).square().mean()
        loss.backward()
        return loss

    for _ in range(STEPS):
        optimizer.step(closure)
    assert torch.allclose(trained[kind, False, bucket_views], values(model), atol=1e-5)
    assert not torch.allclose(values(model), values(network()), atol=1e-2)


def test_local_ascent_moves_every_worker_its_own_way(trained):
    model = network()
    parameters = list(model.parameters())
    inputs, targets = data()
    for _ in range(STEPS):
        here, sums = [one.detach().clone() for one in parameters], None
        for rank in range(WORKERS):

            def gradient(rank=rank):
                loss = (model(inputs[rank::WORKERS]) - targets[rank::WORKERS]).square().mean()
                return torch.autograd.grad(loss, parameters)

            up = gradient()
            length = torch.cat([one.flatten() for one in up]).norm()
            with torch.no_grad():
                for one, part in zip(parameters, up, strict=True):
                    one.add_(RHO * part / length)
            there = gradient()
            sums = there if sums is None else [a + b for a, b in zip(sums, there, strict=True)]
            with torch.no_grad():
                for one, before in zip(parameters, here, strict=True):
                    one.copy_(before)
        with torch.no_grad():
            for one, part in zip(parameters, sums, strict=True):
                one.sub_(LR * part / WORKERS)
    assert torch.allclose(trained[SAM, True, False], values(model), atol=1e-5)
