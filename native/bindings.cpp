// What Python sees of the engine. All sizes are checked here, once.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <chrono>
#include <optional>

#include "product_rate.hpp"
#include "random.hpp"
#include "trainer.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace pellucid::inline PELLUCID_ISA {
namespace {

[[noreturn]] void fail(const std::string& message) { throw std::invalid_argument(message); }

// An array's memory, through Python's buffer protocol, held for as long as this lives.
class Array {
 public:
  explicit Array(nb::handle source, bool writable = false) {
    const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(source.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  Array(Array&& other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }

  int dimensions() const { return view_.ndim; }
  Index size(int axis) const { return view_.shape[axis]; }
  Index stride(int axis) const { return view_.strides[axis]; }
  Index item_size() const { return view_.itemsize; }
  const std::byte* bytes() const { return static_cast<const std::byte*>(view_.buf); }

  // NumPy's kind and item size, such as "f4"; empty where it is no plain native number.
  std::string type() const {
    const std::string format = view_.format == nullptr ? "B" : view_.format;
    const std::string letter = format.size() == 2 && format[0] == '=' ? format.substr(1) : format;
    if (letter.size() != 1) return "";
    const std::string size = std::to_string(view_.itemsize);
    if (std::string("efd").find(letter) != std::string::npos) return "f" + size;
    if (std::string("bhilqn").find(letter) != std::string::npos) return "i" + size;
    if (std::string("BHILQN").find(letter) != std::string::npos) return "u" + size;
    return letter == "?" ? "b1" : "";
  }

  // The elements of a contiguous vector of `count` Ts.
  template <class T>
  T* vector(Index count, const char* name, const char* expected) const {
    if (dimensions() != 1 || type() != expected || size(0) != count ||
        (count > 1 && stride(0) != static_cast<Index>(sizeof(T))))
      fail(std::string(name) + " must be a contiguous vector of " + std::to_string(count) +
           " numbers of type " + expected);
    return static_cast<T*>(view_.buf);
  }

 private:
  Py_buffer view_{};
};

template <class T>
constexpr const char* kType = sizeof(T) == 4 ? "f4" : "f8";

// A table, its memory held.
template <class T>
struct HeldTable {
  std::vector<Array> arrays;
  TableView view;
  GatherFunction<T> gather = nullptr;
};

template <class T>
HeldTable<T> hold_dense(nb::handle source, Index columns, const char* name) {
  HeldTable<T> table;
  const Array& array = table.arrays.emplace_back(source);
  if (array.dimensions() != 2 || array.size(1) != columns)
    fail(std::string(name) + " must have two dimensions and " + std::to_string(columns) +
         " columns");
  table.view = {array.bytes(), array.size(0), columns, array.stride(0), array.stride(1)};
  table.gather = find_gather<T>(array.type(), false, false);
  return table;
}

// `source` is a tuple (values, column indices, row offsets) of a CSR matrix.
template <class T>
HeldTable<T> hold_sparse(const nb::tuple& source, Index columns) {
  if (source.size() != 3) fail("a sparse table is a tuple (data, indices, indptr)");
  HeldTable<T> table;
  for (nb::handle part : source) table.arrays.emplace_back(part);
  const Array &values = table.arrays[0], &indices = table.arrays[1], &offsets = table.arrays[2];
  const std::string index_type = offsets.type();
  if (index_type != "i4" && index_type != "i8") fail("indptr must hold signed integers");
  if (values.dimensions() != 1 || (values.size(0) > 1 && values.stride(0) != values.item_size()))
    fail("data must be a contiguous vector");
  const bool wide = index_type == "i8";
  const Index n_rows = offsets.size(0) - 1;
  const auto check = [&]<class Offset>() {
    const auto* columns_of = indices.vector<Offset>(indices.size(0), "indices", index_type.c_str());
    const auto* starts = offsets.vector<Offset>(n_rows + 1, "indptr", index_type.c_str());
    bool ordered = n_rows >= 0 && starts[0] == 0;
    for (Index i = 0; i < n_rows; ++i) ordered &= starts[i] <= starts[i + 1];
    if (!ordered || static_cast<Index>(starts[n_rows]) > indices.size(0) ||
        indices.size(0) != values.size(0))
      fail("indptr does not describe the rows of data and indices");
    for (Index i = 0; i < static_cast<Index>(starts[n_rows]); ++i)
      if (columns_of[i] < 0 || static_cast<Index>(columns_of[i]) >= columns)
        fail("a column index lies outside the matrix");
  };
  if (wide)
    check.template operator()<std::int64_t>();
  else
    check.template operator()<std::int32_t>();
  table.view = {values.bytes(), n_rows, columns, 0, 0, true, indices.bytes(), offsets.bytes()};
  table.gather = find_gather<T>(values.type(), true, wide);
  return table;
}

template <class T>
HeldTable<T> hold_table(nb::handle source, Index columns) {
  if (nb::isinstance<nb::tuple>(source))
    return hold_sparse<T>(nb::cast<nb::tuple>(source), columns);
  return hold_dense<T>(source, columns, "X");
}

// Rows of a table in the order in which to take them.
class RowOrder {
 public:
  RowOrder(nb::handle source, Index table_rows) : array_(source) {
    count_ = array_.dimensions() == 1 ? array_.size(0) : -1;
    rows_ = array_.vector<const std::int64_t>(count_, "rows", "i8");
    for (Index i = 0; i < count_; ++i)
      if (rows_[i] < 0 || rows_[i] >= table_rows)
        fail("the order names row " + std::to_string(rows_[i]) + ", but X has " +
             std::to_string(table_rows) + " rows");
  }
  Index count() const { return count_; }
  const std::int64_t* data() const { return rows_; }

 private:
  Array array_;
  Index count_ = 0;
  const std::int64_t* rows_ = nullptr;
};

// Everything a pass reads, its memory held.
template <class T>
struct HeldExamples {
  HeldTable<T> table;
  HeldTable<T> targets;
  std::vector<Array> arrays;
  Examples<T> examples;
  Index rows() const { return table.view.rows; }
};

template <class T>
HeldExamples<T> hold_examples(const Program<T>& program, nb::handle X, nb::handle targets,
                              nb::handle weights) {
  HeldExamples<T> held;
  held.table = hold_table<T>(X, program.fan_in());
  held.examples.table = held.table.view;
  held.examples.gather = held.table.gather;
  const Index n = held.rows();
  Array array(targets);
  if (array.dimensions() == 1) {
    if (!program.loss.takes_labels) fail("this loss needs targets of shape (n, outputs)");
    const auto* labels = array.vector<const std::int64_t>(n, "labels", "i8");
    for (Index i = 0; i < n; ++i)
      if (labels[i] < 0 || labels[i] >= program.fan_out())
        fail("labels must be at least 0 and below " + std::to_string(program.fan_out()) + ", got " +
             std::to_string(labels[i]));
    held.examples.labels = labels;
    held.arrays.push_back(std::move(array));
  } else {
    held.targets = hold_dense<T>(targets, program.fan_out(), "targets");
    if (held.targets.view.rows != n) fail("X and targets must have as many rows");
    held.examples.targets = held.targets.view;
    held.examples.gather_targets = held.targets.gather;
  }
  if (!weights.is_none()) {
    held.arrays.emplace_back(weights);
    held.examples.weights =
        held.arrays.back().template vector<const double>(n, "sample_weight", "f8");
  }
  return held;
}

// Asks Python a few times a second whether a signal such as Ctrl-C has come.
class SignalPoll {
 public:
  bool operator()() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(50)) return false;
    last_ = now;
    const nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;  // the exception stays set until the caller has the GIL
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

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

template <class T>
class Engine {
 public:
  Engine(const Program<T>& program, Index batch_size, int n_threads, bool adapts)
      : program_(check(program)),
        trainer_(program, batch_size, n_threads, adapts),
        rows_(batch_size) {}

  void load_parameters(nb::handle flat) {
    const Array array(flat);
    trainer_.load_parameters(vector_of(array, "parameters"));
  }
  void store_parameters(nb::handle flat) const {
    const Array array(flat, true);
    trainer_.store_parameters(vector_of(array, "parameters"));
  }
  bool store_if_finite(nb::handle flat) const {
    const Array array(flat, true);
    T* destination = vector_of(array, "parameters");
    if (!trainer_.parameters_finite()) return false;
    trainer_.store_parameters(destination);
    return true;
  }
  void load_moments(nb::handle first, nb::handle second) {
    const Array one(first), two(second);
    trainer_.load_moments(vector_of(one, "first"), optional_of(two, "second"));
  }
  void store_moments(nb::handle first, nb::handle second) const {
    const Array one(first, true), two(second, true);
    trainer_.store_moments(vector_of(one, "first"), optional_of(two, "second"));
  }

  // `rates`, `decays` and `drop_factors` have a number for each step. Returns (objective summed
  // over rows, rows, steps, non_finite, what a signal handler raised or None).
  nb::tuple run(nb::handle X, nb::handle targets, nb::handle weights, nb::handle order,
                const Plan& plan, nb::handle rates, nb::handle decays, nb::handle drop_factors,
                Index steps_done, std::uint32_t epoch) {
    const HeldExamples<T> held = hold_examples(program_, X, targets, weights);
    const RowOrder rows(order, held.rows());
    const Index n = rows.count();
    if (plan.batch_size < 1 || plan.batch_size > rows_)
      fail("batch_size must be at least 1 and at most " + std::to_string(rows_));
    const Index n_steps = (n + plan.batch_size - 1) / plan.batch_size;
    const Array held_rates(rates), held_decays(decays), held_factors(drop_factors);
    const Schedules schedules{held_rates.vector<const double>(n_steps, "rates", "f8"),
                              held_decays.vector<const double>(n_steps, "decays", "f8"),
                              held_factors.vector<const double>(n_steps, "drop_factors", "f8")};
    Report report;
    {
      const nb::gil_scoped_release released;
      SignalPoll poll;
      report = trainer_.run(held.examples, rows.data(), n, plan, schedules, steps_done, epoch,
                            [&poll] { return poll(); });
    }
    nb::object error = nb::none();
    if (report.interrupted) error = take_error();
    return nb::make_tuple(report.objective, report.rows, report.steps, report.non_finite, error);
  }

  // Returns the mean loss and writes its gradient.
  double gradient(nb::handle X, nb::handle targets, nb::handle weights, nb::handle flat) {
    const HeldExamples<T> held = hold_examples(program_, X, targets, weights);
    const Array array(flat, true);
    T* destination = vector_of(array, "gradient");
    double loss = 0;
    bool interrupted = false;
    {
      const nb::gil_scoped_release released;
      SignalPoll poll;
      loss = trainer_.gradient(
          held.examples, held.rows(), destination, [&poll] { return poll(); }, interrupted);
    }
    if (interrupted) throw nb::python_error();
    return loss;
  }

 private:
  static const Program<T>& check(const Program<T>& program) {
    if (program.steps().empty()) fail("a network to train needs at least one layer");
    if (program.loss.row == nullptr) fail("a network to train needs a loss");
    return program;
  }
  static nb::object take_error() {
    nb::python_error error;  // takes over what is set
    return nb::borrow(error.value());
  }
  T* vector_of(const Array& array, const char* name) const {
    return array.vector<T>(program_.n_parameters(), name, kType<T>);
  }
  T* optional_of(const Array& array, const char* name) const {
    return array.dimensions() == 1 && array.size(0) == 0 ? nullptr : vector_of(array, name);
  }

  Program<T> program_;
  Trainer<T> trainer_;
  Index rows_;  // most in a batch
};

template <class T>
void predict_into(const Program<T>& program, nb::handle flat, nb::handle X, nb::handle order,
                  nb::handle scores, int n_threads) {
  const Array parameters(flat);
  const T* values = parameters.vector<const T>(program.n_parameters(), "parameters", kType<T>);
  const HeldTable<T> table = hold_table<T>(X, program.fan_in());
  std::optional<RowOrder> rows;
  if (!order.is_none()) rows.emplace(order, table.view.rows);
  const Array output(scores, true);
  const Index n = rows ? rows->count() : table.view.rows;
  if (output.dimensions() != 2 || output.size(0) != n || output.size(1) != program.fan_out() ||
      output.type() != kType<T> || output.stride(1) != static_cast<Index>(sizeof(T)) ||
      output.stride(0) != program.fan_out() * static_cast<Index>(sizeof(T)))
    fail("scores must be a contiguous array of shape (rows, outputs)");
  if (n_threads < 1) fail("n_threads must be at least 1");
  auto* destination = reinterpret_cast<T*>(const_cast<std::byte*>(output.bytes()));
  const nb::gil_scoped_release released;
  predict(program, values, table.view, table.gather, rows ? rows->data() : nullptr, n, destination,
          n_threads);
}

template <class T>
void bind_type(nb::module_& module, const std::string& suffix) {
  using ProgramT = Program<T>;
  nb::class_<ProgramT>(module, ("Program" + suffix).c_str())
      .def(
          "__init__",
          [](ProgramT* self, Index fan_in, Index n_parameters) {
            if (fan_in < 1) fail("fan_in must be at least 1");
            new (self) ProgramT(fan_in, n_parameters);
          },
          "fan_in"_a, "n_parameters"_a)
      .def(
          "add_linear",
          [](ProgramT& self, Index fan_out, Index weight_offset, Index bias_offset,
             double weight_rate, double bias_rate) {
            return self.add_linear({fan_out, weight_offset, bias_offset, weight_rate, bias_rate});
          },
          "fan_out"_a, "weight_offset"_a, "bias_offset"_a, "weight_rate"_a = 1.0,
          "bias_rate"_a = 1.0)
      .def("add_activation", &ProgramT::add_activation, "name"_a, "parameter"_a, "blend"_a,
           "may_fuse"_a = true)
      .def("add_parametric_activation", &ProgramT::add_parametric_activation, "name"_a,
           "parameter"_a, "offset"_a, "rate"_a = 1.0)
      .def("add_scale", &ProgramT::add_scale, "offset"_a, "rate"_a = 1.0)
      .def("add_row_norm", &ProgramT::add_row_norm, "centered"_a, "epsilon"_a, "gamma_offset"_a,
           "gamma_rate"_a, "beta_offset"_a, "beta_rate"_a)
      .def("add_dropout", &ProgramT::add_dropout, "share"_a, "scales_in_training"_a,
           "layer_number"_a)
      .def("add_sum", &ProgramT::add_sum, "skipped"_a)
      .def("set_loss", &ProgramT::set_loss, "name"_a, "parameter"_a);
  using EngineT = Engine<T>;
  nb::class_<EngineT>(module, ("Trainer" + suffix).c_str())
      .def(
          "__init__",
          [](EngineT* self, const ProgramT& program, Index batch_size, int n_threads, bool adapts) {
            if (batch_size < 1 || n_threads < 1)
              fail("batch_size and n_threads must be at least 1");
            new (self) EngineT(program, batch_size, n_threads, adapts);
          },
          "program"_a, "batch_size"_a, "n_threads"_a, "adapts"_a = false)
      .def("load_parameters", &EngineT::load_parameters, "flat"_a)
      .def("store_parameters", &EngineT::store_parameters, "flat"_a)
      .def("store_if_finite", &EngineT::store_if_finite, "flat"_a)
      .def("load_moments", &EngineT::load_moments, "first"_a, "second"_a)
      .def("store_moments", &EngineT::store_moments, "first"_a, "second"_a)
      .def("run", &EngineT::run, "X"_a, "targets"_a, "sample_weight"_a.none(), "order"_a, "plan"_a,
           "rates"_a, "decays"_a, "drop_factors"_a, "steps_done"_a, "epoch"_a)
      .def("gradient", &EngineT::gradient, "X"_a, "targets"_a, "sample_weight"_a.none(),
           "gradient"_a);
  module.def(("predict" + suffix).c_str(), &predict_into<T>, "program"_a, "parameters"_a, "X"_a,
             "rows"_a.none(), "scores"_a, "n_threads"_a);
}

// The row order of nn.random.permutation, for `order` of n rows.
void permute(std::uint64_t seed, std::uint32_t epoch, nb::handle order) {
  const Array array(order, true);
  const Index n = array.dimensions() == 1 ? array.size(0) : -1;
  auto* rows = array.vector<std::int64_t>(n, "order", "i8");
  const nb::gil_scoped_release released;
  fill_permutation(seed, epoch, rows, n);
}

}  // namespace

void bind(nb::module_& module) {
  nb::class_<Plan>(module, "Plan")
      .def(
          "__init__",
          [](Plan* self, Index batch_size, const std::string& rule, double first_decay,
             double first_gain, double second_decay, double second_gain, double epsilon,
             bool bias_correction, bool epsilon_corrected, bool epsilon_inside, double l2_penalty,
             const std::string& clip, double clip_limit, std::uint64_t seed) {
            new (self) Plan{{find_rule(rule), first_decay, first_gain, second_decay, second_gain,
                             epsilon, bias_correction, epsilon_corrected, epsilon_inside},
                            batch_size,
                            l2_penalty,
                            find_clip(clip),
                            clip_limit,
                            seed};
          },
          nb::kw_only(), "batch_size"_a, "rule"_a, "first_decay"_a = 0.0, "first_gain"_a = 1.0,
          "second_decay"_a = 0.0, "second_gain"_a = 1.0, "epsilon"_a = 0.0,
          "bias_correction"_a = false, "epsilon_corrected"_a = false, "epsilon_inside"_a = false,
          "l2_penalty"_a = 0.0, "clip"_a = "none", "clip_limit"_a = 0.0, "seed"_a = 0);
  bind_type<float>(module, "32");
  bind_type<double>(module, "64");
  module.def(
      "product_rate",
      [](int n_threads, int n_rounds) {
        const nb::gil_scoped_release released;
        return product_rate<float>(n_threads, n_rounds);
      },
      "n_threads"_a, "n_rounds"_a);
  module.def("permute", &permute, "seed"_a, "epoch"_a, "order"_a);
}

}  // namespace pellucid::inline PELLUCID_ISA

NB_MODULE(PELLUCID_MODULE, module) { pellucid::bind(module); }
