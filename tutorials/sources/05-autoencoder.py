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
# # 5. Autoencoders
#
# After this notebook you can
#
# - compute principal components, and say why no linear autoencoder can do better;
# - write an autoencoder with its backward pass in NumPy, train it on real digits, and beat principal components;
# - look into a latent space: maps, walks, clusters, each held against what the pixels give already;
# - find anomalies by reconstruction, measure how well, and say what a missing bottleneck does to all of this.
#
# You need [notebook 1](01-derivative.ipynb), and matrices. Everything runs on the CPU in less than a minute.

# %%
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import Generator, course, optim, tasks, viz
from minigen.classical import KMeans, adjusted_rand_score, cluster_purity, normalized_mutual_info_score
from minigen.data import load_digits
from minigen.losses import squared_error
from minigen.metrics import pca_error
from minigen.metrics.ranking import auroc
from minigen.models import DenseAutoencoder
from minigen.training.autoencoder import autoencoder_error, codes_of, in_parts
from minigen.training.runs import start_run, train_run

course.use_style()

# %% [markdown]
# ## Digits
#
# 1,797 handwritten digits of 8×8 pixels (Alpaydin & Kaynak 1998), which scikit-learn carries. One in five is held out, and
# every error below is measured on those, unless it says otherwise. A digit is a point in a space of 64 dimensions.

# %%
images, labels = load_digits("train")  # (1437, 1, 8, 8), from 0 to 1
held_out, held_out_labels = load_digits("test")  # (360, 1, 8, 8)
x, y = images.reshape(-1, 64).astype(np.float64), held_out.reshape(-1, 64).astype(np.float64)
print(f"{len(x)} digits to train on, {len(y)} held out")

first = [held_out[held_out_labels == d][0] for d in range(10)]  # one of each, to look at
scrambled = held_out[:10].reshape(10, 64)[:, Generator(0).permutation(64)].reshape(-1, 1, 8, 8)
noise = Generator(1).uniform((10, 1, 8, 8))
viz.draw_rows([("digits", np.stack(first)), ("pixels shuffled", scrambled), ("noise", noise)], scale=5)

# %% [markdown]
# Almost every point of that space is noise. The digits lie somewhere in it, on something much thinner. To *compress* them
# is to find out where: an encoder $f$ takes an image to a short code, a decoder $g$ draws it again, and
#
# $$ L = \frac1N \sum_n \lVert x_n - g(f(x_n)) \rVert^2 $$
#
# is what was lost. (A sum over the pixels, a mean over the images. [Notebook 7](07-vae.ipynb) shows what happens to
# those who take a mean over both.)
#
# ## The best linear one
#
# Let $f$ and $g$ be linear, with a code of $k$ numbers. Then every $g(f(x))$ lies in a flat of $k$ dimensions, and the best
# code of $x$ is that of the nearest point of the flat. So the question is which flat is nearest to all the digits together.
# It goes through their mean $\mu$, and is spanned by the $k$ eigenvectors of the covariance with the largest eigenvalues,
# the *principal components* (Pearson 1901; Hotelling 1933; the proof is Eckart & Young's of 1936). With these as the rows
# of $A$, $(k, 64)$,
#
# $$ f(x) = A (x - \mu), \qquad g(z) = \mu + A^\top z, \qquad L = \sum_{i > k} \lambda_i , $$
#
# where $\lambda_1 \ge \lambda_2 \ge \dots$ are the eigenvalues: what is lost is the variance in all other directions.
#
# ### Exercise 05.1
#
# Write it, from training images to the reconstruction of others. `np.linalg.svd` of the centred images gives the components
# as the rows of its third result.


# %%
def pca_reconstruct(train, images, k):
    """Images (m, D) from their k principal components, which are those of train (n, D)."""
    ...


course.check("05.1", pca_reconstruct)

# %% [markdown]
# `minigen.metrics.pca_error` gives the error. The formula with the eigenvalues holds for the images that the components
# were computed from; on others the error is hardly larger.

# %%
mean = x.mean(axis=0)
eigenvalues, vectors = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]  # largest first; columns are the components
for k in (2, 8, 16):
    left = eigenvalues[k:].sum()
    print(
        f"k = {k:2}: sum of the other eigenvalues {left:.4f}, error on the same digits {pca_error(x, x, k):.4f}, "
        f"on held-out ones {pca_error(x, y, k):.4f}"
    )

# %%
figure, axis = plt.subplots(figsize=(7, 2.6))
axis.bar(np.arange(1, 65), eigenvalues)
axis.set(xlabel="principal component", ylabel="variance along it", title="most directions hardly matter")
axis.grid(axis="y")
plt.show()

# %% [markdown]
# ## A linear autoencoder learns the same
#
# Now forget eigenvectors, start from random matrices and descend. The encoder is $z = Vx$ with $V$ of shape $(k, 64)$, the
# decoder $\hat x = Wz$ with $W$ of shape $(64, k)$; the digits are centred.
#
# ### Exercise 05.2
#
# Write the two gradients of $L = \frac1N \sum_n \lVert x_n - W V x_n \rVert^2$. The images are rows, so $\hat X = X V^\top
# W^\top$.


# %%
def gradients(x, v, w):
    """∂L/∂V (k, D) and ∂L/∂W (D, k) for images x (n, D)."""
    ...


course.check("05.2", gradients)

# %% [markdown]
# minigen's engine finds them too, and Adam does the descent. The error goes down to that of the principal components and no
# further.

# %%
k, generator = 4, Generator(2)
centred = minigen.tensor(x - mean)
V = minigen.tensor(generator.normal((k, 64), std=0.1, dtype=np.float64), requires_grad=True)
W = minigen.tensor(generator.normal((64, k), std=0.1, dtype=np.float64), requires_grad=True)
optimizer, errors = optim.Adam([V, W], lr=0.01), []
for _ in range(course.short(500, 20)):
    loss = squared_error(centred @ V.T @ W.T, centred)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    errors.append(loss.item())
print(f"linear autoencoder: {errors[-1]:.5f}; principal components: {pca_error(x, x, k):.5f}")
print("the columns of its decoder, each with each (cosines):")
directions = W.numpy() / np.linalg.norm(W.numpy(), axis=0)
for row in directions.T @ directions:
    print(" ".join(f"{cosine:6.2f}" for cosine in row))

# %% [markdown]
# The same error, but not the same code: the decoder's columns are not even perpendicular. Any invertible matrix $M$ can be
# put in between, $W M$ and $M^{-1} V$, and nothing changes. What is learnt is the *space* that the columns span (Bourlard &
# Kamp 1988; Baldi & Hornik 1989, who show also that there are no other minima). Take this along for deep autoencoders: a
# single number of a code means nothing by itself.
#
# Whether two spaces agree is told by *principal angles*. The largest one is how far a direction of the first space can be
# from the second. With orthonormal bases $Q_1$, $Q_2$ the cosines of the angles are the singular values of $Q_1^\top Q_2$
# (Björck & Golub 1973).
#
# ### Exercise 05.3
#
# Write the largest principal angle.


# %%
def largest_angle(a, b):
    """The largest angle between the spaces that the columns of a and of b span, both (D, k), in radians."""
    ...


course.check("05.3", largest_angle)

# %%
from scipy.linalg import subspace_angles

angle = np.degrees(subspace_angles(W.numpy(), vectors[:, :k]).max())
chance = np.degrees(subspace_angles(generator.normal((64, k), dtype=np.float64), vectors[:, :k]).max())
print(f"largest angle to the space of the {k} principal components: learnt {angle:.2f}°, a random space {chance:.2f}°")

# %% [markdown]
# ## Bending the flat
#
# Put a layer with a nonlinearity before the code and one after it, and the flat becomes a curved surface. This is an
# autoencoder as one draws it, 64 – 128 – 8 – 128 – 64, by hand. Each layer is $a = W h + b$ and a function of it; the rule
# backward is that of [notebook 1](01-derivative.ipynb), with matrices:
#
# $$ \bar a = \bar h \odot \varphi'(a), \qquad \bar W = \bar a^\top h_{\text{in}}, \qquad \bar b = \textstyle\sum_n \bar
#    a_n, \qquad \bar h_{\text{in}} = \bar a\, W . $$

# %%
KINDS = ("relu", "linear", "relu", "sigmoid")  # of the four layers; the code comes out of the second


def forward(layers, x):
    """The input, and what comes out of each layer: [(n, 64), (n, 128), (n, 8), (n, 128), (n, 64)]."""
    values = [x]
    for (w, b), kind in zip(layers, KINDS):
        a = values[-1] @ w.T + b
        values.append(a if kind == "linear" else np.maximum(a, 0) if kind == "relu" else 1 / (1 + np.exp(-a)))
    return values


def error_of(values):
    return ((values[-1] - values[0]) ** 2).sum() / len(values[0])


def backward(layers, values):
    """The gradients of error_of by every weight and bias: a pair for each layer."""
    bar, found = 2 * (values[-1] - values[0]) / len(values[0]), []
    for (w, _), kind, h_in, h in reversed(list(zip(layers, KINDS, values[:-1], values[1:]))):
        if kind == "relu":
            bar = bar * (h > 0)
        elif kind == "sigmoid":
            bar = bar * h * (1 - h)
        found.append((bar.T @ h_in, bar.sum(axis=0)))
        bar = bar @ w
    return found[::-1]


# %% [markdown]
# The same network in minigen. Its weights to start with are given to ours, and the gradients are compared.

# %%
minigen.manual_seed(0)
model = DenseAutoencoder((1, 8, 8), hidden=(128,), latent_dim=8).double()
weights = [parameter.numpy().copy() for parameter in model.parameters()]
layers = list(zip(weights[::2], weights[1::2]))

batch = minigen.tensor(images[:64].astype(np.float64))
loss = squared_error(model(batch), batch)
loss.backward()
values = forward(layers, x[:64])
ours = [part for pair in backward(layers, values) for part in pair]
print(f"error: ours {error_of(values):.12f}, minigen {loss.item():.12f}")
worst = max(np.abs(a - p.grad.numpy()).max() for a, p in zip(ours, model.parameters()))
print(f"largest difference of a gradient, of {sum(a.size for a in ours)} numbers: {worst:.1e}")

# %% [markdown]
# And training: the same batches, the same Adam (Kingma & Ba 2014, arXiv 1412.6980), once ours and once minigen's.

# %%
steps, RATE = course.short(300, 10), 3e-3
order = [Generator(3).spawn(i).permutation(len(x))[:64] for i in range(steps)]  # a batch for each step

m, v = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
by_hand = []
for step, chosen in enumerate(order, 1):
    values = forward(layers, x[chosen])
    by_hand.append(error_of(values))
    found = [part for pair in backward(layers, values) for part in pair]
    for i, gradient in enumerate(found):
        m[i] = 0.9 * m[i] + 0.1 * gradient
        v[i] = 0.999 * v[i] + 0.001 * gradient**2
        weights[i] -= RATE * (m[i] / (1 - 0.9**step)) / (np.sqrt(v[i] / (1 - 0.999**step)) + 1e-8)  # in place

optimizer, by_minigen = optim.Adam(model.parameters(), lr=RATE), []
for chosen in order:
    batch = minigen.tensor(images[chosen].astype(np.float64))
    loss = squared_error(model(batch), batch)
    by_minigen.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"largest relative difference of the {steps} errors: {np.abs(np.divide(by_hand, by_minigen) - 1).max():.1e}")
print(
    f"held-out error of ours: {error_of(forward(layers, y)):.3f}, of 8 principal components: {pca_error(x, y, 8):.3f}"
)

# %% [markdown]
# Two programs, one result. From here on minigen's will do. `minigen.training.autoencoder.train_autoencoder` is this loop
# with checkpoints and records; here it is bare, for every width of the code.


# %%
EPOCHS = course.short(30, 1)


def train(latent_dim, hidden=(128,), epochs=EPOCHS, data=images, rate=3e-3, code="linear"):
    minigen.manual_seed(0)
    model = DenseAutoencoder((1, 8, 8), hidden, latent_dim, code)
    optimizer, generator = optim.Adam(model.parameters(), lr=rate), Generator(4)
    for _ in range(epochs):
        order = generator.permutation(len(data))
        for start in range(0, len(data) - 63, 64):
            batch = minigen.tensor(data[order[start : start + 64]])
            loss = squared_error(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


models = {k: train(k) for k in (2, 4, 8, 16)}
print("code   components   autoencoder   (held-out error)")
for k, model in models.items():
    print(f"{k:4}   {pca_error(x, y, k):10.3f}   {autoencoder_error(model, held_out):11.3f}")

# %%
ks = np.arange(1, 25)
plt.plot(ks, [pca_error(x, y, k) for k in ks], label="principal components")
plt.plot(models.keys(), [autoencoder_error(m, held_out) for m in models.values()], "o-", label="autoencoder")
plt.xlabel("numbers in the code")
plt.ylabel("held-out error")
plt.ylim(0, None)
plt.grid()
plt.legend()
plt.show()

# %% [markdown]
# With few numbers the curved surface holds much more than the flat. With many, principal components catch up: they have
# no local minima, need no training, and leave nothing at all at $k = 64$. The pictures, for a code of 4:

# %%
shown = np.stack(first)
flat = (mean + (shown.reshape(10, 64) - mean) @ vectors[:, :4] @ vectors[:, :4].T).reshape(shown.shape)
viz.draw_rows([("digit", shown), ("4 components", flat), ("autoencoder, 4", in_parts(models[4], shown))], scale=5)

# %% [markdown]
# ### Exercise 05.4
#
# Beat principal components yourself, by a good margin: write and train an autoencoder with a code of 8 numbers. The check
# trains it on the training digits and measures it on the held-out ones; 8 components leave 1.54, and the error must be
# below 1.1. (Layers are in `minigen.nn`; or use the arrays of this notebook. A second or two of training will do.)


# %%
def make_autoencoder(images):
    """Two functions learnt from images (n, 64), both of arrays: encode, (m, 64) → (m, 8), and decode, back."""
    ...


course.check("05.4", make_autoencoder)

# %% [markdown]
# ## Without a bottleneck
#
# What forces the network to learn where digits lie is that the code is short. It is easily forgotten. An article that lists
# an autoencoder in Keras builds two stacks 784 – 256 – 256 – 784 side by side, both from the input; it calls one of them
# the encoder, although it ends in 784 numbers and the other never sees them, and trains that other one. Nothing in it is a
# code that one could look at, cluster or draw from. Its narrowest layer has a third as many numbers as the image has pixels,
# while eight numbers hold a digit rather well.
#
# Here is a code that is *wider* than the image, beside one of 8. Both are trained on digits only. Then they are shown
# things that are no digits.

# %%
wide = train(256, hidden=(256,), epochs=course.short(40, 1))
scrambled = held_out.reshape(-1, 64)[:, Generator(0).permutation(64)].reshape(held_out.shape)
noise = Generator(1).uniform(held_out.shape)
print("held-out error           code 8   code 256")
for name, pictures in (("digits", held_out), ("pixels shuffled", scrambled), ("noise", noise)):
    narrow_error, wide_error = autoencoder_error(models[8], pictures), autoencoder_error(wide, pictures)
    print(f"{name:<20}   {narrow_error:8.2f}   {wide_error:8.2f}")

# %%
rows = [("shuffled", scrambled[:10]), ("code 8", in_parts(models[8], scrambled[:10]))]
viz.draw_rows([*rows, ("code 256", in_parts(wide, scrambled[:10]))], scale=5)

# %% [markdown]
# The wide one draws digits again better, and it begins to draw *anything* again. The narrow one turns what it is given into
# something like digits: it knows nothing else. A low error alone says little. (Other ways to keep a wide code
# from copying: sparsity, a penalty on its derivative, and damage to the input, [notebook 10](10-correction.ipynb). In
# minigen `train sparse-ae`, `contractive-ae`, `denoising-ae`.)
#
# ## A map of the digits
#
# With a code of two numbers the whole latent space is a picture. (A sigmoid after the encoder makes a square of it.) Each
# dot is a held-out digit at its code.

# %%
deep = train(2, hidden=(256, 128), epochs=course.short(60, 1), code="sigmoid")
codes2 = codes_of(deep, held_out)
plane = (y - mean) @ vectors[:, :2]
figure, axes = plt.subplots(1, 2, figsize=(9, 4))
for axis, points, title in ((axes[0], plane, "two principal components"), (axes[1], codes2, "a code of two numbers")):
    for digit in range(10):
        chosen = points[held_out_labels == digit]
        axis.scatter(*chosen.T, s=9, color=plt.colormaps["tab10"](digit), label=str(digit))
    axis.set(title=title, xticks=[], yticks=[])
axes[1].legend(ncols=1, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
plt.show()
print(f"held-out error: components {pca_error(x, y, 2):.2f}, autoencoder {autoencoder_error(deep, held_out):.2f}")

# %% [markdown]
# The network has never seen a label. Here is what it draws all over the square.

# %%
side = course.short(14, 4)
line = np.linspace(0.03, 0.97, side)
right, up = np.meshgrid(line, line[::-1])
grid = np.stack([right, up], axis=-1).reshape(-1, 2).astype(np.float32)
viz.draw_image_grid(in_parts(deep, grid, deep.decode), side, scale=5)

# %% [markdown]
# Most of it are digits, with smears between them. Nobody asked for a digit at every point: the loss only looks at the codes
# of training images. Notebooks [6](06-mixtures.ipynb) and [7](07-vae.ipynb) are about that.
#
# Halfway between two digits, in pixels and in codes of 8:

# %%
start, end = shown[[0, 1, 7]], shown[[6, 4, 3]]
t = np.linspace(0, 1, 8)[:, None, None, None, None]
in_pixels = ((1 - t) * start + t * end).swapaxes(0, 1)  # (3, 8, 1, 8, 8)
from_code, to_code = codes_of(models[8], start), codes_of(models[8], end)
path = ((1 - t[..., 0, 0]) * from_code + t[..., 0, 0] * to_code).swapaxes(0, 1).astype(np.float32)  # (3, 8, 8)
in_codes = in_parts(models[8], path.reshape(-1, 8), models[8].decode).reshape(in_pixels.shape)
viz.draw_walks({"mixing pixels": in_pixels, "mixing codes": in_codes})

# %% [markdown]
# In pixels both digits are seen at once, one fading. Is the way through the codes really better? How far is the middle of
# the way from the nearest training digit, for 300 random pairs?

# %%
generator = Generator(9)
one, other = (held_out[generator.integers(0, len(held_out), (300,))] for _ in range(2))
middle = (codes_of(models[8], one) + codes_of(models[8], other)) / 2
for name, pictures in (
    ("the digits themselves", one),
    ("middle of the pixels", (one + other) / 2),
    ("middle of the codes", in_parts(models[8], middle, models[8].decode)),
):
    squares = ((pictures.reshape(-1, 1, 64) - x[None]) ** 2).sum(axis=2)
    print(f"{name:<22} nearest training digit at a squared distance of {squares.min(axis=1).mean():.2f}")

# %% [markdown]
# Better than in pixels, and still not as near as a digit is: the straight way crosses parts of the space where no codes are.
#
# ## Clusters
#
# Do codes put together what belongs together? k-means (Lloyd 1957) with ten clusters, held against the classes it has
# not seen: purity (the share of digits that are of their cluster's commonest class), the adjusted Rand index (pairs put
# together rightly, 0 by chance) and normalized mutual information.

# %%
spaces = {
    "pixels": x,
    "2 components": (x - mean) @ vectors[:, :2],
    "8 components": (x - mean) @ vectors[:, :8],
    "code of 2": codes_of(deep, images),
    "code of 8": codes_of(models[8], images),
}
print("k-means on      purity   Rand   information")
found = {}
for name, points in spaces.items():
    found[name] = KMeans(10, n_init=course.short(10, 1), generator=Generator(5)).fit(points).labels_
    scores = [s(labels, found[name]) for s in (cluster_purity, adjusted_rand_score, normalized_mutual_info_score)]
    print(f"{name:<14}   {scores[0]:.3f}   {scores[1]:.3f}   {scores[2]:.3f}")

# %% [markdown]
# Two numbers of a code keep more of the classes than two components do. But look at the first row: on these small, centred
# digits the pixels themselves do as well as any code. That a space is learnt does not make its distances meaningful: the
# loss says how to draw, not what is alike. Always measure the raw data too. (`minigen cluster RUN` prints both.)

# %%
codes = spaces["code of 2"]
viz.draw_clusters(codes, found["code of 2"], labels, images)

# %% [markdown]
# ## Anomalies
#
# What the network was not trained on, it draws badly. So $\lVert x - g(f(x)) \rVert^2$ is a score for being unlike the
# training data. Leave one class out of training and see whether its digits score higher than the others.
#
# How well scores separate two kinds is told without any threshold by the *area under the ROC curve*: the probability that
# a random anomaly scores higher than a random normal one, where a tie counts one half (Mann & Whitney 1947).
#
# ### Exercise 05.5
#
# Write it, straight from this sentence.


# %%
def area(scores, anomalous):
    """The probability that an anomaly scores higher: scores (n,), anomalous (n,) of booleans."""
    ...


course.check("05.5", area)

# %% [markdown]
# All ten, each left out once. First by hand, for principal components, the narrow and the wide code:

# %%
left_out = course.short(range(10), range(2))
table = []
for digit in left_out:
    seen = images[labels != digit]
    own_mean = seen.reshape(-1, 64).mean(axis=0)
    axes_of_seen = np.linalg.svd(seen.reshape(-1, 64) - own_mean, full_matrices=False)[2][:8]
    again = own_mean + (y - own_mean) @ axes_of_seen.T @ axes_of_seen
    scores = [((y - again) ** 2).sum(axis=1)]
    for width, hidden in ((8, (128,)), (256, (256,))):
        model = train(width, hidden, course.short(20, 1), seen)
        scores.append(((held_out - in_parts(model, held_out)) ** 2).sum(axis=(1, 2, 3)))
    table.append([auroc(score, held_out_labels == digit) for score in scores])
table = np.array(table)
print("area under the ROC curve")
print("left out   8 components   code 8   code 256")
for digit, row in zip(left_out, table):
    print(f"{digit:8}   {row[0]:12.3f}   {row[1]:6.3f}   {row[2]:8.3f}")
print(f"    mean   {table[:, 0].mean():12.3f}   {table[:, 1].mean():6.3f}   {table[:, 2].mean():8.3f}")

# %% [markdown]
# The wide code draws digits best of the three, and finds strangers less well than the narrow one. And some digits are hard to
# miss while others are hard to find: ones are the hardest for all three. A stroke is part of most digits, so a network that
# has never seen a one can draw it.
#
# The library does all of it in one run: `imbalance="1:0"` leaves class 1 out, a mixture on the codes
# ([notebook 6](06-mixtures.ipynb)) gives a second score, how unlikely the *code* is, and the run with its checkpoints
# lies in a folder. On the command line: `minigen train ae --imbalance 1:0` and `minigen anomaly RUN`.

# %%
with tempfile.TemporaryDirectory() as folder:
    config = {"model": "ae", "hidden": [128], "imbalance": "1:0", "epochs": course.short(20, 1), "lr": 3e-3}
    training = start_run(config, out=f"{folder}/ae", quiet=True)
    train_run(training)
    training.run.close()
    system = training.system
for score in ("reconstruction", "latent"):
    print(f"ones left out, score by {score}: area {tasks.held_out_anomalies(system, score).auroc:.3f}")

# %%
result = tasks.held_out_anomalies(system)
bins = np.linspace(0, result.scores.max(), 40)
plt.figure(figsize=(7, 2.6))
for chosen, name in ((~result.anomalous, "digits of seen classes"), (result.anomalous, "ones, never seen")):
    plt.hist(result.scores[chosen], bins, label=name, alpha=0.7, density=True)
plt.xlabel(r"score $\Vert x - \hat x \Vert^2$")
plt.ylabel("density")
plt.legend()
plt.show()

# %% [markdown]
# ## What to read next
#
# - Baldi, Hornik: *Neural networks and principal component analysis: learning from examples without local minima*, Neural
#   Networks 2, 1989.
# - Hinton, Salakhutdinov: *Reducing the dimensionality of data with neural networks*, Science 313, 2006: the deep ones.
# - Vincent et al.: *Extracting and composing robust features with denoising autoencoders*, ICML 2008; Rifai et al.:
#   *Contractive auto-encoders*, ICML 2011. Codes may be wide when something else forbids to copy.
# - In minigen: `minigen/models/autoencoder.py`, `minigen/training/autoencoder.py`, `minigen/tasks/`.
# - [Notebook 6](06-mixtures.ipynb): a density on the codes, which makes a generator of the autoencoder.
