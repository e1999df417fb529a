"""The workspace of a run: the tables and arrays that the body of `fastnn.kernels` works on."""

import math
from ctypes import addressof, c_char
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.engine.autotuner import Autotuner, guessed_step_ns
from fastnn.engine.runtime import ABORTED, run_team
from fastnn.engine.small_plan import SMALL_NET, SmallPlan, is_packed
from fastnn.kernels import layout as at
from fastnn.kernels.compiler.simd import NUMBER_TYPES
from fastnn.kernels.formulas import optimizers
from fastnn.kernels.matmul import gather
from fastnn.kernels.matmul.products import COPY_VECTORS, LONG, MANY
from fastnn.kernels.matmul.weight_gradients import (
    GROUP_ROWS,
    PACKED_GROUP,
    bias_groups,
    tiles_over_examples,
    tiles_over_inputs,
)
from fastnn.kernels.program.teamwork import new_team
from fastnn.losses import LOSS_NAMES, OUTPUTS
from fastnn.specs.model import State, aligned_zeros

if TYPE_CHECKING:
    from fastnn.engine.engine import Engine

# Examples whose activations are kept at a time. Sums over examples begin anew in every chunk, so these three are part
# of what the bits depend on, and nothing else than sizes and dtype may.
CHUNK = 1024
SMALLEST_CHUNK = 128
CHUNK_BYTES = 1 << 26

# Bytes of activations and deltas that a block of panels may have, at a guess half a L2 cache.
BLOCK_BYTES = 1 << 19

# Weights are read once for so many panels, even if these exceed BLOCK_BYTES: at 4 panels W^T dZ of 512 x 256 in float64
# reaches 82 % of the processor's multiply-adds, at 16 94.
FEWEST_PANELS = 16


# Takes contiguous arrays that may be written, as most are.
_first_byte = c_char.from_buffer
# Of NumPy's C interface; the last is of arrays from `np.broadcast_arrays`, which warn who asks whether to write.
_C_ORDER, _F_ORDER, _WRITEABLE, _WARNS = 1, 2, 0x400, 1 << 31

# Leaves that only these tasks call: a first training does not wait 1 s for their compilation.
TASKS_OF = {
    at.OUTPUT_ONLY: (at.PREDICT, at.REMEMBER),
    at.DELIVER: (at.PREDICT, at.REMEMBER),
    at.OUTPUT_DELTA: (at.REMEMBER,),
    at.CLIP_WIDELY: (),  # only where gradients are clipped
}


# And those that only one of the two plans calls.
OF_SMALL = {at.SMALL_EXAMPLES, at.BROAD_PRODUCT, at.REDUCE_GRADIENTS, at.SUM_SQUARES}
OF_LARGE = {
    at.EXAMPLES, at.WEIGHTS_PHASE, at.SLOPE, at.GRADIENT_OVER_INPUTS, at.GRADIENT_OVER_EXAMPLES, at.BIAS_GRADIENT,
}  # fmt: skip


def addresses(entries: list[Any]) -> Any:
    """Return a table for the kernels: addresses of arrays and leaves, or without JIT the things themselves."""
    if numba.config.DISABLE_JIT:
        return tuple(entry.reshape(-1) if isinstance(entry, np.ndarray) else entry for entry in entries)
    return np.array([_address(e) if isinstance(e, np.ndarray) else e for e in entries], np.uintp)


def _address(array: np.ndarray) -> int:
    flags = array.flags.num
    if flags & (_C_ORDER | _F_ORDER) and flags & (_WRITEABLE | _WARNS) == _WRITEABLE and array.size:
        # 0.2 us instead of 0.8 for the dict that NumPy makes; a step of a small net has two fresh arrays.
        return addressof(_first_byte(array if flags & _C_ORDER else array.T))
    return array.__array_interface__["data"][0]


def _rounded(count: int, unit: int) -> int:
    return -(-count // unit) * unit


class SparseColumns:
    """A sparse table with an example in each row, seen as columns: `shape` is (n_x, m).

    Parameters
    ----------
    numbers : numpy.ndarray
        What is stored, of the net's dtype.
    columns : numpy.ndarray, int32 or int64
        The feature of each, below n_x.
    starts : numpy.ndarray, int64, shape (m + 1,)
        Where each row begins.
    n_x : int
        Number of features.
    """

    def __init__(self, numbers: np.ndarray, columns: np.ndarray, starts: np.ndarray, n_x: int) -> None:
        self.numbers, self.columns, self.starts = numbers, columns, starts
        self.shape = (n_x, starts.size - 1)


class Run:
    """Tables and workspace for one task on mini-batches of one size."""

    def __init__(self, engine: "Engine", task: int, batch: int, keep_all: bool = False) -> None:
        model = engine.model
        sizes, depth = model.sizes, len(model.sizes) - 1
        item = model.dtype.itemsize
        lanes = 64 // item
        self.model, self.dtype = model, model.dtype
        width = 1 if batch == 1 else 2 * lanes
        packed_width = 2 * lanes
        chunk = min(CHUNK, max(SMALLEST_CHUNK, 1 << (CHUNK_BYTES // (sum(sizes) * item)).bit_length() - 1))
        chunk = _rounded(batch if keep_all else min(batch, chunk), width)
        panels = chunk // width
        packed = [width == 1 or is_packed(n_in, n_out, packed_width) for n_in, n_out in pairwise(sizes)]
        rows = [_rounded(n, lanes) if l == 0 and packed[0] and width > 1 else n for l, n in enumerate(sizes)]
        # Panels a multiple of 4096 bytes apart share their cache sets: dW of 512 units (float64) took twice as long.
        rows = [n + 1 if n * width * item % 4096 == 0 and 0 < l < depth else n for l, n in enumerate(rows)]

        acts_at, deltas_at, packed_at = [], [0], []
        end = 0
        for n in rows:
            acts_at.append(end)
            end += _rounded(n * width * panels, packed_width)
        acts_size, end = end, 0
        for n in rows[1:]:
            deltas_at.append(end)
            end += _rounded(n * width * panels, packed_width)
        deltas_size, end = end, 0
        for l, packed_here in enumerate(packed):
            packed_at.append((acts_at[l] if width == 1 else end) if packed_here else 0)
            if packed_here and width > 1 and (l == 0 or task not in (at.PREDICT, at.EVALUATE)):
                end += _rounded(sizes[l], packed_width) * chunk
        weights_at, biases_at, sumsq_at = [0], [0], [0]
        start = n_sumsq = 0
        for l in range(1, depth + 1):
            weights_at.append(start)
            biases_at.append(start + sizes[l] * sizes[l - 1])
            start = biases_at[-1] + sizes[l]
            sumsq_at.append(n_sumsq)
            tiles = tiles_over_inputs if packed[l - 1] else tiles_over_examples
            n_sumsq += engine.count(tiles, sizes[l - 1], sizes[l], lanes) + engine.count(bias_groups, sizes[l])

        trains = task == at.TRAIN
        small = SmallPlan(model, batch) if trains and start <= SMALL_NET else None
        n_bytes = 2 * sum(sizes) * width * item
        block = max(1, min(max(FEWEST_PANELS, BLOCK_BYTES // n_bytes), 64, panels))
        columns = block * width * engine.threads
        da = _rounded(block * max(rows) * width, lanes)
        # Products copy weights where later a tile of dW will be.
        copy = COPY_VECTORS * lanes if block >= MANY and max(sizes[1:]) >= LONG else 0
        scratch = da + max(GROUP_ROWS * PACKED_GROUP * packed_width + 64 + 2 * lanes, copy)

        empty = np.zeros(1)
        threads = engine.threads
        slack = 4 * lanes
        with_gradient = task not in (at.PREDICT, at.EVALUATE)
        code, beta1, beta2, epsilon = engine.rule
        self.settings = np.zeros(at.N_SETTINGS, np.int64)
        s = self.settings
        s[at.TASK], s[at.DEPTH], s[at.BATCH], s[at.CHUNK], s[at.WIDTH], s[at.BLOCK] = (
            task, depth, batch, chunk, width, block,
        )  # fmt: skip
        s[at.ITEM] = 1 if numba.config.DISABLE_JIT else item
        s[at.LANES], s[at.N_PARAMETERS], s[at.N_SUMSQ] = lanes, start, n_sumsq
        s[at.OPTIMIZER], s[at.ADAPTIVE] = code, code in optimizers.ADAPTIVE
        s[at.HAS_TARGETS] = has_targets = task in (at.TRAIN, at.DIFFERENTIATE, at.EVALUATE)
        s[at.OUTPUT] = OUTPUTS.index(model.output)
        s[at.LOSS] = at.USERS_OWN if callable(model.loss) else LOSS_NAMES.index(model.loss)
        s[at.FUSED] = trains and model.clip_norm is None and small is None
        s[at.KEY0], s[at.KEY1] = model.seed & 0xFFFFFFFF, model.seed >> 32
        s[at.MASKED] = trains and any(model.drops)
        s[at.COSTED] = True
        s[at.SCRATCH_SIZE], s[at.TILE_IN] = scratch, da
        codes = [0] + [at.USERS_OWN if callable(f) else HIDDEN_ACTIVATIONS.index(f) for f in model.hidden] + [0]
        drops = (*model.drops, 0.0)
        records = np.zeros((depth + 1, at.RECORD), np.int64)
        fields = {
            at.UNITS: sizes, at.WEIGHTS_AT: weights_at, at.BIASES_AT: biases_at, at.ACTIVATION: codes,
            at.THRESHOLD: [int(drop * 2**32) for drop in drops], at.MASKS_AT: [0, 0, *np.cumsum(sizes[1:-1])],
            at.ROWS: rows, at.ACTS_AT: acts_at, at.DELTAS_AT: deltas_at, at.PACKED_AT: [*packed_at, 0],
            at.OVER_INPUTS: [*packed, 0], at.SUMSQ_AT: sumsq_at,
        }  # fmt: skip
        for field, values in fields.items():
            records[:, field] = values
        self.stays = batch <= min(chunk, block * width)
        self.most_threads = threads
        if small is not None:
            columns = small.lay_out(records, s, threads)
            acts_size = int(records[0, at.ROWS]) * columns
            end = _rounded(sizes[0], packed_width) * columns if records[0, at.OVER_INPUTS] else 0
            self.stays, self.most_threads = small.stays, min(threads, small.parts)
            deltas_size = 0
            s[at.N_SUMSQ], s[at.TERMS_KEPT] = 1, keep_all
            chunk = _rounded(batch, width) if keep_all else threads * small.panel
        # Panels are packed in whole squares, which reach so many rows behind the last one.
        acts = aligned_zeros(acts_size + lanes * width + slack, model.dtype)
        l2 = model.l2 if task in (at.TRAIN, at.DIFFERENTIATE) else 0.0
        clip = model.clip_norm if trains and model.clip_norm is not None else 0.0
        reals = np.array(
            [l2, model.decay if trains else 0.0, clip, beta1, beta2, epsilon, model.label_smoothing,
             np.finfo(model.dtype).tiny, *engine.loss_terms]
        )  # fmt: skip
        self.arrays: list[Any] = [empty] * at.TABLE_SIZE
        put = self.arrays.__setitem__
        put(at.SETTINGS, self.settings)
        put(at.RECORDS, records.reshape(-1))
        self.costs, self.sums, self.rates = np.zeros(1), np.zeros(1), np.zeros(1)
        put(at.REALS, reals)
        put(at.KEEPS, np.array([1.0 / (1.0 - drop) for drop in drops]))
        put(at.RATES, self.rates)
        put(at.COSTS, self.costs)
        put(at.SUMS, self.sums)
        put(at.POWERS, np.ones(2))
        put(at.ACTS, acts)
        put(at.PACKED, acts if width == 1 else aligned_zeros(end + slack, model.dtype))
        put(at.DELTAS, aligned_zeros(deltas_size + slack, model.dtype) if with_gradient else acts)
        if has_targets:
            put(at.TARGETS, aligned_zeros(sizes[-1] * columns + slack, model.dtype))
            put(at.FACTORS, aligned_zeros(columns + slack, model.dtype))
        put(at.TERMS, aligned_zeros(chunk + slack, model.dtype))
        put(at.WEIGHT_SUMSQ, np.zeros(n_sumsq))
        put(at.GRAD_SUMSQ, np.zeros(n_sumsq))
        if with_gradient and (not s[at.FUSED] or batch > chunk):
            put(at.GRADS, aligned_zeros(start + slack, model.dtype))
        if small is not None:
            put(at.PARTIAL_LOSSES, np.zeros(small.parts))
            put(at.PARTIAL_GRADS, aligned_zeros((small.parts - 1) * int(s[at.PARTIAL_SIZE]) + slack, model.dtype))
        put(at.SCRATCH, aligned_zeros(int(s[at.SCRATCH_SIZE]) * threads, model.dtype))
        put(at.STEP_REALS, np.zeros(at.STEP_REALS_STRIDE * (threads + 1)))
        put(at.OFFSETS, np.zeros(at.OFFSETS_STRIDE * threads, np.int64))
        put(at.ORDER, np.zeros(1, np.uint32))
        put(at.GENERATOR, np.zeros(1, np.uint32))
        put(at.USER_ACTIVATIONS, engine.user_activations)
        put(at.USER_LOSS, engine.user_loss)
        self.n_parameters = start
        self.team = new_team()
        put(at.TEAM, self.team)
        for index, op in engine.ops.items():
            if task in TASKS_OF.get(index, (task,)) and index not in (OF_LARGE if small is not None else OF_SMALL):
                put(index, op.address(model.dtype))
        if clip:
            put(at.CLIP_WIDELY, engine.ops[at.CLIP_WIDELY].address(model.dtype))
        self.table = addresses(self.arrays)
        self.sparse = False
        # How the data in the table are laid out, if the settings say so.
        self.laid_out: tuple[Any, ...] | None = None
        self.step_ns = guessed_step_ns(batch, start, sum(sizes), item)
        self.autotuner = Autotuner(self.most_threads, self.step_ns)

    def __reduce__(self) -> Any:
        raise TypeError("a workspace holds addresses of this process: copy or pickle the network, or the trainer")

    def make_room(self, steps: int) -> None:
        """Have room for the rates and results of so many steps."""
        if self.rates.size < steps:
            self.rates, self.costs, self.sums = np.zeros(steps), np.zeros(steps), np.zeros(steps)
            for index, array in ((at.RATES, self.rates), (at.COSTS, self.costs), (at.SUMS, self.sums)):
                self.point(index, array)

    def point(self, index: int, array: np.ndarray) -> None:
        """Let the table refer to another array."""
        if self.arrays[index] is array:
            return
        self.arrays[index] = array
        if numba.config.DISABLE_JIT:
            self.table = (*self.table[:index], array.reshape(-1), *self.table[index + 1 :])
        else:
            self.table[index] = _address(array)

    def read(self, x_index: int, array: np.ndarray, type_at: int, unit_at: int, example_at: int) -> None:
        """Let the table refer to the caller's examples or targets."""
        code = _TYPE_CODES.get(array.dtype)
        if code is None:
            array = array.astype(np.uint8 if array.dtype == bool else self.dtype)
            code = _TYPE_CODES[array.dtype]
        if numba.config.DISABLE_JIT:
            array = np.ascontiguousarray(array)
        s = self.settings
        s[type_at] = code
        if array.ndim == 2:
            s[unit_at], s[example_at] = array.strides
        else:
            s[unit_at], s[example_at] = 0, array.strides[0]
        s[at.X_PLAIN if type_at == at.X_TYPE else at.Y_PLAIN] = array.dtype == self.dtype
        self.arrays[x_index] = array
        if numba.config.DISABLE_JIT:
            flat = array.reshape(-1).view(np.uint8)
            self.table = (*self.table[:x_index], flat, *self.table[x_index + 1 :])
        else:
            self.table[x_index] = _address(array)

    def data(self, X: np.ndarray, Y: np.ndarray | None, weights: np.ndarray | None) -> None:
        """Let the table refer to the caller's data."""
        self.settings[at.M] = X.shape[1]
        s = self.settings
        s[at.OUT_UNIT], s[at.OUT_EXAMPLE] = X.shape[1], 1
        if isinstance(X, SparseColumns) is not self.sparse:
            self._choose_gather(not self.sparse)
        laid_out = None if Y is None or self.sparse else (X.dtype, X.strides, Y.dtype, Y.strides)
        if laid_out is not None and laid_out == self.laid_out:
            # One mini-batch after the other comes from the caller's loop: only the addresses are new.
            self.arrays[at.X], self.arrays[at.Y] = X, Y
            self.table[at.X], self.table[at.Y] = _address(X), _address(Y)
        else:
            if self.sparse:
                self._read_sparse(X)
            else:
                self.read(at.X, X, at.X_TYPE, at.X_UNIT, at.X_EXAMPLE)
            if Y is not None:
                self.settings[at.LABELS] = Y.ndim == 1
                self.read(at.Y, Y, at.Y_TYPE, at.Y_UNIT, at.Y_EXAMPLE)
            in_place = self.arrays[at.X] is X and self.arrays[at.Y] is Y
            self.laid_out = laid_out if in_place and not numba.config.DISABLE_JIT else None
        self.settings[at.WEIGHTED] = weights is not None
        if weights is not None:
            self.point(at.SAMPLE_WEIGHTS, np.ascontiguousarray(weights, np.float64))

    def _choose_gather(self, sparse: bool) -> None:
        self.sparse = sparse
        op = gather.gather_sparse if sparse else gather.gather
        self._bind_op(at.GATHER, op)

    def _bind_op(self, index: int, op: Any) -> None:
        self.arrays[index] = address = op.address(self.dtype)
        if numba.config.DISABLE_JIT:
            self.table = (*self.table[:index], address, *self.table[index + 1 :])
        else:
            self.table[index] = address

    def _read_sparse(self, X: "SparseColumns") -> None:
        """Let the table refer to a sparse table's rows."""
        self.settings[at.X_EXAMPLE] = 1
        self.settings[at.INDEX_BYTES] = X.columns.itemsize
        for index, array in ((at.X, X.numbers), (at.COLUMNS, X.columns), (at.ROW_STARTS, X.starts)):
            self.point(index, array)

    def pick(self, rows: np.ndarray) -> None:
        """Take only these of the data's examples, in this order: uint32, contiguous."""
        self.settings[at.SHUFFLE], self.settings[at.M] = 1, rows.size
        self.settings[at.OUT_UNIT] = rows.size
        self.point(at.ORDER, rows)

    def train(self, theta: np.ndarray, state: State) -> None:
        """Let the table refer to what training changes."""
        v, s, h, arrays = state._v, state._s, state._h, self.arrays
        if not (
            arrays[at.THETA] is theta and arrays[at.V] is v and arrays[at.S] is s and arrays[at.H] is h
            and theta.flags.writeable
        ):  # fmt: skip
            if not (
                state.may_change(theta)
                and theta.dtype == v.dtype == self.dtype
                and {theta.size, v.size, s.size, h.size} <= {0, self.n_parameters}
            ):
                state.check(self.model, theta)
            for index, array in ((at.THETA, theta), (at.V, v), (at.S, s), (at.H, h)):
                self.point(index, array)
        self.point(at.POWERS, state._powers)

    def mask(self, masks: tuple[np.ndarray, ...], keep_prob: float) -> None:
        """Let the table refer to a course model's masks: a row for each unit, 0 or 1 / keep_prob."""
        hidden = range(1, len(masks) + 1)
        self.arrays[at.RECORDS].reshape(-1, at.RECORD)[hidden, at.THRESHOLD] = 1
        self.arrays[at.KEEPS][hidden] = 1.0 / keep_prob
        self.settings[at.MASKED] = True
        self.point(at.MASKS, np.concatenate([mask / keep_prob for mask in masks]))

    def release(self) -> None:
        """Let go of the caller's data."""
        arrays = self.arrays
        self.settings[at.SHUFFLE] = 0
        arrays[at.COLUMNS] = arrays[at.ROW_STARTS] = arrays[at.X] = arrays[at.Y] = arrays[at.SAMPLE_WEIGHTS] = arrays[
            at.OUT
        ] = arrays[at.OUT_DX] = arrays[at.DA] = arrays[at.SETTINGS]

    def forget(self) -> None:
        """Let go of what training changed."""
        arrays = self.arrays
        for index in (at.THETA, at.V, at.S, at.H, at.POWERS, at.ORDER, at.GENERATOR):
            arrays[index] = arrays[at.SETTINGS]

    def mean_cost(self) -> float:
        """Cost of the only mini-batch; NaN if its weights are all zero."""
        total, weight = float(self.costs[0]), float(self.sums[0])
        return total / weight if weight else math.nan

    def execute(self, entry: Any, n_threads: int) -> int:
        """Run the body; the number of threads that it ran on."""
        n, how = run_team(entry, self.table, self.team, n_threads)
        if how == ABORTED:
            # Nothing was touched, and one thread always comes together.
            n, _ = run_team(entry, self.table, self.team, 1)
        return n


_TYPE_CODES = {np.dtype(dtype): code for code, dtype in enumerate(NUMBER_TYPES)}
