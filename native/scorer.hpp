// The loss of a batch: gathers targets, writes the scores' deltas and keeps each row's loss.
#pragma once

#include <functional>
#include <optional>

#include "layer.hpp"
#include "losses.hpp"
#include "table.hpp"

namespace pellucid::inline PELLUCID_ISA {

// A loss that the caller computes, for a whole batch at a time.
template <class T>
struct OutsideLoss {
  T* scores;           // (rows, outputs), row-major: filled before the call
  T* gradient;         // the same shape: filled by the call
  std::int64_t* rows;  // the batch's rows in the table
  // Takes the number of rows and returns the batch's loss, or nothing to stop training.
  std::function<std::optional<double>(Index)> evaluate;
};

// What a pass reads: the rows of a table with their targets and weights.
template <class T>
struct Examples {
  TableView table;
  RowReader<T> reader;
  TableView targets;  // real targets, or
  RowReader<T> targets_reader;
  const std::int64_t* labels = nullptr;  // class labels
  const double* weights = nullptr;       // null: all ones
  const OutsideLoss<T>* loss = nullptr;  // replaces the program's loss unless null
};

// Copies rows `first` to `last` of the batch to the input. order[i] is row i's place in the table.
template <class T>
void gather_rows(const Examples<T>& examples, const std::int64_t* order, Index first, Index last,
                 Slot<T>& input) {
  // Rows come in random order, which the processor cannot predict.
  constexpr Index kRowsAhead = 8;
  const auto prefetch = [&examples](std::int64_t row) {
    if (!examples.table.sparse) {
      const std::byte* start = examples.table.data + row * examples.table.row_stride;
      for (Index line = 0; line < 4; ++line) __builtin_prefetch(start + 64 * line);
    }
    if (examples.labels != nullptr) __builtin_prefetch(examples.labels + row);
    if (examples.weights != nullptr) __builtin_prefetch(examples.weights + row);
    if (examples.targets.data != nullptr)
      __builtin_prefetch(examples.targets.data + row * examples.targets.row_stride);
  };
  for (Index row = first; row < last; ++row) {
    if (row + kRowsAhead < last) prefetch(order[row + kRowsAhead]);
    examples.reader.gather(examples.table, order[row], input.panels, input.rows, row,
                           input.values.data());
  }
}

template <class T>
class Scorer {
 public:
  Scorer(LossFunction<T> loss, T parameter, Slot<T>& scores)
      : loss_(loss),
        parameter_(parameter),
        scores_(scores),
        targets_(scores.values.size()),
        row_losses_(scores.rows) {}

  // Computes the losses and deltas of rows `first` to `last`. `scale` is 1 / the number of rows in
  // the average. Returns the sum of the rows' losses, which shows whether all are finite.
  double score(const Examples<T>& examples, const std::int64_t* order, Index first, Index last,
               double scale, std::vector<T>& scratch) {
    if (examples.labels == nullptr)
      for (Index row = first; row < last; ++row)
        examples.targets_reader.gather(examples.targets, order[row], scores_.panels, scores_.rows,
                                       row, targets_.data());
    const auto weight_of = [&](Index row) {
      return examples.weights != nullptr ? examples.weights[order[row]] : 1.0;
    };
    double total = 0;
    if (scores_.panels.width() == kLanes<T>) {
      for (Index row = first; row < last; row += kLanes<T>)
        total += score_block(examples, order, row, std::min<Index>(kLanes<T>, last - row), scale,
                             weight_of);
    } else {
      for (Index row = first; row < last; ++row) {
        const Index label = examples.labels != nullptr ? label_of(examples, order[row]) : -1;
        const double weight = weight_of(row);
        row_losses_[row] = weight * score_row(row, label, T(weight * scale), scratch);
        total += row_losses_[row];
      }
    }
    return total;
  }

  // The same for a loss that the caller computes, for the whole batch. The deltas are its gradient
  // times `scale`. Returns false if training is to stop.
  bool score_outside(const OutsideLoss<T>& loss, const std::int64_t* order, Index rows, T scale,
                     double& value) {
    std::copy_n(order, rows, loss.rows);
    unpack_rows(scores_, 0, rows, loss.scores);
    const std::optional<double> result = loss.evaluate(rows);
    if (!result) return false;
    value = *result;
    const Index columns = scores_.panels.columns();
    for (const Panel& panel : scores_.panels) {
      const Index count = std::min(panel.width, columns - panel.first);
      for (Index row = 0; row < rows; ++row)
        for (Index c = 0; c < count; ++c)
          scores_.deltas[scores_.at(panel, row) + c] =
              scale * loss.gradient[row * columns + panel.first + c];
    }
    std::fill_n(row_losses_.data(), rows, value);
    return true;
  }

  // The sum of the losses of rows 0 to `count`, in one fixed order.
  double sum_losses(Index count) const {
    constexpr Index kWays = 8;
    double sums[kWays] = {};
    Index row = 0;
    for (; row + kWays <= count; row += kWays)
      for (Index i = 0; i < kWays; ++i) sums[i] += row_losses_[row + i];
    for (Index i = 0; row + i < count; ++i) sums[i] += row_losses_[row + i];
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
  }

 private:
  Index label_of(const Examples<T>& examples, std::int64_t row) const {
    const std::int64_t label = examples.labels[row];
    if (label < 0 || label >= scores_.panels.columns()) [[unlikely]]
      fail_as_changed("y");
    return label;
  }

  // The same for rows `first` to `first + count`, at most kLanes. Lanes beyond them repeat the last
  // row, and their results are dropped.
  template <class WeightOf>
  double score_block(const Examples<T>& examples, const std::int64_t* order, Index first,
                     Index count, double scale, WeightOf weight_of) {
    constexpr Index lanes = kLanes<T>;
    alignas(64) T rows[lanes * lanes];
    LossBlock<T> block;
    block.columns = scores_.panels.columns();
    block.parameter = parameter_;
    block.has_labels = examples.labels != nullptr;
    const auto transpose_in = [&](const T* source, Vector<T>* columns) {
      for (Index i = 0; i < lanes; ++i)
        store<T>(rows + i * lanes, load(source + (first + std::min(i, count - 1)) * lanes));
      transpose_square(rows, lanes, reinterpret_cast<T*>(columns), lanes);
    };
    transpose_in(scores_.values.data(), block.scores);
    if (!block.has_labels) transpose_in(targets_.data(), block.targets);
    double weights[lanes];
    for (Index i = 0; i < lanes; ++i) {
      const Index row = first + std::min(i, count - 1);
      weights[i] = weight_of(row);
      block.scale[i] = T(weights[i] * scale);
      block.labels[i] =
          block.has_labels
              ? static_cast<decltype(block.labels[0] + 0)>(label_of(examples, order[row]))
              : 0;
    }
    loss_.block(block);
    for (Index c = block.columns; c < lanes; ++c) block.scores[c] = Vector<T>{};
    transpose_square(reinterpret_cast<const T*>(block.scores), lanes, rows, lanes);
    T* deltas = scores_.deltas.data();
    double total = 0;
    for (Index i = 0; i < count; ++i) {
      store<T>(deltas + (first + i) * lanes, load(rows + i * lanes));
      row_losses_[first + i] = weights[i] * static_cast<double>(block.values[i]);
      total += row_losses_[first + i];
    }
    return total;
  }

  // The same for one row with more columns than a vector has lanes. `label` is negative if there
  // are targets.
  double score_row(Index row, Index label, T scale, std::vector<T>& scratch) {
    const Index width = scores_.panels.width();
    scratch.resize(static_cast<std::size_t>(3 * width));
    T* scores = scratch.data();
    T* targets = scores + width;
    T* deltas = targets + width;
    const auto copy = [&](const auto& visit) {
      for (const Panel& panel : scores_.panels) visit(panel, scores_.at(panel, row));
    };
    copy([&](const Panel& panel, Index offset) {
      std::copy_n(scores_.values.data() + offset, panel.width, scores + panel.first);
      if (label < 0) std::copy_n(targets_.data() + offset, panel.width, targets + panel.first);
    });
    const double value = loss_.row({scores, label < 0 ? targets : nullptr, label, deltas,
                                    scores_.panels.columns(), scale, parameter_});
    copy([&](const Panel& panel, Index offset) {
      std::copy_n(deltas + panel.first, panel.width, scores_.deltas.data() + offset);
    });
    return value;
  }

  LossFunction<T> loss_;
  T parameter_;
  Slot<T>& scores_;
  Buffer<T> targets_;
  Buffer<double> row_losses_;
};

}  // namespace pellucid::inline PELLUCID_ISA
