"""Pictures and numbers of one trained network, for the page on the laboratory.

    python benchmarks/laboratory.py --data-dir DATA --page docs/howto/laboratory.md

All analyses of a stored network are made by `adaptrnn analyze all RUN --draw`, in a copy of its
folder. The pictures go to docs/images, and the numbers, as sentences, into the page.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from pathlib import Path

import numpy as np
import xarray as xr

from adaptrnn import cli
from adaptrnn.laboratory.command import read_analysis
from adaptrnn.run import Run
from adaptrnn.storage import read_json, write_json

NETWORK = Path("results/night/networks/psmnist-arun-seed0")
PICTURES = ("lyapunov", "fractional", "heterogeneity", "controller_manifold", "robustness")
START, END = (
    "<!-- laboratory: written by benchmarks/laboratory.py -->",
    "<!-- end of laboratory -->",
)


def analysed(network: Path, folder: Path, data_dir: Path | None) -> Path:
    """A copy of the network's folder with all analyses and their pictures."""
    if not folder.exists():
        shutil.copytree(network, folder)
    config = read_json(folder / "config.json")
    config["data_dir"] = None if data_dir is None else str(data_dir.resolve())
    write_json(folder / "config.json", config, hashed=True)
    if cli.main(["analyze", "all", str(folder), "--draw"]):
        raise SystemExit("adaptrnn analyze failed")
    return folder


def exponents(data: xr.Dataset) -> str:
    def at(definition: str, condition: str, xi: float) -> str:
        where = {"definition": definition, "condition": condition, "xi": xi}
        value, error = (float(data[name].sel(where)) for name in ("lyapunov", "standard_error"))
        return f"{value:+.4f} ± {error:.4f}"

    rest = ", ".join(f"{at(name, 'adaptive', 0)} (`{name}`)" for name in data.definition.values)
    driven = ", ".join(
        f"{at(name, 'adaptive', 30)} and {at(name, 'fixed', 30)} (`{name}`)"
        for name in data.definition.values
    )
    low, high = float(data.on_task.min()), float(data.on_task.max())
    return (
        f"The largest exponents without a drive are {rest}. Under a drive of 30, with adapting and "
        f"with fixed n and s, they are {driven}. Under the input of ten test images they go from "
        f"{low:+.4f} to {high:+.4f}. A number after ± is a standard error."
    )


def orders(data: xr.Dataset) -> str:
    said = []
    for protocol in data.protocol.values:
        for estimator in data.estimator.values:
            one = data.sel(protocol=protocol, estimator=estimator, xi=1.0)
            means = [
                float(one["mean"].sel(network=network, signal="h"))
                for network in one.network.values
            ]
            said.append(
                f"{means[0]:+.2f} and {means[1]:+.2f} (protocol {protocol}, estimator {estimator}; "
                f"isolated minus interacting {float(one.difference):+.2f} [{float(one.low):+.2f}, "
                f"{float(one.high):+.2f}], p = {float(one.p_permutation):.2g}, "
                f"n = {int(one.n_pairs)} neurons)"
            )
    return f"At drive 1 interacting and isolated neurons have mean orders of {'; '.join(said)}."


def sentences(folder: Path) -> list[str]:
    """What the analyses found, a sentence or two for each."""
    read = {
        name: read_analysis(folder / "analysis" / f"{name}.nc")
        for name in ("lyapunov", "fractional", "step_response", "noise", "controller_manifold")
    }
    steps, noise, manifold = (
        read[name] for name in ("step_response", "noise", "controller_manifold")
    )
    single = [float(np.nanmedian(steps[f"{name}_r2"])) for name in "ns"]
    together = [steps[f"{name}_mean_r2"] for name in "ns"]
    low, high = (
        float(end) for end in (min(v.min() for v in together), max(v.max() for v in together))
    )
    distance = noise.residual.sel(stage="steady")
    failing = (noise.breaks_at <= 0.03).sum("neuron")
    shares = [f"{float(share):.0%}" for share in manifold.ratio[:2]]
    ordered = "are" if bool(manifold.monotone) else "are not"
    return [
        exponents(read["lyapunov"]),
        orders(read["fractional"]),
        f"An exponential explains a median R² of {single[0]:.2f} (n) and {single[1]:.2f} (s) of "
        f"the traces of single neurons after a step, and {low:.2f} to {high:.2f} of the mean over "
        "neurons.",
        f"The steady states lie {float(distance.min()):.3f} (least) to {float(distance.max()):.3f} "
        "(greatest, over drives) from the level set of the slope (`residual`).",
        "Proposition 1 fails at noise of 0.03 or less in "
        + ", ".join(
            f"{int(failing.sel(mu=mu))} neurons at mean current {mu:g}" for mu in noise.mu.values
        )
        + ".",
        f"The first two components of the controller's steady states hold {shares[0]} and "
        f"{shares[1]} of the variance. The points {ordered} monotone along the first one, and "
        f"their spread over starts is {float(manifold.spread):.2g}.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with mnist/; default: the hub")
    parser.add_argument("--network", type=Path, default=NETWORK)
    parser.add_argument("--folder", type=Path, default=Path("build/laboratory"), help="of the copy")
    parser.add_argument("--page", type=Path, help="page whose numbers and pictures are written")
    options = parser.parse_args()
    folder = analysed(options.network, options.folder, options.data_dir)
    neurons = Run(folder).config().hidden_size
    label = f"The network is `{options.network}`, an ARUN of {neurons} neurons."
    lines = [label, *sentences(folder)]
    text = "\n".join(
        textwrap.fill(line, 118, initial_indent="- ", subsequent_indent="  ") for line in lines
    )
    print(text)
    if options.page is not None:
        before, rest = options.page.read_text().split(START)
        options.page.write_text(f"{before}{START}\n{text}\n{END}{rest.split(END)[1]}")
        images = options.page.parent.parent / "images"
        for name in PICTURES:
            shutil.copy(folder / "analysis" / f"{name}.png", images / f"laboratory-{name}.png")


if __name__ == "__main__":
    main()
