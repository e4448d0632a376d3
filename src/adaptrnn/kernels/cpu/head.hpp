// Linear readout of the last rates and cross-entropy, for the samples of one tile.
#pragma once

#include <cmath>

#include "problem.hpp"
#include "simd.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

// h (samples, N) -> logits and loss; grad_h (samples, N), and adds to grad_weight (K, N) and
// grad_bias (K,), the gradients of the mean loss over the batch.
template <class T>
void cross_entropy(const Head<T>& head, int batch, int size, int first, int samples, const T* h,
                   T* grad_h, double* grad_weight, double* grad_bias) {
  const int classes = head.classes;
  for (int s = 0; s < samples; ++s) {
    const T* rates = h + size_t(s) * size;
    T* slope = grad_h + size_t(s) * size;
    T* logits = head.logits + size_t(first + s) * classes;
    const int64_t target = head.target[first + s];
    double top = -INFINITY, total = 0;
    for (int k = 0; k < classes; ++k) {
      double logit = head.bias[k];
      for (int i = 0; i < size; ++i)
        logit += double(head.weight[size_t(k) * size + i]) * double(rates[i]);
      logits[k] = T(logit);
      if (!(logit <= top)) top = logit;  // NaN wins
    }
    for (int k = 0; k < classes; ++k) total += std::exp(double(logits[k]) - top);
    head.loss[first + s] = std::log(total) + top - double(logits[target]);
    for (int i = 0; i < size; ++i) slope[i] = 0;
    for (int k = 0; k < classes; ++k) {
      const double p = std::exp(double(logits[k]) - top) / total;
      const double d = (p - (k == target ? 1 : 0)) / batch;
      grad_bias[k] += d;
      for (int i = 0; i < size; ++i) {
        grad_weight[size_t(k) * size + i] += d * double(rates[i]);
        slope[i] += T(d) * head.weight[size_t(k) * size + i];
      }
    }
  }
}

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
