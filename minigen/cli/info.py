"""`minigen info`: versions, devices, and which kernels are in use and why."""

from __future__ import annotations

import argparse
import platform
from typing import Any

from minigen.bench.records import version_of

PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "scikit-learn",
    "safetensors",
    "matplotlib",
    "pillow",
    "rich",
    "cupy",
    "numba-cuda",
)
WHEELS = {"cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy")}  # what is installed is named after the version of CUDA


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "info",
        help="versions, devices and kernels",
        description="Show versions, devices, and which kernels are in use and why.",
    )
    parser.set_defaults(run=run, help_command="minigen info --help")


def run(args: argparse.Namespace) -> int:
    """Print the lines."""
    for name, value in lines():
        print(f"{name:22} {value}")
    return 0


def lines() -> list[tuple[str, str]]:
    """What `minigen info` shows, as (name, value) pairs."""
    from minigen import __version__
    from minigen.device import NAMES, why_unavailable

    out = [("minigen", __version__), ("python", platform.python_version()), ("system", platform.platform())]
    out.extend((package, _version(package)) for package in PACKAGES)
    out.extend((f"device {name}", why_unavailable(name) or "available") for name in NAMES)
    return out + _kernels()


def _version(package: str) -> str:
    return next(filter(None, map(version_of, WHEELS.get(package, (package,)))), "not installed")


def _kernels() -> list[tuple[str, str]]:
    import llvmlite.binding
    from minigen_kernels import cpu
    from threadpoolctl import threadpool_info

    from minigen.device import why_unavailable

    blas = [
        f"{library['internal_api']} {library['version']} for {library.get('architecture', 'this processor')}"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    compiled = "in an earlier run" if cpu.compiled_before() else "when first needed, for up to half a minute"
    return [
        (
            "kernels of cpu",
            f"in use: compiled by Numba for {llvmlite.binding.get_host_cpu_name()}, {compiled};",
        ),
        ("", f"small and float64 products of matrices by {', '.join(blas) or 'the BLAS of NumPy'},"),
        ("", f"held to one thread, because minigen's own {cpu.num_threads()} threads run both"),
        ("", "(MINIGEN_NUM_THREADS sets how many)"),
        ("kernels of cuda", f"not in use: {why_unavailable('cuda')}"),
    ]
