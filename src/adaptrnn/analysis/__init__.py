"""The laboratory: probe neurons and networks as one probes cells and dynamical systems.

One question, one file, one or few functions; each takes a network (`system` says which) and returns
a labelled xarray.Dataset that says in its attrs what was computed. Nothing here plots, touches
files or imports what it does not need: a name is imported when it is first used.

A function often has the name of its file. What `from adaptrnn.analysis import lyapunov` gives is
always the function; other names of the file come as `from adaptrnn.analysis.lyapunov import ...`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptrnn.analysis._system import System, system
    from adaptrnn.analysis.controller_manifold import controller_manifold
    from adaptrnn.analysis.fi_curve import (
        NEURONS,
        Neuron,
        fit_fi,
        fit_fi_table,
        neurons_in_plane,
        read_fi_table,
        simulate_fi,
        simulate_step,
        standardise,
        units_in_plane,
    )
    from adaptrnn.analysis.fractional import (
        PROTOCOLS,
        Protocol,
        fractional_derivative,
        fractional_order,
        group_means,
        memoryless_null,
        respond,
    )
    from adaptrnn.analysis.gain_scaling import fit_scaling, freeze, gain_scaling
    from adaptrnn.analysis.gradients import gradient_norm
    from adaptrnn.analysis.heterogeneity import activation_parameters, heterogeneity
    from adaptrnn.analysis.isolate import isolate
    from adaptrnn.analysis.jacobian import jacobian_norm, jacobian_product, recurrent_weight
    from adaptrnn.analysis.lyapunov import DEFINITIONS, ConvergenceWarning, lyapunov, system_of
    from adaptrnn.analysis.noise import level_residual, level_set, noise_variance
    from adaptrnn.analysis.robustness import area, compare, sweep
    from adaptrnn.analysis.spectrum import spectrum
    from adaptrnn.analysis.statistics import (
        correlation,
        holm,
        interval,
        paired_test,
        stars,
        unpaired_test,
    )
    from adaptrnn.analysis.step_response import describe_step, step_response
    from adaptrnn.analysis.transfer import (
        accuracy,
        balanced_split,
        compare_transplant,
        retrain_activation,
        rotate,
        rotated_digits,
        transplant,
    )

_NAMES = {
    "_system": ("System", "system"),
    "controller_manifold": ("controller_manifold",),
    "fi_curve": (
        *("NEURONS", "Neuron", "fit_fi", "fit_fi_table", "read_fi_table", "simulate_fi"),
        *("neurons_in_plane", "simulate_step", "standardise", "units_in_plane"),
    ),
    "fractional": (
        *("PROTOCOLS", "Protocol", "fractional_derivative", "fractional_order", "group_means"),
        *("memoryless_null", "respond"),
    ),
    "gain_scaling": ("fit_scaling", "freeze", "gain_scaling"),
    "gradients": ("gradient_norm",),
    "heterogeneity": ("activation_parameters", "heterogeneity"),
    "isolate": ("isolate",),
    "jacobian": ("jacobian_norm", "jacobian_product", "recurrent_weight"),
    "lyapunov": ("DEFINITIONS", "ConvergenceWarning", "lyapunov", "system_of"),
    "noise": ("level_residual", "level_set", "noise_variance"),
    "robustness": ("area", "compare", "sweep"),
    "spectrum": ("spectrum",),
    "statistics": ("correlation", "holm", "interval", "paired_test", "stars", "unpaired_test"),
    "step_response": ("describe_step", "step_response"),
    "transfer": (
        *("accuracy", "balanced_split", "compare_transplant", "retrain_activation", "rotate"),
        *("rotated_digits", "transplant"),
    ),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "DEFINITIONS",
    "NEURONS",
    "PROTOCOLS",
    "ConvergenceWarning",
    "Neuron",
    "Protocol",
    "System",
    "accuracy",
    "activation_parameters",
    "area",
    "balanced_split",
    "compare",
    "compare_transplant",
    "controller_manifold",
    "correlation",
    "describe_step",
    "fit_fi",
    "fit_fi_table",
    "fit_scaling",
    "fractional_derivative",
    "fractional_order",
    "freeze",
    "gain_scaling",
    "gradient_norm",
    "group_means",
    "heterogeneity",
    "holm",
    "interval",
    "isolate",
    "jacobian_norm",
    "jacobian_product",
    "level_residual",
    "level_set",
    "lyapunov",
    "memoryless_null",
    "neurons_in_plane",
    "noise_variance",
    "paired_test",
    "read_fi_table",
    "recurrent_weight",
    "respond",
    "retrain_activation",
    "rotate",
    "rotated_digits",
    "simulate_fi",
    "simulate_step",
    "spectrum",
    "standardise",
    "stars",
    "step_response",
    "sweep",
    "system",
    "system_of",
    "transplant",
    "units_in_plane",
    "unpaired_test",
]


class _Laboratory(ModuleType):
    """This package; importing a file of it must not put the file in the place of its function."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'adaptrnn.analysis' has no attribute {name!r}")
        module = importlib.import_module(f"adaptrnn.analysis.{_HOME[name]}")
        super().__setattr__(name, getattr(module, name))
        return getattr(module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _HOME:
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOME})


sys.modules[__name__].__class__ = _Laboratory
