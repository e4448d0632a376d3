"""A manifest says where results come from: the profile, the command, the machines, the costs.

It is written once. Where it names a file that a profile is no longer called by, or counts the jobs
of an earlier state, the words here say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from adaptrnn.paper.cost import hours
from adaptrnn.paper.note import enumerated
from adaptrnn.paper.profile import PROFILES, load_profile

__all__ = ["caveats", "costs_in_words", "machines_in_words", "present_command", "profile_in_words"]

Jobs = Mapping[str, Mapping[str, float]]


def profile_in_words(name: str, recorded: str) -> str:
    """Return one line on a profile, as it is now if it is built in.

    Args:
        name: of the profile.
        recorded: the line that the manifest has.

    Example:
        >>> profile_in_words("my-own", "two networks")
        'two networks'
    """
    return load_profile(name).summary if name in PROFILES else recorded


def present_command(name: str, recorded: str) -> str:
    """Return the command that makes results, with the profile by its present name.

    Args:
        name: of the profile.
        recorded: the command that the manifest has.

    Example:
        >>> present_command("night", "adaptrnn reproduce --profile old.yaml")
        'adaptrnn reproduce --profile night'
    """
    if _other_file(name, recorded):
        return re.sub(r"(--profile) \S+", rf"\1 {name}", recorded)
    return recorded


def _other_file(name: str, recorded: str) -> str:
    """The file that a recorded command names in place of a built-in profile; empty for none."""
    match = re.search(r"--profile (\S+)", recorded)
    if match is None or name not in PROFILES or Path(match[1]).stem == name:
        return ""
    return match[1]


def machines_in_words(machines: Mapping[str, int]) -> str:
    """Return on which machines how many networks were trained; empty if it is not known.

    Args:
        machines: how many networks by the name of the machine.

    Example:
        >>> machines_in_words({"Linux, 16 processors, 1 GPU": 2, "Linux": 5})
        '5 networks were trained on Linux and 2 on Linux, 16 processors, 1 GPU.'
    """
    known = sorted(machines.items(), key=lambda one: -one[1])
    places = [f"{count} on {name}" for name, count in known]
    if not places:
        return ""
    first, *rest = places
    noun = "network was" if known[0][1] == 1 else "networks were"
    first = first.replace(" on", f" {noun} trained on", 1)
    if len(rest) > 1:  # the names of machines have commas
        return "; ".join([first, *rest[:-1], f"and {rest[-1]}"]) + "."
    return enumerated([first, *rest]) + "."


def costs_in_words(jobs: Jobs) -> str:
    """Return what each step took, and disk.

    Args:
        jobs: of each step the number of jobs and seconds; of "disk" files and megabytes.

    Example:
        >>> costs_in_words({"train": {"jobs": 2, "seconds": 120.0}})
        'train 2 jobs, 2.0 min'
    """
    said = [
        f"{step} {one['jobs']} jobs, {hours(one['seconds'])}"
        for step, one in jobs.items()
        if step != "disk"
    ]
    if "disk" in jobs:
        said.append(f"{jobs['disk']['megabytes']:g} MB of disk")
    return "; ".join(said)


def caveats(name: str, recorded: str, jobs: Jobs, networks: int) -> list[str]:
    """Return what does not fit the results in what a manifest says of their making.

    Args:
        name: of the profile.
        recorded: the command that the manifest has.
        jobs: see `costs_in_words`.
        networks: how many networks are in the results.

    Returns:
        Sentences; none if all fits.

    Example:
        >>> caveats("quick", "", {"train": {"jobs": 20}}, 24)[0][:43]
        'The costs were recorded for 20 trainings of'
    """
    found = []
    other = _other_file(name, recorded)
    if other:
        found.append(
            f"The command that the manifest records names a file “{other}”, which is not kept. "
            f"The profile “{name}” has all of these networks."
        )
    trained = jobs.get("train", {}).get("jobs", networks)
    if trained != networks:
        found.append(
            f"The costs were recorded for {trained} trainings of an earlier state of these "
            f"results, so they are not those of all {networks} networks."
        )
    return found
