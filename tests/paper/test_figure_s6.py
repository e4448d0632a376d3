"""Figure S6: the norm of orthogonal matrices, planted maps, and measures of real protocols."""

import numpy as np
import pytest
import torch
import xarray as xr

from adaptrnn.analysis.jacobian import jacobian_norm
from adaptrnn.config import TrainConfig
from adaptrnn.init import haar_
from adaptrnn.paper import figure_s6
from adaptrnn.paper.item import RunData, combine


def outcomes(verdicts):
    return [one.outcome for one in verdicts]


def test_norms_are_those_of_the_definition():
    """For an orthogonal W the largest slope is the spectral norm, whatever the W.

    Means over random h of the same law: 400, which give the law's standard deviation, and 20. The
    norms of a steep curve have a long tail, so 8 standard errors of a mean of 20.
    """
    n, s = [1.0, 5.0, 15.0], [0.0, 0.5, 1.0]
    weight = haar_(torch.empty(60, 60, dtype=torch.float64))
    exact = jacobian_norm(weight, n, s, samples=400, seed=3)
    grid = torch.tensor(n, dtype=torch.float64)[:, None], torch.tensor(s, dtype=torch.float64)
    fast = figure_s6.norms(*grid, neurons=60, seed=3).numpy()
    error = exact.standard_error.values * np.sqrt(400 / 20)
    assert (np.abs(fast - exact.norm.values) <= 8 * error + 1e-6).all()


def test_norm_of_a_slope_that_is_known_everywhere():
    """A very large gain with s = 0 is a ReLU: the largest slope is 1."""
    one = figure_s6.norms(torch.tensor(1e4).double(), torch.tensor(0.0).double(), neurons=30)
    assert abs(float(one) - 1) < 1e-6


def test_norm_item(holds):
    data = figure_s6.measure_norm(draws=2)
    assert holds(figure_s6.NORM, data)[0].outcome == "reproduced"
    exact = data.assign(norm=data.sup_slope.broadcast_like(data.norm))
    assert outcomes(figure_s6.judge_norm(exact)) == ["reproduced"]
    flat = data.assign(norm=xr.full_like(data.norm, 1.5))
    assert outcomes(figure_s6.judge_norm(flat)) == ["not"]


@pytest.mark.long
def test_trained_norm(collected, holds):
    data = collected(figure_s6.TRAINED_NORM)
    holds(figure_s6.TRAINED_NORM, data)
    exact = data.assign(norm=data.sup_slope.broadcast_like(data.norm))
    scaled = exact.norm.where(exact.weights == "initial", 1.3 * exact.norm)
    (found,) = figure_s6.judge_trained_norm(exact.assign(norm=scaled))
    assert found.outcome == "not judged"
    assert [part.holds for part in found.shown] == ["yes", "no"] * 2


def test_exponents_of_untrained_networks(holds):
    data = figure_s6.measure_regions(draws=2, neurons=20, steps=60)
    holds(figure_s6.REGION_EXPONENTS, data)
    # s = 1, n = 1: a sigmoid, whose slope is at most 1/4 everywhere
    assert float(data.lyapunov.sel(n=1.0, s=1.0).max()) <= np.log(0.25) + 1e-6


@pytest.mark.parametrize(
    ("second", "expected"),
    [(0.3, "reproduced"), (-0.5, "partly")],  # two regions; one, which is stable
)
def test_regions(second, expected):
    data = figure_s6.measure_regions(draws=2, neurons=4, steps=40)
    plain = xr.where(data.n > 5, second, -0.5).broadcast_like(data.lyapunov)
    assert outcomes(figure_s6.judge_regions(data.assign(lyapunov=plain))) == [expected]
    unstable = plain.where(data.draw == 0, -plain)
    found = figure_s6.judge_regions(data.assign(lyapunov=unstable))
    assert found[0].parts[0].holds == "no"


N, S = [1.0, 5.0, 10.0, 20.0], [0.0, 0.5, 1.0]


def grid(accuracy, move, seeds=(0, 1)):
    """Planted runs: accuracy as a function of the norm, (n, s) moved by a function."""

    def planted(n, s, learned, seed):
        config = TrainConfig(
            "digits", "gamma-shared", n=str(n), s=s, seed=seed, learn_curve=learned
        )
        end = move(n, s) if learned else (n, s)
        weights = {f"core.{k}_l0": torch.tensor(v) for k, v in zip("ns", end, strict=True)}
        norm = float(figure_s6.norms(*(torch.tensor(v, dtype=torch.float64) for v in end)))
        # seeds differ a little, and what was learned is a little better
        value = accuracy(norm) + 0.001 * seed + 0.002 * learned
        evaluation = xr.Dataset({"accuracy": ("condition", [value])}, {"condition": ["clean"]})
        return RunData(config, evaluation=evaluation, weights=weights)

    runs = [
        ("psmnist", planted(n, s, learned, seed))
        for seed in seeds
        for n in N
        for s in S
        for learned in (False, True)
    ]
    return combine(figure_s6.GRID_ACCURACY, runs)


def good(norm):
    return 0.9 - 0.2 * abs(np.log(norm)) - 0.1 * (norm > 1.02)


@pytest.mark.long
def test_grid_is_put_together_and_judged(holds):
    data = grid(good, lambda n, s: (5.0, 0.0))
    assert data.accuracy.dims[3:] == ("start_n", "start_s", "learned")
    assert data.accuracy.notnull().all() and data.sizes["start_n"] == len(N)
    found = holds(figure_s6.GRID_ACCURACY, data)
    assert outcomes(found) == ["reproduced", "reproduced"]
    # a seed alone cannot hold by a standard error
    assert outcomes(figure_s6.judge_grid(data.isel(seed=[0]))) == ["partly", "partly"]


def test_a_grid_that_has_not_learned_is_not_judged():
    data = grid(lambda norm: good(norm) / 4, lambda n, s: (5.0, 0.0))
    assert outcomes(figure_s6.judge_grid(data)) == ["not trained enough"] * 2


def test_grid_the_other_way_round():
    away = grid(lambda norm: 1 - good(norm), lambda n, s: (n, s + 0.2))
    found = figure_s6.judge_grid(away)
    assert found[0].outcome == "not"
    assert found[1].shown[0].holds == "no"  # they move away from the norm of 1
    worse = away.assign(accuracy=away.accuracy.where(away.learned == 0, 0.01))
    assert figure_s6.judge_grid(worse)[1].outcome == "not"


def test_curves_that_hardly_moved_are_said_to_test_little():
    still = figure_s6.judge_grid(grid(good, lambda n, s: (n + 0.15, s - 0.13)))[1].note
    assert "at most by 0.15 in n and by 0.13 in s" in still and "barely tested" in still
    assert "barely" not in figure_s6.judge_grid(grid(good, lambda n, s: (5.0, 0.0)))[1].note


def test_learned_alone_knows_the_norm_but_no_map():
    data = grid(good, lambda n, s: (5.0, 0.0))
    found = figure_s6.judge_grid(data.sel(learned=[1]))
    assert outcomes(found) == ["no data", "no data"]
    assert found[1].shown[0].holds == "yes" and {p.holds for p in found[1].parts} == {"no data"}
