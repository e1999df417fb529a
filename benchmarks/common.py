"""What the suites share: networks and data of given sizes, a quiet stdout, and times measured in turns."""

import contextlib
import importlib
import io
import statistics
import time

import numpy as np

COMPILED, REFERENCE = "fastnn", "fastnn.reference"


def course(side, module):
    """Import a course module of one side: from functions only, for asv imports every suite."""
    importlib.import_module("fastnn.course.first_run").NUMPY_MEANWHILE = False
    return importlib.import_module(f"{side}.{module}")


def draw_network(layers_dims):
    """Return W1, b1, ..., WL, bL by He's rule."""
    rng = np.random.default_rng(0)
    parameters = {}
    for layer in range(1, len(layers_dims)):
        n_out, n_in = layers_dims[layer], layers_dims[layer - 1]
        parameters[f"W{layer}"] = rng.standard_normal((n_out, n_in)) * np.sqrt(2 / n_in)
        parameters[f"b{layer}"] = np.zeros((n_out, 1))
    return parameters


def draw_data(n_x, n_y, m):
    """Return X (n_x, m) and Y (n_y, m): inside a circle or outside, with some noise at its edge."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n_x, m))
    square = np.sum(np.square(X), axis=0, keepdims=True) / n_x
    return X, (square + 0.2 * rng.standard_normal((n_y, m)) < 1).astype(np.int64)


class Quiet:
    """A suite whose functions print: nothing of it reaches asv's own output."""

    def setup(self, *params):
        self._quiet = contextlib.redirect_stdout(io.StringIO())
        self._quiet.__enter__()

    def teardown(self, *params):
        self._quiet.__exit__(None, None, None)


# Threads of NumPy's BLAS and of numba's layer go on spinning for some 20 ms after their work, on the other's core.
REST_SECONDS = 0.06


def _seconds(function, number):
    time.sleep(REST_SECONDS)
    function()  # wakes its threads
    begin = time.perf_counter()
    for _ in range(number):
        function()
    return (time.perf_counter() - begin) / number


def rounds_of_seconds(*functions, rounds=15, round_seconds=0.01):
    """Measure seconds a call, function by function in turns, so that all of them see the same machine.

    asv's own timer calls a function once for each `setup` and cannot compare two: a call of ours takes
    microseconds, and a shared machine's speed changes by the minute.
    """
    numbers = []
    for function in functions:
        numbers.append(max(1, round(round_seconds / _seconds(function, 1))))
    return [
        [_seconds(function, number) for function, number in zip(functions, numbers, strict=True)] for _ in range(rounds)
    ]


def seconds(function, **options):
    """Return the median time of a call."""
    return statistics.median(once for (once,) in rounds_of_seconds(function, **options))


def speedup(compiled, reference, **options):
    """Return how many times faster `compiled` is: the median ratio of rounds in turns."""
    rounds = rounds_of_seconds(compiled, reference, **options)
    return statistics.median(theirs / ours for ours, theirs in rounds)
