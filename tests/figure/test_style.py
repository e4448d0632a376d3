"""Figures: the style leaves nothing behind, models can be told apart, the same data same bytes."""

import colorsys
import re
from functools import partial
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import xarray as xr

from adaptrnn._error import InputError
from adaptrnn.figure import style
from adaptrnn.figure.accuracy import accuracy_bars
from adaptrnn.model import MODELS
from adaptrnn.paper import figure1, figure2, figure3, figure4
from adaptrnn.paper.catalogue import ITEMS
from adaptrnn.paper.store import read_results


def luminance(colour: str) -> float:
    """Relative luminance of the WCAG."""
    parts = matplotlib.colors.to_rgb(colour)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("dark", [False, True])
def test_every_model_has_a_colour_that_stands_out_and_a_marker_of_its_own(dark):
    with style.style(dark):
        page = luminance(matplotlib.rcParams["axes.facecolor"])
        for model in MODELS:
            light, deep = sorted((luminance(style.colour(model)), page), reverse=True)
            # WCAG 2.1, 1.4.11: graphics need a contrast of 3 to 1; thick lines, so 2.7 will do
            assert (light + 0.05) / (deep + 0.05) >= 2.7, model
    markers = [style.marker(model) for model in MODELS]
    assert len(set(markers)) == len(markers)
    assert len({style.label_of(model) for model in MODELS}) == len(MODELS)


# Vienot, Brettel, Mollon 1999: what a protanope and a deuteranope see, on linear RGB
PROTAN = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTAN = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


@pytest.mark.parametrize("sight", [np.eye(3), PROTAN, DEUTAN])
def test_the_paper_s_models_differ_in_colour_for_every_sight(sight):
    with style.style():
        seen = {}
        for model in ("relu", "gamma", "arun", "lstm", "gru"):
            linear = np.array(matplotlib.colors.to_rgb(style.colour(model))) ** 2.2
            seen[model] = np.clip(sight @ linear, 0, 1) ** (1 / 2.2)
    for one, other in combinations(seen, 2):
        # a tenth of full scale in some channel is seen side by side; markers differ besides
        assert np.abs(seen[one] - seen[other]).max() > 0.1, (one, other)


COLOUR = re.compile("(?<=: )#([0-9a-f]{6})")
PAGES = (False, True)
NAME = re.compile("[a-z]*[0-9a-f]{10}")  # which a drawing gives to its parts by their looks


def every_colour():
    """A line in each colour of the style."""
    figure, axes = style.subplots(1, 1)
    tones = [*map(style.colour, MODELS), *style.accents(), *style.shades(40)]
    for k, tone in enumerate([*tones, style.ink(), style.muted(), "black"]):
        axes[0, 0].plot([0, 1], [k, k], color=tone)
    return figure


def differ_by(one, other):
    """By how many 255ths of a primary colour two drawings differ, if by nothing else."""
    bare = [NAME.sub("", COLOUR.sub("", drawing)) for drawing in (one, other)]
    assert bare[0] == bare[1]
    tones = [[list(bytes.fromhex(t)) for t in COLOUR.findall(d)] for d in (one, other)]
    return int(np.abs(np.subtract(*tones)).max())


def test_a_recoloured_drawing_is_the_one_that_is_drawn_for_a_dark_page():
    light, dark = (style.Drawing(every_colour).save("svg", night).decode() for night in PAGES)
    again = style.render(lambda data: every_colour(), xr.Dataset(), "svg", dark=True).decode()
    # two shades of 256 can be one colour on a light page and neighbours on a dark one
    assert differ_by(dark, again) <= 1
    assert differ_by(light, dark) > 100


@pytest.mark.slow
def test_no_figure_of_the_paper_has_a_colour_that_only_one_page_knows():
    tables, _, _ = read_results(Path(__file__).parents[2] / "results" / "night")
    for name, data in tables.items():
        draw = ITEMS[name].draw
        dark = style.Drawing(partial(draw, data)).save("svg", dark=True).decode()
        again = style.render(draw, data, "svg", dark=True).decode()
        assert differ_by(dark, again) <= 1, name


def test_a_drawing_with_a_part_as_an_image_is_drawn_again_for_a_dark_page():
    def draw(rasterized):
        figure, axes = style.subplots(1, 1)
        axes[0, 0].scatter([0, 1], [1, 0], color=style.ink(), rasterized=rasterized)
        drawings.append(figure)
        return figure

    for rasterized, count in ((False, 1), (True, 2)):
        drawings = []
        drawing = style.Drawing(partial(draw, rasterized))
        light, dark = (drawing.save("svg", night) for night in PAGES)
        assert len(drawings) == count and light != dark
        assert light.count(b"<image") == rasterized


def test_style_leaves_global_settings_as_they_were():
    before = dict(matplotlib.rcParams)
    style.render(DRAWINGS["gamma"][0], DRAWINGS["gamma"][1](), "svg", dark=True)
    assert dict(matplotlib.rcParams) == before


def test_shades_are_ordered_in_lightness():
    for dark in (False, True):
        with style.style(dark):
            lightness = [colorsys.rgb_to_hls(*tone[:3])[1] for tone in style.shades(7)]
        assert all(np.diff(lightness) < 0)


def on_task(data):
    """The same along a dimension of tasks."""
    return data.expand_dims(role=["psmnist"])


def along(names, shape, **coords):
    generator = np.random.default_rng(0)
    dims = ("model", "seed", *coords)
    data = {name: (dims, generator.uniform(0.1, 1, shape)) for name in names}
    return xr.Dataset(data, coords={"seed": [0, 1], **coords})


def curves():
    data = along(("accuracy", "loss"), (2, 2, 3), xi=[0.0, 1.0, 2.0])
    return on_task(data.assign_coords(model=["relu", "arun"]))


def table():
    data = along(("accuracy",), (2, 2, 2), condition=["clean", "contrast"])
    return on_task(data.assign_coords(model=["relu", "arun"]))


def neurons():
    names = ("n", "s", "n_initial", "s_initial")
    return on_task(along(names, (1, 2, 5), neuron=np.arange(5)).assign_coords(model=["gamma"]))


def steps():
    time = np.arange(-3, 6)
    data = along(("n_mean", "s_mean", "h_mean"), (1, 2, 9, 2), time=time, xi=[1.0, 5.0])
    data["steps"] = ("model", "seed"), [[3.0, 3.0]]
    return data.assign_coords(model=["arun"]).expand_dims(role=["psmnist"])


DRAWINGS = {
    "gamma": (figure1.draw, figure1.measure),
    "accuracy": (accuracy_bars, table),
    "robustness": (figure2.draw, curves),
    "heterogeneity": (figure3.draw_gains_and_saturations, neurons),
    "response": (figure4.draw, steps),
}


@pytest.mark.long
@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_are_the_same_for_the_same_data_and_other_when_dark(name):
    draw, data = DRAWINGS[name]
    first = style.render(draw, data())
    assert first == style.render(draw, data())
    assert first != style.render(draw, data(), dark=True)
    assert first.startswith(b"<?xml")


@pytest.mark.parametrize("name", ["accuracy", "robustness"])
def test_a_missing_run_does_not_stop_a_drawing(name):
    draw, data = DRAWINGS[name]
    holed = data().map(lambda v: v.where(v.seed == 0))
    assert style.render(draw, holed.assign_coords(data().coords))


def test_formats():
    draw, data = DRAWINGS["gamma"]
    assert style.render(draw, data(), "pdf").startswith(b"%PDF")
    assert style.render(draw, data(), "png")[1:4] == b"PNG"
    with pytest.raises(InputError, match="Did you mean 'svg'"):
        style.render(draw, data(), "svgz")


@pytest.mark.parametrize("dark", [False, True])
def test_colours_of_models_are_reserved_for_models(dark):
    rgb = matplotlib.colors.to_rgb
    with style.style(dark):
        models = [rgb(style.colour(model)) for model in MODELS.built_in]
        others = [*style.shades(10), *style.accents(), style.muted(), style.ink()]
    # a tenth of full scale in some channel is seen side by side, as between the models
    for other in others:
        assert min(np.abs(np.subtract(rgb(other), one)).max() for one in models) > 0.1, other


def test_a_task_is_called_by_its_own_name_and_length():
    words = {"psmnist": "8x8 digits, 64 steps"}
    data = curves().assign_coords(role=("role", ["psmnist"], words))
    assert style.task_title(data) == words["psmnist"]
    assert style.task_title(data.isel(role=0)) == words["psmnist"]
    assert style.task_title(curves()) == "psMNIST"


def test_one_network_is_a_seed_dimension_of_length_one():
    one = xr.Dataset({"a": ("xi", [1.0, 2.0]), "text": ("xi", ["x", "y"])}, {"xi": [0.0, 1.0]})
    whole = style.as_seeds(one, "arun", "psMNIST, 196 steps", 7)
    assert whole.a.dims == ("role", "model", "seed", "xi") and "text" not in whole
    assert style.task_title(whole) == "psMNIST, 196 steps" and whole.seed.values.tolist() == [7]


def test_the_line_is_the_mean_and_no_seed_is_hidden():
    values = curves().accuracy.isel(role=0, model=0)
    holed = xr.concat([values, values.isel(seed=[0]).assign_coords(seed=[9]) * np.nan], "seed")
    _figure, axes = style.subplots(1, 1)
    _x, mean = style.mean_and_seeds(axes[0, 0], holed, "xi", color="k")
    np.testing.assert_allclose(mean, values.mean("seed"), rtol=1e-12)
    *hairs, line = axes[0, 0].lines
    assert len(hairs) == 2 and line.get_linewidth() > 2 * hairs[0].get_linewidth()
    style.count_seeds(axes[0, 0], holed)
    assert axes[0, 0].texts[-1].get_text() == "n = 2 networks"


@pytest.mark.parametrize(
    ("values", "limits"),
    [([12.0, 38.0], (10, 40)), ([93.0, 100.0], (90, 100)), ([0.0, 99.5], (0, 100)), ([], (0, 100))],
)
def test_an_axis_of_percentages_spans_what_there_is(values, limits):
    _, axes = style.subplots(1, 1)
    style.percent_axis(axes[0, 0], [*values, np.nan])
    assert axes[0, 0].get_ylim() == limits


def test_names_at_lines_do_not_touch_and_stay_in_the_panel():
    _, axes = style.subplots(1, 1)
    axis = axes[0, 0]
    axis.set_ylim(0, 1)
    style.name_lines(axis, [(0.5, "a", "k"), (0.5, "b", "k"), (0.99, "c", "k"), (np.nan, "d", "k")])
    heights = sorted(text.get_position()[1] for text in axis.texts)
    assert len(heights) == 3 and min(np.diff(heights)) >= 0.11 - 1e-9 and heights[-1] <= 1


def test_a_figure_has_the_same_places_in_every_format():
    """Each format measures words in its own way, so laying out again would move the axes."""
    made = []

    def draw():
        made.append(figure1.draw(figure1.measure()))
        return made[0]

    drawing = style.Drawing(draw)
    drawing.save("svg")
    places = [axis.get_position().bounds for axis in made[0].axes]
    assert drawing.save("pdf").startswith(b"%PDF")
    assert drawing.save("png").startswith(b"\x89PNG")
    assert [axis.get_position().bounds for axis in made[0].axes] == places
