// AVX-512's instructions that the kernels name, as plain code, so that processors without them can
// test the kernels compiled for AVX-512 with BF16 and for AMX. Vectors of 64 bytes are GCC's own in
// any case; it makes them of smaller ones. Nothing here is fast.
//
// Included by simd.hpp with ADAPTRNN_EMULATE_AVX512 and never in a kernel that is shipped.
#pragma once

#include <immintrin.h>  // the types

#include <cstdint>
#include <cstring>

namespace adaptrnn {
namespace ADAPTRNN_ISA {
namespace emulated {

typedef uint16_t Halves __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint64_t Longs __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(64)));
typedef double Doubles __attribute__((vector_size(64)));

// The vector whose lane i is lane(i).
template <class V, class Lane> ADAPTRNN_INLINE V made(Lane lane) {
  V v = {};
  for (int i = 0; i < int(sizeof v / sizeof v[0]); ++i) v[i] = lane(i);
  return v;
}
ADAPTRNN_INLINE float number(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
ADAPTRNN_INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
// The nearest bfloat16 number, ties to even; NaN stays NaN.
ADAPTRNN_INLINE uint16_t half(float x) {
  const uint32_t bits = bits_of(x);
  if (x != x) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// The larger or smaller; the second where one is NaN.
template <class V, class Given> ADAPTRNN_INLINE Given larger(Given a, Given b) {
  return (Given)made<V>([=](int i) { return V(a)[i] > V(b)[i] ? V(a)[i] : V(b)[i]; });
}
template <class V, class Given> ADAPTRNN_INLINE Given smaller(Given a, Given b) {
  return (Given)made<V>([=](int i) { return V(a)[i] < V(b)[i] ? V(a)[i] : V(b)[i]; });
}
// 1 / v rounded to 13 bits after the point: as far off, 2^-14 of it, as the instruction may be.
ADAPTRNN_INLINE __m512 reciprocal(__m512 v) {
  return (__m512)made<Floats>(
      [=](int i) { return number((bits_of(1 / Floats(v)[i]) + 0x200) & 0xfffffc00u); });
}
// Two products of bfloat16 numbers are added to each sum, the upper first.
ADAPTRNN_INLINE __m512 multiply_add(__m512 sum, __m512bh a, __m512bh b) {
  const Words x = (Words)a, y = (Words)b;
  return (__m512)made<Floats>([=](int i) {
    const float upper = number(x[i] & 0xffff0000u) * number(y[i] & 0xffff0000u);
    return Floats(sum)[i] + upper + number(x[i] << 16) * number(y[i] << 16);
  });
}
// All of `low` rounded to bfloat16, then all of `high`.
ADAPTRNN_INLINE __m512bh rounded(__m512 high, __m512 low) {
  return (__m512bh)made<Halves>(
      [=](int i) { return half(i < 16 ? Floats(low)[i] : Floats(high)[i - 16]); });
}
ADAPTRNN_INLINE __m512i permuted(__m512i index, __m512i v) {
  return (__m512i)made<Halves>([=](int i) { return Halves(v)[Halves(index)[i] & 31]; });
}
// From each quarter of a and of b the lower or upper half, in turns of one lane of V.
template <class V, bool Upper> ADAPTRNN_INLINE __m512i unpacked(__m512i a, __m512i b) {
  constexpr int quarter = 16 / sizeof(V{}[0]);
  return (__m512i)made<V>([=](int i) {
    const int from = i / quarter * quarter + (Upper ? quarter / 2 : 0) + i % quarter / 2;
    return i % 2 ? V(b)[from] : V(a)[from];
  });
}
// Two quarters of a and two of b, each named by two bits of `which`.
ADAPTRNN_INLINE __m512i quarters(__m512i a, __m512i b, int which) {
  return (__m512i)made<Words>([=](int i) {
    const int from = 4 * (which >> (2 * (i / 4)) & 3) + i % 4;
    return i < 8 ? Words(a)[from] : Words(b)[from];
  });
}
template <class... Numbers> ADAPTRNN_INLINE __m512i backwards(Numbers... numbers) {
  const uint16_t all[] = {uint16_t(numbers)...};
  return (__m512i)made<Halves>([&](int i) { return all[31 - i]; });
}

}  // namespace emulated
}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn

// some of these names are macros already where the compiler does not optimise
#undef _mm512_shuffle_i32x4
#define _mm512_max_ps emulated::larger<emulated::Floats>
#define _mm512_max_pd emulated::larger<emulated::Doubles>
#define _mm512_min_ps emulated::smaller<emulated::Floats>
#define _mm512_min_pd emulated::smaller<emulated::Doubles>
#define _mm512_rcp14_ps emulated::reciprocal
#define _mm512_dpbf16_ps emulated::multiply_add
#define _mm512_cvtne2ps_pbh emulated::rounded
#define _mm512_permutexvar_epi16 emulated::permuted
#define _mm512_set_epi16 emulated::backwards
#define _mm512_unpacklo_epi32 emulated::unpacked<emulated::Words, false>
#define _mm512_unpackhi_epi32 emulated::unpacked<emulated::Words, true>
#define _mm512_unpacklo_epi64 emulated::unpacked<emulated::Longs, false>
#define _mm512_unpackhi_epi64 emulated::unpacked<emulated::Longs, true>
#define _mm512_shuffle_i32x4 emulated::quarters
