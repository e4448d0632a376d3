"""The only list of models says what each name builds, what it can do, and how it is drawn.

Nothing here imports torch before a network is built, so that a command line starts fast.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adaptrnn._error import bad
from adaptrnn._registry import Registry

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MODELS", "OPTIONS", "OWN_MODEL", "Model", "name_of", "register_model"]

OWN_MODEL = "own"
"""Stands for a network that was given to `adaptrnn.train` in Python, not by a model's name."""

_TIMES = frozenset({"dt", "tau", "learn_tau", "noise", "dale"})
_LAYER = frozenset({"recurrent_init", "backend", "memory_budget", "precision"}) | _TIMES
_CURVE = frozenset({"n", "s", "learn_n", "learn_s"})
_CONTROLLER = frozenset({"controller_size", "controller"})
OPTIONS = _LAYER | _CURVE | _CONTROLLER
"""What a training configuration can pass to the builder of a model."""


@dataclass(frozen=True)
class Model:
    """A model is a kind of recurrent network that has a name.

    Args:
        name: as on the command line.
        build: called as ``build(input_size=D, hidden_size=N, **options)``, it returns the untrained
            core: a module with `input_size` and `hidden_size`, called as
            ``output, state = core(x, state, drive)`` with x (T, B, D) and output (T, B, N), whose
            state may be None and, where `takes_drive` holds, whose drive is None, a number or
            broadcastable to (T, B, N). For analyses it also has one time step,
            ``step(x_t, state, drive) -> state``: the state is a tensor or a tuple of tensors, the
            rates (B, N) first, with samples along the first axis.
        summary: what it is, on one line.
        label: name in figures and tables; by default `name`.
        colours: on a light and on a dark page.
        marker: matplotlib's.
        options: those of `OPTIONS` that the builder takes.
        has_curves: whether its neurons have gains n and saturations s.
        gated: whether gates decide what it keeps.
        takes_drive: whether an external current can be added to its neurons.
        square: whether it has one square matrix of recurrent weights, `weight_hh_l0`.
        recurrent: name of the parameter of recurrent weights, with N columns; a file of weights is
            checked by it before a network of the size that it states is built. Empty for none.
        multiply_adds: of one time step of one sample, forward, a function of N, G and D, for
            estimates of cost; by default N (N + D).
        rate: multiply-adds a second on one core, forward and backward
            (docs/reference/benchmarks.md, small networks, half of what two cores do).

    Raises:
        InputError: an option that does not exist.

    Example:
        >>> MODELS["arun"].label, MODELS["arun"].has_controller, MODELS["lstm"].square
        ('ARUN', True, False)
    """

    name: str
    build: Callable[..., nn.Module]
    summary: str = ""
    label: str = ""
    colours: tuple[str, str] = ("#6a3d9a", "#b79fdc")
    marker: str = "*"
    options: frozenset[str] = frozenset()
    has_curves: bool = False
    gated: bool = False
    takes_drive: bool = True
    square: bool = False
    recurrent: str = ""
    multiply_adds: Callable[[float, float, float], float] | None = None
    rate: float = 25e9

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)
        object.__setattr__(self, "options", frozenset(self.options))
        unknown = sorted(self.options - OPTIONS)
        if unknown:
            raise bad("options", unknown[0], f"among {', '.join(sorted(OPTIONS))}")

    @property
    def has_controller(self) -> bool:
        """Return whether a controller sets its n and s in real time."""
        return "controller" in self.options


def _layer(name: str, **fixed: object) -> Callable[..., nn.Module]:
    """What builds a layer of adaptrnn, which is imported then."""

    def build(**arguments: object) -> nn.Module:
        return getattr(importlib.import_module("adaptrnn"), name)(**{**fixed, **arguments})

    return build


def _static(
    nonlinearity: str,
    summary: str,
    label: str,
    colours: tuple[str, str],
    marker: str,
    options: frozenset[str] = _LAYER,
) -> Model:
    """An `RNN`, whose curves have parameters if its options do."""
    build = _layer("RNN", nonlinearity=nonlinearity, init="paper")
    return Model(
        nonlinearity,
        build,
        summary,
        label,
        colours,
        marker,
        options,
        has_curves=options >= _CURVE,
        square=True,
        recurrent="weight_hh_l0",
    )


# colours: Okabe and Ito's palette, which the colour-blind can tell apart
_BUILT_IN = (
    _static(
        "relu",
        "RNN with a rectified-linear f-I curve",
        "RNN (ReLU)",
        ("#404040", "#b9b9b9"),
        "s",
    ),
    _static(
        "linear",
        "RNN without a nonlinearity",
        "RNN (linear)",
        ("#b58900", "#e6b94a"),
        "D",
    ),
    _static(
        "tanh",
        "RNN with a hyperbolic tangent",
        "RNN (tanh)",
        ("#8c6d31", "#c9a66b"),
        "P",
    ),
    _static(
        "gamma-shared",
        "RNN+gamma: one learned gain n and saturation s, shared by all neurons",
        "RNN+gamma (shared)",
        ("#2b8cbe", "#7cc4ee"),
        "v",
        _LAYER | _CURVE,
    ),
    _static(
        "gamma",
        "RNN+gamma: a learned gain n and saturation s for every neuron",
        "RNN+gamma",
        ("#0b4f8a", "#4b8fe0"),
        "^",
        _LAYER | _CURVE,
    ),
    Model(
        "arun",
        _layer("ARUN"),
        "network of adaptive recurrent units: each neuron adapts its n and s in real time",
        "ARUN",
        ("#d55e00", "#ff8a3d"),
        "o",
        options=_LAYER | _CONTROLLER,
        has_curves=True,
        square=True,
        recurrent="weight_hh_l0",
        multiply_adds=lambda n, g, d: n * (n + g * g + 3 * g + d),
        rate=30e9,
    ),
    Model(
        "lstm",
        _layer("LSTM"),
        "long short-term memory, the drive entering every gate",
        "LSTM",
        ("#00825f", "#3cc9a3"),
        "X",
        gated=True,
        recurrent="weight_hh_l0",
        multiply_adds=lambda n, g, d: 4 * n * (n + d),
        rate=20e9,
    ),
    Model(
        "gru",
        _layer("GRU"),
        "gated recurrent unit, the drive entering every gate",
        "GRU",
        ("#b0578d", "#e39ac6"),
        "p",
        gated=True,
        recurrent="weight_hh_l0",
        multiply_adds=lambda n, g, d: 3 * n * (n + d),
        rate=15e9,
    ),
)

MODELS: Registry[Model] = Registry("model", Model, _BUILT_IN, "adaptrnn.models", (OWN_MODEL,))
"""The models by name: those of adaptrnn, those that were registered, and those of installed
packages with an entry point in the group "adaptrnn.models"."""


def name_of(core: nn.Module) -> str | None:
    """Return the name of the model that a core is; None for a module that is not adaptrnn's.

    Example:
        >>> from adaptrnn import RNN
        >>> name_of(RNN(1, 3, nonlinearity="gamma")), name_of(RNN(1, 3, nonlinearity="softplus"))
        ('gamma', None)
    """
    from adaptrnn.arun import ARUN
    from adaptrnn.gated import GRU, LSTM
    from adaptrnn.rnn import RNN

    name = core.nonlinearity if isinstance(core, RNN) else None
    for kind, its_name in ((ARUN, "arun"), (LSTM, "lstm"), (GRU, "gru")):
        name = its_name if isinstance(core, kind) else name
    return name if name in MODELS.built_in else None


def register_model(model: Model) -> Model:
    """Make a model known by its name in this process.

    It is then trained, evaluated, analysed, drawn and matched in size like the models of adaptrnn.
    To make it known to every process and to the command line, install it as a package whose entry
    point, in the group "adaptrnn.models" and of the model's name, is the `Model`.

    Args:
        model: the model; one of the same name that was registered before is replaced.

    Returns:
        `model`.

    Raises:
        InputError: the name is that of a model of adaptrnn, or cannot be a part of a folder's name.

    Example:
        >>> from adaptrnn import RNN
        >>> def build(**arguments):
        ...     return RNN(nonlinearity="softplus", **arguments)
        >>> model = register_model(Model("softplus", build, "RNN with a soft threshold"))
        >>> MODELS["softplus"].build(input_size=1, hidden_size=3)
        RNN(1, 3, nonlinearity='softplus')
        >>> MODELS.remove("softplus")
    """
    return MODELS.add(model)
