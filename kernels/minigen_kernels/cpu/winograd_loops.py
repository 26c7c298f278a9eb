"""The loops of Winograd's convolution (see `winograd`): from pixels to planes, from planes to planes, and back to pixels.

What is done to the numbers themselves is in `winograd_vectors`; here is where they lie. Tiles are counted row by row
through all images.
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
def pack(w, of_output, of_input, mirrored, outs, ins, width, packed, of_taps, of_planes, u):
    """Transforms weights to u, (16, ins, width), a few input channels at a time.

    w: from the first of these weights on, of_output and of_input numbers from one output and input to the next, the nine
    taps side by side, in reverse order if mirrored. packed (9, PACKED, width); u: an address.
    """
    packed[:] = 0
    for begin in range(0, ins, PACKED):
        count = min(PACKED, ins - begin)
        for o in range(outs):
            for c in range(count):
                source, target = w[o * of_output + (begin + c) * of_input :], packed[c * width + o :]
                if mirrored:
                    for t in range(9):
                        target[t * PACKED * width] = source[8 - t]
                else:
                    for t in range(9):
                        target[t * PACKED * width] = source[t]
        to_u = u + begin * width * 4
        transform_weights(packed.ctypes.data, of_taps.ctypes.data, to_u, of_planes.ctypes.data, count * width)


@compiled()
def unpack(sums, of_planes, of_taps, packed, w, of_output, outs, ins, width):
    """Transforms sums, the address of (16, ins, width), to weights w, of_output numbers from one output to the next."""
    for begin in range(0, ins, PACKED):
        count = min(PACKED, ins - begin)
        source = sums + begin * width * 4
        transform_weight_gradients(
            source, of_planes.ctypes.data, packed.ctypes.data, of_taps.ctypes.data, count * width
        )
        for o in range(outs):
            for c in range(count):
                from_packed, to_w = packed[c * width + o :], w[o * of_output + (begin + c) * 9 :]
                for t in range(9):
                    to_w[t] = from_packed[t * PACKED * width]


@compiled()
def convolve_tiles(
    x, of_x, edge_of_x, zeros, v, of_v, u, starts, m, of_m, y, of_y, edge_of_y, nowhere, sizes, column, tiles
):
    """Computes tiles tile, ..., last - 1 of a column of y, `most` at a time: to planes v, to planes m, and to y.

    of_x, of_y, of_v, of_m: byte offsets of pixels in the middle of images, and of planes; edge_of_x, edge_of_y: room for
    those at an edge. Pixels outside of x are read from `zeros`, those outside of y written to `nowhere`. While planes are
    multiplied, the memory has nothing to do, and is asked for the pixels of the tiles to come.
    """
    (first, end_column, most), (tile, last), columns = column, tiles, starts.shape[1]
    item = x.itemsize
    height, width, out_height, out_width, ins, outs, top, left = sizes
    down, across = (out_height + 1) // 2, (out_width + 1) // 2
    place = end = (tile // (down * across), tile // across % down, tile % across)
    while tile < last:
        count = min(most, last - tile)
        for t in range(count):
            n, i, j = place
            h, g = 2 * i - top, 2 * j - left
            pixel = x.ctypes.data + ((n * height + h) * width + g) * ins * item
            if h >= 0 and g >= 0 and h + 4 <= height and g + 4 <= width:
                table = of_x.ctypes.data
            else:
                table = _find(edge_of_x, pixel, h, g, height, width, ins * item, zeros)
            transform_inputs(pixel, table, v.ctypes.data + t * ins * item, of_v.ctypes.data, ins)
            place = _next(n, i, j, down, across)
        n, i, j = place
        coming = x.ctypes.data + ((n * height + 2 * i - top + 2) * width + 2 * j) * ins * item
        lines = count * 4 * ins * item // CACHE_LINE // 16  # for each plane: with each tile come four more pixels
        for k in range(16):
            prefetch(coming + k * lines * CACHE_LINE, lines)
            _multiply(
                columns,
                count,
                v.ctypes.data + of_v[k],
                ins * item,
                item,
                u.ctypes.data + k * ins * columns * item,
                starts.ctypes.data + k * columns * item,
                m.ctypes.data + of_m[k],
                ins,
            )
        for t in range(count):
            n, i, j = end
            pixel = y.ctypes.data + (((n * out_height + 2 * i) * out_width + 2 * j) * outs + first) * item
            if 2 * i + 2 <= out_height and 2 * j + 2 <= out_width:
                table = of_y.ctypes.data
            else:
                table = _find(edge_of_y, pixel, 2 * i, 2 * j, out_height, out_width, outs * item, nowhere)
            transform_products(m.ctypes.data + t * columns * item, of_m.ctypes.data, pixel, table, end_column - first)
            end = _next(n, i, j, down, across)
        tile += count


@compiled()
def add_up_tiles(x, of_x, edge_of_x, v, of_v, y, of_y, edge_of_y, z, of_z, zeros, sums, sizes, inputs, column, tiles):
    """Sums up tiles tile, ..., last - 1 as products of planes v and z, for some inputs and a column of outputs.

    The rest is as in `convolve_tiles`.
    """
    height, width, out_height, out_width, ins, outs, top, left = sizes
    (begin, stop), (first, end, most), (tile, last) = inputs, column, tiles
    depth, columns, item = stop - begin, sums.shape[2], x.itemsize
    down, across = (out_height + 1) // 2, (out_width + 1) // 2
    n, i, j = tile // (down * across), tile // across % down, tile % across
    start = np.int64(zeros.ctypes.data)
    while tile < last:
        count = min(most, last - tile)
        for t in range(count):
            h, g = 2 * i - top, 2 * j - left
            pixel = x.ctypes.data + (((n * height + h) * width + g) * ins + begin) * item
            if h >= 0 and g >= 0 and h + 4 <= height and g + 4 <= width:
                table = of_x.ctypes.data
            else:
                table = _find(edge_of_x, pixel, h, g, height, width, ins * item, zeros)
            transform_inputs(pixel, table, v.ctypes.data + t * depth * item, of_v.ctypes.data, depth)
            pixel = y.ctypes.data + (((n * out_height + 2 * i) * out_width + 2 * j) * outs + first) * item
            if 2 * i + 2 <= out_height and 2 * j + 2 <= out_width:
                table = of_y.ctypes.data
            else:
                table = _find(edge_of_y, pixel, 2 * i, 2 * j, out_height, out_width, outs * item, zeros)
            transform_output_gradients(pixel, table, z.ctypes.data + t * columns * item, of_z.ctypes.data, end - first)
            n, i, j = _next(n, i, j, down, across)
        coming_x = x.ctypes.data + ((n * height + 2 * i - top + 2) * width + 2 * j) * ins * item
        coming_y = y.ctypes.data + ((n * out_height + 2 * i) * out_width + 2 * j) * outs * item
        lines_x, lines_y = count * 4 * ins * item // CACHE_LINE // 16, count * 4 * outs * item // CACHE_LINE // 16
        for k in range(16):
            prefetch(coming_x + k * lines_x * CACHE_LINE, lines_x)
            prefetch(coming_y + k * lines_y * CACHE_LINE, lines_y)
            to_sums = sums.ctypes.data + k * sums.shape[1] * columns * item
            _multiply(
                columns,
                depth,
                v.ctypes.data + of_v[k],
                item,
                depth * item,
                z.ctypes.data + of_z[k],
                start,
                to_sums,
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
def _find(offsets, pixel, h, w, height, width, step, outside):
    """Writes the byte offsets of some pixels from pixel (h, w) on, the address of which is `pixel`; returns their own."""
    side = offsets.shape[0]
    for p in range(side):
        for q in range(side):
            there = h + p >= 0 and w + q >= 0 and h + p < height and w + q < width
            offsets[p, q] = (p * width + q) * step if there else outside.ctypes.data - pixel
    return offsets.ctypes.data


@compiled()
def _next(n, i, j, down, across):
    """The tile after (i, j) of image n."""
    if j + 1 < across:
        return n, i, j + 1
    if i + 1 < down:
        return n, i + 1, 0
    return n + 1, 0, 0
