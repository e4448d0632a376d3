"""This operation computes a layer of adaptive recurrent units over a whole sequence."""

from adaptrnn.kernels.arun.op import arun, arun_loss, arun_trace
from adaptrnn.kernels.arun.tensor import ControllerWeights, Signals, Weights

__all__ = ["ControllerWeights", "Signals", "Weights", "arun", "arun_loss", "arun_trace"]
