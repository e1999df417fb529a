"""Callbacks: what a training calls after every epoch, and may be ended by.

A callback is any function ``callback(owner, history)``; a true return value ends the training, after all callbacks of
the epoch were called. The owner is the `fastnn.Trainer`, or the estimator that fits. Where a callback has them, two
methods are called too: ``begin(owner, history, epochs)`` before the first of so many planned epochs, and
``end(owner, history)`` when the training is over, however it came to an end: also by Ctrl-C or an exception.

The classes here work with either owner, and one instance may serve several trainings, one after the other. Attributes
whose names end with an underscore are those of the last training; there are none before the first.
"""

from fastnn.callbacks.checkpoint import Checkpoint
from fastnn.callbacks.early_stopping import EarlyStopping
from fastnn.callbacks.progress import ProgressBar
from fastnn.callbacks.protocol import Callback, Owner, running
from fastnn.callbacks.schedule import LearningRateScheduler

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "LearningRateScheduler", "Owner", "ProgressBar", "running"]
