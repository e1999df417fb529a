"""Where things lie in the workspace of a small network's training; see `fastnn.kernels.program.small`."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fastnn.kernels import layout as at
from fastnn.kernels.matmul.products import COPY_VECTORS, LONG, MANY
from fastnn.specs.model import Model

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


# A layer of fewer outputs has its dW summed along the examples: packing its input would take longer than the sums.
FEWEST_ROWS = 4


def is_packed(n_in: int, n_out: int, width: int) -> bool:
    """Whether a layer's input is stored a second time, packed, for lanes of its dW that run over the inputs."""
    return n_in >= width and n_out >= FEWEST_ROWS


@dataclass(frozen=True)
class SmallPlan:
    """Sizes and places for mini-batches of one size, as numbers of elements.

    Parameters
    ----------
    model : Model
        Network and its training.
    batch : int
        Examples in a mini-batch.
    """

    model: Model
    batch: int

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return 64 // self.model.dtype.itemsize

    @property
    def width(self) -> int:
        """Examples in a block, of which panels consist."""
        return 1 if self.batch == 1 else 2 * self.lanes

    @property
    def parts(self) -> int:
        """Parts of a mini-batch, each with gradients of its own."""
        blocks = -(-self.batch // self.width)
        work = self.batch * self.model.n_parameters
        return max(1, min(1 << sum(work >= limit for limit in PART_WORK), blocks // 2))

    @property
    def panel(self) -> int:
        """Examples in a panel, at most."""
        sizes = self.model.sizes
        packed = sum(n for n, by in zip(sizes, self.over_inputs, strict=False) if by)
        per_example = 2 * sum(sizes) + packed
        fitting = PANEL_BYTES // (per_example * self.model.dtype.itemsize * self.width)
        blocks = -(-self.batch // (self.width * self.parts))
        return self.width * max(1, min(max(2, fitting), PANEL_BLOCKS, blocks))

    @property
    def over_inputs(self) -> list[bool]:
        """Of each layer but the last: whether its activations are packed, for the dW of the next."""
        wide = 2 * self.lanes
        return [self.batch > 1 and is_packed(n_in, n_out, wide) for n_in, n_out in pairwise(self.model.sizes)]

    @property
    def stays(self) -> bool:
        """Whether a mini-batch of all examples may stay where it was gathered."""
        return (
            self.batch * self.model.dtype.itemsize * (3 * self.model.sizes[0] + self.model.sizes[-1])
            <= PACKED_ONCE_BYTES
        )

    def lay_out(self, records: np.ndarray, settings: np.ndarray, threads: int) -> int:
        """Fill in the settings, and in the records what this plan has elsewhere; return the columns of inputs."""
        sizes, wide, panel = self.model.sizes, 2 * self.lanes, self.panel

        def rounded(n: int, unit: int = wide) -> int:
            return -(-n // unit) * unit

        over_inputs = [*self.over_inputs, False]
        records[:, at.OVER_INPUTS] = over_inputs
        records[0, at.ROWS] = rounded(sizes[0], self.lanes) if over_inputs[0] else sizes[0] + 1
        end = 0
        for layer, n in enumerate(sizes[1:], 1):
            record = records[layer]
            is_last = layer == len(sizes) - 1
            # Panels are packed in whole squares, which reach beyond the last unit; there also are the ones.
            needed = {at.ACTS_AT: (rounded(n, self.lanes) + 1) * panel}
            # dZ of a hidden layer takes the place of what it is multiplied by, element by element.
            is_relu = not is_last and self.model.hidden[layer - 1] == "relu"
            in_place = at.ACTS_AT if is_relu else at.SLOPES_AT
            if is_last:
                needed[at.DELTAS_AT] = n * panel
            elif in_place == at.SLOPES_AT:
                needed[at.SLOPES_AT] = n * panel
            if over_inputs[layer]:
                needed[at.PACKED_AT] = rounded(n) * panel
            for place, size in needed.items():
                record[place] = end
                end += rounded(size)
            if not is_last:
                record[at.DELTAS_AT] = record[in_place]
        settings[at.PARTS], settings[at.PANEL], settings[at.WIDTH] = self.parts, panel, self.width
        settings[at.PARTIAL_SIZE] = rounded(self.model.n_parameters) + wide
        settings[at.TILE_IN] = end
        if panel >= MANY * self.width and max(sizes[1:]) >= LONG:
            end += COPY_VECTORS * self.lanes
        settings[at.SCRATCH_SIZE] = end + 4 * wide
        columns = panel * threads
        return max(columns, rounded(self.batch)) if self.stays else columns
