"""Dropout: its statistics, its generator, its gradient."""

import numpy as np
import pytest
from scipy import stats

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError, UserError


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_a_share_p_and_keeps_the_mean(p):
    x = mg.ones(200, 500)
    y = F.dropout(x, p, generator=mg.Generator(0)).numpy()
    kept = y != 0
    assert stats.binomtest(int(kept.sum()), kept.size, 1 - p).pvalue > 0.01
    np.testing.assert_allclose(y[kept], 1 / (1 - p), rtol=1e-6)
    assert stats.chisquare(kept.sum(0), np.full(500, kept.sum() / 500)).pvalue > 0.01  # spread evenly


def test_the_gradient_passes_where_the_values_did_with_the_same_factor():
    x = mg.tensor(np.arange(1.0, 101.0), requires_grad=True)
    y = F.dropout(x, 0.25, generator=mg.Generator(1))
    (g,) = mg.grad(y.sum(), x)
    np.testing.assert_allclose(g.numpy(), y.numpy() / x.numpy(), rtol=1e-12)
    assert set(np.round(g.numpy(), 9)) == {0.0, round(4 / 3, 9)}


def test_dropout2d_drops_whole_channels():
    x = mg.ones(50, 40, 3, 2)
    y = F.dropout2d(x, 0.3, generator=mg.Generator(2)).numpy()
    channels = y.reshape(2000, 6)
    assert (channels == channels[:, :1]).all()
    assert stats.binomtest(int((channels[:, 0] != 0).sum()), 2000, 0.7).pvalue > 0.01
    assert F.dropout2d(mg.ones(40, 3, 2), 0.3).shape == (40, 3, 2)


@pytest.mark.parametrize("drop", [F.dropout, F.dropout2d])
def test_one_seed_drops_the_same_elements_in_either_precision_and_another_seed_others(drop):
    x = mg.ones(8, 16, 2, 2)
    first = drop(x, generator=mg.Generator(5)).numpy()
    np.testing.assert_array_equal(drop(x, generator=mg.Generator(5)).numpy(), first)
    np.testing.assert_array_equal(drop(x.double(), generator=mg.Generator(5)).numpy(), first)
    assert (drop(x, generator=mg.Generator(6)).numpy() != first).any()
    mg.manual_seed(5)
    np.testing.assert_array_equal(drop(x).numpy(), first)
    assert (drop(x).numpy() != first).any()  # the default generator has moved on


@pytest.mark.parametrize("drop", [F.dropout, F.dropout2d])
def test_nothing_is_dropped_in_evaluation_or_with_p_0_and_everything_with_p_1(drop):
    x = mg.full((2, 3, 4, 4), 2.0, requires_grad=True)
    g = mg.Generator(0)
    before = g.get_state()
    assert drop(x, 0.5, training=False, generator=g) is x
    assert drop(x, p=0, generator=g) is x
    assert g.get_state() == before
    y = drop(x, 1.0, generator=g)
    assert not y.numpy().any()
    assert not mg.grad(y.sum(), x)[0].numpy().any()


def test_types_are_kept_and_integers_become_float32():
    assert F.dropout(mg.ones(3)).dtype == np.float32
    assert F.dropout(mg.ones(3, dtype=np.float64)).dtype == np.float64
    assert F.dropout(mg.tensor([1, 2])).dtype == np.float32
    assert F.dropout(mg.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("p", [1.5, -0.1, "a", None, np.nan])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(UserError, match=r"dropout: p=.* must be a probability"):
        F.dropout(mg.ones(2), p)
    with pytest.raises(UserError, match=r"dropout2d: p=.* must be a probability"):
        F.dropout2d(mg.ones(1, 2, 2), p)


def test_dropout2d_needs_images():
    with pytest.raises(ShapeError, match=r"dropout2d: .*\(2, 3\)"):
        F.dropout2d(mg.ones(2, 3))
