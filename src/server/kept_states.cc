#include "server/kept_states.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/atomic_file.h"
#include "base/sha256.h"
#include "engine/sqlite_file.h"
#include "linnet/error.h"
#include "server/openai_errors.h"
#include "server/served_model.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr int kStatesSchema = 1;  // PRAGMA user_version
constexpr size_t kKeyBytes = 32, kLeastKeyBytes = 16, kMostKeyBytes = 4096;
// The owner of shared states; no key has this name.
constexpr const char* kEveryone = "\n";

int64_t NowInSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::vector<std::byte> RandomKey() {
  std::vector<std::byte> key(kKeyBytes);
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1) {
    throw Error(ErrorKind::kIo, "the system gives no random bytes for the key of states");
  }
  return key;
}

// Of this server alone, readable by its user only.
std::vector<std::byte> OwnKey(const fs::path& folder) {
  if (folder.empty()) return RandomKey();
  const fs::path file = folder / "state-key";
  std::error_code failed;
  if (fs::exists(file, failed)) return ReadStateKey(file);
  const auto key = RandomKey();
  Digest digits;
  std::copy(key.begin(), key.end(), digits.begin());
  const mode_t before = umask(S_IRWXG | S_IRWXO);
  try {
    AtomicFile out(file);
    out.Write(Hex(digits) + "\n");
    out.Commit();
  } catch (...) {
    umask(before);
    throw;
  }
  umask(before);
  return ReadStateKey(file);
}

void CreateStateTable(SqliteFile& db) {
  const bool is_new = db.NeedsTables(kStatesSchema);
  // A table of its own, which files of older versions get, too.
  db.Run(
      "CREATE TABLE IF NOT EXISTS parents (owner TEXT NOT NULL, id TEXT NOT NULL, "
      "parent TEXT NOT NULL, PRIMARY KEY (owner, id))");
  if (!is_new) return;
  // The bytes are the last column, so that the others are read without them.
  db.Run(
      "CREATE TABLE states (owner TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, "
      "model TEXT NOT NULL, identity TEXT NOT NULL, tokens INTEGER NOT NULL, "
      "made INTEGER NOT NULL, lossless INTEGER NOT NULL, tuned INTEGER NOT NULL, "
      "used INTEGER NOT NULL, bytes INTEGER NOT NULL, mark TEXT NOT NULL, "
      "state BLOB NOT NULL, "
      "PRIMARY KEY (owner, id))");
  db.MarkSchema(kStatesSchema);
}

constexpr const char* kColumns =
    "id, name, model, identity, tokens, made, lossless, tuned, used, bytes, owner, mark, "
    "ifnull((SELECT parent FROM parents WHERE parents.owner = states.owner AND "
    "parents.id = states.id), '')";

KeptState RowOf(const SqliteStatement& row) {
  KeptState state{.id = row.Text(0), .name = row.Text(1), .model = row.Text(2)};
  state.facts = {.identity = row.Text(3),
                 .tokens = static_cast<size_t>(row.Number(4)),
                 .made = row.Number(5),
                 .lossless = row.Number(6) != 0,
                 .tuned = row.Number(7) != 0};
  state.used = row.Number(8);
  state.bytes = static_cast<uint64_t>(row.Number(9));
  state.shared = row.Text(10) == kEveryone;
  state.mark = row.Text(11);
  state.parent = row.Text(12);
  return state;
}

// Of a state that goes away, or is no descendant any more; those that began with it then began with
// its parent.
void EraseParent(SqliteFile& db, const std::string& owner, const std::string& id) {
  SqliteStatement relink(db,
                         "UPDATE parents SET parent = ifnull((SELECT above.parent FROM parents "
                         "above WHERE above.owner = ? AND above.id = ?), '') "
                         "WHERE owner = ? AND parent = ?");
  relink.Bind(owner).Bind(id).Bind(owner).Bind(id).Step();
  SqliteStatement erase(db, "DELETE FROM parents WHERE owner = ? AND id = ?");
  erase.Bind(owner).Bind(id).Step();
}

// Returns the parent that the state has now. One that goes on from itself keeps its own.
std::string WriteParent(SqliteFile& db, const std::string& owner, const KeptState& state) {
  if (state.parent == state.id) {
    SqliteStatement find(db, "SELECT parent FROM parents WHERE owner = ? AND id = ?");
    return find.Bind(owner).Bind(state.id).Step() ? find.Text(0) : "";
  }
  // No circle: what it now begins with may have begun with the one that it replaces.
  EraseParent(db, owner, state.id);
  if (state.parent.empty()) return "";
  SqliteStatement insert(db, "INSERT INTO parents VALUES (?, ?, ?)");
  insert.Bind(owner).Bind(state.id).Bind(state.parent).Step();
  return state.parent;
}

RequestError NoState(const std::string& id) {
  return {404, fmt::format("no state '{}' is kept", id), "state", "state_not_found"};
}

uint64_t SumOfBytes(SqliteFile& db, const std::string& owner) {
  SqliteStatement sum(db, owner.empty() ? "SELECT sum(bytes) FROM states WHERE owner <> ''"
                                        : "SELECT sum(bytes) FROM states WHERE owner = ?");
  if (!owner.empty()) sum.Bind(owner);
  sum.Step();
  return static_cast<uint64_t>(sum.Number(0));
}

// The signature covers all bytes; a digest of it does not tell it.
std::string MarkOfState(std::span<const std::byte> bytes) {
  const auto signature = bytes.last(sizeof(Digest));
  return Hex(Sha256Of({reinterpret_cast<const char*>(signature.data()), signature.size()}));
}

// Without API keys there is one owner, whose name must not be empty in the table.
std::string RowOwner(const std::string& owner) { return "k" + owner; }

}  // namespace

// Outlives the store while a writer has it.
class KeptStates::Claims {
 public:
  bool Add(const Key& key) {
    const std::lock_guard lock(mutex_);
    return claimed_.insert(key).second;
  }
  void Remove(const Key& key) {
    const std::lock_guard lock(mutex_);
    claimed_.erase(key);
  }

 private:
  std::mutex mutex_;
  std::set<Key> claimed_;
};

struct KeptStates::Worker {
  std::mutex mutex;  // of the following
  std::condition_variable wake;
  std::deque<std::function<void()>> work;
  bool stopping = false;

  void Run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stopping || !work.empty(); });
      if (work.empty()) return;
      auto next = std::move(work.front());
      work.pop_front();
      lock.unlock();
      next();
      next = nullptr;  // what it holds goes before the next wait
      lock.lock();
    }
  }
};

std::shared_ptr<const ReadyState> OpenReadyState(std::span<const std::byte> bytes,
                                                 const ServedModel& served,
                                                 const std::string& identity,
                                                 std::span<const std::byte> key) {
  if (served.model == nullptr) throw Error(ErrorKind::kBadState, "this model has no states");
  SignedState opened =
      OpenSignedState(bytes, served.model->state_shape(), identity, served.vocab, key);
  return std::make_shared<const ReadyState>(
      ReadyState{std::move(opened.snapshot), opened.facts, MarkOfState(bytes)});
}

std::vector<std::byte> ReadStateKey(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(kMostKeyBytes + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in && !in.eof()) throw Error(ErrorKind::kIo, file.string() + ": the key cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  if (text.size() < kLeastKeyBytes || text.size() > kMostKeyBytes) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: holds {} bytes, expected a secret of {} to {}, as from `openssl "
                            "rand -hex 32`",
                            file.string(), text.size(), kLeastKeyBytes, kMostKeyBytes));
  }
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

KeptStates::KeptStates(const KeptStatesOptions& options)
    : options_(options), claims_(std::make_shared<Claims>()), worker_(std::make_shared<Worker>()) {
  if (!options_.folder.empty()) {
    std::error_code failed;
    const bool made = fs::create_directories(options_.folder, failed);
    if (failed) {
      throw Error(ErrorKind::kIo,
                  fmt::format("{}: {}", options_.folder.string(), failed.message()));
    }
    if (made) fs::permissions(options_.folder, fs::perms::owner_all, failed);
  }
  key_ = options_.key.empty() ? OwnKey(options_.folder) : options_.key;
  const fs::path path = options_.folder.empty() ? fs::path() : options_.folder / "states.sqlite";
  try {
    try {
      OpenFile();
    } catch (const SqliteFault& fault) {
      if (path.empty() || !fault.damaged) throw;
      file_.reset();
      std::error_code ignored;
      for (const char* ending : {"-wal", "-shm"}) fs::remove(path.string() + ending, ignored);
      fs::rename(path, path.string() + ".damaged", ignored);
      OpenFile();
    }
  } catch (const SqliteFault& fault) {
    throw Error(ErrorKind::kIo, fmt::format("{}: {}", path.string(), fault.what));
  }
  thread_ = std::thread([worker = worker_] { worker->Run(); });
}

KeptStates::~KeptStates() {
  {
    const std::lock_guard lock(worker_->mutex);
    worker_->stopping = true;
  }
  worker_->wake.notify_all();
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void KeptStates::OpenFile() {
  const fs::path path = options_.folder.empty() ? fs::path() : options_.folder / "states.sqlite";
  file_ = std::make_unique<SqliteFile>(path);
  CreateStateTable(*file_);
}

template <class F>
auto KeptStates::WithFile(const F& use) {
  const std::lock_guard lock(file_mutex_);
  try {
    return use(*file_);
  } catch (const SqliteFault& fault) {
    file_->RollBack();
    throw Error(ErrorKind::kNoMemory, "states cannot be kept now: " + fault.what);
  }
}

KeptState KeptStates::Put(const std::string& owner, KeptState state, const Snapshot& snapshot) {
  const std::string row_owner = state.shared ? kEveryone : RowOwner(owner);
  const auto bytes = SignState(snapshot, state.facts, StateCoding::kLossless, key_);
  state.facts = ReadSignedFacts(bytes, key_);
  state.bytes = bytes.size();
  state.mark = MarkOfState(bytes);
  state.used = NowInSeconds();
  const auto flag = [](bool value) { return static_cast<int64_t>(value ? 1 : 0); };
  WithFile([&](SqliteFile& db) {
    uint64_t old = 0;
    {
      SqliteStatement find(db, "SELECT bytes FROM states WHERE owner = ? AND id = ?");
      if (find.Bind(row_owner).Bind(state.id).Step()) old = static_cast<uint64_t>(find.Number(0));
    }
    const auto check = [&](uint64_t kept, uint64_t most, const char* whose) {
      if (kept - std::min(kept, old) + state.bytes <= most) return;
      throw RequestError(
          413,
          fmt::format("{} states take {} bytes, and this one would take {} more than "
                      "the limit of {}: delete some",
                      whose, kept, kept - std::min(kept, old) + state.bytes - most, most),
          "state", "states_full");
    };
    check(SumOfBytes(db, row_owner), options_.owner_bytes, "your");
    check(SumOfBytes(db, ""), options_.total_bytes, "all");
    SqliteStatement insert(
        db, "INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.Bind(row_owner).Bind(state.id).Bind(state.name).Bind(state.model);
    insert.Bind(state.facts.identity).Bind(static_cast<int64_t>(state.facts.tokens));
    insert.Bind(state.facts.made).Bind(flag(state.facts.lossless)).Bind(flag(state.facts.tuned));
    insert.Bind(state.used).Bind(static_cast<int64_t>(state.bytes)).Bind(state.mark);
    insert.Bind(std::span<const std::byte>(bytes)).Step();
    state.parent = WriteParent(db, row_owner, state);
    return 0;
  });
  Remember({row_owner, state.id}, std::make_shared<const ReadyState>(
                                      ReadyState{snapshot.Clone(), state.facts, state.mark}));
  return state;
}

std::optional<KeptState> KeptStates::Find(const std::string& owner, const std::string& id) {
  return WithFile([&](SqliteFile& db) -> std::optional<KeptState> {
    for (const std::string& row_owner : {RowOwner(owner), std::string(kEveryone)}) {
      SqliteStatement find(
          db, fmt::format("SELECT {} FROM states WHERE owner = ? AND id = ?", kColumns));
      if (find.Bind(row_owner).Bind(id).Step()) return RowOf(find);
    }
    return std::nullopt;
  });
}

std::vector<KeptState> KeptStates::List(const std::string& owner) {
  return WithFile([&](SqliteFile& db) {
    std::vector<KeptState> states;
    const std::string own = RowOwner(owner), everyone = kEveryone;
    SqliteStatement list(
        db, fmt::format("SELECT {} FROM states WHERE owner IN (?, ?) ORDER BY used DESC, id",
                        kColumns));
    list.Bind(own).Bind(everyone);
    while (list.Step()) states.push_back(RowOf(list));
    return states;
  });
}

std::optional<std::vector<std::byte>> KeptStates::Read(const std::string& owner,
                                                       const std::string& id) {
  const auto state = Find(owner, id);
  if (!state) return std::nullopt;
  const std::string row_owner = state->shared ? kEveryone : RowOwner(owner);
  return WithFile([&](SqliteFile& db) -> std::optional<std::vector<std::byte>> {
    SqliteStatement find(db, "SELECT state FROM states WHERE owner = ? AND id = ?");
    if (!find.Bind(row_owner).Bind(id).Step()) return std::nullopt;
    const auto bytes = find.Bytes(0);
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  });
}

std::shared_ptr<const ReadyState> KeptStates::Open(const std::string& owner, const std::string& id,
                                                   const ServedModel& served,
                                                   const std::string& identity) {
  const auto state = Find(owner, id);
  if (!state) throw NoState(id);
  const Key key{state->shared ? kEveryone : RowOwner(owner), id};
  if (state->facts.identity == identity) {
    if (auto found = Remembered(key, state->mark)) return found;
  }
  const auto bytes = Read(owner, id);
  if (!bytes) throw NoState(id);
  auto ready = OpenReadyState(*bytes, served, identity, key_);
  Remember(key, ready);
  const int64_t now = NowInSeconds();
  WithFile([&](SqliteFile& db) {
    SqliteStatement touch(db, "UPDATE states SET used = ? WHERE owner = ? AND id = ?");
    touch.Bind(now).Bind(key.first).Bind(key.second).Step();
    return 0;
  });
  return ready;
}

bool KeptStates::Erase(const std::string& owner, const std::string& id, bool shared) {
  const Key key{shared ? kEveryone : RowOwner(owner), id};
  Forget(key);
  return WithFile([&](SqliteFile& db) {
    SqliteStatement erase(db, "DELETE FROM states WHERE owner = ? AND id = ? RETURNING id");
    if (!erase.Bind(key.first).Bind(key.second).Step()) return false;
    erase.Step();
    EraseParent(db, key.first, key.second);
    return true;
  });
}

bool KeptStates::Rename(const std::string& owner, const std::string& id, bool shared,
                        const std::string& name) {
  const std::string row_owner = shared ? kEveryone : RowOwner(owner);
  return WithFile([&](SqliteFile& db) {
    SqliteStatement rename(db,
                           "UPDATE states SET name = ? WHERE owner = ? AND id = ? RETURNING id");
    if (!rename.Bind(name).Bind(row_owner).Bind(id).Step()) return false;
    rename.Step();
    return true;
  });
}

std::shared_ptr<const void> KeptStates::ClaimWriter(const std::string& owner,
                                                    const std::string& id) {
  const Key key{RowOwner(owner), id};
  if (!claims_->Add(key)) {
    throw RequestError(409, fmt::format("another request is writing the state '{}'", id), "state",
                       "state_locked");
  }
  return {new Key(key), [claims = claims_](const Key* claimed) {
            claims->Remove(*claimed);
            delete claimed;
          }};
}

void KeptStates::Remember(const Key& key, std::shared_ptr<const ReadyState> state) {
  Forget(key);
  const uint64_t bytes = state->snapshot.bytes();
  const std::lock_guard lock(memory_mutex_);
  if (bytes > options_.memory_bytes) return;
  memory_.push_front({key, std::move(state)});
  memory_bytes_ += bytes;
  while (memory_bytes_ > options_.memory_bytes) {
    memory_bytes_ -= memory_.back().state->snapshot.bytes();
    memory_.pop_back();
  }
}

void KeptStates::Forget(const Key& key) {
  const std::lock_guard lock(memory_mutex_);
  const auto found = std::find_if(memory_.begin(), memory_.end(),
                                  [&](const InMemory& entry) { return entry.key == key; });
  if (found == memory_.end()) return;
  memory_bytes_ -= found->state->snapshot.bytes();
  memory_.erase(found);
}

std::shared_ptr<const ReadyState> KeptStates::Remembered(const Key& key, const std::string& mark) {
  const std::lock_guard lock(memory_mutex_);
  const auto found = std::find_if(memory_.begin(), memory_.end(),
                                  [&](const InMemory& entry) { return entry.key == key; });
  if (found == memory_.end() || found->state->mark != mark) return nullptr;
  memory_.splice(memory_.begin(), memory_, found);
  return found->state;
}

void KeptStates::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(worker_->mutex);
    worker_->work.push_back(std::move(work));
  }
  worker_->wake.notify_all();
}

}  // namespace linnet
