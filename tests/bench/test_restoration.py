"""The table of `minigen bench restoration`: fair rows, honest verdicts, networks that are kept."""

import itertools
import json

import numpy as np
import pytest

from minigen.bench import restoration
from minigen.bench.restoration import TASKS, Row, best_classical, run_task, trained
from minigen.cli.main import main
from minigen.metrics.restoration import psnr, ssim
from minigen.training import runs

NETWORK = "correction-ae"


class Oracle:
    """In place of a trained network: gives the clean piece, or something else."""

    def __init__(self, answers):
        self.answers = itertools.cycle(answers)

    def restore(self, images, mask=None, ensemble=False):
        return next(self.answers)[None]


@pytest.fixture
def small(monkeypatch):
    """Two held-out pieces, of 24 pixels."""
    pieces = [piece[:, 40:64, 40:64] for piece in restoration.held_out_pieces()][-2:]
    monkeypatch.setattr(restoration, "held_out_pieces", lambda: pieces)
    return pieces


def with_network(monkeypatch, answers):
    monkeypatch.setattr(restoration, "trained", lambda *args: Oracle(answers))


def test_the_held_out_pieces_are_parts_of_the_held_out_regions_and_share_no_pixel():
    from minigen.data.photographs import load_photographs

    pieces, regions = restoration.held_out_pieces(), load_photographs("test")
    assert [piece.shape for piece in pieces] == [(3, 142, 128)] * 6
    for i, piece in enumerate(pieces):
        np.testing.assert_array_equal(piece, regions[i // 3][:, 142 * (i % 3) : 142 * (i % 3 + 1)])


@pytest.mark.parametrize("name", TASKS)
def test_every_method_is_given_the_same_damage_and_measured_against_the_clean_pieces(
    small, monkeypatch, tmp_path, name
):
    with_network(monkeypatch, small)
    rows = run_task(name, [NETWORK], tmp_path)
    pieces = small * TASKS[name].draws
    clean = np.stack(pieces)
    damaged = np.stack([image for image, _ in restoration._damage(TASKS[name], pieces, 0)]).clip(0, 1)
    assert rows["identity"].psnr == pytest.approx(psnr(damaged, clean))
    assert rows["identity"].ssim == pytest.approx(ssim(damaged, clean))
    assert rows[NETWORK].psnr == np.inf
    assert rows[NETWORK].learnt
    others = [row for method, row in rows.items() if method != "identity" and not method.startswith(NETWORK)]
    assert len(others) >= (1 if name == "blocks" else 5)
    for row in others:
        assert 0 < row.ssim < 1
        assert row.seconds >= 0
        assert not row.learnt
    assert getattr(rows[best_classical(TASKS[name], rows)], TASKS[name].measure) > getattr(
        rows["identity"], TASKS[name].measure
    )


def test_every_classical_method_has_the_parameter_that_is_best_for_it(monkeypatch, tmp_path):
    rough = list(np.random.default_rng(0).random((2, 3, 24, 24), np.float32))
    flat = [np.full_like(piece, 0.5) for piece in rough]
    chosen = []
    for pieces in (rough, flat):
        monkeypatch.setattr(restoration, "held_out_pieces", lambda pieces=pieces: pieces)
        chosen.append(run_task("noise15", [], tmp_path)["gaussian"].parameter)
    assert chosen == [0.3, 2.2]  # the least and the most blur there is


@pytest.mark.parametrize(
    ("ours", "words"), [(31.0, "is above every classical method: 31.00 against 30.00 dB of b"), (29.0, "is not above")]
)
def test_the_verdict_says_whether_the_network_wins(ours, words):
    rows = {"a": Row(20.0, 0.9, 0), "b": Row(30.0, 0.5, 0), NETWORK: Row(ours, 0.4, 0, learnt=True)}
    assert words in restoration._verdict(TASKS["noise25"], NETWORK, rows)
    assert "not above every classical method: 0.4000 against 0.9000 SSIM of a" in restoration._verdict(
        TASKS["blocks"], NETWORK, rows
    )


def test_the_command_prints_the_table_and_writes_json_and_pictures(small, monkeypatch, tmp_path, capsys):
    with_network(monkeypatch, small)
    out = tmp_path / "bench"
    arguments = [
        "--tasks",
        "blocks,noise25",
        "--models",
        NETWORK,
        "--out",
        str(out),
        "--json",
        str(tmp_path / "t.json"),
    ]
    assert main(["bench", "restoration", *arguments, "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "biharmonic" in shown
    assert "non-local means" in shown
    assert "above every classical method" in shown
    table = json.loads((tmp_path / "t.json").read_text())
    assert set(table["tasks"]) == {"blocks", "noise25"}
    assert set(table["tasks"]["noise25"]["methods"]["median"]) == {"psnr", "ssim", "seconds", "parameter"}
    assert {path.name for path in out.glob("*.png")} == {"blocks.png", "noise25.png"}


def test_a_network_is_trained_once_kept_and_goes_on_where_it_stopped(monkeypatch, tmp_path):
    starts, start = [], runs.start_run

    def small_start(config, *rest):
        starts.append(config)
        return start({**config, "data": "digits", "width": 2, "batch_size": 256}, *rest)

    monkeypatch.setattr(runs, "start_run", small_start)
    first = trained(NETWORK, "noise:sigma=50", tmp_path, 1, 0, True, {"regularizer": "tv"})
    again = trained(NETWORK, "noise:sigma=50", tmp_path, 1, 0, True, {"regularizer": "tv"})
    longer = trained(NETWORK, "noise:sigma=50", tmp_path, 2, 0, True, {"regularizer": "tv"})
    kept = trained(NETWORK, "noise:sigma=50", tmp_path, None, 0, True, {"regularizer": "tv"})
    assert len(starts) == 1
    assert starts[0]["regularizer"] == "tv"
    weights = [system.model.tail.weight.numpy() for system in (first, again, longer, kept)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert abs(weights[2] - weights[1]).max() > 0
    np.testing.assert_array_equal(weights[2], weights[3])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tasks", "nois25"], "Unknown task 'nois25': did you mean 'noise25'"),
        (["--models", "gan"], "Unknown model 'gan'"),
        (["--tasks", ","], "Name at least one task"),
        (["--epochs", "0"], "must be an integer of at least 1"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(arguments, sentence, capsys):
    assert main(["bench", "restoration", *arguments]) == 2
    shown = capsys.readouterr().err
    assert sentence in shown
    assert len(shown.splitlines()) == 1
