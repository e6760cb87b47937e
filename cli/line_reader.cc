#include "cli/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>

#include "linnet/error.h"

namespace linnet::cli {
namespace {

class PlainReader : public LineReader {
 public:
  bool Read(const std::string&, std::string& line) override {
    line.clear();
    int c;
    while ((c = std::getc(stdin)) != EOF && c != '\n') line += static_cast<char>(c);
    if (std::ferror(stdin) != 0) throw Error(ErrorKind::kIo, "stdin: cannot be read");
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return c != EOF || !line.empty();
  }
  bool interactive() const override { return false; }
};

class EditingReader : public LineReader {
 public:
  EditingReader() : edit_(el_init("linnet", stdin, stderr, stderr)), history_(history_init()) {
    HistEvent event;
    history(history_, &event, H_SETSIZE, 1000);
    history(history_, &event, H_SETUNIQUE, 1);
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &Prompt);
    el_set(edit_, EL_HIST, ::history, history_);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_SIGNAL, 1);  // Ctrl-C gives the terminal back as it was
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  }
  ~EditingReader() override {
    history_end(history_);
    el_end(edit_);
  }
  EditingReader(const EditingReader&) = delete;
  EditingReader& operator=(const EditingReader&) = delete;

  bool Read(const std::string& prompt, std::string& line) override {
    prompt_ = prompt;
    int count = 0;
    const char* const text = el_gets(edit_, &count);
    if (text == nullptr || count <= 0) return false;
    line.assign(text, static_cast<size_t>(count));
    if (line.back() == '\n') line.pop_back();
    HistEvent event;
    if (!line.empty()) history(history_, &event, H_ENTER, line.c_str());
    return true;
  }
  bool interactive() const override { return true; }

 private:
  static char* Prompt(EditLine* edit) {
    EditingReader* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return self->prompt_.data();
  }

  EditLine* edit_;
  History* history_;
  std::string prompt_;
};

}  // namespace

std::unique_ptr<LineReader> LineReader::New() {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) {
    return std::make_unique<PlainReader>();
  }
  // Only how bytes make characters: numbers stay as in C.
  const char* const characters = std::setlocale(LC_CTYPE, "");
  if (characters == nullptr || std::string(characters) == "C") std::setlocale(LC_CTYPE, "C.UTF-8");
  return std::make_unique<EditingReader>();
}

}  // namespace linnet::cli
