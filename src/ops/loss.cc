#include "ops/loss.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/check.h"
#include "kernels/cross_entropy.h"
#include "ops/product.h"
#include "ops/tasks.h"
#include "tensor/half.h"

namespace linnet {
namespace {

// Panels of the head whose logits stay in cache at a time, and panels whose gradient is held for
// all rows. They set the order of sums, so neither depends on the machine or the number of rows.
constexpr size_t kNearPanels = 4, kHeldPanels = 64;
constexpr size_t kNearRows = 256;
constexpr double kL2Wrap = 1e-4;

// Softmax sums of the logits of a row.
struct RowSoftmax {
  double log_sum;
  float top, target;
  size_t top_column;
};

class Loss {
 public:
  Loss(Pass& p, Var x, const LinearParam& head, std::span<const int32_t> targets,
       const LossOptions& options)
      : p_(p),
        x_(x),
        head_(head),
        targets_(targets),
        options_(options),
        prepared_(Prepared(p, ActivationFor(head.w.dtype, p.exact), x.v)),
        softmax_(p.arena.New<RowSoftmax>(x.rows())) {}

  // Computes softmax_.
  void Forward();
  void Backward() const;

  double RowLoss(size_t row) const { return softmax_[row].log_sum - softmax_[row].target; }

 private:
  // A block of rows by a block of panels.
  struct Task {
    size_t row, rows, panel, panel_end;
  };

  size_t row_blocks() const { return (x_.rows() + kNearRows - 1) / kNearRows; }
  Task TaskOf(size_t task, size_t panel_begin, size_t panel_end, size_t panels) const;
  // body(logits of some rows, first row, first column), for blocks of kNearPanels.
  template <class F>
  void ForLogits(const Task& task, std::byte* scratch, const F& body) const;
  void Held(size_t panel, Activations* dy) const;
  void GradientRow(const float* logits, size_t n, size_t row, size_t column, Activation form,
                   std::byte* to) const;

  static constexpr size_t kNearOutputs = kNearPanels * kPanelRows;
  static constexpr size_t kScratchBytes = kNearRows * (kNearOutputs + kPanelRows) * sizeof(float);

  Pass& p_;
  Var x_;
  const LinearParam& head_;
  std::span<const int32_t> targets_;
  const LossOptions& options_;
  Activations prepared_;
  RowSoftmax* softmax_;
};

// Tasks are ordered by blocks of rows first: those that run at once read the same panels.
Loss::Task Loss::TaskOf(size_t task, size_t panel_begin, size_t panel_end, size_t panels) const {
  const size_t row = task % row_blocks() * kNearRows;
  const size_t begin = panel_begin + task / row_blocks() * panels;
  return {row, std::min(kNearRows, x_.rows() - row), begin, std::min(begin + panels, panel_end)};
}

template <class F>
void Loss::ForLogits(const Task& task, std::byte* scratch, const F& body) const {
  auto* logits = reinterpret_cast<float*>(scratch);
  float* sums = logits + kNearRows * kNearOutputs;
  const Activations x{prepared_.form, prepared_.data + task.row * prepared_.stride, task.rows,
                      prepared_.stride};
  for (size_t panel = task.panel; panel < task.panel_end; panel += kNearPanels) {
    const Weight w = PanelsOf(head_.w, panel, std::min(panel + kNearPanels, task.panel_end));
    const Mat<float> y{logits, task.rows, w.rows, kNearOutputs};
    MultiplyPanels(w, x, y, sums);
    body(y, task.row, panel * kPanelRows);
  }
}

void Loss::Forward() {
  const Arena::Scope scope(p_.arena);
  const size_t rows = x_.rows(), panels = head_.w.panels();
  const size_t partials = (panels + kHeldPanels - 1) / kHeldPanels;
  auto* sums = p_.arena.New<SoftmaxSum>(partials * rows);
  ForTasks(p_, partials * row_blocks(), kScratchBytes, [&](size_t t, std::byte* scratch) {
    const Task task = TaskOf(t, 0, panels, kHeldPanels);
    SoftmaxSum* partial = sums + task.panel / kHeldPanels * rows;
    std::fill_n(partial + task.row, task.rows, SoftmaxSum());
    ForLogits(task, scratch, [&](Mat<float> y, size_t first, size_t column) {
      for (size_t i = 0; i < y.rows; ++i) {
        const size_t row = first + i;
        if (targets_[row] < 0) continue;
        AddLogits(y.Row(i), y.cols, column, partial[row]);
        const size_t at = static_cast<size_t>(targets_[row]) - column;
        if (at < y.cols) softmax_[row].target = y.Row(i)[at];
      }
    });
  });
  for (size_t row = 0; row < rows; ++row) {
    if (targets_[row] < 0) continue;
    SoftmaxSum all = sums[row];
    for (size_t partial = 1; partial < partials; ++partial) all.Add(sums[partial * rows + row]);
    softmax_[row].log_sum = all.Log();
    softmax_[row].top = all.top;
    softmax_[row].top_column = all.top_column;
  }
}

// scale (softmax - 1 at the target, + the L2Wrap term at the maximum), for n logits from `column`
// on.
void Loss::GradientRow(const float* logits, size_t n, size_t row, size_t column, Activation form,
                       std::byte* to) const {
  const bool f32 = form == Activation::kF32;
  if (targets_[row] < 0) {
    std::fill_n(to, n * (f32 ? sizeof(float) : sizeof(uint16_t)), std::byte{0});
    return;
  }
  const RowSoftmax& s = softmax_[row];
  const auto log_sum = static_cast<float>(s.log_sum), scale = static_cast<float>(options_.scale);
  SoftmaxGradient(logits, n, log_sum, scale, form, to);
  const size_t target = static_cast<size_t>(targets_[row]) - column, top = s.top_column - column;
  // The few values with other terms than the softmax are rounded only once, too.
  const auto put = [&](size_t i) {
    double value = std::exp(logits[i] - s.log_sum);
    if (i == target) value -= 1;
    if (options_.l2wrap && i == top) value += kL2Wrap * logits[i];
    const auto rounded = static_cast<float>(options_.scale * value);
    if (f32) {
      reinterpret_cast<float*>(to)[i] = rounded;
    } else {
      reinterpret_cast<uint16_t*>(to)[i] = F32ToBF16(rounded);
    }
  };
  if (target < n) put(target);
  if (options_.l2wrap && top < n) put(top);
}

// The gradient of the logits of kHeldPanels from `panel` on.
void Loss::Held(size_t panel, Activations* dy) const {
  const size_t end = std::min(panel + kHeldPanels, head_.w.panels());
  const size_t size = dy->form == Activation::kF32 ? sizeof(float) : sizeof(uint16_t);
  const size_t blocks = (end - panel + kNearPanels - 1) / kNearPanels;
  auto* data = const_cast<std::byte*>(dy->data);
  ForTasks(p_, blocks * row_blocks(), kScratchBytes, [&](size_t t, std::byte* scratch) {
    const Task task = TaskOf(t, panel, end, kNearPanels);
    ForLogits(task, scratch, [&](Mat<float> y, size_t first, size_t column) {
      for (size_t i = 0; i < y.rows; ++i) {
        std::byte* row = data + (first + i) * dy->stride;
        const size_t at = column - panel * kPanelRows;
        GradientRow(y.Row(i), y.cols, first + i, column, dy->form, row + at * size);
        const size_t used = (at + y.cols) * size;
        std::fill(row + used, row + (used + 63) / 64 * 64, std::byte{0});  // whole lines
      }
    });
  });
}

void Loss::Backward() const {
  x_.InitGradient();
  const Activation form = BackwardForm(p_, head_.w.dtype);
  const size_t size = form == Activation::kF32 ? sizeof(float) : sizeof(uint16_t);
  Activations dy{form, nullptr, x_.rows(), (kHeldPanels * kPanelRows * size) | 64};
  dy.data = p_.arena.New<std::byte>(dy.rows * dy.stride);
  std::optional<OuterProduct> outer;
  if (!head_.g.empty()) {
    const bool same = prepared_.form == form;
    outer.emplace(p_, same ? prepared_ : Prepared(p_, form, x_.v), x_.cols());
  }
  for (size_t panel = 0; panel < head_.w.panels(); panel += kHeldPanels) {
    const Weight w = PanelsOf(head_.w, panel, std::min(panel + kHeldPanels, head_.w.panels()));
    Held(panel, &dy);
    if (x_.tracked()) {
      const Arena::Scope scope(p_.arena);
      AddProduct(p_, dy, TransposedPanels(p_, form, w), x_.g);
    }
    if (outer) outer->AddTo(dy, head_.g.Rows(panel * kPanelRows, w.rows));
  }
}

}  // namespace

void HeadLoss(Pass& p, Var x, const LinearParam& head, std::span<const int32_t> targets,
              const LossOptions& options, std::span<double> losses) {
  const TrainingSequence all{0, x.rows()};
  const auto sequences = p.sequences.empty() ? std::span(&all, 1) : p.sequences;
  LINNET_CHECK(targets.size() == x.rows() && losses.size() == sequences.size());
  const Arena::Scope scope(p.arena);
  Loss loss(p, x, head, targets, options);
  loss.Forward();
  for (size_t s = 0; s < sequences.size(); ++s) {
    losses[s] = 0;
    for (size_t row = sequences[s].begin; row < sequences[s].begin + sequences[s].len; ++row) {
      if (targets[row] >= 0) losses[s] += loss.RowLoss(row);
    }
  }
  if (p.tape != nullptr) loss.Backward();
}

}  // namespace linnet
