"""Bad input: one table, for the NumPy side and the compiled side, and the checks themselves."""

import sys

import numpy as np
import numpy.testing as npt
import published
import pytest

from fastnn import checks

SIZES = [2, 4, 3, 1]
M = 6


class Good:
    """Arguments that fit each other, new for every test."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((2, M))
        self.Y = rng.integers(0, 2, (1, M))
        self.A = np.full((1, M), 0.5)
        self.parameters = {}
        for layer in (1, 2, 3):
            n_out, n_in = SIZES[layer], SIZES[layer - 1]
            self.parameters[f"W{layer}"] = rng.standard_normal((n_out, n_in))
            self.parameters[f"b{layer}"] = np.zeros((n_out, 1))
        self.grads = {f"d{name}": np.ones_like(array) for name, array in self.parameters.items()}
        self.v = {name: np.zeros_like(array) for name, array in self.grads.items()}
        self.s = {name: np.zeros_like(array) for name, array in self.grads.items()}
        self.cache = self._cache(masks=False)
        self.masked = self._cache(masks=True)

    def _cache(self, masks):
        entries = []
        for layer in (1, 2, 3):
            Z = np.ones((SIZES[layer], M))
            D = [np.ones(Z.shape, dtype=bool)] if masks and layer < 3 else []
            A = np.full(Z.shape, 0.5)
            entries += [Z, *D, A, self.parameters[f"W{layer}"], self.parameters[f"b{layer}"]]
        return tuple(entries)

    def with_entry(self, arrays, key, value):
        """Return a dict with one entry changed, or left out if value is None."""
        changed = {**arrays, key: value}
        return {name: array for name, array in changed.items() if array is not None}

    def with_item(self, cache, index, value):
        return (*cache[:index], value, *cache[index + 1 :])


def init(name):
    return "initialization", name


def reg(name):
    return "regularization", name


def check(name):
    return "gradient_checking", name


def opt(name):
    return "optimization", name


FORWARD = init("forward_propagation")
BACKWARD = init("backward_propagation")
WITH_L2 = reg("backward_propagation_with_regularization")
WITH_DROPOUT = reg("forward_propagation_with_dropout")
BACK_DROPOUT = reg("backward_propagation_with_dropout")
UPDATE = init("update_parameters")
MOMENTUM = opt("update_parameters_with_momentum")
ADAM = opt("update_parameters_with_adam")
COST_L2 = reg("compute_cost_with_regularization")
BOUNDARY = init("plot_decision_boundary")
BATCHES = opt("random_mini_batches")

NAN, INF = float("nan"), float("inf")

# (function, arguments made from a Good, exception, words that its sentence has)
BAD = [
    # Arrays that hold no real numbers, or nothing.
    (init("sigmoid"), lambda g: [1j], TypeError, "x must hold real numbers .* complex128"),
    (init("sigmoid"), lambda g: [[]], ValueError, r"x must not be empty, got shape \(0,\)"),
    (init("relu"), lambda g: [np.array(["a"])], TypeError, "x must hold real numbers"),
    (init("relu"), lambda g: [None], TypeError, "x must hold real numbers .* object"),
    (init("relu"), lambda g: [[[1, 2], [3]]], ValueError, "x must be an array, got .* unequal rows"),
    # Forward.
    (FORWARD, lambda g: [g.X.astype(complex), g.parameters], TypeError, "X must hold real"),
    (FORWARD, lambda g: [g.X.astype(object), g.parameters], TypeError, "X must hold real"),
    (FORWARD, lambda g: [g.X.astype("U8"), g.parameters], TypeError, "X must hold real"),
    (FORWARD, lambda g: [g.X[:, :0], g.parameters], ValueError, r"X .*empty.*\(2, 0\)"),
    (FORWARD, lambda g: [g.X[:, 0], g.parameters], ValueError,
     r"X must have shape \(n_x, m\) with examples in columns, got shape \(2,\)"),
    (FORWARD, lambda g: [g.X[None], g.parameters], ValueError, r"X .*got shape \(1, 2, 6\)"),
    (FORWARD, lambda g: [g.X.T, g.parameters], ValueError,
     r"W1 must have as many columns as X has rows, 6, got shape \(4, 2\)"),
    (FORWARD, lambda g: [g.X, {}], ValueError, "parameters must hold W1, b1"),
    (FORWARD, lambda g: [g.X, None], TypeError, "parameters must be a dict.*NoneType"),
    (FORWARD, lambda g: [g.X, list(g.parameters)], TypeError, "parameters must be a dict"),
    (FORWARD, lambda g: [g.X, g.with_entry(g.parameters, "b2", None)], ValueError,
     "parameters must hold W1, b1"),
    (FORWARD, lambda g: [g.X, {**g.with_entry(g.parameters, "b2", None), "c": g.X}],
     ValueError, "parameters must hold 'b2'"),
    (FORWARD, lambda g: [g.X, {**g.parameters, "c": g.X, "d": g.X}], ValueError,
     "parameters must hold 'W4'"),
    (FORWARD, lambda g: [g.X, {**g.parameters, "W2": np.ones((3, 5))}], ValueError,
     r"W2 must have as many columns as W1 has rows, 4, got shape \(3, 5\)"),
    (FORWARD, lambda g: [g.X, {**g.parameters, "W2": np.ones(3)}], ValueError,
     r"W2 must have shape \(n_2, n_1\), got shape \(3,\)"),
    (FORWARD, lambda g: [g.X, {**g.parameters, "b2": np.ones(3)}], ValueError,
     r"b2 must have shape \(3, 1\), got shape \(3,\)"),
    (FORWARD, lambda g: [g.X, {**g.parameters, "b2": np.ones((1, 1))}], ValueError,
     r"b2 must have shape \(3, 1\), got shape \(1, 1\)"),
    (FORWARD, lambda g: [g.X, {**g.parameters, "b2": None}], TypeError,
     r"parameters\['b2'\] must be an array, got NoneType"),
    (FORWARD, lambda g: [g.X, {**g.parameters, "b2": 1j * np.ones((3, 1))}], TypeError,
     r"parameters\['b2'\] must hold real numbers, got dtype complex128"),
    (FORWARD, lambda g: [g.X, {"W1": np.ones((0, 2)), "b1": np.ones((0, 1))}], ValueError,
     r"parameters\['W1'\] must not be empty"),
    (WITH_DROPOUT, lambda g: [g.X.T, g.parameters], ValueError,
     "W1 must have as many columns as X has rows, 6"),
    (check("forward_propagation_n"), lambda g: [g.X, g.Y[:, :5], g.parameters], ValueError,
     "Y must have one column"),
    (check("forward_propagation_n"), lambda g: [g.X, np.ones((2, M)), g.parameters], ValueError,
     r"Y must have shape \(1, 6\), got shape \(2, 6\)"),
    # Predictions.
    (init("predict"), lambda g: [g.X, g.Y[0, :5], g.parameters], ValueError, "y must have one column"),
    (init("predict"), lambda g: [g.X, np.ones((2, M)), g.parameters], ValueError,
     r"y must have shape \(1, 6\)"),
    (init("predict"), lambda g: [g.X[:1], g.Y, g.parameters], ValueError,
     "W1 must have as many columns as X has rows, 1"),
    (init("predict_dec"), lambda g: [g.parameters, g.X[:1]], ValueError,
     "W1 must have as many columns as X has rows, 1"),
    (init("predict_dec"), lambda g: [g.X, g.parameters], TypeError, "X must hold real numbers"),
    (BOUNDARY, lambda g: [None, g.X, g.Y], TypeError, "model must be a function"),
    (BOUNDARY, lambda g: [len, g.X[:1], g.Y], ValueError, r"X must have shape \(2, m\)"),
    (BOUNDARY, lambda g: [len, g.X * NAN, g.Y], ValueError, "X must be finite"),
    (BOUNDARY, lambda g: [len, g.X, np.ones((2, M))], ValueError, "y must have shape"),
    # Costs.
    (init("compute_loss"), lambda g: [g.A, g.Y[:, :5]], ValueError,
     "Y must have one column for each of the 6"),
    (init("compute_loss"), lambda g: [g.A[0], g.Y], ValueError, r"a3 must have shape \(n, m\)"),
    (reg("compute_cost"), lambda g: [g.A, np.ones((2, M))], ValueError,
     r"Y must have the shape of a3, \(1, 6\)"),
    (opt("compute_cost"), lambda g: [g.A, g.Y.astype(object)], TypeError, "Y must hold real numbers"),
    (opt("compute_cost"), lambda g: [g.A, np.ones((1, 1, M))], ValueError,
     r"Y must have shape \(n_y, m\) or"),
    (COST_L2, lambda g: [g.A, g.Y, g.parameters, -0.1], ValueError,
     "lambd must be finite and not negative, got -0.1"),
    (COST_L2, lambda g: [g.A, g.Y, {}, 0.1], ValueError, "parameters must hold"),
    (COST_L2, lambda g: [g.A.T, g.Y, g.parameters, 0.1], ValueError, "Y must have"),
    # Backward.
    (BACKWARD, lambda g: [g.X, g.Y[:, :5], g.cache], ValueError, "Y must have one column"),
    (BACKWARD, lambda g: [g.X, g.Y, None], TypeError, "cache must be the tuple.*NoneType"),
    (BACKWARD, lambda g: [g.X, g.Y, ()], ValueError, r"cache must hold \(Z, A, W, b\).*got 0"),
    (BACKWARD, lambda g: [g.X, g.Y, g.cache[:-1]], ValueError, "got 11 entries"),
    (BACKWARD, lambda g: [g.X, g.Y, g.masked], ValueError, "got 14 entries"),
    (BACKWARD, lambda g: [g.X[:1], g.Y, g.cache], ValueError, r"W1 in cache must have shape \(4, 1\)"),
    (BACKWARD, lambda g: [g.X, np.ones((2, M)), g.cache], ValueError,
     r"Z3 in cache must have the shape of Y, \(2, 6\), got shape \(1, 6\)"),
    (BACKWARD, lambda g: [g.X, g.Y, g.with_item(g.cache, 1, np.ones((4, 5)))], ValueError,
     r"A1 in cache must have shape \(4, 6\), got shape \(4, 5\)"),
    (BACKWARD, lambda g: [g.X, g.Y, g.with_item(g.cache, 0, np.ones((4, 5)))], ValueError,
     r"Z1 in cache must have shape \(n_1, 6\)"),
    (BACKWARD, lambda g: [g.X, g.Y, g.with_item(g.cache, 0, np.float64(1))], TypeError,
     "Z1 in cache must be an array, got float64"),
    (BACKWARD, lambda g: [g.X, g.Y, g.with_item(g.cache, 5, 1j * g.cache[5])], TypeError,
     "A2 in cache must hold real numbers"),
    (BACKWARD, lambda g: [g.X, g.Y, g.with_item(g.cache, 6, np.ones((3, 3)))], ValueError,
     r"W2 in cache must have shape \(3, 4\)"),
    (BACKWARD, lambda g: [g.X, g.Y, g.with_item(g.cache, 11, np.ones(1))], ValueError,
     r"b3 in cache must have shape \(1, 1\)"),
    (reg("backward_propagation"), lambda g: [g.X[:, :5], g.Y[:, :5], g.cache], ValueError, "Z1 in cache"),
    (WITH_L2, lambda g: [g.X, g.Y, g.masked, 0.1], ValueError, "14 entries"),
    (WITH_L2, lambda g: [g.X, g.Y, g.cache, -1], ValueError, "lambd .*got -1"),
    (WITH_L2, lambda g: [g.X, g.Y, g.cache, NAN], ValueError, "lambd .*nan"),
    (WITH_L2, lambda g: [g.X, g.Y, g.cache, INF], ValueError, "lambd .*inf"),
    (WITH_L2, lambda g: [g.X, g.Y, g.cache, "1"], TypeError, "lambd .*'1'"),
    (BACK_DROPOUT, lambda g: [g.X, g.Y, g.cache, 0.5], ValueError, "got 12 entries"),
    (BACK_DROPOUT, lambda g: [g.X, g.Y, g.with_item(g.masked, 1, np.ones((1, 1))), 0.5],
     ValueError, r"D1 in cache must have shape \(4, 6\)"),
    (BACK_DROPOUT, lambda g: [g.X, g.Y, g.masked, 0], ValueError, "keep_prob .*got 0"),
    (check("backward_propagation_n"), lambda g: [g.X, g.Y, g.cache[:8]], ValueError,
     "Z2 in cache must have the shape"),
    # Dropout.
    *((WITH_DROPOUT, lambda g, bad=bad: [g.X, g.parameters, bad], ValueError,
       rf"keep_prob must be in \(0, 1\], got {bad}") for bad in (0.0, 0, -0.5, 1.5, NAN, INF)),
    (WITH_DROPOUT, lambda g: [g.X, g.parameters, "0.5"], TypeError, "keep_prob .*'0.5'"),
    (WITH_DROPOUT, lambda g: [g.X, g.parameters, True], TypeError, "keep_prob .*True"),
    (WITH_DROPOUT, lambda g: [g.X, g.parameters, None], TypeError, "keep_prob .*None"),
    # Initial parameters.
    *(((module, f"initialize_parameters{kind}"), lambda g, bad=bad: [bad], error, text)
      for module, kind in (
          ("initialization", "_zeros"), ("initialization", "_random"), ("initialization", "_he"),
          ("initialization", "_xavier"), ("regularization", ""), ("optimization", ""),
      )
      for bad, error, text in (
          ([], ValueError, "layers?_dims must have at least 2 entries"),
          ([3], ValueError, r"at least 2 entries.*got \[3\]"),
          ([3, 0], ValueError, r"layers?_dims\[1\] must be at least 1, got 0"),
          ([3, -1, 1], ValueError, r"layers?_dims\[1\] must be at least 1, got -1"),
          ([3, 2.0], TypeError, r"layers?_dims\[1\] must be an integer, got 2.0"),
          ([True, 2], TypeError, r"layers?_dims\[0\] must be an integer, got True"),
          ("21", TypeError, "layers?_dims must be a sequence of integers, got '21'"),
          (3, TypeError, "layers?_dims must be a sequence of integers, got 3"),
      )),
    # Updates and moments.
    (UPDATE, lambda g: [g.parameters, {}, 0.1], ValueError, r"grads must hold 'dW1', got \[\]"),
    (UPDATE, lambda g: [g.parameters, None, 0.1], TypeError, "grads must be a dict, got NoneType"),
    (UPDATE, lambda g: [g.parameters, g.grads, "fast"], TypeError, "learning_rate .*'fast'"),
    (UPDATE, lambda g: [g.parameters, g.grads, 1j], TypeError, "learning_rate must be a real"),
    (UPDATE, lambda g: [g.parameters, g.grads, None], TypeError, "learning_rate .*None"),
    (UPDATE, lambda g: [g.parameters, {**g.grads, "db1": np.ones(4)}, 0.1], ValueError,
     r"grads\['db1'\] must have the shape of b1, \(4, 1\), got shape \(4,\)"),
    (UPDATE, lambda g: [g.parameters, {**g.grads, "dW2": g.grads["dW2"].T}, 0.1], ValueError,
     r"grads\['dW2'\] must have the shape of W2"),
    (UPDATE, lambda g: [g.parameters, {**g.grads, "dW2": 1j * g.grads["dW2"]}, 0.1], TypeError,
     r"grads\['dW2'\] must hold real numbers"),
    (UPDATE, lambda g: [g.parameters, {**g.grads, "db3": 0.5}, 0.1], TypeError,
     r"grads\['db3'\] must be an array, got float"),
    (UPDATE, lambda g: [{"W1": g.X}, g.grads, 0.1], ValueError, "parameters must hold W1, b1"),
    (opt("update_parameters_with_gd"), lambda g: [g.parameters, g.with_entry(g.grads, "db3", None), 0.1],
     ValueError, "grads must hold 'db3'"),
    (opt("initialize_velocity"), lambda g: [[1, 2]], TypeError, "parameters must be a dict"),
    (opt("initialize_velocity"), lambda g: [{"W1": 1.0, "b1": 0.0}], TypeError,
     r"parameters\['W1'\] must be an array"),
    (opt("initialize_adam"), lambda g: [{"W1": g.X, "b2": g.X}], ValueError, "parameters must hold 'b1'"),
    (MOMENTUM, lambda g: [g.parameters, g.grads, {}, 0.9, 0.1], ValueError,
     "v must hold 'dW1'"),
    (MOMENTUM, lambda g: [g.parameters, g.grads, g.v, "0.9", 0.1], TypeError, "beta must"),
    (MOMENTUM, lambda g: [g.parameters, g.grads, g.v, 0.9, [0.1]], TypeError,
     "learning_rate must be a real number"),
    (ADAM, lambda g: [g.parameters, g.grads, g.v, {**g.s, "db2": g.X}, 1], ValueError,
     r"s\['db2'\] must have the shape of b2"),
    (ADAM, lambda g: [g.parameters, g.grads, g.v, g.s, "1"], TypeError, "t must be a real"),
    (ADAM, lambda g: [g.parameters, g.grads, g.v, g.s, 1, 10**400], ValueError,
     "learning_rate must fit into a float"),
    *((ADAM, lambda g, i=i: [g.parameters, g.grads, g.v, g.s, 1, *[0.1] * i, 1j],
       TypeError, name) for i, name in enumerate(("learning_rate", "beta1", "beta2", "epsilon"))),
    # Mini-batches.
    *((BATCHES, lambda g, bad=bad: [g.X, g.Y, bad], error, "mini_batch_size must be")
      for bad, error in (
          (0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError), (None, TypeError),
      )),
    (BATCHES, lambda g: [g.X, g.Y[:, :5]], ValueError, "Y must have one column"),
    (BATCHES, lambda g: [g.X[0], g.Y], ValueError, "X must have shape"),
    (BATCHES, lambda g: [g.X[:, :0], g.Y[:, :0]], ValueError, "X must not be empty"),
    # Decay.
    (opt("update_lr"), lambda g: ["0.1", 1, 1], TypeError, "learning_rate0 must be a real number"),
    (opt("update_lr"), lambda g: [0.1, None, 1], TypeError, "epoch_num must be a real number"),
    (opt("schedule_lr_decay"), lambda g: [0.1, 1, 1j], TypeError, "decay_rate must be a real number"),
    (opt("schedule_lr_decay"), lambda g: [0.1, 1, 1, 0], ValueError, "time_interval must be positive, got 0"),
    # Gradient checking.
    (check("dictionary_to_vector"), lambda g: [{}], ValueError, "parameters must hold"),
    (check("vector_to_dictionary"), lambda g: [np.ones((46, 1))], ValueError,
     r"theta must have shape \(47, 1\)"),
    (check("vector_to_dictionary"), lambda g: [np.ones((1, 47))], ValueError,
     r"theta must have shape \(47, 1\)"),
    (check("vector_to_dictionary"), lambda g: [1j * np.ones((47, 1))], TypeError,
     "theta must hold real numbers"),
    (check("gradients_to_vector"), lambda g: [{}], ValueError, "gradients must hold 'dW1'"),
    (check("gradients_to_vector"), lambda g: [{"dW1": g.X}], ValueError, "gradients must hold 'db1'"),
    (check("forward_propagation"), lambda g: ["2", 4], TypeError, "x must be a real number, got '2'"),
    (check("backward_propagation"), lambda g: [2, 1j], TypeError, "theta must be a real number"),
    (check("gradient_check"), lambda g: [2, None], TypeError, "theta must be a real number"),
    (check("gradient_check"), lambda g: [2, 4, 0], ValueError, "epsilon must not be zero"),
    (check("gradient_check"), lambda g: [2, 4, NAN], ValueError, "epsilon must be finite"),
    (check("gradient_check_n"), lambda g: [g.parameters, {}, g.X, g.Y], ValueError,
     "gradients must hold 'dW1'"),
    (check("gradient_check_n"), lambda g: [g.parameters, g.grads, g.X.T, g.Y], ValueError,
     "W1 must have as many columns as X has rows, 6"),
    (check("gradient_check_n"), lambda g: [g.parameters, g.grads, g.X, g.Y, 0.0], ValueError,
     "epsilon must not be"),
    # Training: data.
    *((function, lambda g, bad=bad, rest=rest: [bad(g), g.Y, *rest], error, text)
      for function, rest in ((init("model"), ()), (reg("model"), ()), (opt("model"), ([2, 3, 1], "gd")))
      for bad, error, text in (
          (lambda g: np.where(g.X > 0, NAN, g.X), ValueError,
           r"X must be finite, got nan at index \(\d, \d\)"),
          (lambda g: np.where(g.X > 0, -INF, g.X), ValueError, "X must be finite, got -inf"),
          (lambda g: g.X[:, :0], ValueError, "X must not be empty"),
          (lambda g: g.X[0], ValueError, "X must have shape"),
          (lambda g: g.X[:, :5], ValueError, "Y must have one column for each of the 5 examples"),
          (lambda g: g.X + 0j, TypeError, "X must hold real numbers"),
          (lambda g: g.X.astype(object), TypeError, "X must hold real numbers"),
      )),
    *((function, lambda g, bad=bad, rest=rest: [g.X, bad(g), *rest], error, text)
      for function, rest in ((init("model"), ()), (reg("model"), ()), (opt("model"), ([2, 3, 1], "gd")))
      for bad, error, text in (
          (lambda g: g.Y * NAN, ValueError, "Y must be finite, got nan"),
          (lambda g: g.Y[:, :5], ValueError, "Y must have one column"),
          (lambda g: np.ones((2, M)), ValueError,
           "Y must have shape|layers_dims must end with the number of rows of Y, 2"),
          (lambda g: g.Y.astype(str), TypeError, "Y must hold real numbers"),
      )),
    # Training: settings, the number of iterations and learning rate first.
    *((function, lambda g, value=value, rest=rest, name=name: ([g.X, g.Y, *rest], {name: value}), error, name)
      for function, rest, iterations in (
          (init("model"), (), "num_iterations"), (reg("model"), (), "num_iterations"),
          (opt("model"), ([2, 3, 1], "gd"), "num_epochs"),
      )
      for name, value, error in (
          (iterations, -1, ValueError), (iterations, 2.0, TypeError), (iterations, True, TypeError),
          (iterations, "2", TypeError),
          ("learning_rate", NAN, ValueError), ("learning_rate", INF, ValueError),
          ("learning_rate", "0.1", TypeError), ("learning_rate", None, TypeError),
      )),
    (init("model"), lambda g: ([g.X, g.Y], {"initialization": "xe"}), ValueError,
     "initialization must be one of 'zeros', 'random', 'he', 'xavier', got 'xe'"),
    (init("model"), lambda g: ([g.X, g.Y], {"initialization": None}), TypeError,
     "initialization must be one of"),
    (reg("model"), lambda g: ([g.X, g.Y], {"lambd": 0.7, "keep_prob": 0.8}), ValueError,
     "lambd and keep_prob cannot be used together.*lambd=0.7 and keep_prob=0.8"),
    *((reg("model"), lambda g, name=name, value=value: ([g.X, g.Y], {name: value}), error, name)
      for name, value, error in (
          ("lambd", -0.1, ValueError), ("lambd", NAN, ValueError), ("lambd", INF, ValueError),
          ("lambd", "1", TypeError), ("keep_prob", 0, ValueError), ("keep_prob", 1.1, ValueError),
          ("keep_prob", NAN, ValueError), ("keep_prob", None, TypeError),
      )),
    (opt("model"), lambda g: [g.X, g.Y, [2, 3, 1], "sgd"], ValueError,
     "optimizer must be one of 'gd', 'momentum', 'adam', got 'sgd'"),
    (opt("model"), lambda g: [g.X, g.Y, [2, 3, 1], 3], TypeError, "optimizer must be one of"),
    (opt("model"), lambda g: [g.X, g.Y, [3, 3, 1], "gd"], ValueError,
     r"layers_dims must begin with the number of rows of X, 2"),
    (opt("model"), lambda g: [g.X, g.Y, [2, 3, 2], "gd"], ValueError,
     r"layers_dims must end with the number of rows of Y, 1"),
    (opt("model"), lambda g: [g.X, g.Y, [2], "gd"], ValueError, "layers_dims must have at least 2 entries"),
    (opt("model"), lambda g: [g.X, g.Y, [2, 0, 1], "gd"], ValueError, r"layers_dims\[1\] must be at least 1"),
    *((opt("model"), lambda g, name=name, value=value: ([g.X, g.Y, [2, 3, 1], "adam"], {name: value}), error,
       name)
      for name, value, error in (
          ("mini_batch_size", 0, ValueError), ("mini_batch_size", 2.5, TypeError),
          ("beta", NAN, ValueError), ("beta1", INF, ValueError), ("beta2", "a", TypeError),
          ("epsilon", NAN, ValueError), ("decay_rate", NAN, ValueError), ("decay_rate", "1", TypeError),
          ("decay", "update_lr", TypeError), ("decay", 0.5, TypeError),
      )),
    (opt("model"), lambda g: ([g.X, g.Y, [2, 3, 1], "gd"], {"num_epochs": 1, "decay": lambda *a: "slow"}),
     TypeError, "the learning rate that decay returns must be a real number, got 'slow'"),
]  # fmt: skip


@pytest.mark.parametrize("side", published.SIDES)
@pytest.mark.parametrize("case", BAD, ids=[f"{i}-{row[0][1]}" for i, row in enumerate(BAD)])
def test_bad_input_is_rejected(side, case):
    (module, name), arguments, error, text = case
    function = getattr(published.course(side, module), name)
    given = arguments(Good())
    positional, named = given if isinstance(given, tuple) else (given, {})
    with pytest.raises(error, match=text) as caught:
        function(*positional, **named)
    assert type(caught.value) is error
    assert "pip install" not in str(caught.value)


@pytest.mark.parametrize("side", published.SIDES)
def test_good_arguments_of_the_table_pass(side):
    """The table's arguments are wrong in one thing only."""
    g = Good()
    init, reg = published.course(side, "initialization"), published.course(side, "regularization")
    check, opt = published.course(side, "gradient_checking"), published.course(side, "optimization")
    assert init.forward_propagation(g.X, g.parameters)[0].shape == (1, M)
    assert reg.forward_propagation_with_dropout(g.X, g.parameters, np.float32(0.5))[0].shape == (1, M)
    assert len(init.backward_propagation(g.X, g.Y, g.cache)) == 11
    assert len(init.backward_propagation(g.X, g.Y, list(g.cache))) == 11
    assert len(reg.backward_propagation_with_regularization(g.X, g.Y, g.cache, np.int64(1))) == 11
    assert len(reg.backward_propagation_with_dropout(g.X, g.Y, g.masked, 0.5)) == 11
    assert len(check.backward_propagation_n(g.X, g.Y, g.cache)) == 11
    npt.assert_allclose(init.compute_loss(g.A, g.Y), np.log(2))
    assert reg.compute_cost_with_regularization(g.A, g.Y, g.parameters, 0.1) > np.log(2)
    opt.update_parameters_with_adam(g.parameters, g.grads, g.v, g.s, np.int32(1), np.array(0.1))
    opt.update_parameters_with_momentum(g.parameters, g.grads, g.v, 0, float("inf"))
    settings = {"num_epochs": np.int64(1), "mini_batch_size": np.uint8(4), "print_cost": False}
    assert set(opt.model(g.X, g.Y, np.array([2, 3, 1]), "adam", **settings)) == {"W1", "b1", "W2", "b2"}


@pytest.mark.parametrize("side", published.SIDES)
def test_a_refused_update_changes_nothing(side):
    g = Good()
    kept = dict(g.parameters)
    opt = published.course(side, "optimization")
    with pytest.raises(ValueError, match="db3"):
        opt.update_parameters_with_gd(g.parameters, g.with_entry(g.grads, "db3", None), 0.1)
    with pytest.raises(TypeError, match="epsilon"):
        opt.update_parameters_with_adam(g.parameters, g.grads, g.v, g.s, 1, epsilon="small")
    assert all(g.parameters[name] is array for name, array in kept.items())
    assert not any(array.any() for array in (*g.v.values(), *g.s.values()))


# The checks themselves.


def test_real_array_keeps_what_can_be_kept():
    for dtype in (np.float64, np.float32, np.int8, np.uint64, np.bool_, np.longlong):
        array = np.ones((2, 3), dtype=dtype)
        assert checks.real_array("X", array) is array
        assert checks.real_array("X", array.T).base is array
    for dtype in (np.float16, np.longdouble):
        assert checks.real_array("X", np.ones(2, dtype=dtype)).dtype == np.float64
    swapped = np.arange(3, dtype=">i4")
    out = checks.real_array("X", swapped)
    assert out.dtype.isnative
    npt.assert_array_equal(out, swapped)
    assert checks.real_array("X", [[1, 2]]).shape == (1, 2)
    masked = np.ma.masked_array([1.0, 2.0])
    assert type(checks.real_array("X", masked)) is np.ndarray


def test_network_returns_the_depth_and_takes_subclasses():
    g = Good()
    assert checks.network(g.parameters, 2) == 3
    assert checks.network(g.parameters) == 3
    views = {name: array.view(np.memmap) for name, array in g.parameters.items()}
    assert checks.network(views, 2) == 3
    deep = {}
    for layer in range(1, 151):
        deep[f"W{layer}"], deep[f"b{layer}"] = np.ones((1, 1)), np.ones((1, 1))
    assert checks.network(deep, 1) == 150
    assert checks.parameter_arrays(deep) == 150


def test_updates_do_not_need_layers_that_fit():
    parameters = {"W1": np.ones((2, 3)), "b1": np.ones((2, 1)), "W2": np.ones((3, 3)), "b2": np.ones((3, 1))}
    grads = {f"d{name}": array for name, array in parameters.items()}
    assert checks.companions("grads", parameters, grads) == 2
    with pytest.raises(ValueError, match="W2 must have as many columns as W1 has rows, 2"):
        checks.network(parameters)


def test_careful_ways_accept_what_is_good():
    """Subclasses of arrays take the slow way round, and must come out of it."""
    g = Good()
    cache = tuple(array.view(np.memmap) for array in g.cache)
    assert checks.propagation_cache(cache, 4, g.X, g.Y) == 3
    grads = {name: array.view(np.memmap) for name, array in g.grads.items()}
    assert checks.companions("grads", g.parameters, grads) == 3
    assert checks.companions("v", g.parameters, grads) == 3
    masked = tuple(array.view(np.memmap) for array in g.masked)
    assert checks.propagation_cache(masked, 5, g.X, g.Y) == 3


def test_numbers_become_python_numbers():
    for value in (1, 1.0, np.float32(1), np.int8(1), np.array(1.0), np.float16(1)):
        number = checks.real_number("a", value)
        assert type(number) is float
        assert number == 1
    assert type(checks.count("n", np.uint16(7), 0)) is int
    for bad in (True, np.True_, np.array([1.0]), np.array(True), 1j, "1", None):
        with pytest.raises(TypeError, match="a must be a real number"):
            checks.real_number("a", bad)
    for bad in (True, np.True_, 1.0, np.float64(1), "1", None):
        with pytest.raises(TypeError, match="n must be an integer"):
            checks.count("n", bad, 0)


def test_require_finite_names_the_first_bad_place():
    array = np.zeros((3, 4), dtype=np.float32)
    checks.require_finite("X", array)
    checks.require_finite("X", np.ones(3, dtype=np.int64))
    array[1, 2], array[2, 0] = np.inf, np.nan
    with pytest.raises(ValueError, match=r"X must be finite, got inf at index \(1, 2\)"):
        checks.require_finite("X", array)


def test_checking_loads_nothing_but_numpy():
    assert checks.__name__ in sys.modules
    imported = {name.split(".")[0] for name in vars(checks) if not name.startswith("_")}
    assert not imported & {"numba", "matplotlib", "sklearn", "scipy"}
