"""Share the files of a run on the Hugging Face hub, with a card that describes the network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adaptrnn._error import InputError, require
from adaptrnn.config import TrainConfig
from adaptrnn.storage import first_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SHARED_FILES", "fetch", "model_card", "upload"]

SHARED_FILES = (
    "config.json",
    "record.json",
    "permutation.json",
    "weights.safetensors",
    "metrics.parquet",
    "evaluation.parquet",
    "README.md",
)
"""What `Run.push_to_hub` uploads and `Run.from_pretrained` fetches; none of them holds code."""


def upload(
    folder: Path, repo_id: str, message: str, *, private: bool = False, token: str | None = None
) -> str:
    """Upload the shared files of a folder to a repository, which is created if it does not exist.

    Args:
        folder: with the files.
        repo_id: ``owner/name`` of the repository.
        message: of the commit.
        private: whether a new repository is private.
        token: of the hub; None takes the one that ``hf auth login`` stored.

    Returns:
        The address of the commit.

    Raises:
        InputError: the hub cannot be reached or refuses.
    """
    hub = require("huggingface_hub", "train")
    try:
        api = hub.HfApi(token=token)
        api.create_repo(repo_id, private=private, exist_ok=True)
        return str(
            api.upload_folder(
                repo_id=repo_id,
                folder_path=str(folder),
                allow_patterns=list(SHARED_FILES),
                commit_message=message,
            )
        )
    except Exception as error:  # the client raises types of its own and of its transport
        raise InputError(
            f"repo_id={repo_id!r}: not uploaded ({first_line(error)}). Check the network, "
            "and the token by  hf auth login  or token=..."
        ) from error


def fetch(
    name: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> str:
    """Fetch the shared files of a repository; they hold no code.

    Args:
        name: ``owner/name`` of the repository.
        revision: commit, branch or tag.
        token: of the hub, for private repositories.
        cache_dir: where they are kept; None for the hub's usual place.

    Returns:
        The folder.

    Raises:
        InputError: there is no such repository, or it cannot be reached.
    """
    hub = require("huggingface_hub", "train")
    try:
        return str(
            hub.snapshot_download(
                name,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                allow_patterns=list(SHARED_FILES),
            )
        )
    except Exception as error:  # the client raises types of its own and of its transport
        raise InputError(
            f"name={name!r}: neither a folder nor a repository that can be reached "
            f"({first_line(error)}). Check the name, the network and the token."
        ) from error


def model_card(
    config: TrainConfig,
    record: Mapping[str, Any],
    evaluation: pd.DataFrame | None,
    licence: str | None,
) -> str:
    """Return the text of the model card of a finished run, README.md.

    Args:
        config: of the run.
        record: of the run.
        evaluation: the rows of its evaluation, if there are any.
        licence: of the weights, as the hub names it; None leaves it out.
    """
    task = record["task"]
    facts = require("huggingface_hub", "train").ModelCardData(
        library_name="adaptrnn",
        license=licence,
        tags=["adaptrnn", "recurrent-neural-network", config.model],
        pipeline_tag=None if "answers" in task else "image-classification",
        datasets=[config.task] if "/" in config.task and "answers" not in task else None,
    )
    about = {
        **_best(record),
        "parameters": f"{record['parameters']:,}",
        "neurons": record["hidden_size"],
        "steps of a sequence": task["sequence_length"] or "made by the encoder",
        "data": task["source"],
        "split": f"{task['train_size']:,} train, {task['validation_size']:,} validation, "
        f"{task['test_size']:,} test; SHA-256 {task['split_hash']}",
        "versions": ", ".join(f"{k} {v}" for k, v in record["versions"].items()),
    }
    about |= {} if evaluation is None else _perturbed(evaluation)
    rows = "\n".join(f"| {name} | {value} |" for name, value in about.items())
    return f"""---
{facts.to_yaml()}
---

# {config.model} trained on {config.task}

A network of [adaptrnn](https://doi.org/10.1371/journal.pcbi.1012567), recurrent networks whose
neurons learn and adapt their own f-I curves.

| | |
| --- | --- |
{rows}

```python
from adaptrnn.run import Run

run = Run.from_pretrained("OWNER/NAME")  # this repository, or a folder
network = run.model()  # weights are safetensors: loading runs no code
```

Made by the command below, whose options are all in config.json of this repository:

```
adaptrnn train --config config.json
```
"""


def _perturbed(evaluation: pd.DataFrame) -> dict[str, str]:
    """Test accuracies, or errors, by perturbation."""
    found = {}
    for row in evaluation[evaluation["split"] == "test"].to_dict("records"):
        error = row.get("error", float("nan"))
        score = f"{error:.4g}" if error == error else f"{row['accuracy']:.2%}"
        kind = "error" if error == error else "accuracy"
        found[f"test {kind}, {row['perturbation']}"] = score
    return found


def _best(record: Mapping[str, Any]) -> dict[str, str]:
    """The best validation accuracy, or error, that a record holds."""
    if "validation_error" in record:
        return {"validation error": f"{record['validation_error']:.4g}"}
    return {"validation accuracy": f"{record['validation_accuracy']:.2%}"}
