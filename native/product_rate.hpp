// The speed of the fastest product on this processor. Benchmarks report their share of it.
#pragma once

#include <algorithm>
#include <chrono>

#include "buffer.hpp"
#include "gemm.hpp"
#include "thread_team.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Floating-point operations per second of the register-blocked kernel, on operands of type E that
// stay in the first-level cache, on `n_threads` threads at once. The best of `n_rounds` rounds.
template <class E>
double product_rate(int n_threads, int n_rounds) {
  constexpr int vectors = kMaxTileVectors == 4 ? 3 : 2;
  constexpr int rows = kTileRows(vectors);
  constexpr Index width = vectors * kLanes<E>, terms = 64, repeats = 20000;
  Team team(n_threads);
  double best = 0;
  for (int round = 0; round < n_rounds; ++round) {
    Barrier& barrier = team.barrier();
    double seconds = 0;
    team.run([&](int thread) {
      const Buffer<E> a(rows * terms), b(terms * width);
      const Buffer<Sum<E>> start(width);
      Buffer<Sum<E>> c(rows * width);
      const Segment<E> segment{a.data(), terms, 1, terms};
      const TileKernel<E> kernel = tile_kernel<E>(vectors, rows);
      barrier.wait();
      const auto begin = std::chrono::steady_clock::now();
      for (Index i = 0; i < repeats; ++i)
        kernel(&segment, 1, 0, b.data(), width, start.data(), 0, c.data());
      barrier.wait();
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
      if (thread == 0) seconds = elapsed.count();
    });
    best = std::max(
        best, 2.0 * rows * width * terms * Element<E>::kTerms * repeats * team.size() / seconds);
  }
  return best;
}

}  // namespace pellucid::inline PELLUCID_ISA
