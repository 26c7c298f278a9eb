"""Measuring both sides, each in a process of its own, in turns: one round of ours, one of theirs, and again.

In one process the thread pools of two frameworks would fight for the cores. In turns, what else the machine does falls
on both alike: each round has a ratio of its own, and the median of these leaves out what fell on one of them.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minigen.bench.cpu.cases import Case, Task, smallest
from minigen.bench.processes import Process
from minigen.bench.records import Measurement, read_measurements, version_of, write_measurements
from minigen.errors import MinigenError

FIELDS = {
    "part",
    "name",
    "load",
    "values",
}  # of a measurement; values: by contestant, one number a round; memory: process
OURS = "minigen"
FORMATS = {"contiguous_format": "PyTorch NCHW", "channels_last": "PyTorch channels_last"}
MEMORY_ROUNDS = 3  # memory differs little from round to round, and each takes new processes
MEMORY_CALLS = 5
AT_LEAST = 0.3  # seconds that each round of a case takes
REST = 0.05  # seconds before it: see `Workers.seconds`


class Worker(Process):
    """A process of `minigen.bench.cpu.worker`, to be used in a `with`.

    Args:
        side: 'minigen' or 'PyTorch'.
        threads: how many it may use.
    """

    def __init__(self, side: str, threads: int) -> None:
        names = ("MINIGEN_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = dict.fromkeys(names, str(threads))
        super().__init__(side, "minigen.bench.cpu.worker", [side, str(threads)], environment)


def run_cpu(
    cases: Sequence[Case],
    rounds: int = 5,
    threads: int | None = None,
    file: str | Path | None = None,
    begin: Callable[[Case], None] = lambda case: None,
    report: Callable[[Case, Measurement], None] = lambda case, measurement: None,
    at_least: float = AT_LEAST,
) -> dict[str, Any]:
    """Measure the cases, PyTorch's side too where it is installed.

    Args:
        cases: as `minigen.bench.cpu.cases.cases_of` lists them.
        rounds: how often each side has its turn; memory takes at most `MEMORY_ROUNDS`.
        threads: of each side; as many as minigen takes by itself unless given.
        file: JSON to keep the measurements in as they come; those that it has already are not made again.
        begin, report: called before and after each new measurement.
        at_least: seconds that a round of a case takes.

    Returns:
        ``settings``: what was measured on; ``measurements``: for each case ``part``, ``name``, ``load`` (of the machine
        before) and ``values``, which by contestant ('minigen', 'PyTorch', 'PyTorch NCHW', 'PyTorch channels_last') are
        the seconds of one call in each round. For memory they are the bytes that steps add to what a process has in
        use, and ``process`` the peaks of the whole processes.

    Raises:
        UserError: a file of other settings.
        MinigenError: a process broke down; it names the case.
    """
    settings, load = settings_of(rounds, threads), load_before()
    done = read_measurements(file, settings, FIELDS, "minigen bench cpu")
    known = {(measurement["part"], measurement["name"]): measurement for measurement in done}
    measurements = []
    with Workers(settings) as workers:
        for case in cases:
            measurement = known.get((case.part, case.name))
            if measurement is None:
                begin(case)
                measurement = {"part": case.part, "name": case.name, "load": load}
                try:
                    measurement |= workers.memory(case) if case.part == "memory" else workers.seconds(case, at_least)
                except MinigenError as error:
                    raise MinigenError(f"{case.part}: {case.name}: {error}") from error
                done.append(measurement)
                write_measurements(file, {"settings": settings, "measurements": done})
                report(case, measurement)
            measurements.append(measurement)
    return {"settings": settings, "measurements": measurements}


class Workers:
    """The processes of both sides, begun when first needed; a `with` ends them."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings, self.running = settings, dict[str, Worker]()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """End the processes that are running; what is asked next is asked of new ones."""
        for worker in self.running.values():
            worker.__exit__()
        self.running.clear()

    def seconds(self, case: Case, at_least: float) -> Measurement:
        """``values``: the seconds of one call, by contestant, in every round.

        A training step is measured in processes that have done nothing else before, as training is: what an earlier step
        freed lies scattered in memory, and arrays that are put there are seldom in a cache. (After a DCGAN's, our step of
        the conv VAE took 5 % longer, Zen 3.)

        Between turns is a rest: threads that have nothing more to do look for work for some milliseconds (PyTorch's ten,
        ours four), and would take the processor from whoever comes next.
        """
        contestants = contestants_of(case, self.settings["torch"] is not None)
        values: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(self.settings["rounds"]):
            for name, task in contestants.items():
                worker = self._worker(name)
                time.sleep(REST)
                answer = worker.ask(do="seconds", task=task, at_least=at_least)
                values[name].append(answer["seconds"])
        if "model" in case.task:
            self.end()
        for worker in self.running.values():
            worker.ask(do="forget")
        return {"values": values}

    def memory(self, case: Case) -> Measurement:
        """``values``: the bytes that some calls add, by contestant; ``process``: the most that the process had in use."""
        contestants = contestants_of(case, self.settings["torch"] is not None)
        self._memory(OURS, case.task)  # does not count: it may have to compile
        values: dict[str, list[int]] = {name: [] for name in contestants}
        process: dict[str, list[int]] = {name: [] for name in contestants}
        for _ in range(min(self.settings["rounds"], MEMORY_ROUNDS)):
            for name, task in contestants.items():
                answer = self._memory(name, task)
                values[name].append(answer["bytes"])
                process[name].append(answer["process"])
        return {"values": values, "process": process}

    def _memory(self, contestant: str, task: Task) -> dict[str, Any]:
        """What a process of its own, which has done such a step on a small batch, answers."""
        with Worker(side_of(contestant), self.settings["threads"]) as worker:
            return worker.ask(do="memory", task=task, first=smallest(task), calls=MEMORY_CALLS)

    def _worker(self, contestant: str) -> Worker:
        side = side_of(contestant)
        if side not in self.running:
            self.running[side] = Worker(side, self.settings["threads"])
        return self.running[side]


def contestants_of(case: Case, torch: bool) -> dict[str, Task]:
    """The task of everyone who takes part: us, and PyTorch in one or both memory formats.

    >>> from minigen.bench.cpu.cases import STEPS
    >>> list(contestants_of(STEPS[0], torch=True)), list(contestants_of(STEPS[2], torch=True))
    (['minigen', 'PyTorch NCHW', 'PyTorch channels_last'], ['minigen', 'PyTorch'])
    """
    contestants = {OURS: case.task}
    if torch and case.images:
        contestants |= {name: {**case.task, "memory_format": order} for order, name in FORMATS.items()}
    elif torch:
        contestants["PyTorch"] = {**case.task, "memory_format": "contiguous_format"}
    return contestants


def side_of(contestant: str) -> str:
    """'minigen' or 'PyTorch'."""
    return contestant.split()[0]


def settings_of(rounds: int, threads: int | None) -> dict[str, Any]:
    """What the figures depend on: the machine, the versions, the rounds."""
    from minigen_kernels.cpu import num_threads

    return {
        "processor": processor(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "threads": threads or num_threads(),
        "rounds": rounds,
        "python": platform.python_version(),
        **{name: version_of(name) for name in ("minigen", "numpy", "numba", "torch")},
    }


def processor() -> str:
    """The processor's own name, and that of its kind in LLVM's list.

    >>> processor() != ""
    True
    """
    import llvmlite.binding

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = named[0].partition(":")[2].strip() if named else name
    return f"{name} ({llvmlite.binding.get_host_cpu_name()})"


def load_before() -> float:
    """How many cores were busy in the last minute; 0 where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0
