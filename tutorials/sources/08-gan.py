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
# # 8. A GAN by hand
#
# After this notebook you can
#
# - derive what a discriminator learns, and write the losses of both players so that they neither overflow nor have a
#   wrong sign;
# - train a GAN by hand, and see the discriminator's surface push the generator's samples;
# - count modes, recognize mode collapse, say why it happens and which changes cure it;
# - regenerate a published table, and say what its figures depend on.
#
# You need notebooks [1](01-derivative.ipynb) to [3](03-second-derivatives.ipynb). Everything runs on the CPU in about
# two minutes.

# %%
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import course, nn, optim, viz
from minigen import functional as F
from minigen.bench.modes import PUBLISHED, PUBLISHED_SETTINGS, run_modes
from minigen.data.mixtures import ring, ring_centers
from minigen.losses import GAN_LOSSES, discriminator_loss, generator_loss, pack, r1_penalty
from minigen.metrics import mode_report
from minigen.models.mlp_gan import MLPDiscriminator, MLPGenerator
from minigen.training.gan import train_gan
from minigen.training.rehearsal import Rehearsal

course.use_style()

# %% [markdown]
# ## A game of two players
#
# A generator $G$ turns noise $z$ into samples; nobody tells it what a good sample is. A discriminator $D$ is shown
# samples, real and generated, and says with which probability each is real. $D$ wants to be right, $G$ wants $D$ to be
# wrong (Goodfellow et al. 2014, arXiv 1406.2661):
#
# $$ \min_G \max_D V(D, G), \qquad
#    V = \mathbb{E}_{x \sim p} \log D(x) + \mathbb{E}_{x \sim q} \log\bigl(1 - D(x)\bigr), $$
#
# where $p$ is the density of the data and $q$ that of $G(z)$. What does $D$ learn? At each $x$ it chooses a number $D$
# that makes $p \log D + q \log(1 - D)$ as large as possible. The derivative $p/D - q/(1 - D)$ is zero at
#
# $$ D^*(x) = \frac{p(x)}{p(x) + q(x)}, \qquad\text{of which the logit is}\qquad
#    \log\frac{D^*}{1 - D^*} = \log p(x) - \log q(x). $$
#
# A classifier of real against generated learns the *ratio of two densities*, neither of which it ever sees. With $D^*$
# put in, the value of the game is a distance between $p$ and $q$, the Jensen–Shannon divergence:
#
# $$ V(D^*, G) = 2\,\mathrm{JS}(p, q) - \log 4, \qquad 0 \le \mathrm{JS} \le \log 2. $$
#
# Let us see that in one dimension, where both densities are known. $D$ is a network with one output, a logit $a$, so
# that $D = \sigma(a)$. Two identities keep probabilities, and their rounding to 0 and 1, out of everything:
# $-\log \sigma(a) = \log(1 + e^{-a})$ and $-\log(1 - \sigma(a)) = \log(1 + e^{a})$, the function called softplus.

# %%
p_parts, q_part = ((-1.5, 0.5), (1.0, 0.4)), (0.3, 1.0)  # (mean, standard deviation)


def normal_density(x, mean, std):
    return np.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))


def p(x):
    return sum(normal_density(x, *part) for part in p_parts) / 2


def q(x):
    return normal_density(x, *q_part)


def draw_p(n, rng):
    part = np.array(p_parts)[rng.integers(0, 2, (n,))]
    return (part[:, 0] + part[:, 1] * rng.normal((n,)))[:, None].astype(np.float32)


minigen.manual_seed(0)
rng = minigen.Generator(0)
D = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
adam = optim.Adam(D.parameters(), lr=3e-3)
for _ in range(course.short(800, 5)):
    real, fake = minigen.tensor(draw_p(512, rng)), minigen.tensor(rng.normal((512, 1)) * q_part[1] + q_part[0])
    loss = F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()  # -V
    adam.zero_grad()
    loss.backward()
    adam.step()

x = np.linspace(-3, 3, 601)
with minigen.no_grad():
    learnt = D(minigen.tensor(x[:, None].astype(np.float32))).numpy()[:, 0]
ratio = np.log(p(x)) - np.log(q(x))

figure, axes = plt.subplots(1, 2, figsize=(9, 3))
axes[0].plot(x, p(x), label="$p$, the data")
axes[0].plot(x, q(x), label="$q$, the generator")
axes[1].plot(x, ratio, color="black", linewidth=3, alpha=0.3, label="$\\log p - \\log q$")
axes[1].plot(x, learnt, label="logit of the trained $D$")
axes[1].axhline(0, color="#bbbbbb", linewidth=0.8)
axes[1].set_ylim(-4, 4)
for axis in axes:
    axis.set_xlabel("$x$")
    axis.legend()
plt.show()

mixed = (p(x) + q(x)) / 2
js = np.trapezoid(p(x) * np.log(p(x) / mixed) + q(x) * np.log(q(x) / mixed), x) / 2
with minigen.no_grad():
    real, fake = minigen.tensor(draw_p(20_000, rng)), minigen.tensor(rng.normal((20_000, 1)) * q_part[1] + q_part[0])
    loss = (F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()).item()
print(f"JS(p, q) by integration: {js:.3f}; from the loss of D, log 2 - L_D/2: {math.log(2) - loss / 2:.3f}")

# %% [markdown]
# With any $D$, $\log 2 - L_D/2$ bounds the divergence from below, and the better $D$ is, the closer. (That holds for
# $L_D$ as an expectation. What is printed is an estimate from samples, and may by chance lie a little above.) Where $D$
# sees few samples, in the tails, it is wrong, and nothing forces it to be right.
#
# ## The losses
#
# $D$ minimizes $-V$. For $G$ there are two choices, whose fixed point is the same:
#
# $$ L_D = -\mathbb{E} \log \sigma(r) - \mathbb{E} \log(1 - \sigma(f)), \qquad
#    L_G = \underbrace{\mathbb{E} \log(1 - \sigma(f))}_{\text{minimax}} \quad\text{or}\quad
#    L_G = \underbrace{-\mathbb{E} \log \sigma(f)}_{\text{non-saturating}}, $$
#
# $r$ and $f$ being the logits of real and of generated samples, and $\mathbb{E}$ a mean over the batch.
#
# ### Exercise 08.1
#
# Write $L_D$ and the non-saturating $L_G$ with NumPy. Logits may be large.


# %%
def losses(real, fake):
    """L_D and L_G of arrays of logits."""
    ...


course.check("08.1", losses)

# %% [markdown]
# These few symbols are often printed wrong, and a program with a wrong one runs all the same. Here is what descending
# each does to a real logit and to a fake one. Right is: real up, fake down for $D$; fake up for $G$.


# %%
def log_sigmoid(a):
    return -F.softplus(-a)


FORMS = {
    "D: right": lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
    "D: 'min' written before V": lambda r, f: log_sigmoid(r).mean() + log_sigmoid(-f).mean(),
    "D: labels exchanged": lambda r, f: -log_sigmoid(-r).mean() - log_sigmoid(f).mean(),
    "D: sigmoid, then a loss from logits": lambda r, f: (
        -log_sigmoid(F.sigmoid(r)).mean() - log_sigmoid(-F.sigmoid(f)).mean()
    ),
    "G: right": lambda r, f: -log_sigmoid(f).mean(),
    "G: log D(G(z)) as a loss, without its minus": lambda r, f: log_sigmoid(f).mean(),
}
r, f = (minigen.tensor([value], requires_grad=True) for value in (4.0, -4.0))  # a D that is rather sure
for name, form in FORMS.items():
    pull = [0.0 if g is None else -g.item() for g in minigen.grad(form(r, f), (r, f), allow_unused=True)]
    print(f"{name:<46} pulls the real logit by {pull[0]:+.3f}, the fake one by {pull[1]:+.3f}")

# %% [markdown]
# The fourth is the treacherous one: its signs are right. But a $D$ whose logits pass through a sigmoid first can never
# say "certainly real": its best loss is $\log(1 + e^{-1}) + \log 2$ instead of 0, and where the sigmoid is flat it
# learns nothing, be it right or wrong.
#
# The library has all of these losses, and more, called alike:

# %%
r, f = minigen.randn(8, 1), minigen.randn(8, 1)
gap_d = abs(discriminator_loss(r, f).item() - FORMS["D: right"](r, f).item())
gap_g = abs(generator_loss(None, f).item() - FORMS["G: right"](r, f).item())
print(f"minigen.losses.discriminator_loss and generator_loss differ from ours by {gap_d:.0e} and {gap_g:.0e}")
print("others:", ", ".join(GAN_LOSSES))

# %% [markdown]
# ## What reaches the generator
#
# Why two losses for $G$? In the beginning, fakes are bad and $D$ tells them at a glance: $f$ is far below zero.
#
# ### Exercise 08.2
#
# Write the derivative of both losses by every logit $f_i$ of a batch of $n$.


# %%
def slopes(f):
    """The derivatives of the minimax and of the non-saturating L_G by each logit in the array f."""
    ...


course.check("08.2", slopes)

# %%
logits = np.linspace(-8, 8, 161)
batch = minigen.tensor(logits, requires_grad=True)
figure, axis = plt.subplots(figsize=(7, 2.8))
for name in ("minimax", "non-saturating"):
    (slope,) = minigen.grad(GAN_LOSSES[name].generator(None, batch), batch)
    axis.plot(logits, np.abs(slope.numpy()) * len(logits), label=name)
axis.axvspan(-8, -3, color="#eeeeee")
axis.text(-7.7, 0.5, "found out", fontsize=9)
axis.set(xlabel="logit $f$ of a generated sample", ylabel="strength of the pull")
axis.legend()
plt.show()

# %% [markdown]
# The minimax loss pulls where the sample is convincing already, and *vanishes where it is found out*. So from here on:
# the non-saturating one. (A $D$ that is right about everything has a flat surface around the fakes, and then neither
# helps: Arjovsky & Bottou 2017, arXiv 1701.04862.)
#
# ## By hand
#
# The data: eight narrow Gaussians on a ring, which is nothing to look at, but has modes that can be counted. The loop
# is Algorithm 1 of the paper: one step of $D$ on real and generated points, then one of $G$ on what $D$ thinks of its
# points. Two details matter. In $D$'s step the fakes are *detached*, so that $G$ learns nothing from it. In $G$'s step
# the gradient goes *through* $D$, down to the points and on to $G$'s weights, and $D$'s own gradient is thrown away
# (`zero_grad` before its next step).
#
# `penalty` and `packing` are for later.


# %%
def mlp(*sizes):
    """Dense layers of these sizes, with a ReLU between two."""
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(G, D, latent_dim, steps, penalty=0.0, packing=1, seed=0):
    """A GAN on the ring by Adam with the rate 0.001 and β₁ = 0.5; yields each step and its real points."""
    adam_g, adam_d = (optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (G, D))
    points, noise = minigen.Generator(seed), minigen.Generator(seed).spawn(1)
    for step in range(1, steps + 1):
        real = minigen.tensor(ring(128, points)[0])  # (128, 2)
        fake = G(minigen.randn(128, latent_dim, generator=noise))  # (128, 2)
        shown, made = pack(real, packing), pack(fake, packing)

        r, f = D(shown), D(made.detach())
        d_loss = F.softplus(-r).mean() + F.softplus(f).mean()
        if penalty:
            d_loss = d_loss + r1_penalty(D, shown, made, None, penalty)
        adam_d.zero_grad()
        d_loss.backward()
        adam_d.step()

        g_loss = F.softplus(-D(made)).mean()
        adam_g.zero_grad()
        g_loss.backward()
        adam_g.step()
        yield step, real.numpy()


def samples_of(G, latent_dim, n=2500):
    with minigen.no_grad():
        return G(minigen.randn(n, latent_dim, generator=minigen.Generator(1))).numpy()


# %% [markdown]
# What pushes a sample? The chain rule goes through the sample itself:
# $\partial L_G / \partial \theta = \sum_i (\partial L_G / \partial x_i)(\partial x_i / \partial \theta)$. So each
# sample $x_i = G(z_i)$ is pulled along $-\partial L_G / \partial x_i$, uphill on $D$'s surface, and $G$'s weights
# follow all these wishes as well as they can. Below, the colours are $D(x)$ (red: taken for real), the arrows the
# directions of the pull.

# %%
STEPS = course.short(2500, 10)
SHOWN = course.short([25, 100, 300, 600, 1200, STEPS], [1, 2, 3, 4, 5, STEPS])
side = np.linspace(-1.7, 1.7, 80)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2).astype(np.float32)

minigen.manual_seed(1)
G, D = mlp(2, 128, 128, 128, 2), mlp(2, 128, 128, 128, 1)
figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.6))


def draw(axis, step, real):
    made = minigen.tensor(samples_of(G, 2, 400)).requires_grad_()
    (pull,) = minigen.grad(-F.softplus(-D(made)).sum(), made)
    with minigen.no_grad():
        surface = F.sigmoid(D(minigen.tensor(plane))).numpy().reshape(80, 80)
    axis.contourf(side, side, surface, levels=np.linspace(0, 1, 13), cmap="RdBu_r", alpha=0.75)
    axis.plot(*real.T, "o", color="white", markeredgecolor="black", markersize=3, markeredgewidth=0.4)
    x = made.detach().numpy()
    axis.plot(*x.T, ".", color="black", markersize=2.5)
    u = pull.numpy()[:12] / np.linalg.norm(pull.numpy()[:12], axis=1, keepdims=True)
    axis.quiver(
        *x[:12].T, *u.T, facecolor="#F0E442", edgecolor="black", linewidth=0.5, angles="xy", scale=9, width=0.014
    )
    axis.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal", xticks=[], yticks=[], title=f"step {step}")


for step, real in train(G, D, 2, STEPS, seed=1):
    if step in SHOWN:
        draw(axes.flat[SHOWN.index(step)], step, real)
plt.show()

# %% [markdown]
# At first $D$ is nearly a plane, and the samples run up its slope and past the data; it tilts, and they turn back. Only
# when the surface has taken on the shape of the ring do they settle along it, and then are drawn into the modes. $D$ is
# never done: where samples gather, it turns against them. When generated and real points coincide, there is nothing
# left to tell apart, and $D$ comes to ½ there.
#
# ### Exercise 08.3
#
# Seven steps of a GAN on real points $(n, 2)$ and noise $(n, 3)$, one right and six wrong. Nothing raises an error.
# Find out which is which:
#
# | answer | meaning |
# |---|---|
# | `"right"` | as above |
# | `"labels exchanged"` | D learns to take generated points for real |
# | `"G downhill"` | G's loss lacks its minus |
# | `"G outside the graph"` | the points were made without a graph: G gets no gradient |
# | `"gradients left over"` | D's gradient is not cleared before its step |
# | `"D helps G"` | G's part of the step moves D, too |
# | `"sigmoid twice"` | probabilities where logits belong |
#
# `planted_steps.STEPS["A"](game, real, z)` does one step; `game.generator`, `game.discriminator`, `game.sgd_g` and
# `game.sgd_d` are there to be looked at, before and after.

# %%
from minigen.course import planted_steps

draws = minigen.Generator(0)
real, z = minigen.tensor(draws.normal((64, 2)) + 2), minigen.tensor(draws.normal((64, 3)))
for letter, step in planted_steps.STEPS.items():
    game = planted_steps.Game()  # always the same weights
    before = F.sigmoid(game.discriminator(real)).mean().item()
    step(game, real, z)
    after = F.sigmoid(game.discriminator(real)).mean().item()
    print(f"{letter}: D(x) of real points goes from {before:.3f} to {after:.3f}")

# %%
answers = {"A": ..., "B": ..., "C": ..., "D": ..., "E": ..., "F": ..., "G": ...}

course.check("08.3", answers)

# %% [markdown]
# ## The same with the library
#
# `minigen.training.gan.train_gan` is this loop, with a choice of losses, penalties, packs and more, and `MLPGenerator`
# and `MLPDiscriminator` are these networks. A `Rehearsal` gives it batches and keeps the losses. From equal weights,
# with equal random numbers, both programs must end at the same weights.

# %%
few = course.short(150, 5)
minigen.manual_seed(0)
ours_g, ours_d = mlp(2, 128, 128, 128, 2), mlp(2, 128, 128, 128, 1)
for _ in train(ours_g, ours_d, 2, few):
    pass

minigen.manual_seed(0)
theirs_g, theirs_d = MLPGenerator(2, latent_dim=2), MLPDiscriminator(2, activation="relu")
adam_g, adam_d = (optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for net in (theirs_g, theirs_d))
points, average = minigen.Generator(0), optim.ExponentialMovingAverage(theirs_g)
rehearsal = Rehearsal(lambda: ring(128, points)[0], few)
train_gan(theirs_g, theirs_d, adam_g, adam_d, rehearsal, minigen.Generator(0).spawn(1), average)

for name, mine, its in (("G", ours_g, theirs_g), ("D", ours_d, theirs_d)):
    gap = max(np.abs(a.numpy() - b.numpy()).max() for a, b in zip(mine.parameters(), its.parameters()))
    print(f"after {few} steps the weights of {name} differ by at most {gap:.0e}")

# %% [markdown]
# ## Counting modes
#
# Two papers have made tables of this game, and their rules are these (VEEGAN, Srivastava et al. 2017, arXiv 1705.07761;
# PacGAN, Lin et al. 2018, arXiv 1712.04086). Draw 2,500 samples. One is *of high quality* if it lies within three
# standard deviations of its nearest mode. A mode is *reached* with one such sample. How evenly the samples spread is
# said by the divergence of the modes' shares $p_k$ from uniform ones:
# $\mathrm{KL}(p \,\|\, \text{uniform}) = \sum_k p_k \log (K p_k)$, which is 0 at best, and $\log K$ when all are in
# one.
#
# ### Exercise 08.4
#
# Write the three figures.


# %%
def count(samples, centers, radius):
    """Modes reached, the share of samples of high quality, and Σ p log(K p)."""
    ...


course.check("08.4", count)

# %% [markdown]
# `minigen.metrics.mode_report` counts so. Here is what the GAN above has come to, and what true samples score: not
# 100 %.


# %%
def tell(name, samples):
    report = mode_report(samples, ring_centers(), std=0.01)
    reached, share = report["modes_covered"], report["high_quality_share"]
    print(f"{name:<24}{reached} of 8 modes, {share:6.1%} of high quality, reverse KL {report['reverse_kl']:.3f}")


tell("true samples", ring(2500, minigen.Generator(5))[0])
tell("the GAN above", samples_of(G, 2))

# %% [markdown]
# ## Mode collapse
#
# Now the networks of VEEGAN's plain GAN: noise of 254 numbers, two layers of 128 against a single one. The same data,
# loss and optimizer. `viz.live` shows a loop that one has written while it runs (in a terminal it is a progress bar).

# %%
minigen.manual_seed(0)
collapsed_g, collapsed_d = mlp(254, 128, 128, 2), mlp(2, 128, 1)
every, shares = max(1, STEPS // 100), []  # shares: (looks, modes)
view = viz.live(real=ring(400, minigen.Generator(3))[0])
for step, real in view.track(train(collapsed_g, collapsed_d, 254, STEPS)):
    if step % every == 0:
        made = samples_of(collapsed_g, 254, 500)
        shares.append(mode_report(made, ring_centers(), std=0.01)["mode_shares"])
        with minigen.no_grad():
            d_real, d_fake = (F.sigmoid(collapsed_d(minigen.tensor(x))).mean() for x in (real, made))
        view.log(d_real=d_real, d_fake=d_fake, samples=made)

# %%
figure, axis = plt.subplots(figsize=(8, 2.4))
image = axis.imshow(np.array(shares).T, aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(0, STEPS, -0.5, 7.5))
axis.set(xlabel="step", ylabel="mode", yticks=range(8))
figure.colorbar(image, label="share of the samples")
plt.show()
tell("the collapsed GAN", samples_of(collapsed_g, 254))

# %% [markdown]
# All samples sit together, and when $D$ has learnt to tell that place, they wander to another: a hare and a hound. The
# curves do not show it: $D(x)$ and $D(G(z))$ stay about ½, where a perfect generator would have them, too.
#
# Why? For a fixed $D$, the best thing $G$ can do is to send *every* $z$ to the point where $D$ is highest. What keeps
# it from doing so is only that $D$ answers. The theory, $\min_G \max_D$, wants $D$ to have answered fully before each
# step of $G$; steps in turn are as close to $\max_D \min_G$, whose solution is the collapse. And $D$ judges *single*
# samples: that five hundred of them are alike is something it is never shown.

# %%
viz.draw_surface(
    lambda x: F.sigmoid(collapsed_d(x)),
    ring(200, minigen.Generator(4))[0],
    samples_of(collapsed_g, 254, 200),
    center=0.5,
    title="a discriminator and its collapsed generator",
)

# %% [markdown]
# ## Two players turn in circles
#
# The smallest GAN there is (Mescheder et al. 2018, arXiv 1801.04406): the data are the one point 0; the generator is
# one point $\theta$; the discriminator is a line, $D(x) = \psi x$. All is well at $\theta = \psi = 0$. With the penalty
# $R_1 = \frac{\gamma}{2} \mathbb{E}\,\|\nabla_x D(x)\|^2$ on real points, which is $\frac{\gamma}{2} \psi^2$ here,
#
# $$ L_D = \log 2 + \log(1 + e^{\psi\theta}) + \tfrac{\gamma}{2} \psi^2, \qquad L_G = \log(1 + e^{-\psi\theta}). $$
#
# ### Exercise 08.5
#
# Write the direction in which each player goes: minus the derivative of $L_G$ by $\theta$, and minus that of $L_D$ by
# $\psi$. What are the eigenvalues of its Jacobian at $(0, 0)$?


# %%
def field(theta, psi, gamma):
    """(-∂L_G/∂θ, -∂L_D/∂ψ)."""
    ...


course.check("08.5", field)

# %%
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.3))
for axis, gamma in zip(axes, (0.0, 0.3, 1.0)):
    theta, psi = (minigen.tensor([[value]], requires_grad=True) for value in (1.0, 0.0))
    path = [(theta.item(), psi.item())]
    for _ in range(course.short(400, 10)):
        origin = minigen.zeros(1, 1)
        d_loss = discriminator_loss(psi * origin, psi * theta.detach())
        d_loss = d_loss + r1_penalty(lambda x, psi=psi: psi * x, origin, theta, None, gamma)
        (d_slope,) = minigen.grad(d_loss, psi)
        (g_slope,) = minigen.grad(generator_loss(None, psi.detach() * theta), theta)
        theta = (theta - 0.1 * g_slope).detach().requires_grad_()
        psi = (psi - 0.1 * d_slope).detach().requires_grad_()
        path.append((theta.item(), psi.item()))
    axis.plot(*np.array(path).T, linewidth=1)
    axis.plot(*path[0], "o", color="black", markersize=4)
    axis.plot(*path[-1], "s", color="#D55E00", markersize=5)
    limits = 1.7
    axis.set(
        xlim=(-limits, limits), ylim=(-limits, limits), aspect="equal", xlabel="$\\theta$", title=f"$\\gamma = {gamma}$"
    )
    axis.axhline(0, color="#dddddd", linewidth=0.8, zorder=0)
    axis.axvline(0, color="#dddddd", linewidth=0.8, zorder=0)
    print(f"γ = {gamma}: from θ = 1 to distance {np.hypot(*path[-1]):.3f} from the solution")
axes[0].set_ylabel("$\\psi$")
plt.show()

# %% [markdown]
# Each player descends its own loss, and together they go round. Far out the non-saturating loss itself brakes a little;
# near the solution, where the eigenvalues are $\pm\frac{i}{2}$, nothing does, and the circle closes no further. The
# penalty damps the discriminator's half of it. This is no mode collapse (there is only one mode), but it is the same
# hare and hound.
#
# ## Cures, one at a time
#
# The collapsed GAN again, and each time *one* thing is changed:
#
# - $R_1$ with $\gamma = 1$: $D$ may not be steep where the data are, so that it cannot chase samples over cliffs;
# - packs of two (PacGAN): $D$ sees two samples side by side. Two equal ones are a give-away;
# - other networks: noise of two numbers and three layers each, which are those of our first GAN.

# %%
packed = pack(minigen.tensor([[1, 2], [3, 4], [5, 6], [7, 8]]), 2)
print("packs of two, each a row:", packed.tolist())

tell("as published", samples_of(collapsed_g, 254))
for name, penalty, packing in (("R1, γ = 1", 1.0, 1), ("packs of two", 0.0, 2)):
    minigen.manual_seed(0)
    changed_g, changed_d = mlp(254, 128, 128, 2), mlp(2 * packing, 128, 1)
    for _ in train(changed_g, changed_d, 254, STEPS, penalty, packing):
        pass
    tell(name, samples_of(changed_g, 254))
tell("other networks", samples_of(G, 2))

# %% [markdown]
# Each of the three spreads the samples over the whole ring: the third figure falls from $\log 8$ to almost 0. The
# second asks for more, samples that really hit a mode, and for that the networks must be able to make eight narrow heaps
# at all, and have more steps. Try others: noise of two numbers without the layers, $\beta_1 = 0$, a $D$ that learns
# faster. In our trials each of them alone left it collapsed.
#
# ## The published table
#
# `minigen bench modes` trains every row of such a table: our default GAN (three layers, data of unit size, noise on
# what $D$ sees that fades away, a falling rate, the running average of $G$), each loss and cure in it, and the plain
# GAN with the settings of a paper. At full size that takes hours, and the result is in `benchmarks/modes.md`. Here it
# is **shortened to about 1,000 steps a trial on the ring and 1,500 on the grid, one trial each**; the paper's own are
# means over several. On the command line it is
# `minigen bench modes --protocol veegan --data grid25 --rows non-saturating,r1,packing-2,published --trials 1 --steps 1500`.

# %%
ROWS = ("published-veegan", "non-saturating", "r1", "packing-2")
TITLES = ("plain GAN, VEEGAN's settings", "our default", "our default with R1", "our default, packs of 2")
found = {}
for data, size in (("ring8", 1000), ("grid25", 1500)):
    wanted = course.short(ROWS, ROWS[3:] if data == "ring8" else ())  # the shortened notebook trains one of them
    for trial in run_modes("veegan", 1, [data], wanted, course.short(size, 1)) if wanted else []:
        found[data, trial["row"]] = trial

for data in ("ring8", "grid25"):
    print(f"{data + ', measured here':<34}  modes   high quality %   reverse KL")
    for row, title in zip(ROWS, TITLES):
        trial = found.get((data, row), {})
        reached, share, kl = (trial.get(key, math.nan) for key in ("modes_covered", "high_quality_share", "reverse_kl"))
        print(f"  {title:<32}{reached:7.0f}{100 * share:17.1f}{kl:13.3f}")
    print(f"{data + ', as printed in the paper':<34}  modes   high quality %")
    for name, of, reached, share, _ in PUBLISHED["veegan"]:
        if of == data:
            print(f"  {name:<32}{float(reached):7.1f}{float(share):17.2f}")

# %% [markdown]
# The plain GAN loses most modes, here as there, but its row on the ring is not that of the paper: there one mode, and
# nearly every sample in it; here, after fewer steps, the samples lie beside the modes, and next to none of them within
# three standard deviations of one. Nor does every cure help in so few steps: on the grid packs of two end below the default. One short
# trial decides nothing between such rows. What keeps the modes is no single invention: the default has neither packs
# nor a penalty, only a network, scales and rates that fit, and the same loss as the one that collapses. So beware of
# tables: "GAN" in the first row is *one* GAN. The paper after it (PacGAN) prints other figures for the plain GAN on the
# same mixtures, as its networks and rates are others:

# %%
for name, data, reached, share, kl in PUBLISHED["pacgan"]:
    if name == "GAN":
        print(f"PacGAN's table, {name} on {data}: {reached} modes, {share} % of high quality, reverse KL {kl}")
changes = {
    key: value
    for key, value in PUBLISHED_SETTINGS["veegan"].changes.items()
    if key in ("latent_dim", "hidden", "hidden_d", "lr")
}
print("VEEGAN's settings:", ", ".join(f"{key} {value}" for key, value in changes.items()))

# %% [markdown]
# ## What to read next
#
# - Goodfellow et al.: *Generative adversarial nets*, 2014, arXiv 1406.2661. Four pages suffice.
# - Metz, Poole, Pfau, Sohl-Dickstein: *Unrolled generative adversarial networks*, 2017, arXiv 1611.02163: the ring,
#   and $D$'s answer taken into $G$'s gradient.
# - Mescheder, Geiger, Nowozin: *Which training methods for GANs do actually converge?*, 2018, arXiv 1801.04406.
# - Lin, Khetan, Fanti, Oh: *PacGAN*, 2018, arXiv 1712.04086.
# - In minigen: `minigen/losses/adversarial.py`, `penalties.py`, `minigen/training/gan.py`,
#   `minigen demo mode-collapse`, `benchmarks/modes.md`.
# - [Notebook 9](09-dcgan.ipynb): images, convolutions, and how to judge samples that nobody can count.
