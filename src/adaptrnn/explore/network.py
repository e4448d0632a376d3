"""The explorer shows trained runs, and one network that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adaptrnn._error import InputError, bad
from adaptrnn.arun import ARUN
from adaptrnn.model import MODELS
from adaptrnn.rnn import RNN
from adaptrnn.run import Run

__all__ = ["SHIPPED", "ShownNetwork", "find_runs", "load_network"]

SHIPPED = Path(__file__).parent / "weights" / "psmnist-arun-seed0"
"""An ARUN of 100 neurons that reads MNIST digits; its model card is the README there."""

WITH_CURVES = tuple(name for name, model in MODELS.built_in.items() if model.has_curves)


@dataclass(frozen=True)
class ShownNetwork:
    """A shown network is a trained recurrent core and what is known of it.

    Attributes:
        name: of its folder. This and `facts` are someone's own words: escape them.
        model: its name in `adaptrnn.model.MODELS`.
        core: the network.
        facts: label to value, to be shown.
    """

    name: str
    model: str
    core: ARUN | RNN
    facts: dict[str, str]


def find_runs(place: Path | str | None = None) -> dict[str, Path]:
    """Return the runs that the explorer offers, by their names.

    Args:
        place: folder of a run, or a folder with folders of runs; None for the shipped one alone.

    Returns:
        Folders by name; the shipped network last.

    Raises:
        InputError: there is no run whose neurons have n and s.

    Example:
        >>> list(find_runs())
        ['psMNIST, comes with adaptrnn']
    """
    shipped = {"psMNIST, comes with adaptrnn": SHIPPED}
    if place is None:
        return shipped
    folder = Path(place)
    if (folder / "config.json").exists():
        return {folder.resolve().name: folder, **shipped}
    below = sorted(path.parent for path in folder.glob("*/config.json"))
    runs = {path.name: path for path in below if _has_curve(path)}
    if not runs:
        advice = f"Train one: adaptrnn train digits --out {folder / 'digits'}"
        allowed = f"a run, or a folder of runs, of {', '.join(WITH_CURVES)}"
        raise bad("run", str(folder), allowed, advice)
    return {**runs, **shipped}


def load_network(folder: Path | str, name: str | None = None) -> ShownNetwork:
    """Read the recurrent core of a run; neither its data nor its checkpoint is touched.

    Args:
        folder: of the run.
        name: what to call it; the folder's name if None.

    Returns:
        The network.

    Raises:
        InputError: no run, a run of a model without n and s, missing or damaged weights.

    Example:
        >>> load_network(SHIPPED).core.hidden_size
        100
    """
    run = Run(Path(folder))
    config, record = run.config(), run.record()
    if config.model not in WITH_CURVES:
        advice = "The explorer moves gains n and saturations s, which it does not have."
        raise bad(f"{folder}: model", config.model, f"one of {', '.join(WITH_CURVES)}", advice)
    core = run.model().core
    assert isinstance(core, ARUN | RNN)
    core.requires_grad_(False)
    facts = {
        "folder": str(folder),
        "task": config.task,
        "model": config.model,
        "neurons": str(core.hidden_size),
        "seed": str(config.seed),
    }
    if "validation_accuracy" in record:
        accuracy = record["validation_accuracy"]
        known = isinstance(accuracy, float)
        facts["validation accuracy"] = f"{accuracy:.1%}" if known else str(accuracy)
    if Path(folder) == SHIPPED:
        facts["folder"] = "comes with adaptrnn"
    return ShownNetwork(name or run.folder.resolve().name, config.model, core, facts)


def _has_curve(folder: Path) -> bool:
    try:
        return Run(folder).config().model in WITH_CURVES
    except InputError:
        return False
