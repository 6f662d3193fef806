// Base class of layers whose backward pass sums the gradients of their parameters.
#pragma once

#include <utility>

#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Where an array of parameters starts in the flat buffer, and the factor on its learning rate.
using Place = std::pair<Index, double>;

// An array of parameters of any shape, stored as one row of numbers, with its gradient.
template <class T>
struct SummedParameters {
  ParameterBlock<T> block;
  Buffer<T> gradient;

  SummedParameters(const Place& place, Index count, bool decays, bool for_training)
      : block(place.first, 1, count, false, place.second),
        gradient(for_training ? block.size() : 0) {
    block.decays = decays;
  }
  const T* values() const { return block.values.data(); }
};

// The gradient of a parameter is a sum over the whole batch. The layer divides these sums among the
// threads as it likes, after a barrier in the backward pass. A unit then only copies its part.
template <class T>
class SummingLayer : public Layer<T> {
 public:
  std::vector<ParameterBlock<T>*> blocks() override {
    std::vector<ParameterBlock<T>*> all;
    for (SummedParameters<T>& array : learned_) all.push_back(&array.block);
    return all;
  }

  Index n_units() const override {
    Index count = 0;
    for (const SummedParameters<T>& array : learned_) count += units_of(array);
    return count;
  }
  // A copy takes about an eighth of the time of a sum over the batch.
  Index unit_work(Index unit) const override { return (part(unit).count + 7) / 8; }

  UnitRange<T> unit_range(Index unit) override {
    const Part p = part(unit);
    return {&learned_[p.array].block, p.offset, p.count};
  }
  void unit_gradient(Index unit, Index, T* gradient) override {
    const Part p = part(unit);
    std::copy_n(learned_[p.array].gradient.data() + p.offset, p.count, gradient);
  }

 protected:
  std::vector<SummedParameters<T>> learned_;

  // The part of thread t of n in `count` items of equal work.
  static std::pair<Index, Index> share(Index count, const Pass<T>& pass) {
    return {count * pass.thread / pass.n_threads, count * (pass.thread + 1) / pass.n_threads};
  }

 private:
  struct Part {
    std::size_t array;
    Index offset, count;
  };

  static Index units_of(const SummedParameters<T>& array) {
    return (array.block.size() + kUnitSize<T> - 1) / kUnitSize<T>;
  }
  Part part(Index unit) const {
    std::size_t array = 0;
    for (; unit >= units_of(learned_[array]); ++array) unit -= units_of(learned_[array]);
    const Index offset = unit * kUnitSize<T>;
    return {array, offset, std::min(kUnitSize<T>, learned_[array].block.size() - offset)};
  }
};

}  // namespace pellucid::inline PELLUCID_ISA
