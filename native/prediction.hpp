// The scores of rows of a table.
#pragma once

#include "network.hpp"
#include "scorer.hpp"

namespace pellucid::inline PELLUCID_ISA {

// Scores of n rows of a table, those that `order` names or, where it is null, the first; written to
// `scores` (n, fan_out), row-major.
template <class T>
void predict(const Program<T>& program, const T* flat, const TableView& table,
             const RowReader<T>& reader, const std::int64_t* order, Index n, T* scores,
             int n_threads);

}  // namespace pellucid::inline PELLUCID_ISA
