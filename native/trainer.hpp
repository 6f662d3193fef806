// Training: epochs of steps. A step has two phases, with a barrier after each.
//
// Phase 1: each thread takes a slice of the batch's rows, gathers them and computes the forward
// pass, the loss and the deltas. Phase 2: each thread takes its share of the units of parameters,
// sums their gradients over the whole batch and updates them at once. The gradient never leaves the
// first-level cache, unless it is clipped by its norm, which takes a third phase. Each number is
// computed by one thread in a fixed order, so results do not depend on the number of threads.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "network.hpp"
#include "optimizers.hpp"
#include "scorer.hpp"
#include "statistics.hpp"
#include "team_size.hpp"

namespace pellucid::inline PELLUCID_ISA {

// An optimizer's constants. coefficients() in trainer.cpp derives the coefficients of a step from
// them.
struct Optimizer {
  Rule rule = Rule::kSgd;
  double first_decay = 0;
  double first_gain = 1;
  double second_decay = 0;
  double second_gain = 1;
  double epsilon = 0;
  bool bias_correction = false;    // of both moments
  bool epsilon_corrected = false;  // epsilon is added to the corrected root
  bool epsilon_inside = false;     // epsilon is added under the root
};

enum class Clip { kNone, kValue, kNorm, kGlobalNorm };

// What stays the same for all steps of a run.
struct Plan {
  Optimizer optimizer;
  Index batch_size = 1;
  double l2_penalty = 0;  // a step of r rows is penalized by l2_penalty / r
  Clip clip = Clip::kNone;
  double clip_limit = 0;
  std::uint64_t seed = 0;
  Index statistics_every = 0;  // steps; 0 for never
};

// The rows of a run. Consecutive slices of `rows` are the epochs, each cut into batches.
struct Order {
  const std::int64_t* rows;
  Index epoch_rows;
  Index n_epochs;
  Index batch_size;

  Index epoch_steps() const { return (epoch_rows + batch_size - 1) / batch_size; }
  Index steps() const { return n_epochs * epoch_steps(); }
  Index epoch_of(Index step) const { return step / epoch_steps(); }
  // The first of a step's rows, and how many there are.
  const std::int64_t* rows_of(Index step) const {
    return rows + epoch_of(step) * epoch_rows + step % epoch_steps() * batch_size;
  }
  Index count_of(Index step) const {
    return std::min(batch_size, epoch_rows - step % epoch_steps() * batch_size);
  }
};

// What may change from step to step: one number per step each.
struct Schedules {
  const double* rates;         // learning rates
  const double* decays;        // decoupled weight decays
  const double* drop_factors;  // factors on the share that dropout drops
};

struct Report {
  std::vector<double> objectives;  // by epoch, summed over the rows seen
  Index steps = 0;
  std::vector<StepStatistics> statistics;
  bool interrupted = false;  // by `poll` or by a loss that the caller computes
  bool non_finite = false;   // the step after `steps` gave a loss that is not finite
};

template <class T>
class Trainer {
 public:
  // With `adapts`, the trainer takes steps with one thread when that is faster. With `sparse`, all
  // tables are sparse.
  Trainer(const Program<T>& program, Index batch_size, int n_threads, bool adapts, bool sparse);

  void load_parameters(const T* flat);
  void store_parameters(T* flat) const;
  bool parameters_finite() const;
  // Moments in the layout of the parameters; null if the rule keeps none.
  void load_moments(const T* first, const T* second);
  void store_moments(T* first, T* second) const;

  // Takes the steps of `order`, with the numbers in `schedules`. The first is step `steps_done` +
  // 1, in epoch `epoch`. Now and then `poll` is called on the caller's thread and returns whether
  // to stop.
  Report run(const Examples<T>& examples, const Order& order, const Plan& plan,
             const Schedules& schedules, Index steps_done, std::uint32_t epoch,
             const std::function<bool()>& poll);

  // Returns the mean loss over all n rows and writes its gradient to `gradient`, in the layout of
  // the parameters. There is no penalty and no dropout.
  double gradient(const Examples<T>& examples, Index n, T* gradient,
                  const std::function<bool()>& poll, bool& interrupted);

  // The offsets in the flat buffer of the blocks that `StepStatistics::norms` describes.
  std::vector<Index> block_offsets() const;

 private:
  struct Unit {
    Layer<T>* layer;
    Index index;
    UnitRange<T> range;
  };
  struct ThreadScratch {
    std::vector<Segment<T>> segments;
    std::vector<T> rows;  // for losses
    Buffer<T> gradient;   // a unit's
    Buffer<T> before;     // values before their update, if it is measured
    WrongId wrong_id;
  };
  // Squared norms of a unit's gradient, update and weights.
  struct UnitSquares {
    double gradient = 0, update = 0, weights = 0;
  };
  // Why a team stops. All its threads see it after the next barrier.
  struct Stop {
    std::atomic<bool> non_finite{false};
    std::atomic<bool> asked{false};
    bool now() const { return non_finite || asked; }
  };
  // The numbers of one step.
  struct Step {
    const Plan* plan;
    UpdateFunction<T> update;
    StepCoefficients<T> coefficients;
    Index rows;
    bool measured = false;
    bool skips_still = false;  // parameters without gradient do not change
  };
  // What all steps of a window share.
  struct Window {
    const Examples<T>& examples;
    const Order& order;
    const Plan& plan;
    const Schedules& schedules;
    Index steps_done;
    std::uint32_t epoch;
    Index first, last;  // steps of the order
  };

  std::vector<std::size_t> share_units(int n_threads) const;
  const std::vector<std::size_t>& shares(int n_threads);
  void sum_squares(std::size_t unit);
  void keep_gradients(bool keep);
  void prepare_to_measure();
  Pass<T> make_pass(int thread, int n_threads, Index rows, Barrier& barrier);
  void first_phase(const Pass<T>& pass, const Examples<T>& examples, const std::int64_t* given,
                   double scale, Stop& stop);
  ActiveRows<T> unit_gradient(std::size_t unit, Index rows, T* into);
  void penalize_unit(std::size_t unit, const Step& step, T* gradient);
  void unit_step(std::size_t unit, const Step& step, ThreadScratch& scratch);
  void keep_unit_gradient(std::size_t unit, const Step& step);
  void find_clip_factors(const Plan& plan, Stop& stop);
  void update_unit(std::size_t unit, const Step& step, const ActiveRows<T>& active,
                   ThreadScratch& scratch);
  void update_measured(std::size_t unit, const Step& step, const ActiveRows<T>& active,
                       ThreadScratch& scratch);
  StepStatistics measured_step(Index step, int n_threads);
  void run_window(int most_threads, const Window& window, Report& report);

  Index n_parameters_;
  int n_threads_;
  Network<T> network_;
  Scorer<T> scorer_;
  std::vector<ThreadScratch> scratch_;
  std::vector<ParameterBlock<T>*> blocks_;
  std::vector<Unit> units_;
  // Thread t of a team updates the units from shares[t] to shares[t + 1].
  std::vector<std::size_t> shares_;  // of the latest team of several threads
  std::vector<std::size_t> whole_;   // of one thread
  std::vector<double> squares_;      // of weights that decay, by unit
  std::vector<double> norms_;        // squared norms of the gradient, by unit
  std::vector<ActiveRows<T>> kept_;  // gradients to be clipped, by unit
  std::vector<T> clip_factors_;      // by unit
  std::optional<Observer<T>> observer_;
  std::vector<UnitSquares> measured_;  // by unit
  std::vector<std::int64_t> order_;    // of the batch's rows in the table, checked
  TeamSize team_size_;
};

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace pellucid::inline PELLUCID_ISA
