"""Launching: what the driver is given, by stand-ins for CuPy and cuda.core that note it down."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="kernels are written for Numba's CUDA target: pip install numba-cuda")

from minigen_kernels import reference
from minigen_kernels.cuda import production, running
from minigen_kernels.cuda.kernel import Kernel
from minigen_kernels.cuda.running import run
from minigen_kernels.cuda.simulator import simulate
from numba import cuda


def fill(x, value, count):
    if cuda.grid(1) < count:
        x[cuda.grid(1)] = value


def kernel(blocks=2, **options):
    return Kernel(fill, ("float32*", "float32", "int32"), (blocks, 1, 1), (64, 1, 1), **options)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of sm_90 that notes what is built, loaded and launched; `gpu.stream` and `gpu.device` are CuPy's current."""
    notes = SimpleNamespace(stream=7, device=0, built=[], launched=[], attributes=SimpleNamespace())

    class ObjectCode:
        @classmethod
        def from_cubin(cls, code):
            loaded = SimpleNamespace(code=code, attributes={0: notes.attributes, 1: SimpleNamespace()})
            return SimpleNamespace(get_kernel=lambda name: (setattr(loaded, "name", name), loaded)[1])

    core = ModuleType("cuda.core")
    core.LaunchConfig = lambda **config: config
    core.launch = lambda *arguments: notes.launched.append(arguments)
    core.Device = lambda number: SimpleNamespace(compute_capability=SimpleNamespace(major=9, minor=number))
    core.Stream = SimpleNamespace(from_handle=lambda handle: f"stream {handle}")
    core.ObjectCode = ObjectCode
    cupy = ModuleType("cupy.cuda")
    cupy.get_current_stream = lambda: SimpleNamespace(ptr=notes.stream)
    cupy.runtime = SimpleNamespace(getDevice=lambda: notes.device)
    for name, module in (
        ("cuda", ModuleType("cuda")),
        ("cuda.core", core),
        ("cupy", ModuleType("cupy")),
        ("cupy.cuda", cupy),
    ):
        monkeypatch.setitem(sys.modules, name, module)

    def build(kernel, architecture):
        notes.built.append((kernel.name, kernel.threads, architecture))
        return SimpleNamespace(code=b"machine code", name=kernel.name)

    monkeypatch.setattr(running, "build", build)
    caches = running._loaded, running._prepared, running._driver, running._stream
    for cache in caches:
        cache.cache_clear()
    yield notes
    for cache in caches:
        cache.cache_clear()


ARRAY = SimpleNamespace(data=SimpleNamespace(ptr=4096))  # of CuPy's arrays, a launch takes the address and nothing else


def test_arrays_in_the_host_s_memory_are_simulated():
    x = np.zeros(100, np.float32)
    run(kernel(), (x, 3, 100))
    assert (x == 3).all()


def test_a_launch_hands_over_addresses_and_numbers_of_the_kernel_s_types_on_the_current_stream(gpu):
    run(kernel(), (ARRAY, 3, 100))
    ((stream, config, loaded, *taken),) = gpu.launched
    assert (stream, loaded.code, loaded.name) == ("stream 7", b"machine code", "fill")
    assert config == {"grid": (2, 1, 1), "block": (64, 1, 1), "shmem_size": 0}
    assert taken == [4096, 3.0, 100]
    assert [type(value) for value in taken] == [int, np.float32, np.int32]


def test_a_kernel_is_built_and_loaded_once_for_each_device_whatever_its_grid(gpu):
    for blocks in (1, 2, 2):
        run(kernel(blocks), (ARRAY, 3, 100))
    gpu.device, gpu.stream = 1, 8
    run(kernel(), (ARRAY, 3, 100))
    assert gpu.built == [("fill", 64, (9, 0)), ("fill", 64, (9, 1))]
    assert [launched[0] for launched in gpu.launched] == ["stream 7"] * 3 + ["stream 8"]
    assert gpu.launched[0][2] is gpu.launched[2][2] is not gpu.launched[3][2]


def test_more_shared_memory_than_usual_is_asked_for(gpu):
    run(kernel(shared_bytes=1024), (ARRAY, 3, 100))
    assert not vars(gpu.attributes)
    run(kernel(shared_bytes=64 << 10), (ARRAY, 3, 100))
    assert gpu.attributes.max_dynamic_shared_size_bytes == 64 << 10
    assert gpu.launched[1][1]["shmem_size"] == 64 << 10


class Remote:
    """An array as CuPy's are: not NumPy's, of few abilities, and with no way to the host's memory unless asked."""

    def __init__(self, host):
        self.host = host
        self.data = SimpleNamespace(ptr=host.ctypes.data)

    def __getattr__(self, name):
        if name not in ("shape", "dtype", "size", "ndim", "flags", "T", "transpose", "reshape", "copy"):
            raise AttributeError(name)
        return wrapped(getattr(self.host, name))

    def __getitem__(self, index):
        return Remote(self.host[index])

    def __setitem__(self, index, value):
        self.host[index] = plain(value)

    def __len__(self):
        return len(self.host)

    def __add__(self, other):
        return Remote(self.host + plain(other))

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_function__(self, function, types, arguments, options):
        assert function in (np.empty_like, np.broadcast_to)
        assert set(options) <= {"dtype", "order", "shape"}  # CuPy's empty_like refuses more
        return Remote(function(*map(plain, arguments), **options))


def plain(value):
    return value.host if isinstance(value, Remote) else value


def wrapped(value):
    if callable(value):
        return lambda *arguments, **options: wrapped(value(*arguments, **options))
    return Remote(value) if isinstance(value, np.ndarray) else value


@pytest.fixture
def remote_launches(monkeypatch):
    launched = []

    def launch(kernel, arguments):
        assert all(isinstance(argument, (Remote, int)) for argument in arguments)
        launched.append(kernel.name)
        simulate(kernel, [plain(argument) for argument in arguments])

    monkeypatch.setattr(running, "launch", launch)
    return launched


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kernel_size", [(2, 2), (5, 4)])
def test_arrays_of_another_module_stay_there_from_end_to_end(groups, kernel_size, remote_launches):
    rng = np.random.default_rng(0)
    options = (1, 1), (0, 0, 0, 0), (1, 1), groups
    x, w, b = (rng.integers(-3, 4, s).astype(np.float32) for s in ((2, 4, 5, 4), (4, 4 // groups, *kernel_size), (4,)))
    y = reference.conv2d(x, w, *options)
    for name, *arguments in (
        ("conv2d", x, w, *options, b),
        ("conv_transpose2d", y, w, *options, (5, 4), b),
        ("conv2d_weight_grad", x, y, *options, kernel_size),
        ("matmul", x, x.swapaxes(2, 3).copy(), np.ones(5, np.float32)),
        ("matmul", x[0, 0], w[0, 0].reshape(-1, 4).T.copy(), None),
        ("matmul", x[0, 0].T, x[0, 0], None),
    ):
        expected = getattr(reference, name)(*arguments)
        there = getattr(production, name)(*map(wrapped, arguments))
        assert isinstance(there, Remote)
        np.testing.assert_array_equal(there.host, expected)
    assert {"correlate", "add_share", "add_up"} <= set(remote_launches)
    assert ("correlate_channels" in remote_launches) == (groups == 4)
