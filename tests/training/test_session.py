"""A session keeps a run's whole state, at every batch."""

import numpy as np
import pytest

import minigen.training.session as session_module
from minigen.errors import TrainingError
from minigen.training.checkpoint import load_latest
from minigen.training.runs import resume_run, start_run, train_run

CONFIG = {
    "model": "ae",
    "data": "digits",
    "epochs": 2,
    "batch_size": 256,
    "lr": 1e-3,
    "latent_dim": 4,
    "seed": 0,
    "device": "cpu",
}


def trained(path, config=CONFIG):
    training = start_run(config, path, quiet=True)
    with training.run:
        assert train_run(training)
    return load_latest(training.run.checkpoints)


def test_a_checkpoint_after_every_batch_changes_nothing_and_the_last_one_knows_that_its_epoch_is_done(
    tmp_path, monkeypatch
):
    plain = trained(tmp_path / "plain")
    monkeypatch.setattr(session_module, "SAVE_EVERY", -1.0)
    often = trained(tmp_path / "often")
    assert often.meta["epoch"] == plain.meta["epoch"] == 2
    assert all(np.array_equal(plain.arrays[key], often.arrays[key]) for key in plain.arrays)


@pytest.mark.parametrize("stop_at", range(1, 11))
def test_a_run_stopped_after_any_batch_goes_on_to_the_same_bits_and_records(tmp_path, stop_at):
    whole = trained(tmp_path / "whole")
    training = start_run(CONFIG, tmp_path / "stopped", quiet=True)
    session = training.session
    log = session.log

    def log_and_stop(**losses):
        log(**losses)
        if session.step + 1 == stop_at:
            session._ask_to_stop(2, None)

    session.log = log_and_stop
    with training.run:
        assert not train_run(training)
    assert load_latest(training.run.checkpoints).step == stop_at
    resumed = resume_run(tmp_path / "stopped", {}, quiet=True)
    with resumed.run:
        assert train_run(resumed)
        records = resumed.run.records()
    end = load_latest(resumed.run.checkpoints)
    assert all(np.array_equal(whole.arrays[key], end.arrays[key]) for key in whole.arrays)
    with resume_run(tmp_path / "whole", {}, quiet=True).run as run:
        expected = run.records()
    for record in (*records, *expected):
        del record["seconds"]
    assert records == expected


def test_a_weight_that_is_not_finite_is_never_saved(tmp_path):
    training = start_run(CONFIG, tmp_path / "run", quiet=True)
    with training.run:
        training.session.save()
        weight = next(iter(training.session.modules["autoencoder"].parameters()))
        weight.data = np.full_like(weight.data, np.nan)
        training.session.step = 1
        with pytest.raises(TrainingError, match=r"weight autoencoder\.\S+ is no longer finite"):
            training.session.save()
    assert load_latest(training.run.checkpoints).step == 0
