"""The loops of Winograd's convolution (see `winograd`): from pixels to planes, from planes to planes, and back to pixels.

What is done to the numbers themselves is in `winograd_vectors`; here is where they lie. Tiles are counted row by row
through all images. What every loop is told:

    lengths   of the scheme (see `winograd_schemes`)
    side_x    of x: height, width, channels, pixels from one of a tile to the next, and the first tile's first row and column
    of_x      byte offsets of the pixels of a tile in the middle of an image
    side_y, of_y, of_v, ...  the same of y, and those of planes
    grid      tiles down and across an image
    tiles     the first, the one after the last, and how many are worked on at a time

Where a tile's pixels are `step` apart, there are step² tiles at one place, one for each phase: rows a, a + step, ... and
columns b, b + step, ... of the image.
"""

from __future__ import annotations

import numpy as np

from .compiled import compiled
from .layout import CACHE_LINE
from .tile import ROWS, WIDTHS
from .winograd_vectors import (
    middle_product,
    narrow_product,
    prefetch,
    transform_inputs,
    transform_output_gradients,
    transform_products,
    transform_weight_gradients,
    transform_weights,
    wide_product,
)

PACKED = 8  # input channels whose weights are packed at a time: with a column's outputs, they fit into the first cache

_WIDE, _MIDDLE, _ = WIDTHS
_ROWS_OF_WIDE, _ROWS_OF_MIDDLE, _ROWS_OF_NARROW = ROWS.values()


@compiled()
def pack(lengths, w, turned, phase, outs, ins, packed, of_taps, of_planes, u):
    """Transforms weights to planes, a few input channels at a time.

    w (O, C, KH, KW); or (C, O, KH, KW), `turned` by half a turn. phase: a, b and step: taps a, a + step, ... down and
    b, b + step, ... across. outs, ins: the first and the one after the last. packed: room for taps (r², PACKED, width). u
    (ins, width), of the first plane.
    """
    taps, kh, kw, width = len(lengths[1]), w.shape[2], w.shape[3], u.shape[1]
    (a, b, step), (first, end), (begin, stop) = phase, outs, ins
    packed[:] = 0  # where the kernel has no such tap
    for here in range(begin, stop, PACKED):
        count = min(PACKED, stop - here)
        for t in range(taps):
            for s in range(taps):
                p, q = a + step * t, b + step * s
                if p >= kh or q >= kw:
                    continue
                place = (taps - 1 - t) * taps + taps - 1 - s if turned else t * taps + s
                for c in range(count):
                    target = packed[(place * PACKED + c) * width :]
                    for o in range(first, end):
                        target[o - first] = w[here + c, o, p, q] if turned else w[o, here + c, p, q]
        to_u = u.ctypes.data + (here - begin) * width * 4
        transform_weights(lengths, packed.ctypes.data, of_taps.ctypes.data, to_u, of_planes.ctypes.data, count * width)


@compiled()
def unpack(lengths, sums, of_planes, packed, of_taps, phase, outs, ins, w):
    """Transforms sums, of the first plane (ins, width), to weights w (O, C, KH, KW). The rest is as for `pack`."""
    taps, kh, kw, width = len(lengths[1]), w.shape[2], w.shape[3], sums.shape[1]
    (a, b, step), (first, end), (begin, stop) = phase, outs, ins
    for here in range(begin, stop, PACKED):
        count = min(PACKED, stop - here)
        source = sums.ctypes.data + (here - begin) * width * 4
        transform_weight_gradients(
            lengths, source, of_planes.ctypes.data, packed.ctypes.data, of_taps.ctypes.data, count * width
        )
        for t in range(taps):
            for s in range(taps):
                p, q = a + step * t, b + step * s
                if p >= kh or q >= kw:
                    continue
                for c in range(count):
                    source_row = packed[((t * taps + s) * PACKED + c) * width :]
                    for o in range(first, end):
                        w[o, here + c, p, q] = source_row[o - first]


@compiled()
def convolve_tiles(
    lengths, x, side_x, of_x, zeros, v, of_v, columns, addresses, m, of_m, y, side_y, of_y, nowhere, grid, tiles
):
    """Computes tiles of y: their inputs to planes v, products with weights to planes m, and these to y.

    columns (count, 4): phase, first output, the one after the last, width; addresses (count, 2): of their weights, planes
    (depth, width), and of what the products begin with, planes (width). Pixels outside of x are read from `zeros`, those
    outside of y written to `nowhere`.
    """
    outs = len(lengths[0])
    planes, phases, ins = of_v.size, side_x[3] * side_x[3], side_x[2]
    depth = phases * ins
    edge_x, edge_y = np.empty_like(of_x), np.empty_like(of_y)
    tile, last, most = tiles
    place = _place(tile, grid)
    while tile < last:
        count, begin = min(most, last - tile), place
        for t in range(count):
            for phase in range(phases):
                pixel, table = _locate(outs, place, phase, 0, x, side_x, of_x, edge_x, zeros)
                to_v = v.ctypes.data + (t * depth + phase * ins) * 4
                transform_inputs(lengths, pixel, table, to_v, of_v.ctypes.data, ins)
            place = _next(place, grid)
        for k in range(columns.shape[0]):
            phase, first, end, width = columns[k]
            for plane in range(planes):
                if k == 0:
                    _ask_for(outs, place, count, planes, plane, x, side_x, of_x)
                _multiply(
                    width,
                    count,
                    v.ctypes.data + of_v[plane],
                    depth * 4,
                    4,
                    addresses[k, 0] + plane * depth * width * 4,
                    addresses[k, 1] + plane * width * 4,
                    m.ctypes.data + of_m[plane],
                    depth,
                )
            here = begin
            for t in range(count):
                pixel, table = _locate(outs, here, phase, first, y, side_y, of_y, edge_y, nowhere)
                from_m = m.ctypes.data + t * width * 4
                transform_products(lengths, from_m, of_m.ctypes.data, pixel, table, end - first)
                here = _next(here, grid)
        tile += count


@compiled()
def add_up_tiles(
    lengths, x, side_x, of_x, v, of_v, y, side_y, of_y, z, of_z, zeros, sums, phases, inputs, outputs, grid, tiles
):
    """Sums up tiles, as products of planes v and z, for some phases, inputs and outputs (the first, and after the last).

    sums (planes, phases · inputs, width).
    """
    outs, planes, (begin, stop), (first, end) = len(lengths[0]), of_v.size, inputs, outputs
    ins, width = stop - begin, sums.shape[2]
    depth = (phases[1] - phases[0]) * ins
    edge_x, edge_y = np.empty_like(of_x), np.empty_like(of_y)
    tile, last, most = tiles
    place, start = _place(tile, grid), np.int64(zeros.ctypes.data)
    while tile < last:
        count = min(most, last - tile)
        for t in range(count):
            for phase in range(phases[0], phases[1]):
                pixel, table = _locate(outs, place, phase, begin, x, side_x, of_x, edge_x, zeros)
                to_v = v.ctypes.data + (t * depth + (phase - phases[0]) * ins) * 4
                transform_inputs(lengths, pixel, table, to_v, of_v.ctypes.data, ins)
            pixel, table = _locate(outs, place, 0, first, y, side_y, of_y, edge_y, zeros)
            to_z = z.ctypes.data + t * width * 4
            transform_output_gradients(lengths, pixel, table, to_z, of_z.ctypes.data, end - first)
            place = _next(place, grid)
        for plane in range(planes):
            _ask_for(outs, place, count, planes, plane, x, side_x, of_x)
            _ask_for(outs, place, count, planes, plane, y, side_y, of_y)
            _multiply(
                width,
                depth,
                v.ctypes.data + of_v[plane],
                4,
                depth * 4,
                z.ctypes.data + of_z[plane],
                start,
                sums.ctypes.data + plane * sums.shape[1] * width * 4,
                count,
            )
        start = np.int64(0)
        tile += count


@compiled()
def _multiply(width, rows, a, a_row, a_step, b, start, c, depth):
    """c (rows, width) = a b, and start added to each row; more rows are written, to fill up a tile. Addresses, bytes."""
    row = 4 * width
    if width == _WIDE:
        for i in range(0, rows, _ROWS_OF_WIDE):
            wide_product(a + i * a_row, a_row, a_step, b, row, start, c + i * row, row, depth)
    elif width == _MIDDLE:
        for i in range(0, rows, _ROWS_OF_MIDDLE):
            middle_product(a + i * a_row, a_row, a_step, b, row, start, c + i * row, row, depth)
    else:
        for i in range(0, rows, _ROWS_OF_NARROW):
            narrow_product(a + i * a_row, a_row, a_step, b, row, start, c + i * row, row, depth)


@compiled()
def _place(tile, grid):
    """Image, row and column of a tile."""
    down, across = grid
    return tile // (down * across), tile // across % down, tile % across


@compiled()
def _next(place, grid):
    """The place of the next tile."""
    (n, i, j), (down, across) = place, grid
    if j + 1 < across:
        return n, i, j + 1
    if i + 1 < down:
        return n, i + 1, 0
    return n + 1, 0, 0


@compiled()
def _locate(outs, place, phase, channel, images, side, offsets, edge, outside):
    """The address of a tile's first pixel, and that of the byte offsets of all of them, written to `edge` at an edge."""
    (n, i, j), (height, width, channels, step, top, left) = place, side
    h, w = top + step * outs * i + phase // step, left + step * outs * j + phase % step
    pixel = images.ctypes.data + (((n * height + h) * width + w) * channels + channel) * 4
    count = offsets.shape[0]
    reach = step * (count - 1)
    if h >= 0 and w >= 0 and h + reach < height and w + reach < width:
        return pixel, offsets.ctypes.data
    for p in range(count):
        for q in range(count):
            r, s = h + step * p, w + step * q
            inside = r >= 0 and s >= 0 and r < height and s < width
            edge[p, q] = offsets[p, q] if inside else outside.ctypes.data - pixel
    return pixel, edge.ctypes.data


@compiled()
def _ask_for(outs, place, count, planes, plane, images, side, offsets):
    """Asks memory, which has nothing to do while a plane is multiplied, for its share of the tiles to come.

    Each brings (step · m)² pixels that the tiles above have not seen, from the rows on where those end.
    """
    (n, i, j), (height, width, channels, step, top, _) = place, side
    seen = step * (offsets.shape[0] - outs)
    h, w = top + step * outs * i + seen, step * outs * j
    lines = count * (step * outs) ** 2 * channels * 4 // CACHE_LINE // planes
    coming = images.ctypes.data + ((n * height + h) * width + w) * channels * 4
    prefetch(coming + plane * lines * CACHE_LINE, lines)
