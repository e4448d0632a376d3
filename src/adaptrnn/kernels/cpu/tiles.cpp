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

extern const Table table = {
#define ADAPTRNN_NAME2(x) #x
#define ADAPTRNN_NAME(x) ADAPTRNN_NAME2(x)
    ADAPTRNN_NAME(ADAPTRNN_ISA),
    kBytes,
    {arun::tile_samples<float>, arun::packed_bytes<float>, arun::workspace_bytes<float>,
     arun::pack<float>, arun::gradient_layout<float>,
     arun::past_numbers<float>, arun::run<float>},
    {arun::tile_samples<double>, arun::packed_bytes<double>, arun::workspace_bytes<double>,
     arun::pack<double>, arun::gradient_layout<double>,
     arun::past_numbers<double>, arun::run<double>},
    {rnn::tile_samples<float>, rnn::packed_bytes<float>, rnn::workspace_bytes<float>,
     rnn::pack<float>, rnn::gradient_layout<float>,
     rnn::past_numbers<float>, rnn::run<float>},
    {rnn::tile_samples<double>, rnn::packed_bytes<double>, rnn::workspace_bytes<double>,
     rnn::pack<double>, rnn::gradient_layout<double>,
     rnn::past_numbers<double>, rnn::run<double>},
    multiply_adds,
};

}  // namespace ADAPTRNN_ISA
}  // namespace adaptrnn
