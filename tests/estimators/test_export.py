"""Fitted estimators elsewhere: equal predictions in scikit-learn, in PyTorch and, by way of skl2onnx, in ONNX."""

import pickle
import sys
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn import neural_network  # noqa: E402
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import fastnn  # noqa: E402
from fastnn.activations import HIDDEN_ACTIVATIONS  # noqa: E402
from fastnn.estimators import export  # noqa: E402


def iris(classes=3, dtype=np.float64):
    X, y = load_iris(return_X_y=True)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(dtype)
    return X[y < classes], y[y < classes]


def names():
    X, y = iris()
    return X, np.array(["one", "two", "three"])[y]


def diabetes(outputs=1):
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    return X[:150] * 20, y[:150] if outputs == 1 else np.stack([y[:150], np.sin(y[:150])], axis=1)


def counts():
    X, y = diabetes()
    return X, np.floor(2 * np.exp(y / 2))


CASES = {
    "binary": ("MLPClassifier", lambda: iris(2), {}),
    "multiclass": ("MLPClassifier", iris, {}),
    "strings": ("MLPClassifier", names, {}),
    "multilabel": ("MLPClassifier", lambda: make_multilabel_classification(150, 12, n_classes=4, random_state=0), {}),
    "one output": ("MLPRegressor", diabetes, {}),
    "two outputs": ("MLPRegressor", lambda: diabetes(2), {}),
    "poisson": ("MLPRegressor", counts, {"loss": "poisson"}),
    "float32": ("MLPClassifier", lambda: iris(3, np.float32), {}),
    "lbfgs": ("MLPClassifier", iris, {"solver": "lbfgs"}),
    "early stopping": ("MLPClassifier", iris, {"early_stopping": True, "activation": "tanh"}),
}


def fit(estimator, X, y, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y, **more)


def fitted(case, module=fastnn, **options):
    name, data, own = CASES[case]
    X, y = data()
    options = {"hidden_layer_sizes": (9, 5), "random_state": 1, "max_iter": 15, **own, **options}
    return fit(getattr(module, name)(**options), X, y), X, y


def assert_equal(a, b, X, y):
    rtol = 1e-4 if X.dtype == np.float32 else 1e-10
    for name in ("predict", "predict_proba"):
        if hasattr(a, name):
            left, right = getattr(a, name)(X), getattr(b, name)(X)
            assert (left.shape, left.dtype) == (right.shape, right.dtype)
            if left.dtype.kind == "f":
                np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol)
            else:
                np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(a.score(X, y), b.score(X, y), rtol=rtol)


@pytest.mark.parametrize("case", CASES)
def test_to_sklearn(case):
    ours, X, y = fitted(case)
    reference, _, _ = fitted(case, neural_network)
    theirs = ours.to_sklearn()
    assert type(theirs) is type(reference)
    assert theirs.get_params() == reference.get_params()
    assert_equal(ours, theirs, X, y)
    assert set(vars(reference)) - {"_optimizer", "_coef_indptr", "_intercept_indptr"} <= set(vars(theirs))
    assert all(c.flags.c_contiguous and c.flags.owndata for c in theirs.coefs_)
    assert not any(np.shares_memory(a, b) for a, b in zip(ours.coefs_, theirs.coefs_, strict=True))
    data = pickle.dumps(theirs)
    assert b"fastnn" not in data
    assert_equal(ours, pickle.loads(data), X, y)


@pytest.mark.parametrize("case", CASES)
def test_from_sklearn_and_back(case):
    theirs, X, y = fitted(case, neural_network)
    ours = getattr(fastnn, CASES[case][0]).from_sklearn(theirs)
    params = ours.get_params()
    assert {name: params[name] for name in theirs.get_params()} == theirs.get_params()
    assert_equal(theirs, ours, X, y)
    assert_equal(theirs, pickle.loads(pickle.dumps(ours)), X, y)
    assert_equal(theirs, ours.to_sklearn(), X, y)
    assert_equal(fit(ours.set_params(warm_start=True), X, y), ours.to_sklearn(), X, y)


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("lbfgs", "early stopping")])
def test_training_goes_on_alike(case):
    ours, X, y = fitted(case, solver="sgd", momentum=0.0, shuffle=False)
    theirs = ours.to_sklearn().partial_fit(X, y)
    again = type(ours).from_sklearn(ours.to_sklearn()).partial_fit(X, y)
    assert_equal(again, theirs, X, y)
    np.testing.assert_allclose(again.loss_curve_, theirs.loss_curve_, rtol=1e-4 if X.dtype == np.float32 else 1e-10)


@pytest.mark.parametrize("solver", ["adamw", "rmsprop"])
def test_what_scikit_learn_has_not(solver):
    X, y = iris()
    options = {"solver": solver, "learning_rate": fastnn.Constant(0.01), "dropout": 0.1, "max_iter": 5}
    ours = fastnn.MLPClassifier((5,), "sigmoid", **options, random_state=0)
    fit(ours, X, y, X_val=X[::3], y_val=y[::3])
    theirs = ours.to_sklearn()
    assert (theirs.activation, theirs.solver, theirs.learning_rate) == ("logistic", "adam", "constant")
    assert_equal(ours, theirs, X, y)
    theirs.partial_fit(X, y)


def test_feature_names():
    pandas = pytest.importorskip("pandas")
    X, y = iris()
    X = pandas.DataFrame(X, columns=list("abcd"))
    ours = fit(fastnn.MLPClassifier((4,), max_iter=3), X, y)
    theirs = ours.to_sklearn()
    assert theirs.feature_names_in_.tolist() == list("abcd")
    assert type(ours).from_sklearn(theirs).feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_errors():
    X, y = iris()
    ours = fit(fastnn.MLPClassifier((4,), "gelu", max_iter=2), X, y)
    with pytest.raises(ValueError, match=r"^activation must be one that scikit-learn has \(identity, .*, got 'gelu'$"):
        ours.to_sklearn()
    with pytest.raises(TypeError, match=r"^model must be a sklearn.neural_network.MLPClassifier, got MLPRegressor$"):
        fastnn.MLPClassifier.from_sklearn(neural_network.MLPRegressor())
    with pytest.raises(TypeError, match=r"^estimator must be a fastnn.MLPClassifier or MLPRegressor, got int$"):
        export.to_sklearn(3)
    with pytest.raises(TypeError, match=r"^cls must be fastnn.MLPClassifier or fastnn.MLPRegressor, got 3$"):
        export.from_sklearn(3, ours)
    with pytest.raises(AttributeError, match="no attribute 'to_keras'"):
        _ = export.to_keras
    for use in (
        fastnn.MLPClassifier().to_sklearn,
        fastnn.MLPClassifier().to_torch,
        lambda: fastnn.MLPClassifier.from_sklearn(neural_network.MLPClassifier()),
    ):
        with pytest.raises(NotFittedError):
            use()


def test_torch_is_needed(monkeypatch):
    ours, _, _ = fitted("binary")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"^to_torch needs PyTorch, which is not installed$"):
        ours.to_torch()


def own_activation(z):
    return z, 1.0


def test_torch_has_no_module_for_functions():
    ours, _, _ = fitted("binary")
    ours.activation = own_activation
    with pytest.raises(ValueError, match=r"^activation must be a name, .*, got own_activation$"):
        ours.to_torch()


def outputs(estimator, X):
    if not hasattr(estimator, "predict_proba"):
        return estimator.predict(X).reshape(len(X), -1)
    probabilities = estimator.predict_proba(X)
    return probabilities[:, 1:] if estimator.n_outputs_ == 1 else probabilities


def assert_torch(ours, X):
    torch = pytest.importorskip("torch")
    state = torch.random.get_rng_state()
    module = ours.to_torch()
    assert torch.equal(state, torch.random.get_rng_state())
    expected = outputs(ours, X)
    for one in (module, pickle.loads(pickle.dumps(module))):
        out = one(torch.from_numpy(np.asarray(X, ours.coefs_[0].dtype))).detach().numpy()
        assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
        rtol = 1e-4 if out.dtype == np.float32 else 1e-10
        np.testing.assert_allclose(out, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("case", CASES)
def test_torch(case):
    ours, X, _ = fitted(case)
    assert_torch(ours, X)


@pytest.mark.parametrize("activation", [*HIDDEN_ACTIVATIONS, "logistic"])
def test_torch_activations(activation):
    ours, X, _ = fitted("one output", activation=activation)
    assert_torch(ours, X * np.linspace(0.1, 30, len(X))[:, None])


@pytest.mark.parametrize("case", [c for c in CASES if c != "poisson"])  # skl2onnx 1.20 has no exp output
def test_onnx(case):
    skl2onnx = pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    ours, X, _ = fitted(case)
    X = X.astype(np.float32)
    options = {"zipmap": False} if hasattr(ours, "classes_") else None
    theirs = ours.to_sklearn()
    model = skl2onnx.to_onnx(theirs, X[:1], options=options)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    out = session.run(None, {session.get_inputs()[0].name: X})
    if options is None:
        np.testing.assert_allclose(out[0].reshape(len(X), -1), outputs(ours, X), rtol=1e-3, atol=1e-4)
    else:
        np.testing.assert_array_equal(out[0], ours.predict(X))
        np.testing.assert_allclose(out[1], ours.predict_proba(X), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", ["binary", "multiclass", "strings", "two outputs", "float32", "lbfgs"])
def test_onnx_of_a_pipeline(case):
    skl2onnx = pytest.importorskip("skl2onnx")
    runtime = pytest.importorskip("onnxruntime")
    name, data, own = CASES[case]
    X, y = data()
    X = (X * [1.0, 100.0, 0.01, 3.0] + 5.0 if X.shape[1] == 4 else X).astype(np.float32)
    network = getattr(fastnn, name)(hidden_layer_sizes=(9, 5), random_state=1, max_iter=15, **own)
    ours = fit(make_pipeline(StandardScaler(), network), X, y)
    theirs = Pipeline([*ours.steps[:-1], ("net", ours[-1].to_sklearn())])
    np.testing.assert_allclose(outputs_of(theirs, X), outputs_of(ours, X), rtol=1e-4, atol=1e-5)
    options = {"zipmap": False} if hasattr(network, "predict_proba") else None
    session = runtime.InferenceSession(
        skl2onnx.to_onnx(theirs, X[:1], options=options).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = outputs_of(ours, X)
    out = session.run(None, {"X": X})[-1].reshape(expected.shape)
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-4)


def outputs_of(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
