"""Builds a kernel for one architecture into a cubin: machine code, and what it takes of the machine.

Numba compiles the Python function to PTX, and NVIDIA's linker, from a wheel, assembles that. Neither needs a GPU or a
driver. PTX is not what we keep: a driver older than the compiler may refuse it, while a cubin it only loads.

A build takes from some tenths of a second to two seconds, so cubins are kept on disk, in the folder that MINIGEN_CUDA_CACHE names, or else in
~/.cache/minigen/cuda. A file is found by a digest of all that decides what is in it: the sources of the kernel and of
whatever it calls, the values of their constants, the launch bounds, the architecture, and the versions of the compilers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from .kernel import Architecture, Kernel

FORMAT = 1  # of the files in the cache
COMPILERS = (
    "numba",
    "numba-cuda",
    "cuda-core",
    "nvidia-nvvm",
    "nvidia-nvjitlink",
    "nvidia-cuda-nvcc-cu12",
    "nvidia-nvjitlink-cu12",
)
LIBRARIES = {"nvidia-nvvm": "nvvm", "nvidia-nvjitlink": "nvJitLink", "nvidia-cuda-nvrtc": "nvrtc"}
MISSING = (
    "Building CUDA kernels needs Numba-CUDA and NVIDIA's compilers, and {} is missing here; install them with: "
    "pip install numba-cuda nvidia-nvvm nvidia-nvjitlink nvidia-cuda-nvrtc"
)


@dataclass(frozen=True)
class Resources:
    """What a kernel takes on one architecture.

    Attributes:
        registers: of each thread.
        shared: bytes of static shared memory of each block.
        stack: bytes of local memory of each thread, spills included.
        spills: bytes that a thread stores and loads because registers did not suffice.
        doubles: instructions of the PTX in double precision; one bare `0.5` in a kernel brings them in.
    """

    registers: int
    shared: int
    stack: int
    spills: int
    doubles: int


@dataclass(frozen=True)
class Cubin:
    """A built kernel: its machine code, the name under which to find it there, and what it takes."""

    code: bytes
    name: str
    resources: Resources


def build(kernel: Kernel, architecture: Architecture) -> Cubin:
    """The kernel's machine code for an architecture such as (9, 0), from the cache or built and put there.

    Raises:
        ImportError: NVIDIA's compilers are not installed; the sentence says what to install.
        ValueError: the architecture does not have the kernel's instructions, or the compilers do not know it.
    """
    if architecture < kernel.oldest:
        raise ValueError(
            f"kernel {kernel.name} has instructions of {arch_name(kernel.oldest)} and newer, so it cannot be built for "
            f"{arch_name(architecture)}; use another kernel there."
        )
    path = cache_folder() / f"{kernel.name}-{arch_name(architecture)}-{digest(kernel, architecture)}.cubin"
    cubin = _read(path)
    if cubin is None:
        cubin = compile_kernel(kernel, architecture)
        _write(path, cubin)
    return cubin


def arch_name(architecture: Architecture) -> str:
    """The name of an architecture.

    >>> arch_name((9, 0))
    'sm_90'
    """
    return f"sm_{architecture[0]}{architecture[1]}"


def cache_folder() -> Path:
    """The folder of the cubins: what MINIGEN_CUDA_CACHE names, or else ~/.cache/minigen/cuda."""
    return Path(os.environ.get("MINIGEN_CUDA_CACHE") or Path.home() / ".cache" / "minigen" / "cuda")


def compile_kernel(kernel: Kernel, architecture: Architecture) -> Cubin:
    """Builds without the cache; the errors are those of `build`."""
    _require_compilers()
    from cuda.core import Linker, LinkerOptions, ObjectCode
    from numba import cuda, types

    ptx, _ = cuda.compile(
        kernel.function,
        types.void(*(_numba_type(parameter) for parameter in kernel.parameters)),
        cc=architecture,
        device=False,
        abi="numba",
        launch_bounds=(kernel.threads, kernel.blocks_per_sm),
    )
    ptx = ptx.replace(_only(r"\.entry\s+(\w+)", ptx), kernel.name)
    options = LinkerOptions(arch=arch_name(architecture), ptxas_options=["-v"])
    try:
        linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    except Exception as error:
        if "UNRECOGNIZED_ARCH" not in str(error):
            raise
        raise ValueError(
            f"The installed compilers know no architecture {arch_name(architecture)}; name one that there is, such as (9, 0) "
            "for an H100, or install newer compilers."
        ) from error
    code = linker.link("cubin").code
    return Cubin(code, kernel.name, _resources(linker.get_info_log(), ptx))


def _require_compilers() -> None:
    if (
        importlib.util.find_spec("numba_cuda") is None
    ):  # then `numba.cuda` is Numba's own, which wants a whole CUDA toolkit
        raise ImportError(MISSING.format("numba-cuda"))
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    for package, library in LIBRARIES.items():
        try:
            load_nvidia_dynamic_lib(library)
        except DynamicLibNotFoundError as error:
            raise ImportError(MISSING.format(package)) from error


def digest(kernel: Kernel, architecture: Architecture) -> str:
    """Sixteen digits that change with anything that decides the kernel's machine code."""
    parts = [
        FORMAT,
        arch_name(architecture),
        kernel.parameters,
        kernel.threads,
        kernel.blocks_per_sm,
        compiler_versions(),
    ]
    text = "\n".join([*map(str, parts), *_sources(kernel.function, set())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sources(function: Any, seen: set[Any]) -> Iterator[str]:
    """The source of a function, the values of the names in it, and the same of the functions that it calls."""
    if function in seen:
        return
    seen.add(function)
    yield inspect.getsource(function)
    names = _names(function.__code__)
    scope = {name: function.__globals__[name] for name in sorted(names) if name in function.__globals__}
    cells = zip(function.__code__.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()))
    for name, value in (*scope.items(), *cells):
        called = getattr(value, "py_func", None) or getattr(value, "_defn", None) or value
        if isinstance(called, FunctionType):
            yield f"{name}:"
            yield from _sources(called, seen)
        elif isinstance(value, ModuleType | BuiltinFunctionType | type):
            yield f"{name}: {value.__name__}"
        elif isinstance(value, int | float | str | tuple | np.generic | None) or "numba" in type(value).__module__:
            yield f"{name} = {value!r}"
        elif "llvmlite" in type(value).__module__:
            yield f"{name} = {value}"
        else:
            raise TypeError(
                f"{function.__qualname__} uses {name}, a {type(value).__name__}: what a kernel takes from outside must "
                f"be a number, a tuple of numbers or a device function, so that a cubin can be found by it."
            )


def _names(code: CodeType) -> set[str]:
    """The global names that a function and those defined in it use."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def compiler_versions() -> dict[str, str]:
    """The installed versions of the compilers."""
    versions = {}
    for name in COMPILERS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _numba_type(parameter: str) -> Any:
    from numba import types

    kind = getattr(types, parameter.rstrip("*"))
    for _ in range(parameter.count("*")):
        kind = types.CPointer(kind)
    return kind


def _resources(log: str, ptx: str) -> Resources:
    memory = re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", log)
    stack, stores, loads = map(int, memory)
    arrays = re.findall(r"^\s*(?:\.visible )?\.shared [^;]*\[(\d+)\];", ptx, re.MULTILINE)
    return Resources(
        registers=int(_only(r"Used (\d+) registers", log)),
        shared=sum(map(int, arrays)),
        stack=stack,
        spills=stores + loads,
        doubles=len(re.findall(r"^\s+\w[\w.]*\.f64\b", ptx, re.MULTILINE)),
    )


def _only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text)
    return found


def _write(path: Path, cubin: Cubin) -> None:
    """Puts a cubin into the cache, whole or not at all; a cache that cannot be written is done without."""
    head = json.dumps({"name": cubin.name, "resources": asdict(cubin.resources)}).encode()
    content = head + b"\n" + cubin.code
    check = hashlib.sha256(content).hexdigest().encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(check + b"\n" + content)
        os.replace(temporary, path)
    except OSError as error:
        warnings.warn(
            f"The CUDA kernels cannot be kept in {path.parent} ({error}); they are built each time.", stacklevel=2
        )


def _read(path: Path) -> Cubin | None:
    """The cubin in a file of the cache, or None where there is none or not a whole one."""
    try:
        check, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest().encode() != check:
        return None
    head, _, code = content.partition(b"\n")
    values = json.loads(head)
    return Cubin(code, values["name"], Resources(**values["resources"]))
