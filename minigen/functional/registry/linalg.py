"""Recipes for the products: linear in each operand."""

from __future__ import annotations

import numpy as np

from minigen import functional as F
from minigen.functional.activation import linear_then_activate
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample


def _matmul(draw: Draw) -> Sample:
    m, k, n = (draw.integer(0, 3) for _ in range(3))
    left, right = draw.choice([((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((1,), (1,)), ((0,), (1,))])
    return [draw.normal((*left, m, k)), draw.normal((*right, k, n))], {}


def _matmul_vector(draw: Draw) -> Sample:
    k = draw.integer(1, 3)
    left, right = draw.choice([((k,), (k,)), ((k,), (k, 2)), ((2, k), (k,)), ((k,), (2, k, 3)), ((2, 3, k), (k,))])
    return [draw.normal(left), draw.normal(right)], {}


def _matrix_and_vector(draw: Draw) -> Sample:
    k, n = draw.integer(1, 3), draw.integer(0, 3)
    return [draw.normal((n, k)), draw.normal((k,))], {}


def _vector_and_matrix(draw: Draw) -> Sample:
    matrix, vector = _matrix_and_vector(draw)[0]
    return [vector, matrix.T], {}


_EQUATIONS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 2)]),
    ("ij,jk", [(1, 3), (3, 2)]),
    ("bij,jk,k->bi", [(2, 2, 3), (3, 2), (2,)]),
    ("iij->j", [(2, 2, 3)]),
    ("ii", [(3, 3)]),
    ("iii->i", [(2, 2, 2)]),
    ("...ij,jk", [(2, 2, 3), (3, 2)]),
    ("...i,...i->...", [(2, 1, 3), (2, 3)]),
    ("i...->...", [(3, 2)]),
    ("ij->", [(2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("i,j", [(3,), (2,)]),
    (",i->i", [(), (3,)]),
    ("ij,ij->j", [(2, 3), (2, 3)]),
    ("ij,j->ij", [(0, 3), (3,)]),
]


def _einsum(draw: Draw) -> Sample:
    equation, shapes = draw.choice(_EQUATIONS)
    return [draw.normal(shape) for shape in shapes], {"equation": equation}


def _vectors(draw: Draw) -> Sample:
    n = draw.integer(0, 4)
    return [draw.normal((n,)), draw.normal((n,))], {}


def _outer(draw: Draw) -> Sample:
    return [draw.normal((draw.integer(0, 4),)), draw.normal((draw.integer(0, 3),))], {}


def _linear_away_from_0(draw: Draw) -> Sample:
    batch, n, m = (draw.integer(1, 3) for _ in range(3))
    bias = np.where(draw.normal((m,)) < 0, -9.0, 9.0)
    return [draw.normal((batch, n)), draw.normal((m, n)), bias], {"negative_slope": draw.choice([0.0, 0.3])}


def _linear(draw: Draw) -> Sample:
    lead, n, m = draw.shape(most=2), draw.integer(1, 3), draw.integer(1, 3)
    inputs = [draw.normal((*lead, n)), draw.normal((m, n))]
    return inputs + [draw.normal((m,))] * draw.boolean(), {}


OPERATIONS = [
    Operation("matmul", F.matmul, _matmul, linear=(0, 1)),
    Operation("matmul/vector", F.matmul, _matmul_vector, linear=(0, 1)),
    Operation("matmul/matrix and vector", F.matmul, _matrix_and_vector, linear=(0, 1)),
    Operation("matmul/vector and matrix", F.matmul, _vector_and_matrix, linear=(0, 1)),
    Operation("einsum", lambda *xs, equation: F.einsum(equation, *xs), _einsum, linear=(0,)),
    Operation("dot", F.dot, _vectors, linear=(0, 1)),
    Operation("outer", F.outer, _outer, linear=(0, 1)),
    Operation("linear/then leaky_relu", linear_then_activate, _linear_away_from_0),
    Operation("linear", F.linear, _linear, linear=(0, 1)),
]
