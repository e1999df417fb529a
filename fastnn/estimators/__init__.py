"""scikit-learn estimators: its MLPs' parameters, attributes and numbers, and what its users have missed.

They train by the compiled engine; nothing below this folder imports it.
"""

from fastnn.checks import needed_module

needed_module("sklearn", "scikit-learn", "fastnn.estimators")

from fastnn.estimators.classifier import MLPClassifier  # noqa: E402
from fastnn.estimators.regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
