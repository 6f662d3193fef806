// Training: epochs of steps, each of two phases with a barrier after each.
//
// Phase 1. Every thread takes a slice of the batch's rows: gathers them, runs forward, the loss and
// the deltas backward. Phase 2. Every thread takes its share of the parameters' units, sums their
// gradient over the whole batch and updates them at once; the gradient never leaves the first-level
// cache, unless it is clipped by its norm, which takes a third phase. Each number is computed by
// one thread in one order, so results do not depend on the number of threads.
#pragma once

#include <functional>

#include "network.hpp"
#include "optimizers.hpp"
#include "scorer.hpp"
#include "team_size.hpp"

namespace pellucid::inline PELLUCID_ISA {

// An optimizer's constants; coefficients() in trainer.cpp turns them into those of a step.
struct Optimizer {
  Rule rule = Rule::kSgd;
  double first_decay = 0;
  double first_gain = 1;
  double second_decay = 0;
  double second_gain = 1;
  double epsilon = 0;
  bool bias_correction = false;    // of both moments
  bool epsilon_corrected = false;  // epsilon stands beside the corrected root
  bool epsilon_inside = false;     // epsilon stands under the root
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
};

// What may change from step to step: one number of each a step.
struct Schedules {
  const double* rates;         // learning rates
  const double* decays;        // decoupled weight decays
  const double* drop_factors;  // on the share that dropout drops

  Schedules after(Index steps) const {
    return {rates + steps, decays + steps, drop_factors + steps};
  }
};

struct Report {
  double objective = 0;  // summed over the rows seen
  Index rows = 0;
  Index steps = 0;
  bool interrupted = false;
  bool non_finite = false;  // the step after `steps` gave a loss that is not finite
};

template <class T>
class Trainer {
 public:
  // With `adapts` the trainer takes steps with one thread where that is faster.
  // With `sparse` all tables are sparse.
  Trainer(const Program<T>& program, Index batch_size, int n_threads, bool adapts, bool sparse);

  void load_parameters(const T* flat);
  void store_parameters(T* flat) const;
  bool parameters_finite() const;
  // Moments in the layout of the parameters; null pointers stand for zeros.
  void load_moments(const T* first, const T* second);
  void store_moments(T* first, T* second) const;

  // Runs the batches that consecutive slices of `order` make, as steps `steps_done` + 1 and on;
  // `schedules` has their numbers. `poll` is asked now and then, on the caller's thread,
  // whether to stop.
  Report run(const Examples<T>& examples, const std::int64_t* order, Index n, const Plan& plan,
             const Schedules& schedules, Index steps_done, std::uint32_t epoch,
             const std::function<bool()>& poll);

  // The mean loss over all n rows; its gradient is written to `gradient`, laid out as the
  // parameters. No penalty is included, and nothing is dropped.
  double gradient(const Examples<T>& examples, Index n, T* gradient,
                  const std::function<bool()>& poll, bool& interrupted);

  int n_threads() const { return n_threads_; }

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
  };
  // One step's numbers.
  struct Step {
    const Plan* plan;
    UpdateFunction<T> update;
    StepCoefficients<T> coefficients;
    Index rows;
    bool skips_still;  // a parameter without gradient stays as it is
  };

  std::vector<std::size_t> share_units(int n_threads) const;
  const std::vector<std::size_t>& shares(int n_threads) const {
    return n_threads == 1 ? whole_ : shares_;
  }
  void sum_squares(std::size_t unit);
  void keep_gradients(bool keep);
  Pass<T> make_pass(int thread, int n_threads, Index rows, Barrier& barrier);
  bool first_phase(const Pass<T>& pass, const Examples<T>& examples, const std::int64_t* order,
                   double scale);
  void unit_step(std::size_t unit, const Step& step, ThreadScratch& scratch);
  void keep_unit_gradient(std::size_t unit, const Step& step, ThreadScratch& scratch);
  void find_clip_factors(const Plan& plan);
  void update_unit(std::size_t unit, const Step& step, const T* gradient);
  void run_window(int n_threads, const Examples<T>& examples, const std::int64_t* order, Index n,
                  const Plan& plan, const Schedules& schedules, Index steps_done,
                  std::uint32_t epoch, Report& report);

  Index n_parameters_;
  int n_threads_;
  Network<T> network_;
  Scorer<T> scorer_;
  std::vector<ThreadScratch> scratch_;
  std::vector<ParameterBlock<T>*> blocks_;
  std::vector<Unit> units_;
  // Thread t of a team updates units shares[t] to shares[t + 1].
  std::vector<std::size_t> shares_;  // of the whole team
  std::vector<std::size_t> whole_;   // of one thread
  std::vector<double> squares_;      // of the weights that decay, by unit
  std::vector<double> norms_;        // squared norms of the gradient, by unit
  std::vector<T> clip_factors_;      // by unit
  TeamSize team_size_;
};

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace pellucid::inline PELLUCID_ISA
