"""Share a network of your own on the Hugging Face hub, with a card that says how well it does.

A run is shared by `Run.push_to_hub`. A module of the user's own is shared by the hub's own mixin,
to which `Shared` adds the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from adaptrnn._error import require
from adaptrnn.evaluation import evaluate
from adaptrnn.perturb import PAPER_PERTURBATIONS, Perturbation
from adaptrnn.tasks import AbstractTask

_Mixin: Any = require("huggingface_hub", "train").PyTorchModelHubMixin

__all__ = ["Shared", "card_facts"]

_TEMPLATE = """---
{{ card_data }}
---

# {{ title | default("A recurrent network", true) }}

A network made with [adaptrnn](https://doi.org/10.1371/journal.pcbi.1012567), recurrent networks
whose neurons learn and adapt their own f-I curves. Its weights are safetensors; its class is the
author's own: `{{ class_name | default("NAME", true) }}.from_pretrained("OWNER/NAME")` needs that.

{% if facts %}| | |
| --- | --- |
{% for name, value in facts.items() %}| {{ name }} | {{ value }} |
{% endfor %}{% endif %}
{% if results %}| perturbation | {{ metric }} | loss | test trials |
| --- | --- | --- | --- |
{% for row in results %}| {{ row.name }} | {{ row.score }} | {{ row.loss }} | {{ row.trials }} |
{% endfor %}{% endif %}"""


class Shared(  # type: ignore[call-arg]
    _Mixin,
    library_name="adaptrnn",
    tags=["adaptrnn", "recurrent-neural-network"],
    model_card_template=_TEMPLATE,
):
    """This mixin lets a module of your own be pushed to the hub and read back, with a card.

    It is huggingface_hub's `PyTorchModelHubMixin`: the arguments of your class, if they are plain
    values, are kept as config.json, and the weights as safetensors. Give the licence with the
    class. `card_facts` gives what the card says about task and accuracies.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from adaptrnn import RNN
        >>> class Net(torch.nn.Module, Shared, license="mit"):
        ...     def __init__(self, neurons: int = 4):
        ...         super().__init__()
        ...         self.core = RNN(3, neurons, nonlinearity="gamma")
        ...         self.readout = torch.nn.Linear(neurons, 3)
        ...     def forward(self, x, drive=None):
        ...         return self.readout(self.core(x, None, drive)[0])
        >>> from adaptrnn.tasks import load
        >>> task = load("perceptual-decision", parameters={"test_size": 20})
        >>> net = Net(neurons=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = net.save_pretrained(folder, model_card_kwargs=card_facts(net, task))
        ...     Net.from_pretrained(folder).core
        Loading ...
        RNN(3, 5, nonlinearity='gamma')

        ``net.push_to_hub("me/net", model_card_kwargs=card_facts(net, task))`` uploads the same.
    """


def card_facts(
    network: nn.Module,
    task: AbstractTask,
    perturbations: Mapping[str, Perturbation] = PAPER_PERTURBATIONS,
) -> dict[str, object]:
    """Return what the card of a network says: its task and its accuracy, clean and perturbed.

    Args:
        network: the trained module, called as ``network(x, drive)``.
        task: its task; the test trials are evaluated.
        perturbations: each with its name; by default the paper's three and none.

    Returns:
        Values of the card, for `model_card_kwargs` of `Shared.push_to_hub` or `save_pretrained`.
    """
    rows = []
    for name, perturbation in perturbations.items():
        found = evaluate(network, task, perturbation)
        row = {"name": name, "score": str(found), "loss": f"{found.loss:.4f}"}
        rows.append({**row, "trials": f"{found.images:,}"})
    facts = task.describe()
    about = {
        "task": task.name,
        "parameters of the task": facts.get("parameters") or "",
        "data": facts["source"],
        "split": f"SHA-256 {task.split_hash}",
        "parameters": f"{sum(p.numel() for p in network.parameters()):,}",
    }
    name = type(network).__name__
    return {
        "title": f"{name} trained on {task.name}",
        "class_name": name,
        "facts": {key: value for key, value in about.items() if value != ""},
        "results": rows,
        "metric": task.metric if task.metric == "accuracy" else "mean absolute error",
    }
