"""Train fully connected neural networks on a CPU.

`Network` and `Trainer`, or `train`, with an optimiser and a schedule, are the engine, for any network.
`initialization`, `regularization`, `gradient_checking` and `optimization` stand for a well-known course's four
notebooks, compiled; `v1` and `v2021` hold the form that its first and its latest ones have. `reference` holds all of it
in plain NumPy. Everything is loaded when first used: importing `fastnn` alone compiles nothing and loads neither numba
nor NumPy.

Examples
--------
>>> import numpy as np
>>> import fastnn
>>> X = np.random.RandomState(0).randn(2, 300)  # examples are columns
>>> Y = X[0] * X[1] > 0
>>> net = fastnn.Network([2, 16, 16, 1], hidden_activation="tanh", output="sigmoid", seed=0)
>>> history = fastnn.train(net, X, Y, epochs=200, batch_size=64, optimizer=fastnn.Adam(0.01), seed=0)
>>> bool(((net.predict(X)[0] > 0.5) == Y).mean() > 0.97)
True
"""

from typing import TYPE_CHECKING, Any

from fastnn.interrupts import imported

if TYPE_CHECKING:
    from fastnn import gradient_checking, initialization, optimization, reference, regularization
    from fastnn import v1 as v1
    from fastnn import v2021 as v2021
    from fastnn.callbacks import Checkpoint, EarlyStopping, LearningRateScheduler, ProgressBar
    from fastnn.config import show_config, warmup
    from fastnn.estimators import MLPClassifier as MLPClassifier
    from fastnn.estimators import MLPRegressor as MLPRegressor
    from fastnn.finite_differences import gradient_check
    from fastnn.history import History
    from fastnn.inspection import plot_decision_boundary, plot_history
    from fastnn.network import Network
    from fastnn.optimizers import LBFGS, SGD, Adam, AdamW, AMSGrad, Lion, Momentum, RMSProp
    from fastnn.schedules import Constant, Cosine, InverseScaling, OneCycle, Polynomial, StepDecay
    from fastnn.trainer import Trainer, train

    __version__: str

_VERSIONS = ("v1", "v2021")
_MODULES = ("gradient_checking", "initialization", "optimization", "reference", "regularization", *_VERSIONS)
_HOMES = {
    "finite_differences": ("gradient_check",),
    "history": ("History",),
    "estimators": ("MLPClassifier", "MLPRegressor"),
    "callbacks": ("Checkpoint", "EarlyStopping", "LearningRateScheduler", "ProgressBar"),
    "inspection": ("plot_decision_boundary", "plot_history"),
    "network": ("Network",),
    "optimizers": ("AMSGrad", "Adam", "AdamW", "LBFGS", "Lion", "Momentum", "RMSProp", "SGD"),
    "config": ("show_config", "warmup"),
    "schedules": ("Constant", "Cosine", "InverseScaling", "OneCycle", "Polynomial", "StepDecay"),
    "trainer": ("Trainer", "train"),
}

# Without the estimators, for a star import must not need scikit-learn, and without names as short as v1.
__all__ = [
    "LBFGS",
    "SGD",
    "AMSGrad",
    "Adam",
    "AdamW",
    "Checkpoint",
    "Constant",
    "Cosine",
    "EarlyStopping",
    "History",
    "InverseScaling",
    "LearningRateScheduler",
    "Lion",
    "Momentum",
    "Network",
    "OneCycle",
    "Polynomial",
    "ProgressBar",
    "RMSProp",
    "StepDecay",
    "Trainer",
    "__version__",
    "gradient_check",
    "gradient_checking",
    "initialization",
    "optimization",
    "plot_decision_boundary",
    "plot_history",
    "reference",
    "regularization",
    "show_config",
    "train",
    "warmup",
]


if not TYPE_CHECKING:  # a checker is told the names above, and no others

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return imported(f"{__name__}.version").installed_version()
        if name in _MODULES:
            return imported(f"{__name__}.{name}")
        for module, names in _HOMES.items():
            if name in names:
                value = getattr(imported(f"{__name__}.{module}"), name)
                globals()[name] = value
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES["estimators"], *_VERSIONS})
