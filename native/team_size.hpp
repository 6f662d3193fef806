// How many threads to take steps with, decided by measurement.
//
// On a machine that others use too, a team whose members do not all get a processor waits at every
// barrier, and one thread alone is faster. Since the results do not depend on the number of
// threads, it can change at any time: the trainer runs windows of steps, and this class says with
// how many threads the next one goes.
#pragma once

#include <algorithm>
#include <limits>

namespace pellucid {

class TeamSize {
 public:
  explicit TeamSize(int most) : most_(most) {}

  int threads() const { return alone_ ? 1 : most_; }

  // Steps of the next window.
  long steps() const {
    if (last_ == 0) return 1;
    const double seconds = trying_ ? kTrial : kWindow;
    return std::clamp(static_cast<long>(seconds / last_), 1L, 4096L);
  }

  // What the window that has just ended took, per step.
  void record(double seconds_per_step, double now) {
    last_ = seconds_per_step;
    if (most_ == 1) return;
    if (!started_) {  // the first window touches memory for the first time: measure another
      started_ = true;
      trying_ = true;
    } else if (trying_) {
      // The window just ended was the trial of `alone_`; the other's last time stands beside it.
      double& mine = alone_ ? single_ : team_;
      mine = seconds_per_step;
      const double other = alone_ ? team_ : single_;
      if (other == kUnknown) {
        alone_ = !alone_;  // try the other too
        return;
      }
      trying_ = false;
      if (other < mine) alone_ = !alone_;
      best_ = std::min(mine, other);
      decided_ = now;
    } else {
      // Something changed for the worse; or it is time to see whether the others have gone.
      const bool slower = seconds_per_step > 1.25 * best_;
      best_ = std::min(best_, seconds_per_step);
      if (now - decided_ > (slower ? kPatience : alone_ ? kRetry : kForever)) {
        (alone_ ? single_ : team_) = seconds_per_step;
        (alone_ ? team_ : single_) = kUnknown;
        alone_ = !alone_;
        trying_ = true;
      }
    }
  }

 private:
  static constexpr double kUnknown = std::numeric_limits<double>::infinity();
  static constexpr double kForever = std::numeric_limits<double>::infinity();
  static constexpr double kWindow = 2e-3;  // seconds
  static constexpr double kTrial = 0.5e-3;
  static constexpr double kPatience = 10e-3;  // between two trials where steps are slow
  static constexpr double kRetry = 50e-3;     // where one thread is running for want of processors

  const int most_;
  bool alone_ = false;
  bool started_ = false;
  bool trying_ = false;
  double last_ = 0;  // seconds per step of the last window
  double team_ = kUnknown, single_ = kUnknown;
  double best_ = kUnknown;
  double decided_ = 0;
};

}  // namespace pellucid
