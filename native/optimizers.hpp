// Parameter updates on contiguous ranges. The plain reference is src/pellucid/nn/optimizers.py.
#pragma once

#include <algorithm>
#include <cmath>

#include "simd.hpp"

namespace pellucid::inline PELLUCID_ISA {

// The numbers of one step, computed once for all parameters.
template <class T>
struct StepCoefficients {
  T learning_rate;  // eta, after bias correction for the adaptive rules
  T first_decay;    // momentum mu, or beta 1
  T first_gain;     // factor of a new gradient in the first moment
  T second_decay;   // beta 2
  T second_gain;
  T epsilon_inside;   // under the root
  T epsilon_outside;  // beside the root
  T decay;            // decoupled decay: weights are multiplied by 1 - decay first
  T penalty;          // L2 penalty: penalty * w is added to the gradient of weights
};

// A range of parameters with their moments and gradient. Moments that the rule does not use are
// null.
template <class T>
struct ParameterRange {
  T* values;
  T* first;
  T* second;
  const T* gradient;
  Index count;
};

// The update rule. `kMomentum` and `kNesterov` keep a velocity, `kAdaptive` is Adam in all its
// forms, and `kAccumulate` adds gradients up in `first` without changing the parameters.
enum class Rule { kSgd, kMomentum, kNesterov, kAdaptive, kAccumulate };

template <class T, Rule kRule>
void update_range(const ParameterRange<T>& range, const StepCoefficients<T>& c) {
  for (Index i = 0; i < range.count; i += kLanes<T>) {
    const Vector<T> value = load(range.values + i);
    const Vector<T> gradient = load(range.gradient + i) + c.penalty * value;
    if constexpr (kRule == Rule::kAccumulate) {
      store<T>(range.first + i, load(range.first + i) + gradient);
      continue;
    }
    const Vector<T> kept = value * (T(1) - c.decay);
    if constexpr (kRule == Rule::kSgd) {
      store<T>(range.values + i, kept - c.learning_rate * gradient);
    } else if constexpr (kRule == Rule::kMomentum || kRule == Rule::kNesterov) {
      const Vector<T> push = c.learning_rate * gradient;
      const Vector<T> velocity = c.first_decay * load(range.first + i) - push;
      store<T>(range.first + i, velocity);
      const Vector<T> move = kRule == Rule::kNesterov ? c.first_decay * velocity - push : velocity;
      store<T>(range.values + i, kept + move);
    } else {
      const Vector<T> first = c.first_decay * load(range.first + i) + c.first_gain * gradient;
      const Vector<T> second =
          c.second_decay * load(range.second + i) + c.second_gain * (gradient * gradient);
      store<T>(range.first + i, first);
      store<T>(range.second + i, second);
      const Vector<T> root = square_root(second + c.epsilon_inside) + c.epsilon_outside;
      store<T>(range.values + i, kept - c.learning_rate * first / root);
    }
  }
}

// Limits every number to [-limit, limit].
template <class T>
void clip_range(T* values, Index count, T limit) {
  const Vector<T> most = broadcast<T>(limit);
  for (Index i = 0; i < count; i += kLanes<T>)
    store<T>(values + i, minimum<T>(maximum<T>(load(values + i), -most), most));
}

template <class T>
void add_penalty(T* gradient, const T* values, Index count, T penalty) {
  for (Index i = 0; i < count; i += kLanes<T>)
    store<T>(gradient + i, load(gradient + i) + penalty * load(values + i));
}

template <class T>
void scale_range(T* values, Index count, T factor) {
  for (Index i = 0; i < count; i += kLanes<T>) store<T>(values + i, load(values + i) * factor);
}

// Which moments a rule keeps.
constexpr bool keeps_first(Rule rule) { return rule != Rule::kSgd; }
constexpr bool keeps_second(Rule rule) { return rule == Rule::kAdaptive; }

template <class T>
using UpdateFunction = void (*)(const ParameterRange<T>&, const StepCoefficients<T>&);

template <class T>
UpdateFunction<T> update_function(Rule rule) {
  switch (rule) {
    case Rule::kSgd:
      return update_range<T, Rule::kSgd>;
    case Rule::kMomentum:
      return update_range<T, Rule::kMomentum>;
    case Rule::kNesterov:
      return update_range<T, Rule::kNesterov>;
    case Rule::kAdaptive:
      return update_range<T, Rule::kAdaptive>;
    case Rule::kAccumulate:
      return update_range<T, Rule::kAccumulate>;
  }
  return nullptr;
}

// The same for a range of any length. The gradient is padded to whole vectors.
template <class T>
void update_ragged_range(UpdateFunction<T> update, ParameterRange<T> range,
                         const StepCoefficients<T>& c) {
  const Index left = range.count % kLanes<T>, whole = range.count - left;
  range.count = whole;
  if (whole > 0) update(range, c);
  if (left == 0) return;
  alignas(64) T tails[3][kLanes<T>] = {};
  T* numbers[] = {range.values, range.first, range.second};
  for (int i = 0; i < 3; ++i)
    if (numbers[i] != nullptr) std::copy_n(numbers[i] + whole, left, tails[i]);
  update({tails[0], tails[1], tails[2], range.gradient + whole, kLanes<T>}, c);
  for (int i = 0; i < 3; ++i)
    if (numbers[i] != nullptr) std::copy_n(tails[i], left, numbers[i] + whole);
}

template <class T>
T sum_of_squares(const T* values, Index count) {
  Vector<T> sum{};
  for (Index i = 0; i < count; i += kLanes<T>) {
    const Vector<T> v = load(values + i);
    sum += v * v;
  }
  return horizontal_sum<T>(sum);
}

// The same where squares can be too large for a float, but not for a double.
template <class T>
double sum_of_large_squares(const T* values, Index count) {
  const auto sum = static_cast<double>(sum_of_squares(values, count));
  if (std::isfinite(sum)) return sum;
  double exact = 0;
  for (Index i = 0; i < count; ++i)
    exact += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return exact;
}

}  // namespace pellucid::inline PELLUCID_ISA
