"""The register tile against NumPy, and plans: every multiply-add that is wanted, and no other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigen_kernels.cpu import dots, layout, plans, tiled
from minigen_kernels.cpu.tile import BLOCK_FIELDS, CACHE_LINE, LANES, ROWS, WIDTHS, run_tiles, tile_address
from minigen_kernels.geometry import ConvGeometry, conv_output_size

ITEM = 4


def small_numbers(rng, *shape):
    return rng.integers(-3, 4, shape).astype(np.float32)


def run(width, blocks, *arrays, kept=None, beside=1, steps=tiled.ALONE):
    """`run_tiles`, given arrays."""
    a_rows, *others = (array.ctypes.data for array in arrays)
    rows, kept = ROWS[width], width if kept is None else kept
    run_tiles(tile_address(), rows, width, kept, blocks.ctypes.data, len(blocks), a_rows, *others, beside, steps)


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_tile_adds_up_three_axes(width, accumulate):
    """Rows of a and c lie in any order; c has gaps that stay as they were. Sums begin with c or with a row of their own."""
    rng = np.random.default_rng(0)
    rows, axes = ROWS[width], (2, 3, 4)
    a = small_numbers(rng, rows, *axes, 1)
    b = small_numbers(rng, *axes, width)
    c = small_numbers(rng, rows, width + 5)
    order = rng.permutation(rows)
    expected = c.copy()
    start = small_numbers(rng, width)
    expected[order, :width] = (a * b).sum(axis=(1, 2, 3)) + (c[order, :width] if accumulate else start)

    strides = [ITEM * n for n in (12, 4, 1, 12 * width, 4 * width, width)]
    block = np.array([[0, 1, 0, accumulate, *axes, *strides, 0, 0, 0]])
    a_rows = np.arange(rows)[None] * 24 * ITEM
    c_rows = order[None] * (width + 5) * ITEM
    run(width, block, a_rows, c_rows, a, b, start, c)
    np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize("accumulate", [0, 1])
@pytest.mark.parametrize("slope", [0.0, -0.0, 0.5, 2.0])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_tile_bends_what_it_has_added_up(width, slope, accumulate):
    """Where a result is not positive, it is multiplied; but infinity by 0 is 0, and NaN stays."""
    rng = np.random.default_rng(3)
    rows, terms = ROWS[width], 3
    a, b = small_numbers(rng, rows, terms, 1), small_numbers(rng, terms, width)
    start, c = small_numbers(rng, width), small_numbers(rng, rows, width)
    for array in (start, c.T):
        array[:3] = np.array([np.nan, np.inf, -np.inf]).reshape(3, *[1] * (array.ndim - 1))
    total = (a * b).sum(axis=1) + (c if accumulate else start)
    bent = np.where(total > 0, total, total * np.float32(slope) if slope else np.where(np.isnan(total), np.nan, 0))
    bits = np.float32(slope).view(np.int32)
    block = np.array([[0, 1, 0, accumulate, 1, 1, terms, ITEM, ITEM, ITEM, ITEM, ITEM, ITEM * width, 0, 1, bits]])
    a_rows, c_rows = (np.arange(rows)[None] * array.strides[0] for array in (a, c))
    run(width, block, a_rows, c_rows, a, b, start, c)
    np.testing.assert_array_equal(c, bent)


@pytest.mark.parametrize("width", WIDTHS)
def test_columns_side_by_side_are_computed_tile_by_tile(width):
    rng = np.random.default_rng(1)
    rows, columns, terms = 2 * ROWS[width], 3, 5
    a = small_numbers(rng, rows, terms, 1)
    b, start = small_numbers(rng, columns, terms, width), small_numbers(rng, columns, width + 3)
    c = np.zeros((rows, columns * width), np.float32)
    block = np.array([[0, 2, 0, 0, 1, 1, terms, ITEM, ITEM, ITEM, ITEM, ITEM, ITEM * width, 0, 0, 0]])
    a_rows, c_rows = (np.arange(rows).reshape(2, -1) * array.strides[0] for array in (a, c))
    steps = b.strides[0], start.strides[0], ITEM * width
    run(width, block, a_rows, c_rows, a, b, start, c, beside=columns, steps=steps)
    terms_of = a[..., None] * b.swapaxes(0, 1)
    np.testing.assert_array_equal(c.reshape(rows, columns, width), terms_of.sum(axis=1) + start[:, :width])


@pytest.mark.parametrize("outs", dots.ROWS_OF_DOTS)
@pytest.mark.parametrize("run", [1, LANES - 1, LANES, 3 * LANES, 3 * LANES + 2])
def test_a_tile_of_few_outputs_adds_up_runs_of_numbers(outs, run):
    """What lies behind each run is no number, in a and in b, and is not to be read."""
    rng = np.random.default_rng(2)
    rows, axes = dots.ROWS_OF_DOTS[outs], (2, 3)
    a, b = (np.full((n, *axes, run + LANES), np.nan, np.float32) for n in (rows, outs))
    for array in (a, b):
        array[..., :run] = small_numbers(rng, len(array), *axes, run)
    start, c = small_numbers(rng, outs), np.zeros((rows, outs + 2), np.float32)
    order = rng.permutation(rows)
    expected = c.copy()
    expected[order, :outs] = start + (a[:, None, ..., :run] * b[..., :run]).sum(axis=(2, 3, 4))
    block = np.array([[0, 1, 0, 0, *axes, run, *a.strides[1:], *b.strides[1:], b.strides[0], 0, 0]])
    a_rows, c_rows = np.arange(rows)[None] * a.strides[0], order[None] * c.strides[0]
    addresses = (array.ctypes.data for array in (a_rows, c_rows, a, b, start, c))
    tile = dots.address_of_dots(outs)
    run_tiles(tile, rows, outs, outs, block.ctypes.data, 1, *addresses, 1, tiled.ALONE)
    np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize("width", WIDTHS)
def test_of_a_tile_wider_than_c_the_numbers_that_c_has_are_kept(width):
    rng = np.random.default_rng(3)
    rows, kept = ROWS[width], width - 3
    a, b, start = small_numbers(rng, rows), small_numbers(rng, width), small_numbers(rng, width)
    c = np.full((rows, width), np.nan, np.float32)  # beside what is kept, it stays as it was
    order = rng.permutation(rows)
    expected = c.copy()
    expected[order, :kept] = (a[:, None] * b + start)[:, :kept]
    block = np.array([[0, 1, 0, 0, 1, 1, 1, ITEM, ITEM, ITEM, ITEM, ITEM, ITEM, 0, 0, 0]])
    a_rows, c_rows = np.arange(rows)[None] * a.strides[0], order[None] * c.strides[0]
    run(width, block, a_rows, c_rows, a, b, start, c, kept=kept)
    np.testing.assert_array_equal(c, expected)


def test_an_empty_sum_is_what_it_began_with():
    width, c = WIDTHS[-1], np.full(WIDTHS[-1] * ROWS[WIDTHS[-1]], np.nan, np.float32)
    block = np.array([[0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]])
    rows = np.arange(ROWS[width])[None] * width * ITEM
    run(width, block, np.zeros_like(rows), rows, c, c, np.ones(width, np.float32), c)
    assert (c == 1).all()


@st.composite
def geometries(draw):
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))  # noqa: E731
    kernel, stride, dilation = pair(1, 5), pair(1, 3), pair(1, 3)
    padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
    least = [d * (k - 1) + 1 - sum(p) for d, k, p in zip(dilation, kernel, (padding[:2], padding[2:]))]
    size = tuple(max(1, n) + extra for n, extra in zip(least, pair(0, 6)))
    out = conv_output_size(size, kernel, stride, padding, dilation)
    return ConvGeometry(2, 3, 5, 1, size, out, kernel, stride, (padding[0], padding[2]), dilation)


def taps_inside(geometry):
    """How many pairs of a pixel of y and a tap there are whose pixel of x exists."""
    counts = []
    for size, out, kernel, stride, before, dilation in zip(*geometry[4:]):
        where = np.arange(out)[:, None] * stride - before + np.arange(kernel) * dilation
        counts.append(int(((where >= 0) & (where < size)).sum()))
    return counts[0] * counts[1]


def as_packed(geometry, width):
    """Numbers from image to image and from pixel to pixel of a packed y."""
    return geometry.out_size[0] * geometry.out_size[1] * width, width


def multiply_adds(plan, spare=None):
    """Of a plan, and not counting the rows that fill up its tiles: they are another row again, or go to the spare one."""
    total = 0
    for block in plan.blocks.tolist():
        fields = dict(zip(BLOCK_FIELDS, block))
        tiles = slice(fields["first_tile"], fields["end_tile"])
        places = {*zip(plan.a_rows[tiles].ravel().tolist(), plan.c_rows[tiles].ravel().tolist())}
        rows = sum(c != spare for _, c in places)
        total += rows * fields["l"] * fields["m"] * fields["n"]
    return total


@settings(deadline=None)
@given(geometries(), st.sampled_from(WIDTHS))
def test_plans_hold_the_taps_inside_the_image_and_no_others(geometry, width):
    images, depth = geometry.batch, geometry.in_channels
    wanted = images * taps_inside(geometry)
    plan = plans.pixel_plan(plans.convolution(geometry), images, (0, geometry.out_size[0]), width, width)
    assert multiply_adds(plan) == wanted * depth
    few = plans.pixel_plan(plans.convolution(geometry), images, (0, geometry.out_size[0]), 1, 1, apart=True)
    assert multiply_adds(few) == wanted * depth
    back = [
        plans.pixel_plan(phase.correlation, images, (0, phase.correlation.out_size[0]), width, width)
        for phase in plans.phases(geometry)
    ]
    assert sum(map(multiply_adds, back)) == wanted * geometry.out_channels
    taps = geometry.kernel_size[0] * geometry.kernel_size[1]
    spare = taps * depth
    weights = plans.tap_plan(
        geometry, images, (0, geometry.out_size[0]), (0, taps), width, spare, as_packed(geometry, width)
    )
    assert multiply_adds(weights, spare * width * ITEM) == wanted * depth


@settings(deadline=None)
@given(geometries())
def test_the_phases_cover_every_pixel_once(geometry):
    height, width = geometry.in_size
    pixels = []
    for correlation, _ in plans.phases(geometry):
        i, j = np.indices(correlation.out_size)
        pixels.append(correlation.first + i * correlation.pixel_steps[0] + j * correlation.pixel_steps[1])
    assert sorted(np.concatenate([p.ravel() for p in pixels])) == list(range(height * width))


def square(kernel: int, depth: int, groups: int = 1, outs: int = LANES) -> ConvGeometry:
    """Four images of 32 × 32, padded so that y is as large."""
    pad = kernel // 2
    return ConvGeometry(4, depth * groups, outs, groups, (32, 32), (32, 32), (kernel,) * 2, (1, 1), (pad,) * 2, (1, 1))


def tiles_and_steps(kernel: int, depth: int) -> tuple[int, int]:
    """Of the plan for a weight gradient: its tiles, and how often their loops go round."""
    geometry, taps = square(kernel, depth), kernel**2
    plan = plans.tap_plan(geometry, 4, (0, 32), (0, taps), LANES, taps * depth, as_packed(geometry, LANES))
    first, end, *_, length, m, n = plan.blocks[:, : BLOCK_FIELDS.index("al")].T
    return len(plan.c_rows), int(((end - first) * length * m * n).sum())


def test_taps_of_few_channels_share_tiles_where_they_see_the_same_pixels():
    pixels = 4 * 32 * 32
    assert tiles_and_steps(3, 1)[1] < 9 * pixels / 3  # nine taps, each in tiles of its own
    tiles, steps = tiles_and_steps(3, 16)
    assert tiles == 9 * -(-16 // ROWS[LANES])
    assert steps < tiles * pixels


def test_large_kernels_do_not_make_a_block_for_each_pixel():
    assert tiles_and_steps(31, 1)[0] == 31**2


def test_a_column_wider_than_its_outputs_is_packed_even_where_it_is_as_wide_as_those_of_all_groups():
    places, *_, work = tiled._tap_work(square(3, 4, groups=2, outs=LANES))
    assert [tuple(place[:3]) for place in places] == [(0, LANES // 2, LANES), (LANES // 2, LANES, LANES)]
    assert work.table[:, len(plans.PLAN_FIELDS) + tiled.TAP_FIELDS.index("packs")].all()


@given(st.integers(1, 300))
def test_columns_hold_every_output_once(outs):
    columns = tiled._columns(2, outs, 3)
    found = [o for column in columns for o in range(column.first, column.end)]
    assert found == list(range(2 * outs))
    assert all(column.width - LANES < column.end - column.first <= column.width for column in columns)
    assert {column.channel for column in columns} == {0, 3}


@given(st.integers(1, 1000), st.sampled_from([np.float32, np.float64, np.uint8]))
def test_aligned_arrays_begin_on_a_cache_line(n, dtype):
    array = layout.aligned((n, 3), np.dtype(dtype))
    assert array.shape == (n, 3)
    assert array.dtype == dtype
    assert array.ctypes.data % CACHE_LINE == 0
    array[...] = 1


def test_longer_and_shorter_vectors_give_the_same_results(on_another_processor):
    on_another_processor("""
import numpy as np
from minigen_kernels import cpu, reference
rng = np.random.default_rng(0)
x, w, y = (rng.integers(-3, 4, s).astype("f") for s in ((5, 6, 9, 7), (37, 6, 3, 3), (5, 37, 5, 4)))
z, v, u = (rng.integers(-3, 4, s).astype("f") for s in ((5, 37, 9, 7), (37, 1, 3, 3), (5, 37, 5, 4)))
few = [[rng.integers(-3, 4, s).astype("f") for s in ((5, c, 9, 7), (o, c, 3, 3), (5, o, 5, 4))] for c, o in ((37, 3), (3, 37))]
for x, w, y, groups in ((x, w, y, 1), (z, v, u, 37), *((*arrays, 1) for arrays in few)):
    options = (2, 2), (1, 1, 1, 1), (1, 1), groups
    for name, arrays, last in (
        ("conv2d", (x, w), ()),
        ("conv_transpose2d", (y, w), ((9, 7),)),
        ("conv2d_weight_grad", (x, y), ((3, 3),)),
    ):
        results = [getattr(kernels, name)(*arrays, *options, *last) for kernels in (cpu, reference)]
        np.testing.assert_array_equal(*results, err_msg=f"{name}, {groups} groups")
for rows in ("C", "F"):
    a, b = (np.asarray(rng.integers(-3, 4, s), "f", rows) for s in ((100, 90), (90, 77)))
    np.testing.assert_array_equal(cpu.matmul(a, b), reference.matmul(a, b), err_msg="matmul " + rows)
""")
