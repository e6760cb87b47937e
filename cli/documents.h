// Input files of `data build` and `vocab train`: their documents, with progress.
#ifndef LINNET_CLI_DOCUMENTS_H_
#define LINNET_CLI_DOCUMENTS_H_

#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/progress.h"
#include "text/chat_template.h"
#include "train/documents.h"

namespace linnet::cli {

// Calls use(document) for each document of all inputs; conversations are written with the template
// `chat`. Shows progress, and stops at Ctrl-C while an InterruptScope is alive. Throws what
// DocumentReader does; files that cannot be read are found before the first is used.
template <class F>
void ForDocuments(const std::vector<std::string>& inputs, const std::string& chat,
                  const char* doing, const F& use) {
  uint64_t total = 0, before = 0;
  for (const std::string& input : inputs) {
    total += DocumentReader(input, ChatTemplate::Named(chat)).size();
  }
  Progress progress(doing, total);
  Document document;
  for (const std::string& input : inputs) {
    DocumentReader reader(input, ChatTemplate::Named(chat));
    while (reader.Next(document)) {
      use(document);
      progress.Update(before + reader.offset());
      InterruptScope::Check();
    }
    before += reader.size();
  }
}

}  // namespace linnet::cli

#endif  // LINNET_CLI_DOCUMENTS_H_
