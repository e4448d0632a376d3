"""Measure accuracy and loss over any grid of perturbations, and the areas under the curves.

Geadah et al. 2024, Fig 2b,c and Figs S13 to S16 (E10 to E13, E39), show curves over the amplitude
of a step drive, a noisy drive or a contrast, and heat maps over amplitude and length or phase. The
caller says what is evaluated and how: `sweep` only walks the grid and labels what comes back.

The area under a curve y(x) on x_1 < ... < x_m is that of the trapezoids over the width x_m - x_1,
so it is a mean of y and has its unit; over two axes, one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from adaptrnn._error import bad, choose
from adaptrnn.analysis._finite import finite

__all__ = ["area", "compare", "sweep"]

Condition = TypeVar("Condition")
Scores: TypeAlias = "Mapping[str, ArrayLike] | Sequence[ArrayLike]"
"""What a perturbation leaves: (accuracy, loss), or quantities by name; numbers or (seed,)."""


def sweep(
    evaluate: Callable[[Condition], Scores],
    axes: Mapping[str, Sequence[float]],
    make: Callable[..., Condition] | None = None,
    *,
    replicate: str = "seed",
) -> xr.Dataset:
    """Compute accuracy and loss at every point of a grid of perturbations, and their areas.

    Args:
        evaluate: perturbation -> (accuracy, loss), two numbers, or two arrays (seed,), or a
            mapping of names to such.
        axes: name -> increasing values, such as {"xi": [0, 0.5, 1]} or {"phase": ..., "amplitude":
            ...}; they become the dimensions.
        make: called with one value of every axis as keywords, returns the perturbation. If None,
            the value itself is given to `evaluate`, or for several axes a dict of them.
        replicate: name of the dimension of arrays that `evaluate` returns.

    Returns:
        accuracy, loss (or the names given) along the axes and `replicate` if there are arrays;
        accuracy_area, loss_area: normalised areas; accuracy_drop: first minus every value, along a
        single axis.

    Raises:
        InputError: no axes, values that do not increase, results that differ in kind or are not
            finite.

    Example:
        >>> found = sweep(lambda xi: (0.9 - 0.1 * xi, xi), {"xi": [0.0, 1.0, 3.0]})
        >>> found.accuracy.values.round(2).tolist(), round(float(found.accuracy_area), 3)
        ([0.9, 0.8, 0.6], 0.75)
    """
    if not axes:
        raise bad("axes", axes, "a mapping with at least one axis")
    grids = {name: np.asarray(values, dtype=np.float64) for name, values in axes.items()}
    for name, values in grids.items():
        if values.ndim != 1 or not len(values) or not (np.diff(values) > 0).all():
            raise bad(f"axes[{name!r}]", values, "increasing numbers")
    if replicate in grids:
        raise bad("replicate", replicate, f"a name other than those of the axes, {list(grids)}")
    rows: list[dict[str, np.ndarray]] = []
    for point in itertools.product(*grids.values()):
        named = dict(zip(grids, map(float, point), strict=True))
        given: Any = named if len(named) > 1 else next(iter(named.values()))
        rows.append(_named(evaluate(make(**named) if make else given)))
        for name, value in rows[-1].items():
            finite(f"evaluate: {name} at {given}", value)
        if rows[-1].keys() != rows[0].keys():
            raise bad("evaluate", list(rows[-1]), f"a function that always returns {list(rows[0])}")
    shape = [len(values) for values in grids.values()]
    found: dict[str, Any] = {}
    for name in rows[0]:
        if len({row[name].shape for row in rows}) > 1 or rows[0][name].ndim > 1:
            shapes = sorted({row[name].shape for row in rows})
            raise bad(
                f"evaluate: {name}", shapes, f"numbers, or arrays ({replicate},) of one length"
            )
        dims = [*grids, *([replicate] if rows[0][name].ndim else [])]
        values = np.stack([row[name] for row in rows])
        found[name] = (dims, values.reshape(*shape, *rows[0][name].shape))
    dataset = xr.Dataset(
        found,
        coords=grids,
        attrs={
            "definition": "values at every perturbation of the grid; _area: trapezoids over "
            + " and ".join(grids)
            + ", divided by the width; _drop: first value minus each",
        },
    )
    for name in rows[0]:
        dataset[f"{name}_area"] = area(dataset[name], list(grids))
    if len(grids) == 1 and "accuracy" in dataset:
        axis = next(iter(grids))
        dataset["accuracy_drop"] = dataset.accuracy.isel({axis: 0}, drop=True) - dataset.accuracy
    return dataset


def area(values: xr.DataArray, dims: str | Sequence[str]) -> xr.DataArray:
    """Compute the normalised area under a curve or a map by trapezoids: a mean over its axes.

    Args:
        values: with increasing coordinates along `dims`. A curve or map that is NaN throughout is a
            missing one, and its area is NaN.
        dims: one axis or several. An axis with a single value is removed.

    Returns:
        The area, a mean of the values, along the other dimensions.

    Raises:
        InputError: a dimension that is not there or has no coordinate; a curve some of whose values
            are not finite.

    Example:
        >>> curve = xr.DataArray([1.0, 1.0, 0.0], dims="xi", coords={"xi": [0.0, 1.0, 3.0]})
        >>> round(float(area(curve, "xi")), 4)  # (1 + 1) / 3
        0.6667
    """
    axes = [dims] if isinstance(dims, str) else list(dims)
    missing = values.isnull().all([dim for dim in axes if dim in values.dims])
    finite("values", values.where(~missing, 0.0).transpose(*values.dims))
    for dim in axes:
        if dim not in values.dims or dim not in values.coords:
            raise bad("dims", dim, f"a dimension with a coordinate, of {values.dims}")
        if values.sizes[dim] == 1:
            values = values.isel({dim: 0}, drop=True)
            continue
        width = float(values[dim][-1] - values[dim][0])
        values = values.integrate(dim) / width
    return values


def compare(
    values: xr.DataArray, model: str, *, dim: str = "model", better: str = "higher"
) -> xr.Dataset:
    """Compare one model with all others over a grid of perturbations (E39).

    Args:
        values: with a dimension `dim` whose coordinate names the models; every other dimension is
            part of the grid, so average over seeds first.
        model: the one to compare.
        dim: name of that dimension.
        better: "higher" (accuracy) or "lower" (loss).

    Returns:
        share_best: share of the cells in which `model` is at least as good as every other;
        share_better (other): share in which it is strictly better than that one;
        median_ratio (other): median over cells of the other's value over the model's.

    Raises:
        InputError: an unknown model, nothing to compare with, or a value that is not finite.

    Example:
        >>> loss = xr.DataArray([[1.0, 2.0], [10.0, 10.0]], dims=("model", "xi"),
        ...     coords={"model": ["arun", "lstm"]})
        >>> found = compare(loss, "arun", better="lower")
        >>> float(found.share_best), float(found.median_ratio.sel(other="lstm"))
        (1.0, 7.5)
    """
    choose("better", better, ("higher", "lower"))
    if dim not in values.dims or dim not in values.coords:
        raise bad("values.dims", values.dims, f"dimensions that include {dim!r}, with its names")
    names = [str(name) for name in values[dim].values]
    choose("model", model, names)
    if "seed" in values.dims:
        raise bad("values.dims", values.dims, "without 'seed'", "Average over seeds first.")
    if len(names) < 2:
        raise bad("values", names, "at least two models")
    finite("values", values)
    ours = values.sel({dim: model}, drop=True)
    others = values.sel({dim: [name for name in names if name != model]}).rename({dim: "other"})
    sign = 1 if better == "higher" else -1
    margin = sign * (ours - others)
    grid = [name for name in margin.dims if name != "other"]
    return xr.Dataset(
        {
            "share_best": (margin >= 0).all("other").mean(),
            "share_better": (margin > 0).mean(grid),
            "median_ratio": (others / ours).median(grid),
        },
        attrs={
            "definition": f"{model!r} against the others over {grid}, {better} is better; "
            "median_ratio: other / model",
            "model": model,
        },
    )


def _named(result: object) -> dict[str, np.ndarray]:
    if isinstance(result, Mapping):
        items = dict(result)
    elif isinstance(result, Sequence) and len(result) == 2:
        items = {"accuracy": result[0], "loss": result[1]}
    else:
        raise bad("evaluate", result, "a function that returns (accuracy, loss) or a mapping")
    return {str(name): np.asarray(value, dtype=np.float64) for name, value in items.items()}
