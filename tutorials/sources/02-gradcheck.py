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
# # 2. Checking gradients
#
# After this notebook you can
#
# - compute derivatives by finite differences, choose the step, and say how accurate they are;
# - check what a backward pass really computes, the product $J^\top v$, and say why $v$ of all ones proves nothing;
# - choose a tolerance that lets neither small gradients nor small bugs through;
# - find planted bugs with `minigen.gradcheck`, and with a checker of your own.
#
# You need [notebook 1](01-derivative.ipynb). Everything runs on the CPU in less than a minute.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minigen
from minigen import course
from minigen import functional as F

course.use_style()

# %% [markdown]
# ## A derivative without a derivative
#
# A gradient with a bug is a quiet thing. The program runs, the loss falls, only more slowly and to a worse place. So
# gradients are held against something that knows nothing of derivatives: differences of values,
#
# $$ D(h) = \frac{f(x + h) - f(x - h)}{2h}. $$
#
# With Taylor's series for $f(x \pm h)$ the even terms cancel:
#
# $$ D(h) = f'(x) + \frac{h^2}{6} f'''(x) + O(h^4). $$
#
# ### Exercise 02.1
#
# Write $D(h)$ as a function.


# %%
def central(f, x, h):
    """The slope of f between x - h and x + h."""
    ...


course.check("02.1", central)

# %% [markdown]
# Smaller steps are better, then? Only down to a point. A computer keeps about 16 digits ($\varepsilon \approx 2 \cdot
# 10^{-16}$ in float64, $10^{-7}$ in float32), so each value $f(x \pm h)$ is wrong by up to about $\varepsilon |f|$, and the
# division by $h$ magnifies that. The total error is about
#
# $$ \frac{h^2}{6} |f'''| + \frac{\varepsilon |f|}{h}, \qquad\text{least at}\qquad
#    h^* = \left(\frac{3 \varepsilon |f|}{|f'''|}\right)^{1/3}. $$

# %%
steps = np.logspace(-12, 0, 200)


def error(dtype, one_sided):
    """|difference - f'(x)| of f = exp at x = 1, for every step, computed in the given precision."""
    x, h = dtype(1), steps.astype(dtype)
    behind = x if one_sided else x - h
    width = (x + h) - behind  # the step that rounding really left
    with np.errstate(all="ignore"):
        return np.abs((np.exp(x + h) - np.exp(behind)) / width - np.exp(1.0))


figure, axis = plt.subplots()
for dtype, one_sided, label in (
    (np.float64, True, "one-sided, float64"),
    (np.float64, False, "central, float64"),
    (np.float32, False, "central, float32"),
):
    axis.loglog(steps, error(dtype, one_sided), label=label, linewidth=1.2)
axis.set(xlabel="step $h$", ylabel="error of the derivative", ylim=(1e-13, 10), title="$f = e^x$ at $x = 1$")
axis.grid()
axis.legend()
plt.show()

for dtype in (np.float64, np.float32):
    theory = (3 * np.finfo(dtype).eps) ** (1 / 3)
    near = np.abs(np.log(steps / theory)) < 1  # single errors are luck: take the median of many near that step
    print(
        f"{dtype.__name__}: best step in theory {theory:.1e}, median error near it {np.median(error(dtype, False)[near]):.1e}"
    )

# %% [markdown]
# Two lessons. Gradients are checked in **float64**: in float32 even the best step leaves four digits, too few to tell a
# right gradient from one with a small bug. And $h$ is *not* tiny: around $10^{-5}$, not $10^{-12}$.
#
# One can do better. The error of $D(h)$ is a series in $h^2$, so two steps together remove its first term (Richardson 1911):

# %%
true = np.exp(1.0)


def D(h):
    return (np.exp(1 + h) - np.exp(1 - h)) / (2 * h)


h = 2.0**-6
once = D(h / 4) + (D(h / 4) - D(h)) / 15  # no h² term
smaller = D(h / 16) + (D(h / 16) - D(h / 4)) / 15
twice = smaller + (smaller - once) / 255  # no h⁴ term
for name, value in (("D(h)", D(h)), ("D(h/16)", D(h / 16)), ("extrapolated once", once), ("twice", twice)):
    print(f"{name:<18} error {abs(value - true):.1e}")

# %% [markdown]
# With two extrapolations a *large* step gives a derivative near the limit of float64. `minigen.gradcheck` does this, and
# shrinks the step until two results agree (Ridders 1982); see `minigen/autograd/finite_differences.py`.
#
# ## Many inputs
#
# A gradient is one derivative for each element of $x$. Differences move one element at a time.
#
# ### Exercise 02.2
#
# Write the numeric gradient of a function from arrays to numbers.


# %%
def numeric_gradient(f, x, h):
    """The central difference of f by every element of x, as an array of x's shape."""
    ...


course.check("02.2", numeric_gradient)

# %% [markdown]
# ## Many outputs: what `backward` computes
#
# Most operations give arrays. The derivative of $m$ outputs by $n$ inputs is the Jacobian $J$, $m \times n$ numbers. A
# backward pass never forms it. It is given a *cotangent* $v$, one number for each output (what has arrived from
# the rest of the graph), and returns
#
# $$ J^\top v = \nabla_x \left( v^\top f(x) \right). $$
#
# So this is what must be checked.
#
# ### Exercise 02.3
#
# Write $J^\top v$ by differences. The right-hand side above says how.


# %%
def numeric_vjp(f, x, v, h):
    """Jᵀv, J the Jacobian at x of f, which gives an array of v's shape."""
    ...


course.check("02.3", numeric_vjp)

# %% [markdown]
# ## Why all-ones cotangents lie
#
# Many checks in use call `f(x).sum().backward()`. That is $v = (1, \dots, 1)$, always the same one. Take the softmax,
#
# $$ y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}, \qquad J^\top v = y \odot \left(v - \textstyle\sum_j v_j y_j\right). $$
#
# Its outputs sum to 1, whatever $x$ is. So the gradient of their sum is **zero**, and a backward pass that returns zero,
# or anything that vanishes for $v = 1$, passes the check. Here is one with a bug: the mean of $v$ where its $y$-weighted
# sum belongs.


# %%
def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def right_vjp(x, v):
    y = softmax(x)
    return y * (v - (v * y).sum())


def buggy_vjp(x, v):
    return softmax(x) * (v - v.mean())


def by_differences(f, x, v, h=1e-5):
    """Jᵀv, all of J: fine for a few numbers (and no solution of exercise 02.3, which may do without J)."""
    rows = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(len(x))]
    return np.array(rows) @ v


x = np.array([0.5, -1.0, 2.0, 0.0])
generator = minigen.Generator(0)
for name, v in (("all ones", np.ones(4)), ("random", generator.normal((4,), dtype=np.float64))):
    numeric = by_differences(softmax, x, v)
    print(f"v {name}")
    for label, vjp in (("right", right_vjp), ("buggy", buggy_vjp)):
        print(f"  {label}: largest difference from the numeric one {np.abs(vjp(x, v) - numeric).max():.1e}")

# %% [markdown]
# The buggy one is perfect for ones, and wrong for a random $v$. It is no rare case. Whatever keeps a sum fixed hides behind
# ones (softmax, everything that is normalized), and so does an operation that forgets to multiply by $v$.
#
# Seen geometrically: one $v$ tests one direction of $m$. A random $v$ misses a wrong Jacobian with probability zero, but a
# fixed one can be exactly perpendicular to the error. Here is the error $\|(J_{buggy} - J)^\top v\|$ as $v$ turns from ones
# towards a random direction. (One direction hardly sees the bug either: so several are drawn.)

# %%
directions = generator.normal((5, 4), dtype=np.float64)
angles = np.linspace(0, np.pi / 2, 60)
figure, axis = plt.subplots(figsize=(7, 2.8))
for d in directions:
    d = d - d.mean()
    d *= 2 / np.linalg.norm(d)  # as long as the vector of four ones, and perpendicular to it
    turned = [np.cos(a) * np.ones(4) + np.sin(a) * d for a in angles]
    errors = [np.linalg.norm(buggy_vjp(x, v) - right_vjp(x, v)) for v in turned]
    axis.plot(np.degrees(angles), errors)
axis.set(xlabel="angle between $v$ and the vector of ones, degrees", ylabel="error of $J^T v$", ylim=(0, None))
axis.set_title("five ways to turn away from the ones", fontsize=10)
axis.grid()
plt.show()

# %% [markdown]
# ## How close is close enough?
#
# `np.allclose(a, b)` allows $10^{-8} + 10^{-5} |b|$. The first part, an *absolute* tolerance, is a way out for every
# gradient that is small by nature: mean losses over many pixels, early layers, tiny weights. This one is wrong by a factor
# of two, and passes:

# %%
tiny, wrong = 1e-9 * np.ones(3), 2e-9 * np.ones(3)
print("np.allclose:", np.allclose(tiny, wrong))
print("relative difference:", np.abs(tiny - wrong).max() / max(np.abs(tiny).max(), np.abs(wrong).max()))

# %% [markdown]
# Compare relative to the size of the gradient, and where a difference cannot be that accurate, know why: gradcheck
# *measures* by how much rounding moves the function.
#
# And there are points without a derivative. At the kink of $\max(x, 0)$ the central difference gives ½, which is
# neither the slope on the left nor the one on the right:

# %%
print("ReLU at 0, central difference:", (max(1e-5, 0) - max(-1e-5, 0)) / 2e-5)
kink = minigen.tensor([0.0], dtype="float64", requires_grad=True)
F.relu(kink).sum().backward()
print("minigen's choice there:", kink.grad.item(), "(PyTorch's too)")

# %% [markdown]
# That disagreement is no bug. A checker must notice the kink, and look beside it.
#
# ## The library's checker
#
# `minigen.gradcheck(function, inputs)` does all of this: float64 only, random cotangents, every entry of a small Jacobian
# and random directions through a large one, extrapolated differences, kinks told from smooth points, no absolute tolerance,
# inputs in several memory layouts. Then it checks the *second* derivatives in the same way: the backward pass is itself
# a function, of $x$ and of $v$.

# %%
inputs = minigen.randn(3, 4, generator=minigen.Generator(1), dtype="float64").requires_grad_()
report = minigen.gradcheck(lambda x: F.softmax(x, 1), inputs)
for order in report.errors:
    print(f"order {order}: worst relative error {report.worst(order):.1e}")


# %%
class BuggySoftmax(minigen.Function):
    """Softmax with the bug from above."""

    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        self.save_for_backward(y)
        return y

    def backward(self, g):
        (y,) = self.saved_tensors
        return y * (g - F.mean(g, -1, keepdim=True))


BuggySoftmax.apply(inputs).sum().backward()
print(f"for ones: largest gradient {np.abs(inputs.grad.numpy()).max():.1e}, as it should be")
try:
    minigen.gradcheck(BuggySoftmax.apply, inputs)
except minigen.errors.GradcheckError as error:
    print(error)

# %% [markdown]
# ### Exercise 02.4
#
# Seven operations, A to G; five have a bug. Find out which, and of what kind:
#
# | answer | meaning |
# |---|---|
# | `"right"` | first and second derivatives are right |
# | `"sign"` | the gradient has the wrong sign |
# | `"factor"` | the gradient is wrong by a constant factor |
# | `"only for ones"` | right for cotangents of all ones, wrong for others |
# | `"broadcasting"` | wrong for an input that was broadcast |
# | `"second order"` | the gradient is right, but its derivative is not |
#
# `planted.OPERATIONS["A"]` is a function of the tensors `planted.example("A")`. Use whatever this notebook has: gradcheck,
# or `minigen.vjp(function, inputs, v)` and your `numeric_vjp`. (The names are in `minigen/course/planted.py`, and so
# are the bugs: do not look.)

# %%
from minigen.course import planted

for letter, operation in planted.OPERATIONS.items():
    tensors = planted.example(letter)
    shapes = " and ".join(str(t.shape) for t in tensors)
    print(f"{letter}: {shapes} → {operation(*tensors).shape}")

# %%
answers = {"A": ..., "B": ..., "C": ..., "D": ..., "E": ..., "F": ..., "G": ...}

course.check("02.4", answers)

# %% [markdown]
# ### Exercise 02.5
#
# Write the core of a checker. It is given a function of arrays and a claim, `vjp(x, v)`, and says whether the claim is
# true at `x`. It is tried with right and wrong claims, among them the traps of this notebook.


# %%
def agrees(f, vjp, x):
    """True when vjp(x, v) is Jᵀv for every v, else False."""
    ...


course.check("02.5", agrees)

# %% [markdown]
# ## What to read next
#
# - Ridders: *Accurate computation of F'(x) and F'(x)F''(x)*, Advances in Engineering Software 4, 1982.
# - Nocedal, Wright: *Numerical Optimization*, 2nd edition, 2006, section 8.1: finite differences and their errors.
# - In minigen: `minigen/autograd/gradcheck.py`, and `tests/autograd/test_gradcheck.py`, where planted bugs prove it.
# - `minigen gradcheck` on the command line checks every operation of the library.
# - [Notebook 3](03-second-derivatives.ipynb): derivatives of derivatives.
