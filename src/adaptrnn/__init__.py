"""This PyTorch library has recurrent networks whose neurons learn and adapt their f-I curves.

The curves adapt in real time, as in Geadah, Horoi, Kerg, Wolf, Lajoie, PLOS Computational Biology
2024, doi 10.1371/journal.pcbi.1012567. The public names are imported when first used, so that the
command line starts fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adaptrnn._error import InputError, MissingExtraError
    from adaptrnn.activation import Gamma, gamma
    from adaptrnn.arun import ARUN, ARUNState
    from adaptrnn.classifier import Classifier, ConvEncoder, build_core, match_parameters
    from adaptrnn.controller import AbstractController, AdaptationController
    from adaptrnn.gated import GRU, LSTM
    from adaptrnn.laboratory.protocol import Analysis, register_analysis
    from adaptrnn.model import Model, register_model
    from adaptrnn.perturb import NoisyDrive, SinusoidalContrast, StepDrive
    from adaptrnn.rnn import RNN, Trace
    from adaptrnn.sequence import SequenceModel
    from adaptrnn.tasks import NamedTask, Task, Trials, register_task
    from adaptrnn.training import train

_NAMES = {
    "_error": ("InputError", "MissingExtraError"),
    "activation": ("Gamma", "gamma"),
    "arun": ("ARUN", "ARUNState"),
    "classifier": ("Classifier", "ConvEncoder", "build_core", "match_parameters"),
    "controller": ("AbstractController", "AdaptationController"),
    "gated": ("GRU", "LSTM"),
    "laboratory.protocol": ("Analysis", "register_analysis"),
    "model": ("Model", "register_model"),
    "perturb": ("NoisyDrive", "SinusoidalContrast", "StepDrive"),
    "rnn": ("RNN", "Trace"),
    "sequence": ("SequenceModel",),
    "tasks": ("NamedTask", "Task", "Trials", "register_task"),
    "training": ("train",),
}
_HOME = {name: home for home, names in _NAMES.items() for name in names}

_EXTRA = {"Analysis": "analysis", "register_analysis": "analysis", "train": "train"}

__all__ = [
    "ARUN",
    "GRU",
    "LSTM",
    "RNN",
    "ARUNState",
    "AbstractController",
    "AdaptationController",
    "Analysis",
    "Classifier",
    "ConvEncoder",
    "Gamma",
    "InputError",
    "MissingExtraError",
    "Model",
    "NamedTask",
    "NoisyDrive",
    "SequenceModel",
    "SinusoidalContrast",
    "StepDrive",
    "Task",
    "Trace",
    "Trials",
    "build_core",
    "gamma",
    "match_parameters",
    "register_analysis",
    "register_model",
    "register_task",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        try:
            home = importlib.import_module(f"adaptrnn.{_HOME[name]}")
        except ModuleNotFoundError as error:
            extra = _EXTRA.get(name)
            if extra is None or error.name is None or error.name.startswith("adaptrnn"):
                raise
            from adaptrnn._error import missing_extra

            raise missing_extra(error.name, extra) from error
        return getattr(home, name)
    raise AttributeError(f"module 'adaptrnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
