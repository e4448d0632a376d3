"""One drawing for one quantity: of one network the command draws what the paper's figure draws."""

import numpy as np
import pytest

from adaptrnn.figure.style import style
from adaptrnn.laboratory.drawing import DRAWINGS
from adaptrnn.paper import figure5, figure_b3, figure_s18, proposition1
from adaptrnn.paper.item import combine

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
