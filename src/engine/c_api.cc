// The C interface, implemented with the C++ one: handles, and exceptions converted to status codes.
#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "engine/own_vocabulary.h"
#include "linnet/error.h"
#include "linnet/linnet.h"
#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/tokenizer.h"

struct linnet_model {
  linnet::Model model;
  std::shared_ptr<const linnet::Tokenizer> tokenizer;  // null: `no_tokenizer` says why
  std::string no_tokenizer;
};
struct linnet_state {
  linnet::State state;
};
struct linnet_context {
  linnet::Workspace workspace;
};
struct linnet_sampler {
  linnet::Sampler sampler;
};

namespace {

thread_local std::string last_error;

linnet_status StatusOf(linnet::ErrorKind kind) {
  switch (kind) {
    case linnet::ErrorKind::kIo:
      return LINNET_ERROR_IO;
    case linnet::ErrorKind::kBadModel:
      return LINNET_ERROR_BAD_MODEL;
    case linnet::ErrorKind::kBadState:
      return LINNET_ERROR_BAD_STATE;
    case linnet::ErrorKind::kBadInput:
      return LINNET_ERROR_BAD_INPUT;
    case linnet::ErrorKind::kNoMemory:
      return LINNET_ERROR_NO_MEMORY;
    case linnet::ErrorKind::kBusy:  // only of a Scheduler
      break;
  }
  return LINNET_ERROR_INTERNAL;
}

void Remember(const char* message) noexcept {
  try {
    last_error = message;
  } catch (const std::bad_alloc&) {
    last_error = "out of memory";  // short enough to need no allocation
  }
}

template <class F>
linnet_status Guard(const F& body) noexcept {
  try {
    body();
    return LINNET_OK;
  } catch (const linnet::Error& error) {
    Remember(error.what());
    return StatusOf(error.kind());
  } catch (const std::bad_alloc&) {
    Remember("out of memory");
    return LINNET_ERROR_NO_MEMORY;
  } catch (const std::exception& error) {
    Remember(error.what());
    return LINNET_ERROR_INTERNAL;
  }
}

void Need(const void* pointer, const char* name) {
  if (pointer != nullptr) return;
  throw linnet::Error(linnet::ErrorKind::kBadInput,
                      std::string(name) + " is NULL, expected a pointer");
}

const linnet::Tokenizer& TokenizerOf(const linnet_model* model) {
  Need(model, "model");
  if (model->tokenizer == nullptr) {
    throw linnet::Error(linnet::ErrorKind::kBadInput, model->no_tokenizer);
  }
  return *model->tokenizer;
}

linnet::OpenOptions OptionsOf(const linnet_open_options& options) {
  linnet::OpenOptions to;
  switch (options.rows) {
    case LINNET_ROWS_F16:
      to.rows = linnet::RowStorage::kF16;
      break;
    case LINNET_ROWS_F32:
      to.rows = linnet::RowStorage::kF32;
      break;
    case LINNET_ROWS_COMPACT:
      to.rows = linnet::RowStorage::kCompact;
      break;
    default:
      throw linnet::Error(linnet::ErrorKind::kBadInput,
                          "rows is " + std::to_string(static_cast<int>(options.rows)) +
                              ", expected a value of linnet_rows");
  }
  to.row_limit = options.row_limit;
  return to;
}

}  // namespace

extern "C" {

const char* linnet_last_error(void) { return last_error.c_str(); }

const char* linnet_version(void) { return LINNET_VERSION; }

int linnet_has_builtin_model(void) { return linnet::Model::HasBuiltIn() ? 1 : 0; }

linnet_open_options linnet_open_defaults(void) { return {LINNET_ROWS_F16, 0}; }

linnet_status linnet_model_open(const char* path, const char* vocab, linnet_model** model) {
  return linnet_model_open_with(path, vocab, nullptr, model);
}

linnet_status linnet_model_open_with(const char* path, const char* vocab,
                                     const linnet_open_options* options, linnet_model** model) {
  return Guard([&] {
    Need(model, "model");
    const linnet::OpenOptions o = OptionsOf(options != nullptr ? *options : linnet_open_defaults());
    auto opened = std::make_unique<linnet_model>(linnet_model{
        path != nullptr ? linnet::Model::Open(path, o) : linnet::Model::BuiltIn(o), {}, {}});
    if (vocab != nullptr) {
      opened->tokenizer = linnet::LoadTokenizer(vocab, opened->model.config().vocab);
    } else {
      try {
        opened->tokenizer = linnet::TokenizerOf(opened->model);
      } catch (const linnet::Error& error) {
        opened->no_tokenizer = error.what();
      }
    }
    *model = opened.release();
  });
}

void linnet_model_free(linnet_model* model) { delete model; }

size_t linnet_model_vocab(const linnet_model* model) { return model->model.config().vocab; }
size_t linnet_model_layers(const linnet_model* model) { return model->model.config().layers; }
size_t linnet_model_width(const linnet_model* model) { return model->model.config().width; }
const char* linnet_model_generation(const linnet_model* model) {
  return linnet::Name(model->model.config().generation);
}

size_t linnet_model_token_bytes(const linnet_model* model) {
  return model->model.state_shape().token_bytes();
}

linnet_status linnet_tokenize(const linnet_model* model, const char* text, size_t bytes,
                              int32_t* ids, size_t capacity, size_t* count) {
  return Guard([&] {
    Need(count, "count");
    if (bytes != 0) Need(text, "text");
    const auto encoded = TokenizerOf(model).Encode({text, bytes});
    *count = encoded.size();
    if (encoded.size() > capacity || encoded.empty()) return;
    Need(ids, "ids");
    std::copy(encoded.begin(), encoded.end(), ids);
  });
}

linnet_status linnet_token_bytes(const linnet_model* model, int32_t id, const char** bytes,
                                 size_t* count) {
  return Guard([&] {
    Need(bytes, "bytes");
    Need(count, "count");
    const std::string_view token = TokenizerOf(model).Bytes(id);
    *bytes = token.data();
    *count = token.size();
  });
}

linnet_status linnet_state_new(const linnet_model* model, linnet_state** state) {
  return Guard([&] {
    Need(model, "model");
    Need(state, "state");
    *state = new linnet_state{model->model.NewState()};
  });
}

linnet_status linnet_state_clone(const linnet_state* state, linnet_state** copy) {
  return Guard([&] {
    Need(state, "state");
    Need(copy, "copy");
    *copy = new linnet_state{state->state.Clone()};
  });
}

size_t linnet_state_tokens(const linnet_state* state) { return state->state.tokens(); }
size_t linnet_state_bytes(const linnet_state* state) { return state->state.bytes(); }

linnet_status linnet_state_save(const linnet_state* state, const char* path) {
  return Guard([&] {
    Need(state, "state");
    Need(path, "path");
    state->state.Save(path);
  });
}

linnet_status linnet_state_load(const linnet_model* model, const char* path, linnet_state** state) {
  return Guard([&] {
    Need(model, "model");
    Need(path, "path");
    Need(state, "state");
    *state = new linnet_state{linnet::State::Load(path, model->model.state_shape())};
  });
}

void linnet_state_free(linnet_state* state) { delete state; }

linnet_status linnet_context_new(size_t threads, int exact, linnet_context** context) {
  return Guard([&] {
    Need(context, "context");
    linnet::WorkspaceOptions options;
    options.threads = threads;
    options.exact = exact != 0;
    *context = new linnet_context{linnet::Workspace(options)};
  });
}

void linnet_context_free(linnet_context* context) { delete context; }

linnet_status linnet_forward(const linnet_model* model, linnet_context* context,
                             const linnet_turn* turns, size_t count) {
  return Guard([&] {
    Need(model, "model");
    Need(context, "context");
    if (count != 0) Need(turns, "turns");
    std::vector<linnet::Turn> all;
    for (size_t i = 0; i < count; ++i) {
      const linnet_turn& t = turns[i];
      Need(t.tokens, "a turn's tokens");
      Need(t.state, "a turn's state");
      all.push_back({{t.tokens, t.count},
                     &t.state->state,
                     {t.logits, t.logits != nullptr ? t.logits_count : 0}});
    }
    model->model.Forward(all, context->workspace);
  });
}

linnet_status linnet_model_identity(const linnet_model* model, const linnet_context* context,
                                    const char* cache, char* identity, size_t capacity) {
  return Guard([&] {
    Need(model, "model");
    Need(context, "context");
    Need(identity, "identity");
    linnet::IdentityOptions options;
    if (cache != nullptr) options.cache = cache;
    if (model->tokenizer != nullptr) options.tokenizer = model->tokenizer->Digest();
    const std::string text = model->model.Identity(context->workspace, options);
    if (capacity <= text.size()) {
      throw linnet::Error(linnet::ErrorKind::kBadInput,
                          "identity holds " + std::to_string(capacity) + " bytes, expected " +
                              std::to_string(text.size() + 1));
    }
    *std::copy(text.begin(), text.end(), identity) = '\0';
  });
}

linnet_sampler_options linnet_sampler_defaults(void) {
  const linnet::SamplerOptions d;
  return {d.temperature,       d.top_p,         d.top_k, d.min_p, d.typical, d.presence_penalty,
          d.frequency_penalty, d.penalty_decay, d.seed};
}

linnet_status linnet_sampler_new(const linnet_sampler_options* options, linnet_sampler** sampler) {
  return Guard([&] {
    Need(sampler, "sampler");
    const linnet_sampler_options o = options != nullptr ? *options : linnet_sampler_defaults();
    linnet::SamplerOptions to;
    to.temperature = o.temperature;
    to.top_p = o.top_p;
    to.top_k = o.top_k;
    to.min_p = o.min_p;
    to.typical = o.typical;
    to.presence_penalty = o.presence_penalty;
    to.frequency_penalty = o.frequency_penalty;
    to.penalty_decay = o.penalty_decay;
    to.seed = o.seed;
    *sampler = new linnet_sampler{linnet::Sampler(to)};
  });
}

linnet_status linnet_sampler_sample(linnet_sampler* sampler, const float* logits, size_t count,
                                    int32_t* token) {
  return Guard([&] {
    Need(sampler, "sampler");
    Need(logits, "logits");
    Need(token, "token");
    if (count == 0) {
      throw linnet::Error(linnet::ErrorKind::kBadInput, "no logits, expected at least one");
    }
    *token = sampler->sampler.Sample({logits, count});
  });
}

void linnet_sampler_free(linnet_sampler* sampler) { delete sampler; }

}  // extern "C"
