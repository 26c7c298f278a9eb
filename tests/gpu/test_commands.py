"""The command line with `--device`: every system is trained on the GPU, and what it learnt is used."""

import json

import numpy as np
import pytest
from PIL import Image

from minigen.cli.main import main
from minigen.training.systems import SYSTEMS

IMAGES = 20  # one in five is held out

# a run that is as small as the system allows: where its data come from, and options
POINTS = ["--data", "ring8"]
SMALL = {
    "ae": ["--hidden", "8"],
    "conv-ae": ["--width", "2"],
    "sparse-ae": ["--latent-dim", "12"],
    "contractive-ae": ["--hidden", "8", "--latent-dim", "2"],
    "denoising-ae": ["--hidden", "8"],
    "correction-ae": ["--width", "4"],
    "vae": ["--hidden", "8", "--latent-dim", "2"],
    "conv-vae": ["--width", "2"],
    "iwae": ["--hidden", "8", "--k", "2"],
    "gan": [],
    "dcgan": [],
    "gan64": ["--width", "4"],
    "gan2d": POINTS,
    "restoration-gan": ["--width", "4"],
    "gmm": ["--components", "2"],
}
SIMULATED = ("ae", "vae", "gmm")  # what a simulated GPU trains in seconds
CANNOT = {
    "sample": ("correction-ae", "restoration-gan"),
    "reconstruct": ("correction-ae", "gan", "dcgan", "gan64", "gan2d", "restoration-gan", "gmm"),
}
SIZES = {"gan64": 64, "correction-ae": 16, "restoration-gan": 16}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """pictures(size): a folder of grey images."""
    made = {}

    def make(size):
        if size not in made:
            made[size] = tmp_path_factory.mktemp(f"images{size}")
            rng = np.random.default_rng(size)
            for i in range(IMAGES):
                pixels = rng.integers(0, 256, (size, size), np.uint8)
                Image.fromarray(pixels).save(made[size] / f"{i:02}.png")
        return made[size]

    return make


def test_every_system_has_its_small_run():
    assert set(SMALL) == set(SYSTEMS)


@pytest.mark.parametrize("model", SMALL)
def test_a_run_is_trained_sampled_reconstructed_and_evaluated(gpu, model, pictures, tmp_path, capsys):
    if gpu.name == "cudasim" and model not in SIMULATED:
        pytest.skip("a simulated GPU takes too long")
    run, options = str(tmp_path / "run"), list(SMALL[model])
    if "--data" not in options:
        size = SIZES.get(model, 8)
        options += ["--data", str(pictures(size)), "--image-size", str(size)]
    if model not in ("gmm", "gan2d"):
        options += ["--batch-size", "8"]
    assert main(["train", model, *options, "--epochs", "1", "--device", gpu.name, "--out", run, "--quiet"]) == 0, (
        capsys.readouterr().err
    )
    (record, *_) = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for value in record.values() if isinstance(value, float))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["device"] == gpu.name

    for arguments in (
        ["sample", run, "--n", "4", "--out", str(tmp_path / "samples.npy")],
        ["reconstruct", run, "--out", str(tmp_path / "reconstructions.png")],
        ["evaluate", run],
    ):
        code = main(arguments)
        captured = capsys.readouterr()
        can = model not in CANNOT.get(arguments[0], ())
        assert code == (0 if can else 2), captured.err
        if arguments[0] == "evaluate":
            assert json.loads(captured.out)["model"] == model
