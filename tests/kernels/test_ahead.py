"""The second process that compiles what a backward pass needs."""

import json
import os
import subprocess
import sys

import pytest
from minigen_kernels import cpu
from minigen_kernels.cpu import ahead

NEEDED = """
import json
from minigen.bench.steps.ours import make_step
from minigen_kernels.cpu import activation, ahead, logistic, normalization, sums, tiled, updates, winograd_loops

kernels = {
    "tiled": tiled._add_up,
    "winograd": winograd_loops.weight_gradient,
    "normalization": normalization._normalize_grad,
    "products of batch norm": normalization._add_products,
    "states": activation._scale_by_state,
    "signs": activation._scale_by_sign_and_add,
    "sums": sums._add_rows,
    "losses": logistic._softplus_grad,
    "adam": updates.adam,
}
ahead.backward_pass()
made = {name: len(kernel.signatures) for name, kernel in kernels.items()}
for model in ("dcgan", "conv-vae"):
    make_step(model, 64, (1, 28, 28))()
print(json.dumps([made, {name: len(kernel.signatures) for name, kernel in kernels.items()}]))
"""


def test_what_it_compiles_is_what_training_steps_need():
    done = subprocess.run([sys.executable, "-c", NEEDED], capture_output=True, text=True, check=True)
    made, needed = json.loads(done.stdout)
    assert min(made.values()) > 0
    assert needed == made


def test_it_ends_with_the_process_that_began_it():
    program = (
        "import sys; from minigen_kernels.cpu import ahead; "
        "ahead.COMMAND = (sys.executable, '-c', 'import time; time.sleep(600)'); print(ahead.compile_ahead().pid)"
    )
    environment = {**os.environ, "MINIGEN_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_with_one_thread_there_is_no_second_process():
    before = cpu.num_threads()
    cpu.set_num_threads(1)
    try:
        assert ahead.compile_ahead() is None
    finally:
        cpu.set_num_threads(before)
