"""Where things lie in a workspace, and how large they are; computed from sizes alone, before anything is compiled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from fastnn.activations import HIDDEN_ACTIVATIONS, Activation
from fastnn.kernels import layout as at

VECTOR_BYTES = 64

# A layer of fewer outputs has its dW summed along the examples: to transpose its input would take longer than the sums.
FEWEST_ROWS = 4


@dataclass(frozen=True)
class Plan:
    """One task on mini-batches of one size: what the kernels are told, and the arrays that they need.

    Parameters
    ----------
    task : int
        What the kernels do, such as `layout.TRAIN`.
    batch : int
        Examples in a mini-batch.
    threads, most_threads : int
        There is room for so many threads, and that many of them find something to do.
    packed_once : bool
        Whether the one mini-batch of all examples may stay where it was packed in the first step.
    settings : mapping of int to int
        What of SETTINGS follows from the sizes, by its place there.
    records : mapping of int to tuple of int
        A number for every layer, by its place in the layer's record.
    numbers, sums : mapping of int to int
        Sizes of the arrays of the network's dtype and of float64, by their place. What is not among them takes no room:
        where a kernel asks for PACKED or DELTAS all the same, they are ACTS.
    """

    task: int
    batch: int
    threads: int
    most_threads: int
    packed_once: bool
    settings: Mapping[int, int]
    records: Mapping[int, Sequence[int]]
    numbers: Mapping[int, int]
    sums: Mapping[int, int]

    @property
    def is_small(self) -> bool:
        """Whether it is for a small network, which goes panel by panel."""
        return self.settings[at.PARTS] > 0


def rounded(count: int, unit: int) -> int:
    """Return the next multiple of `unit`."""
    return -(-count // unit) * unit


def stacked(sizes: Iterable[int], unit: int) -> tuple[list[int], int]:
    """Return where arrays of these sizes begin, one behind the other at multiples of `unit`, and where they end."""
    *begins, end = accumulate((rounded(size, unit) for size in sizes), initial=0)
    return begins, end


def vector_sizes(dtype: np.dtype, batch: int) -> tuple[int, int, int]:
    """Return how many numbers a vector and a packed row have, and how many examples a panel."""
    lanes = VECTOR_BYTES // dtype.itemsize
    return lanes, 2 * lanes, 1 if batch == 1 else 2 * lanes


def parameter_places(sizes: tuple[int, ...]) -> tuple[list[int], list[int], int]:
    """Return where every layer's weights and biases begin, the input having none, and the number of parameters."""
    weights_at, end = stacked([0, *((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))], 1)
    biases_at = [0, *(weights_at[l] + sizes[l - 1] * sizes[l] for l in range(1, len(sizes)))]
    return weights_at, biases_at, end


def is_packed(n_in: int, n_out: int, width: int) -> bool:
    """Whether a layer's input is stored a second time, packed, for lanes of its dW that run over the inputs."""
    return n_in >= width and n_out >= FEWEST_ROWS


def activation_codes(hidden: Sequence[Activation]) -> tuple[int, ...]:
    """Return the kernels' codes of all layers' activations; the input and the last layer have none."""
    codes = (HIDDEN_ACTIVATIONS.index(f) if isinstance(f, str) else at.USERS_OWN for f in hidden)
    return 0, *codes, 0
