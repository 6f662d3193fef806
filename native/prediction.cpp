#include "prediction.hpp"

#include <algorithm>

namespace pellucid::inline PELLUCID_ISA {
namespace {

// For so many rows weights are read in place; bringing them into panels pays from about there on.
constexpr Index kMostInPlace = 256;
// For so many rows threads share out columns instead, so that each weight is read once.
constexpr Index kMostByColumns = 16;
// Multiplications worth another thread: waking one takes tens of microseconds.
constexpr Index kWorthAThread = 4'000'000;
// The values of a chunk of rows, all layers together, should stay in the second-level cache.
constexpr Index kChunkBytes = 256 * 1024;
constexpr Index kLeastChunk = 24, kMostChunk = 192;  // multiples of the register blocks' rows
// A larger workspace is not kept: making it takes little of a call that needs it.
constexpr Index kMostKeptBytes = 64 << 20;

// How one call goes about its rows.
struct Shares {
  int team;
  bool by_columns;  // all threads share the same rows
  Index chunk;      // rows at a time
  Index chunks;
};

// A call's rows in the hands of its threads.
template <class T>
struct Job {
  Workspace<T>& workspace;
  const Rows<T>& rows;
  const T* flat;
  T* scores;
  Shares shares;
  Barrier barrier{shares.team};
  std::atomic<Index> next_chunk{0};

  // Every thread brings its part of the weights into panels; then they take chunk after chunk.
  void many(int thread) {
    load(thread, shares.team);
    barrier.wait();
    if (thread == 0) workspace.network.refresh();
    barrier.wait();
    for (Index c = next_chunk++; c < shares.chunks; c = next_chunk++) {
      const Index first = c * shares.chunk;
      forward(thread, first, std::min(shares.chunk, rows.count - first));
    }
  }

  void few(int thread) {
    const Index first = shares.by_columns ? 0 : std::min(shares.chunk * thread, rows.count);
    forward(thread, first, std::min(shares.chunk, rows.count - first));
  }

  void load(Index part, Index parts) {
    for (ParameterBlock<T>* block : workspace.blocks) block->set_values(flat, part, parts);
  }

  // Scores rows `first` to `first + count`.
  void forward(int thread, Index first, Index count) {
    Network<T>& network = workspace.network;
    Pass<T> pass;
    pass.first = shares.by_columns ? 0 : shares.chunk * thread;
    pass.last = pass.first + count;
    pass.thread = thread;
    pass.n_threads = shares.team;
    pass.barrier = &barrier;
    pass.by_columns = shares.by_columns;
    pass.segments = &workspace.segments[static_cast<std::size_t>(thread)];
    pass.wrong_id = &workspace.wrong_ids[static_cast<std::size_t>(thread)];
    if (network.input().elsewhere) {
      const std::byte* start = rows.table.data + first * rows.table.row_stride;
      pass.table = reinterpret_cast<const T*>(start);
      pass.table_stride = rows.table.row_stride / static_cast<Index>(sizeof(T));
    } else if (thread == 0 || !shares.by_columns) {
      gather(pass, first);
    }
    if (shares.by_columns) barrier.wait();
    network.forward(pass);
    if (thread == 0 || !shares.by_columns)
      unpack_rows(network.output(), pass.first, count,
                  scores + first * network.output().panels.columns());
  }

  void gather(const Pass<T>& pass, Index first) {
    for (Index i = pass.first; i < pass.last; ++i) {
      const Index row = first + i - pass.first;
      workspace.order[static_cast<std::size_t>(i)] = rows.order == nullptr ? row : rows.order[row];
    }
    Examples<T> examples;
    examples.table = rows.table;
    examples.gather = rows.gather;
    gather_rows(examples, workspace.order.data(), pass.first, pass.last, workspace.network.input());
  }
};

// Rows in a chunk of many.
template <class T>
Index chunk_rows(const Program<T>& program) {
  Index width = program.fan_in();
  for (const auto& step : program.steps()) width += step.fan_out;
  const Index rows = kChunkBytes / (width * static_cast<Index>(sizeof(T)));
  return std::clamp(rows / kLeastChunk * kLeastChunk, kLeastChunk, kMostChunk);
}

template <class T>
bool is_plain(const Rows<T>& rows) {
  constexpr auto size = static_cast<Index>(sizeof(T));
  return rows.plain && rows.order == nullptr && rows.table.row_stride % size == 0 &&
         reinterpret_cast<std::uintptr_t>(rows.table.data) % sizeof(T) == 0;
}

}  // namespace

template <class T>
void Predictor<T>::run(const T* flat, const Rows<T>& rows, T* scores) {
  const Index n = rows.count;
  if (n == 0) return;
  const Use use = n <= kMostInPlace ? Use::kFewRows : Use::kManyRows;
  Shares shares;
  shares.team = static_cast<int>(std::clamp<Index>(work(n) / kWorthAThread, 1, n_threads_));
  shares.by_columns = shares.team > 1 && n <= kMostByColumns;
  shares.chunk = use == Use::kManyRows ? chunk_rows(program_)
                 : shares.by_columns   ? n
                                       : (n + shares.team - 1) / shares.team;
  shares.chunks = (n + shares.chunk - 1) / shares.chunk;
  const Index slot_rows = shares.by_columns ? n : shares.chunk * shares.team;
  std::unique_ptr<Workspace<T>> workspace = take(use, slot_rows);
  workspace->network.use_rows(slot_rows);
  workspace->network.input().elsewhere = workspace->network.reads_table() && is_plain(rows);
  std::fill(workspace->wrong_ids.begin(), workspace->wrong_ids.end(), WrongId{});
  Job<T> job{*workspace, rows, flat, scores, shares};
  if (use == Use::kFewRows) {
    job.load(0, 1);
    workspace->network.refresh();
  }
  const auto task = [&job, use](int thread) {
    if (use == Use::kFewRows)
      job.few(thread);
    else
      job.many(thread);
  };
  if (shares.team == 1)
    task(0);
  else
    run_on_team(shares.team, std::ref(task));
  const std::vector<WrongId> wrong_ids = workspace->wrong_ids;
  put_back(use, std::move(workspace));
  for (const WrongId& wrong : wrong_ids)
    if (wrong.n_rows > 0) throw std::invalid_argument(wrong.message());
}

template <class T>
std::unique_ptr<Workspace<T>> Predictor<T>::take(Use use, Index rows) {
  std::unique_ptr<Workspace<T>> workspace(kept(use).exchange(nullptr));
  if (workspace == nullptr || workspace->network.rows() < rows) {
    workspace.reset();
    workspace = std::make_unique<Workspace<T>>(program_, rows, use, n_threads_);
  }
  return workspace;
}

template <class T>
void Predictor<T>::put_back(Use use, std::unique_ptr<Workspace<T>> workspace) {
  if (workspace->bytes() > kMostKeptBytes) return;
  Workspace<T>* nothing = nullptr;
  if (kept(use).compare_exchange_strong(nothing, workspace.get())) workspace.release();
}

template class Predictor<float>;
template class Predictor<double>;

}  // namespace pellucid::inline PELLUCID_ISA
