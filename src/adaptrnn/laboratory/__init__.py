"""The laboratory: the standard protocols on any trained recurrent network, without a run folder."""

from adaptrnn.laboratory.network import analyze

__all__ = ["analyze"]
