"""Recurrent layers: `RNN` with any f-I curve and `ARUN` whose neurons adapt theirs in real time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from adaptrnn._error import InputError, bad, choose
from adaptrnn._recurrent import (
    INITS,
    Recurrent,
    Run,
    State,
    Trace,
    in_own_dtype,
    reset_weights,
)
from adaptrnn.activation import gamma
from adaptrnn.controller import AdaptationController
from adaptrnn.init import RECURRENT
from adaptrnn.kernels.arun import arun, arun_cross_entropy, arun_trace
from adaptrnn.kernels.gamma_rnn import gamma_rnn, gamma_rnn_trace
from adaptrnn.kernels.gamma_rnn import reference as gamma_rnn_reference
from adaptrnn.kernels.native import MEMORY_BUDGET, zeros

__all__ = ["ARUN", "RNN", "ARUNState", "Trace"]

NONLINEARITIES = ("tanh", "relu", "linear", "softplus", "sigmoid", "gamma", "gamma-shared")


class ARUNState(NamedTuple):
    """State of an `ARUN`: rates h (L, B, N) and controller states g (L, B, N, G)."""

    h: Tensor
    g: Tensor


class RNN(Recurrent):
    """A recurrent layer with torch.nn.RNN's interface and any f-I curve.

        h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh + xi_t; n, s)

    (Geadah et al. 2024, Methods, "static network"). With "tanh" and "relu" it is torch.nn.RNN:
    same arguments, outputs, parameter names, initial values for a seed, and state_dict both ways.

    Args:
        input_size: D.
        hidden_size: N.
        num_layers: layers on top of each other.
        nonlinearity: "tanh", "relu", "linear", "softplus", "sigmoid", "gamma" (a gain n and a
            saturation s for every neuron) or "gamma-shared" (one pair for each layer).
        bias: whether there are biases.
        batch_first: whether input and output are (B, T, ...).
        dropout: probability of dropout between layers.
        bidirectional: whether a second network runs backward in time.
        device: device of the parameters.
        dtype: dtype of the parameters.
        n: initial gain: "paper" for N(5, 2^2), "code" for one draw 5 + 2 U(0, 1) shared by all
            neurons (as in the authors' scripts), a number, or a tensor (N,).
        s: initial saturation: a number or a tensor (N,).
        learn_n: whether n is trained.
        learn_s: whether s is trained.
        init: "torch" (uniform, as torch.nn.RNN) or "paper" (W_ih Kaiming normal, W_hh by
            `recurrent_init`, biases 0); by default "paper" for gamma and "torch" otherwise.
        recurrent_init: "henaff", "haar", "uniform" or "identity"; used with init="paper".
        backend: which implementation runs: "auto" takes the fastest that can on a CPU and plain
            torch elsewhere, "reference" is plain torch, "cpu" the native kernels or an error,
            "triton" the kernels for NVIDIA GPUs or an error, "triton-graph" the same by a CUDA
            graph.
        memory_budget: bytes that a call may spend on keeping its past for the gradient; what
            does not fit is computed again.
        proj_size: refused, as torch.nn.RNN does.
        precision: of the products with the recurrent weights in the native kernels. "float32";
            "bf16" rounds their operands to bfloat16 and adds up in float32, on new processors up to
            twice as fast; "auto" does so if ``torch.get_float32_matmul_precision()`` is "medium"
            and the processor has instructions for it.

    Attributes:
        weight_ih_l0: (N, D), and so on for each layer `l1`, ... and direction `_reverse`.
        weight_hh_l0: (N, N).
        bias_ih_l0: (N,).
        bias_hh_l0: (N,).
        n_l0: (N,) for "gamma", () for "gamma-shared".
        s_l0: as n_l0.

    Raises:
        InputError: a value or a name that is not allowed.

    Example:
        >>> rnn = RNN(1, 5, nonlinearity="gamma")
        >>> output, h_n = rnn(torch.zeros(7, 2, 1), drive=0.5)
        >>> output.shape, h_n.shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        n: str | float | Tensor = "paper",
        s: float | Tensor = 0.0,
        learn_n: bool = True,
        learn_s: bool = True,
        init: str | None = None,
        recurrent_init: str = "henaff",
        backend: str = "auto",
        memory_budget: int = MEMORY_BUDGET,
        proj_size: None = None,
        precision: str = "auto",
    ) -> None:
        if proj_size is not None:
            advice = "Use torch.nn.LSTM if you need a projection."
            raise bad("proj_size", proj_size, "left out: only an LSTM projects its state", advice)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            backend,
            memory_budget,
            precision,
        )
        self.nonlinearity = choose("nonlinearity", nonlinearity, NONLINEARITIES)
        self._gamma = nonlinearity.startswith("gamma")
        self._init = choose("init", init or ("paper" if self._gamma else "torch"), INITS)
        self._recurrent_init = choose("recurrent_init", recurrent_init, RECURRENT)
        self._n, self._s = n, s
        if self._gamma:
            shape = (hidden_size,) if nonlinearity == "gamma" else ()
            for suffix in self._suffixes:
                for name, learn in (("n", learn_n), ("s", learn_s)):
                    empty = torch.empty(shape, device=device, dtype=dtype)
                    self.register_parameter(name + suffix, nn.Parameter(empty, learn))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        reset_weights(self, self._init, self._recurrent_init)
        if self._gamma:
            for row in range(len(self._suffixes)):
                _fill_gain(self._parameter("n", row), self._n)
                _fill("s", self._parameter("s", row), self._s)

    def _curve(self, row: int) -> tuple[Tensor | None, Tensor | None, str]:
        if self._gamma:
            return self._parameter("n", row), self._parameter("s", row), "gamma"
        return None, None, self.nonlinearity

    def _initial(self, batch: int, like: Tensor) -> State:
        return (zeros(like, len(self._suffixes), batch, self.hidden_size),)

    def _unpack(self, hx: Any) -> State:
        if not isinstance(hx, Tensor):
            raise bad("hx", type(hx).__name__, "a tensor (L, B, N)")
        return (hx,)

    def _pack(self, state: State) -> Tensor:
        return state[0]

    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.hidden_size,)}

    def _makes_currents(self) -> bool:
        return True

    def _layer(self, row: int, last_only: bool = False, **weights: Tensor | None) -> Run:
        def run(currents: Tensor, state: State) -> tuple[Tensor, State]:
            (h,), weight, (n, s, name) = state, self._parameter("weight_hh", row), self._curve(row)
            output, h = gamma_rnn(
                currents,
                h,
                weight,
                n,
                s,
                name,
                weight_ih=weights.get("weight_ih"),
                bias_ih=weights.get("bias_ih"),
                last_only=last_only,
                backend=self.backend,
                memory_budget=self.memory_budget,
                precision=self.precision,
            )
            return output, (h,)

        return run

    def _layer_step(self, row: int, current: Tensor, state: State) -> State:
        (h,), weight, (n, s, name) = state, self._parameter("weight_hh", row), self._curve(row)
        return (gamma_rnn_reference.step(current, h, weight, n, s, name)[1],)

    def _layer_trace(self, row: int, currents: Tensor, state: State) -> Trace:
        (h,), weight, (n, s, name) = state, self._parameter("weight_hh", row), self._curve(row)
        a, h = gamma_rnn_trace(
            currents, h, weight, n, s, name, backend=self.backend, precision=self.precision
        )
        if n is None or s is None:
            return Trace(a, h, None, None, None)
        return Trace(a, h, n.expand_as(a), s.expand_as(a), None)

    def extra_repr(self) -> str:
        """Sizes and what differs from the defaults, for printing."""
        return super().extra_repr() + f", nonlinearity={self.nonlinearity!r}"


class ARUN(Recurrent):
    """A layer of adaptive recurrent units: each neuron adapts its f-I curve in real time.

        a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh + xi_t
        g_t = tanh(W_ag a_t + W_gg g_{t-1} + b_g)       one state per neuron, weights shared
        [n_t, s_t] = W_gc g_t + b_gc
        h_t = gamma(a_t; n_t, s_t)

    (Geadah et al. 2024, Methods, "adaptive network"). Neurons meet only through W_hh; the drive
    xi is added before the controller, which sees it. Called as torch.nn.RNN is, with a state
    of two parts; the controller is shared by all layers and directions.

    Args:
        input_size: D.
        hidden_size: N.
        num_layers: layers on top of each other.
        bias: whether there are biases b_ih and b_hh.
        batch_first: whether input and output are (B, T, ...).
        dropout: probability of dropout between layers.
        bidirectional: whether a second network runs backward in time.
        device: device of the parameters.
        dtype: dtype of the parameters.
        controller_size: G, units of the controller.
        controller: None for a new `AdaptationController`; a controller (used as it is: give
            ``other.controller.frozen()`` to transplant one that is not to be trained); or a
            class, called with (controller_size, device=, dtype=). See `AbstractController`.
        init: "paper" (W_ih Kaiming normal, W_hh by `recurrent_init`, biases 0) or "torch".
        recurrent_init: "henaff", "haar", "uniform" or "identity"; used with init="paper".
        backend: which implementation runs: "auto" takes the fastest that can on a CPU and plain
            torch elsewhere, "reference" is plain torch, "cpu" the native kernels or an error,
            "triton" the kernels for NVIDIA GPUs or an error, "triton-graph" the same by a CUDA
            graph.
        memory_budget: bytes that a call may spend on keeping its past for the gradient; what
            does not fit is computed again.
        precision: of the products with the recurrent weights in the native kernels. "float32";
            "bf16" rounds their operands to bfloat16 and adds up in float32, on new processors up to
            twice as fast; "auto" does so if ``torch.get_float32_matmul_precision()`` is "medium"
            and the processor has instructions for it.

    Attributes:
        controller: the controller, its parameters under `controller.` in the state_dict.
        weight_ih_l0: (N, D), and so on as torch.nn.RNN.

    Raises:
        InputError: a value or a name that is not allowed.

    Example:
        >>> core = ARUN(1, 5, controller_size=4)
        >>> output, state = core(torch.zeros(7, 2, 1), drive=0.5)
        >>> output.shape, state.h.shape, state.g.shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]), torch.Size([1, 2, 5, 4]))
        >>> twin = ARUN(1, 5, controller=core.controller.frozen())  # transplanted
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        controller_size: int = 50,
        controller: nn.Module | Callable[..., nn.Module] | None = None,
        init: str = "paper",
        recurrent_init: str = "henaff",
        backend: str = "auto",
        memory_budget: int = MEMORY_BUDGET,
        precision: str = "auto",
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            backend,
            memory_budget,
            precision,
        )
        self._init = choose("init", init, INITS)
        self._recurrent_init = choose("recurrent_init", recurrent_init, RECURRENT)
        reset_weights(self, self._init, self._recurrent_init)
        if not isinstance(controller, nn.Module):
            make = AdaptationController if controller is None else controller
            controller = make(controller_size, device=device, dtype=dtype)
        if not isinstance(controller, nn.Module) or not hasattr(controller, "controller_size"):
            advice = "See adaptrnn.AbstractController."
            raise bad(
                "controller", controller, "a module with the attribute controller_size", advice
            )
        self.controller = controller

    @property
    def controller_size(self) -> int:
        """G, the length of one neuron's controller state."""
        return int(self.controller.controller_size)  # type: ignore[arg-type]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the initial values again, the controller's too where it is trained."""
        reset_weights(self, self._init, self._recurrent_init)
        if any(parameter.requires_grad for parameter in self.controller.parameters()):
            self.controller.reset_parameters()  # type: ignore[operator]

    def _initial(self, batch: int, like: Tensor) -> State:
        shape = (len(self._suffixes), batch, self.hidden_size)
        return zeros(like, *shape), zeros(like, *shape, self.controller_size)

    def _unpack(self, hx: Any) -> State:
        if not isinstance(hx, tuple | list) or len(hx) != 2:
            raise bad("hx", type(hx).__name__, "a pair (h, g), h (L, B, N), g (L, B, N, G)")
        return tuple(hx)

    def _pack(self, state: State) -> ARUNState:
        return ARUNState(*state)

    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.hidden_size,), "g": (self.hidden_size, self.controller_size)}

    def _native(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor] | None:
        """The weights of the paper's own controller, which the kernels know; else None."""
        controller = self.controller
        return controller.weights() if type(controller) is AdaptationController else None

    def _makes_currents(self) -> bool:
        return self._native() is not None

    def _layer(self, row: int, last_only: bool = False, **weights: Tensor | None) -> Run:
        def run(currents: Tensor, state: State) -> tuple[Tensor, State]:
            (h, g), weight, native = state, self._parameter("weight_hh", row), self._native()
            if native is not None:
                output, h, g = arun(
                    currents,
                    h,
                    g,
                    weight,
                    *native,
                    weight_ih=weights.get("weight_ih"),
                    bias_ih=weights.get("bias_ih"),
                    last_only=last_only,
                    backend=self.backend,
                    memory_budget=self.memory_budget,
                    precision=self.precision,
                )
                return output, (h, g)
            outputs = []
            for current in currents.unbind(0):
                state = self._layer_step(row, current, state)
                outputs.append(state[0])
            return torch.stack(outputs), state

        return run

    @in_own_dtype
    def cross_entropy(
        self,
        input: Tensor,
        weight_out: Tensor,
        bias_out: Tensor,
        target: Tensor,
        hx: Any = None,
        drive: Tensor | float | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Mean cross entropy of a linear readout of the last rates: the fastest way to train.

            loss = mean over the batch of -ln softmax(W_out h_T + b_out)[target]

        The same as the call, a linear layer and cross_entropy; the native kernel computes loss
        and gradient of a sample in one visit.

        Args:
            input: as in the call, batched, not packed.
            weight_out: (K, N).
            bias_out: (K,).
            target: classes (B,), int64, 0 to K - 1.
            hx: as in the call.
            drive: as in the call.

        Returns:
            The loss () and the scores (B, K); the scores carry no gradient.

        Raises:
            InputError: shapes that do not fit, a class out of range.

        Example:
            >>> core, x = ARUN(1, 3, controller_size=4), torch.randn(5, 2, 1)
            >>> readout, y = nn.Linear(3, 10), torch.tensor([3, 7])
            >>> loss, scores = core.cross_entropy(x, readout.weight, readout.bias, y)
            >>> torch.allclose(loss, nn.functional.cross_entropy(readout(core(x)[0][-1]), y))
            True
        """
        native = self._native()
        if len(self._suffixes) > 1 or native is None or input.ndim != 3:
            scores = linear(self.last(input, hx, drive), weight_out, bias_out)
            return nn.functional.cross_entropy(scores, target), scores.detach()
        x, (h, g), xi, _ = self._enter(input, hx, drive)
        x, weights = self._made_of(x, 0, xi)
        return arun_cross_entropy(
            x,
            h[0],
            g[0],
            self._parameter("weight_hh", 0),
            *native,
            weight_out,
            bias_out,
            target,
            **weights,
            backend=self.backend,
            memory_budget=self.memory_budget,
            precision=self.precision,
        )

    def _signals(self, row: int, current: Tensor, state: State) -> State:
        """One step of the layer with any controller: a, h, n, s, g."""
        h, g = state
        a = current + linear(h, self._parameter("weight_hh", row))
        g, n, s = self.controller(a, g)
        return a, gamma(a, n, s), n, s, g

    def _layer_step(self, row: int, current: Tensor, state: State) -> State:
        _, h, _, _, g = self._signals(row, current, state)
        return h, g

    def _layer_trace(self, row: int, currents: Tensor, state: State) -> Trace:
        (h, g), weight, native = state, self._parameter("weight_hh", row), self._native()
        if native is not None:
            a, g, n, s, h = arun_trace(
                currents, h, g, weight, *native, backend=self.backend, precision=self.precision
            )
            return Trace(a, h, n, s, g)
        signals = []
        for current in currents.unbind(0):
            signals.append(self._signals(row, current, state))
            state = (signals[-1][1], signals[-1][4])
        a, h, n, s, g = (torch.stack(signal) for signal in zip(*signals, strict=True))
        return Trace(a, h, n, s, g)

    @classmethod
    def from_released(cls, weights: Mapping[str, Tensor], **arguments: Any) -> ARUN:
        """Build from a state_dict in the layout of the authors' checkpoints.

        Their names are Uxh, Whh (with the recurrent network's biases), Uag, Wgg, Wgn, Wgs (the
        controller's), each `.weight` and `.bias`.

        Args:
            weights: the state_dict; other entries, such as a readout, are left to the caller.
            **arguments: further arguments of `ARUN`, e.g. `backend`.

        Returns:
            A one-layer ARUN in the weights' dtype.

        Raises:
            InputError: an entry is missing or of the wrong shape.

        Example:
            >>> core = ARUN(2, 3, controller_size=4)
            >>> twin = ARUN.from_released(core.to_released())
            >>> x = torch.randn(5, 1, 2)
            >>> torch.equal(core(x)[0], twin(x)[0])
            True
        """
        values = {}
        for name in _RELEASED:
            if name not in weights:
                raise bad("weights", sorted(weights), f"a mapping with the entry {name!r}")
            values[name] = torch.as_tensor(weights[name])
        (size, inputs), units = values["Uxh.weight"].shape, values["Wgg.weight"].shape[0]
        dtype = values["Uxh.weight"].dtype
        core = cls(inputs, size, controller_size=units, dtype=dtype, **arguments)
        try:
            core.load_state_dict(
                {
                    ours: torch.cat([values[name] for name in names])
                    for ours, names in _released_names().items()
                }
            )
        except RuntimeError as error:
            raise InputError(f"weights: not those of one ARUN layer: {error}") from error
        return core

    def to_released(self) -> dict[str, Tensor]:
        """The weights in the layout of the authors' checkpoints; see `from_released`.

        Returns:
            A state_dict with copies of the weights.

        Raises:
            InputError: more than one layer or direction, no biases, or another controller.
        """
        if len(self._suffixes) > 1 or not self.bias or self._native() is None:
            raise bad("self", self, "one layer, one direction, biases, an AdaptationController")
        ours, released = self.state_dict(), {}
        for name, names in _released_names().items():
            for part, their in zip(ours[name].chunk(len(names)), names, strict=True):
                released[their] = part.clone()
        return {name: released[name] for name in _RELEASED}


_RELEASED = [
    f"{n}.{k}" for n in ("Uxh", "Whh", "Uag", "Wgg", "Wgn", "Wgs") for k in ("weight", "bias")
]


def _released_names() -> dict[str, list[str]]:
    """Our names, each with those in the authors' layout whose rows it stacks."""
    names = {"_ih_l0": ["Uxh"], "_hh_l0": ["Whh"]}
    names |= {"_ag": ["Uag"], "_gg": ["Wgg"], "_gc": ["Wgn", "Wgs"]}
    return {
        ("controller." if len(ours) == 3 else "") + kind + ours: [f"{t}.{kind}" for t in theirs]
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
    }


def _fill_gain(parameter: Tensor, value: str | float | Tensor) -> None:
    if isinstance(value, str):
        if choose("n", value, ("paper", "code")) == "paper":
            parameter.normal_(5.0, 2.0)
        else:
            parameter.fill_(torch.empty(()).uniform_(5.0, 7.0).item())
    else:
        _fill("n", parameter, value)
        if (parameter == 0).any():
            raise bad("n", value, "other than 0 everywhere")


def _fill(name: str, parameter: Tensor, value: float | Tensor) -> None:
    value = torch.as_tensor(value, dtype=parameter.dtype, device=parameter.device)
    if value.ndim and value.shape != parameter.shape:
        raise bad(f"{name}.shape", tuple(value.shape), f"() or {tuple(parameter.shape)}")
    parameter.copy_(value)
