#include "prediction.hpp"

#include <algorithm>

namespace pellucid::inline PELLUCID_ISA {

template <class T>
void predict(const Program<T>& program, const T* flat, const TableView& table,
             const RowReader<T>& reader, const std::int64_t* order, Index n, T* scores,
             int n_threads) {
  constexpr Index kMostRows = 192, kFewRows = 64;
  // Multiplications worth another thread: waking one takes tens of microseconds.
  constexpr Index kWorthAThread = 4'000'000;
  const bool sparse = table.sparse && program.takes_sparse(table.stored, table.rows);
  Index per_row = program.n_parameters();
  if (sparse)  // of the first layer's weights only those of a row's entries
    per_row +=
        (table.stored / std::max<Index>(1, table.rows) - table.columns) * program.width_of(1);
  const Index useful = 1 + n * per_row / kWorthAThread;
  const Index share = (n + n_threads - 1) / n_threads;
  const Index chunk = std::clamp(round_up(share, 8), Index{8}, kMostRows);
  const Index chunks = (n + chunk - 1) / chunk;
  const Index team = std::max<Index>(1, std::min({Index{n_threads}, chunks, useful}));
  // Each thread has rows of its own in the slots, and goes through its chunks there.
  Network<T> network(program, chunk * team, n <= kFewRows ? Use::kFewRows : Use::kManyRows, sparse,
                     static_cast<int>(team));
  network.load(flat);
  Examples<T> examples;
  examples.table = table;
  examples.reader = reader;
  network.reserve(examples, order, n, chunk);
  const Slot<T>& output = network.output();
  std::vector<std::vector<Segment<T>>> segments(static_cast<std::size_t>(team));
  for (auto& own : segments) own.reserve(static_cast<std::size_t>(network.most_panels()));
  std::vector<std::int64_t> rows(static_cast<std::size_t>(chunk * team));
  run_on_team(static_cast<int>(team), [&](int thread) {
    Pass<T> pass;
    pass.first = chunk * thread;
    pass.thread = thread;
    pass.segments = &segments[static_cast<std::size_t>(thread)];
    for (Index c = chunks * thread / team; c < chunks * (thread + 1) / team; ++c) {
      const Index first = c * chunk;
      const Index count = std::min(chunk, n - first);
      for (Index i = 0; i < count; ++i)
        rows[static_cast<std::size_t>(pass.first + i)] =
            order != nullptr ? order[first + i] : first + i;
      pass.last = pass.first + count;
      network.gather(examples, rows.data(), pass);
      network.forward(pass);
      unpack_rows(output, pass.first, count, scores + first * output.panels.columns());
    }
  });
}

template void predict<float>(const Program<float>&, const float*, const TableView&,
                             const RowReader<float>&, const std::int64_t*, Index, float*, int);
template void predict<double>(const Program<double>&, const double*, const TableView&,
                              const RowReader<double>&, const std::int64_t*, Index, double*, int);

}  // namespace pellucid::inline PELLUCID_ISA
