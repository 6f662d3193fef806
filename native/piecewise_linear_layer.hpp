// PiecewiseLinearEmbedding: how far each number is through each of its column's bins, or mixtures
// of these components. The plain reference is src/pellucid/nn/piecewise_linear_embedding.py.
#pragma once

#include "mixture.hpp"
#include "summing_layer.hpp"

namespace pellucid::inline PELLUCID_ISA {

struct PiecewiseLinearSpec {
  std::vector<std::vector<double>> edges;  // of each column, increasing
  Index dim = 0;                           // of the mixtures; 0 returns the components themselves
  Place weights, biases;

  Index n_components() const {
    Index count = 0;
    for (const auto& column : edges) count += static_cast<Index>(column.size()) - 1;
    return count;
  }
};

template <class T>
class PiecewiseLinearLayer final : public SummingLayer<T> {
 public:
  PiecewiseLinearLayer(const PiecewiseLinearSpec& spec, Slot<T>& input, Slot<T>& output,
                       bool for_training, bool propagate, bool accumulate)
      : input_(input),
        output_(output),
        dim_(spec.dim),
        x_(input),
        y_(output),
        propagate_(propagate),
        accumulate_(accumulate) {
    for (const auto& edges : spec.edges) add_ramps(edges);
    if (dim_ > 0) {
      learned_.emplace_back(spec.weights, n_ramps() * dim_, true, for_training);
      learned_.emplace_back(spec.biases, n_columns() * dim_, false, for_training);
    }
    if (propagate) dx_ = Transposed<T>(input);
  }

  void forward(const Pass<T>& pass) override {
    x_.take(input_, input_.values.data(), pass.first, pass.last);
    for (Index j = 0; j < n_columns(); ++j)
      for_each_run(pass.first, pass.last, kLanes<T>,
                   [&](Index row, Index count) { embed(j, row, count); });
    y_.give(output_, output_.values.data(), pass.first, pass.last, false);
  }

  void backward(const Pass<T>& pass) override {
    if (dim_ == 0 && !propagate_) return;
    y_.take(output_, output_.deltas.data(), pass.first, pass.last);
    if (propagate_) pass_on(pass);
    if (dim_ == 0) return;
    pass.barrier->wait();
    const auto [first, last] = this->share(n_ramps(), pass);
    for (Index ramp = first; ramp < last; ++ramp) sum_gradients(ramp, pass.rows);
  }

 private:
  using SummingLayer<T>::learned_;
  static constexpr std::size_t kWeights = 0, kBiases = 1;

  // One component: (x - lower) / width, clipped to [low, high].
  struct Ramp {
    T lower, width, low, high;
    Index column;

    Vector<T> free(Vector<T> x) const { return (x - lower) / width; }
    Vector<T> held(Vector<T> x) const {
      const Vector<T> ramp = free(x);
      const Vector<T> from_low = ramp < low ? broadcast<T>(low) : ramp;  // NaN stays NaN
      return from_low > high ? broadcast<T>(high) : from_low;
    }
    // Its derivative. At an inner edge, it is 0 for both components.
    Vector<T> slope(Vector<T> x) const {
      const Vector<T> ramp = free(x);
      return ((ramp > low) & (ramp < high)) ? broadcast<T>(T(1) / width) : Vector<T>{};
    }
  };

  // The first component has no lower limit, the last no upper one.
  void add_ramps(const std::vector<double>& edges) {
    constexpr T infinity = std::numeric_limits<T>::infinity();
    const std::size_t last = edges.size() - 2;
    first_ramps_.push_back(n_ramps());
    for (std::size_t t = 0; t <= last; ++t)
      ramps_.push_back({T(edges[t]), T(edges[t + 1] - edges[t]), t == 0 ? -infinity : T(0),
                        t == last ? infinity : T(1), n_columns() - 1});
  }

  Index n_columns() const { return static_cast<Index>(first_ramps_.size()); }
  Index n_ramps() const { return static_cast<Index>(ramps_.size()); }
  const Ramp& ramp(Index i) const { return ramps_[static_cast<std::size_t>(i)]; }
  Index first_ramp(Index j) const {
    return j < n_columns() ? first_ramps_[static_cast<std::size_t>(j)] : n_ramps();
  }
  const T* weights_of(Index ramp) const { return learned_[kWeights].values() + ramp * dim_; }

  void embed(Index j, Index row, Index count) {
    alignas(64) T components[kRunRows<T>];
    const Vector<T> x = load_some(x_.column(j) + row, count);
    for_each_run(first_ramp(j), first_ramp(j + 1), kRunVectors, [&](Index first, Index n) {
      for (Index k = 0; k < n; ++k) {
        const Vector<T> component = ramp(first + k).held(x);
        if (dim_ == 0)
          store_some(y_.column(first + k) + row, component, count);
        else
          store<T>(components + k * kLanes<T>, component);
      }
      if (dim_ == 0) return;
      const T* biases = learned_[kBiases].values() + j * dim_;
      mix(components, n, weights_of(first), first == first_ramp(j) ? biases : nullptr, dim_,
          y_.column(j * dim_) + row, y_.stride(), count);
    });
  }

  // dW = sum of c dy over the whole batch for one component c. With a column's first component,
  // also db = sum of dy.
  void sum_gradients(Index i, Index rows) {
    alignas(64) T components[kRunRows<T>];
    const Index j = ramp(i).column;
    T* dweights = learned_[kWeights].gradient.data() + i * dim_;
    std::fill_n(dweights, dim_, T(0));
    for_each_run(0, rows, kRunRows<T>, [&](Index first, Index n) {
      for_each_run(0, n, kLanes<T>, [&](Index row, Index count) {
        store<T>(components + row, ramp(i).held(load_some(x_.column(j) + first + row, count)));
      });
      add_products(components, y_.column(j * dim_) + first, y_.stride(), n, dim_, dweights);
    });
    if (i == first_ramp(j))
      sum_deltas(y_.column(j * dim_), y_.stride(), rows, dim_,
                 learned_[kBiases].gradient.data() + j * dim_);
  }

  // dx = sum over the column's components of dc times the slope.
  void pass_on(const Pass<T>& pass) {
    alignas(64) T dcomponent[kLanes<T>];
    for (Index j = 0; j < n_columns(); ++j)
      for_each_run(pass.first, pass.last, kLanes<T>, [&](Index row, Index count) {
        const Vector<T> x = load_some(x_.column(j) + row, count);
        Vector<T> dx{};
        for (Index i = first_ramp(j); i < first_ramp(j + 1); ++i) {
          if (dim_ == 0)
            store<T>(dcomponent, load_some(y_.column(i) + row, count));
          else
            unmix(y_.column(j * dim_) + row, y_.stride(), count, weights_of(i), dim_, dcomponent);
          dx += load(dcomponent) * ramp(i).slope(x);
        }
        store_some(dx_.column(j) + row, dx, count);
      });
    dx_.give(input_, input_.deltas.data(), pass.first, pass.last, accumulate_);
  }

  Slot<T>& input_;
  Slot<T>& output_;
  Index dim_;
  std::vector<Ramp> ramps_;  // of all columns
  std::vector<Index> first_ramps_;
  Transposed<T> x_;
  Transposed<T> y_;  // values, and then deltas, of the output
  Transposed<T> dx_;
  bool propagate_, accumulate_;
};

}  // namespace pellucid::inline PELLUCID_ISA
