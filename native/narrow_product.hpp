// A product with fewer columns than a vector has lanes, such as a last layer with a few classes.
//
// The kernel of gemm.hpp would compute a whole vector of columns, most of them padding. Here the
// vectors run along the summed index instead: lane l of an accumulator sums the terms k = l, l +
// lanes, ... At the end, the lanes of several accumulators are added up at once.
#pragma once

#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Lane i of the result is the sum of the lanes of sums[i], in log2(lanes) rounds of pairwise sums.
template <class T>
PELLUCID_INLINE Vector<T> sum_each(Vector<T>* sums) {
  constexpr int lanes = kLanes<T>;
  auto combine = [sums]<int distance>() {
    [&]<int... lane>(std::integer_sequence<int, lane...>) {
      for (int i = 0; i < distance; ++i) {
        const Vector<T> a = sums[i], b = sums[i + distance];
        sums[i] = __builtin_shufflevector(
                      a, b, ((lane & distance) != 0 ? lane - distance + lanes : lane)...) +
                  __builtin_shufflevector(
                      a, b, ((lane & distance) != 0 ? lane + lanes : lane + distance)...);
      }
    }(std::make_integer_sequence<int, lanes>{});
  };
  if constexpr (lanes >= 16) combine.template operator()<8>();
  if constexpr (lanes >= 8) combine.template operator()<4>();
  if constexpr (lanes >= 4) combine.template operator()<2>();
  if constexpr (lanes >= 2) combine.template operator()<1>();
  return sums[0];
}

constexpr int next_power_of_two(int n) {
  int power = 1;
  while (power < n) power *= 2;
  return power;
}

// Z[row, j] = start[j] + sum over k of A[row, k] B[j, k] for j < K and rows `first` to `last`. A is
// in the input's panels; B is in panels over k, with one row for each lane of a vector.
template <class T, int K>
void narrow_kernel(const Slot<T>& input, const T* b, const T* start, Index first, Index last,
                   T* z) {
  constexpr int lanes = kLanes<T>;
  constexpr int kept = next_power_of_two(K);
  constexpr int n_rows = lanes / kept;  // at a time, so that their sums fill one vector
  const Index columns = input.panels.columns();
  for (Index row = first; row < last; row += n_rows) {
    const Index count = std::min<Index>(n_rows, last - row);
    Vector<T> sums[lanes] = {};
    for (const Panel& panel : input.panels) {
      const T* a = input.values.data() + input.at(panel, row);
      const T* right = b + lanes * panel.first;
      Index row_of[n_rows];  // rows beyond the last repeat it
      for (Index r = 0; r < n_rows; ++r) row_of[r] = std::min(r, count - 1) * panel.width;
      const auto add = [&](Index c, const auto& load_left) {
        Vector<T> terms[K];
        for (int j = 0; j < K; ++j) terms[j] = load(right + j * panel.width + c);
        for (int r = 0; r < n_rows; ++r) {
          const Vector<T> left = load_left(a + row_of[r] + c);
          for (int j = 0; j < K; ++j) sums[r * kept + j] += left * terms[j];
        }
      };
      const Index whole = std::min(panel.width, (columns - panel.first) / lanes * lanes);
      for (Index c = 0; c < whole; c += lanes) add(c, [](const T* source) { return load(source); });
      if (whole < panel.width)
        add(whole,
            [&](const T* source) { return load_columns(source, panel.first + whole, columns); });
    }
    alignas(64) T totals[lanes];
    store<T>(totals, sum_each<T>(sums));
    for (Index r = 0; r < count; ++r) {
      T* out = z + (row + r) * lanes;
      store<T>(out, load(start));
      for (int j = 0; j < K; ++j) out[j] += totals[r * kept + j];
    }
  }
}

// The same for `columns` columns, at most half as many as a vector has lanes.
template <class T>
void narrow_product(const Slot<T>& input, const T* b, Index columns, const T* start, Index first,
                    Index last, T* z) {
  static constexpr auto kernels = []<int... k>(std::integer_sequence<int, k...>) {
    using Kernel = void (*)(const Slot<T>&, const T*, const T*, Index, Index, T*);
    return std::array<Kernel, sizeof...(k)>{narrow_kernel<T, k + 1>...};
  }(std::make_integer_sequence<int, std::max(1, kLanes<T> / 2)>{});
  kernels[static_cast<std::size_t>(columns - 1)](input, b, start, first, last, z);
}

}  // namespace pellucid::inline PELLUCID_ISA
