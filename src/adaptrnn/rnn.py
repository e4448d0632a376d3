"""The recurrent layer `RNN` has torch.nn.RNN's interface and any f-I curve."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptrnn._error import bad, choose
from adaptrnn._recurrent import INITS, LayerRun, LayerState, Recurrent, Trace, reset_weights
from adaptrnn.init import RECURRENT
from adaptrnn.kernels.gamma_rnn import Weights, gamma_rnn, gamma_rnn_loss, gamma_rnn_trace
from adaptrnn.kernels.gamma_rnn import reference as gamma_rnn_reference
from adaptrnn.kernels.native import MEMORY_BUDGET, zeros
from adaptrnn.kernels.readout import Readout

__all__ = ["RNN", "Trace"]

NONLINEARITIES = ("tanh", "relu", "linear", "softplus", "sigmoid", "gamma", "gamma-shared")


class RNN(Recurrent):
    """This recurrent layer has torch.nn.RNN's interface and any f-I curve.

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
        init: "torch" (uniform, like torch.nn.RNN) or "paper" (W_ih Kaiming normal, W_hh by
            `recurrent_init`, biases 0); by default "paper" for gamma and "torch" otherwise.
        recurrent_init: "henaff", "haar", "uniform" or "identity"; used with init="paper".
        backend: which implementation runs: "auto" takes the fastest possible one on a CPU and
            plain torch elsewhere, "reference" is plain torch, "cpu" the native kernels or an error,
            "triton" the kernels for NVIDIA GPUs or an error, "triton-graph" the same kernels
            replayed from a CUDA graph.
        memory_budget: bytes that a call may spend on keeping its past for the gradient; what
            does not fit is computed again.
        proj_size: refused, as torch.nn.RNN does.
        precision: how the native kernels multiply with the recurrent weights. "float32" rounds
            nothing; "bf16" rounds the factors to bfloat16 and adds up in float32, which is up to
            twice as fast on new processors; "auto" rounds where the processor has instructions
            for it and ``torch.get_float32_matmul_precision()`` is "medium".
        dt: length of a time step in ms, > 0.
        tau: time constant of the neurons in ms, >= dt, a number or (N,): leaky neurons, whose rate
            is h_t = (1 - dt/tau) h_{t-1} + (dt/tau) f(a_t). None for tau = dt, no leak. The
            kernels for GPUs do not have a leak.
        learn_tau: whether tau is trained, one for each neuron, as tau = dt + exp(raw_tau), so that
            dt/tau stays between 0 and 1.
        noise: sigma of Gaussian noise in the current, sigma sqrt(2 tau/dt) N(0, 1) in every step
            (Yang et al. 2019), while the module is in training mode; see `noisy`.
        dale: whether each neuron's outgoing weights W_hh have one sign (Dale's law): True for
            80% of excitatory neurons, which come first, a number for another share, or signs
            1 and -1, (N,). See `adaptrnn.dale`.

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
        dt: float = 1.0,
        tau: float | Tensor | None = None,
        learn_tau: bool = False,
        noise: float = 0.0,
        dale: bool | float | Tensor = False,
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
        self._set_times(dt, tau, learn_tau, noise)
        self._set_signs(dale)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        reset_weights(self, self._init, self._recurrent_init)
        if self._gamma:
            for row in range(len(self._suffixes)):
                _fill_gain(self._parameter("n", row), self._n)
                _fill("s", self._parameter("s", row), self._s)
        self._reset_times()

    def _weights(self, row: int, **made: Tensor | None) -> Weights:
        """The weights as the operation takes them; `made` are those of the input."""
        weights = Weights(self._parameter("weight_hh", row), alpha=self._alpha(row), **made)
        if not self._gamma:
            return weights
        return weights._replace(n=self._parameter("n", row), s=self._parameter("s", row))

    def _curve(self) -> str:
        """The nonlinearity as the operation names it."""
        return "gamma" if self._gamma else self.nonlinearity

    def _initial(self, batch: int, like: Tensor) -> LayerState:
        return (zeros(like, len(self._suffixes), batch, self.hidden_size),)

    def _unpack(self, hx: object) -> LayerState:
        if not isinstance(hx, Tensor):
            raise bad("hx", type(hx).__name__, "a tensor (L, B, N)")
        return (hx,)

    def _pack(self, state: LayerState) -> Tensor:
        return state[0]

    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.hidden_size,)}

    def _makes_currents(self) -> bool:
        return True

    def _layer(self, row: int, last_only: bool = False, **weights: Tensor | None) -> LayerRun:
        def run(currents: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
            (h,) = state
            output, h = gamma_rnn(
                currents,
                h,
                self._weights(row, **weights),
                self._curve(),
                last_only=last_only,
                memory_budget=self.memory_budget,
                **self._options(),
            )
            return output, (h,)

        return run

    def _layer_loss(
        self, row: int, x: Tensor, state: LayerState, head: Readout, **weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        (h,) = state
        return gamma_rnn_loss(
            x,
            h,
            self._weights(row, **weights),
            head,
            self._curve(),
            memory_budget=self.memory_budget,
            **self._options(),
        )

    def _layer_step(self, row: int, current: Tensor, state: LayerState) -> LayerState:
        (h,) = state
        return (gamma_rnn_reference.step(current, h, self._weights(row), self._curve())[1],)

    def _layer_trace(self, row: int, currents: Tensor, state: LayerState) -> Trace:
        (h,), weights = state, self._weights(row)
        a, h = gamma_rnn_trace(currents, h, weights, self._curve(), **self._options())
        if weights.n is None or weights.s is None:
            return Trace(a, h, None, None, None)
        return Trace(a, h, weights.n.expand_as(a), weights.s.expand_as(a), None)

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults, for printing."""
        return super().extra_repr() + f", nonlinearity={self.nonlinearity!r}"


def _fill_gain(parameter: Tensor, value: str | float | Tensor) -> None:
    if isinstance(value, str):
        if choose("n", value, ("paper", "code")) == "paper":
            if not parameter.is_meta:
                parameter.normal_(5.0, 2.0)
        else:
            parameter.fill_(torch.empty((), device="cpu").uniform_(5.0, 7.0).item())
    else:
        _fill("n", parameter, value)
        if (torch.as_tensor(value, device="cpu") == 0).any():
            raise bad("n", value, "other than 0 everywhere")


def _fill(name: str, parameter: Tensor, value: float | Tensor) -> None:
    value = torch.as_tensor(value, dtype=parameter.dtype, device=parameter.device)
    if value.ndim and value.shape != parameter.shape:
        raise bad(f"{name}.shape", tuple(value.shape), f"() or {tuple(parameter.shape)}")
    parameter.copy_(value)
