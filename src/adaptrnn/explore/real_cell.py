"""Where do simulated cells, and those of a table of f-I curves, lie in the (n, s) plane?"""

from __future__ import annotations

import importlib.util
import tempfile
from functools import cache
from pathlib import Path

from adaptrnn._error import bad
from adaptrnn.analysis.cell_model import CELL_MODELS, simulate_fi
from adaptrnn.analysis.cell_recording import read_fi_table
from adaptrnn.analysis.fi_curve import fit_fi, fit_fi_table

__all__ = ["how_to_get", "points_from_csv", "simulated"]


def how_to_get() -> str | None:
    """Say what to do to get simulated cells; None where they can be had."""
    if importlib.util.find_spec("brian2") is None:
        return "Simulated cells need the extra 'neurons': pip install 'adaptrnn[neurons]'"
    return None


@cache
def simulated() -> dict[str, tuple[float, float]]:
    """Fit gain and saturation to the f-I curve of every neuron model in `CELL_MODELS`.

    Returns:
        (n, s) by the model's name, the largest current of each curve taken as 1.

    Raises:
        MissingExtraError: Brian2 is not there, or does not run with the installed NumPy.
    """
    found = {}
    for name in CELL_MODELS:
        table = simulate_fi(name)
        fit = fit_fi(table.current.values, table.rate.values)
        found[name] = (float(fit.n), float(fit.s))
    return found


def points_from_csv(content: bytes) -> dict[str, tuple[float, float]]:
    r"""Fit gain and saturation to every neuron of a CSV table with currents and rates.

    Args:
        content: of the file, with the columns current, rate and, for several cells, neuron.

    Returns:
        (n, s) by the cell's name, the largest current of each curve taken as 1.

    Raises:
        InputError: no such columns, values that are no numbers, too few points.

    Example:
        >>> rows = [f"{i / 10},{max(0, i - 3)}" for i in range(20)]  # a threshold, then a line
        >>> n, s = points_from_csv("\n".join(["current,rate", *rows]).encode())["0"]
        >>> n > 100, abs(s) < 0.1
        (True, True)
    """
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise bad("table", content[:20], "text in UTF-8", str(error)) from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(content)
        fits = fit_fi_table(read_fi_table(path))
    numbers = zip(fits.n.values.tolist(), fits.s.values.tolist(), strict=True)
    return dict(zip(map(str, fits.neuron.values), numbers, strict=True))
