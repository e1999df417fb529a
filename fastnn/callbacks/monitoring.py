"""What callbacks judge an epoch by."""

from warnings import warn

from fastnn import checks
from fastnn.history import History

# Where nobody says which, the first that a training records.
MONITORED = ("validation_score", "validation_loss", "loss")


def checked_monitor(monitor: object) -> str | None:
    """Return the name of what is monitored, or None."""
    return None if monitor is None else checks.one_of("monitor", monitor, MONITORED)


def recorded_monitor(monitor: str | None, history: History) -> str:
    """Return the name of what is monitored, which the history has values of."""
    recorded = [name for name in MONITORED if getattr(history, name)]
    if monitor is None:
        return recorded[0]
    if monitor not in recorded:
        hint = "give fit validation=(X, Y), or X_val and y_val for an estimator"
        if recorded[0] == "validation_loss":
            hint = "only estimators compute scores"
        words = " or ".join(repr(name) for name in recorded)
        raise ValueError(f"monitor must be {words}, which this training records, got {monitor!r}: {hint}")
    return monitor


def monitored_value(name: str, history: History) -> tuple[float, float]:
    """Return the last value, and what is to be as small as possible."""
    value = float(getattr(history, name)[-1])
    return value, -value if name == "validation_score" else value


def warn_of_no_best(monitored: str | None, history: History, consequence: str) -> None:
    """Warn of a training, if one was looked at, none of whose epochs could be the best."""
    if monitored is not None:
        value = getattr(history, monitored)[-1]
        name = monitored.replace("_", " ")
        warn(f"{consequence}: no epoch's {name} was a finite number, the last is {value}", stacklevel=5)
