// linnet search: passages of a folder's texts by their vectors.
#include "search/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/user_folders.h"
#include "cli/embedding.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct SearchFlags {
  CommonOptions common;
  EmbeddingFlags embedding;
  std::string folder, query, model;
  size_t top = 5;
};

// At most so many characters of a passage are shown, in one line.
std::string ShownText(const std::string& text, size_t most) {
  std::string line;
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c & 0xc0) != 0x80 && characters++ == most) return line + "…";
    if (c <= ' ' || c == 0x7f) {
      if (!line.empty() && line.back() != ' ') line += ' ';
    } else {
      line += text[i];
    }
  }
  return line;
}

void RunSearch(const SearchFlags& o) {
  const fs::path home = UserCacheFolder();
  if (home.empty()) {
    throw Error(ErrorKind::kIo,
                "there is no folder for the index: neither XDG_CACHE_HOME nor HOME is set");
  }
  std::error_code error;
  const fs::path folder = fs::canonical(o.folder, error);
  if (error || !fs::is_directory(folder)) {
    throw Error(ErrorKind::kIo, fmt::format("{}: is no folder", o.folder));
  }
  if (o.query.find_first_not_of(" \t\r\n") == std::string::npos) {
    throw Error(ErrorKind::kBadInput, "QUERY is empty, expected a text");
  }
  EmbeddingModel model(o.common, o.embedding, o.model);
  const std::string identity =
      model.model().Identity(model.workspace(), {.tokenizer = model.tokenizer().Digest()});
  SearchIndex index(
      home / "search",
      {.folder = folder.string(), .identity = identity, .pooling = model.embedder().Key()},
      model.embedder().width(), [](const std::string& line) { Say(line + "\n"); });

  const InterruptScope interrupts;
  std::unique_ptr<Progress> progress;
  const SearchUpdate update = UpdateIndex(
      index, folder, model.embedder(), model.workspace(),
      {.rows = o.embedding.rows, .progress = [&](uint64_t done, uint64_t total) {
         if (progress == nullptr) {
           progress = std::make_unique<Progress>("reading " + o.folder, total, /*time_left=*/true);
         }
         progress->Update(done);
         InterruptScope::Check();
       }});
  progress.reset();
  if (update.texts == 0) throw Error(ErrorKind::kBadInput, o.folder + ": has no text files");
  const auto hits = Search(index, o.query, model.embedder(), model.workspace(), o.top);

  ordered_json results = ordered_json::array();
  for (const SearchHit& hit : hits) {
    const std::string text = TextOf(folder, hit);
    if (o.common.json) {
      results.push_back({{"file", hit.path},
                         {"line", hit.passage.line},
                         {"begin", hit.passage.begin},
                         {"bytes", hit.passage.bytes},
                         {"score", hit.score},
                         {"text", text}});
    } else {
      constexpr size_t kShown = 160;
      Print(fmt::format("{:.4f}  {}:{}\n        {}\n", hit.score,
                        ShownText((fs::path(o.folder) / hit.path).string(), SIZE_MAX),
                        hit.passage.line, ShownText(text, kShown)));
    }
  }
  if (!o.common.json) return;
  const ordered_json all = {{"query", o.query},
                            {"folder", folder.string()},
                            {"pooling", Name(model.embedder().pooling())},
                            {"files", update.texts},
                            {"read", update.read},
                            {"embedded", update.embedded},
                            {"passages", index.passages()},
                            {"results", std::move(results)}};
  Print(all.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace

void AddSearch(CLI::App& app) {
  const auto o = std::make_shared<SearchFlags>();
  CLI::App* command = AddCommand(
      app, "search", "Find passages of a folder's texts by what they are about",
      "linnet search notes 'where the key to the shed is' --model embedding.pth --top 3\n\n"
      "Every file that is text is divided into passages, whose vectors are kept in\n"
      "~/.cache/linnet/search; only files that are new or changed are read again. How well it\n"
      "finds depends on the model: docs/evaluation.md has measurements.",
      o->common, [o] { RunSearch(*o); });
  command->add_option("FOLDER", o->folder, "The texts, also in folders below")->required();
  command->add_option("QUERY", o->query, "What is looked for")->required();
  command->add_option("--model", o->model, kOptionalModelHelp)->type_name("MODEL");
  command->add_option("--top", o->top, "How many passages to show")
      ->check(CLI::Range(1, 10000))
      ->type_name("N")
      ->capture_default_str();
  AddEmbeddingOptions(*command, o->embedding);
  AddAdapterOption(*command, o->common);
  AddRowOptions(*command, o->common);
}

}  // namespace linnet::cli
