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
# # 4. Convolution, three ways
#
# After this notebook you can
#
# - write a convolution as loops, as a product of matrices and in tiles, and say what each costs;
# - derive its two gradients, and see that they are convolutions too;
# - say what a transposed convolution is, test any such pair by $\langle Ax, y\rangle = \langle x, A^\top y\rangle$, and find
#   bugs with that;
# - explain why transposed convolutions draw checkerboards, and how not to have them.
#
# You need notebooks [1](01-derivative.ipynb) and [2](02-gradcheck.ipynb). Everything runs on the CPU in less than a
# minute.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import minigen
from minigen import course
from minigen import functional as F
from minigen.data import load_photographs

course.use_style()

# %% [markdown]
# ## What a convolution computes
#
# A small window, the *kernel*, moves over an image. At each place the pixels under it are multiplied by its weights and
# summed. With $C$ input channels and $O$ kernels, one for each output channel, and a stride of $s$ pixels from place to place:
#
# $$ y_{o,i,j} = \sum_{c=1}^{C} \sum_{p=0}^{K-1} \sum_{q=0}^{K-1} x_{c,\; s i + p,\; s j + q} \; w_{o,c,p,q} . $$
#
# One output depends on a few neighbours only, and the same weights serve everywhere: that is what makes it right for
# images (Fukushima 1980; LeCun et al. 1989). In mathematics a *convolution* has $x_{i-p}$ where this has $x_{i+p}$, and this is
# called a cross-correlation. Networks learn their kernels, so that it makes no difference which way round they are; but the
# turned kernel will come back to us in the gradient.
#
# Six sums and places, six loops:


# %%
def conv_loops(x, w, stride=1):
    """x (C, H, W), w (O, C, K, K) → y (O, OH, OW), without padding."""
    (channels, height, width), (outs, _, size, _) = x.shape, w.shape
    y = np.zeros((outs, (height - size) // stride + 1, (width - size) // stride + 1), x.dtype)
    for o in range(outs):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                for c in range(channels):
                    for p in range(size):
                        for q in range(size):
                            y[o, i, j] += x[c, stride * i + p, stride * j + q] * w[o, c, p, q]
    return y


photo = load_photographs("test")[0]  # (3, 427, 128), from 0 to 1
gray = photo[:, 176:248, 24:96].mean(axis=0, keepdims=True)  # (1, 72, 72)

kernels = np.array(
    [
        [[1, 2, 1], [2, 4, 2], [1, 2, 1]],  # a blur; below: differences down, and across (Sobel), and of all neighbours
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    ],
    np.float32,
)[:, None]  # (4, 1, 3, 3)
kernels[0] /= 16

maps = conv_loops(gray, kernels)
print("image", gray.shape, "kernels", kernels.shape, "maps", maps.shape)

figure, axes = plt.subplots(1, 5, figsize=(9, 2.1))
axes[0].imshow(gray[0], cmap="gray", vmin=0, vmax=1)
axes[0].set_title("$x$")
for axis, found, name in zip(axes[1:], maps, ("blur", "differences down", "differences across", "all neighbours")):
    reach = np.abs(found).max()
    axis.imshow(found, cmap="gray", vmin=0 if name == "blur" else -reach, vmax=reach)
    axis.set_title(name)
for axis in axes:
    axis.set_axis_off()
plt.show()

# %% [markdown]
# These kernels are chosen by hand; a network finds its own. minigen's `conv2d` takes batches of images, so an axis is added.

# %%
library = F.conv2d(gray[None], kernels)
print("minigen", library.shape, f"largest difference from our loops {np.abs(library.numpy()[0] - maps).max():.1e}")

# %% [markdown]
# ## Borders
#
# The kernel has fewer places than the image has pixels. With $b$ zeros before the first row and $a$ after the last
# one (and the same for columns), the output has
#
# $$ OH = \left\lfloor \frac{H + b + a - K}{s} \right\rfloor + 1 $$
#
# rows. The word *same* means: as many zeros as it takes to have $OH = \lceil H / s \rceil$. With stride 1 that is the
# image's own size, and with stride 2 half of it.

# %%
for n, kernel, stride in ((28, 3, 1), (28, 5, 2), (28, 4, 2), (7, 3, 2)):
    out = F.conv2d(np.zeros((1, 1, n, n)), np.zeros((1, 1, kernel, kernel)), stride=stride, padding="same")
    print(f"{n} rows, kernel {kernel}, stride {stride}: {out.shape[2]} rows")

# %% [markdown]
# ### Exercise 04.1
#
# How many zeros before, and how many after? Where they do not divide evenly, the odd one goes *after*, as in TensorFlow.
# (The DCGAN of [notebook 9](09-dcgan.ipynb) has such a layer. Who pads it by the same number on both sides builds
# another network.)


# %%
def same(n, kernel, stride):
    """The numbers of zeros (before, after) n rows for 'same' padding; never negative."""
    ...


course.check("04.1", same)

# %% [markdown]
# ## As a matrix, first: what it is
#
# Every output is a sum of inputs times constants, so a convolution is a *linear map*: with $x$ and $y$ written as long
# vectors, $y = A x$. Column $k$ of $A$ is what comes out for an image that is 1 at pixel $k$ and 0 elsewhere.


# %%
def matrix_of(linear, shape):
    """The matrix of a linear map of arrays of this shape."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([linear(unit).ravel() for unit in units], axis=1)


generator = minigen.Generator(0)
w = np.arange(1.0, 10).reshape(1, 1, 3, 3)
matrices = [matrix_of(lambda x, s=s: conv_loops(x, w, s), (1, 8, 8)) for s in (1, 2)]

figure, axes = plt.subplots(2, 1, figsize=(7, 5.6), height_ratios=[36, 9])
for axis, A, s in zip(axes, matrices, (1, 2)):
    axis.imshow(np.where(A == 0, np.nan, A), cmap="viridis")
    axis.set(title=f"8×8 image, 3×3 kernel, stride {s}: $A$ is {A.shape[0]}×{A.shape[1]}", xlabel="pixel of $x$")
    axis.set_ylabel("pixel of $y$")
plt.show()

for A, s in zip(matrices, (1, 2)):
    print(
        f"stride {s}: {np.count_nonzero(A)} of {A.size} numbers are not 0, and {len(np.unique(A)) - 1} different ones"
    )

# %% [markdown]
# Each row is one place of the kernel: nine weights, at distances of one pixel and of one line. Nobody would compute with
# this matrix, which is almost empty, but it says what the gradient will be: for $y = Ax$, what arrives at $y$ goes on to
# $x$ as $A^\top \bar y$.
#
# ## As a matrix, second: how to compute it
#
# Turned round: for one place, put the $C K^2$ pixels that the kernel sees into a row. All rows together are the matrix of
# *patches* $P$, and the kernels are a matrix too:
#
# $$ Y = P\, W^\top, \qquad P \in \mathbb{R}^{(OH \cdot OW) \times (C K^2)}, \quad W \in \mathbb{R}^{O \times (C K^2)} . $$
#
# A product of matrices is what every machine has the best code for, so this is the usual way to get a fast convolution
# (Chellapilla, Puri, Simard 2006). It is known as *im2col*.
#
# ### Exercise 04.2
#
# Write the matrix of patches with loops over the places, or better with loops over the taps of the kernel.


# %%
def patches(x, kernel, stride):
    """x (C, H, W) → (OH·OW, C·kernel·kernel): a row for each place, line by line; in it the channels, each with its taps."""
    ...


course.check("04.2", patches)


# %% [markdown]
# NumPy can look at an image as overlapping windows without copying it; the copy is made by `reshape`:


# %%
def conv_matrix(x, w, stride=1):
    outs, _, size, _ = w.shape
    windows = sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]  # (C, OH, OW, K, K)
    _, rows, columns, *_ = windows.shape
    P = windows.transpose(1, 2, 0, 3, 4).reshape(rows * columns, -1)  # (OH·OW, C·K·K)
    return (P @ w.reshape(outs, -1).T).T.reshape(outs, rows, columns)


x = generator.normal((16, 64, 64))  # 16 channels
w = generator.normal((32, 16, 5, 5), std=0.05)
print(f"largest difference from minigen: {np.abs(conv_matrix(x, w) - F.conv2d(x[None], w).numpy()[0]).max():.1e}")
print(f"x has {x.nbytes / 1024:.0f} kB, its patches {x[:, :-4, :-4].nbytes * 25 / 1024:.0f} kB")

# %% [markdown]
# There is the price: every pixel is copied about $K^2$ times, and memory is slow.
#
# ## In tiles
#
# The third way keeps the product and drops the matrix. Take a part of the output, a *tile*, small enough to stay in the
# fastest memory. For each tap $(p, q)$, what the tile meets is a strided window of $x$, and one product of small matrices
# over the channels adds this tap's share. Nothing but one window is copied, and each sum is finished before the next tile.


# %%
def conv_tiled(x, w, stride=1, lines=4):
    """As conv_loops; a tile is some lines of the output, with all its channels."""
    (channels, height, width), (outs, _, size, _) = x.shape, w.shape
    rows, columns = (height - size) // stride + 1, (width - size) // stride + 1
    y = np.empty((outs, rows, columns), x.dtype)
    for first in range(0, rows, lines):
        end = min(first + lines, rows)
        tile = np.zeros((outs, (end - first) * columns), x.dtype)
        for p in range(size):
            for q in range(size):
                down = slice(stride * first + p, stride * (end - 1) + p + 1, stride)
                across = slice(q, q + stride * (columns - 1) + 1, stride)
                tile += w[:, :, p, q] @ x[:, down, across].reshape(channels, -1)  # (O, C) times (C, pixels)
        y[:, first:end] = tile.reshape(outs, end - first, columns)
    return y


print(f"largest difference from the patches: {np.abs(conv_tiled(x, w) - conv_matrix(x, w)).max():.1e}")


# %%
def milliseconds(call, rounds=5):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1000 * min(times)


small = x[:2, :16, :16], w[:2, :2]  # the loops get a small part, and their time is scaled up
share = np.prod(conv_loops(*small).shape) * small[1][0].size / (np.prod(conv_tiled(x, w).shape) * w[0].size)
print(f"multiply-adds: {np.prod(conv_tiled(x, w).shape) * w[0].size / 1e6:.1f} million")
print(f"loops      {milliseconds(lambda: conv_loops(*small), 1) / share:10.1f} ms")
print(
    f"patches    {milliseconds(lambda: conv_matrix(x, w)):10.1f} ms, with {x[:, :-4, :-4].nbytes * 25 / 1024:.0f} kB beside x and y"
)
print(f"tiles      {milliseconds(lambda: conv_tiled(x, w)):10.1f} ms, with {4 * 60 * (16 + 32) * 4 / 1024:.0f} kB")
F.conv2d(x[None], w)  # compiled when first called
print(f"minigen    {milliseconds(lambda: F.conv2d(x[None], w)):10.1f} ms")

# %% [markdown]
# In Python, a call of NumPy for every tap of every tile costs part of what the tiles save. Compiled, and with tiles as small
# as the registers of the processor, the third way goes furthest: [notebook 12](12-cpu-kernel.ipynb), and on a GPU
# [notebook 13](13-cuda-kernel.ipynb). All of minigen's versions give the same numbers:

# %%
from minigen_kernels import cpu, reference

geometry = ((2, 2), (1, 2, 1, 2), (1, 1), 1)  # stride, padding (top, bottom, left, right), dilation, groups
truth = reference.conv2d(x[None].astype(np.float64), w.astype(np.float64), *geometry)  # loops over taps, float64
padded = np.pad(x, ((0, 0), (1, 2), (1, 2)))
for name, found in (
    ("ours, patches", conv_matrix(padded, w, 2)),
    ("ours, tiles", conv_tiled(padded, w, 2)),
    ("minigen, cpu", cpu.conv2d(x[None], w, *geometry)[0]),
):
    print(
        f"{name:<14} {found.shape} {found.dtype}, largest difference from the reference {np.abs(found - truth[0]).max():.1e}"
    )

# %% [markdown]
# ## The gradient of the weights
#
# Let $g_{o,i,j} = \partial L / \partial y_{o,i,j}$ be what arrives. The weight $w_{o,c,p,q}$ goes into every place
# $(i, j)$ of output channel $o$, each time multiplied by a pixel; what comes back along all these ways is added:
#
# $$ \bar w_{o,c,p,q} = \sum_{i,j} g_{o,i,j}\; x_{c,\; s i + p,\; s j + q} . $$
#
# Read it again: a large window, $g$, is laid over $x$ at the place $(p, q)$, multiplied, and summed. It is a convolution,
# with $g$ for a kernel, whose taps are $s$ pixels apart (*dilated* by $s$).
#
# ### Exercise 04.3
#
# Write it.


# %%
def weight_gradient(x, g, kernel, stride):
    """x (C, H, W), g (O, OH, OW) → (O, C, kernel, kernel): the gradient of the weight."""
    ...


course.check("04.3", weight_gradient)

# %% [markdown]
# With minigen's `conv2d` it is one line. Channels of $x$ take the place of the batch, since nothing is summed over them:

# %%
stride, kernel = 2, 3
x = generator.normal((4, 12, 11), dtype=np.float64)
w = generator.normal((5, 4, kernel, kernel), dtype=np.float64)
g = generator.normal(conv_loops(x, w, stride).shape, dtype=np.float64)

as_convolution = F.conv2d(x[:, None], g[:, None], dilation=stride).numpy()  # (C, O, K or more, K or more)
w_bar = as_convolution.swapaxes(0, 1)[:, :, :kernel, :kernel]

X, W = (minigen.tensor(a, requires_grad=True) for a in (x[None], w))
Y = F.conv2d(X, W, stride=stride)
x_grad, w_grad = minigen.grad(Y, [X, W], minigen.tensor(g[None]))
print(
    f"gradient of the weight: {w_bar.shape}, largest difference from minigen.grad {np.abs(w_bar - w_grad.numpy()).max():.1e}"
)

# %% [markdown]
# (With stride 2 the last row of this $x$ is not seen by any place. The convolution with $g$ finds room for one place too many
# there, which is cut off. That is why minigen's operations are told the exact size of what they are to make.)
#
# ## The gradient of the image
#
# Pixel $h$ is seen from all places $i$ and taps $p$ with $s i + p = h$. Take one dimension, one channel and stride 1:
#
# $$ \bar x_h = \sum_{p} g_{h-p}\; w_p . $$
#
# The sign of $p$ is turned round. So it is the convolution, again, of $g$ with the kernel turned by half a turn: in
# two dimensions up and down exchanged, left and right exchanged, and the roles of input and output channels too. At the
# borders all places count that see the pixel, so $g$ gets $K - 1$ zeros on each side. And if $s > 1$, there are no places
# between two neighbouring ones: $s - 1$ zeros go between the numbers of $g$.


# %%
def input_gradient(g, w, stride, size):
    """g (O, OH, OW), w (O, C, K, K) → the gradient of the image (C, *size), as a convolution."""
    (outs, rows, columns), kernel = g.shape, w.shape[2]
    spread = np.zeros((outs, stride * (rows - 1) + 1, stride * (columns - 1) + 1), g.dtype)
    spread[:, ::stride, ::stride] = g  # zeros between the places
    unseen = [n - (m + kernel - 1) for n, m in zip(size, spread.shape[1:])]  # rows and columns that no place sees
    padded = np.pad(spread, ((0, 0), *((kernel - 1, kernel - 1 + more) for more in unseen)))
    turned = w[:, :, ::-1, ::-1].swapaxes(0, 1)  # (C, O, K, K)
    return conv_tiled(padded, turned)


x_bar = input_gradient(g, w, stride, x.shape[1:])
print(
    f"gradient of the image: {x_bar.shape}, largest difference from minigen.grad {np.abs(x_bar - x_grad.numpy()[0]).max():.1e}"
)

h, direction = 1e-5, generator.normal(x.shape, dtype=np.float64)
by_differences = ((conv_loops(x + h * direction, w, 2) - conv_loops(x - h * direction, w, 2)) * g).sum() / (2 * h)
print(f"along a random direction: {(x_bar * direction).sum():.8f}, by differences {by_differences:.8f}")

# %% [markdown]
# With stride $s$ most of these multiplications, $1 - 1/s^2$ of them, are by the zeros that were put in. A good kernel
# avoids them: pixels whose $h$ leaves the same remainder when divided by $s$ see the same taps, and each of these $s^2$ *phases*
# is a small dense convolution of its own. minigen does that, on the CPU (`plans.py`) and on the GPU.

# %%
A = matrices[1]  # of stride 2, from above: which pixels are seen by how many places?
seen = (A != 0).sum(axis=0).reshape(8, 8)
print("places that see each pixel:")
print(seen)

# %% [markdown]
# ## A family of three
#
# Name the three maps: $C(x, w)$ the convolution, $W(x, g)$ the gradient of the weight, $T(g, w)$ the gradient of the image.
# Each is linear in each of its two arguments, and they belong to one and the same number:
#
# $$ \langle C(x, w),\, g \rangle = \langle x,\, T(g, w) \rangle = \langle w,\, W(x, g) \rangle
#    = \sum_{o,c,i,j,p,q} g_{o,i,j}\; x_{c,\,si+p,\,sj+q}\; w_{o,c,p,q}. $$

# %%
print(f"⟨C(x, w), g⟩ = {(conv_loops(x, w, stride) * g).sum():.10f}")
print(f"⟨x, T(g, w)⟩ = {(x * x_bar).sum():.10f}")
print(f"⟨w, W(x, g)⟩ = {(w * w_bar).sum():.10f}")

# %% [markdown]
# From this all derivatives can be read off, of any order, because they never leave the family:
#
# | | gradient of the first argument | gradient of the second |
# |---|---|---|
# | $C(x, w)$ | $T(g, w)$ | $W(x, g)$ |
# | $T(y, w)$ | $C(g, w)$ | $W(g, y)$ |
# | $W(x, y)$ | $T(y, g)$ | $C(x, g)$ |
#
# `minigen/functional/convolution.py` is this table: three classes, each `backward` made of the other two. So gradient
# penalties ([notebook 3](03-second-derivatives.ipynb)) work through convolutions without a line more. `gradcheck`
# checks both orders:

# %%
small = [
    minigen.tensor(generator.normal(s, dtype=np.float64), requires_grad=True) for s in ((2, 2, 5, 6), (3, 2, 3, 3))
]
report = minigen.gradcheck(lambda x, w: F.conv2d(x, w, stride=2, padding=1), small)
for order in report.errors:
    print(f"order {order}: worst relative error {report.worst(order):.1e}")

# %% [markdown]
# ## Transposed convolution
#
# $T$ is useful by itself. It goes from the small side to the large one, so decoders and generators are made of it, under
# the name *transposed convolution* (or, wrongly, deconvolution). What it does is best seen without the zeros: each number of
# $y$ puts a copy of the kernel, multiplied by it, into the image, $s$ pixels after the one before, and copies that overlap
# are added.

# %%
y, w1 = np.array([1.0, 2.0, -1.0, 1.5]), np.array([0.5, 1.0, 0.5])
figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
for axis, s in zip(axes, (2, 3)):
    places = [np.zeros(s * 3 + 3) for _ in y]
    for k, (place, value) in enumerate(zip(places, y)):
        place[s * k : s * k + 3] = value * w1
        axis.plot(np.arange(3) + s * k, value * w1, "o-", linewidth=1, label=f"from $y_{k}$")
    axis.bar(np.arange(len(places[0])), sum(places), color="lightgray", label="sum")
    axis.set(title=f"kernel (½, 1, ½), stride {s}", xlabel="pixel")
axes[0].legend(fontsize=8, ncols=2)
plt.show()

# %% [markdown]
# ### Exercise 04.4
#
# Write it that way, for images. (The output ends with the last copy of the kernel.)


# %%
def transposed(y, w, stride):
    """y (O, OH, OW), w (O, C, K, K) → (C, stride·(OH - 1) + K, stride·(OW - 1) + K)."""
    ...


course.check("04.4", transposed)

# %% [markdown]
# ### The adjoint test
#
# $T$ with its $y$ is the map $A^\top$ of $A = C(\cdot, w)$: the *adjoint*. Two maps $A$ and $B$ are adjoint exactly if
# $\langle A x, y \rangle = \langle x, B y \rangle$ for all $x$ and $y$, so two random arrays make a test that needs no formula:
# neither the matrix nor a derivative. It finds what a look at pictures does not. Here are three ways to get a transposed
# convolution of stride 2 slightly wrong:

# %%
kernel, sides = 4, (1, 2, 1, 2)  # an uneven padding, as "same" gives it
w = generator.normal((3, 2, kernel, kernel), dtype=np.float64)
x = generator.normal((1, 2, 9, 9), dtype=np.float64)


def A(x):
    return F.conv2d(x, w, stride=2, padding=sides).numpy()


def crop(full, top=1, left=1):
    return full[:, :, top : top + 9, left : left + 9]


y = generator.normal(A(x).shape, dtype=np.float64)
ways = {
    "minigen": F.conv_transpose2d(y, w, stride=2, padding=sides).numpy(),
    "kernel turned": crop(F.conv_transpose2d(y, w[:, :, ::-1, ::-1].copy(), stride=2).numpy()),
    "the odd zero on the other side": crop(F.conv_transpose2d(y, w, stride=2).numpy(), 2, 2),
    "last row lost": F.conv_transpose2d(y, w, stride=2, padding=sides).numpy() * (np.arange(9) < 8)[:, None],
}
left = (A(x) * y).sum()
for name, found in ways.items():
    print(
        f"{name:<32} ⟨Ax, y⟩ = {left:.6f}, ⟨x, By⟩ = {(x * found).sum():.6f}, difference {abs(left - (x * found).sum()):.1e}"
    )

# %% [markdown]
# ### Which size?
#
# A convolution of stride 2 brings two sizes to the same one, so the way back is not unique. `output_padding` chooses: the
# rows gained lie at the end, and belong to the adjoint of the larger of the two.

# %%
for n in (13, 14):
    down = F.conv2d(np.ones((1, 1, n, n)), np.ones((1, 1, 5, 5)), stride=2, padding=2)
    print(f"convolution: {n} → {down.shape[2]}")
for extra in (0, 1):
    up = F.conv_transpose2d(np.ones((1, 1, 7, 7)), np.ones((1, 1, 5, 5)), stride=2, padding=2, output_padding=extra)
    print(f"transposed, output_padding {extra}: 7 → {up.shape[2]}")

# %% [markdown]
# ### Not the inverse
#
# $A^\top A$ is not the identity. It brings the size back, but not the image: what $A$ has thrown away stays away. Blurred,
# halved, and back, once by the adjoint, and once with another kernel:

# %%
blur = kernels[:1].astype(np.float64)  # (1, 1, 3, 3), sums to 1
half = F.conv2d(gray[None].astype(np.float64), blur, stride=2, padding=1)
back = F.conv_transpose2d(half, 4 * blur, stride=2, padding=1, output_padding=1)  # 4: a quarter of the pixels came in
uneven = F.conv_transpose2d(half, np.full((1, 1, 3, 3), 4 / 9), stride=2, padding=1, output_padding=1)

figure, axes = plt.subplots(1, 4, figsize=(9, 2.5), width_ratios=[2, 1, 2, 2])
names = ("$x$", "$Ax$", "$4 A^T A x$: the same blur", "from $Ax$ with a kernel of ones")
for axis, image, name in zip(axes, (gray, half.numpy()[0], back.numpy()[0], uneven.numpy()[0]), names):
    axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    axis.set_title(name, fontsize=10)
    axis.set_axis_off()
plt.show()

# %% [markdown]
# ## Checkerboards
#
# The last picture has a pattern that is in neither $x$ nor $Ax$. How many copies of the kernel reach a pixel? That is
# $T$ of ones with ones, the row sums of $A^\top$:

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9))
for axis, (kernel, stride) in zip(axes, ((3, 2), (4, 2), (5, 2), (5, 3))):
    counts = F.conv_transpose2d(np.ones((1, 1, 8, 8)), np.ones((1, 1, kernel, kernel)), stride=stride).numpy()[0, 0]
    middle = counts[kernel : kernel + 6, kernel : kernel + 6]  # away from the border
    axis.imshow(middle, cmap="viridis", vmin=0, vmax=13)
    for (row, column), count in np.ndenumerate(middle):
        axis.text(column, row, f"{count:.0f}", ha="center", va="center", color="white", fontsize=8)
    axis.set(title=f"kernel {kernel}, stride {stride}", xticks=[], yticks=[])
    print(f"kernel {kernel}, stride {stride}: from {middle.min():.0f} to {middle.max():.0f} copies")
plt.show()

# %% [markdown]
# Where the kernel's size is no multiple of the stride, pixels side by side are sums of different numbers of terms: a
# pattern with the period of the stride, whatever $y$ is (Odena, Dumoulin, Olah 2016). The 5×5 kernels of stride 2 of the
# well-known DCGAN tutorials are of this sort. A kernel of 4 with stride 2 reaches all equally often, but even then two
# neighbours are sums with *different weights* (those of even and of odd taps), so random weights draw the pattern too. A
# network can learn to undo it, and does so only as far as the loss makes it. The cure by construction is to enlarge first
# and convolve then.
#
# `minigen.demos.checkerboard` has a decoder with three doublings in each of these ways, and measures which share of an
# image's variance lies at period 2. Before training, and
# after a little; the last row shows what differs from the mean of the four pixels beside each:

# %%
from minigen.demos import checkerboard

steps = course.short(200, 2)
trials = checkerboard.compare(steps)
for name, trial in trials.items():
    print(f"{name:<33} share at period 2: {trial.before:7.2%} untrained, {trial.after:7.2%} after {steps} steps")

figure, axes = plt.subplots(3, 3, figsize=(6.5, 6.8))
for column, (name, trial) in zip(axes.T, trials.items()):
    image = trial.trained[0, 0]
    fine = image - sum(np.roll(image, shift, axis) for shift in (-1, 1) for axis in (0, 1)) / 4
    column[0].set_title(f"{name}\nuntrained", fontsize=9)
    column[0].imshow(trial.untrained[0, 0], cmap="gray")
    column[1].set_title(f"{steps} steps", fontsize=9)
    column[1].imshow(image, cmap="gray")
    column[2].set_title("less the pixels beside", fontsize=9)
    column[2].imshow(fine[4:-4, 4:-4], cmap="gray", vmin=-0.05, vmax=0.05)
    for axis in column:
        axis.set_axis_off()
plt.show()

# %% [markdown]
# Kernel 4, which gives every pixel equally many copies, does not come out below kernel 3, neither before nor after. Even
# copies are needed for an even image, but they do not suffice: the weights that the phases get must agree, too, and random
# ones do not. Enlarging first makes them agree by construction.
#
# ### Exercise 04.5
#
# Take one dimension. A constant $y$ should give a constant $T(y, w)$, away from the borders. Pixel $h$ gets the taps
# $p$ with $p \equiv h \bmod s$, so this asks that the sums of $w$ over each of the $s$ phases be equal. Given any kernel,
# find the *nearest* one (least sum of squared changes) that has this property: a way to start a transposed convolution
# without a checkerboard.


# %%
def even(w, stride):
    """The kernel nearest to w (K,), K ≥ stride, whose sums over the taps p ≡ 0, 1, …, stride - 1 (mod stride) are equal."""
    ...


course.check("04.5", even)

# %% [markdown]
# ## What to read next
#
# - Dumoulin, Visin: *A guide to convolution arithmetic for deep learning*, 2016, arXiv 1603.07285: every size, drawn.
# - Odena, Dumoulin, Olah: *Deconvolution and checkerboard artifacts*, Distill, 2016.
# - Chellapilla, Puri, Simard: *High performance convolutional neural networks for document processing*, 2006.
# - In minigen: `kernels/minigen_kernels/reference.py` (the truth, in loops), `minigen/functional/convolution.py` (the family),
#   then `kernels/minigen_kernels/cpu/convolution.py` with `patches.py` (as a matrix, in pieces).
# - [Notebook 5](05-autoencoder.ipynb): an autoencoder. [Notebook 12](12-cpu-kernel.ipynb) takes the tiles down to the
#   registers.
