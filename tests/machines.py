"""Run the test suite as other machines would: other instruction sets, libraries, threads, seeds.

    python tests/machines.py                          the covering set, the whole suite in each run
    python tests/machines.py --page docs/reference/reliability.md     the same, with its table there
    python tests/machines.py --only OMP_NUM_THREADS tests/analysis     one variable at a time
    python tests/machines.py --run 3 tests/kernels -k golden          one run of the set again
    python tests/machines.py --repair                                 the runs with a failure again
    python tests/machines.py --list                   what would be run

Everything else on the command line is given to pytest. The runs of the covering set are the rows
of an orthogonal array: any two values of two of the first four variables meet in one run. Every
run has a seed of its own (`ADAPTRNN_TEST_SEED` for torch and NumPy, see tests/conftest.py, and
hypothesis' seed), and every second run a random order of the tests. A value that this processor
or these libraries do not take is found by trying it, named, and left to the machine's own choice.

A run that has ended is kept in build/machines.json. The same command, given again on the same
machine and the same commit without changes, does only the runs that are missing. After a test was
mended, `--repair` repeats only the runs that had a failure: the others count as long as no file of
src has changed since. The table names the commit of every run.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parent.parent
VARIABLES = {
    "ATEN_CPU_CAPABILITY": ("default", "avx2", "avx512"),
    "ADAPTRNN_INSTRUCTION_SET": ("portable", "avx2", "avx512"),
    "OMP_NUM_THREADS": ("1", "2", "4"),
    "MKL_CBWR": ("COMPATIBLE", "AVX2", "AUTO"),
    "OPENBLAS_CORETYPE": ("Haswell", "SkylakeX", "Zen", "Sapphirerapids"),
}
SEED, ORDER = "seed", "order"  # further names for --only
KEPT = ROOT / "build" / "machines.json"
EVERY = "not slow and not slurm and not browser and not triton and not gpu"  # tests to run
COLUMNS = ("torch", "our kernels", "threads", "MKL", "OpenBLAS", "order", "seed")
START, END = "<!-- machines: written by tests/machines.py -->", "<!-- end of machines -->"

# what a process says that has multiplied matrices in NumPy, in torch and in our kernels
PROBE = """
import json, numpy, threadpoolctl, torch
import adaptrnn
from adaptrnn.info import facts
a = numpy.random.default_rng(0).random((80, 80))
assert abs(a @ a - (torch.from_numpy(a) @ torch.from_numpy(a)).numpy()).max() < 1e-9
adaptrnn.RNN(1, 8, nonlinearity="gamma")(torch.rand(4, 2, 1))[0].sum().backward()
loaded = threadpoolctl.threadpool_info()
blas = [library["architecture"] for library in loaded if library["internal_api"] == "openblas"]
print(json.dumps({
    "ATEN_CPU_CAPABILITY": torch.backends.cpu.get_cpu_capability().lower(),
    "ADAPTRNN_INSTRUCTION_SET": facts()["backend"].lower(),
    "OPENBLAS_CORETYPE": " ".join(blas).lower(),
    "MKL_CBWR": "mkl" if torch.backends.mkl.is_available() else "",
    "versions": f"torch {torch.__version__}, NumPy {numpy.__version__}",
}))
"""


def environment(settings: dict[str, str]) -> dict[str, str]:
    """This process's environment with these variables and none of the others.

    Threads that wait sleep: where there are more of them than cores, those of torch would otherwise
    spin, and a run takes several times as long.
    """
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1", **settings}


@functools.cache
def facts(name: str = "", value: str = "") -> dict[str, str] | None:
    """What a process with this setting says of itself; None if it dies."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environment({name: value} if name else {}),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode and not name:
        raise RuntimeError(f"the machine as it is cannot be asked: {done.stderr}")
    return None if done.returncode else json.loads(done.stdout.splitlines()[-1])


@functools.cache
def why_not(name: str, value: str) -> str:
    """Why this machine cannot take this value; empty if it can."""
    if name == "OMP_NUM_THREADS":
        return ""
    seen = facts(name, value)
    if seen is None:
        return "a process with it ends with an error"
    if name == "MKL_CBWR":
        return "" if seen[name] else "this torch has no MKL"
    return "" if value.lower() in seen[name] else f"the machine takes {seen[name] or 'nothing'!r}"


def covering_set() -> list[dict[str, str]]:
    """Ten runs: one as the machine is, and nine in which every value of every variable occurs."""
    names = list(VARIABLES)
    runs: list[dict[str, str]] = [{SEED: "0"}]
    for i in range(9):
        a, b = divmod(i, 3)
        rows = (a, b, (a + b) % 3, (a + 2 * b) % 3, i % 4)  # the orthogonal array L9, and a cycle
        run = {name: VARIABLES[name][row] for name, row in zip(names, rows, strict=True)}
        runs.append(run | {SEED: str(i + 1)} | ({ORDER: str(i)} if i % 2 == 0 else {}))
    return runs


def one_at_a_time(name: str) -> list[dict[str, str]]:
    """A run for each value of one variable, all others as the machine is."""
    values = {**VARIABLES, SEED: range(10), ORDER: range(0, 10, 2)}[name]
    return [{SEED: "0", name: str(value)} for value in values]


def possible(run: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The run without the values that this machine cannot take, and what they are."""
    left_out = [
        f"{name}={value}: {reason}"
        for name, value in run.items()
        if name in VARIABLES and (reason := why_not(name, value))
    ]
    bad = [line.split("=")[0] for line in left_out]
    return {name: value for name, value in run.items() if name not in bad}, left_out


def tested(run: dict[str, str], arguments: list[str], workers: str) -> dict[str, object]:
    """Numbers of passed, failed and skipped tests, and the names of those that failed."""
    settings = {name: run[name] for name in VARIABLES if name in run}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        order = ["-p", "randomly", f"--randomly-seed={run[ORDER]}"] if ORDER in run else []
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist", "loadfile"),
                *("-m", EVERY),
                *("--timeout", "1800", f"--junitxml={report}", f"--hypothesis-seed={run[SEED]}"),
                *(*order, *arguments),
            ],
            env=environment(settings | {"ADAPTRNN_TEST_SEED": run[SEED]}),
            cwd=ROOT,
            stdout=sys.stderr,
        )
        if not report.exists():
            return {"passed": 0, "failed": 1, "skipped": 0, "names": ["the run itself"]}
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [case for case in cases if {part.tag for part in case} & {"failure", "error"}]
    skipped = sum(case.find("skipped") is not None for case in cases)
    names = [f"{case.get('classname')}::{case.get('name')}" for case in failed]
    passed = len(cases) - len(failed) - skipped
    return {"passed": passed, "failed": len(failed), "skipped": skipped, "names": names}


def here() -> dict[str, str] | None:
    """What must be the same for a kept run to count; None if the files differ from the commit."""
    words = ["git", "-C", str(ROOT)]
    head, changed = (
        subprocess.run([*words, *more], capture_output=True, text=True)
        for more in (
            ["rev-parse", "--short", "HEAD"],
            ["status", "--porcelain", "--", "src", "tests"],
        )
    )
    versions = facts()
    if head.returncode or changed.returncode or changed.stdout or versions is None:
        return None
    return {
        "commit": head.stdout.strip(),
        "processor": processor(),
        "versions": versions["versions"],
    }


def kept(arguments: list[str], repair: bool) -> dict[str, dict[str, object]]:
    """The results of runs that ended before and still count, by the run's settings as a text."""
    try:
        found = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        return {}
    place = here()
    if place is None or found["arguments"] != arguments:
        return {}
    if any(found["here"][name] != place[name] for name in ("processor", "versions")):
        return {}
    return {
        name: result
        for name, result in found["runs"].items()
        if result["commit"] == place["commit"]
        or (repair and not result["failed"] and same_source(result["commit"]))
    }


def same_source(commit: str) -> bool:
    """Whether no file of the package has changed since a commit."""
    words = ["git", "-C", str(ROOT), "diff", "--quiet", commit, "HEAD", "--", "src"]
    return subprocess.run(words).returncode == 0


def keep(arguments: list[str], runs: dict[str, dict[str, object]]) -> None:
    """Keep the results of the runs that have ended."""
    if (place := here()) is not None:
        KEPT.parent.mkdir(exist_ok=True)
        text = json.dumps({"here": place, "arguments": arguments, "runs": runs}, indent=1)
        KEPT.write_text(text + "\n")


def table(results: list[tuple[dict[str, str], dict[str, object]]], left_out: list[str]) -> str:
    """The runs as a Markdown table, with the machine, and with what was left out."""
    found = facts()
    assert found is not None
    lines = [
        f"The table was measured on {processor()} with {os.cpu_count()} cores, "
        f"{found['versions']}, Python {platform.python_version()}. "
        "An empty cell is the machine's own choice.",
        "",
        "| run | " + " | ".join(COLUMNS) + " | passed | failed | skipped | commit |",
        "| --- |" + " --- |" * (len(COLUMNS) + 4),
    ]
    for number, (run, result) in enumerate(results):
        cells = [run.get(name, "") for name in (*VARIABLES, ORDER, SEED)]
        counts = [str(result[name]) for name in ("passed", "failed", "skipped", "commit")]
        lines.append(f"| {number} | " + " | ".join([*cells, *counts]) + " |")
    lines += ["", *(f"- Not possible here, {line}." for line in sorted(set(left_out)))]
    for number, (_, result) in enumerate(results):
        lines += [f"- Run {number} failed `{name}`." for name in result["names"]]  # type: ignore[attr-defined]
    return "\n".join(lines).rstrip() + "\n"


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write(page: Path, text: str) -> None:
    """Put the text between the two marks of the page."""
    before, rest = page.read_text().split(START)
    page.write_text(f"{before}{START}\n{text}{END}{rest.split(END)[1]}")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=[*VARIABLES, SEED, ORDER], help="vary one variable")
    parser.add_argument("--run", type=int, action="append", help="number of a run; repeatable")
    parser.add_argument("--repair", action="store_true", help="only the runs that had a failure")
    parser.add_argument("--page", type=Path, help="Markdown page with the marks for the table")
    parser.add_argument("--workers", default="auto", help="processes of pytest (default auto)")
    parser.add_argument("--list", action="store_true", help="show the runs only")
    options, arguments = parser.parse_known_args(words)
    facts()  # fails here if nothing can be learnt from a process
    runs = one_at_a_time(options.only) if options.only else covering_set()
    results, left_out, ended = [], [], kept(arguments, options.repair)
    for number, asked in enumerate(runs):
        if options.run and number not in options.run:
            continue
        run, without = possible(asked)
        if options.only and without:  # nothing is left that differs
            left_out += without
            continue
        left_out += without
        print(f"run {number}:", *(f"{k}={v}" for k, v in run.items()), file=sys.stderr, flush=True)
        if not options.list:
            name = json.dumps(run, sort_keys=True)
            if name not in ended or options.run:
                commit = (here() or {}).get("commit", "")
                ended[name] = tested(run, arguments, options.workers) | {"commit": commit}
                keep(arguments, ended)
            results.append((run, ended[name]))
    if options.list:
        print(*(f"not possible here, {line}" for line in sorted(set(left_out))), sep="\n")
        return 0
    text = table(results, left_out)
    print(text)
    if options.page:
        write(options.page, text)
    return int(any(found["failed"] for _, found in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
