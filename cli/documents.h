// Reads the documents of the input files of `data build` and `vocab train`, with progress.
#ifndef LINNET_CLI_DOCUMENTS_H_
#define LINNET_CLI_DOCUMENTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/progress.h"
#include "text/chat_template.h"
#include "train/documents.h"

namespace linnet::cli {

// A copy of stdin in a temporary file, which can be read more than once.
class StdinFile {
 public:
  // Throws Error kIo.
  StdinFile();
  ~StdinFile();
  StdinFile(const StdinFile&) = delete;
  StdinFile& operator=(const StdinFile&) = delete;

  std::string path() const;

 private:
  int fd_;
};

// The documents of some files; "-" is stdin. Conversations are formatted with the template `chat`.
class DocumentInputs {
 public:
  // Throws what DocumentReader throws, if any file cannot be read.
  DocumentInputs(const std::vector<std::string>& names, const std::string& chat);

  // Calls use(document) for each document of all inputs. Shows progress. Stops at Ctrl-C while an
  // InterruptScope exists. Throws what DocumentReader throws.
  template <class F>
  void ForEach(const char* doing, const F& use) const {
    Progress progress(doing, total_);
    uint64_t before = 0;
    Document document;
    for (const Input& input : inputs_) {
      DocumentReader reader = Open(input);
      while (reader.Next(document)) {
        use(document);
        progress.Update(before + reader.offset());
        InterruptScope::Check();
      }
      before += reader.size();
    }
  }

 private:
  struct Input {
    std::string path, name;
    DocumentFormat format;
  };
  DocumentReader Open(const Input& input) const {
    return {input.path, input.name, input.format, chat_};
  }

  const ChatTemplate& chat_;
  std::unique_ptr<const StdinFile> stdin_;
  std::vector<Input> inputs_;
  uint64_t total_ = 0;  // bytes
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_DOCUMENTS_H_
