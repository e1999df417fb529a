"""Ctrl-C while code is loaded."""

import os

import pytest
from processes import run

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")

# Forks a child for each of the numbers given, in which Ctrl-C comes when so many modules have been asked for.
LOADING = """
import os, signal, sys, warnings
import fastnn

class Interrupting:
    def __init__(self, count):
        self.left = count
    def find_spec(self, name, path=None, target=None):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

def data():
    import numpy as np  # loaded by then, for nobody would hold Ctrl-C back here
    X = np.random.RandomState(0).randn(3, 50)
    return X, X[:1] > 0

def network():
    return fastnn.Network([3, 5, 1], "tanh", output="sigmoid", seed=1)

def predict():
    return network().predict(data()[0])

def step():
    trainer = fastnn.Trainer(network(), seed=1)
    trainer.step(*data())
    return trainer.network.vector

def model():
    from fastnn import optimization
    return optimization.model(*data(), [3, 4, 1], "adam", num_epochs=3, print_cost=False)["W1"]

def estimator():
    model = fastnn.MLPClassifier((5,), random_state=0, max_iter=3)
    X, Y = data()
    model.fit(X.T, Y[0])
    return model.predict_proba(X.T) if model.n_iter_ == 3 else None

def child(call, count):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore")
    sys.meta_path.insert(0, Interrupting(count))
    result, interrupted = None, False
    while result is None:
        try:
            result = call()
        except KeyboardInterrupt:
            assert not interrupted
            interrupted = True
    assert (result == call()).all()
    return interrupted

call = globals()[sys.argv[1]]
for count in map(int, sys.argv[2:]):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 10 if child(call, count) else 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    print(count, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def interrupted_loads(name, counts):
    printed = run(LOADING, name, *counts)
    codes = [int(line.split()[1]) for line in printed.splitlines()]
    assert set(codes) <= {0, 10}, f"{list(zip(counts, codes, strict=True))}"
    assert 10 in codes, "no Ctrl-C came in time"


@pytest.mark.needs_jit
@pytest.mark.parametrize(("name", "counts"), [("predict", (40, 700)), ("step", (800,))])
def test_an_interrupted_load_can_be_repeated(name, counts):
    interrupted_loads(name, counts)


@pytest.mark.needs_jit
@pytest.mark.slow
@pytest.mark.parametrize("name", ["predict", "step", "model", "estimator"])
def test_an_interrupted_load_can_be_repeated_wherever_it_was(name):
    interrupted_loads(name, range(10, 1200, 90))
