"""Three small problems in float64, and every step worked out on flat vectors without a context."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from flatrec.data.batches import Batch
from flatrec.models.base import Encoded, Model
from flatrec.strategies import ON_EMBEDDINGS
from flatrec.training.embedding_context import EmbeddingStepContext, PerturbTarget, perturbing
from flatrec.training.step_context import TrainStepContext
from flatrec.utils import seeding

N_BATCHES = 12


class Quadratic(Model):
    """L_b(theta) = theta' A_b theta / 2 - c_b' theta with one A and c a batch, theta in two parameters."""

    def __init__(self):
        nn.Module.__init__(self)
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

    def loss_terms(self, encoded, batch):
        theta, number = encoded.node_embeddings[:, 0], int(batch.users[0])
        hessian, slope = torch.tensor(self.hessians[number]), torch.tensor(self.slopes[number])
        return {"loss": theta @ hessian @ theta / 2 - slope @ theta}

    def user_item_embeddings(self, encoded):
        return encoded.node_embeddings, encoded.node_embeddings

    def flat_gradient(self, theta, number):
        return self.hessians[number] @ theta - self.slopes[number]


class Network(Model):
    """A network with one hidden layer of tanh and squared loss, one set of samples a batch."""

    def __init__(self):
        nn.Module.__init__(self)
        rng = np.random.default_rng(1)
        self.inputs = rng.normal(size=(N_BATCHES, 6, 3))
        self.targets = rng.normal(size=(N_BATCHES, 6))
        self.hidden = nn.Parameter(torch.tensor(rng.normal(size=(4, 3))))
        self.output = nn.Parameter(torch.tensor(rng.normal(size=4)))

    def encode(self):
        return Encoded(torch.cat([self.hidden, self.output[:, None]], dim=1))

    def loss_terms(self, encoded, batch):
        number = int(batch.users[0])
        inputs, targets = torch.tensor(self.inputs[number]), torch.tensor(self.targets[number])
        hidden, output = encoded.node_embeddings[:, :3], encoded.node_embeddings[:, 3]
        return {"loss": ((torch.tanh(inputs @ hidden.T) @ output - targets) ** 2).mean()}

    def user_item_embeddings(self, encoded):
        return encoded.node_embeddings, encoded.node_embeddings

    def flat_gradient(self, theta, number):
        """Backpropagation by hand."""
        hidden, output = theta[:12].reshape(4, 3), theta[12:]
        inputs, targets = self.inputs[number], self.targets[number]
        active = np.tanh(inputs @ hidden.T)
        errors = 2 * (active @ output - targets) / len(targets)
        before = errors[:, None] * output * (1 - active**2)
        return np.concatenate([(before.T @ inputs).ravel(), active.T @ errors])


class Factors(Model):
    """Matrix factorization by BPR over as many users and items as there are batches; its rows are its embeddings."""

    def __init__(self):
        nn.Module.__init__(self)
        self.sizes = (N_BATCHES, N_BATCHES)
        self.nodes = nn.Parameter(torch.tensor(np.random.default_rng(2).normal(size=(2 * N_BATCHES, 2))))

    def encode(self):
        return Encoded(self.nodes)

    def loss_terms(self, encoded, batch):
        users, items = self.user_item_embeddings(encoded)
        gaps = items[batch.positives] - items[batch.negatives[:, 0]]
        return {"loss": -torch.nn.functional.logsigmoid((users[batch.users] * gaps).sum(dim=1)).mean()}

    def flat_gradient(self, theta, number):
        """The slope of BPR, interaction by interaction."""
        nodes = theta.reshape(2 * N_BATCHES, 2)
        slope = np.zeros_like(nodes)
        for user, positive, negative in rows_of(number):
            gap = nodes[positive] - nodes[negative]
            pull = -1 / (1 + np.exp(nodes[user] @ gap)) / INTERACTIONS
            slope[user] += pull * gap
            slope[positive] += pull * nodes[user]
            slope[negative] -= pull * nodes[user]
        return slope.ravel()


INTERACTIONS = 3  # of a batch


def batch(number: int) -> Batch:
    """A batch of three interactions, two of the user that has its number; other problems look at the number alone."""
    users, positives, negatives = ([(number + more) % N_BATCHES for more in offsets] for offsets in OFFSETS)
    return Batch(torch.tensor(users), torch.tensor(positives), torch.tensor(negatives)[:, None])


OFFSETS = [(0, 0, 1), (0, 1, 0), (2, 3, 2)]  # of users, positives and negatives


def rows_of(number: int) -> list[tuple[int, int, int]]:
    """The rows of user, positive and negative of each interaction in the table of users, then items."""
    few = batch(number)
    columns = few.users, few.positives + N_BATCHES, few.negatives[:, 0] + N_BATCHES
    return list(zip(*(column.tolist() for column in columns), strict=True))


def problems_of(name: str) -> list[type[Model]]:
    """The problems that a strategy is tested with."""
    return [Factors] if target_of(name) == "embeddings" else [Quadratic, Network]


def target_of(name: str) -> PerturbTarget:
    """What a strategy perturbs, where it can perturb parameters these."""
    return "embeddings" if name.removesuffix("+") in ON_EMBEDDINGS else "parameters"


def context_of(model: Model, optimizer: torch.optim.Optimizer) -> TrainStepContext | EmbeddingStepContext:
    """The context in which a problem is solved: for factors that of embeddings."""
    return perturbing(TrainStepContext(model, optimizer), "embeddings" if isinstance(model, Factors) else "parameters")


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


class HandMomentum:
    """SGD whose velocity is 0.9 of itself plus the gradient."""

    def __init__(self, lr: float):
        self.lr, self.velocity = lr, 0.0

    def __call__(self, theta, gradient):
        self.velocity = 0.9 * self.velocity + gradient
        return theta - self.lr * self.velocity


class HandRMSprop:
    """Tieleman & Hinton; torch's epsilon stands outside the root."""

    def __init__(self, lr: float):
        self.lr, self.square = lr, 0.0

    def __call__(self, theta, gradient):
        self.square = 0.99 * self.square + 0.01 * gradient**2
        return theta - self.lr * gradient / (np.sqrt(self.square) + 1e-8)


class HandAdagrad:
    """Duchi et al.; torch's epsilon stands outside the root."""

    def __init__(self, lr: float):
        self.lr, self.square = lr, 0.0

    def __call__(self, theta, gradient):
        self.square = self.square + gradient**2
        return theta - self.lr * gradient / (np.sqrt(self.square) + 1e-10)


def hand_distance(kind, gradient, mean):
    return {
        "manhattan": lambda: np.abs(gradient - mean).sum(),
        "manhattan-mean": lambda: np.abs(gradient - mean).mean(),
        "euclidean": lambda: np.sqrt(((gradient - mean) ** 2).sum()),
        "cosine": lambda: gradient @ mean / np.sqrt((gradient @ gradient) * (mean @ mean)),
    }.get(kind, lambda: kind)()


def length(vector):
    return np.sqrt(vector @ vector)


class HandStrategy:
    """The gradient that each strategy descends, from its equations; its state is kept between steps."""

    def __init__(self, name: str, settings: Mapping[str, object]):
        self.name, self.settings, self.mean, self.orthogonal, self.step = name, settings, 0.0, 0.0, 0
        self.rho = settings.get("rho", 0.01 if name == "pamacf" else 0.1)
        self.inside, self.number, self.past = [], 0, []

    def get(self, key, default):
        return self.settings.get(key, default)

    def transform_gradient(self, gradient_of, theta, number):
        """The gradient for the base optimizer."""
        gradient = gradient_of(theta, number)
        self.step, self.number = self.step + 1, number
        if self.name == "plain":
            return gradient
        if self.name in TRAJECTORY:
            return gradient + TRAJECTORY[self.name](self, theta)
        if self.name == "looksam" and (self.step - 1) % self.get("interval", 5):
            return gradient + self.get("alpha", 0.7) * length(gradient) / length(self.orthogonal) * self.orthogonal
        eps = BY_HAND[self.name][0](self, theta, gradient)
        perturbed = gradient_of(theta + eps, number)
        if self.name == "looksam":
            self.orthogonal = perturbed - (perturbed @ gradient) / (gradient @ gradient) * gradient
        if self.name == "gsam":
            orthogonal = gradient - (gradient @ perturbed) / (perturbed @ perturbed) * perturbed
            return perturbed - self.get("alpha", 0.1) * orthogonal
        if self.name == "gnp":
            alpha = self.get("alpha", 0.7)
            return (1 - alpha) * gradient + alpha * perturbed
        if self.name == "pamacf":
            return gradient + self.get("lam", 1.0) * perturbed
        return perturbed


def along_gradient(hand, _theta, gradient):
    return hand.rho * gradient / length(gradient)


def asam(hand, theta, gradient):
    scale = np.abs(theta) + hand.get("eta", 0.01)
    return hand.rho * scale**2 * gradient / length(scale * gradient)


def fisher_sam(hand, _theta, gradient):
    inverse = 1 / (1 + hand.get("eta", 1.0) * gradient**2)
    return hand.rho * inverse * gradient / np.sqrt((gradient**2 * inverse).sum())


def less_mean(hand, _theta, gradient):
    """BSAM and Friendly SAM."""
    lam = hand.get("lam", 0.6 if hand.name == "bsam" else 0.9)
    hand.mean = (1 - lam) * gradient + lam * hand.mean
    kind = hand.get("distance", "manhattan") if hand.name == "bsam" else hand.get("sigma", 1.0)
    direction = gradient - hand_distance(kind, gradient, hand.mean) * hand.mean
    return hand.rho * direction / length(direction)


def vasso(hand, _theta, gradient):
    weight = hand.get("theta", 0.4)
    hand.mean = (1 - weight) * hand.mean + weight * gradient
    return hand.rho * hand.mean / length(hand.mean)


def esam(hand, _theta, gradient):
    draws = torch.rand(len(gradient), generator=seeding.generator(0, "efficient sam", hand.step - 1)).numpy()
    beta = hand.get("beta", 0.5)
    return hand.rho / beta * np.where(draws < beta, gradient, 0) / length(gradient)


def ssam(hand, _theta, gradient):
    if (hand.step - 1) % hand.get("refresh", 100) == 0:
        hand.inside = ssam_mask(hand, gradient)
    direction = np.zeros_like(gradient)
    direction[hand.inside] = gradient[hand.inside]
    return hand.rho * direction / length(direction)


def ssam_mask(hand, gradient):
    """The places in the mask of SSAM, one by one."""
    n_outside = int(hand.get("sparsity", 0.5) * len(gradient))
    if hand.get("mask", "fisher") == "fisher":
        return sorted(range(len(gradient)), key=lambda place: gradient[place] ** 2)[n_outside:]
    n_dropped = min(int(hand.get("drop", 0.5) * len(hand.inside)), n_outside)
    kept = sorted(hand.inside, key=lambda place: abs(gradient[place]))[n_dropped:]
    outside = [place for place in range(len(gradient)) if place not in hand.inside]
    order = torch.randperm(len(outside), generator=seeding.generator(0, "sparse sam", hand.step - 1))
    return kept + [outside[place] for place in order[: len(gradient) - n_outside - len(kept)]]


def helen(hand, _theta, gradient):
    """Row by row: the counts of a batch, each relative to the largest of users or items."""
    slope, eps = gradient.reshape(2 * N_BATCHES, 2), np.zeros((2 * N_BATCHES, 2))
    read = [row for rows in rows_of(hand.number) for row in rows]
    for table in (range(N_BATCHES), range(N_BATCHES, 2 * N_BATCHES)):
        size = np.sqrt(sum((slope[row] ** 2).sum() for row in table))
        most = max(read.count(row) for row in table)
        for row in table:
            eps[row] = hand.rho * max(read.count(row) / most, hand.get("bound", 0.3)) * slope[row] / size
    return eps.ravel()


def pamacf(hand, theta, gradient):
    """Row by row: the mean radius of the interactions that read it."""
    nodes, slope = (flat_rows.reshape(2 * N_BATCHES, 2) for flat_rows in (theta, gradient))
    interactions, eps = rows_of(hand.number), np.zeros((2 * N_BATCHES, 2))
    squares = [nodes[user] @ nodes[user] for user, _, _ in interactions]
    radii = [2 * hand.rho / (1 + np.exp(1 - square / np.mean(squares))) for square in squares]
    for row in range(2 * N_BATCHES):
        reading = [radius for rows, radius in zip(interactions, radii, strict=True) if row in rows]
        if reading:
            eps[row] = np.mean(reading) * slope[row] / length(slope[row])
    return eps.ravel()


def trajectory(hand, theta):
    """The slope of the trajectory loss of SharpCF where every step begins an epoch."""
    hand.past.append(theta.copy())
    slope, window = np.zeros((2 * N_BATCHES, 2)), hand.get("window", 3)
    if hand.step > max(window, hand.get("start_epoch", 0)):
        nodes, before = (values.reshape(2 * N_BATCHES, 2) for values in (theta, hand.past[-1 - window]))
        for user, positive, _ in rows_of(hand.number):
            gap = nodes[user] @ nodes[positive] - before[user] @ before[positive]
            slope[user] += hand.get("lam", 0.1) * 2 * gap * nodes[positive] / INTERACTIONS
            slope[positive] += hand.get("lam", 0.1) * 2 * gap * nodes[user] / INTERACTIONS
    return slope.ravel()


def saf(hand, theta):
    """The slope of the trajectory loss of SAF where every step begins an epoch."""
    hand.past.append(theta.copy())
    window = hand.get("window", 3)
    if hand.step > max(window, hand.get("start_epoch", 0)):
        return divergence(hand, theta, hand.past[-1 - window], hand.get("lam", 0.3))
    return np.zeros_like(theta)


def mesa(hand, theta):
    """The slope of the trajectory loss of MESA, the first average being the start."""
    decay = hand.get("decay", 0.998)
    hand.mean = theta.copy() if hand.step == 1 else decay * hand.mean + (1 - decay) * theta
    if hand.step > hand.get("start_epoch", 0):
        return divergence(hand, theta, hand.mean, hand.get("lam", 0.8))
    return np.zeros_like(theta)


def divergence(hand, theta, past, lam):
    """The slope of lam T^2 times the mean divergence, through the probability that the positive ranks first."""
    slope, temperature = np.zeros((2 * N_BATCHES, 2)), hand.get("temperature", 5.0)
    nodes, before = (values.reshape(2 * N_BATCHES, 2) for values in (theta, past))
    for user, positive, negative in rows_of(hand.number):
        now, then = (
            1 / (1 + np.exp(-table[user] @ (table[positive] - table[negative]) / temperature))
            for table in (nodes, before)
        )
        # d/dx of -q ln p - (1 - q) ln(1 - p) with p = sigmoid(x / T)
        pull = lam * temperature**2 * (-then * (1 - now) + (1 - then) * now) / temperature / INTERACTIONS
        slope[user] += pull * (nodes[positive] - nodes[negative])
        slope[positive] += pull * nodes[user]
        slope[negative] -= pull * nodes[user]
    return slope.ravel()


TRAJECTORY = {"sharpcf": trajectory, "saf": saf, "mesa": mesa}  # strategies that hold scores near those of a past

# Settings with which the past counts after few epochs, and shows.
SHORT_MEMORY = {
    "sharpcf": {"window": 1, "lam": 1.0},
    "saf": {"window": 1, "lam": 10.0},
    "mesa": {"decay": 0.5, "lam": 10.0},
}

DISTANCES = ["manhattan", "manhattan-mean", "euclidean", "cosine", 0.7]

# One row per strategy: its perturbation worked by hand, and the settings that it is tested with.
BY_HAND = {
    "plain": (None, [{}]),
    "sam": (along_gradient, [{"rho": 0.2}]),
    "asam": (asam, [{"rho": 0.3, "eta": 0.05}, {"rho": 0.3}]),
    "fishersam": (fisher_sam, [{"rho": 0.2, "eta": 0.4}, {"rho": 0.2}]),
    "friendlysam": (less_mean, [{"rho": 0.2, "sigma": 0.8, "lam": 0.7}, {"rho": 0.2}]),
    "bsam": (less_mean, [*({"rho": 0.15, "lam": 0.4, "distance": distance} for distance in DISTANCES), {}]),
    "vasso": (vasso, [{"rho": 0.2, "theta": 0.3}, {"rho": 0.2}]),
    "gsam": (along_gradient, [{"rho": 0.2, "alpha": 0.3}, {"rho": 0.2}]),
    "gnp": (along_gradient, [{"rho": 0.2, "alpha": 0.4}, {"rho": 0.2}]),
    "looksam": (along_gradient, [{"rho": 0.2, "alpha": 0.5, "interval": 2}, {"rho": 0.2, "interval": 3}]),
    "ssam": (
        ssam,
        [
            {"rho": 0.2, "sparsity": 0.4, "refresh": 2},
            {"rho": 0.2, "sparsity": 0.7, "mask": "dynamic", "refresh": 2, "drop": 0.6},
            {"rho": 0.2, "mask": "dynamic", "refresh": 1},
            {"rho": 0.2},
        ],
    ),
    "esam": (esam, [{"rho": 0.2, "beta": 0.7}, {"rho": 0.2}]),
    "helen": (helen, [{"rho": 0.4, "bound": 0.6}, {"rho": 0.4, "bound": 0.0}, {"rho": 0.4}]),
    "pamacf": (pamacf, [{"rho": 0.4, "lam": 0.5}, {"rho": 0.4}]),
    "sharpcf": (None, [{"lam": 2.0, "window": 1}, {"lam": 2.0, "window": 2, "start_epoch": 4.0}, {}]),
    "saf": (
        None,
        [
            {"lam": 3.0, "window": 1, "temperature": 0.5},
            {"lam": 9.0, "window": 2, "start_epoch": 4.0},
            {"lam": 9.0, "window": 1},
            {},
        ],
    ),
    "mesa": (
        None,
        [
            {"lam": 3.0, "temperature": 0.5, "decay": 0.7},
            {"lam": 9.0, "decay": 0.0, "start_epoch": 2.0},
            {"lam": 30.0},
            {},
        ],
    ),
    "mg": (None, [{"alpha1": 1.2, "alpha2": 0.3, "interval": 2}, {}]),
}


def hand_run(
    gradient_of: Callable[[np.ndarray, int], np.ndarray],
    theta: np.ndarray,
    update,
    name: str,
    steps: int,
    settings: Mapping[str, object],
) -> np.ndarray:
    """The parameters after some steps, batch 2t and 2t + 1 at step t for a mixed strategy, batch t otherwise."""
    mixed, kappa = name.endswith("+"), settings.get("kappa", 0.6)
    strategy = HandStrategy(name.removesuffix("+"), settings)
    for t in range(steps):
        if name == "mg":
            theta = _mirrored(gradient_of, theta, update, settings, t)
            continue
        first, second = (2 * t, 2 * t + 1) if mixed else (t, None)
        gradient = strategy.transform_gradient(gradient_of, theta, first)
        theta = update(theta, kappa * gradient + (1 - kappa) * gradient_of(theta, second) if mixed else gradient)
    return theta


def _mirrored(gradient_of, theta, update, settings, t):
    if (t + 1) % settings.get("interval", 3):
        return update(theta, gradient_of(theta, t))
    theta = update(theta, settings.get("alpha1", 1.0) * gradient_of(theta, t))
    return update(theta, -settings.get("alpha2", 0.2) * gradient_of(theta, t))
