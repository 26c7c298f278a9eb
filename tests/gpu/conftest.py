"""The tests that need a GPU, skipped with the reason where there is none.

pytest tests/gpu                          on a machine with an NVIDIA GPU
pytest tests/gpu --gpu-device cudasim     a rehearsal of what the simulated GPU is quick enough for
pytest tests/gpu --gpu-device cpu         a rehearsal of the tests themselves
"""

import contextlib

import pytest
from hypothesis import HealthCheck, Phase, settings

import minigen
from minigen.device import NAMES, why_unavailable

READS = ("get", "item", "tolist", "__float__", "__int__", "__bool__")  # of CuPy's arrays: what waits for a value


def pytest_addoption(parser):
    parser.addoption("--gpu-device", default="cuda", choices=NAMES, help="see tests/gpu")


@pytest.fixture(scope="session")
def gpu(request):
    """The device under test: the GPU, or what stands for it."""
    name = request.config.getoption(
        "--gpu-device", default="cuda"
    )  # unknown to a pytest that was not given this folder
    reason = why_unavailable(name)
    if reason:
        pytest.skip(reason)
    return minigen.device(name)


@pytest.fixture(scope="session")
def real_gpu(gpu):
    """The GPU, for tests that nothing can stand in for."""
    if gpu.name != "cuda":
        pytest.skip(f"{gpu.name} has neither CuPy's memory pool nor a driver")
    return gpu


@pytest.fixture(scope="session")
def quick_gpu(gpu):
    """A device that computes fast enough for whole networks, which the simulated one does not."""
    if gpu.name == "cudasim":
        pytest.skip("a simulated GPU takes a second for what a GPU does in a millisecond")
    return gpu


@pytest.fixture(scope="session")
def examples(gpu):
    """Hypothesis's settings: few examples where they are slow, the same in every run."""
    return settings(
        max_examples={"cuda": 40, "cudasim": 3, "cpu": 3}[gpu.name],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture
def reads(gpu, monkeypatch):
    """reads(): a context that gives the list of values that the host reads from the GPU meanwhile."""
    if gpu.name == "cpu":
        pytest.skip("a CPU's values are the host's already")

    @contextlib.contextmanager
    def simulated():
        from minigen_kernels.cuda.simulator.tape import transfers

        with transfers() as found:
            yield found.to_host

    @contextlib.contextmanager
    def counted():
        found, array = [], gpu.xp.ndarray

        def counting(name, method):
            return lambda self, *args, **given: found.append(name) or method(self, *args, **given)

        with monkeypatch.context() as patch:
            for name in READS:
                patch.setattr(array, name, counting(name, getattr(array, name)))
            patch.setattr(gpu.xp, "asnumpy", counting("asnumpy", gpu.xp.asnumpy))
            yield found

    return counted if gpu.name == "cuda" else simulated
