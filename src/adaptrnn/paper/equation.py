"""Where is each equation of the paper computed, and which test holds it to a ground truth?"""

from __future__ import annotations

__all__ = ["EQUATIONS"]

EQUATIONS: tuple[tuple[str, str, str], ...] = (
    (
        "gamma(x; n, s) = (1-s) ln(1+exp(n x))/n + s/(1+exp(-n x)), its derivatives and limits",
        "adaptrnn.activation.gamma",
        "tests/test_activation.py",
    ),
    (
        "RNN+gamma: h = gamma(W_xh x + W_hh h + b + ξ; n, s)",
        "adaptrnn.kernels.gamma_rnn.gamma_rnn",
        "tests/kernels/gamma_rnn/test_op.py",
    ),
    (
        "ARUN: g = tanh(W_ag a + W_gg g + b_g), (n, s) = W_gc g + b_c, h = gamma(a; n, s)",
        "adaptrnn.kernels.arun.arun",
        "tests/kernels/arun/test_op.py",
    ),
    (
        "the same as layers; neurons meet only through W_hh",
        "adaptrnn.arun.ARUN",
        "tests/test_arun.py",
    ),
    (
        "Jacobian norm E ‖diag(gamma'(W h)) W‖; products P_T",
        "adaptrnn.analysis.jacobian.jacobian_norm",
        "tests/analysis/test_jacobian.py",
    ),
    (
        "Lyapunov exponents by QR: J Q = Q R, mean ln R_ii; three definitions",
        "adaptrnn.analysis.lyapunov_exponent.lyapunov",
        "tests/analysis/test_lyapunov_exponent.py",
    ),
    (
        "Proposition 1: σ |gamma'(μ; n, s)| ≤ 1; level sets Λ(ξ)",
        "adaptrnn.analysis.noise.level_set",
        "tests/analysis/test_noise.py",
    ),
    (
        "Fractional order: D^α r = ifft((2 i π f)^α fft(r)); α̂ by least squares",
        "adaptrnn.analysis.fractional.fractional_order",
        "tests/analysis/test_fractional.py",
    ),
    (
        "Step and noisy drive, contrast",
        "adaptrnn.perturb.StepDrive",
        "tests/test_perturb.py",
    ),
    (
        "Random orthogonal W_hh (Henaff, Haar)",
        "adaptrnn.init.henaff_",
        "tests/test_init.py",
    ),
)
"""Equation, dotted name of the function, test file from the project's root."""
