// A view of the user's array or sparse matrix, and functions that gather its rows.
//
// Rows are read in place, whatever the element type, order or strides, and converted on the way
// into the batch. The table is never copied whole.
#pragma once

#include <cstring>
#include <stdexcept>
#include <string>

#include "panels.hpp"

namespace pellucid::inline PELLUCID_ISA {

// IEEE half precision as stored. It is converted by hand, since not every compiler has the type.
struct Half {
  std::uint16_t bits;
  explicit operator double() const {
    const int exponent = bits >> 10 & 31;
    const int fraction = bits & 1023;
    double magnitude;
    if (exponent == 31)
      magnitude = fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                                : std::numeric_limits<double>::infinity();
    else if (exponent == 0)
      magnitude = fraction * 0x1p-24;
    else
      magnitude = (1024 + fraction) * static_cast<double>(1 << exponent) * 0x1p-25;
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
  }
  explicit operator float() const { return static_cast<float>(static_cast<double>(*this)); }
};

// A table in memory. Strides are in bytes and may be negative or zero.
struct TableView {
  const std::byte* data = nullptr;
  Index rows = 0;
  Index columns = 0;
  Index row_stride = 0;
  Index column_stride = 0;
  // Compressed sparse rows: the values are in `data` and their columns in `indices`. Row i has
  // those from offsets[i] to offsets[i + 1].
  bool sparse = false;
  const std::byte* indices = nullptr;
  const std::byte* offsets = nullptr;
  bool wide = false;  // indices and offsets have 64 bits, else 32
  Index stored = 0;   // numbers in `data`

  // How many numbers a sparse row stores.
  Index entries(Index row) const {
    const auto count = [&]<class Offset>(Offset) {
      const auto* starts = reinterpret_cast<const Offset*>(offsets) + row;
      return static_cast<Index>(starts[1] - starts[0]);
    };
    return wide ? count(std::int64_t{}) : count(std::int32_t{});
  }
};

// The most numbers that any batch of consecutive rows of `order` stores.
inline Index most_entries(const TableView& table, const std::int64_t* order, Index n,
                          Index batch_size) {
  Index most = 0, batch = 0;
  for (Index i = 0; i < n; ++i) {
    if (i % batch_size == 0) batch = 0;
    batch += table.entries(order != nullptr ? order[i] : i);
    most = std::max(most, batch);
  }
  return most;
}

// The user's arrays are checked before the engine reads them, but another thread can write to them
// meanwhile. What is read there is therefore checked again before memory is addressed by it.
[[noreturn]] inline void fail_as_changed(const char* what) {
  throw std::invalid_argument(std::string(what) +
                              " changed while the engine read it. Do not write to the data, nor "
                              "sum duplicates of a sparse matrix, before training has ended");
}

inline std::int64_t checked_row(std::int64_t row, Index rows) {
  if (row < 0 || row >= rows) [[unlikely]]
    fail_as_changed("the order of the rows");
  return row;
}

// Where the entries of a sparse row lie.
struct EntryPlaces {
  Index first, last;
};

template <class Offset>
EntryPlaces places_of(const TableView& table, Index row) {
  const auto* offsets = reinterpret_cast<const Offset*>(table.offsets);
  const EntryPlaces places{static_cast<Index>(offsets[row]), static_cast<Index>(offsets[row + 1])};
  if (places.first < 0 || places.last > table.stored) [[unlikely]]
    fail_as_changed("indptr");
  return places;
}

template <class Offset>
Index column_of(const TableView& table, Index place) {
  const auto* indices = reinterpret_cast<const Offset*>(table.indices);
  const auto column = static_cast<Index>(indices[place]);
  if (column < 0 || column >= table.columns) [[unlikely]]
    fail_as_changed("indices");
  return column;
}

template <class T>
struct SparseEntry {
  Index column;
  T value;
};

// Writes a sparse row's entries from `next` on, of at most `room` entries, and returns their end.
template <class T>
using ListFunction = SparseEntry<T>* (*)(const TableView& table, Index row, SparseEntry<T>* next,
                                         Index room);

template <class T, class Source, class Offset>
SparseEntry<T>* list_entries(const TableView& table, Index row, SparseEntry<T>* next, Index room) {
  const auto* values = reinterpret_cast<const Source*>(table.data);
  const EntryPlaces places = places_of<Offset>(table, row);
  if (places.last - places.first > room) [[unlikely]]
    fail_as_changed("indptr");
  for (Index i = places.first; i < places.last; ++i)
    *next++ = {column_of<Offset>(table, i), static_cast<T>(values[i])};
  return next;
}

template <class T>
using GatherFunction = void (*)(const TableView& table, Index row, const Panels<T>& panels,
                                Index stored_rows, Index row_in_batch, T* batch);

template <class T, class Source>
void gather_dense(const TableView& table, Index row, const Panels<T>& panels, Index stored_rows,
                  Index row_in_batch, T* batch) {
  const std::byte* source = table.data + row * table.row_stride;
  const Index stride = table.column_stride;
  const bool contiguous = stride == static_cast<Index>(sizeof(Source));
  for (const Panel& panel : panels) {
    const Index count = std::min(panel.width, panels.columns() - panel.first);
    T* destination = batch + stored_rows * panel.first + row_in_batch * panel.width;
    if (contiguous) {
      const std::byte* values = source + panel.first * stride;
      if constexpr (std::is_same_v<T, Source>) {
        std::memcpy(destination, values, static_cast<std::size_t>(count) * sizeof(T));
      } else {
        for (Index c = 0; c < count; ++c) {
          Source value;
          std::memcpy(&value, values + c * static_cast<Index>(sizeof(Source)), sizeof(Source));
          destination[c] = static_cast<T>(value);
        }
      }
    } else {
      for (Index c = 0; c < count; ++c) {
        Source value;
        std::memcpy(&value, source + (panel.first + c) * stride, sizeof(Source));
        destination[c] = static_cast<T>(value);
      }
    }
  }
}

template <class T, class Source, class Offset>
void gather_sparse(const TableView& table, Index row, const Panels<T>& panels, Index stored_rows,
                   Index row_in_batch, T* batch) {
  const auto* values = reinterpret_cast<const Source*>(table.data);
  const EntryPlaces places = places_of<Offset>(table, row);
  for (const Panel& panel : panels)
    std::fill_n(batch + stored_rows * panel.first + row_in_batch * panel.width, panel.width, T(0));
  Index p = 0;
  for (Index i = places.first; i < places.last; ++i) {
    const Index column = column_of<Offset>(table, i);
    // Indices are usually sorted, so the column is nearly always in this panel or a later one.
    if (column < panels[p].first) p = 0;
    while (column >= panels[p].first + panels[p].width) ++p;
    const Panel& panel = panels[p];
    batch[stored_rows * panel.first + row_in_batch * panel.width + column - panel.first] +=
        static_cast<T>(values[i]);
  }
}

// How the rows of a table are read: into a dense batch or, if they are sparse, as entries.
template <class T>
struct RowReader {
  GatherFunction<T> gather = nullptr;
  ListFunction<T> list = nullptr;
};

template <class T, class Source>
RowReader<T> row_reader(bool sparse, bool wide) {
  if (!sparse) return {gather_dense<T, Source>};
  if (wide) return {gather_sparse<T, Source, std::int64_t>, list_entries<T, Source, std::int64_t>};
  return {gather_sparse<T, Source, std::int32_t>, list_entries<T, Source, std::int32_t>};
}

// `type` is NumPy's kind and item size: "f4", "i8", "b1", ...
template <class T>
RowReader<T> find_reader(const std::string& type, bool sparse, bool wide) {
  if (type == "f4") return row_reader<T, float>(sparse, wide);
  if (type == "f8") return row_reader<T, double>(sparse, wide);
  if (type == "f2") return row_reader<T, Half>(sparse, wide);
  if (type == "i1") return row_reader<T, std::int8_t>(sparse, wide);
  if (type == "i2") return row_reader<T, std::int16_t>(sparse, wide);
  if (type == "i4") return row_reader<T, std::int32_t>(sparse, wide);
  if (type == "i8") return row_reader<T, std::int64_t>(sparse, wide);
  if (type == "u1" || type == "b1") return row_reader<T, std::uint8_t>(sparse, wide);
  if (type == "u2") return row_reader<T, std::uint16_t>(sparse, wide);
  if (type == "u4") return row_reader<T, std::uint32_t>(sparse, wide);
  if (type == "u8") return row_reader<T, std::uint64_t>(sparse, wide);
  throw std::invalid_argument("cannot gather rows of element type " + type);
}

}  // namespace pellucid::inline PELLUCID_ISA
