"""Only this module, which has the Triton kernels, imports Triton when it is itself imported.

A row is one neuron of one sample. Kernels over rows act on each row by itself, so that no program
reads what another writes: there are no atomics, and the border between two kernels is the only
barrier. A controller's state is a row of PITCH numbers, G rounded up to a multiple of 4, of which
those beyond G are zero; inside a kernel it has U >= PITCH columns, a power of 2, and the weights
are padded with zeros to that. Tensors are given whole, with the number of the time step: a tensor
of all steps may have more than 2^31 numbers, so offsets are 64 bits wide.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _tanh(x):
    """Hyperbolic tangent, from an exponential that cannot overflow."""
    e = tl.exp(-2.0 * tl.abs(x))
    t = (1.0 - e) / (1.0 + e)
    return tl.where(x < 0, -t, t)


@triton.jit
def _log1p(e):
    """ln(1 + e) for 0 <= e <= 1, relatively accurate where e is tiny too."""
    y = 1.0 + e
    d = y - 1.0
    return tl.where(d == 0.0, e, tl.log(y) * (e / tl.where(d == 0.0, 1.0, d)))


@triton.jit
def _curve(x, n):
    """Of u = n x: log1p(exp -|u|), g1, g2, 1 - g2, and the entropy |u| e q + log1p(e)."""
    u = n * x
    e = tl.exp(-tl.abs(u))
    q = 1.0 / (1.0 + e)
    positive = u > 0
    log = _log1p(e)
    g1 = tl.where(positive, x, 0.0) + log / n
    g2 = tl.where(positive, q, e * q)
    rest = tl.where(positive, e * q, q)
    return g1, g2, rest, tl.abs(u) * (e * q) + log


@triton.jit
def _slopes(x, n, s):
    """Derivatives of the curve by x, n and s."""
    g1, g2, rest, entropy = _curve(x, n)
    by_x = g2 * ((1.0 - s) + s * n * rest)
    by_n = (s - 1.0) * entropy / (n * n) + s * x * g2 * rest
    return by_x, by_n, g2 - g1


@triton.jit
def _read(g, weight_gc, bias_gc, c, U: tl.constexpr):
    """Gain n and saturation s of each row, (BLOCK,)."""
    n = tl.sum(g * tl.load(weight_gc + c)[None, :], 1) + tl.load(bias_gc)
    s = tl.sum(g * tl.load(weight_gc + U + c)[None, :], 1) + tl.load(bias_gc + 1)
    return n, s


@triton.jit(do_not_specialize=["a_at", "h_at", "before_at", "now_at", "rows"])
def forward_rows(
    a,  # (any, rows) float32, read at a_at
    before,  # (any, rows, PITCH), read at before_at
    weight_ag,  # (U,)
    weight_gg,  # (U, U)
    bias_g,  # (U,)
    weight_gc,  # (2, U)
    bias_gc,  # (2,)
    h,  # (any, rows), written at h_at
    now,  # (any, rows, PITCH), written at now_at
    a_at,
    h_at,
    before_at,
    now_at,
    rows,
    U: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Compute one time step of the controller and the f-I curve: g = tanh(...), n, s, h."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = row < rows
    c = tl.arange(0, U)
    there = real[:, None] & (c < PITCH)[None, :]
    at = row.to(tl.int64)[:, None] * PITCH + c[None, :]
    step = rows.to(tl.int64)
    x = tl.load(a + a_at * step + row, mask=real, other=0.0)
    g = tl.load(before + before_at * step * PITCH + at, mask=there, other=0.0)
    transposed = tl.load(weight_gg + c[None, :] * U + c[:, None])
    z = tl.dot(g, transposed, input_precision=PRECISION)
    g = _tanh(z + x[:, None] * tl.load(weight_ag + c)[None, :] + tl.load(bias_g + c)[None, :])
    tl.store(now + now_at * step * PITCH + at, g, mask=there)
    n, s = _read(g, weight_gc, bias_gc, c, U)
    g1, g2, _, _ = _curve(x, n)
    tl.store(h + h_at * step + row, (1.0 - s) * g1 + s * g2, mask=real)


@triton.jit(do_not_specialize=["first", "steps", "rows"])
def recompute(
    a,  # (T, rows)
    g,  # (> steps, rows, PITCH): the first state is given, the others are written
    weight_ag,  # (U,)
    weight_gg,  # (U, U)
    bias_g,  # (U,)
    first,
    steps,
    rows,
    U: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Compute states after steps first, first + 1, ... from activations: no row needs another."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = row < rows
    c = tl.arange(0, U)
    there = real[:, None] & (c < PITCH)[None, :]
    at = row.to(tl.int64)[:, None] * PITCH + c[None, :]
    transposed = tl.load(weight_gg + c[None, :] * U + c[:, None])
    wa = tl.load(weight_ag + c)[None, :]
    b = tl.load(bias_g + c)[None, :]
    state = tl.load(g + at, mask=there, other=0.0)
    step = rows.to(tl.int64)
    a += first * step
    for _ in range(steps):
        x = tl.load(a + row, mask=real, other=0.0)
        z = tl.dot(state, transposed, input_precision=PRECISION)
        state = _tanh(z + x[:, None] * wa + b)
        g += step * PITCH
        tl.store(g + at, state, mask=there)
        a += step


@triton.jit(do_not_specialize=["t", "now_at", "i", "rows"])
def backward_rows(
    dh,  # (rows,), gradient of the rates of this step
    a,  # (T, rows), read at t
    now,  # (any, rows, PITCH), the states after the step at now_at
    dg,  # (rows, PITCH), gradient of the states after the step, becomes that of those before
    weight_ag,  # (U,)
    weight_gg,  # (U, U)
    weight_gc,  # (2, U)
    bias_gc,  # (2,)
    da,  # (T, rows), written at t
    dz,  # (steps, rows, PITCH), written at i
    dn,  # (steps, rows), written at i
    ds,  # (steps, rows), written at i
    t,
    now_at,
    i,
    rows,
    U: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Compute one step backwards: from dh and dg to da, dn, ds, dz (within the tanh) and dg."""
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = row < rows
    c = tl.arange(0, U)
    there = real[:, None] & (c < PITCH)[None, :]
    at = row.to(tl.int64)[:, None] * PITCH + c[None, :]
    step = rows.to(tl.int64)
    x = tl.load(a + t * step + row, mask=real, other=0.0)
    slope = tl.load(dh + row, mask=real, other=0.0)
    g = tl.load(now + now_at * step * PITCH + at, mask=there, other=0.0)
    n, s = _read(g, weight_gc, bias_gc, c, U)
    by_x, by_n, by_s = _slopes(x, n, s)
    by_n *= slope
    by_s *= slope
    tl.store(dn + i * step + row, by_n, mask=real)
    tl.store(ds + i * step + row, by_s, mask=real)
    inner = tl.load(dg + at, mask=there, other=0.0)
    inner += by_n[:, None] * tl.load(weight_gc + c)[None, :]
    inner += by_s[:, None] * tl.load(weight_gc + U + c)[None, :]
    inner *= 1.0 - g * g
    tl.store(dz + i * step * PITCH + at, inner, mask=there)
    through = tl.sum(inner * tl.load(weight_ag + c)[None, :], 1)
    tl.store(da + t * step + row, slope * by_x + through, mask=real)
    matrix = tl.load(weight_gg + c[:, None] * U + c[None, :])
    tl.store(dg + at, tl.dot(inner, matrix, input_precision=PRECISION), mask=there)


@triton.jit(do_not_specialize=["first", "slot", "steps", "rows", "chunk"])
def weights(
    dz,  # (>= steps, rows, PITCH)
    dn,  # (>= steps, rows)
    ds,  # (>= steps, rows)
    a,  # (T, rows), of the steps from `first`
    g,  # (any, rows, PITCH), the states before step first, after it, ... from `slot`
    sums,  # (programs, U + 5, U)
    first,
    slot,
    steps,
    rows,
    chunk,
    U: tl.constexpr,
    PITCH: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Compute gradients of the controller's weights over a segment, each program its own sums.

    A state is the one before a step, which dW_gg needs, and the one after the step before, which
    dW_gc needs: both sums are made when it is read. Rows of `sums`: dW_gg, dW_ag, db_g, dW_gc
    (two), and db_gc (its first two numbers).
    """
    program = tl.program_id(0).to(tl.int64)
    step = rows.to(tl.int64)
    last = steps * step
    c = tl.arange(0, U)
    gg = tl.zeros((U, U), tl.float32)
    ag = tl.zeros((U,), tl.float32)
    bg = tl.zeros((U,), tl.float32)
    wn = tl.zeros((U,), tl.float32)
    ws = tl.zeros((U,), tl.float32)
    bn = tl.zeros((BLOCK,), tl.float32)
    bs = tl.zeros((BLOCK,), tl.float32)
    a += first * step
    g += slot * step * PITCH
    for start in range(0, chunk, BLOCK):
        row = program * chunk + start + tl.arange(0, BLOCK)
        at = row[:, None] * PITCH + c[None, :]
        columns = (c < PITCH)[None, :]
        before = row < last
        after = (row >= step) & (row < last + step)
        state = tl.load(g + at, mask=(before | after)[:, None] & columns, other=0.0)
        d = tl.load(dz + at, mask=before[:, None] & columns, other=0.0)
        gg = tl.dot(tl.trans(d), state, gg, input_precision=PRECISION)
        x = tl.load(a + row, mask=before, other=0.0)
        ag += tl.sum(d * x[:, None], 0)
        bg += tl.sum(d, 0)
        n = tl.load(dn + row - step, mask=after, other=0.0)
        s = tl.load(ds + row - step, mask=after, other=0.0)
        wn += tl.sum(state * n[:, None], 0)
        ws += tl.sum(state * s[:, None], 0)
        bn += n
        bs += s
    mine = sums + program * (U + 5) * U
    tl.store(mine + c[:, None] * U + c[None, :], gg)
    tl.store(mine + U * U + c, ag)
    tl.store(mine + (U + 1) * U + c, bg)
    tl.store(mine + (U + 2) * U + c, wn)
    tl.store(mine + (U + 3) * U + c, ws)
    tl.store(mine + (U + 4) * U, tl.sum(bn, 0))
    tl.store(mine + (U + 4) * U + 1, tl.sum(bs, 0))


@triton.jit
def _product(
    x,  # (batch, size)
    weight,  # (size, size)
    sample,
    neuron,
    batch,
    size,
    TRANSPOSED: tl.constexpr,
    SAMPLES: tl.constexpr,
    NEURONS: tl.constexpr,
    INNER: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of x W^T (transposed), or of x W."""
    total = tl.zeros((SAMPLES, NEURONS), tl.float32)
    for start in range(0, size, INNER):
        k = start + tl.arange(0, INNER)
        inner = k < size
        left = tl.load(
            x + sample[:, None] * size + k[None, :],
            mask=(sample < batch)[:, None] & inner[None, :],
            other=0.0,
        )
        if TRANSPOSED:
            at = neuron[None, :] * size + k[:, None]
        else:
            at = k[:, None] * size + neuron[None, :]
        right = tl.load(weight + at, mask=inner[:, None] & (neuron < size)[None, :], other=0.0)
        total = tl.dot(left, right, total, input_precision=PRECISION)
    return total


@triton.jit(do_not_specialize=["t", "before_at", "h_at", "a_at", "batch"])
def gamma_forward(
    currents,  # (T, batch, size), read at t
    before,  # (any, batch, size), rates, read at before_at
    weight_hh,  # (size, size)
    n,  # (size,)
    s,  # (size,)
    h,  # (any, batch, size), written at h_at
    a,  # (any, batch, size), written at a_at
    t,
    before_at,
    h_at,
    a_at,
    batch,
    size,
    SAMPLES: tl.constexpr,
    NEURONS: tl.constexpr,
    INNER: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Compute one step of the gamma RNN: product and curve of a tile of samples and neurons."""
    sample = (tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)).to(tl.int64)
    neuron = (tl.program_id(0) * NEURONS + tl.arange(0, NEURONS)).to(tl.int64)
    column = neuron < size
    real = (sample < batch)[:, None] & column[None, :]
    at = sample[:, None] * size + neuron[None, :]
    step = batch.to(tl.int64) * size
    x = tl.load(currents + t * step + at, mask=real, other=0.0)
    x += _product(
        before + before_at * step,
        weight_hh,
        sample,
        neuron,
        batch,
        size,
        True,
        SAMPLES,
        NEURONS,
        INNER,
        PRECISION,
    )
    gain = tl.load(n + neuron, mask=column, other=1.0)[None, :]
    saturation = tl.load(s + neuron, mask=column, other=0.0)[None, :]
    g1, g2, _, _ = _curve(x, gain)
    tl.store(a + a_at * step + at, x, mask=real)
    tl.store(h + h_at * step + at, (1.0 - saturation) * g1 + saturation * g2, mask=real)


@triton.jit(do_not_specialize=["t", "batch"])
def gamma_backward(
    grad_output,  # (T, batch, size), read at t; not read unless GIVEN
    dh,  # (batch, size), gradient of the last rates; read at the last step only
    a,  # (T, batch, size), read at t
    weight_hh,  # (size, size)
    n,  # (size,)
    s,  # (size,)
    da,  # (T, batch, size), read at t + 1, written at t
    sums,  # (2, tiles of samples, size) float64: by n and s, of this step and all after it
    t,
    batch,
    size,
    GIVEN: tl.constexpr,
    LAST: tl.constexpr,
    SAMPLES: tl.constexpr,
    NEURONS: tl.constexpr,
    INNER: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Compute one step backwards: dh = gradient + da_{t+1} W_hh, da_t, and sums of dn and ds."""
    sample = (tl.program_id(1) * SAMPLES + tl.arange(0, SAMPLES)).to(tl.int64)
    neuron = (tl.program_id(0) * NEURONS + tl.arange(0, NEURONS)).to(tl.int64)
    column = neuron < size
    real = (sample < batch)[:, None] & column[None, :]
    at = sample[:, None] * size + neuron[None, :]
    step = batch.to(tl.int64) * size
    if LAST:
        slope = tl.load(dh + at, mask=real, other=0.0)
    else:
        slope = _product(
            da + (t + 1) * step,
            weight_hh,
            sample,
            neuron,
            batch,
            size,
            False,
            SAMPLES,
            NEURONS,
            INNER,
            PRECISION,
        )
        if GIVEN:
            slope += tl.load(grad_output + t * step + at, mask=real, other=0.0)
    x = tl.load(a + t * step + at, mask=real, other=0.0)
    gain = tl.load(n + neuron, mask=column, other=1.0)[None, :]
    saturation = tl.load(s + neuron, mask=column, other=0.0)[None, :]
    by_x, by_n, by_s = _slopes(x, gain, saturation)
    tl.store(da + t * step + at, slope * by_x, mask=real)
    slope = tl.where(real, slope, 0.0)
    place = sums + tl.program_id(1).to(tl.int64) * size + neuron
    sum_n = tl.sum(slope * by_n, 0).to(tl.float64)
    sum_s = tl.sum(slope * by_s, 0).to(tl.float64)
    tl.store(place, tl.load(place, mask=column) + sum_n, mask=column)
    place += tl.num_programs(1).to(tl.int64) * size
    tl.store(place, tl.load(place, mask=column) + sum_s, mask=column)
