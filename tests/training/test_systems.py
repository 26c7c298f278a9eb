"""What all systems share: their options, starting from another run, freezing, learning rates over the run."""

import numpy as np
import pytest

from minigen.cli.main import main
from minigen.errors import UserError
from minigen.training.checkpoint import load_latest
from minigen.training.runs import load_system, resume_run, start_run, train_run
from minigen.training.systems import SYSTEMS, make_system

TINY = {"model": "ae", "epochs": 2, "batch_size": 512, "latent_dim": 4}


def trained(path, **changes):
    training = start_run({**TINY, **changes}, path, quiet=True)
    with training.run:
        assert train_run(training)
    return load_latest(path / "checkpoints")


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_model_has_options_with_help_and_defaults_that_are_values(name):
    system = SYSTEMS[name]
    names = [option.name for option in system.all_options()]
    assert len(set(names)) == len(names)
    assert {"data", "seed", "device"} <= set(names)
    for option in system.all_options():
        assert option.help
        assert option.value(option.default) == option.default


@pytest.mark.parametrize("name", SYSTEMS)
def test_help_of_a_model_shows_its_options_and_no_other_model_s(name, capsys):
    with pytest.raises(SystemExit):
        main(["train", name, "--help"])
    shown = capsys.readouterr().out
    for option in SYSTEMS[name].all_options():
        assert option.flag in shown
    others = {option.flag for system in SYSTEMS.values() for option in system.all_options()}
    words = set(shown.replace("=", " ").replace("[", " ").replace("]", " ").replace(",", " ").split())
    foreign = others - {option.flag for option in SYSTEMS[name].all_options()} - {"--epochs"}
    assert not foreign & words


def test_list_shows_every_model_with_its_data(capsys):
    assert main(["train", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, system in SYSTEMS.items():
        (line,) = [line for line in lines if line.split()[0] == name]
        assert system.description in line
        assert system.defaults()["data"] in line


def test_a_configuration_with_an_unknown_option_is_refused():
    with pytest.raises(UserError, match="has no option 'latent'"):
        make_system({"model": "ae", "latent": 3})
    with pytest.raises(UserError, match="--latent-dim must be"):
        make_system({"model": "ae", "latent_dim": 0})


def test_a_run_starts_from_the_weights_of_another(tmp_path):
    first = trained(tmp_path / "first")
    same = start_run({**TINY, "init_from": str(tmp_path / "first"), "seed": 5}, tmp_path / "same", quiet=True)
    for key, value in same.system.model.state_dict().items():
        assert np.array_equal(value.numpy(), first.arrays[f"model.autoencoder.{key}"])
    same.run.close()


def test_where_shapes_differ_weights_stay_fresh_and_the_sentence_counts_them(tmp_path, capsys):
    first = trained(tmp_path / "first")
    training = start_run({**TINY, "latent_dim": 6, "init_from": str(tmp_path / "first")}, tmp_path / "wider")
    training.run.close()
    state, fresh = training.system.model.state_dict(), make_system({**TINY, "latent_dim": 6}).model.state_dict()
    taken = 0
    for key, value in state.items():
        old = first.arrays[f"model.autoencoder.{key}"]
        fits = old.shape == value.shape
        taken += fits
        assert np.array_equal(value.numpy(), old if fits else fresh[key].numpy())
    assert 0 < taken < len(state)
    assert f"Took {taken} of {len(state)}" in capsys.readouterr().err


def test_a_run_with_nothing_in_common_is_refused_and_leaves_no_folder(tmp_path):
    trained(tmp_path / "first")
    with pytest.raises(UserError, match="fits the model 'gan'"):
        start_run({"model": "gan", "init_from": str(tmp_path / "first")}, tmp_path / "new")
    with pytest.raises(UserError, match="no run at"):
        start_run({"model": "gan", "init_from": str(tmp_path / "nothing")}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_run_started_from_another_outlives_it(tmp_path):
    trained(tmp_path / "first")
    trained(tmp_path / "second", init_from=str(tmp_path / "first"))
    (tmp_path / "first").rename(tmp_path / "gone")
    system, _ = load_system(tmp_path / "second")
    assert system.latent_dim == 4
    resume_run(tmp_path / "second", {"epochs": 3}, quiet=True).run.close()


@pytest.mark.parametrize("pattern", ["encoder", "encoder.*", "autoencoder.encoder.*", "*encoder.1.weight,encoder.3"])
def test_frozen_weights_stay_and_the_others_learn(tmp_path, pattern):
    before = {key: value.numpy().copy() for key, value in make_system(TINY).model.state_dict().items()}
    after = trained(tmp_path / "run", freeze=pattern).arrays
    moved = {key for key, value in before.items() if not np.array_equal(value, after[f"model.autoencoder.{key}"])}
    named = {"encoder.1.weight", "encoder.3.weight", "encoder.3.bias"} if "," in pattern else None
    frozen = {key for key in before if key.startswith("encoder")} if named is None else named
    assert moved == set(before) - frozen


def test_freezing_what_is_not_there_or_everything_is_refused():
    with pytest.raises(UserError, match=r"--freeze decodr names no weight of 'ae'; it has .*autoencoder\.decoder"):
        make_system({**TINY, "freeze": "decodr"})
    with pytest.raises(UserError, match="names no weight of 'gan'"):  # the average follows; nothing trains it
        make_system({"model": "gan", "freeze": "average*"})
    with pytest.raises(UserError, match="leaves nothing of the autoencoder to train"):
        make_system({**TINY, "freeze": "*"})


def test_the_learning_rate_follows_its_schedule_and_a_resumed_run_goes_on_with_it(tmp_path):
    training = start_run({**TINY, "epochs": 4, "lr": 1e-2, "lr_schedule": "linear"}, tmp_path / "run", quiet=True)
    session, adam = training.session, training.system.optimizers["adam"]
    steps, rates, log = 4 * len(session.loader), [], session.log

    def note(**losses):
        rates.append(adam.param_groups[0]["lr"])
        if len(rates) == 3:
            session._ask_to_stop(2, None)
        log(**losses)

    session.log = note
    with training.run:
        assert not train_run(training)
    resumed = resume_run(tmp_path / "run", {}, quiet=True)
    session, adam, log = resumed.session, resumed.system.optimizers["adam"], resumed.session.log
    session.log = note
    with resumed.run:
        assert train_run(resumed)
    np.testing.assert_allclose(rates, [1e-2 * (1 - t / steps) for t in range(steps)], rtol=1e-9)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [("adam", schedule) for schedule in ("constant", "linear", "cosine", "step", "exponential")]
    + [(optimizer, "cosine") for optimizer in ("adamw", "rmsprop", "sgd", "momentum", "nesterov")],
)
def test_every_optimizer_and_schedule_lowers_the_loss(tmp_path, optimizer, schedule):
    lr = {"sgd": 1e-2, "momentum": 1e-3, "nesterov": 1e-3}.get(optimizer, 1e-3)
    config = {**TINY, "epochs": 8, "optimizer": optimizer, "lr_schedule": schedule, "lr": lr, "batch_size": 128}
    training = start_run(config, tmp_path / "run", quiet=True)
    with training.run:
        assert train_run(training)
    records = training.run.records()
    assert records[-1]["loss"] < 0.9 * records[0]["loss"]
