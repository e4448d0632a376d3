"""How far back do gradients reach? They are accumulated to dL/dW_hh from each step t_0 on.

Geadah et al. 2024, Appendix C.5 and Fig S18 (E43). The gradient is a sum over time steps,

    dL/dW_hh = sum_t delta_t h_{t-1}^T,  delta_t = dL/da_t,      G(t_0) = sum over t >= t_0

and ||G(t_0)||_F over t_0 shows whether the distant past adds to learning, is silent, or explodes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from adaptrnn._error import bad
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._type import State
from adaptrnn.analysis.system import is_layer
from adaptrnn.arun import ARUN
from adaptrnn.rnn import RNN

__all__ = ["gradient_norm"]


def gradient_norm(
    network: nn.Module,
    x: Annotated[Tensor, "T B D"],
    loss: Callable[[Tensor], Tensor],
    *,
    parameter: str | None = None,
    state: State | None = None,
    drive: Tensor | float | None = None,
) -> xr.Dataset:
    """Compute the norm of dL/dW_hh accumulated from t_0 to T, for all t_0 at once (E43).

    Args:
        network: an RNN or ARUN; a cell or network of torch.nn; any layer that is called as these
            are and has a `step`; or any module called as (x_t, state) -> state. Its parameters are
            not changed and collect no gradient.
        x: input (T, B, D).
        loss: rates (T, B, N) -> a number, such as a cross entropy of a readout of the last step.
        parameter: which parameter; default weight_hh_l0 or weight_hh, of the network or of a part.
        state: first state in the network's own form; for a module of the user's it must be given.
        drive: current added to each neuron, a number or broadcastable to (T, B, N); only for
            networks called with one, as ours are.

    Returns:
        Over time t = 1 ... T: norm, ||sum over t' >= t of the contributions||_F; contribution,
        the norm of that of step t alone; length, T - t + 1, how many steps are accumulated. The
        loss is in attrs. norm at t = 1 is that of the whole gradient.

    Raises:
        InputError: no such parameter, a loss that is not one number, a value that is not finite.

    Example:
        >>> from adaptrnn import RNN
        >>> found = gradient_norm(RNN(1, 4), torch.randn(20, 3, 1), lambda h: h[-1].square().sum())
        >>> found.norm.dims, found.sizes["time"]
        (('time',), 20)
    """
    known = dict(network.named_parameters())
    if parameter is None:
        guesses = ("weight_hh_l0", "weight_hh")
        parameter = next((name for name in known if name.split(".")[-1] in guesses), None)
    if parameter not in known:
        raise bad("parameter", parameter, f"one of {', '.join(known)}")
    for name, weight in known.items():
        finite(name, weight, "The network cannot be analysed.")
    given = [("state", part) for part in pytree.tree_leaves(state)]
    for name, value in [*given, *([] if drive is None else [("drive", drive)])]:
        finite(name, value)
    x = finite("x", torch.as_tensor(x))
    if x.ndim != 3:
        raise bad("x.shape", tuple(x.shape), "(T, B, D)")
    if drive is not None and "drive" not in inspect.signature(network.forward).parameters:
        raise bad("drive", "a drive", f"None, because a {type(network).__name__} takes none")
    if getattr(network, "bidirectional", False):
        raise bad("network", type(network).__name__, "of one direction")
    x = x.to(known[parameter])
    if isinstance(network, RNN | ARUN) and network.num_layers == 1 and parameter == "weight_hh_l0":
        value, sums, parts = _by_currents(network, x, loss, state, drive)
    else:
        value, sums, parts = _by_copies(network, x, loss, parameter, state, drive)
    steps = len(sums)
    return xr.Dataset(
        {
            "norm": ("time", sums, {"definition": "Frobenius norm of dL/dW summed from t to T"}),
            "contribution": ("time", parts, {"definition": "Frobenius norm of step t's term"}),
        },
        {
            "time": ("time", np.arange(1, steps + 1), {"units": "steps"}),
            "length": ("time", np.arange(steps, 0, -1), {"units": "steps"}),
        },
        {"loss": value, "parameter": parameter, "network": type(network).__name__},
    )


def _checked(value: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise bad("loss", value, "a function of the rates whose value is one number")
    return finite("loss", value)


def _by_currents(
    network: RNN | ARUN,
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    state: State | None,
    drive: Tensor | float | None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """The terms delta_t h_{t-1}^T from one call: delta_t is the gradient of a drive."""
    steps, batch = x.shape[:2]
    added = x.new_zeros(steps, batch, network.hidden_size)
    added = (added if drive is None else added + drive).requires_grad_()
    first = network.batch_first
    given = (x.transpose(0, 1), added.transpose(0, 1)) if first else (x, added)
    with torch.enable_grad():
        output, _ = network(given[0], state, drive=given[1])
        output = output.transpose(0, 1) if first else output
        value = _checked(loss(output))
        (deltas,) = torch.autograd.grad(value, added)
    rates = output.detach()
    start = pytree.tree_leaves(state)[0][:1] if state is not None else torch.zeros_like(rates[:1])
    before = torch.cat([start.to(rates), rates[:-1]])
    total = x.new_zeros(network.hidden_size, network.hidden_size)
    norms, parts = [], []
    for delta, h in zip(reversed(deltas), reversed(before), strict=True):
        term = delta.mT @ h
        total += term
        parts.append(float(term.norm()))
        norms.append(float(total.norm()))
    return float(value.detach()), np.array(norms[::-1]), np.array(parts[::-1])


def _by_copies(
    network: Any,
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    parameter: str,
    state: State | None,
    drive: Tensor | float | None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """The terms from hooks on one alias of the parameter per step; backward visits T, ..., 1."""
    whole = isinstance(network, nn.RNNBase) or is_layer(network)
    axis = 1 if getattr(network, "batch_first", False) else 0
    if drive is not None:
        size = (x.shape[0], x.shape[1], network.hidden_size)
        drive = torch.as_tensor(drive).to(x).expand(size)
    weight = dict(network.named_parameters())[parameter].detach().requires_grad_()
    total = torch.zeros_like(weight)
    norms: dict[int, float] = {}
    parts: dict[int, float] = {}

    def hook(t: int) -> Callable[[Tensor], None]:
        def accumulate(grad: Tensor) -> None:
            total.add_(grad)
            parts[t], norms[t] = float(grad.norm()), float(total.norm())

        return accumulate

    rates = []
    with torch.enable_grad():
        for t, x_t in enumerate(x.unbind(0)):
            alias = weight.view_as(weight)
            alias.register_hook(hook(t))
            extra = {} if drive is None else {"drive": drive[t].unsqueeze(axis)}
            if whole:
                arguments = (x_t.unsqueeze(axis), state)
                out, state = functional_call(network, {parameter: alias}, arguments, extra)
                rates.append(out.squeeze(axis))
            else:
                state = functional_call(network, {parameter: alias}, (x_t, state))
                rates.append(pytree.tree_leaves(state)[0])
        value = _checked(loss(torch.stack(rates)))
        torch.autograd.grad(value, weight)
    order = range(len(rates))
    return (
        float(value.detach()),
        np.array([norms.get(t, 0.0) for t in order]),
        np.array([parts.get(t, 0.0) for t in order]),
    )
