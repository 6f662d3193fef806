// Activation functions and their derivatives, applied to ranges of panels. A range is a whole
// number of vectors long. src/pellucid/nn/activations.py has the plain references.
#pragma once

#include <array>
#include <cmath>
#include <string_view>

#include "vector_math.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Each struct has phi(z) as `forward` and phi'(z) as `derivative`, which receives z and a = phi(z).
// If kNeedsZ is false, it uses only a, so z need not be kept.
struct Identity {
  static constexpr bool kNeedsZ = false;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return z;
  }
  template <class T>
  static Vector<T> derivative(Vector<T>, Vector<T>, T) {
    return broadcast<T>(T(1));
  }
};

struct Step {
  static constexpr bool kNeedsZ = false;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return z > 0 ? broadcast<T>(T(1)) : Vector<T>{};
  }
  template <class T>
  static Vector<T> derivative(Vector<T>, Vector<T>, T) {
    return Vector<T>{};
  }
};

struct Logistic {
  static constexpr bool kNeedsZ = false;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return logistic_sigmoid<T>(z);
  }
  template <class T>
  static Vector<T> derivative(Vector<T>, Vector<T> a, T) {
    return a * (T(1) - a);
  }
};

struct Tanh {
  static constexpr bool kNeedsZ = false;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return hyperbolic_tangent<T>(z);
  }
  template <class T>
  static Vector<T> derivative(Vector<T>, Vector<T> a, T) {
    return T(1) - a * a;
  }
};

struct Relu {
  static constexpr bool kNeedsZ = false;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return z < 0 ? Vector<T>{} : z;
  }
  template <class T>
  static Vector<T> derivative(Vector<T>, Vector<T> a, T) {
    return a > 0 ? broadcast<T>(T(1)) : Vector<T>{};
  }
};

struct LeakyRelu {
  static constexpr bool kNeedsZ = true;
  template <class T>
  static Vector<T> forward(Vector<T> z, T slope) {
    return z > 0 ? z : slope * z;
  }
  template <class T>
  static Vector<T> derivative(Vector<T> z, Vector<T>, T slope) {
    return z > 0 ? broadcast<T>(T(1)) : broadcast<T>(slope);
  }
};

struct Elu {
  static constexpr bool kNeedsZ = true;
  template <class T>
  static Vector<T> forward(Vector<T> z, T alpha) {
    return z > 0 ? z : alpha * expm1_nonpositive<T>(minimum<T>(z, Vector<T>{}));
  }
  template <class T>
  static Vector<T> derivative(Vector<T> z, Vector<T>, T alpha) {
    return z > 0 ? broadcast<T>(T(1)) : alpha * exponential<T>(minimum<T>(z, Vector<T>{}));
  }
};

struct Selu {
  static constexpr bool kNeedsZ = true;
  static constexpr double kScale = 1.0507009873554804934193349852946;
  static constexpr double kAlpha = 1.6732632423543772848170429916717;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return T(kScale) * Elu::forward<T>(z, T(kAlpha));
  }
  template <class T>
  static Vector<T> derivative(Vector<T> z, Vector<T> a, T) {
    return T(kScale) * Elu::derivative<T>(z, a, T(kAlpha));
  }
};

struct Softplus {
  static constexpr bool kNeedsZ = true;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return softplus_value<T>(z);
  }
  template <class T>
  static Vector<T> derivative(Vector<T> z, Vector<T>, T) {
    return logistic_sigmoid<T>(z);
  }
};

// z Phi(z) with the normal distribution function Phi(z) = erfc(-z / sqrt 2) / 2.
struct Gelu {
  static constexpr bool kNeedsZ = true;
  template <class T>
  static Vector<T> normal_cdf(Vector<T> z) {
    Vector<T> result;
    for (int i = 0; i < kLanes<T>; ++i)
      result[i] = T(0.5) * std::erfc(z[i] * T(-0.70710678118654752440));
    return result;
  }
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return z * normal_cdf<T>(z);
  }
  template <class T>
  static Vector<T> derivative(Vector<T> z, Vector<T>, T) {
    // Beyond 40 the density is zero in either precision; the clamp keeps z * z finite.
    const Vector<T> near = minimum<T>(absolute<T>(z), broadcast<T>(T(40)));
    const Vector<T> density = exponential<T>(T(-0.5) * near * near) * T(0.39894228040143267794);
    return normal_cdf<T>(z) + (z < 0 ? -near : near) * density;
  }
};

struct Silu {
  static constexpr bool kNeedsZ = true;
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return z * logistic_sigmoid<T>(z);
  }
  template <class T>
  static Vector<T> derivative(Vector<T> z, Vector<T>, T) {
    const Vector<T> sigma = logistic_sigmoid<T>(z);
    return sigma * (T(1) + z * (T(1) - sigma));
  }
};

// z tanh(softplus(z)).
struct Mish {
  static constexpr bool kNeedsZ = true;
  template <class T>
  static Vector<T> gate(Vector<T> z) {
    return hyperbolic_tangent<T>(softplus_value<T>(z));
  }
  template <class T>
  static Vector<T> forward(Vector<T> z, T) {
    return z * gate<T>(z);
  }
  template <class T>
  static Vector<T> derivative(Vector<T> z, Vector<T>, T) {
    const Vector<T> gated = gate<T>(z);
    return gated + z * (T(1) - gated * gated) * logistic_sigmoid<T>(z);
  }
};

// An activation of a network: z + blend * (phi(z) - z).
template <class T>
struct Activation {
  // a = phi(z) in place.
  void (*forward)(T* values, Index count, T parameter, T blend) = nullptr;
  // dz = da * phi'(z) in place. `z` may be null if needs_z is false.
  void (*backward)(T* deltas, const T* z, const T* a, Index count, T parameter, T blend) = nullptr;
  bool needs_z = false;
  T parameter = 0;
  T blend = 1;

  bool is_identity() const { return forward == nullptr; }
};

template <class Function, class T, bool kBlend>
void activate_range(T* values, Index count, T parameter, T blend) {
  for (Index i = 0; i < count; i += kLanes<T>) {
    const Vector<T> z = load(values + i);
    Vector<T> a = Function::template forward<T>(z, parameter);
    if constexpr (kBlend) a = z + blend * (a - z);
    store<T>(values + i, a);
  }
}

template <class Function, class T, bool kBlend>
void backward_range(T* deltas, const T* z_values, const T* a_values, Index count, T parameter,
                    T blend) {
  for (Index i = 0; i < count; i += kLanes<T>) {
    Vector<T> z{}, a{};
    if constexpr (kBlend || Function::kNeedsZ) z = load(z_values + i);
    // A blended output is not phi(z), so phi(z) is computed again.
    if constexpr (kBlend) a = Function::template forward<T>(z, parameter);
    if constexpr (!kBlend && !Function::kNeedsZ) a = load(a_values + i);
    Vector<T> slope = Function::template derivative<T>(z, a, parameter);
    if constexpr (kBlend) slope = T(1) + blend * (slope - T(1));
    store<T>(deltas + i, load(deltas + i) * slope);
  }
}

template <class T, class Function>
Activation<T> make_activation(T parameter, T blend) {
  if (blend == T(1))
    return {activate_range<Function, T, false>, backward_range<Function, T, false>,
            Function::kNeedsZ, parameter, blend};
  return {activate_range<Function, T, true>, backward_range<Function, T, true>, true, parameter,
          blend};
}

template <class T>
struct NamedActivation {
  std::string_view name;
  Activation<T> (*make)(T parameter, T blend);
};

template <class T>
inline constexpr std::array<NamedActivation<T>, 12> kActivations{{
    {"identity", [](T, T) { return Activation<T>{}; }},
    {"step", make_activation<T, Step>},
    {"logistic", make_activation<T, Logistic>},
    {"tanh", make_activation<T, Tanh>},
    {"relu", make_activation<T, Relu>},
    {"leaky_relu", make_activation<T, LeakyRelu>},
    {"elu", make_activation<T, Elu>},
    {"selu", make_activation<T, Selu>},
    {"softplus", make_activation<T, Softplus>},
    {"gelu", make_activation<T, Gelu>},
    {"silu", make_activation<T, Silu>},
    {"mish", make_activation<T, Mish>},
}};

}  // namespace pellucid::inline PELLUCID_ISA
