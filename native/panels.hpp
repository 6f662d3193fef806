// The layout that every matrix has inside the engine.
//
// A matrix of `rows` x `columns` is cut into panels that are a few vectors wide. Each panel stores
// its rows one after the other, contiguous and padded with zeros to whole vectors. A product then
// reads its right-hand operand in memory order, and a range of a panel's rows is one contiguous
// range. Weights (rows = fan_in, columns = fan_out), their transposes, activations and deltas (rows
// = examples) all have this layout, so nothing is repacked between them.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "simd.hpp"

namespace pellucid::inline PELLUCID_ISA {

struct Panel {
  Index first;  // its first column; the panel starts at rows * first
  Index width;  // in numbers, a multiple of the vector's lanes
};

template <class T>
class Panels {
 public:
  Panels() = default;
  explicit Panels(Index columns) : columns_(columns) {
    Index left = round_up(columns, kLanes<T>) / kLanes<T>;
    Index first = 0;
    while (left > 0) {
      const Index vectors = next_vectors(left);
      panels_.push_back({first, vectors * kLanes<T>});
      first += vectors * kLanes<T>;
      left -= vectors;
    }
    width_ = first;
  }

  // One panel without padding: row-major.
  static Panels plain(Index columns) {
    Panels panels;
    panels.panels_.push_back({0, columns});
    panels.columns_ = panels.width_ = columns;
    return panels;
  }

  Index columns() const { return columns_; }
  Index width() const { return width_; }  // with padding
  bool is_plain() const { return count() == 1 && width_ == columns_; }
  Index count() const { return static_cast<Index>(panels_.size()); }
  const Panel& operator[](Index i) const { return panels_[static_cast<std::size_t>(i)]; }
  auto begin() const { return panels_.begin(); }
  auto end() const { return panels_.end(); }

 private:
  // Panels are 3 or 4 vectors wide with 32 registers, else 2. Register blocks (gemm.hpp) of these
  // widths do enough arithmetic per load.
  static Index next_vectors(Index left) {
    if constexpr (PELLUCID_VECTOR_REGISTERS < 32) return left >= 2 ? 2 : left;
    if (left <= 4) return left;
    return left % 3 == 0 || left == 5 ? 3 : 4;
  }

  Index columns_ = 0;
  Index width_ = 0;
  std::vector<Panel> panels_;
};

struct PanelRange {
  Index first, last;
};

// Part `part` of `parts` nearly equal parts.
constexpr PanelRange share(Index panels, Index part, Index parts) {
  return {panels * part / parts, panels * (part + 1) / parts};
}

// Copies a range of the panels of a row-major matrix (rows x columns, no gaps) into panels of
// `stored_rows` rows.
template <class T>
void pack(const T* matrix, Index rows, Index stored_rows, const Panels<T>& panels, PanelRange range,
          T* packed) {
  if (panels.is_plain()) {
    if (range.last > range.first) std::copy_n(matrix, rows * panels.columns(), packed);
    return;
  }
  for (Index p = range.first; p < range.last; ++p) {
    const Panel& panel = panels[p];
    const Index count = std::min(panel.width, panels.columns() - panel.first);
    T* destination = packed + stored_rows * panel.first;
    const T* source = matrix + panel.first;
    for (Index row = 0; row < rows; ++row)
      std::copy_n(source + row * panels.columns(), count, destination + row * panel.width);
  }
}

template <class T>
void unpack(const T* packed, Index rows, Index stored_rows, const Panels<T>& panels, T* matrix) {
  if (panels.is_plain()) {
    std::copy_n(packed, rows * panels.columns(), matrix);
    return;
  }
  for (const Panel& panel : panels) {
    const Index count = std::min(panel.width, panels.columns() - panel.first);
    const T* source = packed + stored_rows * panel.first;
    T* destination = matrix + panel.first;
    for (Index row = 0; row < rows; ++row)
      std::copy_n(source + row * panel.width, count, destination + row * panels.columns());
  }
}

// Transposes a square of kLanes x kLanes numbers in log2(lanes) rounds of pairwise exchanges.
template <class T>
PELLUCID_INLINE void transpose_square(const T* source, Index source_stride, T* destination,
                                      Index destination_stride) {
  constexpr int lanes = kLanes<T>;
  Vector<T> rows[lanes];
  for (int i = 0; i < lanes; ++i) rows[i] = load(source + i * source_stride);
  // A round with distance d exchanges the off-diagonal d x d blocks of every 2d x 2d block.
  auto exchange = [&rows]<int distance>() {
    [&]<int... lane>(std::integer_sequence<int, lane...>) {
      for (int i = 0; i < lanes; ++i) {
        if ((i & distance) != 0) continue;
        const Vector<T> upper = rows[i], lower = rows[i + distance];
        rows[i] = __builtin_shufflevector(
            upper, lower, ((lane & distance) != 0 ? lane - distance + lanes : lane)...);
        rows[i + distance] = __builtin_shufflevector(
            upper, lower, ((lane & distance) != 0 ? lane + lanes : lane + distance)...);
      }
    }(std::make_integer_sequence<int, lanes>{});
  };
  if constexpr (lanes >= 16) exchange.template operator()<8>();
  if constexpr (lanes >= 8) exchange.template operator()<4>();
  if constexpr (lanes >= 4) exchange.template operator()<2>();
  if constexpr (lanes >= 2) exchange.template operator()<1>();
  for (int i = 0; i < lanes; ++i) store<T>(destination + i * destination_stride, rows[i]);
}

}  // namespace pellucid::inline PELLUCID_ISA
