// How the operands of a product are stored: in words of one number, or of two bfloat16 numbers that
// are multiplied and added at once. Sums are of type T in both cases.
#pragma once

#include <type_traits>

#include "simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

// One number of type T.
template <class T_> struct Single {
  using T = T_;
  using Word = T;
  using V = Vec<T>;  // of words
  static constexpr int numbers = 1;
  static constexpr bool tiles = false;
  static ADAPTRNN_INLINE V load(const Word* p) { return ADAPTRNN_ISA::load<T>(p); }
  static ADAPTRNN_INLINE V splat(Word x) { return ADAPTRNN_ISA::splat<T>(x); }
  static ADAPTRNN_INLINE void store(Word* p, V v) { ADAPTRNN_ISA::store<T>(p, v); }
  static ADAPTRNN_INLINE Word word(T x, T) { return x; }
  static ADAPTRNN_INLINE T number(Word x, int) { return x; }
  static ADAPTRNN_INLINE V of(V, V x) { return x; }
  static ADAPTRNN_INLINE V first(V x) { return x; }
  static ADAPTRNN_INLINE V second(V x) { return x; }
  static ADAPTRNN_INLINE V tanh(V x) { return ADAPTRNN_ISA::tanh<T>(x); }
  static ADAPTRNN_INLINE void multiply_add(Vec<T>& sum, V a, V b) { sum += a * b; }
};

// Two bfloat16 numbers, the first in the lower half; T is float. A bfloat16 number is the upper half
// of a float: as many bits of exponent, 8 bits of precision.
struct Pair {
  using T = float;
  using Word = uint32_t;
  using V = Int<float>;  // of words
  static constexpr int numbers = 2;
  static constexpr bool tiles = false;  // whether products are AMX's

  static ADAPTRNN_INLINE V load(const Word* p) {
    V v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static ADAPTRNN_INLINE void store(Word* p, V v) { std::memcpy(p, &v, sizeof v); }
  static ADAPTRNN_INLINE V splat(Word x) { return int32_t(x) - V{}; }
  static ADAPTRNN_INLINE Word word(float a, float b) { return half(a) | uint32_t(half(b)) << 16; }

  static ADAPTRNN_INLINE Vec<float> first(V v) { return from_bits<float>(v << 16); }
  static ADAPTRNN_INLINE Vec<float> second(V v) { return from_bits<float>(v & upper); }

  // sum + first(a) first(b) + second(a) second(b); the instruction takes numbers below the normal
  // range for zero, as the whole call does, and rounds its two sums in an order of its own
  static ADAPTRNN_INLINE void multiply_add(Vec<float>& sum, V a, V b) {
#if defined(ADAPTRNN_USE_AVX512BF16)
    sum = (Vec<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    sum += first(a) * first(b);
    sum += second(a) * second(b);
#endif
  }
  // The words of (a[lane], b[lane]), rounded to the nearest, ties to even; NaN stays NaN.
  static ADAPTRNN_INLINE V of(Vec<float> a, Vec<float> b) {
#if defined(ADAPTRNN_USE_AVX512BF16)
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a);
    return (V)_mm512_permutexvar_epi16(interleaved(), halves);
#else
    return ((rounded(a) >> 16) & lower) | (rounded(b) & upper);
#endif
  }
  // From words (x0, x1) and (y0, y1): (x0, y0) and (x1, y1).
  static ADAPTRNN_INLINE V firsts(V x, V y) { return (x & lower) | (y << 16); }
  static ADAPTRNN_INLINE V seconds(V x, V y) { return ((x >> 16) & lower) | (y & upper); }

  static ADAPTRNN_INLINE uint16_t half(float x) {
    uint32_t i;
    std::memcpy(&i, &x, sizeof i);
    if (x != x) return uint16_t(i >> 16 | 0x40);  // quiet, and never an infinity
    return uint16_t((i + 0x7fff + (i >> 16 & 1)) >> 16);
  }
  static ADAPTRNN_INLINE float number(Word x, int k) {
    const uint32_t i = k ? x & 0xffff0000u : x << 16;
    float number;
    std::memcpy(&number, &i, sizeof number);
    return number;
  }

  // Relative error 1.5e-5, and 7.6e-5 where 1 / below is estimated to 14 bits: a 25th of what rounding
  // to bfloat16 makes. From 3.5 on the nearest bfloat16 number is 1.
  static ADAPTRNN_INLINE Vec<float> tanh(Vec<float> x) {
    const auto c = [](float number) { return ADAPTRNN_ISA::splat<float>(number); };
    x = at_least<float>(at_most<float>(x, c(4.0f)), c(-4.0f));
    const Vec<float> u = x * x;
    const Vec<float> above = x * ((c(7.758804131e-4f) * u + c(0.1055094227f)) * u + c(1.0f));
    const Vec<float> below = (c(0.01380596496f) * u + c(0.4387722611f)) * u + c(1.0f);
#if defined(ADAPTRNN_USE_AVX512)
    return above * (Vec<float>)_mm512_rcp14_ps((__m512)below);
#else
    return above / below;
#endif
  }

 private:
  static constexpr int32_t upper = int32_t(0xffff0000u), lower = 0xffff;
#if defined(ADAPTRNN_USE_AVX512BF16)
  // 0, 16, 1, 17, ...: one number of the first half, one of the second
  static ADAPTRNN_INLINE __m512i interleaved() {
    return _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                            6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  }
#else
  static ADAPTRNN_INLINE V rounded(Vec<float> v) {
    const V i = bits<float>(v);
    const V nearest = i + 0x7fff + ((i >> 16) & 1);
    return v == v ? nearest : (i | 0x400000);
  }
#endif
};

// Parts of at most 16 words, which a tile holds.
constexpr int parts_of(int words) { return (words + 15) / 16; }

// Words that hold so many numbers; for tiles as many more, zero, as make its parts equal.
template <class M> constexpr int words(int numbers) {
  const int needed = (numbers + M::numbers - 1) / M::numbers;
  if (!M::tiles) return needed;
  const int parts = parts_of(needed);
  return (needed + parts - 1) / parts * parts;
}

// Rows of `size` numbers as operands, words<M>(size) words each: rounded into `to`, or where they are.
template <class M>
const typename M::Word* operands(int rows, int size, const typename M::T* from,
                                 typename M::Word* to) {
  if constexpr (M::numbers == 1) {
    return from;
  } else {
    const int pitch = words<M>(size);
    for (int r = 0; r < rows; ++r) {
      const float* x = from + size_t(r) * size;
      uint32_t* y = to + size_t(r) * pitch;
      int i = 0;
#if defined(ADAPTRNN_USE_AVX512BF16)
      for (; i + 32 <= size; i += 32) {
        const __m512bh v = _mm512_cvtne2ps_pbh((__m512)load<float>(x + i + 16),
                                               (__m512)load<float>(x + i));
        std::memcpy(y + i / 2, &v, sizeof v);
      }
#endif
      for (; i < size; i += 2)
        y[i / 2] = M::word(x[i], i + 1 < size ? x[i + 1] : 0);
      for (int j = (size + 1) / 2; j < pitch; ++j) y[j] = 0;
    }
    return to;
  }
}

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
