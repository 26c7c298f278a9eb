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
from .share import bundle, hand_out
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

# A job of the weight gradient: phases and inputs (the first, and after the last), outputs, the width of its rows and how
# many they are, tiles worked on at a time, and where its sums begin.
JOB_FIELDS = ("f", "g", "begin", "stop", "first", "end", "width", "rows", "most", "sums")
_WIDTH, _ROWS, _SUMS = (JOB_FIELDS.index(name) for name in ("width", "rows", "sums"))
_WIDE, _MIDDLE, _ = WIDTHS
_ROWS_OF_WIDE, _ROWS_OF_MIDDLE, _ROWS_OF_NARROW = ROWS.values()


@compiled()
def convolve(board, n, rooms, tables, weights, inputs, products, results, grid, parts):
    """Transforms the weights, and then tiles, in so many parts. What each takes is told where it is."""
    columns, shares = tables[1], weights[3]
    piece, there = bundle(_pack, (tables, weights))
    hand_out(board, piece, there, len(columns) * len(shares), rooms)
    piece, there = bundle(_convolve_part, (tables, inputs, products, results, grid, parts))
    hand_out(board, piece, there, n, rooms)


@compiled()
def _pack(i, worker, tables, weights):
    """Transforms a share of a column's weights.

    shares (count, 3): phase, first input, the one after the last. step: of the phases, which only one side has.
    """
    lengths, columns, addresses = tables
    w, turned, step, shares, ins, depth, room = weights
    k = i // len(shares)
    in_phase, begin, stop = shares[i % len(shares)]
    out_phase, first, end, width = columns[k]
    phase = in_phase + out_phase
    u = addresses[k, 0] + (in_phase * ins + begin) * width * 4
    of_planes = np.arange(_planes(lengths)) * (depth * width * 4)
    pack(
        lengths,
        w,
        turned,
        (phase // step, phase % step, step),
        (first, end),
        (begin, stop),
        room[worker],
        width,
        u,
        of_planes,
    )


@compiled()
def _convolve_part(i, worker, tables, inputs, products, results, grid, parts):
    """Computes the tiles of a part, with this worker's planes."""
    lengths, columns, addresses = tables
    (x, side_x, of_x, zeros, v, of_v), (m, of_m), (y, side_y, of_y, nowhere) = inputs, products, results
    ends, most = parts
    tiles = ends[i], ends[i + 1], most
    convolve_tiles(
        *(lengths, x, side_x, of_x, zeros, v[worker], of_v, columns, addresses, m[worker], of_m),
        *(y, side_y, of_y, nowhere[worker], grid, tiles),
    )


@compiled()
def weight_gradient(board, n, rooms, lengths, jobs, sums, inputs, gradients, zeros, grid, ends, blocks, weights):
    """Sums up every job in shares, adds the shares in their order, and transforms the sums to weights."""
    piece, there = bundle(_add_up_share, (lengths, jobs, sums, inputs, gradients, zeros, grid, ends))
    hand_out(board, piece, there, n, rooms)
    planes = _planes(lengths)
    piece, there = bundle(_add_shares, (jobs, sums, planes, len(ends) - 1))
    hand_out(board, piece, there, len(jobs) * planes, rooms)
    piece, there = bundle(_unpack, (lengths, jobs, sums, blocks, weights))
    hand_out(board, piece, there, len(blocks), rooms)


@compiled()
def _add_up_share(i, worker, lengths, jobs, sums, inputs, gradients, zeros, grid, ends):
    """Sums up a job's planes over a share of the tiles."""
    (x, side_x, of_x, v, of_v), (y, side_y, of_y, z, of_z) = inputs, gradients
    k, share = i // (len(ends) - 1), i % (len(ends) - 1)
    f, g, begin, stop, first, end, width, rows, most, where = jobs[k]
    size = _planes(lengths) * rows * width
    total = sums[where + share * size : where + (share + 1) * size].reshape((_planes(lengths), rows, width))
    tiles = ends[share], ends[share + 1], min(most, ends[share + 1] - ends[share])
    add_up_tiles(
        *(lengths, x, side_x, of_x, v[worker], of_v, y, side_y, of_y, z[worker], of_z, zeros, total),
        *((f, g), (begin, stop), (first, end), grid, tiles),
    )


@compiled(error_model="numpy")
def _add_shares(i, worker, jobs, sums, planes, shares):
    """Adds up one plane of a job's shares. What fills up its tiles goes along, and is whatever lay in memory."""
    rows, width, where = jobs[i // planes, _ROWS], jobs[i // planes, _WIDTH], jobs[i // planes, _SUMS]
    first = where + i % planes * rows * width
    total = sums[first : first + rows * width]
    for share in range(1, shares):
        start = first + share * planes * rows * width
        more = sums[start : start + rows * width]
        for j in range(total.size):
            total[j] += more[j]


@compiled()
def _unpack(i, worker, lengths, jobs, sums, blocks, weights):
    """Transforms the sums of a block: job, phase, first input, the one after the last."""
    w, step, room = weights
    k, phase, begin, stop = blocks[i]
    f, _, low, high, first, end, width, rows, _, where = jobs[k]
    row = (phase - f) * (high - low) + begin - low
    source = sums.ctypes.data + (where + row * width) * 4
    of_planes = np.arange(_planes(lengths)) * (rows * width * 4)
    place = (phase // step, phase % step, step)
    unpack(lengths, source, of_planes, room[worker], width, place, (first, end), (begin, stop), w)


@compiled()
def _planes(lengths):
    """How many numbers a transformed tile has: inputs of m outputs and r taps, (m + r - 1)²."""
    return (len(lengths[0]) + len(lengths[1]) - 1) ** 2


@compiled()
def pack(lengths, w, turned, phase, outs, ins, packed, width, u, of_planes):
    """Transforms weights to planes, a few input channels at a time.

    w (O, C, KH, KW); or (C, O, KH, KW), `turned` by half a turn. phase: a, b and step: taps a, a + step, ... down and
    b, b + step, ... across. outs, ins: the first and the one after the last. packed: room for taps (r², PACKED, width). u:
    the address of the first plane's (ins, width).
    """
    taps, kh, kw = len(lengths[1]), w.shape[2], w.shape[3]
    (a, b, step), (first, end), (begin, stop) = phase, outs, ins
    of_taps = np.arange(taps * taps) * (PACKED * width * 4)
    packed[: taps * taps * PACKED * width] = 0  # where the kernel has no such tap
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
        to_u = u + (here - begin) * width * 4
        transform_weights(lengths, packed.ctypes.data, of_taps.ctypes.data, to_u, of_planes.ctypes.data, count * width)


@compiled()
def unpack(lengths, sums, of_planes, packed, width, phase, outs, ins, w):
    """Transforms sums, the address of the first plane's (ins, width), to weights w (O, C, KH, KW). The rest as for `pack`."""
    taps, kh, kw = len(lengths[1]), w.shape[2], w.shape[3]
    (a, b, step), (first, end), (begin, stop) = phase, outs, ins
    of_taps = np.arange(taps * taps) * (PACKED * width * 4)
    for here in range(begin, stop, PACKED):
        count = min(PACKED, stop - here)
        source = sums + (here - begin) * width * 4
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
