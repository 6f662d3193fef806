// Worker threads that outlive a fit, and the barrier they meet at within one.
#pragma once

#include <atomic>
#include <functional>

namespace pellucid {

// Runs task(0), ..., task(n_threads - 1) at the same time and returns when all are done. task(0)
// runs on the caller's thread; the others on workers that wait for the next task, spinning briefly
// before they sleep. Callers on several threads get separate workers. After a fork the child starts
// with no workers and makes its own. `task` must not throw.
void run_on_team(int n_threads, const std::function<void(int)>& task);

// Where the threads of one task wait for each other.
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
