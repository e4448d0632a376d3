"""The drawing of each analysis shows the numbers of its data set, and nothing rounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from adaptrnn.figure.style import style
from adaptrnn.laboratory.drawing import DRAWINGS
from adaptrnn.laboratory.protocol import ANALYSES


def numbers(figure: Figure) -> np.ndarray:
    """Every number that a figure shows, in lines, dots, bars and images."""
    found = []
    for axis in figure.axes:
        found += [np.ravel(line.get_xydata()) for line in axis.lines]
        found += [np.ravel(np.ma.filled(c.get_offsets(), np.nan)) for c in axis.collections]
        found += [np.ravel(image.get_array()) for image in axis.images]
        found += [np.array([patch.get_height()]) for patch in axis.patches]
    return np.concatenate([np.asarray(part, dtype=float) for part in found])


SHOWN = {
    "lyapunov": lambda d: [d.lyapunov, d.after_onset, d.on_task],
    "jacobian": lambda d: [d.norm, d.step_norm.mean("image")],
    "fractional": lambda d: [d.order.sel(signal="h")],
    "step_response": lambda d: [d[name].mean("neuron") for name in "nsh"],
    "gain_scaling": lambda d: [d.n_steady.mean("neuron"), d.output_variance_frozen.mean("neuron")],
    "heterogeneity": lambda d: [d.n, d.s, d.n_initial, d.s_initial],
    "transfer": lambda d: [100 * d.accuracy, d.n, d.s],
    "controller_manifold": lambda d: [d.steady_score.isel(component=[0, 1])],
    "noise": lambda d: [d.n.sel(stage="steady"), d.s.sel(stage="steady"), d.residual],
    "spectrum": lambda d: [d.real_part, d.imaginary_part],
    "gradients": lambda d: [d.norm, d.contribution],
    "robustness": lambda d: [100 * d.step_accuracy, 100 * d.contrast_map_accuracy],
}


@pytest.mark.parametrize("name", ANALYSES)
def test_a_drawing_shows_the_numbers_of_its_data(results, name):
    with style():
        figure = DRAWINGS[name](results[name])
    assert isinstance(figure, Figure)
    shown = numbers(figure)
    for values in SHOWN[name](results[name]):
        wanted = values.values[np.isfinite(values.values)].ravel()
        assert len(wanted)
        # the same numbers, not rounded on the way
        assert np.isin(wanted.astype(float), shown).all(), values.name


def test_a_transplant_is_drawn_with_its_numbers(subject):
    donor = subject("arun").model
    found = ANALYSES["transfer"].measure(replace(subject("arun", donor=donor), model=donor))
    with style():
        figure = DRAWINGS["transfer"](found)
    assert np.isin(100 * found.accuracy_own.values, numbers(figure)).all()


def test_every_analysis_of_adaptrnn_has_a_drawing():
    assert ANALYSES.built_in.keys() == DRAWINGS.keys()
