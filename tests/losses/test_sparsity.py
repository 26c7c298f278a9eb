"""Sparsity penalties: their formulas written out in NumPy, derivatives against finite differences and PyTorch."""

import math

import numpy as np
import pytest

import minigen as mg
from minigen.errors import ShapeError, UserError
from minigen.losses.sparsity import kl_sparsity, l1_sparsity


def written_out(logits, rho):
    on = (1 / (1 + np.exp(-logits))).mean(axis=0)
    return sum(rho * math.log(rho / p) + (1 - rho) * math.log((1 - rho) / (1 - p)) for p in on)


@pytest.mark.parametrize("shape", [(7, 5), (1, 3), (4, 1)])
def test_kl_sparsity_is_the_divergence_of_the_batch_mean_summed_over_units(shape):
    a = np.random.default_rng(0).normal(size=shape) * 3
    assert kl_sparsity(mg.tensor(a), 0.05).item() == pytest.approx(written_out(a, 0.05), rel=1e-12)


def test_kl_sparsity_of_numbers_worked_by_hand():
    logits = mg.tensor([[0.0], [math.log(3)]], dtype="float64")  # on by 1/2 and 3/4: 5/8 in the mean
    expected = 0.25 * math.log(0.25 / 0.625) + 0.75 * math.log(0.75 / 0.375)
    assert kl_sparsity(logits, 0.25).item() == pytest.approx(expected, rel=1e-12)


def test_the_mean_is_over_the_batch_and_not_each_image_on_its_own():
    together = mg.tensor([[20.0], [-20.0]], dtype="float64")  # wholly on, wholly off: half the time
    assert kl_sparsity(together, 0.5).item() == pytest.approx(0.0, abs=1e-12)
    assert kl_sparsity(together[:1], 0.5).item() > 5


def test_a_unit_that_is_stuck_at_either_end_still_has_a_gradient():
    logits = mg.tensor([[-200.0, 200.0], [-200.0, 200.0]], requires_grad=True)
    loss = kl_sparsity(logits, 0.1)
    loss.backward()
    assert math.isfinite(loss.item())
    # d/da -ρ log ρ̂ - (1 - ρ) log(1 - ρ̂) tends to -ρ/N where all are off, and to (1 - ρ)/N where all are on
    assert np.allclose(logits.grad.numpy(), [[-0.05, 0.45], [-0.05, 0.45]], atol=1e-6)


def test_first_and_second_derivatives_agree_with_finite_differences():
    rng = np.random.default_rng(1)
    a = mg.tensor(rng.normal(size=(4, 3)), requires_grad=True)
    assert mg.gradcheck(lambda a: kl_sparsity(a, 0.2), (a,), order=2)
    code, columns = (mg.tensor(rng.normal(size=shape), requires_grad=True) for shape in ((4, 3), (5, 3)))
    assert mg.gradcheck(l1_sparsity, (code, columns), order=2)


def test_kl_sparsity_and_its_gradient_agree_with_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is the independent implementation")
    a = np.random.default_rng(2).normal(size=(6, 4))
    ours, theirs = mg.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    kl_sparsity(ours, 0.1).backward()
    on = torch.sigmoid(theirs).mean(0)
    target = torch.full_like(on, 0.1)
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(target), torch.distributions.Bernoulli(on)
    )
    divergence.sum().backward()
    assert np.allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_l1_sparsity_is_a_sum_over_units_and_a_mean_over_the_batch():
    code = np.random.default_rng(3).normal(size=(5, 4))
    assert l1_sparsity(mg.tensor(code)).item() == pytest.approx(np.abs(code).sum() / 5, rel=1e-12)


def test_weighted_by_columns_l1_sees_through_a_code_made_small_by_large_weights():
    rng = np.random.default_rng(4)
    code, columns, scale = rng.normal(size=(5, 4)), rng.normal(size=(6, 4)), np.array([1, 10, 0.1, 3])
    plain = l1_sparsity(mg.tensor(code), mg.tensor(columns)).item()
    assert plain == pytest.approx((np.abs(code) @ np.linalg.norm(columns, axis=0)).mean(), rel=1e-12)
    assert l1_sparsity(mg.tensor(code / scale), mg.tensor(columns * scale)).item() == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("rho", [0.0, 1.0, -0.1, math.nan])
def test_a_rho_that_is_no_share_is_refused(rho):
    with pytest.raises(UserError, match="rho is the share"):
        kl_sparsity(mg.zeros(2, 2), rho)


def test_codes_of_other_shapes_are_refused():
    for code in (mg.zeros(3), mg.zeros(0, 3), mg.zeros(2, 3, 4)):
        with pytest.raises(ShapeError, match=r"\(N, units\)"):
            kl_sparsity(code, 0.1)
        with pytest.raises(ShapeError, match=r"\(N, units\)"):
            l1_sparsity(code)
    with pytest.raises(ShapeError, match="3 units need as many columns"):
        l1_sparsity(mg.zeros(2, 3), mg.zeros(5, 4))
