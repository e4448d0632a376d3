"""A module of one's own on the hub: its weights come back, and its card says how well it does."""

from __future__ import annotations

import huggingface_hub
import torch

from adaptrnn import RNN, StepDrive
from adaptrnn.evaluation import evaluate
from adaptrnn.hub import Shared, card_facts
from adaptrnn.tasks import load


def test_a_module_of_ones_own_is_shared(tmp_path):
    """What is written is read back the same, and the card holds an evaluation's rows."""

    class Net(torch.nn.Module, Shared, license="apache-2.0"):
        def __init__(self, neurons: int = 4):
            super().__init__()
            self.core = RNN(3, neurons, nonlinearity="gamma")
            self.readout = torch.nn.Linear(neurons, 3)

        def forward(self, x, drive=None):
            return self.readout(self.core(x, None, drive)[0])

    task = load("perceptual-decision", parameters={"test_size": 30})
    net, drive = Net(neurons=6), StepDrive(2.0)
    facts = card_facts(net, task, {"strong step": drive})
    net.save_pretrained(tmp_path, model_card_kwargs=facts)
    again = Net.from_pretrained(tmp_path)
    assert torch.equal(again(task.test.inputs), net(task.test.inputs))
    card = huggingface_hub.ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "apache-2.0" and card.data.library_name == "adaptrnn"
    assert f"| strong step | {evaluate(net, task, drive)} |" in card.text
    assert f"| task | {task.name} |" in card.text
    assert not list(tmp_path.glob("*.bin")) and (tmp_path / "model.safetensors").exists()
