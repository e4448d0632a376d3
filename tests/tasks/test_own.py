"""Tasks in a file of the user's own."""

from __future__ import annotations

import pytest

from adaptrnn import InputError
from adaptrnn.tasks import is_file, load


def test_a_file_of_the_users_own(tmp_path):
    path = tmp_path / "my_task.py"
    path.write_text(
        "import numpy as np\n"
        "from adaptrnn import Task, Trials\n"
        "def task(steps=4, train_size=10):\n"
        "    def make(count, random):\n"
        "        return Trials(random.normal(size=(steps, count, 1)), np.zeros(count, int))\n"
        "    return Task('mine', make, 3, 3, train_size, outputs=2)\n"
        "def number():\n"
        "    return 1\n"
    )
    name = f"{path}:task"
    assert is_file(name) and not is_file(str(path)) and not is_file("owner/name")
    task = load(name, train_size=7, parameters={"steps": 5})
    assert (task.name, task.sequence_length, len(task.train)) == ("mine", 5, 7)
    for wrong, message in (
        (f"{path}:number", "must be an adaptrnn.tasks.Task"),
        (f"{path}:nothing", "has no function 'nothing'"),
        (f"{tmp_path}/other.py:task", "the path of a Python file"),
        (str(path), "Write .*my_task.py:FUNCTION"),
        ("./my_task.py", "Write ./my_task.py:FUNCTION"),
    ):
        with pytest.raises(InputError, match=message):
            load(wrong)
    with pytest.raises(InputError, match="unexpected keyword argument 'step'"):
        load(name, parameters={"step": 5})
    path.write_text("1 / 0\n")
    with pytest.raises(InputError, match="cannot be run"):
        load(name)
    with pytest.raises(InputError, match="image_size=14: must be left out"):
        load(name, image_size=14)
