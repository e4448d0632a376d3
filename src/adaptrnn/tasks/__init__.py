"""Tasks are trials of input, target and weight: images, cognitive tasks, or your own."""

from adaptrnn.tasks.catalogue import PERMUTATION_SEED, SPLIT_SEED, TASKS, load
from adaptrnn.tasks.cognitive import COGNITIVE, register_task
from adaptrnn.tasks.image import ImageTask, Split, downsample
from adaptrnn.tasks.own import NamedTask, is_file
from adaptrnn.tasks.task import AbstractTask, Task, Trials, trial_loss, trial_scores, weight_sum

__all__ = [
    "COGNITIVE",
    "PERMUTATION_SEED",
    "SPLIT_SEED",
    "TASKS",
    "AbstractTask",
    "ImageTask",
    "NamedTask",
    "Split",
    "Task",
    "Trials",
    "downsample",
    "is_file",
    "load",
    "register_task",
    "trial_loss",
    "trial_scores",
    "weight_sum",
]
