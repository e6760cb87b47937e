#include "server/grammar_store.h"

#include <algorithm>

namespace linnet {

GrammarStore::Shared GrammarStore::Find(const std::string& key,
                                        const std::function<Shared()>& make) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(recent_.begin(), recent_.end(),
                                    [&](const auto& entry) { return entry.first == key; });
    if (found != recent_.end()) {
      recent_.splice(recent_.begin(), recent_, found);
      return found->second;
    }
  }
  Shared made = make();
  const std::lock_guard lock(mutex_);
  recent_.emplace_front(key, made);
  if (recent_.size() > kMost) recent_.pop_back();
  return made;
}

}  // namespace linnet
