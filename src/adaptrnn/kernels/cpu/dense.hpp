// Products with the recurrent weights for the few samples of one tile. Weights are packed once per
// call into panels of `width` vectors of columns; sums run over j in order.
#pragma once

#include "simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

constexpr int kMaxSamples = kManyRegisters ? 5 : 4;  // rows of a register block
constexpr int kMaxWidth = kManyRegisters ? 5 : 3;    // vectors of a register block

// Panels of columns: `panels` of `width` vectors hold `size` columns.
template <class T> struct Panels {
  int size, width, panels, pitch;
  explicit Panels(int size_) : size(size_) {
    const int vectors = (size + kLanes<T> - 1) / kLanes<T>;
    panels = (vectors + kMaxWidth - 1) / kMaxWidth;
    width = (vectors + panels - 1) / panels;
    pitch = panels * width * kLanes<T>;
  }
  size_t packed() const { return size_t(pitch) * size; }
};

// packed[panel][j][column] = weight[column][j], or weight[j][column] if transposed.
template <class T>
void pack_square(const Panels<T>& c, const T* weight, bool transposed, T* packed) {
  const int wide = c.width * kLanes<T>;
  for (int panel = 0; panel < c.panels; ++panel)
    for (int j = 0; j < c.size; ++j)
      for (int k = 0; k < wide; ++k, ++packed) {
        const int column = panel * wide + k;
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
void product_width(const Panels<T>& c, int samples, const T* in, int in_pitch, const T* packed,
                   T* out) {
  const Split groups(samples, kMaxSamples);
  // several groups share a piece of a panel that stays in the first-level cache
  const int step = groups.parts == 1 ? c.size : 64;
  for (int panel = 0; panel < c.panels; ++panel) {
    const T* from_panel = packed + size_t(panel) * c.size * W * kLanes<T>;
    for (int from = 0; from < c.size; from += step) {
      const int to = from + step < c.size ? from + step : c.size;
      for (int group = 0; group < groups.parts; ++group) {
        const int s = groups.begin(group);
        product_panel<T, W>(groups.begin(group + 1) - s, in + size_t(s) * in_pitch, in_pitch,
                            from_panel, from, to,
                            out + size_t(s) * c.pitch + panel * W * kLanes<T>, c.pitch);
      }
    }
  }
}

// out[s][column] = sum over j of in[s][j] packed[j][column]; rows of `out` have c.pitch numbers.
template <class T>
void product(const Panels<T>& c, int samples, const T* in, int in_pitch, const T* packed, T* out) {
  switch (c.width) {
    case 1: return product_width<T, 1>(c, samples, in, in_pitch, packed, out);
    case 2: return product_width<T, 2>(c, samples, in, in_pitch, packed, out);
    case 3: return product_width<T, 3>(c, samples, in, in_pitch, packed, out);
    case 4:
      if constexpr (kMaxWidth >= 4)
        return product_width<T, 4>(c, samples, in, in_pitch, packed, out);
      break;
    case 5:
      if constexpr (kMaxWidth >= 5)
        return product_width<T, 5>(c, samples, in, in_pitch, packed, out);
  }
}

// The gradient of the recurrent weights, out[i][j] += sum over rows k of left[k][i] right[k][j].
// Rows are collected (`push`) until the buffers are full, then multiplied at once (`flush`).
template <class T> struct Outer {
  const Panels<T>* c;
  Split blocks{1, 1};
  int capacity = 0, rows = 0;
  T *left, *right;

  void layout(Arena& arena, const Panels<T>& panels, int capacity_) {
    c = &panels;
    blocks = Split(panels.size, kMaxSamples);
    capacity = capacity_;
    rows = 0;
    left = arena.take<T>(size_t(capacity) * panels.size);
    right = arena.take<T>(size_t(capacity) * panels.pitch);
  }
  // left is stored [block][row][i in block], right [panel][row][column]
  void push(const T* l, const T* r) {
    for (int b = 0; b < blocks.parts; ++b) {
      const int i = blocks.begin(b), n = blocks.begin(b + 1) - i;
      T* to = left + size_t(capacity) * i + size_t(rows) * n;
      for (int k = 0; k < n; ++k) to[k] = l[i + k];
    }
    const int wide = c->width * kLanes<T>;
    for (int p = 0; p < c->panels; ++p) {
      T* to = right + (size_t(p) * capacity + rows) * wide;
      const int first = p * wide, n = c->size - first < wide ? c->size - first : wide;
      for (int k = 0; k < n; ++k) to[k] = r[first + k];
      for (int k = n > 0 ? n : 0; k < wide; ++k) to[k] = 0;
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
  template <int W> void flush_width(T* out) {
    for (int p = 0; p < c->panels; ++p)
      for (int b = 0; b < blocks.parts; ++b) {
        const int i = blocks.begin(b);
        const T* l = left + size_t(capacity) * i;
        const T* r = right + size_t(p) * capacity * W * kLanes<T>;
        T* to = out + size_t(i) * c->pitch + p * W * kLanes<T>;
        switch (blocks.begin(b + 1) - i) {
          case 1: block<1, W>(l, r, to); break;
          case 2: block<2, W>(l, r, to); break;
          case 3: block<3, W>(l, r, to); break;
          case 4: block<4, W>(l, r, to); break;
          case 5:
            if constexpr (kMaxSamples >= 5) block<5, W>(l, r, to);
        }
      }
  }
  // out: c.size rows of c.pitch numbers
  void flush(T* out) {
    switch (c->width) {
      case 1: flush_width<1>(out); break;
      case 2: flush_width<2>(out); break;
      case 3: flush_width<3>(out); break;
      case 4:
        if constexpr (kMaxWidth >= 4) flush_width<4>(out);
        break;
      case 5:
        if constexpr (kMaxWidth >= 5) flush_width<5>(out);
    }
    rows = 0;
  }
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
