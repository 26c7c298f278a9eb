"""Losses beside formulas written out in NumPy and SciPy, and their gradients where they are delicate."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError


def test_binary_cross_entropy_of_probabilities_that_are_exactly_0_or_1_has_finite_gradients():
    p = mg.tensor([0.0, 0.0, 1.0, 1.0, 0.25], requires_grad=True)
    loss = F.binary_cross_entropy(p, mg.tensor([0.0, 1.0, 1.0, 0.0, 1.0]), reduction="none")
    np.testing.assert_allclose(loss.numpy(), [0.0, 100.0, 0.0, 100.0, np.log(4)], rtol=1e-6)
    (g,) = mg.grad(loss.sum(), p, create_graph=True)
    assert g.tolist()[4] == -4.0
    assert np.isfinite(g.numpy()).all(), g
    assert np.isfinite(mg.grad(g.sum(), p)[0].numpy()).all()


def test_a_saturated_sigmoid_before_binary_cross_entropy_gives_no_nan():
    logits = mg.tensor([-1e4, 1e4, 0.0], requires_grad=True)
    F.binary_cross_entropy(logits.sigmoid(), mg.tensor([1.0, 0.0, 1.0])).backward()
    np.testing.assert_allclose(logits.grad.numpy(), [0.0, 0.0, -0.5 / 3], rtol=1e-6)


@pytest.mark.parametrize("p", [1e-43, 1e-38, 1e-20])
def test_binary_cross_entropy_is_exact_down_to_the_smallest_probabilities(p):
    x = mg.tensor([p], requires_grad=True, dtype=np.float64)
    loss = F.binary_cross_entropy(x, mg.ones(1, dtype=np.float64))
    loss.backward()
    assert loss.item() == pytest.approx(-np.log(p), rel=1e-12)
    assert x.grad.item() == pytest.approx(-1 / p, rel=1e-12)


@pytest.mark.parametrize("target", [[0, -1], [0, 3], [-2, 1]])
def test_a_class_that_is_not_there_is_refused_and_never_counted_from_the_end(target):
    with pytest.raises(ShapeError, match=r"nll_loss: target: .* from 0 to 2"):
        F.cross_entropy(mg.ones(2, 3), mg.tensor(target))
