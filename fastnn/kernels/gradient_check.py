"""Costs on both sides of every parameter: the two-sided differences of gradient checking."""

from numba import prange

from fastnn.kernels.forward import block_forward
from fastnn.kernels.losses import cross_entropy_span, pairwise_sum
from fastnn.kernels.policy import inner, parallel_kernel
from fastnn.kernels.simd import get, pointer, put
from fastnn.kernels.train import BLOCK, Net


@inner
def _cost(net, x, y, m, terms):
    """Mean cross-entropy of the net on all examples, 1/m * sum."""
    n_x, n_y = get(net.sizes, 0), get(net.sizes, net.depth)
    output = get(net.units_at, net.depth) * net.width
    for start in range(0, m, net.width):
        columns = min(net.width, m - start)
        for i in range(n_x):
            for j in range(columns):
                put(net.acts, i * net.width + j, get(x, i * m + start + j))
        block_forward(net, 0, (columns + 15) // 16 * 16, -1)
        for i in range(n_y):
            at = i * m + start
            cross_entropy_span(net.acts, output + i * net.width, y, at, terms, at, columns, False)
    return 1.0 / m * pairwise_sum(terms, n_y * m)


@inner
def _differences(sizes, weights_at, biases_at, units_at, X, Y, epsilon, first, J, theta, acts, terms, part, parts):
    m = X.shape[1]
    scratch = pointer(acts)
    net = Net(
        sizes.size - 1, BLOCK, pointer(sizes), pointer(weights_at), pointer(biases_at), pointer(units_at),
        pointer(theta), scratch, scratch, scratch, scratch, scratch,
    )  # fmt: skip
    for k in range(part, J.shape[1], parts):
        original = theta[first + k]
        theta[first + k] = original + epsilon
        J[0, k] = _cost(net, pointer(X), pointer(Y), m, pointer(terms))
        theta[first + k] = original - epsilon
        J[1, k] = _cost(net, pointer(X), pointer(Y), m, pointer(terms))
        theta[first + k] = original


@parallel_kernel
def cost_differences(sizes, weights_at, biases_at, units_at, X, Y, epsilon, first, J, thetas, acts, terms, n_threads):
    """J[0, k] and J[1, k] = cost with parameter first + k moved by +epsilon and -epsilon.

    Each thread has a row of `thetas` (a copy of the parameters), `acts` (one block of examples) and `terms`.
    """
    if n_threads == 1:
        _differences(
            sizes,
            weights_at,
            biases_at,
            units_at,
            X,
            Y,
            epsilon,
            first,
            J,
            thetas[0],
            acts[0],
            terms[0],
            0,
            1,
        )
    else:
        for part in prange(n_threads):
            _differences(
                sizes, weights_at, biases_at, units_at, X, Y, epsilon, first, J,
                thetas[part], acts[part], terms[part], part, n_threads,
            )  # fmt: skip
