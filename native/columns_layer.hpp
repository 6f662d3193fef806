// Different layers for different blocks of columns. The plain reference is
// src/pellucid/nn/columns.py.
#pragma once

#include "network.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Each part is a network with its own slots. Its input and output are copied from and to the
// columns of the whole, since a part may start at any column but a panel only at a whole vector.
template <class T>
class ColumnsLayer final : public Layer<T> {
 public:
  ColumnsLayer(const std::vector<Program<T>>& parts, const Surroundings<T>& around)
      : input_(around.input),
        output_(around.output),
        propagate_(around.propagate),
        accumulate_(around.accumulate) {
    Index first_in = 0, first_out = 0;
    for (const Program<T>& program : parts) {
      Part& part = parts_.emplace_back(
          Network<T>(program, input_.rows, around.use, around.n_threads, false, around.propagate));
      part.ins = shared_runs(input_, first_in, part.network.input());
      part.outs = shared_runs(output_, first_out, part.network.output());
      first_in += program.fan_in();
      first_out += program.fan_out();
      for (const auto& layer : part.network.layers())
        for (Index unit = 0; unit < layer->n_units(); ++unit) units_.push_back({layer.get(), unit});
    }
  }

  void forward(const Pass<T>& pass) override {
    Pass<T> inner = pass;
    inner.observer = nullptr;  // it only knows the slots of the whole
    inner.by_columns = false;  // one thread computes the parts alone
    for (Part& part : parts_) {
      Slot<T>&input = part.network.input(), &output = part.network.output();
      for (const auto& [whole, own] : part.ins)
        copy<false>(pass, input_, whole, input_.values, input, own, input.values);
      part.network.forward(inner);
      for (const auto& [whole, own] : part.outs)
        copy<false>(pass, output, own, output.values, output_, whole, output_.values);
    }
  }

  void backward(const Pass<T>& pass) override {
    for (Part& part : parts_) {
      Slot<T>&input = part.network.input(), &output = part.network.output();
      if (output.deltas.size() == 0) continue;
      for (const auto& [whole, own] : part.outs)
        copy<false>(pass, output_, whole, output_.deltas, output, own, output.deltas);
      part.network.backward(pass);
      if (!propagate_) continue;
      for (const auto& [whole, own] : part.ins)
        if (accumulate_)
          copy<true>(pass, input, own, input.deltas, input_, whole, input_.deltas);
        else
          copy<false>(pass, input, own, input.deltas, input_, whole, input_.deltas);
    }
  }

  std::vector<ParameterBlock<T>*> blocks() override {
    std::vector<ParameterBlock<T>*> all;
    for (const Part& part : parts_)
      for (ParameterBlock<T>* block : part.network.blocks()) all.push_back(block);
    return all;
  }
  void refresh() override {
    for (const Part& part : parts_)
      for (const auto& layer : part.network.layers()) layer->refresh();
  }

  bool drops() const override {
    return std::ranges::any_of(parts_, [](const Part& part) {
      return part.network.first_that_drops() < std::ssize(part.network.layers());
    });
  }

  Index n_units() const override { return static_cast<Index>(units_.size()); }
  Index unit_work(Index unit) const override { return at(unit).layer->unit_work(at(unit).index); }
  UnitRange<T> unit_range(Index unit) override {
    return at(unit).layer->unit_range(at(unit).index);
  }
  void unit_gradient(Index unit, Index rows, T* gradient) override {
    at(unit).layer->unit_gradient(at(unit).index, rows, gradient);
  }
  ActiveRows<T> active_rows(Index unit) override {
    return at(unit).layer->active_rows(at(unit).index);
  }
  void unit_updated(Index unit) override { at(unit).layer->unit_updated(at(unit).index); }

 private:
  // Columns that are adjacent both in the whole and in a part.
  struct SharedRun {
    ColumnRun whole, part;
  };
  struct Part {
    explicit Part(Network<T> own) : network(std::move(own)) {}
    Network<T> network;
    std::vector<SharedRun> ins, outs;
  };
  struct Unit {
    Layer<T>* layer;
    Index index;
  };

  // Where the columns of `part` are in `whole`, in which they start at column `first`.
  static std::vector<SharedRun> shared_runs(const Slot<T>& whole, Index first,
                                            const Slot<T>& part) {
    std::vector<SharedRun> shared;
    for (const ColumnRun& own : column_runs(part, 0, part.panels.columns()))
      for (const ColumnRun& run : column_runs(whole, first + own.first, own.count))
        shared.push_back({run, {own.panel, own.offset + run.first, 0, run.count}});
    return shared;
  }

  // Copies columns of the pass's rows, or adds them to the destination if `kAdd` is set.
  template <bool kAdd>
  static void copy(const Pass<T>& pass, const Slot<T>& source, const ColumnRun& from,
                   const Buffer<T>& numbers, const Slot<T>& destination, const ColumnRun& to,
                   Buffer<T>& into) {
    for (Index row = pass.first; row < pass.last; ++row)
      copy_numbers<T, kAdd>(numbers.data() + from.at(source, row), to.count,
                            into.data() + to.at(destination, row));
  }

  const Unit& at(Index unit) const { return units_[static_cast<std::size_t>(unit)]; }

  Slot<T>& input_;
  Slot<T>& output_;
  bool propagate_, accumulate_;
  std::vector<Part> parts_;
  std::vector<Unit> units_;
};

template <class T>
Index Program<T>::add_columns(std::vector<Program<T>> parts) {
  Index columns = 0, outputs = 0;
  bool has_parameters = false;
  for (const Program<T>& part : parts) {
    columns += part.fan_in();
    outputs += part.fan_out();
    if (part.n_parameters() > n_parameters())
      throw std::invalid_argument("the parameters of a part lie outside the flat buffer");
    in_tables_ += part.in_tables();
    for (const Step& step : part.steps()) has_parameters |= step.has_parameters;
  }
  if (columns != fan_out()) throw std::invalid_argument("the parts must take every column once");
  return add(outputs, has_parameters, [parts = std::move(parts)](const Surroundings<T>& s) {
    return std::make_unique<ColumnsLayer<T>>(parts, s);
  });
}

}  // namespace pellucid::inline PELLUCID_ISA
