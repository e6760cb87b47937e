/* The C interface: models, tokens, states, forward passes and sampling, for C and
 * languages that can call C.
 *
 * Functions that can fail return a linnet_status; linnet_last_error() then says why, in one line,
 * until the next failure on the same thread. Nothing aborts or prints. Handles are made by _open,
 * _new, _clone and _load, and freed by the matching _free, which take NULL. Any number of threads
 * may use a model at the same time; a context, state or sampler only one at a time. New fields of
 * option structs are added at the end, so initialize them with the _defaults functions.
 */
#ifndef LINNET_LINNET_H_
#define LINNET_LINNET_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum linnet_status {
  LINNET_OK = 0,
  LINNET_ERROR_IO = 1,        /* a file cannot be read or written */
  LINNET_ERROR_BAD_MODEL = 2, /* a file is not a valid RWKV model */
  LINNET_ERROR_BAD_STATE = 3, /* a state file is damaged or belongs to another model */
  LINNET_ERROR_BAD_INPUT = 4, /* a token, text or option is out of range */
  LINNET_ERROR_NO_MEMORY = 5, /* not enough memory */
  LINNET_ERROR_INTERNAL = 6
} linnet_status;

/* The last error on this thread, "" if none. Valid until the next one. */
const char* linnet_last_error(void);

/* "0.1.0" */
const char* linnet_version(void);

/* ---- Models ---- */

typedef struct linnet_model linnet_model;

/* Whether this build contains the small built-in model. */
int linnet_has_builtin_model(void);

/* Opens any checkpoint Linnet reads, or the built-in model if path is NULL.
 * `vocab` is a vocabulary file, or NULL for the model's own; a model whose
 * vocabulary is not found still opens, but functions on text then fail. */
linnet_status linnet_model_open(const char* path, const char* vocab, linnet_model** model);

/* How states of a model with attention keep the keys and values of past tokens: in 16 or 32 bits,
 * or computed again in every pass. */
typedef enum linnet_rows {
  LINNET_ROWS_F16 = 0,
  LINNET_ROWS_F32 = 1,
  LINNET_ROWS_COMPACT = 2
} linnet_rows;

typedef struct linnet_open_options {
  linnet_rows rows;
  /* The most bytes that the rows of one state may take; beyond them linnet_forward and
   * linnet_state_load return LINNET_ERROR_NO_MEMORY, and nothing has changed. 0: half of the memory
   * that is available when the model is opened. */
  uint64_t row_limit;
} linnet_open_options;

linnet_open_options linnet_open_defaults(void);

/* The same with options; NULL for the defaults. */
linnet_status linnet_model_open_with(const char* path, const char* vocab,
                                     const linnet_open_options* options, linnet_model** model);
void linnet_model_free(linnet_model* model);

size_t linnet_model_vocab(const linnet_model* model); /* the number of logits */
size_t linnet_model_layers(const linnet_model* model);
size_t linnet_model_width(const linnet_model* model);
const char* linnet_model_generation(const linnet_model* model); /* "4", "5.0" ... "7", "7b" */
/* The bytes that a state takes more for each token: 0 unless the model has attention. */
size_t linnet_model_token_bytes(const linnet_model* model);

/* ---- Text ---- */

/* Writes the ids of the text and sets *count to their number. If they exceed
 * `capacity`, nothing is written: call again with a larger buffer. `ids` may be
 * NULL when capacity is 0. */
linnet_status linnet_tokenize(const linnet_model* model, const char* text, size_t bytes,
                              int32_t* ids, size_t capacity, size_t* count);

/* The bytes of one token. They may be part of a character, have no terminating 0
 * and are valid as long as the model. */
linnet_status linnet_token_bytes(const linnet_model* model, int32_t id, const char** bytes,
                                 size_t* count);

/* ---- States ---- */

typedef struct linnet_state linnet_state;

linnet_status linnet_state_new(const linnet_model* model, linnet_state** state);
linnet_status linnet_state_clone(const linnet_state* state, linnet_state** copy);
/* The tokens whose rows a state keeps for attention, else 0. */
size_t linnet_state_tokens(const linnet_state* state);
/* All bytes of a state's values and rows. Clones share rows, which count in each of them. */
size_t linnet_state_bytes(const linnet_state* state);
linnet_status linnet_state_save(const linnet_state* state, const char* path);
/* Loads a saved state or a tuned initial state (time_state). */
linnet_status linnet_state_load(const linnet_model* model, const char* path, linnet_state** state);
void linnet_state_free(linnet_state* state);

/* ---- Forward passes ---- */

/* Threads and scratch memory. */
typedef struct linnet_context linnet_context;

/* threads 0: the cores this process may use. exact: f32 activations everywhere. */
linnet_status linnet_context_new(size_t threads, int exact, linnet_context** context);
void linnet_context_free(linnet_context* context);

typedef struct linnet_turn {
  const int32_t* tokens;
  size_t count;        /* at least 1 */
  linnet_state* state; /* advanced past the tokens; no two turns share one */
  float* logits;       /* written to, or NULL */
  size_t logits_count; /* the vocabulary (last token only), or count times that */
} linnet_turn;

/* Runs all turns together. A turn's logits do not depend on the other turns. On
 * LINNET_ERROR_BAD_INPUT nothing has changed. After LINNET_ERROR_NO_MEMORY the
 * states and logits of these turns are invalid, since a long prompt runs in
 * several passes: free the states, or restore copies. */
linnet_status linnet_forward(const linnet_model* model, linnet_context* context,
                             const linnet_turn* turns, size_t count);

/* What else the results depend on: if two identities are equal, the same tokens give the same bits
 * in logits and states, and the same texts the same tokens. 64 hex digits and a 0 are written to
 * `identity`, of `capacity` bytes, 65 or more. The first call reads the model's files as a whole,
 * unless their digests are in the folder `cache`: NULL is $XDG_CACHE_HOME/linnet or
 * ~/.cache/linnet, "" keeps nothing. */
linnet_status linnet_model_identity(const linnet_model* model, const linnet_context* context,
                                    const char* cache, char* identity, size_t capacity);

/* ---- Sampling ---- */

typedef struct linnet_sampler linnet_sampler;

typedef struct linnet_sampler_options {
  float temperature; /* 0: the most likely token */
  float top_p;       /* 0 or 1: off */
  int32_t top_k;     /* 0: off */
  float min_p;       /* 0: off */
  float typical;     /* 1: off */
  float presence_penalty, frequency_penalty, penalty_decay;
  uint64_t seed;
} linnet_sampler_options;

/* Defaults that suit RWKV chat models. */
linnet_sampler_options linnet_sampler_defaults(void);

/* `options` may be NULL for the defaults. */
linnet_status linnet_sampler_new(const linnet_sampler_options* options, linnet_sampler** sampler);
linnet_status linnet_sampler_sample(linnet_sampler* sampler, const float* logits, size_t count,
                                    int32_t* token);
void linnet_sampler_free(linnet_sampler* sampler);

#ifdef __cplusplus
}
#endif

#endif /* LINNET_LINNET_H_ */
