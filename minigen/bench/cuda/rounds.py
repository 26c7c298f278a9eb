"""Measuring both sides in turns, each in processes of its own.

Rungs and kernels share one process a side. A training step has a process for each of its contestants, which ends with the
case: what one compiles, captures or keeps in its pool is nothing to the others. A process in which something failed is
not asked again, because an error on a GPU stays with its process.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minigen.bench.cpu.cases import smallest
from minigen.bench.cpu.rounds import processor
from minigen.bench.cuda.cases import OURS, THEIRS, Case, Task
from minigen.bench.cuda.worker import reason_of
from minigen.bench.processes import Process
from minigen.bench.records import Measurement, read_measurements, version_of, write_measurements
from minigen.device import why_unavailable
from minigen.errors import MinigenError

COMMAND = "minigen bench cuda"
FIELDS = {"part", "name", "values", "missing"}  # of a measurement, see `run_cuda`
AT_LEAST = {"ladder": 0.02, "kernels": 0.02, "steps": 0.3}  # seconds that a round of a contestant fills on the GPU
MEMORY_CALLS = 5
NO_TORCH = "PyTorch is not installed; pip install '.[bench]' in the clone installs it"

Answer = dict[str, Any]


class Worker(Process):
    """A process of `minigen.bench.cuda.worker`, for one side: 'minigen' or 'PyTorch'."""

    def __init__(self, side: str) -> None:
        super().__init__(side, "minigen.bench.cuda.worker", [side], {})


def run_cuda(
    cases: Sequence[Case],
    rounds: int = 5,
    file: str | Path | None = None,
    begin: Callable[[Case], None] = lambda case: None,
    report: Callable[[Case, Measurement], None] = lambda case, measurement: None,
) -> dict[str, Any]:
    """Measure the cases, or none where there is no GPU.

    Args:
        cases: from `minigen.bench.cuda.cases.cases_of`.
        rounds: how often each contestant has its turn; memory is measured once.
        file: JSON to keep the measurements in as they come; those that it has already are not made again.
        begin, report: called before and after each new measurement.

    Returns:
        ``settings``: what was measured on; ``gpu`` is None without one, and ``why`` says the reason. ``measurements``: for
        each case ``part``, ``name``, ``values`` (by contestant, the seconds of one call in each round; for memory the
        bytes taken from the card), ``missing`` (by contestant, why there is no value), ``late`` (those whose calls the
        host was too slow to queue), ``arrays`` (for memory, the most bytes that arrays held).

    Raises:
        UserError: a file of other settings.
    """
    why = why_unavailable("cuda")
    if why is not None:
        return {"settings": {**_here(rounds), "gpu": None, "why": why}, "measurements": []}
    with Workers() as workers:
        settings = {**_here(rounds), **workers.about(OURS), **workers.about(THEIRS)}
        done = read_measurements(file, settings, FIELDS, COMMAND)
        known = {(measurement["part"], measurement["name"]): measurement for measurement in done}
        measurements = []
        for case in cases:
            measurement = known.get((case.part, case.name))
            if measurement is None:
                begin(case)
                measurement = workers.measure(case, rounds, settings.get("without"))
                done.append(measurement)
                write_measurements(file, {"settings": settings, "measurements": done})
                report(case, measurement)
            measurements.append(measurement)
    return {"settings": settings, "measurements": measurements}


def _here(rounds: int) -> dict[str, Any]:
    return {
        "processor": processor(),
        "system": platform.system(),
        "rounds": rounds,
        "python": platform.python_version(),
        "numpy": version_of("numpy"),
    }


class Workers:
    """The processes, begun when first needed; a `with` ends them."""

    def __init__(self) -> None:
        self.running: dict[str, Worker] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        for key in list(self.running):
            self.end(key)

    def end(self, key: str) -> None:
        """End a process, if there is one under that key."""
        worker = self.running.pop(key, None)
        if worker is not None:
            worker.__exit__()

    def ask(self, key: str, side: str, **request: Any) -> Answer:
        """The answer of the process under a key, a new one of that side if need be; one that failed is ended."""
        try:
            if key not in self.running:
                self.running[key] = Worker(side)
            answer = self.running[key].ask(**request)
        except (MinigenError, OSError) as error:
            answer = {"missing": reason_of(error)}
        if "missing" in answer:
            self.end(key)
        return answer

    def about(self, side: str) -> dict[str, Any]:
        """The machine or the versions as that side sees them.

        Raises:
            MinigenError: our side could not say, so nothing could be measured.
        """
        if side == THEIRS and version_of("torch") is None:
            return {"torch": None, "without": NO_TORCH}
        answer = self.ask(side, side, do="about")
        if "missing" not in answer:
            return answer
        if side == OURS:
            raise MinigenError(f"The GPU could not be asked what it is: {answer['missing']}.")
        return {"torch": version_of("torch"), "without": answer["missing"]}

    def measure(self, case: Case, rounds: int, without: str | None) -> Measurement:
        """One measurement; `without` says why PyTorch takes no part, if it does not."""
        values: dict[str, list[float]] = {}
        missing, late, arrays = dict[str, str](), set[str](), dict[str, int]()
        for _ in range(1 if case.part == "memory" else rounds):
            for name, task in case.tasks.items():
                if task["side"] == THEIRS and without is not None:
                    missing[name] = without
                if name in missing:
                    continue
                answer = self._answer(case.part, name, task)
                if "missing" in answer:
                    missing[name] = answer["missing"]
                    values.pop(name, None)
                    continue
                values.setdefault(name, []).append(answer["bytes" if case.part == "memory" else "seconds"])
                if "arrays" in answer:
                    arrays[name] = answer["arrays"]
                if answer.get("late"):
                    late.add(name)
        for key in list(self.running):
            if key in (OURS, THEIRS):
                self.ask(key, key, do="forget")
            else:
                self.end(key)
        more = {"late": sorted(late), "arrays": arrays}
        found = {"part": case.part, "name": case.name, "values": values, "missing": missing}
        return found | {name: value for name, value in more.items() if value}

    def _answer(self, part: str, name: str, task: Task) -> Answer:
        if part == "memory":
            first = {**smallest(task), "mode": "eager"}
            answer = self.ask(name, task["side"], do="memory", task=task, first=first, calls=MEMORY_CALLS)
            self.end(name)
            return answer
        key = name if part == "steps" else task["side"]
        return self.ask(key, task["side"], do="seconds", task=task, at_least=AT_LEAST[part])
