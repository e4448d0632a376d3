"use strict";
// The first view: two networks read a digit under a drive, and one f-I curve. `state` is all that
// is shown; `show` draws it; every control changes `state` and asks for the next frame.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const unpack = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const weights = {};
for (const [model, network] of Object.entries(data.networks)) {
  weights[model] = {};
  for (const [name, text] of Object.entries(network.weights)) weights[model][name] = unpack(text);
}
const inputs = unpack(data.digits); // (10, T), before the permutation
const T = data.order.length, side = Math.round(Math.sqrt(T)), [START, STOP] = data.window;
const LARGEST = 20;

// ---- the model --------------------------------------------------------------------------------

function gamma(x, n, s) {
  const u = n * x, e = Math.exp(-Math.abs(u)), q = 1 / (1 + e);
  return (1 - s) * (Math.max(u, 0) / n + Math.log1p(e) / n) + s * (u > 0 ? q : e * q);
}

function slope(x, n, s) {
  const u = n * x, e = Math.exp(-Math.abs(u)), q = 1 / (1 + e);
  const up = u > 0 ? q : e * q, down = u > 0 ? e * q : q;
  return up * (1 - s + s * n * down);
}

function steepest(n, s) {
  return s > 1 / (n + 1) ? (1 + s * (n - 1)) ** 2 / (4 * n * s) : 1 - s;
}

function level(xi, n) { // s at which the slope at xi is 1 - epsilon
  const down = 1 / (1 + Math.exp(n * xi)), up = 1 / (1 + Math.exp(-n * xi));
  return (down - data.epsilon) / (up * (n * down - 1));
}

// one digit through one network: p (T, 10), and of an ARUN a, n, s, h, each (T, N)
function read(model, digit, xi) {
  const { weight_ih, bias_ih, bias_hh, weight_hh, readout_weight, readout_bias } = weights[model];
  const { weight_ag, bias_ag, bias_gg, weight_gg, weight_gc, bias_gc } = weights[model];
  const N = bias_hh.length, K = readout_bias.length, G = bias_ag ? bias_ag.length : 0;
  const seen = { N, K, p: new Float64Array(T * K) };
  for (const name of "ansh") seen[name] = new Float64Array(T * N);
  let h = new Float64Array(N), fresh = new Float64Array(N);
  const g = new Float64Array(N * G), next = new Float64Array(G), y = new Float64Array(K);
  for (let t = 0; t < T; t++) {
    const x = inputs[digit * T + data.order[t]], drive = t >= START && t < STOP ? xi : 0;
    for (let i = 0; i < N; i++) {
      let a = weight_ih[i] * x + bias_ih[i] + bias_hh[i] + drive;
      for (let j = 0, k = i * N; j < N; j++) a += weight_hh[k + j] * h[j];
      seen.a[t * N + i] = a;
      if (!G) { fresh[i] = Math.max(a, 0); continue; }
      for (let j = 0; j < G; j++) {
        let value = weight_ag[j] * a + bias_ag[j] + bias_gg[j];
        for (let k = 0, l = j * G, m = i * G; k < G; k++) value += weight_gg[l + k] * g[m + k];
        next[j] = Math.tanh(value);
      }
      let n = bias_gc[0], s = bias_gc[1];
      for (let j = 0; j < G; j++) {
        g[i * G + j] = next[j];
        n += weight_gc[j] * next[j];
        s += weight_gc[G + j] * next[j];
      }
      seen.n[t * N + i] = n;
      seen.s[t * N + i] = s;
      fresh[i] = gamma(a, n, s);
    }
    [h, fresh] = [fresh, h];
    seen.h.set(h, t * N);
    for (let k = 0; k < K; k++) {
      y[k] = readout_bias[k];
      for (let i = 0; i < N; i++) y[k] += readout_weight[k * N + i] * h[i];
    }
    const top = Math.max(...y), e = y.map((v) => Math.exp(v - top)), sum = e.reduce((u, v) => u + v);
    seen.p.set(e.map((v) => v / sum), t * K);
  }
  return seen;
}

const kept = new Map();
function reading(model, digit, xi) {
  const key = `${model} ${digit} ${xi}`;
  if (!kept.has(key)) {
    if (kept.size > 40) kept.clear();
    kept.set(key, read(model, digit, xi));
  }
  return kept.get(key);
}

function best(seen, t) {
  const p = seen.p.subarray((t - 1) * seen.K, t * seen.K);
  return p.indexOf(Math.max(...p));
}

function accuracyAt(model, xi) { // mean over networks, between the drives that were measured
  const { drive } = data.accuracy;
  const right = Math.max(1, drive.findIndex((d) => d >= xi)), left = right - 1;
  const part = (xi - drive[left]) / (drive[right] - drive[left]);
  const all = data.accuracy[model].map((row) => row[left] + part * (row[right] - row[left]));
  return all.reduce((u, v) => u + v) / all.length;
}

// ---- what is shown, and its address -------------------------------------------------------------

const FIRST = { xi: 3, digit: 9, neuron: 89, t: T, n: 5, s: 0.2, x: 1, zoom: 0 };
const LIMITS = { xi: [0, LARGEST], digit: [0, 9], neuron: [0, weights.arun.bias_hh.length - 1], t: [1, T],
  n: [0.25, 50], s: [-0.25, 1.15], x: [-3, 3], zoom: [0, 1] };
const WHOLE = ["digit", "neuron", "t", "zoom"];
const state = { ...FIRST };

// inside the explorer this page is a frame without an address of its own
const host = location.protocol === "about:" ? window.parent : window;

function set(changes) {
  for (const [name, value] of Object.entries(changes)) {
    const [low, high] = LIMITS[name], number = Number(value);
    if (!Number.isFinite(number) || value === "") continue;
    const inside = Math.min(Math.max(number, low), high);
    state[name] = WHOLE.includes(name) ? Math.round(inside) : Number(inside.toFixed(4));
  }
}

function fromAddress() {
  const given = new URLSearchParams(host.location.hash.slice(1));
  set(Object.fromEntries([...given].filter(([name]) => name in LIMITS)));
}

function address() {
  const parts = Object.keys(FIRST).filter((name) => state[name] !== FIRST[name]).map((name) => `${name}=${state[name]}`);
  return parts.length ? `#${parts.join("&")}` : "";
}

function link() { // without what is asked for after "?", where a token may be
  const { origin, protocol, pathname } = host.location;
  return (protocol === "file:" ? "file://" : origin) + pathname + address();
}

let waiting = 0, later = 0;
function ask(changes = {}) {
  set(changes);
  if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; show(); });
  clearTimeout(later); // browsers refuse many changes of an address a second
  later = setTimeout(() => {
    try { host.history.replaceState(host.history.state, "", host.location.pathname + host.location.search + address()); } catch { /* a page from the disk */ }
  }, 250);
}

// ---- drawing ------------------------------------------------------------------------------------

function add(parent, name, attributes = {}, words = null) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (words !== null) node.textContent = words;
  parent.append(node);
  return node;
}

const tidy = (v) => String(Number(v.toPrecision(3))).replace("-", "−");

function ticksOf([low, high], count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(Number((k * step).toPrecision(6)));
  return found;
}

// axes in a box of an SVG; x and y are ranges; `by` turns a value of x into what is linear
function axes(svg, box, x, y, { by = (v) => v, back = (v) => v, xticks, yticks, xlabel = "", ylabel = "", count = 3 } = {}) {
  const { left, top, width, height } = box, [x0, x1] = x.map(by), [y0, y1] = y;
  const X = (v) => left + ((by(v) - x0) / (x1 - x0)) * width, Y = (v) => top + ((y1 - v) / (y1 - y0)) * height;
  for (const v of yticks || ticksOf(y, count)) {
    add(svg, "path", { class: "grid", d: `M${left} ${Y(v)}h${width}` });
    add(svg, "text", { class: "small", x: left - 5, y: Y(v) + 3.5, "text-anchor": "end" }, tidy(v));
  }
  for (const v of xticks || ticksOf(x, 5)) {
    add(svg, "path", { class: "grid", d: `M${X(v)} ${top}v${height}` });
    if (xlabel) add(svg, "text", { class: "small", x: X(v), y: top + height + 14, "text-anchor": "middle" }, tidy(v));
  }
  if (xlabel) add(svg, "text", { x: left + width / 2, y: top + height + 29, "text-anchor": "middle" }, xlabel);
  if (ylabel) add(svg, "text", { transform: `translate(${left - 34} ${top + height / 2}) rotate(-90)`, "text-anchor": "middle" }, ylabel);
  const inside = (v, low, high) => Math.min(Math.max(v, low), high);
  return {
    X, Y,
    line(xs, ys, type) {
      let d = "", pen = "M";
      for (let i = 0; i < xs.length; i++) {
        if (!Number.isFinite(ys[i])) { pen = "M"; continue; }
        d += `${pen}${X(xs[i]).toFixed(1)} ${inside(Y(ys[i]), top - 2, top + height + 2).toFixed(1)}`;
        pen = "L";
      }
      add(svg, "path", { class: type, d: d || "M0 0" });
    },
    dot: (u, v, r, type, more = {}) => add(svg, "circle", { class: type, cx: X(u).toFixed(1), cy: Y(v).toFixed(1), r, ...more }),
    valueAt(event) {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return [back(x0 + ((place.x - left) / width) * (x1 - x0)), y1 - ((place.y - top) / height) * (y1 - y0), place];
    },
  };
}

function clear(id, width, height, words) {
  const svg = $(id);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label", words);
  return svg;
}

const columnOf = (seen, name, i) => Array.from({ length: T }, (_, t) => seen[name][t * seen.N + i]);
const around = (values, least) => {
  const low = Math.min(...values), high = Math.max(...values), half = Math.max((high - low) / 2, least / 2) * 1.1;
  return [(low + high) / 2 - half, (low + high) / 2 + half];
};
const steps = Array.from({ length: T }, (_, t) => t);

function showImage() {
  const svg = clear("image", 140, 140, `digit ${state.digit}, ${state.t} of ${T} pixels read`), size = 140 / side;
  for (let k = 0; k < state.t; k++) {
    const pixel = data.order[k], value = inputs[state.digit * T + pixel];
    const place = { x: (pixel % side) * size, y: Math.floor(pixel / side) * size, width: size + 0.2, height: size + 0.2 };
    add(svg, "rect", { ...place, fill: `rgb(${Math.round(255 * value)} ${Math.round(255 * value)} ${Math.round(255 * value)})` });
    if (k === state.t - 1 && state.t < T) add(svg, "rect", { ...place, class: "arun" });
  }
  add(svg, "rect", { class: "grid", x: 0, y: 0, width: 140, height: 140 });
  $("read-title").textContent = `pixels read: ${state.t} of ${T}`;
}

function showAnswers(seen) {
  $("now").textContent = state.t;
  const table = $("answers");
  if (!table.rows.length) {
    const head = table.createTHead().insertRow();
    head.append(Object.assign(document.createElement("td"), { textContent: "" }));
    for (const model of ["arun", "relu"]) head.append(Object.assign(document.createElement("th"), { scope: "col", textContent: data.networks[model].label }));
    const body = table.createTBody();
    for (let k = 0; k < 10; k++) {
      const row = body.insertRow();
      row.append(Object.assign(document.createElement("th"), { scope: "row", textContent: k }));
      for (const model of ["arun", "relu"]) row.insertCell().append(Object.assign(document.createElement("span"), { className: `bar ${model}`, id: `${model}-${k}` }));
    }
  }
  for (const [model, one] of Object.entries(seen)) {
    for (let k = 0; k < 10; k++) {
      const p = one.p[(state.t - 1) * one.K + k], bar = $(`${model}-${k}`);
      bar.style.width = `${100 * p}%`;
      bar.title = `${(100 * p).toFixed(0)}%`;
      bar.dataset.probability = p.toFixed(4);
      bar.closest("tr").className = k === state.digit ? "right" : "";
    }
  }
}

function showTraces(seen, calm) {
  const svg = clear("traces", 360, 432, `current, gain, saturation and rate of neuron ${state.neuron} over ${T} steps`);
  const rows = [["a", "current a", 1], ["n", "gain n", 0.5], ["s", "saturation s", 0.05], ["h", "rate h", 0.5]];
  rows.forEach(([name, label, least], row) => {
    const values = columnOf(seen, name, state.neuron), without = columnOf(calm, name, state.neuron);
    const box = { left: 48, top: 4 + row * 99, width: 306, height: 88 };
    const one = axes(svg, box, [0, T], around([...values, ...without], least), { xlabel: row === 3 ? "step t" : "", ylabel: label });
    add(svg, "rect", { class: "shade", x: one.X(START), y: box.top, width: one.X(STOP) - one.X(START), height: box.height });
    one.line(steps, without, "faint");
    one.line(steps, values, "arun");
    add(svg, "path", { class: "cursor", d: `M${one.X(state.t - 1)} ${box.top}v${box.height}` });
    one.dot(state.t - 1, values[state.t - 1], 4, "arun dot");
  });
}

let spread = null; // of all neurons, so that the plane stays where it is while the drive moves
function showStates(seen) {
  spread ||= ["n", "s"].map((name) => {
    const all = [0, 10].flatMap((xi) => Array.from(reading("arun", 0, xi)[name])).sort((u, v) => u - v);
    return around([all[Math.floor(0.001 * all.length)], all[Math.ceil(0.999 * all.length) - 1]], 0.1);
  });
  const svg = clear("states", 360, 236, `gain and saturation of every neuron at step ${state.t}; neuron ${state.neuron} is marked`);
  const box = { left: 48, top: 4, width: 306, height: 196 };
  const one = axes(svg, box, spread[0], spread[1], { xlabel: "gain n", ylabel: "saturation s" });
  const last = (state.t - 1) * seen.N, from = Math.max(0, state.t - 60);
  const cut = (name) => columnOf(seen, name, state.neuron).slice(from, state.t);
  for (let i = 0; i < seen.N; i++) one.dot(seen.n[last + i], seen.s[last + i], 3, "rest hand");
  one.line(cut("n"), cut("s"), "arun thin");
  one.dot(seen.n[last + state.neuron], seen.s[last + state.neuron], 6.5, "arun dot", { id: "this-neuron" });
  svg.onclick = (event) => {
    const place = one.valueAt(event)[2];
    const far = (i) => Math.hypot(one.X(seen.n[last + i]) - place.x, one.Y(seen.s[last + i]) - place.y);
    const nearest = Array.from({ length: seen.N }, (_, i) => i).reduce((u, v) => (far(v) < far(u) ? v : u));
    if (far(nearest) < 25) ask({ neuron: nearest });
  };
}

function showAccuracy() {
  const { drive, images } = data.accuracy, count = data.accuracy.arun.length;
  const svg = clear("accuracy", 360, 206, `accuracy of both models against the drive, on ${images} test images`);
  const box = { left: 48, top: 6, width: 240, height: 162 };
  const one = axes(svg, box, [0, LARGEST], [0, 1], { by: Math.sqrt, back: (v) => v * Math.abs(v), xticks: [0, 1, 2, 5, 10, 20],
    yticks: [0, 0.25, 0.5, 0.75, 1], xlabel: "drive ξ (square-root axis)", ylabel: "accuracy" });
  for (const model of ["arun", "relu"]) {
    for (const row of data.accuracy[model]) one.line(drive, row, `${model} thin`);
    one.line(drive, drive.map((d) => accuracyAt(model, d)), model);
    one.dot(state.xi, accuracyAt(model, state.xi), 4.5, `${model} dot`);
    add(svg, "text", { x: 293, y: one.Y(accuracyAt(model, LARGEST)) + 4 }, data.networks[model].label);
  }
  add(svg, "path", { class: "cursor", d: `M${one.X(state.xi)} ${box.top}v${box.height}` });
  add(svg, "rect", { class: "grip pull", ...{ x: box.left - 10, y: box.top, width: box.width + 20, height: box.height } });
  $("accuracy-title").textContent = `${images.toLocaleString("en")} test digits: ${count} networks each, their mean bold`;
  drag(svg, (event) => ask({ xi: one.valueAt(event)[0] }));
}

// the frame is drawn anew at each move: the SVG itself keeps the pointer
function drag(svg, moved, starts = () => true) {
  svg.onpointerdown = (event) => {
    if (!starts(event)) return;
    svg.setPointerCapture(event.pointerId);
    svg.dataset.dragged = "1";
    moved(event);
  };
  svg.onpointermove = (event) => { if (svg.dataset.dragged) moved(event); };
  svg.onpointerup = svg.onpointercancel = () => delete svg.dataset.dragged;
}

function say(seen, calm) {
  const { xi, neuron, digit, t } = state, whole = { arun: best(seen.arun, t), relu: best(seen.relu, t) };
  const parts = [];
  const mean = (name, one) => {
    let sum = 0;
    for (let k = START; k < STOP; k++) sum += one[name][k * one.N + neuron];
    return sum / (STOP - START);
  };
  if (xi === 0) parts.push("There is no drive yet: drag ξ to the right.");
  else if (t >= STOP) {
    const turn = (name, digits) => `${mean(name, calm).toFixed(digits)} to ${mean(name, seen.arun).toFixed(digits)}`.replaceAll("-", "−");
    parts.push(`Under a drive of ${tidy(xi)}, the mean gain of neuron ${neuron} goes from ${turn("n", 2)} and its mean saturation from ${turn("s", 3)}.`);
  } else parts.push(t < START ? "The drive has not begun." : `The drive is on (ξ = ${tidy(xi)}).`);
  const when = t < T ? `After ${t} pixels` : "At the end";
  const word = (model) => `${data.networks[model].label} says ${whole[model]}${whole[model] === digit ? " (right)" : " (wrong)"}`;
  parts.push(`${when} ${word("arun")} and ${word("relu")}.`);
  const percent = (model) => `${Math.round(100 * accuracyAt(model, xi))}%`;
  parts.push(`Of ${data.accuracy.images.toLocaleString("en")} digits under this drive, four ARUNs name about ${percent("arun")} rightly and four ReLU networks about ${percent("relu")}.`);
  $("said").textContent = parts.join(" ");
}

const grid = Array.from({ length: 161 }, (_, i) => -3 + (6 * i) / 160);
const gains = Array.from({ length: 181 }, (_, i) => 0.25 * 2000 ** (i / 180));

function showCurve() {
  const { n, s, x } = state, tall = Math.max(1.5, 1.1 * steepest(n, s));
  const svg = clear("curve", 360, 372, `f-I curve and its slope for n = ${n}, s = ${s}`);
  const parts = [[gamma, "rate γ", [-0.15, 2.6], 4], [slope, "slope γ′", [-0.1, tall], 190]];
  const dashes = { softplus: "6 3", ReLU: "8 3 2 3", sigmoid: "2 3", step: "" };
  for (const [what, label, range, top] of parts) {
    const one = axes(svg, { left: 48, top, width: 306, height: 150 }, [-3, 3], range, { ylabel: label, xlabel: what === slope ? "current x" : "", xticks: [-3, -2, -1, 0, 1, 2, 3] });
    for (const [name, [gain, saturation]] of Object.entries(data.known)) {
      if (name === "step" && what === slope) continue;
      one.line(grid, grid.map((v) => what(v, gain, saturation)), "knownline");
      svg.lastChild.setAttribute("stroke-dasharray", dashes[name]);
      if (what === gamma) {
        const at = { softplus: 1.35, ReLU: 2.45, sigmoid: -2, step: 1.9 }[name];
        add(svg, "text", { class: "small", x: one.X(at), y: one.Y(what(at, gain, saturation)) - 5, "text-anchor": "end" }, name);
      }
    }
    if (what === slope) add(svg, "path", { class: "axis", d: `M48 ${one.Y(1)}h306` });
    one.line(grid, grid.map((v) => what(v, n, s)), "arun");
    one.dot(x, what(x, n, s), 5.5, "arun dot");
  }
}

function showMap() {
  const { n, s, x } = state;
  const [restN, restS] = data.rest || [0, 1].map((k) => {
    const seen = reading("arun", 0, 0), name = "ns"[k];
    return Array.from({ length: seen.N }, (_, i) => seen[name][(START - 1) * seen.N + i]);
  });
  const near = (values, factor) => [Math.min(...values, factor(-1)), Math.max(...values, factor(1))];
  const xs = state.zoom ? near([...restN, n], () => n).map((v, k) => v * (k ? 1.1 : 0.9)) : [0.25, 500];
  const ys = state.zoom ? around(near([...restS, s], () => s), 0.1) : [-0.25, 1.15];
  const svg = clear("map", 360, 372, `the plane of gain and saturation, with a point at n = ${n}, s = ${s}`);
  const box = { left: 48, top: 4, width: 306, height: 322 };
  const ticks = state.zoom ? ticksOf(xs, 4).filter((v) => v > 0) : [0.25, 1, 5, 20, 100, 500];
  const one = axes(svg, box, xs, ys, { by: Math.log, back: Math.exp, xticks: ticks, count: 5, xlabel: "gain n (log axis)", ylabel: "saturation s" });
  const visible = (gain, saturation) => gain >= xs[0] && gain <= xs[1] && saturation >= ys[0] && saturation <= ys[1];

  // where the curve expands: below s = 0, and above a bound that falls as the gain grows
  const Xs = gains.filter((v) => v >= xs[0] && v <= xs[1]);
  const bound = Xs.map((v) => Math.min(ys[1], Math.max(ys[0], edgeOfExpanding(v))));
  const shape = (upper, lower) => `M${Xs.map((v, i) => `${one.X(v)} ${one.Y(upper[i])}`).join("L")}L${[...Xs].reverse().map((v, i) => `${one.X(v)} ${one.Y(lower[Xs.length - 1 - i])}`).join("L")}Z`;
  const flat = (v) => Xs.map(() => Math.min(ys[1], Math.max(ys[0], v)));
  add(svg, "path", { class: "shade", d: shape(flat(0), flat(ys[0])) });
  add(svg, "path", { class: "shade", d: shape(flat(ys[1]), bound) });

  const inX = (v) => Math.min(Math.max(v, xs[0]), xs[1]), inY = (v) => Math.min(Math.max(v, ys[0]), ys[1]);
  const [[n0, n1], [s0, s1]] = data.scanned;
  add(svg, "rect", { class: "cursor", x: one.X(inX(n0)), y: one.Y(inY(s1)), width: one.X(inX(n1)) - one.X(inX(n0)), height: one.Y(inY(s0)) - one.Y(inY(s1)) });
  one.line(gains, gains.map((v) => (v < xs[0] || v > xs[1] || !visible(v, level(x, v)) ? NaN : level(x, v))), "level");
  for (const [name, [gain, saturation]] of Object.entries(data.known)) {
    const at = Math.min(gain, 470);
    if (!visible(at, saturation)) continue;
    one.dot(at, saturation, 3.5, "known");
    add(svg, "text", { x: one.X(at) - 7, y: one.Y(saturation) - 5, "text-anchor": "end" }, name + (gain > 500 ? " (n → ∞)" : ""));
  }
  restN.forEach((gain, i) => { if (visible(gain, restS[i])) one.dot(gain, restS[i], 3, "rest hand", { "data-neuron": i }); });
  for (const [name, [gain, saturation]] of Object.entries(data.cells)) {
    const at = inX(Math.min(Math.max(gain, 0.25), 470)), up = inY(saturation);
    add(svg, "rect", { class: "cell", x: one.X(at) - 4, y: one.Y(up) - 4, width: 8, height: 8 });
    add(svg, "text", { class: "cellname", x: one.X(at) - 8, y: one.Y(up) + 4, "text-anchor": "end" }, name);
  }
  one.dot(n, s, 8, "point", { id: "point" });
  one.dot(n, s, 20, "grip");

  const take = (event) => { const [gain, saturation] = one.valueAt(event); ask({ n: gain, s: saturation }); };
  drag(svg, take, (event) => {
    const place = one.valueAt(event)[2], far = (u, v) => Math.hypot(one.X(u) - place.x, one.Y(v) - place.y);
    if (far(n, s) < 20) return true;
    const hit = restN.map((gain, i) => [far(gain, restS[i]), i]).reduce((u, v) => (v[0] < u[0] ? v : u), [10, -1])[1];
    if (hit >= 0) { // that of the digits' network is also the one above
      ask({ n: restN[hit], s: restS[hit], ...(data.rest ? {} : { neuron: hit }) });
      return false;
    }
    return true;
  });
  key([["rest", "circle", `neurons of ${data.rest ? "your network" : "the ARUN"} at rest`], ["level", "path", `Λ(${tidy(x)})`], ["shade", "rect", "expands: steepest slope above 1"], ["cursor", "path", "scanned in the paper"],
    ...(Object.keys(data.cells).length ? [["cell", "rect", "cells"]] : [])]);
}

function edgeOfExpanding(n) { // above it the steepest slope, (1 + s(n - 1))^2 / (4 n s), is above 1
  return 1 / (Math.sqrt(n) - 1) ** 2;
}

function key(entries) {
  $("key").replaceChildren(...entries.map(([type, shape, words]) => {
    const item = document.createElement("li"), svg = add(item, "svg", { viewBox: "0 0 16 11", "aria-hidden": "true" });
    if (shape === "circle") add(svg, "circle", { class: type, cx: 8, cy: 6, r: 4 });
    else if (shape === "rect") add(svg, "rect", { class: type, x: 1, y: 0, width: 14, height: 11 });
    else add(svg, "path", { class: type, d: "M0 6h16" });
    item.append(words);
    return item;
  }));
}

function showNumbers() {
  const { n, s, x } = state, edge = level(x, n);
  const values = { rate: gamma(x, n, s), slope: slope(x, n, s), steepest: steepest(n, s), edge };
  for (const [name, value] of Object.entries(values)) $(name).textContent = Number.isFinite(value) ? (Math.round(1000 * value) / 1000 + 0).toFixed(3) : "–";
}

// ---- controls -----------------------------------------------------------------------------------

const scales = { xi: [(v) => Math.sqrt(v / LARGEST), (u) => LARGEST * u * u], n: [Math.log, Math.exp] };
const same = (v) => v;

function showControls() {
  for (const name of ["xi", "t", "n", "s", "x"]) {
    const [to] = scales[name] || [same];
    if (document.activeElement !== $(name)) $(name).value = to(state[name]);
    $(name).setAttribute("aria-valuetext", tidy(state[name]));
    const number = $(`${name}-number`);
    if (number && document.activeElement !== number) number.value = Number(state[name].toFixed(3));
  }
  if (document.activeElement !== $("neuron")) $("neuron").value = state.neuron;
  $("zoom").checked = Boolean(state.zoom);
  [...$("digits").children].forEach((one, k) => one.setAttribute("aria-pressed", String(k === state.digit)));
}

const drawn = {};
function when(name, parts, draw) { // only what depends on what has changed
  const now = parts.map((part) => state[part]).join();
  if (drawn[name] !== now) { drawn[name] = now; draw(); }
}

function show() {
  showControls();
  const seen = { arun: reading("arun", state.digit, state.xi), relu: reading("relu", state.digit, state.xi) };
  const calm = reading("arun", state.digit, 0);
  when("image", ["digit", "t"], showImage);
  when("answers", ["digit", "xi", "t"], () => showAnswers(seen));
  when("traces", ["digit", "xi", "t", "neuron"], () => showTraces(seen.arun, calm));
  when("states", ["digit", "xi", "t", "neuron"], () => showStates(seen.arun));
  when("accuracy", ["xi"], showAccuracy);
  when("say", ["digit", "xi", "t", "neuron"], () => say(seen, calm));
  when("curve", ["n", "s", "x"], showCurve);
  when("map", ["n", "s", "x", "zoom"], showMap);
  when("numbers", ["n", "s", "x"], showNumbers);
}

let playing = 0;
function stop() {
  cancelAnimationFrame(playing);
  playing = 0;
  $("play").textContent = "▶ read";
}

function play() {
  if (playing) return stop();
  const from = state.t >= T ? 1 : state.t, begin = performance.now();
  $("play").textContent = "❚❚ stop";
  const turn = (now) => {
    ask({ t: from + (now - begin) / 35 });
    if (state.t >= T) stop();
    else playing = requestAnimationFrame(turn);
  };
  playing = requestAnimationFrame(turn);
}

$("t").max = T;
$("neuron").max = LIMITS.neuron[1];
for (const name of ["xi", "t", "n", "s", "x"]) {
  const [to, back] = scales[name] || [same, same];
  $(name).addEventListener("input", () => { if (name === "t") stop(); ask({ [name]: back(Number($(name).value)) }); });
  if (scales[name]) $(name).addEventListener("keydown", (event) => { // a hundredth of the way, ten with Page
    const far = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (!far) return;
    event.preventDefault();
    const slider = $(name), value = to(state[name]) + (far * (slider.max - slider.min)) / 100;
    slider.value = value;
    ask({ [name]: back(Number(slider.value)) });
  });
  $(`${name}-number`)?.addEventListener("input", (event) => ask({ [name]: event.target.value }));
}
$("neuron").addEventListener("input", (event) => ask({ neuron: event.target.value }));
$("zoom").addEventListener("change", (event) => ask({ zoom: Number(event.target.checked) }));
$("play").addEventListener("click", play);
for (let k = 0; k < 10; k++) {
  const button = document.createElement("button"), canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const picture = new ImageData(side, side);
  for (let i = 0; i < T; i++) picture.data.set([...Array(3).fill(255 * inputs[k * T + i]), 255], 4 * i);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  button.type = "button";
  button.setAttribute("aria-label", `digit ${k}`);
  button.append(canvas);
  button.addEventListener("click", () => ask({ digit: k }));
  $("digits").append(button);
}
for (const button of document.querySelectorAll(".share")) {
  button.addEventListener("click", async () => {
    const told = button.parentElement.querySelector(".copied");
    try {
      await host.navigator.clipboard.writeText(link());
      told.textContent = "copied";
    } catch {
      told.textContent = link(); // to be copied by hand
    }
  });
}
host.addEventListener("hashchange", () => { set(FIRST); fromAddress(); ask(); });
fromAddress();
show();
