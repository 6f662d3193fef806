#include "thread_team.hpp"

#include <chrono>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "denormals.hpp"

namespace pellucid {
namespace {

// How often a waiting thread spins before it lets others run. This takes tens of microseconds, the
// time between two short epochs or two barriers.
constexpr int kSpins = 4000;

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

class Worker {
 public:
  // Throws if the system refuses to start a thread.
  Worker() {
    std::thread([this] { serve(); }).detach();
  }

  Worker* next = nullptr;  // in the list of its team or of idle workers

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
    const DenormalsAreZero mode;
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

namespace {

// Workers that are in no team at the moment. Workers live as long as the process.
struct IdleWorkers {
  std::mutex mutex;
  Worker* first = nullptr;
};

IdleWorkers* idle = new IdleWorkers;

void forget_workers_after_fork() { idle = new IdleWorkers; }

[[maybe_unused]] const bool registered = [] {
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, forget_workers_after_fork);
#endif
  return true;
}();

void push(Worker*& list, Worker* worker) {
  worker->next = list;
  list = worker;
}

Worker* pop(Worker*& list) {
  Worker* worker = list;
  list = worker->next;
  return worker;
}

// Returns null if the system refuses to start a thread, or has no memory for it.
Worker* make_worker() {
  try {
    return new Worker;
  } catch (const std::system_error&) {
    return nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

enum class Supply { kEnough, kShort, kReported };
std::atomic<Supply> supply{Supply::kEnough};
Shortage first_shortage;  // written under the mutex before `supply` becomes kShort

void note_shortage(Shortage shortage) {
  const std::lock_guard lock(idle->mutex);
  if (supply != Supply::kEnough) return;
  first_shortage = shortage;
  supply = Supply::kShort;
}

}  // namespace

Team::Team(int n_threads) {
  if (n_threads <= 1) return;
  {
    const std::lock_guard lock(idle->mutex);
    for (; size_ < n_threads && idle->first != nullptr; ++size_) push(workers_, pop(idle->first));
  }
  for (; size_ < n_threads; ++size_) {
    Worker* worker = make_worker();
    if (worker == nullptr) {
      note_shortage({n_threads, size_});
      return;
    }
    push(workers_, worker);
  }
}

Team::~Team() {
  if (workers_ == nullptr) return;
  const std::lock_guard lock(idle->mutex);
  while (workers_ != nullptr) push(idle->first, pop(workers_));
}

void Team::run(const std::function<void(int)>& task) {
  barrier_.reset(size_);
  failed_ = false;
  failure_ = nullptr;
  const std::function<void(int)> guarded = [this, &task](int index) { run_guarded(task, index); };
  int index = 1;
  for (Worker* worker = workers_; worker != nullptr; worker = worker->next)
    worker->start(&guarded, index++);
  {
    const DenormalsAreZero mode;
    guarded(0);
  }
  for (Worker* worker = workers_; worker != nullptr; worker = worker->next) worker->finish();
  if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Team::run_guarded(const std::function<void(int)>& task, int index) noexcept {
  try {
    task(index);
  } catch (const Barrier::Abandoned&) {
    // Another task has failed.
  } catch (...) {
    if (!failed_.exchange(true)) failure_ = std::current_exception();
    barrier_.abandon();
  }
}

std::optional<Shortage> take_shortage() {
  Supply expected = Supply::kShort;
  if (supply != expected || !supply.compare_exchange_strong(expected, Supply::kReported))
    return std::nullopt;
  return first_shortage;
}

void Barrier::wait(Expected expected) {
  if (n_threads_ == 1) return;
  const int phase = phase_.load(std::memory_order_acquire);
  if (phase == kAbandoned) throw Abandoned{};
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_threads_) {
    // Nobody abandons a barrier at which all have arrived.
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    if (expected == Expected::kLong) phase_.notify_all();
    return;
  }
  for (int spin = 0; phase_.load(std::memory_order_acquire) == phase; ++spin) {
    if (spin < kSpins)
      pause_briefly();
    else if (expected == Expected::kLong)
      phase_.wait(phase, std::memory_order_acquire);
    else
      std::this_thread::yield();  // more threads than processors
  }
  if (phase_.load(std::memory_order_acquire) == kAbandoned) throw Abandoned{};
}

}  // namespace pellucid
