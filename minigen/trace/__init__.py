"""A table of every operation of a block, forward and backward: what it costs, how long it takes, how large the gradient is."""

from __future__ import annotations

from minigen.autograd import modes
from minigen.errors import UserError
from minigen.trace.recorder import Recorder
from minigen.trace.table import Row, Table

__all__ = ["Row", "Table", "trace"]


class trace(Table):
    """Inside, every operation leaves a row: those of the forward pass, and the gradient of each in a backward pass.

    Printed, or at the end of a notebook's cell, it is a table with totals. A gradient's row stands for one step of the
    backward pass, with the name of the operation it is the gradient of, the norm of the gradient that arrives, and
    everything that was computed for it, which `unfold` shows. Second derivatives are rows of phase ``backward 2``.

    It records the thread that entered it, whatever happens inside: after an exception the rows so far are there. Traces
    may be nested; each has what ran inside it. Entered again, one goes on. The first use of a compiled kernel takes the
    time of compiling it: run the block once before. Where none is open, nothing is recorded and nothing kept.

    Not operations, and so not in the table: optimizer steps, what a loop does with NumPy, and changes in place.

    Attributes:
        rows: a list of `Row`s, in the order in which the operations finished.
        peak: the most bytes that results of operations in the block took up at a time. What a kernel allocates while it
            works is not counted, nor is what was there before.
        total: all rows added up.

    Raises:
        UserError: something was given to it, or it is entered while it is open.

    >>> import minigen
    >>> x = minigen.ones(8, 3, requires_grad=True)
    >>> w = minigen.ones(2, 3, requires_grad=True)
    >>> with minigen.trace() as t:
    ...     minigen.functional.linear(x, w).sum().backward()
    >>> for row in t.rows:
    ...     print(row.operation, row.phase, row.inputs, row.multiply_adds, row.bytes, row.gradient_norm)
    Linear forward ((8, 3), (2, 3)) 48 184 None
    Sum forward ((8, 2),) 0 68 None
    Sum backward ((),) 0 0 1.0
    Linear backward ((8, 2),) 96 248 4.0
    >>> [(row.operation, row.calls) for row in t.group("phase").sort("order").rows], t.total.multiply_adds
    ([('', 2), ('', 2)], 144)
    """

    def __init__(self, *given: object) -> None:
        if given:
            raise UserError(
                f"trace takes no arguments, and was given {type(given[0]).__name__}: it records what runs inside "
                "`with minigen.trace() as table:`."
            )
        super().__init__([])
        self.before = 0  # bytes that an outer trace had counted when this one was entered

    def __enter__(self) -> trace:
        state = modes.thread.state
        if state.watch is None:
            state.watch = Recorder()
        if self in state.watch.traces:
            raise UserError(
                "trace: this trace is open already; use another one inside it: `with minigen.trace() as inner:`."
            )
        state.watch.traces.append(self)
        self.before = state.watch.memory.alive
        return self

    def __exit__(self, *exc: object) -> None:
        state = modes.thread.state
        state.watch.traces.remove(self)
        if not state.watch.traces:
            state.watch = None
