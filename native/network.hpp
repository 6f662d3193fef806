// A network as Python describes it (Program) and as the engine runs it (Network).
#pragma once

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <type_traits>

#include "batch_norm_layer.hpp"
#include "bfloat16_linear_layer.hpp"
#include "dropout_layer.hpp"
#include "elementwise_layers.hpp"
#include "embedding_layer.hpp"
#include "linear_layer.hpp"
#include "normalization_layers.hpp"
#include "periodic_layer.hpp"
#include "piecewise_linear_layer.hpp"
#include "scorer.hpp"
#include "sparse_linear_layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// What a layer is built from: its slots, and what comes before and after it.
template <class T>
struct Surroundings {
  Slot<T>& input;
  Slot<T>& output;
  Slot<T>* skipped;  // of a residual connection
  Use use;
  int n_threads;  // at most
  // Whether any layer before the slot has parameters, and whether a later layer has already passed
  // deltas back to the slot.
  bool propagate, accumulate;
  bool propagate_skipped, accumulate_skipped;
  SparseRows<T>* sparse_input;  // replaces `input`'s numbers unless null
};

// The chain of layers. Slot 0 is the input; layer i reads slot i and writes slot i + 1.
template <class T>
class Program {
 public:
  using Make = std::function<std::unique_ptr<Layer<T>>(const Surroundings<T>&)>;

  struct Step {
    Index fan_out;
    bool has_parameters;
    Index skipped;  // the slot that a residual connection comes from, or -1
    Make make;
    bool takes_sparse = false;  // can read sparse rows as its input without making them dense
  };

  // With `bfloat16`, linear layers round the operands of their products in training.
  Program(Index fan_in, Index n_parameters, bool bfloat16)
      : fan_in_(fan_in), n_parameters_(n_parameters), bfloat16_(bfloat16) {
    if (bfloat16 && !(PELLUCID_HAS_BFLOAT16 && std::is_same_v<T, float>))
      throw std::invalid_argument("no bfloat16 products with this type or instruction set");
  }

  Index fan_in() const { return fan_in_; }
  Index fan_out() const { return width_of(static_cast<Index>(steps_.size())); }
  Index n_parameters() const { return n_parameters_; }
  // Numbers in embedding tables. They add no work to a pass.
  Index in_tables() const { return in_tables_; }
  const std::vector<Step>& steps() const { return steps_; }

  LossFunction<T> loss;
  T loss_parameter = 0;

  // Each of these returns the slot that holds the result.
  Index add_linear(const LinearSpec& spec) {
    if (spec.fan_out < 1) throw std::invalid_argument("a linear layer needs at least one output");
    check_range(spec.weight_offset, product(fan_out(), spec.fan_out));
    if (spec.bias_offset >= 0) check_range(spec.bias_offset, spec.fan_out);
    const auto activation = std::make_shared<Activation<T>>();
    const auto make = [spec, activation, bfloat16 = bfloat16_](
                          const Surroundings<T>& s) -> std::unique_ptr<Layer<T>> {
      if (s.sparse_input != nullptr)
        return std::make_unique<SparseLinearLayer<T>>(spec, *activation, *s.sparse_input,
                                                      s.input.panels.columns(), s.output,
                                                      s.use == Use::kTraining);
#if PELLUCID_HAS_BFLOAT16
      if constexpr (std::is_same_v<T, float>) {
        if (bfloat16 && s.use == Use::kTraining)
          return std::make_unique<BFloat16LinearLayer>(spec, *activation, s.input, s.output,
                                                       s.propagate, s.accumulate);
      }
#endif
      return std::make_unique<LinearLayer<T>>(spec, *activation, s.input, s.output, s.use,
                                              s.propagate, s.accumulate);
    };
    const Index slot = add(spec.fan_out, true, make);
    steps_.back().takes_sparse = spec.weight_scale == 1 && !bfloat16_;
    open_activation_ = activation;
    return slot;
  }

  // An activation that directly follows a linear layer becomes part of it, unless something else
  // needs the layer's output.
  Index add_activation(const std::string& name, T parameter, T blend, bool may_fuse) {
    const Activation<T> activation = find_activation(name, parameter, blend);
    if (!may_fuse) open_activation_ = nullptr;
    if (activation.is_identity()) return static_cast<Index>(steps_.size());
    if (open_activation_ != nullptr) {
      *open_activation_ = activation;
      open_activation_ = nullptr;
      return static_cast<Index>(steps_.size());
    }
    return add(fan_out(), false, [activation](const Surroundings<T>& s) {
      return std::make_unique<ActivationLayer<T>>(activation, s.input, s.output, s.propagate,
                                                  s.accumulate);
    });
  }

  Index add_parametric_activation(const std::string& name, T parameter, Index offset, double rate) {
    const Activation<T> activation = find_activation(name, parameter, T(1));
    check_range(offset, fan_out());
    return add(fan_out(), true, [activation, offset, rate](const Surroundings<T>& s) {
      return std::make_unique<ParametricActivationLayer<T>>(activation, offset, rate, s.input,
                                                            s.output, s.use == Use::kTraining,
                                                            s.propagate, s.accumulate);
    });
  }

  Index add_scale(Index offset, double rate) {
    check_range(offset, fan_out());
    return add(fan_out(), true, [offset, rate](const Surroundings<T>& s) {
      return std::make_unique<ScaleLayer<T>>(offset, rate, s.input, s.output, s.propagate,
                                             s.accumulate);
    });
  }

  // An offset is -1 if its parameters are not learned.
  Index add_row_norm(bool centered, T epsilon, Index gamma_offset, double gamma_rate,
                     Index beta_offset, double beta_rate) {
    if (gamma_offset >= 0) check_range(gamma_offset, fan_out());
    if (beta_offset >= 0) check_range(beta_offset, fan_out());
    return add(fan_out(), gamma_offset >= 0 || beta_offset >= 0,
               [=](const Surroundings<T>& s) -> std::unique_ptr<Layer<T>> {
                 if (centered)
                   return std::make_unique<RowNormLayer<T, true>>(
                       epsilon, gamma_offset, gamma_rate, beta_offset, beta_rate, s.input, s.output,
                       s.propagate, s.accumulate);
                 return std::make_unique<RowNormLayer<T, false>>(epsilon, gamma_offset, gamma_rate,
                                                                 Index{-1}, 1.0, s.input, s.output,
                                                                 s.propagate, s.accumulate);
               });
  }

  Index add_batch_norm(const BatchNormSpec& spec) {
    for (const Index offset :
         {spec.gamma.first, spec.beta.first, spec.mean_offset, spec.variance_offset})
      check_range(offset, fan_out());
    return add(fan_out(), true, [spec](const Surroundings<T>& s) {
      return std::make_unique<BatchNormLayer<T>>(spec, s.input, s.output, s.use == Use::kTraining,
                                                 s.propagate, s.accumulate);
    });
  }

  Index add_periodic_embedding(const PeriodicSpec& spec) {
    if (spec.dim < 2 || spec.n_frequencies < 1)
      throw std::invalid_argument("a periodic embedding needs a dim of 2 and a frequency");
    const Index waves = product(fan_out(), spec.n_frequencies);
    check_range(spec.frequencies.first, waves);
    check_range(spec.phases.first, waves);
    check_range(spec.weights.first, product(waves, spec.dim - 1));
    check_range(spec.biases.first, product(fan_out(), spec.dim - 1));
    return add(product(fan_out(), spec.dim), true, [spec](const Surroundings<T>& s) {
      return std::make_unique<PeriodicLayer<T>>(spec, s.input, s.output, s.use == Use::kTraining,
                                                s.propagate, s.accumulate);
    });
  }

  Index add_piecewise_linear_embedding(const PiecewiseLinearSpec& spec) {
    if (static_cast<Index>(spec.edges.size()) != fan_out() || spec.dim < 0)
      throw std::invalid_argument("a piecewise-linear embedding needs the edges of each column");
    for (const auto& edges : spec.edges)
      if (edges.size() < 2) throw std::invalid_argument("a column needs at least two edges");
    if (spec.dim > 0) {
      check_range(spec.weights.first, product(spec.n_components(), spec.dim));
      check_range(spec.biases.first, product(fan_out(), spec.dim));
    }
    const Index width = spec.dim > 0 ? product(fan_out(), spec.dim) : spec.n_components();
    return add(width, spec.dim > 0, [spec](const Surroundings<T>& s) {
      return std::make_unique<PiecewiseLinearLayer<T>>(
          spec, s.input, s.output, s.use == Use::kTraining, s.propagate, s.accumulate);
    });
  }

  // Each id of the input is replaced by its row of a table (n_rows, dim).
  Index add_embedding(Index n_rows, Index dim, Index offset, double rate) {
    check_range(offset, product(n_rows, dim));
    if (dim < 1 || n_rows < 1) throw std::invalid_argument("an embedding needs a row and a dim");
    if (n_rows > Index{1} << std::numeric_limits<T>::digits)
      throw std::invalid_argument("float32 cannot tell the ids of a table of " +
                                  std::to_string(n_rows) +
                                  " rows apart (from 2**24 on); use float64 parameters");
    in_tables_ += n_rows * dim;
    return add(product(fan_out(), dim), true, [=](const Surroundings<T>& s) {
      return std::make_unique<EmbeddingLayer<T>>(n_rows, dim, offset, rate, s.input, s.output,
                                                 s.use, s.n_threads, s.propagate, s.accumulate);
    });
  }

  Index add_dropout(double share, bool scales_in_training, std::uint32_t layer_number) {
    return add(fan_out(), false, [=](const Surroundings<T>& s) {
      return std::make_unique<DropoutLayer<T>>(share, scales_in_training, layer_number, s.input,
                                               s.output, s.use == Use::kTraining, s.propagate,
                                               s.accumulate);
    });
  }

  // y = x + the values in an earlier slot.
  Index add_sum(Index skipped) {
    if (skipped < 0 || skipped > static_cast<Index>(steps_.size()) ||
        width_of(skipped) != fan_out())
      throw std::invalid_argument("a residual connection needs an earlier slot of its own width");
    const Index slot = add(fan_out(), false, [](const Surroundings<T>& s) {
      return std::make_unique<AddLayer<T>>(s.input, *s.skipped, s.output, s.propagate, s.accumulate,
                                           s.propagate_skipped, s.accumulate_skipped);
    });
    steps_.back().skipped = skipped;
    return slot;
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

  // Whether sparse rows need not be made dense: the first layer reads them so, and no other layer
  // reads them.
  bool can_take_sparse() const {
    const auto reads_input = [](const Step& step) { return step.skipped == 0; };
    return !steps_.empty() && steps_.front().takes_sparse &&
           std::none_of(steps_.begin(), steps_.end(), reads_input);
  }
  // Whether that is also faster than dense rows, for a table that stores this many numbers.
  bool takes_sparse(Index stored, Index rows) const {
    constexpr double kMostShare = 0.25;
    return can_take_sparse() && static_cast<double>(stored) <= kMostShare *
                                                                   static_cast<double>(rows) *
                                                                   static_cast<double>(fan_in_);
  }

  Index width_of(Index slot) const {
    return slot == 0 ? fan_in_ : steps_[static_cast<std::size_t>(slot - 1)].fan_out;
  }

  Index add(Index fan_out, bool has_parameters, Make make) {
    steps_.push_back({fan_out, has_parameters, -1, std::move(make)});
    open_activation_ = nullptr;
    return static_cast<Index>(steps_.size());
  }

  // Adds a layer of programs side by side, each for its own block of columns. See
  // columns_layer.hpp.
  Index add_columns(std::vector<Program> parts);

 private:
  static Activation<T> find_activation(const std::string& name, T parameter, T blend) {
    for (const auto& known : kActivations<T>)
      if (known.name == name) return known.make(parameter, blend);
    throw std::invalid_argument("unknown activation " + name);
  }

  // The product of two sizes, neither of which may be negative.
  static Index product(Index a, Index b) {
    Index result = 0;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &result))
      throw std::invalid_argument("a layer of " + std::to_string(a) + " x " + std::to_string(b) +
                                  " numbers is too large, or negative");
    return result;
  }
  void check_range(Index offset, Index count) const {
    if (offset < 0 || count < 0 || offset > n_parameters_ || count > n_parameters_ - offset)
      throw std::invalid_argument("a layer's parameters lie outside the flat buffer");
  }

  Index fan_in_;
  Index n_parameters_;
  bool bfloat16_;
  Index in_tables_ = 0;
  std::vector<Step> steps_;
  std::shared_ptr<Activation<T>> open_activation_;  // of a linear layer at the end
};

// The layers and slots of a network for batches of up to `rows` rows.
template <class T>
class Network {
 public:
  // With `sparse`, the rows of a sparse table are not made dense, which the program must support.
  // `propagate`: whether the input's deltas are needed.
  Network(const Program<T>& program, Index rows, Use use, int n_threads, bool sparse = false,
          bool propagate = false)
      : rows_(rows) {
    const bool for_training = use == Use::kTraining;
    const auto n_layers = static_cast<Index>(program.steps().size());
    if (sparse)
      sparse_input_ =
          std::make_unique<SparseRows<T>>(program.fan_in(), rows, n_threads, for_training);
    for (Index slot = 0; slot <= n_layers; ++slot) {
      slots_.push_back(std::make_unique<Slot<T>>(program.width_of(slot),
                                                 slot == 0 && sparse ? 0 : rows,
                                                 for_training && (slot > 0 || propagate)));
      slots_.back()->number = slot;
    }
    std::vector<bool> propagates{propagate};  // does anything before this slot have parameters?
    for (const auto& step : program.steps())
      propagates.push_back(propagates.back() || step.has_parameters);
    layers_.resize(static_cast<std::size_t>(n_layers));
    // Deltas are passed back from the last layer to the first.
    std::vector<bool> passed(slots_.size(), false);
    const auto pass = [&passed](Index slot) {
      const bool before = passed[static_cast<std::size_t>(slot)];
      passed[static_cast<std::size_t>(slot)] = true;
      return before;
    };
    for (Index l = n_layers; l-- > 0;) {
      const auto& step = program.steps()[static_cast<std::size_t>(l)];
      const bool skips = step.skipped >= 0;
      const Index source = skips ? step.skipped : l;
      const bool accumulate = pass(l);
      const bool accumulate_skipped = skips && pass(source);
      layers_[static_cast<std::size_t>(l)] =
          step.make({slot(l), slot(l + 1), skips ? &slot(source) : nullptr, use, n_threads,
                     for_training && propagates[static_cast<std::size_t>(l)], accumulate,
                     for_training && skips && propagates[static_cast<std::size_t>(source)],
                     accumulate_skipped, l == 0 ? sparse_input_.get() : nullptr});
    }
    reads_table_ =
        n_layers > 0 && layers_.front()->reads_table() &&
        std::ranges::none_of(program.steps(), [](const auto& step) { return step.skipped == 0; });
  }

  Index rows() const { return rows_; }
  // Lays the slots out for `rows` rows, at most as many as were allocated.
  void use_rows(Index rows) {
    for (const auto& slot : slots_) slot->rows = rows;
  }
  // Whether the input can be read in the caller's memory, through Pass::table.
  bool reads_table() const { return reads_table_; }
  Slot<T>& input() { return *slots_.front(); }
  Slot<T>& output() { return *slots_.back(); }
  const std::vector<std::unique_ptr<Layer<T>>>& layers() const { return layers_; }

  std::vector<const Slot<T>*> slots() const {
    std::vector<const Slot<T>*> all;
    for (const auto& slot : slots_) all.push_back(slot.get());
    return all;
  }

  Index n_values() const {
    Index count = 0;
    for (const auto& slot : slots_) count += slot->values.size();
    return count;
  }
  Index most_panels() const {
    Index most = 0;
    for (const auto& slot : slots_) most = std::max(most, slot->panels.count());
    return most;
  }

  std::vector<ParameterBlock<T>*> blocks() const {
    std::vector<ParameterBlock<T>*> all;
    for (const auto& layer : layers_)
      for (ParameterBlock<T>* block : layer->blocks()) all.push_back(block);
    return all;
  }

  // If tables and weights are read in place, the flat buffer must not move.
  void load(const T* flat) {
    for (ParameterBlock<T>* block : blocks()) block->set_values(flat);
    refresh(flat);
  }
  // Called after all blocks have been set.
  void refresh(const T* flat) {
    for (const auto& layer : layers_) {
      layer->read_in_place(flat);
      layer->refresh();
    }
  }

  // Allocates what the consecutive batches of `order` need. A null order is that of the table.
  void reserve(const TableView& table, const std::int64_t* order, Index n, Index batch_size) {
    if (sparse_input_) sparse_input_->reserve(most_entries(table, order, n, batch_size));
  }

  // Copies the pass's rows to the input. order[i] is the table's row for row i of the batch.
  void gather(const Examples<T>& examples, const std::int64_t* order, const Pass<T>& pass) {
    if (!sparse_input_) return gather_rows(examples, order, pass.first, pass.last, *slots_.front());
    sparse_input_->gather(examples.table, examples.reader.list, order, pass.first, pass.last,
                          pass.thread, pass.n_threads);
  }

  void forward(const Pass<T>& pass) { forward(pass, 0, std::ssize(layers_)); }
  // The same for layers `first` to `last`, the latter excluded.
  void forward(const Pass<T>& pass, Index first, Index last) {
    for (Index l = first; l < last; ++l) {
      Layer<T>& layer = *layers_[static_cast<std::size_t>(l)];
      if (!pass.by_columns || pass.thread == 0 || layer.shares_columns()) layer.forward(pass);
      if (pass.by_columns) pass.barrier->wait();
    }
  }
  // The index of the first layer whose output differs between samples, or the number of layers if
  // there is none.
  Index first_that_drops() const {
    const auto drops = [](const auto& layer) { return layer->drops(); };
    return std::ranges::find_if(layers_, drops) - layers_.begin();
  }

  void backward(const Pass<T>& pass) {
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) (*layer)->backward(pass);
  }

 private:
  Slot<T>& slot(Index i) { return *slots_[static_cast<std::size_t>(i)]; }

  Index rows_;
  bool reads_table_ = false;
  std::unique_ptr<SparseRows<T>> sparse_input_;  // replaces slot 0 unless null
  std::vector<std::unique_ptr<Slot<T>>> slots_;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
};

}  // namespace pellucid::inline PELLUCID_ISA
