"""Devices: those that can be used here, those that cannot and why, and what moves between them."""

import copy
import importlib.util
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import minigen as mg
from minigen.device import NAMES, _with_cuda_kernels, cpu, why_unavailable
from minigen.errors import DeviceError, DtypeError, UserError

simulated = pytest.mark.skipif(why_unavailable("cudasim") is not None, reason=str(why_unavailable("cudasim")))


@pytest.fixture
def absent(monkeypatch):
    """absent("cupy"): from now on, that module is not installed; and forgotten are the devices found so far."""
    names, find = set(), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else find(name))
    _with_cuda_kernels.cache_clear()
    yield names.add
    _with_cuda_kernels.cache_clear()


def test_there_is_one_cpu_which_every_name_leads_to():
    assert mg.device("cpu") is mg.device(cpu) is cpu is mg.ones(1).device
    assert copy.deepcopy(cpu) is pickle.loads(pickle.dumps(cpu)) is cpu
    assert (str(cpu), repr(cpu)) == ("cpu", "device('cpu')")


def test_the_cpu_knows_its_arrays_kernels_and_special_functions():
    assert cpu.xp is np
    for name in ("conv2d", "conv_transpose2d", "conv2d_weight_grad", "matmul"):
        assert callable(getattr(cpu.kernels, name))
    assert cpu.special.erf(0.0) == 0.0
    array = np.zeros(2)
    cpu.add_at(array, np.array([0, 0, 1]), 1.0)
    assert array.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("place", ["cpu", pytest.param("cudasim", marks=simulated)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((3,), (0,)), ((2, 3), (0, 1)), ((2, 3), (1,)), ((2, 3), ()), ((), ()), ((0, 3), (0,)), ((0,), (0,))],
)
def test_a_sum_is_an_array_of_what_numpy_adds_up(shape, axes, keepdims, place):
    place = mg.device(place)
    for dtype in (np.float16, np.float32, np.float64, ">f4", np.int32, bool):
        x = np.random.default_rng(0).uniform(-4, 4, shape).astype(dtype)
        y = place.sum(place.asarray(x), axes, keepdims)
        assert isinstance(y, place.ndarray)
        assert y.dtype == (np.dtype(dtype).newbyteorder("=") if np.dtype(dtype).kind == "f" else np.int64)
        expected = x.sum(axis=axes, keepdims=keepdims, dtype=y.dtype)
        assert y.shape == expected.shape
        np.testing.assert_array_equal(place.to_host(y), expected)


@pytest.mark.parametrize("place", ["cpu", pytest.param("cudasim", marks=simulated)])
@pytest.mark.parametrize(
    ("small", "shape"),
    [((), (4,)), ((), ()), ((1,), (4,)), ((3, 1), (2, 3, 4)), ((1, 4), (0, 4)), ((3, 1), (3, 900)), ((), (3000,))],
)
def test_an_array_is_broadcast_to_a_shape_and_not_to_be_written_to(small, shape, place):
    place = mg.device(place)
    x = np.random.default_rng(0).normal(size=small).astype(np.float32)
    for array in (x, x.astype(np.float64), np.array(x, order="F")):
        y = place.repeated(place.asarray(array), shape)
        assert (y.shape, y.dtype) == (shape, array.dtype)
        np.testing.assert_array_equal(place.to_host(y), np.broadcast_to(array, shape))


@pytest.mark.parametrize("name", ["tpu", "CPU", "", None, 3, "cuda:0"])
def test_an_unknown_device_is_named_with_those_there_are(name):
    with pytest.raises(DeviceError, match=r"There is no device .*cpu, cuda, cudasim"):
        mg.device(name)


@pytest.mark.parametrize("name", [name for name in NAMES if why_unavailable(name)])
def test_a_device_that_cannot_be_used_here_says_why_and_what_to_use(name):
    x = mg.ones(2)
    for ask in (
        lambda: mg.device(name),
        lambda: mg.zeros(2, device=name),
        lambda: x.to(name),
        lambda: mg.tensor(1.0, device=name),
    ):
        with pytest.raises(DeviceError, match=rf"{name}.*use device 'cpu'") as raised:
            ask()
        assert isinstance(raised.value, UserError)
        assert str(raised.value) == why_unavailable(name)
    assert why_unavailable("cpu") is None


def test_moving_to_where_it_is_changes_nothing():
    x = mg.ones(2, requires_grad=True)
    assert x.to("cpu") is x.cpu() is x.to(cpu) is x
    assert mg.zeros(2, device=cpu).device is cpu


def test_tensors_on_different_devices_are_not_mixed_in_silence():
    elsewhere = mg.ones(2)
    elsewhere.device = type(cpu)("elsewhere", np, "minigen_kernels.cpu", "scipy.special")
    with pytest.raises(DeviceError, match=r"Add: .*cpu and elsewhere.*\.to\('cpu'\)"):
        mg.ones(2) + elsewhere


@simulated
def test_the_simulated_device_is_one_and_travels_by_name():
    cudasim = mg.device("cudasim")
    assert mg.device("cudasim") is cudasim is copy.deepcopy(cudasim) is pickle.loads(pickle.dumps(cudasim))
    assert (str(cudasim), cudasim.xp.__name__) == ("cudasim", "minigen_kernels.cuda.simulator.array_module")


@simulated
def test_on_the_simulated_device_convolutions_and_products_run_through_the_cuda_kernels(monkeypatch):
    from minigen_kernels.cuda import running

    ran, simulate = [], running.simulate
    monkeypatch.setattr(running, "simulate", lambda kernel, *rest: ran.append(kernel.name) or simulate(kernel, *rest))
    x = mg.randn(2, 3, 4, 4, generator=mg.Generator(0), device="cudasim").requires_grad_()
    w = mg.randn(2, 3, 2, 2, generator=mg.Generator(1), device="cudasim").requires_grad_()
    y = mg.conv2d(x, w)
    assert ran == ["correlate"]
    mg.relu(y).sum().backward()
    assert ran == ["correlate", "correlate", "add_share", "add_up"]  # and no sums, of so few numbers
    assert x.grad.device is w.grad.device is y.device is mg.device("cudasim")
    here = [a.detach().to("cpu").requires_grad_() for a in (x, w)]
    mg.relu(mg.conv2d(*here)).sum().backward()
    for ours, expected in zip((x, w), here):
        np.testing.assert_allclose(ours.grad.numpy(), expected.grad.numpy(), rtol=1e-4, atol=1e-5)
    rows = w.detach().reshape(6, 4)
    product = rows.T @ rows
    assert ran[4:] == ["add_share", "add_up"]
    np.testing.assert_allclose(product.numpy(), rows.numpy().T @ rows.numpy(), rtol=1e-4, atol=1e-5)


@simulated
def test_a_tensor_moved_to_the_simulated_device_has_memory_of_its_own():
    x = mg.ones(3, requires_grad=True)
    moved = x.to("cudasim")
    moved.data[0] = 5
    assert x.tolist() == [1, 1, 1]
    (moved * 2).sum().backward()
    assert x.grad.device is cpu
    assert x.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("name", "package", "sentence"),
    [
        (
            "cudasim",
            "numba.cuda",
            "Device 'cudasim' needs Numba's CUDA target: install numba-cuda, or use device 'cpu'",
        ),
        ("cuda", "numba.cuda", "Device 'cuda' needs Numba's CUDA target: install numba-cuda"),
        ("cuda", "cupy", r"Device 'cuda' needs CuPy, which is not installed: pip install '\.\[cuda13\]'"),
    ],
)
def test_what_is_not_installed_is_named_with_what_brings_it(name, package, sentence, absent):
    absent(package)
    with pytest.raises(DeviceError, match=sentence):
        mg.device(name)


def _fake_cupy(count):
    hook = type("MemoryHook", (), {"__enter__": lambda self: None})
    runtime = SimpleNamespace(getDeviceCount=count)
    cuda = SimpleNamespace(runtime=runtime, MemoryHook=hook, set_allocator=lambda allocate: None)
    return SimpleNamespace(cuda=cuda, ndarray=object, get_default_memory_pool=lambda: None, __spec__=1)


@simulated
def test_cuda_is_there_where_cupy_finds_a_gpu_and_says_so_where_it_does_not(absent, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in ("cupy", "numba_cuda") or find(name))
    monkeypatch.setitem(sys.modules, "cupy", cupy := _fake_cupy(lambda: 2))
    cuda = mg.device("cuda")
    assert cuda.xp is cupy
    assert cuda.kernels is mg.device("cudasim").kernels
    _with_cuda_kernels.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", _fake_cupy(lambda: 0))
    with pytest.raises(DeviceError, match="needs an NVIDIA GPU, and CuPy finds none: use device 'cpu'"):
        mg.device("cuda")
    monkeypatch.setitem(sys.modules, "cupy", _fake_cupy(lambda: 1 / 0))
    with pytest.raises(DeviceError, match=r"CuPy finds none \(division by zero\): use device 'cpu'"):
        mg.device("cuda")


@pytest.mark.parametrize("place", ["cuda:0", "gpu"])
def test_a_device_that_there_is_not_is_no_type_of_numbers_either(place):
    for movable in (mg.ones(2), mg.nn.Linear(2, 2), mg.nn.Linear(2, 2).double()):
        with pytest.raises(
            DtypeError, match=f"'{place}' is neither a device .cpu, cuda, cudasim. nor a type of numbers"
        ):
            movable.to(place)


@simulated
def test_a_module_is_moved_and_converted_by_name_too():
    layer = mg.nn.Linear(2, 2).to(device="cudasim", dtype="float64")
    assert (str(layer.weight.device), layer.weight.dtype) == ("cudasim", np.float64)
    with pytest.raises(DtypeError, match="3 is not a type of number"):
        layer.to(3)
