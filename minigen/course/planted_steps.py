"""Seven training steps of a GAN for exercise 08.3, six of them with a bug. Do not read on before you have found them.

Each is a function of a `Game`, of real points (n, 2) and of noise (n, 3), and moves the weights of the game once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from minigen import nn
from minigen.autograd import no_grad
from minigen.functional import log, sigmoid, softplus
from minigen.optim import SGD
from minigen.random import default_generator
from minigen.tensor import Tensor

KINDS = (
    "right",
    "labels exchanged",
    "G downhill",
    "G outside the graph",
    "gradients left over",
    "D helps G",
    "sigmoid twice",
)


class Game:
    """Two players and their optimizers; two games of one seed have the same weights.

    Attributes:
        generator: noise (n, 3) to points (n, 2).
        discriminator: points to logits (n, 1).
        sgd_g, sgd_d: plain gradient descent, without momentum, so that a step shows the gradient it took.
    """

    def __init__(self, seed: int = 0, lr: float = 0.1) -> None:
        before = default_generator.get_state()
        default_generator.manual_seed(seed)
        try:
            self.generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
            self.discriminator = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
        finally:
            default_generator.set_state(before)
        self.sgd_g, self.sgd_d = (SGD(net.parameters(), lr=lr) for net in (self.generator, self.discriminator))


def _raise(logits: Tensor) -> Tensor:
    return softplus(-logits).mean()


def _lower(logits: Tensor) -> Tensor:
    return softplus(logits).mean()


def _descend(loss: Tensor, *optimizers: SGD, cleared: Iterable[SGD] | None = None) -> None:
    for optimizer in optimizers if cleared is None else cleared:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()


def _a(game: Game, real: Tensor, z: Tensor) -> None:
    fake = game.generator(z)
    _descend(_raise(game.discriminator(real)) + _lower(game.discriminator(fake.detach())), game.sgd_d)
    _descend(_raise(game.discriminator(fake)), game.sgd_g, game.sgd_d)


def _b(game: Game, real: Tensor, z: Tensor) -> None:
    fake = game.generator(z)
    d_loss = _raise(game.discriminator(real)) + _lower(game.discriminator(fake.detach()))
    _descend(d_loss, game.sgd_d, cleared=())
    _descend(_raise(game.discriminator(fake)), game.sgd_g)


def _c(game: Game, real: Tensor, z: Tensor) -> None:
    fake = game.generator(z)
    _descend(_raise(sigmoid(game.discriminator(real))) + _lower(sigmoid(game.discriminator(fake.detach()))), game.sgd_d)
    _descend(_raise(sigmoid(game.discriminator(fake))), game.sgd_g)


def _d(game: Game, real: Tensor, z: Tensor) -> None:
    fake = game.generator(z)
    _descend(_lower(game.discriminator(real)) + _raise(game.discriminator(fake.detach())), game.sgd_d)
    _descend(_raise(game.discriminator(fake)), game.sgd_g)


def _e(game: Game, real: Tensor, z: Tensor) -> None:
    fake = game.generator(z)
    _descend(_raise(game.discriminator(real)) + _lower(game.discriminator(fake.detach())), game.sgd_d)
    _descend(_raise(game.discriminator(fake)), game.sgd_g)


def _f(game: Game, real: Tensor, z: Tensor) -> None:
    with no_grad():
        fake = game.generator(z)
    _descend(_raise(game.discriminator(real)) + _lower(game.discriminator(fake)), game.sgd_d)
    _descend(_raise(game.discriminator(fake)), game.sgd_g)


def _g(game: Game, real: Tensor, z: Tensor) -> None:
    fake = game.generator(z)
    _descend(_raise(game.discriminator(real)) + _lower(game.discriminator(fake.detach())), game.sgd_d)
    _descend(log(sigmoid(game.discriminator(fake))).mean(), game.sgd_g)


STEPS: dict[str, Callable[[Game, Tensor, Tensor], None]] = dict(zip("ABCDEFG", (_a, _b, _c, _d, _e, _f, _g)))
TRUTH = {"A": 5, "B": 4, "C": 6, "D": 1, "E": 0, "F": 3, "G": 2}  # places in KINDS
