"""The main job, `python -m fastnn`: see `fastnn.course.command_line`."""

import os
import signal
import sys

from fastnn.course.command_line import PROGRAM, main

__all__ = ["main"]


def _stop(*_: object) -> None:
    """Leave at once, with one line; Ctrl-C comes here."""
    os.write(2, f"\n{PROGRAM}: interrupted\n".encode())
    os._exit(130)


if __name__ == "__main__":
    # A KeyboardInterrupt that meets a callback of the compiler, or a library being imported, is swallowed there or
    # turned into another error. Nothing here needs tidying up: files of the kernel cache are renamed into place.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    sys.exit(main())
