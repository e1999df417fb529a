"""Trains nets whose weights and data need no library, so that the bits of the results can be told beforehand.

As a program, `python engine_program.py LAYER DTYPE[,DTYPE] N_THREADS ...`, it prints the hashes of its cases for each
number of threads, and the sizes of the teams that it ran on, as JSON.
"""

import ctypes
import hashlib
import json
import sys
from dataclasses import replace

import numba
import numpy as np
from engine_cases import Problem

from fastnn.engine import engine, runtime, workspace
from fastnn.engine.engine import Engine

STEPS = 50


def formula(shape, salt):
    """Numbers in [-1/2, 1/2), exact in float64, that look random."""
    k = np.arange(np.prod(shape, dtype=int), dtype=np.uint64) + np.uint64(salt << 20)
    k = (k ^ (k >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
    k = (k ^ (k >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((k >> np.uint64(32)).astype(np.float64) / 2.0**32 - 0.5).reshape(shape)


def case(sizes, m, batch, *arguments, x_dtype="f8", **settings):
    problem = Problem(tuple(sizes), m, batch, *arguments, **settings)
    problem.theta[:] = formula(problem.theta.shape, 1) / 2
    problem.X = (formula(problem.X.shape, 2) * 8).astype(x_dtype)
    if problem.Y.ndim == 1:
        problem.Y = np.arange(m) * 7 % 5 % sizes[-1]
    else:
        problem.Y = (formula(problem.Y.shape, 3) > 0).astype(np.float64)
    if problem.weights is not None:
        problem.weights = np.where(np.arange(m) % 3 == 0, 0.0, 1.0 + formula((m,), 4))
    problem.model = replace(problem.model, seed=0x0123456789ABCDEF)
    return problem


def cases(dtype):
    """Nets that between them meet every kernel, by name."""
    return {
        "relu": case([12288, 20, 7, 5, 1], 64, 64, "relu", "sigmoid", "binary_cross_entropy", dtype, x_dtype="u1"),
        "adam": case([2, 5, 2, 1], 300, 64, "relu", "sigmoid", "binary_cross_entropy", dtype, "adam"),
        "large": case([70, 129, 65, 3], 300, 100, "tanh", "linear", "squared_error", dtype, "adamw"),
        "chunks": case([33, 40, 5], 1500, 1500, "gelu", "softmax", "cross_entropy", dtype, "classical", labels=True),
        "l2": case([40, 50, 9], 70, 33, "silu", "linear", "huber", dtype, "nesterov", {"l2": 0.5}, weighted=True),
        "clip": case([40, 50, 9], 70, 33, "elu", "sigmoid", "huber", dtype, "averaged", {"clip_norm": 0.05}),
        "dropout": case(
            [20, 31, 17, 4], 90, 31, "selu", "softmax", "cross_entropy", dtype, "rmsprop",
            {"dropout": (0.1, 0.5, 0.3), "label_smoothing": 0.1}, x_dtype="f4",
        ),
        "one": case([9, 33, 20, 2], 25, 1, "softplus", "linear", "poisson", dtype, "amsgrad", {"weight_decay": 0.1}),
        "narrow": case([3, 4, 3], 40, 8, "sigmoid", "linear", "absolute_error", dtype, "sgd", weighted=True),
        "leaky": case([17, 24, 24, 24, 3], 64, 64, "leaky_relu", "sigmoid", "squared_error", dtype, "adam"),
    }  # fmt: skip


def digest(problem, n_threads=1, pieces=(STEPS,)):
    """Hash of weights, moments and costs after training, and of the outputs then."""
    engine = Engine(*problem.model, n_threads)
    theta, state, costs, sums = problem.trained(engine, pieces)
    A = engine.predict(theta, problem.X)
    assert np.isfinite(theta).all()
    assert np.isfinite(A).all()
    assert np.abs(theta - problem.theta).max() > 1e-4
    hashed = hashlib.sha256()
    for array in (theta, state.v, state.s, state.h, costs, sums, A):
        hashed.update(array.tobytes())
    return hashed.hexdigest()[:16]


def digests(dtype, n_threads=1):
    """The hash of every case."""
    return {name: digest(problem, n_threads) for name, problem in cases(dtype).items()}


def _count_teams(teams):
    run_team = workspace.run_team

    def counting(*arguments):
        n, how = run_team(*arguments)
        teams.append(n)
        return n, how

    workspace.run_team = counting


def _main(layer, dtypes, *numbers):
    numbers = [int(n) for n in numbers]
    if layer == "tbb":
        try:
            ctypes.CDLL(sys.prefix + "/lib/libtbb.so.12", mode=ctypes.RTLD_GLOBAL)
        except OSError:
            print('"no tbb"')
            return
        # It has no more threads than cores, whatever it is asked for.
        numbers = [n for n in numbers if n <= runtime.cores()]
    if layer != "any":
        numba.config.THREADING_LAYER = layer
    # As many cores as asked for, whatever the machine has; and no pause after a team whose cores were taken.
    runtime.available_threads = engine.available_threads = numba.get_num_threads
    runtime.BACK_OFF_SECONDS = 0.0
    teams, report = [], {}
    _count_teams(teams)
    for n in numbers:
        teams.clear()
        report[n] = {"digests": {dtype: digests(dtype, n) for dtype in dtypes.split(",")}, "teams": sorted(set(teams))}
    if max(numbers) > 1:
        assert layer in ("any", numba.threading_layer())
    print(json.dumps(report))


if __name__ == "__main__":
    _main(*sys.argv[1:])
