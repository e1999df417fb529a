"""Networks: their parameters, initial weights, predictions, gradients, and what happens to bad arguments."""

import copy
import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn.activations import HIDDEN_ACTIVATIONS
from fastnn.initializers import INITIALIZERS, draw_weights
from fastnn.losses import LOSSES

SIDES = (fastnn.reference, fastnn)

side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.__name__)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def test_arena_and_views():
    net = fastnn.Network([3, 4, 2], dtype="float32", seed=0)
    W1, b1, W2, b2 = net.parameters.values()
    assert list(net.parameters) == ["W1", "b1", "W2", "b2"]
    assert [view.shape for view in (W1, b1, W2, b2)] == [(4, 3), (4, 1), (2, 4), (2, 1)]
    assert net.vector.dtype == np.float32
    assert net.vector.size == 4 * 3 + 4 + 2 * 4 + 2
    assert net.vector.ctypes.data % 64 == 0
    assert np.concatenate([view.ravel() for view in (W1, b1, W2, b2)]).tolist() == net.vector.tolist()
    net.vector[:] = np.arange(net.vector.size)
    assert W1[1, 0] == 3
    b2[1] = -1
    assert net.vector[-1] == -1


def test_what_cannot_be_rebound():
    net = fastnn.Network([3, 2])
    with pytest.raises(AttributeError):
        net.vector = np.zeros(8)
    with pytest.raises(AttributeError):
        net.dtype = "float32"
    with pytest.raises(TypeError):
        net.parameters["W1"] = np.zeros((2, 3))


def test_one_layer_is_enough():
    net = fastnn.reference.Network([3, 2], output="linear", seed=0)
    X = np.random.RandomState(0).randn(3, 5)
    assert net.hidden_activations == ()
    assert net.predict(X) == pytest.approx(net.parameters["W1"] @ X)


VARIANCES = {"normal": 1e-4, "he": 2 / 300, "glorot": 2 / 700, "lecun": 1 / 300}


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name != "zeros"])
def test_spread_of_initial_weights(name):
    variance = VARIANCES[name.removesuffix("_uniform")]
    (W,) = draw_weights(name, [300, 400], seed=1)
    assert W.var() == pytest.approx(variance, rel=0.02)
    assert abs(W.mean()) < 5 * math.sqrt(variance / W.size)
    longest = abs(W).max() / math.sqrt(3 * variance)
    assert (0.999 < longest <= 1) if name.endswith("uniform") else longest > 2


def test_the_stream_of_initial_weights_is_numpy_s_legacy_one():
    stream = np.random.RandomState(5)
    expected = [stream.randn(4, 3) * math.sqrt(2 / 3), stream.randn(2, 4) * math.sqrt(2 / 4)]
    for found, W in zip(draw_weights("he", [3, 4, 2], seed=5), expected, strict=True):
        assert found == pytest.approx(W, rel=1e-15)
    limit = math.sqrt(6 / 5)
    expected = np.random.RandomState(5).uniform(-limit, limit, (2, 3))
    assert draw_weights("glorot_uniform", [3, 2], seed=5)[0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_seeds(initializer):
    def vector(seed, dtype="float64"):
        return fastnn.Network([3, 4, 2], initializer=initializer, seed=seed, dtype=dtype).vector

    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    assert vector(1).tobytes() == vector(1).tobytes()
    assert vector(1, "float32").tobytes() == vector(1).astype(np.float32).tobytes()
    assert np.random.get_state()[1].tolist() == before
    if initializer == "zeros":
        assert not vector(1).any()
    else:
        assert vector(1).tolist() != vector(2).tolist()
        assert vector(None).tolist() != vector(None).tolist()


def test_biases_start_at_zero():
    net = fastnn.Network([3, 4, 2])
    assert not net.parameters["b1"].any()
    assert not net.parameters["b2"].any()
    assert net.parameters["W2"].all()


ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
    "gelu": lambda z: z * (1 + np.vectorize(math.erf)(z / math.sqrt(2))) / 2,
    "silu": lambda z: z / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
}
OUTPUTS = {
    "linear": ACTIVATIONS["identity"],
    "sigmoid": ACTIVATIONS["sigmoid"],
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=0),
}


@side
@dtypes
@pytest.mark.parametrize("output", LOSSES)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_predict(side, dtype, output, activation):
    net = side.Network([3, 5, 4], activation, output, dtype=dtype, seed=0)
    net.vector[:] = np.random.RandomState(1).randn(net.vector.size)
    X = np.random.RandomState(0).randn(3, 7)
    W1, b1, W2, b2 = (p.astype(np.float64) for p in net.parameters.values())
    expected = OUTPUTS[output](W2 @ ACTIVATIONS[activation](W1 @ X + b1) + b2)
    found = net.predict(X)
    assert found.dtype == dtype
    assert found == pytest.approx(expected, rel=1e-12 if dtype == "float64" else 1e-4, abs=1e-6)


@side
def test_each_hidden_layer_may_have_its_own_activation(side):
    net = side.Network([3, 5, 4, 2], ["tanh", "relu"], seed=0)
    X = np.random.RandomState(0).randn(3, 7)
    W1, _, W2, _, W3, _ = net.parameters.values()
    assert net.hidden_activations == ("tanh", "relu")
    assert net.predict(X) == pytest.approx(W3 @ np.maximum(W2 @ np.tanh(W1 @ X), 0))


@side
@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble", "int8", "int64", "uint8", "bool", ">f8", ">i4"])
def test_any_real_dtype_of_examples(side, dtype):
    net = side.Network([3, 4, 2], "tanh", seed=0)
    X = np.random.RandomState(0).randint(0, 2, (3, 6)).astype(dtype)
    expected = net.predict(X.astype(np.float64))
    assert net.predict(X).tobytes() == expected.tobytes()
    assert net.predict(X.astype(np.float64).tolist()).tobytes() == expected.tobytes()


@side
def test_any_strides_of_examples(side):
    net = side.Network([3, 4, 2], "tanh", seed=0)
    X = np.random.RandomState(0).randn(6, 8)
    for view in (X[::2], X[:3, ::-1], X.T[1:7:2, :], X[5:2:-1, ::3]):
        assert net.predict(view).tobytes() == net.predict(view.copy()).tobytes()
    packed = np.zeros(5, [("a", "i1"), ("b", "f8", 3)])["b"].T
    assert not packed.flags.aligned
    assert net.predict(packed).tobytes() == net.predict(np.zeros((3, 5))).tobytes()


@side
@dtypes
def test_predict_one_is_predict(side, dtype):
    net = side.Network([3, 4, 2], "tanh", "softmax", dtype=dtype, seed=0)
    X = np.random.RandomState(0).randn(3, 5).astype(dtype)
    expected = net.predict(X)
    for t in range(5):
        one = net.predict_one(X[:, t].copy())
        assert one.shape == (2,)
        assert one.dtype == dtype
        assert one == pytest.approx(expected[:, t], rel=1e-6)
        for same in (X[:, t], X[:, t].tolist(), X[:, t : t + 1], X[:, t].astype(np.float64)):
            assert net.predict_one(same).tobytes() == one.tobytes()
    first = net.predict_one(X[:, 0])
    net.vector[:] = 0
    assert net.predict_one(X[:, 0]).tolist() == [0.5, 0.5]
    assert first.tolist() != [0.5, 0.5]


@side
@pytest.mark.parametrize("output", LOSSES)
@pytest.mark.parametrize("sizes", [[3, 2], [3, 5, 2], [3, 5, 4, 2]])
def test_backward_is_the_derivative_of_forward(side, output, sizes):
    net = side.Network(sizes, "tanh", output, seed=0)
    random = np.random.RandomState(0)
    X, dA = random.randn(3, 6), random.randn(2, 6)
    A, cache = net.forward(X)
    grads, dX = net.backward(dA, cache)
    assert net.predict(X) == pytest.approx(A, rel=1e-14)
    assert list(grads) == [f"d{name}" for name in net.parameters]

    def quotient(array, index, step=1e-6):
        kept, sums = array[index], []
        for moved in (kept + step, kept - step):
            array[index] = moved
            sums.append(np.sum(dA * net.predict(X)))
        array[index] = kept
        return (sums[0] - sums[1]) / (2 * step)

    arrays = [(X, dX)] + [(parameter, grads[f"d{name}"]) for name, parameter in net.parameters.items()]
    for array, gradient in arrays:
        assert gradient.shape == array.shape
        expected = [quotient(array, index) for index in np.ndindex(array.shape)]
        assert gradient.ravel() == pytest.approx(expected, rel=1e-6, abs=1e-8)


@side
def test_two_caches_live_side_by_side(side):
    net = side.Network([3, 5, 2], "tanh", seed=0)
    X = np.random.RandomState(0).randn(3, 12)
    dA = np.ones((2, 6))
    _, cache = net.forward(X[:, :6])
    expected = net.backward(dA, cache)[0]["dW1"].copy()
    first = net.forward(X[:, :6])[1]
    net.backward(dA, net.forward(X[:, 6:])[1])
    net.predict(X)
    assert net.backward(dA, first)[0]["dW1"].tobytes() == expected.tobytes()


@side
@dtypes
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_whole_and_independent(side, dtype, how):
    net = side.Network([3, 4, 2], ["silu"], "softmax", "lecun", dtype, seed=7)
    net.predict(np.zeros((3, 1)))
    twin = how(net)
    assert type(twin) is type(net)
    assert repr(twin) == repr(net)
    assert twin.vector.tobytes() == net.vector.tobytes()
    assert twin.vector.ctypes.data % 64 == 0
    twin.vector[:] = 0
    assert not twin.parameters["W2"].any()
    assert net.parameters["W2"].all()
    assert twin.predict_one(np.zeros(3, dtype)).tolist() == [0.5, 0.5]


def test_repr_says_how_it_was_made():
    net = fastnn.Network([3, 4, 4, 2], ["tanh", "relu"], "softmax", "lecun", "float32", 7)
    assert repr(net) == (
        "Network([3, 4, 4, 2], hidden_activation=['tanh', 'relu'], output='softmax', initializer='lecun', "
        "dtype='float32', seed=7)"
    )
    assert "hidden_activation='relu'" in repr(fastnn.Network([3, 4, 4, 2]))
    assert "hidden_activation=[]" in repr(fastnn.Network([3, 2]))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"layer_sizes": [3]}, ValueError, "layer_sizes must have at least 2 entries"),
        ({"layer_sizes": [3, 0]}, ValueError, r"layer_sizes\[1\] must be at least 1, got 0"),
        ({"layer_sizes": [3, 2.0]}, TypeError, r"layer_sizes\[1\] must be an integer, got 2.0"),
        ({"layer_sizes": 3}, TypeError, "layer_sizes must be a sequence of integers, got 3"),
        ({"hidden_activation": "rule"}, ValueError, "hidden_activation must be one of 'identity', .*, got 'rule'"),
        ({"hidden_activation": 3}, TypeError, "hidden_activation must be one of 'identity', .*, got 3"),
        ({"hidden_activation": ["relu"] * 2}, ValueError, "one entry for each of the 1 hidden layers, got 2"),
        ({"hidden_activation": [3]}, TypeError, r"hidden_activation\[0\] must be one of 'identity'"),
        (
            {"hidden_activation": lambda z: np.tanh(z)},
            TypeError,
            "hidden_activation must return two numbers, .*, got .*0.46",
        ),
        ({"output": "tanh"}, ValueError, "output must be one of 'linear', .*, got 'tanh'"),
        ({"initializer": "kaiming"}, ValueError, "initializer must be one of 'zeros', .*, got 'kaiming'"),
        ({"dtype": "float16"}, ValueError, "dtype must be float32 or float64, got 'float16'"),
        ({"dtype": ">f8"}, ValueError, "dtype must be float32 or float64, got '>f8'"),
        ({"dtype": None}, ValueError, "dtype must be float32 or float64, got None"),
        ({"dtype": "number"}, ValueError, "dtype must be float32 or float64, got 'number'"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": 2**32}, ValueError, r"seed must be less than 2\*\*32, got 4294967296"),
        ({"seed": 1.0}, TypeError, "seed must be an integer, got 1.0"),
    ],
)
def test_bad_networks(arguments, kind, message):
    with pytest.raises(kind, match=message):
        fastnn.Network(**{"layer_sizes": [3, 4, 2], **arguments})


BAD_EXAMPLES = [
    (np.zeros((4, 5)), ValueError, r"X must have shape \(3, m\) with examples in columns, got shape \(4, 5\)"),
    (np.zeros(3), ValueError, r"X must have shape \(n_x, m\) with examples in columns, got shape \(3,\)"),
    (np.zeros((3, 0)), ValueError, r"X must not be empty, got shape \(3, 0\)"),
    (np.zeros((3, 2), complex), TypeError, "X must hold real numbers .*, got dtype complex128"),
    (np.zeros((3, 2), object), TypeError, "X must hold real numbers .*, got dtype object"),
    (np.full((3, 2), "a"), TypeError, "X must hold real numbers .*, got dtype <U1"),
    ([[1.0], [1.0, 2.0], [3.0]], ValueError, "X must be an array, got a sequence of unequal rows"),
]


@pytest.mark.parametrize(("X", "kind", "message"), BAD_EXAMPLES)
def test_bad_examples(X, kind, message):
    net = fastnn.reference.Network([3, 4, 2])
    for method in (net.predict, net.forward):
        with pytest.raises(kind, match=message):
            method(X)


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (np.zeros(4), ValueError, r"x must have shape \(3,\), got shape \(4,\)"),
        (np.zeros((1, 3)), ValueError, r"x must have shape \(3,\), got shape \(1, 3\)"),
        (1.0, ValueError, r"x must have shape \(3,\), got shape \(\)"),
        (np.zeros(3, complex), TypeError, "x must hold real numbers .*, got dtype complex128"),
    ],
)
def test_bad_single_examples(x, kind, message):
    with pytest.raises(kind, match=message):
        fastnn.reference.Network([3, 4, 2]).predict_one(x)


def test_bad_gradients():
    net = fastnn.reference.Network([3, 4, 2])
    _, cache = net.forward(np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"dA must have shape \(2, m\) .*, got shape \(3, 5\)"):
        net.backward(np.zeros((3, 5)), cache)
    with pytest.raises(ValueError, match=r"dA must have one column for each of the 5 examples, got shape \(2, 4\)"):
        net.backward(np.zeros((2, 4)), cache)
    with pytest.raises(TypeError, match="cache must be the one that forward returned, got tuple"):
        net.backward(np.zeros((2, 5)), ())
    with pytest.raises(ValueError, match="cache must be this network's"):
        fastnn.reference.Network([3, 4, 2]).backward(np.zeros((2, 5)), cache)
