"""Cases that the command line names, to be measured in place of the listed ones: they have no goal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from minigen.bench.convolution import Kernel
from minigen.bench.cpu.cases import Case
from minigen.bench.steps import MODELS
from minigen.errors import UserError, unknown_name
from minigen.training.options import positive_integer

KERNEL, STEP = "N,C,O,SIZE,WINDOW", "MODEL,BATCH,SHAPE"  # as the help calls them
WITHOUT_FORMAT = ("dense-autoencoder", "gan2d")  # models without convolutions, to which memory formats mean nothing
MULTIPLES = {"dense-autoencoder": 1, "restoration-gan": 8}  # what sides must be multiples of; 4 for the other models


def kernel_given(text: str) -> Kernel:
    """A convolution from N,C,O,SIZE,WINDOW, and STRIDE and GROUPS where they are not 1.

    >>> print(kernel_given("100,16,32,28,3,2"))
    100, 16→32, 28×28, 3×3 s2
    """
    numbers = _integers(text.split(","))
    if not 5 <= len(numbers) <= 7:
        raise argparse.ArgumentTypeError(
            f"must be {KERNEL} and, if wanted, STRIDE and GROUPS, each an integer of at least 1, such as 16,64,3,64,3 or "
            f"100,16,32,28,3,2, not {text!r}"
        )
    kernel = Kernel(*numbers)
    if kernel.in_channels % kernel.groups or kernel.out_channels % kernel.groups:
        raise argparse.ArgumentTypeError(
            f"{text!r} has {kernel.groups} groups, which must divide both {kernel.in_channels} and "
            f"{kernel.out_channels} channels; give a number that does, or none"
        )
    if kernel.padding < 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} has a window of {kernel.window} with a stride of {kernel.stride}; give an odd window, or one at least "
            "as wide as the stride"
        )
    if kernel.out_size < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} has a window of {kernel.window}, which does not fit on images of {kernel.size}×{kernel.size}; give "
            "larger images or an odd window"
        )
    return kernel


def step_given(text: str) -> Case:
    """A training step from MODEL,BATCH,SHAPE, where SHAPE is that of one sample: C,H,W, for gan2d one number.

    >>> step_given("gan2d,100,2")
    Case(part='steps', name='gan2d 2, batch 100', task={'model': 'gan2d', 'batch': 100, 'shape': [2]}, images=False, goal=None)
    """
    model, *rest = text.split(",")
    if model not in MODELS:
        raise unknown_name("model of --steps", model, MODELS)
    axes, example = (1, "gan2d,100,2") if model == "gan2d" else (3, f"{model},64,1,32,32")
    batch, *shape = _integers(rest) or [0]
    if len(shape) != axes:
        what = "how many numbers a point has" if model == "gan2d" else "the C,H,W of an image"
        raise argparse.ArgumentTypeError(
            f"must be {model}, the batch and {what}, each number an integer of at least 1, such as {example}, not {text!r}"
        )
    multiple = MULTIPLES.get(model, 4)
    if any(side % multiple for side in shape[1:]):
        larger = [-(-side // multiple) * multiple for side in shape[1:]]
        raise argparse.ArgumentTypeError(
            f"{text!r} has a height or width that is no multiple of {multiple}, and on such images PyTorch's {model} is not "
            f"the same network as ours; give {shape[0]},{larger[0]},{larger[1]}, for example"
        )
    name = f"{model} {'×'.join(map(str, shape))}, batch {batch}"
    return Case("steps", name, {"model": model, "batch": batch, "shape": shape}, images=model not in WITHOUT_FORMAT)


def text_of(given: Kernel | Case) -> str:
    """What the command line says for it.

    >>> text_of(kernel_given("16,64,3,64,3")), text_of(step_given("gan2d,100,2"))
    ('16,64,3,64,3,1,1', 'gan2d,100,2')
    """
    if isinstance(given, Kernel):
        return ",".join(map(str, given))
    return ",".join(map(str, [given.task["model"], given.task["batch"], *given.task["shape"]]))


def refuse_twins(option: str, given: Sequence[Kernel | Case]) -> None:
    """Refuse what is named twice: names tell measurements apart.

    Args:
        option: of the command line, for the sentence.
        given: what it names.

    Raises:
        UserError: with the option and what it names twice.
    """
    texts = [text_of(one) for one in given]
    for text in texts:
        if texts.count(text) > 1:
            raise UserError(f"{option} names {text} twice; name it once.")


def _integers(parts: Sequence[str]) -> list[int]:
    """The integers that the parts are; none at all where one is not an integer of at least 1."""
    try:
        return [positive_integer(part) for part in parts]
    except argparse.ArgumentTypeError:
        return []
