"""Result: what a check found, as text for a terminal and as a box for a notebook."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Literal

State = Literal["passed", "not yet", "not written yet"]

# edge, ground and text; the text has a colour of its own, so that the box can be read on dark pages too
_COLORS = {
    "passed": ("#009E73", "#e9f7f2", "#06382a"),
    "not yet": ("#D55E00", "#fdf0e6", "#4a2000"),
    "not written yet": ("#888888", "#f3f3f3", "#222222"),
}


@dataclass(frozen=True)
class Result:
    """The verdict on an answer; true when it is right.

    Attributes:
        number: of the exercise, such as ``"01.1"``.
        title: of the exercise.
        state: ``"passed"``, ``"not yet"``, or ``"not written yet"`` for a function that is still empty.
        message: what can be learnt from it.
        tried, got, expected: the call, what came out and what was expected, as text; empty where they say nothing.
    """

    number: str
    title: str
    state: State
    message: str
    tried: str = ""
    got: str = ""
    expected: str = ""

    def __bool__(self) -> bool:
        return self.state == "passed"

    @property
    def headline(self) -> str:
        return f"{self.number} {self.state}: {self.title}" if self.title else f"{self.number} {self.state}"

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("tried", self.tried), ("came out", self.got), ("expected", self.expected)]
        return [(name, text) for name, text in facts if text]

    def __repr__(self) -> str:
        lines = [self.headline] + ([f"  {self.message}"] if self.message else [])
        for name, text in self._facts():
            lines.append(f"  {name:<9} " + text.replace("\n", "\n" + " " * 12))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        edge, ground, ink = _COLORS[self.state]
        rows = "".join(
            f'<tr style="background:none"><td style="text-align:left;vertical-align:top;color:{ink}">{name}</td>'
            f'<td style="text-align:left"><pre style="margin:0;background:none;color:{ink}">{html.escape(text)}</pre></td></tr>'
            for name, text in self._facts()
        )
        table = f'<table style="margin:4px 0;border:none">{rows}</table>' if rows else ""
        return (
            f'<div style="border-left:5px solid {edge};background:{ground};color:{ink};padding:8px 12px">'
            f"<b>{html.escape(self.headline)}</b><div>{html.escape(self.message)}</div>{table}</div>"
        )
