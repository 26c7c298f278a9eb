"""The table of `minigen bench vae`."""

import io
import json

import pytest
from rich.console import Console

from minigen.bench import vae
from minigen.cli.main import main
from minigen.errors import UserError


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(vae.BINARY, "hidden", [12])
    monkeypatch.setitem(vae.SETTINGS["digits"], "latent_dim", 2)


def test_a_trial_is_what_its_seed_makes_it_and_its_bounds_are_in_order():
    first, again = (vae.run_vae(rows=["iwae-5"], epochs=1, samples=20)[0] for _ in range(2))
    assert {**first, "seconds": 0} == {**again, "seconds": 0}
    assert first["elbo"] < first["log_likelihood"] < 0
    assert 1 <= first["effective_samples"] <= 20
    assert set(first) == {"row", "seed", *vae.FIGURES}


def test_a_second_run_with_the_file_trains_only_what_it_lacks(tmp_path):
    file, trained = tmp_path / "vae.json", []
    vae.run_vae(rows=["vae"], epochs=1, samples=3, file=file, report=trained.append)
    vae.run_vae(rows=["vae", "beta-2"], trials=2, epochs=1, samples=3, file=file, report=trained.append)
    assert [(trial["row"], trial["seed"]) for trial in trained] == [
        ("vae", 0),
        ("vae", 1),
        ("beta-2", 0),
        ("beta-2", 1),
    ]
    assert json.loads(file.read_text())["trials"] == trained


def test_files_of_other_settings_and_other_files_are_refused(tmp_path):
    file = tmp_path / "vae.json"
    vae.run_vae(rows=["vae"], epochs=1, samples=3, file=file)
    with pytest.raises(UserError, match="holds trials with another epochs and samples"):
        vae.run_vae(rows=["vae"], epochs=2, samples=4, file=file)
    file.write_text("[]")
    with pytest.raises(UserError, match="is not a file of `minigen bench vae`"):
        vae.run_vae(rows=["vae"], epochs=1, samples=3, file=file)
    with pytest.raises(UserError, match="Unknown row 'iwae-6': did you mean 'iwae-"):
        vae.run_vae(rows=["iwae-6"])


def test_the_command_prints_a_row_for_each_configuration(capsys):
    assert main(["bench", "vae", "--rows", "vae,iwae-1", "--epochs", "1", "--samples", "2", "--trials", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("seed 1: ELBO -") == 2
    assert "digits, black and white" in out
    assert "IWAE, k = 1" in out


def test_on_mnist_the_papers_figures_stand_beside_ours():
    figures = dict.fromkeys(vae.FIGURES, -90.0)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(vae.table("mnist", [{"row": "vae", "seed": 0, **figures}]))
    text = console.export_text()
    assert "-86.76" in text
    assert "-84.78" in text
    assert "-90.00" in text


def test_every_row_is_a_configuration_that_its_model_takes():
    from minigen.training.systems import make_system

    assert len({row.name for row in vae.ROWS}) == len(vae.ROWS)
    for row in vae.ROWS:
        make_system({**vae.BINARY, **vae.SETTINGS["digits"], "data": "digits", **row.config})
