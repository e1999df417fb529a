"""What the scikit-learn estimators put into the table of ops: their losses and their shuffles."""

from fastnn.kernels import layout as at
from fastnn.kernels.estimators.losses import output_loss
from fastnn.kernels.estimators.shuffles import permute
from fastnn.kernels.program.ops import OPS

ESTIMATOR_OPS = {**OPS, at.OUTPUT_LOSS: output_loss, at.PERMUTE: permute}
