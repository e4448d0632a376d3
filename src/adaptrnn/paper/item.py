"""An item: one figure or table of the paper, from the runs it needs to its verdicts.

    runs -> evaluate, analyze -> measure -> collect -> draw, judge

What takes time is done once for each run and kept in its folder: the evaluations and analyses that
an item names. Measuring only reads them; drawing and judging read the collected data set only. So
a file of an item says everything of one figure, and any scheduler can do its steps one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import xarray as xr
from matplotlib.figure import Figure

from adaptrnn.evaluation import kept_evaluations
from adaptrnn.laboratory.command import read_analysis
from adaptrnn.model import MODELS
from adaptrnn.paper.verdict import Verdict
from adaptrnn.perturb import Perturbation
from adaptrnn.run import Run

__all__ = ["ROLES", "Item", "Table", "analysis_of", "collect", "evaluation_of", "present"]

ROLES = ("psmnist", "scifar10", "scifar10-conv")
"""The paper's tasks. A profile says which task plays each role; `quick` has digits for psmnist."""


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
        measure: of a run (of nothing, for an item that needs no runs), what is drawn and judged;
            quick, because it reads what `conditions` and `analyses` left in the run's folder.
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
        functions: dotted names of the functions that compute what is shown.
        tests: the test files, from the project's root, that hold those functions to a ground truth.
        table: a table of the measures, or None.
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
    functions: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    table: Callable[[xr.Dataset], Table] | None = None

    def needs(self, role: str, model: str, variant: str) -> bool:
        """Whether it needs such a run."""
        wanted = variant in (self.variant, *self.also)
        return role in self.roles and model in self.models and wanted


def collect(item: Item, runs: Iterable[tuple[str, str, Run]]) -> xr.Dataset | None:
    """All measures of an item in one data set over (role, model, seed, ...).

    Args:
        item: the item.
        runs: finished runs, each with its role and variant; those it does not need are passed over.

    Returns:
        The data set, over all roles and models that the item names, NaN where a run is missing;
        None if there is no run that it needs.
    """
    if not item.roles:
        return item.measure()
    parts: list[xr.Dataset] = []
    for role, variant, run in runs:
        config = run.config()
        if item.needs(role, config.model, variant):
            one = item.measure(run)
            parts.append(one.expand_dims(role=[role], model=[config.model], seed=[config.seed]))
    if not parts:
        return None
    whole = xr.merge(parts, join="outer", compat="no_conflicts", combine_attrs="drop_conflicts")
    order = {"role": list(item.roles), "model": [m for m in MODELS if m in item.models]}
    return whole.reindex(order).transpose("role", "model", "seed", ...)


def present(data: xr.Dataset, dim: str) -> xr.Dataset:
    """Only those entries of a dimension that have any number.

    Args:
        data: collected measures.
        dim: "role", "model" or "seed".

    Returns:
        The data set without entries whose numbers are all NaN.

    Example:
        >>> data = xr.Dataset({"a": ("model", [1.0, float("nan")])}, {"model": ["arun", "gru"]})
        >>> present(data, "model").model.values.tolist()
        ['arun']
    """
    numbers = data[[name for name, values in data.items() if dim in values.dims]]
    known = [
        bool(numbers.isel({dim: k}).notnull().any().to_array().any())
        for k in range(data.sizes[dim])
    ]
    return data.isel({dim: known})


def analysis_of(run: Run, name: str) -> xr.Dataset:
    """What `adaptrnn analyze NAME` found of a run.

    Args:
        run: a run.
        name: of `adaptrnn.laboratory.protocol.ANALYSES`.

    Returns:
        The data set.

    Raises:
        InputError: it was not made yet, or is damaged.
    """
    return read_analysis(run.folder / "analysis" / f"{name}.nc")


def evaluation_of(run: Run, conditions: Mapping[str, Perturbation]) -> xr.Dataset:
    """Accuracy and loss of a run on the whole test split, (condition,).

    Args:
        run: a finished run that was evaluated under the conditions.
        conditions: perturbations, each with its name.

    Returns:
        accuracy (0 to 1), loss (nats) and images, over condition.

    Raises:
        InputError: it was not evaluated under a condition; the message holds the command.
    """
    rows = kept_evaluations(run, conditions)
    return xr.Dataset(
        {name: ("condition", rows[name].to_numpy()) for name in ("accuracy", "loss", "images")},
        coords={"condition": rows["name"].to_list()},
    )
