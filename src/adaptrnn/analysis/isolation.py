"""An isolated neuron has its own input and, of the recurrence, only the weight onto itself.

Geadah et al. 2024, Fig 4: W_hh is replaced by its diagonal and neuron i sees only input i. What
remains of the network is N neurons side by side, each with its f-I curve, its adaptation, its bias
and its self-connection. In an isolated network the state of neuron i never depends on neuron j.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.analysis._type import State
from adaptrnn.analysis.system import Network, System, as_system
from adaptrnn.dale import plain_copy

__all__ = ["isolate"]


def isolate(
    network: Network, state: State | None = None, *, input_size: int | None = None
) -> nn.Module | System:
    """Cut a network into its neurons.

    Of an `RNN`, an `ARUN`, or a one-layer cell or network of torch.nn, a copy of the same class
    comes back: W_hh becomes its diagonal (for a GRU and an LSTM in each gate), and neuron i keeps
    its own input weights, now onto an input of its own. The new input has N D channels, channels
    i D to (i+1) D - 1 being the input of neuron i; with zero input and a drive, nothing of this
    matters.

    Of any other step function a `System` comes back that runs N copies of the network side by
    side; in copy i every rate but the i-th is held at 0 before each step, and x_t (B, N D) is cut
    as above. This costs N times as much. It is the same for a network that meets other neurons
    only through W_hh h.

    Args:
        network: any recurrent network (see `adaptrnn.analysis.system`).
        state: example state of a user's own step function; its first tensor holds the rates, one
            number a neuron, and any other tensor goes along as it is.
        input_size: D of a user's own step function.

    Returns:
        A copy of the network, or a `System`, with N isolated neurons. The network is untouched.

    Raises:
        InputError: more than one layer or direction.

    Example:
        >>> alone = isolate(nn.GRUCell(1, 3))
        >>> alone.input_size, bool((alone.weight_hh[:3] == alone.weight_hh[:3].diag().diag()).all())
        (3, True)
    """
    if isinstance(network, nn.Module):
        layers = int(getattr(network, "num_layers", 1))
        if layers > 1 or getattr(network, "bidirectional", False):
            found = f"{layers} layers, bidirectional={getattr(network, 'bidirectional', False)}"
            raise bad("network", found, "of one layer and one direction")
        for suffix in ("", "_l0"):
            if hasattr(network, f"weight_hh{suffix}"):
                return _by_weights(network, suffix)
    return _by_copies(as_system(network, state, input_size=input_size))


def _by_weights(network: nn.Module, suffix: str) -> nn.Module:
    alone = plain_copy(network)
    with torch.no_grad():
        hidden = getattr(alone, f"weight_hh{suffix}")
        into = getattr(alone, f"weight_ih{suffix}")
        rows, neurons = hidden.shape
        if rows % neurons:
            raise bad(
                "weight_hh.shape",
                tuple(hidden.shape),
                "(gates * N, N)",
                "Projections are not supported.",
            )
        gates, width = rows // neurons, into.shape[1]
        own = torch.eye(neurons).to(hidden)
        hidden.mul_(own.repeat(gates, 1))
        # weights of gate k, neuron i onto input (j, d): those it had onto d, if i = j
        spread = into.view(gates, neurons, 1, width) * own.view(1, neurons, neurons, 1)
        spread = spread.reshape(rows, neurons * width)
    setattr(alone, f"weight_ih{suffix}", nn.Parameter(spread, into.requires_grad))
    alone.input_size = neurons * width
    return alone


def _by_copies(whole: System) -> System:
    """N copies of the whole network in place of each sample; in copy i only rate i comes back."""
    neurons, size = whole.neurons, whole.size
    first = whole.first_rate
    # the rates of copy i are at i * size + first + (0 ... N-1); only its own is kept
    kept = torch.ones(neurons, size, dtype=whole.dtype, device=whole.device)
    kept[:, first : first + neurons] = torch.eye(neurons, dtype=whole.dtype, device=whole.device)
    places = torch.arange(neurons) * size + first + torch.arange(neurons)

    def step(x: Tensor | None, z: Tensor, drive: Tensor | None = None) -> Tensor:
        batch = z.shape[0]
        # layout of z: the N rates, then the N copies without them
        copies = z[:, neurons:].reshape(batch * neurons, size)
        below = None if x is None else x.reshape(batch * neurons, -1)
        currents = None if drive is None else drive.repeat_interleave(neurons, 0)
        after = whole.step(below, copies, currents).reshape(batch, neurons, size) * kept
        flat = after.reshape(batch, -1)
        return torch.cat([flat[:, places], flat], 1)

    return System(
        name=f"isolated {whole.name}",
        step=step,
        size=neurons + neurons * size,
        neurons=neurons,
        input_size=None if whole.input_size is None else whole.input_size * neurons,
        takes_drive=whole.takes_drive,
        dtype=whole.dtype,
        device=whole.device,
        pack=lambda z: z,
        unpack=lambda z: z,
    )
