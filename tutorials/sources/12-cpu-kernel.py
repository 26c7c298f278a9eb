# ---
# jupyter:
#   jupytext:
#     formats: ipynb,sources//py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12. The CPU kernel: from loops to the vector units
#
# After this notebook you can
#
# - say what a processor can do at most, in multiply-adds and in bytes, measure both, and tell which of them limits a loop;
# - see in a compiled loop whether the vector units are used, and what kept them from it;
# - write a register tile in the processor's own vectors, and say why it has the shape it has;
# - compute a convolution with fewer multiplications than it has, and say what that costs;
# - find each of these steps again in `minigen_kernels/cpu`, and divide the work among threads.
#
# You need [notebook 4](04-convolution.ipynb), and the patience to guess before you measure. It runs in about a minute.
# Every figure here is of the machine that ran the cell (for the stored ones, two cores of an AMD EPYC, Zen 3 with AVX2):
# on yours it will be another one, and the order of the rungs may change.

# %%
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np
from llvmlite import ir
from minigen_kernels import cpu, reference
from minigen_kernels.cpu import tile, tiled, winograd
from minigen_kernels.cpu.layout import aligned
from minigen_kernels.geometry import check_convolution
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.lib.stride_tricks import sliding_window_view

import minigen
from minigen import course

course.use_style()
cpu.set_num_threads(1)  # one thread, up to the last section; minigen has already told BLAS the same

# %% [markdown]
# ## What is measured
#
# One convolution on one thread, the same on every rung: $N$ images of 28×28 pixels, 64 channels to 64 channels, a 3×3 kernel,
# stride 1, one zero of padding on each side, float32. For each output there are $64 \cdot 9$ multiplications and as many
# additions, so the work is
#
# $$ 2 \cdot N \cdot 28 \cdot 28 \cdot 64 \cdot 64 \cdot 9 \;\text{FLOP}. $$
#
# (FLOP: floating-point operations. Taps that fall on the padding are counted too, as is the custom.) A speed is this number
# divided by the seconds: GFLOP/s, $10^9$ operations a second. Whatever a rung does in truth, it is credited with this work.
#
# Time is what the thread has spent computing (`time.thread_time`), so that other programs disturb less; of several runs
# the *shortest* counts, because everything that goes wrong makes a run longer. The first call is not timed: it compiles.

# %%
N, SIZE, CHANNELS = course.short(16, 2), 28, 64
FLOP = 2 * N * SIZE * SIZE * CHANNELS * CHANNELS * 9

generator = minigen.Generator(0)


def on_a_line(array, behind=0):
    """A copy that begins so many bytes behind a multiple of 64: why this matters is said on rung 4."""
    room = aligned((array.size + 16,), array.dtype)
    copy = room[behind // 4 : behind // 4 + array.size].reshape(array.shape)
    copy[...] = array
    return copy


x = generator.normal((N, SIZE, SIZE, CHANNELS))  # channels last: the 64 numbers of a pixel lie side by side
w = on_a_line(generator.normal((3, 3, CHANNELS, CHANNELS), std=0.05))  # (K, K, C, O)
padded = on_a_line(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))  # (N, 30, 30, C)

sides = ((1, 1), (1, 1, 1, 1), (1, 1), 1)  # stride, padding, dilation, groups
w_first = np.ascontiguousarray(w.transpose(3, 2, 0, 1))  # (O, C, K, K)
truth = reference.conv2d(x[:2].transpose(0, 3, 1, 2).astype(np.float64), w_first.astype(np.float64), *sides)
truth = truth.transpose(0, 2, 3, 1)  # of the first two images, in float64


LEAST = course.short(0.3, 0.02)  # seconds of one measurement


def seconds(call, least=LEAST):
    """The shortest of several runs, in seconds of this thread."""
    call()
    times = []
    while sum(times) < least or len(times) < 3:
        begin = time.thread_time()
        call()
        times.append(time.thread_time() - begin)
    return min(times)


print(f"{N} images, {FLOP / 1e9:.3f} GFLOP for one convolution, {cpu.num_threads()} thread")

# %% [markdown]
# ## The two limits
#
# A processor has arithmetic units that each finish one vector of multiply-adds per cycle (on most, two such units), and a
# memory that delivers so many bytes per second. Manufacturers print the first; we measure what a *product of large
# matrices* reaches, in NumPy and hence in BLAS, on which people have worked for decades. All rungs will be given as a share
# of that peak. The second is measured by copying an array much larger than the caches.

# %%
side = course.short(1024, 384)
a, b = generator.normal((side, side)), generator.normal((side, side))
PEAK = 2 * side**3 / seconds(lambda: a @ b) / 1e9

source = np.ones(course.short(64, 16) * 2**20 // 4, np.float32)
target = np.empty_like(source)
BANDWIDTH = 2 * source.nbytes / seconds(lambda: np.copyto(target, source)) / 1e9

print(f"peak: {PEAK:.1f} GFLOP/s, product of {side}×{side} matrices, float32, one thread")
print(f"memory: {BANDWIDTH:.1f} GB/s read and written, copying {source.nbytes / 2**20:.0f} MiB")
print(f"balance: {PEAK / BANDWIDTH:.1f} FLOP for each byte")

# %% [markdown]
# A program that makes $I$ FLOP for each byte that it moves can run no faster than
#
# $$ \min(\text{peak},\; I \cdot \text{bandwidth}) $$
#
# (the *roofline*; Williams, Waterman, Patterson 2009). Left of the balance, memory is the limit; right of it,
# arithmetic. A convolution that reads $x$ and $w$ once and writes $y$ once has the highest possible $I$; what it reads
# again lowers it.
#
# ### Exercise 12.1
#
# How much work is a convolution, and how few bytes can it move?


# %%
def work(batch, ins, outs, size, kernel, stride, padding):
    """(FLOP, bytes) of a float32 convolution of square images, `padding` zeros on each side, every array moved once."""
    ...


course.check("12.1", work)

# %%
taps, pixels = 9, N * SIZE * SIZE
least = 4 * (x.size + w.size + pixels * CHANNELS)
through_patches = least + 2 * 4 * pixels * taps * CHANNELS  # the matrix of patches is written, and read again
intensities = {
    "ReLU": pixels / (2 * 4 * pixels),
    "3×3, each channel by itself": 2 * taps / (2 * 4),
    "our convolution, by patches": FLOP / through_patches,
    "our convolution": FLOP / least,
}
intensity = np.logspace(-1.5, 3, 100)
figure, axis = plt.subplots(figsize=(7, 3.4))
axis.loglog(intensity, np.minimum(PEAK, intensity * BANDWIDTH), color="black")
for name, value in intensities.items():
    roof = min(PEAK, value * BANDWIDTH)
    axis.plot([value], [roof], "o", label=f"{name}: {value:.3g} FLOP a byte, at most {roof:.3g} GFLOP/s")
axis.set(
    xlabel="intensity, FLOP for each byte of memory", ylabel="GFLOP/s at most", title="the roofline of this machine"
)
axis.grid(which="both", alpha=0.5)
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# The convolution is far on the right: done well, it is limited by arithmetic alone. Before you go on, **write down a guess**
# for each rung, in percent of the peak: loops in Python; patches with NumPy; the loops compiled; the loops in another order;
# a tile in the registers.
#
# ## Rung 1: loops in Python
#
# The formula as it stands, on a small part: one image, 4 channels, 8×8 pixels.

# %%
ladder = {}


def rung(name, call, flop=FLOP, expected=truth):
    """Time a call, compare what it returns with the truth, and enter it."""
    error = np.abs(call()[: len(expected)] - expected).max()
    ladder[name] = flop / seconds(call) / 1e9
    share = f"{ladder[name] / PEAK:.3%}" if ladder[name] < PEAK / 1000 else f"{ladder[name] / PEAK:.1%}"
    print(f"{name:<36}{ladder[name]:10.3g} GFLOP/s, {share} of the peak, largest error {error:.1e}")


def python_loops(x, w):
    """x (N, H + 2, W + 2, C), w (K, K, C, O) → (N, H, W, O)."""
    (images, height, width, channels), (size, _, _, outs) = x.shape, w.shape
    y = np.zeros((images, height - 2, width - 2, outs), np.float32)
    for n in range(images):
        for i in range(height - 2):
            for j in range(width - 2):
                for o in range(outs):
                    for p in range(size):
                        for q in range(size):
                            for c in range(channels):
                                y[n, i, j, o] += x[n, i + p, j + q, c] * w[p, q, c, o]
    return y


small_x, small_w = padded[:1, :10, :10, :4], w[:, :, :4, :4]
small_truth = reference.conv2d(
    *(a.astype(np.float64) for a in (small_x.transpose(0, 3, 1, 2), small_w.transpose(3, 2, 0, 1))),
    *((1, 1), (0, 0, 0, 0), (1, 1), 1),
).transpose(0, 2, 3, 1)
rung(
    "loops in Python (4 channels, 8×8)",
    lambda: python_loops(small_x, small_w),
    flop=2 * 8 * 8 * 4 * 4 * 9,
    expected=small_truth,
)

# %% [markdown]
# Every number is an object, every `*` a search for what `*` means.
#
# ## Rung 2: patches, and a product of matrices
#
# As in [notebook 4](04-convolution.ipynb). The arithmetic is BLAS's; the rest is copying.


# %%
def patches_in_numpy(x, w):
    size, _, channels, outs = w.shape
    windows = sliding_window_view(x, (size, size), axis=(1, 2))  # (N, OH, OW, C, K, K), nothing copied yet
    P = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * channels)
    return (P @ w.reshape(-1, outs)).reshape(*windows.shape[:3], outs)


rung("patches, NumPy and BLAS", lambda: patches_in_numpy(padded, w))

# %% [markdown]
# From here on, every instruction is our own.
#
# ## Rung 3: the loops, compiled
#
# Numba compiles a function to machine code when it is first called. These are the loops as
# [notebook 4](04-convolution.ipynb) has them, channels first, with one sum for each output:


# %%
@njit
def loops(x, w, y):
    """x (N, C, H + 2, W + 2), w (O, C, K, K), y (N, O, H, W)."""
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            for i in range(y.shape[2]):
                for j in range(y.shape[3]):
                    total = np.float32(0)
                    for c in range(x.shape[1]):
                        for p in range(w.shape[2]):
                            for q in range(w.shape[3]):
                                total += x[n, c, i + p, j + q] * w[o, c, p, q]
                    y[n, o, i, j] = total
    return y.transpose(0, 2, 3, 1)


x_first = np.ascontiguousarray(padded.transpose(0, 3, 1, 2))
y_first = np.empty((N, CHANNELS, SIZE, SIZE), np.float32)
begin = time.perf_counter()
loops(x_first[:1], w_first, y_first[:1])
print(f"compiled in {time.perf_counter() - begin:.1f} s")
rung("loops, compiled", lambda: loops(x_first, w_first, y_first))

# %% [markdown]
# Where is the rest? Look at the machine code. On x86 processors, instructions that end in `ss` compute with a *single*
# number, those that end in `ps` with a vector (*packed*); on ARM, registers are called `s0` or `v0.4s`.


# %%
def instructions(function):
    """How many multiplications and multiply-adds there are in the code: of single numbers, and of vectors."""
    text = "\n".join(function.inspect_asm().values())
    single = re.findall(r"\bv?(?:mul|fn?madd\d+)ss\b|\bfn?m(?:ul|add)\s+s\d", text)
    packed = re.findall(r"\bv?(?:mul|fn?madd\d+)ps\b|\bfm(?:ul|la)\s+v\d+\.\ds", text)
    return f"{len(single)} of single numbers, {len(packed)} of vectors"


print(f"a vector of this processor holds {tile.LANES} float32 numbers")
print("loops:", instructions(loops))

# %% [markdown]
# Two things are against vectors here. A sum of floats depends on the order in which it is added up, so the compiler may
# not split `total` into several partial sums (unless told by `fastmath` that we do not mind). And what the innermost loop
# reads is 3 numbers long.
#
# ## Rung 4: another order
#
# So make *independent* sums lie side by side: 64 outputs of one pixel. With channels last, the innermost loop runs over
# outputs; it reads a row of weights, multiplies it by one number of $x$, and adds it to a row of $y$. No order of addition
# changes, so the compiler is free to take a vector of outputs at a time. (The rows are sliced off before the loop, so that
# it counts from 0: Numba has to expect that any other index is negative and wraps around, and checks that.)


# %%
@njit
def outputs_inside(x, w, y):
    """x (N, H + 2, W + 2, C), w (K, K, C, O), y (N, H, W, O)."""
    y[:] = 0
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                row = y[n, i, j]
                for p in range(w.shape[0]):
                    for q in range(w.shape[1]):
                        pixel, of_tap = x[n, i + p, j + q], w[p, q]
                        for c in range(pixel.size):
                            number, weights = pixel[c], of_tap[c]
                            for o in range(row.size):
                                row[o] += number * weights[o]
    return y


y = on_a_line(np.zeros((N, SIZE, SIZE, CHANNELS), np.float32))
rung("outputs innermost", lambda: outputs_inside(padded, w, y))
print("outputs innermost:", instructions(outputs_inside))

# %% [markdown]
# The same machine code, with $y$ 16 bytes further on:

# %%
elsewhere = on_a_line(y, behind=16)
rung("the same, y 16 bytes further on", lambda: outputs_inside(padded, w, elsewhere))

# %% [markdown]
# Memory comes in *lines*, usually of 64 bytes. A vector that straddles two of them is two loads, and two stores; and here
# what is stored is loaded again at once. NumPy promises that an array begins at a multiple of 16 bytes, and no more, so
# whether a program is fast can be luck, and change with every start. That is why `on_a_line` lays all arrays of this
# notebook on the beginning of a line, and why minigen has `aligned` in `layout.py`. When you measure, ask where your arrays lie.

# %% [markdown]
# ## Memory is a ladder too
#
# For each vector of multiply-adds this loop loads a vector of weights, loads one of $y$, and stores one of $y$: three ways
# to memory for one of arithmetic. That they are not as slow as the copy above is the merit of the caches. How fast is memory
# of which size?


# %%
@njit(fastmath=True)
def total(numbers, times):
    found = np.float32(0)
    for _ in range(times):
        for k in range(numbers.size):
            found += numbers[k]
    return found


sizes = 2 ** np.arange(12, course.short(28, 22))  # bytes
rates = []
for size in sizes:
    numbers, times = np.ones(size // 4, np.float32), max(1, int(2**22 // size))
    rates.append(size * times / seconds(lambda numbers=numbers, times=times: total(numbers, times), LEAST / 5) / 1e9)

figure, axis = plt.subplots(figsize=(7, 2.8))
axis.semilogx(sizes, rates, "o-", base=2)
for size, name in ((w.nbytes, "weights"), (padded[0].nbytes, "an image"), (9 * x[0].nbytes, "its patches")):
    axis.axvline(size, color="gray", linestyle=":")
    axis.text(size, max(rates) * 0.04, f" {name}", fontsize=9, rotation=90)
axis.set(xlabel="bytes that are read again and again", ylabel="GB/s", ylim=(0, None))
axis.set_xticks(sizes[::2], [f"{s // 1024} kB" if s < 2**20 else f"{s // 2**20} MB" for s in sizes[::2]])
axis.set_title("the sum of an array, by its size")
axis.grid()
plt.show()

# %% [markdown]
# A cache keeps the lines that were used last. So what counts is not how much a program reads, but how long ago it has read
# the same line. One can compute that without a machine.
#
# ### Exercise 12.2
#
# Simulate a cache. It holds `lines` lines of `line` bytes each, and drops the one that was not used for the longest
# time. How many of these reads find their line missing?


# %%
def misses(addresses, lines, line):
    """The number of misses when bytes at these addresses are read one after another, from an empty cache."""
    ...


course.check("12.2", misses)

# %% [markdown]
# ## Rung 5: four pixels at a time
#
# A row of weights, once loaded, may serve several pixels. With four of them, there are one load of weights, four of $y$ and
# four stores for four multiply-adds: 9/4 instead of 3 for each.


# %%
@njit
def four_pixels(x, w, y):
    """As outputs_inside, for a width that four divides."""
    y[:] = 0
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(0, y.shape[2], 4):
                row0, row1, row2, row3 = y[n, i, j], y[n, i, j + 1], y[n, i, j + 2], y[n, i, j + 3]
                for p in range(w.shape[0]):
                    for q in range(w.shape[1]):
                        line, of_tap = x[n, i + p, j + q : j + q + 4], w[p, q]
                        for c in range(line.shape[1]):
                            a0, a1, a2, a3 = line[0, c], line[1, c], line[2, c], line[3, c]
                            weights = of_tap[c]
                            for o in range(row0.size):
                                row0[o] += a0 * weights[o]
                                row1[o] += a1 * weights[o]
                                row2[o] += a2 * weights[o]
                                row3[o] += a3 * weights[o]
    return y


rung("four pixels at a time", lambda: four_pixels(padded, w, y))

# %% [markdown]
# ## Rung 6: a tile in the registers
#
# What is loaded and stored without end are the sums. They should stay in the processor's *registers*, the few vectors that
# its arithmetic works on directly, until they are finished. So take a tile of $R$ pixels by $V$ vectors of outputs:
#
# $$ c_{i,v} \mathrel{+}= a_i \cdot b_v, \qquad i < R, \; v < V, \qquad\text{for every channel and tap.} $$
#
# One step loads $V$ vectors $b_v$ of weights, and $R$ single numbers $a_i$, each of which is spread over a vector. It makes
# $R V$ vector multiply-adds, and stores nothing:
#
# $$ \frac{\text{loads}}{\text{multiply-adds}} = \frac{R + V}{R V} = \frac1R + \frac1V . $$
#
# The larger the tile the better, but $R V$ sums, the $V$ vectors of weights and one spread number must be in registers at the
# same time. (And there must be sums enough: an addition takes some cycles, and the next one to the same sum has to
# wait for it, so eight or ten independent ones are needed to keep two units busy.)
#
# ### Exercise 12.3
#
# Which tile is best?


# %%
def best_tile(registers):
    """The (R, V) with the fewest loads for each multiply-add, of all that fit into so many vector registers."""
    ...


course.check("12.3", best_tile)

# %% [markdown]
# Numba has no type for a vector, and no way to say "this stays in a register". But it can be taught: an *intrinsic* is a
# function for which we write the instructions ourselves, in the language of the compiler underneath (LLVM). There a vector
# of 16 floats is a type like any other, and one instruction adds and multiplies in whatever vectors the processor has.
# `alloca` makes a local variable; LLVM keeps it in a register if there is one left.

# %%
LANES = tile.LANES
R, V = next((r, v) for r, v in tile.SHAPES if CHANNELS % (v * LANES) == 0)  # minigen's, the widest that divides 64
WIDTH = V * LANES

integer, single, vector = ir.IntType(64), ir.FloatType(), ir.VectorType(ir.FloatType(), LANES)


@intrinsic
def add_tile(context, a, a_step, b, c, c_step, depth):
    """c[i, :] += Σ_{k < depth} a[i, k]·b[k, :] for R rows i of WIDTH numbers.

    a, b, c: addresses of the first numbers. a_step, c_step: bytes from row to row.
    """

    def generate(context, builder, signature, arguments):
        a, a_step, b, c, c_step, depth = arguments

        def number(k):
            return ir.Constant(integer, k)

        def place(address, offset, kind):
            return builder.inttoptr(builder.add(address, offset), kind.as_pointer())

        def spread(value):
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return builder.shuffle_vector(one, one, zeros)

        kind = ir.FunctionType(vector, [vector] * 3)
        multiply_add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")

        tile_c = [(i, v) for i in range(R) for v in range(V)]
        in_c = {
            (i, v): place(c, builder.add(builder.mul(c_step, number(i)), number(4 * LANES * v)), vector)
            for i, v in tile_c
        }
        sums = {iv: cgutils.alloca_once(builder, vector) for iv in tile_c}
        for iv in tile_c:
            builder.store(builder.load(in_c[iv], align=4), sums[iv])

        with cgutils.for_range(builder, depth, intp=integer) as loop:
            row_b = builder.mul(loop.index, number(4 * WIDTH))
            of_b = [
                builder.load(place(b, builder.add(row_b, number(4 * LANES * v)), vector), align=4) for v in range(V)
            ]
            column_a = builder.mul(loop.index, number(4))
            for i in range(R):
                of_a = spread(builder.load(place(a, builder.add(builder.mul(a_step, number(i)), column_a), single)))
                for v in range(V):
                    result = builder.call(multiply_add, [of_a, of_b[v], builder.load(sums[i, v])])
                    builder.store(result, sums[i, v])

        for iv in tile_c:
            builder.store(builder.load(sums[iv]), in_c[iv], align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


# %% [markdown]
# The loop around it is short. All padded images together are one long row of pixels, and the pixel that tap $(p, q)$ meets
# lies $30 p + q$ further on. So any $R$ pixels in a row make a tile, across the ends of lines too: what comes out for the two
# positions at the end of each line that are no pixels of $y$ is cut off.


# %%
@njit(nogil=True)
def tiles(x, w, y, line):
    """x (pixels, C), w (columns, K, K, C, WIDTH), y (pixels, O), a multiple of R pixels; line: pixels of a padded line."""
    y[:] = 0
    for t in range(0, y.shape[0], R):
        for k in range(w.shape[0]):
            for p in range(w.shape[1]):
                for q in range(w.shape[2]):
                    add_tile(
                        x[t + p * line + q :].ctypes.data,
                        4 * x.shape[1],
                        w[k, p, q].ctypes.data,
                        y[t:, k * WIDTH :].ctypes.data,
                        4 * y.shape[1],
                        x.shape[1],
                    )


LINE = SIZE + 2
PIXELS = N * LINE * LINE


def with_room(array, rows):
    """A copy of the array with so many rows of zeros behind it."""
    return np.concatenate([array, np.zeros((rows, *array.shape[1:]), np.float32)])


long_x = on_a_line(with_room(padded.reshape(PIXELS, CHANNELS), 3 * LINE + R))  # the last tiles look beyond the end
columns = on_a_line(w.reshape(3, 3, CHANNELS, -1, WIDTH).transpose(3, 0, 1, 2, 4))
long_y = on_a_line(np.zeros((-(-PIXELS // R) * R, CHANNELS), np.float32))


def in_tiles():
    tiles(long_x, columns, long_y, LINE)
    return long_y[:PIXELS].reshape(N, LINE, LINE, CHANNELS)[:, :SIZE, :SIZE]


rung("a tile in the registers", in_tiles)
print(f"R = {R} pixels, V = {V} vectors of {LANES} numbers: {(R + V) / (R * V):.3f} loads for each multiply-add")
print("a tile in the registers:", instructions(tiles))

# %% [markdown]
# ## Rung 7: minigen's tiles
#
# `minigen_kernels/cpu/tile.py` is this tile, in three widths. What `plans.py` and `tiled.py` add is *where*: a table with the
# places of each tile's rows in $x$ and $y$. No padded copy of the images is made, no pixel is computed to be cut off, and with
# other tables the same tile does the gradients, strides, dilations and groups. The pixels are *sorted by the taps they
# see*: in the middle of an image all nine, at an edge six, in a corner four. A tile of pixels of one kind then needs no
# zeros, and does not multiply by any.
#
# Where $y$ has one channel, or three, a vector of outputs would be nearly empty. `dots.py` turns the tile by a right angle:
# its vectors lie along the *input's* channels, which are side by side too, and each sum is a vector that is added up at the
# end. So are the last layer of a decoder computed, and the gradient of a critic with respect to its images.
#
# ### Exercise 12.4
#
# Which taps of a kernel fall inside the image?


# %%
def taps_inside(place, size, kernel, stride, before):
    """(first, end): the taps first ≤ p < end of this place of the kernel fall on rows 0 … size - 1, with `before` zeros above."""
    ...


course.check("12.4", taps_inside)

# %%
from minigen_kernels.cpu.plans import share_inside

for size, kernel in ((28, 3), (14, 5), (7, 5)):
    shapes = {"x": np.empty((1, 1, size, size), np.float32), "w": np.empty((1, 1, kernel, kernel), np.float32)}
    edge = kernel // 2
    square = check_convolution("conv2d", shapes, (1, 1), (edge,) * 4, (1, 1), 1)
    print(
        f"{size}×{size} pixels, {kernel}×{kernel} kernel: {1 - share_inside(square):.1%} of all multiplications are by padding"
    )

# %%
geometry = check_convolution("conv2d", {"x": x.transpose(0, 3, 1, 2), "w": w_first}, *sides)
rung("minigen's tiles", lambda: tiled.convolve(x, w_first, geometry))

# %% [markdown]
# Above 100 % is possible, since multiplications by padding are counted in FLOP but not done. And BLAS, our measure, is itself
# only software.
#
# ## Rung 8: fewer multiplications
#
# Can one go beyond what the multipliers do? Only by multiplying less. Take one dimension, a kernel of three taps $g$, and two
# outputs side by side from four inputs $d$:
#
# $$ y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2, \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 . $$
#
# Six multiplications; four are enough (Winograd 1980). The reason: these sums are the transpose of a product of polynomials, one
# with the coefficients $g_0, g_1, g_2$ and one with two coefficients, of degree 3 together. Such a product is known by
# its values at four points, and a value of it is *one* multiplication of two values. With the points $0, 1, -1$ and $\infty$, the
# values of $g$ are
#
# $$ g_0, \qquad g_0 + g_1 + g_2, \qquad g_0 - g_1 + g_2, \qquad g_2, $$
#
# and each of them is multiplied with one sum or difference of two numbers of $d$. Values of $g$ are computed once and used all
# over the image, so their additions cost nothing.
#
# ### Exercise 12.5
#
# Find the four products. `check` counts the multiplications of something made of `d` by something made of `g`; additions,
# and halving, are free.


# %%
def two_outputs(d, g):
    """(y_0, y_1) from four inputs and three weights, with four multiplications."""
    ...


course.check("12.5", two_outputs)

# %% [markdown]
# In two dimensions the scheme is applied down and across: $4 \cdot 4 = 16$ multiplications for $2 \cdot 2$ outputs, each of
# which would cost 9. With $m$ outputs in a row, $(m + 2)^2$ for $m^2$ (Lavin, Gray 2016, arXiv 1509.09308). As formula,
# with small matrices $A$, $G$, $B$ that hold the points,
#
# $$ Y = A^\top \left[ (G g G^\top) \odot (B^\top d B) \right] A . $$
#
# With channels, the products are summed over them *before* the way back. So each of the $(m + 2)^2$ numbers of a transformed
# tile is, over all tiles and channels, a matrix of its own: as many products of matrices, between cheap sums.

# %%
from minigen_kernels.cpu.winograd_schemes import matrices

for name, matrix in zip(("Aᵀ", "G", "Bᵀ"), matrices(2, 3)):
    print(f"{name} of two outputs and three taps")
    print(np.array(matrix))

# %%
for m in (2, 3, 4):
    print(
        f"{m}×{m} outputs: {(m + 2) ** 2 / m**2:.2f} multiplications for each, of 9: {9 * m**2 / (m + 2) ** 2:.2f} times fewer"
    )


# %%
def winograd_in_numpy(x, w, m):
    """x (N, H + 2, W + 2, C), w (3, 3, C, O), H and W multiples of m."""
    A, G, B = (np.array(matrix, np.float32) for matrix in matrices(m, 3))  # Aᵀ (m, n), G (n, 3), Bᵀ (n, n)
    n, channels, outs = m + 2, w.shape[2], w.shape[3]
    windows = sliding_window_view(x, (n, n), axis=(1, 2))[:, ::m, ::m]  # (N, down, across, C, n, n)
    images, down, across = windows.shape[:3]
    d = windows.transpose(4, 5, 0, 1, 2, 3).reshape(n, n, -1)
    d = np.einsum("ip,jq,pqt->ijt", B, B, d, optimize=True).reshape(n, n, -1, channels)
    g = np.einsum("ip,jq,pqco->ijco", G, G, w, optimize=True)
    products = d @ g  # n·n products of matrices: (tiles, C) times (C, O)
    y = np.einsum("ki,lj,ijt->klt", A, A, products.reshape(n, n, -1), optimize=True)
    y = y.reshape(m, m, images, down, across, outs).transpose(2, 3, 0, 4, 1, 5)
    return y.reshape(images, m * down, m * across, outs)


rung("Winograd in NumPy, 4×4 outputs", lambda: winograd_in_numpy(padded, w, 4))
rung("minigen's Winograd, 4×4 outputs", lambda: winograd.convolve(x, w_first, geometry))

# %% [markdown]
# These GFLOP/s are credit for work that was not done. The price is paid in digits: numbers are added that were of
# different size, and powers of the points magnify what was rounded. Root mean square errors, relative to that of the result:

# %%
scale = np.sqrt((truth**2).mean())
for name, found in (
    ("tiles", in_tiles()),
    ("Winograd, 2×2 outputs", winograd_in_numpy(padded, w, 2)),
    ("Winograd, 4×4 outputs", winograd_in_numpy(padded, w, 4)),
    ("minigen's Winograd", winograd.convolve(x, w_first, geometry)),
):
    print(f"{name:<24}{np.sqrt(((found[:2] - truth) ** 2).mean()) / scale:.1e}")

# %% [markdown]
# For training that is noise far below that of the batch. minigen takes Winograd's way only where it saves time
# (`winograd.applies` compares the costs), and never in float64.
#
# ## The whole ladder

# %%
figure, axis = plt.subplots(figsize=(8, 3.8))
names = list(ladder)
axis.barh(names, list(ladder.values()), color=["C0" if "minigen" not in name else "C1" for name in names])
for k, speed in enumerate(ladder.values()):
    label = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axis.text(1.15 * speed, k, f"{speed:.3g}", va="center", fontsize=9, bbox=label)
axis.axvline(PEAK, color="black", linestyle="--", linewidth=1)
axis.text(PEAK, 0, "peak of BLAS ", ha="right", va="center", fontsize=9)
axis.set(xscale="log", xlabel="GFLOP/s, one thread", xlim=(min(ladder.values()) / 2, 3 * max(ladder.values())))
axis.invert_yaxis()
axis.set_title(f"{N} images of 28×28, 64 → 64 channels, 3×3, float32")
plt.show()

slowest = next(iter(ladder))
for name, speed in ladder.items():
    print(
        f"{name:<36}{speed:10.3g} GFLOP/s {speed / PEAK:8.1%} of the peak {speed / ladder[slowest]:10.0f} times the first"
    )

# %% [markdown]
# Compare with your guesses. Where you were far off, which of the two limits had you forgotten?
#
# The other two members of the family, with minigen's choice among its ways:

# %%
flipped, of_y = x.transpose(0, 3, 1, 2), y.transpose(0, 3, 1, 2)
for name, call in (
    ("convolution", lambda: cpu.conv2d(flipped, w_first, *sides)),
    ("gradient of the image", lambda: cpu.conv_transpose2d(of_y, w_first, *sides, (SIZE, SIZE))),
    ("gradient of the weight", lambda: cpu.conv2d_weight_grad(flipped, of_y, *sides, (3, 3))),
):
    speed = FLOP / seconds(call) / 1e9
    print(f"{name:<24}{speed:8.1f} GFLOP/s {speed / PEAK:8.1%} of the peak")

# %% [markdown]
# ## All cores
#
# Images are independent, so threads may share them. Python's lock is no hindrance while compiled code runs that does not
# hold it (`nogil=True` above). Now wall time counts, and other programs on the machine do disturb.

# %%
usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


ROUNDS = course.short(25, 3)


def wall_seconds(call, rounds=ROUNDS):
    call()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def our_tiles_on(pool, threads):
    tile_count = len(long_y) // R
    cuts = [R * (tile_count * k // threads) for k in range(threads + 1)]

    def part(k):
        tiles(long_x[cuts[k] :], columns, long_y[cuts[k] : cuts[k + 1]], LINE)

    list(pool.map(part, range(threads)))


results = {}
for threads in sorted({1, 2, usable}):
    cpu.set_num_threads(threads)
    with ThreadPoolExecutor(threads) as pool:
        ours = FLOP / wall_seconds(lambda pool=pool, threads=threads: our_tiles_on(pool, threads)) / 1e9
    theirs = FLOP / wall_seconds(lambda: cpu.conv2d(flipped, w_first, *sides)) / 1e9
    product = 2 * side**3 / wall_seconds(lambda: cpu.matmul(a, b)) / 1e9
    results[threads] = cpu.conv2d(flipped, w_first, *sides)
    print(f"threads {threads}: our tiles {ours:.0f}, minigen {theirs:.0f}, product of matrices {product:.0f} GFLOP/s")
print(f"this process may use {usable} processors")

# %% [markdown]
# Three rules stand behind `threads.py`, the one thread pool of minigen:
#
# - **One pool.** Numba and BLAS each bring threads of their own. Two pools on the same cores wait for each other's
#   threads, and can make a program many times slower. So BLAS is told to use one thread, and is called from inside ours.
# - **Work is cut by shapes, never by the number of threads**, and sums are added up in a fixed order. Float sums depend on their
#   order, so a gradient that is cut in as many parts as there are threads would change from machine to machine.
# - **No two tasks write to the same place.** Where they would, in a weight gradient, each has a sum of its own.
#
# So the results are the same, bit for bit:

# %%
first = results[1]
for threads, found in results.items():
    print(
        f"threads {threads}: {np.count_nonzero(found != first)} of {first.size} numbers differ from those of 1 thread"
    )

cpu.set_num_threads(1)

# %% [markdown]
# `minigen bench cpu` measures eight convolutions in all three directions and six training steps, beside PyTorch where it is
# installed; `benchmarks/cpu.md` has what it found.
#
# ## What to read next
#
# - Goto, van de Geijn: *Anatomy of high-performance matrix multiplication*, ACM TOMS 34, 2008: tiles and caches.
# - Williams, Waterman, Patterson: *Roofline: an insightful visual performance model*, CACM 52, 2009.
# - Lavin, Gray: *Fast algorithms for convolutional neural networks*, 2016, arXiv 1509.09308; Barabasz et al., 2020,
#   arXiv 1803.10986, on its errors.
# - In `kernels/minigen_kernels/cpu/`, in this order (the map in the README says what each is): `__init__.py` (the four
#   ways), `patches.py`, `tile.py`, `plans.py`, `tiled.py`, `dots.py`, `winograd_schemes.py`, `winograd_vectors.py`,
#   `winograd.py`, `threads.py`.
# - [Notebook 13](13-cuda-kernel.ipynb): the same climb on a GPU.
