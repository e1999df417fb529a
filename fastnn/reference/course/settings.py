"""What each notebook's `model` is asked for besides data, checked; both sides train by these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from fastnn import checks

Initialization = Literal["zeros", "random", "he", "xavier"]
Update = Literal["gd", "momentum", "adam"]
Decay = Callable[[float, int, float], float]


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


@dataclass(frozen=True)
class OptimizationSettings(checks.CheckedSettings):
    """Arguments of `fastnn.optimization.model`, which describes them; `layers_dims` fits the data already."""

    layers_dims: list[int]
    optimizer: Update
    learning_rate: float
    mini_batch_size: int
    beta: float
    beta1: float
    beta2: float
    epsilon: float
    num_epochs: int
    decay: Decay | None
    decay_rate: float

    def __post_init__(self) -> None:
        self._checked(
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

    def next_rate(self, epoch: int) -> float:
        """Return the learning rate that follows an epoch: the first one's, or what `decay` says."""
        if self.decay is None:
            return self.learning_rate
        rate = self.decay(self.learning_rate, epoch, self.decay_rate)
        return checks.real_number("the learning rate that decay returns", rate)


# By notebook.
SETTINGS = {
    "initialization": InitializationSettings,
    "regularization": RegularizationSettings,
    "optimization": OptimizationSettings,
}
