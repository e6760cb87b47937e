// DocumentReader: the documents of a text or JSON-lines file, one after another.
#ifndef LINNET_TRAIN_DOCUMENTS_H_
#define LINNET_TRAIN_DOCUMENTS_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "text/chat_template.h"

namespace linnet {

// A document is the text of its parts, one after another. Prompts are not
// learnt: the model reads them, but is not asked to foretell them.
struct DocumentPart {
  std::string owned = {};
  bool learnt = true;
  std::string_view mapped = {};  // instead of `owned`: bytes of the file, while its reader lives

  std::string_view text() const { return mapped.empty() ? std::string_view(owned) : mapped; }
};
using Document = std::vector<DocumentPart>;

// The document that one JSON object of a training set is:
//   {"text": …}                                            as it stands, all learnt
//   {"messages": [{"role", "content"}, …]}                 a conversation
//   {"conversations" or "conversation": [{"from", "value"}, …]}  the same
//   {"prompt" | "question" | "query" | "instruction" (+ "input"),
//    "response" | "answer" | "output" | "completion"}      one turn; "system" may stand beside
// Conversations are written with `chat`; replies and what ends them are learnt.
// Throws Error kBadInput, without a place, on anything else.
Document DocumentOf(std::string_view json_line, const ChatTemplate& chat);

// Reads `.jsonl` (`.ndjson`): a document a line, empty lines skipped; and `.txt`:
// documents end at a form feed or at a line that is "<|endoftext|>" and nothing
// else. Line breaks around a document of a .txt are dropped, blank ones skipped;
// a byte order mark at the front of the file too. A .txt is never copied; of a
// .jsonl one line is in memory at a time.
class DocumentReader {
 public:
  // Throws Error kIo, and kBadInput if the name ends otherwise.
  DocumentReader(const std::filesystem::path& path, const ChatTemplate& chat);

  // False at the end. Throws Error kBadInput that names the file and line.
  bool Next(Document& document);

  // Bytes read of the file, and in it.
  uint64_t offset() const { return offset_; }
  uint64_t size() const { return file_.bytes().size(); }

 private:
  bool NextText(Document& document);
  bool NextLine(Document& document);
  std::string_view Rest() const;
  void Advance(size_t bytes);

  std::string name_;
  MappedFile file_;
  const ChatTemplate& chat_;
  bool lines_;
  uint64_t offset_ = 0, dropped_ = 0, line_ = 0;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_DOCUMENTS_H_
