"""Random networks and data for the course's functions, and differences that know nothing of the package."""

import numpy as np


def draw_network(layers_dims, seed=0):
    """Draw parameters with biases that are not zero, so that every term counts."""
    rng = np.random.default_rng(seed)
    parameters = {}
    for layer in range(1, len(layers_dims)):
        n_out, n_in = layers_dims[layer], layers_dims[layer - 1]
        parameters[f"W{layer}"] = rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)
        parameters[f"b{layer}"] = 0.1 + 0.3 * rng.standard_normal((n_out, 1))
    return parameters


def draw_data(n_x, n_y, m, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_x, m)), rng.integers(0, 2, (n_y, m))


def central_differences(cost, parameters, epsilon=1e-6):
    """Differentiate cost() by every parameter in place; independent of the package's own check."""
    grads = {}
    for name, array in parameters.items():
        grads[f"d{name}"] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + epsilon
            above = cost()
            array[index] = kept - epsilon
            below = cost()
            array[index] = kept
            grads[f"d{name}"][index] = (above - below) / (2 * epsilon)
    return grads


def stream_state():
    kind, keys, position, *_ = np.random.get_state()
    return kind, keys.tobytes(), position


def gradient_check_case():
    """Draw the notebook's case: 47 parameters, three examples, labels of one dimension."""
    np.random.seed(1)
    X = np.random.randn(4, 3)
    shapes = ((5, 4), (5, 1), (3, 5), (3, 1), (1, 3), (1, 1))
    parameters = {
        name: np.random.randn(*shape) for name, shape in zip(("W1", "b1", "W2", "b2", "W3", "b3"), shapes, strict=True)
    }
    return X, np.array([1, 1, 0]), parameters
