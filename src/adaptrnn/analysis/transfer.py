"""What does one gain by changing only the f-I curves, or by keeping the controller?

Two experiments of Geadah et al. 2024 are made here.

Rotated digits (Fig 3a, text B.3; E15): a trained static network meets digits turned by 45 degrees
and only (n_i, s_i) of its neurons are trained again. The recovered fraction is

    (accuracy retrained - accuracy rotated) / (accuracy before, upright - accuracy rotated),

all on the test set; the paper reports 94 -> 42 -> 56%, so 0.27.

Transplanted controller (Fig S17, text C.4; E42): the controller of one trained ARUN, frozen, is put
into a new network, whose other weights are then trained; it should do as well as a network that
trains its own.

The training loop here changes gains and saturations and nothing else: it is the probe itself.
Training a network belongs to `adaptrnn.training`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.analysis._finite import finite
from adaptrnn.analysis.curve_parameter import activation_parameters, heterogeneity
from adaptrnn.analysis.statistic import paired_test

__all__ = [
    "accuracy",
    "balanced_split",
    "compare_transplant",
    "retrain_activation",
    "rotate",
    "rotated_digits",
    "transplant",
]

_ACTIVATION = re.compile(r"(^|\.)[ns](_l\d+(_reverse)?)?$")


def rotate(
    images: Annotated[Tensor, "... H W"], degrees: float = 45.0
) -> Annotated[Tensor, "... H W"]:
    """Turn images counter-clockwise about their centre, bilinear, same size, 0 outside.

    Args:
        images: (M, H, W) or (M, C, H, W), of any real dtype; integers are rounded.
        degrees: angle.

    Returns:
        The turned images, of the same shape and dtype.

    Raises:
        InputError: another shape.

    Example:
        >>> corner = torch.zeros(1, 3, 3)
        >>> corner[0, 0, 1] = 1.0  # middle of the top row
        >>> rotate(corner, 90.0)[0, 1].tolist()  # now at the left
        [1.0, 0.0, 0.0]
    """
    if images.ndim not in (3, 4):
        raise bad("images.shape", tuple(images.shape), "(M, H, W) or (M, C, H, W)")
    finite("images", images)
    turned = ndimage.rotate(
        images.cpu().double().numpy(), degrees, axes=(-1, -2), reshape=False, order=1
    )
    # ndimage turns from the first axis to the second; with (x, y) that is clockwise on screen
    result = torch.from_numpy(turned)
    return (result if images.is_floating_point() else result.round()).to(images)


def balanced_split(
    labels: Annotated[Tensor, "M"], train: int = 5000, test: int = 5000, *, seed: int = 0
) -> tuple[Annotated[Tensor, "A"], Annotated[Tensor, "C"]]:
    """Return indices of two disjoint sets with equally many samples of every class.

    Args:
        labels: classes (M,), integers.
        train: size of the first set, a multiple of the number of classes.
        test: size of the second, also such a multiple.
        seed: of the draw.

    Returns:
        Indices (train,) and (test,), shuffled.

    Raises:
        InputError: sizes that do not divide, or a class with too few samples. The 10,000 test
            digits of MNIST hold between 892 and 1,135 of a class: 5,000 and 5,000 balanced ones
            are 500 and 500 of a class, of which class 5 has 892 only; take 4,460 and 4,460, or
            the digits of the training set.

    Example:
        >>> first, second = balanced_split(torch.tensor([0, 1] * 10), 4, 6)
        >>> len(first), len(second), len(set(first.tolist()) & set(second.tolist()))
        (4, 6, 0)
    """
    classes, counts = torch.unique(labels, return_counts=True)
    for name, size in (("train", train), ("test", test)):
        if size < 1 or size % len(classes):
            raise bad(name, size, f"a positive multiple of the {len(classes)} classes")
    each, other = train // len(classes), test // len(classes)
    least = int(counts.min())
    if each + other > least:
        raise bad(
            "train + test",
            train + test,
            f"at most {least * len(classes)}, the smallest class having {least} samples",
        )
    generator = torch.Generator().manual_seed(seed)
    first, second = [], []
    for label in classes:
        index = torch.nonzero(labels == label).flatten()
        index = index[torch.randperm(len(index), generator=generator)]
        first.append(index[:each])
        second.append(index[each : each + other])
    parts = [torch.cat(part) for part in (first, second)]
    shuffled = [part[torch.randperm(len(part), generator=generator)] for part in parts]
    return shuffled[0], shuffled[1]


@torch.no_grad()
def accuracy(
    model: nn.Module,
    inputs: Tensor,
    targets: Annotated[Tensor, "M"],
    *,
    batch_size: int = 500,
    batch_dim: int = 1,
) -> tuple[float, float]:
    """Compute accuracy and mean cross entropy of a classifier over a set, in evaluation mode.

    Args:
        model: inputs -> scores (B, K).
        inputs: with samples along `batch_dim`, e.g. (T, M, D).
        targets: classes (M,).
        batch_size: samples at a time.
        batch_dim: axis of the samples.

    Returns:
        Accuracy from 0 to 1 and loss.

    Example:
        >>> scores = torch.tensor([[9.0, 0.0], [9.0, 0.0]])
        >>> right, loss = accuracy(nn.Identity(), scores, torch.tensor([0, 1]), batch_dim=0)
        >>> right, round(loss, 1)
        (0.5, 4.5)
    """
    _check_data(inputs, targets, batch_dim)
    training = model.training
    model.eval()
    right, loss = 0, 0.0
    pairs = zip(inputs.split(batch_size, batch_dim), targets.split(batch_size), strict=True)
    for x, y in pairs:
        scores = model(x)
        finite("model: scores", scores)
        right += int((scores.argmax(1) == y).sum())
        loss += float(nn.functional.cross_entropy(scores, y, reduction="sum"))
    model.train(training)
    return right / len(targets), loss / len(targets)


def retrain_activation(
    model: nn.Module,
    inputs: Tensor,
    targets: Annotated[Tensor, "M"],
    *,
    epochs: int = 10,
    learning_rate: float = 3e-3,
    batch_size: int = 100,
    batch_dim: int = 1,
    seed: int = 0,
) -> tuple[nn.Module, xr.Dataset]:
    """Train only the gains and saturations of a classifier, by Adam and cross entropy.

    Args:
        model: inputs -> scores (B, K), with parameters named n, s or n_l0, s_l0, ... somewhere.
        inputs: with samples along `batch_dim`, e.g. (T, M, D).
        targets: classes (M,).
        epochs: passes over the data.
        learning_rate: of Adam; at 1e-2 networks of 100 neurons diverge over 196 steps.
        batch_size: samples a step.
        batch_dim: axis of the samples.
        seed: of the order of the samples.

    Returns:
        A copy of the model, in which no other number has changed, and its loss along "epoch".

    Raises:
        InputError: the model has no such parameters (an ARUN has a controller in their place).

    Example:
        >>> from adaptrnn import Classifier, RNN
        >>> model = Classifier(RNN(1, 4, nonlinearity="gamma"), 2)
        >>> x, y = torch.rand(5, 8, 1), torch.tensor([0, 1] * 4)
        >>> again, history = retrain_activation(model, x, y, epochs=2)
        >>> torch.equal(again.core.weight_hh_l0, model.core.weight_hh_l0), history.loss.sizes
        (True, Frozen({'epoch': 2}))
    """
    _check_data(inputs, targets, batch_dim)
    if epochs < 1:
        raise bad("epochs", epochs, "an integer >= 1")
    again = copy.deepcopy(model)
    asked = {name: parameter.requires_grad for name, parameter in again.named_parameters()}
    trained = []
    for name, parameter in again.named_parameters():
        parameter.requires_grad_(bool(_ACTIVATION.search(name)))
        if parameter.requires_grad:
            trained.append(parameter)
    if not trained:
        names = [name for name, _ in again.named_parameters()]
        advice = "Only static networks with nonlinearity 'gamma' or 'gamma-shared' have them."
        raise bad("model", names, "a model with parameters n and s", advice)
    optimizer = torch.optim.Adam(trained, learning_rate)
    generator = torch.Generator().manual_seed(seed)
    again.eval()  # no dropout, and running statistics are not to move
    losses = []
    for _ in range(epochs):
        total = 0.0
        for index in torch.randperm(len(targets), generator=generator).split(batch_size):
            scores = again(inputs.index_select(batch_dim, index.to(inputs.device)))
            loss = nn.functional.cross_entropy(scores, targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(finite("model: loss", loss.detach())) * len(index)
        losses.append(total / len(targets))
    for name, parameter in again.named_parameters():
        parameter.requires_grad_(asked[name])
    again.train(model.training)
    history = xr.Dataset(
        {"loss": ("epoch", losses)},
        coords={"epoch": np.arange(epochs)},
        attrs={"definition": "mean cross entropy over the epoch, before each step", "seed": seed},
    )
    return again, history


def rotated_digits(
    model: nn.Module,
    upright: tuple[Tensor, Tensor],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    core: nn.Module | None = None,
    batch_dim: int = 1,
    **options: Any,
) -> tuple[nn.Module, xr.Dataset]:
    """Retrain only (n_i, s_i) on turned digits, and measure the recovered accuracy (E15).

    Args:
        model: trained classifier, inputs -> scores (B, K), whose recurrent core is its attribute
            `core`, or is itself the core.
        upright: inputs (T, M, D) and classes (M,) as in training, not seen in training.
        train: turned ones to retrain on (see `rotate`, `balanced_split`).
        test: turned ones to test on, disjoint from `train`.
        core: the part of the model that holds n and s, where it is not found.
        batch_dim: axis of the samples.
        **options: of `retrain_activation`.

    Returns:
        The retrained model, and accuracy and loss along "stage" (upright, rotated, retrained),
        recovered (fraction, see top), others_identical (whether every other number of the model is
        bit-identical), and n, s, n_sd, s_sd, det_covariance along "training" (before, after);
        history (epoch).

    Raises:
        InputError: no n, s; data that do not fit.
    """
    again, history = retrain_activation(model, *train, batch_dim=batch_dim, **options)
    stages = [(model, upright), (model, test), (again, test)]
    scores = [accuracy(one, *data, batch_dim=batch_dim) for one, data in stages]
    clean, turned, after = (score[0] for score in scores)
    if core is None:
        core = getattr(model, "core", model)
    path = next(name for name, module in model.named_modules() if module is core)
    cores = [core, again.get_submodule(path)]
    spread = xr.concat(
        [heterogeneity(activation_parameters(one)) for one in cores], "training"
    ).assign_coords(training=["before", "after"])
    kept = ["n", "s", "n_sd", "s_sd", "det_covariance"]
    found = spread[kept].assign(
        accuracy=("stage", [score[0] for score in scores]),
        loss=("stage", [score[1] for score in scores]),
        recovered=(after - turned) / (clean - turned) if clean != turned else np.nan,
        others_identical=unchanged(model, again),
        history=history.loss,
    )
    return again, found.assign_coords(stage=["upright", "rotated", "retrained"]).assign_attrs(
        definition="recovered: (retrained - rotated) / (upright - rotated) accuracy on test sets; "
        "only n and s are trained again",
        samples=[len(data[1]) for data in (upright, train, test)],
    )


def unchanged(before: nn.Module, after: nn.Module) -> bool:
    """Return whether two models agree bit for bit in everything but gains and saturations."""
    first, second = before.state_dict(), after.state_dict()
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name])
        for name, value in first.items()
        if not _ACTIVATION.search(name)
    )


def transplant(donor: nn.Module, recipient: nn.Module) -> nn.Module:
    """Copy a network and give it the frozen controller of another, to be trained (E42).

    Args:
        donor: a trained `ARUN`.
        recipient: an untrained `ARUN` with a controller of the same size.

    Returns:
        A copy of `recipient`; its controller is the donor's, with ``requires_grad = False``.

    Raises:
        InputError: a network without controller, or controllers of different sizes.

    Example:
        >>> from adaptrnn import ARUN
        >>> first, second = ARUN(1, 3, controller_size=4), ARUN(1, 5, controller_size=4)
        >>> new = transplant(first, second)
        >>> torch.equal(new.controller.weight_gg, first.controller.weight_gg), new.hidden_size
        (True, 5)
    """
    sizes = [
        int(_controller(network, name).controller_size)
        for name, network in (("donor", donor), ("recipient", recipient))
    ]
    if sizes[0] != sizes[1]:
        raise bad("recipient", f"{sizes[1]} controller units", f"with {sizes[0]}, as the donor")
    new = copy.deepcopy(recipient)
    controller = copy.deepcopy(_controller(donor, "donor")).requires_grad_(False)
    new.controller = controller.to(next(recipient.parameters()))
    return new


def compare_transplant(
    donor: nn.Module,
    trained: nn.Module,
    own: Mapping[str, ArrayLike] | xr.DataArray,
    transplanted: Mapping[str, ArrayLike] | xr.DataArray,
    *,
    tolerance: Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Compare networks with a transplanted controller with others of their own (E42).

    Args:
        donor: the `ARUN` the controller comes from.
        trained: the recipient after its training.
        own: accuracies (0 to 1) of networks with their own controller: condition -> (seed,), or a
            DataArray (condition, seed).
        transplanted: as `own`, of networks with the transplanted one, same conditions and seeds.
        tolerance: largest loss allowed by condition; 0.02 for "clean" and 0.05 for others if None.

    Returns:
        What `adaptrnn.analysis.paired_test` gives of transplanted - own along "condition", if
        there are two seeds or more, else difference alone; as_good (condition): whether the loss of
        accuracy is within the tolerance; controller_identical: bit for bit.

    Raises:
        InputError: conditions that do not match.

    Example:
        >>> from adaptrnn import ARUN
        >>> donor = ARUN(1, 3, controller_size=4)
        >>> new = transplant(donor, ARUN(1, 3, controller_size=4))
        >>> found = compare_transplant(donor, new, {"clean": [0.9, 0.92]}, {"clean": [0.89, 0.92]})
        >>> bool(found.controller_identical), found.as_good.values.tolist()
        (True, [True])
    """
    ours, theirs = _conditions(own, "own"), _conditions(transplanted, "transplanted")
    if ours.condition.values.tolist() != theirs.condition.values.tolist():
        raise bad("transplanted", theirs.condition.values.tolist(), "the conditions of own")
    finite("own", ours), finite("transplanted", theirs)
    if ours.sizes["seed"] > 1:
        found = paired_test(theirs, ours)
    else:
        found = xr.Dataset({"difference": (theirs - ours).mean("seed")})
    limits = dict(tolerance or {})
    allowed = [
        limits.get(str(name), 0.02 if str(name) == "clean" else 0.05)
        for name in ours.condition.values
    ]
    first = _controller(donor, "donor").state_dict()
    second = _controller(trained, "trained").state_dict()
    same = first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )
    found["as_good"] = "condition", (found.difference.values >= -np.asarray(allowed))
    found["controller_identical"] = same
    found.attrs["definition"] = "accuracy with transplanted minus with own controller, over seeds"
    return found


def _controller(network: nn.Module, argument: str) -> Any:
    if not hasattr(network, "controller"):
        advice = "Give the core, not the classifier."
        raise bad(argument, type(network).__name__, "an ARUN", advice)
    return network.controller


def _conditions(values: Mapping[str, ArrayLike] | xr.DataArray, argument: str) -> xr.DataArray:
    if isinstance(values, xr.DataArray):
        if set(values.dims) != {"condition", "seed"}:
            raise bad(f"{argument}.dims", values.dims, "('condition', 'seed')")
        return values.transpose("condition", "seed")
    rows: list[NDArray[np.float64]] = [
        np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in values.values()
    ]
    if not rows or len({row.shape for row in rows}) > 1:
        raise bad(argument, values, "a mapping of conditions to accuracies of the same seeds")
    return xr.DataArray(
        np.stack(rows), dims=("condition", "seed"), coords={"condition": list(values)}
    )


def _check_data(inputs: Tensor, targets: Tensor, batch_dim: int) -> None:
    if targets.ndim != 1 or not 0 <= batch_dim < inputs.ndim:
        raise bad("targets.shape", tuple(targets.shape), "(M,), and batch_dim an axis of inputs")
    if inputs.shape[batch_dim] != len(targets) or not len(targets):
        found = f"inputs {tuple(inputs.shape)}, targets {tuple(targets.shape)}"
        raise bad("inputs, targets", found, f"of as many samples along axis {batch_dim}")
