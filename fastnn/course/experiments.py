"""The course's thirteen experiments: what they are, training them, and timing them against the reference.

Settings that an experiment does not name are the defaults of its notebook's `model`. Training goes through the
`_train` under each `model`, which neither prints nor draws.
"""

import importlib
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.course.datasets import Data
from fastnn.reference.course.layers import Arrays
from fastnn.reference.course.settings import SETTINGS

COMPILED, REFERENCE = "fastnn", "fastnn.reference"

# Both sides are timed in turns and the best of each counts, so that a passing load does not decide.
ROUNDS = 2
# Seconds of NumPy per round: twenty-six of them must leave room in 90 s for a compilation on a slow machine.
REFERENCE_SECONDS = 0.35
REFERENCE_WARM_UP = 20

# About as many points as a decision boundary is drawn from.
GRID_POINTS = 100_000


@dataclass(frozen=True)
class Experiment:
    """One training run of the course.

    Parameters
    ----------
    name : str
        Short name, for the command line.
    title : str
        What the table and the figures call it.
    group : str
        The experiments that it is drawn with.
    module : str
        Its notebook.
    data : {"circles", "football", "moons"}
        Its data set.
    settings : mapping
        Arguments of `model` other than the data; `decay` is the name of a function of the notebook.

    Examples
    --------
    >>> EXPERIMENTS["l2"].settings["lambd"]
    0.7
    """

    name: str
    title: str
    group: str
    module: str
    data: str
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def arguments(self) -> dict[str, Any]:
        """What the settings of `model` are made of, `decay` still by name."""
        model = inspect.signature(_course(REFERENCE, self).model)
        defaults = {p.name: p.default for p in model.parameters.values() if p.default is not p.empty}
        del defaults["print_cost"], defaults["warn_redefined"]
        return {**defaults, **self.settings}

    @property
    def iterations(self) -> int:
        """How many iterations, or epochs of mini-batches, it trains for."""
        return int(self.arguments[self.counts])

    @property
    def counts(self) -> str:
        """The argument of `model` that says for how long it trains."""
        return "num_epochs" if self.module == "optimization" else "num_iterations"


def _listed(*experiments: Experiment) -> Mapping[str, Experiment]:
    """Return the experiments by name, in order."""
    return MappingProxyType({experiment.name: experiment for experiment in experiments})


def _optimization(name: str, title: str, optimizer: str, **settings: Any) -> Experiment:
    """Return an experiment of the optimization notebook."""
    group = "learning-rate decay" if "decay" in settings else "optimization"
    settings = {"layers_dims": [2, 5, 2, 1], "optimizer": optimizer, **settings}
    return Experiment(name, title, group, "optimization", "moons", MappingProxyType(settings))


def _decayed(name: str, title: str, optimizer: str, decay: str, learning_rate: float) -> Experiment:
    """Return an experiment with learning-rate decay."""
    return _optimization(
        name, title, optimizer, learning_rate=learning_rate, num_epochs=5000, decay=decay, decay_rate=1
    )


def _initialization(name: str, title: str) -> Experiment:
    """Return an experiment of the initialization notebook."""
    settings = MappingProxyType({"initialization": name})
    return Experiment(name, title, "initialization", "initialization", "circles", settings)


def _regularization(name: str, title: str, **settings: Any) -> Experiment:
    """Return an experiment of the regularization notebook."""
    return Experiment(name, title, "regularization", "regularization", "football", MappingProxyType(settings))


EXPERIMENTS = _listed(
    _initialization("zeros", "zeros"),
    _initialization("random", "random x10"),
    _initialization("he", "He"),
    _regularization("none", "no regularization"),
    _regularization("l2", "L2, lambd 0.7", lambd=0.7),
    _regularization("dropout", "dropout, keep_prob 0.86", keep_prob=0.86),
    _optimization("gd", "gradient descent", "gd"),
    _optimization("momentum", "momentum", "momentum"),
    _optimization("adam", "Adam", "adam"),
    _decayed("gd-update-lr", "gradient descent, update_lr", "gd", "update_lr", 0.1),
    _decayed("gd-decay", "gradient descent, schedule", "gd", "schedule_lr_decay", 0.1),
    _decayed("momentum-decay", "momentum, schedule", "momentum", "schedule_lr_decay", 0.1),
    _decayed("adam-decay", "Adam, schedule", "adam", "schedule_lr_decay", 0.01),
)


@dataclass
class Curve:
    """Collects the costs that a training reports; call it as `_train` calls its report.

    Parameters
    ----------
    advance : callable
        Called with the iteration (epoch) of each cost.

    Attributes
    ----------
    iterations : list of int
        Where costs were reported.
    costs : list of float
        The costs.

    Examples
    --------
    >>> curve = Curve(print)
    >>> curve(0, 0.7)
    0
    >>> curve(1000, 0.3)
    1000
    >>> curve.costs
    [0.7, 0.3]
    """

    advance: Callable[[int], object]
    iterations: list[int] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def __call__(self, i: int, cost: float, learning_rate: float | None = None) -> None:
        """Take the cost of iteration (epoch) i.

        Parameters
        ----------
        i : int
            Iteration or epoch, from 0.
        cost : float
            Its cost.
        learning_rate : float, optional
            Not kept.
        """
        self.iterations.append(i)
        self.costs.append(float(cost))
        self.advance(i)


@dataclass(frozen=True)
class Outcome:
    """What an experiment came to.

    Parameters
    ----------
    experiment : Experiment
        Which it was.
    data : Data
        What it was trained and tested on.
    parameters : dict
        The trained W1, b1, ..., WL, bL.
    curve : Curve
        Its costs.
    train_accuracy : float
        Fraction of the training examples that are classified right.
    test_accuracy : float or None
        The same of the test examples, where there are some.
    seconds : float
        Time of the compiled training, nothing recorded; the better of two where the reference is timed too.
    speed_up : float or None
        How many times longer the reference takes per iteration; None if it was not timed.
    reference_part : int or None
        The reference was timed twice on 1 / reference_part of the iterations.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from fastnn.course.datasets import football_stand_in
    >>> short = replace(EXPERIMENTS["none"], settings={"num_iterations": 10})
    >>> outcome = run(short, football_stand_in(), timed=False)
    >>> outcome.experiment.name, sorted(outcome.parameters)
    ('none', ['W1', 'W2', 'W3', 'b1', 'b2', 'b3'])
    """

    experiment: Experiment
    data: Data
    parameters: Arrays
    curve: Curve
    train_accuracy: float
    test_accuracy: float | None
    seconds: float
    speed_up: float | None
    reference_part: int | None

    def classify(self, X: np.ndarray) -> np.ndarray:
        """Classify points with the trained network.

        Parameters
        ----------
        X : numpy.ndarray, shape (2, k)
            Points in columns.

        Returns
        -------
        numpy.ndarray, shape (1, k), bool
            The classes.

        Examples
        --------
        >>> from dataclasses import replace
        >>> from fastnn.course.datasets import football_stand_in
        >>> short = replace(EXPERIMENTS["none"], settings={"num_iterations": 10})
        >>> outcome = run(short, football_stand_in(), timed=False)
        >>> outcome.classify(np.zeros((2, 3))).shape
        (1, 3)
        """
        classes: np.ndarray = _course(COMPILED, self.experiment).predict_dec(self.parameters, X)
        return classes


def _course(side: str, experiment: Experiment) -> ModuleType:
    """Return the notebook of an experiment on one side."""
    return importlib.import_module(f"{side}.{experiment.module}")


def train(
    side: str,
    experiment: Experiment,
    data: Data,
    iterations: int | None = None,
    report: Callable[..., None] | None = None,
) -> Arrays:
    """Train an experiment's network.

    Parameters
    ----------
    side : str
        COMPILED or REFERENCE.
    experiment : Experiment
        Which.
    data : Data
        What to train on.
    iterations : int, optional
        Iterations (epochs); all by default.
    report : callable, optional
        Called with iteration and cost (and learning rate) where the notebook records a cost. Without it nothing
        is recorded.

    Returns
    -------
    dict
        W1, b1, ..., WL, bL.

    Examples
    --------
    >>> from fastnn.course.datasets import football_stand_in
    >>> train(REFERENCE, EXPERIMENTS["none"], football_stand_in(), iterations=1)["W1"].shape
    (20, 2)
    """
    module = _course(side, experiment)
    arguments = experiment.arguments
    if arguments.get("decay") is not None:
        arguments["decay"] = getattr(module, arguments["decay"])
    if iterations is not None:
        arguments[experiment.counts] = iterations
    X, Y = checks.training_data(data.train_X, data.train_Y)
    # The random x10 run overflows and meets log(0), as it does in the course.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        parameters: Arrays = module._train(X, Y, SETTINGS[experiment.module](**arguments), report)
        return parameters


def warm_up(experiment: Experiment, data: Data) -> None:
    """Compile, or load from the cache on disk, all that an experiment calls.

    Parameters
    ----------
    experiment : Experiment
        Which.
    data : Data
        Its data.

    Examples
    --------
    >>> from fastnn.course.datasets import football_stand_in
    >>> warm_up(EXPERIMENTS["none"], football_stand_in())
    """
    parameters = train(COMPILED, experiment, data, 1)
    predict_dec = _course(COMPILED, experiment).predict_dec
    # Products as large as a figure's grid have kernels of their own.
    for X in (data.train_X, np.zeros((2, GRID_POINTS))):
        predict_dec(parameters, X)


def run(
    experiment: Experiment,
    data: Data,
    timed: bool = True,
    advance: Callable[[str, float], object] = lambda stage, done: None,
) -> Outcome:
    """Train an experiment on the compiled side, and time it against the reference.

    Parameters
    ----------
    experiment : Experiment
        Which; already compiled, if the times are to mean anything (`warm_up`).
    data : Data
        Its data.
    timed : bool
        Whether to time the reference too.
    advance : callable
        Called with what is being done, and how much of the work has been done, from 0 to 1.

    Returns
    -------
    Outcome
        Everything about the run.

    Notes
    -----
    The network is trained once recording its costs, and then without, to be timed. If the reference is timed too,
    both sides take turns, twice, and the better time of each counts; the reference runs, warmed up, as large a part
    of all iterations as fits into about 0.35 s.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from fastnn.course.datasets import football_stand_in
    >>> short = replace(EXPERIMENTS["l2"], settings={"lambd": 0.7, "num_iterations": 10})
    >>> outcome = run(short, football_stand_in(), timed=False)
    >>> outcome.curve.iterations, outcome.speed_up
    ([0], None)
    """
    rounds = ROUNDS if timed else 1
    training = 1 / (2 * ROUNDS + 1) if timed else 0.5
    n = experiment.iterations
    curve = Curve(lambda iteration: advance("training", training * iteration / n))
    parameters = train(COMPILED, experiment, data, report=curve)
    part = _reference_part(experiment, data) if timed else None
    seconds, reference_seconds = [], []
    for k in range(rounds):
        done = training + (1 - training) * k / rounds
        advance("timing", done)
        seconds.append(_seconds(COMPILED, experiment, data, n))
        if part is not None:
            advance("timing NumPy", done + training)
            reference_seconds.append(_seconds(REFERENCE, experiment, data, n // part))
    advance("done", 1.0)
    speed_up = min(reference_seconds) * part / min(seconds) if part is not None else None
    test_accuracy = None
    if data.test_X is not None and data.test_Y is not None:
        test_accuracy = _accuracy(experiment, parameters, data.test_X, data.test_Y)
    train_accuracy = _accuracy(experiment, parameters, data.train_X, data.train_Y)
    return Outcome(experiment, data, parameters, curve, train_accuracy, test_accuracy, min(seconds), speed_up, part)


def _accuracy(experiment: Experiment, parameters: Arrays, X: np.ndarray, Y: np.ndarray) -> float:
    """Return the fraction of examples that the compiled side classifies right."""
    return float(np.mean(_course(COMPILED, experiment).predict_dec(parameters, X) == Y))


def _seconds(side: str, experiment: Experiment, data: Data, iterations: int) -> float:
    """Return how long one side trains, recording nothing."""
    begin = time.perf_counter()
    train(side, experiment, data, iterations)
    return time.perf_counter() - begin


def _reference_part(experiment: Experiment, data: Data) -> int:
    """Warm up the reference, and return the smallest k such that 1/k of the iterations fit into a round."""
    n = experiment.iterations
    probe = min(n, REFERENCE_WARM_UP)
    seconds = min(_seconds(REFERENCE, experiment, data, probe) for _ in range(ROUNDS))
    return next(k for k in range(1, n + 1) if n % k == 0 and (seconds * n <= REFERENCE_SECONDS * k * probe or k == n))
