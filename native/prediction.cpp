#include "prediction.hpp"

#include <algorithm>
#include <cstdlib>

namespace pellucid::inline PELLUCID_ISA {
namespace {
Index env(const char* name, Index value) {
  const char* text = std::getenv(name);
  return text ? std::atol(text) : value;
}

// Weights are read in place for at most so many rows.
const Index kFewRows = env("FEW", 256);
// Multiplications worth another thread: waking one takes tens of microseconds.
const Index kWorthAThread = env("WORTH", 4'000'000);
const Index kByColumns = env("BYCOL", 16);
const Index kChunkBytes = env("CHUNK", 256 * 1024);
const Index kMostPlain = env("PLAIN", 1 << 30);
constexpr Index kLeastChunk = 24, kMostChunk = 192;
// Workspaces beyond this are given back at the end of a call.
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

Index bytes_per_row(const auto& program, Index item_size) {
  Index columns = program.fan_in();
  for (const auto& step : program.steps()) columns += step.fan_out;
  return columns * item_size;
}

}  // namespace

template <class T>
void Predictor<T>::run(const T* flat, const Rows<T>& rows, T* scores) {
  const Index n = rows.count;
  if (n == 0) return;
  const Use use = n <= kFewRows ? Use::kFewRows : Use::kManyRows;
  const Index useful = work(n) / kWorthAThread;
  Shares shares;
  shares.team = static_cast<int>(std::clamp<Index>(useful, 1, n_threads_));
  shares.by_columns = shares.team > 1 && n <= kByColumns;
  if (shares.by_columns) {
    shares.chunk = n;
  } else {
    const Index share = (n + shares.team - 1) / shares.team;
    shares.chunk = use == Use::kFewRows ? share
                                        : std::clamp(kChunkBytes / bytes_per_row(program_, sizeof(T)) /
                                                         24 * 24,
                                                     kLeastChunk, kMostChunk);
  }
  shares.chunks = (n + shares.chunk - 1) / shares.chunk;
  const Index slots = shares.by_columns ? n : shares.chunk * shares.team;
  std::unique_ptr<Workspace<T>> workspace = take(use, slots);
  Network<T>& network = workspace->network;
  network.use_rows(slots);
  const bool aligned = reinterpret_cast<std::uintptr_t>(rows.table.data) % sizeof(T) == 0 &&
                       rows.table.row_stride % static_cast<Index>(sizeof(T)) == 0;
  network.input().elsewhere = network.reads_table() && rows.plain && aligned &&
                              rows.order == nullptr && program_.fan_in() <= kMostPlain;
  Job<T> job{*workspace, rows, flat, scores, shares};
  if (use == Use::kFewRows) job.load(0, 1);
  const auto task = [&job, use](int thread) {
    use == Use::kFewRows ? job.few(thread) : job.many(thread);
  };
  if (shares.team == 1)
    task(0);
  else
    run_on_team(shares.team, std::ref(task));
  put_back(use, std::move(workspace));
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
  Workspace<T>* nothing = nullptr;
  if (kept(use).compare_exchange_strong(nothing, workspace.get())) workspace.release();
}

template class Predictor<float>;
template class Predictor<double>;

}  // namespace pellucid::inline PELLUCID_ISA
