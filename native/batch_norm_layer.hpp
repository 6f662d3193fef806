// BatchNorm standardizes each column: in training by its moments over the batch, otherwise by
// running moments. The plain reference is src/pellucid/nn/batch_normalization.py.
#pragma once

#include "summing_layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

struct BatchNormSpec {
  double momentum = 0.1;
  double epsilon = 1e-5;
  Place gamma, beta;
  Index mean_offset = 0;  // of the running moments
  Index variance_offset = 0;
};

// y = (x - mean) r * gamma + beta with r = 1 / sqrt(variance + epsilon).
template <class T>
class BatchNormLayer final : public SummingLayer<T> {
 public:
  BatchNormLayer(const BatchNormSpec& spec, Slot<T>& input, Slot<T>& output, bool for_training,
                 bool propagate, bool accumulate)
      : input_(input),
        output_(output),
        momentum_(T(spec.momentum)),
        epsilon_(T(spec.epsilon)),
        running_mean_(spec.mean_offset, 1, input.panels.columns(), false),
        running_variance_(spec.variance_offset, 1, input.panels.columns(), false),
        running_factors_(input.panels.width()),
        means_(input.panels.width()),
        factors_(input.panels.width()),
        propagate_(propagate),
        accumulate_(accumulate) {
    learned_.emplace_back(spec.gamma, input.panels.columns(), false, for_training);
    learned_.emplace_back(spec.beta, input.panels.columns(), false, for_training);
  }

  void forward(const Pass<T>& pass) override {
    if (pass.training) {
      pass.barrier->wait();
      for_own_columns(pass, [&](const Column& c) { measure(c, pass.rows); });
      pass.barrier->wait();
    }
    for_every_column([&](const Column& c) {
      const Vector<T> mean = mean_of(c, pass);
      const Vector<T> scale = factor_of(c, pass) * load(learned_[kGamma].values() + c.first);
      const Vector<T> shift = load(learned_[kBeta].values() + c.first);
      for (Index row = pass.first; row < pass.last; ++row) {
        const Index at = c.start + row * c.stride;
        store<T>(output_.values.data() + at,
                 (load(input_.values.data() + at) - mean) * scale + shift);
      }
    });
  }

  // With n = (x - mean) r: dgamma = sum of dy n, dbeta = sum of dy, and
  // dx = gamma r (dy - dbeta / m - n dgamma / m). Running moments do not depend on x, so both sums
  // drop out of dx.
  void backward(const Pass<T>& pass) override {
    pass.barrier->wait();
    for_own_columns(pass, [&](const Column& c) { sum_gradients(c, pass); });
    if (!propagate_) return;
    if (pass.training) pass.barrier->wait();
    const T share = pass.training ? T(1) / static_cast<T>(pass.rows) : T(0);
    for_every_column([&](const Column& c) {
      const Vector<T> mean = mean_of(c, pass), factor = factor_of(c, pass);
      const Vector<T> scale = factor * load(learned_[kGamma].values() + c.first);
      Vector<T> level{}, along{};
      if (pass.training) {
        level = load(learned_[kBeta].gradient.data() + c.first) * share;
        along = load(learned_[kGamma].gradient.data() + c.first) * share * factor;
      }
      for (Index row = pass.first; row < pass.last; ++row) {
        const Vector<T> dy = load(output_.deltas.data() + c.start + row * c.stride);
        pass_back<T>(input_.deltas.data() + c.start + row * c.stride,
                     scale * (dy - level - centered(c, row, mean) * along), accumulate_);
      }
    });
  }

  std::vector<ParameterBlock<T>*> blocks() override {
    auto all = SummingLayer<T>::blocks();
    all.insert(all.end(), {&running_mean_, &running_variance_});
    return all;
  }
  void refresh() override {
    for_every_column([&](const Column& c) {
      set_factor(running_factors_, c, load(running_variance_.values.data() + c.first));
    });
  }

 private:
  using SummingLayer<T>::learned_;
  static constexpr std::size_t kGamma = 0, kBeta = 1;

  // A vector of columns, the first of which is `first`. Row i is at start + i * stride.
  struct Column {
    Index first, start, stride;
  };

  template <class Visit>
  PELLUCID_INLINE void for_columns(Index begin, Index end, Visit visit) const {
    for (const Panel& panel : input_.panels)
      for (Index c = 0; c < panel.width; c += kLanes<T>)
        if (begin <= panel.first + c && panel.first + c < end)
          visit(Column{panel.first + c, input_.at(panel, 0) + c, panel.width});
  }
  template <class Visit>
  PELLUCID_INLINE void for_every_column(Visit visit) const {
    for_columns(0, input_.panels.width(), visit);
  }
  // The thread's share of the columns.
  template <class Visit>
  PELLUCID_INLINE void for_own_columns(const Pass<T>& pass, Visit visit) const {
    const auto [begin, end] = this->share(input_.panels.width() / kLanes<T>, pass);
    for_columns(begin * kLanes<T>, end * kLanes<T>, visit);
  }

  Vector<T> mean_of(const Column& c, const Pass<T>& pass) const {
    return load((pass.training ? means_ : running_mean_.values).data() + c.first);
  }
  Vector<T> factor_of(const Column& c, const Pass<T>& pass) const {
    return load((pass.training ? factors_ : running_factors_).data() + c.first);
  }
  void set_factor(Buffer<T>& factors, const Column& c, Vector<T> variance) {
    const Vector<T> factor = T(1) / square_root(variance + epsilon_);
    // Zero in the padding, so that no infinities come from there.
    store<T>(factors.data() + c.first,
             load_columns(reinterpret_cast<const T*>(&factor), c.first, input_.panels.columns()));
  }
  PELLUCID_INLINE Vector<T> centered(const Column& c, Index row, Vector<T> mean) const {
    const Vector<T> x = load(input_.values.data() + c.start + row * c.stride) - mean;
    return load_columns(reinterpret_cast<const T*>(&x), c.first, input_.panels.columns());
  }

  // The sum of term(row) over the rows, in an order that depends only on their number.
  template <class Term>
  PELLUCID_INLINE static Vector<T> sum_rows(Index rows, Term term) {
    constexpr Index kWays = 4;
    Vector<T> sums[kWays] = {};
    Index row = 0;
    for (; row + kWays <= rows; row += kWays)
      for (Index way = 0; way < kWays; ++way) sums[way] += term(row + way);
    for (; row < rows; ++row) sums[0] += term(row);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }

  // Computes the batch's moments and updates the running ones.
  void measure(const Column& c, Index rows) {
    const T share = T(1) / static_cast<T>(rows);
    const Vector<T> mean =
        sum_rows(rows, [&](Index row) { return centered(c, row, Vector<T>{}); }) * share;
    const Vector<T> variance = sum_rows(rows,
                                        [&](Index row) {
                                          const Vector<T> x = centered(c, row, mean);
                                          return x * x;
                                        }) *
                               share;
    store<T>(means_.data() + c.first, mean);
    set_factor(factors_, c, variance);
    if (rows == 1) return;
    const T unbiased = static_cast<T>(rows) / static_cast<T>(rows - 1);
    follow(running_mean_, c, mean);
    set_factor(running_factors_, c, follow(running_variance_, c, variance * unbiased));
  }
  Vector<T> follow(ParameterBlock<T>& running, const Column& c, Vector<T> measured) {
    T* place = running.values.data() + c.first;
    const Vector<T> next = (T(1) - momentum_) * load(place) + momentum_ * measured;
    store<T>(place, next);
    return next;
  }

  void sum_gradients(const Column& c, const Pass<T>& pass) {
    const T* deltas = output_.deltas.data() + c.start;
    const Vector<T> mean = mean_of(c, pass);
    const Vector<T> products = sum_rows(pass.rows, [&](Index row) {
      return load(deltas + row * c.stride) * centered(c, row, mean);
    });
    store<T>(learned_[kGamma].gradient.data() + c.first, products * factor_of(c, pass));
    store<T>(learned_[kBeta].gradient.data() + c.first,
             sum_rows(pass.rows, [&](Index row) { return load(deltas + row * c.stride); }));
  }

  Slot<T>& input_;
  Slot<T>& output_;
  T momentum_, epsilon_;
  ParameterBlock<T> running_mean_, running_variance_;
  Buffer<T> running_factors_;  // 1 / sqrt(variance + epsilon) of the running moments
  Buffer<T> means_, factors_;  // of the batch
  bool propagate_, accumulate_;
};

}  // namespace pellucid::inline PELLUCID_ISA
