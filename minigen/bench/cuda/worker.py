"""The process that measures one side on the GPU: ``python -m minigen.bench.cuda.worker minigen``.

It reads requests and writes answers, a line of JSON each:

    {"do": "about"}                                    →  the GPU and the versions, see `ours.about` and `theirs.about`
    {"do": "seconds", "task": {…}, "at_least": 0.1}    →  {"seconds": 0.0123, "late": false}    see `timing`
    {"do": "memory", "task": {…}, "first": {…}, "calls": 5}
                                                       →  {"bytes": 67890, "arrays": 12345}      see `memory` below
    {"do": "forget"}                                   →  {}                                     drops what was prepared

Whatever goes wrong is an answer too, ``{"missing": reason}``: one figure is missing then, and not the report.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from minigen.bench.cuda.cases import OURS
from minigen.bench.cuda.timing import Events, time_kernel, time_step
from minigen.bench.processes import Request, answer_all
from minigen.errors import MinigenError

Answer = dict[str, Any]


def side_named(name: str) -> ModuleType:
    """`minigen.bench.cuda.ours` for 'minigen', `theirs` for 'PyTorch'."""
    if name == OURS:
        from minigen.bench.cuda import ours

        return ours
    from minigen.bench.cuda import theirs

    return theirs


def answers_of(side: ModuleType, make_events: Callable[[], Events]) -> Callable[[Request], Answer]:
    """What answers the requests to a side; the events are made when first needed."""
    prepared: dict[str, Callable[[], Any]] = {}
    events: list[Events] = []

    def seconds(task: Any, at_least: float) -> Answer:
        side.set_precision(task.get("precision", "ieee"))
        key = json.dumps(task)
        if key not in prepared:
            prepared[key] = side.prepare(task)
        if not events:
            events.append(make_events())
        return (time_step if "model" in task else time_kernel)(prepared[key], events[0], at_least)._asdict()

    def memory(task: Any, first: Any, calls: int) -> Answer:
        """What steps take from the card, pools, workspaces and graphs included; and the most that arrays held at once.

        A small step before them loads the code of libraries, which is not counted. What a pool took it keeps, so the end
        is the peak.
        """
        side.set_precision("ieee")
        side.prepare(first)()
        free = side.start_counting_memory()
        run = side.prepare(task)
        for _ in range(calls):
            run()
        return {"bytes": free - side.free_memory(), "arrays": side.peak_of_arrays()}

    def answer(request: Request) -> Answer:
        try:
            if request["do"] == "about":
                return side.about()
            if request["do"] == "seconds":
                return seconds(request["task"], request["at_least"])
            if request["do"] == "memory":
                return memory(request["task"], request["first"], request["calls"])
            prepared.clear()
            return {}
        except Exception as error:
            return {"missing": reason_of(error)}

    return answer


def reason_of(error: Exception) -> str:
    """Why something was not measured, in one line.

    >>> reason_of(ValueError("too small\\nsecond line"))
    'ValueError: too small'
    """
    first = (str(error).strip().splitlines() or ["no reason given"])[0]
    return first if isinstance(error, MinigenError) else f"{type(error).__name__}: {first}"


def main(name: str) -> None:
    """Serve the parent process, whose pipes are this one's input and output."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whoever prints does not spoil the answers
    side = side_named(name)
    answer_all(answers_of(side, side.CupyEvents if name == OURS else side.TorchEvents), sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1])
