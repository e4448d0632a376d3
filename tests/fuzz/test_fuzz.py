"""Damaged and hostile input: it works or is one clear error with exit code 2, and no wrong result.

Hypothesis gives a few hundred inputs of each kind in the default tests, 10,000 in the slow ones:

    python -m pytest tests/fuzz -m slow --timeout 7200 -s

The same targets under atheris, which looks for new paths through the code:

    python tests/fuzz/test_fuzz.py weights -runs=10000
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if __name__ == "__main__":  # atheris sees which paths are taken in what it imports
    with importlib.import_module("atheris").instrument_imports(include=["adaptrnn"]):
        importlib.import_module("adaptrnn.cli")
        importlib.import_module("adaptrnn.evaluation")

from adaptrnn import InputError
from adaptrnn import training as training_module
from adaptrnn.cli import main
from adaptrnn.config import TrainConfig, to_dict
from adaptrnn.evaluation import evaluate_run, read_evaluations
from adaptrnn.perturb import StepDrive
from adaptrnn.run import Run
from adaptrnn.storage import read_dataset, read_weights, write_dataset
from adaptrnn.training import train

TINY = TrainConfig(
    "digits", "arun", hidden_size=4, controller_size=2, epochs=1, train_size=100, lr=0.01
)
FEW, MANY = 200, 10_000


class Target:
    """A finished run, what is read of it, and how often what came of it."""

    def __init__(self, folder: Path) -> None:
        self.run = train(replace(TINY, out=folder / "whole"))
        evaluate_run(self.run, {"step": StepDrive(1.0)})
        self.dataset_path = self.run.folder / "planted.nc"
        data = xr.Dataset(
            {"a": ("unit", np.arange(5.0)), "name": ("unit", list("abcde"))},
            attrs={"seed": 3, "command": "adaptrnn analyze"},
        )
        write_dataset(self.dataset_path, data)
        self.other = Run(shutil.copytree(self.run.folder, folder / "other"))
        self.record = self.run.record()
        self.x = torch.rand(16, 3, 1)
        self.scores = self.run.model()(self.x)
        self.table = read_evaluations(self.run)
        self.data = read_dataset(self.dataset_path)
        self.folder = folder
        self.seen: Counter[str] = Counter()

    def whole(self, name: str) -> bytes:
        """The undamaged file."""
        return (self.run.folder / name).read_bytes()

    def damaged(self, name: str, data: bytes):
        """The other run with one file replaced."""
        path = self.other.folder / name
        path.write_bytes(data)
        return path

    @contextlib.contextmanager
    def one_error(self, path: Path | None = None):
        """Nothing but an InputError, one paragraph, that names the file."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except InputError as error:
            text = str(error)
            assert text and (path is None or str(path.parent) in text), text
            self.seen["error"] += 1
        else:
            self.seen["works"] += 1

    def command(self, words: list[str]) -> int:
        """Exit code of a command; where it is 2, one error was printed and no traceback."""
        out, err = io.StringIO(), io.StringIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = main(words)
                except SystemExit as stop:  # of the parser of options
                    code = stop.code if isinstance(stop.code, int) else 1
        text = out.getvalue() + err.getvalue()
        assert code in (0, 2), (code, words, text)
        assert "Traceback" not in text, (words, text)
        if code == 2:
            assert err.getvalue() or out.getvalue()
            assert text.count("error: ") <= 1, (words, text)
        self.seen["error" if code else "works"] += 1
        return code

    # what is fuzzed; each takes bytes, as atheris gives them

    def config(self, data: bytes) -> None:
        """config.json: the network and its results are those of the whole one, or an error."""
        path = self.damaged("config.json", data)
        try:
            with self.one_error(path):
                assert torch.equal(self.other.model()(self.x), self.scores)
            assert self.command(["evaluate", str(self.other.folder), "--perturb", "step:xi=1"]) in (
                0,
                2,
            )
        finally:
            path.write_bytes(self.whole("config.json"))

    def weights(self, data: bytes) -> None:
        """weights.safetensors."""
        path = self.damaged("weights.safetensors", data)
        with self.one_error(path):
            assert torch.equal(self.other.model()(self.x), self.scores)

    def parquet(self, data: bytes) -> None:
        """evaluation.parquet."""
        path = self.damaged("evaluation.parquet", data)
        with self.one_error(path):
            pd.testing.assert_frame_equal(read_evaluations(self.other), self.table)

    def netcdf(self, data: bytes) -> None:
        """What `adaptrnn analyze` wrote."""
        path = self.damaged("planted.nc", data)
        with self.one_error(path):
            xr.testing.assert_identical(read_dataset(path), self.data)

    def foreign_weights(self, data: bytes) -> None:
        """Weights whose hash is right: whatever they are, a network or an error."""
        path = self.damaged("weights.safetensors", data)
        with self.one_error(path):
            assert self.other.model()(self.x).shape == self.scores.shape

    def train(self, words: list[str]) -> None:
        """`adaptrnn train` up to the first step."""

        def no_training(config, console, task, model, run):
            return self.run

        def no_hub(*arguments):
            raise InputError("no network")

        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(training_module, "_fit", no_training),
            mock.patch("adaptrnn.tasks.source.from_hub", no_hub),
        ):
            self.command(["train", *words, "--out", folder])


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """One run for all."""
    target = Target(tmp_path_factory.mktemp("fuzz"))
    with mock.patch.object(os, "fsync", lambda handle: None):  # no loss of power is waited for
        yield target
    print(f"\nfuzzed: {dict(target.seen)}")


@st.composite
def damage(draw, whole: bytes) -> bytes:
    """The file cut, with bytes changed, put in or taken out; or anything at all."""
    kind = draw(st.sampled_from(["change", "change", "flip", "flip", "cut", "insert", "any"]))
    if kind == "any":
        return draw(st.binary(max_size=64))
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        if kind == "cut" or not data:
            data = data[:place] + data[place + draw(st.integers(0, len(whole))) :]
        elif kind == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "flip":
            data[place] ^= 1 << draw(st.integers(0, 7))
        else:
            data[place] = draw(st.integers(0, 255))
    return bytes(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@st.composite
def configuration(draw) -> bytes:
    """Right and wrong names, types and values in the place of right ones; no hash."""
    values = to_dict(TINY) | {"out": None}
    names = sorted(values)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(names) | st.text(max_size=6))
        if draw(st.booleans()):
            values[name] = draw(JSON)
        else:
            values.pop(name, None)
    if draw(st.integers(0, 9)) == 0:
        return json.dumps(draw(JSON)).encode()
    return json.dumps(values).encode("utf-8", "surrogatepass")


@st.composite
def words(draw) -> list[str]:
    """Options of `adaptrnn train` with right and wrong values."""
    small = st.integers(-2, 40).map(str) | st.sampled_from(["1e9", str(10**9), str(10**30), "1e-3"])
    odd = st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6
    ) | st.sampled_from(
        ["nan", "inf", "-inf", "None", "", "--", "-", "0", "-1", "gru", "../..", "~"]
    )
    names = [f"--{name.replace('_', '-')}" for name in to_dict(TINY) if name not in ("task", "out")]
    names = [name for name in names if name not in ("--devices", "--accelerator")]
    chosen = []
    if draw(st.integers(0, 9)):
        chosen.append(
            draw(st.sampled_from(["digits", "digits", "digits", "psmnist", "a/b/c"]) | odd)
        )
    chosen += ["--hidden-size", "4", "--data-dir", "nowhere"]
    for _ in range(draw(st.integers(0, 3))):
        chosen.append(draw(st.sampled_from(names) | odd))
        for _ in range(draw(st.sampled_from([1, 1, 1, 1, 0, 2]))):
            chosen.append(draw(small | odd | st.sampled_from(["arun", "haar", "one-cycle", "cpu"])))
    return chosen


@st.composite
def perturbation(draw) -> list[str]:
    """Commands that read a run, with drives right and wrong."""
    names = st.sampled_from(["step", "noise", "contrast", "none", "stepp", "+", ""])
    pairs = st.sampled_from(["xi=1", "xi=nan", "mean=5", "amplitude=.8", "xi=", "=1", "xi=1e400"])
    odd = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
    text = st.builds("{}:{}".format, names, pairs) | names | odd
    first = draw(st.sampled_from(["evaluate", "models", "analyze", "info", "evaluat", "figure"]))
    chosen = [first]
    if first == "evaluate":
        chosen += ["nowhere-at-all"]
        chosen += ["--perturb", *draw(st.lists(text, min_size=1, max_size=2))]
    elif first == "models":
        chosen += ["--hidden-size", draw(st.integers(-2, 90).map(str) | odd)]
    elif first != "info":
        chosen += [draw(odd.filter(lambda word: word != "")), *draw(st.lists(odd, max_size=2))]
    return chosen


def both(strategy):
    """A test of a few hundred inputs, and a slow one of ten thousand."""

    def make(check):
        def build(examples, derandomize):
            def test(target):
                before = Counter(target.seen)

                @settings(
                    max_examples=examples,
                    deadline=None,
                    database=None,
                    derandomize=derandomize,
                    suppress_health_check=list(HealthCheck),
                )
                @given(data=st.data())
                def run(data):
                    check(target, data.draw(strategy(target)))

                run()
                seen = target.seen - before
                assert seen["error"], "nothing was refused"
                print(f"\n{check.__name__}: {dict(seen)}")

            return test

        return build(FEW, True), pytest.mark.slow(build(MANY, False))

    return make


def config_file(target, data):
    target.config(data)


def weights_file(target, data):
    target.weights(data)


def parquet_file(target, data):
    target.parquet(data)


def netcdf_file(target, data):
    target.netcdf(data)


def foreign_weights_file(target, weights):
    target.foreign_weights(weights)


def train_command(target, chosen):
    target.train(chosen)


def other_command(target, chosen):
    target.command(chosen)


@st.composite
def foreign_weights(draw, target) -> bytes:
    """Tensors of other names, shapes, types and values, with the hash that belongs to them."""
    from adaptrnn.storage import write_weights

    weights = read_weights(target.run.weights_path)
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(weights)) | st.text(min_size=1, max_size=4))
        shape = draw(st.lists(st.integers(0, 6), max_size=3))
        kind = draw(st.sampled_from([torch.float32, torch.float16, torch.int64, torch.bool]))
        value = draw(st.sampled_from([0.0, 1.0, float("nan"), 1e30]))
        action = draw(st.sampled_from(["drop", "change", "same shape"]))
        if action == "drop":
            weights.pop(name, None)
        elif action == "change" or name not in weights:
            weights[name] = torch.full(shape, value).to(kind)
        else:
            weights[name] = torch.full(weights[name].shape, value).to(weights[name].dtype)
    path = target.folder / "foreign.safetensors"
    write_weights(path, weights)
    return path.read_bytes()


test_config_file, test_config_file_many = both(
    lambda target: damage(target.whole("config.json")) | configuration()
)(config_file)
test_weights, test_weights_many = both(lambda target: damage(target.whole("weights.safetensors")))(
    weights_file
)
test_foreign_weights, test_foreign_weights_many = both(foreign_weights)(foreign_weights_file)
test_parquet, test_parquet_many = both(lambda target: damage(target.whole("evaluation.parquet")))(
    parquet_file
)
test_netcdf, test_netcdf_many = both(lambda target: damage(target.whole("planted.nc")))(netcdf_file)
test_train_command, test_train_command_many = both(lambda target: words())(train_command)
test_other_commands, test_other_commands_many = both(lambda target: perturbation())(other_command)


def fuzz_with_atheris(arguments: list[str]) -> None:
    """TARGET and options of libFuzzer; the corpus starts from the undamaged file."""
    import atheris

    os.environ.setdefault("ADAPTRNN_CACHE", tempfile.mkdtemp())
    name, *options = arguments
    folder = Path(tempfile.mkdtemp())
    target = Target(folder)
    files = {
        "config": "config.json",
        "weights": "weights.safetensors",
        "parquet": "evaluation.parquet",
        "netcdf": "planted.nc",
        "command": None,
    }
    corpus = folder / "corpus"
    corpus.mkdir()
    seed = b"digits\n--epochs\n3\n--model\ngru" if name == "command" else target.whole(files[name])
    (corpus / "seed").write_bytes(seed)

    def one(data: bytes) -> None:
        if name == "command":
            chosen = data.decode("utf-8", "ignore").replace("\0", "").split("\n")
            if not {"--devices", "--accelerator"} & set(chosen):
                target.train(chosen)
        else:
            getattr(target, name)(data)
        if sum(target.seen.values()) % 1000 == 0:  # libFuzzer ends the process at once
            print(f"{name}: {dict(target.seen)}", flush=True)

    atheris.Setup([sys.argv[0], str(corpus), f"-max_len={2 * len(seed)}", *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz_with_atheris(sys.argv[1:])
