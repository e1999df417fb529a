"""The course's `model`s on the compiled side: they share everything but their settings."""

import time
from collections.abc import Callable

import numpy as np

from fastnn.kernels.random import SEEDS, STATE
from fastnn.kernels.simd import pointer_table
from fastnn.kernels.train import BLOCK, Settings, train_parallel, train_serial
from fastnn.reference.layers import Arrays
from fastnn.runtime import launch

# Serial time of a step, rough: six multiply-adds a weight and example forward and back, and the passes.
WEIGHT_NS = 0.2
UNIT_NS = 2.0

# Between slices Python looks at Ctrl-C; a slice is also as far as a printed cost can lag behind.
SLICE_SECONDS = 0.1


def layer_table(sizes: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Return sizes, where W_l and b_l begin in a flat vector, units before layer l, and the vector's size."""
    dims = np.array(sizes, np.int64)
    weights_at, biases_at = np.zeros_like(dims), np.zeros_like(dims)
    units_at = np.concatenate([[0], np.cumsum(dims)[:-1]])
    end = 0
    for layer in range(1, dims.size):
        weights_at[layer] = end
        biases_at[layer] = end + dims[layer] * dims[layer - 1]
        end = int(biases_at[layer] + dims[layer])
    return dims, weights_at, biases_at, units_at, end


def flat(parameters: Arrays) -> np.ndarray:
    """Return W1, b1, ..., WL, bL, row by row, in one new float64 vector."""
    layers = range(1, len(parameters) // 2 + 1)
    return np.concatenate([parameters[f"{x}{layer}"].ravel() for layer in layers for x in "Wb"]).astype(np.float64)


def _unflat(theta: np.ndarray, parameters: Arrays) -> Arrays:
    """Return a dict like `parameters` with the numbers of `theta`, in arrays of their own."""
    result, start = {}, 0
    for name, array in parameters.items():
        result[name] = theta[start : start + array.size].reshape(array.shape).copy()
        start += array.size
    return result


def without_rate(report: Callable[[int, float], None] | None) -> Callable[[int, float, float], None] | None:
    """Return a report that leaves out the learning rate."""
    return None if report is None else lambda epoch, cost, rate: report(epoch, cost)


class CourseTraining:
    """A training run: its arrays, and slices of epochs.

    Parameters
    ----------
    parameters : dict
        W1, b1, ..., WL, bL to start from.
    X, Y : numpy.ndarray
        Checked data, one example a column.
    batch : int, optional
        Examples in a step; by default all of them, without shuffling.
    optimizer : int
        Code from `fastnn.kernels.optimizers`.
    scaled_delta : bool
        Whether 1/m sits in dZ of the output layer or in dW and db.
    skip_nan : bool
        Whether the cost is a nansum.
    masks : list of numpy.ndarray
        For each hidden layer a bool mask, shape (n_l, m); empty without dropout.
    """

    def __init__(
        self,
        parameters: Arrays,
        X: np.ndarray,
        Y: np.ndarray,
        optimizer: int,
        batch: int | None = None,
        beta: float = 0.0,
        beta1: float = 0.0,
        beta2: float = 0.0,
        epsilon: float = 0.0,
        first_seed: int = -1,
        lambd: float = 0.0,
        masks: tuple[np.ndarray, ...] = (),
        keep_prob: float = 1.0,
        scaled_delta: bool = True,
        skip_nan: bool = False,
    ) -> None:
        n_layers, m = len(parameters) // 2, X.shape[1]
        sizes = [X.shape[0]] + [parameters[f"W{layer}"].shape[0] for layer in range(1, n_layers + 1)]
        dims, weights_at, biases_at, units_at, n_parameters = layer_table(sizes)
        shuffled = first_seed >= 0
        batch = min(batch or m, m)
        width = min(BLOCK, -(-batch // 16) * 16)
        blocks, units = -(-batch // width), int(dims.sum())
        self._initial = parameters
        self._theta = flat(parameters)
        zeros = np.zeros
        lanes = STATE * SEEDS if shuffled else 0
        self._arrays = (
            dims, weights_at, biases_at, units_at,
            self._theta, zeros(n_parameters), zeros(n_parameters), zeros(n_parameters), np.ones(2),
            np.ascontiguousarray(X, np.float64), np.ascontiguousarray(Y, np.float64),
            self._mask_blocks(masks, keep_prob, units, units_at, width, blocks),
            zeros(blocks * units * width), zeros(blocks * (units - sizes[0]) * width),
            zeros(blocks * sizes[-1] * width), zeros(batch * sizes[-1]),
            zeros(lanes, np.uint32), zeros(lanes, np.uint32),
            zeros((SEEDS, m) if shuffled else 0, np.int32),
            zeros((SEEDS, m), np.int32) if shuffled else np.arange(m, dtype=np.int32),
        )  # fmt: skip
        self._table = pointer_table(self._arrays)
        self._settings = Settings(
            n_layers, m, batch, n_parameters, optimizer, float(beta), float(beta1), float(beta2), float(epsilon),
            float(lambd), 1.0 / keep_prob, scaled_delta, skip_nan, first_seed,
        )  # fmt: skip
        self._step_ns = batch * (WEIGHT_NS * n_parameters + UNIT_NS * (units - sizes[0]))
        self._epochs_a_slice = 1

    @staticmethod
    def _mask_blocks(masks, keep_prob, units, units_at, width, blocks):
        """Lay masks out as the activations: blocks of examples, units, examples; 1 / keep_prob or 0."""
        if keep_prob == 1:
            return np.zeros(1)
        laid_out = np.zeros((blocks, units, width))
        for layer, mask in enumerate(masks, start=1):
            n_l, m = mask.shape
            padded = np.zeros((n_l, blocks * width))
            padded[:, :m] = mask / keep_prob
            start = units_at[layer]
            laid_out[:, start : start + n_l] = padded.reshape(n_l, blocks, width).swapaxes(0, 1)
        return laid_out

    def _slice(self, first_epoch: int, rates: np.ndarray, with_cost: bool) -> float:
        def train(n_threads):
            kernel = train_serial if n_threads == 1 else train_parallel
            return kernel(self._table, self._settings, rates, first_epoch, with_cost, n_threads)

        steps = rates.size * -(-self._settings.m // self._settings.batch)
        return launch(train, self._step_ns, regions=steps)

    def _squared_weights(self) -> float:
        weights_at, biases_at = self._arrays[1:3]
        spans = zip(weights_at[1:], biases_at[1:], strict=True)
        return sum(np.sum(np.square(self._theta[start:end])) for start, end in spans)

    def run(
        self,
        n_epochs: int,
        rate: float,
        report: Callable[[int, float, float], None] | None,
        report_every: int,
        next_rate: Callable[[int], float] | None = None,
    ) -> Arrays:
        """Train, and return the parameters.

        Parameters
        ----------
        n_epochs : int
            Epochs (iterations, where a batch is all examples).
        rate : float
            Learning rate of the first epoch.
        report : callable, optional
            Called with epoch, cost and the next epoch's rate at every multiple of report_every.
        report_every : int
            As it says.
        next_rate : callable, optional
            Gives the rate that follows an epoch; the same rate throughout without it.

        Returns
        -------
        dict
            Fresh arrays.
        """
        m, lambd = self._settings.m, self._settings.lambd
        epoch = 0
        while epoch < n_epochs:
            costed = report is not None and epoch % report_every == 0
            count = min(self._epochs_a_slice, n_epochs - epoch)
            if report is not None:
                count = min(count, report_every - epoch % report_every)
            rates = np.full(count + 1, rate)
            if next_rate is not None:
                for k in range(count):
                    rates[k + 1] = next_rate(epoch + k)
            penalty = lambd / (2 * m) * self._squared_weights() if costed and lambd else 0.0
            begin = time.perf_counter()
            cost = self._slice(epoch, rates[:-1], costed)
            elapsed = time.perf_counter() - begin
            if costed:
                report(epoch, 1.0 / m * cost + penalty if self._settings.skip_nan else cost / m, float(rates[1]))
            rate = rates[-1]
            epoch += count
            # The first slice may have compiled: grow step by step, never by one measurement alone.
            fitting = max(1, int(count * SLICE_SECONDS / max(elapsed, 1e-9)))
            self._epochs_a_slice = min(fitting, 16 * count)
        return _unflat(self._theta, self._initial)
