"""Solutions of chapter 4."""

import numpy as np


def same(n, kernel, stride):
    """As many zeros as the last of ⌈n/stride⌉ places needs, the odd one after."""
    out = -(-n // stride)
    total = max((out - 1) * stride + kernel - n, 0)
    return total // 2, total - total // 2


def patches(x, kernel, stride):
    """Tap by tap: each is a strided window of the image, and a column of the matrix for every channel."""
    channels, height, width = x.shape
    rows, columns = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    found = np.empty((rows, columns, channels, kernel, kernel), x.dtype)
    for p in range(kernel):
        for q in range(kernel):
            window = x[:, p : p + stride * (rows - 1) + 1 : stride, q : q + stride * (columns - 1) + 1 : stride]
            found[:, :, :, p, q] = window.transpose(1, 2, 0)
    return found.reshape(rows * columns, -1)


def weight_gradient(x, g, kernel, stride):
    """For each tap the window of x that it has seen, multiplied by g and summed over the places."""
    (outs, rows, columns), channels = g.shape, len(x)
    w_bar = np.empty((outs, channels, kernel, kernel), g.dtype)
    for p in range(kernel):
        for q in range(kernel):
            window = x[:, p : p + stride * (rows - 1) + 1 : stride, q : q + stride * (columns - 1) + 1 : stride]
            w_bar[:, :, p, q] = np.einsum("oij,cij->oc", g, window)
    return w_bar


def transposed(y, w, stride):
    """Each number of y adds a copy of the kernel to the image."""
    (_, rows, columns), (_, channels, kernel, _) = y.shape, w.shape
    x = np.zeros((channels, stride * (rows - 1) + kernel, stride * (columns - 1) + kernel), y.dtype)
    for i in range(rows):
        for j in range(columns):
            down, across = slice(stride * i, stride * i + kernel), slice(stride * j, stride * j + kernel)
            x[:, down, across] += np.einsum("o,ocpq->cpq", y[:, i, j], w)
    return x


def even(w, stride):
    """Every phase's sum becomes m, spread evenly over its n_p taps; m minimizes Σ (m - s_p)²/n_p."""
    sums = np.array([w[p::stride].sum() for p in range(stride)])
    counts = np.array([len(w[p::stride]) for p in range(stride)])
    m = (sums / counts).sum() / (1 / counts).sum()
    found = np.array(w, dtype=float)
    for p in range(stride):
        found[p::stride] += (m - sums[p]) / counts[p]
    return found


SOLUTIONS = {"04.1": same, "04.2": patches, "04.3": weight_gradient, "04.4": transposed, "04.5": even}
