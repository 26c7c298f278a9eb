"""What must hold of the engine: DESIGN's nine points, each as sentences."""

import gc
import weakref

import numpy as np
import pytest

import minigen as mg
from minigen.autograd.function import run
from minigen.errors import AutogradError, DtypeError, InPlaceError, ShapeError
from minigen.functional.arithmetic import Mul


def leaf(*values, dtype=np.float64):
    return mg.tensor(np.array(values if len(values) > 1 else values[0], dtype), requires_grad=True)


def test_a_diamond_sums_the_gradients_of_both_its_paths():
    x = leaf(3.0)
    (x * x + x * 2).backward()
    assert x.grad.item() == 8.0


def test_every_node_of_a_chain_of_diamonds_is_visited_once():
    visits = []

    class Half(mg.Function):
        def forward(self, x):
            return x * 0.5

        def backward(self, g):
            visits.append(g.item())
            return g * 0.5

    x = y = leaf(1.0)
    for _ in range(60):  # 2⁶⁰ paths
        h = Half.apply(y)
        y = h + h
    y.backward()
    assert visits == [2.0] * 60
    assert x.grad.item() == 1.0


def test_a_graph_100000_operations_deep_is_differentiated_and_freed():
    x = y = leaf(1.0)
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0
    y = x
    for _ in range(100_000):
        y = y + 1.0
    del y  # freeing it without having gone through it must not recurse either


def test_a_graph_is_freed_by_reference_counting_the_moment_its_output_goes():
    class Marked(mg.Function):
        def forward(self, x):
            self.save_for_backward(x)
            return np.exp(x)

        def backward(self, g):
            (x,) = self.saved_tensors
            return g * mg.exp(x)

    gc.disable()
    try:
        y = Marked.apply(leaf(1.0, 2.0) * 2)
        node = weakref.ref(y.grad_fn)
        z = mg.exp(y).sum()
        del y
        assert node() is not None
        del z
        assert node() is None
    finally:
        gc.enable()


def test_backward_frees_what_it_used():
    x = leaf(1.0, 2.0)
    y = mg.exp(x)
    z = y.sum()
    z.backward()
    assert z.grad_fn.edges is None
    assert y.grad_fn._saved == ()


@pytest.mark.parametrize("op", [lambda x: x + 1, lambda x: x * x, mg.exp])
def test_a_second_backward_without_retain_graph_raises(op):
    x = leaf(2.0)
    y = op(x)
    y.backward()
    with pytest.raises(AutogradError, match="retain_graph"):
        y.backward()
    with pytest.raises(AutogradError, match="retain_graph"):
        mg.grad(y, x)


def test_retain_graph_allows_a_second_backward_which_adds_up():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0


def test_grad_touches_nothing_and_backward_accumulates():
    x, w = leaf(2.0), leaf(5.0)
    (g,) = mg.grad(x * w, x)
    assert g.item() == 5.0
    assert x.grad is None
    assert w.grad is None
    (x * w).backward()
    (x * w).backward()
    assert x.grad.item() == 10.0


def test_a_gradient_never_computed_is_none_not_zero():
    x, unused = leaf(1.0), leaf(1.0)
    (x * 2).backward()
    assert unused.grad is None
    assert mg.grad(x * 2, [x, unused], allow_unused=True)[1] is None
    with pytest.raises(AutogradError, match="input 1"):
        mg.grad(x * 2, [x, unused])


def test_two_tensors_never_share_one_gradient_buffer():
    x, y, z = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf([[1.0], [2.0]])
    seed = mg.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=np.float64)
    ((x + y) + z).backward(seed)
    buffers = [x.grad.data, y.grad.data, z.grad.data, seed.data, x.data, y.data, z.data]
    for i, a in enumerate(buffers):
        for b in buffers[:i]:
            assert not np.shares_memory(a, b)
    gx, gy = mg.grad((x + y).sum(), [x, y])
    assert not np.shares_memory(gx.data, gy.data)
    g1, g2 = mg.grad((x * x).sum(), [x, x])
    assert not np.shares_memory(g1.data, g2.data)


def test_a_leaf_that_is_its_own_output_copies_the_seed():
    x, seed = leaf(1.0, 2.0), mg.tensor(np.array([1.0, 5.0]))
    x.backward(seed)
    assert x.grad.tolist() == [1.0, 5.0]
    assert not np.shares_memory(x.grad.data, seed.data)


def test_a_function_that_returns_a_saved_tensor_does_not_give_its_buffer_away():
    class Half(mg.Function):  # y = ½ Σ x²
        def forward(self, x):
            self.save_for_backward(x)
            return 0.5 * (x * x).sum()

        def backward(self, g):
            (x,) = self.saved_tensors
            return x

    x = leaf(1.0, 2.0)
    Half.apply(x).backward()
    assert x.grad.tolist() == [1.0, 2.0]
    assert not np.shares_memory(x.grad.data, x.data)


def test_gradients_have_the_dtype_and_shape_of_their_inputs():
    x = mg.ones((3, 1), requires_grad=True)
    y = mg.ones((1, 4), dtype=np.float64, requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (np.float32, (3, 1))
    assert (y.grad.dtype, y.grad.shape) == (np.float64, (1, 4))


def test_a_python_number_never_promotes():
    x = mg.ones(3)
    for y in (x * 2, x + 0.5, 1 / x, 2**x, x**0.5, mg.maximum(x, 0.1), mg.where(x > 0, x, 0.0), x * np.float64(3.0)):
        assert y.dtype == np.float32
    assert (mg.arange(3) * 0.5).dtype == np.float32
    assert (mg.arange(3) / 2).dtype == np.float32


def test_third_derivatives_come_for_free():
    x = leaf(0.7)
    y = mg.sin(x)
    for expected in (np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin):
        (y,) = mg.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected(0.7), abs=1e-12)


def test_create_graph_makes_accumulated_gradients_differentiable():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    assert x.grad.item() == 27.0
    (second,) = mg.grad(x.grad, x)
    assert second.item() == 18.0


def test_x_times_its_own_detached_copy_has_the_right_second_derivative():
    x = leaf(3.0)
    (g,) = mg.grad(x * x.detach() * x, x, create_graph=True)  # the detached factor is a constant
    (h,) = mg.grad(g, x)
    assert (g.item(), h.item()) == (18.0, 6.0)


def test_two_tensors_around_one_array_keep_their_gradients_apart():
    array = np.array([3.0])
    x, y = mg.Tensor(array, requires_grad=True), mg.Tensor(array, requires_grad=True)
    gx, gy = mg.grad((x * x * y).sum(), [x, y], create_graph=True)
    assert (gx.item(), gy.item()) == (18.0, 9.0)
    assert mg.grad(gy.sum(), x)[0].item() == 6.0


def test_save_for_backward_refuses_a_float_array_that_may_depend_on_an_input():
    class Smuggler(mg.Function):
        def forward(self, x):
            y = np.exp(x)
            self.save_for_backward(y * 1)
            return y

        def backward(self, g):
            return g

    with pytest.raises(AutogradError, match="second derivatives would silently miss"):
        Smuggler.apply(leaf(1.0))


def test_backward_computes_only_gradients_that_somebody_wants():
    asked = []

    class Product(mg.Function):
        def forward(self, x, y):
            self.save_for_backward(x, y)
            return x * y

        def backward(self, g):
            asked.append(self.needs_input_grad)
            x, y = self.saved_tensors
            return g * y, g * x

    x, y = leaf(2.0), leaf(3.0)
    z = Product.apply(x, y)
    mg.grad(z, x, retain_graph=True)
    mg.grad(z, y, retain_graph=True)
    z.backward()
    assert asked == [(True, False), (False, True), (True, True)]
    asked.clear()
    Product.apply(x, y.detach()).backward()
    assert asked == [(True, False)]


def test_the_gradient_of_an_intermediate_tensor_can_be_asked_for():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    assert mg.grad(z, y, retain_graph=True)[0].item() == 12.0
    y.retain_grad()
    z.backward()
    assert y.grad.item() == 12.0


def test_hooks_see_the_whole_gradient_and_may_replace_it():
    x = leaf(2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    remove = y.register_hook(lambda g: g * 10)
    (y + y).backward(retain_graph=True)
    assert (seen, x.grad.item()) == ([2.0], 60.0)
    remove()
    x.grad = None
    x.register_hook(lambda g: g + 1)
    (y + y).backward()
    assert x.grad.item() == 7.0


def test_shared_parts_of_a_graph_can_serve_several_outputs():
    x = leaf(1.0, 2.0)
    y = mg.exp(x)
    g = mg.grad([y.sum(), (y * y).sum()], x)[0]
    np.testing.assert_allclose(g.numpy(), np.exp(x.numpy()) + 2 * np.exp(2 * x.numpy()))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("add_", lambda x: x.add_(1)),
        ("iadd", lambda x: x.__iadd__(1)),
        ("mul_", lambda x: x.mul_(2)),
        ("setitem", lambda x: x.__setitem__(0, 5.0)),
        ("fill_", lambda x: x.fill_(1.0)),
        ("copy_", lambda x: x.copy_([1.0, 1.0])),
        ("clamp_", lambda x: x.clamp_(0, 1)),
        ("data", lambda x: setattr(x, "data", np.zeros(2))),
        ("through a view", lambda x: x[:1].add_(1)),
        ("through detach", lambda x: x.detach().zero_()),
        ("through reshape", lambda x: x.reshape(2, 1).add_(1)),
    ],
)
def test_changing_in_place_what_a_backward_needs_raises(name, change):
    x, w = mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0], requires_grad=True)
    y = (x * w).sum()
    change(x)
    with pytest.raises(InPlaceError, match="changed in place"):
        y.backward()


def test_changing_in_place_what_no_backward_needs_is_fine():
    x, w = mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0], requires_grad=True)
    y = (x + w).sum()
    x += 1
    y.backward()
    assert w.grad.tolist() == [1.0, 1.0]


def test_changing_a_result_in_place_that_its_own_derivative_needs_raises():
    x = mg.tensor([1.0], requires_grad=True)
    y = mg.exp(x)
    with mg.no_grad():
        y *= 2
    with pytest.raises(InPlaceError, match="Exp"):
        y.backward()


@pytest.mark.parametrize("change", [lambda x: x.add_(1), lambda x: x.__setitem__(0, 1.0), lambda x: x.__imul__(2)])
def test_in_place_operations_on_what_takes_part_in_a_gradient_say_what_to_write_instead(change):
    with pytest.raises(InPlaceError, match="write x = "):
        change(mg.ones(2, requires_grad=True) * 2)
    x = mg.ones(2)
    with pytest.raises(InPlaceError, match="x = x \\+ y"):
        x += mg.ones(2, requires_grad=True)


def test_parameters_can_be_updated_in_place_without_recording():
    w = mg.ones(2, requires_grad=True)
    before = w.data
    with mg.no_grad():
        w -= 0.5 * mg.ones(2)
        w[0] = 7.0
    assert w.tolist() == [7.0, 0.5]
    assert w.data is before
    assert w.requires_grad


def test_an_expanded_view_refuses_to_be_changed():
    with pytest.raises(InPlaceError, match="view"):
        mg.ones(1).expand(3).add_(1)


def test_an_index_changed_after_use_does_not_reach_the_gradient():
    x, index = leaf(1.0, 2.0, 3.0), np.array([0, 0])
    y = x[index].sum()
    index[:] = 2
    y.backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]


def test_a_condition_changed_after_use_raises():
    x, condition = leaf(1.0, 2.0), mg.tensor([True, False])
    y = mg.where(condition, x, 0.0).sum()
    condition[1] = True
    with pytest.raises(InPlaceError):
        y.backward()


def test_no_grad_records_nothing_and_enable_grad_records_again():
    x = leaf(1.0)
    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.enable_grad():
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad

    @mg.no_grad()
    def f():
        return x * 2

    assert not f().requires_grad


def test_anomaly_mode_names_the_operation_and_the_line_of_the_first_nan():
    x = leaf(-1.0, 2.0)
    with (
        mg.detect_anomaly(),
        pytest.raises(mg.errors.AnomalyError, match=r"Log made the first NaN.*test_engine.py:\d+: .*the culprit"),
    ):
        mg.exp(mg.log(x) * 2)  # the culprit


def test_anomaly_mode_names_the_forward_line_of_an_infinite_gradient():
    x = leaf(0.0, 1.0)
    with mg.detect_anomaly():
        y = mg.sqrt(x).sum()  # the forward line
        with pytest.raises(
            mg.errors.AnomalyError, match=r"Sqrt made the first infinity, in its gradient.*the forward line"
        ):
            y.backward()


def test_anomaly_mode_names_the_forward_line_of_an_infinite_second_derivative():
    x = leaf(0.0)
    with mg.detect_anomaly():
        y = x**1.5  # the power of interest
        (g,) = mg.grad(y, x, create_graph=True)
        with pytest.raises(mg.errors.AnomalyError, match=r"first infinity, in its gradient.*the power of interest"):
            mg.grad(g, x)


class Once(mg.Function):
    def forward(self, x):
        self.save_for_backward(x)
        return x**3

    @mg.once_differentiable
    def backward(self, g):
        (x,) = self.saved_tensors
        return g * (3 * x * x)


def test_a_function_that_can_be_differentiated_once_says_so():
    x = leaf(2.0)
    (first,) = mg.grad(Once.apply(x), x, create_graph=True)
    assert first.item() == 12.0
    with pytest.raises(mg.errors.DoubleBackwardError, match="Once"):
        mg.grad(first, x)


def test_wrong_uses_are_answered_in_a_sentence():
    x = leaf(1.0, 2.0)
    with pytest.raises(AutogradError, match="not a scalar"):
        (x * 2).backward()
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        (x * 2).backward(mg.ones(3))
    with pytest.raises(AutogradError, match="does not require"):
        mg.ones(1).backward()
    with pytest.raises(AutogradError, match="requires_grad=False"):
        mg.grad(x.sum(), mg.ones(1))
    with pytest.raises(DtypeError, match="int64"):
        mg.tensor([1, 2], requires_grad=True)
    with pytest.raises(AutogradError, match="detach"):
        (x * 2).requires_grad_(False)


@pytest.mark.parametrize(
    ("returned", "message"),
    [(lambda g: g.sum(), "shape"), (lambda g: (g, g), "2 gradients for 1"), (lambda g: g.numpy(), "not a Tensor")],
)
def test_a_backward_that_returns_nonsense_is_named(returned, message):
    class Bad(mg.Function):
        def forward(self, x):
            return x * 1

        def backward(self, g):
            return returned(g)

    with pytest.raises((AutogradError, ShapeError), match=f"Bad.*{message}"):
        Bad.apply(leaf(1.0, 2.0)).sum().backward()


@pytest.mark.parametrize("recorded", [True, False])
def test_several_threads_may_go_through_one_graph_that_is_retained(recorded):
    """One pass waits on bare arrays in the middle of a node, while another goes through the same node."""
    import threading

    entered, leave, found = threading.Event(), threading.Event(), []

    class Times(mg.Function):
        takes_arrays = True

        def forward(self, x, y):
            self.save_for_backward(x, y)
            return x * y

        def backward(self, g):
            waits = not entered.is_set()
            if waits:
                entered.set()
                leave.wait(timeout=20)
            x, y = self.saved_tensors
            assert isinstance(x, type(g))
            return (self.compute(Times, g, y) if self.needs_input_grad[0] else None, g * x)

    x = mg.tensor([3.0, 2.0], requires_grad=True)
    y = Times.apply(x, x)
    first = threading.Thread(target=lambda: found.extend(mg.grad(y.sum(), x, retain_graph=True)))
    first.start()
    assert entered.wait(timeout=20)
    (g,) = mg.grad(y.sum(), x, retain_graph=True, create_graph=recorded)
    leave.set()
    first.join()
    assert g.tolist() == found[0].tolist() == [6.0, 4.0]
    if recorded:
        assert mg.grad(g.sum(), x)[0].tolist() == [2.0, 2.0]


def test_threads_have_switches_of_their_own():
    import threading

    recorded = []
    x = leaf(1.0)
    with mg.no_grad():
        thread = threading.Thread(target=lambda: recorded.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert recorded == [True]


# ---- gradients on bare arrays ------------------------------------------------------------------------------------


class Scaled(mg.Function):
    """y = x, by way of an operation that asks what is wanted of it."""

    def forward(self, x, factor):
        self.wanted = self.needs_input_grad
        return x * factor

    def backward(self, g):
        return g, None


class OnArrays(mg.Function):
    """y = x³, with a backward that is run on what the pass has."""

    takes_arrays = True
    got = None

    def forward(self, x):
        self.save_for_backward(x)
        return x**3

    def backward(self, g):
        (x,) = self.saved_tensors
        type(self).got = {type(g).__name__, type(x).__name__}
        return self.compute(Scaled, 3 * x * x * g, 1.0)


def test_a_backward_that_takes_arrays_gets_them_where_no_graph_is_wanted_and_tensors_elsewhere():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = OnArrays.apply(x)
    assert mg.grad(y.sum(), x, retain_graph=True)[0].tolist() == [3.0, 12.0]
    assert OnArrays.got == {"ndarray"}
    assert isinstance(y.grad_fn.saved_tensors[0], mg.Tensor)
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    assert OnArrays.got == {"Tensor"}
    assert g.requires_grad
    with mg.detect_anomaly():
        OnArrays.apply(x).sum().backward()
    assert OnArrays.got == {"Tensor"}


def test_what_takes_arrays_is_not_inherited_by_a_backward_that_says_nothing_of_it():
    class Tripled(OnArrays):
        def backward(self, g):
            return super().backward(g).clamp(max=6.0)

    class Renamed(OnArrays):
        pass

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    Tripled.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 6.0]
    assert Renamed.takes_arrays


class KeepsInputs(mg.Function):
    """y = x·y·z²."""

    keeps_inputs = True

    def forward(self, x, y, z):
        return x * y * z * z

    def backward(self, g):
        x, y, z = self.saved_tensors
        return g * y * z * z, g * x * z * z, g * x * y * z * 2


def test_what_keeps_its_inputs_gets_them_back_whether_they_are_tensors_or_numbers():
    x, z = (mg.tensor([v], dtype=np.float64, requires_grad=True) for v in (2.0, 5.0))
    y = KeepsInputs.apply(x, 3.0, z)
    assert [value is kept for value, kept in zip(y.grad_fn.saved_tensors, (x, None, z))] == [True, False, True]
    assert y.grad_fn.saved_tensors[1] == 3.0
    first = mg.grad(y.sum(), (x, z), create_graph=True)
    assert [g.item() for g in first] == [75.0, 60.0]
    assert [g.item() for g in mg.grad(first[1].sum(), (x, z))] == [30.0, 12.0]
    z.detach().add_(1.0)
    with pytest.raises(InPlaceError, match="KeepsInputs"):
        mg.grad(y.sum(), x)


def test_what_forward_saves_goes_before_the_inputs_that_its_class_keeps():
    class Other(KeepsInputs):
        def forward(self, x, y, z):
            self.save_for_backward(y, x, z)
            return super().forward(x, y, z)

    class Same(KeepsInputs):
        def forward(self, x, y, z):
            return super().forward(x, y, z)

    x, y, z = (mg.tensor([v], requires_grad=True) for v in (2.0, 3.0, 5.0))
    for cls, kept in ((Other, [3.0, 2.0, 5.0]), (Same, [2.0, 3.0, 5.0])):
        assert [t.item() for t in cls.apply(x, y, z).grad_fn.saved_tensors] == kept


@pytest.mark.parametrize("apply", [lambda cls, x, y: cls.apply(x, y), run])
def test_a_subclass_of_a_product_may_call_its_forward_or_save_what_it_likes(apply):
    class Twice(Mul):
        def forward(self, x, y):
            return 2 * super().forward(x, y)

        def backward(self, g):
            gx, gy = super().backward(g)
            return 2 * gx, 2 * gy

    class Second(Mul):
        def forward(self, x, y):
            self.save_for_backward(y)
            return x * y

        def backward(self, g):
            (y,) = self.saved_tensors
            return g * y, None

    x, y = (mg.tensor([v], requires_grad=True) for v in (2.0, 3.0))
    assert [g.item() for g in mg.grad(apply(Twice, x, y).sum(), (x, y))] == [6.0, 4.0]
    assert mg.grad(apply(Second, x, y).sum(), x)[0].item() == 3.0


def test_a_backward_that_is_differentiable_once_may_take_arrays():
    class OnceOnArrays(Once):
        takes_arrays = True

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    OnceOnArrays.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]


def test_after_a_backward_that_failed_on_arrays_everything_is_as_before():
    class Fails(OnArrays):
        takes_arrays = True

        def backward(self, g):
            raise KeyError("once")

    x = mg.tensor([2.0], requires_grad=True)
    with pytest.raises(KeyError):
        mg.grad(Fails.apply(x), x)
    y = x * x
    assert mg.grad(y, x, create_graph=True)[0].requires_grad
    assert isinstance(y.grad_fn.saved_tensors[0], mg.Tensor)


@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_backward_on_arrays_may_return_a_tensor(shape):
    class AsTensor(OnArrays):
        takes_arrays = True

        def backward(self, g):
            return mg.Tensor(7 * g)

    x = mg.ones(*shape, requires_grad=True)
    AsTensor.apply(x).backward(mg.ones(*shape))
    assert x.grad.shape == shape
    assert (x.grad == 7).all()


@pytest.mark.parametrize("result", [1.5, [1.5]])
def test_a_backward_on_arrays_that_returns_something_else_is_told_so(result):
    class Wrong(OnArrays):
        takes_arrays = True

        def backward(self, g):
            return result

    x = mg.tensor([2.0], requires_grad=True)
    with pytest.raises(AutogradError, match=f"returned {type(result).__name__}, not a Tensor"):
        Wrong.apply(x).backward()


def test_a_hook_that_returns_an_array_is_told_so():
    x = mg.tensor([2.0], requires_grad=True)
    y = x * 3
    y.register_hook(lambda g: g.numpy() * 2)
    with pytest.raises(AutogradError, match="hook returned ndarray"):
        y.backward()


def test_a_backward_on_arrays_may_make_a_pass_of_its_own_with_a_graph():
    class Cube(OnArrays):
        """y = x³, whose derivative it has minigen find out."""

        takes_arrays = True

        def backward(self, g):
            (x,) = self.saved_tensors
            with mg.enable_grad():
                t = mg.tensor(x, requires_grad=True)
                (first,) = mg.grad((t * t * t).sum(), t, create_graph=True)
                (second,) = mg.grad(first.sum(), t)
            assert second.tolist() == (6 * x).tolist()
            (again,) = self.saved_tensors
            assert again is x
            return g * first.data

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    Cube.apply(x).sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]
