// The Python module: arrays by name in, arrays filled; everything is checked again here so that no
// wrong call can write outside an array.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "problem.hpp"
#include "threads.hpp"

#if defined(ADAPTRNN_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace nb = nanobind;

namespace adaptrnn {
namespace {

using Array = nb::ndarray<nb::c_contig, nb::device::cpu>;

#if defined(ADAPTRNN_X86)
bool has_avx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#if defined(ADAPTRNN_EMULATE_AVX512)
bool has_avx512() { return has_avx2(); }
bool has_avx512bf16() { return has_avx2(); }
#else
bool has_avx512() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#if defined(ADAPTRNN_AVX512BF16)
bool has_avx512bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif
#endif
#endif

bool intel() {
#if defined(ADAPTRNN_X86)
  __builtin_cpu_init();
  return __builtin_cpu_is("intel");
#else
  return false;
#endif
}

// Why AMX is not here, or nothing; whether it may be used is another matter.
std::string amx_missing() {
#if !defined(ADAPTRNN_AMX)
  return "the kernels were built without it";
#elif defined(ADAPTRNN_EMULATE_AMX)
  return has_avx512() ? "" : "the processor lacks AVX-512";
#else
  unsigned a = 0, b = 0, c = 0, d = 0;
  const unsigned tile = 1u << 24, bf16 = 1u << 22;
  const bool known = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & tile) && (d & bf16);
  if (!known || !has_avx512bf16()) return "the processor lacks it";
  unsigned low = 0, high = 0;  // the registers that the system keeps for a process
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low >> 17 & 3) == 3 ? "" : "the system does not know it";
#endif
}

// Why AMX cannot be used, or nothing. The system lets a process use it that has asked: once, and not
// before products of bfloat16 are wanted, since signals then need larger stacks.
const std::string& no_amx() {
  static const std::string reason = [] {
    const std::string known = amx_missing();
    if (!known.empty()) return known;
#if defined(ADAPTRNN_AMX) && !defined(ADAPTRNN_EMULATE_AMX)
    const long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM
    if (syscall(SYS_arch_prctl, request, tile_data) != 0)
      return std::string("the system does not permit it: ") + std::strerror(errno);
#endif
    return std::string();
  }();
  return reason;
}

#if defined(ADAPTRNN_AMX)
// What AMX's kernels do with numbers that are not bfloat16.
const Table& amx_base() {
#if defined(ADAPTRNN_AVX512BF16)
  if (has_avx512bf16()) return avx512bf16::table;
#endif
  return avx512::table;
}

// The products of bfloat16 by AMX, all else as without it.
const Table* amx_table() {
  static const Table joined = [] {
    Table table = amx_base();
    table.name = amx::table.name;
    table.arun_bfloat16 = amx::table.arun_bfloat16;
    table.rnn_bfloat16 = amx::table.rnn_bfloat16;
    return table;
  }();
  return &joined;
}
#else
const Table* amx_table() { return nullptr; }
#endif

std::vector<const Table*> tables() {
  std::vector<const Table*> found;
#if defined(ADAPTRNN_X86)
  if (has_avx512()) {
    if (amx_missing().empty()) found.push_back(amx_table());
#if defined(ADAPTRNN_AVX512BF16)
    if (has_avx512bf16()) found.push_back(&avx512bf16::table);
#endif
    found.push_back(&avx512::table);
  }
  if (has_avx2()) found.push_back(&avx2::table);
#endif
  found.push_back(&portable::table);
  return found;
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const Table* table : tables()) names.push_back(table->name);
  return names;
}

// Without a name the best; AMX only where its own products are wanted and the system permits it.
const Table& choose(const std::string& name, bool bfloat16 = false) {
  for (const Table* table : tables()) {
    if (!name.empty() && name != table->name) continue;
    if (bfloat16 && table == amx_table() && !no_amx().empty()) {
      if (name.empty()) continue;
      throw std::invalid_argument("instruction set " + name + ": " + no_amx());
    }
    return *table;
  }
  throw std::invalid_argument("instruction set " + name + ": not one that this machine runs");
}

// Reads arrays out of a dictionary and checks dtype and size.
class Arrays {
 public:
  explicit Arrays(const nb::dict& arrays) : arrays_(arrays) {}

  template <class T> T* get(const char* name, std::initializer_list<int64_t> shape,
                            bool needed = false) {
    if (!arrays_.contains(name) || arrays_[name].is_none()) {
      if (needed) throw std::invalid_argument(std::string(name) + ": missing");
      return nullptr;
    }
    Array array;
    if (!nb::try_cast<Array>(arrays_[name], array, false))
      throw std::invalid_argument(std::string(name) + ": not a contiguous array in memory");
    if (array.dtype() != nb::dtype<T>())
      throw std::invalid_argument(std::string(name) + ": wrong dtype");
    bool fits = array.ndim() == shape.size();
    size_t axis = 0;
    for (int64_t length : shape) {
      fits = fits && int64_t(array.shape(axis)) == length;
      if (!fits) break;
      ++axis;
    }
    if (!fits) throw std::invalid_argument(std::string(name) + ": wrong shape");
    held_.push_back(array);
    return static_cast<T*>(array.data());
  }
  // A large array to be filled: most likely fresh memory, four times faster in large pages.
  template <class T> T* fresh(const char* name, std::initializer_list<int64_t> shape) {
    T* data = get<T>(name, shape);
    if (data) ask_for_large_pages(data, held_.back().nbytes());
    return data;
  }
  std::vector<int> shape(const char* name, size_t ndim) {
    Array array;
    if (!arrays_.contains(name) || !nb::try_cast<Array>(arrays_[name], array, false) ||
        array.ndim() != ndim)
      throw std::invalid_argument(std::string(name) + ": missing or of wrong dimension");
    std::vector<int> lengths;
    for (size_t axis = 0; axis < ndim; ++axis) {
      if (array.shape(axis) < 1 || array.shape(axis) > (size_t(1) << 30))
        throw std::invalid_argument(std::string(name) + ": a length that cannot be used");
      lengths.push_back(int(array.shape(axis)));
    }
    return lengths;
  }
  bool is_double(const char* name) {
    Array array;
    return nb::try_cast<Array>(arrays_[name], array, false) && array.dtype() == nb::dtype<double>();
  }
  bool has(const char* name) { return arrays_.contains(name) && !arrays_[name].is_none(); }

 private:
  nb::dict arrays_;
  std::vector<Array> held_;
};

template <class T>
Head<T> head(Arrays& arrays, Mode mode, int time, int batch, int size) {
  Head<T> head = {};
  if (mode != Mode::fused) return head;
  const int outputs = arrays.shape("weight_out", 2)[0], steps = arrays.shape("scores", 3)[0];
  if (steps != 1 && steps != time) throw std::invalid_argument("scores: of 1 or of T steps");
  head.outputs = outputs, head.steps = steps;
  head.weight = arrays.get<T>("weight_out", {outputs, size}, true);
  head.bias = arrays.get<T>("bias_out", {outputs}, true);
  head.target = arrays.get<int64_t>("target", {steps, batch});
  head.values = arrays.get<T>("values", {steps, batch, outputs}, !head.target);
  head.counts = arrays.get<T>("counts", {steps, batch});
  head.scores = arrays.get<T>("scores", {steps, batch, outputs}, true);
  head.loss = arrays.get<double>("loss", {batch}, true);
  const size_t rows = size_t(steps) * batch;
  for (size_t row = 0; row < rows; ++row) {
    head.total += head.counts ? double(head.counts[row]) : 1.0;
    if (head.target && (head.target[row] < 0 || head.target[row] >= outputs))
      throw std::invalid_argument("target: a class outside 0 <= class < K");
  }
  return head;
}

// T, B and N of a call, of its currents or of its input, whose D is 0 for given currents.
struct Lengths {
  int64_t t, b, n, d;
  explicit Lengths(Arrays& arrays) {
    const bool given = arrays.has("currents");
    const std::vector<int> shape = arrays.shape(given ? "currents" : "input", 3);
    t = shape[0], b = shape[1];
    n = given ? shape[2] : arrays.shape("weight_ih", 2)[0];
    d = given ? 0 : shape[2];
  }
};

template <class T> Input<T> input(Arrays& arrays, const Lengths& lengths) {
  const int64_t t = lengths.t, b = lengths.b, n = lengths.n, d = lengths.d;
  if (!d) return {};
  return {int(d), arrays.get<T>("input", {t, b, d}, true),
          arrays.get<T>("weight_ih", {n, d}, true), arrays.get<T>("bias_ih", {n}, true)};
}

// A tensor of gradients, and where its numbers stand in the sum over tiles.
template <class T> struct Piece {
  T* to;
  size_t count;
};

template <class T>
void write(const Total& total, T* weight_hh, int size, size_t pitch,
           const std::vector<Piece<T>>& pieces) {
  if (weight_hh)
    for (int i = 0; i < size; ++i)
      for (int j = 0; j < size; ++j)
        weight_hh[size_t(i) * size + j] = T(total.weight_hh[size_t(i) * pitch + j]);
  const double* from = total.small.data();
  for (const Piece<T>& piece : pieces) {
    if (piece.to)
      for (size_t i = 0; i < piece.count; ++i) piece.to[i] = T(from[i]);
    from += piece.count;
  }
}

void check_segment(int segment, int time) {
  if (segment < 1 || (segment < time && segment % 16))
    throw std::invalid_argument("segment: must be a multiple of 16, or at least T");
}

Mode as_mode(const std::string& name) {
  if (name == "forward") return Mode::forward;
  if (name == "backward") return Mode::backward;
  if (name == "fused") return Mode::fused;
  throw std::invalid_argument("mode: must be forward, backward or fused");
}

template <class T>
void arun_as(const Kernel<T, Arun<T>>& kernel, Arrays& arrays, Mode mode, int segment,
             int threads) {
  const Lengths lengths(arrays);
  const int64_t t = lengths.t, b = lengths.b, n = lengths.n, d = lengths.d;
  const int64_t g = arrays.shape("g0", 3)[2], k = (t - 1) / segment;
  check_segment(segment, int(t));
  Arun<T> p = {};
  p.input = input<T>(arrays, lengths);
  p.mode = mode, p.time = int(t), p.batch = int(b), p.size = int(n), p.units = int(g);
  p.segment = segment;
  p.currents = arrays.get<T>("currents", {t, b, n}, !d);
  p.h0 = arrays.get<T>("h0", {b, n}, true);
  p.g0 = arrays.get<T>("g0", {b, n, g}, true);
  p.weight_hh = arrays.get<T>("weight_hh", {n, n}, true);
  p.weight_ag = arrays.get<T>("weight_ag", {g}, true);
  p.weight_gg = arrays.get<T>("weight_gg", {g, g}, true);
  p.bias_g = arrays.get<T>("bias_g", {g}, true);
  p.weight_gc = arrays.get<T>("weight_gc", {2, g}, true);
  p.bias_gc = arrays.get<T>("bias_gc", {2}, true);
  p.alpha = arrays.get<T>("alpha", {n});
  p.leaks = p.alpha;
  p.output = arrays.fresh<T>("output", {t, b, n});
  p.h_last = arrays.get<T>("h_last", {b, n});
  p.g_last = arrays.get<T>("g_last", {b, n, g});
  if (arrays.has("past") && segment < t)
    throw std::invalid_argument("past: goes with segment >= T");
  if (arrays.has("past"))
    p.past = arrays.get<T>("past", {int64_t(past_offsets(kernel, p).back())});
  const bool needs_kept = mode == Mode::backward && k > 0 && !p.past;
  p.kept_h = arrays.get<T>("kept_h", {k, b, n}, needs_kept);
  p.kept_g = arrays.get<T>("kept_g", {k, b, n, g}, needs_kept || p.kept_h);
  p.trace_a = arrays.fresh<T>("trace_a", {t, b, n});
  p.trace_n = arrays.fresh<T>("trace_n", {t, b, n});
  p.trace_s = arrays.fresh<T>("trace_s", {t, b, n});
  p.trace_g = arrays.fresh<T>("trace_g", {t, b, n, g});
  p.grad_output = arrays.get<T>("grad_output", {t, b, n});
  p.grad_h_last = arrays.get<T>("grad_h_last", {b, n});
  p.grad_g_last = arrays.get<T>("grad_g_last", {b, n, g});
  p.grad_currents = arrays.fresh<T>("grad_currents", {t, b, n});
  p.grad_h0 = arrays.get<T>("grad_h0", {b, n});
  p.grad_g0 = arrays.get<T>("grad_g0", {b, n, g});
  p.head = head<T>(arrays, mode, int(t), int(b), int(n));
  const int64_t outputs = p.head.outputs;
  T* weight_hh = arrays.get<T>("grad_weight_hh", {n, n});
  const std::vector<Piece<T>> pieces = {
      {arrays.get<T>("grad_weight_gg", {g, g}), size_t(g * g)},
      {arrays.get<T>("grad_weight_gc", {2, g}), size_t(2 * g)},
      {arrays.get<T>("grad_weight_ag", {g}), size_t(g)},
      {arrays.get<T>("grad_bias_g", {g}), size_t(g)},
      {arrays.get<T>("grad_bias_gc", {2}), 2},
      {arrays.get<T>("grad_alpha", {n}), size_t(p.leaks ? n : 0)},
      {arrays.get<T>("grad_weight_out", {outputs, n}), size_t(outputs * n)},
      {arrays.get<T>("grad_bias_out", {outputs}), size_t(outputs)},
      {arrays.get<T>("grad_weight_ih", {n, d}), size_t(n * d)},
      {arrays.get<T>("grad_bias_ih", {n}), size_t(d ? n : 0)}};
  const nb::gil_scoped_release release;
  Total total;
  run_tiles(kernel, p, threads, total);
  if (mode != Mode::forward) write(total, weight_hh, int(n), kernel.layout(p).pitch, pieces);
}

void arun(const std::string& mode, const nb::dict& dict, int segment, bool bfloat16, int threads,
          const std::string& instruction_set) {
  Arrays arrays(dict);
  const Table& table = choose(instruction_set, bfloat16);
  if (arrays.is_double("weight_hh"))
    arun_as<double>(table.arun_double, arrays, as_mode(mode), segment, threads);
  else
    arun_as<float>(bfloat16 ? table.arun_bfloat16 : table.arun_float, arrays, as_mode(mode), segment,
                   threads);
}

template <class T>
void rnn_as(const Kernel<T, Rnn<T>>& kernel, Arrays& arrays, Mode mode, int nonlinearity,
            int segment, int threads) {
  const Lengths lengths(arrays);
  const int64_t t = lengths.t, b = lengths.b, n = lengths.n, d = lengths.d;
  const int64_t k = (t - 1) / segment;
  check_segment(segment, int(t));
  if (nonlinearity < 0 || nonlinearity > int(Nonlinearity::gamma))
    throw std::invalid_argument("nonlinearity: unknown");
  Rnn<T> p = {};
  p.mode = mode, p.nonlinearity = Nonlinearity(nonlinearity);
  p.time = int(t), p.batch = int(b), p.size = int(n), p.segment = segment;
  const bool gamma = p.nonlinearity == Nonlinearity::gamma;
  p.input = input<T>(arrays, lengths);
  p.currents = arrays.get<T>("currents", {t, b, n}, !d);
  p.h0 = arrays.get<T>("h0", {b, n}, true);
  p.weight_hh = arrays.get<T>("weight_hh", {n, n}, true);
  p.n = arrays.get<T>("n", {n}, gamma);
  p.s = arrays.get<T>("s", {n}, gamma);
  p.alpha = arrays.get<T>("alpha", {n});
  p.leaks = p.alpha;
  p.output = arrays.fresh<T>("output", {t, b, n});
  p.h_last = arrays.get<T>("h_last", {b, n});
  p.past_h = arrays.fresh<T>("past_h", {t, b, n});
  p.past_a = arrays.fresh<T>("past_a", {t, b, n});
  p.past_rate = arrays.fresh<T>("past_rate", {t, b, n});
  p.kept_h = arrays.get<T>("kept_h", {k, b, n}, mode == Mode::backward && k > 0 && !p.past_h);
  p.grad_output = arrays.get<T>("grad_output", {t, b, n});
  p.grad_h_last = arrays.get<T>("grad_h_last", {b, n});
  p.grad_currents = arrays.fresh<T>("grad_currents", {t, b, n});
  p.grad_h0 = arrays.get<T>("grad_h0", {b, n});
  p.head = head<T>(arrays, mode, int(t), int(b), int(n));
  const int64_t outputs = p.head.outputs;
  T* weight_hh = arrays.get<T>("grad_weight_hh", {n, n});
  const std::vector<Piece<T>> pieces = {
      {arrays.get<T>("grad_n", {n}), size_t(n)},
      {arrays.get<T>("grad_s", {n}), size_t(n)},
      {arrays.get<T>("grad_alpha", {n}), size_t(p.leaks ? n : 0)},
      {arrays.get<T>("grad_weight_out", {outputs, n}), size_t(outputs * n)},
      {arrays.get<T>("grad_bias_out", {outputs}), size_t(outputs)},
      {arrays.get<T>("grad_weight_ih", {n, d}), size_t(n * d)},
      {arrays.get<T>("grad_bias_ih", {n}), size_t(d ? n : 0)}};
  const nb::gil_scoped_release release;
  Total total;
  run_tiles(kernel, p, threads, total);
  if (mode != Mode::forward) write(total, weight_hh, int(n), kernel.layout(p).pitch, pieces);
}

void rnn(const std::string& mode, int nonlinearity, const nb::dict& dict, int segment, bool bfloat16,
         int threads, const std::string& instruction_set) {
  Arrays arrays(dict);
  const Table& table = choose(instruction_set, bfloat16);
  if (arrays.is_double("weight_hh"))
    rnn_as<double>(table.rnn_double, arrays, as_mode(mode), nonlinearity, segment, threads);
  else
    rnn_as<float>(bfloat16 ? table.rnn_bfloat16 : table.rnn_float, arrays, as_mode(mode),
                  nonlinearity, segment, threads);
}

// Numbers in the whole past of a call, the array `past` that forward fills for backward; and the
// bytes that one thread needs in a fused call that keeps its tile's whole past.
template <class T, class Problem>
std::pair<int64_t, int64_t> past_as(const Kernel<T, Problem>& kernel, Problem p, int time, int batch,
                                    int size, int outputs) {
  if (time < 1 || batch < 1 || size < 1 || outputs < 0)
    throw std::invalid_argument("sizes must be at least 1");
  p.time = time, p.batch = batch, p.size = size, p.segment = time;
  const int64_t numbers = int64_t(past_offsets(kernel, p).back());
  p.mode = Mode::fused;
  p.head.outputs = outputs, p.head.steps = time;
  return {numbers, int64_t(kernel.workspace_bytes(p, plan(batch, kernel.tile(p))[0].samples))};
}

std::pair<int64_t, int64_t> arun_past(int time, int batch, int size, int units, int outputs,
                                      bool leaks, bool is_double, bool bfloat16,
                                      const std::string& instruction_set) {
  if (units < 1) throw std::invalid_argument("sizes must be at least 1");
  const Table& table = choose(instruction_set, bfloat16);
  Arun<double> p = {};
  Arun<float> q = {};
  p.units = q.units = units;
  p.leaks = q.leaks = leaks;
  if (is_double) return past_as(table.arun_double, p, time, batch, size, outputs);
  return past_as(bfloat16 ? table.arun_bfloat16 : table.arun_float, q, time, batch, size, outputs);
}

std::pair<int64_t, int64_t> rnn_past(int time, int batch, int size, int outputs, bool leaks,
                                     bool is_double, bool bfloat16,
                                     const std::string& instruction_set) {
  const Table& table = choose(instruction_set, bfloat16);
  Rnn<double> p = {};
  Rnn<float> q = {};
  p.leaks = q.leaks = leaks;
  if (is_double) return past_as(table.rnn_double, p, time, batch, size, outputs);
  return past_as(bfloat16 ? table.rnn_bfloat16 : table.rnn_float, q, time, batch, size, outputs);
}

// Multiply-adds of float32 per second, all threads together.
double peak(int threads, double seconds, const std::string& instruction_set) {
  const Table& table = choose(instruction_set);
  const nb::gil_scoped_release release;
  std::atomic<int64_t> total{0};
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const auto work = [&] {
    while (elapsed() < seconds) total += int64_t(table.multiply_adds(2000));
  };
  std::vector<std::thread> helpers;
  for (int k = 1; k < threads; ++k) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  return double(total) / elapsed();
}

}  // namespace
}  // namespace adaptrnn

NB_MODULE(_cpu, m) {
  using namespace nb::literals;
  m.def("instruction_sets", &adaptrnn::instruction_sets, "Those this machine runs, best first.");
  m.def("intel", &adaptrnn::intel, "Whether the processor is of Intel's.");
  m.def("no_amx", &adaptrnn::no_amx, "Why AMX cannot be used, or nothing; asks the system once.");
  m.def("arun", &adaptrnn::arun, "mode"_a, "arrays"_a, "segment"_a, "bfloat16"_a, "threads"_a,
        "instruction_set"_a = "");
  m.def("rnn", &adaptrnn::rnn, "mode"_a, "nonlinearity"_a, "arrays"_a, "segment"_a, "bfloat16"_a,
        "threads"_a, "instruction_set"_a = "");
  m.def("arun_past", &adaptrnn::arun_past, "time"_a, "batch"_a, "size"_a, "units"_a, "outputs"_a,
        "leaks"_a, "double"_a, "bfloat16"_a, "instruction_set"_a = "",
        "Numbers of the whole past of a call, and bytes of a thread of a fused call that keeps it.");
  m.def("rnn_past", &adaptrnn::rnn_past, "time"_a, "batch"_a, "size"_a, "outputs"_a, "leaks"_a,
        "double"_a, "bfloat16"_a, "instruction_set"_a = "", "As arun_past.");
  m.def("peak", &adaptrnn::peak, "threads"_a, "seconds"_a, "instruction_set"_a = "",
        "Multiply-adds of float32 per second.");
}
