"""Helper file of the gradient checking notebook."""

import numpy as np
from common_utils import relu, sigmoid

SHAPES = {"W1": (5, 4), "b1": (5, 1), "W2": (3, 5), "b2": (3, 1), "W3": (1, 3), "b3": (1, 1)}


def dictionary_to_vector(parameters):
    keys, theta = [], None
    for key in SHAPES:
        column = np.reshape(parameters[key], (-1, 1))
        keys = keys + [key] * column.shape[0]
        theta = column if theta is None else np.concatenate((theta, column), axis=0)
    return theta, keys


def vector_to_dictionary(theta):
    parameters, start = {}, 0
    for key, shape in SHAPES.items():
        parameters[key] = theta[start : start + shape[0] * shape[1]].reshape(shape)
        start += shape[0] * shape[1]
    return parameters


def gradients_to_vector(gradients):
    theta = None
    for key in SHAPES:
        column = np.reshape(gradients["d" + key], (-1, 1))
        theta = column if theta is None else np.concatenate((theta, column), axis=0)
    return theta
