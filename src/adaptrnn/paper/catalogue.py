"""All figures and tables that can be made, by name."""

from __future__ import annotations

from adaptrnn.paper import figure1, figure2, figure3, figure4, table1
from adaptrnn.paper.item import Item

__all__ = ["ITEMS"]

ITEMS: dict[str, Item] = {
    item.name: item
    for item in (
        figure1.ITEM,
        table1.ITEM,
        figure2.DRIVE,
        figure2.CONTRAST,
        figure3.ITEM,
        figure4.ITEM,
    )
}
"""Figures and tables in the paper's order; a new one is a file beside these and a line here."""
