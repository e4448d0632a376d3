"""Torch's LSTM and GRU get an external drive and a pure time step, for tests and analyses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence

from adaptrnn._error import KindError, ShapeError, bad
from adaptrnn._recurrent import check_drive

__all__ = ["GRU", "LSTM", "GRUTrace", "LSTMTrace"]


class LSTMTrace(NamedTuple):
    """This trace holds internal signals of an `LSTM`, each (T, B, N) in the layout of the input.

    Attributes:
        i: input gate, 0 to 1.
        f: forget gate, 0 to 1.
        g: candidate, -1 to 1.
        o: output gate, 0 to 1.
        c: cell state.
        h: output.
    """

    i: Annotated[Tensor, "*TB N"]
    f: Annotated[Tensor, "*TB N"]
    g: Annotated[Tensor, "*TB N"]
    o: Annotated[Tensor, "*TB N"]
    c: Annotated[Tensor, "*TB N"]
    h: Annotated[Tensor, "*TB N"]


class GRUTrace(NamedTuple):
    """This trace holds internal signals of a `GRU`, each (T, B, N) in the layout of the input.

    Attributes:
        r: reset gate, 0 to 1.
        z: update gate, 0 to 1.
        n: candidate, -1 to 1.
        h: output.
    """

    r: Annotated[Tensor, "*TB N"]
    z: Annotated[Tensor, "*TB N"]
    n: Annotated[Tensor, "*TB N"]
    h: Annotated[Tensor, "*TB N"]


def _single(core: nn.RNNBase) -> bool:
    """Whether it is one layer of one direction whose output is its state."""
    return core.num_layers == 1 and not core.bidirectional and not core.proj_size


def _check_single(core: nn.RNNBase) -> None:
    if not _single(core):
        found = (core.num_layers, core.bidirectional, core.proj_size)
        raise bad("num_layers, bidirectional, proj_size", found, "1, False, 0")


def _check_input(core: nn.RNNBase, input: Tensor) -> None:
    if input.ndim not in (2, 3) or input.shape[-1] != core.input_size:
        layout = "(B, T, D)" if core.batch_first else "(T, B, D)"
        allowed = f"{layout}, or (T, D) unbatched, with D = input_size = {core.input_size}"
        raise bad("input.shape", tuple(input.shape), allowed, error=ShapeError)


def _checked(
    core: nn.RNNBase, name: str, state: Tensor, batch: tuple[int, ...]
) -> Annotated[Tensor, "1 *B N"]:
    """A state of shape (1, *B, N); torch's own functions would write beyond a smaller one."""
    _check_single(core)
    if not isinstance(state, Tensor):
        raise bad(name, type(state).__name__, "a tensor", error=KindError)
    want = (1, *batch, core.hidden_size)
    if tuple(state.shape) != want:
        raise bad(name, tuple(state.shape), f"of shape {want}", error=ShapeError)
    return state


def _pair(
    core: nn.RNNBase, name: str, state: tuple[Tensor, Tensor], batch: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """The state (h, c) of an LSTM."""
    if not isinstance(state, tuple | list) or len(state) != 2:
        raise bad(name, type(state).__name__, "a pair (h, c)")
    h, c = state
    return _checked(core, f"{name} (h)", h, batch), _checked(core, f"{name} (c)", c, batch)


def _wide(
    core: nn.RNNBase, input: Tensor, drive: Tensor | float, gates: int
) -> tuple[Tensor, list[Tensor]]:
    """Input and weights with the drive as more inputs that enter every gate with weight 1."""
    if not _single(core):
        advice = "It needs one layer of one direction, without a projection."
        raise bad("drive", drive, "None for this layer", advice)
    _check_input(core, input)
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


def _batch(core: nn.RNNBase, input: Tensor) -> tuple[int, ...]:
    """(B,), or () where there is one sample without a batch."""
    return () if input.ndim == 2 else (input.shape[0 if core.batch_first else 1],)


def _at_rest(core: nn.RNNBase, input: Tensor) -> Tensor:
    return input.new_zeros(1, *_batch(core, input), core.hidden_size)


def _split(core: nn.RNNBase, x_t: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """What the input and what the state send to the gates: (..., gates * N) each."""
    _check_single(core)
    w_ih, w_hh, *biases = _weights(core)
    return linear(x_t, w_ih, *biases[:1]), linear(h, w_hh, *biases[1:])


def _steps(
    core: nn.RNNBase, input: Tensor, drive: Tensor | float | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Input and drive of every time step, whatever the layout of the input."""
    drive = torch.as_tensor(0.0 if drive is None else drive, dtype=input.dtype, device=input.device)
    check_drive(drive, (*input.shape[:-1], core.hidden_size))
    drive = drive.expand(*input.shape[:-1], core.hidden_size)
    time = 1 if core.batch_first and input.ndim == 3 else 0
    return zip(input.unbind(time), drive.unbind(time), strict=True)


def _stack(core: nn.RNNBase, input: Tensor, signal: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(signal), 1 if core.batch_first and input.ndim == 3 else 0)


class LSTM(nn.LSTM):
    """This is torch.nn.LSTM with `drive`, an external current added to every gate's activation.

    Everything else is torch.nn.LSTM's: arguments, parameters, call. The drive needs one layer
    and one direction.

    Example:
        >>> core = LSTM(1, 4)
        >>> output, (h, c) = core(torch.zeros(5, 2, 1), drive=1.0)
        >>> output.shape
        torch.Size([5, 2, 4])
    """

    def forward(  # type: ignore[override]
        self,
        input: Annotated[Tensor, "*TB D"] | PackedSequence,
        hx: tuple[Annotated[Tensor, "L *B P"], Annotated[Tensor, "L *B N"]] | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[
        Annotated[Tensor, "*TB H"] | PackedSequence,
        tuple[Annotated[Tensor, "L *B P"], Annotated[Tensor, "L *B N"]],
    ]:
        """Run like torch.nn.LSTM; `drive` is a number or broadcasts to (T, B, N) like the input."""
        if drive is None:
            return super().forward(input, hx)
        if isinstance(input, PackedSequence):
            raise bad("input", "PackedSequence", "a tensor where a drive is given")
        x, weights = _wide(self, input, drive, 4)
        rest = _at_rest(self, input)
        state = (rest, rest) if hx is None else _pair(self, "hx", hx, _batch(self, input))
        side = 0 if self.batch_first else 1
        if unbatched := input.ndim == 2:
            x, state = x.unsqueeze(side), (state[0].unsqueeze(1), state[1].unsqueeze(1))
        output, h, c = torch.lstm(x, list(state), weights, *_options(self))
        if unbatched:
            return output.squeeze(side), (h.squeeze(1), c.squeeze(1))
        return output, (h, c)

    def step(
        self,
        x_t: Annotated[Tensor, "*B D"],
        state: tuple[Annotated[Tensor, "1 *B N"], Annotated[Tensor, "1 *B N"]],
        drive: Tensor | float | None = None,
    ) -> tuple[Annotated[Tensor, "1 *B N"], Annotated[Tensor, "1 *B N"]]:
        """Compute one time step of x_t (..., D) and a state, a pair of (1, ..., N).

        Example:
            >>> core, zero = LSTM(1, 4), torch.zeros(1, 2, 4)
            >>> h, c = core.step(torch.ones(2, 1), (zero, zero))
            >>> torch.allclose(h, core(torch.ones(1, 2, 1))[1][0], atol=1e-6)
            True
        """
        h, c = _pair(self, "state", state, tuple(x_t.shape[:-1]))
        signals = self._signals(x_t, h[0], c[0], drive)
        return signals.h.unsqueeze(0), signals.c.unsqueeze(0)

    def _signals(
        self, x_t: Tensor, h: Tensor, c: Tensor, drive: Tensor | float | None
    ) -> LSTMTrace:
        current, recurrent = _split(self, x_t, h)
        i, f, g, o = (current + recurrent).unflatten(-1, (4, -1)).unbind(-2)
        xi = 0.0 if drive is None else drive
        i, f, o = torch.sigmoid(i + xi), torch.sigmoid(f + xi), torch.sigmoid(o + xi)
        g = torch.tanh(g + xi)
        c = f * c + i * g
        return LSTMTrace(i, f, g, o, c, o * torch.tanh(c))

    @torch.no_grad()
    def trace(
        self,
        input: Annotated[Tensor, "*TB D"],
        hx: tuple[Annotated[Tensor, "1 *B N"], Annotated[Tensor, "1 *B N"]] | None = None,
        drive: Tensor | float | None = None,
    ) -> LSTMTrace:
        """Record every internal signal over a sequence, without gradients; called like the layer.

        Example:
            >>> core, x = LSTM(1, 4), torch.randn(5, 2, 1)
            >>> torch.allclose(core.trace(x, drive=1.0).h, core(x, drive=1.0)[0], atol=1e-6)
            True
        """
        _check_input(self, input)
        rest = _at_rest(self, input)
        h, c = (rest, rest) if hx is None else _pair(self, "hx", hx, _batch(self, input))
        h, c, signals = h[0], c[0], []
        for x_t, xi in _steps(self, input, drive):
            signals.append(self._signals(x_t, h, c, xi))
            h, c = signals[-1].h, signals[-1].c
        return LSTMTrace(*(_stack(self, input, part) for part in zip(*signals, strict=True)))


class GRU(nn.GRU):
    """This is torch.nn.GRU with `drive`, an external current added to every gate's activation.

    Everything else is torch.nn.GRU's: arguments, parameters, call. The drive needs one layer and
    one direction; it enters the candidate together with the input, outside the reset gate.

    Example:
        >>> core = GRU(1, 4)
        >>> output, h = core(torch.zeros(5, 2, 1), drive=1.0)
        >>> output.shape
        torch.Size([5, 2, 4])
    """

    def forward(  # type: ignore[override]
        self,
        input: Annotated[Tensor, "*TB D"] | PackedSequence,
        hx: Annotated[Tensor, "L *B N"] | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[Annotated[Tensor, "*TB H"] | PackedSequence, Annotated[Tensor, "L *B N"]]:
        """Run like torch.nn.GRU; `drive` is a number or broadcasts to (T, B, N) like the input."""
        if drive is None:
            return super().forward(input, hx)
        if isinstance(input, PackedSequence):
            raise bad("input", "PackedSequence", "a tensor where a drive is given")
        x, weights = _wide(self, input, drive, 3)
        batch = _batch(self, input)
        state = _at_rest(self, input) if hx is None else _checked(self, "hx", hx, batch)
        side = 0 if self.batch_first else 1
        if unbatched := input.ndim == 2:
            x, state = x.unsqueeze(side), state.unsqueeze(1)
        output, h = torch.gru(x, state, weights, *_options(self))
        if unbatched:
            return output.squeeze(side), h.squeeze(1)
        return output, h

    def step(
        self,
        x_t: Annotated[Tensor, "*B D"],
        state: Annotated[Tensor, "1 *B N"],
        drive: Tensor | float | None = None,
    ) -> Annotated[Tensor, "1 *B N"]:
        """Compute one time step as a pure function of x_t (..., D) and a state (1, ..., N).

        Example:
            >>> core = GRU(1, 4)
            >>> h = core.step(torch.ones(2, 1), torch.zeros(1, 2, 4))
            >>> torch.allclose(h, core(torch.ones(1, 2, 1))[1], atol=1e-6)
            True
        """
        h = _checked(self, "state", state, tuple(x_t.shape[:-1]))
        return self._signals(x_t, h[0], drive).h.unsqueeze(0)

    def _signals(self, x_t: Tensor, h: Tensor, drive: Tensor | float | None) -> GRUTrace:
        current, recurrent = _split(self, x_t, h)
        r, z, n = current.unflatten(-1, (3, -1)).unbind(-2)
        r_h, z_h, n_h = recurrent.unflatten(-1, (3, -1)).unbind(-2)
        xi = 0.0 if drive is None else drive
        r, z = torch.sigmoid(r + r_h + xi), torch.sigmoid(z + z_h + xi)
        n = torch.tanh(n + xi + r * n_h)
        return GRUTrace(r, z, n, (1 - z) * n + z * h)

    @torch.no_grad()
    def trace(
        self,
        input: Annotated[Tensor, "*TB D"],
        hx: Annotated[Tensor, "1 *B N"] | None = None,
        drive: Tensor | float | None = None,
    ) -> GRUTrace:
        """Record every internal signal over a sequence, without gradients; called like the layer.

        Example:
            >>> core, x = GRU(1, 4), torch.randn(5, 2, 1)
            >>> torch.allclose(core.trace(x, drive=1.0).h, core(x, drive=1.0)[0], atol=1e-6)
            True
        """
        _check_input(self, input)
        batch = _batch(self, input)
        h = (_at_rest(self, input) if hx is None else _checked(self, "hx", hx, batch))[0]
        signals = []
        for x_t, xi in _steps(self, input, drive):
            signals.append(self._signals(x_t, h, xi))
            h = signals[-1].h
        return GRUTrace(*(_stack(self, input, part) for part in zip(*signals, strict=True)))
