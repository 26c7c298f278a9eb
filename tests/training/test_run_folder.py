import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from minigen.errors import CheckpointError, TrainingError, UserError
from minigen.training.run_folder import RunFolder, new_run_path

CONFIG = {"model": "vae", "epochs": 3, "lr": 1e-3, "data": "digits"}


@pytest.fixture
def finished(tmp_path):
    with RunFolder.create(tmp_path / "run", CONFIG) as run:
        for epoch in (1, 2, 3):
            run.append({"epoch": epoch, "loss": 1 / epoch})
    return run.path


def epochs(run):
    return [record["epoch"] for record in run.records()]


def test_a_new_run_holds_its_config_and_its_records_one_json_object_a_line(finished):
    assert json.loads((finished / "config.json").read_text()) == CONFIG
    lines = (finished / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"epoch": e, "loss": 1 / e} for e in (1, 2, 3)]
    run = RunFolder.open(finished)
    assert run.config == CONFIG
    assert run.records()[1] == {"epoch": 2, "loss": 0.5}
    assert run.checkpoints == finished / "checkpoints"


def test_the_config_of_a_new_run_is_what_will_be_read_back(tmp_path):
    config = {"lr": np.float32(0.5), "out": tmp_path, "sizes": (1, np.int64(2)), "epochs": np.int64(3)}
    with RunFolder.create(tmp_path / "run", config) as run:
        assert run.config == {"lr": 0.5, "out": str(tmp_path), "sizes": [1, 2], "epochs": 3}
    assert RunFolder.open(run.path).config == run.config


def test_numpy_numbers_are_written_as_numbers_and_nan_as_null(tmp_path):
    with RunFolder.create(tmp_path / "run", CONFIG) as run:
        run.append({"epoch": np.int64(1), "loss": np.float64(0.1), "kl": float("nan"), "g": np.float32("inf")})
        assert run.records() == [{"epoch": 1, "loss": 0.1, "kl": None, "g": None}]


def test_a_half_written_last_record_is_not_read_and_is_gone_after_resuming(finished):
    metrics = finished / "metrics.jsonl"
    whole = metrics.read_bytes()
    for cut in range(1, 12):
        metrics.write_bytes(whole[:-cut])
        assert epochs(RunFolder.open(finished)) == [1, 2]
        with RunFolder.resume(finished) as run:
            assert epochs(run) == [1, 2]
            run.append({"epoch": 3, "loss": 1 / 3})
        assert metrics.read_bytes() == whole


def test_a_first_record_cut_off_leaves_none(finished):
    (finished / "metrics.jsonl").write_bytes(b'{"epo')
    with RunFolder.resume(finished) as run:
        assert run.records() == []
        run.append({"epoch": 1})
    assert (finished / "metrics.jsonl").read_bytes() == b'{"epoch": 1}\n'


def test_a_damaged_record_in_the_middle_is_named_by_its_line(finished):
    metrics = finished / "metrics.jsonl"
    lines = metrics.read_bytes().splitlines(keepends=True)
    for damage in (b"\0" * 10 + b"\n", b"[1]\n", b'{"loss": 1}\n', b'{"epoch": null}\n', b"\xff\n"):
        metrics.write_bytes(lines[0] + damage + lines[2])
        with pytest.raises(CheckpointError, match=r"Line 2 of .*metrics\.jsonl is damaged"):
            RunFolder.open(finished).records()


def test_rewinding_removes_the_records_after_the_epoch_and_no_other(finished):
    with RunFolder.resume(finished) as run:
        run.rewind(5)
        assert epochs(run) == [1, 2, 3]
        run.rewind(2)
        assert epochs(run) == [1, 2]
        run.append({"epoch": 3, "loss": 0.0})
        assert run.records()[-1]["loss"] == 0.0
        run.rewind(0)
        assert epochs(run) == []


def test_a_fault_while_rewinding_leaves_every_record(finished, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    with RunFolder.resume(finished) as run:
        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(TrainingError, match="Input/output error"):
            run.rewind(1)
        assert epochs(run) == [1, 2, 3]


def test_a_fault_while_appending_leaves_the_file_as_it_was(finished, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (finished / "metrics.jsonl").read_bytes()
    with RunFolder.resume(finished) as run:
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(TrainingError, match="No space left on device"):
            run.append({"epoch": 4})
    assert (finished / "metrics.jsonl").read_bytes() == before


FULL_DISK = """
import resource, sys
from minigen.errors import TrainingError
from minigen.training.run_folder import RunFolder
with RunFolder.resume(sys.argv[1]) as run:
    resource.setrlimit(resource.RLIMIT_FSIZE, (run.metrics.stat().st_size + 10,) * 2)
    try:
        run.append({"epoch": 4, "loss": 0.25})
    except TrainingError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_record_that_fits_the_disk_only_in_part_is_taken_back(finished):
    before = (finished / "metrics.jsonl").read_bytes()
    result = subprocess.run([sys.executable, "-c", FULL_DISK, finished], capture_output=True, text=True, check=True)
    assert "Could not write" in result.stdout
    assert (finished / "metrics.jsonl").read_bytes() == before


def test_a_record_needs_its_epoch(finished):
    with RunFolder.resume(finished) as run, pytest.raises(UserError, match='needs an integer "epoch"'):
        run.append({"loss": 1.0})


# ---- which folder


def test_new_runs_take_the_first_free_name(tmp_path):
    root = tmp_path / "runs"
    assert [new_run_path("gan", root).name for _ in range(3)] == ["gan-1", "gan-2", "gan-3"]
    (root / "gan-2").rmdir()
    assert new_run_path("gan", root) == root / "gan-2"
    assert new_run_path("vae", root).name == "vae-1"


def test_a_new_run_may_begin_in_an_empty_folder_or_one_whose_creation_was_killed(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    RunFolder.create(empty, CONFIG).close()
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / ".lock").write_bytes(b"process 1")
    (killed / ".config.json.1.tmp").write_bytes(b'{"mod')
    RunFolder.create(killed, CONFIG).close()
    assert RunFolder.open(killed).config == CONFIG
    with RunFolder.resume(killed):
        assert sorted(path.name for path in killed.iterdir()) == [".lock", "config.json"]


def test_a_new_run_in_the_folder_of_another_is_refused_with_both_ways_out(finished):
    with pytest.raises(UserError, match=r"holds a run already: go on with it by --resume .*, or give another --out"):
        RunFolder.create(finished, {"model": "gan"})
    assert RunFolder.open(finished).config == CONFIG


def test_a_new_run_among_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"not empty \(it holds thesis\.tex\)"):
        RunFolder.create(tmp_path, CONFIG)
    with pytest.raises(UserError, match="is a file"):
        RunFolder.create(tmp_path / "thesis.tex", CONFIG)
    with pytest.raises(UserError, match="is a file"):
        new_run_path("gan", tmp_path / "thesis.tex")


def test_what_is_not_a_run_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    for path, words in [
        (tmp_path, "is not a run"),
        (tmp_path / "missing", "There is no run at"),
        (tmp_path / "file", "is not a run"),
    ]:
        for way in (RunFolder.open, RunFolder.resume):
            with pytest.raises(UserError, match=words) as caught:
                way(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "3"])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json"):
        RunFolder.open(tmp_path)


# ---- one writer


def test_a_run_that_is_open_for_reading_is_not_written_to(finished):
    run = RunFolder.open(finished)
    for write in (lambda: run.append({"epoch": 4}), lambda: run.rewind(0)):
        with pytest.raises(UserError, match="open for reading only"):
            write()
    assert epochs(run) == [1, 2, 3]


HOLDER = """
import sys, time
from minigen.training.run_folder import RunFolder
run = RunFolder.resume(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL and flock")
def test_a_second_writer_is_refused_by_the_pid_of_the_first_and_let_in_when_that_is_killed(finished):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, finished], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"written by another process \(process {holder.pid}\)"):
            RunFolder.resume(finished)
        assert epochs(RunFolder.open(finished)) == [1, 2, 3]
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with RunFolder.resume(finished) as run:
        run.append({"epoch": 4})
        with pytest.raises(UserError, match=f"process {os.getpid()}"):
            RunFolder.resume(finished)
    RunFolder.resume(finished).close()


def test_a_refused_creation_or_resume_keeps_no_lock(finished):
    with pytest.raises(UserError, match="holds a run already"):
        RunFolder.create(finished, CONFIG)
    RunFolder.resume(finished).close()
