"""What the user is told on stderr: that code is compiled, if it takes long, and what is wrong with its cache."""

import contextlib
import os
import sys
import threading
import time

COMPILING = "compiling for this machine, once"

# Seconds after which that is said.
DELAY = 1.0

_said: set[str] = set()


def _write(text):
    # There may be no stderr, it may be closed, or somebody's object.
    with contextlib.suppress(Exception):
        sys.stderr.write(text)
        sys.stderr.flush()


def say(line, once=None):
    """Write a line on stderr, or at most one with the mark `once` in a process; never fail."""
    if once in _said:
        return
    if once:
        _said.add(once)
    _write(f"fastnn: {line}\n")


def _rewritable():
    """Whether a line can be written anew in its place: on a terminal, and below the cell of a notebook."""
    with contextlib.suppress(Exception):
        stream = sys.stderr
        return type(stream).__module__.startswith("ipykernel.") or (
            stream.isatty() and os.environ.get("TERM") != "dumb"
        )
    return False


class _Active(threading.local):
    """Whose line the calling thread's compilations go on."""

    progress: "Progress | None" = None


_active = _Active()


class Progress:
    """The line that says that kernels are being compiled, and how many are done, if they take more than a second.

    It is rewritten in its place; where that is not possible, one plain line is all that a process says.
    """

    def __init__(self, total):
        self._total, self._done, self._shown, self._ended = total, 0, False, False
        self._begin = time.monotonic()
        self._lock = threading.Lock()
        self._timer = threading.Timer(DELAY, self._show)
        self._timer.daemon = True

    def __enter__(self):
        _active.progress = self
        try:
            self._timer.start()
        except (RuntimeError, MemoryError):  # no thread to be had
            self._show()
        return self

    def __exit__(self, *error):
        _active.progress = None
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._shown:
                if not error[0]:
                    self._done = self._total  # some were found in the cache in the end
                _write("\n" if error[0] else f"{self._text()} done in {time.monotonic() - self._begin:.0f} s\n")

    def _text(self):
        return f"\rfastnn: {COMPILING} ({self._done} of {self._total}) ..."

    def _show(self):
        with self._lock:
            if self._ended:
                return
            if _rewritable():
                self._shown = True
                _said.add("compiling")
                _write(self._text())
            else:
                say(COMPILING, "compiling")

    def step(self):
        """One more is done."""
        with self._lock:
            self._done += 1
            if self._shown:
                _write(self._text())


def begin():
    """Return the progress of a kernel that is compiled alone, for `end`; None where a line says so already."""
    if _active.progress is not None or "compiling" in _said:
        return None
    return Progress(1).__enter__()


def end(progress):
    """The kernel is compiled."""
    if progress is not None:
        progress.step()
        progress.__exit__(None, None, None)
