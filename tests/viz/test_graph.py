import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import minigen
from minigen import functional as F
from minigen import nn
from minigen.errors import AutogradError, UserError
from minigen.viz.graph import graph
from minigen.viz.graph_boxes import boxes_of
from minigen.viz.layered import arrange

SVG = "{http://www.w3.org/2000/svg}"


def boxes(tensors, names=None, grads=None):
    return boxes_of(tensors, names, grads, 1000)


def rectangles(picture):
    """(left, top, right, bottom) and the words of every box in the SVG."""
    found = []
    for group in ET.fromstring(str(picture)).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height, [text.text for text in group.iter(f"{SVG}text")]))
    return found


def heads(picture):
    """The tips of the arrows."""
    tips = [polygon.get("points").split()[0] for polygon in ET.fromstring(str(picture)).iter(f"{SVG}polygon")]
    return [tuple(float(v) for v in tip.split(",")) for tip in tips]


def a_penalty():
    """A critic's gradient penalty: the tensors that are worth a name, and the critic."""
    critic = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = minigen.randn(5, 3, requires_grad=True, generator=minigen.Generator(0))
    y = critic(x).sum()
    (g,) = minigen.grad(y, x, create_graph=True)
    penalty = ((g.square().sum(1).sqrt() - 1) ** 2).mean()
    return {"x": x, "y": y, "g": g, "penalty": penalty, "critic": critic}


def test_every_operation_leaf_and_constant_is_a_box_and_arrows_are_the_edges():
    w = minigen.tensor([[0.5, -1.0]], requires_grad=True)
    x = minigen.tensor([[1.0, 2.0]])
    k = nn.Parameter([3.0])
    y = F.tanh(F.linear(x, w)) * k
    found = boxes(y, {"w": w, "y": y})
    described = [(box.kind, box.lines, [found[j].lines[0] for j in box.inputs]) for box in found]
    assert described == [
        ("input", ["w", "(1, 2)"], []),
        ("constant", ["constant", "(1, 2)"], []),
        ("forward", ["Linear", "(1, 1)"], ["w", "constant"]),
        ("forward", ["Tanh", "(1, 1)"], ["Linear"]),
        ("parameter", ["parameter", "(1,)"], []),
        ("forward", ["y", "Mul", "(1, 1)"], ["Tanh", "parameter"]),
    ]
    assert [box.is_output for box in found] == [False] * 5 + [True]
    assert found[2].tip.startswith("Y = XWᵀ + b")


@pytest.mark.parametrize("f", [F.relu, F.elu, lambda x: F.clip(x, 1.0, 3.0), lambda x: F.maximum(x, x * x)])
def test_the_mask_that_a_gradient_was_chosen_by_is_a_constant_of_its_graph(f):
    x = minigen.tensor([0.5, 1.0, 2.0, 4.0], requires_grad=True)
    (g,) = minigen.grad((f(x) ** 2).sum(), x, create_graph=True)
    found = boxes(g)
    choices = [box for box in found if "Where" in box.lines]
    assert choices
    assert all(any(found[i].kind == "constant" for i in box.inputs) for box in choices)


def test_an_input_used_twice_is_one_box_with_two_arrows():
    x = minigen.tensor([1.0], requires_grad=True)
    found = boxes(x * x + x)
    assert [box.inputs for box in found] == [[], [0, 0], [1, 0]]
    assert len(heads(graph(x * x + x))) == 4


def test_a_leaf_alone_is_a_picture_too():
    x = minigen.tensor([1.0], requires_grad=True)
    picture = graph(x, names={"x": x})
    assert repr(picture) == "<Graph of 0 operations>"
    assert [words for *_, words in rectangles(picture)] == [["x", "(1,)"]]


def test_names_come_from_modules_and_dictionaries_of_both():
    critic = nn.Linear(2, 1)
    x = minigen.ones(3, 2)
    assert {box.lines[0] for box in boxes(critic(x), critic)} == {"weight", "bias", "Linear", "1"}
    assert {box.lines[0] for box in boxes(critic(x), {"D": critic, "x": x})} == {"D.weight", "D.bias", "Linear", "x"}
    with pytest.raises(UserError, match="names must be a module or a dictionary"):
        graph(critic(x), names=[x])
    with pytest.raises(UserError, match=r"names\['x'\] must be a tensor or a module, not int"):
        graph(critic(x), names={"x": 3})


def test_gradient_norms_are_shown_of_grad_of_kept_results_and_of_what_is_given():
    x = minigen.tensor([3.0, 4.0], requires_grad=True)
    h = (x * 2.0).retain_grad()
    y = (h * h).sum()
    y.backward(retain_graph=True)
    norm = np.linalg.norm(4 * np.array([6.0, 8.0]) * 1.0)
    found = boxes(y, {"x": x})
    assert [box.lines[-1] for box in found if "grad" in box.lines[-1]] == [
        f"‖grad‖ {norm:.3g}",
        f"‖grad‖ {norm / 2:.3g}",
    ]
    found = boxes(y, {"x": x}, {"x": minigen.tensor([0.0, 0.25])})
    assert found[0].lines == ["x", "(2,)", "‖grad‖ 0.25"]
    with pytest.raises(UserError, match="Unknown tensor in grads 'z'"):
        graph(y, names={"x": x}, grads={"z": x})
    with pytest.raises(UserError, match=r"grads\['x'\] must be a tensor of shape \(2,\), not \(\)"):
        graph(y, names={"x": x}, grads={"x": y})
    with pytest.raises(UserError, match="grads must be a dictionary"):
        graph(y, names={"x": x}, grads=[x])


def test_what_computes_a_gradient_is_apart_and_in_the_row_of_what_it_is_the_gradient_of():
    parts = a_penalty()
    found = boxes([parts["penalty"], parts["y"]], parts)
    by_kind = {kind: [box for box in found if box.kind == kind] for kind in ("forward", "backward", "second")}
    assert not by_kind["second"]
    assert {box.column for box in by_kind["backward"]} == {1}
    (tanh,) = [box for box in by_kind["forward"] if box.lines[0] == "Tanh"]
    squared = [box for box in by_kind["backward"] if any(found[j] is tanh for j in box.inputs)]
    assert {box.row for box in squared} == {tanh.row}
    first, last = [box for box in by_kind["forward"] if box.lines[0] == "Linear"]
    (gradient,) = [box for box in found if box.lines[0] == "g"]
    assert gradient.row == first.row
    assert last.row in {box.row for box in by_kind["backward"]}
    # The forward pass goes down, its gradient up, and what is computed from that further up.
    for box in found:
        for before in (found[j] for j in box.inputs):
            if box.column == before.column:
                assert box.row > before.row if box.column == 0 else box.row < before.row
    (penalty,) = [box for box in found if box.lines[0] == "penalty"]
    assert (penalty.kind, penalty.column, penalty.row) == ("forward", 1, 0)


def test_gradients_of_gradients_have_a_colour_and_a_column_of_their_own():
    x = minigen.tensor([0.3, 0.4], requires_grad=True)
    y = F.sin(x).sum()
    (g,) = minigen.grad(y, x, create_graph=True)
    (h,) = minigen.grad(g.sum(), x, create_graph=True)
    found = boxes([y, g, h], {"y": y, "g": g, "h": h})
    assert {box.lines[0]: (box.kind, box.column) for box in found if box.is_output} == {
        "y": ("forward", 0),
        "g": ("backward", 1),
        "h": ("second", 2),
    }
    assert "a gradient of a gradient" in str(graph([y, g, h]))
    assert "gradient" not in str(graph(y))


@pytest.mark.parametrize("seed", range(6))
def test_no_box_overlaps_another_and_every_arrow_ends_at_a_box(seed):
    rng = np.random.default_rng(seed)
    tensors = [minigen.full((2, 2), 0.1 * i, requires_grad=True) for i in range(3)]
    names = {f"a rather long name {i}": t for i, t in enumerate(tensors)}
    for _ in range(25):
        a, b = rng.integers(max(0, len(tensors) - 6), len(tensors), 2)
        tensors.append([F.add, F.maximum, lambda a, b: a @ F.tanh(b)][rng.integers(3)](tensors[a], tensors[b]))
    outputs = [tensors[-1]]
    if seed % 2:
        outputs += minigen.grad(F.tanh(tensors[-1]).sum(), tensors[:3], create_graph=True, allow_unused=True)
    picture = graph([y for y in outputs if y is not None and y.requires_grad], names=names)
    shapes = rectangles(picture)
    for i, (left, top, right, bottom, _) in enumerate(shapes):
        for other_left, other_top, other_right, other_bottom, _ in shapes[:i]:
            assert right < other_left or other_right < left or bottom < other_top or other_bottom < top
    page = ET.fromstring(str(picture))
    assert all(s[0] > 0 and s[2] < float(page.get("width")) and s[3] < float(page.get("height")) for s in shapes)
    for x, y in heads(picture):
        assert any(
            left - 0.2 <= x <= right + 0.2 and top - 0.2 <= y <= bottom + 0.2 for left, top, right, bottom, _ in shapes
        )


def test_words_are_escaped():
    x = minigen.tensor([1.0], requires_grad=True)
    name = '<a href="x">&</a>'
    picture = graph(x * 2.0, names={name: x})
    assert rectangles(picture)[0][-1][0] == name


def test_it_is_saved_shown_and_printed_alike(tmp_path):
    x = minigen.tensor([1.0], requires_grad=True)
    picture = graph(x * 2.0)
    picture.save(tmp_path / "g.svg")
    assert (tmp_path / "g.svg").read_text(encoding="utf-8") == str(picture) == picture._repr_svg_()
    with pytest.raises(UserError, match=r"ends in \.svg"):
        picture.save(tmp_path / "g.png")
    with pytest.raises(UserError, match="Cannot write"):
        picture.save(tmp_path / "no" / "g.svg")


def test_what_cannot_be_drawn_says_why():
    x = minigen.tensor([1.0], requires_grad=True)
    y = (x * x).exp().sum()
    y.backward()
    with pytest.raises(AutogradError, match=r"graph: the graph has been freed \(at Sum\)"):
        graph(y)
    with pytest.raises(UserError, match=r"tensor 1 \(shape \(2,\)\) was not recorded"):
        graph([x, minigen.ones(2)])
    with pytest.raises(UserError, match="must be a tensor or several tensors, not int"):
        graph(3)


def test_long_chains_need_no_recursion_and_have_a_limit():
    x = minigen.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(3000):
        y = -y
    with pytest.raises(UserError, match="more than 400 operations"):
        graph(y)
    assert repr(graph(y, max_nodes=3000)) == "<Graph of 3000 operations>"


def test_rows_are_sorted_so_that_edges_do_not_cross_where_they_need_not():
    # Three chains whose middle nodes were made in the opposite order.
    edges = [(0, 5), (1, 4), (2, 3), (3, 8), (4, 7), (5, 6)]
    x, _ = arrange([0, 0, 0, 1, 1, 1, 2, 2, 2], [10.0] * 9, edges, [1.0] * 6, 5.0)
    for a, b in edges:
        assert x[a] == pytest.approx(x[b])
    assert sorted(x[:3]) == pytest.approx([5.0, 20.0, 35.0])


def test_an_edge_over_several_rows_goes_straight_past_the_boxes_between():
    x, paths = arrange([0, 1, 2, 3], [20.0] * 4, [(0, 1), (1, 2), (2, 3), (0, 3)], [1.0] * 4, 6.0)
    assert [row for _, row in paths[3]] == [0, 1, 2, 3]
    (_, _), (first, _), (second, _), (_, _) = paths[3]
    assert first == second
    assert min(abs(first - x[1]), abs(second - x[2])) >= 10 + 6 + 3 - 1e-9


def test_the_text_fits_its_box():
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    parts = a_penalty()
    picture = graph([parts["penalty"], parts["y"]], names=parts)
    assert matplotlib.__name__
    for left, _, right, _, words in rectangles(picture):
        for i, line in enumerate(words):
            font = FontProperties(family="DejaVu Sans", weight="bold" if i == 0 else "normal")
            assert TextPath((0, 0), line, size=14, prop=font).get_extents().width <= right - left - 8, line
    assert not re.search(r"\b(nan|inf)\b", str(picture))


def test_nothing_to_draw_and_names_of_other_things_alone_are_refused():
    x, other = minigen.ones(2, requires_grad=True), minigen.ones(2, requires_grad=True)
    for given in ([], ()):
        with pytest.raises(UserError, match="nothing to draw"):
            graph(given)
    for stranger in (other, other * 2):
        with pytest.raises(UserError, match=r"not one tensor of names= is part of what is drawn: nonsense\."):
            graph((x * 2).sum(), names={"nonsense": stranger})
    picture = graph((x * 2).sum(), names={"x": x, "of another picture": other})
    assert "of another picture" not in str(picture)
