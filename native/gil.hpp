// The interpreter's lock: a thread lets it go while it computes, and takes it to call Python.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

namespace pellucid {

// Calls a function of Python's that may wait for the lock.
//
// Before version 3.14, Python ends a thread that waits for the lock while the interpreter shuts
// down: a daemon thread that still trains. It does so with an exception (pthread_exit), which would
// leave the engine in the middle of a step and abort the process at the first destructor. The
// thread sleeps instead until the process ends, as it does in later versions.
template <class Function>
auto call_python(Function function) {
  try {
    return function();
  } catch (...) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    call_python([this] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* state_;
};

class WithGil {
 public:
  WithGil() : state_(call_python(PyGILState_Ensure)) {}
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;
  ~WithGil() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

}  // namespace pellucid
