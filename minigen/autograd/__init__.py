"""The engine. Read in this order: `function` (a node), `engine` (the backward pass), `modes`, `derivatives`, `gradcheck`."""

from minigen.autograd.engine import grad
from minigen.autograd.function import Function, once_differentiable
from minigen.autograd.modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad

__all__ = ["Function", "detect_anomaly", "enable_grad", "grad", "is_grad_enabled", "no_grad", "once_differentiable"]
