#include "io/json_walk.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Json = nlohmann::json;

class Walker : public nlohmann::json_sax<Json> {
 public:
  Walker(size_t max_depth, const std::string& what,
         const std::function<void(const JsonEvent&)>& visit)
      : max_depth_(max_depth), what_(what), visit_(visit) {}

  bool null() override { return Visit(JsonEvent::Kind::kOther); }
  bool boolean(bool) override { return Visit(JsonEvent::Kind::kOther); }
  bool number_integer(int64_t) override { return Visit(JsonEvent::Kind::kOther); }
  bool number_unsigned(uint64_t value) override {
    return Visit(JsonEvent::Kind::kInteger, {}, value);
  }
  bool number_float(double, const std::string&) override { return Visit(JsonEvent::Kind::kOther); }
  bool string(std::string& value) override { return Visit(JsonEvent::Kind::kString, value); }
  bool binary(Json::binary_t&) override { return Visit(JsonEvent::Kind::kOther); }

  bool start_object(size_t) override { return Enter(JsonEvent::Kind::kObject); }
  bool start_array(size_t) override { return Enter(JsonEvent::Kind::kArray); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(std::string& value) override {
    path_.back() = value;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: not valid JSON at byte {}", what_, position));
  }

 private:
  bool Visit(JsonEvent::Kind kind, std::string_view text = {}, uint64_t integer = 0) {
    visit_({kind, path_, text, integer});
    return true;
  }
  bool Enter(JsonEvent::Kind kind) {
    Visit(kind);
    if (objects_.size() == max_depth_) {
      throw Error(ErrorKind::kBadModel,
                  fmt::format("{}: JSON nests deeper than {}", what_, max_depth_));
    }
    objects_.push_back(kind == JsonEvent::Kind::kObject);
    if (objects_.back()) path_.emplace_back();
    return true;
  }
  bool Leave() {
    if (objects_.back()) path_.pop_back();
    objects_.pop_back();
    return true;
  }

  size_t max_depth_;
  const std::string& what_;
  const std::function<void(const JsonEvent&)>& visit_;
  std::vector<std::string> path_;
  std::vector<bool> objects_;  // open containers: true for an object, false for an array
};

}  // namespace

void WalkJson(std::string_view text, size_t max_depth, const std::string& what,
              const std::function<void(const JsonEvent&)>& visit) {
  Walker walker(max_depth, what, visit);
  Json::sax_parse(text.begin(), text.end(), &walker);
}

}  // namespace linnet
