"""Solutions of chapter 12."""


def work(batch, ins, outs, size, kernel, stride, padding):
    """A multiplication and an addition for each tap of each output; x, w and y moved once, 4 bytes a number."""
    out = (size + 2 * padding - kernel) // stride + 1
    flop = 2 * batch * out * out * outs * ins * kernel * kernel
    numbers = batch * ins * size * size + outs * ins * kernel * kernel + batch * outs * out * out
    return flop, 4 * numbers


def misses(addresses, lines, line):
    """The cache is a dict, whose keys stay in the order in which they were put in: the least recently used comes first."""
    cache, count = {}, 0
    for address in addresses:
        number = address // line
        if number in cache:
            del cache[number]  # to be put in again, behind the others
        else:
            count += 1
            if len(cache) == lines:
                del cache[next(iter(cache))]
        cache[number] = True
    return count


def best_tile(registers):
    """Try all tiles whose R·V sums, V vectors of weights and one spread number fit."""
    fitting = [(r, v) for r in range(1, registers) for v in range(1, registers) if r * v + v + 1 <= registers]
    return min(fitting, key=lambda tile: 1 / tile[0] + 1 / tile[1])


def taps_inside(place, size, kernel, stride, before):
    """Tap p falls on row place·stride - before + p, which must be at least 0 and less than size."""
    top = place * stride - before
    return max(0, -top), min(kernel, size - top)


def two_outputs(d, g):
    """Four products, at the points 0, 1, -1 and infinity."""
    at_0 = (d[0] - d[2]) * g[0]
    at_1 = (d[1] + d[2]) * ((g[0] + g[1] + g[2]) / 2)
    at_minus_1 = (d[2] - d[1]) * ((g[0] - g[1] + g[2]) / 2)
    at_infinity = (d[1] - d[3]) * g[2]
    return at_0 + at_1 + at_minus_1, at_1 - at_minus_1 - at_infinity


SOLUTIONS = {"12.1": work, "12.2": misses, "12.3": best_tile, "12.4": taps_inside, "12.5": two_outputs}
