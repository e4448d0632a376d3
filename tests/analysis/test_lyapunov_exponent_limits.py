"""Where exponents end: rounding, loss of rank, intervals, and steps that are no maps of samples."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import mpmath
import numpy as np
import pytest
import torch
from torch import nn

from adaptrnn._error import InputError
from adaptrnn.activation import gamma
from adaptrnn.analysis._closed import tanh_slope
from adaptrnn.analysis.jacobian import jacobian_product
from adaptrnn.analysis.lyapunov_exponent import (
    ConvergenceWarning,
    _Rounding,
    lyapunov,
)
from adaptrnn.analysis.system import as_system
from adaptrnn.arun import ARUN
from adaptrnn.rnn import RNN

pytestmark = pytest.mark.filterwarnings(
    "ignore::adaptrnn.analysis.lyapunov_exponent.ConvergenceWarning"
)


# all exponents from the product of all Jacobians, in as many digits as are asked for
exact = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "resolved.py"))["exact"]


@pytest.mark.parametrize("drive", [3.0, 10.0])
def test_what_is_called_resolved_is_right(drive):
    """A strong drive saturates a controller: exponents down to -70, where float64 ends at -36.

    In some of these networks rounding grows over several steps, because a small direction overtakes
    another: a rule about single steps would call such exponents right.
    """
    steps, digits, first = 20, 300, 1000 * torch.initial_seed()
    called, right, wrong = 0, 0, 0
    least = -math.log(10) * (digits - 60) / steps  # below it the digits of `exact` end
    for seed in range(8):
        torch.manual_seed(first + seed)
        network = ARUN(1, 3, controller_size=4).double()
        found = lyapunov(network, k=None, steps=steps, burn_in=0, drive=drive, tolerance=1e9)
        want, value = exact(network, steps, drive, digits), found.lyapunov.values[0]
        resolved, known = found.resolved.values[0], want > least
        # an element is allowed 1% of error in the worst step of 20, if all were as bad: 0.01
        np.testing.assert_allclose(value[resolved & known], want[resolved & known], atol=0.01)
        near = known & (np.abs(value - want) < 0.01)
        called, right = called + (near & resolved).sum(), right + near.sum()
        wrong += (known & ~near & ~resolved).sum()
        assert not found.converged.values[0][~resolved].any()
        assert found.converged.values[0][resolved].all()  # the tolerance allows everything else
    assert wrong > 0 and called > 0.6 * right  # some are hidden, and few that are right


def test_what_may_be_rounding_is_said():
    network = ARUN(1, 3, controller_size=4).double()
    with pytest.warns(ConvergenceWarning, match="may be rounding of float64"):
        found = lyapunov(network, k=None, steps=20, burn_in=0, drive=10.0, tolerance=1e9)
    assert 0 < (~found.resolved).sum() < 15
    with pytest.warns(ConvergenceWarning, match="may be rounding of float64"):
        some = lyapunov(network, k=12, steps=20, burn_in=0, drive=10.0, tolerance=1e9)
    # of a part of the exponents a bound decides, which is stricter
    assert not (some.resolved & ~found.resolved[:, :12]).any()


def test_the_error_that_is_followed_is_that_of_a_disturbed_factor():
    """Frame and product disturbed by numbers: the diagonal changes as the linear rule says."""
    generator = np.random.default_rng(torch.initial_seed())
    size = 6
    q = np.linalg.qr(generator.standard_normal((size, size)))[0]
    product = generator.standard_normal((size, size)) @ q
    turned = np.tril(generator.standard_normal((size, size)), -1)
    basis, factor = np.linalg.qr(product)
    rounding = _Rounding((size, size), 1e-7 / 10.0)
    noise = np.roll(rounding.noise, 1, 0) * np.linalg.norm(factor, axis=0)
    rounding.error[:] = 1e-7 * turned
    rounding.passes(factor)
    after, changed = np.linalg.qr(product @ (np.eye(size) + 1e-7 * turned) + basis @ noise)
    # of the second order, 1e-14 over 1e-7, and float32: condition of the factor times 1e-7
    rough = 1e-5 * np.linalg.cond(factor)
    signs = np.sign(np.diag(changed) / np.diag(factor))
    lean = np.tril(basis.T @ (after * signs), -1) / 1e-7  # how far the subspaces lean
    np.testing.assert_allclose(
        rounding.error / 1e-7, lean, rtol=rough, atol=rough * abs(lean).max()
    )


@pytest.mark.parametrize("interval", [1, 10])
@pytest.mark.parametrize("closed", [True, False])
def test_silent_units(interval, closed):
    """m silent units at once: a product of that rank, so the last m exponents are -inf."""
    network = RNN(1, 40, nonlinearity="relu", init="paper", recurrent_init="haar").double()
    x = torch.randn(40, 2, 1).double()
    w, u, h = network.weight_hh_l0.detach(), network.weight_ih_l0.detach(), torch.zeros(2, 40)
    bias = (network.bias_ih_l0 + network.bias_hh_l0).detach()
    h, silent = h.double(), []
    for x_t in x:
        a = h @ w.mT + x_t @ u.mT + bias
        h = a.clamp(min=0)
        silent.append((a <= 0).sum(1))
    most = torch.stack(silent[10:]).amax(0)
    model = network
    if not closed:
        model = as_system(lambda x, h: torch.relu(h @ w.mT + x @ u.mT + bias), h, input_size=1)
    found = lyapunov(model, x, k=None, burn_in=10, interval=interval)
    for sample in range(2):
        value, rank = found.lyapunov.values[sample], 40 - int(most[sample])
        assert 0 < rank < 40
        assert np.isneginf(value[rank:]).all() and np.isfinite(value[:rank]).all()
        assert found.converged.values[sample][rank:].all()
    some = lyapunov(model, x, k=35, burn_in=10, interval=interval)
    np.testing.assert_array_equal(np.isneginf(some.lyapunov), np.isneginf(found.lyapunov)[:, :35])


def test_a_loss_of_rank_before_counting_is_forgotten():
    """The unit is silent in the burn-in only: what counts has full rank."""
    network = RNN(1, 1, nonlinearity="relu", init="paper").double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.5)
    x = torch.ones(60, 1, 1).double()
    x[:20] = -9
    found = lyapunov(network, x, burn_in=20)
    np.testing.assert_allclose(found.lyapunov, math.log(0.5), atol=1e-14)


@pytest.mark.parametrize("current", [0.0, 0.3, 9.0, 25.0, -40.0, 300.0])
def test_slope_of_a_saturated_tanh(current):
    with mpmath.workdps(300):
        want = mpmath.sech(mpmath.mpf(current)) ** 2
        got = tanh_slope(torch.tensor(current, dtype=torch.float64)).item()
        assert abs(got / want - 1) < 1e-13  # exp(-2a) has a relative rounding of 2a eps
    # one neuron at a constant current: ln |w| + ln sech^2
    network = nn.RNN(1, 1).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_({"weight_hh_l0": 1e-9, "bias_ih_l0": current}.get(name, 0.0))
    found = lyapunov(network, steps=40).lyapunov.item()
    assert found == pytest.approx(math.log(1e-9) + float(mpmath.log(want)), abs=1e-7)


def test_dimension_of_a_map_that_keeps_volumes():
    """Arnold's cat map: exponents +-ln((3 + sqrt 5)/2), so all of the plane; one does not tell."""
    cat = torch.tensor([[2.0, 1.0], [1.0, 1.0]]).double()
    model = as_system(lambda x, z: (z @ cat.mT).remainder(1), torch.zeros(1, 2).double())
    start = torch.tensor([[0.1, 0.2]]).double()
    found = lyapunov(model, k=None, steps=100, state=start)
    golden = math.log((3 + math.sqrt(5)) / 2)
    np.testing.assert_allclose(found.lyapunov[0], [golden, -golden], atol=1e-12)
    grown = as_system(lambda x, z: z @ (1.01 * cat.mT) % 1, torch.zeros(1, 2).double())
    assert float(lyapunov(grown, k=None, steps=100, state=start).kaplan_yorke[0]) == 2
    assert lyapunov(grown, k=1, steps=100, state=start).kaplan_yorke.isnull().all()


def noisy_growth(batch, steps=250, burn_in=50):
    """z -> z exp(x), x standard normal: exponent 0, and in a run the mean of its x."""
    x = torch.randn(steps, batch, 1, dtype=torch.float64)
    x[:burn_in] += 3  # and what does not count
    model = as_system(lambda x, z: z * x.exp(), torch.zeros(1, 1).double(), input_size=1)
    found = lyapunov(model, x, burn_in=burn_in, tolerance=1e9)
    return found, x[burn_in:, :, 0].numpy()


def test_every_counted_step_counts_once():
    found, x = noisy_growth(5)
    np.testing.assert_allclose(found.lyapunov[:, 0], x.mean(0), atol=1e-13)
    for at, value in zip(found.time.values, found.running.values, strict=True):
        np.testing.assert_allclose(value[:, 0], x[:at].mean(0), atol=1e-12)


def test_standard_error_and_its_interval():
    """Of independent steps: 1/sqrt(T), and 95% by Student's t, of which the blocks are normal."""
    runs = 4000
    found, _ = noisy_growth(runs)
    blocks = found.attrs["blocks"]
    assert blocks == 4  # 200 steps are 20 intervals
    spread = math.sqrt(float((found.standard_error**2).mean()))
    # the mean of 4000 x 3 squares is good to sqrt(2 / 12000) = 1.3%, its root to 0.65%
    assert spread == pytest.approx(1 / math.sqrt(200), rel=0.03)
    covered = float(((found.low <= 0) & (found.high >= 0)).mean())
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs)
    np.testing.assert_allclose((found.low + found.high) / 2, found.lyapunov, atol=1e-14)


def test_the_autonomous_definition_takes_neither_input_nor_drive():
    network = ARUN(1, 3, controller_size=2)
    for given in ({"x": torch.zeros(100, 1)}, {"drive": 1.0}):
        with pytest.raises(InputError, match="must be None with definition='paper'"):
            lyapunov(network, steps=50, burn_in=0, definition="paper", **given)


def mixing(x, h):
    return torch.tanh(h + 0.1 * h.mean(0))


def cut_off(x, h):
    return torch.tanh(h.detach())


def growing(x, h):
    return torch.cat([h, h], 1)


def by_numpy(x, h):
    return torch.from_numpy(np.tanh(h.numpy()))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (mixing, "mixing.*treats the samples of a batch independently"),
        (cut_off, "cut_off.*without .detach"),
        (growing, r"from state \(2, 3\) to \(2, 6\)"),
        (by_numpy, "by_numpy.*NumPy"),
    ],
)
@pytest.mark.parametrize("analysis", [lyapunov, jacobian_product])
def test_steps_that_are_no_map_of_each_sample(analysis, step, message):
    model = as_system(step, torch.zeros(1, 3).double())
    with pytest.raises(InputError, match=message):
        analysis(model, steps=200, state=torch.rand(2, 3).double())


def test_a_step_that_overflows_at_once_is_not_blamed_for_mixing():
    model = as_system(lambda x, h: h / 0, torch.zeros(1, 3).double())
    with pytest.raises(InputError, match="stay finite"):
        lyapunov(model, steps=200, state=torch.rand(2, 3).double())


def test_arrays_of_numpy_are_inputs_too():
    network, x = nn.GRUCell(2, 3).double(), torch.rand(150, 1, 2).double()
    found = lyapunov(network, x.numpy(), state=np.zeros((1, 3)))
    assert found.equals(lyapunov(network, x, state=torch.zeros(1, 3).double()))


@pytest.mark.parametrize("analysis", [lyapunov, jacobian_product])
def test_values_that_are_not_finite_are_named(analysis):
    network, x = nn.GRUCell(2, 3), torch.rand(150, 1, 2)
    x[7, 0, 1] = math.nan
    with pytest.raises(InputError, match=r"x\[7, 0, 1\]=nan"):
        analysis(network, x)
    with pytest.raises(InputError, match=r"drive\[3, 0, 0\]=inf"):
        drive = torch.zeros(150, 1, 3)
        drive[3] = math.inf
        analysis(network, steps=150, drive=drive)
    with pytest.raises(InputError, match=r"state\[0, 2\]=nan"):
        analysis(network, steps=150, state=torch.tensor([[0.0, 0.0, math.nan]]))
    with torch.no_grad():
        network.weight_hh[1, 2] = math.nan
    with pytest.raises(InputError, match=r"weight_hh\[1, 2\]=nan"):
        analysis(network, steps=150)


def test_rounding_is_followed_alike_in_a_closed_layer_and_in_a_step():
    """The layer goes by LU and LAPACK, its step by derivatives and QR: their factors differ."""
    network = RNN(1, 40, nonlinearity="gamma", n=10.0, s=0.3, recurrent_init="haar").double()
    x = torch.rand(40, 2, 1).double()
    w, u = network.weight_hh_l0.detach(), network.weight_ih_l0.detach()
    bias = (network.bias_ih_l0 + network.bias_hh_l0).detach()

    def step(x, h):
        return gamma(h @ w.mT + x @ u.mT + bias, network.n_l0.detach(), network.s_l0.detach())

    general = as_system(step, torch.zeros(2, 40).double(), input_size=1)
    both = [lyapunov(one, x, k=None, burn_in=0).resolved.values for one in (network, general)]
    # where an error comes near 1%, the two may decide differently: one of 20 at most
    assert (both[0] != both[1]).mean() <= 0.05
    assert both[0].mean() > 0.8


def test_some_of_the_exponents_are_right_where_they_are_said_to_be():
    """With fewer than all, by a bound over four steps in turn, against 300 digits."""
    steps, digits, first, seen = 20, 300, 1000 * torch.initial_seed(), 0
    least = -math.log(10) * (digits - 60) / steps
    for seed in range(6):
        torch.manual_seed(first + seed)
        network = ARUN(1, 3, controller_size=4).double()
        want = exact(network, steps, 10.0, digits)[:14]
        found = lyapunov(network, k=14, steps=steps, burn_in=0, drive=10.0, tolerance=1e9)
        told = found.resolved.values[0] & (want > least)
        np.testing.assert_allclose(found.lyapunov.values[0][told], want[told], atol=0.01)
        seen += told.sum()
    assert seen > 12
