"""Figure 4: verdicts on planted responses and orders; measures of the real protocols."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from adaptrnn import InputError
from adaptrnn.config import TrainConfig
from adaptrnn.paper import figure4
from adaptrnn.paper.item import RunData


def outcomes(verdicts):
    return [one.outcome for one in verdicts]


@pytest.mark.long
def test_step_reads_the_run_s_analysis_and_draws(collected, holds):
    data = collected(figure4.ITEM)
    # 200/784 of 64 steps, the length of the sequences of digits; the runs hold nothing else
    assert data.steps.values.ravel().tolist() == [16, 16]
    assert data.sizes["time"] == 48 and float(data.time[0]) == -16
    holds(figure4.ITEM, data)


def test_step_tells_the_trained_length_from_the_paper_s(collected):
    """Each half of the analysis must go where it belongs: both are planted, with other values."""
    data = collected(figure4.ITEM)
    run = collected.data(figure4.ITEM)
    analysis = run.analyses["step_response"]
    planted = analysis.assign(
        n_mean_r2=xr.full_like(analysis.n_mean_r2, 0.25),
        n_mean_r2_trained=xr.full_like(analysis.n_mean_r2, 0.75),
    )
    found = figure4.measure(replace(run, analyses={"step_response": planted}))
    assert (found.n_mean_r2 == 0.75).all() and (found.n_mean_r2_long == 0.25).all()
    np.testing.assert_array_equal(found.h_mean, data.h_mean.isel(role=0, model=0, seed=0))
    old = replace(run, analyses={"step_response": analysis.drop_attrs()})
    with pytest.raises(InputError, match="adaptrnn analyze step_response runs/one --force"):
        figure4.measure(old)


@pytest.mark.parametrize(
    ("n", "s", "depends", "expected"),
    [
        (0.95, 0.92, 1.0, "reproduced"),
        (0.95, 0.5, 1.0, "partly"),
        (0.95, 0.92, 0.0, "partly"),  # the same at every drive
        (0.1, 0.5, 0.0, "not"),
    ],
)
def test_step_verdict(collected, n, s, depends, expected):
    data = collected(figure4.ITEM)
    planted = {
        f"{name}_mean_r2": xr.where(data.xi >= 1, value, 0.0).broadcast_like(data.n_mean_r2)
        for name, value in (("n", n), ("s", s))
    }
    # 0 or 1 times xi, and seeds that differ a little
    change = depends * data.xi + 0.001 * data.seed * data.xi
    flat = 0.001 * data.seed + 0 * data.xi
    for name in ("n", "s"):
        for key in ("jump", "steady"):
            course = (change if depends else flat).broadcast_like(data[f"{name}_mean_{key}"])
            planted[f"{name}_mean_{key}"] = course
        planted[f"{name}_r2"] = xr.zeros_like(data[f"{name}_r2"])  # each neuron is only shown
    assert outcomes(figure4.judge(data.assign(planted))) == [expected]


@pytest.mark.long
def test_orders_of_the_protocol(collected, holds):
    data = collected(figure4.NEURON_ORDERS)
    assert data.sizes["neuron"] == 8
    holds(figure4.NEURON_ORDERS, data)


def orders(data, inside, isolated, null=0.0):
    """Every neuron's order: a mean with a spread of 0.1 over neurons, the same at all drives."""
    spread = xr.DataArray(np.tile([-0.1, 0.1], 4), dims="neuron", coords={"neuron": data.neuron})
    networks = {"network": ["interacting", "isolated"]}
    # not the same spread in both, or all differences were equal and no t could be computed
    mean, size = xr.DataArray([inside, isolated], networks), xr.DataArray([1.0, 0.9], networks)
    order = (mean + size * spread).broadcast_like(data.order).transpose(*data.order.dims)
    return order, order - null


def planted_run(data, order, excess):
    """What `measure_orders` makes of an analysis with these orders, of two seeds alike."""
    at = {"role": 0, "model": 0, "seed": 0}
    one = order.isel(at, drop=True)
    whole = xr.Dataset({"order": one, "null_order": one - excess.isel(at, drop=True)})
    run = RunData(
        TrainConfig("digits"), analyses={"fractional": whole.expand_dims(signal=["h", "n"])}
    )
    found = figure4.measure_orders(run).expand_dims(role=["psmnist"], model=["arun"], seed=[0])
    return xr.concat([found, found.assign_coords(seed=[1])], "seed")


@pytest.mark.parametrize(
    ("inside", "isolated", "null", "expected"),
    [
        (0.3, -0.2, 0.0, "reproduced"),
        (0.3, -0.2, 0.5, "reproduced"),  # below a memoryless unit of that amplitude: shown only
        (0.5, 0.2, 0.0, "partly"),  # shifted down, but isolated none differentiates
        (-0.3, 0.2, 0.0, "partly"),  # heterogeneous, but with the other signs
    ],
)
def test_orders_verdict(collected, inside, isolated, null, expected):
    data = collected(figure4.NEURON_ORDERS)
    found = planted_run(data, *orders(data, inside, isolated, null))
    assert outcomes(figure4.judge_orders(found)) == [expected, "not judged"]
    shift = found["shift"].sel(quantity="order", estimator="paper")
    np.testing.assert_allclose(shift, isolated - inside, atol=1e-6)  # float32
    # eight pairs that all fall: 1 of 2^8 sign patterns
    want = 1 / 256 if isolated < inside else 1.0
    np.testing.assert_allclose(found.p.sel(quantity="order", estimator="paper"), want)


def test_alike_neurons_with_one_sign_are_not_the_claim(collected):
    data = collected(figure4.NEURON_ORDERS)
    order, _ = orders(data, 0.2, 0.1)
    alike = xr.where(order.network == "isolated", 0.2, -0.2).broadcast_like(order)
    found = planted_run(data, alike.transpose(*order.dims), alike * 0)
    assert figure4.judge_orders(found)[0].outcome == "not"


def test_neurons_without_an_order_are_left_out_and_counted(collected):
    """Two of eight neurons have no order in the network: shares are of the other six."""
    data = collected(figure4.NEURON_ORDERS)
    order, excess = orders(data, 0.3, -0.2)
    silent = (data.neuron < 2) & (order.network == "interacting")
    order = order.where(~silent).transpose(*order.dims)
    found = figure4.judge_orders(planted_run(data, order, excess))[0]
    assert found.outcome == "reproduced"
    shares = [part.number for part in found.parts if "alpha > 0" in part.quantity]
    assert shares == ["100%"] * 2
    count = 2 * 2 * data.sizes["xi"]  # neurons, seeds, drives
    assert f"{count} of {4 * count} pairs" in found.note


def tasks(first, second, spread=0.01):
    """Mean orders of two tasks over three seeds, the same in all protocols and estimators."""
    xi = [0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0]
    # seeds differ, and more at larger drives, or no t of a change with the drive could be computed
    apart = spread * (1 + 0.1 * np.arange(len(xi)))
    rows = [[np.add(row, (k - 1) * apart) for k in range(3)] for row in (first, second)]
    order = xr.DataArray(
        np.array(rows)[:, None],
        coords={
            "role": ["psmnist", "scifar10-conv"],
            "model": ["arun"],
            "seed": [0, 1, 2],
            "xi": xi,
        },
        dims=("role", "model", "seed", "xi"),
    )
    return xr.Dataset(
        {
            "order": order.expand_dims(
                protocol=["A", "B"],
                estimator=["paper", "scale-free"],
                network=["interacting", "isolated"],
            )
        }
    )


RISING = [-0.2, 0.0, 0.1, 0.15, 0.2, 0.2, 0.2]
LINE = np.log([0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0]) / 10


@pytest.mark.long
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (RISING, np.add(RISING, 0.3), "reproduced"),
        (RISING, RISING, "partly"),  # the tasks do not differ
        (LINE, np.add(LINE, 0.3), "reproduced"),  # no plateau, which is shown only
        (np.negative(RISING), np.add(np.negative(RISING), 0.3), "partly"),  # it falls
        ([*[0.1] * 6, 0.0999], [*[0.1] * 6, 0.0999], "not"),
    ],
)
def test_tasks_verdict(first, second, expected, holds):
    data = tasks(first, second)
    assert outcomes(figure4.judge_tasks(data)) == [expected, "not judged"]
    if expected == "reproduced":
        holds(figure4.TASK_ORDERS, data)


def test_one_task_alone_is_no_data():
    data = tasks(RISING, RISING)
    missing = data.where(data.role == "psmnist")
    found = figure4.judge_tasks(missing)
    assert outcomes(found) == ["no data", "not judged"]
    assert "two seeds" in found[0].note


def test_tasks_measure(collected):
    data = collected(figure4.TASK_ORDERS)
    assert data.order.sizes["role"] == 2
    figure4.judge_tasks(data)
