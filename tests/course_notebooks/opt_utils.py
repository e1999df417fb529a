"""Helper file of the optimization notebook of 2017, whose cost is a mean."""

import numpy as np
from opt_utils_v1a import *


def compute_cost(a3, Y):
    return mean_cross_entropy(a3, Y, np.sum)
