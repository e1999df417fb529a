"""Forks while other threads train, compile or hold a lock."""

import os

import pytest
from processes import run_on_two_threads

LOAD_TBB = """
import ctypes, sys
if sys.argv[1] == "tbb":
    try:
        ctypes.CDLL(sys.prefix + "/lib/libtbb.so.12", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        print("no tbb")
        sys.exit()
"""

FORKS = """
import os, signal, threading
import numba
numba.config.THREADING_LAYER = sys.argv[1]
import numpy as np
import fastnn
from fastnn.engine import runtime

X = np.random.default_rng(0).standard_normal((100, 700))

def train():
    net = fastnn.Network([100, 60, 40, 1], seed=0)
    fastnn.train(net, X, X[:1], epochs=2, batch_size=256, seed=0, n_threads=2)
    return net.vector

def train_on():
    while not done:
        train()

want, done = train(), False
assert numba.threading_layer() == sys.argv[1]
thread = threading.Thread(target=train_on)
thread.start()
codes = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if (train() == want).all() and runtime._serial_only == (sys.argv[1] != "workqueue") else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done = True
thread.join()
print(codes)
"""


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("layer", ["omp", "workqueue", "tbb"])
def test_children_forked_while_another_thread_trains_train_too(layer):
    printed = run_on_two_threads(LOAD_TBB + FORKS, layer)
    if printed == "no tbb":
        pytest.skip("tbb cannot be loaded here")
    assert printed.splitlines()[-1] == str([0] * 8)  # behind what numba says of TBB


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_forked_while_another_thread_compiles_is_not_locked_out():
    code = """
import os, signal, threading, time
import numba, numpy as np
import fastnn
net = fastnn.Network([3, 5, 1], seed=1)
want, done = net.predict(np.ones((3, 9))), False

def compile_on():
    while not done:
        numba.njit(lambda x: x + 1)(1)

def ask_on():
    while not done:
        numba.get_num_threads()

threads = [threading.Thread(target=f) for f in (compile_on, ask_on)]
for thread in threads: thread.start()
time.sleep(0.5)
codes = []
for _ in range(6):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        f = numba.njit(lambda x: x + 2)
        again = fastnn.Network([3, 5, 1], seed=1).predict(np.ones((3, 9)))
        os._exit(0 if f(1) == 3 and (again == want).all() else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
done = True
for thread in threads: thread.join()
print(codes)
"""
    assert run_on_two_threads(code) == str([0] * 6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_ctrl_c_while_a_fork_waits_leaves_no_lock_taken():
    code = """
import os, signal, sys, threading, time
import fastnn.engine.runtime as runtime
signal.signal(signal.SIGINT, signal.default_int_handler)
first, second, last = runtime._foreign_locks
inside, codes = threading.Event(), []

def take(lock, event, seconds):
    with lock:
        event.set()
        time.sleep(seconds)

sys.unraisablehook = lambda hook: codes.append(hook.exc_type.__name__)
for lock in (first, second, last):
    thread = threading.Thread(target=take, args=(lock, inside, 0.6))
    thread.start()
    inside.wait()
    inside.clear()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = runtime._lock
    child = os.fork()
    if child == 0:
        os._exit(0 if runtime._lock is not before else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    thread.join()
free = [threading.Event() for _ in range(3)]
for lock, event in zip((first, second, last), free):
    threading.Thread(target=take, args=(lock, event, 0), daemon=True).start()
print(codes, [event.wait(5) for event in free], flush=True)
os._exit(0)
"""
    assert run_on_two_threads(code) == str(["KeyboardInterrupt", 0] * 3) + " " + str([True] * 3)
