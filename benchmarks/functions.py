"""Every course function beside its NumPy twin, and loops of one's own over them: `python -m benchmarks.functions`.

The loops' rival is what a notebook has, without checks; "helpers" has our functions where the notebook imports them
from a file of helpers, "all parts" where it defines them itself, too. All sides alternate in one process and are
verified against each other first. Before each measurement the process sleeps, because the threads of NumPy's BLAS and
of numba's layer go on spinning for some 20 ms after their last work and would take the other side's core. Quoted are
medians of rounds, and the median of the ratios round by round.
"""

import argparse
import contextlib
import functools
import importlib
import math
import statistics
import time
import types

import numpy as np

from benchmarks import plain

ROUNDS = 9
REST_SECONDS = 0.06
CALLS_SECONDS = 0.02

# (module, function, arguments by name)
JOBS = (
    ("optimization", "sigmoid", ("Z",)),
    ("optimization", "relu", ("Z",)),
    ("optimization", "forward_propagation", ("X", "parameters")),
    ("optimization", "backward_propagation", ("X", "Y", "cache")),
    ("optimization", "compute_cost", ("A_wide", "Y_wide")),
    ("initialization", "compute_loss", ("A_wide", "Y_wide")),
    ("optimization", "predict_dec", ("parameters", "X")),
    ("regularization", "compute_cost_with_regularization", ("A_wide", "Y_wide", "parameters", "lambd")),
    ("regularization", "backward_propagation", ("X", "Y", "cache")),
    ("regularization", "backward_propagation_with_regularization", ("X", "Y", "cache", "lambd")),
    ("regularization", "forward_propagation_with_dropout", ("X", "parameters", "keep_prob")),
    ("regularization", "backward_propagation_with_dropout", ("X", "Y", "dropout_cache", "keep_prob")),
    ("gradient_checking", "forward_propagation_n", ("X", "Y", "parameters")),
    ("gradient_checking", "backward_propagation_n", ("X", "Y", "cache")),
    ("optimization", "update_parameters_with_gd", ("own_parameters", "grads", "rate")),
    ("optimization", "update_parameters_with_momentum", ("own_parameters", "grads", "own_v", "beta", "rate")),
    ("optimization", "update_parameters_with_adam", ("own_parameters", "grads", "own_v", "own_s", "t")),
)


def arguments_for(sizes, m):
    """Everything that the functions take, for a network of those sizes and m examples."""
    from fastnn.reference import optimization, regularization

    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((sizes[0], m)), (rng.random((sizes[-1], m)) < 0.5) * 1.0
    parameters = optimization.initialize_parameters(sizes)
    _, cache = optimization.forward_propagation(X, parameters)
    _, dropout_cache = regularization.forward_propagation_with_dropout(X, parameters, 0.8)
    v, s = optimization.initialize_adam(parameters)
    # The cost of a wide output: of a layer of the size that the other functions see.
    width = max(sizes[1:])
    return {
        "X": X, "Y": Y, "parameters": parameters, "cache": cache, "dropout_cache": dropout_cache, "Z": cache[0],
        "A_wide": rng.uniform(0.01, 0.99, (width, m)), "Y_wide": (rng.random((width, m)) < 0.5) * 1.0,
        "grads": optimization.backward_propagation(X, Y, cache), "lambd": 0.7, "keep_prob": 0.8, "rate": 1e-3,
        "beta": 0.9, "t": 2, "own_parameters": parameters, "own_v": v, "own_s": s,
    }  # fmt: skip


def _numbers(result):
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, tuple):
        return [number for part in result for number in _numbers(part)]
    return [np.asarray(result, float)]


def _seconds(function, arguments, repeats):
    time.sleep(REST_SECONDS)
    # The updates rebind entries: each measurement has dicts of its own.
    arguments = [dict(a) if isinstance(a, dict) else a for a in arguments]
    function(*arguments)
    begin = time.perf_counter()
    for _ in range(repeats):
        function(*arguments)
    return (time.perf_counter() - begin) / repeats


def compare(ours, reference, arguments):
    """Medians in seconds of both functions, and of their ratio."""
    copies = [[dict(a) if isinstance(a, dict) else a for a in arguments] for _ in range(2)]
    for out, ref in zip(_numbers(ours(*copies[0])), _numbers(reference(*copies[1])), strict=True):
        np.testing.assert_allclose(out, ref, rtol=1e-10, atol=1e-10 * np.abs(ref).max())
    # Calls in a row, for the first one after a rest mostly times how soon a halted core wakes up.
    repeats = math.ceil(CALLS_SECONDS / _seconds(reference, arguments, 1))
    rounds = [(_seconds(ours, arguments, repeats), _seconds(reference, arguments, repeats)) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    return mine, theirs, statistics.median(b / a for a, b in rounds)


def sides_of(module):
    """Return the notebook's own code, that with our functions for its helpers, and that with all that we have."""
    public = importlib.import_module(f"fastnn.{module}")
    sides = []
    for kept in (lambda name, helpers: True, lambda name, helpers: name not in helpers, lambda name, helpers: False):
        namespace, helpers = plain.notebook(module)
        ours = {name: getattr(public, name) for name in public.__all__ if name in namespace and not kept(name, helpers)}
        namespace.update(ours)
        sides.append(types.SimpleNamespace(**namespace))
    return sides


def optimization_loop(of, X, Y, optimizer, epochs):
    """The loop over mini-batches that a learner writes."""
    parameters = of.initialize_parameters([2, 5, 2, 1])
    v, s = of.initialize_adam(parameters)
    t = 0
    for epoch in range(epochs):
        for batch_X, batch_Y in of.random_mini_batches(X, Y, 64, 11 + epoch):
            a, cache = of.forward_propagation(batch_X, parameters)
            of.compute_cost(a, batch_Y)
            grads = of.backward_propagation(batch_X, batch_Y, cache)
            t += 1
            if optimizer == "gd":
                of.update_parameters_with_gd(parameters, grads, 0.0007)
            elif optimizer == "momentum":
                of.update_parameters_with_momentum(parameters, grads, v, 0.9, 0.0007)
            else:
                of.update_parameters_with_adam(parameters, grads, v, s, t, 0.0007)
    return parameters


def initialization_loop(of, X, Y, steps):
    """The loop of the initialization notebook."""
    parameters = of.initialize_parameters_he([2, 10, 5, 1])
    for _ in range(steps):
        a, cache = of.forward_propagation(X, parameters)
        of.compute_loss(a, Y)
        of.update_parameters(parameters, of.backward_propagation(X, Y, cache), 0.01)
    return parameters


def regularization_loop(of, X, Y, regularizer, steps):
    """The loop of the regularization notebook."""
    parameters = of.initialize_parameters([2, 20, 3, 1])
    for _ in range(steps):
        if regularizer == "dropout":
            a, cache = of.forward_propagation_with_dropout(X, parameters, 0.86)
            of.compute_cost(a, Y)
            grads = of.backward_propagation_with_dropout(X, Y, cache, 0.86)
        else:
            a, cache = of.forward_propagation(X, parameters)
            if regularizer == "L2":
                of.compute_cost_with_regularization(a, Y, parameters, 0.7)
                grads = of.backward_propagation_with_regularization(X, Y, cache, 0.7)
            else:
                of.compute_cost(a, Y)
                grads = of.backward_propagation(X, Y, cache)
        of.update_parameters(parameters, grads, 0.3)
    return parameters


def checks_loop(of, X, Y, checks):
    """The gradient checking notebook's last function, again and again."""
    from fastnn.reference import gradient_checking, optimization

    parameters = optimization.initialize_parameters([4, 5, 3, 1])
    grads = gradient_checking.backward_propagation_n(X, Y, gradient_checking.forward_propagation_n(X, Y, parameters)[1])
    with contextlib.redirect_stdout(None):
        return [of.gradient_check_n(parameters, grads, X, Y, 1e-3) for _ in range(checks)]


LOOPS = (
    *((f"{name}, [2, 5, 2, 1], batch 64", "optimization", (2, 300), optimization_loop, (name, 40), 200)
      for name in ("gd", "momentum", "adam")),
    ("He, [2, 10, 5, 1], 300 examples", "initialization", (2, 300), initialization_loop, (200,), 200),
    *((f"{name}, [2, 20, 3, 1], 211 examples", "regularization", (2, 211), regularization_loop, (name, 200), 200)
      for name in ("plain", "L2", "dropout")),
    ("gradient_check_n, [4, 5, 3, 1]", "gradient_checking", (4, 3), checks_loop, (20,), 20),
)  # fmt: skip


def loops():
    """Print own loops: the notebook's code, with our helpers, and with all that we have of it."""
    print(f"\n{'a loop of your own, us a step':44}{'notebook':>10}{'helpers':>10}{'':>8}{'all parts':>10}")
    for title, module, shape, loop, settings, steps in LOOPS:
        rng = np.random.default_rng(3)
        # As load_dataset makes them: transposed, with labels of integers.
        X, Y = rng.standard_normal(shape[::-1]).T, (rng.random((1, shape[1])) < 0.5).astype(np.int64)
        sides = sides_of(module)
        calls = [functools.partial(loop, side, X, Y, *settings) for side in sides]
        results = [_numbers(call()) for call in calls]
        for result in results[1:]:
            for out, ref in zip(result, results[0], strict=True):
                np.testing.assert_allclose(out, ref, rtol=1e-6, atol=1e-10)
        rounds = []
        for _ in range(ROUNDS):
            rounds.append([_seconds(call, (), 1) / steps * 1e6 for call in calls])
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        ratios = [statistics.median(row[0] / row[side] for row in rounds) for side in (1, 2)]
        print(f"{title:44}{medians[0]:10.1f}{medians[1]:10.1f}{ratios[0]:7.2f}x{medians[2]:10.1f}{ratios[1]:7.2f}x")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["course", "large", "loop"], help="one of the three tables")
    only = parser.parse_args().only
    from fastnn.course import first_run
    from fastnn.engine import runtime

    first_run.NUMPY_MEANWHILE = False
    print(f"{runtime.available_threads()} threads, numpy {np.__version__}; medians of {ROUNDS} rounds, float64")
    tables = (
        ("course", [2, 10, 5, 1], 300),
        ("course", [2, 20, 3, 1], 211),
        ("course", [2, 5, 2, 1], 64),
        ("large", [512, 512, 512, 1], 4096),
    )
    for table, sizes, m in tables:
        if only not in (None, table):
            continue
        print(f"\nlayers {sizes}, {m} examples{'function, us':>40}{'fastnn':>14}{'NumPy':>12}{'ratio':>9}")
        arguments = arguments_for(sizes, m)
        for module, name, needs in JOBS:
            ours = getattr(importlib.import_module(f"fastnn.{module}"), name)
            theirs = getattr(importlib.import_module(f"fastnn.reference.{module}"), name)
            mine, numpy, ratio = compare(ours, theirs, [arguments[key] for key in needs])
            print(f"{module + '.' + name:65}{mine * 1e6:13.2f}{numpy * 1e6:12.2f}{ratio:8.2f}x")
    if only in (None, "loop"):
        loops()


if __name__ == "__main__":
    main()
