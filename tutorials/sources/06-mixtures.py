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
# # 6. Gaussians, mixtures, and a first generator
#
# After this notebook you can
#
# - fit a Gaussian by maximum likelihood, and compute its density where a determinant would overflow;
# - derive expectation-maximization, write it, watch it climb, and say where it fails;
# - choose the number of components by AIC, BIC and cross-validation, and say why the likelihood alone cannot;
# - make a generator of an autoencoder by a mixture on its codes, and measure what it draws.
#
# You need [notebook 5](05-autoencoder.ipynb) and a little probability. Everything runs on the CPU in about a minute.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import Generator, course, metrics, optim, viz
from minigen.classical import (
    DBSCAN,
    GaussianMixture,
    GradientMixture,
    KMeans,
    MixtureParameters,
    MultivariateNormal,
    adjusted_rand_score,
    choose_components,
    expectation,
    fit_by_gradient,
    maximization,
)
from minigen.data import load_digits
from minigen.data.curves import moons
from minigen.data.mixtures import grid, grid_centers, ring, ring_centers
from minigen.losses import squared_error
from minigen.models import DenseAutoencoder
from minigen.training.autoencoder import codes_of, in_parts
from minigen.training.latent_density import LatentDensity

course.use_style()
COLORS = plt.rcParams["axes.prop_cycle"].by_key()["color"]

# %% [markdown]
# The data of the first half: the digits 0, 3 and 4, each reduced to its first two principal components.

# %%
images, labels = load_digits("train")
held_out, held_out_labels = load_digits("test")
few = np.isin(labels, (0, 3, 4))
pixels = images[few].reshape(-1, 64).astype(np.float64)
components = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)[2][:2]
points, kinds = (pixels - pixels.mean(axis=0)) @ components.T, labels[few]  # (n, 2)
print(f"{len(points)} points in the plane")

# %% [markdown]
# ## One Gaussian
#
# The density of $N(\mu, \Sigma)$ in $D$ dimensions is
#
# $$ \ln p(x) = -\tfrac12 \left( D \ln 2\pi + \ln\det\Sigma + (x - \mu)^\top \Sigma^{-1} (x - \mu) \right) . $$
#
# *Maximum likelihood* takes the parameters under which the data are most probable. Set the derivative of $\sum_n \ln p(x_n)$
# by $\mu$ to zero: $\Sigma^{-1} \sum_n (x_n - \mu) = 0$, so $\mu$ is the mean. By $\Sigma^{-1}$, with $\partial \ln\det A /
# \partial A = A^{-\top}$: $\;\Sigma = \frac1n \sum_n (x_n - \mu)(x_n - \mu)^\top$. It divides by $n$, not $n - 1$: the
# likelihood asks for no unbiased estimate.
#
# To compute the density, do not invert, and take no determinant. With the Cholesky factor, $\Sigma = L L^\top$ and $L$
# lower triangular, solve $L u = x - \mu$; then the quadratic form is $\lVert u \rVert^2$ and $\ln\det\Sigma = 2 \sum_i \ln
# L_{ii}$. The determinant itself leaves the range of floating-point numbers as soon as there are some hundred dimensions:

# %%
for d in (2, 64, 400):
    sigma = 0.01 * np.eye(d)
    with np.errstate(divide="ignore"):
        print(f"D = {d:3}: det = {np.linalg.det(sigma):8.1e}, by Cholesky ln det = {2 * d * np.log(0.1):.1f}")

# %% [markdown]
# ### Exercise 06.1
#
# Write the logarithm of the density, for any $D$.


# %%
def log_normal(x, mean, covariance):
    """ln N(x; mean, covariance) of each row of x (n, D): (n,)."""
    ...


course.check("06.1", log_normal)

# %% [markdown]
# One Gaussian for three kinds of digits, by the two formulas and by the library; beside it a mixture of three, to which we
# come now.


# %%
def ellipse(axis, mean, covariance, color):
    """Where a Gaussian's density has fallen as much as at 2 standard deviations."""
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = 2 * np.stack([np.cos(angle), np.sin(angle)])
    axis.plot(*(mean[:, None] + np.linalg.cholesky(covariance) @ circle), color=color, linewidth=1.8)


mean = points.mean(axis=0)
covariance = (points - mean).T @ (points - mean) / len(points)
single = MultivariateNormal.fit(points)
print(f"largest difference from the library: {np.abs(single.covariance - covariance).max():.1e}")
triple = GaussianMixture(3, generator=Generator(0)).fit(points)
print(f"mean ln p: one Gaussian {single.log_prob(points).mean():.3f}, a mixture of three {triple.score(points):.3f}")

figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for axis in axes:
    axis.scatter(*points.T, s=6, color="0.6")
ellipse(axes[0], single.mean, single.covariance, COLORS[1])
for m, c in zip(triple.means_, triple.covariances_):
    ellipse(axes[1], m, c, COLORS[0])
axes[0].set(title="one Gaussian", xlabel="first component", ylabel="second component")
axes[1].set(title="a mixture of three", xlabel="first component")
plt.show()

# %% [markdown]
# ## Mixtures, and why they are hard
#
# A mixture draws a component $k$ with probability $\pi_k$, then a point from its Gaussian:
#
# $$ p(x) = \sum_k \pi_k\, N(x; \mu_k, \Sigma_k) . $$
#
# The logarithm of a sum does not fall apart, so setting derivatives to zero gives equations that contain their own
# solution. If we knew which point comes from which component, each component would be the exercise above. If we knew the
# components, Bayes' rule would say where each point comes from, the *responsibilities*
#
# $$ r_{nk} = \frac{\pi_k N(x_n; \mu_k, \Sigma_k)}{\sum_j \pi_j N(x_n; \mu_j, \Sigma_j)} . $$
#
# Expectation-maximization (Dempster, Laird & Rubin 1977) does the two in turn. Why does that climb? For any
# probabilities $r_{nk}$, by Jensen's inequality,
#
# $$ \ln p(x_n) = \ln \sum_k r_{nk} \frac{\pi_k N_{nk}}{r_{nk}} \;\ge\; \sum_k r_{nk} \ln \frac{\pi_k N_{nk}}{r_{nk}} . $$
#
# The right-hand side is a lower bound. With the responsibilities of the current parameters it touches: E step. With
# those held fixed it falls apart into single Gaussians with weighted points, and is maximized in closed form: M step. As
# the bound rises, so must what lies above it. ([Notebook 7](07-vae.ipynb) uses the same bound where the E step cannot
# be done.)
#
# By hand for one dimension, on the first coordinate of the points:

# %%
line = points[:, 0]
weights, means, variances = np.full(3, 1 / 3), np.array([-1.0, 0.0, 1.0]), np.full(3, 0.5)
start = MixtureParameters(weights, means[:, None], variances, "spherical")  # for the library
climb = []
for _ in range(course.short(60, 5)):
    density = (
        weights * np.exp(-0.5 * (line[:, None] - means) ** 2 / variances) / np.sqrt(2 * np.pi * variances)
    )  # (n, 3)
    climb.append(np.log(density.sum(axis=1)).mean())
    r = density / density.sum(axis=1, keepdims=True)  # E
    size = r.sum(axis=0)  # M
    weights, means = size / len(line), (r * line[:, None]).sum(axis=0) / size
    variances = (r * (line[:, None] - means) ** 2).sum(axis=0) / size

library = start
for _ in climb:
    log_prob, responsibilities = expectation(line[:, None], library)
    library = maximization(line[:, None], responsibilities, "spherical")
print(f"mean ln p: {climb[0]:.4f} at first, {climb[-1]:.4f} after {len(climb)} rounds")
print(f"smallest step: {np.diff(climb).min():.1e}")
worst = max(np.abs(library.means[:, 0] - means).max(), np.abs(library.covariances - variances).max())
print(f"largest difference from the library's two steps: {worst:.1e}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.plot(climb, "o-", markersize=3)
left.set(xlabel="round", ylabel="mean $\\ln p$", title="EM never falls")
left.grid()
t = np.linspace(line.min() - 0.3, line.max() + 0.3, 300)
parts = weights * np.exp(-0.5 * (t[:, None] - means) ** 2 / variances) / np.sqrt(2 * np.pi * variances)
right.hist(line, 30, density=True, color="0.8")
right.plot(t, parts, linewidth=1)
right.plot(t, parts.sum(axis=1), color="black", linewidth=1.5)
right.set(xlabel="first component", title="the mixture and its parts")
plt.show()

# %% [markdown]
# ### Exercise 06.2
#
# A density of $10^{-400}$ is zero in floating-point numbers. A point far from every component then gets responsibilities
# $0/0$. So the E step is done in logarithms. Write it: what is given is $\ln(\pi_k N(x_n; \mu_k, \Sigma_k))$.


# %%
def e_step(log_joint):
    """From ln πₖN(xₙ; μₖ, Σₖ), (n, K): ln p(xₙ), (n,), and the responsibilities, (n, K)."""
    ...


course.check("06.2", e_step)

# %% [markdown]
# ### Exercise 06.3
#
# And the M step, in any number of dimensions.


# %%
def m_step(x, r):
    """Weights (K,), means (K, D) and covariances (K, D, D) from points (n, D) and responsibilities (n, K)."""
    ...


course.check("06.3", m_step)

# %% [markdown]
# In the plane, with the library's two steps, from a bad start:

# %%
together = points[kinds == 3][:3]  # all three means among the threes
parameters = MixtureParameters(np.full(3, 1 / 3), together, np.stack([np.eye(2) * 0.3] * 3))
figure, axes = plt.subplots(1, 4, figsize=(9, 2.5), sharex=True, sharey=True)
rounds = 0
for axis, until in zip(axes, (0, 4, 10, 60)):
    while rounds < until:
        parameters = maximization(points, expectation(points, parameters)[1])
        rounds += 1
    log_prob, r = expectation(points, parameters)
    mixed = r @ np.array([(0, 0.45, 0.7), (0.84, 0.37, 0), (0, 0.62, 0.45)])  # colours
    axis.scatter(*points[::2].T, s=5, c=mixed[::2])
    for m, c in zip(parameters.means, parameters.covariances):
        ellipse(axis, m, c, "black")
    axis.set(title=f"round {rounds}: {log_prob.mean():.3f}", xticks=[], yticks=[])
plt.show()
print(
    f"agreement of the components with the digits (adjusted Rand): {adjusted_rand_score(kinds, r.argmax(axis=1)):.2f}"
)

# %% [markdown]
# ## Where it fails
#
# **Many maxima.** EM climbs to the top of the hill it starts on. Here are forty starts from random points, and where they
# end. k-means, seeded far apart (Arthur & Vassilvitskii 2007), is the usual start.
#
# **No maximum at all.** Put one component on a single point and let its variance shrink. Its density there grows without
# end, while the other components look after all the other points. So the likelihood of a mixture has no maximum.
# What one wants is a good local one, and variances have to be kept from below (`reg_covar`).

# %%
ends = []
for seed in range(course.short(40, 4)):
    chosen = points[Generator(seed).permutation(len(points))[:3]]
    random_start = MixtureParameters(np.full(3, 1 / 3), chosen, np.stack([np.eye(2) * 0.3] * 3))
    ends.append(GaussianMixture(3, max_iter=300).fit(points, random_start).lower_bound_)

spike = np.logspace(-0.5, -12, 40)  # the standard deviation of a component on the first point
likelihoods = []
for std in spike:
    means3, covariances3 = np.stack([points[0], mean]), np.stack([np.eye(2) * std**2, covariance])
    two = MixtureParameters(np.array([0.01, 0.99]), means3, covariances3)
    likelihoods.append(expectation(points, two)[0].mean())

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
left.hist(ends, 20)
left.axvline(triple.lower_bound_, color=COLORS[1], label="from k-means")
left.set(xlabel="mean $\\ln p$ at the end", ylabel="starts", title="random starts end on different hills")
left.legend(loc="upper left")
right.semilogx(spike, likelihoods)
right.invert_xaxis()
right.set(xlabel="standard deviation of a component on one point", ylabel="mean $\\ln p$", title="and up it goes")
right.grid()
plt.show()

# %% [markdown]
# ## Or by gradient
#
# The likelihood can also be climbed by gradient ascent, on all data or on batches. `GradientMixture` is the same mixture in
# minigen's engine: weights by softmax, covariances by their factors, so that no step leaves what is allowed. The gradient
# needs a rate. EM needs none, and its step is the gradient times a matrix that fits the problem (Xu & Jordan 1996).

# %%
chosen = points[Generator(7).permutation(len(points))[:3]]
begin = MixtureParameters(np.full(3, 1 / 3), chosen, np.stack([np.eye(2) * 0.3] * 3))
steps = course.short(150, 5)
em, parameters = [], begin
for _ in range(steps):
    log_prob, r = expectation(points, parameters)
    em.append(log_prob.mean())
    parameters = maximization(points, r)
curves = {"EM": em}
for name, kind, rate, size in (
    ("gradient, rate 0.1", optim.SGD, 0.1, None),
    ("Adam, rate 0.1", optim.Adam, 0.1, None),
    ("gradient on batches of 32", optim.SGD, 0.1, 32),
):
    mixture = GradientMixture(begin)
    optimizer, batches, every = kind(mixture.parameters(), lr=rate), Generator(12), []
    for _ in range(steps):
        every.append(mixture(minigen.tensor(points)).mean().item())  # on all points, whatever the step sees
        fit_by_gradient(mixture, points, optimizer, 1, size, batches)
    curves[name] = every
for name, curve in curves.items():
    plt.plot(curve, label=name)
    print(f"{name:<26} after {steps} steps: {curve[-1]:.4f}")
plt.xlabel("step")
plt.ylabel("mean $\\ln p$ of all points")
plt.grid()
plt.legend()
plt.show()

# %% [markdown]
# None of the three has reached in these steps what EM reached in a few. Where a gradient is worth it: on more data than one
# wants to go through for a single step, and for models without a closed M step, such as those of the next notebooks.
#
# ## Beside k-means and DBSCAN
#
# k-means is EM with hard responsibilities and one spherical covariance for all: it cuts space into cells by distance.
# DBSCAN (Ester et al. 1996) knows no shapes at all. A cluster is what is densely connected, and the rest is noise. Three
# ideas of what a cluster is, on two data sets:

# %%
draw = Generator(11)
stripes = np.concatenate([draw.normal((80, 2)) * (0.9, 0.15) + (0.5 * i, 1.1 * i) for i in range(3)])
truth = np.repeat([0, 1, 2], 80)
curved, moon = moons(240, draw)
figure, axes = plt.subplots(2, 3, figsize=(7.2, 3.6))
for row, (data, classes, k, eps) in zip(axes, ((stripes, truth, 3, 0.35), (curved, moon, 2, 0.25))):
    for axis, name, assigned in (
        (row[0], "k-means", KMeans(k, n_init=5, generator=Generator(0)).fit(data).labels_),
        (row[1], "mixture", GaussianMixture(k, n_init=5, generator=Generator(0)).fit(data).predict(data)),
        (row[2], "DBSCAN", DBSCAN(eps).fit(data).labels_),
    ):
        axis.scatter(*data.T, s=5, c=[COLORS[i % len(COLORS)] if i >= 0 else "0.7" for i in assigned])
        axis.set(title=f"{name}: Rand {adjusted_rand_score(classes, assigned):.2f}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## How many components?
#
# The likelihood cannot tell: a mixture with one component more fits at least as well, up to one component for every point.
# An article gives as its rule for choosing a model the one with the least $-\ln P(x | \theta)$; but that is maximum
# likelihood over again, the rule for choosing the *parameters* of a model, and between models it always takes the
# largest. What is needed is a price on parameters. With $k$ of them, and $\hat L$ the likelihood of all data at its maximum,
#
# $$ \mathrm{AIC} = 2k - 2 \ln \hat L, \qquad \mathrm{BIC} = k \ln n - 2 \ln \hat L, \qquad\text{least over models.} $$
#
# AIC (Akaike 1974) estimates the loss on new data. On the data that were fitted the likelihood is too good, in the
# mean by $k$ for large $n$. BIC (Schwarz 1978) approximates $-2 \ln P(\text{data} | \text{model})$, and so finds the true
# model, if it is among the candidates, as $n$ grows. Cross-validation (Stone 1974) needs no formula: fit on a part, and
# measure $\ln p$ on the rest, in turn.
#
# ### Exercise 06.4
#
# Compute both for a mixture with full covariances. The trap is $k$.


# %%
def criteria(log_likelihood, components, dimensions, n):
    """AIC and BIC of a fitted mixture; log_likelihood is the sum of ln p over all n points."""
    ...


course.check("06.4", criteria)

# %%
choice = choose_components(points, range(1, 9), "cv", generator=Generator(3), n_init=course.short(5, 1))
print("K   parameters   mean ln p       AIC       BIC   held-out ln p")
for row in choice.table:
    mean_log = row["log_likelihood"] / len(points)
    print(
        f"{row['n_components']}   {row['n_parameters']:10}   {mean_log:9.3f}   {row['aic']:7.1f}   {row['bic']:7.1f}   {row['cv']:13.3f}"
    )
figure, axes = plt.subplots(1, 4, figsize=(10, 2.4))
ks = [row["n_components"] for row in choice.table]
for axis, key, title in zip(axes, ("log_likelihood", "aic", "bic", "cv"), ("ln L", "AIC", "BIC", "held-out ln p")):
    values = [row[key] for row in choice.table]
    best = int(np.argmin(values) if key in ("aic", "bic") else np.argmax(values))
    axis.plot(ks, values, "o-", markersize=3)
    axis.plot(ks[best], values[best], "o", color=COLORS[1], markersize=8)
    axis.set(title=title, xlabel="components")
plt.show()

# %% [markdown]
# The likelihood rises to the end. BIC takes one component for each digit; AIC and cross-validation spend two more, on shapes
# that no single Gaussian has. Who is right? On real digits the question has no answer: nobody drew them from a mixture. So take a mixture of three
# that overlap, draw from it again and again, and count what each criterion chooses.

# %%
true = MixtureParameters(
    np.full(3, 1 / 3),
    np.array([[0.0, 0.0], [2.2, 1.0], [-1.0, 2.5]]),
    np.array([[[0.64, 0.24], [0.24, 0.25]], [[0.16, -0.12], [-0.12, 0.45]], [[0.36, 0.0], [0.0, 0.09]]]),
)
repeats = course.short(12, 1)
print("points   criterion   times that K = 1, 2, 3, 4, 5, 6 was chosen")
for n in (50, 150, 500):
    chosen = {"likelihood": [], "aic": [], "bic": [], "cv": []}
    for trial in range(repeats):
        sample, _ = GaussianMixture.from_parameters(true).sample(n, Generator(trial).spawn(n))
        table = choose_components(sample, range(1, 7), "cv", generator=Generator(trial), n_init=2).table
        for name, counts in chosen.items():
            key = "log_likelihood" if name == "likelihood" else name
            sign = 1 if name in ("likelihood", "cv") else -1
            counts.append(max(table, key=lambda row: sign * row[key])["n_components"])
    for name, counts in chosen.items():
        print(f"{n:6}   {name:<10}   " + " ".join(f"{counts.count(k):4}" for k in range(1, 7)))

# %% [markdown]
# The likelihood takes (nearly always) the largest there is. With few points AIC takes too many, since its argument is one of
# large $n$, and nobody is sure. With more points BIC and cross-validation find three nearly every time, and with the most
# AIC does so, too; but however many there are, AIC keeps some chance of taking more than the truth has, and BIC does not.
#
# ## The right model makes a hard benchmark easy
#
# [Notebook 8](08-gan.ipynb) trains GANs on two mixtures that are customary for counting lost modes: a ring of 8
# Gaussians and a grid of 25. A sample is of high quality within 3 standard deviations of a mode. In VEEGAN's table 1
# (Srivastava et al. 2017, arXiv 1705.07761) a plain GAN reaches 1 of 8 and 3.3 of 25 modes. Here is EM on 2,500
# samples, with as many components as there are modes:

# %%
for name, make, centers, std in (("ring", ring, ring_centers(), 0.01), ("grid", grid, grid_centers(), 0.05)):
    sample, _ = make(2500, Generator(0))
    fitted = GaussianMixture(len(centers), "spherical", reg_covar=1e-9, n_init=5, generator=Generator(1)).fit(sample)
    drawn, _ = fitted.sample(2500, Generator(2))
    for what, these in (("EM", drawn), ("truth", make(2500, Generator(3))[0])):
        report = metrics.mode_report(these, centers, std)
        covered, good = report["modes_covered"], 100 * report["high_quality_share"]
        print(f"{name}, {what:<5}: {covered:2} of {len(centers)} modes, {good:.1f} % of high quality")

# %% [markdown]
# No surprise: this model is the truth, and was told how many modes there are. A GAN knows neither. It is a reminder to
# compare with something simple first.
#
# ## A generator
#
# To draw from a mixture: draw $k$ with probability $\pi_k$, then $z = \mu_k + L_k u$ with $L_k L_k^\top = \Sigma_k$ and $u
# \sim N(0, I)$.
#
# ### Exercise 06.5
#
# Write it, with `generator.uniform(shape)` and `generator.normal(shape)` for the random numbers.


# %%
def sample(weights, means, covariances, n, generator):
    """n points (n, D) of the mixture with weights (K,), means (K, D) and covariances (K, D, D)."""
    ...


course.check("06.5", sample)

# %% [markdown]
# Now the autoencoder of [notebook 5](05-autoencoder.ipynb). It draws a digit from a code, but from which codes? It has
# no density of its own. The obvious guess, $z \sim N(0, I)$, is wrong, since nobody asked the codes to lie there. But
# the codes of the training digits are there to be looked at: fit a mixture to them.

# %%
minigen.manual_seed(0)
model = DenseAutoencoder((1, 8, 8), hidden=(128,), latent_dim=8)
optimizer, generator = optim.Adam(model.parameters(), lr=3e-3), Generator(0)
for _ in range(course.short(40, 1)):
    order = generator.permutation(len(images))
    for first in range(0, len(images) - 63, 64):
        batch = minigen.tensor(images[order[first : first + 64]])
        loss = squared_error(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

codes, held_out_codes = codes_of(model, images), codes_of(model, held_out)  # (1437, 8), (360, 8)
print("mean of the codes:              ", " ".join(f"{m:6.2f}" for m in codes.mean(axis=0)))
print("their standard deviations:      ", " ".join(f"{s:6.2f}" for s in codes.std(axis=0)))
print(f"largest correlation of two of them: {np.abs(np.corrcoef(codes.T) - np.eye(8)).max():.2f}")

# %%
print(" K   parameters        AIC        BIC   mean ln p: train   held out")
mixtures = {}
for k in (1, 2, 5, 10, 20, 40):
    mixtures[k] = GaussianMixture(k, generator=Generator(0)).fit(codes)
    m = mixtures[k]
    print(
        f"{k:2}   {m.n_parameters():10}   {m.aic(codes):8.0f}   {m.bic(codes):8.0f}   {m.score(codes):16.2f}   {m.score(held_out_codes):8.2f}"
    )
chosen = min(mixtures, key=lambda k: mixtures[k].bic(codes))
print(f"BIC takes {chosen} components")

# %% [markdown]
# AIC goes on to more components than the held-out codes can bear; BIC stops early, as it does.
# `LatentDensity` does this step by itself, in the principal coordinates of wide codes, and every autoencoder of `minigen
# train` has one: `minigen sample RUN` draws from it.

# %%
print(f"LatentDensity takes {LatentDensity(codes).mixture.n_components} components")


def decode(z):
    return in_parts(model, z.astype(np.float32), model.decode)


draws = Generator(8)
spread = codes.mean(axis=0) + codes.std(axis=0) * draws.normal((360, 8))
made = {
    "N(0, I)": decode(draws.normal((360, 8))),
    "each number by itself": decode(spread),
    "one Gaussian": decode(mixtures[1].sample(360, Generator(2))[0]),
    f"mixture of {chosen}": decode(mixtures[chosen].sample(360, Generator(2))[0]),
    "real digits": images[:360],
}
viz.draw_rows([(name, pictures[:14]) for name, pictures in made.items()], scale=5)

# %% [markdown]
# Do not trust the eye. How good they are can be measured in more than one way, and 360 samples of each are held against the
# 360 held-out digits:
#
# - *density* and *coverage* (Naeem et al. 2020, arXiv 2002.09797): how well samples lie among the real ones, and which share
#   of the real ones has a sample nearby;
# - *sure*: the share that a classifier of real digits takes for some digit with at least 80 %;
# - the Fréchet distance of the pixels, between the two Gaussians that fit best (not FID, which is on Inception's features).

# %%
classifier = metrics.train_classifier(images, labels, epochs=course.short(None, 1))
print("                        density   coverage    sure   Fréchet distance")
for name, pictures in made.items():
    density, coverage = metrics.density_coverage(held_out.reshape(360, 64), pictures.reshape(360, 64))
    sure = metrics.class_coverage(metrics.class_probabilities(classifier, pictures))["confident_share"]
    distance = metrics.frechet_distance(held_out.reshape(360, 64), pictures.reshape(360, 64))
    print(f"{name:<22}   {density:7.2f}   {coverage:8.2f}   {sure:5.2f}   {distance:16.2f}")

# %% [markdown]
# From row to row more of the codes' structure is known, and nearly all gets better. The mixture is a generator. It is
# not perfect. A density *above* that of real digits says that its digits are too much alike, in the thick of the data:
# what the autoencoder smoothes away no density on its codes brings back. A coverage above theirs is of the same kind:
# none of the samples is spent on the fringes, where real digits are too, and those near the middle of many digits cover
# many at once. Two steps were trained apart, too: the autoencoder did not know that its codes would have to be drawn.
# The next notebook trains both together.
#
# What each component of the mixture stands for, drawn at its mean:

# %%
viz.draw_rows([("means", decode(mixtures[chosen].means_))], scale=5)

# %% [markdown]
# ## What to read next
#
# - Dempster, Laird, Rubin: *Maximum likelihood from incomplete data via the EM algorithm*, J. Royal Stat. Soc. B 39, 1977.
# - Bishop: *Pattern Recognition and Machine Learning*, 2006, chapter 9.
# - Burnham, Anderson: *Model Selection and Multimodel Inference*, 2002: AIC and BIC at length.
# - In minigen: `minigen/classical/em.py` (the two steps), `covariance.py` (how variances are kept from below),
#   `selection.py`; `minigen/training/latent_density.py`.
# - [Notebook 7](07-vae.ipynb): the variational autoencoder, whose codes are made to be drawn from.
