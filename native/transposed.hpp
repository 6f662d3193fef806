// A slot's columns as rows. Layers that treat each column differently work on vectors of one
// column's numbers in consecutive rows of the batch.
#pragma once

#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Loads the first `count` numbers, with zeros in the remaining lanes.
template <class T>
PELLUCID_INLINE Vector<T> load_some(const T* source, Index count) {
  if (count >= kLanes<T>) return load(source);
  alignas(64) T lanes[kLanes<T>] = {};
  std::copy_n(source, count, lanes);
  return load(lanes);
}

template <class T>
PELLUCID_INLINE void store_some(T* destination, Vector<T> value, Index count) {
  if (count >= kLanes<T>) return store<T>(destination, value);
  alignas(64) T lanes[kLanes<T>];
  store<T>(lanes, value);
  std::copy_n(lanes, count, destination);
}

// Calls visit(first, count) for consecutive ranges of at most `most` rows.
template <class Visit>
PELLUCID_INLINE void for_each_run(Index first, Index last, Index most, Visit visit) {
  for (Index row = first; row < last; row += most) visit(row, std::min(most, last - row));
}

template <class T>
class Transposed {
 public:
  Transposed() = default;
  explicit Transposed(const Slot<T>& slot)
      : stride_(round_up(slot.rows, kLanes<T>)), values_(stride_ * slot.panels.width()) {}

  bool empty() const { return values_.size() == 0; }
  T* column(Index c) { return values_.data() + c * stride_; }
  const T* column(Index c) const { return values_.data() + c * stride_; }
  Index stride() const { return stride_; }

  // Reads rows of the slot's values or deltas.
  void take(const Slot<T>& slot, const T* data, Index first, Index last) {
    for_each_square(slot, first, last, [&](Index at, Index width, Index c, Index row, Index count) {
      if (count == kLanes<T>) return transpose_square(data + at, width, column(c) + row, stride_);
      alignas(64) T square[kLanes<T> * kLanes<T>] = {};
      for (Index i = 0; i < count; ++i)
        store<T>(square + i * kLanes<T>, load(data + at + i * width));
      transpose_square(square, kLanes<T>, square, kLanes<T>);
      for (Index i = 0; i < kLanes<T>; ++i)
        std::copy_n(square + i * kLanes<T>, count, column(c + i) + row);
    });
  }

  // Writes rows of the slot's values or deltas, or adds to them.
  void give(const Slot<T>& slot, T* data, Index first, Index last, bool accumulate) const {
    for_each_square(slot, first, last, [&](Index at, Index width, Index c, Index row, Index count) {
      alignas(64) T square[kLanes<T> * kLanes<T>];
      for (Index i = 0; i < kLanes<T>; ++i)
        store<T>(square + i * kLanes<T>, load_some(column(c + i) + row, count));
      transpose_square(square, kLanes<T>, square, kLanes<T>);
      for (Index i = 0; i < count; ++i)
        pass_back<T>(data + at + i * width, load(square + i * kLanes<T>), accumulate);
    });
  }

 private:
  // Calls visit(offset of the first row's vector, distance of the rows, first column, first row,
  // number of rows).
  template <class Visit>
  PELLUCID_INLINE static void for_each_square(const Slot<T>& slot, Index first, Index last,
                                              Visit visit) {
    for (const Panel& panel : slot.panels)
      for (Index c = 0; c < panel.width; c += kLanes<T>)
        for_each_run(first, last, kLanes<T>, [&](Index row, Index count) {
          visit(slot.at(panel, row) + c, panel.width, panel.first + c, row, count);
        });
  }

  Index stride_ = 0;
  Buffer<T> values_;
};

}  // namespace pellucid::inline PELLUCID_ISA
