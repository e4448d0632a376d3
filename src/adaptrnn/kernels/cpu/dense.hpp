// Products with the recurrent weights for the few samples of one tile. Weights are packed once per
// call into panels of `width` vectors of columns; sums run over j in order. M says how operands are
// stored: `Single` or `Pair`.
#pragma once

#include "amx.hpp"
#include "word.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

constexpr int kMaxSamples = kManyRegisters ? 5 : 4;  // rows of a register block
constexpr int kMaxWidth = kManyRegisters ? 5 : 3;    // vectors of a register block

// `size` columns in the fewest vectors, and these in panels of nearly equal width; `depth` numbers
// meet in each sum of a product, as many as there are columns unless said otherwise.
template <class T> struct Panels {
  int size, depth, pitch;
  Split vectors;
  explicit Panels(int size_, int depth_ = 0)
      : size(size_), depth(depth_ ? depth_ : size_),
        pitch((size_ + kLanes<T> - 1) / kLanes<T> * kLanes<T>),
        vectors(pitch / kLanes<T>, kMaxWidth) {}
  int count() const { return vectors.parts; }
  int width(int panel) const { return vectors.begin(panel + 1) - vectors.begin(panel); }
  int first(int panel) const { return vectors.begin(panel) * kLanes<T>; }  // column
};

template <class M> size_t packed_numbers(const Panels<typename M::T>& c) {
  return size_t(c.pitch) * words<M>(c.depth);
}

// packed[panel][word of j][column] = weight[column][j], or weight[j][column] if transposed.
template <class M>
void pack_weight(const Panels<typename M::T>& c, const typename M::T* weight, bool transposed,
                 typename M::Word* packed) {
  const auto at = [&](int j, int column) {
    if (j >= c.depth || column >= c.size) return typename M::T(0);
    return transposed ? weight[size_t(j) * c.size + column] : weight[size_t(column) * c.depth + j];
  };
  for (int panel = 0; panel < c.count(); ++panel)
    for (int j = 0; j < words<M>(c.depth) * M::numbers; j += M::numbers)
      for (int column = c.first(panel); column < c.first(panel + 1); ++column, ++packed)
        *packed = M::word(at(j, column), at(j + 1, column));
}

template <class M, int S, int W>
ADAPTRNN_INLINE void product_block(const typename M::Word* in, int in_pitch,
                                   const typename M::Word* packed, int from, int to, bool more,
                                   typename M::T* out, int out_pitch) {
  using T = typename M::T;
  Vec<T> acc[S][W];
#pragma GCC unroll 5
  for (int s = 0; s < S; ++s)
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w)
      acc[s][w] = from || more ? load<T>(out + s * out_pitch + w * kLanes<T>) : Vec<T>{};
  const typename M::Word* row = packed + size_t(from) * W * kLanes<T>;
  for (int j = from; j < to; ++j, row += W * kLanes<T>) {
    typename M::V wide[W];
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w) wide[w] = M::load(row + w * kLanes<T>);
#if defined(__x86_64__)
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w)
      _mm_prefetch(reinterpret_cast<const char*>(row + (16 * W + w) * kLanes<T>), _MM_HINT_T0);
#endif
#pragma GCC unroll 5
    for (int s = 0; s < S; ++s) {
      const typename M::V x = M::splat(in[size_t(s) * in_pitch + j]);
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) M::multiply_add(acc[s][w], x, wide[w]);
    }
  }
#pragma GCC unroll 5
  for (int s = 0; s < S; ++s)
#pragma GCC unroll 5
    for (int w = 0; w < W; ++w) store<T>(out + s * out_pitch + w * kLanes<T>, acc[s][w]);
}

template <class M, int W>
ADAPTRNN_INLINE void product_panel(int samples, const typename M::Word* in, int in_pitch,
                                   const typename M::Word* packed, int from, int to, bool more,
                                   typename M::T* out, int out_pitch) {
  switch (samples) {
    case 1: return product_block<M, 1, W>(in, in_pitch, packed, from, to, more, out, out_pitch);
    case 2: return product_block<M, 2, W>(in, in_pitch, packed, from, to, more, out, out_pitch);
    case 3: return product_block<M, 3, W>(in, in_pitch, packed, from, to, more, out, out_pitch);
    case 4: return product_block<M, 4, W>(in, in_pitch, packed, from, to, more, out, out_pitch);
    case 5:
      if constexpr (kMaxSamples >= 5)
        return product_block<M, 5, W>(in, in_pitch, packed, from, to, more, out, out_pitch);
  }
}

template <class M, int W>
void product_groups(const Panels<typename M::T>& c, int samples, const typename M::Word* in,
                    const typename M::Word* packed, bool more, typename M::T* out) {
  const int size = words<M>(c.depth);
#if defined(ADAPTRNN_AMX)
  if constexpr (M::tiles) {
    constexpr int L = kLanes<typename M::T>;
    const int parts = parts_of(size), depth = size / parts;
    for (int s = 0; s < samples; s += 16) {
      amx::configure(samples - s < 16 ? samples - s : 16, depth);
      amx::multiply<W>(
          parts, more, [=](int k) { return in + size_t(s) * size + k * depth; }, size,
          [=](int k, int w) { return packed + (size_t(k) * depth * W + w) * L; }, W * L,
          out + size_t(s) * c.pitch, c.pitch);
    }
    return;
  }
#endif
  const Split groups(samples, kMaxSamples);
  // several groups share a piece of a panel that stays in the first-level cache
  const int step = groups.parts == 1 ? size : 64;
  for (int from = 0; from < size; from += step) {
    const int to = from + step < size ? from + step : size;
    for (int group = 0; group < groups.parts; ++group) {
      const int s = groups.begin(group);
      product_panel<M, W>(groups.begin(group + 1) - s, in + size_t(s) * size, size, packed, from, to,
                          more, out + size_t(s) * c.pitch, c.pitch);
    }
  }
}

// out[s][column] = sum over j of in[s][j] packed[j][column]; rows of `in` have words<M>(c.depth) words,
// rows of `out` c.pitch numbers. With `more` the sums are added to what is there.
template <class M>
void product(const Panels<typename M::T>& c, int samples, const typename M::Word* in,
             const typename M::Word* packed, typename M::T* out, bool more = false) {
  for (int panel = 0; panel < c.count(); ++panel) {
    const int first = c.first(panel);
    const typename M::Word* from = packed + size_t(first) * words<M>(c.depth);
    switch (c.width(panel)) {
      case 1: product_groups<M, 1>(c, samples, in, from, more, out + first); break;
      case 2: product_groups<M, 2>(c, samples, in, from, more, out + first); break;
      case 3: product_groups<M, 3>(c, samples, in, from, more, out + first); break;
      case 4:
        if constexpr (kMaxWidth >= 4)
          product_groups<M, 4>(c, samples, in, from, more, out + first);
        break;
      case 5:
        if constexpr (kMaxWidth >= 5)
          product_groups<M, 5>(c, samples, in, from, more, out + first);
    }
  }
}

// The gradient of weights, out[i][j] += sum over rows k of left[k][i] right[k][j], with i < c.depth and
// j < c.size; two numbers in a word are for square weights only.
// Rows are collected (`push`) until the buffers are full, then multiplied at once (`flush`), as many
// in a word as it has numbers.
template <class M> struct Outer {
  using T = typename M::T;
  using Word = typename M::Word;
  static constexpr int high = kMaxSamples;  // rows of `out` at a time
  const Panels<T>* c;
  int capacity = 0, rows = 0;  // in words
  bool odd = false;            // whether a row waits for a second one
  Word *left, *right;
  T* waiting;

  void layout(Arena& arena, const Panels<T>& panels, int capacity_) {
    c = &panels;
    capacity = M::tiles ? 16 * parts_of(words<M>(capacity_)) : words<M>(capacity_);
    rows = 0;
    left = arena.take<Word>(size_t(capacity) * panels.depth);
    right = arena.take<Word>(size_t(capacity) * panels.pitch);
    if (M::numbers > 1) waiting = arena.take<T>(size_t(4) * panels.size);
  }
  void push(const T* l, const T* r) {
    if constexpr (M::numbers == 1) {
      add(l, r);
    } else {
      T *l0 = waiting, *r0 = l0 + c->size;
      if (!odd) {
        std::memcpy(l0, l, sizeof(T) * c->size);
        std::memcpy(r0, r, sizeof(T) * c->size);
      } else {
        add_pair(l, r);
      }
      odd = !odd;
    }
  }
  // the waiting row and this one, as words
  void add_pair(const T* l, const T* r) {
    const int size = c->size;
    const T *l0 = waiting, *r0 = l0 + size;
    Word *l1 = reinterpret_cast<Word*>(waiting + 2 * size), *r1 = l1 + size;
    const auto both = [size](const T* x, const T* y, Word* to) {
      int i = 0;
      for (; i + kLanes<T> <= size; i += kLanes<T>)
        M::store(to + i, M::of(load<T>(x + i), load<T>(y + i)));
      for (; i < size; ++i) to[i] = M::word(x[i], y[i]);
    };
    both(l0, l, l1);
    both(r0, r, r1);
    add(l1, r1);
  }
  // left is stored [block of rows of `out`][row][i in block], for tiles [i][row]; right
  // [panel][row][column]
  void add(const Word* l, const Word* r) {
    if constexpr (M::tiles) {
      for (int i = 0; i < c->depth; ++i) left[size_t(capacity) * i + rows] = l[i];
    } else {
      const int whole = c->depth / high * high, rest = c->depth - whole;
      for (int i = 0; i < whole; i += high)
        std::memcpy(left + size_t(capacity) * i + size_t(rows) * high, l + i, sizeof(Word) * high);
      for (int k = 0; k < rest; ++k)
        left[size_t(capacity) * whole + size_t(rows) * rest + k] = l[whole + k];
    }
    for (int p = 0; p < c->count(); ++p) {
      const int first = c->first(p), wide = c->first(p + 1) - first;
      const int real = c->size - first < wide ? c->size - first : wide;
      Word* to = right + size_t(capacity) * first + size_t(rows) * wide;
      std::memcpy(to, r + first, sizeof(Word) * real);
      for (int k = real; k < wide; ++k) to[k] = 0;
    }
    ++rows;
  }

  template <int R, int W> ADAPTRNN_INLINE void block(const Word* l, const Word* r, T* out) {
    Vec<T> acc[R][W];
#pragma GCC unroll 5
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) acc[i][w] = load<T>(out + i * c->pitch + w * kLanes<T>);
    for (int k = 0; k < rows; ++k, l += R, r += W * kLanes<T>) {
      typename M::V wide[W];
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) wide[w] = M::load(r + w * kLanes<T>);
#pragma GCC unroll 5
      for (int i = 0; i < R; ++i) {
        const typename M::V x = M::splat(l[i]);
#pragma GCC unroll 5
        for (int w = 0; w < W; ++w) M::multiply_add(acc[i][w], x, wide[w]);
      }
    }
#pragma GCC unroll 5
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 5
      for (int w = 0; w < W; ++w) store<T>(out + i * c->pitch + w * kLanes<T>, acc[i][w]);
  }
  template <int W> void flush_panel(int first, T* out) {
    const Word* r = right + size_t(capacity) * first;
#if defined(ADAPTRNN_AMX)
    if constexpr (M::tiles) {
      const int parts = parts_of(rows);
      std::memset(right + size_t(capacity) * first + size_t(rows) * W * kLanes<T>, 0,
                  sizeof(Word) * size_t(16 * parts - rows) * W * kLanes<T>);
      for (int i = 0; i < c->depth; i += 16) {
        if (i == 0 || i + 16 > c->depth) amx::configure(c->depth - i < 16 ? c->depth - i : 16, 16);
        const Word* l = left + size_t(capacity) * i;
        amx::multiply<W>(
            parts, true, [=](int k) { return l + 16 * k; }, capacity,
            [=](int k, int w) { return r + size_t(16 * k * W + w) * kLanes<T>; }, W * kLanes<T>,
            out + size_t(i) * c->pitch + first, c->pitch);
      }
      return;
    }
#endif
    for (int i = 0; i < c->depth; i += high) {
      const Word* l = left + size_t(capacity) * i;
      T* to = out + size_t(i) * c->pitch + first;
      switch (c->depth - i) {
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
  // out: c.depth rows of c.pitch numbers
  void flush(T* out) {
    if constexpr (M::numbers > 1)
      if (odd) {
        T* zero = waiting + 2 * c->size;
        std::memset(zero, 0, sizeof(T) * 2 * c->size);
        add_pair(zero, zero + c->size);
        odd = false;
      }
    if constexpr (M::tiles)
      for (int i = 0; i < c->depth; ++i)
        for (int k = rows; k < 16 * parts_of(rows); ++k) left[size_t(capacity) * i + k] = 0;
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
