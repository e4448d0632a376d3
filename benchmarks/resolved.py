"""Are Lyapunov exponents that are called resolved right? Small networks against 300 digits.

    OMP_NUM_THREADS=1 python benchmarks/resolved.py --networks 60
    OMP_NUM_THREADS=1 python benchmarks/resolved.py --networks 0 --time 400

Two ARUN under a drive that saturates their controllers, and an RNN with steep curves, of each seed,
over 20 steps. An exponent is right if it is within 0.01 of that of the exact product of the same
Jacobians. `--time N` compares, in turns, the processor time with and without following rounding.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from unittest import mock

import mpmath
import numpy as np
import torch

from adaptrnn import ARUN, RNN
from adaptrnn.analysis import as_system, lyapunov
from adaptrnn.analysis.lyapunov_exponent import ConvergenceWarning, _Rounding, first_frame

STEPS, DIGITS = 20, 300
LEAST = -math.log(10) * (DIGITS - 60) / STEPS  # below it the digits end


def exact(
    network: torch.nn.Module, steps: int, drive: float | None = None, digits: int = DIGITS
) -> np.ndarray:
    """All exponents from the product of all Jacobians in many digits, by Gram and Schmidt."""
    model = as_system(network, dtype=torch.float64)
    z = model.start()
    current = None if drive is None else torch.full((1, model.neurons), drive).double()
    with mpmath.workdps(digits):
        product = mpmath.matrix(first_frame(z, model.size, seed=0)[0].tolist())
        for _ in range(steps):
            z, jacobian = model.jacobian(None, z, current)
            product = mpmath.matrix(jacobian[0].tolist()) * product
        basis, found = [], []
        for i in range(model.size):
            column = product[:, i]
            for q in basis:
                column = column - q * (q.T * column)[0]
            length = mpmath.norm(column)
            found.append(float(mpmath.log(length) / steps) if length else -math.inf)
            basis.append(column / length if length else column)
    return np.array(found)


def networks(seed: int) -> dict[str, tuple[torch.nn.Module, float]]:
    """Network and drive of each kind."""
    made: dict[str, tuple[torch.nn.Module, float]] = {}
    for drive in (10.0, 3.0):
        torch.manual_seed(seed)
        made[f"ARUN, drive {drive:g}"] = ARUN(1, 3, controller_size=4).double(), drive
    torch.manual_seed(seed)
    steep = RNN(1, 8, nonlinearity="gamma", n=6.0, s=0.3, recurrent_init="haar")
    return made | {"RNN+gamma, drive 1": (steep.double(), 1.0)}


def times(size: int) -> None:
    """Processor time of all exponents of one network, with and without following rounding."""
    network = RNN(1, size, nonlinearity="gamma", n=5.0, s=0.0, recurrent_init="haar").double()
    x, passes = torch.rand(300, 1, 1).double(), _Rounding.passes
    found: dict[bool, list[float]] = {True: [], False: []}
    for followed in (True, False) * 3:
        judged = passes if followed else lambda self, factor: True
        with mock.patch.object(_Rounding, "passes", judged):
            start = time.process_time()
            lyapunov(network, x, k=None)
            found[followed].append(time.process_time() - start)
    ratio = min(found[True]) / min(found[False])
    print(f"{size} neurons: {ratio:.2f} times the processor time without following rounding")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=60, help="of each kind (default 60)")
    parser.add_argument("--time", type=int, help="neurons of a network to time")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    counts: dict[str, np.ndarray] = {}
    for seed in range(options.networks):
        for name, (network, drive) in networks(seed).items():
            found = lyapunov(network, k=None, steps=STEPS, burn_in=0, drive=drive)
            value, told = found.lyapunov.values[0], found.resolved.values[0]
            want = exact(network, STEPS, drive)
            known = want > LEAST
            right = known & (np.abs(value - want) < 0.01)
            each = [(told & known & ~right).sum(), (told & right).sum(), (~told & right).sum()]
            counts[name] = counts.get(name, 0) + np.array(each)
    for name, (wrong, called, doubted) in counts.items():
        print(f"{name}: {wrong} resolved and wrong, {called} resolved and right, {doubted} doubted")
    if options.time:
        times(options.time)


if __name__ == "__main__":
    main()
