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
# # 10. Correcting photographs
#
# After this notebook you can
#
# - damage photographs in three ways, measure how well they are restored, and say what each measure does not see;
# - derive and write the three classical answers: Wiener's filter, total variation, non-local means;
# - write a correction autoencoder, train it, and say what its loss makes it compute;
# - compare them fairly, and say where the network wins and where it does not.
#
# You need notebooks [1](01-derivative.ipynb), [4](04-convolution.ipynb) and [5](05-autoencoder.ipynb). Everything runs
# on the CPU in less than three minutes.

# %%
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import Generator, course, nn, no_grad, optim, viz
from minigen import functional as F
from minigen.data import load_digits
from minigen.data.corruptions import gaussian_kernel, make_corruption
from minigen.data.photographs import Patches, load_photographs
from minigen.losses import edge_loss, squared_error, structural_loss, total_variation
from minigen.metrics import psnr, ssim
from minigen.models.unet import UNet
from minigen.restoration import classical
from minigen.training.restoration import exchange_colours, turn
from minigen.training.runs import start_run, train_run

course.use_style()

# %% [markdown]
# ## Damage, and how to measure it
#
# scikit-learn carries two real photographs, a temple and a flower. The middle of each is held out from top to bottom;
# the networks see only what is left and right of it. Everything below is measured on six held-out pieces.

# %%
clean = np.stack([region[:, top : top + 128] for region in load_photographs("test") for top in (20, 150, 280)])
print(f"{len(clean)} held-out pieces (C, H, W) = {clean.shape[1:]}, from {clean.min():.0f} to {clean.max():.0f}")

# %% [markdown]
# Three kinds of damage, by hand. *Noise*: something random is added to every pixel, here $\mathcal N(0, \sigma^2)$ with
# $\sigma = 25/255$. *Blur*: every pixel becomes a weighted mean of its surroundings, here a Gaussian of 1.5 pixels; a
# little noise comes with it, as it always does. *Missing parts*: seven pixels of ten are lost, and a mask says which.

# %%
generator = Generator(7)
noisy = clean + np.float32(25 / 255) * generator.normal(clean.shape)

kernel = gaussian_kernel(1.5)  # (13, 13), its sum is 1
reach = len(kernel) // 2
mirrored = np.pad(clean, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="symmetric")
blurred = sum(
    kernel[i, j] * mirrored[:, :, i : i + 128, j : j + 128] for i in range(len(kernel)) for j in range(len(kernel))
)
hazy = (blurred + 5 / 255 * generator.normal(clean.shape)).astype(np.float32)

mask = (generator.uniform((len(clean), 1, 128, 128)) >= 0.7).astype(np.float32)  # 1 where a pixel is known
holed = clean * mask

# %% [markdown]
# The library makes them from their names; `minigen restore --help` lists all kinds.

# %%
for name, ours in (("noise:sigma=25", noisy), ("gaussian-blur:sigma=1.5", blurred)):
    theirs, _ = make_corruption(name)(clean, Generator(7))
    print(f"{name}: largest difference from ours {np.abs(theirs - ours).max():.1e}")


# %%
def corner(images):
    """A part of a temple's piece and of a flower's, to look at."""
    return images[[1, 4], :, 40:88, 40:88].clip(0, 1)


viz.draw_panels(
    {"clean": corner(clean), "noise": corner(noisy), "blur": corner(hazy), "missing": corner(holed)}, columns=1, scale=2
)

# %% [markdown]
# How far is an image $y$ from the clean $x$? The mean squared error, on a scale of decibels, is the *peak
# signal-to-noise ratio*, $10 \log_{10}(L^2 / \text{MSE})$, with $L = 1$ the distance from black to white. One decibel
# more is a fifth less error. *Structural similarity* (Wang et al. 2004) compares, in windows of 11×11, the means, the
# variances and the correlation, and is 1 where all three agree. Let us give four damages the same squared error:

# %%
target = np.mean((noisy - clean) ** 2)
smooth = np.stack([classical.gaussian_filter(image, 3.0) for image in clean]) - clean
dots = (Generator(0).uniform(clean.shape) < 0.01) * np.sign(0.5 - clean)
changes = {"brighter": np.ones_like(clean), "noise": noisy - clean, "blur": smooth, "dots": dots}
for name, change in changes.items():
    damaged = clean + change * np.sqrt(target / np.mean(change**2, axis=(1, 2, 3), keepdims=True))
    by_hand = np.mean([10 * np.log10(1 / np.mean((a - b) ** 2)) for a, b in zip(damaged, clean)])
    print(
        f"{name:<9} PSNR {by_hand:.2f} by hand, {psnr(damaged, clean):.2f} by minigen; SSIM {ssim(damaged, clean):.3f}"
    )

# %% [markdown]
# PSNR calls them equal. SSIM forgives the brightness, and so does the eye. Neither is the truth; this notebook prints
# both, and the next one shows what both of them miss.
#
# ## Wiener
#
# Suppose that each frequency of a photograph is a random number $X$ of variance $S$, and that we see $Y = K X + N$,
# where $K$ is what the blur does to that frequency and $N$ is noise of variance $\sigma^2$. Among all $\hat X = G\,Y$,
# the one with the least $\mathbb E |X - \hat X|^2$ is found by setting a derivative to zero (Wiener 1949):
#
# $$ G = \frac{\bar K S}{|K|^2 S + \sigma^2} = \frac{\bar K}{|K|^2 + \sigma^2 / S} . $$
#
# Without noise this is $1/K$: the blur is undone exactly. With noise, $1/K$ is a disaster where $K$ is small, and $G$
# gives those frequencies up.
#
# ### Exercise 10.1
#
# Write it for a periodic image, with one number $r$ for $\sigma^2 / S$. The kernel's *middle* is the origin: pad it to
# the size of the image, then roll it so that its middle lies at index (0, 0). `np.fft.fft2` gives the frequencies.


# %%
def deconvolve(y, kernel, r):
    """The image (H, W), real, that a convolution with kernel (KH, KW), odd sides, has blurred to y."""
    ...


course.check("10.1", deconvolve)

# %% [markdown]
# The library's `wiener_deconvolution` continues the image by its mirror image, so that nothing comes round from the
# other border, and lets $\sigma^2 / S$ grow with the frequency, as it does in photographs: their high frequencies are
# weak.

# %%
print(f"blurred: {psnr(hazy, clean):.2f} dB")
for balance in (1e-6, 1e-4, 1e-2, 3e-2, 1e-1):
    sharp = np.stack([classical.wiener_deconvolution(image, kernel, balance) for image in hazy])
    print(f"balance {balance:.0e}: {psnr(sharp, clean):.2f} dB")

# %% [markdown]
# Against noise alone ($K = 1$) the same thought works *locally*: where an image varies by $v$ around its mean $m$, and
# noise is responsible for $\sigma^2$ of that, the best linear estimate is $m + \frac{v - \sigma^2}{v} (y - m)$ (Lee
# 1980). In flat parts only the mean is left, and edges stay. By hand, with windows of 5×5:

# %%
SIGMA = 25 / 255


def window_mean(images, size=5):
    r = size // 2
    around = np.pad(images, ((0, 0), (0, 0), (r, r), (r, r)), mode="symmetric").astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(around, (size, size), axis=(2, 3))
    return windows.mean(axis=(4, 5))


m = window_mean(noisy)
v = window_mean(noisy.astype(np.float64) ** 2) - m**2
lee = m + np.maximum(v - SIGMA**2, 0) / np.maximum(v, SIGMA**2) * (noisy - m)
wiener = np.stack([classical.wiener_filter(image, SIGMA, 5) for image in noisy])
print(f"noisy {psnr(noisy, clean):.2f} dB, Wiener {psnr(wiener, clean):.2f} dB")
print(f"largest difference between ours and minigen's: {np.abs(lee - wiener).max():.1e}")

# %% [markdown]
# ## Total variation
#
# Noise makes an image rough, edges do too, but there are few of them. Rudin, Osher and Fatemi (1992) ask for the image
# $u$ that is near to the noisy $y$ and has a small *sum of slopes*:
#
# $$ \min_u\ \tfrac12 \lVert u - y \rVert^2 + w \sum_{ij} \lvert (\nabla u)_{ij} \rvert . $$
#
# $\nabla u$ holds the two differences to the pixels below and to the right (0 in the last row and column). The slope is
# not squared. A square would prefer ten small steps to one large; the absolute value counts them alike, so that edges
# may stay. It also has no derivative at 0, where most of a clean image is. One can smooth it there,
# $\sqrt{|\nabla u|^2 + \varepsilon^2}$, and let the engine descend:

# %%
gray = noisy[1].mean(axis=0)[32:96, 32:96].astype(np.float64)  # (64, 64), to try on
w = 0.08

u = minigen.tensor(gray[None, None], requires_grad=True)
optimizer, y = optim.Adam([u], lr=0.01), minigen.tensor(gray[None, None])
scheduler = optim.CosineAnnealingLR(optimizer, course.short(600, 20))
for _ in range(course.short(600, 20)):
    loss = 0.5 * squared_error(u, y) + w * total_variation(u, eps=1e-4)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
descended = u.numpy()[0, 0]

# %% [markdown]
# Chambolle (2004) avoids the smoothing. $\lvert g \rvert = \max_{|p| \le 1} p \cdot g$, so the problem is one of a
# field of arrows $p$, none longer than 1, and $u = y - w \operatorname{div} p$. For this the divergence must be minus
# the adjoint of the gradient, *exactly*, at the borders too:
#
# $$ \langle \nabla u, p \rangle = - \langle u, \operatorname{div} p \rangle \quad\text{for all } u \text{ and } p . $$
#
# ### Exercise 10.2
#
# Derive it. For which $u_{ij}$ does each $p_{ij}$ count, and with which sign?


# %%
def slopes(u):
    """∇u (2, H, W): the differences to the pixel below and to the right, 0 in the last row and column."""
    g = np.zeros((2, *u.shape))
    g[0, :-1] = u[1:] - u[:-1]
    g[1, :, :-1] = u[:, 1:] - u[:, :-1]
    return g


def divergence(p):
    """div p (H, W) of p (2, H, W): minus the adjoint of slopes."""
    ...


course.check("10.2", divergence)

# %% [markdown]
# The engine knows the adjoint of everything that it can differentiate: the derivative of $\langle \nabla u, p \rangle$
# by $u$ is $\nabla^\top p$. So Chambolle's iteration can be written without having derived anything. It is compared
# with the library's, which has a derived one.


# %%
def divergence_by_engine(p):
    u = minigen.tensor(np.zeros(p.shape[1:]), requires_grad=True)
    below, right = u[1:] - u[:-1], u[:, 1:] - u[:, :-1]
    inner = (below * minigen.tensor(p[0, :-1])).sum() + (right * minigen.tensor(p[1, :, :-1])).sum()
    return -minigen.grad(inner, u)[0].numpy()


p = np.zeros((2, *gray.shape))
for _ in range(course.short(600, 20)):
    g = slopes(divergence_by_engine(p) - gray / w)
    p = (p + 0.25 * g) / (1 + 0.25 * np.sqrt((g**2).sum(axis=0)))
ours = gray - w * divergence_by_engine(p)
theirs = classical.total_variation_denoising(gray[None], w, iterations=course.short(600, 20), tolerance=0)[0]


def energy(u):
    return 0.5 * ((u - gray) ** 2).sum() + w * np.sqrt((slopes(u) ** 2).sum(axis=0)).sum()


print(f"energy: noisy {energy(gray):.4f}, descent {energy(descended):.4f}, Chambolle {energy(ours):.4f}")
print(f"largest difference between ours and minigen's: {np.abs(ours - theirs).max():.1e}")

# %% [markdown]
# ## Non-local means
#
# A photograph repeats itself. Buades, Coll and Morel (2005) estimate a pixel by the mean of all pixels *about which the
# image looks alike*, wherever they are: with $d^2$ the mean squared difference of the two 5×5 patches, a pixel counts
# by
#
# $$ \exp\bigl( -\max(d^2 - 2 \sigma^2, 0) / h^2 \bigr), $$
#
# where $2\sigma^2$ is what noise alone would make of $d^2$. By hand, for one pixel, and its weights to look at:


# %%
def weights_of(image, row, column, sigma, h, distance=10):
    """How much each pixel around (row, column) counts for it, (21, 21); image (C, H, W)."""
    patch = image[:, row - 2 : row + 3, column - 2 : column + 3]
    weights = np.zeros((2 * distance + 1, 2 * distance + 1))
    for i in range(-distance, distance + 1):
        for j in range(-distance, distance + 1):
            other = image[:, row + i - 2 : row + i + 3, column + j - 2 : column + j + 3]
            d2 = ((patch - other) ** 2).mean()
            weights[i + distance, j + distance] = np.exp(-max(d2 - 2 * sigma**2, 0) / h**2)
    return weights / weights.sum()


image = noisy[1].astype(np.float64)
h = 0.6 * SIGMA
alike = classical.non_local_means(image, SIGMA, h)
places = ((30, 60), (64, 64), (90, 40))
figure, axes = plt.subplots(2, 3, figsize=(7, 4.4))
for (row, column), (above, below) in zip(places, axes.T):
    around = image[:, row - 10 : row + 11, column - 10 : column + 11]
    weights = weights_of(image, row, column, SIGMA, h)
    above.imshow(around.clip(0, 1).transpose(1, 2, 0))
    above.plot([10], [10], "+", color="white", markersize=14)
    below.imshow(weights, cmap="magma")
    difference = np.abs((weights * around).sum(axis=(1, 2)) - alike[:, row, column]).max()
    print(f"pixel ({row}, {column}): largest weight {weights.max():.3f}, difference from minigen {difference:.1e}")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("21×21 pixels")
axes[1, 0].set_ylabel("their weights")
plt.show()

# %% [markdown]
# ## What is the best estimate of all?
#
# Wiener's is the best *linear* one. What is the best of any kind? Whatever $f$ does, for a given damaged image
# $\tilde x$ its squared error is least at the mean of all clean images that may have led to it:
#
# $$ \arg\min_f\ \mathbb E \lVert x - f(\tilde x) \rVert^2 = \mathbb E[x \mid \tilde x] . $$
#
# Where there are only $K$ clean images $x_1 \dots x_K$, all as likely, and the noise is $\mathcal N(0, \sigma^2)$ in
# each pixel, this mean can be computed: it is their mean with weights proportional to
# $\exp(-\lVert \tilde x - x_k \rVert^2 / 2 \sigma^2)$.
#
# ### Exercise 10.3
#
# Write it. (The distances can be large, and then every exponential is 0: subtract the least first.)


# %%
def conditional_mean(damaged, images, sigma):
    """E[x | x̃] for damaged (n, D), where x is one of images (K, D), each as likely."""
    ...


course.check("10.3", conditional_mean)

# %% [markdown]
# Real images are not $K$ in number, and nobody can compute the mean over all that exist. But it is the minimum of a
# *loss*, and a loss can be descended from samples.
#
# ## The correction autoencoder
#
# Damage clean images yourself, and let a network $g(f(\cdot))$ take the damage away (Vincent et al. 2008):
#
# $$ L = \mathbb E\, \lVert x - g(f(\tilde x)) \rVert^2 + \lambda\, R\bigl(g(f(\tilde x))\bigr),
#    \qquad \tilde x \sim C(\tilde x \mid x) . $$
#
# $R$ may say what clean images are like; $\lambda$ is 0 at first. An article that presents this system writes
# $\lVert x - \hat x \rVert^2 + \lambda R(\hat x)$ and never says that the *input* is the damaged image. Read literally
# it trains a network to repeat what it is given, which is easy:

# %%
digits = load_digits("train")[0].reshape(-1, 64)
held_out = load_digits("test")[0].reshape(-1, 64)
spoilt = held_out + Generator(1).normal(held_out.shape, std=0.3)


def train_dense(damage, epochs):
    """64 – 256 – 64, which starts from clean digits and is given damage(x, generator)."""
    minigen.manual_seed(0)
    model, generator = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64)), Generator(0)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        order = generator.permutation(len(digits))
        for start in range(0, len(digits) - 63, 64):
            x = digits[order[start : start + 64]]
            loss = squared_error(model(minigen.tensor(damage(x, generator))), minigen.tensor(x))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


dense = {
    "clean input": train_dense(lambda x, generator: x, course.short(25, 1)),
    "damaged input": train_dense(lambda x, generator: x + generator.normal(x.shape, std=0.3), course.short(25, 1)),
}
print("squared error on          clean digits   noisy digits")
print(f"giving back the input     {0:12.2f}   {((spoilt - held_out) ** 2).sum(axis=1).mean():12.2f}")
for name, model in dense.items():
    errors = [((model(minigen.tensor(x)).numpy() - held_out) ** 2).sum(axis=1).mean() for x in (held_out, spoilt)]
    print(f"trained with {name:<13}{errors[0]:12.2f}   {errors[1]:12.2f}")

# %% [markdown]
# Trained on clean input the network keeps most of the noise (it takes some away, for 256 hidden units fitted to digits
# cannot repeat just anything). Trained on damaged input it has learnt what digits are like, and pays for it on clean
# ones, which it corrects too.
#
# ### Exercise 10.4
#
# Beat the best *linear* filter on noisy digits. `make_denoiser` is given clean digits and $\sigma$, trains for a second
# or two, and returns a function of noisy digits. The check measures on held-out digits with noise of $\sigma = 0.3$,
# where the linear minimum leaves about 1.5. (With the digits' own covariance $\Sigma$ it is
# $\mu + \Sigma (\Sigma + \sigma^2 I)^{-1} (\tilde x - \mu)$.) Come below 1.3.


# %%
def make_denoiser(images, sigma):
    """A function, noisy (m, 64) → clean (m, 64), learnt from clean images (n, 64)."""
    ...


course.check("10.4", make_denoiser)

# %% [markdown]
# ## A U-Net
#
# For photographs the network should be convolutional, see fine detail and large surroundings at once, and begin from
# the damaged image rather than from nothing. The U-Net (Ronneberger et al. 2015, arXiv 1505.04597) goes down to lower
# resolutions and comes up again, adding at each what it had there. Ours draws only the *difference* to the damaged
# image (Zhang et al. 2017, arXiv 1608.03981), and its blocks are $x + \text{conv}(\text{relu}(\text{conv}(x)))$. By
# hand, with the library's weights:

# %%
minigen.manual_seed(0)
net = UNet(3, widths=(16, 32, 64))
P = {name: parameter + 0.01 for name, parameter in net.named_parameters()}  # blocks start at 0: move them
net.load_state_dict({name: value.numpy() for name, value in P.items()})


def block(x, name):
    inside = F.relu(F.conv2d(x, P[f"{name}.0.first.weight"], padding=1))
    return x + F.conv2d(inside, P[f"{name}.0.second.weight"], padding=1)


def unet(damaged):
    """(N, 3, H, W) → the same; sides that 4 divides."""
    x = damaged - damaged.mean((1, 2, 3), keepdim=True)
    x = F.conv2d(x, P["head.weight"], padding=1)  # (N, 16, H, W)
    a = block(x, "encoder.0")
    b = block(F.conv2d(a, P["down.0.weight"], stride=2), "encoder.1")  # (N, 32, H/2, W/2)
    c = block(F.conv2d(b, P["down.1.weight"], stride=2), "middle")  # (N, 64, H/4, W/4)
    b = block(F.conv_transpose2d(c, P["up.1.weight"], stride=2) + b, "decoder.1")
    a = block(F.conv_transpose2d(b, P["up.0.weight"], stride=2) + a, "decoder.0")
    return damaged + F.conv2d(a, P["tail.weight"], padding=1)


some = minigen.tensor(noisy[:2, :, :32, :32])
print(f"largest difference between ours and minigen's: {np.abs(unet(some).numpy() - net(some).numpy()).max():.1e}")
print(f"numbers in it: {sum(parameter.numpy().size for parameter in net.parameters())}")

# %% [markdown]
# There are no biases, and the mean is taken out: if the input is scaled or made brighter, so is the output (Mohan et
# al. 2020, arXiv 1906.05478). Training is the loop that you know. Each batch is damaged anew, so that no damage is seen
# twice, and patches are turned, mirrored, and get their colours exchanged, for two photographs are few.

# %%
patches = Patches(load_photographs("train"), size=32, stride=4)
print(f"{len(patches)} patches of {patches.shape[1:]} to train on")


def train(model, damage, steps, seed=0):
    """Minimize ‖x - g(f(x̃))‖². damage: clean images and a generator → what the network is given."""
    optimizer, generator = optim.Adam(model.parameters(), lr=3e-3), Generator(seed)
    scheduler = optim.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in range(steps):
        x = patches[generator.integers(0, len(patches), (16,))]
        x = exchange_colours(turn(x, generator), generator)
        restored = model(*map(minigen.tensor, damage(x, generator)))
        loss = squared_error(restored, minigen.tensor(x))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def restore(model, *damaged):
    with no_grad():
        return model(*map(minigen.tensor, damaged)).numpy().clip(0, 1)


def add_noise(x, generator):
    return (x + np.float32(SIGMA) * generator.normal(x.shape),)


STEPS = course.short(600, 6)
minigen.manual_seed(0)
denoiser = UNet(3, widths=(16, 32, 64))
losses = train(denoiser, add_noise, STEPS)

# %%
width = course.short(25, 2)
smoothed = np.convolve(losses, np.full(width, 1 / width), mode="valid")
plt.figure(figsize=(7, 2.4))
plt.semilogy(losses, linewidth=0.5, alpha=0.5, label="each batch")
plt.semilogy(np.arange(len(smoothed)) + width / 2, smoothed, label=f"mean of {width}")
plt.axhline(3 * 32 * 32 * SIGMA**2, color="black", linewidth=1, linestyle=":", label="giving back the noisy image")
plt.xlabel("step")
plt.ylabel(r"$\Vert x - \hat x\Vert^2$ of a patch")
plt.legend()
plt.grid()
plt.show()

# %% [markdown]
# ### Noise: a fair comparison
#
# All are given the same six noisy pieces. The classical methods are *told* $\sigma$, and each uses the parameter of a
# grid that is best on these very pieces, which nobody would know. The network was not told anything about them.


# %%
def best(method, grid, damaged):
    """The restored images with the parameter of the best PSNR."""
    tried = [np.stack([method(image, value) for image in damaged]).clip(0, 1) for value in grid]
    return max(tried, key=lambda images: psnr(images, clean))


def table(rows):
    print("                       PSNR    SSIM")
    for name, images in rows.items():
        print(f"{name:<20}  {psnr(images, clean):5.2f}   {ssim(images, clean):.3f}")


against_noise = {
    "noisy": noisy,
    "Wiener (local)": best(lambda x, n: classical.wiener_filter(x, SIGMA, n), (3, 5, 7), noisy),
    "total variation": best(
        lambda x, v: classical.total_variation_denoising(x, v * SIGMA),
        course.short((0.5, 0.6, 0.7, 0.8, 0.9), (0.7,)),
        noisy,
    ),
    "non-local means": best(
        lambda x, v: classical.non_local_means(x, SIGMA, v * SIGMA), course.short((0.5, 0.6, 0.7, 0.8), (0.6,)), noisy
    ),
    "network": restore(denoiser, noisy),
}
table(against_noise)

# %%
shown = ("noisy", "total variation", "non-local means", "network")
viz.draw_panels({"clean": corner(clean)} | {n: corner(against_noise[n]) for n in shown}, columns=1, scale=2)

# %% [markdown]
# Total variation is flat with hard edges, as its prior says that images are; non-local means keep what repeats itself.
# The network has the least error of all. It was trained for seconds on four strips of two photographs, and the held-out
# strips come from the *same* two photographs: it knows this temple's stone and this flower's leaves. On other
# photographs expect less. (With ten times the training, and a network that was not told the strength of the noise:
# README, `minigen bench restoration`.)
#
# ### Another strength
#
# Without biases, does what was learnt at $\sigma = 25$ carry over to other strengths?

# %%
print("noise     noisy   network that has seen 25 only")
for sigma in (10, 25, 50):
    damaged, _ = make_corruption(f"noise:sigma={sigma}")(clean, Generator(8))
    print(f"{sigma:5}   {psnr(damaged, clean):7.2f}   {psnr(restore(denoiser, damaged), clean):7.2f}")

# %% [markdown]
# They do. Take the image and its noise apart by a factor, and the network only sees another contrast; so what matters
# is how much noise there is for each part of image, and of that a photograph has all kinds, in its flat parts and in
# its rough ones. (Mohan et al. show that the same networks *with* biases fail beyond the strength that they have seen.)
# It is better still to draw the strength anew for each image, `noise:sigma=5-55`, as `minigen train correction-ae`
# does.
#
# ### Blur, by the library
#
# `minigen train correction-ae` is our loop with records, checkpoints, an average of the weights, and more kinds of
# patches (enlarged ones, too). As a function call:

# %%
BLUR = "gaussian-blur:sigma=1.5+noise:sigma=5"
with tempfile.TemporaryDirectory() as folder:
    config = {
        "model": "correction-ae",
        "corruption": BLUR,
        "image_size": course.short(32, 16),
        "lr": 2e-3,
        "epochs": course.short(2, 1),
    }
    config |= {"batch_size": course.short(16, 512), "width": course.short(16, 1), "augment": course.short(True, False)}
    training = start_run(config, out=f"{folder}/run", quiet=True)
    train_run(training)
    training.run.close()
against_blur = {
    "blurred": hazy,
    "total variation": best(
        lambda x, v: classical.total_variation_denoising(x, v * 5 / 255), course.short((0.2, 0.4, 0.6), (0.4,)), hazy
    ),
    "non-local means": best(
        lambda x, v: classical.non_local_means(x, 5 / 255, v * 5 / 255), course.short((0.4, 0.6), (0.6,)), hazy
    ),
    "Wiener": best(lambda x, v: classical.wiener_deconvolution(x, kernel, v), (1e-2, 2e-2, 3e-2, 5e-2), hazy),
    "network": training.system.restore(hazy),
}
table(against_blur)

# %%
viz.draw_panels(
    {"clean": corner(clean)} | {name: corner(against_blur[name]) for name in ("blurred", "Wiener", "network")},
    columns=1,
    scale=2,
)

# %% [markdown]
# The first two only take the noise away; they know nothing of blur. Wiener's filter is told the kernel, and must not
# look at the image: its answer to a frequency is the same everywhere. The network decides from what is there.
#
# ### Missing parts
#
# For lost pixels there is no noise to take away, and the first two terms of Wiener's argument are gone. Smoothness is
# what is left: total variation with the known pixels held fixed, by the engine; the surface with $\Delta^2 u = 0$ in
# the holes; and our network, told which pixels are known. What stands in the holes when it begins is a mean of the
# known neighbours.

# %%
from scipy.ndimage import gaussian_filter


def fill(images, mask):
    """Missing pixels become the mean of known ones near them; (N, C, H, W) and (N, 1, H, W)."""
    near, share = (gaussian_filter(part, (0, 0, 1.0, 1.0)) for part in (images * mask, mask))
    return (images * mask + (1 - mask) * near / np.maximum(share, 1e-6)).astype(np.float32)


def lose_pixels(x, generator):
    mask = (generator.uniform((len(x), 1, *x.shape[2:])) >= 0.7).astype(np.float32)
    return fill(x, mask), mask


minigen.manual_seed(0)
painter = UNet(3, widths=(16, 32, 64), mask=True, keep_known=True)
losses = train(painter, lose_pixels, STEPS)
print(f"squared error of a patch: {np.mean(losses[:50]):.1f} at first, {np.mean(losses[-50:]):.1f} in the end")
# %%
u = minigen.tensor(fill(holed, mask), requires_grad=True)
known, given = minigen.tensor(mask), minigen.tensor(holed)
optimizer = optim.Adam([u], lr=0.01)
for _ in range(course.short(150, 3)):
    loss = total_variation(given + u * (1 - known))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

against_loss = {
    "mean of neighbours": fill(holed, mask),
    "total variation": (given + u * (1 - known)).numpy().clip(0, 1),
    "smoothest surface": classical.fill_missing(holed, mask),
    "network": restore(painter, fill(holed, mask), mask),
}
table(against_loss)

# %%
viz.draw_panels(
    {"clean": corner(clean), "known": corner(holed)}
    | {name: corner(against_loss[name]) for name in ("total variation", "smoothest surface", "network")},
    columns=1,
    scale=2,
)

# %% [markdown]
# Here training was hardly worth it: a surface that has learnt nothing, and is the solution of one linear system, does
# as well. That is worth knowing before training anything. The library therefore lets its networks *begin* from that
# surface, and with longer training they go beyond it (README).
#
# ## What a regularizer sees
#
# $\lambda R(\hat x)$ adds what squared error does not ask for. The library's three, on the clean image and on three
# others, all as sums over an image:

# %%
a = minigen.tensor(clean)
print("                     squared error   total variation      edges   structure")
for name, images in {
    "clean": clean,
    "noisy": noisy,
    "blurred": hazy,
    "denoised by network": against_noise["network"],
}.items():
    b = minigen.tensor(images)
    row = [squared_error(b, a), total_variation(b), edge_loss(b, a), structural_loss(b, a)]
    print("{:<20} {:13.0f}   {:15.0f}   {:8.0f}   {:9.0f}".format(name, *(float(value.item()) for value in row)))

# %% [markdown]
# Total variation needs no target, and it calls the denoised image *smoother than the clean one*: adding it would make
# matters worse. Edges and structure are compared with the target. The denoised image lacks some of the clean one's
# roughness, and that is no accident of training: it is the mean of all images that might have been there, and a mean is
# smoother than what it is a mean of. What can be done about that, and what it costs, is the next notebook.
#
# ## What to read next
#
# - Rudin, Osher, Fatemi: *Nonlinear total variation based noise removal algorithms*, Physica D 60, 1992; Chambolle: *An
#   algorithm for total variation minimization and applications*, J. Math. Imaging Vision 20, 2004.
# - Buades, Coll, Morel: *A review of image denoising algorithms, with a new one*, Multiscale Model. Simul. 4, 2005.
# - Zhang et al.: *Plug-and-play image restoration with deep denoiser prior*, 2021, arXiv 2008.13751: our U-Net's model.
# - Lehtinen et al.: *Noise2Noise*, 2018, arXiv 1803.04189: the conditional mean, learnt without a single clean image.
# - In minigen: `minigen/restoration/classical.py`, `minigen/models/unet.py`, `minigen/training/restoration.py`,
#   `minigen/data/corruptions/`; on the command line `minigen train correction-ae`, `restore`, `bench restoration`.
# - [Notebook 11](11-restoration-gan.ipynb): restored images that look real.
