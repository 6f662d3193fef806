// The activation that follows a linear layer. It is applied while the outputs are still in the
// cache.
#pragma once

#include "activations.hpp"
#include "layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

template <class T>
class FusedActivation {
 public:
  FusedActivation(const Activation<T>& activation, Slot<T>& output, bool for_training)
      : activation_(activation), output_(output) {
    if (for_training && activation.needs_z) kept_z_ = Buffer<T>(output.values.size());
  }

  // a = phi(z) in place, on `count` numbers of the output slot from `offset` on.
  void forward(Index offset, Index count) {
    if (activation_.is_identity()) return;
    T* values = output_.values.data() + offset;
    if (kept_z_.size() > 0) std::copy_n(values, count, kept_z_.data() + offset);
    activation_.forward(values, count, activation_.parameter, activation_.blend);
  }

  // dz = da * phi'(z) in place, in the deltas of the pass's rows.
  void backward(const Pass<T>& pass) {
    if (activation_.is_identity()) return;
    for (const Panel& panel : output_.panels) {
      const Index offset = output_.at(panel, pass.first);
      activation_.backward(output_.deltas.data() + offset,
                           kept_z_.size() > 0 ? kept_z_.data() + offset : nullptr,
                           output_.values.data() + offset, (pass.last - pass.first) * panel.width,
                           activation_.parameter, activation_.blend);
    }
  }

 private:
  Activation<T> activation_;
  Slot<T>& output_;
  Buffer<T> kept_z_;  // empty unless the derivative needs it
};

}  // namespace pellucid::inline PELLUCID_ISA
