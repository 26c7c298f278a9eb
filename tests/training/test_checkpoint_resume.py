"""Checkpoints, run folder and loader together: a run that is killed again and again ends like one that never was."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minigen.training.checkpoint import load_latest

# Linear regression by stochastic gradient descent with momentum and noise, with a checkpoint every 7 steps, within
# epochs too. The last `print` of each step tells how far the run is.
TRAIN = """
import sys, time
from pathlib import Path
import numpy as np
from minigen import Generator
from minigen.data import ArrayDataset, DataLoader
from minigen.training.checkpoint import NoCheckpointError, load_latest, save_checkpoint
from minigen.training.run_folder import RunFolder

path = Path(sys.argv[1])
inputs = Generator(1).normal((100, 5))
noise = Generator(2)
loader = DataLoader(ArrayDataset(inputs, inputs.sum(axis=1)), 8, shuffle=True, generator=Generator(3))
weight, momentum, epoch, step, total = np.zeros(5, np.float32), np.zeros(5, np.float32), 0, 0, 0.0

def save():
    meta = {"epoch": epoch, "total": total, "loader": loader.state_dict(), "noise": noise.get_state()}
    save_checkpoint(run.checkpoints, step, {"weight": weight, "momentum": momentum}, meta)

with RunFolder.resume(path) if (path / "config.json").exists() else RunFolder.create(path, {"model": "line"}) as run:
    try:
        found = load_latest(run.checkpoints)
        weight, momentum, step = found.arrays["weight"], found.arrays["momentum"], found.step
        epoch, total = found.meta["epoch"], found.meta["total"]
        loader.load_state_dict(found.meta["loader"])
        noise.set_state(found.meta["noise"])
    except NoCheckpointError:
        pass
    run.rewind(epoch)
    while epoch < 6:
        for x, y in loader:
            x = x + noise.normal(x.shape, std=0.1)
            error = x @ weight - y
            momentum = np.float32(0.9) * momentum + x.T @ error / len(x)
            weight = weight - np.float32(0.01) * momentum
            total += float((error**2).mean())
            step += 1
            time.sleep(float(sys.argv[2]))
            if step % 7 == 0:
                save()
            print(step, flush=True)
        run.append({"epoch": epoch + 1, "loss": total / len(loader)})
        epoch, total = epoch + 1, 0.0
        save()
"""


def start(path, pause):
    command = [sys.executable, "-c", TRAIN, str(path), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_run_killed_at_random_ends_with_the_bits_of_one_that_was_not(tmp_path):
    whole = start(tmp_path / "whole", 0)
    assert whole.stdout.read().endswith("78\n")
    assert whole.wait() == 0

    rng, kills = random.Random(0), 0
    for _ in range(40):
        process = start(tmp_path / "killed", 0.001)
        for _ in range(rng.randint(1, 25)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.004))
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        if process.wait() == 0:
            break
        kills += 1
    assert kills >= 4
    assert process.returncode == 0, "the run never came to its end"

    ours, theirs = (load_latest(tmp_path / name / "checkpoints") for name in ("killed", "whole"))
    assert ours.step == theirs.step == 78
    for name, array in theirs.arrays.items():
        assert ours.arrays[name].tobytes() == array.tobytes(), name
    np.testing.assert_allclose(ours.arrays["weight"], 1, atol=0.2)  # it did learn
    assert json.dumps(ours.meta) == json.dumps(theirs.meta)
    metrics = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("killed", "whole")]
    assert metrics[0] == metrics[1]
