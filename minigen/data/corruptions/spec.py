"""Corruptions by name: `KIND:parameter=value,…`, several joined by `+`, a range `low-high` drawn anew for each image."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigen.data.corruptions import blur, missing, noise
from minigen.errors import ShapeError, UserError, unknown_name
from minigen.random import Generator

Range = tuple[float, float]
_NUMBER = r"\d+\.?\d*(?:[eE]-?\d+)?|\.\d+(?:[eE]-?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})(?:-({_NUMBER}))?")


@dataclass(frozen=True)
class Parameter:
    """A number that a kind takes: its default (low, high), the least and the most it may be, and whether it is whole."""

    default: Range
    least: float
    most: float = math.inf
    whole: bool = False


@dataclass(frozen=True)
class Kind:
    """One way to spoil images: `apply(images, generator, **values)`, values (N,) of each parameter.

    What it returns is the spoilt images, or, where `masks`, the mask of known pixels (N, 1, H, W).
    """

    apply: Callable[..., np.ndarray]
    parameters: dict[str, Parameter]
    masks: bool = False


KINDS: dict[str, Kind] = {
    "noise": Kind(noise.gaussian_noise, {"sigma": Parameter((25, 25), 0)}),
    "salt-pepper": Kind(noise.salt_pepper, {"amount": Parameter((0.1, 0.1), 0, 1)}),
    "poisson": Kind(noise.poisson_noise, {"peak": Parameter((30, 30), 1e-3, 1e9)}),
    "gaussian-blur": Kind(blur.gaussian_blur, {"sigma": Parameter((1.5, 1.5), 0, 100)}),
    "motion-blur": Kind(
        blur.motion_blur,
        {"length": Parameter((9, 9), 1, 199, whole=True), "angle": Parameter((0, 180), 0, 360)},
    ),
    "block": Kind(
        missing.missing_blocks,
        {"size": Parameter((16, 16), 1, whole=True), "count": Parameter((1, 1), 0, 10_000, whole=True)},
        masks=True,
    ),
    "random-mask": Kind(missing.missing_pixels, {"share": Parameter((0.5, 0.5), 0, 1)}, masks=True),
    "scratches": Kind(
        missing.scratches,
        {"count": Parameter((5, 5), 0, 10_000, whole=True), "width": Parameter((2, 2), 0)},
        masks=True,
    ),
}
_BLURS = ("gaussian-blur", "motion-blur")  # these also take noise=σ, short for +noise:sigma=σ


@dataclass(frozen=True)
class Step:
    """A kind with the range of each of its parameters."""

    kind: str
    ranges: dict[str, Range]

    def draw(self, n: int, generator: Generator) -> dict[str, np.ndarray]:
        """A value of each parameter for each of n images; where the range is one number, nothing is drawn."""
        values = {}
        for name, (low, high) in self.ranges.items():
            if low == high:
                values[name] = np.full(n, low)
            elif KINDS[self.kind].parameters[name].whole:
                values[name] = generator.integers(int(low), int(high) + 1, (n,)).astype(np.float64)
            else:
                values[name] = generator.uniform((n,), low, high, dtype=np.float64)
        return values

    def __str__(self) -> str:
        words = [f"{name}={low:g}" + (f"-{high:g}" if high > low else "") for name, (low, high) in self.ranges.items()]
        return f"{self.kind}:{','.join(words)}"


class Corruption:
    """x̃ ~ C(x̃|x): what spoils images, one step after another.

    Attributes:
        steps: what is done, in order.
        kinds: the names of the steps' kinds.
        has_mask: whether parts go missing, so that a mask says where.
        only_hides: whether that is all it does, so that every known pixel is as it was.

    >>> corruption = make_corruption("noise:sigma=10-50+block:size=4,count=2")
    >>> images = np.full((3, 1, 8, 8), 0.5, np.float32)
    >>> damaged, mask = corruption(images, Generator(0))
    >>> damaged.shape, mask.shape, bool((damaged[mask == 0] == 0).all())
    ((3, 1, 8, 8), (3, 1, 8, 8), True)
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.kinds = [step.kind for step in steps]
        self.has_mask = any(KINDS[step.kind].masks for step in steps)
        self.only_hides = all(KINDS[step.kind].masks for step in steps)

    def __call__(self, images: np.ndarray, generator: Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Spoil a batch, each image by draws of its own.

        Args:
            images: (N, C, H, W) from 0 to 1, of any size; they stay as they are.
            generator: where every draw comes from.

        Returns:
            damaged: (N, C, H, W) float32; noise may carry it below 0 and above 1; missing pixels are 0
            mask: (N, 1, H, W) float32, 1 where a pixel is known; None where nothing can be missing

        Raises:
            ShapeError: not (N, C, H, W).
        """
        if images.ndim != 4:
            raise ShapeError(f"A corruption takes images (N, C, H, W), not an array of shape {images.shape}.")
        damaged = images.astype(np.float32)
        n, _, h, w = images.shape
        mask = np.ones((n, 1, h, w), np.float32) if self.has_mask else None
        for step in self.steps:
            kind = KINDS[step.kind]
            made = kind.apply(damaged, generator, **step.draw(n, generator))
            if kind.masks and mask is not None:
                mask *= made
            else:
                damaged = made
        return (damaged if mask is None else damaged * mask), mask

    def check_size(self, height: int, width: int) -> None:
        """Refuse blocks that hide images of `height` by `width` pixels altogether.

        Raises:
            UserError: with the largest block that leaves something.
        """
        for step in self.steps:
            if step.kind == "block" and step.ranges["size"][0] >= max(height, width):
                raise UserError(
                    f"The corruption {step} hides all of an image of {height}×{width} pixels; give a size of at most "
                    f"{max(1, max(height, width) - 1)}."
                )

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))

    def __repr__(self) -> str:
        return f"make_corruption({str(self)!r})"


def make_corruption(spec: str) -> Corruption:
    """The corruption that a specification describes.

    Args:
        spec: ``KIND`` or ``KIND:parameter=value,…``, with kinds and parameters as in `KINDS`; a value is a number or
            a range ``low-high``, from which each image draws its own; ``+`` joins several, done from left to right.
            The blurs also take ``noise=σ``, which is short for ``+noise:sigma=σ`` after them.

    Raises:
        UserError: a kind or parameter that there is not, or a value that cannot be.

    >>> str(make_corruption("gaussian-blur:sigma=1.5,noise=5"))
    'gaussian-blur:sigma=1.5+noise:sigma=5'
    >>> make_corruption("noise:strength=3")
    Traceback (most recent call last):
    minigen.errors.UserError: The corruption 'noise' has no parameter 'strength'; it takes sigma.
    """
    if not isinstance(spec, str) or not spec.strip():
        raise UserError(f"A corruption is written KIND:parameter=value, not {spec!r}; there are {known_kinds()}.")
    return Corruption([step for part in spec.split("+") for step in _steps(part.strip())])


def known_kinds() -> str:
    """All kinds with their parameters, in a line.

    >>> "noise" in known_kinds()
    True
    """
    words = []
    for name, kind in KINDS.items():
        parameters = [*kind.parameters, *(["noise"] if name in _BLURS else [])]
        words.append(f"{name}:{','.join(parameters)}")
    return "; ".join(words)


def _steps(part: str) -> list[Step]:
    """The step that one part between two `+` describes, and the noise that a blur may bring along."""
    name, _, rest = part.partition(":")
    if name not in KINDS:
        raise unknown_name("corruption", name, KINDS)
    parameters = dict(KINDS[name].parameters)
    ranges = {parameter: kept.default for parameter, kept in parameters.items()}
    if name in _BLURS:
        parameters["noise"] = KINDS["noise"].parameters["sigma"]
    for setting in rest.split(",") if rest else []:
        parameter, equals, value = setting.partition("=")
        if parameter not in parameters:
            raise UserError(
                f"The corruption {name!r} has no parameter {parameter!r}; it takes {', '.join(parameters)}."
            )
        if not equals:
            raise UserError(f"In the corruption {part!r}, {parameter!r} has no value: write {parameter}=NUMBER.")
        ranges[parameter] = _range(name, parameter, value, parameters[parameter])
    extra = ranges.pop("noise", None)
    return [Step(name, ranges)] + ([] if extra is None else [Step("noise", {"sigma": extra})])


def _range(kind: str, name: str, value: str, parameter: Parameter) -> Range:
    match = _RANGE.fullmatch(value.strip())
    low = float(match[1]) if match else math.nan
    high = low if match is None or match[2] is None else float(match[2])
    whole = not parameter.whole or (low % 1 == 0 and high % 1 == 0)
    if not (match and whole and parameter.least <= low <= high <= parameter.most and high < math.inf):
        what = "a whole number" if parameter.whole else "a number"
        upper = f" to {parameter.most:g}" if parameter.most < math.inf else " up"
        raise UserError(
            f"The {name} of the corruption {kind!r} must be {what} from {parameter.least:g}{upper}, or a range "
            f"low-high, not {value!r}."
        )
    return low, high
