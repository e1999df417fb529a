"""A pytest plugin: scikit-learn's own tests of its MLPs, with our classes in the place of its own.

Used as ``pytest -p sklearn_tests --pyargs sklearn.neural_network.tests.test_mlp``; see `test_sklearn_suite`.
"""

# Tests that reach into private methods of scikit-learn's class, which ours does not have.
LEFT_OUT = {"test_gradient": "calls _loss_grad_lbfgs with scikit-learn's own buffers"}


def pytest_configure():
    from sklearn import neural_network

    import fastnn

    neural_network.MLPClassifier, neural_network.MLPRegressor = fastnn.MLPClassifier, fastnn.MLPRegressor


def pytest_collection_modifyitems(config, items):
    left = [item for item in items if getattr(item, "originalname", item.name) in LEFT_OUT]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]
    used = next(item for item in items).module
    assert used.MLPClassifier.__module__.startswith("fastnn.estimators")
