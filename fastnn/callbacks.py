"""Callbacks: what a training calls after every epoch, and may be ended by.

A callback is any function ``callback(owner, history)``; a true return value ends the training, after all callbacks of
the epoch were called. The owner is the `fastnn.Trainer`, or the estimator that fits. Where a callback has them, two
methods are called too: ``begin(owner, history, epochs)`` before the first of so many planned epochs, and
``end(owner, history)`` when the training is over, however it came to an end: also by Ctrl-C or an exception.

The classes here work with either owner, for one training after the other. They have the attributes with an underscore
at the end since the beginning of a training.
"""

import math
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from warnings import catch_warnings, simplefilter, warn

import numpy as np

from fastnn import checks
from fastnn.history import History
from fastnn.network import Network

__all__ = ["Checkpoint", "EarlyStopping", "LearningRateScheduler", "ProgressBar", "running"]

_MONITORED = ("validation_score", "validation_loss", "loss")


@contextmanager
def running(
    callbacks: Sequence[Callable[..., object]], owner: Any, history: History, epochs: int
) -> Iterator[Callable[[], bool]]:
    """Begin callbacks, and end those that have begun.

    Parameters
    ----------
    callbacks : sequence of callable
        In the order that they are called in, at the end too.
    owner : object
        What trains.
    history : History
        What the owner fills.
    epochs : int
        How many are planned.

    Yields
    ------
    callable
        To be called after every epoch: calls every callback, and tells whether any wants to end the training.

    Examples
    --------
    >>> history = History()
    >>> with running([lambda owner, history: history.epochs == 2], None, history, 3) as after_epoch:
    ...     for loss in (3.0, 2.0):
    ...         history.loss.append(loss)
    ...         print(after_epoch())
    False
    True
    """

    def after_epoch() -> bool:
        answers = [callback(owner, history) for callback in callbacks]  # each is called, whatever others say
        return any(answers)

    begun: list[Callable[..., object]] = []
    try:
        for callback in callbacks:
            begin = getattr(callback, "begin", None)
            if begin is not None:
                begin(owner, history, epochs)
            begun.append(callback)
        yield after_epoch
    finally:
        _end(begun, owner, history)


def _end(callbacks: Sequence[Callable[..., object]], owner: Any, history: History) -> None:
    """End callbacks in their order: all of them, also if one raises."""
    if not callbacks:
        return
    with ExitStack() as ends:
        # What it was given last it calls first.
        for callback in reversed(callbacks):
            end = getattr(callback, "end", None)
            if end is not None:
                ends.callback(end, owner, history)


@dataclass(eq=False)
class EarlyStopping:
    """Ends a training that no longer improves, and gives back the best weights.

    Parameters
    ----------
    monitor : str, optional
        ``"loss"`` or ``"validation_loss"``, of which less is better, or ``"validation_score"``, of which more is. None
        takes the first of validation score, validation loss and loss that the training records.
    patience : int
        The training ends after so many epochs in a row without improvement; at least 1.
    min_delta : float
        Only what is better by more than that is an improvement; not negative.
    restore_best : bool
        Whether the network has the weights of its best epoch at the end, also if the training was ended by something
        else.

    Attributes
    ----------
    best_epoch_ : int or None
        Epoch, counted from 1, of the best value; None as long as there is none. NaN and infinities are never best.
    best_value_ : float or None
        That value.
    stopped_epoch_ : int or None
        Epoch after which this callback ended the training, or None.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another type or out of its range; in training, if `monitor` is not recorded.

    Notes
    -----
    The best epoch is the one with the best value, be it better by less than `min_delta`. An epoch's loss is a mean over
    its steps, so it was made by earlier weights than those at the end of the epoch, which are kept. The optimiser's
    moments are not given back.

    Examples
    --------
    >>> from fastnn import SGD, EarlyStopping
    >>> from fastnn.reference import Network, Trainer
    >>> trainer = Trainer(Network([1, 1], initializer="zeros"), SGD(0.5))
    >>> stopping = EarlyStopping(patience=3, min_delta=1e-3)
    >>> history = trainer.fit([[1.0, 2.0]], [[2.0, 4.0]], epochs=100, batch_size=None, callbacks=[stopping])
    >>> history.stopped, stopping.best_epoch_ == stopping.stopped_epoch_ == history.epochs < 100
    (True, True)
    """

    monitor: str | None = None
    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        self.monitor = _checked_monitor(self.monitor)
        self.patience = checks.count("patience", self.patience, 1)
        self.min_delta = checks.not_negative("min_delta", self.min_delta)
        self.restore_best = checks.flag("restore_best", self.restore_best)

    def begin(self, owner: Any, history: History, epochs: int) -> None:
        """Forget earlier trainings."""
        self.best_epoch_ = self.best_value_ = self.stopped_epoch_ = None
        self._recorded: str | None = None
        self._best = self._improved = math.inf
        self._weights: np.ndarray | None = None
        self._waited = 0

    def __call__(self, owner: Any, history: History) -> bool:
        """Look at an epoch's value."""
        if self._recorded is None:
            self._recorded = _recorded_monitor(self.monitor, history)
        value, cost = _monitored(self._recorded, history)
        if -math.inf < cost < self._best:
            if self.restore_best:
                self._weights = _network_of(owner).vector.copy()
            self._best, self.best_value_, self.best_epoch_ = cost, value, history.epochs
        if -math.inf < cost < self._improved - self.min_delta:
            self._improved, self._waited = cost, 0
        else:
            self._waited += 1
        if self._waited < self.patience:
            return False
        self.stopped_epoch_ = history.epochs
        return True

    def end(self, owner: Any, history: History) -> None:
        """Give back the best weights."""
        if self.restore_best and self.best_epoch_ is None:
            _warn_of_no_best(self._recorded, history, "EarlyStopping leaves the weights of the last epoch")
        if self._weights is not None:
            _network_of(owner).vector[:] = self._weights
            self._weights = None


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
        self.monitor = _checked_monitor(self.monitor)
        self.save_best_only = checks.flag("save_best_only", self.save_best_only)
        if self.monitor is not None and not self.save_best_only:
            raise ValueError(f"monitor needs save_best_only=True, got monitor={self.monitor!r} without it")
        self.every = checks.count("every", self.every, 1)

    def begin(self, owner: Any, history: History, epochs: int) -> None:
        """Forget earlier trainings, and see whether there is a place to write to."""
        self.path_ = self.best_value_ = None
        self._recorded: str | None = None
        self._best = math.inf
        _try_to_write(self._file(self.every))

    def __call__(self, owner: Any, history: History) -> None:
        """Write the file, if it is time."""
        if history.epochs % self.every:
            return
        if self.save_best_only:
            if self._recorded is None:
                self._recorded = _recorded_monitor(self.monitor, history)
            value, cost = _monitored(self._recorded, history)
            if not -math.inf < cost < self._best:
                return
        file = self._file(history.epochs)
        _write(file, {**_network_of(owner).parameters, "epoch": np.int64(history.epochs)})
        self.path_ = file
        if self.save_best_only:
            self._best, self.best_value_ = cost, value

    def end(self, owner: Any, history: History) -> None:
        """Say so if there was nothing to write."""
        if self.save_best_only and self.path_ is None:
            _warn_of_no_best(self._recorded, history, "Checkpoint has written nothing")

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


@dataclass(eq=False)
class LearningRateScheduler:
    """Sets the learning rate before every epoch.

    Parameters
    ----------
    schedule : callable
        Called as ``schedule(epoch, rate)`` with the epoch, counted from 0 in each training, and the present rate;
        returns the epoch's rate.

    Raises
    ------
    TypeError
        If `schedule` is no function; in training, if it returns no number, or the optimiser has no learning rate.
    ValueError
        In training, if the rate is negative or not finite.

    Notes
    -----
    A schedule of the optimiser's own, which goes by steps, is replaced by the constant rates of the epochs. The last
    one stays when the training is over.

    Examples
    --------
    >>> from fastnn import SGD, LearningRateScheduler
    >>> from fastnn.reference import Network, train
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    >>> history = train(Network([1, 1]), [[1.0]], [[1.0]], epochs=3, optimizer=SGD(0.4), callbacks=[halve])
    >>> history.learning_rate
    [0.4, 0.2, 0.1]
    """

    schedule: Callable[[int, float], float]

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            raise TypeError(f"schedule must be a function of an epoch and a rate, got {self.schedule!r}")

    def begin(self, owner: Any, history: History, epochs: int) -> None:
        """Set the first epoch's rate."""
        self._first, self._epochs = history.epochs, epochs
        self._set(owner, 0)

    def __call__(self, owner: Any, history: History) -> None:
        """Set the next epoch's rate."""
        self._set(owner, history.epochs - self._first)

    def _set(self, owner: Any, epoch: int) -> None:
        """Set the rate of an epoch, if one comes."""
        if epoch < self._epochs:
            rate = owner.get_learning_rate()
            owner.set_learning_rate(checks.not_negative(f"schedule({epoch}, {rate})", self.schedule(epoch, rate)))


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
        self._bar = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_bar": None}

    def begin(self, owner: Any, history: History, epochs: int) -> None:
        """Show the bar."""
        with catch_warnings():
            # Without widgets tqdm warns that a notebook gets the terminal's bar.
            simplefilter("ignore")
            tqdm = checks.needed_module("tqdm.auto", "tqdm", "ProgressBar").tqdm
        self._bar = tqdm(
            total=epochs, desc=self.description or None, leave=self.leave, unit=" epochs", dynamic_ncols=True
        )

    def __call__(self, owner: Any, history: History) -> None:
        """Show an epoch."""
        name = _recorded_monitor(None, history)
        shown = f"loss {history.loss[-1]:.4g}"
        if name != "loss":
            shown += f", {name.replace('_', ' ')} {getattr(history, name)[-1]:.4g}"
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update()

    def end(self, owner: Any, history: History) -> None:
        """Close the bar."""
        self._bar.close()
        self._bar = None


def _network_of(owner: Any) -> Network:
    """Return the network that a trainer, or an estimator, trains."""
    network = getattr(owner, "network_", None)
    return owner.network if network is None else network


def _checked_monitor(monitor: Any) -> str | None:
    """Return the name of what is monitored, or None."""
    return None if monitor is None else checks.one_of("monitor", monitor, _MONITORED)


def _recorded_monitor(monitor: str | None, history: History) -> str:
    """Return the name of what is monitored, which the history has values of."""
    recorded = [name for name in _MONITORED if getattr(history, name)]
    if monitor is None:
        return recorded[0]
    if monitor not in recorded:
        hint = "give fit validation=(X, Y), or X_val and y_val for an estimator"
        if recorded[0] == "validation_loss":
            hint = "only estimators compute scores"
        words = " or ".join(repr(name) for name in recorded)
        raise ValueError(f"monitor must be {words}, which this training records, got {monitor!r}: {hint}")
    return monitor


def _monitored(name: str, history: History) -> tuple[float, float]:
    """Return the last value, and what is to be as small as possible."""
    value = float(getattr(history, name)[-1])
    return value, -value if name == "validation_score" else value


def _warn_of_no_best(monitored: str | None, history: History, consequence: str) -> None:
    """Warn of a training, if one was looked at, none of whose epochs could be the best."""
    if monitored is not None:
        value = getattr(history, monitored)[-1]
        name = monitored.replace("_", " ")
        warn(f"{consequence}: no epoch's {name} was a finite number, the last is {value}", stacklevel=5)


def _check_path(path: Any) -> None:
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


def _write(file: Path, arrays: dict[str, Any]) -> None:
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
