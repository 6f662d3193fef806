// Training: epochs of steps, each of two phases with a barrier after each.
//
// Phase 1. Every thread takes a slice of the batch's rows: gathers them, runs forward, the loss and
// the deltas backward. Phase 2. Every thread takes its share of the weight matrices' rows, sums
// their gradient over the whole batch and updates them at once; the gradient never leaves the
// first-level cache. Each number is computed by one thread in one order, so results do not depend
// on the number of threads.
#pragma once

#include <functional>

#include "optimizers.hpp"
#include "team_size.hpp"
#include "thread_team.hpp"
#include "workspace.hpp"

namespace pellucid::inline PELLUCID_ISA {

// An optimizer's constants; step() in trainer.cpp turns them into a step's coefficients.
struct Optimizer {
  Rule rule = Rule::kSgd;
  double learning_rate = 0;
  double first_decay = 0;
  double first_gain = 1;
  double second_decay = 0;
  double second_gain = 1;
  double epsilon = 0;
  bool bias_correction = false;    // of both moments
  bool epsilon_corrected = false;  // epsilon stands beside the corrected root
  bool epsilon_inside = false;     // epsilon stands under the root
  double weight_decay = 0;         // decoupled
};

struct Report {
  double objective = 0;  // summed over the rows seen
  Index rows = 0;
  Index steps = 0;
  bool interrupted = false;
  bool non_finite = false;  // the step after `steps` gave a loss that is not finite
};

// Which of a layer's parameters one thread updates at a time.
struct Unit {
  std::size_t layer;
  Index panel;      // of the outputs
  Index first_row;  // of the weights; -1 for the panel's bias
  Index rows;
  Index input_panel;  // where first_row falls
};

template <class T>
class Trainer {
 public:
  Trainer(Program<T> program, Index batch_size, int n_threads);

  void load_parameters(const T* flat);
  void store_parameters(T* flat) const;
  bool parameters_finite() const;
  // Moments in the layout of the parameters; null pointers stand for zeros.
  void load_moments(const T* first, const T* second);
  void store_moments(T* first, T* second) const;

  // Runs the batches that consecutive slices of `order` make. `poll` is asked between steps, on the
  // caller's thread, whether to stop.
  Report run(const Examples<T>& examples, const std::int64_t* order, Index n, Index batch_size,
             const Optimizer& optimizer, double l2_penalty, Index steps_done,
             const std::function<bool()>& poll);

  // The mean loss over all n rows; its gradient is written to `gradient`, laid out as the
  // parameters. No penalty is included.
  double gradient(const Examples<T>& examples, Index n, T* gradient,
                  const std::function<bool()>& poll, bool& interrupted);

  int n_threads() const { return n_threads_; }

 private:
  struct Moments {
    Buffer<T> first_weights, second_weights, first_bias, second_bias;
  };
  struct ThreadScratch {
    std::vector<Segment<T>> segments;
    std::vector<T> rows;  // for losses
    Buffer<T> gradient;   // a tile of it
  };
  struct Step {
    UpdateFunction<T> update;
    StepCoefficients<T> weights, bias;
    Index rows;
    bool refresh;  // transposes and sums of squares follow the update
  };

  void make_units();
  std::vector<std::size_t> share_units(int n_threads) const;
  const std::vector<std::size_t>& shares(int n_threads) const {
    return n_threads == 1 ? whole_ : shares_;
  }
  void sum_all_squares();
  double penalty_sum() const;
  void update_unit(std::size_t index, const Step& step, ThreadScratch& scratch);
  void update_bias(const Unit& unit, const Step& step, ThreadScratch& scratch);
  bool first_phase(int thread, int n_threads, const Examples<T>& examples,
                   const std::int64_t* order, Index rows, double scale);
  void run_window(int n_threads, const Examples<T>& examples, const std::int64_t* order, Index n,
                  Index batch_size, const Optimizer& optimizer, double l2_penalty, Index steps_done,
                  Report& report);

  Program<T> program_;
  int n_threads_;
  PackedNetwork<T> network_;
  Workspace<T> workspace_;
  std::vector<Moments> moments_;
  std::vector<ThreadScratch> scratch_;
  std::vector<Unit> units_;
  // Thread t of a team updates units shares[t] to shares[t + 1].
  std::vector<std::size_t> shares_;  // of the whole team
  std::vector<std::size_t> whole_;   // of one thread
  TeamSize team_size_;
  std::vector<double> squares_;  // sums of squared weights, by unit
};

// Scores of n consecutive rows of a table, written to `scores` (n, fan_out), row-major.
template <class T>
void predict(const Program<T>& program, const T* flat, const TableView& table,
             GatherFunction<T> gather, Index n, T* scores, int n_threads);

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace pellucid::inline PELLUCID_ISA
