// Numbers too small for the usual representation, and the mode in which they are zero.
#pragma once

#include <cstdint>

namespace pellucid {

// While it lives, this thread reads and writes denormal numbers as zeros, or (with `false`) as what
// they are. Arithmetic with denormals is slow, and the moments of a unit that never fires decay
// into them and stay. The mode of before returns at the end.
class DenormalsAreZero {
 public:
  explicit DenormalsAreZero(bool zero = true) : before_(mode()) {
    set_mode(zero ? before_ | kMask : before_ & ~kMask);
  }
  DenormalsAreZero(const DenormalsAreZero&) = delete;
  DenormalsAreZero& operator=(const DenormalsAreZero&) = delete;
  ~DenormalsAreZero() { set_mode(before_); }

 private:
#if defined(__SSE2__)
  using Mode = unsigned;
  static constexpr Mode kMask = 0x8040;  // results flushed to zero, operands taken as zero
  static Mode mode() { return __builtin_ia32_stmxcsr(); }
  static void set_mode(Mode mode) { __builtin_ia32_ldmxcsr(mode); }
#elif defined(__aarch64__)
  using Mode = std::uint64_t;
  static constexpr Mode kMask = Mode{1} << 24;
  static Mode mode() {
    Mode mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void set_mode(Mode mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
  using Mode = unsigned;
  static constexpr Mode kMask = 0;
  static Mode mode() { return 0; }
  static void set_mode(Mode) {}
#endif
  const Mode before_;
};

}  // namespace pellucid
