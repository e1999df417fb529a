"""L-BFGS over a network's arena: SciPy's, with an epoch for each iteration."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.interrupts import held
from fastnn.optimizers import LBFGS

__all__ = ["minimize"]


def minimize(
    evaluate: Callable[[], tuple[float, np.ndarray]],
    theta: np.ndarray,
    optimizer: LBFGS,
    iterations: int,
    note: Callable[[float], object],
    after: Callable[[], bool],
) -> None:
    """Minimise a cost over theta, in place.

    Parameters
    ----------
    evaluate : callable
        Returns cost and gradient at what theta holds.
    theta : numpy.ndarray, shape (n_parameters,)
        Where to start; holds the last finished iterate at the end, after an exception too.
    optimizer : LBFGS
        Settings.
    iterations : int
        Iterations at most.
    note : callable
        Called after each iteration with the cost before it, while Ctrl-C is held back.
    after : callable
        Called then; a true value ends the training.

    Raises
    ------
    ImportError
        If SciPy is not installed.

    Examples
    --------
    >>> theta = np.array([3.0, 4.0])
    >>> minimize(lambda: (float(theta @ theta), 2 * theta), theta, LBFGS(), 20, lambda cost: None, lambda: False)
    >>> bool(abs(theta).max() < 1e-6)
    True
    """
    try:
        with held():
            from scipy import optimize
    except ImportError as error:
        raise ImportError("LBFGS needs SciPy, which is not installed") from error

    accepted = theta.copy()
    costs: list[float] = []

    def cost_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        theta[:] = x
        cost, gradient = evaluate()
        if not costs:
            costs.append(cost)
        return cost, gradient.astype(np.float64)

    def iterated(intermediate_result: Any) -> None:
        with held():
            accepted[:] = theta[:] = intermediate_result.x
            costs.append(float(intermediate_result.fun))
            note(costs[-2])
        if after():
            raise StopIteration

    if not iterations:
        return
    try:
        optimize.minimize(
            cost_and_gradient,
            theta.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=iterated,
            options={
                "maxcor": optimizer.history_size,
                "gtol": optimizer.tolerance,
                # Below this share of the cost a fall is rounding.
                "ftol": 64 * float(np.finfo(theta.dtype).eps),
                "maxiter": iterations,
                "maxfun": np.iinfo(np.int32).max,
            },
        )
    finally:
        # The last evaluation may have been a trial of the line search.
        theta[:] = accepted
