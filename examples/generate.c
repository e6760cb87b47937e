/* Continues a text: generate_c MODEL TEXT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linnet/linnet.h"

#define TRY(call) \
  if ((call) != LINNET_OK) return fprintf(stderr, "%s\n", linnet_last_error()), 1

int main(int argc, char** argv) {
  if (argc != 3) return fputs("usage: generate_c MODEL TEXT\n", stderr), 2;
  linnet_model* model;
  linnet_state* state;
  linnet_context* context;
  linnet_sampler* sampler;
  TRY(linnet_model_open(argv[1], NULL, &model));
  TRY(linnet_state_new(model, &state));
  TRY(linnet_context_new(0, 0, &context));
  TRY(linnet_sampler_new(NULL, &sampler));
  size_t vocab = linnet_model_vocab(model), count, bytes;
  float* logits = malloc(vocab * sizeof(float));
  TRY(linnet_tokenize(model, argv[2], strlen(argv[2]), NULL, 0, &count));
  int32_t *tokens = malloc((count + 1) * sizeof(int32_t)), next;
  TRY(linnet_tokenize(model, argv[2], strlen(argv[2]), tokens, count, &count));
  linnet_turn turn = {tokens, count, state, logits, vocab};
  for (int i = 0; i < 64; ++i) {
    TRY(linnet_forward(model, context, &turn, 1));
    TRY(linnet_sampler_sample(sampler, logits, vocab, &next));
    if (next == 0) break; /* the end of a text */
    const char* text;
    TRY(linnet_token_bytes(model, next, &text, &bytes));
    fwrite(text, 1, bytes, stdout);
    turn.tokens = &next;
    turn.count = 1;
  }
  puts("");
  free(tokens), free(logits), linnet_sampler_free(sampler), linnet_context_free(context);
  linnet_state_free(state), linnet_model_free(model);
  return 0;
}
