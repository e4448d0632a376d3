"""One drawing for one quantity: the command and the report's opening draw what the figure draws."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from adaptrnn.figure.style import style
from adaptrnn.laboratory.drawing import DRAWINGS
from adaptrnn.paper import figure5, figure_b3, figure_s18, proposition1
from adaptrnn.paper.item import combine
from adaptrnn.report.opening import findings

SHARED = {
    "controller_manifold": (figure5.MANIFOLD, "arun"),
    "noise": (figure5.LEVELS, "arun"),
    "lyapunov": (figure5.EXPONENTS, "arun"),
    "spectrum": (figure5.SPECTRUM, "arun"),
    "gradients": (figure_s18.ITEM, "arun"),
    "transfer": (figure_b3.ITEM, "gamma"),
}
PAIRS = [*SHARED.items(), ("noise", (proposition1.TRAINED_NOISE, "arun"))]


def heights(figure):
    """What stands along the vertical axes: of lines and of dots."""
    found = []
    for axis in figure.axes:
        found += [np.ravel(line.get_ydata()) for line in axis.lines]
        found += [np.ma.filled(c.get_offsets(), np.nan)[:, 1] for c in axis.collections]
    values = np.concatenate([np.asarray(part, float) for part in found])
    return np.unique(values[np.isfinite(values)])


@pytest.mark.parametrize(
    ("name", "shared"), PAIRS, ids=[f"{name}, {item.name}" for name, (item, _) in PAIRS]
)
def test_the_command_draws_what_the_figure_draws(collected, name, shared):
    item, model = shared
    run = collected.data(item, model, 0)
    with style():
        paper = heights(item.draw(combine(item, [("psmnist", run)]).sel(model=[model])))
        command = heights(DRAWINGS[name](run.analyses[name]))
    nearest = np.abs(paper[:, None] - command).min(1)
    # tables are float32, results float64: half a last digit of float32 is 6e-8 of a number
    assert (nearest <= 1e-6 * np.abs(paper) + 1e-9).all()
    assert len(paper) > 5


def marks(axis, lines=None):
    """Places, sizes and colours of the dots in a panel, and of its first lines, or of all."""
    found = [
        (np.ma.filled(dots.get_offsets(), np.nan), dots.get_sizes(), dots.get_facecolor())
        for dots in axis.collections
    ]
    found += [
        (line.get_xydata(), line.get_linewidth(), to_rgba(line.get_color()))
        for line in axis.lines[:lines]
    ]
    return [np.asarray(part, float) for one in found for part in one]


@pytest.mark.parametrize(
    ("item", "panel", "over"),
    [(figure5.MANIFOLD, 0, None), (figure5.LEVELS, 1, "xi")],
    ids=["steady states of the controller", "level sets"],
)
def test_the_opening_draws_what_the_figure_draws(collected, item, panel, over):
    """The figure has more lines in its panel: ways to the steady states, the paper's value."""
    data = combine(item, [("psmnist", collected.data(item, "arun", 0))])
    no_runs = pd.DataFrame({"role": [], "task": [], "steps": []})
    why = findings({item.name: data}, [], no_runs)[2]
    with style():
        opening = marks(why.draw().axes[panel])
        figure = marks(item.draw(data).axes[panel], data.sizes[over] if over else 0)
    for found, wanted in zip(opening, figure, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert len(opening) > 5
