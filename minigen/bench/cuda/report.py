"""From measurements to tables and Markdown. What was not measured says so, with the reason and the command."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from minigen.bench.convolution import DIRECTIONS, Kernel
from minigen.bench.cpu.cases import STEPS
from minigen.bench.cuda.cases import (
    COPIED,
    KERNEL_GOALS,
    LADDER,
    MODES,
    OURS,
    PRECISIONS,
    RUNGS,
    SETS,
    SMALL,
    SMALL_GOAL,
    STEP_GOALS,
    THEIRS,
    Case,
    cases_of,
    is_small,
    kernel_name,
)
from minigen.bench.cuda.roofline import intensity, peak_flops
from minigen.bench.records import Measurement
from minigen.bench.tables import Table, markdown_table, mebibytes, milliseconds, ratio, reached

NOT_MEASURED = "not measured"
LATE = "°"  # behind a time in which the GPU waited for the host


class Best(NamedTuple):
    """The median of a contestant, or of the better of several: seconds or bytes, its name, and whether the host was late."""

    value: float
    name: str
    late: bool


class Found:
    """What was measured, to be looked up.

    Args:
        content: what `minigen.bench.cuda.rounds.run_cuda` returns.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.settings: dict[str, Any] = content["settings"]
        self.measurements = {(m["part"], m["name"]): m for m in content["measurements"]}

    def best(self, part: str, name: str, contestant: str) -> Best | None:
        """The lowest median of the contestants whose names begin so; None where none was measured."""
        m = self.measurements.get((part, name), {})
        medians = [
            Best(statistics.median(values), who, who in m.get("late", ()))
            for who, values in m.get("values", {}).items()
            if who == contestant or who.startswith(f"{contestant} ")
        ]
        return min(medians, default=None)

    def kernel(self, kernel: Kernel, direction: str, precision: str) -> tuple[Best | None, Best | None]:
        """Ours and cuDNN's."""
        name = kernel_name(kernel, direction, precision)
        theirs = self.best("kernels", name, f"cuDNN {PRECISIONS[precision]}")
        return self.best("kernels", name, OURS), theirs

    def peak(self) -> float | None:
        """FP32 operations a second that the GPU can start; None without a GPU or for one that is not known."""
        s = self.settings
        return None if s["gpu"] is None else peak_flops(s["multiprocessors"], s["clock"], s["capability"])

    def bandwidth(self) -> float | None:
        """Bytes a second of the copy."""
        copy = self.best("ladder", "copy", OURS)
        return None if copy is None else 2 * 4 * COPIED / copy.value

    def notes(self, cases: Iterable[Case]) -> list[str]:
        """Who has no value in these cases, and why: a line for each reason, and one on times that have the mark."""
        reasons: dict[str, dict[str, None]] = {}
        late = False
        for case in cases:
            m: Measurement = self.measurements.get((case.part, case.name), {})
            late = late or bool(m.get("late"))
            for who, why in m.get("missing", {}).items():
                reasons.setdefault(why, {})[who] = None
        lines = [f"Not measured, {', '.join(names)}: {why}." for why, names in reasons.items()]
        return [*lines, f"{LATE} The host could not queue the calls as fast as the GPU ran them."] if late else lines


def tables_of(parts: Sequence[str], content: dict[str, Any]) -> list[Table]:
    """The tables of these parts, measured or not."""
    found = Found(content)
    tables: list[Table] = []
    if "ladder" in parts:
        tables += [_ladder(found, kernel) for kernel in LADDER]
    if "kernels" in parts:
        tables += [_goals(found), *(_kernels(found, name, kernels) for name, kernels in SETS.items())]
    if "steps" in parts:
        tables.append(_steps(found))
    if "memory" in parts:
        tables.append(_memory(found))
    return tables


def _ladder(found: Found, kernel: Kernel) -> Table:
    name, peak = str(kernel), found.peak()
    cudnn = {precision: found.best("ladder", name, f"cuDNN {word}") for precision, word in PRECISIONS.items()}
    lines = [(rung, found.best("ladder", name, rung), cudnn["tf32" if rung == "tf32" else "ieee"]) for rung in RUNGS]
    lines += [(f"cuDNN {PRECISIONS[precision]}", theirs, None) for precision, theirs in cudnn.items()]
    rows = []
    for i, (who, best, theirs) in enumerate(lines):
        place = f"{i + 1} {who}" if who in RUNGS else who
        share = "-" if best is None or peak is None else f"{kernel.flops / best.value / peak:.1%}"
        rows.append((place, _time(best), _speed(kernel, best), _share(best, theirs), share))
    headings = ("rung", "ms", "GFLOP/s", "of cuDNN", "of the FP32 peak")
    title = f"The ladder on {kernel}; {intensity(kernel):.0f} FLOP/byte"
    return Table(title, headings, rows, _notes(found, "ladder", lambda case: case.name == name))


def _kernels(found: Found, title: str, kernels: Sequence[Kernel]) -> Table:
    rows = []
    for kernel in kernels:
        for direction in DIRECTIONS:
            row = [str(kernel), direction]
            for precision in PRECISIONS:
                ours, theirs = found.kernel(kernel, direction, precision)
                row += [_speed(kernel, ours), _speed(kernel, theirs), _format(theirs), _share(ours, theirs)]
            rows.append(tuple(row))
    means = [cell for p in PRECISIONS for cell in ("", "", "", _percent(_mean(found, p, kernels)))]
    rows.append(("geometric mean", "", *means))
    figures = [
        f"{who} {word}"
        for word in PRECISIONS.values()
        for who in ("minigen GFLOP/s", "cuDNN GFLOP/s", "format", "share")
    ]
    names = {str(kernel) for kernel in kernels}
    notes = _notes(found, "kernels", lambda case: case.name.partition(":")[0] in names)
    return Table(f"Convolutions of {title}", ("N, C→O, H×W, KH×KW", "direction", *figures), rows, notes)


def _goals(found: Found) -> Table:
    kernels = [kernel for kernels in SETS.values() for kernel in kernels]
    small = [kernel for kernel in kernels if is_small(kernel)]
    rows = []
    for precision, word in PRECISIONS.items():
        goal = SMALL_GOAL if precision == "ieee" else None
        lines = [
            (f"{word}, all shapes", _mean(found, precision, kernels), KERNEL_GOALS[precision]),
            (f"{word}, small images: results of at most {SMALL}×{SMALL}", _mean(found, precision, small), goal),
        ]
        lines += [
            (f"{word}, {direction}", _mean(found, precision, kernels, [direction]), None) for direction in DIRECTIONS
        ]
        rows += [
            (what, _percent(mean), "-" if aim is None else f"{aim:.0%}", reached(mean, aim))
            for what, mean, aim in lines
        ]
    headings = ("geometric mean", "of cuDNN", "goal", "reached")
    title = "Production kernels: their share of cuDNN's speed, in the better of its two memory formats"
    return Table(title, headings, rows, _notes(found, "kernels"))


def _mean(found: Found, precision: str, kernels: Iterable[Kernel], directions: Sequence[str] = DIRECTIONS) -> float:
    """The geometric mean of cuDNN's time over ours; NaN where one of them is missing."""
    pairs = [found.kernel(kernel, direction, precision) for kernel in kernels for direction in directions]
    shares = [theirs.value / ours.value for ours, theirs in pairs if ours is not None and theirs is not None]
    return statistics.geometric_mean(shares) if len(shares) == len(pairs) else math.nan


def _steps(found: Found) -> Table:
    columns = [f"{side} {mode}" for side, modes in MODES.items() for mode in modes]
    rows = []
    for case in STEPS:
        best = {column: found.best("steps", case.name, column) for column in columns}
        goals, ours = STEP_GOALS.get(case.task["model"], {}), best[f"{OURS} captured"]
        row = [case.name, *(_time(best[column]) for column in columns)]
        for mode in ("eager", "captured"):
            theirs = best[f"{THEIRS} {mode}"]
            times = math.nan if ours is None or theirs is None else theirs.value / ours.value
            goal = goals.get(mode)
            row += [ratio(times), "-" if goal is None else f"{goal}×", reached(times, goal)]
        rows.append(tuple(row))
    compared = [word for mode in ("eager", "captured") for word in (f"of PyTorch {mode}", "goal", "reached")]
    headings = ("training step", *(f"{column} ms" for column in columns), *compared)
    title = (
        "Training steps in FP32, PyTorch's in the better memory format; ratios are its time over our captured step's"
    )
    return Table(title, headings, rows, _notes(found, "steps"))


def _memory(found: Found) -> Table:
    columns = [f"{side} {mode}" for side, modes in MODES.items() for mode in modes]
    rows = []
    for case in STEPS:
        best = {column: found.best("memory", case.name, column) for column in columns}
        arrays = found.measurements.get(("memory", case.name), {}).get("arrays", {})
        eager = [best[f"{side} eager"] for side in MODES]
        rows.append(
            (
                case.name,
                *(NOT_MEASURED if b is None else mebibytes(b.value) for b in best.values()),
                *(mebibytes(None if b is None else arrays[b.name]) for b in eager),
            )
        )
    headings = ("training step", *(f"{column} MiB" for column in columns), *(f"{side} arrays MiB" for side in MODES))
    title = "Memory that a training step takes from the card, pools and graphs included; and the most its arrays held, eager"
    return Table(title, headings, rows, _notes(found, "memory"))


def _notes(found: Found, part: str, belongs: Callable[[Case], bool] = lambda case: True) -> list[str]:
    return found.notes(case for case in cases_of([part]) if belongs(case))


def _time(best: Best | None) -> str:
    return NOT_MEASURED if best is None else milliseconds(best.value) + (LATE if best.late else "")


def _speed(kernel: Kernel, best: Best | None) -> str:
    return NOT_MEASURED if best is None else f"{kernel.flops / best.value / 1e9:.0f}" + (LATE if best.late else "")


def _share(ours: Best | None, theirs: Best | None) -> str:
    return "-" if ours is None or theirs is None else _percent(theirs.value / ours.value)


def _percent(value: float) -> str:
    return NOT_MEASURED if math.isnan(value) else f"{value:.0%}"


def _format(best: Best | None) -> str:
    return "-" if best is None else best.name.split()[-1]


# ---- words ------------------------------------------------------------------------------------------------------


def header(content: dict[str, Any], command: str) -> list[str]:
    """What was measured on, or why nothing was and the command that would: some lines."""
    found, s = Found(content), content["settings"]
    if s["gpu"] is None:
        return [
            f"Nothing was measured here. {s['why']}",
            f"`{command}` measures it on a machine with an NVIDIA GPU.",
        ]
    peak, bandwidth = found.peak(), found.bandwidth()
    units = "which is not known for this GPU" if peak is None else f"{peak / 1e12:.1f} TFLOP/s"
    versions = [f"{word} {s[name]}" for name, word in VERSIONS.items() if s.get(name)]
    rounds = f"medians of {s['rounds']} rounds" if s["rounds"] > 1 else "one round"
    lines = [
        f"{s['gpu']}, compute capability {s['capability']}, {s['memory'] / 2**30:.0f} GiB; {s['processor']}, {s['system']}; {rounds}",
        ", ".join(versions),
        f"FP32 peak, {s['multiprocessors']} multiprocessors × their FP32 units × {s['clock'] / 1e9:.2f} GHz × 2: {units}",
    ]
    if bandwidth is not None:
        lines.append(f"memory bandwidth, measured by a kernel that copies 1 GiB: {bandwidth / 1e9:.0f} GB/s")
    return lines


VERSIONS = {
    "driver": "driver",
    "cuda": "CUDA",
    "cupy": "CuPy",
    "numba-cuda": "numba-cuda",
    "minigen": "minigen",
    "python": "Python",
    "numpy": "NumPy",
    "torch": "PyTorch",
    "torch cuda": "of CUDA",
    "cudnn": "cuDNN",
}


def markdown(parts: Sequence[str], content: dict[str, Any], command: str) -> str:
    """The whole report as Markdown, with the command that wrote it."""
    lines = ["# CUDA kernels and training steps, beside cuDNN and PyTorch", "", f"Written by `{command}`.", ""]
    lines += [*(f"- {line}" for line in header(content, command)), ""]
    for table in tables_of(parts, content):
        lines += markdown_table(table)
    return "\n".join(lines)
