#include "trainer.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <numeric>

namespace pellucid::inline PELLUCID_ISA {
namespace {

// Rows of weights that make a unit of work in the second phase.
constexpr Index kUnitRows = 16;
// Weight matrices above this many bytes do not stay in the second-level cache between steps.
constexpr Index kPrefetchBytes = 256 * 1024;

// `step` is counted from 1. It alone decides the coefficients, so that a step is the same whichever
// run it falls in.
template <class T>
StepCoefficients<T> coefficients(const Optimizer& optimizer, Index step, double penalty) {
  double rate = optimizer.learning_rate;
  double epsilon = optimizer.epsilon;
  if (optimizer.bias_correction) {
    const double root = std::sqrt(1 - std::pow(optimizer.second_decay, static_cast<double>(step)));
    rate *= root / (1 - std::pow(optimizer.first_decay, static_cast<double>(step)));
    if (optimizer.epsilon_corrected) epsilon *= root;
  }
  // An epsilon of zero would make 0 / 0 of a parameter that has never had a gradient.
  epsilon = std::max(epsilon, static_cast<double>(std::numeric_limits<T>::min()));
  return {T(rate),
          T(optimizer.first_decay),
          T(optimizer.first_gain),
          T(optimizer.second_decay),
          T(optimizer.second_gain),
          T(optimizer.epsilon_inside ? epsilon : 0),
          T(optimizer.epsilon_inside ? 0 : epsilon),
          T(1 - optimizer.learning_rate * optimizer.weight_decay),
          T(penalty)};
}

template <class T>
StepCoefficients<T> without_decay(StepCoefficients<T> c) {
  c.penalty = 0;
  c.weight_factor = 1;
  return c;
}

// The first row of thread t's slice.
Index slice(Index rows, int thread, int n_threads) { return rows * thread / n_threads; }

// x - x is 0 for a finite x, and NaN for any other.
template <class T>
bool all_finite(const Buffer<T>& values) {
  Vector<T> differences{};
  for (Index i = 0; i < values.size(); i += kLanes<T>) {
    const Vector<T> v = load(values.data() + i);
    differences += v - v;
  }
  return horizontal_sum<T>(differences) == 0;
}

template <class T>
void prefetch(const T* data, Index count) {
  constexpr Index per_line = 64 / static_cast<Index>(sizeof(T));
  for (Index i = 0; i < count; i += per_line) __builtin_prefetch(data + i, 1, 2);
}

}  // namespace

template <class T>
Trainer<T>::Trainer(Program<T> program, Index batch_size, int n_threads)
    : program_(std::move(program)),
      n_threads_(n_threads),
      network_(program_, true),
      workspace_(program_, batch_size, true),
      scratch_(static_cast<std::size_t>(n_threads)),
      team_size_(n_threads) {
  Index most_panels = 1;
  for (const PackedLayer<T>& packed : network_.layers) {
    moments_.push_back({Buffer<T>(packed.weights.size()), Buffer<T>(packed.weights.size()),
                        Buffer<T>(packed.bias.size()), Buffer<T>(packed.bias.size())});
    most_panels = std::max({most_panels, packed.panels.count(), packed.input_panels.count()});
  }
  for (ThreadScratch& scratch : scratch_) {
    scratch.segments.reserve(static_cast<std::size_t>(most_panels));
    scratch.rows.reserve(static_cast<std::size_t>(3 * Panels<T>(program_.fan_out()).width()));
    scratch.gradient = Buffer<T>(kUnitRows * kMaxTileVectors * kLanes<T>);
  }
  make_units();
  shares_ = share_units(n_threads_);
  whole_ = share_units(1);
  squares_.resize(units_.size());
}

template <class T>
void Trainer<T>::make_units() {
  for (std::size_t l = 0; l < program_.layers.size(); ++l) {
    const Layer<T>& layer = program_.layers[l];
    const PackedLayer<T>& packed = network_.layers[l];
    if (!layer.has_weights) continue;
    for (Index p = 0; p < packed.panels.count(); ++p) {
      for (Index q = 0; q < packed.input_panels.count(); ++q) {
        const Panel& across = packed.input_panels[q];
        const Index end = std::min(across.first + across.width, layer.fan_in);
        for (Index row = across.first; row < end; row += kUnitRows)
          units_.push_back({l, p, row, std::min(kUnitRows, end - row), q});
      }
      if (layer.bias_offset >= 0) units_.push_back({l, p, -1, 1, 0});
    }
  }
}

// Gives each of n_threads consecutive units of nearly equal work.
template <class T>
std::vector<std::size_t> Trainer<T>::share_units(int n_threads) const {
  const auto work = [this](const Unit& unit) {
    return unit.rows * network_.layers[unit.layer].panels[unit.panel].width;
  };
  Index total = 0;
  for (const Unit& unit : units_) total += work(unit);
  std::vector<std::size_t> shares(1, 0);
  Index done = 0;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    // A unit goes to the thread in whose share its middle falls.
    const Index middle = done + work(units_[u]) / 2;
    while (static_cast<int>(shares.size()) < n_threads &&
           middle * n_threads >= total * static_cast<Index>(shares.size()))
      shares.push_back(u);
    done += work(units_[u]);
  }
  shares.resize(static_cast<std::size_t>(n_threads) + 1, units_.size());
  return shares;
}

template <class T>
void Trainer<T>::load_parameters(const T* flat) {
  network_.load_from(program_, flat);
  sum_all_squares();
}

template <class T>
void Trainer<T>::store_parameters(T* flat) const {
  for (std::size_t l = 0; l < program_.layers.size(); ++l) {
    const Layer<T>& layer = program_.layers[l];
    const PackedLayer<T>& packed = network_.layers[l];
    if (!layer.has_weights) continue;
    unpack(packed.weights.data(), layer.fan_in, packed.stored_rows, packed.panels,
           flat + layer.weight_offset);
    if (layer.bias_offset >= 0)
      std::copy_n(packed.bias.data(), layer.fan_out, flat + layer.bias_offset);
  }
}

template <class T>
bool Trainer<T>::parameters_finite() const {
  for (const PackedLayer<T>& packed : network_.layers)
    if (!all_finite(packed.weights) || !all_finite(packed.bias)) return false;
  return true;
}

template <class T>
void Trainer<T>::load_moments(const T* first, const T* second) {
  for (std::size_t l = 0; l < program_.layers.size(); ++l) {
    const Layer<T>& layer = program_.layers[l];
    const PackedLayer<T>& packed = network_.layers[l];
    if (!layer.has_weights) continue;
    const auto take = [&](const T* flat, Buffer<T>& weights, Buffer<T>& bias) {
      weights.clear();
      bias.clear();
      if (flat == nullptr) return;
      pack(flat + layer.weight_offset, layer.fan_in, packed.stored_rows, packed.panels,
           weights.data());
      if (layer.bias_offset >= 0) std::copy_n(flat + layer.bias_offset, layer.fan_out, bias.data());
    };
    take(first, moments_[l].first_weights, moments_[l].first_bias);
    take(second, moments_[l].second_weights, moments_[l].second_bias);
  }
}

template <class T>
void Trainer<T>::store_moments(T* first, T* second) const {
  for (std::size_t l = 0; l < program_.layers.size(); ++l) {
    const Layer<T>& layer = program_.layers[l];
    const PackedLayer<T>& packed = network_.layers[l];
    if (!layer.has_weights) continue;
    const auto give = [&](const Buffer<T>& weights, const Buffer<T>& bias, T* flat) {
      if (flat == nullptr) return;
      unpack(weights.data(), layer.fan_in, packed.stored_rows, packed.panels,
             flat + layer.weight_offset);
      if (layer.bias_offset >= 0) std::copy_n(bias.data(), layer.fan_out, flat + layer.bias_offset);
    };
    give(moments_[l].first_weights, moments_[l].first_bias, first);
    give(moments_[l].second_weights, moments_[l].second_bias, second);
  }
}

template <class T>
void Trainer<T>::sum_all_squares() {
  for (std::size_t u = 0; u < units_.size(); ++u) {
    const Unit& unit = units_[u];
    if (unit.first_row < 0) continue;
    const PackedLayer<T>& packed = network_.layers[unit.layer];
    const Panel& panel = packed.panels[unit.panel];
    squares_[u] = static_cast<double>(sum_of_squares(
        packed.weights.data() + packed.stored_rows * panel.first + unit.first_row * panel.width,
        unit.rows * panel.width));
  }
}

template <class T>
double Trainer<T>::penalty_sum() const {
  return std::accumulate(squares_.begin(), squares_.end(), 0.0);
}

template <class T>
void Trainer<T>::update_unit(std::size_t index, const Step& step, ThreadScratch& scratch) {
  const Unit& unit = units_[index];
  if (unit.first_row < 0) return update_bias(unit, step, scratch);
  PackedLayer<T>& packed = network_.layers[unit.layer];
  Moments& moments = moments_[unit.layer];
  const Panel& panel = packed.panels[unit.panel];
  const Panel& across = packed.input_panels[unit.input_panel];
  const Index stored = workspace_.rows();
  const Segment<T> segment{
      workspace_.input_of(unit.layer) + stored * across.first + (unit.first_row - across.first), 1,
      across.width, step.rows};
  const T* deltas = workspace_.deltas(unit.layer) + stored * panel.first;
  const Index offset = packed.stored_rows * panel.first + unit.first_row * panel.width;
  const Index count = unit.rows * panel.width;
  if (packed.weights.size() * static_cast<Index>(sizeof(T)) > kPrefetchBytes) {
    prefetch(packed.weights.data() + offset, count);
    prefetch(moments.first_weights.data() + offset, count);
    prefetch(moments.second_weights.data() + offset, count);
  }
  T* gradient = scratch.gradient.data();
  const Vector<T> zeros[kMaxTileVectors] = {};
  for_each_tile<T>(unit.rows, panel.width, [&](Index row, Index, TileKernel<T> kernel) {
    kernel(&segment, 1, row, deltas, reinterpret_cast<const T*>(zeros), 0,
           gradient + row * panel.width);
  });
  step.update({packed.weights.data() + offset, moments.first_weights.data() + offset,
               moments.second_weights.data() + offset, gradient, count},
              step.weights);
  if (!step.refresh) return;
  if (step.weights.penalty != 0)
    squares_[index] = static_cast<double>(sum_of_squares(packed.weights.data() + offset, count));
  if (packed.transpose.size() > 0)
    for (Index row = 0; row < unit.rows; row += kLanes<T>)
      PackedNetwork<T>::transpose_rows(packed, panel, unit.first_row + row);
}

template <class T>
void Trainer<T>::update_bias(const Unit& unit, const Step& step, ThreadScratch& scratch) {
  PackedLayer<T>& packed = network_.layers[unit.layer];
  Moments& moments = moments_[unit.layer];
  const Panel& panel = packed.panels[unit.panel];
  // db = sum of dz over the rows: a product with a row of ones.
  const T one = 1;
  const Segment<T> ones{&one, 0, 0, step.rows};
  const Vector<T> zeros[kMaxTileVectors] = {};
  T* gradient = scratch.gradient.data();
  tile_kernel<T>(static_cast<int>(panel.width / kLanes<T>), 1)(
      &ones, 1, 0, workspace_.deltas(unit.layer) + workspace_.rows() * panel.first,
      reinterpret_cast<const T*>(zeros), 0, gradient);
  step.update({packed.bias.data() + panel.first, moments.first_bias.data() + panel.first,
               moments.second_bias.data() + panel.first, gradient, panel.width},
              step.bias);
}

// Returns whether all losses of the thread's rows are finite.
template <class T>
bool Trainer<T>::first_phase(int thread, int n_threads, const Examples<T>& examples,
                             const std::int64_t* order, Index rows, double scale) {
  ThreadScratch& scratch = scratch_[static_cast<std::size_t>(thread)];
  const Index first = slice(rows, thread, n_threads);
  const Index last = slice(rows, thread + 1, n_threads);
  workspace_.gather(examples, order, first, last);
  workspace_.forward(network_, first, last, scratch.segments);
  const double total = workspace_.score(examples, order, first, last, scale, scratch.rows);
  workspace_.backward(network_, first, last, scratch.segments);
  return std::isfinite(total);
}

// The steps that consecutive slices of `order`, n rows in all, make.
template <class T>
void Trainer<T>::run_window(int n_threads, const Examples<T>& examples, const std::int64_t* order,
                            Index n, Index batch_size, const Optimizer& optimizer,
                            double l2_penalty, Index steps_done, Report& report) {
  Barrier barrier(n_threads);
  std::atomic<bool> non_finite{false};
  run_on_team(n_threads, [&](int thread) {
    ThreadScratch& scratch = scratch_[static_cast<std::size_t>(thread)];
    const std::size_t first_unit = shares(n_threads)[static_cast<std::size_t>(thread)];
    const std::size_t last_unit = shares(n_threads)[static_cast<std::size_t>(thread) + 1];
    for (Index start = 0; start < n; start += batch_size) {
      const Index rows = std::min(batch_size, n - start);
      const double scale = 1.0 / static_cast<double>(rows);
      const double penalty = l2_penalty * scale;
      Step step{update_function<T>(optimizer.rule),
                coefficients<T>(optimizer, steps_done + start / batch_size + 1, penalty),
                {},
                rows,
                true};
      step.bias = without_decay(step.weights);
      const double squares = thread == 0 && penalty != 0 ? penalty_sum() : 0.0;
      if (!first_phase(thread, n_threads, examples, order + start, rows, scale)) non_finite = true;
      barrier.wait();
      if (non_finite) return;
      for (std::size_t u = first_unit; u < last_unit; ++u) update_unit(u, step, scratch);
      if (thread == 0) {
        report.objective +=
            workspace_.sum_losses(rows) + 0.5 * penalty * squares * static_cast<double>(rows);
        report.rows += rows;
        ++report.steps;
      }
      barrier.wait();
    }
  });
  report.non_finite = non_finite;
}

template <class T>
Report Trainer<T>::run(const Examples<T>& examples, const std::int64_t* order, Index n,
                       Index batch_size, const Optimizer& optimizer, double l2_penalty,
                       Index steps_done, const std::function<bool()>& poll) {
  const auto now = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  Report report;
  while (report.rows < n && !report.non_finite && !report.interrupted) {
    const Index rows = std::min(n - report.rows, team_size_.steps() * batch_size);
    const Index steps_before = report.steps;
    const double begin = now();
    run_window(team_size_.threads(), examples, order + report.rows, rows, batch_size, optimizer,
               l2_penalty, steps_done + report.steps, report);
    const double end = now();
    const Index steps = std::max<Index>(1, report.steps - steps_before);
    team_size_.record((end - begin) / static_cast<double>(steps), end);
    report.interrupted = poll();
  }
  return report;
}

template <class T>
double Trainer<T>::gradient(const Examples<T>& examples, Index n, T* gradient,
                            const std::function<bool()>& poll, bool& interrupted) {
  load_moments(nullptr, nullptr);
  const Index chunk = workspace_.rows();
  std::vector<std::int64_t> order(static_cast<std::size_t>(chunk));
  Step step{update_function<T>(Rule::kAccumulate), {}, {}, 0, false};
  double total = 0;
  interrupted = false;
  for (Index start = 0; start < n && !interrupted; start += chunk) {
    step.rows = std::min(chunk, n - start);
    std::iota(order.begin(), order.end(), start);
    Barrier barrier(n_threads_);
    run_on_team(n_threads_, [&](int thread) {
      const auto mine = static_cast<std::size_t>(thread);
      first_phase(thread, n_threads_, examples, order.data(), step.rows,
                  1.0 / static_cast<double>(n));
      barrier.wait();
      for (std::size_t u = shares_[mine]; u < shares_[mine + 1]; ++u)
        update_unit(u, step, scratch_[mine]);
    });
    total += workspace_.sum_losses(step.rows);
    interrupted = poll();
  }
  store_moments(gradient, nullptr);
  return total / static_cast<double>(n);
}

template <class T>
void predict(const Program<T>& program, const T* flat, const TableView& table,
             GatherFunction<T> gather, Index n, T* scores, int n_threads) {
  constexpr Index kChunk = 192;
  PackedNetwork<T> network(program, false);
  network.load_from(program, flat);
  const Index chunks = (n + kChunk - 1) / kChunk;
  const int team = static_cast<int>(std::max<Index>(1, std::min<Index>(n_threads, chunks)));
  std::vector<Workspace<T>> workspaces;
  workspaces.reserve(static_cast<std::size_t>(team));
  for (int t = 0; t < team; ++t)
    workspaces.emplace_back(program, std::min(kChunk, std::max<Index>(n, 1)), false);
  const Panels<T> panels(program.fan_out());
  run_on_team(team, [&](int thread) {
    Workspace<T>& workspace = workspaces[static_cast<std::size_t>(thread)];
    std::vector<Segment<T>> segments;
    std::int64_t order[kChunk];
    Examples<T> examples;
    examples.table = table;
    examples.gather = gather;
    for (Index c = chunks * thread / team; c < chunks * (thread + 1) / team; ++c) {
      const Index first = c * kChunk;
      const Index rows = std::min(kChunk, n - first);
      std::iota(order, order + rows, first);
      workspace.gather(examples, order, 0, rows);
      workspace.forward(network, 0, rows, segments);
      unpack(workspace.output(), rows, workspace.rows(), panels, scores + first * panels.columns());
    }
  });
}

template class Trainer<float>;
template class Trainer<double>;
template void predict<float>(const Program<float>&, const float*, const TableView&,
                             GatherFunction<float>, Index, float*, int);
template void predict<double>(const Program<double>&, const double*, const TableView&,
                              GatherFunction<double>, Index, double*, int);

}  // namespace pellucid::inline PELLUCID_ISA
