import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen import Generator
from minigen.data import ArrayDataset, DataLoader
from minigen.errors import ShapeError, UserError


def make(n=10, batch_size=3, seed=0, **options):
    options = {"shuffle": True, "generator": Generator(seed), **options}
    return DataLoader(ArrayDataset(np.arange(n), np.arange(n) * 0.5), batch_size, **options)


def epoch_of(loader):
    return [first.tolist() for first, _ in loader]


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("minigen-loader")]


def test_an_epoch_holds_every_sample_once_with_its_arrays_side_by_side():
    loader = make()
    batches = list(loader)
    assert [len(first) for first, _ in batches] == [3, 3, 3, 1]
    assert sorted(np.concatenate([first for first, _ in batches])) == list(range(10))
    for first, second in batches:
        np.testing.assert_array_equal(second, first * 0.5)


def test_two_epochs_have_different_orders_and_one_seed_the_same():
    loader, twin = make(n=50), make(n=50)
    first, second = epoch_of(loader), epoch_of(loader)
    assert first != second
    assert [epoch_of(twin), epoch_of(twin)] == [first, second]


def test_without_shuffling_the_order_is_that_of_the_dataset():
    assert epoch_of(make(5, 2, shuffle=False, generator=None)) == [[0, 1], [2, 3], [4]]


def test_drop_last_leaves_out_the_short_batch_and_length_agrees():
    loader = make(10, 4, drop_last=True)
    assert [len(batch) for batch in epoch_of(loader)] == [4, 4]
    assert len(loader) == 2
    assert len(make(10, 4)) == 3
    assert len(make(8, 4)) == 2


@pytest.mark.parametrize("prefetch", [1, 2, 100])
def test_prefetching_changes_neither_order_nor_bits(prefetch):
    plain, ahead = make(prefetch=0), make(prefetch=prefetch)
    for _ in range(3):
        for ours, theirs in zip(plain, ahead, strict=True):
            assert [part.tobytes() for part in ours] == [part.tobytes() for part in theirs]


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_copies_that_may_be_written_to(prefetch, shuffle):
    loader = make(prefetch=prefetch, shuffle=shuffle)
    for first, second in loader:
        first[:], second[:] = -1, -1
    np.testing.assert_array_equal(loader.dataset.arrays[0], np.arange(10))


class Views:
    """A dataset that hands out its own memory."""

    array = np.arange(4.0)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return (self.array[: len(index)],)


def test_a_dataset_that_returns_views_is_copied_from():
    for (batch,) in DataLoader(Views(), batch_size=2):
        batch[:] = -1
    np.testing.assert_array_equal(Views.array, np.arange(4))


class Broken:
    """Three good samples, and a fault after them."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index.max() >= 3:
            raise OSError("sample 3 is unreadable")
        return (index,)


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_a_fault_in_the_dataset_is_raised_at_its_batch_and_leaves_no_thread(prefetch):
    epoch = iter(DataLoader(Broken(), batch_size=1, prefetch=prefetch))
    assert [int(next(epoch)[0][0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="sample 3 is unreadable"):
        next(epoch)
    assert not loader_threads()


def test_leaving_the_loop_early_leaves_no_thread():
    loader = make(1000, 2)
    for number, _ in enumerate(loader):
        if number == 3:
            assert loader_threads()
            break
    assert not loader_threads()
    epoch = iter(loader)
    next(epoch)
    del epoch
    assert not loader_threads()


class Watched:
    """A dataset that says when its second batch has been read."""

    def __init__(self):
        self.read_second = threading.Event()

    def __len__(self):
        return 2

    def __getitem__(self, index):
        if index[0] == 1:
            self.read_second.set()
        return (index,)


@pytest.mark.parametrize(("prefetch", "ahead"), [(0, False), (1, True)])
def test_the_next_batch_is_prepared_while_the_caller_works_on_this_one(prefetch, ahead):
    dataset = Watched()
    epoch = iter(DataLoader(dataset, batch_size=1, prefetch=prefetch))
    next(epoch)
    assert dataset.read_second.wait(timeout=10 if ahead else 0) == ahead


@given(
    n=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    prefetch=st.integers(0, 3),
    stop=st.integers(0, 100),
    seed=st.integers(0, 5),
)
def test_a_resumed_loader_yields_precisely_what_was_left(n, batch_size, shuffle, drop_last, prefetch, stop, seed):
    if drop_last:
        n += batch_size
    options = {"shuffle": shuffle, "drop_last": drop_last, "prefetch": prefetch}
    whole = make(n, batch_size, seed, **options)
    expected = [epoch_of(whole) for _ in range(3)]
    stop %= 2 * len(whole) + 1  # batches delivered before the process dies, over two epochs

    interrupted = make(n, batch_size, seed, **options)
    got, state = [], interrupted.state_dict()
    for _ in range(2):
        for first, _ in interrupted if len(got) < stop else ():
            got.append(first.tolist())
            state = interrupted.state_dict()
            if len(got) == stop:
                break
    assert len(got) == stop
    state = json.loads(json.dumps(state))
    resumed = make(n, batch_size, seed + 1, **{**options, "prefetch": 2 - min(prefetch, 2)})
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    for _ in range(2):  # what was left of the epoch, and one more
        got += epoch_of(resumed)
    expected = [batch for epoch in expected for batch in epoch]
    assert got == expected[: len(got)]
    assert len(got) > stop


def test_a_state_taken_after_a_whole_epoch_starts_the_next_one():
    loader = make()
    epoch_of(loader)
    state = loader.state_dict()
    assert state["delivered"] == 0
    resumed = make(seed=9)
    resumed.load_state_dict(state)
    assert epoch_of(resumed) == epoch_of(loader)


def test_a_state_taken_on_the_last_batch_leaves_an_epoch_of_none():
    loader = make()
    for _ in loader:
        state = loader.state_dict()
    resumed = make(seed=9)
    resumed.load_state_dict(state)
    assert epoch_of(resumed) == []
    assert epoch_of(resumed) == epoch_of(loader)


def test_an_epoch_that_was_left_can_be_continued_by_another_loader_or_dropped_by_this_one():
    loader, twin = make(), make()
    next(iter(loader))
    assert loader.state_dict()["delivered"] == 1
    both = epoch_of(twin), epoch_of(twin)
    assert epoch_of(loader) == both[1]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"batch_size": 4}, "batch_size"),
        ({"n": 11}, "samples"),
        ({"shuffle": False}, "shuffle"),
        ({"drop_last": True}, "drop_last"),
    ],
)
def test_the_state_of_another_loader_is_refused_by_what_differs(options, name):
    with pytest.raises(UserError, match=f"with {name}="):
        make(**options).load_state_dict(make().state_dict())


@pytest.mark.parametrize("change", [{"delivered": 99}, {"delivered": "x"}, {"generator": {}}, {"samples": None}])
def test_a_state_that_makes_no_sense_is_refused(change):
    with pytest.raises(UserError):
        make().load_state_dict({**make().state_dict(), **change})
    with pytest.raises(UserError, match="not the state of a minigen DataLoader"):
        make().load_state_dict({})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, not 0"),
        ({"batch_size": 2.0}, "not 2.0"),
        ({"batch_size": True}, "not True"),
        ({"prefetch": -1}, "prefetch must be an integer of at least 0"),
        ({"generator": None}, "shuffle=True needs a generator"),
        ({"n": 0}, "has no samples"),
        ({"n": 2, "drop_last": True}, "2 samples gives no full batch of 3"),
    ],
)
def test_arguments_that_cannot_work_are_named(options, words):
    with pytest.raises(UserError, match=words):
        make(**options)


def test_arrays_of_different_lengths_are_refused_with_their_shapes():
    with pytest.raises(ShapeError, match=r"\(3, 2\), \(4,\)"):
        ArrayDataset(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(ShapeError, match="first axis counts the samples"):
        ArrayDataset(np.float32(1))
    with pytest.raises(UserError, match="at least one array"):
        ArrayDataset()


def test_a_dataset_gives_single_samples_and_slices_too():
    dataset = ArrayDataset(np.arange(6).reshape(3, 2), np.arange(3))
    first, second = dataset[1]
    assert (first.tolist(), second) == ([2, 3], 1)
    assert [part.tolist() for part in dataset[1:]] == [[[2, 3], [4, 5]], [1, 2]]
