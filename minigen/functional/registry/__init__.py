"""The registry: every differentiable operation of `minigen.functional`, with a recipe that draws arguments for it.

`tests/functional/test_registry.py` walks it, and fails when an operation is missing. To register a new operation, add
an `Operation` to the list of its family here.
"""

from __future__ import annotations

from minigen.functional.registry import (
    activation,
    arithmetic,
    convolution,
    indexing,
    linalg,
    loss,
    noise,
    normalization,
    pooling,
    reduction,
    shape,
)
from minigen.functional.registry.draw import Draw, from_generator
from minigen.functional.registry.operation import Operation

FAMILIES = (
    arithmetic,
    reduction,
    shape,
    indexing,
    linalg,
    activation,
    convolution,
    pooling,
    normalization,
    noise,
    loss,
)
OPERATIONS: dict[str, Operation] = {operation.name: operation for family in FAMILIES for operation in family.OPERATIONS}
