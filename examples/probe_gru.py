# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Probe an nn.GRU as one probes cells: steps, fractional order, exponents. No layer of ours.

marimo edit examples/probe_gru.py    # as a notebook
python examples/probe_gru.py         # as a script
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="adaptrnn: probe a GRU")


@app.cell
def _(mo):
    mo.md(r"""
    # What did my GRU learn?

    A `torch.nn.GRU` learns to give back, at each step, the running mean of a noisy signal. What
    kind of filter has each of its units become? All that the analyses need is the network.
    """)


@app.cell
def _():
    import marimo as mo
    import torch
    from torch import nn

    from adaptrnn.analysis import fractional_order, lyapunov, respond, step_response
    from adaptrnn.figure.style import colour, ink, letters, render, subplots

    return (
        colour,
        fractional_order,
        ink,
        letters,
        lyapunov,
        mo,
        nn,
        render,
        respond,
        step_response,
        subplots,
        torch,
    )


@app.cell
def _(nn, torch):
    torch.manual_seed(0)
    gru, readout = nn.GRU(1, 16), nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*gru.parameters(), *readout.parameters()], 1e-2)
    losses = []
    for _ in range(300):
        x = torch.randn(1, 32, 1).repeat(40, 1, 1) + torch.randn(40, 32, 1)  # a level and noise
        mean = x.cumsum(0) / torch.arange(1, 41)[:, None, None]
        loss = nn.functional.mse_loss(readout(gru(x)[0]), mean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"mean squared error {losses[0]:.3f} -> {losses[-1]:.3f}")
    return gru, losses


@app.cell
def _(mo):
    mo.md(r"""
    ## Steps, orders, exponents

    - **Step**: each unit under a step of the input, and how it adapts (1: fully, 0: not at all,
      below 0: it goes on rising).
    - **Order**: scale-free, so that a mere gain counts as 0. Above 0 a unit integrates the step,
      below 0 it differentiates.
    - **Exponents**: under the noise it was trained on, do two states come together, and how fast?
      The largest one sets the longest memory, $-1/\lambda_1$ steps.
    """)


@app.cell
def _(fractional_order, gru, lyapunov, respond, step_response, torch):
    steps = step_response(gru, [0.5, 1.0, 2.0], durations=(50, 100, 50), into="input")
    seen = respond(gru, [1.0], protocol="A", noise=0.0, into="input")
    orders = fractional_order(seen.h.sel(xi=1.0), protocol="A", estimator="scale-free")
    noise = torch.randn(600, 1, 1, generator=torch.Generator().manual_seed(1))
    exponents = lyapunov(gru, noise, k=4)
    largest = float(exponents.lyapunov[0, 0])
    error = float(exponents.standard_error[0, 0])
    order = orders.order.where(~orders.at_edge)
    print(f"largest exponent {largest:.3f} ± {error:.3f} per step: memory {-1 / largest:.0f} steps")
    print(f"orders from {float(order.min()):.2f} to {float(order.max()):.2f}")
    adapting = int((steps.h_adaptation.sel(xi=1.0) > 0.1).sum())
    print(f"{adapting} of {steps.sizes['neuron']} units adapt to a step of 1")
    return exponents, largest, order, steps


@app.cell
def _(colour, exponents, ink, letters, mo, order, render, steps, subplots):
    def draw(data):
        figure, axes = subplots(1, 3, width=9, height=2.8)
        left, middle, right = axes[0]
        left.axvspan(50, 150, color=ink(), alpha=0.06, lw=0)
        left.plot(data.time, data.h.sel(xi=1.0), color=colour("gru"), lw=1, alpha=0.7)
        left.set(title="step of 1", xlabel="time (steps)", ylabel="state of each unit")
        middle.hist(order.dropna("neuron"), 12, color=colour("gru"))
        middle.axvline(0, color=ink(), lw=1)
        middle.set(title="fractional order", xlabel="order α", ylabel="units")
        right.axhline(0, color=ink(), lw=1)
        for tone, rank in zip(("gru", "lstm", "gamma", "arun"), exponents.exponent, strict=True):
            one = exponents.running.sel(exponent=rank)[:, 0]
            right.plot(one.time.values, one, color=colour(tone), label=f"λ{int(rank)}")
        right.set(title="exponents", xlabel="steps", ylabel="estimate (1/step)")
        right.legend(ncols=2)
        letters([left, middle, right])
        return figure

    mo.image(render(draw, steps, "png"))


if __name__ == "__main__":
    app.run()
