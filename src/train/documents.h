// DocumentReader: reads the documents of a text or JSON file in order.
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

// A document is the concatenated text of its parts. Prompts are not learnt:
// the model reads them but is not trained to predict them.
struct DocumentPart {
  std::string owned = {};
  bool learnt = true;
  std::string_view mapped =
      {};  // instead of `owned`: bytes of the file, valid while its reader exists

  std::string_view text() const { return mapped.empty() ? std::string_view(owned) : mapped; }
};
using Document = std::vector<DocumentPart>;

// Converts one JSON object of a training set to a document:
//   {"text": …}                                            unchanged, all learnt
//   {"messages": [{"role", "content"}, …]}                 a conversation
//   {"conversations" or "conversation": [{"from", "value"}, …]}  the same; both may
//                                                          also have "system" and "tools"
//   {"prompt" | "question" | "query" | "instruction" (+ "input"),
//    "response" | "answer" | "output" | "completion"}      one turn; may also have "system"
// Conversations are formatted with `chat`; replies and their ends are learnt.
// The result of a tool is a user turn that starts with "Function output:" and a
// line break; a call by the model is {"name","arguments"} in a ```json fence;
// the tools are listed in the system text. This is the format of RWKV-7 G1.
// Throws Error kBadInput, without a file and line, for anything else.
Document DocumentOf(std::string_view json_line, const ChatTemplate& chat);

enum class DocumentFormat : uint8_t {
  kText,       // .txt, .md: documents end at a form feed or at a line with only
               // "<|endoftext|>"; blank documents are skipped, line breaks
               // around the others removed
  kJsonLines,  // .jsonl, .ndjson: one document per line, empty lines skipped
  kJson,       // .json: an array of documents, or concatenated documents
};
// From the file name extension. Throws Error kBadInput for unknown extensions.
DocumentFormat DocumentFormatOf(const std::filesystem::path& path);
// From the start of the text, if there is no name: kText or kJson.
DocumentFormat FormatOfText(std::string_view text);

// Skips a byte order mark. Never copies text; of JSON, one document is in memory
// at a time.
class DocumentReader {
 public:
  // Throws Error kIo, and kBadInput for UTF-16 and unknown extensions.
  DocumentReader(const std::filesystem::path& path, const ChatTemplate& chat);
  // `name` is for messages.
  DocumentReader(const std::filesystem::path& path, std::string name, DocumentFormat format,
                 const ChatTemplate& chat);

  // False at the end. Throws Error kBadInput that names the file and line.
  bool Next(Document& document);

  // Bytes read so far, and the size of the file.
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
  bool begun_ = false;                     // of kJson: an object was read
};

}  // namespace linnet

#endif  // LINNET_TRAIN_DOCUMENTS_H_
