// ParseJsonLine: one line of a .jsonl file.
#ifndef LINNET_TEXT_JSON_LINE_H_
#define LINNET_TEXT_JSON_LINE_H_

#include <nlohmann/json.hpp>
#include <string_view>

namespace linnet {

// Throws Error kBadInput with reason and position if the line is not a JSON object. As Python's
// encoders do, it rejects half a surrogate pair, because that has no UTF-8 encoding.
nlohmann::json ParseJsonLine(std::string_view line);

}  // namespace linnet

#endif  // LINNET_TEXT_JSON_LINE_H_
