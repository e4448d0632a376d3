"""Lyapunov exponents against closed forms, published values and identities."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from adaptrnn._error import InputError, NotFiniteError
from adaptrnn.activation import gamma, gamma_dx, gamma_sup_slope
from adaptrnn.analysis.lyapunov_exponent import ConvergenceWarning, first_frame, lyapunov, system_of
from adaptrnn.analysis.system import as_system
from adaptrnn.arun import ARUN, ARUNState
from adaptrnn.rnn import RNN

pytestmark = pytest.mark.filterwarnings(
    "ignore::adaptrnn.analysis.lyapunov_exponent.ConvergenceWarning"
)


def linear_map(matrix):
    return as_system(lambda x, h: h @ matrix.mT, torch.zeros(1, len(matrix)).to(matrix))


def non_normal(eigenvalues, size=0.7):
    """A matrix with the given eigenvalues and a far from orthogonal basis."""
    count = len(eigenvalues)
    basis = torch.eye(count, dtype=torch.float64)
    basis += size * torch.randn(count, count, dtype=torch.float64).triu(1)
    values = torch.tensor(eigenvalues, dtype=torch.float64)
    return basis @ torch.diag(values) @ torch.linalg.inv(basis)


def test_linear_map_gives_the_eigenvalues():
    eigenvalues = [1.1, -0.9, 0.6, 0.3]
    found = lyapunov(linear_map(non_normal(eigenvalues)), k=None, steps=100, burn_in=200)
    # the flag converges as (0.9 / 1.1)^200 = 4e-18
    want = np.log(np.abs(eigenvalues))
    np.testing.assert_allclose(found.lyapunov[0], want, atol=1e-12)
    assert bool(found.converged.all())


@pytest.mark.parametrize("size", [3, 40])
@pytest.mark.parametrize(("least", "most"), [(1.01, 20.0), (0.05, 0.99), (0.25, 4.0)])
def test_growth_that_spreads_far_within_an_interval(least, most, size):
    """All expanding, all contracting, or both: over ten steps the growths are 10^12 apart.

    Of three numbers by QR alone, of 40 as a layer, by LU between: without factoring within the
    interval the smallest would keep four digits.
    """
    eigenvalues = np.geomspace(most, least, size).tolist()
    matrix = non_normal(eigenvalues, 0.05)
    network = linear_map(matrix)
    if size > 3:
        network = RNN(1, size, nonlinearity="linear", bias=False).double()
        with torch.no_grad():
            network.weight_hh_l0.copy_(matrix)
    found = lyapunov(network, k=None, steps=60, burn_in=700)
    # neighbours are at least 7% apart: (1 / 1.07)^700 = 3e-21 is left of the first frame
    np.testing.assert_allclose(found.lyapunov[0], np.log(eigenvalues), atol=1e-8)
    assert found.sizes["sample"] == 1 and bool(found.converged.all())


def test_orthogonal_map_gives_zero():
    """E44: the QR of an orthogonal matrix has a unit diagonal at every step."""
    matrix = torch.linalg.qr(torch.randn(50, 50, dtype=torch.float64))[0]
    found = lyapunov(linear_map(matrix), k=None, steps=200, burn_in=0)
    np.testing.assert_allclose(found.running, 0, atol=1e-13)  # roundings of 1e-16


def test_logistic_map():
    """ln 2 at r = 4, exact: the map is conjugate to the tent map (Ott 2002, ch. 2)."""
    model = as_system(lambda x, h: 4 * h * (1 - h), torch.zeros(1, 1, dtype=torch.float64))
    start = torch.rand(1000, 1, dtype=torch.float64)
    found = lyapunov(model, steps=1000, burn_in=20, state=start, tolerance=0.1)
    mean, error = found.lyapunov.mean(), found.lyapunov.std() / math.sqrt(1000)
    assert abs(mean - math.log(2)) < 4 * error < 1e-2
    assert found.positive_sum.mean() == mean
    assert (found.kaplan_yorke == 1).all()  # all exponents are known and lengths do not shrink


@pytest.mark.long
def test_henon_map():
    """0.41922 and -1.62319, dimension 1.25827 (Sprott 2003, Chaos and Time-Series Analysis)."""

    def henon(x, z):
        return torch.stack([1 - 1.4 * z[:, 0] ** 2 + z[:, 1], 0.3 * z[:, 0]], 1)

    model = as_system(henon, torch.zeros(1, 2, dtype=torch.float64))
    start = 0.1 * torch.rand(1000, 2, dtype=torch.float64)
    found = lyapunov(model, k=2, steps=1000, burn_in=100, state=start)
    error = float(found.lyapunov.std("sample").max()) / math.sqrt(1000)
    mean = found.lyapunov.mean("sample")
    assert error < 1e-3
    np.testing.assert_allclose(mean, [0.41922, -1.62319], atol=4 * error)
    # the determinant is -0.3 everywhere
    np.testing.assert_allclose(found.lyapunov.sum("exponent"), math.log(0.3), atol=1e-12)
    # D = 1 + l1 / |l2|, of derivative at most 1 / 1.6 in each
    assert abs(float(found.kaplan_yorke.mean()) - 1.25827) < 4 * error


@pytest.mark.long
def test_lorenz_flow():
    """0.9056, 0, -14.5723 per unit of time (Sprott 2003), by Runge-Kutta steps of 0.02."""
    step = 0.02

    def field(z):
        x, y, w = z.unbind(1)
        return torch.stack([10 * (y - x), x * (28 - w) - y, x * y - 8 / 3 * w], 1)

    def runge_kutta(_, z):
        a = field(z)
        b = field(z + step / 2 * a)
        c = field(z + step / 2 * b)
        d = field(z + step * c)
        return z + step / 6 * (a + 2 * b + 2 * c + d)

    model = as_system(runge_kutta, torch.zeros(1, 3, dtype=torch.float64))
    start = torch.randn(2000, 3, dtype=torch.float64) + torch.tensor([0.0, 0.0, 20.0])
    start = model.run(z=start, steps=1500)[-1]
    found = lyapunov(model, k=3, steps=200, burn_in=400, state=start) / step
    mean = found.lyapunov.mean("sample")
    error = found.lyapunov.std("sample") / math.sqrt(2000)
    assert float(error.max()) < 0.02
    assert bool((abs(mean - [0.9056, 0, -14.5723]) < 4 * error).all())
    # the divergence is -(10 + 1 + 8/3); along the stiffest direction a step multiplies by
    # 1 + u + ... + u^4/24 in place of exp u, u = -14.6 / 50: u^5/120 / .02 = 1e-3 off per time
    np.testing.assert_allclose(found.lyapunov.sum("exponent"), -41 / 3, atol=5e-3)


def plain(network, x, steps, burn_in=0):
    """The plain way: a whole Jacobian and a QR for every step, in NumPy; one sample.

    Also how far rounding may put each exponent off. A QR of size S keeps a diagonal element to
    about S eps of the largest one: little is left of one that a silent unit makes very small.
    """
    w, u = network.weight_hh_l0.double(), network.weight_ih_l0.double()
    b, n, s = network.bias_ih_l0 + network.bias_hh_l0, network.n_l0, network.s_l0
    h, total, lost = torch.zeros(len(w), dtype=torch.float64), 0, 0
    q = first_frame(h[None], len(w), seed=0)[0].numpy()
    with torch.no_grad():
        for t in range(burn_in + steps):
            a = w @ h + u @ x[t] + b.double()
            jacobian = (gamma_dx(a, n, s)[:, None] * w).numpy()
            q, r = np.linalg.qr(jacobian @ q)
            h = gamma(a, n, s)
            if t >= burn_in:
                diagonal = np.abs(np.diag(r))
                total = total + np.log(diagonal)
                lost = lost + len(w) * np.finfo(float).eps * diagonal.max() / diagonal
    return total / steps, lost / steps


@pytest.mark.parametrize("interval", [1, 7, 40])
@pytest.mark.parametrize(("n", "s"), [("paper", 0.0), (2.0, 0.5)])
def test_all_exponents_by_lu_are_those_of_a_qr_at_every_step(n, s, interval):
    """Well conditioned (n = 2, s = 1/2) and with silent units (the paper's n, s = 0)."""
    network = RNN(1, 40, nonlinearity="gamma", n=n, s=s, recurrent_init="haar")
    x = torch.rand(140, 1, dtype=torch.float64)
    found = lyapunov(network, x, k=None, burn_in=40, interval=interval)
    want, lost = plain(network, x, 100, 40)
    assert want.min() < (-5 if n == "paper" else -1)  # a growth of 1e-2 or 1e-1 at every step
    # the rule keeps every factor to eps^0.6 = 4e-10; more where errors of the frame add up
    assert np.all(np.abs(found.lyapunov[0] - want) < 1e-7 + 1e-7 * np.abs(want) + lost)


def test_sum_is_the_mean_log_determinant():
    network = RNN(2, 64, nonlinearity="gamma", n=3.0, s=0.3).double()
    x = torch.randn(100, 3, 2, dtype=torch.float64)
    found = lyapunov(network, x, k=None, burn_in=40)
    model = as_system(network)
    z, total = model.start(3), 0
    for t, x_t in enumerate(x):
        z, jacobian = model.jacobian(x_t, z)
        total = total + (torch.linalg.slogdet(jacobian)[1] if t >= 40 else 0)
    # 60 steps of 64 logarithms, each rounded to 1e-15
    np.testing.assert_allclose(found.lyapunov.sum("exponent"), total.numpy() / 60, atol=1e-10)


def test_qr_is_the_factor_of_the_explicit_product():
    """E44: the product of all Jacobians, in 3,000 digits."""
    network = RNN(1, 5, nonlinearity="gamma", n=1.5, s=0.5).double()
    with torch.no_grad():
        network.weight_hh_l0.copy_(torch.randn(5, 5) / 5**0.5)  # states stay bounded
    model = as_system(network)
    x = torch.randn(100, 1, 1, dtype=torch.float64)
    found = lyapunov(network, x, k=None, burn_in=0, seed=3)
    z = model.start()
    first = first_frame(z, 5, seed=3)
    with mpmath.workdps(3000):
        product = mpmath.matrix(first[0].tolist())
        for x_t in x:
            z, jacobian = model.jacobian(x_t, z)
            product = mpmath.matrix(jacobian[0].tolist()) * product
        # its own limit is absolute, and the square of a contracting product is far below it
        r = mpmath.cholesky(product.T * product, tol=mpmath.mpf(10) ** -5000).T
        by_qr = [float(mpmath.log(abs(r[i, i])) / 100) for i in range(5)]
        singular = mpmath.svd_r(product, compute_uv=False)
        by_svd = [float(mpmath.log(value) / 100) for value in singular]
    # 100 roundings of 1e-15 where rounding does not decide; at least the first three are such
    known = found.resolved[0].values
    assert known[:3].all()
    np.testing.assert_allclose(found.lyapunov[0][known], np.array(by_qr)[known], atol=1e-10)
    # at finite T the two definitions differ by a constant over T, of order 1 / 100
    np.testing.assert_allclose(np.sort(by_qr)[::-1], by_svd, atol=0.05)


def test_qr_equals_svd():
    """E44 without the constant: of a fixed matrix, growth from 300 to 600 steps, to 1e-6."""
    matrix = non_normal([1.2, -0.9, 0.7, 0.5])
    found = lyapunov(linear_map(matrix), k=None, steps=300, burn_in=300)
    with mpmath.workdps(400):
        power = mpmath.matrix(matrix.tolist()) ** 300
        first = mpmath.svd_r(power, compute_uv=False)
        second = mpmath.svd_r(power * power, compute_uv=False)
        by_svd = [float(mpmath.log(b / a) / 300) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found.lyapunov[0], by_svd, atol=1e-6)


def test_driven_neurons_without_connections():
    """Neurons that see only themselves: lambda_i = mean ln |w_i gamma'(a_i)|, a scalar each.

    The volume of the first k columns of the frame is the norm, over all sets S of k neurons, of
    det Q_S exp(T sum of lambda over S), with Q the first frame. Of these the set of the k largest
    lambda is one, with the largest factor, and all det Q_S^2 add up to 1. So the sum of the first k
    exponents is at most that of the k largest lambda, and less by at most -ln |det Q_S| / T.
    """
    network = RNN(1, 6, nonlinearity="gamma", n=4.0, s=0.4).double()
    # far apart, and with the same input: their order is the same from the first steps on, so that
    # rounding does not hide a column of the frame before its turn
    weights = torch.tensor([0.9, 0.6, 0.4, 0.25, 0.12, -0.05], dtype=torch.float64)
    with torch.no_grad():
        network.weight_hh_l0.copy_(torch.diag(weights))
        network.weight_ih_l0.fill_(0.5)
        for bias in (network.bias_ih_l0, network.bias_hh_l0):
            bias.zero_()
    x = torch.randn(1200, 1, dtype=torch.float64)
    drive, n, s = 0.3, network.n_l0.detach(), network.s_l0.detach()
    found = lyapunov(network, x, k=None, drive=drive, burn_in=0)
    logs, h = [], torch.zeros(6, dtype=torch.float64)
    for x_t in x:
        a = weights * h + 0.5 * x_t + drive
        h = gamma(a, n, s)
        logs.append((weights * gamma_dx(a, n, s)).abs().log())
    want = torch.stack(logs).mean(0)
    assert (want.diff() < -0.1).all()
    frame = first_frame(h[None], 6, seed=0)[0]
    less = [-float(torch.linalg.slogdet(frame[:k, :k])[1]) / 1200 for k in range(1, 7)]
    gap = want.numpy().cumsum() - found.lyapunov[0].values.cumsum()
    assert (gap >= -1e-12).all() and (gap <= np.array(less) + 1e-12).all()
    assert found.lyapunov.max() < 0 and bool((found.kaplan_yorke == 0).all())


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_torch_cells_against_finite_differences(kind):
    cell = kind(2, 3, dtype=torch.float64)
    with torch.no_grad():
        cell.weight_hh.mul_(2)
    x = torch.randn(120, 1, 2, dtype=torch.float64)
    found = lyapunov(cell, x, k=None, burn_in=0, seed=1)
    model = as_system(cell)
    size = model.size
    z, total = model.start(), 0
    q = first_frame(z, size, seed=1)[0]
    shift = 1e-6 * torch.eye(size, dtype=torch.float64)
    with torch.no_grad():
        for x_t in x:
            many = x_t.expand(size, -1)
            ahead, behind = model.step(many, z + shift, None), model.step(many, z - shift, None)
            q, r = torch.linalg.qr((ahead - behind).mT / 2e-6 @ q)
            total = total + r.diagonal().abs().log()
            z = model.step(x_t, z, None)
    # differences are good to 1e-10, relative to diagonal elements down to about 1e-3
    np.testing.assert_allclose(found.lyapunov[0], total / 120, atol=1e-6)


@pytest.mark.long
def test_leading_exponents_are_the_first_of_all():
    network = ARUN(1, 5, controller_size=3).double()
    x = torch.rand(400, 2, 1, dtype=torch.float64)
    every = lyapunov(network, x, k=None, burn_in=300)
    some = lyapunov(network, x, k=3, burn_in=300)
    assert every.sizes["exponent"] == 20
    np.testing.assert_allclose(some.lyapunov, every.lyapunov[:, :3], atol=1e-12)
    model, _ = system_of(network)
    slow = lyapunov(replace(model, push=None), x, k=3, burn_in=300)
    np.testing.assert_allclose(some.lyapunov, slow.lyapunov, atol=1e-10)


@pytest.mark.long
def test_definitions():
    """With a controller that reads nothing the three systems have the same rates."""
    network = ARUN(1, 6, controller_size=4).double()
    with torch.no_grad():
        network.controller.weight_gc.zero_()
        network.controller.bias_gc.copy_(torch.tensor([3.0, 0.2]))
        # rotations times less than 1 over the steepest slope: the network contracts whatever is
        # drawn, so that roundings of the state die out
        network.weight_hh_l0.mul_(0.95 / gamma_sup_slope(3.0, 0.2))
    x = torch.rand(600, 1, 1, dtype=torch.float64)
    static = RNN(1, 6, nonlinearity="gamma", n=3.0, s=0.2).double()
    shared = {k: v for k, v in network.state_dict().items() if "controller" not in k}
    static.load_state_dict(shared, strict=False)
    frozen = lyapunov(network, x, k=6, definition="frozen", burn_in=300)
    alone = lyapunov(static, x, k=6, burn_in=300)
    np.testing.assert_allclose(frozen.lyapunov, alone.lyapunov, atol=1e-12)
    autonomous = lyapunov(network, k=6, steps=300, definition="paper")
    without = static
    with torch.no_grad():
        without.bias_ih_l0.zero_()
        without.bias_hh_l0.zero_()
    assert autonomous.lyapunov.max() < 0
    for definition in ("paper", "full"):
        other = lyapunov(without, k=6, steps=300, definition=definition)
        np.testing.assert_allclose(autonomous.lyapunov, other.lyapunov, rtol=0, atol=1e-10)
    # the whole state: block triangular, so the volume is that of h times that of the controllers
    full = lyapunov(network, x, k=None, burn_in=300)
    squeezed = torch.log(1 - network.trace(x).g[300:, 0] ** 2).mean(0).sum()
    rotated = 6 * torch.linalg.slogdet(network.controller.weight_gg)[1]
    want = frozen.lyapunov.sum().item() + squeezed.item() + rotated.item()
    model, _ = system_of(network)
    _, rounding = log_determinant(model, model.start(1), x, 300)
    assert float(full.lyapunov.sum()) == pytest.approx(want, abs=rounding)


def log_determinant(model, z, inputs, burn_in):
    """Mean ln |det J| after the burn-in (B,), and how far rounding may put a sum of exponents off.

    A Householder QR of A = J Q, of size S, is that of a matrix whose columns are off by at most
    about S eps |A| (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 19.3).
    This changes ln |det A| by S times S eps cond(J). Only a few digits are lost where the
    Jacobian is well conditioned; a silent neuron makes it ill conditioned.
    """
    total, condition = 0, 0
    for t, x_t in enumerate(inputs):
        z, jacobian = model.jacobian(x_t, z)
        if t >= burn_in:
            total = total + torch.linalg.slogdet(jacobian)[1]
            condition = condition + torch.linalg.cond(jacobian)
    steps = len(inputs) - burn_in
    rounding = model.size**2 * torch.finfo(z.dtype).eps * float(condition.max()) / steps
    return (total / steps).numpy(), rounding


def test_gains_are_frozen_at_the_state_of_the_controller():
    network = ARUN(1, 4, controller_size=3).double()
    core = network.controller
    # multiples of 1/8 and 1/64: in whatever order they are multiplied and added, nothing is rounded
    g = torch.randint(-16, 17, (1, 2, 4, 3)).double() / 8
    with torch.no_grad():
        core.weight_gc.copy_(torch.randint(-4, 5, (2, 3)) / torch.tensor([[8.0], [64.0]]))
        core.bias_gc.copy_(torch.tensor([6.0, 0.25]))
        n, s = (g[0] @ core.weight_gc.mT + core.bias_gc).unbind(-1)
        # contracts, whatever is drawn: roundings of the state die out, those of the QRs remain
        network.weight_hh_l0.mul_(0.95 / gamma_sup_slope(n, s).max())
    state = ARUNState(torch.rand(1, 2, 4, dtype=torch.float64), g)
    own = lyapunov(network, k=4, steps=50, state=state, definition="paper")
    given = lyapunov(network, k=4, steps=50, state=state, definition="paper", n=n, s=s)
    want, rounding = log_determinant(
        *system_of(network, "paper", state, n=n, s=s), [None] * 150, 100
    )
    assert own.lyapunov.max() < 0 and rounding < 1e-8
    np.testing.assert_allclose(own.lyapunov, given.lyapunov, rtol=0, atol=10 * rounding)
    np.testing.assert_allclose(own.lyapunov.sum("exponent"), want, rtol=0, atol=10 * rounding)
    for sample in range(2):
        single = ARUNState(state.h[:, [sample]], torch.zeros(1, 1, 4, 3, dtype=torch.float64))
        one = lyapunov(
            network, k=4, steps=50, state=single, definition="paper", n=n[sample], s=s[sample]
        )
        total = own.lyapunov[sample].sum()  # the sum does not depend on the first frame
        np.testing.assert_allclose(one.lyapunov[0].sum(), total, rtol=0, atol=10 * rounding)


def test_definitions_of_a_network_whose_curve_is_fixed():
    """Frozen and full are the same, and the paper's leaves out bias and input alone."""
    network = RNN(1, 3, nonlinearity="tanh").double()
    options = {"k": None, "steps": 40, "burn_in": 10, "tolerance": 1e9}
    frozen, full = (lyapunov(network, definition=name, **options) for name in ("frozen", "full"))
    np.testing.assert_array_equal(frozen.lyapunov, full.lyapunov)
    bare = RNN(1, 3, nonlinearity="tanh", bias=False).double()
    bare.load_state_dict({name: network.state_dict()[name] for name in bare.state_dict()})
    start = torch.rand(2, 3, dtype=torch.float64)
    paper = lyapunov(network, definition="paper", state=start, **options)
    want = lyapunov(bare, state=start, **options)
    np.testing.assert_allclose(paper.lyapunov, want.lyapunov, atol=1e-10)
    assert abs(paper.lyapunov[0] - full.lyapunov[0]).max() > 1e-3


@pytest.mark.parametrize("definition", ["paper", "frozen", "full"])
@pytest.mark.parametrize("adaptive", [False, True])
def test_a_system_is_for_reading(adaptive, definition):
    """No gradient comes out of it."""
    network = ARUN(1, 3, controller_size=2) if adaptive else RNN(1, 3, nonlinearity="gamma")
    whole = as_system(network)
    model, state = system_of(network, definition, torch.rand(2, whole.size))
    assert not model.step(None, state, None).requires_grad
    if not adaptive:
        model, state = system_of(network, "frozen", torch.rand(2, 3), n=2.0)
        assert not model.step(None, state, None).requires_grad


def test_float32_agrees():
    network = RNN(1, 48, nonlinearity="gamma", n=3.0, s=0.3)
    x = torch.rand(300, 1)
    double = lyapunov(network, x, k=None, burn_in=100)
    single = lyapunov(network, x, k=None, burn_in=100, dtype=None)
    assert single.attrs["dtype"] == "float32"
    # the rule keeps each factor to 7e-5; near-equal exponents may be exchanged by less than 1e-3
    np.testing.assert_allclose(single.lyapunov, double.lyapunov, atol=1e-3)


@pytest.mark.long
@pytest.mark.filterwarnings("error")
def test_convergence():
    model = as_system(lambda x, h: 4 * h * (1 - h), torch.zeros(1, 1, dtype=torch.float64))
    start = torch.full((1, 1), 0.3, dtype=torch.float64)
    with pytest.warns(ConvergenceWarning, match=r"to 0\.01 .*give more steps than 40"):
        few = lyapunov(model, steps=40, burn_in=0, state=start)
    assert not few.converged.any()
    many = lyapunov(model, steps=4000, state=start, tolerance=0.05)
    assert many.converged.all()
    np.testing.assert_array_equal(many.time[-2:], [3990, 4000])
    np.testing.assert_allclose(many.running[-1], many.lyapunov)
    # the blocks' standard error is of the size of the true error
    assert abs(many.lyapunov.item() - math.log(2)) < 5 * many.standard_error.item()


@pytest.mark.long
@pytest.mark.parametrize("repeats", [1, 3])
def test_what_counts_as_converged(repeats):
    """Standard error and change over the last half, both at most tolerance max(1, |exponent|)."""

    def step(x, h):  # ln 2, or 3 ln 2
        for _ in range(repeats):
            h = 4 * h * (1 - h)
        return h

    model = as_system(step, torch.zeros(1, 1, dtype=torch.float64))
    start = torch.tensor([[0.3], [0.7]], dtype=torch.float64)
    found = lyapunov(model, steps=400, state=start).isel(exponent=0)
    change = abs(found.lyapunov - found.running.sel(time=200))
    worst = np.maximum(found.standard_error, change) / np.maximum(1, abs(found.lyapunov))
    for sample in range(2):
        for factor in (0.99, 1.01):
            tolerance = factor * float(worst[sample])
            again = lyapunov(model, steps=400, state=start, tolerance=tolerance)
            assert bool(again.converged[sample, 0]) == (factor > 1)


def test_the_standard_error_is_that_of_the_means_of_the_blocks():
    model = as_system(lambda x, h: 4 * h * (1 - h), torch.zeros(1, 1, dtype=torch.float64))
    start = torch.tensor([[0.3], [0.7]], dtype=torch.float64)
    found = lyapunov(model, steps=900, state=start)
    sums = np.diff(found.running * found.time, axis=0, prepend=0)[..., 0]  # of ten steps each
    blocks = found.attrs["blocks"]
    assert len(sums) == 90 and blocks == 9
    means = (sums / 10).reshape(blocks, -1, 2).mean(1)
    want = stats.sem(means)
    np.testing.assert_allclose(found.standard_error[:, 0], want)
    half = stats.t.ppf(0.975, blocks - 1) * want
    np.testing.assert_allclose(found.high[:, 0] - found.lyapunov[:, 0], half)
    np.testing.assert_allclose(found.lyapunov[:, 0] - found.low[:, 0], half)


def test_singular_jacobians_give_minus_infinity():
    network = RNN(1, 3, nonlinearity="relu").double()
    with torch.no_grad():
        network.weight_hh_l0.copy_(torch.diag(torch.tensor([0.5, 0.25, 0.5])))
        network.bias_ih_l0.copy_(torch.tensor([1.0, 1.0, -9.0]))
        network.bias_hh_l0.zero_()
    found = lyapunov(network, k=None, steps=100)
    np.testing.assert_allclose(found.lyapunov[0, :2], np.log([0.5, 0.25]), atol=1e-10)
    assert float(found.lyapunov[0, 2]) < -30 and bool(found.converged.all())  # rounding or -inf


def test_a_partial_last_interval_counts():
    matrix = non_normal([0.9, 0.5])
    found = lyapunov(linear_map(matrix), k=2, steps=25, burn_in=100)
    np.testing.assert_array_equal(found.time, [10, 20, 25])
    np.testing.assert_allclose(found.lyapunov[0], np.log([0.9, 0.5]), atol=1e-12)


def test_errors():
    network = RNN(1, 3)
    with pytest.raises(InputError, match="k=4"):
        lyapunov(network, k=4, steps=100)
    with pytest.raises(InputError, match="steps=5"):
        lyapunov(network, steps=5)
    with pytest.raises(InputError, match="Did you mean 'paper'"):
        lyapunov(network, steps=100, definition="papers")
    with pytest.raises(InputError, match="works for every network"):
        lyapunov(nn.GRUCell(1, 3), steps=100, definition="paper")
    with pytest.raises(InputError, match="where the network sets them"):
        lyapunov(network, steps=100, n=1.0)
    with pytest.raises(InputError, match="drive='a tensor': must be None with definition='paper'"):
        lyapunov(network, steps=100, definition="paper", drive=1.0)
    gated, state = RNN(1, 3, nonlinearity="gamma"), torch.zeros(2, 3)
    for shape in ((4,), (3, 3), (1, 2, 3)):
        with pytest.raises(InputError, match=r"n\.shape"):
            lyapunov(gated, steps=100, definition="frozen", n=torch.ones(shape), state=state)
    for option in ({"burn_in": -1}, {"interval": 0}):
        with pytest.raises(InputError, match="burn_in, interval"):
            lyapunov(network, steps=100, **option)
    with pytest.raises(InputError, match="k=0"):
        lyapunov(network, k=0, steps=100)
    doubling = as_system(lambda x, h: h + 1e308, torch.zeros(1, 1, dtype=torch.float64))
    with pytest.raises(NotFiniteError, match="stay finite"):
        lyapunov(doubling, steps=100)


def test_gains_frozen_at_rest_serve_every_sequence():
    """Two sequences alike, given together: one exponent each, with the sum of the determinants.

    Each sample has another first frame, so its own rounding. With n near 6 some neurons are all
    but silent at some steps, where the Jacobian has a condition of up to 1e11.
    """
    x = torch.rand(40, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 2, -1)
    network = ARUN(1, 4, controller_size=3)
    found = lyapunov(network, x, k=None, definition="frozen", burn_in=10, tolerance=1e9)
    model, _ = system_of(network, "frozen", dtype=torch.float64)
    want, rounding = log_determinant(model, model.start(2), x.double(), 10)
    assert found.sizes["sample"] == 2 and rounding < 1e-4 * abs(want[0])
    np.testing.assert_allclose(found.lyapunov.sum("exponent"), want, rtol=0, atol=rounding)


def test_several_threads_give_the_exponents_of_one():
    # torch's batched LU is wrong on a CPU with several threads for matrices above about 150
    network = RNN(1, 200, nonlinearity="gamma", n=5.0, s=0.0, recurrent_init="haar").double()
    x, h = torch.rand(30, 3, 1).double(), torch.rand(1, 3, 200).double()
    w, u = network.weight_hh_l0.detach(), network.weight_ih_l0.detach()

    def step(x, h):  # the same layer, but its Jacobian is not known in closed form
        return gamma(h @ w.mT + x @ u.mT, network.n_l0.detach(), network.s_l0.detach())

    ways = [(network, h), (as_system(step, h[0], input_size=1), h[0])]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for model, start in ways:
                with pytest.warns(ConvergenceWarning):
                    found.append(lyapunov(model, x, k=None, burn_in=0, state=start))
    finally:
        torch.set_num_threads(before)
    want, resolved = found[0].lyapunov.values, found[0].resolved.values
    assert resolved.mean() > 0.9
    for other in found[1:]:
        value = other.lyapunov.values
        # the smallest growths of a step are down to 1e-6 of the largest, so an error of
        # S eps = 4e-14 is one of 4e-8 of them: leave a tenth out, whose growths are above 1e-4
        np.testing.assert_allclose(value[:, :180], want[:, :180], rtol=1e-8, atol=1e-8)
        # and of those, what `resolved` promises: 1% of every growth
        np.testing.assert_allclose(value[resolved], want[resolved], rtol=0, atol=0.01)
