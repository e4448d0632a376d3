"""Image classifiers have an encoder, a recurrent core and a linear readout at the last step.

Geadah et al. 2024, Methods, compare seven models, whose sizes are chosen for equal counts of
parameters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from adaptrnn._error import InputError, bad, choose
from adaptrnn._recurrent import bare
from adaptrnn.arun import ARUN
from adaptrnn.kernels.native import fast_bfloat16
from adaptrnn.model import MODELS
from adaptrnn.rnn import RNN

__all__ = ["Classifier", "ConvEncoder", "Sizes", "build_core", "match_parameters"]


def build_core(
    model: str,
    input_size: int,
    hidden_size: int,
    controller_size: int = 50,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **arguments: object,
) -> nn.Module:
    """Build the recurrent core of that name, initialised as the paper does.

    Args:
        model: a name in `adaptrnn.model.MODELS`.
        input_size: D.
        hidden_size: N.
        controller_size: G, of a model with a controller.
        device: device of the parameters.
        dtype: dtype of the parameters.
        **arguments: further arguments of the model's builder, of the class `RNN`, `ARUN`, `LSTM`
            or `GRU` where the model is one of adaptrnn's own.

    Returns:
        The core.

    Raises:
        InputError: an unknown name or a size that is not allowed.

    Example:
        >>> build_core("gamma", 1, 5)
        RNN(1, 5, nonlinearity='gamma')
    """
    kind = MODELS[model]
    places = {"device": device, "dtype": dtype}
    arguments |= {name: place for name, place in places.items() if place is not None}
    if "controller_size" in kind.options:
        arguments["controller_size"] = controller_size
    return kind.build(input_size=input_size, hidden_size=hidden_size, **arguments)


class ConvEncoder(nn.Module):
    """This encoder convolves an image; its last map is read as a sequence.

    There are four blocks of batch norm, ReLU, 3x3 convolution (padding 1) with 32, 64, 128 and 256
    channels, and 2x2 max-pooling after the second and the fourth (Geadah et al. 2024, Methods). The
    last map, 8x8 for a 32x32 image, is read row by row: 64 steps of 256 features.

    Args:
        channels: channels of the image.
        precision: "bf16" convolves numbers of bfloat16 on processors that multiply them faster than
            float32, which halves the time of a training step; on other processors it is as
            "float32". Parameters, their gradients and the output are float32.

    Shape:
        input (B, C, H, W), H and W multiples of 4; output (T, B, 256) with T = H W / 16.

    Raises:
        InputError: an unknown precision; in the call an image of another number of channels, or
            not divisible by 4.

    Example:
        >>> ConvEncoder(3)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([64, 2, 256])
    """

    features = 256

    def __init__(self, channels: int = 3, precision: str = "float32") -> None:
        super().__init__()
        self.channels = channels
        self.precision = choose("precision", precision, ("float32", "bf16"))
        layers: list[nn.Module] = []
        for block, width in enumerate((32, 64, 128, 256)):
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            layers += [nn.Conv2d(channels, width, 3, padding=1)]
            if block % 2:
                layers += [nn.MaxPool2d(2)]
            channels = width
        # the order of numbers in which torch's convolutions are fastest on a CPU
        encoder = nn.Sequential(*layers)
        self.layers = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Annotated[Tensor, "B C H W"]) -> Annotated[Tensor, "T B 256"]:
        """Compute the features (T, B, 256) of images (B, C, H, W)."""
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise bad("images.shape", tuple(images.shape), f"(B, {self.channels}, H, W)")
        if images.shape[2] % 4 or images.shape[3] % 4:
            raise bad("images.shape", tuple(images.shape), "of height and width divisible by 4")
        ordered = images.contiguous(memory_format=torch.channels_last)
        if images.device.type == "cpu" and self.precision == "bf16" and fast_bfloat16():
            with torch.autocast("cpu", torch.bfloat16):
                maps = self.layers(ordered).to(images.dtype)
        else:
            maps = self.layers(ordered)
        return maps.flatten(2).permute(2, 0, 1)


class Classifier(nn.Module):
    """A classifier has an encoder, a recurrent core and a linear readout y = W_hy h_T + b_y.

    The linear encoder of the paper is the core's own W_xh, so `encoder` is None for it. Any core
    called as ``output, state = core(x, None, drive)`` with `hidden_size` will do.

    Args:
        core: the recurrent core, time first.
        num_classes: K.
        encoder: what turns the input into a sequence (T, B, D); None if it is one already.

    Example:
        >>> model = Classifier(build_core("arun", 1, 5, 4), 10)
        >>> model(torch.rand(7, 2, 1), drive=1.0).shape
        torch.Size([2, 10])
    """

    def __init__(self, core: nn.Module, num_classes: int, encoder: nn.Module | None = None) -> None:
        super().__init__()
        if num_classes < 2:
            raise bad("num_classes", num_classes, "an integer >= 2")
        if getattr(core, "batch_first", False) or not hasattr(core, "hidden_size"):
            raise bad("core", core, "a recurrent core with hidden_size, time first")
        self.encoder = nn.Identity() if encoder is None else encoder
        self.core = core
        parameter = next(core.parameters())
        self.readout = nn.Linear(
            int(core.hidden_size),  # type: ignore[arg-type]
            num_classes,
            device=parameter.device,
            dtype=parameter.dtype,
        )

    def forward(
        self,
        input: Tensor,
        drive: Tensor | float | None = None,
        target: Annotated[Tensor, "B"] | None = None,
    ) -> Annotated[Tensor, "B K"] | tuple[Annotated[Tensor, ""], Annotated[Tensor, "B K"]]:
        """Return the scores of the classes; with targets, the loss and the scores.

        A layer of this package computes loss, scores and gradient in one call of its kernel (see
        `RNN.loss`). A network that is wrapped in DistributedDataParallel is trained by
        ``loss, scores = ddp(x, target=y)``: only a call of the wrapper averages gradients.

        Args:
            input: a sequence (T, B, D), or what the encoder takes.
            drive: external current of the core, a number or broadcastable to (T, B, N).
            target: classes (B,), integers from 0 to K - 1, or None for the scores alone.

        Returns:
            The scores (B, K); with `target` the mean cross entropy at the last step () and the
            scores (B, K), the scores without gradient.
        """
        x = self.encoder(input)
        if target is None:
            return self.scores(x, drive)
        if isinstance(self.core, RNN | ARUN) and bare(self.core, self.readout):
            weight, bias = self.readout.weight, self.readout.bias
            return self.core.loss(x, weight, bias, target, drive=drive)
        scores = self.scores(x, drive)
        return nn.functional.cross_entropy(scores, target), scores.detach()

    def scores(
        self, x: Annotated[Tensor, "T B D"], drive: Tensor | float | None = None
    ) -> Annotated[Tensor, "B K"]:
        """Return the class scores (B, K) of features, so that several drives share an encoding.

        Args:
            x: a sequence of features (T, B, D).
            drive: as in the call.
        """
        if isinstance(self.core, RNN | ARUN) and bare(self.core):
            return self.readout(self.core.last(x, None, drive))
        output, _ = self.core(x, None, drive)
        return self.readout(output[-1])

    def loss(
        self,
        input: Tensor,
        targets: Annotated[Tensor, "B"],
        drive: Tensor | float | None = None,
    ) -> tuple[Annotated[Tensor, ""], Annotated[Tensor, "B K"]]:
        """Return the mean cross entropy at the last step, and the scores.

        Args:
            input: as in the call.
            targets: classes (B,), integers from 0 to K - 1.
            drive: as in the call.

        Returns:
            The loss () and the scores (B, K), without gradient.

        Raises:
            InputError: several processes train together. A method of the wrapped module goes
                around the wrapper, and each process would keep its own gradients.

        Example:
            >>> model, x = Classifier(build_core("arun", 1, 5, 4), 10), torch.rand(7, 2, 1)
            >>> loss, scores = model.loss(x, torch.tensor([3, 8]))
            >>> loss.shape, scores.shape
            (torch.Size([]), torch.Size([2, 10]))
        """
        group = torch.distributed
        if torch.is_grad_enabled() and group.is_available() and group.is_initialized():
            count = group.get_world_size()
            if count > 1:
                raise InputError(
                    f"loss: called in one of {count} processes that train together: a method of "
                    "the wrapped module does not average gradients. Call the wrapper, "
                    "loss, scores = ddp(x, target=y)."
                )
        return self(input, drive, targets)


@dataclass(frozen=True)
class Sizes:
    """These sizes give models nearly equal counts of parameters, and print as a table.

    Attributes:
        rows: for each model its hidden size, its parameters (core and readout) and their
            difference from the reference's, as a fraction.
        reference: name of the model that the others are matched to.
    """

    rows: dict[str, tuple[int, int, float]]
    reference: str

    def __getitem__(self, model: str) -> int:
        """Return the hidden size of a model."""
        return self.rows[choose("model", model, self.rows)][0]

    def __str__(self) -> str:
        """Return the table."""
        lines = [f"{'model':<14}{'hidden size':>12}{'parameters':>12}{'difference':>12}"]
        for model, (size, count, difference) in self.rows.items():
            lines.append(f"{model:<14}{size:>12}{count:>12,}{difference:>+12.2%}")
        return "\n".join(lines)


def match_parameters(
    models: Iterable[str] | None = None,
    input_size: int = 1,
    num_classes: int = 10,
    hidden_size: int = 400,
    controller_size: int = 50,
    reference: str = "arun",
    tolerance: float = 0.02,
) -> Sizes:
    """Find hidden sizes that give every model nearly the count of parameters of the reference.

    A model keeps the reference's hidden size where its count (core and readout) is within the
    tolerance already, and gets the size with the nearest count otherwise.

    Args:
        models: names in `adaptrnn.model.MODELS`; None for all.
        input_size: D.
        num_classes: K.
        hidden_size: N of the reference.
        controller_size: G.
        reference: name of the model to match.
        tolerance: largest relative difference allowed.

    Returns:
        The sizes; ``sizes["lstm"]`` is a hidden size, ``print(sizes)`` the table.

    Raises:
        InputError: an unknown name, or no size within the tolerance.

    Example:
        The table of the paper's set-up (there: LSTM 202, GRU 233):

        >>> print(match_parameters(["relu", "gamma-shared", "gamma", "arun", "lstm", "gru"]))
        model          hidden size  parameters  difference
        relu                   400     165,210      -1.64%
        gamma-shared           400     165,212      -1.64%
        gamma                  400     166,010      -1.16%
        arun                   400     167,962      +0.00%
        lstm                   202     167,670      -0.17%
        gru                    233     167,304      -0.39%
    """

    def count(model: str, size: int) -> int:
        with torch.device("meta"):  # shapes without memory
            core = build_core(model, input_size, size, controller_size)
        return sum(p.numel() for p in core.parameters()) + (size + 1) * num_classes

    target, rows = count(reference, hidden_size), {}
    for model in MODELS if models is None else models:
        size = hidden_size
        if abs(count(model, size) / target - 1) > tolerance:
            low, high = 0, 1  # count(low) < target <= count(high)
            while count(model, high) < target:
                low, high = high, 2 * high
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if count(model, middle) < target else (low, middle)
            size = min((s for s in (low, high) if s), key=lambda s: abs(count(model, s) - target))
        found = count(model, size)
        if abs(found / target - 1) > tolerance:
            advice = f"The nearest is {model} with {size} units, {found:,} parameters."
            raise bad("tolerance", tolerance, f">= {abs(found / target - 1):.4f} here", advice)
        rows[model] = (size, found, found / target - 1)
    return Sizes(rows, reference)
