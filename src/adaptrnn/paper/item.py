"""An item: one figure or table of the paper, from the runs it needs to its verdicts.

    runs -> measure (one data set for each run, kept in the run's folder) -> merge -> draw, judge

Measuring computes and draws nothing; drawing and judging read the merged data set only. So a file
of an item says everything of one figure, and any scheduler can do its steps one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn._names import MODELS
from adaptrnn.paper.verdict import Verdict
from adaptrnn.run import Run, versions, write_dataset

__all__ = ["Item", "Table", "collect", "measured"]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        header: names of the columns.
        rows: the cells.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Item:
    """One figure or table.

    Args:
        name: as on the command line, e.g. fig1-gamma.
        title: what it shows, a few words.
        caption: what is seen, how it was made; plain text.
        models: whose runs it needs; none if it needs no run.
        measure: of a run (of nothing, for an item that needs no runs), what is drawn and judged.
        draw: the figure of the merged measures, over (model, seed, ...).
        judge: the verdicts that rest on them.
        table: a table of them, or None.
    """

    name: str
    title: str
    caption: str
    models: tuple[str, ...]
    measure: Callable[..., xr.Dataset]
    draw: Callable[[xr.Dataset], Figure]
    judge: Callable[[xr.Dataset], list[Verdict]]
    table: Callable[[xr.Dataset], Table] | None = None


def measured(item: Item, run: Run) -> xr.Dataset:
    """The measure of one run, computed once for its weights and kept in its folder.

    Args:
        item: the item.
        run: a finished run.

    Returns:
        The data set, with the hash of the weights and the version of adaptrnn in its attributes.

    Raises:
        InputError: not a run, or no weights yet.
    """
    path = run.folder / "measures" / f"{item.name}.nc"
    weights = run.weights_path
    stamp = {
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else "",
        "adaptrnn": versions()["adaptrnn"],
    }
    if path.exists():
        try:
            kept = xr.load_dataset(path, engine="h5netcdf")
        except Exception:  # damaged: h5py raises many types
            kept = xr.Dataset()
        if all(kept.attrs.get(key) == value for key, value in stamp.items()):
            return kept
    found = item.measure(run).assign_attrs(stamp)
    write_dataset(path, found)
    return xr.load_dataset(path, engine="h5netcdf")


def collect(item: Item, runs: Iterable[Run]) -> xr.Dataset | None:
    """All measures of an item in one data set over (model, seed, ...).

    Args:
        item: the item.
        runs: finished runs; those of models that the item does not need are passed over.

    Returns:
        The data set, with NaN for runs that are missing; None if there is no run that it needs.
    """
    if not item.models:
        return item.measure()
    parts: list[xr.Dataset] = []
    for run in runs:
        config = run.config()
        if config.model in item.models:
            one = measured(item, run)
            parts.append(one.expand_dims(model=[config.model], seed=[config.seed]))
    if not parts:
        return None
    whole = xr.merge(parts, join="outer", compat="no_conflicts", combine_attrs="drop_conflicts")
    present: Mapping[str, list[str]] = {"model": [m for m in MODELS if m in whole.model.values]}
    return whole.reindex(present)
