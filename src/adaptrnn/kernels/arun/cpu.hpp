// The layer of adaptive recurrent units for one tile: a few samples, all time steps.
//
// The samples of a tile lie side by side in one row of lanes, lane = s N + i, cut into blocks of P
// vectors. The controller state of a block is [word of units][lane of the block]: its product with
// W_gg needs no sum across lanes and pads G to whole words only. A step of a block is one pass: product, tanh, readouts,
// gamma; backward likewise. The past is a row of slots, one per step, either of all T steps or of
// one segment that is computed again from a kept state.
//
// M says how the operands of the products are stored. With `Single` all is of one type. With `Pair`
// the controller's state is kept in bfloat16, whose values are used everywhere; the rates are rounded
// where they meet W_hh, and so is what goes back through W_gg and W_hh or into a weight's gradient.
// All else, sums among it, is float.
#pragma once

#include "../cpu/dense.hpp"
#include "../cpu/head.hpp"
#include "../cpu/input.hpp"
#include "../cpu/leak.hpp"
#include "../cpu/problem.hpp"
#include "../cpu/simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {
namespace arun {

constexpr int kChunk = 16;  // steps between two products for the gradient of the recurrent weights
constexpr int kTerms = 400;  // about as many are added up in T before the sum goes on in double; of
constexpr int kPairTerms = 3200;  // products of rounded numbers more, whose own error is far larger
constexpr int kRows = kManyRegisters ? 6 : 4;   // most rows of W_gg at a time (P < 5)
constexpr int kSide = kManyRegisters ? 5 : 3;   // side of a register block of the gradient of W_gg

constexpr int rows_at_once(int P) { return P >= 5 ? 5 : kRows; }

// Vectors of a block: the least padding, wide blocks preferred; two lanes of different vectors make
// a word, so their number is a multiple of a word's.
template <class M> int block_width(int lanes) {
  const int vectors = (lanes + kLanes<typename M::T> - 1) / kLanes<typename M::T>;
  constexpr double cost[] = {0, 1.5, 1.2, 1.06, 1.02, 1};
  int best = 1;
  double least = 1e300;
  for (int p = M::numbers; p <= (kManyRegisters ? 5 : 3); p += M::numbers) {
    const double c = double((vectors + p - 1) / p * p) * cost[p];
    if (c <= least) least = c, best = p;
  }
  return best;
}

// Enough samples to fill blocks and to use the recurrent weights several times a step, few enough
// that a step's states stay in the cache and the whole past of a tile in memory.
template <class M> int tile_samples(const Arun<typename M::T>& a) {
  const int lanes = M::tiles ? 3200 : 400 * M::numbers;
  const int wanted = (lanes + a.size - 1) / a.size;
  int most = wanted < 4 ? 4 : wanted > 16 ? 16 : wanted;
  while (most > 1 && double(most) * a.size * a.units > 2.5e5) --most;
  return most;
}

// The tiles of a square of units, two to a word: `high` of `rows` rows by `parts` of `depth` words.
struct Grid {
  int parts, depth, rows, high;
  explicit Grid(int words)
      : parts(parts_of(words)), depth(words / parts), rows(2 * depth <= 16 ? 2 * depth : depth),
        high(2 * words / rows) {}
  int columns() const { return 2 * parts * 16; }
  // where in a row of `columns` numbers that of a unit is: a tile has the first or the second
  // numbers of its words
  int column(int unit) const {
    const int word = unit / 2;
    return (2 * (word / depth) + unit % 2) * 16 + word % depth;
  }
};

template <class M> struct Packed {
  using T = typename M::T;
  typename M::Word *hh, *hh_t, *gg, *gg_t;
  T *ih, *ag, *bg, *gn, *gs;  // of the units, padded to whole words
  PackedHead<T> head;
  void layout(Arena& arena, const Arun<T>& a) {
    const Panels<T> panels(a.size);
    const int units = words<M>(a.units) * M::numbers;
    const size_t square = size_t(units) * words<M>(a.units);
    ih = input_layout(arena, a.input, a.size);
    hh = arena.take<typename M::Word>(packed_numbers<M>(panels));
    gg = arena.take<typename M::Word>(square);
    const bool both = a.mode != Mode::forward;
    hh_t = both ? arena.take<typename M::Word>(packed_numbers<M>(panels)) : nullptr;
    gg_t = both ? arena.take<typename M::Word>(square) : nullptr;
    ag = arena.take<T>(units), bg = arena.take<T>(units);
    gn = arena.take<T>(units), gs = arena.take<T>(units);
    head.layout(arena, a.head, a.size);
  }
};

template <class M> size_t packed_bytes(const Arun<typename M::T>& a) {
  Arena arena{nullptr};
  Packed<M>().layout(arena, a);
  return arena.used;
}

// [row block][word of j][row of the block]; a block has whole words of rows
template <class M>
void pack_units(int units, int most, const typename M::T* w, bool transposed,
                typename M::Word* packed) {
  const auto at = [&](int i, int j) {
    if (i >= units || j >= units) return typename M::T(0);
    return transposed ? w[size_t(j) * units + i] : w[size_t(i) * units + j];
  };
  if constexpr (M::tiles) {
    // [tile of rows][tile of words][row of the tile][word of the tile]
    const Grid grid(words<M>(units));
    for (int i = 0; i < grid.high; ++i)
      for (int k = 0; k < grid.parts; ++k)
        for (int row = i * grid.rows; row < (i + 1) * grid.rows; ++row)
          for (int word = k * grid.depth; word < (k + 1) * grid.depth; ++word)
            *packed++ = M::word(at(row, 2 * word), at(row, 2 * word + 1));
    return;
  }
  const Split rows(words<M>(units), most / M::numbers);
  for (int b = 0; b < rows.parts; ++b)
    for (int j = 0; j < units; j += M::numbers)
      for (int i = rows.begin(b) * M::numbers; i < rows.begin(b + 1) * M::numbers; ++i)
        *packed++ = M::word(at(i, j), at(i, j + 1));
}

template <class M> void pack(const Arun<typename M::T>& a, char* memory) {
  Arena arena{memory};
  Packed<M> p;
  p.layout(arena, a);
  const Panels<typename M::T> panels(a.size);
  const int most = rows_at_once(block_width<M>(tile_samples<M>(a) * a.size));
  pack_input(a.input, a.size, p.ih);
  p.head.pack(a.head, a.size);
  pack_weight<M>(panels, a.weight_hh, false, p.hh);
  pack_units<M>(a.units, most, a.weight_gg, false, p.gg);
  if (p.hh_t) {
    pack_weight<M>(panels, a.weight_hh, true, p.hh_t);
    pack_units<M>(a.units, most, a.weight_gg, true, p.gg_t);
  }
  for (int i = 0; i < words<M>(a.units) * M::numbers; ++i) {
    const bool real = i < a.units;
    p.ag[i] = real ? a.weight_ag[i] : 0, p.bg[i] = real ? a.bias_g[i] : 0;
    p.gn[i] = real ? a.weight_gc[i] : 0, p.gs[i] = real ? a.weight_gc[a.units + i] : 0;
  }
}

template <class T> GradientLayout gradient_layout(const Arun<T>& a) {
  const Panels<T> panels(a.size);
  const size_t g = a.units;
  return {size_t(a.size) * panels.pitch, size_t(panels.pitch),
          g * g + 2 * g + g + g + 2 + (a.leaks ? a.size : 0) + head_numbers(a.head, a.size) +
              InputGradient<T>::numbers(a.input, a.size)};
}

// Views of the doubles of Gradients, in this order.
struct Small {
  double *gg, *gc, *ag, *bg, *bgc, *alpha, *head, *ih;
  template <class T> Small(double* p, const Arun<T>& a) {
    const size_t g = a.units;
    gg = p, gc = gg + g * g, ag = gc + 2 * g, bg = ag + g, bgc = bg + g;
    alpha = bgc + 2, head = alpha + (a.leaks ? a.size : 0);
    ih = head + head_numbers(a.head, a.size);
  }
};

template <class M> struct Slot {
  typename M::Word* g;
  typename M::T *a, *n, *s, *h, *rate;  // rate without the leak; null where there is none
};

// One tile's work, and where its intermediate results are.
template <class M, int P> struct Tile {
  using T = typename M::T;
  using Word = typename M::Word;
  static_assert(sizeof(Word) == sizeof(T));
  static constexpr int L = kLanes<T>;
  static constexpr int wide = P * L;  // lanes of a block
  static constexpr int K = M::numbers;
  // blocks whose share of the gradient of W_gg is added in one go; pairs take half as much room
  static constexpr int group = M::tiles ? 4 : 4 * K;
  static constexpr int R = rows_at_once(P) / K;  // most words of rows at a time

  const Arun<T>& c;
  const Panels<T> panels;
  Packed<M> w;
  int samples, units, states, lanes, blocks, padded;  // states: words of the units
  Split rows, sides;
  Grid grid;  // for tiles only, as `inner`: the arguments of tanh of a block
  bool keep_all;
  int slots;
  int steps_in_sums;
  size_t slot_size, state_size;
  T *past, *kept, *sums, *inner, *dh, *dg, *sum_gg, *sum_small, *mask;
  T* da;
  Word *dz, *rounded, *left, *right;
  Outer<M> outer;
  InputGradient<T> input;
  HeadTile<T> head;
  Leak<T> leak;

  Tile(const Arun<T>& c_, int samples_)
      : c(c_),
        panels(c_.size),
        samples(samples_),
        units(c_.units),
        states(words<M>(units)),
        lanes(samples_ * c_.size),
        blocks((lanes + wide - 1) / wide),
        padded(blocks * wide),
        rows(states, R),
        sides(units, kSide),
        grid(states),
        head(c_.head, c_.time, c_.size, samples_),
        leak(c_.alpha, c_.size, lanes, padded) {
    keep_all = c.past || (c.mode == Mode::fused && c.segment >= c.time);
    const int length = c.segment < c.time ? c.segment : c.time;
    slots = c.mode == Mode::forward ? 2 : length + 1;
    const int terms = padded / L;  // of a step
    const int most = K > 1 ? kPairTerms : kTerms;
    steps_in_sums = terms < most ? most / terms : 1;
    state_size = size_t(states + 1) * padded;
    slot_size = size_t(states + (c.leaks ? 5 : 4)) * padded;
  }

  void layout(Arena& arena) {
    past = c.past ? nullptr : arena.take<T>(slot_size * slots);
    const int kept_states = (c.time - 1) / c.segment;
    kept = c.mode == Mode::fused && !keep_all ? arena.take<T>(state_size * kept_states) : nullptr;
    sums = arena.take<T>(size_t(samples) * panels.pitch);
    rounded = K > 1 ? arena.take<Word>(size_t(samples) * words<M>(c.size)) : nullptr;
    inner = M::tiles ? arena.take<T>(size_t(states) * K * wide) : nullptr;
    leak.layout(arena, c.leaks, c.mode != Mode::forward);
    if (c.mode == Mode::forward) return;
    dh = arena.take<T>(padded);
    da = arena.take<T>(padded);
    mask = arena.take<T>(padded);
    dg = arena.take<T>(size_t(states) * K * padded);
    dz = arena.take<Word>(size_t(states) * wide * group);
    left = right = nullptr;
    if (K > 1) left = arena.take<Word>(size_t(states) * wide * group);
    if (K > 1)
      right = arena.take<Word>(size_t(M::tiles ? grid.columns() / 2 : states) * wide * group);
    sum_gg = arena.take<T>(units_in_sum());
    sum_small = arena.take<T>(size_t(states) * K * 4 * L + 2 * L);
    input.layout(arena, c.input, c.size);
    outer.layout(arena, panels, kChunk * samples);
    head.layout(arena);
  }

  // numbers of the sum for the gradient of W_gg
  size_t units_in_sum() const {
    return M::tiles ? size_t(states) * K * grid.columns() : size_t(units) * units * L;
  }

  Slot<M> slot(int k) const {
    T* p = past + slot_size * k;
    Slot<M> s;
    s.g = reinterpret_cast<Word*>(p), p += size_t(states) * padded;
    s.h = p, p += padded;  // g and h, the state, are together
    s.a = p, p += padded, s.n = p, p += padded, s.s = p;
    s.rate = leak ? p + padded : nullptr;
    return s;
  }

  // states between (samples, N, G) and blocks
  void import_units(const T* from, Word* to) const {
    if (lanes < padded) std::memset(to, 0, sizeof(Word) * states * padded);
    for (int lane = 0; lane < lanes; ++lane, from += units) {
      Word* column = to + size_t(lane / wide) * states * wide + lane % wide;
      for (int i = 0; i < states; ++i)
        column[size_t(i) * wide] = M::word(i * K < units ? from[i * K] : 0,
                                           i * K + 1 < units ? from[i * K + 1] : 0);
    }
  }
  void export_units(const Word* from, T* to) const {
    for (int lane = 0; lane < lanes; ++lane, to += units) {
      const Word* column = from + size_t(lane / wide) * states * wide + lane % wide;
      for (int i = 0; i < units; ++i) to[i] = M::number(column[size_t(i / K) * wide], i % K);
    }
  }
  // the same for gradients, numbers of type T
  void import_slopes(const T* from, T* to) const {
    std::memset(to, 0, sizeof(T) * states * K * padded);
    for (int lane = 0; lane < lanes; ++lane) {
      T* column = to + size_t(lane / wide) * states * K * wide + lane % wide;
      for (int i = 0; i < units; ++i) column[size_t(i) * wide] = from[size_t(lane) * units + i];
    }
  }
  void export_slopes(const T* from, T* to) const {
    for (int lane = 0; lane < lanes; ++lane) {
      const T* column = from + size_t(lane / wide) * states * K * wide + lane % wide;
      for (int i = 0; i < units; ++i) to[size_t(lane) * units + i] = column[size_t(i) * wide];
    }
  }

  // N words of rows from word i0
  template <int N>
  ADAPTRNN_INLINE void unit_rows(int i0, const Word* g_before, Word* g, const Vec<T> (&a)[P],
                                 Vec<T> (&n)[P], Vec<T> (&s)[P]) const {
    Vec<T> acc[N * K][P];
#pragma GCC unroll 8
    for (int r = 0; r < N * K; ++r) {
      const Vec<T> wa = splat(w.ag[i0 * K + r]), b = splat(w.bg[i0 * K + r]);
#pragma GCC unroll 5
      for (int p = 0; p < P; ++p) acc[r][p] = wa * a[p] + b;
    }
    const Word* weights = w.gg + size_t(i0) * K * states;
    for (int j = 0; j < states; ++j, weights += N * K, g_before += wide) {
      __builtin_prefetch(g + size_t(i0) * wide + j * L, 1);  // written below; in no cache yet
      typename M::V x[P];
#pragma GCC unroll 5
      for (int p = 0; p < P; ++p) x[p] = M::load(g_before + p * L);
#pragma GCC unroll 8
      for (int r = 0; r < N * K; ++r) {
        const typename M::V weight = M::splat(weights[r]);
#pragma GCC unroll 5
        for (int p = 0; p < P; ++p) M::multiply_add(acc[r][p], weight, x[p]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r) {
#pragma GCC unroll 5
      for (int p = 0; p < P; ++p) {
        const typename M::V word = M::of(M::tanh(acc[r * K][p]), M::tanh(acc[r * K + K - 1][p]));
        M::store(g + size_t(i0 + r) * wide + p * L, word);
#pragma GCC unroll 2
        for (int k = 0; k < K; ++k) {
          const Vec<T> value = k ? M::second(word) : M::first(word);
          n[p] += splat(w.gn[(i0 + r) * K + k]) * value;
          s[p] += splat(w.gs[(i0 + r) * K + k]) * value;
        }
      }
    }
  }

  // The product of W_gg, packed, with words of units of a block, [word][lane].
  ADAPTRNN_INLINE void tiles_of_units(const Word* packed, const Word* from, T* to) const {
#if defined(ADAPTRNN_AMX)
    for (int i = 0; i < grid.high; ++i) {
      const Word* weights = packed + size_t(i) * grid.rows * states;
      amx::multiply<P>(
          grid.parts, false, [=](int k) { return weights + k * grid.rows * grid.depth; }, grid.depth,
          [=](int k, int p) { return from + size_t(k) * grid.depth * wide + p * L; }, wide,
          to + size_t(i) * grid.rows * wide, wide);
    }
#endif
  }
  // all rows by tiles
  ADAPTRNN_INLINE void unit_tiles(const Word* g_before, Word* g, const Vec<T> (&a)[P],
                                  Vec<T> (&n)[P], Vec<T> (&s)[P]) const {
    tiles_of_units(w.gg, g_before, inner);
    const T* z = inner;
    for (int i = 0; i < states; ++i, z += K * wide, g += wide) {
      const Vec<T> wa = splat(w.ag[i * K]), b = splat(w.bg[i * K]);
      const Vec<T> wa_ = splat(w.ag[i * K + K - 1]), b_ = splat(w.bg[i * K + K - 1]);
#pragma GCC unroll 5
      for (int p = 0; p < P; ++p) {
        const Vec<T> x = load<T>(z + p * L) + (wa * a[p] + b);
        const Vec<T> y = load<T>(z + (K - 1) * wide + p * L) + (wa_ * a[p] + b_);
        const typename M::V word = M::of(M::tanh(x), M::tanh(y));
        M::store(g + p * L, word);
        n[p] += splat(w.gn[i * K]) * M::first(word);
        s[p] += splat(w.gs[i * K]) * M::first(word);
        n[p] += splat(w.gn[i * K + K - 1]) * M::second(word);
        s[p] += splat(w.gs[i * K + K - 1]) * M::second(word);
      }
    }
  }

  // one step of one block
  void forward_block(const Word* g_before, Word* g, const T* a_, T* n_, T* s_, T* h_) const {
    Vec<T> a[P], n[P], s[P];
    for (int p = 0; p < P; ++p) {
      a[p] = load<T>(a_ + p * L);
      n[p] = splat(c.bias_gc[0]);
      s[p] = splat(c.bias_gc[1]);
    }
    if constexpr (M::tiles) unit_tiles(g_before, g, a, n, s);
    else for (int b = 0; b < rows.parts; ++b) {
      const int i = rows.begin(b);
      switch (rows.begin(b + 1) - i) {
        case 1: unit_rows<1>(i, g_before, g, a, n, s); break;
        case 2: if constexpr (R >= 2) unit_rows<2>(i, g_before, g, a, n, s); break;
        case 3: if constexpr (R >= 3) unit_rows<3>(i, g_before, g, a, n, s); break;
        case 4: if constexpr (R >= 4) unit_rows<4>(i, g_before, g, a, n, s); break;
        case 5: if constexpr (R >= 5) unit_rows<5>(i, g_before, g, a, n, s); break;
        case 6: if constexpr (R >= 6) unit_rows<6>(i, g_before, g, a, n, s); break;
      }
    }
    for (int p = 0; p < P; ++p) {
      store<T>(n_ + p * L, n[p]);
      store<T>(s_ + p * L, s[p]);
      store<T>(h_ + p * L, Curve<T>(a[p], n[p], s[p]).value());
    }
  }

  ADAPTRNN_INLINE void shape_for_units() const {
#if defined(ADAPTRNN_AMX)
    if constexpr (M::tiles) amx::configure(grid.rows, grid.depth);
#endif
  }

  void forward_step(int t, int first, const Slot<M>& before, const Slot<M>& now) const {
    product<M>(panels, samples, operands<M>(samples, c.size, before.h, rounded), w.hh, sums);
    const size_t at = size_t(t) * c.batch + first;
    for (int s = 0; s < samples; ++s)
      add_current(c.input, w.ih, c.currents, c.size, at + s, sums + size_t(s) * panels.pitch,
                  now.a + size_t(s) * c.size);
    for (int lane = lanes; lane < padded; ++lane) now.a[lane] = 0;
    shape_for_units();
    for (int b = 0; b < blocks; ++b) {
      const size_t g = size_t(b) * states * wide, l = size_t(b) * wide;
      forward_block(before.g + g, now.g + g, now.a + l, now.n + l, now.s + l, now.h + l);
    }
    if (leak) leak.forward(before.h, now.h, now.rate);
  }

  void write_step(int t, int first, const Slot<M>& now) const {
    const size_t at = (size_t(t) * c.batch + first) * c.size, bytes = sizeof(T) * lanes;
    if (c.output) std::memcpy(c.output + at, now.h, bytes);
    if (c.trace_a) std::memcpy(c.trace_a + at, now.a, bytes);
    if (c.trace_n) std::memcpy(c.trace_n + at, now.n, bytes);
    if (c.trace_s) std::memcpy(c.trace_s + at, now.s, bytes);
    if (c.trace_g) export_units(now.g, c.trace_g + at * units);
  }

  // N words of rows from word i0
  template <int N>
  ADAPTRNN_INLINE void transposed_rows(int i0, const Word* z, T* out, const Word* soon) const {
    Vec<T> acc[N * K][P] = {};
    const Word* weights = w.gg_t + size_t(i0) * K * states;
    for (int j = 0; j < states; ++j, weights += N * K, z += wide, soon += wide) {
      __builtin_prefetch(soon, 0, 3);
      typename M::V x[P];
#pragma GCC unroll 5
      for (int p = 0; p < P; ++p) x[p] = M::load(z + p * L);
#pragma GCC unroll 8
      for (int r = 0; r < N * K; ++r) {
        const typename M::V weight = M::splat(weights[r]);
#pragma GCC unroll 5
        for (int p = 0; p < P; ++p) M::multiply_add(acc[r][p], weight, x[p]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < N * K; ++r)
#pragma GCC unroll 5
      for (int p = 0; p < P; ++p) store<T>(out + size_t(i0 * K + r) * wide + p * L, acc[r][p]);
  }

  // one step back of one block: slopes of the rates, dg -> dz, da, and dg of the step before
  void backward_block(int b, const Slot<M>& before, const Slot<M>& now, const T* slopes, Word* z) {
    const size_t lane = size_t(b) * wide;
    const Word* g = now.g + size_t(b) * states * wide;
    T* d = dg + size_t(b) * states * K * wide;
    Vec<T> a[P], da_[P], dn[P], ds[P];
    Vec<T> total_n = {}, total_s = {};
    for (int p = 0; p < P; ++p) {
      const size_t l = lane + p * L;
      a[p] = load<T>(now.a + l);
      const Curve<T> curve(a[p], load<T>(now.n + l), load<T>(now.s + l));
      const Vec<T> slope = load<T>(slopes + l);
      const Int<T> real = bits<T>(load<T>(mask + l));  // padding may hold anything
      da_[p] = from_bits<T>(bits<T>(slope * curve.da()) & real);
      dn[p] = from_bits<T>(bits<T>(slope * curve.dn()) & real);
      ds[p] = from_bits<T>(bits<T>(slope * curve.ds()) & real);
      total_n += dn[p];
      total_s += ds[p];
    }
    T* small = sum_small;
    for (int i = 0; i < states; ++i, g += wide, z += wide) {
      Vec<T> waiting[P];
#pragma GCC unroll 2
      for (int k = 0; k < K; ++k, d += wide, small += 4 * L) {
        const Vec<T> wn = splat(w.gn[i * K + k]), ws = splat(w.gs[i * K + k]),
                     wa = splat(w.ag[i * K + k]);
        Vec<T> to_n = load<T>(small), to_s = load<T>(small + L), to_a = load<T>(small + 2 * L),
               to_b = load<T>(small + 3 * L);
#pragma GCC unroll 5
        for (int p = 0; p < P; ++p) {
          const typename M::V word = M::load(g + p * L);
          const Vec<T> value = k ? M::second(word) : M::first(word);
          const Vec<T> slope = load<T>(d + p * L) + dn[p] * wn + ds[p] * ws;
          const Vec<T> inner = slope - slope * value * value;
          if (k == K - 1) M::store(z + p * L, M::of(K > 1 ? waiting[p] : inner, inner));
          else waiting[p] = inner;
          da_[p] += wa * inner;
          to_n += dn[p] * value;
          to_s += ds[p] * value;
          to_a += inner * a[p];
          to_b += inner;
        }
        store<T>(small, to_n);
        store<T>(small + L, to_s);
        store<T>(small + 2 * L, to_a);
        store<T>(small + 3 * L, to_b);
      }
    }
    z -= size_t(states) * wide;
    store<T>(small, load<T>(small) + total_n);
    store<T>(small + L, load<T>(small + L) + total_s);
    for (int p = 0; p < P; ++p) store<T>(da + lane + p * L, da_[p]);
    d = dg + size_t(b) * states * K * wide;
    const Word* past_g = before.g + size_t(b) * states * wide;  // read next; in no cache yet
    if constexpr (M::tiles) tiles_of_units(w.gg_t, z, d);
    else for (int k = 0; k < rows.parts; ++k) {
      const int i = rows.begin(k);
      const Word* soon = past_g + k % P * L;
      switch (rows.begin(k + 1) - i) {
        case 1: transposed_rows<1>(i, z, d, soon); break;
        case 2: if constexpr (R >= 2) transposed_rows<2>(i, z, d, soon); break;
        case 3: if constexpr (R >= 3) transposed_rows<3>(i, z, d, soon); break;
        case 4: if constexpr (R >= 4) transposed_rows<4>(i, z, d, soon); break;
        case 5: if constexpr (R >= 5) transposed_rows<5>(i, z, d, soon); break;
        case 6: if constexpr (R >= 6) transposed_rows<6>(i, z, d, soon); break;
      }
    }
  }

  // Words of units, [word][lane], as rows of words of lanes, [unit][word of lanes]: what is summed
  // over lanes meets in a word.
  void words_of_lanes(int count, const Word* from, Word* to) const {
    for (int row = 0; row < count * states; ++row, from += wide)
      for (int k = 0; k < K; ++k, to += wide / K)
        for (int p = 0; p < P; p += K) {
          const auto x = M::load(from + p * L), y = M::load(from + (p + K - 1) * L);
          M::store(to + p / K * L, k ? M::seconds(x, y) : M::firsts(x, y));
        }
  }

  // Words of units, [word][lane], as rows of columns: what is summed over lanes meets in a word.
  // [block][pair of vectors][tile of columns][lane][column]
  void columns_of_units(int count, const Word* from, Word* to) const {
#if defined(ADAPTRNN_AMX)
    for (int b = 0; b < count; ++b, from += size_t(states) * wide)
      for (int p = 0; p < P; p += 2)
        for (int k = 0; k < grid.parts; ++k, to += 2 * 16 * L) {
          typename M::V x[16] = {}, y[16] = {};
          for (int word = 0; word < grid.depth; ++word) {
            const Word* at = from + size_t(k * grid.depth + word) * wide + p * L;
            x[word] = M::load(at), y[word] = M::load(at + L);
          }
          amx::transpose(x);
          amx::transpose(y);
          for (int lane = 0; lane < L; ++lane) {
            M::store(to + lane * 16, M::firsts(x[lane], y[lane]));
            M::store(to + 16 * L + lane * 16, M::seconds(x[lane], y[lane]));
          }
        }
#endif
  }
  template <int W> ADAPTRNN_INLINE void gradient_tiles(int count, int first) {
#if defined(ADAPTRNN_AMX)
    const size_t pairs = P / 2, block = size_t(states) * wide, columns = grid.columns();
    for (int i = 0; i < grid.high; ++i) {
      const Word* beside = left + size_t(i) * grid.rows * (wide / 2);
      amx::multiply<W>(
          int(count * pairs), true,
          [=](int k) { return beside + k / pairs * block + k % pairs * L; }, wide / 2,
          [=](int k, int w) { return right + k * columns * L + (first + w) * 16 * L; }, 16,
          sum_gg + size_t(i) * grid.rows * columns + first * 16, columns);
    }
#endif
  }

  template <int I, int J>
  ADAPTRNN_INLINE void unit_gradient(int count, const Word* z, const Word* g, T* out) const {
    constexpr int pitch = wide / K;
    Vec<T> acc[I][J];
#pragma GCC unroll 5
    for (int i = 0; i < I; ++i)
#pragma GCC unroll 5
      for (int j = 0; j < J; ++j) acc[i][j] = load<T>(out + (i * J + j) * L);
    for (int b = 0; b < count; ++b, z += size_t(states) * wide, g += size_t(states) * wide)
      for (int p = 0; p < P / K; ++p) {
        typename M::V above[J];
#pragma GCC unroll 5
        for (int j = 0; j < J; ++j) above[j] = M::load(g + j * pitch + p * L);
#pragma GCC unroll 5
        for (int i = 0; i < I; ++i) {
          const typename M::V beside = M::load(z + i * pitch + p * L);
#pragma GCC unroll 5
          for (int j = 0; j < J; ++j) M::multiply_add(acc[i][j], beside, above[j]);
        }
      }
#pragma GCC unroll 5
    for (int i = 0; i < I; ++i)
#pragma GCC unroll 5
      for (int j = 0; j < J; ++j) store<T>(out + (i * J + j) * L, acc[i][j]);
  }
  template <int I>
  ADAPTRNN_INLINE void unit_gradient_row(int columns, int count, const Word* z, const Word* g,
                                         T* out) const {
    switch (columns) {
      case 1: return unit_gradient<I, 1>(count, z, g, out);
      case 2: return unit_gradient<I, 2>(count, z, g, out);
      case 3: return unit_gradient<I, 3>(count, z, g, out);
      case 4: if constexpr (kSide >= 4) return unit_gradient<I, 4>(count, z, g, out); break;
      case 5: if constexpr (kSide >= 5) return unit_gradient<I, 5>(count, z, g, out); break;
    }
  }
  // the gradient of W_gg: sum_gg[i][j] += dz[i] g_before[j], lane by lane, over `count` blocks
  void gradient_of_units(int count, const Word* z, const Word* g) {
#if defined(ADAPTRNN_AMX)
    if constexpr (M::tiles) {
      words_of_lanes(count, z, left);
      columns_of_units(count, g, right);
      amx::configure(grid.rows, 16);
      int first = 0;
      for (; first + 4 <= 2 * grid.parts; first += 4) gradient_tiles<4>(count, first);
      if (first < 2 * grid.parts) gradient_tiles<2>(count, first);
      return;
    }
#endif
    if constexpr (K > 1) {
      words_of_lanes(count, z, left);
      words_of_lanes(count, g, right);
      z = left, g = right;
    }
    for (int p = 0; p < sides.parts; p += 2)
      for (int q = 0; q < sides.parts; ++q)
        for (int o = p; o < p + 2 && o < sides.parts; ++o) {
          const int i = sides.begin(o), height = sides.begin(o + 1) - i;
          const int j = sides.begin(q), columns = sides.begin(q + 1) - j;
          T* out = sum_gg + (size_t(i) * units + size_t(height) * j) * L;
          const Word *zi = z + size_t(i) * (wide / K), *gj = g + size_t(j) * (wide / K);
          switch (height) {
            case 1: unit_gradient_row<1>(columns, count, zi, gj, out); break;
            case 2: unit_gradient_row<2>(columns, count, zi, gj, out); break;
            case 3: unit_gradient_row<3>(columns, count, zi, gj, out); break;
            case 4: if constexpr (kSide >= 4) unit_gradient_row<4>(columns, count, zi, gj, out); break;
            case 5: if constexpr (kSide >= 5) unit_gradient_row<5>(columns, count, zi, gj, out); break;
          }
        }
  }

  // Adds the sums over lanes and recent steps to the tile's gradients, in double precision.
  void flush(Gradients<T> out) {
    const Small small(out.small, c);
    const T* from = sum_gg;
    if constexpr (M::tiles) {
      for (int i = 0; i < units; ++i)
        for (int j = 0; j < units; ++j)
          small.gg[size_t(i) * units + j] += from[size_t(i) * grid.columns() + grid.column(j)];
    } else for (int p = 0; p < sides.parts; ++p)
      for (int q = 0; q < sides.parts; ++q)
        for (int i = sides.begin(p); i < sides.begin(p + 1); ++i)
          for (int j = sides.begin(q); j < sides.begin(q + 1); ++j, from += L)
            small.gg[size_t(i) * units + j] += sum<T>(load<T>(from));
    from = sum_small;
    for (int i = 0; i < units; ++i, from += 4 * L) {
      small.gc[i] += sum<T>(load<T>(from));
      small.gc[units + i] += sum<T>(load<T>(from + L));
      small.ag[i] += sum<T>(load<T>(from + 2 * L));
      small.bg[i] += sum<T>(load<T>(from + 3 * L));
    }
    from = sum_small + size_t(states) * K * 4 * L;
    small.bgc[0] += sum<T>(load<T>(from));
    small.bgc[1] += sum<T>(load<T>(from + L));
    input.flush(small.ih);
    leak.flush(small.alpha);
    clear();
  }
  void clear() {
    std::memset(sum_gg, 0, sizeof(T) * units_in_sum());
    std::memset(sum_small, 0, sizeof(T) * (4 * states * K + 2) * L);
    input.clear();
    leak.clear();
  }

  void backward_step(int t, int first, const Slot<M>& before, const Slot<M>& now,
                     Gradients<T> out) {
    if (leak) leak.backward(before.h, now.rate, dh);
    const T* slopes = leak ? leak.scaled : dh;
    for (int b = 0; b < blocks; b += group) {
      const int count = blocks - b < group ? blocks - b : group;
      shape_for_units();
      for (int k = 0; k < count; ++k)
        backward_block(b + k, before, now, slopes, dz + size_t(k) * states * wide);
      gradient_of_units(count, dz, before.g + size_t(b) * states * wide);
    }
    if (c.grad_currents)
      std::memcpy(c.grad_currents + (size_t(t) * c.batch + first) * c.size, da,
                  sizeof(T) * lanes);
    for (int s = 0; s < samples; ++s) {
      const T* slope = da + size_t(s) * c.size;
      input.add(size_t(t) * c.batch + first + s, slope);
      outer.push(slope, before.h + size_t(s) * c.size);
    }
    product<M>(panels, samples, operands<M>(samples, c.size, da, rounded), w.hh_t, sums);
    head.backward(w.head, t - 1, sums);
    const T* more = t && c.grad_output
                        ? c.grad_output + (size_t(t - 1) * c.batch + first) * c.size
                        : nullptr;
    for (int s = 0; s < samples; ++s) {
      T* to = dh + size_t(s) * c.size;
      const T* y = sums + size_t(s) * panels.pitch;
      if (more) {
        const T* x = more + size_t(s) * c.size;
        for (int i = 0; i < c.size; ++i) to[i] = x[i] + y[i];
      } else {
        for (int i = 0; i < c.size; ++i) to[i] = y[i];
      }
    }
    if (leak) leak.join(dh);
    if (t % kChunk == 0) outer.flush(out.weight_hh);
    if (t % steps_in_sums == 0) flush(out);
  }

  // dh of the last step, where the loss is all there is
  void last_slopes() const {
    std::memset(sums, 0, sizeof(T) * samples * panels.pitch);
    head.backward(w.head, c.time - 1, sums);
    for (int s = 0; s < samples; ++s)
      std::memcpy(dh + size_t(s) * c.size, sums + size_t(s) * panels.pitch, sizeof(T) * c.size);
  }

  // State before step t = k segment, k >= 1.
  void keep(int k, int first, const Slot<M>& now) const {
    if (kept) {
      std::memcpy(kept + state_size * (k - 1), now.g, sizeof(T) * state_size);
    } else if (c.kept_h) {
      const size_t at = (size_t(k - 1) * c.batch + first) * c.size;
      std::memcpy(c.kept_h + at, now.h, sizeof(T) * lanes);
      export_units(now.g, c.kept_g + at * units);
    }
  }
  void restore(int k, int first, const Slot<M>& to) const {
    if (k == 0) {
      const size_t at = size_t(first) * c.size;
      std::memcpy(to.h, c.h0 + at, sizeof(T) * lanes);
      std::memset(to.h + lanes, 0, sizeof(T) * (padded - lanes));
      import_units(c.g0 + at * units, to.g);
    } else if (kept) {
      std::memcpy(to.g, kept + state_size * (k - 1), sizeof(T) * state_size);
    } else {
      const size_t at = (size_t(k - 1) * c.batch + first) * c.size;
      std::memcpy(to.h, c.kept_h + at, sizeof(T) * lanes);
      std::memset(to.h + lanes, 0, sizeof(T) * (padded - lanes));
      import_units(c.kept_g + at * units, to.g);
    }
  }

  void run(const char* packed, char* workspace, T* whole_past, int first, Gradients<T> out) {
    Arena weights{const_cast<char*>(packed)}, arena{workspace};
    w.layout(weights, c);
    layout(arena);
    if (whole_past) {
      past = whole_past;
      // what no step writes: it is an output, and outputs are to be the same every time
      if (c.mode == Mode::forward) std::memset(past, 0, sizeof(T) * slot_size);
    }
    leak.begin();
    const size_t at = size_t(first) * c.size;
    const int last_segment = (c.time - 1) / c.segment;
    if (c.mode != Mode::backward) {
      restore(0, first, slot(0));
      head.begin(first);
      Slot<M> now = slot(0);
      for (int t = 0; t < c.time; ++t) {
        if (t && t % c.segment == 0) keep(t / c.segment, first, now);
        const Slot<M> next = slot(keep_all ? t + 1 : (t + 1) & 1);
        forward_step(t, first, now, next);
        write_step(t, first, next);
        head.forward(w.head, t, c.batch, first, next.h, Small(out.small, c).head);
        now = next;
      }
      if (c.h_last) std::memcpy(c.h_last + at, now.h, sizeof(T) * lanes);
      if (c.g_last) export_units(now.g, c.g_last + at * units);
      if (c.mode == Mode::forward) return;
      std::memset(dh, 0, sizeof(T) * padded);
      last_slopes();
      std::memset(dg, 0, sizeof(T) * states * K * padded);
    } else {
      std::memset(dh, 0, sizeof(T) * padded);
      const size_t end = size_t(c.time - 1) * c.batch * c.size + at;
      for (int l = 0; l < lanes; ++l)
        dh[l] = (c.grad_output ? c.grad_output[end + l] : 0) +
                (c.grad_h_last ? c.grad_h_last[at + l] : 0);
      if (c.grad_g_last) import_slopes(c.grad_g_last + at * units, dg);
      else std::memset(dg, 0, sizeof(T) * states * K * padded);
    }
    std::memset(mask, 0, sizeof(T) * padded);
    std::memset(mask, 0xff, sizeof(T) * lanes);
    clear();
    leak.begin_backward();
    for (int k = last_segment; k >= 0; --k) {
      const int from = k * c.segment, to = c.time < from + c.segment ? c.time : from + c.segment;
      if (!keep_all) {
        restore(k, first, slot(0));
        for (int t = from; t < to; ++t) forward_step(t, first, slot(t - from), slot(t - from + 1));
      }
      for (int t = to - 1; t >= from; --t)
        backward_step(t, first, slot(t - from), slot(t - from + 1), out);
    }
    if (c.grad_h0) std::memcpy(c.grad_h0 + at, dh, sizeof(T) * lanes);
    if (c.grad_g0) export_slopes(dg, c.grad_g0 + at * units);
  }
};

// Calls `use` with the tile of the block width that suits the whole problem.
template <class M, class Use> void with_tile(const Arun<typename M::T>& a, int samples, Use use) {
  switch (block_width<M>(tile_samples<M>(a) * a.size)) {
    case 1:
      if constexpr (M::numbers == 1) { Tile<M, 1> tile(a, samples); use(tile); }
      break;
    case 2: { Tile<M, 2> tile(a, samples); use(tile); break; }
    case 3:
      if constexpr (M::numbers == 1) { Tile<M, 3> tile(a, samples); use(tile); }
      break;
    case 4:
      if constexpr (kManyRegisters) { Tile<M, 4> tile(a, samples); use(tile); }
      break;
    case 5:
      if constexpr (kManyRegisters && M::numbers == 1) { Tile<M, 5> tile(a, samples); use(tile); }
      break;
  }
}

template <class M> size_t workspace_bytes(const Arun<typename M::T>& a, int samples) {
  Arena arena{nullptr};
  with_tile<M>(a, samples, [&](auto& tile) { tile.layout(arena); });
  return arena.used;
}

template <class M> size_t past_numbers(const Arun<typename M::T>& a, int samples) {
  size_t numbers = 0;
  with_tile<M>(a, samples, [&](auto& tile) { numbers = tile.slot_size * (size_t(a.time) + 1); });
  return numbers;
}

template <class M>
void run(const Arun<typename M::T>& a, const char* packed, char* workspace, typename M::T* past,
         int first, int samples, Gradients<typename M::T> out) {
#if defined(ADAPTRNN_AMX)
  const amx::InUse in_use;
#endif
  with_tile<M>(a, samples, [&](auto& tile) { tile.run(packed, workspace, past, first, out); });
}

}  // namespace arun
}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
