#include "cli/line_editor.h"

#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdlib>
#include <cwchar>
#include <deque>
#include <string_view>
#include <utility>

#include "cli/cli.h"
#include "text/columns.h"
#include "text/utf8.h"

namespace linnet::cli {
namespace {

constexpr std::string_view kPasteOn = "\x1b[?2004h", kPasteOff = "\x1b[?2004l";
constexpr std::string_view kPasteStart = "\x1b[200~", kPasteEnd = "\x1b[201~";

constexpr char kCtrlC = 0x03, kCtrlE = 0x05, kCtrlZ = 0x1A, kEscape = 0x1B;
// Bound to a command that redraws the line.
constexpr char kRedraw = 0x1D;

volatile sig_atomic_t g_resized = 0;
volatile sig_atomic_t g_continued = 0;

void OnResize(int) {
  g_resized = 1;
  Wake();
}

void OnContinue(int) {
  g_continued = 1;
  Wake();
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

// Converts a paste to text of a line: line ends become \n, trailing ones are removed, and control
// characters are removed, because they would be commands.
std::string CleanPaste(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (c == '\r') {
      if (i + 1 == bytes.size() || bytes[i + 1] != '\n') text += '\n';
    } else if (c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= ' ') {
      if (c != 0x7F) text += c;
    }
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return ValidUtf8(text);
}

// Screen rows above the cursor, if the cursor is after this text.
size_t RowsAbove(std::string_view text, size_t columns) {
  size_t rows = 0;
  for (;;) {
    const size_t end = text.find('\n');
    const size_t width = Columns(text.substr(0, end));
    if (end == text.npos) return rows + width / columns;
    rows += 1 + (width == 0 ? 0 : (width - 1) / columns);
    text.remove_prefix(end + 1);
  }
}

// libedit draws and edits the line. It reads keys through GetKey, which handles what libedit does
// not support (pastes) or does in signal handlers (Ctrl-C, Ctrl-Z, terminal resize).
class LineEditor : public LineReader {
 public:
  explicit LineEditor(InputHistory history)
      : edit_(el_init("linnet", stdin, stderr, stderr)),
        history_(history_init()),
        file_(std::move(history)) {
    HistEvent event;
    ::history(history_, &event, H_SETSIZE, 1000);
    ::history(history_, &event, H_SETUNIQUE, 1);
    for (const std::string& entry : file_.entries()) {
      ::history(history_, &event, H_ENTER, entry.c_str());
    }
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &Prompt);
    el_set(edit_, EL_HIST, ::history, history_);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_GETCFN, &GetKey);
    el_set(edit_, EL_SETTY, "-d", "-isig", nullptr);  // read Ctrl-C and Ctrl-Z as keys
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(edit_, EL_BIND, "^]", "ed-redisplay", nullptr);
    Handle(SIGWINCH, OnResize);
    Handle(SIGCONT, OnContinue);
    const char* const terminal = std::getenv("TERM");
    pastes_ = terminal != nullptr && *terminal != 0 && std::string_view(terminal) != "dumb";
  }
  ~LineEditor() override {
    Handle(SIGWINCH, SIG_DFL);
    Handle(SIGCONT, SIG_DFL);
    history_end(history_);
    el_end(edit_);
  }
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  LineEnd Read(const std::string& prompt, Line& line) override {
    prompt_ = prompt;
    line_ = {};
    cleared_ = false;
    // Ignore a Ctrl-C that arrived after the work it was meant to stop.
    InterruptScope::Clear();
    g_resized = 0;
    g_continued = 0;
    el_resize(edit_);
    // Before the prompt is shown, or the terminal's own editing gets the keys typed right after it.
    el_set(edit_, EL_PREP_TERM, 1);
    if (pastes_) Say(kPasteOn);
    int count = 0;
    const char* const text = el_gets(edit_, &count);
    if (pastes_) Say(kPasteOff);
    if (InterruptScope::Ended()) throw Interruption();
    if (!cleared_) {
      if (text == nullptr || count <= 0) return LineEnd::kInput;
      line_.text.assign(text, static_cast<size_t>(count));
      if (line_.text.back() == '\n') line_.text.pop_back();
    }
    line = std::move(line_);
    return cleared_ ? LineEnd::kCleared : LineEnd::kLine;
  }

  void Remember(const std::string& text) override {
    HistEvent event;
    ::history(history_, &event, H_ENTER, text.c_str());
    file_.Add(text);
  }

  bool interactive() const override { return true; }

 private:
  static constexpr int kNoMore = -1;

  static char* Prompt(EditLine* edit) { return Of(edit)->prompt_.data(); }

  // 1 for a key, 0 at the end of the input.
  static int GetKey(EditLine* edit, wchar_t* key) { return Of(edit)->Key(*key); }

  static LineEditor* Of(EditLine* edit) {
    LineEditor* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return self;
  }

  int Key(wchar_t& key) {
    if (std::exchange(clearing_, false)) {
      Say("^C");
      key = L'\n';
      return 1;
    }
    for (;;) {
      const int byte = NextByte();
      if (byte == kNoMore) return 0;
      if (byte == kCtrlZ) {
        Suspend();
      } else if (byte == kCtrlC) {
        line_.text = Typed(false);
        cleared_ = clearing_ = true;
        key = kCtrlE;  // to the end of the line, where ^C is shown
        return 1;
      } else if (byte == kEscape && !std::exchange(escape_is_key_, false)) {
        if (!BeginsPaste()) continue;
        const std::string text = ReadPaste();
        if (Typed(false).empty() && text.find('\n') != text.npos) line_.pasted = true;
        el_insertstr(edit_, text.c_str());
        key = kRedraw;
        return 1;
      } else {
        key = Character(static_cast<char>(byte));
        return 1;
      }
    }
  }

  // Called after the escape byte was read. Reads a whole paste if one follows; otherwise the bytes
  // are put back as keys. libedit would also wait for the bytes after an escape.
  bool BeginsPaste() {
    std::string bytes(1, kEscape);
    while (bytes.size() < kPasteStart.size()) {
      const int byte = NextByte();
      if (byte != kNoMore) bytes += static_cast<char>(byte);
      if (byte == kNoMore || !kPasteStart.starts_with(bytes)) {
        unread_.insert(unread_.begin(), bytes.begin(), bytes.end());
        escape_is_key_ = true;
        return false;
      }
    }
    return true;
  }

  std::string ReadPaste() {
    std::string bytes;
    while (!bytes.ends_with(kPasteEnd)) {
      const int byte = NextByte();
      if (byte == kNoMore) return {};
      bytes += static_cast<char>(byte);
    }
    bytes.resize(bytes.size() - kPasteEnd.size());
    return CleanPaste(bytes);
  }

  wchar_t Character(char first) {
    std::string bytes(1, first);
    Utf8Step step = NextUtf8(bytes);
    while (step.cut) {
      const int byte = NextByte();
      if (byte == kNoMore) break;
      bytes += static_cast<char>(byte);
      step = NextUtf8(bytes);
      if (step.bytes < bytes.size()) {  // the last byte belongs to the next character
        unread_.push_front(bytes.back());
        break;
      }
    }
    return static_cast<wchar_t>(step.c);
  }

  // The next byte from the keyboard, or kNoMore. Handles signals while it waits.
  int NextByte() {
    for (;;) {
      if (!unread_.empty()) {
        const char c = unread_.front();
        unread_.pop_front();
        return static_cast<unsigned char>(c);
      }
      if (InterruptScope::Ended()) return kNoMore;
      // Before each wait: InterruptScope::Clear also clears the wakes of these signals.
      if (g_continued != 0) Continue();
      if (g_resized != 0) Resize();
      pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {WakeDescriptor(), POLLIN, 0}};
      if (poll(ready, 2, -1) < 0) {
        if (errno != EINTR) return kNoMore;
        continue;
      }
      if (ready[1].revents != 0) {
        ClearWakes();
        if (InterruptScope::Interrupted() && !InterruptScope::Ended()) {
          InterruptScope::Clear();
          return kCtrlC;
        }
        continue;
      }
      char bytes[4096];
      const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n <= 0) return kNoMore;
      unread_.insert(unread_.end(), bytes, bytes + n);
    }
  }

  // The line so far, or the part before the cursor.
  std::string Typed(bool to_cursor) const {
    const LineInfo* const info = el_line(edit_);
    return {info->buffer, to_cursor ? info->cursor : info->lastchar};
  }

  void Suspend() {
    el_set(edit_, EL_PREP_TERM, 0);
    if (pastes_) Say(kPasteOff);
    kill(0, SIGTSTP);  // the whole pipeline, as the terminal would
    Continue();
  }

  void Continue() {
    g_continued = 0;
    if (pastes_) Say(kPasteOn);
    el_set(edit_, EL_PREP_TERM, 1);
    Say("\r\x1b[J");
    el_set(edit_, EL_REFRESH);
  }

  // The terminal has already rewrapped the line; libedit does not know.
  void Resize() {
    g_resized = 0;
    winsize size = {};
    ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    const size_t rows = RowsAbove(prompt_ + Typed(true), std::max<size_t>(size.ws_col, 1));
    el_resize(edit_);
    if (rows > 0) Say("\x1b[" + std::to_string(rows) + "A");
    Say("\r\x1b[J");
    el_set(edit_, EL_REFRESH);
  }

  EditLine* edit_;
  History* history_;
  InputHistory file_;
  std::string prompt_;
  bool pastes_ = false;  // the terminal supports bracketed paste
  Line line_;
  bool cleared_ = false;  // by Ctrl-C; clearing_ shows it next
  bool clearing_ = false;
  std::deque<char> unread_;     // bytes read from the keyboard
  bool escape_is_key_ = false;  // the first of them does not start a paste
};

}  // namespace

std::unique_ptr<LineReader> NewLineEditor(InputHistory history) {
  // Only the character encoding; number formats stay those of C.
  const char* const characters = std::setlocale(LC_CTYPE, "");
  if (characters == nullptr || std::string_view(characters) == "C") {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
  return std::make_unique<LineEditor>(std::move(history));
}

}  // namespace linnet::cli
