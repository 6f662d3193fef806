// PeriodicEmbedding: each number x becomes [x, cos(2 pi f x + p) W + b], where each column has its
// own f, p, W and b. The plain reference is src/pellucid/nn/periodic_embedding.py.
#pragma once

#include "mixture.hpp"
#include "summing_layer.hpp"
#include "vector_math.hpp"

namespace pellucid::inline PELLUCID_ISA {

struct PeriodicSpec {
  Index dim = 2;  // including x itself
  Index n_frequencies = 1;
  Place frequencies, phases, weights, biases;
};

template <class T>
class PeriodicLayer final : public SummingLayer<T> {
 public:
  PeriodicLayer(const PeriodicSpec& spec, Slot<T>& input, Slot<T>& output, bool for_training,
                bool propagate, bool accumulate)
      : input_(input),
        output_(output),
        n_columns_(input.panels.columns()),
        n_waves_(spec.n_frequencies),
        n_mixed_(spec.dim - 1),
        x_(input),
        y_(output),
        propagate_(propagate),
        accumulate_(accumulate) {
    const Index waves = n_columns_ * n_waves_;
    learned_.emplace_back(spec.frequencies, waves, true, for_training);
    learned_.emplace_back(spec.phases, waves, false, for_training);
    learned_.emplace_back(spec.weights, waves * n_mixed_, true, for_training);
    learned_.emplace_back(spec.biases, n_columns_ * n_mixed_, false, for_training);
    if (propagate) dx_ = Transposed<T>(input);
  }

  void forward(const Pass<T>& pass) override {
    x_.take(input_, input_.values.data(), pass.first, pass.last);
    for (Index j = 0; j < n_columns_; ++j)
      for_each_run(pass.first, pass.last, kLanes<T>,
                   [&](Index row, Index count) { embed(j, row, count); });
    y_.give(output_, output_.values.data(), pass.first, pass.last, false);
  }

  void backward(const Pass<T>& pass) override {
    y_.take(output_, output_.deltas.data(), pass.first, pass.last);
    if (propagate_) pass_on(pass);
    pass.barrier->wait();
    const auto [first, last] = this->share(n_columns_ * n_waves_, pass);
    for (Index wave = first; wave < last; ++wave) sum_gradients(wave, pass.rows);
  }

 private:
  using SummingLayer<T>::learned_;
  enum Array : std::size_t { kFrequencies, kPhases, kWeights, kBiases };
  static constexpr T kTwoPi = T(6.28318530717958647693);

  // A parameter array's values and gradient, from an offset on.
  const T* values(Array array, Index from) const { return learned_[array].values() + from; }
  T* gradient(Array array, Index from) { return learned_[array].gradient.data() + from; }
  // The deltas of the mixtures of column j's waves, from a row on.
  const T* mixed_deltas(Index j, Index row) const {
    return y_.column(j * (1 + n_mixed_) + 1) + row;
  }

  // The angles 2 pi f x + p of one wave.
  void angles_of(Index wave, Index row, Index rows, T* angles) const {
    const T* x = x_.column(wave / n_waves_) + row;
    const T frequency = *values(kFrequencies, wave), phase = *values(kPhases, wave);
    for_each_run(0, rows, kLanes<T>, [&](Index i, Index count) {
      store<T>(angles + i, load_some(x + i, count) * kTwoPi * frequency + phase);
    });
  }

  void embed(Index j, Index row, Index count) {
    alignas(64) T angles[kRunRows<T>], waves[kRunRows<T>];
    T* outputs = y_.column(j * (1 + n_mixed_)) + row;
    store_some(outputs, load_some(x_.column(j) + row, count), count);
    for_each_run(0, n_waves_, kRunVectors, [&](Index first, Index n) {
      const Index wave = j * n_waves_ + first;
      for (Index k = 0; k < n; ++k) angles_of(wave + k, row, count, angles + k * kLanes<T>);
      sines(angles, n * kLanes<T>, T(0.5), waves);
      mix(waves, n, values(kWeights, wave * n_mixed_),
          first == 0 ? values(kBiases, j * n_mixed_) : nullptr, n_mixed_, outputs + y_.stride(),
          y_.stride(), count);
    });
  }

  // The gradients of one wave over the whole batch. With the wave's angle u, c = cos u and dc = dy
  // W: dW = sum of c dy, du = -sin(u) dc, dp = sum of du, df = 2 pi sum of x du.
  void sum_gradients(Index wave, Index rows) {
    alignas(64) T angles[kRunRows<T>], waves[kRunRows<T>], dwaves[kRunRows<T>];
    const Index j = wave / n_waves_;
    const T* weights = values(kWeights, wave * n_mixed_);
    T* dweights = gradient(kWeights, wave * n_mixed_);
    std::fill_n(dweights, n_mixed_, T(0));
    Vector<T> by_frequency{}, by_phase{};
    for_each_run(0, rows, kRunRows<T>, [&](Index first, Index n) {
      const T* deltas = mixed_deltas(j, first);
      const Index padded = round_up(n, kLanes<T>);
      angles_of(wave, first, n, angles);
      sines(angles, padded, T(0.5), waves);
      add_products(waves, deltas, y_.stride(), n, n_mixed_, dweights);
      sines(angles, padded, T(0), waves);
      unmix(deltas, y_.stride(), n, weights, n_mixed_, dwaves);
      for_each_run(0, n, kLanes<T>, [&](Index i, Index count) {
        const Vector<T> du = load(waves + i) * load(dwaves + i);
        by_phase -= du;
        by_frequency -= du * load_some(x_.column(j) + first + i, count);
      });
    });
    *gradient(kFrequencies, wave) = kTwoPi * horizontal_sum<T>(by_frequency);
    *gradient(kPhases, wave) = horizontal_sum<T>(by_phase);
    if (wave % n_waves_ == 0)
      sum_deltas(mixed_deltas(j, 0), y_.stride(), rows, n_mixed_, gradient(kBiases, j * n_mixed_));
  }

  // dx = (dy of x itself) + 2 pi sum over the waves of f du.
  void pass_on(const Pass<T>& pass) {
    alignas(64) T angles[kLanes<T>], waves[kLanes<T>], dwaves[kLanes<T>];
    for (Index j = 0; j < n_columns_; ++j)
      for_each_run(pass.first, pass.last, kLanes<T>, [&](Index row, Index count) {
        Vector<T> sum{};
        for (Index wave = j * n_waves_; wave < (j + 1) * n_waves_; ++wave) {
          angles_of(wave, row, count, angles);
          sines(angles, kLanes<T>, T(0), waves);
          unmix(mixed_deltas(j, row), y_.stride(), count, values(kWeights, wave * n_mixed_),
                n_mixed_, dwaves);
          sum -= load(waves) * load(dwaves) * *values(kFrequencies, wave);
        }
        const Vector<T> direct = load_some(y_.column(j * (1 + n_mixed_)) + row, count);
        store_some(dx_.column(j) + row, direct + kTwoPi * sum, count);
      });
    dx_.give(input_, input_.deltas.data(), pass.first, pass.last, accumulate_);
  }

  Slot<T>& input_;
  Slot<T>& output_;
  Index n_columns_, n_waves_, n_mixed_;
  Transposed<T> x_;
  Transposed<T> y_;  // values, and then deltas, of the output
  Transposed<T> dx_;
  bool propagate_, accumulate_;
};

}  // namespace pellucid::inline PELLUCID_ISA
