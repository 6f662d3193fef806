// Dropout: y = m * x. Philox draws the mask m from the step's key and each number's place, so that
// any mask can be drawn again. The plain reference is src/pellucid/nn/dropout.py.
#pragma once

#include <cmath>

#include "layer.hpp"
#include "random.hpp"

namespace pellucid::inline PELLUCID_ISA {

template <class T>
class DropoutLayer final : public Layer<T> {
 public:
  // A number is dropped if its 16 random bits are below share * 2^16. The factor that makes up for
  // dropped numbers is applied in training, or in prediction if `scales_in_training` is false.
  DropoutLayer(double share, bool scales_in_training, std::uint32_t layer_number, Slot<T>& input,
               Slot<T>& output, bool for_training, bool propagate, bool accumulate)
      : input_(input),
        output_(output),
        share_(share),
        scales_in_training_(scales_in_training),
        layer_number_(layer_number),
        factors_(for_training ? output.values.size() : 0),
        propagate_(propagate),
        accumulate_(accumulate) {}

  void forward(const Pass<T>& pass) override {
    if (!pass.training && !pass.sampling) return scale_all(pass);
    const Index blocks = (output_.panels.columns() + 7) / 8;
    const std::uint32_t threshold = threshold_of(pass.dropout_factor);
    const T scale = scales_in_training_ ? T(1 / kept_share(threshold)) : T(1);
    // A sample has no backward pass, so its factors need not be kept.
    Buffer<T>& factors = factors_.size() > 0 ? factors_ : output_.values;
    std::uint16_t halves[kBlocksAtOnce * 8];
    for (Index row = pass.first; row < pass.last; ++row) {
      for (Index block = 0; block < blocks; block += kBlocksAtOnce) {
        const Index count = std::min(kBlocksAtOnce, blocks - block);
        const Index place = (row + pass.row_offset) * blocks + block;
        draw(pass.key, static_cast<std::uint32_t>(place), halves);
        write_factors(row, block * 8, count * 8, halves, threshold, scale, factors);
      }
      for_each_vector(output_, row, [&](Index at, Index) {
        store<T>(output_.values.data() + at,
                 load(input_.values.data() + at) * load(factors.data() + at));
      });
    }
  }

  void backward(const Pass<T>& pass) override {
    if (!propagate_) return;
    for (const Panel& panel : output_.panels) {
      const Index start = output_.at(panel, pass.first);
      const Index count = (pass.last - pass.first) * panel.width;
      for (Index i = start; i < start + count; i += kLanes<T>) {
        const Vector<T> delta = load(output_.deltas.data() + i) * load(factors_.data() + i);
        T* passed = input_.deltas.data() + i;
        store<T>(passed, accumulate_ ? load(passed) + delta : delta);
      }
    }
  }

  bool drops() const override { return true; }
  UnitRange<T> unit_range(Index) override { return {}; }

 private:
  static constexpr Index kBlocksAtOnce = 16;
  static constexpr double kLevels = 65536;
  static constexpr std::uint32_t kPurpose = 2u << 24;  // nn.random.Purpose.DROPOUT

  // Ties are rounded to even, as in Python.
  std::uint32_t threshold_of(double factor) const {
    return static_cast<std::uint32_t>(std::nearbyint(share_ * factor * kLevels));
  }
  static double kept_share(std::uint32_t threshold) { return 1 - threshold / kLevels; }

  void scale_all(const Pass<T>& pass) {
    const T scale = scales_in_training_ ? T(1) : T(kept_share(threshold_of(1)));
    for (const Panel& panel : output_.panels) {
      const Index start = output_.at(panel, pass.first);
      const Index count = (pass.last - pass.first) * panel.width;
      for (Index i = start; i < start + count; i += kLanes<T>)
        store<T>(output_.values.data() + i, load(input_.values.data() + i) * scale);
      if (factors_.size() > 0) std::fill_n(factors_.data() + start, count, scale);
    }
  }

  // Draws sixteen consecutive blocks of eight 16-bit numbers. The compiler vectorizes the inner
  // loops.
  void draw(const StepKey& key, std::uint32_t first_block, std::uint16_t* halves) const {
    std::uint64_t a[kBlocksAtOnce], b[kBlocksAtOnce], c[kBlocksAtOnce], d[kBlocksAtOnce];
    for (Index i = 0; i < kBlocksAtOnce; ++i) {
      a[i] = static_cast<std::uint32_t>(first_block + static_cast<std::uint32_t>(i));
      b[i] = key.step;
      c[i] = key.epoch;
      d[i] = kPurpose | layer_number_;
    }
    std::uint64_t low = static_cast<std::uint32_t>(key.seed), high = key.seed >> 32;
    for (int round = 0; round < kPhiloxRounds; ++round) {
      for (Index i = 0; i < kBlocksAtOnce; ++i) {
        const std::uint64_t left = a[i] * kPhiloxMultipliers[0];
        const std::uint64_t right = c[i] * kPhiloxMultipliers[1];
        a[i] = (right >> 32) ^ b[i] ^ low;
        b[i] = right & 0xFFFFFFFF;
        c[i] = (left >> 32) ^ d[i] ^ high;
        d[i] = left & 0xFFFFFFFF;
      }
      low = (low + kPhiloxKeySteps[0]) & 0xFFFFFFFF;
      high = (high + kPhiloxKeySteps[1]) & 0xFFFFFFFF;
    }
    for (Index i = 0; i < kBlocksAtOnce; ++i) {
      const std::uint64_t words[] = {a[i], b[i], c[i], d[i]};
      for (Index w = 0; w < 4; ++w) {
        halves[8 * i + 2 * w] = static_cast<std::uint16_t>(words[w]);
        halves[8 * i + 2 * w + 1] = static_cast<std::uint16_t>(words[w] >> 16);
      }
    }
  }

  // The factors of padding columns are zero.
  void write_factors(Index row, Index first_column, Index count, const std::uint16_t* halves,
                     std::uint32_t threshold, T scale, Buffer<T>& into) const {
    const Index columns = output_.panels.columns();
    for (const Panel& panel : output_.panels) {
      const Index begin = std::max(first_column, panel.first);
      const Index end = std::min({first_column + count, panel.first + panel.width, columns});
      if (begin >= end) continue;
      T* factors = into.data() + output_.at(panel, row) + (begin - panel.first);
      const std::uint16_t* drawn = halves + (begin - first_column);
      for (Index i = 0; i < end - begin; ++i) factors[i] = drawn[i] >= threshold ? scale : T(0);
      if (end == columns)
        std::fill_n(factors + (end - begin), panel.first + panel.width - end, T(0));
    }
  }

  Slot<T>& input_;
  Slot<T>& output_;
  double share_;
  bool scales_in_training_;
  std::uint32_t layer_number_;
  Buffer<T> factors_;  // the mask times the scale
  bool propagate_, accumulate_;
};

}  // namespace pellucid::inline PELLUCID_ISA
