"""Types: what a user's checker makes of the public names, and that every tuple of names has all of its Literal's."""

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest

import fastnn
from fastnn import initializers, losses
from fastnn.reference import initialization
from fastnn.reference.course.settings import Initialization
from fastnn.trainer import TrainerOptions

# A line that must be refused ends in the code of its error.
PROGRAMS = {
    "right": """
import numpy as np
from numpy.typing import NDArray

import fastnn
from fastnn.callbacks import EarlyStopping
from fastnn.optimization import initialize_adam, model, update_parameters_with_adam
from fastnn.schedules import Cosine


def halved(z: float) -> tuple[float, float]:
    return z / 2, 0.5


X: NDArray[np.float64] = np.random.RandomState(0).randn(2, 300)
net = fastnn.Network([2, 16, 1], hidden_activation=["tanh"], output="sigmoid", dtype=np.float32, seed=0)
own = fastnn.Network((2, 3, 1), hidden_activation=halved, initializer="lecun")
optimizer: fastnn.Adam = fastnn.Adam(Cosine(0.01, steps=100))
trainer = fastnn.Trainer(net, optimizer, loss="huber", dropout=[0.0, 0.5])
history = trainer.fit(X, X[0] > 0, epochs=2, batch_size=None, callbacks=[EarlyStopping()])
losses: list[float] = history.loss
rates: dict[str, list[float]] = history.as_dict()
A, cache = net.forward(X)
grads, dX = net.backward(np.ones_like(A), cache)
largest: float = max(float(abs(dW).max()) for dW in grads.values())
error: float = fastnn.gradient_check(trainer, X.tolist(), [[1.0] * 300])
fastnn.train(own, X, X[:1], optimizer=fastnn.SGD(lambda step: 1 / (1 + step)), loss=lambda a, y: (abs(a - y), 1.0))
fastnn.plot_history(history).set_title("loss")

parameters = model(X, X[:1] > 0, [2, 5, 1], "adam", decay=lambda rate, epoch, decay: rate)
v, s = initialize_adam(parameters)
parameters, v, s = update_parameters_with_adam(parameters, {"dW1": X}, v, s, 1)
cost: np.floating = fastnn.initialization.compute_loss([[0.5]], [[1]])
classifier = fastnn.MLPClassifier((16,), activation="gelu", solver="adamw", learning_rate=Cosine(0.01, 100))
fastnn.plot_decision_boundary(classifier, X.T, X[0] > 0)
W1: np.ndarray = fastnn.reference.Network([2, 1]).parameters["W1"]
""",
    "wrong": """
import math

import fastnn
from fastnn.optimization import model

fastnn.Netwrok([2, 1])  # attr-defined
fastnn.Network([2, 1], hidden_activation="rleu")  # arg-type
fastnn.Network([2, 1], output="linaer")  # arg-type
fastnn.Network([2, 1], initializer="xavier")  # arg-type
fastnn.Network([2, 1], hidden_activation=math.sqrt)  # arg-type
net = fastnn.Network([2, 1], seed="0")  # arg-type
net.predcit([[1.0], [2.0]])  # attr-defined
net.seed = 3  # misc
fastnn.Adam("fast")  # arg-type
fastnn.Trainer(net, "adam")  # arg-type
fastnn.StepDecay(0.1, evry=3)  # call-arg
fastnn.plot_history([1.0, 2.0])  # arg-type
fastnn.plot_decision_boundary(net.seed, [[1.0, 2.0]], [1])  # arg-type
model([[1.0]], [[1]], [1, 1], "adma")  # arg-type
fastnn.train(net, [[1.0]], [[1.0]], los="huber")  # call-arg
fastnn.reference.Newtork([2, 1])  # attr-defined
fastnn.MLPClassifier(solver="adma")  # arg-type
fastnn.MLPRegressor(los="poisson")  # call-arg
""",
}


def test_names_and_literals_agree():
    assert set(losses.LOSS_NAMES) == set(chain(*losses.LOSSES.values()))
    assert tuple(losses.LOSSES) == losses.OUTPUTS
    assert tuple(initializers._SPREADS) == initializers.INITIALIZERS
    assert tuple(initialization.INITIALIZERS) == get_args(Initialization)


def test_options_of_train_are_the_trainer_s():
    assert list(TrainerOptions.__annotations__) == list(inspect.signature(fastnn.Trainer).parameters)[1:]


def test_checker_accepts_a_right_program_and_refuses_each_mistake(tmp_path):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed: .ci/run brings it")
    public = "".join(f"fastnn.{name}\n" for name in fastnn.__all__)
    for name, text in {**PROGRAMS, "right": PROGRAMS["right"] + public}.items():
        (tmp_path / f"{name}.py").write_text(text.lstrip())
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    done = subprocess.run(
        [*command, "--config-file=", "--cache-dir=cache", "--no-error-summary", "right.py", "wrong.py"],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(Path(fastnn.__file__).parents[1])}, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    found = re.findall(r"^(\w+)\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    wrong = PROGRAMS["wrong"].lstrip().splitlines()
    expected = [("wrong", str(k), line.split("  # ")[1]) for k, line in enumerate(wrong, 1) if "  # " in line]
    assert found == expected, done.stdout + done.stderr
