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
# # 7. The variational autoencoder
#
# After this notebook you can
#
# - derive the evidence lower bound, and say what its gap is;
# - tell a right VAE objective from the wrong ones that are in circulation, by what each of them rewards;
# - write a VAE with its backward pass in NumPy, and get gradients through a random draw;
# - predict how many dimensions of a code survive, cure posterior collapse, and read β as a rate against a distortion.
#
# You need notebooks [5](05-autoencoder.ipynb) and [6](06-mixtures.ipynb). Everything runs on the CPU in about a minute.

# %%
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import Generator, course, metrics, nn, optim, viz
from minigen import functional as F
from minigen.data import load_digits
from minigen.demos import posterior_collapse
from minigen.losses import (
    bernoulli_nll,
    free_bits,
    kl_per_dimension,
    kl_to_standard_normal,
    linear_annealing,
    negative_elbo,
    reparametrize,
)
from minigen.models import DenseVAE
from minigen.training.runs import start_run, train_run
from minigen.training.vae import binarize, importance_bounds, vae_terms

course.use_style()

images, labels = load_digits("train")  # (1437, 1, 8, 8), from 0 to 1
held_out, held_out_labels = load_digits("test")
x = images.reshape(-1, 64).astype(np.float64)

# %% [markdown]
# ## A model with something hidden
#
# The autoencoder of [notebook 5](05-autoencoder.ipynb) had no idea from where codes should be drawn;
# [notebook 6](06-mixtures.ipynb) fitted a mixture to them afterwards. Now the code is part of the model from the start.
# An image is made in two steps,
#
# $$ z \sim N(0, I), \qquad x \sim p_\theta(x|z), $$
#
# where a network, the decoder, computes the parameters of $p_\theta(x|z)$ from $z$. To train it is to raise
#
# $$ \ln p_\theta(x) = \ln \int p_\theta(x|z)\, p(z)\, dz . $$
#
# It is the problem of the mixture, with a continuum of components. EM would need the responsibilities, which are now the
# density $p_\theta(z|x)$, and nobody can compute it. So a second network guesses it: the encoder, $q_\phi(z|x) = N(\mu(x),
# \operatorname{diag} \sigma^2(x))$. The inequality of [notebook 6](06-mixtures.ipynb) holds for *any* $q$,
#
# $$ \ln p(x) = \underbrace{E_{q(z|x)} [\ln p(x|z)] - KL(q(z|x) \,\Vert\, p(z))}_{\text{ELBO}} \;+\;
#    KL(q(z|x) \,\Vert\, p(z|x)) . $$
#
# The last term is never negative, so the ELBO is a lower bound, and its gap says how far the guess is from the truth
# (Kingma & Welling 2014, arXiv 1312.6114; Rezende et al. 2014). Check it where everything is known: $z \sim
# N(0, 1)$, $x \sim N(wz, s^2)$. Then $p(x) = N(0, w^2 + s^2)$, and $p(z|x)$ is a Gaussian too.

# %%
w, s, observed = 2.0, 0.5, 1.3
evidence = -0.5 * (np.log(2 * np.pi * (w**2 + s**2)) + observed**2 / (w**2 + s**2))
true_mean, true_std = w * observed / (w**2 + s**2), s / np.sqrt(w**2 + s**2)  # of p(z|x)


def elbo_of(m, std):
    """By hand, for q = N(m, std²)."""
    expected = -0.5 * (np.log(2 * np.pi * s**2) + ((observed - w * m) ** 2 + w**2 * std**2) / s**2)
    return expected - 0.5 * (m**2 + std**2 - 1 - np.log(std**2))


def kl_of(m, std, m2, std2):
    """KL(N(m, std²) ‖ N(m2, std2²))."""
    return np.log(std2 / std) + (std**2 + (m - m2) ** 2) / (2 * std2**2) - 0.5


for m, std in ((0.0, 1.0), (0.5, 0.3), (true_mean, true_std)):
    gap = kl_of(m, std, true_mean, true_std)
    print(f"q = N({m:.2f}, {std:.2f}²): ELBO {elbo_of(m, std):9.4f} + gap {gap:8.4f} = {elbo_of(m, std) + gap:.10f}")
print(f"ln p(x) = {evidence:.10f}")

# %% [markdown]
# What a program *minimizes* is minus the bound, in the mean over the data:
#
# $$ \boxed{\; L = E_x \Bigl[ E_{q(z|x)} [-\ln p(x|z)] + KL(q(z|x) \,\Vert\, N(0, I)) \Bigr] \;} $$
#
# The first term is a *sum* over the pixels, the second a sum over the dimensions of $z$; both in nats an image. For
# Gaussians the second one is a formula.
#
# ### Exercise 07.1
#
# Write it. The encoder gives $\ln \sigma^2$ ("logvar"), which may be any number.


# %%
def kl(mu, logvar):
    """The mean over the images of KL(N(μ, σ²) ‖ N(0, I)); mu and logvar are arrays (N, Z)."""
    ...


course.check("07.1", kl)

# %% [markdown]
# ## What one reads, and what it does
#
# This objective is often copied wrongly. Three forms, in the letters of this notebook:
#
# | | minimized is | what is wrong |
# |---|---|---|
# | here | $E_q[-\ln p(x \vert z)] + \beta\, KL(q \Vert p)$ | |
# | one article | $E_q[\ln p(x \vert z)] - \beta\, KL(q \Vert p)$ | the bound itself, under a "min": each sign is reversed |
# | another | $\ln p(x \vert x) + \beta\, E_{p(z)}[\ln q(z \vert x)]$ | "min" for "max" again; no KL; $z$ drawn from the prior, not from $q$; a decoder that looks at $x$ itself |
#
# The first article says in words that its objective is to be maximized, and writes min below. The second adds two
# logarithms of probabilities and minimizes both: the decoder shall make the image as improbable as it can, and the encoder
# shall give the prior's draws as little density as it can. Neither has a minimum. A program that minimizes them runs, and
# its loss falls beautifully. So do not look whether a loss falls. Ask what it *rewards*.
#
# ### Exercise 07.2
#
# Predict first. `nll` is $-\ln p(x|z)$ summed over 64 pixels, `kl` the KL term, both means over the batch. What does a
# network learn that minimizes each of these?
#
# | answer | meaning |
# |---|---|
# | `"a VAE"` | it learns as it should |
# | `"bad drawings"` | it is paid for reconstructions that are as wrong as can be |
# | `"codes flee"` | it is paid for codes ever farther from the prior |
# | `"both"` | for bad drawings *and* for codes that flee |
# | `"no noise"` | $\sigma$ goes to 0: an autoencoder, whose codes lie anywhere |
# | `"empty codes"` | $q(z \vert x)$ becomes the prior: the codes say nothing of the image |

# %%
objectives = {
    "A": "nll + kl",
    "B": "-nll + kl",
    "C": "nll",
    "D": "nll - kl",
    "E": "nll / 64 + kl",
    "F": "-nll - kl",
    "G": "-nll + (log q(z | x) at draws z of the prior)",
}
answers = {"A": ..., "B": ..., "C": ..., "D": ..., "E": ..., "F": ..., "G": ...}

course.check("07.2", answers)

# %% [markdown]
# Then measure. A small VAE, the right objective and the two articles', the same batches for all:


# %%
def log_q_of_prior(mu, logvar, draws):
    """The mean of ln q(z|x) at draws of the prior, without its constant."""
    return (((draws - mu) ** 2) * F.exp(-logvar) + logvar).sum(1).mean() * -0.5


def follow(objective, steps):
    """Train by an objective of (nll, kl, mu, logvar, draws of the prior); nll and kl at every step."""
    minigen.manual_seed(0)
    model = DenseVAE((1, 8, 8), hidden=(64,), latent_dim=2)
    optimizer, generator, curve = optim.Adam(model.parameters(), lr=2e-3), Generator(1), []
    for _ in range(steps):
        batch = minigen.tensor(images[generator.integers(0, len(images), (64,))])
        mu, logvar = model.encode(batch)
        z = reparametrize(mu, logvar, minigen.tensor(generator.normal((64, 2))))
        nll, kl_term = bernoulli_nll(model.decode(z), batch), kl_to_standard_normal(mu, logvar)
        curve.append((nll.item(), kl_term.item()))
        loss = objective(nll, kl_term, mu, logvar, minigen.tensor(generator.normal((64, 2))))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(curve), model


steps = course.short(60, 10)
curves = {
    "right: nll + KL": follow(lambda nll, kl, mu, logvar, draws: nll + kl, steps)[0],
    "one article: -nll - KL": follow(lambda nll, kl, mu, logvar, draws: -nll - kl, steps)[0],
    "another: -nll + ln q": follow(lambda n, k, mu, logvar, draws: -n + log_q_of_prior(mu, logvar, draws), steps)[0],
}
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for name, curve in curves.items():
    axes[0].semilogy(curve[:, 0], label=name)
    axes[1].semilogy(curve[:, 1], label=name)
    print(f"{name:<24} -ln p(x|z): {curve[0, 0]:6.1f} nats at first, {curve[-1, 0]:9.3g} at the end")
axes[0].set(title="$-\\ln p(x|z)$: how badly digits are drawn", xlabel="step", ylabel="nats")
axes[1].set(title="KL", xlabel="step")
axes[0].legend(loc="upper left")
plt.show()

# %% [markdown]
# Both losses fall without end, and the drawings get worse by orders of magnitude. Two other slips are quieter. Leave the KL
# term out, and $\sigma$ dies: noise only disturbs the decoder, and nothing pays for it. Or take a *mean* over the pixels in
# place of the sum, as ready-made losses do by default. Then the KL term weighs 64 times too much:

# %%
steps = course.short(600, 10)
trained = {
    "nll + KL": follow(lambda nll, kl, mu, logvar, draws: nll + kl, steps)[1],
    "nll alone": follow(lambda nll, kl, mu, logvar, draws: nll, steps)[1],
    "nll / 64 + KL": follow(lambda nll, kl, mu, logvar, draws: nll / 64 + kl, steps)[1],
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3))
for axis, (name, model) in zip(axes, trained.items()):
    mu, logvar = (part.numpy() for part in model.encode(minigen.tensor(held_out)))
    axis.scatter(*mu.T, s=6, c=plt.colormaps["tab10"](held_out_labels))
    angle = np.linspace(0, 2 * np.pi, 80)
    axis.plot(2 * np.cos(angle), 2 * np.sin(angle), color="black", linewidth=1)
    axis.set(title=f"{name}\nmedian $\\sigma$ {np.median(np.exp(logvar / 2)):.3f}", aspect="equal")
plt.show()

# %% [markdown]
# The dots are the means $\mu(x)$ of held-out digits, the circle is the prior at two standard deviations. In the middle the
# codes lie outside, where the prior never draws, and hardly have noise; on the right all codes are one.
#
# ## A gradient through a draw
#
# The encoder's parameters are in the density that $z$ is drawn from. How does one differentiate $E_{z \sim N(\mu,
# \sigma^2)} [f(z)]$ by $\mu$ and $\ln \sigma^2$? In two ways. Either *move the draw outside*: $z = \mu + \sigma \varepsilon$
# with $\varepsilon \sim N(0, 1)$ has the same distribution, and now the parameters are inside,
#
# $$ \frac{\partial}{\partial \mu} E[f(z)] = E[f'(z)], \qquad
#    \frac{\partial}{\partial \ln \sigma^2} E[f(z)] = E\left[f'(z)\, \tfrac12 \sigma \varepsilon\right]
#    \qquad\text{with } \sigma = e^{\frac12 \ln \sigma^2} $$
#
# (*reparametrization*; mind the ½: $e^{\ln \sigma^2}$ is the variance). Or differentiate the density, $\nabla q = q
# \nabla \ln q$:
#
# $$ \nabla E[f(z)] = E[f(z)\, \nabla \ln q(z)] , $$
#
# the *score function* estimator (Williams 1992), which does not need $f'$ at all, and is noisy.
#
# ### Exercise 07.3
#
# Write the second one, for both parameters. $\ln q(z) = -\frac12 \left( (z - \mu)^2 / \sigma^2 + \ln \sigma^2 + \ln 2\pi
# \right)$.


# %%
def score_gradient(f, mu, logvar, noise):
    """Estimates of ∂E[f(z)]/∂μ and ∂E[f(z)]/∂logvar, means over the draws z = μ + σ·noise (k,); f is never derived."""
    ...


course.check("07.3", score_gradient)

# %% [markdown]
# For $f(z) = (z - 3)^2$ the true gradient by $\mu$ is $2(\mu - 3)$. Estimates of it from single draws:

# %%
mu_, sigma_ = 1.0, 0.8
noise = Generator(3).normal((20000,), dtype=np.float64)
z = mu_ + sigma_ * noise
by_path, by_score = 2 * (z - 3), (z - 3) ** 2 * noise / sigma_
print(f"true gradient {2 * (mu_ - 3):.3f}")
for name, estimates in (("reparametrized", by_path), ("score function", by_score)):
    print(f"{name:<15} mean {estimates.mean():6.3f}, standard deviation of one estimate {estimates.std():6.2f}")
bins = np.linspace(-40, 8, 90)
plt.figure(figsize=(7, 2.4))
plt.hist(by_path, bins, alpha=0.8, label="reparametrized")
plt.hist(by_score, bins, alpha=0.6, label="score function")
plt.xlabel("estimate of the gradient from one draw")
plt.legend()
plt.show()

# %% [markdown]
# Both are right in the mean. The first is right after a few draws, and a VAE takes *one* for each image.
#
# ## By hand
#
# Encoder 64 – 64 – ($\mu$, $\ln \sigma^2$), decoder 8 – 64 – 64 logits. Pixels are grey, from 0 to 1; $-\ln p(x|z)$ is the
# cross-entropy, from logits, with $\ln(1 + e^a) - xa$ for each pixel. Going backward, two streams meet at $\mu$ and at
# $\ln \sigma^2$: one through $z$ from the decoder, one straight from the KL term.


# %%
def forward(p, x, noise):
    v = {"x": x, "noise": noise}
    v["h"] = np.maximum(x @ p["encoder.1.weight"].T + p["encoder.1.bias"], 0)
    v["mu"] = v["h"] @ p["mu.weight"].T + p["mu.bias"]
    v["logvar"] = v["h"] @ p["logvar.weight"].T + p["logvar.bias"]
    v["z"] = v["mu"] + np.exp(0.5 * v["logvar"]) * noise
    v["k"] = np.maximum(v["z"] @ p["decoder.0.weight"].T + p["decoder.0.bias"], 0)
    v["a"] = v["k"] @ p["decoder.2.weight"].T + p["decoder.2.bias"]  # logits of the pixels
    nll = (np.logaddexp(0, v["a"]) - x * v["a"]).sum() / len(x)
    kl = 0.5 * (v["mu"] ** 2 + np.exp(v["logvar"]) - 1 - v["logvar"]).sum() / len(x)
    return nll + kl, v


def backward(p, v):
    n, g = len(v["x"]), {}

    def linear(name, bar, inside):
        """The gradients of a layer's weight and bias, and what goes on to its input."""
        g[f"{name}.weight"], g[f"{name}.bias"] = bar.T @ inside, bar.sum(axis=0)
        return bar @ p[f"{name}.weight"]

    a_bar = (1 / (1 + np.exp(-v["a"])) - v["x"]) / n
    k_bar = linear("decoder.2", a_bar, v["k"]) * (v["k"] > 0)
    z_bar = linear("decoder.0", k_bar, v["z"])
    mu_bar = z_bar + v["mu"] / n
    logvar_bar = z_bar * v["noise"] * 0.5 * np.exp(0.5 * v["logvar"]) + 0.5 * (np.exp(v["logvar"]) - 1) / n
    h_bar = linear("mu", mu_bar, v["h"]) + linear("logvar", logvar_bar, v["h"])
    linear("encoder.1", h_bar * (v["h"] > 0), v["x"])
    return g


# %% [markdown]
# minigen's, with the same weights and the same noise:

# %%
minigen.manual_seed(0)
model = DenseVAE((1, 8, 8), hidden=(64,), latent_dim=8).double()
p = {name: parameter.numpy().copy() for name, parameter in model.named_parameters()}
noise = Generator(4).normal((64, 8), dtype=np.float64)

loss, values = forward(p, x[:64], noise)
ours = backward(p, values)
batch = minigen.tensor(images[:64].astype(np.float64))
logits, mu, logvar = model(batch, minigen.tensor(noise))
theirs = negative_elbo(model.nll(logits, batch), kl_to_standard_normal(mu, logvar))
theirs.backward()
print(f"-ELBO: ours {loss:.12f}, minigen {theirs.item():.12f}")
worst = max(np.abs(ours[name] - q.grad.numpy()).max() for name, q in model.named_parameters())
print(f"largest difference of a gradient: {worst:.1e}")

# %% [markdown]
# And training, both with Adam on the same batches and the same noise:

# %%
steps, RATE, generator = course.short(400, 10), 2e-3, Generator(5)
drawn = [(generator.permutation(len(x))[:64], generator.normal((64, 8), dtype=np.float64)) for _ in range(steps)]
m, v, by_hand = {k: 0 * a for k, a in p.items()}, {k: 0 * a for k, a in p.items()}, []
for step, (chosen, noise) in enumerate(drawn, 1):
    loss, values = forward(p, x[chosen], noise)
    by_hand.append(loss)
    for name, gradient in backward(p, values).items():
        m[name] = 0.9 * m[name] + 0.1 * gradient
        v[name] = 0.999 * v[name] + 0.001 * gradient**2
        p[name] -= RATE * (m[name] / (1 - 0.9**step)) / (np.sqrt(v[name] / (1 - 0.999**step)) + 1e-8)

optimizer, by_minigen = optim.Adam(model.parameters(), lr=RATE), []
for chosen, noise in drawn:
    batch = minigen.tensor(images[chosen].astype(np.float64))
    logits, mu, logvar = model(batch, minigen.tensor(noise))
    loss = negative_elbo(model.nll(logits, batch), kl_to_standard_normal(mu, logvar))
    by_minigen.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"-ELBO: {by_hand[0]:.2f} at first, {np.mean(by_hand[-20:]):.2f} at the end")
print(f"largest relative difference of the {steps} losses: {np.abs(np.divide(by_hand, by_minigen) - 1).max():.1e}")

# %% [markdown]
# ## The library's
#
# `minigen.training.vae.train_vae` is that loop; a run keeps checkpoints and records (`minigen train vae --latent-dim 2`).
# With two dimensions the whole latent space can be shown, at the quantiles of the prior, so that each picture stands for as
# much of its mass (figure 4 of Kingma & Welling). Its pixels are Gaussian with one learnt $\sigma$ for all, so $p(x|z)$ is a
# density, and its logarithm may have either sign.

# %%
with tempfile.TemporaryDirectory() as folder:
    config = {"model": "vae", "latent_dim": 2, "hidden": [128, 128], "epochs": course.short(60, 1), "lr": 2e-3}
    training = start_run(config, out=f"{folder}/vae", quiet=True)
    train_run(training)
    training.run.close()
    flat = training.system
terms = vae_terms(flat.model, held_out)
print(f"standard deviation of a pixel, learnt: {np.exp(flat.model.pixel_logvar.item() / 2):.3f}")
print(f"held-out: -ln p(x|z) {terms.nll:.2f}, KL {terms.kl:.2f}, -ELBO {terms.nll + terms.kl:.2f} nats an image")

# %%
side = course.short(14, 4)
plane = viz.decode_plane(lambda z: flat.model.image(flat.model.decode(z)).numpy(), side)
viz.draw_image_grid(plane.reshape(-1, 1, 8, 8), side, scale=5)

# %% [markdown]
# Compare the map of [notebook 5](05-autoencoder.ipynb), which had to be cut to where codes happened to lie. Here the
# prior says where to draw, and training has put the codes, each with its noise, all over it.
#
# How far below $\ln p(x)$ is the bound? With $k$ draws of $q$ as importance samples there is a tighter one, $\ln
# \frac1k \sum_i p(x, z_i) / q(z_i|x)$, which rises to $\ln p(x)$ with $k$ (Burda et al. 2016, arXiv 1509.00519).
# With $k = 1$ it is the ELBO once more: where the figure differs from the one above, that is the chance of the draws.

# %%
for k in (1, 10, 100, 1000):
    bound = importance_bounds(flat.model, held_out, k)["log_likelihood"]
    print(f"k = {k:4}: ln p(x) ≥ {bound:.2f} nats")

# %% [markdown]
# Burda et al. also *train* with it, and call that an importance-weighted autoencoder (IWAE). With $k = 1$ it is a VAE. A
# larger $k$ allows for a $q$ that fits less well, as long as some of its draws are good. On MNIST they report $-\ln p(x)$ of
# 86.76 nats for $k = 1$ and 84.78 for $k = 50$ (one stochastic layer, 5,000 samples to measure). MNIST is no part of this
# notebook, which downloads nothing; the same experiment, in small, on our digits, drawn black and white by their grey values:

# %%
black_and_white = binarize(minigen.tensor(held_out), Generator(0)).numpy()
for k in (1, 10):
    with tempfile.TemporaryDirectory() as folder:
        config = {"model": "iwae", "k": k, "latent_dim": 8, "hidden": [128], "epochs": course.short(60, 1), "lr": 2e-3}
        training = start_run({**config, "likelihood": "bernoulli", "binarize": True}, out=f"{folder}/iwae", quiet=True)
        train_run(training)
        training.run.close()
    bounds = importance_bounds(training.system.model, black_and_white, course.short(1000, 10))
    print(f"trained with k = {k:2}: -ln p(x) {-bounds['log_likelihood']:.2f} nats, -ELBO {-bounds['elbo']:.2f} nats")

# %% [markdown]
# The likelihood gets better and the ELBO worse: this $q$ was not asked to fit by every single draw.
#
# ## Which dimensions survive
#
# A dimension of $z$ costs KL, and is used only if it saves more in the first term. When is that? There is a case that can
# be solved: encoder and decoder linear, $p(x|z) = N(Wz + b, \sigma^2 I)$ with $\sigma$ fixed. Put β before the KL term
# (Higgins et al. 2017), and divide the objective by β. What is left is a VAE with $s = \beta \sigma^2$ in place of
# $\sigma^2$, and for that one the best is known: it is probabilistic PCA (Tipping & Bishop 1999; Lucas et al. 2019, arXiv
# 1911.02469). With the eigenvalues $\lambda_1 \ge \lambda_2 \ge \dots$ of the data's covariance, of the first $Z$
# components
#
# - those with $\lambda_i > s$ get a dimension, which costs $\frac12 \ln (\lambda_i / s)$ nats, and after which the squared
#   error $s$ is left in that direction;
# - those with $\lambda_i \le s$ get none. Their dimensions of $z$ *collapse*: $q(z_i|x)$ is the prior, for every image.
#
# In information theory this is reverse water-filling, the shortest code for Gaussians at a given error (Cover & Thomas,
# *Elements of Information Theory*, section 10.3). So a VAE of large β or large $\sigma$ gives up dimensions *and is right to do
# so*: its objective says that they are not worth their price.
#
# ### Exercise 07.4
#
# Predict the number of dimensions in use, the rate (KL, in nats) and the distortion (the squared error, the sum over *all*
# directions).


# %%
def predict(eigenvalues, latent_dim, sigma2, beta):
    """(active, rate, distortion) of the best linear VAE; eigenvalues (D,) falling, latent_dim at most D."""
    ...


course.check("07.4", predict)

# %% [markdown]
# Gradient descent knows nothing of that theorem. (Here the expectation over the noise is exact, as the decoder is linear:
# $E\lVert x - W z - b \rVert^2 = \lVert x - W\mu - b \rVert^2 + \sum_j \sigma_j^2 \lVert w_j \rVert^2$.)

# %%
eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
everything, SIGMA2, Z = minigen.tensor(images), 0.1, 8


def train_linear(beta, steps):
    minigen.manual_seed(0)
    model = DenseVAE((1, 8, 8), hidden=(), latent_dim=Z, likelihood="gaussian", sigma=SIGMA2**0.5)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    schedule = optim.CosineAnnealingLR(optimizer, steps)
    W = dict(model.named_parameters())["decoder.0.weight"]  # (64, Z)
    for _ in range(steps):
        mu, logvar = model.encode(everything)
        nll = model.nll(model.decode(mu), everything) + (F.exp(logvar).mean(0) * (W**2).sum(0)).sum() * (0.5 / SIGMA2)
        loss = negative_elbo(nll, kl_to_standard_normal(mu, logvar), beta)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def distortion(terms, sigma2, pixels=64):
    """The squared error, from what vae_terms gives for a Gaussian likelihood."""
    return (terms.nll - 0.5 * pixels * np.log(2 * np.pi * sigma2)) * 2 * sigma2


print("first eigenvalues:", " ".join(f"{value:.3f}" for value in eigenvalues[:9]))
print("  β     βσ²   KL of each dimension, sorted                                  rate   distortion")
linear = {}
for beta in (0.5, 1.5, 3.2, 4.7, 8.0):
    terms = vae_terms(train_linear(beta, course.short(900, 5)), images)
    linear[beta] = terms.kl, distortion(terms, SIGMA2)
    each = " ".join(f"{abs(value):6.3f}" for value in sorted(terms.kl_per_dimension, reverse=True))
    print(f"{beta:3.1f}   {beta * SIGMA2:5.2f}   {each}   {linear[beta][0]:7.3f}   {linear[beta][1]:10.3f}")

# %% [markdown]
# Hold it against your `predict`. At the largest β not even the first eigenvalue is above $\beta\sigma^2$, and the best model
# is one that says nothing.
#
# ## Posterior collapse, and cures
#
# In deep VAEs the same price has a second effect, in time. At first the decoder is bad, so $z$ saves nothing, and $q(z|x)$
# falls onto the prior. The decoder then learns to do without, and the dimension is lost, although later it would have paid
# (Bowman et al. 2016, arXiv 1511.06349). Here $\sigma$ of the pixels is *learnt*, and starts at 1, as it is often found.
# By the rule above, with $s = 1$ above all eigenvalues, everything collapses at first. Cures:
#
# - let the KL term in slowly (*annealing*), so that the decoder learns to use $z$ while it is cheap;
# - give each dimension some nats for nothing (*free bits*, Kingma et al. 2016, arXiv 1606.04934): $\sum_j \max(\lambda,
#   KL_j)$, where $KL_j$ is the mean over the batch. Below $\lambda$ there is nothing to be gained by giving up;
# - do not start with $\sigma$ too large (minigen's VAEs start at $e^{-1}$).
#
# ### Exercise 07.5
#
# Write the KL term with free bits.


# %%
def free_kl(mu, logvar, minimum):
    """Σⱼ max(minimum, KLⱼ), with KLⱼ the mean over the batch of dimension j's KL; mu and logvar are arrays (N, Z)."""
    ...


course.check("07.5", free_kl)

# %% [markdown]
# Four VAEs from the same weights on the same batches:


# %%
def train_deep(weight=lambda step: 1.0, free=0.0, per_pixel=False):
    minigen.manual_seed(0)
    model = DenseVAE((1, 8, 8), hidden=(200, 200), latent_dim=16, likelihood="gaussian")
    nn.init.zeros_(model.pixel_logvar)  # ln σ² = 0
    optimizer, noise, step = optim.Adam(model.parameters(), lr=2e-3), Generator(0), 0
    order = Generator(0).spawn(1)
    for _ in range(course.short(60, 1)):
        shuffled = order.permutation(len(images))
        for first in range(0, len(images) - 63, 64):
            batch = minigen.tensor(images[shuffled[first : first + 64]])
            mu, logvar = model.encode(batch)
            z = reparametrize(mu, logvar, minigen.tensor(noise.normal(mu.shape)))
            nll = model.nll(model.decode(z), batch) / (64 if per_pixel else 1)
            loss = nll + weight(step) * free_bits(kl_per_dimension(mu, logvar), free)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return model


warmup = course.short(30, 1) * (len(images) // 64)
deep = {
    "mean over pixels": train_deep(per_pixel=True),
    "sum over pixels": train_deep(),
    "annealed": train_deep(lambda step: linear_annealing(step, warmup)),
    "0.5 nats free": train_deep(free=0.5),
}
measured = {name: vae_terms(model, held_out) for name, model in deep.items()}
print("                   active dimensions      KL   -ln p(x|z)    -ELBO")
for name, terms in measured.items():
    print(f"{name:<16}   {terms.active_units:17}   {terms.kl:5.2f}   {terms.nll:10.2f}   {terms.nll + terms.kl:6.2f}")

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 2.4), sharey=True)
for axis, (name, terms) in zip(axes, measured.items()):
    axis.bar(range(1, 17), sorted(terms.kl_per_dimension, reverse=True))
    axis.set(title=name, xlabel="dimension of z, sorted")
axes[0].set_ylabel("KL, nats")
plt.show()

# %%
shown = np.stack([held_out[held_out_labels == d][0] for d in range(10)])
rows = [("digits", shown)]
for name, model in deep.items():
    rows.append((name, model.image(model.decode(model.encode(minigen.tensor(shown))[0])).numpy().clip(0, 1)))
viz.draw_rows(rows, scale=5)

# %% [markdown]
# A dimension counts as active when its $\mu$ varies over the images, if ever so little; the KL says what all of them carry.
# With the mean over pixels every reconstruction is the mean digit; the plain sum keeps little; with either cure the digits
# come back, and the bound is better although more KL is paid.
# The library's own version of this experiment is `minigen demo posterior-collapse`:

# %%
same = posterior_collapse.train(epochs=course.short(60, 1))
print(f"largest difference from ours: {np.abs(same.kl - measured['sum over pixels'].kl_per_dimension).max():.1e} nats")

# %% [markdown]
# ## β: rate against distortion
#
# Read the two terms as in the theory of compression. The *rate* $R = KL$ is what the code costs, in nats an image; the
# *distortion* $D = E_q[-\ln p(x|z)]$ is what is lost. A VAE of any β gives one point $(R, D)$, and β is the exchange rate: at
# the optimum $dD = -\beta\, dR$ (Alemi et al. 2018, arXiv 1711.00464). β below 1 buys better pictures, β above 1 a shorter
# code. With a Gaussian of fixed $\sigma$ the distortion is the squared error divided by $2\sigma^2$, and a constant; the squared
# error is what is shown. The linear case gives a curve that can be computed.

# %%
SIGMA = 0.3


def train_beta(beta):
    minigen.manual_seed(0)
    model = DenseVAE((1, 8, 8), hidden=(128,), latent_dim=Z, likelihood="gaussian", sigma=SIGMA)
    optimizer, generator = optim.Adam(model.parameters(), lr=3e-3), Generator(6)
    for _ in range(course.short(30, 1)):
        order = generator.permutation(len(images))
        for first in range(0, len(images) - 63, 64):
            batch = minigen.tensor(images[order[first : first + 64]])
            mu, logvar = model.encode(batch)
            z = reparametrize(mu, logvar, minigen.tensor(generator.normal(mu.shape)))
            loss = negative_elbo(model.nll(model.decode(z), batch), kl_to_standard_normal(mu, logvar), beta)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


real = held_out.reshape(360, 64)
models, curve = {}, []
print("   β    rate   squared error   active   density   coverage   of samples")
for beta in (0.03, 0.1, 0.3, 1.0, 3.0, 6.0):
    models[beta] = train_beta(beta)
    terms = vae_terms(models[beta], held_out)
    curve.append((terms.kl, distortion(terms, SIGMA**2)))
    samples = models[beta].image(models[beta].decode(minigen.tensor(Generator(7).normal((360, Z))))).numpy().clip(0, 1)
    density, coverage = metrics.density_coverage(real, samples.reshape(360, 64))
    print(
        f"{beta:4}   {curve[-1][0]:5.2f}   {curve[-1][1]:13.3f}   {terms.active_units:6}   {density:7.2f}   {coverage:8.2f}"
    )

# %%
levels = np.logspace(np.log10(eigenvalues[0]), -3, 200)  # βσ², from everything collapsed down
kept = eigenvalues[:Z]
rates = [0.5 * np.log(np.maximum(kept / level, 1)).sum() for level in levels]
losses = [np.minimum(kept, level).sum() + eigenvalues[Z:].sum() for level in levels]
plt.plot(rates, losses, color="0.4", label="linear, by the theorem")
plt.plot(*np.array(list(linear.values())).T, "s", label="linear, trained")
plt.plot(*np.array(curve).T, "o-", label="one hidden layer, trained (held-out digits)")
for (rate, loss), beta in zip(curve, models):
    plt.annotate(f"β = {beta}", (rate, loss), textcoords="offset points", xytext=(4, 6), fontsize=8)
plt.xlim(-0.5, 1.1 * max(rate for rate, _ in curve))
plt.xlabel("rate: KL in nats")
plt.ylabel("distortion: squared error")
plt.grid()
plt.legend()
plt.show()

# %%
rows = [("digits", shown)]
for beta in (0.03, 1.0, 6.0):
    model = models[beta]
    rows.append((f"β = {beta}, back", model.image(model.decode(model.encode(minigen.tensor(shown))[0])).numpy()))
    rows.append((f"β = {beta}, drawn", model.image(model.decode(minigen.tensor(Generator(8).normal((10, Z))))).numpy()))
viz.draw_rows([(name, pictures.clip(0, 1)) for name, pictures in rows], scale=5)

# %% [markdown]
# At the smallest β it is nearly an autoencoder: digits come back best, and draws from the prior are poor, since the
# codes fill only parts of it. At the largest β every draw looks like the mean: all has collapsed, although the table
# still calls some dimensions active. That word asks only whether $\mu$ varies at all, with a variance above 0.01, and a
# dimension that just does so carries about half of that in nats; the rate tells how much is left. What is best for
# *drawing* lies between, and it depends on what "best" means: density and coverage need not agree on a β. (With a
# Gaussian of fixed $\sigma$, β and $\sigma^2$ are one knob: only $\beta\sigma^2$ counts. And a mean over pixels is a β
# of 64, or of 3072 on small colour photographs.)
#
# ## What to read next
#
# - Kingma, Welling: *Auto-Encoding Variational Bayes*, 2014, arXiv 1312.6114, and their *Introduction to VAEs*, 2019, arXiv
#   1906.02691.
# - Alemi et al.: *Fixing a Broken ELBO*, 2018, arXiv 1711.00464: rate and distortion.
# - Lucas et al.: *Don't Blame the ELBO!*, 2019, arXiv 1911.02469: collapse in the linear case.
# - In minigen: `minigen/losses/variational.py` (every formula of this notebook), `minigen/training/vae.py`,
#   `tests/test_failure_museum.py` (the mistakes, each as a test).
# - [Notebook 8](08-gan.ipynb): a generator without any likelihood.
