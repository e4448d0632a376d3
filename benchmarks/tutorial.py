"""The numbers of the tutorial, each of three seeds, written into the page, and its pictures.

    OMP_NUM_THREADS=1 python benchmarks/tutorial.py --page docs/tutorial/train-perturb-probe.md

The networks are trained, evaluated and analysed with the page's own commands and `--seed`; the
pictures are what the page's own Python blocks draw of seed 0. What is trained already in the folder
of `--runs` is not trained again.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import textwrap
from pathlib import Path

from adaptrnn import cli
from adaptrnn.evaluation import read_evaluations
from adaptrnn.laboratory.command import read_analysis
from adaptrnn.run import Run

LABELS = {"arun": "ARUN", "gamma": "RNN+gamma"}
COLUMNS = {
    "clean": "clean",
    "noisy-drive": "noisy drive",
    "step-drive": "step drive",
    "contrast": "contrast",
}


def commands(page: Path) -> list[list[str]]:
    """The words of the page's `adaptrnn train` commands."""
    text = page.read_text().replace("\\\n", " ")
    return [
        shlex.split(line)[1:] for line in re.findall(r"^adaptrnn train .*$", text, re.MULTILINE)
    ]


def train(page: Path, seeds: range) -> dict[str, list[Run]]:
    """Trained, evaluated and analysed runs of each model, in the current folder."""
    made: dict[str, list[Run]] = {}
    for words in commands(page):
        model = words[words.index("--model") + 1]
        for seed in seeds:
            run = Run(f"runs/digits-{model}-seed{seed}")
            steps = [[*words, "--seed", str(seed)], ["evaluate", str(run.folder)]]
            if model == "arun":
                steps.append(["analyze", "lyapunov", str(run.folder)])
            for step in steps:
                if cli.main(step):
                    raise SystemExit(f"adaptrnn {shlex.join(step)} failed")
            made.setdefault(model, []).append(run)
    return made


def accuracies(runs: dict[str, list[Run]]) -> str:
    """The table of accuracies: mean, and least and most of the seeds."""
    lines = ["| | " + " | ".join(COLUMNS.values()) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for model, label in LABELS.items():
        cells = []
        for name in COLUMNS:
            tables = [read_evaluations(run).set_index("name") for run in runs[model]]
            values = [100 * float(table.loc[name, "accuracy"]) for table in tables]
            mean = sum(values) / len(values)
            cells.append(f"{mean:.0f}% ({min(values):.0f} to {max(values):.0f})")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def exponents(runs: list[Run]) -> str:
    """The ranges of the largest exponents over drives and seeds, as sentences."""
    found = [read_analysis(run.folder / "analysis" / "lyapunov.nc") for run in runs]

    def span(**which: str) -> str:
        values = [one.lyapunov.sel(condition="adaptive", **which) for one in found]
        low, high = (
            float(end) for end in (min(v.min() for v in values), max(v.max() for v in values))
        )
        return f"{low:.3f} to {high:.3f}"

    return textwrap.fill(
        f"Over all drives and {len(runs)} seeds, the exponent of the whole state, with input, bias "
        f"and drive, goes from {span(definition='full')}. By the paper's definition it goes from "
        f"{span(definition='paper')}.",
        119,
    )


def pictures(page: Path, images: Path) -> None:
    """What the page's Python blocks and its `--draw` make of seed 0, as images/tutorial-*.png."""
    space: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        exec(block, space)
    folder = Path("runs/digits-arun-seed0")
    if cli.main(["analyze", "lyapunov", str(folder), "--draw"]):
        raise SystemExit("adaptrnn analyze --draw failed")
    for name in ("learning", "robustness", "probe"):
        shutil.copy(f"{name}.png", images / f"tutorial-{name}.png")
    shutil.copy(folder / "analysis" / "lyapunov.png", images / "tutorial-lyapunov.png")


def write(page: Path, name: str, text: str) -> None:
    """Put the text between the two marks of this name."""
    start, end = f"<!-- {name}: written by benchmarks/tutorial.py -->", f"<!-- end of {name} -->"
    before, rest = page.read_text().split(start)
    page.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=Path("docs/tutorial/train-perturb-probe.md"))
    parser.add_argument("--runs", type=Path, default=Path("build/tutorial"), help="folder")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    options = parser.parse_args()
    page = options.page.resolve()
    options.runs.mkdir(parents=True, exist_ok=True)
    os.chdir(options.runs)
    runs = train(page, range(options.seeds))
    texts = {"accuracies": accuracies(runs), "exponents": exponents(runs["arun"])}
    for name, text in texts.items():
        print(text)
        write(page, name, text)
    pictures(page, page.parent.parent / "images")


if __name__ == "__main__":
    main()
