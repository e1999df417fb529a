"""Bad settings, data and arguments of a fit: each is refused in a sentence, and changes nothing."""

import math
import pickle

import numpy as np
import pytest
from trainer_cases import OPTIMIZERS, bits, data, network

import fastnn
from fastnn import LBFGS, SGD, Adam, AdamW, AMSGrad, Lion, Momentum, RMSProp


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: SGD(), TypeError, "learning_rate"),
        (lambda: SGD("x"), TypeError, "learning_rate must be a real number, got 'x'"),
        (lambda: SGD(math.nan), ValueError, "learning_rate must be finite, got nan"),
        (lambda: SGD(-1), ValueError, "learning_rate must not be negative, got -1"),
        (lambda: SGD(0.1, momentum=1), ValueError, r"momentum must be in \[0, 1\), got 1"),
        (lambda: SGD(0.1, nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda: SGD(0.1, 0.9, nesterov=1), TypeError, "nesterov must be True or False, got 1"),
        (lambda: Momentum(0.1, beta=-0.1), ValueError, r"beta must be in \[0, 1\), got -0.1"),
        (lambda: RMSProp(rho=1.0), ValueError, r"rho must be in \[0, 1\), got 1.0"),
        (lambda: RMSProp(epsilon=0), ValueError, "epsilon must be positive, got 0"),
        (lambda: Adam(beta1=math.nan), ValueError, r"beta1 must be in \[0, 1\), got nan"),
        (lambda: Adam(beta2=1), ValueError, r"beta2 must be in \[0, 1\), got 1"),
        (lambda: AMSGrad(epsilon=-1), ValueError, "epsilon must be positive, got -1"),
        (lambda: AdamW(weight_decay=-1), ValueError, "weight_decay must not be negative, got -1"),
        (lambda: Lion(-1), ValueError, "learning_rate must not be negative, got -1"),
        (lambda: Lion(beta1=1), ValueError, r"beta1 must be in \[0, 1\), got 1"),
        (lambda: Lion(beta2=-0.5), ValueError, r"beta2 must be in \[0, 1\), got -0.5"),
        (lambda: LBFGS(history_size=0), ValueError, "history_size must be at least 1, got 0"),
        (lambda: LBFGS(tolerance=math.inf), ValueError, "tolerance must be finite, got inf"),
    ],
)
def test_bad_optimizers(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_optimizers_are_values(optimizer):
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    with pytest.raises(AttributeError):
        optimizer.learning_rate = 1.0


@pytest.mark.parametrize(
    ("output", "options", "kind", "message"),
    [
        ("linear", {"optimizer": "adam"}, TypeError, r"optimizer must be one of fastnn's, .*, got 'adam'"),
        ("linear", {"optimizer": Adam}, TypeError, "optimizer must be one of fastnn's"),
        (
            "linear",
            {"loss": "mse"},
            ValueError,
            "loss of a linear output must be one of 'squared_error', .*, got 'mse'",
        ),
        ("linear", {"loss": "cross_entropy"}, ValueError, "loss of a linear output must be one of"),
        ("linear", {"loss": "binary_cross_entropy"}, ValueError, "loss of a linear output must be one of"),
        ("sigmoid", {"loss": "poisson"}, ValueError, "loss of a sigmoid output must be one of"),
        ("softmax", {"loss": "squared_error"}, ValueError, "loss of a softmax output must be one of 'cross_entropy'"),
        ("softmax", {"loss": lambda a, y: (a, a)}, ValueError, "must be 'cross_entropy', got a function"),
        ("linear", {"loss": lambda a, y: a - y}, TypeError, "loss must return two numbers, .*, got .*-0.5"),
        ("linear", {"loss": 3}, TypeError, "loss of a linear output must be one of .*, got 3"),
        ("linear", {"l2": -1}, ValueError, "l2 must not be negative, got -1"),
        ("linear", {"l2": math.inf}, ValueError, "l2 must be finite, got inf"),
        ("linear", {"weight_decay": "x"}, TypeError, "weight_decay must be a real number, got 'x'"),
        ("linear", {"weight_decay": 0.1, "optimizer": AdamW()}, ValueError, "weight_decay must be 0 with AdamW"),
        ("linear", {"dropout": 1.0}, ValueError, r"dropout must be in \[0, 1\), got 1.0"),
        ("linear", {"dropout": -0.1}, ValueError, r"dropout must be in \[0, 1\), got -0.1"),
        ("linear", {"dropout": [0.1]}, ValueError, r"dropout must be a number, or have 2 entries .*, got \[0.1\]"),
        ("linear", {"dropout": [0.1, 1]}, ValueError, r"dropout\[1\] must be in \[0, 1\), got 1"),
        ("linear", {"dropout": "much"}, TypeError, "dropout must be a real number, got 'much'"),
        ("linear", {"clip_norm": 0}, ValueError, "clip_norm must be positive, got 0"),
        ("linear", {"label_smoothing": 0.1}, ValueError, "label_smoothing needs the loss .*, got 'squared_error'"),
        ("softmax", {"label_smoothing": 1}, ValueError, r"label_smoothing must be in \[0, 1\), got 1"),
        ("linear", {"n_threads": 0}, ValueError, "n_threads must be None, -1 or at least 1, got 0"),
        ("linear", {"n_threads": -2}, ValueError, "n_threads must be at least -1, got -2"),
        ("linear", {"n_threads": 1.0}, TypeError, "n_threads must be an integer, got 1.0"),
        ("linear", {"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ("linear", {"seed": 2**64}, ValueError, r"seed must be less than 2\*\*64"),
        ("linear", {"optimizer": LBFGS(), "dropout": 0.1}, ValueError, "dropout does not go with LBFGS"),
        ("linear", {"optimizer": LBFGS(), "clip_norm": 0.1}, ValueError, "clip_norm does not go with LBFGS"),
        ("linear", {"optimizer": LBFGS(), "weight_decay": 0.1}, ValueError, "weight_decay does not go with LBFGS"),
    ],
)
def test_bad_settings(output, options, kind, message):
    with pytest.raises(kind, match=message):
        fastnn.Trainer(network(fastnn, output=output), **options)


def test_bad_networks():
    with pytest.raises(TypeError, match="network must be a Network, got list"):
        fastnn.Trainer([3, 2])
    with pytest.raises(
        ValueError, match="dropout must be a sequence, for the input, in a network without hidden layers"
    ):
        fastnn.Trainer(network(fastnn, (3, 2)), dropout=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        fastnn.train(network(fastnn), *data(), depth=3)


X0, Y0 = data(m=4)

INTEGERS = [0, 1, 1, 0]

BAD_DATA = [
    ("linear", (X0[:2], Y0), {}, ValueError, r"X must have shape \(3, m\) .*, got shape \(2, 4\)"),
    ("linear", (X0.astype(complex), Y0), {}, TypeError, "X must hold real numbers .*, got dtype complex128"),
    ("linear", (X0.astype(object), Y0), {}, TypeError, "X must hold real numbers .*, got dtype object"),
    ("linear", (X0[:, :0], Y0[:, :0]), {}, ValueError, "X must not be empty"),
    ("linear", (X0, Y0[:, :3]), {}, ValueError, r"Y must have shape \(2, m\) with m = 4, got shape \(2, 3\)"),
    ("linear", (X0, Y0.T), {}, ValueError, r"Y must have shape \(2, m\) with m = 4, got shape \(4, 2\)"),
    ("linear", (X0, Y0[0]), {}, ValueError, r"Y must have shape \(2, m\) with m = 4, got shape \(4,\)"),
    ("linear", (X0, Y0.astype(str)), {}, TypeError, "Y must hold real numbers .*, got dtype <U"),
    ("softmax", (X0, [0, 1, 2, 0]), {}, ValueError, "Y must hold labels from 0 to 1, got 2"),
    ("softmax", (X0, [0, -1, 1, 0]), {}, ValueError, "Y must hold labels from 0 to 1, got -1"),
    ("softmax", (X0, [0.0, 1.0, 1.0, 0.0]), {}, TypeError, r"Y of shape \(m,\) must hold integer labels, got dtype"),
    (
        "softmax",
        (X0, [0, 1, 1]),
        {},
        ValueError,
        r"Y must have shape \(2, m\) or, for integer labels, \(m,\) with m = 4",
    ),
    ("linear", (X0, Y0), {"sample_weight": [1, 1, 1]}, ValueError, r"sample_weight must have shape \(4,\)"),
    ("linear", (X0, Y0), {"sample_weight": [1, 1, -1, 1]}, ValueError, "must be finite and not negative, got -1.0"),
    (
        "linear",
        (X0, Y0),
        {"sample_weight": [1, 1, math.nan, 1]},
        ValueError,
        "must be finite and not negative, got nan",
    ),
    (
        "linear",
        (X0, Y0),
        {"sample_weight": [1, 1, math.inf, 1]},
        ValueError,
        "must be finite and not negative, got inf",
    ),
    ("linear", (X0, Y0), {"sample_weight": [1, 1, "a", 1]}, TypeError, "sample_weight must hold real numbers"),
]


@pytest.mark.parametrize(("output", "arrays", "options", "kind", "message"), BAD_DATA)
def test_bad_data(output, arrays, options, kind, message):
    trainer = fastnn.reference.Trainer(network(fastnn.reference, output=output))
    before = bits(trainer)
    for method in (trainer.fit, trainer.step):
        with pytest.raises(kind, match=message):
            method(*arrays, **options)
    assert bits(trainer) == before


@pytest.mark.parametrize(
    ("output", "loss", "options", "kind", "message"),
    [
        ("linear", None, {"epochs": -1}, ValueError, "epochs must be at least 0, got -1"),
        ("linear", None, {"epochs": 1.0}, TypeError, "epochs must be an integer, got 1.0"),
        ("linear", None, {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ("linear", None, {"batch_size": "all"}, TypeError, "batch_size must be an integer, got 'all'"),
        ("linear", None, {"shuffle": "yes"}, TypeError, "shuffle must be True or False, got 'yes'"),
        ("linear", None, {"callbacks": print}, TypeError, "callbacks must be a sequence of functions, got"),
        ("linear", None, {"callbacks": [None]}, TypeError, r"callbacks\[0\] must be a function, got None"),
        ("linear", None, {"validation": X0}, TypeError, r"validation must be None, \(X, Y\) or \(X, Y, weights\)"),
        ("linear", None, {"validation": (X0[:2], Y0)}, ValueError, r"X of validation must have shape \(3, m\)"),
        ("linear", None, {"validation": (X0, Y0[:1])}, ValueError, r"Y of validation must have shape \(2, m\)"),
        ("linear", None, {"validation": (X0, Y0, [1])}, ValueError, "weights of validation must have shape"),
        ("linear", None, {"X": X0 * math.inf}, ValueError, r"X must be finite, got -?inf at index \(0, 0\)"),
        ("linear", None, {"Y": Y0 * math.nan}, ValueError, r"Y must be finite, got nan at index \(0, 0\)"),
        ("linear", None, {"sample_weight": np.zeros(4)}, ValueError, "sample_weight must not be zero for all examples"),
        ("linear", "poisson", {"Y": -abs(Y0)}, ValueError, "Y must not be negative with loss 'poisson', got -"),
        ("sigmoid", None, {"Y": [[-1, 1, 1, 1]] * 2}, ValueError, "Y must not be negative with loss 'binary_cross_ent"),
        ("sigmoid", None, {"Y": [[0, 1, 2, 1]] * 2}, ValueError, r"Y must be in \[0, 1\] with loss 'binary_.*, got 2"),
        ("softmax", None, {"Y": [[0, 1, -2, 1]] * 2}, ValueError, "Y must not be negative with loss 'cross_entropy'"),
    ],
)
def test_bad_fits(output, loss, options, kind, message):
    trainer = fastnn.reference.Trainer(network(fastnn.reference, output=output), loss=loss)
    before = bits(trainer)
    with pytest.raises(kind, match=message):
        trainer.fit(**{"X": X0, "Y": Y0, **options})
    assert bits(trainer) == before


def test_an_optimiser_without_a_rule_is_refused():
    class Ruleless(fastnn.optimizers.Optimizer):
        pass

    with pytest.raises(TypeError, match=r"optimizer must be one that the engine has a rule for, got .*Ruleless"):
        fastnn.Trainer(fastnn.Network([1, 1]), Ruleless())
