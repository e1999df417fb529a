"""A progress bar."""

from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

from fastnn import checks
from fastnn.callbacks.monitoring import recorded_monitor
from fastnn.callbacks.protocol import Owner
from fastnn.history import History

__all__ = ["ProgressBar"]


@dataclass(eq=False)
class ProgressBar:
    """Shows epochs, loss, validation and the time left, with tqdm: in a terminal, on stderr, or in a notebook.

    Parameters
    ----------
    description : str
        Stands before the bar.
    leave : bool, optional
        Whether the bar stays when the training is over; None keeps it unless it is shown below another bar.

    Raises
    ------
    TypeError
        If a setting is of another type.
    ImportError
        In training, if tqdm is not installed.

    Examples
    --------
    >>> from fastnn import ProgressBar
    >>> from fastnn.reference import Network, train
    >>> history = train(Network([1, 1]), [[1.0]], [[1.0]], epochs=30, callbacks=[ProgressBar("a line")])
    """

    description: str = ""
    leave: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.description, str):
            raise TypeError(f"description must be a string, got {self.description!r}")
        if self.leave is not None:
            self.leave = checks.flag("leave", self.leave)
        self._bar: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_bar": None}

    def begin(self, owner: Owner, history: History, epochs: int) -> None:
        """Show the bar."""
        with catch_warnings():
            # Without widgets tqdm warns that a notebook gets the terminal's bar.
            simplefilter("ignore")
            tqdm = checks.needed_module("tqdm.auto", "tqdm", "ProgressBar").tqdm
        self._bar = tqdm(
            total=epochs, desc=self.description or None, leave=self.leave, unit=" epochs", dynamic_ncols=True
        )

    def __call__(self, owner: Owner, history: History) -> None:
        """Show an epoch."""
        name = recorded_monitor(None, history)
        shown = f"loss {history.loss[-1]:.4g}"
        if name != "loss":
            shown += f", {name.replace('_', ' ')} {getattr(history, name)[-1]:.4g}"
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update()

    def end(self, owner: Owner, history: History) -> None:
        """Close the bar."""
        self._bar.close()
        self._bar = None
