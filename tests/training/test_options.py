"""An option accepts from Python and from config.json what it accepts on the command line, and nothing else."""

import pytest

from minigen.errors import UserError
from minigen.training.options import Option, natural_number, positive_number, share, widths
from minigen.training.systems import make_system


@pytest.mark.parametrize(
    ("option", "given", "value"),
    [
        (Option("lr", 1e-3, "", positive_number), 2, 2.0),
        (Option("lr", 1e-3, "", positive_number), "1e-4", 1e-4),
        (Option("hidden", [256, 128], "", widths), [64, 32], [64, 32]),
        (Option("hidden", [256, 128], "", widths), "64,32", [64, 32]),
        (Option("hidden", [256, 128], "", widths), (7,), [7]),
        (Option("smoothing", 0.0, "", share), "0.1", 0.1),
        (Option("k", None, "", natural_number), None, None),
        (Option("loss", "hinge", "", choices=("hinge", "minimax")), "minimax", "minimax"),
        (Option("average", True, "", bool), False, False),
    ],
)
def test_values_are_of_the_option_s_kind(option, given, value):
    assert option.value(given) == value
    assert type(option.value(given)) is type(value)
    assert option.value(option.value(given)) == value, "as it comes back from config.json"


@pytest.mark.parametrize(
    ("option", "given", "words"),
    [
        (Option("lr", 1e-3, "", positive_number), "fast", "--lr must be a positive number, not 'fast'"),
        (Option("lr", 1e-3, "", positive_number), None, "--lr must be a positive number, not 'None'"),
        (Option("lr", 1e-3, "", positive_number), True, "--lr must be a positive number"),
        (Option("hidden", [256], "", widths), "64,,32", "--hidden must be widths"),
        (Option("hidden", [256], "", widths), [], "--hidden must be widths"),
        (Option("smoothing", 0.0, "", share), 1.0, "--smoothing must be a number from 0 to below 1"),
        (Option("loss", "hinge", "", choices=("hinge", "minimax")), "hing", "did you mean 'hinge'"),
        (Option("average", True, "", bool), "yes", "--average must be true or false"),
        (Option("batch_size", 8, "", natural_number), 1.5, "--batch-size must be an integer"),
    ],
)
def test_other_values_are_refused_in_a_sentence(option, given, words):
    with pytest.raises(UserError, match=words):
        option.value(given)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model": "gan", "penalty_weight": 3}, "--penalty-weight changes nothing with --gradient-penalty none: give"),
        ({"model": "gan", "optimizer": "sgd", "beta2": 0.9}, "--beta2 changes nothing with --optimizer sgd"),
        ({"model": "sparse-ae", "penalty": "l1", "rho": 0.1}, "--rho changes nothing with --penalty l1"),
        ({"model": "vae", "warmup_epochs": 3}, "--warmup-epochs changes nothing with --kl-annealing none"),
        ({"model": "correction-ae", "weight": 1}, "--weight changes nothing with --regularizer none"),
        ({"model": "gmm", "lr": 0.1}, "--lr changes nothing with --fit em"),
        ({"model": "gmm", "batch_size": 64}, "--batch-size changes nothing with --fit em"),
        ({"model": "gmm", "fit": "gradient", "tol": 1}, "--tol changes nothing with --fit gradient"),
    ],
)
def test_settings_that_change_nothing_are_refused(config, sentence):
    with pytest.raises(UserError, match=sentence):
        make_system(config)


def test_settings_are_taken_where_they_are_of_use_and_where_they_are_the_default():
    make_system({"model": "gan", "gradient_penalty": "r1", "penalty_weight": 3})
    make_system({"model": "gan", "penalty_weight": 10.0})
    make_system({"model": "gan2d", "data": "ring8", "optimizer": "sgd"})
