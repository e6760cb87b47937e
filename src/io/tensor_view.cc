#include "io/tensor_view.h"

#include <array>
#include <utility>

#include "base/check.h"

namespace linnet {
namespace {

struct TypeFacts {
  const char* name;
  uint8_t bytes;
  bool is_float;
};

// In the same order as SourceType.
constexpr std::array<TypeFacts, 15> kTypes = {{
    {"F32", 4, true},
    {"F16", 2, true},
    {"BF16", 2, true},
    {"F64", 8, true},
    {"I64", 8, false},
    {"I32", 4, false},
    {"I16", 2, false},
    {"I8", 1, false},
    {"U8", 1, false},
    {"BOOL", 1, false},
    {"U16", 2, false},
    {"U32", 4, false},
    {"U64", 8, false},
    {"F8_E4M3", 1, true},
    {"F8_E5M2", 1, true},
}};

const TypeFacts& Facts(SourceType type) { return kTypes[static_cast<size_t>(type)]; }

}  // namespace

const char* Name(SourceType type) { return Facts(type).name; }
size_t ElementBytes(SourceType type) { return Facts(type).bytes; }
bool IsFloat(SourceType type) { return Facts(type).is_float; }

std::optional<SourceType> SourceTypeOf(std::string_view name) {
  for (size_t i = 0; i < kTypes.size(); ++i) {
    if (name == kTypes[i].name) return static_cast<SourceType>(i);
  }
  return std::nullopt;
}

std::vector<size_t> ContiguousStrides(const std::vector<size_t>& shape) {
  std::vector<size_t> strides(shape.size());
  size_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

size_t ElementsOf(const std::vector<size_t>& shape) {
  size_t count = 1;
  for (const size_t n : shape) count *= n;
  return count;
}

size_t TensorView::elements() const { return ElementsOf(shape); }

bool TensorView::contiguous() const {
  size_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != stride) return false;
    stride *= shape[i];
  }
  return true;
}

TensorView TensorView::Squeezed() const {
  TensorView view = *this;
  while (view.shape.size() > 1 && view.shape.front() == 1) {
    view.shape.erase(view.shape.begin());
    view.strides.erase(view.strides.begin());
  }
  return view;
}

TensorView TensorView::Transposed() const {
  LINNET_CHECK(shape.size() >= 2);
  TensorView view = *this;
  const size_t n = shape.size();
  std::swap(view.shape[n - 1], view.shape[n - 2]);
  std::swap(view.strides[n - 1], view.strides[n - 2]);
  return view;
}

TensorView TensorView::Index(size_t i) const {
  TensorView view = Slice(i, 1);
  view.shape.erase(view.shape.begin());
  view.strides.erase(view.strides.begin());
  return view;
}

TensorView TensorView::Slice(size_t begin, size_t count) const {
  LINNET_CHECK(!shape.empty() && begin <= shape[0] && count <= shape[0] - begin);
  TensorView view = *this;
  view.shape[0] = count;
  if (encoding != nullptr) {
    view.first += begin * strides[0];
    return view;
  }
  view.data += begin * strides[0] * ElementBytes(type);
  return view;
}

}  // namespace linnet
