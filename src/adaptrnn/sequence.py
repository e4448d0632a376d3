"""A recurrent core and a linear readout give an output at every step: y_t = W_hy h_t + b_y."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn._recurrent import bare
from adaptrnn.arun import ARUN
from adaptrnn.rnn import RNN
from adaptrnn.tasks.task import Trials, trial_loss

__all__ = ["SequenceModel"]


class SequenceModel(nn.Module):
    """A sequence model has a recurrent core and a linear readout of the rates at every step.

    It is made for tasks whose targets are classes or real values at every step. For a task with one
    answer after the last step there is `adaptrnn.Classifier`. Any core called as
    ``output, state = core(x)`` with `hidden_size`, time first, will do, such as torch.nn.GRU; to be
    driven it must also be called as ``core(x, None, drive)``, as the layers of adaptrnn are.

    Args:
        core: the recurrent core, time first.
        outputs: K, classes or real values a step.

    Raises:
        InputError: a core that is not time first or of one direction; fewer than one output.

    Example:
        >>> import torch
        >>> from adaptrnn import ARUN
        >>> model = SequenceModel(ARUN(3, 5, controller_size=4), 2)
        >>> model(torch.rand(7, 2, 3), drive=1.0).shape
        torch.Size([7, 2, 2])
    """

    def __init__(self, core: nn.Module, outputs: int) -> None:
        super().__init__()
        if not isinstance(outputs, int) or isinstance(outputs, bool) or outputs < 1:
            raise bad("outputs", outputs, "an integer >= 1")
        if (
            getattr(core, "batch_first", False)
            or getattr(core, "bidirectional", False)
            or not hasattr(core, "hidden_size")
        ):
            raise bad("core", core, "a recurrent core with hidden_size, time first, one direction")
        self.encoder = nn.Identity()
        self.core = core
        parameter = next(core.parameters())
        self.readout = nn.Linear(
            int(core.hidden_size),  # type: ignore[arg-type]
            outputs,
            device=parameter.device,
            dtype=parameter.dtype,
        )

    def forward(
        self, input: Annotated[Tensor, "T B D"], drive: Tensor | float | None = None
    ) -> Annotated[Tensor, "T B K"]:
        """Return the outputs of every step, (T, B, K).

        Args:
            input: a sequence (T, B, D).
            drive: external current of the core, a number or broadcastable to (T, B, N).
        """
        return self.scores(self.encoder(input), drive)

    def scores(
        self, x: Annotated[Tensor, "T B D"], drive: Tensor | float | None = None
    ) -> Annotated[Tensor, "T B K"]:
        """Return the same as the call, because there is no encoder."""
        return self.readout(run_core(self.core, x, drive))

    def loss(
        self,
        input: Annotated[Tensor, "T B D"],
        targets: Annotated[Tensor, "T B"] | Annotated[Tensor, "T B K"],
        weights: Annotated[Tensor, "T B"] | None = None,
        drive: Tensor | float | None = None,
    ) -> tuple[Annotated[Tensor, ""], Annotated[Tensor, "T B K"]]:
        """Return the mean loss over the steps, each counted by its weight, and the outputs.

        It is the cross entropy of classes or the squared error of real values; see
        `adaptrnn.tasks.trial_loss`. A layer of this package computes loss, outputs and the gradient
        of every step in one call of its kernel (see `RNN.loss`).

        Args:
            input: a sequence (T, B, D).
            targets: classes (T, B) int64, or real values (T, B, K).
            weights: (T, B) >= 0; None for 1 everywhere.
            drive: as in the call.

        Returns:
            The loss () and the outputs (T, B, K), without gradient.

        Example:
            >>> import torch
            >>> from adaptrnn import ARUN
            >>> model, x = SequenceModel(ARUN(3, 5, controller_size=4), 2), torch.rand(7, 2, 3)
            >>> loss, outputs = model.loss(x, torch.zeros(7, 2, 2))
            >>> torch.allclose(loss, outputs.square().mean())
            True
        """
        return self.trial_loss(Trials(input, targets, weights), drive)

    def trial_loss(
        self, trials: Trials, drive: Tensor | float | None = None
    ) -> tuple[Annotated[Tensor, ""], Annotated[Tensor, "T B K"]]:
        """Return the `loss` of trials, whose parts are not checked again."""
        batched = trials.inputs.ndim == 3
        if isinstance(self.core, RNN | ARUN) and batched and bare(self.core, self.readout):
            weight, bias = self.readout.weight, self.readout.bias
            x, y = self.encoder(trials.inputs), trials.targets
            return self.core.loss(x, weight, bias, y, trials.weights, drive=drive)
        outputs = self(trials.inputs, drive)
        return trial_loss(outputs, trials), outputs.detach()


def run_core(
    core: nn.Module, x: Annotated[Tensor, "T B D"], drive: Tensor | float | None = None
) -> Annotated[Tensor, "T B N"]:
    """Return the rates (T, B, N) of a core; it is given a drive only if there is one."""
    if drive is None:
        return core(x)[0]
    try:
        return core(x, None, drive)[0]
    except TypeError:
        if isinstance(core, nn.RNNBase):
            raise bad(
                "drive", "given", f"None for {type(core).__name__}", "Use a layer of adaptrnn."
            ) from None
        raise
