"""Random models and data for the engines, and how closely two engines have to agree."""

import contextlib
import math
from dataclasses import dataclass, field, replace
from unittest import mock

import numba
import numpy as np
import numpy.testing as npt
from conftest import JIT
from hypothesis import strategies as st

from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.engine import engine as engine_module
from fastnn.engine import large_plan, small_plan
from fastnn.losses import LOSSES
from fastnn.optimizers import SGD, Adam, AdamW, AMSGrad, Lion, Momentum, Optimizer, RMSProp
from fastnn.specs.architecture import Architecture
from fastnn.specs.arrays import aligned_zeros
from fastnn.specs.objective import Objective
from fastnn.specs.state import State
from fastnn.specs.training import Training

PAIRS = [(output, loss) for output, names in LOSSES.items() for loss in names]

# Where |g| is as small as its rounding errors, g / (sqrt(g^2) + epsilon) is anything unless epsilon is larger.
OPTIMIZERS = {
    "sgd": SGD(0.02),
    "classical": SGD(0.01, momentum=0.9),
    "nesterov": SGD(0.01, momentum=0.8, nesterov=True),
    "averaged": Momentum(0.02, beta=0.7),
    "rmsprop": RMSProp(0.01, rho=0.9, epsilon=1e-2),
    "adam": Adam(0.01, epsilon=1e-2),
    "amsgrad": AMSGrad(0.01, beta1=0.8, beta2=0.9, epsilon=1e-2),
    "adamw": AdamW(0.01, weight_decay=0.1, epsilon=1e-2),
    # The sign of such a gradient is anything, and the other sign is another step: two rates are no difference here.
    "lion": Lion(1e-15, beta1=0.8, beta2=0.95),
}

# No kink: in float32 a sum may be rounded to the other side of one.
SMOOTH_ACTIVATIONS = tuple(name for name in HIDDEN_ACTIVATIONS if name not in ("relu", "leaky_relu", "selu"))
SMOOTH_PAIRS = [pair for pair in PAIRS if pair[1] != "absolute_error"]

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 70) if JIT else (1, 2, 3, 5)
BATCHES = (1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 64, 300) if JIT else (1, 2, 7)

# Relative to the largest number of an array, or to terms about 1 whose sum has cancelled to less than their share.
TOLERANCES = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-4}
SMALLEST_SCALE = 1e-2


@numba.njit
def bent(z):
    return math.log(1 + z * z) + z, 2 * z / (1 + z * z) + 1


@numba.njit
def quartic(a, y):
    return (a - y) ** 4, 4 * (a - y) ** 3


USERS_PAIRS = [(output, quartic) for output in LOSSES if output != "softmax"]


@dataclass(frozen=True)
class Model:
    """A network and how it is trained, in one flat record for `dataclasses.replace`; an engine takes ``*model``."""

    sizes: tuple[int, ...]
    hidden: tuple
    output: str
    loss: str | object
    dtype: np.dtype = np.dtype(np.float64)  # noqa: RUF009
    optimizer: Optimizer = SGD(0.1)  # noqa: RUF009 - frozen
    l2: float = 0.0
    weight_decay: float = 0.0
    dropout: tuple[float, ...] = ()
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    seed: int = 0

    @property
    def architecture(self):
        return Architecture(self.sizes, self.hidden, self.output, self.dtype)

    @property
    def training(self):
        rule = self.optimizer.rule()
        if self.weight_decay:
            rule = replace(rule, weight_decay=self.weight_decay)
        return Training(
            Objective(self.loss, self.l2, self.dropout, self.label_smoothing), rule, self.clip_norm, self.seed
        )

    def __iter__(self):
        return iter((self.architecture, self.training))

    def state(self):
        return State.zeros(self.architecture, self.training.rule)


@dataclass
class Problem:
    """A model with parameters, and data that fit it; the same for equal fields."""

    sizes: tuple[int, ...]
    m: int
    batch: int
    hidden: str | object = "tanh"
    output: str = "linear"
    loss: str | object = "squared_error"
    dtype: str = "float64"
    optimizer: str = "sgd"
    settings: dict = field(default_factory=dict)
    weighted: bool = False
    labels: bool = False
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        settings = dict(self.settings)
        if callable(self.loss) or "cross_entropy" not in self.loss:
            settings.pop("label_smoothing", None)
        hidden = self.hidden if isinstance(self.hidden, tuple) else (self.hidden,) * (len(self.sizes) - 2)
        optimizer = OPTIMIZERS[self.optimizer]
        if isinstance(optimizer, AdamW):
            settings.pop("weight_decay", None)
        if "dropout" in settings:
            settings["dropout"] = tuple((settings["dropout"] * 5)[: len(self.sizes) - 1])
        dtype, seed = np.dtype(self.dtype), self.seed << 20
        self.model = Model(self.sizes, hidden, self.output, self.loss, dtype, optimizer, seed=seed, **settings)
        self.theta = aligned_zeros(self.model.architecture.n_parameters, self.dtype)
        # So scaled, no training of a few steps diverges.
        for W, b in self.model.architecture.split(self.theta):
            W[:] = rng.standard_normal(W.shape) / math.sqrt(max(W.shape))
            b[:] = rng.standard_normal(b.shape) / 4
        self.X = rng.standard_normal((self.sizes[0], self.m)) / math.sqrt(self.sizes[0])
        shape = self.sizes[-1], self.m
        if self.output == "softmax":
            self.Y = rng.integers(0, shape[0], self.m) if self.labels else rng.random(shape)
        elif self.loss == "binary_cross_entropy":
            self.Y = rng.integers(0, 2, shape)
        elif self.loss == "poisson":
            self.Y = rng.poisson(1.5, shape)
        else:
            self.Y = rng.standard_normal(shape)
        # Runs of zeros, so that small batches have none but zeros and are skipped.
        zero = (np.arange(self.m) // 4) % 3 == 1 if self.m > 4 else False
        self.weights = np.where(zero, 0.0, rng.uniform(0.1, 2.0, self.m)) if self.weighted else None

    @property
    def data(self):
        return self.X, self.Y, self.weights

    def rates(self, n):
        """Rates of n steps that fall from each to the next."""
        # Poisson's loss is as steep as the exponential of what it is given.
        largest = self.model.optimizer.learning_rate * (0.05 if self.loss == "poisson" else 1.0)
        return largest / (1 + 0.1 * np.arange(n))

    def trained(self, engine, pieces, step=0, epoch=0):
        """Parameters, state, costs and sums of weights after calls that do as many steps as `pieces` say."""
        theta, state = aligned_zeros(self.theta.size, self.dtype), self.model.state()
        theta[:] = self.theta
        state.step, state.epoch = step, epoch
        session = engine.session(theta, state, *self.data, self.batch, self.shuffle)
        ends = np.cumsum(pieces)
        results = [session.advance(rates) for rates in np.split(self.rates(ends[-1]), ends[:-1])]
        costs, sums = (np.concatenate(parts) for parts in zip(*results, strict=True))
        return theta, state, costs, sums


def problems(smooth=False, **fixed):
    """Strategy for `Problem`."""
    settings = st.fixed_dictionaries(
        {},
        optional={
            "l2": st.sampled_from([0.1, 3.0]),
            "weight_decay": st.just(0.2),
            "clip_norm": st.sampled_from([0.05, 1.0, 1e3]),
            "label_smoothing": st.just(0.15),
            "dropout": st.sampled_from([(0.2,), (0.0, 0.5), (0.3, 0.4, 0.0)]),
        },
    )
    activations = SMOOTH_ACTIVATIONS if smooth else HIDDEN_ACTIVATIONS
    fields = {
        "sizes": st.lists(st.sampled_from(SIZES), min_size=2, max_size=5).map(tuple),
        "m": st.sampled_from(BATCHES),
        "batch": st.sampled_from(BATCHES),
        "hidden": st.tuples(*[st.sampled_from(activations)] * 3),
        "pair": st.sampled_from(SMOOTH_PAIRS if smooth else PAIRS),
        "optimizer": st.sampled_from(list(OPTIMIZERS)),
        "settings": settings,
        "weighted": st.booleans(),
        "labels": st.booleans(),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 2**32 - 1),
    }

    def build(pair, hidden, sizes, **rest):
        return Problem(hidden=hidden[: len(sizes) - 2], sizes=sizes, output=pair[0], loss=pair[1], **rest)

    return st.builds(build, **{**fields, **{key: st.just(value) for key, value in fixed.items()}})


def everything(problem, X, Y):
    """All that an engine computes from X and Y, as bytes."""
    engine, theta = engine_module.Engine(*problem.model, 1), aligned_zeros(problem.theta.size, problem.dtype)
    theta[:] = problem.theta
    session = engine.session(theta, problem.model.state(), X, Y, problem.weights, problem.batch, True)
    costs, _ = session.advance(np.full(5, 1e-4))
    theta_after = theta.copy()
    theta[:] = problem.theta
    cost, gradient = engine.loss_and_gradient(theta, X, Y, None)
    A, cache = engine.forward(theta, X)
    one = engine.one_predictor(theta)(np.ascontiguousarray(X[:, -1], problem.dtype))
    results = [
        theta_after, costs, gradient, engine.predict(theta, X), A, *engine.backward(theta, A, cache), one,
        np.array([cost, engine.loss(theta, X, Y, None)]),
    ]  # fmt: skip
    return [array.tobytes() for array in results]


@contextlib.contextmanager
def small_steps(chunk=32, block_bytes=1 << 10, small_net=64, parts=4):
    """Let chunks, blocks, parts and panels begin at small sizes, so that small problems meet all of them.

    Networks of more than `small_net` parameters go layer by layer, others panel by panel, in `parts` parts if there
    are so many examples.
    """
    large = {"CHUNK": chunk, "SMALLEST_CHUNK": chunk, "BLOCK_BYTES": block_bytes, "FEWEST_PANELS": 4}
    small = {"SMALL_NET": small_net, "PART_WORK": (0,) * (parts.bit_length() - 1), "PANEL_BYTES": 1}
    with mock.patch.multiple(large_plan, **large), mock.patch.multiple(small_plan, **small):
        yield


def assert_close(actual, expected, dtype, what=""):
    """Compare relative to the largest number; both sides have computed in `dtype`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), what
    assert np.isfinite(expected).all(), what
    atol = TOLERANCES[np.dtype(dtype)] * np.abs(expected).max(initial=SMALLEST_SCALE)
    npt.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=what)
