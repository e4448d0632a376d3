"""Five lines say in the terminal which claims of a report held, which did not, where to look."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

__all__ = ["summary_lines"]


def summary_lines(folder: Path) -> list[str]:
    """Return what came out, from the verdicts of a written report.

    Args:
        folder: of the report, with data/verdicts.csv.

    Returns:
        Five lines.

    Raises:
        FileNotFoundError: there is no report.
    """
    table = pd.read_csv(folder / "data" / "verdicts.csv", dtype=str, keep_default_na=False)
    claims = table.drop_duplicates(["id", "place"])

    def say(count: int, one: str, more: str) -> str:
        return f"{count} {one if count == 1 else more}"

    def named(outcome: str) -> tuple[int, str]:
        found = claims.id[claims.verdict == outcome].tolist()
        return len(found), f": {', '.join(found)}" if found else ""

    held, part, not_held = (named(outcome) for outcome in ("reproduced", "partly", "not"))
    judged = held[0] + part[0] + not_held[0]
    untrained, absent, own = (
        named(outcome) for outcome in ("not trained enough", "no data", "not judged")
    )
    return [
        f"Of {judged} judged claims {say(held[0], 'holds', 'hold')}{held[1]}",
        f"{say(part[0], 'holds', 'hold')} in part{part[1]}",
        f"{say(not_held[0], 'does', 'do')} not hold{not_held[1]}",
        f"No verdict: {untrained[0]} on networks that have not learned{untrained[1]}; "
        f"{absent[0]} without data{absent[1]}; {own[0]} questions of our own",
        f"Look at {folder / 'index.html'}; all numbers are in {folder / 'data' / 'verdicts.csv'}",
    ]
