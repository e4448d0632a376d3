"""Lyapunov exponents: at what rate do nearby states of a network come together or move apart?

Geadah et al. 2024, Methods "Lyapunov exponents" and Figs 5c, 5d. With the Jacobians J_t of one
time step along a trajectory and an orthonormal Q_0,

    J_t Q_t = Q_{t+1} R_{t+1},  diag R >= 0,      lambda_i = lim 1/T sum_t ln (R_t)_ii

per time step, natural logarithm (Benettin et al. 1980; Eckmann and Ruelle 1985, Rev Mod Phys 57).
Input-driven networks have conditional exponents: two copies under the same input (Engelken, Wolf
and Abbott 2023, Phys Rev Research 5, 043044).

Of the product of the first T Jacobians with Q_0 the R factor is unique, so it does not matter how
the product is kept from degenerating on the way. `lyapunov` takes a QR every `interval` steps, and
where all exponents are wanted, LU with partial pivoting between: its unit lower triangular factor
spans the same nested subspaces, costs a fifth, and multiplies as a triangle. Rule: tangents go
unfactored over several steps only if of the diagonal elements of the factor, and 1, the largest
is at most eps^-0.4 times the smallest, eps the rounding of the dtype; else the steps are done again
in two halves. The smallest element then keeps a relative accuracy of about eps^0.6 (4e-10 in
float64, 7e-5 in float32).

Where a single step spreads its growth further than that, the smallest elements may be rounding. So
a rounding that is drawn at random is followed along all tangents to first order (`_Rounding`), and
`resolved` says of which exponents it never changed an element by 1%. With fewer than all exponents
a bound takes its place (`_floor`). Where whole rows of a Jacobian are zero, as those of silent ReLU
units, the last elements are 0, which rounding would hide: m zero rows make the last m exponents
-inf.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import numpy as np
import torch
import xarray as xr
from scipy import stats
from scipy.linalg.blas import strsm
from scipy.linalg.lapack import dlaswp, get_lapack_funcs
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import linear

from adaptrnn._error import NotFiniteError, bad, choose
from adaptrnn.analysis._closed import gamma_curve
from adaptrnn.analysis._type import State
from adaptrnn.analysis.system import (
    Network,
    System,
    as_system,
    copied,
    layer_of,
    static_system,
)
from adaptrnn.arun import ARUN
from adaptrnn.controller import AdaptationController
from adaptrnn.rnn import RNN

__all__ = ["EXPONENT_DEFINITIONS", "ConvergenceWarning", "lyapunov", "system_of"]

EXPONENT_DEFINITIONS = {
    "paper": "h -> gamma(W_hh h; n, s): no input, bias or drive; n and s constant",
    "frozen": "h -> gamma(W_hh h + W_ih x + b + drive; n, s): n and s constant",
    "full": "the whole state, for an ARUN (h, g), with input, bias and drive",
}

_BLOCKS = 4  # of the triangular product; more are smaller than one efficient matrix product
_LAPACK = (torch.float32, torch.float64)
_DISTURBED = 10.0
_CHAIN = 4  # factors in turn over which an error of some of all tangents may grow, see `_floor`
_SMALL = 32  # below this size a QR costs as much as an LU
_LARGEST = 2**28  # numbers held by the tangents


class ConvergenceWarning(UserWarning):
    """An estimate has not settled: more steps are needed."""


def lyapunov(
    network: Network,
    x: Annotated[Tensor, "T B D"] | Annotated[Tensor, "T D"] | None = None,
    *,
    k: int | None = 1,
    definition: str = "full",
    steps: int | None = None,
    burn_in: int = 100,
    state: State | None = None,
    drive: Tensor | float | None = None,
    n: Tensor | float | None = None,
    s: Tensor | float | None = None,
    interval: int = 10,
    tolerance: float = 0.01,
    dtype: torch.dtype | None = torch.float64,
    seed: int = 0,
) -> xr.Dataset:
    """Compute Lyapunov exponents of an autonomous or driven network, with errors and convergence.

    Args:
        network: any recurrent network; a step function as the `System` that
            `adaptrnn.analysis.as_system` makes of it.
        x: input, (T, B, D), or (T, D) given to every sample; None for an autonomous network (our
            and torch's networks then get zeros). Not with definition="paper", which has none.
        k: how many leading exponents; None for all of them.
        definition: "paper", "frozen" or "full", see `EXPONENT_DEFINITIONS`. For networks other than
            an ARUN "frozen" and "full" are the same; "paper" and "frozen" need one layer of ours.
            A step of the user's own costs 0.4 to 1 ms.
        steps: number of steps that count, after `burn_in`; default all there are in x.
        burn_in: first steps, in which state and tangents settle and nothing counts.
        state: first states of the B samples, the network's own form or flat (B, S); zeros if None.
        drive: current added to each neuron, a number or broadcastable to (T, B, N); its time
            includes the burn-in. Not with definition="paper".
        n: gains to freeze, a number, (N,) or (B, N). Default: an RNN's own; for an ARUN those its
            controller gives at the state g in `state`, W_gc g + b_gc (at rest the bias).
        s: saturations to freeze, as n.
        interval: steps from one QR, and one point of the running estimate, to the next.
        tolerance: an exponent counts as converged if its standard error, and the change of its
            estimate over the last half, are both at most tolerance * max(1, |exponent|).
        dtype: to compute in; None for the network's own. float32 is twice as fast. A `System` is
            used in the dtype it has.
        seed: of the random first tangents.

    Returns:
        Dataset over sample (B), exponent (k) and time (the steps counted so far at each QR):
        lyapunov (sample, exponent) in 1/step; standard_error, from as many blocks as attrs say, and
        low and high, the interval of 95% that it gives with Student's t of blocks - 1; running
        (time, sample, exponent), the estimate as it converges; resolved (sample, exponent), whether
        it is surely more than rounding (see below); converged (sample, exponent); kaplan_yorke
        (sample), the dimension, NaN if more exponents are needed to know it; and positive_sum
        (sample), a lower bound of the sum if all k are positive.

        An exponent of -inf means Jacobians that have lost rank: silent ReLU units, or slopes below
        the smallest number of the dtype. Of an exponent that is not resolved the number may be
        rounding: with all exponents, a rounding followed through the steps changed one of its
        growths by 1% or more; with fewer, `k`, the shares of its growth in the largest multiply to
        less than 100 S eps over four factors in turn, S the size of the state, which is stricter.
        In float64 this concerns exponents below about -10 per step, and a few above.
        An interval knows nothing of changes slower than the run: start several samples at
        different states to see them.

    Raises:
        InputError: a shape or name that is not allowed, k out of range, a value that is not
            finite (NaN is an error), a step that mixes samples or that torch cannot differentiate.
        NotFiniteError: a state of the network that is not finite.

    Warns:
        ConvergenceWarning: some exponents have not converged, or are not resolved.

    Example:
        >>> zero = torch.zeros(1, 1, dtype=torch.float64)
        >>> logistic = as_system(lambda x, h: 4 * h * (1 - h), zero)
        >>> start = torch.linspace(0.1, 0.4, 50, dtype=torch.float64)[:, None]
        >>> found = lyapunov(logistic, steps=2000, state=start, tolerance=0.1)
        >>> round(float(found.lyapunov.mean()), 2), round(math.log(2), 2)
        (0.69, 0.69)
    """
    if definition == "paper" and not (x is None and drive is None):
        name = "drive" if x is None else "x"
        advice = "Give steps=, and definition='frozen' where input and drive are to act."
        raise bad(name, "a tensor", "None with definition='paper', which has no input", advice)
    model, z = system_of(network, definition, state, n=n, s=s, dtype=dtype)
    size = model.size
    k = size if k is None else k
    if not 1 <= k <= size:
        raise bad("k", k, f"from 1 to {size}, the size of the state, or None for all")
    if burn_in < 0 or interval < 1:
        raise bad("burn_in, interval", (burn_in, interval), "at least 0 and 1")
    total = None if steps is None else burn_in + steps
    total, inputs, drives = model.signals(x, total, None if z is None else z.shape[0], drive)
    if total - burn_in < 2 * interval:
        allowed = f"at least two intervals of {interval} after the burn-in of {burn_in}"
        raise bad("steps", total - burn_in, allowed)
    if z is None:
        known = [part[0] for part in (inputs, drives) if part[0] is not None]
        z = model.start(known[0].shape[0] if known else 1)
    if z.shape[0] * size * k > _LARGEST:
        raise bad("k", k, f"smaller: {z.shape[0]} samples x {size} x k numbers do not fit")
    signals = list(zip(inputs, drives, strict=True))
    model.check_step(inputs[0], z, drives[0])
    with torch.no_grad(), _tangents(model, first_frame(z, k, seed)) as tangents:
        times, growth, resolved = _grow(tangents, z, signals, burn_in, interval)
    found = _summary(times, growth, resolved, tolerance, size)
    found.attrs = {
        "definition": definition,
        "meaning": EXPONENT_DEFINITIONS[definition],
        "units": "1/step, natural logarithm",
        "network": model.name,
        "state_size": size,
        "burn_in": burn_in,
        "interval": interval,
        "blocks": _blocks(times),
        "tolerance": tolerance,
        "dtype": str(z.dtype).removeprefix("torch."),
        "seed": seed,
        "torch": torch.__version__,
    }
    _warn(found, total - burn_in)
    return found


def _warn(found: xr.Dataset, steps: int) -> None:
    tolerance, dtype = found.attrs["tolerance"], found.attrs["dtype"]
    unresolved = 1 - float(found.resolved.mean())
    if unresolved > 0:
        warnings.warn(
            f"{unresolved:.0%} of the exponents may be rounding of {dtype}, far below the others: "
            "more steps do not help; see `resolved` for which.",
            ConvergenceWarning,
            stacklevel=3,
        )
    share = float((found.resolved & ~found.converged).mean())
    if share > 0:
        worst = float(found.standard_error.where(np.isfinite(found.standard_error)).max())
        warnings.warn(
            f"{share:.0%} of the exponents have not converged to {tolerance} (largest standard "
            f"error {worst:.2g}): give more steps than {steps}, or a larger tolerance.",
            ConvergenceWarning,
            stacklevel=3,
        )


def system_of(
    network: Network,
    definition: str = "full",
    state: State | None = None,
    *,
    n: Tensor | float | None = None,
    s: Tensor | float | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[System, Tensor | None]:
    """Return the dynamical system that one of the three definitions means (`EXPONENT_DEFINITIONS`).

    Args:
        network: any recurrent network.
        definition: "paper", "frozen" or "full".
        state: states of the network in its own form, or flat, or None.
        n: gains to freeze, a number, (N,) or (B, N); default as in `lyapunov`.
        s: saturations to freeze, as n.
        dtype: to compute in; default the network's.

    Returns:
        The system and its first states (B, S), None if `state` is None.

    Raises:
        InputError: the definition does not apply to the network.

    Example:
        >>> from adaptrnn import ARUN
        >>> core = ARUN(1, 5, controller_size=4)
        >>> [system_of(core, name)[0].size for name in ("paper", "frozen", "full")]
        [5, 5, 25]
    """
    choose("definition", definition, EXPONENT_DEFINITIONS)
    whole = as_system(network, dtype=dtype)
    z = None if state is None else whole.states(state)
    if definition == "full":
        if n is not None or s is not None:
            raise bad("n, s", "values", 'None with definition="full", where the network sets them')
        return whole, z
    if definition == "paper" and isinstance(network, RNN | ARUN) and network.tau() is not None:
        raise bad("definition", definition, "'full' of leaky neurons", "The paper's has no leak.")
    adaptive = isinstance(network, ARUN) and network.num_layers == 1
    if not adaptive and whole.weight is None:
        advice = 'Use definition="full", which works for every network.'
        raise bad("definition", definition, "'full' unless the network is one RNN or ARUN", advice)
    layer = whole
    if adaptive or n is not None or s is not None:
        core: Any = network
        n, s = _frozen(core, whole, z, n, s)
        layer = layer_of(copied(core, dtype), gamma_curve(n, s))
        rows = max(value.shape[0] if value.ndim == 2 else 1 for value in (n, s))
        if z is None and rows > 1:
            z = whole.start(rows)
    if definition == "paper" and layer.curve is not None and layer.weight is not None:
        layer = static_system(layer.name, layer.curve, layer.weight, takes_drive=False)
    return layer, None if z is None else whole.activity(z)


def _frozen(
    network: Network,
    whole: System,
    z: Tensor | None,
    n: Tensor | float | None,
    s: Tensor | float | None,
) -> tuple[Tensor, Tensor]:
    """The constant gains and saturations: those given, else those the network has in state z."""
    own: list[Tensor | None] = [None, None]
    if isinstance(network, ARUN) and type(network.controller) is AdaptationController:
        *_, weight_gc, bias_gc = (
            part.detach().to(whole.dtype) for part in network.controller.weights()
        )
        z = whole.start() if z is None else z
        g = z[:, network.hidden_size :].reshape(z.shape[0], network.hidden_size, -1)
        own = list(linear(g, weight_gc, bias_gc).unbind(-1))
    elif hasattr(network, "n_l0"):
        own = [getattr(network, name).detach() for name in ("n_l0", "s_l0")]
    pair = [o if given is None else given for o, given in zip(own, (n, s), strict=True)]
    if pair[0] is None or pair[1] is None:
        raise bad("n, s", (n, s), "both given, since this network does not say its own")
    shapes = [(), (whole.neurons,), (1 if z is None else z.shape[0], whole.neurons)]
    frozen = [torch.as_tensor(value, dtype=whole.dtype, device=whole.device) for value in pair]
    for name, value in zip("ns", frozen, strict=True):
        if tuple(value.shape) not in shapes and not (z is None and value.ndim == 2):
            raise bad(f"{name}.shape", tuple(value.shape), f"one of {shapes}")
    return frozen[0], frozen[1]


def first_frame(z: Annotated[Tensor, "B S"], k: int, seed: int) -> Annotated[Tensor, "B S k"]:
    """Draw random orthonormal tangents (B, S, k), the first of which do not depend on k."""
    drawn = np.random.default_rng(seed).standard_normal((k, *z.shape))
    return torch.linalg.qr(torch.from_numpy(drawn).movedim(0, 2).to(z))[0]


StepInputs = Sequence[tuple[Tensor | None, Tensor | None]]  # input and drive of each step


def _grow(
    tangents: _Tangents | _ClosedTangents,
    z: Tensor,
    signals: StepInputs,
    burn_in: int,
    interval: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times of the QRs from the end of the burn-in, sum ln R_ii between, and what is resolved."""
    counted, times, t = [], [], 0
    while t < len(signals):
        mark = burn_in if t < burn_in else t + interval  # of the next QR that is recorded
        mark = min(mark, len(signals))
        z, growth = tangents.advance(z, signals[t:mark])
        t = mark
        if t <= burn_in:
            tangents.forget()
        lost = tangents.lost[:, None] > tangents.model.size - 1 - np.arange(growth.shape[1])
        growth[lost] = -np.inf
        if not bool(z.isfinite().all()) or np.isnan(growth).any():
            allowed = f"one whose states stay finite; within step {t} they do not"
            advice = "Check the input and the weights."
            raise NotFiniteError(str(bad("network", tangents.model.name, allowed, advice)))
        if t > burn_in:
            counted.append(growth)
            times.append(t - burn_in)
    return np.array(times), np.stack(counted).astype(np.float64), tangents.resolved | lost


@contextlib.contextmanager
def _tangents(model: System, frame: Tensor) -> Iterator[_Tangents | _ClosedTangents]:
    """The tangents `frame` (B, S, k), in the way that suits the network and the device."""
    closed = model.slope is not None and model.weight is not None
    plain = frame.device.type == "cpu" and frame.dtype in _LAPACK
    if not (closed and plain and frame.shape[2] == model.size > _SMALL):
        yield _Tangents(model, frame)
        return
    threads = torch.get_num_threads()
    workers = min(threads, len(frame))  # BLAS in each has what is left
    with threadpool_limits(threads // workers, "blas"), ThreadPoolExecutor(workers) as pool:
        yield _ClosedTangents(model, frame, pool)


def _steps_without(spread: float, limit: float, most: int) -> int:
    """Steps that go unfactored, from the spread of ln |diagonal| per step."""
    return max(1, int(limit / 2 / spread)) if spread > 0 else most


def _limit(frame: Tensor) -> float:
    return -0.4 * math.log(torch.finfo(frame.dtype).eps)


def _floor(frame: Tensor) -> float:
    """Of `_CHAIN` factors in turn, the sum of ln of an element's share in the largest column.

    A product is wrong by S eps of the largest column. This turns the i-th tangent by S eps over
    the share of element i, which at each of the next factors may grow by as much as one over the
    share there. 1% of the element is allowed.
    """
    return math.log(100 * frame.shape[1] * torch.finfo(frame.dtype).eps)


class _Rounding:
    """How rounding grows: the errors of the nested subspaces of all tangents, to first order.

    Let the tangents Q be wrong by Q N, N strictly lower triangular (what is above it leaves the
    subspaces as they are), and their product Q' R by E. Then

        Q' R (1 + N) + E = Q' (1 + G) R,      G = (R N + Q'^T E) R^-1,

    so the diagonal of G is the relative error of R's, and its strictly lower part the next N. E is
    drawn at random, each column `_DISTURBED` roundings of its length, more than a product and a
    factor are wrong by. It holds for L of an LU as well.

    Args:
        shape: (S, S), or (B, S, S) for as many samples.
        eps: the rounding of the dtype.
    """

    def __init__(self, shape: tuple[int, ...], eps: float) -> None:
        noise = np.random.default_rng(0).standard_normal(shape[-2:], np.float32)
        self.noise, self.turn = noise * np.float32(_DISTURBED * eps), 0
        self.error = np.zeros(shape, np.float32)

    def passes(self, factor: np.ndarray) -> np.ndarray:
        """Which elements of the diagonal of upper triangular factors are right to 1%."""
        factor = factor.astype(np.float32)  # sizes of errors need no more
        self.turn = (self.turn + 1) % len(self.noise)
        with np.errstate(all="ignore"):
            lengths = np.linalg.norm(factor, axis=-2, keepdims=True)
            fresh = np.roll(self.noise, self.turn, 0) * lengths
            if factor.ndim == 2:
                turned = np.zeros_like(fresh)
                for low, high in _blocks_of(len(factor)):  # what is above the diagonal is not read
                    rows = factor[low:high, low:] @ self.error[low:, :high]
                    rows += fresh[low:high, :high]
                    turned[low:high, :high] = strsm(1.0, factor[:high, :high].T, rows.T, lower=1).T
            else:
                both = torch.from_numpy(factor), torch.from_numpy(factor @ self.error + fresh)
                turned = torch.linalg.solve_triangular(*both, upper=True, left=False).numpy()
        diagonal = np.diagonal(turned, 0, -2, -1)
        right = np.abs(diagonal) < 0.01  # and False where it is not a number
        self.error = np.tril(np.nan_to_num(turned, copy=False, nan=1.0).clip(-1, 1), -1)
        return right


def _blocks_of(size: int) -> list[tuple[int, int]]:
    """The rows of a matrix in blocks, of which products of triangles need a part each."""
    return list(itertools.pairwise(np.linspace(0, size, _BLOCKS + 1).astype(int).tolist()))


class _Tangents:
    """Tangents of all samples together, of any network on any device.

    `lost` (B,) counts the rows that were zero in one Jacobian, at most; `resolved` (B, k) says
    which elements were always above rounding; both since `forget`.
    """

    def __init__(self, model: System, frame: Tensor) -> None:
        self.model, self.limit, self.floor = model, _limit(frame), _floor(frame)
        self.shape, self.eps = (frame.shape[0], frame.shape[2]), torch.finfo(frame.dtype).eps
        self.whole = frame.shape[1] == frame.shape[2]
        self.forget()
        self.basis: _Dense | _Lower = _Dense(frame)
        self.lu = frame.shape[2] == model.size > _SMALL
        self.free = 1

    def forget(self) -> None:
        """Begin to count again."""
        self.lost = np.zeros(self.shape[0], int)
        self.resolved = np.ones(self.shape, bool)
        self.shares = [np.zeros(self.shape)] * _CHAIN
        self.rounding = _Rounding((*self.shape, self.shape[1]), self.eps) if self.whole else None

    def advance(self, z: Tensor, signals: StepInputs) -> tuple[Tensor, np.ndarray]:
        """States, and ln of the growth (B, k), after all signals; ends with a QR."""
        t, growth = 0, np.zeros((len(z), 1))
        while t < len(signals):
            part = signals[t : t + self.free]
            t += len(part)
            z, logs, spread = self._stretch(z, part, self.lu and t < len(signals))
            growth = growth + logs.cpu().numpy()
            self.free = _steps_without(spread, self.limit, len(signals))
        return z, growth

    def _stretch(self, z: Tensor, signals: StepInputs, lu: bool) -> tuple[Tensor, Tensor, float]:
        """States, ln |diagonal| and its spread per step, after one factorisation."""
        first = (z, self.basis)
        for x, drive in signals:
            z, v = self.basis.push(self.model, x, z, drive)
            self.lost = np.maximum(self.lost, (v == 0).all(2).sum(1).cpu().numpy())
            self.basis = _Dense(v)
        kind: type[_Dense] | type[_Lower] = _Lower if lu else _Dense
        self.basis, factor = kind.of(v)
        logs = factor.diagonal(dim1=1, dim2=2).abs().log()
        spread = float(logs.clamp(min=0).max() - logs.clamp(max=0).min())
        if spread <= self.limit or len(signals) == 1:
            if self.rounding is None:
                share = (logs - v.norm(dim=1).amax(1, keepdim=True).log()).cpu().numpy()
                self.shares = [share, *self.shares[:-1]]
                self.resolved &= sum(self.shares) > self.floor
            else:
                self.resolved &= self.rounding.passes(factor.cpu().numpy())
            return z, logs, spread / len(signals)
        (z, self.basis), middle = first, len(signals) // 2
        z, logs, _ = self._stretch(z, signals[:middle], self.lu)
        z, more, spread = self._stretch(z, signals[middle:], lu)
        return z, logs + more, spread


class _ClosedTangents:
    """All tangents of a layer with Jacobians diag(slope) W, on a CPU, each sample on a thread."""

    def __init__(self, model: System, frame: Tensor, pool: ThreadPoolExecutor) -> None:
        self.model, self.pool = model, pool
        assert model.weight is not None
        weight = np.ascontiguousarray(model.weight.numpy().T)
        self.samples = [_Sample(weight, one.mT.numpy(), _limit(frame)) for one in frame]

    @property
    def lost(self) -> np.ndarray:
        """As of `_Tangents`."""
        return np.array([sample.lost for sample in self.samples])

    @property
    def resolved(self) -> np.ndarray:
        """As of `_Tangents`."""
        return np.stack([sample.resolved for sample in self.samples])

    def forget(self) -> None:
        """As `_Tangents.forget`."""
        for sample in self.samples:
            sample.forget()

    def advance(self, z: Tensor, signals: StepInputs) -> tuple[Tensor, np.ndarray]:
        """As `_Tangents.advance`."""
        assert self.model.slope is not None
        slopes = []
        for x, drive in signals:
            z, slope = self.model.slope(x, z, drive)
            slopes.append(slope)
        each = torch.stack(slopes, 1).numpy()
        return z, np.stack(list(self.pool.map(_Sample.advance, self.samples, each)))


class _Sample:
    """All tangents of one sample.

    Either as they are, row j of `columns` the j-th, `order` None; or P L with L unit lower
    triangular: row j of `columns` is column j of L, row i of L belongs at row order[i] of P L, and
    of what stands left of the diagonal only what the product reads is cleared.
    """

    def __init__(self, weight: np.ndarray, columns: np.ndarray, limit: float) -> None:
        self.weight, self.columns, self.limit = weight, columns, limit
        self.forget()
        self.order: np.ndarray | None = None
        self.free = 1
        (self.getrf,) = get_lapack_funcs(("getrf",), (weight,))
        self.blocks = _blocks_of(len(weight))

    def forget(self) -> None:
        """As `_Tangents.forget`."""
        count = len(self.weight)
        self.lost, self.resolved = 0, np.ones(count, bool)
        self.rounding = _Rounding((count, count), float(np.finfo(self.weight.dtype).eps))

    def advance(self, slopes: np.ndarray) -> np.ndarray:
        """Growth (S,), ln, after steps with these slopes (T, S); ends with a QR."""
        self.lost = max(self.lost, int((slopes == 0).sum(1).max()))
        t, growth = 0, np.zeros(len(self.weight))
        while t < len(slopes):
            part = slopes[t : t + self.free]
            t += len(part)
            logs, spread = self._stretch(part, t < len(slopes))
            growth += logs
            self.free = _steps_without(spread, self.limit, len(slopes))
        return growth

    def _stretch(self, slopes: np.ndarray, lu: bool) -> tuple[np.ndarray, float]:
        first = self.columns, self.order
        for slope in slopes:
            self.columns = self._product()
            self.columns *= slope
            self.order = None
        with np.errstate(divide="ignore"):
            factor = self._lower() if lu else self._orthonormal()
            logs = np.log(np.abs(factor.diagonal()))
        spread = float(max(logs.max(), 0) - min(logs.min(), 0))
        if spread <= self.limit or len(slopes) == 1:
            self.resolved &= self.rounding.passes(factor)
            return logs, spread / len(slopes)
        (self.columns, self.order), middle = first, len(slopes) // 2
        logs, _ = self._stretch(slopes[:middle], True)
        more, spread = self._stretch(slopes[middle:], lu)
        return logs + more, spread

    def _product(self) -> np.ndarray:
        """(W V)^T of the tangents V."""
        if self.order is None:
            return self.columns @ self.weight
        permuted = self.weight[self.order]  # (W P)^T
        product = np.empty_like(permuted)
        for low, high in self.blocks:  # of the sums only a triangle counts
            np.matmul(self.columns[low:high, low:], permuted[low:], out=product[low:high])
        return product

    def _orthonormal(self) -> np.ndarray:
        """Tangents Q R become Q; returns R."""
        q, r = np.linalg.qr(self.columns.T)
        self.columns = np.ascontiguousarray(q.T)
        return r

    def _lower(self) -> np.ndarray:
        """Tangents P L U become P L; returns U."""
        factors, swaps, _ = self.getrf(self.columns.T, overwrite_a=True)
        upper, self.columns = np.triu(factors), factors.T
        for low, high in self.blocks:
            self.columns[low:high, low:high] = np.triu(self.columns[low:high, low:high], 1)
        np.fill_diagonal(self.columns, 1)
        self.order = _permutation(swaps + 1)
        return upper


class _Dense:
    """Tangents as they are, (B, S, k)."""

    def __init__(self, v: Tensor) -> None:
        self.v = v

    @classmethod
    def of(cls, v: Tensor) -> tuple[_Dense, Tensor]:
        """Q of v = Q R, and R."""
        q, r = torch.linalg.qr(v)
        return cls(q), r

    def push(
        self, model: System, x: Tensor | None, z: Tensor, drive: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return model.jvp(x, z, self.v, drive)


class _Lower:
    """Tangents P L, with L (B, S, S) unit lower triangular and row i of L at row row[i] of P L."""

    def __init__(self, lower: Tensor, row: Tensor) -> None:
        self.lower, self.row = lower, row

    @classmethod
    def of(cls, v: Tensor) -> tuple[_Lower, Tensor]:
        """Tangents that span the same nested subspaces as v = P L U, and U."""
        # one after another: for batches of matrices larger than about 150 torch's LU is wrong on
        # a CPU with more than one thread (github.com/pytorch/pytorch/issues/142815)
        factors, pivots = zip(*(torch.linalg.lu_factor_ex(one)[:2] for one in v), strict=True)
        lower = torch.stack([factor.mT for factor in factors]).mT  # columns stay contiguous
        upper = lower.triu()
        lower.tril_(-1).diagonal(dim1=1, dim2=2).fill_(1)
        row = np.stack([_permutation(swaps.cpu().numpy()) for swaps in pivots])
        return cls(lower, torch.from_numpy(row).to(v.device)), upper

    def push(
        self, model: System, x: Tensor | None, z: Tensor, drive: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        v = torch.empty_like(self.lower)
        v.scatter_(1, self.row.unsqueeze(-1).expand_as(v), self.lower)
        return model.jvp(x, z, v, drive)


def _permutation(swaps: np.ndarray) -> np.ndarray:
    """Where each row of L belongs, from LAPACK's swaps: row i with row swaps[i], counted from 1."""
    return dlaswp(np.arange(len(swaps))[:, None], swaps - 1)[:, 0].astype(np.int64)


def _summary(
    times: np.ndarray, growth: np.ndarray, resolved: np.ndarray, tolerance: float, size: int
) -> xr.Dataset:
    """Estimates from ln R_ii summed over intervals (time, B, k)."""
    with np.errstate(invalid="ignore"):  # -inf, a singular Jacobian, is a value
        running = growth.cumsum(0) / times[:, None, None]
        value = running[-1]
        half = running[np.searchsorted(times, times[-1] / 2)]
        error = _standard_error(times, growth)
        width = stats.t.ppf(0.975, _blocks(times) - 1) * error
        bound = tolerance * np.maximum(1, np.abs(value))
        converged = (error <= bound) & (np.abs(value - half) <= bound) & resolved
        converged |= np.isneginf(value) & resolved
    dims = ("sample", "exponent")
    per_step = {"units": "1/step, natural logarithm"}
    found = xr.Dataset(
        {
            "lyapunov": (dims, value, per_step),
            "standard_error": (dims, error, {**per_step, "meaning": "from means over blocks"}),
            "low": (dims, value - width, {**per_step, "meaning": "of the interval of 95%"}),
            "high": (dims, value + width, {**per_step, "meaning": "of the interval of 95%"}),
            "running": (("time", *dims), running, {**per_step, "meaning": "estimate so far"}),
            "resolved": (dims, resolved, {"meaning": "whether it is surely more than rounding"}),
            "converged": (dims, converged),
            "kaplan_yorke": (
                "sample",
                np.array([_kaplan_yorke(row, size) for row in value]),
                {"meaning": "Kaplan-Yorke dimension; NaN: more exponents needed"},
            ),
            "positive_sum": (
                "sample",
                np.clip(value, 0, None).sum(1),
                {**per_step, "meaning": "sum of the positive exponents"},
            ),
        },
        coords={"time": times, "exponent": np.arange(1, value.shape[1] + 1)},
    )
    found.time.attrs = {"units": "steps after the burn-in"}
    return found


def _blocks(times: np.ndarray) -> int:
    """How many blocks of equal length a standard error comes from, 2 to 20."""
    lengths = np.diff(times, prepend=0)
    whole = int((lengths == lengths[0]).sum())
    return min(20, max(2, math.isqrt(whole)))


def _standard_error(times: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Standard error of the mean growth per step, from blocks of equal length."""
    lengths, blocks = np.diff(times, prepend=0), _blocks(times)
    whole = growth[lengths == lengths[0]]
    size = len(whole) // blocks
    means = whole[: blocks * size].reshape(blocks, size, *whole.shape[1:]).sum(1)
    return means.std(0, ddof=1) / math.sqrt(blocks) / (size * lengths[0])


def _kaplan_yorke(exponents: np.ndarray, size: int) -> float:
    """D = j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, j the last with a sum >= 0.

    Of all exponents of a state of `size` numbers with a sum >= 0, volumes do not shrink: D = size.
    """
    ordered = np.sort(exponents)[::-1]
    sums = ordered.cumsum()
    if sums[0] < 0:
        return 0.0
    if sums[-1] >= 0:
        return float(size) if len(exponents) == size else math.nan
    last = int(np.argmax(sums < 0))
    return last + float(sums[last - 1] / -ordered[last])
