// Python's arrays for the engine: their memory is held and their sizes are checked.
#pragma once

#include <nanobind/nanobind.h>

#include <bit>
#include <stdexcept>
#include <string>
#include <vector>

#include "denormals.hpp"
#include "gil.hpp"
#include "network.hpp"
#include "scorer.hpp"

namespace nb = nanobind;

namespace pellucid::inline PELLUCID_ISA {

[[noreturn]] inline void fail(const std::string& message) { throw std::invalid_argument(message); }

template <class T>
constexpr const char* kType = sizeof(T) == 4 ? "f4" : "f8";

// An array's memory, through Python's buffer protocol, held for as long as this lives.
class Array {
 public:
  explicit Array(nb::handle source, bool writable = false) {
    const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(source.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  Array(Array&& other) noexcept : view_(other.view_) {
    // Python lets the shape and the strides of a vector point to numbers in the view itself.
    if (other.view_.shape == &other.view_.len) view_.shape = &view_.len;
    if (other.view_.strides == &other.view_.itemsize) view_.strides = &view_.itemsize;
    other.view_.obj = nullptr;
  }
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

  // NumPy's kind and item size, such as "f4". Empty unless elements are plain numbers in native
  // byte order.
  std::string type() const {
    const std::string format = view_.format == nullptr ? "B" : view_.format;
    const char native = std::endian::native == std::endian::little ? '<' : '>';
    const bool says_native = format.size() == 2 && (format[0] == '=' || format[0] == native);
    const std::string letter = says_native ? format.substr(1) : format;
    if (letter.size() != 1) return "";
    const std::string size = std::to_string(view_.itemsize);
    if (std::string("efd").find(letter) != std::string::npos) return "f" + size;
    if (std::string("bhilqn").find(letter) != std::string::npos) return "i" + size;
    if (std::string("BHILQN").find(letter) != std::string::npos) return "u" + size;
    return letter == "?" ? "b1" : "";
  }

  // The elements of a contiguous matrix of Ts.
  template <class T>
  T* matrix(Index rows, Index columns, const char* name) const {
    if (dimensions() != 2 || type() != kType<T> || size(0) != rows || size(1) != columns ||
        (columns > 1 && stride(1) != static_cast<Index>(sizeof(T))) ||
        (rows > 1 && stride(0) != columns * static_cast<Index>(sizeof(T))))
      fail(std::string(name) + " must be a contiguous array of shape (" + std::to_string(rows) +
           ", " + std::to_string(columns) + ") and type " + kType<T>);
    return static_cast<T*>(view_.buf);
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

// A table whose memory is held.
template <class T>
struct HeldTable {
  std::vector<Array> arrays;
  TableView view;
  RowReader<T> reader;
  bool plain = false;  // Ts, a row's one after the other
};

template <class T>
HeldTable<T> hold_dense(nb::handle source, Index columns, const char* name) {
  HeldTable<T> table;
  const Array& array = table.arrays.emplace_back(source);
  if (array.dimensions() != 2 || array.size(1) != columns)
    fail(std::string(name) + " must have two dimensions and " + std::to_string(columns) +
         " columns");
  table.view = {array.bytes(), array.size(0), columns, array.stride(0), array.stride(1)};
  const std::string type = array.type();
  table.reader = find_reader<T>(type, false, false);
  table.plain = type == kType<T> && (columns == 1 || array.stride(1) == array.item_size());
  return table;
}

// Checks where the n rows of a sparse table that `order` names (null: the first n) start and end,
// and their columns, so that they can be read without further checks.
template <class Offset>
void check_sparse_rows(const TableView& table, const std::int64_t* order, Index n) {
  const auto* offsets = reinterpret_cast<const Offset*>(table.offsets);
  const auto* indices = reinterpret_cast<const Offset*>(table.indices);
  for (Index i = 0; i < n; ++i) {
    const Index row = order != nullptr ? order[i] : i;
    const Index first = offsets[row], last = offsets[row + 1];
    if (first < 0 || first > last || last > table.stored)
      fail("indptr does not describe the rows of data and indices");
    // As an unsigned number, a negative index is a large one.
    std::make_unsigned_t<Offset> largest = 0;
    for (Index k = first; k < last; ++k)
      largest = std::max(largest, static_cast<std::make_unsigned_t<Offset>>(indices[k]));
    if (first < last &&
        static_cast<std::uint64_t>(largest) >= static_cast<std::uint64_t>(table.columns))
      fail("a column index lies outside the matrix");
  }
}

template <class T>
void check_rows(const HeldTable<T>& table, const std::int64_t* order, Index n) {
  if (!table.view.sparse) return;
  table.view.wide ? check_sparse_rows<std::int64_t>(table.view, order, n)
                  : check_sparse_rows<std::int32_t>(table.view, order, n);
}

// `source` is a tuple (values, column indices, row offsets) of a CSR matrix. Call check_rows before
// reading rows.
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
  if (offsets.dimensions() != 1) fail("indptr must be a vector");
  const bool wide = index_type == "i8";
  const Index n_rows = offsets.size(0) - 1;
  const auto hold_vectors = [&]<class Offset>(Offset) {
    indices.vector<Offset>(values.size(0), "indices", index_type.c_str());
    offsets.vector<Offset>(offsets.size(0), "indptr", index_type.c_str());
  };
  wide ? hold_vectors(std::int64_t{}) : hold_vectors(std::int32_t{});
  if (n_rows < 0) fail("indptr needs at least one number");
  table.view = {values.bytes(), n_rows,          columns,         0,    0,
                true,           indices.bytes(), offsets.bytes(), wide, values.size(0)};
  table.reader = find_reader<T>(values.type(), true, wide);
  return table;
}

template <class T>
HeldTable<T> hold_table(nb::handle source, Index columns) {
  if (nb::isinstance<nb::tuple>(source))
    return hold_sparse<T>(nb::cast<nb::tuple>(source), columns);
  return hold_dense<T>(source, columns, "X");
}

// The rows of a table to take, in this order.
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

// Everything a pass reads, with its memory held.
template <class T>
struct HeldExamples {
  HeldTable<T> table;
  HeldTable<T> targets;
  std::vector<Array> arrays;
  Examples<T> examples;
  Index rows() const { return table.view.rows; }
};

// A loss that Python computes: a tuple (scores, gradient, rows, function). The arrays have room for
// `n_rows` rows. The function takes the number of rows, fills the gradient and returns the loss.
template <class T>
struct HeldLoss {
  Array scores, gradient, rows;
  OutsideLoss<T> outside;

  HeldLoss(const nb::tuple& parts, Index n_rows, Index columns)
      : scores(parts[0], true), gradient(parts[1], true), rows(parts[2], true) {
    outside = {scores.matrix<T>(n_rows, columns, "scores"),
               gradient.matrix<T>(n_rows, columns, "gradient"),
               rows.vector<std::int64_t>(n_rows, "rows", "i8"),
               [function = nb::object(parts[3])](Index count) -> std::optional<double> {
                 const DenormalsAreZero as_python_knows_them(false);
                 const WithGil gil;
                 PyObject* result =
                     call_python([&] { return PyObject_CallFunction(function.ptr(), "n", count); });
                 if (result == nullptr) return std::nullopt;  // the exception stays set
                 const nb::object held = nb::steal(result);
                 const double loss = PyFloat_AsDouble(held.ptr());
                 if (PyErr_Occurred() != nullptr) return std::nullopt;
                 return loss;
               }};
  }
};

template <class T>
HeldExamples<T> hold_examples(const Program<T>& program, nb::handle X, nb::handle targets,
                              nb::handle weights) {
  HeldExamples<T> held;
  held.table = hold_table<T>(X, program.fan_in());
  check_rows(held.table, nullptr, held.rows());
  held.examples.table = held.table.view;
  held.examples.reader = held.table.reader;
  const Index n = held.rows();
  Array array(targets);
  if (program.loss.row == nullptr) {
    // The caller computes the loss and reads the targets itself.
  } else if (array.dimensions() == 1) {
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
    held.examples.targets_reader = held.targets.reader;
  }
  if (!weights.is_none()) {
    held.arrays.emplace_back(weights);
    held.examples.weights =
        held.arrays.back().template vector<const double>(n, "sample_weight", "f8");
  }
  return held;
}

}  // namespace pellucid::inline PELLUCID_ISA
