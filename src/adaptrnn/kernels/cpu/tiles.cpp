// Compiled once per instruction set, with ADAPTRNN_ISA its name: fills in that set's table.
#include "../arun/cpu.hpp"
#include "../gamma_rnn/cpu.hpp"
#include "problem.hpp"

namespace adaptrnn {
namespace ADAPTRNN_ISA {

// Independent chains of multiply-adds in registers: the peak that a benchmark compares with.
static double multiply_adds(long rounds) {
  constexpr int chains = 12;
  Vec<float> acc[chains] = {};
  Vec<float> x = splat(0.999f), y = splat(0.001f);
  for (long k = 0; k < rounds; ++k) {
    asm volatile("" : "+m"(x), "+m"(y));
    for (int inner = 0; inner < 100; ++inner)
#pragma GCC unroll 12
      for (int c = 0; c < chains; ++c) acc[c] = acc[c] * x + y;
  }
  Vec<float> total = {};
  for (int c = 0; c < chains; ++c) total += acc[c];
  asm volatile("" : : "m"(total));
  return double(rounds) * 100 * chains * kLanes<float>;
}

template <class M> constexpr Kernel<typename M::T, Arun<typename M::T>> arun_kernel() {
  using T = typename M::T;
  return {arun::tile_samples<M>, arun::packed_bytes<M>, arun::workspace_bytes<M>, arun::pack<M>,
          arun::gradient_layout<T>, arun::past_numbers<M>, arun::run<M>};
}
template <class M> constexpr Kernel<typename M::T, Rnn<typename M::T>> rnn_kernel() {
  using T = typename M::T;
  return {rnn::tile_samples<T>, rnn::packed_bytes<M>, rnn::workspace_bytes<M>, rnn::pack<M>,
          rnn::gradient_layout<T>, rnn::past_numbers<T>, rnn::run<M>};
}

extern const Table table = {
#define ADAPTRNN_NAME2(x) #x
#define ADAPTRNN_NAME(x) ADAPTRNN_NAME2(x)
    ADAPTRNN_NAME(ADAPTRNN_ISA),
    kBytes,
#if defined(ADAPTRNN_AMX)  // the rest is that of avx512bf16
    {}, {}, arun_kernel<Tiled>(), {}, {}, rnn_kernel<Tiled>(),
#else
    arun_kernel<Single<float>>(),
    arun_kernel<Single<double>>(),
    arun_kernel<Pair>(),
    rnn_kernel<Single<float>>(),
    rnn_kernel<Single<double>>(),
    rnn_kernel<Pair>(),
#endif
    multiply_adds,
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
