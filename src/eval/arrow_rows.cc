// Parquet and Arrow files, by the libraries of PyPI's pyarrow or another Arrow.
#include <fmt/format.h>

#include "eval/row_files.h"
#include "linnet/error.h"

#ifdef LINNET_WITH_ARROW
#include <arrow/api.h>
#include <arrow/io/api.h>
#include <arrow/ipc/api.h>
#include <parquet/arrow/reader.h>
#endif

namespace linnet {

#ifdef LINNET_WITH_ARROW

namespace {

// Values inside values inside values.
constexpr int kArrowDepth = 32;

class ArrowReader {
 public:
  explicit ArrowReader(const std::filesystem::path& path) : path_(path) {}

  TaskRows Read() {
    const std::shared_ptr<arrow::Table> table =
        path_.extension() == ".parquet" ? ReadParquet() : ReadIpc();
    TaskRows rows(static_cast<size_t>(table->num_rows()), TaskJson::object());
    for (int c = 0; c < table->num_columns(); ++c) {
      const std::string& name = table->schema()->field(c)->name();
      size_t row = 0;
      for (const auto& chunk : table->column(c)->chunks()) {
        for (int64_t i = 0; i < chunk->length(); ++i) rows[row++][name] = Value(*chunk, i, 0);
      }
    }
    return rows;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: {}", path_.string(), what));
  }
  void Check(const arrow::Status& status) const {
    if (!status.ok()) Fail(status.message().substr(0, status.message().find('\n')));
  }
  template <class T>
  T Take(arrow::Result<T> result) const {
    Check(result.status());
    return std::move(result).ValueUnsafe();
  }

  std::shared_ptr<arrow::Table> ReadParquet() const {
    const auto file = Take(arrow::io::ReadableFile::Open(path_.string()));
    const std::unique_ptr<parquet::arrow::FileReader> reader =
        Take(parquet::arrow::OpenFile(file, arrow::default_memory_pool()));
    return Take(reader->ReadTable());
  }

  // As a file, with its footer, or as a stream, which is how Hugging Face's datasets keeps them.
  std::shared_ptr<arrow::Table> ReadIpc() const {
    const auto file = Take(arrow::io::ReadableFile::Open(path_.string()));
    arrow::RecordBatchVector batches;
    std::shared_ptr<arrow::Schema> schema;
    auto as_file = arrow::ipc::RecordBatchFileReader::Open(file);
    if (as_file.ok()) {
      const auto reader = std::move(as_file).ValueUnsafe();
      schema = reader->schema();
      for (int i = 0; i < reader->num_record_batches(); ++i)
        batches.push_back(Take(reader->ReadRecordBatch(i)));
    } else {
      const auto stream = Take(arrow::io::ReadableFile::Open(path_.string()));
      const auto reader = Take(arrow::ipc::RecordBatchStreamReader::Open(stream));
      schema = reader->schema();
      batches = Take(reader->ToRecordBatches());
    }
    for (const auto& batch : batches) Check(batch->ValidateFull());
    return Take(arrow::Table::FromRecordBatches(schema, batches));
  }

  TaskJson Value(const arrow::Array& array, int64_t i, int depth) const {
    if (depth > kArrowDepth) Fail("a column's type is too deep");
    if (array.IsNull(i)) return nullptr;
    switch (array.type_id()) {
      case arrow::Type::LIST:
        return Elements(static_cast<const arrow::ListArray&>(array), i, depth);
      case arrow::Type::LARGE_LIST:
        return Elements(static_cast<const arrow::LargeListArray&>(array), i, depth);
      case arrow::Type::STRUCT: {
        const auto& all = static_cast<const arrow::StructArray&>(array);
        TaskJson out = TaskJson::object();
        for (int f = 0; f < all.num_fields(); ++f) {
          out[all.struct_type()->field(f)->name()] = Value(*all.field(f), i, depth + 1);
        }
        return out;
      }
      case arrow::Type::DICTIONARY: {
        const auto& all = static_cast<const arrow::DictionaryArray&>(array);
        return Value(*all.dictionary(), all.GetValueIndex(i), depth + 1);
      }
      case arrow::Type::STRING:
        return static_cast<const arrow::StringArray&>(array).GetString(i);
      case arrow::Type::LARGE_STRING:
        return static_cast<const arrow::LargeStringArray&>(array).GetString(i);
      case arrow::Type::BOOL:
        return static_cast<const arrow::BooleanArray&>(array).Value(i);
      case arrow::Type::INT8:
        return static_cast<const arrow::Int8Array&>(array).Value(i);
      case arrow::Type::INT16:
        return static_cast<const arrow::Int16Array&>(array).Value(i);
      case arrow::Type::INT32:
        return static_cast<const arrow::Int32Array&>(array).Value(i);
      case arrow::Type::INT64:
        return static_cast<const arrow::Int64Array&>(array).Value(i);
      case arrow::Type::UINT8:
        return static_cast<const arrow::UInt8Array&>(array).Value(i);
      case arrow::Type::UINT16:
        return static_cast<const arrow::UInt16Array&>(array).Value(i);
      case arrow::Type::UINT32:
        return static_cast<const arrow::UInt32Array&>(array).Value(i);
      case arrow::Type::FLOAT:
        return static_cast<const arrow::FloatArray&>(array).Value(i);
      case arrow::Type::DOUBLE:
        return static_cast<const arrow::DoubleArray&>(array).Value(i);
      default:
        return array.type()
            ->ToString();  // a type that no prompt shows, such as a time or a picture
    }
  }

  template <class Array>
  TaskJson Elements(const Array& array, int64_t i, int depth) const {
    TaskJson out = TaskJson::array();
    for (int64_t k = array.value_offset(i); k < array.value_offset(i + 1); ++k) {
      out.push_back(Value(*array.values(), k, depth + 1));
    }
    return out;
  }

  std::filesystem::path path_;
};

}  // namespace

bool CanReadArrow() { return true; }

TaskRows ReadArrowFile(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw Error(ErrorKind::kIo, fmt::format("{}: cannot be read", path.string()));
  }
  TaskRows rows = ArrowReader(path).Read();
  if (rows.empty())
    throw Error(ErrorKind::kBadInput, fmt::format("{}: has no rows", path.string()));
  return rows;
}

#else

bool CanReadArrow() { return false; }

TaskRows ReadArrowFile(const std::filesystem::path& path) {
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: this program was built without Arrow, which reads Parquet and Arrow "
                          "files; install PyPI's "
                          "pyarrow and build again, or write the rows as .jsonl",
                          path.string()));
}

#endif

}  // namespace linnet
