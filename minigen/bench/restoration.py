"""`minigen bench restoration`: how well do trained networks restore held-out regions, beside methods without learning?

The regions are the held-out parts of the two photographs, in pieces of 142×128 pixels. Each is damaged from a fixed seed,
several times where few holes fall and chance has much to say, and every method is given the same damaged pieces. A
classical method is told what a network has to find out by itself: the strength of the noise, the kernel of the blur; and
its parameter is the one of a grid that turns out best on these very pieces, in the measure that the task is judged by,
which nobody could know beforehand. Restored pieces are clipped to 0 and 1. The networks for missing parts begin from the
biharmonic surface: what they add is what is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigen.data.corruptions import gaussian_kernel, make_corruption
from minigen.errors import UserError, unknown_name
from minigen.random import Generator
from minigen.restoration import classical

Method = Callable[[np.ndarray, np.ndarray | None], np.ndarray]  # a damaged piece (C, H, W) and its mask (H, W) or None


@dataclass(frozen=True)
class Task:
    """One kind of damage: what is judged, what the networks train on, and what they are judged by."""

    corruption: str
    trained_on: str
    measure: str  # 'psnr' or 'ssim'
    sigma: float = 0.0  # of the noise, on the scale of the pixels
    blur: float = 0.0  # of the Gaussian, in pixels
    draws: int = 1  # how often each piece is damaged
    options: tuple[tuple[str, Any], ...] = ()  # of the correction autoencoder, where they are not its defaults


NOISE, BLUR, BLOCKS = "noise:sigma=5-55", "gaussian-blur:sigma=1.5+noise:sigma=5", "block:size=16,count=1-4"
TASKS: dict[str, Task] = {
    "noise15": Task("noise:sigma=15", NOISE, "psnr", sigma=15 / 255),
    "noise25": Task("noise:sigma=25", NOISE, "psnr", sigma=25 / 255),
    "noise50": Task("noise:sigma=50", NOISE, "psnr", sigma=50 / 255),
    "blur": Task(BLUR, BLUR, "psnr", sigma=5 / 255, blur=1.5),
    "blocks": Task(
        "block:size=16,count=9",
        BLOCKS,
        "ssim",
        draws=6,
        options=(("regularizer", "ssim"), ("weight", 0.3), ("epochs", 6)),
    ),
}
MODELS = ("correction-ae", "restoration-gan")
ENSEMBLE = ", 8 positions"  # the mean over the turned and mirrored image
PIECE = 142  # rows of a piece; its columns are the region's 128


@dataclass
class Row:
    """What one method did: means over the pieces."""

    psnr: float
    ssim: float
    seconds: float
    parameter: float | None = None
    learnt: bool = False
    restored: list[np.ndarray] = field(default_factory=list, repr=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minigen bench restoration`."""
    from minigen.training.options import natural_number, positive_integer

    parser.add_argument(
        "--tasks", metavar="NAMES", default=",".join(TASKS), help=f"of {', '.join(TASKS)} (default: all)"
    )
    parser.add_argument(
        "--models", metavar="NAMES", default=",".join(MODELS), help=f"of {', '.join(MODELS)} (default: both)"
    )
    parser.add_argument(
        "--epochs",
        type=positive_integer,
        metavar="N",
        help="train each network for so many epochs (default: the model's own)",
    )
    parser.add_argument(
        "--seed", type=natural_number, default=0, metavar="N", help="of weights, order and damage (default: 0)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="runs/bench-restoration",
        help="where the networks, the table and the pictures go; what is trained there already is used, and goes on where it stopped (default: runs/bench-restoration)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the table there (default: DIR/restoration.json)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: argparse.Namespace) -> int:
    """Train what is not trained yet, restore, and print and write the tables."""
    from minigen.files import atomic_write

    names = _names("task", args.tasks, TASKS)
    models = _names("model", args.models, MODELS)
    out = Path(args.out)
    result: dict[str, Any] = {"seed": args.seed, "tasks": {}}
    for name in names:
        rows = run_task(name, models, out, args.epochs, args.seed, args.quiet)
        _print(name, rows)
        result["tasks"][name] = {"damage": TASKS[name].corruption, "trained_on": TASKS[name].trained_on} | {
            "methods": {
                method: {"psnr": row.psnr, "ssim": row.ssim, "seconds": row.seconds, "parameter": row.parameter}
                for method, row in rows.items()
            }
        }
        picture = out / f"{name}.png"
        _save_picture(picture, name, rows, args.seed)
    path = out / "restoration.json" if args.json is None else Path(args.json)
    atomic_write(path, json.dumps(result, indent=2).encode() + b"\n")
    print(f"The table is in {path}, a picture of each task in {out}.")
    return 0


def run_task(
    name: str, models: Sequence[str], out: Path, epochs: int | None = None, seed: int = 0, quiet: bool = True
) -> dict[str, Row]:
    """Restore the held-out pieces by every method.

    Args:
        name: a key of `TASKS`.
        models: of `MODELS`, those to compare.
        out: the folder of the trained networks.
        epochs: to train each for; its default unless given.

    Returns:
        A row for each method, the damaged pieces ('identity') first and the networks last, each alone and as the mean over
        the eight positions of an image.
    """
    task = TASKS[name]
    pieces = held_out_pieces() * task.draws
    damaged = _damage(task, pieces, seed)
    rows = {"identity": _judge(lambda image, mask: image, damaged, pieces)}
    for method, (make, grid) in _classical(task).items():
        tried = [_judge(make(value), damaged, pieces, value) for value in grid]
        rows[method] = max(tried, key=lambda row: getattr(row, task.measure))
    for model in models:
        options = dict(task.options) if model == "correction-ae" else {}
        system = trained(model, task.trained_on, out, epochs, seed, quiet, options)

        for suffix, ensemble in (("", False), (ENSEMBLE, True)):
            rows[model + suffix] = _judge(_network(system, ensemble), damaged, pieces)
            rows[model + suffix].learnt = True
    return rows


def trained(
    model: str, corruption: str, out: Path, epochs: int | None, seed: int, quiet: bool, options: dict[str, Any]
) -> Any:
    """The system of that name, trained on that damage with these options: from its folder in `out`, or into it now.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was trained is saved, and the next call goes on.
    """
    from minigen.training.run_folder import RunFolder
    from minigen.training.runs import load_system, resume_run, start_run, train_run

    kind = corruption.partition(":")[0]
    path = out / f"{model}-{kind}-{seed}"
    changes = {} if epochs is None else {"epochs": epochs}
    if not (path / "config.json").exists():
        training = start_run(
            {"model": model, "corruption": corruption, "seed": seed, **options, **changes}, path, quiet
        )
    else:
        done = len(RunFolder.open(path).records())
        wanted = RunFolder.open(path).config["epochs"] if epochs is None else epochs
        if done >= wanted:
            return load_system(path)[0]
        training = resume_run(path, changes, quiet)
    if not quiet:
        print(f"Training {model} on {corruption}:", flush=True)
    with training.run:
        if not train_run(training):
            raise KeyboardInterrupt
    return training.system


def _network(system: Any, ensemble: bool) -> Method:
    def restore(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return system.restore(image[None], None if mask is None else mask[None, None], ensemble=ensemble)[0]

    return restore


def held_out_pieces() -> list[np.ndarray]:
    """The held-out regions of the photographs in pieces of (3, 142, 128), from the top down."""
    from minigen.data.photographs import load_photographs

    regions = load_photographs("test")
    return [region[:, top : top + PIECE] for region in regions for top in range(0, region.shape[1] - PIECE + 1, PIECE)]


def _damage(task: Task, pieces: list[np.ndarray], seed: int) -> list[tuple[np.ndarray, np.ndarray | None]]:
    damaged, mask = make_corruption(task.corruption)(np.stack(pieces), Generator(seed))
    return [(image, None if mask is None else mask[i, 0]) for i, image in enumerate(damaged)]


def _judge(
    method: Method,
    damaged: list[tuple[np.ndarray, np.ndarray | None]],
    pieces: list[np.ndarray],
    parameter: float | None = None,
) -> Row:
    from minigen.metrics.restoration import psnr, ssim

    start = time.perf_counter()
    restored = [method(image, mask).clip(0, 1) for image, mask in damaged]
    seconds = (time.perf_counter() - start) / len(pieces)
    clean = np.stack(pieces)
    return Row(psnr(np.stack(restored), clean), ssim(np.stack(restored), clean), seconds, parameter, restored=restored)


def _classical(task: Task) -> dict[str, tuple[Callable[[float], Method], tuple[float, ...]]]:
    """The classical methods that fit a task: a method for a value of its parameter, and the values to choose from."""
    if task.trained_on == BLOCKS:
        return _inpainting()
    s = task.sigma
    methods: dict[str, tuple[Callable[[float], Method], tuple[float, ...]]] = {
        "gaussian": (lambda v: lambda x, _: classical.gaussian_filter(x, v), (0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2.2)),
        "median": (lambda v: lambda x, _: classical.median_filter(x, int(v)), (3, 5, 7)),
        "wiener": (lambda v: lambda x, _: classical.wiener_filter(x, s, int(v)), (3, 5, 7, 9)),
        "total variation": (
            lambda v: lambda x, _: classical.total_variation_denoising(x, v * s),
            (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3),
        ),
        "non-local means": (
            lambda v: lambda x, _: classical.non_local_means(x, s, v * s),
            (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
        ),
    }
    if task.blur:
        kernel = gaussian_kernel(task.blur)
        methods["wiener"] = (
            lambda v: lambda x, _: classical.wiener_deconvolution(x, kernel, v),
            (3e-3, 1e-2, 2e-2, 3e-2, 6e-2, 0.1, 0.2, 0.3),
        )
    return methods | _scikit_image(task)


def _inpainting() -> dict[str, tuple[Callable[[float], Method], tuple[float, ...]]]:
    def ours(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        return image if mask is None else classical.biharmonic_inpainting(image, mask)

    methods: dict[str, tuple[Callable[[float], Method], tuple[float, ...]]] = {"biharmonic": (lambda v: ours, (0.0,))}
    restoration = _skimage()
    if restoration is not None:

        def theirs(image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
            last = np.moveaxis(image, 0, -1)
            filled = restoration.inpaint_biharmonic(last, np.asarray(mask) < 0.5, channel_axis=2)
            return np.moveaxis(filled, -1, 0).astype(np.float32)

        methods["biharmonic (scikit-image)"] = (lambda v: theirs, (0.0,))
    return methods


def _scikit_image(task: Task) -> dict[str, tuple[Callable[[float], Method], tuple[float, ...]]]:
    """scikit-image's own versions, where it is installed."""
    restoration = _skimage()
    if restoration is None:
        return {}
    s = task.sigma

    def tv(v: float) -> Method:
        return lambda x, _: restoration.denoise_tv_chambolle(x, weight=v * s, channel_axis=0).astype(np.float32)

    def nlm(v: float) -> Method:
        return lambda x, _: restoration.denoise_nl_means(
            x, patch_size=5, patch_distance=10, h=v * s, sigma=s, fast_mode=True, channel_axis=0
        ).astype(np.float32)

    def wiener(v: float) -> Method:
        kernel = gaussian_kernel(task.blur)
        return lambda x, _: np.stack(
            [restoration.wiener(c.astype(np.float64), kernel, v, clip=False) for c in x]
        ).astype(np.float32)

    methods: dict[str, tuple[Callable[[float], Method], tuple[float, ...]]] = {
        "total variation (scikit-image)": (tv, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3)),
        "non-local means (scikit-image)": (nlm, (0.4, 0.5, 0.6, 0.7, 0.8, 1.0)),
    }
    if task.blur:
        methods["wiener (scikit-image)"] = (wiener, (1e-3, 3e-3, 6e-3, 1e-2, 2e-2, 3e-2, 6e-2, 0.1))
    return methods


def _skimage() -> Any:
    try:
        from skimage import restoration
    except ImportError:
        return None
    return restoration


def _print(name: str, rows: dict[str, Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    task = TASKS[name]
    table = Table(title=f"{name}: {task.corruption}, mean over held-out regions", title_justify="left")
    for heading in ("method", "PSNR dB", "SSIM", "seconds", "parameter"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    best = max(getattr(row, task.measure) for row in rows.values())
    for method, row in rows.items():
        table.add_row(
            method,
            f"{row.psnr:.2f}",
            f"{row.ssim:.4f}",
            f"{row.seconds:.3f}",
            f"{row.parameter:g}" if row.parameter else "",
            style="bold" if getattr(row, task.measure) == best else None,
        )
    console = Console()
    console.print(table)
    for method, row in rows.items():
        if row.learnt:
            console.print(_verdict(task, method, rows), highlight=False)


def _verdict(task: Task, model: str, rows: dict[str, Row]) -> str:
    """One sentence: by how much a network is above or below the best classical method."""
    rival = best_classical(task, rows)
    ours, theirs = getattr(rows[model], task.measure), getattr(rows[rival], task.measure)
    word = "above every classical method" if ours > theirs else "not above every classical method"
    unit = "dB" if task.measure == "psnr" else "SSIM"
    digits = 2 if task.measure == "psnr" else 4
    return f"{model} is {word}: {ours:.{digits}f} against {theirs:.{digits}f} {unit} of {rival}."


def best_classical(task: Task, rows: dict[str, Row]) -> str:
    """The classical method with the best mean in the task's measure."""
    return max(
        (name for name, row in rows.items() if not row.learnt), key=lambda name: getattr(rows[name], task.measure)
    )


def _save_picture(path: Path, name: str, rows: dict[str, Row], seed: int) -> None:
    from minigen.viz import save_rows

    task = TASKS[name]
    pieces = held_out_pieces()
    damaged = np.stack([image for image, _ in _damage(task, pieces * task.draws, seed)][: len(pieces)])
    rival = best_classical(task, rows)
    rows_shown = [rival, *(model for model, row in rows.items() if row.learnt and not model.endswith(ENSEMBLE))]
    shown = [("clean", np.stack(pieces)), ("damaged", damaged)]
    shown += [(name, np.stack(rows[name].restored[: len(pieces)])) for name in rows_shown]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_rows(path, shown)


def _names(what: str, given: str, known: Any) -> list[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known)
    if not names:
        raise UserError(f"Name at least one {what} of {', '.join(known)}.")
    return names
