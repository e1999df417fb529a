"""Forward: Z = W A + b and its activation, for whole layers and for a block of examples through all layers."""

from numba import prange

from fastnn.kernels.elementwise import RELU, SIGMOID, activation_span, span
from fastnn.kernels.matmul import product_block
from fastnn.kernels.policy import inner, parallel_kernel
from fastnn.kernels.simd import get, lanes_of, load_part, pointer, store_part

# Columns of a layer that are finished before the next are begun.
STRIP = 128


@inner
def _layer_columns(W, A_prev, b, Z, A, activation, part, parts):
    n_out, n_in = W.shape
    m = Z.shape[1]
    lo, hi = span(m, part, parts, 64)
    # In strips, so that the activation finds Z in the cache.
    for j in range(lo, hi, STRIP):
        n = min(STRIP, hi - j)
        product_block(pointer(W), 0, n_in, 1, n_out, n_in, pointer(b), 0, pointer(A_prev), j, m, pointer(Z), j, m, n)
        for i in range(n_out):
            activation_span(pointer(Z), pointer(A), i * m + j, i * m + j + n, activation)


@parallel_kernel
def layer_forward(W, A_prev, b, Z, A, activation, n_threads):
    """Z = W A_prev + b and A = activation(Z), the columns shared out among the threads."""
    if n_threads == 1:
        _layer_columns(W, A_prev, b, Z, A, activation, 0, 1)
    else:
        for part in prange(n_threads):
            _layer_columns(W, A_prev, b, Z, A, activation, part, n_threads)


@inner
def block_forward(net, at, columns, masks_at):
    """Take one block of examples through all layers of a `net` (train.Net): relu, and sigmoid at the output.

    The activation of unit i of layer l and example j is at acts[at + (units_at[l] + i) * width + j]; layer 0 is X.
    With masks (masks_at >= 0) the hidden activations are multiplied by them, in the same layout.
    """
    acts, width = net.acts, net.width
    lanes = lanes_of(acts)
    for l in range(1, net.depth + 1):
        n_in, n_out = get(net.sizes, l - 1), get(net.sizes, l)
        a_prev, a = at + get(net.units_at, l - 1) * width, at + get(net.units_at, l) * width
        product_block(
            net.theta, get(net.weights_at, l), n_in, 1, n_out, n_in, net.theta, get(net.biases_at, l),
            acts, a_prev, width, acts, a, width, columns,
        )  # fmt: skip
        activation_span(acts, acts, a, a + n_out * width, RELU if l < net.depth else SIGMOID)
        if masks_at >= 0 and l < net.depth:
            mask = masks_at + get(net.units_at, l) * width
            for j in range(0, n_out * width, lanes):
                kept = load_part(acts, a + j, lanes) * load_part(net.masks, mask + j, lanes)
                store_part(acts, a + j, kept, lanes)
