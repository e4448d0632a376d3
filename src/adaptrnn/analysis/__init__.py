"""Analyses ask any recurrent network what one asks of cells and of dynamical systems.

Each function answers one question about a network (`as_system` says what may be given) and returns
a labelled xarray.Dataset whose attrs say what was computed. A question has a file of its own, which
also holds the parts of the answer: `from adaptrnn.analysis.scaling import fit_scaling`. Nothing
here plots or touches files, and a file is imported when one of its names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptrnn.analysis.cell_model import simulate_fi
    from adaptrnn.analysis.curve_parameter import heterogeneity
    from adaptrnn.analysis.eigenvalue import spectrum
    from adaptrnn.analysis.fi_curve import fit_fi
    from adaptrnn.analysis.fractional import fractional_order, respond
    from adaptrnn.analysis.gradient import gradient_norm
    from adaptrnn.analysis.isolation import isolate
    from adaptrnn.analysis.jacobian import jacobian_norm, jacobian_product
    from adaptrnn.analysis.lyapunov_exponent import lyapunov
    from adaptrnn.analysis.manifold import controller_manifold
    from adaptrnn.analysis.noise import level_residual, level_set, noise_variance
    from adaptrnn.analysis.response import step_response
    from adaptrnn.analysis.robustness import sweep
    from adaptrnn.analysis.scaling import gain_scaling
    from adaptrnn.analysis.statistic import correlation, interval, paired_test, unpaired_test
    from adaptrnn.analysis.system import System, as_system
    from adaptrnn.analysis.transfer import rotated_digits, transplant

_NAMES = {
    "cell_model": ("simulate_fi",),
    "curve_parameter": ("heterogeneity",),
    "eigenvalue": ("spectrum",),
    "fi_curve": ("fit_fi",),
    "fractional": ("fractional_order", "respond"),
    "gradient": ("gradient_norm",),
    "isolation": ("isolate",),
    "jacobian": ("jacobian_norm", "jacobian_product"),
    "lyapunov_exponent": ("lyapunov",),
    "manifold": ("controller_manifold",),
    "noise": ("level_residual", "level_set", "noise_variance"),
    "response": ("step_response",),
    "robustness": ("sweep",),
    "scaling": ("gain_scaling",),
    "statistic": ("correlation", "interval", "paired_test", "unpaired_test"),
    "system": ("System", "as_system"),
    "transfer": ("rotated_digits", "transplant"),
}
_HOME = {name: home for home, names in _NAMES.items() for name in names}
__all__ = [
    "System",
    "as_system",
    "controller_manifold",
    "correlation",
    "fit_fi",
    "fractional_order",
    "gain_scaling",
    "gradient_norm",
    "heterogeneity",
    "interval",
    "isolate",
    "jacobian_norm",
    "jacobian_product",
    "level_residual",
    "level_set",
    "lyapunov",
    "noise_variance",
    "paired_test",
    "respond",
    "rotated_digits",
    "simulate_fi",
    "spectrum",
    "step_response",
    "sweep",
    "transplant",
    "unpaired_test",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'adaptrnn.analysis' has no attribute {name!r}")
    return getattr(importlib.import_module(f"adaptrnn.analysis.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
