"""scikit-learn's own callbacks, from 1.9 on: `set_callbacks` of an estimator."""

from typing import Any

from fastnn.history import History

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef] # instead of what could not be imported
        """Nothing: this scikit-learn has no callbacks."""


__all__ = ["UNDER_WAY", "CallbackSupportMixin", "FitTasks", "wants_tasks"]

# What scikit-learn keeps in an estimator while it is fitted.
UNDER_WAY = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def wants_tasks(estimator: Any) -> bool:
    """Whether an estimator has callbacks of scikit-learn's, or is fitted by one that keeps a tree of tasks."""
    return "_skl_callbacks" in estimator.__dict__ or "_parent_callback_ctx" in estimator.__dict__


class FitTasks:
    """scikit-learn's task of a fit, with one below it for each epoch; is a callback itself.

    As in scikit-learn's own solvers, the task of an epoch begins when the one before it ends. If no such epoch comes,
    it ends with nothing in it.

    Parameters
    ----------
    estimator : estimator
        Is about to be fitted.
    epochs : int
        How many are planned.
    X, y, sample_weight
        As the user gave them.
    """

    def __init__(self, estimator: Any, epochs: int, X: Any, y: Any, sample_weight: Any) -> None:
        self._given = {
            "estimator": estimator, "X": X, "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }  # fmt: skip
        self._estimator, self._epochs = estimator, epochs
        self._fit = estimator._init_callback_context(max_subtasks=epochs)
        self._fit.call_on_fit_task_begin(**self._given)
        self._epoch: Any = None

    def begin(self, owner: Any, history: History, epochs: int) -> None:
        """Begin the first epoch."""
        self._begin_epoch()

    def __call__(self, owner: Any, history: History) -> bool:
        """End an epoch; whether a callback wants no further ones."""
        epoch, self._epoch = self._epoch, None
        ends: bool = epoch.call_on_fit_task_end(**self._given, reconstruction_attributes=self._weights)
        self._epochs -= 1
        if not ends and self._epochs:
            self._begin_epoch()
        return bool(ends)

    def finish(self) -> None:
        """End the fit."""
        if self._epoch is not None:
            self._epoch.call_on_fit_task_end(estimator=self._estimator)
        self._fit.call_on_fit_task_end(**self._given, reconstruction_attributes=self._weights)

    def _begin_epoch(self) -> None:
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._given, reconstruction_attributes=self._weights)

    def _weights(self) -> dict[str, Any]:
        """What a copy of the estimator, which scikit-learn makes, needs to predict for itself."""
        return {name: [array.copy() for array in getattr(self._estimator, name)] for name in ("coefs_", "intercepts_")}
