"""One rule for NaN in every analysis: an error that names the argument and the place."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from adaptrnn import ARUN, RNN, Classifier
from adaptrnn._error import InputError
from adaptrnn.analysis import (
    as_system,
    controller_manifold,
    gain_scaling,
    gradient_norm,
    heterogeneity,
    jacobian_norm,
    level_residual,
    level_set,
    noise_variance,
    respond,
    spectrum,
    step_response,
    sweep,
)
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis.curve_parameter import activation_parameters
from adaptrnn.analysis.response import describe_step
from adaptrnn.analysis.robustness import area, compare
from adaptrnn.analysis.scaling import fit_scaling, freeze
from adaptrnn.analysis.transfer import accuracy, compare_transplant, retrain_activation, rotate

NAN = math.nan


def curve(*values):
    return xr.DataArray(list(values), dims="xi", coords={"xi": np.arange(1.0, len(values) + 1)})


def broken(network, name="weight_hh_l0", place=(1, 0)):
    with torch.no_grad():
        network.get_parameter(name)[place] = NAN
    return network


def gamma_network():
    return RNN(1, 3, nonlinearity="gamma", n=2.0)


def poisoned(x, h):
    """A step of the user's own whose second rate turns into NaN where the drive is strong."""
    h = torch.tanh(h)
    return torch.stack([h[:, 0], torch.where(h[:, 0] > -2, NAN, h[:, 1]), h[:, 2]], 1)


START = torch.zeros(1, 3)
X = torch.rand(12, 2, 1)
BAD_X = X.index_fill(0, torch.tensor([4]), NAN)
MATRIX = torch.tensor([[1.0, 0.0], [NAN, 1.0]])
SHORT = {"durations": (10, 20, 5)}


def squares(h):
    return h.square().sum()


def cloud(n):
    return xr.Dataset({"n": ("neuron", n), "s": ("neuron", [0.0, 0.1, 0.2])})


CASES = {
    "spectrum": (lambda: spectrum(MATRIX), r"network\[1, 0\]=nan"),
    "spectrum of weights": (lambda: spectrum(broken(RNN(1, 3))), r"weight_hh\[1, 0\]=nan"),
    "jacobian_norm": (lambda: jacobian_norm(MATRIX, n=[1.0], s=[0.0]), r"network\[1, 0\]=nan"),
    "jacobian_norm n": (lambda: jacobian_norm(torch.eye(2), [1.0, NAN], [0.0]), r"n\[1\]=nan"),
    "gain_scaling": (
        lambda: gain_scaling(poisoned, [1, 2, 3, 4], state=START, into="input", **SHORT),
        r"network: h\[0, 0, 1\]=nan.*time, trial, neuron",
    ),
    "gain_scaling weights": (
        lambda: gain_scaling(broken(gamma_network()), [1, 2, 3, 4], **SHORT),
        r"network: h\[",
    ),
    "gain_scaling xi": (
        lambda: gain_scaling(gamma_network(), [1, 2, NAN, 4], **SHORT),
        r"amplitudes\[2\]=nan",
    ),
    "step_response": (
        lambda: step_response(gamma_network(), [1.0, NAN], **SHORT),
        r"amplitudes\[1\]=nan",
    ),
    "step_response noise": (
        lambda: step_response(gamma_network(), [1.0], noise=NAN, **SHORT),
        r"stimulus\[0, 0, 0\]=nan",
    ),
    "respond": (lambda: respond(gamma_network(), [NAN]), r"amplitudes\[0\]=nan"),
    "respond weights": (lambda: respond(broken(gamma_network())), r"network: h\["),
    "describe_step": (
        lambda: describe_step(np.r_[np.zeros(20), NAN, np.zeros(20)], (5, 40)),
        r"response\[time=20\]=nan",
    ),
    "fit_scaling": (lambda: fit_scaling(curve(1.0, 2.0, NAN, 3.0)), r"steady\[xi=3.0\]=nan"),
    "freeze": (
        lambda: freeze(ARUN(1, 2, controller_size=2), torch.tensor([1.0, NAN]), torch.zeros(2)),
        r"n\[1\]=nan",
    ),
    "gradient_norm": (lambda: gradient_norm(RNN(1, 3), BAD_X, squares), r"x\[4, 0, 0\]=nan"),
    "gradient_norm loss": (
        lambda: gradient_norm(RNN(1, 3), X, lambda h: squares(h).log() * NAN),
        "loss=nan",
    ),
    "gradient_norm weights": (
        lambda: gradient_norm(broken(RNN(1, 3)), X, squares),
        r"weight_hh_l0\[1, 0\]=nan",
    ),
    "gradient_norm drive": (
        lambda: gradient_norm(RNN(1, 3), X, squares, drive=NAN),
        "drive=nan",
    ),
    "noise_variance": (lambda: noise_variance(1.0, 0.0, [0.1, NAN]), r"sigma\[1\]=nan"),
    "noise_variance n": (
        lambda: noise_variance(torch.tensor([1.0, NAN]), 0.0, [0.1]),
        r"n\[1\]=nan",
    ),
    "noise_variance W": (lambda: noise_variance(1.0, 0.0, [0.1], weight=MATRIX), r"weight\[1, 0\]"),
    "level_set": (lambda: level_set(1.0, [1.0, NAN]), r"n\[1\]=nan"),
    "level_residual": (
        lambda: level_residual([[1.0, NAN]], [[0.0, 0.0]], [1.0], epsilon=0.1),
        r"n\[0, 1\]=nan",
    ),
    "compare": (
        lambda: compare(
            xr.DataArray(
                [[1.0, NAN], [1.0, 2.0]], {"model": ["a", "b"], "xi": [1, 2]}, ("model", "xi")
            ),
            "a",
        ),
        r"values\[model=a, xi=2\]=nan",
    ),
    "area": (lambda: area(curve(1.0, NAN, 2.0), "xi"), r"values\[xi=2.0\]=nan"),
    "sweep": (
        lambda: sweep(lambda xi: (NAN if xi == 2 else 1.0, 0.0), {"xi": [1, 2, 3]}),
        r"evaluate: accuracy at 2.0=nan",
    ),
    "heterogeneity": (lambda: heterogeneity(cloud([1.0, NAN, 2.0])), r"n\[neuron=1\]=nan"),
    "heterogeneity start": (
        lambda: heterogeneity(cloud([1.0, 3.0, 2.0]), cloud([1.0, 2.0, NAN])),
        r"start.n\[neuron=2\]=nan",
    ),
    "activation_parameters": (
        lambda: activation_parameters(broken(gamma_network(), "n_l0", 2)),
        r"network: n\[2\]=nan",
    ),
    "controller_manifold": (
        lambda: controller_manifold(ARUN(1, 2, controller_size=2), torch.tensor([1.0, NAN])),
        r"currents\[1\]=nan",
    ),
    "controller_manifold weights": (
        lambda: controller_manifold(broken(ARUN(1, 2, controller_size=2), "controller.weight_gg")),
        r"weight_gg\[1, 0\]=nan",
    ),
    "rotate": (lambda: rotate(torch.full((1, 2, 2), NAN)), r"images\[0, 0, 0\]=nan"),
    "accuracy": (
        lambda: accuracy(Classifier(broken(RNN(1, 3)), 2), X, torch.tensor([0, 1])),
        r"model: scores\[0, 0\]=nan",
    ),
    "retrain_activation": (
        lambda: retrain_activation(
            Classifier(broken(gamma_network()), 2), X, torch.tensor([0, 1]), epochs=1
        ),
        "model: loss=nan",
    ),
    "compare_transplant": (
        lambda: compare_transplant(
            ARUN(1, 2, controller_size=2),
            ARUN(1, 2, controller_size=2),
            {"clean": [0.9, NAN]},
            {"clean": [0.9, 0.9]},
        ),
        r"own\[condition=clean, 1\]|own\[condition=clean, seed=1\]",
    ),
    "run": (
        lambda: as_system(nn.GRUCell(1, 3)).run(BAD_X),
        r"x\[4, 0, 0\]=nan",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_value_that_is_not_finite_is_named_with_its_place(case):
    call, message = CASES[case]
    with pytest.raises(InputError, match=message):
        call()


def test_a_curve_that_is_missing_has_no_area():
    two = xr.concat([curve(1.0, 2.0, 3.0), curve(NAN, NAN, NAN)], "seed")
    np.testing.assert_array_equal(area(two, "xi"), [2.0, NAN])


def test_what_is_finite_passes_unchanged():
    for values in (1.0, [1, 2], torch.ones(2), torch.arange(3), np.zeros(0), curve(1.0), "text"):
        assert finite("values", values) is values
    with pytest.raises(InputError, match=r"values\[1\]=inf: .* \(2 of 3 are NaN or infinite\)"):
        finite("values", [1.0, math.inf, NAN])
