// Mixtures of components: y = c W + b and its gradients for one column of numbers. The components c
// of a number are waves or ramps. All vectors are over rows of the batch.
#pragma once

#include "transposed.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Components are computed for this many vectors at a time.
inline constexpr Index kRunVectors = 16;
template <class T>
inline constexpr Index kRunRows = kRunVectors * kLanes<T>;

// N neighbouring outputs for up to kLanes rows: y_i += sum over k of c_k W[k, i]. `components` has
// one vector for each k; W has rows of `stride` numbers.
template <class T, int N>
PELLUCID_INLINE void mix_some(const T* components, Index n_components, const T* weights,
                              Index stride, Vector<T>* mixed) {
  Vector<T> sums[N];
  for (int i = 0; i < N; ++i) sums[i] = mixed[i];
  for (Index k = 0; k < n_components; ++k) {
    const Vector<T> component = load(components + k * kLanes<T>);
    for (int i = 0; i < N; ++i) sums[i] += component * weights[k * stride + i];
  }
  for (int i = 0; i < N; ++i) mixed[i] = sums[i];
}

// All `n` outputs, `stride` apart, for `rows` rows, at most kLanes. The sums start from the biases,
// or from the contents of the outputs if the biases are null.
template <class T>
PELLUCID_INLINE void mix(const T* components, Index n_components, const T* weights, const T* biases,
                         Index n, T* outputs, Index stride, Index rows) {
  constexpr Index kMost = 4;
  Vector<T> mixed[kMost];
  for (Index first = 0; first < n; first += kMost) {
    const Index count = std::min(kMost, n - first);
    for (Index i = 0; i < count; ++i)
      mixed[i] = biases != nullptr ? broadcast<T>(biases[first + i])
                                   : load_some(outputs + (first + i) * stride, rows);
    const T* w = weights + first;
    if (count == 4) mix_some<T, 4>(components, n_components, w, n, mixed);
    if (count == 3) mix_some<T, 3>(components, n_components, w, n, mixed);
    if (count == 2) mix_some<T, 2>(components, n_components, w, n, mixed);
    if (count == 1) mix_some<T, 1>(components, n_components, w, n, mixed);
    for (Index i = 0; i < count; ++i) store_some(outputs + (first + i) * stride, mixed[i], rows);
  }
}

// dc = sum over i of dy_i W[i] for up to kRunRows rows. The deltas of the n outputs are `stride`
// apart.
template <class T>
void unmix(const T* deltas, Index stride, Index rows, const T* weights, Index n, T* dcomponents) {
  for_each_run(0, rows, kLanes<T>, [&](Index row, Index count) {
    Vector<T> sum{};
    for (Index i = 0; i < n; ++i) sum += load_some(deltas + i * stride + row, count) * weights[i];
    store<T>(dcomponents + row, sum);
  });
}

// dW[i] += sum over up to kRunRows rows of c dy_i. Beyond the last row, components must be finite.
template <class T>
void add_products(const T* component, const T* deltas, Index stride, Index rows, Index n,
                  T* gradient) {
  for (Index i = 0; i < n; ++i) {
    Vector<T> sum{};
    for_each_run(0, rows, kLanes<T>, [&](Index row, Index count) {
      sum += load(component + row) * load_some(deltas + i * stride + row, count);
    });
    gradient[i] += horizontal_sum<T>(sum);
  }
}

// db[i] = sum of dy_i over the rows.
template <class T>
void sum_deltas(const T* deltas, Index stride, Index rows, Index n, T* gradient) {
  for (Index i = 0; i < n; ++i) {
    Vector<T> sum{};
    for_each_run(0, rows, kLanes<T>, [&](Index row, Index count) {
      sum += load_some(deltas + i * stride + row, count);
    });
    gradient[i] = horizontal_sum<T>(sum);
  }
}

}  // namespace pellucid::inline PELLUCID_ISA
