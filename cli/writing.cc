#include "cli/writing.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/progress.h"
#include "linnet/error.h"

namespace linnet::cli {

Snapshot StartOf(const std::string& path, const Model& model) {
  if (path.empty()) return {model.NewState(), {}};
  std::vector<float> logits;
  State state = State::Load(path, model.state_shape(), &logits);
  if (!logits.empty() && logits.size() != model.config().vocab) {
    throw Error(ErrorKind::kBadState, fmt::format("{}: logits hold {} values, expected {}", path,
                                                  logits.size(), model.config().vocab));
  }
  return {std::move(state), std::move(logits)};
}

Watcher NewWatcher() {
  Watcher watcher;
  watcher.fed = [progress = std::shared_ptr<Progress>()](size_t done, size_t of) mutable {
    if (progress == nullptr) progress = std::make_shared<Progress>("reading the prompt", of);
    progress->Update(done);
    if (done == of) progress.reset();
  };
  watcher.interrupted = InterruptScope::Interrupted;
  return watcher;
}

std::string ToJson(const Written& written) {
  const nlohmann::ordered_json json = {{"text", written.text},
                                       {"tokens", written.tokens},
                                       {"finish_reason", Name(written.finish)},
                                       {"prompt_tokens", written.prompt_tokens},
                                       {"prompt_s", written.prompt_s},
                                       {"decode_s", written.decode_s},
                                       {"tokens_per_s", written.tokens_per_s()},
                                       {"speculation",
                                        {{"passes", written.speculation.passes},
                                         {"guessed", written.speculation.guessed},
                                         {"accepted", written.speculation.accepted}}}};
  return json.dump();
}

}  // namespace linnet::cli
