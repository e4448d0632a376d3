"""These functions and a module compute the f-I curve gamma(x; n, s), its derivatives and limits.

The curve is that of Geadah et al. 2024, Methods, "Activation function":

    gamma(x; n, s) = (1 - s) g1 + s g2,    g1 = ln(1 + exp(n x)) / n,    g2 = 1 / (1 + exp(-n x))

with gain n and saturation s. With u = n x, e = exp(-|u|) and q = 1 / (1 + e), every quantity here
is written so that nothing cancels and nothing overflows, for either sign of n:

    g1     = relu(u) / n + log1p(e) / n
    dg1/dn = -(|u| e q + log1p(e)) / n^2
    g2          = q for u > 0, e q for u <= 0
    g2 (1 - g2) = e q^2
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

import torch
from torch import Tensor, nn

from adaptrnn._error import bad

__all__ = ["Gamma", "gamma", "gamma_dn", "gamma_ds", "gamma_dx", "gamma_sup_slope", "leaky"]

Broadcasting: TypeAlias = Annotated[Tensor, "*#S"]
"""Tensors whose shapes broadcast to one, S."""


def gamma(
    x: Broadcasting, n: Broadcasting | float, s: Broadcasting | float
) -> Annotated[Tensor, "*S"]:
    """Compute the f-I curve with gain n and saturation s.

        gamma(x; n, s) = (1-s) ln(1+exp(n x))/n + s/(1+exp(-n x))

    Interpolates known activations (Geadah et al. 2024, Fig 1a): s=0, n=1 softplus; s=0, n->inf
    ReLU; s=1, n=1 sigmoid; s=1, n->inf Heaviside. Value and partial derivatives are accurate to
    1e-6 (float32) and 1e-12 (float64), relative to the largest term of their sum, for n of either
    sign with 1e-6 <= |n| <= 1e3 and |x| <= 1e4: narrow types are computed one width up.
    Differentiable twice, works under torch.func (vmap, jvp, jacrev) and torch.compile.

    Args:
        x: currents, any shape (..., N), a floating dtype.
        n: gain, not 0; a number or a tensor that broadcasts with `x`, e.g. (N,) one per neuron.
        s: saturation, any real number; as `n`. Biological range 0 to 1.

    Returns:
        Rates, of the shape to which `x`, `n`, `s` broadcast and of the dtype of `x`. A NaN in any
        argument gives NaN; n = 0 gives inf or NaN.

    Raises:
        InputError: `x` is not of a floating dtype, or shapes do not broadcast.

    Example:
        >>> x = torch.tensor([-1.0, 0.0, 1.0])
        >>> torch.allclose(gamma(x, 1.0, 0.0), torch.nn.functional.softplus(x))
        True
        >>> torch.allclose(gamma(x, 1.0, 1.0), torch.sigmoid(x))
        True
    """
    return _narrow(_value, x, n, s)


def gamma_dx(
    x: Broadcasting, n: Broadcasting | float, s: Broadcasting | float
) -> Annotated[Tensor, "*S"]:
    """Compute the slope of the f-I curve, d gamma/dx = (1-s) g2 + s n g2 (1-g2).

    Args:
        x: currents, (..., N).
        n: gain, not 0; broadcasts with `x`.
        s: saturation; broadcasts with `x`.

    Returns:
        The slope, of the broadcast shape. As n -> 0 it tends to (1-s)/2.

    Example:
        >>> float(gamma_dx(torch.zeros(1), 4.0, 0.5))  # (1-s)/2 + s n/4
        0.75
    """
    return _narrow(_slope_x, x, n, s)


def gamma_dn(
    x: Broadcasting, n: Broadcasting | float, s: Broadcasting | float
) -> Annotated[Tensor, "*S"]:
    """Compute the derivative by the gain, d gamma/dn = ((1-s)/n)(x g2 - g1) + s x g2 (1-g2).

    Args:
        x: currents, (..., N).
        n: gain, not 0; broadcasts with `x`.
        s: saturation; broadcasts with `x`.

    Returns:
        The derivative, of the broadcast shape.

    Example:
        >>> float(gamma_dn(torch.zeros(1, dtype=torch.float64), 1.0, 0.0))  # -ln 2
        -0.69314...
    """
    return _narrow(_slope_n, x, n, s)


def gamma_ds(
    x: Broadcasting, n: Broadcasting | float, s: Broadcasting | float
) -> Annotated[Tensor, "*S"]:
    """Compute the derivative by the saturation, d gamma/ds = g2 - g1.

    Args:
        x: currents, (..., N).
        n: gain, not 0; broadcasts with `x`.
        s: saturation; broadcasts with `x` (the derivative does not depend on it).

    Returns:
        The derivative, of the broadcast shape.

    Example:
        >>> float(gamma_ds(torch.zeros(1, dtype=torch.float64), 1.0, 0.0))  # 1/2 - ln 2
        -0.19314...
    """
    return _narrow(_slope_s, x, n, s)


def gamma_sup_slope(n: Broadcasting | float, s: Broadcasting | float) -> Annotated[Tensor, "*S"]:
    """Compute the largest slope of the f-I curve for n > 0: sup over x of d gamma/dx.

    It is 1-s if s <= 1/(n+1), else (1 + s(n-1))^2 / (4 n s): the slope is the parabola
    (1-s) p + s n p (1-p) in p = g2, whose top is inside (0, 1) only in the second case. For s < 0
    it is 1-s > 1.

    Args:
        n: gain, > 0.
        s: saturation; broadcasts with `n`.

    Returns:
        The supremum, of the broadcast shape.

    Example:
        >>> float(gamma_sup_slope(1.0, 1.0)), float(gamma_sup_slope(5.0, 0.0))
        (0.25, 1.0)
    """
    n = torch.as_tensor(n, dtype=None if isinstance(n, Tensor) else torch.float64)
    s = torch.as_tensor(s, dtype=None if isinstance(s, Tensor) else n.dtype)
    if not bool((n > 0).all()):
        raise bad("n", n.min().item(), "> 0", "The closed form of the largest slope needs it.")
    inside = s > 1 / (n + 1)
    safe = torch.where(inside, s, torch.ones_like(s))
    return torch.where(inside, (1 + safe * (n - 1)) ** 2 / (4 * n * safe), 1 - s)


class Gamma(nn.Module):
    """This layer applies the f-I curve, with one gain and saturation per neuron, or one for all.

    Args:
        num_neurons: N for one (n, s) per neuron, None for one pair shared by all.
        n: initial gain, not 0.
        s: initial saturation.
        learn_n: whether the gain is trained.
        learn_s: whether the saturation is trained.
        device: device of the parameters.
        dtype: dtype of the parameters.

    Shape:
        input (..., N), output (..., N); (...,) if shared.

    Attributes:
        n: parameter, (N,) or ().
        s: parameter, (N,) or ().

    Raises:
        InputError: `num_neurons` < 1 or n = 0.

    Example:
        >>> layer = Gamma(3, n=5.0, s=0.1)
        >>> layer(torch.zeros(2, 3)).shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        num_neurons: int | None = None,
        n: float = 5.0,
        s: float = 0.0,
        learn_n: bool = True,
        learn_s: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if num_neurons is not None and num_neurons < 1:
            raise bad("num_neurons", num_neurons, "an integer >= 1, or None for one shared pair")
        if n == 0:
            raise bad("n", n, "a number other than 0")
        shape = () if num_neurons is None else (num_neurons,)
        self.n = nn.Parameter(torch.full(shape, float(n), device=device, dtype=dtype), learn_n)
        self.s = nn.Parameter(torch.full(shape, float(s), device=device, dtype=dtype), learn_s)

    def forward(self, x: Annotated[Tensor, "*S"]) -> Annotated[Tensor, "*S"]:
        """Compute the rates gamma(x; n, s) of currents `x` (..., N)."""
        if self.n.ndim == 1 and (x.ndim == 0 or x.shape[-1] != self.n.shape[0]):
            raise bad("x.shape", tuple(x.shape), f"(..., {self.n.shape[0]}), one current a neuron")
        return gamma(x, self.n, self.s)

    def extra_repr(self) -> str:
        """Return the number of neurons, for printing."""
        return "shared" if self.n.ndim == 0 else f"{self.n.shape[0]}"


def _together(x: Tensor, n: Tensor | float, s: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise bad("x", getattr(x, "dtype", type(x).__name__), "a tensor of a floating dtype")
    gain = torch.as_tensor(n, dtype=x.dtype, device=x.device)
    saturation = torch.as_tensor(s, dtype=x.dtype, device=x.device)
    try:
        x, gain, saturation = torch.broadcast_tensors(x, gain, saturation)
    except RuntimeError:
        shapes = f"x {tuple(x.shape)}, n {tuple(gain.shape)}, s {tuple(saturation.shape)}"
        raise bad("n, s", shapes, "of shapes that broadcast with x, such as () or (N,)") from None
    return x, gain, saturation


def _wide(x: Tensor) -> torch.dtype:
    """Dtype to compute in: the rounding of u = n x alone costs |u| units in the last place."""
    if x.dtype == torch.float32:
        return torch.float32 if x.device.type == "mps" else torch.float64
    return torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype


def _narrow(
    function: Callable[..., Tensor], x: Tensor, n: Tensor | float, s: Tensor | float
) -> Tensor:
    x, n, s = _together(x, n, s)
    wide = _wide(x)
    return function(x.to(wide), n.to(wide), s.to(wide)).to(x.dtype)


def _log1p_exp(u: Tensor) -> Tensor:
    """log1p(exp(-|u|)) = ln(1 + e^u) - relu(u); smooth even where |u| is not."""
    return torch.log1p(torch.exp(-u.abs()))


def _value(x: Tensor, n: Tensor, s: Tensor) -> Tensor:
    """Written so that automatic differentiation, to any order, meets no cancellation either.

    Both branches of each `where` continue the same smooth function, so the derivatives are right
    also at u = 0, where those of relu and abs would not be.
    """
    u = n * x
    positive = u > 0
    e = torch.exp(torch.where(positive, -u, u))
    q = 1 / (1 + e)
    g1 = torch.where(positive, x, torch.zeros_like(x)) + torch.log1p(e) / n
    g2 = torch.where(positive, q, e * q)
    return (1 - s) * g1 + s * g2


def _slope_x(x: Tensor, n: Tensor, s: Tensor) -> Tensor:
    u = n * x
    g2 = torch.sigmoid(u)
    return g2 * ((1 - s) + s * n * torch.sigmoid(-u))


def _slope_n(x: Tensor, n: Tensor, s: Tensor) -> Tensor:
    u = n * x
    e = torch.exp(-u.abs())
    entropy = u.abs() * e / (1 + e) + torch.log1p(e)
    return (s - 1) * entropy / n**2 + s * x * torch.sigmoid(u) * torch.sigmoid(-u)


def _slope_s(x: Tensor, n: Tensor, s: Tensor) -> Tensor:
    u = n * x
    return torch.sigmoid(u) - torch.where(u > 0, x, torch.zeros_like(x)) - _log1p_exp(u) / n


def leaky(
    before: Annotated[Tensor, "*S N"],
    rate: Annotated[Tensor, "*S N"],
    alpha: Annotated[Tensor, "N"] | None,
) -> Annotated[Tensor, "*S N"]:
    """Compute a leaky neuron's rate, h_t = (1 - alpha) h_{t-1} + alpha f(a_t), alpha = dt / tau.

    Args:
        before: h_{t-1}, (..., N).
        rate: f(a_t), (..., N).
        alpha: (N,), 0 < alpha <= 1, or None for no leak, alpha = 1.

    Example:
        >>> leaky(torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([0.1]))
        tensor([0.9000])
    """
    return rate if alpha is None else (1 - alpha) * before + alpha * rate
