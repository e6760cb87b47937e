// WalkJson: visits the values of a JSON text, with memory bounded by the nesting depth.
#ifndef LINNET_IO_JSON_WALK_H_
#define LINNET_IO_JSON_WALK_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

struct JsonEvent {
  enum class Kind { kObject, kArray, kString, kInteger, kOther };  // kObject, kArray: the start
  Kind kind;
  // The keys from the root to the value; an element of an array has its array's path.
  std::span<const std::string> path;
  std::string_view text;  // kString
  uint64_t integer = 0;   // kInteger: not negative
};

// Calls `visit` for every value, parents first. No tree is built, so a hostile text cannot use much
// memory. Throws Error kBadModel, starting with `what`, if the text is not JSON or is nested deeper
// than `max_depth`.
void WalkJson(std::string_view text, size_t max_depth, const std::string& what,
              const std::function<void(const JsonEvent&)>& visit);

}  // namespace linnet

#endif  // LINNET_IO_JSON_WALK_H_
