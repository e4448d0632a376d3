"""gamma against reference values, its limits, its identities and every transform of torch."""

from __future__ import annotations

import csv

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.func import jacrev, jvp, vmap

from adaptrnn._error import InputError
from adaptrnn.activation import Gamma, gamma, gamma_dn, gamma_ds, gamma_dx, gamma_sup_slope

# From the specification: relative to the largest term of the sum. The smallest normal number is
# added because below it a float has no relative accuracy at all.
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}

gains = st.one_of(st.floats(1e-6, 1e3), st.floats(-1e3, -1e-6))
currents = st.floats(-1e4, 1e4)
saturations = st.floats(-0.5, 1.5)


def quadruple(x: float, n: float, s: float) -> dict[str, tuple[float, float]]:
    """Values and the largest term of their sum, in numpy's extended precision."""
    x, n, s = np.longdouble(x), np.longdouble(n), np.longdouble(s)
    u = n * x
    e = np.exp(-abs(u))
    g1 = (max(u, np.longdouble(0)) + np.log1p(e)) / n
    g2 = (1 if u >= 0 else e) / (1 + e)
    both = e / (1 + e) ** 2
    dn1 = -(abs(u) * e / (1 + e) + np.log1p(e)) / n**2

    def total(*terms: np.longdouble) -> tuple[float, float]:
        return float(sum(terms)), float(max(abs(term) for term in terms))

    return {
        "value": total((1 - s) * g1, s * g2),
        "dx": total((1 - s) * g2, s * n * both),
        "dn": total((1 - s) * dn1, s * x * both),
        "ds": total(g2, -g1),
    }


def ours(x: float, n: float, s: float, dtype: torch.dtype) -> dict[str, float]:
    args = [torch.tensor(value, dtype=dtype, requires_grad=True) for value in (x, n, s)]
    value = gamma(*args)
    dx, dn, ds = torch.autograd.grad(value, args)
    return {"value": value.item(), "dx": dx.item(), "dn": dn.item(), "ds": ds.item()}


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=500, deadline=None)
@given(x=currents, n=gains, s=saturations)
def test_value_and_gradients_are_accurate_everywhere(dtype, x, n, s):
    x, n, s = (torch.tensor(value, dtype=dtype).item() for value in (x, n, s))
    got, want = ours(x, n, s, dtype), quadruple(x, n, s)
    for name, (value, largest) in want.items():
        assert np.isfinite(got[name])
        bound = TOLERANCE[dtype] * largest + torch.finfo(dtype).tiny
        assert abs(got[name] - value) <= bound, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reference_table(golden, dtype):
    with open(golden / "gamma.csv", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert len(rows) > 100
    for row in rows:
        point = [torch.tensor(row[key], dtype=dtype).item() for key in "xns"]
        got, sizes = ours(*point, dtype), quadruple(*point)
        columns = {"value": "gamma", "dx": "dgamma_dx", "dn": "dgamma_dn", "ds": "dgamma_ds"}
        for name, column in columns.items():
            # in float32 the point itself is rounded (x = .1 is not 1e-1): |n x| roundings of 6e-8
            moved = 0 if dtype is torch.float64 else 2e-7 * (1 + abs(row["n"] * row["x"]))
            # the table is rounded at 1e-40: it has 0 where dgamma/dn at n x = 200 is -1e-87
            bound = (TOLERANCE[dtype] + moved) * max(sizes[name][1], abs(row[column])) + 1e-40
            assert abs(got[name] - row[column]) <= bound, (row, name)


def test_limits():
    x = torch.linspace(-6, 6, 241, dtype=torch.float64)
    away = x[x.abs() > 0.04]
    assert torch.allclose(gamma(x, 1.0, 0.0), torch.nn.functional.softplus(x), atol=1e-15)
    assert torch.allclose(gamma(x, 1.0, 1.0), torch.sigmoid(x), atol=1e-15)
    # softplus(n x)/n - relu(x) <= ln(2)/n = 7e-7 at n = 1e6
    assert torch.allclose(gamma(x, 1e6, 0.0), torch.relu(x), atol=1e-6)
    # away from 0, sigmoid(n x) is within exp(-1e6 * .04) of the step
    assert torch.allclose(gamma(away, 1e6, 1.0), (away > 0).double(), atol=1e-6)
    # slope as n -> 0: (1-s)/2, off by O(n x)
    for s in (0.0, 0.3, 1.0):
        limit = torch.full_like(x, (1 - s) / 2)
        assert torch.allclose(gamma_dx(x, 1e-9, s), limit, atol=1e-8)
        assert torch.allclose(gamma_dx(x, -1e-9, s), limit, atol=1e-8)


@settings(max_examples=200, deadline=None)
@given(x=st.floats(-50, 50), n=st.floats(0.01, 100), s=saturations)
def test_reflection(x, n, s):
    """gamma(x; -n, 0) = -gamma(-x; n, 0) and g2(x; -n) = g2(-x; n)."""
    x = torch.tensor(x, dtype=torch.float64)
    mirrored = -(1 - s) * gamma(-x, n, 0.0) + s * gamma(-x, n, 1.0)
    assert torch.allclose(gamma(x, -n, s), mirrored, rtol=1e-12, atol=1e-300)


@settings(max_examples=100, deadline=None)
@given(n=st.floats(0.05, 50), s=st.floats(-0.5, 1.0))
def test_largest_slope(n, s):
    u = torch.linspace(-40, 40, 200_001, dtype=torch.float64)
    top = gamma_dx(u / n, n, s).max()
    # the slope is a parabola in p = sigmoid(u); the grid of u in steps of 4e-4 misses its top by
    # at most n |s| (dp)^2 with dp <= 1e-4 / 2, and the plateau 1-s by exp(-40)
    assert torch.isclose(gamma_sup_slope(n, s).double(), top, rtol=1e-6, atol=1e-6)


def test_gradients_to_second_order():
    x = torch.tensor([-3.0, -0.2, 0.0, 0.7, 4.0], dtype=torch.float64, requires_grad=True)
    n = torch.tensor([2.0, -1.5, 0.3, 5.0, 1.0], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([0.3, -0.1, 1.0, 0.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gamma, (x, n, s), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(gamma, (x, n, s))


def test_broadcast_gradients_are_summed():
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    n = torch.full((3,), 2.0, dtype=torch.float64, requires_grad=True)
    s = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gamma, (x, n, s))


def test_transforms():
    x = torch.linspace(-2, 2, 7, dtype=torch.float64)
    n, s = torch.full_like(x, 3.0), torch.full_like(x, 0.4)
    assert torch.allclose(vmap(gamma)(x, n, s), gamma(x, n, s))
    assert torch.allclose(vmap(gamma, in_dims=(0, None, None))(x, n[0], s[0]), gamma(x, n, s))
    for argument, slope in enumerate((gamma_dx, gamma_dn, gamma_ds)):
        expected = slope(x, n, s)
        assert torch.allclose(jacrev(gamma, argument)(x, n, s).diagonal(), expected)
        tangents = [torch.zeros_like(x) for _ in range(3)]
        tangents[argument] = torch.ones_like(x)
        assert torch.allclose(jvp(gamma, (x, n, s), tuple(tangents))[1], expected)
    # two levels: the Hessian by forward over reverse is the derivative of the slope
    hessian = torch.func.jacfwd(jacrev(gamma))(x[3], n[3], s[3])
    assert torch.isclose(hessian, n[3] * (1 - s[3]) / 4)  # at x = 0


def test_compile_gives_the_same_numbers():
    x = torch.randn(64, dtype=torch.float32, requires_grad=True)
    compiled = torch.compile(lambda x: gamma(x, 5.0, 0.1), backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(x), gamma(x, 5.0, 0.1))
    (got,) = torch.autograd.grad(compiled(x).sum(), x)
    (want,) = torch.autograd.grad(gamma(x, 5.0, 0.1).sum(), x)
    assert torch.equal(got, want)


def test_nan_propagates():
    nan = torch.tensor(float("nan"))
    one = torch.tensor(1.0)
    for arguments in ((nan, one, one), (one, nan, one), (one, one, nan)):
        assert gamma(*arguments).isnan()


def test_module_and_errors():
    layer = Gamma(3, n=2.0, s=0.5, learn_s=False)
    assert layer.n.requires_grad and not layer.s.requires_grad
    assert torch.equal(layer(torch.ones(2, 3)), gamma(torch.ones(2, 3), 2.0, 0.5))
    assert Gamma(n=2.0)(torch.ones(4)).shape == (4,)
    with pytest.raises(InputError, match=r"x.shape=\(2, 4\)"):
        layer(torch.ones(2, 4))
    with pytest.raises(InputError, match="n=0"):
        Gamma(n=0)
    with pytest.raises(InputError, match="floating"):
        gamma(torch.arange(3), 1.0, 0.0)
    with pytest.raises(InputError, match="broadcast"):
        gamma(torch.ones(3), torch.ones(2), 0.0)
