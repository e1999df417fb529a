"""The plan that goes layer by layer, for networks of any size and for all tasks; see `fastnn.kernels.program.body`."""

from collections.abc import Callable
from itertools import pairwise

from fastnn.engine.plan import Plan, activation_codes, is_packed, parameter_places, rounded, stacked, vector_sizes
from fastnn.kernels import layout as at
from fastnn.kernels.matmul import weight_gradients
from fastnn.kernels.matmul.products import COPY_VECTORS, LONG, MANY
from fastnn.specs import Architecture

# Examples whose activations are kept at a time. Sums over examples begin anew in every chunk, so these three are part
# of what the bits depend on, and nothing else than sizes and dtype may.
CHUNK = 1024
SMALLEST_CHUNK = 128
CHUNK_BYTES = 1 << 26

# Tasks that compute losses.
WITH_TARGETS = at.TRAIN, at.DIFFERENTIATE, at.EVALUATE

# Bytes of activations and deltas that a block of panels may have, at a guess half a L2 cache.
BLOCK_BYTES = 1 << 19

# Weights are read once for so many panels, even if these exceed BLOCK_BYTES: at 4 panels W^T dZ of 512 x 256 in float64
# reaches 82 % of the processor's multiply-adds, at 16 94.
FEWEST_PANELS = 16


def large_plan(
    architecture: Architecture, task: int, batch: int, threads: int, fused: bool = False, keep_all: bool = False
) -> Plan:
    """Plan one task on mini-batches of one size.

    Parameters
    ----------
    architecture : Architecture
        The network.
    task : int
        Such as `layout.TRAIN`.
    batch : int
        Examples in a mini-batch.
    threads : int
        Threads that work on it, at most.
    fused : bool
        Whether a tile of gradients is used for an update as soon as it is complete, and need not be stored.
    keep_all : bool
        Whether the activations of all examples are kept, and not of a chunk at a time.

    Returns
    -------
    Plan
        The same for the same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> architecture = Architecture((100, 50, 3), ("relu",), "softmax", np.dtype("f8"))
    >>> plan = large_plan(architecture, at.PREDICT, batch=5000, threads=2)
    >>> plan.settings[at.CHUNK], plan.settings[at.WIDTH], plan.packed_once
    (1024, 16, False)
    """
    sizes, item = architecture.sizes, architecture.dtype.itemsize
    depth = len(sizes) - 1
    lanes, wide, width = vector_sizes(architecture.dtype, batch)
    slack = 4 * lanes
    chunk = min(CHUNK, max(SMALLEST_CHUNK, 1 << (CHUNK_BYTES // (sum(sizes) * item)).bit_length() - 1))
    chunk = rounded(batch if keep_all else min(batch, chunk), width)
    panels = chunk // width
    learns, trains = task not in (at.PREDICT, at.EVALUATE), task == at.TRAIN

    packed = [width == 1 or is_packed(n_in, n_out, wide) for n_in, n_out in pairwise(sizes)]
    rows = [rounded(n, lanes) if l == 0 and packed[0] and width > 1 else n for l, n in enumerate(sizes)]
    # Panels a multiple of 4096 bytes apart share their cache sets: dW of 512 units (float64) took twice as long.
    rows = [n + 1 if n * width * item % 4096 == 0 and 0 < l < depth else n for l, n in enumerate(rows)]
    acts_at, acts_size = stacked((n * width * panels for n in rows), wide)
    deltas_at, deltas_size = stacked((n * width * panels if l else 0 for l, n in enumerate(rows)), wide)
    stored_twice = [packed[l] and width > 1 and (l == 0 or learns) for l in range(depth)]
    packed_at, packed_size = stacked(
        (rounded(n, wide) * chunk if twice else 0 for n, twice in zip(sizes, stored_twice, strict=False)), wide
    )
    if width == 1:
        # A panel of one example is its own packed panel.
        packed_at = acts_at[:-1]
    weights_at, biases_at, n_parameters = parameter_places(sizes)
    sumsq_at, n_sumsq = stacked([0, *(_pieces(sizes[l], sizes[l + 1], lanes, packed[l]) for l in range(depth))], 1)

    block = max(1, min(max(FEWEST_PANELS, BLOCK_BYTES // (2 * sum(sizes) * width * item)), 64, panels))
    columns = block * width * threads
    tile_in = rounded(block * max(rows) * width, lanes)
    # Products copy weights where later a tile of dW will be.
    copy = COPY_VECTORS * lanes if block >= MANY and max(sizes[1:]) >= LONG else 0
    scratch = tile_in + max(weight_gradients.GROUP_ROWS * weight_gradients.PACKED_GROUP * wide + 64 + 2 * lanes, copy)

    numbers = {
        # Panels are packed in whole squares, which reach so many rows behind the last one.
        at.ACTS: acts_size + lanes * width + slack,
        at.TERMS: chunk + slack,
        at.SCRATCH: scratch * threads,
    }
    if task in WITH_TARGETS:
        numbers[at.TARGETS], numbers[at.FACTORS] = sizes[-1] * columns + slack, columns + slack
    if width > 1:
        numbers[at.PACKED] = packed_size + slack
    if learns:
        numbers[at.DELTAS] = deltas_size + slack
        if not (trains and fused) or batch > chunk:
            numbers[at.GRADS] = n_parameters + slack
    return Plan(
        task, batch, threads, most_threads=threads,
        packed_once=batch <= min(chunk, block * width),
        settings={
            at.TASK: task, at.DEPTH: depth, at.BATCH: batch, at.CHUNK: chunk, at.WIDTH: width, at.BLOCK: block,
            at.LANES: lanes, at.N_PARAMETERS: n_parameters, at.N_SUMSQ: n_sumsq, at.FUSED: trains and fused,
            at.HAS_TARGETS: task in WITH_TARGETS, at.SCRATCH_SIZE: scratch, at.TILE_IN: tile_in, at.PARTS: 0,
        },
        records={
            at.UNITS: sizes, at.WEIGHTS_AT: weights_at, at.BIASES_AT: biases_at, at.ROWS: rows, at.ACTS_AT: acts_at,
            at.DELTAS_AT: deltas_at, at.PACKED_AT: [*packed_at, 0],
            at.OVER_INPUTS: [*packed, 0], at.SUMSQ_AT: sumsq_at, at.ACTIVATION: activation_codes(architecture.hidden),
        },
        numbers=numbers,
        sums={at.WEIGHT_SUMSQ: n_sumsq, at.GRAD_SUMSQ: n_sumsq},
    )  # fmt: skip


def _pieces(n_in: int, n_out: int, lanes: int, over_inputs: bool) -> int:
    """Return how many pieces of a layer's gradients have a sum of squares of their own."""
    tiles = weight_gradients.tiles_over_inputs if over_inputs else weight_gradients.tiles_over_examples
    return _counted(tiles, n_in, n_out, lanes) + _counted(weight_gradients.bias_groups, n_out)


def _counted(function: Callable[..., int], *arguments: int) -> int:
    """Call a kernel's inner function as Python, for nothing is compiled here."""
    return int(getattr(function, "py_func", function)(*arguments))
