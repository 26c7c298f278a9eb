"""Building kernels without a GPU: what comes out, what it takes, and the cache on disk."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="kernels are written for Numba's CUDA target: pip install numba-cuda")

from minigen_kernels.cuda import build as building
from minigen_kernels.cuda.build import arch_name, build, cache_folder, compile_kernel, compiler_versions, digest
from minigen_kernels.cuda.catalogue import IN_DOUBLES, catalogue
from minigen_kernels.cuda.intrinsics import cp_async16, cp_async_commit, cp_async_wait, load4, mma_m16n8k8, store4, tf32
from minigen_kernels.cuda.kernel import Kernel
from minigen_kernels.cuda.ladder import RUNGS
from minigen_kernels.cuda.resources import resources_of, write
from numba import cuda, float32

TABLE = Path(__file__).parents[3] / "benchmarks" / "cuda_resources.json"
OLDEST, SM_80 = (7, 5), (8, 0)


def scaling(factor, threads=64, **options):
    @cuda.jit(device=True, inline="always")
    def scaled(value):
        return value * factor

    def scale(x):
        x[cuda.threadIdx.x] = scaled(x[cuda.threadIdx.x])

    return Kernel(scale, ("float32*",), (1, 1, 1), (threads, 1, 1), **options)


@pytest.fixture(scope="module")
def compilers():
    try:
        compile_kernel(scaling(2), SM_80)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGEN_CUDA_CACHE", str(tmp_path / "cubins"))
    return tmp_path / "cubins"


def recorded():
    return json.loads(TABLE.read_text(encoding="utf-8"))


@pytest.fixture
def one_front_end(monkeypatch):
    """Numba's front end, four fifths of a build, runs once for all architectures, whose code it does not tell apart.

    It asks only whether `tanh` is an instruction, which it is on all of ours. Where Numba has no such function any more,
    every architecture is built from the beginning.
    """
    from numba.cuda import compiler

    real, libraries = getattr(compiler, "_compile_pyfunc_with_fixup", None), {}

    def once(function, signature, launch_bounds, **options):
        options.pop("cc")
        key = function, signature, launch_bounds, *sorted(options.items())
        if key not in libraries:
            libraries[key] = real(function, signature, launch_bounds=launch_bounds, cc=OLDEST, **options)
        return libraries[key]

    if real is not None:
        monkeypatch.setattr(compiler, real.__name__, once)


def test_all_architectures_have_the_same_code_from_the_front_end(compilers, one_front_end, monkeypatch):
    """What `one_front_end` rests on. Numba gives numbers to what it has compiled, as a part of the names."""
    kernel, seen = catalogue()["ladder/tf32"], []
    real = building._resources

    def note(log, ptx):
        seen.append(re.sub(r"_ZN\w+|_cudapy_smem_\d+", "name", ptx))
        return real(log, ptx)

    def builds():
        with monkeypatch.context() as patch:
            patch.setattr(building, "_resources", note)
            for architecture in kernel.architectures():
                compile_kernel(kernel, architecture)
        found = seen.copy()
        seen.clear()
        return found

    shared = builds()
    monkeypatch.undo()
    assert shared == builds()
    assert len(set(shared)) > 1


@pytest.mark.parametrize("name", catalogue())
def test_a_kernel_builds_for_every_architecture_and_takes_what_the_record_says(name, compilers, cache, one_front_end):
    resources = resources_of(catalogue()[name])
    for arch, taken in resources.items():
        assert taken["spills"] == taken["stack"] == 0, (arch, taken)
        assert (taken["doubles"] > 0) == (name in IN_DOUBLES), (arch, taken)
    if compiler_versions() == recorded()["compilers"]:
        hint = "regenerate with: python -m minigen_kernels.cuda.resources benchmarks/cuda_resources.json"
        assert resources == recorded()["kernels"][name], hint


def test_every_kernel_is_on_record_and_spills_nowhere():
    kernels = recorded()["kernels"]
    assert kernels.keys() == catalogue().keys()
    for name, kernel in catalogue().items():
        assert list(kernels[name]) == [arch_name(arch) for arch in kernel.architectures()]
        assert all(taken["spills"] == 0 for taken in kernels[name].values()), name


def test_the_docstrings_of_the_ladder_say_what_the_record_says():
    for name, rung in RUNGS.items():
        figures = recorded()["kernels"][f"ladder/{name}"]
        text = " ".join(rung.__doc__.split())
        registers = re.search(r"(\d+) registers a thread on sm_80 and (\d+) on sm_90", text)
        assert [int(n) for n in registers.groups()] == [figures[arch]["registers"] for arch in ("sm_80", "sm_90")], name
        shared = figures["sm_80"]["shared"]
        assert (f"{shared} bytes of shared memory" if shared else "no shared memory") in text, name


def test_the_record_is_written_as_it_is_kept(compilers, cache, tmp_path, monkeypatch):
    monkeypatch.setattr("minigen_kernels.cuda.resources.catalogue", lambda: {"scale": scaling(2)})
    write(tmp_path / "table.json")
    table = json.loads((tmp_path / "table.json").read_text())
    assert table == {"compilers": compiler_versions(), "kernels": {"scale": resources_of(scaling(2))}}
    assert list(table["kernels"]["scale"]) == ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


def test_intrinsics_become_their_instructions(compilers, monkeypatch):
    def probe(x, y):
        s = cuda.shared.array(128, float32, alignment=16)
        t = 4 * cuda.threadIdx.x
        cp_async16(s, t, x, t, t > 3)
        cp_async_commit()
        cp_async_wait(1)
        cuda.syncthreads()
        a, b, c, d = load4(s, 124 - t)
        a, b, c, d = mma_m16n8k8(tf32(a), tf32(b), tf32(c), tf32(d), tf32(a), tf32(b), a, b, c, d)
        store4(y, t, a, b, c, d)

    seen = []
    monkeypatch.setattr(
        building, "_resources", lambda log, ptx, real=building._resources: seen.append(ptx) or real(log, ptx)
    )
    kernel = Kernel(probe, ("float32*",) * 2, (1, 1, 1), (32, 1, 1), oldest=SM_80)
    for architecture in kernel.architectures():
        cubin = compile_kernel(kernel, architecture)
        assert cubin.code.startswith(b"\x7fELF")
        assert b"probe" in cubin.code
        assert cubin.resources.shared == 512
    for instruction in (
        "cp.async.cg.shared.global",
        "cp.async.commit_group",
        "cp.async.wait_group 1",
        r"ld\.shared\.v4\.(f32|b32)",
        r"st\.global\.v4\.(f32|b32)",
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
        "cvt.rna.tf32.f32",
    ):
        assert all(re.search(instruction, ptx) for ptx in seen), instruction
    with pytest.raises(ValueError, match="instructions of sm_80 and newer, so it cannot be built for sm_75"):
        build(kernel, (7, 5))
    with pytest.raises(ValueError, match="no architecture sm_137; name one that there is"):
        build(kernel, (13, 7))


def test_a_bare_fraction_is_counted_as_double_precision(compilers):
    def careless(x):
        x[cuda.threadIdx.x] = x[cuda.threadIdx.x] * 0.3

    def careful(x):
        x[cuda.threadIdx.x] = x[cuda.threadIdx.x] * float32(0.3)

    doubles = [
        compile_kernel(Kernel(f, ("float32*",), (1, 1, 1), (64, 1, 1)), SM_80).resources.doubles
        for f in (careless, careful)
    ]
    assert doubles[0] > 0
    assert doubles[1] == 0


def test_a_built_kernel_is_found_again_and_a_broken_file_is_built_anew(compilers, cache, monkeypatch):
    first = build(scaling(2), SM_80)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(building, "compile_kernel", lambda *_: pytest.fail("built again"))
        assert build(scaling(2), SM_80) == first
    for broken in (b"", whole[:-1], whole[:200] + b"\0" + whole[201:], b"no check\n" + whole):
        path.write_bytes(broken)
        built = build(scaling(2), SM_80)
        assert built.resources == first.resources
        assert built.code.startswith(b"\x7fELF")
        assert build(scaling(2), SM_80) == built  # from the file, which is whole again
    assert [p.name for p in cache.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_written_is_done_without(compilers, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIGEN_CUDA_CACHE", str(tmp_path / "file" / "below"))
    with pytest.warns(UserWarning, match="they are built each time"):
        assert build(scaling(2), SM_80).code


def test_the_cache_is_where_the_environment_says_or_in_the_home_folder(monkeypatch):
    monkeypatch.setenv("MINIGEN_CUDA_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("MINIGEN_CUDA_CACHE")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    assert cache_folder() == Path("/home/ada/.cache/minigen/cuda")


def test_the_digest_changes_with_all_that_decides_the_machine_code(monkeypatch):
    base = digest(scaling(2), SM_80)
    assert digest(scaling(2), SM_80) == base
    others = [
        digest(scaling(np.float32(2)), SM_80),
        digest(scaling(3), SM_80),
        digest(scaling(2), (9, 0)),
        digest(scaling(2, threads=128), SM_80),
    ]
    others.append(digest(scaling(2, blocks_per_sm=2), SM_80))
    monkeypatch.setattr(building, "compiler_versions", lambda: {"numba-cuda": "another"})
    others.append(digest(scaling(2), SM_80))
    assert len({base, *others}) == 7


def test_the_digest_sees_the_source_of_an_intrinsic(monkeypatch):
    def loads(x):
        x[0] = load4(x, 0)[3]

    kernel = Kernel(loads, ("float32*",), (1, 1, 1), (1, 1, 1))
    sources = "\n".join(building._sources(kernel.function, set()))
    assert "extract_element" in sources
    assert "builder.gep" in sources  # of a function that the intrinsic calls


def test_a_constant_that_cannot_be_part_of_a_digest_is_refused():
    with pytest.raises(TypeError, match=r"uses factor, a ndarray: what a kernel takes from outside must be a number"):
        digest(scaling(np.ones(2)), SM_80)


def test_without_numba_cuda_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(building.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match="numba-cuda is missing here; install them with: pip install numba-cuda nvidia"
    ):
        compile_kernel(scaling(2), SM_80)


@pytest.mark.parametrize("package", building.LIBRARIES)
def test_without_one_of_the_compilers_the_sentence_names_it(package, monkeypatch):
    pathfinder = pytest.importorskip("cuda.pathfinder", reason="it comes with numba-cuda")

    def load(library):
        if library == building.LIBRARIES[package]:
            raise pathfinder.DynamicLibNotFoundError(library)

    monkeypatch.setattr(pathfinder, "load_nvidia_dynamic_lib", load)
    with pytest.raises(ImportError, match=f"and {package} is missing here"):
        compile_kernel(scaling(2), SM_80)


def test_versions_name_the_compilers_that_are_installed():
    assert "numba" in compiler_versions()
