"""Operation: one entry of the registry, and how it is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minigen.autograd.gradcheck import GradcheckReport, gradcheck
from minigen.functional.registry.draw import Draw
from minigen.tensor import Tensor

Sample = tuple[list[np.ndarray], dict[str, Any]]
Recipe = Callable[[Draw], Sample]


@dataclass(frozen=True)
class Operation:
    """A differentiable operation and how to draw arguments for it.

    Attributes:
        name: the name of the function in `minigen.functional`; what comes after a slash tells several entries of one
            function apart (``pad/reflect``).
        function: takes the inputs as tensors, in order, and the options by keyword.
        recipe: draws the inputs, as float64 arrays away from kinks, and the options.
        linear: the positions of the inputs in which the operation is linear, up to a constant.
    """

    name: str
    function: Callable[..., Any]
    recipe: Recipe
    linear: tuple[int, ...] = ()

    @property
    def public(self) -> str:
        """The name of the function in `minigen.functional`."""
        return self.name.partition("/")[0]

    def check(self, draw: Draw) -> GradcheckReport:
        """`gradcheck` on one drawn example, first and second order. Nothing is raised: the report tells."""
        arrays, options = self.recipe(draw)
        inputs = [Tensor(x, requires_grad=True) for x in arrays]
        call = partial(self.function, **options)
        report = gradcheck(call, inputs, generator=draw.generator(), raise_exception=False)
        if report.failure:
            shapes = ", ".join(str(x.shape) for x in arrays)
            report.failure = (
                f"{self.name}: {report.failure} Its inputs have shapes {shapes}, its options are {options}."
            )
        return report
