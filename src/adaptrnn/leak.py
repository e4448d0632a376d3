"""In continuous time a neuron's rate takes up a share of a step, and noise enters its current."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from adaptrnn._error import bad

__all__ = ["Noise", "check_times", "raw_tau", "share", "tau_of"]


def check_times(dt: float, tau: float | Tensor | None, learn_tau: bool, size: int) -> None:
    """Raise an InputError unless 0 < dt <= tau, and dt < tau where tau is learned."""
    if not 0 < dt < math.inf:
        raise bad("dt", dt, "a time step in ms, > 0")
    if tau is None:
        if learn_tau:
            raise bad("tau", None, "a time constant in ms where it is learned, > dt")
        return
    given = torch.as_tensor(tau, dtype=torch.float64, device="cpu")
    if given.ndim and tuple(given.shape) != (size,):
        raise bad("tau.shape", tuple(given.shape), f"() or (N,) = ({size},)")
    if not bool(given.isfinite().all()) or bool((given < dt).any()):
        raise bad("tau", tau, f"time constants in ms, >= dt = {dt}")
    if learn_tau and bool((given <= dt).any()):
        raise bad("tau", tau, f"> dt = {dt} where it is learned")


def raw_tau(tau: Annotated[Tensor, "*N"], dt: float) -> Annotated[Tensor, "*N"]:
    """Return the free parameter of a learned time constant, ln(tau - dt)."""
    return torch.log(tau - dt)


def tau_of(raw: Annotated[Tensor, "*N"], dt: float) -> Annotated[Tensor, "*N"]:
    """Return a learned time constant, tau = dt + exp(raw), which is always longer than dt.

    Example:
        >>> tau_of(raw_tau(torch.tensor(100.0), 20.0), 20.0).round()
        tensor(100.)
    """
    return dt + torch.exp(raw)


def share(dt: float, tau: Annotated[Tensor, "*N"]) -> Annotated[Tensor, "*N"]:
    """Return the share alpha = dt / tau of the rate that is new in a step, 0 < alpha <= 1.

    Example:
        >>> share(20.0, torch.tensor([20.0, 100.0]))
        tensor([1.0000, 0.2000])
    """
    return dt / tau


class Noise:
    """This is Gaussian white noise in the current, scaled as is usual for networks in neuroscience.

        xi_t = sigma sqrt(2 / alpha) eta_t,  eta_t ~ N(0, 1),  alpha = dt / tau

    (Song, Yang and Wang 2016, PLOS Comput Biol 12:e1004792; Yang et al. 2019, Nat Neurosci 22:297).
    The rate of a linear neuron without input then varies by sigma^2 / (1 - alpha / 2), nearly
    sigma^2 whatever the time step is.

    Args:
        sigma: standard deviation, >= 0, in units of the current.

    Attributes:
        always: whether there is noise in evaluation too.

    Raises:
        InputError: a negative sigma.
    """

    def __init__(self, sigma: float) -> None:
        if not 0 <= sigma < math.inf:
            raise bad("noise", sigma, "a standard deviation, >= 0")
        self.sigma = float(sigma)
        self.always = False
        self.seed: list[int] | None = None
        self.drawn = 0

    def reseed(self, *seed: int) -> None:
        """Draw from these integers from now on, and not from torch's default generator."""
        self.seed, self.drawn = list(seed), 0

    def draw(
        self, shape: tuple[int, ...], alpha: Annotated[Tensor, "N"] | None, like: Tensor
    ) -> Annotated[Tensor, "... N"]:
        """Draw noise of a shape (..., N), in the dtype and on the device of `like`."""
        if self.seed is None:
            eta = torch.randn(shape, dtype=like.dtype, device=like.device)
        else:
            words = np.random.SeedSequence([*self.seed, self.drawn]).generate_state(1, np.uint64)
            generator = torch.Generator("cpu").manual_seed(int(words[0]) >> 1)
            eta = torch.randn(shape, dtype=like.dtype, device="cpu", generator=generator)
            eta = eta.to(like.device)
            self.drawn += 1
        if alpha is None:
            return math.sqrt(2) * self.sigma * eta
        return self.sigma * torch.sqrt(2 / alpha) * eta
