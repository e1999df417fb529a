"""The plan that goes panel by panel, for the training of a small network; see `fastnn.kernels.program.small`."""

from itertools import pairwise

from fastnn.engine.plan import Plan, activation_code, is_packed, parameter_places, rounded, stacked, vector_sizes
from fastnn.kernels import layout as at
from fastnn.kernels.matmul.products import COPY_VECTORS, LONG, MANY
from fastnn.losses import HIDDEN_ACTIVATIONS
from fastnn.specs.architecture import Architecture

__all__ = ["is_small", "small_plan"]

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

    records, tile_in = _records(architecture, over_inputs, panel, lanes, weights_at, biases_at)
    copy = COPY_VECTORS * lanes if panel >= MANY * width and max(sizes[1:]) >= LONG else 0
    scratch = tile_in + copy + 4 * wide
    part_size = rounded(n_parameters, wide) + wide

    packed_once = batch * dtype.itemsize * (3 * sizes[0] + sizes[-1]) <= PACKED_ONCE_BYTES
    inputs = max(panel * threads, rounded(batch, wide) if packed_once else 0)
    x_size, packed_size = records[at.A_AT], records[at.T_AT]
    (_, packed_in, targets_in, factors_in), acts_size = stacked(
        (x_size * inputs, packed_size * inputs, sizes[-1] * inputs, inputs), wide
    )
    return Plan(
        at.TRAIN, batch, threads, min(threads, parts), packed_once,
        settings={
            at.TASK: at.TRAIN, at.DEPTH: depth, at.BATCH: batch, at.WIDTH: width, at.LANES: lanes,
            at.N_PARAMETERS: n_parameters, at.N_SLOTS: 1, at.SCRATCH_SIZE: scratch, at.TARGETS_IN: targets_in,
            at.FACTORS_IN: factors_in, at.TILE_IN: tile_in, at.PARTS: parts, at.PART_SIZE: part_size, at.PANEL: panel,
            at.PACKED_IN: packed_in, at.TERMS_KEPT: keep_all,
        },
        layers={
            at.SIZES: sizes, at.WEIGHTS_AT: tuple(weights_at), at.BIASES_AT: tuple(biases_at),
            at.RECORDS: tuple(records),
        },
        numbers={
            # Panels are packed in whole squares, which reach so many rows behind the last one.
            at.ACTS: acts_size + lanes * width + slack,
            at.TERMS: (rounded(batch, width) if keep_all else threads * panel) + slack,
            at.GRADS: n_parameters + slack,
            at.PART_GRADS: (parts - 1) * part_size + slack,
            at.SCRATCH: scratch * threads,
        },
        sums={at.WEIGHT_SUMSQ: 1, at.GRAD_SUMSQ: 1, at.PART_LOSSES: parts},
    )  # fmt: skip


def _records(
    architecture: Architecture, over_inputs: list[bool], panel: int, lanes: int, weights_at: list[int],
    biases_at: list[int],
) -> tuple[list[int], int]:  # fmt: skip
    """Return the layers' records, one behind the other, and the end of what they need of a thread's SCRATCH."""
    sizes, wide = architecture.sizes, 2 * lanes
    records, end = [0] * (len(sizes) * at.RECORD), 0
    for layer, n in enumerate(sizes):
        record = dict.fromkeys(range(at.RECORD), 0)
        record[at.UNITS], record[at.OVER_INPUTS] = n, over_inputs[layer]
        if layer == 0:
            record[at.A_AT] = rounded(n, lanes) if over_inputs[0] else n + 1
            record[at.T_AT] = rounded(n, wide) if over_inputs[0] else 0
        else:
            record[at.W_AT], record[at.B_AT] = weights_at[layer], biases_at[layer]
            is_last = layer == len(sizes) - 1
            record[at.CODE] = at.USERS_OWN if is_last else activation_code(architecture.hidden[layer - 1])
            # Panels are packed in whole squares, which reach beyond the last unit; there also are the ones.
            needed = {at.A_AT: (rounded(n, lanes) + 1) * panel}
            # dZ of a hidden layer takes the place of what it is multiplied by, element by element.
            in_place = at.A_AT if record[at.CODE] == HIDDEN_ACTIVATIONS.index("relu") else at.SLOPES_AT
            if is_last:
                needed[at.D_AT] = n * panel
            elif in_place == at.SLOPES_AT:
                needed[at.SLOPES_AT] = n * panel
            if over_inputs[layer]:
                needed[at.T_AT] = rounded(n, wide) * panel
            for place, size in needed.items():
                record[place] = end
                end += rounded(size, wide)
            if not is_last:
                record[at.D_AT] = record[in_place]
        records[layer * at.RECORD : (layer + 1) * at.RECORD] = record.values()
    return records, end
