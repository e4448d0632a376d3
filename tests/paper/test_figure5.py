"""Figure 5: verdicts on planted states, distances, exponents and eigenvalues; real protocols."""

import numpy as np
import pytest
import xarray as xr

from adaptrnn.paper import figure5


def outcomes(verdicts):
    return [one.outcome for one in verdicts]


@pytest.mark.parametrize(
    "item", [figure5.MANIFOLD, figure5.LEVELS, figure5.EXPONENTS, figure5.SPECTRUM]
)
def test_measures_of_the_protocols_are_drawn_and_judged(item, collected, holds):
    data = collected(item)
    holds(item, data)
    assert data.nbytes < 100_000  # 2 seeds; the tables of all items go into one repository


@pytest.mark.parametrize(
    ("share", "monotone", "correlation", "expected"),
    [
        ([0.8, 0.15], 1.0, -1.0, "reproduced"),
        ([0.5, 0.15], 1.0, 1.0, "partly"),
        ([0.5, 0.15], 0.0, 0.2, "not"),
    ],
)
def test_manifold(collected, share, monotone, correlation, expected):
    data = collected(figure5.MANIFOLD)
    shares = xr.DataArray(share, {"component": data.component}).broadcast_like(data["share"])
    planted = data.assign(
        share=shares,
        monotone=xr.full_like(data.monotone, monotone),
        rank_correlation=xr.full_like(data.rank_correlation, correlation),
    )
    assert outcomes(figure5.judge_manifold(planted)) == [expected]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 0.005, "reproduced"), (0.2, 0.05, "partly"), (0.01, 0.05, "not")],
)
def test_levels(collected, low, high, expected):
    data = collected(figure5.LEVELS)
    residual = xr.where(data.xi >= 5, high, low).broadcast_like(data.residual)
    assert outcomes(figure5.judge_levels(data.assign(residual=residual))) == [expected]
    # the drive at which eps was fitted says nothing about the prediction
    spoiled = data.assign(residual=residual.where(data.xi != 10, 9.0))
    assert outcomes(figure5.judge_levels(spoiled)) == [expected]


def exponents(data, course, adaptive, fixed):
    """The same course of the exponent for all drives; two numbers at the strongest drive."""
    after = xr.DataArray(course, {"delay": data.delay}).broadcast_like(data.after_onset)
    two = xr.DataArray([adaptive, fixed], {"condition": ["adaptive", "fixed"]})
    return data.assign(after_onset=after, lyapunov=two.broadcast_like(data.lyapunov))


@pytest.mark.parametrize(
    ("course", "adaptive", "fixed", "expected"),
    [
        ([-0.5, -0.2, -0.1, 0.01], -0.001, -0.5, ["reproduced"] * 2),
        ([-0.5, -0.2, -0.1, 0.6], -0.1, -0.5, ["not"] * 2),
        ([0.5, 0.2, 0.1, 0.05], 0.0, -0.5, ["reproduced"] * 2),  # exactly at the edge
        ([0.5, 0.2, 0.1, 0.05], -0.1, -np.inf, ["reproduced"] * 2),  # silenced
    ],
)
def test_exponents(collected, course, adaptive, fixed, expected):
    data = exponents(collected(figure5.EXPONENTS), course, adaptive, fixed)
    assert outcomes(figure5.judge_exponents(data)) == expected


def test_definitions_that_disagree_are_told(collected):
    data = exponents(collected(figure5.EXPONENTS), [-0.5, -0.2, -0.1, 0.0], -0.001, -0.5)
    other = data.lyapunov.where(data.definition != "full", -0.5)
    found = figure5.judge_exponents(data.assign(lyapunov=other))[1]
    assert found.outcome == "partly"
    assert [part.holds for part in found.parts] == ["yes", "yes", "no"]


@pytest.mark.parametrize(
    ("arun", "relu", "expected"),
    [(1.3, 1.01, "reproduced"), (1.3, 1.2, "partly"), (1.01, 1.2, "not")],
)
def test_spectrum(collected, arun, relu, expected):
    data = collected(figure5.SPECTRUM)
    radius = xr.DataArray([relu, arun], {"model": ["relu", "arun"]})
    planted = data.assign(radius=radius.broadcast_like(data.radius))
    assert outcomes(figure5.judge_spectrum(planted)) == [expected]


def test_radius_without_the_other_network_is_no_data(collected):
    data = collected(figure5.SPECTRUM, models=["arun"])
    assert outcomes(figure5.judge_spectrum(data)) == ["no data"]
