"""From a configuration to a finished run folder, and back from a run folder to a trained system."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minigen.data import DataLoader
from minigen.data.registry import DATASETS
from minigen.data.source import DataSource
from minigen.device import NAMES, why_unavailable
from minigen.errors import UserError
from minigen.files import atomic_write
from minigen.random import Generator
from minigen.training.checkpoint import Checkpoint, NoCheckpointError, Skipped, load_latest
from minigen.training.run_folder import RunFolder, new_run_path
from minigen.training.session import Interrupted, Session, load_weights
from minigen.training.systems import System, make_system
from minigen.training.systems.system import SAMPLES_SHOWN

DATA_FILE = "data.json"  # of a run on a folder of images: what there is to know of them without the folder


@dataclass
class Training:
    """A run that is open for training."""

    run: RunFolder
    system: System
    session: Session
    skipped: list[Skipped] = field(default_factory=list)  # damaged checkpoints that were passed over


def start_run(config: dict[str, Any], out: str | PathLike[str] | None = None, quiet: bool = False) -> Training:
    """A new run.

    Args:
        config: the settings, by name, as on the command line.
        out: its folder; the first free one of runs/ unless given.
        quiet: without a progress bar.

    Raises:
        UserError: a configuration that cannot be, or a folder that is in use.
    """
    system = make_system(config)  # first, so that a mistake leaves no folder behind
    loader = _loader(system)
    config = system.config
    if config.get("init_from") is not None:
        taken = take_weights(system, config["init_from"])
        if not quiet:
            print(taken, file=sys.stderr)
    system.check_steps(config["epochs"] * len(loader))
    run = RunFolder.create(new_run_path(system.name) if out is None else out, config)
    _remember_data(run, system.source)
    return Training(run, system, _session(run, system, loader, quiet))


def resume_run(path: str | PathLike[str], changes: dict[str, Any], quiet: bool = False) -> Training:
    """The run in `path`, as its newest whole checkpoint left it.

    Args:
        quiet: without a progress bar.
        changes: ``epochs``, how long to train in all; ``model``, which must be the run's.

    Raises:
        UserError: `path` is no run, or one of another model.
        CheckpointError: it has checkpoints, and none is whole.
    """
    run = RunFolder.resume(path)
    try:
        if changes.get("model", run.config.get("model")) != run.config.get("model"):
            raise UserError(f"{run.path} is a run of the model {run.config.get('model')!r}, not {changes['model']!r}.")
        system = _system_of(run, {name: changes[name] for name in changes if name == "epochs"})
        session = _session(run, system, _loader(system), quiet)
        skipped: list[Skipped] = []
        try:
            checkpoint = load_latest(run.checkpoints)
        except NoCheckpointError:  # stopped before its first: begin again
            run.rewind(0)
        else:
            skipped = checkpoint.skipped
            _restoring(checkpoint, session.restore)
        if session.total_epochs < session.epoch:
            raise UserError(
                f"{run.path} has done {session.epoch} epochs already; --epochs {session.total_epochs} cannot take any back."
            )
        if "epochs" in changes:
            run.change_config(epochs=changes["epochs"])
        return Training(run, system, session, skipped)
    except BaseException:
        run.close()
        raise


def train_run(training: Training) -> bool:
    """Run the system's loop. Returns whether it came to its end; False after Ctrl-C, with everything saved."""
    try:
        with np.errstate(all="ignore"):  # what is not finite stops the run with a sentence: NumPy need not warn as well
            training.system.train(training.session)
    except Interrupted:
        return False
    return True


def finish_run(training: Training) -> list[Path]:
    """Write the pictures of a run into its folder, and return their paths."""
    from minigen.viz import save_curves

    folder = training.run.path
    pictures = training.system.save_pictures(folder)
    records = training.run.records()
    if records:
        pictures.append(folder / "curves.png")
        save_curves(pictures[-1], records)
    return pictures


def load_system(path: str | PathLike[str]) -> tuple[System, Checkpoint]:
    """The trained system of a run, from its newest whole checkpoint, to sample from and to evaluate.

    Where the device that it was trained on cannot be used, the CPU is.

    >>> from minigen.training.runs import load_system
    >>> system, checkpoint = load_system("runs/vae-1")           # doctest: +SKIP
    >>> system.sample(16, minigen.Generator(0)).shape             # doctest: +SKIP
    (16, 1, 8, 8)
    """
    run = RunFolder.open(path)
    device = run.config.get("device")
    system = _system_of(run, {"device": "cpu"} if device in NAMES and why_unavailable(device) else {})
    checkpoint = load_latest(run.checkpoints)
    _restoring(checkpoint, lambda whole: load_weights(system.modules, whole))
    return system, checkpoint


def take_weights(system: System, path: str | PathLike[str]) -> str:
    """Start a system from another run: take every weight and buffer whose name and shape agree.

    The other run may be of another model or of other widths; what does not agree stays as it was drawn.

    Returns:
        A sentence on what was taken.

    Raises:
        UserError: `path` is no run, or nothing of it agrees.
    """
    arrays = load_latest(RunFolder.open(path).checkpoints).arrays
    count = taken = 0
    for name, module in system.modules.items():
        own = module.state_dict()
        fitting = {}
        for key, value in own.items():
            other = arrays.get(f"model.{name}.{key}")
            fits = other is not None and other.shape == value.shape
            fitting[key] = other if fits else value
            count, taken = count + 1, taken + fits
        module.load_state_dict(fitting)
    if not taken:
        raise UserError(
            f"Nothing in the run {path} fits the model {system.name!r}: no name and shape of its weights agree."
        )
    left = f"; the other {count - taken} are fresh" if taken < count else ""
    return f"Took {taken} of {count} weights and buffers from {path}{left}."


def _remember_data(run: RunFolder, source: DataSource) -> None:
    """Write what a system must know of a folder of images into the run, so that it can do without the folder."""
    if source.name not in DATASETS:
        card = {name: getattr(source, name) for name in ("kind", "shape", "classes", "class_names")}
        atomic_write(run.path / DATA_FILE, (json.dumps(card, indent=2) + "\n").encode())


def _data_of(run: RunFolder) -> DataSource | None:
    """What a run remembers of a folder of images that is no longer there; None where the data can be opened."""
    folder = str(run.config.get("data"))
    if folder in DATASETS or Path(folder).exists() or not (run.path / DATA_FILE).exists():
        return None

    def read(split: str) -> NoReturn:
        raise UserError(
            f"The run {run.path} was trained on the folder {folder}, which is gone, and this needs its images: bring it "
            "back, or name another in config.json."
        )

    try:
        card = json.loads((run.path / DATA_FILE).read_text(encoding="utf-8"))
        shape, names = tuple(card["shape"]), tuple(card["class_names"])
        return DataSource(folder, "a folder that is gone", card["kind"], shape, card["classes"], read, names)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{run.path / DATA_FILE} is damaged, and the folder {folder} is gone: bring it back."
        ) from error


def _system_of(run: RunFolder, changes: dict[str, Any]) -> System:
    """The system that a run's config.json describes; what is wrong with it is said to be wrong there."""
    source = _data_of(run)
    try:
        return make_system(run.config | changes, source)
    except UserError as error:
        if changes:
            raise
        raise UserError(f"{run.path / 'config.json'}: {error}") from None


def _restoring(checkpoint: Checkpoint, restore: Any) -> None:
    try:
        restore(checkpoint)
    except (KeyError, UserError) as error:
        raise UserError(
            f"{checkpoint.path.name} does not belong to the run's config.json ({error}): one of them was changed."
        ) from error


def _loader(system: System) -> DataLoader:
    config = system.config
    data = system.training_data()
    batch_size = config["batch_size"] or len(data)
    if batch_size > len(data):
        raise UserError(
            f"--batch-size {batch_size} is larger than the {len(data)} training samples of {config['data']!r}; give at "
            f"most {len(data)}."
        )
    return DataLoader(
        data,
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,  # batch norm and the losses see batches of one size
        generator=Generator(config["seed"]).spawn(2),
        pin_memory=system.device.name == "cuda",
    )


def _session(run: RunFolder, system: System, loader: DataLoader, quiet: bool) -> Session:
    return Session(
        run,
        system.modules,
        system.optimizers,
        system.generators,
        loader,
        system.config["epochs"],
        system.device,
        system.make_schedules(system.config["epochs"] * len(loader)),
        quiet,
        (lambda: system.sample(SAMPLES_SHOWN, Generator(0))) if system.can_sample else None,
    )
