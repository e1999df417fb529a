"""The two decays of the learning rate."""

import numpy as np

from fastnn import checks


def update_lr(learning_rate0: float, epoch_num: int, decay_rate: float) -> float:
    """Compute the learning rate after an epoch, learning_rate0 / (1 + decay_rate * epoch_num).

    Parameters
    ----------
    learning_rate0 : float
        Initial rate.
    epoch_num : int
        Number of the epoch, from 0.
    decay_rate : float
        Speed of the decay.

    Returns
    -------
    float
        The rate.

    Raises
    ------
    TypeError
        If an argument is not a real number.
    ValueError
        If decay_rate * epoch_num is -1.

    Examples
    --------
    >>> update_lr(0.5, 2, 1)
    0.16666666666666666
    """
    learning_rate0 = checks.real_number("learning_rate0", learning_rate0)
    epoch = checks.real_number("epoch_num", epoch_num)
    return _fallen(learning_rate0, epoch, checks.real_number("decay_rate", decay_rate), epoch)


def schedule_lr_decay(learning_rate0: float, epoch_num: int, decay_rate: float, time_interval: int = 1000) -> float:
    """Compute a rate that falls in steps, learning_rate0 / (1 + decay_rate * floor(epoch / interval)).

    Parameters
    ----------
    learning_rate0 : float
        Initial rate.
    epoch_num : int
        Number of the epoch, from 0.
    decay_rate : float
        Speed of the decay.
    time_interval : int
        Epochs from one fall to the next.

    Returns
    -------
    float
        The rate.

    Raises
    ------
    TypeError
        If an argument is not a real number.
    ValueError
        If time_interval is not positive, or the rate would be divided by 0.

    Examples
    --------
    >>> schedule_lr_decay(0.5, 999, 0.3, 1000), schedule_lr_decay(0.5, 1000, 0.3, 1000)
    (0.5, 0.3846153846153846)
    """
    learning_rate0 = checks.real_number("learning_rate0", learning_rate0)
    epoch = checks.real_number("epoch_num", epoch_num)
    decay_rate = checks.real_number("decay_rate", decay_rate)
    interval = checks.real_number("time_interval", time_interval)
    if not interval > 0:
        raise ValueError(f"time_interval must be positive, got {interval}")
    return _fallen(learning_rate0, epoch, decay_rate, float(np.floor(epoch / interval)))


def _fallen(learning_rate0: float, epoch_num: float, decay_rate: float, falls: float) -> float:
    """Return learning_rate0 / (1 + decay_rate * falls)."""
    divisor = 1 + decay_rate * falls
    if divisor == 0:
        raise ValueError(f"decay_rate must not divide by 0, got {decay_rate} for epoch_num={epoch_num}")
    return learning_rate0 / divisor
