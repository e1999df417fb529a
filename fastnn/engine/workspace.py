"""A workspace: the arrays that a plan asks for, and the tables by which the kernels find them and the caller's data."""

import math
from collections.abc import Callable, Iterable, Mapping
from ctypes import addressof, c_char
from typing import Any, NoReturn

import numba
import numpy as np

from fastnn.engine.autotuner import Autotuner, guessed_step_ns
from fastnn.engine.plan import Plan
from fastnn.engine.runtime import ABORTED, compilers, run_team
from fastnn.kernels import layout as at
from fastnn.kernels.compiler.policy import Op
from fastnn.kernels.compiler.simd import NUMBER_TYPES
from fastnn.kernels.compiler.together import compile_together, op_jobs
from fastnn.kernels.formulas.optimizers import ADAPTIVE
from fastnn.kernels.matmul import gather
from fastnn.kernels.program import entries
from fastnn.kernels.program.body import body
from fastnn.kernels.program.teamwork import new_team
from fastnn.losses import LOSS_NAMES, OUTPUTS, Loss
from fastnn.optimizers import UPDATE_RULES
from fastnn.specs import Architecture, State, Training, aligned_zeros

# Ops that only these tasks call: a first training does not wait 1 s for their compilation.
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

# A table for the kernels: addresses of arrays and ops, or without JIT the things themselves.
Table = np.ndarray | tuple[Any, ...]

_TYPE_CODES = {np.dtype(dtype): code for code, dtype in enumerate(NUMBER_TYPES)}

# Refuses arrays that are read-only, or not in C's order.
_first_byte: Callable[[Any], c_char] = c_char.from_buffer
# Flags in NumPy's C interface. Arrays from `np.broadcast_arrays` have the last: NumPy warns whoever asks for a buffer
# to write into, as `_first_byte` does.
_C_ORDER, _F_ORDER, _WRITEABLE, _WARNS = 1, 2, 0x400, 1 << 31


def addresses(entries: Iterable[Any]) -> Table:
    """Return the table of these arrays and addresses of ops."""
    if numba.config.DISABLE_JIT:
        return tuple(entry.reshape(-1) if isinstance(entry, np.ndarray) else entry for entry in entries)
    return np.array([_address(e) if isinstance(e, np.ndarray) else e for e in entries], np.uintp)


def _address(array: np.ndarray) -> int:
    flags = array.flags.num
    if flags & (_C_ORDER | _F_ORDER) and flags & (_WRITEABLE | _WARNS) == _WRITEABLE and array.size:
        # 0.2 us instead of 0.8 for the dict that NumPy makes; a step of a small net has two fresh arrays.
        return addressof(_first_byte(array if flags & _C_ORDER else array.T))
    return int(array.__array_interface__["data"][0])


def ops_of(ops: Mapping[int, Op], task: int, is_small: bool) -> dict[int, Op]:
    """Return those of the ops that a task calls by the plan of small nets, or by that of large ones."""
    others = OF_LARGE if is_small else OF_SMALL
    return {slot: op for slot, op in ops.items() if task in TASKS_OF.get(slot, (task,)) and slot not in others}


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


class Workspace:
    """What one task on mini-batches of one size works on; one thread uses it at a time.

    Parameters
    ----------
    plan : Plan
        Sizes and places.
    architecture : Architecture
        The network that the plan is for.
    training : Training or None
        What is minimised and how, where the task has to know.
    ops : mapping of int to Op
        The kernels by their place in the table.
    functions : mapping of int to Table
        Tables of the user's own functions, by their place in the table.
    loss_terms : tuple of float
        LEAST_LOSS, MOST_LOSS and LOSS_SCALE of `layout`.
    """

    def __init__(
        self, plan: Plan, architecture: Architecture, training: Training | None, ops: Mapping[int, Op],
        functions: Mapping[int, Table], loss_terms: tuple[float, float, float],
    ) -> None:  # fmt: skip
        self.plan, self.architecture, self.dtype = plan, architecture, architecture.dtype
        # By which engines find it again.
        self.key = plan.task, plan.batch
        self.n_parameters = architecture.n_parameters
        self.settings = np.zeros(at.N_SETTINGS, np.int64)
        self.costs, self.sums, self.rates = np.zeros(1), np.zeros(1), np.zeros(1)
        self.team: np.ndarray = new_team()
        self.arrays: list[Any] = [np.zeros(1)] * at.TABLE_SIZE
        records = np.zeros((len(architecture.sizes), at.RECORD), np.int64)
        for field, values in plan.records.items():
            records[:, field] = values
        numbers = {slot: aligned_zeros(size, self.dtype) for slot, size in plan.numbers.items()}
        arrays = {
            at.SETTINGS: self.settings, at.RATES: self.rates, at.COSTS: self.costs, at.SUMS: self.sums,
            at.POWERS: np.ones(2), at.ORDER: np.zeros(1, np.uint32), at.GENERATOR: np.zeros(1, np.uint32),
            at.TEAM: self.team, at.RECORDS: records.reshape(-1),
            at.STEP_REALS: np.zeros(at.STEP_REALS_STRIDE * (plan.threads + 1)),
            at.OFFSETS: np.zeros(at.OFFSETS_STRIDE * plan.threads, np.int64),
            at.PACKED: numbers[at.ACTS], at.DELTAS: numbers[at.ACTS], **numbers,
            **{slot: np.zeros(size) for slot, size in plan.sums.items()}, **functions,
        }  # fmt: skip
        for slot, array in arrays.items():
            self.arrays[slot] = array
        self._describe(training, loss_terms)
        task = plan.task
        needed = ops_of(ops, task, plan.is_small)
        if self.arrays[at.REALS][at.CLIP]:
            needed[at.CLIP_WIDELY] = ops[at.CLIP_WIDELY]
        # Types and strides of the data that the settings describe.
        self._described: tuple[Any, ...] | None = None
        self.step_ns = guessed_step_ns(plan.batch, self.n_parameters, sum(architecture.sizes), self.dtype.itemsize)
        self.autotuner = Autotuner(plan.most_threads, self.step_ns)
        teams = task == at.TRAIN and self.autotuner.choices != [1]
        compile_together(op_jobs([body, *needed.values()], self.dtype) + entries.jobs(teams), compilers)
        for slot, op in needed.items():
            self.arrays[slot] = op.address(self.dtype)
        # Where the body begins.
        self.entry = addresses([body.address(self.dtype)])
        self.table = addresses(self.arrays)
        # The same, where it holds addresses.
        self._addresses = self.table if isinstance(self.table, np.ndarray) else np.zeros(0, np.uintp)
        self._sparse = False

    def __reduce__(self) -> NoReturn:
        raise TypeError("a workspace holds addresses of this process: copy or pickle the network, or the trainer")

    def _describe(self, training: Training | None, loss_terms: tuple[float, float, float]) -> None:
        """Let the tables say what is computed."""
        settings, task = self.settings, self.plan.task
        for index, value in self.plan.settings.items():
            settings[index] = value
        settings[at.ITEM] = 1 if numba.config.DISABLE_JIT else self.dtype.itemsize
        settings[at.OUTPUT] = OUTPUTS.index(self.architecture.output)
        settings[at.COSTED] = True
        reals = np.zeros(at.N_REALS)
        reals[at.TINY] = np.finfo(self.dtype).tiny
        reals[[at.LEAST_LOSS, at.MOST_LOSS, at.LOSS_SCALE]] = loss_terms
        drops = np.zeros(len(self.architecture.sizes))
        if training is not None:
            objective, rule = training.objective, training.rule
            drops[:-1] = objective.dropout or 0.0
            settings[at.LOSS] = _loss_code(objective.loss)
            settings[at.KEY0], settings[at.KEY1] = training.seed & 0xFFFFFFFF, training.seed >> 32
            reals[at.SMOOTHING] = objective.label_smoothing
            if task in (at.TRAIN, at.DIFFERENTIATE):
                reals[at.L2] = objective.l2
            if task == at.TRAIN and rule is not None:
                code = UPDATE_RULES.index(rule.name)
                settings[at.OPTIMIZER], settings[at.ADAPTIVE] = code, code in ADAPTIVE
                settings[at.MASKED] = any(objective.dropout)
                reals[[at.BETA1, at.BETA2, at.EPSILON]] = rule.beta1, rule.beta2, rule.epsilon
                reals[at.WEIGHT_DECAY], reals[at.CLIP] = rule.weight_decay, training.clip_norm or 0.0
        self.arrays[at.REALS] = reals
        self._records()[:, at.THRESHOLD] = [int(drop * 2**32) for drop in drops.tolist()]
        self.arrays[at.KEEPS] = 1.0 / (1.0 - drops)

    def _records(self) -> np.ndarray:
        records: np.ndarray = self.arrays[at.RECORDS]
        return records.reshape(-1, at.RECORD)

    # What the tables refer to.

    def bind(self, slot: int, array: np.ndarray) -> None:
        """Let the table refer to another array."""
        if self.arrays[slot] is array:
            return
        self.arrays[slot] = array
        if numba.config.DISABLE_JIT:
            self._replace(slot, array.reshape(-1))
        else:
            self._addresses[slot] = _address(array)

    def _replace(self, slot: int, entry: Any) -> None:
        """Put something else into the table, which without JIT is a tuple."""
        if isinstance(self.table, tuple):
            self.table = (*self.table[:slot], entry, *self.table[slot + 1 :])
        else:
            self.table[slot] = entry

    def make_room(self, steps: int) -> None:
        """Have room for the rates and results of so many steps."""
        if self.rates.size < steps:
            self.rates, self.costs, self.sums = np.zeros(steps), np.zeros(steps), np.zeros(steps)
            for slot, array in ((at.RATES, self.rates), (at.COSTS, self.costs), (at.SUMS, self.sums)):
                self.bind(slot, array)

    def bind_data(self, X: np.ndarray | SparseColumns, Y: np.ndarray | None, weights: np.ndarray | None) -> None:
        """Let the table refer to the caller's examples, targets and sample weights."""
        settings = self.settings
        settings[at.M] = X.shape[1]
        settings[at.OUT_UNIT], settings[at.OUT_EXAMPLE] = X.shape[1], 1
        if isinstance(X, SparseColumns):
            self._bind_sparse(X)
            if Y is not None:
                self._bind_targets(Y)
        else:
            if self._sparse:
                self._sparse = False
                self._bind_op(at.GATHER, gather.gather)
            described = None if Y is None else (X.dtype, X.strides, Y.dtype, Y.strides)
            if Y is not None and described == self._described:
                # One mini-batch after the other comes from the caller's loop: only the addresses are new.
                self.arrays[at.X], self.arrays[at.Y] = X, Y
                self._addresses[at.X], self._addresses[at.Y] = _address(X), _address(Y)
            else:
                self._bind_columns(at.X, X, at.X_TYPE, at.X_UNIT, at.X_EXAMPLE, at.X_PLAIN)
                if Y is not None:
                    self._bind_targets(Y)
                in_place = self.arrays[at.X] is X and self.arrays[at.Y] is Y
                self._described = described if in_place and not numba.config.DISABLE_JIT else None
        settings[at.WEIGHTED] = weights is not None
        if weights is not None:
            self.bind(at.SAMPLE_WEIGHTS, np.ascontiguousarray(weights, np.float64))

    def _bind_targets(self, Y: np.ndarray) -> None:
        self.settings[at.LABELS] = Y.ndim == 1
        self._bind_columns(at.Y, Y, at.Y_TYPE, at.Y_UNIT, at.Y_EXAMPLE, at.Y_PLAIN)

    def _bind_columns(
        self, slot: int, array: np.ndarray, type_at: int, unit_at: int, example_at: int, plain_at: int
    ) -> None:
        """Let the table refer to an array of the caller's, of any type and strides, and the settings say which."""
        code = _TYPE_CODES.get(array.dtype)
        if code is None:
            array = array.astype(np.uint8 if array.dtype == bool else self.dtype)
            code = _TYPE_CODES[array.dtype]
        if numba.config.DISABLE_JIT:
            array = np.ascontiguousarray(array)
            self._replace(slot, array.reshape(-1).view(np.uint8))
        else:
            self._addresses[slot] = _address(array)
        self.arrays[slot] = array
        settings = self.settings
        settings[type_at] = code
        if array.ndim == 2:
            settings[unit_at], settings[example_at] = array.strides
        else:
            settings[unit_at], settings[example_at] = 0, array.strides[0]
        settings[plain_at] = array.dtype == self.dtype

    def _bind_sparse(self, X: SparseColumns) -> None:
        if not self._sparse:
            self._sparse = True
            self._bind_op(at.GATHER, gather.gather_sparse)
        self._described = None
        self.settings[at.X_EXAMPLE] = 1
        self.settings[at.INDEX_BYTES] = X.columns.itemsize
        for slot, array in ((at.X, X.numbers), (at.COLUMNS, X.columns), (at.ROW_STARTS, X.starts)):
            self.bind(slot, array)

    def _bind_op(self, slot: int, op: Op) -> None:
        self.arrays[slot] = address = op.address(self.dtype)
        self._replace(slot, address)

    def bind_rows(self, rows: np.ndarray) -> None:
        """Take only these of the data's examples, in this order: uint32, contiguous."""
        self.settings[at.SHUFFLE], self.settings[at.M] = 1, rows.size
        self.settings[at.OUT_UNIT] = rows.size
        self.bind(at.ORDER, rows)

    def bind_training(self, theta: np.ndarray, state: State) -> None:
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
                state.check(self.architecture, theta)
            for slot, array in ((at.THETA, theta), (at.V, v), (at.S, s), (at.H, h)):
                self.bind(slot, array)
        self.bind(at.POWERS, state._powers)

    def bind_masks(self, masks: tuple[np.ndarray, ...], keep_prob: float) -> None:
        """Let the table refer to a course model's masks: a row for each unit, 0 or 1 / keep_prob."""
        hidden, records = range(1, len(masks) + 1), self._records()
        records[hidden, at.THRESHOLD] = 1
        records[2:, at.MASKS_AT] = np.cumsum(self.architecture.sizes[1:-1])
        self.arrays[at.KEEPS][hidden] = 1.0 / keep_prob
        self.settings[at.MASKED] = True
        self.bind(at.MASKS, np.concatenate([mask / keep_prob for mask in masks]))

    def unbind_data(self) -> None:
        """Let go of the caller's data."""
        arrays = self.arrays
        self.settings[at.SHUFFLE] = 0
        arrays[at.COLUMNS] = arrays[at.ROW_STARTS] = arrays[at.X] = arrays[at.Y] = arrays[at.SAMPLE_WEIGHTS] = arrays[
            at.OUT
        ] = arrays[at.OUT_DX] = arrays[at.DA] = arrays[at.SETTINGS]

    def unbind_training(self) -> None:
        """Let go of what training changed."""
        arrays = self.arrays
        for slot in (at.THETA, at.V, at.S, at.H, at.POWERS, at.ORDER, at.GENERATOR):
            arrays[slot] = arrays[at.SETTINGS]

    # Work.

    def mean_cost(self) -> float:
        """Cost of the only mini-batch; NaN if its weights are all zero."""
        total, weight = float(self.costs[0]), float(self.sums[0])
        return total / weight if weight else math.nan

    def gradient(self) -> np.ndarray:
        """Copy the gradient that the kernels have left."""
        gradient: np.ndarray = self.arrays[at.GRADS]
        return gradient[: self.n_parameters].copy()

    def execute(self, n_threads: int) -> int:
        """Run the body; the number of threads that it ran on."""
        n, how = run_team(self.entry, self.table, self.team, n_threads)
        if how == ABORTED:
            # Nothing was touched, and one thread always comes together.
            n, _ = run_team(self.entry, self.table, self.team, 1)
        return n


def _loss_code(loss: Loss) -> int:
    return LOSS_NAMES.index(loss) if isinstance(loss, str) else at.USERS_OWN
