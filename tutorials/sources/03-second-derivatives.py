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
# # 3. Second derivatives
#
# After this notebook you can
#
# - differentiate a gradient, in an engine of your own and in minigen;
# - multiply by a Hessian without ever forming it, and take Newton's step with nothing else;
# - say why a gradient penalty needs second derivatives, write one, and notice when it silently does nothing.
#
# You need notebooks [1](01-derivative.ipynb) and [2](02-gradcheck.ipynb). Everything runs on the CPU in less than a
# minute.

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import course, nn, optim, viz
from minigen import functional as F
from minigen.losses import wgan_gp_penalty

course.use_style()

# %% [markdown]
# ## A gradient with a graph
#
# The engine of [notebook 1](01-derivative.ipynb) kept its gradients as bare numbers, which nobody can differentiate.
# One change is enough: let the backward pass compute with `Value`s. Then every gradient remembers how it was made, as
# every value does. An operation therefore stores, for each input, not the local derivative but *a function of Values*
# that turns the gradient that arrives into the one that goes on.


# %%
class Value:
    """A number that remembers how it was made, and gradients that do so too."""

    def __init__(self, data, made_from=()):
        self.data, self.made_from = float(data), list(made_from)  # pairs: an input, a function of the gradient

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, [(self, lambda g: g), (other, lambda g: g)])

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, [(self, lambda g: g * other), (other, lambda g: g * self)])

    def sin(self):
        return Value(math.sin(self.data), [(self, lambda g: g * self.cos())])

    def cos(self):
        return Value(math.cos(self.data), [(self, lambda g: g * self.sin() * -1.0)])


def as_value(x):
    return x if isinstance(x, Value) else Value(x)


def grad(y, x):
    """dy/dx as a Value, itself part of a graph."""
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent, _ in node.made_from:
                visit(parent)
            order.append(node)

    visit(y)
    gradients = {y: Value(1.0)}
    for node in reversed(order):
        if node in gradients:
            for parent, back in node.made_from:
                arriving = back(gradients[node])  # Values all the way
                gradients[parent] = gradients[parent] + arriving if parent in gradients else arriving
    return gradients[x]


x = Value(1.2)
y = (x * x).sin()
first = grad(y, x)
second = grad(first, x)
print(f"f(x) = sin(x²) at 1.2: {y.data:.6f}")
print(f"f′:  {first.data:.6f}, by hand 2x·cos x² = {2.4 * math.cos(1.44):.6f}")
print(f"f″:  {second.data:.6f}, by hand 2·cos x² - 4x²·sin x² = {2 * math.cos(1.44) - 4 * 1.44 * math.sin(1.44):.6f}")

# %% [markdown]
# minigen works like that: `backward` of every operation is written with tensor operations. Whether it records what it does
# is up to you, since a record costs memory: `create_graph=True`.

# %%
x = minigen.tensor(np.linspace(-2.2, 2.2, 400), requires_grad=True)
curves = [F.sin(x**2)]
for _ in range(2):
    (derivative,) = minigen.grad(curves[-1].sum(), x, create_graph=True)
    curves.append(derivative)

t = x.numpy()
by_hand = [np.sin(t**2), 2 * t * np.cos(t**2), 2 * np.cos(t**2) - 4 * t**2 * np.sin(t**2)]
for name, curve, expected in zip(("f", "f′", "f″"), curves, by_hand):
    plt.plot(t, curve.numpy(), label=name)
    print(f"{name:<2} largest difference from the formula: {np.abs(curve.numpy() - expected).max():.1e}")
plt.grid()
plt.legend(loc="upper center")
plt.xlabel("$x$")
plt.title("$f(x) = \\sin(x^2)$ and two derivatives, from one graph")
plt.show()

# %% [markdown]
# Here is the graph of one first derivative. What computed $f$ goes down on the left, what computed $f'$ goes up beside it,
# each step in the row of the operation that it differentiates; the dashed lines bring it the values it needs.
# (The sine itself is not there: $f'$ needs its input, and not its result.)

# %%
one = minigen.tensor(1.2, requires_grad=True)
(slope,) = minigen.grad(F.sin(one**2), one, create_graph=True)
viz.graph(slope, names={"x": one, "f′": slope})

# %% [markdown]
# (Why `.sum()`? Here $f$ works on each number by itself, so the gradient of the sum holds all the derivatives
# $f'(x_i)$ side by side.)
#
# ### Exercise 03.1
#
# Write the second derivative of any such function.


# %%
def second(f, x):
    """f″ at every number of the tensor x, which requires a gradient."""
    ...


course.check("03.1", second)

# %% [markdown]
# ## Hessian times vector
#
# A function of $n$ variables has $n^2$ second derivatives, the Hessian $H_{ij} = \partial^2 f / \partial x_i \partial x_j$.
# A network with a million weights has $10^{12}$ of them, more than any computer holds. But $H$ is mostly wanted in products, and
#
# $$ H v = \nabla_x \, \langle \nabla f(x), v \rangle $$
#
# (differentiate $\sum_j v_j \, \partial f/\partial x_j$ by $x_i$). That is the gradient of *one number*: two backward passes
# for any $n$ (Pearlmutter 1994, *Fast exact multiplication by the Hessian*).
#
# ### Exercise 03.2
#
# Write it.


# %%
def hvp(f, x, v):
    """The Hessian of the scalar function f at the tensor x, times the tensor v."""
    ...


course.check("03.2", hvp)

# %% [markdown]
# Three ways to the same product. One could also take the difference of two gradients, $(\nabla f(x + hv) - \nabla f(x - hv))
# / 2h$; it has the error of all differences.


# %%
def bumpy(x):
    """A function of n variables in which all of them meet."""
    return (F.sin(x) * x).sum() + F.exp(-((x - 0.5) ** 2).mean()) + (x[1:] * x[:-1]).sum() ** 2 / x.shape[0]


def gradient_at(array):
    leaf = minigen.tensor(array, requires_grad=True)
    return minigen.grad(bumpy(leaf), leaf)[0].numpy()


n = 100
generator = minigen.Generator(0)
point = generator.normal((n,), dtype=np.float64)
direction = generator.normal((n,), dtype=np.float64)

_, product = minigen.hvp(bumpy, minigen.tensor(point), minigen.tensor(direction))
H = minigen.hessian(bumpy, minigen.tensor(point)).numpy()
h = 1e-5
differences = (gradient_at(point + h * direction) - gradient_at(point - h * direction)) / (2 * h)

size = np.abs(product.numpy()).max()
print(f"H is {H.shape[0]} x {H.shape[1]}; asymmetry {np.abs(H - H.T).max():.1e}")
print(f"minigen.hvp against H @ v:      relative difference {np.abs(product.numpy() - H @ direction).max() / size:.1e}")
print(f"minigen.hvp against differences: relative difference {np.abs(product.numpy() - differences).max() / size:.1e}")

# %% [markdown]
# And what they cost, as $n$ grows:

# %%
sizes = course.short([20, 50, 100, 200, 400, 800], [20, 50])


def milliseconds(work):
    """The quickest of three."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - begin))
    return min(times)


def costs(n):
    x, v = minigen.tensor(np.ones(n), requires_grad=True), minigen.tensor(np.ones(n))
    return (
        milliseconds(lambda: minigen.grad(bumpy(x), x)),
        milliseconds(lambda: minigen.hvp(bumpy, x, v)),
        milliseconds(lambda: minigen.hessian(bumpy, x)),
    )


figure, axis = plt.subplots()
for name, times in zip(("gradient", "$Hv$", "$H$"), zip(*[costs(n) for n in sizes])):
    axis.loglog(sizes, times, marker="o", label=name)
axis.minorticks_off()
axis.set_xticks(sizes, sizes)
axis.set(
    xlabel="variables", ylabel="milliseconds", title="the whole Hessian takes a backward pass for each of its rows"
)
axis.grid()
axis.legend()
plt.show()

# %% [markdown]
# ## Why a gradient penalty needs them
#
# In a GAN a critic $D$ scores samples, high for real ones and low for generated ones, and the generator climbs along
# $\nabla_x D$. So it is the critic's *slope by its input* that teaches. Left alone, a critic that minimizes
# $\mathbb{E} D(\tilde x) - \mathbb{E} D(x)$ grows ever steeper. The Wasserstein distance allows only critics of slope 1 at
# most, and Gulrajani et al. (2017, arXiv 1704.00028) ask for that by a penalty:
#
# $$ L(w) = \mathbb{E}\, D_w(\tilde x) - \mathbb{E}\, D_w(x) + \lambda\, \mathbb{E} \left(\|\nabla_x D_w(\hat x)\|_2 - 1\right)^2,
#    \qquad \hat x \text{ on the lines between real and generated samples.} $$
#
# The loss *contains* a derivative by $x$. To learn, it is differentiated by $w$. So the training step needs
# $\partial^2 D / \partial w \, \partial x$: second derivatives, in a product with a vector, as above.
#
# For a linear critic everything can be done by hand. $D(x) = \langle w, x \rangle$ has $\nabla_x D = w$ everywhere, so the
# penalty is $P = (\|w\| - 1)^2$ and $\nabla_w P = 2 (\|w\| - 1)\, w / \|w\|$.

# %%
w = minigen.tensor([3.0, 4.0], requires_grad=True)
x = minigen.randn(5, 2, generator=minigen.Generator(1)).requires_grad_()

(slopes,) = minigen.grad((x @ w).sum(), x, create_graph=True)  # one row for each x, all of them w
P = ((F.norm(slopes, dim=1) - 1) ** 2).mean()
P.backward(retain_graph=True)
print(f"P = {P.item():.4f}, by hand (5 - 1)² = 16")
print(f"its gradient by w: {w.grad}, by hand 2·4·w/5 = {8 * np.array([3.0, 4.0]) / 5}")
viz.graph(P, names={"w": w, "x": x, "P": P})

# %% [markdown]
# The graph says why: the weights reach $P$ only *through* the operations that compute a gradient (orange). And $x$ is nowhere in
# it, since the slope of a linear critic is the same everywhere.
#
# ### Exercise 03.3
#
# Write the penalty for any critic.


# %%
def penalty(critic, x):
    """The mean over the rows of x of (‖∇D(xᵢ)‖ - 1)², differentiable by the critic's weights."""
    ...


course.check("03.3", penalty)

# %% [markdown]
# The most common mistake makes no noise. Without `create_graph=True` the penalty has the right *value*. It is printed, it is
# added to the loss, and it changes nothing, because it is a constant to the graph:

# %%
w.grad = None
(slopes,) = minigen.grad((x @ w).sum(), x)  # no create_graph
silent = ((F.norm(slopes, dim=1) - 1) ** 2).mean()
print(f"value {silent.item():.4f}; does it depend on a weight? {silent.requires_grad}")

# %% [markdown]
# ### What it does
#
# Real samples around 2, generated ones around -2, and a critic that is trained alone: without the penalty, and with minigen's.
# The best critic of slope at most 1 would be a straight line of slope 1 between the two. Its score is the Wasserstein distance,
# 4: the distance by which the samples have to be moved.

# %%
STEPS = course.short(800, 20)


def train_critic(weight):
    """A critic of real (around 2) against generated samples (around -2); its mean slope at every step."""
    generator = minigen.Generator(3)
    critic = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    for parameter in critic.parameters():  # the same start for both
        parameter.data = generator.normal(parameter.shape, std=0.3)
    optimizer = optim.Adam(critic.parameters(), lr=2e-3)
    slopes, scores = [], []
    for _ in range(STEPS):
        real = minigen.Tensor(generator.normal((64, 1), mean=2, std=0.3))
        fake = minigen.Tensor(generator.normal((64, 1), mean=-2, std=0.3))
        gap = critic(real).mean() - critic(fake).mean()
        loss = -gap
        if weight:
            loss = loss + wgan_gp_penalty(critic, real, fake, generator, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        between = minigen.tensor(np.linspace(-2, 2, 50, dtype=np.float32)[:, None], requires_grad=True)
        slopes.append(np.abs(minigen.grad(critic(between).sum(), between)[0].numpy()).mean())
        scores.append(gap.item())
    return critic, slopes, scores


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
line = np.linspace(-4, 4, 200, dtype=np.float32)[:, None]
for weight, label in ((0.0, "no penalty"), (10.0, "penalty, λ = 10")):
    critic, slopes, scores = train_critic(weight)
    with minigen.no_grad():
        values = critic(minigen.Tensor(line)).numpy()
    left.plot(line, values - values.mean(), label=label)
    right.semilogy(slopes, label=label)
    there = minigen.tensor([[-2.0]], requires_grad=True)
    (slope,) = minigen.grad(critic(there).sum(), there)
    print(
        f"{label}: score of real minus generated {scores[-1]:.2f}, slopes: mean of all between {slopes[-1]:.2f}, "
        f"at the generated samples {abs(slope.item()):.4f}"
    )
for centre, name in ((-2, "generated"), (2, "real")):
    left.axvspan(centre - 0.6, centre + 0.6, color="#dddddd")
    left.text(centre, 0.1, name, ha="center", transform=left.get_xaxis_transform(), fontsize=9)
left.set(xlabel="$x$", ylabel="$D(x)$, its mean taken away", title="the critics after training")
right.set(xlabel="step", title="mean $|D'(x)|$ between the clusters")
right.axhline(1, color="black", linestyle=":", linewidth=1)
for axis in (left, right):
    axis.grid()
right.legend(loc="lower right")
plt.show()

# %% [markdown]
# Without the penalty the critic is a cliff: steeper with every step, and *flat where the generated samples are*. A
# generator that asks there which way is up hears nothing. With the penalty the slope is nearly the same everywhere, and it
# is a little above 1, because a penalty is soft: a critic of slope $s$ gains $4s$ and pays $\lambda(s - 1)^2$, which is best at
# $s = 1 + 4/(2\lambda)$.

# %%
print(f"best slope for λ = 10: {1 + 4 / 20}, and its score: {4 * (1 + 4 / 20)}")

# %% [markdown]
# Your penalty and the library's differ in one thing: `wgan_gp_penalty` draws the points $\hat x$ itself. With the points given,
# the two must agree; the same lines as above, at points drawn in the same way:

# %%
critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
real, fake = minigen.randn(6, 2), minigen.randn(6, 2)
library = wgan_gp_penalty(critic, real, fake, minigen.Generator(5), weight=1.0)

epsilon = minigen.Tensor(minigen.Generator(5).uniform((6, 1)))
mixed = (epsilon * real + (1 - epsilon) * fake).detach().requires_grad_()
(slopes,) = minigen.grad(critic(mixed).sum(), mixed, create_graph=True)
ours = ((F.norm(slopes, dim=1) - 1) ** 2).mean()

weights = next(iter(critic.parameters()))
gap = np.abs(minigen.grad(library, weights)[0].numpy() - minigen.grad(ours, weights)[0].numpy()).max()
print(f"values differ by {abs(library.item() - ours.item()):.1e}, gradients by the first weights by {gap:.1e}")

# %% [markdown]
# ## Newton's step
#
# Gradient descent knows nothing of curvature. In a narrow valley it has to take steps so short that it does not bounce from
# wall to wall, and then creeps along the floor. Newton's method goes to the lowest point of the parabola that fits best: $x \leftarrow x + p$ with $H p = -g$. With products $Hv$ alone that system is solved
# by conjugate gradients (Hestenes & Stiefel 1952), so that even a network can take such steps (Martens 2010).


# %%
def valley(x):
    """A narrow, slightly bent valley; its lowest point is (0, 0)."""
    return 0.5 * x[0] ** 2 + 20 * (x[1] - 0.15 * x[0] ** 2) ** 2


def newton_by_matrix(f, x):
    """p = -H⁻¹g with the whole Hessian: fine for two variables."""
    x = minigen.tensor(x, requires_grad=True)
    g = minigen.grad(f(x), x)[0].numpy()
    return -np.linalg.solve(minigen.hessian(f, x).numpy(), g)


def descent_step(f, x):
    x = minigen.tensor(x, requires_grad=True)
    return -0.02 * minigen.grad(f(x), x)[0].numpy()


paths = {}
for name, step, count in (("gradient descent", descent_step, 60), ("Newton", newton_by_matrix, 6)):
    path = [np.array([-3.0, 0.7])]
    for _ in range(count):
        path.append(path[-1] + step(valley, path[-1]))
    paths[name] = np.array(path)
    lowest = valley(minigen.tensor(path[-1])).item()
    print(f"{name}: f = {lowest:.1e} after {count} steps")

u, v = np.meshgrid(np.linspace(-3.4, 1, 150), np.linspace(-0.9, 2.2, 150))
height = valley(minigen.tensor(np.stack([u, v]))).numpy()
plt.contour(u, v, height, levels=np.logspace(-2, 2, 13), colors="#bbbbbb", linewidths=0.8)
for name, path in paths.items():
    plt.plot(*path.T, marker="o", markersize=3, linewidth=1.2, label=name)
plt.plot(0, 0, "*", color="black", markersize=10)
plt.xlabel("$x_1$")
plt.ylabel("$x_2$")
plt.legend(loc="upper right")
plt.show()

# %% [markdown]
# ### Exercise 03.4
#
# Write Newton's step without the matrix: conjugate gradients on $Hp = -g$, with products $Hv$ only.


# %%
def newton(f, x):
    """The array p of the array x's shape with Hp = -g, for a convex function f of tensors."""
    ...


course.check("03.4", newton)

# %% [markdown]
# ## What to read next
#
# - Pearlmutter: *Fast exact multiplication by the Hessian*, Neural Computation 6, 1994.
# - Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: *Improved training of Wasserstein GANs*, 2017, arXiv 1704.00028.
# - Martens: *Deep learning via Hessian-free optimization*, ICML 2010.
# - In minigen: `minigen/autograd/derivatives.py` (`vjp`, `jvp`, `hvp`, `hessian`), `minigen/losses/penalties.py`.
# - [Notebook 4](04-convolution.ipynb): convolution, and its two gradients, which are convolutions.
