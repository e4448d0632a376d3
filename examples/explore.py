# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The explorer as a notebook to read and change; the finished page is `adaptrnn explore`.

marimo edit examples/explore.py    # cells, sliders and code
python examples/explore.py         # as a script: the numbers of the first slider positions
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="adaptrnn, explored")


@app.cell
def _():
    from importlib.resources import files

    import marimo as mo

    from adaptrnn.analysis import isolate
    from adaptrnn.explore import curve, network, neuron, page, picture

    # what the explorer's pieces of HTML look like
    mo.Html(f"<style>{files('adaptrnn.explore').joinpath('style.css').read_text()}</style>")
    return curve, isolate, mo, network, neuron, page, picture


@app.cell
def _(mo):
    mo.md(r"""
    # f-I curves and adaptive neurons

    A neuron of gain $n$ and saturation $s$ answers a current $x$ with the rate

    $$\gamma(x; n, s) = (1 - s) \frac{\ln(1 + e^{n x})}{n} + \frac{s}{1 + e^{-n x}}.$$

    With $s = 0$ it goes from softplus ($n = 1$) to ReLU, with $s = 1$ from the sigmoid to a step.
    """)


@app.cell
def _(mo):
    n = mo.ui.slider(0.25, 50, 0.05, value=5, label="gain n", include_input=True)
    s = mo.ui.slider(-0.25, 1.15, 0.005, value=0.2, label="saturation s", include_input=True)
    x = mo.ui.slider(-3, 3, 0.05, value=1, label="current x", include_input=True)
    mo.hstack([n, s, x], wrap=True, justify="start")
    return n, s, x


@app.cell
def _(curve, mo, n, page, picture, s, x):
    # every picture makes its axes once; show() moves them and gives SVG
    curves, plane = picture.CurvePicture(), picture.PlanePicture()
    numbers = curve.numbers(n.value, s.value, x.value)
    print(f"n = {n.value}, s = {s.value}: {numbers}")
    mo.vstack(
        [
            mo.Html(page.curve_tiles(numbers, x.value)),
            mo.hstack(
                [
                    mo.Html(curves.show(n.value, s.value, x.value)),
                    mo.Html(plane.show(n.value, s.value, x.value)),
                ],
                wrap=True,
            ),
        ]
    )
    return (numbers,)


@app.cell
def _(mo):
    mo.md(r"""
    ## A neuron that adapts

    In an adaptive network a small controller, shared by all neurons, reads each neuron's current
    and sets its $n_t$ and $s_t$. This one was trained on handwritten digits. Put the folder of a
    run of yours in place of `network.SHIPPED`.
    """)


@app.cell
def _(isolate, network):
    core = network.load_network(network.SHIPPED).core
    alone = isolate(core)  # of the recurrence only each neuron's weight onto itself
    return alone, core


@app.cell
def _(core, mo, neuron):
    which = mo.ui.slider(0, core.hidden_size - 1, 1, value=20, label="neuron", include_input=True)
    kind = mo.ui.radio(list(neuron.DRIVE_KINDS), value="step", label="drive", inline=True)
    size = mo.ui.slider(0.25, 30, 0.25, value=5, label="size ξ", include_input=True)
    mo.hstack([which, kind, size], wrap=True, justify="start")
    return kind, size, which


@app.cell
def _(alone, kind, mo, neuron, page, picture, size, which):
    trace, order, state = (
        picture.TracePicture(),
        picture.OrderPicture(),
        picture.StatePicture(),
    )
    every = neuron.neuron_signals(
        alone, neuron.drive(kind.value, size.value), range(alone.hidden_size)
    )
    seen = every.sel(neuron=[which.value])
    orders = neuron.order_curves(seen)
    for estimator in orders.estimator.values:
        print(f"order, {estimator}: {float(orders.order.sel(estimator=estimator)[0]):.3f}")
    mo.vstack(
        [
            mo.Html(page.orders_table(seen, orders)),
            mo.hstack(
                [
                    mo.Html(trace.show(seen)),
                    mo.Html(state.show(seen, every, size.value) + order.show(orders)),
                ],
                wrap=True,
            ),
        ]
    )
    return orders, seen


@app.cell
def _(mo):
    mo.md(r"""
    Try a drive of 0.5 and of 30, then noise. Does the neuron's order come from memory, or only
    from its gain? Compare *memoryless* with the paper's estimate.
    """)


if __name__ == "__main__":
    app.run()
