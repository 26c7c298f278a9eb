import threading

import numpy as np
import pytest

import minigen
from minigen import functional as F
from minigen import nn
from minigen.errors import UserError
from minigen.trace import Row, Table


def rows(table, **wanted):
    """The rows that have these values, and the parts of gradients that have."""
    every = [row for outer in table.rows for row in (outer, *outer.parts)]
    return [row for row in every if all(getattr(row, name) == value for name, value in wanted.items())]


def count_by_loops(x, w, y, stride, padding, dilation, groups):
    """Multiply-adds of a convolution, one at a time: every tap of every output."""
    count = 0
    for _ in np.ndindex(y):
        for _ in range(w[1]):
            count += w[2] * w[3]
    return count


@pytest.mark.parametrize("seed", range(4))
def test_the_multiply_adds_of_the_convolutions_and_of_both_gradients_are_those_of_the_loops(seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    stride, padding, dilation = (int(rng.integers(1, 3)) for _ in range(3))
    x = minigen.ones(2, 2 * groups, 9, 8, requires_grad=True)
    w = minigen.ones(3 * groups, 2, 3, 2, requires_grad=True)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    with minigen.trace() as t:
        y = F.conv2d(x, w, **settings)
        y.sum().backward()
    expected = count_by_loops(x.shape, w.shape, y.shape, **settings)
    assert [row.multiply_adds for row in rows(t, operation="Conv2d")] == [expected, 2 * expected]
    for kind in ("ConvTranspose2d", "Conv2dWeightGrad"):
        assert [row.multiply_adds for row in rows(t, operation=kind)] == [expected]
    assert t.total.multiply_adds == 3 * expected


def test_the_multiply_adds_of_a_model_are_those_of_its_summary():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, stride=2), nn.Flatten(), nn.Linear(192, 5)
    )
    x = minigen.ones(2, 1, 8, 8)
    with minigen.trace() as t, minigen.no_grad():
        net(x)
    assert t.total.multiply_adds == nn.summary(net, x).multiply_adds > 0


def test_products_of_matrices_count_every_pair():
    a, b = minigen.ones(5, 1, 2, 3), minigen.ones(4, 3, 7)
    with minigen.trace() as t:
        F.matmul(a, b)
        F.einsum("bij,bjk->bik", minigen.ones(4, 2, 3), minigen.ones(4, 3, 5))
        F.einsum("ij->i", minigen.ones(2, 3))
        F.einsum("ij,jk,kl->il", minigen.ones(2, 99), minigen.ones(99, 2), minigen.ones(2, 98))
        F.matmul(minigen.ones(6, 5), minigen.ones(5))
        F.matmul(minigen.ones(6), minigen.ones(6, 5))
    # Of the chain the first product is the smaller one by far, and is taken first.
    chain = 2 * 99 * 2 + 2 * 2 * 98
    assert [row.multiply_adds for row in t.rows] == [5 * 4 * 2 * 3 * 7, 4 * 2 * 3 * 5, 0, chain, 6 * 5, 6 * 5]


@pytest.mark.parametrize("frozen", [False, True])
def test_a_linear_layer_costs_as_much_for_each_gradient_as_forwards(frozen):
    layer = nn.Linear(6, 5)
    x = minigen.ones(4, 6, requires_grad=not frozen)
    with minigen.trace() as t:
        layer(x).sum().backward()
    (forward, backward) = [row for row in t.rows if row.operation == "Linear"]
    assert forward.multiply_adds == 4 * 5 * 6
    assert backward.multiply_adds == (1 if frozen else 2) * 4 * 5 * 6
    assert backward.module == forward.module == "Linear"


def test_bytes_are_of_every_array_once_and_views_move_none():
    x = minigen.ones(10, 20)
    with minigen.trace() as t:
        x + minigen.ones(20)
        x.permute(1, 0)
        x.reshape(20, 10)
        x.permute(1, 0).reshape(10, 20)  # cannot be a view
        x.expand(3, 10, 20) * 2.0
        F.getitem(x, slice(5))
        F.getitem(x, [1, 2, 3])
    sizes = [row.bytes for row in t.rows if row.operation != "Permute"]
    assert sizes[:3] == [800 + 80 + 800, 0, 1600]
    assert [row.bytes for row in rows(t, operation="Permute")] == [0, 0]
    assert [row.bytes for row in rows(t, operation="Expand")] == [0]
    assert [row.bytes for row in rows(t, operation="Mul")] == [800 + 2400]
    view, picked = rows(t, operation="GetItem")
    assert view.bytes == 0
    assert picked.bytes == 2 * 3 * 80 + 3 * 8


def test_gradient_norms_are_of_the_gradient_that_arrives():
    x = minigen.tensor([3.0, 4.0], requires_grad=True)
    with minigen.trace() as t:
        ((x * x).sum() * 5.0).backward()
    norms = {row.operation: row.gradient_norm for row in t.rows if row.order == 1 and row.gradient_norm is not None}
    assert norms["Sum"] == 5.0
    assert t.rows[0].gradient_norm is None
    product = [row for row in t.rows if row.operation == "Mul" and row.order == 1]
    assert [row.gradient_norm for row in product] == [1.0, pytest.approx(np.hypot(5, 5))]


def test_derivatives_of_derivatives_are_a_phase_of_their_own():
    x = minigen.tensor([1.0, 2.0], requires_grad=True)
    with minigen.trace() as t:
        (g,) = minigen.grad((x**3).sum(), x, create_graph=True)
        penalty = (g**2).sum()
        (h,) = minigen.grad(penalty, x, create_graph=True)
        h.sum().backward()
    phases = [row.phase for row in t.rows]
    changes = [phase for i, phase in enumerate(phases) if i == 0 or phases[i - 1] != phase]
    assert changes == ["forward", "backward", "forward", "backward 2", "forward", "backward 3"]


def test_tracing_changes_no_number():
    def step():
        generator = minigen.Generator(0)
        net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
        for i, p in enumerate(net.parameters()):
            p.data = minigen.Generator(i).normal(p.shape)
        net[3].generator = generator
        x = minigen.Tensor(minigen.Generator(9).normal((16, 6)), requires_grad=True)
        y = net(x) * net(x)
        (g,) = minigen.grad(y.sum(), x, create_graph=True)
        ((g**2).sum() + y.sum()).backward()
        return [x.grad, *[p.grad for p in net.parameters()]]

    expected = step()
    with minigen.trace():
        found = step()
    for a, b in zip(expected, found, strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_modules_are_named_from_the_outermost_and_fused_ones_together():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))

        def forward(self, x):
            return self.body(x) * 2.0

    first, second = Net(), Net()
    with minigen.trace() as t:
        (first(minigen.ones(5, 3)).sum() + second(minigen.ones(5, 3)).sum()).backward()
    forward = [row.module for row in t.rows if row.order == 0]
    one = ["Net.body.0", "Net.body.1–2", "Net.body.3", "Net", ""]
    assert forward == one + [name.replace("Net", "Net(2)") for name in one] + [""]
    assert {row.module for row in t.rows if row.order == 1 and row.gradient_norm is not None} == set(forward)


def test_after_an_exception_the_rows_are_there_and_nothing_is_recorded_any_more():
    t = minigen.trace()
    net = nn.Linear(3, 2)
    x = minigen.ones(2, 4)
    with pytest.raises(minigen.errors.ShapeError), t:
        net(x.exp())
    assert [row.operation for row in t.rows] == ["Exp"]
    minigen.ones(2).exp()
    assert len(t.rows) == 1
    with t:
        minigen.ones(2).log()
        net(minigen.ones(1, 3))
    assert [(row.operation, row.module) for row in t.rows] == [("Exp", ""), ("Log", ""), ("Linear", "Linear")]


def test_a_trace_within_a_trace_has_its_own_part():
    with minigen.trace() as outer:
        minigen.ones(2).exp()
        with minigen.trace() as inner:
            minigen.ones(2).log()
            with pytest.raises(UserError, match="is open already"), outer:
                pass
        minigen.ones(2).sqrt()
    assert [row.operation for row in inner.rows] == ["Log"]
    assert [row.operation for row in outer.rows] == ["Exp", "Log", "Sqrt"]


def test_other_threads_are_not_recorded():
    def work():
        minigen.ones(3).exp()

    with minigen.trace() as t:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert t.rows == []


def test_the_peak_is_of_results_that_are_there_together():
    x = minigen.ones(1000)
    with minigen.trace() as t:
        y = x.exp()
        del y
        y = x.exp()
        z = y.reshape(10, 100)
        y = y + z.reshape(1000)
    assert t.peak == 8000
    assert [row.alive for row in t.rows] == [4000, 4000, 4000, 4000, 8000]
    with minigen.trace() as outer:
        keep = x.exp()
        with minigen.trace() as inner:
            x.exp()
    assert (outer.peak, inner.peak, keep.shape) == (8000, 4000, (1000,))


def test_a_users_operation_that_works_on_arrays_is_counted_with_what_it_makes():
    class Double(minigen.Function):
        def forward(self, x):
            return 2 * x

        @minigen.once_differentiable
        def backward(self, g):
            return minigen.Tensor(2 * g.numpy())

    x = minigen.ones(100, requires_grad=True)
    with minigen.trace() as t:
        (Double.apply(x) * x).sum().backward()
    (row,) = [row for row in t.rows if row.operation == "Double" and row.order == 1]
    assert (row.bytes, row.multiply_adds, row.parts) == (800, 0, ())
    assert row.gradient_norm == 10.0


def test_a_simulated_gpu_is_traced_like_the_cpu():
    pytest.importorskip("numba.cuda", reason="the simulator needs Numba's CUDA target")
    tables = []
    for device in ("cpu", "cudasim"):
        x, w = (minigen.ones(*shape, requires_grad=True, device=device) for shape in ((4, 3), (2, 3)))
        with minigen.trace() as t:
            (F.linear(x, w).tanh() * 2.0).sum().backward()
        tables.append([row for row in t.rows if row.operation != "Clone"])  # where a kernel's result is a view
        assert t.peak > 0
    for ours, other in zip(*tables, strict=True):
        assert (other.operation, other.inputs, other.outputs) == (ours.operation, ours.inputs, ours.outputs)
        assert other.multiply_adds == ours.multiply_adds
        assert other.gradient_norm == (None if ours.order == 0 else pytest.approx(ours.gradient_norm))


TABLE = Table(
    [
        Row("Exp", 0, "A", ((2,),), ((2,),), 0, 16, 1.0),
        Row("Linear", 0, "B<1>", ((2, 3), (4, 3)), ((2, 4),), 24, 1500, 3.0),
        Row("Exp", 1, "A", ((2,),), ((2,),), 0, 24, 2.0, 0.5, parts=(Row("Mul", 1, bytes=24, milliseconds=1.5),)),
        Row("Exp", 0, "A", ((),), ((),), 0, 2_500_000, 2.5),
    ],
    peak=4096,
)


def test_sorting_and_adding_up():
    assert [row.milliseconds for row in TABLE.sort().rows] == [3.0, 2.5, 2.0, 1.0]
    assert [row.operation for row in TABLE.sort("operation").rows] == ["Exp", "Exp", "Exp", "Linear"]
    assert TABLE.sort("gradient_norm").rows[0].gradient_norm == 0.5
    by_operation = [(row.operation, row.phase, row.calls, row.milliseconds) for row in TABLE.group().rows]
    assert by_operation == [("Exp", "forward", 2, 3.5), ("Linear", "forward", 1, 3.0), ("Exp", "backward", 1, 2.0)]
    assert [(row.phase, row.bytes) for row in TABLE.group("phase").rows] == [("forward", 2_501_516), ("backward", 24)]
    assert TABLE.total.calls == 4
    assert TABLE.total.milliseconds == 8.5
    with pytest.raises(UserError, match="did you mean 'milliseconds'"):
        TABLE.sort("miliseconds")
    with pytest.raises(UserError, match="Unknown column to group by 'shape'"):
        TABLE.group("shape")


def test_it_prints_and_shows_what_it_says():
    lines = [line.split() for line in str(TABLE).splitlines()]
    assert lines[0] == ["Operation", "Module", "Phase", "In", "Out", "Multiply-adds", "Bytes", "ms", "Gradient", "norm"]
    assert ["Linear", "B<1>", "forward", "(2,", "3)", "(4,", "3)", "(2,", "4)", "24", "1.5", "kB", "3.000"] in lines
    assert ["Exp", "A", "forward", "()", "()", "0", "2.5", "MB", "2.500"] in lines
    assert ["Total", "24", "2.5", "MB", "8.500"] in lines
    assert str(TABLE).endswith("Most memory in results of operations at a time: 4.1 kB.")
    page = TABLE._repr_html_()
    assert "B&lt;1&gt;" in page
    assert page.count("<tr>") == 6
    unfolded = str(TABLE.unfold()).splitlines()
    assert any(line.split()[:2] == ["·", "Mul"] for line in unfolded)
    assert unfolded[-2].split() == ["Total", "24", "2.5", "MB", "8.500"]


def test_an_empty_trace_prints_and_a_long_one_says_how_much_more_there_is():
    with minigen.trace() as t:
        pass
    assert "Total" in str(t)
    assert t.total.milliseconds == 0
    with minigen.trace() as t:
        x = minigen.ones(2)
        for _ in range(100):
            x = -x
    assert "20 more lines" in str(t)
    assert len(t.rows) == 100


def test_a_table_is_text_in_a_notebook_too_and_shows_nothing_by_itself(monkeypatch, capsys):
    with minigen.trace() as t:
        minigen.ones(2) * 3
    plain = str(t)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(
        "rich.jupyter.display", lambda *given: pytest.fail("was shown, besides being asked for as text")
    )
    assert str(t) == plain
    assert "Mul" in plain
    assert capsys.readouterr().out == ""


def test_a_trace_of_something_is_refused():
    with pytest.raises(UserError, match=r"trace takes no arguments, and was given Linear.*with minigen\.trace\(\)"):
        minigen.trace(nn.Linear(2, 2))


def test_a_linear_layer_in_one_pass_with_its_activation_costs_what_it_costs_alone():
    x = minigen.ones(64, 128)
    with minigen.trace() as t:
        nn.Sequential(nn.Linear(128, 128), nn.ReLU())(x)
    assert sum(row.multiply_adds for row in t.rows) == 64 * 128 * 128


def test_a_mask_is_an_input_and_counts():
    x = minigen.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with minigen.trace() as table:
        F.where(minigen.tensor([True, False, True]), x, 0.0)
    (row,) = table.rows
    assert row.inputs == ((3,), (3,))
    assert row.bytes == 12 + 12 + 3
