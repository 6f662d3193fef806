// Weighted losses and their gradients, for one row of scores or for a block of short rows.
// src/pellucid/nn/losses.py has the plain references.
#pragma once

#include <array>
#include <cmath>
#include <string_view>

#include "vector_math.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Scores, targets and deltas of one example, contiguous and padded to whole vectors. With a label
// instead of targets, `targets` is null.
template <class T>
struct LossRow {
  const T* scores;
  const T* targets;
  Index label;
  T* deltas;
  Index columns;
  T scale;  // factor of the gradient: weight / rows in the batch
  T parameter;
};

// Element-wise losses compute the value and the derivative with respect to the score.
struct LogisticCrossEntropy {
  template <class T>
  static void evaluate(Vector<T> s, Vector<T> y, T, Vector<T>& value, Vector<T>& slope) {
    // y log(1 + exp(-s)) + (1 - y) log(1 + exp(s)) = max(s, 0) - y s + log(1 + exp(-|s|))
    const Vector<T> decayed = exponential<T>(-absolute<T>(s));
    const Vector<T> scale = T(1) / (decayed + T(1));
    value = maximum<T>(s, Vector<T>{}) - y * s + log1p_unit<T>(decayed);
    slope = (s < 0 ? decayed * scale : scale) - y;
  }
};

struct HalfSquaredError {
  template <class T>
  static void evaluate(Vector<T> s, Vector<T> y, T, Vector<T>& value, Vector<T>& slope) {
    slope = s - y;
    value = T(0.5) * slope * slope;
  }
};

struct SquaredError {
  template <class T>
  static void evaluate(Vector<T> s, Vector<T> y, T, Vector<T>& value, Vector<T>& slope) {
    const Vector<T> error = s - y;
    value = error * error;
    slope = T(2) * error;
  }
};

struct AbsoluteError {
  template <class T>
  static void evaluate(Vector<T> s, Vector<T> y, T, Vector<T>& value, Vector<T>& slope) {
    const Vector<T> error = s - y;
    value = absolute<T>(error);
    slope = error > 0 ? broadcast<T>(T(1)) : (error < 0 ? broadcast<T>(T(-1)) : Vector<T>{});
  }
};

struct Huber {
  template <class T>
  static void evaluate(Vector<T> s, Vector<T> y, T delta, Vector<T>& value, Vector<T>& slope) {
    const Vector<T> error = s - y;
    const Vector<T> size = absolute<T>(error);
    const Vector<T> limit = broadcast<T>(delta);
    value = size <= limit ? T(0.5) * error * error : delta * (size - T(0.5) * delta);
    slope = minimum<T>(maximum<T>(error, -limit), limit);
  }
};

struct Quantile {
  template <class T>
  static void evaluate(Vector<T> s, Vector<T> y, T level, Vector<T>& value, Vector<T>& slope) {
    const Vector<T> error = y - s;
    value = maximum<T>(level * error, (level - T(1)) * error);
    slope =
        error > 0 ? broadcast<T>(-level) : (error < 0 ? broadcast<T>(T(1) - level) : Vector<T>{});
  }
};

// Half the deviance: exp(s) - y s + (y log y - y), which is 0 for exp(s) = y. Above a score of 60,
// the exponential is replaced by its tangent there, which keeps the loss finite.
struct Poisson {
  template <class T>
  static void evaluate(Vector<T> s, Vector<T> y, T, Vector<T>& value, Vector<T>& slope) {
    const Vector<T> limit = broadcast<T>(T(60));
    const Vector<T> mean = exponential<T>(minimum<T>(s, limit));
    Vector<T> constant;
    for (int i = 0; i < kLanes<T>; ++i)
      constant[i] = y[i] > T(0) ? y[i] * std::log(y[i]) - y[i] : T(0);
    value = mean * (T(1) + maximum<T>(s - limit, Vector<T>{})) - y * s + constant;
    slope = mean - y;
  }
};

template <class Elementwise, class T>
double evaluate_elementwise(const LossRow<T>& row) {
  Vector<T> total{};
  for (Index c = 0; c < row.columns; c += kLanes<T>) {
    const auto inside = first_lanes<T>(row.columns - c);
    Vector<T> value, slope;
    Elementwise::template evaluate<T>(load(row.scores + c), load(row.targets + c), row.parameter,
                                      value, slope);
    total += inside ? value : Vector<T>{};
    store<T>(row.deltas + c, inside ? slope * row.scale : Vector<T>{});
  }
  return static_cast<double>(horizontal_sum<T>(total));
}

// -sum_c y'_c log softmax(s)_c; its gradient is (sum of y) softmax(s) - y'. Label smoothing, the
// parameter, moves a share of the target to all classes alike: y' = (1 - e) y + e (sum of y) / K.
template <class T>
double evaluate_softmax(const LossRow<T>& row) {
  constexpr T lowest = -std::numeric_limits<T>::infinity();
  Vector<T> largest = broadcast<T>(std::numeric_limits<T>::lowest());
  for (Index c = 0; c < row.columns; c += kLanes<T>) {
    const auto inside = first_lanes<T>(row.columns - c);
    largest = maximum<T>(largest, inside ? load(row.scores + c) : largest);
  }
  const T top = horizontal_maximum<T>(largest);
  Vector<T> sums{}, masses{}, products{}, spreads{};
  for (Index c = 0; c < row.columns; c += kLanes<T>) {
    const auto inside = first_lanes<T>(row.columns - c);
    const Vector<T> shifted = inside ? load(row.scores + c) - top : broadcast<T>(lowest);
    const Vector<T> e = exponential<T>(shifted);
    sums += e;
    spreads += inside ? shifted : Vector<T>{};
    store<T>(row.deltas + c, e);
    if (row.targets != nullptr) {
      const Vector<T> y = load(row.targets + c);
      masses += y;
      products += y != 0 ? y * shifted : Vector<T>{};
    }
  }
  const T sum = horizontal_sum<T>(sums);
  const T log_sum = std::log(sum);
  const bool has_label = row.targets == nullptr;
  const T mass = has_label ? T(1) : horizontal_sum<T>(masses);
  const T even = row.parameter * mass / static_cast<T>(row.columns);
  const T own = T(1) - row.parameter;
  const T factor = row.scale * mass / sum;
  for (Index c = 0; c < row.columns; c += kLanes<T>) {
    const auto inside = first_lanes<T>(row.columns - c);
    Vector<T> y = inside ? broadcast<T>(even) : Vector<T>{};
    if (!has_label) y += own * load(row.targets + c);
    store<T>(row.deltas + c, load(row.deltas + c) * factor - y * row.scale);
  }
  if (has_label) row.deltas[row.label] -= own * row.scale;
  const T product = has_label ? row.scores[row.label] - top : horizontal_sum<T>(products);
  T value = mass * log_sum - own * product;
  if (even != 0) value -= even * horizontal_sum<T>(spreads);
  return static_cast<double>(value);
}

// As many examples as a vector has lanes, transposed: vector c has column c of each. It is for
// outputs with at most kLanes columns, whose rows would leave most of a vector empty.
template <class T>
struct LossBlock {
  Vector<T> scores[kLanes<T>];   // replaced by the deltas
  Vector<T> targets[kLanes<T>];  // unset if there are labels
  IntegerVector<T> labels;
  bool has_labels;
  Index columns;
  Vector<T> scale;
  T parameter;
  Vector<T> values;  // the losses, unweighted
};

template <class Elementwise, class T>
void evaluate_elementwise_block(LossBlock<T>& block) {
  block.values = Vector<T>{};
  for (Index c = 0; c < block.columns; ++c) {
    Vector<T> value, slope;
    Elementwise::template evaluate<T>(block.scores[c], block.targets[c], block.parameter, value,
                                      slope);
    block.values += value;
    block.scores[c] = slope * block.scale;
  }
}

template <class T>
void evaluate_softmax_block(LossBlock<T>& block) {
  Vector<T> top = block.scores[0];
  for (Index c = 1; c < block.columns; ++c) top = maximum<T>(top, block.scores[c]);
  Vector<T> sum{}, mass{}, product{}, spread{};
  for (Index c = 0; c < block.columns; ++c) {
    const Vector<T> shifted = block.scores[c] - top;
    const Vector<T> y =
        block.has_labels
            ? (block.labels == static_cast<decltype(block.labels[0] + 0)>(c) ? broadcast<T>(T(1))
                                                                             : Vector<T>{})
            : block.targets[c];
    const Vector<T> e = exponential<T>(shifted);
    sum += e;
    spread += shifted;
    mass += y;
    product += y != 0 ? y * shifted : Vector<T>{};
    block.targets[c] = y;
    block.scores[c] = e;
  }
  const Vector<T> even = block.parameter * mass / static_cast<T>(block.columns);
  const T own = T(1) - block.parameter;
  block.values = mass * logarithm<T>(sum) - own * product;
  if (block.parameter != 0) block.values -= even * spread;
  const Vector<T> factor = block.scale * mass / sum;
  for (Index c = 0; c < block.columns; ++c)
    block.scores[c] = block.scores[c] * factor - (own * block.targets[c] + even) * block.scale;
}

template <class T>
using RowLoss = double (*)(const LossRow<T>&);
template <class T>
using BlockLoss = void (*)(LossBlock<T>&);

template <class T>
struct LossFunction {
  RowLoss<T> row = nullptr;  // returns the unweighted value, writes the scaled deltas
  BlockLoss<T> block = nullptr;
  bool takes_labels = false;
};

template <class T, class Elementwise>
inline constexpr LossFunction<T> kElementwise{evaluate_elementwise<Elementwise, T>,
                                              evaluate_elementwise_block<Elementwise, T>, false};

template <class T>
struct NamedLoss {
  std::string_view name;
  LossFunction<T> function;
};

template <class T>
inline constexpr std::array<NamedLoss<T>, 8> kLosses{{
    {"softmax_cross_entropy", {evaluate_softmax<T>, evaluate_softmax_block<T>, true}},
    {"logistic_cross_entropy", kElementwise<T, LogisticCrossEntropy>},
    {"half_squared_error", kElementwise<T, HalfSquaredError>},
    {"squared_error", kElementwise<T, SquaredError>},
    {"absolute_error", kElementwise<T, AbsoluteError>},
    {"huber", kElementwise<T, Huber>},
    {"quantile", kElementwise<T, Quantile>},
    {"poisson", kElementwise<T, Poisson>},
}};

}  // namespace pellucid::inline PELLUCID_ISA
