"""Ctrl-C while compiled code changes weights and moments."""

import signal
import threading
from types import FrameType, TracebackType

__all__ = ["Interrupts"]


class Interrupts:
    """Hold Ctrl-C back while a slice of steps runs, so that none of them is half done; elsewhere it acts at once.

    Only Python's own handler is replaced, and only in the main thread: nobody else gets a KeyboardInterrupt.

    Examples
    --------
    >>> before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    >>> with Interrupts() as interrupts:
    ...     interrupts.hold()
    ...     try:
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("undisturbed")
    ...         interrupts.release()
    ...     except KeyboardInterrupt:
    ...         print("interrupted")
    undisturbed
    interrupted
    >>> _ = signal.signal(signal.SIGINT, before)
    """

    def __init__(self) -> None:
        self._installed = self._holding = self._pending = False

    def __enter__(self) -> "Interrupts":
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._holding:
            raise KeyboardInterrupt
        self._pending = True

    def hold(self) -> None:
        """Remember Ctrl-C from here on."""
        self._holding = True

    def release(self) -> None:
        """Let Ctrl-C act again, and raise the one that came meanwhile."""
        self._holding = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt
