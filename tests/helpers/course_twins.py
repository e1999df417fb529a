"""The course's functions that are compiled, how each is called, and how closely two results have to agree."""

import contextlib
import importlib
import io

import numpy as np
import numpy.testing as npt
import published
import pytest

DOUBLE, SINGLE = 1e-10, 2e-5


def _wrong_gradients(c):
    # A wide step, for at 1e-7 rounding leaves nine digits; and wrong gradients, for of right ones little is left.
    return c.parameters, {key: 1.5 * dW for key, dW in c.grads.items()}, c.X, c.Y, 1e-2


def _init_model(c):
    return c.X, c.label_row, 0.01, 3, False


def _reg_model(c):
    return c.X, c.label_row, 0.1, 3, False, c.lambd if c.keep_prob == 1 else 0, c.keep_prob


def _opt_model(c):
    optimizer = ("gd", "momentum", "adam")[c.seed % 3]
    return c.X, c.Y, c.sizes, optimizer, 0.01, 1 + c.seed % 70, 0.9, 0.9, 0.999, 1e-8, 2, False


# Arguments of every function that has a compiled twin, made from a case.
CALLS = {
    "backward_propagation": lambda c: (c.X, c.Y, c.cache),
    "backward_propagation_n": lambda c: (c.X, c.Y, c.cache),
    "backward_propagation_with_dropout": lambda c: (c.X, c.Y, c.masked_cache, c.keep_prob),
    "backward_propagation_with_regularization": lambda c: (c.X, c.Y, c.cache, c.lambd),
    "compute_cost": lambda c: (c.A, c.Y),
    "compute_cost_with_regularization": lambda c: (c.A, c.Y, c.parameters, c.lambd),
    "compute_loss": lambda c: (c.A, c.Y),
    "forward_propagation": lambda c: (c.X, c.parameters),
    "forward_propagation_n": lambda c: (c.X, c.Y, c.parameters),
    "forward_propagation_with_dropout": lambda c: (c.X, c.parameters, c.keep_prob),
    "gradient_check_n": _wrong_gradients,
    "v2021.gradient_checking.gradient_check_n": lambda c: (*_wrong_gradients(c), True),
    "initialization.model": _init_model,
    "optimization.model": _opt_model,
    "predict": lambda c: (c.X, c.Y, c.parameters),
    "predict_dec": lambda c: (c.parameters, c.X),
    "regularization.model": _reg_model,
    "relu": lambda c: (c.Z,),
    "sigmoid": lambda c: (c.Z,),
    "update_parameters": lambda c: (dict(c.parameters), c.grads, 0.1),
    "update_parameters_with_adam": lambda c: (dict(c.parameters), c.grads, dict(c.v), dict(c.s), 3, 0.1),
    "update_parameters_with_gd": lambda c: (dict(c.parameters), c.grads, 0.1),
    "update_parameters_with_momentum": lambda c: (dict(c.parameters), c.grads, dict(c.v), 0.9, 0.1),
}


def both(module):
    return importlib.import_module(f"fastnn.{module}"), importlib.import_module(f"fastnn.reference.{module}")


def twins():
    """(module, name) of every public function that is not the reference's own object."""
    for module in published.DIFFERENT:
        compiled, reference = both(module)
        for name in published.own_names(published.COMPILED, module):
            if getattr(compiled, name) is not getattr(reference, name):
                yield module, name


TWINS = list(twins())


def call_key(module, name):
    if name == "model":
        return f"{module.rpartition('.')[2]}.{name}"
    return f"{module}.{name}" if (module, name) == ("v2021.gradient_checking", "gradient_check_n") else name


every_twin = pytest.mark.parametrize(("module", "name"), TWINS)


def call(function, module, name, case):
    """Return what the function returns, and what it prints, without NumPy's warnings."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), np.errstate(all="ignore"):
        result = function(*CALLS[call_key(module, name)](case))
    return result, printed.getvalue()


def leaves(result):
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, tuple | list):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def largest(array):
    finite = np.abs(np.asarray(array, np.float64))
    finite = finite[np.isfinite(finite)]
    return finite.max() if finite.size else 0.0


def assert_agrees(out, ref, tolerance, scale=None):
    """Compare types, structure, shapes, dtypes, infinities and NaN, and numbers relative to the largest of an array.

    In float32 relative to the largest of all: a sum that cancels may keep no digit.
    """
    if scale is None and tolerance == SINGLE:
        scale = max(largest(array) for array in leaves(ref))
    assert type(out) is type(ref)
    if isinstance(ref, dict):
        assert list(out) == list(ref)
        out, ref = list(out.values()), list(ref.values())
    if isinstance(ref, list | tuple):
        assert len(out) == len(ref)
        for out_part, ref_part in zip(out, ref, strict=True):
            assert_agrees(out_part, ref_part, tolerance, scale)
        return
    assert out.dtype == ref.dtype
    assert out.shape == ref.shape
    if ref.dtype.kind != "f":
        npt.assert_array_equal(out, ref)
        return
    npt.assert_array_equal(np.isnan(out), np.isnan(ref))
    infinite = np.isinf(ref)
    npt.assert_array_equal(np.isinf(out), infinite)
    npt.assert_array_equal(out[infinite], ref[infinite])
    finite = np.isfinite(ref)
    npt.assert_allclose(
        out[finite], ref[finite], rtol=0 if scale else tolerance, atol=tolerance * (scale or largest(ref))
    )


def assert_printed_alike(out, ref, tolerance):
    words, ref_words = out.split(), ref.split()
    assert len(words) == len(ref_words)
    for word, ref_word in zip(words, ref_words, strict=True):
        try:
            number = float(ref_word.removesuffix("\033[0m"))
        except ValueError:
            assert word == ref_word
        else:
            npt.assert_allclose(float(word.removesuffix("\033[0m")), number, rtol=tolerance)
