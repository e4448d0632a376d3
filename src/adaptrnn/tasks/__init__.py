"""Tasks: images of the world, as sequences or as images, with a stated split and permutation."""

from adaptrnn.tasks.catalogue import PERMUTATION_SEED, SPLIT_SEED, TASKS, load
from adaptrnn.tasks.task import Split, Task, downsample

__all__ = ["PERMUTATION_SEED", "SPLIT_SEED", "TASKS", "Split", "Task", "downsample", "load"]
