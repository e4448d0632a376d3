"""What is known of the image tasks before their data are read is what the data then say."""

from __future__ import annotations

import pytest
import torch

from adaptrnn import ConvEncoder
from adaptrnn.config import TrainConfig
from adaptrnn.preset import PRESETS, preset_of
from adaptrnn.tasks import TASKS, load


@pytest.mark.long
@pytest.mark.parametrize("name", PRESETS)
def test_the_data_have_the_sizes_that_are_stated(name, request):
    """All but digits need the real data, and are skipped without them."""
    preset = PRESETS[name]
    task = load(name) if preset.hub is None else load(name, request.getfixturevalue("data_dir"))
    counts = tuple(len(part) for part in (task.train, task.validation, task.test))
    assert counts == (preset.train, preset.validation, preset.test)
    assert task.kind == preset.kind
    if preset.kind == "sequence":
        assert task.sequence_length == preset.steps
    else:
        image = torch.zeros(1, *task.image_shape)
        assert len(ConvEncoder(task.image_shape[0])(image)) == preset.steps


def test_training_and_validation_images_are_all_rows_of_the_data_set():
    for preset in PRESETS.values():
        if preset.rows is not None:
            assert preset.train + (preset.validation or 0) == preset.rows["train"]
            assert preset.test == preset.rows["test"]


def test_other_tasks_have_the_paper_s_rate():
    """1e-4, but for grey CIFAR-10 (Geadah et al. 2024, Methods)."""
    rates = {name: TrainConfig(name).learning_rate for name in (*TASKS, "adding", "owner/name")}
    assert rates.pop("scifar10") == 1e-5 and set(rates.values()) == {1e-4}
    assert preset_of("owner/name").hub == "owner/name"
