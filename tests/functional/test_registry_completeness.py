"""No operation escapes the registry: neither a public function nor a Function class anywhere in minigen."""

import importlib
import pkgutil
from contextlib import contextmanager
from functools import partial

import numpy as np

import minigen as mg
from minigen import functional as F
from minigen.functional.registry import OPERATIONS, from_generator

NOT_DIFFERENTIABLE = {"all", "any", "argmax", "argmin", "compare", "invert", "one_hot", "plain_index"}
CLASSES_WITHOUT_GRADIENT = {"minigen.autograd.function._Once"}  # it exists to refuse its derivative
COURSE = "minigen.course."  # its operations are for students: with bugs to find, or to watch theirs
SAMPLES = 12


def unregistered_functions(module, names, operations):
    """Those of the named functions that no entry checks, under this or another name."""
    checked = {getattr(module, operation.public) for operation in operations.values()}
    return {name for name in names if getattr(module, name) not in checked} - NOT_DIFFERENTIABLE


def function_classes(package):
    """Every operation, a subclass of Function of any generation, that is defined in the package."""
    found, waiting = set(), [mg.Function]
    while waiting:
        below = waiting.pop().__subclasses__()
        waiting += below
        found |= {cls for cls in below if hasattr(cls, "forward") and cls.__module__.split(".")[0] == package}
    return {f"{cls.__module__}.{cls.__qualname__}" for cls in found}


@contextmanager
def applied_classes(monkeypatch):
    """The names of the Function classes that are applied inside the block."""
    applied, apply = set(), mg.Function.apply.__func__

    def recording(cls, *inputs, **params):
        applied.add(f"{cls.__module__}.{cls.__qualname__}")
        return apply(cls, *inputs, **params)

    with monkeypatch.context() as patch:
        patch.setattr(mg.Function, "apply", classmethod(recording))
        for module in (F.activation, F.arithmetic, F.indexing, F.linalg, F.reduction, F.shape):
            patch.setattr(module, "run", lambda cls, *inputs, **params: cls.apply(*cls.prepared(*inputs), **params))
        yield applied


def exercise(operation, draw):
    """Its forward, its backward, and the backward of that."""
    arrays, options = operation.recipe(draw)
    inputs = [mg.Tensor(x, requires_grad=True) for x in arrays]
    result = partial(operation.function, **options)(*inputs)
    outputs = [result] if isinstance(result, mg.Tensor) else list(result)
    outputs = [y for y in outputs if y.requires_grad]
    vs = [mg.Tensor(draw.normal(y.shape), requires_grad=True) for y in outputs]
    if not outputs:
        return
    gradients = mg.grad(outputs, inputs, vs, create_graph=True, allow_unused=True)
    gradients = [g for g in gradients if g is not None and g.requires_grad]
    if gradients:
        ws = [mg.Tensor(np.ones(g.shape)) for g in gradients]
        mg.grad(gradients, inputs + vs, ws, allow_unused=True)


def import_everything():
    for module in pkgutil.walk_packages(mg.__path__, "minigen."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_every_public_function_is_in_the_registry():
    assert unregistered_functions(F, F.__all__, OPERATIONS) == set()


def test_the_list_of_functions_without_gradient_holds_nothing_else():
    assert set(F.__all__) >= NOT_DIFFERENTIABLE
    assert {operation.public for operation in OPERATIONS.values()} & NOT_DIFFERENTIABLE == set()


def test_every_function_class_is_exercised_by_some_entry(monkeypatch):
    import_everything()
    with applied_classes(monkeypatch) as applied:
        for operation in OPERATIONS.values():
            draw = from_generator(mg.Generator(0))
            for _ in range(SAMPLES):
                exercise(operation, draw)
    ours = {name for name in function_classes("minigen") if not name.startswith(COURSE)}
    assert ours - applied - CLASSES_WITHOUT_GRADIENT == set()
    assert function_classes("minigen") >= CLASSES_WITHOUT_GRADIENT


def test_a_new_public_function_is_noticed(monkeypatch):
    monkeypatch.setattr(F, "bogus", lambda x: x, raising=False)
    assert unregistered_functions(F, [*F.__all__, "bogus"], OPERATIONS) == {"bogus"}


def test_another_name_of_a_registered_function_is_not_accused(monkeypatch):
    monkeypatch.setattr(F, "exponential", F.exp, raising=False)
    assert unregistered_functions(F, [*F.__all__, "exponential"], OPERATIONS) == set()


def test_a_new_function_class_is_noticed_even_below_another_one(monkeypatch):
    class Bogus(F.arithmetic.Exp):
        __module__ = "elsewhere.operations"
        __qualname__ = "Bogus"

    assert function_classes("elsewhere") == {"elsewhere.operations.Bogus"}
    with applied_classes(monkeypatch) as applied:
        exercise(OPERATIONS["exp"], from_generator(mg.Generator(0)))
    assert function_classes("elsewhere") - applied == {"elsewhere.operations.Bogus"}
    with applied_classes(monkeypatch) as applied:
        Bogus.apply(mg.tensor([1.0]))
    assert function_classes("elsewhere") - applied == set()
