"""Everything that there is to compile: all ops, and the kernels that Python calls with their arguments' types."""

import numba
import numpy as np
from numba.core import types

from fastnn.kernels.compiler.together import Job, op_jobs
from fastnn.kernels.course import activations, backward, dropout, forward, functions, gradient_check, losses, optimizers
from fastnn.kernels.course.ops import COURSE_OPS
from fastnn.kernels.estimators.ops import ESTIMATOR_OPS
from fastnn.kernels.matmul.gather import gather_sparse
from fastnn.kernels.program import entries
from fastnn.kernels.program.ops import OPS, body


def _course_kernels(dtype):
    """The course's kernels and the types of their arguments, for matrices of that type of numbers."""
    number, integer, boolean = types.float64, types.int64, types.boolean
    vector, matrix = (types.Array(numba.from_dtype(dtype), ndim, "C") for ndim in (1, 2))
    numbers, masks, flat_masks = types.Array(number, 1, "C"), types.Array(boolean, 2, "C"), types.Array(boolean, 1, "C")
    indices = types.Array(integer, 1, "C")
    updates = (
        (optimizers.gd_update, lambda a: (a, a, a, a, number, a, a)),
        (optimizers.momentum_update, lambda a: (a,) * 6 + (number,) * 3 + (a,) * 4),
        (optimizers.adam_update, lambda a: (a,) * 8 + (numbers,) + (a,) * 6),
    )
    kernels = [
        (activations.activation_forward, (matrix, matrix, integer)),
        (forward.layer_forward, (entries.TABLE, *(matrix,) * 5, integer)),
        (backward.output_delta, (matrix, matrix, number, matrix)),
        (backward.hidden_backward, (entries.TABLE, matrix, matrix, matrix, masks, number, matrix, matrix)),
        (backward.weight_gradient, (entries.TABLE, matrix, matrix, matrix, number, boolean, number, matrix, matrix)),
        (dropout.dropout_forward, (numbers, number, vector, flat_masks, vector)),
        (losses.cross_entropy, (matrix, matrix, vector, boolean)),
        (losses.square_sum, (matrix, vector)),
        *((update, arguments(array)) for update, arguments in updates for array in (matrix, vector)),
    ]
    if dtype == np.float64:
        kernels.append(
            (
                gradient_check.cost_differences,
                (entries.TABLE, *(indices,) * 4, matrix, matrix, number, integer, *(matrix,) * 4),
            )
        )
    return [Job(kernel, (*arguments, integer)) for kernel, arguments in kernels]


def jobs(dtype, teams=True):
    """Return what there is to compile for nets of that type of numbers, with the code for teams of threads or without.

    The course's models compute in float64.
    """
    dtype = np.dtype(dtype)
    array = types.Array(numba.from_dtype(dtype), 1, "C")
    found = op_jobs([*OPS.values(), *ESTIMATOR_OPS.values(), gather_sparse, body], dtype)
    if dtype == np.float64:
        found += op_jobs(COURSE_OPS.values(), dtype) + functions.jobs()
    found += entries.jobs(teams)
    found.append(Job(entries.one, (entries.TABLE, entries.TABLE, array, array)))
    return list(dict.fromkeys(found + _course_kernels(dtype)))
