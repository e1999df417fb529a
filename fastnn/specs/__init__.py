"""What an engine is given, compiled or not: an architecture, how it is trained, and the state that steps change.

Uses names, settings and checks alone; both engines import it.
"""

from fastnn.specs.architecture import Architecture
from fastnn.specs.arrays import aligned_zeros
from fastnn.specs.objective import Objective, dropout_rates
from fastnn.specs.state import State
from fastnn.specs.training import Training, check_combination

__all__ = ["Architecture", "Objective", "State", "Training", "aligned_zeros", "check_combination", "dropout_rates"]
