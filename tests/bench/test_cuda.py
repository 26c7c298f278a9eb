"""`minigen bench cuda`: everything about the report that needs no GPU, and the same work on a simulated one."""

import contextlib
import io
import itertools
import json
import math
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from minigen_kernels import reference
from rich.console import Console

import minigen
from minigen import nn
from minigen.bench.convolution import DIRECTIONS, Kernel
from minigen.bench.cuda import command, ours, picture, report, rounds, theirs, timing, worker
from minigen.bench.cuda.cases import (
    COPIED,
    LADDER,
    MODES,
    PARTS,
    PRECISIONS,
    RUNGS,
    SETS,
    STEPS,
    Case,
    cases_of,
    is_small,
    kernel_case,
    kernel_name,
    ladder_case,
    step_tasks,
)
from minigen.bench.cuda.roofline import attainable, intensity, least_bytes, peak_flops
from minigen.bench.cuda.rounds import run_cuda
from minigen.bench.cuda.timing import time_kernel, time_step
from minigen.bench.steps import ours as our_steps
from minigen.bench.tables import rich_table
from minigen.cli.main import main
from minigen.device import why_unavailable
from minigen.errors import MinigenError, UserError

NO_PYTORCH = "PyTorch, the other side, is not installed"
simulated = pytest.mark.skipif(why_unavailable("cudasim") is not None, reason=str(why_unavailable("cudasim")))
TINY = Kernel(2, 4, 4, 3, 3)
WHY = "Device 'cuda' needs an NVIDIA GPU"
GPU = {
    "gpu": "a GPU",
    "capability": "9.0",
    "multiprocessors": 100,
    "clock": 1e9,
    "memory": 80 << 30,
    "driver": "580.1",
    "cuda": "13.0",
    "cupy": "13.6",
    "numba-cuda": "0.30",
    "minigen": "0.1.0",
}
TORCH = {"torch": "2.13.0", "torch cuda": "13.0", "cudnn": 91000, "without": None}
PEAK = 100 * 128 * 1e9 * 2


# ---- what is measured -------------------------------------------------------------------------------------------


def layers_of(model, shape):
    """(channels of the larger images, of the smaller ones, window, stride) of every convolution of a model."""
    modules = our_steps.make_step(model, 2, shape).modules.values()
    layers = set()
    for layer in (layer for module in modules for layer in module.modules()):
        if isinstance(layer, nn.Conv2d):
            layers.add((layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0]))
        elif isinstance(layer, nn.ConvTranspose2d):
            layers.add((layer.out_channels, layer.in_channels, layer.kernel_size[0], layer.stride[0]))
    return layers


@pytest.mark.parametrize(("model", "name"), list(zip(("dcgan", "conv-vae", "restoration-gan"), SETS)))
def test_the_shapes_of_a_set_are_those_of_the_model_s_layers(model, name):
    (task,) = [step.task for step in STEPS if step.task["model"] == model]
    expected = layers_of(model, task["shape"])
    found = {(k.in_channels, k.out_channels, k.window, k.stride) for k in SETS[name]}
    assert found == expected
    assert {k.batch for k in SETS[name]} == {task["batch"]}
    assert max(k.size for k in SETS[name]) == task["shape"][1]


def test_the_ladder_s_rungs_are_all_there_are_in_their_order():
    ladder = pytest.importorskip("minigen_kernels.cuda.ladder", reason="the ladder needs numba-cuda")
    assert tuple(ladder.RUNGS) == RUNGS


def test_every_case_has_a_name_of_its_own_and_tasks_that_travel():
    cases = cases_of(PARTS)
    assert len({(case.part, case.name) for case in cases}) == len(cases)
    for case in cases:
        assert json.loads(json.dumps(case.tasks)) == case.tasks
        assert {task["side"] for task in case.tasks.values()} <= {"minigen", "PyTorch"}
    (dcgan,) = [case for case in cases_of(["steps"]) if "DCGAN" in case.name]
    formats = ("NCHW", "channels_last")
    assert list(dcgan.tasks) == [
        *("minigen eager", "minigen captured"),
        *(f"PyTorch {mode} {order}" for mode in ("eager", "captured", "compiled") for order in formats),
    ]
    assert list(cases_of(["kernels"])[1].tasks) == ["minigen", "cuDNN TF32 NCHW", "cuDNN TF32 channels_last"]


# ---- arithmetic -------------------------------------------------------------------------------------------------


def test_operations_are_those_that_plain_loops_make():
    kernel = Kernel(2, 3, 5, 6, 4, stride=2)
    x, w = np.ones(kernel.x_shape), np.ones(kernel.w_shape)
    y = reference.conv2d(x, w, (2, 2), (kernel.padding,) * 4, (1, 1), 1)
    assert y.shape == kernel.y_shape
    assert kernel.flops == 2 * y.size * w[0].size  # a multiplication and an addition for each tap
    assert least_bytes(kernel) == 4 * (x.size + w.size + y.size)
    assert intensity(kernel) == kernel.flops / (4 * (x.size + w.size + y.size))


def test_the_roof_is_the_lower_of_memory_and_arithmetic():
    assert peak_flops(108, 1.41e9, "8.0") == pytest.approx(
        19.49e12, rel=1e-3
    )  # an A100: 19.5 TFLOP/s by its data sheet
    assert peak_flops(40, 1.59e9, "7.5") == pytest.approx(8.14e12, rel=1e-3)  # a T4: 8.1
    assert peak_flops(10, 1e9, "3.5") is None
    assert attainable(2.0, 10e12, 1e12) == 2e12
    assert attainable(20.0, 10e12, 1e12) == 10e12


# ---- timing -----------------------------------------------------------------------------------------------------


class Clock:
    """A host and a GPU whose clocks are numbers: a call takes the host `queue` seconds, the GPU `run` seconds.

    The GPU begins what is queued when it is free, and not before it was queued.
    """

    def __init__(self, queue, run):
        self.queue, self.run = queue, run
        self.host = self.gpu = 0.0
        self.calls, self.held = 0, []

    def call(self):
        self.calls += 1
        self.host += self.queue
        self.gpu = max(self.gpu, self.host) + self.run

    def mark(self):
        self.gpu = max(self.gpu, self.host)
        return self.gpu

    def reached(self, event):
        return event <= self.host

    def seconds(self, start, end):
        self.host = max(self.host, end)
        return end - start

    def hold(self, seconds):
        self.held.append(seconds)
        self.gpu = max(self.gpu, self.host) + seconds


@pytest.fixture
def clock(monkeypatch):
    def make(queue, run):
        clock = Clock(queue, run)
        monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.host)
        return clock

    return make


@pytest.mark.parametrize(("queue", "run"), [(1e-5, 1e-3), (1e-4, 1e-5), (1e-3, 1e-6)])
def test_a_kernel_s_time_is_the_gpu_s_however_slow_the_host_is(clock, queue, run):
    gpu = clock(queue, run)
    found = time_kernel(gpu.call, gpu, at_least=0.02)
    assert found.seconds == pytest.approx(run)
    assert not found.late
    counted = gpu.calls - timing.WARM_UPS - 1
    assert 1 <= counted <= timing.MOST_CALLS
    assert counted == timing.MOST_CALLS or counted * max(queue, run) >= 0.019


def test_a_host_that_no_hold_is_long_enough_for_is_told_of(clock):
    gpu = clock(1e-3, 1e-6)
    gpu.hold = gpu.held.append  # holds nothing
    found = time_kernel(gpu.call, gpu, at_least=0.02)
    assert found.late
    assert found.seconds > 100e-6
    assert len(gpu.held) == timing.TRIES
    assert gpu.held[1:] == [2 * before for before in gpu.held[:-1]]


@pytest.mark.parametrize(("queue", "run", "expected"), [(1e-3, 1e-4, 1e-3), (1e-4, 1e-3, 1e-3)])
def test_a_step_s_time_is_that_of_the_slower_of_host_and_gpu(clock, queue, run, expected):
    gpu = clock(queue, run)
    found = time_step(gpu.call, gpu, at_least=0.3)
    assert found.seconds == pytest.approx(expected, rel=0.15)
    assert gpu.calls >= 250
    assert gpu.held == []


def test_the_stream_is_held_by_as_many_fillings_as_take_so_long():
    class Filled(timing.StreamEvents):
        now = 0.0

        def mark(self):
            return self.now

        def seconds(self, start, end):
            return end - start

    events = Filled(lambda: setattr(events, "now", events.now + 0.25e-3))
    events.hold(1e-3)
    assert events.now == pytest.approx((2 + 4) * 0.25e-3)  # two to learn how long one takes
    events.hold(1e-3)
    assert events.now == pytest.approx((2 + 4 + 4) * 0.25e-3)


# ---- our side, on the simulated GPU -----------------------------------------------------------------------------


def on(device, **task):
    return {"side": "minigen", "device": device, **task}


def to_host(array):
    return array.get() if hasattr(array, "get") else np.asarray(array)


@simulated
@pytest.mark.parametrize("name", ["naive", "shared_memory", "constant_shapes", "double_buffer", "tf32"])
def test_a_rung_that_is_timed_computes_the_convolution(name):
    kernel = Kernel(1, 4, 4, 3, 2, stride=1)
    x, w, _ = (to_host(a) for a in ours.arrays_of(kernel, minigen.device("cudasim")))
    call = ours.prepare(on("cudasim", rung=name, kernel=list(kernel)))
    call()
    expected = reference.conv2d(x, w, (1, 1), (kernel.padding,) * 4, (1, 1), 1)
    tolerance = 1e-2 if name == "tf32" else 1e-5
    np.testing.assert_allclose(to_host(call.y).transpose(0, 3, 1, 2), expected, atol=tolerance)


@simulated
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_production_kernel_that_is_timed_computes_the_convolution(direction, precision):
    place, kernel = minigen.device("cudasim"), TINY if precision == "ieee" else Kernel(2, 16, 16, 3, 3)
    x, w, y = (to_host(a) for a in ours.arrays_of(kernel, place))
    ours.set_precision(precision)
    try:
        found = to_host(ours.prepare(on("cudasim", kernel=list(kernel), direction=direction, precision=precision))())
    finally:
        ours.set_precision("ieee")
    geometry = ((1, 1), (1, 1, 1, 1), (1, 1), 1)
    expected = {
        "forward": lambda: reference.conv2d(x, w, *geometry),
        "input gradient": lambda: reference.conv_transpose2d(y, w, *geometry, (3, 3)),
        "weight gradient": lambda: reference.conv2d_weight_grad(x, y, *geometry, (3, 3)),
    }[direction]()
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 1e-5 if precision == "ieee" else 1e-5 < error < 2e-3  # TF32 was in use


@simulated
@pytest.mark.parametrize("count", [4, 1024, 1028, 2056])
def test_the_copy_copies_everything_and_nothing_beyond(count):
    from minigen_kernels.cuda.simulator import simulate

    from minigen.bench.cuda.copying import copy_kernel

    x, y = np.arange(count, dtype=np.float32), np.full(count, np.nan, np.float32)
    simulate(copy_kernel(count), (x, y, count))
    np.testing.assert_array_equal(x, y)
    ours.prepare(on("cudasim", copy=count))()


@pytest.fixture
def small_networks(monkeypatch):
    """Networks for points with one layer of six, which a simulated GPU trains in a second."""
    for name in ("MLPGenerator", "MLPDiscriminator"):
        monkeypatch.setattr(our_steps, name, partial(getattr(our_steps, name), hidden=(6,)))


@simulated
def test_a_step_that_is_timed_is_that_of_the_cpu(small_networks):
    losses = []
    for device in ("cpu", "cudasim"):
        minigen.manual_seed(0)
        step = ours.prepare(on(device, model="gan2d", batch=2, shape=[2], mode="eager"))
        losses.append({name: loss.item() for name, loss in step().items()})
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


# ---- PyTorch's side, on the CPU ---------------------------------------------------------------------------------


def test_pytorch_s_tasks_are_made_in_either_format_and_precision():
    torch = pytest.importorskip("torch", reason=NO_PYTORCH)
    for task in kernel_case(TINY, "input gradient", "tf32").tasks.values():
        if task["side"] == "PyTorch":
            theirs.set_precision(task["precision"])
            assert torch.backends.cudnn.allow_tf32
            assert theirs.prepare({**task, "device": "cpu"})()[0].shape == TINY.x_shape
    theirs.set_precision("ieee")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    tasks = step_tasks({"model": "gan2d", "batch": 4, "shape": [2]}, images=False)
    assert list(tasks) == [
        *(f"minigen {m}" for m in MODES["minigen"]),
        *(f"PyTorch {m} NCHW" for m in MODES["PyTorch"]),
    ]
    losses = theirs.prepare({**tasks["PyTorch eager NCHW"], "device": "cpu"})()
    assert all(math.isfinite(loss.item()) for loss in losses.values())


def test_pytorch_compiles_its_networks_and_makes_optimizers_that_can_be_captured(monkeypatch):
    torch = pytest.importorskip("torch", reason=NO_PYTORCH)
    compiled, captured = [], []
    monkeypatch.setattr(torch, "compile", lambda forward: compiled.append(forward) or forward)
    monkeypatch.setattr(theirs, "captured", captured.append)
    adam = torch.optim.Adam
    asked = []
    monkeypatch.setattr(
        torch.optim, "Adam", lambda *args, **given: asked.append(given["capturable"]) or adam(*args, **given)
    )
    tasks = step_tasks({"model": "gan2d", "batch": 4, "shape": [2]}, images=False)
    theirs.prepare({**tasks["PyTorch compiled NCHW"], "device": "cpu"})()
    assert (len(compiled), captured, asked) == (2, [], [False, False])
    theirs.prepare({**tasks["PyTorch captured NCHW"], "device": "cpu"})
    assert (len(compiled), len(captured), asked[2:]) == (2, 1, [True, True])


def test_a_pytorch_without_cuda_says_so(monkeypatch):
    torch = pytest.importorskip("torch", reason=NO_PYTORCH)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "finds no GPU; install a build of it for CUDA" in theirs.about()["without"]


def test_a_captured_step_of_pytorch_s_warms_up_aside_and_gets_its_batch_before_each_replay(monkeypatch):
    torch = pytest.importorskip("torch", reason=NO_PYTORCH)
    log = []

    class Stream:
        def wait_stream(self, other):
            log.append("wait")

    class Graph:
        def replay(self):
            log.append(float(step.data[0].sum()))

    @contextlib.contextmanager
    def within(what):
        log.append(f"in {type(what).__name__}")
        yield
        log.append("out")

    main_stream = Stream()
    for name, stand_in in {
        "Stream": Stream,
        "current_stream": lambda: main_stream,
        "stream": within,
        "CUDAGraph": Graph,
        "graph": within,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    task = step_tasks({"model": "gan2d", "batch": 4, "shape": [2]}, images=False)["PyTorch eager NCHW"]
    step = theirs.prepare({**task, "device": "cpu"})
    batch, take = float(step.data[0].sum()), step.take
    step.take = lambda step: log.append("step") or take(step)
    replay = theirs.captured(step)
    assert log == ["wait", "in Stream", "step", "step", "step", "out", "wait", "in Graph", "step", "out"]
    step.data[0].zero_()
    assert list(replay()) == ["d_loss", "g_loss"]
    assert log[10:] == [batch]


@simulated
def test_our_captured_step_has_the_losses_of_the_eager_one_with_a_new_z_every_time(small_networks):
    found = []
    for mode in ("eager", "captured"):
        minigen.manual_seed(0)
        step = ours.prepare(on("cudasim", model="gan2d", batch=2, shape=[2], mode=mode))
        found.append([[loss.item() for loss in step().values()] for _ in range(4)])
    assert np.ptp(found[0], axis=0).min() > 0
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


class StandIn:
    """In place of CuPy or of PyTorch's events: events are numbers, counted by the millisecond."""

    def __init__(self):
        self.now, self.filled = 0.0, []

    def event(self, enable_timing=True):
        made = SimpleNamespace(at=None, done=True, query=lambda: True, synchronize=lambda: None)

        def record():
            made.at, self.now = self.now, self.now + 2.0

        made.record, made.elapsed_time = record, lambda other: other.at - made.at
        return made


def test_cupy_s_events_are_in_seconds(monkeypatch):
    stand_in = StandIn()
    cupy = SimpleNamespace(
        empty=lambda count, dtype: SimpleNamespace(fill=lambda value: stand_in.filled.append((count, value))),
        cuda=SimpleNamespace(Event=stand_in.event, get_elapsed_time=lambda start, end: end.at - start.at),
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    check_events(ours.CupyEvents(), stand_in)


def test_pytorch_s_events_are_in_seconds(monkeypatch):
    stand_in = StandIn()
    torch = SimpleNamespace(
        empty=lambda count, device: SimpleNamespace(zero_=lambda: stand_in.filled.append((count, 0))),
        cuda=SimpleNamespace(Event=stand_in.event),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    check_events(theirs.TorchEvents(), stand_in)


def check_events(events, stand_in):
    start, end = events.mark(), events.mark()
    assert events.seconds(start, end) == pytest.approx(2e-3)
    assert events.reached(start)
    events.hold(7e-3)
    assert stand_in.filled == [(1 << 26, 0)] * (2 + 4)


def test_the_gpu_says_what_it_is_through_cupy(monkeypatch):
    gpu = SimpleNamespace(
        id=0,
        compute_capability="120",
        attributes={"MultiProcessorCount": 100, "ClockRate": 1_500_000},
        mem_info=(1, 80 << 30),
    )
    runtime = SimpleNamespace(getDeviceProperties=lambda number: {"name": b"a GPU"}, runtimeGetVersion=lambda: 12090)
    cuda = SimpleNamespace(Device=lambda: gpu, runtime=runtime)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(__version__="13.6", cuda=cuda))
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    monkeypatch.setattr(ours, "driver_version", lambda: "580.1")
    found = ours.about()
    assert found | {"numba-cuda": "", "minigen": ""} == {
        "gpu": "a GPU",
        "capability": "12.0",
        "multiprocessors": 100,
        "clock": 1.5e9,
        "memory": 80 << 30,
        "driver": "580.1",
        "cuda": "12.9",
        "cupy": "13.6",
        "numba-cuda": "",
        "minigen": "",
    }


def test_memory_is_asked_of_the_pools_and_of_the_card(monkeypatch):
    log = []
    card = SimpleNamespace(memGetInfo=lambda: (7, 80))
    stand_in = SimpleNamespace(
        empty_cache=lambda: log.append("empty"),
        reset_peak_memory_stats=lambda: log.append("reset"),
        max_memory_allocated=lambda: 5,
        mem_get_info=lambda: (7, 80),
    )
    place = SimpleNamespace(xp=SimpleNamespace(cuda=SimpleNamespace(runtime=card)))
    monkeypatch.setattr(ours, "minigen", SimpleNamespace(cuda=stand_in, device=lambda name: place))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=stand_in))
    for side in (ours, theirs):
        assert (side.start_counting_memory(), side.peak_of_arrays(), side.free_memory()) == (7, 5, 7)
    assert log == ["empty", "reset"] * 2


def test_the_driver_s_version_is_asked_of_nvidia_smi(monkeypatch):
    class Done:
        stdout = "580.65.06\n580.65.06\n"

    monkeypatch.setattr(ours.subprocess, "run", lambda *args, **options: Done)
    assert ours.driver_version() == "580.65.06"

    def absent(*args, **options):
        raise FileNotFoundError

    monkeypatch.setattr(ours.subprocess, "run", absent)
    assert ours.driver_version() is None


# ---- the process that measures ----------------------------------------------------------------------------------


class Side:
    """Prepares calls that take a clock's time; a task with ``fail`` fails."""

    def __init__(self, clock):
        self.clock, self.log = clock, []

    def set_precision(self, precision):
        self.log.append(precision)

    def prepare(self, task):
        self.log.append(task["n"])
        if "fail" in task:
            raise RuntimeError("CUDA error: an illegal memory access\nand more")
        return self.clock.call

    def start_counting_memory(self):
        self.log.append("reset")
        return self.free_memory()

    def free_memory(self):
        return 1000 - 10 * self.clock.calls

    def peak_of_arrays(self):
        return 40

    def about(self):
        raise MinigenError("It cannot be asked")


def test_the_worker_prepares_once_sets_the_precision_each_time_and_answers_what_failed(clock):
    gpu = clock(1e-5, 1e-3)
    side = Side(gpu)
    answer = worker.answers_of(side, lambda: gpu)
    task = {"n": 1, "precision": "tf32"}
    for _ in range(2):
        found = answer({"do": "seconds", "task": task, "at_least": 0.01})
        assert found == {"seconds": pytest.approx(1e-3), "late": False}
    assert side.log == ["tf32", 1, "tf32"]
    assert answer({"do": "forget"}) == {}
    found = answer({"do": "seconds", "task": {"n": 2, "model": "x"}, "at_least": 0.01})
    assert found["seconds"] == pytest.approx(1e-3, rel=0.1)
    assert side.log[3:] == ["ieee", 2]
    failed = answer({"do": "seconds", "task": {"n": 3, "fail": True}, "at_least": 0.01})
    assert failed == {"missing": "RuntimeError: CUDA error: an illegal memory access"}
    assert answer({"do": "about"}) == {"missing": "It cannot be asked"}


def test_memory_is_what_the_card_has_less_of_after_the_steps_a_small_one_left_out(clock):
    gpu = clock(1e-5, 1e-3)
    side = Side(gpu)
    request = {"do": "memory", "task": {"n": 7}, "first": {"n": 6}, "calls": 5}
    answer = worker.answers_of(side, lambda: gpu)(request)
    assert side.log == ["ieee", 6, "reset", 7]
    assert answer == {"bytes": 50, "arrays": 40}


# ---- rounds -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """Workers that answer at once with 1, 2, 3, … seconds; what they were asked; and whom to let fail."""
    asked, failing, clock = [], {}, itertools.count(1)

    class Scripted:
        def __init__(self, side):
            self.side = side
            asked.append((side, "begun"))

        def ask(self, do, **request):
            if do == "about":
                return dict(GPU if self.side == "minigen" else TORCH)
            if do == "forget":
                return {}
            task = request["task"]
            if do == "memory":
                assert (request["first"]["batch"], request["first"]["mode"]) == (2, "eager")
                return {"bytes": 1000, "arrays": 800}
            asked.append((self.side, task.get("mode") or task.get("rung") or task.get("precision") or "copy"))
            for word, how in failing.items():
                if word in task.values():
                    if isinstance(how, Exception):
                        raise how
                    return {"missing": how}
            return {"seconds": float(next(clock)), "late": "copy" in task, "bytes": 1000}

        def __exit__(self, *exception):
            asked.append((self.side, "ended"))

    version_of = rounds.version_of
    monkeypatch.setattr(rounds, "version_of", lambda name: "2.13.0" if name == "torch" else version_of(name))
    monkeypatch.setattr(rounds, "why_unavailable", lambda name: None)
    monkeypatch.setattr(rounds, "Worker", Scripted)
    return asked, failing


def test_contestants_take_turns_and_every_process_is_ended(scripted):
    asked, _ = scripted
    case = kernel_case(TINY, "forward", "tf32")
    content = run_cuda([case], rounds=2)
    assert asked[:2] == [("minigen", "begun"), ("PyTorch", "begun")]
    turn = [("minigen", "tf32"), ("PyTorch", "tf32"), ("PyTorch", "tf32")]
    assert asked[2:] == [*turn, *turn, ("minigen", "ended"), ("PyTorch", "ended")]
    (measurement,) = content["measurements"]
    assert measurement["values"] == {
        "minigen": [1.0, 4.0],
        "cuDNN TF32 NCHW": [2.0, 5.0],
        "cuDNN TF32 channels_last": [3.0, 6.0],
    }
    assert measurement["missing"] == {}
    assert content["settings"]["gpu"] == "a GPU"
    assert content["settings"]["cudnn"] == 91000


def test_every_step_has_a_process_of_its_own_that_ends_with_the_case(scripted):
    asked, _ = scripted
    case = Case("steps", "GAN of points", step_tasks({"model": "gan2d", "batch": 4, "shape": [2]}, images=False))
    run_cuda([case], rounds=2)
    assert [what for _, what in asked].count("begun") == 2 + 5  # two were asked about the machine
    assert asked.count(("minigen", "captured")) == asked.count(("PyTorch", "compiled")) == 2
    assert [what for _, what in asked].count("ended") == 7


def test_what_fails_is_missing_with_its_reason_and_the_rest_goes_on_in_a_new_process(scripted):
    asked, failing = scripted
    failing["coalesced"] = "CudaError: misaligned address"
    failing["unrolled"] = MinigenError("The process ended")
    content = run_cuda([ladder_case(TINY), cases_of(["ladder"])[0]], rounds=2)
    ladder, copy = content["measurements"]
    assert ladder["missing"] == {"coalesced": "CudaError: misaligned address", "unrolled": "The process ended"}
    assert list(ladder["values"]) == [
        *(rung for rung in RUNGS if rung not in failing),
        *(f"cuDNN {word} {order}" for word in ("FP32", "TF32") for order in ("NCHW", "channels_last")),
    ]
    assert all(len(values) == 2 for values in ladder["values"].values())
    assert asked.count(("minigen", "coalesced")) == 1  # not tried again
    assert asked.count(("minigen", "begun")) == 3
    assert copy["late"] == ["minigen"]


def test_without_pytorch_our_side_is_measured_alone(scripted, monkeypatch):
    asked, _ = scripted
    monkeypatch.setattr(rounds, "version_of", lambda name: None)
    content = run_cuda([kernel_case(TINY, "forward", "ieee")], rounds=1)
    (measurement,) = content["measurements"]
    assert list(measurement["values"]) == ["minigen"]
    assert set(measurement["missing"].values()) == {rounds.NO_TORCH}
    assert not [side for side, _ in asked if side == "PyTorch"]
    monkeypatch.setattr(rounds, "version_of", lambda name: "2.13.0+cpu")
    monkeypatch.setitem(TORCH, "without", "PyTorch 2.13.0+cpu finds no GPU")
    (measurement,) = run_cuda([kernel_case(TINY, "forward", "ieee")], rounds=1)["measurements"]
    assert set(measurement["missing"].values()) == {"PyTorch 2.13.0+cpu finds no GPU"}


def test_a_gpu_that_cannot_be_asked_what_it_is_ends_in_one_sentence(scripted, monkeypatch):
    monkeypatch.setattr(rounds.Worker, "ask", lambda self, **request: {"missing": "RuntimeError: no driver"})
    with pytest.raises(MinigenError, match="could not be asked what it is: RuntimeError: no driver"):
        run_cuda([])


def test_memory_is_measured_once_in_new_processes(scripted):
    asked, _ = scripted
    case = Case("memory", "GAN of points", step_tasks({"model": "gan2d", "batch": 4, "shape": [2]}, images=False))
    (measurement,) = run_cuda([case], rounds=3)["measurements"]
    assert set(map(tuple, measurement["values"].values())) == {(1000,)}
    assert measurement["arrays"] == dict.fromkeys(case.tasks, 800)
    assert [what for _, what in asked].count("begun") == 2 + 5


def test_what_was_measured_before_an_interruption_is_gone_on_with(scripted, tmp_path):
    file = tmp_path / "cuda.json"
    cases = [kernel_case(TINY, direction, "ieee") for direction in DIRECTIONS[:2]]

    def interrupt(case):
        if case is cases[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cuda(cases, rounds=1, file=file, begin=interrupt)
    assert [m["name"] for m in json.loads(file.read_text())["measurements"]] == [cases[0].name]
    began = []
    content = run_cuda(cases, rounds=1, file=file, begin=began.append)
    assert began == [cases[1]]
    assert content == json.loads(file.read_text())
    with pytest.raises(UserError, match="holds measurements with another rounds"):
        run_cuda(cases, rounds=2, file=file)
    file.write_text("[]")
    with pytest.raises(UserError, match="is not a file of `minigen bench cuda`"):
        run_cuda(cases, rounds=1, file=file)


def test_a_real_process_answers_that_there_is_no_gpu(monkeypatch):
    if why_unavailable("cuda") is None:
        pytest.skip("there is one")
    with rounds.Workers() as workers:
        answer = workers.ask("x", "minigen", do="seconds", task={**TINY_TASK, "side": "minigen"}, at_least=0.1)
        assert "Device 'cuda' needs" in answer["missing"]
        assert workers.running == {}


TINY_TASK = {"kernel": list(TINY), "direction": "forward", "precision": "ieee"}


# ---- the report -------------------------------------------------------------------------------------------------


def content_of(*measurements, **settings):
    here = {"processor": "a processor", "system": "Linux", "rounds": 3, "python": "3.11", "numpy": "2.4"}
    return {"settings": {**here, **GPU, **TORCH, **settings}, "measurements": list(measurements)}


NOTHING = {"settings": {"rounds": 5, "gpu": None, "why": f"{WHY}."}, "measurements": []}


def measured(part, name, values, missing=(), late=()):
    return {"part": part, "name": name, "values": values, "missing": dict(missing), "late": list(late)}


def rows_of(table):
    return [dict(zip(table.headings, row)) for row in table.rows]


def test_the_ladder_has_speeds_shares_of_cudnn_and_shares_of_the_peak():
    kernel = LADDER[0]
    second = kernel.flops / PEAK  # at the peak
    values = {
        "naive": [100 * second, 90 * second, 1],
        "cp_async": [1.25 * second],
        "tf32": [0.5 * second],
        "cuDNN FP32 NCHW": [2 * second],
        "cuDNN FP32 channels_last": [second],
        "cuDNN TF32 NCHW": [0.25 * second],
    }
    content = content_of(
        measured("ladder", str(kernel), values, {"coalesced": "CudaError: misaligned"}, ["naive"]),
        measured("ladder", "copy", {"minigen": [2 * 4 * COPIED / 3e12]}),
    )
    table = report.tables_of(["ladder"], content)[0]
    rows = {row["rung"]: row for row in rows_of(table)}
    assert list(rows) == [f"{i + 1} {rung}" for i, rung in enumerate(RUNGS)] + ["cuDNN FP32", "cuDNN TF32"]
    assert rows["1 naive"] | {"ms": ""} == {
        "rung": "1 naive",
        "ms": "",
        "GFLOP/s": f"{PEAK / 100 / 1e9:.0f}°",
        "of cuDNN": "1%",
        "of the FP32 peak": "1.0%",
    }
    assert (rows["10 cp_async"]["of cuDNN"], rows["10 cp_async"]["of the FP32 peak"]) == ("80%", "80.0%")
    assert (rows["11 tf32"]["of cuDNN"], rows["11 tf32"]["of the FP32 peak"]) == ("50%", "200.0%")
    assert rows["2 coalesced"]["GFLOP/s"] == "not measured"
    assert list(table.notes) == [
        "Not measured, coalesced: CudaError: misaligned.",
        "° The host could not queue the calls as fast as the GPU ran them.",
    ]
    lines = report.header(content, "minigen bench cuda")
    assert "FP32 peak, 100 multiprocessors × their FP32 units × 1.00 GHz × 2: 25.6 TFLOP/s" in lines
    assert "memory bandwidth, measured by a kernel that copies 1 GiB: 3000 GB/s" in lines
    assert "driver 580.1, CUDA 13.0, CuPy 13.6, numba-cuda 0.30" in lines[1]
    assert "PyTorch 2.13.0, of CUDA 13.0, cuDNN 91000" in lines[1]


def test_a_gpu_whose_units_are_not_known_has_no_share_of_a_peak():
    kernel = LADDER[0]
    content = content_of(measured("ladder", str(kernel), {"naive": [1.0]}), capability="3.5")
    assert rows_of(report.tables_of(["ladder"], content)[0])[0]["of the FP32 peak"] == "-"
    assert "not known for this GPU" in report.header(content, "x")[2]


def kernels_measured(share_of):
    """All kernels measured, ours at `share_of(kernel, precision)` of cuDNN's speed."""
    return [
        measured(
            "kernels",
            kernel_name(kernel, direction, precision),
            {
                "minigen": [1.0 / share_of(kernel, precision)],
                f"cuDNN {word} NCHW": [1.0],
                f"cuDNN {word} channels_last": [3.0],
            },
        )
        for kernels in SETS.values()
        for kernel in kernels
        for direction in DIRECTIONS
        for precision, word in PRECISIONS.items()
    ]


def test_kernels_are_compared_with_the_better_format_and_their_means_with_the_goals():
    small = [is_small(kernel) for kernels in SETS.values() for kernel in kernels]
    assert 0 < sum(small) < len(small)

    def share(kernel, precision):
        return {"ieee": 1.1 if is_small(kernel) else 0.8, "tf32": 0.5}[precision]

    content = content_of(*kernels_measured(share))
    goals, dcgan, *_ = report.tables_of(["kernels"], content)
    rows = {row["geometric mean"]: row for row in rows_of(goals)}
    logs = [math.log(1.1) if one else math.log(0.8) for one in small]
    assert rows["FP32, all shapes"]["of cuDNN"] == f"{math.exp(np.mean(logs)):.0%}"
    assert rows["FP32, all shapes"]["goal"] == "85%"
    fp32_small = rows["FP32, small images: results of at most 8×8"]
    assert (fp32_small["of cuDNN"], fp32_small["goal"], fp32_small["reached"]) == ("110%", "100%", "yes")
    assert (rows["TF32, all shapes"]["of cuDNN"], rows["TF32, all shapes"]["reached"]) == ("50%", "no")
    assert rows["TF32, small images: results of at most 8×8"]["goal"] == "-"
    first = rows_of(dcgan)[0]
    assert (first["format FP32"], first["share FP32"], first["share TF32"]) == ("NCHW", "80%", "50%")
    assert first["cuDNN GFLOP/s FP32"] == f"{SETS['DCGAN 28×28'][0].flops / 1e9:.0f}"
    assert rows_of(dcgan)[-1]["share TF32"] == "50%"


def test_a_mean_is_not_made_of_a_part_of_the_kernels():
    content = content_of(*kernels_measured(lambda kernel, precision: 1.0)[1:])
    rows = {row["geometric mean"]: row for row in rows_of(report.tables_of(["kernels"], content)[0])}
    assert rows["FP32, all shapes"]["of cuDNN"] == "not measured"
    assert rows["FP32, all shapes"]["reached"] == "-"
    assert rows["TF32, all shapes"]["of cuDNN"] == "100%"


def test_steps_are_compared_with_pytorch_eager_and_captured():
    dcgan, vae = STEPS[0].name, STEPS[1].name
    values = {
        "minigen eager": [0.02],
        "minigen captured": [0.010],
        "PyTorch eager NCHW": [0.02],
        "PyTorch eager channels_last": [0.016],
        "PyTorch captured NCHW": [0.009],
    }
    content = content_of(
        measured("steps", dcgan, values, {"PyTorch compiled NCHW": "BackendCompilerFailed: no compiler"}),
        measured("steps", vae, {"PyTorch eager NCHW": [0.1]}),
    )
    (table,) = report.tables_of(["steps"], content)
    first, second = table.rows[:2]
    assert first == (
        dcgan,
        "20.0",
        "10.0",
        "16.0",
        "9.00",
        "not measured",
        "1.60×",
        "1.5×",
        "yes",
        "0.90×",
        "1.0×",
        "no",
    )
    assert second[1:5] == ("not measured", "not measured", "100", "not measured")
    assert second[6:9] == ("-", "-", "-")
    assert list(table.notes) == ["Not measured, PyTorch compiled NCHW: BackendCompilerFailed: no compiler."]


def test_memory_is_in_mebibytes():
    values = {"minigen eager": [3 << 20], "PyTorch eager NCHW": [5 << 20], "PyTorch eager channels_last": [4 << 20]}
    arrays = {name: [2 << 20, 7 << 20, 1 << 20][i] for i, name in enumerate(values)}
    measurement = measured("memory", STEPS[0].name, values) | {"arrays": arrays}
    (table,) = report.tables_of(["memory"], content_of(measurement))
    assert table.rows[0][1:4] == ("3.0", "not measured", "4.0")
    assert table.rows[0][-2:] == ("2.0", "1.0")
    assert table.rows[1][-2:] == ("-", "-")


def test_where_nothing_was_measured_every_table_says_so_with_the_reason_and_the_command():
    text = report.markdown(PARTS, NOTHING, "minigen bench cuda --out benchmarks")
    assert f"- Nothing was measured here. {WHY}." in text
    assert "- `minigen bench cuda --out benchmarks` measures it on a machine with an NVIDIA GPU." in text
    assert "nan" not in text
    tables = report.tables_of(PARTS, NOTHING)
    assert len(tables) == len(LADDER) + 1 + len(SETS) + 2
    for table in tables:
        for row in table.rows:
            assert len(row) == len(table.headings)
            assert "not measured" in row
            assert not any(cell[-1:].isdigit() for cell in row[1:]), row


def test_no_table_is_wider_than_what_it_is_printed_on():
    late = {who: [123.456] for case in cases_of(PARTS) for who in case.tasks}
    full = content_of(
        *(
            measured(case.part, case.name, late, late={*case.tasks}) | {"arrays": dict.fromkeys(late, 1 << 30)}
            for case in cases_of(PARTS)
        )
    )
    console = Console(file=io.StringIO(), width=1000)
    for content in (full, NOTHING):
        for table in report.tables_of(PARTS, content):
            assert console.measure(rich_table(table)).maximum < command.WIDTH, table.title


def test_the_roofline_has_a_point_for_each_rung_and_shape(tmp_path):
    times = [
        measured(
            "ladder",
            str(kernel),
            {rung: [1e-3 / (i + 1)] for i, rung in enumerate(RUNGS)} | {"cuDNN FP32 NCHW": [1e-4]},
        )
        for kernel in LADDER
    ]
    copy = measured("ladder", "copy", {"minigen": [1e-3]})
    points = picture.points_of(report.Found(content_of(*times)))
    assert len(points) == len(LADDER) * (len(RUNGS) + 1)
    assert points[0] == ("naive", intensity(LADDER[0]), LADDER[0].flops / 1e-3)
    assert not picture.save_picture(tmp_path / "x.png", content_of(*times))  # no bandwidth
    assert not picture.save_picture(tmp_path / "x.png", content_of(copy))
    assert not picture.save_picture(tmp_path / "x.png", content_of(copy, *times, capability="3.5"))
    assert not picture.save_picture(tmp_path / "x.png", NOTHING)
    assert not list(tmp_path.iterdir())
    assert picture.save_picture(tmp_path / "x.png", content_of(copy, *times))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


# ---- the command ------------------------------------------------------------------------------------------------


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(rounds, "why_unavailable", lambda name: f"{WHY}: use device 'cpu'.")


def test_the_help_of_bench_lists_it(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert "cuda" in capsys.readouterr().out


def test_without_a_gpu_the_command_writes_that_nothing_was_measured(no_gpu, tmp_path, capsys):
    assert main(["bench", "cuda", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert f"Nothing was measured here. {WHY}: use device 'cpu'." in shown
    assert f"`minigen bench cuda --rounds 5 --out {tmp_path}` measures it on a machine with an NVIDIA GPU." in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cuda.json", "cuda.md"]
    assert json.loads((tmp_path / "cuda.json").read_text())["measurements"] == []
    assert main(["bench", "cuda", "--out", str(tmp_path)]) == 0  # one that was not measured may be written again


def test_a_measured_report_is_not_overwritten_by_one_that_is_not(no_gpu, tmp_path, capsys):
    for content in (json.dumps(content_of(measured("ladder", "copy", {"minigen": [1.0]}))), "no JSON"):
        (tmp_path / "cuda.json").write_text(content)
        assert main(["bench", "cuda", "--out", str(tmp_path)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "holds a report that was measured, and nothing was measured here, so it stays as it is" in err
        assert (tmp_path / "cuda.json").read_text() == content
        assert not (tmp_path / "cuda.md").exists()


def test_the_command_measures_prints_and_writes_what_can_be_read_again(scripted, monkeypatch, tmp_path, capsys):
    kept, out = tmp_path / "kept.json", tmp_path / "report"
    cases = [*cases_of(["ladder"]), kernel_case(SETS["DCGAN 28×28"][0], "forward", "ieee")]
    monkeypatch.setattr(command, "cases_of", lambda parts: cases)
    arguments = ["--only", "ladder", "kernels", "--rounds", "1", "--json", str(kept), "--out", str(out)]
    assert main(["bench", "cuda", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "ladder: copy: minigen 1000 ms" in shown
    assert "a GPU, compute capability 9.0, 80 GiB" in shown
    assert sorted(path.name for path in out.iterdir()) == ["cuda.json", "cuda.md", "cuda.png"]
    text = (out / "cuda.md").read_text()
    assert f"`minigen bench cuda --only ladder kernels --rounds 1 --out {out}`" in text
    assert (out / "cuda.json").read_text() == kept.read_text()
    content = json.loads(kept.read_text())
    assert (
        report.markdown(
            ["ladder", "kernels"], content, f"minigen bench cuda --only ladder kernels --rounds 1 --out {out}"
        )
        == text
    )
    assert main(["bench", "cuda", *arguments]) == 0  # all is known
    assert "ladder: copy: " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "kernel"], "Unknown value of --only 'kernel': did you mean 'kernels'?"),
        (["--rounds", "0"], "must be an integer of at least 1"),
    ],
)
def test_mistakes_are_told_in_one_sentence(capsys, arguments, sentence):
    assert main(["bench", "cuda", *arguments]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
