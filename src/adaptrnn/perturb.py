"""A network's input is perturbed by drives onto its neurons and by a contrast of its stimulus.

Geadah et al. 2024 test trained networks under three of them, with t the position in the presented
(for psMNIST: permuted) sequence of T = 784 steps:

    step drive    a_t += xi           200 <= t < 400
    noisy drive   a_t += eta_t        200 <= t < 400, eta_t ~ N(5, variance 2) for each neuron, time
    contrast      x_t *= 1 + A sin(2 pi f t / T + phi)     only where x_t > 0

Each is a small frozen object with two effects: `Perturbation.drive`, a tensor for a core's `drive=`
argument, and `Perturbation.stimulus`, a map of the input sequence. They compose by `+`, have a text
form (`str` gives it, `parse` reads it), and hold no state: the same object always gives the same
numbers.

Windows are fractions of the sequence, so that they scale with T: the steps are
``round(start T) <= t < round(stop T)``, to the nearest integer, halves up. At T = 784 the defaults
are exactly 200 <= t < 400; at T = 196, 50 <= t < 100; at T = 64, 16 <= t < 33.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor

from adaptrnn._error import InputError, bad, choose

__all__ = [
    "PAPER_PERTURBATIONS",
    "NoisyDrive",
    "Perturbation",
    "SinusoidalContrast",
    "StepDrive",
    "Sum",
    "parse",
    "parse_named",
]

START = 200 / 784
STOP = 400 / 784


class Perturbation:
    """This is the base of all perturbations, and by itself it changes nothing."""

    name: ClassVar[str]

    def drive(
        self,
        T: int,
        B: int,
        N: int,
        first: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor | None:
        """Return the external drive xi_t that is added to the currents of a core.

        Args:
            T: number of time steps, >= 1.
            B: number of samples in the batch, >= 1.
            N: number of neurons, >= 1.
            first: index in the whole data set of the batch's first sample, >= 0, so that noise
                does not depend on how the set is cut into batches.
            device: device of the result, default the CPU.
            dtype: dtype of the result, default torch's.

        Returns:
            A tensor that broadcasts to (T, B, N), or None if nothing is added.
        """
        return None

    def stimulus(self, x: Annotated[Tensor, "T B D"]) -> Annotated[Tensor, "T B D"]:
        """Return the stimulus as the network gets it.

        Args:
            x: input sequence (T, B, D), in presented order; it is not changed.

        Returns:
            The perturbed sequence, (T, B, D).
        """
        return x

    def stimulus_image(self, images: Annotated[Tensor, "B C H W"]) -> Annotated[Tensor, "B C H W"]:
        """Return the stimulus of images, where t counts the pixels in raster order.

        Args:
            images: images (B, C, H, W); the pixel in row i and column j has t = i W + j of T = H W.

        Returns:
            The perturbed images, (B, C, H, W).

        Example:
            >>> wave = SinusoidalContrast(amplitude=0.5) + StepDrive(1.0)
            >>> wave.stimulus_image(torch.ones(1, 1, 2, 2)).round(decimals=2).flatten().tolist()
            [1.0, 1.5, 1.0, 0.5]
        """
        if images.ndim != 4:
            raise bad("images", tuple(images.shape), "of shape (B, C, H, W)")
        return self.stimulus(images.flatten(2).permute(2, 0, 1)).permute(1, 2, 0).view_as(images)

    def __add__(self, other: Perturbation) -> Perturbation:
        """Return the sum: drives add up, stimuli are changed by `self`, then by `other`."""
        if not isinstance(other, Perturbation):
            return NotImplemented
        parts = _parts(self) + _parts(other)
        return parts[0] if len(parts) == 1 else Sum(parts)

    def __str__(self) -> str:
        """Return the text form, which `parse` reads back, without arguments at their default."""
        given = []
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.default is MISSING or value != field.default:
                given.append(f"{field.name}={_text(value)}")
        return self.name + (":" + ",".join(given) if given else "")


@dataclass(frozen=True)
class Sum(Perturbation):
    """A sum applies several perturbations together; without any part it is the clean condition.

    Args:
        parts: the perturbations, in the order in which they change the stimulus.

    Example:
        >>> str(Sum(())), str(StepDrive(1) + SinusoidalContrast())
        ('clean', 'step:xi=1+contrast')
    """

    parts: tuple[Perturbation, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(p for part in self.parts for p in _parts(part)))

    def drive(
        self,
        T: int,
        B: int,
        N: int,
        first: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor | None:
        """Return the sum of the parts' drives, or None if none of them has one."""
        total = None
        for part in self.parts:
            drive = part.drive(T, B, N, first, device, dtype)
            if drive is not None:
                total = drive if total is None else total + drive
        return total

    def stimulus(self, x: Annotated[Tensor, "T B D"]) -> Annotated[Tensor, "T B D"]:
        """Return the stimulus after each part has changed it in turn."""
        for part in self.parts:
            x = part.stimulus(x)
        return x

    def __str__(self) -> str:
        """Return the text form of the parts, joined by ``+``."""
        return "+".join(str(part) for part in self.parts) or "clean"


@dataclass(frozen=True)
class StepDrive(Perturbation):
    """The same constant current goes into every neuron during a window: a_t += xi.

    Args:
        xi: size of the step, any finite number; the paper's is 1.
        start: start of the window as a fraction of the sequence, 0 <= start <= stop.
        stop: end of the window (not in it), start <= stop <= 1.

    Raises:
        InputError: an argument is outside its range.

    Example:
        >>> drive = StepDrive(1.0).drive(T=784, B=100, N=400)
        >>> tuple(drive.shape), drive[199].item(), drive[200].item(), int(drive.sum())
        ((784, 1, 1), 0.0, 1.0, 200)
    """

    name: ClassVar[str] = "step"
    xi: float
    start: float = START
    stop: float = STOP

    def __post_init__(self) -> None:
        _finite(self, "xi", "start", "stop")
        _check_window(self.start, self.stop)

    def drive(
        self,
        T: int,
        B: int,
        N: int,
        first: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Return the step, (T, 1, 1): xi in the window, 0 outside. See `Perturbation.drive`."""
        _check_sizes(T, B, N, first)
        begin, end = _window(self.start, self.stop, T)
        drive = torch.zeros(T, 1, 1, device=device, dtype=dtype)
        drive[begin:end] = self.xi
        return drive


@dataclass(frozen=True)
class NoisyDrive(Perturbation):
    """Gaussian noise enters every neuron during a window: a_t += eta_t, eta_t ~ N(mean, variance).

    The noise is independent for each sample, neuron and time step. The noise of sample i depends
    only on (seed, i) and the sizes of window and network, not on how the set is cut into batches:
    it is drawn in float32 from NumPy's Philox counter generator with the key (seed, i), on the CPU
    whatever the device. Two noisy drives that are added must differ in their seed to be
    independent.

    Args:
        mean: mean of the noise, any finite number.
        variance: its variance, >= 0.
        start: start of the window as a fraction of the sequence, 0 <= start <= stop.
        stop: end of the window (not in it), start <= stop <= 1.
        seed: 0 <= seed < 2^63.

    Raises:
        InputError: an argument is outside its range.

    Example:
        >>> noise = NoisyDrive(seed=3)
        >>> whole = noise.drive(T=28, B=6, N=5)
        >>> torch.equal(whole[:, 4:], noise.drive(T=28, B=2, N=5, first=4))
        True
    """

    name: ClassVar[str] = "noise"
    mean: float = 5.0
    variance: float = 2.0
    start: float = START
    stop: float = STOP
    seed: int = 0

    def __post_init__(self) -> None:
        _finite(self, "mean", "variance", "start", "stop")
        _check_window(self.start, self.stop)
        if self.variance < 0:
            raise bad("variance", self.variance, ">= 0")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise bad("seed", self.seed, "an integer, 0 <= seed < 2^63")

    def drive(
        self,
        T: int,
        B: int,
        N: int,
        first: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Return the noise, (T, B, N): 0 outside the window. See `Perturbation.drive`."""
        _check_sizes(T, B, N, first)
        begin, end = _window(self.start, self.stop, T)
        window = np.empty((end - begin, B, N), np.float32)
        sample = np.empty((end - begin, N), np.float32)
        for i in range(B):
            stream = np.random.Generator(np.random.Philox(key=[self.seed, first + i]))
            stream.standard_normal(dtype=np.float32, out=sample)
            sample *= math.sqrt(self.variance)
            np.add(sample, self.mean, out=window[:, i])
        drive = torch.zeros(T, B, N, device=device, dtype=dtype)
        drive[begin:end] = torch.from_numpy(window)
        return drive


@dataclass(frozen=True)
class SinusoidalContrast(Perturbation):
    """The stimulus is modulated in time: x_t *= 1 + A sin(2 pi f t / T + phi) where x_t > 0.

    Args:
        amplitude: A, any finite number; 0 to 1 keeps the stimulus >= 0. The paper's is 0.5.
        frequency: f, periods per sequence, any finite number.
        phase: phi in radians, any finite number.

    Raises:
        InputError: an argument is not a finite number.

    Example:
        >>> x = torch.tensor([1.0, 1.0, 0.0, 1.0]).reshape(4, 1, 1)
        >>> [round(value, 6) for value in SinusoidalContrast().stimulus(x).flatten().tolist()]
        [1.0, 1.5, 0.0, 0.5]
    """

    name: ClassVar[str] = "contrast"
    amplitude: float = 0.5
    frequency: float = 1.0
    phase: float = 0.0

    def __post_init__(self) -> None:
        _finite(self, "amplitude", "frequency", "phase")

    def stimulus(self, x: Annotated[Tensor, "T B D"]) -> Annotated[Tensor, "T B D"]:
        """Return the modulated sequence, (T, B, D). See `Perturbation.stimulus`."""
        if x.ndim != 3 or not x.is_floating_point():
            shown = f"{x.dtype} {tuple(x.shape)}"
            raise bad("x", shown, "of a floating dtype and of shape (T, B, D)")
        t = np.arange(len(x)) / len(x)
        wave = 1 + self.amplitude * np.sin(2 * np.pi * self.frequency * t + self.phase)
        factor = torch.from_numpy(wave).to(x.dtype).to(x.device)[:, None, None]
        return torch.where(x > 0, x * factor, x)


_KINDS: dict[str, type[Perturbation]] = {
    kind.name: kind for kind in (StepDrive, NoisyDrive, SinusoidalContrast)
}


def parse(text: str) -> Perturbation:
    """Read the text form of a perturbation, e.g. from a command line.

    ``name`` or ``name:argument=value,argument=value``, several joined by ``+``; the names are
    step, noise, contrast and clean, a value is a number or a fraction of two.

    Args:
        text: the text form.

    Returns:
        The perturbation.

    Raises:
        InputError: a name, an argument or a value that does not exist; the nearest is suggested.

    Example:
        >>> parse("step:xi=1,start=1/4 + contrast:amplitude=.5")
        Sum(parts=(StepDrive(xi=1.0, start=0.25, stop=0.510...), SinusoidalContrast(...)))
        >>> parse("nois:mean=5")
        Traceback (most recent call last):
        adaptrnn._error.InputError: perturbation='nois': ... Did you mean 'noise'?
    """
    total: Perturbation = Sum(())
    for part in re.split(r"\+(?=\s*[A-Za-z])", text):  # not the sign of an exponent or a number
        total = total + _parse_one(part)
    return total


def parse_named(texts: Iterable[str]) -> dict[str, Perturbation]:
    """Read perturbations that may have names, e.g. from a command line.

    Args:
        texts: each ``TEXT`` or ``NAME=TEXT``, TEXT as `parse` reads it; NAME of letters, digits,
            ``-`` and ``_``.

    Returns:
        The perturbations by name; one without a name has its text for a name.

    Raises:
        InputError: as `parse`, or one name for two perturbations.

    Example:
        >>> parse_named(["strong-drive=step:xi=30", "clean"])
        {'strong-drive': StepDrive(xi=30.0, ...), 'clean': Sum(parts=())}
    """
    found: dict[str, Perturbation] = {}
    for text in texts:
        named = re.fullmatch(r"\s*([\w-]+)\s*=(.*)", text, re.S)
        name, rest = named.groups() if named else (text, text)
        one = parse(rest)
        if found.setdefault(name, one) != one:
            raise bad("perturbation", text, "each name once", f"{name} is {found[name]} already.")
    return found


def _parse_one(text: str) -> Perturbation:
    name, colon, rest = text.partition(":")
    name = choose("perturbation", name.strip(), [*_KINDS, "clean"])
    pairs = [pair.partition("=") for pair in rest.split(",")] if colon else []
    if name == "clean":
        if pairs:
            raise bad("perturbation", text, "'clean' alone, which has no arguments")
        return Sum(())
    kind = _KINDS[name]
    allowed = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    given: dict[str, float] = {}
    for argument, equals, value in pairs:
        argument = choose(f"argument of {name!r}", argument.strip(), allowed)
        if not equals or argument in given:
            raise bad("perturbation", text, f"of the form {name}:argument=value, each once")
        given[argument] = _number(f"{name}:{argument}", value.strip(), argument == "seed")
    missing = [n for n, field in allowed.items() if field.default is MISSING and n not in given]
    if missing:
        form = f"{name}:{missing[0]}=NUMBER"
        raise bad("perturbation", text, f"given its {missing[0]}", f"Write {form}.")
    return kind(**given)


def _parts(perturbation: Perturbation) -> tuple[Perturbation, ...]:
    return perturbation.parts if isinstance(perturbation, Sum) else (perturbation,)


def _text(value: float) -> str:
    """Shortest text that reads back as the same number; without ``+``, which joins."""
    shown = str(int(value)) if value == int(value) and abs(value) < 2**63 else repr(value)
    return "-0.0" if str(value) == "-0.0" else shown.replace("e+", "e")


def _number(argument: str, text: str, integer: bool) -> float:
    try:
        if integer:
            return int(text)
        above, slash, below = text.partition("/")
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        allowed = "an integer" if integer else "a number such as 5, .5, 1e-3 or 200/784"
        raise bad(argument, text, allowed) from None


def _finite(perturbation: Perturbation, *names: str) -> None:
    """Make the named fields floats, so that equal ones print alike; refuse nan and inf."""
    for name in names:
        given = getattr(perturbation, name)
        try:
            value = float(given)
        except (TypeError, ValueError, OverflowError):
            raise bad(name, given, "a finite number") from None
        if not math.isfinite(value):
            raise bad(name, given, "a finite number")
        object.__setattr__(perturbation, name, value)


def _check_window(start: float, stop: float) -> None:
    if not 0 <= start <= stop <= 1:
        raise bad(
            "start, stop",
            (start, stop),
            "fractions of the sequence, 0 <= start <= stop <= 1",
            "For steps t of T give t / T.",
        )


def _check_sizes(T: int, B: int, N: int, first: int) -> None:
    for name, value, least in (("T", T, 1), ("B", B, 1), ("N", N, 1), ("first", first, 0)):
        if value < least:
            raise bad(name, value, f"an integer >= {least}")


def _window(start: float, stop: float, T: int) -> tuple[int, int]:
    """Steps of the window: round(start T) <= t < round(stop T), halves up."""
    begin, end = math.floor(start * T + 0.5), math.floor(stop * T + 0.5)
    if begin == end and start < stop:
        raise InputError(
            f"T={T}: the window from {start:.4g} to {stop:.4g} of the sequence has no step in it. "
            "Use a longer sequence or a wider window."
        )
    return begin, end


PAPER_PERTURBATIONS: Mapping[str, Perturbation] = MappingProxyType(
    {
        "clean": Sum(()),
        "noisy-drive": NoisyDrive(mean=5.0, variance=2.0),
        "step-drive": StepDrive(xi=1.0),
        "contrast": SinusoidalContrast(amplitude=0.5, frequency=1.0, phase=0.0),
    }
)
"""The conditions of Table 1 of the paper, with its settings."""
