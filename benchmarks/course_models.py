"""Each course `model`: time of a step, the ratio to the NumPy side, and peak memory."""

import math
from dataclasses import dataclass

from benchmarks import common, startup
from fastnn.reference.course.settings import SETTINGS


@dataclass(frozen=True)
class Run:
    """A training run of the course: `epochs` is the default of its `model`."""

    module: str
    m: int
    epochs: int
    arguments: dict
    batch: int | None = None

    @property
    def steps_an_epoch(self):
        return math.ceil(self.m / (self.batch or self.m))

    def trainer(self, side, epochs):
        """Return a call that trains for so many epochs and records no cost."""
        X, Y = common.draw_data(2, 1, self.m)
        train = common.course(side, self.module)._train
        epochs_name = "num_epochs" if self.module == "optimization" else "num_iterations"
        settings = SETTINGS[self.module](**self.arguments, **{epochs_name: epochs})
        return lambda: train(X, Y, settings, None)


def _optimization(optimizer, batch=64, epochs=10000):
    settings = {
        "layers_dims": [2, 5, 2, 1], "optimizer": optimizer, "learning_rate": 0.0007, "mini_batch_size": batch,
        "beta": 0.9, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "decay": None, "decay_rate": 1,
    }  # fmt: skip
    return Run("optimization", 300, epochs, settings, batch)


def _regularization(lambd=0.0, keep_prob=1.0):
    return Run("regularization", 211, 30000, {"learning_rate": 0.3, "lambd": lambd, "keep_prob": keep_prob})


RUNS = {
    "he": Run("initialization", 300, 15000, {"learning_rate": 0.01, "initialization": "he"}),
    "no regularization": _regularization(),
    "l2": _regularization(lambd=0.7),
    "dropout": _regularization(keep_prob=0.86),
    "gd": _optimization("gd"),
    "momentum": _optimization("momentum"),
    "adam": _optimization("adam"),
    "batch gd": _optimization("gd", batch=300),
    "stochastic gd": _optimization("gd", batch=1, epochs=200),
}

# The NumPy side's steps all cost the same: some tens of milliseconds of them are enough.
REFERENCE_STEPS = 500


class Models:
    """Whole runs at the notebooks' settings."""

    params = (list(RUNS),)
    param_names = ("run",)

    def setup(self, run):
        self.run = RUNS[run]
        self.train = self.run.trainer(common.COMPILED, self.run.epochs)
        self.train()

    def track_step(self, run):
        return common.seconds(self.train) / (self.run.epochs * self.run.steps_an_epoch)

    track_step.unit = "seconds"

    def track_speedup_over_numpy(self, run):
        epochs = math.ceil(REFERENCE_STEPS / self.run.steps_an_epoch)
        reference = self.run.trainer(common.REFERENCE, epochs)
        return round(common.speedup(self.train, reference) * self.run.epochs / epochs, 2)

    track_speedup_over_numpy.unit = "x"


class Memory:
    """Peak memory of a process that trains, on either side."""

    params = (["he", "dropout", "adam"], [common.COMPILED, common.REFERENCE])
    param_names = ("run", "side")

    def setup(self, run, side):
        self.run = RUNS[run]
        # Fill the cache in a process of its own: a compiler's memory is not a training run's.
        startup.first_call(self.run.module)

    def peakmem_model(self, run, side):
        self.run.trainer(side, 200)()
