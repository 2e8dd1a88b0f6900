"""Two small problems in float64, and every step worked out on flat vectors without a learner."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from flatrec.data.batches import Batch
from flatrec.models.base import Encoded, Model

N_BATCHES = 12


class Quadratic(Model):
    """L_b(theta) = theta' A_b theta / 2 - c_b' theta with one A and c a batch, theta in two parameters."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        factors = rng.normal(size=(N_BATCHES, 5, 5))
        self.hessians = factors @ factors.transpose(0, 2, 1) / 5 + 0.1 * np.eye(5)
        self.slopes = rng.normal(size=(N_BATCHES, 5))
        start = rng.normal(size=5)
        self.first = nn.Parameter(torch.tensor(start[:3]))
        self.second = nn.Parameter(torch.tensor(start[3:]).reshape(2, 1))
        self.encoded = 0

    def encode(self):
        return Encoded(torch.cat([self.first, self.second.flatten()])[:, None])

    def loss(self, encoded, batch):
        theta, number = encoded.nodes[:, 0], int(batch.users[0])
        hessian, slope = torch.tensor(self.hessians[number]), torch.tensor(self.slopes[number])
        return theta @ hessian @ theta / 2 - slope @ theta

    def representations(self, encoded):
        return encoded.nodes, encoded.nodes

    def flat_gradient(self, theta, number):
        return self.hessians[number] @ theta - self.slopes[number]


class Network(Model):
    """A network with one hidden layer of tanh and squared loss, one set of samples a batch."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(1)
        self.inputs = rng.normal(size=(N_BATCHES, 6, 3))
        self.targets = rng.normal(size=(N_BATCHES, 6))
        self.hidden = nn.Parameter(torch.tensor(rng.normal(size=(4, 3))))
        self.output = nn.Parameter(torch.tensor(rng.normal(size=4)))

    def encode(self):
        return Encoded(torch.cat([self.hidden, self.output[:, None]], dim=1))

    def loss(self, encoded, batch):
        number = int(batch.users[0])
        inputs, targets = torch.tensor(self.inputs[number]), torch.tensor(self.targets[number])
        hidden, output = encoded.nodes[:, :3], encoded.nodes[:, 3]
        return ((torch.tanh(inputs @ hidden.T) @ output - targets) ** 2).mean()

    def representations(self, encoded):
        return encoded.nodes, encoded.nodes

    def flat_gradient(self, theta, number):
        """Backpropagation by hand."""
        hidden, output = theta[:12].reshape(4, 3), theta[12:]
        inputs, targets = self.inputs[number], self.targets[number]
        active = np.tanh(inputs @ hidden.T)
        errors = 2 * (active @ output - targets) / len(targets)
        before = errors[:, None] * output * (1 - active**2)
        return np.concatenate([(before.T @ inputs).ravel(), active.T @ errors])


def batch(number: int) -> Batch:
    """A batch that carries nothing but its number."""
    return Batch(*(torch.tensor([number]) for _ in range(3)))


def flat(model: Model) -> np.ndarray:
    return np.concatenate([one.detach().numpy().ravel() for one in model.parameters()])


class HandSGD:
    def __init__(self, lr: float):
        self.lr = lr

    def __call__(self, theta, gradient):
        return theta - self.lr * gradient


class HandAdam:
    """Kingma & Ba, algorithm 1."""

    def __init__(self, lr: float):
        self.lr, self.t, self.first, self.second = lr, 0, 0.0, 0.0

    def __call__(self, theta, gradient):
        self.t += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        first, second = self.first / (1 - 0.9**self.t), self.second / (1 - 0.999**self.t)
        return theta - self.lr * first / (np.sqrt(second) + 1e-8)


def hand_distance(kind, gradient, mean):
    return {
        "manhattan": lambda: np.abs(gradient - mean).sum(),
        "manhattan-mean": lambda: np.abs(gradient - mean).mean(),
        "euclidean": lambda: np.sqrt(((gradient - mean) ** 2).sum()),
        "cosine": lambda: gradient @ mean / np.sqrt((gradient @ gradient) * (mean @ mean)),
    }.get(kind, lambda: kind)()


def hand_run(
    gradient_of: Callable[[np.ndarray, int], np.ndarray],
    theta: np.ndarray,
    update,
    name: str,
    steps: int,
    settings: Mapping[str, object],
) -> np.ndarray:
    """The parameters after some steps, batch 2t and 2t + 1 at step t for a mixed strategy, batch t otherwise."""
    mixed, inner = name.endswith("+"), name.removesuffix("+")
    rho, lam, kappa = settings.get("rho", 0.1), settings.get("lam", 0.6), settings.get("kappa", 0.6)
    mean = np.zeros_like(theta)
    for t in range(steps):
        one, two = (2 * t, 2 * t + 1) if mixed else (t, None)
        gradient = gradient_of(theta, one)
        if inner == "sam":
            direction = gradient
        elif inner == "bsam":
            mean = (1 - lam) * gradient + lam * mean
            direction = gradient - hand_distance(settings.get("distance", "manhattan"), gradient, mean) * mean
        if inner != "plain":
            shift = rho * direction / np.sqrt((direction**2).sum())
            sharp = gradient_of(theta + shift, one)
        else:
            sharp = gradient
        final = kappa * sharp + (1 - kappa) * gradient_of(theta, two) if mixed else sharp
        theta = update(theta, final)
    return theta
