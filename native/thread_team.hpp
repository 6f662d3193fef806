// Worker threads that outlive a fit, and the barrier at which they meet during one.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <optional>

namespace pellucid {

class Worker;

// A point at which the threads of one task wait for each other.
class Barrier {
 public:
  // How long the last thread lets the others wait. While it runs Python, they sleep.
  enum class Expected { kShort, kLong };

  // Throws in all other threads of the task once one of them has left it by an exception.
  void wait(Expected expected = Expected::kShort);

 private:
  friend class Team;
  struct Abandoned {};
  static constexpr int kAbandoned = -1;

  void reset(int n_threads) {
    n_threads_ = n_threads;
    arrived_ = 0;
    phase_ = 0;
  }
  void abandon() {
    phase_ = kAbandoned;
    phase_.notify_all();
  }

  int n_threads_ = 1;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> phase_{0};
};

// Threads that work on one task together: the caller's and workers. Workers wait for the next task,
// spinning briefly before they sleep. They outlive the team and join later ones. Callers on
// different threads get different workers. After a fork, the child starts its own.
class Team {
 public:
  // A team of n_threads, or of fewer where the system starts no more threads.
  explicit Team(int n_threads);
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team();

  // At least 1.
  int size() const { return size_; }

  // Runs task(0), ..., task(size() - 1) at the same time and returns when all are done. task(0)
  // runs on the caller's thread. Denormal numbers are zero meanwhile. If a task throws, the others
  // end at their next barrier, and the first exception is thrown here.
  void run(const std::function<void(int)>& task);
  // Where the tasks of `run` meet.
  Barrier& barrier() { return barrier_; }

 private:
  void run_guarded(const std::function<void(int)>& task, int index) noexcept;

  Barrier barrier_;
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;  // written by the first task that fails
  Worker* workers_ = nullptr;   // the first of a list
  int size_ = 1;
};

// A team that is smaller than asked for.
struct Shortage {
  int asked;
  int available;
};

// The first shortage of the process. Only one call returns it, so that it is reported once.
std::optional<Shortage> take_shortage();

}  // namespace pellucid
