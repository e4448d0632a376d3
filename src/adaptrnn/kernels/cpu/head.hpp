// Linear readout of the rates and their loss, at the last step or at every step, for one tile.
//
// A step's scores, loss and slopes are made on the way forward, while its rates are in the cache; the
// slopes wait, K numbers a step, for the way back. Nothing is rounded to bfloat16 here.
#pragma once

#include <cmath>

#include "dense.hpp"
#include "problem.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

template <class T> struct PackedHead {
  T *out, *back, *bias, *real;  // N -> K, K -> N, (K,) padded, and whether it is not padding
  void layout(Arena& arena, const Head<T>& a, int size) {
    out = back = bias = real = nullptr;
    if (!a.outputs) return;
    const Panels<T> scores(a.outputs, size), rates(size, a.outputs);
    out = arena.take<T>(packed_numbers<Single<T>>(scores));
    back = arena.take<T>(packed_numbers<Single<T>>(rates));
    bias = arena.take<T>(scores.pitch);
    real = arena.take<T>(scores.pitch);
  }
  void pack(const Head<T>& a, int size) const {
    if (!a.outputs) return;
    const Panels<T> scores(a.outputs, size), rates(size, a.outputs);
    pack_weight<Single<T>>(scores, a.weight, false, out);
    pack_weight<Single<T>>(rates, a.weight, true, back);
    for (int k = 0; k < scores.pitch; ++k) {
      real[k] = k < a.outputs ? 1 : 0;
      bias[k] = k < a.outputs ? a.bias[k] : 0;
    }
  }
};

// Numbers of the gradients of weight (K, N) and bias (K,), which follows it.
template <class T> size_t head_numbers(const Head<T>& a, int size) {
  return size_t(a.outputs) * (size_t(size) + 1);
}

template <class T> struct HeadTile {
  static constexpr int L = kLanes<T>;
  static constexpr int kSteps = 16;  // steps whose gradients of the weights are added up in T
  static constexpr int kSide = kMaxSamples;

  const Head<T>& c;
  const Panels<T> scores, rates;
  int before, samples;  // steps without a loss
  T *y, *slopes, *sum_weight, *sum_bias, *totals;

  HeadTile(const Head<T>& c_, int time, int size, int samples_)
      : c(c_), scores(c_.outputs, size), rates(size, c_.outputs), before(time - c_.steps),
        samples(samples_) {}

  void layout(Arena& arena) {
    if (!c.outputs) return;
    y = arena.take<T>(size_t(samples) * scores.pitch);
    slopes = arena.take<T>(size_t(c.steps) * samples * c.outputs + L);
    sum_weight = arena.take<T>(size_t(c.outputs) * rates.pitch);
    sum_bias = arena.take<T>(scores.pitch);
    totals = arena.take<T>((samples + L - 1) / L * L);
  }
  void clear() {
    std::memset(sum_weight, 0, sizeof(T) * size_t(c.outputs) * rates.pitch);
    std::memset(sum_bias, 0, sizeof(T) * scores.pitch);
  }
  void begin(int first) {
    if (!c.outputs) return;
    clear();
    for (int s = 0; s < samples; ++s) c.loss[first + s] = 0;
  }

  // Step t, if it has a loss: rates h (samples, N) -> scores, loss, slopes; adds to the
  // gradients of weight and bias. Up to a vector of numbers after h is read, and has no effect.
  void forward(const PackedHead<T>& w, int t, int batch, int first, const T* h, double* gradient) {
    const int k = t - before;
    if (k < 0) return;
    score(w, h);
    const size_t row = size_t(k) * batch + first;
    T *out = c.scores + row * c.outputs, *d = slopes + size_t(k) * samples * c.outputs;
    for (int s = 0; s < samples; ++s) {
      T* x = y + size_t(s) * scores.pitch;
      for (int i = 0; i < scores.pitch; i += L) store<T>(x + i, load<T>(x + i) + load<T>(w.bias + i));
      T* to = out + size_t(s) * c.outputs;
      for (int i = 0; i < c.outputs; ++i) to[i] = x[i];
    }
    if (c.target) cross_entropy(w, row, first, d);
    else squared(row, first, d);
    for (int s = 0; s < samples; ++s)  // ascending: what is added to the padding has no effect
      for (int i = 0; i < scores.pitch; i += L)
        store<T>(sum_bias + i, load<T>(sum_bias + i) + load<T>(d + size_t(s) * c.outputs + i));
    for (int p = 0; p < rates.count(); ++p) {
      const int column = rates.first(p);
      switch (rates.width(p)) {
        case 1: weight_panel<1>(d, h + column, sum_weight + column); break;
        case 2: weight_panel<2>(d, h + column, sum_weight + column); break;
        case 3: weight_panel<3>(d, h + column, sum_weight + column); break;
        case 4: if constexpr (kMaxWidth >= 4) weight_panel<4>(d, h + column, sum_weight + column); break;
        case 5: if constexpr (kMaxWidth >= 5) weight_panel<5>(d, h + column, sum_weight + column); break;
      }
    }
    if (k % kSteps == kSteps - 1 || k + 1 == c.steps) flush(gradient);
  }

  // out[k][column] += sum over samples of d[s][k] h[s][column], for a panel of W vectors of columns
  template <int W> void weight_panel(const T* d, const T* h, T* out) const {
    for (int k = 0; k < c.outputs; k += kSide, out += size_t(kSide) * rates.pitch) {
      switch (c.outputs - k) {
        case 1: weight_block<1, W>(d + k, h, out); break;
        case 2: weight_block<2, W>(d + k, h, out); break;
        case 3: weight_block<3, W>(d + k, h, out); break;
        case 4:
          if constexpr (kSide > 4) {
            weight_block<4, W>(d + k, h, out);
            break;
          }
          [[fallthrough]];
        default: weight_block<kSide, W>(d + k, h, out);
      }
    }
  }
  template <int R, int W> ADAPTRNN_INLINE void weight_block(const T* d, const T* h, T* out) const {
    Vec<T> acc[R][W];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) acc[r][w] = load<T>(out + r * rates.pitch + w * L);
    for (int s = 0; s < samples; ++s, d += c.outputs, h += rates.size) {
      Vec<T> wide[W];
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) wide[w] = load<T>(h + w * L);
#pragma GCC unroll 5
      for (int r = 0; r < R; ++r) {
        const Vec<T> x = splat<T>(d[r]);
#pragma GCC unroll 5
        for (int w = 0; w < W; ++w) acc[r][w] += x * wide[w];
      }
    }
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) store<T>(out + r * rates.pitch + w * L, acc[r][w]);
  }

  // y = W h without the bias; sums over i in two parts where they are few
  void score(const PackedHead<T>& w, const T* h) const {
    if (scores.pitch > L) return product<Single<T>>(scores, samples, h, w.out, y);
    const Split groups(samples, kMaxSamples);
    for (int g = 0; g < groups.parts; ++g) {
      const int s = groups.begin(g);
      const T* x = h + size_t(s) * rates.size;
      T* to = y + size_t(s) * L;
      switch (groups.begin(g + 1) - s) {
        case 1: score_block<1>(w.out, x, to); break;
        case 2: score_block<2>(w.out, x, to); break;
        case 3: score_block<3>(w.out, x, to); break;
        case 4: score_block<4>(w.out, x, to); break;
        case 5: if constexpr (kMaxSamples >= 5) score_block<5>(w.out, x, to); break;
      }
    }
  }
  template <int S> ADAPTRNN_INLINE void score_block(const T* weight, const T* h, T* to) const {
    const int size = rates.size, half = size / 2;
    Vec<T> low[S] = {}, high[S] = {};
    const T* upper = weight + size_t(half) * L;
    for (int i = 0; i < half; ++i) {
      const Vec<T> x = load<T>(weight + i * L), z = load<T>(upper + i * L);
#pragma GCC unroll 5
      for (int s = 0; s < S; ++s) {
        low[s] += splat<T>(h[s * size + i]) * x;
        high[s] += splat<T>(h[s * size + half + i]) * z;
      }
    }
    if (size % 2)
      for (int s = 0; s < S; ++s)
        low[s] += splat<T>(h[s * size + size - 1]) * load<T>(weight + size_t(size - 1) * L);
#pragma GCC unroll 5
    for (int s = 0; s < S; ++s) store<T>(to + s * L, low[s] + high[s]);
  }

  double share(size_t row) const { return (c.counts ? double(c.counts[row]) : 1.0) / c.total; }

  // -ln softmax(y)[target], and its slopes; y is overwritten. A row of slopes is written with the
  // padding of a vector, over which the next row comes.
  void cross_entropy(const PackedHead<T>& w, size_t row, int first, T* d) {
    for (int s = 0; s < samples; ++s) {
      T* x = y + size_t(s) * scores.pitch;
      T top = x[0];
      for (int i = 1; i < c.outputs; ++i) top = x[i] > top ? x[i] : top;
      c.loss[first + s] += share(row + s) * (double(top) - double(x[c.target[row + s]]));
      const Vec<T> zero = {}, highest = splat<T>(top);
      for (int i = 0; i < scores.pitch; i += L) {
        const Vec<T> e = exp_minus<T>(highest - load<T>(x + i));
        store<T>(x + i, load<T>(w.real + i) > zero ? e : zero);
      }
      T total = 0;
      for (int i = 0; i < c.outputs; ++i) total += x[i];
      totals[s] = total;
    }
    for (int s = 0; s < samples; ++s)
      c.loss[first + s] += share(row + s) * std::log(double(totals[s]));
    for (int s = 0; s < samples; ++s, d += c.outputs) {
      const T* x = y + size_t(s) * scores.pitch;
      const double part = share(row + s);
      const Vec<T> factor = splat<T>(T(part / double(totals[s])));
      for (int i = 0; i < scores.pitch; i += L) store<T>(d + i, factor * load<T>(x + i));
      d[c.target[row + s]] -= T(part);
    }
  }
  // the mean over K of (y - values)^2, and its slopes
  void squared(size_t row, int first, T* d) {
    const T* wanted = c.values + row * c.outputs;
    for (int s = 0; s < samples; ++s, d += c.outputs, wanted += c.outputs) {
      const T* x = y + size_t(s) * scores.pitch;
      const double part = share(row + s) / c.outputs;
      double total = 0;
      for (int i = 0; i < c.outputs; ++i) {
        const double difference = double(x[i]) - double(wanted[i]);
        total += difference * difference;
        d[i] = T(2 * part * difference);
      }
      c.loss[first + s] += part * total;
    }
  }

  void flush(double* gradient) {
    for (int k = 0; k < c.outputs; ++k) {
      for (int i = 0; i < rates.size; ++i)
        gradient[size_t(k) * rates.size + i] += double(sum_weight[size_t(k) * rates.pitch + i]);
      gradient[size_t(c.outputs) * rates.size + k] += double(sum_bias[k]);
    }
    clear();
  }

  // sums (samples, N) += the slopes of step t, if it has a loss; rows of rates.pitch numbers
  void backward(const PackedHead<T>& w, int t, T* sums) const {
    const int k = t - before;
    if (k < 0) return;
    const T* d = slopes + size_t(k) * samples * c.outputs;
    product<Single<T>>(rates, samples, d, w.back, sums, true);
  }
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
