"""A computation graph as a picture (SVG), drawn without other programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Any

from minigen.errors import UserError
from minigen.files import atomic_write
from minigen.viz.figure import COLORS
from minigen.viz.graph_boxes import Box, boxes_of
from minigen.viz.layered import arrange

BLUE, ORANGE, GREEN, PURPLE, YELLOW, *_ = COLORS
STYLES = {  # what a kind of box is called, and its colours: line, inside
    "forward": ("operation", BLUE, "#e1eff8"),
    "backward": ("computes a gradient", ORANGE, "#fbe6d8"),
    "second": ("computes a gradient of a gradient", PURPLE, "#f7e6f0"),
    "parameter": ("parameter", GREEN, "#dff3ec"),
    "input": ("input", YELLOW, "#fdf3d9"),
    "constant": ("constant", "#888888", "#f2f2f2"),
}
OPERATIONS = ("forward", "backward", "second")
FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
SIZE, LINE = 14, 18  # of the letters and from line to line, in pixels
DASHED, DASHES = "#888888", ' stroke-dasharray="5 4"'
STRAIGHT = 8.0  # how much more an arrow between operations should be straight than one from a leaf
BETWEEN_ROWS, BETWEEN_BOXES, BETWEEN_COLUMNS, MARGIN = 40, 22, 110, 16

Point = tuple[float, float]


class Graph:
    """A picture of a computation graph, for a notebook (`_repr_svg_`), a file (`save`) or a page (`str`).

    Args:
        svg: the picture.
        operations: how many it shows.
    """

    def __init__(self, svg: str, operations: int) -> None:
        self._svg = svg
        self._operations = operations

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file that ends in .svg.

        Raises:
            UserError: another ending, or a path that cannot be written.
        """
        if not os.fspath(path).lower().endswith(".svg"):
            raise UserError(f"The picture of a graph is an SVG file: give a name that ends in .svg, not {path}.")
        atomic_write(path, self._svg.encode())

    def _repr_svg_(self) -> str:
        return self._svg

    def __str__(self) -> str:
        return self._svg

    def __repr__(self) -> str:
        return f"<Graph of {self._operations} operations>"


def graph(tensors: Any, *, names: Any = None, grads: Mapping[str, Any] | None = None, max_nodes: int = 400) -> Graph:
    """Draw what tensors were computed from: every operation with the shape of its result, and every leaf.

    The forward pass goes down. Of gradients that were computed with ``create_graph=True`` the operations are orange and
    stand in a column beside it, each in the row of the operation whose gradient it computes: they go up. Dashed lines
    bring them the values of the forward pass. Gradients of gradients are purple, in a third column. Leaves are the
    parameters of modules, other tensors that require a gradient or have a name (inputs), and constants; of those, the
    graph knows only what a gradient needs. A thick border marks the tensors that were given.

    Args:
        tensors: one or several, that require a gradient.
        names: what to call tensors: a module, for its parameters, or a dictionary of tensors and modules by name.
            Results of operations may be named, too.
        grads: gradients of named tensors, by name, whose norm √Σg² is shown; of the others it is that of `.grad`, where
            there is one (`retain_grad` keeps it for results of operations).
        max_nodes: refuse to draw more operations than this.

    Returns:
        A `Graph`: a notebook shows it, `.save('graph.svg')` writes it, `str` gives the SVG.

    Raises:
        UserError: nothing was given or recorded, nothing of `names` is drawn, or there are too many operations.
        AutogradError: the graph has been freed by a backward pass.

    Source: the layout in rows is that of Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical
    system structures (1981).

    >>> import minigen
    >>> from minigen import viz
    >>> x = minigen.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x**3).sum()
    >>> (slope,) = minigen.grad(y, x, create_graph=True)
    >>> viz.graph([y, slope], names={"x": x, "y": y, "dy/dx": slope})
    <Graph of 5 operations>
    """
    boxes = boxes_of(tensors, names, grads, max_nodes)
    return Graph(_svg(boxes), sum(box.kind in OPERATIONS for box in boxes))


@dataclass
class _Plan:
    """Where everything is, in pixels."""

    boxes: list[Box]
    widths: list[float]
    heights: list[int]
    tops: list[int]  # of each row
    bottoms: list[int]
    x: list[float]  # of the middle of each box
    y: list[float]
    sides: dict[int, tuple[float, float]]  # left and right end of each column

    def is_free(self, i: int, way: int) -> bool:
        """Whether nothing of its column stands to the right (1) or left (-1) of a box."""
        box = self.boxes[i]
        return not any(
            other.row == box.row and other.column == box.column and way * (self.x[k] - self.x[i]) > 0
            for k, other in enumerate(self.boxes)
        )


def _svg(boxes: list[Box]) -> str:
    plan, arrows = _plan(boxes)
    across = _arrows_across(plan)
    legend, legend_width = _legend(boxes, bool(across))
    width = max(legend_width, *[right for _, right in plan.sides.values()]) + MARGIN
    height = plan.bottoms[-1] + MARGIN
    parts = [*legend, *across, *arrows, *[_box(plan, i) for i in range(len(boxes))]]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONT}" font-size="{SIZE}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _plan(boxes: list[Box]) -> tuple[_Plan, list[str]]:
    """Places for all boxes, and the arrows within the columns."""
    widths = [max(_text_width(line, bold=i == 0) for i, line in enumerate(box.lines)) + 24 for box in boxes]
    heights = [len(box.lines) * LINE + 14 for box in boxes]
    tallest = [0] * (max(box.row for box in boxes) + 1)
    for box, height in zip(boxes, heights):
        tallest[box.row] = max(tallest[box.row], height)
    tops = list(accumulate((height + BETWEEN_ROWS for height in tallest[:-1]), initial=3 * MARGIN + LINE))
    bottoms = [top + height for top, height in zip(tops, tallest)]
    y = [(tops[box.row] + bottoms[box.row]) / 2 for box in boxes]
    plan = _Plan(boxes, widths, heights, tops, bottoms, [0.0] * len(boxes), y, {})

    left = float(MARGIN)
    arrows: list[str] = []
    for column in sorted({box.column for box in boxes}):
        here = [i for i, box in enumerate(boxes) if box.column == column]
        number = {i: n for n, i in enumerate(here)}
        edges = [(j, i) for i in here for j in boxes[i].inputs if j in number]
        places, paths = arrange(
            [boxes[i].row for i in here],
            [widths[i] for i in here],
            [(number[j], number[i]) for j, i in edges],
            [STRAIGHT if boxes[j].kind in OPERATIONS else 1.0 for j, _ in edges],
            BETWEEN_BOXES,
        )
        for i, place in zip(here, places):
            plan.x[i] = left + place
        bends = [[(left + at, row) for at, row in path[1:-1]] for path in paths]
        arrows += _arrows_within(plan, edges, bends)
        right = max([plan.x[i] + widths[i] / 2 for i in here] + [at for bend in bends for at, _ in bend])
        plan.sides[column] = (left, right)
        left = right + BETWEEN_COLUMNS
    return plan, arrows


def _arrows_within(plan: _Plan, edges: list[tuple[int, int]], bends: list[list[tuple[float, int]]]) -> list[str]:
    """The arrows of a column; `bends` are (x, row) of the rows that each passes, from above."""
    boxes, x, y = plan.boxes, plan.x, plan.y
    ways = [-1 if boxes[start].row > boxes[end].row else 1 for start, end in edges]  # up or down
    stops = [bend[::way] for bend, way in zip(bends, ways)]
    before = [stop[-1][0] if stop else x[start] for stop, (start, _) in zip(stops, edges)]
    entering: dict[int, list[int]] = {}
    for k in sorted(range(len(edges)), key=before.__getitem__):
        entering.setdefault(edges[k][1], []).append(k)
    arrows = []
    for k, (start, end) in enumerate(edges):
        way, beside = ways[k], entering[end]
        share = (beside.index(k) + 1) / (len(beside) + 1) - 0.5
        at = (x[start], y[start] + way * plan.heights[start] / 2)
        goal = (x[end] + 0.7 * share * plan.widths[end], y[end] - way * plan.heights[end] / 2)
        path = f"M{_point(at)}"
        for bend, row in stops[k]:
            first, last = (plan.tops[row], plan.bottoms[row])[::way]
            path += _vertical(at, (bend, first)) + f"L{_point((bend, last))}"
            at = (bend, last)
        path += _vertical(at, (goal[0], goal[1] - 8 * way))
        arrows.append(_arrow(path, goal, (0, way), "#444444"))
    return arrows


def _arrows_across(plan: _Plan) -> list[str]:
    """Values that one column takes from another: dashed, and between the rows where a box stands in the way."""
    arrows = []
    for i, box in enumerate(plan.boxes):
        others = sorted({j for j in box.inputs if plan.boxes[j].column != box.column}, key=plan.y.__getitem__)
        for n, j in enumerate(others, 1):
            goal = (plan.x[i] - plan.widths[i] / 2, plan.y[i] + (n / (len(others) + 1) - 0.5) * plan.heights[i])
            path, at = _leave(plan, j)
            left = plan.sides[box.column][0] - 8
            between = [plan.sides[c] for c in plan.sides if plan.boxes[j].column < c < box.column]
            if between:  # past their boxes
                gap = plan.tops[box.row] - BETWEEN_ROWS / 2
                path += _horizontal(at, (between[0][0] - 8, gap)) + f"L{_point((between[-1][1] + 8, gap))}"
                at = (between[-1][1] + 8, gap)
            if plan.is_free(i, -1):
                end = (goal[0] - 8, goal[1])
                path += _horizontal(at, (left, goal[1])) + f"L{_point(end)}"
            else:
                gap = plan.tops[box.row] - BETWEEN_ROWS / 2 + 4 * n
                path += _horizontal(at, (left, gap)) + f"L{_point((goal[0] - 34, gap))}"
                path += (
                    f"C{_point((goal[0] - 18, gap))} {_point((goal[0] - 26, goal[1]))} {_point((goal[0] - 8, goal[1]))}"
                )
            arrows.append(_arrow(path, goal, (1, 0), DASHED, DASHES))
    return arrows


def _leave(plan: _Plan, j: int) -> tuple[str, Point]:
    """The way from a box to the right side of its column, and the point where it ends."""
    box, right = plan.boxes[j], plan.sides[plan.boxes[j].column][1] + 8
    if plan.is_free(j, 1):
        at = (right, plan.y[j])
        return f"M{_point((plan.x[j] + plan.widths[j] / 2, plan.y[j]))}L{_point(at)}", at
    x, top = plan.x[j] + plan.widths[j] / 4, plan.y[j] - plan.heights[j] / 2
    gap = plan.tops[box.row] - BETWEEN_ROWS / 2 + 5 * (sum(b.row == box.row for b in plan.boxes[:j]) % 4)
    return (
        f"M{_point((x, top))}C{_point((x, gap))} {_point((x, gap))} {_point((x + 20, gap))}L{_point((right, gap))}",
        (right, gap),
    )


def _point(at: Point) -> str:
    return f"{at[0]:.1f},{at[1]:.1f}"


def _vertical(start: Point, end: Point) -> str:
    """A curve that is vertical at both ends."""
    middle = (start[1] + end[1]) / 2
    return f"C{_point((start[0], middle))} {_point((end[0], middle))} {_point(end)}"


def _horizontal(start: Point, end: Point) -> str:
    """A curve that is horizontal at both ends."""
    middle = (start[0] + end[0]) / 2
    return f"C{_point((middle, start[1]))} {_point((middle, end[1]))} {_point(end)}"


def _arrow(path: str, tip: Point, way: tuple[int, int], color: str, extra: str = "") -> str:
    """A line that ends 8 pixels before the tip, and the head."""
    (px, py), (dx, dy) = tip, way
    corners = [(px, py), (px - 9 * dx - 4 * dy, py - 9 * dy - 4 * dx), (px - 9 * dx + 4 * dy, py - 9 * dy + 4 * dx)]
    return (
        f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.4"{extra}/>'
        f'<polygon points="{" ".join(map(_point, corners))}" fill="{color}"/>'
    )


def _box(plan: _Plan, i: int) -> str:
    box, x, y, width, height = plan.boxes[i], plan.x[i], plan.y[i], plan.widths[i], plan.heights[i]
    _, line, inside = STYLES[box.kind]
    radius = 6 if box.kind in OPERATIONS else min(height // 2, 20)
    first = y - height / 2 + 7 + 0.75 * LINE
    text = "".join(
        f'<text x="{x:.1f}" y="{first + n * LINE:.1f}" text-anchor="middle"'
        + (' font-weight="bold"' if n == 0 else ' fill="#333333"')
        + f">{escape(words)}</text>"
        for n, words in enumerate(box.lines)
    )
    tip = f"<title>{escape(box.tip)}</title>" if box.tip else ""
    return (
        f'<g>{tip}<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height}" '
        f'rx="{radius}" fill="{inside}" stroke="{line}" stroke-width="{3 if box.is_output else 1.4}"/>{text}</g>'
    )


def _legend(boxes: list[Box], with_dashes: bool) -> tuple[list[str], float]:
    """A line that explains the colours that occur; and its right end."""
    x, parts = float(MARGIN), []

    def explain(sign: str, words: str) -> None:
        nonlocal x
        parts.append(f'{sign}<text x="{x + 28:.1f}" y="{MARGIN + 12}" fill="#333333">{escape(words)}</text>')
        x += 28 + _text_width(words, bold=False) + 14

    for kind, (words, line, inside) in STYLES.items():
        if any(box.kind == kind for box in boxes):
            radius = 3 if kind in OPERATIONS else 7
            place = f'x="{x:.1f}" y="{MARGIN}" width="22" height="14" rx="{radius}"'
            explain(f'<rect {place} fill="{inside}" stroke="{line}" stroke-width="1.4"/>', words)
    if with_dashes:
        sign = f'<path d="M{x:.1f},{MARGIN + 7}h22" stroke="{DASHED}" stroke-width="1.4"{DASHES}/>'
        explain(sign, "a value for another pass")
    return parts, x - 14


def _text_width(words: str, bold: bool) -> float:
    """An estimate, in pixels, on the wide side for the common fonts."""
    narrow = sum(letter in "iljtfr.,:;'|!()[] " for letter in words)
    wide = sum(letter in "MWmw%@×‖" for letter in words)
    return SIZE * (0.66 * len(words) - 0.24 * narrow + 0.28 * wide) * (1.08 if bold else 1.0)
