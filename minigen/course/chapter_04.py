"""Chapter 4: convolution, its two gradients, and its transpose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.course.words import show


def _padding(n: int, kernel: int, stride: int) -> int:
    """Zeros on both sides together, negative where there are pixels to spare."""
    return (-(-n // stride) - 1) * stride + kernel - n


@exercise(
    "04.1",
    "How many zeros",
    hints=(
        "There are out = ⌈n/stride⌉ places. In padded rows, where does the last one begin, and where does it end?",
        "The last place ends after row (out - 1)·stride + kernel. What is missing up to there is shared by both sides.",
    ),
)
def same_padding(trial: Trial) -> str:
    """Write same(n, kernel, stride): how many zeros go before and after n rows, so that there are ⌈n/stride⌉ places; the
    odd one goes after, and neither number is negative."""
    same = trial.function("same")

    def right(n: int, kernel: int, stride: int) -> tuple[int, int]:
        total = max(_padding(n, kernel, stride), 0)
        return total // 2, total - total // 2

    def halves(total: int) -> tuple[int, int]:
        return total // 2, total - total // 2

    mistakes = {
        "The odd zero goes after, not before.": lambda n, k, s: right(n, k, s)[::-1],
        "These are kernel - 1 zeros in all, which is right for stride 1 only: a larger stride needs fewer, as the last place "
        "need not begin at the last row.": lambda n, k, s: halves(k - 1),
        "This is kernel // 2 on both sides: right for odd kernels and stride 1.": lambda n, k, s: (k // 2, k // 2),
        "The number of places is ⌈n/stride⌉, rounded up; this is right for ⌊n/stride⌋ places.": (
            lambda n, k, s: halves(max((n // s - 1) * s + k - n, 0))
        ),
        "A number is negative: where the kernel leaves rows unseen, nothing is cut off, and there are simply no zeros.": (
            lambda n, k, s: halves(_padding(n, k, s))
        ),
        "Both sides get the same number, but when their sum is odd, one side needs one more.": (
            lambda n, k, s: (right(n, k, s)[0],) * 2
        ),
        "These are the zeros of both sides together; they are shared, the odd one after.": (
            lambda n, k, s: (sum(right(n, k, s)),) * 2
        ),
    }
    cases = ((8, 3, 1), (28, 4, 2), (28, 5, 2), (9, 4, 1), (7, 3, 2), (7, 5, 3), (8, 1, 2), (10, 7, 4))
    for n, kernel, stride in cases:
        trial.compare(same, right, n, kernel, stride, mistakes=mistakes)
    return "28 rows, kernel 5, stride 2: one zero before and two after. Padding by 2 on both sides is another network."


def _windows(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """(C, H, W) → (C, OH, OW, K, K)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return windows[:, ::stride, ::stride]


@exercise(
    "04.2",
    "The matrix of patches",
    hints=(
        "Make an array (OH, OW, C, K, K) first, and reshape it at the end. OH = (H - K)//stride + 1.",
        "All pixels that meet the tap (p, q) are x[:, p : p + stride·(OH - 1) + 1 : stride, q : …]: (C, OH, OW).",
    ),
)
def patch_matrix(trial: Trial) -> str:
    """Write patches(x, kernel, stride): for x (C, H, W) the matrix (OH·OW, C·K·K), a row for each place of the kernel, line
    by line, and in it for each channel its K·K pixels, line by line."""
    patches = trial.function("patches")

    def right(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
        windows = _windows(x, kernel, stride)
        return windows.transpose(1, 2, 0, 3, 4).reshape(windows.shape[1] * windows.shape[2], -1)

    def ordered(*axes: int) -> Callable[..., np.ndarray]:
        def wrong(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
            windows = _windows(x, kernel, stride)
            return windows.transpose(axes).reshape(windows.shape[1] * windows.shape[2], -1)

        return wrong

    def stride_one(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
        windows = _windows(x, kernel, 1)
        return windows.transpose(1, 2, 0, 3, 4).reshape(windows.shape[1] * windows.shape[2], -1)

    def shifted(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
        """Places one pixel apart, as many as there should be."""
        rows, columns = ((n - kernel) // stride + 1 for n in x.shape[1:])
        windows = _windows(x, kernel, 1)[:, :rows, :columns]
        return windows.transpose(1, 2, 0, 3, 4).reshape(rows * columns, -1)

    def turned(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
        found = right(x, kernel, stride)
        return found.reshape(len(found), len(x), -1)[..., ::-1].reshape(found.shape)

    mistakes = {
        "In each row the channels come last, (p, q, c); the weight (O, C, K, K) wants (c, p, q).": ordered(
            1, 2, 3, 4, 0
        ),
        "Within the kernel, lines and columns are exchanged: the order is (c, p, q), q running fastest.": (
            ordered(1, 2, 0, 4, 3)
        ),
        "The places are in the wrong order: line by line, so that j runs faster than i.": ordered(2, 1, 0, 3, 4),
        "The array has the right shape, but the axes were never exchanged: reshape does not move the channels behind the "
        "places, transpose does.": ordered(0, 1, 2, 3, 4),
        "The stride was not used: these are the places of stride 1.": stride_one,
        "The places are one pixel apart; the next one begins `stride` pixels further on.": shifted,
        "The kernel is turned round: row p of a patch is x[i·stride + p], not x[i·stride - p].": turned,
    }
    normal = trial.generator.normal
    trial.compare(patches, right, np.arange(9.0).reshape(1, 3, 3), 2, 1, mistakes=mistakes)
    for shape, kernel, stride in (((2, 5, 4), 3, 1), ((3, 7, 6), 2, 2), ((2, 8, 9), 3, 2)):
        tried = f"patches(x, {kernel}, {stride}), x of shape {shape}"
        trial.compare(patches, right, normal(shape, dtype=np.float64), kernel, stride, mistakes=mistakes, tried=tried)
    return "A loop over K² taps with strided windows is quick in NumPy; a loop over OH·OW places is not."


@exercise(
    "04.3",
    "The gradient of the weight",
    hints=(
        "Loop over the taps (p, q). Which pixels of x has this tap met? A strided window of the size of g.",
        'np.einsum("oij,cij->oc", g, window) multiplies, sums over the places, and keeps o and c.',
    ),
)
def weight_gradient(trial: Trial) -> str:
    """Write weight_gradient(x, g, kernel, stride): for x (C, H, W) and what arrives, g (O, OH, OW), the gradient of the
    weight, (O, C, kernel, kernel)."""
    function = trial.function("weight_gradient")

    def taps(x: np.ndarray, g: np.ndarray, kernel: int, step: int) -> np.ndarray:
        rows, columns = g.shape[1:]
        found = np.empty((len(g), len(x), kernel, kernel))
        for p, q in np.ndindex(kernel, kernel):
            window = x[:, p : p + step * (rows - 1) + 1 : step, q : q + step * (columns - 1) + 1 : step]
            found[:, :, p, q] = np.einsum("oij,cij->oc", g, window)
        return found

    def last_only(x: np.ndarray, g: np.ndarray, kernel: int, stride: int) -> np.ndarray:
        rows, columns = (stride * (n - 1) for n in g.shape[1:])
        patch = x[:, rows : rows + kernel, columns : columns + kernel]
        return np.einsum("o,cpq->ocpq", g[:, -1, -1], patch)

    mistakes = {
        "The kernel's taps are turned round: x is read at s·i + p, as in the convolution itself.": (
            lambda x, g, k, s: taps(x, g, k, s)[:, :, ::-1, ::-1]
        ),
        "The stride is missing: the place (i, j) lies at the pixels (s·i, s·j).": lambda x, g, k, s: taps(x, g, k, 1),
        "The mean over the places was taken; a weight that is used in several places gets the sum.": (
            lambda x, g, k, s: taps(x, g, k, s) / g[0].size
        ),
        "Only the last place counts: `=` where `+=` was meant?": last_only,
        "The channels are exchanged: the gradient has the weight's shape, (O, C, K, K).": (
            lambda x, g, k, s: taps(x, g, k, s).swapaxes(0, 1)
        ),
        "g is not used: what arrives at each place belongs into the sum as a factor.": (
            lambda x, g, k, s: taps(x, np.ones_like(g), k, s)
        ),
    }
    normal = trial.generator.normal
    for shape, outs, kernel, stride in (
        ((1, 4, 4), 1, 2, 1),
        ((2, 5, 7), 3, 3, 1),
        ((3, 8, 9), 2, 3, 2),
        ((2, 9, 8), 2, 2, 3),
    ):
        places = tuple((n - kernel) // stride + 1 for n in shape[1:])
        x, g = normal(shape, dtype=np.float64), normal((outs, *places), dtype=np.float64)
        tried = f"weight_gradient(x, g, {kernel}, {stride}), x of shape {x.shape}, g of shape {g.shape}"
        trial.compare(function, taps, x, g, kernel, stride, mistakes=mistakes, tried=tried)
    return (
        "The third of the family, W(x, g): of its two gradients, one is a convolution and one a transposed convolution."
    )


def _copies(y: np.ndarray, w: np.ndarray, stride: int, add: bool = True) -> np.ndarray:
    """A copy of the kernel for each number of y: added where they overlap, or overwritten."""
    kernel = w.shape[2]
    x = np.zeros((w.shape[1], *(stride * (n - 1) + kernel for n in y.shape[1:])))
    for i, j in np.ndindex(*y.shape[1:]):
        place = x[:, stride * i : stride * i + kernel, stride * j : stride * j + kernel]
        copy = np.einsum("o,ocpq->cpq", y[:, i, j], w)
        place[...] = place + copy if add else copy
    return x


def _counted(y: np.ndarray, w: np.ndarray, stride: int) -> np.ndarray:
    """The mean of the copies that overlap: the checkerboard taken out, and with it the adjoint."""
    counts = _copies(np.ones_like(y[:1]), np.ones_like(w[:1, :1]), stride)
    return _copies(y, w, stride) / np.maximum(counts, 1)


@exercise(
    "04.4",
    "Transposed convolution",
    hints=(
        "Start with zeros of the right size. For every (i, j), add y[o, i, j]·w[o, c] to the window that begins at "
        "(stride·i, stride·j), summed over o.",
        'np.einsum("o,ocpq->cpq", y[:, i, j], w) is the copy, for all channels.',
    ),
)
def transposed_convolution(trial: Trial) -> str:
    """Write transposed(y, w, stride): for y (O, OH, OW) and w (O, C, K, K) the image (C, stride·(OH - 1) + K, …), to which
    each number of y adds a copy of the kernel."""
    transposed = trial.function("transposed")
    mistakes = {
        "Copies that overlap are added; here the later ones overwrite the earlier.": (
            lambda y, w, s: _copies(y, w, s, add=False)
        ),
        "The copies are turned round. The kernel is turned when a transposed convolution is *computed as a convolution*; "
        "put down copy by copy, it stays as it is.": lambda y, w, s: _copies(y, w[:, :, ::-1, ::-1], s),
        "Where copies overlap, their mean was taken; the adjoint wants the sum.": _counted,
        "The copies are one pixel apart, and should be `stride` pixels apart.": lambda y, w, s: _copies(y, w, 1),
        "Only the first channel of y is used: the copies of all its channels are added.": (
            lambda y, w, s: _copies(y[:1], w[:1], s)
        ),
    }
    normal = trial.generator.normal
    ones = np.ones((1, 2, 2))
    trial.compare(transposed, _copies, ones, np.arange(1.0, 5).reshape(1, 1, 2, 2), 1, mistakes=mistakes)
    for outs, channels, size, kernel, stride in ((2, 3, (3, 2), 3, 1), (3, 2, (2, 4), 3, 2), (2, 2, (3, 3), 2, 3)):
        y = normal((outs, *size), dtype=np.float64)
        w = normal((outs, channels, kernel, kernel), dtype=np.float64)
        tried = f"transposed(y, w, {stride}), y of shape {y.shape}, w of shape {w.shape}"
        trial.compare(transposed, _copies, y, w, stride, mistakes=mistakes, tried=tried)
    x = normal((2, 5, 7), dtype=np.float64)
    w, y = normal((3, 2, 3, 3), dtype=np.float64), normal((3, 2, 3), dtype=np.float64)
    left = (np.einsum("cijpq,ocpq->oij", _windows(x, 3, 2), w) * y).sum()
    right = (x * trial.call(transposed, y, w, 2, tried="transposed(y, w, 2)")).sum()
    return f"It is the adjoint: ⟨C(x, w), y⟩ = {left:.6f} and ⟨x, transposed(y, w)⟩ = {right:.6f}."


def _sums(w: np.ndarray, stride: int) -> np.ndarray:
    return np.array([w[p::stride].sum() for p in range(stride)])


def _counts(w: np.ndarray, stride: int) -> np.ndarray:
    return np.array([len(w[p::stride]) for p in range(stride)])


def _with_sum(w: np.ndarray, stride: int, m: float) -> np.ndarray:
    """w with every phase's sum moved to m, each tap of a phase by as much."""
    found = np.array(w, dtype=np.float64)
    for p, (total, count) in enumerate(zip(_sums(w, stride), _counts(w, stride))):
        found[p::stride] += (m - total) / count
    return found


def _nearest(w: np.ndarray, stride: int) -> np.ndarray:
    sums, counts = _sums(w, stride), _counts(w, stride)
    return _with_sum(w, stride, float((sums / counts).sum() / (1 / counts).sum()))


def _scaled(w: np.ndarray, stride: int) -> np.ndarray:
    sums, found = _sums(w, stride), np.array(w, dtype=np.float64)
    for p, total in enumerate(sums):
        found[p::stride] *= sums.mean() / total
    return found


@exercise(
    "04.5",
    "A kernel that draws no board",
    hints=(
        "Say that every phase's sum is to become m. A phase of n taps and sum s is moved least when each of its taps moves by "
        "(m - s)/n, which costs (m - s)²/n.",
        "Now choose m: set the derivative of Σ (m - s_p)²/n_p by m to zero. The phases need not have equally many taps.",
    ),
)
def even_kernel(trial: Trial) -> str:
    """Write even(w, stride): the kernel nearest to w (K,) whose sums over the taps p ≡ 0, …, stride - 1 (mod stride) are all
    equal."""
    even = trial.function("even")
    mistakes = {
        "The sums are equal, and each phase is moved evenly, but to the mean of the sums: where the phases have different "
        "numbers of taps, another sum costs less.": lambda w, s: _with_sum(w, s, float(_sums(w, s).mean())),
        "The sums are equal, but each phase was multiplied by a factor; adding the same to each of its taps is nearer.": (
            _scaled
        ),
        "The sums are equal and 1. Nothing asks for 1; there is a nearer kernel.": lambda w, s: _with_sum(w, s, 1.0),
        "The sums are equal and 0, as in a kernel that sees only differences. There is a nearer one.": (
            lambda w, s: _with_sum(w, s, 0.0)
        ),
        "All taps are equal, which is flat when every phase has as many taps; but nothing is left of w.": (
            lambda w, s: np.full(len(w), w.mean())
        ),
    }
    normal = trial.generator.normal
    cases = [(np.array([1.0, 2.0, 3.0, 5.0]), 2), (np.array([1.0, 4.0, 1.0]), 2)]
    cases += [(normal((k,), dtype=np.float64), s) for k, s in ((4, 2), (5, 2), (6, 3), (5, 3), (3, 1))]
    for w, stride in cases:
        tried = f"even({w.round(3).tolist()}, {stride})"
        got = trial.call(even, w, stride, tried=tried)
        if np.shape(got) == w.shape:
            array = np.asarray(got, dtype=np.float64)
            sums = _sums(array, stride)
            ones = np.zeros(2 * stride + 1)
            ones[::stride] = 1
            trial.require(
                np.ptp(sums) <= 1e-6 * np.abs(w).max(),
                f"The phases' sums are {show(sums)}, and should be equal. From y = (1, 1, 1) comes "
                f"{show(np.convolve(ones, array))}, uneven in the middle.",
                tried,
                show(array),
            )
        trial.equal(
            got, _nearest(w, stride), tried, {sentence: wrong(w, stride) for sentence, wrong in mistakes.items()}
        )
    return "In two dimensions there are stride² phases. Kernels that begin so draw no board; whether they stay so is up to training."
