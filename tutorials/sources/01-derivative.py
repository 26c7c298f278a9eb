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
# # 1. One derivative, a graph, an engine
#
# After this notebook you can
#
# - differentiate a composed function by hand, backwards, and check the result with numbers;
# - draw the computation graph of a formula and say what flows along its edges;
# - write an automatic differentiation engine yourself, in fewer than a hundred lines, and train a network with it;
# - find each of its parts again in minigen, and add an operation to minigen.
#
# You need Python, NumPy and the chain rule. Everything runs on the CPU in less than a minute.

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import course, viz
from minigen import functional as F
from minigen.data.curves import moons

course.use_style()

# %% [markdown]
# ## One derivative by hand
#
# Take $f(x) = e^{\sin(x^2)}$. No table lists its derivative, but $f$ is three simple steps, one after another, and each
# of them has a derivative that everybody knows:
#
# $$ u = x^2, \qquad v = \sin u, \qquad f = e^v, \qquad\qquad
#    \frac{du}{dx} = 2x, \qquad \frac{dv}{du} = \cos u, \qquad \frac{df}{dv} = e^v. $$
#
# The chain rule multiplies them: $f'(x) = e^v \cdot \cos u \cdot 2x$. Let us do it for one number, going forward to get
# the values and backward to get the derivatives. A bar marks "the derivative of the result with respect to": $\bar v$ is
# $df/dv$. It starts at the end, with $\bar f = 1$.

# %%
x = 1.2

u = x**2  # forward
v = math.sin(u)
f = math.exp(v)

f_bar = 1.0  # backward
v_bar = f_bar * math.exp(v)
u_bar = v_bar * math.cos(u)
x_bar = u_bar * 2 * x

print(f"f({x}) = {f:.6f}, f'({x}) = {x_bar:.6f}")

# %% [markdown]
# Is it right? The derivative is a limit of slopes, so a slope over a small step must be close to it. (How small, and what
# else can go wrong, is [notebook 2](02-gradcheck.ipynb).)


# %%
def example(x):
    return np.exp(np.sin(x**2))


h = 1e-5
slope_of_chord = (example(x + h) - example(x - h)) / (2 * h)
print(f"slope between {x} - h and {x} + h: {slope_of_chord:.6f}, difference {abs(slope_of_chord - x_bar):.1e}")

# %%
t = np.linspace(-0.5, 2.5, 400)
plt.plot(t, example(t), label="$f(x) = e^{\\sin(x^2)}$")
plt.plot(t, np.exp(np.sin(t**2)) * np.cos(t**2) * 2 * t, label="$f'(x)$, by the chain rule")
near = np.linspace(x - 0.35, x + 0.35, 2)
plt.plot(near, f + x_bar * (near - x), color="black", linewidth=2, label=f"the tangent at {x}, of slope {x_bar:.2f}")
plt.plot([x], [f], "o", color="black")
plt.grid()
plt.legend()
plt.xlabel("$x$")
plt.show()

# %% [markdown]
# ### Exercise 01.1
#
# Write the derivative of $\sin(x^2)$. `check` judges it at once; `course.hint("01.1")` gives a hint.


# %%
def slope(x):
    """The derivative of sin(x²) at every number of the array x."""
    ...


course.check("01.1", slope)

# %% [markdown]
# ## A graph
#
# In a chain every value is used once. In general a value is used in several places, and then the steps form a graph. Take
#
# $$ z = (x y + x)^2, \qquad\text{in steps}\qquad a = x y, \quad b = a + x, \quad z = b^2 . $$
#
# Here $x$ goes into $a$ *and* into $b$. A small change of $x$ moves $z$ along both ways, and to first order the two effects
# add up. So the rule for going backward is:
#
# 1. start with $\bar z = 1$;
# 2. take the values in an order in which each comes after everything that uses it;
# 3. multiply what has arrived by the local derivative, and **add** it to the bar of each input.
#
# This is *reverse-mode automatic differentiation* (Linnainmaa 1970; a survey is Baydin et al. 2018, arXiv 1502.05767). One
# pass backward gives the derivatives with respect to *all* inputs, at the cost of a few passes forward, however many
# inputs there are. That is why networks with millions of weights can be trained at all.

# %%
x, y = 3.0, 4.0

a = x * y  # forward
b = a + x
z = b**2

z_bar = 1.0  # backward
b_bar = z_bar * 2 * b
a_bar = b_bar * 1.0  # through b = a + x
x_bar = b_bar * 1.0  # the same step, the other input
x_bar += a_bar * y  # through a = x·y: the second path, added
y_bar = a_bar * x

print(f"z = {z}, dz/dx = {x_bar}, dz/dy = {y_bar}")

# %% [markdown]
# minigen keeps this graph while it computes, until a backward pass has used it (`retain_graph=True` keeps it longer). Here it
# is, drawn by `minigen.viz.graph`, with the size of the gradient that arrives at each value.

# %%
X = minigen.tensor(x, requires_grad=True)
Y = minigen.tensor(y, requires_grad=True)
A = (X * Y).retain_grad()  # leaves keep their gradient, other values only when asked to
B = (A + X).retain_grad()
Z = B**2
Z.backward(retain_graph=True)
print(f"minigen: dz/da = {A.grad.item()}, dz/db = {B.grad.item()}, dz/dx = {X.grad.item()}, dz/dy = {Y.grad.item()}")
viz.graph(Z, names={"x": X, "y": Y, "a": A, "b": B, "z": Z})

# %% [markdown]
# ### Exercise 01.2
#
# Do the same for any $x$ and $y$.


# %%
def gradient(x, y):
    """∂z/∂x and ∂z/∂y for z = (x·y + x)²."""
    ...


course.check("01.2", gradient)

# %% [markdown]
# ## The engine
#
# A program can keep the books for us. Each `Value` is a number that remembers which values it was made from, and the local
# derivative for each. The operations only fill in these two things; `backward` is the rule above, and knows no operation.


# %%
def order(last):
    """Every value that `last` was made from, and `last` itself, each after all that use it (by recursion)."""
    done, seen = [], set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for parent in node.parents:
                visit(parent)
            done.append(node)  # everything it was made from is in the list already

    visit(last)
    return done[::-1]


class Value:
    """A number that remembers how it was made."""

    def __init__(self, data, made_from=()):
        self.data = float(data)
        self.made_from = list(made_from)  # pairs: a Value, and the derivative of this one with respect to it
        self.grad = 0.0  # the bar: the derivative of the result with respect to this one

    @property
    def parents(self):
        return [parent for parent, _ in self.made_from]

    def backward(self):
        self.grad = 1.0
        for node in order(self):
            for parent, local in node.made_from:
                parent.grad += node.grad * local

    # the operations: a value, and the local derivatives

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    def __pow__(self, n):
        return Value(self.data**n, [(self, n * self.data ** (n - 1))])

    def exp(self):
        e = math.exp(self.data)
        return Value(e, [(self, e)])

    def log(self):
        return Value(math.log(self.data), [(self, 1 / self.data)])

    def tanh(self):
        t = math.tanh(self.data)
        return Value(t, [(self, 1 - t * t)])

    # what can be said by the operations above

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -as_value(other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other):
        return -self + other

    def __repr__(self):
        return f"Value({self.data:.4g}, grad={self.grad:.4g})"


def as_value(x):
    return x if isinstance(x, Value) else Value(x)


# %% [markdown]
# That is all. The same $z$ as before:

# %%
x, y = Value(3.0), Value(4.0)
z = (x * y + x) ** 2
z.backward()
x, y, z

# %% [markdown]
# ### Exercise 01.3
#
# The engine cannot divide yet: `x / y` raises an error. Teach it.


# %%
def divide(self, other):
    """self / other as a Value that remembers both, with the local derivatives."""
    ...


Value.__truediv__ = divide
course.check("01.3", Value)

# %% [markdown]
# ### A network on this engine
#
# A network is a long formula, no more. This one takes two numbers, has one layer of eight $\tanh$ units, and gives a score
# $s$. For points of two classes, $c = \pm 1$, we minimize the logistic loss $\frac1n \sum_i \ln(1 + e^{-c_i s_i})$ by going
# against the gradient.

# %%
HIDDEN = 8
generator = minigen.Generator(0)
points, labels = moons(60, generator)
points, labels = points.astype(float), np.where(labels == 1, 1.0, -1.0)

start = {  # the weights to begin with, the same for both engines
    "w1": generator.normal((2, HIDDEN), std=1.0, dtype=np.float64),
    "b1": np.zeros(HIDDEN),
    "w2": generator.normal((HIDDEN,), std=0.5, dtype=np.float64),
    "b2": np.zeros(()),
}


def score(w, point):
    """The network's output for one point, in Values."""
    s = w["b2"].item()
    for j in range(HIDDEN):
        inside = point[0] * w["w1"][0, j] + point[1] * w["w1"][1, j] + w["b1"][j]
        s = s + inside.tanh() * w["w2"][j]
    return s


def loss_in_values(w, points, labels):
    total = Value(0.0)
    for point, label in zip(points, labels):
        total = total + (1 + (-label * score(w, point)).exp()).log()
    return total * (1 / len(points))


def values_of(arrays):
    """Arrays of numbers → arrays of Values."""
    return {name: np.vectorize(Value, otypes=[object])(array) for name, array in arrays.items()}


weights = values_of(start)
loss = loss_in_values(weights, points, labels)
loss.backward()
print(f"loss {loss.data:.6f}, made of {len(order(loss))} Values")
print("its gradient by the first row of w1:", np.array([v.grad for v in weights["w1"][0]]).round(4))

# %% [markdown]
# Gradient descent: compute, go backward, take a step, again.

# %%
steps, rate = course.short(300, 5), 1.0
current = {name: array.copy() for name, array in start.items()}
losses = []
for _ in range(steps):
    weights = values_of(current)
    loss = loss_in_values(weights, points, labels)
    loss.backward()
    losses.append(loss.data)
    for name, values in weights.items():
        current[name] = current[name] - rate * np.vectorize(lambda v: v.grad, otypes=[float])(values)

print(f"loss: {losses[0]:.4f} at first, {losses[-1]:.4f} after {steps} steps")

# %%
side = np.linspace(-1.6, 2.6, course.short(50, 10))
trained = values_of(current)
surface = [[score(trained, (px, py)).data for px in side] for py in side - 0.25]

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
left.plot(losses)
left.set(xlabel="step", ylabel="loss", title="our engine learns")
left.grid()
picture = right.contourf(
    side, side - 0.25, np.clip(surface, -6, 6), levels=np.linspace(-6, 6, 13), cmap="RdBu_r", alpha=0.7
)
figure.colorbar(picture, label="score")
right.contour(side, side - 0.25, surface, levels=[0], colors="black")
for sign, marker in ((1, "o"), (-1, "s")):
    chosen = points[labels == sign]
    right.plot(*chosen.T, marker, color="black", markersize=4, label=f"class ${sign:+d}$")
right.set(title="the score; black line: undecided", xlabel="$x_1$", ylabel="$x_2$")
right.legend(loc="lower left")
plt.show()

# %% [markdown]
# ### A limit of our engine
#
# `order` calls itself once for each level, and Python allows about a thousand levels.

# %%
chain = Value(1.0)
for _ in range(5000):
    chain = chain + 1.0
try:
    chain.backward()
except RecursionError as error:
    print("RecursionError:", error)

# %% [markdown]
# ### Exercise 01.4
#
# Write `order` without recursion. A node may be listed only after *every* node that uses it: then all of its gradient
# has arrived. The check brings nodes of its own; all you need to know of a node is `node.parents`.


# %%
def order_without_recursion(last):
    """`last` and everything it was made from, each once, and after all that use it."""
    ...


course.check("01.4", order_without_recursion)

# %% [markdown]
# ## The same with minigen
#
# minigen is this engine with arrays in place of single numbers. An operation is a `minigen.Function`: `forward` computes on
# arrays, `backward` is given what has arrived and returns what goes on to each input. Three things are different:
#
# - a local derivative of an array by an array would be a large matrix (the Jacobian $J$), so `backward` never forms it, and
#   returns the product $J^\top g$ straight away;
# - `backward` is written with tensor operations, so that gradients have graphs too, and can be differentiated
#   ([notebook 3](03-second-derivatives.ipynb));
# - the order is found by a heap and not by recursion.
#
# The same network, the same weights:

# %%
W = {name: minigen.tensor(array, requires_grad=True) for name, array in start.items()}
P, C = minigen.tensor(points), minigen.tensor(labels)


def loss_in_minigen():
    hidden = F.tanh(P @ W["w1"] + W["b1"])  # (60, 8)
    scores = hidden @ W["w2"] + W["b2"]  # (60,)
    return F.log(1 + F.exp(-C * scores)).mean()


big = loss_in_minigen()
big.backward()

weights = values_of(start)
small = loss_in_values(weights, points, labels)
small.backward()

print(f"loss: ours {small.data:.12f}, minigen {big.item():.12f}")
for name in start:
    ours = np.vectorize(lambda v: v.grad, otypes=[float])(weights[name])
    print(f"largest difference of the gradients by {name}: {np.abs(ours - W[name].grad.numpy()).max():.1e}")

# %%
begin = time.perf_counter()
loss_in_values(values_of(start), points, labels).backward()
ours = time.perf_counter() - begin

begin = time.perf_counter()
for _ in range(20):
    loss_in_minigen().backward()
theirs = (time.perf_counter() - begin) / 20
print(f"one step: {1000 * ours:.1f} ms of Values, {1000 * theirs:.2f} ms of minigen, {ours / theirs:.0f} times faster")

# %% [markdown]
# Our engine paid for every single number with a Python object. minigen pays once for each *array*, and the loop over its
# numbers is compiled.
#
# ### Exercise 01.5
#
# Give minigen an operation: $\operatorname{softplus}(x) = \ln(1 + e^x)$. Look at `Cube` first.


# %%
class Cube(minigen.Function):
    """y = x³;  x̄ = 3x²·g."""

    def forward(self, x):
        self.save_for_backward(x)
        return x**3

    def backward(self, g):
        (x,) = self.saved_tensors
        return 3 * x * x * g


q = minigen.tensor([1.0, 2.0], requires_grad=True)
Cube.apply(q).sum().backward()
q.grad


# %%
class Softplus(minigen.Function):
    """y = ln(1 + eˣ), also for x = 800;  x̄ = ?"""

    def forward(self, x): ...

    def backward(self, g): ...


course.check("01.5", Softplus)

# %% [markdown]
# ## What to read next
#
# - Baydin, Pearlmutter, Radul, Siskind: *Automatic differentiation in machine learning: a survey*, 2018, arXiv 1502.05767.
# - Griewank, Walther: *Evaluating Derivatives*, 2nd edition, SIAM 2008: the whole field, with costs and proofs.
# - In minigen: `minigen/autograd/function.py` (a node), `engine.py` (the backward pass), then any file of
#   `minigen/functional/`.
# - [Notebook 2](02-gradcheck.ipynb): how to know that a gradient is right.
