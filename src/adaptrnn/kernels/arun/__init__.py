"""A layer of adaptive recurrent units over a whole sequence."""

from adaptrnn.kernels.arun.op import arun, arun_loss, arun_trace

__all__ = ["arun", "arun_loss", "arun_trace"]
