# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Reproduce a figure: gain and saturation follow the input's variance (Fig 3b of the paper).

marimo edit examples/reproduce_figure.py    # as a notebook
python examples/reproduce_figure.py         # as a script
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="adaptrnn: reproduce a figure")


@app.cell
def _(mo):
    mo.md(r"""
    # Gain and saturation follow the variance of the input

    Geadah et al. 2024, Fig 3b: 200 steps of noise of standard deviation 0.01, 200 steps of
    standard deviation $\xi$, and back. After training, the steady gain falls as a power of $\xi$
    and the saturation approaches its end exponentially:

    $$n(\xi) = a\,\xi^{-b} + c, \qquad s(\xi) = a\,e^{-b\xi} + c.$$

    Here is that measurement on the small network that comes with the package. It is one network
    of 100 neurons trained on MNIST at 14x14 pixels, so what it shows need not be what the paper's
    networks do. For the paper's, with seeds and verdicts: `adaptrnn reproduce`.
    """)


@app.cell
def _():
    import marimo as mo

    from adaptrnn.analysis import gain_scaling
    from adaptrnn.explore import network
    from adaptrnn.figure.style import render
    from adaptrnn.laboratory.drawing import draw_gain_scaling

    return draw_gain_scaling, gain_scaling, mo, network, render


@app.cell
def _(gain_scaling, network):
    core = network.load_network(
        network.SHIPPED
    ).core  # or network.load_network("runs/psmnist-arun-seed0").core
    found = gain_scaling(core, trials=10, seed=0)  # an xarray.Dataset
    return (found,)


@app.cell
def _(draw_gain_scaling, found, mo, render):
    mo.image(render(draw_gain_scaling, found, "png"))


@app.cell
def _(mo):
    mo.md(r"""
    ## Does the claim hold?

    The criteria that the project sets: the fit explains 90% of the variance over $\xi$, for the
    gain with a better AIC than a straight line (E16, E17); with adaptation the output variance
    grows less steeply with $\xi$ than with $n$ and $s$ frozen (E18).
    """)


@app.cell
def _(found, mo):
    def number(name, **at):
        return float(found[name].sel(**at))

    n_r2, s_r2 = number("n_r2", model="power"), number("s_r2", model="exponential")
    n_aic = number("n_delta_aic", model="power")
    slopes = [number("slope", condition=condition) for condition in ("adaptive", "frozen")]
    verdicts = {
        "n(ξ) is a power law": n_r2 >= 0.9 and n_aic < 0,
        "s(ξ) is an exponential": s_r2 >= 0.9,
        "adaptation flattens the output variance": slopes[0] < slopes[1],
    }
    numbers = [
        f"R² {n_r2:.2f}, ΔAIC {n_aic:.1f}",
        f"R² {s_r2:.2f}",
        f"log-log slope {slopes[0]:.2f} adaptive, {slopes[1]:.2f} frozen",
    ]
    lines = [
        f"{claim}: {'holds' if holds else 'does not hold'} in this network ({text})"
        for (claim, holds), text in zip(verdicts.items(), numbers, strict=True)
    ]
    print("\n".join(lines))
    mo.md("\n".join(f"- {line}" for line in lines))
    return n_r2, s_r2, slopes, verdicts


if __name__ == "__main__":
    app.run()
