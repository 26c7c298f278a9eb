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
# # 9. A DCGAN on digits
#
# After this notebook you can
#
# - build a convolutional GAN and say what normalization and the size of the first weights do to its signals;
# - judge generated images by numbers: classes covered, Fréchet distance, coverage, and whether they are copies;
# - read a GAN's curves: which of them mean something, and what a discriminator's loss proves;
# - choose two learning rates, and compare settings without deceiving yourself.
#
# You need notebooks [4](04-convolution.ipynb) and [8](08-gan.ipynb). Everything runs on the CPU in about two minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import course, nn, optim, viz
from minigen import functional as F
from minigen.data import load
from minigen.metrics import (
    class_coverage,
    class_probabilities,
    classifier_features,
    density_coverage,
    frechet_distance,
    nearest_neighbour_accuracy,
    train_classifier,
)
from minigen.models.dcgan import DCGANDiscriminator, DCGANGenerator
from minigen.training.gan import train_gan
from minigen.training.rehearsal import Rehearsal

course.use_style()

# %% [markdown]
# ## The networks
#
# DCGAN (Radford, Metz & Chintala 2016, arXiv 1511.06434) made GANs of images work by a recipe: a generator of
# transposed convolutions with batch norm, a discriminator of strided convolutions with LeakyReLU, no pooling, tanh at
# the end. The version that many courses copy makes images of 28×28 with windows of 5×5: from $z$ to a small image of
# 7×7 with many channels, then to 14×14 and 28×28. Padding is "same": of a 5×5 window with stride 2 on 28 pixels one row
# of zeros goes before and *two* after (exercise 04.1), and the transposed convolution must be the exact adjoint of
# that, or shapes do not fit.
#
# By hand, with two switches for what is to come: batch norm or none, and the standard deviation of the first weights.


# %%
SLOPE, LATENT = 0.3, 32


def start(net, std):
    """Weights from N(0, std²), biases 0; std None: Glorot's uniform start, of variance 2/(fan_in + fan_out)."""
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            if std is None:
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


def make_generator(width, norm=True, std=None):
    def normalized(layer, channels, flat=False):
        kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
        return [layer, *([kind(channels, eps=1e-3)] if norm else []), nn.LeakyReLU(SLOPE)]

    wide, up = 4 * width, {"padding": "same", "bias": not norm}  # batch norm subtracts a bias again
    layers = [
        *normalized(nn.Linear(LATENT, wide * 49, bias=not norm), wide * 49, flat=True),
        nn.Unflatten(1, (wide, 7, 7)),
        *normalized(nn.ConvTranspose2d(wide, 2 * width, 5, stride=1, **up), 2 * width),  # (N, 2·width, 7, 7)
        *normalized(nn.ConvTranspose2d(2 * width, width, 5, stride=2, **up), width),  # (N, width, 14, 14)
        nn.ConvTranspose2d(width, 1, 5, stride=2, padding="same", bias=False),  # (N, 1, 28, 28)
        nn.Tanh(),
    ]
    return start(nn.Sequential(*layers), std)


def make_discriminator(width, noise, std=None):
    layers = [
        nn.Conv2d(1, width, 5, stride=2, padding="same"),  # (N, width, 14, 14)
        nn.LeakyReLU(SLOPE),
        nn.Dropout(0.3, generator=noise),
        nn.Conv2d(width, 2 * width, 5, stride=2, padding="same"),  # (N, 2·width, 7, 7)
        nn.LeakyReLU(SLOPE),
        nn.Dropout(0.3, generator=noise),
        nn.Flatten(),
        nn.Linear(2 * width * 49, 1, bias=False),  # a logit: no sigmoid
    ]
    return start(nn.Sequential(*layers), std)


# %% [markdown]
# The library's networks are those of the course's article, 64 channels wide. Ours are narrower, so that they train in a
# minute. With equal weights both must give equal images and logits.

# %%
minigen.manual_seed(0)
z, images = minigen.randn(5, LATENT), minigen.randn(5, 1, 28, 28)
pairs = (
    ("generator", make_generator(8), DCGANGenerator(latent_dim=LATENT, width=8), z),
    ("discriminator", make_discriminator(8, minigen.Generator(0)), DCGANDiscriminator(width=8), images),
)
for name, ours, theirs, x in pairs:
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data = its.data.copy()
    with minigen.no_grad():
        gap = np.abs(ours.eval()(x).numpy() - theirs.eval()(x).numpy()).max()
    full = DCGANGenerator() if name == "generator" else DCGANDiscriminator()
    count, whole = (sum(p.numel() for p in net.parameters()) for net in (ours, full))
    print(f"{name}: {count} weights (the article's has {whole}), largest difference from the library's {gap:.0e}")

# %% [markdown]
# Images must come in the generator's own range: tanh ends at -1 and 1, and so must the data. Articles also print a loop
# that draws one batch an *epoch*, and one that makes its samples outside the tape, so that $G$ never learns anything.
# And in a well-known program `BatchNorm2d(128, 0.8)` was meant as a momentum: the second argument is eps.

# %%
train_images, train_labels = load("digits28", "train", scale="tanh").arrays
test_images, test_labels = load("digits28", "test", scale="tanh").arrays
low, high = train_images.min(), train_images.max()
print(f"{len(train_images)} digits to train on, from {low} to {high}, {len(test_images)} held out")

x = minigen.randn(64, 128, 4, 4) * 0.1
for name, layer in (("BatchNorm2d(128)", nn.BatchNorm2d(128)), ("BatchNorm2d(128, 0.8)", nn.BatchNorm2d(128, 0.8))):
    print(f"standard deviation after {name:<22} {layer(x).numpy().std():.2f}")

# %% [markdown]
# ## Normalization
#
# Batch norm (Ioffe & Szegedy 2015, arXiv 1502.03167) brings each channel to mean 0 and variance 1 over the batch and
# all places, then multiplies by a weight and adds a bias, both learnt:
#
# $$ y = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad \mu, \sigma^2 \text{ over } (N, H, W). $$
#
# In training $\mu$ and $\sigma^2$ are the batch's (the variance over $n$), and running averages of them are kept (of
# the variance over $n - 1$): kept ← (1 - momentum)·kept + momentum·batch. In evaluation the kept ones are used.
#
# ### Exercise 09.1
#
# Write it, without weight and bias.


# %%
def batch_norm(x, mean, var, training, momentum, eps):
    """y (N, C, H, W) and the kept mean and variance (C,) afterwards."""
    ...


course.check("09.1", batch_norm)

# %% [markdown]
# Since a batch shares its statistics, an image depends on its neighbours: in training mode one and the same $z$ gives
# another image in another batch. That is why samples are drawn in evaluation mode, and why $D$ should see real and
# generated images in batches of their own, if it has batch norm at all (ours has not).

# %%
minigen.manual_seed(0)
G = make_generator(8)
same, others = minigen.randn(1, LATENT), [minigen.randn(15, LATENT) for _ in range(2)]
for mode in ("train", "eval"):
    getattr(G, mode)()
    with minigen.no_grad():
        first, second = (G(F.cat([same, rest], 0))[0].numpy() for rest in others)
    print(f"{mode}: one z in two batches, the images differ by up to {np.abs(first - second).max():.3f}")

# %% [markdown]
# ## Initialization
#
# An output of a layer is a sum of $n$ products. With independent weights of variance $\sigma_w^2$ around 0,
#
# $$ \operatorname{Var}(\text{out}) = n\, \sigma_w^2\, \mathbb{E}[x^2], \qquad
#    \mathbb{E}[\text{LeakyReLU}(a)^2] = \tfrac{1}{2}(1 + \text{slope}^2) \operatorname{Var}(a), $$
#
# so that a signal grows or shrinks by one factor in every layer (Glorot & Bengio 2010; He et al. 2015, arXiv
# 1502.01852). For a convolution $n$ = channels · kernel². For a transposed convolution with stride $s$ it is less,
# since each input pixel is spread over outputs $s$ apart.
#
# ### Exercise 09.2
#
# Which standard deviation of the weights keeps $\mathbb{E}[x^2]$ through a transposed convolution and its LeakyReLU?


# %%
def start_std(channels, kernel, stride, slope):
    """The standard deviation for a transposed convolution with so many input channels."""
    ...


course.check("09.2", start_std)

# %% [markdown]
# Here are the sizes of the signal behind each activation of the generator, and of what reaches back from its last
# layer, for three starts with and without batch norm. (DCGAN's own start is 0.02, for layers of up to 1,024 channels.)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for norm, line in ((True, "-o"), (False, "--s")):
    for color, std in zip(("#0072B2", "#D55E00", "#009E73"), (0.002, 0.02, 0.2)):
        minigen.manual_seed(0)
        G = make_generator(8, norm, std)
        x, kept = minigen.randn(64, LATENT), []
        for layer in G:
            x = layer(x)
            if isinstance(layer, (nn.LeakyReLU, nn.Tanh)):
                kept.append(x.retain_grad())
        x.backward(minigen.randn(*x.shape))
        label = f"std {std}, {'batch norm' if norm else 'none'}"
        for axis, values in zip(axes, (kept, [signal.grad for signal in kept])):
            sizes = [np.sqrt((value.numpy() ** 2).mean()) for value in values]
            axis.semilogy(range(1, 5), sizes, line, color=color, markersize=4, linewidth=1, label=label)
axes[0].set_title("going forward: the signal")
axes[1].set_title("going backward: its gradient")
for axis in axes:
    axis.set(xlabel="behind activation", xticks=range(1, 5))
    axis.grid()
axes[1].legend(fontsize=7)
plt.show()

# %% [markdown]
# Without normalization a start ten times too small makes an image that is grey in every pixel, to many digits. Batch
# norm brings the hidden signals of the two larger starts to one size; with the smallest their variance is no larger
# than $\varepsilon = 0.001$, and it helps in part. The last layer has no normalization, and neither has $D$.
#
# ## A judge
#
# How good are samples? One looks at some and finds them good: that is no answer, and now for the numbers. Take two sets
# of features, of real and of generated images, here those of a small classifier that is trained on the real digits
# (reduced to 14×14: enlarged from 8×8, they hold nothing more).


# %%
def reduced(images):
    """(n, 1, 28, 28) from -1 to 1 → (n, 1, 14, 14) from 0 to 1, what the judge looks at."""
    return (images.reshape(len(images), 1, 14, 2, 14, 2).mean(axis=(3, 5)) + 1) / 2


judge = train_classifier(reduced(train_images), train_labels, epochs=course.short(None, 1))
real_features = classifier_features(judge, reduced(test_images))
right = class_probabilities(judge, reduced(test_images)).argmax(axis=1) == test_labels
print(f"the judge is right about {right.mean():.1%} of the held-out digits")

# %% [markdown]
# Three figures, each of which sees what the others do not:
#
# - **classes covered**: those that at least one sample in a hundred is recognized as, with a confidence of 80 %;
# - the **Fréchet distance** (Heusel et al. 2017, arXiv 1706.08500) of the two sets of features, each taken for a
#   Gaussian: $\|\mu_1 - \mu_2\|^2 + \operatorname{tr}\bigl(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\bigr)$,
#   $\Sigma$ over $n - 1$;
# - **coverage** (Naeem et al. 2020, arXiv 2002.09797): the share of real points with a fake in their neighbourhood, a
#   ball that reaches to their $k$-th nearest real neighbour, $k = 5$.
#
# ### Exercise 09.3
#
# Write the Fréchet distance.


# %%
def frechet(a, b):
    """The Fréchet distance of features (n, d) and (m, d)."""
    ...


course.check("09.3", frechet)

# %% [markdown]
# ### Exercise 09.4
#
# Write the coverage.


# %%
def coverage(real, fake, k):
    """The share of real points (n, d) whose ball holds a fake (m, d)."""
    ...


course.check("09.4", coverage)

# %% [markdown]
# Now for the eye. Three "generators" whose samples look perfect, because they are real digits, and a fourth. The first
# draws three digits only. The second has learnt forty images by heart. The third hands out the training set. The fourth
# makes all sorts of digits, under noise.


# %%
def nearest(images, others):
    """The distance from each image to the nearest of the others."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (images, others))
    return np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0).min(axis=1))


usual = np.median(nearest(test_images, train_images))  # how new real digits are


def measure(images):
    """The numbers of as many samples as there are held-out digits."""
    features = classifier_features(judge, reduced(images))
    report = class_coverage(class_probabilities(judge, reduced(images)))
    return {
        "classes": report["classes_covered"],
        "Fréchet": frechet_distance(real_features, features),
        "coverage": density_coverage(real_features, features)[1],
        "two-sample": nearest_neighbour_accuracy(real_features, features)["overall"],
        "copying": np.median(nearest(images, train_images)) / usual,
    }


def show(name, numbers):
    print(f"{name:<24}" + "  ".join(f"{key} {value:5.2f}" for key, value in numbers.items()))


rng = minigen.Generator(0)
n = len(test_images)
three = train_images[train_labels < 3]
fakers = {
    "three digits": three[rng.permutation(len(three))[:n]],
    "forty by heart": train_images[rng.integers(0, 40, (n,))],
    "the training set": train_images[rng.permutation(len(train_images))[:n]],
    "all, under noise": np.clip(train_images[:n] + 0.3 * rng.normal(test_images.shape), -1, 1).astype(np.float32),
}
for name, images in fakers.items():
    show(name, measure(images))
viz.draw_panels({name: images[:16] for name, images in fakers.items()}, columns=4, value_range=(-1, 1))

# %% [markdown]
# By eye the last is the worst, and by eye nothing is wrong with the first two. *Copying* is the distance to the nearest
# training image over that of held-out digits: about 1 for new images, 0 for repeated ones, more for what is like no
# digit; nothing else finds out the third. *Two-sample* is the accuracy with which the nearest neighbour tells real from
# generated (Lopez-Paz & Oquab 2017, arXiv 1610.06545): ½ is best, 1 says that the two never mix. So: never one number
# alone, always on held-out images, and as many samples for each.
#
# ## Training
#
# By hand as in [notebook 8](08-gan.ipynb), with the average of $G$'s weights that samples are drawn from: single steps
# jump about.


# %%
def sample(average, count=n):
    with minigen.no_grad():
        return average.module(minigen.randn(count, LATENT, generator=minigen.Generator(7))).numpy()


def train(width, steps, lr_g=1e-3, lr_d=1e-3, norm=True, std=None, seed=0):
    """A DCGAN on the digits; yields (step, G's average, D, losses so far) after every step."""
    minigen.manual_seed(seed)
    noise, order = minigen.Generator(seed), minigen.Generator(seed).spawn(1)
    G, D = make_generator(width, norm, std), make_discriminator(width, noise, std)
    adam_g = optim.Adam(G.parameters(), lr=lr_g, betas=(0.5, 0.999))
    adam_d = optim.Adam(D.parameters(), lr=lr_d, betas=(0.5, 0.999))
    average, history = optim.ExponentialMovingAverage(G, 0.99), {"d_loss": [], "g_loss": []}
    for step in range(1, steps + 1):
        real = minigen.tensor(train_images[order.integers(0, len(train_images), (64,))])
        fake = G(minigen.randn(64, LATENT, generator=noise))

        d_loss = F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()
        adam_d.zero_grad()
        d_loss.backward()
        adam_d.step()

        g_loss = F.softplus(-D(fake)).mean()
        adam_g.zero_grad()
        g_loss.backward()
        adam_g.step()
        average.update()

        history["d_loss"].append(d_loss.item())
        history["g_loss"].append(g_loss.item())
        yield step, average, D, history


# %% [markdown]
# $D$'s rate is four times that of $G$: why, the last section says. At every look we ask $D$, besides, about digits that
# it was *not* trained on.

# %%
STEPS, EVERY = course.short(1200, 8), course.short(75, 2)
SHOWN = course.short([75, 300, 600, 1200], [2, 4, 6, 8])
looks, rows = [], []


def logits(D, images):
    with minigen.no_grad():
        values = D.eval()(minigen.tensor(images)).numpy()
    D.train()
    return values


for step, average, D, history in train(16, STEPS, lr_d=4e-3):
    if step % EVERY == 0:
        images = sample(average)
        numbers = measure(images)
        asked = {
            "seen": logits(D, train_images[:n]),
            "held out": logits(D, test_images),
            "generated": logits(D, images),
        }
        recent = {name: np.mean(values[-EVERY:]) for name, values in history.items()}
        looks.append({"step": step, **asked, **numbers, **recent})
    if step in SHOWN:
        rows.append((f"step {step}", images[:12]))
        show(f"step {step}", numbers)
viz.draw_rows(rows, value_range=(-1, 1))

# %% [markdown]
# ## The same with the library
#
# `train_gan` is this loop too. From equal starts both must come to equal weights.

# %%
few = course.short(10, 2)
*_, (_, _, ours_d, ours) = train(8, few)

minigen.manual_seed(0)
noise, order = minigen.Generator(0), minigen.Generator(0).spawn(1)
theirs_g, theirs_d = make_generator(8), make_discriminator(8, noise)
theirs_g.latent_dim = LATENT
adam_g, adam_d = (optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (theirs_g, theirs_d))
rehearsal = Rehearsal(lambda: train_images[order.integers(0, len(train_images), (64,))], few)
train_gan(theirs_g, theirs_d, adam_g, adam_d, rehearsal, noise, optim.ExponentialMovingAverage(theirs_g, 0.99))

gap = max(np.abs(a.numpy() - b.numpy()).max() for a, b in zip(ours_d.parameters(), theirs_d.parameters()))
losses = np.abs(np.subtract(ours["g_loss"], rehearsal.history["g_loss"])).max()
print(f"after {few} steps the weights of D differ by at most {gap:.0e}, the losses of G by {losses:.0e}")

# %% [markdown]
# ## Curves that mean something
#
# A classifier's loss falls while it learns. The losses of a GAN are the state of a game: each player's depends on how
# good the *other* is. Two levels are worth knowing: where $D$ cannot tell, it says ½, and then $L_D = 2 \log 2$ and
# $L_G = \log 2$.
#
# What $D$'s loss does say is a bound. The best discriminator has $L_D = \log 4 - 2\,\mathrm{JS}$
# ([notebook 8](08-gan.ipynb)), any other one more. So every discriminator *proves* that real and generated differ by at
# least so much, on images it was not trained on.
#
# ### Exercise 09.5
#
# Write that bound.


# %%
def js_bound(real, fake):
    """What the logits of real and generated samples prove about JS, in nats."""
    ...


course.check("09.5", js_bound)


# %%
def bound(look, which):
    r, f = minigen.tensor(look[which]), minigen.tensor(look["generated"])
    return np.log(2) - (F.softplus(-r).mean() + F.softplus(f).mean()).item() / 2


at = [look["step"] for look in looks]
figure, axes = plt.subplots(2, 2, figsize=(9, 5.4))
for name, color, level in (("d_loss", "#0072B2", 2 * np.log(2)), ("g_loss", "#D55E00", np.log(2))):
    axes[0, 0].plot(range(1, STEPS + 1), history[name], color=color, alpha=0.25, linewidth=0.7)
    axes[0, 0].plot(at, [look[name] for look in looks], color=color, label=name)
    axes[0, 0].axhline(level, color=color, linestyle=":", linewidth=1)
axes[0, 0].set(title="losses, and where D cannot tell")
axes[0, 1].semilogy(at, [look["Fréchet"] for look in looks])
axes[0, 1].set(title="Fréchet distance, judge's features")
for which in ("seen", "held out"):
    axes[1, 0].plot(at, [bound(look, which) for look in looks], label=f"real digits: {which}")
axes[1, 0].axhline(0, color="#bbbbbb", linewidth=0.8)
axes[1, 0].set(title="$\\log 2 - L_D/2$, nats", xlabel="step")
for key in ("coverage", "two-sample"):
    axes[1, 1].plot(at, [look[key] for look in looks], label=key)
axes[1, 1].set(title="coverage, and 1-NN accuracy (best: ½)", xlabel="step", ylim=(0, 1.02))
for axis in axes.flat:
    axis.grid()
for axis in (axes[0, 0], axes[1, 0], axes[1, 1]):
    axis.legend()
figure.get_layout_engine().set(h_pad=0.1)
plt.show()


def ranks(values):
    return np.argsort(np.argsort(values))


quality = ranks([look["Fréchet"] for look in looks])
for key, name in (("g_loss", "loss of G"), ("d_loss", "loss of D"), ("two-sample", "two-sample accuracy")):
    along = np.corrcoef(ranks([look[key] for look in looks]), quality)[0, 1]
    print(f"rank correlation with the Fréchet distance, {name:<20} {along:+.2f}")

# %% [markdown]
# Three things to read there. The losses hover about the dotted lines, and later that of $G$ rises rather than falls, while
# by every figure taken from outside the samples are better in the end than they were: they say who is ahead in the game,
# not how good it is. The bound is higher in the end too, as a better $D$ proves more: true as a bound, it is no measure of quality either, unless a fresh
# $D$ is trained to its end each time. And as long as it is the same on digits that $D$ has seen and on held-out ones,
# $D$ judges digits, and does not recall them. Where the first rises above the second, the gap is what $D$ knows by
# heart, and the samples soon get worse; dropout, augmentation or a smaller $D$ help (Karras et al. 2020, arXiv
# 2006.06676).
#
# Losses that do mean something by themselves belong to critics that estimate a distance, such as WGAN-GP's (notebook
# 3), with a critic that has been trained far enough.

# %%
viz.draw_panels({"held-out digits": test_images[:36], "generated": images[:36]}, columns=9, value_range=(-1, 1))

# %% [markdown]
# ## Two time scales, and a fair comparison
#
# $D$ should have answered before $G$ moves on. Instead of several steps of $D$ for each of $G$, Heusel et al. (2017)
# give the two different learning rates, and prove that with a fast $D$ and a slow $G$ the game comes to a (local)
# equilibrium. Is that so here, and what did normalization and the start do? One change each, narrow networks, few
# steps:

# %%
CASES = {
    "one rate for both": {},
    "the same, other seed": {"seed": 1},
    "without batch norm": {"norm": False},
    "start std 0.02": {"std": 0.02},
    "start std 0.002": {"std": 0.002},
    "start std 0.2": {"std": 0.2},
    "D ten times faster": {"lr_d": 1e-2},
    "G ten times faster": {"lr_g": 1e-2},
}
results = {}
for name, changes in CASES.items():
    *_, (_, average, _, _) = train(8, course.short(300, 2), **changes)
    results[name] = measure(sample(average))
    show(name, results[name])

# %%
figure, axis = plt.subplots(figsize=(7, 2.8))
names = list(results)[::-1]
axis.barh(names, [results[name]["Fréchet"] for name in names], color="#0072B2")
apart = abs(results["one rate for both"]["Fréchet"] - results["the same, other seed"]["Fréchet"])
axis.set(xlabel="Fréchet distance: the shorter, the better", title=f"two seeds of one setting are {apart:.1f} apart")
plt.show()

# %% [markdown]
# The first two rows are one setting: their difference is what chance does, and smaller differences between rows mean
# nothing. Larger ones may mean nothing either, for two seeds can happen to lie close together: a real comparison takes
# several for each row, and the same steps, images and judge for all. What stands out here beyond doubt is a missing
# normalization, a start ten times smaller or larger than 0.02, and a $G$ that outruns its $D$. And is it so that $D$ should
# be the faster one? Its row is about as good as the first two: this comparison cannot tell. It shows the other half, that
# $G$ must not be.
#
# ## What to read next
#
# - Radford, Metz, Chintala: *Unsupervised representation learning with deep convolutional GANs*, 2016, arXiv
#   1511.06434.
# - Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter: *GANs trained by a two time-scale update rule converge to a
#   local Nash equilibrium*, 2017, arXiv 1706.08500.
# - Naeem, Oh, Uh, Choi, Yoo: *Reliable fidelity and diversity metrics for generative models*, 2020, arXiv 2002.09797.
# - Karras et al.: *Training generative adversarial networks with limited data*, 2020, arXiv 2006.06676.
# - In minigen: `minigen train dcgan` (64 channels, 120 epochs), `minigen evaluate RUN`, `minigen/metrics/report.py`.
# - [Notebook 10](10-correction.ipynb): images that have to be like *one* image, the right one: restoration.
