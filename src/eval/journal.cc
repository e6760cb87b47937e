#include "eval/journal.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "eval/python_text.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// Half of a digest: as many questions as fit into memory do not meet by chance.
std::string KeyOf(const std::string& text) { return Hex(Sha256Of(text)).substr(0, 32); }

std::string IdsText(std::span<const int32_t> ids) {
  std::string text;
  for (const int32_t id : ids) text += fmt::format("{},", id);
  return text;
}

std::string KeyOf(const TokenRequest& request) {
  return KeyOf(fmt::format("score {} {}", request.scored, IdsText(request.tokens)));
}

std::string KeyOf(const AnswerRequest& request) {
  std::string text =
      fmt::format("write {} {} {} {} {} {}", request.text.max_tokens, request.sampler.temperature,
                  request.sampler.top_p, request.sampler.top_k, request.sampler.seed,
                  IdsText(request.text.stop_ids));
  for (const std::string& stop : request.text.stops)
    text += fmt::format("{} {}", stop.size(), stop);
  return KeyOf(text + " " + IdsText(request.prompt));
}

fs::path OfProcess(const fs::path& path, size_t process) {
  return process == 0 ? path : fs::path(path.string() + "." + std::to_string(process));
}

}  // namespace

EvalJournal::EvalJournal(const fs::path& path, std::string identity, size_t process)
    : path_(path), own_(OfProcess(path, process)), identity_(std::move(identity)) {
  std::error_code error;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  for (size_t i = 0; i == 0 || fs::exists(OfProcess(path, i), error); ++i) Read(OfProcess(path, i));
  if (process > 0) Read(own_);
  out_.open(own_, std::ios::binary | std::ios::app);
  if (!out_) {
    throw Error(ErrorKind::kIo,
                fmt::format("{}: cannot be written: {}", own_.string(), std::strerror(errno)));
  }
  // After a line that was cut when the machine stopped.
  out_ << '\n';
}

void EvalJournal::Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || json.value("model", "") != identity_ || !json.contains("key") ||
        !json["key"].is_string())
      continue;
    const std::string key = json["key"].get<std::string>();
    if (json.contains("text") && json["text"].is_string())
      texts_[key] = json["text"].get<std::string>();
    const auto logprob = json.find("logprob"), greedy = json.find("greedy");
    if (logprob != json.end() && logprob->is_number() && greedy != json.end() &&
        greedy->is_boolean()) {
      scores_[key] = {logprob->get<double>(), greedy->get<bool>()};
    }
  }
}

void EvalJournal::Write(const std::string& line) {
  out_ << line << '\n';
  out_.flush();
  if (!out_)
    throw Error(ErrorKind::kIo,
                fmt::format("{}: cannot be written: {}", own_.string(), std::strerror(errno)));
}

std::optional<TokenScore> EvalJournal::Find(const TokenRequest& request) const {
  if (scores_.empty()) return std::nullopt;
  const auto it = scores_.find(KeyOf(request));
  return it == scores_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::string> EvalJournal::Find(const AnswerRequest& request) const {
  if (texts_.empty()) return std::nullopt;
  const auto it = texts_.find(KeyOf(request));
  return it == texts_.end() ? std::nullopt : std::optional(it->second);
}

void EvalJournal::Add(const TokenRequest& request, const TokenScore& score) {
  if (own_.empty()) return;
  // {} prints as many digits as give the same number again.
  Write(fmt::format(R"({{"model":"{}","key":"{}","logprob":{},"greedy":{}}})", identity_,
                    KeyOf(request), score.logprob, score.greedy));
}

void EvalJournal::Add(const AnswerRequest& request, const std::string& text) {
  if (own_.empty()) return;
  Write(nlohmann::json{{"model", identity_}, {"key", KeyOf(request)}, {"text", text}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void EvalJournal::Remove() {
  if (own_.empty()) return;
  out_.close();
  std::error_code error;
  for (size_t i = 0; fs::exists(OfProcess(path_, i), error); ++i)
    fs::remove(OfProcess(path_, i), error);
}

}  // namespace linnet
