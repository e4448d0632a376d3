"""Where results come from: a manifest of an earlier state does not pass for the present one."""

from adaptrnn.paper.profile import load_profile
from adaptrnn.report.origin import (
    caveats,
    costs_in_words,
    machines_in_words,
    present_command,
    profile_in_words,
)

COMMAND = "adaptrnn reproduce --profile night-part.yaml --data-dir DATA"
JOBS = {
    "train": {"jobs": 217, "seconds": 7200.0, "memory_mb": 1.0},
    "disk": {"files": 3, "megabytes": 2.5},
}


def test_a_built_in_profile_is_described_and_named_as_it_is_now():
    assert profile_in_words("night", "small networks") == load_profile("night").summary
    assert present_command("night", COMMAND) == "adaptrnn reproduce --profile night --data-dir DATA"
    assert present_command("night", "") == ""


def test_a_profile_of_ones_own_keeps_its_words():
    own = "adaptrnn reproduce --profile mine.yaml"
    assert profile_in_words("mine", "two networks") == "two networks"
    assert present_command("mine", own) == own and caveats("mine", own, {}, 2) == []


def test_all_machines_are_named_the_most_used_first():
    machines = {"Linux, 16 processors": 6, "Linux, 2 processors": 212, "Linux, 1 GPU": 26}
    assert machines_in_words(machines) == (
        "212 networks were trained on Linux, 2 processors; 26 on Linux, 1 GPU; and 6 on Linux, "
        "16 processors."
    )
    assert machines_in_words({"Linux": 1}) == "1 network was trained on Linux."
    assert machines_in_words({}) == ""


def test_costs_of_another_number_of_networks_are_said_to_be_so():
    assert costs_in_words(JOBS) == "train 217 jobs, 2.0 h; 2.5 MB of disk"
    file, costs = caveats("night", COMMAND, JOBS, 244)
    assert "“night-part.yaml”" in file and "“night”" in file
    assert "217 trainings of an earlier state" in costs and "all 244 networks" in costs
    assert caveats("night", "", JOBS, 217) == []
