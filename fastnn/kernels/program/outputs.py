"""What becomes of the last layer's sums: outputs, losses and dZ; and how results get to the caller."""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import simd
from fastnn.kernels.compiler.policy import Doubles, Numbers, Table, inner, op
from fastnn.kernels.formulas.losses import output_delta_panel, output_loss_panel, output_panel, weigh_panel

# Losses of the user's own that are computed at a time.
USER_LOSSES = 64


@op
def sum_terms(terms: Numbers, size: int, result: Doubles):
    """result += the sum of `size` losses: a sum in every lane of a vector, added as a tree."""
    lanes = simd.lanes_of(terms)
    sums = simd.splat(terms, 0)
    for j in range(0, size, lanes):
        sums = sums + simd.load_part(terms, j, size - j)
    simd.put(result, 0, simd.get(result, 0) + np.float64(simd.total(sums)))


@op
def deliver(
    panels: Numbers, stride: int, units: int, width: int, count: int, out: Numbers, out_unit: int, out_example: int
):
    """out[i * out_unit + t * out_example] = unit i of example t.

    panels, stride, units, width: consecutive panels [units][width]; numbers from a panel to the next.
    count: how many examples they hold.
    out, out_unit, out_example: results; numbers from a unit, from an example to the next.
    """
    lanes = simd.lanes_of(out)
    for begin in range(0, count, width):
        here = simd.advance(panels, begin // width * stride)
        examples = min(width, count - begin)
        for i in range(units):
            if width == 1 or out_example != 1:
                for t in range(examples):
                    simd.put(out, i * out_unit + (begin + t) * out_example, simd.get(here, i * width + t))
            else:
                for t in range(0, examples, lanes):
                    simd.store_part(out, i * out_unit + begin + t, simd.load(here, i * width + t), examples - t)


@op
def output_only(code: int, a: Numbers, n_y: int, width: int, panels: int):
    """A = output(Z), in place."""
    for panel in range(panels):
        output_panel(code, simd.advance(a, panel * n_y * width), n_y, width)


@inner
def _user_loss_panel(table, output, a, n_y, width, count, y, weights, weighted, scale, dz, terms):
    """As `output_loss_panel`, by the user's own loss in `table`; `a` are the sums, then outputs, and `y` targets."""
    output_panel(output, a, n_y, width)
    losses = simd.stack_buffer(a, USER_LOSSES)
    for t in range(count):
        simd.put(terms, t, 0)
    for i in range(n_y):
        row = i * width
        for begin in range(0, count, USER_LOSSES):
            end, at_begin = min(begin + USER_LOSSES, count), row + begin
            simd.call(
                simd.pointer_at(table, at.USER_LOSS, np.uintp), 0, simd.advance(a, at_begin), simd.advance(y, at_begin),
                end - begin, losses, simd.advance(dz, at_begin),
            )  # fmt: skip
            for t in range(begin, end):
                simd.put(terms, t, simd.get(terms, t) + simd.get(losses, t - begin))
                simd.put(dz, row + t, simd.get(dz, row + t) * scale)
    output_delta_panel(output, a, dz, n_y, width)
    weigh_panel(n_y, width, count, weights, weighted, dz, terms, True)


@op
def output_loss(
    table: Table, a: Numbers, dz: Numbers, y: Numbers, weights: Numbers, terms: Numbers, n_y: int, width: int,
    panels: int, count: int, scale: float,
):  # fmt: skip
    """Losses of all examples and, unless only they are wanted, dZ.

    table: of the run.
    a, dz, y: consecutive panels [n_y][width] of sums (which may become outputs), dZ and targets.
    weights, terms: for each example its sample weight, if the run has any, and its loss.
    n_y, width, panels, count: size and number of the panels; how many of their columns are examples.
    scale: 1 / the mini-batch's sum of weights, which makes dZ that of a mean.
    """
    settings = simd.pointer_at(table, at.SETTINGS, np.int64)
    output, loss = simd.get(settings, at.OUTPUT), simd.get(settings, at.LOSS)
    weighted, with_delta = simd.get(settings, at.WEIGHTED) != 0, simd.get(settings, at.TASK) != at.EVALUATE
    smoothing = simd.number_like(a, simd.get(simd.pointer_at(table, at.REALS, np.float64), at.SMOOTHING))
    scale_ = simd.number_like(a, scale)
    if n_y == 1 and loss != at.USERS_OWN:
        # Panels of one row lie one behind the other: a row as long as all of them.
        width, panels = width * panels, 1
    for panel in range(panels):
        start = panel * n_y * width
        examples = min(width, count - panel * width)
        z, targets, deltas = simd.advance(a, start), simd.advance(y, start), simd.advance(dz, start)
        weights_, losses = simd.advance(weights, panel * width), simd.advance(terms, panel * width)
        if loss == at.USERS_OWN:
            _user_loss_panel(
                table, output, z, n_y, width, examples, targets, weights_, weighted, scale_, deltas, losses
            )
        else:
            output_loss_panel(
                output, loss, z, n_y, width, examples, targets, weights_, weighted, scale_, smoothing, deltas, losses,
                with_delta,
            )  # fmt: skip


@op
def output_delta(table: Table, a: Numbers, dz: Numbers, n_y: int, width: int, panels: int, first: int, count: int):
    """dZ from the caller's dA.

    table: of the run, with dA.
    a, dz, n_y, width, panels: consecutive panels [n_y][width] of outputs and of dZ; how many there are.
    first, count: the first example, counted in dA; how many examples there are.
    """
    settings = simd.pointer_at(table, at.SETTINGS, np.int64)
    da, m = simd.numbers_at(table, at.DA, a), simd.get(settings, at.M)
    for panel in range(panels):
        z, deltas = simd.advance(a, panel * n_y * width), simd.advance(dz, panel * n_y * width)
        examples = min(width, count - panel * width)
        for i in range(n_y):
            for t in range(width):
                if t < examples:
                    simd.put(deltas, i * width + t, simd.get(da, i * m + first + panel * width + t))
                else:
                    simd.put(deltas, i * width + t, 0)
        output_delta_panel(simd.get(settings, at.OUTPUT), z, deltas, n_y, width)
        for i in range(n_y):
            for t in range(examples, width):
                simd.put(deltas, i * width + t, 0)
