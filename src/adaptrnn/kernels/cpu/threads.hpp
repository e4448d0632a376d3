// Runs the tiles of one call on a few threads, and adds their gradients in the order of the tiles.
// Threads live only as long as the call: nothing is left behind for a fork to trip over.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "problem.hpp"

namespace adaptrnn {
namespace {

// Numbers below the normal range are flushed to zero inside a call, in every one of its threads;
// the caller's own setting comes back when the call ends.
class FlushToZero {
 public:
  FlushToZero() {
#if defined(__x86_64__)
    before_ = _mm_getcsr();
    _mm_setcsr(before_ | 0x8040);
#elif defined(__aarch64__)
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | (uint64_t(1) << 24)));
#endif
  }
  ~FlushToZero() {
#if defined(__x86_64__)
    _mm_setcsr(before_);
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(before_));
#endif
  }
  FlushToZero(const FlushToZero&) = delete;
  FlushToZero& operator=(const FlushToZero&) = delete;

 private:
#if defined(__x86_64__)
  unsigned before_;
#else
  uint64_t before_ = 0;
#endif
};

constexpr size_t kLargePage = size_t(1) << 21;

// The large pages that lie wholly inside a piece of memory.
inline void ask_for_large_pages(void* data, size_t bytes) {
#if defined(__linux__)
  const uintptr_t from = (reinterpret_cast<uintptr_t>(data) + kLargePage - 1) / kLargePage;
  const uintptr_t to = (reinterpret_cast<uintptr_t>(data) + bytes) / kLargePage;
  if (from < to)
    madvise(reinterpret_cast<void*>(from * kLargePage), (to - from) * kLargePage, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

// Aligned memory; large pieces ask for large pages.
class Memory {
 public:
  explicit Memory(size_t bytes) {
    align_ = bytes >= 2 * kLargePage ? kLargePage : 64;
    data_ = static_cast<char*>(::operator new(std::max<size_t>(bytes, 64), std::align_val_t(align_)));
    if (align_ == kLargePage) ask_for_large_pages(data_, bytes);
  }
  ~Memory() { ::operator delete(data_, std::align_val_t(align_)); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  char* data() const { return data_; }

 private:
  size_t align_;
  char* data_;
};

struct TileRange {
  int first, samples;
};

// Tiles depend on the batch alone, never on the number of threads: the same sums in any case. They
// get smaller towards the end so that threads finish together.
inline std::vector<TileRange> plan(int batch, int most) {
  std::vector<TileRange> tiles;
  for (int first = 0; first < batch;) {
    const int left = batch - first;
    const int samples = std::min({left, most, std::max(1, (left + 2) / 3)});
    tiles.push_back({first, samples});
    first += samples;
  }
  return tiles;
}

template <class T> struct Buffer {
  std::unique_ptr<T[]> weight_hh;
  std::unique_ptr<double[]> small;
};

// Sums over all tiles, in double precision.
struct Total {
  std::vector<double> weight_hh, small;
};

template <class T> class InOrder {
 public:
  InOrder(GradientLayout layout, Total& total) : layout_(layout), total_(total) {
    total.weight_hh.assign(layout.weight_hh, 0);
    total.small.assign(layout.small, 0);
  }
  Buffer<T> fresh() {
    Buffer<T> b;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!free_.empty()) {
        b = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (!b.weight_hh) b.weight_hh.reset(new T[layout_.weight_hh]);
    if (!b.small) b.small.reset(new double[layout_.small]);
    std::fill_n(b.weight_hh.get(), layout_.weight_hh, T(0));
    std::fill_n(b.small.get(), layout_.small, 0.0);
    return b;
  }
  void add(int tile, Buffer<T> buffer) {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.emplace(tile, std::move(buffer));
    for (auto it = waiting_.find(next_); it != waiting_.end(); it = waiting_.find(++next_)) {
      for (size_t i = 0; i < layout_.weight_hh; ++i)
        total_.weight_hh[i] += double(it->second.weight_hh[i]);
      for (size_t i = 0; i < layout_.small; ++i) total_.small[i] += it->second.small[i];
      free_.push_back(std::move(it->second));
      waiting_.erase(it);
    }
  }

 private:
  GradientLayout layout_;
  Total& total_;
  std::mutex mutex_;
  int next_ = 0;
  std::map<int, Buffer<T>> waiting_;
  std::vector<Buffer<T>> free_;
};

// Numbers of the whole past of all tiles, each tile's on pages of its own.
template <class T, class Problem>
std::vector<size_t> past_offsets(const Kernel<T, Problem>& kernel, const Problem& problem) {
  std::vector<size_t> offsets{0};
  for (const TileRange& tile : plan(problem.batch, kernel.tile(problem)))
    offsets.push_back(offsets.back() +
                      (kernel.past_numbers(problem, tile.samples) + 1023) / 1024 * 1024);
  return offsets;
}

template <class T, class Problem>
void run_tiles(const Kernel<T, Problem>& kernel, const Problem& problem, int threads, Total& total) {
  const std::vector<TileRange> tiles = plan(problem.batch, kernel.tile(problem));
  int widest = 1;
  for (const TileRange& tile : tiles) widest = std::max(widest, tile.samples);
  threads = std::max(1, std::min<int>(threads, int(tiles.size())));

  const FlushToZero flush;
  const Memory packed(kernel.packed_bytes(problem));
  kernel.pack(problem, packed.data());
  const bool gradients = problem.mode != Mode::forward;
  InOrder<T> sums(gradients ? kernel.layout(problem) : GradientLayout{0, 0, 0}, total);
  const size_t bytes = kernel.workspace_bytes(problem, widest);
  std::vector<size_t> offsets;
  if (problem.past) {
    offsets = past_offsets(kernel, problem);
    ask_for_large_pages(problem.past, offsets.back() * sizeof(T));
    if (problem.mode == Mode::forward)
      for (size_t k = 0; k < tiles.size(); ++k) {
        const size_t end = offsets[k] + kernel.past_numbers(problem, tiles[k].samples);
        std::fill(problem.past + end, problem.past + offsets[k + 1], T(0));
      }
  }

  std::atomic<int> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      const FlushToZero flush_here;
      const Memory workspace(bytes);
      for (int k = next++; k < int(tiles.size()); k = next++) {
        Buffer<T> buffer;
        if (gradients) buffer = sums.fresh();
        kernel.run(problem, packed.data(), workspace.data(),
                   problem.past ? problem.past + offsets[k] : nullptr, tiles[k].first,
                   tiles[k].samples, {buffer.weight_hh.get(), buffer.small.get()});
        if (gradients) sums.add(k, std::move(buffer));
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> helpers;
  try {
    for (int k = 1; k < threads; ++k) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // no more threads to be had: those there are do all the work
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace
}  // namespace adaptrnn
