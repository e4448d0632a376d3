"""Any recurrent network is one map on flat states, z_{t+1} = F(x_t, z_t), one row per sample.

Every analysis starts with `as_system(network)` and then needs only this:

    system.step(x, z, drive)        x (B, D) or None, z (B, S) -> next z (B, S)
    system.run(x, z, drive)         x (T, B, D)                -> z after each step (T, B, S)
    system.jvp(x, z, v)             v (B, S, k)                -> next z, J v (B, S, k)
    system.activity(z)              (..., S)                   -> rates h of the neurons (..., N)
    system.pack(state) / system.unpack(z)     the network's own state <-> z (B, S)
    system.start(batch)             zeros (B, S)

S counts all numbers of the state: N for an RNN, 2N for an LSTM, N(1+G) for an ARUN; with L layers,
L times as many. What counts as a network, and who says what its state looks like:

    our RNN, ARUN                    the network does
    torch.nn.RNNCell, GRUCell, LSTMCell, and torch.nn.RNN, GRU, LSTM in one direction     also
    a function step(x_t, state) -> state, or step(x_t, state, drive) -> state,
    or an nn.Module called so        `state=`: an example, in tensors, tuples, named tuples, dicts

`drive` is a current added to each neuron before its nonlinearity, (B, N): in our networks before
the controller too; in torch's networks to W_ih x, in a GRU and an LSTM of every gate, as in our
`adaptrnn.GRU` and `adaptrnn.LSTM`; in a user's step to whatever the step does with it.

Modules are copied, so an analysis neither changes a network nor notices later changes of it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import jvp, vmap
from torch.nn.functional import linear
from torch.utils import _pytree as pytree

from adaptrnn._error import InputError, bad
from adaptrnn._recurrent import Recurrent
from adaptrnn.activation import leaky
from adaptrnn.analysis._closed import (
    CLOSED_CURVES,
    Curve,
    Push,
    Slope,
    Step,
    arun_push,
    gamma_curve,
)
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis._type import State
from adaptrnn.arun import ARUN
from adaptrnn.dale import plain_copy
from adaptrnn.rnn import RNN

__all__ = ["Network", "System", "as_system", "static_system"]

Network: TypeAlias = "System | nn.Module | Callable[..., State]"
"""RNN, ARUN, cell or network of torch.nn, `System`, or function (x_t, state) -> state."""
_Module = TypeVar("_Module", bound=nn.Module)


@dataclass(frozen=True)
class System:
    """A system is a recurrent network as a map on flat states; `as_system` builds it.

    Attributes:
        name: class or function name of the network.
        step: (x (B, D) or None, z (B, S), drive (B, N) or None) -> next z (B, S).
        size: S, how many numbers one state has.
        neurons: N, how many of them are the rates that other parts see.
        input_size: D, or None if unknown or without input.
        takes_drive: whether `step` accepts a drive.
        dtype: of state and parameters.
        device: of state and parameters.
        pack: the network's own state -> z (B, S).
        unpack: z (B, S) -> the network's own state.
        first_rate: index in z of the first of the N rates.
        push: closed form of `jvp`, or None to differentiate `step` by torch.func.
        weight: W (N, N) if the Jacobian is diag(slope) W, else None.
        slope: then (x, z, drive) -> next z (B, S) and slopes of the f-I curves (B, S).
        curve: then currents (B, N) -> rates and slopes.

    Example:
        >>> cell = as_system(torch.nn.GRUCell(2, 5))
        >>> cell.size, cell.run(torch.zeros(7, 3, 2), cell.start(3)).shape
        (5, torch.Size([7, 3, 5]))
    """

    name: str
    step: Step
    size: int
    neurons: int
    input_size: int | None
    takes_drive: bool
    dtype: torch.dtype
    device: torch.device
    pack: Callable[[Any], Tensor]
    unpack: Callable[[Tensor], State]
    first_rate: int = 0
    push: Push | None = None
    weight: Tensor | None = None
    slope: Slope | None = None
    curve: Curve | None = None

    def start(self, batch: int = 1) -> Annotated[Tensor, "B S"]:
        """Return zero states (B, S), the paper's h_0 = 0, g_0 = 0."""
        return torch.zeros(batch, self.size, dtype=self.dtype, device=self.device)

    def states(self, state: State) -> Annotated[Tensor, "B S"]:
        """Return flat states (B, S) from the network's own state, or from flat states.

        Raises:
            InputError: the state has neither form.

        Example:
            >>> as_system(torch.nn.LSTMCell(2, 5)).states((torch.zeros(3, 5),) * 2).shape
            torch.Size([3, 10])
        """
        state = torch.from_numpy(state) if isinstance(state, np.ndarray) else state
        if not (isinstance(state, Tensor) and state.ndim == 2 and state.shape[1] == self.size):
            state = self.pack(state)
            if state.shape[1] != self.size:
                raise bad("state", tuple(state.shape), f"(B, {self.size}), or the network's own")
        return finite("state", state.detach().to(self.device, self.dtype))

    def activity(self, z: Annotated[Tensor, "... S"]) -> Annotated[Tensor, "... N"]:
        """Return the rates h (..., N) of the last layer in flat states (..., S)."""
        return z[..., self.first_rate : self.first_rate + self.neurons]

    def signals(
        self,
        x: Annotated[Tensor, "T B D"] | Annotated[Tensor, "T D"] | None,
        steps: int | None = None,
        batch: int | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[int, list[Tensor | None], list[Tensor | None]]:
        """Check inputs and drives and cut them into time steps.

        Args:
            x: (T, B, D), or (T, D) for one sequence given to every sample, or None.
            steps: T; needed only without x.
            batch: B of the states.
            drive: current into the neurons: a number, or broadcastable to (T, B, N), or None.

        Returns:
            T, and for each step x_t (B, D) or None and drive_t (B, N) or None.

        Raises:
            InputError: a shape does not fit, T is unknown, or the network takes no drive.
        """
        if x is not None:
            x = finite("x", torch.as_tensor(x))
            if x.ndim not in (2, 3) or (self.input_size and x.shape[-1] != self.input_size):
                allowed = f"(T, B, {self.input_size or 'D'}), or (T, D) for the same input to all"
                raise bad("x.shape", tuple(x.shape), allowed)
            batch = batch or (x.shape[1] if x.ndim == 3 else 1)
            if x.ndim == 2:
                x = x[:, None, :].expand(-1, batch, -1)
            if x.shape[1] not in (1, batch):
                raise bad("x.shape", tuple(x.shape), f"(T, {batch}, D), one sequence per state")
            if steps is not None and steps > x.shape[0]:
                raise bad("steps", steps, f"at most {x.shape[0]}, the length of x")
            x = x[:steps].expand(-1, batch, -1).to(self.device, self.dtype)
            steps = x.shape[0]
        if steps is None:
            raise bad("steps", None, "the number of time steps when there is no x")
        inputs: list[Tensor | None] = [None] * steps if x is None else list(x.unbind(0))
        if drive is None:
            return steps, inputs, [None] * steps
        self.check_drive()
        drive = torch.as_tensor(drive, dtype=self.dtype, device=self.device)
        finite("drive", drive)
        batch = batch or (drive.shape[1] if drive.ndim == 3 else 1)
        shape = (steps, batch, self.neurons)
        try:
            drive = drive.expand(shape)
        except RuntimeError:
            raise bad(
                "drive", tuple(drive.shape), f"a number or broadcastable to {shape}"
            ) from None
        return steps, inputs, list(drive.unbind(0))

    def check_drive(self) -> None:
        """Raise unless the network takes a drive."""
        if not self.takes_drive:
            advice = "Give it the form step(x_t, state, drive), or put the drive into the input."
            raise bad("drive", "a drive", f"None, because {self.name} takes no drive", advice)

    def check_step(
        self,
        x: Annotated[Tensor, "B D"] | None,
        z: Annotated[Tensor, "B S"],
        drive: Annotated[Tensor, "B N"] | None = None,
    ) -> None:
        """Raise unless a step can be differentiated and leaves the samples alone.

        Args:
            x: input of one step (B, D) or None.
            z: states (B, S).
            drive: (B, N) or None.

        Raises:
            InputError: the next states have another shape; the derivative fails or is cut off; the
                next state of one sample depends on another sample.
        """
        if self.slope is not None or self.push is not None:
            return  # closed forms of our own layers
        finite("state", z)
        allowed = "made of torch's own operations, without .detach(), .item() or NumPy"
        advice = "Lyapunov exponents and Jacobians come from its derivative by torch.func."
        generator = torch.Generator().manual_seed(0)
        v = torch.rand(z.shape, generator=generator, dtype=torch.float64).to(z) + 0.5
        with torch.no_grad():
            after = self.step(x, z, drive)
            if after.shape != z.shape:
                given = f"a step from state {tuple(z.shape)} to {tuple(after.shape)}"
                raise bad("network", given, "one that keeps the shape of the state")
            if not bool(after.isfinite().all()):
                return  # said by who takes the steps
            try:
                slope = self.jvp(x, z, v.unsqueeze(2), drive)[1]
            except InputError:
                raise
            except Exception as error:
                reason = str(error).strip().splitlines() or [""]
                text = f"{advice} torch says: {reason[0]}"
                raise bad("network", self.name, allowed, text) from error
            moved = z + v * z.abs().clamp(min=1) * 1e-3
            if not slope.any() and not torch.equal(self.step(x, moved, drive), after):
                raise bad("network", self.name, allowed, advice)
            if len(z) > 1:
                alone = torch.cat([moved[:1], z[1:]])
                if not torch.equal(self.step(x, alone, drive)[1:], after[1:]):
                    advice = "Its next state must be the same again for the same sample."
                    allowed = "a step that treats the samples of a batch independently"
                    raise bad("network", self.name, allowed, advice)

    def run(
        self,
        x: Tensor | None = None,
        z: Annotated[Tensor, "B S"] | None = None,
        drive: Tensor | float | None = None,
        *,
        steps: int | None = None,
    ) -> Annotated[Tensor, "T B S"]:
        """Compute the states after each step, without gradients.

        Args:
            x: input, (T, B, D), or (T, D) given to every sample, or None.
            z: first states (B, S); zeros if None.
            drive: current into the neurons: a number or broadcastable to (T, B, N), or None.
            steps: T; needed only without x.

        Returns:
            z_1 ... z_T, (T, B, S); `activity` gives the rates in them.
        """
        batch = z.shape[0] if z is not None else None
        steps, inputs, drives = self.signals(x, steps, batch, drive)
        if z is None:
            known = [part[0] for part in (inputs, drives) if part and part[0] is not None]
            z = self.start(known[0].shape[0] if known else 1)
        states = []
        with torch.no_grad():
            for x_t, drive_t in zip(inputs, drives, strict=True):
                z = self.step(x_t, z, drive_t)
                states.append(z)
        return torch.stack(states) if states else z.new_empty(0, *z.shape)

    def jvp(
        self,
        x: Annotated[Tensor, "B D"] | None,
        z: Annotated[Tensor, "B S"],
        v: Annotated[Tensor, "B S k"],
        drive: Annotated[Tensor, "B N"] | None = None,
    ) -> tuple[Annotated[Tensor, "B S"], Annotated[Tensor, "B S k"]]:
        """Compute the next state and the Jacobian times tangents: F(x, z) and D_z F(x, z) v.

        Args:
            x: input (B, D) or None.
            z: states (B, S).
            v: k tangents per state, (B, S, k).
            drive: (B, N) or None.

        Returns:
            Next states (B, S) and tangents (B, S, k).
        """
        if self.slope is not None and self.weight is not None:
            state, slope = self.slope(x, z, drive)
            return state, (v.mT @ self.weight.mT).mT.mul_(slope.unsqueeze(-1))
        if self.push is not None:
            return self.push(x, z, v, drive)

        def product(tangent: Tensor) -> Any:
            return jvp(lambda state: self.step(x, state, drive), (z,), (tangent,))

        dims: Any = (None, 2)  # the next state does not depend on the tangent
        return vmap(product, in_dims=2, out_dims=dims)(v)

    def jacobian(
        self,
        x: Annotated[Tensor, "B D"] | None,
        z: Annotated[Tensor, "B S"],
        drive: Annotated[Tensor, "B N"] | None = None,
    ) -> tuple[Annotated[Tensor, "B S"], Annotated[Tensor, "B S S"]]:
        """Compute the next states (B, S) and the Jacobians D_z F (B, S, S)."""
        eye = torch.eye(self.size, dtype=z.dtype, device=z.device).expand(z.shape[0], -1, -1)
        return self.jvp(x, z, eye, drive)


def as_system(
    network: Network,
    state: State | None = None,
    *,
    input_size: int | None = None,
    batch_dim: int | None = 0,
    dtype: torch.dtype | None = None,
) -> System:
    """Turn any recurrent network into a map on flat states.

    Args:
        network: an `RNN`, an `ARUN`, a cell or one-directional network of torch.nn, a `System`
            (returned as it is), another layer with a `step` as `adaptrnn.Model` describes it, or
            any callable (x_t, state) -> state or (x_t, state, drive) -> state whose state is a
            tensor, or a tuple, named tuple, list or dict of tensors. A callable must treat the
            samples of a batch independently.
        state: for a callable: one example of its state, from which shapes and dtype are read. Its
            first tensor holds the rates. Not needed for the others.
        input_size: D, for a callable with input; the others know it.
        batch_dim: for a callable: the axis of every state tensor that counts samples, or None if
            the callable treats one sample at a time (it is then mapped over samples).
        dtype: computing type; default that of the network. float64 is wise for exponents.

    Returns:
        The `System`.

    Raises:
        InputError: the network runs in both directions, is no callable, or has no example state.

    Example:
        >>> def henon(x, z):
        ...     return torch.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])
        >>> model = as_system(henon, torch.zeros(2), batch_dim=None)
        >>> model.run(z=model.start(), steps=2)[-1]
        tensor([[-0.4000,  0.3000]])
    """
    if isinstance(network, System):
        return network
    if isinstance(network, nn.Module):
        network = copied(network, dtype)
    if getattr(network, "bidirectional", False):
        raise bad(
            "network", type(network).__name__, "of one direction", "A step needs a past only."
        )
    if isinstance(network, nn.RNNCellBase | nn.RNNBase):
        return _torch_network(network)
    if isinstance(network, Recurrent):
        return _own_network(network)
    if state is None and is_layer(network):
        return _layer_with_step(network)
    if not callable(network):
        raise bad("network", network, "a recurrent network or a function (x_t, state) -> state")
    if state is None:
        advice = "Give one example of the network's state: shapes and dtype are read from it."
        raise bad("state", None, f"an example state for {_name(network)}", advice)
    return _callable(network, state, input_size, batch_dim, dtype)


def is_layer(network: object) -> bool:
    """Return whether a module is a layer: called with whole sequences, and with a time step."""
    names = ("step", "input_size", "hidden_size")
    return isinstance(network, nn.Module) and all(hasattr(network, name) for name in names)


def _layer_with_step(network: Any) -> System:
    """A layer of someone else's, by its step; the form of its state is read from one call."""
    size = network.input_size
    with torch.no_grad():
        example = network(next(network.parameters()).new_zeros(1, 1, size))[1]

    def step(x: Tensor | None, state: State, drive: Tensor | None = None) -> State:
        first = pytree.tree_leaves(state)[0]
        x = first.new_zeros(*first.shape[:-1], size) if x is None else x
        return network.step(x, state) if drive is None else network.step(x, state, drive)

    driven = "drive" in inspect.signature(network.step).parameters
    whole = _callable(step, example, size, 0, None)
    return replace(whole, name=type(network).__name__, takes_drive=driven)


def static_system(
    name: str,
    curve: Curve,
    weight_hh: Annotated[Tensor, "N N"],
    weight_ih: Annotated[Tensor, "N D"] | None = None,
    bias: Annotated[Tensor, "N"] | None = None,
    *,
    takes_drive: bool = True,
    alpha: Annotated[Tensor, "N"] | None = None,
) -> System:
    """Return the map h -> f(W_ih x + b + W_hh h + drive), whose Jacobian is diag(f') W_hh.

    Of leaky neurons it is h -> (1 - alpha) h + alpha f(...), and the Jacobian 1 - alpha on the
    diagonal and alpha diag(f') W_hh.

    Args:
        name: of the network.
        curve: currents a (B, N) -> rates f(a) and slopes f'(a).
        weight_hh: (N, N).
        weight_ih: (N, D), or None for a network without input.
        bias: (N,) or None.
        takes_drive: whether a drive is allowed.
        alpha: (N,), dt / tau of leaky neurons, or None.

    Returns:
        The `System`; its state is h, (B, N).
    """
    neurons = weight_hh.shape[0]

    def slope(x: Tensor | None, z: Tensor, drive: Tensor | None) -> tuple[Tensor, Tensor]:
        a = linear(z, weight_hh, bias)
        if x is not None and weight_ih is not None:
            a = a + linear(x, weight_ih)
        return curve(a if drive is None else a + drive)

    def step(x: Tensor | None, z: Tensor, drive: Tensor | None = None) -> Tensor:
        return leaky(z, slope(x, z, drive)[0], alpha)

    def push(x: Tensor | None, z: Tensor, v: Tensor, drive: Tensor | None) -> tuple[Tensor, Tensor]:
        rate, steepness = slope(x, z, drive)
        assert alpha is not None
        share = alpha.unsqueeze(-1)
        turned = (v.mT @ weight_hh.mT).mT * steepness.unsqueeze(-1)
        return leaky(z, rate, alpha), (1 - share) * v + share * turned

    leaks = alpha is not None
    return System(
        name=name,
        step=step,
        push=push if leaks else None,
        size=neurons,
        neurons=neurons,
        input_size=None if weight_ih is None else weight_ih.shape[1],
        takes_drive=takes_drive,
        dtype=weight_hh.dtype,
        device=weight_hh.device,
        pack=lambda state: state,
        unpack=lambda z: z,
        weight=None if leaks else weight_hh,
        slope=None if leaks else slope,
        curve=None if leaks else curve,
    )


def _name(network: object) -> str:
    return getattr(network, "__name__", type(network).__name__)


Packing = tuple[Callable[[Any], Tensor], Callable[[Tensor], Any], list[tuple[int, ...]]]


def _packing(example: State, batch_dim: int | None) -> Packing:
    """Functions state -> z (B, S) and z -> state, and each leaf's shape without the batch axis."""
    leaves, tree = pytree.tree_flatten(example)
    if not leaves or not all(isinstance(leaf, Tensor) for leaf in leaves):
        raise bad("state", example, "a tensor, or a tuple, named tuple, list or dict of tensors")
    if not all(leaf.is_floating_point() for leaf in leaves):
        raise bad("state", [leaf.dtype for leaf in leaves], "of a floating dtype")
    if batch_dim is not None and any(leaf.ndim <= batch_dim for leaf in leaves):
        given = [tuple(leaf.shape) for leaf in leaves]
        advice = "Give batch_dim=None for a step that treats one sample at a time."
        raise bad("state", given, f"of tensors with samples along axis {batch_dim}", advice)
    moved = [leaf if batch_dim is None else leaf.movedim(batch_dim, 0)[0] for leaf in leaves]
    shapes = [tuple(leaf.shape) for leaf in moved]
    sizes = [leaf.numel() for leaf in moved]

    def pack(state: State) -> Tensor:
        leaves, found = pytree.tree_flatten(state)
        if found != tree:
            raise bad("state", state, f"of the form {tree}")
        for leaf, shape in zip(leaves, shapes, strict=True):
            own = isinstance(leaf, Tensor)
            given = type(leaf).__name__ if not own else tuple(leaf.shape)
            if not own or leaf.ndim != len(shape) + (batch_dim is not None):
                raise bad("state", given, f"tensors, each {shape} for one sample")
        if batch_dim is None:
            return torch.cat([leaf.reshape(1, -1) for leaf in leaves], 1)
        rows = [leaf.movedim(batch_dim, 0) for leaf in leaves]
        return torch.cat([row.reshape(row.shape[0], -1) for row in rows], 1)

    def unpack(z: Tensor) -> Any:
        parts = z.split(sizes, -1)
        if batch_dim is None:
            leaves = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        else:
            leaves = [
                part.reshape(z.shape[0], *shape).movedim(0, batch_dim)
                for part, shape in zip(parts, shapes, strict=True)
            ]
        return pytree.tree_unflatten(leaves, tree)

    return pack, unpack, shapes


def _callable(
    network: Callable[..., Any],
    example: State,
    input_size: int | None,
    batch_dim: int | None,
    dtype: torch.dtype | None,
) -> System:
    pack, unpack, shapes = _packing(example, batch_dim)
    called = network.forward if isinstance(network, nn.Module) else network
    takes_drive = "drive" in inspect.signature(called).parameters
    first = pytree.tree_leaves(example)[0]

    def one(x: Tensor | None, z: Tensor, drive: Tensor | None) -> Tensor:
        extra = (drive,) if takes_drive else ()
        packed = pack(network(x, unpack(z), *extra))
        return packed[0] if batch_dim is None else packed

    def step(x: Tensor | None, z: Tensor, drive: Tensor | None = None) -> Tensor:
        if batch_dim is not None:
            return one(x, z, drive)
        dims = (None if x is None else 0, 0, None if drive is None else 0)
        return vmap(one, in_dims=dims)(x, z, drive)

    return System(
        name=_name(network),
        step=step,
        size=sum(math.prod(shape) for shape in shapes),
        neurons=math.prod(shapes[0]),
        input_size=input_size,
        takes_drive=takes_drive,
        dtype=dtype or first.dtype,
        device=first.device,
        pack=pack,
        unpack=unpack,
    )


def _lstm_cell(
    x: Tensor, state: tuple[Tensor, Tensor], w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None
) -> tuple[Tensor, Tensor]:
    """torch.lstm_cell in operations that have forward derivatives on every device."""
    h, c = state
    i, f, g, o = (linear(x, w_ih, biases[0]) + linear(h, w_hh, biases[1])).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru_cell(x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None) -> Tensor:
    """torch.gru_cell in operations that have forward derivatives on every device."""
    r, u, n = linear(x, w_ih, biases[0]).chunk(3, 1)
    r_h, u_h, n_h = linear(h, w_hh, biases[1]).chunk(3, 1)
    n = torch.tanh(n + torch.sigmoid(r + r_h) * n_h)
    return n + torch.sigmoid(u + u_h) * (h - n)


_CELLS: dict[str, Callable[..., Any]] = {
    "gru": _gru_cell,
    "lstm": _lstm_cell,
    "rnn_relu": torch.rnn_relu_cell,
    "rnn_tanh": torch.rnn_tanh_cell,
}


def _torch_network(network: nn.RNNBase | nn.RNNCellBase) -> System:
    """Cells and networks of torch.nn, layer after layer."""
    single = isinstance(network, nn.RNNCellBase)
    kinds = {"rnn": (nn.RNN, nn.RNNCell), "gru": (nn.GRU, nn.GRUCell)}
    kind = next((name for name, kind in kinds.items() if isinstance(network, kind)), "lstm")
    if getattr(network, "proj_size", 0):
        raise bad("network.proj_size", network.proj_size, "0: projections are not supported")
    if kind == "rnn":
        kind = f"rnn_{network.nonlinearity}"
    cell = _CELLS[kind]
    layers = int(network.num_layers) if isinstance(network, nn.RNNBase) else 1
    neurons = int(network.hidden_size)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights: list[list[Any]] = [
        [getattr(network, name if single else f"{name}_l{layer}", None) for name in names]
        for layer in range(layers)
    ]
    first_weight = weights[0][0]
    gates = first_weight.shape[0] // neurons
    into = torch.eye(neurons).to(first_weight).repeat(gates, 1)

    def step(x: Tensor | None, z: Tensor, drive: Tensor | None = None) -> Tensor:
        below = z.new_zeros(z.shape[0], network.input_size) if x is None else x
        halves = z.split(layers * neurons, 1)
        olds = [half.split(neurons, 1) for half in halves]
        news: list[list[Tensor]] = [[] for _ in halves]
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(weights):
            if drive is not None:
                below = torch.cat([below, drive], 1)
                w_ih = torch.cat([w_ih, into], 1)
            old = tuple(part[layer] for part in olds)
            out = cell(below, old if kind == "lstm" else old[0], w_ih, w_hh, b_ih, b_hh)
            parts = out if kind == "lstm" else (out,)
            for new, part in zip(news, parts, strict=True):
                new.append(part)
            below = parts[0]
        return torch.cat([part for new in news for part in new], 1)

    shape = (1, neurons) if single else (layers, 1, neurons)
    zero = torch.zeros(shape).to(first_weight)
    packing = _packing((zero, zero) if kind == "lstm" else zero, 0 if single else 1)
    if layers == 1 and kind.startswith("rnn"):
        w_ih, w_hh, b_ih, b_hh = weights[0]
        bias = None if b_ih is None else b_ih + b_hh
        curve = CLOSED_CURVES[kind.removeprefix("rnn_")]
        closed = static_system(type(network).__name__, curve, w_hh, w_ih, bias)
        return replace(closed, pack=packing[0], unpack=packing[1])
    return _flat_map(network, first_weight, step, packing, layers)


def _flat_map(
    network: Recurrent | nn.RNNBase | nn.RNNCellBase,
    weight: Tensor,
    step: Step,
    packing: Packing,
    layers: int,
    push: Push | None = None,
) -> System:
    """The map of a network whose state begins with the rates of each of its layers."""
    pack, unpack, shapes = packing
    neurons = int(network.hidden_size)
    return System(
        name=type(network).__name__,
        step=step,
        push=push,
        size=sum(math.prod(shape) for shape in shapes),
        neurons=neurons,
        input_size=int(network.input_size),
        takes_drive=True,
        dtype=weight.dtype,
        device=weight.device,
        pack=pack,
        unpack=unpack,
        first_rate=(layers - 1) * neurons,
    )


def _own_network(network: Recurrent) -> System:
    """Our RNN and ARUN: their `step`, the form of their state read from a call on one zero."""
    weight = network._parameter("weight_hh", 0)
    with torch.no_grad():
        _, example = network(weight.new_zeros(1, 1, network.input_size))
    packing = pack, unpack, _ = _packing(example, 1)

    def step(x: Tensor | None, z: Tensor, drive: Tensor | None = None) -> Tensor:
        x = z.new_zeros(z.shape[0], network.input_size) if x is None else x
        return pack(network.step(x, unpack(z), drive))

    alone = network.num_layers == 1
    if isinstance(network, RNN) and alone:
        return replace(layer_of(network), pack=pack, unpack=unpack)
    push = None
    if alone and isinstance(network, ARUN) and network._has_kernels():
        push = arun_push(network)
    return _flat_map(network, weight, step, packing, network.num_layers, push)


def copied(network: _Module, dtype: torch.dtype | None = None) -> _Module:
    """Copy a module for reading: without gradients and dropout, finite, in `dtype`."""
    network = plain_copy(network).requires_grad_(False).eval()
    for name, parameter in network.named_parameters():
        finite(name, parameter, "The network cannot be analysed.")
    return network if dtype is None else network.to(dtype)


def layer_of(network: RNN | ARUN, curve: Curve | None = None) -> System:
    """Return the map of one RNN layer, or of an ARUN layer with constant f-I curves.

    Args:
        network: an RNN or ARUN of one layer.
        curve: the f-I curves; by default those of an RNN.

    Returns:
        The `System` on the rates h alone.
    """
    if curve is None:
        assert isinstance(network, RNN)  # an ARUN has no curve of its own
        curve = CLOSED_CURVES.get(network.nonlinearity)
        curve = curve or gamma_curve(network._parameter("n", 0), network._parameter("s", 0))
    weight, weight_in = (network._parameter(name, 0) for name in ("weight_hh", "weight_ih"))
    bias, alpha = network._input_bias(0), network._alpha(0)
    return static_system(type(network).__name__, curve, weight, weight_in, bias, alpha=alpha)
