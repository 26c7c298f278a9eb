"""Turns a kernel into a generator that stops wherever a thread waits for others.

An operating system's threads are slow to switch between; generators are not, and they run in any order we like. So a
kernel is parsed, each call at which threads meet, `cuda.syncthreads()`, becomes `(yield from cuda.syncthreads())`, and
the rest is left as it is: lines and file stay the kernel's own, so that a debugger stops and steps in the kernel.
What the kernel's names mean is exchanged on the way: `cuda` is the simulator's, an intrinsic is its twin, a device
function is rewritten as well, and Numba's types are NumPy's.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any

import numpy as np
from numba import cuda as numba_cuda

from . import stand_in
from .twins import TWINS


@lru_cache(maxsize=2048)  # a network has a kernel for each of its shapes, and some functions for each kernel
def rewritten(function: FunctionType, is_kernel: bool) -> Callable[..., Any]:
    """The function as the simulator runs it. A kernel always becomes a generator; a device function if it has to wait."""
    names = {name: simulated(value) for name, value in names_of(function).items()}
    tree = parse(function)
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError(f"{function.__qualname__} must be made by `def`, so that its source can be read.")
    definition.decorator_list = []
    definition.returns = None
    for argument in definition.args.args:
        argument.annotation = None
    _Waits(names, set(function.__code__.co_varnames)).visit(definition)
    if is_kernel:
        nothing = ast.parse("yield from ()").body
        for node in ast.walk(nothing[0]):
            ast.copy_location(node, definition.body[-1])
        definition.body += nothing
    ast.fix_missing_locations(tree)
    names["__builtins__"] = builtins
    exec(compile(tree, function.__code__.co_filename, "exec"), names)
    return names[definition.name]


def simulated(value: Any) -> Any:
    """What stands in for the value of a name when a kernel is simulated."""
    if value is numba_cuda:
        return stand_in.cuda
    if _is_hashable(value) and value in TWINS:
        return TWINS[value]
    if hasattr(value, "py_func"):  # a device function
        return rewritten(value.py_func, False)
    if type(value).__module__.startswith("numba") and hasattr(value, "bitwidth"):
        return np.dtype(str(value)).type
    return value


def parse(function: FunctionType) -> ast.Module:
    """The syntax tree of a function, with the line numbers of its file."""
    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    return ast.increment_lineno(tree, first - 1)


def names_of(function: FunctionType) -> dict[str, Any]:
    """The global names that a function uses, and the variables of the functions around it, with their values."""
    code = function.__code__
    names = {name: function.__globals__[name] for name in code.co_names if name in function.__globals__}
    return {**names, **inspect.getclosurevars(function).nonlocals}


class _Waits(ast.NodeTransformer):
    """Puts `yield from` before the calls that wait, which are those of generator functions."""

    def __init__(self, names: dict[str, Any], variables: set[str]) -> None:
        self.names = {name: value for name, value in names.items() if name not in variables}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if inspect.isgeneratorfunction(self.meaning(node.func)):
            return ast.copy_location(ast.YieldFrom(value=node), node)
        return node

    def meaning(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self.meaning(node.value), node.attr, None)
        return None


def _is_hashable(value: Any) -> bool:
    return type(value).__hash__ is not None
