#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

#include "base/mapped_file.h"
#include "eval/row_files.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void FailForm(const fs::path& file, const std::string& what) {
  throw Error(ErrorKind::kBadInput, fmt::format("{}: {}", file.string(), what));
}

const TaskJson& Field(const TaskJson& row, const char* name, const fs::path& file) {
  const auto it = row.is_object() ? row.find(name) : row.end();
  if (!row.is_object() || it == row.end()) FailForm(file, fmt::format("a row has no '{}'", name));
  return *it;
}

// {"text": ["a", "b"], "label": ["A", "B"]} as [{"text": "a", "label": "A"}, ...]: Arrow keeps
// lists of records by columns.
TaskJson AsRecords(const TaskJson& value) {
  if (!value.is_object()) return value;
  TaskJson out = TaskJson::array();
  for (const auto& [name, column] : value.items()) {
    for (size_t i = 0; column.is_array() && i < column.size(); ++i) {
      if (out.size() <= i) out.push_back(TaskJson::object());
      out[i][name] = column[i];
    }
  }
  return out;
}

TaskJson AsColumns(const TaskJson& value) {
  if (!value.is_array()) return value;
  TaskJson out = TaskJson::object();
  for (const TaskJson& record : value) {
    for (const auto& [name, part] : record.items()) out[name].push_back(part);
  }
  return out;
}

int64_t ToNumber(const TaskJson& value, const fs::path& file) {
  if (value.is_number_integer()) return value.get<int64_t>();
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  if (text.empty() || text.size() > 9 ||
      text.find_first_not_of("0123456789") != std::string::npos) {
    FailForm(file, fmt::format("found {}, expected a number", PythonRepr(value).substr(0, 80)));
  }
  return std::stoll(text);
}

// {"question": {"stem", "choices": [{"text", "label"}]}, "answerKey"}: ARC and OpenBookQA.
void FromAi2(TaskJson& row, const fs::path& file) {
  if (row.contains("question") && row["question"].is_object()) {
    const TaskJson question = row["question"];
    row["question"] = row["question_stem"] = Field(question, "stem", file);
    row["choices"] = Field(question, "choices", file);
  }
  row["choices"] = AsColumns(Field(row, "choices", file));
}

// {"exams": {NAME: {"data": [question, ...]}}}
TaskRows FromHeadQa(TaskRows rows, const fs::path& file) {
  TaskRows out;
  for (TaskJson& row : rows) {
    if (!row.contains("exams")) {
      out.push_back(std::move(row));
      continue;
    }
    for (const auto& [name, exam] : row["exams"].items()) {
      for (const TaskJson& question : Field(exam, "data", file)) out.push_back(question);
    }
  }
  for (TaskJson& row : out) {
    row["ra"] = ToNumber(Field(row, "ra", file), file);
    row["answers"] = AsRecords(Field(row, "answers", file));
  }
  return out;
}

// The labels are in dev-labels.lst beside dev.jsonl.
TaskRows FromPiqa(TaskRows rows, const fs::path& file) {
  if (rows[0].contains("label")) return rows;
  const fs::path labels = file.parent_path() / (file.stem().string() + "-labels.lst");
  const MappedFile mapped(labels);
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()),
                              mapped.bytes().size());
  const std::vector<std::string> lines = SplitAtBlanks(text);
  if (lines.size() != rows.size()) {
    FailForm(labels, fmt::format("has {} labels, expected {}, one for each row of {}", lines.size(),
                                 rows.size(), file.filename().string()));
  }
  for (size_t i = 0; i < rows.size(); ++i) rows[i]["label"] = ToNumber(lines[i], labels);
  return rows;
}

// The columns of the tables that the authors of Story Cloze send.
void FromStoryCloze(TaskJson& row, const fs::path& file) {
  static const std::map<std::string, std::string> kNames = {
      {"InputSentence1", "input_sentence_1"},
      {"InputSentence2", "input_sentence_2"},
      {"InputSentence3", "input_sentence_3"},
      {"InputSentence4", "input_sentence_4"},
      {"RandomFifthSentenceQuiz1", "sentence_quiz1"},
      {"RandomFifthSentenceQuiz2", "sentence_quiz2"},
      {"AnswerRightEnding", "answer_right_ending"},
      {"InputStoryid", "story_id"}};
  for (const auto& [from, to] : kNames) {
    if (row.contains(from)) row[to] = row[from];
  }
  row["answer_right_ending"] = ToNumber(Field(row, "answer_right_ending", file), file);
}

// {"passage": {"text", "entities": [{"start", "end"}]}, "qas": [{"query", "answers": [{"text"}]}]}:
// one row for each query. Places count characters, and `end` is the last.
TaskRows FromRecord(TaskRows rows, const fs::path& file) {
  TaskRows out;
  for (TaskJson& row : rows) {
    if (!Field(row, "passage", file).is_object()) {
      out.push_back(std::move(row));
      continue;
    }
    const TaskJson& passage = row["passage"];
    const TaskJson& text = Field(passage, "text", file);
    if (!text.is_string()) FailForm(file, "a passage has no text");
    const std::u32string characters = ToCharacters(text.get<std::string>());
    TaskJson entities = TaskJson::array();
    for (const TaskJson& entity : Field(passage, "entities", file)) {
      const auto begin = static_cast<size_t>(ToNumber(Field(entity, "start", file), file));
      const auto last = static_cast<size_t>(ToNumber(Field(entity, "end", file), file));
      if (begin > last || last >= characters.size())
        FailForm(file, "an entity is outside its passage");
      entities.push_back(
          FromCharacters(std::u32string_view(characters).substr(begin, last + 1 - begin)));
    }
    for (const TaskJson& question : Field(row, "qas", file)) {
      TaskJson answers = TaskJson::array();
      for (const TaskJson& answer : Field(question, "answers", file))
        answers.push_back(Field(answer, "text", file));
      out.push_back({{"passage", text},
                     {"query", Field(question, "query", file)},
                     {"entities", entities},
                     {"answers", answers}});
    }
  }
  return out;
}

// {"Data": [{"Question", "Answer": {"Aliases": [...]}}]}
TaskRows FromTriviaQa(TaskRows rows, const fs::path& file) {
  TaskRows out;
  for (TaskJson& row : rows) {
    if (!row.contains("Data")) {
      out.push_back(std::move(row));
      continue;
    }
    for (const TaskJson& one : row["Data"]) {
      const TaskJson& answer = Field(one, "Answer", file);
      out.push_back({{"question", Field(one, "Question", file)},
                     {"question_id", one.value("QuestionId", TaskJson())},
                     {"answer",
                      {{"aliases", Field(answer, "Aliases", file)},
                       {"value", answer.value("Value", TaskJson())}}}});
    }
  }
  return out;
}

// question, A, B, C, D, answer as a letter.
void FromMmlu(TaskJson& row, const fs::path& file) {
  if (!row.contains("choices")) {
    TaskJson choices = TaskJson::array();
    for (const char* letter : {"A", "B", "C", "D"})
      choices.push_back(PythonString(Field(row, letter, file)));
    row["choices"] = choices;
  }
  TaskJson& answer = row["answer"];
  if (answer.is_string() && answer.get_ref<const std::string&>().size() == 1) {
    const char letter = answer.get_ref<const std::string&>()[0];
    if (letter < 'A' || letter > 'D')
      FailForm(file, fmt::format("found the answer {}, expected A to D", letter));
    answer = letter - 'A';
  }
  if (!answer.is_number_integer()) FailForm(file, "a row has no answer");
  // A column of numbers is one to csv readers; the prompt needs a text.
  row["question"] = PythonString(Field(row, "question", file));
}

}  // namespace

TaskRows InPublicForm(const std::string& form, TaskRows rows, const fs::path& file) {
  if (form.empty() || rows.empty()) return rows;
  if (form == "headqa") return FromHeadQa(std::move(rows), file);
  if (form == "piqa") return FromPiqa(std::move(rows), file);
  if (form == "record") return FromRecord(std::move(rows), file);
  if (form == "triviaqa") return FromTriviaQa(std::move(rows), file);
  for (TaskJson& row : rows) {
    if (form == "ai2")
      FromAi2(row, file);
    else if (form == "storycloze")
      FromStoryCloze(row, file);
    else if (form == "mmlu")
      FromMmlu(row, file);
    else
      FailForm(file, fmt::format("there is no form '{}' of rows", form));
  }
  return rows;
}

}  // namespace linnet
