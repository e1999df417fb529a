"""Estimators that come back from elsewhere, and data that change while they are read: training works in memory of its
own, and reads nothing beyond a table's end."""

import hashlib
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from scipy import sparse

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(60, 5)
Y = (X[:, 0] > 0).astype(int)
SOLVERS = {
    "adam": {}, "adamw": {"solver": "adamw"}, "rmsprop": {"solver": "rmsprop"}, "momentum": {"solver": "sgd"},
    "sgd": {"solver": "sgd", "momentum": 0.0}, "lbfgs": {"solver": "lbfgs"},
}  # fmt: skip


def fitted(dtype=np.float64, **options):
    return fastnn.MLPClassifier(**{"hidden_layer_sizes": 6, "max_iter": 3, "random_state": 0, **options}).fit(
        X.astype(dtype), Y
    )


def weights(model):
    return np.concatenate([array.ravel() for array in model.coefs_ + model.intercepts_])


def train(model, dtype, warm):
    if warm:
        return weights(model.set_params(warm_start=True).fit(X.astype(dtype), Y))
    return weights(model.set_params(solver=model.solver.replace("lbfgs", "adam")).partial_fit(X.astype(dtype), Y))


@pytest.mark.parametrize("warm", [False, True], ids=["partial_fit", "warm start"])
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
def test_estimators_mapped_into_memory_train_beside_their_file(tmp_path, solver, dtype, mode, warm):
    model, file = fitted(dtype, **SOLVERS[solver]), tmp_path / "model.joblib"
    joblib.dump(model, file)
    before = hashlib.sha256(file.read_bytes()).digest()
    mapped = joblib.load(file, mmap_mode=mode)
    assert isinstance(mapped.coefs_[0], np.memmap)
    np.testing.assert_array_equal(train(mapped, dtype, warm), train(model, dtype, warm))
    assert not any(isinstance(array, np.memmap) for array in mapped.coefs_)
    del mapped
    assert hashlib.sha256(file.read_bytes()).digest() == before


def foreign(array, kind):
    """An equal array that vectors cannot work on."""
    if kind == "swapped":
        return array.astype(array.dtype.newbyteorder(">"))
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    moved = buffer[1:].view(array.dtype).reshape(array.shape) if kind == "misaligned" else array.copy()
    moved[...] = array
    moved.flags.writeable = kind != "frozen"
    return moved


@pytest.mark.parametrize("kind", ["swapped", "misaligned", "frozen"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
def test_foreign_arrays_become_our_own(solver, dtype, kind):
    model = fitted(dtype, **SOLVERS[solver])
    other = pickle.loads(pickle.dumps(model))
    other.coefs_ = [foreign(array, kind) for array in other.coefs_]
    other.intercepts_ = [foreign(array, kind) for array in other.intercepts_]
    if solver != "lbfgs":
        state = other._optimizer.__getstate__()
        *arrays, step = state["state"]
        state["state"] = (*(foreign(array, kind) for array in arrays), step)
        other._optimizer.__setstate__(state)
    kept = [array.copy() for array in other.coefs_]
    given = other.coefs_
    np.testing.assert_array_equal(train(other, dtype, False), train(model, dtype, False))
    assert other.coefs_[0].dtype == model.coefs_[0].dtype
    for array, before in zip(given, kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_weights_of_the_other_byte_order_go_elsewhere():
    model = fitted()
    expected = model.predict_proba(X)
    model.coefs_ = [array.astype(">f8") for array in model.coefs_]
    model.intercepts_ = [array.astype(">f8") for array in model.intercepts_]
    np.testing.assert_allclose(model.to_sklearn().predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    model = pickle.loads(pickle.dumps(model))
    model.coefs_ = [array.astype(">f8") for array in model.coefs_]
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(model.to_torch()(torch.from_numpy(X)).detach()[:, 0], expected[:, 1], rtol=1e-12)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("value", [0, -(2**31), 2**31 - 1])
@pytest.mark.parametrize("which", ["indptr", "indices"])
def test_sparse_tables_that_change_while_they_are_read(index, value, which):
    table = sparse.csr_matrix(np.where(X > 0, X, 0.0))
    table.indices, table.indptr = table.indices.astype(index), table.indptr.astype(index)

    def spoil(owner, history):
        getattr(table, which)[:] = value

    model = fastnn.MLPClassifier(6, max_iter=4, random_state=0, callbacks=[spoil]).fit(table, Y)
    assert model.n_iter_ == 4
    assert np.isfinite(weights(model)).all()
    if which == "indptr":
        # Where rows begin was copied.
        expected = fastnn.MLPClassifier(6, max_iter=4, random_state=0).fit(sparse.csr_matrix(np.where(X > 0, X, 0)), Y)
        np.testing.assert_array_equal(weights(model), weights(expected))
