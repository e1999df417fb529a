"""Ctrl-C while code is loaded, or while compiled code changes weights and moments."""

# Not `signal`, which makes enumerations of what these take and return, at every fit.
import _signal as signal  # type: ignore[import-not-found] # CPython's own, which typeshed leaves out
import importlib
import os
import sys
import threading
from types import FrameType, ModuleType, TracebackType

# All of the main thread, which alone gets signals: whether someone has replaced Python's handler; holds within each
# other; whether Ctrl-C came meanwhile, or ended a training within a callback of another; which thread it is.
_replaced = False
_holds = 0
_pending = False
_owner = 0


def _handle(number: int, frame: FrameType | None) -> None:
    """Take Ctrl-C, in the place of Python's own handler."""
    global _pending
    # Raised at the first step of `__exit__`, or of this function where that is interrupted, it would leave this handler
    # in its place.
    if not _holds and (frame is None or frame.f_code not in _WHOLE):
        raise KeyboardInterrupt
    _pending = True


class Interrupts:
    """Hold Ctrl-C back while a slice of steps runs, or code is loaded, so that nothing is half done.

    Elsewhere it acts at once. Only Python's own handler is replaced, and only in the main thread: nobody else gets a
    KeyboardInterrupt. Within each other they are one: what ends a training in a callback ends the outer one too, at its
    next `hold` or `check`.

    Parameters
    ----------
    holding : bool
        Whether to hold from the beginning to the end.

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

    __slots__ = ("_at_once", "_holding", "_installed", "_listening")

    def __init__(self, holding: bool = False) -> None:
        self._at_once = holding
        self._installed = self._listening = self._holding = False

    def __enter__(self) -> "Interrupts":
        global _replaced, _holds, _owner
        if threading.current_thread() is not threading.main_thread():
            return self
        handler = signal.getsignal(signal.SIGINT)
        # Whoever saw ours in a callback may have put it back when all was over.
        if handler is signal.default_int_handler or (handler is _handle and not _replaced):
            # Held, because an exception in here would leave the handler in its place.
            _holds += 1
            try:
                signal.signal(signal.SIGINT, _handle)
                self._installed, _replaced, _owner = True, True, threading.get_ident()
            finally:
                _holds -= 1
        self._listening = self._installed or handler is _handle
        if self._at_once and self._listening:
            _holds += 1
            self._holding = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        global _replaced, _holds, _pending
        if not self._listening:
            return
        if not self._holding:
            _holds += 1
        self._holding = False
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        if self._installed:
            _replaced = False
        # A handler that was put there meanwhile stays.
        if self._installed and signal.getsignal(signal.SIGINT) is _handle:
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            except KeyboardInterrupt:  # from Python's own handler, as soon as it is there
                _pending = True
        _holds -= 1
        if interrupted or (_pending and not _holds):
            # A training ends without an exception: the outer one, if there is one, will raise it anew.
            _pending = not (self._installed or self._at_once)
            if not interrupted:
                raise KeyboardInterrupt

    @property
    def pending(self) -> bool:
        """Whether Ctrl-C waits for `release`."""
        return self._listening and _pending

    def check(self) -> None:
        """Raise the Ctrl-C that ended a training in a callback."""
        global _pending
        if self._listening and _pending and not _holds:
            _pending = False
            raise KeyboardInterrupt

    def hold(self) -> None:
        """Remember Ctrl-C from here on."""
        global _holds
        self.check()
        if self._listening and not self._holding:
            _holds += 1
            self._holding = True

    def release(self) -> None:
        """Let Ctrl-C act again, and raise the one that came meanwhile."""
        global _holds
        if self._holding:
            self._holding = False
            _holds -= 1
        self.check()


_WHOLE = Interrupts.__exit__.__code__, _handle.__code__


def held() -> Interrupts:
    """Hold Ctrl-C back in a `with` block, at whose end it acts.

    For what must not be half done: an interrupted import or compilation leaves modules, types and machine code that are
    of no use, and that the next attempt takes for good ones.

    Examples
    --------
    >>> before = signal.signal(signal.SIGINT, signal.default_int_handler)
    >>> try:
    ...     with held():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("undisturbed")
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    undisturbed
    interrupted
    >>> _ = signal.signal(signal.SIGINT, before)
    """
    return Interrupts(holding=True)


def imported(name: str) -> ModuleType:
    """Import a module, with Ctrl-C held back where it has to be loaded.

    Examples
    --------
    >>> imported("math").sqrt(4.0)
    2.0
    """
    if name in sys.modules:
        return importlib.import_module(name)
    with held():
        return importlib.import_module(name)


def _after_fork_in_child() -> None:
    global _replaced, _holds, _pending
    if threading.get_ident() != _owner:
        # The thread that holds it back, if it does, is not in the child.
        _replaced, _holds, _pending = False, 0, False
        if signal.getsignal(signal.SIGINT) is _handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
