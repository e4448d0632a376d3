"""The examples run as they stand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_gru_cell(capsys):
    path = EXAMPLES / "gru_cell.py"
    # the networks know nothing of this package: only analyses are imported from it
    imported = re.findall(r"^from (adaptrnn\S*)", path.read_text(), re.MULTILINE)
    assert imported == ["adaptrnn.analysis"]
    found = runpy.run_path(str(path))["main"]()
    assert found.sizes["seed"] == 3 and all(np.isfinite(found.to_array()).values.ravel())
    # of ten classes; a tenth by chance
    assert (found["accuracy"] > 0.8).all() and (found["accuracy, area over noise"] > 0.3).all()
    # two copies under the same digits come together, else nothing could be read
    assert (found["largest exponent, digits"] < 0).all()
    printed = capsys.readouterr().out
    assert "95% by t over 3 seeds" in printed
    # what does not apply says what it needs
    for name in ("heterogeneity", "controller_manifold", "units_in_plane", "transfer"):
        assert re.search(rf"^{name}: \w+=.*: must be ", printed, re.MULTILINE)
