// The interface of the layers.
//
// A network is a chain of layers over slots. A slot is a matrix of the batch's rows that one layer
// writes and later ones read. In the first phase of a step, each thread calls forward and backward
// for its own rows. In the second, parameters are updated unit by unit: one thread sums a unit's
// gradient over the whole batch and updates it.
#pragma once

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "gemm.hpp"
#include "thread_team.hpp"

namespace pellucid::inline PELLUCID_ISA {

// A matrix of the batch's rows in panels, with the derivative of the loss with respect to it.
template <class T>
struct Slot {
  Panels<T> panels;
  Index rows = 0;     // stored
  Index number = -1;  // position in the network's chain
  Buffer<T> values;
  Buffer<T> deltas;        // empty outside training
  bool elsewhere = false;  // the values are at Pass::table instead

  Slot(Index columns, Index stored_rows, bool for_training)
      : panels(columns),
        rows(stored_rows),
        values(stored_rows * panels.width()),
        deltas(for_training ? stored_rows * panels.width() : 0) {}

  // The offset of row `row` of a panel.
  Index at(const Panel& panel, Index row) const { return rows * panel.first + row * panel.width; }
};

// What decides the random numbers of a step: Philox's key and part of its counter.
struct StepKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::uint32_t step = 0;
};

template <class T>
class Observer;

// The first value a thread found that is not a valid id.
struct WrongId {
  double value = 0;
  Index n_rows = 0;  // of the table; 0 if all ids are valid

  std::string message() const {
    std::ostringstream text;
    text << "ids must be whole numbers from 0 to " << n_rows - 1 << ", got " << value;
    return text.str();
  }
};

// What one thread needs to process its rows of a batch.
template <class T>
struct Pass {
  Index first = 0;  // the thread's rows
  Index last = 0;
  Index rows = 0;  // of the whole batch
  int thread = 0;
  int n_threads = 1;
  bool training = false;
  bool sampling = false;      // dropout is active outside training
  Index row_offset = 0;       // added to a row's place in the slots for its random numbers
  double dropout_factor = 1;  // factor on the share that dropout drops
  StepKey key;
  Barrier* barrier = nullptr;  // where all threads of the batch meet
  std::vector<Segment<T>>* segments = nullptr;
  Observer<T>* observer = nullptr;  // set if the step is measured
  WrongId* wrong_id = nullptr;
  // The thread's first input row in the caller's table, if the input is read in place.
  const T* table = nullptr;
  Index table_stride = 0;  // from one row to the next
  // All threads have the same rows. Layers that support it divide their columns among the threads;
  // thread 0 computes the others alone.
  bool by_columns = false;
};

// What a network is built for. To predict a few rows, weights are read in the caller's memory,
// since packing them into panels would take longer than the products.
enum class Use { kTraining, kManyRows, kFewRows };

// One array of parameters and the optimizer's moments of them, all in panels.
template <class T>
struct ParameterBlock {
  Index flat_offset = 0;  // in the flat buffer: row-major (rows, columns)
  Index rows = 1;
  Index stored_rows = 1;
  Panels<T> panels;
  bool decays = false;     // true for weights, not for biases and scales
  double rate_factor = 1;  // factor on the learning rate
  bool in_place = false;
  bool row_sparse = false;  // a table: a step changes only its active rows
  Buffer<T> values, first, second;
  Buffer<T> gradient;  // kept only if gradients are clipped by their norm

  const T* plain = nullptr;  // its start in the flat buffer, if it is read in place

  ParameterBlock(Index offset, Index n_rows, Index n_columns, bool is_matrix, double factor = 1,
                 bool reads_in_place = false)
      : flat_offset(offset),
        rows(n_rows),
        stored_rows(is_matrix ? round_up(n_rows, kLanes<T>) : n_rows),
        panels(n_columns),
        decays(is_matrix),
        rate_factor(factor),
        in_place(reads_in_place),
        values(reads_in_place ? (n_rows - readable()) * ragged_width() : size()) {}

  // A table of embeddings, laid out as in the flat buffer.
  ParameterBlock(Index offset, Index n_rows, Index dim, double factor, bool reads_in_place)
      : flat_offset(offset),
        rows(n_rows),
        stored_rows(n_rows),
        panels(Panels<T>::plain(dim)),
        rate_factor(factor),
        in_place(reads_in_place),
        row_sparse(true),
        values(reads_in_place ? 0 : size()) {}

  Index size() const { return stored_rows * panels.width(); }
  // Allocates the moments that are asked for and missing.
  void allocate_moments(bool needs_first, bool needs_second) {
    if (needs_first && first.size() == 0) first = Buffer<T>(size());
    if (needs_second && second.size() == 0) second = Buffer<T>(size());
  }
  // Takes the values from the flat buffer. If the block reads in place, the buffer must not move.
  // Only part `part` of `parts` is taken, so that threads can take parts at the same time.
  void set_values(const T* flat, Index part = 0, Index parts = 1) {
    if (!in_place)
      return pack(flat + flat_offset, rows, stored_rows, panels, share(panels.count(), part, parts),
                  values.data());
    if (part != 0) return;
    plain = flat + flat_offset;
    if (ragged_width() == 0) return;
    const Panel& last = panels[panels.count() - 1];
    for (Index row = readable(); row < rows; ++row)
      std::copy_n(plain + row * panels.columns() + last.first, panels.columns() - last.first,
                  values.data() + (row - readable()) * last.width);
  }
  RightOperand<T> right_operand() const {
    return {values.data(), stored_rows, plain, panels.columns(),
            plain != nullptr && ragged_width() > 0 ? readable() : -1};
  }
  void load(const T* flat, Buffer<T>& into) const {
    pack(flat + flat_offset, rows, stored_rows, panels, {0, panels.count()}, into.data());
  }
  void store(const Buffer<T>& from, T* flat) const {
    unpack(from.data(), rows, stored_rows, panels, flat + flat_offset);
  }

 private:
  // The width of the last panel if the columns do not fill it, else 0.
  Index ragged_width() const {
    return panels.columns() < panels.width() ? panels[panels.count() - 1].width : 0;
  }
  // How many rows can be read in whole vectors without leaving the array.
  Index readable() const {
    const Index padding = panels.width() - panels.columns();
    return std::max<Index>(0, rows - (padding + panels.columns() - 1) / panels.columns());
  }
};

// The consecutive numbers of a block that a unit updates.
template <class T>
struct UnitRange {
  ParameterBlock<T>* block;
  Index offset;
  Index count;
};

// The rows of a table whose ids are in the batch, with their gradients one after the other.
template <class T>
struct ActiveRows {
  const Index* offsets;  // where each starts in the block
  Index count;
  Index length;  // of a row
  Index stride;  // from one gradient to the next: whole vectors, with zeros beyond `length`
  T* gradients;
};

// The most numbers in a unit's gradient.
inline constexpr Index kUnitRows = 16;
template <class T>
inline constexpr Index kUnitSize = kUnitRows * kMaxTileVectors * kLanes<T>;

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual void forward(const Pass<T>& pass) = 0;
  // Computes the deltas of the input slot from those of the output slot. Nothing before the first
  // layer with parameters needs deltas.
  virtual void backward(const Pass<T>& pass) = 0;

  virtual std::vector<ParameterBlock<T>*> blocks() { return {}; }
  // Whether forward can read the network's input in the caller's memory.
  virtual bool reads_table() const { return false; }
  // Whether forward supports Pass::by_columns.
  virtual bool shares_columns() const { return false; }
  // Whether forward depends on Pass::key when Pass::sampling is set.
  virtual bool drops() const { return false; }
  // Called after parameters were set from outside.
  virtual void refresh() {}
  // Called before refresh() with the flat buffer, which does not move outside training.
  virtual void read_in_place(const T*) {}

  virtual Index n_units() const { return 0; }
  virtual Index unit_work(Index) const { return 0; }
  // The block is null if the unit's parameters are not learned.
  virtual UnitRange<T> unit_range(Index unit) = 0;
  // Writes the gradient of the unit's range over `rows` rows of the batch.
  virtual void unit_gradient(Index, Index, T*) {}
  // What a unit of a row-sparse block updates instead of a range. The gradients belong to the layer
  // and are valid until the next step.
  virtual ActiveRows<T> active_rows(Index) { return {}; }
  // Whether the unit's gradient is known to be zero.
  virtual bool unit_is_still(Index) const { return false; }
  // Called after the unit's range was updated.
  virtual void unit_updated(Index) {}
};

// Calls visit(offset in the slot, first column) for each vector of a row, panel by panel.
template <class T, class Visit>
PELLUCID_INLINE void for_each_vector(const Slot<T>& slot, Index row, Visit visit) {
  for (const Panel& panel : slot.panels) {
    const Index start = slot.at(panel, row);
    for (Index c = 0; c < panel.width; c += kLanes<T>) visit(start + c, panel.first + c);
  }
}

// Copies rows of a slot's values to a row-major matrix.
template <class T>
void unpack_rows(const Slot<T>& slot, Index first, Index count, T* matrix) {
  for (const Panel& panel : slot.panels) {
    const Index columns = std::min(panel.width, slot.panels.columns() - panel.first);
    for (Index row = 0; row < count; ++row)
      std::copy_n(slot.values.data() + slot.at(panel, first + row), columns,
                  matrix + row * slot.panels.columns() + panel.first);
  }
}

// Writes deltas, or adds them to those that a later layer has already passed back.
template <class T>
PELLUCID_INLINE void pass_back(T* deltas, Vector<T> value, bool accumulate) {
  store<T>(deltas, accumulate ? load(deltas) + value : value);
}

// Loads a vector of a slot, with zeros in place of padding, whose contents are unspecified.
template <class T>
PELLUCID_INLINE Vector<T> load_columns(const T* data, Index column, Index columns) {
  const Vector<T> value = load(data);
  if (column + kLanes<T> <= columns) return value;
  return first_lanes<T>(columns - column) ? value : Vector<T>{};
}

// The range of a unit that is one panel of a layer's vector of parameters.
template <class T>
UnitRange<T> panel_range(ParameterBlock<T>& block, Index panel) {
  return {&block, block.panels[panel].first, block.panels[panel].width};
}

}  // namespace pellucid::inline PELLUCID_ISA
