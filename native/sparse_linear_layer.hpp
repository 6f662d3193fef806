// z = x W + b for sparse rows x and the activation that follows it. The work is proportional to the
// number of x's entries.
#pragma once

#include <array>

#include "fused_activation.hpp"
#include "linear_layer.hpp"
#include "sparse_rows.hpp"
#include "statistics.hpp"

namespace pellucid::inline PELLUCID_ISA {

// out = start + sum over the entries of value * W[column], on NV vectors. Each element is summed in
// the order of the entries, which gives product_tile's result if they are sorted.
template <class T, int NV, class RowOfWeights>
void sparse_product(const EntryRange<SparseEntry<T>>& entries, RowOfWeights row_of_weights,
                    const T* start, T* out) {
  Vector<T> sum[NV];
  for (int j = 0; j < NV; ++j) sum[j] = load(start + j * kLanes<T>);
  for (const SparseEntry<T>& entry : entries) {
    const T* weights = row_of_weights(entry.column);
    for (int j = 0; j < NV; ++j) sum[j] += entry.value * load(weights + j * kLanes<T>);
  }
  for (int j = 0; j < NV; ++j) store<T>(out + j * kLanes<T>, sum[j]);
}

// gradient[column] += value * delta[row] for the entries of a block of columns.
template <class T, int NV>
void sparse_gradient(const EntryRange<BlockEntry<T>>& entries, const T* deltas, T* gradient) {
  constexpr Index width = NV * kLanes<T>;
  for (const BlockEntry<T>& entry : entries) {
    const T* delta = deltas + entry.row * width;
    T* sums = gradient + entry.column * width;
    for (int j = 0; j < NV; ++j)
      store<T>(sums + j * kLanes<T>,
               load(sums + j * kLanes<T>) + entry.value * load(delta + j * kLanes<T>));
  }
}

// Calls visit.operator()<NV>() for a panel of that many vectors.
template <class T, class Visit>
PELLUCID_INLINE void with_vectors(const Panel& panel, Visit visit) {
  switch (panel.width / kLanes<T>) {
    case 1:
      return visit.template operator()<1>();
    case 2:
      return visit.template operator()<2>();
    case 3:
      return visit.template operator()<3>();
    default:
      return visit.template operator()<4>();
  }
}

template <class T>
class SparseLinearLayer final : public Layer<T> {
 public:
  // Outside training, weights are read in the caller's memory, since most rows of W may never be
  // needed.
  SparseLinearLayer(const LinearSpec& spec, const Activation<T>& activation, SparseRows<T>& input,
                    Index fan_in, Slot<T>& output, bool for_training)
      : input_(input),
        output_(output),
        activation_(activation, output, for_training),
        for_training_(for_training),
        fan_in_(fan_in),
        fan_out_(spec.fan_out),
        weight_offset_(spec.weight_offset),
        weights_(spec.weight_offset, for_training ? fan_in : 0, spec.fan_out, true,
                 spec.weight_rate),
        bias_(spec.bias_offset, 1, spec.fan_out, false, spec.bias_rate),
        has_bias_(spec.bias_offset >= 0) {
    if (for_training) make_units();
  }

  void read_in_place(const T* flat) override {
    if (for_training_) return;
    // A row is read in whole vectors, and so beyond its end, into the next ones. The last rows are
    // copied and followed by zeros.
    plain_ = flat + weight_offset_;
    const Index beyond = output_.panels.width() - fan_out_;
    const Index n_last = std::min(fan_in_, (beyond + fan_out_ - 1) / fan_out_);
    first_copied_ = fan_in_ - n_last;
    last_rows_ = Buffer<T>(n_last * fan_out_ + beyond);
    std::copy_n(plain_ + first_copied_ * fan_out_, n_last * fan_out_, last_rows_.data());
  }

  void forward(const Pass<T>& pass) override {
    if (for_training_) {
      const T* weights = weights_.values.data();
      multiply(pass, [this, weights](const Panel& panel, Index column) {
        return weights + weights_.stored_rows * panel.first + column * panel.width;
      });
    } else {
      const T* last_rows = last_rows_.data();
      multiply(pass, [this, last_rows](const Panel& panel, Index column) {
        const Index copied = column - first_copied_;
        return panel.first +
               (copied < 0 ? plain_ + column * fan_out_ : last_rows + copied * fan_out_);
      });
    }
    for (const Panel& panel : output_.panels) {
      const Index offset = output_.at(panel, pass.first), rows = pass.last - pass.first;
      if (pass.observer != nullptr)
        pass.observer->count_z(pass.thread, output_, panel, output_.values.data() + offset, rows);
      activation_.forward(offset, rows * panel.width);
    }
  }

  void backward(const Pass<T>& pass) override {
    activation_.backward(pass);
    input_.sort(pass.thread);
  }

  std::vector<ParameterBlock<T>*> blocks() override {
    std::vector<ParameterBlock<T>*> all;
    if (for_training_) all.push_back(&weights_);
    if (has_bias_) all.push_back(&bias_);
    return all;
  }

  Index n_units() const override { return static_cast<Index>(units_.size()); }
  Index unit_work(Index unit) const override {
    const Unit& u = unit_at(unit);
    return u.rows * output_.panels[u.panel].width;
  }
  UnitRange<T> unit_range(Index unit) override {
    const Unit& u = unit_at(unit);
    if (u.block < 0) return panel_range(bias_, u.panel);
    const Panel& panel = output_.panels[u.panel];
    return {&weights_, weights_.stored_rows * panel.first + u.block * kUnitRows * panel.width,
            u.rows * panel.width};
  }

  bool unit_is_still(Index unit) const override {
    const Unit& u = unit_at(unit);
    return u.block >= 0 && input_.block_is_empty(u.block);
  }

  void unit_gradient(Index unit, Index rows, T* gradient) override {
    const Unit& u = unit_at(unit);
    const Panel& panel = output_.panels[u.panel];
    const T* deltas = output_.deltas.data() + output_.at(panel, 0);
    if (u.block < 0) return sum_rows(deltas, panel.width, rows, gradient);
    std::fill_n(gradient, u.rows * panel.width, T(0));
    with_vectors<T>(panel, [&]<int NV>() {
      for (int part = 0; part < input_.n_parts(); ++part)
        sparse_gradient<T, NV>(input_.block(u.block, part), deltas, gradient);
    });
  }

 private:
  struct Unit {
    Index panel;  // of the outputs
    Index block;  // of kUnitRows rows of the weights; -1 for the panel's bias
    Index rows;
  };

  const Unit& unit_at(Index unit) const { return units_[static_cast<std::size_t>(unit)]; }

  void make_units() {
    const Index n_panels = output_.panels.count();
    for (Index p = 0; p < n_panels; ++p)
      for (Index row = 0; row < fan_in_; row += kUnitRows)
        units_.push_back({p, row / kUnitRows, std::min(kUnitRows, fan_in_ - row)});
    if (!has_bias_) return;
    for (Index p = 0; p < n_panels; ++p) units_.push_back({p, -1, 1});
  }

  template <class RowOfWeights>
  PELLUCID_INLINE void multiply(const Pass<T>& pass, RowOfWeights row_of_weights) {
    for (Index row = pass.first; row < pass.last; ++row) {
      const EntryRange<SparseEntry<T>> entries = input_.row(row, pass.thread);
      for (const Panel& panel : output_.panels)
        with_vectors<T>(panel, [&]<int NV>() {
          sparse_product<T, NV>(
              entries, [&](Index column) { return row_of_weights(panel, column); },
              bias_.values.data() + panel.first, output_.values.data() + output_.at(panel, row));
        });
    }
  }

  SparseRows<T>& input_;
  Slot<T>& output_;
  FusedActivation<T> activation_;
  bool for_training_;
  Index fan_in_, fan_out_, weight_offset_;
  ParameterBlock<T> weights_;  // empty outside training
  ParameterBlock<T> bias_;     // zero if the layer has none
  bool has_bias_;
  std::vector<Unit> units_;
  // Outside training: W (fan_in, fan_out) in the caller's memory, and a copy of its last rows.
  const T* plain_ = nullptr;
  Index first_copied_ = 0;
  Buffer<T> last_rows_;
};

}  // namespace pellucid::inline PELLUCID_ISA
