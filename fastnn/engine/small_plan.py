"""The plan that goes panel by panel, for the training of a small network; see `fastnn.kernels.program.small`."""

from itertools import pairwise

from fastnn.engine.plan import Plan, activation_codes, is_packed, parameter_places, rounded, vector_sizes
from fastnn.kernels import layout as at
from fastnn.kernels.matmul.products import COPY_VECTORS, LONG, MANY
from fastnn.specs import Architecture

# A network of up to so many parameters: its gradients, several times over, stay in the L2 cache.
SMALL_NET = 8192

# Examples times parameters from which a mini-batch has 2, 4, 8, 16 parts. A part is one thread's, and parts cost an
# addition of all gradients each. All these constants decide about bits: nothing else than sizes, batch and dtype may.
PART_WORK = (1 << 14, 1 << 18, 1 << 20, 1 << 22)

# Bytes of a panel's activations and what belongs to them, and blocks in the widest panel. Wide panels share what a
# layer costs beside its arithmetic: [2, 20, 3, 1] with 300 examples takes 3.6 us a step, with at most 4 blocks of 32 KB
# in all, which would stay in the L1 cache, 4.9; and no less than 3.6 with larger ones.
PANEL_BYTES = 1 << 18
PANEL_BLOCKS = at.OFFSETS_STRIDE // 32  # a block has 32 examples at most

# A mini-batch of all examples is gathered once if it has no more bytes than about this.
PACKED_ONCE_BYTES = 1 << 20


def is_small(architecture: Architecture, task: int) -> bool:
    """Whether a task goes by this plan."""
    return task == at.TRAIN and architecture.n_parameters <= SMALL_NET


def small_plan(architecture: Architecture, batch: int, threads: int, keep_all: bool = False) -> Plan:
    """Plan the training of a small network on mini-batches of one size.

    Parameters
    ----------
    architecture : Architecture
        The network.
    batch : int
        Examples in a mini-batch.
    threads : int
        Threads that work on it, at most.
    keep_all : bool
        Whether the losses of all examples are kept, and not only their sums.

    Returns
    -------
    Plan
        The same for the same arguments.

    Examples
    --------
    >>> import numpy as np
    >>> plan = small_plan(Architecture((2, 5, 1), ("relu",), "sigmoid", np.dtype("f8")), batch=1000, threads=2)
    >>> plan.most_threads, plan.settings[at.PARTS], plan.settings[at.PANEL]
    (2, 2, 512)
    """
    sizes, dtype = architecture.sizes, architecture.dtype
    depth = len(sizes) - 1
    lanes, wide, width = vector_sizes(dtype, batch)
    slack = 4 * lanes
    weights_at, biases_at, n_parameters = parameter_places(sizes)
    over_inputs = [*(batch > 1 and is_packed(n_in, n_out, wide) for n_in, n_out in pairwise(sizes)), False]

    blocks = -(-batch // width)
    parts = max(1, min(1 << sum(batch * n_parameters >= limit for limit in PART_WORK), blocks // 2))
    per_example = 2 * sum(sizes) + sum(n for n, by in zip(sizes, over_inputs, strict=True) if by)
    fitting = PANEL_BYTES // (per_example * dtype.itemsize * width)
    panel = width * max(1, min(max(2, fitting), PANEL_BLOCKS, -(-batch // (width * parts))))

    places, tile_in = _places(architecture, over_inputs, panel, lanes)
    x_rows = rounded(sizes[0], lanes) if over_inputs[0] else sizes[0] + 1
    copy = COPY_VECTORS * lanes if panel >= MANY * width and max(sizes[1:]) >= LONG else 0
    scratch = tile_in + copy + 4 * wide
    partial_size = rounded(n_parameters, wide) + wide

    packed_once = batch * dtype.itemsize * (3 * sizes[0] + sizes[-1]) <= PACKED_ONCE_BYTES
    columns = max(panel * threads, rounded(batch, wide) if packed_once else 0)
    return Plan(
        at.TRAIN, batch, threads, min(threads, parts), packed_once,
        settings={
            at.TASK: at.TRAIN, at.HAS_TARGETS: 1, at.DEPTH: depth, at.BATCH: batch, at.WIDTH: width, at.LANES: lanes,
            at.N_PARAMETERS: n_parameters, at.N_SUMSQ: 1, at.SCRATCH_SIZE: scratch, at.TILE_IN: tile_in,
            at.PARTS: parts, at.PARTIAL_SIZE: partial_size, at.PANEL: panel, at.TERMS_KEPT: keep_all,
        },
        records={
            at.UNITS: sizes, at.WEIGHTS_AT: weights_at, at.BIASES_AT: biases_at, at.ROWS: [x_rows, *sizes[1:]],
            at.OVER_INPUTS: over_inputs, at.ACTIVATION: activation_codes(architecture.hidden), **places,
        },
        numbers={
            # Panels are packed in whole squares, which reach so many rows behind the last one.
            at.ACTS: x_rows * columns + lanes * width + slack,
            at.PACKED: (rounded(sizes[0], wide) * columns if over_inputs[0] else 0) + slack,
            at.TARGETS: sizes[-1] * columns + slack,
            at.FACTORS: columns + slack,
            at.TERMS: (rounded(batch, width) if keep_all else threads * panel) + slack,
            at.GRADS: n_parameters + slack,
            at.PARTIAL_GRADS: (parts - 1) * partial_size + slack,
            at.SCRATCH: scratch * threads,
        },
        sums={at.WEIGHT_SUMSQ: 1, at.GRAD_SUMSQ: 1, at.PARTIAL_LOSSES: parts},
    )  # fmt: skip


def _places(
    architecture: Architecture, over_inputs: list[bool], panel: int, lanes: int
) -> tuple[dict[int, list[int]], int]:
    """Return where in a thread's SCRATCH layers have what, by the place in their records, and where it all ends."""
    sizes, wide, end = architecture.sizes, 2 * lanes, 0
    places = {field: [0] * len(sizes) for field in (at.ACTS_AT, at.SLOPES_AT, at.DELTAS_AT, at.PACKED_AT)}
    for layer, n in enumerate(sizes[1:], 1):
        is_last = layer == len(sizes) - 1
        # Panels are packed in whole squares, which reach beyond the last unit; there also are the ones.
        needed = {at.ACTS_AT: (rounded(n, lanes) + 1) * panel}
        # dZ of a hidden layer takes the place of what it is multiplied by, element by element.
        is_relu = not is_last and architecture.hidden[layer - 1] == "relu"
        if is_last:
            needed[at.DELTAS_AT] = n * panel
        elif not is_relu:
            needed[at.SLOPES_AT] = n * panel
        if over_inputs[layer]:
            needed[at.PACKED_AT] = rounded(n, wide) * panel
        for field, size in needed.items():
            places[field][layer] = end
            end += rounded(size, wide)
        if not is_last:
            places[at.DELTAS_AT][layer] = places[at.ACTS_AT if is_relu else at.SLOPES_AT][layer]
    return places, end
