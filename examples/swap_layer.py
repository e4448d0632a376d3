# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Put the layers into someone's nn.RNN training loop, and compare.

marimo edit examples/swap_layer.py    # as a notebook
python examples/swap_layer.py         # as a script
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="adaptrnn: swap a layer")


@app.cell
def _(mo):
    mo.md(r"""
    # Swap the layer

    Below is a training loop as one finds it: `torch.nn.RNN` reads handwritten digits, a row of
    8 pixels a step. `adaptrnn.RNN` takes the same arguments and is called the same way, so
    swapping is one line. `adaptrnn.ARUN` differs in its state only, a pair (h, g).
    """)


@app.cell
def _():
    import marimo as mo
    import numpy as np
    import torch
    import xarray as xr
    from sklearn.datasets import load_digits
    from torch import nn

    import adaptrnn
    from adaptrnn.analysis import interval

    return adaptrnn, interval, load_digits, mo, nn, np, torch, xr


@app.cell
def _(nn):
    # someone's model: nothing in it knows of adaptrnn
    class Reader(nn.Module):
        def __init__(self, rnn):
            super().__init__()
            self.rnn = rnn
            self.readout = nn.Linear(rnn.hidden_size, 10)

        def forward(self, x):
            output, _ = self.rnn(x)
            return self.readout(output[-1])

    return (Reader,)


@app.cell
def _(load_digits, torch):
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32).transpose(0, 1)  # (8, images, 8)
    y = torch.tensor(digits.target)
    train_x, train_y, test_x, test_y = x[:, :1400], y[:1400], x[:, 1400:], y[1400:]
    return test_x, test_y, train_x, train_y


@app.cell
def _(nn, torch, train_x, train_y):
    # someone's loop
    def train(model, epochs=6, lr=5e-3):
        optimizer = torch.optim.Adam(model.parameters(), lr)
        for _ in range(epochs):
            for index in torch.randperm(len(train_y)).split(50):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(train_x[:, index]), train_y[index])
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
        return model.eval()

    return (train,)


@app.cell
def _(mo):
    mo.md(r"""
    ## The swap

    Only the layer changes. With the nonlinearities of torch, `adaptrnn.RNN` starts from the same
    numbers for a seed and its state_dict goes both ways.
    """)


@app.cell
def _(adaptrnn, nn):
    layers = {
        "nn.RNN, relu": lambda: nn.RNN(8, 32, nonlinearity="relu"),
        "adaptrnn.RNN, relu": lambda: adaptrnn.RNN(8, 32, nonlinearity="relu"),
        "adaptrnn.RNN, gamma": lambda: adaptrnn.RNN(8, 32, nonlinearity="gamma"),
        "adaptrnn.ARUN": lambda: adaptrnn.ARUN(8, 32, controller_size=8),
    }
    return (layers,)


@app.cell
def _(Reader, layers, np, test_x, test_y, torch, train):
    SEEDS = (0, 1, 2)

    @torch.no_grad()
    def accuracy(model, noise):
        generator = torch.Generator().manual_seed(0)
        blurred = test_x + noise * torch.randn(test_x.shape, generator=generator)
        return float((model(blurred).argmax(1) == test_y).double().mean())

    results = {}
    for name, make in layers.items():
        rows = []
        for seed in SEEDS:
            torch.manual_seed(seed)
            model = train(Reader(make()))
            rows.append([accuracy(model, noise) for noise in (0.0, 0.3)])
        results[name] = np.array(rows)  # (seed, noise)
    return (results,)


@app.cell
def _(interval, mo, results, xr):
    table = []
    for layer, values in results.items():
        row = {"layer": layer}
        for column, condition in enumerate(("clean", "noise 0.3")):
            one = interval(xr.DataArray(values[:, column], dims="seed"))
            estimate, low, high = (float(one[k]) for k in ("estimate", "low", "high"))
            row[condition] = f"{estimate:.1%} [{low:.1%}, {high:.1%}]"
        table.append(row)
        print("   ".join(f"{text:<22}" for text in row.values()))
    mo.ui.table(table, selection=None)


@app.cell
def _(mo):
    mo.md(r"""
    Intervals are 95% by Student's t over three seeds, which is few. With 8 steps there is little to
    remember: where adaptation pays, and where it does not, is the question of longer sequences
    (`adaptrnn train psmnist`).
    """)


if __name__ == "__main__":
    app.run()
