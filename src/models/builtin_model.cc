#include "models/builtin_model.h"

#include <cstdint>
#include <utility>

#include "linnet/error.h"
#include "linnet/model.h"

// cmake/model.cmake defines the file's path. The assembler includes the file: as a C++ array,
// megabytes would cost the compiler minutes. Page-aligned, so that no other constants are loaded
// with it.
#ifdef LINNET_MODEL_FILE
asm(".pushsection .rodata.linnet_model, \"a\"\n"
    ".balign 4096\n"
    ".hidden linnet_builtin_model\n"
    ".globl linnet_builtin_model\n"
    "linnet_builtin_model:\n"
    ".incbin \"" LINNET_MODEL_FILE
    "\"\n"
    "linnet_builtin_model_end:\n"
    ".balign 8\n"
    ".hidden linnet_builtin_model_size\n"
    ".globl linnet_builtin_model_size\n"
    "linnet_builtin_model_size:\n"
    ".quad linnet_builtin_model_end - linnet_builtin_model\n"
    ".popsection\n");
extern "C" {
extern const std::byte linnet_builtin_model[];
extern const uint64_t linnet_builtin_model_size;
}
#endif

namespace linnet {

std::span<const std::byte> BuiltInModel() {
#ifdef LINNET_MODEL_FILE
  return {linnet_builtin_model, linnet_builtin_model_size};
#else
  return {};
#endif
}

Checkpoint BuiltInCheckpoint() {
  const auto bytes = BuiltInModel();
  if (bytes.empty()) {
    throw Error(ErrorKind::kBadModel,
                "no model is built in: models/linnet.safetensors was not there when this program "
                "was built; name a checkpoint");
  }
  return Checkpoint(TensorFile::Parse(bytes, "built-in model"));
}

Checkpoint CheckpointNamed(const std::string& name) {
  return name == kBuiltInName ? BuiltInCheckpoint() : Checkpoint(name);
}

bool IsModelName(const std::string& name) { return name == kBuiltInName || IsCheckpoint(name); }

}  // namespace linnet
