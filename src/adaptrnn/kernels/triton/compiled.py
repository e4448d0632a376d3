"""Compile the kernels for chips that are not here, and read registers, spills, shared memory.

    python -m adaptrnn.kernels.triton.compiled docs/reference/gpu-kernels.md

Triton's compiler and NVIDIA's assembler need no GPU, driver or CUDA toolkit: they come with triton.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from adaptrnn._error import bad, require
from adaptrnn.kernels.triton import device
from adaptrnn.kernels.triton.launch import CHIPS, KERNELS, Tile, columns, pitch, setting, tile

SHARED = {80: 163, 86: 99, 89: 99, 90: 227, 120: 99}
"""Shared memory that a program may use, by chip, in kB (CUDA C programming guide, appendix)."""

UNITS = (16, 20, 50, 64)
"""Controllers whose kernels are compiled: each U, and a PITCH that is U or is not."""

TENSOR_CORE_PRECISIONS = ("tf32", "tf32x3")

TENSOR_CORES = ("HMMA", "HGMMA")
FORBIDDEN = ("LDL", "STL", "ATOM", "ATOMG", "ATOMS", "RED", "REDG")
"""Instructions that access local memory (spilled registers), and atomics."""


@dataclass(frozen=True)
class Case:
    """A kernel is compiled for a chip, a controller of G units (0: gamma RNN) and a product."""

    kernel: str
    chip: int
    units: int
    precision: str


@dataclass(frozen=True)
class Report:
    """A report says what the compiler made of a kernel.

    Memory is in bytes, and instructions are counted as they stand in the program.
    """

    case: Case
    block: int
    warps: int
    registers: int
    stack: int
    spilled: int
    shared: int
    instructions: dict[str, int]
    widest_load: int  # bits

    def faults(self) -> list[str]:
        """Return what must not be, an empty list if all is well."""
        found = []
        if self.stack or self.spilled:
            found.append(f"{self.stack} bytes of stack, {self.spilled} of spills")
        if self.registers > 255:
            found.append(f"{self.registers} registers")
        if self.shared > 1024 * SHARED[self.case.chip]:
            found.append(f"{self.shared} bytes of shared memory")
        if not any(self.instructions.get(name) for name in TENSOR_CORES):
            found.append("no tensor cores")
        found += [f"{name} instructions" for name in FORBIDDEN if self.instructions.get(name)]
        if self.widest_load < 128:
            found.append(f"loads of at most {self.widest_load} bits")
        return found


def cases(chips: Sequence[int] = CHIPS) -> Iterator[Case]:
    """Return every kernel that these chips would run."""
    for chip in chips:
        for precision in TENSOR_CORE_PRECISIONS:
            for units in UNITS:
                for kernel in KERNELS:
                    yield Case(kernel, chip, units, precision)
            for kernel in ("gamma_forward", "gamma_backward"):
                yield Case(kernel, chip, 0, precision)


_INTEGERS = (
    *("a_at", "h_at", "before_at", "now_at", "rows", "first", "steps", "t", "i", "slot", "chunk"),
    *("batch", "size"),
)


def compile(case: Case, entry: tuple[int, ...] | None = None) -> Report:
    """Compile a kernel for a chip that need not be here.

    Args:
        case: what is compiled.
        entry: block, warps and stages (or a `Tile`) to try instead of the table's.

    Returns:
        What became of it.

    Raises:
        InputError: Triton's interpreter was asked for; it and the compiler exclude each other.
        MissingExtraError: triton is not installed.
    """
    if device.interpreted():
        raise bad("TRITON_INTERPRET", 1, "unset", "Compiling needs a process of its own.")
    triton = require("triton", "triton")
    target = require("triton.backends.compiler", "triton").GPUTarget("cuda", case.chip, 32)
    function = getattr(device.rows(), case.kernel)
    constants: dict[str, Any] = {"PRECISION": case.precision}
    if case.units:
        wide = columns(case.units)
        entry = entry or setting(case.kernel, wide, case.chip)
        constants |= {"U": wide, "PITCH": pitch(case.units), "BLOCK": entry[0]}
    else:
        entry = entry or tile(case.chip)
        assert isinstance(entry, Tile)
        constants |= {"SAMPLES": entry[0], "NEURONS": entry[1], "INNER": entry[2]}
        constants |= {"GIVEN": True, "LAST": False} if case.kernel == "gamma_backward" else {}
    signature, fixed, attributes = {}, {}, {}
    for place, name in enumerate(function.arg_names):
        if name in constants:
            signature[name], fixed[(place,)] = "constexpr", constants[name]
        elif name in _INTEGERS:
            signature[name] = "i32"
            if name == "size":  # as for N = 400: the launcher sees that 16 divides it
                attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "*fp64" if (name, case.units) == ("sums", 0) else "*fp32"
            attributes[(place,)] = [["tt.divisibility", 16]]  # torch's tensors begin there
    source = triton.compiler.ASTSource(
        fn=function, signature=signature, constexprs=fixed, attrs=attributes
    )
    options = {"num_warps": entry[-2], "num_stages": entry[-1]}
    account = io.StringIO()
    knobs = triton.knobs
    with knobs.nvidia.scope(), knobs.compilation.scope(), contextlib.redirect_stdout(account):
        knobs.nvidia.dump_ptxas_log = knobs.compilation.always_compile = True
        kernel = triton.compile(source, target=target, options=options)
    return _report(case, entry[0], kernel, account.getvalue())


def _report(case: Case, block: int, kernel: Any, account: str) -> Report:
    """Read the program that would run, and the assembler's account of it."""
    package = importlib.util.find_spec("triton.backends.nvidia")
    assert package is not None and package.origin is not None
    disassembler = Path(package.origin).parent / "bin" / "cuobjdump"
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernel.cubin"
        binary.write_bytes(kernel.asm["cubin"])
        usage = _run(disassembler, "--dump-resource-usage", binary)
        program = _run(disassembler, "-sass", binary)
    line = r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+ )?([A-Z0-9_]+)(\S*)"
    found = re.findall(line, program, re.M)
    instructions = Counter(op for op, _ in found)
    widths = [re.search(r"\.(64|128)\b", rest) for op, rest in found if op in _LOADS]
    return Report(
        case,
        block,
        kernel.metadata.num_warps,
        int(_first(r"REG:(\d+)", usage)),
        int(_first(r"STACK:(\d+)", usage)),
        _spills(account),
        kernel.metadata.shared,
        dict(instructions),
        max((int(width[1]) if width else 32 for width in widths), default=0),
    )


_LOADS = ("LDG", "LDGSTS")


def _spills(account: str) -> int:
    """Bytes of spilled registers, stored and loaded, in what the assembler printed."""
    stored, loaded = (
        _first(r"(\d+) bytes spill stores", account),
        _first(r"(\d+) bytes spill loads", account),
    )
    return int(stored) + int(loaded)


def _run(program: Path, *words: object) -> str:
    done = subprocess.run(
        [str(program), *map(str, words)], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"no {pattern} in what NVIDIA's tools printed")
    return found.group(1)


def _table(reports: Sequence[Report]) -> list[str]:
    """Markdown: a row for each kernel, controller and precision, a column for each chip."""
    chips = sorted({report.case.chip for report in reports})
    lines = [
        "| kernel | G | product | " + " | ".join(f"sm_{chip}" for chip in chips) + " |",
        "| --- | --- | --- | " + " | ".join("---" for _ in chips) + " |",
    ]
    rows: dict[tuple[str, int, str], dict[int, Report]] = {}
    for report in reports:
        case = report.case
        rows.setdefault((case.kernel, case.units, case.precision), {})[case.chip] = report
    for (kernel, units, precision), found in rows.items():
        cells = (
            f"{r.registers}, {r.shared / 1024:.0f} kB ({r.block} x {r.warps})"
            for r in (found[chip] for chip in chips)
        )
        lines.append(f"| `{kernel}` | {units or '-'} | {precision} | " + " | ".join(cells) + " |")
    return lines


def page(reports: Sequence[Report]) -> str:
    """Return the page of the documentation that holds the table."""
    triton = require("triton", "triton")
    faults = [(r.case, fault) for r in reports for fault in r.faults()]
    text = [
        "# Kernels for GPUs, as compiled",
        "",
        "This page is written by `python -m adaptrnn.kernels.triton.compiled",
        f"docs/reference/gpu-kernels.md`, with triton {triton.__version__} and no GPU.",
        "[The how-to](../howto/gpu.md) says what it shows and what it does not.",
        "",
        f"{len(reports)} programs for {len(CHIPS)} chips were compiled, and {len(faults)} faults",
        "were found in them. A fault is a byte of stack or of spilled registers, an access of",
        "local memory, more than 255 registers, more shared memory than the chip gives a program,",
        "no instruction of the tensor cores, no load of 128 bits, or an atomic. `make test-triton`",
        "compiles all of them again and fails at the first fault.",
        "",
        "A cell holds the registers of a thread, the shared memory of a program, and in brackets",
        "rows (for the gamma RNN samples) x warps of a program. G is the number of the",
        "controller's units.",
        "",
        *_table(reports),
    ]
    return "\n".join(text) + "\n"


def main(words: Sequence[str]) -> int:
    """Compile everything; write the page to the path given, or print it."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        reports = list(pool.map(compile, cases()))
    text = page(reports)
    if words:
        Path(words[0]).write_text(text)
    else:
        print(text)
    faults = [f"{r.case}: {fault}" for r in reports for fault in r.faults()]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
