// What the currents are made of, where they are not given: W_ih x_t + b_ih of a few inputs, made
// when their step comes and stored nowhere. The gradient of x is not computed.
#pragma once

#include "problem.hpp"
#include "simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

// Packed weights: the bias, then each input's, a row of `size` numbers.
template <class T> T* input_layout(Arena& arena, const Input<T>& input, int size) {
  return input.count ? arena.take<T>(size_t(input.count + 1) * size) : nullptr;
}
template <class T> void pack_input(const Input<T>& input, int size, T* packed) {
  if (!input.count) return;
  std::memcpy(packed, input.bias, sizeof(T) * size);
  for (int d = 0; d < input.count; ++d)
    for (int i = 0; i < size; ++i)
      packed[size_t(d + 1) * size + i] = input.weight[size_t(i) * input.count + d];
}

// a = currents + sums for the sample `row` = t B + b.
template <class T>
void add_current(const Input<T>& input, const T* packed, const T* currents, int size, size_t row,
                 const T* sums, T* a) {
  const T* x = input.count ? packed : currents + row * size;
  for (int i = 0; i < size; ++i) a[i] = x[i] + sums[i];
  for (int d = 0; d < input.count; ++d) {
    const T value = input.x[row * input.count + d];
    x += size;
    for (int i = 0; i < size; ++i) a[i] += value * x[i];
  }
}

// Sums of the gradients of bias and weights over samples and steps, rows as the packed weights.
template <class T> struct InputGradient {
  const Input<T>* input;
  int size;
  T* sums;

  void layout(Arena& arena, const Input<T>& input_, int size_) {
    input = &input_;
    size = size_;
    sums = input_layout(arena, input_, size_);
  }
  void clear() {
    if (sums) std::memset(sums, 0, sizeof(T) * size_t(input->count + 1) * size);
  }
  void add(size_t row, const T* da) {
    if (!input->count) return;
    const T* x = input->x + row * input->count;
    T* to = sums;
    for (int i = 0; i < size; ++i) to[i] += da[i];
    for (int d = 0; d < input->count; ++d) {
      to += size;
      for (int i = 0; i < size; ++i) to[i] += x[d] * da[i];
    }
  }
  // adds them to weight (N, D) and bias (N,), which follows it
  void flush(double* weight) {
    if (!input->count) return;
    double* bias = weight + size_t(size) * input->count;
    for (int i = 0; i < size; ++i) bias[i] += double(sums[i]);
    for (int d = 0; d < input->count; ++d)
      for (int i = 0; i < size; ++i)
        weight[size_t(i) * input->count + d] += double(sums[size_t(d + 1) * size + i]);
    clear();
  }
  // numbers of weight and bias
  static size_t numbers(const Input<T>& input, int size) {
    return input.count ? size_t(input.count + 1) * size : 0;
  }
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
