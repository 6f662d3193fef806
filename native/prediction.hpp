// Prediction: the scores of rows of a table.
#pragma once

#include <array>
#include <atomic>

#include "network.hpp"
#include "scorer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// The working memory of one call.
template <class T>
struct Workspace {
  Network<T> network;
  std::vector<ParameterBlock<T>*> blocks;
  std::vector<std::vector<Segment<T>>> segments;  // of each thread
  std::vector<std::int64_t> order;                // of the rows in the slots
  std::vector<WrongId> wrong_ids;                 // of each thread

  Workspace(const Program<T>& program, Index rows, Use use, bool sparse, int n_threads)
      : network(program, rows, use, n_threads, sparse),
        blocks(network.blocks()),
        segments(static_cast<std::size_t>(n_threads)),
        order(static_cast<std::size_t>(rows)),
        wrong_ids(static_cast<std::size_t>(n_threads)) {}

  Index bytes() const {
    Index numbers = network.n_values();
    for (const ParameterBlock<T>* block : blocks) numbers += block->values.size();
    return numbers * static_cast<Index>(sizeof(T));
  }
};

// Rows to be scored.
template <class T>
struct Rows {
  TableView table;
  RowReader<T> reader;
  bool plain = false;                   // Ts, a row's one after the other
  const std::int64_t* order = nullptr;  // which rows of the table; null: the first
  Index count = 0;
};

// The random sub-networks, left by dropout, that score the rows: `count` of them. Sample s draws
// what step `first_step + s` of training would draw for rows from `first_row` on.
struct Sampling {
  std::uint64_t seed = 0;
  std::uint32_t first_step = 0;
  Index count = 0;
  Index first_row = 0;
};

// Scores rows with a network. Several threads may call it at once. Between calls it keeps a
// workspace of each kind but no copy of the weights: few rows read them in the caller's memory, and
// for many rows they are packed into panels in each call. A row's scores do not depend on the other
// rows of the call.
template <class T>
class Predictor {
 public:
  Predictor(const Program<T>& program, int n_threads) : program_(program), n_threads_(n_threads) {}
  Predictor(const Predictor&) = delete;
  Predictor& operator=(const Predictor&) = delete;
  ~Predictor() {
    for (auto& kept : kept_) delete kept.load();
  }

  const Program<T>& program() const { return program_; }
  // About how many multiplications a call takes.
  Index work(const Rows<T>& rows, const Sampling* sampling = nullptr) const;

  // Writes the scores (n, fan_out), row-major; with `sampling` those of each sample, (count, n,
  // fan_out).
  void run(const T* flat, const Rows<T>& rows, T* scores, const Sampling* sampling = nullptr);

 private:
  using Kept = std::atomic<Workspace<T>*>;
  // Reading a weight from memory takes as long as this many multiplications.
  static constexpr Index kReading = 8;

  bool takes_sparse(const TableView& table) const {
    return table.sparse && program_.takes_sparse(table.stored, table.rows);
  }
  std::unique_ptr<Workspace<T>> take(Use use, bool sparse, Index rows);
  void put_back(Use use, bool sparse, std::unique_ptr<Workspace<T>> workspace);
  Kept& kept(Use use, bool sparse) {
    return kept_[(use == Use::kFewRows ? 0 : 1) + (sparse ? 2 : 0)];
  }

  Program<T> program_;
  int n_threads_;
  // By kind; null while a call uses the workspace. There is no lock, so that a fork at any moment
  // leaves the child with an empty place at worst.
  std::array<Kept, 4> kept_{};  // see kept()
};

}  // namespace pellucid::inline PELLUCID_ISA
