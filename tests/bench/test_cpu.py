"""`minigen bench cpu`: the same models on both sides, honest figures, processes that are minded."""

import io
import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from minigen_kernels import cpu, reference
from rich.console import Console

from minigen.bench import convolution
from minigen.bench.convolution import DIRECTIONS, Kernel
from minigen.bench.cpu import command, ours, report, rounds, theirs, worker
from minigen.bench.cpu.cases import ENGINE, KERNELS, PARTS, STEPS, Case, cases_of, growth_case, kernel_case, smallest
from minigen.bench.cpu.given import kernel_given, step_given, text_of
from minigen.bench.cpu.rounds import Worker, run_cpu
from minigen.bench.steps import MODELS
from minigen.bench.steps import ours as our_steps
from minigen.bench.steps import theirs as their_steps
from minigen.bench.tables import rich_table
from minigen.cli.main import main, make_parser
from minigen.errors import AutogradError, MinigenError, UserError
from minigen.random import Generator

NO_PYTORCH = "PyTorch, the other side, is not installed"
SMALL_KERNELS = [kernel._replace(batch=2, size=min(kernel.size, 16)) for kernel in KERNELS]
UNLISTED_KERNELS = [
    kernel_given(text)
    for text in ("3,8,12,9,3,1,4", "3,4,8,10,3,3,4", "2,5,3,9,4", "2,5,3,7,1,2", "2,3,4,5,7,2", "2,3,4,11,2,2")
]
UNLISTED_STEPS = [
    step_given(text)
    for text in (
        *("dcgan,4,3,16,24", "conv-vae,3,2,12,20", "critic,3,3,20,12", "conv-autoencoder,2,3,12,8"),
        *("dense-autoencoder,3,3,9,7", "restoration-gan,2,1,16,24", "gan2d,7,5"),
    )
]
TINY = Case("steps", STEPS[4].name, {"model": "gan2d", "batch": 4, "shape": [2]}, images=False, goal=1.2)
LISTED = cases_of(PARTS)
OTHER = Case("growth", "batch 16", {"model": "gan2d", "batch": 8, "shape": [2]}, images=False)


def small(task):
    """The same step on four images, colour images of 16×16."""
    shape = [3, 16, 16] if task["model"] == "restoration-gan" else task["shape"]
    return {**task, "batch": 4, "shape": shape}


class Recorded(Generator):
    """Random numbers that can be given to the other side too."""

    def __init__(self):
        super().__init__(1)
        self.given = []

    def normal(self, *args, **options):
        return self._keep(super().normal(*args, **options))

    def uniform(self, *args, **options):
        return self._keep(super().uniform(*args, **options))

    def _keep(self, array):
        self.given.append(array)
        return array


def leaves(module):
    """The layers without parts, in order: kind, and what dropout and LeakyReLU are given."""
    settings = ("p", "negative_slope", "eps", "momentum", "stride")
    return [
        (type(layer).__name__, [getattr(layer, name) for name in settings if hasattr(layer, name)])
        for layer in module.modules()
        if not list(layer.children()) and type(layer).__name__ not in ("Identity", "Sequential")
    ]


def pair_of(task, memory_format):
    """A step of ours and PyTorch's, with the same weights, batch and noise, and without dropout."""
    torch = pytest.importorskip("torch", reason=NO_PYTORCH)
    mine, other = ours.prepare(task), theirs.prepare({**task, "memory_format": memory_format})
    assert list(mine.modules) == list(other.modules)
    for name, module in mine.modules.items():
        weights = {key: torch.tensor(value.numpy()) for key, value in module.state_dict().items()}
        other.modules[name].load_state_dict(weights)
        for layer in [*module.modules(), *other.modules[name].modules()]:
            if type(layer).__name__ == "Dropout":
                layer.p = 0.0
    mine.noise = Recorded()
    other.data = [torch.from_numpy(array.numpy().copy()) for array in mine.data]
    other.randn = other.rand = lambda *shape: torch.from_numpy(mine.noise.given.pop(0)).reshape(shape)
    return mine, other


@pytest.mark.parametrize("memory_format", rounds.FORMATS)
@pytest.mark.parametrize(
    "case",
    [case._replace(task=small(case.task)) for case in (*STEPS, growth_case("batch 4", 4, 28))] + UNLISTED_STEPS,
    ids=text_of,
)
def test_both_sides_train_the_same_model(case, memory_format):
    mine, other = pair_of(case.task, memory_format if case.images else "contiguous_format")
    twins = {name: dict(module.named_parameters()) for name, module in other.modules.items()}
    weights = [(w, twins[name][key]) for name, module in mine.modules.items() for key, w in module.named_parameters()]
    starts = [w.numpy().copy() for w, _ in weights]

    losses, expected = mine(), other()
    assert list(losses) == list(expected)
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-5), name
    for w, twin in weights:
        gradient = twin.grad.numpy()
        assert np.linalg.norm(w.grad.numpy() - gradient) <= 1e-2 * np.linalg.norm(gradient) + 1e-6

    mine(), other()
    assert mine.noise.given == []  # PyTorch's side has drawn as often
    moved = [(w.numpy() - start, twin.detach().numpy() - start) for (w, twin), start in zip(weights, starts)]
    apart, far = (
        math.hypot(*map(np.linalg.norm, arrays)) for arrays in ([a - b for a, b in moved], [b for _, b in moved])
    )
    assert apart <= 1e-2 * far


@pytest.mark.parametrize("case", STEPS, ids=lambda case: case.task["model"])
def test_both_sides_have_the_same_layers_with_the_same_constants(case):
    pytest.importorskip("torch", reason=NO_PYTORCH)
    task = small(case.task)
    mine, other = ours.prepare(task), theirs.prepare({**task, "memory_format": "contiguous_format"})
    for name, module in mine.modules.items():
        assert leaves(module) == leaves(other.modules[name])
    if case.task["model"] in ("dcgan", "critic"):
        assert ("Dropout", [0.3]) in leaves(module)


def test_in_channels_last_weights_and_images_lie_that_way():
    torch = pytest.importorskip("torch", reason=NO_PYTORCH)
    step = their_steps.make_step("restoration-gan", 2, [3, 16, 16], "channels_last")
    arrays = [*step.data, *(w for module in step.modules.values() for w in module.parameters() if w.ndim == 4)]
    assert len(arrays) > 20
    assert all(array.is_contiguous(memory_format=torch.channels_last) for array in arrays)


def test_every_model_of_the_cases_is_one_that_ours_makes():
    assert {case.task["model"] for case in cases_of(["steps", "growth"])} == set(MODELS)
    for model in MODELS:
        shape = [2] if model == "gan2d" else [3, 16, 16]
        losses = our_steps.make_step(model, 2, shape)()
        assert all(math.isfinite(loss.item()) for loss in losses.values()), model
    with pytest.raises(UserError, match="Unknown step 'dcgam': did you mean 'dcgan'"):
        our_steps.make_step("dcgam", 2, [1, 8, 8])


def arrays_of(kernel):
    """x, w and y for a convolution."""
    g = np.random.default_rng(kernel.window)
    return (
        g.standard_normal(kernel.x_shape, np.float32),
        g.standard_normal(kernel.w_shape, np.float32),
        g.standard_normal(kernel.y_shape, np.float32),
    )


def expected_of(kernel, direction, x, w, y):
    geometry = ((kernel.stride,) * 2, (kernel.padding,) * 4, (1, 1), kernel.groups)
    if direction == "forward":
        return reference.conv2d(x, w, *geometry)
    if direction == "input gradient":
        return reference.conv_transpose2d(y, w, *geometry, x.shape[2:])
    return reference.conv2d_weight_grad(x, y, *geometry, w.shape[2:])


every_convolution = pytest.mark.parametrize(
    ("kernel", "direction"),
    [(kernel, direction) for kernel in SMALL_KERNELS + UNLISTED_KERNELS for direction in DIRECTIONS],
    ids=str,
)


@every_convolution
def test_our_convolutions_are_those_of_the_reference(kernel, direction):
    arrays = arrays_of(kernel)
    expected = expected_of(kernel, direction, *arrays)
    found = convolution.ours(kernel, direction, *arrays, cpu)()
    np.testing.assert_allclose(found, expected, atol=1e-5 * abs(expected).max())


@every_convolution
def test_pytorchs_convolutions_are_those_of_the_reference_and_compute_nothing_else(kernel, direction):
    torch = pytest.importorskip("torch", reason=NO_PYTORCH)
    arrays = arrays_of(kernel)
    expected = expected_of(kernel, direction, *arrays)
    found = convolution.theirs(kernel, direction, *map(torch.from_numpy, arrays))()
    gradients = [found] if direction == "forward" else [gradient for gradient in found if gradient is not None]
    assert len(gradients) == 1
    np.testing.assert_allclose(gradients[0].numpy(), expected, atol=1e-5 * abs(expected).max())


# ---- cases that the command line names --------------------------------------------------------------------------


def test_convolutions_and_steps_are_read_from_numbers_and_a_model():
    assert kernel_given("16,64,3,64,5") == Kernel(16, 64, 3, 64, 5, stride=1, groups=1)
    assert kernel_given("100,16,32,28,3,2") == Kernel(100, 16, 32, 28, 3, stride=2, groups=1)
    assert kernel_given("2,8,12,9,3,1,4") == Kernel(2, 8, 12, 9, 3, stride=1, groups=4)
    task = {"model": "dcgan", "batch": 64, "shape": [1, 32, 28]}
    assert step_given("dcgan,64,1,32,28") == Case("steps", "dcgan 1×32×28, batch 64", task, images=True, goal=None)
    task = {"model": "gan2d", "batch": 100, "shape": [7]}
    assert step_given("gan2d,100,7") == Case("steps", "gan2d 7, batch 100", task, images=False, goal=None)
    for one in UNLISTED_KERNELS:
        assert kernel_given(text_of(one)) == one
    for one in UNLISTED_STEPS:
        assert step_given(text_of(one)) == one


def test_a_model_without_convolutions_is_not_given_memory_formats():
    images = {case.task["model"]: case.images for case in UNLISTED_STEPS}
    assert set(images) == set(MODELS)
    for case in LISTED:
        if "model" in case.task:
            assert images[case.task["model"]] == case.images


def test_convolutions_that_differ_in_anything_have_different_names():
    numbers = (64, 8, 16, 12, 3, 2, 4)
    others = [(*numbers[:i], numbers[i] * 2, *numbers[i + 1 :]) for i in range(len(numbers))]
    depthwise = [Kernel(64, n, n, 12, 3, groups=n) for n in (1, 8, 16)]
    halves = [Kernel(64, 8, 16, 12, 3, groups=8), Kernel(64, 8, 16, 12, 3), Kernel(64, 8, 8, 12, 3, groups=2)]
    kernels = [Kernel(*numbers), *map(Kernel._make, others), *depthwise, *halves]
    assert len({str(kernel) for kernel in kernels}) == len(kernels)
    assert [str(kernel) for kernel in depthwise[:2]] == ["64, 1→1, 12×12, 3×3", "64, 8 depthwise, 12×12, 3×3"]
    assert str(halves[0]) == "64, 8→16, 12×12, 3×3, 8 groups"


def asked_for(*arguments):
    return command.asked_for(make_parser().parse_args(["bench", "cpu", *arguments]))


def test_named_cases_take_the_place_of_the_listed_ones_and_memory_is_that_of_the_steps():
    kernels, steps = ["--kernels", "2,3,4,8,3", "2,3,4,8,3,2"], ["--steps", "gan2d,8,2", "critic,4,3,8,12"]
    products = [case for case in LISTED if "matmul" in case.task]
    convolutions = [
        *products,
        *(kernel_case(Kernel(2, 3, 4, 8, 3, stride), direction) for stride in (1, 2) for direction in DIRECTIONS),
    ]
    trained = [step_given("gan2d,8,2"), step_given("critic,4,3,8,12")]
    memory = [case._replace(part="memory") for case in trained]
    assert asked_for() == LISTED
    assert asked_for(*kernels) == convolutions
    assert asked_for(*steps) == [*trained, *memory]
    assert asked_for(*steps, *kernels) == [*trained, *convolutions, *memory]
    assert asked_for("--steps", "gan2d,8,2", "--steps", "critic,4,3,8,12") == [*trained, *memory]
    assert asked_for(*steps, "--only", "memory", "engine") == [*ENGINE, *memory]
    assert asked_for(*steps, "--only", "steps", "kernels") == [*trained, *cases_of(["kernels"])]
    assert asked_for(*kernels, "--only", *PARTS) == [*STEPS, *ENGINE, *convolutions, *cases_of(["growth", "memory"])]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--only", "memory", "steps"],
        ["--kernels", "16,64,3,64,3", "100,16,32,28,3,2", "2,8,8,9,4,1,8"],
        ["--steps", "dcgan,64,1,32,32", "gan2d,100,2"],
        ["--steps", "dcgan,64,1,32,32", "--kernels", "16,64,3,64,3", "--only", *PARTS],
    ],
)
def test_the_command_that_is_written_down_measures_the_same_again(arguments):
    args = make_parser().parse_args(["bench", "cpu", *arguments, "--rounds", "2", "--out", "there"])
    program, *words = command.command_of(args, {"rounds": 2, "threads": 3}).split()
    assert program == "minigen"
    again = make_parser().parse_args(words)
    assert command.asked_for(again) == command.asked_for(args)
    assert (again.rounds, again.threads, again.out) == (2, 3, "there")


# ---- the process that measures ----------------------------------------------------------------------------------


def answers_to(side, *requests):
    out = io.StringIO()
    worker.serve(side, [json.dumps(request) for request in requests], out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


class Side:
    """Prepares calls that are counted."""

    def __init__(self):
        self.prepared, self.calls = [], 0

    def prepare(self, task):
        self.prepared.append(task["n"])
        return self.call

    def call(self):
        self.calls += 1


def test_a_task_is_prepared_once_until_it_is_forgotten():
    side = Side()
    ask = [{"do": "seconds", "task": {"n": n}, "at_least": 0.0} for n in (1, 2)]
    first, second, third, nothing, again = answers_to(side, ask[0], ask[1], ask[0], {"do": "forget"}, ask[0])
    assert side.prepared == [1, 2, 1]
    assert nothing == {}
    assert all(answer["seconds"] >= 0 for answer in (first, second, third, again))


def test_the_seconds_are_the_mean_of_as_many_calls_as_fill_the_time(monkeypatch):
    side, clock = Side(), itertools.count()
    monkeypatch.setattr(worker.time, "perf_counter", lambda: next(clock) * 0.1)
    assert worker.seconds_of(side.call, at_least=0.25) == pytest.approx(0.1)
    assert side.calls == 1 + 3  # the first does not count


def test_memory_is_what_the_calls_add_at_their_peak():
    program = (
        "import numpy as np; from minigen.bench.cpu.worker import memory_of; "
        "before = np.ones(3 * 2**23); del before; kept = np.ones(2**22); "
        "print(memory_of(lambda: np.ones(2**23).sum(), 3))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    if sys.platform == "linux":  # elsewhere the peak of what came before cannot be forgotten
        assert int(found) == pytest.approx(2**26, rel=0.1)


def test_a_first_small_step_and_what_it_freed_are_not_counted():
    side = Side()
    side.kept = []

    def prepare(task):
        return lambda: np.ones(task["n"]).sum() if task["n"] < 2**22 else side.kept.append(np.ones(task["n"]))

    side.prepare = prepare
    request = {"do": "memory", "task": {"n": 2**22}, "first": {"n": 2**21}, "calls": 2}
    (answer,) = answers_to(side, request)
    if sys.platform == "linux":
        assert answer["bytes"] == pytest.approx(2 * 2**25, rel=0.1)
        assert answer["process"] > answer["bytes"]


def test_the_first_step_before_memory_is_a_small_one_that_both_sides_can_make():
    for case in STEPS:
        first = smallest(case.task)
        assert math.prod([first["batch"], *first["shape"]]) <= 2 * 3 * 64
        ours.prepare(first)()


def test_a_process_that_breaks_down_is_told_of_in_one_sentence():
    with Worker("minigen", 1) as process:
        with pytest.raises(MinigenError, match=r"measures minigen ended with exit code 1 \(.*did you mean 'gan2d'.*\)"):
            process.ask(do="seconds", task={"model": "gan3d", "batch": 1, "shape": [2]}, at_least=0.0)
        with pytest.raises(MinigenError, match="ended with exit code 1"):
            process.ask(do="forget")


def test_a_model_that_cannot_be_made_is_told_of_with_the_case_and_in_its_own_words(without_pytorch, capsys):
    assert main(["bench", "cpu", "--steps", "dcgan,1,1,8,8", "--rounds", "1", "--threads", "1"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(
        "minigen: steps: dcgan 1×8×8, batch 1: The process that measures minigen ended with exit code 1 ("
    )
    assert "(batch_norm: training needs more than one value per channel" in err
    assert err.count("\n") == 1


# ---- rounds -----------------------------------------------------------------------------------------------------


@pytest.fixture
def without_pytorch(monkeypatch):
    version_of = rounds.version_of
    monkeypatch.setattr(rounds, "version_of", lambda name: None if name == "torch" else version_of(name))


@pytest.fixture
def scripted(monkeypatch):
    """Workers that answer at once, 1 second the first, 2 the second, …; and a list of what they were asked."""
    asked, clock = [], itertools.count(1)

    class Scripted:
        def __init__(self, side, threads):
            self.side, self.threads = side, threads

        def ask(self, do, **request):
            if do == "forget":
                return {}
            asked.append((self.side, self.threads, do, request["task"].get("memory_format")))
            return {"seconds": float(next(clock)), "bytes": 1000, "process": 2000}

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            asked.append((self.side, "ended"))

    version_of = rounds.version_of
    monkeypatch.setattr(rounds, "version_of", lambda name: "2.13.0" if name == "torch" else version_of(name))
    monkeypatch.setattr(rounds, "Worker", Scripted)
    return asked


def test_the_sides_take_turns_and_both_are_ended(scripted):
    content = run_cpu([STEPS[0]], rounds=2, threads=3)
    turn = [
        ("minigen", 3, "seconds", None),
        ("PyTorch", 3, "seconds", "contiguous_format"),
        ("PyTorch", 3, "seconds", "channels_last"),
    ]
    assert scripted == [*turn, *turn, ("minigen", "ended"), ("PyTorch", "ended")]
    (measurement,) = content["measurements"]
    assert measurement["values"] == {
        "minigen": [1.0, 4.0],
        "PyTorch NCHW": [2.0, 5.0],
        "PyTorch channels_last": [3.0, 6.0],
    }
    assert content["settings"]["threads"] == 3


def test_a_training_step_is_measured_in_new_processes_and_convolutions_and_chains_in_those_there_are(scripted):
    kernel = kernel_case(KERNELS[0], "forward")
    run_cpu([TINY, kernel, ENGINE[0], OTHER], rounds=1)
    assert [(asked[0], "ended" in asked) for asked in scripted] == [
        *[("minigen", False), ("PyTorch", False), ("minigen", True), ("PyTorch", True)],  # TINY
        *[("minigen", False), ("PyTorch", False), ("PyTorch", False), ("minigen", False), ("PyTorch", False)],
        *[("minigen", False), ("PyTorch", False), ("minigen", True), ("PyTorch", True)],  # OTHER
    ]


def test_memory_is_measured_in_new_processes(scripted):
    content = run_cpu([TINY._replace(part="memory")], rounds=2)
    sides = [asked[0] for asked in scripted if "memory" in asked]
    assert sides == ["minigen", "minigen", "PyTorch", "minigen", "PyTorch"]  # the first may compile, and does not count
    assert sum("ended" in asked for asked in scripted) == len(sides)
    (measurement,) = content["measurements"]
    assert measurement["values"] == {"minigen": [1000, 1000], "PyTorch": [1000, 1000]}
    assert measurement["process"] == {"minigen": [2000, 2000], "PyTorch": [2000, 2000]}


def test_what_was_measured_before_an_interruption_is_kept_and_gone_on_with(scripted, tmp_path):
    file = tmp_path / "cpu.json"

    def interrupt(case):
        if case is OTHER:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cpu([TINY, OTHER], rounds=1, file=file, begin=interrupt)
    assert [measurement["name"] for measurement in json.loads(file.read_text())["measurements"]] == [TINY.name]
    assert ("minigen", "ended") in scripted
    began = []
    content = run_cpu([TINY, OTHER], rounds=1, file=file, begin=began.append)
    assert began == [OTHER]
    assert content == json.loads(file.read_text())


def test_files_of_other_settings_and_other_files_are_refused(scripted, tmp_path):
    file = tmp_path / "cpu.json"
    run_cpu([TINY], rounds=1, threads=1, file=file)
    with pytest.raises(UserError, match="holds measurements with another threads and rounds; give another name"):
        run_cpu([TINY], rounds=2, threads=2, file=file)
    for content in ("[]", "no JSON", '{"settings": {}, "measurements": [1]}'):
        file.write_text(content)
        with pytest.raises(UserError, match="is not a file of `minigen bench cpu`"):
            run_cpu([TINY], file=file)
    file.write_text('{"settings": {}, "measurements": [{"part": "steps"}]}')
    with pytest.raises(UserError, match="lack something"):
        run_cpu([TINY], file=file)


def test_real_processes_measure_both_sides():
    pytest.importorskip("torch", reason=NO_PYTORCH)
    content = run_cpu([TINY], rounds=2, threads=1, at_least=0.0)
    (measurement,) = content["measurements"]
    assert list(measurement["values"]) == ["minigen", "PyTorch"]
    for values in measurement["values"].values():
        assert len(values) == 2
        assert min(values) > 0


# ---- the report -------------------------------------------------------------------------------------------------


def measured(part, name, values, load=0.0):
    return {"part": part, "name": name, "load": load, "values": values}


def content_of(*measurements, torch="2.13.0", rounds=3):
    settings = {"processor": "a processor", "system": "Linux", "cores": 4, "threads": 2, "rounds": rounds}
    versions = {"python": "3.11", "minigen": "0.1", "numpy": "2.4", "numba": "0.6", "torch": torch}
    return {"settings": settings | versions, "measurements": list(measurements)}


def rows_of(table):
    return [dict(zip(table.headings, row)) for row in table.rows]


def test_steps_are_compared_with_the_better_format_and_losses_are_shown():
    won = {"minigen": [0.1, 9.0, 0.2], "PyTorch NCHW": [22.5] * 3, "PyTorch channels_last": [0.1, 22.5, 0.5]}
    lost = {"minigen": [0.25], "PyTorch": [0.2]}
    (table,) = report.tables_of(LISTED, [measured("steps", STEPS[0].name, won), measured("steps", STEPS[4].name, lost)])
    first, second = rows_of(table)
    assert (first["minigen ms"], first["PyTorch ms"], first["format"]) == ("200", "500", "channels_last")
    assert (first["ratio"], first["goal"], first["reached"]) == ("2.50×", "2.0×", "yes")
    assert (second["format"], second["ratio"], second["reached"]) == ("", "0.80×", "no")


def test_convolutions_have_their_share_of_the_fastest_product_and_a_geometric_mean():
    kernel = KERNELS[2]
    cases = [kernel_case(kernel, direction) for direction in DIRECTIONS[:2]]
    seconds = kernel.flops / 100e9  # 100 GFLOP/s
    measurements = [
        measured("kernels", "SGEMM 1024", {"minigen": [1.0], "PyTorch": [2 * 1024**3 / 200e9, 5.0]}),
        measured("kernels", cases[0].name, {"minigen": [seconds], "PyTorch NCHW": [4 * seconds]}),
        measured("kernels", cases[1].name, {"minigen": [seconds], "PyTorch NCHW": [seconds / 9]}),
    ]
    (table,) = report.tables_of(LISTED, measurements)
    assert "200 of the fastest SGEMM" in table.title
    *rows, mean = rows_of(table)
    assert [row["ratio"] for row in rows] == ["4.00×", "0.11×"]
    assert [row["minigen GFLOP/s"] for row in rows] == ["100 (50%)"] * 2
    assert rows[0]["PyTorch GFLOP/s"] == "25 (12%)"
    assert mean["ratio"] == "0.67×"  # √(4/9)


@pytest.mark.parametrize("case", ENGINE, ids=lambda case: case.name)
def test_both_sides_compute_the_same_chain(case):
    pytest.importorskip("torch", reason=NO_PYTORCH)
    task = {**case.task, "chain": 3}
    mine, other = ours.prepare(task)(), theirs.prepare(task)()
    np.testing.assert_allclose(mine.numpy(), other.detach().numpy(), rtol=1e-6)
    assert mine.requires_grad
    assert other.requires_grad


def test_a_chain_goes_backward_where_that_is_wanted():
    y = ours.prepare({**ENGINE[0].task, "backward": True})()
    with pytest.raises(AutogradError, match="freed"):  # it has been
        y.sum().backward()
    ours.prepare({**ENGINE[0].task, "backward": False})().sum().backward()


def test_the_engine_is_measured_by_the_operation():
    (table,) = report.tables_of(
        LISTED,
        [
            measured("engine", ENGINE[0].name, {"minigen": [5e-3], "PyTorch": [2e-3]}),
            measured("engine", ENGINE[1].name, {"minigen": [5e-3]}),
        ],
    )
    first, second = rows_of(table)
    assert (first["minigen µs"], first["PyTorch µs"], first["ratio"], first["reached"]) == (
        "5.00",
        "2.00",
        "0.40×",
        "no",
    )
    assert (second["minigen µs"], second["PyTorch µs"], second["ratio"]) == ("5.00", "-", "-")


def test_growth_is_fitted_by_batch_and_by_pixels():
    by_batch = [measured("growth", f"batch {n}", {"minigen": [n * 1e-3], "PyTorch": [1e-3]}) for n in (16, 64, 256)]
    by_side = [measured("growth", f"side {n}", {"minigen": [n**4 * 1e-9], "PyTorch": [n * 1e-3]}) for n in (16, 32)]
    batches, sides = report.tables_of(LISTED, [*by_batch, *by_side])
    assert rows_of(batches)[-1]["minigen ms"] == "1.00"
    assert rows_of(batches)[-1]["PyTorch ms"] == "0.00"
    assert rows_of(sides)[-1]["minigen ms"] == "2.00"
    assert rows_of(sides)[-1]["PyTorch ms"] == "0.50"
    assert [row["conv autoencoder"] for row in rows_of(batches)] == ["batch 16", "batch 64", "batch 256", "exponent"]


def test_memory_is_in_mebibytes_and_less_is_better():
    values = {"minigen": [3 * 2**20], "PyTorch NCHW": [2 * 2**20], "PyTorch channels_last": [6 * 2**20]}
    whole = {name: [peaks[0] + 100 * 2**20] for name, peaks in values.items()}
    (table,) = report.tables_of(LISTED, [measured("memory", STEPS[0].name, values) | {"process": whole}])
    (row,) = rows_of(table)
    assert (row["minigen process"], row["PyTorch process"]) == ("103.0", "102.0")
    assert (row["minigen MiB"], row["PyTorch MiB"], row["format"]) == ("3.0", "2.0", "NCHW")
    assert row["ratio"] == "0.67×"


def test_without_pytorch_our_times_stand_alone_and_it_is_said_how_to_get_it(tmp_path):
    alone = [
        measured("steps", STEPS[0].name, {"minigen": [0.1]}),
        measured("kernels", kernel_case(KERNELS[0], "forward").name, {"minigen": [0.1]}),
        *(measured("growth", f"batch {n}", {"minigen": [n]}) for n in (16, 32)),
        measured("memory", STEPS[0].name, {"minigen": [10]}) | {"process": {"minigen": [20]}},
    ]
    text = report.markdown(LISTED, content_of(*alone, torch=None), "minigen bench cpu")
    assert "pip install '.[bench]' in the clone" in text
    assert f"| {STEPS[0].name} | 100 | - |  | - | 2.0× | - |" in text
    assert "| geometric mean |  |  |  |  | - |  |  |" in text
    assert "nan" not in text
    assert not report.save_picture(tmp_path / "cpu.png", LISTED, alone)
    assert not list(tmp_path.iterdir())


def test_no_table_is_wider_than_what_it_is_printed_on():
    large = [kernel_given("1024,1024,2048,1024,11,2,512")], [step_given("dense-autoencoder,1024,128,1024,1024")]
    cases = [*LISTED, *cases_of(["steps", "kernels", "memory"], *large)]
    values = {"minigen": [123.456], "PyTorch NCHW": [99.9], "PyTorch channels_last": [98.7]}
    measurements = [
        measured(case.part, case.name, values) | ({"process": values} if case.part == "memory" else {})
        for case in cases
    ]
    console = Console(file=io.StringIO(), width=2 * command.WIDTH)
    for table in report.tables_of(cases, measurements):
        assert console.measure(rich_table(table)).maximum < command.WIDTH, table.title
        assert all(len(row) == len(table.headings) for row in table.rows)


def test_unlisted_cases_have_their_tables_and_no_goal(tmp_path):
    kernel, (step, memory) = kernel_given("2,8,12,9,3,1,4"), asked_for("--steps", "critic,4,3,8,12")
    cases = asked_for("--steps", "critic,4,3,8,12", "--kernels", "2,8,12,9,3,1,4")
    forward, *_ = (case for case in cases if "kernel" in case.task)
    measurements = [
        measured("steps", step.name, {"minigen": [0.1], "PyTorch NCHW": [0.2]}),
        measured("steps", STEPS[0].name, {"minigen": [0.1], "PyTorch NCHW": [0.2]}),  # is not among the cases
        measured("kernels", "SGEMM 1024", {"minigen": [2 * 1024**3 / 100e9]}),
        measured("kernels", forward.name, {"minigen": [kernel.flops / 50e9], "PyTorch NCHW": [kernel.flops / 25e9]}),
        measured("memory", memory.name, {"minigen": [2**20]}) | {"process": {"minigen": [2**21]}},
    ]
    steps, kernels, memories = report.tables_of(cases, measurements)
    (row,) = rows_of(steps)
    assert (row["training step"], row["ratio"], row["goal"], row["reached"]) == (step.name, "2.00×", "-", "-")
    first, mean = rows_of(kernels)
    assert (first["N, C→O, H×W, KH×KW"], first["direction"]) == ("2, 8→12, 9×9, 3×3, 4 groups", "forward")
    assert first["minigen GFLOP/s"] == "50 (50%)"
    assert mean["ratio"] == "2.00×"
    assert [row["training step"] for row in rows_of(memories)] == [memory.name]
    text = report.markdown(cases, content_of(*measurements), "minigen bench cpu")
    assert f"| {step.name} | 100 | 200 | NCHW | 2.00× | - | - |" in text
    assert STEPS[0].name not in text
    assert report.save_picture(tmp_path / "cpu.png", cases, measurements)


def test_a_busy_machine_is_told_of():
    quiet, busy = (measured("steps", STEPS[0].name, {"minigen": [1.0]}, load=load) for load in (0.9, 3.0))
    assert report.BUSY_WARNING not in report.header(content_of(quiet))
    lines = report.header(content_of(quiet, busy))
    assert report.BUSY_WARNING in lines
    assert lines[0] == "a processor, Linux, 2 threads on 4 cores; medians of 3 rounds; load 3.00 before it began"
    assert "PyTorch 2.13.0, eager" in lines[1]


# ---- the command ------------------------------------------------------------------------------------------------


def test_the_command_prints_tables_and_writes_the_report(scripted, monkeypatch, tmp_path, capsys):
    out, kept = tmp_path / "new" / "report", tmp_path / "kept.json"
    monkeypatch.setattr(command, "cases_of", lambda *asked: [STEPS[0], kernel_case(KERNELS[0], "forward")])
    arguments = ["--only", "steps", "kernels", "--rounds", "1", "--threads", "2"]
    assert main(["bench", "cpu", *arguments, "--out", str(out), "--json", str(kept)]) == 0
    shown = capsys.readouterr().out
    assert f"steps: {STEPS[0].name}: minigen 1000.00 ms, PyTorch 2000.00 ms (NCHW), 2.00×" in shown
    assert "geometric mean" in shown
    text = (out / "cpu.md").read_text()
    assert f"`minigen bench cpu --only steps kernels --rounds 1 --threads 2 --out {out}`" in text
    assert f"| {STEPS[0].name} | 1000 | 2000 | NCHW | 2.00× | 2.0× | yes |" in text
    assert (out / "cpu.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "cpu.json").read_text() == kept.read_text()
    monkeypatch.setattr(command, "cases_of", lambda *asked: list(ENGINE))
    assert main(["bench", "cpu", "--only", "engine", "--rounds", "1", "--threads", "2", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["cpu.json", "cpu.md"]


def test_unlisted_cases_are_measured_written_and_gone_on_with(scripted, tmp_path, capsys):
    kept = tmp_path / "kept.json"
    files = ["--rounds", "1", "--threads", "2", "--json", str(kept), "--out", str(tmp_path)]
    assert main(["bench", "cpu", "--steps", "gan2d,8,2", *files]) == 0
    assert [asked[2] for asked in scripted if len(asked) > 2] == ["seconds"] * 2 + ["memory"] * 3
    assert main(["bench", "cpu", "--steps", "gan2d,8,2", "gan2d,9,2", "--kernels", "2,3,4,8,3", *files]) == 0
    shown = capsys.readouterr().out
    for part in ("steps", "memory"):
        assert shown.count(f"{part}: gan2d 2, batch 8: ") == 1  # what the file has is not measured again
        assert shown.count(f"{part}: gan2d 2, batch 9: ") == 1
    text = (tmp_path / "cpu.md").read_text()
    assert (
        "`minigen bench cpu --kernels 2,3,4,8,3,1,1 --steps gan2d,8,2 gan2d,9,2 --rounds 1 --threads 2 --out " in text
    )
    for line in ("gan2d 2, batch 8 ", "gan2d 2, batch 9 ", "2, 3→4, 8×8, 3×3 | weight gradient ", "geometric mean "):
        assert f"| {line}|" in text
    assert not any(name in text for name in (*(case.name for case in STEPS), *map(str, KERNELS)))


def test_the_command_measures_our_side_alone(without_pytorch, monkeypatch, capsys):
    monkeypatch.setattr(command, "cases_of", lambda *asked: [TINY])
    monkeypatch.setattr(command, "run_cpu", lambda *args: run_cpu(*args, at_least=0.0))
    assert main(["bench", "cpu", "--rounds", "1", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    assert report.NO_TORCH in shown
    assert f"steps: {TINY.name}: minigen " in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "step"], "Unknown value of --only 'step': did you mean 'steps'?"),
        (["--rounds", "0"], "must be an integer of at least 1"),
        (["--threads", "-1"], "must be an integer of at least 1"),
        (["--kernels", "16,64,3,64"], "must be N,C,O,SIZE,WINDOW and, if wanted, STRIDE and GROUPS"),
        (["--kernels", "16,64,3,64,3,1,1,1"], "each an integer of at least 1, such as 16,64,3,64,3"),
        (["--kernels", "16,64,3,64,x"], "not '16,64,3,64,x'"),
        (["--kernels", "16,64,0,64,3"], "not '16,64,0,64,3'"),
        (["--kernels", "16,-64,3,64,3"], "not '16,-64,3,64,3'"),
        (["--kernels"], "expected at least one argument"),
        (["--kernels", "16,64,6,64,3,1,4"], "has 4 groups, which must divide both 64 and 6 channels"),
        (["--kernels", "16,6,64,64,3,1,4"], "has 4 groups, which must divide both 6 and 64 channels"),
        (["--kernels", "1,1,1,8,2,3"], "has a window of 2 with a stride of 3; give an odd window"),
        (["--kernels", "1,1,1,1,4"], "has a window of 4, which does not fit on images of 1×1; give larger images"),
        (["--kernels", "1,2,2,8,3", "1,2,2,8,3,1"], "--kernels names 1,2,2,8,3,1,1 twice; name it once."),
        (
            ["--only", "steps", "--kernels", "1,2,2,8,3"],
            "--kernels changes nothing with --only steps: name kernels there",
        ),
        (["--steps", "dcgam,2,1,8,8"], "Unknown model of --steps 'dcgam': did you mean 'dcgan'?"),
        (["--steps", "dcgan"], "must be dcgan, the batch and the C,H,W of an image"),
        (["--steps", "dcgan,2,8,8"], "such as dcgan,64,1,32,32, not 'dcgan,2,8,8'"),
        (["--steps", "dcgan,2,1,8,8,8"], "not 'dcgan,2,1,8,8,8'"),
        (["--steps", "gan2d,2,1,8,8"], "must be gan2d, the batch and how many numbers a point has"),
        (["--steps", "gan2d,0,2"], "each number an integer of at least 1, such as gan2d,100,2, not 'gan2d,0,2'"),
        (["--steps", "critic,2,1,30,8"], "PyTorch's critic is not the same network as ours; give 1,32,8, for example"),
        (["--steps", "restoration-gan,2,3,12,16"], "no multiple of 8"),
        (["--steps", "gan2d,2,2", "--steps", "gan2d,2,2"], "--steps names gan2d,2,2 twice; name it once."),
        (["--only", "growth", "--steps", "gan2d,2,2"], "with --only growth: name steps or memory there too, or leave"),
    ],
)
def test_mistakes_are_told_in_one_sentence(scripted, capsys, arguments, sentence):
    assert main(["bench", "cpu", *arguments]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not scripted
