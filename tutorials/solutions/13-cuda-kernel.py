"""Solutions of chapter 13."""

from math import ceil

from numba import cuda, float32


def bias_relu(x, b, y, size, C):
    """y[i] = max(x[i] + b[i % C], 0): the last block has threads beyond the end, which do nothing."""
    i = cuda.grid(1)
    if i < size:
        y[i] = max(x[i] + b[i % C], float32(0))


barriers = "CE"  # C: all is fetched before anybody multiplies; E: all have multiplied before anybody fetches again


def intensity(x_shape, w_shape):
    """Two operations for each multiply-add, over four bytes for each number of x, w and y."""
    n, c, height, width = x_shape
    o, _, k, _ = w_shape
    operations = 2 * n * height * width * o * c * k * k
    return operations / (4 * (n * c * height * width + o * c * k * k + n * o * height * width))


def useful_share(pixels, channels, BM, BN, multiprocessors):
    """Tiles are whole along each axis, and rounds are whole."""
    tiles = ceil(pixels / BM) * ceil(channels / BN)
    rounds = ceil(tiles / multiprocessors)
    return pixels * channels / (rounds * multiprocessors * BM * BN)


def transpose(x, y, rows, columns):
    """A tile comes in row by row and goes out row by row; its rows are 33 long, so that its columns lie in 32 banks."""
    tile = cuda.shared.array((32, 33), float32)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    row = 32 * cuda.blockIdx.y + ty
    column = 32 * cuda.blockIdx.x + tx
    if row < rows and column < columns:
        tile[ty, tx] = x[row * columns + column]
    cuda.syncthreads()  # outside of both ifs: all threads reach it
    row = 32 * cuda.blockIdx.x + ty  # of y
    column = 32 * cuda.blockIdx.y + tx
    if row < columns and column < rows:
        y[row * rows + column] = tile[tx, ty]


SOLUTIONS = {"13.1": bias_relu, "13.2": barriers, "13.3": intensity, "13.4": useful_share, "13.5": transpose}
