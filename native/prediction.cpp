#include "prediction.hpp"

#include <algorithm>

namespace pellucid::inline PELLUCID_ISA {
namespace {

// Up to this many rows, weights are read in place; packing them into panels pays from there on.
constexpr Index kMostInPlace = 256;
// Up to this many rows, threads divide columns instead of rows, so that each weight is read once.
constexpr Index kMostByColumns = 16;
// Multiplications that are worth another thread. Waking one takes tens of microseconds.
constexpr Index kWorthAThread = 4'000'000;
// The values of a chunk of rows in all layers should stay in the second-level cache.
constexpr Index kChunkBytes = 256 * 1024;
constexpr Index kLeastChunk = 24, kMostChunk = 192;  // multiples of the register blocks' rows
// A larger workspace is not kept: allocating it is a small part of a call that needs it.
constexpr Index kMostKeptBytes = 64 << 20;

// How one call divides its rows.
struct Shares {
  int team;
  bool by_columns;  // all threads share the same rows
  Index chunk;      // rows at a time
  Index chunks;
  Index parts;  // of the samples of a chunk; any thread takes any part
};

// What the threads of one call do.
template <class T>
struct Job {
  Workspace<T>& workspace;
  const Rows<T>& rows;
  const T* flat;
  T* scores;
  Shares shares;
  const Sampling* sampling;
  Barrier& barrier;
  std::atomic<Index> next_item{0};

  // Each thread packs its part of the weights into panels. Then the threads take chunk after chunk.
  void many(int thread) {
    load(thread, shares.team);
    barrier.wait();
    if (thread == 0) workspace.network.refresh(flat);
    barrier.wait();
    for (Index i = next_item++; i < shares.chunks * shares.parts; i = next_item++) {
      const Index first = i / shares.parts * shares.chunk;
      forward(thread, first, std::min(shares.chunk, rows.count - first), i % shares.parts);
    }
  }

  void few(int thread) {
    if (sampling != nullptr) {
      if (thread < shares.parts) forward(thread, 0, rows.count, thread);
      return;
    }
    const Index first = shares.by_columns ? 0 : std::min(shares.chunk * thread, rows.count);
    forward(thread, first, std::min(shares.chunk, rows.count - first));
  }

  void load(Index part, Index parts) {
    for (ParameterBlock<T>* block : workspace.blocks) block->set_values(flat, part, parts);
  }

  // Scores rows `first` to `first + count`, or one part of their samples.
  void forward(int thread, Index first, Index count, Index part = 0) {
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
    if (sampling == nullptr) {
      network.forward(pass);
      return keep(pass, first);
    }
    // What comes before the first dropout is the same in every sample.
    const Index drop = network.first_that_drops();
    network.forward(pass, 0, drop);
    pass.sampling = true;
    pass.row_offset = sampling->first_row + first - pass.first;
    const Index begin = sampling->count * part / shares.parts;
    const Index end = sampling->count * (part + 1) / shares.parts;
    for (Index s = begin; s < end; ++s) {
      pass.key = {sampling->seed, 0, sampling->first_step + static_cast<std::uint32_t>(s)};
      network.forward(pass, drop, std::ssize(network.layers()));
      keep(pass, s * rows.count + first);
    }
  }

  // Writes the pass's scores from row `first` of the results on.
  void keep(const Pass<T>& pass, Index first) {
    Slot<T>& output = workspace.network.output();
    if (pass.thread == 0 || !shares.by_columns)
      unpack_rows(output, pass.first, pass.last - pass.first,
                  scores + first * output.panels.columns());
  }

  void gather(const Pass<T>& pass, Index first) {
    for (Index i = pass.first; i < pass.last; ++i) {
      const Index row = first + i - pass.first;
      workspace.order[static_cast<std::size_t>(i)] =
          rows.order == nullptr ? row : checked_row(rows.order[row], rows.table.rows);
    }
    Examples<T> examples;
    examples.table = rows.table;
    examples.reader = rows.reader;
    workspace.network.gather(examples, workspace.order.data(), pass);
  }
};

// The rows of a chunk, if there are many rows.
template <class T>
Index chunk_rows(const Program<T>& program, bool sparse) {
  Index width = sparse ? 0 : program.fan_in();
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
Index Predictor<T>::work(const Rows<T>& rows, const Sampling* sampling) const {
  Index weights = program_.n_parameters() - program_.in_tables();
  if (takes_sparse(rows.table))  // of the first layer's only those of a row's entries
    weights += (rows.table.stored / std::max<Index>(1, rows.table.rows) - rows.table.columns) *
               program_.width_of(1);
  return (rows.count + kReading) * weights * (sampling == nullptr ? 1 : sampling->count);
}

template <class T>
void Predictor<T>::run(const T* flat, const Rows<T>& rows, T* scores, const Sampling* sampling) {
  const Index n = rows.count;
  if (n == 0) return;
  const Use use = n <= kMostInPlace ? Use::kFewRows : Use::kManyRows;
  const bool sparse = takes_sparse(rows.table);
  Shares shares;
  const Index worth = work(rows, sampling) / kWorthAThread;
  Team team(static_cast<int>(std::clamp<Index>(worth, 1, n_threads_)));
  shares.team = team.size();
  shares.by_columns = shares.team > 1 && n <= kMostByColumns && !sparse && sampling == nullptr;
  shares.chunk = use == Use::kManyRows                      ? chunk_rows(program_, sparse)
                 : shares.by_columns || sampling != nullptr ? n
                                                            : (n + shares.team - 1) / shares.team;
  shares.chunks = (n + shares.chunk - 1) / shares.chunk;
  shares.parts = sampling != nullptr && shares.chunks < 2 * shares.team
                     ? std::min<Index>(shares.team, sampling->count)
                     : 1;
  const Index slot_rows = shares.by_columns ? n : shares.chunk * shares.team;
  std::unique_ptr<Workspace<T>> workspace = take(use, sparse, slot_rows);
  Network<T>& network = workspace->network;
  network.use_rows(slot_rows);
  network.reserve(rows.table, rows.order, n, shares.chunk);
  network.input().elsewhere = network.reads_table() && is_plain(rows);
  std::fill(workspace->wrong_ids.begin(), workspace->wrong_ids.end(), WrongId{});
  Job<T> job{*workspace, rows, flat, scores, shares, sampling, team.barrier()};
  if (use == Use::kFewRows) {
    job.load(0, 1);
    network.refresh(flat);
  }
  const auto task = [&job, use](int thread) {
    if (use == Use::kFewRows)
      job.few(thread);
    else
      job.many(thread);
  };
  team.run(std::ref(task));
  const std::vector<WrongId> wrong_ids = workspace->wrong_ids;
  put_back(use, sparse, std::move(workspace));
  for (const WrongId& wrong : wrong_ids)
    if (wrong.n_rows > 0) throw std::invalid_argument(wrong.message());
}

template <class T>
std::unique_ptr<Workspace<T>> Predictor<T>::take(Use use, bool sparse, Index rows) {
  std::unique_ptr<Workspace<T>> workspace(kept(use, sparse).exchange(nullptr));
  if (workspace == nullptr || workspace->network.rows() < rows) {
    workspace.reset();
    workspace = std::make_unique<Workspace<T>>(program_, rows, use, sparse, n_threads_);
  }
  return workspace;
}

template <class T>
void Predictor<T>::put_back(Use use, bool sparse, std::unique_ptr<Workspace<T>> workspace) {
  if (workspace->bytes() > kMostKeptBytes) return;
  Workspace<T>* nothing = nullptr;
  if (kept(use, sparse).compare_exchange_strong(nothing, workspace.get())) workspace.release();
}

template class Predictor<float>;
template class Predictor<double>;

}  // namespace pellucid::inline PELLUCID_ISA
