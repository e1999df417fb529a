"""What a training run prints, collects and draws, in the words of each notebook."""

from collections.abc import Callable

import numpy as np

from fastnn.reference.course.figures import draw_costs

# Called with iteration (epoch), cost, and the learning rate from then on.
Report = Callable[[int, float | np.floating, float], None]


class CostRecord:
    """Prints some of the costs it is called with, keeps all, and draws them at the end.

    Parameters
    ----------
    line : str
        Format of a printed line, with fields 0 (iteration or epoch) and 1 (cost).
    print_every : int
        Print at multiples of this; the caller decides what to record.
    x_label : str
        Label of the curve's x axis.
    title : str
        Title of the curve; the learning rate follows it.
    print_rate : bool
        Whether the learning rate is printed below the cost.

    Attributes
    ----------
    costs : list of float
        The costs recorded so far.

    Examples
    --------
    >>> record = CostRecord("Cost after iteration {}: {}", 1000, "iterations", "Learning rate =")
    >>> for i in (0, 500, 1000):
    ...     record(i, 1 / (1 + i))
    Cost after iteration 0: 1.0
    Cost after iteration 1000: 0.000999000999000999
    >>> len(record.costs)
    3
    """

    def __init__(self, line: str, print_every: int, x_label: str, title: str, print_rate: bool = False) -> None:
        self.line = line
        self.print_every = print_every
        self.x_label = x_label
        self.title = title
        self.print_rate = print_rate
        self.costs: list[float | np.floating] = []

    def __call__(self, i: int, cost: float | np.floating, learning_rate: float | None = None) -> None:
        """Record the cost before the update of iteration (after epoch) i, and print it when due.

        Parameters
        ----------
        i : int
            Iteration or epoch, from 0.
        cost : float
            Its cost.
        learning_rate : float, optional
            Rate after the epoch, where the line below the cost says it.
        """
        self.costs.append(cost)
        if i % self.print_every == 0:
            print(self.line.format(i, cost))
            if self.print_rate:
                print(f"learning rate after epoch {i}: {learning_rate:f}")

    def draw(self, learning_rate: float) -> None:
        """Draw the cost curve, where matplotlib can and a cost was recorded.

        Parameters
        ----------
        learning_rate : float
            The rate that the title states.
        """
        draw_costs(self.costs, self.x_label, self.title + str(learning_rate))


def initialization_record() -> CostRecord:
    """Return the record of `fastnn.initialization.model`, called every 1000 iterations.

    Returns
    -------
    CostRecord
        Prints all it is called with.

    Examples
    --------
    >>> initialization_record()(0, 0.5)
    Cost after iteration 0: 0.5
    """
    return CostRecord("Cost after iteration {}: {}", 1000, "iterations (per hundreds)", "Learning rate =")


def regularization_record() -> CostRecord:
    """Return the record of `fastnn.regularization.model`, called every 1000 iterations.

    Returns
    -------
    CostRecord
        Prints every 10000 iterations.

    Examples
    --------
    >>> record = regularization_record()
    >>> record(0, 0.5)
    Cost after iteration 0: 0.5
    >>> record(1000, 0.25)
    """
    return CostRecord("Cost after iteration {}: {}", 10000, "iterations (x1,000)", "Learning rate =")


def optimization_record(decay: object = None) -> CostRecord:
    """Return the record of `fastnn.optimization.model`, called every 100 epochs.

    Parameters
    ----------
    decay : callable or None
        The decay in use; with one, the learning rate is printed too.

    Returns
    -------
    CostRecord
        Prints every 1000 epochs.

    Examples
    --------
    >>> optimization_record()(1000, 0.5)
    Cost after epoch 1000: 0.500000
    """
    line = "Cost after epoch {}: {:f}"
    return CostRecord(line, 1000, "epochs (per 100)", "Learning rate = ", print_rate=decay is not None)
