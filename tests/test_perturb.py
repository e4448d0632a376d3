"""Perturbations: the paper's formulas, their statistics, composition and text form."""

from __future__ import annotations

import math
from itertools import pairwise

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from adaptrnn._error import InputError
from adaptrnn.perturb import (
    PAPER_PERTURBATIONS,
    NoisyDrive,
    Perturbation,
    SinusoidalContrast,
    StepDrive,
    Sum,
    parse,
    parse_named,
)

pytestmark = pytest.mark.usefixtures("shapes_checked")

finite = st.floats(allow_nan=False, allow_infinity=False)
windows = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
steps = st.builds(lambda xi, w: StepDrive(xi, *w), finite, windows)
noises = st.builds(
    lambda mean, variance, w, seed: NoisyDrive(mean, variance, *w, seed),
    finite,
    st.floats(0, allow_infinity=False),
    windows,
    st.integers(0, 2**63 - 1),
)
contrasts = st.builds(SinusoidalContrast, finite, finite, finite)
perturbations = st.lists(st.one_of(steps, noises, contrasts), max_size=4).map(
    lambda parts: sum(parts, start=Sum(()))
)


# Windows


@pytest.mark.parametrize(
    ("T", "begin", "end"),
    [(784, 200, 400), (196, 50, 100), (1024, 261, 522), (64, 16, 33), (7840, 2000, 4000)],
)
def test_window_scales_with_the_sequence(T, begin, end):
    # 200 T / 784 and 400 T / 784 to the nearest integer, by hand.
    want = torch.zeros(T, dtype=torch.float64)
    want[begin:end] = 2.5
    got = StepDrive(2.5).drive(T, 3, 4, dtype=torch.float64)
    assert got.shape == (T, 1, 1)
    assert torch.equal(got.flatten(), want)
    noise = NoisyDrive(mean=9.0, variance=1.0).drive(T, 2, 3)
    assert torch.equal((noise != 0).any(2).any(1), want.bool())


@given(cuts=st.lists(st.floats(0, 1), min_size=1, max_size=5).map(sorted), T=st.integers(50, 900))
def test_adjoining_windows_cover_the_sequence_once(cuts, T):
    edges = [0.0, *cuts, 1.0]
    total = torch.zeros(T)
    for start, stop in pairwise(edges):
        # A window narrower than half a step may round to none at all, which is refused.
        if math.floor(start * T + 0.5) != math.floor(stop * T + 0.5):
            total += StepDrive(1.0, start, stop).drive(T, 1, 1).flatten()
    assert torch.equal(total, torch.ones(T))


def test_window_without_any_step_is_refused_unless_asked_for():
    with pytest.raises(InputError, match=r"T=2: .* no step"):
        StepDrive(1.0).drive(2, 1, 1)
    assert not StepDrive(1.0, 0.3, 0.3).drive(784, 1, 1).any()


# Noise


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 12), max_size=4, unique=True).map(sorted), seed=st.integers(0, 9)
)
def test_noise_does_not_depend_on_the_cut_into_batches(cuts, seed):
    noise, T, B, N = NoisyDrive(seed=seed), 28, 13, 5
    edges = [0, *cuts, B]
    parts = [noise.drive(T, stop - start, N, first=start) for start, stop in pairwise(edges)]
    assert torch.equal(torch.cat(parts, dim=1), noise.drive(T, B, N))


def test_noise_has_the_stated_mean_and_variance():
    noise = NoisyDrive(mean=5.0, variance=2.0, start=0.0, stop=1.0).drive(200, 50, 100)
    count = noise.numel()  # 1e6
    # Five standard errors: sqrt(2 / n) for the mean, 2 sqrt(2 / n) for the variance.
    assert abs(noise.mean().item() - 5.0) < 5 * math.sqrt(2 / count)
    assert abs(noise.var().item() - 2.0) < 5 * 2 * math.sqrt(2 / count)


def test_noise_is_independent_over_samples_neurons_time_and_seeds():
    noise = NoisyDrive(mean=0.0, variance=1.0, start=0.0, stop=1.0)
    x = noise.drive(100, 40, 50, dtype=torch.float64)
    other = NoisyDrive(0.0, 1.0, 0.0, 1.0, seed=1).drive(100, 40, 50, dtype=torch.float64)
    later = noise.drive(100, 40, 50, first=40, dtype=torch.float64)
    pairs = {
        "samples": (x[:, 1:], x[:, :-1]),
        "neurons": (x[..., 1:], x[..., :-1]),
        "time": (x[1:], x[:-1]),
        "seeds": (x, other),
        "batches": (x, later),
    }
    for name, (a, b) in pairs.items():
        # The mean of n products of independent unit normals has standard deviation 1/sqrt(n).
        assert abs((a * b).mean().item()) < 5 / math.sqrt(a.numel()), name


def test_noise_without_variance_is_a_step():
    step = StepDrive(3.0).drive(196, 4, 5).expand(196, 4, 5)
    assert torch.equal(NoisyDrive(mean=3.0, variance=0.0).drive(196, 4, 5), step)


def test_noise_of_a_wider_type_is_the_same_noise():
    noise = NoisyDrive()
    wide = noise.drive(196, 2, 3, dtype=torch.float64)
    assert torch.equal(wide, noise.drive(196, 2, 3).double())


# Contrast


def test_contrast_is_the_formula():
    T, A, f, phi = 97, 0.7, 2.5, 0.3
    x = torch.randn(T, 3, 2, dtype=torch.float64)
    got = SinusoidalContrast(A, f, phi).stimulus(x)
    for t in range(T):
        factor = 1 + A * math.sin(2 * math.pi * f * t / T + phi)
        want = torch.tensor([v * factor if v > 0 else v for v in x[t].flatten().tolist()])
        # One rounding of the factor and one of the product.
        torch.testing.assert_close(got[t].flatten(), want.double(), rtol=1e-6, atol=0)


def test_contrast_leaves_the_dark_and_its_argument_alone():
    x = torch.rand(40, 2, 1) - 0.5
    before = x.clone()
    y = SinusoidalContrast(0.5, phase=0.1).stimulus(x)
    assert torch.equal(x, before)
    assert torch.equal(y[x <= 0], x[x <= 0])
    assert (y[x > 0] != x[x > 0]).any()
    assert torch.equal(SinusoidalContrast(amplitude=0.0).stimulus(x), x)


def test_contrast_averages_out_over_whole_periods():
    x = torch.ones(784, 1, 1, dtype=torch.float64)
    for f in (1, 2, 7):
        y = SinusoidalContrast(0.5, f, 0.4).stimulus(x)
        # Sum of T sines over whole periods is 0; T roundings of size 1e-16.
        assert abs(y.mean().item() - 1) < 1e-13
        # And the mean square of 1 + A sin is 1 + A^2 / 2.
        assert abs((y**2).mean().item() - 1.125) < 1e-13


def test_contrast_of_an_image_is_in_raster_order():
    images = torch.rand(3, 2, 5, 7)
    contrast = SinusoidalContrast(0.9, 1.5, 0.2)
    got = contrast.stimulus_image(images)
    assert got.shape == images.shape
    # The sequence of a row-by-row task is the same pixels.
    want = contrast.stimulus(images.flatten(2).permute(2, 0, 1))
    assert torch.equal(got.flatten(2).permute(2, 0, 1), want)
    assert got[0, 0, 2, 3] == want[2 * 7 + 3, 0, 0]


# Composition


def test_drives_add_and_stimuli_follow_each_other():
    step, noise = StepDrive(2.0), NoisyDrive(seed=4)
    weak, fast = SinusoidalContrast(0.2), SinusoidalContrast(0.5, 3.0)
    both = step + weak + noise + fast
    size = (196, 3, 4)
    assert torch.equal(both.drive(*size, first=7), step.drive(*size) + noise.drive(*size, first=7))
    x = torch.rand(196, 3, 1)
    assert torch.equal(both.stimulus(x), fast.stimulus(weak.stimulus(x)))
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(
        both.stimulus_image(images), fast.stimulus_image(weak.stimulus_image(images))
    )


def test_clean_changes_nothing():
    clean = PAPER_PERTURBATIONS["clean"]
    x = torch.rand(10, 2, 1)
    assert clean.drive(10, 2, 3) is None
    assert torch.equal(clean.stimulus(x), x)
    assert SinusoidalContrast().drive(10, 2, 3) is None


@given(perturbations, perturbations, perturbations)
def test_composition_is_associative_with_clean_as_its_unit(a, b, c):
    clean = Sum(())
    assert (a + b) + c == a + (b + c)
    assert clean + a == a == a + clean
    assert hash((a + b) + c) == hash(a + (b + c))


def test_only_perturbations_add():
    with pytest.raises(TypeError):
        StepDrive(1.0) + 1.0


# Text


@settings(max_examples=300)
@given(perturbations)
def test_text_form_reads_back_as_the_same_object(perturbation):
    assert parse(str(perturbation)) == perturbation


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("clean", Sum(())),
        ("step:xi=1", StepDrive(1)),
        ("noise", NoisyDrive()),
        ("noise:mean=5,variance=2", NoisyDrive()),
        ("contrast:amplitude=.5", SinusoidalContrast()),
        ("step:xi=+1e+1", StepDrive(10.0)),
        ("step:xi=-2,start=200/784,stop=400/784", StepDrive(-2.0)),
        (" step : xi = 1 + noise:seed=3 ", StepDrive(1) + NoisyDrive(seed=3)),
        ("clean+noise", NoisyDrive()),
    ],
)
def test_text_forms(text, want):
    assert parse(text) == want


@pytest.mark.parametrize(
    ("xi", "text"),
    [(3, "3"), (1000, "1000"), (2.0**62, str(2**62)), (0.5, "0.5"), (1e300, "1e300"), (-7, "-7")],
)
def test_numbers_are_written_as_short_as_they_can_be_read(xi, text):
    assert str(StepDrive(xi, 0, 1)).startswith(f"step:xi={text},")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "perturbation="),
        ("stp:xi=1", "Did you mean 'step'"),
        ("step", "step:xi=NUMBER"),
        ("step:x=1", "Did you mean 'xi'"),
        ("step:xi", "argument=value"),
        ("step:", "argument of 'step'"),
        ("step:xi=1,xi=2", "each once"),
        ("step:xi=one", "step:xi='one'"),
        ("step:xi=1/0", "step:xi='1/0'"),
        ("step:xi=nan", "xi=nan: must be a finite number"),
        ("step:xi=1++noise", r"step:xi='1\+'"),
        ("noise:seed=1.5", "noise:seed='1.5': must be an integer"),
        ("clean:xi=1", "clean"),
    ],
)
def test_a_wrong_text_says_what_is_wrong(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDrive(math.inf),
        lambda: StepDrive("much"),
        lambda: StepDrive(1.0, start=0.6, stop=0.5),
        lambda: StepDrive(1.0, start=-0.1),
        lambda: StepDrive(1.0, stop=400),
        lambda: NoisyDrive(variance=-1.0),
        lambda: NoisyDrive(seed=-1),
        lambda: NoisyDrive(seed=1.5),
        lambda: SinusoidalContrast(phase=math.nan),
        lambda: StepDrive(1.0).drive(0, 1, 1),
        lambda: NoisyDrive().drive(784, 1, 1, first=-1),
        lambda: SinusoidalContrast().stimulus(torch.ones(4, 2)),
        lambda: SinusoidalContrast().stimulus(torch.ones(4, 2, 1, dtype=torch.long)),
        lambda: SinusoidalContrast().stimulus_image(torch.ones(4, 2, 1)),
    ],
)
def test_arguments_outside_their_range_are_refused(make):
    with pytest.raises(InputError, match=r"must be"):
        make()


def test_the_paper_s_conditions():
    assert list(PAPER_PERTURBATIONS) == ["clean", "noisy-drive", "step-drive", "contrast"]
    assert [str(p) for p in PAPER_PERTURBATIONS.values()] == [
        "clean",
        "noise",
        "step:xi=1",
        "contrast",
    ]
    assert all(isinstance(p, Perturbation) for p in PAPER_PERTURBATIONS.values())
    noise = PAPER_PERTURBATIONS["noisy-drive"]
    assert (noise.mean, noise.variance) == (5.0, 2.0)


@given(st.dictionaries(st.sampled_from(["a", "B-2", "strong_drive"]), steps | contrasts))
@settings(deadline=None)
def test_names_come_back_with_their_perturbations(named):
    assert parse_named(f"{name}={one}" for name, one in named.items()) == named
    texts = [str(one) for one in named.values()]  # without a name the text is the name
    assert parse_named(texts) == dict(zip(texts, named.values(), strict=True))


def test_one_name_is_for_one_perturbation():
    assert parse_named(["a=clean", "a=clean"]) == {"a": Sum(())}
    with pytest.raises(InputError, match=r"a=step:xi=1.*each name once"):
        parse_named(["a=clean", "a=step:xi=1"])
