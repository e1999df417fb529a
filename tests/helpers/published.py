"""The course's published runs: data, settings and figures, for both sides of the package."""

import importlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

REFERENCE = "fastnn.reference"
COMPILED = "fastnn"
SIDES = (REFERENCE, COMPILED)
COURSE_MODULES = ("initialization", "regularization", "gradient_checking", "optimization")
# Those with functions of their own; and all that there are.
DIFFERENT = (*COURSE_MODULES, "v1.optimization", "v2021.gradient_checking", "v2021.optimization")
DOORS = (*DIFFERENT, "v2021.initialization", "v2021.regularization")


@dataclass(frozen=True)
class Run:
    """One published training run.

    `costs` maps an iteration (epoch) to the cost printed there and the digits that were published:
    a relative tolerance. `settings` are keyword arguments of `model`.
    """

    module: str
    data: str
    settings: dict = field(default_factory=dict)
    costs: dict[int, tuple[float, float]] = field(default_factory=dict)
    train_accuracy: float = 0.0
    test_accuracy: float | None = None
    decay: str | None = None


_LAYERS = {"layers_dims": [2, 5, 2, 1]}
_DECAYED = {**_LAYERS, "num_epochs": 5000, "decay_rate": 1}

RUNS = {
    "zeros": Run(
        "initialization", "circles", {"initialization": "zeros"},
        dict.fromkeys(range(0, 15000, 1000), (0.6931471805599453, 1e-12)), 0.5, 0.5,
    ),
    "random": Run(
        "initialization", "circles", {"initialization": "random"},
        {0: (np.inf, 0), 1000: (0.624, 5e-2)}, 0.83, 0.86,
    ),
    "he": Run(
        "initialization", "circles", {"initialization": "he"},
        {0: (0.8830537463419761, 1e-12), 14000: (0.07357895962677366, 1e-12)}, 298 / 300, 0.96,
    ),
    "none": Run(
        "regularization", "football", {},
        {0: (0.65574, 1e-5), 10000: (0.16330, 3e-5), 20000: (0.13852, 4e-5)}, 200 / 211, 0.915,
    ),
    "l2": Run(
        "regularization", "football", {"lambd": 0.7},
        {0: (0.69745, 1e-5), 10000: (0.26849, 2e-5), 20000: (0.26809, 2e-5)}, 198 / 211, 0.93,
    ),
    "dropout": Run(
        "regularization", "football", {"keep_prob": 0.86},
        {0: (0.65439, 1e-5), 10000: (0.06102, 1e-4), 20000: (0.06058, 1e-4)}, 196 / 211, 0.95,
    ),
    "gd": Run(
        "optimization", "moons", {**_LAYERS, "optimizer": "gd"},
        {0: (0.702405, 1e-6), 9000: (0.468014, 2e-6)}, 239 / 300,
    ),
    "momentum": Run(
        "optimization", "moons", {**_LAYERS, "optimizer": "momentum", "beta": 0.9},
        {0: (0.702413, 1e-6), 9000: (0.468160, 2e-6)}, 239 / 300,
    ),
    "adam": Run(
        "optimization", "moons", {**_LAYERS, "optimizer": "adam"},
        {0: (0.702166, 1e-6), 9000: (0.129118, 5e-6)}, 0.94,
    ),
    "gd, update_lr": Run(
        "optimization", "moons", {**_DECAYED, "optimizer": "gd", "learning_rate": 0.1},
        {}, 196 / 300, decay="update_lr",
    ),
    "gd, schedule_lr_decay": Run(
        "optimization", "moons", {**_DECAYED, "optimizer": "gd", "learning_rate": 0.1},
        {}, 283 / 300, decay="schedule_lr_decay",
    ),
    "momentum, schedule_lr_decay": Run(
        "optimization", "moons", {**_DECAYED, "optimizer": "momentum", "learning_rate": 0.1},
        {}, 286 / 300, decay="schedule_lr_decay",
    ),
    "adam, schedule_lr_decay": Run(
        "optimization", "moons", {**_DECAYED, "optimizer": "adam", "learning_rate": 0.01},
        {}, 0.94, decay="schedule_lr_decay",
    ),
}  # fmt: skip


def course(side: str, module: str) -> ModuleType:
    """Import a course module of one side."""
    return importlib.import_module(f"{side}.{module}")


def own_names(side: str, module: str) -> list[str]:
    """Return a module's public names, of another version's only those that are not `fastnn`'s own."""
    door = course(side, module)
    if module in COURSE_MODULES:
        return door.__all__
    usual = course(side, module.rpartition(".")[2])
    return [name for name in door.__all__ if getattr(door, name) is not getattr(usual, name)]


def circles(n: int = 300, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return X (2, n) and Y (1, n) of the initialization notebook; seed 2 and n 100 to test on."""
    datasets = pytest.importorskip("sklearn.datasets")
    np.random.seed(seed)
    X, Y = datasets.make_circles(n_samples=n, noise=0.05)
    return X.T, Y.reshape(1, -1)


def moons() -> tuple[np.ndarray, np.ndarray]:
    """Return X (2, 300) and Y (1, 300) of the optimization notebook."""
    datasets = pytest.importorskip("sklearn.datasets")
    np.random.seed(3)
    X, Y = datasets.make_moons(n_samples=300, noise=0.2)
    return X.T, Y.reshape(1, -1)


def football_file() -> Path:
    """Return the place of data.mat, or skip: the file is not ours to ship."""
    given = os.environ.get("FASTNN_DATA_MAT")
    file = Path(given) if given else Path(__file__).parents[3] / "shared" / "data" / "data.mat"
    if not file.is_file():
        pytest.skip(f"the football data set is not at {file}; FASTNN_DATA_MAT may point to it")
    return file


def football() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return train and test X, Y of the regularization notebook."""
    data = pytest.importorskip("scipy.io").loadmat(football_file())
    return tuple(np.ascontiguousarray(data[key].T) for key in ("X", "y", "Xval", "yval"))


def data_of(run: Run) -> tuple[np.ndarray, ...]:
    """Return (train_X, train_Y) of a run, and (test_X, test_Y) after them where there is a test set."""
    if run.data == "circles":
        return (*circles(), *circles(100, 2))
    return football() if run.data == "football" else moons()


def train(side: str, name: str, **overrides) -> dict[str, np.ndarray]:
    """Call `model` on one side with the settings of a published run."""
    run = RUNS[name]
    module = course(side, run.module)
    settings = {**run.settings, **overrides}
    if run.decay is not None:
        settings["decay"] = getattr(module, run.decay)
    return module.model(*data_of(run)[:2], **settings)


def accuracies(side: str, name: str, parameters: dict[str, np.ndarray]) -> list[float]:
    """Return the accuracy on the training set, and on the test set where there is one."""
    run = RUNS[name]
    module = course(side, run.module)
    data = data_of(run)
    sets = zip(data[::2], data[1::2], strict=True)
    return [float(np.mean(module.predict_dec(parameters, X) == Y)) for X, Y in sets]


def printed_costs(text: str) -> dict[int, float]:
    """Read the costs that `model` printed, by iteration or epoch."""
    lines = re.findall(r"^Cost after (?:iteration|epoch) (\d+): (\S+)$", text, re.MULTILINE)
    return {int(i): float(cost) for i, cost in lines}
