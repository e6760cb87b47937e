// DocumentReader: the documents of a text or JSON file, one after another.
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
//   {"conversations" or "conversation": [{"from", "value"}, …]}  the same; both may
//                                                          have "system" and "tools" beside
//   {"prompt" | "question" | "query" | "instruction" (+ "input"),
//    "response" | "answer" | "output" | "completion"}      one turn; "system" may stand beside
// Conversations are written with `chat`; replies and what ends them are learnt.
// What a tool answered is a turn of the user's, "Function output:" and a line
// break before it; a call of the model's is {"name","arguments"} in a ```json
// fence; the tools are listed in the system text. So RWKV-7 G1 models have them.
// Throws Error kBadInput, without a place, on anything else.
Document DocumentOf(std::string_view json_line, const ChatTemplate& chat);

enum class DocumentFormat : uint8_t {
  kText,       // .txt, .md: documents end at a form feed or at a line that is
               // "<|endoftext|>" and nothing else; blank ones are skipped, line
               // breaks around others dropped
  kJsonLines,  // .jsonl, .ndjson: a document a line, empty lines skipped
  kJson,       // .json: an array of documents, or several one after another
};
// By the ending of the name. Throws Error kBadInput for any other.
DocumentFormat DocumentFormatOf(const std::filesystem::path& path);
// By how the text begins, where there is no name: kText or kJson.
DocumentFormat FormatOfText(std::string_view text);

// A byte order mark is skipped. Text is never copied; of JSON one document is in
// memory at a time.
class DocumentReader {
 public:
  // Throws Error kIo, and kBadInput for UTF-16 and names that end otherwise.
  DocumentReader(const std::filesystem::path& path, const ChatTemplate& chat);
  // `name` is for messages.
  DocumentReader(const std::filesystem::path& path, std::string name, DocumentFormat format,
                 const ChatTemplate& chat);

  // False at the end. Throws Error kBadInput that names the file and line.
  bool Next(Document& document);

  // Bytes read of the file, and in it.
  uint64_t offset() const { return offset_; }
  uint64_t size() const { return file_.bytes().size(); }

 private:
  bool NextText(Document& document);
  bool NextLine(Document& document);
  bool NextObject(Document& document);
  void SkipBlanks();
  Document Parsed(std::string_view json) const;
  [[noreturn]] void Fail(std::string_view what) const;
  std::string_view Rest() const;
  void Advance(size_t bytes);

  std::string name_;
  MappedFile file_;
  const ChatTemplate& chat_;
  DocumentFormat format_;
  uint64_t offset_ = 0, dropped_ = 0;
  uint64_t line_ = 1;                      // at offset_
  bool in_array_ = false, ended_ = false;  // of kJson
  bool begun_ = false;                     // of kJson: whether an object was read
};

}  // namespace linnet

#endif  // LINNET_TRAIN_DOCUMENTS_H_
