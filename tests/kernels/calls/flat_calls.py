"""The operations as functions of flat tensors, which is what gradients and gradcheck work on.

The tensors are those of an `arun_inputs`, in the order of the fields of the named tuples; a leak
and the input weights are given by name.
"""

from __future__ import annotations

from adaptrnn.kernels import arun as adaptive
from adaptrnn.kernels import gamma_rnn as static
from adaptrnn.kernels.arun import reference as adaptive_reference
from adaptrnn.kernels.gamma_rnn import reference as static_reference
from adaptrnn.kernels.readout import Readout

OPTIONAL = ("alpha", "weight_ih", "bias_ih")
STATE, CORE = 3, 9  # tensors of an ARUN's inputs; and with the weights that all calls have


def _apart(options):
    """The optional weights, and the other options."""
    weights = {name: value for name, value in options.items() if name in OPTIONAL}
    return weights, {name: value for name, value in options.items() if name not in OPTIONAL}


def _adaptive(function, *tensors, **options):
    optional, options = _apart(options)
    weights = adaptive.Weights(*tensors[STATE:CORE], **optional)
    head = tensors[CORE:]
    return function(*tensors[:STATE], weights, *([Readout(*head)] if head else []), **options)


def arun(*tensors, **options):
    return _adaptive(adaptive.arun, *tensors, **options)


def arun_loss(*tensors, **options):
    """After the layer's tensors come those of the readout, targets and weights of the steps."""
    return _adaptive(adaptive.arun_loss, *tensors, **options)


def arun_trace(*tensors, **options):
    return _adaptive(adaptive.arun_trace, *tensors, **options)


def reference_arun(*tensors, **options):
    return _adaptive(adaptive_reference.arun, *tensors, **options)


def reference_arun_trace(*tensors, **options):
    return _adaptive(adaptive_reference.arun_trace, *tensors, **options)


def _static(function, currents, h0, weight_hh, n, s, *rest, **options):
    optional, options = _apart(options)
    return function(currents, h0, static.Weights(weight_hh, n, s, **optional), *rest, **options)


def gamma_rnn(currents, h0, weight_hh, n=None, s=None, nonlinearity="gamma", **options):
    tensors = currents, h0, weight_hh, n, s
    return _static(static.gamma_rnn, *tensors, nonlinearity, **options)


def gamma_rnn_loss(*tensors, **options):
    *core, nonlinearity = tensors
    head = Readout(*core[5:])
    return _static(static.gamma_rnn_loss, *core[:5], head, nonlinearity, **options)


def gamma_rnn_trace(currents, h0, weight_hh, n=None, s=None, nonlinearity="gamma", **options):
    tensors = currents, h0, weight_hh, n, s
    return _static(static.gamma_rnn_trace, *tensors, nonlinearity, **options)


def reference_gamma_rnn(currents, h0, weight_hh, n, s, nonlinearity, **options):
    tensors = currents, h0, weight_hh, n, s
    return _static(static_reference.gamma_rnn, *tensors, nonlinearity, **options)


def reference_gamma_rnn_trace(currents, h0, weight_hh, n, s, nonlinearity, **options):
    tensors = currents, h0, weight_hh, n, s
    return _static(static_reference.gamma_rnn_trace, *tensors, nonlinearity, **options)
