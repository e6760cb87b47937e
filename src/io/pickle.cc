#include "io/pickle.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <iterator>
#include <utility>

#include "io/container.h"
#include "io/pickle_globals.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Kind = PickleValue::Kind;

// Opcodes of Python's pickletools.
enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobalOp = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTupleOp = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kEmptyDict = '}',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

// A state dict needs about 100 bytes and 25 values per tensor, and a model has a few thousand
// tensors. The limits bound the memory that a hostile file of any size can use.
constexpr size_t kMaxPickle = size_t{16} << 20;
constexpr size_t kMaxValues = 2'000'000;
constexpr size_t kMaxTensors = 100'000;
constexpr size_t kMaxDims = 8;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& what)
      : bytes_(bytes.first(std::min(bytes.size(), kMaxPickle))), what_(what) {}

  Pickle Run();

 private:
  Error Bad(const std::string& problem) const {
    return Error(ErrorKind::kBadModel, fmt::format("{}: byte {}: {}", what_, op_at_, problem));
  }
  Error BadTensor(const std::string& problem) const { return Bad("a tensor that " + problem); }

  // Input.
  std::span<const std::byte> Take(uint64_t size) {
    if (size > bytes_.size() - at_) {
      throw Bad(bytes_.size() == kMaxPickle
                    ? "a pickle of more than 16 MB, expected a state dict of tensors"
                    : "it ends too early; the file is damaged");
    }
    const auto taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }
  template <class T>
  T TakeAs() {
    T value;
    std::memcpy(&value, Take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view TakeLine();

  // Values, the stack and the marks on it.
  PickleId Add(PickleValue value) {
    if (out_.values.size() == kMaxValues) throw Bad("too many values for a state dict");
    out_.values.push_back(std::move(value));
    return static_cast<PickleId>(out_.values.size() - 1);
  }
  void Push(PickleValue value) { stack_.push_back(Add(std::move(value))); }
  void PushText(Kind kind, uint64_t size) { Push({kind, 0, AsText(Take(size)), {}}); }
  PickleId Pop();
  PickleId Top(size_t depth = 0) const;
  std::vector<PickleId> PopToMark();
  PickleValue& At(PickleId id) { return out_.values[id]; }
  const PickleValue& At(PickleId id) const { return out_.values[id]; }
  const PickleValue& Expect(PickleId id, Kind kind, const char* what) const;
  size_t Size(PickleId id, const char* what) const;

  // Opcodes.
  void Step(uint8_t op);
  void StepProtocol4(uint8_t op);
  void PushLong(uint64_t size);
  void PushTuple(size_t size);
  void PushGlobal(std::string_view module, std::string_view name);
  void PushStorage();
  void Put(uint64_t slot);
  void Get(uint64_t slot);
  void Extend(Kind container, std::vector<PickleId> items);
  void Reduce();
  PickleId Call(const PickleGlobal& global, PickleId args);
  PickleId OrderedDict(PickleId args);
  PickleId Tensor(PickleId args);
  const PickleGlobal& GlobalOf(PickleId id) const {
    return kPickleGlobals[static_cast<size_t>(Expect(id, Kind::kGlobal, "a function").integer)];
  }

  std::span<const std::byte> bytes_;
  const std::string& what_;
  size_t at_ = 0, op_at_ = 0;
  Pickle out_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::vector<PickleId> memo_;
  size_t copied_ = 0;  // items copied from one container into another
};

constexpr PickleId kNoValue = UINT32_MAX;

std::string_view Machine::TakeLine() {
  const auto rest = AsText(bytes_.subspan(at_));
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) throw Bad("it ends too early; the file is damaged");
  at_ += end + 1;
  return rest.substr(0, end);
}

PickleId Machine::Pop() {
  const PickleId top = Top();
  stack_.pop_back();
  return top;
}

PickleId Machine::Top(size_t depth) const {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() - floor <= depth) throw Bad("it pops from an empty stack");
  return stack_[stack_.size() - 1 - depth];
}

std::vector<PickleId> Machine::PopToMark() {
  if (marks_.empty()) throw Bad("it looks for a mark that is not there");
  const auto first = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
  std::vector<PickleId> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

const PickleValue& Machine::Expect(PickleId id, Kind kind, const char* what) const {
  if (At(id).kind != kind) throw Bad(fmt::format("it has something else where {} belongs", what));
  return At(id);
}

size_t Machine::Size(PickleId id, const char* what) const {
  const int64_t value = Expect(id, Kind::kInt, what).integer;
  if (value < 0) throw Bad(fmt::format("{} is negative", what));
  return static_cast<size_t>(value);
}

void Machine::PushLong(uint64_t size) {
  const auto digits = Take(size);
  if (size > sizeof(int64_t)) return Push({Kind::kOpaque, 0, AsText(digits), {}});
  uint64_t value =
      size != 0 && (static_cast<uint8_t>(digits[size - 1]) & 0x80) != 0 ? ~uint64_t{0} : 0;
  if (size != 0) std::memcpy(&value, digits.data(), size);
  Push({Kind::kInt, static_cast<int64_t>(value), {}, {}});
}

void Machine::PushTuple(size_t size) {
  Top(size - 1);
  const auto first = stack_.end() - static_cast<ptrdiff_t>(size);
  PickleValue tuple{Kind::kTuple, 0, {}, {first, stack_.end()}};
  stack_.erase(first, stack_.end());
  Push(std::move(tuple));
}

void Machine::PushGlobal(std::string_view module, std::string_view name) {
  for (size_t i = 0; i < std::size(kPickleGlobals); ++i) {
    if (kPickleGlobals[i].module == module && kPickleGlobals[i].name == name) {
      return Push({Kind::kGlobal, static_cast<int64_t>(i), {}, {}});
    }
  }
  throw Error(ErrorKind::kBadModel,
              fmt::format("{}: it asks for {}.{}, expected only tensors in a dict; nothing was "
                          "run; save model.state_dict() alone",
                          what_, Quoted(module), Quoted(name)));
}

// ('storage', class, key, device, elements); before 1.6 also a view of it.
void Machine::PushStorage() {
  const auto& items = Expect(Pop(), Kind::kTuple, "a storage").items;
  if (items.size() < 5 || items.size() > 6 ||
      Expect(items[0], Kind::kString, "the word storage").text != "storage") {
    throw Bad("a reference to something that is not a storage");
  }
  if (items.size() == 6 && At(items[5]).kind != Kind::kNone) {
    throw Bad("a view of a storage, as torch wrote before 0.4; load and save it again with torch");
  }
  const auto type = GlobalOf(items[1]).storage;
  if (!type) throw Bad("an unknown storage class");
  const size_t elements = Size(items[4], "the size of a storage");
  out_.storages.push_back(
      {*type, Expect(items[2], Kind::kString, "a storage's key").text, elements});
  Push({Kind::kStorage, static_cast<int64_t>(out_.storages.size() - 1), {}, {}});
}

void Machine::Put(uint64_t slot) {
  // Picklers number slots from 0, and each slot needs at least one byte.
  if (slot >= bytes_.size()) throw Bad("a memo slot out of range");
  if (slot >= memo_.size()) memo_.resize(slot + 1, kNoValue);
  memo_[slot] = Top();
}

void Machine::Get(uint64_t slot) {
  if (slot >= memo_.size() || memo_[slot] == kNoValue)
    throw Bad("it reads a memo slot that was never set");
  stack_.push_back(memo_[slot]);
}

void Machine::Extend(Kind container, std::vector<PickleId> items) {
  auto& into = At(Top());
  if (into.kind != container) throw Bad("it adds to something that is not a container");
  if (container == Kind::kDict && items.size() % 2 != 0) throw Bad("a key without its value");
  into.items.insert(into.items.end(), items.begin(), items.end());
}

void Machine::Reduce() {
  const PickleId args = Pop();
  Expect(args, Kind::kTuple, "the arguments of a call");
  const PickleGlobal& global = GlobalOf(Pop());
  stack_.push_back(Call(global, args));
}

PickleId Machine::Call(const PickleGlobal& global, PickleId args) {
  const auto& items = At(args).items;
  switch (global.call) {
    case PickleCall::kOrderedDict:
      return OrderedDict(args);
    case PickleCall::kRebuildTensor:
      return Tensor(args);
    case PickleCall::kRebuildParameter:
      if (items.empty()) break;
      Expect(items[0], Kind::kTensor, "a tensor");
      return items[0];
    case PickleCall::kRebuildFromType:
      // (function, class, arguments, attributes): a tensor with attributes, which are ignored.
      if (items.size() != 4 || GlobalOf(items[0]).call != PickleCall::kRebuildTensor) break;
      Expect(items[2], Kind::kTuple, "the arguments of a call");
      return Tensor(items[2]);
    case PickleCall::kSize:
      if (items.size() != 1) break;
      Expect(items[0], Kind::kTuple, "a shape");
      return items[0];
    case PickleCall::kNone:
      break;
  }
  throw Bad(fmt::format("{}.{} cannot be called like this", global.module, global.name));
}

// OrderedDict(), or OrderedDict([(key, value), …]) as Python 2 wrote it.
PickleId Machine::OrderedDict(PickleId args) {
  PickleValue dict{Kind::kDict, 0, {}, {}};
  const auto& items = At(args).items;
  if (items.size() > 1) throw Bad("an OrderedDict with more than one argument");
  if (items.size() == 1) {
    for (const PickleId pair : Expect(items[0], Kind::kList, "a list of pairs").items) {
      const auto& value = At(pair);
      if ((value.kind != Kind::kTuple && value.kind != Kind::kList) || value.items.size() != 2) {
        throw Bad("an OrderedDict of items that are not pairs");
      }
      // A pickle could fetch one list from the memo and copy it many times.
      if (++copied_ > bytes_.size()) throw Bad("more pairs than its bytes can hold");
      dict.items.insert(dict.items.end(), value.items.begin(), value.items.end());
    }
  }
  return Add(std::move(dict));
}

// (storage, offset, shape, strides, …); requires_grad and hooks are ignored.
PickleId Machine::Tensor(PickleId arguments) {
  const auto& args = At(arguments).items;
  if (out_.tensors.size() == kMaxTensors) throw Bad("too many tensors for a state dict");
  if (args.size() < 4) throw BadTensor("lacks its storage, offset, shape or strides");
  const auto storage = static_cast<size_t>(Expect(args[0], Kind::kStorage, "a storage").integer);
  const auto& shape = Expect(args[2], Kind::kTuple, "a shape").items;
  const auto& strides = Expect(args[3], Kind::kTuple, "strides").items;
  PickleTensor tensor{storage, Size(args[1], "an offset"), {}, {}};
  if (shape.size() != strides.size() || shape.size() > kMaxDims) {
    throw BadTensor(fmt::format("has {} sizes and {} strides, expected as many, at most {}",
                                shape.size(), strides.size(), kMaxDims));
  }
  size_t count = 0;
  for (const PickleId id : shape) tensor.shape.push_back(Size(id, "a dimension"));
  for (const PickleId id : strides) tensor.strides.push_back(Size(id, "a stride"));
  const size_t available = out_.storages[storage].elements;
  if (!CountElements(tensor.shape, &count)) throw BadTensor("has too many elements");
  if (count == 0) {
    tensor.offset = 0;
    tensor.strides = ContiguousStrides(tensor.shape);
  } else {
    uint64_t last = tensor.offset;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      uint64_t reach = 0;
      if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &reach) ||
          __builtin_add_overflow(last, reach, &last)) {
        last = UINT64_MAX;
        break;
      }
    }
    if (last >= available) throw BadTensor("reaches past its storage; the file is damaged");
    if (count > available) {
      throw BadTensor("repeats its storage (torch's expand); save it with .contiguous()");
    }
  }
  out_.tensors.push_back(std::move(tensor));
  return Add({Kind::kTensor, static_cast<int64_t>(out_.tensors.size() - 1), {}, {}});
}

void Machine::Step(uint8_t op) {
  switch (op) {
    case kProto: {
      const auto protocol = TakeAs<uint8_t>();
      if (protocol < 2 || protocol > 5) throw Bad(fmt::format("pickle protocol {}", protocol));
      return;
    }
    case kMark:
      return marks_.push_back(stack_.size());
    case kPop:
      // As in Python: directly after a mark, POP removes the mark.
      if (!marks_.empty() && marks_.back() == stack_.size()) return marks_.pop_back();
      Pop();
      return;
    case kPopMark:
      PopToMark();
      return;
    case kDup:
      return stack_.push_back(Top());
    case kNone:
      return Push({Kind::kNone, 0, {}, {}});
    case kNewTrue:
      return Push({Kind::kBool, 1, {}, {}});
    case kNewFalse:
      return Push({Kind::kBool, 0, {}, {}});
    case kBinInt:
      return Push({Kind::kInt, TakeAs<int32_t>(), {}, {}});
    case kBinInt1:
      return Push({Kind::kInt, TakeAs<uint8_t>(), {}, {}});
    case kBinInt2:
      return Push({Kind::kInt, TakeAs<uint16_t>(), {}, {}});
    case kLong1:
      return PushLong(TakeAs<uint8_t>());
    case kLong4:
      return PushLong(TakeAs<uint32_t>());
    case kBinFloat:
      Take(8);
      return Push({Kind::kFloat, 0, {}, {}});
    case kBinString:
    case kBinUnicode:
      return PushText(Kind::kString, TakeAs<uint32_t>());
    case kShortBinString:
      return PushText(Kind::kString, TakeAs<uint8_t>());
    case kEmptyTuple:
      return Push({Kind::kTuple, 0, {}, {}});
    case kTuple1:
      return PushTuple(1);
    case kTuple2:
      return PushTuple(2);
    case kTuple3:
      return PushTuple(3);
    case kTupleOp:
      return Push({Kind::kTuple, 0, {}, PopToMark()});
    case kEmptyList:
      return Push({Kind::kList, 0, {}, {}});
    case kEmptyDict:
      return Push({Kind::kDict, 0, {}, {}});
    case kAppend: {
      const PickleId item = Pop();
      return Extend(Kind::kList, {item});
    }
    case kAppends:
      return Extend(Kind::kList, PopToMark());
    case kSetItem: {
      const PickleId value = Pop(), key = Pop();
      return Extend(Kind::kDict, {key, value});
    }
    case kSetItems:
      return Extend(Kind::kDict, PopToMark());
    case kGlobalOp: {
      const auto module = TakeLine();
      return PushGlobal(module, TakeLine());
    }
    case kReduce:
      return Reduce();
    case kBuild:
      // Attributes of an OrderedDict (state dicts have _metadata) are ignored.
      Pop();
      Expect(Top(), Kind::kDict, "an OrderedDict");
      return;
    case kBinPersId:
      return PushStorage();
    case kBinGet:
      return Get(TakeAs<uint8_t>());
    case kLongBinGet:
      return Get(TakeAs<uint32_t>());
    case kBinPut:
      return Put(TakeAs<uint8_t>());
    case kLongBinPut:
      return Put(TakeAs<uint32_t>());
    default:
      return StepProtocol4(op);
  }
}

// Opcodes of protocols 3 to 5.
void Machine::StepProtocol4(uint8_t op) {
  switch (op) {
    case kFrame:
      Take(8);
      return;
    case kMemoize:
      return Put(memo_.size());
    case kShortBinUnicode:
      return PushText(Kind::kString, TakeAs<uint8_t>());
    case kBinUnicode8:
      return PushText(Kind::kString, TakeAs<uint64_t>());
    case kShortBinBytes:
      return PushText(Kind::kOpaque, TakeAs<uint8_t>());
    case kBinBytes:
      return PushText(Kind::kOpaque, TakeAs<uint32_t>());
    case kBinBytes8:
      return PushText(Kind::kOpaque, TakeAs<uint64_t>());
    case kEmptySet:
      return Push({Kind::kList, 0, {}, {}});
    case kAddItems:
      return Extend(Kind::kList, PopToMark());
    case kFrozenSet:
      return Push({Kind::kList, 0, {}, PopToMark()});
    case kStackGlobal: {
      const PickleId name = Pop(), module = Pop();
      const auto from = Expect(module, Kind::kString, "a module's name").text;
      return PushGlobal(from, Expect(name, Kind::kString, "a global's name").text);
    }
    default:
      throw Bad(fmt::format("opcode 0x{:02x}, which torch.save does not write", op));
  }
}

Pickle Machine::Run() {
  while (true) {
    op_at_ = at_;
    const auto op = TakeAs<uint8_t>();
    if (op == kStop) break;
    Step(op);
  }
  out_.root = Pop();
  out_.size = at_;
  return std::move(out_);
}

}  // namespace

Pickle ReadPickle(std::span<const std::byte> bytes, const std::string& what) {
  return Machine(bytes, what).Run();
}

}  // namespace linnet
