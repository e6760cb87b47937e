#include "io/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "io/model_folder.h"
#include "io/quoted.h"
#include "io/shard_index.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

ParsedFile ParseAs(Container container, const FileBytes& file) {
  switch (container) {
    case Container::kSafetensors:
      return ParseSafetensors(file);
    case Container::kTorchZip:
      return ParseTorchZip(file);
    case Container::kTorchLegacy:
      return ParseTorchLegacy(file);
    case Container::kGguf:
      return ParseGguf(file);
    case Container::kGgmf:
      return ParseGgmf(file);
  }
  LINNET_CHECK(false);
  return {};
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool IsIndex(const fs::path& path) { return path.string().ends_with(".index.json"); }

WeightMap ReadIndex(const fs::path& path) {
  const MappedFile map(path);
  return ReadShardIndex(AsText(map.bytes()), path.string());
}

}  // namespace

TensorFile TensorFile::Open(const fs::path& path) {
  TensorFile file;
  std::error_code error;
  file.path_ = fs::is_directory(path, error) ? ModelIn(path) : path;
  if (IsIndex(file.path_)) {
    file.OpenShards(file.path_);
  } else {
    file.OpenOne(file.path_);
  }
  return file;
}

TensorFile TensorFile::Parse(std::span<const std::byte> bytes, const std::string& name) {
  TensorFile file;
  file.path_ = name;
  file.Add({bytes, name, false});
  return file;
}

TensorFile TensorFile::Again() const {
  return mapped() ? Open(path_) : Parse(bytes_, path_.string());
}

void TensorFile::OpenOne(const fs::path& file) {
  maps_.emplace_back(file);
  const auto bytes = maps_.back().bytes();
  Add({bytes, file.string(), true});
  MappedFile::Drop(bytes);  // pages read for the directory and the headers
}

void TensorFile::OpenShards(const fs::path& index) {
  std::vector<TensorView> wanted;
  maps_.emplace_back(index);
  const std::string_view text = AsText(maps_.back().bytes());
  for (const auto& [shard, names] : ReadShardIndex(text, index.string())) {
    const fs::path file = index.parent_path() / shard;
    if (!Exists(file)) {
      throw Error(ErrorKind::kIo, fmt::format("{}: missing, but {} lists it; download all shards",
                                              file.string(), index.filename().string()));
    }
    OpenOne(file);
    for (const auto& name : names) {
      const TensorView* tensor = Find(name);
      if (tensor == nullptr) {
        throw Error(ErrorKind::kBadModel,
                    fmt::format("{}: lacks tensor {}, which {} expects there; download it again",
                                file.string(), Quoted(name), index.filename().string()));
      }
      wanted.push_back(*tensor);
    }
    tensors_.clear();
    index_.clear();
  }
  for (auto& tensor : wanted) AddTensor(std::move(tensor), index.string());
}

void TensorFile::Add(const FileBytes& file) {
  const Container container = Sniff(file);
  ParsedFile parsed = ParseAs(container, file);
  if (file_bytes_ == 0) {
    container_ = container;
    bytes_ = file.bytes;
  }
  file_bytes_ += file.bytes.size();
  if (parsed.tensors.empty()) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: holds no tensors, expected a model's", file.name));
  }
  names_.push_back(std::make_unique<std::string>(file.name));
  for (auto& tensor : parsed.tensors) {
    tensor.file = names_.back().get();
    AddTensor(std::move(tensor), file.name);
  }
  std::move(parsed.records.begin(), parsed.records.end(), std::back_inserter(records_));
  std::move(parsed.encodings.begin(), parsed.encodings.end(), std::back_inserter(encodings_));
  metadata_.merge(parsed.metadata);
}

void TensorFile::AddTensor(TensorView tensor, const std::string& file) {
  if (!index_.emplace(tensor.name, tensors_.size()).second) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: holds two tensors {}", file, Quoted(tensor.name)));
  }
  tensors_.push_back(std::move(tensor));
}

void TensorFile::Rename(const std::function<std::string(const std::string&)>& rename) {
  std::vector<TensorView> tensors = std::move(tensors_);
  tensors_.clear();
  index_.clear();
  for (auto& tensor : tensors) {
    tensor.name = rename(tensor.name);
    AddTensor(std::move(tensor), path_.string());
  }
}

const TensorView* TensorFile::Find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

std::vector<fs::path> FilesOf(const fs::path& path) {
  std::error_code error;
  std::vector<fs::path> files = {fs::is_directory(path, error) ? ModelIn(path) : path};
  if (!IsIndex(files[0])) return files;
  const fs::path folder = files[0].parent_path();
  for (const auto& [shard, names] : ReadIndex(files[0])) files.push_back(folder / shard);
  return files;
}

bool IsCheckpoint(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return true;
  if (fs::is_fifo(path, error)) return false;  // reading it would consume its first bytes
  try {
    if (IsIndex(path)) return !ReadIndex(path).empty();
    const MappedFile map(path);
    Sniff({map.bytes(), path.string(), true});
    return true;
  } catch (const Error&) {
    return false;
  }
}

void TensorFile::Drop(const TensorView& tensor) const noexcept {
  if (!mapped() || tensor.elements() == 0) return;
  if (tensor.encoding != nullptr) return MappedFile::Drop(tensor.encoding->bytes());
  size_t last = 0;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    last += (tensor.shape[i] - 1) * tensor.strides[i];
  }
  MappedFile::Drop({tensor.data, (last + 1) * ElementBytes(tensor.type)});
}

}  // namespace linnet
