"""The adaptation controller is a small recurrent network that all neurons share, one state each."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Annotated, TypeVar

import torch
from torch import Tensor, nn

from adaptrnn._error import bad
from adaptrnn.init import henaff_, kaiming_
from adaptrnn.kernels.arun import ControllerWeights, reference

__all__ = ["AbstractController", "AdaptationController"]

Controller = TypeVar("Controller", bound="AbstractController")


class AbstractController(nn.Module, ABC):
    """An `ARUN` needs two things of a controller, `controller_size` and one time step.

    A subclass sets `controller_size` (G, the length of one neuron's state, which starts at 0)
    and defines ``forward(a, g) -> (g, n, s)``: activations a (..., N) and states g (..., N, G)
    of any leading shape in, new states and the gain n and saturation s (..., N) out. It acts on
    each neuron by itself.

    Example:
        >>> class Leaky(AbstractController):
        ...     def __init__(self, controller_size=1, device=None, dtype=None):
        ...         super().__init__()
        ...         self.controller_size = controller_size
        ...     def forward(self, a, g):
        ...         g = 0.9 * g + 0.1 * a.unsqueeze(-1)
        ...         return g, 5.0 / (1.0 + g[..., 0].abs()), torch.zeros_like(a)
        >>> from adaptrnn import ARUN
        >>> core = ARUN(1, 3, controller_size=1, controller=Leaky)
        >>> core(torch.ones(4, 2, 1))[0].shape
        torch.Size([4, 2, 3])
    """

    controller_size: int

    @abstractmethod
    def forward(
        self, a: Annotated[Tensor, "... N"], g: Annotated[Tensor, "... N G"]
    ) -> tuple[
        Annotated[Tensor, "... N G"], Annotated[Tensor, "... N"], Annotated[Tensor, "... N"]
    ]:
        """Compute one time step, ``(a, g) -> (g, n, s)``."""

    def frozen(self: Controller) -> Controller:
        """Return a copy that is not trained, to be transplanted into another network.

        Returns:
            A deep copy with ``requires_grad = False`` everywhere.

        Example:
            >>> controller = AdaptationController(4)
            >>> any(p.requires_grad for p in controller.frozen().parameters())
            False
        """
        return copy.deepcopy(self).requires_grad_(False)


class AdaptationController(AbstractController):
    """This is the paper's controller of gain and saturation (Geadah et al. 2024, Methods).

        g_t = tanh(W_ag a_t + b_ag + W_gg g_{t-1} + b_gg),    [n_t, s_t] = W_gc g_t + b_gc

    Initial values as there: W_gg Henaff rotations, W_ag Kaiming normal, the rows of W_gc Xavier
    normal with gain 0.1 (n) and 0.01 (s), the bias of n one draw 5 + 2 U(0, 1), all others 0.

    Args:
        controller_size: G, the number of units.
        device: device of the parameters.
        dtype: dtype of the parameters.

    Attributes:
        weight_ag: (G, 1).
        bias_ag: (G,).
        weight_gg: (G, G).
        bias_gg: (G,).
        weight_gc: (2, G): row 0 reads n, row 1 reads s.
        bias_gc: (2,).

    Raises:
        InputError: `controller_size` < 1.

    Example:
        >>> controller = AdaptationController(4)
        >>> g, n, s = controller(torch.zeros(2, 3), torch.zeros(2, 3, 4))
        >>> g.shape, n.shape, s.shape
        (torch.Size([2, 3, 4]), torch.Size([2, 3]), torch.Size([2, 3]))
    """

    def __init__(
        self,
        controller_size: int = 50,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if controller_size < 1:
            raise bad("controller_size", controller_size, "an integer >= 1")
        self.controller_size = controller_size

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape, device=device, dtype=dtype))

        self.weight_ag = parameter(controller_size, 1)
        self.bias_ag = parameter(controller_size)
        self.weight_gg = parameter(controller_size, controller_size)
        self.bias_gg = parameter(controller_size)
        self.weight_gc = parameter(2, controller_size)
        self.bias_gc = parameter(2)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        if self.weight_ag.is_meta:
            return
        kaiming_(self.weight_ag)
        henaff_(self.weight_gg)
        nn.init.xavier_normal_(self.weight_gc[0:1], gain=0.1)
        nn.init.xavier_normal_(self.weight_gc[1:2], gain=0.01)
        for bias in (self.bias_ag, self.bias_gg, self.bias_gc):
            bias.zero_()
        self.bias_gc[0].uniform_(5.0, 7.0)

    def weights(self) -> ControllerWeights:
        """Return the weights as the operation takes them: W_ag, W_gg, b_g, W_gc, b_gc."""
        bias_g = self.bias_ag + self.bias_gg
        return ControllerWeights(
            self.weight_ag[:, 0], self.weight_gg, bias_g, self.weight_gc, self.bias_gc
        )

    def forward(
        self, a: Annotated[Tensor, "... N"], g: Annotated[Tensor, "... N G"]
    ) -> tuple[
        Annotated[Tensor, "... N G"], Annotated[Tensor, "... N"], Annotated[Tensor, "... N"]
    ]:
        """Compute one time step: activations (..., N), states (..., N, G) -> g, n, s."""
        return reference.control(a, g, self.weights())

    def extra_repr(self) -> str:
        """Return the number of units, for printing."""
        return f"{self.controller_size}"
