#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "io/container.h"
#include "io/pickle.h"
#include "io/quoted.h"
#include "io/torch_dict.h"
#include "io/zip_reader.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// The bytes of a storage, and their checksum if the file has one.
struct StorageBytes {
  std::span<const std::byte> bytes;
  const StoredRecord* record = nullptr;
};
using Storages = std::unordered_map<std::string_view, StorageBytes>;

Error WrongSize(const FileBytes& file, const PickleStorage& storage, size_t found) {
  return Error(
      ErrorKind::kBadModel,
      fmt::format("{}: storage {} has {} bytes, expected {} {} elements; the file is "
                  "damaged, download it again",
                  file.name, Quoted(storage.key), found, storage.elements, Name(storage.type)));
}

bool Fits(const PickleStorage& storage, size_t bytes) {
  const size_t element = ElementBytes(storage.type);
  return bytes % element == 0 && bytes / element == storage.elements;
}

std::vector<TensorView> View(const Pickle& pickle, const Storages& storages,
                             const std::string& file) {
  std::vector<TensorView> views;
  for (const auto& [name, tensor] : TensorsOf(pickle, file)) {
    const PickleStorage& storage = pickle.storages[tensor->storage];
    const StorageBytes& at = storages.find(storage.key)->second;
    TensorView view{std::string(name), storage.type,    tensor->shape,
                    tensor->strides,   at.bytes.data(), at.record};
    if (view.elements() != 0) view.data += tensor->offset * ElementBytes(storage.type);
    views.push_back(std::move(view));
  }
  return views;
}

// torch names the folder inside the archive after the file, or "archive".
std::string ArchivePrefix(const FileBytes& file, const ZipReader& zip) {
  const auto first = zip.first_name();
  std::string prefix(first.substr(0, first.find('/')));
  prefix += '/';
  if (zip.Find(prefix + "constants.pkl") != nullptr) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: a TorchScript program, expected a state dict; save "
                            "model.state_dict() with torch.save",
                            file.name));
  }
  if (zip.Find(prefix + "data.pkl") == nullptr) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: a zip archive without data.pkl (its first entry is {}), expected "
                            "a checkpoint saved by torch; unpack it if the checkpoint is inside",
                            file.name, Quoted(first)));
  }
  const ZipEntry* order = zip.Find(prefix + "byteorder");
  if (order != nullptr && AsText(order->bytes) != "little") {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: byte order {}, expected little; save it again on a little-endian "
                            "machine",
                            file.name, Quoted(AsText(order->bytes))));
  }
  return prefix;
}

}  // namespace

ParsedFile ParseTorchZip(const FileBytes& file) {
  const ZipReader zip(file);
  const std::string prefix = ArchivePrefix(file, zip);
  const ZipEntry* entry = zip.Find(prefix + "data.pkl");
  StoredRecord(entry->bytes, entry->crc, file.name + ": data.pkl", file.mapped).Check();
  const Pickle pickle = ReadPickle(entry->bytes, file.name + ": data.pkl");

  ParsedFile parsed;
  Storages storages;
  for (const auto& storage : pickle.storages) {
    auto& at = storages[storage.key];
    if (at.record == nullptr) {
      const std::string name = fmt::format("{}data/{}", prefix, storage.key);
      const ZipEntry* data = zip.Find(name);
      if (data == nullptr) {
        throw Error(ErrorKind::kBadModel,
                    fmt::format("{}: lacks the storage {}; the file is damaged, download it again",
                                file.name, Quoted(name)));
      }
      parsed.records.push_back(std::make_unique<StoredRecord>(
          data->bytes, data->crc, fmt::format("{}: {}", file.name, Quoted(name)), file.mapped));
      at = {data->bytes, parsed.records.back().get()};
    }
    if (!Fits(storage, at.bytes.size())) throw WrongSize(file, storage, at.bytes.size());
  }
  parsed.tensors = View(pickle, storages, file.name);
  parsed.metadata = RerankerMetadata(pickle, file.name);
  return parsed;
}

namespace {

// Before 1.6: pickles of a magic number, a version, the machine, the data and
// the storages' keys, then each storage as its length (int64) and its elements.
constexpr std::string_view kLegacyMagic = "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.";
constexpr std::string_view kLegacyVersion = "\x80\x02M\xe9\x03.";

Storages ReadLegacyStorages(const FileBytes& file, std::span<const std::byte> rest,
                            const Pickle& data, const Pickle& keys) {
  std::unordered_map<std::string_view, const PickleStorage*> known;
  for (const auto& storage : data.storages) {
    const auto [it, added] = known.emplace(storage.key, &storage);
    if (!added && (it->second->type != storage.type || it->second->elements != storage.elements)) {
      throw WrongSize(file, storage, it->second->elements * ElementBytes(it->second->type));
    }
  }
  Storages storages;
  for (const PickleId id : keys.values[keys.root].items) {
    const auto it = known.find(keys.values[id].text);
    int64_t count = -1;
    if (it != known.end() && rest.size() >= sizeof(count)) {
      std::memcpy(&count, rest.data(), sizeof(count));
      rest = rest.subspan(sizeof(count));
    }
    const size_t size = count < 0 ? 0 : static_cast<size_t>(count);
    if (count < 0 || size != it->second->elements ||
        size > rest.size() / ElementBytes(it->second->type)) {
      throw Error(ErrorKind::kBadModel,
                  fmt::format("{}: truncated: it ends inside storage {}; download it again",
                              file.name, Quoted(keys.values[id].text)));
    }
    const size_t bytes = size * ElementBytes(it->second->type);
    storages[it->first] = {rest.first(bytes), nullptr};
    rest = rest.subspan(bytes);
  }
  for (const auto& [key, storage] : known) {
    if (storages.find(key) == storages.end()) throw WrongSize(file, *storage, 0);
  }
  return storages;
}

}  // namespace

bool IsTorchLegacy(std::span<const std::byte> bytes) {
  return AsText(bytes).starts_with(kLegacyMagic);
}

ParsedFile ParseTorchLegacy(const FileBytes& file) {
  auto rest = file.bytes.subspan(kLegacyMagic.size());
  if (!AsText(rest).starts_with(kLegacyVersion)) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: an old torch.save format of unknown version, expected 1001; load "
                            "and save it again with a current torch",
                            file.name));
  }
  rest = rest.subspan(kLegacyVersion.size());
  Pickle pickles[3];
  const char* names[3] = {"machine", "data", "storage list"};
  for (size_t i = 0; i < 3; ++i) {
    pickles[i] = ReadPickle(rest, fmt::format("{}: pickle of the {}", file.name, names[i]));
    rest = rest.subspan(pickles[i].size);
  }
  ParsedFile parsed;
  parsed.tensors =
      View(pickles[1], ReadLegacyStorages(file, rest, pickles[1], pickles[2]), file.name);
  parsed.metadata = RerankerMetadata(pickles[1], file.name);
  return parsed;
}

}  // namespace linnet
