// Decides by measurement how many threads take steps.
//
// On a machine shared with other programs, a team whose threads do not all get a processor waits at
// every barrier, and one thread alone is faster. The results do not depend on the number of
// threads, so it can change at any time. The trainer takes steps in windows, and this class chooses
// the number of threads for the next window.
#pragma once

#include <algorithm>
#include <limits>

namespace pellucid {

class TeamSize {
 public:
  // `adapts`: whether to use fewer threads than `most` at all.
  TeamSize(int most, bool adapts) : most_(most), adapts_(adapts && most > 1) {}

  int threads() const { return alone_ ? 1 : most_; }

  // The number of steps in the next window.
  long steps() const {
    if (stage_ == Stage::kWarmUp) return 1;
    const double seconds = stage_ == Stage::kTrial ? kTrialSeconds : kWindowSeconds;
    return std::clamp(static_cast<long>(seconds / last_), 1L, 4096L);
  }

  // Takes the time per step of the window that has just ended, and the present time.
  void record(double seconds_per_step, double now) {
    last_ = seconds_per_step;
    if (stage_ == Stage::kWarmUp) {
      // Threads had to wake up and memory was touched for the first time, so only the next window
      // counts.
      stage_ = Stage::kTrial;
    } else if (stage_ == Stage::kTrial) {
      (alone_ ? single_ : team_) = seconds_per_step;
      const double other = alone_ ? team_ : single_;
      if (other == kUnknown && adapts_) return try_other();
      if (other < seconds_per_step) alone_ = !alone_;
      // A team that keeps being slower is tried less and less often.
      retry_ = alone_ ? std::min(2 * retry_, kLongestRetry) : kFirstRetry;
      best_ = std::min(other, seconds_per_step);
      slow_windows_ = 0;
      decided_ = now;
      stage_ = Stage::kSteady;
    } else if (adapts_) {
      // Steps may have become slower for good, or other programs may have finished.
      slow_windows_ = seconds_per_step > 1.25 * best_ ? slow_windows_ + 1 : 0;
      best_ = std::min(best_, seconds_per_step);
      if (slow_windows_ < kSlowWindows && !(alone_ && now - decided_ > retry_)) return;
      (alone_ ? single_ : team_) = seconds_per_step;
      (alone_ ? team_ : single_) = kUnknown;
      try_other();
    }
  }

 private:
  enum class Stage { kWarmUp, kTrial, kSteady };

  static constexpr double kUnknown = std::numeric_limits<double>::infinity();
  static constexpr double kWindowSeconds = 2e-3;
  static constexpr double kTrialSeconds = 0.5e-3;
  static constexpr int kSlowWindows = 4;  // in a row before the other size is tried
  // Seconds between two trials of the team while one thread works alone.
  static constexpr double kFirstRetry = 10e-3;
  static constexpr double kLongestRetry = 0.5;

  void try_other() {
    alone_ = !alone_;
    stage_ = Stage::kWarmUp;
  }

  const int most_;
  const bool adapts_;
  bool alone_ = false;
  Stage stage_ = Stage::kWarmUp;
  double last_ = 0;  // seconds per step of the last window
  double team_ = kUnknown, single_ = kUnknown;
  double best_ = kUnknown;
  double decided_ = 0;
  double retry_ = kFirstRetry / 2;
  int slow_windows_ = 0;
};

}  // namespace pellucid
