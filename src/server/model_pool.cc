#include "server/model_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using PoolClock = std::chrono::steady_clock;
using Then = ModelLoading::Then;

constexpr std::chrono::milliseconds kLookForRoom{20};

}  // namespace

class ModelPool::Impl {
 public:
  explicit Impl(ModelPoolOptions options) : options_(std::move(options)) {
    LINNET_CHECK(!options_.sources.empty());
    for (const ModelSource& source : options_.sources) Add(source);
    default_ = options_.sources.front().name;
    for (const ModelSource& source : options_.sources) {
      if (!source.kept) continue;
      Slot& slot = *slots_.at(source.name);
      slot.loaded = source.open();
      slot.used = PoolClock::now();
    }
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  std::shared_ptr<const ServedModel> Find(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const std::string wanted(name.empty() ? default_ : name);
    auto slot = SlotOf(wanted);
    // What is not in memory may be gone from the folder.
    if (slot == nullptr || (slot->loaded.served == nullptr && !slot->waits)) {
      Scan();
      slot = SlotOf(wanted);
    }
    if (slot == nullptr) return nullptr;
    slot->used = PoolClock::now();
    if (slot->loaded.served != nullptr) return slot->loaded.served;
    if (!slot->waits) {
      if (stopping_) throw Error(ErrorKind::kBusy, "the server is stopping");
      slot->waits = true;
      ++slot->attempts;
      line_.push_back(slot);
      wake_.notify_all();
    }
    throw ModelLoading(slot->source.name, [this, slot, attempt = slot->attempts](Then then) {
      std::exception_ptr failure;
      {
        const std::lock_guard relock(mutex_);
        if (slot->waits && slot->attempts == attempt) {
          slot->then.push_back(std::move(then));
          return;
        }
        // It was loaded between the throw and now, or could not be.
        if (slot->failed == attempt) failure = slot->failure;
      }
      Tell({std::move(then)}, failure);
    });
  }

  std::vector<std::shared_ptr<const ServedModel>> all() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<const ServedModel>> all;
    for (const ModelEntry& entry : Entries()) {
      if (entry.served != nullptr) all.push_back(entry.served);
    }
    return all;
  }

  std::vector<ModelEntry> entries() {
    const std::lock_guard lock(mutex_);
    Scan();
    return Entries();
  }

  void Unload(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Slot& slot = Known(name);
    if (slot.waits) {
      throw RequestError(409, fmt::format("model '{}' is being loaded", name), "model",
                         "model_loading");
    }
    if (slot.loaded.served == nullptr) return;
    if (UsersOf(slot) > 0) {
      throw RequestError(409,
                         fmt::format("model '{}' is in use by {} requests", name, UsersOf(slot)),
                         "model", "model_in_use");
    }
    gone_.push_back(std::exchange(slot.loaded, {}));
    wake_.notify_all();
  }

  void SetDefault(const std::string& name) {
    const std::lock_guard lock(mutex_);
    default_ = Known(name).source.name;
  }

  void Stop(PoolClock::time_point until) {
    std::vector<LoadedModel> running;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      running = Loaded();
    }
    wake_.notify_all();
    for (const LoadedModel& model : running) {
      if (model.stop) model.stop(until);
    }
  }

  void Flush() {
    std::vector<LoadedModel> running;
    {
      const std::lock_guard lock(mutex_);
      running = Loaded();
    }
    for (const LoadedModel& model : running) {
      if (model.flush) model.flush();
    }
  }

 private:
  struct Slot {
    explicit Slot(ModelSource from) : source(std::move(from)) {}
    ModelSource source;
    LoadedModel loaded{};
    PoolClock::time_point used{};
    bool waits = false;  // for being loaded
    // How often that was begun, the last time that it failed, and why.
    uint64_t attempts = 0, failed = 0;
    std::exception_ptr failure{};
    bool listed = true;  // by the latest scan, or given
    std::vector<Then> then{};
  };
  using SharedSlot = std::shared_ptr<Slot>;

  // All below need mutex_, except Run and Open.

  void Add(const ModelSource& source) {
    order_.push_back(source.name);
    slots_[source.name] = std::make_shared<Slot>(source);
  }

  SharedSlot SlotOf(const std::string& name) const {
    const auto found = slots_.find(name);
    if (found != slots_.end() && found->second->listed) return found->second;
    const auto holds = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const auto& [key, slot] : slots_) {
      const ModelSource& source = slot->source;
      if (slot->listed && (holds(source.other_names) || holds(source.spellings))) return slot;
      if (slot->loaded.served != nullptr && holds(slot->loaded.served->other_names)) return slot;
    }
    return nullptr;
  }

  Slot& Known(const std::string& name) {
    Scan();
    const auto slot = SlotOf(name);
    if (slot == nullptr) throw NoSuchModel(name, Entries());
    return *slot;
  }

  // What is gone from the folder is not offered any more, but goes on while it is in memory.
  void Scan() {
    if (!options_.scan) return;
    const auto given = [this](const std::string& name) {
      return std::any_of(options_.sources.begin(), options_.sources.end(),
                         [&](const ModelSource& source) { return source.name == name; });
    };
    for (const auto& [name, slot] : slots_) {
      slot->listed = given(name) || slot->loaded.served != nullptr || slot->waits;
    }
    for (ModelSource& source : options_.scan()) {
      if (given(source.name)) continue;
      const auto found = slots_.find(source.name);
      if (found == slots_.end()) {
        Add(source);
      } else {
        found->second->listed = true;
        found->second->source.other_names = source.other_names;
        found->second->source.spellings = source.spellings;
        if (found->second->loaded.served == nullptr && !found->second->waits) {
          found->second->source = std::move(source);
        }
      }
    }
  }

  static size_t UsersOf(const Slot& slot) {
    const auto holders = slot.loaded.served.use_count();
    return holders > 1 ? static_cast<size_t>(holders - 1) : 0;
  }

  std::vector<ModelEntry> Entries() const {
    const auto now = PoolClock::now();
    std::vector<ModelEntry> entries;
    for (const std::string& name : order_) {
      const Slot& slot = *slots_.at(name);
      if (!slot.listed) continue;
      ModelEntry entry{.name = name,
                       .other_names = slot.source.other_names,
                       .spellings = slot.source.spellings,
                       .created = slot.source.created,
                       .bytes = slot.source.bytes};
      entry.users = UsersOf(slot);
      entry.kept = slot.source.kept;
      entry.is_default = name == default_;
      if (slot.used != PoolClock::time_point()) {
        entry.unused = std::chrono::duration_cast<std::chrono::seconds>(now - slot.used);
      }
      if (slot.loaded.served != nullptr) {
        entry.served = slot.loaded.served;
        entry.other_names.insert(entry.other_names.end(), entry.served->other_names.begin(),
                                 entry.served->other_names.end());
        entry.created = entry.served->created;
        entry.bytes = slot.loaded.bytes;
      }
      entries.push_back(std::move(entry));
    }
    std::stable_partition(entries.begin(), entries.end(),
                          [](const ModelEntry& entry) { return entry.is_default; });
    return entries;
  }

  std::vector<LoadedModel> Loaded() const {
    std::vector<LoadedModel> loaded;
    for (const auto& [name, slot] : slots_) {
      if (slot->loaded.served != nullptr) loaded.push_back(slot->loaded);
    }
    return loaded;
  }

  uint64_t BytesInMemory() const {
    uint64_t bytes = 0;
    for (const auto& [name, slot] : slots_) bytes += slot->loaded.bytes;
    return bytes;
  }

  bool HasRoom(uint64_t bytes) const {
    return options_.memory_bytes == 0 || BytesInMemory() + bytes <= options_.memory_bytes;
  }

  // The one to go next; empty if all are in use or kept.
  LoadedModel TakeIdle() {
    Slot* oldest = nullptr;
    for (const auto& [name, slot] : slots_) {
      if (slot->loaded.served == nullptr || slot->source.kept || UsersOf(*slot) > 0) continue;
      if (oldest == nullptr || slot->used < oldest->used) oldest = slot.get();
    }
    return oldest == nullptr ? LoadedModel() : std::exchange(oldest->loaded, {});
  }

  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !line_.empty() || !gone_.empty(); });
      if (!gone_.empty()) {
        FreeGone(lock);
        continue;
      }
      if (line_.empty()) return;
      const SharedSlot slot = std::move(line_.front());
      line_.pop_front();
      std::exception_ptr failure;
      LoadedModel loaded;
      try {
        MakeRoom(lock, *slot);
        const auto open = slot->source.open;
        lock.unlock();
        loaded = open();
        lock.lock();
      } catch (...) {
        failure = std::current_exception();
        if (!lock.owns_lock()) lock.lock();
      }
      slot->loaded = loaded;  // `loaded` keeps it from being unloaded before it was used
      slot->used = PoolClock::now();
      slot->waits = false;
      if (failure != nullptr) {
        slot->failed = slot->attempts;
        slot->failure = failure;
      }
      const std::vector<Then> then = std::exchange(slot->then, {});
      lock.unlock();
      Tell(then, failure);
      lock.lock();
    }
  }

  // It takes a while: a cache writes what it has.
  void FreeGone(std::unique_lock<std::mutex>& lock) {
    std::vector<LoadedModel> gone = std::exchange(gone_, {});
    lock.unlock();
    gone.clear();
    lock.lock();
  }

  static void Tell(const std::vector<Then>& then, const std::exception_ptr& failure) {
    for (const Then& call : then) {
      try {
        if (failure == nullptr) {
          call(nullptr);
          continue;
        }
        std::rethrow_exception(failure);
      } catch (const std::exception& error) {
        call(&error);
      }
    }
  }

  void MakeRoom(std::unique_lock<std::mutex>& lock, const Slot& slot) {
    const uint64_t bytes = slot.source.bytes;
    const std::string& name = slot.source.name;
    uint64_t kept = 0;
    for (const auto& [other, at] : slots_) kept += at->source.kept ? at->loaded.bytes : 0;
    if (options_.memory_bytes != 0 && kept + bytes > options_.memory_bytes) {
      throw RequestError(
          422,
          fmt::format("model '{}' has {} bytes, and of the {} for models only {} are not taken by "
                      "models that stay",
                      name, bytes, options_.memory_bytes,
                      options_.memory_bytes - std::min(kept, options_.memory_bytes)),
          "model", "model_too_large");
    }
    const auto until = PoolClock::now() + options_.patience;
    while (!HasRoom(bytes)) {
      if (stopping_) throw Error(ErrorKind::kBusy, "the server is stopping");
      LoadedModel gone = TakeIdle();
      if (gone.served != nullptr) {
        gone_.push_back(std::move(gone));
        FreeGone(lock);
        continue;
      }
      if (PoolClock::now() >= until) {
        throw Error(ErrorKind::kNoMemory,
                    fmt::format("no room for model '{}': all models in memory are in use", name));
      }
      wake_.wait_for(lock, kLookForRoom, [this] { return stopping_; });
    }
  }

  const ModelPoolOptions options_;
  std::mutex mutex_;  // of the following
  std::condition_variable wake_;
  std::map<std::string, SharedSlot> slots_;
  std::vector<std::string> order_;
  std::string default_;
  std::deque<SharedSlot> line_;
  std::vector<LoadedModel> gone_;  // to be destroyed on the thread
  bool stopping_ = false;
  std::thread thread_;
};

ModelPool::ModelPool(ModelPoolOptions options)
    : ServedModels(), impl_(std::make_unique<Impl>(std::move(options))) {}
ModelPool::~ModelPool() = default;

std::shared_ptr<const ServedModel> ModelPool::FindNamed(std::string_view name) const {
  return impl_->Find(name);
}
std::vector<std::shared_ptr<const ServedModel>> ModelPool::all() const { return impl_->all(); }
std::vector<ModelEntry> ModelPool::entries() const { return impl_->entries(); }
void ModelPool::Unload(const std::string& name) const { impl_->Unload(name); }
void ModelPool::SetDefault(const std::string& name) const { impl_->SetDefault(name); }
void ModelPool::Stop(std::chrono::steady_clock::time_point until) { impl_->Stop(until); }
void ModelPool::Flush() { impl_->Flush(); }

}  // namespace linnet
