"""All ops of the engine, by their place in the table; and those made of a user's own functions."""

import functools
from collections.abc import Callable

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Numbers, Op, users_function, users_op
from fastnn.kernels.compiler.simd import get, number_like, put
from fastnn.kernels.matmul import gather, products, weight_gradients
from fastnn.kernels.program import large, layers, outputs, randomness, small, update
from fastnn.kernels.program.body import body

__all__ = ["OPS", "body", "user_activation", "user_loss"]

OPS = {
    at.READ: gather.read,
    at.GATHER: gather.gather,
    at.PRODUCT: products.product,
    at.PRODUCT_OF_ONE: products.product_of_one,
    at.BROAD_PRODUCT: products.broad_product,
    at.TRANSPOSE: gather.transpose,
    at.ACTIVATE: layers.activate,
    at.SLOPE: layers.slope,
    at.DROPOUT: randomness.dropout,
    at.OUTPUT_ONLY: outputs.output_only,
    at.OUTPUT_LOSS: outputs.output_loss,
    at.OUTPUT_DELTA: outputs.output_delta,
    at.DELIVER: outputs.deliver,
    at.GRADIENT_OVER_INPUTS: weight_gradients.gradient_over_inputs,
    at.GRADIENT_OVER_EXAMPLES: weight_gradients.gradient_over_examples,
    at.BIAS_GRADIENT: weight_gradients.bias_gradient,
    at.UPDATE: update.update,
    at.SUM_TERMS: outputs.sum_terms,
    at.PERMUTE: randomness.permute,
    at.EXAMPLES: large.examples,
    at.WEIGHTS_PHASE: large.weights_phase,
    at.UPDATE_PARAMETERS: update.update_parameters,
    at.SMALL_EXAMPLES: small.small_examples,
    at.REDUCE_GRADIENTS: update.reduce_gradients,
    at.SUM_SQUARES: update.sum_squares,
    at.CLIP_WIDELY: update.clip_widely,
}


# Trainers that share a function share its machine code.
_kept = functools.lru_cache(maxsize=64)


@_kept
def user_activation(function: Callable[[float], tuple[float, float]]) -> Op:
    """Make an op of a function of a scalar z that returns f(z) and f'(z); it has the arguments of `layers.activate`.

    Parameters
    ----------
    function : callable
        Compiled by ``numba.njit``, or compilable; otherwise a TypeError says so where the op is compiled.

    Returns
    -------
    Op
        Replaces n numbers by their activations, NaN where the function raises, and writes their slopes if wanted.
    """
    f = users_function(function)

    def activate(a: Numbers, n: int, slopes: Numbers, with_slopes: int):
        for j in range(n):
            # Not only examples come here, but also what fills their panels up: an exception must not end the loop.
            try:
                value, slope = f(get(a, j))
            except Exception:
                value, slope = np.nan, np.nan
            put(a, j, number_like(a, float(value)))
            if with_slopes != 0:
                put(slopes, j, number_like(slopes, float(slope)))

    return users_op(activate, f"hidden_activation {getattr(function, '__name__', function)}")


@_kept
def user_loss(function: Callable[[float, float], tuple[float, float]]) -> Op:
    """Make an op of a function of scalars a and y that returns the loss and its derivative with respect to a.

    Parameters
    ----------
    function : callable
        Compiled by ``numba.njit``, or compilable; otherwise a TypeError says so where the op is compiled.

    Returns
    -------
    Op
        Writes n losses and their derivatives, NaN where the function raises.
    """
    f = users_function(function)

    def compare(a: Numbers, y: Numbers, n: int, losses: Numbers, slopes: Numbers):
        for j in range(n):
            try:
                loss, slope = f(get(a, j), get(y, j))
            except Exception:
                loss, slope = np.nan, np.nan
            put(losses, j, number_like(losses, float(loss)))
            put(slopes, j, number_like(slopes, float(slope)))

    return users_op(compare, f"loss {getattr(function, '__name__', function)}")
