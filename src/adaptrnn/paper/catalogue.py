"""The catalogue holds all figures and tables that can be made."""

from __future__ import annotations

from adaptrnn.paper import (
    appendix_d,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure_b3,
    figure_s6,
    figure_s9,
    figure_s10,
    figure_s13,
    figure_s17,
    figure_s18,
    initial,
    ladder,
    learning,
    proposition1,
    supplement_b1,
    table1,
)
from adaptrnn.paper.item import Item

__all__ = ["ITEMS"]

_FILES = (
    table1,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure_s6,
    figure_s9,
    figure_s10,
    figure_s13,
    figure_s17,
    figure_s18,
    supplement_b1,
    figure_b3,
    proposition1,
    appendix_d,
    learning,
    initial,
    ladder,
)

ITEMS: dict[str, Item] = {
    item.name: item for file in _FILES for item in vars(file).values() if isinstance(item, Item)
}
"""Figures and tables in the paper's order; a new one is a file next to these and its name above."""
