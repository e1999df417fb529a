"""A fit that is refused changes nothing."""

from numbers import Integral
from typing import Any

from sklearn.utils import check_random_state

from fastnn.estimators.sklearn_callbacks import UNDER_WAY, wants_tasks


class UndoneIfRefused:
    """Gives an estimator back what it had, if a fit raises before its first epoch is over.

    Until then everything is new, and nothing that was there is written into: to give back the attributes is enough. The
    fit counts its epochs in ``n_iter_``.

    Parameters
    ----------
    estimator : estimator
        Is about to be fitted.
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def __enter__(self) -> None:
        estimator = self._estimator
        self._before = estimator.__dict__.copy()
        solver = self._before.get("_optimizer")
        # A later part of a fit goes on with it, and callbacks set its rate.
        self._solver = None if solver is None else vars(solver).copy()
        self._stream = None
        if not isinstance(estimator.random_state, Integral) and self._may_be_late():
            self._stream = check_random_state(estimator.random_state)
            self._drawn = self._stream.get_state(legacy=False)
        estimator.n_iter_ = 0

    def _may_be_late(self) -> bool:
        """Whether something may be refused after first weights were drawn from a stream that others use.

        Reading the state of one takes a good part of a short fit.
        """
        estimator = self._estimator
        return (
            estimator.early_stopping or estimator.callbacks is not None or callable(estimator.learning_rate)
            or wants_tasks(estimator)
        )  # fmt: skip

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        now = self._estimator.__dict__
        if kind is None or now["n_iter_"]:
            return
        # scikit-learn has yet to end these.
        self._estimator.__dict__ = self._before | {name: now[name] for name in UNDER_WAY if name in now}
        if self._solver is not None:
            vars(self._before["_optimizer"]).update(self._solver)
        if self._stream is not None:
            self._stream.set_state(self._drawn)
