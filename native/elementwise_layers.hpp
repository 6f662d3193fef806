// Layers that process each number or each column independently: an activation that follows no
// linear layer, a learned blend of one, a factor per input, and the sum of a residual connection.
#pragma once

#include "activations.hpp"
#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Calls visit(start, length) for the pass's rows of each panel.
template <class T, class Visit>
PELLUCID_INLINE void for_each_range(const Slot<T>& slot, const Pass<T>& pass, Visit visit) {
  for (const Panel& panel : slot.panels)
    visit(slot.at(panel, pass.first), (pass.last - pass.first) * panel.width);
}

template <class T>
class ActivationLayer final : public Layer<T> {
 public:
  ActivationLayer(const Activation<T>& activation, Slot<T>& input, Slot<T>& output, bool propagate,
                  bool accumulate)
      : input_(input),
        output_(output),
        activation_(activation),
        propagate_(propagate),
        accumulate_(accumulate) {}

  void forward(const Pass<T>& pass) override {
    for_each_range(output_, pass, [&](Index offset, Index count) {
      T* values = output_.values.data() + offset;
      std::copy_n(input_.values.data() + offset, count, values);
      activation_.forward(values, count, activation_.parameter, activation_.blend);
    });
  }

  void backward(const Pass<T>& pass) override {
    if (!propagate_) return;
    for_each_range(output_, pass, [&](Index offset, Index count) {
      T* deltas = output_.deltas.data() + offset;
      activation_.backward(deltas, input_.values.data() + offset, output_.values.data() + offset,
                           count, activation_.parameter, activation_.blend);
      T* passed = input_.deltas.data() + offset;
      for (Index i = 0; i < count; i += kLanes<T>)
        pass_back<T>(passed + i, load(deltas + i), accumulate_);
    });
  }

  UnitRange<T> unit_range(Index) override { return {}; }

 private:
  Slot<T>& input_;
  Slot<T>& output_;
  Activation<T> activation_;
  bool propagate_;
  bool accumulate_;
};

// y = x + the values of an earlier slot.
template <class T>
class AddLayer final : public Layer<T> {
 public:
  AddLayer(Slot<T>& input, Slot<T>& skipped, Slot<T>& output, bool propagate, bool accumulate,
           bool propagate_skipped, bool accumulate_skipped)
      : input_(input),
        skipped_(skipped),
        output_(output),
        propagate_(propagate),
        accumulate_(accumulate),
        propagate_skipped_(propagate_skipped),
        accumulate_skipped_(accumulate_skipped) {}

  void forward(const Pass<T>& pass) override {
    for_each_range(output_, pass, [&](Index offset, Index count) {
      for (Index i = offset; i < offset + count; i += kLanes<T>)
        store<T>(output_.values.data() + i,
                 load(input_.values.data() + i) + load(skipped_.values.data() + i));
    });
  }

  void backward(const Pass<T>& pass) override {
    for_each_range(output_, pass, [&](Index offset, Index count) {
      for (Index i = offset; i < offset + count; i += kLanes<T>) {
        const Vector<T> delta = load(output_.deltas.data() + i);
        if (propagate_) pass_back<T>(input_.deltas.data() + i, delta, accumulate_);
        if (propagate_skipped_)
          pass_back<T>(skipped_.deltas.data() + i, delta, accumulate_skipped_);
      }
    });
  }

  UnitRange<T> unit_range(Index) override { return {}; }

 private:
  Slot<T>& input_;
  Slot<T>& skipped_;
  Slot<T>& output_;
  bool propagate_, accumulate_, propagate_skipped_, accumulate_skipped_;
};

// y = x * s, with one factor s per column.
template <class T>
class ScaleLayer final : public Layer<T> {
 public:
  ScaleLayer(Index offset, double rate, Slot<T>& input, Slot<T>& output, bool propagate,
             bool accumulate)
      : input_(input),
        output_(output),
        scales_(offset, 1, input.panels.columns(), false, rate),
        propagate_(propagate),
        accumulate_(accumulate) {}

  void forward(const Pass<T>& pass) override {
    for (Index row = pass.first; row < pass.last; ++row)
      for_each_vector(output_, row, [&](Index at, Index column) {
        store<T>(output_.values.data() + at,
                 load_columns(input_.values.data() + at, column, input_.panels.columns()) *
                     load(scales_.values.data() + column));
      });
  }

  void backward(const Pass<T>& pass) override {
    if (!propagate_) return;
    for (Index row = pass.first; row < pass.last; ++row)
      for_each_vector(output_, row, [&](Index at, Index column) {
        pass_back<T>(input_.deltas.data() + at,
                     load(output_.deltas.data() + at) * load(scales_.values.data() + column),
                     accumulate_);
      });
  }

  std::vector<ParameterBlock<T>*> blocks() override { return {&scales_}; }
  Index n_units() const override { return output_.panels.count(); }
  Index unit_work(Index unit) const override { return 2 * output_.panels[unit].width; }
  UnitRange<T> unit_range(Index unit) override { return panel_range(scales_, unit); }

  void unit_gradient(Index unit, Index rows, T* gradient) override {
    const Panel& panel = output_.panels[unit];
    const Index start = output_.at(panel, 0);
    for (Index c = 0; c < panel.width; c += kLanes<T>) {
      Vector<T> sum{};
      for (Index row = 0; row < rows; ++row) {
        const Index at = start + row * panel.width + c;
        sum += load_columns(input_.values.data() + at, panel.first + c, input_.panels.columns()) *
               load(output_.deltas.data() + at);
      }
      store<T>(gradient + c, sum);
    }
  }

 private:
  Slot<T>& input_;
  Slot<T>& output_;
  ParameterBlock<T> scales_;
  bool propagate_, accumulate_;
};

// y = x + alpha (phi(x) - x), with one learned alpha per column.
template <class T>
class ParametricActivationLayer final : public Layer<T> {
 public:
  // `activation` is phi itself, without blending.
  ParametricActivationLayer(const Activation<T>& activation, Index offset, double rate,
                            Slot<T>& input, Slot<T>& output, bool for_training, bool propagate,
                            bool accumulate)
      : input_(input),
        output_(output),
        activation_(activation),
        alphas_(offset, 1, input.panels.columns(), false, rate),
        curved_(output.values.size()),
        slopes_(for_training ? output.values.size() : 0),
        propagate_(propagate),
        accumulate_(accumulate) {}

  void forward(const Pass<T>& pass) override {
    for_each_range(output_, pass, [&](Index offset, Index count) {
      T* curved = curved_.data() + offset;
      std::copy_n(input_.values.data() + offset, count, curved);
      if (!activation_.is_identity())
        activation_.forward(curved, count, activation_.parameter, T(1));
    });
    for (Index row = pass.first; row < pass.last; ++row)
      for_each_vector(output_, row, [&](Index at, Index column) {
        const Vector<T> x = load(input_.values.data() + at);
        const Vector<T> alpha = load(alphas_.values.data() + column);
        store<T>(output_.values.data() + at, x + alpha * (load(curved_.data() + at) - x));
      });
  }

  void backward(const Pass<T>& pass) override {
    if (!propagate_) return;
    for_each_range(output_, pass, [&](Index offset, Index count) {
      T* slopes = slopes_.data() + offset;
      std::fill_n(slopes, count, T(1));
      if (!activation_.is_identity())
        activation_.backward(slopes, input_.values.data() + offset, curved_.data() + offset, count,
                             activation_.parameter, T(1));
    });
    for (Index row = pass.first; row < pass.last; ++row)
      for_each_vector(output_, row, [&](Index at, Index column) {
        const Vector<T> alpha = load(alphas_.values.data() + column);
        const Vector<T> slope = T(1) + alpha * (load(slopes_.data() + at) - T(1));
        pass_back<T>(input_.deltas.data() + at, load(output_.deltas.data() + at) * slope,
                     accumulate_);
      });
  }

  std::vector<ParameterBlock<T>*> blocks() override { return {&alphas_}; }
  Index n_units() const override { return output_.panels.count(); }
  Index unit_work(Index unit) const override { return 3 * output_.panels[unit].width; }
  UnitRange<T> unit_range(Index unit) override { return panel_range(alphas_, unit); }

  void unit_gradient(Index unit, Index rows, T* gradient) override {
    const Panel& panel = output_.panels[unit];
    const Index start = output_.at(panel, 0);
    for (Index c = 0; c < panel.width; c += kLanes<T>) {
      Vector<T> sum{};
      for (Index row = 0; row < rows; ++row) {
        const Index at = start + row * panel.width + c;
        sum += (load(curved_.data() + at) - load(input_.values.data() + at)) *
               load(output_.deltas.data() + at);
      }
      store<T>(gradient + c, sum);
    }
  }

 private:
  Slot<T>& input_;
  Slot<T>& output_;
  Activation<T> activation_;
  ParameterBlock<T> alphas_;
  Buffer<T> curved_;  // phi(x)
  Buffer<T> slopes_;  // phi'(x)
  bool propagate_, accumulate_;
};

}  // namespace pellucid::inline PELLUCID_ISA
