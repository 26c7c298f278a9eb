"""`minigen bench modes`: which losses, and which ingredients of training, keep a GAN from losing modes of a mixture.

Every row is a configuration of `minigen train gan2d`, trained anew for each trial's seed and judged by 2,500 samples:
modes reached, share of samples of high quality, and KL(p ‖ uniform) of the modes' shares p. The first row is the default;
then each loss and each way to bound the discriminator in its place; then the default with one ingredient left out; last
the plain GAN as it was published, beside the figures that its authors print.

Two protocols are kept apart, because their plain GANs differ greatly: 'veegan' (Srivastava et al. 2017, arXiv 1705.07761,
table 1) and 'pacgan' (Lin et al. 2018, arXiv 1712.04086, table 1). Our rows are the same in both, and so are the mixtures:
a ring or a grid of another size differs by its scale alone, which changes no figure. VEEGAN counts a sample in 1,200
dimensions within 10 standard deviations of its mode; a true one lies about √700 = 26 away. We count within the radius
that holds 98.9 % of true samples in any number of dimensions, so our column in 1,200 dimensions is on a scale of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minigen.errors import UserError, unknown_name
from minigen.files import atomic_write
from minigen.training.options import positive_integer

DATA = ("ring8", "grid25", "mixture1200")
PROTOCOLS = ("pacgan", "veegan")
SAMPLES = 2_500  # what both papers judge by

Config = dict[str, Any]
Trial = dict[str, Any]


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name: on the command line and in the file.
        title: in the table.
        part: of the table: 'losses', 'left-out' or 'published'.
        changes: what it changes in the default.
    """

    name: str
    title: str
    part: str
    changes: Config


LOSSES = (
    Row("non-saturating", "non-saturating: the default", "losses", {}),
    Row("minimax", "minimax", "losses", {"loss": "minimax"}),
    Row("least-squares", "least squares", "losses", {"loss": "least-squares"}),
    Row("hinge", "hinge", "losses", {"loss": "hinge"}),
    Row("wasserstein", "Wasserstein, clipped at 0.1", "losses", {"loss": "wasserstein", "weight_clip": 0.1}),
    Row(
        "wgan-gp",
        "Wasserstein, gradient penalty of weight 1",
        "losses",
        {"loss": "wasserstein", "gradient_penalty": "wgan-gp", "penalty_weight": 1.0},
    ),
    Row("r1", "non-saturating, R1 of weight 0.1", "losses", {"gradient_penalty": "r1", "penalty_weight": 0.1}),
    Row("relativistic", "relativistic, in pairs", "losses", {"loss": "relativistic"}),
    Row("relativistic-average", "relativistic, on average", "losses", {"loss": "relativistic-average"}),
    Row("packing-2", "non-saturating, packs of 2", "losses", {"packing": 2}),
    Row("packing-4", "non-saturating, packs of 4", "losses", {"packing": 4}),
)
INGREDIENTS = (
    Row("no-instance-noise", "without instance noise", "left-out", {"instance_noise": 0.0}),
    Row("no-two-rates", "without a faster generator: both rates 0.001", "left-out", {"lr": 1e-3, "lr_d": 1e-3}),
    Row("no-schedule", "without a falling learning rate", "left-out", {"lr_schedule": "constant"}),
    Row("no-unit-size", "without data of unit size", "left-out", {"scaling": "none"}),
    Row("momentum", "with momentum: Adam's own 0.9 for 0", "left-out", {"beta1": 0.9}),
    Row("no-he-start", "without He's start", "left-out", {"he_start": False}),
    Row("no-average", "without the generator's average", "left-out", {"ema": 0.0}),
    Row("two-layers", "with two layers instead of three", "left-out", {"hidden": [128, 128], "hidden_d": [128, 128]}),
    Row("batch-64", "with batches of 64, as many steps", "left-out", {"batch_size": 64}),
)
_PLAIN: Config = {
    **{"instance_noise": 0.0, "lr_schedule": "constant", "ema": 0.0, "scaling": "none", "he_start": False},
    **{"scale_d": 1.0, "beta2": 0.999},
}
PUBLISHED_SETTINGS = {
    "pacgan": Row(
        "published-pacgan",
        "the plain GAN at PacGAN's settings",
        "published",
        {
            **_PLAIN,
            **{"hidden": [400] * 4, "batch_norm": True, "hidden_d": [200] * 3, "activation_d": "maxout"},
            **{"batch_size": 100, "epochs": 400, "lr": 1e-4, "lr_d": 1e-4, "beta1": 0.8},
        },
    ),
    "veegan": Row(
        "published-veegan",
        "the plain GAN at VEEGAN's settings",
        "published",
        {
            **_PLAIN,
            **{"latent_dim": 254, "hidden": [128, 128], "hidden_d": [128], "activation_d": "relu"},
            **{"batch_size": 500, "epochs": 500, "lr": 1e-3, "lr_d": 1e-3, "beta1": 0.5},
        },
    ),
}
START_STD = {"pacgan": 0.02}  # weights of its networks start from N(0, 0.02²), biases at 0

# What the papers print: (name, data, modes, high quality in %, reverse KL), None where they print nothing.
PUBLISHED: dict[str, tuple[tuple[str, str, str, str, str | None], ...]] = {
    "veegan": (
        ("GAN", "ring8", "1", "99.3", None),
        ("GAN", "grid25", "3.3", "0.5", None),
        ("GAN", "mixture1200", "1.6", "2.0", None),
        ("ALI", "ring8", "2.8", "0.13", None),
        ("ALI", "grid25", "15.8", "1.6", None),
        ("ALI", "mixture1200", "3", "5.4", None),
        ("Unrolled GAN", "ring8", "7.6", "35.6", None),
        ("Unrolled GAN", "grid25", "23.6", "16", None),
        ("Unrolled GAN", "mixture1200", "0", "0", None),
        ("VEEGAN", "ring8", "8", "52.9", None),
        ("VEEGAN", "grid25", "24.6", "40", None),
        ("VEEGAN", "mixture1200", "5.5", "28.29", None),
    ),
    "pacgan": (
        ("GAN", "ring8", "6.3 ± 0.5", "98.2", "0.45"),
        ("GAN", "grid25", "17.3 ± 0.8", "94.8", "0.70"),
        ("ALI", "ring8", "6.6 ± 0.3", "97.6", "0.36"),
        ("ALI", "grid25", "24.1 ± 0.4", "95.7", "0.14"),
        ("PacGAN2", "ring8", "7.9 ± 0.1", "95.6", "0.07"),
        ("PacGAN2", "grid25", "23.8 ± 0.7", "91.3", "0.13"),
        ("PacGAN4", "ring8", "7.8 ± 0.1", "95.9", "0.07"),
        ("PacGAN4", "grid25", "24.8 ± 0.2", "93.6", "0.04"),
    ),
}


def rows_of(protocol: str) -> tuple[Row, ...]:
    """All rows of the table of a protocol, but for the printed ones.

    Raises:
        UserError: no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    return (*LOSSES, *INGREDIENTS, PUBLISHED_SETTINGS[protocol])


def run_modes(
    protocol: str = "pacgan",
    trials: int = 5,
    data: Sequence[str] = DATA,
    rows: Sequence[str] | None = None,
    steps: int | None = None,
    file: str | Path | None = None,
    report: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Train every row on every mixture with the seeds 0, 1, …, and return one record for each trial.

    Args:
        protocol: 'pacgan' or 'veegan'.
        trials: how many seeds.
        data: names of mixtures.
        rows: names of rows, or of parts ('losses', 'left-out', 'published'); all unless given.
        steps: train about this many steps (whole epochs, at least one) in place of what each row says.
        file: JSON to keep the trials of both protocols in as they come; those that it has already are not run again.
        report: called with each new trial.

    Returns:
        For each trial ``row``, ``data``, ``seed``, ``steps``, ``seconds``, ``modes_covered``, ``modes``,
        ``high_quality_share`` and ``reverse_kl``; in place of the last ``error``, where training came to no end.

    Raises:
        UserError: an unknown name, or a file of other steps.
    """
    chosen = choose_rows(rows_of(protocol), rows)
    for name in data:
        if name not in DATA:
            raise unknown_name("mixture", name, DATA)
    done = _read(file, steps)
    records: list[Trial] = []
    for name in data:
        for row in chosen:
            for seed in range(trials):
                record = _find(done, row.name, name, seed)
                if record is None:
                    record = run_trial(row, name, seed, protocol, steps)
                    done.append(record)
                    _write(file, steps, done)
                    report(record)
                records.append(record)
    return records


def run_trial(row: Row, data: str, seed: int, protocol: str, steps: int | None = None) -> Trial:
    """Train one configuration once, as `minigen train gan2d` does, and count the modes."""
    from minigen.errors import TrainingError
    from minigen.training.runs import start_run, train_run
    from minigen.training.systems import make_system
    from minigen.training.systems.gan import PointGAN

    config = {"model": "gan2d", "data": data, "seed": seed, **row.changes}
    if "batch_size" in row.changes and "epochs" not in row.changes:  # as many steps as the default
        default = PointGAN.defaults(data)
        config["epochs"] = max(1, round(default["epochs"] * row.changes["batch_size"] / default["batch_size"]))
    if steps is not None:
        system = make_system(config)
        config["epochs"] = max(1, round(steps * system.config["batch_size"] / len(system.training_data())))
    record: Trial = {"row": row.name, "data": data, "seed": seed}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        training = start_run(config, Path(folder) / "run", quiet=True)
        if row.part == "published" and protocol in START_STD:
            _start_small(training.system.modules, START_STD[protocol])
        with training.run:
            try:
                complete = train_run(training)
            except TrainingError as error:
                return {**record, "steps": training.session.step, "error": str(error)}
        if not complete:
            raise KeyboardInterrupt
        seconds = time.perf_counter() - start
        measured = count_modes(training.system)
    names = ("modes", "modes_covered", "high_quality_share", "reverse_kl")
    return {
        **record,
        "steps": training.session.step,
        "seconds": round(seconds, 1),
        **{name: measured[name] for name in names},
    }


def count_modes(system: Any) -> dict[str, Any]:
    """`minigen.metrics.mode_report` of 2,500 samples of a system that was trained on a mixture."""
    from minigen.metrics import mode_radius, mode_report
    from minigen.random import Generator

    source, samples = system.source, system.sample(SAMPLES, Generator(0))
    return mode_report(samples, source.centers, source.std, mode_radius(source.std, source.intrinsic_dim))


def choose_rows(rows: Iterable[Row], names: Sequence[str] | None) -> list[Row]:
    """The rows that are named by themselves or by their part; all for None.

    Raises:
        UserError: a name that is neither.
    """
    rows = list(rows)
    if names is None:
        return rows
    parts = list(dict.fromkeys(row.part for row in rows))
    for name in names:
        if name not in parts and name not in [row.name for row in rows]:
            raise unknown_name("row", name, list(dict.fromkeys([*parts, *(row.name for row in rows)])))
    return [row for row in rows if row.name in names or row.part in names]


def summarize(trials: Sequence[Trial]) -> dict[tuple[str, str], dict[str, Any]]:
    """By (row, data): the mean and standard error of each figure over the trials, as ``(mean, error)``.

    ``failed`` counts the trials that came to no end; the figures are those of the others.
    """
    summary: dict[tuple[str, str], dict[str, Any]] = {}
    for row, data in dict.fromkeys((trial["row"], trial["data"]) for trial in trials):
        mine = [trial for trial in trials if (trial["row"], trial["data"]) == (row, data)]
        ended = [trial for trial in mine if "error" not in trial]
        figures = ("modes_covered", "high_quality_share", "reverse_kl", "seconds")
        summary[row, data] = {
            "trials": len(mine),
            "failed": len(mine) - len(ended),
            "steps": max(trial["steps"] for trial in mine),
            **{name: mean_and_error([trial[name] for trial in ended]) for name in figures},
        }
    return summary


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None] | None:
    """Mean, and standard error s/√n with s over n - 1; no error for one value, and nothing for none.

    >>> mean_and_error([1.0, 3.0])
    (2.0, 1.0)
    """
    n = len(values)
    if n == 0:
        return None
    mean = sum(values) / n
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n) if n > 1 else None


# ---- the command ------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minigen bench modes`."""
    names = ", ".join(row.name for row in (*LOSSES, *INGREDIENTS))
    parser.add_argument("--protocol", default="pacgan", choices=PROTOCOLS, help="whose figures stand beside (pacgan)")
    parser.add_argument("--trials", type=positive_integer, default=5, metavar="N", help="seeds a row (default: 5)")
    parser.add_argument("--data", default=",".join(DATA), metavar="NAMES", help=f"of {', '.join(DATA)} (default: all)")
    parser.add_argument(
        "--rows", metavar="NAMES", help=f"rows, or parts: losses, left-out, published (default: all): {names}"
    )
    parser.add_argument(
        "--steps", type=positive_integer, metavar="N", help="train about N steps, for a shorter, rougher table"
    )
    parser.add_argument("--json", metavar="FILE", help="keep the trials here; run again, it goes on where it stopped")


def run(args: argparse.Namespace) -> int:
    """Run, with a line for each trial, and print the table."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120  # a pipe has no width of its own

    def report(trial: Trial) -> None:
        what = trial.get("error") or (
            f"{trial['modes_covered']} of {trial['modes']} modes, {trial['high_quality_share']:.1%} high quality, "
            f"reverse KL {trial['reverse_kl']:.3f}, {trial['seconds']:.0f} s"
        )
        print(f"{trial['data']}, {trial['row']}, seed {trial['seed']}: {what}", flush=True)

    trials = run_modes(
        args.protocol,
        args.trials,
        args.data.split(","),
        None if args.rows is None else args.rows.split(","),
        args.steps,
        args.json,
        report,
    )
    for data in dict.fromkeys(trial["data"] for trial in trials):
        console.print(table(args.protocol, data, trials, args.steps))
    return 0


def table(protocol: str, data: str, trials: Sequence[Trial], steps: int | None) -> Any:
    """The rich table of one mixture: our rows, part by part, then those of the paper."""
    from rich import box
    from rich.table import Table

    summary = summarize([trial for trial in trials if trial["data"] == data])
    shortened = "" if steps is None else f", shortened to about {steps} steps a trial"
    out = Table(
        title=f"{data} (protocol {protocol}{shortened})", box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left"
    )
    out.add_column("", no_wrap=True)
    for heading in ("modes", "high quality %", "reverse KL", "steps", "seconds", "trials"):
        out.add_column(heading, justify="right", no_wrap=True)
    rows = {row.name: row for row in rows_of(protocol)}
    before = None
    for (name, _), found in summary.items():
        row = rows[name]
        if before is not None and row.part != before:
            out.add_section()
        before = row.part
        failed = f"{found['trials']} ({found['failed']} failed)" if found["failed"] else str(found["trials"])
        out.add_row(
            row.title,
            _figure(found["modes_covered"], 1),
            _figure(found["high_quality_share"], 1, 100),
            _figure(found["reverse_kl"], 3),
            str(found["steps"]),
            _figure(found["seconds"], 0),
            failed,
        )
    out.add_section()
    paper = {"veegan": "VEEGAN's table 1", "pacgan": "PacGAN's table 1"}[protocol]
    for name, of, modes, quality, kl in PUBLISHED[protocol]:
        if of == data:
            out.add_row(f"{paper}: {name}", modes, quality, kl or "-", "", "", "")
    return out


def _figure(value: tuple[float, float | None] | None, digits: int, scale: float = 1) -> str:
    if value is None:
        return "-"
    mean, error = value
    text = f"{mean * scale:.{digits}f}"
    return text if error is None else f"{text} ± {error * scale:.{digits}f}"


def _start_small(modules: dict[str, Any], std: float) -> None:
    """Weights of dense layers from N(0, std²), biases 0, before the first step."""
    from minigen import nn

    for name in ("generator", "discriminator"):
        for layer in modules[name].modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def _find(trials: Iterable[Trial], row: str, data: str, seed: int) -> Trial | None:
    wanted = (row, data, seed)
    return next((trial for trial in trials if (trial["row"], trial["data"], trial["seed"]) == wanted), None)


def _read(file: str | Path | None, steps: int | None) -> list[Trial]:
    """The trials that a file holds; none where there is none."""
    if file is None or not Path(file).exists():
        return []
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        found, trials = content["steps"], list(content["trials"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not a file of `minigen bench modes`; give another name.") from error
    if found != steps:
        raise UserError(f"{file} holds trials with steps={found}, not with steps={steps}; give another name.")
    return trials


def _write(file: str | Path | None, steps: int | None, trials: Sequence[Trial]) -> None:
    if file is not None:
        content = {"steps": steps, "trials": list(trials)}
        atomic_write(file, (json.dumps(content, indent=1) + "\n").encode())
