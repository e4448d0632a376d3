"""All Lyapunov exponents of a gamma RNN: adaptrnn.analysis.lyapunov_exponent against the plain way.

    OMP_NUM_THREADS=2 python benchmarks/lyapunov.py --gain paper

The plain way: NumPy, float64, one matrix and one QR per step, one initial condition after another;
by default it is timed over fewer steps (its cost per step is constant) and scaled.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch

from adaptrnn.analysis.lyapunov_exponent import ConvergenceWarning, first_frame, lyapunov
from adaptrnn.rnn import RNN


def plain(network: RNN, x: np.ndarray, h: np.ndarray) -> tuple[float, np.ndarray]:
    """Seconds per step, and exponents, for one sequence of currents x (T, N) from state h."""
    w, n, s = (
        p.detach().double().numpy() for p in (network.weight_hh_l0, network.n_l0, network.s_l0)
    )
    q = first_frame(torch.from_numpy(h)[None], len(h), 0)[0].numpy()
    total = np.zeros(len(h))
    start = time.perf_counter()
    for current in x:
        a = w @ h + current
        with np.errstate(over="ignore"):
            g2 = 1 / (1 + np.exp(-n * a))
        h = (1 - s) * np.logaddexp(0, n * a) / n + s * g2
        slope = (1 - s) * g2 + s * n * g2 * (1 - g2)
        q, r = np.linalg.qr((slope[:, None] * w) @ q)
        total += np.log(np.abs(np.diag(r)))
    return (time.perf_counter() - start) / len(x), total / len(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, default=400)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--initial", type=int, default=10, help="number of initial conditions")
    parser.add_argument("--gain", default="paper", help="'paper', N(5, 2^2), or a number")
    parser.add_argument("--saturation", type=float, default=0.0)
    parser.add_argument("--plain-steps", type=int, default=200)
    parser.add_argument("--dtypes", nargs="*", default=["float32", "float64"])
    options = parser.parse_args()

    torch.manual_seed(0)
    gain = options.gain if options.gain == "paper" else float(options.gain)
    network = RNN(
        1, options.neurons, nonlinearity="gamma", n=gain, s=options.saturation,
        recurrent_init="haar",
    )  # fmt: skip
    x = torch.rand(options.steps, options.initial, 1)
    h = torch.rand(1, options.initial, options.neurons)
    currents = (x[:, 0] @ network.weight_ih_l0.detach().mT).double().numpy()
    warnings.simplefilter("ignore", ConvergenceWarning)

    each, want = plain(network, currents[: options.plain_steps], h[0, 0].double().numpy())
    whole = each * options.steps * options.initial
    print(f"plain NumPy: {1e3 * each:.2f} ms per step, {whole:.1f} s for all (scaled)")
    for name in options.dtypes:
        arguments = {"k": None, "burn_in": 0, "dtype": getattr(torch, name), "state": h}
        lyapunov(network, x[:40], **arguments)
        start = time.perf_counter()
        lyapunov(network, x, interval=50, **arguments)
        seconds = time.perf_counter() - start
        arguments["state"] = h[:, :1]
        found = lyapunov(network, x[: options.plain_steps, :1], **arguments).lyapunov[0]
        off = np.abs(found - want) / np.maximum(1, np.abs(want))
        print(
            f"adaptrnn {name}: {seconds:.1f} s, {whole / seconds:.1f} times faster; relative "
            f"difference: largest {float(off.max()):.1e}, median {float(off.median()):.1e}"
        )


if __name__ == "__main__":
    main()
