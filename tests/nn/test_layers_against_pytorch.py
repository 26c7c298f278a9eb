"""Every layer with PyTorch's weights gives PyTorch's output, gradients and gradients of gradients."""

import re

import numpy as np
import pytest

import minigen
from minigen import nn

torch = pytest.importorskip("torch", reason="PyTorch is what these layers are compared with")
tnn = torch.nn

IMAGE, ROWS = (4, 6, 9, 8), (5, 6)
CASES = [
    (("Linear", 6, 3), ROWS),
    (("Linear", 6, 3, False), (2, 5, 6)),
    (("Conv2d", 6, 4, 3), IMAGE),
    (("Conv2d", 6, 4, (3, 2), (2, 1), (1, 0), (2, 3), 2, False), IMAGE),
    (("Conv2d", 6, 4, 3, 1, 2, 1, 1, True, "reflect"), IMAGE),
    (("Conv2d", 6, 4, (2, 3), 1, "same", (2, 1), 1, True, "circular"), IMAGE),
    (("Conv2d", 6, 12, 3, 2, "valid", 1, 6, True, "replicate"), IMAGE),
    (("Conv2d", 6, 4, 4, 2, 1), IMAGE[1:]),
    (("ConvTranspose2d", 6, 4, 3), IMAGE),
    (("ConvTranspose2d", 6, 4, (3, 2), (2, 3), (1, 0), (1, 2), 2, False, (2, 1)), IMAGE),
    (("BatchNorm1d", 6), ROWS),
    (("BatchNorm1d", 6, 0.8), (5, 6, 3)),
    (("BatchNorm2d", 6, 1e-3, None), IMAGE),
    (("BatchNorm2d", 6, 1e-3, 0.3, False), IMAGE),
    (("BatchNorm2d", 6, 1e-3, 0.3, True, False), IMAGE),
    (("InstanceNorm2d", 6), IMAGE),
    (("InstanceNorm2d", 6, 1e-3, 0.2, True, True), IMAGE),
    (("InstanceNorm2d", 6), IMAGE[1:]),
    (("LayerNorm", 8), IMAGE),
    (("LayerNorm", (9, 8), 1e-3, True, False), IMAGE),
    (("LayerNorm", (8,), 1e-3, False), IMAGE),
    (("GroupNorm", 3, 6), IMAGE),
    (("GroupNorm", 2, 6, 1e-3, False), ROWS),
    (("Flatten",), IMAGE),
    (("Flatten", 2, 3), IMAGE),
    (("Unflatten", 1, (2, -1)), IMAGE),
    (("MaxPool2d", 2), IMAGE),
    (("MaxPool2d", 3, 2, 1, 1, False, True), IMAGE),
    (("AvgPool2d", (3, 2), 2, 1, True, False), IMAGE),
    (("AvgPool2d", 2, None, 0, False, True, 3), IMAGE),
    (("Upsample", None, 2), IMAGE),
    (("Upsample", (5, 11), None, "bilinear", True), IMAGE),
    (("Upsample", None, 1.5, "bilinear"), IMAGE),
    (("Identity",), IMAGE),
    (("ReLU", True), ROWS),
    (("LeakyReLU", 0.2, True), ROWS),
    (("LeakyReLU",), ROWS),
    (("ELU", 0.7), ROWS),
    (("SELU",), ROWS),
    (("GELU",), ROWS),
    (("GELU", "tanh"), ROWS),
    (("SiLU",), ROWS),
    (("Hardtanh", -0.5, 1.5), ROWS),
    (("Softplus", 2.0, 3.0), ROWS),
    (("Tanh",), ROWS),
    (("Sigmoid",), ROWS),
    (("Softmax", 1), ROWS),
    (("LogSoftmax", -1), ROWS),
]


def twins(name, *args):
    """PyTorch's layer with random weights, and ours with the same."""
    torch.manual_seed(0)
    keywords = {"approximate": args[0]} if name == "GELU" and args else {}
    args = () if keywords else args
    if name in ("Softmax", "LogSoftmax"):
        theirs, ours = getattr(tnn, name)(dim=args[0]), getattr(nn, name)(*args)
    else:
        theirs, ours = getattr(tnn, name)(*args, **keywords), getattr(nn, name)(*args, **keywords)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    theirs.double()
    ours.double().load_state_dict(theirs.state_dict())
    return ours, theirs


def assert_close(ours, theirs, what):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape, what
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-8, atol=1e-9, err_msg=what)


@pytest.mark.parametrize(("arguments", "shape"), CASES, ids=lambda value: "-".join(map(str, value)))
def test_a_layer_agrees_with_pytorch_to_second_order(arguments, shape):
    ours, theirs = twins(*arguments)
    values = np.random.default_rng(1).standard_normal(shape)
    for step in range(3):  # the third in eval: what running statistics have become decides
        if step == 2:
            ours.eval(), theirs.eval()
        x = minigen.tensor(values + step, requires_grad=True)
        tx = torch.tensor(values + step, requires_grad=True)
        y, ty = ours(x), theirs(tx * 1)  # `inplace` layers may not change a leaf
        if isinstance(ty, tuple):
            assert_close(y[1], ty[1], "indices")
            y, ty = y[0], ty[0]
        assert_close(y, ty, "output")
        parameters, theirs_parameters = list(ours.parameters()), list(theirs.parameters())
        seed = np.random.default_rng(2).standard_normal(y.shape)
        loss, theirs_loss = (y * y * minigen.tensor(seed)).sum(), (ty * ty * torch.tensor(seed)).sum()
        first = minigen.grad(loss, [x, *parameters], create_graph=True)
        theirs_first = torch.autograd.grad(theirs_loss, [tx, *theirs_parameters], create_graph=True)
        for a, b in zip(first, theirs_first):
            assert_close(a, b, "gradient")
        penalty, theirs_penalty = (first[0] * first[0]).sum(), (theirs_first[0] ** 2).sum()
        second = minigen.grad(penalty, [x, *parameters], allow_unused=True)
        theirs_second = torch.autograd.grad(theirs_penalty, [tx, *theirs_parameters], allow_unused=True)
        for a, b in zip(second, theirs_second):
            assert (a is None) == (b is None)
            if a is not None:
                assert_close(a, b, "second gradient")
    for (name, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items()):
        assert name == other
        assert_close(a, b, name)


@pytest.mark.parametrize(("arguments", "shape"), CASES, ids=lambda value: "-".join(map(str, value)))
def test_repr_is_pytorchs(arguments, shape):
    ours, theirs = twins(*arguments)
    if arguments[0] == "LayerNorm":
        assert repr(ours).removesuffix(")").removesuffix(", bias=False") in repr(theirs)
    else:
        assert repr(ours) == without_bias(theirs)


def without_bias(module):
    """PyTorch's repr, without what its newer versions say about the bias of a batch norm."""
    return re.sub(r"(affine=\w+), bias=\w+", r"\1", repr(module))


def test_embedding_agrees_and_its_padding_row_stays():
    ours, theirs = twins("Embedding", 7, 3, -2)
    index = np.array([[0, 5], [5, 6]])
    y, ty = ours(minigen.tensor(index)), theirs(torch.tensor(index))
    assert_close(y, ty, "output")
    (y * y).sum().backward()
    (ty * ty).sum().backward()
    assert_close(ours.weight.grad, theirs.weight.grad, "gradient")
    assert repr(ours) == repr(theirs) == "Embedding(7, 3, padding_idx=5)"


def test_output_size_chooses_as_pytorch_does():
    ours, theirs = twins("ConvTranspose2d", 6, 4, 3, 2, 1)
    values = np.random.default_rng(1).standard_normal(IMAGE)
    for size in ((17, 15), (18, 15), (17, 16), (18, 16)):
        y, ty = ours(minigen.tensor(values), output_size=size), theirs(torch.tensor(values), output_size=size)
        assert y.shape[2:] == size
        assert_close(y, ty, str(size))


def test_a_whole_model_takes_pytorchs_weights():
    def build(n):
        return n.Sequential(
            n.Conv2d(1, 4, 4, 2, 1, bias=False),
            n.BatchNorm2d(4),
            n.LeakyReLU(0.2, inplace=True),
            n.Flatten(),
            n.Linear(64, 1),
        )

    ours, theirs = build(nn), build(tnn)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(
        ours(minigen.tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )
    assert repr(ours) == without_bias(theirs)


def test_default_weights_have_pytorchs_distribution():
    minigen.manual_seed(0)
    torch.manual_seed(0)
    for name, args in (("Linear", (300, 200)), ("Conv2d", (30, 40, 5)), ("ConvTranspose2d", (30, 40, 5))):
        ours, theirs = getattr(nn, name)(*args), getattr(tnn, name)(*args)
        for (key, a), b in zip(ours.named_parameters(), theirs.parameters()):
            assert a.shape == tuple(b.shape), key
            x, y = a.numpy(), b.detach().numpy()
            largest = np.abs(x).max() / np.abs(y).max()
            assert abs(largest - 1) < 12 / x.size, (name, key)  # what is missing to the bound is one nth on average
            four_errors = 4 * np.sqrt(0.4 / x.size)
            assert abs(x.std() / y.std() - 1) < four_errors, (name, key)
