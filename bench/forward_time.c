/* The seconds of calls of linnet_forward, to compare another language's with:
 *
 *   forward_time MODEL COUNT CALLS [THREADS]
 *
 * runs a text of COUNT tokens CALLS times, each time going on from the last state, and prints each
 * call's seconds on a line. The ids are 0, 1, 2 ... modulo the vocabulary. */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "linnet/linnet.h"

#define TRY(call) \
  if ((call) != LINNET_OK) return fprintf(stderr, "%s\n", linnet_last_error()), 1

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    return fputs("usage: forward_time MODEL COUNT CALLS [THREADS]\n", stderr), 2;
  }
  const size_t count = strtoul(argv[2], NULL, 10), calls = strtoul(argv[3], NULL, 10);
  const size_t threads = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
  linnet_model* model;
  linnet_state* state;
  linnet_context* context;
  TRY(linnet_model_open(argv[1], NULL, &model));
  TRY(linnet_state_new(model, &state));
  TRY(linnet_context_new(threads, 0, &context));
  const size_t vocab = linnet_model_vocab(model);
  float* logits = malloc(vocab * sizeof(float));
  int32_t* tokens = malloc((count + 1) * sizeof(int32_t));
  if (logits == NULL || tokens == NULL) return fputs("no memory\n", stderr), 1;
  for (size_t i = 0; i < count; ++i) tokens[i] = (int32_t)(i % vocab);
  linnet_turn turn = {tokens, count, state, logits, vocab};
  for (size_t i = 0; i < calls; ++i) {
    const double start = Now();
    TRY(linnet_forward(model, context, &turn, 1));
    printf("%.9f\n", Now() - start);
  }
  free(tokens), free(logits), linnet_context_free(context);
  linnet_state_free(state), linnet_model_free(model);
  return 0;
}
