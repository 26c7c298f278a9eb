"""The commands that use a trained run, from the words typed to the files written, and every mistake in one sentence."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from minigen.cli.main import main
from minigen.tasks import augmentation

TINY = {
    "ae": ["ae", "--epochs", "2", "--batch-size", "128", "--hidden", "32", "--imbalance", "3:0", "--mixture", "3"],
    "vae": ["vae", "--epochs", "2", "--batch-size", "128", "--hidden", "32", "--latent-dim", "2"],
    "gan": ["gan", "--epochs", "1", "--batch-size", "479"],
    "gan2d": ["gan2d", "--data", "ring8", "--epochs", "1", "--batch-size", "5000"],
    "gmm": ["gmm", "--data", "ring8", "--components", "8"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One tiny run of each kind of model."""
    root = tmp_path_factory.mktemp("runs")
    for name, options in TINY.items():
        assert main(["train", *options, "--out", str(root / name), "--quiet"]) == 0
    return root


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of images of several sizes and modes, and one that is broken."""
    folder = tmp_path_factory.mktemp("images")
    for name, mode, size in (("a.png", "L", (8, 8)), ("b.jpg", "RGB", (40, 30)), ("c.png", "P", (9, 100))):
        Image.new("RGB", size, (90, 120, 200)).convert(mode).save(folder / name)
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def is_picture(path):
    with Image.open(path) as picture:
        return picture.format == "PNG" and min(picture.size) >= 100


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_walks_and_manifolds_are_pictures_or_arrays(runs, tmp_path, capsys):
    for model, kind, shape in (
        ("vae", "--walk", (3, 2, 8, 1, 8, 8)),
        ("gan", "--walk", (3, 2, 8, 1, 8, 8)),
        ("gan2d", "--walk", (3, 2, 8, 2)),
        ("vae", "--manifold", (3, 3, 1, 8, 8)),
        ("gan2d", "--manifold", (3, 3, 2)),
    ):
        array, picture = tmp_path / "x.npy", tmp_path / "x.png"
        for out in (array, picture):
            assert main(["sample", str(runs / model), kind, "--n", "3", "--out", str(out)]) == 0
            assert f"are in {out}" in capsys.readouterr().out
        assert np.load(array).shape == shape
        assert np.load(array).dtype == np.float32
        assert is_picture(picture)
    assert main(["sample", str(runs / "vae"), "--manifold"]) == 0
    assert is_picture(runs / "vae" / "manifold.png")


@pytest.mark.parametrize("model", ["gan2d", "gmm"])
def test_samples_of_points_are_scattered_or_an_array(runs, tmp_path, model, capsys):
    assert main(["sample", str(runs / model), "--n", "50", "--out", str(tmp_path / "x.npy")]) == 0
    assert np.load(tmp_path / "x.npy").shape == (50, 2)
    assert main(["sample", str(runs / model), "--out", str(tmp_path / "x.png")]) == 0
    assert "64 points are in" in capsys.readouterr().out
    assert is_picture(tmp_path / "x.png")


def test_reconstruct_writes_what_its_ending_says(runs, tmp_path, capsys):
    run = str(runs / "ae")
    assert main(["reconstruct", run]) == 0
    assert is_picture(runs / "ae" / "reconstruct.png")
    assert "360 held-out images" in capsys.readouterr().out
    for ending in ("csv", "json", "npy"):
        assert main(["reconstruct", run, "--out", str(tmp_path / f"x.{ending}")]) == 0
    table = rows(tmp_path / "x.csv")
    assert len(table) == 360
    for row in table[:5]:
        assert float(row["psnr"]) == pytest.approx(10 * np.log10(64 / float(row["squared_error"])))
    assert json.loads((tmp_path / "x.json").read_text())["rows"][4]["psnr"] == float(table[4]["psnr"])
    assert np.load(tmp_path / "x.npy").shape == (360, 1, 8, 8)


def test_reconstruct_and_anomaly_take_a_users_own_images(runs, images, tmp_path, capsys):
    run = str(runs / "ae")
    assert main(["reconstruct", run, "--input", str(images), "--out", str(tmp_path / "x.csv")]) == 0
    captured = capsys.readouterr()
    assert [row["file"] for row in rows(tmp_path / "x.csv")] == ["a.png", "b.jpg", "c.png"]
    assert "broken.png" in captured.err
    assert "it is skipped" in captured.err
    assert main(["anomaly", run, "--input", str(images / "a.png"), "--out", str(tmp_path / "y.csv")]) == 0
    (row,) = rows(tmp_path / "y.csv")
    assert 0 <= float(row["held_out_below"]) <= 1
    assert float(row["score"]) > 0
    assert is_picture(tmp_path / "y.png")


def test_anomaly_measures_how_well_a_class_left_out_is_found(runs, tmp_path, capsys):
    assert main(["anomaly", str(runs / "ae")]) == 0
    assert "for class 3, left out of training (36 of 360" in capsys.readouterr().out
    table = rows(runs / "ae" / "anomaly.csv")
    assert sum(row["left_out"] == "True" for row in table) == 36
    assert all((row["class"] == "3") == (row["left_out"] == "True") for row in table)
    assert is_picture(runs / "ae" / "anomaly.png")
    assert main(["anomaly", str(runs / "ae"), "--score", "latent", "--out", str(tmp_path / "x.json")]) == 0
    summary = json.loads((tmp_path / "x.json").read_text())
    assert (summary["score"], summary["left_out"], len(summary["rows"])) == ("latent", ["3"], 360)
    assert 0 < summary["auroc"] < 1


@pytest.mark.parametrize("model", ["vae", "gmm"])
def test_anomaly_says_how_to_get_an_auroc(runs, model, capsys):
    assert main(["anomaly", str(runs / model)]) == 0
    assert "train with --imbalance C:0" in capsys.readouterr().out
    assert is_picture(runs / model / "anomaly.png")


@pytest.mark.parametrize("method", ["kmeans", "gmm", "dbscan"])
def test_cluster_compares_codes_and_pixels_with_the_classes(runs, tmp_path, method, capsys):
    out = tmp_path / "x.csv"
    assert main(["cluster", str(runs / "ae"), "--method", method, "--out", str(out)]) == 0
    head, codes, pixels, _ = capsys.readouterr().out.splitlines()
    assert head.split()[-3:] == ["purity", "adjusted_rand", "mutual_information"]
    assert (codes.split()[0], pixels.split()[0]) == ("codes", "pixels")
    table = rows(out)
    assert len(table) == 360
    assert len({row["cluster"] for row in table}) == 10 or method == "dbscan"
    assert is_picture(tmp_path / "x.png")


def test_augment_writes_labelled_images_and_says_what_they_are_worth(runs, tmp_path, monkeypatch, capsys):
    train = augmentation.train_classifier
    monkeypatch.setattr(augmentation, "train_classifier", lambda x, y, seed=0: train(x, y, epochs=1, seed=seed))
    out = tmp_path / "x.npz"
    assert main(["augment", str(runs / "ae"), "--n", "4", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "Of class 3 there are 0 new images" in captured.err
    for words in ("training data", "with repeats", "with new images", "class 9", "The new images"):
        assert words in captured.out
    with np.load(out) as made:
        assert made["images"].shape == (36, 1, 8, 8)
        assert made["labels"].tolist() == [c for c in range(10) if c != 3 for _ in range(4)]
    assert is_picture(tmp_path / "x.png")
    assert main(["augment", str(runs / "ae"), "--n", "4", "--no-measure", "--out", str(tmp_path / "y.npz")]) == 0
    with np.load(out) as first, np.load(tmp_path / "y.npz") as second:
        np.testing.assert_array_equal(first["images"], second["images"])


def test_augment_says_what_becomes_of_the_rarest_class(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(augmentation, "train_classifier", lambda x, y, seed=0: int((y == 4).sum()))
    monkeypatch.setattr(
        augmentation, "class_probabilities", lambda judge, x: np.eye(10)[[4 if judge > 7 else 0] * len(x)]
    )
    run = str(tmp_path / "run")
    options = ["--epochs", "1", "--batch-size", "512", "--imbalance", "4:0.02,5:0", "--quiet"]
    assert main(["train", "ae", *options, "--out", run]) == 0
    assert main(["augment", run, "--n", "5"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(
        "Of class 4, the rarest in training (3 images), 0.0% are recognized without them, 100.0% with"
    )


def test_evaluate_prints_json_a_table_and_writes_both_and_a_picture(runs, tmp_path, capsys):
    assert main(["evaluate", str(runs / "vae")]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert json.loads((runs / "vae" / "evaluation.json").read_text()) == result
    assert is_picture(runs / "vae" / "neighbours.png")
    for name in ("elbo", "pixel_frechet_distance", "classifier_precision", "inception_style_score", "copying_ratio"):
        assert np.isfinite(result[name])
        assert name in captured.err
    assert result["reference"]["pixel_frechet_distance"] < result["pixel_frechet_distance"]
    assert "fid" not in result
    assert main(["evaluate", str(runs / "gmm"), "--json", str(tmp_path / "x.json")]) == 0
    modes = json.loads((tmp_path / "x.json").read_text())
    assert (modes["modes_covered"], modes["modes"]) == (8, 8)
    assert modes["high_quality_share"] > 0.95
    assert modes["point_squared_mmd"] < 0.01
    assert abs(modes["point_nearest_neighbour_accuracy"] - 0.5) < 0.1


def test_demo_lists_what_there_is(capsys):
    assert main(["demo", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(maxsplit=1) == [
        "mode-collapse",
        "a GAN that draws one of eight modes, and one that draws them all",
    ]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("sample gmm --walk", "'gmm' cannot walk between latents"),
        ("sample gmm --manifold", "'gmm' cannot show a latent space: it has none unless"),
        ("sample gan --manifold", "those of this run have 16: train one with --latent-dim 2"),
        ("sample vae --manifold --n 1", "at least 2 samples a side"),
        ("sample vae --walk --manifold", "not allowed with"),
        ("sample vae --walk --out x.jpg", "must end in .png"),
        ("reconstruct gan", "'gan' cannot reconstruct images"),
        ("reconstruct gan2d", "'gan2d' cannot reconstruct images"),
        ("reconstruct ae --out x.jpg", "--out must end in .png"),
        ("reconstruct ae --out missing/x.png", "There is no folder missing"),
        ("reconstruct ae --input missing.png", "There is no file missing.png"),
        ("reconstruct ae --input empty", "There is no image in the folder empty"),
        ("reconstruct ae --input text.png", "text.png is not a picture"),
        ("reconstruct ae --input point.png", "point.png has 1×1 pixels"),
        ("anomaly gan", "'gan' cannot score anomalies"),
        ("anomaly vae --score latent", "only by reconstruction"),
        ("anomaly vae --score best", "Unknown value of --score 'best'"),
        ("anomaly gmm --input point.png", "trained on points, 'ring8'"),
        ("anomaly ae --input empty", "There is no image in the folder empty"),
        ("augment gmm", "'ring8' is no such data"),
        ("augment ae --n 0", "--n"),
        ("augment ae --out x.npy", "--out must end in .npz"),
        ("cluster gan", "'gan' cannot cluster"),
        ("cluster ae --k 0", "--k"),
        ("cluster ae --k 2000", "2000 clusters need at least as many samples"),
        ("cluster ae --method spectral", "Unknown clustering method 'spectral'"),
        ("cluster ae --method dbscan --k 3", "DBSCAN finds the number of clusters itself"),
        ("cluster ae --eps 3", "--eps is the radius of dbscan"),
        ("evaluate ae --json x.txt", "--json must end in .json"),
        ("evaluate ae --inception missing", "There is no file missing"),
        ("evaluate gmm --inception text.png", "cannot be given an FID"),
        ("demo", "Say which demo"),
        ("demo mode-colapse", "did you mean 'mode-collapse'"),
        ("demo mode-collapse --out x.jpg", "--out must end in .png"),
        ("cluster missing", "There is no run at missing"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing_behind(runs, tmp_path, monkeypatch, words, answer, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_bytes(b"no image")
    Image.new("L", (1, 1)).save(tmp_path / "point.png")
    before = sorted(path for folder in (tmp_path, runs) for path in folder.rglob("*"))
    command, *rest = words.split()
    rest = [str(runs / word) if command != "demo" and i == 0 and word in TINY else word for i, word in enumerate(rest)]
    capsys.readouterr()
    assert main([command, *rest]) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert sorted(path for folder in (tmp_path, runs) for path in folder.rglob("*")) == before
