// The portable kernel against a plain loop, in a program of its own: for processors that are only
// emulated here (`make arm64`). Returns 0 if rates and controller states agree.
#include <cmath>
#include <cstdio>
#include <vector>

#include "../../src/adaptrnn/kernels/cpu/threads.hpp"

using namespace adaptrnn;

template <class T>
int check(const Kernel<T, Arun<T>>& kernel, double tolerance, bool leaks = false) {
  const int time = 20, batch = 5, size = 7, units = 6;
  unsigned seed = 1;
  const auto numbers = [&](int count, double scale) {
    std::vector<T> v(count);
    for (T& x : v) seed = seed * 1664525u + 1013904223u, x = T(scale * (seed / 2147483648.0 - 1));
    return v;
  };
  const std::vector<T> x = numbers(time * batch * size, 1), h0 = numbers(batch * size, 0.3),
                       g0 = numbers(batch * size * units, 0.3), hh = numbers(size * size, 0.2),
                       ag = numbers(units, 0.5), gg = numbers(units * units, 0.3),
                       bg = numbers(units, 0.2), gc = numbers(2 * units, 0.1), bgc = {2, T(0.1)};
  std::vector<T> alpha = numbers(size, 0.4);
  for (T& x : alpha) x += T(0.5);
  std::vector<T> output(x.size()), g_last(g0.size());
  Arun<T> p = {};
  p.mode = Mode::forward, p.time = time, p.batch = batch, p.size = size, p.units = units;
  p.segment = time;
  p.currents = x.data(), p.h0 = h0.data(), p.g0 = g0.data(), p.weight_hh = hh.data();
  p.weight_ag = ag.data(), p.weight_gg = gg.data(), p.bias_g = bg.data();
  p.weight_gc = gc.data(), p.bias_gc = bgc.data();
  p.leaks = leaks, p.alpha = leaks ? alpha.data() : nullptr;
  p.output = output.data(), p.g_last = g_last.data();
  Total total;
  run_tiles(kernel, p, 2, total);

  double worst = 0;
  std::vector<double> h(h0.begin(), h0.end()), g(g0.begin(), g0.end());
  for (int t = 0; t < time; ++t) {
    const std::vector<double> h_before = h;
    for (int k = 0; k < batch * size; ++k) {
      const int b = k / size, i = k % size;
      double a = x[size_t(t) * batch * size + k], n = bgc[0], s = bgc[1];
      for (int j = 0; j < size; ++j) a += double(hh[i * size + j]) * h_before[b * size + j];
      const std::vector<double> before(g.begin() + k * units, g.begin() + (k + 1) * units);
      for (int u = 0; u < units; ++u) {
        double z = bg[u] + a * double(ag[u]);
        for (int v = 0; v < units; ++v) z += double(gg[u * units + v]) * before[v];
        g[k * units + u] = std::tanh(z);
        n += double(gc[u]) * g[k * units + u];
        s += double(gc[units + u]) * g[k * units + u];
      }
      h[k] = (1 - s) * std::log1p(std::exp(n * a)) / n + s / (1 + std::exp(-n * a));
      if (leaks) h[k] = (1 - alpha[i]) * h_before[k] + alpha[i] * h[k];
      worst = std::fmax(worst, std::fabs(h[k] - output[size_t(t) * batch * size + k]));
    }
  }
  for (size_t k = 0; k < g.size(); ++k) worst = std::fmax(worst, std::fabs(g[k] - g_last[k]));
  std::printf("%d bytes a number: at most %.1e apart\n", int(sizeof(T)), worst);
  return worst < tolerance ? 0 : 1;  // a NaN is no agreement
}

int main() {
  // some roundings of 6e-8 and 1e-16, of numbers of the order 1, that a contracting network forgets
  // and, with operands of 8 bits, of 4e-3
  return check<float>(portable::table.arun_float, 3e-6) +
         check<double>(portable::table.arun_double, 3e-15) +
         check<float>(portable::table.arun_bfloat16, 2e-2) +
         check<float>(portable::table.arun_float, 3e-6, true) +
         check<double>(portable::table.arun_double, 3e-15, true);
}
