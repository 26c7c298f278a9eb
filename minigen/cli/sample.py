"""`minigen sample RUN`: draw from a trained model, or look into its latent space."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigen.cli.loading import load_run, run_argument
from minigen.errors import UserError
from minigen.training.options import natural_number, positive_integer

if TYPE_CHECKING:
    import numpy as np

    from minigen.training.systems import System

STEPS = 8  # samples on each way of a walk
HOW_MANY = {"sample": 64, "walk": 8, "manifold": 20}


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "sample",
        help="draw from a trained model, or look into its latent space",
        description="Draw from the newest checkpoint of a run, as a picture (.png) or as an array (.npy). With --walk, "
        "go from one random latent to another, straight (lerp) and on an arc (slerp), side by side. With --manifold, "
        "show all of a latent space of two dimensions, at the quantiles of its Gaussian.",
    )
    run_argument(parser)
    what = parser.add_mutually_exclusive_group()
    for kind, text in (("walk", "walks between random latents"), ("manifold", "the whole of a 2-D latent space")):
        what.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=text)
    parser.add_argument(
        "--n",
        type=positive_integer,
        metavar="N",
        help="how many samples (default: 64), walks (8), or samples a side of the manifold (20)",
    )
    parser.add_argument(
        "--seed", type=natural_number, default=0, metavar="N", help="the same seed, the same samples (default: 0)"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="a .png picture, or .npy for float32: samples (n, C, H, W) from 0 to 1 or points (n, d); walks "
        f"(n, 2, {STEPS}, …), lerp before slerp; a manifold (n, n, …) (default: RUN/sample-SEED.png, "
        "RUN/walk-SEED.png, RUN/manifold.png)",
    )
    parser.set_defaults(run=run, help_command="minigen sample --help")


def run(args: argparse.Namespace) -> int:
    """Draw, write, and say where."""
    import numpy as np

    from minigen.files import atomic_write
    from minigen.random import Generator
    from minigen.tasks import latent_manifold, latent_walk

    kind = args.kind or "sample"
    name = "manifold.png" if kind == "manifold" else f"{kind}-{args.seed}.png"
    out = Path(args.path) / name if args.out is None else Path(args.out)
    if out.suffix not in (".png", ".npy"):
        raise UserError(f"--out must end in .png (a picture) or .npy (an array), not {out.name!r}.")
    system, _ = load_run(args.path)
    n, generator = args.n or HOW_MANY[kind], Generator(args.seed)
    if kind == "walk":
        samples = latent_walk(system, n, STEPS, generator)
    elif kind == "manifold":
        samples = latent_manifold(system, n)
    else:
        samples = system.sample(n, generator)
    if out.suffix == ".png":
        draw = {"sample": _draw_samples, "walk": _draw_walks, "manifold": _draw_manifold}[kind]
        draw(out, samples, system)
    else:
        buffer = io.BytesIO()
        np.save(buffer, samples.astype(np.float32, copy=False))
        atomic_write(out, buffer.getvalue())
    noun = "walk" if kind == "walk" else "image" if system.source.kind == "image" else "point"
    count = f"{n}×{n}" if kind == "manifold" else str(n)
    print(f"{count} {noun} is in {out}." if count == "1" else f"{count} {noun}s are in {out}.")
    return 0


def _draw_samples(out: Path, samples: np.ndarray, system: System) -> None:
    from minigen.viz import save_image_grid, save_points

    if system.source.kind == "image":
        save_image_grid(out, samples)
    else:
        save_points(out, samples[:, :2], system.held_out()[:, :2])


def _draw_walks(out: Path, walks: np.ndarray, system: System) -> None:
    from minigen.viz import save_walks

    walks, real = _in_the_plane(walks, system)
    save_walks(out, {"straight (lerp)": walks[:, 0], "on an arc (slerp)": walks[:, 1]}, real)


def _draw_manifold(out: Path, samples: np.ndarray, system: System) -> None:
    from minigen.viz import save_manifold

    save_manifold(out, *_in_the_plane(samples, system))


def _in_the_plane(samples: np.ndarray, system: System) -> tuple[np.ndarray, np.ndarray | None]:
    """Images as they are; the first two coordinates of points, and those of real ones to draw behind them."""
    if system.source.kind == "image":
        return samples, None
    return samples[..., :2], system.held_out()[:, :2]
