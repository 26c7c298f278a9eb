"""`minigen restore`: any size, mode and number of pictures, and every mistake in a sentence."""

import struct

import numpy as np
import pytest
from PIL import Image

from minigen.cli.main import main
from minigen.data.images import read_image
from minigen.metrics.restoration import psnr
from minigen.restoration.pictures import read_with_alpha, restore_image
from minigen.training.runs import load_system, start_run, train_run


def run_of(folder, **config):
    tiny = {"data": "digits", "epochs": 1, "batch_size": 256}
    training = start_run({**tiny, **config}, folder, quiet=True)
    with training.run:
        assert train_run(training)
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("runs") / "noise", model="correction-ae", width=2)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("runs") / "blocks", model="correction-ae", width=2, corruption="block:size=3")


def save(path, *shape, mode=None, seed=0):
    pixels = np.random.default_rng(seed).integers(1, 255, shape, dtype=np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return path


def pixels(path):
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (8, 8), (200, 131), (40, 3, 3)])
def test_a_picture_of_any_size_is_restored_in_its_size(noise, tmp_path, shape):
    save(tmp_path / "x.png", *shape)
    assert main(["restore", str(noise), "--input", str(tmp_path / "x.png"), "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x-comparison.png", "x-restored.png"]
    assert pixels(tmp_path / "out" / "x-restored.png").shape == shape
    comparison = Image.open(tmp_path / "out" / "x-comparison.png")
    assert comparison.width > 2 * shape[1]


def test_with_damage_the_scores_are_those_of_the_files(noise, tmp_path, capsys):
    save(tmp_path / "x.png", 40, 30)
    arguments = [
        "--input",
        str(tmp_path / "x.png"),
        "--out",
        str(tmp_path),
        "--corruption",
        "noise:sigma=25",
        "--seed",
        "3",
    ]
    assert main(["restore", str(noise), *arguments]) == 0
    first = capsys.readouterr().out.splitlines()
    names, values = first[0].split(), first[1].split()
    assert names == ["file", "damaged_psnr", "psnr", "damaged_ssim", "ssim"]
    restored, clean = read_image(tmp_path / "x-restored.png"), read_image(tmp_path / "x.png")
    assert float(values[2]) == pytest.approx(psnr(restored, clean), abs=0.05)  # the file has 8 bits
    assert 19 < float(values[1]) < 22  # of noise of 25/255: 20.17, and clipping
    assert main(["restore", str(noise), *arguments]) == 0
    assert capsys.readouterr().out.splitlines() == first


def test_a_grey_network_restores_each_colour_of_a_colour_picture(noise):
    system, _ = load_system(noise)
    image = np.random.default_rng(1).random((3, 9, 20), np.float32)
    for colour, restored in zip(image, restore_image(system, image)):
        np.testing.assert_array_equal(restored, restore_image(system, colour[None])[0])


def test_a_grey_picture_stays_grey_with_a_network_of_colours(tmp_path):
    run = run_of(tmp_path / "run", model="correction-ae", data="photographs", image_size=16, width=2, batch_size=64)
    save(tmp_path / "x.png", 20, 25)
    main(["restore", str(run), "--input", str(tmp_path / "x.png"), "--out", str(tmp_path)])
    system, _ = load_system(run)
    colours = restore_image(system, read_image(tmp_path / "x.png", 3))
    expected = np.rint(255 * np.tensordot([0.299, 0.587, 0.114], colours, 1))
    np.testing.assert_allclose(pixels(tmp_path / "x-restored.png"), expected, atol=1)


def test_damage_that_the_network_has_never_seen_is_warned_of(noise, tmp_path, capsys):
    picture = save(tmp_path / "x.png", 9, 9)
    for corruption, expected in (("noise:sigma=70", ""), ("noise+block:size=2", "not on block: expect little")):
        assert main(["restore", str(noise), "--input", str(picture), "--corruption", corruption]) == 0
        error = capsys.readouterr().err
        assert expected in error
        assert bool(error) == bool(expected)


def test_it_is_the_network_of_the_run_tile_by_tile(noise, tmp_path):
    save(tmp_path / "x.png", 20, 25)
    main(["restore", str(noise), "--input", str(tmp_path / "x.png"), "--out", str(tmp_path)])
    system, _ = load_system(noise)
    image = read_image(tmp_path / "x.png", 1)
    expected = np.rint(255 * system.restore(image[None])[0, 0])
    np.testing.assert_allclose(pixels(tmp_path / "x-restored.png"), expected, atol=1)


def test_an_ensemble_is_asked_for_by_its_switch(noise, tmp_path):
    save(tmp_path / "x.png", 20, 25)
    main(["restore", str(noise), "--input", str(tmp_path / "x.png"), "--out", str(tmp_path), "--ensemble"])
    system, _ = load_system(noise)
    expected = np.rint(255 * system.restore(read_image(tmp_path / "x.png", 1)[None], ensemble=True)[0, 0])
    np.testing.assert_allclose(pixels(tmp_path / "x-restored.png"), expected, atol=1)


def test_a_folder_is_restored_but_for_what_is_broken(noise, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.png", 9, 9)
    save(folder / "a.bmp", 9, 9)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("nothing")
    assert main(["restore", str(noise), "--input", str(folder), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "b.png" in said.err
    assert "is skipped" in said.err
    assert "2 restored pictures" in said.out
    assert {path.name for path in (tmp_path / "out").glob("*restored*")} == {"a-restored.png", "a-png-restored.png"}


def test_transparency_is_kept_aside(noise, tmp_path):
    save(tmp_path / "x.png", 12, 10, 4)
    main(["restore", str(noise), "--input", str(tmp_path / "x.png"), "--out", str(tmp_path)])
    made = pixels(tmp_path / "x-restored.png")
    assert made.shape == (12, 10, 4)
    np.testing.assert_array_equal(made[:, :, 3], pixels(tmp_path / "x.png")[:, :, 3])
    colours, alpha = read_with_alpha(tmp_path / "x.png", 3)
    np.testing.assert_allclose(colours, pixels(tmp_path / "x.png")[:, :, :3].transpose(2, 0, 1) / 255, atol=1e-6)
    assert alpha.shape == (12, 10)


def test_missing_parts_are_found_by_their_black_or_told_by_a_mask(blocks, tmp_path, capsys):
    x = np.random.default_rng(0).integers(1, 255, (20, 20), dtype=np.uint8)
    x[5:9, 6:10] = 0
    Image.fromarray(x).save(tmp_path / "x.png")
    call = ["restore", str(blocks), "--input", str(tmp_path / "x.png"), "--out", str(tmp_path)]
    assert main(call) == 0
    assert "the 16 of 400 pixels that are exactly black are taken to be missing" in capsys.readouterr().err
    whole = np.full((6, 6), 9, np.uint8)
    Image.fromarray(whole).save(tmp_path / "whole.png")
    assert main(["restore", str(blocks), "--input", str(tmp_path / "whole.png"), "--out", str(tmp_path)]) == 0
    assert "no pixel is exactly black, so that none is taken to be missing" in capsys.readouterr().err
    known = x > 0
    np.testing.assert_array_equal(pixels(tmp_path / "x-restored.png")[known], x[known])

    mask = np.full((20, 20), 255, np.uint8)
    mask[:, 10:] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert main([*call, "--mask", str(tmp_path / "mask.png")]) == 0
    made = pixels(tmp_path / "x-restored.png")
    np.testing.assert_array_equal(made[:, :10], x[:, :10])
    assert (made[:, 10:] != x[:, 10:]).any()


def test_a_network_of_one_size_restores_larger_and_smaller_pictures_too(tmp_path):
    folder = run_of(tmp_path / "run", model="denoising-ae", hidden=[16], latent_dim=4)
    system, _ = load_system(folder)
    image = np.random.default_rng(0).random((1, 8, 8), np.float32)
    np.testing.assert_allclose(restore_image(system, image), system.restore(image[None])[0], atol=1e-5)
    for shape in ((1, 1, 1), (1, 5, 30), (1, 21, 8)):
        assert restore_image(system, np.zeros(shape, np.float32)).shape == shape


def test_mistakes_are_answered_in_a_sentence(noise, blocks, tmp_path, capsys):
    picture, mask = save(tmp_path / "x.png", 9, 9), save(tmp_path / "mask.png", 8, 9)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "b.png").write_bytes(b"no picture")
    (tmp_path / "broken" / "c.png").write_bytes(b"")
    header = struct.pack("<2sIIIIIIHHIIIIII", b"BM", 54, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    (tmp_path / "broken" / "monster.bmp").write_bytes(header)  # it claims 3.6 billion pixels
    other = run_of(tmp_path / "vae", model="vae")
    for run, arguments, sentence in (
        (noise, ["--input", tmp_path / "none.png"], "There is no file"),
        (noise, ["--input", tmp_path / "empty"], "There is no picture in the folder"),
        (noise, ["--input", tmp_path / "broken"], "None of the 3 files"),
        (noise, ["--input", tmp_path / "broken" / "monster.bmp"], "monster.bmp"),
        (noise, ["--input", tmp_path / "broken" / "b.png"], "is not a picture"),
        (noise, ["--input", picture, "--corruption", "nois"], "Unknown corruption 'nois': did you mean 'noise'"),
        (noise, ["--input", picture, "--mask", mask], "leave out --mask"),
        (noise, ["--input", picture, "--mask", mask, "--corruption", "noise"], "--mask cannot be given"),
        (blocks, ["--input", picture, "--mask", mask], "has 8×9 pixels, and"),
        (noise, ["--input", picture, "--out", picture], "is a file: name a folder"),
        (other, ["--input", picture], "A run of the model 'vae' cannot restore images"),
        (tmp_path / "nothing", ["--input", picture], "There is no run at"),
        (noise, [], "--input"),
    ):
        assert main(["restore", str(run), *map(str, arguments)]) == 2, sentence
        last = capsys.readouterr().err.splitlines()[-1]
        assert sentence in last
        assert last.startswith("minigen: ")
