#include "trainer.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <numeric>

namespace pellucid::inline PELLUCID_ISA {
namespace {

// Parameter blocks above this many bytes do not stay in the second-level cache between steps.
constexpr Index kPrefetchBytes = 256 * 1024;

// `step` is counted from 1. It alone decides the coefficients, so that a step is the same whichever
// run it falls in.
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
  // An epsilon of zero would make 0 / 0 of a parameter that has never had a gradient.
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

// The coefficients for one block: only weights decay, and a block may have a rate of its own.
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

// The first row of thread t's slice: an even one, since a layer may keep rows in pairs.
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
Trainer<T>::Trainer(const Program<T>& program, Index batch_size, int n_threads, bool adapts)
    : n_parameters_(program.n_parameters()),
      n_threads_(n_threads),
      network_(program, batch_size, Use::kTraining),
      scorer_(program.loss, program.loss_parameter, network_.output()),
      scratch_(static_cast<std::size_t>(n_threads)),
      blocks_(network_.blocks()),
      team_size_(n_threads, adapts) {
  for (ParameterBlock<T>* block : blocks_) block->allocate_moments();
  for (ThreadScratch& scratch : scratch_) {
    scratch.segments.reserve(static_cast<std::size_t>(network_.most_panels()));
    scratch.rows.reserve(static_cast<std::size_t>(3 * network_.output().panels.width()));
    scratch.gradient = Buffer<T>(kUnitSize<T>);
  }
  for (const auto& layer : network_.layers())
    for (Index unit = 0; unit < layer->n_units(); ++unit)
      if (layer->unit_range(unit).block != nullptr)
        units_.push_back({layer.get(), unit, layer->unit_range(unit)});
  shares_ = share_units(n_threads_);
  whole_ = share_units(1);
  squares_.resize(units_.size());
  norms_.resize(units_.size());
  clip_factors_.assign(units_.size(), T(1));
}

// Gives each of n_threads consecutive units of nearly equal work.
template <class T>
std::vector<std::size_t> Trainer<T>::share_units(int n_threads) const {
  Index total = 0;
  for (const Unit& unit : units_) total += unit.layer->unit_work(unit.index);
  std::vector<std::size_t> shares(1, 0);
  Index done = 0;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    // A unit goes to the thread in whose share its middle falls.
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
    block->first.clear();
    block->second.clear();
    if (first != nullptr) block->load(first, block->first);
    if (second != nullptr) block->load(second, block->second);
  }
}

template <class T>
void Trainer<T>::store_moments(T* first, T* second) const {
  for (const ParameterBlock<T>* block : blocks_) {
    if (first != nullptr) block->store(block->first, first);
    if (second != nullptr) block->store(block->second, second);
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
    if (keep && block->gradient.size() == 0) block->gradient = Buffer<T>(block->size());
}

template <class T>
Pass<T> Trainer<T>::make_pass(int thread, int n_threads, Index rows, Barrier& barrier) {
  Pass<T> pass;
  pass.first = slice(rows, thread, n_threads);
  pass.last = slice(rows, thread + 1, n_threads);
  pass.rows = rows;
  pass.thread = thread;
  pass.n_threads = n_threads;
  pass.barrier = &barrier;
  pass.segments = &scratch_[static_cast<std::size_t>(thread)].segments;
  return pass;
}

// Returns whether all losses of the thread's rows are finite.
template <class T>
bool Trainer<T>::first_phase(const Pass<T>& pass, const Examples<T>& examples,
                             const std::int64_t* order, double scale) {
  gather_rows(examples, order, pass.first, pass.last, network_.input());
  network_.forward(pass);
  const double total = scorer_.score(examples, order, pass.first, pass.last, scale,
                                     scratch_[static_cast<std::size_t>(pass.thread)].rows);
  network_.backward(pass);
  return std::isfinite(total);
}

template <class T>
void Trainer<T>::update_unit(std::size_t unit, const Step& step, const T* gradient) {
  const auto& [layer, index, range] = units_[unit];
  ParameterBlock<T>& block = *range.block;
  const StepCoefficients<T> c = for_block(step.coefficients, block);
  step.update({block.values.data() + range.offset, block.first.data() + range.offset,
               block.second.data() + range.offset, gradient, range.count},
              c);
  if (step.plan->l2_penalty != 0) sum_squares(unit);
  layer->unit_updated(index);
}

// Gradient and update at once, where nothing must be known of the other units.
template <class T>
void Trainer<T>::unit_step(std::size_t unit, const Step& step, ThreadScratch& scratch) {
  const auto& [layer, index, range] = units_[unit];
  const ParameterBlock<T>& block = *range.block;
  if (block.size() * static_cast<Index>(sizeof(T)) > kPrefetchBytes) {
    prefetch(block.values.data() + range.offset, range.count);
    prefetch(block.first.data() + range.offset, range.count);
    prefetch(block.second.data() + range.offset, range.count);
  }
  T* gradient = scratch.gradient.data();
  layer->unit_gradient(index, step.rows, gradient);
  if (step.plan->clip == Clip::kValue) {
    // What is clipped includes the penalty's part, which is then not to be added again.
    const T penalty = for_block(step.coefficients, block).penalty;
    clip_range(gradient, block.values.data() + range.offset, range.count, penalty,
               T(step.plan->clip_limit));
    Step without = step;
    without.coefficients.penalty = 0;
    update_unit(unit, without, gradient);
    return;
  }
  update_unit(unit, step, gradient);
}

template <class T>
void Trainer<T>::keep_unit_gradient(std::size_t unit, const Step& step, ThreadScratch&) {
  const auto& [layer, index, range] = units_[unit];
  ParameterBlock<T>& block = *range.block;
  T* gradient = block.gradient.data() + range.offset;
  layer->unit_gradient(index, step.rows, gradient);
  add_penalty(gradient, block.values.data() + range.offset, range.count,
              for_block(step.coefficients, block).penalty);
  norms_[unit] = static_cast<double>(sum_of_squares(gradient, range.count));
}

// What each unit's gradient is multiplied by so that no norm passes the limit.
template <class T>
void Trainer<T>::find_clip_factors(const Plan& plan) {
  const auto factor = [&plan](double squares) {
    const double norm = std::sqrt(squares);
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

// The steps that consecutive slices of `order`, n rows in all, make.
template <class T>
void Trainer<T>::run_window(int n_threads, const Examples<T>& examples, const std::int64_t* order,
                            Index n, const Plan& plan, const Schedules& schedules, Index steps_done,
                            std::uint32_t epoch, Report& report) {
  Barrier barrier(n_threads);
  std::atomic<bool> non_finite{false};
  const bool clips_norms = plan.clip == Clip::kNorm || plan.clip == Clip::kGlobalNorm;
  run_on_team(n_threads, [&](int thread) {
    ThreadScratch& scratch = scratch_[static_cast<std::size_t>(thread)];
    const std::size_t first_unit = shares(n_threads)[static_cast<std::size_t>(thread)];
    const std::size_t last_unit = shares(n_threads)[static_cast<std::size_t>(thread) + 1];
    for (Index i = 0; i * plan.batch_size < n; ++i) {
      const Index start = i * plan.batch_size;
      const Index rows = std::min(plan.batch_size, n - start);
      const double scale = 1.0 / static_cast<double>(rows);
      Step step{
          &plan, update_function<T>(plan.optimizer.rule),
          coefficients<T>(plan, schedules.rates[i], schedules.decays[i], steps_done + i + 1, rows),
          rows};
      Pass<T> pass = make_pass(thread, n_threads, rows, barrier);
      pass.training = true;
      pass.dropout_factor = schedules.drop_factors[i];
      pass.key = {plan.seed, epoch, static_cast<std::uint32_t>(steps_done + i + 1)};
      double squares = 0;
      if (thread == 0 && plan.l2_penalty != 0)
        squares = std::accumulate(squares_.begin(), squares_.end(), 0.0);
      if (!std::isfinite(squares)) non_finite = true;
      if (!first_phase(pass, examples, order + start, scale)) non_finite = true;
      barrier.wait();
      if (non_finite) return;
      if (clips_norms) {
        for (std::size_t u = first_unit; u < last_unit; ++u) keep_unit_gradient(u, step, scratch);
        barrier.wait();
        if (thread == 0) find_clip_factors(plan);
        barrier.wait();
        step.coefficients.penalty = 0;
        for (std::size_t u = first_unit; u < last_unit; ++u) {
          const UnitRange<T>& range = units_[u].range;
          T* gradient = range.block->gradient.data() + range.offset;
          scale_range(gradient, range.count, clip_factors_[u]);
          update_unit(u, step, gradient);
        }
      } else {
        for (std::size_t u = first_unit; u < last_unit; ++u) unit_step(u, step, scratch);
      }
      if (thread == 0) {
        const double penalty = 0.5 * plan.l2_penalty * scale * squares;
        report.objective += scorer_.sum_losses(rows) + penalty * static_cast<double>(rows);
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
                       const Plan& plan, const Schedules& schedules, Index steps_done,
                       std::uint32_t epoch, const std::function<bool()>& poll) {
  keep_gradients(plan.clip == Clip::kNorm || plan.clip == Clip::kGlobalNorm);
  Report report;
  while (report.rows < n && !report.non_finite && !report.interrupted) {
    const Index rows = std::min(n - report.rows, team_size_.steps() * plan.batch_size);
    const Index steps_before = report.steps;
    const double begin = now();
    run_window(team_size_.threads(), examples, order + report.rows, rows, plan,
               schedules.after(report.steps), steps_done + report.steps, epoch, report);
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
  const Index chunk = network_.rows();
  std::vector<std::int64_t> order(static_cast<std::size_t>(chunk));
  const Plan plan;
  Step step{&plan, update_function<T>(Rule::kAccumulate), {}, 0};
  double total = 0;
  interrupted = false;
  for (Index start = 0; start < n && !interrupted; start += chunk) {
    step.rows = std::min(chunk, n - start);
    std::iota(order.begin(), order.end(), start);
    Barrier barrier(n_threads_);
    run_on_team(n_threads_, [&](int thread) {
      const auto mine = static_cast<std::size_t>(thread);
      first_phase(make_pass(thread, n_threads_, step.rows, barrier), examples, order.data(),
                  1.0 / static_cast<double>(n));
      barrier.wait();
      for (std::size_t u = shares_[mine]; u < shares_[mine + 1]; ++u)
        unit_step(u, step, scratch_[mine]);
    });
    total += scorer_.sum_losses(step.rows);
    interrupted = poll();
  }
  store_moments(gradient, nullptr);
  return total / static_cast<double>(n);
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace pellucid::inline PELLUCID_ISA
