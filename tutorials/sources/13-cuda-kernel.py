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
# # 13. The CUDA kernel, rung by rung
#
# After this notebook you can
#
# - write a CUDA kernel, and run it thread by thread on a machine without a GPU;
# - recognize a race, a barrier that not all threads reach, and an index out of bounds, and repair them;
# - say by arithmetic what limits a kernel: a roofline by hand;
# - read eleven versions of one convolution, from one thread for each number to tensor cores, and say what each gains,
#   in loads that you have counted;
# - read what a compiled kernel takes: registers, shared memory, blocks on a multiprocessor;
# - capture a training step as a CUDA graph, and say what it freezes.
#
# You need notebooks [4](04-convolution.ipynb) and [12](12-cpu-kernel.ipynb). **No GPU is needed**: kernels run in a
# simulator, and are compiled by NVIDIA's compiler if it is installed. What cannot be had without a GPU is time, and
# this notebook states none. It runs in about a minute.

# %%
import difflib
import inspect
import json
import re
from functools import partial
from math import prod
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from minigen_kernels import reference
from minigen_kernels.cuda.build import build
from minigen_kernels.cuda.catalogue import LADDER_GEOMETRY
from minigen_kernels.cuda.kernel import Kernel, blocks_for
from minigen_kernels.cuda.ladder import RUNGS, conv2d
from minigen_kernels.cuda.ladder.shapes import SMALL_TILE
from minigen_kernels.cuda.simulator import KernelFault, Traffic, simulate
from numba import cuda, float32

import minigen
from minigen import course
from minigen import functional as F
from minigen.errors import GraphError

course.use_style()

# %% [markdown]
# ## What a GPU runs
#
# A *kernel* is a function that thousands of threads run, each with a number of its own. Threads come in **blocks**, and the
# threads of a block share a small fast **shared memory**, and can wait for each other at **barriers**. All blocks together
# are the grid. Blocks do not wait for each other, and in which order threads run is nobody's business: a kernel that
# depends on it is wrong.
#
# So a simulator is a short program. Write a kernel as a generator that says `yield` where it meets a barrier; then run each
# thread up to its next `yield`, and when all have come so far, on to the next.


# %%
def run_by_hand(kernel, blocks, threads, *arguments, arrange=list):
    """Every block, thread by thread, from one barrier to the next; `arrange` puts the threads into an order."""
    for block in range(blocks):
        shared = {}
        alive = [kernel(block, thread, shared, *arguments) for thread in range(threads)]
        while alive:
            alive = [thread for thread in arrange(alive) if next(thread, "through") != "through"]


def block_sums_by_hand(block, thread, shared, x, y):
    """y[block] = the sum of 32 numbers of x, added in pairs: 16 sums, then 8, 4, 2, 1."""
    shared[thread] = x[32 * block + thread]
    yield  # everybody has put a number there
    half = 16
    while half:
        if thread < half:
            shared[thread] += shared[thread + half]
        yield  # everybody is through with this round
        half //= 2
    if thread == 0:
        y[block] = shared[0]


x = minigen.Generator(0).normal((96,))
by_hand = np.zeros(3, np.float32)
run_by_hand(block_sums_by_hand, 3, 32, x, by_hand)
print("by hand:", by_hand, " NumPy:", x.reshape(3, 32).sum(1))

# %% [markdown]
# In minigen a kernel is a Python function that Numba compiles for the GPU, and that `simulate` runs as above: what you debug
# is what is compiled. `cuda.threadIdx`, `blockIdx` and `blockDim` say who a thread is, `cuda.grid(1)` is its number in the
# whole grid. A pointer has one index and no shape. A `Kernel` adds the types of the arguments, how many blocks there are,
# and how many threads a block has.


# %%
def block_sums(x, y):
    s = cuda.shared.array(32, float32)
    thread = cuda.threadIdx.x
    s[thread] = x[cuda.grid(1)]
    cuda.syncthreads()
    half = 16
    while half > 0:
        if thread < half:
            s[thread] += s[thread + half]
        cuda.syncthreads()
        half //= 2
    if thread == 0:
        y[cuda.blockIdx.x] = s[0]


kernel = Kernel(block_sums, ("float32*", "float32*"), grid=(3, 1, 1), block=(32, 1, 1))
for order in ("forward", "reverse", 7):  # a number: the threads are shuffled anew at every barrier
    sums = np.zeros(3, np.float32)
    simulate(kernel, (x, sums), order)
    print(f"order {order!s:8} largest difference from ours: {np.abs(sums - by_hand).max()}")

# %% [markdown]
# ### Exercise 13.1
#
# A first kernel: add a bias to each channel and cut off below zero, $y = \max(x + b, 0)$. The arrays lie channels-last in
# memory, so number $i$ of $x$ is of channel $i \bmod C$. One thread for each number; blocks are of 32 threads, and the last
# one may reach beyond the end. Names from the notebook (`cuda`, `float32`) may be used; `max` works on a GPU, too.


# %%
def bias_relu(x, b, y, size, C):
    """y[i] = max(x[i] + b[i % C], 0) for i < size, each i by the thread of that number."""
    ...


course.check("13.1", bias_relu)

# %% [markdown]
# ## What goes wrong, and stays silent on a GPU
#
# ### A race
#
# Without the barriers, a thread may read before another has written. What comes out depends on the order. A simulator that
# takes one order would tell us nothing, if it is the lucky one:


# %%
def mirror_by_hand(block, thread, shared, x, y):
    shared[thread] = x[thread]
    y[thread] = shared.get(7 - thread, np.nan)  # nan: nothing is there yet
    yield  # too late


numbers = np.arange(8, dtype=np.float32)
for name, arrange in (("forward", list), ("backward", lambda threads: threads[::-1])):
    found = np.zeros(8)
    run_by_hand(mirror_by_hand, 1, 8, numbers, found, arrange=arrange)
    print(f"{name:8}", found)

# %% [markdown]
# minigen's simulator does not compare orders. It remembers for each number of memory who wrote and read it last, and refuses
# the first access that no barrier has put in order, whether or not it does harm this time.


# %%
def fault_of(function, *arrays, threads=64, order="forward"):
    """What the simulator says about a kernel of one block."""
    kernel = Kernel(function, ("float32*",) * len(arrays), (1, 1, 1), (threads, 1, 1))
    try:
        simulate(kernel, arrays, order)
    except KernelFault as fault:
        return f"KernelFault: {fault}"
    return "no fault"


def mirror(x, y):
    s = cuda.shared.array(64, float32)
    thread = cuda.threadIdx.x
    s[thread] = x[thread]
    y[thread] = s[63 - thread]


x, y = np.ones(64, np.float32), np.zeros(64, np.float32)
print(fault_of(mirror, x, y))
print(fault_of(mirror, x, y, order="reverse"))

# %% [markdown]
# ### A barrier that not all threads reach
#
# Half the threads wait for the others, which are gone. A GPU hangs, or goes on and computes nonsense.


# %%
def half_waits(x, y):
    s = cuda.shared.array(64, float32)
    thread = cuda.threadIdx.x
    s[thread] = x[thread]
    if thread < 32:
        cuda.syncthreads()
        y[thread] = s[63 - thread]


print(fault_of(half_waits, x, y))

# %% [markdown]
# ### An index out of bounds
#
# On a GPU, a number beyond an array's end is usually somebody else's number, and nobody complains. NumPy complains, except
# below zero, where it counts from the end. The simulator refuses both.


# %%
def beyond(x, y):
    y[cuda.grid(1)] = x[cuda.grid(1) + 1]


def below(x, y):
    y[cuda.grid(1)] = x[cuda.grid(1) - 1]


print(fault_of(beyond, x, y))
print(fault_of(below, x, y))

# %% [markdown]
# And memory that nobody wrote holds NaN, so that a number which should have been written shows in the result.
#
# ### Exercise 13.2
#
# This kernel multiplies matrices, $c = ab$ with $a$ of $M \times K$, $b$ of $K \times N$. A block of 4 × 4 threads computes
# 4 × 4 numbers of $c$. In each step along $K$ it fetches 4 × 4 numbers of $a$ and of $b$ into shared memory, each thread
# one of each, and then every thread multiplies a row by a column. Its barriers are missing. At which of the marks A to F
# must there be one? Give as few letters as will do, for example `"AF"`: predict, and `check` runs it.
#
# ```python
# def product(a, b, c, M, N, K):
#     left = cuda.shared.array((4, 4), float32)
#     right = cuda.shared.array((4, 4), float32)
#     tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
#     row, column = 4 * cuda.blockIdx.y + ty, 4 * cuda.blockIdx.x + tx
#     total = float32(0)
#     # A
#     for start in range(0, K, 4):
#         left[ty, tx] = a[row * K + start + tx] if row < M and start + tx < K else float32(0)
#         # B
#         right[ty, tx] = b[(start + ty) * N + column] if start + ty < K and column < N else float32(0)
#         # C
#         for k in range(4):
#             total += left[ty, k] * right[k, tx]
#             # D
#         # E
#     # F
#     if row < M and column < N:
#         c[row * N + column] = total
# ```

# %%
barriers = ""  # your letters

course.check("13.2", barriers)

# %% [markdown]
# ## How fast could it be? A roofline by hand
#
# Every kernel moves numbers and multiplies them. With $P$ operations a second and a memory of $B$ bytes a second, $F$
# operations on $Q$ bytes take at least
#
# $$ t \ge \max\left(\frac{F}{P}, \frac{Q}{B}\right), \qquad\text{so}\qquad \frac{F}{t} \le \min(P,\; I B),
#    \qquad I = \frac{F}{Q} . $$
#
# $I$ is the *arithmetic intensity*, in operations a byte; the bound over $I$ is the *roofline* (Williams, Waterman,
# Patterson 2009). A multiply-add counts as two operations. The peaks below are from NVIDIA's data sheets (A100 40 GB SXM
# 2020, H100 SXM 2022): what the maker promises, not what anybody measured here.
#
# A convolution of $N$ images with $C$ channels to $O$ channels, $H \times W$ pixels, $K \times K$ taps, stride 1, with as
# many pixels out as in, has $F = 2 N H W O C K^2$. At the least it moves $x$, $w$ and $y$ once, 4 bytes a number.

# %%
PEAKS = {  # operations a second in float32, in TF32 on tensor cores; bytes a second; multiprocessors; float32 units of each
    "A100": (19.5e12, 156e12, 1.555e12, 108, 64),
    "H100": (67e12, 495e12, 3.35e12, 132, 128),
}
layer = LADDER_GEOMETRY
pixels = layer.batch * prod(layer.out_size)
products = pixels * layer.out_channels * layer.in_channels * prod(layer.kernel_size)
numbers = (
    layer.batch * layer.in_channels * prod(layer.in_size)
    + layer.out_channels * layer.in_channels * prod(layer.kernel_size)
    + pixels * layer.out_channels
)
ideal = 2 * products / (4 * numbers)
print(f"{products / 1e9:.2f}e9 multiply-adds on {4 * numbers / 1e6:.1f} MB at least: {ideal:.0f} operations a byte")
for name, (single, tensor, bandwidth, *_) in PEAKS.items():
    print(
        f"{name}: the roof is flat from {single / bandwidth:.0f} operations a byte in float32, from {tensor / bandwidth:.0f} in "
        f"TF32; the layer takes at least {1e6 * max(2 * products / single, 4 * numbers / bandwidth):.0f} or "
        f"{1e6 * max(2 * products / tensor, 4 * numbers / bandwidth):.0f} µs"
    )

# %% [markdown]
# So this layer should be limited by arithmetic, not by memory. But a kernel gets that intensity only if it fetches each
# number *once*. One that fetches two numbers for each multiply-add has 2 operations for 8 bytes, a quarter.
#
# ### Exercise 13.3
#
# Write the intensity of such a convolution for any shapes.


# %%
def intensity(x_shape, w_shape):
    """Operations a byte for x (N, C, H, W) and w (O, C, K, K), stride 1, as many pixels out as in, float32; each array moves
    once."""
    ...


course.check("13.3", intensity)

# %% [markdown]
# ## How memory answers: sectors and banks
#
# The 32 threads of a **warp** go through the kernel in step, and ask for memory together. Global memory answers in
# *sectors* of 32 bytes, eight floats: neighbours that ask for neighbouring numbers share them (their request is
# *coalesced*). Shared memory has 32 *banks*, and number $i$ lies in bank $i \bmod 32$. In one pass each bank gives one
# number, to all threads that want it; threads that want different numbers of one bank need several passes. The simulator
# counts this, if it is given a `Traffic`:


# %%
def traffic_of_stride(step):
    def strided(x, y):
        y[cuda.grid(1)] = x[step * cuda.grid(1)]

    traffic = Traffic()
    arrays = np.zeros(32 * max(step, 1), np.float32), np.zeros(32, np.float32)
    simulate(Kernel(strided, ("float32*", "float32*"), (1, 1, 1), (32, 1, 1)), arrays, traffic=traffic)
    return traffic.loads["x"]


for step in (0, 1, 2, 4, 8, 32):
    print(f"threads {step:2} floats apart:", traffic_of_stride(step))

# %% [markdown]
# All of them ask for 32 numbers. One sector serves a warp whose threads want the same number, four serve neighbours, and 32
# are needed from a distance of eight on. `passes` says what shared memory would take: with an odd distance always one (try
# 33), with 32 the worst.
#
# ## The ladder
#
# `minigen_kernels.cuda.ladder` has one convolution eleven times. Each rung is a file that says in its docstring what it
# changes against the one before, why, and what that should gain. Here each is read (what is shown is the difference of the
# two files, as they are installed), run, compared with the reference, and counted. The convolution is small, because a
# simulator is slow, and its numbers are small whole numbers, so that sums are exact and the difference must be zero. All
# arrays lie channels-last: $x$ as $(N, H, W, C)$, $w$ as $(K, K, C, O)$, $y$ as $(N, H, W, O)$.

# %%
generator = minigen.Generator(1)
taps, ins = course.short((2, 16), (1, 8))  # the window, and the input channels
X = generator.integers(-3, 4, (1, ins, 7 + taps, 7 + taps)).astype(np.float32)
W = generator.integers(-3, 4, (64, ins, taps, taps)).astype(np.float32)
plain = (1, 1), (0, 0, 0, 0), (1, 1)  # stride, padding, dilation
expected = reference.conv2d(X, W, *plain, 1)
count = expected.size * ins * taps * taps  # multiply-adds

tiles = {"naive": {}, "coalesced": {}, "shared_memory": {"tile": 16}, "tf32": {"tile": SMALL_TILE._replace(BK=16)}}
counted = {}


def code_of(name):
    """The lines of a rung's file that compute, after docstring and imports; all kernels are called conv2d here."""
    code = inspect.getsource(RUNGS[name]).split('__all__ = ["kernel", "numbers"]')[1]
    return code.replace(f"conv2d_{name}", "conv2d").strip().splitlines()


def climb(name, before=None):
    """Run a rung, count what it asks of memory, and show how its file differs from another's."""
    traffic = Traffic()
    y = conv2d(X, W, *plain, rung=name, run=partial(simulate, traffic=traffic), **tiles.get(name, {"tile": SMALL_TILE}))
    outside = [traffic.loads["x"], traffic.loads["w"]]
    inside = [c for kind in (traffic.loads, traffic.stores) for array, c in kind.items() if array in "ab"]
    counted[name] = (
        sum(c.numbers for c in outside) / count,
        32 * sum(c.sectors for c in outside) / count,
        sum(c.numbers for c in inside) / count,
        32 * sum(c.passes for c in inside) / count,
        32 * sum(c.requests for c in outside + inside) / count,
    )
    print(f"largest difference from the reference: {np.abs(y - expected).max()}")
    print("for each multiply-add, global memory: {:.3f} numbers, {:.3f} bytes".format(*counted[name][:2]))
    print("shared memory: {:.3f} numbers; for 32 multiply-adds {:.3f} passes".format(*counted[name][2:4]))
    print(f"instructions of a warp for memory, for 32 multiply-adds: {counted[name][4]:.3f}")
    if before is None:
        return Markdown("```python\n" + "\n".join(code_of(name)) + "\n```")
    lines = list(difflib.unified_diff(code_of(before), code_of(name), lineterm="", n=1))[2:]
    return Markdown("```diff\n" + "\n".join("@@" if line.startswith("@@") else line for line in lines) + "\n```")


# %% [markdown]
# ### Rung 1, naive
#
# One thread for each number of $y$, doing what the formula says. Neighbouring threads have neighbouring *pixels*: they want
# the same number of $w$, but their numbers of $x$ lie $C$ floats apart, each in a sector of its own. For 32 multiply-adds
# that is 32 + 1 sectors of 32 bytes: predict the bytes for each before you read on.

# %%
climb("naive")

# %% [markdown]
# ### Rung 2, coalesced
#
# Two lines change: neighbouring threads have neighbouring *channels*. The same numbers are asked for, but now the warp wants
# one number of $x$, and 32 neighbours of $w$, four sectors.

# %%
climb("coalesced", "naive")

# %% [markdown]
# ### Rung 3, shared memory
#
# A convolution is a product of matrices ([notebook 4](04-convolution.ipynb)): rows are pixels, and there are
# $K = K_H K_W C$ numbers in each. A block of 16 × 16 threads makes a tile of 16 × 16 outputs. At each step along $K$ it
# fetches 16 × 16 numbers of both matrices into shared memory, and uses each of them 16 times: $2/16$ numbers for each
# multiply-add. The matrix of patches is never written down; a thread computes where its numbers lie in $x$.

# %%
climb("shared_memory", "coalesced")

# %% [markdown]
# ### Rung 4, a tile in registers
#
# Two numbers of shared memory for each multiply-add are too many: a multiprocessor gives 32 of them in a cycle and
# multiplies 64 or 128. Now a thread computes $T_M \times T_N$ outputs. It reads $T_M + T_N$ numbers from shared memory and
# multiplies each by each: $(T_M + T_N)/(T_M T_N)$. The block's tile grows to $B_M \times B_N$, so global memory is read
# $1/B_M + 1/B_N$ times. Here they are 64 × 64 and 8 × 4; on large layers 128 × 128 and 8 × 8.

# %%
climb("register_tile", "shared_memory")

# %% [markdown]
# ### Rung 5, loads of four
#
# Four neighbouring floats move by one instruction. For that the tile of $a$ lies turned in shared memory. And the divisions
# that found tap and channel of each $k$ are gone: the way along $K$ is walked by additions. The numbers and bytes
# asked for are the same; what falls is the count of *instructions* for them, and of passes.

# %%
climb("vector_loads", "register_tile")

# %% [markdown]
# ### Rung 6, unrolled; rung 7, constant shapes
#
# Nothing that we count changes: rung 6 lets two $k$ share one comparison and jump, and rung 7 makes the sizes constants of
# the compiled kernel, which frees registers (look at them below), so that two blocks fit on a multiprocessor.

# %%
climb("unrolled", "vector_loads")

# %%
climb("constant_shapes", "unrolled")

# %% [markdown]
# ### Rung 8, a tile for each warp
#
# Threads of a warp that want the same number of shared memory get it in one pass. 4 × 8 threads want fewer different numbers
# than 2 × 16: the same thought as before, at the level between thread and block. The simulator's passes are the fewest that
# the banks allow; how the hardware cuts loads of 128 bits its makers do not say.

# %%
climb("warp_tiling", "constant_shapes")

# %% [markdown]
# ### Rung 9, double buffer
#
# A load from global memory takes hundreds of cycles. So the next step's numbers are asked for *before* this step is
# multiplied, and are put into a second buffer after it. What is loaded stays the same: time is hidden, not saved. One of the
# two barriers of a step goes.

# %%
climb("double_buffer", "warp_tiling")

# %% [markdown]
# ### Rung 10, asynchronous copies
#
# `cp.async` (sm_80 and later) copies from global to shared memory without a register in between, so that three steps can be
# under way. A copy does not turn anything, so numbers of $x$ are copied one by one: more requests, each for a quarter of a
# sector's neighbours, and our count of bytes goes *up*. (The first-level cache is asked more often; memory is not.)

# %%
climb("cp_async", "double_buffer")

# %% [markdown]
# ### Rung 11, tensor cores
#
# The 32 threads of a warp hold a tile of 16 × 8 numbers of $a$ and of 8 × 8 of $b$ in their registers, and one instruction
# multiplies them: 1024 multiply-adds instead of 32. Factors are rounded to TF32, sums are float32. Our whole numbers have
# few digits, so that nothing is lost; what rounding does to others is below.

# %%
climb("tf32", "cp_async")

# %% [markdown]
# ## What was gained
#
# All counts side by side, numbers and bytes for one multiply-add, the rest for 32 (an instruction of a warp), and beside
# them a bound: how many cycles a multiprocessor of an H100 needs at least for 32
# multiply-adds of a warp, if memory is asked as counted. *Multiply*: 128 units, or tensor cores by the ratio of the peaks.
# *Shared*: a pass is a cycle. *Global*: bytes over what one multiprocessor has of the bandwidth, **if no cache helped**,
# which it does; so that column says how much a rung leaves to the caches, and is no prediction of time.

# %%
single, tensor, bandwidth, processors, units = PEAKS["H100"]
clock = single / (2 * processors * units)
bytes_a_cycle = bandwidth / clock / processors
print(f"H100: {clock / 1e9:.2f} GHz by its peak, {bytes_a_cycle:.1f} bytes a cycle for each multiprocessor")
print(f"{'':16} of global memory   | of shared memory  | instructions | cycles, at least")
print(f"{'':16}  numbers    bytes  |  numbers   passes |    for memory | multiply  shared  global")
for name, (asked, moved, shared, passes, requests) in counted.items():
    multiply = 32 / units * (single / tensor if name == "tf32" else 1)
    print(
        f"{name:16} {asked:8.3f} {moved:8.3f}  | {shared:8.3f} {passes:8.3f} | {requests:13.3f} | "
        f"{multiply:8.3f} {passes:7.3f} {32 * moved / bytes_a_cycle:7.3f}"
    )

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), gridspec_kw={"width_ratios": [1.1, 1]})
places = np.arange(len(counted))
left.barh(places - 0.27, [c[1] for c in counted.values()], 0.26, label="bytes of global memory, for 1")
left.barh(places, [c[3] for c in counted.values()], 0.26, label="passes of shared memory, for 32")
left.barh(places + 0.27, [c[4] for c in counted.values()], 0.26, label="instructions for memory, for 32")
left.set(xscale="log", xlim=(0.04, 60), yticks=places, yticklabels=list(counted), title="counted, for multiply-adds")
left.invert_yaxis()
left.legend(loc="center right")

span = np.geomspace(0.02, 1000, 200)
for peak, label in ((tensor, "TF32"), (single, "float32")):
    right.plot(span, np.minimum(peak, span * bandwidth) / 1e12, label=f"roof of an H100, {label}")
for number, (name, c) in enumerate(counted.items(), 1):
    peak = tensor if name == "tf32" else single
    at = 2 / c[1]
    right.plot(at, min(peak, at * bandwidth) / 1e12, "o", color="black", markersize=4)
    if name in ("naive", "coalesced", "shared_memory", "register_tile", "cp_async"):
        rungs = "4 to 9, 11" if name == "register_tile" else str(number)
        right.annotate(rungs, (at, at * bandwidth / 1e12), textcoords="offset points", xytext=(-4, 4), ha="right")
right.axvline(ideal, color="gray", linestyle=":", label="the layer, all moved once")
right.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="TFLOP/s, at most")
right.set_title("bounds without caches; not measured")
right.legend(loc="upper left")
plt.show()

# %% [markdown]
# Read it from the top. Coalescing and tiles bring down what is asked of global memory by two orders of magnitude; the
# tiles of 128 × 128 that large layers get halve it once more, to less than the multiplications take. In rung 3 shared
# memory is the limit, and only registers relieve it: rung 4 needs a fifth of the passes, and rung 5 less than a third of
# rung 4's instructions, and fewer passes than there are cycles of multiplying. From there on a kernel can be limited by
# arithmetic, as the layer should be, and rungs 6 to 10 see to it that nobody waits, which no count of loads shows. Tensor
# cores lower the cycles of multiplying so far that memory is the limit again.
#
# Larger tiles ask for less, by $1/B_M + 1/B_N$. Why not the largest possible? Because of what a tile takes.
#
# ## What a kernel takes
#
# A multiprocessor has 65,536 registers, and holds up to 2,048 threads (64 warps; sm_80, sm_90). A kernel of many registers
# has fewer warps there, and fewer warps hide less waiting. What a thread takes only the compiler knows. Compiling needs no
# GPU: where NVIDIA's compiler is installed (`pip install "numba-cuda[cu13]"`), the rungs are compiled here for the layer
# above. Elsewhere we take the figures from the rungs' docstrings; a test of minigen holds those to the compiler's, which
# are on record for all architectures and kernels in `benchmarks/cuda_resources.json`.


# %%
def on_record(name):
    """Registers and bytes of shared memory on sm_90, as the rung's docstring has them."""
    said = " ".join(RUNGS[name].__doc__.split("Resources:")[1].split())
    registers, shared = re.search(r"(\d+) on sm_90, (no|\d+)", said).groups()
    return int(registers), 0 if shared == "no" else int(shared)


def compiled(name):
    """The same as the compiler says now, or None where it is not installed."""
    try:
        taken = build(RUNGS[name].kernel(layer), (9, 0)).resources
    except ImportError:
        return None
    return taken.registers, taken.shared


names = list(RUNGS)
here = {name: compiled(name) for name in names[: course.short(len(names), 2)]}
taken = {name: here.get(name) or on_record(name) for name in names}
built = [name for name in here if here[name]]
differing = [name for name in built if here[name] != on_record(name)]
print(f"compiled here: {len(built)} of {len(names)} rungs, {len(differing)} of them with other figures than on record")
print(f"{'':16} registers  shared  threads  blocks on a multiprocessor  warps")
for name, (registers, shared) in taken.items():
    threads = RUNGS[name].kernel(layer).threads
    registers_of_a_warp = blocks_for(32 * registers, 256) * 256  # are given out in pieces of 256
    blocks = min(65536 // (registers_of_a_warp * threads // 32), 2048 // threads)
    print(f"{name:16} {registers:9} {shared:7} {threads:8} {blocks:27} {blocks * threads // 32:6}")

# %% [markdown]
# Rung 4 pays for its tile: one block of 256 threads on a multiprocessor. Rung 7 has two again. Few warps are enough if each
# has much to do between two waits, which is what rungs 9 and 10 are for. (A number that a thread keeps and has no register
# for is *spilled* to memory; a kernel in the table that spills fails a test of minigen's.)
#
# The other limit is the number of tiles. With 132 multiprocessors, blocks are worked off in rounds of 132 (at one block
# each), and the last round may be nearly empty; at the edges, tiles reach beyond the matrix. So the share of the machine's
# multiply-adds that count is
#
# $$ \frac{\text{pixels} \cdot \text{channels}}{\text{rounds} \cdot \text{multiprocessors} \cdot B_M B_N} . $$
#
# ### Exercise 13.4
#
# Write it, with the rounds from the tiles.


# %%
def useful_share(pixels, channels, BM, BN, multiprocessors):
    """The share of useful multiply-adds, when tiles of BM pixels by BN channels are worked off in rounds, one tile to each
    multiprocessor."""
    ...


course.check("13.4", useful_share)

# %% [markdown]
# Choose a tile with it: 64 images of 7 × 7 with 128 channels, and the layer from above, on an H100. Which of 128 × 128,
# 64 × 64 and 32 × 32 does the most useful work? And which would the loads, $1/B_M + 1/B_N$, choose? minigen's rule of thumb is
# in `minigen_kernels/cuda/tiles.py`.
#
# ## TF32 in numbers
#
# TF32 has the exponent of float32 and 10 of its 23 bits of fraction. To round, add half of the last kept place and cut off
# the rest. Tensor cores cut by themselves; if a kernel does not round before, every factor comes out too small.

# %%
KEPT = np.uint32(0xFFFFE000)  # all but the last 13 bits


def to_tf32(x, half=0x1000):
    """float32 → the nearest numbers of TF32, halves away from zero; with half=0, cut off."""
    return ((x.view(np.uint32) + np.uint32(half)) & KEPT).view(np.float32)


for value in (1 / 3, 0.1, 1 + 2**-11, 1 + 2**-12, 4097.0):
    v = np.array([value], np.float32)
    print(
        f"{v[0]:.9f} -> {to_tf32(v)[0]:.9f}, off by 2^{np.log2(max(abs(to_tf32(v)[0] / v[0] - 1), 2.0**-60)):.1f} of it"
    )

# %%
many = generator.normal((100_000,))
for name, half in (("rounded", 0x1000), ("cut off", 0)):
    off = to_tf32(many, half).astype(np.float64) / many - 1
    print(f"{name}: largest 2^{np.log2(np.abs(off).max()):.2f}, mean {off.mean():+.1e} of the number")

# %%
span = np.linspace(1, 1 + 2**-8, 2000, dtype=np.float32)
for name, half in (("rounded", 0x1000), ("cut off", 0)):
    plt.plot(span, to_tf32(span, half) - span, label=name)
plt.axhline(0, color="gray", linewidth=0.8)
plt.gcf().set_size_inches(7, 2.4)
plt.xlabel("$x$")
plt.title("TF32 of $x$, minus $x$")
plt.legend(loc="lower left", bbox_to_anchor=(1, 0.3))
plt.show()

# %% [markdown]
# Rounded numbers are off by up to $2^{-11}$, a factor of two less than cut ones; more important, their errors have no
# preferred sign, so that in a sum they cancel rather than add up. In `minigen` you ask for TF32 by
# `minigen.set_float32_precision("tf32")`; it holds for devices `cuda` and `cudasim`, and the default is float32.

# %%
a, b = generator.normal((1, 16, 6, 6)), generator.normal((16, 16, 3, 3))
exact = reference.conv2d(a.astype(np.float64), b.astype(np.float64), *plain, 1)
terms = reference.conv2d(
    abs(a).astype(np.float64), abs(b).astype(np.float64), *plain, 1
)  # sum of the sizes of the terms
for precision in ("ieee", "tf32"):
    minigen.set_float32_precision(precision)
    y = F.conv2d(minigen.tensor(a, device="cudasim"), minigen.tensor(b, device="cudasim")).numpy()
    print(
        f"{precision}: largest error 2^{np.log2((np.abs(y - exact) / terms).max()):.1f} of the sum of the terms' sizes"
    )
minigen.set_float32_precision("ieee")
by_hand = reference.conv2d(to_tf32(a).astype(np.float64), to_tf32(b).astype(np.float64), *plain, 1)
print(f"tf32 against our rounding, summed in double precision: {(np.abs(by_hand - y) / terms).max():.1e}")

# %% [markdown]
# ### Exercise 13.5
#
# The last exercise takes it all together. Write the transposition of a matrix, $y_{cr} = x_{rc}$. Done naively, either the
# loads or the stores are scattered: eight times the sectors. So a block of 32 × 32 threads (`cuda.threadIdx.x`, `.y`)
# brings a tile of 32 × 32 into shared memory, row by row, and writes its columns out row by row. `blockIdx.x` counts tiles
# along the columns of $x$, `blockIdx.y` along its rows. The check wants the right numbers for several shapes and orders of
# the threads, no race, nothing read or written beyond the arrays, the fewest sectors, and one pass of the banks for each
# request. The last of these takes a trick.


# %%
def transpose(x, y, rows, columns):
    """x (rows, columns), y (columns, rows), both flat, row by row: y[c * rows + r] = x[r * columns + c]."""
    ...


course.check("13.5", transpose)

# %% [markdown]
# ## CUDA graphs
#
# A training step of a small network is many launches of small kernels, and on a fast GPU the host may need longer to ask for
# them than the GPU to run them. A **CUDA graph** records the launches once, with all their addresses, and replays them as
# one. `minigen.cuda.graph` captures a whole step: forward, backward, optimizer. On the device `cudasim` it is a simulation
# of one, which holds to the same rules. Here a classifier of two blobs, with dropout:


# %%
def training(seed=0):
    """A network and its step on the simulated GPU; two of them begin alike."""
    minigen.manual_seed(seed)
    model = minigen.nn.Sequential(
        minigen.nn.Linear(2, 8), minigen.nn.Tanh(), minigen.nn.Dropout(0.2), minigen.nn.Linear(8, 1)
    ).to("cudasim")
    optimizer = minigen.optim.Adam(model.parameters(), lr=0.05)

    def step(points, labels):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(points), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, optimizer


steps = course.short(12, 4)
labels = (generator.uniform((steps, 8, 1)) > 0.5).astype(np.float32)
points = generator.normal((steps, 8, 2)) + 2 * labels

eager, _ = training()
losses = [
    eager(minigen.tensor(p, device="cudasim"), minigen.tensor(c, device="cudasim")).item()
    for p, c in zip(points, labels)
]
step, optimizer = training()
fast = minigen.cuda.graph(step, device="cudasim")
captured = [fast(p, c).item() for p, c in zip(points, labels)]  # 1st call: as it is; 2nd: captured; then replayed
print(f"loss at first {losses[0]:.4f}, after {steps} steps {losses[-1]:.4f}")
print(f"largest difference, captured from eager: {np.abs(np.subtract(losses, captured)).max()}")
fast

# %% [markdown]
# The losses are the same, to the bit, although every step has other data, other masks of dropout, and another count in
# Adam's bias correction. What is *renewed* before each replay: arguments (copied to where the graph reads them), random
# numbers, the optimizer's counters and rates. What is *frozen* is everything that Python decided while it was captured:

# %%
factor = 1.0


def scaled(x):
    return (factor * x).sum()


def scaled_by_argument(x, factor):
    return (factor * x).sum()


frozen = minigen.cuda.graph(scaled, device="cudasim")
given = minigen.cuda.graph(scaled_by_argument, device="cudasim")
ones = np.ones(4, np.float32)
for factor in (1.0, 1.0, 10.0):
    print(f"factor {factor:4}: a variable {frozen(ones).item():4}, an argument {given(ones, factor).item():4}")

# %% [markdown]
# The graph has taken the variable's value for good; the argument it reads anew. And what would have to ask the host in the
# middle of the step cannot be captured at all, which is said at capture and not found out later:


# %%
def asks_the_host(x):
    return x.sum() if x.sum().item() > 0 else -x.sum()


refused = minigen.cuda.graph(asks_the_host, device="cudasim")
refused(ones)
try:
    refused(ones)
except GraphError as error:
    print("GraphError:", str(error).split(" The step asks for it")[0])

# %% [markdown]
# ## And in seconds?
#
# Counts and bounds say why a rung should be faster. Whether it is, only a GPU tells. What has been measured on one lies in
# `benchmarks/cuda.json`, if anybody has:

# %%
record = Path("..") / "benchmarks" / "cuda.json"
measured = json.loads(record.read_text())["measurements"] if record.exists() else []
print(f"measurements of a GPU on record: {len(measured)}")

# %% [markdown]
# When this notebook was written no GPU was at hand, and there was no measurement: so it states no time of any kernel. On a
# machine with an NVIDIA GPU,
#
# ```
# minigen bench cuda --out benchmarks
# ```
#
# measures every rung beside cuDNN, training steps eager and captured, and their memory, and writes `cuda.md`, `cuda.json`
# and a roofline with measured points. Before you run it, write down for each rung what you expect from the counts above.
#
# ## What to read next
#
# - NVIDIA: *CUDA C++ Programming Guide*: threads and memory; *CUDA Graphs*; and *PTX ISA*, the sections on `mma` and
#   `cp.async`.
# - Boehm: *How to optimize a CUDA matmul kernel for cuBLAS-like performance*, 2022: a ladder like this one, measured.
# - Williams, Waterman, Patterson: *Roofline: an insightful visual performance model*, CACM 52, 2009.
# - Chetlur et al.: *cuDNN: efficient primitives for deep learning*, 2014, arXiv 1410.0759: the implicit product of matrices.
# - In `kernels/minigen_kernels/cuda/`: `ladder/` from rung 1 to 11, `simulator/` (`scheduler.py`, `memory.py`), `tiles.py` and
#   `implicit_gemm.py` for what `cuda` really computes with, `capture.py` for graphs.
# - This is the last notebook. [Notebook 1](01-derivative.ipynb) began with one derivative; every launch of the step
#   above came from there.
