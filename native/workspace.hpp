// Activations, deltas and kept pre-activations of one batch, and the passes over a slice of its
// rows.
#pragma once

#include "buffer.hpp"
#include "gemm.hpp"
#include "program.hpp"
#include "table.hpp"

namespace pellucid::inline PELLUCID_ISA {

// A layer's parameters as the engine holds them, in panels over the outputs.
template <class T>
struct PackedLayer {
  Index stored_rows = 0;   // fan_in, rounded up to whole vectors
  Panels<T> panels;        // over fan_out
  Panels<T> input_panels;  // over fan_in
  Buffer<T> weights;       // stored_rows x panels.width()
  Buffer<T> bias;          // panels.width(), zero where the layer has none
  Buffer<T> transpose;     // panels.width() x input_panels.width(); empty for the first weights
};

template <class T>
struct PackedNetwork {
  std::vector<PackedLayer<T>> layers;

  PackedNetwork(const Program<T>& program, bool for_training) {
    bool seen_weights = false;
    for (const Layer<T>& layer : program.layers) {
      PackedLayer<T> packed;
      packed.panels = Panels<T>(layer.fan_out);
      packed.input_panels = Panels<T>(layer.fan_in);
      if (layer.has_weights) {
        packed.stored_rows = round_up(layer.fan_in, kLanes<T>);
        packed.weights = Buffer<T>(packed.stored_rows * packed.panels.width());
        packed.bias = Buffer<T>(packed.panels.width());
        if (for_training && seen_weights)
          packed.transpose = Buffer<T>(packed.panels.width() * packed.input_panels.width());
        seen_weights = true;
      }
      layers.push_back(std::move(packed));
    }
  }

  void load_from(const Program<T>& program, const T* flat) {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const Layer<T>& layer = program.layers[l];
      PackedLayer<T>& packed = layers[l];
      if (!layer.has_weights) continue;
      pack(flat + layer.weight_offset, layer.fan_in, packed.stored_rows, packed.panels,
           packed.weights.data());
      if (layer.bias_offset >= 0)
        std::copy_n(flat + layer.bias_offset, layer.fan_out, packed.bias.data());
      if (packed.transpose.size() > 0)
        for (const Panel& panel : packed.panels)
          for (Index row = 0; row < packed.stored_rows; row += kLanes<T>)
            transpose_rows(packed, panel, row);
    }
  }

  // Brings the transpose up to date with kLanes rows of one panel of the weights.
  static void transpose_rows(PackedLayer<T>& packed, const Panel& panel, Index row) {
    // `row` falls in one panel of the transpose: panels start at multiples of the lanes.
    Index q = 0;
    while (row >= packed.input_panels[q].first + packed.input_panels[q].width) ++q;
    const Panel& across = packed.input_panels[q];
    const T* source = packed.weights.data() + packed.stored_rows * panel.first + row * panel.width;
    T* destination = packed.transpose.data() + packed.panels.width() * across.first +
                     panel.first * across.width + (row - across.first);
    for (Index c = 0; c < panel.width; c += kLanes<T>)
      transpose_square(source + c, panel.width, destination + c * across.width, across.width);
  }
};

// What a pass reads: rows of a table with their targets and weights.
template <class T>
struct Examples {
  TableView table;
  GatherFunction<T> gather = nullptr;
  TableView targets;  // real targets, or
  GatherFunction<T> gather_targets = nullptr;
  const std::int64_t* labels = nullptr;  // class labels
  const double* weights = nullptr;       // null: all ones
};

template <class T>
class Workspace {
 public:
  Workspace(const Program<T>& program, Index rows, bool for_training)
      : program_(program),
        rows_(rows),
        input_panels_(program.fan_in),
        score_panels_(program.fan_out()) {
    input_ = Buffer<T>(rows * input_panels_.width());
    for (std::size_t l = 0; l < program.layers.size(); ++l) {
      const Layer<T>& layer = program.layers[l];
      const Index size = rows * Panels<T>(layer.fan_out).width();
      outputs_.emplace_back(size);
      deltas_.emplace_back(for_training ? size : 0);
      // A layer without weights finds its z in the outputs of the layer before.
      const bool keep_z = for_training && layer.has_weights && layer.activation.needs_z;
      kept_z_.emplace_back(keep_z ? size : 0);
    }
    if (for_training) {
      targets_ = Buffer<T>(rows * score_panels_.width());
      row_losses_ = Buffer<double>(rows);
    }
    Index widest = input_panels_.width();
    for (const Layer<T>& layer : program.layers)
      widest = std::max(widest, Panels<T>(layer.fan_out).width());
    zeros_ = Buffer<T>(widest);
  }

  Index rows() const { return rows_; }
  const T* input_of(std::size_t layer) const {
    return layer == 0 ? input_.data() : outputs_[layer - 1].data();
  }
  const T* output() const { return outputs_.empty() ? input_.data() : outputs_.back().data(); }
  const T* deltas(std::size_t layer) const { return deltas_[layer].data(); }
  double row_loss(Index row) const { return row_losses_[row]; }

  // Rows `first` to `last` of the batch; order[i] is where row i stands in the table.
  void gather(const Examples<T>& examples, const std::int64_t* order, Index first, Index last) {
    for (Index row = first; row < last; ++row) {
      if (row + kRowsAhead < last) prefetch(examples, order[row + kRowsAhead]);
      examples.gather(examples.table, order[row], input_panels_, rows_, row, input_.data());
    }
  }

  void forward(const PackedNetwork<T>& network, Index first, Index last,
               std::vector<Segment<T>>& segments) {
    for (std::size_t l = 0; l < program_.layers.size(); ++l) {
      const PackedLayer<T>& packed = network.layers[l];
      const Activation<T>& activation = program_.layers[l].activation;
      T* output = outputs_[l].data();
      T* kept = kept_z_[l].size() > 0 ? kept_z_[l].data() : nullptr;
      const auto activate = [&](const Panel&, T* block, Index count) {
        if (activation.is_identity()) return;
        if (kept != nullptr) std::copy_n(block, count, kept + (block - output));
        activation.forward(block, count, activation.parameter, activation.blend);
      };
      if (program_.layers[l].has_weights) {
        multiply(input_of(l), packed.input_panels, rows_, first, last, packed.weights.data(),
                 packed.stored_rows, packed.panels, packed.bias.data(), output, segments, activate);
      } else {
        for (const Panel& panel : packed.panels) {
          const Index offset = rows_ * panel.first + first * panel.width;
          const Index count = (last - first) * panel.width;
          std::copy_n(input_of(l) + offset, count, output + offset);
          activate(panel, output + offset, count);
        }
      }
    }
  }

  // Losses and deltas of the scores; `scale` is 1 / the number of rows that are averaged over.
  // Returns the sum of the rows' losses, to be looked at for finiteness.
  double score(const Examples<T>& examples, const std::int64_t* order, Index first, Index last,
               double scale, std::vector<T>& scratch) {
    if (examples.labels == nullptr)
      for (Index row = first; row < last; ++row)
        examples.gather_targets(examples.targets, order[row], score_panels_, rows_, row,
                                targets_.data());
    const auto weight_of = [&](Index row) {
      return examples.weights != nullptr ? examples.weights[order[row]] : 1.0;
    };
    double total = 0;
    if (score_panels_.width() == kLanes<T>) {
      for (Index row = first; row < last; row += kLanes<T>)
        total += score_block(examples, order, row, std::min<Index>(kLanes<T>, last - row), scale,
                             weight_of);
    } else {
      for (Index row = first; row < last; ++row) {
        const Index label = examples.labels != nullptr ? examples.labels[order[row]] : -1;
        const double weight = weight_of(row);
        row_losses_[row] = weight * score_row(row, label, T(weight * scale), scratch);
        total += row_losses_[row];
      }
    }
    return total;
  }

  // From the deltas of the scores to those of every layer that has weights at or before it.
  void backward(const PackedNetwork<T>& network, Index first, Index last,
                std::vector<Segment<T>>& segments) {
    for (std::size_t l = program_.layers.size(); l-- > 0;) {
      const Layer<T>& layer = program_.layers[l];
      const PackedLayer<T>& packed = network.layers[l];
      if (!layer.has_weights && l == 0) return;
      if (!layer.activation.is_identity()) differentiate(packed.panels, l, first, last);
      if (!layer.has_weights) {
        for (const Panel& panel : packed.panels) {
          const Index offset = rows_ * panel.first + first * panel.width;
          std::copy_n(deltas_[l].data() + offset, (last - first) * panel.width,
                      deltas_[l - 1].data() + offset);
        }
      } else if (packed.transpose.size() > 0) {
        multiply(deltas_[l].data(), packed.panels, rows_, first, last, packed.transpose.data(),
                 packed.panels.width(), packed.input_panels, zeros_.data(), deltas_[l - 1].data(),
                 segments, [](const Panel&, T*, Index) {});
      } else {
        return;  // nothing before has weights
      }
    }
  }

  // The sum of the losses of rows 0 to `count`, in one fixed order.
  double sum_losses(Index count) const {
    constexpr Index kWays = 8;
    double sums[kWays] = {};
    Index row = 0;
    for (; row + kWays <= count; row += kWays)
      for (Index i = 0; i < kWays; ++i) sums[i] += row_losses_[row + i];
    for (Index i = 0; row + i < count; ++i) sums[i] += row_losses_[row + i];
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
  }

 private:
  // Rows come in random order, which no processor foresees.
  static constexpr Index kRowsAhead = 8;

  static void prefetch(const Examples<T>& examples, std::int64_t row) {
    if (!examples.table.sparse) {
      const std::byte* start = examples.table.data + row * examples.table.row_stride;
      for (Index line = 0; line < 4; ++line) __builtin_prefetch(start + 64 * line);
    }
    if (examples.labels != nullptr) __builtin_prefetch(examples.labels + row);
    if (examples.weights != nullptr) __builtin_prefetch(examples.weights + row);
    if (examples.targets.data != nullptr)
      __builtin_prefetch(examples.targets.data + row * examples.targets.row_stride);
  }

  // dz = da * phi'(z), in place.
  void differentiate(const Panels<T>& panels, std::size_t l, Index first, Index last) {
    const Activation<T>& activation = program_.layers[l].activation;
    const T* z = program_.layers[l].has_weights ? kept_z_[l].data() : input_of(l);
    for (const Panel& panel : panels) {
      const Index offset = rows_ * panel.first + first * panel.width;
      activation.backward(deltas_[l].data() + offset, activation.needs_z ? z + offset : nullptr,
                          outputs_[l].data() + offset, (last - first) * panel.width,
                          activation.parameter, activation.blend);
    }
  }

  // Rows `first` to `first + count`, at most as many as there are lanes. Lanes beyond them repeat
  // the last row, and what they give is dropped.
  template <class WeightOf>
  double score_block(const Examples<T>& examples, const std::int64_t* order, Index first,
                     Index count, double scale, WeightOf weight_of) {
    constexpr Index lanes = kLanes<T>;
    alignas(64) T rows[lanes * lanes];
    LossBlock<T> block;
    block.columns = program_.fan_out();
    block.parameter = program_.loss_parameter;
    block.has_labels = examples.labels != nullptr;
    const auto transpose_in = [&](const T* source, Vector<T>* columns) {
      for (Index i = 0; i < lanes; ++i)
        store<T>(rows + i * lanes, load(source + (first + std::min(i, count - 1)) * lanes));
      transpose_square(rows, lanes, reinterpret_cast<T*>(columns), lanes);
    };
    transpose_in(output(), block.scores);
    if (!block.has_labels) transpose_in(targets_.data(), block.targets);
    double weights[lanes];
    for (Index i = 0; i < lanes; ++i) {
      const Index row = first + std::min(i, count - 1);
      weights[i] = weight_of(row);
      block.scale[i] = T(weights[i] * scale);
      block.labels[i] =
          block.has_labels ? static_cast<decltype(block.labels[0] + 0)>(examples.labels[order[row]])
                           : 0;
    }
    program_.loss.block(block);
    for (Index c = block.columns; c < lanes; ++c) block.scores[c] = Vector<T>{};
    transpose_square(reinterpret_cast<const T*>(block.scores), lanes, rows, lanes);
    T* deltas = deltas_.back().data();
    double total = 0;
    for (Index i = 0; i < count; ++i) {
      store<T>(deltas + (first + i) * lanes, load(rows + i * lanes));
      row_losses_[first + i] = weights[i] * static_cast<double>(block.values[i]);
      total += row_losses_[first + i];
    }
    return total;
  }

  // One row of more columns than a vector has lanes; `label` is negative where there are targets.
  double score_row(Index row, Index label, T scale, std::vector<T>& scratch) {
    const Index width = score_panels_.width();
    scratch.resize(static_cast<std::size_t>(3 * width));
    T* scores = scratch.data();
    T* targets = scores + width;
    T* deltas = targets + width;
    const auto copy = [&](const auto& visit) {
      for (const Panel& panel : score_panels_)
        visit(panel, rows_ * panel.first + row * panel.width);
    };
    copy([&](const Panel& panel, Index offset) {
      std::copy_n(output() + offset, panel.width, scores + panel.first);
      if (label < 0) std::copy_n(targets_.data() + offset, panel.width, targets + panel.first);
    });
    const double value = program_.loss.row({scores, label < 0 ? targets : nullptr, label, deltas,
                                            program_.fan_out(), scale, program_.loss_parameter});
    copy([&](const Panel& panel, Index offset) {
      std::copy_n(deltas + panel.first, panel.width, deltas_.back().data() + offset);
    });
    return value;
  }

  const Program<T>& program_;
  Index rows_;
  Panels<T> input_panels_;
  Panels<T> score_panels_;
  Buffer<T> input_;
  std::vector<Buffer<T>> outputs_;
  std::vector<Buffer<T>> deltas_;
  std::vector<Buffer<T>> kept_z_;
  Buffer<T> targets_;
  Buffer<double> row_losses_;
  Buffer<T> zeros_;
};

}  // namespace pellucid::inline PELLUCID_ISA
