"""A run stopped at any moment, politely or not, goes on to the same bits."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minigen.cli.main import main
from minigen.training.checkpoint import load_latest

OPTIONS = {
    "ae": ["--epochs", "8", "--batch-size", "32"],
    "vae": ["--epochs", "3", "--batch-size", "64"],
    "gan": ["--epochs", "3", "--batch-size", "128"],
}


def start(*argv, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "minigen", "train", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def whole_run(model, folder):
    assert main(["train", model, *OPTIONS[model], "--out", str(folder), "--quiet"]) == 0
    return load_latest(folder / "checkpoints")


def assert_same(a, b):
    assert a.step == b.step
    assert a.arrays.keys() == b.arrays.keys()
    for key in a.arrays:
        np.testing.assert_array_equal(a.arrays[key], b.arrays[key], err_msg=key)


@pytest.mark.parametrize("model", OPTIONS)
def test_a_run_killed_at_random_and_resumed_ends_with_the_bits_of_one_never_stopped(tmp_path, model):
    whole = whole_run(model, tmp_path / "whole")
    folder = tmp_path / "killed"
    dice = random.Random(model)
    start_argv = [model, *OPTIONS[model], "--out", str(folder)]
    kills = 0
    for _ in range(3):
        process = start(*start_argv)
        deadline = time.monotonic() + 60
        while not (folder / "checkpoints").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(dice.uniform(0, 0.6))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        process.communicate()
        start_argv = ["--resume", str(folder)]
    process = start(*start_argv)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert kills > 0
    assert_same(whole, load_latest(folder / "checkpoints"))
    records = (folder / "metrics.jsonl").read_text().splitlines()
    assert len(records) == int(OPTIONS[model][1])


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_ctrl_c_saves_says_how_to_go_on_and_the_run_ends_with_the_same_bits(tmp_path, delay):
    whole = whole_run("gan", tmp_path / "whole")
    folder = tmp_path / "stopped"
    process = start("gan", *OPTIONS["gan"], "--out", str(folder))
    while not (folder / "checkpoints").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"--resume {folder}" in err
    assert "Stopping after this batch" in err
    assert main(["train", "--resume", str(folder), "--quiet"]) == 0
    assert_same(whole, load_latest(folder / "checkpoints"))
