"""Networks to look at: those that are shipped, and runs that cannot be shown."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from adaptrnn import ARUN
from adaptrnn._error import InputError
from adaptrnn.explore import network, view


def test_the_shipped_networks():
    size = sum(path.stat().st_size for path in view.WEIGHTS.rglob("*") if path.is_file())
    assert size < 200_000
    for model, folder in view.SHOWN.items():
        card = (folder / "README.md").read_text()
        config = json.loads((folder / "config.json").read_text())
        assert config["model"] == model
        # the command in the card is the one that made it
        for option in ("hidden_size", "image_size", "epochs", "lr", "schedule", "clip"):
            given = re.search(rf"--{option.replace('_', '-')} (\S+)", card)[1]
            assert given == f"{config[option]}" or float(given) == config[option]
    found = network.load_network(network.SHIPPED)
    assert isinstance(found.core, ARUN) and found.facts["neurons"] == "100"
    assert not any(p.requires_grad for p in found.core.parameters())


def test_runs_that_cannot_be_shown(tmp_path):
    def copy(name: str, **changes: object):
        folder = tmp_path / name
        shutil.copytree(network.SHIPPED, folder)
        path = folder / "config.json"
        content = json.loads(path.read_text()) | changes
        content.pop("sha256")  # of what was there before the changes
        path.write_text(json.dumps(content))
        return folder

    good = copy("good")
    assert list(network.find_runs(good)) == ["good", "psMNIST, comes with adaptrnn"]
    with pytest.raises(InputError, match="model='gru'"):
        network.load_network(copy("gru", model="gru"))
    assert next(iter(network.find_runs(tmp_path))) == "good"  # the GRU is left out
    with pytest.raises(InputError, match="not of this configuration"):
        network.load_network(copy("other", model="gamma"))
    with pytest.raises(InputError, match="not of this configuration"):
        network.load_network(copy("larger", controller_size=11))
    tampered = copy("tampered") / "weights.safetensors"
    content = tampered.read_bytes()
    tampered.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="damaged"):
        network.load_network(tampered.parent)
    cut = copy("cut") / "weights.safetensors"
    cut.write_bytes(cut.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        network.load_network(cut.parent)
    cut.unlink()
    with pytest.raises(InputError, match="no weights yet"):
        network.load_network(cut.parent)
    with pytest.raises(InputError, match="a folder of runs"):
        network.find_runs(tmp_path / "nowhere")
