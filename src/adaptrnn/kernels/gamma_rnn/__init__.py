"""This operation computes h_t = f(currents_t + W_hh h_{t-1}; n, s) over a whole sequence."""

from adaptrnn.kernels.gamma_rnn.op import gamma_rnn, gamma_rnn_loss, gamma_rnn_trace
from adaptrnn.kernels.gamma_rnn.tensor import Weights

__all__ = ["Weights", "gamma_rnn", "gamma_rnn_loss", "gamma_rnn_trace"]
