"""Continuous time: leak, learned time constants, noise in the current; against closed forms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from adaptrnn import ARUN, RNN, training
from adaptrnn._error import InputError
from adaptrnn.activation import gamma
from adaptrnn.analysis.system import as_system
from adaptrnn.config import TrainConfig
from adaptrnn.kernels import arun as adaptive
from adaptrnn.kernels import gamma_rnn as static
from adaptrnn.kernels.readout import Readout
from adaptrnn.leak import Noise
from adaptrnn.run import Run
from adaptrnn.training import train

pytestmark = pytest.mark.usefixtures("shapes_checked")

DOUBLE = {"dtype": torch.float64}
LAYERS = ("arun", "gamma", "tanh")
TINY = TrainConfig(
    "digits",
    "gamma",
    hidden_size=6,
    epochs=2,
    batch_size=100,
    train_size=250,
    lr=0.01,
    dt=2.0,
    tau=10.0,
    noise=0.1,
)


class Stopped(RuntimeError):
    """Raised in the middle of training."""


def layer(kind, **arguments):
    torch.manual_seed(0)
    arguments = {**DOUBLE, **arguments}
    if kind == "arun":
        return ARUN(2, 5, controller_size=3, **arguments)
    return RNN(2, 5, nonlinearity=kind, **arguments)


@pytest.mark.parametrize("kind", LAYERS)
def test_one_step_written_out(kind):
    """h' = (1 - dt/tau) h + (dt/tau) f(a), each neuron with its own tau."""
    tau = torch.tensor([2.0, 3.0, 5.0, 20.0, 100.0], **DOUBLE)
    core = layer(kind, dt=2.0, tau=tau)
    x, h = torch.randn(4, 2, **DOUBLE), torch.rand(4, 5, **DOUBLE)
    a = x @ core.weight_ih_l0.T + h @ core.weight_hh_l0.T + core.bias_ih_l0 + core.bias_hh_l0
    if kind == "arun":
        g = torch.randn(4, 5, 3, **DOUBLE)
        after, n, s = core.controller(a, g)
        found = core(x.unsqueeze(0), (h.unsqueeze(0), g.unsqueeze(0)))[1]
        assert torch.allclose(found.g[0], after, rtol=1e-12, atol=1e-14)
        found, rate = found.h[0], gamma(a, n, s)
    else:
        found = core(x.unsqueeze(0), h.unsqueeze(0))[1][0]
        rate = torch.tanh(a) if kind == "tanh" else gamma(a, core.n_l0, core.s_l0)
    assert torch.allclose(found, h + (rate - h) * (2.0 / tau), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", LAYERS)
def test_step_trace_loss_and_last_agree_with_the_call(kind):
    core = layer(kind, dt=1.0, tau=4.0)
    x, y = torch.randn(7, 3, 2, **DOUBLE), torch.randint(4, (7, 3))
    output, state = core(x)
    after = core._pack(core._initial(3, x))
    for x_t in x:
        after = core.step(x_t, after)
    for got, want in zip(core._unpack(after), core._unpack(state), strict=True):
        assert torch.allclose(got, want, rtol=1e-12, atol=1e-14)
    assert torch.allclose(core.trace(x).h, output, rtol=1e-12, atol=1e-14)
    assert torch.allclose(core.last(x), output[-1], rtol=1e-12, atol=1e-14)
    readout = torch.nn.Linear(5, 4, **DOUBLE)
    loss, _ = core.loss(x, readout.weight, readout.bias, y)
    wanted = torch.nn.functional.cross_entropy(readout(output).flatten(0, 1), y.flatten())
    assert torch.allclose(loss, wanted, rtol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_tau_of_one_step_is_the_network_without_a_leak(kind):
    """The same bits, the same parameters, the same weights for a seed."""
    plain, times = layer(kind), layer(kind, dt=5.0, tau=5.0)
    assert times.tau() is None and plain.state_dict().keys() == times.state_dict().keys()
    x, results = torch.randn(7, 3, 2, **DOUBLE), []
    for core in (plain, times):
        output, _ = core(x)
        results.append((output, *torch.autograd.grad(output.square().sum(), core.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_leaky_linear_neuron_has_its_closed_form():
    """h_t = lambda^t h_0 + alpha I (1 - lambda^t) / (1 - lambda), lambda = 1 - alpha + alpha w."""
    dt, tau, w, current, start, steps = 0.5, 8.0, 0.6, 1.3, -0.4, 40
    core = RNN(1, 1, nonlinearity="linear", dt=dt, tau=tau, **DOUBLE)
    with torch.no_grad():
        core.weight_hh_l0.fill_(w)
        core.weight_ih_l0.fill_(current)
        core.bias_ih_l0.zero_(), core.bias_hh_l0.zero_()
    h = core(torch.ones(steps, 1, 1, **DOUBLE), torch.full((1, 1, 1), start, **DOUBLE))[0]
    alpha = dt / tau
    turn = 1 - alpha + alpha * w
    powers = turn ** torch.arange(1, steps + 1, **DOUBLE)
    wanted = powers * start + alpha * current * (1 - powers) / (1 - turn)
    # forty steps of a contraction: some roundings of 1e-16
    assert torch.allclose(h.flatten(), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("dt", "tau"), [(1.0, 5.0), (5.0, 10.0), (1.0, None)])
def test_noise_of_a_linear_neuron_has_its_stationary_variance(dt, tau):
    sigma, steps, count = 0.7, 60, 20_000
    core = RNN(1, 1, nonlinearity="linear", dt=dt, tau=tau, noise=sigma)
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.zero_()
        core.noise.reseed(3)
        h = core(torch.zeros(steps, count, 1))[0][-1]
    # h' = (1 - alpha) h + alpha xi: v = (1 - alpha)^2 v + alpha^2 2 sigma^2 / alpha, solved for v
    alpha = 1.0 if tau is None else dt / tau
    wanted = 2 * alpha * sigma**2 / (1 - (1 - alpha) ** 2)
    # (1 - alpha)^120 of the first state is left, 2e-12; the estimate of a variance from 20,000
    # samples has a standard error of 1%, and v is 11 to 100% from sigma^2
    assert abs(float(h.var()) / wanted - 1) < 0.05


def test_noise_is_drawn_in_training_from_its_seed_and_in_evaluation_when_asked():
    core = layer("gamma", dt=1.0, tau=4.0, noise=0.3)
    x, quiet = torch.randn(6, 3, 2, **DOUBLE), layer("gamma", dt=1.0, tau=4.0)
    calm = quiet(x)[0]
    core.noise.reseed(1, 2)
    first = core(x)[0]
    second = core(x)[0]
    core.noise.reseed(1, 2)
    again = core(x)[0]
    assert torch.equal(first, again) and not torch.equal(first, second)
    core.eval()
    assert torch.equal(core(x)[0], calm)
    with core.noisy(1, 2):
        assert torch.equal(core(x)[0], first)
        assert torch.equal(core.step(x[0], quiet(x)[1]), quiet.step(x[0], quiet(x)[1]))
    assert torch.equal(core(x)[0], calm)
    # what the call adds is the noise: the rates of a given current
    core.train()
    core.noise.reseed(1, 2)
    drive = Noise(0.3)
    drive.reseed(1, 2)
    xi = drive.draw((6, 3, 5), torch.full((5,), 0.25, **DOUBLE), x)
    assert torch.allclose(core(x)[0], quiet(x, None, xi)[0], rtol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_of_learned_time_constants(kind):
    core = layer(kind, dt=1.0, tau=torch.tensor([1.5, 2.0, 4.0, 8.0, 50.0]), learn_tau=True)
    assert torch.allclose(core.tau(), torch.tensor([1.5, 2.0, 4.0, 8.0, 50.0], **DOUBLE))
    x, names = torch.randn(4, 2, 2, **DOUBLE), [name for name, _ in core.named_parameters()]
    assert "raw_tau_l0" in names

    def output(*values):
        return torch.func.functional_call(core, dict(zip(names, values, strict=True)), x)[0]

    assert torch.autograd.gradcheck(output, list(core.parameters()))


def test_learned_time_constants_stay_above_the_time_step():
    core = layer("tanh", dt=2.0, tau=2.5, learn_tau=True)
    optimiser, x = torch.optim.SGD(core.parameters(), lr=1.0), torch.randn(5, 3, 2, **DOUBLE)
    before = core.tau().detach().clone()
    for _ in range(50):  # rewards fast neurons
        optimiser.zero_grad()
        (-core(x)[0].square().sum()).backward()
        optimiser.step()
    assert not torch.equal(core.tau(), before) and bool((core.tau() >= 2.0).all())
    assert bool((core._alpha(0) <= 1).all()) and bool(core(x)[0].isfinite().all())


@pytest.mark.parametrize("kind", LAYERS)
def test_closed_jacobians_include_the_leak(kind):
    core = layer(kind, dt=1.0, tau=torch.tensor([1.0, 2.0, 4.0, 8.0, 50.0]))
    model = as_system(core)
    assert model.push is not None and model.weight is None
    by_torch = replace(model, push=None)
    x, z = torch.randn(3, 2, **DOUBLE), torch.rand(3, model.size, **DOUBLE)
    for got, want in zip(model.jacobian(x, z), by_torch.jacobian(x, z), strict=True):
        assert torch.allclose(got, want, rtol=1e-10, atol=1e-13)
    state = core._pack(tuple(part.unsqueeze(0) for part in _parts(kind, z)))
    assert torch.allclose(model.step(x, z), model.pack(core.step(x, state)), rtol=1e-12)


def _parts(kind, z):
    return (z[:, :5], z[:, 5:].unflatten(1, (5, 3))) if kind == "arun" else (z,)


def test_a_leak_is_computed_or_one_error(arun_tensors):
    (currents, h0, g0, *weights), readout, y = arun_tensors
    alpha, head = torch.full((5,), 0.25, **DOUBLE), Readout(*readout, y)
    state, plain = (currents, h0), static.Weights(weights[0])
    full, weights = (currents, h0, g0), adaptive.Weights(*weights)
    calls = [
        (adaptive.arun, full, weights, ()),
        (adaptive.arun_trace, full, weights, ()),
        (adaptive.arun_loss, full, weights, (head,)),
        (static.gamma_rnn, state, plain, ("tanh",)),
        (static.gamma_rnn_trace, state, plain, ("tanh",)),
        (static.gamma_rnn_loss, state, plain, (head, "tanh")),
    ]
    for function, start, weights, rest in calls:

        def call(alpha=None, function=function, start=start, weights=weights, rest=rest, **given):
            return function(*start, weights._replace(alpha=alpha), *rest, **given)

        # another order of sums of a few terms of order 1
        for a, b in zip(call(alpha=alpha), call(alpha=alpha, backend="reference"), strict=True):
            assert torch.allclose(a, b, rtol=1e-12, atol=1e-14)
        for a, b in zip(call(alpha=alpha / alpha), call(), strict=True):
            assert torch.equal(a, b)  # (1 - 1) h + 1 f
        for backend in ("triton", "triton-graph"):
            with pytest.raises(InputError, match=rf"^backend='{backend}'.*leak"):
                call(alpha=alpha, backend=backend)
        with pytest.raises(InputError, match=r"^alpha.shape="):
            call(alpha=alpha[:2])
        with pytest.raises(InputError, match=r"^alpha="):
            call(alpha=alpha - 1)


@pytest.fixture
def arun_tensors():
    torch.manual_seed(0)
    shapes = ((6, 3, 5), (3, 5), (3, 5, 4), (5, 5), (4,), (4, 4), (4,), (2, 4), (2,))
    tensors = [0.3 * torch.randn(shape, **DOUBLE) for shape in shapes]
    tensors[-1][0] += 2
    readout = [torch.randn(7, 5, **DOUBLE), torch.randn(7, **DOUBLE)]
    return tensors, readout, torch.randint(7, (6, 3))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"dt": 0.0}, "dt"),
        ({"dt": 2.0, "tau": 1.0}, "tau"),
        ({"tau": float("nan")}, "tau"),
        ({"tau": torch.ones(3)}, "tau.shape"),
        ({"learn_tau": True}, "tau"),
        ({"tau": 1.0, "learn_tau": True}, "tau"),
        ({"noise": -0.1}, "noise"),
    ],
)
def test_errors_name_the_argument(arguments, name):
    with pytest.raises(InputError, match=rf"^{name}="):
        layer("tanh", **arguments)
    if "tau.shape" not in name:
        with pytest.raises(InputError, match=rf"^{name}="):
            TrainConfig("digits", "tanh", **arguments)


def test_gated_models_have_no_leak():
    with pytest.raises(InputError, match="left out for lstm"):
        TrainConfig("digits", "lstm", tau=10.0)


@pytest.mark.parametrize("learn_tau", [False, True])
def test_a_run_keeps_its_times_and_trains_the_same_twice(tmp_path, learn_tau):
    runs = [
        train(replace(TINY, learn_tau=learn_tau, out=tmp_path / name)) for name in ("one", "two")
    ]
    first, second = (load_file(run.weights_path) for run in runs)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    core = Run(tmp_path / "one").model().core
    name = "raw_tau_l0" if learn_tau else "tau_l0"
    assert torch.equal(core.state_dict()[name], first[f"core.{name}"])
    assert core.dt == 2.0 and core.noise.sigma == 0.1
    assert learn_tau or torch.equal(core.tau(), torch.full((6,), 10.0))


def test_interrupted_training_with_noise_is_uninterrupted(tmp_path, monkeypatch):
    original, calls = training._Module.training_step, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 5:
            raise Stopped
        return original(self, *arguments)

    whole = train(replace(TINY, out=tmp_path / "whole"))
    cut = replace(TINY, checkpoint_seconds=0, out=tmp_path / "cut")
    with monkeypatch.context() as patch:
        patch.setattr(training._Module, "training_step", interrupted)
        with pytest.raises(Stopped):
            train(cut)
    assert len(calls) == 5
    one, other = load_file(whole.weights_path), load_file(train(cut).weights_path)
    assert all(torch.equal(one[name], other[name]) for name in one)
