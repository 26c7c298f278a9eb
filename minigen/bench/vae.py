"""`minigen bench vae`: how good a model of images are VAEs and importance-weighted autoencoders, in nats?

Every row is a configuration of `minigen train vae` or `iwae`, trained anew for each trial's seed. All are given black and
white images, drawn from the grey ones with the grey value as each pixel's probability: in training anew for every batch,
held out once and for all. Only for such images is a Bernoulli likelihood one of the data, and so the figures are bounds of
log p(x). Burda et al. 2016 (arXiv 1509.00519), whose figures stand beside ours on MNIST, do the same in training; they
have two hidden layers of 200 with tanh, where ours have ReLU, and train for 3,280 epochs.

The ELBO is always the one with β = 1, whatever a row is trained with. The log-likelihood is the bound of many importance
samples. It is close to log p(x) where the effective samples, how many equally good ones they are worth, are many.

IWAE with k = 1 has the VAE's gradient in expectation, but a noisier one: its KL term is a sample, the VAE's a formula.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minigen.bench.modes import mean_and_error
from minigen.errors import UserError, unknown_name
from minigen.files import atomic_write
from minigen.training.options import positive_integer

Config = dict[str, Any]
Trial = dict[str, Any]


class Row(NamedTuple):
    """One line of the table: its name on the command line and in the file, its title, and what is trained."""

    name: str
    title: str
    config: Config


ROWS = (
    Row("vae", "VAE", {"model": "vae"}),
    Row("beta-0.5", "VAE, β = 0.5", {"model": "vae", "beta": 0.5}),
    Row("beta-2", "VAE, β = 2", {"model": "vae", "beta": 2.0}),
    Row("annealing", "VAE, KL term annealed", {"model": "vae", "kl_annealing": "linear"}),
    Row("free-bits", "VAE, 0.1 nats of each dimension free", {"model": "vae", "free_bits": 0.1}),
    Row("iwae-1", "IWAE, k = 1", {"model": "iwae", "k": 1}),
    Row("iwae-5", "IWAE, k = 5", {"model": "iwae", "k": 5}),
    Row("iwae-50", "IWAE, k = 50", {"model": "iwae", "k": 50}),
)
BINARY: Config = {"likelihood": "bernoulli", "binarize": True, "hidden": [200, 200], "lr_schedule": "cosine"}
SETTINGS: dict[str, Config] = {
    "digits": {"latent_dim": 16, "epochs": 150, "batch_size": 64, "lr": 2e-3},
    "mnist": {"latent_dim": 50, "epochs": 50, "batch_size": 100, "lr": 1e-3},
}
SAMPLES = {"digits": 1000, "mnist": 5000}  # importance samples an image
PUBLISHED = {  # the importance-weighted bound of 5,000 samples
    "mnist": (("Burda et al.: VAE", -86.76), ("Burda et al.: IWAE, k = 50", -84.78)),
}
FIGURES = ("elbo", "log_likelihood", "kl", "active_units", "effective_samples", "seconds")


def run_vae(
    data: str = "digits",
    data_root: str | None = None,
    rows: Sequence[str] | None = None,
    trials: int = 1,
    epochs: int | None = None,
    samples: int | None = None,
    file: str | Path | None = None,
    report: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Train every row with the seeds 0, 1, …, and return one record for each trial.

    Args:
        data, data_root: as for `minigen train vae`; a data set of images.
        rows: their names; all unless given.
        trials: how many seeds.
        epochs: in place of what `SETTINGS` says; data sets that are not in it take MNIST's settings.
        samples: importance samples an image, in place of what `SAMPLES` says.
        file: JSON to keep the trials in as they come; those that it has already are not run again.
        report: called with each new trial.

    Returns:
        For each trial ``row``, ``seed``, and `FIGURES`, in nats an image.

    Raises:
        UserError: an unknown name, or a file of other settings.
    """
    known = {row.name: row for row in ROWS}
    for name in rows or ():
        if name not in known:
            raise unknown_name("row", name, known)
    settings = {**BINARY, **SETTINGS.get(data, SETTINGS["mnist"]), "data": data}
    if epochs is not None:
        settings["epochs"] = epochs
    settings["samples"] = SAMPLES.get(data, SAMPLES["mnist"]) if samples is None else samples
    done = _read(file, settings)
    records = []
    for name in known if rows is None else rows:
        for seed in range(trials):
            record = next((trial for trial in done if (trial["row"], trial["seed"]) == (name, seed)), None)
            if record is None:
                record = run_trial(known[name], seed, settings, data_root)
                done.append(record)
                _write(file, settings, done)
                report(record)
            records.append(record)
    return records


def run_trial(row: Row, seed: int, settings: Config, data_root: str | None = None) -> Trial:
    """Train one configuration once, and measure it on all held-out images."""
    from minigen.training.runs import start_run, train_run
    from minigen.training.vae import importance_bounds, vae_terms

    options = {name: value for name, value in settings.items() if name != "samples"}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        config = {**options, **row.config, "data_root": data_root, "seed": seed}
        training = start_run(config, Path(folder) / "run", quiet=True)
        with training.run:
            complete = train_run(training)
    if not complete:
        raise KeyboardInterrupt
    seconds = time.perf_counter() - start
    system = training.system
    model: Any = system.modules["vae"]
    images = system.held_out()
    terms, bounds = vae_terms(model, images, draws=32), importance_bounds(model, images, settings["samples"])
    return {
        "row": row.name,
        "seed": seed,
        "elbo": -(terms.nll + terms.kl),
        "log_likelihood": bounds["log_likelihood"],
        "kl": terms.kl,
        "active_units": terms.active_units,
        "effective_samples": bounds["effective_samples"],
        "seconds": round(seconds, 1),
    }


# ---- the command ------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minigen bench vae`."""
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("--data", default="digits", metavar="NAME", help="digits, mnist, … (default: digits)")
    parser.add_argument("--data-root", metavar="DIR", help="where the files of mnist are or go")
    parser.add_argument("--rows", metavar="NAMES", help=f"with commas, of {names} (default: all)")
    parser.add_argument("--trials", type=positive_integer, default=1, metavar="N", help="seeds a row (default: 1)")
    parser.add_argument(
        "--epochs", type=positive_integer, metavar="N", help="of training (default: digits 150, others 50)"
    )
    parser.add_argument(
        "--samples",
        type=positive_integer,
        metavar="K",
        help="importance samples an image (default: digits 1000, others 5000)",
    )
    parser.add_argument("--json", metavar="FILE", help="keep the trials here; run again, it goes on where it stopped")


def run(args: argparse.Namespace) -> int:
    """Run, with a line for each trial, and print the table."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a pipe has no width of its own

    def report(trial: Trial) -> None:
        print(
            f"{trial['row']}, seed {trial['seed']}: ELBO {trial['elbo']:.2f}, log-likelihood "
            f"{trial['log_likelihood']:.2f} nats, {trial['active_units']} active units, {trial['seconds']:.0f} s",
            flush=True,
        )

    rows = None if args.rows is None else args.rows.split(",")
    trials = run_vae(args.data, args.data_root, rows, args.trials, args.epochs, args.samples, args.json, report)
    console.print(table(args.data, trials))
    return 0


def table(data: str, trials: Iterable[Trial]) -> Any:
    """The rich table: our rows, then the paper's where it has this data set."""
    from rich import box
    from rich.table import Table

    out = Table(
        title=f"{data}, black and white: nats an image, held out",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
    )
    out.add_column("", no_wrap=True)
    for heading in ("ELBO", "log-likelihood", "KL", "active units", "effective samples", "seconds"):
        out.add_column(heading, justify="right", no_wrap=True)
    trials = list(trials)
    for row in ROWS:
        mine = [trial for trial in trials if trial["row"] == row.name]
        if mine:
            digits = {"elbo": 2, "log_likelihood": 2, "kl": 2}
            out.add_row(row.title, *(_figure([t[name] for t in mine], digits.get(name, 0)) for name in FIGURES))
    out.add_section()
    for title, log_likelihood in PUBLISHED.get(data, ()):
        out.add_row(title, "", f"{log_likelihood:.2f}", "", "", "", "")
    return out


def _figure(values: Sequence[float], digits: int) -> str:
    mean, error = mean_and_error(values) or (0.0, None)
    return f"{mean:.{digits}f}" + ("" if error is None else f" ± {error:.{max(digits, 1)}f}")


def _read(file: str | Path | None, settings: Config) -> list[Trial]:
    """The trials that a file holds; none where there is none."""
    if file is None or not Path(file).exists():
        return []
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        found, trials = dict(content["settings"]), [{**trial} for trial in content["trials"]]
        complete = all({"row", "seed", *FIGURES} <= trial.keys() for trial in trials)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not a file of `minigen bench vae`; give another name.") from error
    if not complete:
        raise UserError(f"{file} holds trials that lack figures; give another name.")
    if found != settings:
        changed = [name for name in settings if found.get(name) != settings[name]]
        raise UserError(f"{file} holds trials with another {' and '.join(changed) or 'setting'}; give another name.")
    return trials


def _write(file: str | Path | None, settings: Config, trials: Sequence[Trial]) -> None:
    if file is not None:
        atomic_write(file, (json.dumps({"settings": settings, "trials": list(trials)}, indent=1) + "\n").encode())
