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
# # 11. Restored, and looking real
#
# After this notebook you can
#
# - say what squared error, absolute error and a discriminator each ask a network for, and why the first two blur;
# - state the trade-off between distortion and perception, compute it where that is possible, and measure it where not;
# - write the losses of a restoration GAN, and name the two mistakes that make it useless;
# - train one on digits and one on photographs, and judge them by more than one number.
#
# You need notebooks [8](08-gan.ipynb) and [10](10-correction.ipynb). Everything runs on the CPU in less than three
# minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import Generator, course, nn, no_grad, optim, viz
from minigen import functional as F
from minigen.data import load_digits
from minigen.data.corruptions import make_corruption
from minigen.data.photographs import Patches, load_photographs
from minigen.losses import (
    absolute_error,
    discriminator_loss,
    generator_loss,
    r1_penalty,
    squared_error,
    wgan_gp_penalty,
)
from minigen.metrics import frechet_distance, psnr, ssim
from minigen.models.patch_discriminator import PatchDiscriminator
from minigen.models.unet import UNet
from minigen.training.restoration import exchange_colours, turn

course.use_style()

# %% [markdown]
# ## An edge in a fog
#
# A row of pixels is black on the left and white on the right. The damage has wiped out where the edge is: any of the
# places from 20 to 43 is as likely as any other. What should a restorer draw?

# %%
places = np.arange(20, 44)
possible = (np.arange(64) >= places[:, None]).astype(float)  # (24, 64): all rows that there may be

answers = {
    "their mean": possible.mean(axis=0),
    "their median, pixel by pixel": np.quantile(possible, 0.5, axis=0, method="lower"),
    "one of them, drawn": possible[Generator(1).integers(0, 24, ())],
}
figure, axes = plt.subplots(1, 3, figsize=(9, 2), sharey=True)
for axis, (name, row) in zip(axes, answers.items()):
    axis.step(np.arange(64), row, where="mid")
    axis.set(title=name, xlabel="pixel")
    squared, absolute = ((possible - row) ** 2).sum(axis=1).mean(), abs(possible - row).sum(axis=1).mean()
    print(f"{name:<30} squared error {squared:5.2f}, absolute error {absolute:5.2f}")
pairs = ((possible[:, None] - possible[None]) ** 2).sum(axis=2)
print(f"drawn, on average over all draws: squared error {pairs.mean():.2f}")
plt.show()

# %% [markdown]
# The mean has the least squared error of all, and it is a ramp: nothing in this world looks like it. The median has the
# least absolute error, and it happens to be an edge, in the middle. (That is why pix2pix prefers L1 to L2: Isola et al.
# 2017, arXiv 1611.07004.) One that is drawn looks like all others, and on average its squared error is twice that of
# the mean.
#
# ### Exercise 11.1
#
# For a pixel that has one of the values $v_k$ with probability $p_k$, write the two best guesses.


# %%
def best_guesses(values, weights):
    """The number with the least mean squared error, and the one with the least mean absolute error."""
    ...


course.check("11.1", best_guesses)

# %% [markdown]
# ## Perception and distortion
#
# Blau and Michaeli (2018, arXiv 1711.06077) separate two things that are both called quality:
#
# - **distortion**: how far is a restored image from *its own* clean one, $\mathbb E\, \Delta(x, \hat x)$. Squared
#   error, PSNR, SSIM.
# - **perception**: how far is the *distribution* of restored images from that of clean ones, $d(p_X, p_{\hat X})$.
#   Nobody needs to know which clean image belongs to which: could you tell the two heaps apart?
#
# Their theorem: let $P(D)$ be the least $d$ that any estimator with distortion at most $D$ can have. It falls with $D$,
# for every $\Delta$, and where $d$ is convex it is convex. Where the least distortion is not yet perfect, one can have
# less of one only for more of the other. And for squared error the price is bounded: *drawing* $\hat x$ from
# $p(x \mid \tilde x)$ makes $p_{\hat X} = p_X$ exactly, and costs
#
# $$ \mathbb E \lVert x - \hat x \rVert^2 = 2\, \mathbb E \lVert x - \mathbb E[x \mid \tilde x] \rVert^2 : $$
#
# given $\tilde x$, the clean and the drawn one are independent with the same mean, so their variances add up. Twice the
# least error, 3 decibels, never more.
#
# ### All of it for a Gaussian
#
# Let $x \sim \mathcal N(0, 1)$ and $y = x + \sigma n$. The estimators $\hat x = a\,y$ are Gaussian too, with standard
# deviation $a\sqrt{1 + \sigma^2}$. The Wasserstein-2 distance of two Gaussians of mean 0 is the difference of their
# standard deviations, and $\mathbb E (x - a y)^2 = (1 - a)^2 + a^2 \sigma^2$.
#
# ### Exercise 11.2
#
# Which error must be paid for a distance of at most $p$?


# %%
def least_error(sigma, p):
    """The least E(x - a·y)² over all a with |1 - a·√(1 + σ²)| ≤ p."""
    ...


course.check("11.2", least_error)

# %% [markdown]
# Measured, with numbers drawn and $d$ estimated by `frechet_distance`, which is the square of the Wasserstein-2
# distance of two Gaussians with the samples' means and covariances:

# %%
sigma, n = 1.0, course.short(200_000, 2000)
generator = Generator(0)
x = generator.normal((n,), dtype=np.float64)
y = x + sigma * generator.normal((n,), dtype=np.float64)
best, spread = 1 / (1 + sigma**2), np.sqrt(sigma**2 / (1 + sigma**2))  # of the Gaussian p(x | y): mean best·y, std


def both(estimate):
    """Distortion and perception, measured."""
    return np.mean((x - estimate) ** 2), np.sqrt(frechet_distance(x[:, None], estimate[:, None]))


slopes = np.linspace(0.35, 0.9, 12)
line = np.array([both(a * y) for a in slopes])
marks = {
    "least error, E[x | y]": both(best * y),
    "a·y with standard deviation 1": both(y / np.sqrt(1 + sigma**2)),
    "drawn from p(x | y)": both(best * y + spread * generator.normal((n,), dtype=np.float64)),
    "y itself": both(y),
}
plt.plot(*line.T, label=r"$\hat x = a\,y$")
for (name, (distortion, perception)), marker in zip(marks.items(), "os^D"):
    plt.plot([distortion], [perception], marker, markersize=8, label=name)
    print(f"{name:<30} error {distortion:.3f}, distance of the distributions {perception:.3f}")
plt.axvline(2 * marks["least error, E[x | y]"][0], color="black", linewidth=1, linestyle=":")
plt.xlabel(r"distortion $E(x - \hat x)^2$   (dotted: twice the least)")
plt.ylabel("perception: $W_2$")
plt.grid()
plt.legend()
plt.show()

# %% [markdown]
# Here a deterministic estimate reaches $d = 0$ for less than a draw does. In general it must go through all that an
# image can be, and a discriminator is what can tell whether it does.
#
# ## The restoration GAN
#
# $$ L_D = -\mathbb E \log \sigma(D(y)) - \mathbb E \log\bigl(1 - \sigma(D(G(\tilde x, z)))\bigr), \qquad
#    L_G = -\mathbb E \log \sigma(D(G(\tilde x, z))) + \lambda\, \mathbb E \lVert y - G(\tilde x, z) \rVert_1 . $$
#
# $D$ measures perception, the other term distortion, $\lambda$ chooses a place on the curve. An article that presents
# this system gives the discriminator the *damaged* images as its real ones, so that $G$ is praised for damage, and
# leaves out the second term of $L_G$, so that any clean image at all is a perfect restoration of every damaged one.
#
# ### Exercise 11.3
#
# Write both losses, for a $G$ without $z$. From logits, in the form that does not overflow: $-\log \sigma(a) =
# \operatorname{softplus}(-a)$. Sums over pixels, means over the batch; and what $D$ learns from must not reach $G$.


# %%
def losses(generator, discriminator, damaged, clean, weight):
    """L_D and L_G for two networks and tensors (N, C, H, W)."""
    ...


course.check("11.3", losses)

# %% [markdown]
# The two adversarial terms are `discriminator_loss` and `generator_loss` of the library, which need only the logits:

# %%
real, fake = Generator(2).normal((2, 6), std=3.0, dtype=np.float64)
probability = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
by_hand = -np.log(probability[0]).mean() - np.log(1 - probability[1]).mean(), -np.log(probability[1]).mean()
R, T = minigen.tensor(real), minigen.tensor(fake)
by_minigen = discriminator_loss(R, T).item(), generator_loss(R, T).item()
print(f"largest difference between ours and minigen's: {np.abs(np.subtract(by_hand, by_minigen)).max():.1e}")

# %% [markdown]
# ## The curve, on digits
#
# Blau and Michaeli drew their curve with many small denoisers of MNIST digits, each trained by a Wasserstein GAN with
# another weight. The same here, on digits of 8×8 and with four weights: noise of $\sigma = 0.5$, dense networks, and
#
# $$ L_G = \lVert y - G(\tilde x, z) \rVert^2 - \lambda\, \mathbb E\, D(G(\tilde x, z)), \qquad
#    L_D = \mathbb E\, D(G(\tilde x, z)) - \mathbb E\, D(y) + \text{gradient penalty}. $$
#
# $\lambda$ weighs the critic here, and $\lambda = 0$ is the correction autoencoder. All others start from that one.

# %%
digits = load_digits("train")[0].reshape(-1, 64)
held_out = load_digits("test")[0].reshape(-1, 64)
SIGMA, NOISE = 0.5, 16  # NOISE: numbers in z


def make_generator():
    return nn.Sequential(
        nn.Linear(64 + NOISE, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 64), nn.Sigmoid()
    )


def make_critic():
    return nn.Sequential(
        nn.Linear(64, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)
    )


def input_of(clean, generator):
    """What G is given: damaged digits and z, (n, 64 + NOISE)."""
    damaged = clean + generator.normal(clean.shape, std=SIGMA)
    return minigen.tensor(np.concatenate([damaged, generator.normal((len(clean), NOISE))], axis=1))


def train_digits(model, weight, steps, tied=True):
    """λ = weight; with tied=False the distance to the clean digit is left out."""
    generator, critic = Generator(1), make_critic()
    rate, betas = (3e-4, (0.5, 0.9)) if weight else (1e-3, (0.9, 0.999))
    optimizer = optim.Adam(model.parameters(), lr=rate, betas=betas)
    critic_optimizer = optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))

    def batch():
        clean = digits[generator.integers(0, len(digits), (64,))]
        return minigen.tensor(clean), input_of(clean, generator)

    for _ in range(steps):
        for _ in range(2 if weight else 0):  # the critic goes ahead
            clean, given = batch()
            with no_grad():
                restored = model(given)
            loss = critic(restored).mean() - critic(clean).mean()
            loss = loss + wgan_gp_penalty(critic, clean, restored, generator, weight=1.0)
            critic_optimizer.zero_grad()
            loss.backward()
            critic_optimizer.step()
        clean, given = batch()
        restored = model(given)
        loss = squared_error(restored, clean) if tied else 0.0
        loss = loss - weight * critic(restored).mean() if weight else loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


minigen.manual_seed(0)
start = train_digits(make_generator(), 0.0, course.short(4000, 10))
models = {0.0: start}
for weight in (0.5, 2.0, 5.0):
    model = make_generator()
    model.load_state_dict(start.state_dict())
    models[weight] = train_digits(model, weight, course.short(1500, 5))

# %%
test_input = input_of(held_out, Generator(9))  # the same damage for all
spoilt = test_input.numpy()[:, :64]
draws_of_z = Generator(8).normal((8, len(held_out), NOISE))
again = [minigen.tensor(np.concatenate([spoilt, z], axis=1)) for z in draws_of_z]


def restore_digits(model, given):
    with no_grad():
        return model(given).numpy()


def judge_digits(model):
    """Squared error, distance to clean digits, and how much the restorations of one image differ with z."""
    restored = restore_digits(model, test_input)
    draws = np.stack([restore_digits(model, given) for given in again])  # (8, n, 64)
    variety = ((draws - draws.mean(axis=0)) ** 2).sum(axis=2).sum(axis=0).mean() / 7
    return ((restored - held_out) ** 2).sum(axis=1).mean(), frechet_distance(digits, restored), variety


measured = {weight: judge_digits(model) for weight, model in models.items()}
print("lambda   squared error   Fréchet distance   variety by z")
for weight, (error, distance, variety) in measured.items():
    print(f"{weight:6}   {error:13.2f}   {distance:16.3f}   {variety:12.3f}")
print(f"held-out digits themselves are at a Fréchet distance of {frechet_distance(digits, held_out):.3f}")

# %%
errors, distances, _ = np.array(list(measured.values())).T
plt.plot(errors, distances, "o-")
for weight, error, distance in zip(measured, errors, distances):
    plt.annotate(rf"$\lambda = {weight:g}$", (error, distance), xytext=(6, 6), textcoords="offset points")
plt.axhline(frechet_distance(digits, held_out), color="black", linewidth=1, linestyle=":", label="held-out digits")
plt.ylim(0, None)
plt.xlabel(r"distortion: $\Vert x - \hat x\Vert^2$")
plt.ylabel("perception: Fréchet distance")
plt.grid()
plt.legend()
plt.show()

# %%
chosen = [0, 3, 5, 8, 12, 17, 21, 30]
square = {weight: restore_digits(model, test_input)[chosen].reshape(-1, 1, 8, 8) for weight, model in models.items()}
rows = [("clean", held_out[chosen].reshape(-1, 1, 8, 8))]
rows += [("damaged", spoilt[chosen].reshape(-1, 1, 8, 8).clip(0, 1))]
rows += [(f"weight {weight:g}", images) for weight, images in square.items()]
viz.draw_rows(rows, scale=5)

# %% [markdown]
# As the theorem says: what is gained on one axis is paid on the other, and all points stay left of twice the least
# error. The first weight is worth a second look. It costs hardly any distortion, for the curve is steep where the
# distortion is least: *a little* perception is nearly free. At the other end the largest weight buys nothing any more:
# the theorem is about the best estimators, and what is trained for seconds against a strong critic is not one of them.
#
# The variety shows what the theory would have differently. A network that draws from $p(x \mid \tilde x)$ would vary
# with $z$ by as much as the least error. These vary far less: where one answer per image can fool the critic, $z$ is
# ignored (pix2pix reports the same), for squared error punishes every bit of it.
#
# ### Nothing ties it
#
# And if the distance is left out, as in the article?

# %%
minigen.manual_seed(0)
untied = train_digits(make_generator(), 1.0, course.short(1200, 5), tied=False)
error, distance, _ = judge_digits(untied)
mean_digit = ((held_out - digits.mean(axis=0)) ** 2).sum(axis=1).mean()
print(f"Fréchet distance {distance:.3f}, squared error {error:.2f}; the mean digit for every image: {mean_digit:.2f}")
free = restore_digits(untied, test_input)[chosen].reshape(-1, 1, 8, 8)
viz.draw_rows([rows[0], rows[1], ("not tied", free)], scale=5)

# %% [markdown]
# It draws something like digits, but other ones: a generator, not a restorer. By distortion it is worse than giving the
# same grey mean for every image. No measure of perception notices.
#
# ## How much of an image is a patch?
#
# For photographs pix2pix judges *patches*: $D$ is a stack of convolutions that gives a logit for each place. What the
# image shows is left to the distance; $D$ looks after texture. How much a logit sees is decided by kernels and strides.
#
# ### Exercise 11.4
#
# Write how many pixels one output sees.


# %%
def patch_width(layers):
    """Pixels in a row that one output sees; layers: (kernel, stride) from first to last."""
    ...


course.check("11.4", patch_width)

# %% [markdown]
# It can be measured: the gradient of one logit by the image is zero wherever that logit does not look. These are the
# library's discriminators, `depth` convolutions 4×4 with stride 2 and two of 3×3.

# %%
for depth in (1, 2, 3):
    minigen.manual_seed(0)
    image = minigen.rand(1, 3, 96, 96, generator=Generator(0)).requires_grad_()
    logits = PatchDiscriminator(3, width=8, depth=depth)(image)
    middle = logits.shape[2] // 2
    logits[0, 0, middle, middle].backward()
    seen = np.abs(image.grad.numpy()).max(axis=(0, 1, 2)) > 0
    print(f"depth {depth}: a logit sees {seen.sum()} pixels of a row")

# %% [markdown]
# ## Photographs
#
# The damage is blur with a little noise, the network the U-Net of [notebook 10](10-correction.ipynb), first trained
# by L1 alone. Then three go
# on from there for the same number of steps: by L1 alone, with a discriminator and a large $\lambda$, and with a small
# one. ($\lambda$ weighs the *mean* absolute error here, as in pix2pix, where it is 100.)

# %%
DAMAGE = make_corruption("gaussian-blur:sigma=1.5+noise:sigma=5")
clean = np.stack([region[:, top : top + 128] for region in load_photographs("test") for top in (20, 150, 280)])
damaged, _ = DAMAGE(clean, Generator(7))
patches = Patches(load_photographs("train"), size=32, stride=4)


def batch_of(generator):
    x = patches[generator.integers(0, len(patches), (16,))]
    x = exchange_colours(turn(x, generator), generator)
    return minigen.tensor(x), minigen.tensor(DAMAGE(x, generator)[0])


def train_l1(model, steps, rate, generator):
    optimizer = optim.Adam(model.parameters(), lr=rate)
    scheduler = optim.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x, given = batch_of(generator)
        loss = absolute_error(model(given), x)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 100.0)
        optimizer.step()
        scheduler.step()


minigen.manual_seed(0)
first = UNet(3, widths=(16, 32, 64))
train_l1(first, course.short(300, 3), 3e-3, Generator(0))


# %% [markdown]
# The discriminator: four 3×3 convolutions without strides, so that each logit sees 9×9 pixels and all places are
# treated alike. (Strided ones see a grid themselves, and make $G$ draw one much more: try `PatchDiscriminator`.) It is
# shown deviations from each image's mean colour, and the $R_1$ penalty of [notebook 8](08-gan.ipynb) keeps it flat at
# real images. How
# much of that depends on the scale of the pixels, since a gradient does: a thousand times as much, and $D$ says ½ to
# everything.


# %%
class Texture(nn.Module):
    """Images (N, 3, H, W) to logits (N, 1, H, W), each for 9×9 pixels."""

    def __init__(self, width=16):
        super().__init__()
        convolutions = [nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, width), (width, width), (width, 2 * width))]
        self.layers = nn.Sequential(
            *(layer for c in convolutions for layer in (c, nn.LeakyReLU(0.2))), nn.Conv2d(2 * width, 1, 3, padding=1)
        )

    def forward(self, images):
        return self.layers(6 * (images - images.mean((2, 3), keepdim=True)))


def train_gan(model, weight, steps, generator):
    D = Texture()
    optimizer_d = optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.9))
    optimizer_g = optim.Adam(model.parameters(), lr=3e-4, betas=(0.5, 0.999))
    history = []
    for step in range(-course.short(60, 1), steps):
        x, given = batch_of(generator)
        restored = model(given)
        real, fake = D(x), D(restored.detach())
        d_loss = discriminator_loss(real, fake) + r1_penalty(lambda v: D(v).mean((1, 2, 3)), x, x, weight=0.03)
        optimizer_d.zero_grad()
        d_loss.backward()
        optimizer_d.step()
        if step < 0:
            continue  # D first learns to tell what L1 leaves
        g_loss = generator_loss(None, D(restored)) + weight * absolute_error(restored, x) / x[0].numel()
        optimizer_g.zero_grad()
        g_loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        optimizer_g.step()
        history.append((F.sigmoid(real).mean().item(), F.sigmoid(fake).mean().item()))
    return np.array(history)


def copy_of(model):
    other = UNet(3, widths=(16, 32, 64))
    other.load_state_dict(model.state_dict())
    return other


STEPS = course.short(220, 2)
networks, opinions = {"L1": copy_of(first)}, {}
train_l1(networks["L1"], STEPS, 1e-3, Generator(1))
for weight in (40, 10):
    minigen.manual_seed(1)
    networks[f"L1 ·{weight:3} + D"] = copy_of(first)
    opinions[weight] = train_gan(networks[f"L1 ·{weight:3} + D"], weight, STEPS, Generator(1))

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 2.4), sharey=True)
for axis, (weight, opinion) in zip(axes, opinions.items()):
    axis.plot(opinion[:, 0], label="clean")
    axis.plot(opinion[:, 1], label="restored")
    axis.set(title=rf"D's opinion, $\lambda = {weight}$", xlabel="step", ylim=(0.2, 0.8))
    axis.grid()
axes[0].legend()
plt.show()

# %% [markdown]
# Two measures of perception that need no large network. They compare held-out *heaps*, the restored pixels against the
# clean ones, and never ask which belongs to which. *Patches*: the Fréchet distance of 8×8 grey patches less their
# means, which sees how much of each frequency there is. *Slopes*: the Wasserstein-1 distance between the absolute
# differences of neighbouring pixels, which is the mean difference of the two sorted lists.


# %%
def patches_of(images):
    windows = np.lib.stride_tricks.sliding_window_view(images.mean(axis=1), (8, 8), axis=(1, 2))[:, ::4, ::4]
    windows = windows.reshape(-1, 64).astype(np.float64)
    return windows - windows.mean(axis=1, keepdims=True)


def slopes_of(images):
    return np.sort(np.abs(np.diff(images.mean(axis=1), axis=2)).reshape(-1))


def restore(model):
    with no_grad():
        return model(minigen.tensor(damaged)).numpy().clip(0, 1)


pictures = {"damaged": damaged} | {name: restore(model) for name, model in networks.items()}
print("                 PSNR    SSIM   patches    slopes   steepness")
for name, images in pictures.items():
    p, s = frechet_distance(patches_of(clean), patches_of(images)), np.abs(slopes_of(images) - slopes_of(clean)).mean()
    steep = slopes_of(images).mean() / slopes_of(clean).mean()
    print(f"{name:<14} {psnr(images, clean):6.2f}   {ssim(images, clean):.3f}   {p:7.3f}   {s:7.4f}   {steep:9.2f}")


# %%
def corner(images):
    return images[[1, 4], :, 40:88, 40:88].clip(0, 1)


viz.draw_panels({"clean": corner(clean)} | {n: corner(i) for n, i in pictures.items()}, columns=1, scale=3)

# %% [markdown]
# *Steepness* is the mean slope over that of the clean images. L1 leaves about half of it: all edges are softer than
# real ones. Each discriminator brings some of it back, and both measures of perception fall, while PSNR and SSIM fall
# too. That is the trade-off, on photographs.
#
# Look closely, though. What has come back is not what was lost: edges are crisper, and there are specks and broken
# lines that the clean image does not have, many of them in the two-pixel grid of the U-Net's transposed convolutions
# ([notebook 4](04-convolution.ipynb)). Both measures call this nearer to photographs, and the eye hardly agrees: a
# measure of perception is
# only as good as what it looks at, and so is a discriminator that sees 9×9 pixels for a few hundred steps. It knows
# that images are rough, and little about where. The convincing pictures in papers come from far larger networks,
# trained far longer on far more images. What carries over from this size to theirs is the curve, and its price.
#
# So which is better? It depends on what the image is for. Someone who shows a holiday photograph wants it crisp; a
# physician wants no vessel that was not there.
#
# The library's `minigen train restoration-gan` has all of this, with $z$, conditional discriminators (shown the damaged
# image beside the restored one, so that $D$ asks "could this be *its* clean image?") and other adversarial losses.
#
# ## What to read next
#
# - Blau, Michaeli: *The perception-distortion tradeoff*, CVPR 2018, arXiv 1711.06077: proofs, and published methods on
#   the plane.
# - Isola, Zhu, Zhou, Efros: *Image-to-image translation with conditional adversarial networks*, 2017, arXiv 1611.07004.
# - Freirich, Michaeli, Meir: *A theory of the distortion-perception tradeoff in Wasserstein space*, 2021, arXiv
#   2107.02555: every point of the curve is a mixture of its two ends.
# - Ohayon et al.: *High perceptual quality image denoising with a posterior sampling CGAN*, 2021, arXiv 2103.04192:
#   a $z$ that is not ignored.
# - In minigen: `minigen/training/restoration.py`, `minigen/models/patch_discriminator.py` and
#   `minigen/losses/restoration.py`.
# - [Notebook 12](12-cpu-kernel.ipynb): what all these convolutions cost, and how a processor does them fast.
