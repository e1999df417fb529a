"""Costs on both sides of every parameter: the two-sided differences of gradient checking."""

from numba import prange

from fastnn.kernels.compiler.policy import inner, parallel_kernel
from fastnn.kernels.compiler.simd import advance, call, get, pointer
from fastnn.kernels.course.activations import RELU, SIGMOID, activation_span
from fastnn.kernels.course.losses import cross_entropy_span, pairwise_sum
from fastnn.kernels.matmul.matrices import pack, panel_width, panels_in
from fastnn.kernels.matmul.micro_kernel import BIAS, PLAIN

# Examples that go through all layers together.
BLOCK = 64


@inner
def _cost(products, depth, sizes, weights_at, biases_at, units_at, theta, x, y, m, acts, terms):
    """Mean cross-entropy of a net on all examples, 1/m * sum: hidden layers relu, outputs sigmoid.

    products, sizes, weights_at, biases_at, units_at: as in `cost_differences`, as pointers.
    depth: layers with weights.
    theta, x, y, m: parameters, examples, targets; how many examples.
    acts, terms: room, as a thread has it in `cost_differences`.
    """
    width = panel_width(acts)
    n_y = get(sizes, depth)
    outputs = advance(acts, get(units_at, depth) * BLOCK)
    for start in range(0, m, BLOCK):
        columns = min(BLOCK, m - start)
        panels = panels_in(columns, acts)
        pack(advance(x, start), m, get(sizes, 0), columns, acts)
        for l in range(1, depth + 1):
            n_in, n_out = get(sizes, l - 1), get(sizes, l)
            a = advance(acts, get(units_at, l) * BLOCK)
            call(
                products, 0, a, n_out * width, width, BIAS, advance(theta, get(biases_at, l)),
                advance(theta, get(weights_at, l)), n_in, 1, n_out, n_in,
                advance(acts, get(units_at, l - 1) * BLOCK), n_in * width, width, panels, width, PLAIN, a, 0.0, a,
            )  # fmt: skip
            activation_span(RELU if l < depth else SIGMOID, a, a, panels * n_out * width)
        for j in range(0, columns, width):
            for i in range(n_y):
                at = i * m + start + j
                cross_entropy_span(outputs, j * n_y + i * width, y, at, terms, at, min(width, columns - j), False)
    return 1.0 / m * pairwise_sum(terms, n_y * m)


@inner
def _differences(
    products, sizes, weights_at, biases_at, units_at, X, Y, epsilon, first, J, theta, acts, terms, part, parts
):
    """As `cost_differences`, with one thread's `theta`, for every one of `parts` parameters from number `part` on."""
    depth, m = sizes.size - 1, X.shape[1]
    net = pointer(products), depth, pointer(sizes), pointer(weights_at), pointer(biases_at), pointer(units_at)
    data = pointer(theta), pointer(X), pointer(Y), m, pointer(acts), pointer(terms)
    for k in range(part, J.shape[1], parts):
        original = theta[first + k]
        theta[first + k] = original + epsilon
        J[0, k] = _cost(*net, *data)
        theta[first + k] = original - epsilon
        J[1, k] = _cost(*net, *data)
        theta[first + k] = original


@parallel_kernel
def cost_differences(
    products, sizes, weights_at, biases_at, units_at, X, Y, epsilon, first, J, thetas, acts, terms, n_threads
):
    """J[0, k] and J[1, k] = cost with parameter first + k moved by +epsilon and -epsilon.

    products: from `matmul.matrices`.
    sizes, weights_at, biases_at: units of each layer; where in a row of thetas its weights and biases begin.
    units_at: how many units the layers below have together.
    X, Y: examples [n_x][m], targets [n_y][m].
    epsilon, first, J: see above.
    thetas, acts, terms: for each thread a row: a copy of the parameters; room for one block of examples, layer by
    layer, in panels; room for n_y m losses.
    n_threads: how many divide the parameters among them.
    """
    if n_threads == 1:
        _differences(
            products, sizes, weights_at, biases_at, units_at, X, Y, epsilon, first, J, thetas[0], acts[0], terms[0],
            0, 1,
        )  # fmt: skip
    else:
        for part in prange(n_threads):
            _differences(
                products, sizes, weights_at, biases_at, units_at, X, Y, epsilon, first, J,
                thetas[part], acts[part], terms[part], part, n_threads,
            )  # fmt: skip
