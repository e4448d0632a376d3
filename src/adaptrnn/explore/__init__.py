"""The explorer: f-I curves and adaptive neurons to move by hand, in the browser.

`view` makes the first view, a page that computes and draws by itself (view.js). `app` is the page
around it, thin; what it shows is computed by `curve`, `neuron`, `real_cell`, drawn by `picture`,
put into words by `page`; `network` reads runs, `command` starts the server.
"""
