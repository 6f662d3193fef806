// The engine's Python interface. All sizes are checked here, once.
//
// Functions take text and lists as they are and convert them in their bodies: nanobind's own
// conversions end the process where memory runs out.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <optional>

#include "columns_layer.hpp"
#include "gil.hpp"
#include "prediction.hpp"
#include "product_rate.hpp"
#include "python_arrays.hpp"
#include "random.hpp"
#include "trainer.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace pellucid::inline PELLUCID_ISA {
namespace {

// Asks Python a few times a second whether a signal such as Ctrl-C has arrived.
class SignalPoll {
 public:
  bool operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return false;
    last_ = now;
    const WithGil gil;
    return PyErr_CheckSignals() != 0;  // the exception stays set until the caller has the GIL
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Warns once per process that a team is smaller than asked for. The caller holds the GIL. Returns
// false if the warning was turned into an exception, which is then set.
bool warn_of_shortage() {
  const std::optional<Shortage> shortage = take_shortage();
  if (!shortage) return true;
  return PyErr_WarnFormat(
             PyExc_RuntimeWarning, 1,
             "the system refused to start more threads: running on %d of the %d asked for. Results "
             "are "
             "the same, but take longer. Lower n_threads or OMP_NUM_THREADS, or raise the limit on "
             "processes (ulimit -u, the container's pids limit) or on memory",
             shortage->available, shortage->asked) == 0;
}

Rule find_rule(const std::string& name) {
  if (name == "sgd") return Rule::kSgd;
  if (name == "momentum") return Rule::kMomentum;
  if (name == "nesterov") return Rule::kNesterov;
  if (name == "adaptive") return Rule::kAdaptive;
  fail("unknown rule " + name);
}

Clip find_clip(const std::string& name) {
  if (name == "none") return Clip::kNone;
  if (name == "value") return Clip::kValue;
  if (name == "norm") return Clip::kNorm;
  if (name == "global_norm") return Clip::kGlobalNorm;
  fail("unknown clipping " + name);
}

// Marks a trainer as busy. Two Python threads may not use it at the same time.
class Occupied {
 public:
  explicit Occupied(std::atomic<bool>& busy) : busy_(busy) {
    if (busy_.exchange(true))
      throw std::runtime_error(
          "this trainer is in use, by another thread or by the call that called this loss. Wait "
          "until it returns, or make a trainer for each thread");
  }
  Occupied(const Occupied&) = delete;
  Occupied& operator=(const Occupied&) = delete;
  ~Occupied() { busy_ = false; }

 private:
  std::atomic<bool>& busy_;
};

template <class T>
class Engine {
 public:
  Engine(const Program<T>& program, Index batch_size, int n_threads, bool adapts, bool sparse)
      : program_(check(program, sparse)),
        sparse_(sparse),
        trainer_(program, batch_size, n_threads, adapts, sparse),
        rows_(batch_size) {}

  void load_parameters(nb::handle flat) {
    const Occupied occupied(busy_);
    const Array array(flat);
    trainer_.load_parameters(vector_of(array, "parameters"));
  }
  void store_parameters(nb::handle flat) {
    const Occupied occupied(busy_);
    const Array array(flat, true);
    trainer_.store_parameters(vector_of(array, "parameters"));
  }
  bool store_if_finite(nb::handle flat) {
    const Occupied occupied(busy_);
    const Array array(flat, true);
    T* destination = vector_of(array, "parameters");
    if (!trainer_.parameters_finite()) return false;
    trainer_.store_parameters(destination);
    return true;
  }
  void load_moments(nb::handle first, nb::handle second) {
    const Occupied occupied(busy_);
    const Array one(first), two(second);
    trainer_.load_moments(optional_of(one, "first"), optional_of(two, "second"));
  }
  void store_moments(nb::handle first, nb::handle second) {
    const Occupied occupied(busy_);
    const Array one(first, true), two(second, true);
    trainer_.store_moments(vector_of(one, "first"), optional_of(two, "second"));
  }

  // `order` has the rows of `n_epochs` epochs, one epoch after the other. `rates`, `decays` and
  // `drop_factors` have one number per step. `loss` is None or the tuple described at HeldLoss.
  // Returns (objectives by epoch, summed over rows; steps; non_finite; the exception that a signal
  // handler, the loss or a warning raised, or None; statistics).
  nb::tuple run(nb::handle X, nb::handle targets, nb::handle weights, nb::handle order,
                Index n_epochs, const Plan& plan, nb::handle rates, nb::handle decays,
                nb::handle drop_factors, Index steps_done, std::uint32_t epoch, nb::handle loss) {
    const Occupied occupied(busy_);
    HeldExamples<T> held = hold(X, targets, weights);
    const std::optional<HeldLoss<T>> held_loss = hold_loss(loss);
    if (held_loss) held.examples.loss = &held_loss->outside;
    const RowOrder rows(order, held.rows());
    if (plan.batch_size < 1 || plan.batch_size > rows_)
      fail("batch_size must be at least 1 and at most " + std::to_string(rows_));
    if (n_epochs < 1 || rows.count() % n_epochs != 0)
      fail("the order must have as many rows in each of its epochs");
    const Order epochs{rows.data(), rows.count() / n_epochs, n_epochs, plan.batch_size};
    const Index n_steps = rows.count() > 0 ? epochs.steps() : 0;
    const Array held_rates(rates), held_decays(decays), held_factors(drop_factors);
    const Schedules schedules{held_rates.vector<const double>(n_steps, "rates", "f8"),
                              held_decays.vector<const double>(n_steps, "decays", "f8"),
                              held_factors.vector<const double>(n_steps, "drop_factors", "f8")};
    Report report;
    {
      const WithoutGil released;
      SignalPoll poll;
      report = trainer_.run(held.examples, epochs, plan, schedules, steps_done, epoch,
                            [&] { return stop_.exchange(false) || poll(); });
    }
    // Handle pending signals before Python runs anything else. In a callback of the garbage
    // collector, for example, the exception would be lost.
    if (!report.interrupted) report.interrupted = PyErr_CheckSignals() != 0;
    nb::object error = nb::none();
    if (report.interrupted)
      error = PyErr_Occurred() != nullptr ? take_error() : nb::handle(PyExc_KeyboardInterrupt)();
    else if (!warn_of_shortage())
      error = take_error();
    nb::list statistics;
    for (const StepStatistics& s : report.statistics)
      statistics.append(
          nb::make_tuple(s.step, bytes_of(s.norms), bytes_of(s.dead_units), bytes_of(s.z_counts)));
    return nb::make_tuple(report.objectives, report.steps, report.non_finite, error, statistics);
  }

  std::vector<Index> block_offsets() const { return trainer_.block_offsets(); }

  // Asks `run` to return within a few steps. Another thread calls this, during `run` or before it.
  void request_stop() { stop_ = true; }

  // Returns the mean loss and writes its gradient.
  double gradient(nb::handle X, nb::handle targets, nb::handle weights, nb::handle flat,
                  nb::handle loss) {
    const Occupied occupied(busy_);
    HeldExamples<T> held = hold(X, targets, weights);
    const std::optional<HeldLoss<T>> held_loss = hold_loss(loss);
    if (held_loss) held.examples.loss = &held_loss->outside;
    const Array array(flat, true);
    T* destination = vector_of(array, "gradient");
    double value = 0;
    bool interrupted = false;
    {
      const WithoutGil released;
      SignalPoll poll;
      value = trainer_.gradient(
          held.examples, held.rows(), destination, [&poll] { return poll(); }, interrupted);
    }
    if (interrupted || !warn_of_shortage()) throw nb::python_error();
    return value;
  }

 private:
  static const Program<T>& check(const Program<T>& program, bool sparse) {
    if (program.steps().empty()) fail("a network to train needs at least one layer");
    if (sparse && !program.can_take_sparse()) fail("this network takes no sparse rows");
    return program;
  }
  HeldExamples<T> hold(nb::handle X, nb::handle targets, nb::handle weights) const {
    HeldExamples<T> held = hold_examples(program_, X, targets, weights);
    if (sparse_ && !held.table.view.sparse) fail("a trainer of sparse rows takes no dense table");
    return held;
  }
  std::optional<HeldLoss<T>> hold_loss(nb::handle loss) const {
    if (!loss.is_none())
      return std::make_optional<HeldLoss<T>>(nb::cast<nb::tuple>(loss), rows_, program_.fan_out());
    if (program_.loss.row == nullptr) fail("a network to train needs a loss");
    return std::nullopt;
  }
  // For numpy.frombuffer.
  template <class Number>
  static nb::bytes bytes_of(const std::vector<Number>& numbers) {
    return nb::bytes(numbers.data(), numbers.size() * sizeof(Number));
  }
  static nb::object take_error() {
    nb::python_error error;  // takes over the exception that is set
    return nb::borrow(error.value());
  }
  T* vector_of(const Array& array, const char* name) const {
    return array.vector<T>(program_.n_parameters(), name, kType<T>);
  }
  T* optional_of(const Array& array, const char* name) const {
    return array.dimensions() == 1 && array.size(0) == 0 ? nullptr : vector_of(array, name);
  }

  Program<T> program_;
  bool sparse_;
  Trainer<T> trainer_;
  Index rows_;  // the most in a batch
  std::atomic<bool> stop_{false};
  std::atomic<bool> busy_{false};
};

// A predictor and the parameters that it reads.
template <class T>
class Scores {
 public:
  Scores(const Program<T>& program, nb::handle flat, int n_threads)
      : predictor_(program, n_threads),
        parameters_(flat),
        flat_(parameters_.vector<const T>(program.n_parameters(), "parameters", kType<T>)) {}

  // Fills `scores` (n, outputs).
  void run(nb::handle X, nb::handle order, nb::handle scores) { run(X, order, scores, nullptr); }
  // Fills `scores` (samples * n, outputs), sample after sample.
  void sample(nb::handle X, nb::handle order, nb::handle scores, std::uint64_t seed,
              std::uint32_t first_step, Index n_samples, Index first_row) {
    if (n_samples < 1 || first_row < 0) fail("n_samples must be at least 1, first_row at least 0");
    const Sampling sampling{seed, first_step, n_samples, first_row};
    run(X, order, scores, &sampling);
  }

 private:
  static constexpr Index kWorthReleasing = 1'000'000;

  void run(nb::handle X, nb::handle order, nb::handle scores, const Sampling* sampling) {
    const Program<T>& program = predictor_.program();
    const HeldTable<T> table = hold_table<T>(X, program.fan_in());
    std::optional<RowOrder> chosen;
    if (!order.is_none()) chosen.emplace(order, table.view.rows);
    Rows<T> rows{table.view, table.reader, table.plain};
    rows.order = chosen ? chosen->data() : nullptr;
    rows.count = chosen ? chosen->count() : table.view.rows;
    check_rows(table, rows.order, rows.count);
    const Array output(scores, true);
    constexpr auto size = static_cast<Index>(sizeof(T));
    const Index width = program.fan_out();
    const Index n = rows.count * (sampling == nullptr ? 1 : sampling->count);
    if (output.dimensions() != 2 || output.size(0) != n || output.size(1) != width ||
        output.type() != kType<T> || (width > 1 && output.stride(1) != size) ||
        (n > 1 && output.stride(0) != width * size))
      fail("out must be a contiguous array of shape (" + std::to_string(n) + ", " +
           std::to_string(width) + ") and of type " + kType<T>);
    auto* destination = reinterpret_cast<T*>(const_cast<std::byte*>(output.bytes()));
    // A small call keeps the GIL: another thread may take it for milliseconds.
    std::optional<WithoutGil> released;
    if (predictor_.work(rows, sampling) > kWorthReleasing) released.emplace();
    predictor_.run(flat_, rows, destination, sampling);
    released.reset();
    if (!warn_of_shortage()) throw nb::python_error();
  }

  Predictor<T> predictor_;
  Array parameters_;
  const T* flat_;
};

template <class T>
void bind_type(nb::module_& module, const std::string& suffix) {
  using ProgramT = Program<T>;
  nb::class_<ProgramT>(module, ("Program" + suffix).c_str())
      .def(
          "__init__",
          [](ProgramT* self, Index fan_in, Index n_parameters, bool bfloat16) {
            if (fan_in < 1) fail("fan_in must be at least 1");
            new (self) ProgramT(fan_in, n_parameters, bfloat16);
          },
          "fan_in"_a, "n_parameters"_a, "bfloat16"_a = false)
      .def(
          "add_linear",
          [](ProgramT& self, Index fan_out, Index weight_offset, Index bias_offset,
             double weight_rate, double bias_rate, double weight_scale) {
            return self.add_linear(
                {fan_out, weight_offset, bias_offset, weight_rate, bias_rate, weight_scale});
          },
          "fan_out"_a, "weight_offset"_a, "bias_offset"_a, "weight_rate"_a = 1.0,
          "bias_rate"_a = 1.0, "weight_scale"_a = 1.0)
      .def(
          "add_activation",
          [](ProgramT& self, const char* name, T parameter, T blend, bool may_fuse) {
            return self.add_activation(name, parameter, blend, may_fuse);
          },
          "name"_a, "parameter"_a, "blend"_a, "may_fuse"_a = true)
      .def(
          "add_parametric_activation",
          [](ProgramT& self, const char* name, T parameter, Index offset, double rate) {
            return self.add_parametric_activation(name, parameter, offset, rate);
          },
          "name"_a, "parameter"_a, "offset"_a, "rate"_a = 1.0)
      .def("add_scale", &ProgramT::add_scale, "offset"_a, "rate"_a = 1.0)
      .def("add_row_norm", &ProgramT::add_row_norm, "centered"_a, "epsilon"_a, "gamma_offset"_a,
           "gamma_rate"_a, "beta_offset"_a, "beta_rate"_a)
      .def(
          "add_batch_norm",
          [](ProgramT& self, double momentum, double epsilon, const Place& gamma, const Place& beta,
             const Place& mean, const Place& variance) {
            return self.add_batch_norm(
                {momentum, epsilon, gamma, beta, mean.first, variance.first});
          },
          "momentum"_a, "epsilon"_a, "gamma"_a, "beta"_a, "mean"_a, "variance"_a)
      .def(
          "add_periodic_embedding",
          [](ProgramT& self, Index dim, Index n_frequencies, const Place& frequencies,
             const Place& phases, const Place& weights, const Place& biases) {
            return self.add_periodic_embedding(
                {dim, n_frequencies, frequencies, phases, weights, biases});
          },
          "dim"_a, "n_frequencies"_a, "frequencies"_a, "phases"_a, "weights"_a, "biases"_a)
      .def(
          "add_piecewise_linear_embedding",
          [](ProgramT& self, nb::handle edges, Index dim, const Place& weights,
             const Place& biases) {
            std::vector<std::vector<double>> of_columns;
            for (nb::handle column : edges) {
              std::vector<double>& its = of_columns.emplace_back();
              for (nb::handle edge : column) its.push_back(nb::cast<double>(edge));
            }
            return self.add_piecewise_linear_embedding({of_columns, dim, weights, biases});
          },
          "edges"_a, "dim"_a, "weights"_a, "biases"_a)
      .def("add_dropout", &ProgramT::add_dropout, "share"_a, "scales_in_training"_a,
           "layer_number"_a)
      .def("add_embedding", &ProgramT::add_embedding, "n_rows"_a, "dim"_a, "offset"_a,
           "rate"_a = 1.0)
      .def(
          "add_columns",
          [](ProgramT& self, nb::handle parts) {
            std::vector<ProgramT> programs;
            for (nb::handle part : parts) programs.push_back(nb::cast<const ProgramT&>(part));
            return self.add_columns(std::move(programs));
          },
          "parts"_a)
      .def("add_sum", &ProgramT::add_sum, "skipped"_a)
      .def("takes_sparse", &ProgramT::takes_sparse, "stored"_a, "rows"_a)
      .def(
          "set_loss",
          [](ProgramT& self, const char* name, T parameter) { self.set_loss(name, parameter); },
          "name"_a, "parameter"_a);
  using EngineT = Engine<T>;
  nb::class_<EngineT>(module, ("Trainer" + suffix).c_str())
      .def(
          "__init__",
          [](EngineT* self, const ProgramT& program, Index batch_size, int n_threads, bool adapts,
             bool sparse) {
            if (batch_size < 1 || n_threads < 1)
              fail("batch_size and n_threads must be at least 1");
            new (self) EngineT(program, batch_size, n_threads, adapts, sparse);
          },
          "program"_a, "batch_size"_a, "n_threads"_a, "adapts"_a = false, "sparse"_a = false)
      .def("load_parameters", &EngineT::load_parameters, "flat"_a)
      .def("store_parameters", &EngineT::store_parameters, "flat"_a)
      .def("store_if_finite", &EngineT::store_if_finite, "flat"_a)
      .def("load_moments", &EngineT::load_moments, "first"_a, "second"_a)
      .def("store_moments", &EngineT::store_moments, "first"_a, "second"_a)
      .def("run", &EngineT::run, "X"_a, "targets"_a, "sample_weight"_a.none(), "order"_a,
           "n_epochs"_a, "plan"_a, "rates"_a, "decays"_a, "drop_factors"_a, "steps_done"_a,
           "epoch"_a, "loss"_a.none())
      .def("block_offsets", &EngineT::block_offsets)
      .def("request_stop", &EngineT::request_stop)
      .def("gradient", &EngineT::gradient, "X"_a, "targets"_a, "sample_weight"_a.none(),
           "gradient"_a, "loss"_a.none());
  using ScoresT = Scores<T>;
  nb::class_<ScoresT>(module, ("Predictor" + suffix).c_str())
      .def(
          "__init__",
          [](ScoresT* self, const ProgramT& program, nb::handle parameters, int n_threads) {
            if (n_threads < 1) fail("n_threads must be at least 1");
            new (self) ScoresT(program, parameters, n_threads);
          },
          "program"_a, "parameters"_a, "n_threads"_a)
      .def("run", nb::overload_cast<nb::handle, nb::handle, nb::handle>(&ScoresT::run), "X"_a,
           "rows"_a.none(), "out"_a)
      .def("sample", &ScoresT::sample, "X"_a, "rows"_a.none(), "out"_a, "seed"_a, "first_step"_a,
           "n_samples"_a, "first_row"_a);
}

// Fills `order` (n,) with the row order of nn.random.permutation.
void permute(std::uint64_t seed, std::uint32_t epoch, nb::handle order, std::uint32_t part) {
  const Array array(order, true);
  const Index n = array.dimensions() == 1 ? array.size(0) : -1;
  auto* rows = array.vector<std::int64_t>(n, "order", "i8");
  const WithoutGil released;
  fill_permutation(seed, epoch, part, rows, n);
}

}  // namespace

void bind(nb::module_& module) {
  nb::class_<Plan>(module, "Plan")
      .def(
          "__init__",
          [](Plan* self, Index batch_size, const char* rule, double first_decay, double first_gain,
             double second_decay, double second_gain, double epsilon, bool bias_correction,
             bool epsilon_corrected, bool epsilon_inside, double l2_penalty, const char* clip,
             double clip_limit, std::uint64_t seed, Index statistics_every) {
            new (self) Plan{{find_rule(rule), first_decay, first_gain, second_decay, second_gain,
                             epsilon, bias_correction, epsilon_corrected, epsilon_inside},
                            batch_size,
                            l2_penalty,
                            find_clip(clip),
                            clip_limit,
                            seed,
                            statistics_every};
          },
          nb::kw_only(), "batch_size"_a, "rule"_a, "first_decay"_a = 0.0, "first_gain"_a = 1.0,
          "second_decay"_a = 0.0, "second_gain"_a = 1.0, "epsilon"_a = 0.0,
          "bias_correction"_a = false, "epsilon_corrected"_a = false, "epsilon_inside"_a = false,
          "l2_penalty"_a = 0.0, "clip"_a = "none", "clip_limit"_a = 0.0, "seed"_a = 0,
          "statistics_every"_a = 0);
  bind_type<float>(module, "32");
  bind_type<double>(module, "64");
  module.def(
      "product_rate",
      [](int n_threads, int n_rounds) {
        const WithoutGil released;
        return product_rate<float>(n_threads, n_rounds);
      },
      "n_threads"_a, "n_rounds"_a);
  module.attr("has_bfloat16") = bool(PELLUCID_HAS_BFLOAT16);
#if PELLUCID_HAS_BFLOAT16
  module.def(
      "bfloat16_product_rate",
      [](int n_threads, int n_rounds) {
        const WithoutGil released;
        return product_rate<BFloat16Pair>(n_threads, n_rounds);
      },
      "n_threads"_a, "n_rounds"_a);
#endif
  module.def("permute", &permute, "seed"_a, "epoch"_a, "order"_a, "part"_a = 0);
}

}  // namespace pellucid::inline PELLUCID_ISA

NB_MODULE(PELLUCID_MODULE, module) {
#ifdef NDEBUG
  // At exit nanobind reports objects that are still alive as leaks of the binding code. The
  // engine's objects hold the memory of arrays and no other Python object, so they are in no
  // reference cycle. Those still alive are held from outside: by a daemon thread, or by what Python
  // does not clear.
  nb::set_leak_warnings(false);
#endif
  pellucid::bind(module);
}
