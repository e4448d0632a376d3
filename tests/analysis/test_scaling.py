"""Gain scaling of neurons whose scaling law is planted, and the fits against known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.optimize import curve_fit

from adaptrnn import ARUN, RNN
from adaptrnn._error import InputError
from adaptrnn.analysis.scaling import AMPLITUDES, fit_scaling, freeze, gain_scaling
from adaptrnn.controller import AbstractController

XI = np.array([1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0])  # Geadah et al. 2024, Fig 3b


def steady(values):
    return xr.DataArray(values, dims="xi", coords={"xi": XI})


def law(model, a, b, c):
    return a * XI**-b + c if model == "power" else a * np.exp(-b * XI) + c


def test_levels_are_those_of_the_paper():
    assert tuple(XI) == AMPLITUDES


@pytest.mark.parametrize("model", ["power", "exponential"])
@pytest.mark.parametrize("a, b, c", [(3.0, 0.5, 1.0), (-2.0, 0.2, 4.0), (1.0, 1.0, -1.0)])
def test_planted_laws_are_recovered(model, a, b, c):
    found = fit_scaling(steady(law(model, a, b, c)))
    # golden section finds b to about 1e-8
    assert np.allclose(found.value.sel(model=model), [a, b, c], rtol=1e-5)
    assert found.r2.sel(model=model) > 1 - 1e-9
    assert found.delta_aic.sel(model=model) < -10
    best = found.aic.idxmin("model")
    assert best == model


def test_fits_and_intervals_are_those_of_scipy():
    """The limit of little noise, where the profile is that of a quadratic."""
    noise = np.random.default_rng(0).standard_normal(len(XI))
    noisy = law("power", 3.0, 0.5, 1.0) + 0.0002 * noise
    found = fit_scaling(steady(noisy)).sel(model="power")
    want, covariance = curve_fit(lambda x, a, b, c: a * x**-b + c, XI, noisy, p0=(3, 0.5, 1))
    # curve_fit stops at 1.5e-8 relative change of the cost, so at about 1e-4 of the parameters
    assert np.allclose(found.value, want, rtol=1e-3)
    from scipy.stats import t

    width = t.ppf(0.975, len(XI) - 3) * np.sqrt(np.diag(covariance))
    assert np.allclose(found.high - found.value, width, rtol=1e-2)
    residual = noisy - (want[0] * XI ** -want[1] + want[2])
    m, k = len(XI), 4
    aic = m * np.log((residual**2).sum() / m) + 2 * k
    assert np.isclose(found.aic, aic, atol=1e-4)
    assert np.isclose(found.aicc - found.aic, 2 * k * (k + 1) / (m - k - 1))


def test_intervals_cover():
    rng = np.random.default_rng(0)
    many = law("power", 3.0, 0.5, 1.0)[:, None] + 0.02 * rng.standard_normal((len(XI), 1000))
    many = xr.DataArray(many, dims=("xi", "neuron"), coords={"xi": XI})
    found = fit_scaling(many).sel(model="power")
    truth = xr.DataArray([3.0, 0.5, 1.0], dims="parameter")
    hits = ((found.low <= truth) & (truth <= found.high)).mean("neuron")
    # nominal .95; linearisation with 4 degrees of freedom costs up to .03; 3 sd are .02
    assert (hits > 0.9).all() and (hits < 0.98).all()


def test_as_many_points_as_a_correction_of_the_aic_needs():
    """AICc has m - k - 2 below the line: none with 5 points of 3 parameters, one with the line."""
    found = fit_scaling(steady(law("power", 3.0, 0.5, 1.0) + 0.1 * np.sin(XI)).isel(xi=slice(5)))
    assert found.aicc.sel(model=["power", "exponential"]).isnull().all()
    line = found.sel(model="linear")
    assert np.isclose(line.aicc - line.aic, 2 * 3 * 4 / 1)
    assert np.isfinite(found.aic).all()


def test_what_does_not_vary_has_no_fit():
    found = fit_scaling(steady(np.full(len(XI), 4.879) + 1e-13 * XI))
    assert found.value.isnull().all() and found.r2.isnull().all() and found.aic.isnull().all()


def test_a_line_is_a_line():
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(XI))
    found = fit_scaling(steady(2 * XI - 1 + noise))
    assert np.allclose(found.value.sel(model="linear")[[0, 2]], [2, -1], atol=0.05)
    # two more parameters' worth of AIC at most: the line is not worse by more than chance
    assert (found.delta_aicc > -2).all()


class Divisive(AbstractController):
    """n = 1 / (1 + |a| averaged over time): a gain that falls with the input's amplitude."""

    controller_size = 1

    def __init__(self, controller_size=1, device=None, dtype=None):
        super().__init__()
        self.controller_size = controller_size

    def forward(self, a, g):
        g = 0.95 * g + 0.05 * a.abs().unsqueeze(-1)
        return g, 6 / (1 + g[..., 0]), torch.zeros_like(a) + 0.3 + 0.5 * torch.exp(-g[..., 0])


def silent(core):
    """Without recurrence and bias: the current is the drive."""
    with torch.no_grad():
        for name, value in core.named_parameters():
            if name.startswith(("weight_hh", "bias")):
                value.zero_()
    return core


def test_a_planted_controller():
    core = silent(ARUN(1, 20, controller_size=1, controller=Divisive))
    found = gain_scaling(core, trials=4)
    # E|N(0, xi^2)| = xi sqrt(2/pi); g averages it, so n and s are near these values
    mean = XI * np.sqrt(2 / np.pi)
    got = found.n_steady.mean("neuron")
    # the leaky average fluctuates by sqrt(.05/2 (pi/2-1)) = 12% and 1/(1+g) is convex: + 1.4%
    assert np.allclose(got, 6 / (1 + mean), rtol=0.05)
    assert found.n_delta_aic.sel(model="power") < 0
    assert found.n_r2.sel(model="power") > 0.9
    assert found.s_r2.sel(model="exponential") > 0.9
    assert found.n_steady.dims == ("xi", "neuron") and found.n_mean.dims == ("time", "xi")
    # back at low noise the gain recovers
    assert (found.n_mean.isel(time=-1) > found.n_mean.isel(time=399)).all()


def test_output_variance_of_a_linear_network_has_slope_two():
    core = silent(RNN(1, 30, nonlinearity="linear"))
    found = gain_scaling(core, trials=3)
    # the variance of c xi noise is xi^2 times the same number for every xi
    assert np.isclose(found.slope.sel(condition="adaptive"), 2, atol=1e-5)
    assert found.condition.values.tolist() == ["adaptive"] and "n_steady" not in found
    assert (found.slope_low <= found.slope).all() and (found.slope <= found.slope_high).all()


class Counting(AbstractController):
    """The gain is 1 plus a tenth of the time, the same for every neuron and input."""

    controller_size = 1

    def __init__(self, controller_size=1, device=None, dtype=None):
        super().__init__()
        self.controller_size = controller_size

    def forward(self, a, g):
        return g + 1, 1 + 0.1 * g[..., 0], torch.zeros_like(a)


def test_the_windows_are_the_second_halves_of_the_epochs():
    """A gain that tells the time says over which steps it was averaged."""
    core = silent(ARUN(1, 6, controller_size=1, controller=Counting))
    options = {"durations": (12, 30, 8), "trials": 3}
    found = gain_scaling(core, XI, **options)
    gain = found.n_mean.isel(xi=0).values
    np.testing.assert_allclose(np.diff(gain), 0.1, rtol=1e-4)  # float32
    assert found.sizes["time"] == 50
    np.testing.assert_allclose(found.n_steady, gain[27:42].mean(), rtol=1e-5)
    np.testing.assert_allclose(found.n_sd, 0, atol=1e-6)
    static = freeze(core, torch.full((6,), gain[6:12].mean()), torch.zeros(6))
    alone = gain_scaling(static, XI, **options)
    np.testing.assert_allclose(found.output_variance_frozen, alone.output_variance, rtol=1e-4)
    assert np.isclose(found.slope.sel(condition="frozen"), alone.slope[0], atol=1e-3)
    # the mean over neurons is h_mean, the mean over the window of that h_steady
    window = found.h_mean.isel(time=slice(27, 42)).mean("time")
    np.testing.assert_allclose(found.h_steady.mean("neuron"), window, rtol=1e-6)
    assert "output_variance_frozen" not in gain_scaling(core, XI, frozen=False, **options)


def test_the_drive_is_noise_of_the_stated_sizes():
    """A network that hands its drive on, under the times and sizes of the paper."""
    found = gain_scaling(silent(RNN(1, 40, nonlinearity="linear")), XI, trials=1)
    assert found.attrs["durations"] == [200, 200, 200] and found.sizes["time"] == 600
    # 40 neurons: the standard deviation over them is right within 1 / sqrt(80) = 11%, in the mean
    # over 200 times within 1%
    for start, size in ((0, 0.01), (200, XI), (400, 0.01)):
        seen = found.h_sd.isel(time=slice(start, start + 200)).mean("time")
        np.testing.assert_allclose(seen, np.broadcast_to(size, XI.shape), rtol=0.04)
    # the same numbers for every xi
    scaled = found.h_steady / found.xi
    np.testing.assert_allclose(scaled, np.broadcast_to(scaled[0], scaled.shape), rtol=1e-4)


def test_adaptation_flattens_the_output():
    """A gain that saturates (s = 1 in effect) with frozen n; smaller slope when n falls."""

    class Sharp(Divisive):
        def forward(self, a, g):
            g, n, _ = super().forward(a, g)
            return g, n, 1 - n / 12

    core = silent(ARUN(1, 20, controller_size=1, controller=Sharp))
    found = gain_scaling(core, trials=4)
    slope = found.slope
    assert slope.sel(condition="adaptive") < slope.sel(condition="frozen")
    assert "output_variance_frozen" in found


def test_freezing():
    torch.manual_seed(0)
    core = ARUN(2, 4, controller_size=3, dtype=torch.float64)
    n, s = torch.rand(4, dtype=torch.float64) + 1, torch.rand(4, dtype=torch.float64)
    # a controller that reads nothing gives the same n and s to all: compare with such a one
    with torch.no_grad():
        core.controller.weight_gc.zero_()
        core.controller.bias_gc.copy_(torch.tensor([n[0], s[0]]))
    static = freeze(core, n[0].expand(4), s[0].expand(4))
    x = torch.randn(6, 3, 2, dtype=torch.float64)
    assert torch.allclose(core(x)[0], static(x)[0], atol=1e-12)
    with pytest.raises(InputError, match="ARUN"):
        freeze(torch.nn.GRU(1, 2), n, s)


def test_any_network():
    kwargs = {"durations": (8, 12, 4), "trials": 2}
    for cell in (torch.nn.GRUCell(3, 4), torch.nn.LSTM(1, 4), RNN(2, 4, nonlinearity="gamma")):
        for into in ("drive", "input"):
            found = gain_scaling(cell, [1, 2, 3, 4], into=into, **kwargs)
            assert found.output_variance.dims == ("xi", "neuron")
            assert np.isfinite(found.slope).all()


def test_errors():
    cell = torch.nn.GRUCell(1, 2)
    with pytest.raises(InputError, match="amplitudes"):
        gain_scaling(cell, [1, 2, 3])
    with pytest.raises(InputError, match="amplitudes"):
        gain_scaling(cell, [0, 1, 2, 3])
    for durations in ((3, 20, 20), (20, 3, 20), (20, 20, -1)):
        with pytest.raises(InputError, match="durations"):
            gain_scaling(cell, durations=durations)
    with pytest.raises(InputError, match="trials"):
        gain_scaling(cell, trials=0)
    with pytest.raises(InputError, match="into"):
        gain_scaling(cell, into="outside")
    with pytest.raises(InputError, match="xi"):
        fit_scaling(xr.DataArray(np.zeros(5), dims="seed"))
