// TensorFile: a checkpoint of any container format as a list of named, strided tensors.
#ifndef LINNET_IO_TENSOR_FILE_H_
#define LINNET_IO_TENSOR_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "io/sniff.h"
#include "io/stored_record.h"
#include "io/tensor_view.h"

namespace linnet {

// Immutable once open, except for Rename, so any number of threads may read it.
class TensorFile {
 public:
  // Maps the file and detects its container. For a `*.index.json` it maps all shards, for a folder
  // the file that ModelIn (io/model_folder.h) finds. Throws Error kIo if it cannot be read,
  // kBadModel with one line that says what the file is instead (truncated download, optimizer
  // state, HTML page …). Every size and offset is checked before use. Allocates at most a small
  // multiple of the file's size.
  static TensorFile Open(const std::filesystem::path& path);

  // The same for one file's bytes in memory, which must outlive the result.
  static TensorFile Parse(std::span<const std::byte> bytes, const std::string& name);

  // Opens the same file, or the same bytes in memory, again.
  TensorFile Again() const;

  // The file or shard index that was opened. For a folder, the one in it.
  const std::filesystem::path& path() const { return path_; }
  Container container() const { return container_; }  // of the first shard
  std::span<const TensorView> tensors() const { return tensors_; }
  const TensorView* Find(std::string_view name) const;  // null if absent
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  uint64_t file_bytes() const { return file_bytes_; }
  // The raw bytes of the first shard, in the mapped file or in memory.
  std::span<const std::byte> bytes() const { return bytes_; }
  // The files, in a fixed order: an index before its shards. None for bytes in memory.
  std::span<const MappedFile> maps() const { return maps_; }
  // Where related files such as config.json are searched; nullopt for bytes in memory.
  std::optional<std::filesystem::path> folder() const {
    return mapped() ? std::optional(path_.parent_path()) : std::nullopt;
  }

  // Renames tensors. Must be called before anything else refers to them. Throws Error kBadModel if
  // two would have the same name.
  void Rename(const std::function<std::string(const std::string&)>& rename);

  // Releases the memory of the pages that hold the tensor's bytes.
  void Drop(const TensorView& tensor) const noexcept;

 private:
  bool mapped() const { return !maps_.empty(); }  // otherwise bytes in memory
  void OpenShards(const std::filesystem::path& index);
  void OpenOne(const std::filesystem::path& file);
  void Add(const FileBytes& file);
  void AddTensor(TensorView tensor, const std::string& file);

  std::filesystem::path path_;
  Container container_ = Container::kSafetensors;
  uint64_t file_bytes_ = 0;
  std::span<const std::byte> bytes_;
  std::vector<MappedFile> maps_;
  std::vector<std::unique_ptr<std::string>> names_;  // names from the files; tensors point to them
  std::vector<std::unique_ptr<StoredRecord>> records_;
  std::vector<std::unique_ptr<Encoding>> encodings_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, size_t, std::less<>> index_;
};

// The files that TensorFile::Open reads for this path: the file itself, the file in a folder, or an
// index and its shards, even if they do not exist. Throws what Open throws for folders and indexes.
std::vector<std::filesystem::path> FilesOf(const std::filesystem::path& path);

// Whether TensorFile::Open accepts this path at first sight: a file that begins like a supported
// container, a shard index, or a folder. False for anything else, and for files that cannot be
// read.
bool IsCheckpoint(const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_IO_TENSOR_FILE_H_
