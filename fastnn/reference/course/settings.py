"""What each notebook's `model` is asked for besides data, checked; both sides train by these."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from fastnn import checks

Initialization = Literal["zeros", "random", "he", "xavier"]
Update = Literal["gd", "momentum", "adam"]
Decay = Callable[[float, int, float], float]

_PASSES = "forward_propagation", "backward_propagation"


@dataclass(frozen=True)
class InitializationSettings(checks.CheckedSettings):
    """Arguments of `fastnn.initialization.model`, which describes them."""

    learning_rate: float
    num_iterations: int
    initialization: Initialization

    def __post_init__(self) -> None:
        self._checked(
            learning_rate=checks.finite_number("learning_rate", self.learning_rate),
            num_iterations=checks.count("num_iterations", self.num_iterations, 0),
            initialization=checks.one_of("initialization", self.initialization, get_args(Initialization)),
        )

    def functions(self) -> tuple[str, ...]:
        """Return the names of what the notebook's `model` calls."""
        return f"initialize_parameters_{self.initialization}", *_PASSES, "compute_loss", "update_parameters"


@dataclass(frozen=True)
class RegularizationSettings(checks.CheckedSettings):
    """Arguments of `fastnn.regularization.model`, which describes them."""

    learning_rate: float
    num_iterations: int
    lambd: float
    keep_prob: float

    def __post_init__(self) -> None:
        self._checked(
            learning_rate=checks.finite_number("learning_rate", self.learning_rate),
            num_iterations=checks.count("num_iterations", self.num_iterations, 0),
            lambd=checks.l2_penalty(self.lambd),
            keep_prob=checks.keep_probability(self.keep_prob),
        )
        checks.one_regularizer(self.lambd, self.keep_prob)

    def functions(self) -> tuple[str, ...]:
        """Return the names of what the notebook's `model` calls."""
        forward, backward = _PASSES
        cost = "compute_cost"
        if self.lambd != 0:
            cost, backward = f"{cost}_with_regularization", f"{backward}_with_regularization"
        elif self.keep_prob < 1:
            forward, backward = f"{forward}_with_dropout", f"{backward}_with_dropout"
        return "initialize_parameters", forward, cost, backward, "update_parameters"


@dataclass(frozen=True)
class OptimizationSettings(checks.CheckedSettings):
    """Arguments of `fastnn.optimization.model`, which describes them; `layers_dims` fits the data already.

    `last_rate` is the rate as it was given, or with a decay what `next_rate` returned last: the title of the cost curve
    states it.
    """

    layers_dims: list[int]
    optimizer: Update
    learning_rate: float
    mini_batch_size: int
    beta: float
    beta1: float
    beta2: float
    epsilon: float
    num_epochs: int
    decay: Decay | None = None
    decay_rate: float = 1
    cost_of_last_batch: bool = False
    last_rate: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        self._checked(
            last_rate=self.learning_rate,
            optimizer=checks.one_of("optimizer", self.optimizer, get_args(Update)),
            learning_rate=checks.finite_number("learning_rate", self.learning_rate),
            mini_batch_size=checks.count("mini_batch_size", self.mini_batch_size, 1),
            beta=checks.finite_number("beta", self.beta),
            beta1=checks.finite_number("beta1", self.beta1),
            beta2=checks.finite_number("beta2", self.beta2),
            epsilon=checks.finite_number("epsilon", self.epsilon),
            num_epochs=checks.count("num_epochs", self.num_epochs, 0),
            decay=checks.decay_rule(self.decay),
            decay_rate=checks.finite_number("decay_rate", self.decay_rate),
        )

    def functions(self) -> tuple[str, ...]:
        """Return the names of what the notebook's `model` calls."""
        state = {"gd": (), "momentum": ("initialize_velocity",), "adam": ("initialize_adam",)}[self.optimizer]
        update = f"update_parameters_with_{self.optimizer}"
        return "initialize_parameters", *state, "random_mini_batches", *_PASSES, "compute_cost", update

    def next_rate(self, epoch: int) -> float:
        """Return the learning rate that follows an epoch: the first one's, or what `decay` says."""
        if self.decay is None:
            return self.learning_rate
        rate = self.decay(self.learning_rate, epoch, self.decay_rate)
        self._checked(last_rate=checks.real_number("the learning rate that decay returns", rate))
        return self.last_rate


# By notebook.
SETTINGS = {
    "initialization": InitializationSettings,
    "regularization": RegularizationSettings,
    "optimization": OptimizationSettings,
}
