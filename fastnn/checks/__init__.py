"""Checks of arguments, by what they check; callers write ``checks.count(...)``.

Every other folder calls these, so a bad argument gets the same sentence everywhere; they import `fastnn.interrupts`
alone. Good input leaves after a few attribute reads: nothing here looks at elements except `require_finite`, `targets`
at integer labels and `example_weights`, and what was wrong is worked out in helpers that only bad input reaches.
"""

from fastnn.checks.arrays import *
from fastnn.checks.callables import *
from fastnn.checks.course import *
from fastnn.checks.data import *
from fastnn.checks.scalars import *
from fastnn.checks.settings import *
