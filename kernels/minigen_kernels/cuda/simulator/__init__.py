"""A simulator of CUDA kernels: `simulate(kernel, arguments)` runs one in Python, thread by thread, on any machine.

    scheduler   `simulate`: every thread of every block, each from one barrier to the next
    threads     threads and blocks, and what a waiting thread hands to the scheduler
    memory      arrays that check bounds, alignment and races, and are poisoned until written
    traffic     what threads ask of memory, counted: numbers, requests of warps, sectors, passes of banks
    stand_in    the `cuda` that a simulated kernel sees
    rewriting   a kernel as a generator that stops where threads wait
    twins       the Python functions that stand in for GPU instructions
    arrays, array_module, special   arrays that are used as CuPy's are, and their functions
    tape        what passes between the host and the simulated GPU, counted; and what is computed, recorded for a replay

Numba has a simulator too. This one needs no environment variable set before Numba is imported, so that the same process
simulates kernels, compiles them and runs Numba's loops on the CPU. It is deterministic, and it faults where a GPU would
quietly do something wrong: see `simulate`.
"""

from .memory import KernelFault
from .scheduler import Order, simulate
from .traffic import Traffic

__all__ = ["KernelFault", "Order", "Traffic", "simulate"]
