"""Checkpoints: files of a network's parameters, written while it trains."""

import math
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.callbacks.monitoring import checked_monitor, monitored_value, recorded_monitor, warn_of_no_best
from fastnn.callbacks.protocol import Owner, network_of
from fastnn.history import History
from fastnn.network import Network

__all__ = ["Checkpoint"]


@dataclass(eq=False)
class Checkpoint:
    """Writes the network's parameters into a file while it trains, so that a crash costs no more than some epochs.

    Parameters
    ----------
    path : str or path
        The file, of NumPy's format npz whatever its name ends with. ``{epoch}``, or ``{epoch:04d}``, stands for the
        epoch, counted from 1 in each training; other braces must be doubled. Missing folders are made.
    monitor : str, optional
        With `save_best_only`: whose best counts, as for `EarlyStopping`.
    save_best_only : bool
        Whether to write only after epochs that are better than all that were looked at before them in this training.
    every : int
        Looks at every so many epochs only; at least 1.

    Attributes
    ----------
    path_ : pathlib.Path or None
        The file that was written last.
    best_value_ : float or None
        With `save_best_only`: the value that it was written for.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range; in training, if `monitor` is not recorded.
    OSError
        In training, if the file cannot be written; of the first file before the first epoch.

    Notes
    -----
    The file holds W1, b1, ..., WL, bL and ``epoch``. It is written beside its place and moved there when it is complete
    and on the disk, so there is a whole file at any time. What a killed process was about to write stays behind, under
    another name that ends with ``.tmp``. A file that was there before passes on its permissions, and its owner where
    that is allowed; a symbolic link stays, and its target is written.

    Examples
    --------
    >>> import tempfile
    >>> from fastnn import Checkpoint
    >>> from fastnn.reference import Network, train
    >>> net, twin = Network([1, 1], seed=0), Network([1, 1], seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = train(net, [[1.0]], [[1.0]], epochs=5, callbacks=[Checkpoint(f"{folder}/net.npz", every=2)])
    ...     print(Checkpoint.load(f"{folder}/net.npz", twin))
    4
    """

    path: str | os.PathLike[str]
    monitor: str | None = None
    save_best_only: bool = False
    every: int = 1

    def __post_init__(self) -> None:
        _check_path(self.path)
        try:
            str(self.path).format(epoch=1)
        except (LookupError, ValueError, AttributeError, TypeError):
            raise ValueError(
                f"path must have no braces but {{epoch}} and doubled ones, got {str(self.path)!r}"
            ) from None
        self.monitor = checked_monitor(self.monitor)
        self.save_best_only = checks.flag("save_best_only", self.save_best_only)
        if self.monitor is not None and not self.save_best_only:
            raise ValueError(f"monitor needs save_best_only=True, got monitor={self.monitor!r} without it")
        self.every = checks.count("every", self.every, 1)

    def begin(self, owner: Owner, history: History, epochs: int) -> None:
        """Forget earlier trainings, and see whether there is a place to write to."""
        self.path_: Path | None = None
        self.best_value_: float | None = None
        self._recorded: str | None = None
        self._best = math.inf
        _try_to_write(self._file(self.every))

    def __call__(self, owner: Owner, history: History) -> None:
        """Write the file, if it is time."""
        if history.epochs % self.every:
            return
        if self.save_best_only:
            if self._recorded is None:
                self._recorded = recorded_monitor(self.monitor, history)
            value, cost = monitored_value(self._recorded, history)
            if not -math.inf < cost < self._best:
                return
        file = self._file(history.epochs)
        _write(file, {**network_of(owner).parameters, "epoch": np.int64(history.epochs)})
        self.path_ = file
        if self.save_best_only:
            self._best, self.best_value_ = cost, value

    def end(self, owner: Owner, history: History) -> None:
        """Say so if there was nothing to write."""
        if self.save_best_only and self.path_ is None:
            warn_of_no_best(self._recorded, history, "Checkpoint has written nothing")

    def _file(self, epoch: int) -> Path:
        """Return the file of an epoch."""
        return Path(str(self.path).format(epoch=epoch))

    @staticmethod
    def load(path: str | os.PathLike[str], network: Network) -> int:
        """Write the parameters of a file into a network of the same sizes.

        Parameters
        ----------
        path : str or path
            A file that a `Checkpoint` has written.
        network : Network
            Is changed in place, or not at all if the file does not fit. A fitted estimator's is its ``network_``.

        Returns
        -------
        int
            The epoch after which the file was written.

        Raises
        ------
        TypeError
            If an argument is something else.
        ValueError
            If the file is something else, or its names, shapes or dtype are not those of the network, or the network's
            vector is read-only.
        OSError
            If the file cannot be read.
        """
        if not isinstance(network, Network):
            raise TypeError(f"network must be a Network, got {type(network).__name__}")
        _check_path(path)
        arrays = _read(Path(path))
        parameters = network.parameters
        epoch = arrays.pop("epoch", None)
        if arrays.keys() != parameters.keys() or epoch is None or epoch.shape or epoch.dtype.kind != "i":
            raise ValueError(f"path must hold {', '.join(parameters)} and epoch, got {', '.join(arrays) or 'nothing'}")
        for name, parameter in parameters.items():
            array = arrays[name]
            if array.shape != parameter.shape:
                raise ValueError(f"{name} in path must have shape {parameter.shape}, got shape {array.shape}")
            if array.dtype != parameter.dtype:
                raise ValueError(f"{name} in path must be {parameter.dtype}, as the network is, got {array.dtype}")
        network.vector[:] = np.concatenate([arrays[name].ravel() for name in parameters])
        return int(epoch)


def _check_path(path: object) -> None:
    """Raise unless this is the path of a file."""
    if not isinstance(path, str | Path):
        raise TypeError(f"path must be a string or a Path, got {path!r}")
    if not str(path) or "\0" in str(path):
        raise ValueError(f"path must be that of a file, got {str(path)!r}")


def _target(file: Path) -> tuple[Path, os.stat_result | None]:
    """Return where a file is, behind all links, with its status if it is there; make the folder for it."""
    try:
        status = file.stat()
    except FileNotFoundError:
        status = None  # or a link to what is not there yet
    if status is not None and not stat.S_ISREG(status.st_mode):
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"path must be a file, got the folder {str(file)!r}")
        raise OSError(f"path must be a file, got {str(file)!r}, which is none")
    target = Path(os.path.realpath(file))
    target.parent.mkdir(parents=True, exist_ok=True)
    return target, status


def _try_to_write(file: Path) -> None:
    """Raise if a file could not be written: a new one is put beside it, so its folder has to allow that."""
    target, _ = _target(file)
    with NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", suffix=".tmp"):
        pass


def _write(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write a file of arrays, which takes its place in one move."""
    target, status = _target(file)
    mode = 0o666 if status is None else stat.S_IMODE(status.st_mode)
    # A name of its own: several processes may write the same checkpoint.
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode & 0o777)) as stream:
            np.savez(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        if status is not None:
            for owner in ((status.st_uid, -1), (-1, status.st_gid)):
                with suppress(OSError, AttributeError):  # only root may give files away; Windows has no `chown`
                    os.chown(part, *owner)
            part.chmod(mode)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a file."""
    try:
        # NumPy would leave a file that it opens, and cannot read, open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(arrays)
    except OSError:
        raise
    except Exception as error:  # damaged files make NumPy and zipfile raise a dozen kinds
        raise ValueError(f"path must be a file that Checkpoint has written, got {str(path)!r}") from error
