// The measurements of a step, if asked for: the norms of gradients, updates and weights, the
// distribution of pre-activations, and the units that are always zero.
#pragma once

#include <vector>

#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Pre-activations are counted in bins of equal width between -kZLimit and kZLimit and in one more
// bin on either side. src/pellucid/engine/statistics.py has the same edges.
inline constexpr int kZBins = 64;
inline constexpr double kZLimit = 8;

// The measurements of one step.
struct StepStatistics {
  Index step = 0;                 // counted from 1
  std::vector<double> norms;      // by block: of gradient, update and weights
  std::vector<Index> dead_units;  // by slot: columns that are 0 in every row
  std::vector<Index> z_counts;    // by slot, kZBins + 2 each: of what linear layers write there
};

// Measures the forward pass of one batch. Each thread writes to its own memory.
template <class T>
class Observer {
 public:
  Observer(const std::vector<const Slot<T>*>& slots, int n_threads) : slots_(slots) {
    starts_.push_back(0);
    for (const Slot<T>* slot : slots_) starts_.push_back(starts_.back() + slot->panels.width());
    for (int thread = 0; thread < n_threads; ++thread)
      threads_.push_back(
          {std::vector<Index>(slots_.size() * kWays * kCounts), Buffer<T>(starts_.back())});
  }

  void start(int thread) {
    Own& own = threads_[static_cast<std::size_t>(thread)];
    std::fill(own.z_counts.begin(), own.z_counts.end(), 0);
    own.largest.clear();
  }

  // Counts the rows of a panel that a linear layer has just written.
  void count_z(int thread, const Slot<T>& slot, const Panel& panel, const T* block, Index rows) {
    if (slot.number < 0) return;
    Index* counts = threads_[static_cast<std::size_t>(thread)].z_counts.data() +
                    slot.number * static_cast<Index>(kWays * kCounts);
    const Index columns = std::min(panel.width, slot.panels.columns() - panel.first);
    const Vector<T> low = broadcast<T>(T(0)), high = broadcast<T>(T(kZBins + 1));
    alignas(64) T bins[kMaxTileVectors * kLanes<T>];
    for (Index row = 0; row < rows; ++row) {
      for (Index c = 0; c < panel.width; c += kLanes<T>) {
        const Vector<T> z = load(block + row * panel.width + c);
        const Vector<T> bin = (z + T(kZLimit)) * T(kZBins / (2 * kZLimit)) + T(1);
        store<T>(bins + c, minimum<T>(maximum<T>(bin, low), high));
      }
      for (Index c = 0; c < columns; ++c)
        ++counts[static_cast<std::size_t>(c) % kWays * kCounts + static_cast<int>(bins[c])];
    }
  }

  // Called after the forward pass of rows `first` to `last`.
  void look_at_values(int thread, Index first, Index last) {
    T* largest = threads_[static_cast<std::size_t>(thread)].largest.data();
    for (std::size_t s = 1; s < slots_.size(); ++s) {
      const Slot<T>& slot = *slots_[s];
      for (const Panel& panel : slot.panels) {
        T* own = largest + starts_[s] + panel.first;
        const T* values = slot.values.data() + slot.at(panel, first);
        for (Index row = first; row < last; ++row, values += panel.width)
          for (Index c = 0; c < panel.width; c += kLanes<T>)
            store<T>(own + c, maximum<T>(absolute<T>(load(values + c)), load(own + c)));
      }
    }
  }

  // Combines the measurements of all threads.
  void collect(int n_threads, StepStatistics& result) {
    result.z_counts.assign(slots_.size() * kCounts, 0);
    result.dead_units.assign(slots_.size(), 0);
    for (int thread = 0; thread < n_threads; ++thread) {
      const Own& own = threads_[static_cast<std::size_t>(thread)];
      for (std::size_t s = 0; s < slots_.size(); ++s)
        for (std::size_t way = 0; way < kWays; ++way)
          for (std::size_t bin = 0; bin < kCounts; ++bin)
            result.z_counts[s * kCounts + bin] += own.z_counts[(s * kWays + way) * kCounts + bin];
    }
    for (std::size_t s = 1; s < slots_.size(); ++s) {
      for (Index c = 0; c < slots_[s]->panels.columns(); ++c) {
        bool silent = true;
        for (int thread = 0; thread < n_threads; ++thread)
          silent &= threads_[static_cast<std::size_t>(thread)].largest[starts_[s] + c] == 0;
        result.dead_units[s] += silent;
      }
    }
  }

 private:
  static constexpr std::size_t kCounts = kZBins + 2;
  // Neighbours have separate counters, so that none waits for another's update of the same bin.
  static constexpr std::size_t kWays = 4;

  struct Own {
    std::vector<Index> z_counts;  // by slot, way and bin
    Buffer<T> largest;            // absolute value of each column
  };
  std::vector<const Slot<T>*> slots_;
  std::vector<Index> starts_;  // of each slot's columns in `largest`
  std::vector<Own> threads_;
};

}  // namespace pellucid::inline PELLUCID_ISA
