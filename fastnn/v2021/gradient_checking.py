"""The gradient checking notebook of 2021, compiled; results are those of `fastnn.reference.v2021.gradient_checking`."""

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.course.propagation import documented_as
from fastnn.gradient_checking import __all__ as __all__
from fastnn.gradient_checking import _costs_around
from fastnn.gradient_checking import backward_propagation as backward_propagation
from fastnn.gradient_checking import backward_propagation_n as backward_propagation_n
from fastnn.gradient_checking import dictionary_to_vector as dictionary_to_vector
from fastnn.gradient_checking import forward_propagation as forward_propagation
from fastnn.gradient_checking import forward_propagation_n as forward_propagation_n
from fastnn.gradient_checking import gradients_to_vector as gradients_to_vector
from fastnn.gradient_checking import relu as relu
from fastnn.gradient_checking import sigmoid as sigmoid
from fastnn.gradient_checking import vector_to_dictionary as vector_to_dictionary
from fastnn.reference.course.layers import Arrays
from fastnn.reference.gradient_checking import compare_gradients, verdict
from fastnn.reference.v2021 import gradient_checking as reference
from fastnn.reference.v2021.gradient_checking import gradient_check as gradient_check


@documented_as(reference.gradient_check_n)
def gradient_check_n(  # noqa: D103
    parameters: Arrays, gradients: Arrays, X: ArrayLike, Y: ArrayLike, epsilon: float = 1e-7, print_msg: bool = False
) -> np.floating:
    print_msg = checks.flag("print_msg", print_msg)
    difference = compare_gradients(_costs_around, parameters, gradients, X, Y, epsilon)
    return verdict(difference) if print_msg else difference
