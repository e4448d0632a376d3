"""The explorer lets you change f-I curves and adaptive neurons by hand, in the browser.

`view` makes the first view, a page that computes and draws by itself (view.js). `app` is the thin
page around it. What it shows is computed by `curve`, `neuron` and `real_cell`, drawn by `picture`
and put into words by `page`. `network` reads runs, and `command` starts the server.
"""
