// Ranges of a slot's columns that may start anywhere, divided by panel.
#pragma once

#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Consecutive columns of one panel.
struct ColumnRun {
  Panel panel;
  Index offset;  // from the panel's first column
  Index first;   // counted from the start of the columns asked for
  Index count;

  // The offset of row `row`. It is not kept, since a slot's number of rows may change between
  // passes.
  template <class T>
  Index at(const Slot<T>& slot, Index row) const {
    return slot.at(panel, row) + offset;
  }
};

// Columns `first` to `first + count` of a slot.
template <class T>
std::vector<ColumnRun> column_runs(const Slot<T>& slot, Index first, Index count) {
  std::vector<ColumnRun> runs;
  for (const Panel& panel : slot.panels) {
    const Index begin = std::max(first, panel.first);
    const Index end = std::min(first + count, panel.first + panel.width);
    if (begin < end) runs.push_back({panel, begin - panel.first, begin - first, end - begin});
  }
  return runs;
}

// destination = source, or destination += source with kAdd.
template <class T, bool kAdd = false>
PELLUCID_INLINE void copy_numbers(const T* source, Index count, T* destination) {
  Index i = 0;
  for (; i + kLanes<T> <= count; i += kLanes<T>)
    store<T>(destination + i, kAdd ? load(destination + i) + load(source + i) : load(source + i));
  for (; i < count; ++i) destination[i] = kAdd ? destination[i] + source[i] : source[i];
}

}  // namespace pellucid::inline PELLUCID_ISA
