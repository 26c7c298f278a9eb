"""Writes down what every kernel takes on every architecture: `python -m minigen_kernels.cuda.resources TABLE.json`.

The table on record is `benchmarks/cuda_resources.json`. No GPU is needed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from .build import arch_name, build, compiler_versions
from .catalogue import catalogue
from .kernel import Kernel


def resources_of(kernel: Kernel) -> dict[str, dict[str, int]]:
    """What a kernel takes on each architecture that has its instructions."""
    return {arch_name(arch): asdict(build(kernel, arch).resources) for arch in kernel.architectures()}


def write(path: Path) -> None:
    """Writes the table: the compilers' versions, and a line for each kernel and architecture."""
    table = {name: resources_of(kernel) for name, kernel in catalogue().items()}
    lines = [
        f'    "{name}": {{\n'
        + ",\n".join(f'      "{arch}": {json.dumps(taken)}' for arch, taken in architectures.items())
        + "\n    }"
        for name, architectures in table.items()
    ]
    text = (
        f'{{\n  "compilers": {json.dumps(compiler_versions())},\n  "kernels": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
    )
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "Say where to write the table: python -m minigen_kernels.cuda.resources benchmarks/cuda_resources.json"
        )
    if not Path(sys.argv[1]).absolute().parent.is_dir():
        sys.exit(f"There is no folder for {sys.argv[1]}: make it first; to build all kernels takes minutes.")
    write(Path(sys.argv[1]))
