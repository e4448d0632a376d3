// What the threads share: plain structures of pointers, and the table of functions that each
// instruction set fills in. No code here that two instruction sets could both emit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace adaptrnn {

enum class Nonlinearity : int { tanh, relu, linear, softplus, sigmoid, gamma };

// What a call is for. `fused` does the loss and the whole gradient in one visit.
enum class Mode : int { forward, backward, fused };

// Linear readout of the rates of the last S steps (1 or all) and mean loss: cross-entropy of classes
// or squared error of values. Null pointers and 0 where unused.
template <class T> struct Head {
  int outputs;            // K
  int steps;              // S
  const T* weight;        // (K, N)
  const T* bias;          // (K,)
  const int64_t* target;  // (S, B), classes; null: `values` are the targets
  const T* values;        // (S, B, K)
  const T* counts;        // (S, B), how much a step counts in the mean; null: 1
  double total;           // their sum
  T* scores;              // (S, B, K)
  double* loss;           // (B,), share of each sample
};

// What currents are made of; count 0: they are given.
template <class T> struct Input {
  int count;                    // D
  const T *x, *weight, *bias;  // (T, B, D), (N, D), (N,)
};

// Shapes as in the Python signatures, C order. Every pointer of an output may be null.
template <class T> struct Arun {
  Mode mode;
  int time, batch, size, units;
  int segment;  // steps between two kept states; fused and >= time: the whole past is kept
  T* past;      // the whole past of all tiles, written by forward and read by backward
  const T *currents, *h0, *g0, *weight_hh, *weight_ag, *weight_gg, *bias_g, *weight_gc, *bias_gc;
  bool leaks;      // whether there is an alpha; by itself for the size of the past
  const T* alpha;  // (N,), share of the rate that is new in a step
  Input<T> input;  // in place of currents
  T *output, *h_last, *g_last;
  T *kept_h, *kept_g;  // (K, B, N), (K, B, N, G): states before steps segment, 2 segment, ...
  T *trace_a, *trace_n, *trace_s, *trace_g;
  const T *grad_output, *grad_h_last, *grad_g_last;
  T *grad_currents, *grad_h0, *grad_g0;
  Head<T> head;
};

template <class T> struct Rnn {
  Mode mode;
  Nonlinearity nonlinearity;
  int time, batch, size;
  int segment;  // fused and >= time: the whole past is kept
  const T *currents, *h0, *weight_hh, *n, *s;  // n, s (N,), only gamma
  bool leaks;      // as for Arun
  const T* alpha;  // (N,)
  Input<T> input;  // in place of currents
  T *output, *h_last;
  T *kept_h;  // (K, B, N)
  // (T, B, N): written by forward, read by backward; null: recomputed. past_rate only with a leak
  T *past_h, *past_a, *past_rate;
  T* past;             // unused
  const T *grad_output, *grad_h_last;
  T *grad_currents, *grad_h0;
  Head<T> head;
};

// Gradients of the weights: of one tile, or summed over all tiles. One block of numbers each, so
// that tiles can be added in order without knowing what is what.
struct GradientLayout {
  size_t weight_hh;  // T: N rows of `pitch`
  size_t pitch;
  size_t small;  // doubles; the order is the kernel's own
};

template <class T> struct Gradients {
  T* weight_hh;
  double* small;
};

template <class T, class Problem> struct Kernel {
  // Samples of a full tile.
  int (*tile)(const Problem&);
  // Bytes of the packed weights, and of one thread's workspace for tiles up to `samples`.
  size_t (*packed_bytes)(const Problem&);
  size_t (*workspace_bytes)(const Problem&, int samples);
  void (*pack)(const Problem&, char* packed);
  GradientLayout (*layout)(const Problem&);
  // Numbers of one tile's whole past.
  size_t (*past_numbers)(const Problem&, int samples);
  void (*run)(const Problem&, const char* packed, char* workspace, T* past, int first, int samples,
              Gradients<T>);
};

struct Table {
  const char* name;
  int bytes;  // of one vector
  Kernel<float, Arun<float>> arun_float;
  Kernel<double, Arun<double>> arun_double;
  Kernel<float, Arun<float>> arun_bfloat16;  // operands of the products rounded, all else float
  Kernel<float, Rnn<float>> rnn_float;
  Kernel<double, Rnn<double>> rnn_double;
  Kernel<float, Rnn<float>> rnn_bfloat16;
  double (*multiply_adds)(long rounds);  // does rounds of them, returns how many
};

namespace amx { extern const Table table; }  // of its own only what is bfloat16
namespace avx512bf16 { extern const Table table; }
namespace avx512 { extern const Table table; }
namespace avx2 { extern const Table table; }
namespace portable { extern const Table table; }

}  // namespace adaptrnn
