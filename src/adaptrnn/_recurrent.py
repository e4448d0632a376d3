"""Recurrent layers have the stacking, directions, layouts and packed sequences of torch.nn.RNN."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, TypeAlias, TypedDict, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence

from adaptrnn._error import KindError, ShapeError, bad, choose
from adaptrnn.dale import balanced, neuron_signs, sign_weight
from adaptrnn.init import kaiming_, recurrent_
from adaptrnn.kernels.native import BACKENDS, PRECISIONS
from adaptrnn.kernels.readout import Readout, loss_of_rates
from adaptrnn.leak import Noise, check_times, raw_tau, share, tau_of

LayerState = tuple[Tensor, ...]
UserState: TypeAlias = (
    Annotated[Tensor, "L *B N"] | tuple[Annotated[Tensor, "L *B N"], Annotated[Tensor, "L *B N G"]]
)
"""The state as the user sees it: of an `RNN` a tensor, of an `ARUN` a pair."""
LayerRun = Callable[[Tensor, LayerState], tuple[Tensor, LayerState]]
Segments = list[tuple[int, int, int]]

INITS = ("torch", "paper")

_Method = TypeVar("_Method", bound=Callable[..., Any])


def in_own_dtype(method: _Method) -> _Method:
    """Make a method compute in the dtype of the layer's parameters under `torch.autocast` too.

    Rounding would add up over the steps of a recurrence, and the kernels have no shorter floats.
    Tensors that autocast made shorter, here or in modules before, are widened again.
    """

    @functools.wraps(method)
    def call(self: Recurrent, *arguments: object, **named: object) -> object:
        weight = self._parameter("weight_hh", 0)
        kind = weight.device.type
        known = torch.amp.is_autocast_available(kind)
        if not (known and torch.is_autocast_enabled(kind)):
            return method(self, *arguments, **named)
        given = [widened(argument, weight.dtype) for argument in arguments]
        given_by_name = {name: widened(value, weight.dtype) for name, value in named.items()}
        with torch.autocast(kind, enabled=False):
            return method(self, *given, **given_by_name)

    return cast(_Method, call)


def widened(value: object, dtype: torch.dtype) -> Any:
    """Return tensors, packed sequences and states with their 16-bit floats in another dtype."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, PackedSequence):
        return value._replace(data=widened(value.data, dtype))
    if isinstance(value, tuple | list):
        return tuple(widened(part, dtype) for part in value)
    return value


class KernelOptions(TypedDict):
    """These options are given to every operation of a layer."""

    backend: str
    precision: str


class Trace(NamedTuple):
    """A trace holds every internal signal of one layer over time, in the layout of its output.

    Attributes:
        a: total currents (activations), (T, B, N).
        h: rates, (T, B, N).
        n: gains, (T, B, N); None where the f-I curve has none.
        s: saturations, (T, B, N); None where the f-I curve has none.
        g: controller states, (T, B, N, G); None without a controller.
    """

    a: Annotated[Tensor, "*TB N"]
    h: Annotated[Tensor, "*TB N"]
    n: Annotated[Tensor, "*TB N"] | None
    s: Annotated[Tensor, "*TB N"] | None
    g: Annotated[Tensor, "*TB N G"] | None


class Recurrent(nn.Module):
    """This base gives recurrent layers torch.nn.RNN's directions, layouts and packed sequences."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
        backend: str,
        memory_budget: int,
        precision: str,
    ) -> None:
        super().__init__()
        for name, value in (
            ("input_size", input_size),
            ("hidden_size", hidden_size),
            ("num_layers", num_layers),
        ):
            if not isinstance(value, int) or isinstance(value, bool):
                raise bad(name, value, "an integer >= 1", error=KindError)
            if value < 1:
                raise bad(name, value, "an integer >= 1")
        for name, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise bad(name, flag, "True or False", error=KindError)
        number = isinstance(dropout, int | float) and not isinstance(dropout, bool)
        if not number or not 0 <= dropout <= 1:
            raise bad("dropout", dropout, "a probability, from 0 to 1")
        if dropout and num_layers == 1:
            message = f"dropout={dropout} acts between layers: with num_layers=1 it does nothing"
            warnings.warn(message, stacklevel=3)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.backend = choose("backend", backend, BACKENDS)
        self.memory_budget = memory_budget
        self.precision = choose("precision", precision, PRECISIONS)
        self.dt, self.learn_tau, self.noise, self._leaks = 1.0, False, Noise(0.0), False
        self.excitatory: Tensor | None = None
        directions = 2 if bidirectional else 1
        suffixes = ["", "_reverse"][:directions]
        self._suffixes = [f"_l{layer}{side}" for layer in range(num_layers) for side in suffixes]
        for row, suffix in enumerate(self._suffixes):
            width = input_size if row < directions else hidden_size * directions
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (hidden_size, width),
                "weight_hh": (hidden_size, hidden_size),
            }
            if bias:
                shapes |= {"bias_ih": (hidden_size,), "bias_hh": (hidden_size,)}
            for name, shape in shapes.items():
                empty = torch.empty(shape, device=device, dtype=dtype)
                self.register_parameter(name + suffix, nn.Parameter(empty))

    def _set_times(
        self, dt: float, tau: float | Tensor | None, learn_tau: bool, noise: float
    ) -> None:
        """Keep the time constants and the noise; called when the weights are there."""
        check_times(dt, tau, learn_tau, self.hidden_size)
        self.dt, self.learn_tau, self.noise = float(dt), learn_tau, Noise(noise)
        if tau is None:
            return
        self._given_tau = torch.as_tensor(tau, device="cpu").detach().clone()
        self._leaks = bool((self._given_tau != dt).any())
        if not self._leaks:
            return
        for row, suffix in enumerate(self._suffixes):
            times = torch.empty_like(self._parameter("weight_hh", row)[0])
            if learn_tau:
                self.register_parameter("raw_tau" + suffix, nn.Parameter(times))
            else:
                self.register_buffer("tau" + suffix, times)
        self._reset_times()

    @torch.no_grad()
    def _reset_times(self) -> None:
        """Give the time constants their initial values."""
        if not self._leaks:
            return
        for row in range(len(self._suffixes)):
            kept = self._parameter("raw_tau" if self.learn_tau else "tau", row)
            times = self._given_tau.to(kept)
            kept.copy_(raw_tau(times, self.dt) if self.learn_tau else times)

    def _set_signs(self, dale: bool | float | Tensor) -> None:
        """Fix the sign of every neuron; called when the weights are there."""
        if dale is False:
            return
        signs = neuron_signs(dale, self.hidden_size)
        self.excitatory = signs > 0
        for suffix in self._suffixes:
            sign_weight(self, "weight_hh" + suffix, signs)

    def tau(self, row: int = 0) -> Annotated[Tensor, "N"] | None:
        """Return the time constants of a layer and direction in ms, (N,); None where tau = dt.

        Example:
            >>> from adaptrnn import RNN
            >>> RNN(1, 3, dt=20.0, tau=100.0).tau()
            tensor([100., 100., 100.])
        """
        if not self._leaks:
            return None
        if self.learn_tau:
            return tau_of(self._parameter("raw_tau", row), self.dt)
        return self._parameter("tau", row)

    def _alpha(self, row: int) -> Tensor | None:
        """Shares alpha = dt / tau, (N,), or None where each is 1."""
        tau = self.tau(row)
        return None if tau is None else share(self.dt, tau)

    @contextlib.contextmanager
    def noisy(self, *seed: int) -> Iterator[None]:
        """Add noise in evaluation too, drawn from these integers, in a `with` block.

        Example:
            >>> from adaptrnn import RNN
            >>> rnn, x = RNN(1, 3, noise=0.1).eval(), torch.zeros(4, 2, 1)
            >>> with rnn.noisy(0):
            ...     one = rnn(x)[0]
            >>> with rnn.noisy(0):
            ...     other = rnn(x)[0]
            >>> torch.equal(one, other), torch.equal(one, rnn(x)[0])
            (True, False)
        """
        noise, before = self.noise, (self.noise.seed, self.noise.drawn, self.noise.always)
        noise.reseed(*seed)
        noise.always = True
        try:
            yield
        finally:
            noise.seed, noise.drawn, noise.always = before

    def _with_noise(
        self, x: Tensor, row: int, drive: Tensor | float | None
    ) -> Tensor | float | None:
        """The drive and the noise in the current of one layer, (T, B, N); x is (T, B, ...)."""
        if not self.noise.sigma or not (self.training or self.noise.always):
            return drive
        shape = (*x.shape[:2], self.hidden_size)
        return driven(self.noise.draw(shape, self._alpha(row), x), drive)

    # What a layer is: defined by the subclasses. `row` counts layers and directions as h_n does.

    def _initial(self, batch: int, like: Tensor) -> LayerState:
        """State at rest of all layers: tensors (L, B, ...)."""
        raise NotImplementedError

    def _unpack(self, hx: object) -> LayerState:
        """The user's state as a plain tuple of tensors (L, B, ...)."""
        raise NotImplementedError

    def _pack(self, state: LayerState) -> UserState:
        """A plain tuple of tensors as the state the user sees."""
        raise NotImplementedError

    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape, after (L, B), of every tensor of the state."""
        raise NotImplementedError

    def _makes_currents(self) -> bool:
        """Whether `_layer` takes `weight_ih` and `bias_ih`, and then the input, not currents."""
        return False

    def _layer(self, row: int, last_only: bool = False, **weights: Tensor | None) -> LayerRun:
        """The layer as a function (currents (T, B, N), state) -> (rates (T, B, N), state).

        With `last_only` the rates may be missing: only the state is used.
        """
        raise NotImplementedError

    def _layer_loss(
        self, row: int, x: Tensor, state: LayerState, head: Readout, **weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Loss and outputs of a readout."""
        output, (h, *_) = self._layer(row, False, **weights)(x, state)
        return loss_of_rates(h if head.target.ndim == 1 else output, head)

    def _layer_step(self, row: int, current: Tensor, state: LayerState) -> LayerState:
        """One time step of the layer, for any leading shape."""
        raise NotImplementedError

    def _layer_trace(self, row: int, currents: Tensor, state: LayerState) -> Trace:
        raise NotImplementedError

    def _options(self) -> KernelOptions:
        return {"backend": self.backend, "precision": self.precision}

    def _parameter(self, name: str, row: int) -> Tensor:
        return getattr(self, name + self._suffixes[row])

    def _input_bias(self, row: int) -> Tensor | None:
        if not self.bias:
            return None
        return self._parameter("bias_ih", row) + self._parameter("bias_hh", row)

    def _input_currents(self, x: Tensor, row: int) -> Tensor:
        return linear(x, self._parameter("weight_ih", row), self._input_bias(row))

    def _feed(
        self, x: Tensor, row: int, drive: Tensor | float | None, last_only: bool = False
    ) -> tuple[Tensor, LayerRun]:
        """What a layer is fed, and the layer as a function of that and of its state."""
        drive = self._with_noise(x, row, drive)
        if not self._makes_currents():
            return driven(self._input_currents(x, row), drive), self._layer(row, last_only)
        x, weights = self._made_of(x, row, drive)
        return x, self._layer(row, last_only, **weights)

    def _made_of(
        self, x: Tensor, row: int, drive: Tensor | float | None
    ) -> tuple[Tensor, dict[str, Tensor | None]]:
        """The input and its weights; currents and no weights where the drive varies in time."""
        if isinstance(drive, Tensor) and drive.ndim > 1:
            return driven(self._input_currents(x, row), drive), {}
        weight, bias = self._parameter("weight_ih", row), self._input_bias(row)
        if drive is not None:
            zero = weight.new_zeros(self.hidden_size)
            bias = driven(zero if bias is None else bias, drive)
        return x, {"weight_ih": weight, "bias_ih": bias}

    @property
    def num_directions(self) -> int:
        """Return the number of directions, 2 if the layer is bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """Return the weights and biases of every layer and direction, in torch.nn.RNN's order."""
        names = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if self.bias else [])
        return [[getattr(self, name + suffix) for name in names] for suffix in self._suffixes]

    def flatten_parameters(self) -> None:
        """Do nothing; code that was written for torch.nn.RNN calls this method."""

    @in_own_dtype
    def forward(
        self,
        input: Annotated[Tensor, "*TB D"] | PackedSequence,
        hx: UserState | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[Annotated[Tensor, "*TB H"] | PackedSequence, UserState]:
        """Run the layer over a whole sequence.

        Args:
            input: (T, B, D), with `batch_first` (B, T, D), unbatched (T, D), or packed.
            hx: initial state, (L, B, N) a tensor (unbatched (L, N)); rest if None. L counts
                layers times directions.
            drive: external current xi, added to the activation of every layer before the
                f-I curve (and the controller): a number, or a tensor that broadcasts to the
                shape of the currents, (T, B, N) in the layout of the input; for a packed
                input (T, B, N) with T the longest length.

        Returns:
            output: rates of the last layer, (T, B, directions * N) in the layout of the input.
            state: the state after the last step, in the form of `hx`.

        Raises:
            InputError: shapes that do not fit; such an error is a RuntimeError too, as torch's.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, drive)
        x, state, xi, batched = self._enter(input, hx, drive, may_be_empty=True)
        if x.shape[1]:
            output, state = self._stack(x, state, xi, [(0, x.shape[0], x.shape[1])])
        else:  # no samples: the result of one that nobody looks at, as empty as the input
            x, state = _with_one(x, 1), tuple(_with_one(part, 1) for part in state)
            if isinstance(xi, Tensor) and 0 in xi.shape:
                xi = _with_one(xi, -2)
            output, state = self._stack(x, state, xi, [(0, x.shape[0], 1)])
            output, state = output[:, :0], tuple(part[:, :0] for part in state)
        return self._leave(output, batched), self._leave_state(state, batched)

    @in_own_dtype
    def last(
        self,
        input: Annotated[Tensor, "... D"],
        hx: UserState | None = None,
        drive: Tensor | float | None = None,
    ) -> Annotated[Tensor, "*B H"]:
        """Return the last layer's rates at the last step, without keeping the others if possible.

        Args:
            input: as in the call, not packed.
            hx: as in the call.
            drive: as in the call.

        Returns:
            (B, directions * N), unbatched (directions * N,).

        Raises:
            InputError: shapes that do not fit.

        Example:
            >>> from adaptrnn import RNN
            >>> rnn, x = RNN(1, 3, num_layers=2), torch.randn(5, 2, 1)
            >>> torch.allclose(rnn.last(x), rnn(x)[0][-1])
            True
        """
        x, state, xi, batched = self._enter(input, hx, drive)
        h = self._last(x, state, xi)
        return h if batched else h.squeeze(0)

    def _last(
        self,
        x: Annotated[Tensor, "T B D"],
        state: tuple[Annotated[Tensor, "L B N ..."], ...],
        drive: Tensor | float | None,
    ) -> Annotated[Tensor, "B H"]:
        segments, row = [(0, x.shape[0], x.shape[1])], self.num_layers - 1
        if self.bidirectional:
            return self._stack(x, state, drive, segments)[0][-1]
        if row:
            x, _ = self._stack(x, state, drive, segments, until=row)
        fed, run = self._feed(x, row, drive, last_only=True)
        return run(fed, tuple(part[row] for part in state))[1][0]

    @in_own_dtype
    def loss(
        self,
        input: Annotated[Tensor, "_ _ D"],
        weight_out: Annotated[Tensor, "K H"],
        bias_out: Annotated[Tensor, "K"],
        target: Annotated[Tensor, "B"] | Annotated[Tensor, "T B"] | Annotated[Tensor, "T B K"],
        weights: Annotated[Tensor, "T B"] | None = None,
        hx: UserState | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[Annotated[Tensor, ""], Annotated[Tensor, "B K"] | Annotated[Tensor, "T B K"]]:
        """Return the mean loss of a linear readout of the rates; this is the fastest way to train.

            y_t = W_out h_t + b_out
            L = sum_{t,b} w_tb l_tb / sum_{t,b} w_tb

        with l the cross entropy of a class, or the squared error of real values, averaged over the
        K outputs. It equals the call, a linear layer and a loss. The native kernel computes
        the loss and its whole gradient in one call, for one class a sample and for every step.

        Args:
            input: as in the call, batched, not packed.
            weight_out: (K, directions * N).
            bias_out: (K,).
            target: classes 0 to K - 1 at the last step (B,) or at every step (T, B), int64; or real
                values at every step (T, B, K). Time first, whatever `batch_first` says.
            weights: (T, B) >= 0, how much a step counts in the mean; None for 1 everywhere, and
                with one class a sample.
            hx: as in the call.
            drive: as in the call.

        Returns:
            The loss () and the outputs, (B, K) or (T, B, K); the outputs carry no gradient.

        Raises:
            InputError: shapes that do not fit, a class out of range.

        Example:
            >>> from adaptrnn import ARUN
            >>> core, x = ARUN(1, 3, controller_size=4), torch.randn(5, 2, 1)
            >>> readout, y = nn.Linear(3, 10), torch.randint(10, (5, 2))
            >>> loss, _ = core.loss(x, readout.weight, readout.bias, y)
            >>> scores = readout(core(x)[0])
            >>> torch.allclose(loss, nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten()))
            True
        """
        if input.ndim != 3:
            raise bad("input.ndim", input.ndim, "3, because a loss needs a batch")
        x, state, xi, _ = self._enter(input, hx, drive)
        return self._loss(x, state, xi, Readout(weight_out, bias_out, target, weights))

    def _loss(
        self,
        x: Annotated[Tensor, "T B D"],
        state: tuple[Annotated[Tensor, "L B N ..."], ...],
        drive: Tensor | float | None,
        head: Readout,
    ) -> tuple[Annotated[Tensor, ""], Annotated[Tensor, "B K"] | Annotated[Tensor, "T B K"]]:
        segments, row = [(0, x.shape[0], x.shape[1])], len(self._suffixes) - 1
        if self.bidirectional:
            output, _ = self._stack(x, state, drive, segments)
            return loss_of_rates(output[-1] if head.target.ndim == 1 else output, head)
        if row:
            x, _ = self._stack(x, state, drive, segments, until=row)
        rest = tuple(part[row] for part in state)
        made: dict[str, Tensor | None] = {}
        drive = self._with_noise(x, row, drive)
        if self._makes_currents():
            x, made = self._made_of(x, row, drive)
        else:
            x = driven(self._input_currents(x, row), drive)
        return self._layer_loss(row, x, rest, head, **made)

    @torch.no_grad()
    @in_own_dtype
    def trace(
        self,
        input: Annotated[Tensor, "*TB D"],
        hx: UserState | None = None,
        drive: Tensor | float | None = None,
        layer: int = 0,
    ) -> Trace:
        """Record every internal signal over a sequence, without gradients.

        Args:
            input: as in the call, not packed.
            hx: as in the call.
            drive: as in the call.
            layer: which row of the state (layers times directions) to record.

        Returns:
            The signals, each in the layout of the input. A reverse direction is given in the
            time of the input.

        Raises:
            InputError: shapes that do not fit; no such layer.

        Example:
            >>> from adaptrnn import ARUN
            >>> trace = ARUN(1, 3, controller_size=4).trace(torch.ones(5, 2, 1), drive=1.0)
            >>> trace.n.shape, trace.g.shape
            (torch.Size([5, 2, 3]), torch.Size([5, 2, 3, 4]))
        """
        rows = len(self._suffixes)
        if not 0 <= layer < rows:
            raise bad("layer", layer, f"an integer from 0 to {rows - 1}")
        x, state, xi, batched = self._enter(input, hx, drive)
        segments = [(0, x.shape[0], x.shape[1])]
        below = layer // self.num_directions
        if below:
            x, _ = self._stack(x, state, xi, segments, until=below)
        currents = driven(self._input_currents(x, layer), self._with_noise(x, layer, xi))
        reverse = self._suffixes[layer].endswith("_reverse")
        if reverse:
            currents = currents.flip(0)
        trace = self._layer_trace(layer, currents, tuple(part[layer] for part in state))

        def leave(signal: Tensor | None) -> Any:
            if signal is None:
                return None
            return self._leave(signal.flip(0) if reverse else signal, batched)

        return Trace(*map(leave, trace))

    @in_own_dtype
    def step(
        self,
        x_t: Annotated[Tensor, "*B D"],
        state: UserState,
        drive: Tensor | float | None = None,
    ) -> UserState:
        """Compute one time step as a pure function, with gradients, without dropout and noise.

        Args:
            x_t: input of one step, (B, D), or (D,) for one sample.
            state: as the call returns it, (L, B, N), or (L, N) for one sample.
            drive: external current, a number or broadcastable to (B, N).

        Returns:
            The next state, in the form of `state`.

        Raises:
            InputError: the layer is bidirectional; shapes that do not fit.

        Example:
            >>> from adaptrnn import RNN
            >>> rnn, x = RNN(2, 3), torch.randn(4, 5, 2)
            >>> state = torch.zeros(1, 5, 3)
            >>> for x_t in x:
            ...     state = rnn.step(x_t, state)
            >>> torch.allclose(state, rnn(x)[1], atol=1e-6)
            True
        """
        if self.bidirectional:
            raise bad("bidirectional", True, "False", "Two directions have no single time step.")
        if x_t.shape[-1] != self.input_size:
            raise bad("x_t.shape", tuple(x_t.shape), f"(..., D) with D = {self.input_size}")
        parts = self._unpack(state)
        for (name, tail), part in zip(self._state_shapes().items(), parts, strict=True):
            want = (self.num_layers, *x_t.shape[:-1], *tail)
            if tuple(part.shape) != want:
                allowed = f"of shape {want}"
                raise bad(f"state ({name})", tuple(part.shape), allowed, error=ShapeError)
        rows, x = [], x_t
        for row in range(self.num_layers):
            current = driven(self._input_currents(x, row), drive)
            rows.append(self._layer_step(row, current, tuple(part[row] for part in parts)))
            x = rows[-1][0]
        return self._pack(tuple(torch.stack(part) for part in zip(*rows, strict=True)))

    def _enter(
        self,
        input: Tensor,
        hx: Tensor | LayerState | None,
        drive: Tensor | float | None,
        may_be_empty: bool = False,
    ) -> tuple[Tensor, LayerState, Tensor | float | None, bool]:
        """To time first and batched: input (T, B, D), state (L, B, ...), drive, was it batched."""
        if not isinstance(input, Tensor):
            advice = "Pad a packed sequence, or give one at a time."
            raise bad("input", type(input).__name__, "a tensor, not packed", advice)
        layout = "(B, T, D)" if self.batch_first else "(T, B, D)"
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            allowed = f"{layout}, or (T, D) unbatched, with D = input_size = {self.input_size}"
            raise bad("input.shape", tuple(input.shape), allowed, error=ShapeError)
        self._check_dtype(input)
        batched = input.ndim == 3
        swap = batched and self.batch_first
        x = input.transpose(0, 1) if swap else input if batched else input.unsqueeze(1)
        if x.shape[0] == 0:
            allowed = f"{layout} with T >= 1 steps of time"
            raise bad("input.shape", tuple(input.shape), allowed, error=ShapeError)
        if x.shape[1] == 0 and not may_be_empty:
            allowed = f"{layout} with B >= 1 samples; only the call takes none"
            raise bad("input.shape", tuple(input.shape), allowed, error=ShapeError)
        if isinstance(drive, Tensor) and drive.ndim:
            size = (*input.shape[:-1], self.hidden_size)
            check_drive(drive, size)
            if not batched and drive.ndim == 2:
                drive = drive.unsqueeze(1)
            elif swap and drive.ndim == 3:
                drive = drive.transpose(0, 1)
            elif swap and drive.ndim == 2:
                drive = drive.unsqueeze(1)
        return x, self._enter_state(hx, x, batched), drive, batched

    def _check_dtype(self, input: Tensor) -> None:
        """Refuse an input of another dtype than the weights, but under autocast."""
        dtype, kind = self._parameter("weight_ih", 0).dtype, input.device.type
        if input.dtype == dtype:
            return
        if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            advice = f"Convert the input with input.to({dtype})"
            layer = f" or the layer with .to({input.dtype})" if input.is_floating_point() else ""
            advice += layer + "."
            raise bad("input.dtype", input.dtype, f"{dtype}, as the weights are", advice)

    def _enter_state(self, hx: Tensor | LayerState | None, x: Tensor, batched: bool) -> LayerState:
        batch = x.shape[1]
        if hx is None:
            return self._initial(batch, x)
        state, rows = self._unpack(hx), len(self._suffixes)
        for (name, tail), part in zip(self._state_shapes().items(), state, strict=True):
            want = (rows, batch, *tail) if batched else (rows, *tail)
            if tuple(part.shape) != want:
                raise bad(f"hx ({name})", tuple(part.shape), f"of shape {want}", error=ShapeError)
        return state if batched else tuple(part.unsqueeze(1) for part in state)

    def _leave(self, output: Tensor, batched: bool) -> Tensor:
        if not batched:
            return output.squeeze(1)
        return output.transpose(0, 1) if self.batch_first else output

    def _leave_state(self, state: LayerState, batched: bool) -> UserState:
        return self._pack(state if batched else tuple(part.squeeze(1) for part in state))

    def _forward_packed(
        self,
        packed: PackedSequence,
        hx: Tensor | LayerState | None,
        drive: Tensor | float | None,
    ) -> tuple[PackedSequence, UserState]:
        """Pad, run in segments of constant batch size (nothing is computed on padding), pack."""
        data, sizes, order, back = packed
        if data.ndim != 2 or data.shape[1] != self.input_size:
            allowed = f"(sum of lengths, D) with D = input_size = {self.input_size}"
            raise bad("input.data.shape", tuple(data.shape), allowed, error=ShapeError)
        self._check_dtype(data)
        batch, steps = int(sizes[0]), len(sizes)
        mask = (torch.arange(batch, device=sizes.device) < sizes.unsqueeze(1)).to(data.device)
        x = data.new_zeros(steps, batch, self.input_size)
        x[mask] = data
        state = self._enter_state(hx, x, batched=True)
        if order is not None:
            state = tuple(part.index_select(1, order) for part in state)
        if isinstance(drive, Tensor) and drive.ndim:
            check_drive(drive, (steps, batch, self.hidden_size))
            if order is not None and drive.ndim >= 2 and drive.shape[-2] == batch:
                drive = drive.index_select(-2, order)
        output, state = self._stack(x, state, drive, _segments(sizes.tolist()), present=mask)
        if back is not None:
            state = tuple(part.index_select(1, back) for part in state)
        return PackedSequence(output[mask], sizes, order, back), self._pack(state)

    def _stack(
        self,
        x: Annotated[Tensor, "T B D"],
        state: tuple[Annotated[Tensor, "L B N ..."], ...],
        drive: Tensor | float | None,
        segments: Segments,
        until: int | None = None,
        present: Annotated[Tensor, "T B"] | None = None,
    ) -> tuple[Annotated[Tensor, "T B H"], tuple[Annotated[Tensor, "rows B N ..."], ...]]:
        """All layers, or the first `until`: input (T, B, D), state (L, B, ...) -> output, state.

        `present` says which entries are not padding, where there is any.
        """
        last: list[LayerState] = []
        for layer in range(self.num_layers if until is None else until):
            outputs = []
            for direction in range(self.num_directions):
                row = layer * self.num_directions + direction
                fed, run = self._feed(x, row, drive)
                rest = tuple(part[row] for part in state)
                scan = _scan_backward if direction else _scan_forward
                output, final = scan(run, fed, rest, segments)
                outputs.append(output)
                last.append(final)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = self._dropped(x, present)
        return x, tuple(torch.stack(part) for part in zip(*last, strict=True))

    def _dropped(self, x: Tensor, present: Tensor | None) -> Tensor:
        """The input of the next layer; dropout is drawn for what is there, as torch draws it."""
        if present is None or not self.training:
            return nn.functional.dropout(x, self.dropout, self.training)
        kept = torch.zeros_like(x)
        kept[present] = nn.functional.dropout(x[present], self.dropout, self.training)
        return kept

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults, for printing."""
        text = f"{self.input_size}, {self.hidden_size}"
        defaults: tuple[tuple[str, object], ...]
        defaults = (("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0))
        defaults += (("bidirectional", False), ("backend", "auto"), ("precision", "auto"))
        for name, default in defaults:
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)!r}"
        if self._leaks:
            text += f", dt={self.dt!r}, tau={'learned' if self.learn_tau else 'fixed'}"
        if self.noise.sigma:
            text += f", noise={self.noise.sigma!r}"
        if self.excitatory is not None:
            text += f", excitatory={int(self.excitatory.sum())}"
        return text


def reset_weights(core: Recurrent, init: str, recurrent_init: str) -> None:
    if core.all_weights[0][0].is_meta:  # without numbers; torch loads its compiler to draw some
        return
    bound = 1 / math.sqrt(core.hidden_size)
    with torch.no_grad():
        for suffix, weights in zip(core._suffixes, core.all_weights, strict=True):
            fresh = [torch.empty_like(weight) for weight in weights]
            if init == "torch":
                for weight in fresh:
                    weight.uniform_(-bound, bound)
            else:
                if fresh[1].dtype in (torch.float16, torch.bfloat16):  # LAPACK has none so short
                    fresh[1] = fresh[1].float()
                kaiming_(fresh[0])
                recurrent_(fresh[1], recurrent_init)
                for bias in fresh[2:]:
                    bias.zero_()
            if core.excitatory is not None:
                fresh[1] = balanced(fresh[1], torch.where(core.excitatory, 1.0, -1.0))
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            for name, weight in zip(names, fresh, strict=False):  # there may be no biases
                if parametrize.is_parametrized(core, name + suffix):
                    setattr(core, name + suffix, weight.to(weights[0]))
                else:
                    getattr(core, name + suffix).copy_(weight)


def bare(*modules: nn.Module) -> bool:
    """Return whether no module has a hook, so that nothing happens but what its method computes.

    Pruning and torch's older weight norm make the weights in a hook, before each call.
    """
    hooks = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return not any(getattr(module, name) for module in modules for name in hooks)


def driven(
    currents: Annotated[Tensor, "*TB N"], drive: Tensor | float | None
) -> Annotated[Tensor, "*TB N"]:
    if drive is None:
        return currents
    if isinstance(drive, Tensor):
        check_drive(drive, tuple(currents.shape))
        drive = drive.to(currents)
    return currents + drive


def check_drive(drive: Tensor, shape: tuple[int, ...]) -> None:
    tail = shape[len(shape) - drive.ndim :] if drive.ndim <= len(shape) else None
    if tail is None or any(d not in (1, want) for d, want in zip(drive.shape, tail, strict=True)):
        raise bad("drive.shape", tuple(drive.shape), f"broadcastable to the currents, {shape}")


def _with_one(part: Tensor, axis: int) -> Tensor:
    """A sample of zeros where there is none: size 1 in place of 0 along an axis, with gradients."""
    shape = list(part.shape)
    shape[axis] = 1
    return torch.cat([part, part.new_zeros(shape)], axis)


def _segments(sizes: list[int]) -> Segments:
    """Runs of constant batch size as (start, stop, size)."""
    cuts = [0, *(t for t in range(1, len(sizes)) if sizes[t] != sizes[t - 1]), len(sizes)]
    return [(a, b, sizes[a]) for a, b in itertools.pairwise(cuts)]


def _widen(output: Tensor, batch: int) -> Tensor:
    """Zeros for the samples that had ended: (T, b, N) -> (T, B, N)."""
    return nn.functional.pad(output, (0, 0, 0, batch - output.shape[1]))


def _scan_forward(
    run: LayerRun, currents: Tensor, state: LayerState, segments: Segments
) -> tuple[Tensor, LayerState]:
    """One direction over segments of falling batch size; a sample's state stays at its end."""
    outputs: list[Tensor] = []
    ended: list[LayerState] = []
    for start, stop, size in segments:
        ended.append(tuple(part[size:] for part in state))
        output, state = run(currents[start:stop, :size], tuple(part[:size] for part in state))
        outputs.append(_widen(output, currents.shape[1]))
    if len(segments) == 1:
        return outputs[0], state
    parts = [state, *reversed(ended)]
    return torch.cat(outputs), tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _scan_backward(
    run: LayerRun, currents: Tensor, state: LayerState, segments: Segments
) -> tuple[Tensor, LayerState]:
    """The other direction: samples join, from their initial state, where they end."""
    outputs: list[Tensor] = []
    live = tuple(part[:0] for part in state)
    for start, stop, size in reversed(segments):
        joined = live[0].shape[0]
        pairs = zip(live, state, strict=True)
        live = tuple(torch.cat([part, rest[joined:size]]) for part, rest in pairs)
        output, live = run(currents[start:stop, :size].flip(0), live)
        outputs.insert(0, _widen(output.flip(0), currents.shape[1]))
    return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)), live
