"""From measurements to tables, a Markdown file and a picture."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minigen.bench.convolution import Kernel
from minigen.bench.cpu.cases import BATCH_OF_SIDES, CHAIN, SIDE_OF_BATCHES, Case
from minigen.bench.cpu.chain import LINKS
from minigen.bench.cpu.rounds import OURS
from minigen.bench.records import Measurement
from minigen.bench.tables import Table, markdown_table, mebibytes, milliseconds, ratio, reached

BUSY = 0.25  # of the cores
BUSY_WARNING = (
    "Other work was running. PyTorch's threads wait for each other in loops, and lose far more by that than ours: "
    "measure again on an idle machine."
)
NO_TORCH = "PyTorch is not installed, so our figures stand alone; pip install '.[bench]' in the clone installs it."


class Comparison(NamedTuple):
    """What came of one case: medians over the rounds.

    Attributes:
        ours: seconds, or bytes.
        theirs: those of PyTorch's better memory format; None where it was not measured.
        order: that format.
        ratio: theirs over ours, how many times as fast, or as small, we are: the median of what it was in each round. So
            a minute in which the machine is slow counts as one round, and not for one side alone. NaN without PyTorch.

    >>> compare({"minigen": [2.0, 1.0, 9.0], "PyTorch NCHW": [5.0] * 3, "PyTorch channels_last": [3.0, 2.0, 18.0]})
    Comparison(ours=2.0, theirs=3.0, order='channels_last', ratio=2.0)
    """

    ours: float
    theirs: float | None
    order: str
    ratio: float


def compare(values: dict[str, list[float]]) -> Comparison:
    """The comparison that the values of a measurement make."""
    medians = {name: statistics.median(rounds) for name, rounds in values.items()}
    ours = medians.pop(OURS)
    if not medians:
        return Comparison(ours, None, "", math.nan)
    best = min(medians, key=lambda name: medians[name])
    ratio = statistics.median(theirs / mine for theirs, mine in zip(values[best], values[OURS]))
    return Comparison(ours, medians[best], best.removeprefix("PyTorch").strip(), ratio)


Results = list[tuple[Case, Comparison]]


def tables_of(cases: Sequence[Case], measurements: Sequence[Measurement]) -> list[Table]:
    """The tables of all parts of which `cases` are among the `measurements`."""
    results = results_of(cases, measurements)
    tables = []
    if "steps" in results:
        tables.append(_steps(results["steps"]))
    if "engine" in results:
        tables.append(_engine(results["engine"]))
    if "kernels" in results:
        tables.append(_kernels(results["kernels"], sgemm_peak(cases, measurements)))
    if "growth" in results:
        tables += _growth(results["growth"])
    if "memory" in results:
        processes = {m["name"]: compare(m["process"]) for m in measurements if m["part"] == "memory"}
        tables.append(_memory(results["memory"], processes))
    return tables


def results_of(cases: Sequence[Case], measurements: Sequence[Measurement]) -> dict[str, Results]:
    """By part, those `cases` that the `measurements` have, and what came of them, in the order of the cases."""
    found = {(m["part"], m["name"]): compare(m["values"]) for m in measurements}
    results: dict[str, Results] = {}
    for case in cases:
        if (case.part, case.name) in found:
            results.setdefault(case.part, []).append((case, found[case.part, case.name]))
    return results


def _steps(results: Results) -> Table:
    rows = [
        (
            case.name,
            milliseconds(c.ours),
            milliseconds(c.theirs),
            c.order,
            ratio(c.ratio),
            _goal(case),
            reached(c.ratio, case.goal),
        )
        for case, c in results
    ]
    headings = ("training step", "minigen ms", "PyTorch ms", "format", "ratio", "goal", "reached")
    return Table("Training steps; the ratio is PyTorch's time over ours, the median of the rounds'", headings, rows)


def _engine(results: Results) -> Table:
    def microseconds(case: Case, seconds: float | None) -> str:
        """Of one operation."""
        operations = LINKS[case.task["link"]].operations * case.task["chain"]
        return "-" if seconds is None else f"{1e6 * seconds / operations:.2f}"

    rows = [
        (
            *case.name.rsplit(", ", 1),
            microseconds(case, c.ours),
            microseconds(case, c.theirs),
            ratio(c.ratio),
            _goal(case),
            reached(c.ratio, case.goal),
        )
        for case, c in results
    ]
    headings = (f"y, {CHAIN} times", "pass", "minigen µs", "PyTorch µs", "ratio", "goal", "reached")
    return Table("The engine: microseconds an operation, of four numbers", headings, rows)


def _kernels(results: Results, peak: float | None) -> Table:
    convolutions = [(Kernel(*case.task["kernel"]), case, c) for case, c in results if "kernel" in case.task]
    rows = [
        (
            str(kernel),
            case.task["direction"],
            milliseconds(c.ours),
            milliseconds(c.theirs),
            c.order,
            ratio(c.ratio),
            _speed(kernel, c.ours, peak),
            _speed(kernel, c.theirs, peak),
        )
        for kernel, case, c in convolutions
    ]
    mean = statistics.geometric_mean(c.ratio for _, _, c in convolutions) if convolutions else math.nan
    rows.append(("geometric mean", "", "", "", "", ratio(mean), "", ""))
    headings = (
        *("N, C→O, H×W, KH×KW", "direction", "minigen ms", "PyTorch ms", "format", "ratio"),
        *("minigen GFLOP/s", "PyTorch GFLOP/s"),
    )
    share = "" if peak is None else f", and their share of the {peak / 1e9:.0f} of the fastest SGEMM"
    return Table(f"Convolutions: GFLOP/s as if no tap fell on the padding{share}", headings, rows)


def sgemm_peak(cases: Sequence[Case], measurements: Sequence[Measurement]) -> float | None:
    """The most operations a second of any product of matrices in any round, ours or PyTorch's."""
    fastest = {m["name"]: min(map(min, m["values"].values())) for m in measurements if m["part"] == "kernels"}
    sizes = {case.name: case.task["matmul"] for case in cases if "matmul" in case.task}
    return max((2 * n**3 / fastest[name] for name, n in sizes.items() if name in fastest), default=None)


def _growth(results: Results) -> list[Table]:
    tables = []
    for axis, title, size_of in (
        ("batch", f"Growth with the batch, images of {SIDE_OF_BATCHES}×{SIDE_OF_BATCHES}", lambda task: task["batch"]),
        ("side", f"Growth with the pixels, batch {BATCH_OF_SIDES}", lambda task: task["shape"][1] ** 2),
    ):
        mine = [(case, c) for case, c in results if case.name.startswith(axis)]
        rows = [(case.name, milliseconds(c.ours), milliseconds(c.theirs), c.order, ratio(c.ratio)) for case, c in mine]
        if len(mine) > 1:
            sizes = [size_of(case.task) for case, _ in mine]
            theirs = [c.theirs for _, c in mine if c.theirs is not None]
            exponents = (exponent(sizes, [c.ours for _, c in mine]), exponent(sizes, theirs) if theirs else None)
            words = ["-" if value is None else f"{value:.2f}" for value in exponents]
            rows.append(("exponent", words[0], words[1], "", ""))
        headings = ("conv autoencoder", "minigen ms", "PyTorch ms", "format", "ratio")
        tables.append(Table(title, headings, rows))
    return tables


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """a of the line log t = a·log n + b through the points, by least squares; 1 where the time is in proportion to n.

    >>> round(exponent([1, 2, 4], [3.0, 12.0, 48.0]), 6)
    2.0
    """
    return statistics.linear_regression([math.log(n) for n in sizes], [math.log(t) for t in seconds]).slope


def _memory(results: Results, processes: dict[str, Comparison]) -> Table:
    rows = [
        (
            case.name,
            mebibytes(c.ours),
            mebibytes(c.theirs),
            c.order,
            ratio(c.ratio),
            mebibytes(processes[case.name].ours),
            mebibytes(processes[case.name].theirs),
        )
        for case, c in results
    ]
    headings = ("training step", "minigen MiB", "PyTorch MiB", "format", "ratio", "minigen process", "PyTorch process")
    title = "Peak memory that training steps add to code, networks and batch, and that of the whole process"
    return Table(title, headings, rows)


def _goal(case: Case) -> str:
    return "-" if case.goal is None else f"{case.goal}×"


def _speed(kernel: Kernel, seconds: float | None, peak: float | None) -> str:
    if seconds is None:
        return "-"
    speed = kernel.flops / seconds
    return f"{speed / 1e9:.0f}" + ("" if peak is None else f" ({speed / peak:.0%})")


# ---- words and pictures -----------------------------------------------------------------------------------------


def header(content: dict[str, Any]) -> list[str]:
    """What was measured on, how busy the machine was with other things, and whether PyTorch is missing: some lines."""
    settings = content["settings"]
    versions = [f"{name} {settings[name]}" for name in ("minigen", "python", "numpy", "numba") if settings[name]]
    threads = f"{settings['threads']} thread{'s' if settings['threads'] > 1 else ''} on {settings['cores']} cores"
    rounds = f"medians of {settings['rounds']} rounds" if settings["rounds"] > 1 else "one round"
    load = max((measurement["load"] for measurement in content["measurements"]), default=0.0)
    lines = [
        f"{settings['processor']}, {settings['system']}, {threads}; {rounds}; load {load:.2f} before it began",
        ", ".join([*versions, *([f"PyTorch {settings['torch']}, eager"] if settings["torch"] else [])]),
    ]
    if load > BUSY * settings["cores"]:
        lines.append(BUSY_WARNING)
    return lines if settings["torch"] else [*lines, NO_TORCH]


def markdown(cases: Sequence[Case], content: dict[str, Any], command: str) -> str:
    """The whole report as Markdown.

    Args:
        cases: those measured.
        content: what `minigen.bench.cpu.rounds.run_cpu` returns for them.
        command: that wrote it.
    """
    lines = ["# Training and convolution on the CPU, beside PyTorch", "", f"Written by `{command}`.", ""]
    lines += [*(f"- {line}" for line in header(content)), ""]
    for table in tables_of(cases, content["measurements"]):
        lines += markdown_table(table)
    return "\n".join(lines)


def save_picture(path: str | Path, cases: Sequence[Case], measurements: Sequence[Measurement]) -> bool:
    """Draw the ratios of steps and kernels as bars, with lines at 1, and write the picture (PNG).

    Args:
        path: of the picture.
        cases: those measured.
        measurements: of them.

    Returns:
        False, and nothing is written, where there are no ratios: PyTorch, or both parts, were not measured.
    """
    from minigen.viz.figure import COLORS, new_figure, save_figure, tidy

    results = [
        pair for pairs in results_of(cases, measurements).values() for pair in pairs if pair[1].theirs is not None
    ]
    steps = [pair for pair in results if pair[0].part == "steps"]
    kernels = [pair for pair in results if "kernel" in pair[0].task]
    panels = [(name, pairs) for name, pairs in (("training steps", steps), ("convolutions", kernels)) if pairs]
    if not panels:
        return False
    heights = [1.2 + 0.22 * len(pairs) for _, pairs in panels]
    figure = new_figure(9, sum(heights))
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (title, pairs) in zip(axes, panels):
        ratios, places = [c.ratio for _, c in pairs], range(len(pairs))
        bars = axis.barh(places, ratios, color=[COLORS[0] if ratio >= 1 else COLORS[1] for ratio in ratios])
        axis.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
        goals = [(place, case.goal) for place, (case, _) in zip(places, pairs) if case.goal is not None]
        if goals:
            axis.plot([goal for _, goal in goals], [place for place, _ in goals], "k|", markersize=12, label="goal")
            axis.legend(fontsize=8, frameon=False)
        axis.axvline(1, color="black", linewidth=1)
        axis.set_yticks(places, [case.name for case, _ in pairs])
        axis.set_ylim(len(pairs) - 0.4, -0.6)
        axis.set_title(f"{title}: PyTorch's time over minigen's", fontsize=9, loc="left")
        tidy(axis)
    save_figure(path, figure)
    return True
