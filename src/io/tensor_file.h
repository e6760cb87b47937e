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

// Immutable once open but for Rename, so any number of threads may read it.
class TensorFile {
 public:
  // Maps the file, sniffing its container; for a `*.index.json` maps all its
  // shards, for a folder the file that ModelIn (io/model_folder.h) finds there.
  // Throws Error kIo if it cannot be read, kBadModel with the one line that says
  // what the file is instead (truncated download, optimizer state, HTML page …).
  // Every size and offset is checked before use; nothing is allocated that is
  // larger than a small multiple of the file.
  static TensorFile Open(const std::filesystem::path& path);

  // The same for one file's bytes in memory, which must outlive the result.
  static TensorFile Parse(std::span<const std::byte> bytes, const std::string& name);

  // The file or shard index that was opened, of a folder the one in it.
  const std::filesystem::path& path() const { return path_; }
  Container container() const { return container_; }  // of the first shard
  std::span<const TensorView> tensors() const { return tensors_; }
  const TensorView* Find(std::string_view name) const;  // null if absent
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  uint64_t file_bytes() const { return file_bytes_; }
  // Of the first shard, as they lie in the file or in memory.
  std::span<const std::byte> bytes() const { return bytes_; }
  // Where files that belong to it are looked for, such as config.json; none for bytes in memory.
  const std::optional<std::filesystem::path>& folder() const { return folder_; }

  // Gives tensors other names, before anything else refers to them. Throws Error kBadModel if two
  // would have the same.
  void Rename(const std::function<std::string(const std::string&)>& rename);

  // Gives back the memory of the pages that hold the tensor's bytes.
  void Drop(const TensorView& tensor) const noexcept;

 private:
  void OpenShards(const std::filesystem::path& index);
  void OpenOne(const std::filesystem::path& file);
  void Add(const FileBytes& file);
  void AddTensor(TensorView tensor, const std::string& file);

  std::filesystem::path path_;
  std::optional<std::filesystem::path> folder_;
  Container container_ = Container::kSafetensors;
  uint64_t file_bytes_ = 0;
  std::span<const std::byte> bytes_;
  std::vector<MappedFile> maps_;
  std::vector<std::unique_ptr<std::string>> names_;  // of the files, for tensors to point to
  std::vector<std::unique_ptr<StoredRecord>> records_;
  std::vector<std::unique_ptr<Encoding>> encodings_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, size_t, std::less<>> index_;
};

// The files that TensorFile::Open reads for this path: itself, or a folder's, or an index and its
// shards, whether they are there or not. Throws what Open throws of folders and indexes.
std::vector<std::filesystem::path> FilesOf(const std::filesystem::path& path);

// Whether TensorFile::Open would begin to read this path: a file whose first bytes announce a
// container, a shard index, a folder. False for all else, and for what cannot be read.
bool IsCheckpoint(const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_IO_TENSOR_FILE_H_
