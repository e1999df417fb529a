"""What a forward pass leaves for backward passes."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.engine.workspace import Workspace
from fastnn.kernels import layout as at


class Remembered:
    """What a forward pass leaves for backward passes: numbers that stay as they are, and a workspace if one is free.

    Threads may go back at the same time: each has a workspace of its own. One that Ctrl-C interrupts loses it, and the
    next makes another. Copies and pickles hold the numbers alone.

    Parameters
    ----------
    acts, packed : numpy.ndarray
        Activations of all layers, and what is stored of them a second time.
    slopes : numpy.ndarray
        Slopes of the activations; empty if all are relu, whose slopes are seen from the activations.
    workspace : Workspace, optional
        The workspace that these are part of; passes back write dZ over the slopes.
    """

    __slots__ = ("_acts", "_kept", "_packed", "_slopes", "_workspaces")

    def __init__(
        self, acts: np.ndarray, packed: np.ndarray, slopes: np.ndarray, workspace: Workspace | None = None
    ) -> None:
        self._acts, self._packed, self._slopes = acts, packed, slopes
        self._workspaces = [] if workspace is None else [workspace]
        self._kept = [slopes] if workspace is None else []

    @classmethod
    def of(cls, workspace: Workspace) -> "Remembered":
        """Remember what a forward pass has left in its workspace."""
        arrays = workspace.arrays
        has_slopes = any(f != "relu" for f in workspace.architecture.hidden)
        slopes = arrays[at.DELTAS] if has_slopes else np.empty(0, workspace.dtype)
        return cls(arrays[at.ACTS], arrays[at.PACKED], slopes, workspace)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._acts, self._packed, self._kept_slopes())

    def _kept_slopes(self) -> np.ndarray:
        # No pass back begins before a copy is in the list, so the first one there is of the slopes, whoever made it.
        if not self._kept:
            self._kept.append(self._slopes.copy())
        return self._kept[0]

    def take(self, make: Callable[[], Workspace]) -> Workspace:
        """Take a workspace that is ready for a pass back, which no other thread then has."""
        slopes = self._kept_slopes()
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = make()
            for slot, numbers in ((at.ACTS, self._acts), (at.PACKED, self._packed)):
                if workspace.arrays[slot].shape != numbers.shape:
                    raise ValueError("cache must be of this version of fastnn: run forward again") from None
                workspace.arrays[slot][:] = numbers
        if slopes.size:
            workspace.arrays[at.DELTAS][:] = slopes
        return workspace

    def give_back(self, workspace: Workspace) -> None:
        """Keep a workspace for the next pass back."""
        if not self._workspaces:
            self._workspaces.append(workspace)
