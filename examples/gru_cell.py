"""Every analysis that applies, on networks of nn.GRUCell that know nothing of adaptrnn.

Three networks learn to read handwritten digits row by row, in plain PyTorch. Then they are probed
as neurons and dynamical systems. Eight seconds on one core:

    python examples/gru_cell.py

Four analyses need what a GRU does not have, gains n and saturations s or a controller; the last
lines printed are what they say. fit_fi and noise_variance take no network: measured f-I curves, and
gains and saturations.
"""

from __future__ import annotations

import time
import warnings

import torch
import xarray as xr
from sklearn.datasets import load_digits
from torch import Tensor, nn

from adaptrnn.analysis import (
    controller_manifold,
    fractional_order,
    gain_scaling,
    gradient_norm,
    heterogeneity,
    interval,
    isolate,
    jacobian_norm,
    jacobian_product,
    lyapunov,
    respond,
    spectrum,
    step_response,
    sweep,
)
from adaptrnn.analysis.fi_curve import units_in_plane
from adaptrnn.analysis.fractional import group_means, memoryless_null
from adaptrnn.analysis.lyapunov_exponent import ConvergenceWarning
from adaptrnn.analysis.transfer import retrain_activation

SEEDS = (0, 1, 2)


class Reader(nn.Module):
    """A row of 8 pixels a step, 8 steps; the class from the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(8, 32)
        self.readout = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = None
        for row in x:  # x (T, B, 8)
            h = self.cell(row, h)
        return self.readout(h)


def train(seed: int, x: Tensor, y: Tensor) -> Reader:
    torch.manual_seed(seed)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(8):
        for index in torch.randperm(len(y)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[:, index]), y[index]).backward()
            optimizer.step()
    return model


def candidate(cell: nn.GRUCell) -> Tensor:
    """The square block of W_hh that goes into tanh; a GRU has three."""
    return cell.weight_hh.detach()[2 * cell.hidden_size :]


def probe(model: Reader, seed: int, x: Tensor, y: Tensor) -> dict[str, xr.Dataset]:
    """Each analysis with small numbers, by name."""
    cell = model.cell
    found = {}

    # do nearby states come together? by themselves, and under the rows of digits
    repeated = x.repeat(20, 1, 1)  # the same digit again and again
    found["lyapunov"] = lyapunov(cell, repeated[:, :5], burn_in=40, k=3, seed=seed)
    found["autonomous"] = lyapunov(cell, torch.zeros(400, 8), k=3, seed=seed)
    found["jacobian_product"] = jacobian_product(cell, repeated[:40, :3], every=8)

    # a square matrix is a network too
    found["spectrum"] = spectrum(candidate(cell))
    found["jacobian_norm"] = jacobian_norm(candidate(cell), [1.0, 5.0], [0.0, 1.0], samples=5)

    # one neuron, driven by a current or cut out of the network
    found["step_response"] = step_response(cell, [0.5, 1.0, 2.0], durations=(50, 100, 50))
    found["gain_scaling"] = gain_scaling(cell, durations=(50, 100, 50), trials=5, seed=seed)
    orders = []
    for network in (cell, isolate(cell)):
        seen = respond(network, [1.0], protocol="A", trials=10, seed=seed)
        response = seen.h.sel(xi=1.0)
        for estimator in ("paper", "scale-free"):
            one = fractional_order(response, protocol="A", estimator=estimator)
            orders.append(one[["order", "null_order"]].merge(group_means(one.order)))
    found["fractional"] = xr.concat(orders, "case").assign_coords(
        case=[f"{n}, {e}" for n in ("interacting", "isolated") for e in ("paper", "scale-free")]
    )
    found["memoryless_null"] = memoryless_null([0.25, 1.0, 4.0], protocol="A")

    # how far back do gradients reach, and how much noise does the reading bear?
    found["gradient_norm"] = gradient_norm(
        cell, x[:, :100], lambda h: nn.functional.cross_entropy(model.readout(h[-1]), y[:100])
    )
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def score(size: float) -> tuple[float, float]:
        scores = model(x + size * noise)
        loss = float(nn.functional.cross_entropy(scores, y))
        return float((scores.argmax(1) == y).double().mean()), loss

    found["robustness"] = sweep(score, {"noise": [0.0, 0.1, 0.2, 0.4, 0.8]})
    return found


def refusals(model: Reader, x: Tensor, y: Tensor) -> dict[str, str]:
    """What the analyses say that need more than a GRU has."""
    said = {}
    for name, analysis in {
        "heterogeneity": lambda: heterogeneity(model.cell),
        "controller_manifold": lambda: controller_manifold(model.cell),
        "units_in_plane": lambda: units_in_plane(model.cell, x),
        "transfer": lambda: retrain_activation(model, x, y),
    }.items():
        try:
            analysis()
        except ValueError as error:
            said[name] = str(error)
    return said


def main() -> xr.Dataset:
    """Train, probe and print; gives the numbers printed, over seeds."""
    begin = time.perf_counter()
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32).transpose(0, 1)  # (8, images, 8)
    y = torch.tensor(digits.target)
    parts = []
    for seed in SEEDS:
        model = train(seed, x[:, :1400], y[:1400])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 120 steps are few
            found = probe(model, seed, x[:, 1400:], y[1400:])
        numbers = {
            "accuracy": found["robustness"].accuracy.sel(noise=0),
            "accuracy, area over noise": found["robustness"].accuracy_area,
            "largest exponent, digits": found["lyapunov"].lyapunov.sel(exponent=1).mean(),
            "largest exponent, no input": found["autonomous"].lyapunov.sel(exponent=1).mean(),
            "norm of one Jacobian": found["jacobian_product"].step_norm.mean(),
            "spectral radius, candidate": found["spectrum"].radius,
            "slope of output variance": found["gain_scaling"].slope.squeeze(),
            "rates adapt to a step of 1": found["step_response"].h_adaptation.sel(xi=1).median(),
            "gradient from 8 / from 1": found["gradient_norm"].norm[-1]
            / found["gradient_norm"].norm[0],
        }
        for case in found["fractional"].case.values:
            numbers[f"order of the rate, {case}"] = found["fractional"]["mean"].sel(case=case)
        parts.append(xr.Dataset({name: float(value) for name, value in numbers.items()}))
    whole = xr.concat(parts, "seed").assign_coords(seed=list(SEEDS))
    print(f"{'':<40}{'mean':>8}   95% by t over {len(SEEDS)} seeds")
    for name, values in whole.data_vars.items():
        one = interval(values)
        low, high = float(one.low), float(one.high)
        print(f"{name:<40}{float(one.estimate):>8.3f}   {low:.3f} to {high:.3f}")
    for name, text in refusals(model, x, y).items():
        print(f"{name}: {text}")
    print(f"{time.perf_counter() - begin:.0f} s")
    return whole


if __name__ == "__main__":
    main()
