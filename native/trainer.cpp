#include "trainer.hpp"

#include <chrono>
#include <cmath>
#include <numeric>

namespace pellucid::inline PELLUCID_ISA {
namespace {

// Parameter blocks above this many bytes do not stay in the second-level cache between steps.
constexpr Index kPrefetchBytes = 256 * 1024;

// `step` is counted from 1. The coefficients depend only on it, so that a step is the same in
// whichever run it is taken.
template <class T>
StepCoefficients<T> coefficients(const Plan& plan, double rate, double decay, Index step,
                                 Index rows) {
  const Optimizer& optimizer = plan.optimizer;
  double corrected = rate;
  double epsilon = optimizer.epsilon;
  if (optimizer.bias_correction) {
    const double root = std::sqrt(1 - std::pow(optimizer.second_decay, static_cast<double>(step)));
    corrected *= root / (1 - std::pow(optimizer.first_decay, static_cast<double>(step)));
    if (optimizer.epsilon_corrected) epsilon *= root;
  }
  // An epsilon of zero would give 0 / 0 for a parameter that has never had a gradient.
  epsilon = std::max(epsilon, static_cast<double>(std::numeric_limits<T>::min()));
  return {T(corrected),
          T(optimizer.first_decay),
          T(optimizer.first_gain),
          T(optimizer.second_decay),
          T(optimizer.second_gain),
          T(optimizer.epsilon_inside ? epsilon : 0),
          T(optimizer.epsilon_inside ? 0 : epsilon),
          T(rate * decay),
          T(plan.l2_penalty / static_cast<double>(rows))};
}

// The coefficients for one block. Only weights decay, and a block may have its own rate.
template <class T>
StepCoefficients<T> for_block(StepCoefficients<T> c, const ParameterBlock<T>& block) {
  if (!block.decays) {
    c.penalty = 0;
    c.decay = 0;
  }
  if (block.rate_factor != 1) {
    c.learning_rate *= T(block.rate_factor);
    c.decay *= T(block.rate_factor);
  }
  return c;
}

// The first row of a thread's slice. It is even, since a layer may keep rows in pairs.
Index slice(Index rows, int thread, int n_threads) {
  return std::min(rows, round_up(rows * thread / n_threads, 2));
}

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

// The address of a number, or null in an empty buffer.
template <class T>
T* number_at(Buffer<T>& numbers, Index place) {
  return numbers.size() > 0 ? numbers.data() + place : nullptr;
}

// The numbers that the gradient of active row `i` updates.
template <class T>
ParameterRange<T> active_range(ParameterBlock<T>& block, const ActiveRows<T>& active, Index i) {
  const Index offset = active.offsets[i];
  return {block.values.data() + offset, number_at(block.first, offset),
          number_at(block.second, offset), active.gradients + i * active.stride, active.length};
}

template <class T>
double squares_of(const ActiveRows<T>& active) {
  return sum_of_large_squares(active.gradients, active.count * active.stride);
}

template <class T>
void prefetch(const T* data, Index count) {
  constexpr Index per_line = 64 / static_cast<Index>(sizeof(T));
  for (Index i = 0; i < count; i += per_line) __builtin_prefetch(data + i, 1, 2);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

template <class T>
Trainer<T>::Trainer(const Program<T>& program, Index batch_size, int n_threads, bool adapts,
                    bool sparse)
    : n_parameters_(program.n_parameters()),
      n_threads_(n_threads),
      network_(program, batch_size, Use::kTraining, n_threads, sparse),
      scorer_(program.loss, program.loss_parameter, network_.output()),
      scratch_(static_cast<std::size_t>(n_threads)),
      blocks_(network_.blocks()),
      order_(static_cast<std::size_t>(batch_size)),
      team_size_(n_threads, adapts) {
  for (ThreadScratch& scratch : scratch_) {
    scratch.segments.reserve(static_cast<std::size_t>(network_.most_panels()));
    scratch.rows.reserve(static_cast<std::size_t>(3 * network_.output().panels.width()));
    scratch.gradient = Buffer<T>(kUnitSize<T>);
  }
  for (const auto& layer : network_.layers())
    for (Index unit = 0; unit < layer->n_units(); ++unit)
      if (layer->unit_range(unit).block != nullptr)
        units_.push_back({layer.get(), unit, layer->unit_range(unit)});
  whole_ = share_units(1);
  squares_.resize(units_.size());
  norms_.resize(units_.size());
  kept_.resize(units_.size());
  clip_factors_.assign(units_.size(), T(1));
}

// Gives each of n_threads threads consecutive units of nearly equal work.
template <class T>
std::vector<std::size_t> Trainer<T>::share_units(int n_threads) const {
  Index total = 0;
  for (const Unit& unit : units_) total += unit.layer->unit_work(unit.index);
  std::vector<std::size_t> shares(1, 0);
  Index done = 0;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    // A unit goes to the thread whose share contains its middle.
    const Index work = units_[u].layer->unit_work(units_[u].index);
    const Index middle = done + work / 2;
    while (static_cast<int>(shares.size()) < n_threads &&
           middle * n_threads >= total * static_cast<Index>(shares.size()))
      shares.push_back(u);
    done += work;
  }
  shares.resize(static_cast<std::size_t>(n_threads) + 1, units_.size());
  return shares;
}

template <class T>
const std::vector<std::size_t>& Trainer<T>::shares(int n_threads) {
  if (n_threads == 1) return whole_;
  // Teams differ in size if the system refuses threads.
  const auto size = static_cast<std::size_t>(n_threads) + 1;
  if (shares_.size() != size) shares_ = share_units(n_threads);
  return shares_;
}

template <class T>
void Trainer<T>::load_parameters(const T* flat) {
  network_.load(flat);
  for (std::size_t u = 0; u < units_.size(); ++u) sum_squares(u);
}

template <class T>
void Trainer<T>::store_parameters(T* flat) const {
  for (const ParameterBlock<T>* block : blocks_) block->store(block->values, flat);
}

template <class T>
bool Trainer<T>::parameters_finite() const {
  return std::all_of(blocks_.begin(), blocks_.end(),
                     [](const ParameterBlock<T>* block) { return all_finite(block->values); });
}

template <class T>
void Trainer<T>::load_moments(const T* first, const T* second) {
  for (ParameterBlock<T>* block : blocks_) {
    block->allocate_moments(first != nullptr, second != nullptr);
    if (first != nullptr) block->load(first, block->first);
    if (second != nullptr) block->load(second, block->second);
  }
}

template <class T>
void Trainer<T>::store_moments(T* first, T* second) const {
  for (const ParameterBlock<T>* block : blocks_) {
    if (first != nullptr && block->first.size() > 0) block->store(block->first, first);
    if (second != nullptr && block->second.size() > 0) block->store(block->second, second);
  }
}

template <class T>
void Trainer<T>::sum_squares(std::size_t unit) {
  const UnitRange<T>& range = units_[unit].range;
  if (!range.block->decays) return;
  squares_[unit] =
      static_cast<double>(sum_of_squares(range.block->values.data() + range.offset, range.count));
}

template <class T>
void Trainer<T>::keep_gradients(bool keep) {
  for (ParameterBlock<T>* block : blocks_)
    if (keep && block->gradient.size() == 0 && !block->row_sparse)
      block->gradient = Buffer<T>(block->size());
}

template <class T>
Pass<T> Trainer<T>::make_pass(int thread, int n_threads, Index rows, Barrier& barrier) {
  ThreadScratch& scratch = scratch_[static_cast<std::size_t>(thread)];
  scratch.wrong_id = {};
  Pass<T> pass;
  pass.first = slice(rows, thread, n_threads);
  pass.last = slice(rows, thread + 1, n_threads);
  pass.rows = rows;
  pass.thread = thread;
  pass.n_threads = n_threads;
  pass.barrier = &barrier;
  pass.segments = &scratch.segments;
  pass.wrong_id = &scratch.wrong_id;
  return pass;
}

// `scale` is 1 / the number of rows in the average of the loss.
template <class T>
void Trainer<T>::first_phase(const Pass<T>& pass, const Examples<T>& examples,
                             const std::int64_t* given, double scale, Stop& stop) {
  // Each thread checks its own rows and then reads the checked copy.
  std::int64_t* const order = order_.data();
  for (Index row = pass.first; row < pass.last; ++row)
    order[row] = checked_row(given[row], examples.table.rows);
  network_.gather(examples, order, pass);
  network_.forward(pass);
  if (pass.observer != nullptr) pass.observer->look_at_values(pass.thread, pass.first, pass.last);
  double total = 0;
  if (examples.loss == nullptr) {
    total = scorer_.score(examples, order, pass.first, pass.last, scale,
                          scratch_[static_cast<std::size_t>(pass.thread)].rows);
  } else {
    pass.barrier->wait();
    const T share = T(scale * static_cast<double>(pass.rows));
    if (pass.thread == 0 && !stop.now() &&
        !scorer_.score_outside(*examples.loss, given, pass.rows, share, total))
      stop.asked = true;
    pass.barrier->wait(Barrier::Expected::kLong);
    if (stop.asked) return;
  }
  network_.backward(pass);
  if (!std::isfinite(total) || pass.wrong_id->n_rows > 0) stop.non_finite = true;
}

// Computes the gradient of a unit: of its range, written to `into`, or of its table's active rows.
template <class T>
ActiveRows<T> Trainer<T>::unit_gradient(std::size_t unit, Index rows, T* into) {
  const auto& [layer, index, range] = units_[unit];
  if (range.block->row_sparse) return layer->active_rows(index);
  layer->unit_gradient(index, rows, into);
  return {&range.offset, 1, range.count, range.count, into};
}

template <class T>
void Trainer<T>::update_unit(std::size_t unit, const Step& step, const ActiveRows<T>& active,
                             ThreadScratch& scratch) {
  const auto& [layer, index, range] = units_[unit];
  ParameterBlock<T>& block = *range.block;
  const StepCoefficients<T> c = for_block(step.coefficients, block);
  if (step.measured) {
    update_measured(unit, step, active, scratch);
  } else {
    for (Index i = 0; i < active.count; ++i)
      update_ragged_range(step.update, active_range(block, active, i), c);
  }
  if (step.plan->l2_penalty != 0) sum_squares(unit);
  layer->unit_updated(index);
}

// Tables have no penalty.
template <class T>
void Trainer<T>::penalize_unit(std::size_t unit, const Step& step, T* gradient) {
  const UnitRange<T>& range = units_[unit].range;
  const T penalty = for_block(step.coefficients, *range.block).penalty;
  if (penalty != 0)
    add_penalty(gradient, range.block->values.data() + range.offset, range.count, penalty);
}

// The same update, with the squared norms of the gradient, the weights and the change.
template <class T>
void Trainer<T>::update_measured(std::size_t unit, const Step& step, const ActiveRows<T>& active,
                                 ThreadScratch& scratch) {
  ParameterBlock<T>& block = *units_[unit].range.block;
  penalize_unit(unit, step, active.gradients);
  StepCoefficients<T> c = for_block(step.coefficients, block);
  c.penalty = 0;
  // If gradients are clipped, their squares were computed before.
  UnitSquares squares;
  squares.gradient = step.plan->clip == Clip::kNone ? squares_of(active) : norms_[unit];
  T* before = scratch.before.data();
  for (Index i = 0; i < active.count; ++i) {
    const ParameterRange<T> range = active_range(block, active, i);
    std::copy_n(range.values, active.length, before);
    std::fill(before + active.length, before + active.stride, T(0));
    squares.weights += static_cast<double>(sum_of_squares(before, active.stride));
    update_ragged_range(step.update, range, c);
    for (Index n = 0; n < active.length; ++n) before[n] -= range.values[n];
    squares.update += static_cast<double>(sum_of_squares(before, active.stride));
  }
  measured_[unit] = squares;
}

template <class T>
StepStatistics Trainer<T>::measured_step(Index step, int n_threads) {
  StepStatistics result;
  result.step = step;
  observer_->collect(n_threads, result);
  for (const ParameterBlock<T>* block : blocks_) {
    UnitSquares total;
    for (std::size_t u = 0; u < units_.size(); ++u) {
      if (units_[u].range.block != block) continue;
      total.gradient += measured_[u].gradient;
      total.update += measured_[u].update;
      total.weights += measured_[u].weights;
    }
    for (const double squares : {total.gradient, total.update, total.weights})
      result.norms.push_back(std::sqrt(squares));
  }
  return result;
}

template <class T>
std::vector<Index> Trainer<T>::block_offsets() const {
  std::vector<Index> offsets;
  for (const ParameterBlock<T>* block : blocks_) offsets.push_back(block->flat_offset);
  return offsets;
}

// Computes a unit's gradient and updates it at once, which needs nothing of the other units.
template <class T>
void Trainer<T>::unit_step(std::size_t unit, const Step& step, ThreadScratch& scratch) {
  const auto& [layer, index, range] = units_[unit];
  if (step.skips_still && layer->unit_is_still(index)) return;
  ParameterBlock<T>& block = *range.block;
  if (block.size() * static_cast<Index>(sizeof(T)) > kPrefetchBytes) {
    for (const Buffer<T>* numbers : {&block.values, &block.first, &block.second})
      if (numbers->size() > 0) prefetch(numbers->data() + range.offset, range.count);
  }
  const ActiveRows<T> active = unit_gradient(unit, step.rows, scratch.gradient.data());
  if (step.plan->clip == Clip::kValue) {
    // The penalty is clipped with the gradient, so it must not be added again.
    penalize_unit(unit, step, active.gradients);
    if (step.measured) norms_[unit] = squares_of(active);
    clip_range(active.gradients, active.count * active.stride, T(step.plan->clip_limit));
    Step without = step;
    without.coefficients.penalty = 0;
    update_unit(unit, without, active, scratch);
    return;
  }
  update_unit(unit, step, active, scratch);
}

template <class T>
void Trainer<T>::keep_unit_gradient(std::size_t unit, const Step& step) {
  const UnitRange<T>& range = units_[unit].range;
  T* room = number_at(range.block->gradient, range.offset);
  const ActiveRows<T> active = unit_gradient(unit, step.rows, room);
  penalize_unit(unit, step, active.gradients);
  norms_[unit] = squares_of(active);
  kept_[unit] = active;
}

template <class T>
void Trainer<T>::prepare_to_measure() {
  if (observer_) return;
  observer_.emplace(network_.slots(), n_threads_);
  measured_.resize(units_.size());
  Index most = kUnitSize<T>;
  for (const ParameterBlock<T>* block : blocks_)
    if (block->row_sparse) most = std::max(most, round_up(block->panels.columns(), kLanes<T>));
  for (ThreadScratch& scratch : scratch_) scratch.before = Buffer<T>(most);
}

// Computes the factor of each unit's gradient that keeps norms within the limit.
template <class T>
void Trainer<T>::find_clip_factors(const Plan& plan, Stop& stop) {
  const auto factor = [&](double squares) {
    const double norm = std::sqrt(squares);
    // Scaled to the limit, such a gradient would be zero, or not a number.
    if (!std::isfinite(norm)) stop.non_finite = true;
    return T(norm > plan.clip_limit ? plan.clip_limit / norm : 1.0);
  };
  if (plan.clip == Clip::kGlobalNorm) {
    clip_factors_.assign(units_.size(), factor(std::accumulate(norms_.begin(), norms_.end(), 0.0)));
    return;
  }
  for (const ParameterBlock<T>* block : blocks_) {
    double squares = 0;
    for (std::size_t u = 0; u < units_.size(); ++u)
      if (units_[u].range.block == block) squares += norms_[u];
    for (std::size_t u = 0; u < units_.size(); ++u)
      if (units_[u].range.block == block) clip_factors_[u] = factor(squares);
  }
}

template <class T>
void Trainer<T>::run_window(int most_threads, const Window& window, Report& report) {
  const auto& [examples, order, plan, schedules, steps_done, epoch, first, last] = window;
  Team team(most_threads);
  const int n_threads = team.size();
  const std::vector<std::size_t>& unit_shares = shares(n_threads);
  Barrier& barrier = team.barrier();
  Stop stop;
  const bool clips_norms = plan.clip == Clip::kNorm || plan.clip == Clip::kGlobalNorm;
  team.run([&](int thread) {
    ThreadScratch& scratch = scratch_[static_cast<std::size_t>(thread)];
    const std::size_t first_unit = unit_shares[static_cast<std::size_t>(thread)];
    const std::size_t last_unit = unit_shares[static_cast<std::size_t>(thread) + 1];
    for (Index i = first; i < last; ++i) {
      const Index rows = order.count_of(i);
      const Index number = steps_done + i + 1;
      const double scale = 1.0 / static_cast<double>(rows);
      const bool measured = plan.statistics_every > 0 && number % plan.statistics_every == 0;
      Step step{&plan,
                update_function<T>(plan.optimizer.rule),
                coefficients<T>(plan, schedules.rates[i], schedules.decays[i], number, rows),
                rows,
                measured,
                plan.optimizer.rule == Rule::kSgd && plan.l2_penalty == 0 &&
                    schedules.decays[i] == 0 && !measured};
      Pass<T> pass = make_pass(thread, n_threads, rows, barrier);
      pass.training = true;
      pass.dropout_factor = schedules.drop_factors[i];
      pass.key = {plan.seed, epoch + static_cast<std::uint32_t>(order.epoch_of(i)),
                  static_cast<std::uint32_t>(number)};
      if (step.measured) {
        pass.observer = &*observer_;
        pass.observer->start(thread);
      }
      double squares = 0;
      if (thread == 0 && plan.l2_penalty != 0)
        squares = std::accumulate(squares_.begin(), squares_.end(), 0.0);
      if (!std::isfinite(squares)) stop.non_finite = true;
      first_phase(pass, examples, order.rows_of(i), scale, stop);
      barrier.wait();
      if (stop.now()) return;
      if (clips_norms) {
        for (std::size_t u = first_unit; u < last_unit; ++u) keep_unit_gradient(u, step);
        barrier.wait();
        if (thread == 0) find_clip_factors(plan, stop);
        barrier.wait();
        if (stop.now()) return;
        step.coefficients.penalty = 0;
        for (std::size_t u = first_unit; u < last_unit; ++u) {
          const ActiveRows<T>& active = kept_[u];
          scale_range(active.gradients, active.count * active.stride, clip_factors_[u]);
          update_unit(u, step, active, scratch);
        }
      } else {
        for (std::size_t u = first_unit; u < last_unit; ++u) unit_step(u, step, scratch);
      }
      if (thread == 0) {
        const double penalty = 0.5 * plan.l2_penalty * scale * squares;
        report.objectives[static_cast<std::size_t>(order.epoch_of(i))] +=
            scorer_.sum_losses(rows) + penalty * static_cast<double>(rows);
        ++report.steps;
      }
      barrier.wait();
      if (step.measured) {
        if (thread == 0) report.statistics.push_back(measured_step(number, n_threads));
        barrier.wait();
      }
    }
  });
  report.non_finite = stop.non_finite;
  report.interrupted = stop.asked;
}

template <class T>
Report Trainer<T>::run(const Examples<T>& examples, const Order& order, const Plan& plan,
                       const Schedules& schedules, Index steps_done, std::uint32_t epoch,
                       const std::function<bool()>& poll) {
  keep_gradients(plan.clip == Clip::kNorm || plan.clip == Clip::kGlobalNorm);
  if (plan.statistics_every > 0) prepare_to_measure();
  const Rule rule = plan.optimizer.rule;
  for (ParameterBlock<T>* block : blocks_)
    block->allocate_moments(keeps_first(rule), keeps_second(rule));
  for (Index e = 0; e < order.n_epochs; ++e)
    network_.reserve(examples.table, order.rows + e * order.epoch_rows, order.epoch_rows,
                     order.batch_size);
  Report report;
  report.objectives.resize(static_cast<std::size_t>(order.n_epochs));
  while (report.steps < order.steps() && !report.non_finite && !report.interrupted) {
    const Index first = report.steps;
    const Index last = std::min(order.steps(), first + team_size_.steps());
    const double begin = now();
    run_window(team_size_.threads(),
               {examples, order, plan, schedules, steps_done, epoch, first, last}, report);
    const double end = now();
    const Index steps = std::max<Index>(1, report.steps - first);
    team_size_.record((end - begin) / static_cast<double>(steps), end);
    if (!report.interrupted) report.interrupted = poll();
  }
  return report;
}

template <class T>
double Trainer<T>::gradient(const Examples<T>& examples, Index n, T* gradient,
                            const std::function<bool()>& poll, bool& interrupted) {
  for (ParameterBlock<T>* block : blocks_) {
    block->allocate_moments(true, false);
    block->first.clear();
  }
  const Index chunk = network_.rows();
  network_.reserve(examples.table, nullptr, n, chunk);
  std::vector<std::int64_t> order(static_cast<std::size_t>(chunk));
  const Plan plan;
  Step step{&plan, update_function<T>(Rule::kAccumulate), {}, 0, false, true};
  double total = 0;
  interrupted = false;
  for (Index start = 0; start < n && !interrupted; start += chunk) {
    step.rows = std::min(chunk, n - start);
    std::iota(order.begin(), order.end(), start);
    Team team(n_threads_);
    const int n_threads = team.size();
    const std::vector<std::size_t>& unit_shares = shares(n_threads);
    Barrier& barrier = team.barrier();
    Stop stop;
    team.run([&](int thread) {
      const auto mine = static_cast<std::size_t>(thread);
      first_phase(make_pass(thread, n_threads, step.rows, barrier), examples, order.data(),
                  1.0 / static_cast<double>(n), stop);
      barrier.wait();
      if (stop.asked) return;
      for (std::size_t u = unit_shares[mine]; u < unit_shares[mine + 1]; ++u)
        unit_step(u, step, scratch_[mine]);
    });
    for (const ThreadScratch& scratch : scratch_)
      if (scratch.wrong_id.n_rows > 0) throw std::invalid_argument(scratch.wrong_id.message());
    total += scorer_.sum_losses(step.rows);
    interrupted = stop.asked || poll();
  }
  store_moments(gradient, nullptr);
  return total / static_cast<double>(n);
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace pellucid::inline PELLUCID_ISA
