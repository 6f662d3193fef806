// RMSNorm and LayerNorm: each row is scaled to the same length. The plain reference is
// src/pellucid/nn/normalization.py.
#pragma once

#include <cmath>

#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// y = (x - mean) r * gamma + beta with r = 1 / sqrt(mean of (x - mean)^2 + epsilon). Means are over
// the row. RMSNorm has no mean and no beta.
template <class T, bool kCentered>
class RowNormLayer final : public Layer<T> {
 public:
  // With an offset of -1, gamma is one, or beta zero, and not learned.
  RowNormLayer(T epsilon, Index gamma_offset, double gamma_rate, Index beta_offset,
               double beta_rate, Slot<T>& input, Slot<T>& output, bool propagate, bool accumulate)
      : input_(input),
        output_(output),
        epsilon_(epsilon),
        gamma_(gamma_offset, 1, input.panels.columns(), false, gamma_rate),
        beta_(beta_offset, 1, input.panels.columns(), false, beta_rate),
        means_(input.rows),
        factors_(input.rows),
        propagate_(propagate),
        accumulate_(accumulate) {
    std::fill_n(gamma_.values.data(), input.panels.columns(), T(1));
  }

  void forward(const Pass<T>& pass) override {
    const Index columns = input_.panels.columns();
    const T share = T(1) / static_cast<T>(columns);
    for (Index row = pass.first; row < pass.last; ++row) {
      T mean = 0;
      if constexpr (kCentered) {
        Vector<T> sum{};
        for_each_vector(input_, row, [&](Index at, Index column) {
          sum += load_columns(input_.values.data() + at, column, columns);
        });
        mean = horizontal_sum<T>(sum) * share;
      }
      Vector<T> squares{};
      for_each_vector(input_, row, [&](Index at, Index column) {
        const Vector<T> x = centered(at, column, mean);
        squares += x * x;
      });
      const T factor = T(1) / std::sqrt(horizontal_sum<T>(squares) * share + epsilon_);
      means_[row] = mean;
      factors_[row] = factor;
      for_each_vector(output_, row, [&](Index at, Index column) {
        Vector<T> y = centered(at, column, mean) * factor * load(gamma_.values.data() + column);
        if constexpr (kCentered) y += load(beta_.values.data() + column);
        store<T>(output_.values.data() + at, y);
      });
    }
  }

  // With n = (x - mean) r and g = dy * gamma: dx = r (g - mean(g) - n mean(g n)).
  void backward(const Pass<T>& pass) override {
    if (!propagate_) return;
    const T share = T(1) / static_cast<T>(input_.panels.columns());
    for (Index row = pass.first; row < pass.last; ++row) {
      const T mean = means_[row], factor = factors_[row];
      Vector<T> sum{}, product{};
      for_each_vector(input_, row, [&](Index at, Index column) {
        const Vector<T> g = scaled_delta(at, column);
        if constexpr (kCentered) sum += g;
        product += g * centered(at, column, mean);
      });
      const T along = horizontal_sum<T>(product) * share * factor * factor;
      const T level = kCentered ? horizontal_sum<T>(sum) * share : T(0);
      for_each_vector(input_, row, [&](Index at, Index column) {
        Vector<T> dx =
            (scaled_delta(at, column) - level - centered(at, column, mean) * along) * factor;
        dx = load_columns(reinterpret_cast<const T*>(&dx), column, input_.panels.columns());
        T* passed = input_.deltas.data() + at;
        store<T>(passed, accumulate_ ? load(passed) + dx : dx);
      });
    }
  }

  std::vector<ParameterBlock<T>*> blocks() override {
    std::vector<ParameterBlock<T>*> learned;
    if (gamma_.flat_offset >= 0) learned.push_back(&gamma_);
    if (beta_.flat_offset >= 0) learned.push_back(&beta_);
    return learned;
  }
  Index n_units() const override { return 2 * output_.panels.count(); }
  Index unit_work(Index unit) const override { return 3 * panel_of(unit).width; }

  UnitRange<T> unit_range(Index unit) override {
    const Index count = output_.panels.count();
    ParameterBlock<T>& block = unit < count ? gamma_ : beta_;
    return block.flat_offset < 0 ? UnitRange<T>{} : panel_range(block, unit % count);
  }

  // dgamma = sum of dy n over the rows; dbeta = sum of dy.
  void unit_gradient(Index unit, Index rows, T* gradient) override {
    const Panel& panel = panel_of(unit);
    const bool is_gamma = unit < output_.panels.count();
    const Index start = output_.at(panel, 0);
    for (Index c = 0; c < panel.width; c += kLanes<T>) {
      Vector<T> total{};
      for (Index row = 0; row < rows; ++row) {
        const Index at = start + row * panel.width + c;
        const Vector<T> dy = load(output_.deltas.data() + at);
        total += is_gamma ? dy * (centered(at, panel.first + c, means_[row]) * factors_[row]) : dy;
      }
      store<T>(gradient + c, total);
    }
  }

 private:
  const Panel& panel_of(Index unit) const { return output_.panels[unit % output_.panels.count()]; }
  PELLUCID_INLINE Vector<T> centered(Index at, Index column, T mean) const {
    Vector<T> x = load(input_.values.data() + at);
    if constexpr (kCentered) x -= mean;
    return load_columns(reinterpret_cast<const T*>(&x), column, input_.panels.columns());
  }
  PELLUCID_INLINE Vector<T> scaled_delta(Index at, Index column) const {
    return load(output_.deltas.data() + at) * load(gamma_.values.data() + column);
  }

  Slot<T>& input_;
  Slot<T>& output_;
  T epsilon_;
  ParameterBlock<T> gamma_, beta_;
  Buffer<T> means_, factors_;
  bool propagate_, accumulate_;
};

}  // namespace pellucid::inline PELLUCID_ISA
