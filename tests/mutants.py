"""Change the analysis in one place at a time, and see whether its tests notice.

    python tests/mutants.py                              the sample of every module, and the planted
    python tests/mutants.py --page docs/explanation/tests.md   the same, and write its tables there
    python tests/mutants.py jacobian perturb             these modules alone
    python tests/mutants.py planted                      the planted ones alone

A mutant is a module with one change (`variants`) to what it computes; texts, type hints,
`strict=` of zip and the arguments of errors are left alone. It is put into a copy of the package,
and only the tests of its module are run (`tests`), the quickest first, until one fails. What came
of each is kept in build/mutants/, so a command that was stopped goes on. After a new test,
`--again` runs those that lived once more.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import copy
import hashlib
import importlib
import importlib.machinery
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE, KEPT = ROOT / "src" / "adaptrnn", ROOT / "build" / "mutants"
KNOWN, SECONDS = KEPT / "lived.json", KEPT / "seconds.json"
START, END = "<!-- mutants: written by tests/mutants.py -->", "<!-- end of mutants -->"
ALSO = {  # tests of a module next to those of its own name
    "__init__": ["names"],
    "_closed": ["lyapunov_exponent_limits", "system", "jacobian", "lyapunov_exponent"],
    "_fit": ["response", "scaling"],
    "_record": ["system", "response", "scaling", "fractional"],
    "system": ["jacobian", "isolation", "lyapunov_exponent_limits"],
    "lyapunov_exponent": ["lyapunov_exponent_limits"],
    "curve_parameter": ["transfer"],
}
SWAPPED: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
PAIRS = "min max|any all|argmin argmax|maximum minimum|amin amax|zeros ones|ceil floor|triu tril"
RENAMED = {a: b for pair in PAIRS.split("|") for a, b in (pair.split(), pair.split()[::-1])}
METHODS = {"sum": "mean", "mean": "sum", "log": "log2", "sin": "cos", "cos": "sin", "std": "var"}
PRELOADED = ["torch.func", "scipy.stats", "scipy.optimize", "xarray", "mpmath", "sklearn.svm"]
SITE = "import sys, importlib.machinery as m; sys.meta_path.insert(0, m.PathFinder)"  # no editable
SLOW = "called_resolved or several_threads or test_fi_curve and (planted_curves or intervals_cover)"

ELSEWHERE = {"_spikes", "_brian", "_read_nwb", "_sweeps", "_sweep"}  # tested by `make neurons`
LEAST = 5  # mutants of a module
PLANTED = [  # what is wrong, file, text, text in its place; for the tests of lyapunov_exponent
    ("log2 in place of ln", "lyapunov_exponent", "dim2=2).abs().log()", "dim2=2).abs().log2()"),
    (
        "log2 in place of ln, closed",
        "lyapunov_exponent",
        "logs = np.log(np.abs(",
        "logs = np.log2(np.abs(",
    ),
    (
        "burn-in counted",
        "lyapunov_exponent",
        "        if t > burn_in:",
        "        if t > burn_in or t:",
    ),
    ("burn-in part of the time", "lyapunov_exponent", "append(t - burn_in)", "append(t)"),
    ("W transposed", "system", "v.mT @ self.weight.mT", "v.mT @ self.weight"),
    ("W transposed, closed", "lyapunov_exponent", "model.weight.numpy().T", "model.weight.numpy()"),
    (
        "slope of the step before",
        "lyapunov_exponent",
        "stack(slopes, 1)",
        "stack(slopes, 1).roll(1, 1)",
    ),
    (
        *("slope of the step after", "system", "            return state, (v.mT @"),
        "            slope = self.slope(x, state, drive)[1]\n            return state, (v.mT @",
    ),
    (
        "standard error x 1.5",
        "lyapunov_exponent",
        "means.std(0, ddof=1)",
        "1.5 * means.std(0, ddof=1)",
    ),
    ("one step too few", "lyapunov_exponent", "else burn_in + steps", "else burn_in + steps - 1"),
    (
        "samples mixed",
        "lyapunov_exponent",
        "model.jvp(x, z, self.v,",
        "model.jvp(x, z, self.v.flip(0),",
    ),
    (
        "samples mixed, closed",
        "lyapunov_exponent",
        "self.samples, each)",
        "self.samples, each[::-1])",
    ),
    (
        "rows of the LU not permuted",
        "lyapunov_exponent",
        "self.order = _permutation(swaps + 1)",
        "pass",
    ),
    ("adaptation of s left out", "_closed", "dh += gamma_ds(a, n, s).unsqueeze(1) * ds", "pass"),
    (
        "Kaplan-Yorke one too many",
        "lyapunov_exponent",
        "    return last + float(",
        "    return 1 + last + float(",
    ),
]
SILENT = {"annotation", "returns", "decorator_list"}  # fields of a node that compute nothing


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    new = copy.copy(node)
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            new.op = SWAPPED[type(op)]()
            yield new
        case ast.Compare(ops=[op, *others]):
            new.ops = [SWAPPED[type(op)](), *others]
            yield new
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            new.test = ast.UnaryOp(ast.Not(), test)
            yield new
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(2 * value or 1.0)
        case ast.Call(func=ast.Name(id="abs"), args=[inner]):
            yield inner
        case ast.Call(func=ast.Attribute(value=inner, attr="abs" | "detach" | "sqrt"), args=[]):
            yield inner
        case ast.Call(func=ast.Name(id=name)) if name in RENAMED:
            new.func = ast.Name(RENAMED[name])
            yield new
        case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in RENAMED | METHODS:
            new.func = ast.Attribute(inner, (RENAMED | METHODS)[name])
            yield new
        case ast.Attribute(value=inner, attr="mT" | "T"):
            yield inner
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield ast.Pass()


def sites(node: ast.AST, place: str = "") -> Iterator[tuple[list, int | str, ast.AST, str]]:
    """Where a tree can be changed: holder, key in it, what may stand there, enclosing function."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        place = f"{place}.{node.name}".strip(".")
    called = getattr(getattr(node, "func", None), "id", getattr(node, "attr", None))
    if place in ELSEWHERE or called == "CellModel":
        return
    if isinstance(node, ast.Raise | ast.JoinedStr) or called in ("bad", "isinstance"):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn":
        return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return
    for field, value in ast.iter_fields(node):
        if field in SILENT:
            continue
        holder, keys = (value, range(len(value))) if isinstance(value, list) else (node, [field])
        for key in keys:
            child = holder[key] if isinstance(value, list) else value
            if isinstance(child, ast.AST):
                for new in variants(child):
                    yield holder, key, new, place
                yield from sites(child, place)


def put(holder: list | ast.AST, key: int | str, new: ast.AST) -> ast.AST:
    """Put a node where another is; returns the other."""
    if isinstance(holder, list):
        old, holder[key] = holder[key], new
    else:
        old = getattr(holder, key)
        setattr(holder, key, new)
    return old


def difference(before: str, after: str) -> str:
    """What changed between two texts of a module, with some of what stands around it."""
    rows = zip(before.split("\n"), after.split("\n"), strict=False)
    old, new = next((a.strip(), b.strip()) for a, b in rows if a != b)
    length = min(len(old), len(new))
    start = next((i for i in range(length) if old[i] != new[i]), length)
    end = next((i for i in range(length - start) if old[-1 - i] != new[-1 - i]), length - start)
    first, last = max(0, start - 30), max(0, end - 30)
    return " becomes ".join(f"`{text[first : len(text) - last]}`" for text in (old, new))


def mutants(path: Path, count: int, rng: random.Random) -> Iterator[dict]:
    """Some of all mutants of a file, drawn at random, in the order of the file."""
    tree = ast.parse(path.read_text())
    before, every = ast.unparse(tree), list(sites(tree))
    for index in sorted(rng.sample(range(len(every)), min(count, len(every)))):
        holder, key, new, place = every[index]
        old = put(holder, key, new)
        if isinstance(old, ast.BinOp) and ast.unparse(old.right) == "None":
            put(holder, key, old)
            continue  # a type
        text = ast.unparse(ast.fix_missing_locations(tree))
        put(holder, key, old)
        where = {"module": path.stem, "path": path, "line": old.lineno, "place": place}
        yield {**where, "text": text, "change": difference(before, text)}


def planted() -> Iterator[dict]:
    """The mutants of `PLANTED`; each of its texts stands once in its file."""
    for what, name, before, after in PLANTED:
        path = PACKAGE / "analysis" / f"{name}.py"
        source = path.read_text()
        if source.count(before) != 1:
            raise ValueError(f"{before!r} stands {source.count(before)} times in {path}, not once")
        text, line = source.replace(before, after), source[: source.index(before)].count("\n") + 1
        where = {"module": "planted", "path": path, "line": line, "place": name}
        yield {**where, "text": text, "change": what}


def tests(module: str, path: Path) -> list[Path]:
    """Files whose tests should notice a change of a module."""
    if path.stem == "perturb":
        return [ROOT / "tests" / "test_perturb.py"]
    names = ["lyapunov_exponent", *ALSO["lyapunov_exponent"]] if module == "planted" else [module]
    names += [] if module == "planted" else [*ALSO.get(module, []), "finite"]
    files = [
        ROOT / "tests" / "analysis" / f"test_{name.strip('_')}.py" for name in dict.fromkeys(names)
    ]
    return [file for file in files if file.exists()]


class Quickest:
    """Tests in the order of the time that they took before; a new one comes first."""

    def __init__(self) -> None:
        self.seconds = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
        self.passed: dict[str, float] = {}

    def pytest_collection_modifyitems(self, items: list) -> None:
        items.sort(key=lambda item: self.seconds.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: object) -> None:
        if report.nodeid.startswith("tests/"):  # not the examples of the mutant itself
            self.passed[report.nodeid] = self.passed.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if not exitstatus:
            new = SECONDS.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps(self.seconds | self.passed))
            new.replace(SECONDS)


def check(site: str, arguments: list[str]) -> None:
    """Run pytest in this process on the package in `site`; its exit status is that of pytest."""
    log = os.open(f"{site}/log.txt", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 1), os.dup2(log, 2), os.chdir(ROOT)
    sys.path.insert(0, site)
    sys.dont_write_bytecode = False  # of the tests, whose assertions pytest rewrites
    exec(SITE)
    Path(f"{site}/sitecustomize.py").write_text(SITE)  # for the processes that tests start
    os.environ["PYTHONPATH"] = site
    assert importlib.import_module("adaptrnn").__file__.startswith(site)
    options = f"-x -q --tb=line -p no:cacheprovider -o pythonpath= -c {ROOT}/pyproject.toml"
    options += f" --rootdir {ROOT} --hypothesis-seed 0 -W ignore::pytest.PytestAssertRewriteWarning"
    run = importlib.import_module("pytest").main
    os._exit(
        run([*options.split(), "-m", "not slow", "-k", f"not ({SLOW})", *arguments], [Quickest()])
    )


def outcome(mutant: dict, limit: float | None = None) -> tuple[bool, float, str]:
    """Whether the tests pass with a mutant, after how many seconds, and the last lines they say."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as site:
        package = Path(site).resolve() / "adaptrnn"
        shutil.copytree(PACKAGE, package, copy_function=os.symlink)
        for native in Path(sysconfig.get_path("purelib")).glob("adaptrnn/kernels/_cpu*"):
            shutil.copy(native, package / "kernels")
        path = package / mutant["path"].relative_to(PACKAGE)
        path.unlink()
        path.write_text(mutant["text"])
        files = [str(file) for file in (*tests(mutant["module"], mutant["path"]), path)]
        process = CONTEXT.Process(target=check, args=(str(package.parent), files))
        start = time.monotonic()
        process.start()
        process.join(limit)
        if process.is_alive():
            process.kill()
            process.join()
        said = (package.parent / "log.txt").read_text()[-2000:]
    if process.exitcode in (4, 5):
        raise RuntimeError(f"no tests were run: {said}")
    return process.exitcode == 0, time.monotonic() - start, said


def page(rows: list[dict], old: str) -> str:
    """The tables, with the reasons for survivors that stand in the old ones."""
    reasons = dict(re.findall(r"^\| (\S+ \| .*?) \| ([^|]*) \|$", old, re.MULTILINE))
    drawn = sum(row["module"] != "planted" for row in rows)
    rows = [row for row in rows if row["lived"] is not None]
    lines = ["| module | mutants | killed |", "| --- | --- | --- |"]
    lived = [row for row in rows if row["lived"]]
    for module in dict.fromkeys(row["module"] for row in rows):
        own = [row for row in rows if row["module"] == module]
        killed = sum(not row["lived"] for row in own)
        lines.append(f"| {module} | {len(own)} | {killed} |")
    run = [row for row in rows if row["module"] != "planted"]
    if run:
        killed = sum(not row["lived"] for row in run)
        share = f"{killed} ({killed / len(run):.1%})"
        lines.append(f"| all but planted, of {drawn} drawn | {len(run)} | {share} |")
    lines += ["", "| survivor | change | reason |", "| --- | --- | --- |"]
    for row in lived:
        key = f"{row['module']}.{row['place']} | {row['change'].replace('|', chr(92) + '|')}"
        lines.append(f"| {key} | {reasons.get(key, 'not looked at')} |")
    return "\n".join(lines)


def main() -> None:
    """Draw, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help="names of files, or planted; default all")
    parser.add_argument("--count", type=int, default=320, help="mutants over all modules, about")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit", type=float, default=300, help="seconds, then it is killed")
    parser.add_argument("--minutes", type=float, default=600, help="begin none after these")
    parser.add_argument("--page", type=Path, help="file to write the tables into")
    parser.add_argument("--again", action="store_true", help="run those that lived before again")
    parser.add_argument("--fresh", action="store_true", help="begin again")
    args = parser.parse_args()
    files = [*sorted((PACKAGE / "analysis").glob("*.py")), PACKAGE / "perturb.py"]
    sizes = {file: len(list(sites(ast.parse(file.read_text())))) for file in files}
    rows = list(planted())
    for file, size in sizes.items():
        share = max(LEAST, round(args.count * size / sum(sizes.values())))
        rows += mutants(file, share, random.Random(f"{args.seed} {file.stem}"))
    rows = [row for row in rows if not args.modules or row["module"] in args.modules]
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() and not args.fresh else {}
    for row in rows:
        whole = f"{row['module']} {row['text']}"
        row["key"] = hashlib.sha256(whole.encode()).hexdigest()[:16]
        row["lived"] = known.get(row["key"])
    waiting = [row for row in rows if row["lived"] is None or (args.again and row["lived"])]
    KNOWN.parent.mkdir(parents=True, exist_ok=True)
    compileall.compile_dir(str(PACKAGE), quiet=2)  # once, and not for every mutant

    def judge(row: dict) -> None:
        if time.monotonic() > end:
            return
        row["lived"], seconds, said = outcome(row, args.limit)
        known[row["key"]] = row["lived"]
        KNOWN.write_text(json.dumps(known))
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
        verdict = "lived " if row["lived"] else "killed"
        where = f"{row['module']}:{row['line']} {row['place']}"
        print(f"{verdict} {seconds:4.0f} s {where}: {row['change']} {failed}", flush=True)

    def passes(module: str) -> None:
        path = next(row["path"] for row in rows if row["module"] == module)
        row = {"module": module, "path": path, "text": path.read_text()}
        passed, _, said = outcome(row, args.limit)
        if not passed:
            raise RuntimeError(f"the tests of {module} fail without a mutant: {said}")

    def order(row: dict) -> tuple:  # by chance, so that those of a run cut short are a sample
        return row["module"] != "planted", row["lived"] is None, row["key"]

    end = time.monotonic() + 60 * args.minutes
    with ThreadPoolExecutor(args.workers) as pool:
        list(pool.map(judge, sorted(waiting, key=order)))
        lived = {row["module"] for row in rows if row["lived"]}  # their tests pass, one has seen
        done = {row["module"] for row in rows if row["lived"] is not None}
        list(pool.map(passes, done - lived))
    old = args.page.read_text() if args.page else ""
    written = page(rows, old)
    print(written)
    if args.page:
        before, rest = old.split(START)
        args.page.write_text(f"{before}{START}\n{written}\n{END}{rest.split(END)[1]}")
    sys.exit(
        "a planted mutant lives" if any(r["lived"] for r in rows if r["module"] == "planted") else 0
    )


os.environ["OMP_NUM_THREADS"] = "1"
CONTEXT = multiprocessing.get_context("forkserver")  # torch is imported once, and forked
CONTEXT.set_forkserver_preload(PRELOADED)
if __name__ == "__main__":
    main()
