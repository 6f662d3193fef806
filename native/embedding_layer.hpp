// Embedding tables: each id of the input is replaced by its row of a table. A step updates only the
// rows whose ids are in the batch. The plain reference is src/pellucid/nn/embedding.py.
#pragma once

#include <bit>
#include <cmath>

#include "slot_columns.hpp"

namespace pellucid::inline PELLUCID_ISA {

// The units are buckets of ids. In the forward pass, each thread sorts the places of its rows' ids
// into buckets. In the second phase, each bucket finds its distinct ids and sums their gradients in
// the batch's order. The work of a step does not depend on the number of rows in the table.
template <class T>
class EmbeddingLayer final : public Layer<T> {
 public:
  EmbeddingLayer(Index n_rows, Index dim, Index offset, double rate, Slot<T>& input,
                 Slot<T>& output, Use use, int n_threads, bool propagate, bool accumulate)
      : input_(input),
        output_(output),
        n_rows_(n_rows),
        dim_(dim),
        id_columns_(input.panels.columns()),
        table_(offset, n_rows, dim, rate, use != Use::kTraining),
        ids_(input.rows * id_columns_),
        propagate_(propagate),
        accumulate_(accumulate) {
    for (Index c = 0; c < id_columns_; ++c) runs_.push_back(column_runs(output, c * dim, dim));
    if (use != Use::kTraining) return;
    const Index most = ids_.size();
    stride_ = round_up(dim, kLanes<T>);
    places_ = Buffer<Index>(most);
    offsets_ = Buffer<Index>(most);
    gradients_ = Buffer<T>(most * stride_);
    found_ = Buffer<Index>(kSlotsPerId * most);
    shares_.resize(static_cast<std::size_t>(n_threads));
  }

  void forward(const Pass<T>& pass) override {
    read_ids(pass);
    const T* table = table_.in_place ? table_.plain : table_.values.data();
    const Index last = pass.last * id_columns_;
    Index place = pass.first * id_columns_;
    for (Index row = pass.first; row < pass.last; ++row)
      for (const auto& runs : runs_) {
        // Rows come in random order, which the processor cannot predict.
        if (place + kIdsAhead < last) prefetch_row<0>(table + ids_[place + kIdsAhead] * dim_);
        const T* vector = table + ids_[place++] * dim_;
        for (const ColumnRun& run : runs)
          copy_numbers(vector + run.first, run.count, output_.values.data() + run.at(output_, row));
      }
    if (!shares_.empty()) sort_places(pass);
  }

  // Ids have no gradient.
  void backward(const Pass<T>& pass) override {
    if (!propagate_ || accumulate_) return;
    for (const Panel& panel : input_.panels)
      std::fill_n(input_.deltas.data() + input_.at(panel, pass.first),
                  (pass.last - pass.first) * panel.width, T(0));
  }

  std::vector<ParameterBlock<T>*> blocks() override { return {&table_}; }
  Index n_units() const override { return kBuckets; }
  // An active row costs about as much as kRowWork weights, mostly to fetch it from memory.
  Index unit_work(Index) const override { return id_columns_ * (kRowWork + dim_) / kBuckets; }
  UnitRange<T> unit_range(Index) override { return {&table_, 0, 0}; }

  ActiveRows<T> active_rows(Index bucket) override {
    Index begin = 0, count = 0;  // of this bucket's places, if all buckets were side by side
    for (Index t = 0; t < team_; ++t) {
      const auto& starts = shares_[static_cast<std::size_t>(t)].starts;
      begin += starts[bucket] - starts[0];
      count += starts[bucket + 1] - starts[bucket];
    }
    Index* offsets = offsets_.data() + begin;
    ActiveRows<T> active{offsets, 0, dim_, stride_, gradients_.data() + begin * stride_};
    if (count == 0) return active;
    const int bits = std::bit_width(static_cast<std::uint64_t>(2 * count - 1));
    Index* slots = found_.data() + kSlotsPerId * begin;
    std::fill_n(slots, Index{1} << bits, Index{-1});
    for (Index t = 0; t < team_; ++t) {
      const auto& starts = shares_[static_cast<std::size_t>(t)].starts;
      for (Index i = starts[bucket]; i < starts[bucket + 1]; ++i) {
        const Index id = ids_[places_[i]], offset = id * dim_;
        Index& found = look_up(id, bits, slots, offsets);
        if (found < 0) {
          found = active.count++;
          offsets[found] = offset;
          std::fill_n(active.gradients + found * stride_, dim_, T(0));
          for (const Buffer<T>* numbers : {&table_.values, &table_.first, &table_.second})
            if (numbers->size() > 0) prefetch_row<1>(numbers->data() + offset);
        }
        add_deltas(places_[i], active.gradients + found * stride_);
      }
    }
    return active;
  }

 private:
  static constexpr int kBucketBits = 5;
  static constexpr Index kBuckets = 1 << kBucketBits;
  static constexpr Index kSlotsPerId = 4;  // at most, in the hash table of a bucket
  static constexpr Index kIdsAhead = 16;
  static constexpr Index kRowWork = 1024;

  // One thread's places, sorted by bucket: bucket b has those from starts[b] to starts[b + 1].
  struct Share {
    alignas(64) Index starts[kBuckets + 1];
  };

  // Fibonacci hashing, which spreads consecutive ids.
  static std::uint64_t hash(Index id) {
    return static_cast<std::uint64_t>(id) * 0x9E3779B97F4A7C15u;
  }
  static Index bucket_of(Index id) { return static_cast<Index>(hash(id) >> (64 - kBucketBits)); }

  template <int kForWriting>
  void prefetch_row(const T* row) const {
    constexpr Index per_line = 64 / static_cast<Index>(sizeof(T));
    for (Index i = 0; i < dim_; i += per_line) __builtin_prefetch(row + i, kForWriting, 2);
  }

  void read_ids(const Pass<T>& pass) {
    for (const Panel& panel : input_.panels)
      for (Index row = pass.first; row < pass.last; ++row) {
        const T* values = input_.values.data() + input_.at(panel, row);
        Index* ids = ids_.data() + row * id_columns_ + panel.first;
        for (Index c = 0; c < std::min(panel.width, id_columns_ - panel.first); ++c)
          ids[c] = checked_id(values[c], *pass.wrong_id);
      }
  }

  Index checked_id(T value, WrongId& wrong) const {
    if (value >= 0 && value < static_cast<T>(n_rows_) && value == std::floor(value))
      return static_cast<Index>(value);
    if (wrong.n_rows == 0) wrong = {static_cast<double>(value), n_rows_};
    return 0;
  }

  // Sorts the places of the thread's ids by bucket. Within a bucket, the batch's order is kept.
  void sort_places(const Pass<T>& pass) {
    const Index first = pass.first * id_columns_, last = pass.last * id_columns_;
    auto& starts = shares_[static_cast<std::size_t>(pass.thread)].starts;
    Index next[kBuckets] = {};
    for (Index place = first; place < last; ++place) ++next[bucket_of(ids_[place])];
    starts[0] = first;
    for (Index b = 0; b < kBuckets; ++b) {
      starts[b + 1] = starts[b] + next[b];
      next[b] = starts[b];
    }
    for (Index place = first; place < last; ++place)
      places_[next[bucket_of(ids_[place])]++] = place;
    if (pass.thread == 0) team_ = pass.n_threads;
  }

  // The hash table's slot with the id's index among the active rows. It is negative if the id is
  // new.
  Index& look_up(Index id, int bits, Index* slots, const Index* offsets) const {
    const Index mask = (Index{1} << bits) - 1;
    auto slot = static_cast<Index>(hash(id) << kBucketBits >> (64 - bits));
    while (slots[slot] >= 0 && offsets[slots[slot]] != id * dim_) slot = (slot + 1) & mask;
    return slots[slot];
  }

  void add_deltas(Index place, T* gradient) const {
    const Index row = place / id_columns_;
    for (const ColumnRun& run : runs_[static_cast<std::size_t>(place - row * id_columns_)])
      copy_numbers<T, true>(output_.deltas.data() + run.at(output_, row), run.count,
                            gradient + run.first);
  }

  Slot<T>& input_;
  Slot<T>& output_;
  Index n_rows_, dim_, id_columns_;
  ParameterBlock<T> table_;
  std::vector<std::vector<ColumnRun>> runs_;  // where each id's vector is in the output
  Buffer<Index> ids_;                         // by place: row * id_columns + column
  bool propagate_, accumulate_;
  // Only for training:
  Index stride_ = 0;
  Buffer<Index> places_;       // sorted by thread and bucket
  std::vector<Share> shares_;  // by thread
  Index team_ = 1;             // threads of this step
  Buffer<Index> offsets_;      // of the active rows in the table
  Buffer<T> gradients_;        // of the active rows
  Buffer<Index> found_;        // hash tables: from ids to active rows
};

}  // namespace pellucid::inline PELLUCID_ISA
