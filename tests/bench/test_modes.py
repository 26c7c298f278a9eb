import json

import numpy as np
import pytest

from minigen.bench import modes
from minigen.cli.main import main
from minigen.errors import UserError
from minigen.training.systems import make_system


def trial(row="hinge", data="ring8", seed=0, **figures):
    full = {"modes": 8, "modes_covered": 7, "high_quality_share": 0.9, "reverse_kl": 0.1, "seconds": 2.0, "steps": 5}
    return {"row": row, "data": data, "seed": seed, **full, **figures}


@pytest.fixture
def quick(monkeypatch):
    """Trials that take no time, and a list of those that ran."""
    ran = []

    def run_trial(row, data, seed, protocol, steps=None):
        ran.append((row.name, data, seed))
        return trial(row.name, data, seed, modes_covered=seed)

    monkeypatch.setattr(modes, "run_trial", run_trial)
    return ran


@pytest.mark.parametrize("protocol", modes.PROTOCOLS)
def test_every_row_is_a_configuration_that_can_be_made(protocol):
    rows = modes.rows_of(protocol)
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        make_system({"model": "gan2d", "data": "ring8", **row.changes})


def test_the_losses_of_the_table_are_all_there_are():
    from minigen.losses import GAN_LOSSES

    used = {row.changes.get("loss", "non-saturating") for row in modes.LOSSES}
    assert used == set(GAN_LOSSES)


def test_a_row_that_leaves_an_ingredient_out_differs_from_the_default_in_it_alone():
    default = make_system({"model": "gan2d", "data": "ring8"}).config
    for row in modes.INGREDIENTS:
        assert all(default[name] != value for name, value in row.changes.items()), row.name


def test_a_trial_is_what_train_gan2d_does_and_is_repeatable():
    hinge = next(row for row in modes.LOSSES if row.name == "hinge")
    small = hinge._replace(changes={**hinge.changes, "batch_size": 10_000, "hidden": [8], "hidden_d": [8]})
    first, second = (modes.run_trial(small, "ring8", 1, "pacgan", steps=10) for _ in range(2))
    assert first["steps"] == 10
    assert set(first) == {
        *("row", "data", "seed", "steps", "seconds"),
        *("modes", "modes_covered", "high_quality_share", "reverse_kl"),
    }
    for record in (first, second):
        assert record.pop("seconds") > 0
    assert first == second


@pytest.mark.parametrize("data", modes.DATA)
def test_true_samples_of_every_mixture_score_98_9_percent(data):
    system = make_system({"model": "gan2d", "data": data})
    real = system.held_out()
    system.sample = lambda n, generator: real
    counted = modes.count_modes(system)
    assert counted["high_quality_share"] == pytest.approx(0.989, abs=0.01)
    assert counted["modes_covered"] == counted["modes"]
    assert counted["reverse_kl"] < 0.01


def test_a_trial_that_breaks_down_is_kept_as_such():
    row = modes.Row("wild", "wild", "losses", {"lr": 1e30, "batch_size": 5000, "optimizer": "sgd"})
    record = modes.run_trial(row, "ring8", 0, "pacgan", steps=20)
    assert "finite" in record["error"] or "infinite" in record["error"] or "NaN" in record["error"]
    summary = modes.summarize([record, trial("wild", seed=1)])["wild", "ring8"]
    assert (summary["trials"], summary["failed"], summary["reverse_kl"]) == (2, 1, (0.1, None))


def test_the_published_networks_start_small():
    from minigen import nn

    minigen_row = modes.PUBLISHED_SETTINGS["pacgan"]
    system = make_system({"model": "gan2d", "data": "ring8", **minigen_row.changes})
    modes._start_small(system.modules, 0.02)
    layers = [m for m in system.generator.modules() if isinstance(m, nn.Linear)]
    assert len(layers) == 5
    np.testing.assert_allclose(layers[1].weight.numpy().std(), 0.02, rtol=0.02)
    assert not layers[-1].bias.numpy().any()


def test_a_file_is_gone_on_with_where_it_stopped(quick, tmp_path):
    file = tmp_path / "modes.json"
    modes.run_modes("pacgan", 1, ["ring8"], ["hinge", "minimax"], 100, file)
    assert quick == [("minimax", "ring8", 0), ("hinge", "ring8", 0)]
    content = json.loads(file.read_text())
    assert (content["steps"], len(content["trials"])) == (100, 2)
    quick.clear()
    records = modes.run_modes("pacgan", 2, ["ring8"], ["hinge"], 100, file)
    assert quick == [("hinge", "ring8", 1)]
    assert [record["seed"] for record in records] == [0, 1]
    assert len(json.loads(file.read_text())["trials"]) == 3


def test_trials_of_another_length_are_never_mixed_in(quick, tmp_path):
    file = tmp_path / "modes.json"
    modes.run_modes("pacgan", 1, ["ring8"], ["hinge"], 100, file)
    with pytest.raises(UserError, match="holds trials with steps=100, not with steps=None"):
        modes.run_modes("pacgan", 1, ["ring8"], ["hinge"], None, file)
    file.write_text("[1, 2]")
    with pytest.raises(UserError, match="is not a file of `minigen bench modes`"):
        modes.run_modes("pacgan", 1, ["ring8"], ["hinge"], 100, file)


def test_one_file_holds_both_protocols_and_only_the_published_settings_are_run_twice(quick, tmp_path):
    for protocol in modes.PROTOCOLS:
        modes.run_modes(protocol, 1, ["ring8"], ["hinge", "published"], 100, tmp_path / "modes.json")
    assert [row for row, _, _ in quick] == ["hinge", "published-pacgan", "published-veegan"]


def test_means_and_errors_are_those_of_the_trials():
    values = [7, 8, 8, 5]
    summary = modes.summarize([trial(seed=i, modes_covered=v) for i, v in enumerate(values)])
    mean, error = summary["hinge", "ring8"]["modes_covered"]
    assert mean == np.mean(values)
    assert error == pytest.approx(np.std(values, ddof=1) / 2)


def test_the_command_prints_our_rows_beside_the_papers(quick, capsys):
    code = main(["bench", "modes", "--trials", "2", "--data", "grid25", "--rows", "hinge,published", "--steps", "50"])
    out = capsys.readouterr().out
    assert code == 0
    assert "shortened to about 50 steps" in out
    assert "0.5 ± 0.5" in out  # modes of the seeds 0 and 1
    assert "PacGAN's table 1: PacGAN4" in out
    assert "24.8 ± 0.2" in out
    assert "VEEGAN" not in out
    assert "the plain GAN at PacGAN's settings" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rows", "hing"], "Unknown row 'hing': did you mean 'hinge'"),
        (["--data", "ring"], "Unknown mixture 'ring': did you mean 'ring8'"),
        (["--protocol", "vegan"], "Unknown value of --protocol 'vegan': did you mean 'veegan'?"),
        (["--trials", "0"], "must be an integer of at least 1"),
    ],
)
def test_mistakes_are_told_in_one_sentence(quick, capsys, arguments, sentence):
    assert main(["bench", "modes", *arguments]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not quick
