"""The mini-batch: from the caller's arrays, of any order, strides and number type, to panels, packed or not."""

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.compiler import simd
from fastnn.kernels.compiler.policy import Bytes, Integers, Numbers, Table, inner, op
from fastnn.kernels.compiler.simd import advance, call, get, lanes_of, pointer_at, put, store


@op
def read(
    code: int, plain: int, x: Bytes, start: int, unit: int, units: int, offsets: Integers, examples: int,
    out: Numbers, out_unit: int, out_example: int,
):  # fmt: skip
    """out[i * out_unit + t * out_example] = the number at byte start + i * unit + offsets[t].

    code, plain: type of the numbers, a place in `simd.NUMBER_TYPES`; whether it is that of `out`.
    x, start, unit, offsets: the caller's array; where to begin, from a unit to the next, and for each example: bytes.
    units, examples: how many of each.
    out, out_unit, out_example: results; numbers from a unit, from an example to the next.
    """
    if plain != 0:
        for i in range(units):
            here, to = advance(x, start + i * unit), advance(out, i * out_unit)
            for t in range(examples):
                put(to, t * out_example, get(simd.as_numbers(advance(here, get(offsets, t)), out), 0))
    else:
        for t in range(examples):
            first = start + get(offsets, t)
            for i in range(units):
                put(out, i * out_unit + t * out_example, simd.element_at(x, first + i * unit, code, out))


# Bytes of an example that are prefetched: examples come from memory, in pieces of 128 bytes of each.
AHEAD = 512


@inner
def _copy_rows(x, start, units, offsets, examples, out, out_example):
    """As `read`, where an example's numbers are contiguous and of the net's own type."""
    lanes = lanes_of(out)
    whole = units // lanes * lanes
    for t in range(examples):
        row = advance(x, start + get(offsets, t))
        simd.prefetch(row, AHEAD)
        simd.prefetch(row, AHEAD + 64)
        for i in range(0, whole, lanes):
            store(out, t * out_example + i, simd.load(simd.as_numbers(row, out), i))
        for i in range(whole, units):
            put(out, t * out_example + i, get(simd.as_numbers(row, out), i))


@op
def transpose(source: Numbers, source_row: int, rows: int, columns: int, target: Numbers, target_row: int):
    """target[j, i] = source[i, j], in whole squares of a vector's lanes: up to that many rows and columns too many."""
    lanes = lanes_of(source)
    for i in range(0, rows, lanes):
        for j in range(0, columns, lanes):
            simd.transpose_tile(
                advance(source, i * source_row + j), source_row, advance(target, j * target_row + i), target_row
            )


@inner
def packed_width(like):
    """Units in a panel of packed activations."""
    return 2 * lanes_of(like)


@inner
def pack(table, acts, units, width, packed, chunk, wide, item):
    """Store a panel a second time, packed: [panel of units][example][unit].

    table: whose op transposes.
    acts, units, width: panel [units][width].
    packed, chunk, wide: where the first example's first units go; examples and units in a panel of packed ones.
    item: numbers (or bytes, if that is what the pointers are to) in a number.
    """
    for i in range(0, units, wide):
        call(
            table, at.TRANSPOSE, advance(acts, i * width * item), width, min(wide, units - i), width,
            advance(packed, i * chunk * item), wide,
        )  # fmt: skip


@inner
def _offsets(table, shuffled, offsets, first, examples, stride):
    """offsets[t] = stride times the example that comes `first` + t in the order."""
    if shuffled:
        order = advance(pointer_at(table, at.ORDER, np.uint32), first)
        for t in range(examples):
            put(offsets, t, np.int64(get(order, t)) * stride)
    else:
        for t in range(examples):
            put(offsets, t, (first + t) * stride)


@inner
def _gather_examples(table, settings, offsets, examples, width, acts, packed, chunk, first):
    """One panel of X, packed too unless `chunk` is 0.

    table, settings: of the run.
    offsets, examples: for each example of the panel, its bytes from the beginning of X; how many there are.
    width, acts: panel [n_x][width].
    packed, chunk, first: packed examples of a chunk; how many examples it has; which of them is the panel's first.
    """
    x = pointer_at(table, at.X, np.uint8)
    code, unit, stride = get(settings, at.X_TYPE), get(settings, at.X_UNIT), get(settings, at.X_EXAMPLE)
    units = get(at.record_of(table, 0), at.UNITS)
    wide = packed_width(acts)
    plain = get(settings, at.X_PLAIN)
    if width == 1:
        call(table, at.READ, code, plain, x, 0, unit, units, offsets, 1, acts, 1, 0)
    elif chunk == 0 or abs(unit) > abs(stride):
        if chunk == 0:
            call(table, at.READ, code, plain, x, 0, unit, units, offsets, examples, acts, width, 1)
        else:
            # Unit by unit, which is how the caller's numbers lie.
            for i in range(units):
                call(table, at.READ, code, plain, x, i * unit, 0, 1, offsets, examples, advance(acts, i * width), 0, 1)
        for i in range(units):
            for t in range(examples, width):
                put(acts, i * width + t, 0)
        if chunk != 0:
            pack(table, acts, units, width, advance(packed, first * wide), chunk, wide, 1)
    else:
        for i in range(0, units, wide):
            here = advance(packed, i * chunk + first * wide)
            present = min(wide, units - i)
            if plain != 0 and unit == 64 // lanes_of(acts):
                _copy_rows(x, i * unit, present, offsets, examples, here, wide)
            else:
                call(table, at.READ, code, plain, x, i * unit, unit, present, offsets, examples, here, 1, wide)
            for t in range(examples, width):
                for lane in range(0, wide, lanes_of(acts)):
                    store(here, t * wide + lane, simd.splat(acts, 0))
            call(table, at.TRANSPOSE, here, wide, width, present, advance(acts, i * width), width)


@inner
def _gather_targets(table, offsets, targets, factors, first, p, begin, examples, width):
    """Targets and sample weights of one panel, where the task needs any.

    table: of the run.
    offsets: those of X, if X is dense; written over.
    targets, factors, p: results, in panels [n_y][width] and [width]; which of them is to be filled.
    first, begin, examples, width: as in `gather`, with `begin` the panel's first example, counted in the chunk.
    """
    settings = pointer_at(table, at.SETTINGS, np.int64)
    if get(settings, at.HAS_TARGETS) == 0:
        return
    n_y = get(at.record_of(table, get(settings, at.DEPTH)), at.UNITS)
    y = pointer_at(table, at.Y, np.uint8)
    code, unit, plain = get(settings, at.Y_TYPE), get(settings, at.Y_UNIT), get(settings, at.Y_PLAIN)
    shuffled = get(settings, at.SHUFFLE) != 0
    if get(settings, at.X_EXAMPLE) != get(settings, at.Y_EXAMPLE):
        _offsets(table, shuffled, offsets, first + begin, examples, get(settings, at.Y_EXAMPLE))
    here = advance(targets, p * n_y * width)
    if get(settings, at.LABELS) != 0:
        for i in range(n_y * width):
            put(here, i, 0)
        label = advance(factors, p * width)
        call(table, at.READ, code, plain, y, 0, 0, 1, offsets, examples, label, 0, 1)
        for t in range(examples):
            # Labels were checked, but the array is the caller's and may have changed since.
            row = np.int64(get(label, t))
            if 0 <= row < n_y:
                put(here, row * width + t, 1)
    else:
        call(table, at.READ, code, plain, y, 0, unit, n_y, offsets, examples, here, width, 1)
    if get(settings, at.WEIGHTED) != 0:
        _offsets(table, shuffled, offsets, first + begin, examples, 1)
        weights = pointer_at(table, at.SAMPLE_WEIGHTS, np.float64)
        for t in range(examples):
            put(factors, p * width + t, get(weights, get(offsets, t)))


@op
def gather(
    table: Table, acts: Numbers, stride: int, packed: Numbers, chunk: int, targets: Numbers, factors: Numbers,
    thread: int, first: int, panel: int, panels: int, count: int, width: int,
):  # fmt: skip
    """Some consecutive panels of a chunk of examples; labels become one-hot, examples that a panel lacks are zero.

    table, thread: of the run; whose OFFSETS are used.
    acts, stride: panels [n_x][width]; numbers from a panel to the next.
    packed, chunk: the chunk's packed examples; how many a panel of units has of them, or 0 for none.
    targets, factors: panels [n_y][width] and [width] of targets and sample weights.
    first, count: the chunk's first example, counted in the order; how many examples the chunk has.
    panel, panels, width: the first panel, counted in the chunk; how many panels; examples in a panel.
    """
    settings = pointer_at(table, at.SETTINGS, np.int64)
    offsets = advance(pointer_at(table, at.OFFSETS, np.int64), thread * at.OFFSETS_STRIDE)
    shuffled = get(settings, at.SHUFFLE) != 0
    for p in range(panels):
        begin = (panel + p) * width
        examples = min(width, count - begin)
        _offsets(table, shuffled, offsets, first + begin, examples, get(settings, at.X_EXAMPLE))
        _gather_examples(table, settings, offsets, examples, width, advance(acts, p * stride), packed, chunk, begin)
        _gather_targets(table, offsets, targets, factors, first, p, begin, examples, width)


@inner
def _scatter_rows(table, offsets, examples, width, acts, columns):
    """acts = `examples` rows of a sparse table, in a panel [unit][width]; numbers of the same place are added up."""
    x, starts = simd.numbers_at(table, at.X, acts), pointer_at(table, at.ROW_STARTS, np.int64)
    units = get(at.record_of(table, 0), at.UNITS)
    for i in range(units * width):
        put(acts, i, 0)
    for t in range(examples):
        row = get(offsets, t)
        for k in range(get(starts, row), get(starts, row + 1)):
            column = np.int64(get(columns, k))
            # Columns were checked, but the arrays are the caller's and may have changed since.
            if 0 <= column < units:
                put(acts, column * width + t, get(acts, column * width + t) + get(x, k))


@op
def gather_sparse(
    table: Table, acts: Numbers, stride: int, packed: Numbers, chunk: int, targets: Numbers, factors: Numbers,
    thread: int, first: int, panel: int, panels: int, count: int, width: int,
):  # fmt: skip
    """As `gather`, where X is a sparse table in rows (CSR), whose numbers are of the net's own type."""
    settings = pointer_at(table, at.SETTINGS, np.int64)
    offsets = advance(pointer_at(table, at.OFFSETS, np.int64), thread * at.OFFSETS_STRIDE)
    units, wide = get(at.record_of(table, 0), at.UNITS), packed_width(acts)
    for p in range(panels):
        begin = (panel + p) * width
        examples, here = min(width, count - begin), advance(acts, p * stride)
        _offsets(table, get(settings, at.SHUFFLE) != 0, offsets, first + begin, examples, 1)
        if get(settings, at.INDEX_BYTES) == 4:
            _scatter_rows(table, offsets, examples, width, here, pointer_at(table, at.COLUMNS, np.int32))
        else:
            _scatter_rows(table, offsets, examples, width, here, pointer_at(table, at.COLUMNS, np.int64))
        if chunk != 0:
            pack(table, here, units, width, advance(packed, begin * wide), chunk, wide, 1)
        _gather_targets(table, offsets, targets, factors, first, p, begin, examples, width)
