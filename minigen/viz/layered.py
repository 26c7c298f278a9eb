"""Where to draw the nodes of a graph: in rows, so that few edges cross and most are short and straight.

The steps are those of Sugiyama, Tagawa and Toda (1981): edges over several rows get a stand-in in each row between;
every row is sorted by the mean position of its nodes' neighbours, to and fro; then the rows are spread out, each node
as near to the middle of its neighbours as those beside it allow.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

SWEEPS = 12
Path = list[tuple[float, int]]  # (x, row) of the nodes of an edge and of its stand-ins, from its upper end to its lower


def arrange(
    rows: Sequence[int], widths: Sequence[float], edges: Sequence[tuple[int, int]], weights: Sequence[float], gap: float
) -> tuple[list[float], list[Path]]:
    """Positions for nodes whose rows are given.

    Args:
        rows: the row of each node, counted from the top.
        widths: how wide each node is.
        edges: pairs of nodes in different rows.
        weights: how much each edge wants to be straight.
        gap: what is left free between two nodes of a row.

    Returns:
        The x of the middle of each node, the smallest left side being 0; and the path of each edge.

    >>> x, paths = arrange([0, 1, 1, 2], [10, 10, 10, 10], [(0, 1), (0, 2), (1, 3), (2, 3)], [1] * 4, gap=4)
    >>> [round(v, 1) for v in x]
    [12.0, 5.0, 19.0, 12.0]
    """
    rows, widths = list(rows), list(widths)
    chains = []
    for a, b in edges:
        upper, lower = (a, b) if rows[a] < rows[b] else (b, a)
        between = range(rows[upper] + 1, rows[lower])
        chains.append([upper, *range(len(rows), len(rows) + len(between)), lower])
        rows += between
        widths += [gap] * len(between)
    above: list[list[int]] = [[] for _ in rows]
    below: list[list[int]] = [[] for _ in rows]
    pull: dict[tuple[int, int], float] = {}
    for chain, weight in zip(chains, weights):
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
            pull[upper, lower] = pull[lower, upper] = weight
    layers: list[list[int]] = [[] for _ in range(max(rows, default=-1) + 1)]
    for node in _in_depth_first_order(above, below):
        layers[rows[node]].append(node)
    layers = _with_few_crossings(layers, above, below)
    x = _spread(layers, above, below, pull, widths, gap)
    for chain in chains:
        _straighten(chain[1:-1], x, layers, rows, widths, gap)
    left = min((x[i] - widths[i] / 2 for i in range(len(rows))), default=0.0)
    x = [v - left for v in x]
    return x[: len(rows) - sum(len(c) - 2 for c in chains)], [[(x[i], rows[i]) for i in chain] for chain in chains]


def _in_depth_first_order(above: list[list[int]], below: list[list[int]]) -> list[int]:
    """Every node, those that hang together one after another."""
    order: list[int] = []
    seen = [False] * len(above)
    for start in range(len(above)):
        stack = [start]
        while stack:
            node = stack.pop()
            if not seen[node]:
                seen[node] = True
                order.append(node)
                stack += reversed(above[node] + below[node])
    return order


def _with_few_crossings(layers: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        ordered = layers if downwards else layers[::-1]
        place = {node: float(i) for layer in layers for i, node in enumerate(layer)}
        for layer in ordered:
            middle = {n: _mean([place[m] for m in neighbours[n]], place[n]) for n in layer}
            layer.sort(key=middle.__getitem__)
            place.update({node: float(i) for i, node in enumerate(layer)})
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _crossings(layers: list[list[int]], below: list[list[int]]) -> int:
    """How many pairs of edges between neighbouring rows cross."""
    place = {node: i for layer in layers for i, node in enumerate(layer)}
    count = 0
    for layer in layers:
        passed: list[int] = []
        for node in layer:
            ends = sorted(place[m] for m in below[node])
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count


def _spread(
    layers: list[list[int]],
    above: list[list[int]],
    below: list[list[int]],
    pull: dict[tuple[int, int], float],
    widths: list[float],
    gap: float,
) -> list[float]:
    x = [0.0] * len(widths)
    for layer in layers:
        right = 0.0
        for node in layer:
            x[node] = right + widths[node] / 2
            right += widths[node] + gap
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            first, second = (above, below) if sweep % 2 == 0 else (below, above)
            wanted, force = [], []
            for node in layer:
                near = first[node] + second[node] if sweep >= SWEEPS // 2 else first[node] or second[node]
                total = sum(pull[node, m] for m in near)
                wanted.append(sum(pull[node, m] * x[m] for m in near) / total if near else x[node])
                force.append(total if near else 1.0)
            for node, value in zip(layer, _apart(wanted, force, [widths[node] for node in layer], gap)):
                x[node] = value
    return x


def _straighten(
    stand_ins: list[int], x: list[float], layers: list[list[int]], rows: list[int], widths: list[float], gap: float
) -> None:
    """Put the stand-ins of an edge below each other, if those beside them leave room."""
    low, high = float("-inf"), float("inf")
    for node in stand_ins:
        layer = layers[rows[node]]
        at = layer.index(node)
        if at > 0:
            low = max(low, x[layer[at - 1]] + (widths[layer[at - 1]] + widths[node]) / 2 + gap)
        if at + 1 < len(layer):
            high = min(high, x[layer[at + 1]] - (widths[layer[at + 1]] + widths[node]) / 2 - gap)
    if stand_ins and low <= high:
        middle = min(max(_mean([x[node] for node in stand_ins], 0.0), low), high)
        for node in stand_ins:
            x[node] = middle


def _apart(wanted: list[float], force: list[float], widths: list[float], gap: float) -> list[float]:
    """The positions nearest to the wanted ones (in squares, weighted) that keep their order and leave the gap.

    Less what stands to its left, each position must be no smaller than the one before: isotonic regression, by merging
    neighbours that are out of order into blocks with their mean.
    """
    offsets = [0.0]
    for a, b in pairwise(widths):
        offsets.append(offsets[-1] + (a + b) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # (mean, weight, how many)
    for value, weight, offset in zip(wanted, force, offsets):
        mean, size = value - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, others, count = blocks.pop()
            mean = (mean * weight + before * others) / (weight + others)
            weight, size = weight + others, size + count
        blocks.append((mean, weight, size))
    flat = [mean for mean, _, size in blocks for _ in range(size)]
    return [value + offset for value, offset in zip(flat, offsets)]


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
