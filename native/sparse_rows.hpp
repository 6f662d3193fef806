// The rows of a batch from a sparse table: the entries of each row, and the entries in each block
// of columns. No array here has rows x columns numbers.
#pragma once

#include <stdexcept>
#include <vector>

#include "layer.hpp"
#include "table.hpp"

namespace pellucid::inline PELLUCID_ISA {

// An entry as the gradient reads it: the row of the batch, and the column within the block.
template <class T>
struct BlockEntry {
  std::int32_t row;
  std::int32_t column;
  T value;
};

template <class Entry>
struct EntryRange {
  const Entry* first;
  const Entry* last;
  const Entry* begin() const { return first; }
  const Entry* end() const { return last; }
  bool empty() const { return first == last; }
};

// Each thread keeps the entries of the rows that it gathers. They are never merged.
template <class T>
class SparseRows {
 public:
  // A block has as many columns as a unit of weights has rows.
  static constexpr Index kBlock = kUnitRows;

  SparseRows(Index columns, Index rows, int n_threads, bool for_training)
      : n_blocks_((columns + kBlock - 1) / kBlock),
        begins_(rows),
        ends_(rows),
        parts_(static_cast<std::size_t>(n_threads)) {
    if (!for_training) return;
    if (rows > std::numeric_limits<std::int32_t>::max())
      throw std::invalid_argument("a batch has at most 2147483647 rows of a sparse table");
    for (Part& part : parts_) part.block_ends = Buffer<Index>(n_blocks_ + 1);
  }

  // Allocates room for batches of at most this many entries.
  void reserve(Index entries) {
    for (Part& part : parts_) {
      if (part.by_row.size() >= entries) continue;
      part.by_row = Buffer<SparseEntry<T>>(entries);
      if (part.block_ends.size() > 0) part.by_block = Buffer<BlockEntry<T>>(entries);
    }
  }

  // Lists the entries of rows `first` to `last` of the batch for thread `thread` of `n_threads`.
  // order[i] is row i's place in the table.
  void gather(const TableView& table, ListFunction<T> list, const std::int64_t* order, Index first,
              Index last, int thread, int n_threads) {
    if (thread == 0) n_parts_ = n_threads;
    SparseEntry<T>* const start = part(thread).by_row.data();
    const SparseEntry<T>* const end = start + part(thread).by_row.size();
    SparseEntry<T>* next = start;
    for (Index row = first; row < last; ++row) {
      begins_[row] = next - start;
      next = list(table, order[row], next, end - next);
      ends_[row] = next - start;
    }
    part(thread).first_row = first;
    part(thread).last_row = last;
  }

  // The entries of a row that this thread has gathered.
  EntryRange<SparseEntry<T>> row(Index row, int thread) const {
    const SparseEntry<T>* start = part(thread).by_row.data();
    return {start + begins_[row], start + ends_[row]};
  }

  // Sorts the thread's entries by block of columns. Within a block, they stay in the order of rows.
  void sort(int thread) {
    Part& mine = part(thread);
    // Each block is counted one place ahead, so that the running sums are the starts of the blocks.
    // Filling the blocks then turns the starts into ends.
    Index* ends = mine.block_ends.data();
    mine.block_ends.clear();
    const auto for_each = [&](const auto& visit) {
      for (Index r = mine.first_row; r < mine.last_row; ++r)
        for (const SparseEntry<T>& entry : row(r, thread)) visit(r, entry);
    };
    for_each([&](Index, const SparseEntry<T>& entry) { ++ends[entry.column / kBlock + 1]; });
    for (Index b = 0, sum = 0; b <= n_blocks_; ++b) {
      sum += ends[b];
      ends[b] = sum;
    }
    for_each([&](Index r, const SparseEntry<T>& entry) {
      const Index block = entry.column / kBlock;
      mine.by_block[ends[block]++] = {static_cast<std::int32_t>(r),
                                      static_cast<std::int32_t>(entry.column - block * kBlock),
                                      entry.value};
    });
  }

  int n_parts() const { return n_parts_; }

  // The entries in a block of the rows that thread `p` has sorted. The threads' parts are in the
  // order of rows.
  EntryRange<BlockEntry<T>> block(Index block, int p) const {
    const Index* ends = part(p).block_ends.data();
    const BlockEntry<T>* entries = part(p).by_block.data();
    return {entries + (block > 0 ? ends[block - 1] : 0), entries + ends[block]};
  }
  bool block_is_empty(Index index) const {
    for (int p = 0; p < n_parts_; ++p)
      if (!block(index, p).empty()) return false;
    return true;
  }

 private:
  struct alignas(64) Part {
    Index first_row = 0, last_row = 0;
    Buffer<SparseEntry<T>> by_row;
    Buffer<BlockEntry<T>> by_block;
    Buffer<Index> block_ends;  // where each block's entries end in by_block
  };

  Part& part(int thread) { return parts_[static_cast<std::size_t>(thread)]; }
  const Part& part(int thread) const { return parts_[static_cast<std::size_t>(thread)]; }

  Index n_blocks_;
  Buffer<Index> begins_, ends_;  // of each row's entries in its thread's by_row
  std::vector<Part> parts_;
  int n_parts_ = 0;  // threads of the step
};

}  // namespace pellucid::inline PELLUCID_ISA
