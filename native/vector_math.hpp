// exp, expm1, log, log1p, tanh, sine and cosine of vectors, accurate to a few units in the last
// place.
//
// Argument reduction: x = n ln 2 + r with |r| <= ln 2 / 2, then a Taylor polynomial in r. At the
// degrees used, its remainder is below rounding error. The polynomials are written as series, which
// a reader can check; the compiler evaluates them with fused multiply-adds.
#pragma once

#include <array>
#include <cmath>

#include "simd.hpp"

namespace pellucid::inline PELLUCID_ISA {

template <class T>
struct ExponentialConstants;

template <>
struct ExponentialConstants<float> {
  static constexpr float kLog2E = 1.44269504088896341f;
  static constexpr float kLn2High = 0.693359375f;
  static constexpr float kLn2Low = -2.12194440e-4f;
  static constexpr float kRoundingMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to integer
  static constexpr float kLowest = -105.0f;             // below, exp underflows to 0
  static constexpr float kHighest = 89.0f;              // above, it overflows to infinity
  static constexpr int kDegree = 7;
  static constexpr int kLogTerms = 5;
};

template <>
struct ExponentialConstants<double> {
  static constexpr double kLog2E = 1.4426950408889634074;
  static constexpr double kLn2High = 6.93147180369123816490e-01;
  static constexpr double kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kRoundingMagic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double kLowest = -750.0;
  static constexpr double kHighest = 710.0;
  static constexpr int kDegree = 13;
  static constexpr int kLogTerms = 12;
};

template <class T>
PELLUCID_INLINE Vector<T> power_of_two(IntegerVector<T> n) {
  return reinterpret_cast<Vector<T>>((n + VectorTypes<T>::kExponentBias)
                                     << VectorTypes<T>::kMantissaBits);
}

// Writes x = n ln 2 + r; returns exp(r) - 1.
template <class T>
PELLUCID_INLINE Vector<T> reduced_expm1(Vector<T> x, IntegerVector<T>& n) {
  using C = ExponentialConstants<T>;
  const Vector<T> magic = broadcast<T>(C::kRoundingMagic);
  const Vector<T> shifted = x * C::kLog2E + magic;
  n = reinterpret_cast<IntegerVector<T>>(shifted) - reinterpret_cast<IntegerVector<T>>(magic);
  const Vector<T> whole = shifted - magic;
  const Vector<T> r = (x - whole * C::kLn2High) - whole * C::kLn2Low;
  // exp(r) - 1 = r (1 + r/2 (1 + r/3 (1 + ...)))
  Vector<T> series = broadcast<T>(T(1));
  for (int k = C::kDegree; k > 1; --k) series = series * (r * (T(1) / T(k))) + T(1);
  return series * r;
}

template <class T>
PELLUCID_INLINE Vector<T> exponential(Vector<T> x) {
  using C = ExponentialConstants<T>;
  const Vector<T> clamped =
      minimum<T>(maximum<T>(x, broadcast<T>(C::kLowest)), broadcast<T>(C::kHighest));
  IntegerVector<T> n;
  const Vector<T> fraction = reduced_expm1<T>(clamped, n);
  // Two factors, since 2^n itself may be out of range although the product is not.
  const IntegerVector<T> half = n >> 1;
  const Vector<T> value = (fraction + T(1)) * power_of_two<T>(half) * power_of_two<T>(n - half);
  return x == x ? value : x;  // NaN stays NaN
}

// exp(x) - 1 for x <= 0.
template <class T>
PELLUCID_INLINE Vector<T> expm1_nonpositive(Vector<T> x) {
  // Below -50 the result is -1 in either precision.
  const Vector<T> clamped = maximum<T>(x, broadcast<T>(T(-50)));
  IntegerVector<T> n;
  const Vector<T> fraction = reduced_expm1<T>(clamped, n);
  const Vector<T> scale = power_of_two<T>(n);
  const Vector<T> value = fraction * scale + (scale - T(1));
  return x == x ? value : x;
}

// log(1 + t) for 0 <= t <= 1, through log((1 + s) / (1 - s)) = 2 (s + s^3/3 + s^5/5 + ...).
template <class T>
PELLUCID_INLINE Vector<T> log1p_unit(Vector<T> t) {
  // Above sqrt(2) - 1, log 2 is taken out, which keeps |s| below 0.172.
  const auto upper = t > T(0.41421356237309515);
  const Vector<T> s = upper ? (t - T(1)) / (t + T(3)) : t / (t + T(2));
  const Vector<T> square = s * s;
  constexpr int terms = ExponentialConstants<T>::kLogTerms;
  Vector<T> series = broadcast<T>(T(1) / T(2 * terms + 1));
  for (int k = terms - 1; k >= 0; --k) series = series * square + T(1) / T(2 * k + 1);
  const Vector<T> value = T(2) * s * series;
  return upper ? value + T(0.69314718055994530942) : value;
}

// log(x) for normal, positive x: x = 2^n m with m in [sqrt(1/2), sqrt 2), and the series above in
// s = (m - 1) / (m + 1).
template <class T>
PELLUCID_INLINE Vector<T> logarithm(Vector<T> x) {
  using Types = VectorTypes<T>;
  const Vector<T> root_half = broadcast<T>(T(0.70710678118654752440));
  const auto offset = reinterpret_cast<IntegerVector<T>>(root_half);
  const auto bits = reinterpret_cast<IntegerVector<T>>(x) - offset;
  const IntegerVector<T> n = bits >> Types::kMantissaBits;
  const auto m = reinterpret_cast<Vector<T>>(reinterpret_cast<IntegerVector<T>>(x) -
                                             (n << Types::kMantissaBits));
  const Vector<T> s = (m - T(1)) / (m + T(1));
  const Vector<T> square = s * s;
  constexpr int terms = ExponentialConstants<T>::kLogTerms;
  Vector<T> series = broadcast<T>(T(1) / T(2 * terms + 1));
  for (int k = terms - 1; k >= 0; --k) series = series * square + T(1) / T(2 * k + 1);
  const Vector<T> whole = __builtin_convertvector(n, Vector<T>);
  const Vector<T> value = whole * ExponentialConstants<T>::kLn2High +
                          (whole * ExponentialConstants<T>::kLn2Low + T(2) * s * series);
  return x == x ? value : x;
}

template <class T>
PELLUCID_INLINE Vector<T> hyperbolic_tangent(Vector<T> x) {
  const Vector<T> decayed = expm1_nonpositive<T>(T(-2) * absolute<T>(x));
  const Vector<T> magnitude = -decayed / (decayed + T(2));
  return x < 0 ? -magnitude : magnitude;
}

template <class T>
PELLUCID_INLINE Vector<T> logistic_sigmoid(Vector<T> x) {
  const Vector<T> decayed = exponential<T>(-absolute<T>(x));
  const Vector<T> scale = T(1) / (decayed + T(1));
  return x < 0 ? decayed * scale : scale;
}

// log(1 + exp(x)) without overflow.
template <class T>
PELLUCID_INLINE Vector<T> softplus_value(Vector<T> x) {
  const Vector<T> tail = log1p_unit<T>(exponential<T>(-absolute<T>(x)));
  return maximum<T>(x, Vector<T>{}) + tail;
}

// pi is the sum of kParts. All but the last have so few bits that n times each is exact for every
// angle up to kFarthest.
template <class T>
struct CircularConstants;

template <>
struct CircularConstants<float> {
  static constexpr std::array<float, 4> kParts{0x1.92p+1f, 0x1.fb4p-11f, 0x1.444p-23f,
                                               0x1.68c234p-38f};
  static constexpr float kFarthest = 12000.0f;
  static constexpr int kTerms = 6;
};

template <>
struct CircularConstants<double> {
  static constexpr std::array<double, 3> kParts{0x1.921fb544p+1, 0x1.0b4611a6p-33,
                                                0x1.3198a2e037073p-68};
  static constexpr double kFarthest = 1e6;
  static constexpr int kTerms = 10;
};

// The coefficients of r^3, r^5, ... in the series of sin r.
template <class T>
constexpr auto sine_coefficients() {
  std::array<T, CircularConstants<T>::kTerms> coefficients{};
  double next = 1;
  for (int k = 0; k < CircularConstants<T>::kTerms; ++k) {
    next /= -(2.0 * k + 2) * (2 * k + 3);
    coefficients[static_cast<std::size_t>(k)] = T(next);
  }
  return coefficients;
}

// sin(x + phase pi) for a phase of 0 or 1/2: with n = round(x / pi + phase) and the remainder
// r = x - (n - phase) pi, at most pi / 2 in size, it is (-1)^n sin r.
template <class T>
PELLUCID_INLINE Vector<T> reduced_sine(Vector<T> x, T phase) {
  using Integer = IntegerVector<T>;
  constexpr auto coefficients = sine_coefficients<T>();
  const Vector<T> magic = broadcast<T>(ExponentialConstants<T>::kRoundingMagic);
  const Vector<T> shifted = (x * T(0.31830988618379067154) + phase) + magic;
  const Vector<T> turns = (shifted - magic) - phase;
  Vector<T> r = x;
  for (const T part : CircularConstants<T>::kParts) r -= turns * part;
  // The last bit of `shifted` tells odd n from even.
  const Integer sign = reinterpret_cast<Integer>(shifted) << static_cast<int>(8 * sizeof(T) - 1);
  r = reinterpret_cast<Vector<T>>(reinterpret_cast<Integer>(r) ^ sign);
  const Vector<T> square = r * r;
  Vector<T> series = broadcast<T>(coefficients.back());
  for (std::size_t k = coefficients.size() - 1; k-- > 0;)
    series = series * square + coefficients[k];
  return (r * square) * series + r;
}

// The sines of `count` angles shifted by phase * pi, for a phase of 0 or 1/2. `count` is a multiple
// of kLanes. Each result depends only on its own angle.
template <class T>
void sines(const T* angles, Index count, T phase, T* results) {
  constexpr T farthest = CircularConstants<T>::kFarthest;
  Vector<T> largest{};
  for (Index i = 0; i < count; i += kLanes<T>) {
    const Vector<T> x = load(angles + i);
    largest = maximum<T>(largest, absolute<T>(x));
    store<T>(results + i, reduced_sine<T>(x, phase));
  }
  if (horizontal_maximum<T>(largest) <= farthest) return;
  for (Index i = 0; i < count; ++i)
    if (std::abs(angles[i]) > farthest)
      results[i] = phase == 0 ? std::sin(angles[i]) : std::cos(angles[i]);
}

}  // namespace pellucid::inline PELLUCID_ISA
