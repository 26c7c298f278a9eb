"""Activations beside their formulas, at the extremes, and in their types."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import UserError


@pytest.mark.parametrize(
    "act",
    [
        lambda x: F.leaky_relu(x, np.float64(0.1)),
        lambda x: F.elu(x, np.float64(0.5)),
        lambda x: F.softplus(x, np.float64(2), np.float64(20)),
        lambda x: F.hardtanh(x, np.float64(-2), np.float64(2)),
        lambda x: F.clip(x, np.float64(-1), np.float64(1)),
        lambda x: x.clamp(min=np.float64(0)),
        lambda x: F.huber_loss(x, x.detach() * 2, delta=np.float64(1)),
        lambda x: F.dropout(x, np.float64(0.5)),
        lambda x: F.layer_norm(x, 2, eps=np.float64(1e-5)),
        lambda x: F.pad(x, (1, 1), value=np.float64(1)),
        lambda x: F.var(x, correction=np.float64(1)),
        lambda x: F.norm(x, np.float64(3)),
        lambda x: F.cross_entropy(x, 0, label_smoothing=np.float64(0.1)),
    ],
)
def test_a_numpy_number_among_the_arguments_does_not_promote(act):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = act(x)
    assert y.dtype == np.float32
    assert mg.grad(y.sum(), x)[0].dtype == np.float32


def test_softplus_refuses_beta_0_which_divides():
    with pytest.raises(UserError, match="softplus: beta"):
        F.softplus(mg.ones(2), beta=0)
