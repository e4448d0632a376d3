// One vector of numbers, as wide as the instruction set of the file being compiled, and the
// elementary functions the kernels need. GCC and Clang vector extensions: SSE2, AVX2, AVX-512 and
// NEON from one source. Everything lives in a namespace of its own per instruction set, so that no
// inline function compiled for a newer machine can stand in for one that must run on an older.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifndef ADAPTRNN_ISA
#define ADAPTRNN_ISA portable
#endif

#define ADAPTRNN_INLINE inline __attribute__((always_inline))

#if defined(ADAPTRNN_EMULATE_AVX512)
#include "emulated.hpp"
#endif
// what this file is compiled for; with its instructions, or those of emulated.hpp
#if defined(__AVX512F__) || defined(ADAPTRNN_EMULATE_AVX512)
#define ADAPTRNN_USE_AVX512
#endif
#if defined(__AVX512BF16__) || defined(ADAPTRNN_EMULATE_AVX512BF16)
#define ADAPTRNN_USE_AVX512BF16
#endif

namespace adaptrnn {
namespace ADAPTRNN_ISA {

#if defined(ADAPTRNN_USE_AVX512)
constexpr int kBytes = 64;
constexpr bool kManyRegisters = true;
#elif defined(__AVX2__)
constexpr int kBytes = 32;
constexpr bool kManyRegisters = false;
#elif defined(__aarch64__)
constexpr int kBytes = 16;
constexpr bool kManyRegisters = true;
#else
constexpr int kBytes = 16;
constexpr bool kManyRegisters = false;
#endif

template <class T> struct Lanes;

template <> struct Lanes<float> {
  typedef float V __attribute__((vector_size(kBytes)));
  typedef float U __attribute__((vector_size(kBytes), aligned(4), may_alias));
  typedef int32_t I __attribute__((vector_size(kBytes)));
  static constexpr int count = kBytes / 4;
  static constexpr int mantissa = 23;
  static constexpr int32_t sign_bit = INT32_MIN;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float log2e = 1.4426950216293335f;
  static constexpr float half_ln2 = 0.3465735912322998f, half_ln2_low = -9.5232714998e-10f;
  static constexpr float bias = 127.0f;  // of the exponent
  static constexpr float flat = 10.0f;   // tanh is 1 from here on
  static constexpr float largest = 87.0f;  // exp(-87) is still a normal number
};

template <> struct Lanes<double> {
  typedef double V __attribute__((vector_size(kBytes)));
  typedef double U __attribute__((vector_size(kBytes), aligned(8), may_alias));
  typedef int64_t I __attribute__((vector_size(kBytes)));
  static constexpr int count = kBytes / 8;
  static constexpr int mantissa = 52;
  static constexpr int64_t sign_bit = INT64_MIN;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double log2e = 1.4426950408889634;
  static constexpr double half_ln2 = 0.34657359027997264, half_ln2_low = 1.1595234069231498e-17;
  static constexpr double bias = 1023.0;
  static constexpr double flat = 20.0;
  static constexpr double largest = 708.0;
};

template <class T> using Vec = typename Lanes<T>::V;
template <class T> using Int = typename Lanes<T>::I;
template <class T> constexpr int kLanes = Lanes<T>::count;

template <class T> ADAPTRNN_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename Lanes<T>::U*>(p);
}
template <class T> ADAPTRNN_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename Lanes<T>::U*>(p) = v;
}
template <class T> ADAPTRNN_INLINE Vec<T> splat(T x) { return x - Vec<T>{}; }

template <class T> ADAPTRNN_INLINE Int<T> bits(Vec<T> v) {
  Int<T> i;
  std::memcpy(&i, &v, sizeof v);
  return i;
}
template <class T> ADAPTRNN_INLINE Vec<T> from_bits(Int<T> i) {
  Vec<T> v;
  std::memcpy(&v, &i, sizeof v);
  return v;
}
template <class T> ADAPTRNN_INLINE Vec<T> absolute(Vec<T> v) {
  return from_bits<T>(bits<T>(v) & ~Lanes<T>::sign_bit);
}

// max(v, bound), min(v, bound); NaN in v stays NaN.
template <class T> ADAPTRNN_INLINE Vec<T> at_least(Vec<T> v, Vec<T> bound) {
#if defined(ADAPTRNN_USE_AVX512)
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_max_ps((__m512)bound, (__m512)v);
  else return (Vec<T>)_mm512_max_pd((__m512d)bound, (__m512d)v);
#else
  return bound > v ? bound : v;
#endif
}
template <class T> ADAPTRNN_INLINE Vec<T> at_most(Vec<T> v, Vec<T> bound) {
#if defined(ADAPTRNN_USE_AVX512)
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_min_ps((__m512)bound, (__m512)v);
  else return (Vec<T>)_mm512_min_pd((__m512d)bound, (__m512d)v);
#else
  return bound < v ? bound : v;
#endif
}

// The sum of all lanes, in double precision, of which four are added at once.
template <class T> ADAPTRNN_INLINE double sum(Vec<T> v) {
  typedef T Four __attribute__((vector_size(4 * sizeof(T))));
  typedef double Part __attribute__((vector_size(4 * sizeof(double))));
  constexpr int count = kLanes<T> < 4 ? 1 : kLanes<T> / 4;
  Four four[count] = {};
  std::memcpy(four, &v, sizeof v);
  Part part = {};
  for (int i = 0; i < count; ++i) part += __builtin_convertvector(four[i], Part);
  return (part[0] + part[1]) + (part[2] + part[3]);
}

// (exp(2u) - 1) / u for |u| <= ln(2)/4, minimax with the value 2 at 0 so that what is near 0 has no
// bias; relative error 1.4e-8 and 2e-17.
template <class T> ADAPTRNN_INLINE Vec<T> expm1_over(Vec<T> u) {
  if constexpr (sizeof(T) == 4) {
    constexpr float c[] = {2.0f,        1.9999998807907f, 1.3333237171173f,
                           0.66667902469635f, 0.26772034168243f, 0.08877019584179f};
    Vec<T> p = splat<T>(c[5]);
    for (int i = 4; i >= 0; --i) p = p * u + splat<T>(c[i]);
    return p;
  } else {
    constexpr double c[] = {2.0,
                            2.0000000000000022468,
                            1.3333333333333336789,
                            0.66666666666517028177,
                            0.26666666666643650828,
                            0.088888889167927028361,
                            0.025396825439744629735,
                            0.0063491851128314079374,
                            0.0014109314777982174353,
                            0.00028289389815241956204,
                            0.000051415462653863958766};
    Vec<T> p = splat<T>(c[10]);
    for (int i = 9; i >= 0; --i) p = p * u + splat<T>(c[i]);
    return p;
  }
}

// atanh(z)/z as a polynomial in w = z^2 <= 1/9, relative error 4e-9 and 1.3e-18.
template <class T> ADAPTRNN_INLINE Vec<T> atanh_over(Vec<T> w) {
  if constexpr (sizeof(T) == 4) {
    constexpr float c[] = {1.00000000384f, 0.333331608207f, 0.200122976154f, 0.139825788726f,
                           0.140788891816f};
    Vec<T> p = splat<T>(c[4]);
    for (int i = 3; i >= 0; --i) p = p * w + splat<T>(c[i]);
    return p;
  } else {
    constexpr double c[] = {1.0,
                            0.33333333333333074797,
                            0.20000000000092873734,
                            0.14285714272727057267,
                            0.11111112040373836587,
                            0.090908704162524022551,
                            0.076933070211520038808,
                            0.066501870163373121685,
                            0.060550843640346088273,
                            0.041622532559304102879,
                            0.085220817813906990645};
    Vec<T> p = splat<T>(c[10]);
    for (int i = 9; i >= 0; --i) p = p * w + splat<T>(c[i]);
    return p;
  }
}

// tanh x = t / (t + 2), t = expm1(2x) = 2^k expm1(2u) + 2^k - 1; nothing cancels, 3 units in the
// last place.
template <class T> ADAPTRNN_INLINE Vec<T> tanh(Vec<T> x) {
  using L = Lanes<T>;
  constexpr T magic = L::magic + L::bias;
  x = at_least<T>(at_most<T>(x, splat<T>(L::flat)), splat<T>(-L::flat));
  const Vec<T> m = x * splat<T>(2 * L::log2e) + splat<T>(magic);  // magic + k
  const Vec<T> u = x - (m - splat<T>(magic)) * splat<T>(L::half_ln2);
  const Vec<T> scale = from_bits<T>(bits<T>(m) << L::mantissa);
  const Vec<T> t = u * expm1_over<T>(u) * scale + (scale - splat<T>(1));
  return t / (t + splat<T>(2));
}

// exp(-v) for v >= 0; 0 where it would not be a normal number.
template <class T> ADAPTRNN_INLINE Vec<T> exp_minus(Vec<T> v) {
  using L = Lanes<T>;
  const Vec<T> zero = {}, given = v;
  v = at_most<T>(v, splat<T>(L::largest));
  const Vec<T> m = splat<T>(L::magic + L::bias) - v * splat<T>(L::log2e);
  const Vec<T> k = m - splat<T>(L::magic + L::bias);
  const Vec<T> u = -(v * splat<T>(T(0.5)) + k * splat<T>(L::half_ln2)) - k * splat<T>(L::half_ln2_low);
  const Vec<T> scale = from_bits<T>(bits<T>(m) << L::mantissa);
  const Vec<T> e = u * expm1_over<T>(u) * scale + scale;
  return given > splat<T>(L::largest) ? zero : e;
}

// log(1 + e) for 0 <= e <= 1.
template <class T> ADAPTRNN_INLINE Vec<T> log1p(Vec<T> e) {
  const Vec<T> z = e / (e + splat<T>(2));
  return (z + z) * atanh_over<T>(z * z);
}

// The f-I curve gamma(a; n, s) = (1-s) ln(1+exp(n a))/n + s/(1+exp(-n a)) and its derivatives,
// with u = n a, e = exp(-|u|), q = 1/(1+e) so that nothing cancels for either sign of n.
template <class T> struct Curve {
  Vec<T> a, n, s, inverse, high, low, v, e, q, log;

  ADAPTRNN_INLINE Curve(Vec<T> a_, Vec<T> n_, Vec<T> s_) : a(a_), n(n_), s(s_) {
    const Vec<T> u = n * a, zero = {};
    v = absolute<T>(u);
    e = exp_minus<T>(v);
    q = splat<T>(1) / (splat<T>(1) + e);
    log = log1p<T>(e);
    inverse = splat<T>(1) / n;
    const Vec<T> eq = e * q;
    high = u > zero ? q : eq;  // g2
    low = u > zero ? eq : q;   // 1 - g2
    first = (u > zero ? a : zero) + log * inverse;
  }
  Vec<T> first;  // g1

  ADAPTRNN_INLINE Vec<T> value() const { return (splat<T>(1) - s) * first + s * high; }
  ADAPTRNN_INLINE Vec<T> da() const { return high * ((splat<T>(1) - s) + s * n * low); }
  ADAPTRNN_INLINE Vec<T> dn() const {
    const Vec<T> eq = e * q, bounded = at_most<T>(v, splat<T>(Lanes<T>::largest));
    return (s - splat<T>(1)) * (bounded * eq + log) * inverse * inverse + s * a * (eq * q);
  }
  ADAPTRNN_INLINE Vec<T> ds() const { return high - first; }
};

// A number over 0 <= i < size cut into equal parts of at most `most`.
struct Split {
  int parts, size;
  ADAPTRNN_INLINE Split(int size_, int most) : parts((size_ + most - 1) / most), size(size_) {}
  ADAPTRNN_INLINE int begin(int part) const { return int(int64_t(size) * part / parts); }
};

// Hands out aligned pieces of one allocation; with a null base it only measures.
struct Arena {
  char* base;
  size_t used = 0;
  template <class T> T* take(size_t count) {
    T* piece = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += (count * sizeof(T) + 127) / 64 * 64;  // at least one free line between pieces
    return piece;
  }
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
