"""Controllers whose steady states are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adaptrnn._error import InputError
from adaptrnn.analysis.manifold import controller_manifold
from adaptrnn.arun import ARUN
from adaptrnn.controller import AbstractController, AdaptationController


class Leaky(AbstractController):
    """g -> 0.9 g + 0.1 a v: the steady state is a v, a line ordered by a."""

    controller_size = 4

    def forward(self, a, g):
        direction = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=g.dtype)
        g = 0.9 * g + 0.1 * a.unsqueeze(-1) * direction
        return g, 5 - g[..., 0], 0.1 * g[..., 0]


def test_a_linear_controller_settles_on_a_line():
    found = controller_manifold(Leaky(), starts=4, during=300)
    currents = np.exp(np.linspace(-2, 2, 10))
    want = currents[:, None] * np.array([1, -2, 0.5, 0])
    # 0.9^300 = 2e-14 of currents up to 7.4
    np.testing.assert_allclose(found.steady, np.broadcast_to(want, (4, 10, 4)), atol=1e-12)
    np.testing.assert_allclose(found.n.sel(time=299), np.broadcast_to(5 - currents, (4, 10)))
    np.testing.assert_allclose(found.s.sel(time=299), np.broadcast_to(currents / 10, (4, 10)))
    # 0.9^200 = 7e-10 of the random start is left at the onset: all variance is on the line
    assert float(found.ratio[0]) == pytest.approx(1, abs=1e-9)
    assert bool(found.monotone) and abs(float(found.rank_correlation)) == pytest.approx(1)
    assert float(found.spread) < 1e-20 and float(found.drift) < 1e-12
    # distances along the component are those of the steady states: ||v|| |a - b|
    last = found.steady_score[0, :, 0]
    np.testing.assert_allclose(abs(last - last[0]), np.sqrt(5.25) * (currents - currents[0]))


def test_drift_is_the_change_in_the_last_step():
    runs = [controller_manifold(Leaky(), before=4, during=during) for during in (1, 6, 7)]
    change = abs(runs[2].steady - runs[1].steady).max()
    assert float(runs[2].drift) == pytest.approx(float(change), rel=1e-12)
    assert np.isnan(runs[0].drift)  # there is no other step under the current
    np.testing.assert_array_equal(runs[0].time, [-4, -3, -2, -1, 0])
    assert int(controller_manifold(Leaky()).time[0]) == -200  # of the paper


class Keeping(Leaky):
    """Never forgets where it started."""

    def forward(self, a, g):
        return g, g[..., 0], g[..., 1]


def test_a_controller_that_forgets_nothing():
    found = controller_manifold(Keeping(), before=3, during=3)
    assert float(found.spread) == pytest.approx(1) and not bool(found.monotone)


def test_of_an_adaptive_network():
    network = ARUN(1, 3, controller_size=5)
    by_network = controller_manifold(network, before=10, during=20)
    assert by_network.equals(controller_manifold(network.controller, before=10, during=20))
    assert float(by_network.ratio.sum()) <= 1 + 1e-12
    g = by_network.steady.values
    with torch.no_grad():
        core = AdaptationController(5)
        core.load_state_dict(network.controller.state_dict())
        _, n, _ = core.double()(torch.zeros(10, 10).double(), torch.from_numpy(g))
    assert n.shape == by_network.n.sel(time=19).shape
    with pytest.raises(InputError, match="controller='GRUCell': must be an ARUN"):
        controller_manifold(torch.nn.GRUCell(1, 3))
    for currents in (torch.ones(1), torch.ones(2, 2)):
        with pytest.raises(InputError, match="at least 2"):
            controller_manifold(network, currents)
    for wrong in ("starts", "before", "during"):
        with pytest.raises(InputError, match=">= 1"):
            controller_manifold(network, **{wrong: 0})
