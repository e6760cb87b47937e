#include "server/system_one.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/job_batch.h"
#include "server/openai_errors.h"
#include "server/scoring.h"
#include "server/token_fields.h"
#include "text/chat_template.h"

namespace linnet {
namespace {

constexpr size_t kMostQuestions = 1024, kMostOptions = 255, kMostLevels = 10;
// What prompts have in common is read first by itself if it is as long.
constexpr size_t kWorthSharing = 32;
constexpr size_t kMostPromptBytes = size_t{16} << 20;  // of all questions

[[noreturn]] void RefuseCriteria(const Fields& question, const std::string& wanted) {
  const std::string name = question.NameOf("criteria");
  throw RequestError(400, fmt::format("{} must be {}", name, wanted), name, "invalid_value");
}

std::string MeaningOf(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "" : Dump(value);
}

void ParseOptions(const Fields& fields, SystemOneQuestion& question) {
  const std::string wanted = fmt::format("an object of 1 to {} options", kMostOptions);
  const Json* criteria = fields.Find("criteria");
  if (criteria == nullptr || !criteria->is_object() || criteria->empty() ||
      criteria->size() > kMostOptions) {
    RefuseCriteria(fields, wanted);
  }
  for (const auto& [name, meaning] : criteria->items()) {
    if (name.empty()) RefuseCriteria(fields, wanted);
    question.answers.push_back(name);
    question.meanings.push_back(MeaningOf(meaning));
  }
}

void ParseLevels(const Fields& fields, SystemOneQuestion& question) {
  const Json* criteria = fields.Find("criteria");
  if (criteria == nullptr || !criteria->is_array() || criteria->empty() ||
      criteria->size() > kMostLevels) {
    RefuseCriteria(fields, fmt::format("a list of 1 to {} levels", kMostLevels));
  }
  for (const Json& meaning : *criteria) {
    question.answers.push_back(std::to_string(question.answers.size()));
    question.meanings.push_back(MeaningOf(meaning));
  }
}

void ParseYesAndNo(const Fields& fields, SystemOneQuestion& question) {
  question.answers = {"yes", "no"};
  question.meanings.resize(2);
  const auto criteria = fields.Object("criteria");
  if (!criteria) return;
  question.meanings[0] = criteria->String("true").value_or("");
  question.meanings[1] = criteria->String("false").value_or("");
}

SystemOneQuestion ParseQuestion(const std::string& id, const Fields& fields) {
  using Kind = SystemOneQuestion::Kind;
  SystemOneQuestion question{.id = id};
  fields.RequiredString("type");
  const auto type = fields.Word("type", {"choice", "score", "noul"});
  question.instructions = fields.String("instructions").value_or("");
  if (*type == "choice") {
    question.kind = Kind::kChoice;
    ParseOptions(fields, question);
  } else if (*type == "score") {
    question.kind = Kind::kScore;
    ParseLevels(fields, question);
  } else {
    ParseYesAndNo(fields, question);
  }
  return question;
}

std::string ParseState(const Fields& body) {
  const Json* state = body.Find("state");
  if (state == nullptr || !(state->is_string() || state->is_structured())) {
    throw RequestError(400, "state must be a text, an object or a list", "state",
                       state == nullptr ? "missing_required_parameter" : "invalid_type");
  }
  if (state->is_string()) return state->get<std::string>();
  return state->dump(1, ' ', false, Json::error_handler_t::replace);
}

// Every question has a prompt with the whole state.
void CheckSize(const std::string& state, const std::vector<SystemOneQuestion>& questions) {
  if (state.size() <= kMostPromptBytes / questions.size()) return;
  throw RequestError(
      413,
      fmt::format("state has {} bytes, expected at most {} with {} questions", state.size(),
                  kMostPromptBytes / questions.size(), questions.size()),
      "state", "too_large");
}

struct QuestionPrompt {
  std::vector<int32_t> tokens;
  std::vector<std::vector<int32_t>> answers;
};

QuestionPrompt PromptFor(const SystemOneQuestion& question, const std::string& state,
                         const ServedModel& served) {
  const ChatMessage message{.role = ChatRole::kUser, .text = QuestionText(state, question)};
  const ChatTemplate& chat = *served.chat_template;
  TokenizedText prompt{.text = chat.Render(std::span(&message, 1), {}, {}).text, .is_text = true};
  prompt.tokens = EncodePrompt(*served.tokenizer, prompt.text);
  QuestionPrompt made;
  made.answers.reserve(question.answers.size());
  for (const std::string& answer : question.answers) {
    made.answers.push_back(
        TokensAfter(*served.tokenizer, prompt, chat.form().reply_space + answer));
  }
  made.tokens = std::move(prompt.tokens);
  return made;
}

// What the prompts begin with, if it is worth a job of its own.
std::vector<int32_t> SharedTokens(const std::vector<QuestionPrompt>& prompts) {
  const auto& first = prompts.front().tokens;
  size_t common = prompts.size() > 1 ? first.size() : 0;
  for (const QuestionPrompt& prompt : prompts) {
    const size_t most = std::min(common, prompt.tokens.size());
    const auto end = first.begin() + static_cast<ptrdiff_t>(most);
    const auto differs = std::mismatch(first.begin(), end, prompt.tokens.begin()).first;
    common = static_cast<size_t>(differs - first.begin());
  }
  if (common < kWorthSharing) return {};
  return {first.begin(), first.begin() + static_cast<ptrdiff_t>(common)};
}

// The first job reads what the prompts share, if there is any; the next ones are the questions.
class QuestionBatch : public JobBatch {
 public:
  QuestionBatch(std::shared_ptr<const ServedModel> served, std::vector<SystemOneQuestion> questions,
                std::vector<QuestionPrompt> prompts, std::vector<int32_t> shared, std::string owner,
                std::shared_ptr<HttpReply> reply)
      : JobBatch(std::move(served), std::move(reply), questions.size() + (shared.empty() ? 0 : 1)),
        questions_(std::move(questions)),
        prompts_(std::move(prompts)),
        shared_(std::move(shared)),
        first_(shared_.empty() ? 0 : 1),
        owner_(std::move(owner)),
        input_tokens_(shared_.size()),
        logprobs_(questions_.size()) {
    for (size_t i = 0; i < prompts_.size(); ++i) {
      input_tokens_ += prompts_[i].tokens.size() - shared_.size();
      for (const auto& answer : prompts_[i].answers) input_tokens_ += answer.size();
      logprobs_[i].resize(prompts_[i].answers.size());
    }
  }

 protected:
  Job JobOf(size_t index) override {
    if (index >= first_) {
      QuestionPrompt& prompt = prompts_[index - first_];
      return ScoringJob(std::move(prompt.tokens), std::move(prompt.answers), owner_);
    }
    Job job;
    job.prompt = shared_;
    job.marks = {shared_.size()};
    job.text.max_tokens = 0;
    job.owner = owner_;
    return job;
  }

  void OnScore(size_t index, size_t continuation, const ContinuationScore& score) override {
    logprobs_[index - first_][continuation] = score.logprob;
  }

  void Answer(const Usage& /*usage*/) override {
    OrderedJson answers = OrderedJson::object();
    for (size_t i = 0; i < questions_.size(); ++i) {
      answers[questions_[i].id] = QuestionAnswer(questions_[i], logprobs_[i]);
    }
    reply().Send(
        200, Dump(OrderedJson{{"model", served().name},
                              {"calibrated", false},
                              {"answers", std::move(answers)},
                              {"usage", {{"input_tokens", input_tokens_}, {"output_tokens", 0}}}}));
  }

 private:
  const std::vector<SystemOneQuestion> questions_;
  std::vector<QuestionPrompt> prompts_;  // moved away when they are queued
  const std::vector<int32_t> shared_;
  const size_t first_;  // job of the first question
  const std::string owner_;
  size_t input_tokens_;
  std::vector<std::vector<double>> logprobs_;  // written by the scheduler's thread only
};

}  // namespace

std::vector<SystemOneQuestion> ParseQuestions(const Fields& body) {
  const auto questions = body.Object("questions");
  if (!questions || questions->json().empty() || questions->json().size() > kMostQuestions) {
    throw RequestError(
        400, fmt::format("questions must be an object of 1 to {} questions", kMostQuestions),
        "questions", questions ? "invalid_value" : "missing_required_parameter");
  }
  std::vector<SystemOneQuestion> parsed;
  parsed.reserve(questions->json().size());
  for (const auto& [id, question] : questions->json().items()) {
    parsed.push_back(ParseQuestion(id, Fields(question, questions->NameOf(id.c_str()))));
  }
  return parsed;
}

std::string QuestionText(const std::string& state, const SystemOneQuestion& question) {
  std::string text = state + "\n" + question.instructions + "\n";
  for (size_t i = 0; i < question.answers.size(); ++i) {
    if (question.kind == SystemOneQuestion::Kind::kNoul && question.meanings[i].empty()) continue;
    text += "- " + question.answers[i];
    if (!question.meanings[i].empty()) text += ": " + question.meanings[i];
    text += '\n';
  }
  switch (question.kind) {
    case SystemOneQuestion::Kind::kChoice:
      return text + "Answer with one of these options.";
    case SystemOneQuestion::Kind::kScore:
      return text + "Answer with the number of one of these levels.";
    default:
      return text + "Answer yes or no.";
  }
}

OrderedJson QuestionAnswer(const SystemOneQuestion& question, std::span<const double> logprobs) {
  const std::vector<double> shares = SoftmaxOf(logprobs);
  if (question.kind == SystemOneQuestion::Kind::kNoul) {
    return {{"type", "noul"}, {"noul", shares[0]}};
  }
  const auto most = std::max_element(shares.begin(), shares.end());
  const double even = 1.0 / static_cast<double>(shares.size());
  const double confidence = shares.size() > 1 ? (*most - even) / (1 - even) : 1;
  OrderedJson probabilities = OrderedJson::object(), legend = OrderedJson::object();
  double level = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    probabilities[question.answers[i]] = shares[i];
    legend[question.answers[i]] = question.meanings[i];
    level += static_cast<double>(i) * shares[i];
  }
  if (question.kind == SystemOneQuestion::Kind::kChoice) {
    return {{"type", "choice"},
            {"choice", question.answers[static_cast<size_t>(most - shares.begin())]},
            {"probabilities", std::move(probabilities)},
            {"confidence", confidence}};
  }
  return {{"type", "score"},
          {"score", level},
          {"legend", std::move(legend)},
          {"probabilities", std::move(probabilities)},
          {"confidence", confidence}};
}

void AddSystemOneRoutes(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("POST", "/v1/systemone", [models = std::move(models)](const RouteCall& call) {
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = models->Find(body.String("model").value_or(""));
    const std::string state = ParseState(body);
    std::vector<SystemOneQuestion> questions = ParseQuestions(body);
    CheckSize(state, questions);
    std::vector<QuestionPrompt> prompts;
    prompts.reserve(questions.size());
    for (const SystemOneQuestion& question : questions) {
      prompts.push_back(PromptFor(question, state, *served));
    }
    std::vector<int32_t> shared = SharedTokens(prompts);
    const bool first_alone = !shared.empty();
    std::make_shared<QuestionBatch>(served, std::move(questions), std::move(prompts),
                                    std::move(shared), call.request.owner, call.reply)
        ->Start(first_alone);
  });
}

}  // namespace linnet
