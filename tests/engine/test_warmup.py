"""`show_config` and `warmup`."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn


def test_show_config_prints_what_it_returns(capsys):
    assert fastnn.show_config() is None
    printed = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert {name: value.strip() for name, value in printed.items()} == fastnn.show_config("dicts")
    assert printed["NumPy"].strip() == np.__version__
    assert 1 <= int(printed["threads"]) <= os.cpu_count()
    with pytest.raises(ValueError, match="mode must be 'stdout' or 'dicts', got 'json'"):
        fastnn.show_config("json")


def test_show_config_leaves_the_threading_layer_open():
    code = "import fastnn, numba; print(fastnn.show_config('dicts')['threading layer']); numba.threading_layer()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "not chosen yet\n"
    assert "Threading layer is not initialized" in result.stderr


WARM = """
import numpy as np
from numba.core import event
import fastnn
from fastnn import optimization
from fastnn.kernels.compiler import policy
from fastnn.regularization import model as regularized
from fastnn.optimization import model

fastnn.warmup()

def look_up(self, sig, target_context):
    raise AssertionError(f"{self._py_func.__name__} was not warmed up for {sig}")

policy.KernelCache.load_overload = look_up
with event.install_recorder("numba:run_pass") as passes:
    fastnn.warmup()
    again = len(passes.buffer)
    X = np.random.RandomState(0).randn(2, 40)
    Y = (X[:1] > 0).astype(int)
    for dtype, output, activation in [("float32", "softmax", "relu"), ("float64", "sigmoid", "tanh")]:
        net = fastnn.Network([2, 70, 5, 2 if output == "softmax" else 1], activation, output, dtype=dtype)
        trainer = fastnn.Trainer(net, dropout=0.5, l2=0.1, clip_norm=1.0, n_threads=-1)
        trainer.fit(X, Y[0], epochs=3, batch_size=7, validation=(X, Y[0]))
        trainer.step(X, Y[0])
        net.predict(X)
        for example in (X[:, 0], X[:, 0].astype(dtype), np.broadcast_to(net.dtype.type(1), 2)):
            net.predict_one(example)
        A, cache = net.forward(X)
        net.backward(A, cache)
        assert fastnn.gradient_check(trainer, X, Y[0]) < 1e-2
    model(X, Y, [2, 5, 2, 1], "adam", mini_batch_size=7, num_epochs=3, print_cost=False)
    regularized(X, Y, num_iterations=3, keep_prob=0.8, print_cost=False)
    P = optimization.initialize_parameters([2, 5, 2, 1])
    A, cache = optimization.forward_propagation(X, P)
    grads = optimization.backward_propagation(X, Y, cache)
    optimization.compute_cost(A, Y)
    optimization.update_parameters_with_gd(P, grads, 0.1)
    optimization.update_parameters_with_momentum(P, grads, optimization.initialize_velocity(P), 0.9, 0.1)
    optimization.update_parameters_with_adam(P, grads, *optimization.initialize_adam(P), 2)
print(again, len(passes.buffer))
"""


@pytest.mark.needs_jit
def test_warmup_leaves_nothing_to_compile():
    result = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, timeout=600)
    assert result.stdout == "0 0\n", result.stderr


def test_warmup_of_other_types():
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got 'float16'"):
        fastnn.warmup("float16")
