// The products of a training step, on panels.
//
// One kernel serves all three: it computes a tile of MR rows x NV vectors held in registers,
//     C[i, :] = start[i, :] + sum over k of A[i, k] B[k, :],
// with A read one number at a time and broadcast, B read a vector at a time. Each element is
// summed in the order of k with one fused multiply-add a term, whatever the tile's shape, so the
// result does not depend on how rows were shared out. What stands in A and B are numbers, or pairs
// of bfloat16 numbers that are neighbours in k and are summed in float32.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "panels.hpp"

namespace pellucid::inline PELLUCID_ISA {

// What the elements of an operand are summed in, and how many terms of the sum each of them holds.
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

// A run of k for which A[i, k] = a[i * row_stride + k * k_stride].
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

// Calls visit with each of 0 .. N as a constant. Sums that loops would index stay in registers.
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

// Cuts `rows` into blocks of nearly equal size, none above the panel's register block, and calls
// visit(first row, number of rows, kernel) for each.
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

// Segments of a product are grouped so that about this many terms of the sum are done at a time: a
// panel of B that long (under 100 KB) and the rows of A stay in the second-level cache.
inline constexpr Index kTermsPerBlock = 512;

// The right-hand matrix of a product: in panels of `stored_rows` rows, or row-major as the caller
// has it (`plain`), but for a last panel that whole vectors do not fill, which is then in `packed`
// alone.
template <class T>
struct RightOperand {
  const T* packed;
  Index stored_rows;
  const T* plain = nullptr;
  Index columns = 0;

  bool in_place(const Panel& panel) const {
    return plain != nullptr && panel.first + panel.width <= columns;
  }
  const T* row(const Panel& panel, Index k) const {
    if (in_place(panel)) return plain + k * columns + panel.first;
    return packed + (plain == nullptr ? stored_rows * panel.first : 0) + k * panel.width;
  }
  Index stride(const Panel& panel) const { return in_place(panel) ? columns : panel.width; }
};

// C[rows first_row .. last_row) = start + A B, where A (stored_rows x n_terms) and C (stored_rows
// x right.columns()) are in panels. Sums start from the vector
// `start` (right.width() numbers), or where it is null from what C holds. Where elements hold
// several terms, a row of A has its neighbours in them, and B as many rows side by side.
// `finish(panel, c, count)` is called on each finished range.
template <class E, class Finish>
void multiply(const E* a, const Panels<Sum<E>>& left, Index stored_rows, Index first_row,
              Index last_row, const RightOperand<E>& b, const Panels<Sum<E>>& right,
              const Sum<E>* start, Sum<E>* c, std::vector<Segment<E>>& segments, Finish finish) {
  constexpr Index terms_each = Element<E>::kTerms;
  segments.clear();
  for (const Panel& panel : left) {
    const Index width = panel.width / terms_each;
    const Index count = std::min(panel.width, left.columns() - panel.first);
    segments.push_back({a + stored_rows * panel.first / terms_each + first_row * width, width, 1,
                        (count + terms_each - 1) / terms_each});
  }
  const Index n_segments = static_cast<Index>(segments.size());
  Index terms = 0;
  for (Index s = 0; s < n_segments;) {
    Index next = s, length = 0;
    while (next < n_segments && length < kTermsPerBlock)
      length += segments[static_cast<std::size_t>(next++)].length;
    const bool from_start = s == 0 && start != nullptr;
    for (const Panel& panel : right) {
      Sum<E>* block = c + stored_rows * panel.first + first_row * panel.width;
      const E* panel_b = b.row(panel, terms);
      const Index b_stride = b.stride(panel);
      for_each_tile<E>(
          last_row - first_row, panel.width, [&](Index row, Index, TileKernel<E> kernel) {
            Sum<E>* tile = block + row * panel.width;
            kernel(segments.data() + s, next - s, row, panel_b, b_stride,
                   from_start ? start + panel.first : tile, from_start ? 0 : panel.width, tile);
          });
      if (next == n_segments) finish(panel, block, (last_row - first_row) * panel.width);
    }
    s = next;
    terms += length;
  }
}

}  // namespace pellucid::inline PELLUCID_ISA
