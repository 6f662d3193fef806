// The engine's working memory: aligned to a cache line and zeroed at the start.
#pragma once

#include <cstring>
#include <memory>
#include <new>

#include "simd.hpp"

namespace pellucid::inline PELLUCID_ISA {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(Index count) : count_(count) {
    // At least one line, so that an empty buffer still has an address.
    const auto bytes =
        static_cast<std::size_t>(round_up(count * static_cast<Index>(sizeof(T)) + 1, 64));
    data_.reset(static_cast<T*>(::operator new(bytes, std::align_val_t{64})));
    std::memset(static_cast<void*>(data_.get()), 0, bytes);
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  Index size() const { return count_; }
  T& operator[](Index i) { return data_.get()[i]; }
  const T& operator[](Index i) const { return data_.get()[i]; }
  void clear() {
    std::memset(static_cast<void*>(data()), 0, static_cast<std::size_t>(count_) * sizeof(T));
  }

 private:
  struct Release {
    void operator()(T* data) const { ::operator delete(data, std::align_val_t{64}); }
  };
  std::unique_ptr<T, Release> data_;
  Index count_ = 0;
};

}  // namespace pellucid::inline PELLUCID_ISA
