"""Every course module once, compiled against NumPy, in seconds: with numpy, numba and pytest alone."""

import importlib

import numpy as np
import numpy.testing as npt
import pytest

from fastnn import gradient_checking, optimization

M = 40


def two_classes():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, M))
    return X, (np.sum(np.square(X), axis=0, keepdims=True) < 1.5).astype(np.int64)


def assert_same(out, ref):
    """Compare what both sides returned: arrays, and dicts and tuples of them."""
    assert type(out) is type(ref)
    if isinstance(ref, dict):
        assert list(out) == list(ref)
        out, ref = list(out.values()), list(ref.values())
    if isinstance(ref, list | tuple):
        assert len(out) == len(ref)
        for one_out, one_ref in zip(out, ref, strict=True):
            assert_same(one_out, one_ref)
    else:
        npt.assert_allclose(out, ref, rtol=1e-10, atol=1e-14)


def one_step(module):
    """Forward, cost, backward and update of the initialization notebook."""
    X, Y = two_classes()
    parameters = module.initialize_parameters_he([2, 10, 5, 1])
    a3, cache = module.forward_propagation(X, parameters)
    grads = module.backward_propagation(X, Y, cache)
    return a3, cache, module.compute_loss(a3, Y), grads, module.update_parameters(parameters, grads, 0.1)


def one_regularized_step(module):
    """Costs and gradients of the regularization notebook, with L2 and with dropout."""
    X, Y = two_classes()
    parameters = module.initialize_parameters([2, 20, 3, 1])
    A3, cache = module.forward_propagation(X, parameters)
    cost = module.compute_cost_with_regularization(A3, Y, parameters, 0.7)
    grads = module.backward_propagation_with_regularization(X, Y, cache, 0.7)
    dropped, masked_cache = module.forward_propagation_with_dropout(X, parameters, 0.8)
    return cost, grads, dropped, module.backward_propagation_with_dropout(X, Y, masked_cache, 0.8)


def one_check(module):
    """Cost and gradients of the gradient checking notebook."""
    X, Y = two_classes()
    cost, cache = module.forward_propagation_n(X, Y, optimization.initialize_parameters([2, 5, 3, 1]))
    return cost, module.backward_propagation_n(X, Y, cache)


def one_update_each(module):
    """Mini-batches, gradient descent, momentum and Adam of the optimization notebook."""
    X, Y = two_classes()
    batches = module.random_mini_batches(X, Y, 16, seed=1)
    parameters = module.initialize_parameters([2, 5, 2, 1])
    a3, cache = module.forward_propagation(*batches[0][:1], parameters)
    grads = module.backward_propagation(*batches[0], cache)
    v, s = module.initialize_adam(parameters)
    return (
        batches,
        module.compute_cost(a3, batches[0][1]),
        module.update_parameters_with_gd(dict(parameters), grads, 0.1),
        module.update_parameters_with_momentum(dict(parameters), grads, dict(v), 0.9, 0.1),
        module.update_parameters_with_adam(dict(parameters), grads, v, s, 2),
    )


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("initialization", one_step),
        ("regularization", one_regularized_step),
        ("gradient_checking", one_check),
        ("optimization", one_update_each),
    ],
)
def test_functions(name, use):
    out = use(importlib.import_module(f"fastnn.{name}"))
    assert_same(out, use(importlib.import_module(f"fastnn.reference.{name}")))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("initialization", {"initialization": "he"}),
        ("regularization", {"lambd": 0.7}),
        ("regularization", {"keep_prob": 0.86}),
        ("optimization", {"optimizer": "gd"}),
        ("optimization", {"optimizer": "momentum"}),
        ("optimization", {"optimizer": "adam"}),
    ],
    ids=str,
)
def test_models(name, settings, capsys):
    X, Y = two_classes()
    if name == "optimization":
        settings = {"layers_dims": [2, 5, 2, 1], "mini_batch_size": 16, "num_epochs": 20, **settings}
    else:
        settings = {"num_iterations": 60, **settings}
    module = importlib.import_module(f"fastnn.{name}")
    oracle = importlib.import_module(f"fastnn.reference.{name}")
    out = module.model(X, Y, **settings)
    out_predictions, out_printed = module.predict(X, Y, out), capsys.readouterr().out
    ref = oracle.model(X, Y, **settings)
    ref_predictions, ref_printed = oracle.predict(X, Y, ref), capsys.readouterr().out
    assert_same(out, ref)
    npt.assert_array_equal(out_predictions, ref_predictions)
    assert out_printed.splitlines()[-1] == ref_printed.splitlines()[-1]


def test_gradient_check(capsys):
    X, Y = two_classes()
    parameters = optimization.initialize_parameters([2, 4, 3, 1])
    _, cache = gradient_checking.forward_propagation_n(X, Y, parameters)
    gradients = gradient_checking.backward_propagation_n(X, Y, cache)
    assert gradient_checking.gradient_check_n(parameters, gradients, X, Y) < 2e-7
    assert "works perfectly fine" in capsys.readouterr().out
    gradients["dW2"] = 2 * gradients["dW2"]
    assert gradient_checking.gradient_check_n(parameters, gradients, X, Y) > 1e-2
    assert "There is a mistake" in capsys.readouterr().out
