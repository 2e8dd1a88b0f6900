"""All optimizers, and a small problem for them."""

import torch
from torch import nn

from flatrec import optim

TWO_PASS = {
    "SAM": optim.SAM,
    "ASAM": optim.ASAM,
    "FisherSAM": optim.FisherSAM,
    "FriendlySAM": optim.FriendlySAM,
    "BSAM": optim.BSAM,
    "VaSSO": optim.VaSSO,
    "GSAM": optim.GSAM,
    "GradientNormPenalty": optim.GradientNormPenalty,
    "SSAM": lambda base, **settings: optim.SSAM(base, mask="dynamic", refresh=2, seed=3, **settings),
    "ESAM": lambda base, **settings: optim.ESAM(base, seed=3, **settings),
    "LookSAM": lambda base, **settings: optim.LookSAM(base, interval=2, **settings),
}
ALONE = {**TWO_PASS, "MirrorGradient": lambda base: optim.MirrorGradient(base, interval=2)}
MIXED = {f"Mixed {name}": lambda base, make=make: optim.Mixed(make(base), kappa=0.4) for name, make in TWO_PASS.items()}
ALL = {**ALONE, **MIXED}


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(16, 4, generator=generator)
    return inputs, inputs.sum(dim=1, keepdim=True).tanh()


def network(*extra):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), *extra, nn.Tanh(), nn.Linear(8, 1))


def adam(model):
    """Adam over two groups, one for each layer."""
    return torch.optim.Adam([{"params": model[0].parameters()}, {"params": model[-1].parameters()}], lr=0.01)


def sgd(model, lr=0.1):
    """SGD over the same groups."""
    return torch.optim.SGD([{"params": model[0].parameters()}, {"params": model[-1].parameters()}], lr=lr)


def loss_of(model, seed=0):
    inputs, targets = data(seed)
    return (model(inputs) - targets).square().mean()


def closure_of(model, optimizer, seed=0, factor=lambda: 1.0):
    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, seed) * factor()
        loss.backward()
        return loss

    return closure


def train(model, optimizer, seeds):
    """One step a seed; a mixed optimizer gets a second batch."""
    for seed in seeds:
        batches = [closure_of(model, optimizer, 100 * number + seed) for number in range(2)]
        optimizer.step(*batches[: optimizer.strategy.batches_per_step])


def values(model):
    return torch.cat([one.detach().flatten() for one in model.parameters()])


def memory(optimizer):
    """All that the strategy remembers, by value."""
    return {name: one.clone() for name, one in optimizer.strategy.state().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
