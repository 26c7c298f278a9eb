"""The loops of Winograd's convolution (see `winograd`): from pixels to planes, from planes to planes, and back to pixels.

What is done to the numbers themselves is in `winograd_vectors`; here is where they lie. Tiles are counted row by row
through all images. What the loops are told:

    scheme    outputs m and taps r along each axis
    x, y, v, m, ...  addresses of first numbers; ..._of_worker: bytes from one worker's to the next one's
    side_x    of x: height, width, channels, pixels from one of a tile to the next, and the first tile's first row and column
    of_x      byte offsets of the pixels of a tile in the middle of an image
    side_y, of_y, of_v, ...  the same of y, and those of planes
    grid      tiles down and across an image
    tiles     the first, the one after the last, and how many are worked on at a time
    multiply, by_...  addresses: of the product of planes, and of transforms compiled for the scheme. The loops here are the
              same for all schemes

Where a tile's pixels are `step` apart, there are step² tiles at one place, one for each phase: rows a, a + step, ... and
columns b, b + step, ... of the image.
"""

from __future__ import annotations

import numpy as np

from .addresses import call_at
from .compiled import compiled
from .share import ALL, hand_out
from .tile import CACHE_LINE, ITEM, prefetch

START = np.int64(0)  # of the same type to the compiler as other phases and channels
PACK, CONVOLVE = range(2)  # steps of `convolve`
TRANSFORM, MULTIPLY, UNPACK = range(3)  # steps of `weight_gradient`
TILES = 4  # of a piece of its first step: some microseconds of one core
TERMS = 128  # of a sum, before it is added to the one of those before: shorter sums err less
PACKED = 8  # input channels whose weights are packed at a time: with a column's outputs, they fit into the first cache


@compiled()
def convolve(
    board, n, piece, worker, step, scheme, columns, addresses, weights, inputs, products, results, grid, parts
):
    """Transforms the weights, and then tiles; or for a few tiles and many weights, each column's where it is used.

    columns (count, 5): phase, first output, the one after the last, width, numbers from one plane of weights to the next.
    addresses (count, 2): of a column's weights, planes (depth, width), and of what its products begin with, planes (width).
    The tuples are taken apart where they are used: weights in `_pack_share`; inputs, products and results in
    `_convolve_tiles`. parts: where those of the tiles begin, tiles worked on at a time, and where groups of columns begin: a
    piece is a part and a group.
    """
    if piece == ALL:
        shares, of_worker = len(columns) * len(weights[0]), weights[7]
        if of_worker == 0:
            hand_out(board, shares, (PACK, scheme, columns, addresses, weights, inputs, products, results, grid, parts))
        hand_out(board, n, (CONVOLVE, scheme, columns, addresses, weights, inputs, products, results, grid, parts))
    elif step == PACK:
        _pack_share(piece, worker, scheme, columns, addresses, weights)
    else:
        ends, most, groups = parts
        part, group = piece // (len(groups) - 1), piece % (len(groups) - 1)
        tiles, chosen = (ends[part], ends[part + 1], most), (groups[group], groups[group + 1])
        _convolve_tiles(worker, scheme, columns, chosen, addresses, weights, inputs, products, results, grid, tiles)


@compiled()
def _pack_share(i, worker, scheme, columns, addresses, weights):
    """Transforms a share of a column's weights.

    shares (count, 3): phase, first input, the one after the last. period: of the phases, which only one side has.
    of_worker: bytes from one worker's column to the next one's, or 0 where each column is transformed once for all.
    """
    shares, w, turned, period, ins, by_weights, room, of_worker = weights
    k = i // len(shares)
    in_phase, begin, stop = shares[i % len(shares)]
    out_phase, first, end, width, plane = columns[k]
    phase = in_phase + out_phase
    u = addresses[k, 0] + worker * of_worker + (in_phase * ins + begin) * width * ITEM
    of_planes = _apart(_planes(scheme), plane)
    place, outs = (phase // period, phase % period, period), (first, end)
    _pack(scheme, w, turned, place, outs, (begin, stop), room[worker], width, u, of_planes, by_weights)


@compiled()
def weight_gradient(
    board, n, piece, worker, step, first, scheme, columns, inputs, gradients, zeros, sums, grid, tiles, blocks, weights
):
    """Transforms tiles of x and y from `first` on, adds their products to the sums, and at last transforms these to weights.

    columns (count, 4): first output, the one after the last, width, and the widths of all columns before. inputs and
    gradients are taken apart in `_transform_tiles`. sums: the address of planes, in each of which a column has (rows,
    width), where rows are inputs and what fills up a tile; rows; all widths. tiles: of all images, and how many are worked
    on at a time. blocks (count, 4): column, phase, first input, the one after the last.
    """
    if piece == ALL:
        shared = scheme, columns, inputs, gradients, zeros, sums, grid, tiles, blocks, weights
        count, most = tiles
        for here in range(0, count, most):
            hand_out(board, -(-min(most, count - here) // TILES), (TRANSFORM, here, *shared))
            hand_out(board, _planes(scheme) * len(columns), (MULTIPLY, here, *shared))
        hand_out(board, len(blocks), (UNPACK, count, *shared))
    elif step == TRANSFORM:
        _transform_tiles(first, piece, scheme[0], columns, inputs, gradients, zeros, grid, tiles)
    elif step == MULTIPLY:
        plane, k = piece // len(columns), piece % len(columns)
        _add_products(first, plane, columns[k], inputs, gradients, zeros, sums, tiles)
    else:
        w, period, room, by_weight_gradients = weights
        ins = inputs[1][2]
        _unpack_block(blocks[piece], scheme, columns, ins, sums, w, period, room[worker], by_weight_gradients)


@compiled(inline="always")
def _transform_tiles(first, piece, outs, columns, inputs, gradients, zeros, grid, tiles):
    """Some tiles of x to planes v, and of y to planes z, column behind column; from tile `first` on, both hold `most`."""
    x, side_x, of_x, (v, of_v), by_inputs = inputs
    y, side_y, of_y, (z, of_z), _, by_gradients = gradients
    ins, phases, (count, most) = side_x[2], side_x[3] * side_x[3], tiles
    edge_x, edge_y = np.empty_like(of_x), np.empty_like(of_y)
    begin = piece * TILES
    place = _place(first + begin, grid)
    for t in range(begin, min(begin + TILES, most, count - first)):
        for phase in range(phases):
            pixel, table = _locate(outs, place, phase, START, x, side_x, of_x, edge_x, zeros)
            _transform(by_inputs, pixel, table, v + (t * phases + phase) * ins * ITEM, of_v.ctypes.data, ins)
        for k in range(len(columns)):
            low, high, width, before = columns[k]
            pixel, table = _locate(outs, place, START, low, y, side_y, of_y, edge_y, zeros)
            to_z = z + (before * most + t * width) * ITEM
            _transform(by_gradients, pixel, table, to_z, of_z.ctypes.data, high - low)
        place = _next(place, grid)


@compiled(inline="always")
def _add_products(first, plane, column, inputs, gradients, zeros, sums, tiles):
    """Adds to a column's sums of one plane the product of the tiles from `first` on."""
    _, (_, _, ins, step, _, _), _, (v, of_v), _ = inputs
    _, _, _, (z, of_z), multiply, _ = gradients
    depth, (_, _, width, before) = step * step * ins, column
    (address, rows, widths), (count, most) = sums, tiles
    a, b = v + of_v[plane], z + of_z[plane] + before * most * ITEM
    c, last = address + (plane * widths + before) * rows * ITEM, min(most, count - first)
    for t in range(0, last, TERMS):
        from_a, from_b, start = a + t * depth * ITEM, b + t * width * ITEM, zeros if first + t == 0 else 0
        call_at(multiply, (width, depth, from_a, ITEM, depth * ITEM, from_b, start, c, min(TERMS, last - t)))


@compiled(inline="always")
def _unpack_block(block, scheme, columns, ins, sums, w, period, packed, by_weight_gradients):
    """Transforms a block of the sums to weights."""
    k, phase, begin, stop = block
    low, high, width, before = columns[k]
    address, rows, widths = sums
    source = address + (before * rows + (phase * ins + begin) * width) * ITEM
    of_planes = _apart(_planes(scheme), rows * widths)
    place = phase // period, phase % period, period
    _unpack(scheme, source, of_planes, packed, width, place, (low, high), (begin, stop), w, by_weight_gradients)


@compiled(inline="always")
def _planes(scheme):
    """How many numbers a transformed tile has: inputs of m outputs and r taps, (m + r - 1)²."""
    return (scheme[0] + scheme[1] - 1) ** 2


@compiled(inline="always")
def _pack(scheme, w, turned, phase, outs, ins, packed, width, u, of_planes, by_weights):
    """Transforms weights to planes, a few input channels at a time.

    w (O, C, KH, KW); or (C, O, KH, KW), `turned` by half a turn. phase: a, b and the period: taps a, a + period, ... down
    and b, b + period, ... across. outs, ins: the first and the one after the last. packed: room for taps (r², PACKED, width). u:
    the address of the first plane's (ins, width).
    """
    taps, kh, kw = scheme[1], w.shape[2], w.shape[3]
    (a, b, period), (first, end), (begin, stop) = phase, outs, ins
    of_taps = _apart(taps * taps, PACKED * width)
    packed[: taps * taps * PACKED * width] = 0  # where the kernel has no such tap
    for here in range(begin, stop, PACKED):
        count = min(PACKED, stop - here)
        for t in range(taps):
            for s in range(taps):
                p, q = a + period * t, b + period * s
                if p >= kh or q >= kw:
                    continue
                place = (taps - 1 - t) * taps + taps - 1 - s if turned else t * taps + s
                for c in range(count):
                    target = packed[(place * PACKED + c) * width :]
                    for o in range(first, end):
                        target[o - first] = w[here + c, o, p, q] if turned else w[o, here + c, p, q]
        to_u = u + (here - begin) * width * ITEM
        _transform(by_weights, packed.ctypes.data, of_taps.ctypes.data, to_u, of_planes.ctypes.data, count * width)


@compiled(inline="always")
def _unpack(scheme, sums, of_planes, packed, width, phase, outs, ins, w, by_weight_gradients):
    """Transforms sums, the address of the first plane's (ins, width), to weights w (O, C, KH, KW). The rest as for `_pack`."""
    taps, kh, kw = scheme[1], w.shape[2], w.shape[3]
    (a, b, period), (first, end), (begin, stop) = phase, outs, ins
    of_taps = _apart(taps * taps, PACKED * width)
    for here in range(begin, stop, PACKED):
        count = min(PACKED, stop - here)
        source = sums + (here - begin) * width * ITEM
        _transform(
            by_weight_gradients, source, of_planes.ctypes.data, packed.ctypes.data, of_taps.ctypes.data, count * width
        )
        for t in range(taps):
            for s in range(taps):
                p, q = a + period * t, b + period * s
                if p >= kh or q >= kw:
                    continue
                for c in range(count):
                    source_row = packed[((t * taps + s) * PACKED + c) * width :]
                    for o in range(first, end):
                        w[o, here + c, p, q] = source_row[o - first]


@compiled(inline="always")
def _transform(by, a, a_offsets, c, c_offsets, count):
    """Runs the transform at the address `by`, on what `winograd_vectors.transform` is told, its constants left out."""
    call_at(by, (0, 0, 0, a, a_offsets, c, c_offsets, count))


@compiled(inline="always")
def _convolve_tiles(worker, scheme, columns, chosen, addresses, weights, inputs, products, results, grid, tiles):
    """Computes tiles of y: their inputs to planes v, products with weights to planes m, and these to y.

    chosen: the first column, and the one after the last. Pixels outside of x are read from `zeros`, those outside of y
    written to `nowhere`.
    """
    x, side_x, of_x, zeros, (first_v, v_of_worker, of_v), by_inputs = inputs
    (first_m, m_of_worker, of_m), multiply, by_products = products
    y, side_y, of_y, (first_nowhere, nowhere_of_worker) = results
    v, m = first_v + worker * v_of_worker, first_m + worker * m_of_worker
    nowhere = first_nowhere + worker * nowhere_of_worker
    outs, (first_column, end_column), shares, of_worker = scheme[0], chosen, len(weights[0]), weights[7]
    planes, phases, ins = of_v.size, side_x[3] * side_x[3], side_x[2]
    depth = phases * ins
    edge_x, edge_y = np.empty_like(of_x), np.empty_like(of_y)
    tile, last, most = tiles
    place = _place(tile, grid)
    while tile < last:
        count, begin = min(most, last - tile), place
        for t in range(count):
            for phase in range(phases):
                pixel, table = _locate(outs, place, phase, START, x, side_x, of_x, edge_x, zeros)
                to_v = v + (t * depth + phase * ins) * ITEM
                _transform(by_inputs, pixel, table, to_v, of_v.ctypes.data, ins)
            place = _next(place, grid)
        for k in range(first_column, end_column):
            phase, first, end, width, numbers = columns[k]
            if of_worker:
                for share in range(shares):
                    _pack_share(k * shares + share, worker, scheme, columns, addresses, weights)
            u = addresses[k, 0] + worker * of_worker
            for plane in range(planes):
                if k == first_column:
                    _ask_for(outs, place, count, planes, plane, x, side_x, of_x)
                a, b = v + of_v[plane], u + plane * numbers * ITEM
                start, c = addresses[k, 1] + plane * width * ITEM, m + of_m[plane]
                call_at(multiply, (width, count, a, depth * ITEM, ITEM, b, start, c, depth))
            here = begin
            for t in range(count):
                pixel, table = _locate(outs, here, phase, first, y, side_y, of_y, edge_y, nowhere)
                from_m = m + t * width * ITEM
                _transform(by_products, from_m, of_m.ctypes.data, pixel, table, end - first)
                here = _next(here, grid)
        tile += count


@compiled()
def _apart(count, numbers):
    """The byte offsets of `count` vectors that are so many numbers apart."""
    offsets = np.empty(count, np.int64)
    for k in range(count):
        offsets[k] = k * numbers * ITEM
    return offsets


@compiled(inline="always")
def _place(tile, grid):
    """Image, row and column of a tile."""
    down, across = grid
    return tile // (down * across), tile // across % down, tile % across


@compiled(inline="always")
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
    """The address of a tile's first pixel, and that of the byte offsets of all of them, written to `edge` at an edge.

    images, outside: addresses.
    """
    (n, i, j), (height, width, channels, step, top, left) = place, side
    h, w = top + step * outs * i + phase // step, left + step * outs * j + phase % step
    pixel = images + (((n * height + h) * width + w) * channels + channel) * ITEM
    count = offsets.shape[0]
    reach = step * (count - 1)
    if h >= 0 and w >= 0 and h + reach < height and w + reach < width:
        return pixel, offsets.ctypes.data
    for p in range(count):
        for q in range(count):
            r, s = h + step * p, w + step * q
            inside = r >= 0 and s >= 0 and r < height and s < width
            edge[p, q] = offsets[p, q] if inside else outside - pixel
    return pixel, edge.ctypes.data


@compiled(inline="always")
def _ask_for(outs, place, count, planes, plane, images, side, offsets):
    """Asks memory, which has nothing to do while a plane is multiplied, for its share of the tiles to come.

    Each brings (step · m)² pixels that the tiles above have not seen, from the rows on where those end.
    """
    (n, i, j), (height, width, channels, step, top, _) = place, side
    seen = step * (offsets.shape[0] - outs)
    h, w = top + step * outs * i + seen, step * outs * j
    lines = count * (step * outs) ** 2 * channels * ITEM // CACHE_LINE // planes
    coming = images + ((n * height + h) * width + w) * channels * ITEM
    prefetch(coming + plane * lines * CACHE_LINE, lines)
