"""`minigen info`: versions, devices, and which kernels are in use and why."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("numpy", "numba", "scipy", "scikit-learn", "safetensors", "matplotlib", "pillow", "rich", "cupy", "numba-cuda")


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "info",
        help="versions, devices and kernels",
        description="Show versions, devices, and which kernels are in use and why.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the lines."""
    for name, value in lines():
        print(f"{name:22} {value}")
    return 0


def lines() -> list[tuple[str, str]]:
    """What `minigen info` shows, as (name, value) pairs."""
    from minigen import __version__
    from minigen.device import NAMES, why_unavailable
    from minigen_kernels import cpu

    out = [("minigen", __version__), ("python", platform.python_version()), ("system", platform.platform())]
    for package in PACKAGES:
        try:
            out.append((package, version(package)))
        except PackageNotFoundError:
            out.append((package, "not installed"))
    for name in NAMES:
        out.append((f"device {name}", why_unavailable(name) or "available"))
    out += [("kernels cpu", "minigen_kernels.cpu: patches by Numba, products by NumPy's BLAS, one pool of threads")]
    out += [("threads", f"{cpu.num_threads()} (MINIGEN_NUM_THREADS sets it)")]
    return out
