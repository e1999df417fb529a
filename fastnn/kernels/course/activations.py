"""The course's activations in passes over whole arrays; its sigmoid has a form of its own."""

from numba import prange

from fastnn.kernels.compiler import vector_math
from fastnn.kernels.compiler.policy import inner, parallel_kernel
from fastnn.kernels.compiler.simd import advance, pointer
from fastnn.kernels.compiler.tracing import traced, traced_pass
from fastnn.kernels.formulas.activations import RELU, SIGMOID, relu_pass

__all__ = ["RELU", "SIGMOID", "activation_forward", "activation_span", "log", "sigmoid", "span"]


def _sigmoid(x):
    """1 / (1 + exp(-x)), in the course's form: exp may overflow to inf, which gives 0."""
    return 1.0 / (vector_math.exp(-x) + 1.0)


log = traced(vector_math.log)
sigmoid = traced(_sigmoid)
sigmoid_pass = traced_pass(_sigmoid, 1)


@inner
def span(size, part, parts, unit):
    """Part `part` of `parts` of range(size), cut at multiples of `unit` (a cache line, or a tile)."""
    units = (size + unit - 1) // unit
    lo = units * part // parts * unit
    hi = units * (part + 1) // parts * unit
    return min(lo, size), min(hi, size)


@inner
def activation_span(activation, z, a, n):
    """a[:n] = activation(z[:n]), RELU or SIGMOID; z and a may be one array."""
    if activation == RELU:
        relu_pass(n, 1, z, a)
    else:
        sigmoid_pass(n, 1, z, a)


@parallel_kernel
def activation_forward(Z, A, activation, n_threads):
    """A = activation(Z), element by element."""
    if n_threads == 1:
        activation_span(activation, pointer(Z), pointer(A), Z.size)
    else:
        for part in prange(n_threads):
            lo, hi = span(Z.size, part, n_threads, 64)
            activation_span(activation, advance(pointer(Z), lo), advance(pointer(A), lo), hi - lo)
