"""Every mistake is answered by one sentence on stderr and exit code 2, every failure by 1, and never by a traceback."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from minigen.cli.main import main
from minigen.device import why_unavailable
from minigen.training.checkpoint import load_latest

FAST = ["--epochs", "1", "--batch-size", "256", "--quiet"]


def answer(capsys, *argv):
    capsys.readouterr()
    code = main(list(argv))
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return code, err.strip()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes") / "run"
    assert main(["train", "ae", "--epochs", "2", "--batch-size", "256", "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["train", "vea"], ["vea", "did you mean 'vae'"]),
        (["train", "transformer"], ["transformer", "ae, conv-ae", "gmm"]),
        (["train"], ["which model"]),
        ([], ["Name a command"]),
        (["--bogus"], ["--bogus", "minigen --help"]),
        (["gradcheck", "nosuch"], ["no operation 'nosuch'; without a name"]),
        (["trian", "ae"], ["Unknown command 'trian': did you mean 'train'?"]),
        (["train", "ae", "--data", "digit"], ["digit", "did you mean 'digits'"]),
        (["train", "ae", "--data", "ring8"], ["ring8", "digits"]),
        (["train", "ae", "--device", "gpu"], ["gpu", "cpu"]),
        (["train", "ae", "--device", "cuda"], ["cuda", "use device 'cpu'"]),
        (["train", "ae", "--epochs", "0"], ["--epochs", "at least 1"]),
        (["train", "ae", "--epochs", "many"], ["--epochs", "many"]),
        (["train", "ae", "--lr", "-1"], ["--lr", "positive"]),
        (["train", "ae", "--lr", "nan"], ["--lr", "positive"]),
        (["train", "ae", "--batch-size", "1.5"], ["--batch-size", "integer"]),
        (["train", "ae", "--batch-size", "5000"], ["1437", "5000"]),
        (["train", "ae", "--seed", "-3"], ["--seed"]),
        (["train", "ae", "--beta", "2"], ["--beta", "minigen train ae --help"]),
        (["train", "ae", "--colour", "red"], ["no option --colour (minigen train ae --help"]),
        (
            ["train", "ae", "--latnet-dim", "3"],
            ["no option --latnet-dim: did you mean --latent-dim? (minigen train ae"],
        ),
        (["train", "ae", "ae"], ["Nothing takes the word ae"]),
        (["train", "--resume", "some-run", "--lr", "3"], ["--lr cannot be given; only --epochs can"]),
        (
            ["train", "gmm", "--components", "foo"],
            ["--components must be an integer of at least 1, or one of bic, aic, cv, not 'foo'"],
        ),
        (["train", "gan2d", "--image-size", "8"], ["samples of grid25 are points of 2 numbers"]),
        (["train", "restoration-gan", "--loss", "wasserstein"], ["slope is bounded: add --spectral-norm"]),
        (["sample", "no-such-run"], ["no-such-run", "minigen train"]),
        (["evaluate", "no-such-run"], ["no-such-run"]),
        (["train", "--resume", "no-such-run"], ["no-such-run"]),
        (["sample"], ["RUN"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_mistake_is_answered_in_one_sentence_with_exit_code_2(capsys, tmp_path, monkeypatch, argv, words):
    monkeypatch.chdir(tmp_path)
    code, err = answer(capsys, *argv)
    assert code == 2
    assert err.count("\n") == 0
    for word in words:
        assert word in err
    assert not list(tmp_path.iterdir()), "a mistake leaves nothing behind"


def test_a_folder_that_is_not_a_run_is_named(capsys, tmp_path):
    for command in (["sample"], ["evaluate"], ["train", "--resume"]):
        code, err = answer(capsys, *command, str(tmp_path))
        assert (code, str(tmp_path) in err) == (2, True)


def test_a_run_is_never_overwritten(capsys, run):
    code, err = answer(capsys, "train", "ae", *FAST, "--out", str(run))
    assert code == 2
    assert "--resume" in err


def test_a_resumed_run_takes_no_other_options(capsys, run):
    code, err = answer(capsys, "train", "--resume", str(run), "--lr", "0.1")
    assert (code, "--lr" in err) == (2, True)
    code, err = answer(capsys, "train", "gan", "--resume", str(run))
    assert (code, "'ae'" in err) == (2, True)


def test_sample_refuses_other_file_types_and_folders_that_are_not_there(capsys, run, tmp_path):
    code, err = answer(capsys, "sample", str(run), "--out", str(tmp_path / "x.jpg"))
    assert (code, ".png" in err) == (2, True)
    for name in ("x.png", "x.npy"):
        code, err = answer(capsys, "sample", str(run), "--out", str(tmp_path / "missing" / name))
        assert code == 2


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(capsys, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    newest = load_latest(copy / "checkpoints").path
    newest.write_bytes(newest.read_bytes()[:-100])
    code, err = answer(capsys, "train", "--resume", str(copy), "--quiet")
    assert code == 0
    assert newest.name in err
    assert "truncated" in err
    whole, again = load_latest(run / "checkpoints"), load_latest(copy / "checkpoints")
    assert all(np.array_equal(whole.arrays[key], again.arrays[key]) for key in whole.arrays)


def test_a_run_whose_checkpoints_are_all_damaged_says_so(capsys, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for path in (copy / "checkpoints").iterdir():
        path.write_bytes(b"nothing")
    code, err = answer(capsys, "sample", str(copy))
    assert code == 1
    assert "No checkpoint" in err


def test_a_config_that_was_edited_is_noticed(capsys, run, tmp_path):
    for change in ({"latent_dim": 3}, {"model": "gan"}, {"model": "what"}, {"data": "what"}):
        copy = tmp_path / "-".join(map(str, *change.items()))
        shutil.copytree(run, copy)
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | change))
        code, err = answer(capsys, "sample", str(copy))
        assert (code, err.count("\n")) == (2, 0), err
    (copy / "config.json").write_text("{")
    assert answer(capsys, "sample", str(copy))[0] == 2


@pytest.mark.skipif(why_unavailable("cuda") is None, reason="there is a GPU here")
def test_a_run_from_a_gpu_is_used_on_the_cpu_where_there_is_none(capsys, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"device": "cuda"}))
    for path in (run, copy):
        assert main(["reconstruct", str(path), "--out", str(tmp_path / f"{path.name}.png")]) == 0
    assert (tmp_path / "copy.png").read_bytes() == (tmp_path / f"{run.name}.png").read_bytes()
    code, err = answer(capsys, "train", "--resume", str(copy), "--epochs", "3")
    assert (code, "use device 'cpu'" in err) == (2, True)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(capsys, tmp_path):
    folder = tmp_path / "run"
    code, err = answer(capsys, "train", "vae", "--epochs", "50", "--lr", "1e12", "--out", str(folder), "--quiet")
    assert code == 1
    assert "step" in err
    assert "lower --lr" in err
    kept = load_latest(folder / "checkpoints")
    assert all(np.isfinite(value).all() for key, value in kept.arrays.items() if value.dtype.kind == "f")


def test_a_full_disk_is_one_sentence_and_what_was_saved_stays(capsys, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    assert main(["train", "ae", *FAST, "--out", str(folder)]) == 0
    before = load_latest(folder / "checkpoints")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        code, err = answer(capsys, "train", "--resume", str(folder), "--epochs", "3", "--quiet")
    assert code == 1
    assert "full" in err.lower() or "space" in err.lower()
    after = load_latest(folder / "checkpoints")
    assert after.step == before.step
    assert main(["train", "--resume", str(folder), "--epochs", "2", "--quiet"]) == 0


def test_debug_shows_the_traceback(capsys):
    assert main(["train", "vea", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_failure_is_one_sentence_too(capsys, run, monkeypatch):
    monkeypatch.setattr("minigen.training.runs.load_latest", lambda path: 1 / 0)
    code, err = answer(capsys, "sample", str(run))
    assert code == 1
    assert "ZeroDivisionError" in err


def test_sample_and_evaluate_say_which_checkpoint_they_passed_over(capsys, run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    newest = load_latest(copy / "checkpoints").path
    newest.write_bytes(newest.read_bytes()[:1000])
    for command in ("sample", "evaluate"):
        code, err = answer(capsys, command, str(copy))
        assert code == 0
        assert newest.name in err
        assert "the one before it is used" in err


def test_a_run_cannot_be_resumed_to_fewer_epochs_than_it_has_done(capsys, run):
    before = (run / "config.json").read_text()
    code, err = answer(capsys, "train", "--resume", str(run), "--epochs", "1")
    assert (code, "2 epochs already" in err) == (2, True)
    assert (run / "config.json").read_text() == before


@pytest.mark.parametrize("text", ["zz", "0", "-1", "1.5"])
def test_a_wrong_number_of_threads_is_refused_at_once(capsys, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIGEN_NUM_THREADS", text)
    code, err = answer(capsys, "train", "vae", *FAST)
    assert (code, "MINIGEN_NUM_THREADS" in err, err.count("\n")) == (2, True, 0)
    assert not list(tmp_path.iterdir())


def test_an_option_must_be_written_in_full(capsys):
    code, err = answer(capsys, "train", "ae", "--epoch", "2")
    assert (code, "--epoch" in err) == (2, True)


def test_a_checkpoint_that_cannot_be_read_is_not_called_damaged(capsys, run, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse_checkpoints(refuse))
    code, err = answer(capsys, "sample", str(run))
    assert (code, "make it readable" in err, "from the start" in err) == (2, True, False)


def refuse_checkpoints(refuse):
    read = pathlib.Path.read_bytes
    return lambda self: refuse(self) if self.suffix == ".safetensors" else read(self)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full on this system")
def test_output_that_cannot_be_written_is_one_sentence():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "minigen", "info"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("minigen: Could not read or write the output")
    assert result.stderr.count("\n") == 1


def test_a_closed_standard_output_is_no_failure(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    assert main(["info"]) == 0


def test_a_broken_image_in_a_folder_is_left_out_and_named_in_one_line(capsys, tmp_path):
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "run"
    argv = ["train", "ae", "--data", str(folder), "--image-size", "16", "--epochs", "1", "--batch-size", "4"]
    code, err = answer(capsys, *argv, "--quiet", "--out", str(out))
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("minigen: ")
    assert "broken.png" in line
    assert (out / "samples.png").exists()


def test_a_run_finds_its_folder_of_images_from_anywhere_and_does_without_it_where_it_can(capsys, tmp_path, monkeypatch):
    from PIL import Image

    (tmp_path / "mine").mkdir()
    for i in range(10):
        Image.fromarray(np.full((4, 4), 20 * i, np.uint8)).save(tmp_path / "mine" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    options = ["--image-size", "4", "--epochs", "1", "--batch-size", "4", "--quiet", "--out", "run"]
    assert main(["train", "ae", "--data", "mine", *options]) == 0
    monkeypatch.chdir("/")
    assert main(["sample", str(tmp_path / "run"), "--n", "1"]) == 0
    (tmp_path / "mine").rename(tmp_path / "theirs")
    image = str(tmp_path / "theirs" / "0.png")
    assert main(["reconstruct", str(tmp_path / "run"), "--input", image]) == 0
    gone = f"minigen: The run {tmp_path / 'run'} was trained on the folder {tmp_path / 'mine'}, which is gone"
    for needy in (["evaluate", str(tmp_path / "run")], ["train", "--resume", str(tmp_path / "run")]):
        code, err = answer(capsys, *needy)
        assert (code, err[: len(gone)]) == (2, gone)
    (tmp_path / "run" / "data.json").unlink()
    code, err = answer(capsys, "reconstruct", str(tmp_path / "run"), "--input", image)
    assert code == 2
    assert err.startswith(f"minigen: {tmp_path / 'run' / 'config.json'}: There is no folder {tmp_path / 'mine'}")
