// Goes on with a model on a text: train_cc MODEL TEXT OUT
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "linnet/tokenizer.h"
#include "linnet/trainer.h"

int main(int argc, char** argv) try {
  if (argc != 4) return std::fputs("usage: train_cc MODEL TEXT OUT\n", stderr), 2;
  std::ifstream file(argv[2]);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto tokenizer = linnet::TokenizerOf(linnet::Model::Open(argv[1]));
  const std::vector<int32_t> tokens = tokenizer->Encode(text);
  std::vector<linnet::SampleRow> rows;  // a batch: pieces of 256 tokens
  for (size_t i = 0; i + 1 < tokens.size(); i += 256) {
    rows.push_back(
        linnet::RowOf(std::span(tokens).subspan(i, std::min<size_t>(257, tokens.size() - i))));
  }
  linnet::Trainer trainer = linnet::Trainer::Open(argv[1], {.rows_per_pass = 4});
  for (int step = 1; step <= 10; ++step) {
    const linnet::StepReport report = trainer.Step(rows, 1e-4);
    std::printf("step %d: loss %.4f\n", step, report.loss);
  }
  trainer.SaveModel(argv[3]);
} catch (const linnet::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
