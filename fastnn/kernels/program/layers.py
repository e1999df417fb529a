"""What a layer does beside its products, in either plan: activations and their slopes."""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Numbers, inner, op
from fastnn.kernels.compiler.simd import call, get, pointer_at
from fastnn.kernels.formulas.activations import RELU, activate_span, product_pass


@op
def activate(code: int, a: Numbers, n: int, slopes: Numbers, with_slopes: int):
    """Replace n numbers by their activations, not relu's, and write their slopes if wanted."""
    activate_span(code, a, n, slopes, with_slopes != 0)


@op
def slope(da: Numbers, slopes: Numbers, dz: Numbers, n: int):
    """dZ = dA times the slopes that were written down."""
    product_pass(n, 1, slopes, da, dz)


@inner
def activate_layer(table, layer, record, acts, n, slopes, with_slopes):
    """A layer's activations, and their slopes if wanted; relu's were made by the product, and its slopes are not kept.

    table: of the run.
    layer, record: the layer.
    acts, n: its sums, which become its activations; how many numbers.
    slopes, with_slopes: as many; whether they are wanted.
    """
    code = get(record, at.ACTIVATION)
    if code == at.USERS_OWN:
        call(pointer_at(table, at.USER_ACTIVATIONS, np.uintp), layer, acts, n, slopes, with_slopes)
    elif code != RELU:
        call(table, at.ACTIVATE, code, acts, n, slopes, with_slopes)
