// Products with the recurrent weights for the few samples of one tile. Weights are packed once per
// call into panels of `width` vectors of columns; sums run over j in order.
#pragma once

#include "simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

constexpr int kMaxSamples = kManyRegisters ? 5 : 4;  // rows of a register block
constexpr int kMaxWidth = kManyRegisters ? 5 : 3;    // vectors of a register block

// `size` columns in the fewest vectors, and these in panels of nearly equal width.
template <class T> struct Panels {
  int size, pitch;
  Split vectors;
  explicit Panels(int size_)
      : size(size_), pitch((size_ + kLanes<T> - 1) / kLanes<T> * kLanes<T>),
        vectors(pitch / kLanes<T>, kMaxWidth) {}
  int count() const { return vectors.parts; }
  int width(int panel) const { return vectors.begin(panel + 1) - vectors.begin(panel); }
  int first(int panel) const { return vectors.begin(panel) * kLanes<T>; }  // column
  size_t packed() const { return size_t(pitch) * size; }
};

// packed[panel][j][column] = weight[column][j], or weight[j][column] if transposed.
template <class T>
void pack_square(const Panels<T>& c, const T* weight, bool transposed, T* packed) {
  for (int panel = 0; panel < c.count(); ++panel)
    for (int j = 0; j < c.size; ++j)
      for (int column = c.first(panel); column < c.first(panel + 1); ++column, ++packed) {
        if (column >= c.size) *packed = 0;
        else
          *packed = transposed ? weight[size_t(j) * c.size + column]
                               : weight[size_t(column) * c.size + j];
      }
}

template <class T, int S, int W>
ADAPTRNN_INLINE void product_block(const T* in, int in_pitch, const T* packed, int from, int to,
                                   T* out, int out_pitch) {
  Vec<T> acc[S][W];
#pragma GCC unroll 5
  for (int s = 0; s < S; ++s)
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w)
      acc[s][w] = from ? load<T>(out + s * out_pitch + w * kLanes<T>) : Vec<T>{};
  const T* row = packed + size_t(from) * W * kLanes<T>;
  for (int j = from; j < to; ++j, row += W * kLanes<T>) {
    Vec<T> wide[W];
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w) wide[w] = load<T>(row + w * kLanes<T>);
#if defined(__x86_64__)
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w)
      _mm_prefetch(reinterpret_cast<const char*>(row + (16 * W + w) * kLanes<T>), _MM_HINT_T0);
#endif
#pragma GCC unroll 5
    for (int s = 0; s < S; ++s) {
      const Vec<T> x = splat<T>(in[size_t(s) * in_pitch + j]);
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) acc[s][w] += x * wide[w];
    }
  }
#pragma GCC unroll 5
  for (int s = 0; s < S; ++s)
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w) store<T>(out + s * out_pitch + w * kLanes<T>, acc[s][w]);
}

template <class T, int W>
ADAPTRNN_INLINE void product_panel(int samples, const T* in, int in_pitch, const T* packed,
                                   int from, int to, T* out, int out_pitch) {
  switch (samples) {
    case 1: return product_block<T, 1, W>(in, in_pitch, packed, from, to, out, out_pitch);
    case 2: return product_block<T, 2, W>(in, in_pitch, packed, from, to, out, out_pitch);
    case 3: return product_block<T, 3, W>(in, in_pitch, packed, from, to, out, out_pitch);
    case 4: return product_block<T, 4, W>(in, in_pitch, packed, from, to, out, out_pitch);
    case 5:
      if constexpr (kMaxSamples >= 5)
        return product_block<T, 5, W>(in, in_pitch, packed, from, to, out, out_pitch);
  }
}

template <class T, int W>
void product_groups(const Panels<T>& c, int samples, const T* in, int in_pitch, const T* packed,
                    T* out) {
  const Split groups(samples, kMaxSamples);
  // several groups share a piece of a panel that stays in the first-level cache
  const int step = groups.parts == 1 ? c.size : 64;
  for (int from = 0; from < c.size; from += step) {
    const int to = from + step < c.size ? from + step : c.size;
    for (int group = 0; group < groups.parts; ++group) {
      const int s = groups.begin(group);
      product_panel<T, W>(groups.begin(group + 1) - s, in + size_t(s) * in_pitch, in_pitch, packed,
                          from, to, out + size_t(s) * c.pitch, c.pitch);
    }
  }
}

// out[s][column] = sum over j of in[s][j] packed[j][column]; rows of `out` have c.pitch numbers.
template <class T>
void product(const Panels<T>& c, int samples, const T* in, int in_pitch, const T* packed, T* out) {
  for (int panel = 0; panel < c.count(); ++panel) {
    const int first = c.first(panel);
    const T* from = packed + size_t(first) * c.size;
    switch (c.width(panel)) {
      case 1: product_groups<T, 1>(c, samples, in, in_pitch, from, out + first); break;
      case 2: product_groups<T, 2>(c, samples, in, in_pitch, from, out + first); break;
      case 3: product_groups<T, 3>(c, samples, in, in_pitch, from, out + first); break;
      case 4:
        if constexpr (kMaxWidth >= 4)
          product_groups<T, 4>(c, samples, in, in_pitch, from, out + first);
        break;
      case 5:
        if constexpr (kMaxWidth >= 5)
          product_groups<T, 5>(c, samples, in, in_pitch, from, out + first);
    }
  }
}

// The gradient of the recurrent weights, out[i][j] += sum over rows k of left[k][i] right[k][j].
// Rows are collected (`push`) until the buffers are full, then multiplied at once (`flush`).
template <class T> struct Outer {
  static constexpr int high = kMaxSamples;  // rows of `out` at a time
  const Panels<T>* c;
  int capacity = 0, rows = 0;
  T *left, *right;

  void layout(Arena& arena, const Panels<T>& panels, int capacity_) {
    c = &panels;
    capacity = capacity_;
    rows = 0;
    left = arena.take<T>(size_t(capacity) * panels.size);
    right = arena.take<T>(size_t(capacity) * panels.pitch);
  }
  // left is stored [block of rows of `out`][row][i in block], right [panel][row][column]
  void push(const T* l, const T* r) {
    const int whole = c->size / high * high, rest = c->size - whole;
    for (int i = 0; i < whole; i += high)
      std::memcpy(left + size_t(capacity) * i + size_t(rows) * high, l + i, sizeof(T) * high);
    for (int k = 0; k < rest; ++k)
      left[size_t(capacity) * whole + size_t(rows) * rest + k] = l[whole + k];
    for (int p = 0; p < c->count(); ++p) {
      const int first = c->first(p), wide = c->first(p + 1) - first;
      const int real = c->size - first < wide ? c->size - first : wide;
      T* to = right + size_t(capacity) * first + size_t(rows) * wide;
      std::memcpy(to, r + first, sizeof(T) * real);
      for (int k = real; k < wide; ++k) to[k] = 0;
    }
    ++rows;
  }

  template <int R, int W> ADAPTRNN_INLINE void block(const T* l, const T* r, T* out) {
    Vec<T> acc[R][W];
#pragma GCC unroll 5
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) acc[i][w] = load<T>(out + i * c->pitch + w * kLanes<T>);
    for (int k = 0; k < rows; ++k, l += R, r += W * kLanes<T>) {
      Vec<T> wide[W];
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) wide[w] = load<T>(r + w * kLanes<T>);
#pragma GCC unroll 5
      for (int i = 0; i < R; ++i) {
        const Vec<T> x = splat<T>(l[i]);
#pragma GCC unroll 5
        for (int w = 0; w < W; ++w) acc[i][w] += x * wide[w];
      }
    }
#pragma GCC unroll 5
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) store<T>(out + i * c->pitch + w * kLanes<T>, acc[i][w]);
  }
  template <int W> void flush_panel(int first, T* out) {
    const T* r = right + size_t(capacity) * first;
    for (int i = 0; i < c->size; i += high) {
      const T* l = left + size_t(capacity) * i;
      T* to = out + size_t(i) * c->pitch + first;
      switch (c->size - i) {
        case 1: block<1, W>(l, r, to); break;
        case 2: block<2, W>(l, r, to); break;
        case 3: block<3, W>(l, r, to); break;
        case 4:
          if constexpr (high > 4) {
            block<4, W>(l, r, to);
            break;
          }
          [[fallthrough]];
        default: block<high, W>(l, r, to);
      }
    }
  }
  // out: c.size rows of c.pitch numbers
  void flush(T* out) {
    for (int p = 0; p < c->count(); ++p) {
      const int first = c->first(p);
      switch (c->width(p)) {
        case 1: flush_panel<1>(first, out); break;
        case 2: flush_panel<2>(first, out); break;
        case 3: flush_panel<3>(first, out); break;
        case 4:
          if constexpr (kMaxWidth >= 4) flush_panel<4>(first, out);
          break;
        case 5:
          if constexpr (kMaxWidth >= 5) flush_panel<5>(first, out);
      }
    }
    rows = 0;
  }
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
