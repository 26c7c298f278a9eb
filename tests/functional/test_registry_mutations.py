"""The registry would notice: make the gradient of any operation slightly wrong, and some entry fails."""

from functools import cache, partial

import pytest

import minigen as mg
from minigen import functional as F
from minigen.autograd.function import _Output
from minigen.functional.registry import OPERATIONS, from_generator


def below(cls):
    """The classes that are derived from one, those from these, and so on."""
    return [found for child in cls.__subclasses__() for found in (child, *below(child))]


CLASSES = {
    cls.__name__: cls
    for cls in below(mg.Function)
    if cls.__module__.startswith("minigen.functional.") and "backward" in vars(cls)
}
ZERO_GRADIENT = {"Sign"}
NONLINEAR = [
    "Mul",
    "Div",
    "Pow",
    "Exp",
    "Log",
    "Log1p",
    "Expm1",
    "Sqrt",
    "Sin",
    "Cos",
    "Tanh",
    "Sigmoid",
    "Erf",
    "Softplus",
    "Silu",
    "Elu",
    "Softmax",
    "LogSoftmax",
    "LogSumExp",
    "Norm2",
    "ProdLast",
    "MatMul",
    "MatVec",
    "VecMat",
    "Einsum",
    "Conv2d",
    "ConvTranspose2d",
    "Conv2dWeightGrad",
    "BatchNorm",
    "BinaryCrossEntropyWithLogits",
]


@cache
def entries_that_apply():
    """For each Function class, the entries that apply it: those that do so forwards first, then backwards."""
    found, apply = {}, mg.Function.apply.__func__
    entry = ""

    def recording(cls, *inputs, **params):
        found.setdefault(cls, {})[entry] = None
        return apply(cls, *inputs, **params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mg.Function, "apply", classmethod(recording))
        for module in (F.activation, F.arithmetic, F.indexing, F.linalg, F.reduction, F.shape):
            patch.setattr(module, "run", lambda cls, *inputs, **params: cls.apply(*cls.prepared(*inputs), **params))
        for backwards in (False, True):
            for name, operation in OPERATIONS.items():
                entry = name
                draw = from_generator(mg.Generator(0))
                for _ in range(4):
                    arrays, options = operation.recipe(draw)
                    inputs = [mg.Tensor(x, requires_grad=True) for x in arrays]
                    result = partial(operation.function, **options)(*inputs)
                    for y in [result] if isinstance(result, mg.Tensor) else result:
                        if backwards and y.requires_grad:
                            mg.grad(y, inputs, mg.ones_like(y), create_graph=True, allow_unused=True)
    return found


def first_failure(cls):
    """What the entries that apply a class say of it, in a few examples of each."""
    for name in list(entries_that_apply()[cls])[:3]:
        draw = from_generator(mg.Generator(1))
        for _ in range(6):
            report = OPERATIONS[name].check(draw)
            if not report:
                return report.failure
    return ""


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - ZERO_GRADIENT))
def test_a_gradient_too_large_by_a_millionth_is_noticed(name, monkeypatch):
    backward = CLASSES[name].backward

    def wrong(self, g):
        grads = backward(self, g)
        if isinstance(grads, tuple):
            return tuple(x if x is None else x * (1 + 1e-6) for x in grads)
        return grads * (1 + 1e-6)

    monkeypatch.setattr(CLASSES[name], "backward", wrong)
    assert "is wrong at index" in first_failure(CLASSES[name])


@pytest.mark.parametrize("name", NONLINEAR)
def test_a_gradient_that_hides_what_it_depends_on_is_noticed_in_second_order(name, monkeypatch):
    backward = CLASSES[name].backward

    def hidden(value):
        if isinstance(value, mg.Tensor):
            return value.detach()
        return mg.Tensor(value._data) if type(value) is _Output else value

    def wrong(self, g):
        if self.on_arrays:  # on bare arrays nothing depends on anything
            return backward(self, g)
        saved, self._saved = self._saved, tuple(map(hidden, self._kept))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CLASSES[name], "saved_tensors", property(lambda self: self._saved))
            grads = backward(self, g)
        self._saved = saved
        return grads

    monkeypatch.setattr(CLASSES[name], "backward", wrong)
    failure = first_failure(CLASSES[name])
    assert "order 2" in failure
    assert "is wrong at index" in failure
