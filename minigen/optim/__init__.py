"""Optimizers, learning-rate schedules and averages of weights. Names, arguments and their order are PyTorch's."""

from minigen.optim.adam import Adam
from minigen.optim.adamw import AdamW
from minigen.optim.ema import ExponentialMovingAverage
from minigen.optim.optimizer import Optimizer
from minigen.optim.rmsprop import RMSprop
from minigen.optim.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from minigen.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "ExponentialMovingAverage",
    "LRScheduler",
    "LinearLR",
    "Optimizer",
    "RMSprop",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
