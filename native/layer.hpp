// What a layer is to the engine.
//
// A network is a chain of layers over slots: matrices of a batch's rows that one layer writes and a
// later one reads. In the first phase of a step every thread calls forward and backward for its own
// rows; in the second, parameters are updated unit by unit, each unit by one thread over the whole
// batch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "gemm.hpp"
#include "thread_team.hpp"

namespace pellucid::inline PELLUCID_ISA {

// A matrix of the batch's rows in panels, with the loss's derivative by it.
template <class T>
struct Slot {
  Panels<T> panels;
  Index rows = 0;  // stored
  Buffer<T> values;
  Buffer<T> deltas;  // empty where nothing is trained

  Slot(Index columns, Index stored_rows, bool for_training)
      : panels(columns),
        rows(stored_rows),
        values(stored_rows * panels.width()),
        deltas(for_training ? stored_rows * panels.width() : 0) {}

  // Where row `row` of a panel starts.
  Index at(const Panel& panel, Index row) const { return rows * panel.first + row * panel.width; }
};

// Which numbers a step draws: Philox's key and part of its counter.
struct StepKey {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::uint32_t step = 0;
};

// One thread's way through its rows of a batch.
template <class T>
struct Pass {
  Index first = 0;  // the thread's rows
  Index last = 0;
  Index rows = 0;  // of the whole batch
  int thread = 0;
  int n_threads = 1;
  bool training = false;
  double dropout_factor = 1;  // on the share that dropout drops
  StepKey key;
  Barrier* barrier = nullptr;  // where all threads of the batch meet
  std::vector<Segment<T>>* segments = nullptr;
};

// What a network is built for. For the prediction of a few rows weights are read where the caller
// has them, since bringing them into panels would take longer than the products.
enum class Use { kTraining, kManyRows, kFewRows };

// One array of parameters with the optimizer's moments, all in panels.
template <class T>
struct ParameterBlock {
  Index flat_offset = 0;  // in the flat buffer: row-major (rows, columns)
  Index rows = 1;
  Index stored_rows = 1;
  Panels<T> panels;
  bool decays = false;     // weights do; biases and scales do not
  double rate_factor = 1;  // on the learning rate
  bool in_place = false;
  Buffer<T> values, first, second;
  Buffer<T> gradient;  // kept only where gradients are clipped by their norm

  const T* plain = nullptr;  // where the flat buffer has it, if it is read in place

  ParameterBlock(Index offset, Index n_rows, Index n_columns, bool is_matrix, double factor = 1,
                 bool reads_in_place = false)
      : flat_offset(offset),
        rows(n_rows),
        stored_rows(is_matrix ? round_up(n_rows, kLanes<T>) : n_rows),
        panels(n_columns),
        decays(is_matrix),
        rate_factor(factor),
        in_place(reads_in_place),
        values(reads_in_place ? stored_rows * ragged_width() : size()) {}

  Index size() const { return stored_rows * panels.width(); }
  void allocate_moments() {
    first = Buffer<T>(size());
    second = Buffer<T>(size());
  }
  // Takes the values from the flat buffer; one read in place must stay where it is.
  void set_values(const T* flat) {
    if (!in_place) return load(flat, values);
    plain = flat + flat_offset;
    if (ragged_width() == 0) return;
    const Panel& last = panels[panels.count() - 1];
    for (Index row = 0; row < rows; ++row)
      std::copy_n(plain + row * panels.columns() + last.first, panels.columns() - last.first,
                  values.data() + row * last.width);
  }
  RightOperand<T> right_operand() const {
    return {values.data(), stored_rows, plain, panels.columns()};
  }
  void load(const T* flat, Buffer<T>& into) const {
    pack(flat + flat_offset, rows, stored_rows, panels, into.data());
  }
  void store(const Buffer<T>& from, T* flat) const {
    unpack(from.data(), rows, stored_rows, panels, flat + flat_offset);
  }

 private:
  // The width of the last panel if the columns do not fill it, else 0.
  Index ragged_width() const {
    return panels.columns() < panels.width() ? panels[panels.count() - 1].width : 0;
  }
};

// The part of a block that a unit updates: consecutive numbers.
template <class T>
struct UnitRange {
  ParameterBlock<T>* block;
  Index offset;
  Index count;
};

// Most numbers that a unit's gradient has.
inline constexpr Index kUnitRows = 16;
template <class T>
inline constexpr Index kUnitSize = kUnitRows * kMaxTileVectors * kLanes<T>;

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual void forward(const Pass<T>& pass) = 0;
  // From the deltas of the output slot to those of the input slot, and of nothing before the first
  // parameters.
  virtual void backward(const Pass<T>& pass) = 0;

  virtual std::vector<ParameterBlock<T>*> blocks() { return {}; }
  // Called when parameters were set from outside.
  virtual void refresh() {}
  // Called before that with the flat buffer, which outside training stays where it is.
  virtual void read_in_place(const T*) {}

  virtual Index n_units() const { return 0; }
  virtual Index unit_work(Index) const { return 0; }
  // Without a block where what the unit would update is not learned.
  virtual UnitRange<T> unit_range(Index unit) = 0;
  // Writes the gradient of the unit's range over `rows` rows of the batch.
  virtual void unit_gradient(Index, Index, T*) {}
  // Whether the unit's gradient is known to be zero.
  virtual bool unit_is_still(Index) const { return false; }
  // Called when the unit's range was updated.
  virtual void unit_updated(Index) {}
};

// Visits a row's vectors, panel by panel: visit(where the vector stands in a slot, its first
// column).
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

// A vector of a slot with zeros in place of padding, whose contents nobody promises.
template <class T>
PELLUCID_INLINE Vector<T> load_columns(const T* data, Index column, Index columns) {
  const Vector<T> value = load(data);
  if (column + kLanes<T> <= columns) return value;
  return first_lanes<T>(columns - column) ? value : Vector<T>{};
}

// A unit of a layer's vector of parameters: one panel of it.
template <class T>
UnitRange<T> panel_range(ParameterBlock<T>& block, Index panel) {
  return {&block, block.panels[panel].first, block.panels[panel].width};
}

}  // namespace pellucid::inline PELLUCID_ISA
