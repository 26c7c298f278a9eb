"""The commands, from the words typed to the files written."""

import json

import numpy as np
import pytest
from PIL import Image

import minigen
from minigen.cli.main import main
from minigen.training.checkpoint import load_latest

TINY = {
    "ae": ["--epochs", "2", "--batch-size", "128"],
    "vae": ["--epochs", "2", "--batch-size", "128", "--beta", "0.5"],
    "gan": ["--epochs", "2", "--batch-size", "256"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One tiny run of each model."""
    root = tmp_path_factory.mktemp("runs")
    for model, options in TINY.items():
        assert main(["train", model, *options, "--out", str(root / model), "--quiet"]) == 0
    return root


@pytest.mark.parametrize("model", TINY)
def test_train_writes_a_whole_run_folder(runs, model):
    folder = runs / model
    config = json.loads((folder / "config.json").read_text())
    assert config["model"] == model
    assert config["seed"] == 0
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert all(np.isfinite(value) for record in records for value in record.values())
    assert load_latest(folder / "checkpoints").step == records[-1]["step"]
    pictures = ["samples.png", "curves.png"] + (["reconstructions.png"] if model != "gan" else [])
    for name in pictures:
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 100
    assert (folder / "reconstructions.png").exists() == (model != "gan")


@pytest.mark.parametrize("model", TINY)
def test_sample_writes_arrays_and_pictures_and_the_same_seed_gives_the_same_bits(runs, tmp_path, model, capsys):
    outs = [tmp_path / f"{name}.npy" for name in "abc"]
    for out, seed in zip(outs, ("5", "5", "6")):
        assert main(["sample", str(runs / model), "--n", "7", "--seed", seed, "--out", str(out)]) == 0
    a, b, c = (np.load(out) for out in outs)
    assert a.shape == (7, 1, 8, 8)
    assert a.dtype == np.float32
    assert 0 <= a.min() <= a.max() <= 1
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    picture = tmp_path / "grid.png"
    assert main(["sample", str(runs / model), "--n", "9", "--out", str(picture)]) == 0
    assert str(picture) in capsys.readouterr().out
    with Image.open(picture) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize("model", TINY)
def test_evaluate_prints_json_of_what_applies(runs, model, capsys):
    assert main(["evaluate", str(runs / model)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["model"] == model
    assert result["epoch"] == 2
    assert 0 <= result["classes_covered"] <= 10
    assert result["judge_accuracy"] > 0.95
    assert ("elbo" in result) == (model == "vae")
    assert ("pca_error" in result) == (model == "ae")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        main(
            [
                "train",
                "gan",
                "--epochs",
                "1",
                "--batch-size",
                "256",
                "--seed",
                seed,
                "--out",
                str(tmp_path / name),
                "--quiet",
            ]
        )
    a, b, c = (load_latest(tmp_path / name / "checkpoints").arrays for name in "abc")
    assert all(np.array_equal(a[key], b[key]) for key in a)
    assert not all(np.array_equal(a[key], c[key]) for key in a)


def test_a_run_resumed_with_more_epochs_goes_on(tmp_path, capsys):
    folder = str(tmp_path / "run")
    main(["train", "ae", "--epochs", "1", "--out", folder, "--quiet"])
    assert main(["train", "--resume", folder, "--epochs", "3", "--quiet"]) == 0
    assert main(["train", "ae", "--epochs", "3", "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    resumed, whole = (load_latest(tmp_path / name / "checkpoints") for name in ("run", "whole"))
    assert resumed.meta["epoch"] == 3
    assert all(np.array_equal(resumed.arrays[key], whole.arrays[key]) for key in whole.arrays)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["epochs"] == 3


def test_runs_get_numbered_folders_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert main(["train", "ae", "--epochs", "1", "--batch-size", "512", "--quiet"]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["ae-1", "ae-2"]


def test_info_names_versions_devices_kernels_and_reasons(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert minigen.__version__ in out
    for word in ("numpy", "device cpu", "available", "device cuda", "kernels of cpu", "Numba", "because", "not in use"):
        assert word in out


def test_a_python_user_loads_a_run_in_two_lines(runs):
    from minigen.training.runs import load_system

    system, checkpoint = load_system(runs / "vae")
    images = system.sample(3, minigen.Generator(1))
    assert images.shape == (3, 1, 8, 8)
    assert system.reconstruct(images).shape == images.shape
    assert checkpoint.meta["epoch"] == 2


def test_cupy_is_found_under_the_name_of_its_wheel(monkeypatch):
    from minigen.cli import info

    monkeypatch.setattr(info, "version_of", {"cupy-cuda12x": "14.0"}.get)
    found = dict(info.lines())
    assert (found["cupy"], found["numba-cuda"]) == ("14.0", "not installed")
