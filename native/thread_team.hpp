// Worker threads that outlive a fit, and the barrier at which they meet during one.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

namespace pellucid {

class Worker;

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
  // runs on the caller's thread. Denormal numbers are zero meanwhile. `task` must not throw.
  void run(const std::function<void(int)>& task);

 private:
  Worker* workers_ = nullptr;  // the first of a list
  int size_ = 1;
};

// A team that is smaller than asked for.
struct Shortage {
  int asked;
  int available;
};

// The first shortage of the process. Only one call returns it, so that it is reported once.
std::optional<Shortage> take_shortage();

// A point at which the threads of one task wait for each other.
class Barrier {
 public:
  explicit Barrier(int n_threads) : n_threads_(n_threads) {}
  void wait();

 private:
  const int n_threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> phase_{0};
};

}  // namespace pellucid
