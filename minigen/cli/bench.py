"""`minigen bench NAME`: regenerate a table of results."""

from __future__ import annotations

from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    from minigen.bench import cpu, cuda, modes, restoration, vae

    parser = subparsers.add_parser(
        "bench",
        help="regenerate a table of results",
        description="Train, measure and print a table of results, beside those that others have published.",
    )
    tables = parser.add_subparsers(title="tables", metavar="NAME", required=True)
    for name, module, what in (
        ("cpu", cpu, "how fast training is on the CPU, beside PyTorch"),
        ("cuda", cuda, "how fast the CUDA kernels and training on a GPU are, beside cuDNN and PyTorch"),
        ("modes", modes, "which GANs keep all modes of a mixture of Gaussians"),
        ("restoration", restoration, "how well networks restore photographs, beside classical methods"),
        ("vae", vae, "how good VAEs and importance-weighted autoencoders are, in nats"),
    ):
        table = tables.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        module.add_arguments(table)
        table.set_defaults(run=module.run, help_command=f"minigen bench {name} --help")
