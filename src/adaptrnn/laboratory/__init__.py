"""The laboratory runs the standard protocols on a trained network, from a run or from Python.

subject   a trained network and its task
protocol  each analysis with the stimuli and numbers of the paper, on a subject
drawing   the picture of each result
command   `adaptrnn analyze`, which keeps the results in the folder of a run
network   `analyze`, which gives them in Python
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptrnn.laboratory.network import analyze

__all__ = ["analyze"]


def __getattr__(name: str) -> object:
    if name != "analyze":
        raise AttributeError(f"module 'adaptrnn.laboratory' has no attribute {name!r}")
    from adaptrnn.laboratory.network import analyze

    return analyze
