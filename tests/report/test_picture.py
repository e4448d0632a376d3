"""Pictures of the page: the same drawing in fewer bytes, its colours for light and for dark."""

import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from adaptrnn.figure.style import Drawing, colour, ink, subplots
from adaptrnn.report.picture import Picture, embed, merge, webp

NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?")


def figure():
    made, axes = subplots(1, 2)
    axes[0, 0].plot([0, 1, 2], [3, 1, 2], "o-", color=colour("arun"))
    axes[0, 1].fill_between([0, 1], [0.1, 0.2], [3, 4], color=ink(), alpha=0.3)
    axes[0, 1].set_title("a < b & 'c'")
    return made


def noise():
    made, axes = subplots(1, 1)
    places = np.random.default_rng(0).uniform(size=(2, 8000))
    axes[0, 0].plot(*places, "o", color=ink(), ms=12)  # they cover nearly all of the page
    return made


@pytest.fixture(scope="module")
def drawings():
    drawing = Drawing(figure)
    return [drawing.save("svg", dark) for dark in (False, True)]


def paths(svg):
    """Shapes and places of a drawing, in order."""
    found = []
    for element in ElementTree.fromstring(svg).iter():
        for key in ("d", "x", "y", "transform"):
            # the numbers of a path are told apart by a letter or a space
            found += [float(n) for n in NUMBER.findall(element.get(key, ""))]
    return found


def styles(svg, dark=False):
    """Style of every element that has one, from its own attribute or from the style sheet."""
    rules, found = {}, []
    for element in ElementTree.fromstring(svg).iter():
        if element.tag.endswith("}style") and element.text and "." in element.text:
            day, _, night = element.text.partition("@media(prefers-color-scheme:dark)")
            for part in (day, night) if dark else (day,):
                rules |= dict(re.findall(r"\.([a-z]+)\{([^}]*)\}", part))
        if "class" in element.attrib:
            found.append(rules[element.get("class")])
        elif element.get("style"):
            found.append(element.get("style"))
    return [re.sub(r"\d*\.\d+", lambda n: f"{float(n[0]):.2f}", style) for style in found]


def test_one_drawing_has_the_shapes_of_both_to_a_hundredth_of_a_point(drawings):
    both = merge(*drawings)
    assert both is not None and len(both) < 0.6 * len(drawings[0])
    found = paths(both)
    for one in drawings:
        np.testing.assert_allclose(found, paths(one), rtol=0, atol=0.00501)


def test_it_has_the_colours_of_each(drawings):
    both = merge(*drawings)
    for dark, one in enumerate(drawings):
        assert styles(both, bool(dark)) == styles(one)
    assert styles(drawings[0]) != styles(drawings[1])


def test_names_within_it_lead_somewhere(drawings):
    tree = ElementTree.fromstring(merge(*drawings))
    names = [element.get("id") for element in tree.iter() if element.get("id")]
    used = {element.get("href")[1:] for element in tree.iter() if element.get("href")}
    clips = [element.get("clip-path", "") for element in tree.iter()]
    used |= {clip[5:-1] for clip in clips if clip}
    assert len(names) == len(set(names)) and used == set(names)


def test_an_image_is_taken_where_it_is_smaller():
    class Never(Drawing):
        def save(self, format="svg", dark=False):
            assert format == "svg", "a small drawing needs no image"
            return super().save(format, dark)

    small = embed(Never(figure))
    assert small.light.startswith("data:image/svg+xml,<svg") and not small.dark
    assert '"' not in small.light and "#" not in small.light
    drawing = Drawing(noise)
    large = embed(drawing)
    assert large.light.startswith("data:image/webp") and large.dark.startswith("data:image/webp")
    assert len(large) < len(drawing.save("svg"))


def test_webp_keeps_a_drawing():
    picture = Image.new("RGB", (400, 100), "white")
    picture.paste((213, 94, 0), (10, 10, 50, 50))
    content = io.BytesIO()
    picture.save(content, "png")
    back = Image.open(io.BytesIO(webp(content.getvalue(), 400))).convert("RGB")
    assert np.abs(np.asarray(back, int) - np.asarray(picture, int)).max() <= 2
    assert Image.open(io.BytesIO(webp(content.getvalue(), 200))).size == (200, 50)


def test_length_is_of_both():
    assert len(Picture("abc", "de")) == 5


def test_a_thin_line_keeps_its_own_colour():
    """Among shades of many pixels, two colours of few pixels are not taken for one another."""
    shades = np.linspace(0, 255, 250_000).reshape(500, 500, 1).repeat(3, axis=2)
    lines = {100: (213, 94, 0), 103: (181, 137, 0), 106: (176, 87, 141)}
    for row, tone in lines.items():
        shades[row, 200:220] = tone
    content = io.BytesIO()
    Image.fromarray(shades.astype(np.uint8)).save(content, "png")
    seen = np.asarray(Image.open(io.BytesIO(webp(content.getvalue()))).convert("RGB")).astype(int)
    for row, tone in lines.items():
        distance = [np.abs(seen[row, 210] - other).sum() for other in lines.values()]
        assert list(lines.values())[int(np.argmin(distance))] == tone
