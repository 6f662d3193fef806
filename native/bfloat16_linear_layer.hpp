// z = a (s W) + b with the operands of the three products rounded to bfloat16. An instruction then
// sums twice as many terms, in float32. Everything else stays in float32: the weights that the
// optimizer updates, biases, activations and the values between layers. The plain reference is
// `Linear` in src/pellucid/nn/linear.py, in a context whose products are bfloat16.
#pragma once

#include "linear_layer.hpp"

#if PELLUCID_HAS_BFLOAT16

namespace pellucid::inline PELLUCID_ISA {

// Takes the numbers of two rows, one row after the other, and pairs those of the same column.
PELLUCID_INLINE Vector<BFloat16Pair> pair_rows(Vector<BFloat16Pair> rows) {
  constexpr int lanes = kLanes<float>;
  typedef std::int16_t Numbers __attribute__((vector_size(PELLUCID_VECTOR_BYTES)));
  const auto numbers = reinterpret_cast<Numbers>(rows);
  return [&]<int... i>(std::integer_sequence<int, i...>) PELLUCID_INLINE_LAMBDA {
    return reinterpret_cast<Vector<BFloat16Pair>>(
        __builtin_shufflevector(numbers, numbers, (i / 2 + i % 2 * lanes)...));
  }(std::make_integer_sequence<int, 2 * lanes>{});
}

// A slot's matrix, rounded, in the two layouts that products read. Where the sum goes over columns,
// neighbouring columns of a row are paired; where it goes over rows, neighbouring rows are. Both
// layouts are in panels. A number without a neighbour is paired with zero.
class RoundedMatrix {
 public:
  RoundedMatrix(const Slot<float>& slot, bool by_columns)
      : panels_(slot.panels),
        stored_rows_(slot.rows),
        row_pairs_(round_up(slot.rows, 2) / 2 * panels_.width()),
        column_pairs_(by_columns ? slot.rows * panels_.width() / 2 : 0) {}

  // Rounds rows `first` to `last`; `first` is even.
  void round(const float* source, Index first, Index last) {
    for (const Panel& panel : panels_) {
      const float* row_start = source + stored_rows_ * panel.first;
      for (Index row = first; row < last; row += 2) {
        for (Index c = 0; c < panel.width; c += kLanes<float>) {
          const float* upper = row_start + row * panel.width + c;
          const Index column = panel.first + c;
          const Vector<float> second =
              row + 1 < last ? load_columns(upper + panel.width, column, panels_.columns())
                             : Vector<float>{};
          const Vector<BFloat16Pair> rounded =
              round_neighbours(load_columns(upper, column, panels_.columns()), second);
          store(row_pairs_.data() + row_pairs_at(panel, row) + c, pair_rows(rounded));
          if (column_pairs_.size() == 0) continue;
          BFloat16Pair* pairs =
              column_pairs_.data() + (stored_rows_ * panel.first + row * panel.width + c) / 2;
          store_half<0>(pairs, rounded);
          if (row + 1 < last) store_half<kHalf>(pairs + panel.width / 2, rounded);
        }
      }
    }
  }

  const BFloat16Pair* column_pairs() const { return column_pairs_.data(); }
  // The row pairs of a panel, starting with the first rows.
  const BFloat16Pair* row_pairs(const Panel& panel) const {
    return row_pairs_.data() + row_pairs_at(panel, 0);
  }

 private:
  static constexpr Index kHalf = kLanes<float> / 2;

  Index row_pairs_at(const Panel& panel, Index row) const {
    return round_up(stored_rows_, 2) / 2 * panel.first + row / 2 * panel.width;
  }
  // Stores one row's pairs: those of the lower or of the upper half of the lanes.
  template <Index kFirst>
  static void store_half(BFloat16Pair* destination, Vector<BFloat16Pair> pairs) {
    typedef std::int32_t Half
        __attribute__((vector_size(PELLUCID_VECTOR_BYTES / 2), aligned(4), may_alias));
    [&]<int... i>(std::integer_sequence<int, i...>) PELLUCID_INLINE_LAMBDA {
      *reinterpret_cast<Half*>(destination) =
          __builtin_shufflevector(pairs, pairs, (kFirst + i)...);
    }(std::make_integer_sequence<int, kHalf>{});
  }

  const Panels<float>& panels_;
  Index stored_rows_;
  Buffer<BFloat16Pair> row_pairs_;
  Buffer<BFloat16Pair> column_pairs_;
};

class BFloat16LinearLayer final : public LinearLayer<float> {
 public:
  BFloat16LinearLayer(const LinearSpec& spec, const Activation<float>& activation,
                      Slot<float>& input, Slot<float>& output, bool propagate, bool accumulate)
      : LinearLayer(spec, activation, input, output, Use::kTraining, propagate, accumulate, false),
        rounded_input_(input, true),
        rounded_deltas_(output, propagate),
        rounded_weights_(weights_.size() / 2),
        rounded_transpose_(propagate ? output.panels.width() / 2 * input.panels.width() : 0) {}

  void forward(const Pass<float>& pass) override {
    rounded_input_.round(input_.values.data(), pass.first, pass.last);
    multiply(
        {rounded_input_.column_pairs(), output_.rows, input_.panels}, output_.rows, pass.first,
        pass.last, {rounded_weights_.data(), weights_.stored_rows / 2}, output_.panels,
        {0, output_.panels.count()}, bias_.values.data(), output_.values.data(), segments(),
        [&](const Panel& panel, float* block, Index count) { finish(pass, panel, block, count); });
  }

  void backward(const Pass<float>& pass) override {
    activation_.backward(pass);
    rounded_deltas_.round(output_.deltas.data(), pass.first, pass.last);
    if (!propagate_) return;
    multiply({rounded_deltas_.column_pairs(), input_.rows, output_.panels}, input_.rows, pass.first,
             pass.last, {rounded_transpose_.data(), output_.panels.width() / 2}, input_.panels,
             {0, input_.panels.count()}, accumulate_ ? nullptr : zeros_.data(),
             input_.deltas.data(), segments(), [](const Panel&, float*, Index) {});
  }

  bool reads_table() const override { return false; }
  bool shares_columns() const override { return false; }

  void refresh() override {
    for (Index unit = 0; unit < n_units(); ++unit) unit_updated(unit);
  }

  void unit_gradient(Index index, Index rows, float* gradient) override {
    const Unit& u = unit(index);
    const Panel& panel = output_.panels[u.panel];
    const float* all_deltas = output_.deltas.data() + output_.at(panel, 0);
    if (u.first_row < 0) return sum_rows(all_deltas, panel.width, rows, gradient);
    const Panel& across = input_.panels[u.input_panel];
    const Segment<BFloat16Pair> segment{
        rounded_input_.row_pairs(across) + (u.first_row - across.first), 1, across.width,
        (rows + 1) / 2};
    const BFloat16Pair* deltas = rounded_deltas_.row_pairs(panel);
    for_each_tile<BFloat16Pair>(u.rows, panel.width,
                                [&](Index row, Index, TileKernel<BFloat16Pair> kernel) {
                                  kernel(&segment, 1, row, deltas, panel.width, zeros_.data(), 0,
                                         gradient + row * panel.width);
                                });
    scale_gradient(gradient, u.rows * panel.width);
  }

  void unit_updated(Index index) override {
    const Unit& u = unit(index);
    if (u.first_row < 0) return;
    const Panel& panel = output_.panels[u.panel];
    const Index start = weights_.stored_rows * panel.first + u.first_row * panel.width;
    round_weights(weights_.values.data() + start, u.rows, panel.width,
                  rounded_weights_.data() + start / 2);
    if (!propagate_) return;
    const Panel& across = input_.panels[u.input_panel];
    for (Index row = 0; row < u.rows; row += kLanes<float>)
      round_transpose(weights_.values.data() + start + row * panel.width, panel.width,
                      rounded_transpose_.data() + output_.panels.width() / 2 * across.first +
                          panel.first / 2 * across.width + (u.first_row + row - across.first),
                      across.width);
  }

 private:
  // Working memory of multiply(), empty between its calls.
  static std::vector<Segment<BFloat16Pair>>& segments() {
    static thread_local std::vector<Segment<BFloat16Pair>> segments;
    return segments;
  }

  // Rounds a unit's rows of s W and pairs them.
  void round_weights(const float* source, Index rows, Index width, BFloat16Pair* destination) {
    for (Index row = 0; row < rows; row += 2, source += 2 * width, destination += width)
      for (Index c = 0; c < width; c += kLanes<float>)
        store(destination + c, pair_rows(round_neighbours(load(source + c) * scale_,
                                                          load(source + width + c) * scale_)));
  }

  // Rounds kLanes rows of s W, pairs their columns and writes the pairs as rows.
  void round_transpose(const float* source, Index width, BFloat16Pair* destination,
                       Index destination_stride) {
    constexpr Index lanes = kLanes<float>;
    BFloat16Pair square[lanes * lanes];
    for (Index c = 0; c < width; c += 2 * lanes) {
      const bool whole = c + lanes < width;
      for (Index row = 0; row < lanes; ++row) {
        const float* columns = source + row * width + c;
        store(square + row * lanes,
              round_neighbours(load(columns) * scale_,
                               whole ? load(columns + lanes) * scale_ : Vector<float>{}));
      }
      BFloat16Pair* rows = destination + c / 2 * destination_stride;
      if (whole) {
        transpose_square(square, lanes, rows, destination_stride);
        continue;
      }
      transpose_square(square, lanes, square, lanes);
      for (Index row = 0; row < lanes / 2; ++row)
        std::copy_n(square + row * lanes, lanes, rows + row * destination_stride);
    }
  }

  RoundedMatrix rounded_input_;
  RoundedMatrix rounded_deltas_;
  Buffer<BFloat16Pair> rounded_weights_;    // rows in pairs, in panels
  Buffer<BFloat16Pair> rounded_transpose_;  // the same for the transpose; empty if it is not needed
};

}  // namespace pellucid::inline PELLUCID_ISA

#endif
