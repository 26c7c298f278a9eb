"""`minigen restore RUN`: remove noise, blur or missing parts from pictures of any size."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigen.cli.loading import load_run, run_argument
from minigen.errors import UserError
from minigen.training.options import natural_number

if TYPE_CHECKING:
    import numpy as np

    from minigen.data.corruptions import Corruption
    from minigen.restoration.pictures import Restored
    from minigen.training.systems import System

LISTED = 20  # files in the terminal


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "restore",
        help="remove noise, blur or missing parts from pictures",
        description="Restore pictures of any size by a trained model, tile by tile. With --corruption, clean pictures are "
        "damaged first, and the result is measured; without, they are restored as they are. For each picture the folder "
        "gets NAME-restored.png and NAME-comparison.png.",
    )
    run_argument(parser)
    parser.add_argument("--input", metavar="PATH", required=True, help="a picture, or a folder of pictures")
    parser.add_argument(
        "--corruption",
        metavar="KIND",
        help="damage the pictures first: noise:sigma=25, gaussian-blur:sigma=1.5,noise=5, block:size=16,count=4, …",
    )
    parser.add_argument(
        "--mask",
        metavar="FILE",
        help="for a model of missing parts: a picture of the size of the input, white where it is known, black where "
        "not (default: the pixels that are exactly black are missing)",
    )
    parser.add_argument("--out", metavar="DIR", help="the folder to write into (default: RUN/restored)")
    parser.add_argument(
        "--ensemble",
        action="store_true",
        help="restore each picture in its eight positions, turned and mirrored, and take the mean: better, and slower",
    )
    parser.add_argument("--seed", type=natural_number, default=0, metavar="N", help="of the damage (default: 0)")
    parser.set_defaults(run=run, help_command="minigen restore --help")


def run(args: argparse.Namespace) -> int:
    """Restore, write, and say how well it went."""
    from minigen.cli.outputs import text_table
    from minigen.data.corruptions import make_corruption
    from minigen.data.images import UnreadableImage, is_grey
    from minigen.files import write_error
    from minigen.random import Generator
    from minigen.restoration.pictures import (
        damage_and_restore,
        grey_of,
        list_pictures,
        read_with_alpha,
        write_with_alpha,
    )

    if args.corruption is not None and args.mask is not None:
        raise UserError("--corruption makes its own missing parts, so --mask cannot be given with it.")
    corruption = None if args.corruption is None else make_corruption(args.corruption)
    files = list_pictures(args.input)
    system, _ = load_run(args.path)
    if system.restore is None:
        raise system.cannot("restore images")
    _warn_of_other_damage(system, corruption)
    out = Path(args.path) / "restored" if args.out is None else Path(args.out)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: name a folder for the pictures.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(out, error) from error

    generator = Generator(args.seed)
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for file in files:
        try:
            grey = is_grey(file)
            channels = system.image_shape[0] if grey else 3
            image, alpha = read_with_alpha(file, channels)
        except UnreadableImage as error:
            if len(files) == 1:
                raise
            print(f"minigen: {str(error).rstrip('.')}; it is skipped.", file=sys.stderr)
            continue
        if corruption is None:
            made = _restore(system, image, args.mask, file, args.ensemble)
        else:
            made = damage_and_restore(system, image, corruption, generator, args.ensemble)
        name = file.stem if file.stem not in taken else file.name.replace(".", "-")
        taken.add(name)
        restored = grey_of(made.restored) if grey and channels == 3 else made.restored
        write_with_alpha(out / f"{name}-restored.png", restored, alpha)
        _save_comparison(out / f"{name}-comparison.png", made)
        rows.append({"file": file.name, **made.scores()})
    if not rows:
        raise UserError(f"None of the {len(files)} files in {args.input} could be read as a picture.")
    if corruption is not None:
        print(text_table(rows[:LISTED]))
        if len(rows) > 1:
            means = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0] if key != "file"}
            print("mean: " + ", ".join(f"{key} {value:.4g}" for key, value in means.items()))
    print(f"{len(rows)} restored {'picture is' if len(rows) == 1 else 'pictures are'} in {out}.")
    return 0


def _warn_of_other_damage(system: System, asked: Corruption | None) -> None:
    """Say so where the damage asked for is of a kind that the run has never seen."""
    learnt: Corruption = system.corruption  # type: ignore[attr-defined]  # of every system that restores
    strange = [] if asked is None else [kind for kind in asked.kinds if kind not in learnt.kinds]
    if strange:
        print(
            f"minigen: This run was trained on {learnt}, and not on {' or '.join(strange)}: expect little of it.",
            file=sys.stderr,
        )


def _restore(system: System, image: np.ndarray, mask_file: str | None, file: Path, ensemble: bool) -> Restored:
    """Restore a picture as it is, its missing parts from the mask or by their black."""
    from minigen.data.images import read_image
    from minigen.restoration.pictures import Restored, find_missing, restore_image, takes_mask

    if not takes_mask(system):
        if mask_file is not None:
            raise UserError(
                f"This run of {system.name!r} was trained on damage without missing parts: leave out --mask."
            )
        return Restored(image, restore_image(system, image, ensemble=ensemble))
    if mask_file is None:
        mask = find_missing(image)
        missing = int((mask == 0).sum())
        which = (
            f"the {missing} of {mask.size} pixels that are exactly black are taken to be missing"
            if missing
            else "no pixel is exactly black, so that none is taken to be missing"
        )
        print(f"minigen: In {file.name}, {which} (--mask FILE says which are).", file=sys.stderr)
    else:
        mask = (read_image(mask_file, 1)[0] >= 0.5).astype(image.dtype)
        if mask.shape != image.shape[1:]:
            raise UserError(
                f"The mask {mask_file} has {mask.shape[0]}×{mask.shape[1]} pixels, and {file} has "
                f"{image.shape[1]}×{image.shape[2]}: give a mask of the picture's size."
            )
    image = image * mask
    return Restored(image, restore_image(system, image, mask, ensemble), mask)


def _save_comparison(path: Path, made: Restored) -> None:
    from minigen.viz import save_panels

    clean = {} if made.clean is None else {"clean": made.clean[None]}
    save_panels(path, {**clean, "damaged": made.damaged[None], "restored": made.restored[None]}, columns=1)
