"""The checkerboard: a pattern that transposed convolutions draw of themselves, half a cure, and a whole one.

With a kernel of 3 and stride 2 every second pixel of the output is reached by two input pixels and the others by one, in
each direction: sums of 1, 2 and 4 terms lie side by side (Odena, Dumoulin & Olah 2016, distill.pub, "Deconvolution and
checkerboard artifacts"). A network has to learn to undo that, and does so only as far as it is made to. A kernel whose
size is a multiple of the stride reaches every pixel as often as the others; but neighbours are still sums with weights
of their own, so that before training, and a little after, it draws the pattern too. An image that is enlarged first and
convolved then has the same weights everywhere.

What is measured is the share of an image's variance at the frequency of the checkerboard, period 2 along either side.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.demos.deep_classifier import seeded
from minigen.losses.reconstruction import squared_error
from minigen.nn import init
from minigen.optim import Adam
from minigen.random import Generator
from minigen.tensor import Tensor

NAME = "checkerboard"
DESCRIPTION = "transposed convolutions that draw a checkerboard, and a way of doubling an image that does not"

STEPS = 200
BATCH, WIDTH, SMALL = 32, 16, 4
SIDE = 8 * SMALL
EDGE = 4  # pixels at each border that are not looked at: padding shows there
SHOWN = 4


def doubling_by_3(n_in: int, n_out: int) -> nn.Module:
    """A transposed convolution with a kernel of 3 and stride 2: the uneven one."""
    return nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)


def doubling_by_4(n_in: int, n_out: int) -> nn.Module:
    """A transposed convolution whose kernel is a multiple of the stride."""
    return nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)


def enlarging(n_in: int, n_out: int) -> nn.Module:
    """Every pixel four times, and then a convolution."""
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(n_in, n_out, 3, padding=1))


DOUBLINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "transposed, kernel 3, stride 2": doubling_by_3,
    "transposed, kernel 4, stride 2": doubling_by_4,
    "enlarged, then a convolution of 3": enlarging,
}


class Trial(NamedTuple):
    """What one way of doubling does."""

    overlap: np.ndarray  # (SIDE, SIDE): how many terms a pixel sums over, for one doubling
    untrained: np.ndarray  # (SHOWN, 1, SIDE, SIDE), from random weights
    trained: np.ndarray  # the same codes after training
    before: float  # share of the variance at the checkerboard's frequency
    after: float
    error: float  # mean of ‖x - x̂‖² over the targets, after training


def compare(steps: int = STEPS, seed: int = 0) -> dict[str, Trial]:
    """Train a decoder with each way of doubling to draw smooth images."""
    return {name: trial(doubling, steps, seed) for name, doubling in DOUBLINGS.items()}


def trial(doubling: Callable[[int, int], nn.Module], steps: int, seed: int) -> Trial:
    """Look at a decoder of three doublings before and after training."""
    with seeded(seed):
        decoder = nn.Sequential(
            nn.Linear(3, WIDTH * SMALL**2),
            nn.ReLU(),
            nn.Unflatten(1, (WIDTH, SMALL, SMALL)),
            doubling(WIDTH, WIDTH),
            nn.ReLU(),
            doubling(WIDTH, WIDTH),
            nn.ReLU(),
            doubling(WIDTH, 1),
        )
    held_out, targets = smooth_images(64, Generator(seed).spawn(1))
    untrained = _draw(decoder, held_out)
    adam, draws = Adam(decoder.parameters(), lr=3e-3), Generator(seed)
    for _ in range(steps):
        codes, images = smooth_images(BATCH, draws)
        loss = squared_error(decoder(Tensor(codes)), Tensor(images))
        adam.zero_grad()
        loss.backward()
        adam.step()
    trained = _draw(decoder, held_out)
    error = float(((trained - targets) ** 2).sum()) / len(targets)
    before, after = checkerboard_share(untrained), checkerboard_share(trained)
    return Trial(overlap(doubling), untrained[:SHOWN], trained[:SHOWN], before, after, error)


def smooth_images(n: int, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    """n round hills on black, and their codes: the place of the top and the width, all from -1 to 1."""
    codes = generator.uniform((n, 3), -1, 1)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) * (2 / (SIDE - 1)) - 1
    top_y, top_x, wide = (codes[:, i].reshape(-1, 1, 1, 1) for i in range(3))
    return codes, np.exp(-((y - 0.6 * top_y) ** 2 + (x - 0.6 * top_x) ** 2) / (0.12 + 0.06 * wide))


def overlap(doubling: Callable[[int, int], nn.Module]) -> np.ndarray:
    """How many weights meet in each pixel of a doubled image: the doubling of ones by ones, (SIDE, SIDE)."""
    with seeded(0):
        layer = doubling(1, 1)
    for name, parameter in layer.named_parameters():
        (init.zeros_ if name.endswith("bias") else init.ones_)(parameter)
    return layer(Tensor(np.ones((1, 1, SIDE // 2, SIDE // 2), np.float32))).detach().numpy()[0, 0]


def checkerboard_share(images: np.ndarray) -> float:
    """The share of the variance within images (n, 1, H, W) at period 2 along either side, away from the border.

    Under a Hann window, which keeps what differs between opposite borders from passing for detail.

    >>> board, slope = np.indices((24, 24)).sum(axis=0) % 2, np.indices((24, 24))[0]
    >>> [round(checkerboard_share(image[None, None]), 4) for image in (board, slope)]
    [1.0, 0.0]
    """
    middle = images[:, 0, EDGE:-EDGE, EDGE:-EDGE].astype(np.float64)
    h, w = middle.shape[1:]
    window = np.outer(np.hanning(h + 2)[1:-1], np.hanning(w + 2)[1:-1])
    mean = (middle * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    power = np.abs(np.fft.fft2((middle - mean) * window)) ** 2
    rows, columns = (abs(np.arange(n) - n // 2) <= 1 for n in (h, w))  # the window spreads a frequency over three
    return float(power[:, rows[:, None] | columns].sum() / power.sum())


def run(out: Path, quiet: bool = False, steps: int = STEPS) -> Path:
    """Train the decoders, and draw what they do.

    Args:
        out: the picture (.png)
        quiet: say nothing on the way
        steps: of training

    Returns:
        `out`
    """
    if not quiet:
        print(f"Three decoders of {steps} steps each: some seconds.", flush=True)
    save_trials(out, compare(steps))
    return out


def save_trials(path: Path, trials: dict[str, Trial]) -> None:
    """Write the picture: a column for each way, with the overlap, an untrained and trained images."""
    from minigen.viz.figure import new_figure, save_figure

    figure = new_figure(12, 13)
    failure, *_, cure = trials.values()
    figure.suptitle(
        f"share of the variance that is checkerboard, kernel 3 and stride 2: {failure.before:.1%} untrained, "
        f"{failure.after:.2%} trained; enlarged and convolved: {cure.before:.1%}, {cure.after:.2%}"
    )
    axes = figure.subplots(4, len(trials))
    for column, (name, one) in zip(axes.T, trials.items()):
        top, untrained, trained, sharpened = column
        counts = one.overlap[EDGE:-EDGE, EDGE:-EDGE]
        top.imshow(one.overlap[:12, :12], cmap="viridis", vmin=0, vmax=9)
        for (y, x), count in np.ndenumerate(one.overlap[:12, :12]):
            top.text(x, y, f"{count:.0f}", ha="center", va="center", color="white", fontsize=7)
        uneven = (
            f"from {counts.min():.0f} to {counts.max():.0f}"
            if counts.min() < counts.max()
            else f"all {counts.min():.0f}"
        )
        top.set_title(f"{name}\nterms in each pixel: {uneven}", fontsize=10)
        untrained.imshow(one.untrained[0, 0], cmap="gray")
        untrained.set_title(f"untrained: {one.before:.1%} checkerboard", fontsize=10)
        trained.imshow(one.trained[0, 0], cmap="gray")
        trained.set_title(f"trained: {one.after:.2%}, squared error {one.error:.2f}", fontsize=10)
        image = one.trained[0, 0]
        fine = image - (np.roll(image, 1, 0) + np.roll(image, -1, 0) + np.roll(image, 1, 1) + np.roll(image, -1, 1)) / 4
        sharpened.imshow(fine[EDGE:-EDGE, EDGE:-EDGE], cmap="gray", vmin=-0.05, vmax=0.05)
        sharpened.set_title("the same, what differs from the four pixels beside it", fontsize=10)
    for axis in axes.ravel():
        axis.set_axis_off()
    save_figure(path, figure)


@no_grad()
def _draw(decoder: nn.Module, codes: np.ndarray) -> np.ndarray:
    return decoder(Tensor(codes)).numpy()
