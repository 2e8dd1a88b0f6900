"""Sharpness-aware optimizers for any PyTorch loop: the strategies of this package around any torch optimizer.

    from flatrec.optim import BSAM, Mixed

    optimizer = BSAM(torch.optim.Adam(model.parameters(), lr=1e-3), rho=0.1, lam=0.6)
    optimizer.step(closure)

    optimizer = Mixed(BSAM(torch.optim.AdamW(model.parameters()), rho=0.1), kappa=0.6)
    optimizer.step(closure, other_closure)

    optimizer = SAM(torch.optim.SGD(model.parameters(), lr=0.1), rho=0.05)  # or without closures
    loss_of(batch).backward(); optimizer.first_step()
    loss_of(batch).backward(); optimizer.second_step()

Every strategy of :mod:`flatrec.strategies` has its optimizer here, under the name of its class; it is made when it is
first used, from the fields of the strategy. Those that need the users and items of a batch, which an optimizer does not
see, are the exception. Needs torch alone. BSAM is batch-focused SAM, not Bayesian SAM;
FriendlySAM is Friendly SAM (F-SAM), FisherSAM is Fisher SAM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flatrec.optim.closures import Closure
from flatrec.optim.mixed import Mixed
from flatrec.optim.wrapper import StrategyOptimizer
from flatrec.strategies.context import NonFiniteGradientError
from flatrec.strategies.registry import EMBEDDINGS, ENTRIES

_NAMES = {entry.class_name: name for name, entry in ENTRIES.items() if entry.family != EMBEDDINGS}
_WITHOUT = {entry.class_name: name for name, entry in ENTRIES.items() if entry.family == EMBEDDINGS}

__all__ = ["Closure", "Mixed", "NonFiniteGradientError", "StrategyOptimizer", *sorted(_NAMES)]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # noqa: ANN401 - a class whose constructor type checkers cannot know

else:

    def __getattr__(name: str) -> object:
        from flatrec.optim.factory import optimizer_class
        from flatrec.strategies import STRATEGIES

        if name in _WITHOUT:
            raise AttributeError(
                f"{name} needs the users and items of a batch, which an optimizer does not see; train with "
                f"strategy {_WITHOUT[name]} and training.perturb_target = embeddings"
            )
        if name not in _NAMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, optimizer_class(STRATEGIES[_NAMES[name]], __name__))


def __dir__() -> list[str]:
    return sorted(__all__)
