// The leak of a tile's neurons, h_t = (1 - alpha) h_{t-1} + alpha r_t, with r_t the rate that they
// would have without it; and its way back. Passes of their own over the lanes of a step, so that
// neurons without a leak do not pay for it. Lanes are the numbers of the tile's rows, lane = s N + i.
#pragma once

#include "simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

template <class T> struct Leak {
  static constexpr int L = kLanes<T>;
  const T* given;  // (N,), alpha; null: no leak
  int size, lanes, padded;
  T *alpha, *rest, *scaled, *through, *sums;  // of each lane

  Leak(const T* given_, int size_, int lanes_, int padded_)
      : given(given_), size(size_), lanes(lanes_), padded(padded_) {}
  explicit operator bool() const { return given; }

  void layout(Arena& arena, bool leaks, bool back) {
    if (!leaks) return;
    alpha = arena.take<T>(padded);
    rest = arena.take<T>(padded);
    if (!back) return;
    scaled = arena.take<T>(padded);
    through = arena.take<T>(padded);
    sums = arena.take<T>(padded);
  }
  void begin() const {
    if (!given) return;
    for (int lane = 0; lane < padded; ++lane) {
      alpha[lane] = lane < lanes ? given[lane % size] : T(1);
      rest[lane] = T(1) - alpha[lane];
    }
  }
  // the padding of what is read as whole vectors
  void begin_backward() const {
    if (given) std::memset(scaled, 0, sizeof(T) * padded);
  }

  // h holds the rates; whole vectors are read and written, the padding with no effect
  void forward(const T* before, T* h, T* rate) const {
    for (int l = 0; l < padded; l += L) {
      const Vec<T> r = load<T>(h + l);
      store<T>(rate + l, r);
      store<T>(h + l, load<T>(rest + l) * load<T>(before + l) + load<T>(alpha + l) * r);
    }
  }
  // dh -> `scaled`, the slopes of the rates, and `through`, what goes past them to the step before;
  // `before` and `rate` may end at `lanes`
  void backward(const T* before, const T* rate, const T* dh) const {
    int l = 0;
    for (; l + L <= lanes; l += L) {
      const Vec<T> d = load<T>(dh + l);
      store<T>(scaled + l, load<T>(alpha + l) * d);
      store<T>(through + l, load<T>(rest + l) * d);
      store<T>(sums + l, load<T>(sums + l) + d * (load<T>(rate + l) - load<T>(before + l)));
    }
    for (; l < lanes; ++l) {
      scaled[l] = alpha[l] * dh[l];
      through[l] = rest[l] * dh[l];
      sums[l] += dh[l] * (rate[l] - before[l]);
    }
  }
  void join(T* dh) const {
    for (int l = 0; l < lanes; ++l) dh[l] += through[l];
  }

  void clear() const {
    if (given) std::memset(sums, 0, sizeof(T) * padded);
  }
  // adds the sums over recent steps to the gradient of alpha (N,)
  void flush(double* gradient) const {
    if (!given) return;
    for (int lane = 0, i = 0; lane < lanes; ++lane, i = i + 1 == size ? 0 : i + 1)
      gradient[i] += double(sums[lane]);
    clear();
  }
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
