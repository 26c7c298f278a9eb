"""Patches: the matrix of everything that each output pixel sees, and its adjoint.

Row (n, i, j) of the matrix holds x[n, sh i - top + dh p, sw j - left + dw q, c] for the taps (p, q) of the kernel and
the channels c of one group, in this order, and 0 where the tap lies outside x. With it, convolution is a product of
matrices: y = patches(x) w^T, x = patches^T(y w), w = y^T patches(x). (This is known as im2col and col2im.)

Channels lie side by side in x and in the patches, so what moves are runs of C numbers; where the taps of one row of the
kernel lie side by side too (one group, no horizontal dilation), they are one run together. Each run is sliced off
before its loop, so that the loop counts from 0: Numba must expect any other index to be negative, and to wrap around,
and the check for it keeps the loop from becoming vector instructions (ten times slower, measured).
"""

from .compiled import compiled


@compiled()
def gather_patches(x, patches, first, kernel_rows, channel, kernel_size, out_size, stride, padding, dilation):
    """Writes rows first, first + 1, ... of the matrix of patches, as many as `patches` has.

    x (N, H, W, C); patches (rows, taps * group's channels), all of it overwritten; kernel_rows (p0, p1): only the taps
    (p, q) with p0 <= p < p1; channel: the group's first one.
    """
    _, height, width, channels = x.shape
    oh, ow = out_size
    kw = kernel_size[1]
    p0, p1 = kernel_rows
    length = patches.shape[1] // (p1 - p0)  # of one row of the kernel
    depth = length // kw
    side_by_side = depth == channels and dilation[1] == 1
    source, target = x.reshape(-1), patches.reshape(-1)
    t = 0
    for row in range(first, first + patches.shape[0]):
        n, i, j = row // (oh * ow), row // ow % oh, row % ow
        left = j * stride[1] - padding[1]
        begin, end = min(max(-left, 0), kw), min(max(width - left, 0), kw)  # the taps inside x, if dilation is 1
        for p in range(p0, p1):
            h = i * stride[0] - padding[0] + dilation[0] * p
            run = target[t : t + length]
            t += length
            if h < 0 or h >= height:
                _zero(run)
            elif side_by_side:
                s = ((n * height + h) * width + left) * channels
                _zero(run[: begin * depth])
                _copy(source[s + begin * depth : s + end * depth], run[begin * depth : end * depth])
                _zero(run[end * depth :])
            else:
                for q in range(kw):
                    w = left + dilation[1] * q
                    if w < 0 or w >= width:
                        _zero(run[q * depth : (q + 1) * depth])
                    else:
                        s = ((n * height + h) * width + w) * channels + channel
                        _copy(source[s : s + depth], run[q * depth : (q + 1) * depth])


@compiled()
def scatter_patches(patches, x, first, channel, kernel_size, out_size, stride, padding, dilation):
    """Adds rows first, first + 1, ... of the matrix of patches to where they came from: the adjoint of the gathering.

    patches (rows, KH * KW * group's channels); x (N, H, W, C), added to; channel: the group's first one.
    """
    _, height, width, channels = x.shape
    oh, ow = out_size
    kh, kw = kernel_size
    length = patches.shape[1] // kh
    depth = length // kw
    side_by_side = depth == channels and dilation[1] == 1
    source, target = patches.reshape(-1), x.reshape(-1)
    s = 0
    for row in range(first, first + patches.shape[0]):
        n, i, j = row // (oh * ow), row // ow % oh, row % ow
        left = j * stride[1] - padding[1]
        begin, end = min(max(-left, 0), kw), min(max(width - left, 0), kw)
        for p in range(kh):
            h = i * stride[0] - padding[0] + dilation[0] * p
            run = source[s : s + length]
            s += length
            if h < 0 or h >= height:
                continue
            if side_by_side:
                t = ((n * height + h) * width + left) * channels
                _add(run[begin * depth : end * depth], target[t + begin * depth : t + end * depth])
            else:
                for q in range(kw):
                    w = left + dilation[1] * q
                    if w >= 0 and w < width:
                        t = ((n * height + h) * width + w) * channels + channel
                        _add(run[q * depth : (q + 1) * depth], target[t : t + depth])


@compiled()
def _zero(run):
    for k in range(run.size):
        run[k] = 0


@compiled()
def _copy(source, target):
    for k in range(source.size):
        target[k] = source[k]


@compiled()
def _add(source, target):
    for k in range(source.size):
        target[k] += source[k]
