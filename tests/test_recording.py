"""Recordings: the signals of the layer itself, what comes after a trial, NWB for pynapple."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from adaptrnn import ARUN, GRU, InputError, MissingExtraError, SequenceModel, StepDrive
from adaptrnn.recording import record, write_nwb
from adaptrnn.tasks import load

TASK = load("delayed-match", parameters={"delay": [2, 6], "test_size": 12, "validation_size": 5})


def session(**options):
    torch.manual_seed(0)
    model = SequenceModel(ARUN(3, 5, controller_size=4), 3)
    return model, record(model, TASK, trials=[1, 4, 5, 7], **options)


def test_signals_are_those_of_the_layer():
    drive = StepDrive(1.5)
    model, data = session(perturbation=drive, controller=True)
    x = TASK.test.inputs[:, [1, 4, 5, 7]]
    state = model.core(x[:1, :, :] * 0)[1]
    state = type(state)(*(torch.zeros_like(part) for part in state))
    xi = drive.drive(len(x), 4, 5)
    for t in range(len(x)):  # step by step, by the layer's own step
        with torch.no_grad():
            state = model.core.step(x[t], state, xi[t])
        for k, trial in enumerate((1, 4, 5, 7)):
            if t < TASK.test.lengths[trial]:
                one = data.sel(trial=trial, time=t)
                # the kernel sums in another order, float32
                np.testing.assert_allclose(one.h, state.h[0, k], rtol=1e-4, atol=1e-5)
                np.testing.assert_allclose(one.g, state.g[0, k], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(data.input, x.movedim(1, 0))


def test_a_network_in_float64_is_recorded_as_one_in_float32():
    model, data = session()
    double = record(model.double(), TASK, trials=[1, 4, 5, 7])
    # float32 over 70 steps, a few roundings of 6e-8 each
    np.testing.assert_allclose(double.h, data.h, rtol=1e-4, atol=1e-5)


def test_what_comes_after_a_trial_is_nan():
    _, data = session()
    after = data.time >= data.length
    assert int(after.sum()) > 0 and not np.isnan(data.input).any()
    for name in ("a", "h", "n", "s", "output"):
        assert bool(np.isnan(data[name]).where(after, True).all())
        assert not bool(np.isnan(data[name]).where(~after, False).any())
    assert data.attrs["conditions"] == ["delay", "sample", "match"]
    assert data.delay.values.tolist() == TASK.test.conditions["delay"][[1, 4, 5, 7]].tolist()


def test_scores_and_outputs_are_those_of_an_evaluation():
    from adaptrnn.evaluation import evaluate_trials

    model, data = session()
    found = evaluate_trials(model, TASK)
    # one batch of 12 against one of 4, float32
    whole = found.outputs[:, [1, 4, 5, 7]].movedim(1, 0).numpy()
    kept = ~np.isnan(data.output.values)
    np.testing.assert_allclose(data.output.values[kept], whole[kept], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(data.accuracy, found.score[[1, 4, 5, 7]])


@pytest.mark.parametrize(
    "core", [GRU(3, 5), nn.LSTM(3, 5), nn.RNN(3, 5)], ids=lambda c: repr(c)[:4]
)
def test_rates_of_other_networks(core):
    data = record(core, TASK, trials=2)
    with torch.no_grad():
        rates = core(TASK.test.inputs[:, [0, 11]])[0].movedim(1, 0).numpy()
    kept = ~np.isnan(data.h.values)
    # torch's fused cell against its step, float32
    np.testing.assert_allclose(data.h.values[kept], rates[kept], rtol=1e-4, atol=1e-5)


def test_images_are_recorded_too(tmp_path):
    from adaptrnn.cli import main
    from adaptrnn.run import Run
    from adaptrnn.storage import read_dataset

    words = ["train", "digits", "--model", "gamma", "--hidden-size", "4", "--epochs", "1"]
    assert main([*words, "--train-size", "100", "--out", str(tmp_path)]) == 0
    assert main(["record", str(tmp_path), "--trials", "3", "--perturb", "step:xi=1"]) == 0
    data = read_dataset(tmp_path / "recording.nc")
    assert data.h.shape == (3, 64, 4) and data.attrs["perturbation"] == "step:xi=1"
    run = Run(tmp_path)
    assert (
        record(run, trials=3).target.values.tolist()
        == run.task().test.labels[[0, 179, 358]].tolist()
    )


def test_what_cannot_be_recorded():
    model, _ = session()
    with pytest.raises(InputError, match="indices from 0 to 11"):
        record(model, TASK, trials=[12])
    with pytest.raises(InputError, match="GiB"):
        big = nn.RNN(3, 50_000, device="meta")
        record(big, load("adding", parameters={"steps": 1000, "test_size": 100}), trials=100)


def test_without_pynwb_the_extra_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(MissingExtraError, match=r"adaptrnn\[neurons\]"):
        write_nwb(session()[1], tmp_path / "a.nwb")


@pytest.fixture
def nwb():
    """pynwb, or skip where the extra neurons is not installed; `make neurons` installs it."""
    yield pytest.importorskip("pynwb", reason="the extra neurons; run make neurons")


@pytest.mark.filterwarnings("ignore")
def test_nwb_holds_the_session(nwb, tmp_path):
    _, data = session()
    path = write_nwb(data, tmp_path / "session.nwb", dt=2.0)
    with nwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        rates = file.acquisition["rates"]
        lengths = data.length.values
        assert rates.rate == 500 and rates.data.shape == (lengths.sum(), 5)
        trials = file.trials.to_dataframe()
        # the second trial begins where the first ends
        begin = int(lengths[0])
        np.testing.assert_allclose(trials.start_time[1], begin * 0.002)
        np.testing.assert_array_equal(
            rates.data[begin : begin + lengths[1]], data.h.values[1, : lengths[1]]
        )
        np.testing.assert_array_equal(trials.delay, data.delay)
        curves = file.processing["neurons"]["f_i_curves"].to_dataframe()
        np.testing.assert_allclose(curves.n_mean, data.n.mean(("trial", "time")))


@pytest.mark.filterwarnings("ignore")
def test_pynapple_opens_it(nwb, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nap = pytest.importorskip("pynapple", reason="not installed; run make neurons")
    _, data = session()
    file = nap.load_file(str(write_nwb(data, tmp_path / "session.nwb", dt=1.0)))
    rates, trials = file["rates"], file["trials"]
    assert rates.shape == (int(data.length.sum()), 5) and len(trials) == 4
    # a trial holds its steps but for the last instant, at which the next one begins
    third = rates.restrict(trials[2])
    np.testing.assert_allclose(
        np.asarray(third)[: int(data.length[2])], data.h.values[2, : int(data.length[2])]
    )
