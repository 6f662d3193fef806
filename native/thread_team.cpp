#include "thread_team.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace pellucid {
namespace {

// Spins before a waiting thread lets others run: some tens of microseconds, the time between two
// short epochs or two barriers.
constexpr int kSpins = 4000;

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Worker {
 public:
  Worker() {
    std::thread([this] { serve(); }).detach();
  }

  void start(const std::function<void(int)>* task, int index) {
    task_ = task;
    index_ = index;
    done_.store(false, std::memory_order_relaxed);
    ticket_.fetch_add(1, std::memory_order_release);
    ticket_.notify_one();
  }

  void finish() {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (done_.load(std::memory_order_acquire)) return;
      pause_briefly();
    }
    done_.wait(false, std::memory_order_acquire);
  }

 private:
  void serve() {
    unsigned seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && ticket_.load(std::memory_order_acquire) == seen; ++spin)
        pause_briefly();
      ticket_.wait(seen, std::memory_order_acquire);
      seen = ticket_.load(std::memory_order_acquire);
      (*task_)(index_);
      done_.store(true, std::memory_order_release);
      done_.notify_one();
    }
  }

  const std::function<void(int)>* task_ = nullptr;
  int index_ = 0;
  alignas(64) std::atomic<unsigned> ticket_{0};
  alignas(64) std::atomic<bool> done_{true};
};

// Workers that nobody uses at the moment. They live as long as the process.
struct IdleWorkers {
  std::mutex mutex;
  std::vector<Worker*> workers;
  std::size_t made = 0;  // workers there are, idle or not
};

IdleWorkers* idle_workers = new IdleWorkers;

void forget_workers_after_fork() { idle_workers = new IdleWorkers; }

[[maybe_unused]] const bool registered = [] {
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, forget_workers_after_fork);
#endif
  return true;
}();

void put_back(const std::vector<Worker*>& workers) {
  const std::lock_guard lock(idle_workers->mutex);
  idle_workers->workers.insert(idle_workers->workers.end(), workers.begin(), workers.end());
}

std::vector<Worker*> take_workers(int count) {
  std::vector<Worker*> taken;
  taken.reserve(static_cast<std::size_t>(count));
  {
    const std::lock_guard lock(idle_workers->mutex);
    auto& idle = idle_workers->workers;
    while (!idle.empty() && static_cast<int>(taken.size()) < count) {
      taken.push_back(idle.back());
      idle.pop_back();
    }
    // Room for every worker there is, so that putting them back cannot fail.
    idle_workers->made += static_cast<std::size_t>(count) - taken.size();
    idle.reserve(idle_workers->made);
  }
  try {
    while (static_cast<int>(taken.size()) < count) taken.push_back(new Worker);
  } catch (...) {  // the system gives no more threads
    put_back(taken);
    throw;
  }
  return taken;
}

}  // namespace

void run_on_team(int n_threads, const std::function<void(int)>& task) {
  if (n_threads <= 1) return task(0);
  const std::vector<Worker*> workers = take_workers(n_threads - 1);
  int index = 1;
  for (Worker* worker : workers) worker->start(&task, index++);
  task(0);
  for (Worker* worker : workers) worker->finish();
  put_back(workers);
}

void Barrier::wait() {
  if (n_threads_ == 1) return;
  const int phase = phase_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    return;
  }
  for (int spin = 0; phase_.load(std::memory_order_acquire) == phase; ++spin) {
    if (spin < kSpins)
      pause_briefly();
    else
      std::this_thread::yield();  // more threads than processors
  }
}

}  // namespace pellucid
