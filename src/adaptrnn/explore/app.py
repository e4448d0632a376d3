# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The explorer is a marimo app of controls and what they move. What it shows is computed elsewhere.

The command `adaptrnn explore [RUN]` starts it.
"""
# mypy: ignore-errors

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="adaptrnn explorer", css_file="style.css")


@app.cell
def _():
    import marimo as mo

    from adaptrnn import InputError, MissingExtraError
    from adaptrnn.analysis import isolate
    from adaptrnn.explore import network, neuron, page, picture, real_cell, view

    return (
        InputError,
        MissingExtraError,
        real_cell,
        isolate,
        mo,
        network,
        neuron,
        page,
        picture,
        view,
    )


@app.cell
def _(at_rest, choice, mo, network, placed, runs, view):
    # a frame of its own: marimo runs no script of an output
    own = runs[choice.value] != network.SHIPPED
    first = view.first_view(at_rest if own else None, placed)
    mo.Html(view.frame(first))


@app.cell
def _(mo, network):
    runs = network.find_runs(mo.cli_args().get("run"))
    choice = mo.ui.dropdown(list(runs), value=next(iter(runs)), label="network")
    choice if len(runs) > 1 else None
    return choice, runs


@app.cell
def _(InputError, choice, isolate, mo, network, neuron, page, runs):
    try:
        net = network.load_network(runs[choice.value], choice.value)
        alone_core = isolate(net.core)
        at_rest = neuron.rest(net.core)
    except InputError as error:
        mo.stop(True, mo.Html(page.note(str(error), "warning")))
    mo.Html(page.card(net.facts))
    return alone_core, at_rest, net


@app.cell
def _(mo, page, real_cell):
    upload = mo.ui.file(filetypes=[".csv"], label="your cells: CSV with current, rate, neuron")
    simulate = mo.ui.run_button(label="simulate five cells")
    missing = real_cell.how_to_get()
    mo.hstack(
        [mo.Html(page.note(missing)) if missing else simulate, upload],
        wrap=True,
        justify="start",
        gap=2,
    )
    return missing, simulate, upload


@app.cell
def _(InputError, MissingExtraError, missing, mo, page, real_cell, simulate, upload):
    placed, problem = {}, None
    try:
        if not missing and simulate.value:
            with mo.status.spinner("simulating five cells"):
                placed |= real_cell.simulated()
        if upload.value:
            placed |= real_cell.points_from_csv(upload.value[0].contents)
    except (InputError, MissingExtraError) as error:
        problem = str(error)
    mo.Html(page.note(problem, "warning")) if problem else None
    return (placed,)


@app.cell
def _(mo):
    mo.md(
        """
        ## Neurons under a drive

        A drive ξ is added to the current of every neuron during the shaded time. Alone, a neuron
        keeps only its weight onto itself; in the network it also hears the others.
        """
    )


@app.cell
def _(mo, net):
    count = net.core.hidden_size
    names = {f"neuron {i}": i for i in range(count)}
    picked = mo.ui.multiselect(
        names,
        value=[f"neuron {i}" for i in (0, 7, 20) if i < count],
        label="neurons",
        max_selections=4,
    )
    alone = mo.ui.switch(value=True, label="alone")
    kind = mo.ui.radio(["step", "noise", "sinusoid"], value="step", label="drive", inline=True)
    size = mo.ui.slider(0.25, 30, 0.25, value=5, label="size ξ", include_input=True)
    period = mo.ui.slider(4, 100, 1, value=25, label="period", include_input=True)
    return alone, kind, period, picked, size


@app.cell
def _(alone, kind, mo, period, picked, size):
    controls = [picked, alone, kind, size, *([period] if kind.value == "sinusoid" else [])]
    row = mo.hstack(controls, wrap=True, justify="start", gap=2)
    mo.Html(f'<div class="adaptrnn-controls">{row.text}</div>')  # stays in sight, see style.css


@app.cell
def _(alone, alone_core, kind, mo, net, neuron, page, period, picked, size):
    mo.stop(not picked.value, mo.Html(page.note("Pick at least one neuron.", "warning")))
    every = neuron.neuron_signals(
        alone_core if alone.value else net.core,
        neuron.drive(kind.value, size.value, period.value),
        range(net.core.hidden_size),
    )
    seen = every.sel(neuron=picked.value)
    found = neuron.order_curves(seen)
    mo.Html(page.orders_table(seen, found))
    return every, found, seen


@app.cell
def _(picture):
    trace_picture, order_picture = picture.TracePicture(), picture.OrderPicture()
    state_picture = picture.StatePicture()
    return order_picture, state_picture, trace_picture


@app.cell
def _(every, found, mo, order_picture, seen, size, state_picture, trace_picture):
    mo.Html(
        '<div class="adaptrnn-pictures">'
        + trace_picture.show(seen)
        + "<div>"
        + state_picture.show(seen, every, size.value)
        + order_picture.show(found)
        + "</div></div>"
    )


@app.cell
def _(mo):
    mo.accordion(
        {
            "How to read this": mo.md(
                """
                - **n, s, slope** in the table are those at the end of the drive. In the picture a
                  ring is where a neuron was before the drive, a dot where it is at its end.
                - **Λ(ξ)** holds the gains and saturations whose slope at the drive ξ is 1 − 0.013
                  (Fig 5b of the paper). For ξ above 3 it is nearly the line s = 0.013.
                - **Order** above 0: the rate is a fractional integral of the drive (sensitising);
                  below 0: a derivative (adapting). The paper's own formula has the opposite sign.
                - The **paper's estimator** fits no amplitude: a mere gain gets an order. The bar,
                  and *memoryless* in the table, is what a unit of this gain without any memory
                  gets. The **scale-free** one fits amplitude and offset, and gives such a unit 0.
                - **Noise** has standard deviation ξ during the shaded time and 0.1 outside it.
                - **Cells** are placed with their largest current taken as 1, from the threshold.
                """
            )
        }
    )


if __name__ == "__main__":
    app.run()
