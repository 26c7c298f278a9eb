import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigen import Generator
from minigen.errors import CheckpointError, DtypeError, TrainingError, UserError
from minigen.training.checkpoint import NoCheckpointError, load_latest, save_checkpoint

ARRAYS = {"model.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer.d.0.exp_avg": np.ones(3)}


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype, name
        assert ours[name].shape == array.shape, name
        assert ours[name].tobytes() == array.tobytes(), name


def test_every_kind_of_array_comes_back_with_the_same_bits(tmp_path):
    base = np.random.default_rng(0).standard_normal((4, 3, 5))
    arrays = {
        "zero_dimensional": np.array(3.5, np.float32),
        "empty": np.zeros((0, 3)),
        "bool": np.array([True, False, True]),
        "zero_dimensional_bool": np.array(True),
        "int64": np.array([-(2**63), 2**63 - 1]),
        "uint8": np.arange(256, dtype=np.uint8),
        "float16": np.array([1, np.inf], np.float16),
        "float32": base.astype(np.float32),
        "float64": base,
        "nan_payload": np.array([0x7FF8DEADBEEF0001, 0x8000000000000000], np.uint64).view(np.float64),
        "transposed": base.transpose(2, 0, 1),
        "fortran": np.asfortranarray(base),
        "strided": base[::2, ::-1, 1::2],
        "broadcast": np.broadcast_to(np.float32(2), (3, 2)),
        "NHWC seen as NCHW": np.arange(24.0).reshape(1, 2, 3, 4).transpose(0, 3, 1, 2),
    }
    save_checkpoint(tmp_path, 1, arrays)
    loaded = load_latest(tmp_path).arrays
    assert_same(loaded, arrays)
    loaded["float64"] += 1  # writable


def test_the_other_byte_order_is_saved_by_value(tmp_path):
    save_checkpoint(tmp_path, 0, {"big": np.arange(3, dtype=">f8")})
    np.testing.assert_array_equal(load_latest(tmp_path).arrays["big"], [0.0, 1.0, 2.0])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=hnp.arrays(
        st.sampled_from([np.bool_, np.int64, np.float32, np.float64]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
    order=st.randoms(use_true_random=False),
)
def test_any_array_in_any_layout_comes_back_with_the_same_bits(tmp_path, array, order):
    axes = list(range(array.ndim))
    order.shuffle(axes)
    arrays = {"as it is": array, "permuted": array.transpose(axes), "halved": array[..., ::2] if array.ndim else array}
    save_checkpoint(tmp_path, 1, arrays)
    assert_same(load_latest(tmp_path).arrays, arrays)


def test_the_meta_comes_back_with_generator_states_and_awkward_text(tmp_path):
    meta = {
        "generator": Generator(3).get_state(),
        "loss": 0.1 + 0.2,
        "best": float("inf"),
        "text": '"sha256": "' + "0" * 64 + '" {} \\" é \x00 \n',
        "none": None,
        "list": [1, [2.5, True]],
    }
    save_checkpoint(tmp_path, 7, {'"sha256": "': np.ones(1)}, meta)
    checkpoint = load_latest(tmp_path)
    assert checkpoint.meta == meta
    assert checkpoint.step == 7
    restored = Generator(0)
    restored.set_state(checkpoint.meta["generator"])
    assert restored.normal((4,)).tobytes() == Generator(3).normal((4,)).tobytes()


def test_a_checkpoint_is_one_safetensors_file_that_others_can_read(tmp_path):
    from safetensors.numpy import load_file

    path = save_checkpoint(tmp_path, 12, ARRAYS, {"epoch": 1})
    assert names(tmp_path) == ["step-00000012.safetensors"] == [path.name]
    assert_same(load_file(path), ARRAYS)


def test_the_same_content_gives_the_same_file(tmp_path):
    first = save_checkpoint(tmp_path / "a", 1, ARRAYS, {"x": 1}).read_bytes()
    assert save_checkpoint(tmp_path / "b", 1, ARRAYS, {"x": 1}).read_bytes() == first


def test_the_last_few_are_kept_and_the_newest_is_loaded(tmp_path):
    for step in [1, 2, 3, 10, 200]:
        save_checkpoint(tmp_path, step, {"x": np.array(step)})
    assert [int(name[5:13]) for name in names(tmp_path)] == [3, 10, 200]
    checkpoint = load_latest(tmp_path)
    assert (checkpoint.step, int(checkpoint.arrays["x"]), checkpoint.skipped) == (200, 200, [])
    save_checkpoint(tmp_path, 201, ARRAYS, keep=1)
    assert len(names(tmp_path)) == 1


def test_steps_of_more_than_eight_digits_are_ordered_by_number(tmp_path):
    for step in [99_999_999, 100_000_000]:
        save_checkpoint(tmp_path, step, ARRAYS)
    assert load_latest(tmp_path).step == 100_000_000


def test_damaged_checkpoints_of_later_steps_do_not_push_out_the_only_good_one(tmp_path):
    for step in (5, 6, 7):
        (tmp_path / f"step-{step:08d}.safetensors").write_bytes(b"junk")
    save_checkpoint(tmp_path, 3, ARRAYS)
    save_checkpoint(tmp_path, 4, ARRAYS, keep=1)
    checkpoint = load_latest(tmp_path)
    assert checkpoint.step == 4
    assert [skipped.name[5:13] for skipped in checkpoint.skipped] == ["00000007", "00000006", "00000005"]


def test_a_step_that_is_saved_again_replaces_its_checkpoint(tmp_path):
    save_checkpoint(tmp_path, 1, {"x": np.array(1)})
    save_checkpoint(tmp_path, 1, {"x": np.array(2)})
    assert int(load_latest(tmp_path).arrays["x"]) == 2
    assert len(names(tmp_path)) == 1


# ---- damage


def two_checkpoints(folder):
    save_checkpoint(folder, 1, ARRAYS, {"epoch": 1})
    return save_checkpoint(folder, 2, ARRAYS, {"epoch": 2, "text": "some text"})


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_found_and_the_one_before_is_used(tmp_path, share, flip):
    path = two_checkpoints(tmp_path)
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] ^= flip
    path.write_bytes(data)
    checkpoint = load_latest(tmp_path)
    assert checkpoint.step == 1
    assert_same(checkpoint.arrays, ARRAYS)
    ((name, reason),) = checkpoint.skipped
    assert name == "step-00000002.safetensors"
    assert reason.startswith("is ")


def test_a_flipped_bit_in_every_single_byte_is_found(tmp_path):
    path = save_checkpoint(tmp_path, 2, {"x": np.ones(2, np.float32)}, {"epoch": 2})
    data = path.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"step-00000002\.safetensors is"):
            load_latest(tmp_path)


def test_a_file_cut_off_anywhere_is_found_and_said_to_be_truncated(tmp_path):
    path = two_checkpoints(tmp_path)
    data = path.read_bytes()
    for size in [0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:size])
        checkpoint = load_latest(tmp_path)
        assert checkpoint.step == 1
        assert checkpoint.skipped[0].reason.startswith("is truncated" if size else "is empty"), size


def test_bytes_after_the_end_are_found(tmp_path):
    path = two_checkpoints(tmp_path)
    path.write_bytes(path.read_bytes() + b"x")
    assert load_latest(tmp_path).step == 1


def test_the_safetensors_file_of_another_program_is_not_taken_for_ours(tmp_path):
    from safetensors.numpy import save_file

    save_file(ARRAYS, tmp_path / "step-00000009.safetensors")
    with pytest.raises(CheckpointError, match="is not a checkpoint of minigen"):
        load_latest(tmp_path)


def test_when_none_is_whole_one_sentence_names_each_and_why(tmp_path):
    two_checkpoints(tmp_path).write_bytes(b"")
    (tmp_path / "step-00000001.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError) as caught:
        load_latest(tmp_path)
    sentence = str(caught.value)
    assert "step-00000002.safetensors is empty, step-00000001.safetensors is truncated" in sentence
    assert "\n" not in sentence


def test_no_checkpoint_at_all_is_told_apart(tmp_path):
    with pytest.raises(NoCheckpointError, match="There is no checkpoint in"):
        load_latest(tmp_path)
    with pytest.raises(NoCheckpointError, match="missing"):
        load_latest(tmp_path / "missing")


def test_other_files_in_the_folder_are_not_taken_for_checkpoints(tmp_path):
    two_checkpoints(tmp_path)
    for name in ("step-3.safetensors.bak", "notes.txt", ".step-00000009.safetensors.1.tmp"):
        (tmp_path / name).write_bytes(b"x")
    assert load_latest(tmp_path).step == 2


# ---- faults while writing


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), TrainingError),
        (OSError(errno.EIO, "Input/output error"), TrainingError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_fault_while_writing_leaves_the_checkpoint_before_and_no_temporary_file(
    tmp_path, monkeypatch, call, fault, raised
):
    two_checkpoints(tmp_path)
    before = names(tmp_path)

    def fail(*_):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(raised) as caught:
            save_checkpoint(tmp_path, 3, ARRAYS, keep=1)
    if raised is TrainingError:
        assert fault.strerror in str(caught.value)
        assert "step-00000003.safetensors" in str(caught.value)
    assert names(tmp_path) == before
    assert load_latest(tmp_path).step == 2
    assert load_latest(tmp_path).skipped == []


FULL_DISK = """
import resource, sys
import numpy as np
from minigen.errors import TrainingError
from minigen.training.checkpoint import save_checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save_checkpoint(sys.argv[1], 3, {"x": np.zeros(100_000)})
except TrainingError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_disk_that_takes_no_more_bytes_leaves_the_checkpoint_before(tmp_path):
    two_checkpoints(tmp_path)
    result = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
    assert "Could not write" in result.stdout
    assert names(tmp_path) == ["step-00000001.safetensors", "step-00000002.safetensors"]
    assert load_latest(tmp_path).step == 2


def test_temporary_files_of_killed_processes_are_cleaned_up(tmp_path):
    (tmp_path / ".step-00000001.safetensors.4711.tmp").write_bytes(b"half")
    save_checkpoint(tmp_path, 2, ARRAYS)
    assert names(tmp_path) == ["step-00000002.safetensors"]


SAVER = """
import sys
import numpy as np
from minigen.training.checkpoint import save_checkpoint
step = int(sys.argv[2])
while True:
    step += 1
    save_checkpoint(sys.argv[1], step, {"x": np.full(50_000, step)}, {"epoch": step})
    print(step, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_9_at_any_moment_leaves_the_last_finished_checkpoint_or_a_later_one(tmp_path):
    rng = random.Random(0)
    step = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, tmp_path, str(step)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(rng.randint(1, 3)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        finished = [int(line) for line in process.stdout.read().split()]
        process.wait()
        checkpoint = load_latest(tmp_path)
        assert checkpoint.skipped == []
        assert checkpoint.step >= max([*finished, step + 1])
        assert checkpoint.meta == {"epoch": checkpoint.step}
        np.testing.assert_array_equal(checkpoint.arrays["x"], np.full(50_000, checkpoint.step))
        step = checkpoint.step


# ---- mistakes


def test_arrays_and_meta_that_cannot_be_saved_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DtypeError, match="object"):
        save_checkpoint(tmp_path, 1, {"x": np.array([None])})
    with pytest.raises(UserError, match="must fit JSON"):
        save_checkpoint(tmp_path, 1, ARRAYS, {"x": np.ones(2)})
    with pytest.raises(UserError, match="not -1 and 3"):
        save_checkpoint(tmp_path, -1, ARRAYS)
    assert names(tmp_path) == []


def test_a_folder_that_is_a_file_is_a_mistake_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text(json.dumps("x"))
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(UserError, match="Cannot write"):
            save_checkpoint(folder, 1, ARRAYS)
