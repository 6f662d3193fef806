// The products of a training step, on panels.
//
// One kernel serves all three: it computes a tile of MR rows x NV vectors held in registers,
//     C[i, :] = start[i, :] + sum over k of A[i, k] B[k, :].
// A is read one number at a time and broadcast, B one vector at a time. Each element is summed in
// the order of k, with one fused multiply-add per term, whatever the shape of the tile. The result
// therefore does not depend on how rows are divided among threads. The elements of A and B are
// numbers, or pairs of bfloat16 numbers that are neighbours in k and are summed in float32.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "panels.hpp"

namespace pellucid::inline PELLUCID_ISA {

// The type that an operand's elements are summed in, and how many terms of the sum an element
// holds.
template <class E>
struct Element {
  using Sum = E;
  static constexpr Index kTerms = 1;
};
template <>
struct Element<BFloat16Pair> {
  using Sum = float;
  static constexpr Index kTerms = 2;
};
template <class E>
using Sum = typename Element<E>::Sum;

// A range of k with A[i, k] = a[i * row_stride + k * k_stride].
template <class E>
struct Segment {
  const E* a;
  Index row_stride;
  Index k_stride;
  Index length;
};

// Rows of the register block for a panel of NV vectors.
constexpr int kTileRows(int vectors) {
  if constexpr (PELLUCID_VECTOR_REGISTERS >= 32) {
    constexpr int rows[] = {0, 14, 12, 8, 6};
    return rows[vectors];
  }
  constexpr int rows[] = {0, 8, 4, 0, 0};
  return rows[vectors];
}
inline constexpr int kMaxTileVectors = PELLUCID_VECTOR_REGISTERS >= 32 ? 4 : 2;

template <class E>
using TileKernel = void (*)(const Segment<E>* segments, Index n_segments, Index first_row,
                            const E* b, Index b_stride, const Sum<E>* start, Index start_stride,
                            Sum<E>* c);

// Calls visit with each of 0, ..., N - 1 as a constant, so that arrays indexed with it stay in
// registers.
template <int N, class Visit>
PELLUCID_INLINE void unrolled(Visit visit) {
  [&visit]<int... i>(std::integer_sequence<int, i...>) PELLUCID_INLINE_LAMBDA {
    (visit(std::integral_constant<int, i>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

template <class E, int MR, int NV>
void product_tile(const Segment<E>* segments, Index n_segments, Index first_row, const E* b,
                  Index b_stride, const Sum<E>* start, Index start_stride, Sum<E>* c) {
  constexpr int lanes = kLanes<E>;
  Vector<Sum<E>> sum[MR * NV];
  unrolled<MR * NV>([&](auto i) PELLUCID_INLINE_LAMBDA {
    sum[i] = load(start + i / NV * start_stride + i % NV * lanes);
  });
  for (Index s = 0; s < n_segments; ++s) {
    const Index row_stride = segments[s].row_stride;
    const Index k_stride = segments[s].k_stride;
    const E* a = segments[s].a + first_row * row_stride;
    for (Index k = segments[s].length; k > 0; --k) {
      Vector<E> right[NV];
      unrolled<NV>([&](auto j) PELLUCID_INLINE_LAMBDA { right[j] = load(b + j * lanes); });
      unrolled<MR>([&](auto i) PELLUCID_INLINE_LAMBDA {
        const E left = a[i * row_stride];
        unrolled<NV>([&](auto j) PELLUCID_INLINE_LAMBDA {
          sum[i * NV + j] = multiply_add(sum[i * NV + j], left, right[j]);
        });
      });
      a += k_stride;
      b += b_stride;
    }
  }
  unrolled<MR * NV>([&](auto i) PELLUCID_INLINE_LAMBDA { store<Sum<E>>(c + i * lanes, sum[i]); });
}

template <class E, int NV, int... Rows>
constexpr auto tile_kernels(std::integer_sequence<int, Rows...>) {
  return std::array<TileKernel<E>, sizeof...(Rows)>{product_tile<E, Rows + 1, NV>...};
}

// The kernel for `rows` rows of a panel `vectors` wide; rows is at most kTileRows(vectors).
template <class E>
TileKernel<E> tile_kernel(int vectors, Index rows) {
  static constexpr auto one = tile_kernels<E, 1>(std::make_integer_sequence<int, kTileRows(1)>{});
  static constexpr auto two = tile_kernels<E, 2>(std::make_integer_sequence<int, kTileRows(2)>{});
  const auto index = static_cast<std::size_t>(rows - 1);
  if (vectors == 1) return one[index];
  if (vectors == 2) return two[index];
  if constexpr (kMaxTileVectors >= 4) {
    static constexpr auto three =
        tile_kernels<E, 3>(std::make_integer_sequence<int, kTileRows(3)>{});
    static constexpr auto four =
        tile_kernels<E, 4>(std::make_integer_sequence<int, kTileRows(4)>{});
    return vectors == 3 ? three[index] : four[index];
  }
  return nullptr;
}

// Cuts `rows` into blocks of nearly equal size, none larger than the panel's register block, and
// calls visit(first row, number of rows, kernel) for each.
template <class E, class Visit>
PELLUCID_INLINE void for_each_tile(Index rows, Index width, Visit visit) {
  if (rows <= 0) return;
  const int vectors = static_cast<int>(width / kLanes<E>);
  const Index most = kTileRows(vectors);
  const Index blocks = (rows + most - 1) / most;
  const Index small = rows / blocks;
  const Index n_large = rows - small * blocks;  // blocks of small + 1 rows come first
  const TileKernel<E> large_kernel = n_large > 0 ? tile_kernel<E>(vectors, small + 1) : nullptr;
  const TileKernel<E> small_kernel = tile_kernel<E>(vectors, small);
  Index row = 0;
  for (Index block = 0; block < blocks; ++block) {
    const bool large = block < n_large;
    visit(row, small + large, large ? large_kernel : small_kernel);
    row += small + large;
  }
}

// Segments of a product are grouped so that about this many terms are summed at a time. The rows of
// A and a panel of B of that length (under 100 KB) then stay in the second-level cache.
inline constexpr Index kTermsPerBlock = 512;

// The left-hand matrix of a product: in panels of `stored_rows` rows, or row by row in the caller's
// memory, where `plain` is the product's first row. An element of several terms holds neighbours of
// a row.
template <class E>
struct LeftOperand {
  const E* packed;
  Index stored_rows;
  const Panels<Sum<E>>& panels;
  const E* plain = nullptr;
  Index plain_stride = 0;  // from one row to the next

  Segment<E> segment(const Panel& panel, Index first_row) const {
    constexpr Index terms_each = Element<E>::kTerms;
    const Index count = std::min(panel.width, panels.columns() - panel.first);
    const Index length = (count + terms_each - 1) / terms_each;
    if (plain != nullptr) return {plain + panel.first / terms_each, plain_stride, 1, length};
    const Index width = panel.width / terms_each;
    return {packed + stored_rows * panel.first / terms_each + first_row * width, width, 1, length};
  }
};

// The right-hand matrix of a product: in panels of `stored_rows` rows, or row-major in the caller's
// memory (`plain`). In the latter, a last panel that is not filled by whole vectors is read beyond
// the end of each row, into the next one. That would leave the array in the rows from `readable`
// on, so `packed` has copies of them. An element of several terms holds that many rows side by
// side, which count as one.
template <class E>
struct RightOperand {
  const E* packed;
  Index stored_rows;
  const E* plain = nullptr;
  Index columns = 0;
  Index readable = -1;  // -1 where every row is

  bool in_place(const Panel& panel, Index k) const {
    return plain != nullptr &&
           (panel.first + panel.width <= columns || readable < 0 || k < readable);
  }
  const E* row(const Panel& panel, Index k) const {
    if (in_place(panel, k)) return plain + k * columns + panel.first;
    if (plain != nullptr) return packed + (k - readable) * panel.width;
    return packed + stored_rows * panel.first + k * panel.width;
  }
  Index stride(const Panel& panel, Index k) const {
    return in_place(panel, k) ? columns : panel.width;
  }
};

// A product of few rows with a large B that is read in place is limited by the speed of memory.
// Reading this many rows of B side by side makes full use of it.
inline constexpr Index kTermsOfFewRows = 16, kFewRows = 32, kLargeBytes = 1 << 20;

// C = start + A B for rows `first_row` to `last_row` in a range of C's panels, which have
// `stored_rows` rows. Sums start from the vector `start` (right.width() numbers), or from the
// contents of C if it is null. `finish(panel, c, count)` is called on each finished range.
template <class E, class Finish>
void multiply(const LeftOperand<E>& a, Index stored_rows, Index first_row, Index last_row,
              const RightOperand<E>& b, const Panels<Sum<E>>& right, PanelRange range,
              const Sum<E>* start, Sum<E>* c, std::vector<Segment<E>>& segments, Finish finish) {
  const bool streams = b.plain != nullptr && last_row - first_row <= kFewRows &&
                       a.panels.columns() * b.columns * static_cast<Index>(sizeof(E)) > kLargeBytes;
  const Index most_terms = streams ? kTermsOfFewRows : kTermsPerBlock;
  segments.clear();
  Index column = 0;
  for (const Panel& panel : a.panels) {
    Segment<E> segment = a.segment(panel, first_row);
    while (segment.length > 0) {
      Segment<E> piece = segment;
      piece.length = std::min(segment.length, most_terms);
      if (column < b.readable) piece.length = std::min(piece.length, b.readable - column);
      segments.push_back(piece);
      segment.a += piece.length;
      segment.length -= piece.length;
      column += piece.length;
    }
  }
  const Index n_segments = static_cast<Index>(segments.size());
  Index terms = 0;
  for (Index s = 0; s < n_segments;) {
    Index next = s, length = 0;
    while (next < n_segments && length < most_terms &&
           (length == 0 || terms + length != b.readable))
      length += segments[static_cast<std::size_t>(next++)].length;
    const bool from_start = s == 0 && start != nullptr;
    for (Index p = range.first; p < range.last; ++p) {
      const Panel& panel = right[p];
      Sum<E>* block = c + stored_rows * panel.first + first_row * panel.width;
      const E* panel_b = b.row(panel, terms);
      const Index b_stride = b.stride(panel, terms);
      for_each_tile<E>(
          last_row - first_row, panel.width, [&](Index row, Index rows, TileKernel<E> kernel) {
            Sum<E>* tile = block + row * panel.width;
            kernel(segments.data() + s, next - s, row, panel_b, b_stride,
                   from_start ? start + panel.first : tile, from_start ? 0 : panel.width, tile);
            if (next == n_segments) finish(panel, tile, rows * panel.width);
          });
    }
    s = next;
    terms += length;
  }
}

}  // namespace pellucid::inline PELLUCID_ISA
