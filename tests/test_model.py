"""The models by name: each is what its entry says, and another package's joins them."""

from __future__ import annotations

import importlib.metadata
import inspect

import pytest
import torch

import adaptrnn
from adaptrnn import InputError, Model, build_core, match_parameters, register_model
from adaptrnn.config import TrainConfig
from adaptrnn.model import MODELS, OPTIONS, name_of


@pytest.fixture
def cell():
    """A model of another package, known while a test runs."""
    model = Model("elman", lambda **sizes: adaptrnn.RNN(**sizes), "torch.nn.RNN", "Elman")
    yield register_model(model)
    MODELS.remove("elman")


@pytest.mark.parametrize("name", MODELS)
def test_what_an_entry_says_of_a_model_holds(name):
    """Its traits are those of the network that it builds, found by other means."""
    model, core = MODELS[name], build_core(name, 2, 5, 3)
    x = torch.rand(4, 3, 2)
    assert model.name == name and name_of(core) == name
    assert core(x)[0].shape == (4, 3, 5)
    signals = core.trace(x)
    curves = getattr(signals, "a", None) is not None and signals.n is not None
    assert model.has_curves == curves
    assert model.has_controller == hasattr(core, "controller")
    assert model.square == (tuple(core.weight_hh_l0.shape) == (5, 5))
    assert core.get_parameter(model.recurrent).shape[1] == 5
    assert model.gated == (core.weight_hh_l0.shape[0] > 5)
    driven = core(x, None, 1.0)[0]
    assert model.takes_drive and not torch.allclose(driven, core(x)[0])


@pytest.mark.parametrize("name", MODELS)
def test_a_builder_takes_exactly_the_options_that_its_entry_names(name):
    """The class that is built knows each of them; a recurrent layer's others are not its own."""
    model = MODELS[name]
    core = build_core(name, 2, 5, 3)
    known = set(inspect.signature(type(core)).parameters)
    assert model.options <= known | {"controller_size"}
    if not model.gated:  # torch's classes take any keyword
        assert {"n", "controller"} & model.options <= known
        assert model.has_curves == bool({"n", "controller"} & model.options)


@pytest.mark.parametrize("name", MODELS)
def test_the_count_of_multiply_adds_is_that_of_the_weights(name):
    """One multiply-add for each entry of each matrix, and the controller's for each neuron.

    The controller's products are those of W_gg, W_ag and W_gc (two rows).
    """
    n, g, d = 7, 3, 4
    core = build_core(name, d, n, g)
    once = core.weight_ih_l0.numel() + core.weight_hh_l0.numel()
    if MODELS[name].has_controller:
        matrices = [w for key, w in core.controller.named_parameters() if key.startswith("weight")]
        once += n * sum(w.numel() for w in matrices)
    count = MODELS[name].multiply_adds
    assert once == (n * (n + d) if count is None else count(n, g, d))


def test_an_unknown_name_is_one_error_that_lists_the_known():
    for call in (
        lambda: MODELS["transformer"],
        lambda: build_core("transformer", 1, 2),
        lambda: TrainConfig("digits", model="transformer"),
        lambda: match_parameters(["transformer"]),
    ):
        with pytest.raises(
            InputError, match=r"model='transformer': must be one of 'relu', .*'gru'"
        ):
            call()
    with pytest.raises(InputError, match=r"after adaptrnn\.register_model"):
        MODELS["%"]
    with pytest.raises(InputError, match="Did you mean 'gamma'"):
        MODELS["gama"]


def test_a_registered_model_joins_the_others(cell):
    assert "elman" in MODELS and list(MODELS)[-1] == "elman" and len(MODELS) == 9
    assert TrainConfig("digits", model="elman").model == "elman"
    assert abs(match_parameters(["elman"]).rows["elman"][2]) < 0.02
    assert name_of(build_core("elman", 1, 3)) == "tanh"
    register_model(Model("elman", cell.build, "the same, as a notebook's cell runs again"))
    assert MODELS["elman"].summary.startswith("the same")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "arun"}, "other than the model names of adaptrnn"),
        ({"name": "own"}, "other than the model names of adaptrnn"),
        ({"name": "../up"}, "begin with a letter or digit"),
        ({"name": ""}, "begin with a letter or digit"),
        ({"name": "new", "options": {"gain"}}, "options='gain': must be among backend, "),
    ],
)
def test_what_cannot_be_registered(arguments, message):
    with pytest.raises(InputError, match=message):
        register_model(Model(build=adaptrnn.RNN, **arguments))
    with pytest.raises(InputError, match=r"must be an adaptrnn\.Model"):
        register_model(adaptrnn.RNN)


class Point(importlib.metadata.EntryPoint):
    """An entry point whose object is given."""

    def load(self):
        """What the other package has there."""
        if isinstance(OBJECTS[self.name], Exception):
            raise OBJECTS[self.name]
        return OBJECTS[self.name]


GOOD = Model("good", adaptrnn.RNN)
OBJECTS = {"good": GOOD, "bad": ImportError("no such library"), "ugly": GOOD}


def test_an_entry_point_is_imported_when_it_is_asked_for(monkeypatch):
    points = [Point(name, f"package:{name}", "adaptrnn.models") for name in OBJECTS]
    found = {point.name: point for point in points}
    monkeypatch.setattr("adaptrnn._registry.installed", lambda group: found)
    assert list(MODELS)[-3:] == ["good", "bad", "ugly"]
    assert MODELS["good"] is GOOD
    with pytest.raises(InputError, match=r"package:bad cannot be imported .*no such library"):
        MODELS["bad"]
    with pytest.raises(InputError, match=r"must be an adaptrnn\.Model of the name 'ugly'"):
        MODELS["ugly"]


def test_options_name_what_a_configuration_has():
    fields = set(TrainConfig.__dataclass_fields__) | {"learn_n", "learn_s", "controller"}
    assert fields >= OPTIONS
