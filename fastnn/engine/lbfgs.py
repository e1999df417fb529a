"""L-BFGS over the parameters of a network: SciPy's, with an epoch for each iteration."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.checks import needed_module
from fastnn.interrupts import Interrupts


def minimize(
    evaluate: Callable[[], tuple[float, np.ndarray]],
    theta: np.ndarray,
    note: Callable[[float, float], object],
    after: Callable[[], bool],
    interrupts: Interrupts,
    **options: float,
) -> Any:
    """Minimise a cost over theta, in place.

    Parameters
    ----------
    evaluate : callable
        Returns cost and gradient at what theta holds.
    theta : numpy.ndarray, shape (n_parameters,)
        Where to start; holds the last finished iterate at the end, after an exception too.
    note : callable
        Called after each iteration with the costs before and after it, while Ctrl-C is held back.
    after : callable
        Called then; a true value ends the training.
    interrupts : Interrupts
        Holds Ctrl-C back, if it was entered.
    **options
        SciPy's for the method L-BFGS-B.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's own.

    Raises
    ------
    ImportError
        If SciPy is not installed.

    Examples
    --------
    >>> theta = np.array([3.0, 4.0])
    >>> result = minimize(
    ...     lambda: (float(theta @ theta), 2 * theta), theta, lambda before, now: None, lambda: False, Interrupts()
    ... )
    >>> result.success, bool(abs(theta).max() < 1e-6)
    (True, True)
    """
    optimize = needed_module("scipy.optimize", "SciPy", "LBFGS")
    accepted = theta.copy()
    costs: list[float] = []

    def cost_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        theta[:] = x
        cost, gradient = evaluate()
        if not costs:
            costs.append(cost)
        return cost, gradient.astype(np.float64, copy=False)

    def iterated(intermediate_result: Any) -> None:
        interrupts.hold()
        accepted[:] = theta[:] = intermediate_result.x
        costs.append(float(intermediate_result.fun))
        note(*costs[-2:])
        interrupts.release()
        ended = after()
        interrupts.check()
        if ended:
            raise StopIteration

    try:
        return optimize.minimize(
            cost_and_gradient, theta.astype(np.float64), method="L-BFGS-B", jac=True, callback=iterated, options=options
        )
    finally:
        # The last evaluation may have been a trial of the line search.
        theta[:] = accepted
