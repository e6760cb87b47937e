// State files, saved and tuned: the first byte selects the model that the state is read for.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>

#include "fuzz_target.h"
#include "linnet/error.h"
#include "models/state_file.h"

LINNET_FUZZ_TARGET(state) {
  using linnet::Generation;
  static const linnet::StateShape kModels[] = {{Generation::k4, 1, 4, 1, 4, ""},
                                               {Generation::k52, 1, 4, 2, 2, ""},
                                               {Generation::k7, 2, 4, 1, 4, "0123456789abcdef"},
                                               {Generation::k7b, 1, 4, 1, 4, ""}};
  if (size == 0) return;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const auto attempt = [&](const auto& read) {
    try {
      read(linnet::TensorFile::Parse(bytes, "state"));
    } catch (const linnet::Error&) {
    }
  };
  attempt([](const linnet::TensorFile& file) { linnet::ReadState(file); });
  attempt([&](const linnet::TensorFile& file) {
    linnet::ReadState(file, kModels[data[0] % std::size(kModels)]);
  });
}
