"""Some criteria changed after results were seen; each stands here with what decides.

The first results of the profile laptop were judged by an earlier list of criteria. It compared
drive experiments with gated networks, took the shared network for RNN+gamma's rival, judged claims
about untrained networks, and held several claims to stricter words than the paper's. What the
earlier list asked for is still printed, as "also shown".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adaptrnn.paper.item import Table
from adaptrnn.paper.verdict import Verdict

__all__ = ["CHANGES", "RULE", "Change", "changes"]

RULE = (
    "A part of any claim used to hold only if it held in every seed. The paper's statements are "
    "about means, so a part now holds if the mean over seeds meets its threshold by at least one "
    "standard error, which is paired where seeds pair. A network that has not learned its task is "
    "no longer judged. The verdict is “not trained enough” where no model of the task reaches 30%, "
    "or where this one has less than half of the best model's accuracy. "
    "RNN+ReLU is judged as the ReLU network of the paper's text; the "
    "linear network of the released scripts is shown. RNN+gamma is the network with private "
    "(n, s); the one that shares them is shown. Checks of the code decide nothing any more. Later "
    "some words of criteria changed, but no threshold and no verdict. Thresholds of ours in E16, "
    "E17, E26, E29, E30, E32, E33, E34 and E43 were not all marked as ours. E34 said JN > 1, where "
    "JN > 1.02 was computed from the start."
)
"""What changed for all claims alike."""


@dataclass(frozen=True)
class Change:
    """A change is a criterion that differs from the one before.

    Attributes:
        place: figure or table, as in the claim.
        before: the criterion before.
        verdict: what the first results of the profile laptop were by it.
        decides: what the paper says, in our words unless quoted.
    """

    place: str
    before: str
    verdict: str
    decides: str


_GATES = (
    "Of gated networks the paper says that “there is no parallel to injecting noise to the main "
    "network due to their multiple gating features”, and leaves them out of every drive experiment."
)

CHANGES: dict[str, Change] = {
    "E03": Change(
        "Table 1",
        "The accuracies of ARUN and RNN+gamma differ by at most 2 pp in every seed; that of "
        "RNN+gamma is above the linear network's too",
        "partly",
        "There is no significant difference between RNN+gamma and ARUN.",
    ),
    "E04": Change(
        "Table 1",
        "The orderings hold against the linear network too; “by far” had no number",
        "partly",
        "GRU is best by far; RNN+gamma is significantly better than RNN+ReLU and LSTM.",
    ),
    "E05": Change(
        "Table 1",
        "Convolutional minus linear is at least 10 pp for the least model in every seed; the "
        "spread over models is at most 5 pp in every seed",
        "not",
        "The encoder raises every model significantly, and all models are similar. No size is "
        "given; 10 pp is now asked of the mean over models.",
    ),
    "E06": Change(
        "Table 1",
        "The accuracy of ARUN drops by less than half of the next best's, LSTM, GRU and the "
        "shared network included",
        "partly",
        _GATES,
    ),
    "E07": Change(
        "Table 1",
        "Drop and accuracy of ARUN are better than the next best's, LSTM, GRU and the shared "
        "network included",
        "partly",
        _GATES,
    ),
    "E08": Change(
        "Table 1; Fig 2b, bottom",
        "The accuracy of ARUN drops less than the next best's, the shared and the linear network "
        "included",
        "partly",
        "The accuracy of ARUN decreases least and that of RNN+gamma second least; all models of "
        "Table 1 are compared.",
    ),
    "E10": Change(
        "Fig 2b, top",
        "On all tasks ARUN's accuracy has the greatest area under its curve and the least "
        "distance from its value at 0, gated and shared networks included",
        "partly",
        _GATES + " Fig 2b shows accuracy and loss on psMNIST; flatness is not claimed.",
    ),
    "E11": Change(
        "Fig 2c, top",
        "On all tasks ARUN's loss is best in the way that E10 asked of its accuracy",
        "partly",
        _GATES + " Fig 2c shows sCIFAR10, where ARUN is still more robust.",
    ),
    "E12": Change(
        "Fig 2b, bottom",
        "On all tasks ARUN's accuracy has the greatest area under its curve and the least "
        "distance from its value at 0",
        "partly",
        "On psMNIST ARUN has the lowest decrease, and RNN+gamma is second.",
    ),
    "E13": Change(
        "Fig 2c, bottom",
        "On all tasks ARUN's loss is best in the way that E12 asked of its accuracy",
        "partly",
        "On sCIFAR10 there is an “overall lessened decrease with respect to baselines”, which is "
        "“slightly less conclusive”.",
    ),
    "E15": Change(
        "Fig 3a, bottom; B.3",
        "The recovered fraction is at least 0.25 in every seed; the other parameters are "
        "bit-identical",
        "partly",
        "The mean accuracy falls from 94% to 42% and then rises to 56%, which recovers over a "
        "quarter of the loss. That the other parameters stay the same is a check of the code.",
    ),
    "E18": Change(
        "text of Fig 3b",
        "The slope frozen minus the slope adaptive is above 0 in every seed",
        "partly",
        "The effective range is allocated in proportion to the input's statistics, which is a "
        "statement about the mean.",
    ),
    "E19": Change(
        "Fig 4a",
        "R² is at least 0.9 for the mean and for the median neuron, over all ξ",
        "not",
        "The figure shows means over neurons; the onset and the steady state depend on ξ, which "
        "was not judged before.",
    ),
    "E20-23": Change(
        "Fig 4b, c",
        "The p-value of the shift is below 0.05 over the neurons of each network",
        "partly",
        "More than half of the isolated neurons differentiate, which was not judged before. "
        "Neurons of one network are not independent; the shift is now tested over seeds.",
    ),
    "E24": Change(
        "Fig 4d",
        "The p-value between tasks is below 0.05 at most drives; alpha(30) is above alpha(0.5), "
        "and at most 15% of that rise comes after ξ = 10",
        "partly",
        "The paper's own tests compare the tasks at every ξ ≥ 1, and ξ = 1 with ξ = 30.",
    ),
    "E25": Change(
        "controls of Fig 4",
        "The signs of E20 to E24 are the same by two other estimators",
        "partly, partly",
        "The paper states nothing: these are our questions.",
    ),
    "E26": Change(
        "Fig 5a",
        "In addition, the size of the rank correlation is at least 0.9",
        "reproduced",
        "The steady states lie on a one-dimensional manifold that encodes the input, for which it "
        "is enough that they are monotone in it.",
    ),
    "E27": Change(
        "Fig 5b",
        "The root mean square of the distance over neurons is at most 0.01 for ξ ≥ 5, and smaller "
        "than at every ξ ≤ 1",
        "not",
        "The level set predicts the end states for moderate to high ξ with one eps chosen by hand; "
        "no precision is given, and the end states are steady means.",
    ),
    "E28": Change(
        "Proposition 1",
        "The variance is predicted within 5% at sigma ≤ 0.3 for every (n, s) and mean current; "
        "the same holds for trained (n, s)",
        "partly, partly",
        "The proposition is of first order in sigma; it names no size of sigma.",
    ),
    "E29, E30": Change(
        "Fig 5c, d",
        "In ARUN alone |λ| falls after the onset; |λ| with (n, s) held at rest is 10 times that "
        "of the adaptive network by all three definitions",
        "not, not",
        "The comparison is with “non-adaptive RNNs”, which are networks trained without "
        "adaptation, and it starts from states of the driven process.",
    ),
    "E31": Change(
        "Fig 5e",
        "The spectral radius of ARUN is at least 1.05 and that of ReLU below 1.05; RNN+gamma was "
        "not compared",
        "partly",
        "ARUN's eigenvalues lie well beyond the unit circle, in contrast to those of non-adaptive "
        "RNNs, which is a statement about a difference.",
    ),
    "E32": Change(
        "Fig S6a",
        "The norm is within 2% of sup gamma' at every (n, s); the same holds with trained W_hh",
        "partly, not",
        "The shape of the curve decides on the region; that the norm equals a supremum is ours, "
        "and the paper's networks are untrained there.",
    ),
    "E34": Change(
        "Fig S6c",
        "Spearman's correlation is above 0.5; the mean accuracy where JN ≤ 1 is above that where "
        "JN > 1",
        "reproduced",
        "Poor performance always goes with an exploding norm, never with a vanishing one.",
    ),
    "E35": Change(
        "Fig S6d",
        "At least 70% of the starts end nearer to JN = 1, and in a cell of higher accuracy",
        "not",
        "Learned curves outperform the traditional ones.",
    ),
    "E37": Change(
        "Fig S9",
        "The standard deviation over neurons is at least 0.05; the least error is 10% below that "
        "of orders 0.25 away",
        "partly",
        "No claim is stated.",
    ),
    "E39": Change(
        "Figs S13 to S16",
        "ARUN is best in half of the cells on every task; the loss of the next best, gated and "
        "shared networks included, is 10 times ARUN's",
        "partly",
        _GATES + " On sCIFAR10 the trends are similar, without significant differences.",
    ),
    "E40": Change(
        "Supplement B.1",
        "Accuracy with private (n, s) is above that with shared ones in every seed, with p > "
        "0.05, on all tasks",
        "partly",
        "Private (n, s) are slightly better than shared ones on both tasks, but not significantly.",
    ),
    "E42": Change(
        "Fig S17, C.4",
        "The loss of accuracy is within 2 and 5 pp in every seed; the controller is bit-identical",
        "partly",
        "Performance and robustness are “for all practical purposes the same”. That the controller "
        "stays the same is a check of the code.",
    ),
    "E43": Change(
        "Fig S18, C.5",
        "The rank correlation is at least 0.9 in ReLU and linear networks. The norm of ARUN falls "
        "to at most 0.9 of its greatest, and the ratio to it is at least 5; RNN+gamma was not "
        "compared",
        "partly",
        "The norm of ReLU networks, and less so that of RNN+gamma, rises with length; that of ARUN "
        "rises, then falls, and ends an order of magnitude below both.",
    ),
}
"""By the claim's name."""


def changes(verdicts: Iterable[Verdict]) -> Table:
    """Return the criteria that changed, with the verdicts before and now.

    Args:
        verdicts: what came out now.

    Returns:
        A row for each claim that changed and has a verdict now.

    Example:
        >>> from adaptrnn.paper.verdict import Claim
        >>> found = changes([Verdict(Claim("E37", "Fig S9", "", "none"), ())])
        >>> found.rows[0][0], found.rows[0][2], found.rows[0][4]
        ('E37, Fig S9', 'partly', 'no data')
    """
    now: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        now.setdefault(verdict.claim.id, []).append(verdict)
    rows = [
        (
            f"{name}, {change.place}",
            change.before,
            change.verdict,
            ". ".join(dict.fromkeys(one.claim.criterion for one in now[name])),
            ", ".join(one.outcome for one in now[name]),
            change.decides,
        )
        for name, change in CHANGES.items()
        if name in now
    ]
    header = ("claim", "criterion before", "verdict before (profile laptop)", "criterion now")
    return Table((*header, "verdict now", "what the paper says"), tuple(rows))
