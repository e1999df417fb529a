"""The words of `atomics_llvm` in an array, for one thread: for NUMBA_DISABLE_JIT, coverage and the debugger."""

import time


def add(words, index, number):
    """Add to a word; its value before."""
    before = words[index]
    words[index] += number
    return before


def compare_and_swap(words, index, expected, number):
    """Set a word to `number` if it is as `expected`; its value before."""
    before = words[index]
    if before == expected:
        words[index] = number
    return before


def load(words, index):
    """Value of a word."""
    return words[index]


def store(words, index, number):
    """Set a word."""
    words[index] = number


def pause():
    """Spin on."""


def give_way():
    """Let another thread have this core."""
    time.sleep(0)


def now_ns():
    """Nanoseconds on a clock that never goes back."""
    return time.monotonic_ns()
