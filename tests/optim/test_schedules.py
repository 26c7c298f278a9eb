import json
import math

import pytest

import minigen
from minigen.errors import UserError
from minigen.optim import (
    SGD,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

SCHEDULES = {
    "StepLR": (StepLR, {"step_size": 3, "gamma": 0.3}),
    "ExponentialLR": (ExponentialLR, {"gamma": 0.9}),
    "CosineAnnealingLR": (CosineAnnealingLR, {"T_max": 7, "eta_min": 0.01}),
    "LinearLR": (LinearLR, {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 6}),
}
EACH = pytest.mark.parametrize("name", SCHEDULES)
LOSSES = [5, 4, 4, 3.9999, 4, 4.1, 4, 3, 3, 3, 3, 3, 3, math.nan, 3, 2, 2.5, 2, 2, 2, 2, 2]


def optimizer():
    groups = [{"params": [minigen.zeros(1)], "lr": 1.0}, {"params": [minigen.zeros(1)]}]
    return SGD(groups, lr=0.2)


def torch_optimizer(torch):
    groups = [{"params": [torch.zeros(1)], "lr": 1.0}, {"params": [torch.zeros(1)]}]
    return torch.optim.SGD(groups, lr=0.2)


def rates(schedule, steps):
    seen = [schedule.get_last_lr()]
    for _ in range(steps):
        schedule.step()
        seen.append(schedule.get_last_lr())
    return seen


def torch_rates(schedule, reference, steps):
    seen = [[group["lr"] for group in reference.param_groups]]
    for _ in range(steps):
        reference.step()
        schedule.step()
        seen.append([group["lr"] for group in reference.param_groups])
    return seen


def assert_equal(ours, theirs):
    for t, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-15), f"step {t}"


@EACH
def test_rates_are_pytorchs(name):
    torch = pytest.importorskip("torch", reason="PyTorch is what these schedules are compared with")
    kind, arguments = SCHEDULES[name]
    reference = torch_optimizer(torch)
    theirs = getattr(torch.optim.lr_scheduler, name)(reference, **arguments)
    assert_equal(rates(kind(optimizer(), **arguments), 25), torch_rates(theirs, reference, 25))


def test_warm_up_and_cosine_in_a_row_are_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is what these schedules are compared with")
    ours, reference, module = optimizer(), torch_optimizer(torch), torch.optim.lr_scheduler

    def build(n, o, sequential):
        parts = [n.LinearLR(o, 0.1, total_iters=4), n.CosineAnnealingLR(o, 6), n.ExponentialLR(o, 0.5)]
        return sequential(o, parts, milestones=[4, 10])

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch_rates(build(module, reference, module.SequentialLR), reference, 15)
    assert_equal(rates(build(minigen.optim, ours, SequentialLR), 15), theirs)


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1, "factor": 0.5},
        {"patience": 0, "factor": 0.5, "cooldown": 2, "threshold": 0.1},
        {"patience": 1, "threshold": 0.5, "threshold_mode": "abs", "min_lr": [0.05, 0.01]},
        {"patience": 1, "mode": "max", "factor": 0.3},
        {"patience": 2, "mode": "max", "threshold": 0.6, "threshold_mode": "abs", "eps": 0.05},
    ],
)
def test_plateaus_are_pytorchs(arguments):
    torch = pytest.importorskip("torch", reason="PyTorch is what these schedules are compared with")
    ours, reference = optimizer(), torch_optimizer(torch)
    schedule = ReduceLROnPlateau(ours, **arguments)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(reference, **arguments)
    for t, loss in enumerate(LOSSES):
        schedule.step(minigen.tensor(float(loss)) if t % 2 else loss)
        theirs.step(loss)
        assert schedule.get_last_lr() == pytest.approx([g["lr"] for g in reference.param_groups]), f"step {t}"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda o: StepLR(o, 2, 0.1), [1, 1, 0.1, 0.1, 0.01]),
        (lambda o: ExponentialLR(o, 0.5), [1, 0.5, 0.25, 0.125, 0.0625]),
        (lambda o: CosineAnnealingLR(o, 4), [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 0]),
        (lambda o: CosineAnnealingLR(o, 2, eta_min=0.2), [1, 0.6, 0.2, 0.6, 1]),
        (lambda o: LinearLR(o, 0.25, total_iters=3), [0.25, 0.5, 0.75, 1, 1]),
        (lambda o: SequentialLR(o, [LinearLR(o, 0.5, total_iters=2), StepLR(o, 1)], [2]), [0.5, 0.75, 1, 0.1, 0.01]),
    ],
)
def test_rates_are_those_worked_out_by_hand(schedule, expected):
    assert [lr for lr, _ in rates(schedule(optimizer()), 4)] == pytest.approx(expected, abs=1e-15)


def test_a_plateau_lowers_the_rate_after_the_patience_is_spent():
    o = optimizer()
    schedule = ReduceLROnPlateau(o, patience=1, factor=0.5)
    seen = []
    for loss in (1.0, 1.0, 1.0, 0.5, 0.5, 0.5):
        schedule.step(loss)
        seen.append(o.param_groups[0]["lr"])
    assert seen == [1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("order", ["optimizer first", "schedule first"])
@EACH
def test_a_resumed_schedule_goes_on_the_same(name, order):
    kind, arguments = SCHEDULES[name]
    whole = rates(kind(optimizer(), **arguments), 9)
    before = optimizer()
    first = kind(before, **arguments)
    rates(first, 4)
    saved, numbers = json.loads(json.dumps(first.state_dict())), json.loads(json.dumps(before.state_numbers()))
    after = optimizer()
    if order == "optimizer first":
        after.load_state({}, numbers)
    second = kind(after, **arguments)
    second.load_state_dict(saved)
    if order == "schedule first":
        after.load_state({}, numbers)
    assert rates(second, 5) == whole[4:]


def test_a_resumed_plateau_goes_on_the_same():
    def make():
        o = optimizer()
        return o, ReduceLROnPlateau(o, patience=2)

    (_, whole), (before, first), (after, second) = make(), make(), make()
    second.load_state_dict(json.loads(json.dumps(second.state_dict())))  # before the first step, best is infinite
    for loss in LOSSES:
        whole.step(loss)
    for loss in LOSSES[:10]:
        first.step(loss)
    after.load_state({}, before.state_numbers())
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for loss in LOSSES[10:]:
        second.step(loss)
    assert second.get_last_lr() == whole.get_last_lr()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: StepLR(o, 0), "step_size=0 must be at least 1"),
        (lambda o: CosineAnnealingLR(o, 0), "T_max=0 must be at least 1"),
        (lambda o: LinearLR(o, 0.0), "start_factor=0.0"),
        (lambda o: LinearLR(o, total_iters=0), "total_iters=0"),
        (lambda o: ReduceLROnPlateau(o, mode="low"), "mode must be 'min' or 'max'"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), "factor=1.0 must be below 1"),
        (lambda o: ReduceLROnPlateau(o, min_lr=[0.1]), "1 values of min_lr for 2 parameter groups"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)], [3]), "1 schedules need 0 rising milestones"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)] * 3, [3, 3]), r"3 schedules need 2 rising milestones, not \[3, 3\]"),
        (lambda o: SequentialLR(o, [StepLR(optimizer(), 1)], []), "made for this optimizer"),
        (lambda o: StepLR(o, 1).load_state_dict({"last_epoch": 1, "base_lrs": [1.0]}), "is for 1 parameter groups"),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(UserError, match=message):
        make(optimizer())
