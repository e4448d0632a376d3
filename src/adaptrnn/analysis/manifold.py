"""The adaptation controller by itself: on what manifold do its states settle?

Geadah et al. 2024, Fig 5a (E26): from random states the controller alone gets no input for a while,
then one of ten constant currents. Its steady states lie on a line ordered by the current.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
import xarray as xr
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis.system import copied

__all__ = ["controller_manifold"]


def controller_manifold(
    controller: nn.Module,
    currents: Annotated[Tensor, "C"] | None = None,
    *,
    starts: int = 10,
    before: int = 200,
    during: int = 200,
    components: int = 3,
    seed: int = 0,
) -> xr.Dataset:
    """Follow a controller's states under constant currents, in their own PCA (E26).

    Args:
        controller: an ARUN, or its controller: (a, g) -> (g, n, s).
        currents: constant a during the step, (C,); default exp(linspace(-2, 2, 10)) as the paper.
        starts: number of random first states, uniform on (-1, 1)^G.
        before: steps with a = 0.
        during: steps with the current.
        components: number of principal components kept.
        seed: of the first states.

    Returns:
        score (time, start, current, component), trajectories in the principal components of all
        states after the onset; ratio (component), the share of variance of each; steady (start,
        current, unit) and steady_score (start, current, component), the last states; n and s
        (time, start, current); spread, the variance of steady states between starts over the whole
        variance: 0 if where the controller settles does not depend on where it started; drift, the
        largest change in the last step; rank_correlation, Spearman's, of the current with
        steady_score's first component averaged over starts; and monotone, whether that order is
        strict (up or down). time 0 is the onset.

    Raises:
        InputError: a network without a controller, fewer than 2 currents, starts < 1, no time
            before or during.

    Example:
        >>> from adaptrnn import ARUN
        >>> found = controller_manifold(ARUN(1, 3, controller_size=6), before=20, during=50)
        >>> dict(found.score.sizes)
        {'time': 70, 'start': 10, 'current': 10, 'component': 3}
    """
    own: Any = getattr(controller, "controller", controller)
    if not hasattr(own, "controller_size"):
        raise bad("controller", type(controller).__name__, "an ARUN, or a controller")
    core = copied(own, torch.float64).cpu()  # small, and followed by scikit-learn
    if currents is None:
        currents = torch.exp(torch.linspace(-2, 2, 10, dtype=torch.float64))
    currents = finite("currents", torch.as_tensor(currents, dtype=torch.float64))
    if currents.ndim != 1 or len(currents) < 2:
        raise bad("currents", tuple(currents.shape), "(C,), at least 2 of them")
    if min(starts, before, during) < 1:
        raise bad("starts, before, during", (starts, before, during), "integers >= 1")
    units = int(core.controller_size)
    components = min(components, units)
    drawn = np.random.default_rng(seed).uniform(-1, 1, (starts, 1, units))
    g = torch.from_numpy(drawn).expand(starts, len(currents), units)
    signals: list[list[Tensor]] = [[], [], []]
    with torch.no_grad():
        for t in range(before + during):
            a = currents if t >= before else torch.zeros_like(currents)
            g, n, s = core(a.expand(starts, -1), g)
            for signal, value in zip(signals, (g, n, s), strict=True):
                signal.append(value)
    states, gains, saturations = (torch.stack(signal).numpy() for signal in signals)
    pca = PCA(components, svd_solver="full").fit(states[before:].reshape(-1, units))
    score = pca.transform(states.reshape(-1, units)).reshape(*states.shape[:3], components)
    steady, last = states[-1], score[-1]
    along = last[..., 0].mean(0)
    steps = np.diff(along[np.argsort(currents.numpy())])
    ranked = float(spearmanr(currents.numpy(), along).statistic) if np.ptp(along) > 0 else np.nan
    whole = steady.var((0, 1)).sum()
    trial = ("time", "start", "current")
    return xr.Dataset(
        {
            "score": ((*trial, "component"), score),
            "ratio": ("component", pca.explained_variance_ratio_, {"units": "share of variance"}),
            "steady": (("start", "current", "unit"), steady),
            "steady_score": (("start", "current", "component"), last),
            "n": (trial, gains, {"meaning": "gain"}),
            "s": (trial, saturations, {"meaning": "saturation"}),
            "spread": float(steady.var(0).mean(0).sum() / whole) if whole > 0 else np.nan,
            "drift": float(np.abs(states[-1] - states[-2]).max()) if during > 1 else np.nan,
            "rank_correlation": ranked,
            "monotone": bool((steps > 0).all() or (steps < 0).all()),
        },
        {
            "time": ("time", np.arange(-before, during), {"units": "steps from the onset"}),
            "current": currents.numpy(),
            "component": np.arange(1, components + 1),
        },
        {
            "definition": "g_0 ~ U(-1, 1)^G; a = 0, then constant; PCA of g from the onset on",
            "seed": seed,
        },
    )
