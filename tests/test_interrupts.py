"""Holds of Ctrl-C, within each other and beside handlers of others."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from processes import run

import fastnn
from fastnn import interrupts

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="sends SIGINT"),
    pytest.mark.usefixtures("default_ctrl_c"),
]


def test_ctrl_c_is_raised_at_the_end_of_the_outermost_hold():
    reached = []

    def hold():
        with interrupts.held():
            with interrupts.held():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                reached.append("inner")
            reached.append("outer")
        reached.append("beyond")

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert reached == ["inner", "outer"]


def test_an_error_within_a_hold_gives_way_to_ctrl_c():
    def fail():
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("inside")

    with pytest.raises(KeyboardInterrupt) as raised:
        fail()
    assert isinstance(raised.value.__context__, ValueError)


def test_a_hold_leaves_handlers_of_others_alone():
    seen = []
    mine = lambda number, frame: seen.append(number)  # noqa: E731
    signal.signal(signal.SIGINT, mine)
    try:
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            assert seen == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is mine
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with interrupts.held():
            signal.signal(signal.SIGINT, mine)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_handler_that_others_have_kept_is_python_s():
    net = fastnn.Network([2, 1], seed=0)
    trainer, X = fastnn.Trainer(net, seed=0), np.ones((2, 9))
    kept = []
    trainer.fit(X, X[:1], epochs=1, callbacks=[lambda *_: kept.append(signal.getsignal(signal.SIGINT))])
    signal.signal(signal.SIGINT, kept[0])
    try:
        with pytest.warns(UserWarning, match="interrupted after 1 of 3 epochs"):
            trainer.fit(X, X[:1], epochs=3, callbacks=[lambda *_: signal.raise_signal(signal.SIGINT)])
        assert trainer.fit(X, X[:1], epochs=3).epochs == 3
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_hold_of_another_thread_is_none():
    done = threading.Event()
    inside = threading.Event()

    def hold():
        with interrupts.held():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    done.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_that_another_thread_forks_can_be_interrupted():
    code = """
import os, signal, threading, time
from fastnn.interrupts import held
signal.signal(signal.SIGINT, signal.default_int_handler)
forked = threading.Event()

def fork():
    global code
    pid = os.fork()
    if pid == 0:
        try:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.1)
        except KeyboardInterrupt:
            os._exit(0)
        os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

with held():
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
print(code)
"""
    assert run(code) == "0"


def test_in_a_storm_of_signals_no_hold_and_no_handler_stay_behind():
    code = """
import _signal as signal  # whose functions raise when their work is done
import os, subprocess, sys, time
from fastnn import interrupts

def hold():
    with interrupts.Interrupts() as training:
        training.hold()
        training.release()
        with interrupts.held(), interrupts.Interrupts() as inner:
            inner.hold()
            inner.release()

signal.signal(signal.SIGINT, signal.default_int_handler)
block, signals = signal.pthread_sigmask, {signal.SIGINT}
block(signal.SIG_BLOCK, signals)
pid = os.getpid()
send = f"import os\\nwhile os.getppid() == {pid}:\\n os.kill({pid}, 2)\\n for _ in range(500): pass"
sender = subprocess.Popen([sys.executable, "-c", send], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
raised, left = 0, []
end = time.monotonic() + 3
while time.monotonic() < end and not left:
    try:
        block(signal.SIG_UNBLOCK, signals)
        hold()
        block(signal.SIG_BLOCK, signals)
    except KeyboardInterrupt:
        raised += 1
        try:
            block(signal.SIG_BLOCK, signals)
        except KeyboardInterrupt:
            pass
    handler = signal.getsignal(signal.SIGINT)
    if interrupts._holds or interrupts._pending or handler is not signal.default_int_handler:
        left.append((interrupts._holds, interrupts._pending, handler))
sender.kill()
print(raised > 10, left)
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert printed.stdout.strip() == "True []", printed.stdout + printed.stderr


COUNTING = """
import signal, threading, numba
from fastnn.engine.runtime import available_threads
signal.signal(signal.SIGALRM, signal.default_int_handler)
available_threads()
for k in range(4000):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-6 + 1e-7 * (k % 200))
        for _ in range(30):
            available_threads()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
other = threading.Thread(target=numba.get_num_threads, daemon=True)
other.start()
other.join(10)
print("stuck" if other.is_alive() else "free")
"""


@pytest.mark.needs_jit
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer that sends signals")
def test_ctrl_c_leaves_no_lock_of_numba_taken():
    assert run(COUNTING) == "free"
