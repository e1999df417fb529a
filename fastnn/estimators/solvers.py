"""What trains an estimator: the engine with scikit-learn's losses and shuffles, and its stochastic solvers."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastnn.engine.engine import Engine, forget_oldest
from fastnn.engine.runtime import available_threads
from fastnn.engine.workspace import Workspace
from fastnn.kernels.estimators.ops import ESTIMATOR_OPS
from fastnn.kernels.estimators.shuffles import GENERATOR_WORDS, SHUFFLES, USED
from fastnn.kernels.formulas.mt19937 import STATE
from fastnn.optimizers import AdamW, RMSProp, UpdateRule
from fastnn.schedules import rates
from fastnn.specs import Architecture, State, Training, aligned_zeros

# Engines that fits leave to later ones of the same network and parameters, and the size up to which they do: a short
# fit would make workspaces, and try how many threads pay, for longer than it trains.
KEPT_ENGINES = 8
KEPT_PARAMETERS = 1 << 16
_kept: dict[tuple[Any, ...], "EstimatorEngine"] = {}

# NumPy itself shuffles so few rows faster than the state of its generator is read and written.
FEW_ROWS = 4096

# From here on scikit-learn's adaptive rate is too small to go on.
SMALLEST_RATE = 1e-6


class EstimatorEngine(Engine):
    """The engine, with scikit-learn's losses and shuffles in place of its own.

    Logarithms of probabilities are cut by the precision of `digits`, the network's dtype unless it is given.
    """

    ops = ESTIMATOR_OPS

    def __init__(
        self, architecture: Architecture, training: Training | None, n_threads: int | None,
        digits: np.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(architecture, training, n_threads)
        if training is not None:
            objective, eps = training.objective, float(np.finfo(digits or architecture.dtype).eps)
            # Smoothed targets give every class a part: scikit-learn's bounds, of a whole example's loss, do not fit.
            least, most = (-np.inf, np.inf) if objective.label_smoothing else (-np.log1p(-eps), -np.log(eps))
            scale = 1.0 / architecture.sizes[-1] if objective.loss == "squared_error" else 1.0
            self.loss_terms = least, most, scale

    def release(self, workspace: Workspace) -> None:
        """Take a workspace back, and let go of a fit that is over."""
        super().release(workspace)
        if workspace.n_parameters <= KEPT_PARAMETERS:
            workspace.unbind_training()


def engine_for(
    architecture: Architecture, training: Training | None, n_threads: int | None, digits: np.dtype | None = None
) -> EstimatorEngine:
    """Make an engine for a fit, or take that of an earlier one; threads may fit with one engine at the same time."""
    drops = training is not None and any(training.objective.dropout)
    if architecture.n_parameters > KEPT_PARAMETERS or drops or any(map(callable, architecture.hidden)):
        return EstimatorEngine(architecture, training, n_threads, digits)
    key = (architecture, training, n_threads, digits, available_threads())
    engine = _kept.pop(key, None) or EstimatorEngine(architecture, training, n_threads, digits)
    _kept[key] = engine
    if len(_kept) > KEPT_ENGINES:
        forget_oldest(_kept, KEPT_ENGINES)
    return engine


class _NoEntropy(np.random.bit_generator.ISeedSequence):
    """Of a generator that is about to be seeded, and need not gather and stir any: most of the time of making it."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return np.zeros(n_words, dtype)


def random_stream(random_state: Any) -> np.random.RandomState:
    """Return what `sklearn.utils.check_random_state` does, a new one for a number."""
    if not isinstance(random_state, Integral):
        shared: np.random.RandomState = check_random_state(random_state)
        return shared
    no_entropy: Any = _NoEntropy()
    stream = np.random.RandomState(np.random.MT19937(no_entropy))
    number: Any = random_state
    stream.seed(number)
    return stream


class RandomOrder:
    """An order of examples that every epoch shuffles as a NumPy generator would, from where that stands.

    Parameters
    ----------
    rows : numpy.ndarray
        The examples, in their first order.
    generator : numpy.random.RandomState
        Gives the shuffles. `give_back` moves it to where its own would have.
    shuffles : bool
        Whether epochs shuffle at all.
    epochs : int
        How many there will be.
    """

    def __init__(self, rows: np.ndarray, generator: np.random.RandomState, shuffles: bool, epochs: int) -> None:
        m = rows.size
        self.rows = rows.astype(np.uint32)
        # The generator's state, for the kernels.
        self.generator = np.zeros(GENERATOR_WORDS, np.uint32)
        self._generator, self._state = generator, None
        self.by_hand = shuffles and epochs == 1 and m <= FEW_ROWS
        if not shuffles or self.by_hand:
            return
        state = generator.get_state(legacy=False)
        self.by_hand = state["bit_generator"] != "MT19937"
        if not self.by_hand:
            self._state = state
            self.generator[:STATE] = state["state"]["key"]
            self.generator[USED], self.generator[SHUFFLES] = state["state"]["pos"], 1

    def shuffle_by_hand(self) -> None:
        """Shuffle by the generator itself: the kernels do not know it, or to hand over its state would take longer."""
        self._generator.shuffle(self.rows)

    def give_back(self) -> None:
        """Let the generator go on behind the shuffles."""
        if self._state is not None:
            self._state["state"] = {"key": self.generator[:STATE].copy(), "pos": int(self.generator[USED])}
            self._generator.set_state(self._state)


def rule_of(estimator: Any) -> UpdateRule | None:
    """Return the rule of an estimator's solver; None for L-BFGS.

    scikit-learn allows SGD a momentum of exactly 1, and has the corrections of its Adam in the rates.
    """
    beta_1, beta_2, epsilon = estimator.beta_1, estimator.beta_2, estimator.epsilon
    match estimator.solver:
        case "sgd":
            name = "nesterov" if estimator.nesterovs_momentum else "classical"
            momentum = float(estimator.momentum)
            return UpdateRule(name, "v", beta1=momentum) if momentum else UpdateRule("sgd")
        case "adam":
            return UpdateRule("adam", "vs", float(beta_1), float(beta_2), float(epsilon), corrected=False)
        case "rmsprop":
            return RMSProp(0.0, rho=beta_2, epsilon=epsilon).rule()
        case "adamw":
            return AdamW(0.0, beta1=beta_1, beta2=beta_2, epsilon=epsilon, weight_decay=estimator.alpha).rule()
    return None


def _own_state(v: np.ndarray, s: np.ndarray, powers: np.ndarray, step: int, dtype: np.dtype) -> State:
    """Make a state of copies: unpickled arrays may lie in a file, where vectors cannot read, or be of foreign bytes."""
    own_v, own_s, no_h = (aligned_zeros(array.size, dtype) for array in (v, s, v[:0]))
    with np.errstate(over="ignore"):
        own_v[:], own_s[:] = v, s
    return State(own_v, own_s, no_h, np.array(powers, np.float64), step)


class StochasticSolver:
    """Rule and learning rates of a stochastic solver, and the state of its updates.

    ``"adam"`` is scikit-learn's: rate_t = rate sqrt(1 - beta_2^t) / (1 - beta_1^t), and epsilon is added to the root of
    the uncorrected second moment. ``"adamw"`` and ``"rmsprop"`` are `fastnn.AdamW` and `fastnn.RMSProp`.

    Parameters
    ----------
    estimator : estimator
        Its parameters; checked.
    architecture : Architecture
        The network.
    rule : UpdateRule or None
        From `rule_of`.
    """

    def __init__(self, estimator: Any, architecture: Architecture, rule: UpdateRule | None) -> None:
        self.solver, self.mode = estimator.solver, estimator.learning_rate
        self.learning_rate_init = float(estimator.learning_rate_init)
        self.learning_rate = self.learning_rate_init
        self.power_t = estimator.power_t
        self.betas = float(estimator.beta_1), float(estimator.beta_2)
        self.schedule = None if isinstance(self.mode, str) else self.mode
        self.rule, self.state = rule, State.zeros(architecture, rule)
        # Whether it is of more digits than the network that it trains.
        self.wider = False

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "state": (self.state.v, self.state.s, self.state.powers, self.state.step)}

    def __setstate__(self, values: dict[str, Any]) -> None:
        v, s, powers, step = values.pop("state")
        vars(self).update(values)
        self.state = _own_state(v, s, powers, step, v.dtype.newbyteorder("="))

    def suits(self, architecture: Architecture) -> bool:
        """Whether the moments are those of a network of these sizes; if so, they take on its dtype."""
        state = self.state
        if any(array.size not in (0, architecture.n_parameters) for array in (state.v, state.s)):
            return False
        if state.v.dtype != architecture.dtype:
            self.state = _own_state(state.v, state.s, state.powers, state.step, architecture.dtype)
        return True

    def overflowed(self) -> bool:
        """Whether a mean square has no end, so that its parameter no longer moves."""
        return self.state.s.size > 0 and bool(np.maximum.reduce(self.state.s) == np.inf)

    def rates(self, epochs: int, steps: int, seen: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rates of the steps of the next epochs, `seen` examples after the beginning.

        And the same with Adam's corrections, as the kernels want them.
        """
        if self.schedule is not None:
            result = rates(self.schedule, self.state.step, epochs * steps)
        elif self.solver == "sgd" and self.mode == "invscaling":
            each = [self.learning_rate, *(self._inverse(seen + k * m) for k in range(1, epochs))]
            result = np.repeat(np.array(each), steps)
        else:
            result = np.full(epochs * steps, self.learning_rate)
        if self.solver != "adam":
            return result, result
        t = self.state.step + 1.0 + np.arange(result.size)
        beta_1, beta_2 = self.betas
        return result, result * np.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)

    def _inverse(self, seen: int) -> float:
        rate: float = self.learning_rate_init / (seen + 1) ** self.power_t
        return rate

    def epoch_ends(self, seen: int) -> None:
        """Let the rate follow its mode."""
        if self.solver == "sgd" and self.mode == "invscaling":
            self.learning_rate = self._inverse(seen)

    def stops(self, message: str, verbose: bool) -> bool:
        """Whether training ends when it does not improve any more; otherwise the rate falls."""
        if self.solver != "sgd" or self.mode != "adaptive":
            if verbose:
                print(message + " Stopping.")
            return True
        if self.learning_rate <= SMALLEST_RATE:
            if verbose:
                print(message + " Learning rate too small. Stopping.")
            return True
        self.learning_rate /= 5.0
        if verbose:
            print(f"{message} Setting learning rate to {self.learning_rate:f}")
        return False
