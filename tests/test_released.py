"""The layout of the authors' checkpoints: every number has its place in both."""

from __future__ import annotations

import pytest
import torch

from adaptrnn import ARUN, InputError
from adaptrnn.released import LAYOUT, from_released, to_released


def test_gain_and_saturation_share_one_matrix():
    """Rows of theirs, stacked: the gain is row 0 and the saturation row 1."""
    theirs = {name: torch.rand(1, 4) for names in LAYOUT.values() for name in names}
    ours = from_released(theirs)
    assert torch.equal(ours["controller.weight_gc"][0:1], theirs["Wgn.weight"])
    assert torch.equal(ours["controller.weight_gc"][1:2], theirs["Wgs.weight"])


def test_there_and_back_every_number_is_the_same_and_a_copy():
    state = ARUN(2, 5, controller_size=3).state_dict()
    theirs = to_released(state)
    assert {n.split(".")[0] for n in theirs} == {"Uxh", "Whh", "Uag", "Wgg", "Wgn", "Wgs"}
    back = from_released(theirs)
    assert back.keys() == state.keys() and all(torch.equal(back[n], state[n]) for n in state)
    theirs["Wgn.weight"].zero_()
    assert state["controller.weight_gc"][0].abs().sum() > 0


@pytest.mark.parametrize("missing", ["Uxh.weight", "Wgs.bias"])
def test_an_entry_that_is_missing_is_named(missing):
    theirs = to_released(ARUN(2, 5, controller_size=3).state_dict())
    del theirs[missing]
    with pytest.raises(InputError, match=f"the entry '{missing}'"):
        from_released(theirs)
