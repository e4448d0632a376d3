"""Orders of neurons: planted orders are where they should be, and the share is that of the sign."""

import numpy as np
import xarray as xr

from adaptrnn.figure.order import neuron_orders
from adaptrnn.figure.style import subplots


def test_lines_are_the_means_of_positive_and_of_negative_orders():
    """3 of 4 neurons have order 0.4 in the network, 1 of 4 when isolated; the others -0.2."""
    inside, alone = [0.4, 0.4, 0.4, -0.2], [0.4, -0.2, -0.2, -0.2]
    values = np.broadcast_to(np.array([inside, alone])[:, None, None], (2, 3, 2, 4))
    coords = {"network": ["interacting", "isolated"], "seed": [0, 1, 2], "xi": [1.0, 10.0]}
    order = xr.DataArray(values, coords, (*coords, "neuron"))
    _, axes = subplots(1, 1)
    neuron_orders(axes[0, 0], order, order.isel(network=0, seed=0, neuron=0, drop=True))
    lines = {}
    for line in axes[0, 0].lines[:4]:
        # the mean of twelve equal numbers, to their rounding
        np.testing.assert_allclose(np.diff(line.get_ydata()), 0, atol=1e-15)
        lines.setdefault(line.get_linestyle(), []).append(round(float(line.get_ydata()[0]), 12))
    assert lines == {"-": [0.4, -0.2], "--": [0.4, -0.2]}
    (text,) = [text.get_text() for text in axes[0, 0].texts]
    assert text == "α > 0: 75% in the network, 25% isolated"
    shown = np.concatenate([c.get_offsets()[:, 1] for c in axes[0, 0].collections])
    assert sorted(shown) == sorted(values.ravel())
