"""Elementwise operations beside NumPy and SciPy: values, types, broadcasting, extremes, mistakes."""

import operator

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import DtypeError, ShapeError

RELATIONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@pytest.mark.parametrize("relation", RELATIONS)
def test_comparing_shapes_that_do_not_fit_says_which(relation):
    with pytest.raises(ShapeError, match=r"(less|greater|equal).*\(2, 3\) and \(4,\).*equal or 1"):
        relation(mg.ones(2, 3), mg.ones(4))


@pytest.mark.parametrize("other", [None, "a", ""])
def test_nothing_and_words_equal_no_tensor(other):
    x = mg.ones(2)
    assert (x == other) is False
    assert (x != other) is True
    assert (other == x) is False
    assert x in [other, x]


def test_and_or_xor_work_with_an_array_on_the_left():
    a, b = np.array([True, True, False]), mg.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b).tolist() == [True, True, False]
    assert (a ^ b).tolist() == [False, True, False]
    assert (True & b).tolist() == b.tolist()


@pytest.mark.parametrize("act", [lambda x: x & x, lambda x: x | 1, lambda x: ~x, lambda x: 1.5 ^ x])
def test_bits_of_floating_point_numbers_are_refused_in_words(act):
    with pytest.raises(DtypeError, match=r"booleans and integers, not .*float32"):
        act(mg.ones(2))


def test_arithmetic_that_booleans_have_not_is_refused_with_what_to_use():
    x = mg.tensor([True, False])
    with pytest.raises(DtypeError, match=r"sub: .*x \^ y"):
        F.sub(x, x)
    with pytest.raises(DtypeError, match=r"neg: .*~x"):
        F.neg(x)
    assert (x - 1).tolist() == [0, -1]
    assert F.sign(x).tolist() == [True, False]


def test_integers_to_negative_powers_are_refused_unless_one_is_floating():
    i, negative = mg.tensor([1, 2]), mg.tensor([-1, 0])
    for base in (i, 2):
        with pytest.raises(DtypeError, match="negative powers"):
            base**negative
    assert (i**-1).tolist() == [1.0, 0.5]
    assert (i.float() ** negative).tolist() == [1.0, 1.0]
    assert (i ** negative.float()).tolist() == [1.0, 1.0]


def test_a_power_has_its_infinite_slope_at_0_without_a_warning():
    x = mg.tensor([0.0, 4.0], requires_grad=True)
    (g,) = mg.grad((x**0.5).sum(), x, create_graph=True)
    assert g.tolist() == [np.inf, 0.25]
    assert mg.grad(g.sum(), x)[0].tolist() == [-np.inf, -0.03125]
    assert (x**-1).tolist() == [np.inf, 0.25]
    assert np.isnan(((-x - 1) ** 0.5).numpy()).all()
