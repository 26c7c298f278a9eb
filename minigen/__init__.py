"""minigen: autograd, kernels and generative models from scratch, to read and to run."""

import numpy as _np

from minigen.tensor import Tensor  # isort: skip - first: everything else is built on it
from minigen import errors, functional
from minigen.autograd import Function, detect_anomaly, enable_grad, grad, is_grad_enabled, no_grad, once_differentiable
from minigen.autograd.derivatives import hessian, hvp, jacobian, jvp, vjp
from minigen.autograd.gradcheck import gradcheck
from minigen.creation import (
    arange,
    as_tensor,
    empty,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from minigen.device import device
from minigen.functional import *  # noqa: F403 - minigen.exp is minigen.functional.exp, as in PyTorch

from minigen import cuda, nn, optim  # isort: skip - built on everything above
from minigen.precision import get_float32_precision, set_float32_precision
from minigen.random import Generator, default_generator, manual_seed
from minigen.trace import trace

float32, float64, int64 = _np.dtype("float32"), _np.dtype("float64"), _np.dtype("int64")
__version__ = "0.1.0"
