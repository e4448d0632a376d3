"""Pictures of the explorer are well-formed, for light and dark pages, and change nothing global."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from adaptrnn.analysis import isolate
from adaptrnn.explore import network, neuron, picture


def test_pictures_are_well_formed_and_move(hostile):
    core = network.load_network(network.SHIPPED).core
    curves, plane = picture.CurvePicture(), picture.PlanePicture()
    trace, order, state = picture.TracePicture(), picture.OrderPicture(), picture.StatePicture()
    shown = []
    for n, xi, chosen in ((5.0, 1.0, [0, 7, 20, 3]), (20.0, 30.0, [5])):
        every = neuron.neuron_signals(isolate(core), neuron.drive("step", xi), range(100))
        seen = every.sel(neuron=chosen)
        shown.append(
            [
                curves.show(n, 0.2, 1.0),
                plane.show(n, 0.2, 1.0, neuron.rest(core), {hostile: (30.0, 0.4)}),
                trace.show(seen),
                order.show(neuron.order_curves(seen)),
                state.show(seen, every, xi),
            ]
        )
    for first, second in zip(*shown, strict=True):
        assert first != second
        for svg in (first, second):
            ElementTree.fromstring(svg)
            assert "light-dark(" in svg and "<script" not in svg
            # no colour of the light page alone is left
            assert not re.search(r"(?<!\()#1c1e21(?!,)", svg)


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    picture.CurvePicture().show(5.0, 0.2, 1.0)
    assert dict(matplotlib.rcParams) == before
