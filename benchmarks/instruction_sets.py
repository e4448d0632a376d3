"""Time of a training step by instruction set, side by side: whether bfloat16 pays on a processor.

    OMP_NUM_THREADS=1 python benchmarks/instruction_sets.py

Products are of float32 with avx512 (or the best set without bfloat16) and of bfloat16 with every
set that has instructions for them. Times are microseconds per sample and step on one thread: a
forward pass without gradients, and a training step; the least of some rounds in which every set
has its turn.
"""

from __future__ import annotations

import argparse
import os
import time

import torch

from adaptrnn.bench import Size, torch_peer
from adaptrnn.kernels import native

SIZES = (Size(196, 40, 400, 50), Size(196, 100, 100, 20), Size(196, 40, 400))
VARIABLE = "ADAPTRNN_INSTRUCTION_SET"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    sets = native.instruction_sets()
    reason = native.no_amx()
    if reason is not None:
        print(f"no AMX: {reason}")
    short = [name for name in sets if name in native.BFLOAT16_SETS]
    short = [name for name in short if name != "amx" or reason is None]
    full = next(name for name in sets if name not in native.BFLOAT16_SETS)
    for size in SIZES:
        layer = "fused" if size.units else "gamma"
        peers = {full: f"adaptrnn {layer}"} | dict.fromkeys(short, f"adaptrnn {layer}, bf16")
        calls = {}
        for name, peer in peers.items():
            os.environ[VARIABLE] = name
            calls[name] = torch_peer(peer, size)
        least = dict.fromkeys(peers, (float("inf"), float("inf")))
        for _ in range(rounds):
            for name in peers:
                os.environ[VARIABLE] = name
                least[name] = tuple(
                    min(before, timed(call))
                    for before, call in zip(least[name], calls[name], strict=True)
                )
        unit = 1e6 / (size.steps * size.batch)
        for name, times in least.items():
            columns = [
                f"{what} {unit * seconds:7.2f} us ({base / seconds:.2f} times as fast)"
                for what, seconds, base in zip(
                    ("forward", "training"), times, least[full], strict=True
                )
            ]
            print(f"{size}  {name:<12}{'  '.join(columns)}", flush=True)


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
