// z = s a W + b and the activation that follows it. s is 1 unless the parametrization scales
// weights by their fan-in. The plain reference is src/pellucid/nn/linear.py.
#pragma once

#include <optional>

#include "fused_activation.hpp"
#include "narrow_product.hpp"
#include "statistics.hpp"

namespace pellucid::inline PELLUCID_ISA {

struct LinearSpec {
  Index fan_out = 0;
  Index weight_offset = 0;  // of W, row-major (fan_in, fan_out), in the flat buffer
  Index bias_offset = -1;   // of b (fan_out); -1 if there is none
  double weight_rate = 1;   // factors on the learning rate
  double bias_rate = 1;
  double weight_scale = 1;  // s
};

// db = sum of dz over the rows of a panel, computed as a product with a row of ones.
template <class T>
void sum_rows(const T* deltas, Index width, Index rows, T* sums) {
  constexpr T zeros[kMaxTileVectors * kLanes<T>] = {};
  const T one = 1;
  const Segment<T> ones{&one, 0, 0, rows};
  tile_kernel<T>(static_cast<int>(width / kLanes<T>), 1)(&ones, 1, 0, deltas, width, zeros, 0,
                                                         sums);
}

template <class T>
class LinearLayer : public Layer<T> {
 public:
  // `propagate`: whether an earlier layer has parameters. `accumulate`: whether the input's deltas
  // already hold what a later layer passed back. `own_products`: whether this class computes the
  // products, not a derived one.
  LinearLayer(const LinearSpec& spec, const Activation<T>& activation, Slot<T>& input,
              Slot<T>& output, Use use, bool propagate, bool accumulate, bool own_products = true)
      : input_(input),
        output_(output),
        activation_(activation, output, use == Use::kTraining),
        accumulate_(accumulate),
        weights_(spec.weight_offset, input.panels.columns(), spec.fan_out, true, spec.weight_rate,
                 use == Use::kFewRows),
        bias_(spec.bias_offset, 1, spec.fan_out, false, spec.bias_rate),
        has_bias_(spec.bias_offset >= 0),
        scale_(T(spec.weight_scale)),
        zeros_(std::max(input.panels.width(), output.panels.width())) {
    narrow_ = own_products && 2 * spec.fan_out <= kLanes<T>;
    if (own_products && (propagate || narrow_))
      transpose_ = Buffer<T>(output.panels.width() * input.panels.width());
    if (use != Use::kTraining) return;
    propagate_ = propagate;
    make_units();
  }

  void forward(const Pass<T>& pass) override {
    T* values = output_.values.data();
    if (narrow_) {
      if (pass.by_columns && pass.thread > 0) return;
      const Panel& panel = output_.panels[0];
      T* block = values + output_.at(panel, pass.first);
      narrow_product(input_, transpose_.data(), output_.panels.columns(), bias_.values.data(),
                     pass.first, pass.last, values);
      return finish(pass, panel, block, (pass.last - pass.first) * panel.width);
    }
    const Index n_panels = output_.panels.count();
    const PanelRange range =
        pass.by_columns ? share(n_panels, pass.thread, pass.n_threads) : PanelRange{0, n_panels};
    multiply({input_.values.data(), output_.rows, input_.panels,
              input_.elsewhere ? pass.table : nullptr, pass.table_stride},
             output_.rows, pass.first, pass.last, weights_.right_operand(), output_.panels, range,
             scale_ == 1 ? bias_.values.data() : zeros_.data(), values, *pass.segments,
             [&](const Panel& panel, T* block, Index count) {
               if (scale_ != 1) scale_product(panel, block, count);
               finish(pass, panel, block, count);
             });
  }

  void backward(const Pass<T>& pass) override {
    activation_.backward(pass);
    if (!propagate_) return;
    multiply({output_.deltas.data(), input_.rows, output_.panels}, input_.rows, pass.first,
             pass.last, {transpose_.data(), output_.panels.width()}, input_.panels,
             {0, input_.panels.count()}, accumulate_ ? nullptr : zeros_.data(),
             input_.deltas.data(), *pass.segments, [](const Panel&, T*, Index) {});
  }

  bool reads_table() const override { return !narrow_; }
  bool shares_columns() const override { return true; }

  std::vector<ParameterBlock<T>*> blocks() override {
    if (has_bias_) return {&weights_, &bias_};
    return {&weights_};
  }

  void refresh() override {
    if (transpose_.size() == 0) return;
    if (weights_.in_place) return transpose_in_place();
    for (const Panel& panel : output_.panels)
      for (Index row = 0; row < weights_.stored_rows; row += kLanes<T>) transpose(panel, row);
  }

  Index n_units() const override { return static_cast<Index>(units_.size()); }

  Index unit_work(Index index) const override {
    const Unit& u = unit(index);
    return u.rows * output_.panels[u.panel].width;
  }

  UnitRange<T> unit_range(Index index) override {
    const Unit& u = unit(index);
    if (u.first_row < 0) return panel_range(bias_, u.panel);
    const Panel& panel = output_.panels[u.panel];
    return {&weights_, weights_.stored_rows * panel.first + u.first_row * panel.width,
            u.rows * panel.width};
  }

  void unit_gradient(Index index, Index rows, T* gradient) override {
    const Unit& u = unit(index);
    const Panel& panel = output_.panels[u.panel];
    if (u.first_row < 0)
      return sum_rows(output_.deltas.data() + output_.at(panel, 0), panel.width, rows, gradient);
    if (narrow_) {
      narrow_gradient(u, rows, gradient);
    } else {
      const T* deltas = output_.deltas.data() + output_.at(panel, 0);
      const Panel& across = input_.panels[u.input_panel];
      const Segment<T> segment{
          input_.values.data() + input_.at(across, 0) + (u.first_row - across.first), 1,
          across.width, rows};
      for_each_tile<T>(u.rows, panel.width, [&](Index row, Index, TileKernel<T> kernel) {
        kernel(&segment, 1, row, deltas, panel.width, zeros_.data(), 0,
               gradient + row * panel.width);
      });
    }
    scale_gradient(gradient, u.rows * panel.width);
  }

  void unit_updated(Index index) override {
    const Unit& u = unit(index);
    if (u.first_row < 0 || transpose_.size() == 0) return;
    for (Index row = 0; row < u.rows; row += kLanes<T>)
      transpose(output_.panels[u.panel], u.first_row + row);
  }

 protected:
  struct Unit {
    Index panel;      // of the outputs
    Index first_row;  // of the weights; -1 for the panel's bias
    Index rows;
    Index input_panel;  // the input panel of first_row
  };

  const Unit& unit(Index index) const { return units_[static_cast<std::size_t>(index)]; }

  // What follows once rows of a panel hold z.
  void finish(const Pass<T>& pass, const Panel& panel, T* block, Index count) {
    if (pass.observer != nullptr)
      pass.observer->count_z(pass.thread, output_, panel, block, count / panel.width);
    activation_.forward(block - output_.values.data(), count);
  }

  // Turns the gradient of s W into that of W.
  void scale_gradient(T* gradient, Index count) const {
    if (scale_ == 1) return;
    for (Index i = 0; i < count; i += kLanes<T>)
      store<T>(gradient + i, load(gradient + i) * scale_);
  }

  Slot<T>& input_;
  Slot<T>& output_;
  FusedActivation<T> activation_;
  bool propagate_ = false;
  bool accumulate_;
  ParameterBlock<T> weights_;
  ParameterBlock<T> bias_;  // zero if the layer has none
  bool has_bias_;
  T scale_;
  Buffer<T> zeros_;

 private:
  void make_units() {
    for (Index p = 0; p < output_.panels.count(); ++p) {
      for (Index q = 0; q < input_.panels.count(); ++q) {
        const Panel& across = input_.panels[q];
        const Index end = std::min(across.first + across.width, input_.panels.columns());
        const Index most = narrow_ ? across.width : kUnitRows;
        for (Index row = across.first; row < end; row += most)
          units_.push_back({p, row, std::min(most, end - row), q});
      }
      if (has_bias_) units_.push_back({p, -1, 1, 0});
    }
  }

  // The gradient of a whole panel of inputs for few outputs. It is computed as its transpose, in
  // which the inputs fill the vectors.
  void narrow_gradient(const Unit& u, Index rows, T* gradient) {
    const Panel& across = input_.panels[u.input_panel];
    const Index columns = output_.panels.columns();
    alignas(64) T transposed[kLanes<T> * kMaxTileVectors * kLanes<T>];
    const Segment<T> segment{output_.deltas.data(), 1, kLanes<T>, rows};
    for_each_tile<T>(columns, across.width, [&](Index row, Index, TileKernel<T> kernel) {
      kernel(&segment, 1, row, input_.values.data() + input_.at(across, 0), across.width,
             zeros_.data(), 0, transposed + row * across.width);
    });
    std::fill(transposed + columns * across.width, transposed + kLanes<T> * across.width, T(0));
    for (Index row = 0; row < u.rows; row += kLanes<T>)
      transpose_square(transposed + row, across.width, gradient + row * kLanes<T>, kLanes<T>);
  }

  // Turns rows of a W into s a W + b.
  void scale_product(const Panel& panel, T* block, Index count) const {
    for (Index c = 0; c < panel.width; c += kLanes<T>) {
      const Vector<T> bias = load(bias_.values.data() + panel.first + c);
      for (Index i = c; i < count; i += panel.width)
        store<T>(block + i, load(block + i) * scale_ + bias);
    }
  }

  // Transposes few columns of weights that are read in the caller's memory.
  void transpose_in_place() {
    const Index columns = output_.panels.columns();
    for (const Panel& across : input_.panels) {
      const Index count = std::min(across.width, input_.panels.columns() - across.first);
      T* destination = transpose_.data() + output_.panels.width() * across.first;
      const T* source = weights_.plain + across.first * columns;
      for (Index c = 0; c < columns; ++c)
        for (Index i = 0; i < count; ++i)
          destination[c * across.width + i] = source[i * columns + c] * scale_;
    }
  }

  // Updates the transpose of kLanes rows of one panel of the weights.
  void transpose(const Panel& panel, Index row) {
    // The rows fall in one panel of the transpose, since panels start at multiples of kLanes.
    Index q = 0;
    while (row >= input_.panels[q].first + input_.panels[q].width) ++q;
    const Panel& across = input_.panels[q];
    const T* source =
        weights_.values.data() + weights_.stored_rows * panel.first + row * panel.width;
    T* destination = transpose_.data() + output_.panels.width() * across.first +
                     panel.first * across.width + (row - across.first);
    for (Index c = 0; c < panel.width; c += kLanes<T>)
      transpose_square(source + c, panel.width, destination + c * across.width, across.width);
    if (scale_ == 1) return;
    for (Index c = 0; c < panel.width; ++c) {
      T* scaled = destination + c * across.width;
      store<T>(scaled, load(scaled) * scale_);
    }
  }

  bool narrow_ = false;  // are outputs too few to fill a vector?
  Buffer<T> transpose_;  // of s W, in panels over the inputs; empty if nothing reads it
  std::vector<Unit> units_;
};

}  // namespace pellucid::inline PELLUCID_ISA
