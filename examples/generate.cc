// Continues a text: generate_cc MODEL TEXT
#include <cstdio>
#include <vector>

#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/tokenizer.h"

int main(int argc, char** argv) try {
  if (argc != 3) return std::fputs("usage: generate_cc MODEL TEXT\n", stderr), 2;
  const linnet::Model model = linnet::Model::Open(argv[1]);
  const size_t vocab = model.config().vocab;
  const auto tokenizer = linnet::TokenizerOf(model);
  linnet::Workspace workspace;
  linnet::State state = model.NewState();
  linnet::Sampler sampler({});
  linnet::Utf8Stream text;
  std::vector<float> logits(vocab);
  std::vector<int32_t> tokens = tokenizer->Encode(argv[2]);
  for (int i = 0; i < 64; ++i) {
    model.Forward(linnet::Turn{tokens, &state, logits}, workspace);
    tokens = {sampler.Sample(logits)};
    if (tokens[0] == 0) break;  // the end of a text
    std::fputs(text.Push(tokenizer->Bytes(tokens[0])).c_str(), stdout);
  }
  std::puts(text.Finish().c_str());
} catch (const linnet::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
