"""A picture of a page is one drawing for light and dark, as small as possible.

matplotlib writes a drawing for print: many digits, a style at every element, a name at every group.
What a page needs is a fifth to a half of that. A drawing for a light page and the same for a dark
one differ in their colours only, so both are one SVG whose style sheet has the dark colours too.
Where a drawing has so many elements that an image of it is smaller, it is a WebP, one for each.
"""

from __future__ import annotations

import base64
import io
import re
import urllib.parse
from dataclasses import dataclass
from xml.etree import ElementTree

from PIL import Image

from adaptrnn.figure.style import Drawing

__all__ = ["Picture", "embed", "merge", "webp"]

SMALL_DRAWING = 200_000
"""An SVG of so few bytes is taken as it is: an image, for which a drawing is made twice more, is
hardly ever smaller."""
WIDTH = 1500
"""Pixels across an image: a page is at most 1,056 wide."""


@dataclass(frozen=True)
class Picture:
    """A picture stands in a page as data.

    Attributes:
        light: data URI for a light page.
        dark: the same for a dark page; empty if `light` knows both.
    """

    light: str
    dark: str = ""

    def __len__(self) -> int:
        return len(self.light) + len(self.dark)


def embed(drawing: Drawing) -> Picture:
    """Return the smallest picture of a drawing, for a light and a dark page.

    Args:
        drawing: the drawing.

    Returns:
        One SVG or two; two WebP where the drawing is large and they are smaller.
    """
    light, dark = drawing.save("svg"), drawing.save("svg", dark=True)
    both = merge(light, dark)
    if both is not None:
        drawn = Picture("data:image/svg+xml," + urllib.parse.quote(both.decode(), _SAFE))
    else:
        each = (merge(one, one) or one for one in (light, dark))
        drawn = Picture(*("data:image/svg+xml;base64," + _base64(one) for one in each))
    if len(drawn) <= SMALL_DRAWING:
        return drawn
    images = (webp(drawing.save("png", dark)) for dark in (False, True))
    taken = Picture(*("data:image/webp;base64," + _base64(image) for image in images))
    return min(drawn, taken, key=len)


_SAFE = " /:=,;'()!*?+<>"
"""What may stand in the URI of an SVG between double quotes."""


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def webp(png: bytes, width: int = WIDTH) -> bytes:
    """Return an image as WebP, which loses nothing beyond 256 colours.

    The colours cover all that occur, also those of few pixels: a thin line keeps its own colour.

    Args:
        png: the image.
        width: pixels across, at most.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
    few.convert("RGB").save(content, "webp", lossless=True, method=4)
    return content.getvalue()


def merge(light: bytes, dark: bytes) -> bytes | None:
    """Return one SVG of two that differ only in their styles.

    Args:
        light: an SVG as matplotlib writes it.
        dark: the same drawing with other colours.

    Returns:
        An SVG that takes the colours of `dark` on a dark page; None if more than styles differ.

    Example:
        >>> frame = '<svg xmlns="http://www.w3.org/2000/svg"><path style="fill: {}" d="{}"/></svg>'
        >>> white, black = (frame.format(k, "M 0.1234 1").encode() for k in ("#fff", "#000"))
        >>> b"prefers-color-scheme" in merge(white, black), b"M.123 1" in merge(white, black)
        (True, True)
        >>> merge(white, frame.format("#000", "M 5 5").encode()) is None
        True
    """
    first, second = (ElementTree.fromstring(one) for one in (light, dark))
    names = [_short_names(one) for one in (first, second)]
    styles: dict[tuple[str, str], str] = {}
    text: list[str] = []
    if not _write(first, second, names[0], names[1], styles, text):
        return None
    rules = [f".{name}{{{style}}}" for (style, _), name in styles.items()]
    night = [f".{name}{{{style}}}" for (day, style), name in styles.items() if style != day]
    sheet = "".join(["*{stroke-linejoin:round;stroke-linecap:butt}", *rules])
    if night:
        sheet += f"@media(prefers-color-scheme:dark){{{''.join(night)}}}"
    opening, _, rest = "".join(text).partition(">")
    return f"{opening}><style>{sheet}</style>{rest}".encode()


_HREF = "{http://www.w3.org/1999/xlink}href"
_LOCAL = re.compile(r"url\(#([^)]+)\)")
_NUMBER = re.compile(r"-?\d*\.\d+(?:e-?\d+)?")
_LETTER = re.compile(r" ?([a-zA-Z]) ?")


def _short_names(tree: ElementTree.Element) -> dict[str, str]:
    """A short name for each that is referred to, in the order of definition."""
    used = set()
    for element in tree.iter():
        for value in element.attrib.values():
            used |= set(_LOCAL.findall(value)) | ({value[1:]} if value.startswith("#") else set())
    defined = [element.get("id", "") for element in tree.iter()]
    order = dict.fromkeys(name for name in defined if name in used)
    return {name: _letters(k) for k, name in enumerate(order)}


def _letters(number: int) -> str:
    """A, b, ..., z, ba, bb, ...: short names that are no number."""
    head = _letters(number // 26) if number >= 26 else ""
    return head + "abcdefghijklmnopqrstuvwxyz"[number % 26]


def _write(
    first: ElementTree.Element,
    second: ElementTree.Element,
    names: dict[str, str],
    others: dict[str, str],
    styles: dict[tuple[str, str], str],
    text: list[str],
) -> bool:
    """Put an element and all in it behind the text; False if the two are not alike."""
    if first.tag != second.tag or len(first) != len(second):
        return False
    tag = first.tag.rpartition("}")[2]
    if tag in ("metadata", "style"):
        return True
    attributes = _attributes(first, names)
    if attributes != _attributes(second, others):
        return False
    style = tuple(_NUMBER.sub(_rounded, one.get("style", "")) for one in (first, second))
    if any(style):
        name = styles.setdefault((style[0], style[1]), _letters(len(styles)))
        attributes["class"] = name
    bare = tag == "g" and not attributes
    if not bare:
        words = "".join(f" {key}='{value}'" for key, value in attributes.items())
        text.append(f"<{tag}{words}>" if len(first) or tag == "svg" else f"<{tag}{words}/>")
    for one, other in zip(first, second, strict=True):
        if not _write(one, other, names, others, styles, text):
            return False
    if not bare and (len(first) or tag == "svg"):
        text.append(f"</{tag}>")
    return True


def _attributes(element: ElementTree.Element, names: dict[str, str]) -> dict[str, str]:
    """Attributes without the style, names and numbers shortened."""
    found: dict[str, str] = {}
    if element.tag.endswith("}svg"):
        found["xmlns"] = "http://www.w3.org/2000/svg"
    for key, value in element.attrib.items():
        if key == "style" or (key == "id" and value not in names):
            continue
        if key == "id":
            value = names[value]
        elif key == _HREF:
            key = "href"
            value = "#" + names[value[1:]] if value.startswith("#") else "".join(value.split())
        elif key in ("d", "transform", "x", "y", "points"):
            value = _NUMBER.sub(_rounded, " ".join(value.split()))
            value = _LETTER.sub(r"\1", value) if key == "d" else value
        else:
            value = _LOCAL.sub(lambda match: f"url(#{names[match[1]]})", value)
        found[key] = value.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
    return found


def _rounded(match: re.Match[str]) -> str:
    """A hundredth of a point for places; more digits for what scales them."""
    value = float(match[0])
    short = f"{value:.2f}" if abs(value) >= 1 else f"{value:.4g}" if abs(value) < 0.1 else ""
    short = short or f"{value:.3f}"
    if "e" in short or float(short) == 0:
        return "0"
    short = short.rstrip("0").rstrip(".") if "." in short else short
    return short.replace("0.", ".", 1) if abs(float(short)) < 1 else short
