// Products by AMX. Its registers are tiles of up to 16 rows of 64 bytes, and one instruction multiplies
// a tile of 16 rows of bfloat16 pairs with one of 16 columns of pairs. A word is such a pair: what
// `Pair` calls packed weights, states and slopes are tiles as they lie in memory.
//
// With ADAPTRNN_EMULATE_AMX the tiles are arrays, for processors that have none.
#pragma once

#include "word.hpp"

#if defined(__AMX_BF16__) || defined(ADAPTRNN_EMULATE_AMX)
#define ADAPTRNN_AMX

namespace adaptrnn {
namespace ADAPTRNN_ISA {

// Operands as in `Pair`, products by tiles: sums over words are cut into equal parts of at most 16,
// so that every tile of a product has the same shape; the words that are too many are zero.
struct Tiled : Pair {
  static constexpr bool tiles = true;
};

namespace amx {

constexpr int kSums = 5;  // tiles 0 to 4: sums; 5: the left operand; 6 and 7: the right, in turn

// What the registers hold: all sums and the left operand `rows` rows, the right operand `words` rows.
struct alignas(64) Shapes {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
  Shapes(int rows_, int words) {
    for (int tile = 0; tile < 8; ++tile) {
      bytes[tile] = uint16_t(tile == kSums ? 4 * words : 64);
      rows[tile] = uint8_t(tile > kSums ? words : rows_);
    }
  }
};

#if defined(ADAPTRNN_EMULATE_AMX)

struct Registers {
  Shapes shapes{0, 0};
  uint32_t word[8][16][16];
};
inline Registers& registers() {
  static thread_local Registers all;
  return all;
}
inline void configure(int rows, int words) { registers().shapes = Shapes(rows, words); }
inline void release() { registers().shapes = Shapes(0, 0); }
template <int R> void zero() { std::memset(registers().word[R], 0, sizeof registers().word[R]); }
template <int R> void load_tile(const void* from, size_t pitch) {
  Registers& all = registers();
  zero<R>();
  for (int row = 0; row < all.shapes.rows[R]; ++row)
    std::memcpy(all.word[R][row], static_cast<const uint32_t*>(from) + row * pitch,
                all.shapes.bytes[R]);
}
template <int R> void store_tile(float* to, size_t pitch) {
  Registers& all = registers();
  for (int row = 0; row < all.shapes.rows[R]; ++row)
    std::memcpy(to + row * pitch, all.word[R][row], all.shapes.bytes[R]);
}
template <int C, int A, int B> void multiply_add() {
  Registers& all = registers();
  for (int row = 0; row < all.shapes.rows[C]; ++row)
    for (int k = 0; k < all.shapes.bytes[A] / 4; ++k)
      for (int column = 0; column < 16; ++column) {
        const uint32_t a = all.word[A][row][k], b = all.word[B][k][column];
        float sum;
        std::memcpy(&sum, &all.word[C][row][column], sizeof sum);
        sum += Pair::number(a, 0) * Pair::number(b, 0);
        sum += Pair::number(a, 1) * Pair::number(b, 1);
        std::memcpy(&all.word[C][row][column], &sum, sizeof sum);
      }
}

#else

inline void configure(int rows, int words) {
  const Shapes shapes(rows, words);
  _tile_loadconfig(&shapes);
}
inline void release() { _tile_release(); }
// GCC's names of the instructions take the digit of a register, not a constant
#define ADAPTRNN_TILE(R)                                                             \
  template <> ADAPTRNN_INLINE void zero<R>() { _tile_zero(R); }                      \
  template <> ADAPTRNN_INLINE void load_tile<R>(const void* from, size_t pitch) {    \
    _tile_loadd(R, from, 4 * pitch);                                                 \
  }                                                                                  \
  template <> ADAPTRNN_INLINE void store_tile<R>(float* to, size_t pitch) {          \
    _tile_stored(R, to, 4 * pitch);                                                  \
  }
template <int R> void zero();
template <int R> void load_tile(const void* from, size_t pitch);
template <int R> void store_tile(float* to, size_t pitch);
template <int C, int A, int B> void multiply_add();
ADAPTRNN_TILE(0)
ADAPTRNN_TILE(1)
ADAPTRNN_TILE(2)
ADAPTRNN_TILE(3)
ADAPTRNN_TILE(4)
ADAPTRNN_TILE(5)
ADAPTRNN_TILE(6)
ADAPTRNN_TILE(7)
#undef ADAPTRNN_TILE
template <> ADAPTRNN_INLINE void multiply_add<0, 5, 6>() { _tile_dpbf16ps(0, 5, 6); }
template <> ADAPTRNN_INLINE void multiply_add<1, 5, 7>() { _tile_dpbf16ps(1, 5, 7); }
template <> ADAPTRNN_INLINE void multiply_add<2, 5, 6>() { _tile_dpbf16ps(2, 5, 6); }
template <> ADAPTRNN_INLINE void multiply_add<3, 5, 7>() { _tile_dpbf16ps(3, 5, 7); }
template <> ADAPTRNN_INLINE void multiply_add<4, 5, 6>() { _tile_dpbf16ps(4, 5, 6); }

#endif

// The registers are in use while this lives, and free again afterwards.
struct InUse {
  ~InUse() { release(); }
};

// c[row][16 w + column] = sum over parts k and words j of a(k)[row][j] b(k, w)[j][column], in the
// shapes that were configured; with `more` added to what is there. Pitches are in words.
template <int W, class Left, class Right>
ADAPTRNN_INLINE void multiply(int parts, bool more, Left a, size_t a_pitch, Right b, size_t b_pitch,
                              float* c, size_t c_pitch) {
  static_assert(W <= kSums);
  asm volatile("" : : : "memory");  // the compiler does not know that loads of tiles read memory
  if (more) {
    load_tile<0>(c, c_pitch);
    if constexpr (W > 1) load_tile<1>(c + 16, c_pitch);
    if constexpr (W > 2) load_tile<2>(c + 32, c_pitch);
    if constexpr (W > 3) load_tile<3>(c + 48, c_pitch);
    if constexpr (W > 4) load_tile<4>(c + 64, c_pitch);
  } else {
    zero<0>();
    if constexpr (W > 1) zero<1>();
    if constexpr (W > 2) zero<2>();
    if constexpr (W > 3) zero<3>();
    if constexpr (W > 4) zero<4>();
  }
  for (int k = 0; k < parts; ++k) {
    load_tile<5>(a(k), a_pitch);
    load_tile<6>(b(k, 0), b_pitch);
    multiply_add<0, 5, 6>();
    if constexpr (W > 1) load_tile<7>(b(k, 1), b_pitch), multiply_add<1, 5, 7>();
    if constexpr (W > 2) load_tile<6>(b(k, 2), b_pitch), multiply_add<2, 5, 6>();
    if constexpr (W > 3) load_tile<7>(b(k, 3), b_pitch), multiply_add<3, 5, 7>();
    if constexpr (W > 4) load_tile<6>(b(k, 4), b_pitch), multiply_add<4, 5, 6>();
  }
  store_tile<0>(c, c_pitch);
  if constexpr (W > 1) store_tile<1>(c + 16, c_pitch);
  if constexpr (W > 2) store_tile<2>(c + 32, c_pitch);
  if constexpr (W > 3) store_tile<3>(c + 48, c_pitch);
  if constexpr (W > 4) store_tile<4>(c + 64, c_pitch);
}

// The words x[row][column] of 16 rows, in place: x[column][row].
ADAPTRNN_INLINE void transpose(Int<float> (&x)[16]) {
  __m512i r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = (__m512i)x[i];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  // now r[4 i + q] has in its quarter m the words of column 4 m + q of rows 4 i to 4 i + 3
  for (int q = 0; q < 4; ++q) {
    const __m512i low = _mm512_shuffle_i32x4(r[q], r[4 + q], 0x88);
    const __m512i high = _mm512_shuffle_i32x4(r[8 + q], r[12 + q], 0x88);
    const __m512i low2 = _mm512_shuffle_i32x4(r[q], r[4 + q], 0xdd);
    const __m512i high2 = _mm512_shuffle_i32x4(r[8 + q], r[12 + q], 0xdd);
    t[q] = _mm512_shuffle_i32x4(low, high, 0x88);
    t[8 + q] = _mm512_shuffle_i32x4(low, high, 0xdd);
    t[4 + q] = _mm512_shuffle_i32x4(low2, high2, 0x88);
    t[12 + q] = _mm512_shuffle_i32x4(low2, high2, 0xdd);
  }
  for (int i = 0; i < 16; ++i) x[i] = (Int<float>)t[i];
}

}  // namespace amx
}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn

#endif
