"""The estimators beside scikit-learn's: `python -m benchmarks.estimators [--adult adult.csv]`.

Speed is that of whole fits, validation of input included, in turns, scikit-learn with one BLAS thread and with all;
losses of both sides are compared. Scores are those of ten seeds, paired.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings

import numpy as np

ROUNDS = 5
SEEDS = 10


def speed_cases():
    """Name, data, parameters, and how many times faster a fit shall be at least."""
    from sklearn.datasets import load_digits, make_moons

    X, y = make_moons(300, noise=0.2, random_state=0)
    yield "moons, 300 rows, (100,)", X, y, {"max_iter": 100}, 25
    yield "moons, 300 rows, (20, 3)", X, y, {"max_iter": 100, "hidden_layer_sizes": (20, 3)}, 25
    X, y = load_digits(return_X_y=True)
    yield "digits, (64, 64)", X / 16, y, {"max_iter": 20, "hidden_layer_sizes": (64, 64)}, 6
    stream = np.random.RandomState(0)
    X = stream.rand(10_000, 784).astype(np.float32)
    y = (X @ stream.randn(784, 10)).argmax(axis=1)
    yield "10,000 rows, 784-512-256-10, float32", X, y, {"max_iter": 3, "hidden_layer_sizes": (512, 256)}, 2.5


def seconds(function):
    """Time of one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


class Fits:
    """Whole fits of the table's cases, warm."""

    params = ([0, 1, 2, 3],)
    param_names = ("case",)

    def setup(self, index):
        import fastnn

        warnings.simplefilter("ignore")
        _, self.X, self.y, parameters, _ = list(speed_cases())[index]
        self.model = fastnn.MLPClassifier(**{"random_state": 0, "n_iter_no_change": 10_000, **parameters})
        self.model.fit(self.X, self.y)

    def time_fit(self, index):
        self.model.fit(self.X, self.y)


class Calls:
    """Short calls on the digits, where arguments are checked for longer than is computed."""

    def setup(self):
        from sklearn.datasets import load_digits

        import fastnn

        warnings.simplefilter("ignore")
        X, y = load_digits(return_X_y=True)
        self.X, self.y, self.row = X[:100], y[:100], X[:1]
        self.model = fastnn.MLPClassifier((64, 64), max_iter=1, random_state=0).fit(self.X, self.y)
        self.model.predict(self.row)

    def time_short_fit(self):
        self.model.fit(self.X, self.y)

    def time_predict_one_row(self):
        self.model.predict(self.row)


def timed_fits(side, index):
    """Final loss and times of fits, behind some untimed ones: 'fastnn', or scikit-learn with '1' or 'all' threads."""
    from contextlib import nullcontext

    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    import fastnn

    _, X, y, parameters, _ = list(speed_cases())[index]
    cls = fastnn.MLPClassifier if side == "fastnn" else MLPClassifier
    model = cls(**{"random_state": 0, "n_iter_no_change": 10_000, **parameters})
    with threadpool_limits(1) if side == "1" else nullcontext():
        until = time.perf_counter() + 0.5
        model.fit(X, y)
        while time.perf_counter() < until:
            model.fit(X, y)
        times = [seconds(lambda: model.fit(X, y)) for _ in range(ROUNDS)]
    return model.loss_curve_, times


def print_speed():
    """Print the table of fits.

    Each side has a process to itself, in turns: in one process the threads of a BLAS and ours, which spin before they
    sleep, slow each other down.
    """
    print(f"{'fit':<38}{'fastnn':>11}{'scikit-learn, 1':>17}{'all threads':>13}{'ratio':>8}{'asked':>7}")
    # Settings that would have OpenBLAS run another processor's code.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    for index, (name, X, _, _, wanted) in enumerate(speed_cases()):
        times, losses = {"fastnn": [], "1": [], "all": []}, {}
        for _ in range(2):
            for side, found in times.items():
                command = [sys.executable, "-W", "ignore", "-m", "benchmarks.estimators", "--fits", side, str(index)]
                run = subprocess.run(command, env=environment, capture_output=True, check=True)
                losses[side], new = json.loads(run.stdout)
                found += new
        for side in ("1", "all"):
            tolerance = 1e-8 if X.dtype == np.float64 else 1e-3
            np.testing.assert_allclose(losses["fastnn"], losses[side], rtol=tolerance)
        ours, one, every = (1e3 * statistics.median(found) for found in times.values())
        print(
            f"{name:<38}{ours:>8.2f} ms{one:>14.1f} ms{every:>10.1f} ms{min(one, every) / ours:>7.1f}x{wanted:>6}x",
            flush=True,
        )


def print_calls():
    """Print the time of short calls, where arguments are checked for longer than is computed."""
    from sklearn import config_context
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    import fastnn

    X, y = load_digits(return_X_y=True)
    print(f"\n{'call, us':<38}{'fastnn':>11}{'scikit-learn':>17}")
    models = [cls((64, 64), max_iter=1, random_state=0) for cls in (fastnn.MLPClassifier, MLPClassifier)]
    calls = {
        "fit, 100 rows, max_iter=1": lambda model: model.fit(X[:100], y[:100]),
        "predict, 1 row": lambda model: model.predict(X[:1]),
    }
    for name, call in calls.items():
        for assumed in (False, True):
            with config_context(assume_finite=assumed):
                found = [[seconds(lambda m=m, call=call: call(m)) for m in models] for _ in range(300)]
            medians = [1e6 * statistics.median(column) for column in zip(*found, strict=True)]
            print(f"{name + (', assume_finite' if assumed else ''):<38}{medians[0]:>11.0f}{medians[1]:>17.0f}")


def print_large_prediction():
    """Print the time of a prediction for a large table, and that of the engine alone."""
    import fastnn

    X = np.random.default_rng(0).standard_normal((1_000_000, 20))
    y = (X[:2000, 0] > 0) * 1
    print(f"\n{'predict_proba, 1,000,000 x 20, ms':<38}{'fastnn':>11}{'engine alone':>17}{'ratio':>8}{'asked':>7}")
    for name, hidden, targets in (
        ("two classes, (100,)", (100,), y),
        ("three classes, (64, 64)", (64, 64), y + (X[:2000, 1] > 0)),
    ):
        model = fastnn.MLPClassifier(hidden, max_iter=2, random_state=0).fit(X[:2000], targets)
        calls = (lambda model=model: model.predict_proba(X), lambda model=model: model.network_.predict(X.T))
        found = [[seconds(call) for call in calls] for _ in range(9)]
        whole, engine = (1e3 * statistics.median(column) for column in zip(*found, strict=True))
        print(f"{name:<38}{whole:>11.1f}{engine:>17.1f}{whole / engine:>7.2f}x{'1.3':>6}x")


def print_search():
    """Print the time of a grid search of 24 candidates and 5 folds, workers warm."""
    from sklearn import neural_network
    from sklearn.datasets import load_digits
    from sklearn.model_selection import GridSearchCV

    import fastnn

    os.environ["PYTHONWARNINGS"] = "ignore"  # the workers'
    X, y = load_digits(return_X_y=True)
    X = X / 16
    grid = {
        "alpha": [1e-4, 1e-3, 1e-2], "learning_rate_init": [1e-3, 3e-3], "activation": ["relu", "tanh"],
        "batch_size": [64, 200],
    }  # fmt: skip
    fixed = {"hidden_layer_sizes": (64,), "max_iter": 20, "random_state": 0}
    sides = {
        "two jobs": (fastnn.MLPClassifier(**fixed), 2),
        "one job, one thread": (fastnn.MLPClassifier(**fixed, n_threads=1), 1),
        "scikit-learn, two jobs": (neural_network.MLPClassifier(**fixed), 2),
        "scikit-learn, one job": (neural_network.MLPClassifier(**fixed), 1),
    }

    def searched(model, n_jobs):
        return GridSearchCV(model, grid, cv=5, n_jobs=n_jobs).fit(X, y)

    scores = {name: searched(*side).best_score_ for name, side in sides.items()}
    assert len(set(scores.values())) == 1, scores
    times = {name: [] for name in sides}
    for _ in range(3):
        for name, side in sides.items():
            times[name].append(seconds(lambda side=side: searched(*side)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"\n{'grid search, 24 x 5 fits on digits':<38}{'s':>11}{'two jobs are':>17}{'asked':>7}")
    asked = {"one job, one thread": 1.8, "scikit-learn, two jobs": 8, "scikit-learn, one job": 8}
    for name, median in medians.items():
        ratio = f"{median / medians['two jobs']:.2f}x" if name in asked else ""
        print(f"{name:<38}{median:>11.2f}{ratio:>17}{asked.get(name, '')!s:>7}")


def score_cases(adult):
    """Name, data, and whether the targets are classes."""
    from sklearn import datasets

    yield "digits", *datasets.load_digits(return_X_y=True), True
    yield "breast cancer", *datasets.load_breast_cancer(return_X_y=True), True
    yield "wine", *datasets.load_wine(return_X_y=True), True
    yield "diabetes", *datasets.load_diabetes(return_X_y=True), False
    if adult:
        import csv

        from sklearn.preprocessing import OneHotEncoder

        with open(adult, newline="") as file:
            table = np.array([[cell.strip() for cell in row] for row in csv.reader(file) if row][1:])
        yield "adult, one-hot", OneHotEncoder(min_frequency=20).fit_transform(table[:, :-1]), table[:, -1], True


def print_scores(adult):
    """Print test scores of ten seeds, ours less theirs, and the time of all fits."""
    from sklearn import neural_network
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import fastnn

    print(f"\n{'score of 10 seeds':<18}{'fastnn':>9}{'scikit-learn':>14}{'difference':>12}{'2 s.e.':>9}{'time':>9}")
    for name, X, y, classes in score_cases(adult):
        estimator = "MLPClassifier" if classes else "MLPRegressor"
        scores, spent = [], np.zeros(2)
        for seed in range(SEEDS):
            parts = train_test_split(X, y, random_state=seed)
            row = []
            for k, module in enumerate((fastnn, neural_network)):
                mlp = getattr(module, estimator)(hidden_layer_sizes=(64, 64), max_iter=30, random_state=seed)
                model = make_pipeline(StandardScaler(with_mean=isinstance(X, np.ndarray)), mlp)
                spent[k] += seconds(lambda model=model, parts=parts: model.fit(parts[0], parts[2]))
                row.append(model.score(parts[1], parts[3]))
            scores.append(row)
        scores = np.array(scores)
        difference = scores[:, 0] - scores[:, 1]
        error = difference.std(ddof=1) / np.sqrt(SEEDS)
        print(
            f"{name:<18}{scores[:, 0].mean():>9.4f}{scores[:, 1].mean():>14.4f}{difference.mean():>+12.5f}"
            f"{2 * error:>9.5f}{spent[1] / spent[0]:>8.1f}x"
        )


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--adult", help="a csv table with a header and the classes in its last column")
    parser.add_argument("--fits", nargs=2, metavar=("SIDE", "CASE"), help="only time these fits, for the table's sake")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.fits:
        side, index = options.fits
        print(json.dumps(timed_fits(side, int(index))))
        return
    print_speed()
    print_calls()
    print_large_prediction()
    print_search()
    print_scores(options.adult)


if __name__ == "__main__":
    main()
