"""Four neighbouring floats, of which only the first few may be there: for the rungs from the fifth on.

Where rows begin at multiples of four floats, four are there or none of them is, and one instruction moves them. Elsewhere
they are moved one by one. `aligned` says which, and must be a constant of the kernel, so that the other way is not even
in its code.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32

from ..intrinsics import cp_async4, cp_async16, load4, store4


@cuda.jit(device=True, inline="always")
def load_up_to_4(source, index, there, aligned):
    """source[index] to source[index + 3], with zeros for all but the first `there`; nothing is read for those."""
    v0 = v1 = v2 = v3 = float32(0)
    if aligned:
        if there > 0:
            v0, v1, v2, v3 = load4(source, index)
    else:
        if there > 0:
            v0 = source[index]
        if there > 1:
            v1 = source[index + 1]
        if there > 2:
            v2 = source[index + 2]
        if there > 3:
            v3 = source[index + 3]
    return v0, v1, v2, v3


@cuda.jit(device=True, inline="always")
def store_up_to_4(target, index, there, aligned, v0, v1, v2, v3):
    """target[index] to target[index + 3] = v0, v1, v2, v3, or only the first `there` of them."""
    if aligned:
        if there > 0:
            store4(target, index, v0, v1, v2, v3)
    else:
        if there > 0:
            target[index] = v0
        if there > 1:
            target[index + 1] = v1
        if there > 2:
            target[index + 2] = v2
        if there > 3:
            target[index + 3] = v3


@cuda.jit(device=True, inline="always")
def copy_up_to_4(target, target_index, source, source_index, there, aligned):
    """Starts copies of source[source_index] and the next three to target, zeros for all but the first `there`."""
    if aligned:
        cp_async16(target, target_index, source, source_index if there > 0 else 0, there > 0)
    else:
        for v in range(4):
            cp_async4(target, target_index + v, source, source_index + v if there > v else 0, there > v)
