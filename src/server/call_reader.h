// CallReader: takes the JSON of calls apart while it is written.
#ifndef LINNET_SERVER_CALL_READER_H_
#define LINNET_SERVER_CALL_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace linnet {

// Reads {"name":…,"arguments":…} or a list of them. Other keys are skipped, and what is no call
// ends the reading, so that any text is safe. Not thread-safe.
class CallReader {
 public:
  struct Sinks {
    std::function<void(const std::string& name)> call;       // another call begins
    std::function<void(std::string_view json)> arguments{};  // a part of its arguments
  };
  explicit CallReader(Sinks sinks) : sinks_(std::move(sinks)) {}

  // As if `{"name":"NAME"`, or the same after `[`, had been read.
  void Begin(const std::string& name, bool is_list);
  void Push(std::string_view json);
  // All calls were read; what follows is no part of them.
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t {
    kBegin,
    kElement,  // of the list
    kKey,
    kInKey,
    kColon,
    kValue,
    kInName,
    kInArguments,
    kInOther,
    kDone,
  };

  void Step(char c, size_t at);
  void Name(const std::string& name);
  void EndCall();
  // Within a value: whether it ends with this byte, or before it.
  enum class Inside : uint8_t { kGoesOn, kLast, kAfter };
  Inside Scan(char c);

  Sinks sinks_;
  State state_ = State::kBegin;
  bool is_list_ = false;
  std::string key_, name_, early_;  // early_: arguments before the name
  bool named_ = false, has_arguments_ = false;
  bool escaped_ = false, quoted_ = false, scalar_ = false;
  size_t depth_ = 0;
  // Of the bytes of this Push: where arguments began that are not handed out.
  std::string_view part_;
  size_t from_ = 0;
};

}  // namespace linnet

#endif  // LINNET_SERVER_CALL_READER_H_
