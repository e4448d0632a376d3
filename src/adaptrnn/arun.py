"""The recurrent layer `ARUN` has neurons that adapt their f-I curves in real time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from adaptrnn import released
from adaptrnn._error import InputError, bad, choose
from adaptrnn._recurrent import (
    INITS,
    LayerRun,
    LayerState,
    Recurrent,
    Trace,
    reset_weights,
)
from adaptrnn.activation import gamma, leaky
from adaptrnn.controller import AdaptationController
from adaptrnn.init import RECURRENT
from adaptrnn.kernels.arun import Weights, arun, arun_loss, arun_trace
from adaptrnn.kernels.native import MEMORY_BUDGET, zeros
from adaptrnn.kernels.readout import Readout

__all__ = ["ARUN", "ARUNState"]


class ARUNState(NamedTuple):
    """The state of an `ARUN` holds rates h (L, B, N) and controller states g (L, B, N, G)."""

    h: Annotated[Tensor, "L *B N"]
    g: Annotated[Tensor, "L *B N G"]


# torch.export.save needs a name for it; torch has no public function for a named tuple
torch.utils._pytree._register_namedtuple(ARUNState, serialized_type_name="adaptrnn.ARUNState")


class ARUN(Recurrent):
    """In this layer of adaptive recurrent units, each neuron adapts its f-I curve in real time.

        a_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh + xi_t
        g_t = tanh(W_ag a_t + W_gg g_{t-1} + b_g)       one state per neuron, weights shared
        [n_t, s_t] = W_gc g_t + b_gc
        h_t = gamma(a_t; n_t, s_t)

    (Geadah et al. 2024, Methods, "adaptive network"). Neurons meet only through W_hh; the drive
    xi is added before the controller, which sees it. The layer is called like torch.nn.RNN, with a
    state of two parts. All layers and directions share the controller.

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
        backend: "auto", "reference", "cpu", "triton" or "triton-graph", as for `adaptrnn.RNN`,
            which says more of this and of the arguments that follow.
        memory_budget: bytes that a call may spend on keeping its past for the gradient.
        precision: of the products with the recurrent weights: "float32", "bf16" or "auto".
        dt: length of a time step in ms, > 0.
        tau: time constant in ms, >= dt, a number or (N,); None for no leak.
        learn_tau: whether each neuron's tau is trained.
        noise: sigma >= 0 of the Gaussian noise in the current while training; see `noisy`.
        dale: False, True, the share of excitatory neurons (0 to 1), or signs 1 and -1, (N,).

    Attributes:
        controller: the controller, its parameters under `controller.` in the state_dict.
        weight_ih_l0: (N, D), and so on like torch.nn.RNN.

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
        dt: float = 1.0,
        tau: float | Tensor | None = None,
        learn_tau: bool = False,
        noise: float = 0.0,
        dale: bool | float | Tensor = False,
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
        if not self._has_kernels() and backend not in ("auto", "reference"):
            advice = "The kernels know only AdaptationController."
            raise bad("backend", backend, "'auto' or 'reference' with another controller", advice)
        self._set_times(dt, tau, learn_tau, noise)
        self._set_signs(dale)

    @property
    def controller_size(self) -> int:
        """Return the length G of one neuron's controller state."""
        return int(self.controller.controller_size)  # type: ignore[arg-type]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the initial values again, also those of a controller that is trained."""
        reset_weights(self, self._init, self._recurrent_init)
        self._reset_times()
        if any(parameter.requires_grad for parameter in self.controller.parameters()):
            own = hasattr(self.controller, "reset_parameters")
            for part in [self.controller] if own else self.controller.modules():
                if hasattr(part, "reset_parameters"):
                    part.reset_parameters()  # type: ignore[operator]

    def _initial(self, batch: int, like: Tensor) -> LayerState:
        shape = (len(self._suffixes), batch, self.hidden_size)
        return zeros(like, *shape), zeros(like, *shape, self.controller_size)

    def _unpack(self, hx: object) -> LayerState:
        if not isinstance(hx, tuple | list) or len(hx) != 2:
            raise bad("hx", type(hx).__name__, "a pair (h, g), h (L, B, N), g (L, B, N, G)")
        return tuple(hx)

    def _pack(self, state: LayerState) -> ARUNState:
        return ARUNState(*state)

    def _state_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"h": (self.hidden_size,), "g": (self.hidden_size, self.controller_size)}

    def _weights(self, row: int, **made: Tensor | None) -> Weights | None:
        """The weights as the operation takes them; `made` are those of the input.

        None for another controller than the paper's own, which alone the kernels know.
        """
        if type(self.controller) is not AdaptationController:
            return None
        controller = self.controller.weights()
        weights = Weights(self._parameter("weight_hh", row), *controller, self._alpha(row))
        return weights._replace(weight_ih=made.get("weight_ih"), bias_ih=made.get("bias_ih"))

    def _has_kernels(self) -> bool:
        """Whether the controller is the paper's own."""
        return type(self.controller) is AdaptationController

    def _makes_currents(self) -> bool:
        return self._has_kernels()

    def _layer(self, row: int, last_only: bool = False, **weights: Tensor | None) -> LayerRun:
        def run(currents: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
            (h, g), known = state, self._weights(row, **weights)
            if known is not None:
                output, h, g = arun(
                    currents,
                    h,
                    g,
                    known,
                    last_only=last_only,
                    memory_budget=self.memory_budget,
                    **self._options(),
                )
                return output, (h, g)
            outputs = []
            for current in currents.unbind(0):
                state = self._layer_step(row, current, state)
                outputs.append(state[0])
            return torch.stack(outputs), state

        return run

    def _layer_loss(
        self, row: int, x: Tensor, state: LayerState, head: Readout, **weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        (h, g), known = state, self._weights(row, **weights)
        if known is None:
            return super()._layer_loss(row, x, state, head, **weights)
        return arun_loss(
            x,
            h,
            g,
            known,
            head,
            memory_budget=self.memory_budget,
            **self._options(),
        )

    def _signals(self, row: int, current: Tensor, state: LayerState) -> LayerState:
        """One step of the layer with any controller: a, h, n, s, g."""
        h, g = state
        a = current + linear(h, self._parameter("weight_hh", row))
        g, n, s = self.controller(a, g)
        return a, leaky(h, gamma(a, n, s), self._alpha(row)), n, s, g

    def _layer_step(self, row: int, current: Tensor, state: LayerState) -> LayerState:
        _, h, _, _, g = self._signals(row, current, state)
        return h, g

    def _layer_trace(self, row: int, currents: Tensor, state: LayerState) -> Trace:
        (h, g), known = state, self._weights(row)
        if known is not None:
            found = arun_trace(currents, h, g, known, **self._options())
            return Trace(found.a, found.h, found.n, found.s, found.g)
        signals = []
        for current in currents.unbind(0):
            signals.append(self._signals(row, current, state))
            state = (signals[-1][1], signals[-1][4])
        a, h, n, s, g = (torch.stack(signal) for signal in zip(*signals, strict=True))
        return Trace(a, h, n, s, g)

    @classmethod
    def from_released(cls, weights: Mapping[str, Tensor], **arguments: Any) -> ARUN:
        """Build a layer from a state_dict in the layout of the authors' checkpoints.

        The names of that layout are described in `adaptrnn.released`.

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
        try:
            state = released.from_released(weights)
            (size, inputs), dtype = state["weight_ih_l0"].shape, state["weight_ih_l0"].dtype
            units = state["controller.weight_gg"].shape[0]
            core = cls(inputs, size, controller_size=units, dtype=dtype, **arguments)
            core.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"weights: not those of one ARUN layer: {error}") from error
        return core

    def to_released(self) -> dict[str, Tensor]:
        """Return the weights in the layout of the authors' checkpoints; see `from_released`.

        Returns:
            A state_dict with copies of the weights.

        Raises:
            InputError: more than one layer or direction, no biases, or another controller.
        """
        signed = self.excitatory is not None
        if len(self._suffixes) > 1 or not self.bias or not self._has_kernels() or signed:
            allowed = "one layer, one direction, biases, an AdaptationController, no signs"
            raise bad("self", self, allowed)
        return released.to_released(self.state_dict())
