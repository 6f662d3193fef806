// Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, SC 2011). Its random numbers are a function of a
// key and a counter, so any of them can be computed again on its own.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

namespace pellucid {

using PhiloxBlock = std::array<std::uint32_t, 4>;

inline constexpr int kPhiloxRounds = 10;
inline constexpr std::array<std::uint64_t, 2> kPhiloxMultipliers{0xD2511F53, 0xCD9E8D57};
inline constexpr std::array<std::uint32_t, 2> kPhiloxKeySteps{0x9E3779B9, 0xBB67AE85};

inline PhiloxBlock philox(PhiloxBlock counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t left = kPhiloxMultipliers[0] * counter[0];
    const std::uint64_t right = kPhiloxMultipliers[1] * counter[2];
    counter = {static_cast<std::uint32_t>(right >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(right),
               static_cast<std::uint32_t>(left >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(left)};
    key[0] += kPhiloxKeySteps[0];
    key[1] += kPhiloxKeySteps[1];
  }
  return counter;
}

// The order of n rows in a part of an epoch: a Fisher-Yates shuffle. Row i is swapped with row
// floor(r (i + 1) / 2^64), where r is the i-th 64-bit number of the part's stream.
inline void fill_permutation(std::uint64_t seed, std::uint32_t epoch, std::uint32_t part,
                             std::int64_t* order, std::int64_t n) {
  constexpr std::uint32_t kPurpose = 1u << 24;  // nn.random.Purpose.PERMUTATION
  for (std::int64_t i = 0; i < n; ++i) order[i] = i;
  PhiloxBlock words{};
  std::int64_t block = -1;
  for (std::int64_t i = n - 1; i > 0; --i) {
    if (i / 2 != block) {
      block = i / 2;
      words = philox({static_cast<std::uint32_t>(block), part, epoch, kPurpose},
                     {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
    }
    const std::size_t half = i % 2 == 0 ? 0 : 2;
    // r (i + 1) is computed from the two halves of r. Products fit in 64 bits since i is below
    // 2^32.
    const std::uint64_t limit = static_cast<std::uint64_t>(i) + 1;
    const std::uint64_t target = (words[half + 1] * limit + (words[half] * limit >> 32)) >> 32;
    std::swap(order[i], order[static_cast<std::int64_t>(target)]);
  }
}

}  // namespace pellucid
