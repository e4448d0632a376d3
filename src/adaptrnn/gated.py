"""LSTM and GRU of torch with a drive and a pure time step: to be perturbed and probed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence

from adaptrnn._error import bad
from adaptrnn._recurrent import check_drive

__all__ = ["GRU", "LSTM"]


def _wide(
    core: nn.RNNBase, input: Tensor, drive: Tensor | float, gates: int
) -> tuple[Tensor, list[Tensor]]:
    """Input and weights with the drive as more inputs that enter every gate with weight 1."""
    if core.num_layers > 1 or core.bidirectional or core.proj_size:
        raise bad("drive", drive, "None for this layer", "It needs one layer and one direction.")
    drive = torch.as_tensor(drive, dtype=input.dtype, device=input.device)
    check_drive(drive, (*input.shape[:-1], core.hidden_size))
    shared = drive.ndim == 0 or drive.shape[-1] == 1
    columns = 1 if shared else core.hidden_size
    drive = drive.expand(*input.shape[:-1], columns)
    weight, *others = _weights(core)
    eye = torch.eye(core.hidden_size, dtype=weight.dtype, device=weight.device)
    unit = torch.ones_like(weight[:, :1]) if shared else eye.repeat(gates, 1)
    return torch.cat([input, drive], -1), [torch.cat([weight, unit], 1), *others]


def _weights(core: nn.RNNBase) -> list[Tensor]:
    """W_ih, W_hh and, if there are biases, b_ih, b_hh."""
    return [getattr(core, name) for name in core._all_weights[0]]


def _options(core: nn.RNNBase) -> tuple[Any, ...]:
    """The arguments of torch's fused layers that follow the weights."""
    layers, directions = core.num_layers, core.bidirectional
    return core.bias, layers, core.dropout, core.training, directions, core.batch_first


def _at_rest(core: nn.RNNBase, input: Tensor) -> Tensor:
    batch = () if input.ndim == 2 else (input.shape[0 if core.batch_first else 1],)
    return input.new_zeros(1, *batch, core.hidden_size)


def _split(core: nn.RNNBase, x_t: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """What the input and what the state send to the gates: (..., gates * N) each."""
    if core.num_layers > 1 or core.bidirectional or core.proj_size:
        raise bad("num_layers, bidirectional", (core.num_layers, core.bidirectional), "1, False")
    w_ih, w_hh, *biases = _weights(core)
    return linear(x_t, w_ih, *biases[:1]), linear(h, w_hh, *biases[1:])


class LSTM(nn.LSTM):
    """torch.nn.LSTM with `drive`, an external current added to the activation of every gate.

    Everything else is torch.nn.LSTM's: arguments, parameters, call. The drive needs one layer
    and one direction.

    Example:
        >>> core = LSTM(1, 4)
        >>> output, (h, c) = core(torch.zeros(5, 2, 1), drive=1.0)
        >>> output.shape
        torch.Size([5, 2, 4])
    """

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: tuple[Tensor, Tensor] | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """As torch.nn.LSTM; `drive` is a number or broadcastable to (T, B, N) as the input lies."""
        if drive is None:
            return super().forward(input, hx)
        if isinstance(input, PackedSequence):
            raise bad("input", "PackedSequence", "a tensor where a drive is given")
        x, weights = _wide(self, input, drive, 4)
        rest = _at_rest(self, input)
        state = (rest, rest) if hx is None else hx
        side = 0 if self.batch_first else 1
        if unbatched := input.ndim == 2:
            x, state = x.unsqueeze(side), (state[0].unsqueeze(1), state[1].unsqueeze(1))
        output, h, c = torch.lstm(x, list(state), weights, *_options(self))
        if unbatched:
            return output.squeeze(side), (h.squeeze(1), c.squeeze(1))
        return output, (h, c)

    def step(
        self, x_t: Tensor, state: tuple[Tensor, Tensor], drive: Tensor | float | None = None
    ) -> tuple[Tensor, Tensor]:
        """One time step as a pure function: x_t (..., D), state a pair (1, ..., N) -> state.

        Example:
            >>> core, zero = LSTM(1, 4), torch.zeros(1, 2, 4)
            >>> h, c = core.step(torch.ones(2, 1), (zero, zero))
            >>> torch.allclose(h, core(torch.ones(1, 2, 1))[1][0], atol=1e-6)
            True
        """
        h, c = state
        current, recurrent = _split(self, x_t, h[0])
        i, f, g, o = (current + recurrent).unflatten(-1, (4, -1)).unbind(-2)
        xi = 0.0 if drive is None else drive
        c_t = torch.sigmoid(f + xi) * c[0] + torch.sigmoid(i + xi) * torch.tanh(g + xi)
        h_t = torch.sigmoid(o + xi) * torch.tanh(c_t)
        return h_t.unsqueeze(0), c_t.unsqueeze(0)


class GRU(nn.GRU):
    """torch.nn.GRU with `drive`, an external current added to the activation of every gate.

    Everything else is torch.nn.GRU's: arguments, parameters, call. The drive needs one layer and
    one direction; it enters the candidate beside the input, outside the reset gate.

    Example:
        >>> core = GRU(1, 4)
        >>> output, h = core(torch.zeros(5, 2, 1), drive=1.0)
        >>> output.shape
        torch.Size([5, 2, 4])
    """

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[Any, Tensor]:
        """As torch.nn.GRU; `drive` is a number or broadcastable to (T, B, N) as the input lies."""
        if drive is None:
            return super().forward(input, hx)
        if isinstance(input, PackedSequence):
            raise bad("input", "PackedSequence", "a tensor where a drive is given")
        x, weights = _wide(self, input, drive, 3)
        state = _at_rest(self, input) if hx is None else hx
        side = 0 if self.batch_first else 1
        if unbatched := input.ndim == 2:
            x, state = x.unsqueeze(side), state.unsqueeze(1)
        output, h = torch.gru(x, state, weights, *_options(self))
        if unbatched:
            return output.squeeze(side), h.squeeze(1)
        return output, h

    def step(self, x_t: Tensor, state: Tensor, drive: Tensor | float | None = None) -> Tensor:
        """One time step as a pure function: x_t (..., D), state (1, ..., N) -> state.

        Example:
            >>> core = GRU(1, 4)
            >>> h = core.step(torch.ones(2, 1), torch.zeros(1, 2, 4))
            >>> torch.allclose(h, core(torch.ones(1, 2, 1))[1], atol=1e-6)
            True
        """
        current, recurrent = _split(self, x_t, state[0])
        r, z, n = current.unflatten(-1, (3, -1)).unbind(-2)
        r_h, z_h, n_h = recurrent.unflatten(-1, (3, -1)).unbind(-2)
        xi = 0.0 if drive is None else drive
        update = torch.sigmoid(z + z_h + xi)
        candidate = torch.tanh(n + xi + torch.sigmoid(r + r_h + xi) * n_h)
        return ((1 - update) * candidate + update * state[0]).unsqueeze(0)
