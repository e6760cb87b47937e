// WalkJson: the values of a JSON text one by one, in memory bounded by its depth.
#ifndef LINNET_IO_JSON_WALK_H_
#define LINNET_IO_JSON_WALK_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

struct JsonEvent {
  enum class Kind { kObject, kArray, kString, kInteger, kOther };  // kObject, kArray: it begins
  Kind kind;
  // The keys on the way to the value; an element of an array bears its array's.
  std::span<const std::string> path;
  std::string_view text;  // kString
  uint64_t integer = 0;   // kInteger: not negative
};

// Calls `visit` for every value, the outermost first. No tree is built, so a
// hostile text costs no memory. Throws Error kBadModel, starting with `what`, if
// the text is not JSON or nests deeper than `max_depth`.
void WalkJson(std::string_view text, size_t max_depth, const std::string& what,
              const std::function<void(const JsonEvent&)>& visit);

}  // namespace linnet

#endif  // LINNET_IO_JSON_WALK_H_
