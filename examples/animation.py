"""Draw the README's moving picture: adaptive neurons under steps of current, and what they keep.

    python examples/animation.py --data-dir DATA

On the left, gain n and saturation s of neurons of a trained ARUN while it reads a digit and a step
of current comes and goes. On the right, the accuracy of ARUN and ReLU networks under the same
steps: one thin line for each network, their mean in bold. The picture is an SVG that moves by CSS;
where motion is not wanted, it stands still.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adaptrnn.evaluation import evaluate
from adaptrnn.figure.style import colour
from adaptrnn.perturb import START, STOP, StepDrive
from adaptrnn.run import Run, load_task
from adaptrnn.tasks import ImageTask, Split

WIDTH, HEIGHT = 830, 340
SHOWN = (1.0, 5.0, 30.0)  # steps of current that the left side shows, each for EACH seconds
EACH = 6.5
STILL = 1  # which of them a picture that does not move shows
AXIS = (0.0, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)  # those of the curves
LABELS = {"arun": "ARUN", "relu": "RNN (ReLU)"}

Point = tuple[float, float]


def line(points: Sequence[Point], style: str) -> str:
    """A path through points."""
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{steps}" {style}/>'


def text(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{words}</text>'


def traces(
    run: Run, task: ImageTask, neurons: int, image: int
) -> dict[float, tuple[Tensor, Tensor]]:
    """n and s, (T, neurons) each, of the same neurons under every step of current.

    From the neuron whose gain moves least to that whose gain moves most, evenly spread.
    """
    network = run.model(task)
    x = task.inputs(task.test.images[image : image + 1])
    found = {}
    for xi in SHOWN:
        drive = StepDrive(xi).drive(len(x), 1, 1)
        trace = network.core.trace(network.encoder(x), drive=drive)
        found[xi] = trace.n[:, 0], trace.s[:, 0]
    gains = found[SHOWN[STILL]][0]
    order = (gains - gains[0]).abs().amax(0).argsort()
    some = order[torch.linspace(0, len(order) - 1, neurons).long()]
    return {xi: (n[:, some], s[:, some]) for xi, (n, s) in found.items()}


def accuracies(runs: Sequence[Run], task: ImageTask, images: int) -> np.ndarray:
    """Accuracy of each network at each step of current, (networks, len(AXIS))."""
    part = task.with_test(Split(task.test.images[:images], task.test.labels[:images]))
    networks = [run.model(task) for run in runs]
    return np.array(
        [[evaluate(one, part, StepDrive(xi)).accuracy for xi in AXIS] for one in networks]
    )


def draw(seen: dict[float, tuple[Tensor, Tensor]], scores: dict[str, np.ndarray], task: str) -> str:
    """The picture as SVG."""
    parts = [_style(len(seen)), *_left(seen), *_right(scores, list(seen))]
    counts = " and ".join(f"{len(rows)} {LABELS[name]}" for name, rows in scores.items())
    spoken = (
        f"Left: gain and saturation of neurons of one adaptive network while a step of current is "
        f"on. Right: accuracy on {task} against the step of current, of {counts} networks."
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{spoken}">'
        f"<title>{spoken}</title>" + "".join(parts) + "</svg>\n"
    )


def _style(count: int) -> str:
    whole, moving = EACH * count, []
    for k in range(count):
        begin, drawn, end = (100 * (k + part) / count for part in (0, 0.75, 1))
        moving.append(
            f"@keyframes show{k} {{ 0% {{ opacity: 0 }} {begin:.2f}% {{ opacity: 1 }} "
            f"{end:.2f}%, 100% {{ opacity: 0 }} }}\n"
            f"@keyframes run{k} {{ 0%, {begin:.2f}% {{ clip-path: inset(-4px 100% -4px 0) }} "
            f"{drawn:.2f}%, 100% {{ clip-path: inset(-4px 0 -4px 0) }} }}\n"
            f".at{k} {{ animation: show{k} {whole}s step-end infinite }}\n"
            f".at{k} .drawn {{ animation: run{k} {whole}s linear infinite }}\n"
        )
    still = ", ".join(f".at{k}" for k in range(count) if k != STILL)
    return f"""<style>
svg {{ background: #fff }}
text {{ font: 13px system-ui, sans-serif; fill: #333 }}
.head {{ font-weight: 600; font-size: 14px }} .now {{ font-weight: 600 }}
.axis {{ stroke: #999; stroke-width: 1 }} .on {{ fill: #888; opacity: .18 }}
polyline {{ fill: none; stroke-linejoin: round }} .thin {{ opacity: .35; stroke-width: 1 }}
.bold {{ stroke-width: 2.5 }} .arun {{ stroke: {colour("arun")} }} .relu {{ stroke: #666 }}
text.arun, text.relu {{ stroke: none }} text.arun, circle.arun {{ fill: {colour("arun")} }}
text.relu, circle.relu {{ fill: #666 }} {still} {{ opacity: 0 }}
@media (prefers-color-scheme: dark) {{ svg {{ background: #16181c }}
text {{ fill: #ddd }} .axis {{ stroke: #777 }}
.relu {{ stroke: #aaa }} text.relu, circle.relu {{ fill: #aaa }} }}
@media (prefers-reduced-motion: no-preference) {{
{"".join(moving)}}}
</style>"""


def _left(seen: dict[float, tuple[Tensor, Tensor]]) -> list[str]:
    x0, width = 62, 370
    boxes = {"n": (58, 110), "s": (204, 90)}  # top and height
    ends = {
        name: (
            0.0 + min(float(pair[i].min()) for pair in seen.values()),
            0.0 + max(float(pair[i].max()) for pair in seen.values()),
        )
        for i, name in enumerate(boxes)
    }
    on, off = x0 + START * width, x0 + STOP * width
    parts = [text(x0, 18, "One ARUN reads a digit while a current ξ is on", 'class="head"')]
    for name, label in (("n", "gain n"), ("s", "saturation s")):
        top, height = boxes[name]
        low, high = ends[name]
        parts += [
            f'<rect class="on" x="{on:.1f}" y="{top}" width="{off - on:.1f}" height="{height}"/>',
            f'<path class="axis" fill="none" d="M{x0} {top}V{top + height}H{x0 + width}"/>',
            text(x0 + 4, top - 5, label),
            text(x0 - 6, top + 10, f"{high:.1f}", 'text-anchor="end"'),
            text(x0 - 6, top + height, f"{low:.1f}", 'text-anchor="end"'),
        ]
    parts.append(text(x0, 312, "step of time 0"))
    for k, (xi, pair) in enumerate(seen.items()):
        inner = []
        for name, values in zip(boxes, pair, strict=True):
            (top, height), (low, high) = boxes[name], ends[name]
            for row in values.T.tolist():
                points = [
                    (x0 + width * t / (len(row) - 1), top + height * (high - value) / (high - low))
                    for t, value in enumerate(row)
                ]
                inner.append(line(points, 'class="arun"'))
        label = text((on + off) / 2, 46, f"ξ = {xi:g}", 'class="now" text-anchor="middle"')
        parts.append(f'<g class="at{k}">{label}<g class="drawn">{"".join(inner)}</g></g>')
    steps = len(next(iter(seen.values()))[0])
    parts.append(text(x0 + width, 312, str(steps), 'text-anchor="end"'))
    return parts


def _right(scores: dict[str, np.ndarray], shown: list[float]) -> list[str]:
    x0, width, top, height = 510, 210, 58, 236

    def place(xi: float, score: float) -> Point:
        scale = np.arcsinh(xi) / np.arcsinh(AXIS[-1])  # shows 0 to 5 as well as 30
        return x0 + width * float(scale), top + height * (1 - score)

    parts = [
        text(x0 - 38, 18, "What the networks still read", 'class="head"'),
        text(x0 - 38, 46, "accuracy on test images"),
        f'<path class="axis" fill="none" d="M{x0} {top}V{top + height}H{x0 + width}"/>',
        text(x0 + width, 334, "step of current ξ", 'text-anchor="end"'),
    ]
    for score in (0.0, 0.5, 1.0):
        parts.append(text(x0 - 6, place(0, score)[1] + 4, f"{score:.0%}", 'text-anchor="end"'))
    for xi in (0.0, 1.0, 5.0, 30.0):
        parts.append(text(place(xi, 0)[0], top + height + 18, f"{xi:g}", 'text-anchor="middle"'))
    for name, rows in scores.items():
        mean = rows.mean(0)
        curves = [[place(*pair) for pair in zip(AXIS, row, strict=True)] for row in (*rows, mean)]
        parts += [line(curve, f'class="thin {name}"') for curve in curves[:-1]]
        parts.append(line(curves[-1], f'class="bold {name}"'))
        x, y = curves[-1][-1]
        parts.append(text(x + 10, y + 4, LABELS[name], f'class="{name}"'))
        best = mean > np.mean([other.mean(0) for other in scores.values()], 0)
        for k, xi in enumerate(shown):
            at = AXIS.index(xi)
            x, y = curves[-1][at]
            label = text(
                x, y + (-10 if best[at] else 20), f"{mean[at]:.0%}", 'text-anchor="middle"'
            )
            dot = f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
            parts.append(f'<g class="at{k}">{dot}{label}</g>')
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=Path, default=Path("results/night/networks"))
    parser.add_argument("--data-dir", type=Path, help="folder with mnist/, if not downloaded")
    parser.add_argument("--images", type=int, default=2000, help="test images (default 2000)")
    parser.add_argument("--out", type=Path, default=Path("docs/images/adaptation.svg"))
    options = parser.parse_args()
    runs = {
        name: [
            Run.from_pretrained(folder)
            for folder in sorted(options.networks.glob(f"psmnist-{name}-seed*"))
        ]
        for name in LABELS
    }
    config = dataclasses.replace(runs["arun"][0].config(), data_dir=options.data_dir)
    task = load_task(config)
    for run in (run for own in runs.values() for run in own):
        run.task_is(task)
    scores = {name: accuracies(own, task, options.images) for name, own in runs.items()}
    for name, rows in scores.items():
        means = dict(zip(AXIS, rows.mean(0).round(3).tolist(), strict=True))
        print(f"{LABELS[name]}, {len(rows)} networks: {means}")
    options.out.write_text(draw(traces(runs["arun"][0], task, 6, 0), scores, "permuted MNIST"))
    print(f"{options.out}: {options.out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
