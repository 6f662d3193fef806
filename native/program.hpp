// What a network is to the engine: a chain of steps over offsets into one flat buffer.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "activations.hpp"
#include "losses.hpp"
#include "panels.hpp"

namespace pellucid::inline PELLUCID_ISA {

// One step: z = a_in W + b (where it has weights), then a = phi(z).
template <class T>
struct Layer {
  bool has_weights = false;
  Index fan_in = 0;
  Index fan_out = 0;
  Index weight_offset = 0;  // of W, row-major (fan_in, fan_out), in the flat buffer
  Index bias_offset = -1;   // of b (fan_out); -1 where there is none
  Activation<T> activation;
};

template <class T>
struct Program {
  Index fan_in = 0;
  Index n_parameters = 0;
  std::vector<Layer<T>> layers;
  LossFunction<T> loss;
  T loss_parameter = 0;

  Index fan_out() const { return layers.empty() ? fan_in : layers.back().fan_out; }

  void add_linear(Index fan_out, Index weight_offset, Index bias_offset) {
    const Index fan_in = this->fan_out();
    if (fan_out < 1) throw std::invalid_argument("a linear layer needs at least one output");
    check_range(weight_offset, fan_in * fan_out);
    if (bias_offset >= 0) check_range(bias_offset, fan_out);
    layers.push_back({true, fan_in, fan_out, weight_offset, bias_offset, {}});
  }

  void add_activation(const std::string& name, T parameter, T blend) {
    for (const auto& known : kActivations<T>) {
      if (known.name != name) continue;
      const Activation<T> activation = known.make(parameter, blend);
      if (activation.is_identity()) return;
      // An activation that directly follows a linear layer becomes part of it.
      if (layers.empty() || !layers.back().activation.is_identity()) {
        const Index width = fan_out();
        layers.push_back({false, width, width, 0, -1, {}});
      }
      layers.back().activation = activation;
      return;
    }
    throw std::invalid_argument("unknown activation " + name);
  }

  void set_loss(const std::string& name, T parameter) {
    for (const auto& known : kLosses<T>) {
      if (known.name != name) continue;
      loss = known.function;
      loss_parameter = parameter;
      return;
    }
    throw std::invalid_argument("unknown loss " + name);
  }

 private:
  void check_range(Index offset, Index count) const {
    if (offset < 0 || offset + count > n_parameters)
      throw std::invalid_argument("a layer's parameters lie outside the flat buffer");
  }
};

}  // namespace pellucid::inline PELLUCID_ISA
