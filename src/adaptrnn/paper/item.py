"""An item is one figure or table of the paper, from the runs it needs to its verdicts.

    runs -> evaluate, analyze -> read -> measure -> combine -> draw, judge

What takes time is done once for each run and kept in its folder: the evaluations and analyses that
an item names. They are read here; measuring takes what was read, drawing and judging take the
combined data set only. So a file of an item says everything of one figure, opens no file, and any
scheduler can do its steps one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from adaptrnn.config import TrainConfig
from adaptrnn.evaluation import kept_evaluations
from adaptrnn.laboratory.command import read_analysis
from adaptrnn.model import MODELS
from adaptrnn.paper.verdict import Verdict
from adaptrnn.perturb import Perturbation
from adaptrnn.preset import task_in_words
from adaptrnn.run import Run

__all__ = ["ROLES", "Item", "RunData", "Table", "combine", "drop_empty", "read_runs"]

ROLES = ("psmnist", "scifar10", "scifar10-conv")
"""The paper's tasks. A profile says which task plays each role; `quick` has digits for psmnist."""


@dataclass(frozen=True)
class Table:
    """A table has texts in rows under a header.

    Attributes:
        header: names of the columns.
        rows: the cells.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class RunData:
    """The data of a run are what an item measures of it, read from its folder.

    Attributes:
        config: the run's configuration.
        record: its record, see `adaptrnn.run.Run.record`.
        evaluation: accuracy (0 to 1), loss (nats) and images on the whole test split, over
            condition: the names of the item's conditions.
        analyses: what the analyses that the item names found, by name.
        metrics: a row for each epoch, where the item asks for this file.
        weights: the trained weights by name, where the item asks for this file.
        name: of the run, for messages.
    """

    config: TrainConfig
    record: Mapping[str, Any] = field(default_factory=dict)
    evaluation: xr.Dataset = field(default_factory=xr.Dataset)
    analyses: Mapping[str, xr.Dataset] = field(default_factory=dict)
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    name: str = "RUN"

    @property
    def task_in_words(self) -> str:
        """Return the task and its length, such as "psMNIST, 196 steps"."""
        steps = self.record.get("task", {}).get("sequence_length")
        return task_in_words(self.config.task, steps)


@dataclass(frozen=True)
class Item:
    """An item is one figure or table.

    Args:
        name: as on the command line, e.g. fig1-gamma.
        title: what it shows, a few words.
        caption: what is seen, how it was made; plain text.
        measure: of a run's data (of nothing, for an item that needs no runs), what is drawn and
            judged; quick, because `conditions` and `analyses` were computed before.
        draw: the figure of the collected measures.
        judge: the verdicts that rest on them, also where all is missing (NaN).
        roles: the tasks whose runs it needs, of `ROLES`; none if it needs no run.
        models: whose runs it needs.
        variant: which runs: "" as the paper trains them, "grid" from a grid of (n, s),
            "transplant" with the controller of another seed, "initial" with another initial W_hh,
            "ladder" of another size or length.
        also: further variants whose runs it takes where they are there.
        optional: whether a profile may do without it; then it is not reported as missing.
        made_by: the command that writes its table, if it is not measured on the runs of a profile.
        conditions: perturbations under which the runs are evaluated on the whole test split.
        analyses: names of `adaptrnn.laboratory.protocol.ANALYSES` made of the runs.
        files: further files of a run that are read: "metrics", "weights".
        functions: dotted names of the functions that compute what is shown.
        tests: the test files, from the project's root, that hold those functions to a ground truth.
        table: a table of the measures, or None.
        alt: what is seen in the figure, in one or two sentences, for readers who cannot see it.
    """

    name: str
    title: str
    caption: str
    measure: Callable[..., xr.Dataset]
    draw: Callable[[xr.Dataset], Figure]
    judge: Callable[[xr.Dataset], list[Verdict]]
    roles: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    variant: str = ""
    also: tuple[str, ...] = ()
    optional: bool = False
    made_by: str = ""
    conditions: Mapping[str, Perturbation] = field(default_factory=dict)
    analyses: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    table: Callable[[xr.Dataset], Table] | None = None
    alt: str = ""

    def needs(self, role: str, model: str, variant: str) -> bool:
        """Return whether the item needs such a run."""
        wanted = variant in (self.variant, *self.also)
        return role in self.roles and model in self.models and wanted


def read_runs(item: Item, runs: Iterable[tuple[str, str, Run]]) -> Iterator[tuple[str, RunData]]:
    """Read from the folders of runs what an item measures.

    Args:
        item: the item.
        runs: finished runs, each with its role and variant; those it does not need are skipped.

    Yields:
        The role and what was read of each run that the item needs.

    Raises:
        InputError: an evaluation or analysis was not made yet, or is damaged; the message holds the
            command.
    """
    for role, variant, run in runs:
        config = run.config()
        if not item.needs(role, config.model, variant):
            continue
        found: dict[str, Any] = {name: getattr(run, name)() for name in item.files}
        if item.conditions:
            rows = kept_evaluations(run, item.conditions)
            columns = {k: ("condition", rows[k].to_numpy()) for k in ("accuracy", "loss", "images")}
            found["evaluation"] = xr.Dataset(columns, {"condition": rows["name"].to_list()})
        folder = run.folder / "analysis"
        found["analyses"] = {name: read_analysis(folder / f"{name}.nc") for name in item.analyses}
        yield role, RunData(config, run.record(), name=str(run.folder), **found)


def combine(item: Item, data: Iterable[tuple[str, RunData]]) -> xr.Dataset | None:
    """Join all measures of an item in one data set over (role, model, seed, ...).

    Args:
        item: the item.
        data: the role and the data of each run that it needs.

    Returns:
        The data set, over all roles and models that the item names, NaN where a run is missing;
        None if there is no run. The attributes of its coordinate `role` say what each task is.
    """
    if not item.roles:
        return item.measure()
    parts, words = [], dict[str, str]()
    for role, run in data:
        place = {"role": [role], "model": [run.config.model], "seed": [run.config.seed]}
        parts.append(item.measure(run).expand_dims(place))
        words.setdefault(role, run.task_in_words)
    if not parts:
        return None
    whole = xr.merge(parts, join="outer", compat="no_conflicts", combine_attrs="drop_conflicts")
    order = {"role": list(item.roles), "model": [m for m in MODELS if m in item.models]}
    whole = whole.reindex(order).transpose("role", "model", "seed", ...)
    return whole.assign_coords(role=("role", order["role"], words))


def drop_empty(data: xr.Dataset, dim: str) -> xr.Dataset:
    """Return only those entries of a dimension that have any number.

    Args:
        data: collected measures.
        dim: "role", "model" or "seed".

    Returns:
        The data set without entries whose numbers are all NaN.

    Example:
        >>> data = xr.Dataset({"a": ("model", [1.0, float("nan")])}, {"model": ["arun", "gru"]})
        >>> drop_empty(data, "model").model.values.tolist()
        ['arun']
    """
    numbers = data[[name for name, values in data.items() if dim in values.dims]]
    known = [
        bool(numbers.isel({dim: k}).notnull().any().to_array().any())
        for k in range(data.sizes[dim])
    ]
    return data.isel({dim: known})
