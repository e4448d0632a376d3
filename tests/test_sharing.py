"""Sharing runs: what is uploaded is read back the same elsewhere, and loading runs no code."""

from __future__ import annotations

import ast
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
import torch

import adaptrnn
from adaptrnn import InputError
from adaptrnn.config import TrainConfig
from adaptrnn.run import Run, read_config
from adaptrnn.sharing import SHARED_FILES
from adaptrnn.training import train

TINY = TrainConfig("digits", "arun", hidden_size=5, controller_size=3, epochs=1, train_size=200)
SOURCES = Path(adaptrnn.__file__).parent


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return train(replace(TINY, out=tmp_path_factory.mktemp("secret-place") / "run"))


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """A stand-in of the hub: repositories are folders."""
    store = tmp_path / "hub"

    class Api:
        def __init__(self, token=None):
            self.token = token

        def create_repo(self, repo_id, *, private, exist_ok):
            (store / repo_id).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(self, *, repo_id, folder_path, allow_patterns, commit_message):
            assert commit_message == "arun trained on digits"
            for path in Path(folder_path).iterdir():
                assert path.name in allow_patterns
                shutil.copy(path, store / repo_id)
            return f"https://hub/{repo_id}"

    def snapshot_download(repo_id, *, revision, token, cache_dir, allow_patterns):
        if not (store / repo_id).is_dir():
            raise OSError(f"{repo_id} not found\nsecond line")
        there = Path(cache_dir) / "snapshot"
        there.mkdir()
        for path in (store / repo_id).iterdir():
            if path.name in allow_patterns:
                shutil.copy(path, there)
        return str(there)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return store


def test_what_is_pushed_is_read_back(run, hub, tmp_path):
    assert run.push_to_hub("me/net") == "https://hub/me/net"
    other = Run.from_pretrained("me/net", cache_dir=tmp_path)
    task = run.task()
    x = task.inputs(task.test.images[:20])
    assert torch.equal(other.model()(x), run.model()(x))
    assert other.record() == run.record()
    assert other.config() == replace(run.config(), out=None)
    other.task_is(task)
    # no path of this machine, no state of the optimiser, no log
    assert {path.name for path in other.folder.iterdir()} <= set(SHARED_FILES)
    for path in other.folder.iterdir():
        assert b"secret-place" not in path.read_bytes()


def test_the_card_says_what_it_is_and_how_it_was_made(run, tmp_path):
    run.save_pretrained(tmp_path)
    card = huggingface_hub.ModelCard.load(tmp_path / "README.md")
    assert card.data.library_name == "adaptrnn" and "arun" in card.data.tags
    command = next(line for line in card.text.splitlines() if line.startswith("adaptrnn train "))
    assert command == "adaptrnn train --config config.json"
    # the command of the card gives the same weights
    config = read_config(tmp_path / "config.json")
    assert config == replace(TINY, out=None)
    same = train(replace(config, out=tmp_path / "again"))
    assert same.weights_path.read_bytes() == (tmp_path / "weights.safetensors").read_bytes()
    assert f"{run.record()['validation_accuracy']:.2%}" in card.text


def test_a_transplanted_controller_is_shared_without_its_donor(run, tmp_path):
    config = replace(TINY, seed=1, controller_from=run.folder, out=tmp_path / "run")
    other = train(config)
    shared = Run(other.save_pretrained(tmp_path / "shared"))
    assert shared.config().controller_from == Path("run")
    (tmp_path / "shared" / "config.json").read_text().index('"run"')
    x = torch.rand(64, 4, 1)
    assert torch.equal(shared.model()(x), other.model()(x))
    assert not any(p.requires_grad for p in shared.model().core.controller.parameters())


def test_a_network_is_read_without_its_data(run, tmp_path, monkeypatch):
    from adaptrnn import run as module

    monkeypatch.setattr(module, "load_task", lambda config: pytest.fail("data was loaded"))
    assert run.model().core.hidden_size == 5


def test_errors_say_what_to_do(run, hub, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"name='me/none': neither.*not found\). Check the name"):
        Run.from_pretrained("me/none", cache_dir=tmp_path)
    with pytest.raises(InputError, match="not a run"):
        Run.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="another folder"):
        run.save_pretrained(run.folder)

    def refuse(self, *arguments, **options):
        raise OSError("401 unauthorised")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(InputError, match=r"not uploaded \(401.*hf auth login"):
        run.push_to_hub("me/net")
    unfinished = Run(shutil.copytree(run.folder, tmp_path / "unfinished"))
    unfinished.update({"state": "training"})
    with pytest.raises(InputError, match="not finished"):
        unfinished.push_to_hub("me/net")


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize(
    "name",
    [
        "weights.safetensors",
        "config.json",
        "record.json",
        "evaluation.parquet",
        "metrics.parquet",
        "checkpoint.ckpt",
        "weights.pt",
        "model.pkl",
    ],
)
@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_a_pickle_in_a_run_folder_is_never_run(run, tmp_path, monkeypatch, name, form):
    from adaptrnn.evaluation import evaluate_run
    from adaptrnn.perturb import StepDrive

    monkeypatch.chdir(tmp_path)
    other = Run(shutil.copytree(run.folder, tmp_path / "run"))
    if form == "pickle":
        (other.folder / name).write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"state_dict": Bomb()}, other.folder / name)
    if name == "checkpoint.ckpt":
        other.update({"state": "training"})
        other.previous_checkpoint_path.unlink(missing_ok=True)
    actions = {
        "model": other.model,
        "evaluate": lambda: evaluate_run(other, {"step": StepDrive(1.0)}),
        "metrics": other.metrics,
        "fetch": lambda: Run.from_pretrained(other.folder),
        "share": lambda: other.save_pretrained(tmp_path / "shared"),
        "train": lambda: train(replace(TINY, out=other.folder)),
    }
    refused = 0
    for action in actions.values():
        try:
            action()
        except InputError as error:
            refused += 1
            assert "damaged" in str(error) or "not finished" in str(error)
    assert not (tmp_path / "exploded").exists()
    assert refused or name in ("weights.pt", "model.pkl")  # these are not looked at
    pickle.loads(pickle.dumps(Bomb()))
    assert (tmp_path / "exploded").exists()  # the bomb would have worked


def test_no_source_reads_code_from_files():
    """No pickle, and torch.load with weights_only=True only."""
    loads = 0
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                names.add((getattr(node, "module", None) or "").split(".")[0])
                forbidden = names & {
                    "pickle",
                    "cPickle",
                    "dill",
                    "cloudpickle",
                    "joblib",
                    "marshal",
                }
                assert not forbidden, f"{path.name}: {forbidden}"
            if not isinstance(node, ast.Call):
                continue
            options = {
                o.arg: o.value.value for o in node.keywords if isinstance(o.value, ast.Constant)
            }
            call = ast.unparse(node.func)
            place = f"{path.name}:{node.lineno} {call}"
            assert (
                call.split(".")[-1] not in ("eval", "exec", "unsafe_load")
                or call in ("model.eval", "self.eval")
                or call.endswith(".eval")
            ), place
            assert call not in ("eval", "exec", "yaml.load", "np.load", "pd.read_pickle"), place
            if call == "torch.load":
                loads += 1
                assert options.get("weights_only") is True, place
            if call == "trainer.fit":
                assert options.get("weights_only") is True, place
    assert loads


def test_shared_json_is_plain(run):
    for name in ("config.json", "record.json"):
        assert isinstance(json.loads((run.folder / name).read_text()), dict)


def test_the_card_has_licence_and_perturbed_accuracies(run, tmp_path):
    from adaptrnn.evaluation import evaluate_run

    table = evaluate_run(run)
    run.save_pretrained(tmp_path, licence="mit")
    card = huggingface_hub.ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "mit"
    for row in table.to_dict("records"):
        assert f"| test accuracy, {row['perturbation']} | {row['accuracy']:.2%} |" in card.text
