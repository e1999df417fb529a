"""Threads with small stacks."""

import pytest
from processes import run_on_two_threads

SMALL_STACKS = """
import sys, threading
import numpy as np
import fastnn

def train():
    for sizes in ([70, 64, 64, 3], [100, 200, 150, 3]):  # one by each plan, with copies of columns of weights
        X = np.random.default_rng(0).standard_normal((sizes[0], 700))
        net = fastnn.Network(sizes, "gelu", output="softmax", seed=0)
        trainer = fastnn.Trainer(net, dropout=0.2, clip_norm=1.0, n_threads=2, seed=0)
        trainer.fit(X, np.arange(700) % 3, epochs=2, batch_size=None)
        A, cache = net.forward(X)
        net.backward(A, cache)
    print("done")

if sys.argv[1] == "main":
    train()
else:
    threading.stack_size(int(sys.argv[1]) << 10)
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
"""


@pytest.mark.needs_jit
@pytest.mark.parametrize("kilobytes", [64, 128])
def test_threads_of_a_team_need_little_stack(kilobytes):
    assert run_on_two_threads(SMALL_STACKS, "main", OMP_STACKSIZE=f"{kilobytes}k") == "done"


@pytest.mark.needs_jit
@pytest.mark.slow
def test_threads_of_python_compile_on_a_larger_stack(tmp_path):
    code = SMALL_STACKS.replace("([70, 64, 64, 3], [100, 200, 150, 3])", "([7, 6, 3],)")
    assert run_on_two_threads(code, 64, NUMBA_CACHE_DIR=str(tmp_path)) == "done"


@pytest.mark.needs_jit
def test_threads_of_python_need_little_stack():
    assert run_on_two_threads(SMALL_STACKS, 64) == "done"
