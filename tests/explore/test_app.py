"""The app of the explorer: run without a browser, its cells show what the library computes."""

from __future__ import annotations

import pytest
import xarray as xr

from adaptrnn.analysis import isolate
from adaptrnn.explore import network, neuron


def test_the_cells_show_lone_neurons_of_the_shipped_network():
    pytest.importorskip("marimo", reason="marimo is not installed")
    from adaptrnn.explore.app import app

    _, shown = app.run()
    core = network.load_network(network.SHIPPED).core
    seen = neuron.neuron_signals(isolate(core), neuron.drive("step", 5.0), [0, 7, 20])
    # rates of single precision, whose last digits depend on how products are summed
    xr.testing.assert_allclose(shown["seen"], seen, rtol=1e-4, atol=1e-5)
    assert shown["seen"].neuron.values.tolist() == [0, 7, 20]
    xr.testing.assert_allclose(shown["found"], neuron.order_curves(shown["seen"]))
    # in the network the same neurons hear the others, and do something else
    others = neuron.neuron_signals(core, neuron.drive("step", 5.0), [0, 7, 20])
    assert float(abs(others.h - seen.h).max()) > 0.1
