// The recurrent layer with a static nonlinearity for one tile: a few samples, all time steps.
//
// M says how the operands of the products are stored; with `Pair` rates and slopes are rounded to
// bfloat16 where they meet W_hh or its gradient, and all else is float.
//
// Lanes are the numbers of the tile's rows, lane = s N + i. Every nonlinearity but gamma has its
// slope from its value, so that only gamma needs its activations again on the way back. With a leak
// the value is not h: it is kept by itself.
#pragma once

#include "../cpu/dense.hpp"
#include "../cpu/head.hpp"
#include "../cpu/input.hpp"
#include "../cpu/leak.hpp"
#include "../cpu/problem.hpp"
#include "../cpu/simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {
namespace rnn {

constexpr int kChunk = 16;  // steps between two flushes of the sums over time

template <class T> int tile_samples(const Rnn<T>& a) {
  return a.size >= 64 ? 2 * kMaxSamples : 4 * kMaxSamples;
}

template <class M> struct Packed {
  using T = typename M::T;
  typename M::Word *hh, *hh_t;
  T* ih;
  PackedHead<T> head;
  void layout(Arena& arena, const Rnn<T>& a) {
    const Panels<T> panels(a.size);
    ih = input_layout(arena, a.input, a.size);
    hh = arena.take<typename M::Word>(packed_numbers<M>(panels));
    const bool both = a.mode != Mode::forward;
    hh_t = both ? arena.take<typename M::Word>(packed_numbers<M>(panels)) : nullptr;
    head.layout(arena, a.head, a.size);
  }
};

template <class M> size_t packed_bytes(const Rnn<typename M::T>& a) {
  Arena arena{nullptr};
  Packed<M>().layout(arena, a);
  return arena.used;
}

template <class M> void pack(const Rnn<typename M::T>& a, char* memory) {
  Arena arena{memory};
  Packed<M> p;
  p.layout(arena, a);
  const Panels<typename M::T> panels(a.size);
  pack_input(a.input, a.size, p.ih);
  p.head.pack(a.head, a.size);
  pack_weight<M>(panels, a.weight_hh, false, p.hh);
  if (p.hh_t) pack_weight<M>(panels, a.weight_hh, true, p.hh_t);
}

template <class T> GradientLayout gradient_layout(const Rnn<T>& a) {
  const Panels<T> panels(a.size);
  const size_t size = a.size;
  return {size * panels.pitch, size_t(panels.pitch),
          (a.leaks ? 3 : 2) * size + head_numbers(a.head, a.size) + InputGradient<T>::numbers(a.input, a.size)};
}

// Views of the doubles of Gradients, in this order.
struct Small {
  double *n, *s, *alpha, *head, *ih;
  template <class T> Small(double* p, const Rnn<T>& a) {
    n = p, s = n + a.size, alpha = s + a.size, head = alpha + (a.leaks ? a.size : 0);
    ih = head + head_numbers(a.head, a.size);
  }
};

template <class T> ADAPTRNN_INLINE Vec<T> value(Nonlinearity f, Vec<T> a) {
  const Vec<T> zero = {}, one = splat<T>(1);
  switch (f) {
    case Nonlinearity::tanh: return tanh<T>(a);
    case Nonlinearity::relu: return a < zero ? zero : a;  // NaN stays NaN
    case Nonlinearity::softplus: return (a > zero ? a : zero) + log1p<T>(exp_minus<T>(absolute<T>(a)));
    case Nonlinearity::sigmoid: {
      const Vec<T> e = exp_minus<T>(absolute<T>(a)), q = one / (one + e);
      return a > zero ? q : e * q;
    }
    default: return a;
  }
}

// The slope at the value h.
template <class T> ADAPTRNN_INLINE Vec<T> slope(Nonlinearity f, Vec<T> h) {
  const Vec<T> zero = {}, one = splat<T>(1);
  switch (f) {
    case Nonlinearity::tanh: return one - h * h;
    case Nonlinearity::relu: return h > zero ? one : (h == h ? zero : h);
    case Nonlinearity::softplus: {  // 1 - exp(-h), without cancellation
      const Vec<T> t = tanh<T>(h * splat<T>(T(0.5)));
      return (t + t) / (one + t);
    }
    case Nonlinearity::sigmoid: return h * (one - h);
    default: return one;
  }
}

template <class M> struct Tile {
  using T = typename M::T;
  static constexpr int L = kLanes<T>;

  const Rnn<T>& c;
  const Panels<T> panels;
  Packed<M> w;
  int samples, lanes, padded, slots;
  bool curve, keep_all, recompute;
  size_t slot_size;
  T *past, *kept, *sums, *n, *s, *dh, *da, *sum_n, *sum_s;
  typename M::Word* rounded;
  Outer<M> outer;
  InputGradient<T> input;
  HeadTile<T> head;
  Leak<T> leak;

  struct Step {
    T *h, *a, *rate;  // rate without the leak; null where there is none
  };

  Tile(const Rnn<T>& c_, int samples_)
      : c(c_), panels(c_.size), samples(samples_), lanes(samples_ * c_.size),
        head(c_.head, c_.time, c_.size, samples_),
        leak(c_.alpha, c_.size, lanes, (lanes + L - 1) / L * L) {
    padded = leak.padded;
    curve = c.nonlinearity == Nonlinearity::gamma;
    const bool fused = c.mode == Mode::fused;
    keep_all = fused && c.segment >= c.time;
    recompute = fused ? !keep_all
                      : c.mode == Mode::backward && (!c.past_h || (curve && !c.past_a) ||
                                                     (leak && !c.past_rate));
    const int length = c.segment < c.time ? c.segment : c.time;
    slots = recompute || fused ? length + 1 : 2;
    slot_size = size_t(c.leaks ? 3 : 2) * padded;
  }

  void layout(Arena& arena) {
    past = arena.take<T>(slot_size * slots);
    const bool fused = c.mode == Mode::fused;
    kept = fused && !keep_all ? arena.take<T>(size_t(padded) * ((c.time - 1) / c.segment)) : nullptr;
    sums = arena.take<T>(size_t(samples) * panels.pitch);
    const size_t words_in = M::numbers > 1 ? size_t(samples) * words<M>(c.size) : 0;
    rounded = words_in ? arena.take<typename M::Word>(words_in) : nullptr;
    n = arena.take<T>(padded);
    s = arena.take<T>(padded);
    leak.layout(arena, c.leaks, c.mode != Mode::forward);
    if (c.mode == Mode::forward) return;
    dh = arena.take<T>(padded);
    da = arena.take<T>(padded);
    sum_n = arena.take<T>(padded);
    sum_s = arena.take<T>(padded);
    input.layout(arena, c.input, c.size);
    outer.layout(arena, panels, kChunk * samples);
    head.layout(arena);
  }

  Step slot(int k) const {
    T* p = past + slot_size * k;
    return {p, p + padded, leak ? p + 2 * size_t(padded) : nullptr};
  }
  size_t row(int t, int first) const { return size_t(t) * c.batch + first; }
  size_t at(int t, int first) const { return row(t, first) * c.size; }

  void forward_step(int t, int first, const T* h_before, const Step& now) const {
    rates_step(t, first, h_before, now);
    if (leak) leak.forward(h_before, now.h, now.rate);
  }
  void rates_step(int t, int first, const T* h_before, const Step& now) const {
    product<M>(panels, samples, operands<M>(samples, c.size, h_before, rounded), w.hh, sums);
    for (int k = 0; k < samples; ++k)
      add_current(c.input, w.ih, c.currents, c.size, row(t, first) + k,
                  sums + size_t(k) * panels.pitch, now.a + size_t(k) * c.size);
    for (int lane = lanes; lane < padded; ++lane) now.a[lane] = 0;
    switch (c.nonlinearity) {
      case Nonlinearity::tanh: return apply<Nonlinearity::tanh>(now);
      case Nonlinearity::relu: return apply<Nonlinearity::relu>(now);
      case Nonlinearity::linear: return apply<Nonlinearity::linear>(now);
      case Nonlinearity::softplus: return apply<Nonlinearity::softplus>(now);
      case Nonlinearity::sigmoid: return apply<Nonlinearity::sigmoid>(now);
      case Nonlinearity::gamma:
        for (int l = 0; l < padded; l += L)
          store<T>(now.h + l,
                   Curve<T>(load<T>(now.a + l), load<T>(n + l), load<T>(s + l)).value());
    }
  }
  template <Nonlinearity f> void apply(const Step& now) const {
    for (int l = 0; l < padded; l += L) store<T>(now.h + l, value<T>(f, load<T>(now.a + l)));
  }

  // d, the slopes of the rates -> da at one step, given the rates and, for gamma, the activations
  // (each `lanes` long)
  void slope_step(const T* d_, const T* h, const T* a) {
    switch (c.nonlinearity) {
      case Nonlinearity::tanh: return apply_slope<Nonlinearity::tanh>(d_, h);
      case Nonlinearity::relu: return apply_slope<Nonlinearity::relu>(d_, h);
      case Nonlinearity::linear: return apply_slope<Nonlinearity::linear>(d_, h);
      case Nonlinearity::softplus: return apply_slope<Nonlinearity::softplus>(d_, h);
      case Nonlinearity::sigmoid: return apply_slope<Nonlinearity::sigmoid>(d_, h);
      case Nonlinearity::gamma:
        for (int l = 0; l < padded; l += L) {
          const Curve<T> curve_(part(a, l), load<T>(n + l), load<T>(s + l));
          const Vec<T> d = load<T>(d_ + l);
          store<T>(da + l, d * curve_.da());
          store<T>(sum_n + l, load<T>(sum_n + l) + d * curve_.dn());
          store<T>(sum_s + l, load<T>(sum_s + l) + d * curve_.ds());
        }
    }
  }
  template <Nonlinearity f> void apply_slope(const T* d, const T* h) {
    for (int l = 0; l < padded; l += L) store<T>(da + l, load<T>(d + l) * slope<T>(f, part(h, l)));
  }
  // the vector at lane l of a row that ends at `lanes`
  ADAPTRNN_INLINE Vec<T> part(const T* row, int l) const {
    if (l + L <= lanes) return load<T>(row + l);
    Vec<T> v = {};
    for (int k = 0; l + k < lanes; ++k) v[k] = row[l + k];
    return v;
  }

  // `rate` is that without the leak, h where there is none
  void backward_step(int t, int first, const T* h_before, const T* rate, const T* a,
                     Gradients<T> out) {
    if (leak) leak.backward(h_before, rate, dh);
    slope_step(leak ? leak.scaled : dh, rate, a);
    if (c.grad_currents) std::memcpy(c.grad_currents + at(t, first), da, sizeof(T) * lanes);
    for (int k = 0; k < samples; ++k) {
      const T* slope = da + size_t(k) * c.size;
      input.add(row(t, first) + k, slope);
      outer.push(slope, h_before + size_t(k) * c.size);
    }
    product<M>(panels, samples, operands<M>(samples, c.size, da, rounded), w.hh_t, sums);
    head.backward(w.head, t - 1, sums);
    const T* more = t && c.grad_output ? c.grad_output + at(t - 1, first) : nullptr;
    for (int k = 0; k < samples; ++k) {
      T* to = dh + size_t(k) * c.size;
      const T* y = sums + size_t(k) * panels.pitch;
      if (more) {
        const T* x = more + size_t(k) * c.size;
        for (int i = 0; i < c.size; ++i) to[i] = x[i] + y[i];
      } else {
        for (int i = 0; i < c.size; ++i) to[i] = y[i];
      }
    }
    if (leak) leak.join(dh);
    if (t % kChunk == 0) flush(out);
  }
  void flush(Gradients<T> out) {
    outer.flush(out.weight_hh);
    const Small small(out.small, c);
    input.flush(small.ih);
    leak.flush(small.alpha);
    if (!curve) return;
    for (int lane = 0, i = 0; lane < lanes; ++lane, i = i + 1 == c.size ? 0 : i + 1) {
      small.n[i] += double(sum_n[lane]);
      small.s[i] += double(sum_s[lane]);
    }
    clear();
  }
  void clear() {
    std::memset(sum_n, 0, sizeof(T) * padded);
    std::memset(sum_s, 0, sizeof(T) * padded);
    input.clear();
    leak.clear();
  }

  // dh of the last step, where the loss is all there is
  void last_slopes() const {
    std::memset(sums, 0, sizeof(T) * samples * panels.pitch);
    head.backward(w.head, c.time - 1, sums);
    for (int k = 0; k < samples; ++k)
      std::memcpy(dh + size_t(k) * c.size, sums + size_t(k) * panels.pitch, sizeof(T) * c.size);
  }

  // h before step k segment
  void restore(int k, int first, T* h) const {
    const T* from = k == 0     ? c.h0 + at(0, first)
                    : kept     ? kept + size_t(padded) * (k - 1)
                    : c.past_h ? c.past_h + at(k * c.segment - 1, first)
                               : c.kept_h + at(k - 1, first);
    std::memcpy(h, from, sizeof(T) * lanes);
    std::memset(h + lanes, 0, sizeof(T) * (padded - lanes));
  }

  void run(const char* packed, char* workspace, int first, Gradients<T> out) {
    Arena weights{const_cast<char*>(packed)}, arena{workspace};
    w.layout(weights, c);
    layout(arena);
    const size_t bytes = sizeof(T) * lanes;
    for (int lane = 0; lane < padded; ++lane) {
      n[lane] = curve && lane < lanes ? c.n[lane % c.size] : T(1);
      s[lane] = curve && lane < lanes ? c.s[lane % c.size] : T(0);
    }
    leak.begin();
    if (c.mode != Mode::backward) {
      Step now = slot(0);
      restore(0, first, now.h);
      head.begin(first);
      for (int t = 0; t < c.time; ++t) {
        if ((kept || c.kept_h) && t && t % c.segment == 0) {
          const int k = t / c.segment - 1;
          std::memcpy(kept ? kept + size_t(padded) * k : c.kept_h + at(k, first), now.h, bytes);
        }
        const Step next = slot(keep_all ? t + 1 : (t + 1) & 1);
        forward_step(t, first, now.h, next);
        if (c.output) std::memcpy(c.output + at(t, first), next.h, bytes);
        if (c.past_h) std::memcpy(c.past_h + at(t, first), next.h, bytes);
        if (c.past_a) std::memcpy(c.past_a + at(t, first), next.a, bytes);
        if (c.past_rate) std::memcpy(c.past_rate + at(t, first), next.rate, bytes);
        head.forward(w.head, t, c.batch, first, next.h, Small(out.small, c).head);
        now = next;
      }
      if (c.h_last) std::memcpy(c.h_last + at(0, first), now.h, bytes);
      if (c.mode == Mode::forward) return;
    }
    std::memset(dh, 0, sizeof(T) * padded);
    if (c.mode == Mode::fused) last_slopes();
    else
      for (int l = 0; l < lanes; ++l)
        dh[l] = (c.grad_output ? c.grad_output[at(c.time - 1, first) + l] : 0) +
                (c.grad_h_last ? c.grad_h_last[at(0, first) + l] : 0);
    clear();
    leak.begin_backward();
    if (recompute || keep_all) {
      for (int k = (c.time - 1) / c.segment; k >= 0; --k) {
        const int from = k * c.segment, to = c.time < from + c.segment ? c.time : from + c.segment;
        if (recompute) {
          restore(k, first, slot(0).h);
          for (int t = from; t < to; ++t)
            forward_step(t, first, slot(t - from).h, slot(t - from + 1));
        }
        for (int t = to - 1; t >= from; --t) {
          const Step now = slot(t - from + 1);
          backward_step(t, first, slot(t - from).h, leak ? now.rate : now.h, now.a, out);
        }
      }
    } else {
      const T* rates = leak ? c.past_rate : c.past_h;
      for (int t = c.time - 1; t >= 0; --t)
        backward_step(t, first, t ? c.past_h + at(t - 1, first) : c.h0 + at(0, first),
                      rates + at(t, first), curve ? c.past_a + at(t, first) : nullptr, out);
    }
    if (c.grad_h0) std::memcpy(c.grad_h0 + at(0, first), dh, bytes);
  }
};

template <class M> size_t workspace_bytes(const Rnn<typename M::T>& a, int samples) {
  Arena arena{nullptr};
  Tile<M>(a, samples).layout(arena);
  return arena.used;
}

template <class T> size_t past_numbers(const Rnn<T>&, int) { return 0; }

template <class M>
void run(const Rnn<typename M::T>& a, const char* packed, char* workspace, typename M::T*, int first,
         int samples, Gradients<typename M::T> out) {
#if defined(ADAPTRNN_AMX)
  const amx::InUse in_use;
#endif
  Tile<M>(a, samples).run(packed, workspace, first, out);
}

}  // namespace rnn
}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
