// Vectors of the width that this file is compiled for, with the compiler's vector extensions.
//
// The same source is compiled once per instruction set. PELLUCID_ISA names the inner namespace, so
// that two of the resulting modules can be in one process. PELLUCID_VECTOR_BYTES is the register
// width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#ifndef PELLUCID_ISA
#define PELLUCID_ISA baseline
#endif
#ifndef PELLUCID_VECTOR_BYTES
#define PELLUCID_VECTOR_BYTES 16
#endif
// The number of vector registers, which limits the register blocks of products.
#ifndef PELLUCID_VECTOR_REGISTERS
#define PELLUCID_VECTOR_REGISTERS 16
#endif

#define PELLUCID_INLINE inline __attribute__((always_inline))
#define PELLUCID_INLINE_LAMBDA __attribute__((always_inline))  // after its parameters

// Whether the processor can multiply bfloat16 numbers.
#if defined(__AVX512BF16__) && PELLUCID_VECTOR_BYTES == 64
#define PELLUCID_HAS_BFLOAT16 1
#else
#define PELLUCID_HAS_BFLOAT16 0
#endif

namespace pellucid::inline PELLUCID_ISA {

using Index = std::int64_t;

template <class T>
struct VectorTypes;

template <>
struct VectorTypes<float> {
  typedef float Real __attribute__((vector_size(PELLUCID_VECTOR_BYTES), aligned(4), may_alias));
  typedef std::int32_t Integer
      __attribute__((vector_size(PELLUCID_VECTOR_BYTES), aligned(4), may_alias));
  static constexpr int kMantissaBits = 23;
  static constexpr int kExponentBias = 127;
};

template <>
struct VectorTypes<double> {
  typedef double Real __attribute__((vector_size(PELLUCID_VECTOR_BYTES), aligned(8), may_alias));
  typedef std::int64_t Integer
      __attribute__((vector_size(PELLUCID_VECTOR_BYTES), aligned(8), may_alias));
  static constexpr int kMantissaBits = 52;
  static constexpr int kExponentBias = 1023;
};

// Two bfloat16 numbers, the upper halves of float32 ones; the first is in the lower half.
struct BFloat16Pair {
  std::int32_t bits;
};

template <>
struct VectorTypes<BFloat16Pair> {
  typedef std::int32_t Real
      __attribute__((vector_size(PELLUCID_VECTOR_BYTES), aligned(4), may_alias));
};

template <class T>
using Vector = typename VectorTypes<T>::Real;
template <class T>
using IntegerVector = typename VectorTypes<T>::Integer;

template <class T>
inline constexpr int kLanes = PELLUCID_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T>
PELLUCID_INLINE Vector<T> load(const T* source) {
  return *reinterpret_cast<const Vector<T>*>(source);
}

template <class T>
PELLUCID_INLINE void store(T* destination, Vector<T> value) {
  *reinterpret_cast<Vector<T>*>(destination) = value;
}

template <class T>
PELLUCID_INLINE Vector<T> broadcast(T value) {
  return value - Vector<T>{};
}

template <class T>
PELLUCID_INLINE Vector<T> maximum(Vector<T> a, Vector<T> b) {
  return a > b ? a : b;
}

template <class T>
PELLUCID_INLINE Vector<T> minimum(Vector<T> a, Vector<T> b) {
  return a < b ? a : b;
}

template <class T>
PELLUCID_INLINE Vector<T> absolute(Vector<T> a) {
  return a < 0 ? -a : a;
}

// Lane i is all ones where i < count, else zero.
template <class T>
PELLUCID_INLINE IntegerVector<T> first_lanes(Index count) {
  IntegerVector<T> lane;
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = i;
  return lane < (static_cast<decltype(lane[0] + 0)>(count) - IntegerVector<T>{});
}

// Combines lane i with lane i + lanes / 2, then the results at half the distance, and so on.
template <class T, class Combine>
PELLUCID_INLINE T fold_lanes(Vector<T> a, Combine combine) {
  auto fold = [&]<int distance, int... lane>(std::integer_sequence<int, lane...>) {
    if constexpr (distance < kLanes<T>)
      a = combine(a, __builtin_shufflevector(a, a, ((lane + distance) % kLanes<T>)...));
  };
  constexpr auto lanes = std::make_integer_sequence<int, kLanes<T>>{};
  fold.template operator()<8>(lanes);
  fold.template operator()<4>(lanes);
  fold.template operator()<2>(lanes);
  fold.template operator()<1>(lanes);
  return a[0];
}

template <class T>
PELLUCID_INLINE T horizontal_sum(Vector<T> a) {
  return fold_lanes<T>(a, [](Vector<T> x, Vector<T> y) { return x + y; });
}

template <class T>
PELLUCID_INLINE T horizontal_maximum(Vector<T> a) {
  return fold_lanes<T>(a, [](Vector<T> x, Vector<T> y) { return maximum<T>(x, y); });
}

// Square roots lane by lane. Compilers turn the loop into one instruction.
PELLUCID_INLINE Vector<float> square_root(Vector<float> a) {
  Vector<float> result;
  for (int i = 0; i < kLanes<float>; ++i) result[i] = __builtin_sqrtf(a[i]);
  return result;
}
PELLUCID_INLINE Vector<double> square_root(Vector<double> a) {
  Vector<double> result;
  for (int i = 0; i < kLanes<double>; ++i) result[i] = __builtin_sqrt(a[i]);
  return result;
}

template <class T>
PELLUCID_INLINE Vector<T> multiply_add(Vector<T> sum, T left, Vector<T> right) {
  return sum + left * right;
}

#if PELLUCID_HAS_BFLOAT16
// Adds to each lane of `sum` the two products of `left` with the pair in that lane of `right`. With
// the intrinsic instead, GCC 12 copies the sums to the stack and back in every round.
PELLUCID_INLINE Vector<float> multiply_add(Vector<float> sum, BFloat16Pair left,
                                           Vector<BFloat16Pair> right) {
  const Vector<BFloat16Pair> lefts = left.bits - Vector<BFloat16Pair>{};
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(right), "v"(lefts));
  return sum;
}

// Rounds to the nearest bfloat16, ties to even and subnormal numbers to zero. Returns the pairs of
// neighbours in `first`, then those in `second`.
PELLUCID_INLINE Vector<BFloat16Pair> round_neighbours(Vector<float> first, Vector<float> second) {
  Vector<BFloat16Pair> rounded;
  asm("vcvtne2ps2bf16 %2, %1, %0" : "=v"(rounded) : "v"(second), "v"(first));
  return rounded;
}
#endif

constexpr Index round_up(Index n, Index multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

}  // namespace pellucid::inline PELLUCID_ISA
